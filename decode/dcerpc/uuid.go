package dcerpc

import "encoding/hex"

// UUID is a DCE UUID in the order of its text form, whatever the data
// representation it came in.
type UUID [16]byte

// ParseUUID reads the text form, 8-4-4-4-12 hex digits in either case.
func ParseUUID(s string) (u UUID, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, false
	}
	var d [32]byte
	n := 0
	for i := range len(s) {
		if s[i] != '-' {
			if n == len(d) {
				return UUID{}, false
			}
			d[n] = s[i]
			n++
		}
	}
	if n != len(d) {
		return UUID{}, false
	}
	if _, err := hex.Decode(u[:], d[:]); err != nil {
		return UUID{}, false
	}
	return u, true
}

// WireUUID reads the first 16 bytes of b as a UUID (C706 appendix A) in the byte
// order of its PDU.
func WireUUID(b []byte, big bool) UUID { return wireUUID(b[:16], big) }

// MustUUID is ParseUUID for constant tables; it panics on malformed text.
func MustUUID(s string) UUID {
	u, ok := ParseUUID(s)
	if !ok {
		panic("dcerpc: malformed UUID " + s)
	}
	return u
}

// AppendText appends the text form in lower case.
func (u UUID) AppendText(b []byte) ([]byte, error) {
	b = hex.AppendEncode(b, u[0:4])
	b = append(b, '-')
	b = hex.AppendEncode(b, u[4:6])
	b = append(b, '-')
	b = hex.AppendEncode(b, u[6:8])
	b = append(b, '-')
	b = hex.AppendEncode(b, u[8:10])
	b = append(b, '-')
	return hex.AppendEncode(b, u[10:16]), nil
}

// String gives the text form in lower case.
func (u UUID) String() string {
	b, _ := u.AppendText(make([]byte, 0, 36))
	return string(b)
}

// Syntax names an interface or a transfer syntax: a UUID and its version
// (p_syntax_id_t, C706 12.6.3.1; the major version is the low half on the wire).
type Syntax struct {
	UUID         UUID
	Major, Minor uint16
}

// Well-known interfaces and transfer syntaxes.
var (
	NDR32    = Syntax{MustUUID("8a885d04-1ceb-11c9-9fe8-08002b104860"), 2, 0} // C706 appendix I
	NDR64    = Syntax{MustUUID("71710533-beba-4937-8319-b5dbef9ccc36"), 1, 0} // MS-RPCE 2.2.5
	KMS      = MustUUID("51c82175-844e-4750-b0d8-ec255555bc06")
	EPMapper = MustUUID("e1af8308-5d1f-11c9-91a4-08002b14a0fa")
)

// featurePrefix begins the pseudo transfer syntax of bind-time feature
// negotiation; the next two bytes are the feature bits (MS-RPCE 2.2.2.14).
var featurePrefix = [8]byte{0x6c, 0xb7, 0x1c, 0x2c, 0x98, 0x12, 0x45, 0x40}

// Features gives the bits of bind-time feature negotiation, and whether the
// syntax is that pseudo syntax at all.
func (s Syntax) Features() (bits uint16, ok bool) {
	if [8]byte(s.UUID[:8]) != featurePrefix {
		return 0, false
	}
	return uint16(s.UUID[8]) | uint16(s.UUID[9])<<8, true
}
