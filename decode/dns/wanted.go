package dns

import "encoding/binary"

const (
	headerSize   = 12
	maxQuestions = 16 // that are looked at; servers refuse more than one
)

// Wanted tells from the first bytes whether a message may be about SRV
// records: an UPDATE, or a question for SRV or ANY, or for a name whose first
// label begins with '_', as those of all services do. Of a message without a
// question, as multicast DNS sends them, the first answer decides. It parses
// no name and no record, and a false says that Decode would find no SRV.
func Wanted(b []byte) bool {
	if len(b) < headerSize {
		return false
	}
	switch b[2] >> 3 & 15 {
	case OpcodeQuery:
	case OpcodeUpdate:
		return b[4] == 0 && b[5] <= maxQuestions
	default:
		return false
	}
	n := int(b[4])<<8 | int(b[5])
	if n > maxQuestions {
		return false
	}
	if n == 0 {
		if b[6]|b[7] == 0 {
			return false
		}
		n = 1
	}
	at := headerSize
	for range n {
		if at+1 < len(b) && b[at+1] == '_' && b[at]-1 < 63 {
			return true
		}
		for {
			if at >= len(b) {
				return false
			}
			l := b[at]
			at++
			if l == 0 {
				break
			}
			if l >= 64 {
				if l < 0xc0 {
					return false
				}
				at++
				break
			}
			at += int(l)
		}
		if at+4 > len(b) {
			return false
		}
		if t := uint16(b[at])<<8 | uint16(b[at+1]); t == typeSRV || t == typeANY {
			return true
		}
		at += 4
	}
	return false
}

// Split cuts the first message from a stream of DNS over TCP, where two bytes
// of length precede each (RFC 1035 4.2.2). A used of 0 asks for more bytes,
// 65537 at most; else the next message begins at b[used:]. The message shares
// b's memory and may be empty.
func Split(b []byte) (message []byte, used int) {
	if len(b) < 2 {
		return nil, 0
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if len(b) < n {
		return nil, 0
	}
	return b[2:n:n], n
}
