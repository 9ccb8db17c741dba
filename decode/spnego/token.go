package spnego

import (
	"strconv"

	"kmswatch/decode/ber"
	"kmswatch/decode/ntlmssp"
)

// MaxMechs is how many mechanisms of a list are kept.
const MaxMechs = 16

// Form is what kind of token it is.
type Form uint8

// Forms.
const (
	NoForm Form = iota
	Init        // NegTokenInit: a client's offer
	Init2       // NegTokenInit2 with hints: a server's offer, MS-SPNG 2.2.1
	Resp        // NegTokenResp
	Own         // no SPNEGO: the own token of a mechanism
)

// String gives the name.
func (f Form) String() string {
	switch f {
	case NoForm:
		return "none"
	case Init:
		return "negTokenInit"
	case Init2:
		return "negTokenInit2"
	case Resp:
		return "negTokenResp"
	case Own:
		return "mechanism"
	}
	return "form(" + strconv.Itoa(int(f)) + ")"
}

// State is negState, RFC 4178 4.2.2.
type State uint8

// States; NoState says that the field is absent.
const (
	NoState State = iota
	AcceptCompleted
	AcceptIncomplete
	Reject
	RequestMIC
)

// String gives the name in RFC 4178.
func (s State) String() string {
	switch s {
	case NoState:
		return "none"
	case AcceptCompleted:
		return "accept-completed"
	case AcceptIncomplete:
		return "accept-incomplete"
	case Reject:
		return "reject"
	case RequestMIC:
		return "request-mic"
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// Token is one token. Its slices lie in the bytes it was decoded from, Mechs
// apart, which is the Token's own and valid until the next Decode. It is for one
// goroutine.
type Token struct {
	Form    Form
	Wrapped bool // stands in an initial context token, RFC 2743 3.1
	HasMIC  bool // mechListMIC is there
	State   State
	// Mech is supportedMech of a NegTokenResp, and the mechanism of a token that
	// is no SPNEGO.
	Mech  Mech
	Mechs []Mech // mechTypes of an offer, the client's favourite first
	// Token is the mechanism's: the mechToken of an offer, for its favourite; the
	// responseToken; or all that was decoded where Form is Own. nil if absent.
	Token []byte
	// Hint is hintName of an offer by a server; it names the server's principal
	// in Windows before Vista, nothing in later ones. nil if absent.
	Hint []byte
}

// Decode reads one token, and resets t. On an anomaly, the first met, t holds
// what could be read before and beside it.
func (t *Token) Decode(b []byte) Anomaly {
	*t = Token{Mechs: t.Mechs[:0]}
	if ntlmssp.Is(b) {
		t.own(Mech{Mechanism: NTLM}, b)
		return 0
	}
	if len(b) == 0 || !opens(b[0]) {
		return NotToken
	}
	e, total, v := ber.Head(b)
	switch v {
	case ber.Malformed:
		return NotToken
	case ber.Cut:
		return CutToken
	}
	var a Anomaly
	if total < len(b) {
		a = TrailingBytes
	}
	switch {
	case e.Class == ber.Context:
		first(&a, t.negotiation(&e))
	case e.Tag == 0: // InitialContextToken, whose content is not all BER
		oid, size, v := ber.Head(e.Content)
		name, ok := oid.OID()
		if v != ber.Whole || !oid.Is(ber.Universal, ber.ObjectIdentifier) || !ok {
			return BadEncoding
		}
		t.Wrapped = true
		m := mech(name)
		if m.Mechanism != SPNEGO {
			t.own(m, b[:total:total])
			break
		}
		inner, size2, v := ber.Head(e.Content[size:])
		switch {
		case v != ber.Whole:
			return BadEncoding
		case inner.Class != ber.Context || inner.Tag > 1:
			return BadField
		}
		first(&a, t.negotiation(&inner))
		if size+size2 < len(e.Content) {
			first(&a, TrailingBytes)
		}
	default:
		t.own(Mech{Mechanism: Kerberos}, b[:total:total])
	}
	return a
}

func (t *Token) own(m Mech, b []byte) { t.Form, t.Mech, t.Token = Own, m, b }

// opens tells whether a token may begin with the byte.
func opens(c byte) bool {
	switch c {
	case 0x60, // initial context token
		0xa0, 0xa1, // negotiation token without one: trap 36 of those who insist on it
		0x6e, 0x6f, 0x7e: // AP-REQ, AP-REP, KRB-ERROR, RFC 4120 5.10
		return true
	}
	return false
}

// Sniff tells by the first bytes whose token it may be: SPNEGO's with and without
// the leading identifier, NTLM's, Kerberos's likewise, NegoEx's, that of another
// mechanism in an initial context token; None.
func Sniff(b []byte) Mechanism {
	switch {
	case ntlmssp.Is(b):
		return NTLM
	case len(b) >= len(negoExtended) && string(b[:len(negoExtended)]) == negoExtended:
		return NegoEx
	case len(b) == 0 || !opens(b[0]):
		return None
	case b[0]&0xf0 == 0xa0:
		return SPNEGO
	case b[0] != 0x60:
		return Kerberos
	}
	e, _, v := ber.Head(b)
	if v == ber.Malformed {
		return None
	}
	oid, _, v := ber.Head(e.Content)
	if name, ok := oid.OID(); ok && v == ber.Whole && oid.Is(ber.Universal, ber.ObjectIdentifier) {
		return mech(name).Mechanism
	}
	return None
}

// negoExtended begins each message of MS-NEGOEX 2.2.6.2.
const negoExtended = "NEGOEXTS"

// first keeps the first anomaly.
func first(to *Anomaly, a Anomaly) {
	if *to == 0 {
		*to = a
	}
}

// negotiation reads a NegotiationToken, RFC 4178 4.2. Fields of a later version
// are passed over, as its extension marks allow.
func (t *Token) negotiation(e *ber.Element) (a Anomaly) {
	sequence, ok, a := only(e, ber.Sequence)
	if !ok {
		return a
	}
	t.Form = Init
	if e.Tag == 1 {
		t.Form = Resp
	}
	fields, _ := sequence.Inside(1)
	seen := 0
	for {
		f, ok := fields.Next()
		if !ok {
			break
		}
		if f.Class != ber.Context || f.Tag > 4 {
			continue
		}
		if seen&(1<<f.Tag) != 0 {
			first(&a, DuplicateField)
			continue
		}
		seen |= 1 << f.Tag
		if t.Form == Resp {
			first(&a, t.answer(&f))
		} else {
			first(&a, t.offer(&f))
		}
	}
	if fields.Verdict() != ber.Whole {
		first(&a, BadEncoding)
	}
	if t.Form != Resp && len(t.Mechs) == 0 {
		first(&a, NoMechanisms)
	}
	return a
}

// offer reads a field of NegTokenInit, RFC 4178 4.2.1, or NegTokenInit2, MS-SPNG
// 2.2.1, in which [3] are hints and the MIC is [4].
func (t *Token) offer(f *ber.Element) (a Anomaly) {
	switch f.Tag {
	case 0:
		list, ok, a := only(f, ber.Sequence)
		if !ok {
			return a
		}
		if inner := t.list(&list); inner != 0 {
			return inner
		}
		return a
	case 2:
		return octets(f, &t.Token)
	case 3:
		if in, _, v := ber.Head(f.Content); v == ber.Whole && in.Is(ber.Universal, ber.Sequence) {
			t.Form = Init2
			return t.hints(&in)
		}
		fallthrough
	case 4:
		t.HasMIC = true
		var mic []byte
		return octets(f, &mic)
	}
	return 0
}

// list reads MechTypeList.
func (t *Token) list(e *ber.Element) (a Anomaly) {
	r, ok := e.Inside(1)
	if !ok {
		return BadField
	}
	for {
		o, ok := r.Next()
		if !ok {
			break
		}
		name, ok := o.OID()
		if !ok || !o.Is(ber.Universal, ber.ObjectIdentifier) {
			first(&a, BadField)
			continue
		}
		if len(t.Mechs) == MaxMechs {
			first(&a, TooManyMechanisms)
			break
		}
		t.Mechs = append(t.Mechs, mech(name))
	}
	if r.Verdict() != ber.Whole {
		first(&a, BadEncoding)
	}
	return a
}

// hints reads NegHints.
func (t *Token) hints(e *ber.Element) Anomaly {
	r, ok := e.Inside(1)
	if !ok {
		return BadField
	}
	for {
		f, ok := r.Next()
		if !ok {
			break
		}
		if !f.Is(ber.Context, 0) {
			continue
		}
		name, ok, a := only(&f, ber.GeneralString)
		if !ok {
			return a
		}
		if t.Hint, ok = name.Octets(); !ok || a != 0 {
			return BadField
		}
		break
	}
	if r.Verdict() != ber.Whole {
		return BadEncoding
	}
	return 0
}

// answer reads a field of NegTokenResp, RFC 4178 4.2.2.
func (t *Token) answer(f *ber.Element) Anomaly {
	switch f.Tag {
	case 0:
		state, ok, a := only(f, ber.Enumerated)
		if !ok {
			return a
		}
		n, ok := state.Int(0, 3)
		if !ok {
			return BadField
		}
		t.State = AcceptCompleted + State(n)
		return a
	case 1:
		oid, ok, a := only(f, ber.ObjectIdentifier)
		if !ok {
			return a
		}
		name, ok := oid.OID()
		if !ok {
			return BadField
		}
		t.Mech = mech(name)
		return a
	case 2:
		return octets(f, &t.Token)
	case 3:
		t.HasMIC = true
		var mic []byte
		return octets(f, &mic)
	}
	return 0
}

// octets reads an OCTET STRING in an explicit tag.
func octets(f *ber.Element, to *[]byte) Anomaly {
	e, ok, a := only(f, ber.OctetString)
	if !ok {
		return a
	}
	b, ok := e.Octets()
	if !ok {
		return BadField
	}
	*to = b
	return a
}

// only gives the one element in an explicit tag, which must have the universal
// tag; or why there is none. More behind it is an anomaly.
func only(f *ber.Element, tag uint32) (e ber.Element, ok bool, a Anomaly) {
	if !f.Constructed || len(f.Content) == 0 {
		return e, false, BadField
	}
	e, total, v := ber.Head(f.Content)
	switch {
	case v != ber.Whole:
		return e, false, BadEncoding
	case !e.Is(ber.Universal, tag) || tag == ber.Sequence && !e.Constructed:
		return e, false, BadField
	case total < len(f.Content):
		a = TrailingBytes
	}
	return e, true, a
}
