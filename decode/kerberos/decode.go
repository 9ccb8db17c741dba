package kerberos

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"

	"kmswatch/decode/ber"
	"kmswatch/decode/wire"
)

// Object identifiers of the GSS-API framing.
var (
	oidKerberos   = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02}
	oidMSKerberos = []byte{0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02}
	oidUserToUser = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x03}
	oidIAKERB     = []byte{0x2b, 0x06, 0x01, 0x05, 0x02, 0x05}
)

// Types of pre-authentication data (RFC 4120 7.5.2) that are looked into.
const paTGSReq = 1 // its value is an AP-REQ

// Decode reads a message, and resets m. Nothing of b is kept. It returns
// m.Anomaly; where that is Lost, the rest of m is zero.
func (m *Message) Decode(b []byte) Anomaly {
	n := m.names
	if n == nil {
		n = new(names)
	}
	*m = Message{names: n}
	a := m.decode(b)
	if a.Lost() {
		*m = Message{names: n}
	}
	m.Anomaly = a
	return a
}

func (m *Message) decode(b []byte) Anomaly {
	var wrapped Anomaly
	if len(b) != 0 && b[0] == 0x60 {
		if b, wrapped = m.unwrap(b); wrapped.Lost() {
			return wrapped
		}
		if !m.Token.message() {
			return wrapped
		}
	}
	e, total, v := ber.Head(b)
	switch {
	case v == ber.Malformed, v == ber.Cut && e.Header == 0 && len(b) != 0 && b[0]&0xe0 != 0x60, len(b) == 0:
		return NotKerberos
	case e.Header != 0 && (e.Class != ber.Application || !e.Constructed || e.Tag > 255 || !Type(e.Tag).known()):
		return NotKerberos
	case v == ber.Cut:
		return CutMessage
	}
	m.Type = Type(e.Tag)
	if a := m.body(&e); a != 0 {
		return a
	}
	if m.Token != NoToken && m.Token.of() != m.Type {
		return TypeMismatch
	}
	if total < len(b) {
		return TrailingBytes
	}
	return wrapped
}

func (t Token) message() bool { return t == TokenAPReq || t == TokenAPRep || t == TokenError }

func (t Token) of() Type {
	switch t {
	case TokenAPReq:
		return APReq
	case TokenAPRep:
		return APRep
	}
	return Error
}

// unwrap takes the initial context token of RFC 2743 3.1 off, and the token id
// of RFC 4121 4.1, which is not BER.
func (m *Message) unwrap(b []byte) ([]byte, Anomaly) {
	e, total, v := ber.Head(b)
	switch v {
	case ber.Malformed:
		return nil, NotKerberos
	case ber.Cut:
		return nil, CutMessage
	}
	oid, size, v := ber.Head(e.Content)
	if v != ber.Whole || !oid.Is(ber.Universal, ber.ObjectIdentifier) {
		return nil, NotKerberos
	}
	switch {
	case bytes.Equal(oid.Content, oidKerberos):
		m.Mechanism = Kerberos
	case bytes.Equal(oid.Content, oidMSKerberos):
		m.Mechanism = MSKerberos
	case bytes.Equal(oid.Content, oidUserToUser):
		m.Mechanism = UserToUser
	case bytes.Equal(oid.Content, oidIAKERB):
		m.Mechanism = IAKERB
	default:
		return nil, NotKerberos
	}
	in := e.Content[size:]
	if len(in) < 2 {
		return nil, BadEncoding
	}
	m.Token = Token(binary.BigEndian.Uint16(in))
	if total < len(b) {
		return in[2:], TrailingBytes
	}
	return in[2:], 0
}

// fields walks the fields of a SEQUENCE, each with an explicit context tag, in
// ascending order.
type fields struct {
	r       ber.Reader
	seen    uint64 // by tag
	next    uint32 // the least tag that may follow
	anomaly Anomaly
}

// sequence opens e, which must be a SEQUENCE.
func sequence(e *ber.Element) (f fields) {
	if !e.Is(ber.Universal, ber.Sequence) {
		f.anomaly = BadField
		return f
	}
	return open(e)
}

func open(e *ber.Element) (f fields) {
	r, ok := e.Inside(1)
	if !ok {
		f.anomaly = BadField
	}
	f.r = r
	return f
}

// read gives the next field's tag and value.
func (f *fields) read() (tag uint32, value ber.Element, ok bool) {
	if f.anomaly != 0 {
		return 0, value, false
	}
	e, ok := f.r.Next()
	if !ok {
		if f.r.Verdict() != ber.Whole {
			f.anomaly = BadEncoding
		}
		return 0, value, false
	}
	if e.Class != ber.Context {
		f.anomaly = BadField
		return 0, value, false
	}
	if e.Tag < f.next {
		f.anomaly = FieldOrder
		return 0, value, false
	}
	if value, f.anomaly = only(&e); f.anomaly != 0 {
		return 0, value, false
	}
	f.next = e.Tag + 1
	if e.Tag < 64 {
		f.seen |= 1 << e.Tag
	}
	return e.Tag, value, true
}

// only gives the one element inside e.
func only(e *ber.Element) (ber.Element, Anomaly) {
	r, ok := e.Inside(1)
	if !ok {
		return ber.Element{}, BadField
	}
	in, ok := r.Next()
	if !ok {
		return ber.Element{}, BadEncoding
	}
	if r.More() {
		return ber.Element{}, BadField
	}
	return in, 0
}

// end gives what is wrong with the fields, those of the mask being required.
func (f *fields) end(required uint64) Anomaly {
	if f.anomaly == 0 && f.seen&required != required {
		return MissingField
	}
	return f.anomaly
}

// judge keeps the first anomaly.
func (f *fields) judge(a Anomaly) {
	if f.anomaly == 0 {
		f.anomaly = a
	}
}

func (f *fields) int32(e *ber.Element, to *int32) {
	v, ok := e.Int(math.MinInt32, math.MaxInt32)
	if !ok || !e.Is(ber.Universal, ber.Integer) {
		f.judge(BadField)
		return
	}
	*to = int32(v)
}

// version is pvno or tkt-vno.
func (f *fields) version(e *ber.Element) {
	var v int32
	if f.int32(e, &v); v != 5 {
		f.judge(BadVersion)
	}
}

func (f *fields) msgType(e *ber.Element, want Type) {
	var v int32
	if f.int32(e, &v); v != int32(want) {
		f.judge(TypeMismatch)
	}
}

// flags is KerberosFlags, RFC 4120 5.2.8: at least 32 bits, the first of which
// count.
func (f *fields) flags(e *ber.Element, to *uint32) {
	if !e.Is(ber.Universal, ber.BitString) || e.Constructed || len(e.Content) < 2 {
		f.judge(BadField)
		return
	}
	for i := range 4 {
		*to <<= 8
		if 1+i < len(e.Content) {
			*to |= uint32(e.Content[1+i])
		}
	}
}

// bits makes a mask of tags.
func bits(tags ...uint) (mask uint64) {
	for _, t := range tags {
		mask |= 1 << t
	}
	return mask
}

// body decodes what an application tag holds.
func (m *Message) body(app *ber.Element) Anomaly {
	e, a := only(app)
	if a != 0 {
		return a
	}
	f := sequence(&e)
	switch m.Type {
	case ASReq, TGSReq:
		return m.request(&f)
	case ASRep, TGSRep:
		return m.reply(&f)
	case APReq:
		return m.apReq(&f)
	case Error:
		return m.error(&f)
	}
	// AP-REP has its encrypted part in [2], KRB-PRIV and KRB-CRED in [3];
	// KRB-SAFE has none.
	enc := encryptedTag(m.Type)
	for tag, v, ok := f.read(); ok; tag, v, ok = f.read() {
		switch {
		case tag == 0:
			f.version(&v)
		case tag == 1:
			f.msgType(&v, m.Type)
		case tag == enc:
			m.encrypted(&f, &v, &m.EncPart)
		}
	}
	required := bits(0, 1)
	if enc != 0 {
		required |= bits(uint(enc))
	}
	return f.end(required)
}

// encryptedTag is the tag of the encrypted part of the types that say nothing else.
func encryptedTag(t Type) uint32 {
	switch t {
	case APRep:
		return 2
	case Priv, Cred:
		return 3
	}
	return 0
}

// request is KDC-REQ, RFC 4120 5.4.1.
func (m *Message) request(f *fields) Anomaly {
	for tag, v, ok := f.read(); ok; tag, v, ok = f.read() {
		switch tag {
		case 1:
			f.version(&v)
		case 2:
			f.msgType(&v, m.Type)
		case 3:
			f.judge(m.padata(&v))
		case 4:
			f.judge(m.requestBody(&v))
		}
	}
	return f.end(bits(1, 2, 4))
}

func (m *Message) requestBody(e *ber.Element) Anomaly {
	f := sequence(e)
	for tag, v, ok := f.read(); ok; tag, v, ok = f.read() {
		switch tag {
		case 0:
			f.flags(&v, &m.Options)
		case 1:
			m.Client, m.ClientType = m.principal(&f, &v)
		case 2:
			m.Realm = m.text(&f, &v)
		case 3:
			m.Service, m.ServiceType = m.principal(&f, &v)
		case 8:
			f.judge(m.etypes(&v))
		}
	}
	if m.Type == ASReq {
		m.ClientRealm = m.Realm
	}
	return f.end(bits(0, 2, 5, 7, 8))
}

// etypes is SEQUENCE OF Int32.
func (m *Message) etypes(e *ber.Element) Anomaly {
	if !e.Is(ber.Universal, ber.Sequence) {
		return BadField
	}
	f := open(e)
	for v, ok := f.r.Next(); ok; v, ok = f.r.Next() {
		var t int32
		if f.int32(&v, &t); f.anomaly != 0 {
			return f.anomaly
		}
		if m.ETypeCount < maxETypes {
			m.ETypes[m.ETypeCount] = t
		}
		m.ETypeCount++
	}
	if f.anomaly == 0 && f.r.Verdict() != ber.Whole {
		return BadEncoding
	}
	return f.anomaly
}

// padata is SEQUENCE OF PA-DATA, RFC 4120 5.2.7. The AP-REQ in a TGS-REQ tells
// which ticket is shown.
func (m *Message) padata(e *ber.Element) Anomaly {
	if !e.Is(ber.Universal, ber.Sequence) {
		return BadField
	}
	all := open(e)
	for pa, ok := all.r.Next(); ok; pa, ok = all.r.Next() {
		f := sequence(&pa)
		var t int32
		for tag, v, ok := f.read(); ok; tag, v, ok = f.read() {
			switch tag {
			case 1:
				f.int32(&v, &t)
			case 2:
				b, ok := v.Octets()
				if !ok || !v.Is(ber.Universal, ber.OctetString) {
					f.judge(BadField)
				} else if t == paTGSReq && m.Type == TGSReq && !m.Ticket.Present {
					f.judge(m.shown(b))
				}
			}
		}
		if a := f.end(bits(1, 2)); a != 0 {
			return a
		}
		if m.PADataCount < maxPAData {
			m.PAData[m.PADataCount] = t
		}
		m.PADataCount++
	}
	if all.anomaly == 0 && all.r.Verdict() != ber.Whole {
		return BadEncoding
	}
	return all.anomaly
}

// shown reads the ticket in the AP-REQ of a TGS-REQ.
func (m *Message) shown(b []byte) Anomaly {
	app, total, v := ber.Head(b)
	if v != ber.Whole || total != len(b) {
		return BadEncoding
	}
	if !app.Is(ber.Application, uint32(APReq)) {
		return BadField
	}
	e, a := only(&app)
	if a != 0 {
		return a
	}
	f := sequence(&e)
	var options uint32
	var enc, kind int32
	return m.apReqFields(&f, &options, &enc, &kind)
}

// reply is KDC-REP, RFC 4120 5.4.2.
func (m *Message) reply(f *fields) Anomaly {
	for tag, v, ok := f.read(); ok; tag, v, ok = f.read() {
		switch tag {
		case 0:
			f.version(&v)
		case 1:
			f.msgType(&v, m.Type)
		case 2:
			f.judge(m.padata(&v))
		case 3:
			m.Realm = m.text(f, &v)
			m.ClientRealm = m.Realm
		case 4:
			m.Client, m.ClientType = m.principal(f, &v)
		case 5:
			m.ServiceType = m.ticket(f, &v)
			m.Service = m.Ticket.Service
		case 6:
			m.encrypted(f, &v, &m.EncPart)
		}
	}
	return f.end(bits(0, 1, 3, 4, 5, 6))
}

// apReq is AP-REQ, RFC 4120 5.5.1.
func (m *Message) apReq(f *fields) Anomaly {
	a := m.apReqFields(f, &m.Options, &m.EncPart, &m.ServiceType)
	m.Realm, m.Service = m.Ticket.Realm, m.Ticket.Service
	return a
}

func (m *Message) apReqFields(f *fields, options *uint32, enc, kind *int32) Anomaly {
	for tag, v, ok := f.read(); ok; tag, v, ok = f.read() {
		switch tag {
		case 0:
			f.version(&v)
		case 1:
			f.msgType(&v, APReq)
		case 2:
			f.flags(&v, options)
		case 3:
			*kind = m.ticket(f, &v)
		case 4:
			m.encrypted(f, &v, enc)
		}
	}
	return f.end(bits(0, 1, 2, 3, 4))
}

// ticket is Ticket, RFC 4120 5.3. It gives the name-type of the service.
func (m *Message) ticket(outer *fields, e *ber.Element) (kind int32) {
	if !e.Is(ber.Application, 1) {
		outer.judge(BadField)
		return 0
	}
	seq, a := only(e)
	if a != 0 {
		outer.judge(a)
		return 0
	}
	t := &m.Ticket
	t.Present = true
	f := sequence(&seq)
	for tag, v, ok := f.read(); ok; tag, v, ok = f.read() {
		switch tag {
		case 0:
			f.version(&v)
		case 1:
			t.Realm = m.text(&f, &v)
		case 2:
			t.Service, kind = m.principal(&f, &v)
		case 3:
			m.encrypted(&f, &v, &t.EType)
		}
	}
	outer.judge(f.end(bits(0, 1, 2, 3)))
	return kind
}

// encrypted is EncryptedData, RFC 4120 5.2.9: its etype alone.
func (m *Message) encrypted(outer *fields, e *ber.Element, etype *int32) {
	f := sequence(e)
	for tag, v, ok := f.read(); ok; tag, v, ok = f.read() {
		switch tag {
		case 0:
			f.int32(&v, etype)
		case 2:
			if _, ok := v.Octets(); !ok || !v.Is(ber.Universal, ber.OctetString) {
				f.judge(BadField)
			}
		}
	}
	outer.judge(f.end(bits(0, 2)))
}

// error is KRB-ERROR, RFC 4120 5.9.1.
func (m *Message) error(f *fields) Anomaly {
	for tag, v, ok := f.read(); ok; tag, v, ok = f.read() {
		switch tag {
		case 0:
			f.version(&v)
		case 1:
			f.msgType(&v, Error)
		case 6:
			f.int32(&v, &m.ErrorCode)
		case 7:
			m.ClientRealm = m.text(f, &v)
		case 8:
			m.Client, m.ClientType = m.principal(f, &v)
		case 9:
			m.Realm = m.text(f, &v)
		case 10:
			m.Service, m.ServiceType = m.principal(f, &v)
		case 12:
			m.errorData(&v)
		}
	}
	return f.end(bits(0, 1, 4, 5, 6, 9, 10))
}

// errorData looks for one of the two things that e-data may be: METHOD-DATA,
// the same as padata, or KERB-ERROR-DATA (MS-KILE 2.2.2) with a KERB_EXT_ERROR
// (2.2.1). It may be anything else too, and then nothing is said of it.
func (m *Message) errorData(e *ber.Element) {
	b, ok := e.Octets()
	if !ok {
		return
	}
	seq, total, v := ber.Head(b)
	if v != ber.Whole || total != len(b) || !seq.Is(ber.Universal, ber.Sequence) || len(seq.Content) == 0 {
		return
	}
	if seq.Content[0] == 0x30 {
		if m.padata(&seq) != 0 {
			m.PAData, m.PADataCount = [maxPAData]int32{}, 0
		}
		return
	}
	f := sequence(&seq)
	var kind int32
	var value []byte
	for tag, v, ok := f.read(); ok; tag, v, ok = f.read() {
		switch tag {
		case 1:
			f.int32(&v, &kind)
		case 2:
			value, _ = v.Octets()
		}
	}
	const extended = 3 // KERB_ERR_TYPE_EXTENDED
	if f.anomaly == 0 && kind == extended && len(value) >= 4 {
		m.Status = binary.LittleEndian.Uint32(value)
	}
}

// names is where texts are put together, and made strings of.
type names struct {
	text  [maxText]byte
	known wire.Strings
}

// text is KerberosString.
func (m *Message) text(f *fields, e *ber.Element) string {
	b, ok := e.Octets()
	if !ok || e.Class != ber.Universal {
		f.judge(BadField)
		return ""
	}
	out, cut := appendText(m.names.text[:0], b, false)
	m.Truncated = m.Truncated || cut
	return m.names.known.Of(out)
}

// principal is PrincipalName, RFC 4120 5.2.2.
func (m *Message) principal(outer *fields, e *ber.Element) (name string, kind int32) {
	f := sequence(e)
	out := m.names.text[:0]
	for tag, v, ok := f.read(); ok; tag, v, ok = f.read() {
		switch tag {
		case 0:
			f.int32(&v, &kind)
		case 1:
			if !v.Is(ber.Universal, ber.Sequence) {
				f.judge(BadField)
				break
			}
			parts := open(&v)
			cut := false
			for i := 0; ; i++ {
				part, ok := parts.r.Next()
				if !ok {
					break
				}
				b, ok := part.Octets()
				if !ok || part.Class != ber.Universal {
					f.judge(BadField)
					break
				}
				if cut {
					continue
				}
				if i != 0 {
					if len(out) == maxText {
						cut = true
						continue
					}
					out = append(out, '/')
				}
				out, cut = appendText(out, b, true)
			}
			m.Truncated = m.Truncated || cut
			f.judge(parts.anomaly)
			if parts.r.Verdict() != ber.Whole {
				f.judge(BadEncoding)
			}
		}
	}
	outer.judge(f.end(bits(0, 1)))
	return m.names.known.Of(out), kind
}

// appendText writes a string as Message says, up to maxText; cut tells that
// there was more.
func appendText(out, b []byte, component bool) (_ []byte, cut bool) {
	const hex = "0123456789abcdef"
	for len(b) != 0 {
		r, n := utf8.DecodeRune(b)
		var esc [4]byte
		put := b[:n]
		switch {
		case r == utf8.RuneError && n == 1, r < ' ', r >= 0x7f && r < 0xa0:
			esc = [4]byte{'\\', 'x', hex[b[0]>>4], hex[b[0]&15]}
			put, n = esc[:], 1
		case r == '\\', component && r == '/':
			esc[0], esc[1] = '\\', b[0]
			put = esc[:2]
		}
		if len(out)+len(put) > maxText {
			return out, true
		}
		out = append(out, put...)
		b = b[n:]
	}
	return out, false
}
