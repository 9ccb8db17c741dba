package decode

import (
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
)

// association is an association with who asks on it.
type association struct {
	Association // as events give it; Caller is who asks without a verifier
	rpc         dcerpc.Assoc
	security    []security // security contexts, oldest first
	sure        bool       // of a pipe: its bytes are DCE/RPC
}

// maxSecurity bounds the security contexts of an association. Windows clients
// have one, and one more for each level that they want.
const maxSecurity = 8

// security is a security context of an association (MS-RPCE 3.3.1.5.2.1).
type security struct {
	id       uint32
	kind     dcerpc.AuthType
	level    dcerpc.AuthLevel
	ask      Position // frame of the client's last token
	exchange auth.Exchange
	settled  bool // the server's word was told, or seen
}

// reset makes the association new for a flow or pipe.
func (a *association) reset(as Association, cfg *dcerpc.Config) {
	a.Association, a.sure = as, false
	a.rpc.Reset(cfg)
	clear(a.security) // what it holds of names goes
	a.security = a.security[:0]
}

// context gives the security context of an id, or nil.
func (a *association) context(id uint32) *security {
	for i := len(a.security) - 1; i >= 0; i-- {
		if a.security[i].id == id {
			return &a.security[i]
		}
	}
	return nil
}

// securityOf gives the security context that the token of a PDU belongs to. It
// begins with a bind or alter_context.
func (a *association) securityOf(p *dcerpc.PDU, at Position) *security {
	fromClient, _ := p.Type.FromClient()
	c := a.context(p.Auth.ContextID)
	begins := p.Type == dcerpc.TypeBind || p.Type == dcerpc.TypeAlterContext
	if c == nil || begins && (c.settled || c.kind != p.Auth.Type) {
		if len(a.security) == maxSecurity {
			a.security = append(a.security[:0], a.security[1:]...)
		}
		a.security = append(a.security, security{id: p.Auth.ContextID, kind: p.Auth.Type, level: p.Auth.Level})
		c = &a.security[len(a.security)-1]
		c.exchange.Reset(auth.AuthType(uint8(p.Auth.Type)))
	}
	if fromClient {
		c.ask, c.level = at, p.Auth.Level
	}
	return c
}

// caller gives who makes a call. A verifier names its security context. Without
// one it is who authenticated at the level connect, of which requests have no
// sign (MS-RPCE 2.2.1.1.8), else whoever the transport says.
func (a *association) caller(v *dcerpc.Auth) *auth.Caller {
	if verified(v) {
		if c := a.context(v.ContextID); c != nil {
			return c.exchange.Caller()
		}
		return auth.Nobody // its authentication was not seen
	}
	for i := len(a.security) - 1; i >= 0; i-- {
		if c := &a.security[i]; c.level == dcerpc.LevelConnect {
			return c.exchange.Caller() // also where the server refused it: it is not nobody for that
		}
	}
	return a.Caller
}

// verified tells whether a PDU has the verifier of a security provider.
func verified(v *dcerpc.Auth) bool {
	return v.Present && v.Type != dcerpc.AuthNone && v.Level != dcerpc.LevelNone
}

// bindCaller gives who asks for an interface: whoever the tokens name by then.
func (a *association) bindCaller(v *dcerpc.Auth) *auth.Caller {
	if !verified(v) {
		return a.Caller
	}
	return a.caller(v)
}

// newAssociation gives an association for a flow or one of its pipes.
func (s *shard) newAssociation(as Association) *association {
	var a *association
	if n := len(s.assocs); n > 0 {
		a = s.assocs[n-1]
		s.assocs = s.assocs[:n-1]
	} else {
		a = new(association)
	}
	a.reset(as, &s.limits.rpc)
	return a
}

// maxFreeAssocs is how many associations a shard keeps for flows to come.
const maxFreeAssocs = 64

// freeAssociation takes an association back. It is reset at once: an idle one
// keeps little memory, one that has just ended may hold a lot.
func (s *shard) freeAssociation(a *association) {
	if len(s.assocs) < maxFreeAssocs {
		a.reset(Association{}, &s.limits.rpc)
		s.assocs = append(s.assocs, a)
	}
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

// settle notes what a call's answer says of the authentication that it stands
// on, and tells of it once. AUTH3 has no answer: the next call's is its.
func (s *shard) settle(a *association, c *dcerpc.Call) {
	if len(a.security) == 0 {
		return
	}
	sec := a.context(c.Auth.ContextID)
	if !verified(&c.Auth) {
		sec = nil
		for i := range a.security {
			if a.security[i].level == dcerpc.LevelConnect {
				sec = &a.security[i]
			}
		}
	}
	if sec == nil || sec.settled {
		return
	}
	switch c.State {
	case dcerpc.CallAnswered:
		sec.exchange.Accept(true)
		s.settled(a, sec, Accepted, 0)
	case dcerpc.CallFaulted, dcerpc.CallRejected:
		if refusesCaller(c.Status) {
			sec.exchange.Accept(false)
			s.settled(a, sec, Rejected, c.Status)
		} else {
			sec.exchange.Accept(true)
			s.settled(a, sec, Accepted, 0)
		}
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
