package spnego

import (
	"testing"
	"unsafe"

	"kmswatch/decode/ntlmssp"
)

// FuzzToken decodes a token. The oracle: the same again gives the same; what is
// no token, or is cut, gives nothing; every slice lies in the input; a token
// without anomaly is cut at each of its bytes, and encodes to one that says the
// same.
func FuzzToken(f *testing.F) {
	raw := []byte("NTLMSSP\x00\x01\x00\x00\x00")
	f.Add(gss(initial(types(MSKerberos, Kerberos, NegoEx, NTLM), octet(0xa2, raw))))
	f.Add(gss(initial(types(NTLM), el(0xa3, el(0x30, el(0xa0, el(0x1b, []byte("dc1$@CORP"))))), octet(0xa4, []byte("mic")))))
	f.Add(resp(state(1), el(0xa1, oid(NTLM)), octet(0xa2, raw), octet(0xa3, []byte("mic"))))
	f.Add(el(0x60, oid(Kerberos), []byte{1, 0}, el(0x6e, []byte{0x30, 0})))
	f.Add(raw)
	f.Add([]byte{0xa1, 0x84, 0, 0, 0, 10, 0x30, 0x81, 7, 0xa0, 0x82, 0, 3, 10, 1, 0})
	for _, name := range []string{"lab/smb1-null-session.pcap", "suricata-verify/smb3-01.pcap", "ntlmrawunhide/examples-capture.pcap"} {
		for _, b := range captured(f, name) {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var tok, again Token
		a := tok.Decode(b)
		again.Decode([]byte{0xa1, 5, 0x30, 3, 0xa3, 1, 0})
		if again.Decode(b) != a || line(&again) != line(&tok) {
			t.Fatal("the second time differs")
		}
		if (a == NotToken || a == CutToken) && (line(&tok) != "none" || tok.Wrapped) || a == 0 && tok.Form == NoForm {
			t.Fatalf("%s: %s", a, line(&tok))
		}
		if m := Sniff(b); tok.Form == Own && (m != tok.Mech.Mechanism || &tok.Token[0] != &b[0]) || (tok.Form == Init || tok.Form == Init2 || tok.Form == Resp) && m != SPNEGO {
			t.Fatalf("%s by its first bytes, and then %s", m, line(&tok))
		}
		inside(t, b, tok.Token)
		inside(t, b, tok.Hint)
		inside(t, b, tok.Mech.OID)
		if len(tok.Mechs) > MaxMechs {
			t.Fatalf("%d mechanisms", len(tok.Mechs))
		}
		for _, m := range tok.Mechs {
			inside(t, b, m.OID)
			if mech(m.OID).Mechanism != m.Mechanism || OIDText(m.OID) == "" {
				t.Fatalf("%x is %s", m.OID, m.Mechanism)
			}
		}
		if a != 0 {
			return
		}
		for n := range min(len(b), 100) {
			if cut := again.Decode(b[:n]); cut != CutToken && cut != NotToken && !ntlmssp.Is(b) {
				t.Fatalf("%d of %d bytes: %s", n, len(b), cut)
			}
		}
		if again.Decode(encode(&tok)) != 0 || line(&again) != line(&tok) {
			t.Fatalf("encodes to %s, not %s", line(&again), line(&tok))
		}
	})
}

// inside checks that part lies in whole, cut to its capacity.
func inside(t *testing.T, whole, part []byte) {
	t.Helper()
	if len(part) == 0 {
		return
	}
	from, to := uintptr(unsafe.Pointer(unsafe.SliceData(whole))), uintptr(unsafe.Pointer(unsafe.SliceData(part)))
	if to < from || to+uintptr(len(part)) > from+uintptr(len(whole)) {
		t.Fatal("a slice lies outside of the input")
	}
}

func encode(t *Token) []byte {
	var fields [][]byte
	switch t.Form {
	case Own:
		return t.Token
	case Resp:
		if t.State != NoState {
			fields = append(fields, state(byte(t.State-AcceptCompleted)))
		}
		if t.Mech.Mechanism != None {
			fields = append(fields, el(0xa1, el(6, t.Mech.OID)))
		}
	default:
		var list []byte
		for _, m := range t.Mechs {
			list = append(list, el(6, m.OID)...)
		}
		fields = append(fields, el(0xa0, el(0x30, list)))
	}
	if t.Token != nil {
		fields = append(fields, octet(0xa2, t.Token))
	}
	switch {
	case t.Form != Init2:
	case t.Hint != nil:
		fields = append(fields, el(0xa3, el(0x30, el(0xa0, el(0x1b, t.Hint)))))
	default:
		fields = append(fields, el(0xa3, el(0x30)))
	}
	if t.HasMIC && t.Form == Init2 {
		fields = append(fields, octet(0xa4, nil))
	} else if t.HasMIC {
		fields = append(fields, octet(0xa3, nil))
	}
	b := resp(fields...)
	if t.Form != Resp {
		b = initial(fields...)
	}
	if t.Wrapped {
		return gss(b)
	}
	return b
}
