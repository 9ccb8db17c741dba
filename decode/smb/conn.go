package smb

import (
	"bytes"
	"unsafe"

	"kmswatch/decode/dcerpc"
)

// Handler is told what a connection carries, in the order of the bytes. All
// that pointers lead to is borrowed until the method returns, but for what
// Session, Tree and Pipe say of themselves.
type Handler interface {
	// Message tells of each command, with Config.Messages only, before what
	// comes of it.
	Message(m *Message)
	// Session tells that a session setup ended, or a session.
	Session(s *Session)
	// Token gives a security buffer of a setup as it is, and that of the
	// server's NEGOTIATE response with the session of ID 0, which stands for the
	// connection. It comes before the Session that it leads to.
	Token(s *Session, fromClient bool, b []byte)
	// Tree tells that a tree connect ended.
	Tree(t *Tree)
	// Open tells that the open of a named pipe ended, or that a pipe was found
	// by its bytes.
	Open(p *Pipe)
	// Data gives the bytes of a pipe in order, and takes how many were used. The
	// rest comes again with more behind it. boundary tells that b begins where
	// the data of a message do.
	Data(p *Pipe, fromClient bool, b []byte, boundary bool, at dcerpc.Point) (used int)
	// PipeGap tells that bytes of the pipe are missing, also those not used.
	PipeGap(p *Pipe, fromClient bool)
	// PipeEnd tells that a pipe was closed, or with over false that no more will
	// be seen of it. It comes once for each granted Open.
	PipeEnd(p *Pipe, over bool)
	// Opaque tells, once a session and direction, that its messages cannot be
	// read. What is compressed names no session: it is told of the one of ID 0.
	Opaque(s *Session, fromClient bool, what Opacity)
	// Anomaly tells of what is wrong, and where behind the beginning of the SMB
	// header that side sent.
	Anomaly(side int, a Anomaly, offset int)
}

// Config is what connections share. It is only read.
type Config struct {
	Messages    bool // tell of each message
	MaxSessions int  // 64 if 0
	MaxTrees    int  // 256 if 0
	MaxOpens    int  // pipes; 256 if 0
	MaxPending  int  // requests waiting for an answer; 1,024 if 0
	MaxHeld     int  // bytes of pipes that the handler has not used, together; 512 KiB if 0, at least 128 KiB
}

func orElse(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

func (c *Config) maxSessions() int { return orElse(c.MaxSessions, 64) }
func (c *Config) maxTrees() int    { return orElse(c.MaxTrees, 256) }
func (c *Config) maxOpens() int    { return orElse(c.MaxOpens, 256) }
func (c *Config) maxPending() int  { return max(orElse(c.MaxPending, 1024), fewPending) }
func (c *Config) maxHeld() int     { return max(orElse(c.MaxHeld, 512<<10), 2*maxWay) }

const (
	// maxWhole is how much of a message is waited for where its fields lie
	// anywhere in it: a little more than a security buffer or a transaction of
	// SMB 1 can be, and less than a reassembler holds.
	maxWhole = 68 << 10
	// maxWay is how many bytes of one direction of a pipe are kept: the longest
	// PDU of DCE/RPC, 65,535, fits.
	maxWay = 64 << 10
	// keptWay is how large a buffer of an idle pipe may be.
	keptWay = 8 << 10
	// fewPending is the size of the table of requests to begin with, and how
	// many places of it a request may take.
	fewPending = 8
	// keptPending, keptOpens are how large tables of an idle Conn may be.
	keptPending = 64
	keptOpens   = 32
	// fewOpens is how many pipes keep the memory of what the handler had not
	// used.
	fewOpens = 16
	// keptSpare is how many pipes wait for the next open.
	keptSpare = 4
)

// Conn is one TCP connection: what two byte streams, the sides 0 and 1, say to
// each other. Which of them is the client follows from the headers.
//
// Responses are matched to requests by message id (SMB 1: MID and PID). A
// session, a tree connect, an open counts once the server grants it; what a
// compound writes to the pipe that it opens is kept until then.
//
// The zero value wants a Reset; after End, another. It must not be copied. It is
// small until the first message, about 4 KB with it, and bounded: whatever is
// sent, with the default Config not more than about 3 MB, most of it names as
// long as they may be and half a megabyte of what pipes wait with.
type Conn struct {
	cfg      *Config
	s        *state // nil before the first message
	votes    int32  // above 0: side 0 is the client; below 0: side 1
	began    bool   // a message was seen
	netbios  bool   // a session was asked for: lengths are of 17 bits
	half     [2]half
	told     uint64 // anomalies that are told once a connection
	messages uint64
	evicted  uint64
}

// syncState tells how a side's stream stands to message boundaries.
type syncState uint8

const (
	synced syncState = iota // the next byte begins a packet, or goes on with one
	adrift                  // bytes are missing: wait for a segment that begins like one
	maybe                   // the last segment may have begun like one
	strewn                  // bytes that are no message: a packet may begin anywhere
)

// half is where one side's stream stands.
type half struct {
	sync  syncState
	seen  bool
	lost  bool // bytes are missing, or the stream was not seen from its beginning
	fresh bool // pay.data begins with the data of a message
	chain int  // commands of the message under way
	frame int  // bytes of the session message that are still to be decoded
	// unused is how many bytes the last Data left.
	unused int
	pay    payload
	// raw says that a message without a header may come, of rawPipe if that is
	// not nil: SMB_COM_READ_RAW and SMB_COM_WRITE_RAW of SMB 1.
	raw     bool
	rawPipe *Pipe
	rawID   uint32

	// What a related operation inherits, MS-SMB2 3.3.5.2.7.2.
	session uint64
	tree    uint32
	file    FileID
	pipe    *Pipe
	pipeID  uint32
}

// payload is what follows a message of which all that matters was decoded:
// bytes to pass over, bytes of a pipe, bytes to pass over.
type payload struct {
	before, data, after int
	pipe                *Pipe
	id                  uint32
	way                 uint8
}

// state is what a connection needs once it carries messages. Its memory is kept
// over Reset.
type state struct {
	sessions []*Session
	trees    []*Tree
	opens    []*Pipe // oldest first
	spare    []*Pipe
	lastTree *Tree
	lastPipe *Pipe
	requests []request
	serial   uint32 // of the newest request
	pipes    uint32 // ids given
	held     int    // bytes
	dialects []byte // that a client of SMB 1 offers, as it does
	conn     Session
	agreed   Negotiation
	msg      Message
	name     []byte // scratch

	firstRequests [fewPending]request
	sessionMemory [2]*Session
	treeMemory    [2]*Tree
	openMemory    [4]*Pipe
}

// request is one that waits for its answer.
type request struct {
	id        uint64
	async     uint64
	sessionID uint64
	session   *Session
	tree      *Tree
	pipe      *Pipe
	at        dcerpc.Point
	file      FileID
	pipeID    uint32
	treeID    uint32
	control   uint32
	serial    uint32
	left      int32 // SMB 1: bytes of a transaction that are still to come
	seen      int32 // SMB 1: bytes of its answer that came
	command   uint16
	function  uint16
	version   uint8
	side      uint8
	live      bool
	isAsync   bool
	makes     bool // pipe or tree is what it asks for
	disk      bool // of a file that is none of ours
	chains    bool // SMB 1: another command is chained to it
	missed    bool // the other side lost bytes since
}

func newState() *state {
	s := new(state)
	s.requests = s.firstRequests[:]
	s.sessions = s.sessionMemory[:0]
	s.trees = s.treeMemory[:0]
	s.opens = s.openMemory[:0]
	return s
}

// Reset makes the connection new, keeping memory of modest size.
func (c *Conn) Reset(cfg *Config) {
	s := c.s
	*c = Conn{cfg: cfg, s: s}
	if s == nil {
		return
	}
	if len(s.requests) > keptPending {
		s.requests = s.firstRequests[:]
	}
	clear(s.requests)
	clear(s.firstRequests[:])
	for _, p := range s.opens {
		s.release(p)
	}
	clear(s.sessions)
	clear(s.trees)
	clear(s.opens)
	if cap(s.sessions) > keptOpens {
		s.sessions = s.sessionMemory[:]
	}
	if cap(s.trees) > keptOpens {
		s.trees = s.treeMemory[:]
	}
	if cap(s.opens) > keptOpens {
		s.opens = s.openMemory[:]
	}
	s.sessions, s.trees, s.opens = s.sessions[:0], s.trees[:0], s.opens[:0]
	s.lastTree, s.lastPipe = nil, nil
	s.serial, s.pipes, s.held = 0, 0, 0
	s.conn, s.agreed, s.msg = Session{}, Negotiation{}, Message{}
	s.dialects = s.dialects[:0]
}

// Client tells which side is the client, as the headers say; known is false
// before they say anything, and while they contradict each other.
func (c *Conn) Client() (side int, known bool) {
	if c.votes < 0 {
		return 1, true
	}
	return 0, c.votes > 0
}

// Messages counts the commands since Reset.
func (c *Conn) Messages() uint64 { return c.messages }

// Evicted counts the sessions, trees, opens and requests that made room for
// newer ones.
func (c *Conn) Evicted() uint64 { return c.evicted }

// Negotiated gives what was agreed on, nil before the first message. It is
// borrowed until the next call of a method of c.
func (c *Conn) Negotiated() *Negotiation {
	if c.s == nil {
		return nil
	}
	return &c.s.agreed
}

// Skipping tells how many bytes that come next from a side are of no interest:
// file data. A source may drop them, if it tells of the gap.
func (c *Conn) Skipping(side int) int {
	p := &c.half[side&1].pay
	if p.data > 0 {
		return p.before
	}
	return p.before + p.after
}

// Excess tells how many bytes the connection holds beyond what every one of
// them does, roughly.
func (c *Conn) Excess() int {
	s := c.s
	if s == nil {
		return 0
	}
	n := 0
	if len(s.requests) > fewPending { // each may ask for a pipe
		n = len(s.requests) * int(unsafe.Sizeof(request{})+unsafe.Sizeof(Pipe{}))
	}
	if len(s.sessions) > 2 {
		n += len(s.sessions) * (int(unsafe.Sizeof(Session{})) + maxName/2)
	}
	if len(s.trees) > 4 {
		n += len(s.trees) * (int(unsafe.Sizeof(Tree{})) + maxName/4)
	}
	if len(s.opens) > 4 {
		n += len(s.opens) * (int(unsafe.Sizeof(Pipe{})) + maxName/8)
	}
	if s.held > keptWay {
		n += s.held
	}
	return n
}

// Data reads the messages at the front of b, bytes of one side, and returns how
// many bytes it has done with. What is left is the beginning of a message and
// is to be given again with more behind it. boundary says that b begins where a
// segment does. After a gap all is consumed until a segment begins like SMB;
// after bytes that are no message, until a message does. b is borrowed.
func (c *Conn) Data(side int, b []byte, boundary bool, at dcerpc.Point, h Handler) (used int) {
	side &= 1
	d := &c.half[side]
	d.seen = true
	for used < len(b) {
		rest := b[used:]
		if d.pay.before|d.pay.data|d.pay.after != 0 {
			used += c.body(d, rest, at, h)
			continue
		}
		n := 0
		switch {
		case d.sync != synced:
			n = c.find(d, rest, boundary && used == 0)
			if n == 0 && d.sync == synced {
				continue
			}
		case d.frame == 0:
			n = c.packet(side, d, rest, h)
		default:
			n = c.message(side, d, rest[:min(len(rest), d.frame)], false, at, h)
		}
		if n == 0 {
			break
		}
		used += n
	}
	d.unused = len(b) - used
	return used
}

// body takes bytes of the payload.
func (c *Conn) body(d *half, b []byte, at dcerpc.Point, h Handler) int {
	p := &d.pay
	if p.before > 0 {
		n := min(p.before, len(b))
		p.before -= n
		return n
	}
	if p.data > 0 {
		n := min(p.data, len(b))
		p.data -= n
		fresh := d.fresh
		d.fresh = false
		if p.pipe.ID == p.id && p.pipe.phase != gone {
			c.carry(p.pipe, int(p.way), b[:n:n], fresh, at, h)
		}
		return n
	}
	n := min(p.after, len(b))
	p.after -= n
	return n
}

// find looks for the beginning of a packet, and gives how many bytes are to be
// dropped.
func (c *Conn) find(d *half, b []byte, boundary bool) int {
	if d.sync == strewn {
		const head = framing + 4
		for from := 0; ; {
			i := bytes.Index(b[from:], []byte("SMB"))
			if i < 0 {
				break
			}
			from += i + 3
			if start := from - head; start >= 0 {
				switch probe(b[start:]) {
				case Match:
					d.sync = synced
					return start
				case More:
					return start
				}
			}
		}
		return max(len(b)-(head-1), 0)
	}
	if !boundary && d.sync != maybe {
		return len(b)
	}
	switch Probe(b) {
	case More:
		d.sync = maybe
		return 0
	case Match:
		d.sync = synced
		return 0
	}
	d.sync = adrift
	return len(b)
}

// packet reads a session service header, RFC 1002 4.3.1 and MS-SMB2 2.1.
func (c *Conn) packet(side int, d *half, b []byte, h Handler) int {
	if len(b) < framing {
		if b[0] != sessionMessage && (b[0] < sessionRequest || b[0] > keepAlive) {
			return c.stray(side, d, h)
		}
		return 0
	}
	n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	switch b[0] {
	case sessionMessage:
		if c.netbios {
			n &= 1<<17 - 1
		}
		d.frame, d.chain = n, 0
		return framing
	case sessionRequest:
		c.netbios = true
		c.vote(side, true)
	case positiveResponse, negativeResponse, retargetResponse:
		c.netbios = true
		c.vote(side, false)
	case keepAlive:
	default:
		return c.stray(side, d, h)
	}
	d.pay.before = n & (1<<17 - 1)
	return framing
}

// stray tells of bytes that are no message, and drops the first.
func (c *Conn) stray(side int, d *half, h Handler) int {
	h.Anomaly(side, NotSMB, 0)
	c.miss(side, h)
	d.sync, d.frame = strewn, 0
	return 1
}

// vote notes what a header says about who is the client, and tells whether that
// contradicts what was said before.
func (c *Conn) vote(side int, fromClient bool) (wrong bool) {
	v := int32(1)
	if fromClient != (side == 0) {
		v = -1
	}
	wrong = c.votes*v <= -2
	if n := c.votes + v; n < 1<<20 && n > -1<<20 {
		c.votes = n
	}
	return wrong
}

// message decodes the command at the front of b, of which more may follow in the
// session message up to d.frame. It gives how many bytes it has done with and
// puts what follows into d.pay; 0 asks for more. With cut there is no more.
func (c *Conn) message(side int, d *half, b []byte, cut bool, at dcerpc.Point, h Handler) int {
	if c.s == nil {
		c.s = newState()
		c.s.conn.ExtendedSec = true
	}
	if first := min(14, d.frame); len(b) < first { // a command code of either version
		if cut {
			return d.pass(b)
		}
		return 0
	}
	if len(b) >= 4 && string(b[1:4]) == "SMB" {
		if !c.began {
			c.began = true
			if len(b) < 14 || b[0] == 0xff && b[4] != cmd1Negotiate || b[0] == 0xfe && (b[12] != Negotiate2 || b[13] != 0) {
				// Requests may wait that were not seen.
				c.half[0].lost, c.half[1].lost = true, true
			}
		}
		switch b[0] {
		case 0xff:
			d.raw = false
			return c.message1(side, d, b, cut, at, h)
		case 0xfe:
			return c.message2(side, d, b, cut, at, h)
		case 0xfd:
			return c.transform(side, d, b, cut, h)
		case 0xfc:
			return c.compressed(side, d, b, cut, h)
		}
	}
	if d.raw {
		d.raw = false
		p := d.rawPipe
		if p == nil || p.ID != d.rawID || p.phase == gone {
			return d.pass(b)
		}
		n := d.frame
		way := toClient
		if client, _ := c.Client(); side == client {
			way = toServer
		}
		d.frame, d.fresh = 0, true
		d.pay = payload{data: n, pipe: p, id: p.ID, way: uint8(way)}
		return c.body(d, b, at, h)
	}
	if d.chain > 0 {
		h.Anomaly(side, BadNextCommand, 0)
		return d.pass(b)
	}
	return c.stray(side, d, h)
}

// pass passes over what is left of a session message.
func (d *half) pass(b []byte) int {
	n := min(len(b), d.frame)
	d.pay = payload{before: d.frame - n}
	d.frame = 0
	return n
}

// take leaves a command of length bytes, whose front is b: the bytes from off to
// off+n are of p, if there is one. It gives how many bytes of b are done with.
func (d *half) take(b []byte, length, off, n int, p *Pipe, way int) (used int) {
	d.frame -= length
	d.chain++
	d.pay = payload{}
	if p == nil || n <= 0 {
		used = min(len(b), length)
		d.pay.before = length - used
		return used
	}
	used = min(len(b), off)
	d.pay = payload{off - used, n, length - off - n, p, p.ID, uint8(way)}
	d.fresh = true
	return used
}

// Cut takes the captured part of a message that Data left unused and whose end
// will never come, since the snap length cut its frame. What of it is whole
// counts. A Gap of what is missing is to follow.
func (c *Conn) Cut(side int, b []byte, at dcerpc.Point, h Handler) {
	side &= 1
	d := &c.half[side]
	if d.sync != synced || d.pay.before|d.pay.data|d.pay.after != 0 {
		return
	}
	if d.frame == 0 {
		if len(b) <= framing || b[0] != sessionMessage {
			return
		}
		b = b[c.packet(side, d, b, h):]
	}
	n := c.message(side, d, b[:min(len(b), d.frame)], true, at, h)
	for n > 0 && n < len(b) && d.pay.before|d.pay.data|d.pay.after != 0 {
		n += c.body(d, b[n:], at, h)
	}
	d.unused = len(b) - n
}

// Gap says that n bytes of a side will never come, an unknown number if n <= 0.
// What was left of a message before them is gone too. Where they are known to
// be file data, or the end of one message, nothing else is lost.
func (c *Conn) Gap(side int, n int64, _ dcerpc.Point, h Handler) {
	side &= 1
	d := &c.half[side]
	missing := n + int64(d.unused)
	d.unused = 0
	if n > 0 && d.sync == synced {
		p := &d.pay
		for _, part := range [...]*int{&p.before, &p.data, &p.after} {
			took := int(min(missing, int64(*part)))
			if took == 0 {
				continue
			}
			*part -= took
			missing -= int64(took)
			if part == &p.data {
				d.fresh = false
				if p.pipe.ID == p.id && p.pipe.phase != gone {
					c.gap(p.pipe, int(p.way), h)
				}
			}
		}
		if missing == 0 {
			return
		}
		if missing <= int64(d.frame) {
			// Commands are lost, but it is known where the next message begins.
			c.miss(side, h)
			d.pay = payload{before: d.frame - int(missing)}
			d.frame = 0
			return
		}
	}
	c.miss(side, h)
	d.sync, d.frame, d.pay = adrift, 0, payload{}
}

// miss notes that messages of a side are missing from here on.
func (c *Conn) miss(side int, h Handler) {
	c.half[side].lost = true
	s := c.s
	if s == nil {
		return
	}
	for i := range s.requests {
		if r := &s.requests[i]; r.live && int(r.side) != side {
			r.missed = true
		}
	}
	client, known := c.Client()
	for _, p := range s.opens {
		for way := range p.way {
			if !known || (way == 0) == (side == client) {
				c.gap(p, way, h)
			}
		}
	}
}

// once tells of an anomaly the first time that the connection has it.
func (c *Conn) once(side int, a Anomaly, offset int, h Handler) {
	if bit := uint64(1) << a; c.told&bit == 0 {
		c.told |= bit
		h.Anomaly(side, a, offset)
	}
}

// End tells of what still waits, and ends the pipes: over says that the streams
// have ended, and not only the view of them.
func (c *Conn) End(_ dcerpc.Point, over bool, h Handler) {
	s := c.s
	if s == nil {
		return
	}
	for {
		var r *request
		for i := range s.requests {
			if q := &s.requests[i]; q.live && (r == nil || int32(q.serial-r.serial) < 0) {
				r = q
			}
		}
		if r == nil {
			break
		}
		r.live = false
		c.unanswered(r, over && !r.missed, h)
	}
	for len(s.opens) > 0 {
		c.close(s.opens[0], over, h)
	}
}

func (r *request) isSetup() bool {
	if r.version == Version2 {
		return r.command == SessionSetup2
	}
	return r.command == cmd1SessionSetupAndX
}

func (r *request) isTreeConnect() bool {
	if r.version == Version2 {
		return r.command == TreeConnect2
	}
	return r.command == cmd1TreeConnectAndX || r.command == cmd1TreeConnect
}

func (r *request) isOpen() bool {
	if r.version == Version2 {
		return r.command == Create2
	}
	switch r.command {
	case cmd1NTCreateAndX, cmd1OpenAndX, cmd1Open, cmd1Create, cmd1CreateNew:
		return true
	}
	return false
}

// asks tells whether the request opens a pipe and waits with that.
func (r *request) asks() bool {
	return r.makes && r.pipe != nil && r.pipe.ID == r.pipeID && r.pipe.phase == asked
}

// unanswered tells of a request without an answer, if it is one that is told of.
func (c *Conn) unanswered(r *request, over bool, h Handler) {
	st := Unknown
	if over {
		st = Unanswered
	}
	switch {
	case r.session != nil && r.isSetup():
		if r.session.State == Unknown {
			r.session.State = st
			h.Session(r.session)
		}
	case r.makes && r.isTreeConnect():
		r.tree.State = st
		h.Tree(r.tree)
	case r.asks():
		if p := r.pipe; p.Tree != nil {
			p.State = st
			h.Open(p)
		}
		c.s.release(r.pipe)
	}
}
