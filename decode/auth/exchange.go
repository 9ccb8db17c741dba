package auth

import (
	"kmswatch/decode/kerberos"
	"kmswatch/decode/ntlmssp"
	"kmswatch/decode/spnego"
	"kmswatch/decode/wire"
)

// Layers says which messages a token was made of.
type Layers uint8

// The layers of a token.
const (
	LayerSPNEGO Layers = 1 << iota
	LayerNTLM
	LayerKerberos
	LayerNetlogon
)

// Tokens is what the last token of an Exchange said, layer by layer. Exchanges
// of one goroutine may share it: see Exchange.Share.
type Tokens struct {
	Layers   Layers // those of the others that are of the last token
	SPNEGO   spnego.Token
	NTLM     ntlmssp.Message
	Kerberos kerberos.Message
	Netlogon NetlogonMessage

	names wire.Strings
}

// Steps is which messages of an exchange were seen.
type Steps uint8

// The steps.
const (
	SeenNegotiate    Steps = 1 << iota // the client's first token
	SeenChallenge                      // the server's token that is not the last
	SeenAuthenticate                   // the token by which the client says who it is
)

// Exchange follows one authentication: an SMB session setup, a security context
// of DCE/RPC, an LDAP bind. Its zero value has heard nothing of a carrier that
// says nothing. It is for one goroutine; the callers it gives out are for all.
//
// An exchange may begin in the middle. What the server says counts more than
// what the client says, and what the carrier says of the server's word (Accept,
// Note) more than what stands in tokens.
type Exchange struct {
	tokens  *Tokens
	given   *Caller // the last that was given out
	now     Caller
	offered uint16 // mechanisms of the client's offer, by bit; 0 if it was not seen
	carrier Mechanism
	steps   Steps
}

// Reset begins a new exchange, with the mechanism that the carrier names: see
// AuthType and SASL. A carrier that takes all that GSS takes, as SMB does, names
// Negotiate.
func (x *Exchange) Reset(m Mechanism) {
	*x = Exchange{tokens: x.tokens, carrier: m, now: Caller{Mechanism: m}}
}

// Share gives memory for the tokens of this exchange, which others of the same
// goroutine may use too. Without it an exchange has its own once it needs it.
func (x *Exchange) Share(t *Tokens) { x.tokens = t }

// Tokens gives what the last token said; valid until the next one that is
// decoded in the same memory. nil if there was none.
func (x *Exchange) Tokens() *Tokens { return x.tokens }

// Caller gives who asks, as far as is known now. It is a new one only where that
// has changed, and never nil.
func (x *Exchange) Caller() *Caller {
	if x.given == nil || *x.given != x.now {
		if x.now == *Nobody {
			x.given = Nobody
		} else {
			c := x.now
			x.given = &c
		}
	}
	return x.given
}

// Size tells how many bytes the names of the caller have.
func (x *Exchange) Size() int {
	c := &x.now
	return len(c.Domain) + len(c.User) + len(c.Workstation) + len(c.Service) + len(c.Realm)
}

// Steps tells what was seen.
func (x *Exchange) Steps() Steps { return x.steps }

// Told tells whether the client has said who it is. Of an exchange in DCE/RPC
// nothing needs to follow: AUTH3 has no answer, and the server's word is to be
// taken from what it says to the next request.
func (x *Exchange) Told() bool { return x.steps&SeenAuthenticate != 0 }

// Done tells whether the server's word on it is known.
func (x *Exchange) Done() bool { return x.now.Accepted != Undecided }

// Accept takes the server's word from the carrier: a status, a result, an answer
// to a request.
func (x *Exchange) Accept(yes bool) {
	x.now.Accepted = No
	if yes {
		x.now.Accepted = Yes
	}
	x.judge()
}

// Note adds what the carrier saw: a session that the server marked as null or as
// guest's.
func (x *Exchange) Note(e Evidence) {
	x.now.Evidence |= e
	x.judge()
}

// judge draws the kind of the caller from the evidence. The server's word that
// it let a caller in as guest, or as nobody, counts more than a name.
func (x *Exchange) judge() {
	c := &x.now
	const noResponse, noName = EmptyResponse, EmptyUser | AnonymousFlag
	switch e := c.Evidence; {
	case e&GuestSession != 0:
		c.Kind = Guest
	case e&(NullSession|NoVerifier|LDAPAnonymous|LDAPUnauthenticated) != 0,
		// By this servers judge, MS-NLMP 3.2.5.1.2, with the flag in place of the
		// empty name. An empty name with a response is none of it.
		e&noResponse != 0 && e&noName != 0:
		c.Kind = Anonymous
	case c.User != "" || c.Service != "",
		// Nobody gets in anonymously by these, though the ticket was not seen.
		c.Accepted == Yes && (c.Mechanism == Kerberos || c.Mechanism == Netlogon):
		c.Kind = Named
	default:
		c.Kind = Unknown
	}
}

// restart forgets who the client said it is.
func (x *Exchange) restart(m Mechanism) {
	x.now = Caller{Mechanism: m}
	x.steps = 0
}

// Token takes the next token of one end, whatever it is: it goes by the token's
// content, and by the carrier's mechanism only where the content does not tell.
// An empty token says nothing. Nothing of b is kept, but the tokens' slices lie
// in it.
func (x *Exchange) Token(fromClient bool, b []byte) Anomaly {
	if x.tokens == nil {
		x.tokens = new(Tokens)
	}
	x.tokens.Layers = 0
	if len(b) == 0 {
		return 0
	}
	a := x.take(fromClient, b)
	x.judge()
	return a
}

func (x *Exchange) take(fromClient bool, b []byte) Anomaly {
	t := x.tokens
	switch x.carrier {
	case Netlogon:
		return x.netlogon(fromClient, b)
	case Digest, Plain, External:
		x.sasl(fromClient, b)
		return 0
	case Schannel, Simple, LanMan, OtherMechanism:
		return 0
	}
	switch spnego.Sniff(b) {
	case spnego.SPNEGO:
		a := t.SPNEGO.Decode(b)
		t.Layers |= LayerSPNEGO
		inner := x.negotiation(fromClient, &t.SPNEGO)
		if a != 0 {
			return spnegoAnomaly(a)
		}
		return inner
	case spnego.None:
		switch {
		case x.carrier == NoMechanism && isNetlogon(b):
			return x.netlogon(fromClient, b)
		case x.carrier == Kerberos && isWrapped(b):
			return 0 // as what follows in SASL is, RFC 4752 3.1
		}
		return UnknownToken
	}
	return x.token(fromClient, b)
}

// negotiation takes a token of SPNEGO.
func (x *Exchange) negotiation(fromClient bool, t *spnego.Token) Anomaly {
	var anomaly Anomaly
	switch t.Form {
	case spnego.Init, spnego.Init2:
		if !fromClient {
			return 0 // what a server would take, before the client has said anything
		}
		x.restart(Negotiate)
		x.steps = SeenNegotiate
		x.offered = 0
		for _, m := range t.Mechs {
			x.offered |= 1 << m.Mechanism
		}
		if len(t.Mechs) > 0 && (len(t.Mechs) == 1 || t.Token != nil) {
			x.now.Mechanism = of(t.Mechs[0].Mechanism)
		}
	case spnego.Resp:
		chosen := t.Mech.Mechanism
		if fromClient || chosen == spnego.None {
			break
		}
		if x.offered != 0 && x.offered&(1<<chosen) == 0 && !(chosen.Kerberos() && x.offered&kerberosNames != 0) {
			anomaly = UnofferedMechanism
		}
		// The optimistic token was of another mechanism: it is void.
		if m := of(chosen); m != x.now.Mechanism {
			x.restart(m)
			x.steps = SeenNegotiate
		}
	}
	if len(t.Token) > 0 {
		if a := x.inner(fromClient, t.Token); anomaly == 0 {
			anomaly = a
		}
	}
	if !fromClient {
		switch t.State {
		case spnego.AcceptCompleted:
			x.Accept(true)
		case spnego.Reject:
			x.Accept(false)
		}
	}
	return anomaly
}

// kerberosNames are the mechanisms that are Kerberos.
const kerberosNames = 1<<spnego.Kerberos | 1<<spnego.MSKerberos | 1<<spnego.UserToUser

// of gives the mechanism that SPNEGO's is.
func of(m spnego.Mechanism) Mechanism {
	switch m {
	case spnego.NTLM:
		return NTLM
	case spnego.Kerberos, spnego.MSKerberos, spnego.UserToUser, spnego.IAKERB:
		return Kerberos
	case spnego.NegoEx, spnego.PKU2U:
		return NegoEx
	}
	return OtherMechanism
}

// inner takes a mechanism's token out of one of SPNEGO.
func (x *Exchange) inner(fromClient bool, b []byte) Anomaly {
	switch spnego.Sniff(b) {
	case spnego.SPNEGO:
		return NestedNegotiation
	case spnego.None:
		if x.now.Mechanism == NTLM || x.now.Mechanism == Kerberos && !isWrapped(b) {
			return UnknownToken
		}
		return 0 // of a mechanism whose tokens are not known
	}
	return x.token(fromClient, b)
}

// token takes a mechanism's token.
func (x *Exchange) token(fromClient bool, b []byte) Anomaly {
	switch m := spnego.Sniff(b); {
	case m == spnego.NTLM:
		return x.ntlm(fromClient, b)
	case m.Kerberos(), m == spnego.IAKERB:
		return x.kerberos(fromClient, b)
	default:
		if x.now.Mechanism = of(m); fromClient {
			x.steps |= SeenNegotiate
		} else {
			x.steps |= SeenChallenge
		}
		return 0
	}
}

// ntlm takes a message of NTLM.
func (x *Exchange) ntlm(fromClient bool, b []byte) Anomaly {
	m := &x.tokens.NTLM
	a := ntlmAnomaly(m.DecodeWith(b, &x.tokens.names))
	x.tokens.Layers |= LayerNTLM
	if m.Type != 0 && fromClient == (m.Type == ntlmssp.Challenge) {
		return WrongDirection
	}
	switch m.Type {
	case ntlmssp.Negotiate:
		x.restart(NTLM)
		x.steps = SeenNegotiate
		x.now.Workstation = m.Workstation
	case ntlmssp.Challenge:
		x.now.Mechanism = NTLM
		x.steps |= SeenChallenge
	case ntlmssp.Authenticate:
		x.now = Caller{Mechanism: NTLM, Domain: m.Domain, User: m.User, Workstation: m.Workstation}
		x.steps |= SeenAuthenticate
		s := m.Signals()
		if s&ntlmssp.AnonymousFlag != 0 {
			x.now.Evidence |= AnonymousFlag
		}
		if s&(ntlmssp.EmptyNTResponse|ntlmssp.EmptyLMResponse) == ntlmssp.EmptyNTResponse|ntlmssp.EmptyLMResponse {
			x.now.Evidence |= EmptyResponse
		}
		if s&ntlmssp.EmptyUser != 0 {
			x.now.Evidence |= EmptyUser
		}
	}
	return a
}

// isWrapped tells whether b is a per-message token of RFC 4121 4.2.6.
func isWrapped(b []byte) bool { return len(b) >= 16 && (b[0] == 4 || b[0] == 5) && b[1] == 4 }

// kerberos takes a message of Kerberos, or a token of it that holds none. Who
// the client is, is encrypted: what is known is the service that it has a ticket
// for.
func (x *Exchange) kerberos(fromClient bool, b []byte) Anomaly {
	m := &x.tokens.Kerberos
	a := kerberosAnomaly(m.Decode(b))
	x.tokens.Layers |= LayerKerberos
	switch m.Type {
	case kerberos.APReq:
		if !fromClient {
			return WrongDirection
		}
		x.now = Caller{Mechanism: Kerberos, Service: m.Service, Realm: m.Realm}
		x.steps = SeenNegotiate | SeenAuthenticate
	case kerberos.APRep:
		x.now.Mechanism = Kerberos
		if fromClient { // the third leg of MS-KILE 3.4.5.1
			x.steps |= SeenAuthenticate
			break
		}
		// Only who has the service's key can make one, of a ticket that it took.
		x.steps |= SeenChallenge
		x.Accept(true)
	case kerberos.Error:
		if fromClient {
			return WrongDirection
		}
		x.now.Mechanism = Kerberos
		x.steps |= SeenChallenge
		x.Accept(false)
	}
	return a
}

// isNetlogon tells whether b may be an NL_AUTH_MESSAGE of a client.
func isNetlogon(b []byte) bool {
	return len(b) > 8 && b[0]|b[1]|b[2]|b[3] == 0 && b[4] != 0 && b[4] < nlComputerUTF8<<1 && b[5]|b[6]|b[7] == 0
}

// netlogon takes a token of the secure channel. The account of a machine is its
// name and a dollar, MS-SAMR 3.1.1.8.10.
func (x *Exchange) netlogon(fromClient bool, b []byte) Anomaly {
	m := &x.tokens.Netlogon
	a := m.Decode(b)
	x.tokens.Layers |= LayerNetlogon
	switch {
	case a != 0 && m.Flags == 0:
		return a
	case m.Response == fromClient:
		return WrongDirection
	case m.Response:
		x.now.Mechanism = Netlogon
		x.steps |= SeenChallenge
		x.Accept(true)
		return a
	}
	c := Caller{Mechanism: Netlogon, Domain: m.Domain, Workstation: m.Computer}
	if c.Domain == "" {
		c.Domain = m.DNSDomain
	}
	if c.Workstation == "" {
		c.Workstation = m.ComputerUTF8
	}
	if c.Workstation != "" {
		c.User = c.Workstation + "$"
	}
	x.now = c
	x.steps = SeenNegotiate | SeenAuthenticate
	return a
}
