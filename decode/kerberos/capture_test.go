package kerberos

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"kmswatch/decode/ber"
)

// captured gives the messages of port 88 in a capture where it is present, the
// segments of TCP being in order or sorted so.
func captured(t testing.TB, file string) (messages [][]byte) {
	b, err := os.ReadFile(filepath.Join("../../../shared/captures", file))
	if err != nil {
		return nil
	}
	var r gopacket.PacketDataSource
	if bytes.HasPrefix(b, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		r, err = pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	} else {
		r, err = pcapgo.NewReader(bytes.NewReader(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	type segment struct {
		seq uint32
		b   []byte
	}
	streams := map[string][]segment{}
	var order []string
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			break
		}
		p := gopacket.NewPacket(data, layers.LinkTypeEthernet, gopacket.NoCopy)
		switch l := p.TransportLayer().(type) {
		case *layers.UDP:
			if (l.SrcPort == 88 || l.DstPort == 88) && len(l.Payload) > 4 {
				messages = append(messages, l.Payload)
			}
		case *layers.TCP:
			if l.SrcPort != 88 && l.DstPort != 88 || len(l.Payload) == 0 {
				continue
			}
			key := fmt.Sprint(p.NetworkLayer().NetworkFlow(), l.TransportFlow())
			if streams[key] == nil {
				order = append(order, key)
			}
			streams[key] = append(streams[key], segment{l.Seq, l.Payload})
		}
	}
	for _, key := range order {
		s := streams[key]
		slices.SortStableFunc(s, func(a, b segment) int { return int(int32(a.seq - b.seq)) })
		var all []byte
		next := s[0].seq
		for _, g := range s {
			if skip := int(int32(next - g.seq)); skip >= 0 && skip < len(g.b) {
				all = append(all, g.b[skip:]...)
				next += uint32(len(g.b) - skip)
			}
		}
		for {
			m, used := Split(all)
			if used <= 0 {
				break
			}
			messages = append(messages, m)
			all = all[used:]
		}
	}
	return messages
}

// line writes a message on one line.
func line(m *Message) string {
	s := m.Type.String()
	add := func(k string, v any) { s += fmt.Sprintf(" %s=%v", k, v) }
	if m.Client != "" || m.ClientRealm != "" {
		add("client", m.Client+"@"+m.ClientRealm)
	}
	add("service", m.Service+"@"+m.Realm)
	if m.Type == Error {
		add("error", ErrorName(m.ErrorCode))
	}
	if m.Status != 0 {
		add("status", fmt.Sprintf("%#x", m.Status))
	}
	if m.ETypeCount != 0 {
		add("etypes", m.AskedETypes())
	}
	if m.PADataCount != 0 {
		add("padata", m.PADataTypes())
	}
	if m.EncPart != 0 {
		add("enc", m.EncPart)
	}
	if m.Ticket.Present {
		add("ticket", fmt.Sprintf("%s@%s/%d", m.Ticket.Service, m.Ticket.Realm, m.Ticket.EType))
	}
	return s
}

// inCaptures is what tshark 4.0 sees too, a few of each capture.
var inCaptures = []struct {
	file     string
	messages int
	lines    []string
}{
	{"arkime/krb5-tcp.pcap", 1, []string{
		"AS-REQ client=xxxxxxxxxxx$@xxxxxxxxxxxxxx.xxxxxx.xxx.COM service=krbtgt/xxxxxxxxxxxxxx.xxxxxx.xxx.COM@xxxxxxxxxxxxxx.xxxxxx.xxx.COM etypes=[18 23 -133 -128 24 -135] padata=[128]",
	}},
	{"ndpi/kerberos-error.pcap", 2, []string{
		"KRB-ERROR service=krbtgt/LINUX.SHELL.COM@LINUX.SHELL.COM error=KRB_ERR_RESPONSE_TOO_BIG",
	}},
	{"ndpi/kerberos-login.pcap", 26, []string{
		"TGS-REQ service=ldap/vpc-w2k3ent.denyDC.com/denyDC.com@DENYDC.COM etypes=[23 -133 -128 3 1 24 -135] padata=[1] ticket=krbtgt/DENYDC.COM@DENYDC.COM/23",
		"TGS-REP client=UBUNTU64A$@TESTBED1.CA service=ldap/dc@TESTBED1.CA padata=[136] enc=23 ticket=ldap/dc@TESTBED1.CA/23",
	}},
	{"ndpi/kerberos.pcap", 19, []string{
		"KRB-ERROR service=krbtgt/HAPPYCRAFT.ORG@HAPPYCRAFT.ORG error=KDC_ERR_PREAUTH_REQUIRED padata=[19 2 16 15]",
		"KRB-ERROR service=johnson-pc$@HAPPYCRAFT.ORG@HAPPYCRAFT.ORG error=KDC_ERR_BADOPTION status=0xc00000bb",
	}},
	{"zeek/krb-kerberos_tso.pcapng", 14, []string{
		"AS-REP client=Administrator@TEST.LOCAL service=krbtgt/TEST.LOCAL@TEST.LOCAL padata=[19] enc=18 ticket=krbtgt/TEST.LOCAL@TEST.LOCAL/18",
		"TGS-REP client=DESKTOP-RBDMVVA$@TEST.LOCAL service=cifs/WIN-R5NF6DMLDVH@TEST.LOCAL enc=18 ticket=cifs/WIN-R5NF6DMLDVH@TEST.LOCAL/18",
	}},
	// Two requests in one segment, the second without the ticket that it needs.
	{"suricata-verify/bug-8278-krb5-01-evasion.1.flow.1.segment.pcap", 2, []string{
		"AS-REQ client=testuser@DEMO.LOCAL service=krbtgt/DEMO.LOCAL@DEMO.LOCAL etypes=[18 17]",
		"TGS-REQ client=testuser@ service=krbtgt/DEMO.LOCAL@DEMO.LOCAL etypes=[18 17]",
	}},
	// The ticket to be cracked is of RC4 though the client can AES.
	{"suricata-verify/krb5-kerberoasting-kerberoast.pcap", 2, []string{
		"TGS-REP client=spotless@OFFENSE.LOCAL service=HTTP/dc-mantvydas.offense.local@OFFENSE.LOCAL enc=18 ticket=HTTP/dc-mantvydas.offense.local@OFFENSE.LOCAL/23",
	}},
	{"suricata-verify/krb5-krb5_msg_type.pcap", 10, nil},
	{"suricata-verify/krb5-probing-krb.pcap", 2, nil},
	{"suricata-verify/krb5-request-frag-log-krb5-frag.pcap", 6, nil},
}

func TestCaptures(t *testing.T) {
	t.Parallel()
	var m Message
	for _, c := range inCaptures {
		messages := captured(t, c.file)
		if messages == nil {
			t.Skip("no captures")
		}
		var lines []string
		for i, b := range messages {
			if a := m.Decode(b); a != 0 {
				t.Errorf("%s: message %d: %s", c.file, i, a)
			}
			if !Plausible(b) {
				t.Errorf("%s: message %d is not plausible", c.file, i)
			}
			lines = append(lines, line(&m))
		}
		if len(messages) != c.messages {
			t.Errorf("%s: %d messages, want %d", c.file, len(messages), c.messages)
		}
		for _, want := range c.lines {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no\n%s\nin\n%s", c.file, want, strings.Join(lines, "\n"))
			}
		}
	}
}

// A KRB-ERROR that lacks what it must have, made for a test of Zeek.
func TestCaptureOfACrippledError(t *testing.T) {
	t.Parallel()
	for _, b := range captured(t, "zeek/krb-error-preauth-padata.pcap") {
		var m Message
		if a := m.Decode(b); a != MissingField || m.Type != 0 {
			t.Errorf("%s: %s", a, line(&m))
		}
	}
}

// tokens finds GSS-API tokens in the bytes of a capture, in whatever protocol.
func tokens(t testing.TB, file string) (found [][]byte) {
	b, err := os.ReadFile(filepath.Join("../../../shared/captures", file))
	if err != nil {
		return nil
	}
	for i := range b {
		if b[i] != 0x60 || i+18 > len(b) || !bytes.Contains(b[i+2:i+18], oidKerberos) {
			continue
		}
		var m Message
		if m.Decode(b[i:]).Lost() {
			continue
		}
		_, total, _ := ber.Head(b[i:])
		found = append(found, b[i:i+total:i+total])
	}
	return found
}

func TestCapturesOfTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		want []string
	}{
		{"zeek/dce-rpc-kerberos445_auth.pcapng", []string{"kerberos AP-REP service=@ enc=18"}},
		{"zeek/krb-kerberos_tso.pcapng", []string{
			"kerberos AP-REQ service=cifs/win7.test.local@TEST.LOCAL enc=18 ticket=cifs/win7.test.local@TEST.LOCAL/18",
			"kerberos AP-REP service=@ enc=18",
			"kerberos AP-REQ service=cifs/WIN-R5NF6DMLDVH.TEST.local@TEST.LOCAL enc=18 ticket=cifs/WIN-R5NF6DMLDVH.TEST.local@TEST.LOCAL/18",
			"kerberos AP-REP service=@ enc=18",
			"kerberos AP-REQ service=cifs/WIN-R5NF6DMLDVH@TEST.LOCAL enc=18 ticket=cifs/WIN-R5NF6DMLDVH@TEST.LOCAL/18",
			"kerberos AP-REP service=@ enc=18",
			"kerberos AP-REQ service=cifs/win7.test.local@TEST.LOCAL enc=18 ticket=cifs/win7.test.local@TEST.LOCAL/18",
			"kerberos AP-REP service=@ enc=18",
		}},
	} {
		var lines []string
		for _, b := range tokens(t, c.file) {
			var m Message
			if a := m.Decode(b); a != 0 {
				t.Error(a)
			}
			lines = append(lines, m.Mechanism.String()+" "+line(&m))
		}
		if lines == nil {
			t.Skip("no captures")
		}
		if !slices.Equal(lines, c.want) {
			t.Errorf("%s:\n%s", c.file, strings.Join(lines, "\n"))
		}
	}
}
