package stub

import (
	"encoding/binary"
	"io"
	"os"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"kmswatch/decode/dcerpc"
	"kmswatch/decode/ndr"
	"kmswatch/decode/wire"
)

// pdu is a request or response of a capture.
type pdu struct {
	iface    dcerpc.UUID
	opnum    uint16
	ndr64    bool
	response bool
	stub     []byte
}

// captured gives the whole PDUs in the segments of a capture, over TCP or in
// pipes: what looks like a common header is one. A context is that of the last
// bind of its direction of the flow; a response answers the last request of its
// call id. It tells whether the capture is there.
func captured(t *testing.T, path string, each func(p pdu)) bool {
	f, err := os.Open("../../../shared/captures/" + path)
	if err != nil {
		return false
	}
	defer f.Close()
	var r interface {
		gopacket.PacketDataSource
		LinkType() layers.LinkType
	}
	r, err = pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		if _, err = f.Seek(0, io.SeekStart); err == nil {
			r, err = pcapgo.NewReader(f)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	type context struct {
		flow, transport gopacket.Flow
		id              uint16
	}
	type callKey struct {
		flow, transport gopacket.Flow
		id              uint32
	}
	type bind struct {
		iface dcerpc.UUID
		ndr64 bool
	}
	binds := map[context]bind{}
	calls := map[callKey]pdu{}
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			return true
		}
		p := gopacket.NewPacket(data, r.LinkType(), gopacket.NoCopy)
		tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if tcp == nil || p.NetworkLayer() == nil {
			continue
		}
		b := tcp.Payload
		for i := 0; i+24 <= len(b); i++ {
			h := b[i:]
			if h[0] != 5 || h[1] != 0 || h[4] != 0x10 || h[5]|h[6]|h[7] != 0 {
				continue
			}
			n := int(binary.LittleEndian.Uint16(h[8:]))
			if n < 24 || n > len(h) {
				continue
			}
			auth := int(binary.LittleEndian.Uint16(h[10:]))
			net, tra := p.NetworkLayer().NetworkFlow(), tcp.TransportFlow()
			call := binary.LittleEndian.Uint32(h[12:])
			end := n
			if auth != 0 {
				end -= auth + 8
				if end < 24 || h[end+1] == byte(dcerpc.LevelPrivacy) {
					continue
				}
				end -= int(h[end+2])
			}
			switch h[2] {
			case 11, 14: // bind, alter_context
				c := wire.Little(h[24:n])
				for range c.U32() & 0xff {
					id := c.U16()
					syntaxes := c.U16() & 0xff
					x := bind{iface: dcerpc.UUID(ndr.GUID(&c))}
					c.Skip(4)
					for range syntaxes {
						x.ndr64 = dcerpc.UUID(ndr.GUID(&c)) == dcerpc.NDR64.UUID
						c.Skip(4)
					}
					binds[context{net, tra, id}] = x
				}
			case 0:
				x, ok := binds[context{net, tra, binary.LittleEndian.Uint16(h[20:])}]
				if !ok {
					continue
				}
				q := pdu{iface: x.iface, ndr64: x.ndr64, opnum: binary.LittleEndian.Uint16(h[22:]), stub: h[24:end]}
				calls[callKey{net, tra, call}] = q
				each(q)
			case 2:
				if q, ok := calls[callKey{net.Reverse(), tra.Reverse(), call}]; ok {
					q.response, q.stub = true, h[24:end]
					each(q)
				}
			}
		}
	}
}

// TestCapturesOfAttacks reads what tshark reads in captures of attacks and of
// administration.
func TestCapturesOfAttacks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path    string
		name    string
		find    func(a *Arguments) bool
		least   int // requests found
		status  uint32
		answers int  // responses with that status, at least
		pipes   bool // several interfaces are bound in one flow, so that some requests are taken for another's
	}{
		{"suricata-verify/dcerpc-zerologon.pcap", "zero credentials", func(a *Arguments) bool {
			return a.Kind == SecureChannel && a.Account == "BAS-AD-01$" && a.Computer == "BAS-AD-01" && a.ZeroAll && a.Channel == 6 && a.Flags == 0x212fffff
		}, 20, 0xc0000022, 19, false},
		{"suricata-verify/dcerpc-zerologon.pcap", "the empty password", func(a *Arguments) bool {
			return a.Kind == ChannelPassword && a.Account == "BAS-AD-01$" && a.Computer == "BAS-AD-01" && a.HasPassword && a.ZeroPassword && a.ZeroAll
		}, 1, 0, 1, false},
		{"zerologon/CVE-2020-1472_test_win2019.pcap", "zero credentials", func(a *Arguments) bool { return a.Kind == SecureChannel && a.Account != "" && a.ZeroAll }, 20, 0xc0000022, 19, false},
		{"scapy/dcerpc_msnrpc.pcapng.gz-gunzipped-", "a computer that is none", func(a *Arguments) bool {
			return a.Kind == SecureChannel && a.Account == "WIN1$" && a.Computer == "WIN1" && a.HasCredential && !a.ZeroHead && a.Flags == 0x600fffff
		}, 1, 0, 1, false},
		{"petitpotam/PatchedDCUnauthenticatedTry.pcapng", "a remote file", func(a *Arguments) bool {
			return a.Kind == EncryptedFile && a.Path == `\\192.168.0.15\test\Settings.ini` && a.Host == "192.168.0.15"
		}, 2, 5, 2, false},
		{"suricata-verify/smb2-04-20171220_smb_at_schedule.pcap", "a job", func(a *Arguments) bool {
			return a.Kind == ScheduledTask && a.Server == `\\admin-pc` && a.Command == `c:\mimikatz.exe`
		}, 1, 0, 1, false},
		{"suricata-verify/filestore-filecontainer-smb-filecontainer-smb.pcap", "PsExec", func(a *Arguments) bool {
			return a.Kind == ServiceInstall && a.Service == "PSEXESVC" && a.Command == `%SystemRoot%\PSEXESVC.EXE` && a.Type == 0x10 && a.Flags == 3
		}, 1, 0, 1, true},
		{"suricata-verify/filestore-filecontainer-smb-filecontainer-smb.pcap", "registry keys", func(a *Arguments) bool {
			return a.Kind == RegistryRead && a.Key == `System\CurrentControlSet\Control\ContentIndex`
		}, 30, 0, 30, true},
		{"suricata-verify/smb-dce_iface.pcap", "a printer driver", func(a *Arguments) bool {
			return a.Kind == PrinterDriver && a.Type == 2 && a.Driver != "" && a.Path != ""
		}, 1, 5, 1, false},
		{"suricata-verify/dcerpc-dcerpc-ctxids.pcap", "an activation", func(a *Arguments) bool {
			return a.Kind == Activation && a.Object == dcerpc.MustUUID("49b2791a-b1ae-4c90-9b8e-e860ba07f889") && a.Path == ""
		}, 1, 0, 1, false},
	} {
		found, answers := 0, 0
		asked := false
		if !captured(t, c.path, func(p pdu) {
			if Wanted(p.iface, p.opnum) == 0 {
				return
			}
			if p.response {
				if n := len(p.stub); asked && n >= 4 {
					if r := ResultOf(p.iface, p.opnum, binary.LittleEndian.Uint32(p.stub[n-4:])); r.HasStatus && r.Status == c.status {
						answers++
					}
				}
				return
			}
			var a Arguments
			an := a.Decode(p.iface, p.opnum, p.stub, p.ndr64, false)
			asked = c.find(&a)
			if asked {
				found++
			}
			if an != 0 && !c.pipes {
				t.Errorf("%s: %s %+v", c.path, an, a)
			}
		}) {
			t.Log("no capture " + c.path)
			continue
		}
		if found < c.least || answers < c.answers {
			t.Errorf("%s, %s: %d requests, %d answers", c.path, c.name, found, answers)
		}
	}
}
