package bpf

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// The verifier of every kernel gives up at a million instructions, and older ones
// find fewer ways to be alike: there must be much room.
func TestVerifierTakesAllPrograms(t *testing.T) {
	const most = 300_000
	for h := range hooks {
		for _, ring := range []int{0, 1 << 16} {
			for _, raw := range []bool{false, true} {
				for _, fragments := range []bool{false, true} {
					if fragments && h != XDP {
						continue
					}
					t.Run(fmt.Sprintf("%v/ring=%d,raw=%v,fragments=%v", h, ring, raw, fragments), func(t *testing.T) {
						f := loadHere(t, Options{Ring: ring, RawIP: raw, Drop: true})
						p, err := f.loadWith(h, 0, fragments)
						if err != nil {
							t.Fatalf("%+v", err)
						}
						defer p.Close()
						info, err := p.Info()
						if err != nil {
							t.Fatal(err)
						}
						n, ok := info.VerifiedInstructions()
						if !ok {
							t.Skip("this kernel does not tell (Linux 5.16)")
						}
						t.Logf("%d instructions looked at", n)
						if n > most {
							t.Errorf("the verifier looked at %d instructions, more than %d", n, most)
						}
					})
				}
			}
		}
	}
}

// Linux 5.10 lacks what later ones have: helpers, but for those that only run
// where XDP has fragments, and all atomic operations but addition without a result.
func TestProgramsKeepToLinux510(t *testing.T) {
	const last = 155 // bpf_redirect_peer
	fragments := map[asm.BuiltinFunc]bool{asm.FnXdpGetBuffLen: true, asm.FnXdpLoadBytes: true}
	spec, err := loadFlowfilter()
	if err != nil {
		t.Fatal(err)
	}
	calls, additions := 0, 0
	for name, p := range spec.Programs {
		for _, ins := range p.Instructions {
			switch {
			case ins.IsBuiltinCall():
				calls++
				if f := asm.BuiltinFunc(ins.Constant); f > last && (!fragments[f] || name != flowfilterProgFlowXdp) {
					t.Errorf("%s calls %v", name, f)
				}
			case ins.OpCode.Class() == asm.StXClass && ins.OpCode.Mode() == asm.AtomicMode:
				additions++
				if ins.OpCode.AtomicOp() != asm.AddAtomic {
					t.Errorf("%s: %v", name, ins)
				}
			}
		}
	}
	if calls == 0 || additions == 0 {
		t.Errorf("%d calls and %d atomic operations: the test sees nothing", calls, additions)
	}
}

// Where XDP has no fragments, a frame is copied by hand.
func TestXDPOfOldKernelsCopiesAllLengths(t *testing.T) {
	f := loadHere(t, Options{Ring: 1 << 20, TCPPorts: []uint16{1688}})
	p, err := f.loadWith(XDP, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	f.programs[XDP] = p
	r, err := f.Ring()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	long := make([]byte, 1700)
	for i := range long {
		long[i] = byte(i*7 + i>>8)
	}
	var got Frame
	for n := range len(long) {
		frame := benchFrame(6, 49152, 1688, string(long[:n]))
		if v, err := f.Judge(XDP, frame); err != nil || v != Port {
			t.Fatalf("%d bytes: %v, %v", len(frame), v, err)
		}
		if !r.Next(&got) {
			t.Fatalf("%d bytes: nothing in the ring", len(frame))
		}
		if want := frame[:min(len(frame), 1536)]; !bytes.Equal(got.Data, want) || got.Length != len(frame) {
			t.Fatalf("%d bytes: got %d of %d", len(frame), len(got.Data), got.Length)
		}
		r.Release()
	}
}
