package ldap

import (
	"bytes"
	"math"
	"unicode/utf8"

	"kmswatch/decode/ber"
	"kmswatch/decode/wire"
)

// Bounds of what is kept of a message.
const (
	maxText       = 255 // octets of a name or diagnostic
	maxValue      = 127 // of a value in a filter
	maxFilter     = 511 // of a filter
	maxDepth      = 32  // levels of a filter
	maxConditions = 8
	maxAttributes = 8
)

// Condition is one comparison in a filter.
type Condition struct {
	Attribute string
	// Value is written as in Message.Filter. "*" where presence is asked; ""
	// also of an attribute that holds a password.
	Value string
}

// Message is one LDAPMessage. It is for one goroutine, and valid until the next
// message is decoded into it, but for its strings, which are their own.
//
// Strings are cut at a bound; what does not print or is no UTF-8 is written as
// a backslash and two hexadecimal digits.
type Message struct {
	ID      int64 // messageID
	Op      Op
	Size    int     // bytes of the whole message
	Cut     bool    // only its beginning could be read
	Anomaly Anomaly // the first one of its content

	Version   int32  // of a bind
	Auth      Auth   // of a bind
	Mechanism string // of a SASL bind
	// Name is name of a bind, the object of a search, entry, modify, add,
	// delete, modify DN or compare, the OID of an extended operation.
	Name string

	HasResult  bool // Result and the two below were there
	Result     ResultCode
	MatchedDN  string
	Diagnostic string

	Scope      Scope
	Filter     string // as RFC 4515 writes it, cut at a bound
	FilterCut  bool   // and it was
	conditions [maxConditions]Condition
	Conditions int // in the filter; Condition gives the first few
	attributes [maxAttributes]string
	Attributes int // asked for; Attribute gives the first few
	netlogon   bool

	AbandonID int64 // message id of what is abandoned

	// password tells that a simple bind has one; token is what an
	// authentication reads, nil if none or not whole.
	password bool
	token    []byte
	readable bool // what makes up a request or result was there

	names *names
}

// Kept gives the first few conditions of the filter and the first few
// attributes that a search asks for, valid as long as m is.
func (m *Message) Kept() ([]Condition, []string) {
	return m.conditions[:min(m.Conditions, maxConditions)], m.attributes[:min(m.Attributes, maxAttributes)]
}

// names is where texts are put together, and made strings of.
type names struct {
	text   [maxText]byte
	value  [maxValue]byte
	filter [maxFilter]byte
	known  wire.Strings
}

// Decode reads a whole message, or what there is of one, and resets m. Nothing
// of b is kept. It returns m.Anomaly; of NotLDAP, CutMessage and BadMessage
// nothing else is set.
func (m *Message) Decode(b []byte) Anomaly {
	h, v, a := readHead(b)
	if v == ber.Cut {
		a = CutMessage
	}
	if a == NotLDAP || a == CutMessage || a == BadMessage {
		m.reset(&head{})
		m.Auth, m.Anomaly = 0, a
		return a
	}
	m.reset(&h)
	m.note(a)
	m.operation(b[:min(len(b), h.size)], &h)
	m.token = nil
	return m.Anomaly
}

// reset makes m the message of a head.
func (m *Message) reset(h *head) {
	n := m.names
	if n == nil {
		n = new(names)
	}
	*m = Message{names: n, ID: h.id, Op: h.op, Size: h.size}
	if h.op == BindRequest {
		m.Auth = noAuth
	}
}

// note keeps the first anomaly.
func (m *Message) note(a Anomaly) {
	if m.Anomaly == 0 {
		m.Anomaly = a
	}
}

// reader walks elements, the last of which may be cut.
type reader struct {
	b   []byte
	cut bool // bytes are missing behind b
	bad bool // something is not as it must be
}

// element may be cut: then its content is the beginning of it.
type element struct {
	ber.Element
	cut bool
}

func (r *reader) next() (element, bool) {
	if r.bad || len(r.b) == 0 {
		return element{}, false
	}
	e, n, v := ber.Head(r.b)
	switch {
	case v == ber.Whole:
		r.b = r.b[n:]
		return element{e, false}, true
	case v == ber.Malformed || !r.cut:
		r.bad = true
		return element{}, false
	}
	r.b = nil
	return element{e, true}, e.Header != 0
}

// want gives the next element, which must have this class and tag. It gives
// none, without being bad, when it was cut away.
func (r *reader) want(c ber.Class, tag uint32) (element, bool) {
	e, ok := r.next()
	if !ok {
		r.bad = r.bad || !r.cut
		return e, false
	}
	if !e.Is(c, tag) {
		r.bad = true
		return element{}, false
	}
	return e, true
}

// number gives the next element as INTEGER or ENUMERATED.
func (r *reader) number(tag uint32, low, high int64) (int64, bool) {
	e, ok := r.want(ber.Universal, tag)
	if !ok || e.cut {
		return 0, false
	}
	v, ok := e.Int(low, high)
	if !ok {
		r.bad = true
	}
	return v, ok
}

// octets gives the next element as OCTET STRING.
func (r *reader) octets() ([]byte, bool) {
	e, ok := r.want(ber.Universal, ber.OctetString)
	if !ok || e.cut {
		return nil, false
	}
	if e.Constructed {
		r.bad = true
		return nil, false
	}
	return e.Content, true
}

// inside gives a reader of a constructed element; of another one a bad one.
func (e *element) inside() reader {
	return reader{b: e.Content, cut: e.cut, bad: !e.Constructed}
}

// operation decodes the content of the operation, of which b may have only the
// beginning.
func (m *Message) operation(b []byte, h *head) {
	m.Cut = len(b) < h.end
	r := reader{b: b[h.body:min(h.end, len(b))], cut: m.Cut}
	switch h.op {
	case BindRequest:
		m.bindRequest(&r)
	case SearchRequest:
		m.searchRequest(&r)
	case ModifyRequest, AddRequest, ModifyDNRequest, CompareRequest, SearchResultEntry:
		m.Name, m.readable = m.dn(&r)
	case DelRequest:
		m.Name, m.readable = m.text(r.b), !r.cut
	case AbandonRequest:
		e := ber.Element{Content: r.b}
		if m.AbandonID, m.readable = e.Int(math.MinInt64, math.MaxInt64); !m.readable {
			r.bad = !r.cut
		}
	case ExtendedRequest:
		if e, ok := r.want(ber.Context, 0); ok && !e.cut {
			m.Name, m.readable = m.text(e.Content), true
		}
	case IntermediateResponse:
		if e, ok := r.next(); ok && !e.cut && e.Is(ber.Context, 0) {
			m.Name, m.readable = m.text(e.Content), true
		}
	default:
		if h.op.hasResult() {
			m.result(&r)
		}
	}
	if r.bad {
		m.note(BadOperation)
	}
}

// bindRequest is RFC 4511 4.2. readable is set once the choice is known.
func (m *Message) bindRequest(r *reader) {
	version, ok := r.number(ber.Integer, 1, 127)
	if !ok {
		return
	}
	m.Version = int32(version)
	if m.Name, ok = m.dn(r); !ok {
		return
	}
	e, ok := r.next()
	if !ok {
		r.bad = r.bad || !r.cut
		return
	}
	if e.Class != ber.Context {
		r.bad = true
		return
	}
	switch a := Auth(min(e.Tag, uint32(noAuth))); {
	case a == AuthSASL:
		in := e.inside()
		mechanism, ok := in.octets()
		if !ok {
			r.bad = r.bad || in.bad
			return
		}
		m.Mechanism = m.text(mechanism)
		if in.cut && len(in.b) == 0 {
			break
		}
		c, ok := in.next()
		switch {
		case ok && (!c.Is(ber.Universal, ber.OctetString) || c.Constructed), in.bad:
			r.bad = true
		case ok && !c.cut && len(c.Content) != 0 && carriesTokens(m.Mechanism):
			m.token = c.Content
		}
	case a.sicily() && !e.Constructed:
		if !e.cut && len(e.Content) != 0 {
			m.token = e.Content
		}
	case a == AuthSimple && !e.Constructed:
		m.password = len(e.Content) != 0 || e.cut
	default:
		r.bad = true
		return
	}
	m.Auth, m.readable = Auth(e.Tag), true
}

// tokenMechanisms are the SASL mechanisms whose credentials are tokens of
// SPNEGO, Kerberos or NTLM. To add one: a row, and be sure that no password or
// hash of one is in it.
var tokenMechanisms = []string{"GSS-SPNEGO", "GSSAPI", "NTLM"}

func carriesTokens(mechanism string) bool {
	for _, n := range tokenMechanisms {
		if mechanism == n {
			return true
		}
	}
	return false
}

var ntlmSignature = []byte("NTLMSSP\x00")

// result is LDAPResult, RFC 4511 4.1.9, with what a BindResponse and an
// ExtendedResponse add. In sicilyBindResponse (MS-ADTS 5.1.1.1.3.3) credentials
// stand where the matched DN does.
func (m *Message) result(r *reader) {
	code, ok := r.number(ber.Enumerated, math.MinInt32, math.MaxInt32)
	if !ok {
		return
	}
	m.HasResult, m.Result, m.readable = true, ResultCode(code), true
	matched, ok := r.octets()
	if !ok {
		return
	}
	if m.Op == BindResponse && bytes.HasPrefix(matched, ntlmSignature) {
		m.token = matched
	} else {
		m.MatchedDN = m.text(matched)
	}
	if m.Diagnostic, ok = m.dn(r); !ok {
		return
	}
	for e, ok := r.next(); ok; e, ok = r.next() {
		switch {
		case m.Op == BindResponse && e.Is(ber.Context, 7) && !e.cut && !e.Constructed && len(e.Content) != 0: // serverSaslCreds
			m.token = e.Content
		case m.Op == ExtendedResponse && e.Is(ber.Context, 10) && !e.cut: // responseName
			m.Name = m.text(e.Content)
		}
	}
}

// searchRequest is RFC 4511 4.5.1. readable is set once base and scope are
// known: what is wrong behind them hides no search.
func (m *Message) searchRequest(r *reader) {
	var ok bool
	if m.Name, ok = m.dn(r); !ok {
		return
	}
	scope, ok := r.number(ber.Enumerated, 0, 255)
	if !ok {
		return
	}
	m.Scope, m.readable = Scope(scope), true
	r.number(ber.Enumerated, 0, math.MaxInt32)           // derefAliases
	r.number(ber.Integer, math.MinInt32, math.MaxUint32) // sizeLimit
	r.number(ber.Integer, math.MinInt32, math.MaxUint32) // timeLimit
	if e, ok := r.want(ber.Universal, ber.Boolean); !ok || e.cut {
		return
	}
	e, ok := r.next()
	if !ok {
		r.bad = r.bad || !r.cut
		return
	}
	w := writer{b: m.names.filter[:0]}
	m.filter(&e, maxDepth, &w)
	m.Filter, m.FilterCut = m.names.known.Of(w.b), w.full
	list, ok := r.want(ber.Universal, ber.Sequence)
	if !ok {
		return
	}
	in := list.inside()
	for e, ok := in.next(); ok && !e.cut; e, ok = in.next() {
		if !e.Is(ber.Universal, ber.OctetString) || e.Constructed {
			in.bad = true
			break
		}
		m.netlogon = m.netlogon || foldEqual(e.Content, "netlogon")
		if m.Attributes < maxAttributes {
			m.attributes[m.Attributes] = m.text(e.Content)
		}
		m.Attributes++
	}
	r.bad = r.bad || in.bad
}

// dn gives the next OCTET STRING as text.
func (m *Message) dn(r *reader) (string, bool) {
	b, ok := r.octets()
	if !ok {
		return "", false
	}
	return m.text(b), true
}

func (m *Message) text(b []byte) string {
	w := writer{b: m.names.text[:0]}
	w.text(b, false)
	return m.names.known.Of(w.b)
}

// foldEqual compares with an ASCII word in lower case.
func foldEqual(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// writer writes up to the capacity of b, and then nothing more.
type writer struct {
	b    []byte
	full bool
}

func (w *writer) put(s string) {
	if w.full || len(w.b)+len(s) > cap(w.b) {
		w.full = true
		return
	}
	w.b = append(w.b, s...)
}

func (w *writer) bytes(s []byte) {
	if w.full || len(w.b)+len(s) > cap(w.b) {
		w.full = true
		return
	}
	w.b = append(w.b, s...)
}

// text writes a string, as the value of a filter (RFC 4515 3) with the marks of
// filters escaped too.
func (w *writer) text(b []byte, value bool) {
	const hex = "0123456789abcdef"
	for len(b) != 0 && !w.full {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 || r < ' ' || r >= 0x7f && r < 0xa0 ||
			value && (r == '*' || r == '(' || r == ')' || r == '\\') {
			esc := [3]byte{'\\', hex[b[0]>>4], hex[b[0]&15]}
			w.bytes(esc[:])
			b = b[1:]
			continue
		}
		w.bytes(b[:n])
		b = b[n:]
	}
}
