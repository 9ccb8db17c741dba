package packet

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
)

func load(t testing.TB, path string) []capture.Frame {
	t.Helper()
	s, err := pcapfile.Open([]string{path}, pcapfile.Options{Report: func(*pcapfile.Problem) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all []capture.Frame
	batch := make([]capture.Frame, 64)
	for {
		n, err := s.Read(batch)
		for _, f := range batch[:n] {
			f.Data = bytes.Clone(f.Data)
			all = append(all, f)
		}
		if err != nil {
			return all
		}
	}
}

// second is the opinion of gopacket: the innermost TCP or UDP.
type second struct {
	verdict          Verdict
	src, dst         []byte
	srcPort, dstPort uint16
	payload          []byte
}

var firstLayer = map[capture.LinkType]gopacket.Decoder{
	capture.LinkEthernet: layers.LayerTypeEthernet, capture.LinkNull: layers.LayerTypeLoopback, capture.LinkLoop: layers.LayerTypeLoopback,
	capture.LinkPPP: layers.LayerTypePPP, capture.LinkRaw: layers.LinkTypeRaw, capture.LinkRawBSD: layers.LinkTypeRaw,
	capture.LinkIPv4: layers.LayerTypeIPv4, capture.LinkIPv6: layers.LayerTypeIPv6, capture.LinkLinuxSLL: layers.LayerTypeLinuxSLL,
}

func ask(f *capture.Frame) (s second, panicked bool) {
	defer func() {
		if recover() != nil {
			panicked = true
		}
	}()
	dec, ok := firstLayer[f.Link]
	if !ok {
		return s, false
	}
	pkt := gopacket.NewPacket(f.Data, dec, gopacket.DecodeOptions{NoCopy: true})
	var src, dst []byte
	for _, l := range pkt.Layers() {
		switch l := l.(type) {
		case *layers.IPv4:
			src, dst = l.SrcIP, l.DstIP
		case *layers.IPv6:
			src, dst = l.SrcIP, l.DstIP
		case *layers.TCP:
			s = second{TCP, src, dst, uint16(l.SrcPort), uint16(l.DstPort), l.Payload}
		case *layers.UDP:
			s = second{UDP, src, dst, uint16(l.SrcPort), uint16(l.DstPort), l.Payload}
		}
	}
	return s, false
}

// differences are where the two part, with the reason. A frame that is in none
// of them must be the same to both.
var differences = []struct {
	reason string
	is     func(file string, f *capture.Frame, v Verdict, p *Packet, s *second) bool
}{
	{"gopacket takes a UDP length of 0 in IPv4; Linux and RFC 768 do not",
		func(_ string, _ *capture.Frame, v Verdict, p *Packet, s *second) bool {
			return v == Nothing && p.Anomaly == BadUDPLength && s.verdict == UDP
		}},
	{"gopacket takes a UDP header of less than 8 bytes",
		func(_ string, _ *capture.Frame, v Verdict, p *Packet, s *second) bool {
			return v == Nothing && p.Anomaly == ShortHeader && s.verdict == UDP
		}},
	{"gopacket decodes Geneve by its source port too; RFC 8926 3.3 has the destination",
		func(_ string, _ *capture.Frame, v Verdict, p *Packet, _ *second) bool {
			return v == UDP && p.SrcPort == portGeneve
		}},
	{"gopacket has no Linux cooked v2",
		func(_ string, f *capture.Frame, _ Verdict, _ *Packet, _ *second) bool {
			return f.Link == capture.LinkLinuxSLL2
		}},
	{"gopacket has no GRE in UDP, no WCCP, no VXLAN GPE and no VN-Tag",
		func(file string, _ *capture.Frame, _ Verdict, p *Packet, s *second) bool {
			return p.Tunnel == GRE || p.Tunnel == VXLAN && s.dstPort == portVXLANGPE || file == "vntag_vlan_sandwich_clean.pcap"
		}},
}

func TestDifferFromGopacket(t *testing.T) {
	files := shared(t)
	if len(files) == 0 {
		t.Skip("no captures beside the repository")
	}
	var frames, same, panics, waiting, joined int
	found := make([]int, len(differences))
	for _, file := range files {
		d, e := New(Config{}), New(Config{})
		var p, q Packet
	frames:
		for _, f := range load(t, file) {
			frames++
			v := d.Decode(&f, &p)
			q = p
			if w := e.walk(&f, &q); v != w || !sameResult(&p, &q) {
				t.Errorf("%s frame %d: %d %+v, walk %d %+v", file, f.Number, v, p, w, q)
			}
			if v == Waiting {
				waiting++
				continue
			}
			if p.Reassembled {
				joined++
				continue
			}
			s, panicked := ask(&f)
			if panicked {
				panics++
				continue
			}
			if agree(v, &p, &s) {
				same++
				continue
			}
			for i, diff := range differences {
				if diff.is(filepath.Base(file), &f, v, &p, &s) {
					found[i]++
					continue frames
				}
			}
			name := strings.TrimPrefix(file, "../../../shared/captures/")
			t.Errorf("%s frame %d: %d %s %s tunnel %d, %d bytes; gopacket: %d %d %d, %d bytes",
				name, f.Number, v, source(&p), target(&p), p.Tunnel, len(p.Payload), s.verdict, s.srcPort, s.dstPort, len(s.payload))
		}
	}
	t.Logf("%d frames of %d captures: %d the same, %d fragments, %d put together, %d panics of gopacket", frames, len(files), same, waiting, joined, panics)
	for i, n := range found {
		t.Logf("%6d %s", n, differences[i].reason)
	}
}

func agree(v Verdict, p *Packet, s *second) bool {
	if v != s.verdict {
		return false
	}
	if v == Nothing {
		return true
	}
	return address(p.Src, p.IPv6, s.src) && address(p.Dst, p.IPv6, s.dst) &&
		p.SrcPort == s.srcPort && p.DstPort == s.dstPort && bytes.Equal(p.Payload, s.payload)
}

func address(a [16]byte, six bool, b []byte) bool {
	if six {
		return bytes.Equal(a[:], b)
	}
	return bytes.Equal(a[12:], b) && binary.BigEndian.Uint32(a[8:]) == 0xffff
}
