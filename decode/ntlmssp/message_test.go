package ntlmssp

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf16"
)

// The examples of MS-NLMP 4.2.2.3 and 4.2.4.3.
const (
	challengeV1 = "4e544c4d53535000 02000000 0c000c0038000000 338202e2 0123456789abcdef 0000000000000000 0000000000000000 060070170000000f" +
		"530065007200760065007200"
	authenticateV1 = "4e544c4d53535000 03000000 180018006c000000 1800180084000000 0c000c0048000000 0800080054000000 100010005c000000 100010009c000000 358280e2 0501280a0000000f" +
		"44006f006d00610069006e00 5500730065007200 43004f004d0050005500540045005200" +
		"98def7b87f88aa5dafe2df779688a172def11c7d5ccdef13 67c43011f30298a2ad35ece64f16331c44bdbed927841f94 518822b1b3f350c8958682ecbb3e3cb7"
	challengeV2 = "4e544c4d53535000 02000000 0c000c0038000000 33828ae2 0123456789abcdef 0000000000000000 2400240044000000 060070170000000f" +
		"530065007200760065007200 02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000"
	authenticateV2 = "4e544c4d53535000 03000000 180018006c000000 5400540084000000 0c000c0048000000 0800080054000000 100010005c000000 10001000d8000000 358288e2 0501280a0000000f" +
		"44006f006d00610069006e00 5500730065007200 43004f004d0050005500540045005200" +
		"86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa" +
		"68cd0ab851e51c96aabc927bebef6a1c 01010000 00000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000" +
		"02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000 00000000" +
		"c5dad2544fc9799094ce1ce90bc9d03e"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wideText(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func av(id uint16, v []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, id)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(v)))
	return append(b, v...)
}

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// v2 is an NTLMv2_RESPONSE around AV_PAIRs.
func v2(pairs ...[]byte) []byte {
	head := make([]byte, proofSize+clientBlob)
	head[proofSize], head[proofSize+1] = 1, 1
	return append(head, join(pairs...)...)
}

var avEnd = av(0, nil)

// auth builds an AUTHENTICATE_MESSAGE: its flags, what stands between them and
// the payload, and the fields, whose bytes stand in the payload in the order of
// their names there.
type auth struct {
	flags                              Flags
	fixed                              []byte
	lm, nt, domain, user, station, key []byte
	order                              string // "lndusk" if empty
}

func (a auth) bytes() []byte {
	le := binary.LittleEndian
	fields := map[byte][]byte{'l': a.lm, 'n': a.nt, 'd': a.domain, 'u': a.user, 's': a.station, 'k': a.key}
	order := a.order
	if order == "" {
		order = "lndusk"
	}
	b := le.AppendUint32([]byte(signature), uint32(Authenticate))
	head := 64 + len(a.fixed)
	var payload []byte
	at := map[byte]int{}
	for i := range order {
		at[order[i]] = head + len(payload)
		payload = append(payload, fields[order[i]]...)
	}
	for _, f := range []byte("lndusk") {
		b = le.AppendUint16(b, uint16(len(fields[f])))
		b = le.AppendUint16(b, uint16(len(fields[f])))
		b = le.AppendUint32(b, uint32(at[f]))
	}
	b = le.AppendUint32(b, uint32(a.flags))
	return append(append(b, a.fixed...), payload...)
}

func TestExamplesOfTheSpecification(t *testing.T) {
	t.Parallel()
	windows := Version{6, 0, 6000, 15}
	for _, c := range []struct {
		name, hex string
		want      Message
	}{
		{"4.2.2.3 CHALLENGE", challengeV1, Message{Type: Challenge, HasFlags: true, HasVersion: true, Flags: 0xe2028233, Version: windows, Target: "Server"}},
		{"4.2.2.3 AUTHENTICATE", authenticateV1, Message{
			Type: Authenticate, HasFlags: true, HasVersion: true, Flags: 0xe2808235, Version: Version{5, 1, 2600, 15},
			Domain: "Domain", User: "User", Workstation: "COMPUTER", LMResponse: 24, NTResponse: 24, SessionKey: 16,
		}},
		{"4.2.4.3 CHALLENGE", challengeV2, Message{
			Type: Challenge, HasFlags: true, HasVersion: true, Flags: 0xe28a8233, Version: windows, Target: "Server",
			Info: TargetInfo{NetBIOSDomain: "Domain", NetBIOSComputer: "Server"},
		}},
		{"4.2.4.3 AUTHENTICATE", authenticateV2, Message{
			Type: Authenticate, HasFlags: true, HasVersion: true, NTLMv2: true, Flags: 0xe2888235, Version: Version{5, 1, 2600, 15},
			Domain: "Domain", User: "User", Workstation: "COMPUTER", LMResponse: 24, NTResponse: 84, SessionKey: 16,
			Info: TargetInfo{NetBIOSDomain: "Domain", NetBIOSComputer: "Server"},
		}},
	} {
		var m Message
		if a := m.Decode(unhex(t, c.hex)); a != 0 || m != c.want {
			t.Errorf("%s: %s, %+v, want %+v", c.name, a, m, c.want)
		}
		if m.Anonymous() || m.Signals() != 0 {
			t.Errorf("%s is anonymous: %b", c.name, m.Signals())
		}
	}
}

func TestNegotiateNamesAreOfTheOEMCodePage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, hex string
		want      Message
		anomaly   Anomaly
	}{
		{name: "without fields", hex: "4e544c4d53535000 01000000 05020800",
			want: Message{Type: Negotiate, HasFlags: true, Flags: 0x80205}},
		{name: "both names, no version, the Unicode flag is for later messages",
			hex:  "4e544c4d53535000 01000000 07b208a0 060006002b000000 0b000b0020000000 414c454f4e4152442d5850 434e414d4953",
			want: Message{Type: Negotiate, HasFlags: true, Flags: 0xa008b207, Domain: "CNAMIS", Workstation: "ALEONARD-XP"}},
		{name: "fields without their flag are ignored, wherever they point",
			hex:  "4e544c4d53535000 01000000 05020800 06000600ff000000 0100010000000000",
			want: Message{Type: Negotiate, HasFlags: true, Flags: 0x80205}},
		{name: "a version flag without room for one: trap 37",
			hex:  "4e544c4d53535000 01000000 05020802 0000000000000000 0000000000000000",
			want: Message{Type: Negotiate, HasFlags: true, Flags: 0x2080205}},
		{name: "a version flag, and a name where the version would be: trap 37",
			hex:  "4e544c4d53535000 01000000 02120002 0800080020000000 0000000000000000 4142434445464748",
			want: Message{Type: Negotiate, HasFlags: true, Flags: 0x2001202, Domain: "ABCDEFGH"}},
		{name: "the same without the name's flag, as Metasploit has it",
			hex:  "4e544c4d53535000 01000000 02020002 0800080020000000 0000000000000000 4142434445464748",
			want: Message{Type: Negotiate, HasFlags: true, Flags: 0x2000202}},
		{name: "a version",
			hex:  "4e544c4d53535000 01000000 978208e2 0000000000000000 0000000000000000 0a0063450000000f",
			want: Message{Type: Negotiate, HasFlags: true, HasVersion: true, Flags: 0xe2088297, Version: Version{10, 0, 17763, 15}}},
		{name: "no flags", hex: "4e544c4d53535000 01000000 0502", anomaly: ShortMessage},
		{name: "half of the fields", hex: "4e544c4d53535000 01000000 05020800 00000000", anomaly: ShortMessage},
	} {
		var m Message
		if a := m.Decode(unhex(t, c.hex)); a != c.anomaly || m != c.want {
			t.Errorf("%s: %s, %+v, want %s, %+v", c.name, a, m, c.anomaly, c.want)
		}
	}
}

func TestChallengesOfOldServersEndEarly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, hex string
		want      Message
	}{
		{"behind the challenge", "4e544c4d53535000 02000000 0000000000000000 05020000 0123456789abcdef",
			Message{Type: Challenge, HasFlags: true, Flags: 0x205}},
		{"with the target name there", "4e544c4d53535000 02000000 0600060020000000 06020100 0123456789abcdef 444f4d41494e",
			Message{Type: Challenge, HasFlags: true, Flags: 0x10206, Target: "DOMAIN"}},
		{"without a version", "4e544c4d53535000 02000000 0600060030000000 06020100 0123456789abcdef 0000000000000000 0000000000000000 444f4d41494e",
			Message{Type: Challenge, HasFlags: true, Flags: 0x10206, Target: "DOMAIN"}},
	} {
		var m Message
		if a := m.Decode(unhex(t, c.hex)); a != 0 || m != c.want {
			t.Errorf("%s: %s, %+v, want %+v", c.name, a, m, c.want)
		}
	}
}

// trap 37: the order of the fields in the payload is free, the version and the
// MIC are there only if there is room.
func TestPayloadOrderVersionAndMIC(t *testing.T) {
	t.Parallel()
	version := []byte{6, 1, 0xb1, 0x1d, 0, 0, 0, 15}
	mic := make([]byte, micSize)
	mic[5] = 0x77
	base := auth{
		flags: FlagUnicode | FlagNTLM, lm: make([]byte, lmSize), nt: v2(avEnd),
		domain: wideText("CORP"), user: wideText("alice"), station: wideText("WS1"), key: make([]byte, 16),
	}
	promise := v2(av(6, []byte{2, 0, 0, 0}), avEnd)
	for _, c := range []struct {
		name         string
		flags        Flags
		fixed        []byte
		nt           []byte
		order        string
		version, mic bool
		anomaly      Anomaly
	}{
		{name: "neither", order: "lndusk"},
		{name: "names first, as Windows does", order: "dusnlk"},
		{name: "names last", order: "klnsud"},
		{name: "version", flags: FlagVersion, fixed: version, version: true},
		{name: "the flag alone", flags: FlagVersion},
		{name: "room for a version without the flag", fixed: version},
		{name: "version and MIC", flags: FlagVersion, fixed: join(version, mic), version: true, mic: true},
		{name: "an MIC of zeroes is none", flags: FlagVersion, fixed: join(version, make([]byte, 16)), version: true},
		{name: "MIC behind room for a version", fixed: join(make([]byte, 8), mic), mic: true},
		{name: "MIC without room for a version", fixed: mic, mic: true},
		{name: "promised and there", flags: FlagVersion, fixed: join(version, mic), nt: promise, version: true, mic: true},
		{name: "promised and taken out", nt: promise, anomaly: MICMissing},
		{name: "promised and zero", flags: FlagVersion, fixed: join(version, make([]byte, 16)), nt: promise, version: true, anomaly: MICMissing},
	} {
		a := base
		a.flags |= c.flags
		a.fixed, a.order = c.fixed, c.order
		if c.nt != nil {
			a.nt = c.nt
		}
		var m Message
		got := m.Decode(a.bytes())
		if got != c.anomaly || m.HasVersion != c.version || m.MIC != c.mic {
			t.Errorf("%s: %s, version %t, MIC %t", c.name, got, m.HasVersion, m.MIC)
		}
		if m.Domain != "CORP" || m.User != "alice" || m.Workstation != "WS1" || !m.NTLMv2 {
			t.Errorf("%s: %+v", c.name, m)
		}
		if m.HasVersion && m.Version != (Version{6, 1, 7601, 15}) {
			t.Errorf("%s: %+v", c.name, m.Version)
		}
	}
}

// trap 37: fields that overlap or lie outside.
func TestPlacesOfFields(t *testing.T) {
	t.Parallel()
	base := auth{flags: FlagUnicode, lm: make([]byte, 24), nt: make([]byte, 24), domain: wideText("CORP"), user: wideText("alice"), station: wideText("WS1")}.bytes()
	const user, station = 36, 44 // the fields
	for _, c := range []struct {
		name    string
		at      int
		off     uint32
		anomaly Anomaly
		user    string
		station string
	}{
		{"beyond the end", user, uint32(len(base) - 8), FieldOutside, "", "WS1"},
		{"wrapping an int of 32 bits", user, 0xfffffffe, FieldOutside, "", "WS1"},
		{"negative as an int of 32 bits", user, 0x80000000, FieldOutside, "", "WS1"},
		{"at the end", station, uint32(len(base) - 5), FieldOutside, "alice", ""},
		{"in the signature", user, 0, FieldInHeader, "", "WS1"},
		{"in the header", user, 51, FieldInHeader, "", "WS1"},
	} {
		b := append([]byte(nil), base...)
		binary.LittleEndian.PutUint32(b[c.at+4:], c.off)
		var m Message
		if a := m.Decode(b); a != c.anomaly || m.User != c.user || m.Workstation != c.station || m.Domain != "CORP" {
			t.Errorf("%s: %s, %+v", c.name, a, m)
		}
		if !m.HasFlags || m.Flags != FlagUnicode {
			t.Errorf("%s: flags %x", c.name, m.Flags)
		}
	}
	b := append([]byte(nil), base...)
	copy(b[station+4:station+8], b[user+4:user+8])
	var m Message
	if a := m.Decode(b); a != FieldsOverlap || m.User != "alice" || m.Workstation != "ali" {
		t.Errorf("overlap: %s, %+v", a, m)
	}
}

// trap 38: UTF-16 or OEM by the flag, and no character is lost.
func TestTextOfNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		flags   Flags
		user    []byte
		want    string
		anomaly Anomaly
	}{
		{"beyond ASCII", FlagUnicode, wideText("Jürgen Ольга"), "Jürgen Ольга", 0},
		{"beyond the BMP", FlagUnicode, wideText("a𝄞b"), "a𝄞b", 0},
		{"U+0100, which has a zero byte where ASCII has its letter", FlagUnicode, []byte{0, 1, 'b', 0}, "\u0100b", 0},
		{"a lone surrogate", FlagUnicode, []byte{0x34, 0xd8, 'b', 0}, "\ufffdb", 0},
		{"a surrogate at the end", FlagUnicode, []byte{'b', 0, 0x34, 0xd8}, "b\ufffd", 0},
		{"both flags", FlagUnicode | FlagOEM, wideText("bob"), "bob", 0},
		{"OEM", FlagOEM, []byte("BOB\x9a"), "BOB\u009a", 0},
		{"neither flag", 0, []byte("bob"), "bob", 0},
		{"half a character", FlagUnicode, []byte{'b', 0, 'o'}, "b", OddUnicode},
		{"a counted terminator", FlagUnicode, []byte{'b', 0, 0, 0}, "b", 0},
		{"nothing but a terminator", FlagUnicode, []byte{0, 0}, "", 0},
		{"longest", FlagUnicode, wideText(strings.Repeat("x", MaxName)), strings.Repeat("x", MaxName), 0},
		{"too long", FlagUnicode, wideText(strings.Repeat("x", MaxName+1)), strings.Repeat("x", MaxName), NameTooLong},
	} {
		var m Message
		if a := m.Decode(auth{flags: c.flags, nt: make([]byte, 24), user: c.user}.bytes()); a != c.anomaly || m.User != c.want {
			t.Errorf("%s: %s, %q", c.name, a, m.User)
		}
	}
}

// A client of before NT 4 SP 4 has neither session key nor flags.
func TestAuthenticateWithoutFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		encode func(string) []byte
	}{
		{"unicode", wideText},
		{"OEM", func(s string) []byte { return []byte(s) }},
	} {
		user, lm := c.encode("BOB"), make([]byte, 24)
		b := binary.LittleEndian.AppendUint32([]byte(signature), 3)
		for _, f := range [][2]int{{24, 52 + len(user)}, {0, 52}, {0, 52}, {len(user), 52}, {0, 52}} {
			b = binary.LittleEndian.AppendUint32(b, uint32(f[0]|f[0]<<16))
			b = binary.LittleEndian.AppendUint32(b, uint32(f[1]))
		}
		b = append(append(b, user...), lm...)
		var m Message
		if a := m.Decode(b); a != 0 || m != (Message{Type: Authenticate, User: "BOB", LMResponse: 24}) {
			t.Errorf("%s: %s, %+v", c.name, a, m)
		}
	}
}

// trap 37: AV pairs without an end, and with lengths that are not theirs.
func TestAVPairs(t *testing.T) {
	t.Parallel()
	var many []byte
	for i := range MaxAVPairs {
		many = append(many, av(uint16(100+i), nil)...)
	}
	full := join(av(1, wideText("DC1")), av(2, wideText("CORP")), av(3, wideText("dc1.corp.test")), av(4, wideText("corp.test")), av(5, wideText("test")),
		av(7, []byte{1, 2, 3, 4, 5, 6, 7, 8}), av(8, make([]byte, singleHost)), av(10, []byte("0123456789abcdef")), av(9, wideText("cifs/dc1")), av(6, []byte{5, 0, 0, 0}))
	all := TargetInfo{"DC1", "CORP", "dc1.corp.test", "corp.test", "test", "cifs/dc1", 0x0807060504030201, AVConstrained | AVUntrustedSPN, true, true}
	for _, c := range []struct {
		name    string
		list    []byte
		want    TargetInfo
		anomaly Anomaly
	}{
		{"all of them", join(full, avEnd), all, 0},
		{"padding behind the end", join(full, avEnd, []byte{0, 0, 0, 0}), all, 0},
		{"channel bindings of zeroes are none", join(av(10, make([]byte, 16)), avEnd), TargetInfo{}, 0},
		{"types of later versions", join(av(11, []byte("?")), av(0xffff, nil), av(1, wideText("A")), avEnd), TargetInfo{NetBIOSComputer: "A"}, 0},
		{"no end", full, all, AVUnterminated},
		{"nothing", nil, TargetInfo{}, AVUnterminated},
		{"cut in a header", join(av(1, wideText("A")), []byte{2, 0, 9}), TargetInfo{NetBIOSComputer: "A"}, AVTruncated},
		{"longer than the list", join(av(1, wideText("A")), []byte{2, 0, 9, 0, 'B', 0}, avEnd), TargetInfo{NetBIOSComputer: "A"}, AVTruncated},
		{"twice", join(av(1, wideText("A")), av(1, wideText("B")), avEnd), TargetInfo{NetBIOSComputer: "A"}, DuplicateAV},
		{"flags of three bytes", join(av(6, []byte{2, 0, 0}), avEnd), TargetInfo{}, AVLength},
		{"an end with a value", join(av(1, wideText("A")), av(0, []byte{1})), TargetInfo{NetBIOSComputer: "A"}, AVLength},
		{"half a character", join(av(1, []byte{'A', 0, 'B'}), avEnd), TargetInfo{NetBIOSComputer: "A"}, OddUnicode},
		{"too many", join(many, avEnd), TargetInfo{}, TooManyAVs},
	} {
		var m Message
		if a := m.Decode(auth{flags: FlagUnicode, user: wideText("u"), nt: v2(c.list)}.bytes()); a != c.anomaly || m.Info != c.want {
			t.Errorf("%s: %s, %+v", c.name, a, m.Info)
		}
	}
}

func TestResponseLengths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		lm, nt  []byte
		anomaly Anomaly
	}{
		{"NTLM and LM", make([]byte, 24), make([]byte, 24), 0},
		{"LM alone", make([]byte, 24), nil, 0},
		{"an NT response that is neither version", nil, make([]byte, 40), BadResponse},
		{"long enough for version 2 but of another type", nil, make([]byte, 60), BadResponse},
		{"a short LM response", make([]byte, 8), make([]byte, 24), BadResponse},
		{"an LM response of one byte that is not zero", []byte{1}, nil, BadResponse},
	} {
		var m Message
		if a := m.Decode(auth{flags: FlagUnicode, user: wideText("u"), lm: c.lm, nt: c.nt}.bytes()); a != c.anomaly || m.LMResponse != len(c.lm) || m.NTResponse != len(c.nt) {
			t.Errorf("%s: %s, %+v", c.name, a, m)
		}
	}
}

// traps 39 and 40: anonymity has several signs, and no single one decides.
func TestAnonymous(t *testing.T) {
	t.Parallel()
	real, zero := make([]byte, 24), []byte{0}
	const empty = EmptyNTResponse | EmptyLMResponse
	for _, c := range []struct {
		name    string
		a       auth
		signals Signals
		want    bool
	}{
		{"as Windows and Samba ask for it", auth{flags: FlagAnonymous, lm: zero}, AnonymousFlag | empty | EmptyUser | EmptyDomain, true},
		{"without the flag, by MS-NLMP 3.2.5.1.2", auth{lm: zero}, empty | EmptyUser | EmptyDomain, true},
		{"without any LM response", auth{}, empty | EmptyUser | EmptyDomain, true},
		{"with a domain", auth{domain: []byte("CORP")}, empty | EmptyUser, true},
		{"with the flag and a name, but nothing to prove it", auth{flags: FlagAnonymous, user: []byte("bob")}, AnonymousFlag | empty | EmptyDomain, true},
		{"a name and nothing to prove it", auth{user: []byte("bob")}, empty | EmptyDomain, false},
		{"an empty user with a real response", auth{lm: real, nt: real}, EmptyUser | EmptyDomain, false},
		{"the flag with a real response", auth{flags: FlagAnonymous, user: []byte("bob"), domain: []byte("CORP"), nt: real}, AnonymousFlag | EmptyLMResponse, false},
		{"an LM response alone", auth{user: []byte("bob"), domain: []byte("CORP"), lm: real}, EmptyNTResponse, false},
		{"guest by name", auth{user: []byte("Guest"), nt: real, lm: real}, EmptyDomain, false},
	} {
		var m Message
		if a := m.Decode(c.a.bytes()); a != 0 || m.Signals() != c.signals || m.Anonymous() != c.want {
			t.Errorf("%s: %s, signals %05b, anonymous %t", c.name, a, m.Signals(), m.Anonymous())
		}
	}
	// A name in a place outside of the message is not an empty one.
	b := auth{user: []byte("bob")}.bytes()
	binary.LittleEndian.PutUint32(b[40:], 0xffff)
	var m Message
	if a := m.Decode(b); a != FieldOutside || m.User != "" || m.Anonymous() {
		t.Errorf("a user outside of the message: %s, %+v", a, m)
	}
	if s := (&Message{Type: Negotiate}).Signals(); s != 0 {
		t.Errorf("signals of a NEGOTIATE_MESSAGE: %b", s)
	}
}

func TestNoMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		b       []byte
		anomaly Anomaly
	}{
		{"nothing", nil, BadSignature},
		{"half a signature", []byte("NTLM"), BadSignature},
		{"a signature", []byte(signature), ShortMessage},
		{"type 0", []byte(signature + "\x00\x00\x00\x00"), BadType},
		{"a big-endian type", []byte(signature + "\x00\x00\x00\x01"), BadType},
		{"a type whose low byte is one", []byte(signature + "\x01\x01\x00\x00"), BadType},
	} {
		m := Message{User: "left over"}
		if a := m.Decode(c.b); a != c.anomaly || m != (Message{}) {
			t.Errorf("%s: %s, %+v", c.name, a, m)
		}
	}
}

// Each byte less is an anomaly or a message of old; none panics.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for _, s := range []string{challengeV1, authenticateV1, challengeV2, authenticateV2} {
		b := unhex(t, s)
		for n := range b {
			var m Message
			if a := m.Decode(b[:n:n]); a == 0 {
				t.Errorf("%d of %d bytes: no anomaly", n, len(b))
			}
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for a := Anomaly(0); a < anomalies; a++ {
		if n := a.String(); n == "" || seen[n] {
			t.Errorf("anomaly %d is named %q", a, n)
		}
		seen[a.String()] = true
	}
	if Anomaly(200).String() != "anomaly(200)" || Anomaly(200).Evasive() || Type(9).String() != "type(9)" || Challenge.String() != "challenge" {
		t.Error("names of unknown numbers")
	}
}

// A hostile message allocates nothing, one with names a string for each.
func TestAllocations(t *testing.T) {
	b := unhex(t, authenticateV2)
	var m Message
	if n := testing.AllocsPerRun(100, func() { m.Decode(b) }); n > 5 {
		t.Errorf("%v allocations for five names", n)
	}
	binary.LittleEndian.PutUint32(b[8:], 7)
	if n := testing.AllocsPerRun(100, func() { m.Decode(b) }); n != 0 {
		t.Errorf("%v allocations for none", n)
	}
}
