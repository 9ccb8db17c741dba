package rules

import (
	"testing"
	"time"

	"kmswatch/alerts"
	"kmswatch/decode"
)

// failed makes a Failure so many seconds after testStart.
func failed(second int, f alerts.Failure) decode.Event {
	return with(decode.Head{Time: testStart + int64(second)*int64(time.Second)}, &f)
}

// loss makes a Loss so many seconds after testStart.
func loss(second int, l decode.Loss) decode.Event {
	h := decode.Head{At: decode.Position{Frame: uint64(second + 2)}, Time: testStart + int64(second)*int64(time.Second)}
	return with(h, &l)
}

func TestSensorBlind(t *testing.T) {
	for name, tt := range map[string]struct {
		settings alerts.Settings
		events   []decode.Event
		want     []want
	}{
		"a few are nothing": {events: []decode.Event{
			loss(0, decode.Loss{Dropped: 50, Frames: 1000}), loss(1, decode.Loss{Dropped: 49, Frames: 1000}),
			loss(1, decode.Loss{Cut: 99}), loss(2, decode.Loss{Evicted: 99}),
		}},
		"a few now and then are nothing": {events: []decode.Event{
			loss(0, decode.Loss{Dropped: 99}), loss(60, decode.Loss{Dropped: 99}), loss(119, decode.Loss{Evicted: 99}), loss(120, decode.Loss{Dropped: 99}),
		}},
		"a hundred in a million are": {events: []decode.Event{
			loss(0, decode.Loss{Dropped: 60, Frames: 500_000}), loss(59, decode.Loss{Dropped: 40, Frames: 499_900}),
		}, want: []want{{severity: alerts.Medium, count: 1,
			summary: "The sensor lost 100 frames within 1 minute, and saw 999900: they were dropped for lack of room before it read them",
			facts:   map[string]any{"dropped": uint64(100), "frames": uint64(999900)}}}},
		"one in a hundred are worse": {events: []decode.Event{
			loss(0, decode.Loss{Dropped: 100, Frames: 20_000}), loss(1, decode.Loss{Dropped: 400, Frames: 20_000}),
		}, want: []want{{severity: alerts.High, count: 2,
			summary: "The sensor lost 500 frames within 1 minute, and saw 40000: they were dropped for lack of room before it read them"}}},
		"all lost": {events: []decode.Event{loss(0, decode.Loss{Dropped: 100})}, want: []want{{severity: alerts.High}}},
		"each is an alert of its own": {events: []decode.Event{
			loss(0, decode.Loss{Cut: 70}), loss(1, decode.Loss{Cut: 30, Evicted: 100}), loss(2, decode.Loss{Dropped: 100, Frames: 1e6}),
		}, want: []want{
			{summary: "The snap length cut 100 frames of interest within 1 minute", facts: map[string]any{"truncated": uint64(100)}},
			{summary: "The sensor forgot 100 flows within 1 minute to make room for others", facts: map[string]any{"evicted": uint64(100)}},
			{severity: alerts.Medium},
		}},
		"by configuration": {settings: alerts.Settings{Options: map[string]any{"dropped": 0, "truncated": 1, "evicted": 200, "within": time.Hour}},
			events: []decode.Event{
				loss(0, decode.Loss{Dropped: 1e6}), loss(1, decode.Loss{Cut: 1}), loss(2, decode.Loss{Evicted: 100}), loss(3000, decode.Loss{Evicted: 100}),
			}, want: []want{
				{summary: "The snap length cut 1 frame of interest within 1 hour"},
				{summary: "The sensor forgot 200 flows within 1 hour to make room for others"},
			}},
		"an interface that goes, and goes again": {events: []decode.Event{
			failed(0, alerts.Failure{What: alerts.InterfaceGone, Where: "eth1", Cause: "is down"}),
			failed(9, alerts.Failure{What: alerts.InterfaceGone, Where: "eth1", Cause: "is gone"}),
			failed(9, alerts.Failure{What: alerts.InterfaceGone, Where: "eth2", Cause: "is gone"}),
		}, want: []want{
			{severity: alerts.High, count: 2, summary: "The sensor sees nothing of the interface eth1: is down", facts: map[string]any{"interface": "eth1", "cause": "is down"}},
			{severity: alerts.High, count: 1, summary: "The sensor sees nothing of the interface eth2: is gone"},
		}},
		"an interface that may go": {settings: alerts.Settings{Options: map[string]any{"gone": false}},
			events: []decode.Event{failed(0, alerts.Failure{What: alerts.InterfaceGone, Where: "eth1", Cause: "is down"})}},
		"what else fails is not of this rule": {events: []decode.Event{failed(0, alerts.Failure{What: alerts.OutputFull, Where: "x", Lost: 1e6})}},
		"the clock set back":                  {events: []decode.Event{loss(100, decode.Loss{Dropped: 99}), loss(0, decode.Loss{Dropped: 99})}},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, evaluate(t, new(sensorBlind), settings("sensor-blind", tt.settings), tt.events...), tt.want...)
		})
	}
}

func TestSensorBlindAllocatesNothing(t *testing.T) {
	allocatesNothing(t, new(sensorBlind), loss(0, decode.Loss{Dropped: 200, Frames: 10, Cut: 200, Evicted: 200}))
}
