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
	link := layers.LinkTypeEthernet
	if bytes.HasPrefix(b, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		r, err = pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	} else {
		var p *pcapgo.Reader
		p, err = pcapgo.NewReader(bytes.NewReader(b))
		r, link = p, p.LinkType()
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

func TestDump(t *testing.T) {
	for _, f := range strings.Split(os.Getenv("DUMP"), ",") {
		s, _ := play(t, f, Config{Messages: os.Getenv("MSG") != ""})
		fmt.Println("==", f)
		fmt.Println(s)
	}
}
