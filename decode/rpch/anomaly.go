package rpch

import "strconv"

// Anomaly is what is wrong with the HTTP of a channel or with an RTS PDU; 0 is
// nothing.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyNames.
const (
	NotHTTP         Anomaly = iota + 1 // neither HTTP nor PDUs: the stream is given up
	HeadTooLong                        // a head without end: the stream is given up
	BadRequestLine                     // a request line that is not one
	BadStatusLine                      // a status line that is not one
	BadTarget                          // no server and port behind the path
	BadLength                          // Content-Length is no number, or there are two that differ
	BadChunk                           // a chunk without a length: the stream is given up
	BadToken                           // a token that is not base64
	PDUBeyondBody                      // a PDU reaches beyond the end of its body
	ShortRTS                           // an RTS PDU ends before its commands do
	TrailingRTS                        // bytes behind the last command
	BadCommand                         // an RTS command that does not exist
	TooManyCommands                    // more commands than any RTS PDU has
	BadRTSHeader                       // an RTS PDU with flags, a call id or a verifier (MS-RPCH 2.2.3.6.1)
	anomalies
)

var anomalyNames = [anomalies]string{
	0:               "none",
	NotHTTP:         "not-http",
	HeadTooLong:     "head-too-long",
	BadRequestLine:  "bad-request-line",
	BadStatusLine:   "bad-status-line",
	BadTarget:       "bad-target",
	BadLength:       "bad-content-length",
	BadChunk:        "bad-chunk",
	BadToken:        "bad-token",
	PDUBeyondBody:   "pdu-beyond-body",
	ShortRTS:        "short-rts",
	TrailingRTS:     "trailing-rts-bytes",
	BadCommand:      "bad-rts-command",
	TooManyCommands: "too-many-rts-commands",
	BadRTSHeader:    "bad-rts-header",
}

// String gives the name.
func (a Anomaly) String() string {
	if a < anomalies {
		return anomalyNames[a]
	}
	return "anomaly(" + strconv.Itoa(int(a)) + ")"
}
