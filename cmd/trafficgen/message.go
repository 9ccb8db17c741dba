package main

import (
	"encoding/binary"
	"strings"

	"kmswatch/decode/dcerpc"
)

var le = binary.LittleEndian

// interfaceKind is an interface that conversations use.
type interfaceKind struct {
	syntax     dcerpc.Syntax
	operations int
}

var kmsInterface = dcerpc.Syntax{UUID: dcerpc.KMS, Major: 1}

var interfaces = []interfaceKind{
	{dcerpc.Syntax{UUID: dcerpc.MustUUID("12345778-1234-abcd-ef00-0123456789ac"), Major: 1}, 60}, // samr
	{dcerpc.Syntax{UUID: dcerpc.MustUUID("12345778-1234-abcd-ef00-0123456789ab")}, 90},           // lsarpc
	{dcerpc.Syntax{UUID: dcerpc.MustUUID("12345678-1234-abcd-ef00-01234567cffb"), Major: 1}, 40}, // netlogon
	{dcerpc.Syntax{UUID: dcerpc.MustUUID("e3514235-4b06-11d1-ab04-00c04fc2dcd2"), Major: 4}, 24}, // drsuapi
}

// features is the pseudo transfer syntax of bind-time feature negotiation with
// both feature bits (MS-RPCE 2.2.2.14).
var features = dcerpc.Syntax{UUID: dcerpc.MustUUID("6cb71c2c-9812-4540-0300-000000000000"), Major: 1}

// pdu puts the common header (C706 12.6.3.1) before a body.
func pdu(kind uint8, call uint32, body []byte) []byte {
	b := make([]byte, 16, 16+len(body))
	b[0], b[2], b[3], b[4] = 5, kind, 3, 0x10
	le.PutUint16(b[8:], uint16(16+len(body)))
	le.PutUint32(b[12:], call)
	return append(b, body...)
}

// verified adds a security trailer (MS-RPCE 2.2.2.11) to a PDU: NTLM at the level
// of packet privacy, with the token of an authentication or a signature.
func verified(b, token []byte) []byte {
	pad := 0
	for (len(b)+pad)%4 != 0 {
		pad++
	}
	b = append(b, make([]byte, pad)...)
	b = append(b, uint8(dcerpc.AuthNTLM), uint8(dcerpc.LevelPrivacy), byte(pad), 0, 1, 0, 0, 0)
	b = append(b, token...)
	le.PutUint16(b[8:], uint16(len(b)))
	le.PutUint16(b[10:], uint16(len(token)))
	return b
}

func appendSyntax(b []byte, s dcerpc.Syntax) []byte {
	u := s.UUID
	b = append(b, u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6])
	b = append(b, u[8:]...)
	b = le.AppendUint16(b, s.Major)
	return le.AppendUint16(b, s.Minor)
}

// bind offers NDR32, NDR64 and the features, each in a context of its own, as
// Windows does.
func bind(call uint32, s dcerpc.Syntax) []byte {
	b := []byte{0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 3, 0, 0, 0}
	for i, t := range []dcerpc.Syntax{dcerpc.NDR32, dcerpc.NDR64, features} {
		b = append(b, byte(i), 0, 1, 0)
		b = appendSyntax(b, s)
		b = appendSyntax(b, t)
	}
	return pdu(uint8(dcerpc.TypeBind), call, b)
}

// bindAck takes NDR64 and rejects NDR32.
func bindAck(call uint32, secondary string) []byte {
	b := []byte{0xd0, 0x16, 0xd0, 0x16, 0x12, 0x34, 0, 0}
	b = le.AppendUint16(b, uint16(len(secondary)+1))
	b = append(b, secondary...)
	b = append(b, 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = append(b, 3, 0, 0, 0)
	b = append(b, 2, 0, 2, 0)
	b = appendSyntax(b, dcerpc.Syntax{})
	b = append(b, 0, 0, 0, 0)
	b = appendSyntax(b, dcerpc.NDR64)
	b = append(b, 3, 0, 3, 0)
	b = appendSyntax(b, dcerpc.Syntax{})
	return pdu(uint8(dcerpc.TypeBindAck), call, b)
}

func request(call uint32, context, opnum uint16, stub []byte) []byte {
	b := le.AppendUint32(nil, uint32(len(stub)))
	b = le.AppendUint16(b, context)
	b = le.AppendUint16(b, opnum)
	return pdu(uint8(dcerpc.TypeRequest), call, append(b, stub...))
}

func response(call uint32, context uint16, stub []byte) []byte {
	b := le.AppendUint32(nil, uint32(len(stub)))
	b = le.AppendUint16(b, context)
	b = append(b, 0, 0)
	return pdu(uint8(dcerpc.TypeResponse), call, append(b, stub...))
}

// appendTower appends the tower of an interface over TCP (C706 appendix L), with
// the port, in NDR64: conformance, length, octets, padding.
func appendTower(b []byte, s dcerpc.Syntax, port uint16) []byte {
	t := []byte{5, 0}
	floor := func(left, right []byte) {
		t = le.AppendUint16(t, uint16(len(left)))
		t = append(t, left...)
		t = le.AppendUint16(t, uint16(len(right)))
		t = append(t, right...)
	}
	for _, x := range []dcerpc.Syntax{s, dcerpc.NDR64} {
		id := appendSyntax([]byte{0x0d}, x)
		floor(id[:len(id)-2], id[len(id)-2:])
	}
	floor([]byte{0x0b}, []byte{0, 0})
	floor([]byte{0x07}, be.AppendUint16(nil, port))
	floor([]byte{0x09}, []byte{0, 0, 0, 0})
	b = le.AppendUint64(b, uint64(len(t)))
	b = le.AppendUint32(b, uint32(len(t)))
	b = append(b, t...)
	return align(b)
}

// align pads to a multiple of eight.
func align(b []byte) []byte {
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

// mapRequest and mapResponse are stubs of ept_map (C706 appendix O) in NDR64.

func mapRequest(s dcerpc.Syntax) []byte {
	b := le.AppendUint64(make([]byte, 8), 1) // no object, a tower
	b = appendTower(b, s, 0)
	b = append(b, make([]byte, 20)...) // entry handle
	return le.AppendUint32(b, 4)
}

func mapResponse(s dcerpc.Syntax, port uint16) []byte {
	b := make([]byte, 20) // entry handle
	b = align(le.AppendUint32(b, 1))
	for _, n := range []uint64{4, 0, 1, 3} { // maximum, offset, count, referent
		b = le.AppendUint64(b, n)
	}
	b = appendTower(b, s, port)
	return le.AppendUint32(b, 0)
}

// kmsRequest is a request stub in NDR64; its encrypted parts are noise.
func kmsRequest(g *generator, version uint16) []byte {
	n := 260
	if version == 4 {
		n = 252
	}
	b := le.AppendUint32(nil, uint32(n))
	b = append(b, 0, 0, 0, 0)
	b = le.AppendUint64(b, uint64(n))
	b = append(b, 0, 0, byte(version), 0)
	if version != 4 {
		b = append(b, g.bytes(n-4)...)
	} else {
		b = le.AppendUint32(b, 0)     // virtual machine
		b = le.AppendUint32(b, 2)     // licence status
		b = le.AppendUint32(b, 43200) // minutes
		b = append(b, g.bytes(64)...) // application, SKU, counted and machine ids
		b = le.AppendUint32(b, 25)
		b = le.AppendUint64(b, 134000000000000000)
		b = append(b, make([]byte, 16)...)
		for i := range 64 {
			c := byte(0)
			if i < 4 {
				c = "WS07"[i]
			}
			b = append(b, c, 0)
		}
		b = append(b, g.bytes(16)...)
	}
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

// kmsResponse is a response stub in NDR64.
func kmsResponse(g *generator, version uint16) []byte {
	var body []byte
	body = append(body, 0, 0, byte(version), 0)
	if version != 4 {
		body = append(body, g.bytes(256)...)
	} else {
		id := "05426-00206-471-452839-03-1033-9200.0000-3062016"
		body = le.AppendUint32(body, uint32(2*len(id)+2))
		for i := range len(id) {
			body = append(body, id[i], 0)
		}
		body = append(body, 0, 0)
		body = append(body, g.bytes(16)...)
		body = le.AppendUint64(body, 134000000000000000)
		body = le.AppendUint32(body, 50)
		body = le.AppendUint32(body, 120)
		body = le.AppendUint32(body, 10080)
		body = append(body, g.bytes(16)...)
	}
	b := le.AppendUint32(nil, uint32(len(body)))
	b = append(b, 0, 0, 0, 0)
	b = le.AppendUint64(b, 0x20000)
	b = le.AppendUint64(b, uint64(len(body)))
	b = append(b, body...)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return le.AppendUint32(b, 0)
}

func appendName(b []byte, name string) []byte {
	for label := range strings.SplitSeq(name, ".") {
		b = append(b, byte(len(label)))
		b = append(b, label...)
	}
	return append(b, 0)
}

var be = binary.BigEndian

func srvQuery(id uint16, name string) []byte {
	b := be.AppendUint16(nil, id)
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	b = appendName(b, name)
	return append(b, 0, 33, 0, 1)
}

// srvAnswer names hosts, with their addresses in the additional section.
func srvAnswer(id uint16, name string, port uint16, hosts int) []byte {
	b := be.AppendUint16(nil, id)
	b = append(b, 0x85, 0x80, 0, 1, 0, byte(hosts), 0, 0, 0, byte(hosts))
	b = appendName(b, name)
	b = append(b, 0, 33, 0, 1)
	for i := range hosts {
		target := appendName(nil, "srv"+string(rune('1'+i))+".corp.example")
		b = append(b, 0xc0, 12, 0, 33, 0, 1, 0, 0, 0x0e, 0x10)
		b = be.AppendUint16(b, uint16(6+len(target)))
		b = append(b, 0, 0, 0, 100)
		b = be.AppendUint16(b, port)
		b = append(b, target...)
	}
	for i := range hosts {
		b = appendName(b, "srv"+string(rune('1'+i))+".corp.example")
		b = append(b, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 10, 0, 0, byte(1+i))
	}
	return b
}
