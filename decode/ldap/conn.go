package ldap

import (
	"unsafe"

	"kmswatch/decode/ber"
	"kmswatch/decode/dcerpc"
)

// Handler is told what a connection carries, in the order of the bytes.
// Pointers and all that they lead to are borrowed until the method returns, but
// for strings.
type Handler interface {
	// Message tells of each message, with Config.Messages only.
	Message(side int, m *Message)
	// Bind tells of a bind and its result, or of the end without one; of one
	// with several legs once.
	Bind(b *Bind)
	// Token gives the credentials of one leg of a bind, of the mechanisms
	// "GSS-SPNEGO", "GSSAPI", "NTLM" and "sicily", before Bind tells of it.
	// Those of GSSAPI end with wrapped tokens (RFC 4752 3.1).
	Token(fromClient bool, mechanism string, b []byte)
	// Search tells of a search and its result, or of the end without one.
	Search(s *Search)
	// Opaque tells, once, that what follows cannot be seen.
	Opaque(why Opaque)
	// Anomaly tells of what is wrong, and where in the message that side sent.
	Anomaly(side int, a Anomaly, offset int)
}

// Config is what connections share. It is only read.
type Config struct {
	Messages    bool // tell of each message
	MaxSearches int  // searches waiting for their result; 64 if 0
	// MaxMessage is how many bytes of a message are waited for; what is behind
	// them is skipped. 64 KiB if 0, as long as a Kerberos token gets.
	MaxMessage int
	// Scratch is where messages are decoded, one after the other. Connections
	// that one goroutine feeds may share it; if nil, each has its own.
	Scratch *Message
}

func (c *Config) maxSearches() int {
	if c.MaxSearches <= 0 {
		return 64
	}
	return c.MaxSearches
}

func (c *Config) maxMessage() int {
	if c.MaxMessage <= 0 {
		return 64 << 10
	}
	return max(c.MaxMessage, 256)
}

// Opaque is what hides a connection.
type Opaque uint8

// What hides it.
const (
	Clear         Opaque = iota
	TLS                  // StartTLS was answered with success (RFC 4511 4.14)
	SecurityLayer        // SASL buffers, signed or sealed (RFC 4422 3.7, MS-ADTS 5.1.1.1.3)
)

// String gives the name.
func (o Opaque) String() string {
	return [...]string{"clear", "tls", "security-layer", ""}[o&3]
}

// Identity is who the server takes the client for.
type Identity uint8

// Identities.
const (
	UnknownIdentity Identity = iota // binds may have been missed, or one has no result yet
	Anonymous                       // no bind, or the last one was anonymous, unauthenticated or refused (RFC 4511 4.2.1)
	Authenticated                   // the last bind gave a name and was accepted
)

// String gives the name.
func (i Identity) String() string {
	return [...]string{"unknown", "anonymous", "authenticated", ""}[i&3]
}

// Outcome is what came of a bind or search.
type Outcome uint8

// Outcomes.
const (
	Unknown    Outcome = iota // the result was not seen and may have been sent
	Accepted                  // bind: success
	Refused                   // bind: another result
	Answered                  // search: a result, whichever
	Unanswered                // the connection ended without a result
	Unfinished                // bind: the server waits for another leg, which never came
	Abandoned                 // search: the client gave it up
	outcomes
)

// String gives the name.
func (o Outcome) String() string {
	if o >= outcomes {
		return ""
	}
	return [outcomes]string{"unknown", "accepted", "refused", "answered", "unanswered", "unfinished", "abandoned"}[o]
}

// BindKind is how a bind authenticates, RFC 4513 5.1 and 5.2.
type BindKind uint8

// Kinds of binds.
const (
	UnknownBind         BindKind = iota
	AnonymousBind                // neither name nor password
	UnauthenticatedBind          // a name without a password
	SimpleBind                   // a name and a password
	SASLBind
	SicilyBind // NTLM of MS-ADTS 5.1.1.1.3
	bindKinds
)

// String gives the name.
func (k BindKind) String() string {
	if k >= bindKinds {
		return ""
	}
	return [bindKinds]string{"unknown", "anonymous", "unauthenticated", "simple", "sasl", "sicily"}[k]
}

// Bind is a bind, of one leg or several.
type Bind struct {
	Kind       BindKind
	MessageID  int64 // of its last leg
	Version    int32
	Name       string // a DN, or what else the client calls itself; the first that is not empty
	Mechanism  string // of SASL; "sicily" of that
	Legs       int
	Outcome    Outcome
	HasResult  bool
	Result     ResultCode
	Diagnostic string       // of the result
	Request    dcerpc.Point // of the first leg
	Answer     dcerpc.Point // of the last answer
}

// Search is a search.
type Search struct {
	MessageID  int64
	Base       string
	Scope      Scope
	Filter     string // as RFC 4515 writes it, cut at a bound
	FilterCut  bool
	Conditions []Condition // the first few comparisons in it
	Attributes []string    // the first few that are asked for
	Asked      int         // how many are
	RootDSE    bool        // the base is "" and the scope its object alone
	// NetlogonPing tells that the attribute Netlogon of the root DSE is asked
	// for, MS-ADTS 6.3.3, by which clients find a domain controller.
	NetlogonPing bool
	Identity     Identity // when it was asked
	Owner        any      // what Identify was given for that identity, nil if nothing
	Entries      int      // that came back
	References   int      // that came back
	Outcome      Outcome
	HasResult    bool
	Result       ResultCode
	Diagnostic   string // of the result
	Request      dcerpc.Point
	Answer       dcerpc.Point // of the result
}

// Conn is one connection, or the datagrams between two ports: what two sides, 0
// and 1, say to each other. Which of them is the client follows from the
// operations.
//
// Results are matched to searches by message id, and to the one bind that may
// wait at a time. The identity of the client changes with the result of a bind,
// never with its request.
//
// The zero value wants a Reset; after End, another. It must not be copied. It is
// small until the first message, and bounded: whatever is sent, it holds
// Config.MaxSearches searches at most.
type Conn struct {
	cfg      *Config
	s        *state // nil before the first message
	skip     [2]int // bytes that are left of a message, unread
	messages uint64
	startTLS int64 // message id of a StartTLS request that waits
	votes    int32 // above 0: side 0 is the client; below 0: side 1
	told     uint32
	sync     [2]syncState
	opaque   Opaque
	identity Identity
	owner    any  // of the identity
	starting bool // startTLS is set
	starter  int  // side that sent it
	whole    bool // seen from the first byte, and no gap since
	layered  bool // a SASL or sicily bind was accepted, or may have been: a security layer may follow
	datagram bool
}

// syncState tells how a side's stream stands to messages.
type syncState uint8

const (
	synced    syncState = iota // the next byte begins a message
	adrift                     // it need not
	candidate                  // it may: the last segment began like a message but was too short to tell
)

// keptSearches is how many searches an idle connection keeps memory for.
const keptSearches = 2

// state is what a connection needs once it carries messages. Its memory is kept
// over Reset.
type state struct {
	own     *Message // iff Config has none
	pending []*pendingSearch
	spare   []*pendingSearch

	bind     Bind
	binding  bool // bind is under way
	waiting  bool // and its last leg has no answer
	missed   bool // and that may be missing
	bindSide int
	leg      Auth // of the last leg
}

type pendingSearch struct {
	Search
	side       uint8
	missed     bool // its result may be among missing bytes
	abandoned  bool
	conditions [maxConditions]Condition
	attributes [maxAttributes]string
}

// Reset makes the connection new, keeping memory of modest size.
func (c *Conn) Reset(cfg *Config) {
	s := c.s
	*c = Conn{cfg: cfg, s: s}
	if s == nil {
		return
	}
	for _, p := range s.pending {
		s.release(p)
	}
	own, pending, spare := s.own, s.pending[:0], s.spare
	*s = state{own: own, pending: pending, spare: spare}
}

func (s *state) release(p *pendingSearch) {
	if len(s.spare) < keptSearches {
		*p = pendingSearch{}
		s.spare = append(s.spare, p)
	}
}

// FromStart says that the streams are seen from their first byte, so that a
// client of whom no bind tells has sent none.
func (c *Conn) FromStart() {
	c.whole = true
	c.identity = Anonymous
}

// Client tells which side is the client, as the operations say; known is false
// before they say anything, and while they contradict each other.
func (c *Conn) Client() (side int, known bool) {
	if c.votes < 0 {
		return 1, true
	}
	return 0, c.votes > 0
}

// Messages counts the messages since Reset.
func (c *Conn) Messages() uint64 { return c.messages }

// Identity tells who the server takes the client for by now.
func (c *Conn) Identity() Identity { return c.identity }

// Identify says who the client is from here to the next bind, and what Search
// says of that. It is for the caller that read the tokens of an accepted bind:
// NTLM may be anonymous too.
func (c *Conn) Identify(i Identity, owner any) { c.identity, c.owner = i, owner }

// Opaque tells what hides what follows.
func (c *Conn) Opaque() Opaque { return c.opaque }

// Excess tells how many bytes the connection holds beyond what every one of
// them does, roughly.
func (c *Conn) Excess() int {
	if c.s == nil || len(c.s.pending) <= keptSearches {
		return 0
	}
	return len(c.s.pending) * int(unsafe.Sizeof(pendingSearch{}))
}

// Data reads the messages at the front of b, bytes of one side, and returns how
// many bytes it is done with. What is left is to be given again with more
// behind it. boundary says that b begins where a segment does. After a gap, and
// after bytes that are no message, all is consumed until a segment begins like
// one. b is borrowed.
func (c *Conn) Data(side int, b []byte, boundary bool, at dcerpc.Point, h Handler) (used int) {
	side &= 1
	for used < len(b) {
		if c.opaque != Clear {
			return len(b)
		}
		rest := b[used:]
		if n := min(c.skip[side], len(rest)); n > 0 {
			c.skip[side] -= n
			used += n
			continue
		}
		if c.sync[side] != synced {
			if used != 0 || !boundary && c.sync[side] != candidate {
				return len(b)
			}
			switch Probe(rest) {
			case No:
				c.sync[side] = adrift
				if c.layered && rest[0] == 0 {
					c.hide(SecurityLayer, h)
				}
				return len(b)
			case More:
				c.sync[side] = candidate
				return 0
			}
			c.sync[side] = synced
		}
		hd, v, a := readHead(rest)
		if v == ber.Malformed {
			// The length of a SASL buffer is below 2^24 everywhere, so that a
			// zero begins it where 0x30 would begin a message.
			if c.layered && rest[0] == 0 {
				c.hide(SecurityLayer, h)
				return len(b)
			}
			h.Anomaly(side, a, 0)
			c.miss(side)
			return len(b)
		}
		if v == ber.Cut {
			return used
		}
		need := 0
		switch {
		case a == BadMessage:
			// A length of some size may be made up, and would hide as much.
			if hd.size > c.cfg.maxMessage() {
				h.Anomaly(side, a, 0)
				c.miss(side)
				return len(b)
			}
		case hd.op == SearchResultEntry || hd.op == SearchResultReference || hd.op == IntermediateResponse:
			if c.cfg.Messages {
				need = min(hd.size, c.cfg.maxMessage())
			}
		default:
			need = min(hd.size, c.cfg.maxMessage())
		}
		if len(rest) < need {
			return used
		}
		c.message(side, rest[:min(hd.size, len(rest), c.cfg.maxMessage())], &hd, a, at, h)
		n := min(hd.size, len(rest))
		c.skip[side] = hd.size - n
		used += n
	}
	return used
}

// Cut takes the captured part of a message that Data left unused and whose end
// will never come, since the snap length cut its frame.
func (c *Conn) Cut(side int, b []byte, at dcerpc.Point, h Handler) {
	side &= 1
	if c.opaque != Clear || c.skip[side] != 0 || c.sync[side] == adrift || Probe(b) != Match {
		return
	}
	hd, v, a := readHead(b)
	if v != ber.Whole || a == BadMessage || len(b) >= hd.size {
		return
	}
	c.message(side, b[:min(len(b), c.cfg.maxMessage())], &hd, a, at, h)
}

// Datagram reads the messages of a datagram, to be used instead of Data with
// connectionless LDAP, MS-ADTS 3.1.1.3.2 (CLDAP). There is no bind in it.
func (c *Conn) Datagram(side int, b []byte, at dcerpc.Point, h Handler) {
	side &= 1
	c.datagram = true
	c.identity = Anonymous
	for len(b) != 0 {
		hd, v, a := readHead(b)
		switch v {
		case ber.Malformed:
			h.Anomaly(side, NotLDAP, 0)
			return
		case ber.Cut:
			h.Anomaly(side, CutMessage, 0)
			return
		}
		n := min(hd.size, len(b))
		c.message(side, b[:min(n, c.cfg.maxMessage())], &hd, a, at, h)
		if n < hd.size {
			h.Anomaly(side, CutMessage, n)
		}
		b = b[n:]
	}
}

// Gap says that bytes of a side will never come. What was left of a message
// before them is gone too.
func (c *Conn) Gap(side int, _ dcerpc.Point, _ Handler) { c.miss(side & 1) }

// miss notes that bytes of a side are missing from here on.
func (c *Conn) miss(side int) {
	c.sync[side] = adrift
	c.skip[side] = 0
	c.whole = false
	// Among the client's bytes may be a bind, among the server's the result of
	// the one that waits.
	if client, known := c.Client(); !known || client == side {
		c.identity = UnknownIdentity
	}
	s := c.s
	if s == nil {
		return
	}
	if s.binding {
		s.missed = true
		c.identity = UnknownIdentity
		c.layered = s.bind.Kind == SASLBind || s.bind.Kind == SicilyBind
	}
	for _, p := range s.pending {
		if int(p.side) != side {
			p.missed = true
		}
	}
}

// End tells of what still waits: unanswered when the streams have ended,
// unknown when only the view of them has, or when the result may have been
// among missing bytes.
func (c *Conn) End(_ dcerpc.Point, ended bool, h Handler) {
	s := c.s
	if s == nil {
		return
	}
	hidden := c.opaque != Clear
	if s.binding {
		c.concludeBind(ended && !hidden, h)
	}
	for len(s.pending) > 0 {
		p := s.pending[0]
		o := Unknown
		switch {
		case p.abandoned:
			o = Abandoned
		case ended && !hidden && !p.missed:
			o = Unanswered
		}
		c.conclude(0, o, h)
	}
}

// hide says that nothing more can be seen.
func (c *Conn) hide(o Opaque, h Handler) {
	c.opaque = o
	h.Opaque(o)
}

// once tells of an anomaly the first time that the connection has it.
func (c *Conn) once(side int, a Anomaly, h Handler) {
	if bit := uint32(1) << a; c.told&bit == 0 {
		c.told |= bit
		h.Anomaly(side, a, 0)
	}
}

// message takes a message of which b is the beginning, all of it unless it is
// longer than is waited for or its body is not wanted.
func (c *Conn) message(side int, b []byte, hd *head, a Anomaly, at dcerpc.Point, h Handler) {
	c.messages++
	if a == BadMessage {
		h.Anomaly(side, a, 0)
		return
	}
	if c.s == nil {
		c.s = new(state)
	}
	c.vote(side, hd.op, h)
	if !c.cfg.Messages && (hd.op == SearchResultEntry || hd.op == SearchResultReference || hd.op == IntermediateResponse) {
		if a != 0 {
			c.once(side, a, h)
		}
		c.returned(side, hd, h)
		return
	}
	m := c.scratch()
	m.reset(hd)
	m.note(a)
	m.operation(b, hd)
	if c.cfg.Messages {
		h.Message(side, m)
	}
	switch m.Anomaly {
	case 0:
	case BadMessageID: // all messages of a client that does so have one
		c.once(side, m.Anomaly, h)
	default:
		h.Anomaly(side, m.Anomaly, 0)
	}
	switch m.Op {
	case BindRequest:
		c.bindRequest(side, m, at, h)
	case BindResponse:
		c.bindResponse(side, m, at, h)
	case SearchRequest:
		c.searchRequest(side, m, at, h)
	case SearchResultEntry, SearchResultReference:
		c.returned(side, hd, h)
	case SearchResultDone:
		c.searchDone(side, m, at, h)
	case AbandonRequest:
		if m.readable {
			if i := c.find(side, m.AbandonID); i >= 0 {
				c.s.pending[i].abandoned = true
			}
		}
	case ExtendedRequest:
		if m.Name == oidStartTLS {
			c.startTLS, c.starting, c.starter = m.ID, true, side
		}
	case ExtendedResponse:
		if c.starting && side != c.starter && m.ID == c.startTLS && m.readable {
			c.starting = false
			if m.Result == Success {
				c.hide(TLS, h)
			}
		}
	}
	m.token = nil
}

// oidStartTLS names the extended operation of RFC 4511 4.14.
const oidStartTLS = "1.3.6.1.4.1.1466.20037"

// scratch gives the place where messages are decoded.
func (c *Conn) scratch() *Message {
	if c.cfg.Scratch != nil {
		return c.cfg.Scratch
	}
	if c.s.own == nil {
		c.s.own = new(Message)
	}
	return c.s.own
}

// vote learns from an operation which side is the client.
func (c *Conn) vote(side int, op Op, h Handler) {
	vote := int32(1)
	if op.FromClient() != (side == 0) {
		vote = -1
	}
	if c.votes*vote <= -2 {
		c.once(side, WrongDirection, h)
	}
	if v := c.votes + vote; v < 1<<20 && v > -1<<20 {
		c.votes = v
	}
}

// find gives the index of the newest search of a side with a message id, or -1.
func (c *Conn) find(side int, id int64) int {
	for i := len(c.s.pending) - 1; i >= 0; i-- {
		if p := c.s.pending[i]; p.MessageID == id && int(p.side) == side {
			return i
		}
	}
	return -1
}

// orphan tells of a reply to nothing, unless the capture may lack the request.
func (c *Conn) orphan(side int, h Handler) {
	if c.whole && !c.datagram && c.told&(1<<TooManyRequests) == 0 {
		c.once(side, ReplyWithoutRequest, h)
	}
}

// searchRequest takes a search that begins.
func (c *Conn) searchRequest(side int, m *Message, at dcerpc.Point, h Handler) {
	if !m.readable {
		return
	}
	s := c.s
	if i := c.find(side, m.ID); i >= 0 {
		if c.datagram {
			return // sent again
		}
		c.once(side, DuplicateMessageID, h)
		c.conclude(i, Unknown, h)
	}
	if len(s.pending) >= c.cfg.maxSearches() {
		i, o := 0, Unknown
		for j, p := range s.pending {
			if p.abandoned {
				i, o = j, Abandoned
				break
			}
		}
		if o != Abandoned {
			c.once(side, TooManyRequests, h)
		}
		c.conclude(i, o, h)
	}
	var p *pendingSearch
	if n := len(s.spare); n > 0 {
		p, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		p = new(pendingSearch)
	}
	p.side = uint8(side)
	p.Search = Search{
		MessageID: m.ID, Base: m.Name, Scope: m.Scope, Filter: m.Filter, FilterCut: m.FilterCut,
		Asked: m.Attributes, Request: at, Identity: c.identity, Owner: c.owner,
		RootDSE: m.Name == "" && m.Scope == BaseObject,
	}
	p.NetlogonPing = p.RootDSE && m.netlogon
	if s.binding && s.waiting {
		p.Identity = UnknownIdentity
	}
	conditions, attributes := m.Kept()
	p.Conditions = p.conditions[:copy(p.conditions[:], conditions)]
	p.Attributes = p.attributes[:copy(p.attributes[:], attributes)]
	s.pending = append(s.pending, p)
}

// returned counts an entry or a reference that a search returns.
func (c *Conn) returned(side int, hd *head, h Handler) {
	if hd.op == IntermediateResponse {
		return
	}
	i := c.find(side^1, hd.id)
	if i < 0 {
		c.orphan(side, h)
		return
	}
	if p := c.s.pending[i]; hd.op == SearchResultEntry {
		p.Entries++
	} else {
		p.References++
	}
}

// searchDone takes the result of a search.
func (c *Conn) searchDone(side int, m *Message, at dcerpc.Point, h Handler) {
	i := c.find(side^1, m.ID)
	if i < 0 {
		c.orphan(side, h)
		return
	}
	p := c.s.pending[i]
	p.Answer = at
	if m.readable {
		p.HasResult, p.Result, p.Diagnostic = true, m.Result, m.Diagnostic
	}
	c.conclude(i, Answered, h)
}

// conclude tells of a search and forgets it.
func (c *Conn) conclude(i int, o Outcome, h Handler) {
	s := c.s
	p := s.pending[i]
	copy(s.pending[i:], s.pending[i+1:])
	s.pending[len(s.pending)-1] = nil
	s.pending = s.pending[:len(s.pending)-1]
	p.Outcome = o
	h.Search(&p.Search)
	s.release(p)
}

// bindRequest takes the first or a later leg of a bind.
func (c *Conn) bindRequest(side int, m *Message, at dcerpc.Point, h Handler) {
	s := c.s
	b := &s.bind
	kind := UnknownBind
	mechanism := m.Mechanism
	switch {
	case !m.readable:
	case m.Auth == AuthSASL:
		kind = SASLBind
	case m.Auth.sicily():
		kind, mechanism = SicilyBind, "sicily"
	case m.password:
		kind = SimpleBind
	case m.Name == "":
		kind = AnonymousBind
	default:
		kind = UnauthenticatedBind
	}
	if s.binding && s.waiting {
		c.once(side, BindWhileBinding, h)
	}
	if s.binding && (s.waiting || s.bindSide != side || kind != b.Kind || mechanism != b.Mechanism ||
		kind != SASLBind && kind != SicilyBind || m.Auth == AuthSicilyPackageDiscovery) {
		c.concludeBind(false, h)
	}
	if !s.binding {
		*b = Bind{Kind: kind, Version: m.Version, Name: m.Name, Mechanism: mechanism, Request: at}
		s.binding, s.bindSide, s.missed = true, side, false
	}
	if b.Name == "" {
		b.Name = m.Name
	}
	b.MessageID = m.ID
	b.Legs++
	s.waiting, s.leg = true, m.Auth
	// RFC 4511 4.2.1: from here on the client is anonymous, until the result
	// says otherwise.
	c.identity, c.owner = UnknownIdentity, nil
	c.layered = false
	if m.token != nil {
		h.Token(true, mechanism, m.token)
	}
}

// bindResponse takes the answer to a leg.
func (c *Conn) bindResponse(side int, m *Message, at dcerpc.Point, h Handler) {
	s := c.s
	b := &s.bind
	if !s.binding {
		// Whose result it is cannot be known, but a refused client is nobody. Where
		// nothing is missing, nobody asked for it, and it changes nothing.
		c.orphan(side, h)
		if c.whole {
			return
		}
		c.identity = UnknownIdentity
		if m.readable && m.Result != Success && m.Result != SASLBindInProgress {
			c.identity = Anonymous
		}
		return
	}
	if s.bindSide == side || !s.missed && (!s.waiting || b.MessageID != m.ID) {
		c.orphan(side, h)
		return
	}
	b.Answer = at
	s.waiting = false
	if !m.readable {
		s.missed = true
		c.concludeBind(false, h)
		return
	}
	b.HasResult, b.Result, b.Diagnostic = true, m.Result, m.Diagnostic
	if m.token != nil && (b.Kind == SicilyBind || b.Kind == SASLBind && carriesTokens(b.Mechanism)) {
		h.Token(false, b.Mechanism, m.token)
	}
	// MS-ADTS 5.1.1.1.3: success of the first two sicily requests asks for the
	// next one.
	if m.Result == SASLBindInProgress ||
		m.Result == Success && (s.leg == AuthSicilyPackageDiscovery || s.leg == AuthSicilyNegotiate) {
		return
	}
	c.identity = Anonymous
	b.Outcome = Refused
	if m.Result == Success {
		b.Outcome = Accepted
		switch {
		case b.Kind == SimpleBind, b.Kind == SicilyBind, b.Kind == SASLBind && b.Mechanism != "ANONYMOUS":
			c.identity = Authenticated
		case b.Kind == UnknownBind:
			c.identity = UnknownIdentity
		}
		c.layered = b.Kind == SASLBind || b.Kind == SicilyBind
	}
	s.binding = false
	h.Bind(b)
}

// concludeBind tells of a bind without a result, or without its last one.
func (c *Conn) concludeBind(ended bool, h Handler) {
	s := c.s
	b := &s.bind
	switch {
	case s.missed:
		b.Outcome = Unknown
	case !s.waiting:
		b.Outcome = Unfinished
	case ended:
		b.Outcome = Unanswered
	default:
		b.Outcome = Unknown
	}
	s.binding = false
	h.Bind(b)
}
