package decode

import (
	"kmswatch/decode/auth"
	"kmswatch/decode/ldap"
	"kmswatch/decode/stream"
)

// directory is a flow that carries LDAP.
type directory struct {
	conn     ldap.Conn
	exchange auth.Exchange
	begun    bool // tokens of a bind went to exchange
}

// ldap gives bytes to a flow's LDAP connection.
func (s *shard) ldap(f *flow, dir stream.Dir, b []byte, boundary bool) int {
	used := f.ldap.conn.Data(int(dir), b, boundary, s.point(), ldapHandler{s})
	s.learnLDAPClient()
	return used
}

// ldapDatagram takes a datagram of CLDAP, MS-ADTS 6.3.3.
func (s *shard) ldapDatagram(f *flow, dir stream.Dir, b []byte) {
	if f.ldap == nil {
		f.ldap = s.newLDAP()
	}
	if s.cut {
		f.ldap.conn.Cut(int(dir), b, s.point(), ldapHandler{s})
	} else {
		f.ldap.conn.Datagram(int(dir), b, s.point(), ldapHandler{s})
	}
	s.learnLDAPClient()
}

// learnLDAPClient is learn for LDAP. In datagrams, which are cheap to send
// and to ignore, the port says more than they do.
func (s *shard) learnLDAPClient() {
	f := s.cur
	if f.Proto == udp && f.Server.Port == portLDAP && f.Client.Port != portLDAP {
		return
	}
	s.learn(f.ldap.conn.Client())
}

func (s *shard) newLDAP() *directory {
	if d := s.ldaps.take(); d != nil {
		return d
	}
	d := new(directory)
	d.conn.Reset(&s.limits.ldap)
	return d
}

// freeLDAP takes a connection back.
func (s *shard) freeLDAP(d *directory) {
	d.conn.Reset(&s.limits.ldap)
	d.exchange.Reset(auth.NoMechanism)
	d.begun = false
	s.ldaps.put(d)
}

// ldapHandler is the shard as ldap.Handler sees it.
type ldapHandler struct{ *shard }

// Message meets ldap.Handler.
func (h ldapHandler) Message(side int, m *ldap.Message) {
	h.learnLDAPClient()
	h.ldapMessage.Message = m
	h.emit(&h.ldapMessage, stream.Dir(side))
}

// Token meets ldap.Handler.
func (h ldapHandler) Token(fromClient bool, mechanism string, b []byte) {
	h.learnLDAPClient()
	d := h.cur.ldap
	if !d.begun {
		d.exchange.Reset(saslMechanism(mechanism))
		d.begun = true
	}
	h.token(&d.exchange, ProtoLDAP, fromClient, b)
}

// Bind meets ldap.Handler.
func (h ldapHandler) Bind(b *ldap.Bind) {
	h.learnLDAPClient()
	d := h.cur.ldap
	e := &h.ldapBind
	*e = LDAPBind{
		Ask: position(b.Request), Name: b.Name, Mechanism: b.Mechanism,
		Caller: binder(d, b), Result: uint32(b.Result),
	}
	switch b.Kind {
	case ldap.UnauthenticatedBind:
		e.Method = LDAPUnauthenticated
	case ldap.SimpleBind:
		e.Method = LDAPSimple
	case ldap.SASLBind:
		e.Method = LDAPSASL
	case ldap.SicilyBind:
		e.Method = LDAPSicily
	case ldap.UnknownBind:
		e.Method = LDAPUnknown
	}
	switch b.Outcome {
	case ldap.Accepted:
		e.Outcome = Accepted
		identity := d.conn.Identity()
		if e.Caller.Kind == auth.Anonymous {
			identity = ldap.Anonymous
		}
		d.conn.Identify(identity, e.Caller)
	case ldap.Refused:
		e.Outcome = Rejected
	case ldap.Unanswered, ldap.Unfinished:
		e.Outcome = Unanswered
	}
	d.begun = false
	h.emit(e, h.cur.client^1)
}

// binder is the verdict on who a bind is of.
func binder(d *directory, b *ldap.Bind) *auth.Caller {
	x := &d.exchange
	switch b.Kind {
	case ldap.AnonymousBind, ldap.UnauthenticatedBind, ldap.SimpleBind:
		x.Simple([]byte(b.Name), b.Kind == ldap.SimpleBind)
	default:
		if !d.begun {
			x.Reset(saslMechanism(b.Mechanism))
		}
	}
	switch b.Outcome {
	case ldap.Accepted:
		x.Accept(true)
	case ldap.Refused:
		x.Accept(false)
	}
	return x.Caller()
}

// saslMechanism is what the name of a mechanism says that its tokens are.
func saslMechanism(name string) auth.Mechanism {
	if name == "sicily" {
		return auth.NTLM
	}
	return auth.SASL([]byte(name))
}

// Search meets ldap.Handler.
func (h ldapHandler) Search(x *ldap.Search) {
	h.learnLDAPClient()
	e := &h.ldapSearch
	*e = LDAPSearch{
		Ask: position(x.Request), Base: x.Base, Scope: uint8(x.Scope),
		RootDSE: x.RootDSE, NetlogonPing: x.NetlogonPing, Entries: x.Entries, Result: uint32(x.Result),
	}
	who, bound := x.Owner.(*auth.Caller)
	switch {
	case x.Identity == ldap.UnknownIdentity, x.Identity == ldap.Authenticated && !bound:
		e.Caller = auth.Nobody
	case x.Identity == ldap.Anonymous && (!bound || who.Kind != auth.Anonymous):
		e.Caller = auth.Unbound
	default:
		e.Caller = who
	}
	switch {
	case x.Outcome == ldap.Answered && x.HasResult && x.Result != 0:
		e.Outcome = Refused
	case x.Outcome == ldap.Answered:
		e.Outcome = Answered
	case x.Outcome == ldap.Unanswered:
		e.Outcome = Unanswered
	}
	h.emit(e, h.cur.client^1)
}

// Opaque meets ldap.Handler.
func (h ldapHandler) Opaque(why ldap.Opaque) {
	h.opaque.Protocol, h.opaque.What = ProtoLDAP, why.String()
	h.emit(&h.opaque, h.cur.client)
	if h.limits.steer != nil {
		h.letGo(h.cur) // it stays hidden until the flow ends
	}
}

// Anomaly meets ldap.Handler.
func (h ldapHandler) Anomaly(side int, a ldap.Anomaly, offset int) {
	h.tell(ProtoLDAP, a.String(), a.Evasive(), offset, stream.Dir(side))
}
