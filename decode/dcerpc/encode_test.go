package dcerpc

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The encoder of the tests: it writes what C706 12.6.4 draws, in either byte
// order, and lets each field lie.

// enc encodes PDUs; the zero value is little-endian, minor version 0.
type enc struct {
	big   bool
	minor uint8
}

var le, be = enc{}, enc{big: true}

const whole = FlagFirst | FlagLast

// samr is the second interface of the tests.
var (
	samr = MustUUID("12345778-1234-abcd-ef00-0123456789ac")
	svc  = MustUUID("367abb81-9844-35f1-ad32-98f038001003")

	kmsSyntax  = Syntax{KMS, 1, 0}
	samrSyntax = Syntax{samr, 1, 0}
	svcSyntax  = Syntax{svc, 2, 0}

	// features is the pseudo transfer syntax as Windows offers it (trap 4).
	features = Syntax{MustUUID("6cb71c2c-9812-4540-0300-000000000000"), 1, 0}
)

func (e enc) order() binary.AppendByteOrder {
	if e.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (e enc) u16(b []byte, v uint16) []byte { return e.order().AppendUint16(b, v) }
func (e enc) u32(b []byte, v uint32) []byte { return e.order().AppendUint32(b, v) }

func (e enc) syntax(b []byte, s Syntax) []byte {
	u := s.UUID
	b = e.u32(b, binary.BigEndian.Uint32(u[0:]))
	b = e.u16(b, binary.BigEndian.Uint16(u[4:]))
	b = e.u16(b, binary.BigEndian.Uint16(u[6:]))
	b = append(b, u[8:]...)
	return e.u32(b, uint32(s.Major)|uint32(s.Minor)<<16)
}

// verifier is a security trailer to be written.
type verifier struct {
	typ   AuthType
	level AuthLevel
	pad   int
	id    uint32
	value string
}

// pdu writes the common header before body and the verifier behind it.
func (e enc) pdu(t PType, flags uint8, call uint32, body []byte, v *verifier) []byte {
	n := HeaderSize + len(body)
	auth := 0
	if v != nil {
		auth = len(v.value)
		n += v.pad + trailerSize + auth
	}
	rep := byte(0x10)
	if e.big {
		rep = 0
	}
	b := []byte{5, e.minor, byte(t), flags, rep, 0, 0, 0}
	b = e.u16(b, uint16(n))
	b = e.u16(b, uint16(auth))
	b = e.u32(b, call)
	b = append(b, body...)
	if v != nil {
		b = append(b, make([]byte, v.pad)...)
		b = append(b, byte(v.typ), byte(v.level), byte(v.pad), 0)
		b = e.u32(b, v.id)
		b = append(b, v.value...)
	}
	return b
}

// item is a presentation context to be offered.
type item struct {
	id       uint16
	abstract Syntax
	transfer []Syntax
}

func offer(id uint16, abstract Syntax, transfer ...Syntax) item { return item{id, abstract, transfer} }

func (e enc) offers(t PType, flags uint8, call uint32, items ...item) []byte {
	b := e.u16(nil, 5840)
	b = e.u16(b, 5840)
	b = e.u32(b, 0)
	b = append(b, byte(len(items)), 0, 0, 0)
	for _, it := range items {
		b = e.u16(b, it.id)
		b = append(b, byte(len(it.transfer)), 0)
		b = e.syntax(b, it.abstract)
		for _, s := range it.transfer {
			b = e.syntax(b, s)
		}
	}
	return e.pdu(t, flags, call, b, nil)
}

func (e enc) bind(call uint32, items ...item) []byte {
	return e.offers(TypeBind, whole, call, items...)
}

func (e enc) alter(call uint32, items ...item) []byte {
	return e.offers(TypeAlterContext, whole, call, items...)
}

// verdict is the answer to one presentation context.
type verdict struct {
	result, reason uint16
	syntax         Syntax
}

func accept(s Syntax) verdict { return verdict{0, 0, s} }

var (
	reject = verdict{2, 2, Syntax{}}
	ackBTF = verdict{3, 3, Syntax{}}
)

func (e enc) verdicts(t PType, call uint32, addr string, vs ...verdict) []byte {
	b := e.u16(nil, 5840)
	b = e.u16(b, 5840)
	b = e.u32(b, 0x1234)
	b = e.u16(b, uint16(len(addr)))
	b = append(b, addr...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = append(b, byte(len(vs)), 0, 0, 0)
	for _, v := range vs {
		b = e.u16(b, v.result)
		b = e.u16(b, v.reason)
		b = e.syntax(b, v.syntax)
	}
	return e.pdu(t, whole, call, b, nil)
}

func (e enc) bindAck(call uint32, vs ...verdict) []byte {
	return e.verdicts(TypeBindAck, call, "1688\x00", vs...)
}

func (e enc) alterResp(call uint32, vs ...verdict) []byte {
	return e.verdicts(TypeAlterContextResp, call, "", vs...)
}

func (e enc) bindNak(call uint32, reason uint16) []byte {
	return e.pdu(TypeBindNak, whole, call, e.u16(nil, reason), nil)
}

func (e enc) requestAuth(flags uint8, call uint32, ctx, opnum uint16, stub string, v *verifier) []byte {
	b := e.u32(nil, uint32(len(stub)))
	b = e.u16(b, ctx)
	b = e.u16(b, opnum)
	return e.pdu(TypeRequest, flags, call, append(b, stub...), v)
}

func (e enc) request(flags uint8, call uint32, ctx, opnum uint16, stub string) []byte {
	return e.requestAuth(flags, call, ctx, opnum, stub, nil)
}

func (e enc) response(flags uint8, call uint32, ctx uint16, stub string) []byte {
	b := e.u32(nil, uint32(len(stub)))
	b = e.u16(b, ctx)
	b = append(b, 0, 0)
	return e.pdu(TypeResponse, flags, call, append(b, stub...), nil)
}

func (e enc) fault(flags uint8, call uint32, ctx uint16, status uint32) []byte {
	b := e.u32(nil, 32)
	b = e.u16(b, ctx)
	b = append(b, 0, 0)
	b = e.u32(b, status)
	return e.pdu(TypeFault, flags, call, append(b, 0, 0, 0, 0), nil)
}

// record writes down what a handler is told, a line each.
type record struct{ lines []string }

func (r *record) add(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// take gives the lines since the last take.
func (r *record) take() string {
	s := strings.Join(r.lines, "\n")
	r.lines = nil
	return s
}

func (r *record) PDU(side int, p *PDU, iface Syntax, known bool) {
	r.add("%d pdu %v call %d %s", side, p.Type, p.CallID, ifaceName(iface, known))
}

func (r *record) Verifier(side int, p *PDU) {
	r.add("verifier %d %v type %v level %v context %d token %d", side, p.Type, p.Auth.Type, p.Auth.Level, p.Auth.ContextID, len(p.Auth.Value))
}

func (r *record) Negotiation(n *Negotiation) {
	kind := "bind"
	if n.Alter {
		kind = "alter"
	}
	var items []string
	for _, c := range n.Contexts {
		s := fmt.Sprintf("%d=%s", c.ID, ifaceName(c.Abstract, true))
		if c.Answered {
			s += ":" + c.Result.String()
			if c.Result == Acceptance {
				s += "(" + transferName(c.Accepted) + ")"
			}
		}
		items = append(items, s)
	}
	s := fmt.Sprintf("%s %d %v [%s]", kind, n.CallID, n.State, strings.Join(items, " "))
	if n.State == NegotiationNak {
		s += " " + NakReasonName(n.NakReason)
	}
	if n.Status != 0 {
		s += " " + StatusName(n.Status)
	}
	r.add("%s @%d-%d", s, n.Request.Frame, n.Answer.Frame)
}

func (r *record) Request(c *Call) { r.add("request %s stub %s", callName(c), stubText(c.RequestStub)) }

func (r *record) Call(c *Call) {
	s := fmt.Sprintf("call %s %v %d/%d bytes %d/%d", callName(c), c.State, c.RequestFragments, c.ReplyFragments, c.RequestLen, c.ReplyLen)
	if c.State == CallFaulted || c.State == CallRejected {
		s += " " + StatusName(c.Status)
	}
	if c.RequestStub != nil || c.ReplyStub != nil {
		s += fmt.Sprintf(" stubs %s %s", stubText(c.RequestStub), stubText(c.ReplyStub))
	}
	for _, f := range []struct {
		set  bool
		name string
	}{{c.ReplyOnly, "replyonly"}, {c.Cancelled, "cancelled"}, {c.Orphaned, "orphaned"}, {c.Partial, "partial"}, {c.BigEndian, "big"}, {c.ReplyFragments > 0 && c.ReplyBig != c.BigEndian, "reply-in-the-other-order"}} {
		if f.set {
			s += " " + f.name
		}
	}
	r.add("%s @%d-%d", s, c.Request.Frame, c.Answer.Frame)
}

func (r *record) Anomaly(side int, a Anomaly, offset int) {
	mark := ""
	if a.Evasive() {
		mark = "!"
	}
	r.add("%d %v%s at %d", side, a, mark, offset)
}

func stubText(b []byte) string {
	if b == nil {
		return "nil"
	}
	return fmt.Sprintf("%q", b)
}

func ifaceName(s Syntax, known bool) string {
	if !known {
		return "?"
	}
	name, ok := LookupInterface(s.UUID)
	if !ok {
		name = s.UUID.String()
	}
	return fmt.Sprintf("%s/%d.%d", name, s.Major, s.Minor)
}

func transferName(s Syntax) string {
	switch s {
	case NDR32:
		return "ndr32"
	case NDR64:
		return "ndr64"
	}
	return s.UUID.String()
}

func callName(c *Call) string {
	s := fmt.Sprintf("%d ctx %d %s op %d", c.CallID, c.ContextID, ifaceName(c.Interface, c.Known), c.Opnum)
	switch {
	case c.Accepted && c.NDR64:
		s += " ndr64"
	case c.Accepted:
		s += " ndr32"
	case c.NDR64:
		s += " ndr64?"
	}
	return s
}

// talk is an association under test: each PDU is a frame of its own, counted
// from 1.
type talk struct {
	Assoc
	record
	cfg   Config
	frame uint64
}

func newTalk(cfg Config) *talk {
	t := &talk{cfg: cfg}
	t.Reset(&t.cfg)
	return t
}

// keepAll wants the stubs of every operation.
func keepAll(UUID, uint16) int { return 1 << 20 }

// client and server send PDUs, each in a segment.
func (t *talk) client(pdus ...[]byte) *talk { return t.send(0, pdus...) }
func (t *talk) server(pdus ...[]byte) *talk { return t.send(1, pdus...) }

func (t *talk) send(side int, pdus ...[]byte) *talk {
	for _, b := range pdus {
		t.frame++
		t.Data(side, b, true, t.at(), &t.record)
	}
	return t
}

func (t *talk) at() Point { return Point{Frame: t.frame, Time: int64(t.frame)} }

func (t *talk) end() string {
	t.End(t.at(), true, &t.record)
	return t.take()
}
