package alerts

import (
	"slices"
	"testing"
)

// Recent is compared with a plain list in the order of use.
func TestRecentForgetsWhatWasUsedLongestAgo(t *testing.T) {
	type item struct{ k, v int }
	const bound = 8
	r := NewRecent[int, int](bound)
	var want []item // the latest used first
	evicted := uint64(0)
	find := func(k int) int { return slices.IndexFunc(want, func(x item) bool { return x.k == k }) }
	use := func(i int) {
		x := want[i]
		want = slices.Insert(slices.Delete(want, i, i+1), 0, x)
	}
	x := uint32(7)
	for n := range 20000 {
		x = x*1664525 + 1013904223
		k := int(x>>16) % 16
		i := find(k)
		switch x >> 8 % 8 {
		case 0:
			r.Delete(k)
			if i >= 0 {
				want = slices.Delete(want, i, i+1)
			}
		case 1, 2:
			v := r.Get(k)
			if (v != nil) != (i >= 0) || v != nil && *v != want[i].v {
				t.Fatalf("step %d: Get(%d) = %v, want %v", n, k, v, want)
			}
			if i >= 0 {
				use(i)
			}
		default:
			v, added := r.Put(k)
			if added != (i < 0) || added && *v != 0 {
				t.Fatalf("step %d: Put(%d): added %v, %d", n, k, added, *v)
			}
			*v = n
			if i >= 0 {
				want[i].v = n
				use(i)
			} else {
				if len(want) == bound {
					want = want[:bound-1]
					evicted++
				}
				want = slices.Insert(want, 0, item{k, n})
			}
		}
		if v := r.Peek(k); (v != nil) != (find(k) >= 0) || v != nil && *v != want[find(k)].v {
			t.Fatalf("step %d: Peek(%d) = %v, want %v", n, k, v, want)
		}
		if k, v := r.Oldest(); (v == nil) != (len(want) == 0) || v != nil && want[len(want)-1] != (item{k, *v}) {
			t.Fatalf("step %d: Oldest is %d, want the last of %v", n, k, want)
		}
		if r.Len() != len(want) || r.Evicted() != evicted {
			t.Fatalf("step %d: %d entries, %d evicted; want %d, %d", n, r.Len(), r.Evicted(), len(want), evicted)
		}
	}
}

func TestRecentAllocatesNothingOnceFull(t *testing.T) {
	r := NewRecent[int, [4]int](64)
	for k := range 1000 {
		r.Put(k)
	}
	k := 0
	if n := testing.AllocsPerRun(1000, func() { k++; r.Put(k); r.Get(k - 3) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
