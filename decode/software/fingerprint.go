package software

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"kmswatch/decode/dcerpc"
)

// Fingerprint is what a bind or its answer shows of the software that sent it.
// It is a value; the zero value is that of no negotiation.
type Fingerprint struct {
	hash [hashSize]byte
	text [maxText]byte
	n    uint8
}

const (
	hashSize = 6
	maxText  = 224
	// maxItems is how many contexts a text lists. Honest clients have three;
	// where there are more, that is told, and so are the first.
	maxItems = 8
)

// Known tells whether there is a fingerprint at all.
func (f *Fingerprint) Known() bool { return f.n != 0 }

// Text gives the canonical text, empty if there is none. For a client it is
//
//	c,<minor version>,<byte order>,<flags>,<max_xmit>,<max_recv>,<ids>,<transfer syntaxes>
//
// with the flags in hexadecimal, without that of header signing; ids are "seq"
// where the context ids follow each other, else "odd"; transfer syntaxes are a
// token a context: 32 and 64 for NDR and NDR64, f and its bits for bind-time
// features, four digits of the UUID for others, joined by + within a context
// and by - between them. For a server it is
//
//	s,<multiplexing>,<max_xmit>,<max_recv>,<group>,<secondary address>,<results>
//
// where multiplexing is "same" as the client said, "dropped" or "added"; sizes
// are = where they are the max_xmit that was asked for and ~ where they are its
// max_recv; group is 0 or n; the address is port, pipe, none or other; and
// a result is the token of its context with a for accepted, u for refused by
// the user, p and the reason for refused by the provider, n and the bits for
// features, and ? where there is none.
func (f *Fingerprint) Text() string { return string(f.text[:f.n]) }

// Hash gives the hash, 12 hexadecimal digits of the SHA-256 of the text; empty
// if there is none.
func (f *Fingerprint) Hash() string {
	if f.n == 0 {
		return ""
	}
	return hex.EncodeToString(f.hash[:])
}

// AppendHash appends the hash.
func (f *Fingerprint) AppendHash(b []byte) []byte {
	if f.n == 0 {
		return b
	}
	return hex.AppendEncode(b, f.hash[:])
}

// seal takes the text and hashes it.
func seal(text []byte) (f Fingerprint) {
	f.n = uint8(copy(f.text[:], text))
	sum := sha256.Sum256(f.text[:f.n])
	copy(f.hash[:], sum[:])
	return f
}

// headerSign is the flag that goes with authentication.
const headerSign = dcerpc.FlagHeaderSign

// Client gives the fingerprint of the client of a bind. An alter_context has
// none, since what it asks for depends on the bind before it, nor has a bind
// that the snap length cut.
func Client(n *dcerpc.Negotiation) Fingerprint {
	if n.Alter || n.Cut {
		return Fingerprint{}
	}
	var memory [maxText]byte
	b := append(memory[:0], "c,"...)
	b = strconv.AppendUint(b, uint64(n.Minor), 10)
	if n.BigEndian {
		b = append(b, ",be,"...)
	} else {
		b = append(b, ",le,"...)
	}
	b = hex.AppendEncode(b, []byte{n.Flags &^ headerSign})
	b = append(b, ',')
	b = strconv.AppendUint(b, uint64(n.MaxXmit), 10)
	b = append(b, ',')
	b = strconv.AppendUint(b, uint64(n.MaxRecv), 10)
	ids := ",seq,"
	for i := range n.Contexts {
		if n.Contexts[i].ID != n.Contexts[0].ID+uint16(i) {
			ids = ",odd,"
		}
	}
	b = append(b, ids...)
	return seal(appendOffers(b, n))
}

// appendOffers appends the transfer syntaxes that a client offers.
func appendOffers(b []byte, n *dcerpc.Negotiation) []byte {
	for i := range n.Contexts {
		if i == maxItems {
			return append(b, '-', '*')
		}
		if i > 0 {
			b = append(b, '-')
		}
		b = appendItem(b, &n.Contexts[i])
	}
	return b
}

// appendItem appends the transfer syntaxes of a context.
func appendItem(b []byte, x *dcerpc.ContextItem) []byte {
	for i, t := range x.Transfer {
		if i == 2 {
			return append(b, '+', '*')
		}
		if i > 0 {
			b = append(b, '+')
		}
		bits, features := t.Features()
		switch {
		case t.UUID == dcerpc.NDR32.UUID:
			b = append(b, "32"...)
		case t.UUID == dcerpc.NDR64.UUID:
			b = append(b, "64"...)
		case features:
			b = append(b, 'f')
			b = strconv.AppendUint(b, uint64(bits), 10)
		default:
			b = hex.AppendEncode(b, t.UUID[:2])
		}
	}
	return b
}

// Server gives the fingerprint of the server of a bind that was answered with
// bind_ack. Other answers have none.
func Server(n *dcerpc.Negotiation) Fingerprint {
	if !acknowledged(n) {
		return Fingerprint{}
	}
	var memory [maxText]byte
	b := append(memory[:0], "s,"...)
	asked, said := n.Flags&dcerpc.FlagConcMpx != 0, n.AnswerFlags&dcerpc.FlagConcMpx != 0
	switch {
	case asked == said:
		b = append(b, "same,"...)
	case asked:
		b = append(b, "dropped,"...)
	default:
		b = append(b, "added,"...)
	}
	b = appendSize(b, n.AnswerXmit, n)
	b = appendSize(b, n.AnswerRecv, n)
	if n.Group == 0 {
		b = append(b, "0,"...)
	} else {
		b = append(b, "n,"...)
	}
	b = append(b, address(n.Secondary)...)
	b = append(b, ',')
	for i := range n.Contexts {
		if i == maxItems {
			b = append(b, '-', '*')
			break
		}
		if i > 0 {
			b = append(b, '-')
		}
		x := &n.Contexts[i]
		b = appendItem(b, x)
		switch {
		case !x.Answered:
			b = append(b, '?')
		case x.Result == dcerpc.Acceptance:
			b = append(b, 'a')
		case x.Result == dcerpc.UserRejection:
			b = append(b, 'u')
		case x.Result == dcerpc.ProviderRejection:
			b = append(b, 'p')
			b = strconv.AppendUint(b, uint64(x.Reason), 10)
		case x.Result == dcerpc.NegotiateAck:
			b = append(b, 'n')
			b = strconv.AppendUint(b, uint64(x.Reason), 10)
		default:
			b = append(b, 'x')
		}
	}
	return seal(b)
}

// acknowledged tells whether n is a bind whose bind_ack was seen in full.
func acknowledged(n *dcerpc.Negotiation) bool {
	return !n.Alter && !n.Cut && n.Status == 0 && (n.State == dcerpc.NegotiationAccepted || n.State == dcerpc.NegotiationRejected)
}

func appendSize(b []byte, size uint16, n *dcerpc.Negotiation) []byte {
	switch size {
	case n.MaxXmit:
		b = append(b, '=')
	case n.MaxRecv:
		b = append(b, '~')
	default:
		b = strconv.AppendUint(b, uint64(size), 10)
	}
	return append(b, ',')
}

// address gives the form of a secondary address.
func address(s []byte) string {
	if len(s) == 0 {
		return "none"
	}
	if foldPrefix(s, `\pipe\`) {
		return "pipe"
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return "other"
		}
	}
	return "port"
}

// foldPrefix tells whether s begins with prefix, which is in lower case, in
// either case.
func foldPrefix(s []byte, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}
