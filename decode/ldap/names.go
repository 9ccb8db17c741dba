package ldap

import "strconv"

// Op is the application tag of an operation, RFC 4511 4.2 to 4.13.
type Op uint8

// Operations.
const (
	BindRequest           Op = 0
	BindResponse          Op = 1
	UnbindRequest         Op = 2
	SearchRequest         Op = 3
	SearchResultEntry     Op = 4
	SearchResultDone      Op = 5
	ModifyRequest         Op = 6
	ModifyResponse        Op = 7
	AddRequest            Op = 8
	AddResponse           Op = 9
	DelRequest            Op = 10
	DelResponse           Op = 11
	ModifyDNRequest       Op = 12
	ModifyDNResponse      Op = 13
	CompareRequest        Op = 14
	CompareResponse       Op = 15
	AbandonRequest        Op = 16
	SearchResultReference Op = 19
	ExtendedRequest       Op = 23
	ExtendedResponse      Op = 24
	IntermediateResponse  Op = 25
)

// opTable tells of each operation its name in RFC 4511, which end sends it, and
// whether its content is not made of elements.
var opTable = [...]struct {
	name      string
	client    bool
	primitive bool
}{
	BindRequest:           {"bindRequest", true, false},
	BindResponse:          {"bindResponse", false, false},
	UnbindRequest:         {"unbindRequest", true, true},
	SearchRequest:         {"searchRequest", true, false},
	SearchResultEntry:     {"searchResEntry", false, false},
	SearchResultDone:      {"searchResDone", false, false},
	ModifyRequest:         {"modifyRequest", true, false},
	ModifyResponse:        {"modifyResponse", false, false},
	AddRequest:            {"addRequest", true, false},
	AddResponse:           {"addResponse", false, false},
	DelRequest:            {"delRequest", true, true},
	DelResponse:           {"delResponse", false, false},
	ModifyDNRequest:       {"modDNRequest", true, false},
	ModifyDNResponse:      {"modDNResponse", false, false},
	CompareRequest:        {"compareRequest", true, false},
	CompareResponse:       {"compareResponse", false, false},
	AbandonRequest:        {"abandonRequest", true, true},
	SearchResultReference: {"searchResRef", false, false},
	ExtendedRequest:       {"extendedReq", true, false},
	ExtendedResponse:      {"extendedResp", false, false},
	IntermediateResponse:  {"intermediateResponse", false, false},
}

// known tells whether the tag is that of an operation with such content. That of
// an UnbindRequest is nothing, and either way of saying so does.
func known(tag uint32, constructed bool) bool {
	return tag < uint32(len(opTable)) && opTable[tag].name != "" &&
		(opTable[tag].primitive != constructed || Op(tag) == UnbindRequest)
}

// String gives the name in RFC 4511.
func (o Op) String() string {
	if int(o) < len(opTable) && opTable[o].name != "" {
		return opTable[o].name
	}
	return "op(" + strconv.Itoa(int(o)) + ")"
}

// FromClient tells which end sends the operation.
func (o Op) FromClient() bool { return int(o) < len(opTable) && opTable[o].client }

// hasResult tells whether an LDAPResult begins the operation.
func (o Op) hasResult() bool {
	switch o {
	case BindResponse, SearchResultDone, ModifyResponse, AddResponse, DelResponse, ModifyDNResponse, CompareResponse, ExtendedResponse:
		return true
	}
	return false
}

// ResultCode is resultCode, RFC 4511 4.1.9.
type ResultCode int32

// Result codes that mean something here.
const (
	Success            ResultCode = 0
	SASLBindInProgress ResultCode = 14
)

var resultNames = [...]string{
	0: "success", 1: "operationsError", 2: "protocolError", 3: "timeLimitExceeded", 4: "sizeLimitExceeded",
	5: "compareFalse", 6: "compareTrue", 7: "authMethodNotSupported", 8: "strongerAuthRequired",
	10: "referral", 11: "adminLimitExceeded", 12: "unavailableCriticalExtension", 13: "confidentialityRequired",
	14: "saslBindInProgress", 16: "noSuchAttribute", 17: "undefinedAttributeType", 18: "inappropriateMatching",
	19: "constraintViolation", 20: "attributeOrValueExists", 21: "invalidAttributeSyntax",
	32: "noSuchObject", 33: "aliasProblem", 34: "invalidDNSyntax", 36: "aliasDereferencingProblem",
	48: "inappropriateAuthentication", 49: "invalidCredentials", 50: "insufficientAccessRights",
	51: "busy", 52: "unavailable", 53: "unwillingToPerform", 54: "loopDetect",
	64: "namingViolation", 65: "objectClassViolation", 66: "notAllowedOnNonLeaf", 67: "notAllowedOnRDN",
	68: "entryAlreadyExists", 69: "objectClassModsProhibited", 71: "affectsMultipleDSAs", 80: "other",
}

// String gives the name in RFC 4511.
func (c ResultCode) String() string {
	if c >= 0 && int(c) < len(resultNames) && resultNames[c] != "" {
		return resultNames[c]
	}
	return "result(" + strconv.Itoa(int(c)) + ")"
}

// Scope is the scope of a search, RFC 4511 4.5.1.2.
type Scope uint8

// Scopes.
const (
	BaseObject Scope = iota
	SingleLevel
	WholeSubtree
	Subordinates // draft-sermersheim-ldap-subordinate-scope
	scopes
)

// String gives the name in RFC 4511.
func (s Scope) String() string {
	if s < scopes {
		return [scopes]string{"baseObject", "singleLevel", "wholeSubtree", "subordinateSubtree"}[s]
	}
	return "scope(" + strconv.Itoa(int(s)) + ")"
}

// Auth is the choice of authentication in a bind, RFC 4511 4.2 and MS-ADTS
// 5.1.1.1.3.
type Auth uint8

// Choices.
const (
	AuthSimple                 Auth = 0
	AuthSASL                   Auth = 3
	AuthSicilyPackageDiscovery Auth = 9
	AuthSicilyNegotiate        Auth = 10
	AuthSicilyResponse         Auth = 11
	noAuth                     Auth = 255 // of a message that is cut before it
)

// String gives the name.
func (a Auth) String() string {
	switch a {
	case AuthSimple:
		return "simple"
	case AuthSASL:
		return "sasl"
	case AuthSicilyPackageDiscovery:
		return "sicilyPackageDiscovery"
	case AuthSicilyNegotiate:
		return "sicilyNegotiate"
	case AuthSicilyResponse:
		return "sicilyResponse"
	}
	return "auth(" + strconv.Itoa(int(a)) + ")"
}

// sicily tells whether the choice is one of the three.
func (a Auth) sicily() bool { return a >= AuthSicilyPackageDiscovery && a <= AuthSicilyResponse }

// Anomaly is what is wrong with a message or with its place in the connection;
// 0 is nothing.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyTable.
const (
	NotLDAP             Anomaly = iota + 1 // no LDAPMessage begins here: the stream is lost
	CutMessage                             // a datagram ends before its message does
	BadMessage                             // the LDAPMessage holds no message id and known operation
	BadMessageID                           // a message id outside 0..2^31-1 (RFC 4511 4.1.1.1)
	BadOperation                           // fields of the operation are missing or of another type
	BadFilter                              // a filter that is none
	FilterTooDeep                          // a filter of more levels than are entered
	WrongDirection                         // an operation that only the other end sends
	DuplicateMessageID                     // a request with the message id of one that waits (RFC 4511 4.1.1.1)
	ReplyWithoutRequest                    // the result of a bind or search that was not seen
	BindWhileBinding                       // a bind before the one before it was answered (RFC 4511 4.2.1)
	TooManyRequests                        // more searches waiting than are kept
	anomalies
)

var anomalyTable = [anomalies]struct {
	name    string
	evasive bool
}{
	0:                   {"none", false},
	NotLDAP:             {"not-ldap", false},
	CutMessage:          {"cut-message", false},
	BadMessage:          {"bad-message", false},
	BadMessageID:        {"bad-message-id", false},
	BadOperation:        {"bad-operation", false},
	BadFilter:           {"bad-filter", false},
	FilterTooDeep:       {"filter-too-deep", true},
	WrongDirection:      {"wrong-direction", false},
	DuplicateMessageID:  {"duplicate-message-id", false},
	ReplyWithoutRequest: {"reply-without-request", false},
	BindWhileBinding:    {"bind-while-binding", false}, // the fast binds of MS-ADTS 3.1.1.3.4.2.3 do,
	TooManyRequests:     {"too-many-requests", false},
}

// String gives the name.
func (a Anomaly) String() string {
	if a < anomalies {
		return anomalyTable[a].name
	}
	return "anomaly(" + strconv.Itoa(int(a)) + ")"
}

// Evasive tells whether honest programs have no reason to do it, and a sensor
// that trusts them would be blinded by it.
func (a Anomaly) Evasive() bool { return a < anomalies && anomalyTable[a].evasive }
