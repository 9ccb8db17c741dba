package stream

import "strconv"

// Anomaly is what is wrong with a segment, given what was seen of its
// connection; 0 is nothing. Each is told once a direction.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyTable; there is room
// for eight, see half.told.
const (
	OverlapDiffers Anomaly = iota + 1 // data sent again with other bytes; the first were kept
	SYNDiffers                        // a second SYN with another sequence number before the answer to the first
	SYNInside                         // a SYN with another sequence number in an open connection
	UrgentData                        // data flagged urgent: hosts disagree whether it is part of the stream (RFC 6093); it is kept
	DataAfterFIN                      // data at or behind the end that a FIN announced
	MisplacedFIN                      // a FIN inside the data, or at another place than the one before
	DataAfterReset                    // the end that sent an accepted RST goes on sending
	ManySegments                      // more segments behind a hole than may wait, of a few bytes each
	anomalies
)

var anomalyTable = [anomalies]struct {
	name    string
	evasive bool
}{
	0:              {"none", false},
	OverlapDiffers: {"overlap-differs", true},
	SYNDiffers:     {"syn-differs", false},
	SYNInside:      {"syn-inside-connection", false},
	UrgentData:     {"urgent-data", true},
	DataAfterFIN:   {"data-after-fin", true},
	MisplacedFIN:   {"misplaced-fin", true},
	DataAfterReset: {"data-after-reset", true},
	ManySegments:   {"many-segments", true},
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
