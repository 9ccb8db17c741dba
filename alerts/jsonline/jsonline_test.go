package jsonline

import (
	"encoding/json"
	"testing"
)

// FuzzString: what is written is valid, and read again is what encoding/json
// makes of the same string.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", "\x00\"\\\xff\xc3(\u2028", "\xed\xa0\x80", "\U0001F511\u0085"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendString(nil, s)
		var mine, theirs string
		if err := json.Unmarshal(got, &mine); err != nil {
			t.Fatalf("%q: %s: %v", s, got, err)
		}
		b, _ := json.Marshal(s)
		if err := json.Unmarshal(b, &theirs); err != nil || mine != theirs {
			t.Fatalf("%q: read as %q, not %q", s, mine, theirs)
		}
		for _, c := range string(got) {
			if c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' {
				t.Fatalf("%q: control character in %q", s, got)
			}
		}
	})
}
