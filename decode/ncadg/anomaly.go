package ncadg

import "strconv"

// Anomaly is what is wrong with a PDU or with its place in the conversation; 0
// is nothing.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyTable.
const (
	ShortHeader           Anomaly = iota + 1 // fewer bytes than a header
	BadVersion                               // not version 4
	BadType                                  // a type that datagrams do not carry
	BadDataRep                               // a data representation that does not exist
	ShortBody                                // the datagram ends before the body does, or the body before its fields
	TrailingBytes                            // bytes behind the body, and no verifier
	ShortVerifier                            // the datagram ends before the verifier begins
	FragmentNumber                           // a number on what is no fragment
	FragmentMismatch                         // fragments of a call name different interfaces or operations
	FragmentBeyondLast                       // a fragment behind the one that said it is the last
	FragmentAhead                            // a fragment too far ahead of those that came
	RetransmissionDiffers                    // what was sent before, sent again with other bytes
	ReplyMismatch                            // the answer names another interface or operation than the request
	ReplyWithoutRequest                      // a response, fault or reject that answers nothing
	SecondReply                              // a second answer to a call, which differs
	TooManyCalls                             // more calls waiting than are kept
	anomalies
)

var anomalyTable = [anomalies]struct {
	name    string
	evasive bool
}{
	0:                     {"none", false},
	ShortHeader:           {"short-header", false},
	BadVersion:            {"bad-version", false},
	BadType:               {"bad-type", false},
	BadDataRep:            {"bad-data-representation", false},
	ShortBody:             {"short-body", false},
	TrailingBytes:         {"trailing-bytes", false},
	ShortVerifier:         {"short-verifier", false},
	FragmentNumber:        {"fragment-number", false},
	FragmentMismatch:      {"fragment-mismatch", true},
	FragmentBeyondLast:    {"fragment-beyond-last", true},
	FragmentAhead:         {"fragment-ahead", false},
	RetransmissionDiffers: {"retransmission-differs", true},
	ReplyMismatch:         {"reply-mismatch", false},
	ReplyWithoutRequest:   {"reply-without-request", false},
	SecondReply:           {"second-reply", true},
	TooManyCalls:          {"too-many-calls", false},
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
