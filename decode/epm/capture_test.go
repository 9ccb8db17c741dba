package epm

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"kmswatch/decode/dcerpc"
)

// captured gives the payloads of one PDU a segment of a capture's TCP port 135
// that are requests and responses, where the capture is present.
func captured(t *testing.T, path string, each func(b []byte)) bool {
	f, err := os.Open("../../../shared/captures/" + path)
	if err != nil {
		return false
	}
	defer f.Close()
	var r interface {
		gopacket.PacketDataSource
		LinkType() layers.LinkType
	}
	if strings.HasSuffix(path, "ng") {
		r, err = pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	} else {
		r, err = pcapgo.NewReader(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			return true
		}
		p := gopacket.NewPacket(data, r.LinkType(), gopacket.NoCopy)
		tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if tcp == nil || tcp.SrcPort != 135 && tcp.DstPort != 135 {
			continue
		}
		if b := tcp.Payload; len(b) >= 24 && b[0] == 5 && (b[2] == 0 || b[2] == 2) && int(binary.LittleEndian.Uint16(b[8:])) == len(b) {
			each(b)
		}
	}
}

// TestCapturesOfPortsToCome reads where Windows servers say that an interface
// is, in NDR32 and in NDR64 (the second context that Windows clients offer).
// The expected is what tshark reads.
func TestCapturesOfPortsToCome(t *testing.T) {
	t.Parallel()
	netlogon := dcerpc.Syntax{UUID: dcerpc.MustUUID("12345678-1234-abcd-ef00-01234567cffb"), Major: 1}
	lsarpc := dcerpc.Syntax{UUID: dcerpc.MustUUID("12345778-1234-abcd-ef00-0123456789ab")}
	drsuapi := dcerpc.Syntax{UUID: dcerpc.MustUUID("e3514235-4b06-11d1-ab04-00c04fc2dcd2"), Major: 4}
	for _, c := range []struct {
		path    string
		asked   int // at least
		iface   dcerpc.Syntax
		ports   []uint16 // of each answer
		address [4]byte
	}{
		{"suricata-verify/dcerpc-zerologon.pcap", 21, netlogon, []uint16{49668}, [4]byte{172, 16, 5, 58}},
		{"zerologon/CVE-2020-1472_test_win2019.pcap", 62, netlogon, []uint16{49668}, [4]byte{172, 16, 5, 58}},
		{"lab/tcp-sealed-samr.pcap", 1, samr, []uint16{49154}, [4]byte{}},
		{"zeek-eternalsafety/traces-eternalchampion.pcap", 2, drsuapi, []uint16{49155}, [4]byte{10, 1, 75, 4}},
		{"samr-enum-lab/acl_0.1_userb1.pcapng", 1, netlogon, []uint16{54966, 49668, 49664}, [4]byte{}},
		{"samr-enum-lab/metasploit_smb_enumusers.pcapng", 1, netlogon, []uint16{53000, 49668, 49664}, [4]byte{}},
		{"samr-enum-lab/Powershell_evaluation_multiple.ps1.pcapng", 1, lsarpc, []uint16{49667, 49664}, [4]byte{}},
	} {
		asked, answered := 0, 0
		if !captured(t, c.path, func(b []byte) {
			wide := b[20] == 1
			if b[2] == 0 {
				asked++
				var r Request
				if a := r.Decode(Map, b[24:], wide, false); a != 0 || r.Tower.Interface != c.iface || r.Tower.Protocol != TCP || r.Continues {
					t.Errorf("%s: %s %+v", c.path, a, r)
				}
				return
			}
			answered++
			var r Response
			if a := r.Decode(Map, b[24:], wide, false); a != 0 || r.Status != 0 || len(r.Entries) != len(c.ports) {
				t.Fatalf("%s: %s %+v", c.path, a, r)
			}
			for i, e := range r.Entries {
				tw := e.Tower
				if tw.Interface != c.iface || tw.Transfer != dcerpc.NDR32 || tw.Protocol != TCP || tw.Port != c.ports[i] ||
					tw.AddrLen != 4 || c.address != [4]byte{} && [4]byte(tw.Addr[:4]) != c.address {
					t.Errorf("%s: %+v", c.path, tw)
				}
			}
		}) {
			t.Log("no capture " + c.path)
			continue
		}
		if asked < c.asked || answered < c.asked { // a segment may have been sent again
			t.Errorf("%s: %d requests, %d responses", c.path, asked, answered)
		}
	}
}
