package dcerpc

// Point is where and when bytes were seen; the caller's own tokens, handed back.
type Point struct {
	File  int32
	Frame uint64 // 0 where there is none
	Time  int64  // nanoseconds since the epoch
}

// NegotiationState is what came of a bind or alter_context.
type NegotiationState uint8

// Negotiation states.
const (
	NegotiationUnknown    NegotiationState = iota // the answer was not seen and may have been sent
	NegotiationAccepted                           // at least one context was accepted, or none but features were asked for
	NegotiationRejected                           // every context was rejected, or a fault came (Status)
	NegotiationNak                                // bind_nak
	NegotiationUnanswered                         // the stream ended first
)

// String gives a short name.
func (s NegotiationState) String() string { return named(negotiationStates[:], int(s), "state") }

var negotiationStates = [...]string{"unknown", "accepted", "rejected", "nak", "unanswered"}

// Negotiation is a bind or alter_context with its answer. It is borrowed until
// the handler returns.
type Negotiation struct {
	Alter       bool // alter_context
	BigEndian   bool // the request
	Flags       uint8
	AnswerFlags uint8 // of the bind_ack or alter_context_resp
	CallID      uint32
	Request     Point // where the request ended
	Answer      Point // where the answer ended; zero iff none
	State       NegotiationState
	NakReason   uint16        // valid iff State is NegotiationNak
	Status      uint32        // of the fault that answered; 0 iff none did
	MaxXmit     uint16        // of the request, bytes
	MaxRecv     uint16        // of the request, bytes
	Group       uint32        // association group id: of the answer, else of the request
	Contexts    []ContextItem // as offered, with the answers; the answer to bind-time features is a NegotiateAck
	Auth        Auth          // of the request; Value is nil
	Secondary   []byte        // secondary address of the answer, without its NUL
	Minor       uint8         // minor version of the request
	AskedGroup  uint32        // association group id of the request; 0 asks for a new one
	AnswerXmit  uint16        // of the bind_ack or alter_context_resp, bytes
	AnswerRecv  uint16        // likewise
	Results     int           // likewise, how many it has
	Cut         bool          // the capture lacks the end of either: contexts and results may be missing

	side     uint8 // of the request
	missed   bool  // bytes of the answering side were lost since
	cut      bool  // the capture lacks the end of the request
	syntaxes []Syntax
}

// CallState is what came of a request.
type CallState uint8

// Call states.
const (
	CallUnknown    CallState = iota // the answer was not seen and may have been sent
	CallAnswered                    // a response
	CallFaulted                     // a fault from the operation, or not told where from
	CallRejected                    // a fault that says that the operation was not executed
	CallUnanswered                  // the stream ended first
)

// String gives a short name.
func (s CallState) String() string { return named(callStates[:], int(s), "state") }

var callStates = [...]string{"unknown", "answered", "fault", "rejected", "unanswered"}

// Call is a request with its response or fault. It is borrowed until the
// handler returns.
type Call struct {
	CallID    uint32
	ContextID uint16 // of the first fragment, as Opnum
	Opnum     uint16 // 0 if ReplyOnly
	Flags     uint8  // of the request's first fragment
	Interface Syntax // valid iff Known
	Known     bool   // a bind or alter_context that names the context was seen
	Accepted  bool   // and the server accepted it
	NDR64     bool   // transfer syntax of the stubs; if not Accepted, of what the client offered
	BigEndian bool   // of the request
	ReplyBig  bool   // of the reply's last fragment seen: big-endian too
	HasObject bool
	ReplyOnly bool // the request was not seen
	Cancelled bool // the client sent co_cancel
	Orphaned  bool // the client gave the call up
	Partial   bool // the request's last fragment was not seen
	Object    UUID // valid iff HasObject
	Auth      Auth // of the request's first fragment; Value is nil
	Request   Point
	Answer    Point // zero iff no answer
	State     CallState
	Status    uint32 // of the fault; valid iff CallFaulted or CallRejected

	// Stub bytes and PDUs of all fragments.
	RequestLen, ReplyLen             int
	RequestFragments, ReplyFragments int

	// Tail is the last four bytes of the response's stub as a number: what an
	// operation returns, if it returns anything. Valid iff HasTail: not of a stub
	// that is sealed, shorter, or missing at its end.
	Tail    uint32
	HasTail bool

	// The first bytes of the stubs over all fragments, as many as Config.Stubs
	// asked for; nil where none were asked for, where a fragment was sealed, and
	// where bytes are missing.
	RequestStub, ReplyStub []byte
}

// call is a Call under way.
type call struct {
	Call
	whole     bool     // the request's last fragment was seen
	replying  bool     // a fragment of the response was seen
	tentative bool     // the context was under negotiation when the request came
	missed    bool     // bytes of the answering side were lost since the request
	noRequest bool     // the request's stub cannot be told
	noReply   bool     // nor the reply's
	tail      [4]byte  // the last bytes of the reply's stub so far
	tiny      [2]uint8 // tiny fragments of request and reply; at most 2 are counted
	keep      int      // stub bytes wanted a direction
	request   []byte   // what RequestStub and ReplyStub show; memory is reused
	reply     []byte
}

// callKey is what is searched for: calls are many and large.
type callKey struct {
	id   uint32
	slot uint16
	side uint8 // of the request
}

// keptStub is the most memory that an idle call slot keeps a direction, bytes.
const keptStub = 2048

// keptCalls is how many call slots keep memory between calls.
const keptCalls = 4

// open makes room for a call, the newest.
func (s *state) open(id uint32, side int) *call {
	var slot uint16
	if n := len(s.free); n > 0 {
		slot = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		slot = uint16(len(s.calls))
		if slot == 0 {
			s.calls = append(s.calls, &s.first)
		} else {
			s.calls = append(s.calls, new(call))
		}
	}
	s.keys = append(s.keys, callKey{id: id, slot: slot, side: uint8(side)})
	c := s.calls[slot]
	c.clear()
	c.CallID = id
	return c
}

// clear empties c but for its memory.
func (c *call) clear() {
	request, reply := c.request[:0], c.reply[:0]
	*c = call{}
	c.request, c.reply = request, reply
}

// close gives the room of the call at index i of the keys back.
func (s *state) close(i int) {
	slot := s.keys[i].slot
	s.keys = append(s.keys[:i], s.keys[i+1:]...)
	s.free = append(s.free, slot)
	c := s.calls[slot]
	s.stubs -= len(c.request) + len(c.reply)
	if slot >= keptCalls || cap(c.request) > keptStub {
		c.request = nil
	}
	if slot >= keptCalls || cap(c.reply) > keptStub {
		c.reply = nil
	}
	if len(s.keys) == 0 && len(s.calls) > keptCalls {
		s.shrink()
	}
}

// shrink gives up the call slots that are not worth keeping while no call waits.
func (s *state) shrink() {
	clear(s.calls[keptCalls:])
	s.calls = s.calls[:keptCalls]
	s.free = s.free[:0]
	for i := len(s.calls) - 1; i >= 0; i-- {
		s.free = append(s.free, uint16(i))
	}
}

// find gives the index of the newest call of the id whose request came from
// side and for which want holds, or -1.
func (s *state) find(id uint32, side int, want func(*call) bool) int {
	for i := len(s.keys) - 1; i >= 0; i-- {
		if k := &s.keys[i]; k.id == id && int(k.side) == side && want(s.calls[k.slot]) {
			return i
		}
	}
	return -1
}

func anyCall(*call) bool      { return true }
func unfinished(c *call) bool { return !c.whole }
func waiting(c *call) bool    { return !c.replying }
func answering(c *call) bool  { return c.replying }

// gather appends to buf what of stub is wanted.
func (s *state) gather(buf, stub []byte, keep, most int) []byte {
	n := min(keep-len(buf), len(stub), most-s.stubs)
	if n <= 0 {
		return buf
	}
	s.stubs += n
	return append(buf, stub[:n]...)
}
