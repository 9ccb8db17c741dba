package main

import "testing"

func TestRingsShareTheirMemory(t *testing.T) {
	for _, c := range []struct {
		size       int64
		interfaces int
		want       int
	}{
		{0, 1, 256}, {0, 4, 64}, {0, 100, 8}, {0, 0, 256},
		{16 << 20, 1, 64}, {16 << 20, 100, 64}, {1, 1, 2},
	} {
		if got := ringBlocks(c.size, c.interfaces); got != c.want {
			t.Errorf("%d bytes, %d interfaces: %d blocks, want %d", c.size, c.interfaces, got, c.want)
		}
	}
}
