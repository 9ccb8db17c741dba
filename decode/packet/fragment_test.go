package packet

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"kmswatch/capture"
)

// frag4 is a fragment of an IPv4 datagram: data at an offset in bytes.
func frag4(proto, id, off int, more bool, data []byte) []byte {
	place := off / 8
	if more {
		place |= 0x2000
	}
	return eth(0x0800, ip4f(proto, 20+len(data), id, place, nil, data))
}

// frag6 is a fragment of an IPv6 datagram.
func frag6(next, id, off int, more bool, data []byte) []byte {
	place := off
	if more {
		place |= 1
	}
	return eth(0x86dd, ip6(44, []byte{byte(next), 0}, be16b(place), be32b(id), data))
}

// feed gives frames to a Decoder, one a millisecond, from memory that is
// overwritten after each, and tells the last verdict and all anomalies.
func feed(d *Decoder, p *Packet, frames ...[]byte) (v Verdict, odd []Anomaly) {
	for i, data := range frames {
		lent := bytes.Clone(data)
		v = d.Decode(&capture.Frame{Data: lent, Length: len(data), Link: 1, Time: int64(i) * 1e6}, p)
		if p.Anomaly != 0 {
			odd = append(odd, p.Anomaly)
		}
		if p.Payload != nil && !p.Reassembled {
			p.Payload = bytes.Clone(p.Payload)
		}
		for j := range lent {
			lent[j] = 0xa5
		}
	}
	return v, odd
}

func letters(n int) string { return strings.Repeat("abcdefghijklmnopqrstuvwxyz", n/26+1)[:n] }

func TestFragments(t *testing.T) {
	seg := tcp(letters(60)) // 80 bytes
	other := bytes.Clone(seg)
	other[40] ^= 1
	dg := udp(letters(60)) // 68 bytes, the last fragment shorter than 8
	cases := []struct {
		name    string
		frames  [][]byte
		verdict Verdict
		payload string
		odd     []Anomaly
	}{
		{"IPv4, in order", [][]byte{frag4(6, 7, 0, true, seg[:40]), frag4(6, 7, 40, false, seg[40:])}, TCP, letters(60), nil},
		{"IPv4, last first", [][]byte{frag4(6, 7, 40, false, seg[40:]), frag4(6, 7, 0, true, seg[:40])}, TCP, letters(60), nil},
		{"IPv6, in order", [][]byte{frag6(6, 7, 0, true, seg[:40]), frag6(6, 7, 40, false, seg[40:])}, TCP, letters(60), nil},
		{"IPv6, last first", [][]byte{frag6(6, 7, 40, false, seg[40:]), frag6(6, 7, 0, true, seg[:40])}, TCP, letters(60), nil},
		{"last fragment of four bytes", [][]byte{frag4(17, 7, 0, true, dg[:64]), frag4(17, 7, 64, false, dg[64:])}, UDP, letters(60), nil},
		{"last fragment of one byte", [][]byte{frag4(6, 7, 0, true, seg[:72]), frag4(6, 7, 72, false, seg[72:73])}, TCP, letters(53), nil},
		{"three, the middle last", [][]byte{frag4(6, 7, 0, true, seg[:32]), frag4(6, 7, 64, false, seg[64:]), frag4(6, 7, 32, true, seg[32:64])}, TCP, letters(60), nil},
		{"incomplete", [][]byte{frag4(6, 7, 0, true, seg[:32]), frag4(6, 7, 64, false, seg[64:])}, Waiting, "", nil},
		{"no last fragment", [][]byte{frag4(6, 7, 0, true, seg[:32]), frag4(6, 7, 32, true, seg[32:64])}, Waiting, "", nil},
		{"exact duplicates", [][]byte{frag4(6, 7, 0, true, seg[:40]), frag4(6, 7, 0, true, seg[:40]), frag4(6, 7, 40, false, seg[40:])}, TCP, letters(60), nil},
		{"IPv6, exact duplicates are no overlap, RFC 8200 4.5", [][]byte{frag6(6, 7, 0, true, seg[:40]), frag6(6, 7, 0, true, seg[:40]), frag6(6, 7, 40, false, seg[40:])}, TCP, letters(60), nil},
		{"trap 48: same id, other protocol is another datagram", [][]byte{frag4(17, 7, 0, true, dg[:40]), frag4(6, 7, 0, true, seg[:40]), frag4(17, 7, 40, false, dg[40:])}, UDP, letters(60), nil},
		{"trap 48: id is used again once the datagram is whole", [][]byte{
			frag4(17, 7, 0, true, dg[:40]), frag4(17, 7, 40, false, dg[40:]),
			frag4(17, 7, 40, false, udp(letters(59) + "!")[40:]), frag4(17, 7, 0, true, dg[:40])}, UDP, letters(59) + "!", nil},
		{"trap 48: overlap with the same data", [][]byte{frag4(6, 7, 0, true, seg[:48]), frag4(6, 7, 40, false, seg[40:])}, TCP, letters(60), nil},
		{"trap 48: overlap that differs, first wins", [][]byte{frag4(6, 7, 0, true, seg[:48]), frag4(6, 7, 40, false, other[40:])}, TCP, letters(60), []Anomaly{FragmentOverlap}},
		{"trap 48: overlap that differs, first wins, last first", [][]byte{frag4(6, 7, 40, false, seg[40:]), frag4(6, 7, 0, true, other[:48])}, TCP, letters(60), []Anomaly{FragmentOverlap}},
		{"a duplicate that differs", [][]byte{frag4(6, 7, 0, true, seg[:48]), frag4(6, 7, 0, true, other[:48]), frag4(6, 7, 48, false, seg[48:])}, TCP, letters(60), []Anomaly{FragmentOverlap}},
		{"one that covers several", [][]byte{frag4(6, 7, 8, true, seg[8:16]), frag4(6, 7, 32, true, seg[32:40]), frag4(6, 7, 64, false, seg[64:]), frag4(6, 7, 0, true, seg[:72])}, TCP, letters(60), []Anomaly{TinyFragment}},
		{"RFC 5722: any overlap in IPv6", [][]byte{frag6(6, 7, 0, true, seg[:48]), frag6(6, 7, 40, false, seg[40:])}, TCP, letters(60), []Anomaly{FragmentOverlap6}},
		{"RFC 5722: overlap in IPv6 that differs", [][]byte{frag6(6, 7, 0, true, seg[:48]), frag6(6, 7, 40, false, other[40:])}, TCP, letters(60), []Anomaly{FragmentOverlap6}},
		{"RFC 1858: tiny first fragment", [][]byte{frag4(6, 7, 0, true, seg[:8]), frag4(6, 7, 8, false, seg[8:])}, TCP, letters(60), []Anomaly{TinyFragment, TinyFragment}},
		{"RFC 3128: a fragment at offset 1 over the flags", [][]byte{frag4(6, 7, 0, true, seg[:40]), frag4(6, 7, 8, true, other[8:40]), frag4(6, 7, 40, false, seg[40:])}, TCP, letters(60), []Anomaly{TinyFragment}},
		{"RFC 7112: first fragment ends in an extension", [][]byte{frag6(60, 7, 0, true, dest(6)), frag6(60, 7, 8, false, seg)}, TCP, letters(60), []Anomaly{TinyFragment}},
		{"IPv6: the next header is that of the first fragment", [][]byte{frag6(17, 7, 40, false, seg[40:]), frag6(6, 7, 0, true, seg[:40])}, TCP, letters(60), nil},
		{"IPv6: extensions behind the fragment header", [][]byte{frag6(60, 7, 0, true, cat(dest(6), seg[:40])), frag6(60, 7, 48, false, seg[40:])}, TCP, letters(60), nil},
		{"ping of death", [][]byte{frag4(6, 7, 0, true, seg[:40]), frag4(6, 7, 65528, false, seg[:40])}, Nothing, "", []Anomaly{FragmentTooFar}},
		{"ping of death, the header counts", [][]byte{frag4(6, 7, 65504, false, seg[:12])}, Nothing, "", []Anomaly{FragmentTooFar}},
		{"IPv6, ping of death", [][]byte{frag6(6, 7, 65528, false, seg[:8])}, Nothing, "", []Anomaly{FragmentTooFar}},
		{"a fragment not of eights", [][]byte{frag4(6, 7, 0, true, seg[:41])}, Nothing, "", []Anomaly{BadFragment}},
		{"a fragment of nothing", [][]byte{frag4(6, 7, 0, true, nil)}, Nothing, "", []Anomaly{BadFragment}},
		{"a last fragment of nothing", [][]byte{frag6(6, 7, 8, false, nil)}, Nothing, "", []Anomaly{BadFragment}},
		{"two ends", [][]byte{frag4(6, 7, 40, false, seg[40:]), frag4(6, 7, 40, false, seg[40:48]), frag4(6, 7, 0, true, seg[:40])}, TCP, letters(60), []Anomaly{FragmentEnd}},
		{"data beyond the end", [][]byte{frag4(6, 7, 40, false, seg[40:]), frag4(6, 7, 80, true, seg[40:48]), frag4(6, 7, 0, true, seg[:40])}, TCP, letters(60), []Anomaly{FragmentEnd}},
		{"an end before the data", [][]byte{frag4(6, 7, 40, true, seg[40:]), frag4(6, 7, 40, false, seg[40:48])}, Waiting, "", []Anomaly{FragmentEnd}},
		{"other VLAN, other network", [][]byte{eth(0x8100, tag(1, 0x0800, frag4(6, 7, 0, true, seg[:40])[14:])), eth(0x8100, tag(2, 0x0800, frag4(6, 7, 40, false, seg[40:])[14:]))}, Waiting, "", nil},
		{"fragments in a tunnel", [][]byte{eth(0x0800, ip4(4, frag4(6, 7, 0, true, seg[:40])[14:])), eth(0x0800, ip4(4, frag4(6, 7, 40, false, seg[40:])[14:]))}, TCP, letters(60), nil},
		{"a tunnel in fragments", [][]byte{frag4(4, 7, 0, true, ip4(6, seg)[:40]), frag4(4, 7, 40, false, ip4(6, seg)[40:])}, TCP, letters(60), nil},
		{"a tunnel in fragments with fragments inside", [][]byte{
			frag4(4, 7, 0, true, frag4(6, 9, 0, true, seg[:40])[14:][:40]), frag4(4, 7, 40, false, frag4(6, 9, 0, true, seg[:40])[14:][40:]),
			frag4(4, 8, 0, true, frag4(6, 9, 40, false, seg[40:])[14:][:40]), frag4(4, 8, 40, false, frag4(6, 9, 40, false, seg[40:])[14:][40:])}, TCP, letters(60), nil},
		{"bad TCP header inside", [][]byte{frag4(6, 7, 0, true, cat(seg[:12], raw("1018"), seg[14:40])), frag4(6, 7, 40, false, seg[40:])}, Nothing, "", []Anomaly{BadTCPOffset}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := New(Config{})
			var p Packet
			v, odd := feed(d, &p, c.frames...)
			if v != c.verdict || string(p.Payload) != c.payload {
				t.Errorf("verdict %d %q, want %d %q", v, p.Payload, c.verdict, c.payload)
			}
			if len(odd) != len(c.odd) {
				t.Fatalf("anomalies %v, want %v", odd, c.odd)
			}
			for i := range odd {
				if odd[i] != c.odd[i] {
					t.Errorf("anomalies %v, want %v", odd, c.odd)
				}
			}
			if (v == TCP || v == UDP) && (!p.Reassembled || cap(p.Payload) != len(p.Payload)) {
				t.Errorf("reassembled %v, room %d of %d", p.Reassembled, cap(p.Payload), len(p.Payload))
			}
		})
	}
}

// A first fragment that the snap length cut is used as far as it goes once the
// rest has shown how long the datagram is.
func TestFragmentsCutBySnapLength(t *testing.T) {
	seg := tcp(letters(100))
	frames := [][]byte{frag4(6, 7, 0, true, seg[:80]), frag4(6, 7, 80, false, seg[80:])}
	d := New(Config{})
	var p Packet
	v := Nothing
	for _, b := range frames {
		v = d.Decode(&capture.Frame{Data: b[:14+20+30], Length: len(b), Link: 1}, &p)
	}
	if v != TCP || string(p.Payload) != letters(10) || p.Missing != 90 || source(&p) != tcp4Src {
		t.Errorf("verdict %d, %q, %d missing", v, p.Payload, p.Missing)
	}
	// A header that was not captured whole leads nowhere, and is no anomaly.
	for _, b := range frames {
		v = d.Decode(&capture.Frame{Data: b[:14+20+19], Length: len(b), Link: 1}, &p)
	}
	if n := d.Counters(); v != Nothing || p.Anomaly != 0 || n.Cut != 1 || n.KeptDatagrams != 0 {
		t.Errorf("verdict %d, %v, %+v", v, p.Anomaly, n)
	}
}

func TestFragmentsTimeOutByPacketTime(t *testing.T) {
	seg := tcp(letters(60))
	first, last := frag4(6, 7, 0, true, seg[:40]), frag4(6, 7, 40, false, seg[40:])
	at := func(d *Decoder, p *Packet, b []byte, second int64) Verdict {
		return d.Decode(&capture.Frame{Data: b, Link: 1, Time: second * 1e9}, p)
	}
	var p Packet
	for _, c := range []struct {
		gap  int64
		want Verdict
	}{{30, TCP}, {31, Waiting}, {-5, TCP}} {
		d := New(Config{})
		at(d, &p, first, 1000)
		if v := at(d, &p, last, 1000+c.gap); v != c.want {
			t.Errorf("after %d s: verdict %d, want %d", c.gap, v, c.want)
		}
	}
	// One from the future keeps none of the past alive.
	d := New(Config{})
	at(d, &p, frag4(6, 1, 0, true, seg[:40]), 5000)
	at(d, &p, first, 1000)
	if v := at(d, &p, last, 1040); v != Waiting {
		t.Errorf("verdict %d", v)
	}
	at(d, &p, frag4(6, 2, 0, true, seg[:40]), 9000)
	if n := d.Counters(); n.TimedOut != 3 || n.KeptDatagrams != 1 {
		t.Errorf("%+v", n)
	}
}

func TestFragmentTableIsBounded(t *testing.T) {
	var p Packet
	seg := tcp(letters(60))
	t.Run("by datagrams, the oldest goes", func(t *testing.T) {
		d := New(Config{MaxDatagrams: 10})
		for id := range 15 {
			feed(d, &p, frag4(6, id, 0, true, seg[:40]))
		}
		if n := d.Counters(); n.KeptDatagrams != 10 || n.Evicted != 5 {
			t.Errorf("%+v", n)
		}
		if v, _ := feed(d, &p, frag4(6, 14, 40, false, seg[40:])); v != TCP {
			t.Error("the newest is gone")
		}
		if v, _ := feed(d, &p, frag4(6, 4, 40, false, seg[40:])); v != Waiting {
			t.Error("the oldest is there")
		}
	})
	t.Run("by bytes", func(t *testing.T) {
		const limit = 1 << 20
		d := New(Config{MaxBytes: limit})
		big := make([]byte, 1480)
		for id := range 3000 {
			feed(d, &p, frag4(17, id, 1480, true, big))
			if n := d.Counters(); n.KeptBytes > limit+1<<17 {
				t.Fatalf("%+v", n)
			}
		}
		if n := d.Counters(); n.Evicted == 0 || n.KeptDatagrams+n.Evicted != 3000 {
			t.Errorf("%+v", n)
		}
	})
	t.Run("by bytes, even of one datagram", func(t *testing.T) {
		d := New(Config{MaxBytes: 4096})
		for off := 0; off < 60000; off += 800 {
			feed(d, &p, frag4(17, 7, off+800, true, make([]byte, 800)))
			if n := d.Counters(); n.KeptBytes > 4096+2048 || n.KeptDatagrams > 1 {
				t.Fatalf("%+v", n)
			}
		}
	})
	t.Run("memory follows bytes seen, not offsets", func(t *testing.T) {
		d := New(Config{})
		for id := range 1000 {
			feed(d, &p, frag4(17, id, 65504, false, make([]byte, 8)))
		}
		if n := d.Counters(); n.KeptDatagrams != 1000 || n.KeptBytes > 100*1000 {
			t.Errorf("%+v", n)
		}
	})
	t.Run("by fragments of a datagram", func(t *testing.T) {
		d := New(Config{})
		var odd []Anomaly
		for i := 0; i <= maxPieces && len(odd) == 0; i++ {
			_, odd = feed(d, &p, frag4(17, 7, 8+i*16, true, make([]byte, 8)))
		}
		if n := d.Counters(); len(odd) != 1 || odd[0] != TooManyFragments || n.KeptDatagrams != 0 || n.KeptBytes != 0 {
			t.Errorf("%v %+v", odd, n)
		}
	})
}

// libraries.md: ip4defrag keeps the frame's memory. Here a frame may be
// overwritten at once; feed does.
func TestFragmentsKeepNothingOfTheFrame(t *testing.T) {
	d := New(Config{})
	var p Packet
	seg := tcp(letters(3000))
	feed(d, &p, frag4(6, 7, 0, true, seg[:1480]))
	feed(d, &p, frag4(6, 7, 1480, true, seg[1480:2960]))
	if v, _ := feed(d, &p, frag4(6, 7, 2960, false, seg[2960:])); v != TCP || string(p.Payload) != letters(3000) {
		t.Errorf("verdict %d, %d bytes", v, len(p.Payload))
	}
	// What waits is forgotten once whole, and its memory used again.
	if n := d.Counters(); n.KeptDatagrams != 0 || n.KeptBytes != 0 || n.Reassembled != 1 || n.Fragments != 3 {
		t.Errorf("%+v", n)
	}
}

func TestFragmentsAllocateNothingOnceWarm(t *testing.T) {
	d := New(Config{})
	var p Packet
	seg := tcp(letters(3000))
	frames := [][]byte{frag4(6, 7, 0, true, seg[:1480]), frag4(6, 7, 1480, true, seg[1480:2960]), frag4(6, 7, 2960, false, seg[2960:])}
	f := &capture.Frame{Link: 1}
	if n := testing.AllocsPerRun(100, func() {
		for _, f.Data = range frames {
			d.Decode(f, &p)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFragments: a datagram cut in arbitrary fragments, in arbitrary order and
// some of them twice, is the datagram.
func FuzzFragments(f *testing.F) {
	f.Add(uint64(1), uint16(100), false, false)
	f.Add(uint64(2), uint16(5000), true, false)
	f.Add(uint64(3), uint16(65000), false, true)
	f.Add(uint64(4), uint16(3000), true, true)
	f.Fuzz(func(t *testing.T, seed uint64, size uint16, six, overlaps bool) {
		r := rand.New(rand.NewPCG(seed, 0))
		payload := make([]byte, min(int(size), 65000))
		for i := range payload {
			payload[i] = byte(r.Uint32())
		}
		whole := tcp(string(payload))
		var frames [][]byte
		send := func(off, end int) {
			build := frag4
			if six {
				build = frag6
			}
			b := build(6, 77, off, end != len(whole), whole[off:end])
			frames = append(frames, b)
			if r.IntN(4) == 0 {
				frames = append(frames, b)
			}
		}
		step := 8 * (1 + r.IntN(200))
		for off := 0; off < len(whole); {
			end := min(off+8*(1+r.IntN(step/8+1)), len(whole))
			if len(frames) > maxPieces/4 {
				end = len(whole)
			}
			send(off, end)
			if overlaps && off >= 8 {
				send(off-8*r.IntN(off/8), end)
			}
			off = end
		}
		r.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })

		d := New(Config{})
		var p Packet
		seen := 0
		for _, b := range frames {
			v, odd := feed(d, &p, b)
			for _, a := range odd {
				if a != TinyFragment && !(overlaps && six && a == FragmentOverlap6) {
					t.Fatalf("anomaly %v", a)
				}
			}
			if v == Waiting {
				continue
			}
			seen++
			if v != TCP || !bytes.Equal(p.Payload, payload) || p.Missing != 0 || p.Seq != 0x01020304 {
				t.Fatalf("verdict %d, %d bytes, want %d, %d missing", v, len(p.Payload), len(payload), p.Missing)
			}
			if p.Reassembled && within(b, p.Payload) && len(p.Payload) > 0 {
				t.Fatal("payload is of the frame")
			}
		}
		if seen == 0 {
			t.Fatalf("%d fragments gave nothing", len(frames))
		}
	})
}
