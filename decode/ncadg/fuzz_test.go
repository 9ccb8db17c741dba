package ncadg

import (
	"testing"

	"kmswatch/decode/dcerpc"
)

// FuzzPDU holds what Decode gives against the datagram: slices lie in it, and
// what Probe takes for whole has no anomaly of its lengths.
func FuzzPDU(f *testing.F) {
	sealed := ask(1, "stub")
	sealed.auth, sealed.tail = 10, "\x00\x00\x00\x00\x06\x00\x00\x00token"
	for _, d := range []dg{ask(1, "x"), answer(2, "y").part(3, true, "zz"), sealed} {
		f.Add(d.bytes())
		d.big = true
		f.Add(d.bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p, again PDU
		a := p.Decode(b)
		if again.Decode(b); again.Header != p.Header || again.anomaly != a {
			t.Fatal("decoded twice, and the two differ")
		}
		if len(p.Stub)+len(p.Auth.Value)+HeaderSize > max(len(b), HeaderSize) {
			t.Fatal("more bytes than there are")
		}
		if Probe(b) == dcerpc.Match && (a == ShortHeader || a == BadVersion || a == BadType || a == BadDataRep || a == TrailingBytes || a == ShortBody && len(p.Stub) != 0) {
			t.Fatalf("it passes as a datagram but has %v", a)
		}
		if (a == 0) != (p.anomaly == 0) || a >= anomalies {
			t.Fatal("anomaly")
		}
	})
}

// FuzzConv makes a conversation of the input, six bytes a datagram. It keeps
// its bounds, tells the same again when it is reset, and leaves nothing behind.
func FuzzConv(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 9, 1, 2, 0, 0, 0, 9})
	f.Add([]byte{0, 0, 4, 0, 1, 9, 0, 0, 6, 0, 2, 9, 0, 0, 4, 0, 0, 9, 1, 2, 6, 0, 1, 3, 1, 2, 4, 0, 0, 4})
	f.Add([]byte{1, 2, 4, 0, 0, 9, 0, 0, 0, 0, 0, 9, 1, 2, 6, 0, 1, 9, 1, 3, 0, 0, 0, 4, 0, 0, 16, 1, 0, 200})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 3000 {
			return
		}
		cfg := &dcerpc.Config{Messages: true, MaxCalls: 5, MaxStub: 64, Stubs: func(_ dcerpc.UUID, op uint16) int { return 40 * int(op) }}
		var v Conv
		run := func() string {
			var r record
			v.Reset(cfg)
			for i := 0; i+6 <= len(in); i += 6 {
				x := in[i : i+6]
				d := dg{ptype: dcerpc.TypeRequest + dcerpc.PType(x[1]%12), flags1: x[2], iface: pnioDevice, act: act1, seq: uint32(x[3] & 7), opnum: uint16(x[3] >> 7), frag: uint16(x[4])}
				if x[3]&8 != 0 {
					d.act = act2
				}
				if x[3]&16 != 0 {
					d.iface = manager
				}
				if x[0]&2 != 0 {
					d.auth, d.tail = 10, "1234567\x05\x06\x06\x06\x06\x06\x06\x06\x06\x06"
				}
				d.opnum++
				d.body = string(make([]byte, x[5]))
				b := d.bytes()
				at := dcerpc.Point{Frame: uint64(i), Time: int64(i) * 1e9}
				if x[0]&4 != 0 {
					v.Cut(int(x[0]), b[:len(b)-int(x[5])/2], at, &r)
				} else {
					v.Datagram(int(x[0]), b, at, &r)
				}
				bounded(t, &v)
			}
			v.End(dcerpc.Point{}, true, &r)
			if v.s != nil && (len(v.s.keys) != 0 || v.s.stubs != 0 || v.Excess() > 5*2000) {
				t.Fatal("something waits after the end")
			}
			return r.take()
		}
		if first, again := run(), run(); first != again {
			t.Fatalf("first:\n%s\nagain:\n%s", first, again)
		}
	})
}

func bounded(t *testing.T, v *Conv) {
	s := v.s
	if s == nil {
		return
	}
	if len(s.keys) > v.cfg.MaxCalls || len(s.keys)+len(s.free) != len(s.calls) {
		t.Fatalf("%d calls in %d slots, %d free", len(s.keys), len(s.calls), len(s.free))
	}
	held := 0
	for _, k := range s.keys {
		c := s.calls[k.slot]
		for _, a := range []*assembly{&c.request, &c.reply} {
			n := len(a.buf)
			for _, p := range a.parts[:a.opened] {
				n += len(p.data)
			}
			if n != a.held || len(a.buf) > c.keep {
				t.Fatalf("%d bytes are held, %d counted, %d wanted", n, a.held, c.keep)
			}
			held += n
		}
	}
	if held != s.stubs || held > 4*v.cfg.MaxStub {
		t.Fatalf("%d stub bytes are kept, %d counted", held, s.stubs)
	}
}
