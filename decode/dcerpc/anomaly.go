package dcerpc

import "strconv"

// Anomaly is what is wrong with a PDU or with its place in the association; 0
// is nothing.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyTable.
const (
	ShortHeader         Anomaly = iota + 1 // fewer bytes than a common header
	BadVersion                             // neither version 5.0 nor 5.1: the stream is lost
	BadFragLength                          // frag_length shorter than the header: the stream is lost
	BadType                                // a type that connections do not carry
	BadDataRep                             // a data representation that does not exist
	ShortBody                              // the PDU ends before the fields of its type do
	TrailingBytes                          // bytes behind the last presentation context or result
	AuthTooLong                            // auth_length reaches beyond the PDU
	AuthPadTooLong                         // auth_pad_length reaches beyond the body
	AuthUnaligned                          // the security trailer is not at a multiple of 4
	NoTransferSyntax                       // a presentation context without a transfer syntax
	DuplicateContext                       // one context id twice in a bind
	BindFlags                              // a bind or alter_context that is not flagged first and last fragment
	SecondBind                             // a bind on an association that has one
	AnswerWithoutBind                      // bind_ack, bind_nak or alter_context_resp that answers nothing
	ResultCount                            // not as many results as contexts were offered
	UnknownContext                         // a request on a context that was never negotiated
	RejectedContext                        // a request on a context that the server has not accepted
	FragmentMismatch                       // fragments of a call name different contexts or operations
	DuplicateFirst                         // a second first fragment of a call
	NoFirstFragment                        // a later fragment of a call without its first
	TinyFragments                          // fragments with less stub than header
	FragmentTooLong                        // frag_length beyond what the receiver said it takes
	ManyFragments                          // a call of very many fragments
	ByteOrderChanged                       // one end changed its data representation
	WrongDirection                         // a PDU that only the other end sends
	ReplyWithoutRequest                    // a response or fault that answers nothing
	TooManyCalls                           // more calls waiting than are kept
	TooManyContexts                        // more presentation contexts than are kept
	TooManyNegotiations                    // more binds and alter_contexts waiting than are kept
	TooManySecurity                        // more security contexts than are kept
	anomalies
)

var anomalyTable = [anomalies]struct {
	name    string
	evasive bool
}{
	0:                   {"none", false},
	ShortHeader:         {"short-header", false},
	BadVersion:          {"bad-version", false},
	BadFragLength:       {"bad-frag-length", false},
	BadType:             {"bad-type", false},
	BadDataRep:          {"bad-data-representation", false},
	ShortBody:           {"short-body", false},
	TrailingBytes:       {"trailing-bytes", false},
	AuthTooLong:         {"auth-length-too-long", true},
	AuthPadTooLong:      {"auth-padding-too-long", true},
	AuthUnaligned:       {"auth-unaligned", false},
	NoTransferSyntax:    {"no-transfer-syntax", true},
	DuplicateContext:    {"duplicate-context", true},
	BindFlags:           {"bind-fragment-flags", true},
	SecondBind:          {"second-bind", true},
	AnswerWithoutBind:   {"answer-without-bind", false},
	ResultCount:         {"result-count", false}, // Samba 3 answers three contexts with one result
	UnknownContext:      {"unknown-context", true},
	RejectedContext:     {"rejected-context", true},
	FragmentMismatch:    {"fragment-mismatch", true},
	DuplicateFirst:      {"duplicate-first-fragment", true},
	NoFirstFragment:     {"no-first-fragment", true},
	TinyFragments:       {"tiny-fragments", true},
	FragmentTooLong:     {"fragment-too-long", false},
	ManyFragments:       {"many-fragments", false},
	ByteOrderChanged:    {"byte-order-changed", true},
	WrongDirection:      {"wrong-direction", false},
	ReplyWithoutRequest: {"reply-without-request", false},
	TooManyCalls:        {"too-many-calls", false},
	TooManyContexts:     {"too-many-contexts", true},
	TooManyNegotiations: {"too-many-negotiations", false},
	TooManySecurity:     {"too-many-security-contexts", true},
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

// Lost tells whether the stream cannot be followed to the next PDU.
func (a Anomaly) Lost() bool { return a == ShortHeader || a == BadVersion || a == BadFragLength }
