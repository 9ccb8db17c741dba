package dcerpc

import (
	"testing"
	"unsafe"
)

// silentHandler is a handler that costs nothing.
type silentHandler struct{ calls int }

func (*silentHandler) PDU(int, *PDU, Syntax, bool) {}
func (*silentHandler) Verifier(int, *PDU)          {}
func (*silentHandler) Negotiation(*Negotiation)    {}
func (*silentHandler) Request(*Call)               {}
func (h *silentHandler) Call(*Call)                { h.calls++ }
func (*silentHandler) Anomaly(int, Anomaly, int)   { panic("anomaly") }

// The fixtures stand for what most DCE/RPC over TCP is: one connection with a
// bind and calls of one fragment each way, some hundred bytes of stub.
var (
	benchBind     = windowsBind
	benchAck      = le.bindAck(2, reject, accept(NDR64), ackBTF)
	benchRequest  = le.request(whole, 3, 1, 0, string(make([]byte, 268)))
	benchResponse = le.response(whole, 3, 1, string(make([]byte, 200)))
)

func benchAssoc(cfg *Config, h Handler) *Assoc {
	a := new(Assoc)
	a.Reset(cfg)
	a.Data(0, benchBind, true, Point{}, h)
	a.Data(1, benchAck, true, Point{}, h)
	return a
}

func pair(a *Assoc, h Handler) {
	a.Data(0, benchRequest, true, Point{1, 2, 3}, h)
	a.Data(1, benchResponse, true, Point{1, 3, 4}, h)
}

func connection(a *Assoc, cfg *Config, h Handler) {
	a.Reset(cfg)
	a.Data(0, benchBind, true, Point{}, h)
	a.Data(1, benchAck, true, Point{}, h)
	pair(a, h)
	a.End(Point{}, true, h)
}

func wantKMS(iface UUID, _ uint16) int {
	if iface == KMS {
		return 512
	}
	return 0
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	h := new(silentHandler)
	for name, cfg := range map[string]*Config{
		"headers": {},
		"stubs":   {Stubs: wantKMS},
		"PDUs":    {Messages: true},
	} {
		a := benchAssoc(cfg, h)
		pair(a, h)
		if n := testing.AllocsPerRun(100, func() { pair(a, h) }); n != 0 {
			t.Errorf("%s: %v allocations a call", name, n)
		}
		connection(a, cfg, h)
		connection(a, cfg, h)
		if n := testing.AllocsPerRun(100, func() { connection(a, cfg, h) }); n != 0 {
			t.Errorf("%s: %v allocations a connection", name, n)
		}
	}
}

func TestAssocIsSmallBeforeItsFirstPDU(t *testing.T) {
	if n := unsafe.Sizeof(Assoc{}); n > 128 {
		t.Errorf("%d bytes", n)
	}
	if n := unsafe.Sizeof(state{}); n > 2048 {
		t.Errorf("and %d after it", n)
	}
}

func BenchmarkCall(b *testing.B) {
	for _, bb := range []struct {
		name string
		cfg  *Config
	}{{"headers", &Config{}}, {"stubs", &Config{Stubs: wantKMS}}, {"PDUs", &Config{Messages: true}}} {
		b.Run(bb.name, func(b *testing.B) {
			h := new(silentHandler)
			a := benchAssoc(bb.cfg, h)
			b.ReportAllocs()
			b.SetBytes(int64(len(benchRequest) + len(benchResponse)))
			for b.Loop() {
				pair(a, h)
			}
		})
	}
}

func BenchmarkConnection(b *testing.B) {
	h, cfg, a := new(silentHandler), &Config{Stubs: wantKMS}, new(Assoc)
	b.ReportAllocs()
	b.SetBytes(int64(len(benchBind) + len(benchAck) + len(benchRequest) + len(benchResponse)))
	for b.Loop() {
		connection(a, cfg, h)
	}
}

// BenchmarkManyWaiting is the worst case of pairing: the table of calls is full
// and the answer is that of the oldest.
func BenchmarkManyWaiting(b *testing.B) {
	h, a := new(silentHandler), new(Assoc)
	a.Reset(&Config{})
	for i := range 255 {
		a.Data(0, le.request(whole, uint32(i+100), 0, 1, ""), true, Point{}, h)
	}
	b.ReportAllocs()
	for b.Loop() {
		pair(a, h)
	}
}

var sink int

func BenchmarkProbe(b *testing.B) {
	http := []byte("GET / HTTP/1.1\r\nHost: example.test\r\n")
	b.Run("other", func(b *testing.B) {
		for b.Loop() {
			sink += int(Probe(http))
		}
	})
	b.Run("match", func(b *testing.B) {
		for b.Loop() {
			sink += int(Probe(windowsBind))
		}
	})
}
