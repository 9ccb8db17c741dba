package dcerpc

// Result is the server's word on one presentation context (p_cont_def_result_t,
// C706 12.6.3.1; negotiate_ack is MS-RPCE 2.2.2.4).
type Result uint16

// Results.
const (
	Acceptance        Result = 0
	UserRejection     Result = 1
	ProviderRejection Result = 2
	NegotiateAck      Result = 3 // the answer to bind-time features: no rejection
)

// ContextItem is one presentation context of a bind or alter_context, with the
// answer to it where one was seen.
type ContextItem struct {
	ID       uint16
	Abstract Syntax   // the interface
	Transfer []Syntax // as offered, in order
	Answered bool     // the fields below are valid iff set
	Result   Result
	Reason   uint16 // valid iff Result is a rejection; for negotiate_ack the feature bits granted
	Accepted Syntax // the transfer syntax taken; valid iff Result is Acceptance
}

// wide tells whether the client left the server no other syntax than NDR64.
func (x *ContextItem) wide() bool {
	found := false
	for _, t := range x.Transfer {
		if t.UUID == NDR32.UUID {
			return false
		}
		found = found || t.UUID == NDR64.UUID
	}
	return found
}

// AuthType is the security provider of a verifier (MS-RPCE 2.2.1.1.7).
type AuthType uint8

// AuthLevel is the protection of a verifier (MS-RPCE 2.2.1.1.8).
type AuthLevel uint8

// Auth is the security trailer of a PDU and what follows it (sec_trailer,
// C706 13.2.6.1; MS-RPCE 2.2.2.11).
type Auth struct {
	Present   bool // the other fields are valid iff set
	Type      AuthType
	Level     AuthLevel
	PadLength uint8 // bytes of padding between stub and trailer
	ContextID uint32
	Value     []byte // auth_value; shares the PDU's memory
}
