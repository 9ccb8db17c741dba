package software

import (
	"encoding/hex"

	"kmswatch/decode/dcerpc"
	"kmswatch/decode/ncadg"
)

// Datagram gives the fingerprint of the sender of a connectionless request or
// response, which negotiates nothing but has habits in its header. Its text is
//
//	d,<type>,<byte order>,<flags1>,<flags2>,<interface hint>,<activity hint>,<boot>,<serial>,<activity>
//
// with the flags in hexadecimal, without those that say what call it is or which
// fragment; hints are none for 0xffff, else 0 or n; boot and serial are 0 or n,
// but boot is * of a request; activity is the version of its UUID, 1 (by time) or
// 4 (at random), else -. Other types have no fingerprint.
func Datagram(h *ncadg.Header) Fingerprint {
	if h.Type != dcerpc.TypeRequest && h.Type != dcerpc.TypeResponse {
		return Fingerprint{}
	}
	var memory [maxText]byte
	b := append(memory[:0], "d,"...)
	b = append(b, h.Type.String()...)
	if h.BigEndian {
		b = append(b, ",be,"...)
	} else {
		b = append(b, ",le,"...)
	}
	const call = ncadg.FlagFrag | ncadg.FlagMaybe | ncadg.FlagIdempotent | ncadg.FlagBroadcast
	// Of fragments the last is flagged, of other PDUs it is a habit.
	habit := h.Flags1 &^ call
	if h.Flags1&ncadg.FlagFrag != 0 {
		habit &^= ncadg.FlagLastFrag | ncadg.FlagNoFack
	}
	if h.Type == dcerpc.TypeResponse {
		habit |= h.Flags1 & ncadg.FlagIdempotent // that of the call, which not all repeat
	}
	b = hex.AppendEncode(b, []byte{habit})
	b = append(b, ',')
	b = hex.AppendEncode(b, []byte{h.Flags2 &^ (ncadg.Flag2CancelPending | ncadg.Flag2Unrelated)})
	b = appendHint(b, h.InterfaceHint)
	b = appendHint(b, h.ActivityHint)
	if h.Type == dcerpc.TypeResponse {
		b = appendZero(b, h.ServerBoot == 0) // a client does not know it at first
	} else {
		b = append(b, ",*"...)
	}
	b = appendZero(b, h.Serial == 0)
	switch version := h.Activity[6] >> 4; {
	case h.Activity[8]&0xc0 == 0x80 && version == 1:
		b = append(b, ",1"...)
	case h.Activity[8]&0xc0 == 0x80 && version == 4:
		b = append(b, ",4"...)
	default:
		b = append(b, ",-"...)
	}
	return seal(b)
}

func appendHint(b []byte, hint uint16) []byte {
	if hint == 0xffff {
		return append(b, ",none"...)
	}
	return appendZero(b, hint == 0)
}

func appendZero(b []byte, zero bool) []byte {
	if zero {
		return append(b, ",0"...)
	}
	return append(b, ",n"...)
}

// Profinet is the name of the stacks of PROFINET IO.
const Profinet = "PROFINET IO"

// DatagramName names the sender of a connectionless PDU, with a confidence of 100
// at most; empty if nothing tells.
func DatagramName(h *ncadg.Header) (name string, confidence uint8) {
	u := h.Interface.UUID
	// dea00001 is the device, dea00002 the controller, 3 and 4 are the supervisor
	// and the parameter server (IEC 61158-6-10).
	if u[0] == 0xde && u[1] == 0xa0 && u[2] == 0 && u[3] >= 1 && u[3] <= 4 && [12]byte(u[4:]) == profinet {
		return Profinet, 95
	}
	return "", 0
}

// profinet ends the UUIDs of its interfaces.
var profinet = [12]byte{0x6c, 0x97, 0x11, 0xd1, 0x82, 0x71, 0x00, 0xa0, 0x24, 0x42, 0xdf, 0x7d}
