package dcerpc

import (
	"encoding/binary"
	"strconv"
)

// PType is the type of a PDU (C706 12.6.4; rts is MS-RPCH 2.2.3.5).
type PType uint8

// PDU types. Those between 1 and 10 but response and fault are connectionless.
const (
	TypeRequest          PType = 0
	TypePing             PType = 1
	TypeResponse         PType = 2
	TypeFault            PType = 3
	TypeWorking          PType = 4
	TypeNoCall           PType = 5
	TypeReject           PType = 6
	TypeAck              PType = 7
	TypeCLCancel         PType = 8
	TypeFack             PType = 9
	TypeCancelAck        PType = 10
	TypeBind             PType = 11
	TypeBindAck          PType = 12
	TypeBindNak          PType = 13
	TypeAlterContext     PType = 14
	TypeAlterContextResp PType = 15
	TypeAuth3            PType = 16
	TypeShutdown         PType = 17
	TypeCOCancel         PType = 18
	TypeOrphaned         PType = 19
	TypeRTS              PType = 20
	ptypes               PType = 21
)

// ptypeTable says of each type its name, who sends it, and the least
// frag_length of a connection-oriented PDU of it; 0 for the connectionless.
var ptypeTable = [ptypes]struct {
	name   string
	from   uint8 // 0 either or nobody, 1 client, 2 server
	length uint8
}{
	TypeRequest:          {"request", 1, 24},
	TypePing:             {"ping", 0, 0},
	TypeResponse:         {"response", 2, 24},
	TypeFault:            {"fault", 2, 28}, // 32 by C706, but its last field is reserved and some leave it out
	TypeWorking:          {"working", 0, 0},
	TypeNoCall:           {"nocall", 0, 0},
	TypeReject:           {"reject", 0, 0},
	TypeAck:              {"ack", 0, 0},
	TypeCLCancel:         {"cl_cancel", 0, 0},
	TypeFack:             {"fack", 0, 0},
	TypeCancelAck:        {"cancel_ack", 0, 0},
	TypeBind:             {"bind", 1, 28},
	TypeBindAck:          {"bind_ack", 2, 26},
	TypeBindNak:          {"bind_nak", 2, 18},
	TypeAlterContext:     {"alter_context", 1, 28},
	TypeAlterContextResp: {"alter_context_resp", 2, 26},
	TypeAuth3:            {"auth3", 1, 16}, // four bytes of padding by MS-RPCE 2.2.2.10, not sent by all
	TypeShutdown:         {"shutdown", 2, 16},
	TypeCOCancel:         {"co_cancel", 1, 16},
	TypeOrphaned:         {"orphaned", 1, 16},
	TypeRTS:              {"rts", 0, 20},
}

// String gives the wire name, ptype(99) for a number without one.
func (t PType) String() string {
	if t < ptypes {
		return ptypeTable[t].name
	}
	return "ptype(" + strconv.Itoa(int(t)) + ")"
}

// FromClient tells who sends PDUs of the type. It is not known of types that
// both ends send or that connections do not carry.
func (t PType) FromClient() (client, known bool) {
	if t >= ptypes {
		return false, false
	}
	from := ptypeTable[t].from
	return from == 1, from != 0
}

// connectionOriented tells whether connections carry the type.
func (t PType) connectionOriented() bool { return t < ptypes && ptypeTable[t].length != 0 }

// authenticates tells whether the verifier of the type has a token of an
// authentication, and not a signature (MS-RPCE 3.3.1.5.2).
func (t PType) authenticates() bool {
	switch t {
	case TypeBind, TypeBindAck, TypeAlterContext, TypeAlterContextResp, TypeAuth3:
		return true
	}
	return false
}

// Flags of the common header (C706 12.6.3.1; MS-RPCE 2.2.2.3).
const (
	FlagFirst         = 0x01 // first fragment
	FlagLast          = 0x02 // last fragment
	FlagHeaderSign    = 0x04 // on bind, alter_context and their answers: header signing
	FlagPendingCancel = 0x04 // elsewhere: a cancel was pending at the sender
	FlagConcMpx       = 0x10 // concurrent multiplexing of calls
	FlagDidNotExecute = 0x20 // on a fault: the call was surely not executed
	FlagMaybe         = 0x40 // the caller wants no answer
	FlagObject        = 0x80 // an object UUID follows the opnum
)

// HeaderSize is the length of the common header, bytes.
const HeaderSize = 16

// Header is the common header (C706 12.6.3.1).
type Header struct {
	Minor      uint8 // of version 5
	Type       PType
	Flags      uint8
	BigEndian  bool    // integers, by the data representation
	DataRep    [4]byte // as sent
	FragLength uint16  // of the PDU, bytes, with this header
	AuthLength uint16  // of auth_value, bytes; 0 without a security trailer
	CallID     uint32
}

// Decode reads the header from the first 16 bytes of b. Only after an anomaly
// for which the stream is lost (Lost) is FragLength worthless.
func (h *Header) Decode(b []byte) Anomaly {
	if len(b) < HeaderSize {
		*h = Header{}
		return ShortHeader
	}
	h.Minor, h.Type, h.Flags = b[1], PType(b[2]), b[3]
	h.DataRep = [4]byte(b[4:8])
	// What is neither 0 nor 1 is an anomaly; peers look at the lowest bit.
	h.BigEndian = b[4]&0x10 == 0
	if h.BigEndian {
		h.FragLength = binary.BigEndian.Uint16(b[8:])
		h.AuthLength = binary.BigEndian.Uint16(b[10:])
		h.CallID = binary.BigEndian.Uint32(b[12:])
	} else {
		h.FragLength = binary.LittleEndian.Uint16(b[8:])
		h.AuthLength = binary.LittleEndian.Uint16(b[10:])
		h.CallID = binary.LittleEndian.Uint32(b[12:])
	}
	switch {
	case b[0] != 5 || b[1] > 1:
		return BadVersion
	case h.FragLength < HeaderSize:
		return BadFragLength
	case !h.Type.connectionOriented():
		return BadType
	case b[4]&0xee != 0 || b[5] > 3:
		return BadDataRep
	}
	return 0
}

// u16 and u32 read an integer in the byte order of the PDU.

func (h *Header) u16(b []byte) uint16 {
	if h.BigEndian {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (h *Header) u32(b []byte) uint32 {
	if h.BigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}
