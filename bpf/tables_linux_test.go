package bpf

import (
	"net/netip"
	"os"
	"testing"
)

func loadHere(t *testing.T, o Options) *Filter {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("loading BPF programs needs root, which CI must give")
		}
		t.Skip("loading BPF programs needs root")
	}
	f, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// numbered is one of many flows.
func numbered(i int) Flow {
	return Flow{
		Proto: protoTCP,
		A:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 49152),
		B:     netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), 50000),
	}
}

func (f *Filter) hinted(t *testing.T, w Flow) bool {
	t.Helper()
	k, err := keyOf(w)
	if err != nil {
		t.Fatal(err)
	}
	word, shift := place(f.tables.hash(&k))
	return f.tables.Hints[word]>>shift&15 != 0
}

func (f *Filter) knows(t *testing.T, w Flow) bool {
	t.Helper()
	k, err := keyOf(w)
	if err != nil {
		t.Fatal(err)
	}
	var action uint32
	return f.maps[flowfilterMapFlows].Lookup(&k, &action) == nil
}

func hints(f *Filter) (n int) {
	for _, w := range f.tables.Hints {
		for ; w != 0; w >>= 4 {
			if w&15 != 0 {
				n++
			}
		}
	}
	return n
}

func TestSweepKeepsTheHintsOfFlowsThatAreKnown(t *testing.T) {
	f := loadHere(t, Options{Flows: 1024, Seed: 7})
	const many = 20_000
	for i := range many {
		if err := f.Watch(numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	before := hints(f)
	if err := f.sweep(); err != nil {
		t.Fatal(err)
	}
	known := 0
	for i := range many {
		if f.knows(t, numbered(i)) {
			known++
			if !f.hinted(t, numbered(i)) {
				t.Errorf("flow %d is known but has no hint", i)
			}
		}
	}
	// Counters that were full are cleared by a second sweep.
	if err := f.sweep(); err != nil {
		t.Fatal(err)
	}
	if after := hints(f); known == 0 || after > known || before < many/2 {
		t.Errorf("%d hints of %d flows, after the sweeps %d of %d", before, many, after, known)
	}
}

func TestSweepSparesWhatWasEnteredMeanwhile(t *testing.T) {
	f := loadHere(t, Options{})
	w := numbered(1)
	k, err := keyOf(w)
	if err != nil {
		t.Fatal(err)
	}
	f.tables.hint(&k) // stale: no such flow
	before := f.tables.snapshot()
	f.tables.hint(&k) // of the flow that comes now
	f.tables.clear(before, new(hintSet))
	if !f.hinted(t, w) {
		t.Error("the hint of a new flow was cleared")
	}
	f.tables.clear(f.tables.snapshot(), new(hintSet))
	if f.hinted(t, w) {
		t.Error("a stale hint was kept")
	}
	for range 100 {
		f.tables.hint(&k)
	}
	full := f.tables.snapshot()
	f.tables.clear(full, new(hintSet))
	if !f.hinted(t, w) {
		t.Error("a full counter, which cannot show what came meanwhile, was cleared")
	}
	f.tables.clear(f.tables.snapshot(), new(hintSet))
	if f.hinted(t, w) {
		t.Error("a stale counter that had been full was kept")
	}
}

// What the kernel enters lies where this side looks for it.
func TestKernelAndGoNameFlowsAlike(t *testing.T) {
	bind := "\x05\x00\x0b\x03\x10\x00\x00\x00\x48\x00\x00\x00\x01\x00\x00\x00"
	v4 := benchFrame(6, 49152, 50000, bind)
	v6 := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(v4) - 34), 6, 64},
		append([]byte("\x20\x01\x0d\xb8\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x09"+"\x20\x01\x0d\xb8\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01"), v4[34:]...)...)
	for _, c := range []struct {
		frame []byte
		a, b  string
	}{
		{v4, "10.0.0.1:49152", "10.0.0.2:50000"},
		{v6, "[2001:db8:0:1::9]:49152", "[2001:db8:0:2::1]:50000"},
	} {
		for h := range hooks {
			f := loadHere(t, Options{Seed: 0x1234567890abcdef})
			if v, err := f.Judge(h, c.frame); err != nil || v != Begins {
				t.Fatalf("%s, %v: %v, %v", c.a, h, v, err)
			}
			a, b := netip.MustParseAddrPort(c.a), netip.MustParseAddrPort(c.b)
			for _, w := range []Flow{{protoTCP, a, b}, {protoTCP, b, a}} {
				if !f.knows(t, w) || !f.hinted(t, w) {
					t.Errorf("%s, %v: known %v, hinted %v", c.a, h, f.knows(t, w), f.hinted(t, w))
				}
			}
			if n := hints(f); n != 1 {
				t.Errorf("%s, %v: %d hints", c.a, h, n)
			}
		}
	}
}
