package packet

import (
	"encoding/binary"

	"kmswatch/capture"
)

// EtherTypes, IEEE registry.
const (
	typeIPv4    = 0x0800
	typeIPv6    = 0x86dd
	typeVLAN    = 0x8100 // 802.1Q
	typeQinQ    = 0x88a8 // 802.1ad
	typeQinQOld = 0x9100 // before 802.1ad
	typeMPLS    = 0x8847
	typeMPLSUp  = 0x8848 // upstream-assigned labels, RFC 5332
	typePPPoE   = 0x8864 // session stage, RFC 2516
	typePPP     = 0x880b
	typeTEB     = 0x6558 // Ethernet in GRE or Geneve
	typeERSPAN  = 0x88be // I and II
	typeERSPAN3 = 0x22eb
	typeWCCP    = 0x883e
	typeVNTag   = 0x8926 // Cisco VN-Tag, between a switch and its fabric extenders
)

// Bounds on what repeats without a tunnel between. What is met in practice
// stays below half of them.
const (
	maxTags   = 8
	maxLabels = 16
)

// link decodes the headers of every link type but Ethernet.
func (d *Decoder) link(p *Packet, t capture.LinkType, b []byte, more int) Verdict {
	switch t {
	case capture.LinkEthernet:
		return d.ethernet(p, b, more)
	case capture.LinkRaw, capture.LinkRawBSD, capture.LinkRawOpenBSD:
		return d.raw(p, b, more)
	case capture.LinkIPv4:
		return d.ip4(p, b, more)
	case capture.LinkIPv6:
		return d.ip6(p, b, more)
	case capture.LinkNull, capture.LinkLoop:
		return d.loopback(p, b, more)
	case capture.LinkPPP:
		return d.ppp(p, b, more)
	case capture.LinkLinuxSLL: // packet type, ARPHRD, address length, address, protocol
		if len(b) < 16 {
			return d.short(p, more)
		}
		return d.ethertype(p, binary.BigEndian.Uint16(b[14:]), b[16:], more)
	case capture.LinkLinuxSLL2: // protocol first, then reserved, interface, ARPHRD, type, address
		if len(b) < 20 {
			return d.short(p, more)
		}
		return d.ethertype(p, binary.BigEndian.Uint16(b), b[20:], more)
	}
	d.n.Unknown++
	return Nothing
}

// ethernet decodes an Ethernet header.
func (d *Decoder) ethernet(p *Packet, b []byte, more int) Verdict {
	if len(b) < 14 {
		return d.short(p, more)
	}
	return d.ethertype(p, binary.BigEndian.Uint16(b[12:]), b[14:], more)
}

// ethertype decodes what an EtherType announces, behind any tags.
func (d *Decoder) ethertype(p *Packet, t uint16, b []byte, more int) Verdict {
	if isTag(t) {
		n, outer, inner := 0, uint16(0), uint16(0)
		for ; isTag(t); n++ {
			if len(b) < 4 {
				return d.short(p, more)
			}
			if n == maxTags {
				return d.malformed(p, TooManyTags)
			}
			if t == typeVNTag { // 4 bytes, without a VLAN, then the next type
				if len(b) < 6 {
					return d.short(p, more)
				}
				t, b = binary.BigEndian.Uint16(b[4:]), b[6:]
				continue
			}
			// Id 0 is a priority tag, 802.1Q 9.6: no VLAN.
			id := binary.BigEndian.Uint16(b) & 0xfff
			if outer == 0 {
				outer = id
			} else if inner == 0 {
				inner = id
			}
			t, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		}
		if outer != 0 {
			p.VLANs = [2]uint16{outer, inner}
		}
	}
	switch t {
	case typeIPv4:
		return d.ip4(p, b, more)
	case typeIPv6:
		return d.ip6(p, b, more)
	case typeMPLS, typeMPLSUp:
		return d.mpls(p, b, more)
	case typePPPoE:
		return d.pppoe(p, b, more)
	}
	if t <= 1500 {
		return d.llc(p, int(t), b, more)
	}
	return Nothing
}

func isTag(t uint16) bool {
	return t == typeVLAN || t == typeQinQ || t == typeQinQOld || t == typeVNTag
}

// llc decodes an 802.3 frame of n bytes: LLC with SNAP announces an EtherType
// under the OUI of RFC 1042 or of 802.1H; what else there is is not IP.
func (d *Decoder) llc(p *Packet, n int, b []byte, more int) Verdict {
	if n <= len(b) {
		b, more = b[:n], 0
	}
	if len(b) < 8 && more > 0 {
		return d.short(p, more)
	}
	if len(b) < 8 || b[0] != 0xaa || b[1] != 0xaa || b[2] != 3 ||
		b[3] != 0 || b[4] != 0 || b[5] != 0 && b[5] != 0xf8 {
		return Nothing
	}
	t := binary.BigEndian.Uint16(b[6:])
	if t <= 1500 || isTag(t) {
		return Nothing
	}
	return d.ethertype(p, t, b[8:], more)
}

// raw decodes an IP packet of the version that it says.
func (d *Decoder) raw(p *Packet, b []byte, more int) Verdict {
	if len(b) == 0 {
		return d.short(p, more)
	}
	switch b[0] >> 4 {
	case 4:
		return d.ip4(p, b, more)
	case 6:
		return d.ip6(p, b, more)
	}
	return d.malformed(p, BadIPVersion)
}

// loopback decodes the address family that BSD systems put before a packet, in
// the order of the host that captured, or of the network.
func (d *Decoder) loopback(p *Packet, b []byte, more int) Verdict {
	if len(b) < 4 {
		return d.short(p, more)
	}
	family := binary.LittleEndian.Uint32(b)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(b)
	}
	switch family {
	case 2:
		return d.ip4(p, b[4:], more)
	case 10, 24, 28, 30: // Linux; NetBSD and OpenBSD; FreeBSD; Darwin
		return d.ip6(p, b[4:], more)
	}
	return Nothing
}

// ppp decodes a PPP protocol field, RFC 1661 2, with or without the address
// and control fields of RFC 1662, and compressed to one byte or not.
func (d *Decoder) ppp(p *Packet, b []byte, more int) Verdict {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
		b = b[2:]
	}
	if len(b) < 2 {
		return d.short(p, more)
	}
	proto := uint16(b[0])
	if proto&1 == 0 {
		proto, b = binary.BigEndian.Uint16(b), b[1:]
	}
	b = b[1:]
	switch proto {
	case 0x0021:
		return d.ip4(p, b, more)
	case 0x0057:
		return d.ip6(p, b, more)
	case 0x0281, 0x0283: // RFC 3032 4.3
		return d.mpls(p, b, more)
	}
	return Nothing
}

// pppoe decodes the header of a PPPoE session, RFC 2516 4.
func (d *Decoder) pppoe(p *Packet, b []byte, more int) Verdict {
	if len(b) < 6 {
		return d.short(p, more)
	}
	if b[0] != 0x11 || b[1] != 0 { // version and type 1, code of session data
		return Nothing
	}
	d.bounded = true
	n := int(binary.BigEndian.Uint16(b[4:]))
	if b = b[6:]; n <= len(b) {
		b, more = b[:n], 0
	}
	return d.ppp(p, b, more)
}

// mpls decodes a label stack, RFC 3032. Labels do not say what they carry: IP
// is known by its version (RFC 4928), and what is no IP may be Ethernet.
func (d *Decoder) mpls(p *Packet, b []byte, more int) Verdict {
	for range maxLabels {
		if len(b) < 4 {
			return d.short(p, more)
		}
		bottom := b[2]&1 != 0
		if b = b[4:]; bottom {
			return d.underLabels(p, b, more)
		}
	}
	return d.malformed(p, TooManyLabels)
}

func (d *Decoder) underLabels(p *Packet, b []byte, more int) Verdict {
	if len(b) == 0 {
		return d.short(p, more)
	}
	// A MAC address may begin like an IP header; the lengths tell.
	switch b[0] >> 4 {
	case 4:
		if len(b) >= 20 && b[0]&15 >= 5 && int(binary.BigEndian.Uint16(b[2:])) <= len(b)+more {
			return d.ip4(p, b, more)
		}
	case 6:
		if len(b) >= 40 && int(binary.BigEndian.Uint16(b[4:]))+40 <= len(b)+more {
			return d.ip6(p, b, more)
		}
	case 0:
		// The control word of RFC 4448 4.6, unless the MAC address begins so.
		if carriesKnownType(b, 4) {
			b = b[4:]
		}
	}
	if len(b) < 40 && more > 0 {
		return d.short(p, more)
	}
	if !carriesKnownType(b, 0) || !d.deeper(p) {
		return Nothing
	}
	v := d.ethernet(p, b, more)
	d.depth--
	return v
}

// carriesKnownType reports whether b has an Ethernet header at an offset, going
// by its EtherType.
func carriesKnownType(b []byte, at int) bool {
	if len(b) < at+14 {
		return false
	}
	switch binary.BigEndian.Uint16(b[at+12:]) {
	case typeIPv4, typeIPv6, typeVLAN, typeQinQ, typeQinQOld, typeMPLS, typePPPoE:
		return true
	}
	return false
}
