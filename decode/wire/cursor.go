// Package wire reads fixed and variable fields from bytes that nobody vouches
// for. A Cursor checks every read against the bytes left; the first read that
// does not fit makes it fail, and a failed cursor gives zeroes from then on,
// so that a decoder checks once, before it believes a count or at its end.
package wire

import "encoding/binary"

// Cursor walks a slice. It is a value: a copy saves the place. The zero value
// is an empty, little-endian cursor. It never writes to the slice and the
// slices that it gives share its memory.
type Cursor struct {
	b      []byte
	off    int
	big    bool
	failed bool
}

// Little returns a cursor over b that reads little-endian integers.
func Little(b []byte) Cursor { return Cursor{b: b} }

// Big returns a cursor over b that reads big-endian integers.
func Big(b []byte) Cursor { return Cursor{b: b, big: true} }

// SetBig chooses the byte order of the integers read from here on.
func (c *Cursor) SetBig(big bool) { c.big = big }

// BigEndian tells the byte order in force.
func (c *Cursor) BigEndian() bool { return c.big }

// Ok reports whether every read so far found its bytes.
func (c *Cursor) Ok() bool { return !c.failed }

// Offset is the number of bytes consumed.
func (c *Cursor) Offset() int { return c.off }

// Len is the number of bytes left; 0 once the cursor has failed.
func (c *Cursor) Len() int {
	if c.failed {
		return 0
	}
	return len(c.b) - c.off
}

// Rest gives the bytes left without consuming them.
func (c *Cursor) Rest() []byte {
	if c.failed {
		return nil
	}
	return c.b[c.off:len(c.b):len(c.b)]
}

// Fail makes the cursor fail, for a value that the caller refuses.
func (c *Cursor) Fail() { c.failed = true }

// Bytes consumes n bytes and gives them, cut to their capacity. It fails, and
// gives nil, when n is negative or fewer are left.
func (c *Cursor) Bytes(n int) []byte {
	if c.failed || n < 0 || n > len(c.b)-c.off {
		c.failed = true
		return nil
	}
	s := c.b[c.off : c.off+n : c.off+n]
	c.off += n
	return s
}

// Skip consumes n bytes.
func (c *Cursor) Skip(n int) { c.Bytes(n) }

// Align consumes bytes until the offset from the start of the slice is a
// multiple of n, a power of two.
func (c *Cursor) Align(n int) { c.Bytes(-c.off & (n - 1)) }

// U8 consumes one byte.
func (c *Cursor) U8() uint8 {
	if c.failed || c.off >= len(c.b) {
		c.failed = true
		return 0
	}
	v := c.b[c.off]
	c.off++
	return v
}

// U16 consumes two bytes.
func (c *Cursor) U16() uint16 {
	s := c.Bytes(2)
	if s == nil {
		return 0
	}
	if c.big {
		return binary.BigEndian.Uint16(s)
	}
	return binary.LittleEndian.Uint16(s)
}

// U32 consumes four bytes.
func (c *Cursor) U32() uint32 {
	s := c.Bytes(4)
	if s == nil {
		return 0
	}
	if c.big {
		return binary.BigEndian.Uint32(s)
	}
	return binary.LittleEndian.Uint32(s)
}

// U64 consumes eight bytes.
func (c *Cursor) U64() uint64 {
	s := c.Bytes(8)
	if s == nil {
		return 0
	}
	if c.big {
		return binary.BigEndian.Uint64(s)
	}
	return binary.LittleEndian.Uint64(s)
}
