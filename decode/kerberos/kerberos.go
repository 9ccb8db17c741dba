// Package kerberos decodes what Kerberos messages say in clear (RFC 4120,
// MS-KILE): who asks whom for a ticket to what, with which encryption types,
// and what the KDC answers. It is given one message, raw as UDP and DCE-style
// tokens carry it, or in the GSS-API framing of SPNEGO and SASL (RFC 4121 4.1);
// Split cuts messages from a TCP stream. It decrypts nothing, and no cipher,
// checksum, authenticator or pre-authentication value leaves it: of those the
// types alone.
//
// It keeps no state. A request and its answer have no id in common that stands
// in clear: see Type.Answers.
package kerberos

import "strconv"

// Type is msg-type, which is also the application tag (RFC 4120 5.10).
type Type uint8

// Types.
const (
	ASReq  Type = 10
	ASRep  Type = 11
	TGSReq Type = 12
	TGSRep Type = 13
	APReq  Type = 14
	APRep  Type = 15
	Safe   Type = 20
	Priv   Type = 21
	Cred   Type = 22
	Error  Type = 30
)

// String gives the name in RFC 4120.
func (t Type) String() string {
	switch t {
	case ASReq:
		return "AS-REQ"
	case ASRep:
		return "AS-REP"
	case TGSReq:
		return "TGS-REQ"
	case TGSRep:
		return "TGS-REP"
	case APReq:
		return "AP-REQ"
	case APRep:
		return "AP-REP"
	case Safe:
		return "KRB-SAFE"
	case Priv:
		return "KRB-PRIV"
	case Cred:
		return "KRB-CRED"
	case Error:
		return "KRB-ERROR"
	}
	return "type(" + strconv.Itoa(int(t)) + ")"
}

func (t Type) known() bool {
	return t >= ASReq && t <= APRep || t >= Safe && t <= Cred || t == Error
}

// Answers tells whether t may answer a request of that type. Nothing else in
// clear ties the two: over TCP the answers of a connection come in the order of
// its requests, over UDP they go back to the port of the request, one at a
// time, since the nonce of a reply is encrypted. What a KRB-ERROR repeats of
// the request, Service and Realm, may be checked on top; a reply's may differ
// from the request's where the KDC canonicalised or referred (RFC 6806).
func (t Type) Answers(request Type) bool {
	switch request {
	case ASReq, TGSReq, APReq:
		return t == request+1 || t == Error
	}
	return false
}

// FromClient tells which end sends the type; known is false for those that
// both do. An AP-REQ comes from the client of a service, a KRB-ERROR from the
// server.
func (t Type) FromClient() (client, known bool) {
	switch t {
	case ASReq, TGSReq, APReq:
		return true, true
	case ASRep, TGSRep, APRep, Error:
		return false, true
	}
	return false, false
}

// Token is the TOK_ID of the GSS-API framing.
type Token uint16

// Tokens that hold a message. Others, the per-message tokens of RFC 1964 and
// the user-to-user ones of MS-KILE, hold none that is decoded.
const (
	NoToken    Token = 0
	TokenAPReq Token = 0x0100
	TokenAPRep Token = 0x0200
	TokenError Token = 0x0300
)

// Mechanism is the object identifier of the GSS-API framing.
type Mechanism uint8

// Mechanisms.
const (
	NoMechanism  Mechanism = iota // the message is raw
	Kerberos                      // 1.2.840.113554.1.2.2
	MSKerberos                    // 1.2.840.48018.1.2.2, which Windows 2000 began with
	UserToUser                    // 1.2.840.113554.1.2.2.3
	IAKERB                        // 1.3.6.1.5.2.5: Kerberos with a KDC that the server speaks to
	mechanismEnd                  // none
)

// String gives the name.
func (m Mechanism) String() string {
	return [mechanismEnd + 1]string{"none", "kerberos", "ms-kerberos", "user-to-user", "iakerb", "unknown"}[min(m, mechanismEnd)]
}

// Bounds of what is kept of a message.
const (
	maxText   = 255 // octets of a name; more are cut
	maxETypes = 16  // Windows asks for six
	maxPAData = 16
)

// Ticket is what a ticket says in clear.
type Ticket struct {
	Present bool
	Realm   string
	Service string // sname, written as Message.Service
	EType   int32  // of its encrypted part, by which the service's key is known
}

// Message is one Kerberos message. It is for one goroutine. Its strings are
// its own and stay valid.
//
// Names are written with "/" between the components; a slash in a component has
// a backslash before it, as every backslash has, and a byte that does not print
// is \xHH.
type Message struct {
	Type      Type      // 0 iff nothing could be decoded, or Token holds no message
	Mechanism Mechanism // of the GSS-API framing
	Token     Token     // of the GSS-API framing
	// Realm is req-body realm of a request, crealm of a reply, the ticket's of
	// an AP-REQ, realm of a KRB-ERROR.
	Realm string
	// Client is cname; "" iff the message does not tell: that of a TGS-REQ and
	// an AP-REQ is encrypted. ClientRealm is its realm, that of an AS-REQ too.
	Client      string
	ClientRealm string
	ClientType  int32 // name-type, RFC 4120 6.2
	// Service is sname of a request or KRB-ERROR, the ticket's of a reply and an
	// AP-REQ.
	Service     string
	ServiceType int32  // name-type
	Options     uint32 // kdc-options or ap-options; bit 0 of the text is the highest
	Truncated   bool   // a name was longer than is kept

	ErrorCode int32  // iff Error
	Status    uint32 // NTSTATUS that Windows adds to a KRB-ERROR (MS-KILE 2.2.1); 0 if none

	// ETypes are the encryption types that a request asks for, in its order, as
	// many as are kept of ETypeCount.
	ETypes     [maxETypes]int32
	ETypeCount int
	// PAData are the types of pre-authentication data, as many as are kept of
	// PADataCount; of a KRB-ERROR those that the KDC would take.
	PAData      [maxPAData]int32
	PADataCount int

	EncPart int32  // encryption type of the reply's, AP-REP's, KRB-PRIV's encrypted part or AP-REQ's authenticator; 0 if none
	Ticket  Ticket // of a reply, of an AP-REQ, and of the AP-REQ in a TGS-REQ

	Anomaly Anomaly

	names *names
}

// AskedETypes are those of ETypes that are set.
func (m *Message) AskedETypes() []int32 { return m.ETypes[:min(m.ETypeCount, maxETypes)] }

// PADataTypes are those of PAData that are set.
func (m *Message) PADataTypes() []int32 { return m.PAData[:min(m.PADataCount, maxPAData)] }

// Has tells whether pre-authentication data of a type is there, among those
// that are kept.
func (m *Message) Has(padata int32) bool {
	for _, t := range m.PADataTypes() {
		if t == padata {
			return true
		}
	}
	return false
}

// Anomaly is what is wrong with a message; 0 is nothing.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyNames.
const (
	NotKerberos   Anomaly = iota + 1 // the bytes begin no Kerberos message
	CutMessage                       // the bytes end before the message does
	BadEncoding                      // an element inside reaches beyond the one it is in, or has no valid length
	BadField                         // a field of another ASN.1 type than it must have, or out of range
	FieldOrder                       // a field twice, or before one that must precede it
	MissingField                     // a field that must be there is not
	BadVersion                       // pvno or tkt-vno is not 5
	TypeMismatch                     // msg-type is not the application tag, or the GSS-API token id is of another type
	TrailingBytes                    // bytes behind the message
	anomalies
)

var anomalyNames = [anomalies]string{
	0:             "none",
	NotKerberos:   "not-kerberos",
	CutMessage:    "cut-message",
	BadEncoding:   "bad-encoding",
	BadField:      "bad-field",
	FieldOrder:    "field-order",
	MissingField:  "missing-field",
	BadVersion:    "bad-version",
	TypeMismatch:  "type-mismatch",
	TrailingBytes: "trailing-bytes",
}

// String gives the name.
func (a Anomaly) String() string {
	if a < anomalies {
		return anomalyNames[a]
	}
	return "anomaly(" + strconv.Itoa(int(a)) + ")"
}

// Lost tells whether nothing of the message is believed.
func (a Anomaly) Lost() bool { return a != 0 && a != TrailingBytes }
