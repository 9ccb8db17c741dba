package packet

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"kmswatch/capture"
)

func (c *FrameCase) frame() *capture.Frame {
	return &capture.Frame{Data: c.Data, Length: max(c.Length, len(c.Data)), Link: c.Link, Number: 1}
}

func source(p *Packet) string { return endpoint(p.Src, p.SrcPort) }
func target(p *Packet) string { return endpoint(p.Dst, p.DstPort) }

func endpoint(a [16]byte, port uint16) string {
	return netip.AddrPortFrom(netip.AddrFrom16(a).Unmap(), port).String()
}

func TestFrames(t *testing.T) {
	for _, c := range Frames {
		t.Run(c.Name, func(t *testing.T) {
			// A used Packet, so that what is not reset shows.
			p := Packet{Src: [16]byte{1}, SrcPort: 1, Proto: 1, IPv6: true, Payload: []byte("old"), Missing: 1,
				VLANs: [2]uint16{1, 1}, Tunnel: 99, TunnelID: 1, Reassembled: true, Anomaly: 99}
			d := New(Config{})
			v := d.Decode(c.frame(), &p)
			if v != c.Verdict {
				t.Fatalf("verdict %d, want %d; anomaly %v", v, c.Verdict, p.Anomaly)
			}
			if p.Anomaly != c.Anomaly {
				t.Errorf("anomaly %v, want %v", p.Anomaly, c.Anomaly)
			}
			if p.Reassembled {
				t.Error("reassembled")
			}
			if v == Nothing {
				if p.Payload != nil || p.Missing != 0 {
					t.Errorf("payload %q, missing %d", p.Payload, p.Missing)
				}
				return
			}
			if s, d := source(&p), target(&p); s != c.Src || d != c.Dst {
				t.Errorf("%s -> %s, want %s -> %s", s, d, c.Src, c.Dst)
			}
			if p.VLANs != c.VLANs {
				t.Errorf("VLANs %v, want %v", p.VLANs, c.VLANs)
			}
			if p.Tunnel != c.Tunnel || p.TunnelID != c.TunnelID {
				t.Errorf("tunnel %d %#x, want %d %#x", p.Tunnel, p.TunnelID, c.Tunnel, c.TunnelID)
			}
			if string(p.Payload) != c.Payload || p.Missing != c.Missing {
				t.Errorf("payload %q and %d missing, want %q and %d", p.Payload, p.Missing, c.Payload, c.Missing)
			}
			if cap(p.Payload) != len(p.Payload) {
				t.Errorf("payload of %d bytes has room for %d", len(p.Payload), cap(p.Payload))
			}
			if p.IPv6 != strings.HasPrefix(c.Src, "[") {
				t.Errorf("IPv6 %v", p.IPv6)
			}
			if v == TCP && (p.Proto != ProtoTCP || p.Seq != 0x01020304 || p.Ack != 0x05060708 || p.Flags != PSH|ACK) {
				t.Errorf("proto %d seq %#x ack %#x flags %#x", p.Proto, p.Seq, p.Ack, p.Flags)
			}
			if v == UDP && p.Proto != ProtoUDP {
				t.Errorf("proto %d", p.Proto)
			}
		})
	}
}

// The short cut for common frames and the walk give the same, also for frames
// cut by the snap length, and whatever was in the Packet before.
func TestDecodeIsTheWalk(t *testing.T) {
	d, e := New(Config{}), New(Config{})
	for _, c := range Frames {
		for n := range len(c.Data) + 1 {
			f := c.frame()
			f.Data = c.Data[:n:n]
			var p, q Packet
			p.Anomaly, p.Tunnel, p.VLANs, p.Missing, p.Reassembled = 9, 9, [2]uint16{9, 9}, 9, true
			v, w := d.Decode(f, &p), e.walk(f, &q)
			if v != TCP {
				q.Seq, q.Ack, q.Flags = p.Seq, p.Ack, p.Flags
			}
			if v != w || !sameResult(&p, &q) {
				t.Errorf("%s, %d bytes: %d %+v, walk %d %+v", c.Name, n, v, p, w, q)
			}
		}
	}
	x, y := d.Counters(), e.Counters()
	if x != y {
		t.Errorf("%+v, walk %+v", x, y)
	}
}

// Every header, cut at every length, by the snap length and by the sender.
func TestFramesCutAnywhere(t *testing.T) {
	d := New(Config{})
	var p Packet
	for _, c := range Frames {
		for n := range len(c.Data) {
			f := c.frame()
			f.Data = c.Data[:n:n]
			before := d.Counters()
			if v := d.Decode(f, &p); v == Nothing && p.Anomaly != 0 && c.Anomaly == 0 && c.Verdict != Nothing {
				t.Errorf("%s: cut by the snap length to %d bytes: %v", c.Name, n, p.Anomaly)
			} else if v == Nothing && c.Verdict != Nothing && d.Counters().Cut == before.Cut {
				t.Errorf("%s: cut by the snap length to %d bytes: not counted", c.Name, n)
			}
			f.Length = n
			d.Decode(f, &p)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	d := New(Config{})
	var p Packet
	for _, c := range Frames {
		f := c.frame()
		if n := testing.AllocsPerRun(100, func() { d.Decode(f, &p) }); n != 0 {
			t.Errorf("%s: %v allocations", c.Name, n)
		}
	}
}

func TestCounters(t *testing.T) {
	d := New(Config{})
	var p Packet
	var verdicts [4]uint64
	odd, malformed := uint64(0), uint64(0)
	for _, c := range Frames {
		verdicts[d.Decode(c.frame(), &p)]++
		if c.Anomaly != 0 {
			odd++
			if c.Verdict == Nothing {
				malformed++
			}
		}
	}
	n := d.Counters()
	got := [4]uint64{n.Nothing, n.TCP, n.UDP, n.Waiting}
	if got != verdicts {
		t.Errorf("verdicts %v, want %v", got, verdicts)
	}
	if n.Anomalies != odd || n.Malformed != malformed {
		t.Errorf("%d anomalies, %d malformed, want %d, %d", n.Anomalies, n.Malformed, odd, malformed)
	}
	if n.Cut == 0 || n.Short != 4 || n.TooDeep != 2 || n.Unknown != 1 || n.Tunnelled == 0 {
		t.Errorf("%+v", n)
	}
}

// An anomaly is told with the addresses and ports that there were, and with
// none of the frame before.
func TestMalformedKeepsNothingOfTheFrameBefore(t *testing.T) {
	d := New(Config{})
	var p Packet
	d.Decode(&capture.Frame{Data: eth(0x86dd, tcp6), Link: 1}, &p)
	d.Decode(&capture.Frame{Data: eth(0x0800, tcp4[:19]), Link: 1}, &p)
	if p.Src != [16]byte{} || p.Dst != [16]byte{} || p.SrcPort != 0 || p.Proto != 0 || p.IPv6 {
		t.Errorf("%+v", p)
	}
	d.Decode(&capture.Frame{Data: eth(0x0800, ip4(6, tcp("")[:12], raw("4018"), tcp("data")[14:])), Link: 1}, &p)
	if source(&p) != tcp4Src || target(&p) != tcp4Dst || p.Anomaly != BadTCPOffset {
		t.Errorf("%s %s %v", source(&p), target(&p), p.Anomaly)
	}
}

// An outer IPv6 address must not show through an inner IPv4 address, nor an
// outer port through an inner one.
func TestInnerAddressReplacesTheOuter(t *testing.T) {
	d := New(Config{})
	var p Packet
	f := &capture.Frame{Data: eth(0x86dd, ip6(17, udpp(5, 4789, vxlan(1, eth(0x0800, ip4(6, tcp("x"))))))), Link: 1}
	if v := d.Decode(f, &p); v != TCP || source(&p) != tcp4Src || p.IPv6 {
		t.Errorf("%d %s", v, source(&p))
	}
}

func TestAnomalyNames(t *testing.T) {
	seen := map[string]bool{}
	for a := range anomalies {
		if a.String() == "" || seen[a.String()] {
			t.Errorf("anomaly %d is called %q", a, a)
		}
		seen[a.String()] = true
	}
	if s := Anomaly(200).String(); s != "anomaly(200)" || Anomaly(200).Evasive() {
		t.Error(s)
	}
}

// same compares what Decode gave. Payloads are compared by their bytes.
func sameResult(a, b *Packet) bool {
	x, y := *a, *b
	if !bytes.Equal(x.Payload, y.Payload) || (x.Payload == nil) != (y.Payload == nil) {
		return false
	}
	x.Payload, y.Payload = nil, nil
	return reflect.DeepEqual(x, y)
}

func within(outer, inner []byte) bool {
	if len(inner) == 0 {
		return true
	}
	o, i := uintptr(unsafe.Pointer(unsafe.SliceData(outer))), uintptr(unsafe.Pointer(unsafe.SliceData(inner)))
	return i >= o && i+uintptr(len(inner)) <= o+uintptr(len(outer))
}

// FuzzDecode: whatever the bytes, the payload lies in the frame or was put
// together from fragments, its length is within what a datagram can have, and
// a copy of the frame gives the same.
func FuzzDecode(f *testing.F) {
	for _, c := range Frames {
		f.Add(uint16(c.Link), uint32(c.Length), c.Data)
	}
	for _, s := range shared(f) {
		for i, fr := range load(f, s) {
			if i < 4 && len(fr.Data) < 2000 {
				f.Add(uint16(fr.Link), uint32(fr.Length), fr.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, link uint16, length uint32, data []byte) {
		frame := &capture.Frame{Data: data[:len(data):len(data)], Length: int(length), Link: capture.LinkType(link)}
		var p, q Packet
		d, e := New(Config{}), New(Config{})
		v := d.Decode(frame, &p)
		twin := *frame
		twin.Data = bytes.Clone(data)
		if w := e.Decode(&twin, &q); v != w || !sameResult(&p, &q) {
			t.Fatalf("a copy gives %d %+v, want %d %+v", w, q, v, p)
		}
		switch v {
		case TCP, UDP:
			if !p.Reassembled && !within(frame.Data, p.Payload) {
				t.Fatal("payload is not of the frame")
			}
			if cap(p.Payload) != len(p.Payload) || p.Missing < 0 {
				t.Fatalf("room %d of %d, missing %d", cap(p.Payload), len(p.Payload), p.Missing)
			}
			if n := len(p.Payload) + p.Missing; n > max(maxDatagram, maxGSO) && n > max(len(data), int(length)) {
				t.Fatalf("%d bytes of payload", n)
			}
			if want := map[Verdict]uint8{TCP: ProtoTCP, UDP: ProtoUDP}[v]; p.Proto != want {
				t.Fatalf("verdict %d of protocol %d", v, p.Proto)
			}
		default:
			if p.Payload != nil || p.Missing != 0 {
				t.Fatalf("verdict %d with a payload", v)
			}
		}
		if n := d.Counters(); n.TCP+n.UDP+n.Waiting+n.Nothing != 1 || (n.Waiting == 0) != (n.KeptDatagrams == 0) && p.Anomaly != FragmentEnd {
			t.Fatalf("%+v", n)
		}
		if d.depth != 0 {
			t.Fatalf("still %d deep", d.depth)
		}
		// The short cut and the walk are one.
		q = Packet{}
		if w := New(Config{}).walk(frame, &q); v != w || !sameResult(&p, &q) {
			t.Fatalf("the walk gives %d %+v, not %d %+v", w, q, v, p)
		}
	})
}

// shared lists the captures that lie beside the repository, if there are any.
func shared(t testing.TB) []string {
	t.Helper()
	const root = "../../../shared/captures"
	var files []string
	filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) != ".tsv" {
			files = append(files, path)
		}
		return nil
	})
	return files
}
