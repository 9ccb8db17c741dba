package auth

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"kmswatch/decode/ber"
)

// find gives the first token in a segment's payload, nil if there is none.
func find(b []byte) []byte {
	for i := range b {
		switch {
		case bytes.HasPrefix(b[i:], []byte("NTLMSSP\x00")):
			return b[i:]
		case b[i] != 0x60 && b[i] != 0xa1:
			continue
		}
		e, total, v := ber.Head(b[i:])
		if v != ber.Whole || total < 9 {
			continue
		}
		inner, size, v := ber.Head(e.Content)
		if v != ber.Whole || b[i] == 0x60 && inner.Tag != ber.ObjectIdentifier || b[i] == 0xa1 && (inner.Tag != ber.Sequence || size != len(e.Content)) {
			continue
		}
		return b[i : i+total]
	}
	return nil
}

// exchanges follows the first exchange of each connection of a capture in which
// a client says who it is.
func exchanges(t *testing.T, file string) (callers []string, anomalies []Anomaly) {
	f, err := os.Open("../../../shared/captures/" + file)
	if err != nil {
		t.Logf("%s: no capture", file)
		return nil, nil
	}
	defer f.Close()
	var r interface {
		ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
		LinkType() layers.LinkType
	}
	if strings.Contains(file, ".pcapng") {
		r, err = pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	} else {
		r, err = pcapgo.NewReader(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	type key struct{ client, server layers.TCPPort }
	type state struct {
		Exchange
		ended bool
	}
	flows := map[key]*state{}
	var order []key
	for {
		data, _, err := r.ReadPacketData()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(data, r.LinkType(), gopacket.NoCopy)
		tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if tcp == nil || tcp.SrcPort == 443 || tcp.DstPort == 443 { // TLS looks like anything
			continue
		}
		token := find(tcp.Payload)
		if token == nil {
			continue
		}
		// Clients of these captures have the higher port.
		k, fromClient := key{tcp.SrcPort, tcp.DstPort}, true
		if k.client < k.server {
			k, fromClient = key{k.server, k.client}, false
		}
		x := flows[k]
		if x == nil {
			x = &state{}
			x.Reset(Negotiate)
			flows[k] = x
			order = append(order, k)
		}
		if x.ended {
			continue
		}
		if a := x.Token(fromClient, token); a != 0 {
			anomalies = append(anomalies, a)
		}
		x.ended = x.Told() && (!fromClient || x.Done())
	}
	for _, k := range order {
		x := flows[k]
		if x.Told() {
			callers = append(callers, x.Caller().String()+" "+x.now.Mechanism.String()+" "+x.now.Accepted.String())
		}
	}
	return callers, anomalies
}

func TestCaptures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file string
		want []string
	}{
		{"lab/smb1-null-session.pcap", []string{"anonymous ntlm yes", "anonymous ntlm yes", "anonymous ntlm yes"}},
		{"lab/smb2-anonymous-enumeration.pcap", []string{"anonymous ntlm yes"}},
		{"lab/tcp-sealed-samr.pcap", []string{`WORKGROUP\Administrator ntlm undecided`}},
		{"zeek/smb-raw_ntlm_in_smb.pcap", []string{`TEST-F7DFBC3FE9\test ntlm undecided`}},
		{"zeek/ldap-aduser1-ntlm.pcap", []string{`ADHACKING.LOCAL\User1 ntlm undecided`}},
		{"ntlmrawunhide/examples-capture.pcap", []string{`WORKGROUP\mikeg ntlm yes`}},
		{"suricata-verify/smb3-01.pcap", []string{`SUSE\administrator ntlm undecided`}},
		{"arkime/ntlm_synthetic.pcap", []string{
			`ARKDOM1\alice1 ntlm undecided`, `SPNDOM\bob ntlm undecided`, `V6DOM\charlie ntlm undecided`, `LDAPDOM\frank ntlm undecided`,
			`SASLDOM\grace ntlm undecided`, `RPC6DOM\ivy ntlm undecided`, `TDSDOM\mona ntlm undecided`,
		}},
		{"arkime/smbtorture-ntlmssp.pcap", []string{`VNET3\administrator ntlm yes`}},
		{"zeek-eternalsafety/traces-eternalchampion.pcap", []string{"anonymous ntlm yes", "named by kerberos kerberos yes", "anonymous ntlm yes"}},
		{"zeek/dce-rpc-kerberos135_auth.pcapng", []string{"named by kerberos kerberos yes"}}, // its first token has two segments
		{"samr-enum-lab/net.exe_group__domain.pcapng", []string{"ticket for cifs/ydc1.domain-y.local@DOMAIN-Y.LOCAL kerberos yes"}},
		{"samr-enum-lab/acl_0.3_guest.pcapng", []string{"enum-a ntlm yes"}},
		{"scapy/dcerpc_privacy_krb.pcapng.gz-gunzipped-", []string{"ticket for ldap/dc1.domain.local/domain.local@DOMAIN.LOCAL kerberos yes"}},
		{"remotepotato0/network_capture_pcap-victim_server.pcapng", []string{`SPLINTER\domain_admin_1 ntlm undecided`, `SPLINTER\domain_admin_1 ntlm undecided`}},
		{"petitpotam/PatchedDCUnauthenticatedTry.pcapng", append([]string{"anonymous ntlm yes"}, slices.Repeat([]string{"anonymous ntlm undecided"}, 20)...)},
		{"zeek/smb-smb311.pcap", []string{`administrator ntlm undecided`}},
	} {
		callers, anomalies := exchanges(t, tt.file)
		if callers == nil {
			continue
		}
		if len(anomalies) != 0 || !slices.Equal(callers, tt.want) {
			t.Errorf("%s: %q, %v", tt.file, callers, anomalies)
		}
	}
}
