// Package jsonline writes alerts and records as JSON, one object without a line
// break: values by hand, since an alert is written on the path of packets, and the
// parts of an alert that its encoders write alike.
package jsonline

import (
	"net/netip"
	"strconv"
	"unicode/utf8"
)

// Buffer is JSON being written. Names are given with every value of an object,
// and are empty in an array.
type Buffer []byte

// Name begins a member of an object, or an element of an array. It is of letters,
// digits and what else needs no escape.
func (b *Buffer) Name(name string) {
	if n := len(*b); n > 0 {
		if c := (*b)[n-1]; c != '{' && c != '[' {
			*b = append(*b, ',')
		}
	}
	if name != "" {
		*b = append(*b, '"')
		*b = append(*b, name...)
		*b = append(*b, '"', ':')
	}
}

// Object begins an object.
func (b *Buffer) Object(name string) { b.Name(name); *b = append(*b, '{') }

// Array begins an array.
func (b *Buffer) Array(name string) { b.Name(name); *b = append(*b, '[') }

// End ends an object.
func (b *Buffer) End() { *b = append(*b, '}') }

// EndArray ends an array.
func (b *Buffer) EndArray() { *b = append(*b, ']') }

// String writes a string.
func (b *Buffer) String(name, v string) {
	b.Name(name)
	*b = appendString(*b, v)
}

// Known writes a string that is not empty.
func (b *Buffer) Known(name, v string) {
	if v != "" {
		b.String(name, v)
	}
}

// Int writes a number.
func (b *Buffer) Int(name string, v int64) {
	b.Name(name)
	*b = strconv.AppendInt(*b, v, 10)
}

// Uint writes a number.
func (b *Buffer) Uint(name string, v uint64) {
	b.Name(name)
	*b = strconv.AppendUint(*b, v, 10)
}

// Bool writes true or false.
func (b *Buffer) Bool(name string, v bool) {
	b.Name(name)
	*b = strconv.AppendBool(*b, v)
}

// Addr writes an IP address; one that is IPv4 in IPv6 as IPv4.
func (b *Buffer) Addr(name string, a netip.Addr) {
	b.Name(name)
	*b = append(*b, '"')
	*b = a.Unmap().AppendTo(*b)
	*b = append(*b, '"')
}

const hexDigits = "0123456789abcdef"

// plain tells the bytes that stand for themselves.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\' && c != 0x7f
	}
	return t
}()

// appendString appends a JSON string (RFC 8259 7). What is not UTF-8 becomes
// U+FFFD byte for byte, as encoding/json has it; the line separators of
// JavaScript are escaped, so that an object stays a line in every reader.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[from:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
			}
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, s[from:i]...)
			b = append(b, `\ufffd`...)
		case r == '\u2028' || r == '\u2029' || r >= 0x80 && r < 0xa0:
			b = append(b, s[from:i]...)
			b = append(b, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&0xf], hexDigits[r>>4&0xf], hexDigits[r&0xf])
		default:
			i += size
			continue
		}
		i += size
		from = i
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}
