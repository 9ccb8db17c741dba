package auth

import (
	"unicode/utf8"

	"kmswatch/decode/wire"
)

// NetlogonMessage is an NL_AUTH_MESSAGE, MS-NRPC 2.2.1.3.1: a member or a domain
// controller says who it is before it uses the session key of its secure
// channel.
type NetlogonMessage struct {
	Response     bool // of the server; its names say nothing
	Flags        uint32
	Domain       string // NetBIOS name
	Computer     string // NetBIOS name
	DNSDomain    string
	DNSHost      string
	ComputerUTF8 string // Computer again
}

// Flags of an NL_AUTH_MESSAGE say which names follow, in this order.
const (
	nlDomain       = 1 << 0 // OEM
	nlComputer     = 1 << 1 // OEM
	nlDNSDomain    = 1 << 2 // the rest in UTF-8, compressed as in RFC 1035 4.1.4
	nlDNSHost      = 1 << 3
	nlComputerUTF8 = 1 << 4
)

const (
	maxNetlogonName = 255 // bytes, as of a DNS name
	maxPointers     = 8
)

// Decode reads a message, little-endian. It resets m; on an anomaly m holds the
// names before it. Nothing of b is kept.
func (m *NetlogonMessage) Decode(b []byte) Anomaly {
	*m = NetlogonMessage{}
	c := wire.Little(b)
	kind, flags := c.U32(), c.U32()
	switch {
	case !c.Ok():
		return ShortNetlogon
	case kind > 1:
		return BadNetlogon
	}
	m.Response, m.Flags = kind == 1, flags
	if m.Response {
		return 0
	}
	for _, f := range []struct {
		flag uint32
		to   *string
	}{
		{nlDomain, &m.Domain}, {nlComputer, &m.Computer},
		{nlDNSDomain, &m.DNSDomain}, {nlDNSHost, &m.DNSHost}, {nlComputerUTF8, &m.ComputerUTF8},
	} {
		if flags&f.flag == 0 {
			continue
		}
		var name []byte
		ok := true
		if f.flag <= nlComputer {
			name, ok = oemName(&c)
		} else {
			name, ok = dnsName(b, &c)
		}
		switch {
		case !c.Ok():
			return ShortNetlogon
		case !ok:
			return BadNetlogon
		}
		*f.to = string(name)
	}
	return 0
}

// oemName reads up to a zero byte. Bytes beyond ASCII become the characters of
// Latin 1, since the code page is not told.
func oemName(c *wire.Cursor) (name []byte, ok bool) {
	for {
		b := c.U8()
		if !c.Ok() || b == 0 {
			return name, len(name) <= maxNetlogonName
		}
		if len(name) <= maxNetlogonName {
			name = utf8.AppendRune(name, rune(b))
		}
	}
}

// dnsName reads labels up to an empty one or a pointer to labels before.
func dnsName(b []byte, c *wire.Cursor) (name []byte, ok bool) {
	at := *c
	pointers := 0
	for {
		start := at.Offset()
		n := int(at.U8())
		switch {
		case n == 0:
			if pointers == 0 {
				*c = at
			}
			return name, at.Ok() && utf8.Valid(name)
		case n >= 0xc0:
			to := (n&0x3f)<<8 | int(at.U8())
			if pointers == 0 {
				*c = at
			}
			if pointers++; to >= start || pointers > maxPointers {
				return nil, false
			}
			at = wire.Little(b)
			at.Skip(to)
			continue
		case n >= 0x40:
			return nil, false
		}
		label := at.Bytes(n)
		if label == nil {
			if pointers == 0 {
				c.Fail()
			}
			return nil, false
		}
		if len(name)+1+n > maxNetlogonName {
			return nil, false
		}
		if len(name) > 0 {
			name = append(name, '.')
		}
		name = append(name, label...)
	}
}
