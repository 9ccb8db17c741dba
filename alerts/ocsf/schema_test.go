package ocsf

import (
	"bytes"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"kmswatch/alerts/alertstest"
	"kmswatch/alerts/ocsf/ocsftest"
)

// TestAlertsMeetTheDefinitions holds every example against the definitions.
func TestAlertsMeetTheDefinitions(t *testing.T) {
	s := ocsftest.New()
	for name, a := range alertstest.Examples() {
		for _, wrong := range s.Check(Encoder{Version: "1.0"}.AppendJSON(nil, a)) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	if s.Version() != version {
		t.Errorf("alerts say version %s, the definitions are of %s", version, s.Version())
	}
}

// TestTheSchemaTakesAlertsAndNothingElse holds the printed schema against the
// examples, whole and spoilt.
func TestTheSchemaTakesAlertsAndNothingElse(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("alert.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("alert.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(text []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return s.Validate(v)
	}
	for name, a := range alertstest.Examples() {
		if err := valid(Encoder{Version: "1.0"}.AppendJSON(nil, a)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	text := Encoder{}.AppendJSON(nil, alertstest.Examples()["raised"])
	for _, spoilt := range []struct{ old, new string }{
		{`"class_uid":2004`, `"class_uid":4001`},
		{`"count":3`, `"count":"3"`},
		{`"severity":"High"`, `"severity":"Dire"`},
		{`"message":`, `"text":`},
		{`"port":1688`, `"port":0`},
		{`"uid":"9764e4a9-`, `"uid":"x`},
		{`"frame":12`, `"frame":-12`},
		{`"overlap"`, `"perfect"`},
		{`"opnum":0`, `"opnum":0.5`},
		{`"count":4096,`, ``},
		{`"192.0.2.7","2001:db8::1"`, `"192.0.2.777"`},
	} {
		b := bytes.Replace(text, []byte(spoilt.old), []byte(spoilt.new), 1)
		if bytes.Equal(b, text) {
			t.Errorf("the alert has no %s", spoilt.old)
		}
		if valid(b) == nil {
			t.Errorf("%s is taken", spoilt.new)
		}
	}
}
