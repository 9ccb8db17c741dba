package smb

import (
	"encoding/binary"
	"unicode/utf16"
)

// nbss puts a session service header before a message.
func nbss(m []byte) []byte {
	return append([]byte{0, byte(len(m) >> 16), byte(len(m) >> 8), byte(len(m))}, m...)
}

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func utf(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// le16, le32, le64 are integers as they are sent.
func le16(v int) []byte    { return binary.LittleEndian.AppendUint16(nil, uint16(v)) }
func le32(v int) []byte    { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }
func le64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
func zero(n int) []byte    { return make([]byte, n) }

// msg2 is a command of SMB 2 to be.
type msg2 struct {
	command int
	flags   int
	status  uint32
	id      uint64
	session uint64
	tree    int
	async   uint64
	body    []byte
}

func (m msg2) bytes() []byte {
	b := join([]byte{0xfe, 'S', 'M', 'B'}, le16(64), le16(1), le32(int(m.status)), le16(m.command), le16(1),
		le32(m.flags), le32(0), le64(m.id))
	if m.flags&flagAsync != 0 {
		b = append(b, le64(m.async)...)
	} else {
		b = join(b, le32(0), le32(m.tree))
	}
	return join(b, le64(m.session), zero(16), m.body)
}

// packet is a session message with the command alone.
func (m msg2) packet() []byte { return nbss(m.bytes()) }

// reply makes a response of a request.
func (m msg2) reply(status uint32, body []byte) msg2 {
	m.flags = m.flags&^flagRelated | flagResponse
	m.status, m.body = status, body
	return m
}

// fail is an ERROR response.
func (m msg2) fail(status uint32) msg2 {
	return m.reply(status, join(le16(9), zero(6), []byte{0}))
}

// pending is an interim response.
func (m msg2) pending(async uint64) msg2 {
	r := m.fail(statusPending)
	r.flags |= flagAsync
	r.async = async
	return r
}

// compound chains commands.
func compound(list ...msg2) []byte {
	var all []byte
	for i, m := range list {
		b := m.bytes()
		if i < len(list)-1 {
			b = append(b, zero(-len(b)&7)...)
			binary.LittleEndian.PutUint32(b[20:], uint32(len(b)))
		}
		all = append(all, b...)
	}
	return nbss(all)
}

func fid(n byte) []byte {
	f := FileID{0: n, 8: n, 15: 0xee}
	return f[:]
}

// conv2 gives the commands of a client with one session and one tree.
type conv2 struct {
	session uint64
	tree    int
	next    uint64
}

func (v *conv2) msg(command int, body []byte) msg2 {
	v.next++
	return msg2{command: command, id: v.next - 1, session: v.session, tree: v.tree, body: body}
}

func (v *conv2) negotiate(dialects ...int) msg2 {
	b := join(le16(36), le16(len(dialects)), le16(1), le16(0), le32(0x7f), zero(16), zero(8))
	for _, d := range dialects {
		b = append(b, le16(d)...)
	}
	return v.msg(Negotiate2, b)
}

func negotiated(m msg2, dialect int, token string) msg2 {
	return m.reply(0, join(le16(65), le16(3), le16(dialect), le16(0), zero(16), le32(0x2f), zero(28), le16(128), le16(len(token)), le32(0), []byte(token)))
}

func (v *conv2) setup(flags byte, token string) msg2 {
	return v.msg(SessionSetup2, join(le16(25), []byte{flags, 1}, le32(0), le32(0), le16(88), le16(len(token)), le64(0), []byte(token)))
}

func (v *conv2) setUp(m msg2, status uint32, session uint64, flags int, token string) msg2 {
	r := m.reply(status, join(le16(9), le16(flags), le16(72), le16(len(token)), []byte(token)))
	r.session = session
	return r
}

func (v *conv2) connect(path string) msg2 {
	m := v.msg(TreeConnect2, join(le16(9), le16(0), le16(72), le16(2*len(path)), utf(path)))
	m.tree = 0
	return m
}

func (v *conv2) connected(m msg2, tree, kind int) msg2 {
	r := m.reply(0, join(le16(16), []byte{byte(kind), 0}, le32(0), le32(0), le32(0x1f01ff)))
	r.tree = tree
	return r
}

func (v *conv2) create(name string) msg2 {
	return v.msg(Create2, join(le16(57), zero(22), le32(0x12019f), zero(16), le16(120), le16(2*len(name)), zero(8), utf(name)))
}

func created(m msg2, file []byte) msg2 {
	return m.reply(0, join(le16(89), zero(62), file, zero(8)))
}

func (v *conv2) write(file []byte, data string) msg2 {
	return v.msg(Write2, join(le16(49), le16(112), le32(len(data)), le64(0), file, zero(16), []byte(data)))
}

func written(m msg2) msg2 { return m.reply(0, join(le16(17), zero(14))) }

func (v *conv2) read(file []byte, n int) msg2 {
	return v.msg(Read2, join(le16(49), zero(2), le32(n), le64(0), file, zero(17)))
}

func got(m msg2, status uint32, data string) msg2 {
	return m.reply(status, join(le16(17), []byte{80, 0}, le32(len(data)), zero(8), []byte(data)))
}

func (v *conv2) transceive(file []byte, data string) msg2 {
	return v.msg(Ioctl2, join(le16(57), zero(2), le32(FsctlPipeTransceive), file, le32(120), le32(len(data)), zero(12), le32(1024), le32(1), zero(4), []byte(data)))
}

func transceived(m msg2, status uint32, data string) msg2 {
	return m.reply(status, join(le16(49), zero(2), le32(FsctlPipeTransceive), m.body[8:24], le32(112), le32(0), le32(112), le32(len(data)), zero(8), []byte(data)))
}

func (v *conv2) close(file []byte) msg2 {
	return v.msg(Close2, join(le16(24), zero(6), file))
}

func closed(m msg2) msg2 { return m.reply(0, join(le16(60), zero(58))) }

// pdu is a DCE/RPC request or response of n bytes.
func pdu(typ byte, n int) string {
	b := zero(max(n, 24))
	copy(b, []byte{5, 0, typ, 3, 0x10})
	binary.LittleEndian.PutUint16(b[8:], uint16(len(b)))
	for i := 24; i < len(b); i++ {
		b[i] = 'a' + byte(i%26)
	}
	return string(b)
}

// onTrees is a connection with session 7, on which tree 1 is IPC$ and tree 2
// a disk; nothing of that is in the record.
func onTrees(cfg Config) (*talk, *conv2) {
	t, v := newTalk(cfg), new(conv2)
	n := v.negotiate(0x0202, 0x0210, 0x0300)
	t.client(n.packet()).server(negotiated(n, 0x0300, "hint").packet())
	s := v.setup(0, "one")
	t.client(s.packet()).server(v.setUp(s, 0, 7, 0, "two").packet())
	v.session = 7
	c := v.connect(`\\server\IPC$`)
	t.client(c.packet()).server(v.connected(c, 1, 2).packet())
	c = v.connect(`\\server\data`)
	t.client(c.packet()).server(v.connected(c, 2, 1).packet())
	v.tree = 1
	t.take()
	return t, v
}

// onPipe is onTrees with the pipe samr open as fid(1).
func onPipe(cfg Config) (*talk, *conv2) {
	t, v := onTrees(cfg)
	m := v.create("samr")
	t.client(m.packet()).server(created(m, fid(1)).packet())
	t.take()
	return t, v
}

// msg1 is a message of SMB 1 to be: commands, of which the first names the
// message.
type msg1 struct {
	flags    byte
	flags2   int
	status   uint32
	tid, pid int
	uid, mid int
	blocks   []block
	badAndX  int // AndX offset of the last block, if not 0
}

// block is a command.
type block struct {
	command byte
	words   []byte // of an AndX command without the first four bytes
	data    []byte
}

func (m msg1) reply(status uint32, blocks ...block) msg1 {
	m.flags |= flagReply1
	m.status, m.blocks = status, blocks
	return m
}

func (m msg1) bytes() []byte {
	b := join([]byte{0xff, 'S', 'M', 'B', m.blocks[0].command}, le32(int(m.status)), []byte{m.flags}, le16(m.flags2),
		zero(12), le16(m.tid), le16(m.pid), le16(m.uid), le16(m.mid))
	for i, k := range m.blocks {
		words := k.words
		at := len(b)
		andX := commands1[k.command].andX && (len(words) > 0 || m.flags&flagReply1 == 0)
		if andX {
			words = join([]byte{noAndX, 0, 0, 0}, words)
		}
		b = join(b, []byte{byte(len(words) / 2)}, words, le16(len(k.data)), k.data)
		if andX && i < len(m.blocks)-1 {
			b = append(b, zero(len(b)&1)...)
			b[at+1] = m.blocks[i+1].command
			binary.LittleEndian.PutUint16(b[at+3:], uint16(len(b)))
		}
		if andX && i == len(m.blocks)-1 && m.badAndX != 0 {
			b[at+1] = k.command
			binary.LittleEndian.PutUint16(b[at+3:], uint16(m.badAndX))
		}
	}
	return b
}

func (m msg1) packet() []byte { return nbss(m.bytes()) }

// conv1 gives messages of a client of SMB 1.
type conv1 struct {
	tid, uid, mid int
	oem           bool
}

func (v *conv1) msg(blocks ...block) msg1 {
	v.mid += 64
	flags2 := flags2Unicode | flags2NTStatus
	if v.oem {
		flags2 = flags2NTStatus
	}
	return msg1{flags2: flags2, tid: v.tid, uid: v.uid, pid: 99, mid: v.mid, blocks: blocks}
}

func (v *conv1) text(s string) []byte {
	if v.oem {
		return append([]byte(s), 0)
	}
	return utf(s + "\x00")
}

func offers(dialects ...string) (b block) {
	b.command = cmd1Negotiate
	for _, d := range dialects {
		b.data = join(b.data, []byte{2}, []byte(d), []byte{0})
	}
	return b
}

// agreed is a NEGOTIATE response in the NT LM 0.12 dialect.
func agreed(dialect, caps int, data []byte) block {
	return block{cmd1Negotiate, join(le16(dialect), []byte{0x0f}, zero(16), le32(caps), zero(11)), data}
}

// plain is a session setup without extended security; the strings begin at an
// odd offset.
func (v *conv1) plain(lm, nt, account, domain string) block {
	strings := join(v.text(account), v.text(domain), v.text("OS"), v.text("LM"))
	// Header, word count and 13 words, byte count: an odd offset of the bytes.
	pad := zero((61 + len(lm) + len(nt)) & 1)
	if v.oem {
		pad = nil
	}
	return block{cmd1SessionSetupAndX, join(zero(10), le16(len(lm)), le16(len(nt)), zero(8)), join([]byte(lm), []byte(nt), pad, strings)}
}

func (v *conv1) tree(path string, at int) block {
	return block{cmd1TreeConnectAndX, join(le16(0), le16(1)), join([]byte{0}, zero((at+1)&1), v.text(path), []byte("?????\x00"))}
}

func (v *conv1) ntCreate(name string) block {
	n := v.text(name)
	pad := zero(1)
	if v.oem {
		pad = nil
	}
	return block{cmd1NTCreateAndX, join([]byte{0}, le16(len(n)), zero(8), le32(0x12019f), zero(29)), join(pad, n)}
}

func ntCreated(fid, kind int) block {
	return block{cmd1NTCreateAndX, join([]byte{0}, le16(fid), zero(56), le16(kind), zero(3)), nil}
}

func writeAndX(fid, mode int, data string) block {
	const at = headerSize1 + 1 + 28 + 2 + 1
	return block{cmd1WriteAndX, join(le16(fid), zero(8), le16(mode), le16(0), le16(len(data)>>16), le16(len(data)), le16(at), zero(4)), join(zero(1), []byte(data))}
}

func readAndX(fid int) block {
	return block{cmd1ReadAndX, join(le16(fid), le32(0), le16(1024), le16(1024), zero(6)), nil}
}

func gotAndX(data string) block {
	const at = headerSize1 + 1 + 24 + 2
	return block{cmd1ReadAndX, join(zero(6), le16(len(data)), le16(at), le16(len(data)>>16), zero(8)), []byte(data)}
}

// transact is a transaction on a pipe of which total bytes are data.
func (v *conv1) transact(function, fid int, name, data string, total int) block {
	n := v.text(name)
	at := headerSize1 + 1 + 32 + 2
	pad := zero(at & 1)
	if v.oem {
		pad = nil
	}
	at += len(pad) + len(n)
	return block{cmd1Transaction, join(le16(0), le16(total), le16(0), le16(1024), zero(10), le16(0), le16(at), le16(len(data)), le16(at), []byte{2, 0}, le16(function), le16(fid)), join(pad, n, []byte(data))}
}

func secondary(data string, displacement, total int) block {
	const at = headerSize1 + 1 + 16 + 2
	return block{cmd1TransactionSecondary, join(le16(0), le16(total), le16(0), le16(at), le16(0), le16(len(data)), le16(at), le16(displacement)), []byte(data)}
}

func transacted(data string, displacement, total int) block {
	const at = headerSize1 + 1 + 20 + 2
	return block{cmd1Transaction, join(le16(0), le16(total), le16(0), le16(0), le16(at), le16(0), le16(len(data)), le16(at), le16(displacement), le16(0)), []byte(data)}
}

// onTree1 is a connection of SMB 1 with UID 5 on which TID 3 is IPC$.
func onTree1(cfg Config) (*talk, *conv1) {
	t, v := newTalk(cfg), new(conv1)
	m := v.msg(offers("NT LM 0.12"))
	t.client(m.packet()).server(m.reply(0, agreed(0, 0, nil)).packet())
	m = v.msg(v.plain("", "", "", ""))
	r := m.reply(0, block{cmd1SessionSetupAndX, le16(0), nil})
	r.uid = 5
	t.client(m.packet()).server(r.packet())
	v.uid = 5
	m = v.msg(v.tree(`\\server\IPC$`, 43))
	r = m.reply(0, block{cmd1TreeConnectAndX, le16(0), []byte("IPC\x00\x00")})
	r.tid = 3
	t.client(m.packet()).server(r.packet())
	v.tid = 3
	t.take()
	return t, v
}

// onPipe1 is onTree1 with the pipe samr open as FID 9.
func onPipe1(cfg Config) (*talk, *conv1) {
	t, v := onTree1(cfg)
	m := v.msg(v.ntCreate(`\samr`))
	t.client(m.packet()).server(m.reply(0, ntCreated(9, 2)).packet())
	t.take()
	return t, v
}
