package dns

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/dns/dnsmessage"
)

// unhex reads hex digits and "text", with blanks and # comments between them.
func unhex(t testing.TB, text string) (b []byte) {
	t.Helper()
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, f := range strings.Fields(line) {
			if s := strings.Trim(f, `"`); len(s) == len(f)-2 {
				b = append(b, s...)
				continue
			}
			d, err := hex.DecodeString(f)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, d...)
		}
	}
	return b
}

// header is that of a message: flags and the four counts.
func header(flags uint16, counts ...uint16) []byte {
	b := []byte{0x1d, 0x0c}
	b = binary.BigEndian.AppendUint16(b, flags)
	for i := range 4 {
		var n uint16
		if i < len(counts) {
			n = counts[i]
		}
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return b
}

// Flags of a header.
const (
	query     = 0x0100 // RD
	answer    = 0x8580 // QR AA RD RA
	update    = 0x2800 // opcode 5
	truncated = 0x0200 // TC
)

// name is a name on the wire, each label between dots as it is.
func name(s string) (b []byte) {
	for l := range strings.SplitSeq(s, ".") {
		if l != "" {
			b = append(append(b, byte(len(l))), l...)
		}
	}
	return append(b, 0)
}

// pointer is a compression pointer.
func pointer(to int) []byte { return []byte{0xc0 | byte(to>>8), byte(to)} }

// question is the rest of a question behind its name.
func question(typ uint16) []byte { return []byte{byte(typ >> 8), byte(typ), 0, 1} }

// rr is a record behind its name.
func rr(typ, class uint16, ttl uint32, data ...[]byte) []byte {
	d := bytes.Join(data, nil)
	b := binary.BigEndian.AppendUint16(nil, typ)
	b = binary.BigEndian.AppendUint16(b, class)
	b = binary.BigEndian.AppendUint32(b, ttl)
	b = binary.BigEndian.AppendUint16(b, uint16(len(d)))
	return append(b, d...)
}

// srv is the data of an SRV record without its target: priority 0, weight 100.
func srv(port uint16) []byte { return []byte{0, 0, 0, 100, byte(port >> 8), byte(port)} }

func message(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

const vlmcs = "_vlmcs._tcp.corp.example.test"

// ask is a question for the KMS hosts of a domain: its name is 30 bytes and a
// zero at offset 12, and what follows it begins at offset 47.
func ask(flags uint16, counts ...uint16) []byte {
	return message(header(flags, append([]uint16{1}, counts...)...), name(vlmcs), question(typeSRV))
}

func decode(b []byte) *Message {
	var m Message
	m.Decode(b)
	return &m
}

// diff compares what a Message shows.
func diff(want, got *Message) string {
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(Message{}), cmpopts.EquateEmpty(),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }))
}

func addrs(s ...string) (a []netip.Addr) {
	for _, t := range s {
		a = append(a, netip.MustParseAddr(t))
	}
	return a
}

func TestLookupOfAKMSHost(t *testing.T) {
	t.Parallel()
	q := unhex(t, `
		640d 0120          # id, RD AD
		0001 0000 0000 0001
		06 "_VLMCS" 04 "_tcp" 04 "Corp" 07 "example" 04 "test" 00
		0021 0001          # SRV IN
		00 0029 04d0 00000000 000c # OPT, 1232 bytes of UDP
		000a 0008 15d5b96a90a1c24a # cookie
	`)
	want := &Message{ID: 0x640d, Name: vlmcs, Type: 33}
	if d := diff(want, decode(q)); d != "" {
		t.Error(d)
	}

	a := unhex(t, `
		640d 85a0          # id, QR AA RD RA AD
		0001 0002 0000 0004
		06 "_vlmcs" 04 "_tcp" 04 "corp" 07 "example" 04 "test" 00
		0021 0001          # SRV IN
		c00c 0021 0001 00000384 001e # at 47: owner, SRV IN, 900 s, 29 bytes
		0000 0064 0698     # priority 0, weight 100, port 1688
		04 "KMS1" 04 "corp" 07 "example" 04 "test" 00
		c00c 0021 0001 00000384 001e
		000a 0000 0699     # priority 10, weight 0, port 1689
		04 "kms2" 04 "corp" 07 "example" 04 "test" 00
		04 "kms1" c018 0001 0001 00000e10 0004 0a420a0a # A
		04 "kMS1" c018 001c 0001 00000e10 0010 20010db8000000000000000000000001 # AAAA
		03 "dc1"  c018 0001 0001 00000e10 0004 0a420a0b # no target
		00 0029 04d0 01000000 0000 # OPT, extended RCODE 1
	`)
	want = &Message{
		ID: 0x640d, Response: true, RCode: 16, Name: vlmcs, Type: 33,
		SRV: []SRV{
			{Name: vlmcs, TTL: 900, Weight: 100, Port: 1688, Target: "kms1.corp.example.test",
				Addresses: addrs("10.66.10.10", "2001:db8::1"), Section: Answer},
			{Name: vlmcs, TTL: 900, Priority: 10, Port: 1689, Target: "kms2.corp.example.test", Section: Answer},
		},
	}
	if d := diff(want, decode(a)); d != "" {
		t.Error(d)
	}
}

func TestCNAMEChainLeadsToTheOwner(t *testing.T) {
	t.Parallel()
	b := message(ask(answer, 3), // at 47:
		pointer(12), rr(typeCNAME, 1, 60, name("alias.example.test")),
		name("b.example.test"), rr(typeSRV, 1, 60, srv(1688), name("kms1.example.test")),
		name("Alias.example.test"), rr(typeCNAME, 1, 60, name("b.example.test")))
	want := &Message{
		ID: 0x1d0c, Response: true, Name: vlmcs, Type: 33,
		CNAMEs: []string{"alias.example.test", "b.example.test"},
		SRV: []SRV{{Name: "b.example.test", TTL: 60, Weight: 100, Port: 1688,
			Target: "kms1.example.test", Section: Answer}},
	}
	if d := diff(want, decode(b)); d != "" {
		t.Error(d)
	}

	loop := message(ask(answer, 2),
		pointer(12), rr(typeCNAME, 1, 60, name("b.example.test")),
		name("b.example.test"), rr(typeCNAME, 1, 60, pointer(12)))
	if m := decode(loop); m.Anomaly != CNAMELoop || len(m.CNAMEs) != 1 {
		t.Errorf("loop: %s, %q", m.Anomaly, m.CNAMEs)
	}
	self := message(ask(answer, 1), pointer(12), rr(typeCNAME, 1, 60, pointer(12)))
	if m := decode(self); m.Anomaly != CNAMELoop || len(m.CNAMEs) != 0 {
		t.Errorf("alias of itself: %s, %q", m.Anomaly, m.CNAMEs)
	}
	many := ask(answer, 20)
	owner := vlmcs
	for i := range 20 {
		target := fmt.Sprintf("a%d.example.test", i)
		many = message(many, name(owner), rr(typeCNAME, 1, 60, name(target)))
		owner = target
	}
	if m := decode(many); m.Anomaly != TooManyRecords || len(m.CNAMEs) != maxCNAMEs {
		t.Errorf("20 aliases: %s, %d", m.Anomaly, len(m.CNAMEs))
	}
}

func TestTrap57CompressedTargetsAreAcceptedAndNoted(t *testing.T) {
	t.Parallel()
	// As Samba's internal DNS server answers: "dc1" and a pointer to the domain.
	b := message(ask(answer, 1, 0, 1),
		pointer(12), rr(typeSRV, 1, 900, srv(1688), []byte("\x03dc1"), pointer(24)), // target at 65
		pointer(65), rr(typeA, 1, 900, []byte{10, 66, 10, 10}))
	want := &Message{
		ID: 0x1d0c, Response: true, Name: vlmcs, Type: 33,
		SRV: []SRV{{Name: vlmcs, TTL: 900, Weight: 100, Port: 1688, Target: "dc1.corp.example.test",
			Compressed: true, Addresses: addrs("10.66.10.10"), Section: Answer}},
	}
	if d := diff(want, decode(b)); d != "" {
		t.Error(d)
	}
	// dnsmessage takes it too.
	if got, ok := second(b); !ok || len(got) != 1 || got[0].Target != "dc1.corp.example.test" {
		t.Errorf("dnsmessage: %v, %v", got, ok)
	}
}

func TestTrap57APointerThatEndsTheMessageIsRead(t *testing.T) {
	t.Parallel()
	b := message(ask(answer, 1),
		pointer(12), rr(typeSRV, 1, 900, srv(1688), pointer(24)))
	m := decode(b)
	if m.Anomaly != 0 || len(m.SRV) != 1 || m.SRV[0].Target != "corp.example.test" || !m.SRV[0].Compressed {
		t.Errorf("%+v", m)
	}
	// The first byte of a pointer alone.
	m = decode(b[:len(b)-1])
	if m.Anomaly != CutMessage || len(m.SRV) != 0 || m.Name != vlmcs {
		t.Errorf("cut: %+v", m)
	}
	// Likewise, within the length of the record.
	half := message(ask(answer, 1), pointer(12), rr(typeSRV, 1, 900, srv(1688), []byte{0xc0}))
	if m = decode(half); m.Anomaly != CutMessage || len(m.SRV) != 0 {
		t.Errorf("half a pointer: %+v", m)
	}
}

func TestTrap58UpdatesTellWhatTheyChange(t *testing.T) {
	t.Parallel()
	soa := message(name("example.test"), question(typeSOA)) // at 12, behind it 30
	tsig := message(name("key.example.test"), rr(typeTSIG, classANY, 0, name("gss-tsig"), make([]byte, 16)))
	b := message(header(update, 1, 2, 6, 1), soa,
		// Prerequisites: no CNAME, and an SRV that is none of the changes.
		pointer(12), rr(typeCNAME, classNONE, 0),
		name("_pre._tcp.example.test"), rr(typeSRV, classANY, 0),
		// Updates.
		name("_vlmcs._tcp.example.test"), rr(typeSRV, classANY, 0),
		name("_VLMCS._tcp.example.test"), rr(typeSRV, classNONE, 0, srv(1688), name("old.example.test")),
		name("_vlmcs._tcp.example.test"), rr(typeSRV, classIN, 3600, srv(1688), name("kms.example.test")),
		name("_vlmcs._udp.example.test"), rr(typeANY, classANY, 0),
		name("pc1.example.test"), rr(typeANY, classANY, 0), // not a service
		name("kms.example.test"), rr(typeA, classIN, 3600, []byte{10, 0, 0, 1}),
		tsig)
	want := &Message{
		ID: 0x1d0c, Opcode: 5, Name: "example.test", Type: 6, Signed: true,
		SRV: []SRV{
			{Name: "_vlmcs._tcp.example.test", Change: DeleteSet, Section: Update},
			{Name: "_vlmcs._tcp.example.test", Weight: 100, Port: 1688, Target: "old.example.test", Change: Delete, Section: Update},
			{Name: "_vlmcs._tcp.example.test", TTL: 3600, Weight: 100, Port: 1688, Target: "kms.example.test", Change: Add, Section: Update},
			{Name: "_vlmcs._udp.example.test", Change: DeleteAll, Section: Update},
		},
	}
	if !Wanted(b) {
		t.Error("not wanted")
	}
	if d := diff(want, decode(b)); d != "" {
		t.Error(d)
	}
	if s := fmt.Sprint(Add, Delete, DeleteSet, DeleteAll, NoChange); s != "add delete delete-set delete-all " {
		t.Error(s)
	}

	// The answer repeats the zone or nothing at all.
	for _, b := range [][]byte{message(header(0xa805, 1), soa), header(0xa805)} {
		if m := decode(b); !Wanted(b) || m.Anomaly != 0 || !m.Response || m.Opcode != 5 || m.RCode != 5 {
			t.Errorf("%+v", m)
		}
	}

	for _, c := range []struct {
		name string
		b    []byte
		want Anomaly
		srv  int
	}{
		{"no zone", message(header(update, 0, 0, 1), name("_a.b"), rr(typeSRV, classANY, 0)), BadZone, 1},
		{"a zone of another type", message(header(update, 1, 0, 1), name("b"), question(1), name("_a.b"), rr(typeSRV, classANY, 0)), BadZone, 1},
		{"an answer with two zones", message(header(0xa800, 2), soa, soa), MultipleQuestions, 0},
		{"deletes a set, with data", message(header(update, 1, 0, 1), soa, name("_a.b"), rr(typeSRV, classANY, 0, srv(1), name("c"))), BadUpdate, 1},
		{"deletes all, with data", message(header(update, 1, 0, 1), soa, name("_a.b"), rr(typeANY, classANY, 0, []byte{0})), BadUpdate, 1},
		{"a class that says nothing", message(header(update, 1, 0, 1), soa, name("_a.b"), rr(typeSRV, 3, 0, srv(1), name("c"))), BadUpdate, 0},
		{"a signature that ends nothing", message(header(update, 1, 0, 0, 2), soa, tsig, tsig), MisplacedSignature, 0},
		{"SRV behind the update section", message(header(update, 1, 0, 0, 1), soa, name("_a.b"), rr(typeSRV, 1, 0, srv(1), name("c"))), 0, 0},
	} {
		if m := decode(c.b); m.Anomaly != c.want || len(m.SRV) != c.srv {
			t.Errorf("%s: %s, %d SRV", c.name, m.Anomaly, len(m.SRV))
		}
	}
}

func TestSIG0Signs(t *testing.T) {
	t.Parallel()
	soa := message(name("example.test"), question(typeSOA))
	sig := func(covered byte) []byte {
		return message([]byte{0}, rr(typeSIG, classANY, 0, []byte{0, covered}, make([]byte, 16), name("k"), make([]byte, 64)))
	}
	if m := decode(message(header(update, 1, 0, 0, 1), soa, sig(0))); !m.Signed || m.Anomaly != 0 {
		t.Errorf("%+v", m)
	}
	if m := decode(message(header(update, 1, 0, 0, 1), soa, sig(33))); m.Signed {
		t.Errorf("SIG of SRV records: %+v", m)
	}
}

func TestTrap59SeveralMessagesInASegment(t *testing.T) {
	t.Parallel()
	b := []byte{0, 3, 'a', 'b', 'c', 0, 0, 0, 2, 'd'}
	msg, used := Split(b)
	if string(msg) != "abc" || used != 5 || cap(msg) != 3 {
		t.Errorf("first: %q, %d", msg, used)
	}
	b = b[used:]
	if msg, used = Split(b); len(msg) != 0 || used != 2 {
		t.Errorf("empty: %q, %d", msg, used)
	}
	b = b[used:]
	if msg, used = Split(b); msg != nil || used != 0 {
		t.Errorf("part of one: %q, %d", msg, used)
	}
	for _, short := range [][]byte{nil, {0}, {0, 1}, {0xff, 0xff, 1}} {
		if msg, used = Split(short); msg != nil || used != 0 {
			t.Errorf("%x: %q, %d", short, msg, used)
		}
	}
	if msg, used = Split(append(b, 'e', 'f')); string(msg) != "de" || used != 4 {
		t.Errorf("last: %q, %d", msg, used)
	}
}

func TestTrap59MessagesBeyond512Bytes(t *testing.T) {
	t.Parallel()
	const n = 60
	b := ask(answer, n, 0, 2*n)
	for i := range n {
		b = message(b, pointer(12), rr(typeSRV, 1, 600, srv(uint16(1000+i)), name(fmt.Sprintf("kms%02d.example.test", i))))
	}
	for i := range n {
		b = message(b, name(fmt.Sprintf("KMS%02d.example.test", i)), rr(typeA, 1, 600, []byte{10, 0, 0, byte(i)}))
	}
	for i := range n {
		b = message(b, name(fmt.Sprintf("KMS%02d.example.test", i)), rr(typeA, 1, 600, []byte{10, 0, 1, byte(i)}))
	}
	m := decode(b)
	if m.Anomaly != 0 || len(m.SRV) != n || len(b) < 3000 {
		t.Fatalf("%s, %d SRV in %d bytes", m.Anomaly, len(m.SRV), len(b))
	}
	for i, v := range m.SRV {
		want := addrs(fmt.Sprintf("10.0.0.%d", i), fmt.Sprintf("10.0.1.%d", i))
		if v.Port != uint16(1000+i) || fmt.Sprint(v.Addresses) != fmt.Sprint(want) {
			t.Errorf("%+v", v)
		}
	}
}

func TestNamesAreWrittenInPresentationForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		wire string
		want string
	}{
		{"lower case, ASCII alone (RFC 4343)", "\x05_VLmC\x03Z\xc3\x9c\x00", `_vlmc.z\195\156`},
		{"a dot in a label", "\x04_a.b\x01c\x00", `_a\.b.c`},
		{"a backslash", "\x03_\\a\x00", `_\\a`},
		{"blanks, NUL, escape, DEL", "\x05_ \x00\x1b\x7f\x00", `_\032\000\027\127`},
	} {
		b := message(header(query, 1), []byte(c.wire), question(typeSRV))
		if m := decode(b); m.Name != c.want || m.Anomaly != 0 {
			t.Errorf("%s: %s, %s", c.name, m.Name, m.Anomaly)
		}
	}
	if m := decode(message(header(query, 1), []byte{0}, question(typeSRV))); m.Name != "." {
		t.Errorf("the root: %q", m.Name)
	}
	// The longest name, every octet of which takes four bytes of text.
	label := "\x3f" + strings.Repeat("\xff", 63)
	longest := label + label + label + "\x3d" + strings.Repeat("\xff", 61) + "\x00"
	m := decode(message(header(query, 1), []byte(longest), question(typeSRV)))
	if m.Anomaly != 0 || len(m.Name) != 4*250+3 {
		t.Errorf("longest: %s, %d", m.Anomaly, len(m.Name))
	}
	tooLong := label + label + label + "\x3e" + strings.Repeat("\xff", 62) + "\x00"
	if m = decode(message(header(query, 1), []byte(tooLong), question(typeSRV))); m.Anomaly != NameTooLong || m.Name != "" || m.Type != typeSRV {
		t.Errorf("too long: %s, %q", m.Anomaly, m.Name)
	}
	many := strings.Repeat("\x01a", 127) + "\x00"
	if m = decode(message(header(query, 1), []byte(many), question(typeSRV))); m.Anomaly != 0 || len(m.Name) != 253 {
		t.Errorf("127 labels: %s, %d", m.Anomaly, len(m.Name))
	}
}

func TestServiceNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		want bool
	}{
		{"_vlmcs._tcp.test", true}, {"printer._ipp._tcp.test", true}, {"host_1.test", false},
		{`host\._x.test`, false}, {`host\046_x.test`, false}, {`host\\._x.test`, true}, {".", false}, {"", false},
	} {
		if service([]byte(c.name)) != c.want {
			t.Errorf("%s: %v", c.name, !c.want)
		}
	}
}

func TestCompressionThatLeadsNowhereIsRefused(t *testing.T) {
	t.Parallel()
	good := message(name("ok.test"), rr(typeSRV, 1, 1, srv(2), name("k.test")))
	for _, c := range []struct {
		name   string
		target []byte // at 65
		want   Anomaly
	}{
		{"a pointer to itself", pointer(65), CompressionLoop},
		{"two pointers to each other", message(pointer(67), pointer(65)), CompressionLoop},
		{"a label and a pointer to it", message([]byte("\x01a"), pointer(65)), CompressionLoop},
		{"a pointer beyond the message", pointer(0x3fff), BadPointer},
		{"a reserved label", []byte("\x41a\x00"), BadLabel},
		{"a reserved label behind a pointer", message([]byte("\x80"), pointer(65)), BadLabel},
	} {
		b := message(ask(answer, 2), pointer(12), rr(typeSRV, 1, 1, srv(1), c.target), good)
		m := decode(b)
		if m.Anomaly != c.want || len(m.SRV) != 1 || m.SRV[0].Name != "ok.test" {
			t.Errorf("%s: %s, %+v", c.name, m.Anomaly, m.SRV)
		}
	}
	// The port, 63, as a label that runs off the message.
	off := message(ask(answer, 1), pointer(12), rr(typeSRV, 1, 1, srv(63), pointer(64)))
	if m := decode(off); m.Anomaly != BadPointer || len(m.SRV) != 0 {
		t.Errorf("a pointer to a name that runs off: %s, %+v", m.Anomaly, m.SRV)
	}

	// A chain of pointers, each to the one before it.
	chain := bytes.Clone(ask(answer, 2))
	data := []byte{}
	at := len(chain) + 12
	for i := range 200 {
		to := at + 2*(i-1)
		if i == 0 {
			to = 12
		}
		data = append(data, pointer(to)...)
	}
	chain = message(chain, pointer(12), rr(16, 1, 1, data), pointer(at+2*199), rr(typeSRV, 1, 1, srv(1), name("k.test")))
	if m := decode(chain); m.Anomaly != CompressionLoop || len(m.SRV) != 0 {
		t.Errorf("200 pointers: %s, %d SRV", m.Anomaly, len(m.SRV))
	}
	chain = message(chain[:len(chain)-2-10-6-8], pointer(at+2*100), rr(typeSRV, 1, 1, srv(1), name("k.test")))
	if m := decode(chain); m.Anomaly != 0 || len(m.SRV) != 1 {
		t.Errorf("101 pointers: %s, %d SRV", m.Anomaly, len(m.SRV))
	}

	// A pointer ahead is followed, and noted.
	ahead := message(ask(answer, 2), pointer(12), rr(typeSRV, 1, 1, srv(1), pointer(67)), good)
	if m := decode(ahead); m.Anomaly != ForwardPointer || len(m.SRV) != 2 || m.SRV[0].Target != "ok.test" {
		t.Errorf("ahead: %s, %+v", m.Anomaly, m.SRV)
	}

	// The question itself.
	for _, q := range [][]byte{pointer(12), message([]byte("\x01_"), pointer(12))} {
		b := message(header(query, 1), q, question(typeSRV))
		if m := decode(b); m.Anomaly != CompressionLoop || m.Name != "" || m.Type != typeSRV {
			t.Errorf("%x: %+v", q, m)
		}
	}
}

func TestDataThatIsNotAsLongAsItsFields(t *testing.T) {
	t.Parallel()
	cut := message(ask(answer, 1), pointer(12), rr(typeSRV, 1, 1, srv(1), name("k.test")))
	cut[47+11]-- // one byte less of data: the name ends behind the record
	for _, c := range []struct {
		name string
		b    []byte
		want Anomaly
		srv  int
	}{
		{"no target", message(ask(answer, 1), pointer(12), rr(typeSRV, 1, 1, srv(1))), BadRData, 0},
		{"no data", message(ask(answer, 1), pointer(12), rr(typeSRV, 1, 1)), BadRData, 0},
		{"a byte behind the target", message(ask(answer, 1), pointer(12), rr(typeSRV, 1, 1, srv(1), name("k.test"), []byte{1})), BadRData, 1},
		{"a target longer than the data", cut, BadRData, 1},
		{"an A of three bytes", message(ask(answer, 1), name("k.test"), rr(typeA, 1, 1, []byte{1, 2, 3})), BadRData, 0},
		{"an alias with a byte behind", message(ask(answer, 1), pointer(12), rr(typeCNAME, 1, 1, name("k.test"), []byte{1})), BadRData, 0},
	} {
		if m := decode(c.b); m.Anomaly != c.want || len(m.SRV) != c.srv {
			t.Errorf("%s: %s, %d SRV", c.name, m.Anomaly, len(m.SRV))
		}
	}
}

func TestCountsThatLie(t *testing.T) {
	t.Parallel()
	rec := message(pointer(12), rr(typeSRV, 1, 1, srv(1), name("k.test")))
	for _, c := range []struct {
		name string
		b    []byte
		want Anomaly
		srv  int
	}{
		{"one record more", message(ask(answer, 2), rec), MissingRecords, 1},
		{"65535 records", message(ask(answer, 65535, 65535, 65535), rec), MissingRecords, 1},
		{"8191 records", message(ask(answer, 8191, 8191, 8191), rec), MissingRecords, 1},
		{"one record less", message(ask(answer, 1), rec, rec), TrailingBytes, 1},
		{"one question more", message(header(query, 2), name(vlmcs), question(typeSRV)), MultipleQuestions, 0},
		{"two OPT", message(ask(query, 0, 0, 2), []byte{0}, rr(typeOPT, 512, 0), []byte{0}, rr(typeOPT, 512, 0)), RepeatedOPT, 0},
		{"a header alone", header(update, 1), MissingRecords, 0},
		{"half a header", header(update, 1)[:11], ShortHeader, 0},
	} {
		if m := decode(c.b); m.Anomaly != c.want || len(m.SRV) != c.srv {
			t.Errorf("%s: %s, %d SRV", c.name, m.Anomaly, len(m.SRV))
		}
	}
}

func TestAQuestionForSRVIsNotHiddenByAnother(t *testing.T) {
	t.Parallel()
	b := message(header(query, 3), name("a.test"), question(typeA), name(vlmcs), question(typeSRV), name("c.test"), question(typeSRV))
	m := decode(b)
	if !Wanted(b) || m.Anomaly != MultipleQuestions || m.Name != vlmcs || m.Type != typeSRV {
		t.Errorf("%+v", m)
	}
	// Owners that point to the first name are that name.
	b = message(header(answer, 2, 1), name("a.test"), question(typeA), name(vlmcs), question(typeSRV),
		pointer(12), rr(typeSRV, 1, 1, srv(1), name("k.test")))
	if m = decode(b); len(m.SRV) != 1 || m.SRV[0].Name != "a.test" {
		t.Errorf("%+v", m)
	}
}

func TestACutMessageGivesWhatIsWhole(t *testing.T) {
	t.Parallel()
	rec := message(pointer(12), rr(typeSRV, 1, 1, srv(1), name("k.test")))
	whole := message(ask(answer, 2), rec, rec)
	for n := range whole {
		m := decode(whole[:n])
		want, srvs := CutMessage, 0
		switch {
		case n < headerSize:
			want = ShortHeader
		case n < headerSize+2:
			want = 0 // not even the first letter: not wanted
		case n < 47:
		case n == 47:
			want = MissingRecords
		case n < 47+len(rec):
		case n == 47+len(rec):
			want, srvs = MissingRecords, 1
		default:
			srvs = 1
		}
		if m.Anomaly != want || len(m.SRV) != srvs {
			t.Errorf("%d bytes: %s, %d SRV, want %s, %d", n, m.Anomaly, len(m.SRV), want, srvs)
		}
	}
	// The name of a question whose type is cut.
	if m := decode(whole[:44]); m.Name != vlmcs {
		t.Errorf("%+v", m)
	}

	tc := message(ask(answer|truncated, 2), rec)
	if m := decode(tc); m.Anomaly != Truncated || !m.Truncated || len(m.SRV) != 1 {
		t.Errorf("TC: %+v", m)
	}
	if m := decode(tc[:len(tc)-1]); m.Anomaly != Truncated || len(m.SRV) != 0 {
		t.Errorf("TC, cut: %+v", m)
	}
	loop := message(ask(answer|truncated, 1), pointer(12), rr(typeSRV, 1, 1, srv(1), pointer(65)))
	if m := decode(loop); m.Anomaly != CompressionLoop {
		t.Errorf("TC, loop: %+v", m)
	}
}

func TestMulticastClassesAndSections(t *testing.T) {
	t.Parallel()
	// No question; the cache-flush bit on every record (RFC 6762 10.2).
	b := message(header(0x8400, 0, 1, 0, 2),
		name("_ipp._tcp.local"), rr(12, 1, 10, name("p._ipp._tcp.local")),
		name("p._ipp._tcp.local"), rr(typeSRV, 0x8001, 10, srv(631), name("p.local")),
		name("p.local"), rr(typeA, 0x8001, 10, []byte{10, 0, 0, 9}))
	want := &Message{
		ID: 0x1d0c, Response: true,
		SRV: []SRV{{Name: "p._ipp._tcp.local", TTL: 10, Weight: 100, Port: 631, Target: "p.local",
			Addresses: addrs("10.0.0.9"), Section: Additional}},
	}
	if d := diff(want, decode(b)); !Wanted(b) || d != "" {
		t.Error(d)
	}
	chaos := message(ask(answer, 1), pointer(12), rr(typeSRV, 3, 1, srv(1), name("k.test")))
	if m := decode(chaos); len(m.SRV) != 0 || m.Anomaly != 0 {
		t.Errorf("class CH: %+v", m)
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	// 1100 SRV of one target with 1100 addresses: both are cut, and shared.
	b := ask(answer, 1100, 0, 1100)
	for range 1100 {
		b = message(b, pointer(12), rr(typeSRV, 1, 1, srv(1), []byte{0}))
	}
	for i := range 1100 {
		b = message(b, []byte{0}, rr(typeA, 1, 1, []byte{10, 0, byte(i >> 8), byte(i)}))
	}
	m := decode(b)
	if m.Anomaly != TooManyRecords || len(m.SRV) != maxSRV || len(m.SRV[9].Addresses) != maxGlue || m.SRV[9].Target != "." {
		t.Errorf("%s, %d SRV, %d addresses", m.Anomaly, len(m.SRV), len(m.SRV[9].Addresses))
	}
	if n := cap(m.scratch.addrs); n > 2*maxGlue {
		t.Errorf("room for %d addresses", n)
	}
	// Of an UPDATE less is kept.
	b = message(header(update, 1, 0, 200), name("a.test"), question(typeSOA))
	for range 200 {
		b = message(b, name("_a.test"), rr(typeSRV, 1, 1, srv(1), []byte{0}))
	}
	if m.Decode(b); m.Anomaly != TooManyRecords || len(m.SRV) != maxChanges {
		t.Errorf("%s, %d changes", m.Anomaly, len(m.SRV))
	}
	// Names that never come again do not pile up.
	for i := range 3 * maxNames {
		m.Decode(message(header(query, 1), name(fmt.Sprintf("_%d.test", i)), question(typeSRV)))
	}
	if n := len(m.scratch.names); n > maxNames {
		t.Errorf("%d names", n)
	}
}

func TestACloneIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := message(ask(answer, 2, 0, 1),
		pointer(12), rr(typeCNAME, 1, 60, name("b.test")),
		name("b.test"), rr(typeSRV, 1, 1, srv(1), name("k.test")),
		name("k.test"), rr(typeA, 1, 1, []byte{10, 0, 0, 1}))
	m := decode(b)
	c, want := m.Clone(), decode(b)
	other := message(ask(answer, 2, 0, 1),
		pointer(12), rr(typeCNAME, 1, 60, name("x.test")),
		name("x.test"), rr(typeSRV, 1, 9, srv(9), name("y.test")),
		name("y.test"), rr(typeA, 1, 1, []byte{9, 9, 9, 9}))
	m.Decode(other)
	if d := diff(want, c); d != "" {
		t.Error(d)
	}
	c.Decode(other) // and it can be used again itself
	if d := diff(m, c); d != "" {
		t.Error(d)
	}
}

func TestWantedLetsGoWhatIsNotAboutSRV(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"SRV", ask(query), true},
		{"SRV, in capitals", message(header(query, 1), name("_VLMCS._TCP.X"), question(typeSRV)), true},
		{"SRV of a name without a service", message(header(query, 1), name("x.test"), question(typeSRV)), true},
		{"ANY", message(header(query, 1), name("x.test"), question(typeANY)), true},
		{"TXT of a service", message(header(query, 1), name("_x.test"), question(16)), true},
		{"UPDATE", message(header(update, 1), name("test"), question(typeSOA)), true},
		{"the answer to an UPDATE", header(0xa800), true},
		{"A", message(header(query, 1), name("www.example.test"), question(typeA)), false},
		{"A with an underscore inside", message(header(query, 1), name("w_w.example.test"), question(typeA)), false},
		{"an answer of A", message(header(answer, 1, 1), name("x.test"), question(typeA), pointer(12), rr(typeA, 1, 1, []byte{1, 2, 3, 4})), false},
		{"NOTIFY", message(header(0x2000, 1), name("_x.test"), question(typeSRV)), false},
		{"no question, no answer", header(answer), false},
		{"17 questions", message(header(query, 17), name("_x.test"), question(typeSRV)), false},
		{"a UPDATE of 17 zones", header(update, 17), false},
		{"half a header", ask(query)[:11], false},
		{"nothing", nil, false},
		{"the root for NS", message(header(query, 1), []byte{0}, question(2)), false},
		{"the root, then an underscore", message(header(query, 1), []byte{0}, []byte{'_', 1, 0, 1}), false},
		{"a reserved label", message(header(query, 1), []byte("\x7f_x\x00"), question(typeSRV)), false},
		{"a name that runs off", message(header(query, 1), []byte("\x3fx")), false},
		{"a cut type", message(header(query, 1), name("x.test"), []byte{0, 33, 0}), false},
		{"a NetBIOS name query", message(header(0x0110, 1), name("ENEBFCFEEJECEPEPELCACACACACACAAA"), question(32)), false},
	} {
		if Wanted(c.b) != c.want {
			t.Errorf("%s: %v", c.name, !c.want)
		}
		if m := decode(c.b); !c.want && len(m.SRV) != 0 {
			t.Errorf("%s: %d SRV", c.name, len(m.SRV))
		}
	}
}

func TestEveryAnomalyHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for a := range anomalies {
		if s := a.String(); s == "" || seen[s] {
			t.Errorf("anomaly %d: %q", uint8(a), s)
		} else {
			seen[s] = true
		}
	}
	if s := anomalies.String(); s != "unknown" {
		t.Errorf("beyond the last: %q", s)
	}
}

func TestRegistryNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{TypeName(33), "SRV"}, {TypeName(255), "ANY"}, {TypeName(6), "SOA"}, {TypeName(65280), "TYPE65280"},
		{RCodeName(0), "NOERROR"}, {RCodeName(3), "NXDOMAIN"}, {RCodeName(5), "REFUSED"}, {RCodeName(9), "NOTAUTH"},
		{RCodeName(12), "RCODE12"}, {RCodeName(16), "BADVERS"}, {RCodeName(23), "BADCOOKIE"}, {RCodeName(4095), "RCODE4095"},
		{Change(9).String(), "unknown"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// lookup is a query and its answer with two hosts, as they come again and again.
func lookup() (q, a []byte) {
	q = message(ask(query, 0, 0, 1), []byte{0}, rr(typeOPT, 1232, 0))
	a = message(ask(answer, 2, 0, 3),
		pointer(12), rr(typeSRV, 1, 900, srv(1688), name("kms1.corp.example.test")), // target at 65
		pointer(12), rr(typeSRV, 1, 900, srv(1688), name("kms2.corp.example.test")), // target at 65+23+12+6
		pointer(65), rr(typeA, 1, 900, []byte{10, 66, 10, 10}),
		pointer(65+24+12+6), rr(typeA, 1, 900, []byte{10, 66, 10, 11}),
		[]byte{0}, rr(typeOPT, 1232, 0))
	return q, a
}

func TestALookupAllocatesNothingTheSecondTime(t *testing.T) {
	q, a := lookup()
	var m Message
	if n := testing.AllocsPerRun(100, func() {
		m.Decode(q)
		m.Decode(a)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if m.Anomaly != 0 || len(m.SRV) != 2 || len(m.SRV[0].Addresses) != 1 || len(m.SRV[1].Addresses) != 1 {
		t.Errorf("%+v", m)
	}
}

func TestWantedAllocatesNothing(t *testing.T) {
	b := message(header(answer, 1, 1), name("www.corp.example.test"), question(typeA), pointer(12), rr(typeA, 1, 1, []byte{1, 2, 3, 4}))
	if n := testing.AllocsPerRun(100, func() {
		if Wanted(b) {
			t.Fatal("wanted")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	q, a := lookup()
	var m Message
	b.ReportAllocs()
	b.SetBytes(int64(len(q) + len(a)))
	for b.Loop() {
		m.Decode(q)
		m.Decode(a)
	}
}

func BenchmarkNotWanted(b *testing.B) {
	msg := message(header(query, 1), name("www.corp.example.test"), question(typeA))
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		if Wanted(msg) {
			b.Fatal("wanted")
		}
	}
}

// BenchmarkHostile is a message of 64 KiB that makes as much work as one can:
// each name is a pointer to 127 labels.
func BenchmarkHostile(b *testing.B) {
	msg := message(header(answer, 1, maxSRV, 0, 2500), []byte(strings.Repeat("\x01_", 127)+"\x00"), question(typeSRV))
	for range maxSRV {
		msg = message(msg, pointer(14), rr(typeSRV, 1, 1, srv(1), pointer(14)))
	}
	for range 2500 {
		msg = message(msg, pointer(14), rr(typeA, 1, 1, []byte{1, 2, 3, 4}))
	}
	var m Message
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		m.Decode(msg)
	}
}

// second is the opinion of dnsmessage on the SRV records of a message; false
// if it refuses the message anywhere.
func second(b []byte) (found []SRV, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || p.SkipAllQuestions() != nil {
		return nil, false
	}
	// Reading a record, dnsmessage does not mind that it ends beyond the
	// message; skipping it, it does.
	if q := p; q.SkipAllAnswers() != nil || q.SkipAllAuthorities() != nil || q.SkipAllAdditionals() != nil {
		return nil, false
	}
	section := Answer
	next := []func() (dnsmessage.ResourceHeader, error){p.AnswerHeader, p.AuthorityHeader, p.AdditionalHeader}
	skip := []func() error{p.SkipAnswer, p.SkipAuthority, p.SkipAdditional}
	for section <= Additional {
		r, err := next[section-1]()
		if err == dnsmessage.ErrSectionDone {
			section++
			continue
		}
		if err != nil {
			return nil, false
		}
		change, take := NoChange, false
		if h.OpCode == OpcodeUpdate {
			switch {
			case section != Update:
			case r.Type == typeSRV && r.Class == classIN:
				change, take = Add, true
			case r.Type == typeSRV && r.Class == classNONE:
				change, take = Delete, true
			case r.Type == typeSRV && r.Class == classANY:
				change = DeleteSet
			case r.Type == typeANY && r.Class == classANY:
				if service([]byte(text(r.Name))) {
					change = DeleteAll
				}
			}
		} else {
			take = r.Type == typeSRV && r.Class&classMask == classIN
		}
		v := SRV{Name: text(r.Name), TTL: r.TTL, Change: change, Section: section}
		if change != NoChange && !take {
			found = append(found, v)
		}
		if !take {
			if skip[section-1]() != nil {
				return nil, false
			}
			continue
		}
		if r.Length < 7 {
			return nil, false // dnsmessage reads on beyond the record
		}
		d, err := p.SRVResource()
		if err != nil {
			return nil, false
		}
		v.Priority, v.Weight, v.Port, v.Target = d.Priority, d.Weight, d.Port, text(d.Target)
		found = append(found, v)
	}
	return found, true
}

// text writes a name of dnsmessage, in which no label has a dot, as we do.
func text(n dnsmessage.Name) string {
	if n.Length <= 1 {
		return "."
	}
	var b strings.Builder
	for _, c := range n.Data[:n.Length-1] {
		switch {
		case c == '\\':
			b.WriteString(`\\`)
		case c <= ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
