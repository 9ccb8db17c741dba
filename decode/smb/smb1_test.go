package smb

import (
	"strings"
	"testing"
)

func TestSMB1SessionTreePipe(t *testing.T) {
	for _, oem := range []bool{false, true} {
		a, v := newTalk(Config{Messages: true}), &conv1{oem: oem}
		m := v.msg(offers("PC NETWORK PROGRAM 1.0", "NT LM 0.12"))
		a.client(m.packet()).server(m.reply(0, agreed(1, 0, nil)).packet())
		if n := a.Negotiated(); n.DialectName != "NT LM 0.12" || n.ServerSecurity != 3 || n.ExtendedSec {
			t.Errorf("negotiated %+v", n)
		}
		m = v.msg(v.plain(strings.Repeat("l", 24), strings.Repeat("n", 24), "Jürgen", "CORP"))
		r := m.reply(0, block{cmd1SessionSetupAndX, le16(1), join(zero(1&^len(v.text(""))), v.text("Server OS"), v.text("LM"))})
		r.uid = 5
		if oem { // a Latin 1 name, as OEM strings are taken
			m.blocks[0].data = []byte(strings.ReplaceAll(string(m.blocks[0].data), "ü", "\xfc"))
		}
		a.client(m.packet()).server(r.packet())
		v.uid = 5
		m = v.msg(v.tree(`\\server\IPC$`, 43))
		r = m.reply(0, block{cmd1TreeConnectAndX, le16(0), []byte("IPC\x00\x00")})
		r.tid = 3
		a.client(m.packet()).server(r.packet())
		v.tid = 3
		m = v.msg(v.ntCreate(`\PIPE\SAMR`))
		a.client(m.packet()).server(m.reply(0, ntCreated(9, 2)).packet())
		m = v.msg(writeAndX(9, 8, "ask"))
		a.client(m.packet()).server(m.reply(0, block{cmd1WriteAndX, zero(8), nil}).packet())
		m = v.msg(readAndX(9))
		a.client(m.packet()).server(m.reply(0, gotAndX("answer")).packet())
		m = v.msg(v.transact(transTransact, 9, `\PIPE\`, "ask again", 9))
		a.client(m.packet()).server(m.reply(0, transacted("answer again", 0, 12)).packet())
		m = v.msg(block{cmd1Close, join(le16(9), zero(4)), nil})
		a.client(m.packet()).server(m.reply(0, block{cmd1Close, nil, nil}).packet())
		m = v.msg(block{cmd1LogoffAndX, nil, nil})
		a.client(m.packet()).server(m.reply(0, block{cmd1LogoffAndX, nil, nil}).packet())
		session := `lm 24 nt 24 account "Jürgen" domain "CORP" os "OS"/"Server OS"`
		check(t, a.end(),
			"smb1 NEGOTIATE request",
			"smb1 NEGOTIATE response STATUS_SUCCESS",
			"smb1 SESSION_SETUP_ANDX request",
			"smb1 SESSION_SETUP_ANDX response STATUS_SUCCESS",
			"session 0x5 granted STATUS_SUCCESS legs 1 guest "+session+" @3-4",
			`smb1 TREE_CONNECT_ANDX request "\\\\server\\IPC$"`,
			"smb1 TREE_CONNECT_ANDX response STATUS_SUCCESS",
			`tree 3 ipc granted STATUS_SUCCESS "\\\\server\\IPC$" share "IPC$" session 0x5`,
			`smb1 NT_CREATE_ANDX request "\\PIPE\\SAMR"`,
			"smb1 NT_CREATE_ANDX response STATUS_SUCCESS",
			`open 1 "samr" granted STATUS_SUCCESS`,
			"smb1 WRITE_ANDX request of samr",
			`pipe 1 to server "ask"`,
			"smb1 WRITE_ANDX response STATUS_SUCCESS of samr",
			"smb1 READ_ANDX request of samr",
			"smb1 READ_ANDX response STATUS_SUCCESS of samr",
			`pipe 1 to client "answer"`,
			"smb1 TRANSACTION request of samr",
			`pipe 1 to server "ask again"`,
			"smb1 TRANSACTION response STATUS_SUCCESS of samr",
			`pipe 1 to client "answer again"`,
			"smb1 CLOSE request of samr",
			"smb1 CLOSE response STATUS_SUCCESS of samr",
			"end of pipe 1 true",
			"smb1 LOGOFF_ANDX request",
			"smb1 LOGOFF_ANDX response STATUS_SUCCESS",
			"session 0x5 logged-off STATUS_SUCCESS legs 1 guest "+session+" @3-18")
	}
}

// Traps 39 and 40: what a null session looks like without extended security.
func TestTrap39NullSessionOfSMB1(t *testing.T) {
	for _, c := range []struct{ lm, nt, account, want string }{
		{"\x00", "", "", `lm-zero lm 1 nt 0 account ""`},
		{"", "", "", `lm 0 nt 0 account ""`},
		{"x", "", "", `lm 1 nt 0 account ""`},
		{strings.Repeat("l", 24), strings.Repeat("n", 24), "guest", `lm 24 nt 24 account "guest"`},
	} {
		a, v := newTalk(Config{}), new(conv1)
		m := v.msg(v.plain(c.lm, c.nt, c.account, ""))
		r := m.reply(0, block{cmd1SessionSetupAndX, le16(0), nil})
		r.uid = 5
		a.client(m.packet()).server(r.packet())
		check(t, a.end(), `session 0x5 granted STATUS_SUCCESS legs 1 `+c.want+` domain "" os "OS"/"" @1-2`)
	}
}

func TestSMB1ExtendedSecurity(t *testing.T) {
	a, v := newTalk(Config{}), new(conv1)
	m := v.msg(offers("NT LM 0.12"))
	a.client(m.packet()).server(m.reply(0, agreed(0, 1<<31, join(zero(16), []byte("hint")))).packet())
	setup := func(token string) block {
		pad := zero((59 + len(token)) & 1)
		return block{cmd1SessionSetupAndX, join(zero(10), le16(len(token)), zero(8)), join([]byte(token), pad, v.text("OS"), v.text("LM"))}
	}
	answer := func(token string) block {
		pad := zero((43 + len(token)) & 1)
		return block{cmd1SessionSetupAndX, join(le16(0), le16(len(token))), join([]byte(token), pad, v.text("Samba"), v.text("LM"))}
	}
	m = v.msg(setup("one"))
	r := m.reply(statusMoreProcessing, answer("four"))
	r.uid = 6
	a.client(m.packet()).server(r.packet())
	v.uid = 6
	m = v.msg(setup("two"))
	a.client(m.packet()).server(m.reply(0xc000006d, block{cmd1SessionSetupAndX, nil, nil}).packet())
	check(t, a.end(),
		"token session 0x0 client false 4 bytes",
		"token session 0x0 client true 3 bytes",
		"token session 0x6 client false 4 bytes",
		"token session 0x6 client true 3 bytes",
		`session 0x6 refused STATUS_LOGON_FAILURE legs 2 lm 0 nt 0 account "" domain "" os "OS"/"Samba" @3-6`)
}

func TestAndXChain(t *testing.T) {
	a, v := newTalk(Config{Messages: true}), new(conv1)
	setup := v.plain("\x00", "", "", "")
	at := headerSize1 + 3 + len(setup.words) + 4 + len(setup.data)
	at += at & 1
	m := v.msg(setup, v.tree(`\\s\IPC$`, at+11), v.ntCreate("samr"), writeAndX(0xffff, 0, ""))
	r := m.reply(0, block{cmd1SessionSetupAndX, le16(0), nil}, block{cmd1TreeConnectAndX, le16(0), []byte("IPC\x00\x00")}, ntCreated(4, 2), block{cmd1WriteAndX, zero(8), nil})
	r.uid, r.tid = 2, 8
	a.client(m.packet()).server(r.packet())
	v.uid, v.tid = 2, 8
	a.client(v.msg(writeAndX(4, 0, "ask"), block{cmd1Close, join(le16(4), zero(4)), nil}).packet())
	check(t, a.end(),
		"smb1 SESSION_SETUP_ANDX request",
		`smb1 TREE_CONNECT_ANDX request chain 1 "\\\\s\\IPC$"`,
		`smb1 NT_CREATE_ANDX request chain 2 "samr"`,
		"smb1 WRITE_ANDX request chain 3",
		"smb1 SESSION_SETUP_ANDX response STATUS_SUCCESS",
		`session 0x2 granted STATUS_SUCCESS legs 1 lm-zero lm 1 nt 0 account "" domain "" os "OS"/"" @1-2`,
		"smb1 TREE_CONNECT_ANDX response STATUS_SUCCESS chain 1",
		`tree 8 ipc granted STATUS_SUCCESS "\\\\s\\IPC$" share "IPC$" session 0x2`,
		"smb1 NT_CREATE_ANDX response STATUS_SUCCESS chain 2",
		`open 1 "samr" granted STATUS_SUCCESS`,
		"smb1 WRITE_ANDX response STATUS_SUCCESS chain 3 of samr",
		"smb1 WRITE_ANDX request of samr",
		`pipe 1 to server "ask"`,
		"smb1 CLOSE request chain 1 of samr",
		"end of pipe 1 true")
}

func TestAndXChainThatFailsAtOnce(t *testing.T) {
	a, v := newTalk(Config{}), new(conv1)
	setup := v.plain("", "", "x", "")
	at := headerSize1 + 3 + len(setup.words) + 4 + len(setup.data)
	m := v.msg(setup, v.tree(`\\s\IPC$`, at+at&1+11))
	a.client(m.packet()).server(m.reply(0xc000006d, block{cmd1SessionSetupAndX, nil, nil}).packet())
	check(t, a.end(),
		`session 0x0 refused STATUS_LOGON_FAILURE legs 1 lm 0 nt 0 account "x" domain "" os "OS"/"" @1-2`,
		`tree 0 ipc refused STATUS_LOGON_FAILURE "\\\\s\\IPC$" share "IPC$" session 0x0`)
}

// Trap 43: an AndX offset grows, or the chain ends.
func TestTrap43AndXLoops(t *testing.T) {
	for _, c := range []struct {
		at   int
		want string
	}{{1, "0 andx-loop!"}, {32, "0 andx-loop!"}, {60000, "0 andx-beyond-message"}} {
		a, v := onPipe1(Config{})
		m := v.msg(block{cmd1LogoffAndX, nil, nil})
		m.badAndX = c.at
		check(t, a.client(m.packet()).take(), c.want)
		a.client(v.msg(writeAndX(9, 0, "on")).packet())
		check(t, a.take(), `pipe 1 to server "on"`)
	}
}

func TestWriteInRawModeBeginsWithALength(t *testing.T) {
	a, v := onPipe1(Config{})
	a.client(v.msg(writeAndX(9, 0x0c, "\x05\x00hello")).packet())
	a.client(v.msg(writeAndX(9, 0x08, " you")).packet())
	check(t, a.take(), `pipe 1 to server "hello you"`)
}

func TestOldReadsAndWrites(t *testing.T) {
	a, v := onPipe1(Config{})
	old := func(command byte, data string) block {
		return block{command, join(le16(9), le16(len(data)), zero(6)), join([]byte{1}, le16(len(data)), []byte(data))}
	}
	m := v.msg(old(cmd1Write, "one "))
	a.client(m.packet()).server(m.reply(0, block{cmd1Write, le16(4), nil}).packet())
	a.client(v.msg(old(cmd1WriteAndUnlock, "two ")).packet())
	m = v.msg(block{cmd1Read, join(le16(9), le16(100), zero(6)), nil})
	a.client(m.packet()).server(m.reply(0, block{cmd1Read, join(le16(6), zero(8)), join([]byte{1}, le16(6), []byte("answer"))}).packet())
	m = v.msg(block{cmd1WriteAndClose, join(le16(9), le16(5), zero(8)), []byte("\x00three")})
	a.client(m.packet()).server(m.reply(0, block{cmd1WriteAndClose, le16(5), nil}).packet())
	check(t, a.take(), `pipe 1 to server "one two "`, `pipe 1 to client "answer"`, `pipe 1 to server "three"`, "end of pipe 1 true")
}

func TestOldOpens(t *testing.T) {
	a, v := onTree1(Config{})
	v.oem = true
	m := v.msg(block{cmd1Open, zero(4), join([]byte{4}, v.text(`\PIPE\lsarpc`))})
	a.client(m.packet()).server(m.reply(0, block{cmd1Open, join(le16(1), zero(12)), nil}).packet())
	m = v.msg(block{cmd1OpenAndX, zero(26), v.text(`\PIPE\srvsvc`)})
	a.client(m.packet()).server(m.reply(0, block{cmd1OpenAndX, join(le16(2), zero(12), le16(2), zero(10)), nil}).packet())
	m = v.msg(block{cmd1OpenAndX, zero(26), v.text(`\PIPE\none`)})
	r := m.reply(1|2<<16, block{cmd1OpenAndX, nil, nil})
	r.flags2 = 0
	a.client(m.packet()).server(r.packet())
	check(t, a.take(), `open 1 "lsarpc" granted STATUS_SUCCESS`, `open 2 "srvsvc" granted STATUS_SUCCESS`, `open 3 "none" refused ERRbadfile`)
}

func TestTransactionInParts(t *testing.T) {
	a, v := onPipe1(Config{Messages: true})
	m := v.msg(v.transact(transTransact, 9, `\PIPE\`, "one ", 12))
	s := m
	a.client(m.packet()).server(m.reply(0, block{cmd1Transaction, nil, nil}).packet())
	s.blocks = []block{secondary("two ", 4, 12)}
	a.client(s.packet())
	s.blocks = []block{secondary("six ", 8, 12)}
	a.client(s.packet())
	a.server(m.reply(0, transacted("ans", 0, 6)).packet(), m.reply(0, transacted("wer", 3, 6)).packet())
	check(t, a.take(),
		"smb1 TRANSACTION request of samr",
		`pipe 1 to server "one "`,
		"smb1 TRANSACTION response STATUS_SUCCESS of samr",
		"smb1 TRANSACTION_SECONDARY request of samr",
		`pipe 1 to server "two "`,
		"smb1 TRANSACTION_SECONDARY request of samr",
		`pipe 1 to server "six "`,
		"smb1 TRANSACTION response STATUS_SUCCESS of samr",
		`pipe 1 to client "ans"`,
		"smb1 TRANSACTION response STATUS_SUCCESS of samr",
		`pipe 1 to client "wer"`)
	s.blocks = []block{secondary("late", 12, 12)}
	check(t, a.client(s.packet()).take(), "smb1 TRANSACTION_SECONDARY request")
}

func TestTransactionPartOutOfPlace(t *testing.T) {
	a, v := onPipe1(Config{})
	m := v.msg(v.transact(transTransact, 9, `\PIPE\`, "one ", 12))
	s := m
	s.blocks = []block{secondary("six ", 8, 12)}
	a.client(m.packet(), s.packet())
	check(t, a.take(), `pipe 1 to server "one "`, "0 bad-displacement!", "gap of pipe 1 client true", `pipe 1 to server "six "`)
}

func TestCallNamedPipe(t *testing.T) {
	a, v := onTree1(Config{})
	m := v.msg(v.transact(transCall, 0, `\PIPE\epmapper`, "ask", 3))
	a.client(m.packet()).server(m.reply(0, transacted("answer", 0, 6)).packet())
	m = v.msg(v.transact(transCall, 0, `\PIPE\none`, "ask", 3))
	a.client(m.packet()).server(m.reply(0xc0000034, block{cmd1Transaction, nil, nil}).packet())
	check(t, a.end(),
		`open 1 "epmapper" granted STATUS_SUCCESS`, `pipe 1 to server "ask"`, `pipe 1 to client "answer"`, "end of pipe 1 true",
		`open 2 "none" refused STATUS_OBJECT_NAME_NOT_FOUND`)
}

func TestOtherPipeFunctions(t *testing.T) {
	a, v := onPipe1(Config{})
	m := v.msg(v.transact(transRawWrite, 9, `\PIPE\`, "ask", 3))
	a.client(m.packet()).server(m.reply(0, transacted("\x03\x00", 0, 2)).packet())
	m = v.msg(v.transact(transRawRead, 9, `\PIPE\`, "", 0))
	a.client(m.packet()).server(m.reply(0, transacted("answer", 0, 6)).packet())
	m = v.msg(v.transact(transPeek, 9, `\PIPE\`, "", 0))
	a.client(m.packet()).server(m.reply(0, transacted("peek", 0, 4)).packet())
	// LANMAN's remote administration and mailslots have no pipe.
	m = v.msg(v.transact(transTransact, 9, `\MAILSLOT\x`, "none", 4))
	a.client(m.packet())
	check(t, a.take(), `pipe 1 to server "ask"`, `pipe 1 to client "answer"`)
}

func TestRawMessages(t *testing.T) {
	a, v := onPipe1(Config{})
	m := v.msg(block{cmd1ReadRaw, join(le16(9), zero(14)), nil})
	a.client(m.packet()).server(nbss([]byte("no header")))
	m = v.msg(block{cmd1WriteRaw, join(le16(9), le16(10), zero(20)), nil})
	a.client(m.packet()).server(m.reply(0, block{cmd1WriteRaw, le16(0), nil}).packet())
	a.client(nbss([]byte("nor here")))
	w := m
	w.blocks = []block{{cmd1WriteComplete, le16(8), nil}}
	a.server(w.reply(0, w.blocks...).packet())
	a.client(v.msg(writeAndX(9, 0, "on")).packet())
	check(t, a.take(), `pipe 1 to client "no header"`, `pipe 1 to server "nor hereon"`)
}

// Trap 10 in SMB 1: UID, TID and FID.
func TestTrap10FIDsOfSMB1(t *testing.T) {
	a, v := onPipe1(Config{})
	v.tid = 4
	a.client(v.msg(writeAndX(9, 0, "another tree")).packet())
	v.tid, v.uid = 3, 6
	a.client(v.msg(writeAndX(9, 0, "another user")).packet())
	v.uid = 5
	a.client(v.msg(writeAndX(9, 0, "samr")).packet())
	check(t, a.take(), `pipe 1 to server "samr"`)
}

// Trap 46 in SMB 1, where the answer to an open tells what it is.
func TestTrap46TreeConnectOfSMB1NotSeen(t *testing.T) {
	a, v := newTalk(Config{}), &conv1{uid: 1, tid: 1}
	m := v.msg(v.ntCreate(`\samr`))
	a.client(m.packet()).server(m.reply(0, ntCreated(9, 2)).packet())
	m = v.msg(v.ntCreate(`\file`))
	a.client(m.packet()).server(m.reply(0, ntCreated(10, 0)).packet())
	a.client(v.msg(writeAndX(9, 0, "x")).packet(), v.msg(writeAndX(10, 0, "x")).packet(), v.msg(writeAndX(11, 0, pdu(11, 72))).packet())
	check(t, a.take(), `open 1 "samr" granted STATUS_SUCCESS`, `pipe 1 to server "x"`,
		`open 3 "" granted STATUS_SUCCESS`, `pipe 3 to server "`+quoted(pdu(11, 72))+`"`)
}

// Trap 42 in SMB 1: fields against the session service's length.
func TestTrap42LengthsOfSMB1(t *testing.T) {
	a, v := onPipe1(Config{})
	p := v.msg(writeAndX(9, 0, "0123456789")).packet()
	p[3] -= 4
	a.client(p[:len(p)-4], v.msg(writeAndX(9, 0, "on")).packet())
	check(t, a.take(), "0 length-mismatch!", `pipe 1 to server "012345on"`)
	m := v.msg(writeAndX(9, 0, "0123456789"))
	b := m.bytes()
	b[headerSize1+1+22] = 8
	a.client(nbss(b), v.msg(writeAndX(9, 0, "on")).packet())
	check(t, a.take(), "0 bad-offset!", `pipe 1 to server "on"`)
	for n := range 40 {
		a.client(nbss(b[:n]))
	}
	a.take()
	a.client(v.msg(writeAndX(9, 0, "on")).packet())
	check(t, a.take(), `pipe 1 to server "on"`)
}

func TestOneMIDForAll(t *testing.T) {
	a, v := onPipe1(Config{})
	r, w := v.msg(readAndX(9)), v.msg(writeAndX(9, 0, "ask"))
	w.mid = r.mid
	a.client(r.packet(), w.packet()).server(w.reply(0, block{cmd1WriteAndX, zero(8), nil}).packet(), r.reply(0, gotAndX("answer")).packet())
	check(t, a.take(), `pipe 1 to server "ask"`, `pipe 1 to client "answer"`)
}

// The answer to a tree connect whose request has no parameters connects nothing,
// and leaves the tree of that TID as it was.
func TestShortTreeConnects(t *testing.T) {
	a, v := onPipe1(Config{})
	m := v.msg(v.tree(`\\s\other`, 43))
	b := m.bytes()[:headerSize1+1]
	r := m.reply(0, block{cmd1TreeConnectAndX, le16(0), []byte("A:\x00\x00")})
	a.client(nbss(b)).server(r.packet())
	a.client(v.msg(writeAndX(9, 0, "on")).packet())
	check(t, a.take(), "0 short-message", `pipe 1 to server "on"`)
	o, w := onPipe(Config{})
	n := w.connect(`\\s\other`)
	answer := w.connected(n, 1, 1)
	n.tree, n.body = 1, n.body[:4]
	o.client(n.packet()).server(answer.packet())
	o.client(w.write(fid(1), "on").packet())
	check(t, o.take(), "0 short-message", `pipe 1 to server "on"`)
}
