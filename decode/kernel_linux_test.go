package decode

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"kmswatch/bpf"
	"kmswatch/bpf/bpftest"
	"kmswatch/capture"
	"kmswatch/decode/packet"
)

// kernel is the flow filter beside an Engine that is given the same frames.
type kernel struct {
	*bpf.Filter
	e      *Engine
	number uint64
}

func newKernel(t *testing.T) *kernel {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("loading BPF programs needs root, which CI must give")
		}
		t.Skip("loading BPF programs needs root")
	}
	f, err := bpf.Load(bpf.Options{TCPPorts: bpftest.TCPPorts, UDPPorts: bpftest.UDPPorts})
	if err != nil {
		t.Fatal(err)
	}
	k := &kernel{Filter: f, e: New(Config{}, discard{})}
	t.Cleanup(func() {
		k.e.Close()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

type discard struct{}

func (discard) Handle(Event) {}

// wanted feeds a frame to the Engine and tells whether it did anything with it:
// decoded its payload, kept it as a fragment, told what is wrong with it, or noted
// its handshake.
func (k *kernel) wanted(frame []byte) bool {
	before := k.e.Stats()
	// What frames before left in hashed bitmaps may not count: other flows have the same hash.
	k.e.flows, k.e.shakes.fresh = flowSet{}, [len(k.e.shakes.fresh)]uint64{}
	k.e.pkt = packet.Packet{}
	k.number++
	k.e.Feed(&capture.Frame{
		Data: bytes.Clone(frame), Length: len(frame), Link: capture.LinkEthernet,
		Number: k.number, Time: int64(k.number),
	})
	after := k.e.Stats()
	place := &k.e.shakes.places[flowHash(&k.e.pkt)%uint64(len(k.e.shakes.places))]
	noted := *place != handshake{}
	*place = handshake{}
	return after.Interest != before.Interest || after.Packet.Fragments != before.Packet.Fragments ||
		after.Packet.Anomalies != before.Packet.Anomalies || noted
}

func TestKernelAndDecoderAgreeOnTheTable(t *testing.T) {
	for _, h := range [...]bpf.Hook{bpf.Socket, bpf.XDP, bpf.TCX} {
		t.Run(h.String(), func(t *testing.T) {
			k := newKernel(t)
			for _, c := range bpftest.Frames() {
				v, err := k.Judge(h, c.Data)
				if err != nil {
					t.Fatalf("%s: %v", c.Name, err)
				}
				wanted := k.wanted(c.Data)
				if surplus := v.Passes() && !wanted; surplus != c.Surplus || wanted && !v.Passes() {
					t.Errorf("%s: the kernel says %v, the decoder wants it: %v", c.Name, v, wanted)
				}
			}
		})
	}
}

// Whatever a frame is, what the decoder wants passes the kernel.
func TestKernelLetsPassWhatTheDecoderWants(t *testing.T) {
	table := bpftest.Frames()
	for _, h := range [...]bpf.Hook{bpf.Socket, bpf.XDP, bpf.TCX} {
		t.Run(h.String(), func(t *testing.T) {
			k := newKernel(t)
			r := rand.New(rand.NewPCG(1, 2))
			check := func(name string, b []byte) {
				v, err := k.Judge(h, b)
				if errors.Is(err, syscall.EINVAL) && (len(b) < 14 || h != bpf.XDP && len(b) < 14+40) {
					return // BPF_PROG_TEST_RUN takes no less
				}
				if err != nil {
					t.Fatalf("%s: %x: %v", name, b, err)
				}
				if k.wanted(b) && !v.Passes() {
					t.Errorf("%s: %x: %v, but the decoder wants it", name, b, v)
				}
			}
			for _, c := range table {
				for n := range c.Data {
					check(c.Name+", cut", c.Data[:n])
				}
			}
			for range 10_000 {
				c := table[r.IntN(len(table))]
				b := bytes.Clone(c.Data)
				for range 1 + r.IntN(4) {
					b[r.IntN(len(b))] = byte(r.Uint32() >> (r.Uint32() & 7))
				}
				check(c.Name+", changed", b)
			}
			for range 2_500 {
				b := make([]byte, 14+r.IntN(100))
				for i := range b {
					b[i] = byte(r.Uint32())
				}
				copy(b[12:], [][]byte{{8, 0}, {0x86, 0xdd}, {0x81, 0}}[r.IntN(3)])
				check("random", b)
			}
		})
	}
}

// The kernel remembers of handshakes and flows what the decoder remembers.
func TestKernelAndDecoderRememberAlike(t *testing.T) {
	payloads := []string{"", "x", "y", "GET / HTTP/1.1", "HTTP/1.1 200", bpftest.Bind(), "\x05", "\x00\x00\x00\x44\xfeSMB\x40\x00"}
	flags := []byte{0x02, 0x12, 0x10, 0x10, 0x18, 0x18, 0x11, 0x04}
	for _, h := range [...]bpf.Hook{bpf.Socket, bpf.XDP, bpf.TCX} {
		t.Run(h.String(), func(t *testing.T) {
			k := newKernel(t)
			r := rand.New(rand.NewPCG(3, 4))
			interest, surplus := 0, 0
			for i := range 6000 {
				// Connections of eight frames: most begin with a handshake, and what
				// follows has small numbers, so that it comes in order, ahead and anew.
				client, step := 49152+i/8, i%8
				back := r.IntN(2) == 0
				seq, ack := uint32(100+r.IntN(4)), uint32(100+r.IntN(4))
				flag := flags[r.IntN(len(flags))]
				payload := payloads[r.IntN(len(payloads))]
				if step < 2 && r.IntN(8) != 0 {
					back, flag, seq, ack = step == 1, [2]byte{0x02, 0x12}[step], 99, 100
				}
				if flag&2 != 0 {
					payload = ""
				}
				src, dst := client, 7000
				if back {
					src, dst = dst, src
				}
				frame := bpftest.TCP(back, src, dst, seq, ack, flag, payload)
				v, err := k.Judge(h, frame)
				if err != nil {
					t.Fatal(err)
				}
				before := k.e.Stats().Interest
				k.number++
				k.e.Feed(&capture.Frame{Data: frame, Length: len(frame), Link: capture.LinkEthernet, Number: k.number, Time: int64(k.number)})
				wanted := k.e.Stats().Interest != before
				switch {
				case wanted && !v.Passes():
					t.Fatalf("frame %d: %x: %v, but the decoder wants it", i, frame, v)
				case wanted:
					interest++
				case v.Passes() && v != bpf.Handshake:
					surplus++
				}
			}
			if interest < 1000 || surplus != 0 {
				t.Errorf("the decoder wants %d frames, %d pass beside", interest, surplus)
			}
		})
	}
}
