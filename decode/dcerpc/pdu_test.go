package dcerpc

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func decode(t *testing.T, b []byte) *PDU {
	t.Helper()
	p := new(PDU)
	if a := p.Decode(b); a != 0 {
		t.Fatalf("%v in %x", a, b)
	}
	return p
}

func TestDecodeBindOfWindows(t *testing.T) {
	p := decode(t, windowsBind)
	if p.MaxXmit != 5840 || p.MaxRecv != 5840 || p.Flags != FlagFirst|FlagLast|FlagConcMpx || len(p.Contexts) != 3 {
		t.Fatalf("%+v", p)
	}
	for i, c := range p.Contexts {
		if c.ID != uint16(i) || c.Abstract != kmsSyntax || len(c.Transfer) != 1 || c.Answered {
			t.Errorf("context %d: %+v", i, c)
		}
	}
	if p.Contexts[0].Transfer[0] != NDR32 || p.Contexts[1].Transfer[0] != NDR64 {
		t.Error("transfer syntaxes")
	}
	if bits, ok := p.Contexts[2].Transfer[0].Features(); !ok || bits != 3 {
		t.Errorf("trap 4: features are %#x, %v", bits, ok)
	}
}

func TestTrap01AnyNumberOfTransferSyntaxes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 255} {
		var many []Syntax
		for i := range n {
			many = append(many, Syntax{samr, uint16(i), 9})
		}
		p := new(PDU)
		a := p.Decode(le.bind(1, offer(3, kmsSyntax, many...), offer(4, svcSyntax, NDR32)))
		if n == 0 && a != NoTransferSyntax || n != 0 && a != 0 {
			t.Errorf("%d: %v (trap 2: none is flagged)", n, a)
		}
		if len(p.Contexts) != 2 || len(p.Contexts[0].Transfer) != n ||
			p.Contexts[1].Abstract != svcSyntax || p.Contexts[1].Transfer[0] != NDR32 {
			t.Fatalf("%d: %+v", n, p.Contexts)
		}
		for i, s := range p.Contexts[0].Transfer {
			if s != many[i] {
				t.Fatalf("%d: syntax %d is %+v", n, i, s)
			}
		}
	}
}

func TestTrap12BigEndianThroughout(t *testing.T) {
	// Interface version 1.2 is 00 02 00 01 in big-endian: the major version is
	// the low half.
	s := Syntax{samr, 1, 2}
	p := decode(t, be.bind(9, offer(0x0102, s, NDR32)))
	if c := p.Contexts[0]; c.ID != 0x0102 || c.Abstract != s || c.Transfer[0] != NDR32 {
		t.Errorf("bind: %+v", c)
	}
	p = decode(t, be.bindAck(9, accept(NDR32), verdict{2, 1, Syntax{}}))
	if p.Group != 0x1234 || string(p.Secondary) != "1688" || p.Contexts[0].Accepted != NDR32 ||
		p.Contexts[1].Result != ProviderRejection || p.Contexts[1].Reason != 1 {
		t.Errorf("bind_ack: %+v", p)
	}
	p = decode(t, be.request(whole, 9, 0x0102, 0x0304, "ab"))
	if p.ContextID != 0x0102 || p.Opnum != 0x0304 || p.AllocHint != 2 || string(p.Stub) != "ab" {
		t.Errorf("request: %+v", p)
	}
	p = decode(t, be.fault(whole, 9, 1, 0x1c010003))
	if p.Status != 0x1c010003 {
		t.Errorf("fault: %#x", p.Status)
	}
	p = decode(t, be.bindNak(9, 4))
	if p.NakReason != 4 {
		t.Errorf("bind_nak: %d", p.NakReason)
	}
}

func TestDecodeAnswers(t *testing.T) {
	for _, addr := range []string{"", "\x00", "1688\x00", "135\x00", "\\PIPE\\lsass\x00", "no NUL"} {
		p := decode(t, le.verdicts(TypeBindAck, 2, addr, accept(NDR64), reject, ackBTF))
		if string(p.Secondary) != strings.TrimSuffix(addr, "\x00") || len(p.Contexts) != 3 ||
			p.Contexts[0].Accepted != NDR64 || p.Contexts[2].Result != NegotiateAck || p.Contexts[2].Reason != 3 {
			t.Errorf("%q: %+v", addr, p)
		}
	}
}

func TestTrap31ObjectShiftsTheStub(t *testing.T) {
	for _, e := range []enc{le, be} {
		u := samr
		obj := e.syntax(nil, Syntax{UUID: u})[:16]
		p := decode(t, e.request(whole|FlagObject, 1, 0, 5, string(obj)+"stub"))
		if !p.HasObject || p.Object != u || string(p.Stub) != "stub" || p.Opnum != 5 {
			t.Errorf("%+v", p)
		}
	}
	p := new(PDU)
	if a := p.Decode(le.request(whole|FlagObject, 1, 0, 5, "too short")); a != ShortBody {
		t.Errorf("an object that does not fit: %v", a)
	}
}

func TestSecurityTrailer(t *testing.T) {
	v := &verifier{AuthNTLM, LevelIntegrity, 2, 79231, "0123456789abcdef"}
	for name, b := range map[string][]byte{
		"request":  le.requestAuth(whole, 3, 0, 1, "stub12", v),
		"response": le.pdu(TypeResponse, whole, 3, []byte("\x06\x00\x00\x00\x00\x00\x00\x00stub12"), v),
	} {
		p := decode(t, b)
		if a := p.Auth; !a.Present || a.Type != AuthNTLM || a.Level != LevelIntegrity || a.PadLength != 2 || a.ContextID != 79231 || string(a.Value) != v.value {
			t.Errorf("%s: %+v", name, a)
		}
		if string(p.Stub) != "stub12" {
			t.Errorf("%s: stub %q", name, p.Stub)
		}
	}
	// A bind with a verifier: the contexts end before it (bytes of NTLM are not
	// trailing bytes).
	bind := le.bind(1, offer(0, samrSyntax, NDR32))
	p := decode(t, le.pdu(TypeBind, whole, 1, bind[HeaderSize:], &verifier{AuthSPNEGO, LevelConnect, 0, 1, "NTLMSSP"}))
	if len(p.Contexts) != 1 || string(p.Auth.Value) != "NTLMSSP" {
		t.Errorf("bind: %+v", p)
	}
	p = decode(t, le.pdu(TypeAuth3, whole, 1, []byte("    "), &verifier{AuthNTLM, LevelConnect, 0, 1, v.value}))
	if !p.Auth.Present || string(p.Auth.Value) != v.value {
		t.Errorf("auth3: %+v", p.Auth)
	}
}

func TestTrap33AuthLengthsThatLie(t *testing.T) {
	v := &verifier{AuthNTLM, LevelPrivacy, 0, 0, "0123456789abcdef"}
	for _, tt := range []struct {
		name   string
		change func(b []byte)
		want   Anomaly
		stub   string
	}{
		{"auth_length one too long", func(b []byte) { b[10] = 21 }, AuthTooLong, ""},
		{"auth_length of 65535", func(b []byte) { b[10], b[11] = 0xff, 0xff }, AuthTooLong, ""},
		{"auth_length that just fits", func(b []byte) { b[10], b[26] = 20, 0 }, 0, ""},
		{"padding longer than the stub", func(b []byte) { b[30] = 5 }, AuthPadTooLong, "stub"},
		{"padding as long as the stub", func(b []byte) { b[30] = 4 }, 0, ""},
		{"a trailer at an odd place", func(b []byte) { b[10] = 15 }, AuthUnaligned, "stub"},
	} {
		b := le.requestAuth(whole, 1, 7, 9, "stub", v)
		tt.change(b)
		var p PDU
		if got := p.Decode(b); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if p.ContextID != 7 || p.Opnum != 9 {
			t.Errorf("%s: the header is lost: %+v", tt.name, p)
		}
		if tt.stub != "" && !strings.HasPrefix(string(p.Stub), tt.stub) {
			t.Errorf("%s: stub %q", tt.name, p.Stub)
		}
		if tt.want == AuthTooLong && p.Auth.Present {
			t.Errorf("%s: a verifier out of nothing", tt.name)
		}
	}
}

func TestHarmlessAnomalyHidesNoEvasiveOne(t *testing.T) {
	b := le.requestAuth(whole, 1, 0, 0, "stub", &verifier{value: "x"})
	b[4] = 0x12 // a character set that does not exist
	b[10] = 200
	var p PDU
	if a := p.Decode(b); a != AuthTooLong {
		t.Error(a)
	}
}

func TestBodiesThatEndTooSoon(t *testing.T) {
	cut := func(b []byte, n int) []byte {
		b = append([]byte(nil), b[:n]...)
		b[8], b[9] = byte(n), byte(n>>8)
		return b
	}
	for _, tt := range []struct {
		name     string
		b        []byte
		want     Anomaly
		contexts int
	}{
		{"a request of 23 bytes (trap 22)", cut(le.request(whole, 1, 0, 0, "xxxx"), 23), ShortBody, 0},
		{"a fault without status", cut(le.fault(whole, 1, 0, 5), 27), ShortBody, 0},
		{"a fault without its reserved field", cut(le.fault(whole, 1, 0, 5), 28), 0, 0},
		{"a bind that ends in its second context", cut(windowsBind, 80), ShortBody, 1},
		{"a bind that ends in a transfer syntax", cut(windowsBind, 71), ShortBody, 1},
		{"a bind_ack without results (trap 41)", cut(le.bindAck(1, accept(NDR32)), 26), ShortBody, 0},
		{"a bind_ack that ends in its address (trap 41)", cut(le.bindAck(1, accept(NDR32)), 28), ShortBody, 0},
		{"a bind_ack that ends in a result", cut(le.bindAck(1, accept(NDR32), reject), 70), ShortBody, 1},
		{"a bind_nak of 17 bytes", cut(le.bindNak(1, 1), 17), ShortBody, 0},
		{"an rts of 18 bytes", cut(le.pdu(TypeRTS, whole, 1, make([]byte, 4), nil), 18), ShortBody, 0},
		{"fewer bytes than frag_length", windowsBind[:100], ShortBody, 0},
		{"more contexts than it counts", alike(map[int]byte{24: 2}), TrailingBytes, 2},
		{"one context id twice", alike(map[int]byte{72: 0}), DuplicateContext, 3},
	} {
		var p PDU
		if got := p.Decode(tt.b); got != tt.want || len(p.Contexts) != tt.contexts {
			t.Errorf("%s: %v and %d contexts, want %v and %d", tt.name, got, len(p.Contexts), tt.want, tt.contexts)
		}
	}
}

func TestDecodeResetsThePDU(t *testing.T) {
	var p PDU
	p.Decode(windowsBind)
	items := &p.Contexts[0]
	p.Decode(le.fault(whole, 1, 2, 5))
	if len(p.Contexts) != 0 || p.MaxXmit != 0 {
		t.Errorf("%+v", p)
	}
	p.Decode(windowsBind)
	if &p.Contexts[0] != items {
		t.Error("the memory of the contexts is not used again")
	}
	if n := testing.AllocsPerRun(100, func() { p.Decode(windowsBind) }); n != 0 {
		t.Errorf("%v allocations a bind", n)
	}
}

func FuzzPDU(f *testing.F) {
	f.Add(windowsBind)
	f.Add(le.bindAck(2, accept(NDR64), reject, ackBTF))
	f.Add(be.bindAck(2, accept(NDR64), reject, ackBTF))
	f.Add(be.bind(2, offer(0, samrSyntax, NDR32, NDR64)))
	f.Add(le.bindNak(2, 4))
	f.Add(le.fault(whole, 2, 0, 5))
	f.Add(le.requestAuth(whole, 1, 7, 9, "stub", &verifier{AuthNTLM, LevelPrivacy, 3, 1, "0123456789abcdef"}))
	f.Add(le.request(whole|FlagObject, 1, 7, 9, "0123456789abcdefstub"))
	f.Add(le.response(whole, 1, 7, "stub"))
	f.Add(le.pdu(TypeAuth3, whole, 1, []byte("    "), &verifier{value: "x"}))
	for _, b := range capturedPDUs(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p PDU
		a := p.Decode(b)
		var h Header
		ha := h.Decode(b)
		if a == 0 && ha != 0 {
			t.Fatalf("the header is %v, the PDU is fine", ha)
		}
		if len(b) >= HeaderSize && p.Header != h {
			t.Fatal("two headers")
		}
		if a.Lost() || len(b) < int(p.FragLength) {
			if len(p.Contexts) != 0 || p.Stub != nil || p.Auth.Present {
				t.Fatal("something out of a PDU that is not there")
			}
			return
		}
		b = b[:p.FragLength]
		for _, s := range [][]byte{p.Stub, p.Auth.Value, p.Secondary} {
			if len(s) > 0 && !inside(b, s) {
				t.Fatal("a slice that does not lie in the PDU, or whose capacity reaches on")
			}
		}
		if len(p.Contexts) > 255 || len(p.Contexts)*20+len(p.syntaxes)*20 > len(b) {
			t.Fatalf("%d contexts out of %d bytes", len(p.Contexts), len(b))
		}
		if Probe(b) == Match && (ha != 0 || p.short) {
			t.Fatalf("Probe takes what Decode calls %v", a)
		}
		if a != 0 {
			return
		}
		e := enc{big: p.BigEndian, minor: p.Minor}
		again := e.pdu(p.Type, p.Flags, p.CallID, nil, nil)
		again = append(again[:8], e.u16(e.u16(nil, p.FragLength), p.AuthLength)...)
		again = e.u32(again, p.CallID)
		copy(again[4:], p.DataRep[:])
		if !bytes.Equal(again, b[:HeaderSize]) {
			t.Fatalf("header %x becomes %x", b[:HeaderSize], again)
		}
		if p.BigEndian != (b[4]>>4 == 0) {
			t.Fatal("byte order")
		}
		rest := 0
		if p.Auth.Present {
			rest = int(p.Auth.PadLength) + trailerSize + len(p.Auth.Value)
			if len(p.Auth.Value) != int(p.AuthLength) {
				t.Fatal("auth_length")
			}
		}
		switch p.Type {
		case TypeRequest:
			body := 24
			if p.HasObject {
				body = 40
			}
			add(t, len(b), body, len(p.Stub), rest)
		case TypeResponse:
			add(t, len(b), 24, len(p.Stub), rest)
		case TypeFault:
			if len(b)-rest >= 32 {
				add(t, len(b), 32, len(p.Stub), rest)
			}
		case TypeBind, TypeAlterContext:
			n := 28
			for _, c := range p.Contexts {
				n += 24 + len(c.Transfer)*20
			}
			add(t, len(b), n, rest)
		}
		var twice PDU
		twice.Decode(b)
		if fmt.Sprint(twice) != fmt.Sprint(p) {
			t.Fatal("two answers to one PDU")
		}
	})
}

func add(t *testing.T, want int, parts ...int) {
	sum := 0
	for _, n := range parts {
		sum += n
	}
	if sum != want {
		t.Fatalf("%v do not add up to %d", parts, want)
	}
}

// inside tells whether s lies in b and is cut to its capacity there.
func inside(b, s []byte) bool {
	for i := range b {
		if &b[i] == &s[0] {
			return i+cap(s) <= len(b)
		}
	}
	return false
}
