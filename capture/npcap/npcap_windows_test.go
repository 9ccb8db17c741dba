package npcap

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"kmswatch/capture"
)

// loopback gives an interface on which traffic of this machine to itself is
// seen, or skips the test where Npcap, or the right to use it, is missing.
// Under CI that is a failure.
func loopback(t *testing.T) Interface {
	t.Helper()
	all, err := Interfaces()
	if err == nil {
		for _, i := range all {
			if i.Loopback {
				return i
			}
		}
		err = fmt.Errorf("no loopback interface among: %s", list(all))
	}
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip("needs Npcap and its loopback interface: ", err)
	panic("unreachable")
}

// send begins to send datagrams with a payload of its own to this machine until
// the test ends, and gives the payload. It goes below package net, whose UDP
// asks for a control that Wine does not have.
func send(t *testing.T) []byte {
	t.Helper()
	to, at := socket(t)
	from, _ := socket(t)
	payload := fmt.Appendf(nil, "seen by %s at %d", t.Name(), time.Now().UnixNano())
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				_ = windows.Sendto(from, payload, 0, at)
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		_ = windows.Closesocket(from)
		_ = windows.Closesocket(to)
	})
	return payload
}

// startSockets does what package net does before its first socket.
func startSockets(t *testing.T) {
	t.Helper()
	var data windows.WSAData
	if err := windows.WSAStartup(0x202, &data); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = windows.WSACleanup() })
}

// socket gives a UDP socket at an address of 127.0.0.1.
func socket(t *testing.T) (windows.Handle, windows.Sockaddr) {
	t.Helper()
	s, err := windows.Socket(windows.AF_INET, windows.SOCK_DGRAM, windows.IPPROTO_UDP)
	if err != nil {
		t.Fatal(err)
	}
	if err := windows.Bind(s, &windows.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := windows.Getsockname(s)
	if err != nil {
		t.Fatal(err)
	}
	return s, at
}

// await reads until want comes as the end of a frame.
func await(t *testing.T, s *Source, want []byte) capture.Frame {
	t.Helper()
	frames := make([]capture.Frame, 64)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		n, err := s.Read(frames)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames[:n] {
			if bytes.HasSuffix(f.Data, want) {
				return f
			}
		}
	}
	t.Fatal("the datagrams were not seen")
	panic("unreachable")
}

func TestCapturesOnLoopback(t *testing.T) {
	i := loopback(t)
	startSockets(t)
	begin := time.Now()
	for _, name := range []string{i.Device, i.Name, strings.ToUpper(i.Name), strconv.Itoa(int(i.Index))} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(Options{Interface: name, Promiscuous: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			payload := send(t)
			f := await(t, s, payload)
			if at := time.Unix(0, f.Time); at.Before(begin.Add(-time.Minute)) || at.After(time.Now().Add(time.Minute)) {
				t.Errorf("captured at %v, which is not now", at)
			}
			if f.Length != len(f.Data) || f.Number == 0 {
				t.Errorf("length %d of %d bytes, number %d", f.Length, len(f.Data), f.Number)
			}
			if f.Link != capture.LinkEthernet && f.Link != capture.LinkNull {
				t.Errorf("link type %d", f.Link)
			}
			st := s.Stats()
			if st.Received < f.Number || st.Bytes < uint64(len(f.Data)) || st.Truncated != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

func TestCapturesInTheMannerOfWinPcap(t *testing.T) {
	i := loopback(t)
	startSockets(t)
	l, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if l.openLive == 0 {
		t.Skip("this wpcap.dll has no pcap_open_live")
	}
	l.create = 0
	o := Options{Interface: i.Device}
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	h, link, err := l.open(i.Device, &o)
	if err != nil {
		t.Fatal(err)
	}
	s := newSource(i.String(), o, h, link)
	defer s.Close()
	await(t, s, send(t))
}

func TestCutsFrames(t *testing.T) {
	i := loopback(t)
	startSockets(t)
	s, err := Open(Options{Interface: i.Device, Snap: 40})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	payload := send(t)
	frames := make([]capture.Frame, 16)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		n, err := s.Read(frames)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames[:n] {
			if len(f.Data) > 40 {
				t.Fatalf("%d bytes of a frame, want 40 at most", len(f.Data))
			}
			if f.Length > len(payload) {
				if s.Stats().Truncated == 0 {
					t.Fatal("a frame was cut and not counted")
				}
				return
			}
		}
	}
	t.Fatal("the datagrams were not seen")
}

func TestReadsWithoutAllocating(t *testing.T) {
	i := loopback(t)
	startSockets(t)
	s, err := Open(Options{Interface: i.Device})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	to, at := socket(t)
	defer windows.Closesocket(to)
	for range 400 {
		if err := windows.Sendto(to, []byte("one of many"), 0, at); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * DefaultWait) // until they are past the driver's own buffering
	frames := make([]capture.Frame, 4)
	got := 0
	if allocs := testing.AllocsPerRun(50, func() {
		n, err := s.Read(frames)
		if err != nil {
			t.Fatal(err)
		}
		got += n
		s.Stats()
	}); allocs != 0 {
		t.Errorf("%v allocations a Read", allocs)
	}
	if got < 200 {
		t.Errorf("%d frames came", got)
	}
}

func TestCloseUnblocksRead(t *testing.T) {
	i := loopback(t)
	s, err := Open(Options{Interface: i.Device, Wait: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		frames := make([]capture.Frame, 16)
		for {
			if _, err := s.Read(frames); err != nil {
				done <- err
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("Read ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Read did not end")
	}
	s.Stats()
}

func TestRefusesAnInterfaceThatIsNot(t *testing.T) {
	i := loopback(t)
	_, err := Open(Options{Interface: "Ethernet 99"})
	if err == nil || !strings.Contains(err.Error(), `no interface "Ethernet 99"; there are: `) || !strings.Contains(err.Error(), i.String()) {
		t.Errorf("error is %v", err)
	}
	l, err := load()
	if err != nil {
		t.Fatal(err)
	}
	var o Options
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.open(devicePrefix+"{00000000-DEAD-BEEF-0000-000000000000}", &o); err == nil {
		t.Error("a device that is not was opened")
	} else if strings.ContainsAny(err.Error(), "\r\n") {
		t.Errorf("error of several lines: %q", err)
	}
}

func TestTellsWhatToInstall(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	_, err := loadFrom(one, two)
	if !errors.Is(err, ErrNotInstalled) {
		t.Fatalf("error is %v", err)
	}
	for _, want := range []string{one, two, "wpcap.dll", "https://npcap.com"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

func TestTellsOfADLLThatLacksFunctions(t *testing.T) {
	dll, err := windows.LoadLibraryEx("kernel32.dll", 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
	if err != nil {
		t.Fatal(err)
	}
	_, err = resolve(dll, "kernel32.dll")
	if err == nil || !strings.Contains(err.Error(), "kernel32.dll has no function pcap_findalldevs") {
		t.Errorf("error is %v", err)
	}
}
