package pcapfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"kmswatch/capture"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng, section 11.1).
const (
	blockSection    = 0x0a0d0d0a // reads the same in both byte orders
	blockInterface  = 1
	blockPacket     = 2 // obsolete
	blockSimple     = 3
	blockStatistics = 5
	blockEnhanced   = 6
)

// byteOrderMagic tells the byte order of a section.
const byteOrderMagic = 0x1a2b3c4d

// Options that matter here, by block.
const (
	optIfTsResol  = 9
	optIfTsOffset = 14
	optIsbIfDrop  = 5
	optIsbOSDrop  = 7
)

// maxBlock is the longest block believed, as in libpcap and Wireshark.
const maxBlock = 16 << 20

// maxInterfaces is the most interfaces of a section.
const maxInterfaces = 1 << 16

var errNoTrailer = errors.New("the length at a block's end is not that at its beginning")

// iface is what an interface description block said.
type iface struct {
	link    capture.LinkType
	snaplen uint32 // 0 when unlimited; only simple packet blocks need it
	clock   clock
	dropped uint64 // by the last statistics block, since the capture began
}

// pcapng reads the blocks of a pcapng file.
type pcapng struct {
	stamp
	big  bool    // byte order of the section
	ifs  []iface // of the section
	last int64   // time of the frame before
	size int     // of a block that is passed over
	left int     // bytes left of it, its last 4 included; 0 between blocks
	end  uint32  // what those last 4 have to say
}

func (p *pcapng) pending() int {
	if p.left > 0 {
		return p.size - p.left
	}
	return 0
}

func (p *pcapng) counts() *stamp { return &p.stamp }

func (p *pcapng) u16(b []byte) uint16 {
	if p.big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (p *pcapng) u32(b []byte) uint32 {
	if p.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (p *pcapng) u64(b []byte) uint64 {
	if p.big {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

// leastBlock is the least total length of the blocks that are read.
func leastBlock(typ uint32) uint32 {
	switch typ {
	case blockSection:
		return 28
	case blockInterface:
		return 20
	case blockSimple:
		return 16
	case blockStatistics:
		return 24
	case blockEnhanced, blockPacket:
		return 32
	}
	return 12
}

func (p *pcapng) frames(w *window, out []capture.Frame) (n int, err error) {
	b := w.bytes()
	off := 0
	for n < len(out) {
		if p.left > 0 {
			k := min(p.left-4, len(b)-off)
			off += k
			p.left -= k
			if p.left > 4 || len(b)-off < 4 {
				break
			}
			if p.u32(b[off:]) != p.end {
				err = errNoTrailer
				break
			}
			off += 4
			p.left = 0
			continue
		}
		h := b[off:]
		if len(h) < 12 {
			break
		}
		typ := p.u32(h)
		if typ == blockSection {
			switch uint32(byteOrderMagic) {
			case binary.LittleEndian.Uint32(h[8:]):
				p.big = false
			case binary.BigEndian.Uint32(h[8:]):
				p.big = true
			default:
				err = errors.New("a section without a byte-order magic")
			}
			if err != nil {
				break
			}
		}
		total := p.u32(h[4:])
		if total < leastBlock(typ) || total > maxBlock {
			err = fmt.Errorf("a block of %d bytes is impossible", total)
			break
		}
		// Some writers leave the padding out of the length, as Wireshark knows.
		size := (int(total) + 3) &^ 3
		switch typ {
		case blockEnhanced, blockSimple, blockPacket, blockSection, blockInterface, blockStatistics:
		default:
			off += 8
			p.size, p.left, p.end = size, size-8, total
			continue
		}
		if len(h) < size {
			break
		}
		if p.u32(h[size-4:]) != total {
			err = errNoTrailer
			break
		}
		body := h[8 : size-4 : size-4]
		switch typ {
		case blockSection:
			err = p.section(body)
		case blockInterface:
			err = p.describe(body)
		case blockStatistics:
			err = p.statistics(body)
		default:
			err = p.packet(typ, body, &out[n])
			if err == nil {
				n++
			}
		}
		if err != nil {
			break
		}
		off += size
	}
	w.skip(off)
	return n, err
}

// packet reads a block that holds a frame.
func (p *pcapng) packet(typ uint32, body []byte, f *capture.Frame) error {
	var id, caplen, length uint32
	var data []byte
	switch typ {
	case blockSimple: // section 4.4: of interface 0, without a time
		length = p.u32(body)
		data = body[4:]
	case blockPacket: // appendix A
		id = uint32(p.u16(body))
		caplen, length = p.u32(body[12:]), p.u32(body[16:])
		data = body[20:]
	default: // section 4.3
		id = p.u32(body)
		caplen, length = p.u32(body[12:]), p.u32(body[16:])
		data = body[20:]
	}
	if uint64(id) >= uint64(len(p.ifs)) {
		return fmt.Errorf("a frame of interface %d where %d are described", id, len(p.ifs))
	}
	i := &p.ifs[id]
	if typ == blockSimple {
		caplen = min(length, uint32(len(data)))
		if i.snaplen != 0 {
			caplen = min(caplen, i.snaplen)
		}
	} else {
		p.last = i.clock.nanoseconds(uint64(p.u32(body[4:]))<<32 | uint64(p.u32(body[8:])))
	}
	if caplen > maxFrame || uint64(caplen) > uint64(len(data)) {
		return fmt.Errorf("a frame of %d bytes is impossible in a block of %d", caplen, len(body)+12)
	}
	p.number++
	p.bytes += uint64(caplen)
	if length > caplen {
		p.truncated++
	}
	f.Data = data[:caplen:caplen]
	f.Time = p.last
	f.Length = int(max(length, caplen))
	f.Number = p.number
	f.File = p.file
	f.Link = i.link
	f.Interface = int32(id)
	return nil
}

// section begins a new section: its interfaces are numbered from 0 again. Its
// byte order is known already; its length is not needed and often wrong.
func (p *pcapng) section(body []byte) error {
	if major := p.u16(body[4:]); major != 1 {
		return fmt.Errorf("pcapng version %d.%d is not known", major, p.u16(body[6:]))
	}
	p.ifs = p.ifs[:0]
	return nil
}

// describe reads an interface description block (section 4.2).
func (p *pcapng) describe(body []byte) error {
	if len(p.ifs) >= maxInterfaces {
		return fmt.Errorf("more than %d interfaces", maxInterfaces)
	}
	resol, offset := uint8(6), int64(0)
	for o := p.options(body[8:]); o.next(); {
		switch {
		case o.code == optIfTsResol && len(o.value) >= 1:
			resol = o.value[0]
		case o.code == optIfTsOffset && len(o.value) >= 8:
			offset = int64(p.u64(o.value))
		}
	}
	p.ifs = append(p.ifs, iface{
		link:    capture.LinkType(p.u16(body)),
		snaplen: p.u32(body[4:]),
		clock:   newClock(resol, offset),
	})
	return nil
}

// statistics reads what an interface lost (section 4.6). Each block counts
// from the beginning of the capture, so only what is new is added.
func (p *pcapng) statistics(body []byte) error {
	id := p.u32(body)
	if uint64(id) >= uint64(len(p.ifs)) {
		return nil // nothing depends on it
	}
	var dropped uint64
	for o := p.options(body[12:]); o.next(); {
		if (o.code == optIsbIfDrop || o.code == optIsbOSDrop) && len(o.value) >= 8 {
			dropped = addUp(dropped, p.u64(o.value))
		}
	}
	if i := &p.ifs[id]; dropped > i.dropped {
		p.dropped = addUp(p.dropped, dropped-i.dropped)
		i.dropped = dropped
	}
	return nil
}

// addUp adds counters that a file made up; the sum stops at the end of 63 bits.
func addUp(a, b uint64) uint64 {
	return min(a, math.MaxInt64) + min(b, math.MaxInt64-min(a, math.MaxInt64))
}

// options walks the options of a block. A malformed one ends the walk: they
// only refine what the block says.
type options struct {
	p     *pcapng
	rest  []byte
	code  uint16
	value []byte
}

func (p *pcapng) options(b []byte) options { return options{p: p, rest: b} }

func (o *options) next() bool {
	if len(o.rest) < 4 {
		return false
	}
	o.code = o.p.u16(o.rest)
	n := int(o.p.u16(o.rest[2:]))
	if o.code == 0 || n > len(o.rest)-4 {
		return false
	}
	o.value = o.rest[4 : 4+n : 4+n]
	o.rest = o.rest[4+min((n+3)&^3, len(o.rest)-4):]
	return true
}

// clock turns the stamps of an interface into nanoseconds since the epoch.
type clock struct {
	mul    uint64 // a tick is mul nanoseconds,
	div    uint64 // or div ticks are a nanosecond when above 1,
	shift  uint   // or 1<<(shift-1) ticks are a second when above 0
	offset int64  // nanoseconds to add
}

// tens are the powers of ten that 64 bits hold.
var tens = [...]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// newClock reads an if_tsresol: a negative power of 10, or of 2 when the top
// bit is set (draft-ietf-opsawg-pcapng, section 4.2). offset is in seconds.
func newClock(resol uint8, offset int64) clock {
	var c clock
	n := uint(resol & 0x7f)
	switch {
	case resol&0x80 != 0:
		c.shift = n + 1
	case n <= 9:
		c.mul = tens[9-n]
	case n-9 < uint(len(tens)):
		c.div = tens[n-9]
	default: // finer than 64 bits can tell from nothing
		c.mul = 0
	}
	hi, lo := bits.Mul64(uint64(max(offset, -offset)), 1e9)
	switch {
	case offset == math.MinInt64 || hi != 0 || lo > math.MaxInt64:
		c.offset = math.MaxInt64
	default:
		c.offset = int64(lo)
	}
	if offset < 0 {
		c.offset = -c.offset
	}
	return c
}

// nanoseconds converts a stamp; what 64 bits do not hold becomes their end.
func (c *clock) nanoseconds(ticks uint64) int64 {
	var ns uint64
	switch {
	case c.shift > 0:
		n := c.shift - 1
		hi, lo := bits.Mul64(ticks, 1e9)
		switch {
		case n >= 64:
			hi, lo = 0, hi>>(n-64)
		case n > 0:
			hi, lo = hi>>n, hi<<(64-n)|lo>>n
		}
		if ns = lo; hi != 0 {
			ns = math.MaxInt64
		}
	case c.div > 1:
		ns = ticks / c.div
	default:
		hi, lo := bits.Mul64(ticks, c.mul)
		if ns = lo; hi != 0 {
			ns = math.MaxInt64
		}
	}
	t := int64(min(ns, math.MaxInt64))
	sum := t + c.offset // t is never negative: only a positive offset overflows
	if c.offset > 0 && sum < t {
		return math.MaxInt64
	}
	return sum
}
