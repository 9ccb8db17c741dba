package dcerpc

import (
	"strings"
	"testing"
)

// FuzzAssoc gives two streams whole, byte by byte and in cuts of any size. The
// handler is told the same in each way, and what the association keeps stays
// within its bounds.
func FuzzAssoc(f *testing.F) {
	long := strings.Repeat("x", 60)
	f.Add(join(windowsBind, benchRequest), join(benchAck, benchResponse), []byte{3, 50, 7})
	f.Add(join(le.bind(1, offer(0, samrSyntax, NDR32)), le.request(FlagFirst, 2, 0, 7, long), le.request(FlagFirst, 2, 0, 7, long), le.request(FlagLast, 2, 1, 7, "y")),
		join(le.bindAck(1, accept(NDR32)), le.response(FlagFirst, 2, 0, "z"), le.response(FlagLast, 2, 0, "z"), le.fault(whole, 9, 0, 5)), []byte{1})
	f.Add(join(be.alter(1, offer(0, samrSyntax, NDR32)), be.bind(2, offer(0, svcSyntax)), le.request(0, 2, 0, 7, "")),
		join(le.alterResp(1, accept(NDR32)), le.bindNak(2, 1), []byte("HTTP/1.1 200 OK")), []byte{200, 1, 16})
	var client, server []byte
	for _, b := range capturedPDUs(f) {
		if c, _ := PType(b[2]).FromClient(); c {
			client = append(client, b...)
		} else {
			server = append(server, b...)
		}
	}
	f.Add(client, server, []byte{255, 13})
	f.Fuzz(func(t *testing.T, client, server, cuts []byte) {
		if len(client)+len(server) > 1<<16 {
			return
		}
		cfg := &Config{Messages: true, MaxCalls: 5, MaxContexts: 6, MaxStub: 64, Stubs: func(u UUID, n uint16) int { return int(n) + int(u[0]) }}
		run := func(size func() int) string {
			var a Assoc
			var r record
			a.Reset(cfg)
			feed(&a, 0, client, size, &r)
			bounded(t, &a)
			feed(&a, 1, server, size, &r)
			bounded(t, &a)
			feed(&a, 0, client, size, &r)
			bounded(t, &a)
			a.End(Point{}, true, &r)
			if a.s != nil && (len(a.s.keys) != 0 || len(a.s.pending) != 0 || a.s.stubs != 0) {
				t.Fatal("something waits after the end")
			}
			return r.take()
		}
		want := run(func() int { return 1 << 20 })
		if got := run(func() int { return 1 }); got != want {
			t.Fatalf("whole:\n%s\nbyte by byte:\n%s", want, got)
		}
		i := 0
		if got := run(func() int {
			if len(cuts) == 0 {
				return 11
			}
			i++
			return int(cuts[i%len(cuts)])
		}); got != want {
			t.Fatalf("whole:\n%s\ncut:\n%s", want, got)
		}
	})
}

func bounded(t *testing.T, a *Assoc) {
	s := a.s
	if s == nil {
		return
	}
	kept := 0
	for _, k := range s.keys {
		kept += len(s.calls[k.slot].request) + len(s.calls[k.slot].reply)
	}
	if len(s.keys) > a.cfg.MaxCalls || len(s.calls) > a.cfg.MaxCalls || len(s.keys)+len(s.free) != len(s.calls) {
		t.Fatalf("%d calls in %d slots, %d free", len(s.keys), len(s.calls), len(s.free))
	}
	if len(s.contexts) > a.cfg.MaxContexts || len(s.pending) > maxPending {
		t.Fatalf("%d contexts, %d negotiations", len(s.contexts), len(s.pending))
	}
	if kept != s.stubs || kept > 4*a.cfg.MaxStub {
		t.Fatalf("%d stub bytes are kept, %d counted", kept, s.stubs)
	}
}
