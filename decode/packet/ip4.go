package packet

import "encoding/binary"

// maxGSO is the longest packet that segmentation offload shows a capture with
// an IP length of 0: GSO_MAX_SIZE of Linux, bytes.
const maxGSO = 8 * 65535

// ip4 decodes an IPv4 header, RFC 791 3.1.
func (d *Decoder) ip4(p *Packet, b []byte, more int) Verdict {
	if len(b) < 20 {
		return d.short(p, more)
	}
	if b[0]>>4 != 4 {
		return d.malformed(p, BadIPVersion)
	}
	p.IPv6 = false
	mapped(&p.Src, b[12:16])
	mapped(&p.Dst, b[16:20])
	p.Proto = b[9]
	h := int(b[0]&15) * 4
	if h < 20 {
		return d.malformed(p, BadIPHeaderLength)
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n == 0 {
		// Segmentation offload (TSO, BIG TCP) leaves the length to the card.
		if n = len(b) + more; n > maxGSO {
			return d.malformed(p, BadIPLength)
		}
	}
	if n < h {
		return d.malformed(p, BadIPLength)
	}
	b, more = d.cut(b, more, n)
	if h > len(b) {
		return d.short(p, more)
	}
	if place := binary.BigEndian.Uint16(b[6:]); place&0x3fff != 0 {
		return d.fragment4(p, place, h, b, more)
	}
	return d.transport(p, b[9], b[h:], more)
}

// cut ends b where the length n of a datagram says: link padding goes, and
// what was not captured of n is more. A length beyond the frame is believed,
// for a mirror may truncate; one beyond what carries the datagram, and has a
// length of its own, is not.
func (d *Decoder) cut(b []byte, more, n int) ([]byte, int) {
	if n <= len(b) {
		return b[:n], 0
	}
	if n > len(b)+more {
		d.n.Short++
		if d.bounded {
			return b, more
		}
	}
	return b, n - len(b)
}

// mapped writes an IPv4 address as IPv4-mapped IPv6, RFC 4291 2.5.5.2. It
// writes words, as who reads them soon does: a word that was written in parts
// is not there until the parts have left the store buffer.
func mapped(to *[16]byte, from []byte) {
	binary.LittleEndian.PutUint64(to[:], 0)
	binary.LittleEndian.PutUint64(to[8:], 0xffff0000|uint64(binary.LittleEndian.Uint32(from))<<32)
}
