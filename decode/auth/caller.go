package auth

// Kind is what is known of who asks.
type Kind uint8

// Kinds of callers.
const (
	Unknown   Kind = iota // nothing was seen, or it is encrypted
	Anonymous             // asked for nothing but anonymous access
	Guest                 // the server let it in as guest, whoever it said it is
	Named                 // gave a name, or a ticket
)

func (k Kind) String() string { return [...]string{"unknown", "anonymous", "guest", "named"}[k&3] }

// Mechanism is how a caller authenticates.
type Mechanism uint8

// Mechanisms.
const (
	NoMechanism Mechanism = iota
	Negotiate             // SPNEGO that has not settled yet
	NTLM
	Kerberos
	Netlogon // secure channel of domain members, MS-NRPC 3.3
	LanMan   // names and responses in the SMB1 session setup itself, MS-CIFS 3.2.4.2.4
	Simple   // LDAP name and password, RFC 4513 5.1
	Schannel // TLS client certificate
	Digest   // SASL DIGEST-MD5, RFC 2831
	External // SASL EXTERNAL: who the layer below says
	Plain    // SASL PLAIN, RFC 4616
	NegoEx
	OtherMechanism
)

var mechanismNames = [...]string{
	"none", "negotiate", "ntlm", "kerberos", "netlogon", "lanman", "simple", "schannel", "digest", "external", "plain", "negoex", "other",
}

func (m Mechanism) String() string {
	if int(m) < len(mechanismNames) {
		return mechanismNames[m]
	}
	return "other"
}

// Evidence is what a verdict about a caller stands on: several independent
// signs, since servers often leave the flags unset.
type Evidence uint16

// Signs.
const (
	NoVerifier          Evidence = 1 << iota // RPC without authentication
	AnonymousFlag                            // NTLMSSP_NEGOTIATE_ANONYMOUS
	EmptyResponse                            // no NT response and no LM response, or one zero byte
	EmptyUser                                // no user name
	NullSession                              // the server marked the SMB session as null
	GuestSession                             // the server marked it as guest
	LDAPAnonymous                            // LDAP without a bind, or bound with neither name nor password
	LDAPUnauthenticated                      // LDAP bound with a name and without a password
	Encrypted                                // what would tell is encrypted
)

var evidenceNames = [...]string{
	"no-verifier", "ntlm-anonymous-flag", "empty-response", "empty-user", "null-session", "guest-session",
	"ldap-anonymous", "ldap-unauthenticated", "encrypted",
}

// Names gives the words of the signs, in the order of the bits.
func (e Evidence) Names() []string {
	var names []string
	for i, name := range evidenceNames {
		if e&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// Accepted is the server's word on an authentication.
type Accepted uint8

// Words of the server.
const (
	Undecided Accepted = iota // none was seen
	Yes
	No
)

func (a Accepted) String() string { return [...]string{"undecided", "yes", "no", ""}[a&3] }

// Caller is who asks. It is never written to once it is given out, and shared by
// all that tell of it.
type Caller struct {
	Kind        Kind
	Mechanism   Mechanism
	Accepted    Accepted
	Evidence    Evidence
	Domain      string // NetBIOS or DNS name, as the caller gives it
	User        string
	Workstation string
	Service     string // what a ticket is for: cifs/dc1.corp.example
	Realm       string // of the service
}

// Callers of whom nothing more is to be said.
var (
	Nobody      = &Caller{}                                         // nothing is known
	Unverified  = &Caller{Kind: Anonymous, Evidence: NoVerifier}    // RPC without authentication
	Unbound     = &Caller{Kind: Anonymous, Evidence: LDAPAnonymous} // LDAP without a bind
	Undisclosed = &Caller{Evidence: Encrypted}                      // nobody can see
)

// Anonymous tells whether the caller did not say who it is.
func (c *Caller) Anonymous() bool { return c.Kind == Anonymous }

// Authenticated tells whether the caller gave a name or a ticket and the server
// did not refuse it.
func (c *Caller) Authenticated() bool { return c.Kind == Named && c.Accepted != No }

// String names the caller: CORP\alice, cifs/dc1.corp.example@CORP.EXAMPLE,
// anonymous, guest, unknown.
func (c *Caller) String() string {
	switch {
	case c.Kind != Named:
		return c.Kind.String()
	case c.User != "" && c.Domain != "":
		return c.Domain + `\` + c.User
	case c.User != "":
		return c.User
	case c.Service != "" && c.Realm != "":
		return "ticket for " + c.Service + "@" + c.Realm
	case c.Service != "":
		return "ticket for " + c.Service
	}
	return "named by " + c.Mechanism.String()
}
