package decode

import (
	"net/netip"

	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"
	"kmswatch/decode/kms"
	"kmswatch/decode/ncadg"
	"kmswatch/decode/stub"
)

// Kind tells the events apart without a type switch.
type Kind uint8

// Kinds of events.
const (
	KindPDU Kind = iota
	KindBind
	KindCall
	KindKMSMessage
	KindKMSExchange
	KindDNSMessage
	KindSRVLookup
	KindDNSUpdate
	KindForeign
	KindAnomaly
	KindFlowEnd
	KindLoss
	KindAuth
	KindSession
	KindTreeConnect
	KindPipeOpen
	KindEndpointMapped
	KindLDAPBind
	KindLDAPSearch
	KindKerberosReply
	KindOpaque
	KindDatagramPDU
	KindSMBMessage
	KindLDAPMessage
	KindKerberosMessage
	KindToken
	KindRTSMessage
	Kinds int = iota // how many there are
)

// Event is what the engine tells its Handler: one of the pointer types below.
// An event and all that it points to is borrowed until Handle returns.
type Event interface {
	Kind() Kind
	Head() *Head
}

// Handler takes the events in frame order, from one goroutine.
type Handler interface {
	Handle(Event)
}

// Position names a frame: its file and its ordinal in it, from 1.
type Position struct {
	File  int32
	Frame uint64 // 0 where there is none
}

// Endpoint is one end of a flow.
type Endpoint struct {
	Addr netip.Addr
	Port uint16
}

// Quality says what of a flow was not seen as it was sent. Zero is a complete flow.
type Quality uint8

// What was missing from, or wrong with, the capture of a flow.
const (
	MidStream     Quality = 1 << iota // the beginning was not seen; that of an association is its bind
	BytesMissing                      // bytes of the stream are missing
	OneSided                          // only one direction was seen so far
	Duplicates                        // frames seen twice, as SPAN ports give them, were removed
	Cut                               // frames were cut by the snap length
	Overlap                           // overlapping data that differs was seen; the first was kept
	FramesDropped                     // the sensor lost frames while the flow was there, perhaps its own
)

// Names gives the words of what was missing or wrong, in the order of the bits.
func (q Quality) Names() []string {
	var names []string
	for i, name := range qualityNames {
		if q&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

var qualityNames = [...]string{"mid-stream", "bytes-missing", "one-sided", "duplicates-removed", "cut", "overlap", "frames-dropped"}

// Tunnel is the innermost encapsulation of a flow.
type Tunnel uint8

// Tunnels.
const (
	NoTunnel Tunnel = iota
	GRE
	ERSPAN
	VXLAN
	Geneve
	IPIP
	GTP
	Teredo
)

func (t Tunnel) String() string {
	if int(t) < len(tunnelNames) {
		return tunnelNames[t]
	}
	return "unknown"
}

var tunnelNames = [...]string{"none", "gre", "erspan", "vxlan", "geneve", "ipip", "gtp", "teredo"}

// Flow describes the flow of an event as known when the event was made.
type Flow struct {
	ID       uint64 // the same for all events of a flow, and for no other flow of the run
	Client   Endpoint
	Server   Endpoint
	Proto    uint8     // IP protocol: 6 TCP, 17 UDP
	Quality  Quality   //
	VLANs    [2]uint16 // VLAN ids, outer first; 0 where there is none
	Tunnel   Tunnel
	TunnelID uint32 // GRE key, ERSPAN session, VNI; valid iff Tunnel is set
	Start    int64  // time of the first frame, nanoseconds since the epoch
}

// Head is what all events have in common.
type Head struct {
	Flow       Flow
	At         Position // the frame that completed the event
	Time       int64    // of that frame, nanoseconds since the epoch
	FromServer bool     // that frame went from server to client
}

// Outcome is what came of a bind, a call, an exchange or a lookup.
type Outcome uint8

// Outcomes.
const (
	Unknown    Outcome = iota // the answer fell into a gap, or the capture ended first
	Accepted                  // bind: at least one interface was accepted
	Rejected                  // bind: answered, and every interface rejected; call: refused by the RPC runtime
	Nak                       // bind: bind_nak
	Answered                  // call, exchange, lookup: an answer came
	Faulted                   // call: a fault came
	Refused                   // exchange: an HRESULT other than success; lookup: an RCODE other than success
	Unanswered                // the flow ended, or the waiting time passed, without an answer
)

func (o Outcome) String() string {
	return [...]string{"unknown", "accepted", "rejected", "nak", "answered", "fault", "refused", "unanswered"}[o&7]
}

// PDU is one DCE/RPC PDU, told as it ends, with Config.Messages only.
type PDU struct {
	head
	Association
	PDU       *dcerpc.PDU
	Interface dcerpc.Syntax // of the PDU's presentation context; valid iff Known
	Known     bool
}

// DatagramPDU is one PDU of connectionless DCE/RPC, with Config.Messages only.
type DatagramPDU struct {
	head
	Association
	PDU *ncadg.PDU
}

// Bind is a bind or alter_context with its answer.
type Bind struct {
	head
	Association
	Request   Position // frame of the bind; Head().At is that of the answer, or the same
	Alter     bool     // alter_context
	CallID    uint32
	Contexts  []dcerpc.ContextItem
	Auth      dcerpc.Auth // of the request; Value is nil
	Group     uint32      // association group id: of the answer, else of the request
	MaxXmit   uint16      // of the request, bytes
	MaxRecv   uint16      // of the request, bytes
	Secondary []byte      // secondary address of the answer, without its NUL
	Outcome   Outcome     // Unknown, Accepted, Rejected, Nak, Unanswered
	NakReason uint16      // valid iff Outcome is Nak

	// Negotiation is all that was said, as package software reads it. Its slices
	// are those above.
	Negotiation dcerpc.Negotiation
}

// Call is a request with its response or fault.
type Call struct {
	head
	Association
	Request    Position // frame in which the request ended
	Answer     Position // frame in which the answer ended; zero iff none
	Asked      int64    // time of Request
	CallID     uint32
	ContextID  uint16
	Opnum      uint16
	Interface  dcerpc.Syntax // valid iff Known
	Known      bool          // the presentation context was negotiated within sight
	Accepted   bool          // and accepted by the server
	NDR64      bool          // transfer syntax of the stubs; if not Accepted, of what the client offered
	HasObject  bool
	Object     dcerpc.UUID
	Auth       dcerpc.Auth // of the request; Value is nil
	Outcome    Outcome     // Unknown, Answered, Faulted, Rejected, Unanswered
	Status     uint32      // fault status; valid iff Faulted or Rejected
	RequestLen int         // stub bytes of all fragments
	ReplyLen   int
	Fragments  [2]int          // PDUs of request and of response
	Arguments  *stub.Arguments // what was read of the request; nil where nothing is read of the operation
	Returned   bool            // Return is there: of an operation whose arguments are read or that lists, Answered
	Return     uint32          // the operation's own result: a Win32 error, NTSTATUS or HRESULT
	Failed     bool            // valid iff Returned: Return is an error
}

// KMSMessage is a KMS request or response, with Config.Messages only.
type KMSMessage struct {
	head
	Association
	CallID   uint32
	Request  *kms.Request  // nil for a response
	Response *kms.Response // nil for a request
	Anomaly  kms.Anomaly
}

// KMSExchange is a KMS request with its response, fault, or silence.
type KMSExchange struct {
	head
	Association
	Ask         Position
	Asked       int64
	Request     kms.Request // valid iff HasRequest
	HasRequest  bool
	Response    kms.Response // valid iff HasResponse
	HasResponse bool
	Outcome     Outcome // Answered, Refused, Faulted, Unanswered, Unknown
	Status      uint32  // HRESULT if Refused, fault status if Faulted
	Anomaly     kms.Anomaly
}

// DNSMessage is one DNS message about SRV records, with Config.Messages only.
type DNSMessage struct {
	head
	Message *dns.Message
}

// SRVLookup is an SRV query with its answer.
type SRVLookup struct {
	head
	Ask     Position
	Asked   int64
	Name    string // lower case, without the final dot
	Outcome Outcome
	Message *dns.Message // the answer; nil iff none was seen
}

// DNSUpdate is a DNS UPDATE that touches SRV records, with its answer.
type DNSUpdate struct {
	head
	Ask     Position
	Asked   int64
	Outcome Outcome
	RCode   uint16
	Message *dns.Message // the request
}

// Foreign is a TCP flow on a KMS port whose first bytes are not DCE/RPC.
type Foreign struct {
	head
	Guess string // what it seems to be: http, ncacn_http, kerberos, rdp, smb, socks, ssh, tls, or unknown
}

// Anomaly is something malformed or evasive.
type Anomaly struct {
	head
	Association          // iff Protocol is ProtoDCERPC, or of what it carries; else zero, with no Caller
	Ask         Position // frame of the request that it is in, if it was told with the answer; else zero
	Protocol    Protocol
	Name        string // of the anomaly, from the protocol's table
	Evasive     bool   // breaks the specification in a way that hides from sensors
	Offset      int    // of the offending byte in the PDU or message
}

// FlowEnd closes a flow of which other events were told.
type FlowEnd struct {
	head
	Frames [2]uint64 // from the client, from the server
	Bytes  [2]uint64 // payload bytes likewise
	Reason EndReason
}

// Loss is what the sensor itself lost: of the frames, what Lost was told; of a
// part of the flows, what came of bounds and of the snap length, once a second.
// It is of no flow.
type Loss struct {
	head
	Dropped uint64 // frames that the source dropped
	Frames  uint64 // frames fed over the same time; valid iff Dropped is not 0
	Cut     uint64 // frames of flows of interest of which the snap length cut payload
	Evicted uint64 // flows that made room for others
}

// EndReason is why a flow ended.
type EndReason uint8

// Reasons.
const (
	EndOfCapture EndReason = iota
	Closed                 // FIN both ways
	Reset
	Idle
	Evicted // made room for another
)

// Protocol names the decoder that an event stands on.
type Protocol uint8

// Protocols.
const (
	ProtoPacket Protocol = iota
	ProtoTCP
	ProtoDCERPC
	ProtoKMS
	ProtoDNS
	ProtoSMB
	ProtoNTLMSSP
	ProtoSPNEGO
	ProtoKerberos
	ProtoLDAP
	ProtoEPM
	ProtoStub // the arguments of an operation
	ProtoHTTP // ncacn_http
)

func (p Protocol) String() string {
	if int(p) < len(protocolNames) {
		return protocolNames[p]
	}
	return "unknown"
}

// overRPC tells whether anomalies of the protocol are those of an association.
func (p Protocol) overRPC() bool {
	return p == ProtoDCERPC || p == ProtoKMS || p == ProtoEPM || p == ProtoStub
}

var protocolNames = [...]string{"packet", "tcp", "dcerpc", "kms", "dns", "smb", "ntlmssp", "spnego", "kerberos", "ldap", "epm", "stub", "ncacn_http"}

// head gives each event its Head method.
type head struct{ h Head }

// Head gives the common part.
func (h *head) Head() *Head { return &h.h }

// Kind tells the event's type.
func (*PDU) Kind() Kind         { return KindPDU }
func (*DatagramPDU) Kind() Kind { return KindDatagramPDU }
func (*Bind) Kind() Kind        { return KindBind }
func (*Call) Kind() Kind        { return KindCall }
func (*KMSMessage) Kind() Kind  { return KindKMSMessage }
func (*KMSExchange) Kind() Kind { return KindKMSExchange }
func (*DNSMessage) Kind() Kind  { return KindDNSMessage }
func (*SRVLookup) Kind() Kind   { return KindSRVLookup }
func (*DNSUpdate) Kind() Kind   { return KindDNSUpdate }
func (*Foreign) Kind() Kind     { return KindForeign }
func (*Anomaly) Kind() Kind     { return KindAnomaly }
func (*FlowEnd) Kind() Kind     { return KindFlowEnd }
func (*Loss) Kind() Kind        { return KindLoss }
