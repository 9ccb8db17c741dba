package rules

import (
	"slices"
	"time"

	"kmswatch/alerts"
	"kmswatch/decode"
)

// sensorAlertsLost finds that alerts did not arrive, or may not: what failed
// behind the rules. Each place and way to fail is an alert of its own, of no
// parties; so that the loss of that very alert is a repeat of it, and no other.
type sensorAlertsLost struct {
	lost *alerts.Recent[failure, tally]
}

// failure is a place and a way to fail.
type failure struct {
	what  alerts.Failed
	where string
}

// failures bounds the places and ways that are counted at a time: more than a
// sensor has outputs.
const failures = 256

func newSensorAlertsLost() *sensorAlertsLost {
	return &sensorAlertsLost{lost: alerts.NewRecent[failure, tally](failures)}
}

func (*sensorAlertsLost) Info() alerts.Info {
	return alerts.Info{
		ID:       "sensor-alerts-lost",
		Title:    "The sensor itself lost alerts, or may",
		Severity: alerts.High,
		Why: "An alert that does not arrive warns nobody. A disk that is full, an output that nobody reads, a spool at its bound " +
			"or a broker that refuses loses what the other rules found; who wants to pass unseen may fill them on purpose.",
		Mitigation: "Mend the output that is named: room on its disk, a reader that keeps up, the broker's bound for records (max.message.bytes), " +
			"a larger spool (kafka: spool_size). A damaged file of the spool is set aside as NAME.damaged: look at its disk.",
		Kinds: []decode.Kind{alerts.KindFailure},
		Options: []alerts.Option{
			{Name: "many", What: "Lost alerts of one output from which on it is critical; 0 for never.", Unit: "alerts", Default: 1000},
			{Name: "within", What: "The time in which they are counted.", Default: time.Minute},
			{Name: "ignore", What: "Outputs whose losses are fine: standard output, spool, kafka, or the path of a file.", Default: []string{}},
		},
	}
}

func (r *sensorAlertsLost) Evaluate(c *alerts.Context, e decode.Event) {
	f := e.(*alerts.Failure)
	if f.What == alerts.InterfaceGone || slices.Contains(c.Strings("ignore"), f.Where) {
		return
	}
	within := c.Duration("within")
	t, _ := r.lost.Put(failure{f.What, f.Where})
	severity := alerts.Medium // nothing is lost yet
	if f.Lost > 0 {
		t.add(f.Lost, 0, c.Now(), within)
		severity = alerts.High
		if many := c.Int("many"); many > 0 && t.count >= uint64(many) {
			severity = alerts.Critical
		}
	}
	finding := c.Raise(alerts.Fold{By: alerts.ServerAlone, Key: f.What.String() + " " + f.Where, Severity: severity})
	if finding == nil {
		return
	}
	cause := ""
	if f.Cause != "" {
		cause = ": " + f.Cause
	}
	lost := some(t.count, "alert")
	switch f.What {
	case alerts.OutputFull:
		finding.Say("The sensor lost %s for %s within %s: it takes them too slowly", lost, f.Where, span(within))
	case alerts.OutputBroken:
		if f.Lost > 0 {
			finding.Say("The sensor lost %s for %s within %s%s", lost, f.Where, span(within), cause)
		} else {
			finding.Say("The sensor cannot write to %s, whose alerts wait in memory%s", f.Where, cause)
		}
	case alerts.SpoolFull:
		finding.Say("The spool gave up %s within %s that the broker does not have: it holds as much as it may, or they were too old", lost, span(within))
	case alerts.SpoolDamaged:
		finding.Say("The spool lost %s within %s: a file of it could not be read as it was written, and is set aside%s", lost, span(within), cause)
	case alerts.SpoolUnwritable:
		finding.Say("The spool cannot be written: alerts go to the broker from memory, and are lost if the sensor stops before%s", cause)
	case alerts.AlertRefused:
		finding.Say("The broker refused %s within %s for good%s", lost, span(within), cause)
	}
	finding.Add("failure", f.What)
	finding.Add("output", f.Where)
	if f.Lost > 0 {
		finding.Add("lost", t.count)
	}
	if f.Cause != "" {
		finding.Add("cause", f.Cause)
	}
}
