package rpch

import (
	"strconv"

	"kmswatch/decode/dcerpc"
	"kmswatch/decode/wire"
)

// Flags of an RTS PDU (MS-RPCH 2.2.3.6.1).
const (
	RTSPing           = 0x0001
	RTSOtherCommand   = 0x0002
	RTSRecycleChannel = 0x0004
	RTSInChannel      = 0x0008
	RTSOutChannel     = 0x0010
	RTSEOF            = 0x0020
	RTSEcho           = 0x0040
)

// CommandType tells RTS commands apart (MS-RPCH 2.2.3.5).
type CommandType uint8

// RTS commands.
const (
	ReceiveWindowSize CommandType = iota
	FlowControlAck
	ConnectionTimeout
	Cookie
	ChannelLifetime
	ClientKeepalive
	Version
	Empty
	Padding
	NegativeANCE
	ANCE
	ClientAddress
	AssociationGroupID
	Destination
	PingTrafficSentNotify
	commandTypes
)

// commandTable has the name of each command and the length of what follows its
// type; Padding and ClientAddress say theirs themselves.
var commandTable = [commandTypes]struct {
	name string
	size uint8
}{
	ReceiveWindowSize:     {"receive_window_size", 4},
	FlowControlAck:        {"flow_control_ack", 24},
	ConnectionTimeout:     {"connection_timeout", 4},
	Cookie:                {"cookie", 16},
	ChannelLifetime:       {"channel_lifetime", 4},
	ClientKeepalive:       {"client_keepalive", 4},
	Version:               {"version", 4},
	Empty:                 {"empty", 0},
	Padding:               {"padding", 4},
	NegativeANCE:          {"negative_ance", 0},
	ANCE:                  {"ance", 0},
	ClientAddress:         {"client_address", 4},
	AssociationGroupID:    {"association_group_id", 16},
	Destination:           {"destination", 4},
	PingTrafficSentNotify: {"ping_traffic_sent_notify", 4},
}

// String gives the name, command(99) for a number without one.
func (t CommandType) String() string {
	if t < commandTypes {
		return commandTable[t].name
	}
	return "command(" + strconv.Itoa(int(t)) + ")"
}

// Command is one RTS command.
type Command struct {
	Type CommandType
	// Value is the number of a command that has one: bytes of a window and of
	// FlowControlAck's received ones, milliseconds of a time-out and a keep-alive,
	// bytes of a lifetime, a version, a destination (0 client, 1 in proxy, 2
	// server, 3 out proxy), bytes of padding.
	Value   uint32
	Window  uint32      // bytes left, of FlowControlAck
	Cookie  dcerpc.UUID // of Cookie, FlowControlAck, AssociationGroupID
	Address [16]byte    // of ClientAddress; an IPv4 address as IPv4-mapped IPv6
}

// maxCommands is more than the 7 of the largest RTS PDU (MS-RPCH 2.2.4).
const maxCommands = 12

// RTS is a decoded RTS PDU. It is reused: Decode resets it; it owns all it has.
type RTS struct {
	Flags    uint16
	commands [maxCommands]Command
	count    int
	offset   int // of the anomaly
}

// Commands gives the commands, until the next Decode.
func (r *RTS) Commands() []Command { return r.commands[:r.count] }

// rtsHeader is the length of the header of an RTS PDU, bytes.
const rtsHeader = dcerpc.HeaderSize + 4

// Decode reads b, one whole PDU of type 20 (MS-RPCH 2.2.3.6). It returns one
// thing that is wrong; the commands before it are set all the same.
func (r *RTS) Decode(b []byte) Anomaly {
	*r = RTS{}
	var h dcerpc.Header
	an := h.Decode(b)
	if an.Lost() || len(b) < rtsHeader {
		return r.fail(ShortRTS, len(b))
	}
	b = b[:min(len(b), int(h.FragLength))]
	c := wire.Little(b)
	c.Skip(dcerpc.HeaderSize)
	r.Flags = c.U16()
	n := int(c.U16())
	var odd Anomaly
	if an != 0 || h.BigEndian || h.Flags != dcerpc.FlagFirst|dcerpc.FlagLast || h.CallID != 0 || h.AuthLength != 0 {
		odd = BadRTSHeader
	}
	for range n {
		at := c.Offset()
		t := c.U32()
		switch {
		case !c.Ok():
			return r.fail(ShortRTS, at)
		case t >= uint32(commandTypes):
			return r.fail(BadCommand, at)
		case r.count == maxCommands:
			return r.fail(TooManyCommands, at)
		}
		x := Command{Type: CommandType(t)}
		switch x.Type {
		case FlowControlAck:
			x.Value, x.Window = c.U32(), c.U32()
			x.Cookie = cookie(&c)
		case Cookie, AssociationGroupID:
			x.Cookie = cookie(&c)
		case Padding:
			x.Value = c.U32()
			c.Skip(int(min(x.Value, 1<<16)))
		case ClientAddress: // MS-RPCH 2.2.3.5.11; 2.2.3.2
			switch c.U32() {
			case 0:
				x.Address[10], x.Address[11] = 0xff, 0xff
				copy(x.Address[12:], c.Bytes(4))
			case 1:
				copy(x.Address[:], c.Bytes(16))
			default:
				return r.fail(BadCommand, at+4)
			}
			c.Skip(12)
		default:
			if commandTable[t].size == 4 {
				x.Value = c.U32()
			}
		}
		if !c.Ok() {
			return r.fail(ShortRTS, at)
		}
		r.commands[r.count] = x
		r.count++
	}
	if c.Len() != 0 {
		return r.fail(TrailingRTS, c.Offset())
	}
	return r.fail(odd, 3)
}

func (r *RTS) fail(a Anomaly, offset int) Anomaly {
	if a != 0 {
		r.offset = offset
	}
	return a
}

func cookie(c *wire.Cursor) (u dcerpc.UUID) {
	if b := c.Bytes(16); b != nil {
		u = dcerpc.WireUUID(b, false)
	}
	return u
}

// Connection gives the cookie of the virtual connection. It is the first of the
// cookies in each RTS PDU that has several; one alone is that of a channel.
func (r *RTS) Connection() (id dcerpc.UUID, ok bool) {
	n := 0
	for _, x := range r.Commands() {
		if x.Type == Cookie {
			if n == 0 {
				id = x.Cookie
			}
			n++
		}
	}
	if n < 2 {
		return dcerpc.UUID{}, false
	}
	return id, true
}

// Group gives the association group id, if the PDU has one.
func (r *RTS) Group() (id dcerpc.UUID, ok bool) {
	for _, x := range r.Commands() {
		if x.Type == AssociationGroupID {
			return x.Cookie, true
		}
	}
	return dcerpc.UUID{}, false
}

// Name gives the name of the PDU (MS-RPCH 2.2.4), empty if it is none of those
// that can be told from the rest; CONN/C1 and CONN/C2 are one on the wire.
func (r *RTS) Name() string {
	for i := range rtsNames {
		x := &rtsNames[i]
		if x.flags == r.Flags && len(x.commands) == r.count {
			same := true
			for j := range r.count {
				same = same && CommandType(x.commands[j]) == r.commands[j].Type
			}
			if same {
				return x.name
			}
		}
	}
	return ""
}

// rtsNames tells RTS PDUs by their flags and commands, a byte each.
var rtsNames = [...]struct {
	name     string
	flags    uint16
	commands string
}{
	{"CONN/A1", 0, "\x06\x03\x03\x00"},
	{"CONN/A2", RTSOutChannel, "\x06\x03\x03\x04\x00"},
	{"CONN/A3", 0, "\x02"},
	{"CONN/B1", 0, "\x06\x03\x03\x04\x05\x0c"},
	{"CONN/B2", RTSInChannel, "\x06\x03\x03\x00\x02\x0c\x0b"},
	{"CONN/B3", 0, "\x00\x06"},
	{"CONN/C", 0, "\x06\x00\x02"},
	{"IN_R1/A1", RTSRecycleChannel, "\x06\x03\x03\x03"},
	{"IN_R1/A2", RTSInChannel | RTSRecycleChannel, "\x06\x03\x03\x03\x00\x02"},
	{"OUT_R1/A1", RTSRecycleChannel, "\x0d"},
	{"OUT_R1/A3", RTSRecycleChannel, "\x06\x03\x03\x03\x00"},
	{"OUT_R1/A4", RTSOutChannel | RTSRecycleChannel, "\x06\x03\x03\x03\x04\x00\x02"},
	{"Echo", RTSEcho, ""},
	{"Ping", RTSPing, ""},
	{"Keep-Alive", RTSOtherCommand, "\x05"},
	{"PingTrafficSentNotify", RTSOtherCommand, "\x0e"},
	{"FlowControlAck", RTSOtherCommand, "\x01"},
	{"FlowControlAckWithDestination", RTSOtherCommand, "\x0d\x01"},
}
