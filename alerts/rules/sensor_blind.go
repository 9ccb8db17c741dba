package rules

import (
	"time"

	"kmswatch/alerts"
	"kmswatch/decode"
)

// sensorBlind finds that the sensor itself missed something: frames that its
// source dropped, frames of interest that the snap length cut, flows that made
// room for others, all of an interface that is down. Each is an alert of its own,
// of no parties.
type sensorBlind struct {
	dropped, cut, evicted tally
}

// tally counts from the first loss on; it begins anew once the time is over.
type tally struct {
	start int64  // nanoseconds since the epoch
	count uint64 // lost
	seen  uint64 // and seen over the same time
}

func (t *tally) add(lost, seen uint64, now int64, within time.Duration) {
	if passed := now - t.start; t.count == 0 || passed < 0 || passed >= int64(within) {
		*t = tally{start: now}
	}
	t.count += lost
	t.seen += seen
}

// badly is the share of the frames, one in so many, from which on their loss is
// graded High.
const badly = 100

func (*sensorBlind) Info() alerts.Info {
	return alerts.Info{
		ID:       "sensor-blind",
		Title:    "The sensor itself lost frames or flows, or an interface",
		Severity: alerts.Medium,
		Why: "What the sensor does not see it cannot tell: frames that were dropped or cut, and flows that were forgotten, " +
			"may hold what the other rules look for, and so may all that passes an interface which is down or gone. " +
			"Who floods a sensor may do so to pass unseen.",
		Mitigation: "Look at what fills the wire, and give the sensor room: larger or more rings (sensor: ring_size, rings), more workers, " +
			"a longer snap length, higher limits; or give it fewer interfaces. Set an interface that is down up again, and look at its cable and at who mirrors to it.",
		Kinds: []decode.Kind{decode.KindLoss, alerts.KindFailure},
		Options: []alerts.Option{
			{Name: "dropped", What: "Frames dropped by the kernel, the driver or what made the capture that are too many; 0 for any number is fine.", Unit: "frames", Default: 100},
			{Name: "truncated", What: "Frames of interest cut by the snap length that are too many; 0 for any number is fine.", Unit: "frames", Default: 100},
			{Name: "evicted", What: "Flows that made room for others that are too many; 0 for any number is fine.", Unit: "flows", Default: 100},
			{Name: "within", What: "The time in which they are counted.", Default: time.Minute},
			{Name: "gone", What: "Whether an interface that is down or gone is told.", Default: true},
		},
	}
}

func (r *sensorBlind) Evaluate(c *alerts.Context, e decode.Event) {
	switch e := e.(type) {
	case *decode.Loss:
		r.lost(c, e)
	case *alerts.Failure:
		if e.What == alerts.InterfaceGone && c.Bool("gone") {
			gone(c, e)
		}
	}
}

// gone raises that an interface gives nothing.
func gone(c *alerts.Context, e *alerts.Failure) {
	f := c.Raise(alerts.Fold{By: alerts.ServerAlone, Key: "interface " + e.Where, Severity: alerts.High})
	if f == nil {
		return
	}
	f.Say("The sensor sees nothing of the interface %s: %s", e.Where, e.Cause)
	f.Add("interface", e.Where)
	f.Add("cause", e.Cause)
}

func (r *sensorBlind) lost(c *alerts.Context, l *decode.Loss) {
	within := c.Duration("within")
	// Raise gives the finding of what is too many for the first time, or worse.
	raise := func(key string, severity alerts.Severity, n uint64) *alerts.Finding {
		most := c.Int(key)
		if most == 0 || n < uint64(most) {
			return nil
		}
		f := c.Raise(alerts.Fold{By: alerts.ServerAlone, Key: key, Severity: severity})
		if f != nil {
			f.Add(key, n)
		}
		return f
	}
	if l.Dropped > 0 {
		r.dropped.add(l.Dropped, l.Frames, c.Now(), within)
		n, seen := r.dropped.count, r.dropped.seen
		severity := alerts.Medium
		if n > (n+seen)/badly {
			severity = alerts.High
		}
		if f := raise("dropped", severity, n); f != nil {
			f.Say("The sensor lost %s within %s, and saw %d: they were dropped for lack of room before it read them", some(n, "frame"), span(within), seen)
			f.Add("frames", seen)
		}
	}
	if l.Cut > 0 {
		r.cut.add(l.Cut, 0, c.Now(), within)
		if f := raise("truncated", alerts.Medium, r.cut.count); f != nil {
			f.Say("The snap length cut %s of interest within %s", some(r.cut.count, "frame"), span(within))
		}
	}
	if l.Evicted > 0 {
		r.evicted.add(l.Evicted, 0, c.Now(), within)
		if f := raise("evicted", alerts.Medium, r.evicted.count); f != nil {
			f.Say("The sensor forgot %s within %s to make room for others", some(r.evicted.count, "flow"), span(within))
		}
	}
}
