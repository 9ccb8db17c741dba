package rules

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"kmswatch/capture"
	"kmswatch/capture/capturetest"
)

// tape is a capture taken apart: what its connections say, without the segments
// that they said it in. It is played again in others.
type tape struct {
	conns []*conn
	steps []step
}

// conn is a TCP connection of a tape.
type conn struct {
	ends [2]netip.AddrPort // client, server
	said [2]uint32         // sequence number of the next byte
	over [2]bool           // a FIN was sent
}

// step is what happens next on a tape.
type step struct {
	what action
	conn int // index of the connection
	dir  int // 0 from the client
	// data is what one end says until the other does, or an IP packet.
	data []byte
	time int64
}

// action is what a step does.
type action uint8

const (
	opens  action = iota // SYN, SYN and ACK, ACK
	says                 // data of one end
	closes               // FIN of one end
	resets
	passes // an IP packet that is not TCP
)

// takeApart reads a capture of Ethernet and IPv4 whose connections are whole and
// in order.
func takeApart(t *testing.T, path string) *tape {
	t.Helper()
	tp := new(tape)
	type key [2]netip.AddrPort
	open := make(map[key]int)
	next := make(map[int]*[2]uint32)
	for _, f := range capturetest.Load(t, path) {
		p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
		ip, ok := p.NetworkLayer().(*layers.IPv4)
		if !ok {
			t.Fatalf("%s: frame %d is not IPv4", path, f.Number)
		}
		seg, ok := p.TransportLayer().(*layers.TCP)
		if !ok {
			tp.steps = append(tp.steps, step{what: passes, data: f.Data[14 : 14+int(ip.Length)], time: f.Time})
			continue
		}
		src := endOf(ip.SrcIP, uint16(seg.SrcPort))
		dst := endOf(ip.DstIP, uint16(seg.DstPort))
		if seg.SYN && !seg.ACK {
			open[key{src, dst}] = len(tp.conns)
			next[len(tp.conns)] = &[2]uint32{seg.Seq + 1, 0}
			tp.steps = append(tp.steps, step{what: opens, conn: len(tp.conns), time: f.Time})
			tp.conns = append(tp.conns, &conn{ends: [2]netip.AddrPort{src, dst}})
			continue
		}
		n, dir := 0, 0
		if n, ok = open[key{src, dst}]; !ok {
			dir = 1
			if n, ok = open[key{dst, src}]; !ok {
				t.Fatalf("%s: frame %d of a connection whose beginning is not there", path, f.Number)
			}
		}
		at := &next[n][dir]
		switch {
		case seg.SYN:
			*at = seg.Seq + 1
			continue
		case len(seg.Payload) > 0 && seg.Seq != *at:
			t.Fatalf("%s: frame %d is out of order", path, f.Number)
		case len(seg.Payload) > 0:
			*at += uint32(len(seg.Payload))
			tp.say(n, dir, seg.Payload, f.Time)
		}
		switch {
		case seg.RST:
			tp.steps = append(tp.steps, step{what: resets, conn: n, dir: dir, time: f.Time})
		case seg.FIN:
			tp.steps = append(tp.steps, step{what: closes, conn: n, dir: dir, time: f.Time})
		}
	}
	return tp
}

func endOf(ip []byte, port uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a, port)
}

// say adds data to what an end says, if nothing of the connection came between.
func (tp *tape) say(n, dir int, b []byte, time int64) {
	for i := len(tp.steps) - 1; i >= 0; i-- {
		s := &tp.steps[i]
		if s.conn != n || s.what == passes {
			continue
		}
		if s.what == says && s.dir == dir && i == len(tp.steps)-1 {
			s.data = append(s.data, b...)
			return
		}
		break
	}
	tp.steps = append(tp.steps, step{what: says, conn: n, dir: dir, data: append([]byte{}, b...), time: time})
}

// respell gives the tape with other bytes for what is said on it. f is given
// each thing said, and gives what is said instead, in order.
func (tp *tape) respell(f func(s step) []step) *tape {
	out := &tape{conns: tp.conns}
	for _, s := range tp.steps {
		if s.what != says {
			out.steps = append(out.steps, s)
			continue
		}
		for _, r := range f(s) {
			out.say(r.conn, r.dir, r.data, r.time)
		}
	}
	return out
}

// piece is a segment of what is said: bytes and where they belong.
type piece struct {
	at   int
	data []byte
}

// delivery is how a tape is played: in which segments, in which packets.
type delivery struct {
	// pieces gives the segments of what one end says, in the order of their
	// coming. Nil sends segments of 1,460 bytes.
	pieces func(rng *rand.Rand, said []byte) []piece
	// packets gives the packets of an IP packet. Nil sends it whole.
	packets func(rng *rand.Rand, ip []byte) [][]byte
}

// player writes the frames of a tape.
type player struct {
	delivery
	rng    *rand.Rand
	frames []capture.Frame
	now    int64
	id     uint16
}

// play gives the frames of a tape in a delivery. The same seed gives the same
// frames. The clock follows the capture's, and moves by ten microseconds a
// frame.
func (tp *tape) play(d delivery, seed uint64) []capture.Frame {
	p := &player{delivery: d, rng: rand.New(rand.NewPCG(seed, 1))}
	if p.pieces == nil {
		p.pieces = wholeSegments
	}
	for _, s := range tp.steps {
		p.now = max(p.now, s.time)
		if s.what == passes {
			p.ip(s.data)
			continue
		}
		c := tp.conns[s.conn]
		switch s.what {
		case opens:
			// So that sequence numbers wrap in the middle of most connections.
			c.said = [2]uint32{-p.rng.Uint32N(1000), -p.rng.Uint32N(1000)}
			c.over = [2]bool{}
			p.segment(c, 0, -1, syn, nil)
			p.segment(c, 1, -1, syn|ack, nil)
			p.segment(c, 0, 0, ack, nil)
		case says:
			for _, x := range p.pieces(p.rng, s.data) {
				p.segment(c, s.dir, x.at, psh|ack, x.data)
			}
			c.said[s.dir] += uint32(len(s.data))
		case closes:
			if !c.over[s.dir] {
				p.segment(c, s.dir, 0, fin|ack, nil)
				c.said[s.dir]++
			}
			c.over[s.dir] = true
		case resets:
			p.segment(c, s.dir, 0, rst|ack, nil)
		}
	}
	return p.frames
}

// Flags of a TCP header, RFC 9293 3.1.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// segment adds a segment at a distance from the next byte of its end.
func (p *player) segment(c *conn, dir, distance int, flags byte, data []byte) {
	src, dst := c.ends[dir], c.ends[1-dir]
	b := []byte{0x45, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(40+len(data)))
	p.id++
	b = binary.BigEndian.AppendUint16(b, p.id)
	b = append(b, 0, 0, 64, 6, 0, 0)
	b = append(append(b, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = binary.BigEndian.AppendUint32(b, c.said[dir]+uint32(distance))
	if flags&ack != 0 {
		b = binary.BigEndian.AppendUint32(b, c.said[1-dir])
	} else {
		b = append(b, 0, 0, 0, 0)
	}
	b = append(b, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	p.ip(append(b, data...))
}

func (p *player) ip(b []byte) {
	all := [][]byte{b}
	if p.packets != nil {
		all = p.packets(p.rng, b)
	}
	for _, b := range all {
		data := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0}, b...)
		p.frames = append(p.frames, capture.Frame{
			Data: data, Length: len(data), Time: p.now, Number: uint64(len(p.frames) + 1), Link: capture.LinkEthernet,
		})
		p.now += 10_000
	}
}

func wholeSegments(_ *rand.Rand, said []byte) []piece {
	var all []piece
	for at := 0; at < len(said); at += 1460 {
		all = append(all, piece{at, said[at:min(at+1460, len(said))]})
	}
	return all
}
