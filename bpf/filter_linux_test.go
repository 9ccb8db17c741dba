package bpf_test

import (
	"os"
	"testing"

	"kmswatch/bpf"
	"kmswatch/bpf/bpftest"
)

// load loads a filter for the ports of the table.
func load(t testing.TB, o bpf.Options) *bpf.Filter {
	t.Helper()
	needRoot(t)
	o.TCPPorts, o.UDPPorts = bpftest.TCPPorts, bpftest.UDPPorts
	f, err := bpf.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// needRoot skips what only root may do.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("loading BPF programs needs root, which CI must give")
	}
	t.Skip("loading BPF programs needs root")
}

var hooks = []bpf.Hook{bpf.Socket, bpf.XDP, bpf.TCX}

func TestVerdictsOfTheTable(t *testing.T) {
	for _, h := range hooks {
		t.Run(h.String(), func(t *testing.T) {
			f := load(t, bpf.Options{})
			for _, c := range bpftest.Frames() {
				got, err := f.Judge(h, c.Data)
				if err != nil {
					t.Fatalf("%s: %v", c.Name, err)
				}
				if got != c.Verdict {
					t.Errorf("%s: %v, want %v", c.Name, got, c.Verdict)
				}
			}
		})
	}
}
