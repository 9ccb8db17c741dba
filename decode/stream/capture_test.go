package stream

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// captured gives the TCP segments of a capture of the pool that is not part of
// the repository, by flow; nil where there is none.
func captured(t testing.TB, path string) []segmentOf {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var source interface {
		ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
		LinkType() layers.LinkType
	}
	if r, err := pcapgo.NewReader(f); err == nil {
		r.SetSnaplen(1 << 18)
		source = r
	} else {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			return nil
		}
		source = r
	}
	var list []segmentOf
	for {
		data, info, err := source.ReadPacketData()
		if err != nil {
			return list
		}
		if s, ok := tcpOf(data, info, source.LinkType()); ok {
			list = append(list, s)
		}
	}
}

type segmentOf struct {
	key Key
	dir Dir
	seg Segment
}

func tcpOf(data []byte, info gopacket.CaptureInfo, link layers.LinkType) (s segmentOf, ok bool) {
	defer func() { _ = recover() }() // of gopacket, on what was made to fuzz it
	p := gopacket.NewPacket(data, link, gopacket.DecodeOptions{NoCopy: true})
	tcp, _ := p.TransportLayer().(*layers.TCP)
	if tcp == nil {
		return s, false
	}
	var src, dst [16]byte
	length := 0
	for _, layer := range p.Layers() { // the innermost counts
		switch ip := layer.(type) {
		case *layers.IPv4:
			copy(src[12:], ip.SrcIP)
			copy(dst[12:], ip.DstIP)
			length = int(ip.Length) - int(ip.IHL)*4 - int(tcp.DataOffset)*4
		case *layers.IPv6:
			copy(src[:], ip.SrcIP)
			copy(dst[:], ip.DstIP)
			length = len(tcp.Payload)
		}
	}
	s.key, s.dir = MakeKey(&src, &dst, uint16(tcp.SrcPort), uint16(tcp.DstPort), 6)
	s.seg = Segment{Seq: tcp.Seq, Ack: tcp.Ack, Payload: tcp.Payload, Time: info.Timestamp.UnixNano()}
	s.seg.Missing = max(length-len(tcp.Payload), 0)
	for i, on := range []bool{tcp.FIN, tcp.SYN, tcp.RST, tcp.PSH, tcp.ACK, tcp.URG} {
		if on {
			s.seg.Flags |= 1 << i
		}
	}
	return s, true
}

// reader is a Receiver that puts together what it is given.
type reader struct {
	data [2]bytes.Buffer
	gaps int
	odd  []Anomaly
	mid  bool
}

func (r *reader) Data(dir Dir, b []byte, _ bool) int { r.data[dir].Write(b); return len(b) }
func (r *reader) Gap(Dir, int64)                     { r.gaps++ }
func (r *reader) Anomaly(_ Dir, a Anomaly)           { r.odd = append(r.odd, a) }

// Real captures, given whole and with every segment cut in two, once more
// swapped and twice: where nothing was missing, the same bytes come.
func TestRealCaptures(t *testing.T) {
	paths, _ := filepath.Glob("../../../shared/captures/*/*.pcap*")
	if len(paths) == 0 {
		t.Skip("no captures beside the repository")
	}
	for i, path := range paths {
		if testing.Short() && i%20 != 0 {
			continue
		}
		list := captured(t, path)
		whole := reassemble(t, list, 0)
		for k, w := range whole {
			if os.Getenv("STREAM_VERBOSE") != "" && (w.gaps > 0 || len(w.odd) > 0) {
				t.Logf("%s: ports %d %d: %d gaps, %v", filepath.Base(path), k.key.LoPort, k.key.HiPort, w.gaps, w.odd)
			}
		}
		for variant := 1; variant <= 3; variant++ {
			other := reassemble(t, list, variant)
			for k, w := range whole {
				o := other[k]
				if w.gaps > 0 || len(w.odd) > 0 || o == nil || o.mid {
					continue
				}
				for dir := range w.data {
					if !bytes.Equal(w.data[dir].Bytes(), o.data[dir].Bytes()) {
						t.Errorf("%s variant %d: ports %d %d: %d bytes, want %d", strings.TrimPrefix(path, "../../../shared/captures/"), variant,
							k.key.LoPort, k.key.HiPort, o.data[dir].Len(), w.data[dir].Len())
					}
				}
			}
		}
	}
}

// flowOf names a connection of a capture: ports are used again.
type flowOf struct {
	key Key
	n   int
}

func reassemble(t *testing.T, list []segmentOf, variant int) map[flowOf]*reader {
	r := NewReassembler(Config{})
	type state struct {
		conn Conn
		to   *reader
		n    int
	}
	flows := map[Key]*state{}
	result := map[flowOf]*reader{}
	feed := func(s *segmentOf, seg Segment) {
		f := flows[s.key]
		if f == nil {
			f = &state{to: new(reader)}
			flows[s.key] = f
			result[flowOf{s.key, 0}] = f.to
		}
		seg.Payload = bytes.Clone(seg.Payload)
		if r.Segment(&f.conn, s.dir, &seg, f.to) == Reused {
			f.to.mid = f.conn.MidStream()
			r.Flush(&f.conn, f.to)
			r.Reset(&f.conn)
			f.n++
			f.to = new(reader)
			result[flowOf{s.key, f.n}] = f.to
			r.Segment(&f.conn, s.dir, &seg, f.to)
		}
	}
	for i := range list {
		s := &list[i]
		n := len(s.seg.Payload)
		if variant == 0 || n < 2 || s.seg.Missing > 0 || s.seg.Flags&(SYN|RST) != 0 {
			feed(s, s.seg)
			continue
		}
		first, second := s.seg, s.seg
		first.Flags &^= FIN
		first.Payload = s.seg.Payload[:n/2]
		second.Payload = s.seg.Payload[n/2:]
		second.Seq += uint32(n / 2)
		switch variant {
		case 1:
			feed(s, first)
			feed(s, second)
		case 2: // swapped, but for the first of a direction, which sets the sequence
			if f := flows[s.key]; f != nil && f.conn.half[s.dir].flags&known != 0 {
				feed(s, second)
				feed(s, first)
			} else {
				feed(s, first)
				feed(s, second)
			}
		case 3:
			feed(s, first)
			feed(s, s.seg)
			feed(s, second)
		}
	}
	for _, f := range flows {
		f.to.mid = f.conn.MidStream()
		r.Flush(&f.conn, f.to)
		r.Reset(&f.conn)
	}
	if n := r.Counters(); n.Waiting != 0 {
		t.Errorf("%d bytes wait in the end", n.Waiting)
	}
	checkInvariants(t, r)
	return result
}
