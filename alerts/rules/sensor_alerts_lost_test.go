package rules

import (
	"testing"

	"kmswatch/alerts"
	"kmswatch/decode"
)

func TestSensorAlertsLost(t *testing.T) {
	full := func(second int, where string, lost uint64) decode.Event {
		return failed(second, alerts.Failure{What: alerts.OutputFull, Where: where, Lost: lost})
	}
	for name, tt := range map[string]struct {
		settings alerts.Settings
		events   []decode.Event
		want     []want
	}{
		"one is too many": {events: []decode.Event{full(0, "a", 1)}, want: []want{{severity: alerts.High, count: 1,
			summary: "The sensor lost 1 alert for a within 1 minute: it takes them too slowly",
			facts:   map[string]any{"failure": "output-full", "output": "a", "lost": uint64(1)}}}},
		"many within the time are critical": {events: []decode.Event{full(0, "a", 500), full(59, "a", 500)}, want: []want{{severity: alerts.Critical, count: 2,
			summary: "The sensor lost 1000 alerts for a within 1 minute: it takes them too slowly"}}},
		"many over a longer time are not":   {events: []decode.Event{full(0, "a", 999), full(60, "a", 999)}, want: []want{{severity: alerts.High, count: 2}}},
		"outputs are counted by themselves": {events: []decode.Event{full(0, "a", 999), full(1, "b", 999)}, want: []want{{severity: alerts.High}, {severity: alerts.High}}},
		"what waits is not lost, until it is": {events: []decode.Event{
			failed(0, alerts.Failure{What: alerts.OutputBroken, Where: "a", Cause: "disk full"}),
			failed(1, alerts.Failure{What: alerts.OutputBroken, Where: "a", Cause: "broken pipe", Lost: 2}),
		}, want: []want{{severity: alerts.High, count: 2, summary: "The sensor lost 2 alerts for a within 1 minute: broken pipe", facts: map[string]any{"cause": "broken pipe"}}}},
		"a spool that waits": {events: []decode.Event{failed(0, alerts.Failure{What: alerts.SpoolUnwritable, Where: "spool", Cause: "disk full"})},
			want: []want{{severity: alerts.Medium,
				summary: "The spool cannot be written: alerts go to the broker from memory, and are lost if the sensor stops before: disk full"}}},
		"by configuration": {settings: alerts.Settings{Options: map[string]any{"many": 0, "ignore": []string{"b", "c"}}},
			events: []decode.Event{full(0, "a", 1e9), full(0, "b", 1)}, want: []want{{severity: alerts.High}}},
		"an interface is not of this rule": {events: []decode.Event{failed(0, alerts.Failure{What: alerts.InterfaceGone, Where: "eth1"})}},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, evaluate(t, newSensorAlertsLost(), settings("sensor-alerts-lost", tt.settings), tt.events...), tt.want...)
		})
	}
}

// TestWhatFailsIsRememberedWithinBounds: names that never end do not fill memory.
func TestWhatFailsIsRememberedWithinBounds(t *testing.T) {
	r := newSensorAlertsLost()
	var events []decode.Event
	for i := range 3 * failures {
		events = append(events, failed(0, alerts.Failure{What: alerts.OutputFull, Where: string(rune('一' + i)), Lost: 1}))
	}
	if got := evaluate(t, r, alerts.Config{}, events...); len(got) != len(events) {
		t.Errorf("%d alerts of %d outputs", len(got), len(events))
	}
	if n := r.lost.Len(); n != failures {
		t.Errorf("%d are remembered", n)
	}
}
