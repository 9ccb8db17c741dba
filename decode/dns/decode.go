package dns

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"kmswatch/decode/wire"
)

// Bounds of what a message may make us keep. A message of 64 KiB has room for
// a few thousand records; a domain has a few hundred controllers.
const (
	maxSRV     = 1024
	maxChanges = 128 // SRV of an UPDATE, which waits for its answer
	maxGlue    = 1024
	maxCNAMEs  = 16
	maxNames   = 1024 // names kept between messages
	fewSRV     = 8    // up to here a walk finds a target sooner than a map
)

// Types of records (IANA).
const (
	typeA     = 1
	typeCNAME = 5
	typeSOA   = 6
	typeSIG   = 24
	typeAAAA  = 28
	typeSRV   = 33
	typeOPT   = 41
	typeTSIG  = 250
	typeANY   = 255
)

// Classes. Multicast DNS uses the top bit for other ends (RFC 6762 18.12).
const (
	classIN   = 1
	classNONE = 254
	classANY  = 255
	classMask = 0x7fff
)

// scratch is what a Message keeps from one Decode to the next.
type scratch struct {
	text    [maxText]byte
	names   map[string]string // by themselves, so that a name seen again needs no memory
	targets map[string]int32  // first SRV of each target; used from fewSRV on
	first   string            // the name of the first question
	cnames  [maxCNAMEs]cname
	aliases int
	glue    []glue
	addrs   []netip.Addr
	shared  []shared
}

type cname struct{ owner, target string }

// glue is an address record: where its owner's name and its data are.
type glue struct {
	name, data int32
	size       int32 // 4 or 16
	srv        int32 // the first SRV with its name as target; -1 if none
}

// shared is, for each SRV, the first one of the same target, which gathers the
// addresses, and for that one their number.
type shared struct {
	first, addrs int32
}

// Decode reads a message, or what there is of it, and resets m. Nothing of b
// is kept. It returns m.Anomaly: the first one met. Of a message that Wanted
// refuses only the header is read.
func (m *Message) Decode(b []byte) Anomaly {
	s := m.scratch
	if s == nil {
		s = &scratch{names: make(map[string]string)}
	}
	*m = Message{SRV: m.SRV[:0], CNAMEs: m.CNAMEs[:0], scratch: s}
	s.first, s.aliases, s.glue = "", 0, s.glue[:0]
	if len(b) < headerSize {
		m.Anomaly = ShortHeader
		return ShortHeader
	}
	m.ID = binary.BigEndian.Uint16(b)
	m.Response = b[2]&0x80 != 0
	m.Opcode = b[2] >> 3 & 15
	m.Truncated = b[2]&2 != 0
	m.RCode = uint16(b[3] & 15)
	if m.Truncated {
		m.Anomaly = Truncated
	}
	if !Wanted(b) {
		return m.Anomaly
	}
	m.sections(b)
	if m.Opcode == OpcodeQuery {
		m.chain()
		m.addresses(b)
	}
	return m.Anomaly
}

// note keeps the first anomaly. That the sender cut the message explains that
// its end is missing, and nothing else.
func (m *Message) note(a Anomaly) {
	switch m.Anomaly {
	case 0:
		m.Anomaly = a
	case Truncated:
		if a != 0 && a != CutMessage && a != MissingRecords {
			m.Anomaly = a
		}
	}
}

// sections walks the message.
func (m *Message) sections(b []byte) {
	c := wire.Big(b)
	c.Skip(4)
	var count [4]int
	for i := range count {
		count[i] = int(c.U16())
	}
	if !m.questions(&c, b, count[0]) {
		return
	}
	opts := 0
	for sec := Answer; sec <= Additional; sec++ {
		for left := count[sec] - 1; left >= 0; left-- {
			if c.Len() == 0 {
				m.note(MissingRecords)
				return
			}
			var r record
			if a := r.decode(&c, b); a != 0 {
				m.note(a)
				return
			}
			if sec != Additional {
				m.record(b, &r, sec)
				continue
			}
			switch r.typ {
			case typeOPT:
				if opts++; opts > 1 {
					m.note(RepeatedOPT)
				} else {
					m.RCode |= uint16(r.ttl >> 24 << 4) // RFC 6891 6.1.3
				}
			case typeTSIG:
				m.signed(left)
			case typeSIG:
				// RFC 2931 3: the type that SIG(0) covers is 0.
				if r.size >= 18 && b[r.data]|b[r.data+1] == 0 {
					m.signed(left)
				}
			default:
				m.record(b, &r, sec)
			}
		}
	}
	if c.Len() != 0 {
		m.note(TrailingBytes)
	}
}

func (m *Message) signed(left int) {
	if left != 0 {
		m.note(MisplacedSignature)
		return
	}
	m.Signed = true
}

// questions reads the question or zone section. Of several questions one for
// SRV is kept, so that one before it does not hide it. It reports whether the
// sections behind can be found.
func (m *Message) questions(c *wire.Cursor, b []byte, n int) bool {
	if n > 1 {
		m.note(MultipleQuestions)
	}
	for i := range n {
		if c.Len() == 0 {
			m.note(MissingRecords)
			return false
		}
		at := c.Offset()
		end, a := skipName(b, at)
		if a != 0 {
			m.note(a)
			return false
		}
		c.Skip(end - at)
		t := c.U16()
		c.Skip(2) // the class
		if !c.Ok() {
			m.note(CutMessage)
		}
		if i == 0 || t == typeSRV && m.Type != typeSRV {
			m.Name, _ = m.name(b, at)
			m.Type = t
			if i == 0 {
				m.scratch.first = m.Name
			}
		}
		if !c.Ok() {
			return false
		}
	}
	// The answer to an UPDATE may leave the zone out (RFC 2136 3.8).
	if m.Opcode == OpcodeUpdate && (n != 1 || m.Type != typeSOA) && !(m.Response && n == 0) {
		m.note(BadZone)
	}
	return true
}

// record is a resource record with the offsets of what varies.
type record struct {
	name  int
	typ   uint16
	class uint16
	ttl   uint32
	data  int
	size  int
}

func (r *record) decode(c *wire.Cursor, b []byte) Anomaly {
	r.name = c.Offset()
	end, a := skipName(b, r.name)
	if a != 0 {
		return a
	}
	c.Skip(end - r.name)
	r.typ = c.U16()
	r.class = c.U16()
	r.ttl = c.U32()
	r.size = int(c.U16())
	r.data = c.Offset()
	c.Skip(r.size)
	if !c.Ok() {
		return CutMessage
	}
	return 0
}

// record takes a record that may be about SRV.
func (m *Message) record(b []byte, r *record, sec Section) {
	if m.Opcode == OpcodeUpdate {
		if sec == Update {
			m.change(b, r)
		}
		return
	}
	if r.class&classMask != classIN {
		return
	}
	s := m.scratch
	switch r.typ {
	case typeSRV:
		m.add(b, r, sec, NoChange)
	case typeCNAME:
		if sec != Answer {
			return
		}
		if s.aliases == maxCNAMEs {
			m.note(TooManyRecords)
			return
		}
		owner, _ := m.name(b, r.name)
		target, end := m.name(b, r.data)
		if end != r.data+r.size {
			m.note(BadRData)
		}
		if owner != "" && target != "" {
			s.cnames[s.aliases].owner, s.cnames[s.aliases].target = owner, target
			s.aliases++
		}
	case typeA, typeAAAA:
		size := 4
		if r.typ == typeAAAA {
			size = 16
		}
		switch {
		case r.size != size:
			m.note(BadRData)
		case len(s.glue) == maxGlue:
			m.note(TooManyRecords)
		default:
			s.glue = append(s.glue, glue{name: int32(r.name), data: int32(r.data), size: int32(size)})
		}
	}
}

// change takes a record of the update section (RFC 2136 2.5).
func (m *Message) change(b []byte, r *record) {
	switch {
	case r.typ == typeSRV && r.class == classIN:
		m.add(b, r, Update, Add)
	case r.typ == typeSRV && r.class == classNONE:
		m.add(b, r, Update, Delete)
	case r.typ == typeSRV && r.class == classANY:
		if r.size != 0 {
			m.note(BadUpdate)
		}
		m.add(b, r, Update, DeleteSet)
	case r.typ == typeSRV:
		m.note(BadUpdate)
	case r.typ == typeANY && r.class == classANY:
		if r.size != 0 {
			m.note(BadUpdate)
		}
		if text, _, _ := m.scratch.name(b, r.name); service(text) {
			m.add(b, r, Update, DeleteAll)
		}
	}
}

// add keeps an SRV record, or what an UPDATE deletes.
func (m *Message) add(b []byte, r *record, sec Section, change Change) {
	if len(m.SRV) == maxSRV || m.Opcode == OpcodeUpdate && len(m.SRV) == maxChanges {
		m.note(TooManyRecords)
		return
	}
	v := SRV{TTL: r.ttl, Change: change, Section: sec}
	if v.Name, _ = m.name(b, r.name); v.Name == "" {
		return
	}
	if change != DeleteSet && change != DeleteAll {
		if r.size < 7 {
			m.note(BadRData)
			return
		}
		d := b[r.data:]
		v.Priority = binary.BigEndian.Uint16(d)
		v.Weight = binary.BigEndian.Uint16(d[2:])
		v.Port = binary.BigEndian.Uint16(d[4:])
		var end int
		if v.Target, end = m.name(b, r.data+6); v.Target == "" {
			return
		}
		if end != r.data+r.size {
			m.note(BadRData)
		}
		v.Compressed = compressed(b, r.data+6)
	}
	m.SRV = append(m.SRV, v)
}

// name gives the name at off and the offset behind it; "" if it cannot be read.
func (m *Message) name(b []byte, off int) (string, int) {
	s := m.scratch
	// Most owners point to the question, the first name of the message.
	if s.first != "" && off+1 < len(b) && b[off] == 0xc0 && b[off+1] == headerSize {
		return s.first, off + 2
	}
	text, end, a := s.name(b, off)
	m.note(a)
	return s.intern(text), end
}

// intern gives the string of a text, the one it gave before if it remembers.
func (s *scratch) intern(text []byte) string {
	if text == nil {
		return ""
	}
	name, ok := s.names[string(text)]
	if !ok {
		if len(s.names) == maxNames {
			clear(s.names)
		}
		name = string(text)
		s.names[name] = name
	}
	return name
}

// chain follows the aliases from the question.
func (m *Message) chain() {
	s := m.scratch
	cnames := s.cnames[:s.aliases]
	at := m.Name
	for range cnames {
		i := slices.IndexFunc(cnames, func(c cname) bool { return c.owner == at })
		if i < 0 {
			return
		}
		at = cnames[i].target
		if at == m.Name || slices.Contains(m.CNAMEs, at) {
			m.note(CNAMELoop)
			return
		}
		m.CNAMEs = append(m.CNAMEs, at)
	}
}

// addresses gives each SRV the addresses of its target. The address records
// are counted by target first, so that all addresses lie in one array.
func (m *Message) addresses(b []byte) {
	s := m.scratch
	if len(m.SRV) == 0 || len(s.glue) == 0 {
		return
	}
	many := len(m.SRV) > fewSRV
	if many {
		if s.targets == nil {
			s.targets = make(map[string]int32)
		}
		clear(s.targets)
	}
	s.shared = s.shared[:0]
	for i := range m.SRV {
		target, first := m.SRV[i].Target, int32(i)
		if many {
			if f, ok := s.targets[target]; ok {
				first = f
			} else {
				s.targets[target] = first
			}
		} else {
			first = int32(slices.IndexFunc(m.SRV, func(v SRV) bool { return v.Target == target }))
		}
		s.shared = append(s.shared, shared{first: first})
	}
	total := int32(0)
	for i := range s.glue {
		g := &s.glue[i]
		text, _, a := s.name(b, int(g.name))
		m.note(a)
		if g.srv = m.target(text); g.srv >= 0 {
			s.shared[g.srv].addrs++
			total++
		}
	}
	s.addrs = slices.Grow(s.addrs[:0], int(total))[:total]
	at := int32(0)
	for i := range s.shared {
		if n := s.shared[i].addrs; n != 0 {
			m.SRV[i].Addresses = s.addrs[at : at : at+n]
			at += n
		}
	}
	for i := range s.glue {
		g := &s.glue[i]
		if g.srv < 0 {
			continue
		}
		d := b[g.data : g.data+g.size]
		addr, _ := netip.AddrFromSlice(d)
		v := &m.SRV[g.srv]
		v.Addresses = append(v.Addresses, addr)
	}
	for i := range m.SRV {
		m.SRV[i].Addresses = m.SRV[s.shared[i].first].Addresses
	}
}

// target gives the first SRV with this target; -1 if none has it.
func (m *Message) target(text []byte) int32 {
	if len(m.SRV) > fewSRV {
		if i, ok := m.scratch.targets[string(text)]; ok {
			return i
		}
		return -1
	}
	for i := range m.SRV {
		if m.SRV[i].Target == string(text) {
			return int32(i)
		}
	}
	return -1
}
