package smb

import (
	"encoding/binary"

	"kmswatch/decode/dcerpc"
)

// headerSize1 is the size of the SMB header, MS-CIFS 2.2.3.1.
const headerSize1 = 32

// Flags and Flags2 of the header, MS-CIFS 2.2.3.1 and MS-SMB 2.2.3.1.
const (
	flagReply1      = 0x80
	flags2Signature = 0x0004
	flags2Extended  = 0x0800
	flags2NTStatus  = 0x4000
	flags2Unicode   = 0x8000
)

// noAndX ends a chain.
const noAndX = 0xff

// header1 is an SMB header.
type header1 struct {
	command  uint8
	status   uint32
	flags    uint8
	flags2   uint16
	pid      uint32
	tid, uid uint16
	mid      uint16
}

func (hd *header1) decode(b []byte) {
	_ = b[headerSize1-1]
	le := binary.LittleEndian
	hd.command = b[4]
	hd.flags = b[9]
	hd.flags2 = le.Uint16(b[10:])
	hd.status = le.Uint32(b[5:])
	if hd.flags2&flags2NTStatus == 0 {
		hd.status &^= 0xff00 // reserved, between the class and the code
	}
	hd.pid = uint32(le.Uint16(b[12:]))<<16 | uint32(le.Uint16(b[26:]))
	hd.tid, hd.uid, hd.mid = le.Uint16(b[24:]), le.Uint16(b[28:]), le.Uint16(b[30:])
}

func (hd *header1) response() bool { return hd.flags&flagReply1 != 0 }
func (hd *header1) dos() bool      { return hd.flags2&flags2NTStatus == 0 }
func (hd *header1) failed() bool   { return failed(hd.status, hd.dos()) }
func (hd *header1) unicode() bool  { return hd.flags2&flags2Unicode != 0 }

// key is the id of the request table: MID, PID, command and place in the chain.
// The command is in it since some clients have one MID for all their requests.
func (hd *header1) key(command uint8, chain int) uint64 {
	switch uint16(command) {
	case cmd1TransactionSecondary:
		command = cmd1Transaction
	case cmd1Transaction2Secondary:
		command = cmd1Transaction2
	case cmd1NTTransactSecondary:
		command = cmd1NTTransact
	case cmd1WriteComplete:
		command = cmd1WriteRaw
	}
	return uint64(hd.mid) | uint64(hd.pid)<<16 | uint64(command)<<48 | uint64(chain)<<56
}

// block1 is one command of SMB 1 as far as it is there.
type block1 struct {
	header1
	b       []byte // the message from the header on
	length  int    // of the message on the wire
	command uint8
	chain   int
	words   []byte // parameters
	data    []byte // bytes, as ByteCount counts them and as far as they are there
	dataAt  int    // their offset
	more    chain1
}

// chain1 is what the commands of an AndX chain hand on.
type chain1 struct {
	tree   *Tree
	pipe   *Pipe
	id     uint32
	serial uint32 // of the request that the response last met answers, if more are chained to that
}

func (m *block1) u8(i int) int { return int(m.words[i]) }
func (m *block1) u16(i int) int {
	return int(binary.LittleEndian.Uint16(m.words[i:]))
}
func (m *block1) u32(i int) uint32 { return binary.LittleEndian.Uint32(m.words[i:]) }
func (m *block1) has(words int) bool {
	return len(m.words) >= 2*words
}

// piece is where in a message bytes of a pipe are.
type piece struct {
	off, n int
	pipe   *Pipe
	way    int
}

// limit keeps a piece within the message.
func (m *block1) limit(c *Conn, side, off, n int, h Handler) (int, int) {
	if n <= 0 {
		return off, 0
	}
	if off < headerSize1 || off > m.length {
		h.Anomaly(side, BadOffset, m.dataAt)
		return off, 0
	}
	if n > m.length-off {
		h.Anomaly(side, LengthMismatch, m.dataAt)
		n = m.length - off
	}
	return off, n
}

// part gives bytes of the message as far as they are there.
func (m *block1) part(off, n int) []byte {
	off = min(off, len(m.b))
	end := min(off+n, len(m.b))
	return m.b[off:end:end]
}

// text reads a string of bytes that begins at i of m.data, with its padding, and
// gives where the next begins. It ends with a NUL, or with the bytes.
func (m *block1) text(dst []byte, i int, unicode bool) (s []byte, next int) {
	if !unicode {
		i = min(i, len(m.data))
		end := i
		for end < len(m.data) && m.data[end] != 0 {
			end++
		}
		return appendOEM(dst, m.data[i:end]), end + 1
	}
	i += (m.dataAt + i) & 1
	i = min(i, len(m.data))
	end := i
	for end+1 < len(m.data) && (m.data[end] != 0 || m.data[end+1] != 0) {
		end += 2
	}
	return appendUTF16(dst, m.data[i:end]), end + 2
}

// whole1 tells of which commands all has to be there, since fields lie anywhere.
func whole1(command uint8) bool {
	switch uint16(command) {
	case cmd1Negotiate, cmd1SessionSetupAndX, cmd1TreeConnect, cmd1TreeConnectAndX, cmd1NTCreateAndX, cmd1OpenAndX,
		cmd1Open, cmd1Create, cmd1CreateNew, cmd1Transaction, cmd1TransactionSecondary,
		cmd1Read, cmd1LockAndRead, cmd1Write, cmd1WriteAndUnlock, cmd1WriteAndClose:
		return true
	}
	return false
}

// message1 decodes a message of SMB 1 with all commands chained in it; see
// Conn.message.
func (c *Conn) message1(side int, d *half, b []byte, cut bool, at dcerpc.Point, h Handler) int {
	if len(b) < headerSize1+1 {
		if d.frame < headerSize1+1 {
			h.Anomaly(side, ShortMessage, 0)
			return d.pass(b)
		}
		if cut {
			return d.pass(b)
		}
		return 0
	}
	var hd header1
	hd.decode(b)
	wordsEnd := headerSize1 + 1 + 2*int(b[headerSize1])
	need := wordsEnd + 2
	if whole1(hd.command) {
		need = maxWhole
	}
	need = min(need, d.frame)
	if len(b) < need && !cut {
		return 0
	}
	if commands1[hd.command].andX && len(b) >= wordsEnd && b[headerSize1] >= 2 && b[headerSize1+1] != noAndX {
		need = min(maxWhole, d.frame)
	} else if off, n := bulk1(&hd, b); n > 0 && off <= d.frame {
		need = max(need, min(off+min(n, dcerpc.HeaderSize), d.frame, maxWhole))
	}
	if len(b) < need && !cut {
		return 0
	}
	// No more than that is looked at, however much has come by now.
	b = b[:min(len(b), need)]
	c.messages++
	if commands1[hd.command].name == "" {
		h.Anomaly(side, UnknownCommand, 4)
	}
	fromServer := hd.response()
	if hd.command == cmd1LockingAndX && hd.mid == 0xffff {
		// An oplock break, which only a server sends (MS-CIFS 3.3.4.2); no answer.
		fromServer = true
	}
	if c.vote(side, !fromServer) {
		c.once(side, WrongDirection, 9, h)
	}
	length := d.frame
	m := block1{header1: hd, b: b, length: length, command: hd.command}
	var last piece
	for place := headerSize1; ; m.chain++ {
		if m.chain > 0 {
			c.messages++
			if last.pipe != nil && last.n > 0 {
				c.now(&m, last, at, h)
			}
		}
		next, to := m.read(c, side, place, h)
		if hd.response() {
			last = c.response1(side, d, &m, at, h)
		} else {
			last = c.request1(side, d, &m, at, h)
		}
		if next == noAndX {
			break
		}
		if to <= place {
			h.Anomaly(side, AndXLoop, place+3) // trap 43
			break
		}
		if to > length-3 {
			h.Anomaly(side, AndXBeyond, place+3)
			break
		}
		place, m.command = to, next
	}
	if hd.response() && m.more.serial != 0 {
		c.unchained(side, &m, m.more.serial, h)
	}
	if m.chain > 0 && last.n > 0 && last.pipe != nil {
		c.now(&m, last, at, h)
		last = piece{}
	}
	return d.take(b, length, last.off, last.n, last.pipe, last.way)
}

// now gives a piece to its pipe as far as it is there.
func (c *Conn) now(m *block1, p piece, at dcerpc.Point, h Handler) {
	id := p.pipe.ID
	b := m.part(p.off, p.n)
	c.carry(p.pipe, p.way, b, true, at, h)
	if len(b) < p.n && p.pipe.ID == id {
		c.gap(p.pipe, p.way, h)
	}
}

// read reads the parameters and bytes of the command at an offset, and gives the
// next of the chain.
func (m *block1) read(c *Conn, side, place int, h Handler) (next uint8, to int) {
	m.words, m.data, m.dataAt = nil, nil, 0
	if place >= len(m.b) {
		return noAndX, 0
	}
	words := place + 1
	end := words + 2*int(m.b[place])
	if end > m.length {
		h.Anomaly(side, ShortMessage, place)
		return noAndX, 0
	}
	if end > len(m.b) {
		return noAndX, 0
	}
	m.words = m.b[words:end:end]
	m.dataAt = end + 2
	if end+2 <= len(m.b) {
		n := int(binary.LittleEndian.Uint16(m.b[end:]))
		// A write or read of 64 KiB and more does not fit ByteCount; the rest of
		// the message counts.
		if end+2+n > m.length && m.command != cmd1WriteAndX && m.command != cmd1ReadAndX {
			c.once(side, LengthMismatch, end, h)
		}
		stop := min(end+2+n, len(m.b))
		m.data = m.b[end+2 : stop : stop]
	}
	if commands1[m.command].andX && len(m.words) >= 4 {
		return m.words[0], m.u16(2)
	}
	return noAndX, 0
}

// bulk1 tells where the data of a READ_ANDX response or WRITE_ANDX request are.
func bulk1(hd *header1, b []byte) (off, n int) {
	words := b[headerSize1+1:]
	count := int(b[headerSize1])
	if len(words) < 2*count {
		return 0, 0
	}
	m := block1{header1: *hd, words: words[:2*count], command: hd.command}
	switch {
	case hd.command == cmd1WriteAndX && !hd.response():
		return m.written()
	case hd.command == cmd1ReadAndX && hd.response():
		return m.gotten()
	}
	return 0, 0
}

// written gives the place of the data of WRITE_ANDX, MS-SMB 2.2.4.3.1.
func (m *block1) written() (off, n int) {
	if !m.has(12) {
		return 0, 0
	}
	return m.u16(22), m.u16(18)<<16 | m.u16(20)
}

// gotten gives the place of the data of a READ_ANDX response, MS-SMB 2.2.4.2.2.
func (m *block1) gotten() (off, n int) {
	if !m.has(12) {
		return 0, 0
	}
	return m.u16(12), m.u16(14)<<16 | m.u16(10)
}

// tell1 tells of a command.
func (c *Conn) tell1(m *block1, r *request, pipe *Pipe, h Handler) {
	if !c.cfg.Messages {
		return
	}
	t := &c.s.msg
	*t = Message{
		Version: Version1, Response: m.response(), Signed: m.flags2&flags2Signature != 0, Short: m.words == nil,
		Command: uint16(m.command), Chain: m.chain, Flags: uint32(m.flags2)<<16 | uint32(m.flags),
		ID: uint64(m.mid), PID: m.pid, Session: uint64(m.uid), Tree: uint32(m.tid),
	}
	if t.Response {
		t.Status, t.DOS = m.status, m.dos()
	}
	if r != nil {
		if t.Response {
			t.Matched, t.Request = true, r.at
		}
		t.Function, t.File, t.HasFile = r.function, r.file, r.file != FileID{}
	}
	if pipe != nil && pipe.phase == open {
		t.Pipe = pipe
	}
	switch {
	case t.Response && m.command == cmd1ReadAndX:
		_, n := m.gotten()
		t.Length = uint32(n)
	case !t.Response && m.command == cmd1WriteAndX:
		_, n := m.written()
		t.Length = uint32(n)
	case t.Response:
	case r != nil && r.isOpen():
		t.Name = string(bounded(m.openName(nil)))
	case r != nil && r.isTreeConnect():
		t.Name = string(bounded(m.path(nil)))
	}
	h.Message(t)
}

// openName appends the name of an open.
func (m *block1) openName(dst []byte) []byte {
	i := 0
	switch uint16(m.command) {
	case cmd1NTCreateAndX:
		if !m.has(24) {
			return dst
		}
		// The length is given, and a NUL need not follow.
		n := m.u16(5)
		if m.unicode() {
			i = m.dataAt & 1
		}
		i = min(i, len(m.data))
		name := m.data[i:min(i+n, len(m.data))]
		if m.unicode() {
			return appendUTF16(dst, name)
		}
		return appendOEM(dst, name)
	case cmd1OpenAndX:
	default:
		i = 1 // the buffer format, 4
	}
	dst, _ = m.text(dst, i, m.unicode())
	return dst
}

// path appends the path of a tree connect.
func (m *block1) path(dst []byte) []byte {
	i := 1 // the buffer format
	if m.command == cmd1TreeConnectAndX {
		if !m.has(4) {
			return dst
		}
		i = m.u16(6) // the password
	}
	dst, _ = m.text(dst, i, m.unicode())
	return dst
}

// fidAt is where in the parameters of a request the FID stands; -1 if nowhere.
func (m *block1) fidAt() int {
	switch uint16(m.command) {
	case cmd1Close, cmd1Read, cmd1Write, cmd1LockAndRead, cmd1WriteAndUnlock, cmd1WriteAndClose, cmd1ReadRaw, cmd1WriteRaw, cmd1CloseAndTreeDisc:
		return 0
	case cmd1ReadAndX, cmd1WriteAndX, cmd1LockingAndX:
		return 4
	case cmd1Transaction:
		if m.has(16) && m.u8(26) >= 2 && m.onPipe() {
			return 30
		}
	}
	return -1
}

// onPipe tells whether a transaction is on a pipe: its name begins with \PIPE\,
// as a mailslot's does with \MAILSLOT\ (MS-CIFS 2.2.4.33.1).
func (m *block1) onPipe() bool {
	var room [16]byte
	name := m.transName(room[:0])
	return len(name) >= 5 && name[0] == '\\' && equalFold(string(name[1:5]), "PIPE")
}

// transName appends the first characters of the name of a transaction.
func (m *block1) transName(dst []byte) []byte {
	end := len(m.data)
	m.data = m.data[:min(end, 64)]
	dst, _ = m.text(dst, 0, m.unicode())
	m.data = m.data[:end]
	return dst
}

func fileID(fid int) FileID { return FileID{byte(fid), byte(fid >> 8)} }

func (c *Conn) request1(side int, d *half, m *block1, at dcerpc.Point, h Handler) (p piece) {
	s := c.s
	switch {
	case m.command == cmd1NTCancel, m.command == cmd1LockingAndX && m.mid == 0xffff:
		// Neither has an answer of its own.
		c.tell1(m, nil, nil, h)
		return p
	case m.command == cmd1TransactionSecondary, m.command == cmd1Transaction2Secondary, m.command == cmd1NTTransactSecondary:
		return c.secondary1(side, m, at, h)
	}
	r := c.ask(side, Version1, m.key(m.command, m.chain), at, h)
	r.command, r.sessionID, r.treeID = uint16(m.command), uint64(m.uid), uint32(m.tid)
	r.chains = commands1[m.command].andX && len(m.words) >= 4 && m.words[0] != noAndX
	r.tree = m.more.tree
	if r.tree == nil {
		r.tree = s.findTree(Version1, 0, r.treeID)
	}
	r.disk = r.tree != nil && r.tree.disk
	var pipe *Pipe
	if i := m.fidAt(); i >= 0 && len(m.words) >= i+2 {
		r.file = fileID(m.u16(i))
		if q := m.more.pipe; q != nil && q.ID == m.more.id && q.phase != gone {
			pipe = q // opened by the chain itself
		} else if !r.disk {
			pipe = s.findPipe(Version1, r.sessionID, r.treeID, &r.file)
		}
		if pipe != nil {
			r.pipe, r.pipeID = pipe, pipe.ID
		}
	}
	if m.command == cmd1Transaction && m.has(15) && m.u8(26) >= 1 && m.onPipe() {
		r.function = uint16(m.u16(28))
	}
	c.tell1(m, r, pipe, h)
	if m.words == nil {
		return p
	}
	switch uint16(m.command) {
	case cmd1Negotiate:
		c.offer1(m)
	case cmd1SessionSetupAndX:
		c.setup1(m, r, at, h)
	case cmd1TreeConnectAndX, cmd1TreeConnect:
		s.name = m.path(s.name[:0])
		r.tree = newTree(c.session(side, Version1, r.sessionID, h), s.name, at)
		m.more.tree, r.makes = r.tree, true
	case cmd1NTCreateAndX, cmd1OpenAndX, cmd1Open, cmd1Create, cmd1CreateNew:
		m.more.pipe = nil
		if r.disk {
			return p
		}
		s.name = m.openName(s.name[:0])
		if q := c.asking(side, r, s.name, at, h); q != nil {
			if m.command == cmd1NTCreateAndX && m.has(24) {
				q.Access = m.u32(15)
			}
			m.more.pipe, m.more.id = q, q.ID
		}
	case cmd1WriteAndX:
		off, n := m.written()
		// A message of a pipe that is written in raw mode begins with its
		// length, MS-CIFS 2.2.4.43.1.
		if n >= 2 && m.u16(14)&0x0c == 0x0c {
			off, n = off+2, n-2
		}
		return c.put1(side, m, r, pipe, off, n, at, h)
	case cmd1Write, cmd1WriteAndUnlock:
		// A buffer format and a length, then the data.
		if len(m.data) >= 3 {
			n := int(binary.LittleEndian.Uint16(m.data[1:]))
			return c.put1(side, m, r, pipe, m.dataAt+3, n, at, h)
		}
	case cmd1WriteAndClose:
		if m.has(6) {
			return c.put1(side, m, r, pipe, m.dataAt+1, m.u16(2), at, h)
		}
	case cmd1ReadRaw:
		o := &c.half[side^1]
		o.raw, o.rawPipe = true, pipe
		if pipe != nil {
			o.rawID = pipe.ID
		}
		r.live = false // what comes is no message
	case cmd1Transaction:
		return c.transaction1(side, m, r, pipe, at, h)
	case cmd1Transaction2:
		if m.has(14) {
			r.left = int32(m.u16(2) - m.u16(22))
			if m.has(15) {
				r.function = uint16(m.u16(28))
			}
		}
	}
	return p
}

// put1 gives the piece that a request writes.
func (c *Conn) put1(side int, m *block1, r *request, pipe *Pipe, off, n int, at dcerpc.Point, h Handler) (p piece) {
	off, n = m.limit(c, side, off, n, h)
	if n == 0 || r.disk {
		return p
	}
	if pipe == nil || pipe.phase == candidate {
		if pipe = c.found(side, r, pipe, toServer, m.part(off, n), at, h); pipe == nil {
			return p
		}
		r.pipe, r.pipeID = pipe, pipe.ID
	}
	return piece{off, n, pipe, toServer}
}

// transaction1 takes an SMB_COM_TRANSACTION request, MS-CIFS 2.2.4.33.1.
func (c *Conn) transaction1(side int, m *block1, r *request, pipe *Pipe, at dcerpc.Point, h Handler) (p piece) {
	if !m.has(14) {
		return p
	}
	total, off, n := m.u16(2), m.u16(24), m.u16(22)
	r.left = int32(max(total-n, 0))
	switch r.function {
	case transTransact, transRawWrite, transWrite:
		if r.file == (FileID{}) {
			return p
		}
		return c.put1(side, m, r, pipe, off, n, at, h)
	case transCall:
		// Opens, writes, reads and closes, MS-CIFS 2.2.5.11.
		c.s.name, _ = m.text(c.s.name[:0], 0, m.unicode())
		q := c.asking(side, r, c.s.name, at, h)
		if q == nil {
			return p
		}
		off, n = m.limit(c, side, off, n, h)
		return piece{off, n, q, toServer}
	}
	return p
}

// secondary1 takes a further part of a transaction, MS-CIFS 2.2.4.34.1.
func (c *Conn) secondary1(side int, m *block1, at dcerpc.Point, h Handler) (p piece) {
	var r *request
	if i := c.s.indexOf(side, m.key(m.command, 0)); i >= 0 {
		r = &c.s.requests[i]
	}
	var pipe *Pipe
	if r != nil {
		pipe = c.pipeOf(r)
	}
	c.tell1(m, r, pipe, h)
	if r == nil || !m.has(8) || m.command == cmd1NTTransactSecondary {
		return p
	}
	total, n, off, disp := m.u16(2), m.u16(10), m.u16(12), m.u16(14)
	if n > 0 && disp != total-int(r.left) {
		h.Anomaly(side, BadDisplacement, headerSize1+1+14)
		if pipe != nil && pipe.phase == open {
			c.gap(pipe, toServer, h)
		}
	}
	r.left = int32(max(int(r.left)-n, 0))
	if pipe == nil || r.command != cmd1Transaction {
		return p
	}
	off, n = m.limit(c, side, off, n, h)
	if n == 0 {
		return p
	}
	return piece{off, n, pipe, toServer}
}

// offer1 takes a NEGOTIATE request, MS-CIFS 2.2.4.52.1.
func (c *Conn) offer1(m *block1) {
	s := c.s
	s.dialects = append(s.dialects[:0], m.data[:min(len(m.data), 512)]...)
	for i := 0; ; i++ {
		name := s.dialect(i)
		if name == nil {
			return
		}
		if len(name) > 6 && string(name[:6]) == "SMB 2." {
			s.agreed.MultiProtocol = true
		}
	}
}

// dialect gives the name of a dialect that the client offered.
func (s *state) dialect(i int) []byte {
	b := s.dialects
	for len(b) > 0 && b[0] == 2 { // buffer format
		end := 1
		for end < len(b) && b[end] != 0 {
			end++
		}
		if i == 0 {
			return b[1:end]
		}
		i--
		b = b[min(end+1, len(b)):]
	}
	return nil
}

// agree1 takes a NEGOTIATE response, MS-CIFS 2.2.4.52.2 and MS-SMB 2.2.4.5.2.
func (c *Conn) agree1(m *block1, h Handler) {
	n := &c.s.agreed
	if !m.has(1) {
		return
	}
	n.Version = Version1
	n.DialectName = string(bounded(c.s.dialect(m.u16(0))))
	q := &c.s.conn
	q.Version, q.ExtendedSec = Version1, false
	if !m.has(17) {
		return
	}
	n.ServerSecurity = uint16(m.u8(2)>>2) & 3
	n.Capabilities = m.u32(19)
	if n.Capabilities&(1<<31) == 0 {
		return
	}
	n.ExtendedSec, q.ExtendedSec = true, true
	if len(m.data) >= 16 {
		n.ServerGUID = [16]byte(m.data)
		if b := m.data[16:]; len(b) > 0 && m.dataAt+len(m.data) <= len(m.b) {
			h.Token(q, false, b)
		}
	}
}

// setup1 takes a SESSION_SETUP_ANDX request, MS-CIFS 2.2.4.53.1 and MS-SMB
// 2.2.4.6.1. Of passwords the lengths alone are read, and whether an ANSI
// password of one byte is the zero of a null session.
func (c *Conn) setup1(m *block1, r *request, at dcerpc.Point, h Handler) {
	var q *Session
	if m.uid != 0 {
		q = c.s.findSession(Version1, uint64(m.uid))
	}
	switch {
	case q == nil:
		q = &Session{Version: Version1, ID: uint64(m.uid), Request: at}
	case q.State == Granted && !q.pending:
		q.Again, q.Legs, q.Request = true, 0, at
	case q.Legs == 0:
		q.Request = at
	}
	q.pending = true
	q.Legs++
	q.Signed = q.Signed || m.flags2&flags2Signature != 0
	r.session = q
	q.ExtendedSec = false
	s := c.s
	i := 0
	unicode := m.unicode()
	names := func(to ...*string) {
		for _, t := range to {
			s.name, i = m.text(s.name[:0], i, unicode)
			*t = string(bounded(s.name))
		}
	}
	switch len(m.words) / 2 {
	case 12:
		q.ExtendedSec = true
		n := m.u16(14)
		if n > 0 && n <= len(m.data) {
			h.Token(q, true, m.data[:n:n])
		}
		i = n
		names(&q.NativeOS, &q.NativeLM)
	case 13:
		q.LMLength, q.NTLength = m.u16(14), m.u16(16)
		q.LMZero = q.LMLength == 1 && len(m.data) > 0 && m.data[0] == 0
		i = q.LMLength + q.NTLength
		names(&q.Account, &q.Domain, &q.NativeOS, &q.NativeLM)
	case 10:
		q.LMLength = m.u16(14)
		q.LMZero = q.LMLength == 1 && len(m.data) > 0 && m.data[0] == 0
		i = q.LMLength
		names(&q.Account, &q.Domain, &q.NativeOS, &q.NativeLM)
	}
}

func (c *Conn) response1(side int, d *half, m *block1, at dcerpc.Point, h Handler) (p piece) {
	s := c.s
	r := s.waiting(side, m.key(m.command, m.chain))
	if r != nil && r.version != Version1 {
		r = nil
	}
	var q request
	if r != nil {
		q = *r
	} else {
		q = request{sessionID: uint64(m.uid), treeID: uint32(m.tid), command: uint16(m.command), version: Version1}
		if o := &c.half[side^1]; o.seen && !o.lost && m.mid != 0xffff && c.told&(1<<TooManyRequests) == 0 {
			switch uint16(m.command) {
			case cmd1Transaction2, cmd1NTTransact, cmd1Echo, cmd1WriteRaw, cmd1ReadRaw, cmd1WriteComplete:
			default:
				c.once(side, ResponseWithoutRequest, 30, h)
			}
		}
	}
	pipe := c.pipeOf(&q)
	m.more.serial = 0
	if r != nil {
		c.tell1(m, &q, pipe, h)
		r.live = false
		if r.chains {
			m.more.serial = r.serial
		}
	} else {
		c.tell1(m, nil, nil, h)
	}
	ok := !m.failed()
	switch uint16(m.command) {
	case cmd1Negotiate:
		if ok {
			c.agree1(m, h)
		}
	case cmd1SessionSetupAndX:
		c.setUp1(side, m, &q, at, h)
	case cmd1LogoffAndX:
		if ok {
			c.logoff(Version1, q.sessionID, at, h)
		}
	case cmd1TreeConnectAndX, cmd1TreeConnect:
		if q.makes {
			c.connected1(side, m, &q, ok, at, h)
		}
	case cmd1TreeDisconnect:
		if ok {
			c.dropTree(s.findTree(Version1, 0, q.treeID), true, h)
		}
	case cmd1NTCreateAndX, cmd1OpenAndX, cmd1Open, cmd1Create, cmd1CreateNew:
		if pipe != nil && pipe.phase == asked {
			c.opened1(side, m, pipe, ok, at, h)
		}
	case cmd1Close, cmd1WriteAndClose, cmd1CloseAndTreeDisc:
		if ok && pipe != nil && pipe.phase != asked {
			c.close(pipe, true, h)
		}
	case cmd1WriteAndX, cmd1Write, cmd1WriteAndUnlock:
		c.refuse(pipe, !ok, h)
	case cmd1WriteRaw:
		// The server is ready for what the client has to write.
		if ok && r != nil {
			o := &c.half[side^1]
			o.raw, o.rawPipe = true, pipe
			if pipe != nil {
				o.rawID = pipe.ID
			}
		}
	case cmd1ReadAndX:
		if off, n := m.gotten(); ok && r != nil {
			return c.get1(side, m, &q, pipe, off, n, at, h)
		}
	case cmd1Read, cmd1LockAndRead:
		if ok && r != nil && len(m.data) >= 3 {
			n := int(binary.LittleEndian.Uint16(m.data[1:]))
			return c.get1(side, m, &q, pipe, m.dataAt+3, n, at, h)
		}
	case cmd1Transaction, cmd1Transaction2:
		if r != nil {
			return c.transacted1(side, m, r, &q, pipe, ok, at, h)
		}
	}
	return p
}

// get1 gives the piece that a response reads.
func (c *Conn) get1(side int, m *block1, r *request, pipe *Pipe, off, n int, at dcerpc.Point, h Handler) (p piece) {
	off, n = m.limit(c, side, off, n, h)
	if n == 0 || r.disk || r.file == (FileID{}) && pipe == nil {
		return p
	}
	if pipe == nil || pipe.phase == candidate {
		if pipe = c.found(side, r, pipe, toClient, m.part(off, n), at, h); pipe == nil {
			return p
		}
	}
	return piece{off, n, pipe, toClient}
}

// transacted1 takes a response to a transaction, MS-CIFS 2.2.4.33.2: one part of
// it, or the interim response that asks for the secondary requests.
func (c *Conn) transacted1(side int, m *block1, r, q *request, pipe *Pipe, ok bool, at dcerpc.Point, h Handler) (p piece) {
	if !ok {
		if pipe != nil && pipe.phase == asked {
			c.refused1(m, pipe, at, h)
			return p
		}
		c.refuse(pipe, true, h)
		return p
	}
	if !m.has(10) {
		r.live = len(m.words) == 0 && q.left > 0
		if !r.live && pipe != nil && pipe.phase == asked {
			c.refused1(m, pipe, at, h)
		}
		return p
	}
	total, n, off, disp := m.u16(2), m.u16(12), m.u16(14), m.u16(16)
	if n > 0 && disp != int(q.seen) {
		h.Anomaly(side, BadDisplacement, headerSize1+1+16)
		if pipe != nil && pipe.phase == open {
			c.gap(pipe, toClient, h)
		}
	}
	r.seen += int32(n)
	r.left = 0
	r.live = n > 0 && int(r.seen) < total
	if m.command != cmd1Transaction {
		return p
	}
	switch q.function {
	case transTransact, transRawRead, transRead:
		return c.get1(side, m, q, pipe, off, n, at, h)
	case transCall:
		if pipe == nil {
			return p
		}
		if pipe.phase == asked {
			pipe.Status, pipe.DOS, pipe.Answer = m.status, m.dos(), at
			// No FID: one that cannot be.
			pipe.File = FileID{0xff, 0xff, 1, byte(pipe.ID), byte(pipe.ID >> 8), byte(pipe.ID >> 16), byte(pipe.ID >> 24)}
			c.created(side, pipe, true, at, h)
		}
		id := pipe.ID
		if off, n = m.limit(c, side, off, n, h); n > 0 {
			c.now(m, piece{off, n, pipe, toClient}, at, h)
		}
		if !r.live && pipe.ID == id {
			c.close(pipe, true, h)
		}
	}
	return p
}

func (c *Conn) refused1(m *block1, p *Pipe, at dcerpc.Point, h Handler) {
	p.Status, p.DOS, p.Answer = m.status, m.dos(), at
	c.created(0, p, false, at, h)
}

// setUp1 takes a SESSION_SETUP_ANDX response, MS-CIFS 2.2.4.53.2 and MS-SMB
// 2.2.4.6.2.
func (c *Conn) setUp1(side int, m *block1, r *request, at dcerpc.Point, h Handler) {
	q := r.session
	if q == nil {
		q = c.session(side, Version1, uint64(m.uid), h)
	}
	q.Answer, q.Status, q.DOS = at, m.status, m.dos()
	q.Signed = q.Signed || m.flags2&flags2Signature != 0
	more := !m.dos() && m.status == statusMoreProcessing
	if (more || !m.failed()) && q.State != Granted {
		q.ID = uint64(m.uid)
		c.addSession(side, q, h)
	}
	i, action := 0, 0
	if m.has(3) {
		action = m.u16(4)
	}
	if m.has(4) {
		n := m.u16(6)
		if n > 0 && n <= len(m.data) {
			h.Token(q, false, m.data[:n:n])
		}
		i = n
	}
	if len(m.data) > i {
		s := c.s
		for _, t := range [...]*string{&q.ServerOS, &q.ServerLM, &q.ServerDomain} {
			s.name, i = m.text(s.name[:0], i, m.unicode())
			*t = string(bounded(s.name))
		}
	}
	if more {
		return
	}
	q.pending = false
	if m.failed() {
		if q.State == Granted {
			q.State = Refused
			h.Session(q)
			q.State = Granted
			return
		}
		q.State = Refused
		h.Session(q)
		c.dropSession(q, true, h)
		return
	}
	q.State, q.Guest = Granted, action&1 != 0
	h.Session(q)
}

// connected1 takes the response to a tree connect, MS-CIFS 2.2.4.55.2.
func (c *Conn) connected1(side int, m *block1, r *request, ok bool, at dcerpc.Point, h Handler) {
	t := r.tree
	t.Answer, t.Status, t.DOS = at, m.status, m.dos()
	// In a chain behind a session setup the UID is known only now.
	t.Session = c.session(side, Version1, uint64(m.uid), h)
	if !ok {
		t.State = Refused
		h.Tree(t)
		return
	}
	t.State, t.ID = Granted, uint32(m.tid)
	if m.command == cmd1TreeConnect && m.has(2) {
		t.ID = uint32(m.u16(2))
	}
	if m.command == cmd1TreeConnectAndX {
		s := c.s
		s.name, _ = m.text(s.name[:0], 0, false)
		t.Service = string(bounded(s.name))
	}
	switch {
	case t.Service == "IPC":
		t.IPC = true
	case t.Service != "" || !t.IPC:
		t.IPC, t.disk = false, true
	}
	c.addTree(side, t, h)
	h.Tree(t)
}

// opened1 takes the response to an open.
func (c *Conn) opened1(side int, m *block1, p *Pipe, ok bool, at dcerpc.Point, h Handler) {
	kind := -1 // ResourceType: 0 file, 1 and 2 pipe; -1 not told
	fid := 0
	switch uint16(m.command) {
	case cmd1NTCreateAndX:
		if m.has(34) {
			fid, kind = m.u16(5), m.u16(63)
		} else {
			ok = false
		}
	case cmd1OpenAndX:
		if m.has(12) {
			fid, kind = m.u16(4), m.u16(18)
		} else {
			ok = false
		}
	default:
		if m.has(1) {
			fid = m.u16(0)
		} else {
			ok = false
		}
	}
	p.Status, p.DOS, p.Answer = m.status, m.dos(), at
	if ok {
		// In a chain behind a session setup and a tree connect both ids are known
		// only now.
		p.session, p.tree, p.File = uint64(m.uid), uint32(m.tid), fileID(fid)
		p.Session = c.session(side, Version1, p.session, h)
		if p.Tree == nil && kind == 0 {
			c.s.release(p)
			return
		}
	}
	c.created(side, p, ok, at, h)
	if ok && p.phase == candidate && kind > 0 {
		c.opened(p, at, h)
	}
}

// unchained ends the requests of a chain of which the response has no commands:
// what was chained to a command that failed was not done. They were chained to
// m, whose serial number was the one before theirs.
func (c *Conn) unchained(side int, m *block1, serial uint32, h Handler) {
	for i := m.chain + 1; ; i++ {
		r := c.s.chained(side, m, i, serial)
		if r == nil {
			return
		}
		serial = r.serial
		r.live = false
		if m.failed() && r.makes && r.isTreeConnect() {
			r.tree.State, r.tree.Status, r.tree.DOS = Refused, m.status, m.dos()
			h.Tree(r.tree)
			continue
		}
		c.unanswered(r, false, h)
	}
}

// chained gives the request of a place in a chain that came right behind another.
func (s *state) chained(side int, m *block1, chain int, serial uint32) *request {
	if serial == 0 {
		return nil
	}
	const noCommand = ^(uint64(0xff) << 48)
	key := m.key(0, chain) & noCommand
	for i := range s.requests {
		if r := &s.requests[i]; r.live && r.serial == serial+1 && r.id&noCommand == key && int(r.side) != side {
			return r
		}
	}
	return nil
}
