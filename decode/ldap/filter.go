package ldap

import "kmswatch/decode/ber"

// Choices of Filter, RFC 4511 4.5.1.7.
const (
	filterAnd        = 0
	filterOr         = 1
	filterNot        = 2
	filterEqual      = 3
	filterSubstrings = 4
	filterGreater    = 5
	filterLess       = 6
	filterPresent    = 7
	filterApprox     = 8
	filterExtensible = 9
)

// secretAttributes hold passwords and keys: what is compared with them is not
// told. In lower case.
var secretAttributes = []string{
	"userpassword", "unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "supplementalcredentials",
	"ms-mcs-admpwd", "mslaps-password", "mslaps-encryptedpassword", "sambantpassword", "sambalmpassword",
	"krbprincipalkey", "currentvalue", "priorvalue", "trustauthincoming", "trustauthoutgoing",
}

func secret(attribute []byte) bool {
	// Options may follow the type (RFC 4512 2.5).
	for i, c := range attribute {
		if c == ';' {
			attribute = attribute[:i]
			break
		}
	}
	for _, s := range secretAttributes {
		if foldEqual(attribute, s) {
			return true
		}
	}
	return false
}

// filter writes one filter as RFC 4515 does and keeps its conditions. depth is
// how many levels may still be entered.
func (m *Message) filter(e *element, depth int, w *writer) {
	if e.Class != ber.Context {
		m.note(BadFilter)
		return
	}
	if depth == 0 {
		m.note(FilterTooDeep)
		return
	}
	w.put("(")
	switch e.Tag {
	case filterAnd, filterOr, filterNot:
		w.put([...]string{"&", "|", "!"}[e.Tag])
		in := e.inside()
		n := 0
		for sub, ok := in.next(); ok; sub, ok = in.next() {
			m.filter(&sub, depth-1, w)
			n++
		}
		if in.bad || e.Tag == filterNot && n != 1 && !in.cut {
			m.note(BadFilter)
		}
	case filterEqual, filterGreater, filterLess, filterApprox:
		in := e.inside()
		attribute, ok := in.octets()
		value, whole := []byte(nil), false
		if ok {
			value, whole = in.octets()
		}
		if in.bad {
			m.note(BadFilter)
			break
		}
		if !whole {
			break
		}
		sign := "="
		switch e.Tag {
		case filterGreater:
			sign = ">="
		case filterLess:
			sign = "<="
		case filterApprox:
			sign = "~="
		}
		v := writer{b: m.names.value[:0]}
		if !secret(attribute) {
			v.text(value, true)
		}
		w.text(attribute, true)
		w.put(sign)
		w.value(&v)
		m.condition(attribute, &v)
	case filterSubstrings:
		m.substrings(e, w)
	case filterPresent:
		if e.Constructed {
			m.note(BadFilter)
			break
		}
		if e.cut {
			break
		}
		v := writer{b: m.names.value[:0]}
		v.put("*")
		w.text(e.Content, true)
		w.put("=*")
		m.condition(e.Content, &v)
	case filterExtensible:
		m.extensible(e, w)
	default:
		m.note(BadFilter)
	}
	w.put(")")
}

// value writes what another writer has.
func (w *writer) value(v *writer) {
	w.bytes(v.b)
	w.full = w.full || v.full
}

// condition keeps a comparison.
func (m *Message) condition(attribute []byte, v *writer) {
	if m.Conditions < maxConditions {
		c := &m.conditions[m.Conditions]
		c.Attribute, c.Value = m.text(attribute), m.names.known.Of(v.b)
	}
	m.Conditions++
}

// substrings is SubstringFilter.
func (m *Message) substrings(e *element, w *writer) {
	in := e.inside()
	attribute, ok := in.octets()
	var list element
	if ok {
		list, ok = in.want(ber.Universal, ber.Sequence)
	}
	if in.bad {
		m.note(BadFilter)
		return
	}
	if !ok {
		return
	}
	v := writer{b: m.names.value[:0]}
	hidden := secret(attribute)
	parts := list.inside()
	last := uint32(0)
	n := 0
	for p, ok := parts.next(); ok; p, ok = parts.next() {
		if p.Class != ber.Context || p.Tag > 2 || p.Constructed {
			m.note(BadFilter)
			return
		}
		if last = p.Tag; last != 0 { // initial is 0, any 1, final 2
			v.put("*")
		}
		if !hidden && !p.cut {
			v.text(p.Content, true)
		}
		n++
	}
	if last != 2 {
		v.put("*")
	}
	if parts.bad || n == 0 && !parts.cut {
		m.note(BadFilter)
		return
	}
	w.text(attribute, true)
	w.put("=")
	w.value(&v)
	m.condition(attribute, &v)
}

// extensible is MatchingRuleAssertion.
func (m *Message) extensible(e *element, w *writer) {
	in := e.inside()
	var rule, attribute, value []byte
	dn := false
	for f, ok := in.next(); ok && !f.cut; f, ok = in.next() {
		if f.Class != ber.Context || f.Constructed {
			in.bad = true
			break
		}
		switch f.Tag {
		case 1:
			rule = f.Content
		case 2:
			attribute = f.Content
		case 3:
			value = f.Content
		case 4:
			dn, _ = f.Bool()
		}
	}
	if in.bad {
		m.note(BadFilter)
		return
	}
	w.text(attribute, true)
	if dn {
		w.put(":dn")
	}
	if len(rule) != 0 {
		w.put(":")
		w.text(rule, true)
	}
	v := writer{b: m.names.value[:0]}
	if !secret(attribute) {
		v.text(value, true)
	}
	w.put(":=")
	w.value(&v)
	m.condition(attribute, &v)
}
