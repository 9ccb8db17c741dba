package ocsftest

import (
	"os"
	"strings"
	"testing"
)

// TestWhatIsWrongIsSeen changes an alert in every way that the definitions speak
// of.
func TestWhatIsWrongIsSeen(t *testing.T) {
	b, err := os.ReadFile("../testdata/raised.json")
	if err != nil {
		t.Fatal(err)
	}
	s := New()
	if wrong := s.Check(b); len(wrong) > 0 {
		t.Fatalf("the alert itself: %q", wrong)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"an unknown attribute", `"count":`, `"colour": 1, "count":`, ".colour is not known"},
		{"a wrong type", `"count": 3`, `"count": "3"`, ".count: 3 is no integer"},
		{"a number of no enumeration", `"severity_id": 4`, `"severity_id": 17`, ".severity_id: 17 is not of its enumeration"},
		{"a name not of its number", `"severity_id": 4`, `"severity_id": 1`, "but severity is High"},
		{"a malformed address", `"ip": "192.0.2.7"`, `"ip": "x"`, "x is no ip_t"},
		{"something required that is not there", `"time":`, `"start_time_dt_x":`, "no time, which is required"},
		{"a type that is not that of class and activity", `"type_uid": 200401`, `"type_uid": 200402`, "type_uid"},
		{"another version", `"version": "1.8.0"`, `"version": "1.7.0"`, "metadata.version: 1.7.0"},
	} {
		text := strings.Replace(string(b), c.old, c.new, 1)
		if text == string(b) {
			t.Errorf("%s: the alert has no %s", c.name, c.old)
			continue
		}
		if wrong := strings.Join(s.Check([]byte(text)), "\n"); !strings.Contains(wrong, c.want) {
			t.Errorf("%s: %q, want %q", c.name, wrong, c.want)
		}
	}
	for _, text := range []string{`{}`, `{"evidences": {}}`, `{"evidences": [{}]}`, `[`, `1`} {
		if len(s.Check([]byte(text))) == 0 {
			t.Errorf("nothing is wrong with %s", text)
		}
	}
}
