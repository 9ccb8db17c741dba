package stream

import (
	"bytes"
	"math/bits"
)

// waiting is what waits in one direction of a connection: bytes that the
// receiver has not used, and segments behind holes.
type waiting struct {
	older, newer *waiting // by when something was last added
	buf          []byte   // the unused bytes stand at off
	off          int
	boundary     bool // the first unused byte is the first of a segment
	first, last  *node
	nodes        int
	nodeBytes    int
	lost         bool // to MaxTotal; nothing else is valid then but lostKept
	lostKept     bool // unused bytes were among what was lost
}

// node is a segment behind a hole, or a piece of one. The nodes of a direction
// are in sequence and do not overlap.
type node struct {
	prev, next *node
	b          []byte // with the capacity of its buffer
	missing    int    // bytes behind b that were cut
	seq        uint32
	whole      bool // b[0] is the first byte of a segment
	time       int64
}

func (n *node) end() uint32 { return n.seq + uint32(len(n.b)+n.missing) }

// kept gives the unused bytes.
func (w *waiting) kept() []byte { return w.buf[w.off:len(w.buf):len(w.buf)] }

func (w *waiting) firstNode() *node {
	if w == nil {
		return nil
	}
	return w.first
}

// link puts n behind pos, or first where pos is nil.
func (w *waiting) link(n, pos *node) {
	n.prev = pos
	if pos != nil {
		n.next, pos.next = pos.next, n
	} else {
		n.next, w.first = w.first, n
	}
	if n.next != nil {
		n.next.prev = n
	} else {
		w.last = n
	}
	w.nodes++
	w.nodeBytes += len(n.b)
}

// takeFirst takes the first node out.
func (w *waiting) takeFirst() *node {
	n := w.first
	w.first = n.next
	if w.first != nil {
		w.first.prev = nil
	} else {
		w.last = nil
	}
	w.nodes--
	w.nodeBytes -= len(n.b)
	n.next = nil
	return n
}

// compare compares the nodes with a segment of length bytes at seq, of which b
// was captured. Covered tells that all of it waits already, again that it is a
// segment that came a moment ago.
func (w *waiting) compare(seq uint32, b []byte, length int, time int64) (differs, covered, again bool) {
	common := 0
	for n := w.last; n != nil && after(n.end(), seq); n = n.prev {
		from, to := 0, length
		if d := int(int32(n.seq - seq)); d > from {
			from = d
		}
		if d := int(int32(n.end() - seq)); d < to {
			to = d
		}
		if from >= to {
			continue
		}
		common += to - from
		if !same(b, n.b, int(int32(n.seq-seq))) {
			differs = true
		} else if n.seq == seq && len(n.b) == len(b) {
			d := (time - n.time) >> tickBits
			again = d >= -duplicateTicks && d <= duplicateTicks
		}
	}
	return differs, common == length, again
}

// same compares a and b, which stands at offset at of a, where they overlap.
func same(a, b []byte, at int) bool {
	if at < 0 {
		b = b[min(-at, len(b)):]
		at = 0
	}
	a = a[min(at, len(a)):]
	n := min(len(a), len(b))
	return bytes.Equal(a[:n], b[:n])
}

// Buffers come in sizes of powers of two, from 128 bytes to maxPerFlow.
const (
	minBufferBits = 7
	bufferClasses = 18
)

func class(n int) int { return max(bits.Len(uint(n-1)), minBufferBits) - minBufferBits }

// nodeCost is what a node is charged beside its buffer.
const nodeCost = 96

// memory is the budget and the free lists of a Reassembler.
type memory struct {
	limit, used, peak int
	idle              int // bytes in free
	reclaimed         uint64
	free              [bufferClasses][][]byte
	freeNodes         *node
	freeWaits         *waiting
	oldest, newest    *waiting // all that wait
}

// reserve charges n bytes. Where there is no room, the direction to which
// something was added longest ago loses what waits; the newest, which asks,
// does not.
func (m *memory) reserve(n int) bool {
	for m.used+n > m.limit {
		v := m.oldest
		if v == nil || v == m.newest {
			return false
		}
		kept := len(v.kept()) > 0
		m.empty(v)
		m.unlink(v)
		v.lost, v.lostKept = true, kept
		m.reclaimed++
	}
	m.used += n
	m.peak = max(m.peak, m.used)
	return true
}

// take gives an empty buffer for n bytes, nil if there is no room.
func (m *memory) take(n int) []byte {
	k := class(n)
	size := 1 << (k + minBufferBits)
	if !m.reserve(size) {
		return nil
	}
	if last := len(m.free[k]) - 1; last >= 0 {
		b := m.free[k][last]
		m.free[k] = m.free[k][:last]
		m.idle -= size
		return b
	}
	return make([]byte, 0, size)
}

func (m *memory) put(b []byte) {
	if b == nil {
		return
	}
	m.used -= cap(b)
	if m.idle+cap(b) > m.limit/4 {
		return
	}
	m.idle += cap(b)
	k := class(cap(b))
	m.free[k] = append(m.free[k], b[:0])
}

// wait gives the waiting of a direction, as the newest.
func (m *memory) wait(h *half) *waiting {
	w := h.wait
	switch {
	case w == nil:
		if w = m.freeWaits; w != nil {
			m.freeWaits, w.newer = w.newer, nil
		} else {
			w = new(waiting)
		}
		h.wait = w
	case w == m.newest:
		return w
	default:
		m.unlink(w)
	}
	w.older = m.newest
	if w.older != nil {
		w.older.newer = w
	} else {
		m.oldest = w
	}
	m.newest = w
	return w
}

func (m *memory) unlink(w *waiting) {
	if w.older != nil {
		w.older.newer = w.newer
	} else {
		m.oldest = w.newer
	}
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		m.newest = w.older
	}
	w.older, w.newer = nil, nil
}

// empty drops all that waits in w.
func (m *memory) empty(w *waiting) {
	m.drop(w)
	for w.first != nil {
		m.freeNode(w.takeFirst())
	}
}

// drop drops the unused bytes.
func (m *memory) drop(w *waiting) {
	m.put(w.buf)
	w.buf, w.off = nil, 0
}

// release drops all that waits in a direction.
func (m *memory) release(h *half) {
	w := h.wait
	if w == nil {
		return
	}
	if !w.lost {
		m.empty(w)
		m.unlink(w)
	}
	*w = waiting{newer: m.freeWaits}
	m.freeWaits = w
	h.wait = nil
}

func (m *memory) releaseIfEmpty(h *half) {
	if w := h.wait; w != nil && w.nodes == 0 && len(w.kept()) == 0 {
		m.release(h)
	}
}

// use drops the first n of the unused bytes.
func (m *memory) use(h *half, n int) {
	if n == 0 {
		return
	}
	w := h.wait
	w.off += n
	w.boundary = false
	if w.off == len(w.buf) {
		m.drop(w)
		m.releaseIfEmpty(h)
	}
}

// store puts b behind the unused bytes; false tells that there is no room. Each
// byte is moved a bounded number of times, however small the pieces.
func (m *memory) store(h *half, b []byte, boundary bool) bool {
	w := m.wait(h)
	kept := w.kept()
	if len(kept) == 0 {
		w.boundary = boundary
	}
	switch {
	case len(b) <= cap(w.buf)-len(w.buf):
	case w.off >= cap(w.buf)/2 && len(kept)+len(b) <= cap(w.buf):
		w.buf = append(w.buf[:0], kept...)
		w.off = 0
	default:
		buf := m.take(len(kept) + len(b))
		if buf == nil {
			m.releaseIfEmpty(h)
			return false
		}
		buf = append(buf, kept...)
		m.put(w.buf)
		w.buf, w.off = buf, 0
	}
	w.buf = append(w.buf, b...)
	return true
}

// adopt makes what is left of n, behind used bytes, the unused bytes of w.
func (m *memory) adopt(w *waiting, n *node, used int) {
	m.put(w.buf)
	w.buf, w.off, w.boundary = n.b, used, n.whole && used == 0
	n.b = nil
}

func (m *memory) freeNode(n *node) {
	m.put(n.b)
	m.used -= nodeCost
	*n = node{next: m.freeNodes}
	m.freeNodes = n
}

// newNode gives a node with a copy of b, nil if there is no room.
func (m *memory) newNode(b []byte) *node {
	if !m.reserve(nodeCost) {
		return nil
	}
	n := m.freeNodes
	if n != nil {
		m.freeNodes, n.next = n.next, nil
	} else {
		n = new(node)
	}
	if len(b) > 0 {
		buf := m.take(len(b))
		if buf == nil {
			m.freeNode(n)
			return nil
		}
		n.b = append(buf, b...)
	}
	return n
}

// insert lets a segment wait behind a hole: those parts of it that do not wait
// already. False tells that some of it found no room.
func (m *memory) insert(h *half, seq uint32, b []byte, missing int, whole bool, time int64, maxNodes int) bool {
	w := m.wait(h)
	defer m.releaseIfEmpty(h)
	pos := w.last
	for pos != nil && after(pos.seq, seq) {
		pos = pos.prev
	}
	for len(b)+missing > 0 {
		next := w.first
		n := 0 // bytes that wait already, else those up to the next node
		if pos != nil {
			next = pos.next
			n = max(int(int32(pos.end()-seq)), 0)
		}
		if n == 0 {
			n = len(b) + missing
			if next != nil {
				n = min(n, int(int32(next.seq-seq)))
			}
			if n == 0 {
				pos = next
				continue
			}
			if w.nodes >= maxNodes {
				return false
			}
			k := min(n, len(b))
			node := m.newNode(b[:k])
			if node == nil {
				return false
			}
			node.seq, node.missing, node.whole, node.time = seq, n-k, whole, time
			w.link(node, pos)
			pos = node
		}
		n = min(n, len(b)+missing)
		b, missing = skip(b, missing, n)
		seq += uint32(n)
		whole = false
	}
	return true
}
