package stream

import "hash/maphash"

// Flags of a TCP header, RFC 9293 3.1.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// Segment is one TCP segment.
type Segment struct {
	Seq, Ack uint32
	Flags    uint8  // FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32; other bits are not looked at
	Payload  []byte // borrowed for the call
	Missing  int    // bytes of payload on the wire behind Payload, cut by the snap length
	Time     int64  // nanoseconds
}

// Receiver takes what a connection carries, in order. Its methods do not call
// the Reassembler.
type Receiver interface {
	// Data gives the bytes that were not used last time, followed by new ones,
	// and takes how many of them were used: 0 to len(b). The rest comes again
	// as soon as there is more behind it. b is borrowed until Data returns.
	// boundary tells that b[0] is the first byte of a segment as it was sent.
	Data(dir Dir, b []byte, boundary bool) (used int)
	// Gap tells of n bytes that will never come, an unknown number of them
	// if n <= 0. Bytes before the gap that were not used are dropped.
	Gap(dir Dir, n int64)
	Anomaly(dir Dir, a Anomaly)
}

// Config bounds a Reassembler. The zero value of a field is its default.
type Config struct {
	// MaxPerFlow is how many bytes may wait in each direction of a connection:
	// 1 MiB; half of it for bytes that the receiver has not used, half for
	// segments behind holes. At least 256 KiB, that a PDU of 64 KiB and the
	// segment that completes it fit, at most 16 MiB.
	MaxPerFlow int
	// MaxTotal is how many bytes may wait in all: 64 MiB; at least MaxPerFlow.
	MaxTotal int
	// MaxSegments is how many segments may wait in each direction behind
	// holes: 1,024.
	MaxSegments int
	// Seed is of the hashes by which overlaps are compared, so that nobody can
	// make data that differs and looks the same; a new one if it is zero.
	Seed maphash.Seed
}

const (
	minPerFlow = 256 << 10
	maxPerFlow = 16 << 20
)

func (c *Config) setDefaults() {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&c.MaxPerFlow, 1<<20)
	def(&c.MaxTotal, 64<<20)
	def(&c.MaxSegments, 1024)
	c.MaxPerFlow = min(max(c.MaxPerFlow, minPerFlow), maxPerFlow)
	c.MaxTotal = max(c.MaxTotal, c.MaxPerFlow)
	if c.Seed == (maphash.Seed{}) {
		c.Seed = maphash.MakeSeed()
	}
}

// Counters counts what a Reassembler saw. All but Waiting only grow.
type Counters struct {
	Segments      uint64
	Bytes         uint64 // of payload, in order, each once
	Duplicates    uint64 // segments seen twice within a moment, as SPAN ports give them
	Retransmitted uint64 // segments that brought nothing new
	Overlaps      uint64 // segments of which a part was new
	KeepAlives    uint64
	OutOfOrder    uint64 // segments that waited behind a hole
	Gaps          uint64
	GapBytes      uint64 // bytes of the gaps whose length is known
	Outside       uint64 // segments too far from all others to belong to the stream
	Resyncs       uint64 // times that the stream was found elsewhere
	BadAcks       uint64 // acknowledgements that no SYN fits
	BadResets     uint64 // RSTs that a host would not have taken
	Late          uint64 // segments after an RST
	FlowOverflows uint64 // times that more waited than MaxPerFlow or MaxSegments let
	Reclaimed     uint64 // directions that lost what waited to MaxTotal
	Anomalies     uint64
	Waiting       uint64 // bytes that wait now, with what their bookkeeping takes
	PeakWaiting   uint64 // most that waited
}

// Add adds the counters of another Reassembler.
func (c *Counters) Add(o Counters) {
	c.Segments += o.Segments
	c.Bytes += o.Bytes
	c.Duplicates += o.Duplicates
	c.Retransmitted += o.Retransmitted
	c.Overlaps += o.Overlaps
	c.KeepAlives += o.KeepAlives
	c.OutOfOrder += o.OutOfOrder
	c.Gaps += o.Gaps
	c.GapBytes += o.GapBytes
	c.Outside += o.Outside
	c.Resyncs += o.Resyncs
	c.BadAcks += o.BadAcks
	c.BadResets += o.BadResets
	c.Late += o.Late
	c.FlowOverflows += o.FlowOverflows
	c.Reclaimed += o.Reclaimed
	c.Anomalies += o.Anomalies
	c.Waiting += o.Waiting
	c.PeakWaiting += o.PeakWaiting
}

// Result is what became of a connection with a segment.
type Result uint8

const (
	// Continue is the usual one.
	Continue Result = iota
	// Closed is given once: both ends have sent all that their FINs announced,
	// or an RST was taken. The Reassembler goes on taking segments.
	Closed
	// Reused tells that the segment belongs to another connection between the
	// same ports. Nothing was done with it: the caller ends the flow, resets
	// the Conn and gives the segment again. That is, after the end, a SYN, or
	// data that goes on from an RST (the RST was not the sender's); on an open
	// connection a SYN with another sequence number, but only once the other
	// end answers it or when the other end was never seen, since hosts do not
	// take such a SYN either (RFC 5961 4.2).
	Reused
)

// Bounds of what is plausible.
const (
	// window is how far from the next byte a segment may be.
	window = 1 << 24
	// maxSegment bounds a segment, payload and missing bytes each.
	maxSegment = 1 << 20
	// resetWindow is how far from the next byte an RST may be where bytes are
	// known to be missing. Elsewhere it must fit exactly, RFC 5961 3.2.
	resetWindow = 1 << 16
	// oneSidedRun and twoSidedRun are how many segments in sequence make a
	// stream elsewhere. With both ends in view the acknowledgements tell it.
	oneSidedRun = 3
	twoSidedRun = 32
	// ackTicks is how long a hole stays open that is acknowledged: captures
	// have an acknowledgement before what it acknowledges when several queues
	// or mirrored ports fill them. An answer with data closes it at once, that
	// the question comes before the answer.
	ackTicks = 2
	// oneSidedWait is how long a hole stays open that nobody acknowledges
	// because the other direction was never seen.
	oneSidedWait = 1_000_000_000
	// recentChunks is how many delivered pieces a direction remembers the
	// hashes of. An overlap with bytes that are no longer kept is compared if
	// it covers one of these pieces as a whole.
	recentChunks = 4
	// fewBytes is less than honest hosts send in each of hundreds of segments in a
	// row without an acknowledgement: RFC 9293 3.7.4 has them wait for more.
	fewBytes = 32
	// tickBits makes ticks of about a millisecond from nanoseconds; a segment
	// that comes again within duplicateTicks is a frame seen twice. TCP sends
	// again after 200 ms, or after three later segments were acknowledged.
	tickBits       = 20
	duplicateTicks = 10
)

type halfFlags uint16

const (
	known    halfFlags = 1 << iota // next is valid
	seen                           // a segment from this end was seen
	synSeen                        // its SYN was
	trying                         // the SYN has not been acknowledged yet
	ackKnown                       // acked is valid though known is not set
	mid                            // picked up in the middle
	held                           // data of the SYN waits for the answer
	second                         // other is valid
	many                           // there were more SYNs than second tells
	finSeen                        // fin is valid, of a FIN
	finished                       // all up to the FIN was delivered
	reset                          // its RST was taken; fin is the sequence number
	ignored                        // nobody wants its data
	jumped                         // a hole was skipped that nobody acknowledged
)

// chunk remembers a piece of what was delivered.
type chunk struct {
	seq  uint32
	sum  uint32
	len  uint16 // 0 is no chunk
	tick uint16
}

// half is what is remembered of one direction: of the end that sends.
type half struct {
	next   uint32 // sequence number of the next byte
	acked  uint32 // what the other end acknowledged
	start  uint32 // initial sequence number, or the one before the first seen
	fin    uint32 // sequence number of the FIN or RST, see flags
	other  uint32 // another initial sequence number
	run    uint32 // iff runs > 0: end of the last segment outside the window
	wait   *waiting
	flags  halfFlags
	told   uint8  // a bit an Anomaly
	runs   uint8  // segments in sequence outside the window
	head   uint8  // of recent, the one to overwrite next
	ticked uint16 // tick at which acked moved
	recent [recentChunks]chunk
}

type connFlags uint8

const (
	initiatorKnown connFlags = 1 << iota
	initiatorDir             // initiator is direction 1
	closed
	missing
	cut
	duplicates
	overlap
)

// Conn is what is remembered of a connection. The zero value is a new one. It
// may be copied as long as only one of the copies is used.
type Conn struct {
	half  [2]half
	flags connFlags
}

func (c *Conn) has(f connFlags) bool { return c.flags&f != 0 }

// MidStream tells that the beginning of a direction was not seen.
func (c *Conn) MidStream() bool { return (c.half[0].flags|c.half[1].flags)&mid != 0 }

// Missing tells that bytes never came, or came and did not fit the bounds.
func (c *Conn) Missing() bool { return c.has(missing) }

// Duplicates tells that frames were seen twice.
func (c *Conn) Duplicates() bool { return c.has(duplicates) }

// Overlap tells that data came again with other bytes.
func (c *Conn) Overlap() bool { return c.has(overlap) }

// OneSided tells that one direction was never seen.
func (c *Conn) OneSided() bool { return c.half[0].flags&c.half[1].flags&seen == 0 }

// Cut tells that the snap length cut payload.
func (c *Conn) Cut() bool { return c.has(cut) }

// Initiator gives the direction in which the end sends that opened the
// connection, known by its SYN or by the answer to it.
func (c *Conn) Initiator() (dir Dir, known bool) {
	if c.has(initiatorDir) {
		dir = 1
	}
	return dir, c.has(initiatorKnown)
}

func (c *Conn) setInitiator(dir Dir) {
	if c.has(initiatorKnown) {
		return
	}
	c.flags |= initiatorKnown
	if dir == 1 {
		c.flags |= initiatorDir
	}
}

// Ignore says that no more data of a direction is wanted. Its sequence numbers
// are still followed. A Receiver may call it.
func (c *Conn) Ignore(dir Dir) { c.half[dir&1].flags |= ignored }

// Reassembler puts the segments of many connections in order. It owns the
// memory of all that waits and is used by one goroutine.
type Reassembler struct {
	cfg      Config
	counters Counters
	memory
}

// NewReassembler makes a Reassembler.
func NewReassembler(cfg Config) *Reassembler {
	cfg.setDefaults()
	r := &Reassembler{cfg: cfg}
	r.limit = cfg.MaxTotal
	return r
}

// Counters gives the counters so far.
func (r *Reassembler) Counters() Counters {
	c := r.counters
	c.Reclaimed = r.reclaimed
	c.Waiting, c.PeakWaiting = uint64(r.used), uint64(r.peak)
	return c
}

// Reset makes c as new and takes its memory back.
func (r *Reassembler) Reset(c *Conn) {
	r.release(&c.half[0])
	r.release(&c.half[1])
	*c = Conn{}
}

// after tells whether sequence number a is behind b, RFC 9293 3.4.
func after(a, b uint32) bool { return int32(a-b) > 0 }

// What the short way through Segment looks at, and how it must be.
const (
	plainFlags  = FIN | SYN | RST | ACK | URG
	plainSender = known | seen | held | finSeen | reset | ignored | jumped
	plainPeer   = known | trying | finSeen | reset | jumped
)

// Segment takes the next segment of c as captured; dir is the direction that it
// goes in. What becomes of it is told to to before Segment returns.
func (r *Reassembler) Segment(c *Conn, dir Dir, s *Segment, to Receiver) Result {
	dir &= 1
	h, p := &c.half[dir], &c.half[dir^1]
	r.counters.Segments++
	if s.Seq != h.next || s.Flags&plainFlags != ACK || s.Missing != 0 ||
		h.flags&plainSender != known|seen || p.flags&plainPeer != known ||
		h.wait != nil || p.wait != nil || p.runs != 0 || len(s.Payload) > maxSegment {
		return r.segment(c, dir, s, to)
	}
	p.take(s.Ack, s.Time, len(s.Payload) > 0)
	if len(s.Payload) == 0 {
		return Continue
	}
	r.remember(h, s.Payload, s.Time)
	h.runs = 0
	h.next += uint32(len(s.Payload))
	r.counters.Bytes += uint64(len(s.Payload))
	if used := to.Data(dir, s.Payload, true); used < len(s.Payload) {
		r.keep(c, dir, s.Payload, used, true, to)
	}
	return Continue
}

// segment is Segment for all that is not plain.
func (r *Reassembler) segment(c *Conn, dir Dir, s *Segment, to Receiver) Result {
	h, p := &c.half[dir], &c.half[dir^1]
	r.settle(c, dir, to)
	r.settle(c, dir^1, to)
	if s.Flags&RST != 0 {
		return r.rst(c, dir, s)
	}
	b := s.Payload[:min(len(s.Payload), maxSegment)]
	m := min(max(s.Missing, 0), maxSegment)
	n := uint32(len(b) + m)
	if (h.flags|p.flags)&reset != 0 && s.Flags&SYN == 0 {
		if h.flags&reset != 0 && n > 0 && s.Seq+n-h.fin-1 < window {
			r.tell(c, dir, DataAfterReset, to)
			return Reused
		}
		r.counters.Late++
		return Continue
	}

	seq, fin := s.Seq, s.Flags&FIN != 0
	if s.Flags&SYN != 0 {
		if result, done := r.syn(c, dir, s, to); done {
			return result
		}
		seq, fin = seq+1, false
	} else {
		if h.flags&(trying|second) == trying|second && seq == h.other+1 && seq != h.next {
			r.switchTo(c, dir, h.other, to) // no answer was seen, but this end knows which it was
		}
		lost := h.flags&known == 0 || h.flags&seen == 0 && seq-h.next+window > 2*window
		if lost {
			h.pickUp(seq, b)
		}
	}
	h.flags |= seen

	if off := int32(seq - h.next); off >= window || off < -window {
		r.counters.Outside++
		if s.Flags&ACK != 0 && p.runs > 0 {
			r.acknowledge(c, dir, s, to)
		}
		if n == 0 || !h.astray(seq, n, p) {
			return Continue
		}
		if c.has(closed) {
			return Reused
		}
		r.resync(c, dir, seq, to)
	}
	if s.Flags&ACK != 0 {
		r.acknowledge(c, dir, s, to)
	}
	if s.Flags&SYN == 0 && h.flags&held != 0 {
		h.flags &^= held
		r.advance(c, dir, s.Time, to)
	}
	if s.Flags&URG != 0 && n > 0 {
		r.tell(c, dir, UrgentData, to)
	}
	if n > 0 || fin {
		r.payload(c, dir, seq, b, m, fin, s, to)
	}
	if h.wait != nil || h.flags&finSeen != 0 {
		r.advance(c, dir, s.Time, to)
	}
	if h.flags&p.flags&finished != 0 && !c.has(closed) {
		c.flags |= closed
		return Closed
	}
	return Continue
}

// pickUp begins a direction in the middle.
func (h *half) pickUp(seq uint32, b []byte) {
	h.start, h.next = seq-1, seq
	if len(b) == 1 && b[0] == 0 {
		h.next++ // a keep-alive repeats the byte before the next
	}
	if h.flags&(ackKnown|known) == 0 || h.acked-seq+window > 2*window {
		h.acked = seq
	}
	h.flags |= known | mid
}

// astray notes a segment that fits nowhere and tells whether there have been
// enough of them in sequence to believe that the stream is there.
func (h *half) astray(seq, n uint32, p *half) bool {
	if h.runs == 0 || seq != h.run {
		h.runs = 0
	}
	h.run = seq + n
	h.runs = min(h.runs+1, twoSidedRun)
	if p.flags&seen == 0 {
		return h.runs >= oneSidedRun
	}
	return h.runs >= twoSidedRun
}

// resync goes on at another place of the stream.
func (r *Reassembler) resync(c *Conn, dir Dir, seq uint32, to Receiver) {
	h := &c.half[dir]
	r.counters.Resyncs++
	r.release(h)
	h.next, h.acked, h.runs = seq, seq, 0
	h.recent = [recentChunks]chunk{}
	h.flags &^= finSeen | finished | jumped | trying | second | many | held
	r.gap(c, dir, -1, missing, to)
}

// acknowledge takes what a segment in direction dir says of the other one.
func (r *Reassembler) acknowledge(c *Conn, dir Dir, s *Segment, to Receiver) {
	h, p := &c.half[dir], &c.half[dir^1]
	ack := s.Ack
	if p.flags&known == 0 {
		if h.flags&synSeen != 0 && h.next == h.start+1 {
			// The answer to a SYN, or the last part of the handshake: the
			// other end's stream begins here.
			p.start, p.next, p.acked = ack-1, ack, ack
			p.flags |= known
			return
		}
		p.acked = ack
		p.flags |= ackKnown
		return
	}
	if p.flags&trying != 0 && !r.confirm(c, dir^1, ack, to) {
		r.counters.BadAcks++
		return
	}
	forth := ack-p.acked-1 < window // not an old one, not one from elsewhere
	if p.runs > 0 && p.run-ack < maxSegment && (!forth || p.flags&jumped != 0 && after(p.next, ack)) {
		r.resync(c, dir^1, ack, to)
		return
	}
	if p.take(ack, s.Time, len(s.Payload)+s.Missing > 0 || s.Flags&FIN != 0) {
		if p.flags&jumped != 0 && !after(p.next, ack) {
			p.flags &^= jumped
		}
	}
	if p.wait != nil || p.flags&finSeen != 0 {
		p.flags &^= held
		r.advance(c, dir^1, s.Time, to)
	}
}

// payload takes the data and the FIN of a segment within the window. At seq
// stand b, m missing bytes, and then the FIN.
func (r *Reassembler) payload(c *Conn, dir Dir, seq uint32, b []byte, m int, fin bool, s *Segment, to Receiver) {
	h := &c.half[dir]
	n := len(b) + m
	end := seq + uint32(n)
	if n == 1 && (seq == h.next-1 && !fin && !h.justSent(seq, s.Time) || h.flags&finished != 0 && seq == h.fin) {
		r.counters.KeepAlives++
		return
	}
	if h.flags&finSeen != 0 && n > 0 && after(end, h.fin) {
		r.tell(c, dir, DataAfterFIN, to)
		if after(seq, h.fin) {
			return // RFC 9293 3.10.7.4: the host ignores it
		}
		h.flags &^= finSeen | finished // the host never saw that FIN
	}
	if fin {
		r.fin(c, dir, end, to)
	}
	if n == 0 {
		return
	}
	if h.flags&ignored != 0 {
		if after(end, h.next) {
			h.next = end
		}
		return
	}
	differs, again := false, false
	whole := true // b[0] is the first byte of the segment
	if old := int(int32(h.next - seq)); old > 0 {
		differs, again = r.compare(h, seq, b[:min(old, len(b))], len(b), s.Time)
		if old >= n {
			r.repeated(c, dir, differs, again, to)
			if h.flags&jumped != 0 && h.astray(seq, uint32(n), &c.half[dir^1]) {
				r.resync(c, dir, seq, to)
			} else {
				return
			}
		} else {
			r.counters.Overlaps++
			whole = false
			seq += uint32(old)
			b, m = skip(b, m, old)
		}
	}
	if h.wait != nil && h.wait.nodes > 0 {
		d, covered, twice := h.wait.compare(seq, b, len(b)+m, s.Time)
		differs = differs || d
		if covered {
			r.repeated(c, dir, differs, twice, to)
			return
		}
	}
	if differs {
		r.tell(c, dir, OverlapDiffers, to)
	}
	if h.flags&held != 0 || s.Flags&SYN != 0 && h.flags&trying != 0 {
		h.flags |= held
		r.letWait(h, seq, b, m, whole, s.Time)
		return
	}
	r.place(c, dir, seq, b, m, whole, s.Time, to)
}

// skip takes n bytes from the front of b and then of the m missing ones.
func skip(b []byte, m, n int) ([]byte, int) {
	k := min(n, len(b))
	return b[k:], m - (n - k)
}

// fin takes a FIN at sequence number at.
func (r *Reassembler) fin(c *Conn, dir Dir, at uint32, to Receiver) {
	h := &c.half[dir]
	switch {
	case h.flags&finSeen != 0 && at == h.fin:
	case h.flags&finSeen != 0, after(h.next, at):
		if h.flags&(jumped|ignored) == 0 && after(at, h.start) {
			r.tell(c, dir, MisplacedFIN, to)
		}
		if h.flags&finSeen != 0 && after(h.fin, at) && !after(h.next, at) {
			h.fin = at // a host takes them in order, and so the first of them
		}
	default:
		h.fin = at
		h.flags |= finSeen
	}
}

// repeated notes a segment that brought nothing new.
func (r *Reassembler) repeated(c *Conn, dir Dir, differs, again bool, to Receiver) {
	switch {
	case differs:
		r.counters.Retransmitted++
		r.tell(c, dir, OverlapDiffers, to)
	case again:
		r.counters.Duplicates++
		c.flags |= duplicates
	default:
		r.counters.Retransmitted++
	}
}

// place delivers data, or lets it wait behind a hole. What waits already stays
// as it is.
func (r *Reassembler) place(c *Conn, dir Dir, seq uint32, b []byte, m int, whole bool, time int64, to Receiver) {
	h := &c.half[dir]
	for len(b)+m > 0 {
		if h.flags&ignored != 0 {
			if end := seq + uint32(len(b)+m); after(end, h.next) {
				h.next = end
			}
			return
		}
		off := int(int32(seq - h.next))
		first := h.wait.firstNode()
		switch {
		case off < 0:
			n := min(-off, len(b)+m)
			seq += uint32(n)
			b, m = skip(b, m, n)
			whole = false
		case off == 0:
			n := len(b) + m
			if first != nil {
				n = min(n, int(int32(first.seq-seq)))
			}
			if n > 0 {
				k := min(n, len(b))
				r.deliver(c, dir, b[:k:k], n-k, whole, time, to)
				seq += uint32(n)
				b, m = skip(b, m, n)
				whole = false
			}
			r.advance(c, dir, time, to)
		case !after(seq, h.acked) && h.settled(time) && (first == nil || after(first.seq, seq)):
			// The other end has what is missing here.
			r.gap(c, dir, int64(off), missing, to)
		case r.full(h, len(b)):
			r.counters.FlowOverflows++
			if w := h.wait; w != nil && w.nodes >= r.cfg.MaxSegments && w.nodeBytes < w.nodes*fewBytes {
				r.tell(c, dir, ManySegments, to)
			}
			h.flags |= jumped
			at := seq
			if first != nil && after(seq, first.seq) {
				at = first.seq
			}
			r.gap(c, dir, int64(at-h.next), missing, to)
			if at != seq {
				r.advance(c, dir, time, to)
			}
		default:
			r.counters.OutOfOrder++
			r.letWait(h, seq, b, m, whole, time)
			return
		}
	}
}

// letWait lets data wait behind a hole.
func (r *Reassembler) letWait(h *half, seq uint32, b []byte, m int, whole bool, time int64) {
	if !r.insert(h, seq, b, m, whole, time, r.cfg.MaxSegments) {
		r.counters.FlowOverflows++
	}
}

// full tells whether n bytes behind a hole are too many.
func (r *Reassembler) full(h *half, n int) bool {
	w := h.wait
	if w == nil {
		return n > r.cfg.MaxPerFlow/2
	}
	return w.nodes >= r.cfg.MaxSegments || w.nodeBytes+n > r.cfg.MaxPerFlow/2
}

// take takes a plausible acknowledgement of the other end; answered tells that
// it came with data.
func (h *half) take(ack uint32, time int64, answered bool) bool {
	d := ack - h.acked
	if d >= window || d == 0 && !answered {
		return false
	}
	h.acked, h.ticked = ack, tick(time)
	if answered {
		h.ticked -= ackTicks
	}
	return true
}

// settled tells whether what is acknowledged has been so for a moment.
func (h *half) settled(time int64) bool { return tick(time)-h.ticked >= ackTicks }

// advance delivers what waits as far as it follows on, or as the other end has
// acknowledged what is missing.
func (r *Reassembler) advance(c *Conn, dir Dir, time int64, to Receiver) {
	h := &c.half[dir]
	if h.flags&held != 0 {
		return
	}
	for h.wait != nil {
		if h.flags&ignored != 0 {
			if last := h.wait.last; last != nil && after(last.end(), h.next) {
				h.next = last.end()
			}
			r.release(h)
			break
		}
		first := h.wait.first
		if first == nil {
			break
		}
		if hole := int32(first.seq - h.next); hole > 0 {
			if !after(first.seq, h.acked) {
				if !h.settled(time) && time-first.time < ackTicks<<tickBits {
					break
				}
			} else if c.half[dir^1].flags&seen != 0 || time-first.time < oneSidedWait {
				break
			}
			r.gap(c, dir, int64(hole), missing, to)
			continue // the gap may have been what made wait
		}
		r.deliverFirst(c, dir, to)
	}
	if h.flags&finSeen == 0 {
		return
	}
	switch d := int32(h.fin - h.next); {
	case d < 0 && h.flags&ignored == 0:
		// Data came to stand where the FIN was.
		h.flags &^= finSeen | finished
		r.tell(c, dir, DataAfterFIN, to)
	case d > 0 && h.settled(time) && after(h.acked, h.fin) && h.wait.firstNode() == nil && h.flags&ignored == 0:
		r.gap(c, dir, int64(d), missing, to)
		h.flags |= finished
	case d <= 0 || h.flags&ignored != 0:
		h.flags |= finished
	}
}

// Flush ends a connection: it tells what waits behind holes, gap by gap, and
// drops what was not used. The initiator's direction comes first.
func (r *Reassembler) Flush(c *Conn, to Receiver) {
	first, _ := c.Initiator()
	r.flush(c, first, to)
	r.flush(c, first^1, to)
}

func (r *Reassembler) flush(c *Conn, dir Dir, to Receiver) {
	h := &c.half[dir]
	r.settle(c, dir, to)
	h.flags &^= held
	for h.flags&ignored == 0 {
		first := h.wait.firstNode()
		if first == nil {
			break
		}
		if hole := int32(first.seq - h.next); hole > 0 {
			r.gap(c, dir, int64(hole), missing, to)
		}
		r.deliverFirst(c, dir, to)
	}
	r.release(h)
	if h.flags&(known|seen) != known|seen || h.flags&(ignored|finished) != 0 {
		return
	}
	// What the end announced or the other one has, but was not seen. A single
	// byte may be a FIN that was not seen.
	end := h.next
	if h.flags&finSeen != 0 && after(h.fin, end) {
		end = h.fin
	} else if h.flags&finSeen == 0 && after(h.acked, end+1) {
		end = h.acked
	}
	if end != h.next {
		r.gap(c, dir, int64(end-h.next), missing, to)
		h.recent = [recentChunks]chunk{}
	}
}

// deliver gives data that follows on to the receiver; h.next is its place.
func (r *Reassembler) deliver(c *Conn, dir Dir, b []byte, m int, whole bool, time int64, to Receiver) {
	h := &c.half[dir]
	if len(b) > 0 {
		r.remember(h, b, time)
		h.runs = 0
		h.next += uint32(len(b))
		r.counters.Bytes += uint64(len(b))
		r.give(c, dir, b, whole, to)
	}
	if m > 0 {
		r.gap(c, dir, int64(m), cut, to)
	}
}

// give gives b to the receiver, behind what it has not used.
func (r *Reassembler) give(c *Conn, dir Dir, b []byte, whole bool, to Receiver) {
	h := &c.half[dir]
	if w := h.wait; w != nil && len(w.kept()) > 0 {
		if len(w.kept())+len(b) <= r.cfg.MaxPerFlow/2 && r.store(h, b, whole) {
			used := to.Data(dir, w.kept(), w.boundary)
			r.use(h, min(max(used, 0), len(w.kept())))
			return
		}
		// The receiver asks for more than may wait: it begins anew here.
		r.counters.FlowOverflows++
		r.gap(c, dir, 0, missing, to)
	}
	if used := to.Data(dir, b, whole); used < len(b) {
		r.keep(c, dir, b, used, whole, to)
	}
}

// keep lets the bytes of b wait that were not used; nothing else is kept.
func (r *Reassembler) keep(c *Conn, dir Dir, b []byte, used int, whole bool, to Receiver) {
	h := &c.half[dir]
	if h.flags&ignored != 0 {
		return
	}
	used = max(used, 0)
	if rest := b[used:]; len(rest) > r.cfg.MaxPerFlow/2 || !r.store(h, rest, whole && used == 0) {
		r.counters.FlowOverflows++
		r.gap(c, dir, 0, missing, to)
	}
}

// deliverFirst delivers the first segment that waits; it stands at h.next.
func (r *Reassembler) deliverFirst(c *Conn, dir Dir, to Receiver) {
	h := &c.half[dir]
	w := h.wait
	n := w.takeFirst()
	m := n.missing
	if len(n.b) > 0 {
		r.remember(h, n.b, n.time)
		h.runs = 0
		h.next += uint32(len(n.b))
		r.counters.Bytes += uint64(len(n.b))
		if len(w.kept()) > 0 {
			r.give(c, dir, n.b, n.whole, to)
		} else if used := to.Data(dir, n.b[:len(n.b):len(n.b)], n.whole); used < len(n.b) && h.flags&ignored == 0 {
			r.adopt(w, n, max(used, 0)) // without a copy
		}
	}
	r.freeNode(n)
	if m > 0 {
		r.gap(c, dir, int64(m), cut, to)
	}
	r.releaseIfEmpty(h)
}

// gap tells of n bytes that will never come, and goes on behind them.
func (r *Reassembler) gap(c *Conn, dir Dir, n int64, why connFlags, to Receiver) {
	h := &c.half[dir]
	if h.wait != nil {
		r.drop(h.wait)
		r.releaseIfEmpty(h)
	}
	c.flags |= why
	r.counters.Gaps++
	if n > 0 {
		h.next += uint32(n)
		r.counters.GapBytes += uint64(n)
	}
	if h.flags&ignored == 0 {
		to.Gap(dir, n)
	}
}

// settle tells of what waited and was lost to MaxTotal.
func (r *Reassembler) settle(c *Conn, dir Dir, to Receiver) {
	h := &c.half[dir]
	if h.wait == nil || !h.wait.lost {
		return
	}
	unused := h.wait.lostKept
	r.release(h)
	if unused {
		r.gap(c, dir, 0, missing, to)
	}
}

// remember notes a piece that stands at h.next.
func (r *Reassembler) remember(h *half, b []byte, time int64) {
	n := uint16(len(b))
	if len(b) > 1<<16-1 {
		n = 0
	}
	h.recent[h.head%recentChunks] = chunk{h.next, r.sum(b), n, tick(time)}
	h.head++
}

func (r *Reassembler) sum(b []byte) uint32 { return uint32(maphash.Bytes(r.cfg.Seed, b)) }

// compare looks for what differs between b, which stands at seq before h.next,
// and what was delivered; again tells that a segment of length bytes with the
// very same data was delivered a moment ago.
func (r *Reassembler) compare(h *half, seq uint32, b []byte, length int, time int64) (differs, again bool) {
	for i := range h.recent {
		c := &h.recent[i]
		at := c.seq - seq
		if c.len == 0 || uint64(at)+uint64(c.len) > uint64(len(b)) {
			continue
		}
		if r.sum(b[at:at+uint32(c.len)]) != c.sum {
			differs = true
		} else if at == 0 && int(c.len) == length {
			again = again || moment(c.tick, tick(time))
		}
	}
	if h.wait != nil {
		kept := h.wait.kept()
		differs = differs || !same(b, kept, int(int32(h.next-uint32(len(kept))-seq)))
	}
	return differs, again
}

// justSent tells whether a segment of the one byte at seq was seen less than a
// second ago: then one byte there is no keep-alive.
func (h *half) justSent(seq uint32, time int64) bool {
	for i := range h.recent {
		c := &h.recent[i]
		if d := int16(tick(time) - c.tick); c.len == 1 && c.seq == seq && d > -1000 && d < 1000 {
			return true
		}
	}
	return false
}

func tick(time int64) uint16 { return uint16(time >> tickBits) }

// moment tells whether two ticks are close.
func moment(a, b uint16) bool {
	d := int16(b - a)
	return d >= -duplicateTicks && d <= duplicateTicks
}

// tell tells of an anomaly, once a direction.
func (r *Reassembler) tell(c *Conn, dir Dir, a Anomaly, to Receiver) {
	h := &c.half[dir]
	if a == OverlapDiffers {
		c.flags |= overlap
	}
	if h.told&(1<<(a-1)) != 0 {
		return
	}
	h.told |= 1 << (a - 1)
	r.counters.Anomalies++
	to.Anomaly(dir, a)
}
