package smb

import "strconv"

// Anomaly is what is wrong with a message or with its place in the connection;
// 0 is nothing.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyTable.
const (
	NotSMB                 Anomaly = iota + 1 // bytes that are no message where one must begin: the stream is lost until one does
	ShortMessage                              // a message that ends before the fields of its command do
	BadHeader                                 // a header whose structure size is wrong
	LengthMismatch                            // the session service's length ends the message before its own fields do
	TrailingBytes                             // bytes behind the message that nothing in it speaks of
	BadNextCommand                            // NextCommand that is unaligned, too small, or beyond the message
	BadOffset                                 // an offset that points into the header or beyond the message
	AndXLoop                                  // an AndX offset that does not grow
	AndXBeyond                                // an AndX offset beyond the message
	RelatedFirst                              // a related operation that is the first of its message
	UnknownCommand                            // a command code that does not exist
	WrongDirection                            // a request from the server, or a response from the client
	DuplicateMessageID                        // a request with the id of one that still waits
	ResponseWithoutRequest                    // a response that answers nothing
	CommandMismatch                           // a response of another command than its request
	AsyncMismatch                             // an asynchronous response whose id is not that of the interim response
	BadContext                                // a negotiate context that reaches beyond the message
	BadName                                   // a name of an odd number of bytes in UTF-16
	BadDisplacement                           // a part of a transaction that is not where the last one ended
	TooManySessions                           // more sessions than are kept
	TooManyTrees                              // more tree connects than are kept
	TooManyOpens                              // more open pipes than are kept
	TooManyRequests                           // more requests waiting than are kept
	TooMuchHeld                               // more pipe bytes waiting for the rest of a PDU than are kept
	anomalies
)

var anomalyTable = [anomalies]struct {
	name    string
	evasive bool
}{
	0:                      {"none", false},
	NotSMB:                 {"not-smb", false},
	ShortMessage:           {"short-message", false},
	BadHeader:              {"bad-header", false},
	LengthMismatch:         {"length-mismatch", true},
	TrailingBytes:          {"trailing-bytes", false},
	BadNextCommand:         {"bad-next-command", true},
	BadOffset:              {"bad-offset", true},
	AndXLoop:               {"andx-loop", true},
	AndXBeyond:             {"andx-beyond-message", false},
	RelatedFirst:           {"related-first", true},
	UnknownCommand:         {"unknown-command", false},
	WrongDirection:         {"wrong-direction", false},
	DuplicateMessageID:     {"duplicate-message-id", false},
	ResponseWithoutRequest: {"response-without-request", false},
	CommandMismatch:        {"command-mismatch", true},
	AsyncMismatch:          {"async-mismatch", false},
	BadContext:             {"bad-negotiate-context", false},
	BadName:                {"bad-name", false},
	BadDisplacement:        {"bad-displacement", true},
	TooManySessions:        {"too-many-sessions", true},
	TooManyTrees:           {"too-many-trees", true},
	TooManyOpens:           {"too-many-opens", true},
	TooManyRequests:        {"too-many-requests", false},
	TooMuchHeld:            {"too-much-held", true},
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
