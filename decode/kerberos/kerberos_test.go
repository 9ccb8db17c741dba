package kerberos

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// tlv writes an element.
func tlv(tag byte, parts ...[]byte) []byte {
	b := slices.Concat(parts...)
	switch n := len(b); {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, b...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, b...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, b...)
	}
}

func seq(parts ...[]byte) []byte         { return tlv(0x30, parts...) }
func field(n byte, v ...[]byte) []byte   { return tlv(0xa0|n, v...) }
func app(t Type, parts ...[]byte) []byte { return tlv(0x60|byte(t), seq(parts...)) }
func str(s string) []byte                { return tlv(27, []byte(s)) }
func octets(s string) []byte             { return tlv(4, []byte(s)) }
func flags(v ...byte) []byte             { return tlv(3, append([]byte{0}, v...)) }

func num(v int) []byte {
	b := []byte{byte(v)}
	for v > 127 || v < -128 {
		v >>= 8
		b = append([]byte{byte(v)}, b...)
	}
	return tlv(2, b)
}

func principal(kind int, parts ...string) []byte {
	var s [][]byte
	for _, p := range parts {
		s = append(s, str(p))
	}
	return seq(field(0, num(kind)), field(1, seq(s...)))
}

func encrypted(etype int) []byte {
	return seq(field(0, num(etype)), field(1, num(2)), field(2, octets("cipher")))
}

func ticket(realm string, etype int, parts ...string) []byte {
	return tlv(0x61, seq(field(0, num(5)), field(1, str(realm)), field(2, principal(2, parts...)), field(3, encrypted(etype))))
}

var when = tlv(24, []byte("20370913024805Z"))

func etypes(list ...int) []byte {
	var s [][]byte
	for _, e := range list {
		s = append(s, num(e))
	}
	return seq(s...)
}

// asReqWith is an AS-REQ for this client and these encryption types.
func asReqWith(cname, etype []byte, padata ...[]byte) []byte {
	return app(ASReq, field(1, num(5)), field(2, num(10)), field(3, seq(padata...)),
		field(4, seq(field(0, flags(0x40, 0x81, 0, 0x10)), field(1, cname), field(2, str("EXAMPLE.TEST")),
			field(3, principal(2, "krbtgt", "EXAMPLE.TEST")), field(5, when), field(7, num(1234567)), field(8, etype))))
}

func pa(kind int, value string) []byte { return seq(field(1, num(kind)), field(2, octets(value))) }

var (
	asReq = asReqWith(principal(1, "alice"), etypes(18, 17, 23, -133), pa(2, "encrypted timestamp"), pa(128, "\x30\x05\xa0\x03\x01\x01\xff"))
	asRep = app(ASRep, field(0, num(5)), field(1, num(11)), field(2, seq(pa(19, "salt"))), field(3, str("EXAMPLE.TEST")),
		field(4, principal(1, "alice")), field(5, ticket("EXAMPLE.TEST", 18, "krbtgt", "EXAMPLE.TEST")), field(6, encrypted(17)))
	apReq = app(APReq, field(0, num(5)), field(1, num(14)), field(2, flags(0x20, 0, 0, 0)),
		field(3, ticket("EXAMPLE.TEST", 23, "cifs", "dc1.example.test")), field(4, encrypted(18)))
	apRep  = app(APRep, field(0, num(5)), field(1, num(15)), field(2, encrypted(18)))
	tgsReq = app(TGSReq, field(1, num(5)), field(2, num(12)), field(3, seq(pa(1, string(apReq)))),
		field(4, seq(field(0, flags(0x40, 0x80, 0, 0)), field(2, str("EXAMPLE.TEST")), field(3, principal(2, "ldap", "dc1.example.test")),
			field(5, when), field(7, num(7)), field(8, etypes(18)))))
	tgsRep = app(TGSRep, field(0, num(5)), field(1, num(13)), field(3, str("EXAMPLE.TEST")),
		field(4, principal(1, "alice")), field(5, ticket("EXAMPLE.TEST", 23, "ldap", "dc1.example.test")), field(6, encrypted(18)))
	krbError = krbErrorWith(25, string(seq(pa(19, "x"), pa(2, ""), pa(16, ""))))
	krbPriv  = app(Priv, field(0, num(5)), field(1, num(21)), field(3, encrypted(18)))
	krbSafe  = app(Safe, field(0, num(5)), field(1, num(20)), field(2, seq()), field(3, seq()))
)

func krbErrorWith(code int, data string) []byte {
	return app(Error, field(0, num(5)), field(1, num(30)), field(4, when), field(5, num(9)), field(6, num(code)),
		field(9, str("EXAMPLE.TEST")), field(10, principal(2, "krbtgt", "EXAMPLE.TEST")), field(12, octets(data)))
}

// gss frames a message as RFC 4121 4.1 says.
func gss(oid []byte, token uint16, message []byte) []byte {
	return tlv(0x60, tlv(6, oid), []byte{byte(token >> 8), byte(token)}, message)
}

func TestMessages(t *testing.T) {
	for _, c := range []struct {
		name, want string
		b          []byte
	}{
		{"AS-REQ", "AS-REQ client=alice@EXAMPLE.TEST service=krbtgt/EXAMPLE.TEST@EXAMPLE.TEST etypes=[18 17 23 -133] padata=[2 128]", asReq},
		{"AS-REP", "AS-REP client=alice@EXAMPLE.TEST service=krbtgt/EXAMPLE.TEST@EXAMPLE.TEST padata=[19] enc=17 ticket=krbtgt/EXAMPLE.TEST@EXAMPLE.TEST/18", asRep},
		{"TGS-REQ", "TGS-REQ service=ldap/dc1.example.test@EXAMPLE.TEST etypes=[18] padata=[1] ticket=cifs/dc1.example.test@EXAMPLE.TEST/23", tgsReq},
		{"TGS-REP", "TGS-REP client=alice@EXAMPLE.TEST service=ldap/dc1.example.test@EXAMPLE.TEST enc=18 ticket=ldap/dc1.example.test@EXAMPLE.TEST/23", tgsRep},
		{"AP-REQ, raw as DCE style has it", "AP-REQ service=cifs/dc1.example.test@EXAMPLE.TEST enc=18 ticket=cifs/dc1.example.test@EXAMPLE.TEST/23", apReq},
		{"AP-REP", "AP-REP service=@ enc=18", apRep},
		{"KRB-PRIV", "KRB-PRIV service=@ enc=18", krbPriv},
		{"KRB-SAFE", "KRB-SAFE service=@", krbSafe},
		{"KRB-ERROR with METHOD-DATA", "KRB-ERROR service=krbtgt/EXAMPLE.TEST@EXAMPLE.TEST error=KDC_ERR_PREAUTH_REQUIRED padata=[19 2 16]", krbError},
		{"KRB-ERROR with KERB-ERROR-DATA", "KRB-ERROR service=krbtgt/EXAMPLE.TEST@EXAMPLE.TEST error=KDC_ERR_CLIENT_REVOKED status=0xc0000072",
			krbErrorWith(18, string(seq(field(1, num(3)), field(2, octets("\x72\x00\x00\xc0\x00\x00\x00\x00\x01\x00\x00\x00")))))},
		{"KRB-ERROR with data of another kind", "KRB-ERROR service=krbtgt/EXAMPLE.TEST@EXAMPLE.TEST error=KRB_ERR_GENERIC", krbErrorWith(60, "\x30\x03abc")},
		{"KRB-ERROR with METHOD-DATA that breaks off", "KRB-ERROR service=krbtgt/EXAMPLE.TEST@EXAMPLE.TEST error=KRB_ERR_GENERIC", krbErrorWith(60, string(seq(pa(19, "x"), []byte{0x30, 0})))},
		{"KRB-ERROR of an unknown code", "KRB-ERROR service=krbtgt/EXAMPLE.TEST@EXAMPLE.TEST error=KRB_ERROR(-7)", krbErrorWith(-7, "")},
		{"a name with slashes, controls and bytes that are no UTF-8",
			`AS-REQ client=a\/b\\c/d\x00\xff/é@EXAMPLE.TEST service=krbtgt/EXAMPLE.TEST@EXAMPLE.TEST etypes=[18]`,
			asReqWith(principal(1, `a/b\c`, "d\x00\xff", "é"), etypes(18))},
	} {
		var m Message
		if a := m.Decode(c.b); a != 0 {
			t.Errorf("%s: %s", c.name, a)
		}
		if got := line(&m); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
		if m.Mechanism != NoMechanism || m.Token != NoToken {
			t.Errorf("%s: mechanism %s, token %#x", c.name, m.Mechanism, m.Token)
		}
	}
}

func TestNumbersOfAMessage(t *testing.T) {
	var m Message
	m.Decode(asReq)
	if m.Options != 0x40810010 || m.ClientType != 1 || m.ServiceType != 2 || !m.Has(2) || m.Has(3) {
		t.Errorf("%+v", m)
	}
	m.Decode(apReq)
	if m.Options != 0x20000000 || m.ServiceType != 2 || m.Realm != "EXAMPLE.TEST" {
		t.Errorf("%+v", m)
	}
	if m.Decode(tgsReq); m.Options != 0x40800000 || m.EncPart != 0 {
		t.Errorf("%+v", m)
	}
}

// Trap 36: the raw message and each framing of it give the same.
func TestGSSFraming(t *testing.T) {
	for _, c := range []struct {
		name  string
		b     []byte
		mech  Mechanism
		token Token
		typ   Type
		a     Anomaly
	}{
		{"AP-REQ", gss(oidKerberos, 0x0100, apReq), Kerberos, TokenAPReq, APReq, 0},
		{"AP-REP", gss(oidKerberos, 0x0200, apRep), Kerberos, TokenAPRep, APRep, 0},
		{"KRB-ERROR", gss(oidKerberos, 0x0300, krbError), Kerberos, TokenError, Error, 0},
		{"with the identifier of Windows 2000", gss(oidMSKerberos, 0x0100, apReq), MSKerberos, TokenAPReq, APReq, 0},
		{"a TGT request of user to user", gss(oidUserToUser, 0x0400, []byte{0x30, 0}), UserToUser, 0x0400, 0, 0},
		{"AP-REQ, as macOS sends it to a server in no domain", gss(oidIAKERB, 0x0100, apReq), IAKERB, TokenAPReq, APReq, 0},
		{"what IAKERB passes on to the KDC", gss(oidIAKERB, 0x0501, []byte{0x30, 0}), IAKERB, 0x0501, 0, 0},
		{"a wrap token of RFC 1964", gss(oidKerberos, 0x0201, []byte("sealed")), Kerberos, 0x0201, 0, 0},
		{"bytes behind it", append(gss(oidKerberos, 0x0200, apRep), 0), Kerberos, TokenAPRep, APRep, TrailingBytes},
		{"bytes behind the message inside", gss(oidKerberos, 0x0200, append(slices.Clone(apRep), 0)), Kerberos, TokenAPRep, APRep, TrailingBytes},
		{"a token id of another type", gss(oidKerberos, 0x0200, apReq), 0, 0, 0, TypeMismatch},
		{"another mechanism", gss([]byte{0x2b, 6, 1, 5, 5, 2}, 0x0100, apReq), 0, 0, 0, NotKerberos},
		{"no identifier", tlv(0x60, octets("x")), 0, 0, 0, NotKerberos},
		{"an empty token", gss(oidKerberos, 0, nil)[:0], 0, 0, 0, NotKerberos},
		{"no token id", tlv(0x60, tlv(6, oidKerberos)), 0, 0, 0, BadEncoding},
		{"nothing behind the token id", gss(oidKerberos, 0x0100, nil), 0, 0, 0, NotKerberos},
		{"a cut one", gss(oidKerberos, 0x0100, apReq)[:40], 0, 0, 0, CutMessage},
		{"an indefinite length", []byte{0x60, 0x80, 0, 0}, 0, 0, 0, NotKerberos},
	} {
		var m Message
		if a := m.Decode(c.b); a != c.a || m.Mechanism != c.mech || m.Token != c.token || m.Type != c.typ {
			t.Errorf("%s: %s, mechanism %s, token %#x, %s", c.name, a, m.Mechanism, uint16(m.Token), m.Type)
		}
		if c.typ == APReq && m.Service != "cifs/dc1.example.test" {
			t.Errorf("%s: service %q", c.name, m.Service)
		}
	}
}

func TestAnomalies(t *testing.T) {
	replaced := func(b []byte, old, new string) []byte {
		if !bytes.Contains(b, []byte(old)) {
			t.Fatalf("no %x", old)
		}
		return bytes.Replace(b, []byte(old), []byte(new), 1)
	}
	for _, c := range []struct {
		name string
		b    []byte
		a    Anomaly
	}{
		{"nothing", nil, NotKerberos},
		{"a tag alone", asReq[:1], CutMessage},
		{"another tag alone", []byte{0x30}, NotKerberos},
		{"an application tag that is no message", tlv(0x6a&^0x1f|9, seq()), NotKerberos},
		{"a ticket alone", ticket("R", 18, "x"), NotKerberos},
		{"a message without its last byte", asReq[:len(asReq)-1], CutMessage},
		{"a byte behind the message", append(slices.Clone(asReq), 7), TrailingBytes},
		{"pvno 4", replaced(asReq, "\xa1\x03\x02\x01\x05", "\xa1\x03\x02\x01\x04"), BadVersion},
		{"msg-type of the other request", replaced(asReq, "\xa2\x03\x02\x01\x0a", "\xa2\x03\x02\x01\x0c"), TypeMismatch},
		{"msg-type that is an OCTET STRING", replaced(asReq, "\xa2\x03\x02\x01\x0a", "\xa2\x03\x04\x01\x0a"), BadField},
		{"an empty SEQUENCE", app(ASReq), MissingField},
		{"no SEQUENCE", tlv(0x6a, octets("x")), BadField},
		{"nothing inside", tlv(0x6a), BadEncoding},
		{"two inside", tlv(0x6a, seq(), seq()), BadField},
		{"a field twice", app(APRep, field(0, num(5)), field(0, num(5)), field(1, num(15)), field(2, encrypted(1))), FieldOrder},
		{"fields the other way round", app(APRep, field(1, num(15)), field(0, num(5)), field(2, encrypted(1))), FieldOrder},
		{"an empty field", app(APRep, field(0), field(1, num(15)), field(2, encrypted(1))), BadEncoding},
		{"a field that is not in a context tag", app(APRep, num(5)), BadField},
		{"a field whose length leaves the message", tlv(0x6f, tlv(0x30, []byte{0xa0, 9, 2, 1, 5})), BadEncoding},
		{"an encrypted part without cipher", app(APRep, field(0, num(5)), field(1, num(15)), field(2, seq(field(0, num(18))))), MissingField},
		{"an encryption type of 64 bits", asReqWith(principal(1, "a"), etypes(1<<40)), BadField},
		{"encryption types that break off", asReqWith(principal(1, "a"), tlv(0x30, []byte{2, 9, 1})), BadEncoding},
		{"a name without components' SEQUENCE", asReqWith(seq(field(0, num(1)), field(1, str("a"))), etypes(18)), BadField},
		{"a name without a type", asReqWith(seq(field(1, seq(str("a")))), etypes(18)), MissingField},
		{"an AP-REQ in padata that is none", app(TGSReq, field(1, num(5)), field(2, num(12)), field(3, seq(pa(1, "x"))), field(4, seq())), BadEncoding},
	} {
		var m Message
		a := m.Decode(c.b)
		if a != c.a || a != m.Anomaly {
			t.Errorf("%s: %s, want %s", c.name, a, c.a)
		}
		if (m.Type == 0) != a.Lost() {
			t.Errorf("%s: %s", c.name, line(&m))
		}
	}
}

func TestListsAreCountedBeyondWhatIsKept(t *testing.T) {
	var list []int
	var padata [][]byte
	for i := range 40 {
		list = append(list, i)
		padata = append(padata, pa(i, ""))
	}
	var m Message
	if a := m.Decode(asReqWith(principal(1, "a"), etypes(list...), padata...)); a != 0 {
		t.Fatal(a)
	}
	if m.ETypeCount != 40 || m.PADataCount != 40 || len(m.AskedETypes()) != maxETypes || len(m.PADataTypes()) != maxPAData || m.ETypes[15] != 15 {
		t.Errorf("%d %v, %d %v", m.ETypeCount, m.ETypes, m.PADataCount, m.PAData)
	}
}

func TestLongNamesAreCut(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts []string
		n     int
		cut   bool
	}{
		{"as long as is kept", []string{strings.Repeat("a", maxText)}, maxText, false},
		{"a byte more", []string{strings.Repeat("a", maxText+1)}, maxText, true},
		{"no room for a separator", []string{strings.Repeat("a", maxText), "b"}, maxText, true},
		{"no half of a character", []string{strings.Repeat("a", maxText-1) + "é"}, maxText - 1, true},
		{"nothing is added behind the cut", []string{strings.Repeat("a", maxText-1) + "é", "b"}, maxText - 1, true},
	} {
		var m Message
		if a := m.Decode(asReqWith(principal(1, c.parts...), etypes(18))); a != 0 || len(m.Client) != c.n || m.Truncated != c.cut {
			t.Errorf("%s: %s, %d bytes, truncated %t", c.name, a, len(m.Client), m.Truncated)
		}
	}
}

func TestNoSecretLeaves(t *testing.T) {
	for _, b := range [][]byte{asReq, asRep, tgsReq, tgsRep, apReq, apRep, krbError, krbPriv} {
		var m Message
		m.Decode(b)
		for _, secret := range []string{"cipher", "salt", "timestamp"} {
			if s := fmt.Sprintf("%+v", m); strings.Contains(s, secret) {
				t.Errorf("%s is in %s", secret, s)
			}
		}
	}
}

func TestSplit(t *testing.T) {
	framed := func(b []byte) []byte { return append([]byte{0, 0, byte(len(b) >> 8), byte(len(b))}, b...) }
	two := append(framed(asReq), framed(tgsReq)...)
	m, used := Split(two)
	if !bytes.Equal(m, asReq) || cap(m) != len(m) {
		t.Errorf("first: % x", m)
	}
	if m, again := Split(two[used:]); !bytes.Equal(m, tgsReq) || used+again != len(two) {
		t.Errorf("second: % x", m)
	}
	for n := range len(asReq) + 4 {
		if m, used := Split(two[:n]); used != 0 || m != nil {
			t.Errorf("%d bytes: used %d", n, used)
		}
	}
	if m, used := Split([]byte{0, 0, 0, 0}); used != 4 || len(m) != 0 {
		t.Errorf("an empty message: used %d", used)
	}
	if _, used := Split([]byte{0x80, 0, 0, 1, 2}); used != -1 {
		t.Error("the reserved bit of the length was taken")
	}
	if _, used := Split([]byte{0, 0x10, 0, 1}); used != -1 {
		t.Error("a length beyond the bound was taken")
	}
}

func TestProbe(t *testing.T) {
	framed := func(b []byte) []byte { return append([]byte{0, 0, byte(len(b) >> 8), byte(len(b))}, b...) }
	for _, b := range [][]byte{asReq, asRep, tgsReq, tgsRep, apReq, apRep, krbError, krbPriv, krbSafe} {
		f := framed(b)
		if v := Probe(f); v != Match {
			t.Errorf("% x: %d", f[:12], v)
		}
		if v := Probe(f[:24]); v != Match && v != More {
			t.Errorf("% x: %d", f[:24], v)
		}
		for n := range f {
			if Probe(f[:n]) == No {
				t.Errorf("% x: no", f[:n])
			}
		}
		if !Plausible(b) || !Plausible(b[:24]) {
			t.Errorf("% x is not plausible", b)
		}
	}
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"SMB behind its length", []byte{0, 0, 0, 0x54, 0xfe, 'S', 'M', 'B'}},
		{"text", []byte("GET / HTTP")},
		{"a huge length", []byte{0, 0x20, 0, 0, 0x6a}},
		{"a length that is not the message's", append([]byte{0, 0, 0, 9}, asReq...)},
		{"pvno 4", framed(bytes.Replace(asReq, []byte("\xa1\x03\x02\x01\x05"), []byte("\xa1\x03\x02\x01\x04"), 1))},
		{"an AP-REQ with the tags of a KDC-REQ", framed(app(APReq, field(1, num(5)), field(2, num(14)), field(3, octets("x"))))},
	} {
		if Probe(c.b) != No {
			t.Errorf("%s passes", c.name)
		}
	}
	if Plausible(nil) || Plausible([]byte("\x6a\x80abc")) || Plausible(seq(asReq)) {
		t.Error("not a message, and plausible")
	}
}

func TestAnswersAndDirections(t *testing.T) {
	for _, c := range []struct {
		request, answer Type
		want            bool
	}{
		{ASReq, ASRep, true}, {ASReq, Error, true}, {ASReq, TGSRep, false}, {TGSReq, TGSRep, true},
		{APReq, APRep, true}, {ASRep, Error, false}, {Error, Error, false},
	} {
		if c.answer.Answers(c.request) != c.want {
			t.Errorf("%s to %s", c.answer, c.request)
		}
	}
	if client, known := TGSReq.FromClient(); !client || !known {
		t.Error("TGS-REQ")
	}
	if client, known := Error.FromClient(); client || !known {
		t.Error("KRB-ERROR")
	}
	if _, known := Priv.FromClient(); known {
		t.Error("KRB-PRIV")
	}
}

func TestNamesOfNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{ErrorName(6), "KDC_ERR_C_PRINCIPAL_UNKNOWN"},
		{ErrorName(24), "KDC_ERR_PREAUTH_FAILED"},
		{ErrorName(37), "KRB_AP_ERR_SKEW"},
		{ErrorName(52), "KRB_ERR_RESPONSE_TOO_BIG"},
		{ErrorName(68), "KDC_ERR_WRONG_REALM"},
		{ErrorName(30), "KRB_ERROR(30)"},
		{ErrorName(1 << 30), "KRB_ERROR(1073741824)"},
		{ETypeName(18), "aes256-cts-hmac-sha1-96"},
		{ETypeName(-133), "rc4-hmac-old"},
		{ETypeName(99), "etype(99)"},
		{Type(99).String(), "type(99)"},
		{Cred.String(), "KRB-CRED"},
		{UserToUser.String(), "user-to-user"},
		{IAKERB.String(), "iakerb"},
		{Mechanism(77).String(), "unknown"},
		{FieldOrder.String(), "field-order"},
		{Anomaly(200).String(), "anomaly(200)"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	for a := range anomalies {
		if anomalyNames[a] == "" {
			t.Errorf("anomaly %d has no name", a)
		}
	}
}

func TestDecodingAgainAllocatesNothing(t *testing.T) {
	all := [][]byte{asReq, asRep, tgsReq, tgsRep, apReq, gss(oidKerberos, 0x0200, apRep), krbError}
	var m Message
	if n := testing.AllocsPerRun(100, func() {
		for _, b := range all {
			if m.Decode(b) != 0 {
				t.Fatal(m.Anomaly)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzMessage decodes a message. The oracle: a Message used before gives the
// same; of a lost one nothing is left; names are printable and bounded; a byte
// behind changes nothing but the anomaly; a prefix that is decoded is never
// believed to be whole; what is plausible is a type, and what is decoded
// plausible; framed for TCP it comes out again.
func FuzzMessage(f *testing.F) {
	for _, b := range [][]byte{asReq, asRep, tgsReq, tgsRep, apReq, apRep, krbError, krbPriv, krbSafe,
		gss(oidKerberos, 0x0100, apReq), gss(oidMSKerberos, 0x0300, krbError), gss(oidUserToUser, 0x0400, nil)} {
		f.Add(b)
	}
	for _, c := range inCaptures {
		for i, b := range captured(f, c.file) {
			if i < 4 {
				f.Add(b)
			}
		}
	}
	var used Message
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		var m Message
		if a := m.Decode(b); a != m.Anomaly || a >= anomalies {
			t.Fatalf("anomaly %d, returned %d", m.Anomaly, a)
		}
		used.Decode(b)
		keep := used.names
		used.names = m.names
		if used != m {
			t.Fatalf("a Message used before differs:\n%+v\n%+v", used, m)
		}
		used.names = keep
		if keep.known.Len() > 1024 {
			t.Fatalf("%d names are kept", keep.known.Len())
		}
		if m.Anomaly.Lost() {
			if m != (Message{Anomaly: m.Anomaly, names: m.names}) {
				t.Fatalf("lost, and %+v", m)
			}
		} else if m.Type == 0 && (m.Mechanism == NoMechanism || m.Token.message()) {
			t.Fatalf("%+v", m)
		}
		for _, s := range []string{m.Realm, m.Client, m.ClientRealm, m.Service, m.Ticket.Realm, m.Ticket.Service} {
			if len(s) > maxText {
				t.Fatalf("%d bytes of name", len(s))
			}
			for _, r := range s {
				if r < ' ' || r >= 0x7f && r < 0xa0 {
					t.Fatalf("%q", s)
				}
			}
		}
		if m.ETypeCount > len(b) || m.PADataCount > len(b) {
			t.Fatalf("%d encryption types, %d pre-authentication data", m.ETypeCount, m.PADataCount)
		}
		if m.Anomaly == 0 && m.Mechanism == NoMechanism && !Plausible(b) {
			t.Fatal("decoded, and not plausible")
		}
		if m.Anomaly == 0 {
			more := m
			more.Decode(append(slices.Clone(b), 0))
			if more.Anomaly != TrailingBytes {
				t.Fatalf("a byte more: %s", more.Anomaly)
			}
			if more.Anomaly = 0; more != m {
				t.Fatalf("a byte more:\n%+v\n%+v", more, m)
			}
			if len(b) > 0 && more.Decode(b[:len(b)-1]) != CutMessage {
				t.Fatalf("a byte less: %s", more.Anomaly)
			}
		}
		framed := append([]byte{0, byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...)
		if got, n := Split(framed); n != len(framed) || !bytes.Equal(got, b) {
			t.Fatalf("framed: used %d of %d", n, len(framed))
		}
		if (Probe(framed) == Match) != (Plausible(b) && plausible(b, len(b)) == Match) {
			t.Fatal("Probe and Plausible differ")
		}
		v := Probe(framed)
		for n := range min(len(framed), 40) {
			if w := Probe(framed[:n]); w != More && w != v {
				t.Fatalf("%d bytes: %d, more: %d", n, w, v)
			}
		}
	})
}
