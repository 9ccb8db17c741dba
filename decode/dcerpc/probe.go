package dcerpc

import "encoding/binary"

// Verdict is what Probe thinks of the first bytes of a stream.
type Verdict uint8

// Verdicts.
const (
	No    Verdict = iota // not a common header
	More                 // too few bytes to tell
	Match                // a plausible common header
)

// Probe tells whether b begins with a plausible common header of a
// connection-oriented PDU. It asks for more than the specification does, since
// bytes of chance must not pass: the reserved bytes of the data representation
// are zero, and the PDU is as long as its type and its security trailer need.
// It is small enough to be inlined: nearly all streams end at their first byte.
func Probe(b []byte) Verdict {
	if len(b) != 0 && b[0] != 5 {
		return No
	}
	return probe(b)
}

func probe(b []byte) Verdict {
	if len(b) < HeaderSize {
		for i, c := range b {
			if !plausible(i, c) {
				return No
			}
		}
		return More
	}
	t := PType(b[2])
	if b[1] > 1 || !t.connectionOriented() ||
		b[4]&0xee != 0 || b[5] > 3 || b[6] != 0 || b[7] != 0 {
		return No
	}
	var frag, auth int
	if b[4]&0x10 == 0 {
		frag = int(binary.BigEndian.Uint16(b[8:]))
		auth = int(binary.BigEndian.Uint16(b[10:]))
	} else {
		frag = int(binary.LittleEndian.Uint16(b[8:]))
		auth = int(binary.LittleEndian.Uint16(b[10:]))
	}
	least := int(ptypeTable[t].length)
	if t == TypeRequest && b[3]&FlagObject != 0 {
		least += 16
	}
	if auth != 0 {
		least += trailerSize + auth
	}
	if frag < least {
		return No
	}
	return Match
}

// plausible judges the byte at an offset of a header that is not whole yet.
func plausible(i int, c byte) bool {
	switch i {
	case 1:
		return c <= 1
	case 2:
		return PType(c).connectionOriented()
	case 4:
		return c&0xee == 0
	case 5:
		return c <= 3
	case 6, 7:
		return c == 0
	}
	return true
}
