package alerts

// Recent is a bounded map for what a rule remembers: when it is full, the entry
// used longest ago makes room. It allocates as it grows and no more once full.
type Recent[K comparable, V any] struct {
	bound   int
	by      map[K]int32
	entries []entry[K, V] // linked in a ring through entries[0], the latest used next to it
	evicted uint64
}

type entry[K comparable, V any] struct {
	key        K
	value      V
	next, prev int32
}

// NewRecent makes one of at most that many entries, at least one.
func NewRecent[K comparable, V any](bound int) *Recent[K, V] {
	return &Recent[K, V]{
		bound:   max(bound, 1),
		by:      make(map[K]int32),
		entries: make([]entry[K, V], 1),
	}
}

// Get gives the value of a key, nil if there is none, and counts as a use. The
// pointer is valid until the next Put or Delete.
func (r *Recent[K, V]) Get(k K) *V {
	i, ok := r.by[k]
	if !ok {
		return nil
	}
	r.unlink(i)
	r.link(i)
	return &r.entries[i].value
}

// Peek gives the value of a key as Get does, and is no use.
func (r *Recent[K, V]) Peek(k K) *V {
	if i, ok := r.by[k]; ok {
		return &r.entries[i].value
	}
	return nil
}

// Put gives the value of a key as Get does, a zero one if there was none.
func (r *Recent[K, V]) Put(k K) (v *V, added bool) {
	if v := r.Get(k); v != nil {
		return v, false
	}
	var i int32
	if len(r.by) < r.bound {
		i = int32(len(r.entries))
		r.entries = append(r.entries, entry[K, V]{})
	} else {
		i = r.entries[0].prev
		delete(r.by, r.entries[i].key)
		r.unlink(i)
		r.evicted++
	}
	e := &r.entries[i]
	*e = entry[K, V]{key: k}
	r.by[k] = i
	r.link(i)
	return &e.value, true
}

// Delete forgets a key.
func (r *Recent[K, V]) Delete(k K) {
	i, ok := r.by[k]
	if !ok {
		return
	}
	delete(r.by, k)
	r.unlink(i)
	last := int32(len(r.entries) - 1)
	if i != last { // the last moves into the gap
		r.entries[i] = r.entries[last]
		e := &r.entries[i]
		r.by[e.key] = i
		r.entries[e.prev].next = i
		r.entries[e.next].prev = i
	}
	r.entries[last] = entry[K, V]{}
	r.entries = r.entries[:last]
}

// Oldest gives the entry that was used longest ago, a nil value if there is none.
// That is no use.
func (r *Recent[K, V]) Oldest() (k K, v *V) {
	i := r.entries[0].prev
	if i == 0 {
		return k, nil
	}
	return r.entries[i].key, &r.entries[i].value
}

// Len gives the number of entries.
func (r *Recent[K, V]) Len() int { return len(r.by) }

// Evicted gives the number of entries that made room for others.
func (r *Recent[K, V]) Evicted() uint64 { return r.evicted }

func (r *Recent[K, V]) unlink(i int32) {
	e := &r.entries[i]
	r.entries[e.prev].next = e.next
	r.entries[e.next].prev = e.prev
}

func (r *Recent[K, V]) link(i int32) {
	first := r.entries[0].next
	r.entries[i].prev, r.entries[i].next = 0, first
	r.entries[first].prev = i
	r.entries[0].next = i
}
