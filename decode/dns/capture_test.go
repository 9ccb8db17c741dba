package dns

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// captured gives the payloads of DNS over UDP, and the messages that TCP
// segments hold whole, of a capture where it is present.
func captured(t testing.TB, file string) (messages [][]byte) {
	b, err := os.ReadFile(filepath.Join("../../../shared/captures", file))
	if err != nil {
		return nil
	}
	var r interface {
		gopacket.PacketDataSource
		LinkType() layers.LinkType
	}
	if bytes.HasPrefix(b, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		r, err = pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	} else {
		r, err = pcapgo.NewReader(bytes.NewReader(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			return messages
		}
		switch l := gopacket.NewPacket(data, layers.LinkTypeEthernet, gopacket.NoCopy).TransportLayer().(type) {
		case *layers.UDP:
			if l.SrcPort == 53 || l.DstPort == 53 {
				messages = append(messages, l.Payload)
			}
		case *layers.TCP:
			if l.SrcPort != 53 && l.DstPort != 53 {
				continue
			}
			for b := l.Payload; ; {
				m, used := Split(b)
				if used == 0 {
					break
				}
				messages = append(messages, m)
				b = b[used:]
			}
		}
	}
}

// lookups are captures with SRV lookups and updates of Active Directory.
var lookups = []string{
	"lab/dns-srv-lookups.pcap",
	"lab/kms-three-versions.pcap",
	"samr-enum-lab/acl_3.1_computers_as_local_Administrator.pcapng",
	"samr-enum-lab/acl_3.2_computers.pcapng",
	"samr-enum-lab/Powershell_evaluation_multiple.ps1.pcapng",
	"zeek-eternalsafety/traces-eternalchampion.pcap",
}

func TestCaptureOfSRVLookups(t *testing.T) {
	t.Parallel()
	messages := captured(t, lookups[0])
	if messages == nil {
		t.Skip("no capture")
	}
	var got []string
	for _, b := range messages {
		m := decode(b)
		if m.Anomaly != 0 {
			t.Errorf("%s: %s", m.Name, m.Anomaly)
		}
		if !Wanted(b) {
			continue
		}
		line := m.Name
		for _, v := range m.SRV {
			if v.Name != m.Name || !m.Response || !v.Compressed || v.TTL != 900 {
				t.Errorf("%+v", v)
			}
			line += " > " + v.Target
		}
		got = append(got, line)
	}
	want := []string{
		"_vlmcs._tcp.corp.example.test",
		"_vlmcs._tcp.corp.example.test > dc1.corp.example.test",
		"_vlmcs._tcp.corp.example.test", // over TCP
		"_vlmcs._tcp.corp.example.test > dc1.corp.example.test",
		"_ldap._tcp.dc._msdcs.corp.example.test",
		"_ldap._tcp.dc._msdcs.corp.example.test > dc1.corp.example.test",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestCapturesAgreeWithDnsmessage(t *testing.T) {
	t.Parallel()
	var m Message
	for _, file := range lookups {
		srv := 0
		for _, b := range captured(t, file) {
			if m.Decode(b); m.Anomaly != 0 {
				t.Errorf("%s: %s: %s", file, m.Name, m.Anomaly)
			}
			agree(t, b, &m)
			srv += len(m.SRV)
		}
		t.Logf("%s: %d SRV", file, srv)
	}
}

// agree holds m, decoded from b, against the second opinion.
func agree(t *testing.T, b []byte, m *Message) {
	t.Helper()
	want, ok := second(b)
	if !ok || !Wanted(b) {
		return
	}
	if m.Anomaly == TooManyRecords {
		want = want[:min(len(m.SRV), len(want))]
	}
	if len(want) != len(m.SRV) {
		t.Fatalf("%d SRV, dnsmessage has %d\n%+v\n%+v", len(m.SRV), len(want), m.SRV, want)
	}
	for i, v := range m.SRV {
		v.Addresses, v.Compressed = nil, false
		if v.Name != want[i].Name || v.Target != want[i].Target || v.TTL != want[i].TTL ||
			v.Port != want[i].Port || v.Weight != want[i].Weight || v.Priority != want[i].Priority ||
			v.Change != want[i].Change || v.Section != want[i].Section {
			t.Fatalf("\n%+v, dnsmessage has\n%+v", v, want[i])
		}
	}
}

// FuzzDNS decodes a message. The oracle: the same again, into a Message used
// before or not, gives the same; what Wanted refuses has no SRV; where
// dnsmessage takes the whole message, it finds the same SRV; what is kept
// stays within its bounds; names are plain text.
func FuzzDNS(f *testing.F) {
	for _, file := range lookups {
		for _, b := range captured(f, file) {
			if Wanted(b) {
				f.Add(b)
			}
		}
	}
	q, a := lookup()
	f.Add(q)
	f.Add(a)
	f.Add(message(ask(answer, 3),
		pointer(12), rr(typeCNAME, 1, 60, name("alias.test")),
		name("b.test"), rr(typeSRV, 0x8001, 60, srv(1688), pointer(12)),
		name("Alias.test"), rr(typeCNAME, 1, 60, name("b.test"))))
	f.Add(message(header(update, 1, 1, 4, 1), name("x.test"), question(typeSOA),
		pointer(12), rr(typeCNAME, classNONE, 0),
		name("_a.x.test"), rr(typeSRV, classANY, 0),
		name("_a.x.test"), rr(typeSRV, classNONE, 0, srv(1), name("o.test")),
		name("_a.x.test"), rr(typeSRV, classIN, 9, srv(1), pointer(12)),
		name("_a.x.test"), rr(typeANY, classANY, 0),
		name("k"), rr(typeTSIG, classANY, 0, name("gss-tsig"), make([]byte, 16))))
	f.Add(message(header(answer|truncated, 2, 1), name("a.test"), question(typeA), name(`_\..test`), question(typeSRV),
		pointer(26), rr(typeSRV, 1, 1, srv(1), pointer(64))))
	var used Message
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Message
		if a := m.Decode(b); a != m.Anomaly || a >= anomalies {
			t.Fatalf("anomaly %d, returned %d", m.Anomaly, a)
		}
		used.Decode(b)
		if d := diff(&m, &used); d != "" {
			t.Fatalf("a Message used before differs: %s", d)
		}
		if !Wanted(b) && len(m.SRV) != 0 {
			t.Fatalf("not wanted, and %d SRV", len(m.SRV))
		}
		if len(m.SRV) > maxSRV || len(m.SRV) > len(b)/11 || len(m.CNAMEs) > maxCNAMEs || len(used.scratch.names) > maxNames {
			t.Fatalf("%d SRV, %d aliases, %d names", len(m.SRV), len(m.CNAMEs), len(used.scratch.names))
		}
		names := append(slices.Clone(m.CNAMEs), m.Name)
		for _, v := range m.SRV {
			names = append(names, v.Name, v.Target)
			if v.Name == "" || (v.Target == "") != (v.Change == DeleteSet || v.Change == DeleteAll) {
				t.Fatalf("%+v", v)
			}
			if (v.Change != NoChange) != (m.Opcode == OpcodeUpdate) {
				t.Fatalf("%+v in opcode %d", v, m.Opcode)
			}
			for _, a := range v.Addresses {
				if !bytes.Contains(b, a.AsSlice()) {
					t.Fatalf("%s is not in the message", a)
				}
			}
		}
		for _, n := range names {
			for _, c := range []byte(n) {
				if c <= ' ' || c > '~' || c >= 'A' && c <= 'Z' {
					t.Fatalf("%q", n)
				}
			}
		}
		if len(b) >= headerSize && m.ID != binary.BigEndian.Uint16(b) {
			t.Fatalf("id %#x", m.ID)
		}
		agree(t, b, &m)
		// What a cut message gives, the whole one gives too.
		var cut Message
		cut.Decode(b[:len(b)*3/4])
		if len(cut.SRV) > len(m.SRV) && m.Anomaly != TooManyRecords {
			t.Fatalf("%d SRV, cut %d", len(m.SRV), len(cut.SRV))
		}
	})
}
