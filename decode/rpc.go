package decode

import (
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/kms"
	"kmswatch/decode/stream"
	"kmswatch/decode/stub"
)

// associationOf gives the association that a flow itself is.
func (s *shard) associationOf(f *flow, t Transport) *association {
	return s.newAssociation(Association{ID: AssociationID{Flow: f.ID}, Transport: t, Caller: auth.Unverified})
}

// rpc gives bytes to a flow's association.
func (s *shard) rpc(f *flow, dir stream.Dir, b []byte, boundary bool) int {
	s.assoc = f.assoc
	pdus := f.assoc.rpc.PDUs()
	used := f.assoc.rpc.Data(int(dir), b, boundary, s.point(), rpcHandler{s})
	s.stats.PDUs += f.assoc.rpc.PDUs() - pdus
	s.learn(f.assoc.rpc.Client())
	return used
}

// learn takes the messages' word on who is the client of the current flow, where
// no handshake told. They may yet come to say otherwise.
func (s *shard) learn(side int, known bool) {
	if f := s.cur; known && !f.sure && stream.Dir(side) != f.client {
		s.setClient(f, stream.Dir(side), false)
	}
}

// learnRPCClient is learn for what associations tell of. On a pipe it is SMB that
// knows.
func (s *shard) learnRPCClient() {
	if f := s.cur; f.assoc != nil {
		s.learn(f.assoc.rpc.Client())
	}
}

// dirOf gives the direction that a side of the association sends in.
func (s *shard) dirOf(side int) stream.Dir {
	if s.assoc.Transport == TransportPipe {
		return s.way(side == pipeClient)
	}
	return stream.Dir(side)
}

// PDU meets dcerpc.Handler.
func (s *shard) PDU(side int, p *dcerpc.PDU, iface dcerpc.Syntax, known bool) {
	s.learnRPCClient()
	s.pdu.Association = s.assoc.Association
	s.pdu.PDU, s.pdu.Interface, s.pdu.Known = p, iface, known
	s.emit(&s.pdu, s.dirOf(side))
}

// Verifier meets dcerpc.Handler. What the client sends in the server's name is
// not the server's word.
func (s *shard) Verifier(side int, p *dcerpc.PDU) {
	s.learnRPCClient()
	f, a := s.cur, s.assoc
	dir := s.dirOf(side)
	fromClient, _ := p.Type.FromClient()
	if (f.sure || a.Transport == TransportPipe) && fromClient != (dir == f.client) {
		return
	}
	crowded := a.crowded
	s.token(&a.securityOf(p, s.pos).exchange, ProtoDCERPC, fromClient, p.Auth.Value)
	if a.crowded && !crowded {
		s.tell(ProtoDCERPC, dcerpc.TooManySecurity.String(), dcerpc.TooManySecurity.Evasive(), dcerpc.HeaderSize, dir)
	}
}

// Negotiation meets dcerpc.Handler.
func (s *shard) Negotiation(n *dcerpc.Negotiation) {
	s.learnRPCClient()
	f := s.cur
	e := &s.bind
	e.Association = s.assoc.Association
	e.Caller = s.assoc.bindCaller(n)
	e.Request = Position{n.Request.File, n.Request.Frame}
	e.Alter, e.CallID = n.Alter, n.CallID
	e.Contexts = n.Contexts
	e.Auth = n.Auth
	e.Auth.Value = nil
	e.Group, e.MaxXmit, e.MaxRecv = n.Group, n.MaxXmit, n.MaxRecv
	e.Secondary = n.Secondary
	e.NakReason = n.NakReason
	e.Negotiation = *n
	switch n.State {
	case dcerpc.NegotiationAccepted:
		e.Outcome = Accepted
	case dcerpc.NegotiationRejected:
		e.Outcome = Rejected
	case dcerpc.NegotiationNak:
		e.Outcome = Nak
	case dcerpc.NegotiationUnanswered:
		e.Outcome = Unanswered
	default:
		e.Outcome = Unknown
	}
	s.emit(e, f.client^1)
	if verified(&n.Auth) {
		s.assoc.answered(n, s.lossy())
	}
}

// Request meets dcerpc.Handler: a request whose stub was wanted is whole.
func (s *shard) Request(c *dcerpc.Call) {
	if !s.limits.messages || c.RequestStub == nil || !s.isKMS(c) {
		return
	}
	e := &s.kmsMessage
	e.Association = s.assoc.Association
	e.CallID = c.CallID
	e.Anomaly = s.request.Decode(c.RequestStub, c.NDR64, c.BigEndian)
	e.Request, e.Response = &s.request, nil
	s.emit(e, s.cur.client)
}

// Call meets dcerpc.Handler.
func (s *shard) Call(c *dcerpc.Call) {
	f := s.cur
	s.stats.Calls++
	s.settle(s.assoc, c)
	e := &s.call
	e.Association = s.assoc.Association
	e.Caller = s.assoc.caller(c, s.lossy())
	e.Request = Position{c.Request.File, c.Request.Frame}
	e.Answer = Position{c.Answer.File, c.Answer.Frame}
	e.Asked = c.Request.Time
	e.CallID, e.ContextID, e.Opnum = c.CallID, c.ContextID, c.Opnum
	e.Interface, e.Known, e.Accepted, e.NDR64 = c.Interface, c.Known, c.Accepted, c.NDR64
	e.HasObject, e.Object = c.HasObject, c.Object
	e.Auth = c.Auth
	e.Auth.Value = nil
	e.Status = c.Status
	e.RequestLen, e.ReplyLen = c.RequestLen, c.ReplyLen
	e.Fragments = [2]int{c.RequestFragments, c.ReplyFragments}
	switch c.State {
	case dcerpc.CallAnswered:
		e.Outcome = Answered
	case dcerpc.CallFaulted:
		e.Outcome = Faulted
	case dcerpc.CallRejected:
		e.Outcome = Rejected
	case dcerpc.CallUnanswered:
		e.Outcome = Unanswered
	default:
		e.Outcome = Unknown
	}
	e.Arguments, e.Returned, e.Return, e.Failed = nil, false, 0, false
	if c.RequestStub != nil && c.Known {
		s.arguments(e, c)
	}
	if c.HasTail && c.Known && e.Outcome == Answered {
		r := stub.ResultOf(c.Interface.UUID, c.Opnum, c.Tail)
		e.Returned, e.Return, e.Failed = r.HasStatus, r.Status, r.Failed
	}
	if s.isKMS(c) {
		s.kmsExchange(c, e.Outcome)
	}
	s.emit(e, f.client^1)
	if c.Known && c.Interface.UUID == dcerpc.EPMapper && c.ReplyStub != nil {
		s.endpoints(c)
	}
}

// arguments reads what rules want to know of a call.
func (s *shard) arguments(e *Call, c *dcerpc.Call) {
	u := c.Interface.UUID
	if stub.Wanted(u, c.Opnum) == 0 {
		return
	}
	// A stub that breaks its form is an attack's as likely as not, and is told of
	// with what could be read.
	if a := s.args.Decode(u, c.Opnum, c.RequestStub, c.NDR64, c.BigEndian); a != 0 {
		s.anomaly.Ask = e.Request
		s.tell(ProtoStub, a.String(), false, 0, s.cur.client)
		s.anomaly.Ask = Position{}
	}
	e.Arguments = &s.args
}

// isKMS tells whether a call is on the KMS interface. Where the bind was not
// seen, a call on a KMS port whose stub is a KMS request in every byte is taken
// for one, in the transfer syntax in which it is.
func (s *shard) isKMS(c *dcerpc.Call) bool {
	if c.Opnum != 0 {
		return false
	}
	if c.Known {
		return c.Interface.UUID == dcerpc.KMS
	}
	if c.RequestStub == nil || !s.ports.kms.has(s.cur.Server.Port) {
		return false
	}
	for _, ndr64 := range [...]bool{false, true} {
		if s.request.Decode(c.RequestStub, ndr64, c.BigEndian) == 0 {
			c.NDR64 = ndr64
			return true
		}
	}
	return false
}

// kmsExchange tells of the exchange that a call on the KMS interface is.
func (s *shard) kmsExchange(c *dcerpc.Call, out Outcome) {
	f := s.cur
	s.stats.Exchanges++
	e := &s.exchange
	e.Association = s.assoc.Association
	e.Caller = s.assoc.caller(c, s.lossy())
	e.Ask, e.Asked = Position{c.Request.File, c.Request.Frame}, c.Request.Time
	e.Outcome, e.Status, e.Anomaly = out, c.Status, 0
	e.HasRequest = !c.ReplyOnly && c.RequestStub != nil
	if e.HasRequest {
		if a := e.Request.Decode(c.RequestStub, c.NDR64, c.BigEndian); a != 0 {
			e.Anomaly = a
			s.anomaly.Ask = e.Ask
			s.tell(ProtoKMS, a.String(), false, 0, f.client)
			s.anomaly.Ask = Position{}
		}
	} else {
		e.Request = kms.Request{}
	}
	e.HasResponse = out == Answered && c.ReplyStub != nil
	if e.HasResponse {
		a := e.Response.Decode(c.ReplyStub, c.NDR64, c.ReplyBig)
		if s.limits.messages {
			s.kmsResponse(c, a)
		}
		if a != 0 {
			if e.Anomaly == 0 {
				e.Anomaly = a
			}
			s.tell(ProtoKMS, a.String(), false, 0, f.client^1)
		} else if e.Response.HResult != 0 {
			e.Outcome, e.Status = Refused, e.Response.HResult
		}
	} else {
		e.Response = kms.Response{}
	}
	s.emit(e, f.client^1)
}

func (s *shard) kmsResponse(c *dcerpc.Call, a kms.Anomaly) {
	m := &s.kmsMessage
	m.Association = s.assoc.Association
	s.response = s.exchange.Response
	m.CallID, m.Request, m.Response, m.Anomaly = c.CallID, nil, &s.response, a
	s.emit(m, s.cur.client^1)
}

// Anomaly meets stream.Receiver.
func (s *shard) Anomaly(dir stream.Dir, a stream.Anomaly) {
	if s.cur.closed {
		s.late = a // its end was told; what goes on is another flow
		return
	}
	s.tell(ProtoTCP, a.String(), a.Evasive(), 0, dir)
}

// rpcHandler is the shard as dcerpc.Handler sees it: the shard's own Anomaly
// is that of stream.Receiver.
type rpcHandler struct{ *shard }

// Anomaly meets dcerpc.Handler.
func (h rpcHandler) Anomaly(side int, a dcerpc.Anomaly, offset int) {
	h.tell(ProtoDCERPC, a.String(), a.Evasive(), offset, h.dirOf(side))
}
