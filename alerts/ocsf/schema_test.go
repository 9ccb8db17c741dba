package ocsf

import (
	"testing"

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
