package spnego

import "strconv"

// Anomaly is what is wrong with a token; 0 is nothing.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyNames.
const (
	NotToken          Anomaly = iota + 1 // the bytes begin no token that is known
	CutToken                             // they end before the token does
	BadEncoding                          // an element inside reaches beyond the one it is in, or has no valid length
	BadField                             // a field of another ASN.1 type than it must have, or out of range
	DuplicateField                       // a field twice
	NoMechanisms                         // a NegTokenInit that offers nothing
	TooManyMechanisms                    // more mechanisms than are kept
	TrailingBytes                        // bytes behind the token
	anomalies
)

var anomalyNames = [anomalies]string{
	0:                 "none",
	NotToken:          "not-a-token",
	CutToken:          "cut-token",
	BadEncoding:       "bad-encoding",
	BadField:          "bad-field",
	DuplicateField:    "duplicate-field",
	NoMechanisms:      "no-mechanisms",
	TooManyMechanisms: "too-many-mechanisms",
	TrailingBytes:     "trailing-bytes",
}

// String gives the name.
func (a Anomaly) String() string {
	if a < anomalies {
		return anomalyNames[a]
	}
	return "anomaly(" + strconv.Itoa(int(a)) + ")"
}

// Evasive tells whether honest programs have no reason to do it.
func (a Anomaly) Evasive() bool { return a == DuplicateField || a == TooManyMechanisms }
