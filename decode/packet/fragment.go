package packet

import (
	"bytes"
	"encoding/binary"
)

// maxDatagram is the longest IP datagram but a jumbogram, which is never
// fragmented (RFC 2675 3).
const maxDatagram = 65535

// Bounds on the fragments of one datagram: 64 KiB in fragments for the least
// IPv4 MTU in use, 296 bytes, are 241. And on datagrams put together out of one
// another for one frame.
const (
	maxPieces = 1024
	maxJoined = 4
)

// fragmentKey names a datagram. IPv4 takes the protocol, RFC 791 3.2; IPv6 does
// not, RFC 8200 4.5. VLANs and tunnel keep apart networks that use the same
// addresses; a receiver is in one of them. Identifications repeat and can be
// guessed (RFC 7739, RFC 6864), so a datagram leaves the table when it is
// whole, or old.
type fragmentKey struct {
	src, dst [16]byte
	id       uint32
	tunnelID uint32
	vlans    [2]uint16
	tunnel   Tunnel
	proto    uint8
	six      bool
}

// piece is a stretch of a datagram that a fragment brought first.
type piece struct {
	off, end int32 // of the datagram's payload, as sent
	at       int32 // of its bytes in the datagram's memory
	have     int32 // how many were captured, from off on
}

const pieceSize = 16

// datagram is one that waits.
type datagram struct {
	key        fragmentKey
	began      int64 // time of its first fragment
	total      int32 // bytes of payload; -1 until the last fragment came
	covered    int32 // bytes of payload that pieces cover
	next       uint8 // protocol of the payload, from the fragment at offset 0
	mem        []byte
	pieces     []piece // by offset, without overlaps
	newer, old int32   // neighbours by age
}

const none = int32(-1)

// fragments is the table of datagrams that wait, oldest first out. Memory
// follows the bytes seen, never an offset or a length.
type fragments struct {
	maxDatagrams int
	maxBytes     int
	timeout      int64

	index          map[fragmentKey]int32
	slots          []datagram
	free           []int32
	oldest, newest int32
	bytes          int // memory of the datagrams that wait
	spare          [][]byte
	out            []byte // the datagram put together last
}

func (t *fragments) init(cfg *Config) {
	t.maxDatagrams, t.maxBytes, t.timeout = cfg.MaxDatagrams, cfg.MaxBytes, cfg.FragmentTimeout
	t.index = make(map[fragmentKey]int32)
	t.oldest, t.newest = none, none
}

// fragment4 takes an IPv4 fragment: b with its header of h bytes, place the
// field of flags and offset.
func (d *Decoder) fragment4(p *Packet, place uint16, h int, b []byte, more int) Verdict {
	key := fragmentKey{
		src: p.Src, dst: p.Dst, id: uint32(binary.BigEndian.Uint16(b[4:])), proto: b[9],
		tunnelID: p.TunnelID, tunnel: p.Tunnel, vlans: p.VLANs,
	}
	return d.fragment(p, &key, b[9], h, int(place&0x1fff)*8, place&0x2000 == 0, b[h:], more)
}

// fragment6 takes an IPv6 fragment: b from its fragment header on, before the
// bytes of the extension headers before it.
func (d *Decoder) fragment6(p *Packet, before int, b []byte, more int) Verdict {
	key := fragmentKey{
		src: p.Src, dst: p.Dst, id: binary.BigEndian.Uint32(b[4:]), six: true,
		tunnelID: p.TunnelID, tunnel: p.Tunnel, vlans: p.VLANs,
	}
	place := binary.BigEndian.Uint16(b[2:])
	p.Proto = b[0]
	return d.fragment(p, &key, b[0], before, int(place&^7), place&1 == 0, b[8:], more)
}

// fragment takes a fragment that brings b, and more that was not captured, at
// off. before counts towards the length of the whole datagram.
func (d *Decoder) fragment(p *Packet, key *fragmentKey, next uint8, before, off int, last bool, b []byte, more int) Verdict {
	d.n.Fragments++
	n := len(b) + more
	switch {
	case n == 0 || !last && n&7 != 0:
		// Linux drops the one and rounds the other down in IPv4, BSD drops both.
		d.n.Refused++
		return d.malformed(p, BadFragment)
	case before+off+n > maxDatagram:
		d.n.Refused++
		return d.malformed(p, FragmentTooFar)
	}
	if tiny(next, off, b, more, key.six) {
		p.odd(TinyFragment)
	}

	t := &d.frags
	for t.oldest != none && d.now-t.slots[t.oldest].began > t.timeout {
		t.remove(t.oldest)
		d.n.TimedOut++
	}
	i, known := t.index[*key]
	if known && d.now-t.slots[i].began > t.timeout {
		// Time went backwards, so an older one stood before it.
		t.remove(i)
		d.n.TimedOut++
		known = false
	}
	for !known && len(t.index) >= t.maxDatagrams || t.bytes+len(b) > t.maxBytes && t.oldest != none {
		if t.oldest == i && known {
			known = false
		}
		t.remove(t.oldest)
		d.n.Evicted++
	}
	if !known {
		i = t.add(key, d.now)
	}
	g := &t.slots[i]

	end := int32(off + n)
	switch {
	case g.total >= 0 && (end > g.total || last && end != g.total),
		last && len(g.pieces) > 0 && g.pieces[len(g.pieces)-1].end > end:
		d.n.Refused++
		p.odd(FragmentEnd)
		return Waiting
	}
	if last {
		g.total = end
	}
	if off == 0 && (len(g.pieces) == 0 || g.pieces[0].off != 0) {
		g.next = next
	}
	before = cap(g.mem) + cap(g.pieces)*pieceSize
	overlap, differs, ok := g.insert(int32(off), end, b)
	t.bytes += cap(g.mem) + cap(g.pieces)*pieceSize - before
	switch overlap {
	case same:
		d.n.Duplicates++
	case partly:
		d.n.Overlaps++
		if key.six {
			p.odd(FragmentOverlap6)
		}
	}
	if differs {
		p.odd(FragmentOverlap)
	}
	if !ok {
		t.remove(i)
		d.n.Refused++
		return d.malformed(p, TooManyFragments)
	}
	if g.covered != g.total {
		return Waiting
	}

	t.out = g.join(t.out[:0])
	missing := int(g.total) - len(t.out)
	next = g.next
	t.remove(i)
	d.n.Reassembled++
	p.Reassembled = true
	if d.joined++; d.joined > maxJoined {
		return d.malformed(p, TooDeep)
	}
	return d.extensions(p, next, t.out, missing)
}

// tiny reports whether a fragment cuts the transport header, so that a filter
// that looks at one fragment sees no ports or no flags: a first fragment that
// ends inside it (RFC 1858 3, RFC 7112 5), or one that begins inside the fixed
// part of a TCP header (RFC 3128 3).
func tiny(next uint8, off int, b []byte, more int, six bool) bool {
	if off != 0 {
		return next == ProtoTCP && off < 20
	}
	for range maxExtensions {
		if !isExtension(next, six) {
			break
		}
		if len(b) < 8 {
			return more == 0
		}
		n := extensionLength(next, b[1])
		if n > len(b) {
			return n > len(b)+more
		}
		next, b = b[0], b[n:]
	}
	switch next {
	case ProtoTCP:
		return len(b)+more < 20
	case ProtoUDP:
		return len(b)+more < 8
	}
	return false
}

// overlap is how a fragment lies to those that came before.
type overlap uint8

const (
	apart  overlap = iota
	same           // exactly where one lies
	partly         // otherwise
)

// insert copies what is new of a fragment from off to end, of which b was
// captured. What was there first stays; differs says that it was not the same.
// ok is false when there are too many pieces.
func (g *datagram) insert(off, end int32, b []byte) (how overlap, differs, ok bool) {
	i := len(g.pieces)
	for i > 0 && g.pieces[i-1].end > off {
		i--
	}
	for at := off; at < end; i++ {
		to := end
		if i < len(g.pieces) {
			if q := g.pieces[i]; q.off <= at {
				to = min(to, q.end)
				if q.off == off && q.end == end {
					how = same
				} else {
					how = partly
				}
				// What of the two was captured, from at to the shorter's end.
				n := min(to-at, q.have-(at-q.off), int32(len(b))-(at-off))
				if n > 0 && !bytes.Equal(b[at-off:at-off+n], g.mem[q.at+at-q.off:][:n]) {
					differs = true
				}
				at = to
				continue
			} else {
				to = min(to, q.off)
			}
		}
		if len(g.pieces) >= maxPieces {
			return how, differs, false
		}
		have := max(0, min(to-at, int32(len(b))-(at-off)))
		q := piece{off: at, end: to, at: int32(len(g.mem)), have: have}
		if have > 0 {
			g.mem = append(g.mem, b[at-off:at-off+have]...)
		}
		g.pieces = append(g.pieces, piece{})
		copy(g.pieces[i+1:], g.pieces[i:])
		g.pieces[i] = q
		g.covered += to - at
		at = to
	}
	return how, differs, true
}

// join appends the payload to out, up to the first byte that was not captured.
func (g *datagram) join(out []byte) []byte {
	for i := range g.pieces {
		q := &g.pieces[i]
		out = append(out, g.mem[q.at:q.at+q.have]...)
		if q.have < q.end-q.off {
			break
		}
	}
	return out
}

// add makes a datagram and gives its slot.
func (t *fragments) add(key *fragmentKey, now int64) int32 {
	var i int32
	if n := len(t.free); n > 0 {
		i = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		i = int32(len(t.slots))
		t.slots = append(t.slots, datagram{})
	}
	g := &t.slots[i]
	*g = datagram{key: *key, began: now, total: none, old: t.newest, newer: none, pieces: g.pieces[:0]}
	if n := len(t.spare); n > 0 {
		g.mem = t.spare[n-1]
		t.spare = t.spare[:n-1]
	}
	t.bytes += cap(g.mem) + cap(g.pieces)*pieceSize
	if t.newest != none {
		t.slots[t.newest].newer = i
	} else {
		t.oldest = i
	}
	t.newest = i
	t.index[*key] = i
	return i
}

// Memory that is kept for the next datagram: so many stretches, and so many
// pieces in a slot.
const (
	maxSpare       = 32
	maxSparePieces = 64
)

// remove forgets a datagram.
func (t *fragments) remove(i int32) {
	g := &t.slots[i]
	delete(t.index, g.key)
	t.bytes -= cap(g.mem) + cap(g.pieces)*pieceSize
	if len(t.spare) < maxSpare && cap(g.mem) > 0 {
		t.spare = append(t.spare, g.mem[:0])
	}
	g.mem = nil
	if cap(g.pieces) > maxSparePieces {
		g.pieces = nil
	}
	if g.old != none {
		t.slots[g.old].newer = g.newer
	} else {
		t.oldest = g.newer
	}
	if g.newer != none {
		t.slots[g.newer].old = g.old
	} else {
		t.newest = g.old
	}
	t.free = append(t.free, i)
}
