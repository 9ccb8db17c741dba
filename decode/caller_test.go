package decode_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"kmswatch/decode"
)

// Tests of who asks: what a client does to be taken for another, or for nobody
// in particular.

const (
	smbSetup, smbLogoff, smbConnect       = 1, 2, 3
	smbCreate, smbClose, smbRead, smbSend = 5, 6, 8, 9
	smbIoctl                              = 11

	moreProcessing = 0xc0000016
	logonFailure   = 0xc000006d
	sessionDeleted = 0xc0000203
)

// smbTalk is an SMB 2 connection of a reel. What is asked next has its ids.
type smbTalk struct {
	*talk
	session uint64
	tree    uint32
	id      uint64
}

var smbEnd = netip.MustParseAddrPort("10.66.10.10:445")

func (r *reel) smb(client netip.AddrPort) *smbTalk {
	return &smbTalk{talk: r.dial(client, smbEnd)}
}

func wide(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func numbers(v ...any) (b []byte) {
	for _, x := range v {
		switch x := x.(type) {
		case byte:
			b = append(b, x)
		case uint16:
			b = binary.LittleEndian.AppendUint16(b, x)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, x)
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, x)
		case []byte:
			b = append(b, x...)
		default:
			panic(fmt.Sprintf("%T", x))
		}
	}
	return b
}

// message is a command of SMB 2 behind its NetBIOS header.
func (c *smbTalk) message(command uint16, response bool, status uint32, body []byte) []byte {
	flags := uint32(0)
	if response {
		flags = 1
	}
	b := numbers([]byte("\xfeSMB"), uint16(64), uint16(1), status, command, uint16(1), flags, uint32(0), c.id,
		uint32(0), c.tree, c.session, make([]byte, 16), body)
	return append([]byte{0, byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...)
}

func (c *smbTalk) request(command uint16, body []byte) {
	c.id++
	c.ask(c.message(command, false, 0, body))
}

func (c *smbTalk) reply(command uint16, status uint32, body []byte) {
	if status>>30 == 3 && status != moreProcessing {
		body = numbers(uint16(9), make([]byte, 7))
	}
	c.answer(c.message(command, true, status, body))
}

// setup is one leg of a session setup.
func (c *smbTalk) setup(token string, status uint32, flags uint16, answer string) {
	c.request(smbSetup, numbers(uint16(25), byte(0), byte(1), uint32(0), uint32(0), uint16(88), uint16(len(token)), uint64(0), []byte(token)))
	if c.session == 0 {
		c.session = 0x77
	}
	c.reply(smbSetup, status, numbers(uint16(9), flags, uint16(72), uint16(len(answer)), []byte(answer)))
}

// logon is a whole setup with NTLM.
func (c *smbTalk) logon(authenticate string, status uint32, flags uint16) {
	c.setup(ntlmNegotiate, moreProcessing, 0, ntlmChallenge)
	c.setup(authenticate, status, flags, "")
}

func (c *smbTalk) ipc() {
	c.connect(`\\srv\IPC$`, 5)
}

func (c *smbTalk) connect(share string, tree uint32) {
	path := wide(share)
	c.request(smbConnect, numbers(uint16(9), uint16(0), uint16(72), uint16(len(path)), path))
	c.tree = tree
	kind := byte(1) // a disk
	if strings.HasSuffix(share, "IPC$") {
		kind = 2
	}
	c.reply(smbConnect, 0, numbers(uint16(16), kind, byte(0), uint32(0), uint32(0), uint32(0x1f01ff)))
}

func file(n byte) []byte { return append([]byte{n, 1}, make([]byte, 14)...) }

func (c *smbTalk) open(name string, n byte) {
	c.request(smbCreate, numbers(uint16(57), make([]byte, 22), uint32(0x12019f), make([]byte, 16), uint16(120), uint16(2*len(name)), uint64(0), wide(name)))
	c.reply(smbCreate, 0, numbers(uint16(89), make([]byte, 62), file(n), uint64(0)))
}

func (c *smbTalk) write(n byte, data []byte) {
	c.request(smbSend, numbers(uint16(49), uint16(112), uint32(len(data)), uint64(0), file(n), uint32(0), uint32(0), uint16(0), uint16(0), uint32(0), data))
	c.reply(smbSend, 0, numbers(uint16(17), uint16(0), uint32(len(data)), uint64(0)))
}

func (c *smbTalk) read(n byte, data []byte) {
	c.request(smbRead, numbers(uint16(49), byte(80), byte(0), uint32(4096), uint64(0), file(n), uint32(0), uint32(0), uint32(0), uint16(0), uint16(0), byte(0)))
	c.reply(smbRead, 0, numbers(uint16(17), byte(80), byte(0), uint32(len(data)), uint32(0), uint32(0), data))
}

// transact is a transaction on a pipe (FSCTL_PIPE_TRANSCEIVE).
func (c *smbTalk) transact(n byte, ask, answer []byte) {
	c.request(smbIoctl, numbers(uint16(57), uint16(0), uint32(0x11c017), file(n), uint32(120), uint32(len(ask)), uint32(0), uint32(0), uint32(0), uint32(4280), uint32(1), uint32(0), ask))
	c.reply(smbIoctl, 0, numbers(uint16(49), uint16(0), uint32(0x11c017), file(n), uint32(112), uint32(0), uint32(112), uint32(len(answer)), uint32(0), uint32(0), answer))
}

// bind opens a pipe and binds an interface in it.
func (c *smbTalk) bind(name string, n byte, iface []byte) {
	c.open(name, n)
	c.transact(n, bindPDU(1, iface), bindAckPDU(1))
}

const (
	ntlmNegotiate = "NTLMSSP\x00\x01\x00\x00\x00\x05\x02\x08\x00"
	ntlmChallenge = "NTLMSSP\x00\x02\x00\x00\x00\x00\x00\x00\x00\x20\x00\x00\x00\x05\x02\x00\x0001234567"
)

// ntlmAuthenticate is the last message of NTLM; without a user it is that of
// nobody.
func ntlmAuthenticate(user string) string {
	flags, lm, nt := uint32(2), 24, 24
	if user == "" {
		flags, lm, nt = 0x802, 1, 0
	}
	b := []byte("NTLMSSP\x00\x03\x00\x00\x00")
	at := 64
	for _, n := range []int{lm, nt, 0, len(user), 0, 0} {
		b = numbers(b, uint16(n), uint16(n), uint32(at))
		at += n
	}
	return string(numbers(b, flags, make([]byte, lm+nt), []byte(user)))
}

// Who is refused as another within a session stays who he was.
func TestARefusedLogonWithinASessionLeavesItsCaller(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.smb(clientEnd)
	c.logon(ntlmAuthenticate(""), 0, 2)
	c.logon(ntlmAuthenticate("alice"), logonFailure, 0)
	c.ipc()
	c.open("samr", 1)
	c.close()
	anonymous := `as="anonymous"/ntlm/yes(ntlm-anonymous-flag empty-response empty-user null-session)`
	r.want(t, decode.Config{},
		`session 0x77 accepted null `+anonymous,
		`session 0x77 rejected as="alice"/ntlm/no`,
		`tree IPC$ accepted `+anonymous,
		`pipe accepted pipe1="samr" `+anonymous,
		"end")
}

// smb1 is a message of SMB 1 behind its NetBIOS header.
func smb1(command, flags byte, uid uint16, words, data []byte) []byte {
	b := numbers([]byte("\xffSMB"), command, uint32(0), flags, uint16(0x4801), make([]byte, 12), uint16(0), uint16(9), uid, uint16(1),
		byte(len(words)/2), words, uint16(len(data)), data)
	return append([]byte{0, byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...)
}

// Of a setup whose request was not captured the names are unknown, not empty.
func TestASetupThatWasNotSeenIsNotAnonymous(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.pickUp(clientEnd, smbEnd)
	c.answer(smb1(0x73, 0x80, 8, numbers(byte(0xff), byte(0), uint16(0), uint16(0)), nil))
	r.want(t, decode.Config{}, `session 0x8 accepted as="unknown"/none/yes`, "end")
}

// The passwords of LANMAN's time say who a session is of, also where it began
// with a token.
func TestASetupWithoutATokenIsNotOfTheOneBefore(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.dial(clientEnd, smbEnd)
	answer := smb1(0x73, 0x80, 8, numbers(byte(0xff), byte(0), uint16(0), uint16(0)), nil)
	token := ntlmAuthenticate("alice")
	c.ask(smb1(0x73, 0, 8, numbers(byte(0xff), byte(0), make([]byte, 12), uint16(len(token)), make([]byte, 8)), []byte(token)))
	c.answer(answer)
	c.ask(smb1(0x73, 0, 8, numbers(byte(0xff), byte(0), make([]byte, 24)), make([]byte, 4)))
	c.answer(answer)
	c.close()
	r.want(t, decode.Config{},
		`session 0x8 accepted as="alice"/ntlm/yes`,
		`session 0x8 accepted as="anonymous"/lanman/yes(empty-response empty-user)`,
		"end")
}

// A server answers what names a session that does not exist, and goes on.
func TestSessionsThatDoNotExistPushOutNoneThatDoes(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.smb(clientEnd)
	c.logon(ntlmAuthenticate(""), 0, 2)
	c.ipc()
	session, tree := c.session, c.tree
	path := wide(`\\srv\IPC$`)
	for i := range 70 {
		c.session, c.tree = 0x1000+uint64(i), 0
		c.request(smbConnect, numbers(uint16(9), uint16(0), uint16(72), uint16(len(path)), path))
		c.reply(smbConnect, sessionDeleted, nil)
	}
	c.session, c.tree = session, tree
	c.open("samr", 1)
	c.close()
	got := r.play(t, decode.Config{})
	if line := got[len(got)-2]; !holds(line, `pipe accepted pipe1="samr" as="anonymous"/ntlm/yes`) {
		t.Error(line)
	}
}

func TestTreesPushOutNoneInUse(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.smb(clientEnd)
	c.logon(ntlmAuthenticate(""), 0, 2)
	c.ipc()
	c.open("samr", 1)
	c.write(1, bindPDU(1, samrWire))
	path := wide(`\\srv\IPC$`)
	for i := range 300 {
		c.tree = 0
		c.request(smbConnect, numbers(uint16(9), uint16(0), uint16(72), uint16(len(path)), path))
		c.tree = 6 + uint32(i)
		c.reply(smbConnect, 0, numbers(uint16(16), byte(2), byte(0), uint32(0), uint32(0), uint32(0x1f01ff)))
	}
	c.tree = 5
	c.read(1, bindAckPDU(1))
	c.close()
	got := r.play(t, decode.Config{})
	if line := got[len(got)-2]; !holds(line, `bind 1 accepted pipe1="samr"`) {
		t.Error(line)
	}
}

const (
	ptAlter, ptAlterResp, ptAuth3 = 14, 15, 16

	atConnect, atPacket = 2, 4 // levels
)

// secured gives a PDU a verifier of NTLM.
func secured(b []byte, level byte, id uint32, token string) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = numbers(b, byte(10), level, byte(0), byte(0), id, []byte(token))
	binary.LittleEndian.PutUint16(b[8:], uint16(len(b)))
	binary.LittleEndian.PutUint16(b[10:], uint16(len(token)))
	return b
}

func typed(b []byte, ptype byte) []byte {
	b[2] = ptype
	return b
}

// logon is a bind with NTLM that the server takes, at a level and with a context
// id; who it is of, AUTH3 says.
func logon(c *talk, level byte, id uint32, user string) {
	c.ask(secured(bindPDU(1, samrWire), level, id, ntlmNegotiate))
	c.answer(secured(bindAckPDU(1), level, id, ntlmChallenge))
	c.ask(secured(pdu(ptAuth3, firstLast, 1, 0, 0, 0, 0), level, id, ntlmAuthenticate(user)))
}

func faultPDU(call, status uint32) []byte {
	return pdu(ptFault, firstLast, call, numbers(uint32(0), uint16(0), uint16(0), status, uint32(0))...)
}

const seal = "\x01\x00\x00\x00signature..."

func TestWhoCallsIsWhomTheServerTook(t *testing.T) {
	t.Parallel()
	const nobody = `as="anonymous"/ntlm/yes(ntlm-anonymous-flag empty-response empty-user)`
	call := func(c *talk, n uint32, verified bool) {
		b := requestPDU(n, 0, 13, nil)
		if verified {
			b = secured(b, atPacket, 1, seal)
		}
		c.ask(b)
		c.answer(responsePDU(n, 0, make([]byte, 8)))
	}
	alter := func(level byte, id uint32, token string) []byte {
		return secured(typed(bindPDU(5, samrWire), ptAlter), level, id, token)
	}
	for _, tt := range []struct {
		name string
		play func(*talk)
		want string // of the last call
	}{
		{"an alter_context that the server refuses leaves the security context of its id", func(c *talk) {
			logon(c, atPacket, 1, "")
			call(c, 2, true)
			c.ask(alter(atPacket, 1, ntlmAuthenticate("alice")))
			c.answer(faultPDU(5, 5))
			call(c, 6, true)
		}, nobody},
		{"and so does one without an answer", func(c *talk) {
			logon(c, atPacket, 1, "")
			call(c, 2, true)
			c.ask(alter(atPacket, 1, ntlmAuthenticate("alice")))
			call(c, 6, true)
		}, nobody},
		{"an alter_context that the server refuses gives calls without a verifier no name", func(c *talk) {
			c.ask(bindPDU(1, samrWire))
			c.answer(bindAckPDU(1))
			c.ask(alter(atConnect, 1, ntlmAuthenticate("alice")))
			c.answer(faultPDU(5, 5))
			call(c, 6, false)
		}, "answered"},
		{"nor does an authentication that the client never finishes", func(c *talk) {
			c.ask(secured(bindPDU(1, samrWire), atConnect, 1, ntlmNegotiate))
			c.answer(secured(bindAckPDU(1), atConnect, 1, ntlmChallenge))
			call(c, 6, false)
		}, "answered"},
		{"an authentication at the level connect does", func(c *talk) {
			logon(c, atConnect, 1, "alice")
			call(c, 6, false)
		}, `as="alice"/ntlm/yes`},
		{"what a client says of the level later does not count", func(c *talk) {
			c.ask(bindPDU(1, samrWire))
			c.answer(bindAckPDU(1))
			c.ask(alter(atPacket, 1, ntlmNegotiate))
			c.answer(secured(typed(bindAckPDU(5), ptAlterResp), atPacket, 1, ntlmChallenge))
			c.ask(secured(pdu(ptAuth3, firstLast, 5, 0, 0, 0, 0), atConnect, 1, ntlmAuthenticate("alice")))
			call(c, 6, false)
		}, "answered"},
		{"a call that the server answers tells that it took the caller, whatever it refused before", func(c *talk) {
			logon(c, atPacket, 1, "alice")
			c.ask(secured(requestPDU(2, 0, 0, nil), atPacket, 1, seal))
			c.answer(faultPDU(2, 5))
			call(c, 6, true)
		}, `as="alice"/ntlm/yes`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReel()
			c := r.dial(clientEnd, oddEnd)
			tt.play(c)
			c.close()
			var last string
			for _, line := range r.play(t, decode.Config{}) {
				if strings.Contains(line, " call ") {
					last = line
				}
			}
			if !holds(last, tt.want) || tt.want == "answered" && strings.Contains(last, " as=") {
				t.Errorf("%s, want %s", last, tt.want)
			}
		})
	}
}

// A client that opens more security contexts than are kept is told of, and
// pushes out none that was used.
func TestSecurityContextsPushOutNoneInUse(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.dial(clientEnd, oddEnd)
	logon(c, atPacket, 1, "")
	c.ask(secured(requestPDU(2, 0, 13, nil), atPacket, 1, seal))
	c.answer(responsePDU(2, 0, make([]byte, 8)))
	for i := range uint32(20) {
		c.ask(secured(typed(bindPDU(10+i, samrWire), ptAlter), atPacket, 10+i, ntlmNegotiate))
		c.answer(secured(typed(bindAckPDU(10+i), ptAlterResp), atPacket, 10+i, ntlmChallenge))
	}
	c.ask(secured(requestPDU(50, 0, 13, nil), atPacket, 1, seal))
	c.answer(responsePDU(50, 0, make([]byte, 8)))
	c.close()
	got := r.play(t, decode.Config{})
	if line := got[len(got)-2]; !holds(line, `call 50 answered as="anonymous"`) {
		t.Error(line)
	}
	if n := strings.Count(joined(got), "odd dcerpc too-many-security-contexts at=16 evasive"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// The server's word comes from the server.
func TestAClientDoesNotAcceptItself(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.dial(clientEnd, oddEnd)
	logon(c, atPacket, 1, "alice")
	accepted := string(el(0xa1, el(0x30, el(0xa0, []byte{10, 1, 0})))) // accept-completed, RFC 4178 4.2.2
	c.ask(secured(typed(bindAckPDU(1), ptAlterResp), atPacket, 1, accepted))
	c.ask(secured(requestPDU(2, 0, 13, nil), atPacket, 1, seal))
	c.close()
	got := r.play(t, decode.Config{})
	if line := got[len(got)-2]; !holds(line, `call 2 unanswered as="alice"/ntlm`) || strings.Contains(line, "/yes") {
		t.Error(line)
	}
}

// el is an element of BER with a tag and content of less than 128 bytes.
func el(tag byte, content []byte) []byte { return append([]byte{tag, byte(len(content))}, content...) }

// A verifier that the snap length cut off, or that came in a gap, was there.
func TestAVerifierThatWasNotCapturedIsNotNobody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		play func(*reel, *talk)
	}{
		{"cut off by the snap length", func(r *reel, c *talk) {
			r.snap = 14 + 40 + 40
			c.ask(secured(requestPDU(2, 0, 13, make([]byte, 64)), atPacket, 1, seal))
			r.snap = 0
			c.answer(responsePDU(2, 0, make([]byte, 8)))
		}},
		{"in a gap", func(r *reel, c *talk) {
			c.seq[0] += 200
			c.answer(responsePDU(2, 0, make([]byte, 8)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReel()
			c := r.dial(clientEnd, oddEnd)
			logon(c, atPacket, 1, "alice")
			tt.play(r, c)
			c.close()
			got := r.play(t, decode.Config{})
			line := got[slices.IndexFunc(got, func(l string) bool { return holds(l, "call 2") })]
			if !holds(line, "call 2 answered") || strings.Contains(line, `"anonymous"`) {
				t.Error(joined(got))
			}
			var callers []string
			h := handlerFunc(func(e decode.Event) {
				if c, ok := e.(*decode.Call); ok {
					callers = append(callers, c.Caller.Kind.String())
				}
			})
			r.run(decode.Config{}, h)
			if len(callers) != 1 || callers[0] == "anonymous" {
				t.Errorf("callers %v", callers)
			}
		})
	}
}

// A proxy's word on who asks it.
func TestWhomAProxyRefusedIsNotWhoCallsThroughIt(t *testing.T) {
	t.Parallel()
	const ask = "RPC_IN_DATA /rpc/rpcproxy.dll?srv:593 HTTP/1.1\r\nContent-Length: %d\r\n%s\r\n"
	authorization := func(token string) string {
		return "Authorization: NTLM " + base64.StdEncoding.EncodeToString([]byte(token)) + "\r\n"
	}
	for _, tt := range []struct {
		name  string
		token string
		word  string
		want  string
	}{
		{"refused, and then let in without a name", ntlmAuthenticate("alice"), "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "call 2 unknown"},
		{"taken", ntlmAuthenticate("alice"), "HTTP/1.1 200 Success\r\nContent-Length: 0\r\n\r\n", `call 2 unknown as="alice"/ntlm/yes`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReel()
			c := r.dial(clientEnd, netip.AddrPortFrom(oddEnd.Addr(), 593))
			c.ask(fmt.Appendf(nil, ask, 0, authorization(tt.token)))
			c.answer([]byte(tt.word))
			c.ask(fmt.Appendf(nil, ask, 1<<20, ""))
			c.answer([]byte("HTTP/1.1 200 Success\r\nContent-Length: 0\r\n\r\n"))
			c.ask(bindPDU(1, samrWire))
			c.ask(requestPDU(2, 0, 13, nil))
			c.close()
			got := r.play(t, decode.Config{})
			if line := got[len(got)-2]; !holds(line, tt.want) || !strings.Contains(tt.want, "alice") && strings.Contains(line, "alice") {
				t.Error(line)
			}
		})
	}
}

// What the snap length cut of a PDU in HTTP counts, and a body goes on behind it.
func TestPDUsInHTTPThatAreCut(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.dial(clientEnd, netip.AddrPortFrom(oddEnd.Addr(), 593))
	bind, request := bindPDU(1, samrWire), requestPDU(2, 0, 13, make([]byte, 400))
	head := func(n int) []byte {
		return fmt.Appendf(nil, "RPC_IN_DATA /rpc/rpcproxy.dll?srv:593 HTTP/1.1\r\nContent-Length: %d\r\n\r\n", n)
	}
	c.ask(head(len(bind) + len(request)))
	c.ask(bind)
	r.snap = 14 + 40 + 40
	c.ask(request)
	r.snap = 0
	c.ask(head(1 << 20))
	c.ask(requestPDU(3, 0, 14, nil))
	c.close()
	r.want(t, decode.Config{}, "bind 1", "call 2 op=13 stubs=400/0", "call 3 op=14", "end", "loss cut=1")
}

// A client chooses its own port, also that of another protocol's server.
func TestClientsOnPortsOfServersAreSeen(t *testing.T) {
	t.Parallel()
	for _, port := range []uint16{53, 88, 389} {
		r := newReel()
		r.udp(netip.AddrPortFrom(clientEnd.Addr(), port), ldapEnd, ldapSearch(1, strings.Repeat("x", 80)))
		if port == 389 {
			r = newReel()
			r.udp(netip.AddrPortFrom(clientEnd.Addr(), port), dnsEnd, dnsQuery(1, vlmcs, 33))
		}
		got := r.play(t, decode.Config{})
		if len(got) != 2 || !strings.Contains(got[0], " asked=1") {
			t.Errorf("from port %d: %s", port, joined(got))
		}
	}
}

// A server that refuses to close a pipe goes on serving it.
func TestACloseThatTheServerRefusesLeavesThePipe(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.smb(clientEnd)
	c.logon(ntlmAuthenticate(""), 0, 2)
	c.ipc()
	c.open("samr", 1)
	c.write(1, bindPDU(1, samrWire))
	c.read(1, bindAckPDU(1))
	c.request(smbClose, numbers(uint16(25), uint16(0), uint32(0), file(1)))
	c.reply(smbClose, 0xc000000d, nil)
	c.write(1, requestPDU(2, 0, 13, nil))
	c.read(1, responsePDU(2, 0, make([]byte, 8)))
	c.request(smbClose, numbers(uint16(24), uint16(0), uint32(0), file(1)))
	c.reply(smbClose, 0, make([]byte, 60))
	c.close()
	r.want(t, decode.Config{}, "session", "tree", "pipe", "bind 1 accepted", `call 2 samr/1.0 answered as="anonymous"`, "end")
}

// What a server refuses to write into a pipe hides nothing that comes after it.
func TestAWriteThatTheServerRefusesHidesNoCall(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.smb(clientEnd)
	c.session = 0x77
	c.ipc()
	c.open("samr", 1)
	c.write(1, bindPDU(1, samrWire))
	c.read(1, bindAckPDU(1))
	long := requestPDU(9, 0, 13, make([]byte, 60000))[:24]
	c.request(smbSend, numbers(uint16(48), uint16(112), uint32(len(long)), uint64(0), file(1), uint32(0), uint32(0), uint16(0), uint16(0), uint32(0), long))
	c.reply(smbSend, 0xc000000d, nil)
	c.write(1, requestPDU(2, 0, 13, nil))
	c.read(1, responsePDU(2, 0, make([]byte, 8)))
	c.close()
	got := r.play(t, decode.Config{})
	if line := got[len(got)-2]; !holds(line, `call 2 samr/1.0 op=13 answered pipe1="samr"`) {
		t.Error(joined(got))
	}
}

// asRep is the answer of a KDC (RFC 4120 5.4.2).
func asRep() []byte {
	seq := func(parts ...[]byte) []byte { return el(0x30, slices.Concat(parts...)) }
	number := func(tag, v byte) []byte { return el(tag, []byte{2, 1, v}) }
	text := func(tag byte, s string) []byte { return el(tag, el(0x1b, []byte(s))) }
	name := func(tag byte, s string) []byte {
		return el(tag, seq(number(0xa0, 1), el(0xa1, seq(el(0x1b, []byte(s))))))
	}
	sealed := func(tag byte) []byte { return el(tag, seq(number(0xa0, 18), el(0xa2, el(4, []byte("x"))))) }
	ticket := el(0x61, seq(number(0xa0, 5), text(0xa1, "C"), name(0xa2, "krbtgt"), sealed(0xa3)))
	return el(0x6b, seq(number(0xa0, 5), number(0xa1, 11), text(0xa3, "C"), name(0xa4, "a"), el(0xa5, ticket), sealed(0xa6)))
}

// Who sends what KDCs send is none for that.
func TestAnAnswerToAKDCIsNotOfOne(t *testing.T) {
	t.Parallel()
	kdc := netip.AddrPortFrom(dnsEnd.Addr(), 88)
	r := newReel()
	r.udp(clientEnd, kdc, asRep())
	for _, line := range r.play(t, decode.Config{}) {
		if strings.Contains(line, "kerberos as answered") {
			t.Error(line)
		}
	}
	r = newReel()
	r.udp(kdc, clientEnd, asRep())
	if got := r.play(t, decode.Config{}); len(got) != 2 || !holds(got[0], "192.0.2.20:49701>10.66.10.10:88 < kerberos as unknown asked=0") {
		t.Error(joined(got))
	}
}

// Nor is who sends what directories send a directory.
func TestAnAnswerToADirectoryIsNotOfOne(t *testing.T) {
	t.Parallel()
	done := func(id byte) []byte { return el(0x30, []byte{2, 1, id, 0x65, 7, 10, 1, 0, 4, 0, 4, 0}) }
	r := newReel()
	for i := range byte(4) {
		r.udp(clientEnd, ldapEnd, done(i))
	}
	r.udp(clientEnd, ldapEnd, ldapSearch(9, strings.Repeat("x", 80)))
	r.udp(ldapEnd, clientEnd, done(9))
	got := r.play(t, decode.Config{})
	if line := got[len(got)-2]; !holds(line, "192.0.2.20:49701>10.66.10.10:389 < ldap search answered asked=5") {
		t.Error(line)
	}
}

// A search is of whom the directory took its client for when it was asked.
func TestASearchIsOfWhoAskedIt(t *testing.T) {
	t.Parallel()
	message := func(id byte, op []byte) []byte { return el(0x30, append([]byte{2, 1, id}, op...)) }
	bind := func(id byte, name, password string) []byte {
		return message(id, el(0x60, slices.Concat([]byte{2, 1, 3}, el(4, []byte(name)), el(0x80, []byte(password)))))
	}
	result := func(id, op byte) []byte { return message(id, []byte{op, 7, 10, 1, 0, 4, 0, 4, 0}) }
	r := newReel()
	c := r.dial(clientEnd, ldapEnd)
	c.ask(bind(1, "CN=alice", "secret"))
	c.answer(result(1, 0x61))
	c.ask(ldapSearch(2, strings.Repeat("x", 80)))
	c.ask(bind(3, "", ""))
	c.answer(result(3, 0x61))
	c.answer(result(2, 0x65))
	c.close()
	r.want(t, decode.Config{}, "ldap bind simple accepted", "ldap bind anonymous accepted", `ldap search answered as="CN=alice"`, "end")
}
