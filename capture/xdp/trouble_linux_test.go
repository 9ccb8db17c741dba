package xdp

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"kmswatch/bpf"
	"kmswatch/bpf/bpftest"
	"kmswatch/capture"
)

// next reads one batch, and gives up after a while by closing the source.
func next(t *testing.T, s *Source) ([]capture.Frame, error) {
	t.Helper()
	frames := make([]capture.Frame, 16)
	late := time.AfterFunc(20*time.Second, func() { s.Close() })
	defer late.Stop()
	for {
		if n, err := s.Read(frames); n > 0 || err != nil {
			return frames[:n], err
		}
	}
}

func send(t *testing.T, ifindex, n int) {
	t.Helper()
	g, err := bpftest.NewGenerator(ifindex, frame300(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Send(n); err != nil {
		t.Fatal(err)
	}
}

func TestFramesAreAsSent(t *testing.T) {
	a, b := bpftest.Veth(t)
	s := open(t, b.Name, nil)
	if s.Mode() != bpf.Native {
		t.Errorf("mode %v, want native", s.Mode())
	}
	before := time.Now().Add(-time.Second).UnixNano()
	send(t, a.Index, 1)
	frames, err := next(t, s)
	if err != nil || len(frames) != 1 {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	f := frames[0]
	after := time.Now().Add(time.Second).UnixNano()
	if string(f.Data) != string(frame300()) || f.Length != 300 || f.Number != 1 || f.Link != capture.LinkEthernet || int(f.Interface) != b.Index {
		t.Errorf("%+v", f)
	}
	if f.Time < before || f.Time > after {
		t.Errorf("time %d is not from %d to %d", f.Time, before, after)
	}
	if st := s.Stats(); st != (capture.Stats{Received: 1, Bytes: 300}) {
		t.Errorf("%+v", st)
	}
}

func TestSnapLengthCuts(t *testing.T) {
	a, b := bpftest.Veth(t)
	s := open(t, b.Name, func(c *Config) { c.Snap = 96 })
	send(t, a.Index, 1)
	frames, err := next(t, s)
	if err != nil || len(frames) != 1 || len(frames[0].Data) != 96 || frames[0].Length != 300 {
		t.Fatalf("%+v, %v", frames, err)
	}
	if st := s.Stats(); st != (capture.Stats{Received: 1, Bytes: 96, Truncated: 1}) {
		t.Errorf("%+v", st)
	}
}

func TestSteering(t *testing.T) {
	a, b := bpftest.Veth(t)
	s := open(t, b.Name, func(c *Config) { c.TCPPorts = nil })
	send(t, a.Index, 1)
	if st := s.Stats(); st.Filtered != 1 {
		t.Errorf("before: %+v", st)
	}
	if err := s.WatchPort(6, 1688); err != nil {
		t.Fatal(err)
	}
	send(t, a.Index, 1)
	if frames, err := next(t, s); err != nil || len(frames) != 1 {
		t.Errorf("%d frames, %v", len(frames), err)
	}
}

func TestInterfaceDownAndUpAndRenamed(t *testing.T) {
	a, b := bpftest.Veth(t)
	s := open(t, b.Name, nil)
	bpftest.IP(t, "link set "+b.Name+" down")
	if _, err := next(t, s); !errors.Is(err, ErrDown) || !strings.Contains(err.Error(), b.Name) {
		t.Fatalf("down: %v, want ErrDown with the name", err)
	}
	bpftest.IP(t, "link set "+b.Name+" name kmswatch-c")
	bpftest.IP(t, "link set kmswatch-c up")
	send(t, a.Index, 1)
	if frames, err := next(t, s); err != nil || len(frames) != 1 {
		t.Errorf("up again: %d frames, %v", len(frames), err)
	}
}

func TestInterfaceGoneAndBack(t *testing.T) {
	_, b := bpftest.Veth(t)
	s := open(t, b.Name, nil)
	bpftest.IP(t, "link del "+b.Name)
	if _, err := next(t, s); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), b.Name) {
		t.Fatalf("gone: %v, want ErrGone with the name", err)
	}
	bpftest.IP(t, "link add kmswatch-a type veth peer name "+b.Name)
	bpftest.IP(t, "link set kmswatch-a up")
	bpftest.IP(t, "link set "+b.Name+" up")
	a, b := bpftest.Interface(t, "kmswatch-a"), bpftest.Interface(t, b.Name)
	// The next Read puts the filter on the new interface. Until then a veth device
	// drops what the generator sends.
	g, err := bpftest.NewGenerator(a.Index, frame300(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	stop := make(chan struct{})
	sent := bpftest.Beside(t, func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				if err := g.Send(1); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	frames, err := next(t, s)
	close(stop)
	<-sent
	if err != nil || len(frames) == 0 || int(frames[0].Interface) != b.Index {
		t.Errorf("back: %+v, %v", frames, err)
	}
}

func TestCloseUnblocksRead(t *testing.T) {
	a, b := bpftest.Veth(t)
	s := open(t, b.Name, nil)
	send(t, a.Index, 3)
	frames, err := next(t, s)
	if err != nil || len(frames) == 0 {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if string(frames[0].Data) != string(frame300()) { // still there
		t.Error("the frames of the last Read changed")
	}
	st := s.Stats()
	for range 2 {
		if n, err := s.Read(make([]capture.Frame, 1)); n != 0 || !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %d, %v", n, err)
		}
	}
	if s.Stats() != st || st.Received == 0 {
		t.Errorf("stats after Close: %+v, then %+v", st, s.Stats())
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}

	s = open(t, b.Name, nil)
	time.AfterFunc(50*time.Millisecond, func() { s.Close() })
	if n, err := s.Read(make([]capture.Frame, 1)); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed meanwhile: %d, %v", n, err)
	}
}

func TestPromiscuousModeIsUndone(t *testing.T) {
	_, b := bpftest.Veth(t)
	s := open(t, b.Name, nil)
	if !bpftest.Promiscuous(t, b.Name) {
		t.Error("not promiscuous while capturing")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if bpftest.Promiscuous(t, b.Name) {
		t.Error("promiscuous after Close")
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	bpftest.Veth(t)
	if s, err := Open(Config{Interface: "nosuch0"}); err == nil || !strings.Contains(err.Error(), "nosuch0") || strings.Contains(err.Error(), "\n") {
		s.Close()
		t.Errorf("no such interface: %v", err)
	}
	if s, err := Open(Config{Interface: "kmswatch-b", Ring: 12345}); err == nil {
		s.Close()
		t.Error("an odd ring: no error")
	}
}

// An idle port costs next to nothing.
func TestIdleReadSleeps(t *testing.T) {
	_, b := bpftest.Veth(t)
	s := open(t, b.Name, nil)
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	time.AfterFunc(2*time.Second, func() { s.Close() })
	for {
		n, err := s.Read(make([]capture.Frame, 1))
		if errors.Is(err, os.ErrClosed) {
			break
		}
		if n != 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	if cost := used() - before; cost > time.Second {
		t.Errorf("two idle seconds cost %v", cost)
	}
}

func TestWarningsNameWhatIsLost(t *testing.T) {
	_, b := bpftest.Veth(t)
	// A veth device has the offload of receiving tags beside the frame, a loopback none.
	for name, want := range map[string]bool{b.Name: true, "lo": false} {
		s := open(t, name, func(c *Config) { c.Mode = bpf.Generic })
		all := strings.Join(s.Warnings(), "; ")
		if got := strings.Contains(all, "rxvlan off"); got != want {
			t.Errorf("%s: %q: names VLAN tags: %v, want %v", name, all, got, want)
		}
		if !strings.Contains(all, "does not run XDP") {
			t.Errorf("%s: %q: does not name the generic mode", name, all)
		}
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	a, b := bpftest.Veth(t)
	s := open(t, b.Name, nil)
	send(t, a.Index, 2000)
	frames := make([]capture.Frame, 1)
	if n := testing.AllocsPerRun(1000, func() {
		if n, err := s.Read(frames); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
