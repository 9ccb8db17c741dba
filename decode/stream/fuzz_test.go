package stream

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// conversation is two byte streams and what a capture saw of them; it is also
// the Receiver that compares.
type conversation struct {
	t     testing.TB
	data  [2][]byte
	isn   [2]uint32
	pos   [2]int // place of the first unused byte
	given [2]int // place behind the last byte given
	lossy bool   // gaps are allowed
	use   func(n int) int
}

func (c *conversation) Data(dir Dir, b []byte, _ bool) int {
	pos := c.pos[dir]
	if len(b) == 0 || pos+len(b) <= c.given[dir] && c.given[dir] > pos {
		c.t.Fatalf("direction %d: %d bytes at %d, of which none is new", dir, len(b), pos)
	}
	if pos+len(b) > len(c.data[dir]) || !bytes.Equal(b, c.data[dir][pos:pos+len(b)]) {
		c.t.Fatalf("direction %d: %d wrong bytes at %d of %d", dir, len(b), pos, len(c.data[dir]))
	}
	c.given[dir] = pos + len(b)
	used := c.use(len(b))
	c.pos[dir] += used
	return used
}

func (c *conversation) Gap(dir Dir, n int64) {
	if !c.lossy || n <= 0 {
		c.t.Fatalf("direction %d: gap of %d at %d of %d", dir, n, c.pos[dir], len(c.data[dir]))
	}
	c.given[dir] = max(c.given[dir], c.pos[dir]) + int(n)
	c.pos[dir] = c.given[dir]
}

func (c *conversation) Anomaly(dir Dir, a Anomaly) {
	c.t.Fatalf("direction %d: %v", dir, a)
}

// piece is a segment that a capture saw.
type piece struct {
	dir      Dir
	from, to int // of the data
	flags    uint8
	at       int // place in the capture
}

// talk makes the conversation of choices and checks what the Reassembler makes
// of it. Choose gives a number below n.
func talk(t testing.TB, choose func(n int) int, lossy bool) {
	c := &conversation{t: t, lossy: lossy}
	c.use = func(n int) int { return n }
	if choose(2) == 0 {
		c.use = func(n int) int { return choose(n + 1) }
	}
	for dir := range c.data {
		c.isn[dir] = uint32(choose(1<<16))<<16 | uint32(choose(1<<16))
		if choose(4) == 0 {
			c.isn[dir] = -uint32(choose(600)) // the data wraps
		}
		c.data[dir] = make([]byte, choose(1500))
		for i := range c.data[dir] {
			c.data[dir][i] = byte(i*7 + i>>8 + int(dir)*3)
		}
	}

	// What was sent: turns of segments that overlap and repeat.
	var sent []piece
	at := [2]int{}
	for at[0] < len(c.data[0]) || at[1] < len(c.data[1]) {
		dir := Dir(choose(2))
		if at[dir] == len(c.data[dir]) {
			dir ^= 1
		}
		for range 1 + choose(5) {
			from := max(0, at[dir]-choose(3)*choose(200))
			to := min(len(c.data[dir]), at[dir]+1+choose(200))
			if from == to {
				break
			}
			sent = append(sent, piece{dir: dir, from: from, to: to})
			at[dir] = to
		}
	}
	for dir := range Dir(2) {
		sent = append(sent, piece{dir: dir, from: len(c.data[dir]), to: len(c.data[dir]), flags: FIN})
	}
	// What was captured: some twice, some not, some later.
	var seen []piece
	for i, p := range sent {
		if lossy && choose(6) == 0 {
			continue
		}
		p.at = i*4 + choose(4)*choose(20)
		seen = append(seen, p)
		if choose(5) == 0 {
			p.at += choose(60)
			seen = append(seen, p)
		}
	}
	for i := range seen { // insertion sort: stable, and choose is no comparison
		for j := i; j > 0 && seen[j].at < seen[j-1].at; j-- {
			seen[j], seen[j-1] = seen[j-1], seen[j]
		}
	}

	r := NewReassembler(Config{})
	conn := new(Conn)
	closed := 0
	feed := func(dir Dir, s Segment) {
		switch r.Segment(conn, dir, &s, c) {
		case Closed:
			closed++
		case Reused:
			t.Fatal("reused")
		}
		clear(s.Payload)
		checkInvariants(t, r, conn)
	}
	handshake := !lossy || choose(2) == 0
	if handshake {
		feed(0, Segment{Seq: c.isn[0], Flags: SYN})
		feed(1, Segment{Seq: c.isn[1], Ack: c.isn[0] + 1, Flags: SYN | ACK})
	} else {
		feed(0, Segment{Seq: c.isn[0] + 1, Ack: c.isn[1] + 1, Flags: ACK})
		feed(1, Segment{Seq: c.isn[1] + 1, Ack: c.isn[0] + 1, Flags: ACK})
	}
	// An end acknowledges what it has without a hole; where nothing is lost,
	// that is what the capture saw.
	var has [2][]bool
	for dir := range has {
		has[dir] = make([]bool, len(c.data[dir]))
	}
	var acked [2]int
	for i, p := range seen {
		for j := p.from; j < p.to; j++ {
			has[p.dir][j] = true
		}
		back := p.dir ^ 1
		for acked[back] < len(has[back]) && (has[back][acked[back]] || lossy && choose(3) != 0) {
			acked[back]++
		}
		s := Segment{
			Seq: c.isn[p.dir] + 1 + uint32(p.from), Ack: c.isn[back] + 1 + uint32(acked[back]),
			Flags: ACK | p.flags, Payload: bytes.Clone(c.data[p.dir][p.from:p.to]),
			Time: int64(i) * 1e6 * int64(1+choose(30)),
		}
		if lossy && p.flags == 0 && choose(8) == 0 { // the snap length
			n := choose(len(s.Payload) + 1)
			s.Missing = len(s.Payload) - n
			s.Payload = s.Payload[:n]
		}
		feed(p.dir, s)
	}
	r.Flush(conn, c)
	checkInvariants(t, r, conn)
	if conn.Overlap() {
		t.Fatal("an overlap that differs was seen where none is")
	}
	if !lossy {
		for dir := range c.data {
			if c.given[dir] != len(c.data[dir]) {
				t.Fatalf("direction %d: %d bytes given of %d", dir, c.given[dir], len(c.data[dir]))
			}
		}
		if closed != 1 || conn.Missing() || conn.MidStream() || conn.Cut() {
			t.Fatalf("closed %d times, %+v", closed, conn.flags)
		}
	}
	r.Reset(conn)
	checkInvariants(t, r)
}

// Whatever the cuts, the order, the repeats and the overlaps: the same bytes.
func TestAnyCutOfAConversationIsTheConversation(t *testing.T) {
	n := uint64(800)
	if testing.Short() {
		n = 300
	}
	for seed := range n {
		rng := rand.New(rand.NewPCG(seed, 1))
		talk(t, rng.IntN, false)
		talk(t, rng.IntN, true)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// choices gives numbers from the bytes of a fuzzer, then ones that look random.
type choices struct {
	b    []byte
	more uint32
}

func (c *choices) choose(n int) int {
	v := 0
	for m := n - 1; m > 0; m >>= 8 {
		v <<= 8
		if len(c.b) > 0 {
			v |= int(c.b[0])
			c.b = c.b[1:]
		} else {
			c.more = c.more*1664525 + 1013904223
			v |= int(c.more >> 24)
		}
	}
	return v % max(n, 1)
}

func FuzzSegments(f *testing.F) {
	for seed := range uint64(16) {
		rng := rand.New(rand.NewPCG(seed, 2))
		b := make([]byte, 600)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		talk(t, (&choices{b: b}).choose, false)
		talk(t, (&choices{b: b}).choose, true)
	})
}

// account is a Receiver that uses some and checks that no more comes than was
// sent.
type account struct {
	t      testing.TB
	c      *choices
	unused [2]int
	fresh  int // bytes given, each once
	gaps   int64
}

func (a *account) Data(dir Dir, b []byte, _ bool) int {
	if len(b) <= a.unused[dir] {
		a.t.Fatalf("%d bytes, %d of them known", len(b), a.unused[dir])
	}
	a.fresh += len(b) - a.unused[dir]
	used := 0
	switch a.c.choose(4) {
	case 0:
	case 1:
		used = a.c.choose(len(b))
	default:
		used = len(b)
	}
	a.unused[dir] = len(b) - used
	return used
}

func (a *account) Gap(dir Dir, n int64) {
	a.unused[dir] = 0
	a.gaps += max(n, 0)
}

func (a *account) Anomaly(_ Dir, n Anomaly) {
	if n == 0 || n >= anomalies {
		a.t.Fatalf("anomaly %d", n)
	}
}

// arbitrary feeds what a fuzzer wrote: records of 16 bytes.
func arbitrary(t testing.TB, b []byte) {
	r := NewReassembler(Config{MaxSegments: 8})
	// Bounds that a fuzzer reaches.
	r.cfg.MaxPerFlow, r.memory.limit = 8192, 16384
	conns := [2]*Conn{new(Conn), new(Conn)}
	zero := [4096]byte{}
	var accounts [2]account
	for i := range accounts {
		accounts[i] = account{t: t, c: &choices{b: b}}
	}
	sent := [2]int{}
	var clock int64
	for len(b) >= 16 {
		rec := b[:16]
		b = b[16:]
		i := int(rec[0] >> 1 & 1)
		c, a := conns[i], &accounts[i]
		dir := Dir(rec[0] & 1)
		h := &c.half[dir]
		if rec[0]&0x30 == 0x30 {
			if rec[0]&0x40 != 0 {
				r.Flush(c, a)
			}
			r.Reset(c)
			a.unused = [2]int{}
			checkInvariants(t, r, conns[:]...)
			continue
		}
		s := Segment{
			Seq: binary.LittleEndian.Uint32(rec[4:]), Ack: binary.LittleEndian.Uint32(rec[8:]),
			Flags: rec[1], Missing: int(int8(rec[2])), Time: clock,
		}
		if rec[0]&4 != 0 { // mostly near the next byte
			s.Seq = h.next + uint32(int32(int16(s.Seq)))>>(rec[3]>>5)
		}
		if rec[0]&8 != 0 {
			s.Ack = c.half[dir^1].next + uint32(int32(int16(s.Ack)))
		}
		clock += int64(rec[12]) << 22
		n := int(rec[13]) << (rec[14] & 3)
		s.Payload = zero[:n:n]
		if rec[14]&4 != 0 && len(b) >= 16 {
			s.Payload = b[:16:16]
		}
		before := a.fresh
		nextBefore := h.next
		result := r.Segment(c, dir, &s, a)
		sent[i] += len(s.Payload)
		checkInvariants(t, r, conns[:]...)
		if a.fresh > sent[i] {
			t.Fatalf("%d bytes given, %d sent", a.fresh, sent[i])
		}
		if result == Reused {
			if a.fresh != before || h.next != nextBefore {
				t.Fatal("something was done with a segment of another connection")
			}
			r.Flush(c, a)
			r.Reset(c)
			a.unused = [2]int{}
			if r.Segment(c, dir, &s, a) == Reused {
				t.Fatal("reused again")
			}
			checkInvariants(t, r, conns[:]...)
		}
	}
	for i, c := range conns {
		r.Flush(c, &accounts[i])
		checkInvariants(t, r, conns[:]...)
		if accounts[i].fresh > sent[i] {
			t.Fatalf("%d bytes given, %d sent", accounts[i].fresh, sent[i])
		}
	}
	n := r.Counters()
	if n.Bytes != uint64(accounts[0].fresh+accounts[1].fresh) || n.Waiting != 0 || n.PeakWaiting > 16384 {
		t.Fatalf("%d bytes given, counters %+v", accounts[0].fresh+accounts[1].fresh, n)
	}
	for _, c := range conns {
		r.Reset(c)
	}
	checkInvariants(t, r)
}

func FuzzArbitrary(f *testing.F) {
	for seed := range uint64(16) {
		rng := rand.New(rand.NewPCG(seed, 3))
		b := make([]byte, 1600)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 {
			return
		}
		arbitrary(t, b)
	})
}

func TestArbitrarySegmentsKeepTheInvariants(t *testing.T) {
	b := make([]byte, 16*400)
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 4))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		for i := 0; i < len(b); i += 16 {
			b[i] |= 4 | 8 // near
			b[i] &^= 0x10
			if rng.IntN(4) != 0 {
				b[i+1] = ACK
			}
			b[i+2] = byte(rng.IntN(8)) * byte(rng.IntN(2))
		}
		arbitrary(t, b)
	}
}
