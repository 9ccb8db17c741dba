package smb

import (
	"encoding/binary"

	"kmswatch/decode/dcerpc"
)

// Sizes of headers, bytes.
const (
	headerSize2     = 64 // MS-SMB2 2.2.1
	transformSize   = 52 // MS-SMB2 2.2.41
	compressionSize = 16 // MS-SMB2 2.2.42
)

// Flags of the header, MS-SMB2 2.2.1.1.
const (
	flagResponse = 1
	flagAsync    = 2
	flagRelated  = 4
	flagSigned   = 8
)

// header2 is an SMB2 packet header.
type header2 struct {
	command            uint16
	status, flags      uint32
	next               uint32
	id, session, async uint64
	tree               uint32
}

func (hd *header2) decode(b []byte) {
	_ = b[headerSize2-1]
	le := binary.LittleEndian
	hd.status = le.Uint32(b[8:])
	hd.command = le.Uint16(b[12:])
	hd.flags = le.Uint32(b[16:])
	hd.next = le.Uint32(b[20:])
	hd.id = le.Uint64(b[24:])
	hd.session = le.Uint64(b[40:])
	hd.async, hd.tree = 0, 0
	if hd.flags&flagAsync != 0 {
		hd.async = le.Uint64(b[32:])
	} else {
		hd.tree = le.Uint32(b[36:])
	}
}

// fixed2 is how many bytes of each command, behind the header, are looked at
// before anything of variable place: of its request, of its response.
var fixed2 = [len(commands2)][2]uint8{
	Negotiate2:                  {36, 64},
	SessionSetup2:               {24, 8},
	Logoff2:                     {4, 4},
	TreeConnect2:                {8, 16},
	TreeDisconnect2:             {4, 4},
	Create2:                     {56, 88},
	Close2:                      {24, 2},
	Flush2:                      {24, 2},
	Read2:                       {48, 16},
	Write2:                      {48, 16},
	Lock2:                       {24, 2},
	Ioctl2:                      {56, 48},
	Cancel2:                     {4, 2},
	Echo2:                       {4, 2},
	QueryDirectory2:             {24, 2},
	ChangeNotify2:               {24, 2},
	QueryInfo2:                  {40, 2},
	SetInfo2:                    {32, 2},
	OplockBreak2:                {2, 2},
	ServerToClientNotification2: {2, 2},
}

// errorSize is the structure size of an ERROR response, MS-SMB2 2.2.2.
const errorSize = 9

// command2 is one command of SMB 2 or 3 as far as it is there.
type command2 struct {
	header2
	b      []byte // from the header on; at least that
	length int    // of the command on the wire
	short  bool   // the fixed part is not whole: nothing behind the header counts
	broken bool   // an ERROR response: nothing behind the header counts
	off, n int    // where the data are, from the header, and how many bytes of them
}

func (m *command2) u8(i int) uint8   { return m.b[headerSize2+i] }
func (m *command2) u16(i int) uint16 { return binary.LittleEndian.Uint16(m.b[headerSize2+i:]) }
func (m *command2) u32(i int) uint32 { return binary.LittleEndian.Uint32(m.b[headerSize2+i:]) }
func (m *command2) file(i int) FileID {
	return FileID(m.b[headerSize2+i:])
}

// data gives the bytes at off that are there.
func (m *command2) data() []byte {
	off := min(m.off, len(m.b))
	end := min(m.off+m.n, len(m.b))
	return m.b[off:end:end]
}

func (m *command2) response() bool { return m.flags&flagResponse != 0 }

// variable tells where the fields say that the variable part is, and how much of
// it must be there; want is limited by n.
func (m *command2) variable() (off, n, want int) {
	const all = 1 << 30
	switch {
	case m.command == Negotiate2:
		return headerSize2, m.length - headerSize2, all
	case !m.response() && m.command == SessionSetup2:
		return int(m.u16(12)), int(m.u16(14)), all
	case m.command == SessionSetup2:
		return int(m.u16(4)), int(m.u16(6)), all
	case !m.response() && m.command == TreeConnect2:
		return int(m.u16(4)), int(m.u16(6)), all
	case !m.response() && m.command == Create2:
		return int(m.u16(44)), int(m.u16(46)), all
	case !m.response() && m.command == Write2:
		return int(m.u16(2)), clampInt(m.u32(4)), dcerpc.HeaderSize
	case m.response() && m.command == Read2:
		return int(m.u8(2)), clampInt(m.u32(4)), dcerpc.HeaderSize
	case !m.response() && m.command == Ioctl2:
		return clampInt(m.u32(24)), clampInt(m.u32(28)), dcerpc.HeaderSize
	case m.command == Ioctl2:
		return clampInt(m.u32(32)), clampInt(m.u32(36)), dcerpc.HeaderSize
	}
	return 0, 0, 0
}

// clampInt keeps a 32-bit number within what sums of two fit an int of 32 bits.
func clampInt(v uint32) int { return int(min(v, 1<<29)) }

// message2 decodes a command of SMB 2 or 3; see Conn.message.
func (c *Conn) message2(side int, d *half, b []byte, cut bool, at dcerpc.Point, h Handler) int {
	if len(b) < headerSize2 {
		if d.frame < headerSize2 {
			h.Anomaly(side, ShortMessage, 0)
			return d.pass(b)
		}
		if cut {
			return d.pass(b)
		}
		return 0
	}
	var m command2
	m.decode(b)
	m.length = d.frame
	badNext := false
	if m.next != 0 {
		// It must move forward, and leave room for another header (trap 43).
		if n := clampInt(m.next); n&7 == 0 && n >= headerSize2 && n <= d.frame-headerSize2 {
			m.length = n
		} else {
			badNext = true
		}
	}
	fixed := 2
	if int(m.command) < len(fixed2) {
		fixed = int(fixed2[m.command][m.flags&flagResponse])
	}
	need := headerSize2 + fixed
	if m.response() && m.status != 0 && m.length >= headerSize2+2 {
		if len(b) < headerSize2+2 && !cut {
			return 0
		}
		if len(b) >= headerSize2+2 && binary.LittleEndian.Uint16(b[headerSize2:]) == errorSize && (m.command != SessionSetup2 || failed(m.status, false)) {
			m.broken = true
			need = headerSize2 + 2
		}
	}
	if m.length < need {
		m.short = true
		need = m.length
	}
	if len(b) < need {
		if !cut {
			return 0
		}
		m.short = true
	}
	offsetAnomaly := false
	if !m.short && !m.broken {
		m.b = b
		off, n, want := m.variable()
		if n > 0 && (off < headerSize2 || off > m.length || n > m.length-off) {
			offsetAnomaly = true
			if off < headerSize2 || off > m.length {
				n = 0
			} else {
				n = m.length - off
			}
		}
		m.off, m.n = off, n
		if n > 0 && want > 0 {
			need = max(need, min(off+min(n, want), max(maxWhole, need)))
			if len(b) < need && !cut {
				return 0
			}
		}
	}
	// No more than that is looked at, however much has come by now.
	b = b[:min(len(b), need)]
	m.b = b

	// From here on the command counts.
	c.messages++
	if binary.LittleEndian.Uint16(b[4:]) != headerSize2 {
		c.once(side, BadHeader, 4, h)
	}
	if badNext {
		h.Anomaly(side, BadNextCommand, 20)
	}
	if int(m.command) >= len(fixed2) {
		h.Anomaly(side, UnknownCommand, 12)
	}
	if m.short && len(b) >= need {
		h.Anomaly(side, ShortMessage, headerSize2)
	}
	if m.n > 0 && m.next == 0 && m.off+m.n+8 <= m.length && (m.command == Read2 || m.command == Write2) {
		c.once(side, TrailingBytes, m.off+m.n, h)
	}
	if offsetAnomaly {
		h.Anomaly(side, BadOffset, headerSize2)
	}
	if c.vote(side, !m.response()) {
		c.once(side, WrongDirection, 16, h)
	}
	if m.response() {
		return c.response2(side, d, &m, at, h)
	}
	return c.request2(side, d, &m, at, h)
}

// tell2 tells of a command, with what can be read from it alone and from r, the
// request that it is or answers, if there is one.
func (c *Conn) tell2(d *half, m *command2, r *request, pipe *Pipe, h Handler) {
	if !c.cfg.Messages {
		return
	}
	t := &c.s.msg
	*t = Message{
		Version: Version2, Response: m.response(), Related: m.flags&flagRelated != 0, Signed: m.flags&flagSigned != 0,
		Async: m.flags&flagAsync != 0, Short: m.short, Command: m.command, Chain: d.chain, Flags: m.flags,
		ID: m.id, Session: m.session, Tree: m.tree, AsyncID: m.async,
	}
	if t.Response {
		t.Status = m.status
	}
	if r != nil {
		if t.Response {
			t.Matched, t.Request = true, r.at
		}
		t.File, t.Control = r.file, r.control
		t.HasFile = r.file != FileID{} && r.file != allOnes
	}
	if pipe != nil && pipe.phase == open {
		t.Pipe = pipe
	}
	if !m.short && !m.broken {
		m.facts(t)
	}
	h.Message(t)
}

// facts fills in what the command says of itself.
func (m *command2) facts(t *Message) {
	switch {
	case m.command == Negotiate2 && m.response():
		t.Dialect = m.u16(4)
	case m.command == SessionSetup2:
		t.Length = uint32(m.n)
	case m.command == TreeConnect2 && !m.response(), m.command == Create2 && !m.response():
		t.Name = string(bounded(appendUTF16(nil, m.data())))
	case m.command == Create2 && !failed(m.status, false):
		t.HasFile, t.File = true, m.file(64)
	case m.command == Read2, m.command == Write2:
		t.Length = m.u32(4)
	case m.command == Ioctl2:
		t.Control, t.Length = m.u32(4), uint32(m.n)
		t.HasFile, t.File = true, m.file(8)
	}
}

// fileAt is where in a request the FileId stands, behind the header; 0 if there
// is none.
var fileAt = [len(commands2)]uint8{
	Close2: 8, Flush2: 8, Lock2: 8, Ioctl2: 8, QueryDirectory2: 8, ChangeNotify2: 8,
	Read2: 16, Write2: 16, SetInfo2: 16, QueryInfo2: 24,
}

func (c *Conn) request2(side int, d *half, m *command2, at dcerpc.Point, h Handler) int {
	s := c.s
	related := m.flags&flagRelated != 0 && d.chain > 0
	switch {
	case related:
		if m.session == 1<<64-1 {
			m.session = d.session
		}
		if m.tree == 1<<32-1 {
			m.tree = d.tree
		}
	default:
		d.file, d.pipe = FileID{}, nil
		if m.flags&flagRelated != 0 {
			h.Anomaly(side, RelatedFirst, 16)
		}
	}
	d.session, d.tree = m.session, m.tree
	if m.command == Cancel2 { // has no answer, MS-SMB2 3.2.4.24
		c.tell2(d, m, nil, nil, h)
		return d.take(m.b, m.length, 0, 0, nil, 0)
	}
	r := c.ask(side, Version2, m.id, at, h)
	r.command, r.sessionID, r.treeID = m.command, m.session, m.tree
	if r.tree = s.findTree(Version2, m.session, m.tree); r.tree != nil {
		r.disk = r.tree.disk
		r.session = r.tree.Session
		if m.flags&flagSigned != 0 {
			r.session.Signed = true
		}
	}
	var pipe *Pipe
	if int(m.command) < len(fileAt) && fileAt[m.command] != 0 && !m.short {
		r.file = m.file(int(fileAt[m.command]))
		if related && r.file == allOnes {
			r.file = d.file
			if p := d.pipe; p != nil && p.ID == d.pipeID && p.phase != gone {
				pipe = p
			}
		}
		d.file = r.file
		if pipe == nil && !r.disk {
			pipe = s.findPipe(Version2, m.session, m.tree, &r.file)
		}
		d.pipe = nil
		if pipe != nil {
			d.pipe, d.pipeID = pipe, pipe.ID
			r.pipe, r.pipeID = pipe, pipe.ID
		}
	}
	c.tell2(d, m, r, pipe, h)
	if m.short {
		return d.take(m.b, m.length, 0, 0, nil, 0)
	}
	n := 0 // bytes for the pipe
	switch m.command {
	case Negotiate2:
		c.offer2(side, m, h)
	case SessionSetup2:
		c.setup2(m, r, at, h)
	case TreeConnect2:
		c.connect2(side, m, r, at, h)
	case Create2:
		c.create2(side, d, m, r, at, h)
	case Write2:
		n = m.n
	case Ioctl2:
		if r.control = m.u32(4); r.control == FsctlPipeTransceive {
			n = m.n
		}
	}
	if n == 0 || r.disk {
		return d.take(m.b, m.length, 0, 0, nil, 0)
	}
	if pipe == nil || pipe.phase == candidate {
		pipe = c.found(side, r, pipe, toServer, m.data(), at, h)
		if pipe != nil {
			r.pipe, r.pipeID = pipe, pipe.ID
		}
	}
	return d.take(m.b, m.length, m.off, n, pipe, toServer)
}

// setup2 takes a SESSION_SETUP request, MS-SMB2 2.2.5.
func (c *Conn) setup2(m *command2, r *request, at dcerpc.Point, h Handler) {
	var q *Session
	if m.session != 0 {
		q = c.s.findSession(Version2, m.session)
	}
	switch {
	case q == nil:
		q = &Session{Version: Version2, ID: m.session, Request: at, Dialect: c.s.agreed.Dialect}
	case q.State == Granted || q.State == LoggedOff:
		if !q.pending {
			q.Again, q.Legs, q.Request = true, 0, at
		}
	case q.Legs == 0:
		q.Request = at
	}
	q.pending = true
	q.ExtendedSec = true
	q.Legs++
	q.Binding = m.u8(2)&1 != 0 // SMB2_SESSION_FLAG_BINDING
	q.MustSign = m.u8(3)&2 != 0
	if m.flags&flagSigned != 0 {
		q.Signed = true
	}
	r.session = q
	if b := m.data(); m.n > 0 && len(b) == m.n {
		h.Token(q, true, b)
	}
}

// connect2 takes a TREE_CONNECT request, MS-SMB2 2.2.9.
func (c *Conn) connect2(side int, m *command2, r *request, at dcerpc.Point, h Handler) {
	if m.n&1 != 0 {
		h.Anomaly(side, BadName, headerSize2+6)
	}
	r.session = c.session(side, Version2, m.session, h)
	if m.flags&flagSigned != 0 {
		r.session.Signed = true
	}
	c.s.name = appendUTF16(c.s.name[:0], m.data())
	r.tree, r.makes = newTree(r.session, c.s.name, at), true
}

func newTree(q *Session, path []byte, at dcerpc.Point) *Tree {
	t := &Tree{Path: string(bounded(path)), Session: q, Request: at}
	t.Share = share(t.Path)
	t.IPC = equalFold(t.Share, "IPC$")
	return t
}

// create2 takes a CREATE request, MS-SMB2 2.2.13.
func (c *Conn) create2(side int, d *half, m *command2, r *request, at dcerpc.Point, h Handler) {
	d.file, d.pipe = allOnes, nil
	if m.n&1 != 0 {
		h.Anomaly(side, BadName, headerSize2+46)
	}
	if r.disk {
		return
	}
	c.s.name = appendUTF16(c.s.name[:0], m.data())
	p := c.asking(side, r, c.s.name, at, h)
	if p == nil {
		return
	}
	p.Access = m.u32(24)
	d.pipe, d.pipeID = p, p.ID
}

// asking makes the pipe that a request opens, if it may be one.
func (c *Conn) asking(side int, r *request, name []byte, at dcerpc.Point, h Handler) *Pipe {
	name = pipeName(name)
	if r.tree == nil && !likeAPipe(name) {
		return nil
	}
	q := c.session(side, r.version, r.sessionID, h)
	p := c.newPipe(asked)
	p.Name, p.Known, p.Request = kept(name), true, at
	p.Session, p.Tree = q, r.tree
	p.session, p.tree = r.sessionID, r.treeID
	r.session = q
	r.pipe, r.pipeID, r.makes = p, p.ID, true
	return p
}

// likeAPipe tells whether a file of a tree that is not known is worth watching.
func likeAPipe(name []byte) bool {
	for _, b := range name {
		if b == '\\' || b == '.' || b == '/' {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 64
}

func (c *Conn) response2(side int, d *half, m *command2, at dcerpc.Point, h Handler) int {
	s := c.s
	r := s.waiting(side, m.id)
	switch {
	case r != nil && r.version != Version2:
		r = nil // the answer to a NEGOTIATE of SMB 1, MS-SMB2 3.3.5.3.1
	case r != nil && r.command != m.command:
		h.Anomaly(side, CommandMismatch, 12)
		r = nil
	case r == nil:
		c.alone(side, m, h)
	}
	var q request
	if r != nil {
		q = *r
	} else {
		q = request{sessionID: m.session, treeID: m.tree, command: m.command, version: Version2}
		q.tree = s.findTree(Version2, m.session, m.tree)
		q.disk = q.tree != nil && q.tree.disk
	}
	if m.command == Ioctl2 && !m.short && !m.broken {
		q.control = m.u32(4)
		if q.file == (FileID{}) || q.file == allOnes {
			q.file = m.file(8)
		}
	}
	pipe := c.pipeOf(&q)
	if r != nil {
		c.tell2(d, m, &q, pipe, h)
	} else {
		c.tell2(d, m, nil, pipe, h)
	}
	if m.status == statusPending {
		// The interim response, MS-SMB2 3.3.4.2: the request goes on waiting.
		if r != nil {
			r.async, r.isAsync = m.async, m.flags&flagAsync != 0
		}
		return d.take(m.b, m.length, 0, 0, nil, 0)
	}
	if r != nil {
		if r.isAsync && (m.flags&flagAsync == 0 || r.async != m.async) {
			h.Anomaly(side, AsyncMismatch, 32)
		}
		r.live = false
		if q.session != nil && m.flags&flagSigned != 0 {
			q.session.Signed = true
		}
	}
	ok := !failed(m.status, false) && !m.short && !m.broken
	n := 0 // bytes from the pipe
	switch m.command {
	case Negotiate2:
		if ok {
			c.agree2(side, m, h)
		}
	case SessionSetup2:
		c.setUp2(side, m, &q, at, h)
	case Logoff2:
		if ok {
			c.logoff(Version2, q.sessionID, at, h)
		}
	case TreeConnect2:
		if q.makes {
			c.connected2(side, m, &q, ok, at, h)
		}
	case TreeDisconnect2:
		if ok {
			c.dropTree(s.findTree(Version2, q.sessionID, q.treeID), true, h)
		}
	case Create2:
		if pipe != nil && pipe.phase == asked {
			pipe.Status, pipe.Answer = m.status, at
			if ok {
				pipe.File = m.file(64)
			}
			c.created(side, pipe, ok, at, h)
		}
	case Close2:
		if !failed(m.status, false) && pipe != nil && pipe.phase != asked {
			c.close(pipe, true, h)
		}
	case Write2:
		c.refuse(pipe, failed(m.status, false), h)
	case Read2:
		if ok {
			n = m.n
		}
	case Ioctl2:
		c.refuse(pipe, failed(m.status, false) && q.control == FsctlPipeTransceive, h)
		if ok && q.control == FsctlPipeTransceive {
			n = m.n
		}
	}
	if n == 0 || q.disk {
		return d.take(m.b, m.length, 0, 0, nil, 0)
	}
	if pipe == nil || pipe.phase == candidate {
		if pipe == nil && q.file == (FileID{}) {
			// The request was lost, and with it which pipe these bytes are of.
			return d.take(m.b, m.length, 0, 0, nil, 0)
		}
		pipe = c.found(side, &q, pipe, toClient, m.data(), at, h)
	}
	return d.take(m.b, m.length, m.off, n, pipe, toClient)
}

// pipeOf gives the pipe of a request, or of the file that it names.
func (c *Conn) pipeOf(r *request) *Pipe {
	if p := r.pipe; p != nil && p.ID == r.pipeID && p.phase != gone {
		return p
	}
	if r.disk || r.file == (FileID{}) {
		return nil
	}
	return c.s.findPipe(r.version, r.sessionID, r.treeID, &r.file)
}

// alone judges a response to nothing.
func (c *Conn) alone(side int, m *command2, h Handler) {
	d := &c.half[side^1]
	if m.command == Negotiate2 || m.id == 1<<64-1 || d.lost || !d.seen || c.told&(1<<TooManyRequests) != 0 {
		return // MS-SMB2 3.3.4.6: an oplock or lease break is nobody's answer
	}
	c.once(side, ResponseWithoutRequest, 24, h)
}

// setUp2 takes a SESSION_SETUP response, MS-SMB2 2.2.6.
func (c *Conn) setUp2(side int, m *command2, r *request, at dcerpc.Point, h Handler) {
	q := r.session
	if q == nil {
		q = c.session(side, Version2, m.session, h)
		q.ExtendedSec = true
	}
	q.Answer, q.Status = at, m.status
	more := m.status == statusMoreProcessing
	if (more || !failed(m.status, false)) && m.session != 0 && q.State != Granted {
		q.ID = m.session
		c.addSession(side, q, h)
	}
	if !m.short && !m.broken {
		if b := m.data(); m.n > 0 && len(b) == m.n {
			h.Token(q, false, b)
		}
	}
	if more {
		return
	}
	q.pending = false
	if failed(m.status, false) {
		if q.State == Granted {
			// Of a session that stands; it is told as it was refused.
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
	q.State = Granted
	if !m.short && !m.broken {
		flags := m.u16(2)
		q.Guest, q.Null, q.Encrypt = flags&1 != 0, flags&2 != 0, flags&4 != 0
	}
	if m.flags&flagSigned != 0 {
		q.Signed = true
	}
	h.Session(q)
}

// logoff ends a session.
func (c *Conn) logoff(version uint8, id uint64, at dcerpc.Point, h Handler) {
	q := c.s.findSession(version, id)
	if q == nil {
		return
	}
	c.dropSession(q, true, h)
	q.State, q.Answer = LoggedOff, at
	h.Session(q)
}

// connected2 takes a TREE_CONNECT response, MS-SMB2 2.2.10.
func (c *Conn) connected2(side int, m *command2, r *request, ok bool, at dcerpc.Point, h Handler) {
	t := r.tree
	t.Answer, t.Status = at, m.status
	if !ok {
		if t.State = Refused; m.short {
			t.State = Unknown
		}
		h.Tree(t)
		return
	}
	t.State, t.ID = Granted, m.tree
	t.ShareType = m.u8(2)
	t.Encrypt = m.u32(4)&0x8000 != 0 // SMB2_SHAREFLAG_ENCRYPT_DATA
	switch t.ShareType {
	case 2:
		t.IPC = true
	case 1, 3:
		t.IPC, t.disk = false, true
	}
	c.addTree(side, t, h)
	h.Tree(t)
}

// created takes the answer to an open, whose file is known if it is ok.
func (c *Conn) created(side int, p *Pipe, ok bool, at dcerpc.Point, h Handler) {
	if !ok {
		if p.Tree != nil {
			p.State = Refused
			h.Open(p)
		}
		c.s.release(p)
		return
	}
	p.phase = candidate
	c.addPipe(side, p, h)
	if p.Tree != nil {
		c.opened(p, at, h)
		return
	}
	// The tree is not known: what was written already may tell.
	for way := range p.way {
		if p.phase != candidate {
			return
		}
		switch dcerpc.Probe(p.way[way].held) {
		case dcerpc.No:
			c.drop(&p.way[way])
		case dcerpc.Match:
			c.opened(p, at, h)
		}
	}
}

// offer2 takes a NEGOTIATE request, MS-SMB2 2.2.3.
func (c *Conn) offer2(side int, m *command2, h Handler) {
	n := &c.s.agreed
	n.ClientSecurity = m.u16(4)
	n.ClientCaps = m.u32(8)
	n.ClientGUID = [16]byte(m.b[headerSize2+12:])
	n.OfferedCount = int(m.u16(2))
	list := m.b[headerSize2+36:]
	has311 := false
	for i := 0; i < n.OfferedCount && 2*i+2 <= len(list); i++ {
		v := binary.LittleEndian.Uint16(list[2*i:])
		has311 = has311 || v == 0x0311
		if i < len(n.Offered) {
			n.Offered[i] = v
		}
	}
	if 2*n.OfferedCount > m.length-headerSize2-36 {
		h.Anomaly(side, BadOffset, headerSize2+2)
	}
	if has311 {
		c.contexts(side, m, clampInt(m.u32(28)), int(m.u16(32)), false, h)
	}
}

// agree2 takes a NEGOTIATE response, MS-SMB2 2.2.4.
func (c *Conn) agree2(side int, m *command2, h Handler) {
	n := &c.s.agreed
	n.Version = Version2
	n.ServerSecurity = m.u16(2)
	n.Dialect = m.u16(4)
	n.ServerGUID = [16]byte(m.b[headerSize2+8:])
	n.Capabilities = m.u32(24)
	if n.Dialect == 0x0311 {
		c.contexts(side, m, clampInt(m.u32(60)), int(m.u16(6)), true, h)
	}
	q := &c.s.conn
	q.Version, q.Dialect, q.ExtendedSec = Version2, n.Dialect, true
	if off, size := int(m.u16(56)), int(m.u16(58)); size > 0 {
		switch {
		case off < headerSize2+64 || off+size > m.length:
			h.Anomaly(side, BadOffset, headerSize2+56)
		case off+size <= len(m.b):
			h.Token(q, false, m.b[off:off+size:off+size])
		}
	}
}

// Negotiate contexts, MS-SMB2 2.2.3.1.
const (
	contextPreauth     = 1
	contextEncryption  = 2
	contextCompression = 3
	contextNetName     = 5
	contextSigning     = 8
)

// contexts reads a list of negotiate contexts.
func (c *Conn) contexts(side int, m *command2, off, count int, answer bool, h Handler) {
	n := &c.s.agreed
	for i := 0; i < count; i++ {
		if off < headerSize2+36 || off+8 > m.length {
			h.Anomaly(side, BadContext, off)
			return
		}
		if off+8 > len(m.b) {
			return
		}
		typ, size := binary.LittleEndian.Uint16(m.b[off:]), int(binary.LittleEndian.Uint16(m.b[off+2:]))
		if off+8+size > m.length {
			h.Anomaly(side, BadContext, off)
			return
		}
		if off+8+size > len(m.b) {
			return
		}
		v := m.b[off+8 : off+8+size]
		word := func(i int) uint16 {
			if i+2 > len(v) {
				return 0
			}
			return binary.LittleEndian.Uint16(v[i:])
		}
		switch {
		case typ == contextNetName && !answer:
			c.s.name = appendUTF16(c.s.name[:0], v)
			n.NetName = string(bounded(c.s.name))
		case !answer:
		case typ == contextPreauth:
			n.Preauth = word(4)
		case typ == contextEncryption:
			n.Cipher = word(2)
		case typ == contextCompression:
			n.Compression = word(8)
		case typ == contextSigning:
			n.Signing, n.HasSigning = word(2), true
		}
		off += (8 + size + 7) &^ 7
	}
}

// transform passes over an encrypted message, MS-SMB2 2.2.41.
func (c *Conn) transform(side int, d *half, b []byte, cut bool, h Handler) int {
	if len(b) < transformSize {
		if d.frame < transformSize {
			h.Anomaly(side, ShortMessage, 0)
			return d.pass(b)
		}
		if cut {
			return d.pass(b)
		}
		return 0
	}
	c.messages++
	id := binary.LittleEndian.Uint64(b[44:])
	q := c.session(side, Version2, id, h)
	client, known := c.Client()
	if c.cfg.Messages {
		t := &c.s.msg
		*t = Message{Version: VersionTransform, Session: id, Length: binary.LittleEndian.Uint32(b[36:]), Response: known && side != client, Chain: d.chain}
		h.Message(t)
	}
	c.cannotRead(q, side == client, Encrypted, h)
	return d.pass(b)
}

// compressed passes over a compressed message, MS-SMB2 2.2.42.
func (c *Conn) compressed(side int, d *half, b []byte, cut bool, h Handler) int {
	if len(b) < compressionSize {
		if d.frame < compressionSize {
			h.Anomaly(side, ShortMessage, 0)
			return d.pass(b)
		}
		if cut {
			return d.pass(b)
		}
		return 0
	}
	c.messages++
	client, known := c.Client()
	if c.cfg.Messages {
		t := &c.s.msg
		*t = Message{Version: VersionCompression, Length: binary.LittleEndian.Uint32(b[4:]), Response: known && side != client, Chain: d.chain}
		h.Message(t)
	}
	c.cannotRead(&c.s.conn, side == client, Compressed, h)
	return d.pass(b)
}

// cannotRead tells once a session and direction.
func (c *Conn) cannotRead(q *Session, fromClient bool, what Opacity, h Handler) {
	way := toClient
	if fromClient {
		way = toServer
	}
	if bit := uint8(1) << what; q.opaque[way]&bit == 0 {
		q.opaque[way] |= bit
		h.Opaque(q, fromClient, what)
	}
}
