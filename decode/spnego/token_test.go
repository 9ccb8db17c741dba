package spnego

import (
	"bytes"
	"encoding/hex"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"kmswatch/decode/ber"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// el is an element with a length of as many octets as it needs.
func el(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	n := len(content)
	switch {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, content...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, content...)
	}
	return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, content...)
}

func oid(m Mechanism) []byte { return el(6, []byte(mechanismTable[m].oid)) }

func types(ms ...Mechanism) []byte {
	var list []byte
	for _, m := range ms {
		list = append(list, oid(m)...)
	}
	return el(0xa0, el(0x30, list))
}

func gss(inner []byte) []byte        { return el(0x60, oid(SPNEGO), inner) }
func initial(parts ...[]byte) []byte { return el(0xa0, el(0x30, parts...)) }
func resp(parts ...[]byte) []byte    { return el(0xa1, el(0x30, parts...)) }
func octet(tag byte, b []byte) []byte {
	return el(tag, el(4, b))
}
func state(n byte) []byte { return el(0xa0, el(10, []byte{n})) }

// line writes a token as the tables have it.
func line(t *Token) string {
	s := t.Form.String()
	if t.Wrapped {
		s = "gss " + s
	}
	if t.State != NoState {
		s += " " + t.State.String()
	}
	if t.Mech.Mechanism != None {
		s += " " + t.Mech.Mechanism.String()
	}
	for i, m := range t.Mechs {
		s += string(":,"[min(i, 1)]) + m.Mechanism.String()
	}
	if t.Token != nil {
		s += " (" + string(t.Token[:min(4, len(t.Token))]) + ")"
	}
	if t.Hint != nil {
		s += " hint " + string(t.Hint)
	}
	if t.HasMIC {
		s += " mic"
	}
	return s
}

func TestTokens(t *testing.T) {
	t.Parallel()
	raw := append([]byte("NTLMSSP\x00"), 1, 0, 0, 0)
	mic := octet(0xa3, make([]byte, 16))
	var many [][]byte
	for range MaxMechs + 1 {
		many = append(many, oid(NTLM))
	}
	for _, c := range []struct {
		name    string
		b       []byte
		want    string
		anomaly Anomaly
	}{
		{"an offer with an optimistic token", gss(initial(types(MSKerberos, Kerberos, NegoEx, NTLM), octet(0xa2, []byte("tokn")))),
			"gss negTokenInit:ms-kerberos,kerberos,negoex,ntlm (tokn)", 0},
		{"trap 36: an offer without the leading identifier", initial(types(NTLM), octet(0xa2, raw)), "negTokenInit:ntlm (NTLM)", 0},
		{"an offer with flags and a MIC", gss(initial(types(NTLM), el(0xa1, el(3, []byte{1, 2})), mic)), "gss negTokenInit:ntlm mic", 0},
		{"a server's offer", gss(initial(types(Kerberos, IAKERB, PKU2U, UserToUser), el(0xa3, el(0x30, el(0xa0, el(0x1b, []byte("dc1$@CORP"))))))),
			"gss negTokenInit2:kerberos,iakerb,pku2u,user-to-user hint dc1$@CORP", 0},
		{"hints without a name, and the MIC at [4]", gss(initial(types(NTLM), el(0xa3, el(0x30, octet(0xa1, []byte("addr")))), octet(0xa4, []byte("mic")))),
			"gss negTokenInit2:ntlm mic", 0},
		{"an answer", resp(state(1), el(0xa1, oid(NTLM)), octet(0xa2, raw), mic), "negTokenResp accept-incomplete ntlm (NTLM) mic", 0},
		{"an answer of nothing but an end", resp(state(0)), "negTokenResp accept-completed", 0},
		{"reject", resp(state(2)), "negTokenResp reject", 0},
		{"request-mic", resp(state(3), el(0xa1, oid(Kerberos))), "negTokenResp request-mic kerberos", 0},
		{"an empty answer", resp(), "negTokenResp", 0},
		{"an answer in an initial context token", gss(resp(state(0))), "gss negTokenResp accept-completed", 0},
		{"fields of a later version", resp(state(0), el(0xa7, []byte{9}), el(0x04)), "negTokenResp accept-completed", 0},
		{"lengths of more octets than needed", unhex(t, "a1 84 00000009 30 81 06 a0 82 0002 0a00"), "negTokenResp", BadField},
		{"the same with a state", unhex(t, "a1 84 0000000a 30 81 07 a0 82 0003 0a0100"), "negTokenResp accept-completed", 0},
		{"raw NTLMSSP", raw, "mechanism ntlm (NTLM)", 0},
		{"raw Kerberos", el(0x6e, []byte{0x30, 0}), "mechanism kerberos (n\x020\x00)", 0},
		{"Kerberos in its own initial context token", el(0x60, oid(Kerberos), []byte{1, 0}), "gss mechanism kerberos (`\r\x06\t)", 0},
		{"NTLM in an initial context token", el(0x60, oid(NTLM), raw), "gss mechanism ntlm (`\x18\x06\n)", 0},
		{"a mechanism of tomorrow", el(0x60, el(6, []byte{0x2a, 3})), "gss mechanism other (`\x04\x06\x02)", 0},
		{"a mechanism of tomorrow on offer", initial(el(0xa0, el(0x30, el(6, []byte{0x2a, 3}), oid(NTLM)))), "negTokenInit:other,ntlm", 0},
		{"SPNEGO on offer inside SPNEGO is not entered", initial(types(SPNEGO), octet(0xa2, gss(initial(types(NTLM))))), "negTokenInit:spnego (`\x1c\x06\x06)", 0},

		{"nothing", nil, "none", NotToken},
		{"text", []byte("hello"), "none", NotToken},
		{"trap 41: an initial context token without content", el(0x60), "none", BadEncoding},
		{"one with nothing behind the identifier", gss(nil), "gss none", BadEncoding},
		{"one with another element behind it", gss(el(0x30)), "gss none", BadField},
		{"a message cut short", gss(initial(types(NTLM)))[:12], "none", CutToken},
		{"an indefinite length", unhex(t, "a1 80 30 00 0000"), "none", NotToken},
		{"an offer of nothing", gss(initial()), "gss negTokenInit", NoMechanisms},
		{"an offer of an empty list", initial(types()), "negTokenInit", NoMechanisms},
		{"an offer that is no sequence", el(0xa0, el(4)), "none", BadField},
		{"too many mechanisms", initial(el(0xa0, el(0x30, many...))), "negTokenInit:" + strings.TrimSuffix(strings.Repeat("ntlm,", MaxMechs), ","), TooManyMechanisms},
		{"a field twice: the first counts", resp(state(2), state(0)), "negTokenResp reject", DuplicateField},
		{"a state that does not exist", resp(state(4), octet(0xa2, raw)), "negTokenResp (NTLM)", BadField},
		{"an identifier cut within an arc", resp(el(0xa1, el(6, []byte{0x2a, 0x86})), state(0)), "negTokenResp accept-completed", BadField},
		{"a token of another type", resp(el(0xa2, el(3, raw))), "negTokenResp", BadField},
		{"a token that is longer than its field", resp(state(1), el(0xa2, []byte{4, 9, 1})), "negTokenResp accept-incomplete", BadEncoding},
		{"a field that is longer than the token", el(0xa1, el(0x30, state(1), []byte{0xa2, 9})), "negTokenResp accept-incomplete", BadEncoding},
		{"bytes behind it", append(resp(state(0)), 0), "negTokenResp accept-completed", TrailingBytes},
		{"bytes behind an element in its tag", resp(el(0xa0, el(10, []byte{0}), el(5))), "negTokenResp accept-completed", TrailingBytes},
	} {
		tok := Token{Form: Resp, Hint: []byte("left over"), Mechs: []Mech{{Mechanism: Other}}}
		if a := tok.Decode(c.b); a != c.anomaly || line(&tok) != c.want {
			t.Errorf("%s: %s, %q, want %s, %q", c.name, a, line(&tok), c.anomaly, c.want)
		}
	}
}

func TestSniff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		b    []byte
		want Mechanism
	}{
		{"nothing", nil, None},
		{"text", []byte("hello"), None},
		{"NTLM", []byte("NTLMSSP\x00"), NTLM},
		{"NegoEx", []byte("NEGOEXTS..."), NegoEx},
		{"an offer", initial(), SPNEGO},
		{"an answer", resp(), SPNEGO},
		{"an offer with its identifier", gss(initial()), SPNEGO},
		{"AP-REQ", []byte{0x6e}, Kerberos},
		{"KRB-ERROR", []byte{0x7e, 1}, Kerberos},
		{"Kerberos as Windows 2000 names it", el(0x60, oid(MSKerberos), []byte{1, 0}), MSKerberos},
		{"a token that is cut behind the identifier", el(0x60, oid(IAKERB), make([]byte, 500))[:20], IAKERB},
		{"one that is cut within it", el(0x60, oid(IAKERB))[:6], None},
		{"a length that is none", []byte{0x60, 0x80, 6}, None},
	} {
		if got := Sniff(c.b); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestOIDText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ hex, want string }{
		{"2b0601050502", "1.3.6.1.5.5.2"},
		{"2b06010401823702020a", "1.3.6.1.4.1.311.2.2.10"},
		{"2a864886f712010202", "1.2.840.113554.1.2.2"},
		{"2a864882f712010202", "1.2.840.48018.1.2.2"},
		{"883703", "2.999.3"},
		{"00", "0.0"},
		{"4f", "1.39"},
		{"2a86", "1.2.?"},
		{"2a8fffffffffffffffff7f03", "1.2.?.3"},
		{"", ""},
	} {
		if got := OIDText(unhex(t, c.hex)); got != c.want {
			t.Errorf("%s: %s, want %s", c.hex, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for a := Anomaly(0); a < anomalies; a++ {
		if a.String() == "" {
			t.Errorf("anomaly %d has no name", a)
		}
	}
	for m := Mechanism(0); m < mechanisms; m++ {
		if m.String() == "" {
			t.Errorf("mechanism %d has no name", m)
		}
	}
	if Anomaly(99).String() != "anomaly(99)" || Mechanism(99).String() != "mechanism(99)" || Form(9).String() != "form(9)" || State(9).String() != "state(9)" {
		t.Error("names of unknown numbers")
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	for _, b := range [][]byte{
		gss(initial(types(MSKerberos, Kerberos, NegoEx, NTLM), octet(0xa2, []byte("tokn")))),
		resp(state(1), el(0xa1, oid(NTLM)), octet(0xa2, []byte("tokn"))),
		gss(initial(types(NTLM), el(0xa3, el(0x30, el(0xa0, el(0x1b, []byte("dc1$@CORP"))))))),
		[]byte("hello"),
	} {
		var tok Token
		tok.Decode(b)
		if n := testing.AllocsPerRun(100, func() { tok.Decode(b) }); n != 0 {
			t.Errorf("%x: %v allocations", b, n)
		}
	}
}

// captured gives what looks like tokens in the TCP segments of a capture.
func captured(t testing.TB, name string) (tokens [][]byte) {
	f, err := os.Open("../../../shared/captures/" + name)
	if err != nil {
		return nil
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	begin := oid(SPNEGO)
	for {
		data, _, err := r.ReadPacketData()
		if err == io.EOF {
			return tokens
		}
		if err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(data, r.LinkType(), gopacket.NoCopy)
		tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if tcp == nil {
			continue
		}
		b := tcp.Payload
		for i := range b {
			e, total, v := ber.Head(b[i:])
			if v != ber.Whole || total < 9 {
				continue
			}
			if b[i] == 0x60 && bytes.HasPrefix(e.Content, begin) || b[i] == 0xa1 && e.Content[0] == 0x30 && (e.Content[2] == 0xa0 || e.Content[2] == 0xa2 || e.Content[3] == 0xa0 || e.Content[4] == 0xa0) {
				tokens = append(tokens, b[i:i+total])
				break
			}
		}
	}
}

// What tshark 4.0 says of the same captures.
func TestCaptures(t *testing.T) {
	t.Parallel()
	const samba = "gss negTokenInit2:ms-kerberos,kerberos,ntlm hint not_defined_in_RFC4178@please_ignore"
	for _, c := range []struct {
		file string
		want []string // of its first tokens
	}{
		{"lab/smb1-null-session.pcap", []string{samba, "gss negTokenInit:ntlm (NTLM)", "negTokenResp accept-incomplete ntlm (NTLM)", "negTokenResp (NTLM) mic"}},
		{"lab/smb2-anonymous-enumeration.pcap", []string{samba, "gss negTokenInit:ntlm (NTLM)", "negTokenResp accept-incomplete ntlm (NTLM)", "negTokenResp accept-completed"}},
		{"suricata-verify/smb3-01.pcap", []string{"gss negTokenInit2:negoex,ms-kerberos,kerberos,user-to-user,ntlm hint not_defined_in_RFC4178@please_ignore"}},
		{"ntlmrawunhide/examples-capture.pcap", []string{"gss negTokenInit:negoex,ntlm (NEGO)", "gss negTokenInit:ntlm (NTLM)", "negTokenResp accept-incomplete ntlm (NTLM)", "negTokenResp accept-completed mic"}},
	} {
		tokens := captured(t, c.file)
		if tokens == nil {
			t.Logf("%s: no capture", c.file)
			continue
		}
		var got []string
		for _, b := range tokens[:min(len(tokens), len(c.want))] {
			var tok Token
			if a := tok.Decode(b); a != 0 {
				t.Errorf("%s: %s", c.file, a)
			}
			got = append(got, line(&tok))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", c.file, got)
		}
	}
}
