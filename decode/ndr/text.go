package ndr

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// Handle is a context handle (ndr_context_handle of C706).
type Handle struct {
	Attributes uint32
	UUID       [16]byte
}

// Null tells whether the handle names no context.
func (h Handle) Null() bool { return h.UUID == [16]byte{} }

// Handle reads a context handle, twenty bytes in either syntax.
func (r *Reader) Handle() Handle {
	h := Handle{Attributes: r.U32(), UUID: r.UUID()}
	if !r.Ok() {
		return Handle{}
	}
	return h
}

// Text is a string in a stub, as far as its bytes were seen. The zero Text is
// the empty string. It shares the stub's memory.
type Text struct {
	b       []byte // whole characters, to the first NUL
	wide    bool
	big     bool
	Sent    uint64 // characters sent, the terminating NUL and what follows it included
	Cut     bool   // the stub ends inside the string
	Illegal bool   // the string's offset is not 0, or its actual count exceeds the maximum
}

// Wide reads a conformant varying string of WCHARs, [string] wchar_t* (C706
// 14.3.4.2). A string that the stub cuts gives what there is of it and the
// Reader fails.
func (r *Reader) Wide() Text {
	limit := r.Count()
	return r.text(limit, true)
}

// Narrow reads a conformant varying string of octets, [string] char*.
func (r *Reader) Narrow() Text {
	limit := r.Count()
	return r.text(limit, false)
}

// Varying reads a varying string of octets in an array of limit, [string]
// char[limit] (C706 14.3.4.1).
func (r *Reader) Varying(limit uint64) Text { return r.text(limit, false) }

// Wides reads n WCHARs, the elements of a conformant array whose maximum count
// came before.
func (r *Reader) Wides(n uint64) Text {
	r.c.Align(2)
	return r.characters(n, true)
}

func (r *Reader) text(limit uint64, wide bool) Text {
	offset, actual := r.size(), r.size()
	t := r.characters(actual, wide)
	t.Illegal = offset != 0 || actual > limit
	return t
}

// characters reads n characters up to the first NUL.
func (r *Reader) characters(n uint64, wide bool) Text {
	if !r.Ok() {
		return Text{Cut: true}
	}
	t := Text{wide: wide, big: r.c.BigEndian(), Sent: n}
	size := uint64(1)
	if wide {
		size = 2
	}
	if left := uint64(r.c.Len()); n > left/size {
		t.Cut = true
		t.b = r.c.Bytes(int(left / size * size))
		r.c.Fail()
	} else {
		t.b = r.c.Bytes(int(n * size))
	}
	for i := range t.units() {
		if t.Unit(i) == 0 {
			t.b = t.b[:i*int(size)]
			break
		}
	}
	return t
}

func (t *Text) units() int {
	if t.wide {
		return len(t.b) / 2
	}
	return len(t.b)
}

// Len is the number of characters (UTF-16 units, or octets) before the
// terminating NUL or the end of the stub.
func (t *Text) Len() int { return t.units() }

// Unit gives a character, i < Len.
func (t *Text) Unit(i int) uint16 {
	switch {
	case !t.wide:
		return uint16(t.b[i])
	case t.big:
		return binary.BigEndian.Uint16(t.b[2*i:])
	}
	return binary.LittleEndian.Uint16(t.b[2*i:])
}

// Part gives the characters from from to before to, which lie within Len.
func (t *Text) Part(from, to int) Text {
	p := *t
	if t.wide {
		from, to = 2*from, 2*to
	}
	p.b = t.b[from:to]
	return p
}

// Append appends the first limit characters in UTF-8. Units that are no UTF-16
// become U+FFFD; octets are taken for Latin-1, since the code page of the
// sender is not said.
func (t *Text) Append(b []byte, limit int) []byte {
	n := min(t.units(), limit)
	for i := 0; i < n; i++ {
		c := rune(t.Unit(i))
		if utf16.IsSurrogate(c) {
			next := rune(0)
			if i+1 < n {
				next = rune(t.Unit(i + 1))
			}
			if c = utf16.DecodeRune(c, next); c != utf8.RuneError {
				i++
			}
		}
		b = utf8.AppendRune(b, c)
	}
	return b
}
