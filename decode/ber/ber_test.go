package ber

import (
	"bytes"
	"math"
	"testing"
)

func TestHeadReadsTagAndLength(t *testing.T) {
	for _, c := range []struct {
		name  string
		b     []byte
		want  Element
		total int
		v     Verdict
	}{
		{"nothing", nil, Element{}, 2, Cut},
		{"a tag alone", []byte{0x30}, Element{}, 2, Cut},
		{"a boolean", []byte{1, 1, 0xff}, Element{Tag: Boolean, Content: []byte{0xff}, Header: 2}, 3, Whole},
		{"an empty sequence", []byte{0x30, 0}, Element{Tag: Sequence, Constructed: true, Content: []byte{}, Header: 2}, 2, Whole},
		{"an application tag", []byte{0x6e, 1, 5}, Element{Class: Application, Constructed: true, Tag: 14, Content: []byte{5}, Header: 2}, 3, Whole},
		{"a private tag", []byte{0xc1, 0}, Element{Class: Private, Tag: 1, Content: []byte{}, Header: 2}, 2, Whole},
		{"bytes behind are another's", []byte{4, 1, 7, 9}, Element{Tag: OctetString, Content: []byte{7}, Header: 2}, 3, Whole},
		{"content that is cut", []byte{4, 3, 7}, Element{Tag: OctetString, Content: []byte{7}, Header: 2}, 5, Cut},
		{"the five octets of length that Windows sends", []byte{0x30, 0x84, 0, 0, 0, 1, 9}, Element{Tag: Sequence, Constructed: true, Content: []byte{9}, Header: 6}, 7, Whole},
		{"eight octets of length", []byte{4, 0x88, 0, 0, 0, 0, 0, 0, 0, 1, 9}, Element{Tag: OctetString, Content: []byte{9}, Header: 10}, 11, Whole},
		{"a length that is cut", []byte{0x30, 0x82, 1}, Element{}, 4, Cut},
		{"a long tag", []byte{0x7f, 0x81, 0x02, 1, 3}, Element{Class: Application, Constructed: true, Tag: 130, Content: []byte{3}, Header: 4}, 5, Whole},
		{"the longest tag", []byte{0x1f, 0x8f, 0xff, 0xff, 0xff, 0x7f, 0}, Element{Tag: math.MaxUint32, Content: []byte{}, Header: 7}, 7, Whole},
		{"a tag of more than 32 bits", []byte{0x1f, 0x90, 0x80, 0x80, 0x80, 0, 0}, Element{}, 0, Malformed},
		{"a long tag that begins with zero", []byte{0x1f, 0x80, 1, 0}, Element{}, 0, Malformed},
		{"a long tag that is cut", []byte{0x1f, 0x81}, Element{}, 4, Cut},
		{"an indefinite length", []byte{0x30, 0x80, 0, 0}, Element{}, 0, Malformed},
		{"the reserved length octet", []byte{0x30, 0xff, 0, 0}, Element{}, 0, Malformed},
		{"nine octets of length", []byte{0x30, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0}, Element{}, 0, Malformed},
		{"a GiB", []byte{4, 0x84, 0x40, 0, 0, 0}, Element{}, 0, Malformed},
		{"a byte less than a GiB", []byte{4, 0x84, 0x3f, 0xff, 0xff, 0xff}, Element{Tag: OctetString, Content: []byte{}, Header: 6}, 6 + MaxLength - 1, Cut},
		{"a length that would overflow", []byte{4, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, Element{}, 0, Malformed},
	} {
		e, total, v := Head(c.b)
		if e.Class != c.want.Class || e.Constructed != c.want.Constructed || e.Tag != c.want.Tag ||
			e.Header != c.want.Header || !bytes.Equal(e.Content, c.want.Content) || total != c.total || v != c.v {
			t.Errorf("%s: %+v, total %d, %v; want %+v, total %d, %v", c.name, e, total, v, c.want, c.total, c.v)
		}
	}
}

func TestReaderStopsForGoodAtABadElement(t *testing.T) {
	for _, c := range []struct {
		name   string
		b      []byte
		n      int
		v      Verdict
		need   int
		offset int
	}{
		{"two elements", []byte{5, 0, 1, 1, 0}, 2, Whole, 0, 5},
		{"a cut one", []byte{5, 0, 4, 9, 1}, 1, Cut, 13, 2},
		{"a cut header", []byte{5, 0, 4}, 1, Cut, 4, 2},
		{"a malformed one", []byte{5, 0, 0x30, 0x80, 5, 0}, 1, Malformed, 0, 2},
	} {
		r := NewReader(c.b)
		n := 0
		for _, ok := r.Next(); ok; _, ok = r.Next() {
			n++
		}
		if _, ok := r.Next(); ok || n != c.n || r.Verdict() != c.v || r.Need() != c.need || r.Offset() != c.offset || r.More() {
			t.Errorf("%s: %d elements, %v, need %d, offset %d", c.name, n, r.Verdict(), r.Need(), r.Offset())
		}
		if !bytes.Equal(r.Rest(), c.b[c.offset:]) {
			t.Errorf("%s: rest % x", c.name, r.Rest())
		}
	}
}

func TestInsideKeepsOffsetsAndTheDepthLimit(t *testing.T) {
	r := NewReader([]byte{5, 0, 0x30, 5, 0xa0, 3, 2, 1, 7})
	r.Next()
	e, _ := r.Next()
	if _, ok := e.Inside(0); ok {
		t.Error("no level was left")
	}
	in, ok := e.Inside(2)
	if !ok {
		t.Fatal("refused")
	}
	e, _ = in.Next()
	in, ok = e.Inside(1)
	if !ok || e.Offset != 4 {
		t.Fatalf("offset %d", e.Offset)
	}
	e, _ = in.Next()
	if v, ok := e.Int(0, 9); !ok || v != 7 || e.Offset != 6 || in.Offset() != 9 {
		t.Errorf("%+v", e)
	}
	if _, ok := e.Inside(5); ok {
		t.Error("a primitive element was entered")
	}
}

// Trap 36: nesting is bounded by the caller, however many levels the bytes
// have.
func TestNestingIsBoundedByTheCaller(t *testing.T) {
	b := []byte{}
	for range 60 {
		b = append([]byte{0x30, byte(len(b))}, b...)
	}
	r, depth := NewReader(b), 16
	levels := 0
	for {
		e, ok := r.Next()
		if !ok {
			break
		}
		in, ok := e.Inside(depth)
		if !ok {
			break
		}
		r, depth = in, depth-1
		levels++
	}
	if levels != 16 {
		t.Errorf("%d levels", levels)
	}
}

func TestWantLeavesAnotherElementInPlace(t *testing.T) {
	r := NewReader([]byte{0xa1, 2, 5, 0, 4, 0})
	if _, ok := r.Want(Context, 0); ok || r.Offset() != 0 || !r.More() {
		t.Error("an absent optional field was taken")
	}
	if e, ok := r.Want(Context, 1); !ok || e.Tag != 1 {
		t.Error("a present one was not")
	}
	if _, ok := r.Want(Universal, OctetString); !ok || r.More() {
		t.Error("the last one was not")
	}
	if _, ok := r.Want(Universal, OctetString); ok || r.Verdict() != Whole {
		t.Error("something behind the end")
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		content   []byte
		low, high int64
		v         int64
		ok        bool
	}{
		{nil, math.MinInt64, math.MaxInt64, 0, false},
		{[]byte{0}, 0, 0, 0, true},
		{[]byte{0xff}, -1, 1, -1, true},
		{[]byte{0xff}, 0, 255, 0, false},
		{[]byte{0, 0xff}, 0, 255, 255, true},
		{[]byte{1, 0}, 0, 255, 0, false},
		{[]byte{0, 0, 0, 5}, 0, 255, 5, true},
		{[]byte{0x80, 0, 0, 0, 0, 0, 0, 0}, math.MinInt64, 0, math.MinInt64, true},
		{[]byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0, math.MaxInt64, math.MaxInt64, true},
		{make([]byte, 9), 0, 1, 0, false},
	} {
		e := Element{Content: c.content}
		if v, ok := e.Int(c.low, c.high); v != c.v || ok != c.ok {
			t.Errorf("% x in %d..%d: %d %t", c.content, c.low, c.high, v, ok)
		}
	}
	yes, no, long := Element{Content: []byte{1}}, Element{Content: []byte{0}}, Element{Content: []byte{1, 1}}
	if v, ok := yes.Bool(); !v || !ok {
		t.Error("1 is true")
	}
	if v, ok := no.Bool(); v || !ok {
		t.Error("0 is false")
	}
	if _, ok := long.Bool(); ok {
		t.Error("two octets are no boolean")
	}
	built := Element{Constructed: true, Content: []byte{4, 0}}
	if _, ok := built.Octets(); ok {
		t.Error("a string of segments was taken")
	}
	if b, ok := yes.Octets(); !ok || len(b) != 1 {
		t.Error("a string was not")
	}
	for _, c := range []struct {
		content []byte
		ok      bool
	}{{nil, false}, {[]byte{0x2a, 0x86}, false}, {[]byte{0x2b, 6, 1, 5, 5, 2}, true}} {
		e := Element{Content: c.content}
		if b, ok := e.OID(); ok != c.ok || ok && !bytes.Equal(b, c.content) {
			t.Errorf("OID % x: %t", c.content, ok)
		}
	}
}

// count walks all that depth allows and gives the number of elements.
func count(r Reader, depth int) int {
	n := 0
	for e, ok := r.Next(); ok; e, ok = r.Next() {
		n++
		if in, ok := e.Inside(depth); ok {
			n += count(in, depth-1)
		}
	}
	return n
}

func TestReadingAllocatesNothing(t *testing.T) {
	b := []byte{0x30, 0x84, 0, 0, 0, 8, 0xa0, 3, 2, 1, 7, 1, 1, 0xff}
	if n := testing.AllocsPerRun(100, func() {
		if count(NewReader(b), 8) != 4 {
			t.Fatal("not four elements")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{0x30, 0x84, 0, 0, 0, 8, 0xa0, 3, 2, 1, 7, 1, 1, 0xff})
	f.Add([]byte{0x30, 0x80, 5, 0, 0, 0})
	f.Add([]byte{0x7f, 0x81, 2, 1, 3, 5, 0})
	f.Add([]byte{4, 0x82, 1})
	f.Add(bytes.Repeat([]byte{0x30, 0x84, 0, 0, 0, 60}, 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		walk(t, b, NewReader(b), 0, len(b), 8)
		// A prefix says cut with a need that the whole fulfils, never another verdict.
		e, total, v := Head(b)
		for i := range min(len(b), 24) {
			p, n, w := Head(b[:i])
			switch {
			case w == Cut && n <= i:
				t.Fatalf("%d bytes are cut but only %d are needed", i, n)
			case w == Cut && v == Whole && n > total:
				t.Fatalf("%d bytes need %d, the whole has %d", i, n, total)
			case w == Malformed && v != Malformed:
				t.Fatalf("%d bytes are malformed, more are not", i)
			case w == Whole && (v != Whole || n != total || !bytes.Equal(p.Content, e.Content)):
				t.Fatalf("%d bytes are whole, and another element with more", i)
			}
		}
		if v == Malformed && (total != 0 || e.Content != nil || e.Header != 0) {
			t.Fatalf("malformed gives %+v", e)
		}
	})
}

// walk holds that elements stand without a gap within from..to of b, and that
// their contents are those bytes.
func walk(t *testing.T, b []byte, r Reader, from, to, depth int) {
	at := from
	for e, ok := r.Next(); ok; e, ok = r.Next() {
		end := e.Offset + e.Header + len(e.Content)
		if e.Offset != at || e.Header < 2 || end > to || cap(e.Content) != len(e.Content) ||
			!bytes.Equal(e.Content, b[e.Offset+e.Header:end]) {
			t.Fatalf("element %+v at %d of %d..%d", e, at, from, to)
		}
		if in, ok := e.Inside(depth); ok {
			walk(t, b, in, e.Offset+e.Header, end, depth-1)
		}
		at = end
	}
	if (r.Verdict() == Whole) != (at == to) || r.Offset() != at {
		t.Fatalf("%v at %d of %d", r.Verdict(), at, to)
	}
	if r.Verdict() == Cut && r.Need() <= to-from {
		t.Fatalf("needs %d of %d", r.Need(), to-from)
	}
}
