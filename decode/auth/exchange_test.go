package auth

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"unsafe"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// el is an element of BER.
func el(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	if n := len(content); n >= 0x80 {
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, content...)
	}
	return append([]byte{tag, byte(len(content))}, content...)
}

func text(s string) []byte { return el(27, []byte(s)) }

// Contents of OBJECT IDENTIFIERs.
const (
	oidSPNEGO     = "\x2b\x06\x01\x05\x05\x02"
	oidNTLM       = "\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a"
	oidKerberos   = "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"
	oidMSKerberos = "\x2a\x86\x48\x82\xf7\x12\x01\x02\x02"
	oidIAKERB     = "\x2b\x06\x01\x05\x02\x05"
	oidNegoEx     = "\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x1e"
)

func offer(token []byte, oids ...string) []byte {
	var list []byte
	for _, o := range oids {
		list = append(list, el(6, []byte(o))...)
	}
	fields := el(0xa0, el(0x30, list))
	if token != nil {
		fields = append(fields, el(0xa2, el(4, token))...)
	}
	return el(0x60, el(6, []byte(oidSPNEGO)), el(0xa0, el(0x30, fields)))
}

// answer is a NegTokenResp: a state of 0 to 3 or -1, what is chosen or "", a
// token or nil.
func answer(state int, chosen string, token []byte) []byte {
	var fields []byte
	if state >= 0 {
		fields = append(fields, el(0xa0, el(10, []byte{byte(state)}))...)
	}
	if chosen != "" {
		fields = append(fields, el(0xa1, el(6, []byte(chosen)))...)
	}
	if token != nil {
		fields = append(fields, el(0xa2, el(4, token))...)
	}
	return el(0xa1, el(0x30, fields))
}

func ntlmNegotiate() []byte { return append([]byte("NTLMSSP\x00\x01\x00\x00\x00"), 5, 2, 8, 0) }

func ntlmChallenge() []byte {
	return append([]byte("NTLMSSP\x00\x02\x00\x00\x00\x00\x00\x00\x00\x20\x00\x00\x00\x05\x02\x00\x00"), "01234567"...)
}

// ntlmAuthenticate has names in OEM.
func ntlmAuthenticate(flags uint32, domain, user, workstation string, lm, nt int) []byte {
	le := binary.LittleEndian
	b := []byte("NTLMSSP\x00\x03\x00\x00\x00")
	at := 64
	for _, n := range []int{lm, nt, len(domain), len(user), len(workstation), 0} {
		b = le.AppendUint16(b, uint16(n))
		b = le.AppendUint16(b, uint16(n))
		b = le.AppendUint32(b, uint32(at))
		at += n
	}
	b = le.AppendUint32(b, flags|2)
	b = append(b, make([]byte, lm+nt)...)
	return append(b, domain+user+workstation...)
}

const anonymousFlag = 0x800

// apReq is an AP-REQ, raw.
func apReq(realm string, service ...string) []byte {
	var names []byte
	for _, s := range service {
		names = append(names, text(s)...)
	}
	ints := func(tag byte, v byte) []byte { return el(tag, el(2, []byte{v})) }
	enc := el(0x30, ints(0xa0, 18), el(0xa2, el(4, []byte("cipher"))))
	ticket := el(0x61, el(0x30, ints(0xa0, 5), el(0xa1, text(realm)),
		el(0xa2, el(0x30, ints(0xa0, 2), el(0xa1, el(0x30, names)))), el(0xa3, enc)))
	return el(0x6e, el(0x30, ints(0xa0, 5), ints(0xa1, 14), el(0xa2, el(3, []byte{0, 0x20, 0, 0, 0})), el(0xa3, ticket), el(0xa4, enc)))
}

func apRep() []byte {
	return el(0x6f, el(0x30, el(0xa0, el(2, []byte{5})), el(0xa1, el(2, []byte{15})), el(0xa2, el(0x30, el(0xa0, el(2, []byte{18})), el(0xa2, el(4, []byte("cipher")))))))
}

func krbError(code byte) []byte {
	ints := func(tag byte, v byte) []byte { return el(tag, el(2, []byte{v})) }
	return el(0x7e, el(0x30, ints(0xa0, 5), ints(0xa1, 30), el(0xa4, el(24, []byte("20260101000000Z"))), ints(0xa5, 0), ints(0xa6, code),
		el(0xa9, text("CORP.TEST")), el(0xaa, el(0x30, ints(0xa0, 2), el(0xa1, el(0x30, text("cifs"), text("dc1")))))))
}

func gssKerberos(id string, message []byte) []byte {
	return el(0x60, el(6, []byte(oidKerberos)), []byte(id), message)
}

// step is a token of the client or of the server.
type step struct {
	server bool
	b      []byte
}

func c(b []byte) step { return step{false, b} }
func s(b []byte) step { return step{true, b} }

func TestExchanges(t *testing.T) {
	t.Parallel()
	real := ntlmAuthenticate(0, "CORP", "alice", "WS1", 24, 24)
	alice := Caller{Kind: Named, Mechanism: NTLM, Domain: "CORP", User: "alice", Workstation: "WS1"}
	null := ntlmAuthenticate(anonymousFlag, "", "", "", 1, 0)
	nobody := Caller{Kind: Anonymous, Mechanism: NTLM, Evidence: AnonymousFlag | EmptyResponse | EmptyUser}
	ticket := gssKerberos("\x01\x00", apReq("CORP.TEST", "cifs", "dc1"))
	cifs := Caller{Kind: Named, Mechanism: Kerberos, Service: "cifs/dc1", Realm: "CORP.TEST"}
	word := func(c Caller, a Accepted) Caller { c.Accepted = a; return c }
	for _, tt := range []struct {
		name    string
		carrier Mechanism
		steps   []step
		want    Caller
		str     string
		told    bool
		anomaly Anomaly // the first
	}{
		{name: "nothing", str: "unknown"},
		{name: "trap 41: an empty token", carrier: Negotiate, steps: []step{c(nil), s(nil)}, want: Caller{Mechanism: Negotiate}, str: "unknown"},

		{name: "trap 35: raw NTLM in DCE/RPC, of which the server says no word", carrier: NTLM,
			steps: []step{c(ntlmNegotiate()), s(ntlmChallenge()), c(real)}, want: alice, str: `CORP\alice`, told: true},
		{name: "no more than a challenge", carrier: NTLM, steps: []step{c(ntlmNegotiate()), s(ntlmChallenge())}, want: Caller{Mechanism: NTLM}, str: "unknown"},
		{name: "from the last token on", carrier: NTLM, steps: []step{c(real)}, want: alice, str: `CORP\alice`, told: true},
		{name: "NTLM in SPNEGO, with the server's word", carrier: Negotiate,
			steps: []step{c(offer(ntlmNegotiate(), oidNTLM)), s(answer(1, oidNTLM, ntlmChallenge())), c(answer(-1, "", real)), s(answer(0, "", nil))},
			want:  word(alice, Yes), str: `CORP\alice`, told: true},
		{name: "refused by SPNEGO", carrier: Negotiate,
			steps: []step{c(offer(ntlmNegotiate(), oidNTLM)), s(answer(1, oidNTLM, ntlmChallenge())), c(answer(-1, "", real)), s(answer(2, "", nil))},
			want:  word(alice, No), str: `CORP\alice`, told: true},
		{name: "trap 36: raw NTLM where SPNEGO was expected", carrier: Negotiate, steps: []step{c(ntlmNegotiate()), s(ntlmChallenge()), c(real)}, want: alice, str: `CORP\alice`, told: true},
		{name: "SPNEGO where NTLM was expected", carrier: NTLM, steps: []step{c(offer(ntlmNegotiate(), oidNTLM)), s(answer(1, oidNTLM, ntlmChallenge())), c(answer(-1, "", real))}, want: alice, str: `CORP\alice`, told: true},
		{name: "a second authentication takes the place of the first", carrier: NTLM,
			steps: []step{c(ntlmNegotiate()), s(ntlmChallenge()), c(real), c(ntlmNegotiate()), s(ntlmChallenge()), c(null)}, want: nobody, str: "anonymous", told: true},

		{name: "trap 39: anonymous by every sign", carrier: Negotiate,
			steps: []step{c(offer(ntlmNegotiate(), oidNTLM)), s(answer(1, oidNTLM, ntlmChallenge())), c(answer(-1, "", null)), s(answer(0, "", nil))},
			want:  word(nobody, Yes), str: "anonymous", told: true},
		{name: "trap 39: anonymous without the flag", carrier: NTLM, steps: []step{c(ntlmAuthenticate(0, "", "", "WS1", 1, 0))},
			want: Caller{Kind: Anonymous, Mechanism: NTLM, Evidence: EmptyResponse | EmptyUser, Workstation: "WS1"}, str: "anonymous", told: true},
		{name: "trap 39: anonymous by the flag with a name", carrier: NTLM, steps: []step{c(ntlmAuthenticate(anonymousFlag, "", "x", "", 0, 0))},
			want: Caller{Kind: Anonymous, Mechanism: NTLM, Evidence: EmptyResponse | AnonymousFlag, User: "x"}, str: "anonymous", told: true},
		{name: "trap 40: an empty user with a response is not anonymous", carrier: NTLM, steps: []step{c(ntlmAuthenticate(0, "", "", "WS1", 24, 24))},
			want: Caller{Mechanism: NTLM, Evidence: EmptyUser, Workstation: "WS1"}, str: "unknown", told: true},
		{name: "the flag with a response is not anonymous", carrier: NTLM, steps: []step{c(ntlmAuthenticate(anonymousFlag, "CORP", "alice", "", 24, 24))},
			want: Caller{Kind: Named, Mechanism: NTLM, Evidence: AnonymousFlag, Domain: "CORP", User: "alice"}, str: `CORP\alice`, told: true},

		{name: "Kerberos in SPNEGO, mutual", carrier: Negotiate,
			steps: []step{c(offer(ticket, oidMSKerberos, oidKerberos, oidNTLM)), s(answer(0, oidMSKerberos, gssKerberos("\x02\x00", apRep())))},
			want:  word(cifs, Yes), str: "ticket for cifs/dc1@CORP.TEST", told: true},
		{name: "the server calls Kerberos by its other name", carrier: Negotiate,
			steps: []step{c(offer(ticket, oidMSKerberos)), s(answer(0, oidKerberos, nil))}, want: word(cifs, Yes), str: "ticket for cifs/dc1@CORP.TEST", told: true},
		{name: "trap 36: Kerberos in DCE/RPC, three legs", carrier: Kerberos,
			steps: []step{c(gssKerberos("\x01\x00", apReq("CORP.TEST", "host", "dc1"))), s(apRep()), c(apRep())},
			want:  Caller{Kind: Named, Mechanism: Kerberos, Service: "host/dc1", Realm: "CORP.TEST", Accepted: Yes}, str: "ticket for host/dc1@CORP.TEST", told: true},
		{name: "trap 36: an AP-REQ without any framing", carrier: Kerberos, steps: []step{c(apReq("CORP.TEST", "cifs", "dc1"))}, want: cifs, str: "ticket for cifs/dc1@CORP.TEST", told: true},
		{name: "from the answer to a ticket on", carrier: Kerberos, steps: []step{s(gssKerberos("\x02\x00", apRep()))},
			want: Caller{Kind: Named, Mechanism: Kerberos, Accepted: Yes}, str: "named by kerberos"},
		{name: "IAKERB, which asks the KDC by way of the server first", carrier: Negotiate,
			steps: []step{c(offer(nil, oidIAKERB, oidNTLM)), s(answer(1, oidIAKERB, nil)),
				c(answer(1, "", el(0x60, el(6, []byte(oidIAKERB)), []byte("\x05\x01\x30\x00")))),
				c(answer(1, "", el(0x60, el(6, []byte(oidIAKERB)), []byte("\x01\x00"), apReq("CORP.TEST", "cifs", "dc1")))),
				s(answer(0, "", gssKerberos("\x02\x00", apRep())))},
			want: word(cifs, Yes), str: "ticket for cifs/dc1@CORP.TEST", told: true},
		{name: "refused by Kerberos", carrier: Negotiate, steps: []step{c(offer(ticket, oidKerberos)), s(answer(1, oidKerberos, gssKerberos("\x03\x00", krbError(37))))},
			want: word(cifs, No), str: "ticket for cifs/dc1@CORP.TEST", told: true},
		{name: "refused for the clock, and again", carrier: Negotiate,
			steps: []step{c(offer(ticket, oidKerberos)), s(answer(1, oidKerberos, gssKerberos("\x03\x00", krbError(37)))), c(answer(-1, "", ticket))},
			want:  cifs, str: "ticket for cifs/dc1@CORP.TEST", told: true},
		{name: "wrapped tokens of SASL", carrier: Kerberos, steps: []step{c(ticket), s(gssKerberos("\x02\x00", apRep())), c(nil), s(append([]byte{5, 4}, make([]byte, 30)...)), c(append([]byte{5, 4}, make([]byte, 30)...))},
			want: word(cifs, Yes), str: "ticket for cifs/dc1@CORP.TEST", told: true},

		{name: "the optimistic token is refused and NTLM chosen", carrier: Negotiate,
			steps: []step{c(offer(ticket, oidMSKerberos, oidNTLM)), s(answer(1, oidNTLM, nil))}, want: Caller{Mechanism: NTLM}, str: "unknown"},
		{name: "and then NTLM takes place", carrier: Negotiate,
			steps: []step{c(offer(ticket, oidMSKerberos, oidNTLM)), s(answer(3, oidNTLM, nil)), c(answer(-1, "", ntlmNegotiate())), s(answer(1, "", ntlmChallenge())), c(answer(-1, "", null)), s(answer(0, "", nil))},
			want:  word(nobody, Yes), str: "anonymous", told: true},
		{name: "an offer without a token", carrier: Negotiate, steps: []step{c(offer(nil, oidMSKerberos, oidNTLM))}, want: Caller{Mechanism: Negotiate}, str: "unknown"},
		{name: "an offer by a server first", carrier: Negotiate, steps: []step{s(offer(nil, oidMSKerberos, oidNTLM)), c(offer(ntlmNegotiate(), oidNTLM)), s(answer(1, oidNTLM, ntlmChallenge())), c(answer(-1, "", real))},
			want: alice, str: `CORP\alice`, told: true},
		{name: "NegoEx", carrier: Negotiate, steps: []step{c(offer([]byte("NEGOEXTS...."), oidNegoEx, oidNTLM))}, want: Caller{Mechanism: NegoEx}, str: "unknown"},
		{name: "NegoEx, and NTLM chosen", carrier: Negotiate,
			steps: []step{c(offer([]byte("NEGOEXTS...."), oidNegoEx, oidNTLM)), s(answer(1, oidNTLM, nil)), c(answer(-1, "", ntlmNegotiate())), s(answer(1, "", ntlmChallenge())), c(answer(-1, "", real))},
			want:  alice, str: `CORP\alice`, told: true},
		{name: "a mechanism of tomorrow", carrier: Negotiate, steps: []step{c(offer([]byte("?"), "\x2a\x03")), s(answer(1, "\x2a\x03", []byte("!")))}, want: Caller{Mechanism: OtherMechanism}, str: "unknown"},

		{name: "the secure channel", carrier: Netlogon, steps: []step{
			c(unhex(t, "00000000 17000000 424c41434b434c4f56455200 434254482d57532d3200 0b626c61636b636c6f766572056c6f63616c00 09434254482d57532d3200")),
			s(unhex(t, "01000000 00000000 00000000"))},
			want: Caller{Kind: Named, Mechanism: Netlogon, Domain: "BLACKCLOVER", User: "CBTH-WS-2$", Workstation: "CBTH-WS-2", Accepted: Yes}, str: `BLACKCLOVER\CBTH-WS-2$`, told: true},
		{name: "the secure channel where nothing was said of it", steps: []step{c(unhex(t, "00000000 02000000 575300"))},
			want: Caller{Kind: Named, Mechanism: Netlogon, User: "WS$", Workstation: "WS"}, str: "WS$", told: true},

		{name: "SASL PLAIN", carrier: Plain, steps: []step{c([]byte("\x00bob\x00secret"))}, want: Caller{Kind: Named, Mechanism: Plain, User: "bob"}, str: "bob", told: true},
		{name: "SASL DIGEST-MD5", carrier: Digest, steps: []step{s([]byte(`realm="CORP",nonce="x"`)), c([]byte(`charset=utf-8,username="al\"ice, x",realm="CORP",nonce="n",response=00`))},
			want: Caller{Kind: Named, Mechanism: Digest, Domain: "CORP", User: `al"ice, x`}, str: `CORP\al"ice, x`, told: true},
		{name: "SASL EXTERNAL", carrier: External, steps: []step{c([]byte("dn:cn=x"))}, want: Caller{Kind: Named, Mechanism: External, User: "dn:cn=x"}, str: "dn:cn=x", told: true},
		{name: "a mechanism that is not looked into", carrier: Schannel, steps: []step{c([]byte{0x16, 3, 1})}, want: Caller{Mechanism: Schannel}, str: "unknown"},

		{name: "rubbish", carrier: Negotiate, steps: []step{c([]byte("rubbish"))}, want: Caller{Mechanism: Negotiate}, str: "unknown", anomaly: UnknownToken},
		{name: "a challenge from the client", carrier: NTLM, steps: []step{c(ntlmChallenge())}, want: Caller{Mechanism: NTLM}, str: "unknown", anomaly: WrongDirection},
		{name: "a name from the server", carrier: NTLM, steps: []step{s(real)}, want: Caller{Mechanism: NTLM}, str: "unknown", anomaly: WrongDirection},
		{name: "an AP-REQ from the server", carrier: Kerberos, steps: []step{s(ticket)}, want: Caller{Mechanism: Kerberos}, str: "unknown", anomaly: WrongDirection},
		{name: "SPNEGO in SPNEGO", carrier: Negotiate, steps: []step{c(offer(offer(ntlmAuthenticate(0, "", "x", "", 24, 24), oidNTLM), oidSPNEGO))}, want: Caller{Mechanism: OtherMechanism}, str: "unknown", anomaly: NestedNegotiation},
		{name: "a choice that was not offered is followed", carrier: Negotiate, steps: []step{c(offer(nil, oidKerberos)), s(answer(1, oidNTLM, ntlmChallenge())), c(answer(-1, "", real))},
			want: alice, str: `CORP\alice`, told: true, anomaly: UnofferedMechanism},
		{name: "bytes of no mechanism in the place of NTLM", carrier: Negotiate, steps: []step{c(offer([]byte("?"), oidNTLM))}, want: Caller{Mechanism: NTLM}, str: "unknown", anomaly: UnknownToken},
		{name: "a malformed message of NTLM", carrier: NTLM, steps: []step{c(real[:40])}, want: Caller{Mechanism: NTLM}, str: "unknown", anomaly: ofNTLM | 3},
		{name: "a cut token of SPNEGO", carrier: Negotiate, steps: []step{c(offer(ntlmNegotiate(), oidNTLM)[:30])}, want: Caller{Mechanism: Negotiate}, str: "unknown", anomaly: ofSPNEGO | 2},
		{name: "a cut ticket", carrier: Kerberos, steps: []step{c(ticket[:60])}, want: Caller{Mechanism: Kerberos}, str: "unknown", anomaly: ofKerberos | 2},
		{name: "half of a secure channel's token", carrier: Netlogon, steps: []step{c([]byte{0, 0, 0, 0, 1, 0})}, want: Caller{Mechanism: Netlogon}, str: "unknown", anomaly: ShortNetlogon},
		{name: "a secure channel's token of no type", carrier: Netlogon, steps: []step{c(unhex(t, "02000000 01000000 4100"))}, want: Caller{Mechanism: Netlogon}, str: "unknown", anomaly: BadNetlogon},
	} {
		var x Exchange
		x.Reset(tt.carrier)
		var anomaly Anomaly
		for _, st := range tt.steps {
			if a := x.Token(!st.server, st.b); anomaly == 0 {
				anomaly = a
			}
		}
		got := x.Caller()
		if *got != tt.want || got.String() != tt.str || x.Told() != tt.told || anomaly != tt.anomaly {
			t.Errorf("%s: %+v, %s, told %t, %s %s\nwant %+v, %s, %s", tt.name, *got, got, x.Told(), anomaly.Protocol(), anomaly, tt.want, tt.str, tt.anomaly)
		}
		if x.Done() != (tt.want.Accepted != Undecided) {
			t.Errorf("%s: done %t", tt.name, x.Done())
		}
	}
}

func TestCarriersThatNameTheCaller(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(*Exchange)
		want Caller
	}{
		{"an SMB1 null session", func(x *Exchange) { x.LanMan("", "", true) }, Caller{Kind: Anonymous, Mechanism: LanMan, Evidence: EmptyResponse | EmptyUser}},
		{"SMB1 with a response", func(x *Exchange) { x.LanMan("CORP", "bob", false) }, Caller{Kind: Named, Mechanism: LanMan, Domain: "CORP", User: "bob"}},
		{"SMB1 with a name alone", func(x *Exchange) { x.LanMan("", "bob", true) }, Caller{Kind: Named, Mechanism: LanMan, User: "bob", Evidence: EmptyResponse}},
		{"SMB1 with a response alone", func(x *Exchange) { x.LanMan("", "", false) }, Caller{Mechanism: LanMan, Evidence: EmptyUser}},
		{"LDAP with a password", func(x *Exchange) { x.Simple([]byte("cn=bob"), true) }, Caller{Kind: Named, Mechanism: Simple, User: "cn=bob"}},
		{"LDAP without anything", func(x *Exchange) { x.Simple(nil, false) }, Caller{Kind: Anonymous, Mechanism: Simple, Evidence: LDAPAnonymous}},
		{"LDAP with a name alone", func(x *Exchange) { x.Simple([]byte("cn=bob"), false) }, Caller{Kind: Anonymous, Mechanism: Simple, User: "cn=bob", Evidence: LDAPUnauthenticated}},
		{"LDAP with a password alone", func(x *Exchange) { x.Simple(nil, true) }, Caller{Mechanism: Simple, Evidence: EmptyUser}},
		{"trap 40: the server lets a name in as guest", func(x *Exchange) {
			x.Reset(NTLM)
			x.Token(true, ntlmAuthenticate(0, "CORP", "bob", "", 24, 24))
			x.Note(GuestSession)
			x.Accept(true)
		}, Caller{Kind: Guest, Mechanism: NTLM, Domain: "CORP", User: "bob", Evidence: GuestSession, Accepted: Yes}},
		{"trap 40: a null session that is let in as guest is a guest's", func(x *Exchange) {
			x.LanMan("", "", true)
			x.Note(GuestSession)
		}, Caller{Kind: Guest, Mechanism: LanMan, Evidence: EmptyResponse | EmptyUser | GuestSession}},
		{"the server marks a session as null", func(x *Exchange) {
			x.Reset(Negotiate)
			x.Note(NullSession)
			x.Accept(true)
		}, Caller{Kind: Anonymous, Mechanism: Negotiate, Evidence: NullSession, Accepted: Yes}},
		{"the status counts more than SPNEGO's state", func(x *Exchange) {
			x.Reset(Negotiate)
			x.Token(false, answer(0, "", nil))
			x.Accept(false)
		}, Caller{Mechanism: Negotiate, Accepted: No}},
	} {
		var x Exchange
		tt.do(&x)
		if got := x.Caller(); *got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, *got, tt.want)
		}
	}
}

// A caller that was given out does not change, and is the same until something
// does.
func TestCallersAreShared(t *testing.T) {
	t.Parallel()
	var x, y Exchange
	if x.Caller() != Nobody {
		t.Error("of a new exchange nobody is known")
	}
	var shared Tokens
	x.Share(&shared)
	y.Share(&shared)
	x.Reset(NTLM)
	y.Reset(NTLM)
	x.Token(true, ntlmAuthenticate(0, "CORP", "alice", "", 24, 24))
	y.Token(true, ntlmAuthenticate(0, "CORP", "bob", "", 24, 24))
	alice := x.Caller()
	copied := *alice
	if x.Caller() != alice || x.Tokens() != y.Tokens() || x.Tokens().NTLM.User != "bob" || x.Tokens().Layers != LayerNTLM {
		t.Error("a caller that has not changed is another")
	}
	x.Accept(true)
	if accepted := x.Caller(); accepted == alice || accepted.Accepted != Yes || *alice != copied {
		t.Error("a caller changed after it was given out")
	}
	x.Reset(Kerberos)
	if *alice != copied || alice.String() != `CORP\alice` || x.Steps() != 0 {
		t.Error("a caller changed with the next exchange")
	}
}

func TestTokensTellTheLayers(t *testing.T) {
	t.Parallel()
	var x Exchange
	x.Token(true, offer(ntlmNegotiate(), oidNTLM))
	if l := x.Tokens().Layers; l != LayerSPNEGO|LayerNTLM || len(x.Tokens().SPNEGO.Mechs) != 1 {
		t.Errorf("layers %b", l)
	}
	if x.Steps() != SeenNegotiate {
		t.Errorf("steps %b", x.Steps())
	}
	x.Token(false, answer(1, oidNTLM, ntlmChallenge()))
	if x.Steps() != SeenNegotiate|SeenChallenge {
		t.Errorf("steps %b", x.Steps())
	}
	x.Token(true, nil)
	if x.Tokens().Layers != 0 {
		t.Error("an empty token has layers")
	}
}

func TestNetlogonNames(t *testing.T) {
	t.Parallel()
	loop := "00000000 04000000 0161 c008"
	for _, tt := range []struct {
		name, hex string
		want      NetlogonMessage
		anomaly   Anomaly
	}{
		{"all of them, with a pointer", "00000000 1f000000 434f525000 57533100 04636f7270047465737400 03777331c011 0357533100",
			NetlogonMessage{Flags: 0x1f, Domain: "CORP", Computer: "WS1", DNSDomain: "corp.test", DNSHost: "ws1.corp.test", ComputerUTF8: "WS1"}, 0},
		{"a pointer to the domain", "00000000 0c000000 04636f7270047465737400 03777331c008", NetlogonMessage{Flags: 12, DNSDomain: "corp.test", DNSHost: "ws1.corp.test"}, 0},
		{"a pointer to itself", loop, NetlogonMessage{Flags: 4}, BadNetlogon},
		{"a pointer forward", "00000000 04000000 c00a 0000", NetlogonMessage{Flags: 4}, BadNetlogon},
		{"a label that is longer than the message", "00000000 04000000 0561", NetlogonMessage{Flags: 4}, ShortNetlogon},
		{"no end", "00000000 01000000 4142", NetlogonMessage{Flags: 1}, ShortNetlogon},
		{"a length that is reserved", "00000000 04000000 4100", NetlogonMessage{Flags: 4}, BadNetlogon},
		{"no UTF-8", "00000000 04000000 01ff00", NetlogonMessage{Flags: 4}, BadNetlogon},
		{"beyond ASCII", "00000000 01000000 fc00", NetlogonMessage{Flags: 1, Domain: "ü"}, 0},
		{"too long", "00000000 01000000" + strings.Repeat("41", 300) + "00", NetlogonMessage{Flags: 1}, BadNetlogon},
		{"an answer", "01000000 00000000", NetlogonMessage{Response: true}, 0},
		{"nothing", "", NetlogonMessage{}, ShortNetlogon},
	} {
		var m NetlogonMessage
		a := m.Decode(unhex(t, tt.hex))
		if a != tt.anomaly || m != tt.want {
			t.Errorf("%s: %s, %+v, want %s, %+v", tt.name, a, m, tt.anomaly, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for a := Anomaly(0); a < anomalies; a++ {
		if a.String() == "" || a.Protocol() != "auth" {
			t.Errorf("anomaly %d: %s %q", a, a.Protocol(), a)
		}
	}
	for _, tt := range []struct {
		a              Anomaly
		protocol, name string
		evasive        bool
	}{
		{ofNTLM | 15, "ntlmssp", "mic-missing", true},
		{ofSPNEGO | 5, "spnego", "duplicate-field", true},
		{ofKerberos | 2, "kerberos", "cut-message", false},
		{NestedNegotiation, "auth", "nested-negotiation", true},
		{0x7f, "auth", "anomaly(127)", false},
	} {
		if tt.a.Protocol() != tt.protocol || tt.a.String() != tt.name || tt.a.Evasive() != tt.evasive {
			t.Errorf("%x: %s, %s, %t", uint16(tt.a), tt.a.Protocol(), tt.a, tt.a.Evasive())
		}
	}
	if spnegoAnomaly(0)|ntlmAnomaly(0)|kerberosAnomaly(0) != 0 {
		t.Error("no anomaly is one")
	}
	for m := NoMechanism; m <= OtherMechanism; m++ {
		if m != OtherMechanism && m.String() == "other" || m.String() == "" {
			t.Errorf("mechanism %d is named %q", m, m)
		}
	}
	if AuthType(9) != Negotiate || AuthType(10) != NTLM || AuthType(16) != Kerberos || AuthType(68) != Netlogon || AuthType(99) != OtherMechanism || AuthType(0) != NoMechanism {
		t.Error("authentication types")
	}
	if SASL([]byte("GSS-SPNEGO")) != Negotiate || SASL([]byte("GSSAPI")) != Kerberos || SASL([]byte("DIGEST-MD5")) != Digest || SASL([]byte("X")) != OtherMechanism {
		t.Error("SASL mechanisms")
	}
}

// Millions of exchanges may be open.
func TestExchangeIsSmall(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(Exchange{}); n > 128 {
		t.Errorf("%d bytes", n)
	}
}

func TestAllocations(t *testing.T) {
	var x Exchange
	first, second := offer(ntlmNegotiate(), oidNTLM), answer(1, oidNTLM, ntlmChallenge())
	rubbish := []byte("rubbish")
	x.Token(true, first)
	if n := testing.AllocsPerRun(100, func() {
		x.Token(true, first)
		x.Token(false, second)
		x.Token(true, rubbish)
	}); n != 0 {
		t.Errorf("%v allocations before a name", n)
	}
	last := answer(-1, "", ntlmAuthenticate(0, "CORP", "alice", "WS1", 24, 24))
	if n := testing.AllocsPerRun(100, func() {
		x.Token(true, last)
		x.Accept(true)
		x.Caller()
		x.Caller()
	}); n > 4 {
		t.Errorf("%v allocations for three names and the caller", n)
	}
}
