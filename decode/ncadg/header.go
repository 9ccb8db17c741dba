package ncadg

import (
	"encoding/binary"

	"kmswatch/decode/dcerpc"
)

// Flags of the first flag byte (C706 12.5.2.3). A PDU that is no fragment need
// not be flagged as the last.
const (
	FlagLastFrag   = 0x02
	FlagFrag       = 0x04
	FlagNoFack     = 0x08 // the sender wants no fack
	FlagMaybe      = 0x10 // the caller wants no answer
	FlagIdempotent = 0x20
	FlagBroadcast  = 0x40
)

// Flags of the second flag byte.
const (
	Flag2CancelPending = 0x02
	Flag2Unrelated     = 0x04 // the request leaves earlier calls of its activity alone (MS-RPCE 2.2.3.3)
)

// HeaderSize is the length of the header, bytes.
const HeaderSize = 80

// ConvManager is the conversation manager (C706 appendix P): a server calls
// it back at its client to learn whether an activity is the client's.
var ConvManager = dcerpc.MustUUID("333a2276-0000-0000-0d00-00809c000000")

// Header is the header of a PDU (C706 12.5.2).
type Header struct {
	Type          dcerpc.PType // 0 to 10
	Flags1        uint8
	Flags2        uint8
	BigEndian     bool    // integers, by the data representation
	DataRep       [3]byte // as sent
	Serial        uint16  // of the PDU in its call; retransmissions have new ones
	Object        dcerpc.UUID
	Interface     dcerpc.Syntax
	Activity      dcerpc.UUID
	ServerBoot    uint32 // seconds since the epoch, as the server counts; 0 while the client does not know it
	Seq           uint32 // sequence number of the call in its activity
	Opnum         uint16
	InterfaceHint uint16 // 0xffff if there is none
	ActivityHint  uint16 // likewise
	Length        uint16 // of the body, bytes, without the verifier
	Fragment      uint16 // number of the fragment, from 0
	AuthProto     uint8  // authentication protocol, 0 for none
}

// Decode reads the header from the first 80 bytes of b; it resets h.
func (h *Header) Decode(b []byte) Anomaly {
	*h = Header{}
	if len(b) < HeaderSize {
		return ShortHeader
	}
	h.Type = dcerpc.PType(b[1] & 0x1f)
	h.Flags1, h.Flags2 = b[2], b[3]
	h.DataRep = [3]byte(b[4:7])
	// What is neither 0 nor 1 is an anomaly; peers look at the lowest bit.
	h.BigEndian = b[4]&0x10 == 0
	h.Object = dcerpc.WireUUID(b[8:], h.BigEndian)
	h.Interface.UUID = dcerpc.WireUUID(b[24:], h.BigEndian)
	h.Activity = dcerpc.WireUUID(b[40:], h.BigEndian)
	h.ServerBoot = h.u32(b[56:])
	v := h.u32(b[60:])
	h.Interface.Major, h.Interface.Minor = uint16(v), uint16(v>>16)
	h.Seq = h.u32(b[64:])
	h.Opnum = h.u16(b[68:])
	h.InterfaceHint, h.ActivityHint = h.u16(b[70:]), h.u16(b[72:])
	h.Length, h.Fragment = h.u16(b[74:]), h.u16(b[76:])
	h.AuthProto = b[78]
	h.Serial = uint16(b[7])<<8 | uint16(b[79])
	switch {
	case b[0] != 4:
		return BadVersion
	case h.Type > dcerpc.TypeCancelAck || b[1]&0xe0 != 0:
		return BadType
	case b[4]&0xee != 0 || b[5] > 3:
		return BadDataRep
	}
	return 0
}

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

// fromClient tells whether the caller sends PDUs of a type. Of the conversation
// manager the caller is the server.
func fromClient(t dcerpc.PType) (client, known bool) {
	switch t {
	case dcerpc.TypeRequest, dcerpc.TypePing, dcerpc.TypeAck, dcerpc.TypeCLCancel:
		return true, true
	case dcerpc.TypeResponse, dcerpc.TypeFault, dcerpc.TypeWorking, dcerpc.TypeNoCall, dcerpc.TypeReject, dcerpc.TypeCancelAck:
		return false, true
	}
	return false, false
}

// FromClient tells whether the client of a conversation sent a datagram that
// Probe takes for one. It is not known of what both ends send.
func FromClient(b []byte) (client, known bool) {
	var h Header
	if h.Decode(b) == ShortHeader {
		return false, false
	}
	client, known = fromClient(h.Type)
	return client != (h.Interface.UUID == ConvManager), known
}

// Probe tells whether b is a plausible datagram of the protocol. More means that
// its header is, but that the capture lacks its end. It asks for more than the
// specification does, since bytes of chance must not pass: reserved bits are
// zero and the datagram is as long as its header says.
// It is small enough to be inlined: nearly all datagrams end at their first byte.
func Probe(b []byte) dcerpc.Verdict {
	if len(b) == 0 || b[0] != 4 {
		return dcerpc.No
	}
	return probe(b)
}

func probe(b []byte) dcerpc.Verdict {
	if len(b) < HeaderSize || b[1] > byte(dcerpc.TypeCancelAck) || b[2]&0x80 != 0 || b[3]&0xf8 != 0 ||
		b[4]&0xee != 0 || b[5] > 3 || b[6] != 0 {
		return dcerpc.No
	}
	var length int
	if b[4]&0x10 == 0 {
		length = int(binary.BigEndian.Uint16(b[74:]))
	} else {
		length = int(binary.LittleEndian.Uint16(b[74:]))
	}
	switch rest := len(b) - HeaderSize - length; {
	case rest < 0:
		return dcerpc.More
	case b[78] == 0 && rest != 0, b[78] != 0 && rest < trailerSize:
		return dcerpc.No
	}
	return dcerpc.Match
}
