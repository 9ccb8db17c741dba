package dcerpc

import "unsafe"

// Handler is told what an association carries, in the order of the bytes.
// Pointers and all that they lead to are borrowed until the method returns.
type Handler interface {
	// PDU tells of each whole PDU as it ends, with Config.Messages only. The
	// interface is that of its presentation context, or of the call it
	// belongs to.
	PDU(side int, p *PDU, iface Syntax, known bool)
	// Verifier tells of the token of a PDU that authenticates: a bind, an
	// alter_context, an answer to one of them, an auth3. It comes before what
	// else is told of the PDU.
	Verifier(side int, p *PDU)
	// Negotiation tells of a bind or alter_context and its answer, or of the
	// end without one.
	Negotiation(n *Negotiation)
	// Request tells that a request is whole, where stub bytes are wanted of it.
	Request(c *Call)
	// Call tells of a request and its answer, or of the end without one.
	Call(c *Call)
	// Anomaly tells of what is wrong, and where in the PDU that side sent.
	Anomaly(side int, a Anomaly, offset int)
}

// Config is what associations share. It is only read.
type Config struct {
	Messages    bool // tell of each PDU
	MaxCalls    int  // calls waiting for an answer; 256 if 0
	MaxContexts int  // presentation contexts; 256 if 0
	MaxStub     int  // stub bytes kept a call and direction; four times that for all calls; 64 KiB if 0
	// Stubs tells how many stub bytes of an operation to keep, 0 for none. The
	// interface is the zero UUID where it is not known. nil keeps none.
	Stubs func(iface UUID, opnum uint16) int
	// PDU is where PDUs are decoded, one after the other. Associations that one
	// goroutine feeds may share it, so that it stays in the cache; if nil, each
	// has its own.
	PDU *PDU
}

func (c *Config) maxCalls() int { return orElse(c.MaxCalls, 256) }

func (c *Config) maxContexts() int { return orElse(c.MaxContexts, 256) }

func (c *Config) maxStub() int { return orElse(c.MaxStub, 64<<10) }

func orElse(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

const (
	// maxPending bounds the binds and alter_contexts that wait. Windows has one
	// at a time.
	maxPending = 4
	// manyFragments are more than a call of 16 MiB needs at the 4,280 bytes of
	// Samba. Coalescing fragments without end is how CVE-2022-26809 and its kin
	// overflow a length.
	manyFragments = 4096
	// tinyStub is the stub of a fragment that is smaller than its header. A
	// runtime fills fragments up to 1,432 bytes at least (C706 12.6.3.1,
	// MustRecvFragSize); a single short one may end a chunk of a pipe, two in
	// one call are cut by hand.
	tinyStub = 24
	// keptContexts is how many context items an idle association keeps.
	keptContexts = 16
)

// Assoc is one association: what two byte streams, the sides 0 and 1, say to
// each other. Which of them is the client follows from the PDUs.
//
// Presentation contexts are kept by id. A bind or alter_context waits until the
// answer of the same call id comes from the other side; result i of the answer
// belongs to context i of the request. What is accepted replaces what its id
// meant before, what is rejected leaves it, a bind_nak clears all. Calls are
// paired by call id, the newest that waits first.
//
// The zero value wants a Reset; after End, another. It must not be copied. It is
// small until the first PDU, about 2 KB with it, and bounded: whatever is sent,
// with the default Config not more than about 1 MB, a quarter of it stubs.
type Assoc struct {
	cfg   *Config
	s     *state // nil before the first PDU
	votes int32  // above 0: side 0 is the client; below 0: side 1
	sync  [2]syncState
	seen  [2]bool // a PDU came from the side
	lost  [2]bool // bytes of the side are missing
	began bool    // the first PDU was seen
	whole bool    // and nothing before it, and no gap since
	start bool    // the caller vouches for that
	// Byte order of each side's first PDU: 0 unknown, 1 little, 2 big.
	order [2]uint8
	// told are the anomalies that are told once an association.
	told uint64
	// limit is the longest PDU that the other end of a side takes; 0 unknown.
	limit [2]uint16
	bound bool // a bind was answered with bind_ack
	full  bool // contexts were evicted
	pdus  uint64
	early [4]early // answers that came before what they answer, a ring
	turn  uint8    // next place of it
}

// early is an answer to nothing that was seen by then.
type early struct {
	id   uint32
	side uint8 // of the answer
	set  bool
}

// note remembers an answer that answers nothing, and tells whether that is odd:
// where the other side was never seen, it is the capture that lacks it. Captures
// of several queues have an answer before its question.
func (a *Assoc) note(side int, id uint32) (odd bool) {
	a.early[a.turn&3] = early{id, uint8(side), true}
	a.turn++
	return a.whole && a.seen[side^1]
}

// answered tells whether what side sends with a call id was answered already.
func (a *Assoc) answered(side int, id uint32) bool {
	for i := range a.early {
		if e := &a.early[i]; e.set && e.id == id && int(e.side) != side {
			e.set = false
			return true
		}
	}
	return false
}

// syncState tells how a side's stream stands to PDU boundaries.
type syncState uint8

const (
	synced    syncState = iota // the next byte begins a PDU
	adrift                     // it need not
	candidate                  // it may: the last segment began like a PDU but was too short to tell
)

// state is what an association needs once it carries PDUs. Its memory is kept
// over Reset.
type state struct {
	own      *PDU // iff Config has none
	contexts []context
	last     int // index of the context used last
	oldest   int // index of the context evicted next
	pending  []*Negotiation
	spare    []*Negotiation
	keys     []callKey // oldest first
	calls    []*call
	free     []uint16
	stubs    int // stub bytes kept
	first    call

	contextMemory [4]context
	keyMemory     [4]callKey
	freeMemory    [4]uint16
	callMemory    [keptCalls]*call
	pendingMemory [1]*Negotiation
}

// context is a presentation context and the server's last word on it.
type context struct {
	iface Syntax
	id    uint16
	word  word
	ndr64 bool
}

// Reset makes the association new, keeping memory of modest size.
func (a *Assoc) Reset(cfg *Config) {
	s := a.s
	*a = Assoc{cfg: cfg, s: s}
	if s != nil {
		s.reset()
	}
}

func (s *state) reset() {
	for i := len(s.keys) - 1; i >= 0; i-- {
		s.close(i)
	}
	for _, n := range s.pending {
		s.release(n)
	}
	s.pending = s.pending[:0]
	if cap(s.contexts) > keptContexts {
		s.contexts = s.contextMemory[:0]
	}
	s.contexts = s.contexts[:0]
	s.last, s.oldest, s.stubs = 0, 0, 0
}

// FromStart says that the streams are seen from their first byte, so that a
// context of which no bind tells was never negotiated. Without it that is
// believed of an association whose first PDU is a bind.
func (a *Assoc) FromStart() { a.start = true }

// Client tells which side is the client, as the types of the PDUs say; known
// is false before they say anything, and while they contradict each other.
func (a *Assoc) Client() (side int, known bool) {
	if a.votes < 0 {
		return 1, true
	}
	return 0, a.votes > 0
}

// Excess tells how many bytes the association holds beyond what every one of
// them does, roughly.
func (a *Assoc) Excess() int {
	s := a.s
	if s == nil {
		return 0
	}
	n := 0
	if len(s.calls) > keptCalls {
		n = len(s.calls) * int(unsafe.Sizeof(call{}))
	}
	if s.stubs > keptCalls*keptStub {
		n += s.stubs
	}
	if cap(s.contexts) > keptContexts {
		n += cap(s.contexts) * int(unsafe.Sizeof(context{}))
	}
	for _, p := range s.pending {
		n += itemMemory(p.Contexts, p.syntaxes)
	}
	return n
}

// itemMemory is what context items take, if it is more than an idle association
// would keep.
func itemMemory(items []ContextItem, syntaxes []Syntax) int {
	if cap(items) <= keptContexts && cap(syntaxes) <= 4*keptContexts {
		return 0
	}
	return cap(items)*int(unsafe.Sizeof(ContextItem{})) + cap(syntaxes)*int(unsafe.Sizeof(Syntax{}))
}

// PDUs counts the PDUs since Reset, also those that the snap length cut.
func (a *Assoc) PDUs() uint64 { return a.pdus }

// Data reads the PDUs at the front of b, bytes of one side, and returns how
// many bytes they had. What is left is the beginning of a PDU and is to be
// given again with more behind it. boundary says that b begins where a segment
// does. After a gap, and after bytes that are no PDU, all is consumed until a
// segment begins like one. b is borrowed.
func (a *Assoc) Data(side int, b []byte, boundary bool, at Point, h Handler) (used int) {
	side &= 1
	for used < len(b) {
		rest := b[used:]
		if a.sync[side] != synced {
			if used != 0 || !boundary && a.sync[side] != candidate {
				return len(b)
			}
			switch Probe(rest) {
			case No:
				a.sync[side] = adrift
				return len(b)
			case More:
				a.sync[side] = candidate
				return 0
			}
			a.sync[side] = synced
		}
		var hd Header
		if len(rest) < HeaderSize {
			return used
		}
		an := hd.Decode(rest)
		if an.Lost() {
			offset := 0
			if an == BadFragLength {
				offset = 8
			}
			h.Anomaly(side, an, offset)
			a.miss(side)
			return len(b)
		}
		n := int(hd.FragLength)
		if len(rest) < n {
			return used
		}
		if a.s == nil {
			a.s = newState()
		}
		p := a.scratch()
		p.reset(&hd, an)
		p.body(rest[:n:n])
		a.pdu(side, p, at, h)
		used += n
	}
	return used
}

func newState() *state {
	s := new(state)
	s.contexts = s.contextMemory[:0]
	s.keys = s.keyMemory[:0]
	s.free = s.freeMemory[:0]
	s.calls = s.callMemory[:0]
	s.pending = s.pendingMemory[:0]
	return s
}

// scratch gives the place where PDUs are decoded.
func (a *Assoc) scratch() *PDU {
	if a.cfg.PDU != nil {
		return a.cfg.PDU
	}
	if a.s.own == nil {
		a.s.own = new(PDU)
	}
	return a.s.own
}

// Cut takes the captured part of a PDU that Data left unused and whose end will
// never come, since the snap length cut its frame. Its header counts, and of its
// body what is whole.
func (a *Assoc) Cut(side int, b []byte, at Point, h Handler) {
	side &= 1
	var hd Header
	if a.sync[side] == adrift || len(b) < HeaderSize || Probe(b) != Match || hd.Decode(b).Lost() {
		return
	}
	if len(b) >= int(hd.FragLength) {
		return
	}
	if a.s == nil {
		a.s = newState()
	}
	p := a.scratch()
	p.decodeCut(&hd, b)
	a.pdu(side, p, at, h)
}

// Gap says that bytes of a side will never come. What was left of a PDU before
// them is gone too.
func (a *Assoc) Gap(side int, _ Point, _ Handler) { a.miss(side & 1) }

// miss notes that bytes of a side are missing from here on.
func (a *Assoc) miss(side int) {
	a.sync[side] = adrift
	a.lost[side] = true
	a.whole = false
	s := a.s
	if s == nil {
		return
	}
	for i := range s.keys {
		k := &s.keys[i]
		c := s.calls[k.slot]
		switch {
		case int(k.side) != side:
			c.missed = true
			if c.replying {
				c.noReply = true
			}
		case !c.whole:
			c.noRequest = true
		}
	}
	for _, n := range s.pending {
		if int(n.side) != side {
			n.missed = true
		}
	}
}

// End tells of what still waits: unanswered when the streams have ended,
// unknown when only the view of them has, or when the answer may have been
// among missing bytes.
func (a *Assoc) End(at Point, ended bool, h Handler) {
	s := a.s
	if s == nil {
		return
	}
	for len(s.pending) > 0 {
		n := s.pending[0]
		st := NegotiationUnknown
		if ended && !n.missed {
			st = NegotiationUnanswered
		}
		a.conclude(0, st, h)
	}
	for len(s.keys) > 0 {
		c := s.calls[s.keys[0].slot]
		st := CallUnknown
		if ended && !c.missed && !c.replying {
			st = CallUnanswered
		}
		a.finish(0, st, h)
	}
}

// once tells of an anomaly the first time that the association has it.
func (a *Assoc) once(side int, an Anomaly, offset int, h Handler) {
	if bit := uint64(1) << an; a.told&bit == 0 {
		a.told |= bit
		h.Anomaly(side, an, offset)
	}
}

// pdu takes one whole PDU.
func (a *Assoc) pdu(side int, p *PDU, at Point, h Handler) {
	if !a.began {
		a.began = true
		a.whole = (a.start || p.Type == TypeBind) && !a.lost[0] && !a.lost[1]
	}
	a.seen[side] = true
	a.pdus++
	switch p.Type {
	case TypeRequest:
		if p.short {
			a.tell(side, p, nil, h)
		} else {
			a.request(side, p, at, h)
		}
	case TypeResponse, TypeFault:
		if p.short {
			a.tell(side, p, nil, h)
		} else {
			a.reply(side, p, at, h)
		}
	case TypeBind, TypeAlterContext:
		a.tell(side, p, nil, h)
		if !p.short {
			a.offer(side, p, at, h)
		}
	case TypeBindAck, TypeAlterContextResp:
		a.tell(side, p, nil, h)
		if !p.short {
			a.answer(side, p, at, h)
		}
	case TypeBindNak:
		a.tell(side, p, nil, h)
		if !p.short {
			a.nak(side, p, at, h)
		}
	case TypeCOCancel, TypeOrphaned:
		i := a.s.find(p.CallID, side, anyCall)
		if i < 0 {
			a.tell(side, p, nil, h)
			break
		}
		c := a.s.calls[a.s.keys[i].slot]
		a.tell(side, p, c, h)
		if p.Type == TypeCOCancel {
			c.Cancelled = true
		} else {
			c.Orphaned = true
		}
	default:
		a.tell(side, p, nil, h)
	}
}

// tell tells of the PDU itself, of its call if it has one, and what of it can
// be judged without its place in the association.
func (a *Assoc) tell(side int, p *PDU, c *call, h Handler) {
	client, known := p.Type.FromClient()
	wrong := false
	if known {
		vote := int32(1)
		if client != (side == 0) {
			vote = -1
		}
		wrong = a.votes*vote <= -2
		if v := a.votes + vote; v < 1<<20 && v > -1<<20 {
			a.votes = v
		}
	}
	if a.cfg.Messages {
		if c != nil {
			h.PDU(side, p, c.Interface, c.Known)
		} else {
			h.PDU(side, p, Syntax{}, false)
		}
	}
	if p.anomaly != 0 {
		h.Anomaly(side, p.anomaly, p.offset)
	}
	if len(p.Auth.Value) != 0 && p.Type.authenticates() {
		h.Verifier(side, p)
	}
	if wrong {
		h.Anomaly(side, WrongDirection, 2)
	}
	// A server may answer each PDU in the order of its request, and sends
	// bind_ack in its own.
	if client {
		order := uint8(1)
		if p.BigEndian {
			order = 2
		}
		if a.order[side] != order {
			if a.order[side] != 0 {
				a.once(side, ByteOrderChanged, 4, h)
			}
			a.order[side] = order
		}
	}
	if a.limit[side] != 0 && p.FragLength > a.limit[side] {
		a.once(side, FragmentTooLong, 8, h)
	}
}
