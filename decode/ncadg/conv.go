package ncadg

import (
	"hash/crc32"
	"unsafe"

	"kmswatch/decode/dcerpc"
)

// Handler is told what a conversation carries, in the order of the datagrams.
// Pointers and all that they lead to are borrowed until the method returns.
type Handler interface {
	// PDU tells of each datagram, with Config.Messages only.
	PDU(side int, p *PDU)
	// Request tells that a request is whole, where stub bytes are wanted of it.
	Request(c *dcerpc.Call)
	// Call tells of a request and its answer, or of the end without one.
	Call(c *dcerpc.Call)
	// Anomaly tells of what is wrong, and where in the datagram that side sent.
	Anomaly(side int, a Anomaly, offset int)
}

// Bounds, where dcerpc.Config has none.
const (
	defaultCalls = 256
	defaultStub  = 64 << 10
	// window is how many fragments ahead of the next one are waited for: a
	// sender has at most a few dozen under way (C706 10.2.6).
	window = 64
	// summed is how many fragments of each direction are remembered well enough
	// to tell a retransmission from a forgery.
	summed = 8
	// recent is how many finished calls are remembered, so that retransmissions
	// are not told again.
	recent = 32
	// again is how long they are remembered, nanoseconds: who still repeats
	// a request after that is told of (C706 appendix K gives up after 30 s).
	again = 30e9
	// keptStub is the most memory that an idle call slot keeps a direction, bytes,
	// and keptCalls how many slots keep it.
	keptStub  = 2048
	keptCalls = 4
)

// Conv is a conversation: what two parties, the sides 0 and 1, say to each other
// in datagrams. It is of one UDP flow, or, since servers may answer from another
// port than was asked, of all flows between two hosts that share the client's
// port. Which side is the client follows from the PDUs.
//
// Of the calls that it tells, CallID is the sequence number, Known is always
// set, Accepted says that the operation was reached, and Opnum is also valid of
// a reply without its request; Flags are those of dcerpc that mean the same.
// A maybe call, which has no answer, ends unanswered with its request; a newer
// request of an activity ends the earlier ones of it. Calls of ConvManager are
// the server's.
//
// The zero value wants a Reset; after End, another. It must not be copied. It is
// small until the first datagram, about 3 KB with it, and bounded.
type Conv struct {
	cfg   *dcerpc.Config
	s     *state // nil before the first datagram
	votes int32  // above 0: side 0 is the client; below 0: side 1
	seen  [2]bool
	told  uint32 // anomalies that are told once
	pdus  uint64
}

// state is what a conversation needs once it has datagrams. Its memory is kept
// over Reset.
type state struct {
	pdu   PDU
	keys  []callKey // oldest first
	calls []*call
	free  []uint16
	stubs int // stub bytes kept
	done  [recent]finished
	turn  uint8 // next place of done
}

// callKey is what is searched for: calls are large.
type callKey struct {
	activity dcerpc.UUID
	seq      uint32
	slot     uint16
	side     uint8 // of the request
}

// call is a Call under way.
type call struct {
	dcerpc.Call
	whole     bool // the request is whole
	broadcast bool // several may answer
	mismatch  bool // told already
	missed    bool // the answer may have come before the request
	keep      int  // stub bytes wanted a direction
	request   assembly
	reply     assembly
}

// finished is what is remembered of a call that was told.
type finished struct {
	activity  dcerpc.UUID
	seq       uint32
	sums      [2]uint32 // of the first fragments of request and reply
	time      int64
	side      uint8
	set       bool
	broadcast bool
	replyOnly bool
}

// Reset makes the conversation new, keeping memory of modest size. Of cfg it
// heeds Messages, MaxCalls, MaxStub and Stubs.
func (v *Conv) Reset(cfg *dcerpc.Config) {
	s := v.s
	*v = Conv{cfg: cfg, s: s}
	if s == nil {
		return
	}
	for i := len(s.keys) - 1; i >= 0; i-- {
		s.close(i)
	}
	if len(s.calls) > keptCalls {
		clear(s.calls[keptCalls:])
		s.calls = s.calls[:keptCalls]
	}
	s.free = s.free[:0]
	for i := len(s.calls) - 1; i >= 0; i-- {
		s.free = append(s.free, uint16(i))
	}
	s.done, s.turn = [recent]finished{}, 0
}

// Client tells which side is the client, as the types of most PDUs say; known
// is false before they say anything, and while they say both alike.
func (v *Conv) Client() (side int, known bool) {
	if v.votes < 0 {
		return 1, true
	}
	return 0, v.votes > 0
}

// PDUs counts the datagrams since Reset.
func (v *Conv) PDUs() uint64 { return v.pdus }

// Excess tells how many bytes the conversation holds beyond what every one of
// them does, roughly.
func (v *Conv) Excess() int {
	s := v.s
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
	return n
}

// Datagram takes a whole datagram that side sent. b is borrowed.
func (v *Conv) Datagram(side int, b []byte, at dcerpc.Point, h Handler) {
	v.take(side&1, b, false, at, h)
}

// Cut takes the captured part of a datagram whose end the snap length cut. Its
// header counts; its stub is not known.
func (v *Conv) Cut(side int, b []byte, at dcerpc.Point, h Handler) {
	v.take(side&1, b, true, at, h)
}

// End tells of what still waits: unanswered when the conversation is over,
// unknown when only the view of it is, or when a part of the answer was seen.
func (v *Conv) End(at dcerpc.Point, over bool, h Handler) {
	s := v.s
	if s == nil {
		return
	}
	for len(s.keys) > 0 {
		c := s.calls[s.keys[0].slot]
		st := dcerpc.CallUnknown
		if over && c.reply.count == 0 && !c.missed {
			st = dcerpc.CallUnanswered
		}
		v.finish(0, st, at, h)
	}
}

func (v *Conv) take(side int, b []byte, cut bool, at dcerpc.Point, h Handler) {
	if v.s == nil {
		v.s = new(state)
	}
	p := &v.s.pdu
	p.decode(b, cut)
	v.pdus++
	if p.anomaly == ShortHeader || p.anomaly == BadVersion {
		if !cut {
			h.Anomaly(side, p.anomaly, p.offset)
		}
		return
	}
	v.vote(side, p)
	v.seen[side] = true
	if v.cfg.Messages {
		h.PDU(side, p)
	}
	if p.anomaly != 0 {
		h.Anomaly(side, p.anomaly, p.offset)
	}
	switch p.Type {
	case dcerpc.TypeRequest:
		v.request(side, p, at, h)
	case dcerpc.TypeResponse:
		v.reply(side, p, at, h)
	case dcerpc.TypeFault, dcerpc.TypeReject:
		if !p.short {
			v.reply(side, p, at, h)
		}
	case dcerpc.TypeCLCancel:
		if i := v.s.find(p.Activity, p.Seq, side); i >= 0 {
			v.s.calls[v.s.keys[i].slot].Cancelled = true
		}
	}
}

// vote notes which side the PDU says is the client. Either may be now and then:
// hosts call each other, each from an activity of its own.
func (v *Conv) vote(side int, p *PDU) {
	client, known := fromClient(p.Type)
	if !known {
		return
	}
	if p.Interface.UUID == ConvManager {
		client = !client
	}
	vote := int32(1)
	if client != (side == 0) {
		vote = -1
	}
	if n := v.votes + vote; n < 1<<20 && n > -1<<20 {
		v.votes = n
	}
}

// once tells of an anomaly the first time that the conversation has it.
func (v *Conv) once(side int, a Anomaly, offset int, h Handler) {
	if bit := uint32(1) << a; v.told&bit == 0 {
		v.told |= bit
		h.Anomaly(side, a, offset)
	}
}

// sum is what a fragment is compared by; 0 if it cannot be. A sealed fragment
// is sealed anew when it is sent again.
func (p *PDU) sum() uint32 {
	if p.opaque() {
		return 0
	}
	n := crc32.Update(uint32(p.Type), crc32.IEEETable, p.Stub)
	if p.Type != dcerpc.TypeRequest && p.Type != dcerpc.TypeResponse {
		n = p.Status ^ uint32(p.Type)<<24
	}
	return n | 1
}

// request takes a fragment of a request.
func (v *Conv) request(side int, p *PDU, at dcerpc.Point, h Handler) {
	s := v.s
	i := s.find(p.Activity, p.Seq, side)
	if i < 0 {
		d := s.told(p, side, at)
		if d != nil && !d.replyOnly {
			if sum := p.sum(); p.Fragment == 0 && sum != 0 && d.sums[0] != 0 && d.sums[0] != sum {
				h.Anomaly(side, RetransmissionDiffers, HeaderSize)
			}
			return
		}
		if p.Flags2&Flag2Unrelated == 0 {
			v.supersede(side, p, at, h)
		}
		i = v.open(side, p, at, h)
		// A reply that came first, of whoever, hides no request.
		s.calls[s.keys[i].slot].missed = d != nil
	}
	c := s.calls[s.keys[i].slot]
	if c.ReplyOnly {
		c.ReplyOnly, c.whole, c.missed = false, false, true
		c.begin(p)
	}
	if p.Interface != c.Interface || p.Opnum != c.Opnum {
		h.Anomaly(side, FragmentMismatch, 24)
		return
	}
	was := c.whole
	a := s.add(&c.request, p, c.keep, v.mostStub())
	if a != 0 {
		h.Anomaly(side, a, 76)
	}
	c.RequestFragments, c.RequestLen = c.request.count, c.request.length
	c.whole = c.request.complete()
	c.Partial = !c.whole
	if !c.whole || was {
		return
	}
	c.Request = at
	if c.keep > 0 {
		c.RequestStub = c.request.stub()
		h.Request(&c.Call)
	}
	if p.Flags1&FlagMaybe != 0 && p.Flags1&FlagBroadcast == 0 {
		v.finish(i, dcerpc.CallUnanswered, at, h)
	}
}

// supersede ends the earlier calls of the activity of a new request: a client
// has one at a time, and begins the next when it is done with the last (C706
// 9.5.1).
func (v *Conv) supersede(side int, p *PDU, at dcerpc.Point, h Handler) {
	s := v.s
	for i := 0; i < len(s.keys); {
		k := &s.keys[i]
		if k.activity == p.Activity && int(k.side) == side && int32(p.Seq-k.seq) > 0 {
			v.finish(i, dcerpc.CallUnknown, at, h)
			continue
		}
		i++
	}
}

// open makes room for the call that p is of; side is that of its request.
func (v *Conv) open(side int, p *PDU, at dcerpc.Point, h Handler) (i int) {
	s := v.s
	if len(s.keys) >= orElse(v.cfg.MaxCalls, defaultCalls) {
		if v.seen[side^1] {
			v.once(side, TooManyCalls, 64, h)
		}
		v.finish(0, dcerpc.CallUnknown, at, h)
	}
	var slot uint16
	if n := len(s.free); n > 0 {
		slot = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		slot = uint16(len(s.calls))
		s.calls = append(s.calls, new(call))
	}
	s.keys = append(s.keys, callKey{activity: p.Activity, seq: p.Seq, slot: slot, side: uint8(side)})
	c := s.calls[slot]
	c.clear()
	c.Request = at
	c.begin(p)
	if v.cfg.Stubs != nil {
		c.keep = min(v.cfg.Stubs(c.Interface.UUID, c.Opnum), orElse(v.cfg.MaxStub, defaultStub))
	}
	return len(s.keys) - 1
}

// begin notes what the first PDU seen of a request tells.
func (c *call) begin(p *PDU) {
	c.CallID, c.Interface, c.Known, c.Opnum = p.Seq, p.Interface, true, p.Opnum
	c.BigEndian, c.Partial = p.BigEndian, true
	c.HasObject, c.Object = p.Object != dcerpc.UUID{}, p.Object
	c.Flags = dcerpc.FlagFirst
	if p.Flags1&FlagFrag == 0 {
		c.Flags |= dcerpc.FlagLast
	}
	if p.Flags1&FlagMaybe != 0 {
		c.Flags |= dcerpc.FlagMaybe
	}
	if c.HasObject {
		c.Flags |= dcerpc.FlagObject
	}
	c.broadcast = p.Flags1&FlagBroadcast != 0
	if p.Auth.Present {
		c.Auth = p.Auth
		c.Auth.Value = nil
	}
}

// reply takes a fragment of a response, or a fault or reject.
func (v *Conv) reply(side int, p *PDU, at dcerpc.Point, h Handler) {
	s := v.s
	i := s.find(p.Activity, p.Seq, side^1)
	if i < 0 {
		if d := s.told(p, side^1, at); d != nil {
			sum := p.sum()
			switch {
			case p.Fragment != 0 || sum == 0 || d.broadcast:
			case d.sums[1] == 0:
				// The first that is seen: the call ended without it.
				d.sums[1] = sum
			case d.sums[1] != sum:
				h.Anomaly(side, SecondReply, HeaderSize)
			}
			return
		}
		i = v.open(side^1, p, at, h)
		c := s.calls[s.keys[i].slot]
		c.ReplyOnly, c.whole, c.Partial = true, true, false
		c.Flags, c.Auth, c.Request = 0, dcerpc.Auth{}, dcerpc.Point{}
		if v.seen[side^1] {
			h.Anomaly(side, ReplyWithoutRequest, 64)
		}
	}
	c := s.calls[s.keys[i].slot]
	if (p.Interface.UUID != c.Interface.UUID || p.Opnum != c.Opnum) && !c.mismatch {
		c.mismatch = true
		h.Anomaly(side, ReplyMismatch, 24)
	}
	c.ReplyBig = p.BigEndian
	c.Answer = at
	if p.Type != dcerpc.TypeResponse {
		c.Status = p.Status
		c.reply.sums[0] = p.sum()
		c.ReplyFragments++
		st := dcerpc.CallFaulted
		if p.Type == dcerpc.TypeReject || dcerpc.NotExecuted(p.Status) {
			st = dcerpc.CallRejected
		}
		v.finish(i, st, at, h)
		return
	}
	if a := s.add(&c.reply, p, c.keep, v.mostStub()); a != 0 {
		h.Anomaly(side, a, 76)
	}
	c.ReplyFragments, c.ReplyLen = c.reply.count, c.reply.length
	if c.reply.complete() {
		if c.keep > 0 {
			c.ReplyStub = c.reply.stub()
		}
		v.finish(i, dcerpc.CallAnswered, at, h)
	}
}

// finish tells what came of the call at index i of the keys and forgets it, but
// for what its retransmissions are known by.
func (v *Conv) finish(i int, st dcerpc.CallState, at dcerpc.Point, h Handler) {
	s := v.s
	k := s.keys[i]
	c := s.calls[k.slot]
	c.State = st
	c.Accepted = st == dcerpc.CallAnswered || st == dcerpc.CallFaulted
	s.done[s.turn%recent] = finished{
		activity: k.activity, seq: k.seq, side: k.side, time: at.Time, set: true,
		sums: [2]uint32{c.request.sums[0], c.reply.sums[0]}, broadcast: c.broadcast, replyOnly: c.ReplyOnly,
	}
	s.turn++
	h.Call(&c.Call)
	s.close(i)
}

func (v *Conv) mostStub() int { return 4 * orElse(v.cfg.MaxStub, defaultStub) }

func orElse(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

// find gives the index of the call that waits and whose request came from side, or -1.
func (s *state) find(activity dcerpc.UUID, seq uint32, side int) int {
	for i := len(s.keys) - 1; i >= 0; i-- {
		if k := &s.keys[i]; k.seq == seq && int(k.side) == side && k.activity == activity {
			return i
		}
	}
	return -1
}

// told gives the call of p if it was told lately; side is that of its request.
func (s *state) told(p *PDU, side int, at dcerpc.Point) *finished {
	for i := range s.done {
		d := &s.done[i]
		if d.set && d.seq == p.Seq && int(d.side) == side && d.activity == p.Activity {
			if at.Time-d.time > again {
				d.set = false
				continue
			}
			return d
		}
	}
	return nil
}

// clear empties c but for its memory.
func (c *call) clear() {
	request, reply := c.request, c.reply
	*c = call{}
	c.request.reuse(request)
	c.reply.reuse(reply)
}

// close gives the room of the call at index i of the keys back.
func (s *state) close(i int) {
	slot := s.keys[i].slot
	s.keys = append(s.keys[:i], s.keys[i+1:]...)
	s.free = append(s.free, slot)
	c := s.calls[slot]
	s.stubs -= c.request.held + c.reply.held
	c.request.held, c.reply.held = 0, 0
	c.request.shrink(slot >= keptCalls)
	c.reply.shrink(slot >= keptCalls)
	c.RequestStub, c.ReplyStub = nil, nil
}
