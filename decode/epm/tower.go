package epm

import (
	"encoding/binary"
	"strconv"

	"kmswatch/decode/dcerpc"
	"kmswatch/decode/ndr"
	"kmswatch/decode/wire"
)

// Tower is a protocol tower (C706 appendix L): an interface and how to reach
// it.
type Tower struct {
	Interface dcerpc.Syntax
	Transfer  dcerpc.Syntax
	Protocol  Protocol
	Port      uint16   // of TCP, UDP or HTTP; 0 iff none, or not known to who asks
	Addr      [16]byte // IP address; the first AddrLen bytes, network order
	AddrLen   uint8    // 0, 4 or 16
	Pipe      string   // named pipe or local endpoint, as sent without its NUL
	Host      string   // NetBIOS name of the server
	Floors    uint16   // as the tower says, those of interface and transfer syntax included
	IDs       [6]uint8 // protocol identifiers of the floors from the third on; 0 where none
}

// Protocol is a protocol sequence (C706 appendix I; MS-RPCE 2.1).
type Protocol uint8

// Protocol sequences. To add one: a constant, its name, its floors in protocol.
const (
	ProtocolUnknown Protocol = iota
	TCP                      // ncacn_ip_tcp
	NamedPipe                // ncacn_np
	HTTP                     // ncacn_http
	UDP                      // ncadg_ip_udp
	Local                    // ncalrpc
	SPX                      // ncacn_spx
	IPX                      // ncadg_ipx
	NetBEUI                  // ncacn_nb_nb
	AppleTalk                // ncacn_at_dsp
	AppleTalkDDP             // ncadg_at_ddp
	VINES                    // ncacn_vns_spp
	DECnet                   // ncacn_dnet_nsp
	UnixStream               // ncacn_unix_stream
	protocols
)

var protocolNames = [protocols]string{
	ProtocolUnknown: "unknown",
	TCP:             "ncacn_ip_tcp",
	NamedPipe:       "ncacn_np",
	HTTP:            "ncacn_http",
	UDP:             "ncadg_ip_udp",
	Local:           "ncalrpc",
	SPX:             "ncacn_spx",
	IPX:             "ncadg_ipx",
	NetBEUI:         "ncacn_nb_nb",
	AppleTalk:       "ncacn_at_dsp",
	AppleTalkDDP:    "ncadg_at_ddp",
	VINES:           "ncacn_vns_spp",
	DECnet:          "ncacn_dnet_nsp",
	UnixStream:      "ncacn_unix_stream",
}

// String gives the name of the protocol sequence.
func (p Protocol) String() string {
	if p < protocols {
		return protocolNames[p]
	}
	return "protocol(" + strconv.Itoa(int(p)) + ")"
}

// Protocol identifiers of floors (C706 appendix I; MS-RPCE 2.1).
const (
	idDNETNSP  = 0x04
	idTCP      = 0x07
	idUDP      = 0x08
	idIP       = 0x09
	idNCADG    = 0x0a
	idNCACN    = 0x0b
	idNCALRPC  = 0x0c
	idUUID     = 0x0d
	idIPXOld   = 0x0e
	idSMB      = 0x0f // named pipe
	idLocal    = 0x10 // local endpoint, or named pipe of old
	idNetBIOS  = 0x11
	idNetBEUI  = 0x12
	idSPX      = 0x13
	idIPX      = 0x14
	idDSP      = 0x16
	idDDP      = 0x17
	idVINESSPP = 0x19
	idHTTP     = 0x1f
	idUnix     = 0x20
)

// protocol tells the sequence from the floors above the transfer syntax.
func protocol(rpc, transport uint8) Protocol {
	switch rpc {
	case idNCACN:
		switch transport {
		case idTCP:
			return TCP
		case idSMB, idLocal:
			return NamedPipe
		case idHTTP:
			return HTTP
		case idSPX, idNCALRPC: // 0x0c is SPX too (C706 appendix I)
			return SPX
		case idNetBEUI:
			return NetBEUI
		case idDSP:
			return AppleTalk
		case idVINESSPP:
			return VINES
		case idDNETNSP:
			return DECnet
		case idUnix:
			return UnixStream
		}
	case idNCADG:
		switch transport {
		case idUDP:
			return UDP
		case idIPX, idIPXOld:
			return IPX
		case idDDP:
			return AppleTalkDDP
		}
	case idNCALRPC:
		return Local
	case idUnix: // Samba gives it without a floor for the RPC protocol
		return UnixStream
	}
	return ProtocolUnknown
}

// Decode reads the octets of a tower, which are little-endian whatever the
// stub is, ports and addresses excepted. It resets t. On an anomaly, the first
// met, t holds what could be read.
func (t *Tower) Decode(b []byte) Anomaly {
	*t = Tower{}
	c := wire.Little(b)
	t.Floors = c.U16()
	if !c.Ok() {
		return ShortTower
	}
	a := Anomaly(0)
	for i := range int(t.Floors) {
		left := c.Bytes(int(c.U16()))
		right := c.Bytes(int(c.U16()))
		if !c.Ok() {
			a = ShortTower
			break
		}
		if bad := t.floor(i, left, right); a == 0 {
			a = bad
		}
	}
	t.Protocol = protocol(t.IDs[0], t.IDs[1])
	switch {
	case a != 0:
	case t.Floors < 3:
		a = FewFloors
	case c.Len() > 3:
		a = TrailingOctets
	}
	return a
}

// floor takes the nth floor.
func (t *Tower) floor(n int, left, right []byte) Anomaly {
	if len(left) == 0 {
		return FloorLength
	}
	id, data := left[0], left[1:]
	if n < 2 {
		s := &t.Interface
		if n == 1 {
			s = &t.Transfer
		}
		if id != idUUID || len(data) != 18 || len(right) != 2 {
			return FloorLength
		}
		c := wire.Little(data)
		s.UUID = dcerpc.UUID(ndr.GUID(&c))
		s.Major = c.U16()
		s.Minor = binary.LittleEndian.Uint16(right)
		return 0
	}
	if n-2 < len(t.IDs) {
		t.IDs[n-2] = id
	}
	switch id {
	case idTCP, idUDP, idHTTP:
		if len(right) != 2 {
			return FloorLength
		}
		t.Port = binary.BigEndian.Uint16(right)
	case idIP:
		if len(right) != 4 && len(right) != 16 {
			return FloorLength
		}
		t.AddrLen = uint8(copy(t.Addr[:], right))
	case idSMB, idLocal, idUnix:
		t.Pipe = text(right)
	case idNetBIOS:
		t.Host = text(right)
	}
	return 0
}

// text gives the bytes before the first NUL.
func text(b []byte) string {
	b = b[:min(len(b), maxText)]
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	return string(b)
}
