package ntlmssp

import "strconv"

// Anomaly is what is wrong with a message; 0 is nothing.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyTable.
const (
	BadSignature   Anomaly = iota + 1 // does not begin with "NTLMSSP\0"
	BadType                           // a MessageType that does not exist
	ShortMessage                      // ends before the fixed fields of its type do
	FieldOutside                      // a field reaches beyond the message
	FieldInHeader                     // a field lies in the fixed fields
	FieldsOverlap                     // two fields share bytes
	OddUnicode                        // UTF-16 of an odd number of bytes
	NameTooLong                       // a name of more than MaxName units: the rest is cut off
	AVTruncated                       // an AV_PAIR reaches beyond its list
	AVUnterminated                    // a list of AV_PAIRs without MsvAvEOL
	AVLength                          // an AV_PAIR whose length is not that of its type
	DuplicateAV                       // two AV_PAIRs of one type
	TooManyAVs                        // more AV_PAIRs than are looked at
	BadResponse                       // a response of a length that none has
	MICMissing                        // MsvAvFlags promises a MIC that is not there: it was taken out
	anomalies
)

var anomalyTable = [anomalies]struct {
	name    string
	evasive bool
}{
	0:              {"none", false},
	BadSignature:   {"bad-signature", false},
	BadType:        {"bad-type", false},
	ShortMessage:   {"short-message", false},
	FieldOutside:   {"field-outside", true},
	FieldInHeader:  {"field-in-header", true},
	FieldsOverlap:  {"fields-overlap", true},
	OddUnicode:     {"odd-unicode", false},
	NameTooLong:    {"name-too-long", true},
	AVTruncated:    {"av-pair-truncated", false},
	AVUnterminated: {"av-pairs-unterminated", false},
	AVLength:       {"av-pair-length", false},
	DuplicateAV:    {"duplicate-av-pair", false},
	TooManyAVs:     {"too-many-av-pairs", true},
	BadResponse:    {"bad-response-length", false},
	MICMissing:     {"mic-missing", true}, // CVE-2019-1040
}

// String gives the name.
func (a Anomaly) String() string {
	if a < anomalies {
		return anomalyTable[a].name
	}
	return "anomaly(" + strconv.Itoa(int(a)) + ")"
}

// Evasive tells whether honest programs have no reason to do it.
func (a Anomaly) Evasive() bool { return a < anomalies && anomalyTable[a].evasive }
