package ntlmssp

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"

	"kmswatch/decode/wire"
)

// MaxName is how many units (UTF-16 code units, or bytes of the OEM code page)
// of a name are kept: a DNS name has 255 at most.
const MaxName = 512

// MaxAVPairs is how many AV_PAIRs of a list are looked at. Eleven types exist.
const MaxAVPairs = 32

const (
	signature    = "NTLMSSP\x00"
	versionSize  = 8
	micSize      = 16
	proofSize    = 16 // NTProofStr, MS-NLMP 2.2.2.8
	clientBlob   = 28 // NTLMv2_CLIENT_CHALLENGE before its AV_PAIRs, 2.2.2.7
	ntlmv1Size   = 24 // 2.2.2.6
	lmSize       = 24 // 2.2.2.3, 2.2.2.4
	maxFields    = 6
	singleHost   = 48 // Single_Host_Data, 2.2.2.2
	bindingsHash = 16
)

// Is tells whether b begins as a message does.
func Is(b []byte) bool { return len(b) >= len(signature) && string(b[:len(signature)]) == signature }

// Decode reads one message. It resets m. On an anomaly, the first met, m holds
// what could be read before and beside it; nothing after BadSignature, BadType
// and ShortMessage. Nothing of b is kept.
func (m *Message) Decode(b []byte) Anomaly { return m.DecodeWith(b, nil) }

// DecodeWith is Decode for many messages, whose strings are made by names; nil
// makes each anew.
func (m *Message) DecodeWith(b []byte, names *wire.Strings) Anomaly {
	*m = Message{}
	if !Is(b) {
		return BadSignature
	}
	d := decoder{b: b, c: wire.Little(b), names: names}
	d.c.Skip(len(signature))
	t := d.c.U32()
	if !d.c.Ok() {
		return ShortMessage
	}
	switch t {
	case uint32(Negotiate):
		m.Type = Negotiate
		d.negotiate(m)
	case uint32(Challenge):
		m.Type = Challenge
		d.challenge(m)
	case uint32(Authenticate):
		m.Type = Authenticate
		d.authenticate(m)
	default:
		return BadType
	}
	if d.anomaly == ShortMessage {
		*m = Message{} // fields that are not there are not empty
	}
	return d.anomaly
}

// decoder reads one message.
type decoder struct {
	b       []byte
	c       wire.Cursor
	names   *wire.Strings
	anomaly Anomaly // the first
	fields  [maxFields]field
	n       int
}

// field is where the payload holds a value.
type field struct {
	off, len int
	lost     bool // has bytes, of which none lies in the payload
}

func (d *decoder) note(a Anomaly) {
	if d.anomaly == 0 {
		d.anomaly = a
	}
}

// field reads the length and offset of a field; MaxLen is to be ignored.
func (d *decoder) field() int {
	f := field{len: int(d.c.U16())}
	d.c.Skip(2)
	off := d.c.U32()
	// Beyond any message, and an int of 32 bits holds it.
	f.off = int(min(off, 1<<30))
	d.fields[d.n] = f
	d.n++
	return d.n - 1
}

// payload gives where the first of the fields so far begins that has bytes and
// lies in the message behind what was read; the message's length if none has.
// What the fixed part has room for ends there: senders leave out what is at its
// end.
func (d *decoder) payload() int {
	first := len(d.b)
	for _, f := range d.fields[:d.n] {
		if f.len > 0 && f.off >= d.c.Offset() && f.off <= len(d.b)-f.len {
			first = min(first, f.off)
		}
	}
	return first
}

// want drops a field that is to be ignored without its flag; its bytes are not
// the version all the same.
func (d *decoder) want(i int, flag bool) {
	if !flag {
		d.fields[i].len = 0
	}
}

// check looks at the places of the fields, of which the first bytes up to
// header are none; one that does not lie in the payload loses its bytes.
func (d *decoder) check(header int) {
	for i := range d.fields[:d.n] {
		f := &d.fields[i]
		switch {
		case f.len == 0:
			continue
		case f.off > len(d.b)-f.len:
			d.note(FieldOutside)
			f.len, f.lost = 0, true
			continue
		case f.off < header:
			d.note(FieldInHeader)
			f.len, f.lost = 0, true
			continue
		}
		for _, g := range d.fields[:i] {
			if g.len > 0 && f.off < g.off+g.len && g.off < f.off+f.len {
				d.note(FieldsOverlap)
			}
		}
	}
}

// bytes gives those of a field that check has passed.
func (d *decoder) bytes(i int) []byte {
	f := d.fields[i]
	if f.len == 0 {
		return nil
	}
	return d.b[f.off : f.off+f.len : f.off+f.len]
}

// MS-NLMP 2.2.1.1. Names are in the OEM code page whatever the flags say.
func (d *decoder) negotiate(m *Message) {
	m.Flags = Flags(d.c.U32())
	if m.HasFlags = d.c.Ok(); !m.HasFlags {
		d.note(ShortMessage)
		return
	}
	if d.c.Len() == 0 {
		return // neither name, as from old clients and from HTTP
	}
	domain, workstation := d.field(), d.field()
	if !d.c.Ok() {
		d.note(ShortMessage)
		return
	}
	d.version(m, d.c.Offset(), d.payload())
	d.want(domain, m.Flags&FlagDomainSupplied != 0)
	d.want(workstation, m.Flags&FlagWorkstationSupplied != 0)
	d.check(d.c.Offset())
	m.Domain = d.text(d.bytes(domain), false)
	m.Workstation = d.text(d.bytes(workstation), false)
}

// MS-NLMP 2.2.1.2.
func (d *decoder) challenge(m *Message) {
	target := d.field()
	m.Flags = Flags(d.c.U32())
	m.HasFlags = d.c.Ok()
	d.c.Skip(8) // ServerChallenge
	if !d.c.Ok() {
		d.note(ShortMessage)
		return
	}
	header := d.c.Offset()
	info := -1
	// Reserved and TargetInfoFields came with NT 4 SP 4.
	if room := d.payload(); room >= header+16 {
		d.c.Skip(8)
		info = d.field()
		header = d.c.Offset()
		d.version(m, header, d.payload())
		d.want(info, m.Flags&FlagTargetInfo != 0)
	}
	d.check(header)
	m.Target = d.text(d.bytes(target), m.Flags&FlagUnicode != 0)
	if info >= 0 && d.fields[info].len > 0 {
		d.pairs(&m.Info, d.bytes(info))
	}
}

// MS-NLMP 2.2.1.3.
func (d *decoder) authenticate(m *Message) {
	lm, nt := d.field(), d.field()
	domain, user, workstation := d.field(), d.field(), d.field()
	if !d.c.Ok() {
		d.note(ShortMessage)
		return
	}
	header := d.c.Offset()
	// The session key and the flags came with NT 4 SP 4, and clients that took
	// them for optional lived on.
	room := d.payload()
	if room >= header+8 {
		m.SessionKey = d.fields[d.field()].len
		header = d.c.Offset()
		if room = d.payload(); room >= header+4 {
			m.Flags = Flags(d.c.U32())
			m.HasFlags = true
			header = d.c.Offset()
			d.version(m, header, room)
			d.mic(m, header, room)
		}
	}
	m.LMResponse, m.NTResponse = d.fields[lm].len, d.fields[nt].len
	d.check(header)

	unicode := m.Flags&FlagUnicode != 0
	if !m.HasFlags {
		unicode = wide(d.bytes(user)) || wide(d.bytes(domain)) || wide(d.bytes(workstation))
	}
	m.Domain = d.text(d.bytes(domain), unicode)
	m.User = d.text(d.bytes(user), unicode)
	m.Workstation = d.text(d.bytes(workstation), unicode)
	m.userLost, m.domainLost = d.fields[user].lost, d.fields[domain].lost
	d.responses(m, d.bytes(lm), d.bytes(nt))
	// The promise is signed by the response: who takes the MIC out of a message
	// that he relays cannot take it back, CVE-2019-1040.
	if m.Info.Flags&AVMIC != 0 && !m.MIC {
		d.note(MICMissing)
	}
}

// version reads VERSION at the offset where there is a flag and room for it.
func (d *decoder) version(m *Message, at, room int) {
	if m.Flags&FlagVersion == 0 || room < at+versionSize {
		return
	}
	v := d.b[at : at+versionSize]
	m.HasVersion = true
	m.Version = Version{Major: v[0], Minor: v[1], Build: binary.LittleEndian.Uint16(v[2:]), Revision: v[7]}
}

// mic looks for the MIC, which stands behind the version. Windows leaves room
// for a version without its flag, others do not.
func (d *decoder) mic(m *Message, at, room int) {
	if m.Flags&FlagVersion != 0 || room >= at+versionSize+micSize {
		at += versionSize
	}
	if room < at+micSize {
		return
	}
	for _, c := range d.b[at : at+micSize] {
		m.MIC = m.MIC || c != 0
	}
}

// responses looks at the LM and the NT response.
func (d *decoder) responses(m *Message, lm, nt []byte) {
	m.LMZero = len(lm) == 1 && lm[0] == 0
	if len(lm) > 1 && len(lm) != lmSize || len(lm) == 1 && !m.LMZero {
		d.note(BadResponse)
	}
	switch {
	case len(nt) == 0 || len(nt) == ntlmv1Size:
		return
	case len(nt) < proofSize+clientBlob || nt[proofSize] != 1 || nt[proofSize+1] != 1: // RespType, HiRespType
		d.note(BadResponse)
		return
	}
	m.NTLMv2 = true
	d.pairs(&m.Info, nt[proofSize+clientBlob:])
}

// pairs reads a list of AV_PAIRs, MS-NLMP 2.2.2.1. Their texts are in UTF-16
// whatever the flags say. Bytes behind MsvAvEOL are padding.
func (d *decoder) pairs(t *TargetInfo, b []byte) {
	seen := 0
	c := wire.Little(b)
	for range MaxAVPairs {
		if c.Len() == 0 {
			d.note(AVUnterminated)
			return
		}
		id, n := c.U16(), int(c.U16())
		v := c.Bytes(n)
		if !c.Ok() {
			d.note(AVTruncated)
			return
		}
		if id == 0 { // MsvAvEOL
			if n != 0 {
				d.note(AVLength)
			}
			return
		}
		if id <= 10 {
			if seen&(1<<id) != 0 {
				d.note(DuplicateAV)
				continue
			}
			seen |= 1 << id
		}
		d.pair(t, id, v)
	}
	d.note(TooManyAVs)
}

func (d *decoder) pair(t *TargetInfo, id uint16, v []byte) {
	fixed := 0
	switch id {
	case 1:
		t.NetBIOSComputer = d.text(v, true)
		return
	case 2:
		t.NetBIOSDomain = d.text(v, true)
		return
	case 3:
		t.DNSComputer = d.text(v, true)
		return
	case 4:
		t.DNSDomain = d.text(v, true)
		return
	case 5:
		t.DNSTree = d.text(v, true)
		return
	case 9:
		t.TargetName = d.text(v, true)
		return
	case 6:
		fixed = 4
	case 7:
		fixed = 8
	case 8:
		fixed = singleHost
	case 10:
		fixed = bindingsHash
	default:
		return // one of a later version
	}
	if len(v) != fixed {
		d.note(AVLength)
		return
	}
	switch id {
	case 6:
		t.Flags = AVFlags(binary.LittleEndian.Uint32(v))
	case 7:
		t.Timestamp = binary.LittleEndian.Uint64(v)
	case 8:
		t.SingleHost = true
	case 10:
		for _, c := range v {
			t.ChannelBindings = t.ChannelBindings || c != 0
		}
	}
}

// wide guesses that text is UTF-16: its first character is of Latin 1.
func wide(b []byte) bool { return len(b) >= 2 && b[1] == 0 }

// text decodes a name. The wire does not tell which code page OEM is, so that
// its bytes beyond ASCII become the characters of Latin 1, which keeps them
// apart. A terminator, which some senders count, is left out.
func (d *decoder) text(b []byte, unicode bool) string {
	size := 1
	if unicode {
		size = 2
	}
	if len(b)%size != 0 {
		d.note(OddUnicode)
	}
	n := len(b) / size
	if n > MaxName {
		d.note(NameTooLong)
		n = MaxName
	}
	var memory [3 * 64]byte
	s := memory[:0]
	for i := 0; i < n; i++ {
		if !unicode {
			s = utf8.AppendRune(s, rune(b[i]))
			continue
		}
		r := rune(binary.LittleEndian.Uint16(b[2*i:]))
		if utf16.IsSurrogate(r) {
			low := utf8.RuneError
			if i+1 < n {
				low = rune(binary.LittleEndian.Uint16(b[2*i+2:]))
			}
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				i++
			}
		}
		s = utf8.AppendRune(s, r)
	}
	return d.names.Of(bytes.TrimRight(s, "\x00"))
}
