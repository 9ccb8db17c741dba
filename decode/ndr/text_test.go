package ndr

import "testing"

func TestStringsInBothSyntaxesAndByteOrders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		ndr64, big bool
		stub       []byte
	}{
		{"NDR32", false, false, []byte{
			4, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, // maximum, offset, actual
			'h', 0, 0x34, 0xd8, 0x1e, 0xdd, 0, 0, // a pair of surrogates
		}},
		{"NDR64", true, false, []byte{
			4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0,
			'h', 0, 0x34, 0xd8, 0x1e, 0xdd, 0, 0,
		}},
		{"NDR32 big-endian", false, true, []byte{
			0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4,
			0, 'h', 0xd8, 0x34, 0xdd, 0x1e, 0, 0,
		}},
	} {
		r := NewReader(c.stub, c.ndr64, c.big)
		s := r.Wide()
		if !r.Ok() || r.Len() != 0 || s.Cut || s.Illegal || s.Sent != 4 || s.Len() != 3 || s.Unit(0) != 'h' || string(s.Append(nil, 9)) != "h𝄞" {
			t.Errorf("%s: %+v %q", c.name, s, s.Append(nil, 9))
		}
		if got := string(s.Append([]byte("x"), 2)); got != "xh\ufffd" {
			t.Errorf("%s: cut in the pair: %q", c.name, got)
		}
		part := s.Part(1, 3)
		if got := string(part.Append(nil, 9)); got != "𝄞" {
			t.Errorf("%s: a part: %q", c.name, got)
		}
	}
}

func TestStringsThatBreakTheirBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		stub    []byte
		want    string
		cut     bool
		illegal bool
	}{
		{"longer than the maximum", []byte{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 'a', 'b'}, "ab", false, true},
		{"an offset", []byte{2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 'a', 'b'}, "ab", false, true},
		{"cut", []byte{9, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 'a', 'b'}, "ab", true, false},
		{"cut before it begins", []byte{9, 0, 0, 0, 0, 0, 0, 0, 9, 0}, "", true, false},
		{"more behind the NUL", []byte{3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 'a', 0, 'b'}, "a", false, false},
		{"an octet beyond ASCII", []byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xe9}, "é", false, false},
	} {
		r := NewReader(c.stub, false, false)
		s := r.Narrow()
		if got := string(s.Append(nil, 9)); got != c.want || s.Cut != c.cut || s.Illegal != c.illegal || r.Ok() == c.cut {
			t.Errorf("%s: %q %+v, ok %v", c.name, got, s, r.Ok())
		}
	}
	r := NewReader([]byte{0, 0, 0, 0, 9, 0, 0, 0, 'a', 0}, false, false)
	if s := r.Varying(4); !s.Illegal || !s.Cut {
		t.Errorf("a varying string: %+v", s)
	}
	r = NewReader([]byte{0xff, 0, 'a', 0, 'b', 0}, false, false)
	r.U8()
	if s := r.Wides(2); string(s.Append(nil, 9)) != "ab" || !r.Ok() {
		t.Errorf("an array: %+v", s)
	}
}

func TestHandlesAndEnumerations(t *testing.T) {
	t.Parallel()
	stub := []byte{1, 0, 0, 0, 4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16, 0xaa}
	r := NewReader(stub, true, false)
	h := r.Handle()
	if want := [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}; h.Attributes != 1 || h.UUID != want || h.Null() || r.Offset() != 20 {
		t.Errorf("%+v", h)
	}
	r = NewReader(stub[:19], true, false)
	if h := r.Handle(); h != (Handle{}) || r.Ok() || !h.Null() {
		t.Errorf("cut: %+v", h)
	}
	r = NewReader(stub, false, false)
	if v := r.Enum(); v != 1 || r.Offset() != 2 {
		t.Errorf("NDR32 enumeration %d, offset %d", v, r.Offset())
	}
	if r.AlignSize(); r.Offset() != 4 {
		t.Errorf("NDR32 offset %d", r.Offset())
	}
	r = NewReader(stub, true, false)
	if v := r.Enum(); v != 1 || r.Offset() != 4 {
		t.Errorf("NDR64 enumeration %d, offset %d", v, r.Offset())
	}
	if r.AlignSize(); r.Offset() != 8 {
		t.Errorf("NDR64 offset %d", r.Offset())
	}
	if r.AlignTo(16); r.Offset() != 16 {
		t.Errorf("offset %d", r.Offset())
	}
}
