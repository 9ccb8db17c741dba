// Package ber reads the Basic Encoding Rules of ASN.1 (X.690) as they stand in
// SPNEGO, Kerberos and LDAP: a Reader is given bytes that nobody vouches for
// and gives one element after the other, without knowing what they mean. It
// follows BER and not DER where Windows does: a length may have more octets
// than it needs. Nothing is allocated, no element is read twice, and nesting
// is entered only as deep as the caller allows.
//
// It is not for indefinite lengths, which neither RFC 4511 5.1 nor RFC 4120
// allow, nor for elements of a GiB and more: both are Malformed.
package ber

// Class is the class of a tag, X.690 8.1.2.2.
type Class uint8

// The classes. Context is the one of [0], [1], ...
const (
	Universal Class = iota
	Application
	Context
	Private
)

// Universal tags that the protocols of this project use.
const (
	Boolean          = 1
	Integer          = 2
	BitString        = 3
	OctetString      = 4
	Null             = 5
	ObjectIdentifier = 6
	Enumerated       = 10
	UTF8String       = 12
	Sequence         = 16
	Set              = 17
	GeneralizedTime  = 24
	GeneralString    = 27
)

// MaxLength is the first content length that is refused.
const MaxLength = 1 << 30

// Verdict is what became of an element.
type Verdict uint8

const (
	Whole     Verdict = iota // all of it is there
	Cut                      // the bytes end before it does
	Malformed                // its tag or length is not one
)

// String gives the name.
func (v Verdict) String() string {
	switch v {
	case Whole:
		return "whole"
	case Cut:
		return "cut"
	default:
		return "malformed"
	}
}

// Element is one tag, length and value. The zero value is no element.
type Element struct {
	Class       Class
	Constructed bool   // its content is elements
	Tag         uint32 // the number alone
	Content     []byte // shares the reader's bytes, cut to its capacity
	Offset      int    // of its first byte, from the start of the outermost reader's bytes
	Header      int    // bytes of tag and length
}

// Is reports whether the element has this class and tag number.
func (e *Element) Is(c Class, tag uint32) bool { return e.Class == c && e.Tag == tag }

// Inside gives a reader of the content. It refuses an element that is not
// constructed, and any when depth, the levels that the caller still allows, is
// used up; the caller counts it down on its way in.
func (e *Element) Inside(depth int) (Reader, bool) {
	if depth <= 0 || !e.Constructed {
		return Reader{}, false
	}
	return Reader{b: e.Content, base: e.Offset + e.Header}, true
}

// Int reads the content as INTEGER or ENUMERATED, whatever the tag says, since
// implicit tags hide it. It refuses nothing, more than eight octets and a
// value outside low..high.
func (e *Element) Int(low, high int64) (int64, bool) {
	if len(e.Content) == 0 || len(e.Content) > 8 {
		return 0, false
	}
	v := int64(int8(e.Content[0]))
	for _, c := range e.Content[1:] {
		v = v<<8 | int64(c)
	}
	if v < low || v > high {
		return 0, false
	}
	return v, true
}

// Bool reads the content as BOOLEAN; anything but zero is true (X.690 8.2.2).
func (e *Element) Bool() (value, ok bool) {
	if len(e.Content) != 1 {
		return false, false
	}
	return e.Content[0] != 0, true
}

// Octets gives the content of a primitive string: OCTET STRING and the
// character strings. One that is built of segments (X.690 8.7.3.2) is refused,
// as RFC 4511 5.1 and DER do.
func (e *Element) Octets() ([]byte, bool) {
	if e.Constructed {
		return nil, false
	}
	return e.Content, true
}

// OID gives the octets of an OBJECT IDENTIFIER, X.690 8.19, to be compared
// with known ones. It refuses an empty one and one that ends within an arc.
func (e *Element) OID() ([]byte, bool) {
	n := len(e.Content)
	if e.Constructed || n == 0 || e.Content[n-1]&0x80 != 0 {
		return nil, false
	}
	return e.Content, true
}

// Head reads the tag and length at the start of b. The element's Content is
// what is there of it. total is the length of the whole element once Header is
// not 0, and else the least number of bytes after which asking again is worth
// it. The verdict is Cut when b is shorter than total; a Malformed element is
// the zero one, and its total is 0.
func Head(b []byte) (e Element, total int, v Verdict) {
	if len(b) == 0 {
		return Element{}, 2, Cut
	}
	e.Class, e.Constructed, e.Tag = Class(b[0]>>6), b[0]&0x20 != 0, uint32(b[0]&0x1f)
	i := 1
	if e.Tag == 0x1f {
		e.Tag = 0
		for {
			if i == len(b) {
				return Element{}, i + 2, Cut
			}
			c := b[i]
			if i == 1 && c == 0x80 || e.Tag >= 1<<25 { // a leading zero, X.690 8.1.2.4.2; over 32 bits
				return Element{}, 0, Malformed
			}
			e.Tag = e.Tag<<7 | uint32(c&0x7f)
			i++
			if c&0x80 == 0 {
				break
			}
		}
	}
	if i == len(b) {
		return Element{}, i + 1, Cut
	}
	length := int(b[i])
	i++
	if length >= 0x80 {
		n := length & 0x7f
		if n == 0 || n > 8 { // indefinite; reserved or absurd
			return Element{}, 0, Malformed
		}
		length = 0
		for end := i + n; i < end; i++ {
			if i == len(b) {
				return Element{}, end, Cut
			}
			if length = length<<8 | int(b[i]); length >= MaxLength {
				return Element{}, 0, Malformed
			}
		}
	}
	e.Header = i
	total = i + length
	if total > len(b) {
		e.Content = b[i:len(b):len(b)]
		return e, total, Cut
	}
	e.Content = b[i:total:total]
	return e, total, Whole
}

// Reader walks elements that stand one behind the other. The zero value is at
// the end of nothing. It never writes to the bytes.
type Reader struct {
	b       []byte
	off     int
	base    int // of b in the outermost reader's bytes
	need    int
	verdict Verdict
}

// NewReader gives a reader of b.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Next gives the next element. At the end of the bytes and after an element
// that is cut or malformed it gives none, from then on; Verdict tells the two
// apart.
func (r *Reader) Next() (Element, bool) {
	if r.verdict != Whole || r.off == len(r.b) {
		return Element{}, false
	}
	e, total, v := Head(r.b[r.off:])
	if v != Whole {
		r.verdict = v
		if v == Cut {
			r.need = r.off + total
		}
		return Element{}, false
	}
	e.Offset = r.base + r.off
	r.off += total
	return e, true
}

// Want gives the next element when it has this class and tag number, and else
// leaves it where it is: for optional fields.
func (r *Reader) Want(c Class, tag uint32) (Element, bool) {
	before := *r
	e, ok := r.Next()
	if ok && !e.Is(c, tag) {
		*r = before
		return Element{}, false
	}
	return e, ok
}

// Verdict is Whole as long as every element was, and for good what the first
// bad one was.
func (r *Reader) Verdict() Verdict { return r.verdict }

// Need is, once the verdict is Cut, how many bytes the reader must be given
// for the cut element to be whole, or for its length to be known.
func (r *Reader) Need() int { return r.need }

// More reports whether there are bytes left to read.
func (r *Reader) More() bool { return r.verdict == Whole && r.off < len(r.b) }

// Offset is where the next element stands, or the one that stopped the reader,
// from the start of the outermost reader's bytes.
func (r *Reader) Offset() int { return r.base + r.off }

// Rest gives the bytes from there on without consuming them.
func (r *Reader) Rest() []byte { return r.b[r.off:len(r.b):len(r.b)] }
