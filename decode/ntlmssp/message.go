package ntlmssp

import "strconv"

// Type is the MessageType, MS-NLMP 2.2.1.
type Type uint8

// The messages.
const (
	Negotiate    Type = 1 // NEGOTIATE_MESSAGE, from the client
	Challenge    Type = 2 // CHALLENGE_MESSAGE, from the server
	Authenticate Type = 3 // AUTHENTICATE_MESSAGE, from the client
)

// String gives a short name, type(0) for a number without one.
func (t Type) String() string {
	switch t {
	case Negotiate:
		return "negotiate"
	case Challenge:
		return "challenge"
	case Authenticate:
		return "authenticate"
	}
	return "type(" + strconv.Itoa(int(t)) + ")"
}

// Flags are the NegotiateFlags, MS-NLMP 2.2.2.5.
type Flags uint32

// Flags that say how to read a message or how the session will be.
const (
	FlagUnicode                 Flags = 1 << 0
	FlagOEM                     Flags = 1 << 1
	FlagRequestTarget           Flags = 1 << 2
	FlagSign                    Flags = 1 << 4
	FlagSeal                    Flags = 1 << 5
	FlagDatagram                Flags = 1 << 6
	FlagLMKey                   Flags = 1 << 7
	FlagNTLM                    Flags = 1 << 9
	FlagAnonymous               Flags = 1 << 11
	FlagDomainSupplied          Flags = 1 << 12
	FlagWorkstationSupplied     Flags = 1 << 13
	FlagLocalCall               Flags = 1 << 14
	FlagAlwaysSign              Flags = 1 << 15
	FlagTargetDomain            Flags = 1 << 16
	FlagTargetServer            Flags = 1 << 17
	FlagExtendedSessionSecurity Flags = 1 << 19
	FlagIdentify                Flags = 1 << 20
	FlagNonNTSessionKey         Flags = 1 << 22
	FlagTargetInfo              Flags = 1 << 23
	FlagVersion                 Flags = 1 << 25
	Flag128                     Flags = 1 << 29
	FlagKeyExchange             Flags = 1 << 30
	Flag56                      Flags = 1 << 31
)

// AVFlags is the value of MsvAvFlags, MS-NLMP 2.2.2.1.
type AVFlags uint32

// What MsvAvFlags says.
const (
	AVConstrained  AVFlags = 1 << 0 // the account's authentication is constrained
	AVMIC          AVFlags = 1 << 1 // the AUTHENTICATE_MESSAGE has a MIC
	AVUntrustedSPN AVFlags = 1 << 2 // the target name comes from an untrusted source
)

// Version is the sender's operating system, MS-NLMP 2.2.2.10.
type Version struct {
	Major, Minor uint8
	Build        uint16
	Revision     uint8 // NTLMRevisionCurrent, 15 in all that is seen
}

// TargetInfo is what a list of AV_PAIRs says, MS-NLMP 2.2.2.1: the server's in a
// CHALLENGE_MESSAGE, and the client's copy with its additions in an NTLMv2
// response. Absent names are empty.
type TargetInfo struct {
	NetBIOSComputer string
	NetBIOSDomain   string
	DNSComputer     string
	DNSDomain       string
	DNSTree         string // the forest
	TargetName      string // the SPN that the client wants to talk to
	Timestamp       uint64 // FILETIME: 100 ns since 1601; 0 is absent
	Flags           AVFlags
	SingleHost      bool // Single_Host_Data is there
	ChannelBindings bool // is there and not all zero, which means none
}

// Message is one message. Names that its type does not have are empty, numbers
// zero. It holds no slice of the bytes it was decoded from.
type Message struct {
	Type       Type
	HasFlags   bool // an AUTHENTICATE_MESSAGE of old may end before them
	HasVersion bool
	NTLMv2     bool // AUTHENTICATE: the NT response is an NTLMv2_RESPONSE
	MIC        bool // AUTHENTICATE: has one that is not all zero
	// LMZero says that an AUTHENTICATE's LM response is one zero byte, as a
	// client sends that asks for anonymous access.
	LMZero  bool
	Flags   Flags
	Version Version // valid iff HasVersion

	Domain      string // NEGOTIATE: of the client's machine; AUTHENTICATE: of the user
	User        string
	Workstation string
	Target      string // CHALLENGE: TargetName, the server or its domain
	Info        TargetInfo

	// Lengths in bytes, as an AUTHENTICATE_MESSAGE declares them.
	LMResponse, NTResponse, SessionKey int

	userLost, domainLost bool // there is one, but not where the message says
}

// Signals are the independent signs that an AUTHENTICATE_MESSAGE asks for
// anonymous access.
type Signals uint8

// The signs.
const (
	AnonymousFlag   Signals = 1 << iota // NTLMSSP_NEGOTIATE_ANONYMOUS
	EmptyNTResponse                     // no NT response
	EmptyLMResponse                     // no LM response, or one zero byte
	EmptyUser                           // no user name
	EmptyDomain                         // no domain name
)

// Signals gives the signs of an AUTHENTICATE_MESSAGE, 0 for another.
func (m *Message) Signals() Signals {
	if m.Type != Authenticate {
		return 0
	}
	var s Signals
	if m.Flags&FlagAnonymous != 0 {
		s |= AnonymousFlag
	}
	if m.NTResponse == 0 {
		s |= EmptyNTResponse
	}
	if m.LMResponse == 0 || m.LMZero {
		s |= EmptyLMResponse
	}
	if m.User == "" && !m.userLost {
		s |= EmptyUser
	}
	if m.Domain == "" && !m.domainLost {
		s |= EmptyDomain
	}
	return s
}

// Anonymous tells whether the message asks for anonymous access. It proves
// knowledge of nothing, and either names nobody, by which servers judge
// (MS-NLMP 3.2.5.1.2), or has the flag. A message with a response is not
// anonymous, whatever else is empty or set.
func (m *Message) Anonymous() bool {
	s := m.Signals()
	return s&(EmptyNTResponse|EmptyLMResponse) == EmptyNTResponse|EmptyLMResponse && s&(EmptyUser|AnonymousFlag) != 0
}
