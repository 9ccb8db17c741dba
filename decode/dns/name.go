package dns

const (
	maxName = 255         // octets of a name on the wire (RFC 1035 3.1)
	maxText = 4 * maxName // its text, if every octet is written as \DDD
	maxHops = 127         // pointers followed for a name: each should lead to a label
)

// name writes the text of the name at off into the scratch, and returns it
// with the offset behind the name. The text is nil if the name cannot be read,
// the end 0 if not even that can be told; the anomaly then says why. A name
// that can be read may have one too.
func (s *scratch) name(b []byte, off int) (text []byte, end int, a Anomaly) {
	w := 0        // bytes of text
	octets := 1   // of the name, the root's included
	start := off  // of the run of labels
	pointers := 0 // followed
	for at := off; ; {
		if at >= len(b) {
			return nil, end, beyond(end)
		}
		n := int(b[at])
		switch n & 0xc0 {
		case 0:
			at++
			if n == 0 {
				if end == 0 {
					end = at
				}
				if w == 0 {
					s.text[0] = '.'
					w = 1
				}
				return s.text[:w], end, a
			}
			if n > len(b)-at {
				return nil, end, beyond(end)
			}
			if octets += 1 + n; octets > maxName {
				if a == 0 {
					a = NameTooLong
				} else {
					a = CompressionLoop // pointers that do not point back
				}
				if end == 0 {
					end, _ = skipName(b, at-1)
				}
				return nil, end, a
			}
			if w != 0 {
				s.text[w] = '.'
				w++
			}
			for _, c := range b[at : at+n] {
				if p := plain[c]; p != 0 {
					s.text[w] = p
					w++
					continue
				}
				w += s.escape(w, c)
			}
			at += n
		case 0xc0:
			if at+1 >= len(b) {
				return nil, end, beyond(end)
			}
			if end == 0 {
				end = at + 2
			}
			to := n&0x3f<<8 | int(b[at+1])
			if to >= start {
				a = ForwardPointer
			}
			if pointers++; pointers > maxHops {
				return nil, end, CompressionLoop
			}
			at, start = to, to
		default:
			return nil, end, BadLabel
		}
	}
}

// beyond says what it is to run off the message, in place or through a pointer.
func beyond(end int) Anomaly {
	if end == 0 {
		return CutMessage
	}
	return BadPointer
}

// escape writes an octet that is no plain text and returns how many it took.
func (s *scratch) escape(w int, c byte) int {
	s.text[w] = '\\'
	if c == '.' || c == '\\' {
		s.text[w+1] = c
		return 2
	}
	s.text[w+1], s.text[w+2], s.text[w+3] = '0'+c/100, '0'+c/10%10, '0'+c%10
	return 4
}

// plain gives the octets that stand for themselves, in lower case; 0 for those
// that are escaped.
var plain = func() (t [256]byte) {
	for c := '!'; c <= '~'; c++ {
		t[c] = byte(c)
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = byte(c) | 0x20
	}
	t['.'], t['\\'] = 0, 0
	return t
}()

// skipName gives the offset behind the name at off. It is 0, and the anomaly
// says why, if the name runs off the message or has a label of a reserved type.
func skipName(b []byte, off int) (end int, a Anomaly) {
	for off < len(b) {
		n := int(b[off])
		off++
		switch {
		case n == 0:
			return off, 0
		case n < 64:
			off += n
		case n < 0xc0:
			return 0, BadLabel
		case off < len(b):
			return off + 1, 0
		}
	}
	return 0, CutMessage
}

// compressed tells whether the name at off, which skipName passes, ends in a
// pointer.
func compressed(b []byte, off int) bool {
	for b[off] != 0 && b[off] < 64 {
		off += 1 + int(b[off])
	}
	return b[off] != 0
}

// service tells whether a label of a name begins with '_'.
func service(text []byte) bool {
	first := true
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case first && c == '_':
			return true
		case c == '\\':
			i++ // of \DDD the digits are no dots either
			first = false
		default:
			first = c == '.'
		}
	}
	return false
}
