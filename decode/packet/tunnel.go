package packet

import "encoding/binary"

// Encapsulations by IP protocol, IANA registry.
const (
	protoIPv4 = 4
	protoIPv6 = 41
	protoGRE  = 47
)

// UDP ports of tunnels.
const (
	portVXLAN      = 4789 // RFC 7348
	portVXLANLinux = 8472 // Linux's, from before there was a number
	portVXLANGPE   = 4790
	portGeneve     = 6081 // RFC 8926
	portGTP        = 2152 // 3GPP TS 29.281
	portGRE        = 4754 // RFC 8086
	portTeredo     = 3544 // RFC 4380
)

// isTunnelPort tells a destination port of tunnels.
func isTunnelPort(port uint16) bool {
	switch port {
	case portVXLAN, portVXLANLinux, portVXLANGPE, portGeneve, portGTP, portGRE, portTeredo:
		return true
	}
	return false
}

// encapsulated decodes what is neither TCP nor UDP but may carry them. To add a
// tunnel: a case here or in udpTunnel, its header read in a function that
// ends in inside, a case in the table of the tests.
func (d *Decoder) encapsulated(p *Packet, proto uint8, b []byte, more int) Verdict {
	switch proto {
	case protoIPv4, protoIPv6:
		return d.inside(p, IPIP, 0, ipType(proto == protoIPv6), b, more)
	case protoGRE:
		return d.gre(p, b, more)
	case protoAH:
		return d.extensions(p, proto, b, more)
	}
	return Nothing
}

func ipType(six bool) uint16 {
	if six {
		return typeIPv6
	}
	return typeIPv4
}

// inside enters a tunnel and decodes what it carries: IPv4, IPv6, Ethernet, PPP
// or MPLS, by EtherType.
func (d *Decoder) inside(p *Packet, t Tunnel, id uint32, etherType uint16, b []byte, more int) Verdict {
	switch etherType {
	case typeIPv4, typeIPv6, typeTEB, typePPP, typeMPLS, typeMPLSUp:
	default:
		return Nothing
	}
	if !d.deeper(p) {
		return Nothing
	}
	p.Tunnel, p.TunnelID = t, id
	d.bounded = true
	var v Verdict
	switch etherType {
	case typeIPv4:
		v = d.ip4(p, b, more)
	case typeIPv6:
		v = d.ip6(p, b, more)
	case typeTEB:
		v = d.ethernet(p, b, more)
	case typePPP:
		v = d.ppp(p, b, more)
	default:
		v = d.mpls(p, b, more)
	}
	d.depth--
	return v
}

// gre decodes GRE, RFC 2784 and RFC 2890; version 1 is PPTP's, RFC 2637 4.1.
func (d *Decoder) gre(p *Packet, b []byte, more int) Verdict {
	if len(b) < 4 {
		return d.short(p, more)
	}
	flags, carried := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	const checksum, routing, key, sequence, ack = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
	version := flags & 7
	if flags&routing != 0 || version > 1 {
		return Nothing // source routes of RFC 1701: receivers discard them too
	}
	n := 4
	if version == 0 && flags&checksum != 0 {
		n += 4
	}
	at := n
	if flags&key != 0 {
		n += 4
	}
	if flags&sequence != 0 {
		n += 4
	}
	if version == 1 && flags&ack != 0 {
		n += 4
	}
	if len(b) < n {
		return d.short(p, more)
	}
	id := uint32(0)
	if flags&key != 0 {
		id = binary.BigEndian.Uint32(b[at:])
	}
	b = b[n:]
	if version == 1 {
		if carried != typePPP || flags&key == 0 {
			return Nothing
		}
		size := int(id >> 16)
		if size == 0 {
			return Nothing // an acknowledgment alone
		}
		if size <= len(b) {
			b, more = b[:size], 0
		}
		return d.inside(p, GRE, id&0xffff, typePPP, b, more)
	}
	switch carried {
	case typeERSPAN:
		if flags&sequence == 0 {
			return d.inside(p, ERSPAN, 0, typeTEB, b, more) // type I has no header
		}
		return d.erspan2(p, b, more)
	case typeERSPAN3:
		return d.erspan3(p, b, more)
	case typeWCCP:
		// WCCP version 2 puts four bytes before the IPv4 header, version 1 none.
		if len(b) >= 4 && b[0]>>4 != 4 {
			b = b[4:]
		}
		return d.inside(p, GRE, id, typeIPv4, b, more)
	}
	return d.inside(p, GRE, id, carried, b, more)
}

// erspan2 decodes the header of ERSPAN type II: version 4 bits, VLAN 12, class
// of service 3, encapsulation 2, truncated 1, session 10, reserved 12, index 20
// (draft-foschiano-erspan 4.2).
func (d *Decoder) erspan2(p *Packet, b []byte, more int) Verdict {
	if len(b) < 8 {
		return d.short(p, more)
	}
	if b[0]>>4 != 1 {
		return Nothing
	}
	word := binary.BigEndian.Uint32(b)
	mirrored(p, word)
	return d.inside(p, ERSPAN, word&0x3ff, typeTEB, b[8:], more)
}

// erspan3 decodes the header of ERSPAN type III: as type II to the session,
// then timestamp 32 bits, group tag 16, P 1, frame type 5, hardware id 6,
// direction 1, granularity 2, O 1; with O an 8-byte platform subheader follows
// (draft-foschiano-erspan 4.3).
func (d *Decoder) erspan3(p *Packet, b []byte, more int) Verdict {
	if len(b) < 12 {
		return d.short(p, more)
	}
	if b[0]>>4 != 2 {
		return Nothing
	}
	n := 12
	if b[11]&1 != 0 {
		n += 8
	}
	if len(b) < n {
		return d.short(p, more)
	}
	carried := uint16(typeTEB)
	switch b[10] >> 2 & 0x1f {
	case 0:
	case 2: // an IP packet without its Ethernet header
		if len(b) > n {
			carried = ipType(b[n]>>4 == 6)
		}
	default:
		return Nothing
	}
	word := binary.BigEndian.Uint32(b)
	mirrored(p, word)
	return d.inside(p, ERSPAN, word&0x3ff, carried, b[n:], more)
}

// mirrored takes the VLAN that an ERSPAN header gives of the frame, whose own
// tag, if there is one, takes its place.
func mirrored(p *Packet, word uint32) {
	if id := uint16(word >> 16 & 0xfff); id != 0 {
		p.VLANs = [2]uint16{id, 0}
	}
}

// udpTunnel decodes the payload of a datagram on a tunnel's port. What does not
// lead to TCP or UDP inside is the UDP datagram that it was: a port is a hint.
func (d *Decoder) udpTunnel(p *Packet, port uint16, b []byte, more int) Verdict {
	outer := *p
	var v Verdict
	switch port {
	case portVXLAN, portVXLANLinux:
		v = d.vxlan(p, b, more, false)
	case portVXLANGPE:
		v = d.vxlan(p, b, more, true)
	case portGeneve:
		v = d.geneve(p, b, more)
	case portGTP:
		v = d.gtp(p, b, more)
	case portGRE:
		if len(b) >= 4 {
			v = d.gre(p, b, more)
		}
	case portTeredo:
		v = d.teredo(p, b, more)
	}
	if v != Nothing {
		return v
	}
	if p.Anomaly != 0 {
		outer.odd(p.Anomaly)
	}
	*p = outer
	return UDP
}

// vxlan decodes VXLAN, RFC 7348 5, and its generic protocol extension
// (draft-ietf-nvo3-vxlan-gpe 3): of the flags, I alone must be set. The next
// protocol is read whether P announces it or not, as Wireshark does.
func (d *Decoder) vxlan(p *Packet, b []byte, more int, gpe bool) Verdict {
	if len(b) < 8 || b[0]&0x08 == 0 {
		return Nothing
	}
	carried := uint16(typeTEB)
	if gpe {
		switch b[3] {
		case 1:
			carried = typeIPv4
		case 2:
			carried = typeIPv6
		case 0, 3:
		default:
			return Nothing
		}
	}
	return d.inside(p, VXLAN, binary.BigEndian.Uint32(b[4:])>>8, carried, b[8:], more)
}

// geneve decodes Geneve, RFC 8926 3.4.
func (d *Decoder) geneve(p *Packet, b []byte, more int) Verdict {
	if len(b) < 8 || b[0]>>6 != 0 {
		return Nothing
	}
	n := 8 + int(b[0]&63)*4
	if len(b) < n {
		return Nothing
	}
	return d.inside(p, Geneve, binary.BigEndian.Uint32(b[4:])>>8, binary.BigEndian.Uint16(b[2:]), b[n:], more)
}

// gtp decodes GTP-U version 1, 3GPP TS 29.281 5.1, of G-PDUs with IP.
func (d *Decoder) gtp(p *Packet, b []byte, more int) Verdict {
	const gPDU = 255
	if len(b) < 8 || b[0]&0xf0 != 0x30 || b[1] != gPDU { // version 1, protocol type GTP
		return Nothing
	}
	size := 8 + int(binary.BigEndian.Uint16(b[2:]))
	id := binary.BigEndian.Uint32(b[4:])
	if size > len(b)+more {
		return Nothing
	}
	if size <= len(b) {
		b, more = b[:size], 0
	}
	n := 8
	if b[0]&7 != 0 { // any of E, S and PN adds the four bytes of all
		if n = 12; len(b) < n {
			return Nothing
		}
		next := b[11]
		if b[0]&4 == 0 {
			next = 0
		}
		for i := 0; next != 0; i++ { // 5.2: length in fours, contents, next type
			if i == maxExtensions || n >= len(b) {
				return Nothing
			}
			k := int(b[n]) * 4
			if k == 0 || n+k > len(b) {
				return Nothing
			}
			n += k
			next = b[n-1]
		}
	}
	if len(b) == n {
		return Nothing
	}
	switch b[n] >> 4 {
	case 4:
		return d.inside(p, GTP, id, typeIPv4, b[n:], more)
	case 6:
		return d.inside(p, GTP, id, typeIPv6, b[n:], more)
	}
	return Nothing
}

// teredo decodes Teredo, RFC 4380 5.1.1: an IPv6 packet behind an optional
// authentication header and an optional origin indication. Nothing else names
// it, so the IPv6 length must be that of the datagram.
func (d *Decoder) teredo(p *Packet, b []byte, more int) Verdict {
	if len(b) >= 4 && b[0] == 0 && b[1] == 1 {
		// Client identifier and authentication value, then nonce 8, confirmation 1.
		n := 4 + int(b[2]) + int(b[3]) + 9
		if len(b) < n {
			return Nothing
		}
		b = b[n:]
	}
	if len(b) >= 8 && b[0] == 0 && b[1] == 0 {
		b = b[8:]
	}
	if len(b) < 40 || b[0]>>4 != 6 || int(binary.BigEndian.Uint16(b[4:]))+40 != len(b)+more {
		return Nothing
	}
	return d.inside(p, Teredo, 0, typeIPv6, b, more)
}
