package bpf_test

import (
	"net/netip"
	"testing"

	"kmswatch/bpf"
	"kmswatch/bpf/bpftest"
)

// load loads a filter for the ports of the table.
func load(t testing.TB, o bpf.Options) *bpf.Filter {
	t.Helper()
	bpftest.NeedRoot(t)
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

// hooks are all, each of which must judge alike.
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

// step is a frame, or something asked of the filter, and what comes of it.
type step struct {
	name  string
	ask   func(*bpf.Filter) error
	frame []byte
	want  bpf.Verdict
}

// flowCase is what happens to the flows of one client.
type flowCase struct {
	name  string
	steps []step
}

// flowCases gives the cases for a client that has a port for itself.
func flowCases(client int) []flowCase {
	const (
		fin = 0x11
		rst = 0x04
		syn = 0x02
		ack = 0x10
	)
	ends := func(proto uint8, server uint16) bpf.Flow {
		return bpf.Flow{
			Proto: proto,
			A:     netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), server),
			B:     netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(client)),
		}
	}
	out := func(port int, flags byte, payload string) []byte {
		return bpftest.TCP(false, client, port, 1000, 2000, flags, payload)
	}
	back := func(port int, flags byte, payload string) []byte {
		return bpftest.TCP(true, port, client, 2000, 1000, flags, payload)
	}
	watch := func(w bpf.Flow) func(*bpf.Filter) error {
		return func(f *bpf.Filter) error { return f.Watch(w) }
	}
	ignore := func(w bpf.Flow) func(*bpf.Filter) error {
		return func(f *bpf.Filter) error { return f.Ignore(w) }
	}
	return []flowCase{
		{"a watched flow passes both ways, and no other", []step{
			{"before", nil, out(7000, ack, "x"), bpf.Bulk},
			{"out", watch(ends(6, 7000)), out(7000, ack, "x"), bpf.Watched},
			{"back", nil, back(7000, ack, ""), bpf.Watched},
			{"its SYN", nil, out(7000, syn, ""), bpf.Watched},
			{"another port", nil, out(7001, ack, "x"), bpf.Bulk},
			{"a port of interest", watch(ends(6, 445)), out(445, ack, "x"), bpf.Port},
		}},
		{"an ignored flow is let go but for its ends", []step{
			{"before", nil, out(445, ack, "x"), bpf.Port},
			{"out", ignore(ends(6, 445)), out(445, ack, "x"), bpf.Ignored},
			{"back", nil, back(445, ack, "x"), bpf.Ignored},
			{"FIN", nil, back(445, fin, ""), bpf.Ends},
			{"RST", nil, out(445, rst, ""), bpf.Ends},
			{"still", nil, out(445, ack, "x"), bpf.Ignored},
			{"SYN-ACK", nil, back(445, syn|ack, ""), bpf.Ends},
			{"still, though answered", nil, out(445, ack, "x"), bpf.Ignored},
			{"SYN", nil, out(445, syn, ""), bpf.Ends},
			{"anew", nil, out(445, ack, "x"), bpf.Port},
		}},
		{"who asks last is heard", []step{
			{"ignored", ignore(ends(6, 7000)), out(7000, ack, bpftest.Bind()), bpf.Ignored},
			{"watched", watch(ends(6, 7000)), out(7000, ack, "x"), bpf.Watched},
		}},
		{"what begins like DCE-RPC is watched", []step{
			{"before", nil, out(7000, ack, "x"), bpf.Bulk},
			{"bind", nil, out(7000, ack, bpftest.Bind()), bpf.Begins},
			{"on", nil, out(7000, ack, "x"), bpf.Watched},
			{"the answer", nil, back(7000, ack, "y"), bpf.Watched},
			{"ACK", nil, back(7000, ack, ""), bpf.Watched},
			{"ignored", ignore(ends(6, 7000)), out(7000, ack, "x"), bpf.Ignored},
		}},
		{"a datagram is of a flow too", []step{
			{"before", nil, bpftest.UDP(client, 7000, "x"), bpf.Bulk},
			{"watched", watch(ends(17, 7000)), bpftest.UDP(client, 7000, "x"), bpf.Watched},
			{"TCP of the same ends", nil, out(7000, ack, "x"), bpf.Bulk},
			{"ignored", ignore(ends(17, 53)), bpftest.UDP(client, 53, "x"), bpf.Ignored},
		}},
		{"a port learnt later", []step{
			{"before", nil, out(7777, ack, "x"), bpf.Bulk},
			{"from it", func(f *bpf.Filter) error { return f.WatchPort(6, 7777) }, back(7777, ack, "x"), bpf.Port},
			{"in UDP", nil, bpftest.UDP(client, 7777, "x"), bpf.Bulk},
			{"in UDP too", func(f *bpf.Filter) error { return f.WatchPort(17, 7777) }, bpftest.UDP(client, 7777, "x"), bpf.Port},
		}},
		{"what comes before the first byte of a flow hides nothing", []step{
			{"SYN", nil, bpftest.TCP(false, client, 7000, 99, 0, syn, ""), bpf.Handshake},
			{"SYN-ACK", nil, bpftest.TCP(true, 7000, client, 499, 100, syn|ack, ""), bpf.Handshake},
			{"the second segment", nil, bpftest.TCP(false, client, 7000, 101, 500, ack, "piece"), bpf.Begins},
			{"the first", nil, bpftest.TCP(false, client, 7000, 100, 500, ack, "\x05"), bpf.Watched},
		}},
		{"what comes in order begins nothing", []step{
			{"SYN", nil, bpftest.TCP(false, client, 7000, 99, 0, syn, ""), bpf.Handshake},
			{"SYN-ACK", nil, bpftest.TCP(true, 7000, client, 499, 100, syn|ack, ""), bpf.Handshake},
			{"ACK", nil, bpftest.TCP(false, client, 7000, 100, 500, ack, ""), bpf.Bulk},
			{"the first", nil, bpftest.TCP(false, client, 7000, 100, 500, ack, "GET /"), bpf.Bulk},
			{"the answer", nil, bpftest.TCP(true, 7000, client, 500, 105, ack, "HTTP"), bpf.Bulk},
			{"far ahead", nil, bpftest.TCP(true, 7000, client, 5000, 105, ack, "HTTP"), bpf.Bulk},
		}},
		{"a SYN-ACK that answers another SYN", []step{
			{"SYN", nil, bpftest.TCP(false, client, 7000, 99, 0, syn, ""), bpf.Handshake},
			{"SYN-ACK", nil, bpftest.TCP(true, 7000, client, 499, 200, syn|ack, ""), bpf.Handshake},
			{"a segment", nil, bpftest.TCP(false, client, 7000, 105, 500, ack, "piece"), bpf.Bulk},
		}},
	}
}

func TestFlows(t *testing.T) {
	for _, h := range hooks {
		f := load(t, bpf.Options{Seed: 42})
		for i := range flowCases(0) {
			c := flowCases(50_000 + i)[i]
			t.Run(h.String()+"/"+c.name, func(t *testing.T) {
				for _, s := range c.steps {
					if s.ask != nil {
						if err := s.ask(f); err != nil {
							t.Fatalf("%s: %v", s.name, err)
						}
					}
					got, err := f.Judge(h, s.frame)
					if err != nil {
						t.Fatalf("%s: %v", s.name, err)
					}
					if got != s.want {
						t.Fatalf("%s: %v, want %v", s.name, got, s.want)
					}
				}
			})
		}
	}
}

func TestCountersCountFramesAndBytes(t *testing.T) {
	for _, h := range hooks {
		f := load(t, bpf.Options{})
		var want bpf.Counters
		for _, c := range bpftest.Frames() {
			v, err := f.Judge(h, c.Data)
			if err != nil {
				t.Fatal(err)
			}
			want[v].Frames++
			want[v].Bytes += uint64(len(c.Data))
		}
		got, err := f.Counters()
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%v: %v, want %v", h, got, want)
		}
		if all := uint64(len(bpftest.Frames())); got.Passed().Frames+got.Filtered().Frames != all {
			t.Errorf("%v: passed %d, filtered %d of %d", h, got.Passed().Frames, got.Filtered().Frames, all)
		}
	}
}

func TestFlowsThatAreNone(t *testing.T) {
	f := load(t, bpf.Options{})
	v4, v6 := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("[2001:db8::1]:1")
	for _, w := range []bpf.Flow{{}, {Proto: 6, A: v4}, {Proto: 1, A: v4, B: v4}, {Proto: 6, A: v4, B: v6}} {
		if err := f.Watch(w); err == nil {
			t.Errorf("watch %v: no error", w)
		}
		if err := f.Ignore(w); err == nil {
			t.Errorf("ignore %v: no error", w)
		}
	}
	if err := f.WatchPort(1, 80); err == nil {
		t.Error("watch a port of ICMP: no error")
	}
}

func TestRingsThatCannotBe(t *testing.T) {
	bpftest.NeedRoot(t)
	for _, n := range []int{-1, 1, 4095, 12288, 1<<30 + 4096} {
		f, err := bpf.Load(bpf.Options{Ring: n})
		if err == nil {
			f.Close()
			t.Errorf("a ring of %d bytes: no error", n)
		}
	}
}
