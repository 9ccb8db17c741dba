package packet

import "encoding/binary"

// Next header values, IANA registry.
const (
	protoHopByHop = 0
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoNone     = 59
	protoDest     = 60
	protoMobility = 135
	protoHIP      = 139
	protoShim6    = 140
)

// maxExtensions is how many extension headers are followed. RFC 8200 4.1 asks
// senders for at most eight.
const maxExtensions = 16

// ip6 decodes an IPv6 header, RFC 8200 3.
func (d *Decoder) ip6(p *Packet, b []byte, more int) Verdict {
	if len(b) < 40 {
		return d.short(p, more)
	}
	if b[0]>>4 != 6 {
		return d.malformed(p, BadIPVersion)
	}
	p.IPv6 = true
	p.Src = [16]byte(b[8:24])
	p.Dst = [16]byte(b[24:40])
	n := int(binary.BigEndian.Uint16(b[4:]))
	next := b[6]
	p.Proto = next
	b = b[40:]
	if n == 0 {
		switch next {
		case protoHopByHop:
			if len(b) < 8 {
				return d.short(p, more)
			}
			if n = jumbo(b); n <= 0xffff || n > len(b)+more {
				return d.malformed(p, BadJumbo)
			}
		case ProtoTCP, ProtoUDP:
			// Segmentation offload, as in IPv4: BIG TCP no longer has the option.
			if n = len(b) + more; n > maxGSO {
				return d.malformed(p, BadIPLength)
			}
		}
	}
	b, more = d.cut(b, more, n)
	return d.extensions(p, next, b, more)
}

// jumbo gives the payload length of the hop-by-hop option of RFC 2675 2; 0 if
// there is none. b, the header, has at least 8 bytes.
func jumbo(b []byte) int {
	b = b[:min(len(b), (int(b[1])+1)*8)]
	for i := 2; i < len(b); {
		if b[i] == 0 { // Pad1
			i++
			continue
		}
		if i+2 > len(b) {
			return 0
		}
		if b[i] == 0xc2 && b[i+1] == 4 && i+6 <= len(b) {
			return int(binary.BigEndian.Uint32(b[i+2:]))
		}
		i += 2 + int(b[i+1])
	}
	return 0
}

// extensions walks extension headers, RFC 8200 4; of IPv4, AH alone.
func (d *Decoder) extensions(p *Packet, next uint8, b []byte, more int) Verdict {
	before := 0 // bytes of headers passed
	for range maxExtensions {
		if !isExtension(next, p.IPv6) {
			if next == protoNone && p.IPv6 {
				p.Proto = next
				return Nothing
			}
			return d.transport(p, next, b, more)
		}
		p.Proto = next
		if len(b) < 8 {
			return d.short(p, more)
		}
		if next == protoFragment {
			// An atomic fragment is a whole datagram and waits for nobody, RFC 6946.
			if binary.BigEndian.Uint16(b[2:])&^6 != 0 {
				return d.fragment6(p, before, b, more)
			}
		}
		n := extensionLength(next, b[1])
		if n > len(b)+more {
			return d.malformed(p, BadExtension)
		}
		if n > len(b) {
			return d.short(p, more)
		}
		next = b[0]
		b = b[n:]
		before += n
	}
	return d.malformed(p, TooManyExtensions)
}

func isExtension(next uint8, six bool) bool {
	switch next {
	case protoAH:
		return true
	case protoHopByHop, protoRouting, protoFragment, protoDest, protoMobility, protoHIP, protoShim6:
		return six
	}
	return false
}

// extensionLength gives the length in bytes of an extension header whose
// second byte is n. The fragment header's second byte is reserved; AH counts in
// fours, less two (RFC 4302 2.2).
func extensionLength(next, n uint8) int {
	switch next {
	case protoFragment:
		return 8
	case protoAH:
		return (int(n) + 2) * 4
	}
	return (int(n) + 1) * 8
}
