package smb

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"kmswatch/decode/dcerpc"
)

func TestSessionTreePipe(t *testing.T) {
	a, v := newTalk(Config{Messages: true}), new(conv2)
	n := v.negotiate(0x0202, 0x0302)
	a.client(n.packet()).server(negotiated(n, 0x0302, "hint").packet())
	s := v.setup(0, "negotiate")
	a.client(s.packet()).server(v.setUp(s, statusMoreProcessing, 0x77, 0, "challenge").packet())
	v.session = 0x77
	s = v.setup(0, "authenticate")
	a.client(s.packet()).server(v.setUp(s, 0, 0x77, 2, "done").packet())
	c := v.connect(`\\10.0.0.1\ipc$`)
	a.client(c.packet()).server(v.connected(c, 5, 2).packet())
	v.tree = 5
	m := v.create(`LSARPC`)
	a.client(m.packet()).server(created(m, fid(1)).packet())
	m = v.write(fid(1), "ask")
	a.client(m.packet()).server(written(m).packet())
	m = v.read(fid(1), 1024)
	a.client(m.packet()).server(got(m, 0, "answer").packet())
	m = v.close(fid(1))
	a.client(m.packet()).server(closed(m).packet())
	m = v.msg(Logoff2, join(le16(4), le16(0)))
	a.client(m.packet()).server(m.reply(0, join(le16(4), le16(0))).packet())
	check(t, a.end(),
		"smb2 NEGOTIATE request",
		"smb2 NEGOTIATE response STATUS_SUCCESS",
		"token session 0x0 client false 4 bytes",
		"smb2 SESSION_SETUP request",
		"token session 0x0 client true 9 bytes",
		"smb2 SESSION_SETUP response STATUS_MORE_PROCESSING_REQUIRED",
		"token session 0x77 client false 9 bytes",
		"smb2 SESSION_SETUP request",
		"token session 0x77 client true 12 bytes",
		"smb2 SESSION_SETUP response STATUS_SUCCESS",
		"token session 0x77 client false 4 bytes",
		"session 0x77 granted STATUS_SUCCESS legs 2 null @3-6",
		`smb2 TREE_CONNECT request "\\\\10.0.0.1\\ipc$"`,
		"smb2 TREE_CONNECT response STATUS_SUCCESS",
		`tree 5 ipc granted STATUS_SUCCESS "\\\\10.0.0.1\\ipc$" share "ipc$" session 0x77`,
		`smb2 CREATE request "LSARPC"`,
		"smb2 CREATE response STATUS_SUCCESS",
		`open 1 "lsarpc" granted STATUS_SUCCESS`,
		"smb2 WRITE request of lsarpc",
		`pipe 1 to server "ask"`,
		"smb2 WRITE response STATUS_SUCCESS of lsarpc",
		"smb2 READ request of lsarpc",
		"smb2 READ response STATUS_SUCCESS of lsarpc",
		`pipe 1 to client "answer"`,
		"smb2 CLOSE request of lsarpc",
		"smb2 CLOSE response STATUS_SUCCESS of lsarpc",
		"end of pipe 1 true",
		"smb2 LOGOFF request",
		"smb2 LOGOFF response STATUS_SUCCESS",
		"session 0x77 logged-off STATUS_SUCCESS legs 2 null @3-18")
	if side, known := a.Client(); side != 0 || !known {
		t.Errorf("client is %d, known %t", side, known)
	}
	if n := a.Negotiated(); n.Dialect != 0x0302 || n.ServerSecurity != 3 || n.OfferedCount != 2 || n.Offered[1] != 0x0302 {
		t.Errorf("negotiated %+v", n)
	}
}

func TestNegotiateContexts(t *testing.T) {
	a, v := newTalk(Config{}), new(conv2)
	m := v.negotiate(0x0300, 0x0311)
	name := utf("dc1.example")
	m.body = append(m.body, zero(-(headerSize2+len(m.body))&7)...)
	binary.LittleEndian.PutUint32(m.body[28:], uint32(headerSize2+len(m.body)))
	binary.LittleEndian.PutUint16(m.body[32:], 1)
	m.body = join(m.body, le16(contextNetName), le16(len(name)), le32(0), name)
	r := negotiated(m, 0x0311, "")
	r.body = join(r.body,
		le16(contextPreauth), le16(38), le32(0), le16(1), le16(32), le16(1), zero(32), zero(2),
		le16(contextEncryption), le16(4), le32(0), le16(1), le16(2), zero(4),
		le16(contextCompression), le16(10), le32(0), le16(1), le16(0), le32(0), le16(3), zero(6),
		le16(contextSigning), le16(4), le32(0), le16(1), le16(1))
	binary.LittleEndian.PutUint16(r.body[6:], 4)
	binary.LittleEndian.PutUint32(r.body[60:], headerSize2+64)
	a.client(m.packet()).server(r.packet())
	check(t, a.end(), "")
	n := a.Negotiated()
	if n.NetName != "dc1.example" || n.Preauth != 1 || n.Cipher != 2 || n.Compression != 3 || !n.HasSigning || n.Signing != 1 {
		t.Errorf("negotiated %+v", n)
	}
	binary.LittleEndian.PutUint16(r.body[6:], 5)
	b := newTalk(Config{}).client(m.packet()).server(r.packet())
	check(t, b.end(), "1 bad-negotiate-context")
}

func TestRefusals(t *testing.T) {
	a, v := newTalk(Config{}), new(conv2)
	s := v.setup(0, "one")
	a.client(s.packet()).server(v.setUp(s, statusMoreProcessing, 9, 0, "two").packet())
	v.session = 9
	s = v.setup(0, "three")
	a.client(s.packet()).server(s.fail(0xc000006d).packet())
	check(t, a.take(),
		"token session 0x0 client true 3 bytes",
		"token session 0x9 client false 3 bytes",
		"token session 0x9 client true 5 bytes",
		"session 0x9 refused STATUS_LOGON_FAILURE legs 2 @1-4")
	c := v.connect(`\\s\IPC$`)
	a.client(c.packet()).server(c.fail(0xc0000022).packet())
	check(t, a.take(), `tree 0 ipc refused STATUS_ACCESS_DENIED "\\\\s\\IPC$" share "IPC$" session 0x9`)
	b, w := onTrees(Config{})
	m := w.create(`\PIPE\winreg`)
	b.client(m.packet()).server(m.fail(0xc0000034).packet())
	check(t, b.take(), `open 1 "winreg" refused STATUS_OBJECT_NAME_NOT_FOUND`)
}

func TestWhatIsNotAnswered(t *testing.T) {
	a, v := onTrees(Config{})
	a.client(v.create("samr").packet(), v.connect(`\\s\x`).packet())
	v.session = 0
	a.client(v.setup(1, "x").packet())
	check(t, a.end(),
		"token session 0x0 client true 1 bytes",
		`open 1 "samr" unanswered STATUS_SUCCESS`,
		`tree 0 other unanswered STATUS_SUCCESS "\\\\s\\x" share "x" session 0x7`,
		"session 0x0 unanswered STATUS_SUCCESS legs 1 binding @11-0")
}

// Traps 39 and 40: what the server says of a session, each on its own.
func TestTrap39SessionFlags(t *testing.T) {
	for flags, want := range []string{"", " guest", " null", " guest null", " encrypt"} {
		a, v := newTalk(Config{}), new(conv2)
		s := v.setup(0, "")
		a.client(s.packet()).server(v.setUp(s, 0, 3, flags, "").packet())
		check(t, a.end(), "session 0x3 granted STATUS_SUCCESS legs 1"+want+" @1-2")
	}
}

func TestAuthenticationAnewAndBinding(t *testing.T) {
	a, v := onTrees(Config{})
	s := v.setup(0, "x")
	a.client(s.packet()).server(v.setUp(s, 0, 7, 0, "").packet())
	v.session = 0x99
	b := v.setup(1, "x")
	a.client(b.packet()).server(v.setUp(b, 0, 0x99, 0, "").packet())
	check(t, a.end(),
		"token session 0x7 client true 1 bytes",
		"session 0x7 granted STATUS_SUCCESS legs 1 again @9-10",
		"token session 0x99 client true 1 bytes",
		"session 0x99 granted STATUS_SUCCESS legs 1 binding @11-12")
}

// Trap 10: the same file id means another pipe in another tree and session.
func TestTrap10PipesByTreeAndSession(t *testing.T) {
	a, v := onPipe(Config{})
	c := v.connect(`\\other\IPC$`)
	a.client(c.packet()).server(v.connected(c, 4, 2).packet())
	v.tree = 4
	m := v.create("svcctl")
	a.client(m.packet()).server(created(m, fid(1)).packet())
	a.take()
	a.client(v.write(fid(1), "to svcctl").packet())
	v.tree = 1
	a.client(v.write(fid(1), "to samr").packet())
	// The two halves of the id count, not their sum.
	other := FileID{0: 0, 8: 2, 15: 0xee}
	a.client(v.write(other[:], "to nobody").packet())
	check(t, a.take(), `pipe 2 to server "to svcctl"`, `pipe 1 to server "to samr"`)
}

// Trap 30: PDUs and messages do not fall together.
func TestTrap30PDUsOverMessages(t *testing.T) {
	request, response := pdu(0, 100), pdu(2, 3000)
	a, v := onPipe(Config{})
	a.keep = 50 // takes 50 bytes at a time
	a.client(v.write(fid(1), request[:30]).packet(), v.write(fid(1), request[30:]+request[:40]).packet())
	check(t, a.take(), `pipe 1 to server "`+strings.ReplaceAll(quoted(request), `"`, `\"`)+`"`)
	m := v.transceive(fid(1), request[40:])
	a.client(m.packet()).server(transceived(m, statusBufferOverflow, response[:1024]).packet())
	m = v.read(fid(1), 4096)
	a.client(m.packet()).server(got(m, 0, response[1024:]).packet())
	lines := strings.Split(a.take(), "\n")
	if len(lines) != 2 || lines[0] != `pipe 1 to server "`+quoted(request)+`"` || lines[1] != `pipe 1 to client "`+quoted(response)+`"` {
		t.Errorf("got %q", lines)
	}
}

func quoted(s string) string {
	var r record
	r.last = ""
	r.data = []byte(s)
	q := r.take()
	return q[2 : len(q)-1]
}

func TestPeekCarriesNothing(t *testing.T) {
	a, v := onPipe(Config{})
	m := v.transceive(fid(1), "")
	binary.LittleEndian.PutUint32(m.body[4:], FsctlPipePeek)
	r := transceived(m, 0, pdu(2, 30))
	binary.LittleEndian.PutUint32(r.body[4:], FsctlPipePeek)
	a.client(m.packet()).server(r.packet())
	check(t, a.take(), "")
}

func TestFilesAreNoPipes(t *testing.T) {
	a, v := onTrees(Config{})
	v.tree = 2
	m := v.create("samr")
	a.client(m.packet()).server(created(m, fid(1)).packet())
	m = v.write(fid(1), pdu(0, 40))
	a.client(m.packet()).server(written(m).packet())
	m = v.read(fid(1), 40)
	a.client(m.packet()).server(got(m, 0, pdu(2, 40)).packet())
	check(t, a.end(), "")
}

// Trap 43: NextCommand goes forward, to a multiple of 8, within the message.
func TestTrap43NextCommand(t *testing.T) {
	for _, c := range []struct {
		name string
		next uint32
		want string
	}{
		{"to itself", 8, "0 bad-next-command!"},
		{"unaligned", 125, "0 bad-next-command!"},
		{"beyond the message", 1 << 20, "0 bad-next-command!"},
		{"so far that it wraps", 1<<32 - 64, "0 bad-next-command!"},
		{"to where nothing fits", 160, "0 bad-next-command!"},
		{"to what is no header", 72, "0 bad-next-command!"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, v := onPipe(Config{})
			m := v.write(fid(1), "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghij")
			p := m.packet()
			binary.LittleEndian.PutUint32(p[4+20:], c.next)
			a.client(p)
			if got := a.take(); !strings.HasPrefix(got, c.want) && !strings.HasSuffix(got, c.want) {
				t.Errorf("got %s", got)
			}
			a.client(v.write(fid(1), "on it goes").packet())
			check(t, a.take(), `pipe 1 to server "on it goes"`)
		})
	}
}

func TestCompounds(t *testing.T) {
	a, v := onTrees(Config{Messages: true})
	c, w, r, e := v.create("samr"), v.write(allOnes[:], "ask"), v.read(allOnes[:], 100), v.close(allOnes[:])
	for _, m := range []*msg2{&w, &r, &e} {
		m.flags = flagRelated
		m.session, m.tree = 1<<64-1, -1
	}
	a.client(compound(c, w, r, e))
	w.session, w.tree = 7, 1
	a.server(compound(created(c, fid(3)), written(w), got(r, 0, "answer"), closed(e)))
	check(t, a.end(),
		`smb2 CREATE request "samr"`,
		"smb2 WRITE request chain 1",
		"smb2 READ request chain 2",
		"smb2 CLOSE request chain 3",
		"smb2 CREATE response STATUS_SUCCESS",
		`open 1 "samr" granted STATUS_SUCCESS`,
		`pipe 1 to server "ask"`,
		"smb2 WRITE response STATUS_SUCCESS chain 1 of samr",
		"smb2 READ response STATUS_SUCCESS chain 2 of samr",
		`pipe 1 to client "answer"`,
		"smb2 CLOSE response STATUS_SUCCESS chain 3 of samr",
		"end of pipe 1 true")
}

func TestCompoundWhoseOpenIsRefused(t *testing.T) {
	a, v := onTrees(Config{})
	c, w := v.create("samr"), v.write(allOnes[:], "ask")
	w.flags = flagRelated
	a.client(compound(c, w)).server(compound(c.fail(0xc0000022), w.fail(0xc0000022)))
	check(t, a.end(), `open 1 "samr" refused STATUS_ACCESS_DENIED`)
	if a.s.held != 0 {
		t.Errorf("%d bytes are held", a.s.held)
	}
}

func TestRelatedFirst(t *testing.T) {
	a, v := onPipe(Config{})
	m := v.write(fid(1), "x")
	m.flags = flagRelated
	check(t, a.client(m.packet()).take(), "0 related-first!", `pipe 1 to server "x"`)
}

// Trap 44: an interim response does not end a request.
func TestTrap44Async(t *testing.T) {
	a, v := onPipe(Config{})
	m := v.read(fid(1), 100)
	other := v.write(fid(1), "ask")
	final := got(m, 0, "answer")
	final.flags |= flagAsync
	final.async = 0x55
	a.client(m.packet()).server(m.pending(0x55).packet())
	a.client(other.packet()).server(written(other).packet(), final.packet())
	check(t, a.take(), `pipe 1 to server "ask"`, `pipe 1 to client "answer"`)
	m = v.read(fid(1), 100)
	final = got(m, 0, "strange")
	final.flags |= flagAsync
	final.async = 0x66
	a.client(m.packet()).server(m.pending(0x65).packet(), final.packet())
	check(t, a.take(), "1 async-mismatch", `pipe 1 to client "strange"`)
}

// Trap 45: what is encrypted is said, once a session and direction.
func TestTrap45Opaque(t *testing.T) {
	a, _ := onTrees(Config{})
	sealed := nbss(join([]byte{0xfd, 'S', 'M', 'B'}, zero(32), le32(100), zero(4), le64(7), zero(100)))
	packed := nbss(join([]byte{0xfc, 'S', 'M', 'B'}, le32(4096), le16(1), le16(0), le32(0), zero(50)))
	a.client(sealed, sealed).server(sealed, packed, packed)
	check(t, a.take(),
		"opaque encrypted session 0x7 client true",
		"opaque encrypted session 0x7 client false",
		"opaque compressed session 0x0 client false")
}

// Trap 46: a pipe whose tree connect or open was not seen is found by its bytes.
func TestTrap46WhatTheCaptureLacks(t *testing.T) {
	t.Run("the open and the tree connect", func(t *testing.T) {
		a, v := newTalk(Config{}), &conv2{session: 8, tree: 6, next: 1000}
		w, r := v.write(fid(1), pdu(11, 72)), v.read(fid(1), 1024)
		a.client(v.write(fid(2), "just a file").packet(), w.packet()).server(written(w).packet())
		a.client(r.packet()).server(got(r, 0, "answer").packet())
		check(t, a.take(), `open 1 "" granted STATUS_SUCCESS`, `pipe 1 to server "`+quoted(pdu(11, 72))+`"`, `pipe 1 to client "answer"`)
	})
	t.Run("all but the answer", func(t *testing.T) {
		a, v := newTalk(Config{}), &conv2{session: 8, tree: 6, next: 1000}
		r := v.read(fid(1), 1024)
		a.client(r.packet()).server(got(r, 0, pdu(2, 30)).packet())
		check(t, a.take(), `open 1 "" granted STATUS_SUCCESS`, `pipe 1 to client "`+quoted(pdu(2, 30))+`"`)
	})
	t.Run("the tree connect alone", func(t *testing.T) {
		a, v := newTalk(Config{}), &conv2{session: 8, tree: 6, next: 1000}
		m := v.create("netlogon")
		a.client(m.packet()).server(created(m, fid(1)).packet())
		check(t, a.take(), "")
		a.client(v.transceive(fid(1), pdu(11, 72)).packet())
		check(t, a.take(), `open 1 "netlogon" granted STATUS_SUCCESS`, `pipe 1 to server "`+quoted(pdu(11, 72))+`"`)
	})
	t.Run("the tree connect, and it is a file", func(t *testing.T) {
		a, v := newTalk(Config{}), &conv2{session: 8, tree: 6, next: 1000}
		m := v.create("netlogon")
		a.client(m.packet()).server(created(m, fid(1)).packet())
		a.client(v.write(fid(1), "logon script of some length").packet())
		check(t, a.end(), "")
	})
	t.Run("in writes of one byte", func(t *testing.T) {
		a, v := newTalk(Config{}), &conv2{session: 8, tree: 6, next: 1000}
		for i := range 30 {
			a.client(v.write(fid(1), pdu(11, 72)[i:i+1]).packet())
		}
		check(t, a.take(), `open 1 "" granted STATUS_SUCCESS`, `pipe 1 to server "`+quoted(pdu(11, 72)[:30])+`"`)
	})
}

// Trap 42: what surrounds messages.
func TestTrap42Framing(t *testing.T) {
	t.Run("session request, answer and keep-alives on port 139", func(t *testing.T) {
		a, v := newTalk(Config{}), new(conv2)
		m := v.negotiate(0x0202)
		request := join([]byte{0x81, 0, 0, 68}, zero(68))
		a.client(request).server([]byte{0x82, 0, 0, 0})
		a.client(join([]byte{0x85, 0, 0, 0}, m.packet())).server(negotiated(m, 0x0202, "x").packet())
		check(t, a.take(), "token session 0x0 client false 1 bytes")
		// There the length is of 17 bits, and the flags before it are reserved.
		s := v.setup(0, "abc")
		p := s.packet()
		p[1] = 0xfe
		check(t, a.client(p).take(), "token session 0x0 client true 3 bytes")
	})
	t.Run("junk before the header", func(t *testing.T) {
		a, v := onPipe(Config{})
		for _, junk := range []string{"junk", "SMB", "\x00\x00\x00\x00\xfeSM", "\xfeSMB and a lot of junk"} {
			b := join([]byte(junk), v.write(fid(1), "found").packet())
			a.client(b)
			got := a.take()
			if !strings.HasSuffix(got, `pipe 1 to server "found"`) || !strings.Contains(got, "not-smb") && junk[0] != 0 {
				t.Errorf("after %q:\n%s", junk, got)
			}
		}
	})
	t.Run("bytes behind the message", func(t *testing.T) {
		a, v := onPipe(Config{})
		m := v.write(fid(1), "data")
		m.body = append(m.body, "some more"...)
		a.client(m.packet(), v.write(fid(1), "next").packet())
		check(t, a.take(), "0 trailing-bytes", `pipe 1 to server "datanext"`)
	})
	t.Run("a session service length that ends within the data", func(t *testing.T) {
		a, v := onPipe(Config{})
		p := v.write(fid(1), "0123456789").packet()
		p[3] -= 4
		a.client(p[:len(p)-4], v.write(fid(1), "next").packet())
		check(t, a.take(), "0 bad-offset!", `pipe 1 to server "012345next"`)
	})
	t.Run("data that are said to be in the header", func(t *testing.T) {
		a, v := onPipe(Config{})
		m := v.write(fid(1), "0123456789")
		binary.LittleEndian.PutUint16(m.body[2:], 4)
		a.client(m.packet(), v.write(fid(1), "next").packet())
		check(t, a.take(), "0 bad-offset!", `pipe 1 to server "next"`)
	})
	t.Run("an empty message", func(t *testing.T) {
		a, v := onPipe(Config{})
		a.client(join(nbss(nil), v.write(fid(1), "next").packet()))
		check(t, a.take(), `pipe 1 to server "next"`)
	})
	t.Run("messages shorter than their fields", func(t *testing.T) {
		a, v := onPipe(Config{})
		m := v.write(fid(1), "")
		m.body = m.body[:20]
		a.client(m.packet(), nbss([]byte("\xfeSMB@\x00 short")), v.write(fid(1), "next").packet())
		check(t, a.take(), "0 short-message", "0 short-message", `pipe 1 to server "next"`)
	})
}

// Trap 47: tables are bounded, and what is newest is kept.
func TestTrap47Bounds(t *testing.T) {
	a, v := onTrees(Config{MaxSessions: 3, MaxTrees: 4, MaxOpens: 5, MaxPending: 16})
	for i := range 40 {
		m := v.create("samr")
		a.client(m.packet()).server(created(m, fid(byte(i))).packet())
	}
	got := a.take()
	if n := strings.Count(got, "end of pipe"); n != 35 || strings.Count(got, "too-many-opens!") != 1 {
		t.Errorf("%d pipes ended:\n%s", n, got)
	}
	a.client(v.write(fid(39), "newest").packet(), v.write(fid(0), "oldest").packet())
	check(t, a.take(), `pipe 40 to server "newest"`)
	for i := range 30 {
		c := v.connect(`\\s\IPC$`)
		a.client(c.packet()).server(v.connected(c, 100+i, 2).packet())
	}
	if got := a.take(); strings.Count(got, "too-many-trees!") != 1 || len(a.s.trees) != 4 {
		t.Errorf("%d trees:\n%s", len(a.s.trees), got)
	}
	for range 100 {
		a.client(v.read(fid(1), 10).packet())
	}
	if got := a.take(); len(a.s.requests) > 16 || strings.Count(got, "too-many-requests") != 1 {
		t.Errorf("%d requests:\n%s", len(a.s.requests), got)
	}
	for i := range 30 {
		v.session = 0
		s := v.setup(0, "")
		a.client(s.packet()).server(v.setUp(s, 0, uint64(1000+i), 0, "").packet())
	}
	if got := a.take(); strings.Count(got, "too-many-sessions!") != 1 || len(a.s.sessions) != 3 {
		t.Errorf("%d sessions:\n%s", len(a.s.sessions), got)
	}
	if a.Evicted() == 0 {
		t.Error("nothing was counted")
	}
}

// Trap 20: bytes that the handler does not use are bounded, and go on after.
func TestTrap20HeldBytesAreBounded(t *testing.T) {
	a, v := onTrees(Config{MaxHeld: 1})
	for i := range 8 {
		m := v.create("samr")
		a.client(m.packet()).server(created(m, fid(byte(i))).packet())
	}
	a.take()
	a.keep = 1 << 30
	most := 0
	for i := range 80 {
		a.client(v.write(fid(byte(i%8)), strings.Repeat("x", 20000)).packet())
		most = max(most, a.s.held)
	}
	if most > a.cfg.maxHeld()+maxWay {
		t.Errorf("%d bytes held", most)
	}
	got := a.take()
	if !strings.Contains(got, "too-much-held!") || !strings.Contains(got, "gap of pipe") {
		t.Errorf("got %s", got)
	}
	a.keep = 0
	a.client(v.write(fid(7), "y").packet())
	if got := a.take(); !strings.HasSuffix(got, `y"`) {
		t.Errorf("got %s", got)
	}
}

func TestGaps(t *testing.T) {
	big := strings.Repeat("x", 5000)
	t.Run("within file data nothing is lost", func(t *testing.T) {
		a, v := onPipe(Config{})
		v.tree = 2
		m := v.write(fid(9), big)
		p := m.packet()
		if used := a.Conn.Data(0, p[:200], true, a.at(), &a.record); used != 200 {
			t.Fatalf("%d used", used)
		}
		if n := a.Skipping(0); n != len(p)-200 {
			t.Errorf("%d are skipped, want %d", n, len(p)-200)
		}
		a.Gap(0, int64(len(p)-300), a.at(), &a.record)
		v.tree = 1
		a.send(0, p[len(p)-100:], v.write(fid(1), "on").packet())
		check(t, a.take(), `pipe 1 to server "on"`)
	})
	t.Run("within a pipe's data that pipe alone", func(t *testing.T) {
		a, v := onPipe(Config{})
		m := v.create("svcctl")
		a.client(m.packet()).server(created(m, fid(2)).packet())
		a.take()
		p := v.write(fid(1), big).packet()
		a.Conn.Data(0, p[:136], true, a.at(), &a.record)
		a.Gap(0, int64(len(p)-136), a.at(), &a.record)
		a.client(v.write(fid(1), "on").packet(), v.write(fid(2), "on").packet())
		check(t, a.take(), `pipe 1 to server "xxxxxxxxxxxxxxxxxxxx"`, "gap of pipe 1 client true", `pipe 1 to server "on"`, `pipe 2 to server "on"`)
	})
	t.Run("of unknown length", func(t *testing.T) {
		a, v := onPipe(Config{})
		a.Gap(0, 0, a.at(), &a.record)
		p := v.write(fid(1), "on").packet()
		a.client([]byte("the end of something"), p)
		check(t, a.take(), "gap of pipe 1 client true", `pipe 1 to server "on"`)
	})
	t.Run("of a whole message whose answer comes", func(t *testing.T) {
		a, v := onPipe(Config{})
		m := v.read(fid(1), 100)
		a.Gap(0, int64(len(m.packet())), a.at(), &a.record)
		a.server(got(m, 0, pdu(2, 30)).packet())
		check(t, a.take(), "gap of pipe 1 client true")
	})
}

func TestCutMessagesCountAsFarAsTheyGo(t *testing.T) {
	a, v := onPipe(Config{Messages: true})
	cut := func(p []byte, n int) {
		used := a.Conn.Data(0, p[:n], true, a.at(), &a.record)
		a.Cut(0, p[used:n], a.at(), &a.record)
		a.Gap(0, int64(len(p)-n), a.at(), &a.record)
	}
	cut(v.write(fid(1), pdu(0, 3000)).packet(), 150)
	check(t, a.take(), "smb2 WRITE request of samr", `pipe 1 to server "`+quoted(pdu(0, 3000)[:34])+`"`, "gap of pipe 1 client true")
	cut(v.create("a name that is cut").packet(), 4+120+6)
	check(t, a.take(), `smb2 CREATE request "a n"`)
	cut(v.read(fid(1), 10).packet(), 80)
	check(t, a.take(), "smb2 READ request")
	a.client(v.write(fid(1), "on").packet())
	check(t, a.take(), "smb2 WRITE request of samr", `pipe 1 to server "on"`)
}

func TestMultiProtocolNegotiate(t *testing.T) {
	a := newTalk(Config{Messages: true})
	v1, v := new(conv1), new(conv2)
	v1.oem = true
	r := negotiated(v.negotiate(), 0x02ff, "hint")
	a.client(v1.msg(offers("NT LM 0.12", "SMB 2.002", "SMB 2.???")).packet()).server(r.packet())
	n := v.negotiate(0x0210)
	a.client(n.packet()).server(negotiated(n, 0x0210, "hint").packet())
	check(t, a.take(),
		"smb1 NEGOTIATE request",
		"smb2 NEGOTIATE response STATUS_SUCCESS",
		"token session 0x0 client false 4 bytes",
		"smb2 NEGOTIATE request",
		"smb2 NEGOTIATE response STATUS_SUCCESS",
		"token session 0x0 client false 4 bytes")
	if n := a.Negotiated(); !n.MultiProtocol || n.Dialect != 0x0210 {
		t.Errorf("negotiated %+v", n)
	}
}

func TestSidesAreLearnt(t *testing.T) {
	a, v := newTalk(Config{}), new(conv2)
	m := v.negotiate(0x0210)
	a.send(1, m.packet()).send(0, negotiated(m, 0x0210, "x").packet())
	if side, known := a.Client(); side != 1 || !known {
		t.Errorf("client is %d, known %t", side, known)
	}
	s := v.setup(0, "x")
	a.send(0, s.packet())
	check(t, a.take(), "token session 0x0 client false 1 bytes", "0 wrong-direction", "token session 0x0 client true 1 bytes")
}

func TestResponsesToNothing(t *testing.T) {
	a, v := onPipe(Config{})
	m := v.read(fid(1), 10)
	a.server(got(m, 0, "x").packet(), got(m, 0, "x").packet())
	check(t, a.take(), "1 response-without-request")
	m = v.read(fid(1), 10)
	a.client(m.packet()).server(written(msg2{command: Write2, id: m.id, session: 7, tree: 1}).packet())
	check(t, a.take(), "1 command-mismatch!")
	a.client(m.packet())
	check(t, a.take(), "0 duplicate-message-id")
	b := v.msg(OplockBreak2, le16(24))
	b.id, b.flags = 1<<64-1, flagResponse
	a.told = 0
	check(t, a.server(b.packet()).take(), "")
}

func TestTreeDisconnectAndLogoffEndPipes(t *testing.T) {
	a, v := onPipe(Config{})
	m := v.msg(TreeDisconnect2, join(le16(4), le16(0)))
	a.client(m.packet()).server(m.reply(0, join(le16(4), le16(0))).packet())
	check(t, a.take(), "end of pipe 1 true")
	a, v = onPipe(Config{})
	m = v.msg(Logoff2, join(le16(4), le16(0)))
	a.client(m.packet()).server(m.reply(0, join(le16(4), le16(0))).packet())
	check(t, a.take(), "end of pipe 1 true", "session 0x7 logged-off STATUS_SUCCESS legs 1 @3-12")
}

func TestNothingIsKeptOfWhatIsBorrowed(t *testing.T) {
	tell := func(spoil bool) string {
		a, v := onTrees(Config{})
		a.keep = 16
		m := v.create("a pipe of some name")
		for _, p := range []struct {
			side int
			b    []byte
		}{{0, m.packet()}, {1, created(m, fid(1)).packet()}, {0, v.write(fid(1), "0123456789").packet()}, {0, v.write(fid(1), "0123456789").packet()}} {
			a.Conn.Data(p.side, p.b, true, dcerpc.Point{}, &a.record)
			if spoil {
				copy(p.b, bytes.Repeat([]byte{0xa5}, len(p.b)))
			}
		}
		return a.end()
	}
	if clean, spoiled := tell(false), tell(true); clean != spoiled {
		t.Errorf("told\n%s\nand with the memory overwritten\n%s", clean, spoiled)
	}
}

func TestConnIsNewAfterReset(t *testing.T) {
	a, v := onPipe(Config{})
	a.client(v.read(fid(1), 10).packet())
	a.Reset(&Config{})
	a.client(v.write(fid(1), "nobody's").packet())
	check(t, a.end(), "")
	if a.Excess() != 0 || a.Messages() != 1 {
		t.Errorf("%d bytes beyond, %d messages", a.Excess(), a.Messages())
	}
}
