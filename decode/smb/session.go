package smb

import "kmswatch/decode/dcerpc"

// State is what came of a request for a session, a tree connect or an open.
type State uint8

// States.
const (
	Unknown    State = iota // the request or its answer was not seen
	Granted                 // the server took it
	Refused                 // it did not, for Status
	Unanswered              // the stream ended first
	LoggedOff               // of a session that was granted, or so it seems
)

// String gives a short name.
func (s State) String() string {
	if int(s) < len(states) {
		return states[s]
	}
	return "state"
}

var states = [...]string{"unknown", "granted", "refused", "unanswered", "logged-off"}

// Session is an authenticated context: a session of SMB 2 and 3, a UID of SMB
// 1. One whose setup was not seen is of state Unknown and has its ID alone. It
// lives until the connection ends or the session is evicted; the handler may
// keep a pointer to it until Conn.End returns.
type Session struct {
	Version uint8        // 1 or 2
	State   State        // of the setup
	ID      uint64       // SessionId, or UID
	Status  uint32       // of the last answer: an NTSTATUS, or as Status of Message where DOS is set
	DOS     bool         // Status is of the DOS kind
	Dialect uint16       // of SMB 2 and 3; 0 for SMB 1 and where it is not known
	Request dcerpc.Point // where the first request of the setup was seen
	Answer  dcerpc.Point // where the last answer was seen; zero iff none
	Legs    int          // requests of the setup
	Owner   any          // of the handler

	Guest       bool // the server says so: IS_GUEST (MS-SMB2 2.2.6), or the action of SMB 1
	Null        bool // the server says so: IS_NULL
	Encrypt     bool // the server wants all of the session encrypted
	MustSign    bool // the client requires signing
	Signed      bool // a signed message was seen
	Binding     bool // the setup binds a session of another connection to this one
	Again       bool // the setup authenticates anew within a session
	ExtendedSec bool // by security buffers, see Handler.Token; always so with SMB 2

	// Of SMB 1, as the client and then the server names itself.
	Account, Domain    string // without extended security only
	NativeOS, NativeLM string
	ServerOS, ServerLM string
	ServerDomain       string
	LMLength, NTLength int  // bytes of the ANSI and the Unicode password fields, without extended security
	LMZero             bool // the ANSI password is a single zero byte

	opaque  [2]uint8 // what was told, a bit each
	pending bool     // a setup is under way
}

// Tree is a tree connect. The handler may keep a pointer to it as to a Session.
type Tree struct {
	State     State
	ID        uint32 // TreeId, or TID
	Status    uint32
	DOS       bool
	Request   dcerpc.Point
	Answer    dcerpc.Point
	Session   *Session
	Path      string // as the client sent it: \\server\share
	Share     string // its last component
	Service   string // of SMB 1, as the server says: "IPC", "A:", "LPT1:"
	ShareType uint8  // of SMB 2: 1 disk, 2 pipe, 3 printer; 0 where it is not known
	IPC       bool   // for pipes
	Encrypt   bool   // the server wants it encrypted

	disk bool // known not to be for pipes
}

// FileID names an open: 16 bytes with SMB 2 (MS-SMB2 2.2.14.1), the first two of
// them with SMB 1.
type FileID [16]byte

// allOnes means the file of the operation before, MS-SMB2 3.3.5.2.7.2.
var allOnes = FileID{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}

// Pipe is an open named pipe, or the attempt to open one. A pointer to it is
// good until PipeEnd returns, or Open for one that was not granted.
type Pipe struct {
	ID      uint32 // unique in the connection
	Name    string // lower case, without \ and PIPE\ in front; empty where the open was not seen
	Known   bool   // the open was seen
	State   State
	Status  uint32
	DOS     bool
	Request dcerpc.Point // of the open
	Answer  dcerpc.Point
	File    FileID
	Access  uint32   // DesiredAccess of the open
	Session *Session // never nil
	Tree    *Tree    // nil where the tree connect was not seen
	Owner   any      // of the handler

	session uint64 // key, with tree and File
	tree    uint32
	phase   phase
	way     [2]way // to the server, to the client
}

// phase is how sure it is that a pipe is one.
type phase uint8

const (
	gone      phase = iota // ended
	asked                  // the open was not answered yet: bytes are kept for then
	candidate              // a file of a tree that is not known: a pipe once its bytes look like it
	open
)

// way is one direction of a pipe.
type way struct {
	held     []byte // not used by the handler yet
	boundary bool   // of held
	lost     bool   // bytes before held were dropped while nobody could be told
}

// Opacity is why messages cannot be read.
type Opacity uint8

// Opacities.
const (
	Encrypted  Opacity = iota + 1 // SMB2 TRANSFORM_HEADER, MS-SMB2 2.2.41
	Compressed                    // SMB2 COMPRESSION_TRANSFORM_HEADER, MS-SMB2 2.2.42
)

// String gives a short name.
func (o Opacity) String() string {
	switch o {
	case Encrypted:
		return "encrypted"
	case Compressed:
		return "compressed"
	}
	return "opacity"
}

// Negotiation is what the two ends agreed on, as far as it was seen.
type Negotiation struct {
	Version        uint8  // 0 before the server answered; 1 or 2
	Dialect        uint16 // of SMB 2 and 3: 0x0202 to 0x0311; 0x02ff while it is open
	DialectName    string // of SMB 1, as the client offered it
	Offered        [12]uint16
	OfferedCount   int    // of SMB 2 dialects, of which Offered has the first
	MultiProtocol  bool   // the client began with SMB 1
	ExtendedSec    bool   // SMB 1: extended security
	Capabilities   uint32 // of the server
	ClientCaps     uint32 // of an SMB 2 client
	ClientSecurity uint16 // SecurityMode: 1 signing enabled, 2 required
	ServerSecurity uint16 // SecurityMode; of SMB 1 mapped to the same bits
	Cipher         uint16 // of the answer, 0 none: 1 AES-128-CCM, 2 AES-128-GCM, 3 AES-256-CCM, 4 AES-256-GCM
	Compression    uint16 // first algorithm of the answer, 0 none
	Signing        uint16 // algorithm of the answer
	HasSigning     bool   // Signing was in the answer
	Preauth        uint16 // hash of the answer, 1 SHA-512
	NetName        string // the server's name as the client knows it
	ClientGUID     [16]byte
	ServerGUID     [16]byte
}

// MustSign tells whether either end requires signing.
func (n *Negotiation) MustSign() bool { return (n.ClientSecurity|n.ServerSecurity)&2 != 0 }

// Versions of Message. SMB 3 is of version 2, as its header is.
const (
	Version1           = 1
	Version2           = 2
	VersionTransform   = 3
	VersionCompression = 4
)

// Message is one command: a message, or one of a compound or an AndX chain. It
// is borrowed until the handler returns.
type Message struct {
	Version  uint8
	Response bool
	Related  bool // SMB 2: related operation
	Signed   bool
	Async    bool   // SMB 2: AsyncID is there and Tree is not, on the wire
	Short    bool   // the capture or the message ends before the fields of the command do
	DOS      bool   // Status is an SMB 1 error class (low byte) and code (high half)
	HasFile  bool   // File is valid
	Matched  bool   // a response whose request was seen: Request is valid
	Command  uint16 // see CommandName
	Function uint16 // SMB 1: of SMB_COM_TRANSACTION on a pipe; SMB_COM_TRANSACTION2 and NT_TRANSACT: the subcommand
	Chain    int    // place in the compound or chain, from 0
	Status   uint32 // of a response
	Flags    uint32 // of the header; SMB 1: Flags2 in the high half
	ID       uint64 // MessageId, or MID
	PID      uint32 // SMB 1
	Session  uint64 // SessionId, or UID
	Tree     uint32 // TreeId, or TID
	AsyncID  uint64
	Dialect  uint16 // NEGOTIATE response of SMB 2
	Control  uint32 // IOCTL
	Length   uint32 // bytes of data that it carries, or in the request of a READ asks for
	File     FileID
	Name     string // path of a tree connect, name of an open: as sent
	Request  dcerpc.Point
	Pipe     *Pipe // that it concerns, if that is known
}

// Failed tells whether the status of a response is an error: neither success,
// nor that more is to come.
func (m *Message) Failed() bool { return m.Response && failed(m.Status, m.DOS) }

// StatusName gives the name of the status.
func (m *Message) StatusName() string { return statusName(m.Status, m.DOS) }

func statusName(status uint32, dos bool) string {
	if dos {
		return DOSName(uint8(status), uint16(status>>16))
	}
	return StatusName(status)
}

// failed tells whether a status is an error. Warnings (0x8...) come with what
// was asked for.
func failed(status uint32, dos bool) bool {
	if dos {
		return status != 0 && status != dosMoreData
	}
	return status>>30 == 3 && status != statusMoreProcessing
}
