package smb

// Verdict is what Probe thinks of the first bytes of a stream or segment.
type Verdict uint8

// Verdicts.
const (
	No    Verdict = iota // not SMB
	More                 // too few bytes to tell
	Match                // SMB
)

// Types of session service packets, RFC 1002 4.3.1.
const (
	sessionMessage   = 0x00
	sessionRequest   = 0x81
	positiveResponse = 0x82
	negativeResponse = 0x83
	retargetResponse = 0x84
	keepAlive        = 0x85
)

// framing is the length of a session service header.
const framing = 4

// Probe tells whether b begins with a session service packet that carries SMB,
// or that asks for or answers a session. What may stand before a message, the
// answer to a session request and keep-alives, asks for more. It is small enough
// to be inlined: nearly all other streams end at their first byte.
func Probe(b []byte) Verdict {
	if len(b) != 0 && b[0]&0x78 != 0 { // sessionMessage, sessionRequest to keepAlive pass, and some more
		return No
	}
	return probe(b)
}

func probe(b []byte) Verdict {
	for n := 0; len(b) > 0; n++ {
		if n > 8 {
			return No
		}
		switch b[0] {
		case sessionMessage:
			return probeMessage(b)
		case sessionRequest:
			// The called name in the first-level encoding of RFC 1001 14.1:
			// a label of 32 letters from A to P.
			const label = 32
			for i, c := range b[:min(len(b), framing+1+label)] {
				switch {
				case i == 1 && c > 1, i == framing && c != label,
					i > framing && (c < 'A' || c > 'P'):
					return No
				}
			}
			if len(b) <= framing+1 {
				return More
			}
			return Match
		case positiveResponse, keepAlive:
			for _, c := range b[1:min(len(b), framing)] {
				if c != 0 {
					return No
				}
			}
			if len(b) <= framing {
				return More
			}
			b = b[framing:]
		case negativeResponse:
			// A length of 1 and an error code, RFC 1002 4.3.4.
			return literal(b, 1, 0, 0, 1, 0x80, 0x0f)
		case retargetResponse:
			return literal(b, 1, 0, 0, 6, 0, 0xff)
		default:
			return No
		}
	}
	return More
}

// literal compares bytes 1 to 3, and byte 4 but for the bits of loose.
func literal(b []byte, from int, b1, b2, b3, b4, loose byte) Verdict {
	want := [...]byte{b1, b2, b3, b4}
	for i := from; i < framing+1; i++ {
		switch {
		case i >= len(b):
			return More
		case i < framing && b[i] != want[i-from], i == framing && b[i]&^loose != want[i-from]:
			return No
		}
	}
	return Match
}

// probeMessage judges a session message.
func probeMessage(b []byte) Verdict {
	const known = framing + 6 // up to the structure size of SMB2
	for i, c := range b[:min(len(b), known)] {
		switch {
		case i == 4 && c < 0xfc,
			i == 5 && c != 'S', i == 6 && c != 'M', i == 7 && c != 'B',
			i == 8 && b[4] == 0xfe && c != headerSize2,
			i == 9 && b[4] == 0xfe && c != 0,
			i == 8 && b[4] == 0xff && commands1[c].name == "":
			return No
		}
	}
	if len(b) < known {
		return More
	}
	n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if n < least(b[4]) {
		return No
	}
	return Match
}

// least is the shortest message that begins with a byte.
func least(first byte) int {
	switch first {
	case 0xff:
		return headerSize1 + 3 // word count and byte count
	case 0xfe:
		return headerSize2 + 2 // a structure size
	case 0xfd:
		return transformSize
	}
	return compressionSize
}
