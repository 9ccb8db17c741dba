package ndr

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestReadsAlignToTheStubAndToTheSyntax(t *testing.T) {
	t.Parallel()
	little := []byte{
		0x01,       // octet
		0xaa,       // padding to 2
		0x03, 0x02, // short
		0x07, 0x06, 0x05, 0x04, // long; the NDR32 referent
		0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, // the NDR64 referent
		0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // the NDR64 maximum count
		0xde, 0xad, // two elements
	}
	r := NewReader(little, true, false)
	if v := r.U8(); v != 1 {
		t.Errorf("octet %#x", v)
	}
	if v := r.U16(); v != 0x0203 {
		t.Errorf("short %#x", v)
	}
	if v := r.U32(); v != 0x04050607 {
		t.Errorf("long %#x", v)
	}
	if v := r.Referent(); v != 0x00020001 {
		t.Errorf("referent %#x", v)
	}
	if b := r.Bytes(r.Count()); !bytes.Equal(b, []byte{0xde, 0xad}) || cap(b) != 2 {
		t.Errorf("array %x, capacity %d", b, cap(b))
	}
	if !r.Ok() || r.Len() != 0 || r.Offset() != len(little) {
		t.Errorf("ok %v, %d left, offset %d", r.Ok(), r.Len(), r.Offset())
	}

	r = NewReader(little[4:], false, false)
	if v := r.Referent(); v != 0x04050607 || r.Offset() != 4 {
		t.Errorf("NDR32 referent %#x, offset %d", v, r.Offset())
	}

	big := []byte{
		0x01, 0xaa, 0xaa, 0xaa, // octet, padding to 4
		0x00, 0x00, 0x00, 0x02, // NDR32 maximum count
		0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01, // hyper
	}
	r = NewReader(big, false, true)
	r.U8()
	if v := r.Count(); v != 2 {
		t.Errorf("big-endian count %d", v)
	}
	if v := r.U64(); v != 0x00020001 {
		t.Errorf("big-endian hyper %#x", v)
	}
}

func TestUUIDIsInTheOrderOfItsText(t *testing.T) {
	t.Parallel()
	const want = "51c82175844e4750b0d8ec255555bc06"
	for _, c := range []struct {
		name string
		big  bool
		stub []byte
	}{
		{"little-endian", false, []byte{
			0xff, 0, 0, 0, // octet, padding to 4
			0x75, 0x21, 0xc8, 0x51, 0x4e, 0x84, 0x50, 0x47, // data1, data2, data3
			0xb0, 0xd8, 0xec, 0x25, 0x55, 0x55, 0xbc, 0x06, // data4
		}},
		{"big-endian", true, []byte{
			0xff, 0, 0, 0,
			0x51, 0xc8, 0x21, 0x75, 0x84, 0x4e, 0x47, 0x50,
			0xb0, 0xd8, 0xec, 0x25, 0x55, 0x55, 0xbc, 0x06,
		}},
	} {
		r := NewReader(c.stub, false, c.big)
		r.U8()
		if u := r.UUID(); hex.EncodeToString(u[:]) != want || !r.Ok() {
			t.Errorf("%s: %x", c.name, u)
		}
		r = NewReader(c.stub[:19], false, c.big)
		r.U8()
		if u := r.UUID(); u != [16]byte{} || r.Ok() {
			t.Errorf("%s, cut: %x, ok %v", c.name, u, r.Ok())
		}
	}
}

func TestACountBeyondTheStubFailsAndAllocatesNothing(t *testing.T) {
	t.Parallel()
	r := NewReader([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, true, false)
	if b := r.Bytes(r.Count()); b != nil || r.Ok() || r.Len() != 0 {
		t.Errorf("%x, ok %v, %d left", b, r.Ok(), r.Len())
	}
}

// TestTrap32AVerificationTrailerIsNoParameter: it is found where it begins,
// aligned to 4.
func TestTrap32AVerificationTrailerIsNoParameter(t *testing.T) {
	t.Parallel()
	trailer := []byte{0x8a, 0xe3, 0x13, 0x71, 0x02, 0xf4, 0x36, 0x71, 2, 0x40, 40, 0}
	for _, c := range []struct {
		before, excess int
		trailer        []byte
	}{{0, 0, trailer}, {4, 4, trailer}, {3, 15, trailer}, {8, 8, nil}, {0, 7, trailer[:7]}} {
		stub := append([]byte{1, 2, 3, 4}, make([]byte, c.before)...)
		stub = append(stub, c.trailer...)
		r := NewReader(stub, false, false)
		r.U32()
		if n := r.Excess(); n != c.excess {
			t.Errorf("%d bytes before %d of trailer: %d", c.before, len(c.trailer), n)
		}
		r = NewReader(stub, false, false)
		r.U16()
		if n := r.Excess(); n != c.excess+2 {
			t.Errorf("%d bytes before %d of trailer, from an odd place: %d", c.before, len(c.trailer), n)
		}
		if r.Bytes(99); r.Excess() != 0 {
			t.Error("a failed Reader has an excess")
		}
	}
}

// FuzzNDR runs a program of reads over a stub. The oracle: offsets only grow
// and are aligned before each primitive, slices lie in the stub, and a failed
// Reader gives zeroes for ever.
func FuzzNDR(f *testing.F) {
	f.Add([]byte{4, 5, 6, 7}, []byte{1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 2, 0, 9, 9}, byte(0))
	f.Add([]byte{1, 2, 3, 4, 6, 5}, make([]byte, 64), byte(3))
	f.Add([]byte{8, 9, 10, 11, 8}, bytes.Repeat([]byte{1, 0, 0, 0}, 32), byte(0))
	f.Fuzz(func(t *testing.T, ops, stub []byte, mode byte) {
		r := NewReader(stub, mode&1 != 0, mode&2 != 0)
		for _, op := range ops {
			was, ok := r, r.Ok()
			var v uint64
			size := 0
			switch op % 12 {
			case 0:
				v, size = uint64(r.U8()), 1
			case 1:
				v, size = uint64(r.U16()), 2
			case 2:
				v, size = uint64(r.U32()), 4
			case 3:
				v, size = r.U64(), 8
			case 4, 5:
				v, size = r.Count(), 4
				if r.NDR64() {
					size = 8
				}
			case 6:
				n := r.Count()
				b := r.Bytes(n)
				if r.Ok() && (uint64(len(b)) != n || cap(b) != len(b)) {
					t.Fatalf("%d bytes for a count of %d, capacity %d", len(b), n, cap(b))
				}
			case 7:
				if u := r.UUID(); !r.Ok() && u != [16]byte{} {
					t.Fatalf("a failed read gave %x", u)
				}
			case 8, 9, 10:
				var x Text
				switch op % 12 {
				case 8:
					x = r.Wide()
				case 9:
					x = r.Narrow()
				case 10:
					x = r.Wides(uint64(op))
				}
				if x.Cut == r.Ok() || x.Len() > len(stub) || uint64(x.Len()) > x.Sent || len(x.Append(nil, 5)) > 15 {
					t.Fatalf("a string of %d characters, cut %v, ok %v", x.Len(), x.Cut, r.Ok())
				}
			case 11:
				if h := r.Handle(); !r.Ok() && h != (Handle{}) {
					t.Fatalf("a failed read gave %+v", h)
				}
			}
			if r.Ok() && !ok {
				t.Fatal("a failed Reader recovered")
			}
			if !r.Ok() && v != 0 {
				t.Fatalf("a failed read gave %#x", v)
			}
			if r.Ok() && size != 0 && (r.Offset()%size != 0 || r.Offset()-was.Offset() >= 2*size) {
				t.Fatalf("a read of %d went from %d to %d", size, was.Offset(), r.Offset())
			}
			if r.Offset() > len(stub) {
				t.Fatalf("offset %d in a stub of %d", r.Offset(), len(stub))
			}
		}
	})
}
