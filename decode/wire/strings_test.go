package wire

import (
	"strconv"
	"testing"
)

func TestStringsAreMadeOnce(t *testing.T) {
	var s Strings
	b := []byte("WS07$")
	first := s.Of(b)
	b[0] = 'X' // the bytes are the caller's
	if first != "WS07$" || s.Of([]byte("WS07$")) != first || s.Of(nil) != "" {
		t.Fatal("not the string of the bytes")
	}
	if n := testing.AllocsPerRun(100, func() { s.Of(b) }); n != 0 {
		t.Errorf("%v allocations for a string that is known", n)
	}
	for i := range 3 * maxStrings {
		if want := strconv.Itoa(i); s.Of([]byte(want)) != want {
			t.Fatal(want)
		}
		if s.Len() > maxStrings {
			t.Fatalf("%d strings are kept", s.Len())
		}
	}
}
