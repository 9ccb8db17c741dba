package auth

import (
	"strconv"

	"kmswatch/decode/kerberos"
	"kmswatch/decode/ntlmssp"
	"kmswatch/decode/spnego"
)

// Anomaly is what is wrong with a token, or with its place in an exchange; 0 is
// nothing. It is an anomaly of this package or one of those that decode the
// token: see Protocol.
type Anomaly uint16

// Anomalies of an exchange. To add one: a constant here, a row in anomalyTable.
const (
	WrongDirection     Anomaly = iota + 1 // a message that only the other end sends
	UnknownToken                          // bytes that begin no token of a mechanism in use
	NestedNegotiation                     // SPNEGO inside SPNEGO: it is not entered
	UnofferedMechanism                    // the server chose what the client did not offer
	ShortNetlogon                         // an NL_AUTH_MESSAGE that ends before its fields do
	BadNetlogon                           // one of a MessageType that does not exist, or with a name that is none
	anomalies
)

var anomalyTable = [anomalies]struct {
	name    string
	evasive bool
}{
	0:                  {"none", false},
	WrongDirection:     {"wrong-direction", false},
	UnknownToken:       {"unknown-token", false},
	NestedNegotiation:  {"nested-negotiation", true},
	UnofferedMechanism: {"unoffered-mechanism", false},
	ShortNetlogon:      {"short-netlogon-token", false},
	BadNetlogon:        {"bad-netlogon-token", false},
}

// The low byte is the code in the table of the protocol.
const (
	ofSPNEGO Anomaly = (iota + 1) << 8
	ofNTLM
	ofKerberos
)

func spnegoAnomaly(a spnego.Anomaly) Anomaly {
	if a == 0 {
		return 0
	}
	return ofSPNEGO | Anomaly(a)
}

func ntlmAnomaly(a ntlmssp.Anomaly) Anomaly {
	if a == 0 {
		return 0
	}
	return ofNTLM | Anomaly(a)
}

func kerberosAnomaly(a kerberos.Anomaly) Anomaly {
	if a == 0 {
		return 0
	}
	return ofKerberos | Anomaly(a)
}

// Protocol names whose anomaly it is: spnego, ntlmssp, kerberos, or auth.
func (a Anomaly) Protocol() string {
	switch a & 0xff00 {
	case ofSPNEGO:
		return "spnego"
	case ofNTLM:
		return "ntlmssp"
	case ofKerberos:
		return "kerberos"
	}
	return "auth"
}

// String gives the name in the protocol's table.
func (a Anomaly) String() string {
	code := uint8(a)
	switch a & 0xff00 {
	case ofSPNEGO:
		return spnego.Anomaly(code).String()
	case ofNTLM:
		return ntlmssp.Anomaly(code).String()
	case ofKerberos:
		return kerberos.Anomaly(code).String()
	}
	if a < anomalies {
		return anomalyTable[a].name
	}
	return "anomaly(" + strconv.Itoa(int(a)) + ")"
}

// Evasive tells whether honest programs have no reason to do it.
func (a Anomaly) Evasive() bool {
	code := uint8(a)
	switch a & 0xff00 {
	case ofSPNEGO:
		return spnego.Anomaly(code).Evasive()
	case ofNTLM:
		return ntlmssp.Anomaly(code).Evasive()
	}
	return a < anomalies && anomalyTable[a].evasive
}
