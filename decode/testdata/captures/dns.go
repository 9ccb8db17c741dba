package captures

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// DNS types and classes.
const (
	typeA     = 1
	typeCNAME = 5
	typeSOA   = 6
	typeAAAA  = 28
	typeSRV   = 33
	typeOPT   = 41
	typeTSIG  = 250
	typeANY   = 255

	classIN   = 1
	classNone = 254
	classAny  = 255
)

// Flags of the header, RFC 1035 4.1.1 and RFC 2136 2.2.
const (
	dnsResponse  = 0x8000
	dnsUpdate    = 5 << 11
	dnsAnswer    = dnsResponse | 0x0580 // authoritative, recursion wished and had
	dnsTruncated = 0x0200
	dnsRecursion = 0x0100
)

const (
	vlmcs  = "_vlmcs._tcp.corp.example.test"
	kmsFor = "kms.corp.example.test"
	zone   = "corp.example.test"
)

// dnsMessage writes one DNS message, names compressed only where asked.
type dnsMessage struct {
	b     []byte
	names map[string]int // where a name stands
}

func newDNS(id, flags uint16) *dnsMessage {
	m := &dnsMessage{names: make(map[string]int)}
	m.b = binary.BigEndian.AppendUint16(m.b, id)
	m.b = binary.BigEndian.AppendUint16(m.b, flags)
	m.b = append(m.b, make([]byte, 8)...)
	return m
}

func (m *dnsMessage) u16(v ...uint16) {
	for _, x := range v {
		m.b = binary.BigEndian.AppendUint16(m.b, x)
	}
}

// name writes a name in full and remembers its suffixes.
func (m *dnsMessage) name(s string) {
	for s != "" {
		if _, ok := m.names[strings.ToLower(s)]; !ok {
			m.names[strings.ToLower(s)] = len(m.b)
		}
		label, rest, _ := strings.Cut(s, ".")
		m.b = append(append(m.b, byte(len(label))), label...)
		s = rest
	}
	m.b = append(m.b, 0)
}

// pointer writes a name by the longest suffix that stood before.
func (m *dnsMessage) pointer(s string) {
	for s != "" {
		if at, ok := m.names[strings.ToLower(s)]; ok {
			m.u16(0xc000 | uint16(at))
			return
		}
		label, rest, _ := strings.Cut(s, ".")
		m.names[strings.ToLower(s)] = len(m.b)
		m.b = append(append(m.b, byte(len(label))), label...)
		s = rest
	}
	m.b = append(m.b, 0)
}

// Sections, RFC 1035 4.1; in an UPDATE zone, prerequisite, update, additional.
const (
	question = iota
	answer
	authority
	additional
)

func (m *dnsMessage) count(section int) {
	at := 4 + 2*section
	binary.BigEndian.PutUint16(m.b[at:], binary.BigEndian.Uint16(m.b[at:])+1)
}

func (m *dnsMessage) question(name string, t uint16) *dnsMessage {
	m.name(name)
	m.u16(t, classIN)
	m.count(question)
	return m
}

// record writes one record, its owner by pointer where it stood before.
func (m *dnsMessage) record(section int, owner string, t, class uint16, ttl uint32, data func()) *dnsMessage {
	m.pointer(owner)
	m.u16(t, class)
	m.b = binary.BigEndian.AppendUint32(m.b, ttl)
	at := len(m.b)
	m.u16(0)
	if data != nil {
		data()
	}
	binary.BigEndian.PutUint16(m.b[at:], uint16(len(m.b)-at-2))
	m.count(section)
	return m
}

func (m *dnsMessage) srv(section int, owner string, port uint16, target string) *dnsMessage {
	return m.record(section, owner, typeSRV, classIN, 3600, func() {
		m.u16(0, 0, port)
		m.name(target)
	})
}

// srvCompressed breaks RFC 2782 as Samba's server does.
func (m *dnsMessage) srvCompressed(owner string, port uint16, target string) *dnsMessage {
	return m.record(answer, owner, typeSRV, classIN, 3600, func() {
		m.u16(0, 0, port)
		m.pointer(target)
	})
}

func (m *dnsMessage) cname(owner, target string) *dnsMessage {
	return m.record(answer, owner, typeCNAME, classIN, 3600, func() { m.pointer(target) })
}

func (m *dnsMessage) address(owner string, a netip.Addr) *dnsMessage {
	t := uint16(typeA)
	if a.Is6() {
		t = typeAAAA
	}
	return m.record(additional, owner, t, classIN, 3600, func() { m.b = append(m.b, a.AsSlice()...) })
}

// edns adds an OPT record, RFC 6891.
func (m *dnsMessage) edns(size uint16) *dnsMessage {
	return m.record(additional, "", typeOPT, size, 0, nil)
}

// ask gives the query for an SRV record.
func srvQuery(id uint16, name string) *dnsMessage {
	return newDNS(id, dnsRecursion).question(name, typeSRV)
}

// srvAnswer begins the answer to it.
func srvAnswer(id uint16, name string) *dnsMessage {
	return newDNS(id, dnsAnswer).question(name, typeSRV)
}

// update begins an UPDATE of the zone.
func update(id uint16) *dnsMessage {
	return newDNS(id, dnsUpdate).question(zone, typeSOA)
}

// lookup records a query and its answer over UDP.
func (t *tape) lookup(client, server netip.Addr, query, reply *dnsMessage) {
	from, to := netip.AddrPortFrom(client, t.port()), netip.AddrPortFrom(server, dnsPort)
	t.udp(from, to, query.b)
	if reply != nil {
		t.udp(to, from, reply.b)
	}
}

// framed puts messages behind their lengths, as over TCP.
func framed(ms ...*dnsMessage) []byte {
	var b []byte
	for _, m := range ms {
		b = binary.BigEndian.AppendUint16(b, uint16(len(m.b)))
		b = append(b, m.b...)
	}
	return b
}
