package decode

import (
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/smb"
	"kmswatch/decode/stream"
)

// smbFlow is a flow that carries SMB.
type smbFlow struct {
	conn   smb.Conn
	open   int // associations in its pipes
	weight int // excess of those, bytes
}

// smbCaller is who an SMB session belongs to: what a smb.Session's Owner is.
type smbCaller struct {
	exchange auth.Exchange
	begun    bool         // tokens went to exchange
	setup    dcerpc.Point // the first request of the setup that they are of
	granted  bool
	caller   *auth.Caller // of the setup that was granted last, of the last while none was
}

// callerOf gives what is known of a session's caller, which it makes at need.
func callerOf(x *smb.Session) *smbCaller {
	c, ok := x.Owner.(*smbCaller)
	if !ok {
		c = &smbCaller{caller: auth.Nobody}
		x.Owner = c
	}
	return c
}

// begin forgets what was said before the setup under way.
func (c *smbCaller) begin(x *smb.Session) {
	c.exchange.Reset(auth.Negotiate)
	c.begun, c.setup = true, x.Request
}

// smb gives bytes to a flow's SMB connection.
func (s *shard) smb(f *flow, dir stream.Dir, b []byte, boundary bool) int {
	used := f.smb.conn.Data(int(dir), b, boundary, s.point(), smbHandler{s})
	s.learn(f.smb.conn.Client())
	return used
}

func (s *shard) newSMB() *smbFlow {
	if x := s.smbs.take(); x != nil {
		return x
	}
	x := new(smbFlow)
	x.conn.Reset(&s.limits.smb)
	return x
}

// freeSMB takes a connection back.
func (s *shard) freeSMB(x *smbFlow) {
	x.conn.Reset(&s.limits.smb)
	x.open, x.weight = 0, 0
	s.smbs.put(x)
}

// smbHandler is the shard as smb.Handler sees it.
type smbHandler struct{ *shard }

// way gives the direction that the client, or the server, sends in.
func (s *shard) way(fromClient bool) stream.Dir {
	if fromClient {
		return s.cur.client
	}
	return s.cur.client ^ 1
}

// Message meets smb.Handler.
func (h smbHandler) Message(m *smb.Message) {
	h.learn(h.cur.smb.conn.Client())
	h.smbMessage.Message = m
	h.emit(&h.smbMessage, h.way(!m.Response))
}

// Token meets smb.Handler. The server's hint in its NEGOTIATE response says
// nothing of the caller.
func (h smbHandler) Token(x *smb.Session, fromClient bool, b []byte) {
	h.learn(h.cur.smb.conn.Client())
	c := callerOf(x)
	if !c.begun || c.setup != x.Request {
		c.begin(x)
	}
	h.token(&c.exchange, ProtoSMB, fromClient, b)
}

// Session meets smb.Handler.
func (h smbHandler) Session(x *smb.Session) {
	h.learn(h.cur.smb.conn.Client())
	if x.State == smb.LoggedOff {
		return
	}
	c := callerOf(x)
	granted := x.State == smb.Granted
	e := &h.session
	*e = Session{
		Ask: position(x.Request), Dialect: dialect(x, h.cur.smb.conn.Negotiated()), SessionID: x.ID, Caller: sessionCaller(c, x),
		Outcome: outcome(x.State), Status: x.Status,
		Null: granted && x.Null, Guest: granted && x.Guest, Encrypted: granted && x.Encrypt, Binding: x.Binding,
	}
	// Who is refused as another within a session stays who he was.
	if granted || !c.granted {
		c.caller, c.granted = e.Caller, granted
	}
	h.emit(e, h.cur.client^1)
}

func position(p dcerpc.Point) Position { return Position{p.File, p.Frame} }

// outcome is what came of something that SMB asks for.
func outcome(st smb.State) Outcome {
	switch st {
	case smb.Granted:
		return Accepted
	case smb.Refused:
		return Rejected
	case smb.Unanswered:
		return Unanswered
	}
	return Unknown
}

// dialect names the dialect of a session.
func dialect(x *smb.Session, n *smb.Negotiation) string {
	if x.Version == smb.Version1 {
		if n != nil {
			return n.DialectName
		}
		return ""
	}
	d := x.Dialect
	if d == 0 && n != nil {
		d = n.Dialect
	}
	switch d {
	case 0x0202:
		return "2.0.2"
	case 0x0210:
		return "2.1"
	case 0x0300:
		return "3.0"
	case 0x0302:
		return "3.0.2"
	case 0x0311:
		return "3.1.1"
	}
	return ""
}

// sessionCaller is the verdict on who a session belongs to: the tokens and what
// the server says, or the names and passwords of LANMAN's time. Of a setup whose
// request was not seen, the names are not empty but unknown.
func sessionCaller(c *smbCaller, x *smb.Session) *auth.Caller {
	switch {
	case x.Legs == 0:
	case !x.ExtendedSec:
		c.exchange.LanMan(x.Domain, x.Account, x.NTLength == 0 && (x.LMLength == 0 || x.LMZero))
	case c.begun && c.setup != x.Request:
		c.begin(x) // whose tokens were not read
	}
	switch x.State {
	case smb.Granted:
		c.exchange.Accept(true)
		if x.Null {
			c.exchange.Note(auth.NullSession)
		}
		if x.Guest {
			c.exchange.Note(auth.GuestSession)
		}
	case smb.Refused:
		c.exchange.Accept(false)
	}
	return c.exchange.Caller()
}

// Tree meets smb.Handler.
func (h smbHandler) Tree(t *smb.Tree) {
	h.learn(h.cur.smb.conn.Client())
	e := &h.tree
	*e = TreeConnect{
		Ask: position(t.Request), Share: upper(t.Share), Path: t.Path, SessionID: t.Session.ID,
		Caller: callerOf(t.Session).caller, Outcome: outcome(t.State), Status: t.Status,
	}
	h.emit(e, h.cur.client^1)
}

// Open meets smb.Handler.
func (h smbHandler) Open(p *smb.Pipe) {
	h.learn(h.cur.smb.conn.Client())
	as := Association{
		ID: AssociationID{Flow: h.cur.ID, Pipe: p.ID}, Transport: TransportPipe,
		Pipe: p.Name, Caller: callerOf(p.Session).caller,
	}
	if p.Known {
		e := &h.pipeOpen
		*e = PipeOpen{Association: as, Ask: position(p.Request), Outcome: outcome(p.State), Status: p.Status}
		h.emit(e, h.cur.client^1)
	}
	if p.State == smb.Granted || !p.Known {
		h.pipe(p)
	}
}

// pipe gives the association of a pipe.
func (s *shard) pipe(p *smb.Pipe) *association {
	if a, ok := p.Owner.(*association); ok {
		return a
	}
	a := s.newAssociation(Association{
		ID: AssociationID{Flow: s.cur.ID, Pipe: p.ID}, Transport: TransportPipe,
		Pipe: p.Name, Caller: callerOf(p.Session).caller,
	})
	if p.Known {
		a.rpc.FromStart()
	}
	p.Owner = a
	s.cur.smb.open++
	return a
}

// Sides of the association in a pipe.
const (
	pipeClient = 0
	pipeServer = 1
)

func pipeSide(fromClient bool) int {
	if fromClient {
		return pipeClient
	}
	return pipeServer
}

// Data meets smb.Handler. A pipe may carry what is not DCE/RPC.
func (h smbHandler) Data(p *smb.Pipe, fromClient bool, b []byte, boundary bool, at dcerpc.Point) int {
	a := h.pipe(p)
	h.assoc = a
	if !a.sure {
		switch dcerpc.Probe(b) {
		case dcerpc.No:
			return len(b)
		case dcerpc.More:
			return 0
		}
		a.sure = true
	}
	pdus := a.rpc.PDUs()
	used := a.rpc.Data(pipeSide(fromClient), b, boundary, at, rpcHandler(h))
	h.stats.PDUs += a.rpc.PDUs() - pdus
	n := a.excess()
	h.cur.smb.weight += n - a.weight
	a.weight = n
	return used
}

// PipeGap meets smb.Handler.
func (h smbHandler) PipeGap(p *smb.Pipe, fromClient bool) {
	if a, ok := p.Owner.(*association); ok {
		h.assoc = a
		a.rpc.Gap(pipeSide(fromClient), h.point(), rpcHandler(h))
	}
}

// PipeEnd meets smb.Handler.
func (h smbHandler) PipeEnd(p *smb.Pipe, over bool) {
	a, ok := p.Owner.(*association)
	if !ok {
		return
	}
	h.assoc = a
	a.rpc.End(h.point(), over, rpcHandler(h))
	p.Owner = nil
	h.cur.smb.open--
	h.cur.smb.weight -= a.weight
	h.freeAssociation(a)
}

// Opaque meets smb.Handler.
func (h smbHandler) Opaque(x *smb.Session, fromClient bool, what smb.Opacity) {
	h.learn(h.cur.smb.conn.Client())
	h.opaque.Protocol, h.opaque.What = ProtoSMB, "smb3-"+what.String()
	h.emit(&h.opaque, h.way(fromClient))
}

// Anomaly meets smb.Handler.
func (h smbHandler) Anomaly(side int, a smb.Anomaly, offset int) {
	h.tell(ProtoSMB, a.String(), a.Evasive(), offset, stream.Dir(side))
}

// upper gives s in upper case as far as ASCII goes. Names that are so already,
// as Windows sends them, cost nothing.
func upper(s string) string {
	for i := range len(s) {
		if c := s[i]; 'a' <= c && c <= 'z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if c := b[i]; 'a' <= c && c <= 'z' {
					b[i] = c - 'a' + 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
