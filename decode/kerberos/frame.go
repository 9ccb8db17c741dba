package kerberos

import (
	"encoding/binary"

	"kmswatch/decode/ber"
)

// MaxMessage bounds a message over TCP. Windows takes tokens of 64 KiB, and a
// TGS-REQ holds one or two of them.
const MaxMessage = 1 << 20

// Split cuts the first message from a stream of Kerberos over TCP, where four
// bytes of length precede each (RFC 4120 7.2.2). A used of 0 asks for more
// bytes, MaxMessage+4 at most; of -1 says that the stream is lost, since the
// length is none; else the next message begins at b[used:]. The message shares
// b's memory and may be empty.
func Split(b []byte) (message []byte, used int) {
	if len(b) < 4 {
		return nil, 0
	}
	n := binary.BigEndian.Uint32(b)
	if n > MaxMessage {
		return nil, -1
	}
	end := 4 + int(n)
	if len(b) < end {
		return nil, 0
	}
	return b[4:end:end], end
}

// Verdict is what Probe thinks of the first bytes of a stream.
type Verdict uint8

// Verdicts.
const (
	No    Verdict = iota // not Kerberos
	More                 // too few bytes to tell
	Match                // a plausible message
)

// Probe tells whether b begins like a stream of Kerberos over TCP: the length,
// and a message of that length that looks like one up to its msg-type.
func Probe(b []byte) Verdict {
	if len(b) != 0 && b[0] != 0 {
		return No
	}
	if len(b) < 4 {
		return More
	}
	n := binary.BigEndian.Uint32(b)
	if n > MaxMessage {
		return No
	}
	if len(b) == 4 {
		return More
	}
	return plausible(b[4:], int(n))
}

// Plausible tells whether a datagram looks like a raw message up to its
// msg-type, on whatever port. What the snap length cut may.
func Plausible(b []byte) bool {
	_, total, v := ber.Head(b)
	return v != ber.Malformed && plausible(b, total) == Match
}

// plausible judges the beginning of a message of n bytes: application tag,
// SEQUENCE, pvno and msg-type, in a KDC-REQ from tag 1, else from 0.
func plausible(b []byte, n int) Verdict {
	if len(b) == 0 {
		return More
	}
	t := Type(b[0] & 0x1f)
	if b[0]&0xe0 != 0x60 || !t.known() {
		return No
	}
	tag := uint32(0)
	if t == ASReq || t == TGSReq {
		tag = 1
	}
	outer, total, v := ber.Head(b)
	if v == ber.Malformed || outer.Header != 0 && total != n {
		return No
	}
	if outer.Header == 0 {
		return More
	}
	left := total - outer.Header
	seq, size, v := ber.Head(outer.Content)
	if v == ber.Malformed || size > left || seq.Header != 0 && (size != left || !seq.Constructed || !seq.Is(ber.Universal, ber.Sequence)) {
		return No
	}
	rest := seq.Content
	left = size - seq.Header
	for i, want := range [2]uint32{5, uint32(t)} {
		f, size, v := ber.Head(rest)
		if v == ber.Malformed || size > left || f.Header != 0 && (!f.Is(ber.Context, tag+uint32(i)) || size > 16) {
			return No
		}
		if v == ber.Cut {
			return More
		}
		in, total, v := ber.Head(f.Content)
		if v != ber.Whole || total != len(f.Content) || !in.Is(ber.Universal, ber.Integer) {
			return No
		}
		if got, ok := in.Int(0, 255); !ok || uint32(got) != want {
			return No
		}
		rest, left = rest[size:], left-size
	}
	return Match
}
