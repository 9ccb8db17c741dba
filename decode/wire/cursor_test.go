package wire

import (
	"bytes"
	"testing"
)

func TestCursorReadsInItsByteOrder(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	little, big := Little(b), Big(b)
	if v := little.U8(); v != 1 {
		t.Errorf("U8 = %#x", v)
	}
	big.Skip(1)
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"little U16", uint64(little.U16()), 0x0302},
		{"big U16", uint64(big.U16()), 0x0203},
		{"little U32", uint64(little.U32()), 0x07060504},
		{"big U32", uint64(big.U32()), 0x04050607},
		{"little U64", little.U64(), 0x0f0e0d0c0b0a0908},
		{"big U64", big.U64(), 0x08090a0b0c0d0e0f},
	} {
		if c.got != c.want {
			t.Errorf("%s = %#x, want %#x", c.name, c.got, c.want)
		}
	}
	if !little.Ok() || little.Len() != 0 {
		t.Errorf("after the last byte: ok %t, %d left", little.Ok(), little.Len())
	}
}

func TestCursorFailureSticks(t *testing.T) {
	c := Little([]byte{1, 2, 3})
	c.U8()
	if c.U32(); c.Ok() {
		t.Fatal("four of two bytes were read")
	}
	if c.U8() != 0 || c.Bytes(0) != nil || c.Rest() != nil || c.Len() != 0 {
		t.Error("a failed cursor gives more than zeroes")
	}
	if n := Little(nil); n.Bytes(-1) != nil {
		t.Error("a negative length was taken")
	}
}

func TestCursorAligns(t *testing.T) {
	c := Little(make([]byte, 16))
	for _, step := range []struct{ skip, align, want int }{{0, 8, 0}, {1, 4, 4}, {4, 8, 8}, {1, 2, 10}} {
		c.Skip(step.skip)
		c.Align(step.align)
		if c.Offset() != step.want {
			t.Errorf("after %+v the offset is %d", step, c.Offset())
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3}, []byte("abcdefgh"))
	f.Fuzz(func(t *testing.T, ops, b []byte) {
		c := Little(b)
		for _, op := range ops {
			before := c
			var got []byte
			switch op % 8 {
			case 0:
				c.U8()
			case 1:
				c.U16()
			case 2:
				c.U32()
			case 3:
				c.U64()
			case 4:
				got = c.Bytes(int(op) - 128)
			case 5:
				c.Align(1 << (op >> 5 & 3))
			case 6:
				c.SetBig(op > 128)
			case 7:
				got = c.Rest()
			}
			if !before.Ok() && c.Ok() {
				t.Fatal("a failed cursor recovered")
			}
			if c.Offset() < before.Offset() || c.Offset() > len(b) {
				t.Fatalf("offset %d of %d after %d", c.Offset(), len(b), before.Offset())
			}
			if len(got) > 0 && !bytes.Equal(got, b[before.Offset():before.Offset()+len(got)]) {
				t.Fatal("bytes from another place")
			}
		}
	})
}
