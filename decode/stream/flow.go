package stream

import (
	"encoding/binary"
	"unsafe"
)

// Key names both ends of a flow in canonical order: Lo is the lower
// address and port. It has no padding and no pointers, so that keys compare as
// memory. IPv4 addresses are mapped into IPv6.
type Key struct {
	Lo, Hi         [16]byte
	LoPort, HiPort uint16
	Proto          uint8    // IP protocol: 6 TCP, 17 UDP
	Zero           [3]uint8 // always zero
}

// Dir is a direction of a flow: 0 from Lo to Hi, 1 from Hi to Lo.
type Dir uint8

// MakeKey gives the key of a packet's flow and the packet's direction in it.
// When both addresses are the same the port decides.
func MakeKey(src, dst *[16]byte, sport, dport uint16, proto uint8) (Key, Dir) {
	var k Key
	dir := k.Make(src, dst, sport, dport, proto)
	return k, dir
}

// Make is MakeKey in place. It writes words, since Hash reads them at once.
func (k *Key) Make(src, dst *[16]byte, sport, dport uint16, proto uint8) Dir {
	s0, s1 := binary.BigEndian.Uint64(src[:8]), binary.BigEndian.Uint64(src[8:])
	d0, d1 := binary.BigEndian.Uint64(dst[:8]), binary.BigEndian.Uint64(dst[8:])
	dir := Dir(0)
	if s0 > d0 || s0 == d0 && (s1 > d1 || s1 == d1 && sport > dport) {
		s0, s1, sport, d0, d1, dport = d0, d1, dport, s0, s1, sport
		dir = 1
	}
	binary.BigEndian.PutUint64(k.Lo[:8], s0)
	binary.BigEndian.PutUint64(k.Lo[8:], s1)
	binary.BigEndian.PutUint64(k.Hi[:8], d0)
	binary.BigEndian.PutUint64(k.Hi[8:], d1)
	k.LoPort, k.HiPort, k.Proto, k.Zero = sport, dport, proto, [3]uint8{}
	return dir
}

// same is k == o without a call: by words, the rarest to be alike first.
func (k *Key) same(o *Key) bool {
	return k.LoPort == o.LoPort && k.HiPort == o.HiPort && k.Proto == o.Proto &&
		word(k.Hi[8:]) == word(o.Hi[8:]) && word(k.Lo[8:]) == word(o.Lo[8:]) &&
		word(k.Hi[:8]) == word(o.Hi[:8]) && word(k.Lo[:8]) == word(o.Lo[:8])
}

// Table is a bounded hash table of flows in the order in which they were last
// seen. The values lie in slabs of the table: their addresses are stable, and a
// flow added where another was removed allocates nothing. It is used by one
// goroutine.
type Table[F any] struct {
	// slots is open addressing with linear probing; a slot is the low half of
	// the hash above the entry's number, from 1; 0 is empty.
	slots          []uint64
	chunks         []*[chunkLen]entry[F]
	n, max         int
	made           uint32 // entries handed out so far, free ones included
	free           uint32 // first free entry, linked by newer
	oldest, newest uint32
}

// chunkLen balances what a table of few flows costs against the number of
// allocations of one with many.
const chunkLen = 64

// minSlots is the size that the index begins with.
const minSlots = 32

// entry is a flow in the table. Value comes first, so that the address of a
// value is that of its entry.
type entry[F any] struct {
	value        F
	key          Key
	last         int64
	hash         uint32
	self         uint32 // its number; 0 while free
	older, newer uint32
}

// NewTable makes a table of at most max flows. Its memory grows with use.
func NewTable[F any](max int) *Table[F] {
	return &Table[F]{max: bound(max)}
}

// bound keeps the numbers of entries within 31 bits.
func bound(flows int) int { return min(max(flows, 1), 1<<31-1) }

// Len is the number of flows in the table.
func (t *Table[F]) Len() int { return t.n }

// Max is the number of flows that the table takes.
func (t *Table[F]) Max() int { return t.max }

func (t *Table[F]) at(number uint32) *entry[F] {
	number--
	return &t.chunks[number/chunkLen][number%chunkLen]
}

// entryOf gives the entry of a value that the table handed out.
func entryOf[F any](f *F) *entry[F] { return (*entry[F])(unsafe.Pointer(f)) }

// Get gives the flow with key k, or nil. Hash is k.Hash with a seed that is the
// same for all calls on the table. Get does not touch the flow.
func (t *Table[F]) Get(k *Key, hash uint64) *F {
	if t.n == 0 {
		return nil
	}
	mask := uint32(len(t.slots) - 1)
	for i := uint32(hash) & mask; ; i = (i + 1) & mask {
		slot := t.slots[i]
		if slot == 0 {
			return nil
		}
		if uint32(slot>>32) == uint32(hash) {
			if e := t.at(uint32(slot)); e.key.same(k) {
				return &e.value
			}
		}
	}
}

// Add makes room for the flow with key k, which is not in the table, and makes
// it the newest. The caller has seen to Len being less than Max, by removing
// the Oldest; Add gives nil otherwise. The value is zero, or what the flow that
// had this place left in it at Remove: the caller resets it and may go on using
// memory that it holds.
func (t *Table[F]) Add(k *Key, hash uint64, now int64) *F {
	if t.n >= t.max {
		return nil
	}
	if (t.n+1)*4 > len(t.slots)*3 {
		t.grow()
	}
	var e *entry[F]
	number := t.free
	if number != 0 {
		e = t.at(number)
		t.free = e.newer
	} else {
		if t.made%chunkLen == 0 {
			t.chunks = append(t.chunks, new([chunkLen]entry[F]))
		}
		t.made++
		number = t.made
		e = t.at(number)
	}
	t.n++
	e.key, e.last, e.hash, e.self = *k, now, uint32(hash), number
	t.put(uint64(e.hash)<<32 | uint64(number))
	t.push(e)
	return &e.value
}

// Touch makes a flow the newest.
func (t *Table[F]) Touch(f *F, now int64) {
	e := entryOf(f)
	e.last = now
	if e.self == t.newest {
		return
	}
	t.unlink(e)
	t.push(e)
}

// Oldest gives the flow that was added or touched longest ago, and when.
func (t *Table[F]) Oldest() (f *F, last int64, ok bool) {
	if t.oldest == 0 {
		return nil, 0, false
	}
	e := t.at(t.oldest)
	return &e.value, e.last, true
}

// Remove takes a flow out of the table. Its value stays as it is until the
// place serves another flow. A flow that was removed already is left alone.
func (t *Table[F]) Remove(f *F) {
	e := entryOf(f)
	if e.self == 0 {
		return
	}
	t.unlink(e)
	t.n--
	mask := uint32(len(t.slots) - 1)
	want := uint64(e.hash)<<32 | uint64(e.self)
	i := e.hash & mask
	for t.slots[i] != want {
		i = (i + 1) & mask
	}
	// Close the hole: move back what a probe would no longer reach.
	for j := (i + 1) & mask; t.slots[j] != 0; j = (j + 1) & mask {
		home := uint32(t.slots[j]>>32) & mask
		if (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = 0
	e.newer, t.free, e.self = t.free, e.self, 0
}

func (t *Table[F]) put(slot uint64) {
	mask := uint32(len(t.slots) - 1)
	i := uint32(slot>>32) & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = slot
}

func (t *Table[F]) grow() {
	old := t.slots
	t.slots = make([]uint64, max(minSlots, 2*len(old)))
	for _, slot := range old {
		if slot != 0 {
			t.put(slot)
		}
	}
}

func (t *Table[F]) push(e *entry[F]) {
	e.older, e.newer = t.newest, 0
	if t.newest != 0 {
		t.at(t.newest).newer = e.self
	} else {
		t.oldest = e.self
	}
	t.newest = e.self
}

func (t *Table[F]) unlink(e *entry[F]) {
	if e.older != 0 {
		t.at(e.older).newer = e.newer
	} else {
		t.oldest = e.newer
	}
	if e.newer != 0 {
		t.at(e.newer).older = e.older
	} else {
		t.newest = e.older
	}
}
