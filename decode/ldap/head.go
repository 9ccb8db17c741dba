package ldap

import (
	"math"

	"kmswatch/decode/ber"
)

// head is what stands before the content of an operation.
type head struct {
	size int   // of the whole LDAPMessage
	id   int64 // messageID
	op   Op
	body int // where the operation's content begins
	end  int // and ends
}

// maxSize bounds a message; more is no LDAP. Active Directory takes 10 MB
// (MaxReceiveBuffer, MS-ADTS 3.1.1.3.4.6), and gives more in entries.
const maxSize = 64 << 20

// maxID bounds the element of the message id, whose value has four octets.
const maxID = 16

// readHead reads the head of the message that b begins with. Cut asks for more
// bytes, 64 at most; Malformed says that there is no LDAPMessage. Of a Whole
// head size is valid, and with an anomaly of BadMessage nothing else is.
func readHead(b []byte) (h head, v ber.Verdict, a Anomaly) {
	if len(b) != 0 && b[0] != 0x30 {
		return h, ber.Malformed, NotLDAP
	}
	m, size, v := ber.Head(b)
	if m.Header == 0 {
		if v == ber.Malformed {
			a = NotLDAP
		}
		return h, v, a
	}
	if size > maxSize || !m.Constructed {
		return h, ber.Malformed, NotLDAP
	}
	h.size = size
	left := size - m.Header
	id, n, v := ber.Head(m.Content)
	switch {
	case n > left, n > maxID, v == ber.Malformed:
		return head{size: size}, ber.Whole, BadMessage
	case v == ber.Cut:
		return h, ber.Cut, 0
	}
	if !id.Is(ber.Universal, ber.Integer) {
		return head{size: size}, ber.Whole, BadMessage
	}
	var ok bool
	if h.id, ok = id.Int(math.MinInt64, math.MaxInt64); !ok {
		return head{size: size}, ber.Whole, BadMessage
	}
	op, opSize, v := ber.Head(m.Content[n:])
	switch {
	case opSize > left-n, v == ber.Malformed, op.Header > maxID,
		op.Header != 0 && (op.Class != ber.Application || !known(op.Tag, op.Constructed)):
		return head{size: size}, ber.Whole, BadMessage
	case op.Header == 0:
		return h, ber.Cut, 0
	}
	h.op = Op(op.Tag)
	h.body = m.Header + n + op.Header
	h.end = m.Header + n + opSize
	if h.id < 0 || h.id > math.MaxInt32 {
		a = BadMessageID
	}
	return h, ber.Whole, a
}

// Verdict is what Probe thinks of the first bytes of a stream or datagram.
type Verdict uint8

// Verdicts.
const (
	No    Verdict = iota // no LDAPMessage
	More                 // too few bytes to tell
	Match                // a plausible LDAPMessage
)

// Probe tells whether b begins with a plausible LDAPMessage: an envelope of
// sane length, a message id, an operation that fits, and in a bind the version.
func Probe(b []byte) Verdict {
	if len(b) != 0 && b[0] != 0x30 {
		return No
	}
	h, v, a := readHead(b)
	switch {
	case a != 0, v == ber.Malformed:
		return No
	case v == ber.Cut:
		return More
	}
	if h.op != BindRequest {
		return Match
	}
	version, n, v := ber.Head(b[h.body:min(h.end, len(b))])
	switch {
	case v == ber.Malformed, n > h.end-h.body, n > maxID:
		return No
	case v == ber.Cut:
		return More
	}
	if _, ok := version.Int(1, 3); !ok || !version.Is(ber.Universal, ber.Integer) {
		return No
	}
	return Match
}
