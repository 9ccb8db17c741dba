package decode

import (
	"net/netip"

	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/kerberos"
	"kmswatch/decode/ldap"
	"kmswatch/decode/rpch"
	"kmswatch/decode/smb"
)

// Transport is the protocol sequence of an association, by its name in C706
// appendix I and MS-RPCE 2.1.
type Transport uint8

// Transports.
const (
	TransportTCP  Transport = iota // ncacn_ip_tcp
	TransportPipe                  // ncacn_np
	TransportUDP                   // ncadg_ip_udp
	TransportHTTP                  // ncacn_http
)

func (t Transport) String() string {
	return [...]string{"ncacn_ip_tcp", "ncacn_np", "ncadg_ip_udp", "ncacn_http"}[t&3]
}

// AssociationID names an association among all of a run.
type AssociationID struct {
	Flow uint64 // Flow.ID
	Pipe uint32 // number of the named pipe in the flow, from 1; 0 where the flow itself carries RPC
}

// Association is what a bind and the calls on it have in common.
type Association struct {
	ID        AssociationID
	Transport Transport
	Pipe      string       // name of the pipe, without \pipe\, in lower case; ncacn_np only, empty where its opening was not seen
	Caller    *auth.Caller // who asks: by the verifiers, else by the SMB session; never nil
}

// Auth is the end of an authentication by verifiers: the server has answered
// the last token, or what came after it. Calls from here on have its caller. It
// is told again if the server answers a call of a caller whom it refused first.
type Auth struct {
	head
	Association
	Ask     Position // frame of the client's last token
	Level   dcerpc.AuthLevel
	Outcome Outcome // Accepted, Rejected, Unknown
	Status  uint32  // of the fault, iff Rejected by one
}

// Session is the end of an SMB session setup.
type Session struct {
	head
	Ask       Position
	Dialect   string // NT LM 0.12, 2.0.2, 2.1, 3.0, 3.0.2, 3.1.1; empty where the negotiation was not seen
	SessionID uint64 // SMB1: the UID
	Caller    *auth.Caller
	Outcome   Outcome // Accepted, Rejected, Unanswered, Unknown
	Status    uint32  // NTSTATUS
	Null      bool    // the server says that the session is null
	Guest     bool    // the server says that it is a guest's
	Encrypted bool    // the server wants all of it encrypted
	Binding   bool    // binds another connection to a session that is there
}

// TreeConnect is an SMB share that was asked for.
type TreeConnect struct {
	head
	Ask       Position
	Share     string // last part of the path, in upper case as far as ASCII goes: IPC$
	Path      string // as asked for
	SessionID uint64
	Caller    *auth.Caller
	Outcome   Outcome
	Status    uint32 // NTSTATUS
}

// PipeOpen is a named pipe that was asked for.
type PipeOpen struct {
	head
	Association
	Ask     Position
	Outcome Outcome
	Status  uint32 // NTSTATUS
}

// EndpointMapped is where a server says that an interface is to be found: a
// tower of the endpoint mapper. The flow is that of the answer.
type EndpointMapped struct {
	head
	Interface dcerpc.Syntax
	Transport Transport  // of the endpoint
	Known     bool       // Transport is one of those that are decoded
	Addr      netip.Addr // of the endpoint; the zero Addr where the tower has none
	Port      uint16     // of TCP, UDP and HTTP
	Pipe      string     // of ncacn_np
}

// LDAPBindKind is how an LDAP bind names its caller, RFC 4513 5.1.
type LDAPBindKind uint8

// Kinds of binds.
const (
	LDAPAnonymous       LDAPBindKind = iota // neither name nor password
	LDAPUnauthenticated                     // a name without a password
	LDAPSimple                              // name and password
	LDAPSASL
	LDAPSicily  // NTLM as MS-ADTS 5.1.1.1.3 has it
	LDAPUnknown // of a method that does not exist, or that was not seen
)

func (k LDAPBindKind) String() string {
	if int(k) < len(ldapBindKinds) {
		return ldapBindKinds[k]
	}
	return "unknown"
}

var ldapBindKinds = [...]string{"anonymous", "unauthenticated", "simple", "sasl", "sicily", "unknown"}

// LDAPBind is an LDAP bind with its result. No password is part of it.
type LDAPBind struct {
	head
	Ask       Position
	Method    LDAPBindKind
	Name      string // the DN, as far as it is kept
	Mechanism string // of SASL
	Caller    *auth.Caller
	Outcome   Outcome // Accepted, Rejected, Unanswered, Unknown
	Result    uint32  // resultCode, RFC 4511 4.1.9
}

// LDAPSearch is an LDAP search with its result.
type LDAPSearch struct {
	head
	Ask          Position
	Base         string // DN, as far as it is kept
	Scope        uint8  // 0 base, 1 one level, 2 subtree
	RootDSE      bool   // of what every server tells of itself, MS-ADTS 3.1.1.3.2
	NetlogonPing bool   // of the attribute Netlogon, MS-ADTS 6.3.3
	Caller       *auth.Caller
	Entries      int     // that came
	Outcome      Outcome // Answered, Refused, Unanswered, Unknown
	Result       uint32
}

// KerberosReply is a request to a KDC with its answer.
type KerberosReply struct {
	head
	Ask     Position // zero where the request was not seen
	Ticket  bool     // TGS; else AS
	Client  string   // name of the client, iff told
	Realm   string
	Service string
	Outcome Outcome // Answered, Refused, Unanswered; Unknown where request or answer was not seen
	Error   uint32  // KRB-ERROR's code, iff Refused; RFC 4120 7.5.9
}

// Opaque is told once of what a flow goes on to carry unseen.
type Opaque struct {
	head
	Protocol Protocol
	What     string // smb3-encryption, smb3-compression, tls, sasl-privacy
}

// SMBMessage is one command of SMB, with Config.Messages only.
type SMBMessage struct {
	head
	Message *smb.Message
}

// LDAPMessage is one message of LDAP, with Config.Messages only.
type LDAPMessage struct {
	head
	Message *ldap.Message
}

// Token is a token of an authentication, with Config.Messages only.
type Token struct {
	head
	Association          // iff Carrier is ProtoDCERPC
	Carrier     Protocol // ProtoSMB, ProtoDCERPC, ProtoLDAP or ProtoHTTP
	Tokens      *auth.Tokens
}

// RTSMessage is a PDU that steers the channels of ncacn_http, with
// Config.Messages only.
type RTSMessage struct {
	head
	Association
	RTS *rpch.RTS
}

// KerberosMessage is one Kerberos message, with Config.Messages only.
type KerberosMessage struct {
	head
	Message *kerberos.Message
}

// Kind tells the event's type.
func (*Auth) Kind() Kind            { return KindAuth }
func (*Session) Kind() Kind         { return KindSession }
func (*TreeConnect) Kind() Kind     { return KindTreeConnect }
func (*PipeOpen) Kind() Kind        { return KindPipeOpen }
func (*EndpointMapped) Kind() Kind  { return KindEndpointMapped }
func (*LDAPBind) Kind() Kind        { return KindLDAPBind }
func (*LDAPSearch) Kind() Kind      { return KindLDAPSearch }
func (*KerberosReply) Kind() Kind   { return KindKerberosReply }
func (*Opaque) Kind() Kind          { return KindOpaque }
func (*SMBMessage) Kind() Kind      { return KindSMBMessage }
func (*LDAPMessage) Kind() Kind     { return KindLDAPMessage }
func (*Token) Kind() Kind           { return KindToken }
func (*RTSMessage) Kind() Kind      { return KindRTSMessage }
func (*KerberosMessage) Kind() Kind { return KindKerberosMessage }
