package ldap

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"kmswatch/decode/dcerpc"
)

// record writes down what a handler is told.
type record struct {
	lines  []string
	tokens [][]byte
}

func (r *record) add(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *record) take() string {
	s := strings.Join(r.lines, "\n")
	r.lines = nil
	return s
}

func (r *record) Message(side int, m *Message) {
	s := fmt.Sprintf("%d %d %s", side, m.ID, m.Op)
	if m.Op == BindRequest {
		s += fmt.Sprintf(" v%d %s", m.Version, m.Auth)
		if m.Mechanism != "" {
			s += " " + m.Mechanism
		}
	}
	if m.Name != "" {
		s += fmt.Sprintf(" %q", m.Name)
	}
	if m.Op == SearchRequest {
		s += fmt.Sprintf(" %s %s", m.Scope, m.Filter)
		_, attributes := m.Kept()
		s += fmt.Sprint(" ", attributes)
	}
	if m.HasResult {
		s += " " + m.Result.String()
	}
	if m.MatchedDN != "" {
		s += fmt.Sprintf(" matched %q", m.MatchedDN)
	}
	if m.Cut {
		s += " cut"
	}
	r.add("%s", s)
}

func (r *record) Bind(b *Bind) {
	s := "bind " + b.Kind.String()
	if b.Mechanism != "" {
		s += " " + b.Mechanism
	}
	s += fmt.Sprintf(" %q %s", b.Name, b.Outcome)
	if b.HasResult {
		s += " " + b.Result.String()
	}
	r.add("%s legs %d @%d-%d", s, b.Legs, b.Request.Frame, b.Answer.Frame)
}

func (r *record) Token(client bool, mechanism string, b []byte) {
	r.add("token client=%t %s %d", client, mechanism, len(b))
	r.tokens = append(r.tokens, b)
}

func (r *record) Search(s *Search) {
	t := fmt.Sprintf("search %q %s %s %v/%d by %s", s.Base, s.Scope, s.Filter, s.Attributes, s.Asked, s.Identity)
	if s.RootDSE {
		t += " rootdse"
	}
	if s.NetlogonPing {
		t += " ping"
	}
	t += fmt.Sprintf(" %s", s.Outcome)
	if s.HasResult {
		t += " " + s.Result.String()
	}
	r.add("%s entries %d references %d @%d-%d", t, s.Entries, s.References, s.Request.Frame, s.Answer.Frame)
}

func (r *record) Opaque(o Opaque) { r.add("opaque %s", o) }

func (r *record) Anomaly(side int, a Anomaly, offset int) { r.add("%d anomaly %s", side, a) }

// flow is a connection of a capture.
type flow struct {
	conn Conn
	rec  record
	next [2]uint32
	seen [2]bool
	left [2][]byte
	wait [2]map[uint32][]byte
}

func (f *flow) data(side int, b []byte, at dcerpc.Point) {
	all := append(f.left[side], b...)
	used := f.conn.Data(side, all, len(f.left[side]) == 0, at, &f.rec)
	f.left[side] = all[used:]
}

// segment puts segments in order.
func (f *flow) segment(side int, seq uint32, b []byte, at dcerpc.Point) {
	if !f.seen[side] {
		f.seen[side], f.next[side] = true, seq
	}
	switch skip := int(int32(f.next[side] - seq)); {
	case skip < 0:
		if f.wait[side] == nil {
			f.wait[side] = map[uint32][]byte{}
		}
		f.wait[side][seq] = b
		return
	case skip >= len(b):
		return
	default:
		f.data(side, b[skip:], at)
		f.next[side] = seq + uint32(len(b))
	}
	if b, ok := f.wait[side][f.next[side]]; ok {
		delete(f.wait[side], f.next[side])
		f.segment(side, f.next[side], b, at)
	}
}

// ports of LDAP and of the global catalogue.
func isLDAP(port int) bool { return port == 389 || port == 3268 }

// play gives what the connections of a capture tell, one after the other.
func play(t testing.TB, file string, cfg Config) (lines string, rec *record) {
	b, err := os.ReadFile(filepath.Join("../../../shared/captures", file))
	if err != nil {
		t.Skip("no captures")
	}
	var r gopacket.PacketDataSource
	var link gopacket.Decoder = layers.LinkTypeEthernet
	if bytes.HasPrefix(b, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		r, err = pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	} else {
		var p *pcapgo.Reader
		p, err = pcapgo.NewReader(bytes.NewReader(b))
		if r = p; err == nil && p.LinkType() == layers.LinkTypeIPv4 {
			link = layers.LayerTypeIPv4
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	flows := map[string]*flow{}
	var order []*flow
	get := func(p gopacket.Packet, tr gopacket.Flow, server bool) (*flow, int) {
		n := p.NetworkLayer().NetworkFlow()
		side := 0
		if server {
			n, tr, side = n.Reverse(), tr.Reverse(), 1
		}
		key := fmt.Sprint(p.TransportLayer().LayerType(), n, tr)
		f := flows[key]
		if f == nil {
			f = new(flow)
			f.conn.Reset(&cfg)
			f.conn.FromStart()
			flows[key] = f
			order = append(order, f)
		}
		return f, side
	}
	var at dcerpc.Point
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			break
		}
		at.Frame++
		p := gopacket.NewPacket(data, link, gopacket.NoCopy)
		if p.NetworkLayer() == nil {
			continue
		}
		switch l := p.TransportLayer().(type) {
		case *layers.UDP:
			if isLDAP(int(l.SrcPort)) || isLDAP(int(l.DstPort)) {
				f, side := get(p, l.TransportFlow(), isLDAP(int(l.SrcPort)))
				f.conn.Datagram(side, l.Payload, at, &f.rec)
			}
		case *layers.TCP:
			if (isLDAP(int(l.SrcPort)) || isLDAP(int(l.DstPort))) && len(l.Payload) != 0 {
				f, side := get(p, l.TransportFlow(), isLDAP(int(l.SrcPort)))
				f.segment(side, l.Seq, l.Payload, at)
			}
		}
	}
	rec = new(record)
	for _, f := range order {
		f.conn.End(at, true, &f.rec)
		rec.lines = append(rec.lines, f.rec.lines...)
		rec.tokens = append(rec.tokens, f.rec.tokens...)
	}
	return strings.Join(rec.lines, "\n"), rec
}

func TestCaptures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		want []string // lines that are told
	}{
		{"arkime/ldap-and-search.pcap", []string{
			`bind anonymous "" accepted success legs 1 @4-6`,
			`search "" wholeSubtree (&(cn=*fred*)(dn=joe)) []/0 by anonymous answered noSuchObject entries 0 references 0 @8-9`,
		}},
		{"arkime/ldap-simpleauth.pcap", []string{
			`bind simple "xxxxxxxxxxx@xx.xxx.xxxxx.net" accepted success legs 1 @4-5`,
			`search "DC=xx,DC=xxx,DC=xxxxx,DC=net" wholeSubtree (&(objectclass=*)(sAMAccountName=xxxxxxxx)) [sAMAccountName]/1 by authenticated answered success entries 1 references 0 @7-8`,
		}},
		{"zeek/ldap-aduser1-ntlm.pcap", []string{
			`bind sicily sicily "User1" accepted success legs 2 @4-8`,
			`search "dc=ADHACKING,dc=LOCAL" wholeSubtree (&(sAMAccountName=*)(mail=*)(!(UserAccountControl:1.2.840.113556.1.4.803:=2))) [sAMAccountName pwdLastSet mail lastLogon]/4 by authenticated answered success entries 3 references 3 @9-10`,
		}},
		{"zeek/ldap-ldap_invalid_credentials.pcap", []string{
			`bind sasl GSS-SPNEGO "" refused invalidCredentials legs 2 @1-4`,
		}},
		{"zeek/ldap-modify-request.pcapng", []string{
			`bind sasl GSS-SPNEGO "" accepted success legs 1 @9-11`,
			"opaque security-layer",
		}},
		{"zeek/ldap-sasl-srp-who-am-i.pcap", []string{
			`bind sasl SRP "" accepted success legs 2 @4-9`,
			"opaque security-layer",
		}},
		{"suricata-verify/ldap-bind-ldap.pcap", []string{
			`bind sasl CRAM-MD5 "" unfinished saslBindInProgress legs 1 @4-6`,
		}},
		{"zeek/ldap-ldap_search_umlaut.pcap", []string{
			`search "dc=example,dc=com" wholeSubtree (name=Üü) []/0 by anonymous unanswered entries 0 references 0 @4-0`,
		}},
		// The netlogon ping over UDP.
		{"zeek-eternalsafety/traces-eternalchampion.pcap", []string{
			`search "" baseObject (&(DnsDomain=pixelshine.net.)(Host=RIGSBY-WIN-PC)(NtVer=\16\00\00\a0)) [Netlogon]/1 by anonymous rootdse ping answered success entries 1 references 0 @330-331`,
		}},
	} {
		got, _ := play(t, c.file, Config{})
		for _, want := range c.want {
			if !strings.Contains("\n"+got+"\n", "\n"+want+"\n") {
				t.Errorf("%s: no\n%s\nin\n%s", c.file, want, got)
			}
		}
	}
}

// Filters of a thousand levels, made against Zeek: they are refused, and the
// searches told all the same.
func TestCaptureOfDeepFilters(t *testing.T) {
	t.Parallel()
	got, _ := play(t, "zeek/ldap-ldap-max-recursion.pcap", Config{})
	if n, m := strings.Count(got, "anomaly filter-too-deep"), strings.Count(got, "search "); n != 100 || m != 100 {
		t.Errorf("%d anomalies, %d searches", n, m)
	}
}

// What tshark 4.0 lists of messages, where nothing hides any.
func TestMessagesOfCaptures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		want []string
	}{
		{"suricata-verify/ldap-add-ldap.pcap", []string{`0 2 addRequest "dc=example,dc=com"`, `1 2 addResponse success`}},
		{"suricata-verify/ldap-modify-dn-ldap.pcap", []string{
			`0 2 modDNRequest "uid=jdoe,ou=People,dc=example,dc=com"`, `1 2 modDNResponse success`,
		}},
		{"suricata-verify/ldap-compare-ldap.pcap", []string{
			`0 2 compareRequest "uid=jdoe,ou=People,dc=example,dc=com"`, `1 2 compareResponse compareTrue`,
		}},
		{"suricata-verify/ldap-abandon-ldap.pcap", []string{`0 6 abandonRequest`}},
		{"suricata-verify/ldap-unsolicited-ldap.pcap", []string{`1 0 extendedResp "1.3.6.1.4.1.1466.20036" unavailable`}},
		{"arkime/ldap-and-search.pcap", []string{
			`0 1 bindRequest v3 simple`,
			`1 1 bindResponse success`,
			`0 2 searchRequest wholeSubtree (&(cn=*fred*)(dn=joe)) []`,
			`1 2 searchResDone noSuchObject`,
			`0 3 unbindRequest`,
		}},
	} {
		_, rec := play(t, c.file, Config{Messages: true})
		var got []string
		for _, l := range rec.lines {
			if l[0] == '0' || l[0] == '1' {
				got = append(got, l)
			}
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", c.file, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}
