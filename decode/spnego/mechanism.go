package spnego

import "strconv"

// Mechanism is a security mechanism, by its object identifier.
type Mechanism uint8

// Mechanisms.
const (
	None       Mechanism = iota
	SPNEGO               // 1.3.6.1.5.5.2, RFC 4178
	NTLM                 // 1.3.6.1.4.1.311.2.2.10, MS-NLMP 1.9
	Kerberos             // 1.2.840.113554.1.2.2, RFC 4121
	MSKerberos           // 1.2.840.48018.1.2.2: the same, as Windows 2000 misspelt it
	UserToUser           // 1.2.840.113554.1.2.2.3, MS-KILE 3.4.5.3
	NegoEx               // 1.3.6.1.4.1.311.2.2.30, MS-NEGOEX
	IAKERB               // 1.3.6.1.5.2.5
	PKU2U                // 1.3.6.1.5.2.7
	Other                // one that is not in the table
	mechanisms
)

// mechanismTable is indexed by mechanism. To add one: a constant above, a row
// here, the contents of its OBJECT IDENTIFIER in it.
var mechanismTable = [mechanisms]struct{ name, oid string }{
	None:       {"none", ""},
	SPNEGO:     {"spnego", "\x2b\x06\x01\x05\x05\x02"},
	NTLM:       {"ntlm", "\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a"},
	Kerberos:   {"kerberos", "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"},
	MSKerberos: {"ms-kerberos", "\x2a\x86\x48\x82\xf7\x12\x01\x02\x02"},
	UserToUser: {"user-to-user", "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x03"},
	NegoEx:     {"negoex", "\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x1e"},
	IAKERB:     {"iakerb", "\x2b\x06\x01\x05\x02\x05"},
	PKU2U:      {"pku2u", "\x2b\x06\x01\x05\x02\x07"},
	Other:      {"other", ""},
}

// String gives a short name.
func (m Mechanism) String() string {
	if m < mechanisms {
		return mechanismTable[m].name
	}
	return "mechanism(" + strconv.Itoa(int(m)) + ")"
}

// Kerberos tells whether the mechanism's tokens are those of RFC 4121, under
// whichever name.
func (m Mechanism) Kerberos() bool { return m == Kerberos || m == MSKerberos || m == UserToUser }

// Mech is a mechanism with the contents of its object identifier, by which one
// that is not in the table is still known.
type Mech struct {
	Mechanism Mechanism
	OID       []byte // lies in the token; OIDText writes it
}

// mech looks an object identifier up.
func mech(oid []byte) Mech {
	for m := SPNEGO; m < Other; m++ {
		if string(oid) == mechanismTable[m].oid {
			return Mech{m, oid}
		}
	}
	return Mech{Other, oid}
}

// OIDText writes the contents of an OBJECT IDENTIFIER in dots (X.690 8.19), with
// a "?" for what is no number of 63 bits, and at its end where it is cut.
func OIDText(oid []byte) string {
	var text []byte
	v, over, within := uint64(0), false, false
	for _, c := range oid {
		within = c&0x80 != 0
		over = over || v >= 1<<56
		v = v<<7 | uint64(c&0x7f)
		if within {
			continue
		}
		if text == nil && !over {
			first := min(v/40, 2)
			text = strconv.AppendUint(text, first, 10)
			v -= first * 40
		}
		text = append(text, '.')
		if over {
			text = append(text, '?')
		} else {
			text = strconv.AppendUint(text, v, 10)
		}
		v, over = 0, false
	}
	if within {
		text = append(text, ".?"...)
	}
	return string(text)
}
