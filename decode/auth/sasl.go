package auth

import "bytes"

// sasl takes a message of a mechanism that names its user in clear. Passwords
// and digests are not looked at.
func (x *Exchange) sasl(fromClient bool, b []byte) {
	if !fromClient {
		x.steps |= SeenChallenge
		return
	}
	c := Caller{Mechanism: x.carrier}
	switch x.carrier {
	case External: // RFC 4422 A: the identity to act as
		c.User = name(b)
	case Plain: // RFC 4616 2: authzid NUL authcid NUL passwd
		_, rest, _ := bytes.Cut(b, []byte{0})
		user, _, ok := bytes.Cut(rest, []byte{0})
		if ok {
			c.User = name(user)
		}
	case Digest:
		c.User, c.Domain = name(directive(b, "username")), name(directive(b, "realm"))
	}
	x.now = c
	x.steps |= SeenNegotiate | SeenAuthenticate
}

// maxName is how many bytes of a name from SASL or a simple bind are kept.
const maxName = 512

// name copies a name, as much of it as is kept.
func name(b []byte) string {
	return string(bytes.ToValidUTF8(b[:min(len(b), maxName)], []byte("\ufffd")))
}

// directive gives the value of a directive of a digest-response, RFC 2831 2.1.2:
// a list of name=value, the value in quotes with a backslash before what would
// end it. nil if there is none, and where the list is not one.
func directive(b []byte, want string) []byte {
	for len(b) > 0 {
		key, rest, ok := bytes.Cut(b, []byte{'='})
		if !ok {
			return nil
		}
		var value []byte
		if len(rest) > 0 && rest[0] == '"' {
			i := 1
			for i < len(rest) && rest[i] != '"' {
				if rest[i] == '\\' {
					i++
				}
				if i < len(rest) && len(value) <= maxName {
					value = append(value, rest[i])
				}
				i++
			}
			if i >= len(rest) {
				return nil
			}
			rest = rest[i+1:]
			_, b, _ = bytes.Cut(rest, []byte{','})
		} else {
			value, b, _ = bytes.Cut(rest, []byte{','})
		}
		if string(bytes.TrimSpace(key)) == want {
			return value
		}
	}
	return nil
}
