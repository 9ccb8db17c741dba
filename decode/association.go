package decode

import (
	"slices"
	"unsafe"

	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
)

// association is an association with who asks on it.
type association struct {
	Association // as events give it; Caller is who asks without a verifier
	rpc         dcerpc.Assoc
	security    []security // security contexts, oldest first
	crowded     bool       // there were more of them than are kept
	sure        bool       // of a pipe: its bytes are DCE/RPC
	weight      int        // of a pipe: its excess when it was asked last
}

// maxSecurity bounds the security contexts of an association. Windows clients
// have one, and one more for each level that they want.
const maxSecurity = 8

// security is a security context of an association (MS-RPCE 3.3.1.5.2.1).
type security struct {
	id       uint32
	kind     dcerpc.AuthType
	level    dcerpc.AuthLevel
	begun    Position // frame of the bind or alter_context that it goes back to
	call     uint32   // call id of that
	ask      Position // frame of the client's last token
	exchange auth.Exchange
	stands   bool // it is the one of its id: none was before it, or the server took it
	settled  bool // the server's word was told, or seen
}

// reset makes the association new for a flow or pipe.
func (a *association) reset(as Association, cfg *dcerpc.Config) {
	a.Association, a.sure, a.crowded, a.weight = as, false, false, 0
	a.rpc.Reset(cfg)
	clear(a.security) // what it holds of names goes
	a.security = a.security[:0]
}

// excess tells how many bytes the association holds beyond what every one does.
func (a *association) excess() int {
	n := -light
	for i := range a.security {
		n += int(unsafe.Sizeof(security{})) + a.security[i].exchange.Size()
	}
	return a.rpc.Excess() + max(n, 0)
}

// context gives the security context of an id that requests go by, or nil.
func (a *association) context(id uint32) *security {
	for i := len(a.security) - 1; i >= 0; i-- {
		if c := &a.security[i]; c.id == id && c.stands {
			return c
		}
	}
	return nil
}

// newest gives the security context of an id that was begun last, or nil.
func (a *association) newest(id uint32) *security {
	for i := len(a.security) - 1; i >= 0; i-- {
		if a.security[i].id == id {
			return &a.security[i]
		}
	}
	return nil
}

// securityOf gives the security context that the token of a PDU belongs to. A
// bind or alter_context begins one or goes on with one; what comes of it stands
// once the server has taken it, see answered.
func (a *association) securityOf(p *dcerpc.PDU, at Position) *security {
	fromClient, _ := p.Type.FromClient()
	c := a.newest(p.Auth.ContextID)
	if c == nil || p.Type == dcerpc.TypeBind || p.Type == dcerpc.TypeAlterContext {
		n := security{id: p.Auth.ContextID, kind: p.Auth.Type, level: p.Auth.Level}
		if c != nil && !c.settled && c.kind == n.kind {
			n = *c
		} else {
			n.exchange.Reset(auth.AuthType(uint8(p.Auth.Type)))
		}
		n.begun, n.call, n.level, n.stands = at, p.CallID, p.Auth.Level, c == nil
		if len(a.security) == maxSecurity {
			a.crowded = true
			i := a.leastSecurity()
			a.security = append(a.security[:i], a.security[i+1:]...)
		}
		a.security = append(a.security, n)
		c = &a.security[len(a.security)-1]
	}
	if fromClient {
		c.ask = at
	}
	return c
}

// leastSecurity gives the index of the security context to forget first: one
// that the server has not taken, then one of which no call was, then the oldest.
func (a *association) leastSecurity() int {
	for i := range a.security {
		if !a.security[i].stands {
			return i
		}
	}
	for i := range a.security {
		if !a.security[i].settled {
			return i
		}
	}
	return 0
}

// begunBy gives the security context that a bind or alter_context began, nil if
// there is none.
func (a *association) begunBy(n *dcerpc.Negotiation) *security {
	for i := range a.security {
		if c := &a.security[i]; c.id == n.Auth.ContextID && c.call == n.CallID && c.begun == position(n.Request) {
			return c
		}
	}
	return nil
}

// answered notes the server's word on a bind or alter_context. What it refuses,
// and that to which it gives no answer, leaves the security context of before.
func (a *association) answered(n *dcerpc.Negotiation, lossy bool) {
	c := a.begunBy(n)
	if c == nil {
		return
	}
	begun, call, id := c.begun, c.call, c.id
	isIt := func(o *security) bool { return o.begun == begun && o.call == call && o.id == id }
	switch {
	case n.State == dcerpc.NegotiationNak, n.State == dcerpc.NegotiationRejected && n.Status != 0:
		a.security = slices.DeleteFunc(a.security, func(o security) bool { return isIt(&o) })
	case n.State == dcerpc.NegotiationAccepted, n.State == dcerpc.NegotiationRejected, lossy:
		c.stands = true
		a.security = slices.DeleteFunc(a.security, func(o security) bool { return o.id == id && o.stands && !isIt(&o) })
	}
}

// securityOfCall gives the security context that a call stands on, or nil. A
// verifier names it. Without one it is that at the level connect, of which
// requests have no sign (MS-RPCE 2.2.1.1.8), once the client has said who it is.
func (a *association) securityOfCall(v *dcerpc.Auth, lossy bool) *security {
	if verified(v) {
		return a.context(v.ContextID)
	}
	for i := len(a.security) - 1; i >= 0; i-- {
		c := &a.security[i]
		if c.stands && c.level == dcerpc.LevelConnect && (lossy || c.exchange.Told() || c.exchange.Caller().Mechanism != auth.NTLM) {
			return c
		}
	}
	return nil
}

// caller gives who makes a call: whoever its security context is of, else
// whoever the transport says. lossy tells that the capture lacks bytes.
func (a *association) caller(c *dcerpc.Call, lossy bool) *auth.Caller {
	if c.ReplyOnly {
		return auth.Nobody // its verifier was not seen
	}
	if lossy && cutOff(&c.Auth) {
		return a.only()
	}
	sec := a.securityOfCall(&c.Auth, lossy)
	switch {
	case sec == nil && verified(&c.Auth):
		return auth.Nobody // its authentication was not seen
	case sec == nil:
		return a.Caller
	}
	who := sec.exchange.Caller()
	if who.Accepted == auth.No && !verified(&c.Auth) && c.State == dcerpc.CallAnswered {
		return a.Caller // whom the server refused it does not answer
	}
	return who
}

// only gives the caller of the one security context that there is.
func (a *association) only() *auth.Caller {
	if len(a.security) != 1 {
		return auth.Nobody
	}
	return a.security[0].exchange.Caller()
}

// cutOff tells whether a PDU has a verifier that the snap length cut off.
func cutOff(v *dcerpc.Auth) bool {
	return v.Present && v.Type == dcerpc.AuthNone && v.Level == 0
}

// verified tells whether a PDU has the verifier of a security provider.
func verified(v *dcerpc.Auth) bool {
	return v.Present && v.Type != dcerpc.AuthNone && v.Level != dcerpc.LevelNone
}

// bindCaller gives who asks for an interface: whoever the tokens name by then.
func (a *association) bindCaller(n *dcerpc.Negotiation) *auth.Caller {
	switch {
	case n.Cut && cutOff(&n.Auth):
		return a.only()
	case !verified(&n.Auth):
		return a.Caller
	}
	c := a.begunBy(n)
	if c == nil {
		c = a.context(n.Auth.ContextID)
	}
	if c == nil {
		return auth.Nobody
	}
	return c.exchange.Caller()
}

// newAssociation gives an association for a flow or one of its pipes.
func (s *shard) newAssociation(as Association) *association {
	a := s.assocs.take()
	if a == nil {
		a = new(association)
	}
	a.reset(as, &s.limits.rpc)
	return a
}

// freeAssociation takes an association back.
func (s *shard) freeAssociation(a *association) {
	a.reset(Association{}, &s.limits.rpc)
	s.assocs.put(a)
}

// token gives a token to the authentication that it is of. Carrier is what
// carries it.
func (s *shard) token(x *auth.Exchange, carrier Protocol, fromClient bool, b []byte) {
	x.Share(&s.tokens)
	a := x.Token(fromClient, b)
	dir := s.way(fromClient)
	if s.limits.messages {
		e := &s.tokenMessage
		e.Carrier, e.Tokens = carrier, &s.tokens
		e.Association = Association{}
		if carrier == ProtoDCERPC {
			e.Association = s.assoc.Association
		}
		s.emit(e, dir)
	}
	if a != 0 {
		s.tell(tokenProtocol(a), a.String(), a.Evasive(), 0, dir)
	}
}

// tokenProtocol gives whose anomaly it is.
func tokenProtocol(a auth.Anomaly) Protocol {
	switch a.Protocol() {
	case "spnego":
		return ProtoSPNEGO
	case "kerberos":
		return ProtoKerberos
	}
	return ProtoNTLMSSP
}

// lossy tells whether the capture of the current flow lacks bytes.
func (s *shard) lossy() bool { return s.cur.Quality&(Cut|BytesMissing) != 0 }

// settle notes what a call's answer says of the authentication that it stands
// on, and tells of it: once, or twice where a refusal was not its end. AUTH3 has
// no answer: the next call's is its.
func (s *shard) settle(a *association, c *dcerpc.Call) {
	if len(a.security) == 0 || c.ReplyOnly || cutOff(&c.Auth) {
		return
	}
	sec := a.securityOfCall(&c.Auth, s.lossy())
	if sec == nil {
		return
	}
	refused := false
	switch c.State {
	case dcerpc.CallAnswered:
	case dcerpc.CallFaulted, dcerpc.CallRejected:
		refused = refusesCaller(c.Status)
	default:
		return
	}
	// A verifier that the server answers is one that it took, whatever it
	// refused before.
	if sec.settled && (refused || !verified(&c.Auth) || sec.exchange.Caller().Accepted != auth.No) {
		return
	}
	sec.exchange.Accept(!refused)
	if refused {
		s.settled(a, sec, Rejected, c.Status)
	} else {
		s.settled(a, sec, Accepted, 0)
	}
}

// refusesCaller tells whether a fault is about who asks: access denied, a bad
// credential, or an error of the security provider (MS-RPCE 3.3.3.5.2, MS-ERREF).
func refusesCaller(status uint32) bool {
	switch status {
	case 5, // ERROR_ACCESS_DENIED
		0x721,      // RPC_S_SEC_PKG_ERROR
		0x52e,      // ERROR_LOGON_FAILURE
		0x1c00001d, // nca_unsupported_authn_level
		0x1c01000b, // nca_proto_error: Samba's answer to a call behind an AUTH3 that failed
		0xc0000022, // STATUS_ACCESS_DENIED
		0xc000006d, // STATUS_LOGON_FAILURE
		0x8009030c: // SEC_E_LOGON_DENIED
		return true
	}
	return false
}

// settled tells of the end of an authentication.
func (s *shard) settled(a *association, sec *security, out Outcome, status uint32) {
	sec.settled = true
	e := &s.auth
	e.Association = a.Association
	e.Caller = sec.exchange.Caller()
	e.Ask, e.Level, e.Outcome, e.Status = sec.ask, sec.level, out, status
	s.emit(e, s.cur.client^1)
}
