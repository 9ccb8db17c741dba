package afpacket_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmswatch/bpf"
	"kmswatch/bpf/bpftest"
	"kmswatch/capture"
	"kmswatch/capture/afpacket"
	"kmswatch/capture/xdp"
)

// oneIn is of how many frames one is of interest, as on a port that is worth a
// filter.
const oneIn = 16

// tap is a wire with a generator at one end. It is in the namespace of the test's
// goroutine.
type tap struct {
	name string // of the interface at the other end
	*bpftest.Generator
}

// newTap makes a wire whose frames go up the stack at its end.
func newTap(t testing.TB, toHost bool, every int) *tap {
	t.Helper()
	w := newWire(t, toHost, every)
	bpftest.Pass(t, bpftest.Interface(t, w.name).Index)
	return w
}

// newWire makes a wire. Its frames have 300 bytes and are sent to the host at its
// end, or to others; one of every so many is of interest. It carries them only once
// XDP is used at its end.
func newWire(t testing.TB, toHost bool, every int) *tap {
	t.Helper()
	from, to := bpftest.Veth(t)
	frame := bpftest.TCP(false, 49152, 1688, 1, 1, 0x18, strings.Repeat("\x16", 300-54))
	if toHost {
		copy(frame, to.HardwareAddr)
		bpftest.IP(t, "address add 10.0.0.2/32 dev "+to.Name) // without a route back, so that nothing is answered
	}
	g, err := bpftest.NewGenerator(from.Index, frame, every)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return &tap{to.Name, g}
}

// lost gives how many frames the wire itself had no room for, which never came to
// the interface.
func (w *tap) lost(t testing.TB) uint64 {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if name, rest, _ := strings.Cut(strings.TrimSpace(l), ":"); name == w.name {
			const dropped = 3 // after bytes, frames, errors
			n, err := strconv.ParseUint(strings.Fields(rest)[dropped], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no counters of %s", w.name)
	return 0
}

// ring opens a ring behind the flow filter.
func (w *tap) ring(t testing.TB, opts afpacket.Options) *afpacket.Source {
	t.Helper()
	f, err := bpf.Load(bpf.Options{TCPPorts: bpftest.TCPPorts, UDPPorts: bpftest.UDPPorts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	opts.Interface, opts.Filter = w.name, afpacket.FlowFilter{Filter: f}
	s, err := afpacket.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// reader reads a source until it is closed.
type reader struct {
	src     capture.Source
	done    chan struct{}
	frames  uint64 // that came, once done
	strange uint64 // those of them that are not of interest, or not whole
	err     error
}

func read(src capture.Source) *reader {
	r := &reader{src: src, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		frames := make([]capture.Frame, 256)
		for {
			n, err := src.Read(frames)
			for i := range frames[:n] {
				f := &frames[i]
				if len(f.Data) != 300 || binary.BigEndian.Uint16(f.Data[36:]) != 1688 || f.Data[299] != 0x16 {
					r.strange++
				}
			}
			r.frames += uint64(n)
			if err != nil {
				r.err = err
				return
			}
		}
	}()
	return r
}

// end waits until a number of frames is accounted for, or for a while, closes the
// source and gives what became of the frames.
func (r *reader) end(t testing.TB, frames uint64) capture.Stats {
	t.Helper()
	st := r.src.Stats()
	for late := time.Now().Add(patience); st.Received+st.Filtered+st.Dropped < frames && time.Now().Before(late); st = r.src.Stats() {
		time.Sleep(time.Millisecond)
	}
	if err := r.src.Close(); err != nil {
		t.Error(err)
	}
	<-r.done
	if !errors.Is(r.err, os.ErrClosed) {
		t.Errorf("read: %v", r.err)
	}
	if r.frames != st.Received || r.strange > 0 {
		t.Errorf("%d frames were read, %d of them not of interest: %+v", r.frames, r.strange, st)
	}
	return st
}

// TestEveryFrameIsAccountedFor sends as fast as the kernel can.
func TestEveryFrameIsAccountedFor(t *testing.T) {
	for _, c := range []struct {
		name string
		host bool // else a span port
		opts afpacket.Options
		full bool
	}{
		{"span", false, afpacket.Options{Promiscuous: true}, false},
		{"host", true, afpacket.Options{}, false},
		{"span, 2 rings", false, afpacket.Options{Promiscuous: true, Rings: 2, Blocks: 128}, false},
		{"with hardly any room", false, afpacket.Options{Promiscuous: true, BlockSize: 4096, Blocks: 2}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTap(t, c.host, oneIn)
			s := w.ring(t, c.opts)
			r := read(s)
			const sent = 1 << 20
			begin := time.Now()
			if err := w.Send(sent); err != nil {
				t.Fatal(err)
			}
			took := time.Since(begin)
			lost := w.lost(t)
			st := r.end(t, sent-lost)
			t.Logf("%.2f million frames a second, %d lost on the wire, %+v", sent/took.Seconds()/1e6, lost, st)
			if got := st.Received + st.Filtered + st.Dropped; got != sent-lost {
				t.Errorf("sent %d, the wire lost %d, and %d are accounted for", sent, lost, got)
			}
			if lost == 0 && st.Received+st.Dropped != sent/oneIn {
				t.Errorf("%d of interest, want %d", st.Received+st.Dropped, sent/oneIn)
			}
			if c.full != (st.Dropped > 0) {
				t.Errorf("%d frames of interest were dropped", st.Dropped)
			}
		})
	}
}

// dump is tcpdump, which writes the frames of interest to a file, by the filter
// that libpcap compiles for their ports, with as much memory for them as a ring has.
type dump struct {
	cmd  *exec.Cmd
	file string
	said *bufio.Scanner
}

func startDump(t testing.TB, name string) *dump {
	t.Helper()
	if _, err := exec.LookPath("tcpdump"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("tcpdump is not installed")
	}
	var ports []string
	for _, p := range bpftest.TCPPorts {
		ports = append(ports, fmt.Sprint("tcp port ", p))
	}
	for _, p := range bpftest.UDPPorts {
		ports = append(ports, fmt.Sprint("udp port ", p))
	}
	d := &dump{file: filepath.Join(t.TempDir(), "dump.pcap")}
	d.cmd = exec.Command("tcpdump", "-Z", "root", "-n", "-i", name, "-B", "65536", "-w", d.file, strings.Join(ports, " or "))
	out, err := d.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	d.said = bufio.NewScanner(out)
	for d.said.Scan() {
		if strings.Contains(d.said.Text(), "listening on") {
			return d
		}
	}
	t.Fatal("tcpdump does not listen")
	return nil
}

// end stops tcpdump once it writes no more, and gives how many frames it wrote,
// and how many the kernel had no room for.
func (d *dump) end(t testing.TB) (wrote, dropped int) {
	t.Helper()
	size := int64(-1)
	for {
		i, err := os.Stat(d.file)
		if err != nil {
			t.Fatal(err)
		}
		if i.Size() == size {
			break
		}
		size = i.Size()
		time.Sleep(1500 * time.Millisecond) // it gets what is there once a second
	}
	if err := d.cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	wrote, dropped = -1, -1
	for d.said.Scan() {
		number, what, _ := strings.Cut(d.said.Text(), " ")
		n, err := strconv.Atoi(number)
		switch {
		case err != nil:
		case strings.HasPrefix(what, "packets captured"):
			wrote = n
		case strings.HasPrefix(what, "packets dropped by kernel"):
			dropped = n
		}
	}
	if err := d.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if wrote < 0 || dropped < 0 {
		t.Fatal("tcpdump does not say what it captured and dropped")
	}
	return wrote, dropped
}

// TestNothingIsLostWhereTcpdumpLosesNothing has both watch the same frames at the
// same time, at several rates and as fast as the kernel can send.
func TestNothingIsLostWhereTcpdumpLosesNothing(t *testing.T) {
	for _, c := range []struct {
		host  bool
		rate  int
		every int // of which one is of interest
		sent  int
	}{
		{false, 250_000, 1, 1 << 18}, // more than the rings hold
		{false, 1_000_000, oneIn, 1 << 21},
		{false, asFastAsCan, oneIn, 1 << 22}, // likewise
		{true, 1_000_000, oneIn, 1 << 21},
		{true, asFastAsCan, oneIn, 1 << 22},
	} {
		t.Run(rateName(c.host, c.rate), func(t *testing.T) {
			w := newTap(t, c.host, c.every)
			s := w.ring(t, afpacket.Options{Promiscuous: !c.host})
			d := startDump(t, w.name)
			r := read(s)
			took := w.pace(t, c.sent, c.rate)
			lost := w.lost(t)
			st := r.end(t, uint64(c.sent)-lost)
			wrote, dropped := d.end(t)
			t.Logf("%.2f million frames a second, %d lost on the wire, %+v; tcpdump wrote %d, dropped %d",
				float64(c.sent)/took.Seconds()/1e6, lost, st, wrote, dropped)
			if got := st.Received + st.Filtered + st.Dropped; got != uint64(c.sent)-lost {
				t.Errorf("sent %d, the wire lost %d, and %d are accounted for", c.sent, lost, got)
			}
			came := int(st.Received + st.Dropped)
			if lost == 0 && came != c.sent/c.every {
				t.Errorf("%d of interest came, want %d", came, c.sent/c.every)
			}
			switch {
			case wrote+dropped != came:
				t.Errorf("%d of interest came, and tcpdump counts %d", came, wrote+dropped)
			case dropped == 0 && st.Dropped > 0:
				t.Errorf("lost %d, where tcpdump lost none", st.Dropped)
			}
		})
	}
}

const asFastAsCan = 0

func rateName(host bool, rate int) string {
	name := "span, "
	if host {
		name = "host, "
	}
	if rate == asFastAsCan {
		return name + "as fast as can be"
	}
	return fmt.Sprint(name, rate, " frames a second")
}

// pace sends n frames at about a rate, in bursts, and tells how long it took.
func (w *tap) pace(t testing.TB, n, rate int) time.Duration {
	t.Helper()
	burst := n
	if rate != asFastAsCan {
		burst = rate / 16
	}
	begin := time.Now()
	for sent := 0; sent < n; {
		k := min(burst, n-sent)
		if err := w.Send(k); err != nil {
			t.Fatal(err)
		}
		sent += k
		if rate != asFastAsCan {
			time.Sleep(time.Until(begin.Add(time.Duration(sent) * time.Second / time.Duration(rate))))
		}
	}
	return time.Since(begin)
}

// BenchmarkOneIn16 tells the frames a second of which a source, or tcpdump, takes
// the one in 16 that is of interest, sent as fast as the kernel can beside it, and
// how many of those were lost.
func BenchmarkOneIn16(b *testing.B) {
	send := func(b *testing.B, w *tap) {
		b.ResetTimer()
		took := w.pace(b, b.N, asFastAsCan)
		b.StopTimer()
		b.ReportMetric(float64(b.N)/took.Seconds(), "frames/s")
		b.ReportMetric(0, "ns/op")
	}
	watched := func(b *testing.B, w *tap, src capture.Source) {
		r := read(src)
		send(b, w)
		sent := uint64(b.N) - w.lost(b)
		st := r.end(b, sent)
		if n := st.Received + st.Filtered + st.Dropped; n != sent {
			b.Errorf("%d frames came, and %d are accounted for", sent, n)
		}
		b.ReportMetric(float64(st.Dropped), "lost")
	}
	b.Run("ring, span", func(b *testing.B) {
		w := newTap(b, false, oneIn)
		watched(b, w, w.ring(b, afpacket.Options{Promiscuous: true}))
	})
	b.Run("ring, host", func(b *testing.B) {
		w := newTap(b, true, oneIn)
		watched(b, w, w.ring(b, afpacket.Options{}))
	})
	b.Run("xdp", func(b *testing.B) {
		w := newWire(b, false, oneIn)
		src, err := xdp.Open(xdp.Config{Interface: w.name, TCPPorts: bpftest.TCPPorts, UDPPorts: bpftest.UDPPorts, Mode: bpf.Native})
		if err != nil {
			b.Fatal(err)
		}
		watched(b, w, src)
	})
	b.Run("tcpdump", func(b *testing.B) {
		w := newTap(b, false, oneIn)
		d := startDump(b, w.name)
		send(b, w)
		_, dropped := d.end(b)
		b.ReportMetric(float64(dropped), "lost")
	})
	b.Run("nobody", func(b *testing.B) { send(b, newTap(b, false, oneIn)) })
}
