package auth

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// script writes steps as FuzzExchange reads them: a byte for the end, two for
// the length, the token.
func script(steps ...step) (b []byte) {
	for _, s := range steps {
		end := byte(0)
		if s.server {
			end = 1
		}
		b = append(append(b, end, byte(len(s.b)>>8), byte(len(s.b))), s.b...)
	}
	return b
}

// FuzzExchange runs an exchange. The oracle: another that shares its tokens
// with a third gives the same; a caller once given out stays as it is, and is
// given out again until something changes; its names are bounded and valid, and
// hold nothing of a password; anonymous and guest have their evidence; the
// server's word comes from the server.
func FuzzExchange(f *testing.F) {
	ticket := gssKerberos("\x01\x00", apReq("CORP.TEST", "cifs", "dc1"))
	null := ntlmAuthenticate(anonymousFlag, "", "", "", 1, 0)
	for _, s := range [][]step{
		{c(ntlmNegotiate()), s(ntlmChallenge()), c(ntlmAuthenticate(0, "CORP", "alice", "WS1", 24, 24))},
		{c(offer(ticket, oidMSKerberos, oidNTLM)), s(answer(3, oidNTLM, nil)), c(answer(-1, "", ntlmNegotiate())), s(answer(1, "", ntlmChallenge())), c(answer(-1, "", null)), s(answer(0, "", nil))},
		{c(offer(ticket, oidKerberos)), s(answer(1, oidKerberos, gssKerberos("\x03\x00", krbError(37)))), c(ticket), s(apRep()), c(apRep())},
		{c(offer([]byte("NEGOEXTS...."), oidNegoEx, oidNTLM)), s(answer(1, oidNTLM, nil))},
		{c([]byte("\x00bob\x00secret"))},
		{c([]byte(`username="al\"ice",realm=CORP,response=secret`))},
		{c(unhex(f, "00000000 1f000000 434f525000 57533100 04636f7270047465737400 03777331c011 0357533100")), s(unhex(f, "0100000000000000"))},
	} {
		for _, m := range []Mechanism{NoMechanism, Negotiate, NTLM, Kerberos, Netlogon, Plain, Digest} {
			f.Add(uint8(m), script(s...))
		}
	}
	f.Fuzz(func(t *testing.T, m uint8, b []byte) {
		var x, y, z Exchange
		var shared Tokens
		y.Share(&shared)
		z.Share(&shared)
		x.Reset(Mechanism(m))
		y.Reset(Mechanism(m))
		var given []*Caller
		var copies []Caller
		for n := 0; len(b) >= 3 && n < 100; n++ {
			client := b[0]&1 == 0
			size := min(int(b[1])<<8|int(b[2]), len(b)-3)
			token := b[3 : 3+size : 3+size]
			before := x.now.Accepted
			a := x.Token(client, token)
			if client && x.now.Accepted != before && x.now.Accepted != Undecided {
				t.Fatal("the client accepts itself")
			}
			z.Token(!client, []byte("NTLMSSP\x00\x02"))
			if y.Token(client, token) != a || *y.Caller() != *x.Caller() || y.Steps() != x.Steps() {
				t.Fatalf("%+v, and with shared memory %+v", x.now, y.now)
			}
			if a != 0 && (strings.HasPrefix(a.String(), "anomaly(") || a.String() == "none") {
				t.Fatalf("anomaly %x has no name", uint16(a))
			}
			c := x.Caller()
			if c != x.Caller() {
				t.Fatal("a caller that has not changed is another")
			}
			given, copies = append(given, c), append(copies, *c)
			check(t, c)
			if x.Tokens() == nil || len(token) == 0 && x.Tokens().Layers != 0 {
				t.Fatal("layers of nothing")
			}
			b = b[3+size:]
		}
		for i, c := range given {
			if *c != copies[i] {
				t.Fatal("a caller changed after it was given out")
			}
		}
	})
}

func check(t *testing.T, c *Caller) {
	t.Helper()
	for _, s := range []string{c.Domain, c.User, c.Workstation, c.Service, c.Realm} {
		if len(s) > 4*1024 || !utf8.ValidString(s) {
			t.Fatalf("name %q", s)
		}
	}
	switch c.Kind {
	case Anonymous:
		if c.Evidence&(EmptyUser|AnonymousFlag|NullSession) == 0 {
			t.Fatalf("anonymous without evidence: %+v", c)
		}
	case Guest:
		t.Fatalf("a guest without the server's word: %+v", c)
	case Named:
		if c.User == "" && c.Service == "" && (c.Accepted != Yes || c.Mechanism != Kerberos && c.Mechanism != Netlogon) {
			t.Fatalf("named without a name: %+v", c)
		}
	}
	if c.Mechanism == Plain && strings.Contains(c.User, "\x00") {
		t.Fatalf("more than a name: %q", c.User)
	}
	_ = c.String()
}
