package stream

import "testing"

// Each byte matters, and the length, and the seed.
func TestSumSeesEveryByte(t *testing.T) {
	for n := range 200 {
		b := make([]byte, n)
		seen := map[uint32]bool{uint32(sum(5, b)): true, uint32(sum(6, b)): true}
		want := 2
		for i := range b {
			b[i] ^= 1
			seen[uint32(sum(5, b))] = true
			b[i] ^= 0x81
			seen[uint32(sum(5, b))] = true
			b[i] = 0
			want += 2
		}
		if n > 0 {
			seen[uint32(sum(5, b[1:]))] = true
			want++
		}
		if len(seen) != want {
			t.Errorf("%d bytes: %d sums, want %d", n, len(seen), want)
		}
	}
}
