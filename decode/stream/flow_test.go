package stream

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"
)

func v4(a, b, c, d byte) *[16]byte {
	return &[16]byte{10: 0xff, 11: 0xff, 12: a, 13: b, 14: c, 15: d}
}

func TestBothDirectionsHaveOneKey(t *testing.T) {
	tests := []struct {
		name         string
		src, dst     *[16]byte
		sport, dport uint16
		dir          Dir
	}{
		{"lower address sends", v4(10, 0, 0, 1), v4(10, 0, 0, 2), 50000, 135, 0},
		{"higher address sends", v4(10, 0, 0, 2), v4(10, 0, 0, 1), 135, 50000, 1},
		{"the first eight bytes decide", &[16]byte{0: 1}, &[16]byte{8: 9}, 1, 2, 1},
		{"one address, lower port sends", v4(127, 0, 0, 1), v4(127, 0, 0, 1), 135, 50000, 0},
		{"one address, higher port sends", v4(127, 0, 0, 1), v4(127, 0, 0, 1), 50000, 135, 1},
		{"one address, one port", v4(127, 0, 0, 1), v4(127, 0, 0, 1), 7, 7, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, dir := MakeKey(tt.src, tt.dst, tt.sport, tt.dport, 6)
			if dir != tt.dir {
				t.Errorf("direction %d, want %d", dir, tt.dir)
			}
			back, rid := MakeKey(tt.dst, tt.src, tt.dport, tt.sport, 6)
			if k != back {
				t.Errorf("keys differ:\n%v\n%v", k, back)
			}
			same := *tt.src == *tt.dst && tt.sport == tt.dport
			if rid == dir && !same {
				t.Error("the way back has the same direction")
			}
			if k.Hash(1) != back.Hash(1) {
				t.Error("hashes differ")
			}
			if k.Hash(1) == k.Hash(2) {
				t.Error("the seed does not matter")
			}
		})
	}
	if size := unsafe.Sizeof(Key{}); size != 40 {
		t.Errorf("a key takes %d bytes, want 40: it has padding", size)
	}
}

func testKey(i int) Key {
	var a, b [16]byte
	binary.BigEndian.PutUint32(a[12:], uint32(0x0a000000+i/4096))
	b[15] = 1
	k, _ := MakeKey(&a, &b, uint16(1024+i%4096), 135, 6)
	return k
}

// Neighbouring addresses and ports, as real networks have them, must spread.
func TestHashSpreads(t *testing.T) {
	const flows, buckets = 1 << 16, 1 << 10
	for _, seed := range []uint64{0, 1, 0xdeadbeef} {
		var low, high [buckets]int
		seen := map[uint64]bool{}
		for i := range flows {
			k := testKey(i)
			h := k.Hash(seed)
			low[h%buckets]++
			high[h>>54]++
			seen[h] = true
		}
		if len(seen) != flows {
			t.Errorf("seed %#x: %d hashes for %d flows", seed, len(seen), flows)
		}
		for _, counts := range [][buckets]int{low, high} {
			for i, n := range counts {
				// 64 expected, standard deviation 8.
				if n < 64-48 || n > 64+48 {
					t.Fatalf("seed %#x: bucket %d has %d of %d flows", seed, i, n, flows)
				}
			}
		}
	}
}

func TestTableAgainstAMap(t *testing.T) {
	type value struct{ id int }
	const limit = 300
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 7))
		table := NewTable[value](limit)
		want := map[Key]*value{}
		var order []Key // oldest first
		drop := func(k Key) {
			for i := range order {
				if order[i] == k {
					order = append(order[:i], order[i+1:]...)
					return
				}
			}
		}
		// Two bits of hash make long probe runs; the others are the real thing.
		hash := func(k *Key) uint64 {
			if seed < 2 {
				return k.Hash(9) & 3
			}
			return k.Hash(9)
		}
		for step := range 5000 {
			k := testKey(rng.IntN(500))
			got := table.Get(&k, hash(&k))
			if got != want[k] {
				t.Fatalf("seed %d step %d: got %p, want %p", seed, step, got, want[k])
			}
			switch op := rng.IntN(4); {
			case got == nil:
				if table.Len() == table.Max() {
					if table.Add(&k, hash(&k), 0) != nil {
						t.Fatal("a full table took a flow")
					}
					f, _, _ := table.Oldest()
					if f != want[order[0]] {
						t.Fatalf("seed %d step %d: not the oldest", seed, step)
					}
					table.Remove(f)
					delete(want, order[0])
					order = order[1:]
				}
				f := table.Add(&k, hash(&k), int64(step))
				f.id = step
				want[k] = f
				order = append(order, k)
			case op == 0:
				table.Remove(got)
				table.Remove(got) // again: nothing
				delete(want, k)
				drop(k)
			default:
				table.Touch(got, int64(step))
				drop(k)
				order = append(order, k)
			}
			if table.Len() != len(want) {
				t.Fatalf("Len %d, want %d", table.Len(), len(want))
			}
			f, _, ok := table.Oldest()
			if ok != (len(order) > 0) || ok && f != want[order[0]] {
				t.Fatalf("seed %d step %d: not the oldest", seed, step)
			}
		}
	}
}

func TestTableKeepsWhatAFlowLeftBehind(t *testing.T) {
	table := NewTable[[]byte](2)
	k := testKey(1)
	f := table.Add(&k, k.Hash(0), 5)
	*f = make([]byte, 0, 100)
	if _, last, ok := table.Oldest(); !ok || last != 5 {
		t.Errorf("oldest %d %v, want 5", last, ok)
	}
	table.Touch(f, 6)
	if _, last, _ := table.Oldest(); last != 6 {
		t.Errorf("oldest %d, want 6", last)
	}
	table.Remove(f)
	if _, _, ok := table.Oldest(); ok || table.Len() != 0 {
		t.Error("an empty table has an oldest flow")
	}
	k = testKey(2)
	if g := table.Add(&k, k.Hash(0), 7); g != f || cap(*g) != 100 {
		t.Error("the place was not used again as it was left")
	}
}

func TestTableInSteadyStateAllocatesNothing(t *testing.T) {
	table := NewTable[[64]byte](1000)
	i := 0
	step := func() {
		k := testKey(i)
		i++
		h := k.Hash(3)
		if table.Len() == table.Max() {
			f, _, _ := table.Oldest()
			table.Remove(f)
		}
		table.Add(&k, h, int64(i))
		table.Touch(table.Get(&k, h), int64(i))
	}
	for range 2000 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestKeysAreTheSameOnlyInEveryByte(t *testing.T) {
	a := Key{LoPort: 1, HiPort: 2, Proto: 6}
	for i := range a.Lo {
		a.Lo[i], a.Hi[i] = byte(i), byte(100+i)
	}
	if b := a; !a.same(&b) {
		t.Error("a key is not the same as its copy")
	}
	differ := map[string]func(*Key){
		"LoPort": func(k *Key) { k.LoPort ^= 0x100 },
		"HiPort": func(k *Key) { k.HiPort ^= 0x100 },
		"Proto":  func(k *Key) { k.Proto = 17 },
	}
	for i := range a.Lo {
		differ[fmt.Sprint("Lo ", i)] = func(k *Key) { k.Lo[i] ^= 1 }
		differ[fmt.Sprint("Hi ", i)] = func(k *Key) { k.Hi[i] ^= 1 }
	}
	for name, change := range differ {
		b := a
		change(&b)
		if a.same(&b) || b.same(&a) {
			t.Errorf("%s differs, and the keys are called the same", name)
		}
	}
}
