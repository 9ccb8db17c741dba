package ntlmssp

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// payloads gives those of the TCP segments of a capture, nil without one.
func payloads(t testing.TB, name string) (all [][]byte) {
	f, err := os.Open("../../../shared/captures/" + name)
	if err != nil {
		return nil
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, _, err := r.ReadPacketData()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(data, r.LinkType(), gopacket.NoCopy)
		if tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP); tcp != nil && len(tcp.Payload) > 0 {
			all = append(all, tcp.Payload)
		}
	}
}

// captured gives the messages of some captures, each with what follows it in
// its segment.
func captured(t testing.TB) (messages [][]byte) {
	for _, name := range []string{
		"arkime/ntlm_synthetic.pcap", "arkime/smbtorture-ntlmssp.pcap", "lab/smb1-null-session.pcap", "lab/tcp-sealed-samr.pcap",
		"ntlmrawunhide/examples-capture.pcap", "zeek/dce-rpc-ntlm-empty-av-sequence.pcap", "zeek/dce-rpc-ntlm-unterminated-av-sequence.pcap",
		"zeek/smb-raw_ntlm_in_smb.pcap",
	} {
		messages = append(messages, messagesOf(t, name)...)
	}
	return messages
}

func messagesOf(t testing.TB, name string) (messages [][]byte) {
	for _, p := range payloads(t, name) {
		if i := bytes.Index(p, []byte(signature)); i >= 0 {
			messages = append(messages, p[i:])
		}
	}
	return messages
}

// What tshark 4.0 says of the same captures.
func TestCaptures(t *testing.T) {
	t.Parallel()
	samba := TargetInfo{NetBIOSComputer: "DC1", NetBIOSDomain: "CORP", DNSComputer: "dc1.corp.example.test", DNSDomain: "corp.example.test"}
	for _, c := range []struct {
		file      string
		types     string // by number
		anomalies []Anomaly
		want      Message // the last AUTHENTICATE_MESSAGE, or else the last
		version   Version
		anonymous bool
	}{
		{file: "lab/tcp-sealed-samr.pcap", types: "123", version: Version{6, 1, 0, 15}, want: Message{
			Flags: 0x62088235, NTLMv2: true, MIC: true, Domain: "WORKGROUP", User: "Administrator", Workstation: "VM",
			LMResponse: 24, NTResponse: 310, SessionKey: 16, Info: samba,
		}},
		{file: "zeek/smb-raw_ntlm_in_smb.pcap", types: "123", version: Version{6, 1, 0, 15}, want: Message{
			Flags: 0x62880205, NTLMv2: true, Domain: "TEST-F7DFBC3FE9", User: "test", Workstation: "BABYBOOK",
			LMResponse: 24, SessionKey: 16,
		}},
		{file: "zeek/dce-rpc-ntlm-empty-av-sequence.pcap", types: "12", anomalies: []Anomaly{FieldOutside}, want: Message{Flags: 0x20898205, Target: "CNAMIS"}},
		{file: "zeek/dce-rpc-ntlm-unterminated-av-sequence.pcap", types: "12", anomalies: []Anomaly{FieldOutside}, want: Message{Flags: 0x20898205, Target: "CNAMIS"}},
		{file: "lab/smb1-null-session.pcap", anonymous: true, want: Message{LMZero: true}},
		{file: "arkime/ntlm_synthetic.pcap", want: Message{Flags: 0x02000205, Domain: "TDSDOM", User: "mona", Workstation: "TDSHOST"}},
	} {
		messages := messagesOf(t, c.file)
		if messages == nil {
			t.Logf("%s: no capture", c.file)
			continue
		}
		var last Message
		var types string
		var anomalies []Anomaly
		for _, b := range messages {
			var m Message
			if a := m.Decode(b); a != 0 {
				anomalies = append(anomalies, a)
			}
			types += string(rune('0' + m.Type))
			if m.Type >= last.Type {
				last = m
			}
		}
		if c.types != "" && types != c.types || len(anomalies) != len(c.anomalies) || len(anomalies) > 0 && anomalies[0] != c.anomalies[0] {
			t.Errorf("%s: types %s, anomalies %v", c.file, types, anomalies)
		}
		if last.Anonymous() != c.anonymous {
			t.Errorf("%s: anonymous %t", c.file, last.Anonymous())
		}
		if c.anonymous {
			continue
		}
		if last.Domain != c.want.Domain || last.User != c.want.User || last.Workstation != c.want.Workstation || last.Target != c.want.Target || last.Flags != c.want.Flags {
			t.Errorf("%s: %+v", c.file, last)
		}
	}
}
