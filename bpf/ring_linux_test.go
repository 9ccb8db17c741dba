package bpf_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmswatch/bpf"
	"kmswatch/bpf/bpftest"
)

// rpcFrame is a frame of a length that passes, each byte of its end different.
func rpcFrame(n int) []byte {
	payload := []byte(bpftest.Bind())
	for i := len(payload); len(payload) < n; i++ {
		payload = append(payload, byte(i*7+i>>8))
	}
	return bpftest.TCP(false, 49152, 1688, 1, 1, 0x18, string(payload[:n-54]))
}

func TestRingGivesFramesAsTheyWere(t *testing.T) {
	for _, h := range []bpf.Hook{bpf.XDP, bpf.TCX} {
		for _, snap := range []int{0, 100} {
			f := load(t, bpf.Options{Ring: 1 << 20, Snap: snap})
			r, err := f.Ring()
			if err != nil {
				t.Fatal(err)
			}
			before := monotonic()
			var got bpf.Frame
			for n := 55; n < 3500; n += 1 + n/50 {
				frame := rpcFrame(n)
				v, err := f.Judge(h, frame)
				if err != nil || v != bpf.Port {
					t.Fatalf("%v, %d bytes: %v, %v", h, n, v, err)
				}
				if !r.Next(&got) {
					t.Fatalf("%v, %d bytes: nothing in the ring", h, n)
				}
				want := frame
				if snap != 0 {
					want = frame[:min(n, snap)]
				}
				if !bytes.Equal(got.Data, want) || got.Length != n || got.Verdict != bpf.Port {
					t.Fatalf("%v, %d bytes: got %d of %d, %v: %x, want %x", h, n, len(got.Data), got.Length, got.Verdict, got.Data, want)
				}
				if now := monotonic(); got.Time < before || got.Time > now {
					t.Errorf("%v, %d bytes: time %d, not from %d to %d", h, n, got.Time, before, now)
				}
				r.Release()
			}
			if r.Next(&got) {
				t.Errorf("%v: one frame more than there were: %x", h, got.Data)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	return now.Nano()
}

func TestFullRingCountsWhatIsLost(t *testing.T) {
	for _, h := range []bpf.Hook{bpf.XDP, bpf.TCX} {
		f := load(t, bpf.Options{Ring: 4096})
		r, err := f.Ring()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		frame := rpcFrame(300)
		fits := 0
		for range 100 {
			v, err := f.Judge(h, frame)
			if err != nil {
				t.Fatal(err)
			}
			if v == bpf.Lost {
				break
			}
			fits++
		}
		if fits == 0 || fits == 100 {
			t.Fatalf("%v: %d frames fit", h, fits)
		}
		var got bpf.Frame
		for n := range fits {
			if !r.Next(&got) || !bytes.Equal(got.Data, frame) {
				t.Fatalf("%v: frame %d of %d is not there", h, n, fits)
			}
		}
		if r.Next(&got) {
			t.Errorf("%v: a lost frame is there", h)
		}
		r.Release()
		if v, err := f.Judge(h, frame); err != nil || v != bpf.Port {
			t.Errorf("%v: after room was given: %v, %v", h, v, err)
		}
		if c, err := f.Counters(); err != nil || c[bpf.Lost].Frames != 1 || c[bpf.Lost].Bytes != 300 {
			t.Errorf("%v: %v, %v", h, c, err)
		}
	}
}

func TestRingAllocatesNothing(t *testing.T) {
	f := load(t, bpf.Options{Ring: 1 << 20})
	r, err := f.Ring()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 200 {
		if _, err := f.Judge(bpf.XDP, rpcFrame(300)); err != nil {
			t.Fatal(err)
		}
	}
	var got bpf.Frame
	if n := testing.AllocsPerRun(100, func() {
		if !r.Next(&got) {
			t.Fatal("nothing in the ring")
		}
		r.Release()
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// packetSocket opens a raw socket on a device, in the namespace of the test.
func packetSocket(t *testing.T, ifindex int) int {
	t.Helper()
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifindex}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// sender opens a socket to send frames of; with offloads, each has a header that
// makes the kernel keep all behind the first bytes in pages.
func sender(t *testing.T, ifindex int) (send func(frame []byte, head int) error) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		t.Fatal(err)
	}
	to := &unix.SockaddrLinklayer{Ifindex: ifindex}
	return func(frame []byte, head int) error {
		offload := make([]byte, 10) // struct virtio_net_hdr: length of the headers at 2
		binary.NativeEndian.PutUint16(offload[2:], uint16(head))
		return unix.Sendto(fd, append(offload, frame...), 0, to)
	}
}

// What the table says is true of frames on a wire too.
func TestSocketPassesTheTable(t *testing.T) {
	a, b := bpftest.Veth(t)
	f := load(t, bpf.Options{})
	fd := packetSocket(t, b.Index)
	if err := f.AttachSocket(fd); err != nil {
		t.Fatal(err)
	}
	send := sender(t, a.Index)
	buffer := make([]byte, 65536)
	for _, c := range bpftest.Frames() {
		if err := send(c.Data, 0); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if passed := err == nil; passed != c.Verdict.Passes() {
			t.Errorf("%s: passed: %v (%v), want %v", c.Name, passed, err, c.Verdict)
		}
		// The kernel takes the outer tag off.
		tagged := len(c.Data) > 14 && (c.Data[12] == 0x81 || c.Data[12] == 0x88 && c.Data[13] == 0xa8)
		if want := len(c.Data); err == nil && n != want && !(tagged && n == want-4) {
			t.Errorf("%s: %d bytes of %d", c.Name, n, want)
		}
	}
}

// A frame whose payload lies in pages is judged like any other.
func TestFramesInPieces(t *testing.T) {
	const size = 5000
	payload := bpftest.Bind() + string(make([]byte, size-54-72))
	begins := bpftest.TCP(false, 49152, 50001, 1, 1, 0x18, payload)
	bulk := bpftest.TCP(false, 49152, 443, 1, 1, 0x18, string(make([]byte, size-54)))

	t.Run("socket", func(t *testing.T) {
		a, b := bpftest.Veth(t)
		bpftest.IP(t, "link set kmswatch-a mtu 9000")
		bpftest.IP(t, "link set kmswatch-b mtu 9000")
		f := load(t, bpf.Options{})
		fd := packetSocket(t, b.Index)
		if err := f.AttachSocket(fd); err != nil {
			t.Fatal(err)
		}
		send := sender(t, a.Index)
		for _, frame := range [][]byte{begins, bulk} {
			if err := send(frame, 54); err != nil {
				t.Fatal(err)
			}
		}
		if c, err := f.Counters(); err != nil || c[bpf.Begins] != (bpf.Count{Frames: 1, Bytes: size}) || c[bpf.Bulk] != (bpf.Count{Frames: 1, Bytes: size}) {
			t.Errorf("%v, %v", c, err)
		}
	})
	t.Run("TCX", func(t *testing.T) {
		a, b := bpftest.Veth(t)
		bpftest.IP(t, "link set kmswatch-a mtu 9000")
		bpftest.IP(t, "link set kmswatch-b mtu 9000")
		f := load(t, bpf.Options{Ring: 1 << 20})
		r, err := f.Ring()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		attached, err := f.AttachTCX(b.Index, bpf.Ingress)
		if err != nil {
			t.Fatal(err)
		}
		defer attached.Close()
		send := sender(t, a.Index)
		for _, frame := range [][]byte{begins, bulk} {
			if err := send(frame, 54); err != nil {
				t.Fatal(err)
			}
		}
		if c, err := f.Counters(); err != nil || c[bpf.Begins].Frames != 1 || c[bpf.Bulk].Frames != 1 {
			t.Errorf("%v, %v", c, err)
		}
		var got bpf.Frame
		if !r.Next(&got) || !bytes.Equal(got.Data, begins) {
			t.Errorf("the frame is not in the ring whole: %d bytes", len(got.Data))
		}
	})
}

func TestTCXPutsTheTagBack(t *testing.T) {
	a, b := bpftest.Veth(t)
	f := load(t, bpf.Options{Ring: 1 << 20})
	r, err := f.Ring()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, d := range []struct {
		ifindex   int
		direction bpf.Direction
	}{{b.Index, bpf.Ingress}, {a.Index, bpf.Egress}} {
		attached, err := f.AttachTCX(d.ifindex, d.direction)
		if err != nil {
			t.Fatal(err)
		}
		defer attached.Close()
	}
	send := sender(t, a.Index)
	var got bpf.Frame
	tagged := 0
	for _, c := range bpftest.Frames() {
		if err := send(c.Data, 0); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if !c.Verdict.Passes() {
			continue
		}
		for _, end := range []int{a.Index, b.Index} {
			if !r.Next(&got) {
				t.Fatalf("%s: not in the ring", c.Name)
			}
			if !bytes.Equal(got.Data, c.Data) || got.Length != len(c.Data) || got.Interface != end {
				t.Errorf("%s: %d bytes of %d at %d: %x, want %x at %d", c.Name, len(got.Data), got.Length, got.Interface, got.Data, c.Data, end)
			}
		}
		if c.Data[12] == 0x81 || c.Data[13] == 0xa8 {
			tagged++
		}
		r.Release()
	}
	if tagged == 0 {
		t.Error("no frame had a tag")
	}
}

// Frames of a generator reach a packet socket, and none is counted twice.
func TestGeneratorReachesTheStack(t *testing.T) {
	a, b := bpftest.Veth(t)
	f := load(t, bpf.Options{})
	bpftest.Pass(t, b.Index)
	if err := f.AttachSocket(packetSocket(t, b.Index)); err != nil {
		t.Fatal(err)
	}
	g, err := bpftest.NewGenerator(a.Index, bpftest.TCP(false, 49152, 1688, 1, 1, 0x18, string(make([]byte, 246))), 16)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	const sent = 1 << 16
	if err := g.Send(sent); err != nil {
		t.Fatal(err)
	}
	var c bpf.Counters
	for range 1000 {
		if c, err = f.Counters(); err != nil {
			t.Fatal(err)
		}
		if c.Passed().Frames+c.Filtered().Frames == sent {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if c[bpf.Port].Frames != sent/16 || c[bpf.Bulk].Frames != sent-sent/16 {
		t.Errorf("sent %d: %v", sent, c)
	}
}
