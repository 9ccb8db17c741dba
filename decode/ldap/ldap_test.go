package ldap

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kmswatch/decode/dcerpc"
)

// tlv writes an element. Lengths from 0x80 on have four octets, as those of
// Windows.
func tlv(tag byte, parts ...[]byte) []byte {
	b := slices.Concat(parts...)
	if n := len(b); n >= 0x80 {
		return append([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, b...)
	}
	return append([]byte{tag, byte(len(b))}, b...)
}

func str(s string) []byte    { return tlv(4, []byte(s)) }
func enum(v byte) []byte     { return tlv(10, []byte{v}) }
func small(v byte) []byte    { return tlv(2, []byte{v}) }
func set(s ...[]byte) []byte { return tlv(0x31, s...) }

// msg is an LDAPMessage of a constructed operation.
func msg(id byte, op Op, parts ...[]byte) []byte {
	return tlv(0x30, small(id), tlv(0x60|byte(op), parts...))
}

func bind(id byte, name string, auth []byte) []byte {
	return msg(id, BindRequest, small(3), str(name), auth)
}

func simple(password string) []byte { return tlv(0x80, []byte(password)) }

func sasl(mechanism string, credentials ...[]byte) []byte {
	return tlv(0xa3, append([][]byte{str(mechanism)}, credentials...)...)
}

func result(id byte, op Op, code byte, more ...[]byte) []byte {
	return msg(id, op, append([][]byte{enum(code), str(""), str("")}, more...)...)
}

func attributes(list ...string) []byte {
	var b [][]byte
	for _, a := range list {
		b = append(b, str(a))
	}
	return tlv(0x30, b...)
}

func search(id byte, base string, scope Scope, filter []byte, asked ...string) []byte {
	return msg(id, SearchRequest, str(base), enum(byte(scope)), enum(0), small(0), small(0), tlv(1, []byte{0}), filter, attributes(asked...))
}

func equal(a, v string) []byte { return tlv(0xa3, str(a), str(v)) }
func present(a string) []byte  { return tlv(0x87, []byte(a)) }

func entry(id byte, dn string, values ...string) []byte {
	var b [][]byte
	for _, v := range values {
		b = append(b, tlv(0x30, str("cn"), set(str(v))))
	}
	return msg(id, SearchResultEntry, str(dn), tlv(0x30, b...))
}

func extended(id byte, oid string) []byte {
	return msg(id, ExtendedRequest, tlv(0x80, []byte(oid)))
}

var (
	unbind = tlv(0x30, small(9), []byte{0x42, 0})
	ping   = search(1, "", BaseObject, tlv(0xa0, equal("DnsDomain", "corp.example"), equal("Host", "PC1"), equal("NtVer", "\x16\x00\x00\x00")), "NetLogon")
)

// talk is a connection that writes down what it tells.
type talk struct {
	Conn
	record
	frame uint64
}

func newTalk(cfg Config) *talk {
	t := new(talk)
	t.Reset(&cfg)
	t.FromStart()
	return t
}

func (t *talk) send(side int, parts ...[]byte) *talk {
	t.frame++
	b := slices.Concat(parts...)
	used := t.Data(side, b, true, dcerpc.Point{Frame: t.frame}, &t.record)
	if used != len(b) {
		t.add("%d of %d used", used, len(b))
	}
	return t
}

func (t *talk) client(parts ...[]byte) *talk { return t.send(0, parts...) }
func (t *talk) server(parts ...[]byte) *talk { return t.send(1, parts...) }
func (t *talk) gap(side int) *talk           { t.Gap(side, dcerpc.Point{}, &t.record); return t }
func (t *talk) end() *talk                   { t.End(dcerpc.Point{}, true, &t.record); return t }

func TestConnections(t *testing.T) {
	all := present("objectClass")
	for _, c := range []struct {
		name string
		play func(*talk)
		want []string
	}{
		{"an anonymous bind and a search", func(a *talk) {
			a.client(bind(1, "", simple(""))).server(result(1, BindResponse, 0))
			a.client(search(2, "DC=x", WholeSubtree, all, "cn", "mail"))
			a.server(entry(2, "CN=a", "a"), entry(2, "CN=b"), msg(2, SearchResultReference, str("ldap://x")), result(2, SearchResultDone, 0))
		}, []string{
			`bind anonymous "" accepted success legs 1 @1-2`,
			`search "DC=x" wholeSubtree (objectClass=*) [cn mail]/2 by anonymous answered success entries 2 references 1 @3-4`,
		}},
		{"a name without a password is nobody", func(a *talk) {
			a.client(bind(1, "CN=a", simple(""))).server(result(1, BindResponse, 0)).client(search(2, "DC=x", SingleLevel, all)).server(result(2, SearchResultDone, 4))
		}, []string{
			`bind unauthenticated "CN=a" accepted success legs 1 @1-2`,
			`search "DC=x" singleLevel (objectClass=*) []/0 by anonymous answered sizeLimitExceeded entries 0 references 0 @3-4`,
		}},
		{"a name and a password", func(a *talk) {
			a.client(bind(1, "CN=a", simple("x"))).server(result(1, BindResponse, 0)).client(search(2, "", BaseObject, all)).server(entry(2, ""), result(2, SearchResultDone, 0))
		}, []string{
			`bind simple "CN=a" accepted success legs 1 @1-2`,
			`search "" baseObject (objectClass=*) []/0 by authenticated rootdse answered success entries 1 references 0 @3-4`,
		}},
		{"a refused bind leaves the client anonymous", func(a *talk) {
			a.client(bind(1, "CN=a", simple("x"))).server(result(1, BindResponse, 0)).take()
			a.client(bind(2, "CN=a", simple("y"))).server(result(2, BindResponse, 49)).client(search(3, "DC=x", BaseObject, all)).server(result(3, SearchResultDone, 1))
		}, []string{
			`bind simple "CN=a" refused invalidCredentials legs 1 @3-4`,
			`search "DC=x" baseObject (objectClass=*) []/0 by anonymous answered operationsError entries 0 references 0 @5-6`,
		}},
		{"a search while a bind waits is of unknown identity", func(a *talk) {
			a.client(bind(1, "CN=a", simple("x")), search(2, "DC=x", BaseObject, all)).server(result(1, BindResponse, 0), result(2, SearchResultDone, 0))
		}, []string{
			`bind simple "CN=a" accepted success legs 1 @1-2`,
			`search "DC=x" baseObject (objectClass=*) []/0 by unknown answered success entries 0 references 0 @1-2`,
		}},
		{"legs of SASL", func(a *talk) {
			a.client(bind(1, "", sasl("GSS-SPNEGO", str("one")))).server(result(1, BindResponse, 14, tlv(0x87, []byte("two!"))))
			a.client(bind(2, "", sasl("GSS-SPNEGO", str("three")))).server(result(2, BindResponse, 0))
		}, []string{
			"token client=true GSS-SPNEGO 3", "token client=false GSS-SPNEGO 4", "token client=true GSS-SPNEGO 5",
			`bind sasl GSS-SPNEGO "" accepted success legs 2 @1-4`,
		}},
		{"another mechanism begins another bind", func(a *talk) {
			a.client(bind(1, "", sasl("GSSAPI"))).server(result(1, BindResponse, 14))
			a.client(bind(2, "", sasl("EXTERNAL"))).server(result(2, BindResponse, 7))
		}, []string{
			`bind sasl GSSAPI "" unfinished saslBindInProgress legs 1 @1-2`,
			`bind sasl EXTERNAL "" refused authMethodNotSupported legs 1 @3-4`,
		}},
		{"the credentials of PLAIN and of unknown mechanisms are kept to the connection", func(a *talk) {
			a.client(bind(1, "", sasl("PLAIN", str("\x00a\x00secret")))).server(result(1, BindResponse, 0, tlv(0x87, []byte("x"))))
		}, []string{`bind sasl PLAIN "" accepted success legs 1 @1-2`}},
		{"SASL ANONYMOUS is anonymous", func(a *talk) {
			a.client(bind(1, "", sasl("ANONYMOUS", str("trace")))).server(result(1, BindResponse, 0)).client(search(2, "DC=x", BaseObject, all)).server(result(2, SearchResultDone, 0))
		}, []string{
			`bind sasl ANONYMOUS "" accepted success legs 1 @1-2`,
			`search "DC=x" baseObject (objectClass=*) []/0 by anonymous answered success entries 0 references 0 @3-4`,
		}},
		// Trap 36: NTLMSSP without SPNEGO, as LDAP carries it.
		{"the three legs of sicily", func(a *talk) {
			a.client(bind(1, "", tlv(0x89))).server(msg(1, BindResponse, enum(0), str("NTLM"), str("")))
			a.client(bind(2, "NTLM", tlv(0x8a, []byte("NTLMSSP\x00\x01")))).server(msg(2, BindResponse, enum(0), str("NTLMSSP\x00\x02.."), str("")))
			a.client(bind(3, "", tlv(0x8b, []byte("NTLMSSP\x00\x03")))).server(result(3, BindResponse, 49))
		}, []string{
			"token client=true sicily 9", "token client=false sicily 11", "token client=true sicily 9",
			`bind sicily sicily "NTLM" refused invalidCredentials legs 3 @1-6`,
		}},
		{"a security layer after SASL", func(a *talk) {
			a.client(bind(1, "", sasl("GSS-SPNEGO", str("x")))).server(result(1, BindResponse, 0))
			a.client([]byte{0, 0, 0, 20, 5, 4, 6, 0xff}).server([]byte{0, 0, 0, 20, 5, 4, 7, 0xff}).client(search(7, "", BaseObject, all))
		}, []string{
			"token client=true GSS-SPNEGO 1",
			`bind sasl GSS-SPNEGO "" accepted success legs 1 @1-2`,
			"opaque security-layer",
		}},
		{"SASL without a layer stays clear", func(a *talk) {
			a.client(bind(1, "", sasl("GSS-SPNEGO", str("x")))).server(result(1, BindResponse, 0)).client(search(7, "DC=x", BaseObject, all)).server(result(7, SearchResultDone, 0))
		}, []string{
			"token client=true GSS-SPNEGO 1",
			`bind sasl GSS-SPNEGO "" accepted success legs 1 @1-2`,
			`search "DC=x" baseObject (objectClass=*) []/0 by authenticated answered success entries 0 references 0 @3-4`,
		}},
		{"a layer in a stream that lost the bind's answer", func(a *talk) {
			a.client(bind(1, "", sasl("GSS-SPNEGO", str("x")))).gap(1).client([]byte{0, 0, 0, 20, 5, 4, 6, 0xff})
		}, []string{
			"token client=true GSS-SPNEGO 1",
			"opaque security-layer",
			`bind sasl GSS-SPNEGO "" unknown legs 1 @1-0`,
		}},
		{"a zero without a SASL bind is no LDAP", func(a *talk) {
			a.client([]byte{0, 0, 0, 20, 5, 4, 6, 0xff})
		}, []string{"0 anomaly not-ldap"}},
		{"StartTLS hides what follows", func(a *talk) {
			a.client(search(1, "DC=x", BaseObject, all), extended(2, oidStartTLS)).server(result(2, ExtendedResponse, 0)).client([]byte{22, 3, 1, 0, 5, 1})
		}, []string{
			"opaque tls",
			`search "DC=x" baseObject (objectClass=*) []/0 by anonymous unknown entries 0 references 0 @1-0`,
		}},
		{"StartTLS that the client itself answers hides nothing", func(a *talk) {
			a.client(extended(2, oidStartTLS), result(2, ExtendedResponse, 0), search(3, "DC=x", BaseObject, all)).server(result(3, SearchResultDone, 0))
		}, []string{`search "DC=x" baseObject (objectClass=*) []/0 by anonymous answered success entries 0 references 0 @1-2`}},
		{"results of binds that nobody asked for say nothing of who asks", func(a *talk) {
			a.client(result(1, BindResponse, 0), search(3, "DC=x", BaseObject, all)).server(result(3, SearchResultDone, 0))
		}, []string{
			"0 anomaly reply-without-request",
			`search "DC=x" baseObject (objectClass=*) []/0 by anonymous answered success entries 0 references 0 @1-2`,
		}},
		{"StartTLS that is refused hides nothing", func(a *talk) {
			a.client(extended(2, oidStartTLS)).server(result(2, ExtendedResponse, 2)).client(search(3, "DC=x", BaseObject, all))
		}, []string{`search "DC=x" baseObject (objectClass=*) []/0 by anonymous unanswered entries 0 references 0 @3-0`}},
		{"an abandoned search", func(a *talk) {
			a.client(search(3, "DC=x", BaseObject, all), tlv(0x30, small(4), tlv(0x50, []byte{3})))
		}, []string{`search "DC=x" baseObject (objectClass=*) []/0 by anonymous abandoned entries 0 references 0 @1-0`}},
		{"an abandoned search that is answered all the same", func(a *talk) {
			a.client(search(3, "DC=x", BaseObject, all), tlv(0x30, small(4), tlv(0x50, []byte{3}))).server(result(3, SearchResultDone, 0))
		}, []string{`search "DC=x" baseObject (objectClass=*) []/0 by anonymous answered success entries 0 references 0 @1-2`}},
		{"a bind that nobody answers", func(a *talk) { a.client(bind(1, "CN=a", simple("x"))) },
			[]string{`bind simple "CN=a" unanswered legs 1 @1-0`}},
		{"a bind before the one before was answered", func(a *talk) {
			a.client(bind(1, "CN=a", simple("x")), bind(2, "CN=b", simple("x"))).server(result(2, BindResponse, 0))
		}, []string{
			"0 anomaly bind-while-binding",
			`bind simple "CN=a" unknown legs 1 @1-0`,
			`bind simple "CN=b" accepted success legs 1 @1-2`,
		}},
		{"a message id used twice", func(a *talk) {
			a.client(search(3, "DC=x", BaseObject, all), search(3, "DC=y", BaseObject, all)).server(result(3, SearchResultDone, 0))
		}, []string{
			"0 anomaly duplicate-message-id",
			`search "DC=x" baseObject (objectClass=*) []/0 by anonymous unknown entries 0 references 0 @1-0`,
			`search "DC=y" baseObject (objectClass=*) []/0 by anonymous answered success entries 0 references 0 @1-2`,
		}},
		{"results of nothing are told once", func(a *talk) {
			a.server(result(3, SearchResultDone, 0), entry(4, "CN=a"), result(5, BindResponse, 0))
		}, []string{"1 anomaly reply-without-request"}},
		{"results after a gap are not", func(a *talk) {
			a.gap(0).server(result(3, SearchResultDone, 0)).client(search(7, "DC=x", BaseObject, all))
		}, []string{`search "DC=x" baseObject (objectClass=*) []/0 by unknown unanswered entries 0 references 0 @2-0`}},
		{"a gap of the server leaves what waits unknown", func(a *talk) {
			a.client(search(7, "DC=x", BaseObject, all)).gap(1)
		}, []string{`search "DC=x" baseObject (objectClass=*) []/0 by anonymous unknown entries 0 references 0 @1-0`}},
		{"after a gap a segment that begins a message is found", func(a *talk) {
			a.gap(0).client([]byte("of an entry")).client(search(7, "DC=x", BaseObject, all))
		}, []string{`search "DC=x" baseObject (objectClass=*) []/0 by unknown unanswered entries 0 references 0 @2-0`}},
		{"the server's word after a gap of the client ends the bind", func(a *talk) {
			a.client(bind(1, "", sasl("DIGEST-MD5"))).server(result(1, BindResponse, 14)).gap(0).server(result(2, BindResponse, 0)).client(search(7, "DC=x", BaseObject, all))
		}, []string{
			`bind sasl DIGEST-MD5 "" accepted success legs 1 @1-3`,
			`search "DC=x" baseObject (objectClass=*) []/0 by authenticated unanswered entries 0 references 0 @4-0`,
		}},
		{"an operation of the other end", func(a *talk) {
			a.client(unbind, unbind).server(unbind)
		}, []string{"1 anomaly wrong-direction"}},
		{"a message that holds no operation is skipped", func(a *talk) {
			a.client(tlv(0x30, small(1), tlv(0x7e, small(1))), search(7, "DC=x", BaseObject, all))
		}, []string{
			"0 anomaly bad-message",
			`search "DC=x" baseObject (objectClass=*) []/0 by anonymous unanswered entries 0 references 0 @1-0`,
		}},
		{"a message id of more than 31 bits is followed", func(a *talk) {
			id := tlv(2, []byte{0, 0xff, 0xff, 0xff, 0xff})
			m := search(1, "DC=x", BaseObject, all)
			a.client(tlv(0x30, id, m[5:])).server(tlv(0x30, id, result(1, SearchResultDone, 0)[5:]))
		}, []string{
			"0 anomaly bad-message-id",
			`search "DC=x" baseObject (objectClass=*) []/0 by anonymous answered success entries 0 references 0 @1-2`,
		}},
		{"a filter that is none hides no search", func(a *talk) {
			a.client(search(7, "DC=x", BaseObject, tlv(0xaf))).server(entry(7, "CN=a"), result(7, SearchResultDone, 0))
		}, []string{
			"0 anomaly bad-filter",
			`search "DC=x" baseObject () []/0 by anonymous answered success entries 1 references 0 @1-2`,
		}},
		{"a bind of a choice that does not exist", func(a *talk) {
			a.client(bind(1, "CN=a", tlv(0x8c, []byte("x")))).server(result(1, BindResponse, 7))
		}, []string{
			"0 anomaly bad-operation",
			`bind unknown "CN=a" refused authMethodNotSupported legs 1 @1-2`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newTalk(Config{})
			c.play(a)
			a.end()
			if got, want := a.take(), strings.Join(c.want, "\n"); got != want {
				t.Errorf("told\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestDatagrams(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(send func(side int, parts ...[]byte))
		want []string
	}{
		{"a netlogon ping, entry and result in one datagram", func(send func(int, ...[]byte)) {
			send(0, ping)
			send(1, entry(1, "", "netlogon"), result(1, SearchResultDone, 0))
		}, []string{`search "" baseObject (&(DnsDomain=corp.example)(Host=PC1)(NtVer=\16\00\00\00)) [NetLogon]/1 by anonymous rootdse ping answered success entries 1 references 0 @1-2`}},
		{"a ping that is sent again counts once", func(send func(int, ...[]byte)) {
			send(0, ping)
			send(0, ping)
			send(1, result(1, SearchResultDone, 0))
			send(1, result(1, SearchResultDone, 0))
		}, []string{`search "" baseObject (&(DnsDomain=corp.example)(Host=PC1)(NtVer=\16\00\00\00)) [NetLogon]/1 by anonymous rootdse ping answered success entries 0 references 0 @1-3`}},
		{"a ping that nobody answers", func(send func(int, ...[]byte)) { send(0, ping) },
			[]string{`search "" baseObject (&(DnsDomain=corp.example)(Host=PC1)(NtVer=\16\00\00\00)) [NetLogon]/1 by anonymous rootdse ping unanswered entries 0 references 0 @1-0`}},
		{"a datagram that is cut counts as far as it goes", func(send func(int, ...[]byte)) { send(0, ping[:len(ping)-12]) },
			[]string{"0 anomaly cut-message",
				`search "" baseObject (&(DnsDomain=corp.example)(Host=PC1)(NtVer=\16\00\00\00)) []/0 by anonymous rootdse unanswered entries 0 references 0 @1-0`}},
		{"a few bytes of one", func(send func(int, ...[]byte)) { send(0, ping[:7]) }, []string{"0 anomaly cut-message"}},
		{"something else", func(send func(int, ...[]byte)) { send(0, []byte("M-SEARCH")) }, []string{"0 anomaly not-ldap"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var a talk
			a.Reset(&Config{})
			c.play(func(side int, parts ...[]byte) {
				a.frame++
				a.Datagram(side, slices.Concat(parts...), dcerpc.Point{Frame: a.frame}, &a.record)
			})
			a.end()
			if got, want := a.take(), strings.Join(c.want, "\n"); got != want {
				t.Errorf("told\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestWithoutTheStartTheIdentityIsUnknown(t *testing.T) {
	var a talk
	a.Reset(&Config{})
	a.client(search(7, "DC=x", BaseObject, present("cn"))).server(result(7, SearchResultDone, 0), result(3, BindResponse, 0))
	a.client(search(8, "DC=x", BaseObject, present("cn"))).server(result(8, SearchResultDone, 0), result(3, BindResponse, 49))
	a.client(search(9, "DC=x", BaseObject, present("cn"))).server(result(9, SearchResultDone, 0))
	a.Identify(Authenticated, nil)
	a.client(search(1, "DC=x", BaseObject, present("cn"))).server(result(1, SearchResultDone, 0))
	got := a.take()
	for i, want := range []string{"by unknown", "by unknown", "by anonymous", "by authenticated"} {
		if lines := strings.Split(got, "\n"); len(lines) != 4 || !strings.Contains(lines[i], want) {
			t.Errorf("%d: not %s in\n%s", i, want, got)
		}
	}
}

func TestClientFollowsFromTheOperations(t *testing.T) {
	var a talk
	a.Reset(&Config{})
	if _, known := a.Client(); known {
		t.Error("known before a message")
	}
	a.send(1, unbind)
	if side, known := a.Client(); side != 1 || !known {
		t.Errorf("side %d, known %t", side, known)
	}
}

func TestFilters(t *testing.T) {
	deep := present("a")
	for range maxDepth {
		deep = tlv(0xa2, deep)
	}
	var many [][]byte
	for range 100 {
		many = append(many, equal("attribute", "value"))
	}
	for _, c := range []struct {
		name       string
		filter     []byte
		want       string
		conditions int
		a          Anomaly
	}{
		{"presence", present("objectClass"), "(objectClass=*)", 1, 0},
		{"and, or, not", tlv(0xa0, tlv(0xa1, equal("a", "b"), equal("c", "d")), tlv(0xa2, equal("e", "f"))), "(&(|(a=b)(c=d))(!(e=f)))", 3, 0},
		{"an empty and, which is true (RFC 4526)", tlv(0xa0), "(&)", 0, 0},
		{"the comparisons", tlv(0xa0, tlv(0xa5, str("a"), str("1")), tlv(0xa6, str("a"), str("2")), tlv(0xa8, str("a"), str("3"))), "(&(a>=1)(a<=2)(a~=3))", 3, 0},
		{"substrings", tlv(0xa4, str("a"), tlv(0x30, tlv(0x80, []byte("i")), tlv(0x81, []byte("x")), tlv(0x82, []byte("f")))), "(a=i*x*f)", 1, 0},
		{"substrings in the middle", tlv(0xa4, str("a"), tlv(0x30, tlv(0x81, []byte("x")))), "(a=*x*)", 1, 0},
		{"substrings of nothing", tlv(0xa4, str("a"), tlv(0x30)), "()", 0, BadFilter},
		{"a matching rule", tlv(0xa9, tlv(0x81, []byte("1.2")), tlv(0x82, []byte("a")), tlv(0x83, []byte("v")), tlv(0x84, []byte{0xff})), "(a:dn:1.2:=v)", 1, 0},
		{"marks and bytes that do not print", equal("a", "(*)\\\x00\xffé"), `(a=\28\2a\29\5c\00\ffé)`, 1, 0},
		{"passwords are not told", tlv(0xa0, equal("userPassword", "secret"), equal("unicodePwd;x", "secret"), tlv(0xa4, str("ms-Mcs-AdmPwd"), tlv(0x30, tlv(0x80, []byte("secret"))))), "(&(userPassword=)(unicodePwd;x=)(ms-Mcs-AdmPwd=*))", 3, 0},
		{"a not of two", tlv(0xa2, present("a"), present("b")), "(!(a=*)(b=*))", 2, BadFilter},
		{"a comparison without a value", tlv(0xa3, str("a")), "()", 0, BadFilter},
		{"an unknown choice", tlv(0xaa, str("a")), "()", 0, BadFilter},
		{"another class", tlv(0x30, str("a")), "", 0, BadFilter},
		// Trap 36: nesting is bounded.
		{"as deep as is entered", deep[2:], strings.Repeat("(!", maxDepth-1) + "(a=*)" + strings.Repeat(")", maxDepth-1), 1, 0},
		{"a level more", deep, strings.Repeat("(!", maxDepth) + strings.Repeat(")", maxDepth), 0, FilterTooDeep},
		{"more than is kept", tlv(0xa1, many...), "(|" + strings.Repeat("(attribute=value)", 29) + "(attribute=value", 100, 0},
	} {
		var m Message
		if a := m.Decode(search(1, "", BaseObject, c.filter, "cn")); a != c.a {
			t.Errorf("%s: %s", c.name, a)
		}
		if m.Filter != c.want || m.Conditions != c.conditions || m.Attributes != 1 {
			t.Errorf("%s: %d conditions, %d attributes in\n%s\nwant\n%s", c.name, m.Conditions, m.Attributes, m.Filter, c.want)
		}
		if conditions, _ := m.Kept(); len(conditions) != min(c.conditions, maxConditions) || m.FilterCut != (c.conditions > 8) {
			t.Errorf("%s: %d conditions kept, cut %t", c.name, len(conditions), m.FilterCut)
		}
		if strings.Contains(fmt.Sprint(m), "secret") {
			t.Errorf("%s: %v", c.name, m)
		}
	}
}

func TestConditionsOfAPing(t *testing.T) {
	var m Message
	m.Decode(ping)
	conditions, asked := m.Kept()
	if want := []Condition{{"DnsDomain", "corp.example"}, {"Host", "PC1"}, {"NtVer", `\16\00\00\00`}}; !slices.Equal(conditions, want) || !slices.Equal(asked, []string{"NetLogon"}) {
		t.Errorf("%v %v", conditions, asked)
	}
}

func TestMessages(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want string
		a    Anomaly
	}{
		{"a modify", msg(1, ModifyRequest, str("CN=a"), tlv(0x30)), `0 1 modifyRequest "CN=a"`, 0},
		{"a delete", tlv(0x30, small(2), tlv(0x4a, []byte("CN=a"))), `0 2 delRequest "CN=a"`, 0},
		{"an unbind", unbind, "0 9 unbindRequest", 0},
		{"who am I", extended(3, "1.3.6.1.4.1.4203.1.11.3"), `0 3 extendedReq "1.3.6.1.4.1.4203.1.11.3"`, 0},
		{"an intermediate response", msg(3, IntermediateResponse, tlv(0x80, []byte("1.2")), tlv(0x81, []byte("x"))), `0 3 intermediateResponse "1.2"`, 0},
		{"a result with a referral", result(3, ModifyResponse, 10, tlv(0xa3, str("ldap://x"))), "0 3 modifyResponse referral", 0},
		{"an unknown result", result(3, ModifyResponse, 99), "0 3 modifyResponse result(99)", 0},
		{"a matched name", msg(3, SearchResultDone, enum(32), str("DC=x"), str("no")), `0 3 searchResDone noSuchObject matched "DC=x"`, 0},
		{"controls behind the operation", tlv(0x30, small(1), tlv(0x4a, []byte("CN=a")), tlv(0xa0, tlv(0x30, str("1.2")))), `0 1 delRequest "CN=a"`, 0},
		{"a name that does not print", msg(1, AddRequest, str("CN=\x00\xc3\xa9\xff"), tlv(0x30)), `0 1 addRequest "CN=\\00é\\ff"`, 0},
		{"a bind of version 0", msg(1, BindRequest, small(0), str(""), simple("")), "0 1 bindRequest v0 auth(255)", BadOperation},
		{"a bind without a choice", msg(1, BindRequest, small(3), str("a")), `0 1 bindRequest v3 auth(255) "a"`, BadOperation},
		{"a SASL bind without a mechanism", msg(1, BindRequest, small(3), str("a"), tlv(0xa3)), `0 1 bindRequest v3 auth(255) "a"`, BadOperation},
		{"a result without a code", msg(1, BindResponse, str("")), "0 1 bindResponse", BadOperation},
		{"an abandon of nothing", tlv(0x30, small(4), tlv(0x50)), "0 4 abandonRequest", BadOperation},
		{"no sequence", tlv(0x31, small(1), tlv(0x42)), "0 0 bindRequest v0 simple", NotLDAP},
		{"no operation", tlv(0x30, small(1)), "0 0 bindRequest v0 simple", BadMessage},
		{"no message id", tlv(0x30, tlv(0x42)), "0 0 bindRequest v0 simple", BadMessage},
		{"an operation longer than its message", []byte{0x30, 6, 2, 1, 1, 0x61, 9, 1}, "0 0 bindRequest v0 simple", BadMessage},
		{"half a head", ping[:6], "0 0 bindRequest v0 simple", CutMessage},
	} {
		var m Message
		var r record
		a := m.Decode(c.b)
		r.Message(0, &m)
		if got := r.take(); got != c.want || a != c.a {
			t.Errorf("%s: %s, %s; want %s, %s", c.name, got, a, c.want, c.a)
		}
	}
	var m Message
	if m.Decode(tlv(0x30, small(4), tlv(0x50, []byte{1, 0}))); m.AbandonID != 256 {
		t.Errorf("abandons %d", m.AbandonID)
	}
	if m.Decode(msg(1, AddRequest, str(strings.Repeat("é", 200)), tlv(0x30))); len(m.Name) != 254 {
		t.Errorf("a name of %d bytes", len(m.Name))
	}
}

func TestNoPasswordLeaves(t *testing.T) {
	a := newTalk(Config{Messages: true})
	var m Message
	for _, b := range [][]byte{
		bind(1, "CN=a", simple("secret")),
		bind(2, "CN=a", sasl("PLAIN", str("\x00a\x00secret"))),
		bind(3, "CN=a", sasl("LOGIN", str("secret"))),
		bind(4, "CN=a", sasl("GSS-SPNEGO", str("secret"))),
		msg(5, CompareRequest, str("CN=a"), tlv(0x30, str("userPassword"), str("secret"))),
		msg(6, ModifyRequest, str("CN=a"), tlv(0x30, tlv(0x30, enum(2), tlv(0x30, str("unicodePwd"), set(str("secret")))))),
		msg(7, ExtendedRequest, tlv(0x80, []byte("1.3.6.1.4.1.4203.1.11.1")), tlv(0x81, []byte("secret"))),
	} {
		m.Decode(b)
		if s := fmt.Sprintf("%+v %q", m, m.token); strings.Contains(s, "secret") || strings.Contains(s, "115 101 99") {
			t.Error(s)
		}
		a.client(b)
	}
	a.end()
	if s := a.take(); strings.Contains(s, "secret") {
		t.Error(s)
	}
	if len(a.tokens) != 1 {
		t.Errorf("%d tokens, want that of SPNEGO alone", len(a.tokens))
	}
}

func TestLongMessagesAreReadAtTheirBeginning(t *testing.T) {
	cfg := Config{MaxMessage: 300}
	long := strings.Repeat("x", 2000)
	a := newTalk(cfg)
	a.client(search(1, "DC=x", WholeSubtree, tlv(0xa0, equal("cn", "a"), equal("sn", long)), "cn"))
	a.client(bind(2, "CN=a", sasl("GSS-SPNEGO", str(long)))).server(result(2, BindResponse, 0))
	a.client(bind(3, "CN=a", simple(long)))
	a.end()
	want := strings.Join([]string{
		`bind sasl GSS-SPNEGO "CN=a" accepted success legs 1 @2-3`,
		`bind simple "CN=a" unanswered legs 1 @4-0`,
		`search "DC=x" wholeSubtree (&(cn=a)()) []/0 by anonymous unanswered entries 0 references 0 @1-0`,
	}, "\n")
	if got := a.take(); got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
}

func TestCutTakesWhatTheSnapLengthLeft(t *testing.T) {
	whole := search(1, "DC=x", WholeSubtree, equal("cn", "a"), "cn")
	a := newTalk(Config{})
	used := a.Data(0, whole[:40], true, dcerpc.Point{Frame: 1}, &a.record)
	a.Cut(0, whole[used:40], dcerpc.Point{Frame: 1}, &a.record)
	a.Cut(0, whole, dcerpc.Point{Frame: 1}, &a.record) // whole: not cut
	a.gap(0).server(result(1, SearchResultDone, 0))
	if got, want := a.take(), `search "DC=x" wholeSubtree (cn=a) []/0 by anonymous answered success entries 0 references 0 @1-1`; got != want || used != 0 {
		t.Errorf("used %d, told\n%s\nwant\n%s", used, got, want)
	}
}

func TestSearchesAreBounded(t *testing.T) {
	a := newTalk(Config{MaxSearches: 3})
	for i := range 5 {
		a.client(search(byte(i), "DC=x", BaseObject, present("cn")))
	}
	if n := len(a.s.pending); n != 3 {
		t.Errorf("%d searches wait", n)
	}
	if got := a.take(); strings.Count(got, "too-many-requests") != 1 || strings.Count(got, "unknown entries 0") != 2 {
		t.Error(got)
	}
	if a.Excess() == 0 {
		t.Error("no excess")
	}
	a.client(tlv(0x30, small(9), tlv(0x50, []byte{3})), search(9, "DC=y", BaseObject, present("cn")))
	if got := a.take(); !strings.Contains(got, "abandoned") {
		t.Errorf("what is abandoned goes first: %s", got)
	}
	cfg := Config{}
	a.Reset(&cfg)
	if a.end(); a.take() != "" || len(a.s.spare) > keptSearches || a.Excess() != 0 {
		t.Error("something is left after Reset")
	}
}

func TestProbe(t *testing.T) {
	for _, b := range [][]byte{ping, unbind, bind(1, "", simple("")), entry(1, "x"), result(1, BindResponse, 0), extended(1, oidStartTLS)} {
		if Probe(b) != Match {
			t.Errorf("% x: no match", b)
		}
		for n := range b {
			if Probe(b[:n]) == No {
				t.Errorf("% x: no", b[:n])
			}
		}
	}
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"SNMP", tlv(0x30, small(1), str("public"), tlv(0xa0, small(1)))},
		{"text", []byte("GET / HTTP/1.1")},
		{"an operation that does not exist", msg(1, 29)},
		{"a bind of version 9", msg(1, BindRequest, small(9), str(""), simple(""))},
		{"a message of a GiB", []byte{0x30, 0x84, 0x3f, 0xff, 0xff, 0xff, 2, 1, 1, 0x63}},
		{"a negative message id", tlv(0x30, tlv(2, []byte{0xff}), tlv(0x42))},
	} {
		if Probe(c.b) != No {
			t.Errorf("%s passes", c.name)
		}
	}
}

func TestNames(t *testing.T) {
	for a := range anomalies {
		if anomalyTable[a].name == "" {
			t.Errorf("anomaly %d has no name", a)
		}
	}
	for _, c := range []struct{ got, want string }{
		{Anomaly(99).String(), "anomaly(99)"}, {NotLDAP.String(), "not-ldap"},
		{Op(17).String(), "op(17)"}, {Op(99).String(), "op(99)"}, {ModifyDNRequest.String(), "modDNRequest"},
		{Scope(9).String(), "scope(9)"}, {Subordinates.String(), "subordinateSubtree"},
		{ResultCode(-1).String(), "result(-1)"}, {ResultCode(80).String(), "other"},
		{AuthSicilyResponse.String(), "sicilyResponse"}, {Outcome(99).String(), ""}, {BindKind(99).String(), ""},
		{TLS.String(), "tls"}, {Authenticated.String(), "authenticated"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if !FilterTooDeep.Evasive() || NotLDAP.Evasive() || Anomaly(99).Evasive() {
		t.Error("evasive")
	}
}

// silent is a handler that costs nothing.
type silent struct{ searches int }

func (*silent) Message(int, *Message)      {}
func (*silent) Bind(*Bind)                 {}
func (*silent) Token(bool, string, []byte) {}
func (s *silent) Search(*Search)           { s.searches++ }
func (*silent) Opaque(Opaque)              {}
func (*silent) Anomaly(int, Anomaly, int)  { panic("anomaly") }

// The fixture stands for a search that returns a directory: entries of some
// hundred bytes, in segments that cut them anywhere.
func bigSearch() (request, reply []byte) {
	for i := range 1000 {
		reply = append(reply, entry(1, fmt.Sprintf("CN=user%d,DC=corp,DC=example", i), strings.Repeat("v", i))...)
	}
	return search(1, "DC=corp,DC=example", WholeSubtree, equal("objectClass", "user"), "cn"), append(reply, result(1, SearchResultDone, 0)...)
}

func playBig(c *Conn, h Handler, request, reply []byte) {
	c.Data(0, request, true, dcerpc.Point{Frame: 1}, h)
	for start, end := 0, 0; end < len(reply); {
		end = min(end+1460, len(reply))
		start += c.Data(1, reply[start:end:end], true, dcerpc.Point{Frame: 2}, h)
	}
}

func TestBigSearchesAllocateNothing(t *testing.T) {
	request, reply := bigSearch()
	var c Conn
	var h silent
	c.Reset(&Config{})
	c.FromStart()
	if n := testing.AllocsPerRun(20, func() { playBig(&c, &h, request, reply) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if h.searches != 21 {
		t.Errorf("%d searches", h.searches)
	}
}

func TestConnectionsAllocateNothingAgain(t *testing.T) {
	hello, ok := bind(1, "CN=a", simple("x")), result(1, BindResponse, 0)
	question, answer := search(2, "", BaseObject, present("objectClass"), "namingContexts"), append(entry(2, ""), result(2, SearchResultDone, 0)...)
	var c Conn
	var h silent
	cfg := &Config{}
	if n := testing.AllocsPerRun(50, func() {
		c.Reset(cfg)
		for _, s := range []struct {
			side int
			b    []byte
		}{{0, hello}, {1, ok}, {0, question}, {1, answer}, {0, unbind}} {
			c.Data(s.side, s.b, true, dcerpc.Point{}, &h)
		}
		c.End(dcerpc.Point{}, true, &h)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBigSearch(b *testing.B) {
	request, reply := bigSearch()
	var c Conn
	var h silent
	c.Reset(&Config{})
	b.SetBytes(int64(len(reply)))
	b.ReportAllocs()
	for b.Loop() {
		playBig(&c, &h, request, reply)
	}
}
