package alerts

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"kmswatch/alerts/zone"
	"kmswatch/decode"
)

// counter is a rule that remembers: it raises an alert at the third bind.
type counter struct{ n int }

func (*counter) Info() Info {
	return Info{ID: "test-third", Title: "Third", Severity: Low, Kinds: []decode.Kind{decode.KindBind}}
}

func (r *counter) Evaluate(c *Context, _ decode.Event) {
	if r.n++; r.n == 3 {
		c.Raise(Fold{}).Say("the third")
	}
}

// live is an evaluator whose alerts are written down.
type live struct {
	*Evaluator
	lines []string
}

func newLive(t *testing.T, rules ...Rule) *live {
	t.Helper()
	l := new(live)
	v, err := New(Config{Rules: rules, Zones: zones(t), Window: time.Hour, Out: func(a *Alert) {
		l.lines = append(l.lines, fmt.Sprintf("%s %s x%d %v-%v", [...]string{"raised", "worse", "ended"}[a.Stage], a.Rule.ID, a.Count, a.Severity, a.Quality.Names()))
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.Evaluator = v
	return l
}

func (l *live) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(l.lines, want) {
		t.Errorf("got\n\t%q\nwant\n\t%q", l.lines, want)
	}
	l.lines = nil
}

const (
	dmzHost = "192.0.2.1"
	inHost  = "10.0.0.1"
)

func TestReconfigureKeepsWhatWasLearnt(t *testing.T) {
	l := newLive(t, &binds{}, &counter{})
	l.Handle(bind(dmzHost, inHost, 0))
	l.Handle(bind(dmzHost, inHost, 1))
	l.want(t, "raised test-binds x1 medium-[]")
	// The zones are new, their names are not; the rules given know nothing.
	if err := l.Reconfigure(Config{Rules: []Rule{&binds{}, &counter{}}, Zones: zones(t)}); err != nil {
		t.Fatal(err)
	}
	l.Handle(bind(dmzHost, inHost, 2))
	l.want(t, "raised test-third x1 low-[]")
	l.Close()
	l.want(t, "ended test-binds x3 medium-[]", "ended test-third x1 low-[]")
}

func TestReconfigureChangesZonesAndRules(t *testing.T) {
	l := newLive(t, &binds{})
	l.Handle(bind(dmzHost, inHost, 0))
	l.Handle(bind(inHost, inHost, 1))
	l.want(t, "raised test-binds x1 medium-[]", "raised test-binds x1 medium-[]")
	other, err := zone.New(zone.Zone{Name: "internal", Trust: 50, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Reconfigure(Config{Rules: []Rule{&binds{}}, Zones: other, Settings: map[string]Settings{"test-binds": {Severity: High}}}); err != nil {
		t.Fatal(err)
	}
	l.want(t, "ended test-binds x1 medium-[]") // there is no dmz any more
	l.Handle(bind(dmzHost, inHost, 2))
	l.want(t, "worse test-binds x2 high-[]") // it is internal now, and so the other alert
	if err := l.Reconfigure(Config{Rules: []Rule{&binds{}}, Zones: other, Settings: map[string]Settings{"test-binds": {Disabled: true}}}); err != nil {
		t.Fatal(err)
	}
	l.want(t, "ended test-binds x2 high-[]")
	l.Handle(bind(dmzHost, inHost, 3))
	l.Close()
	l.want(t)
}

func TestReconfigureRefusesTheWhole(t *testing.T) {
	l := newLive(t, &binds{})
	l.Handle(bind(dmzHost, inHost, 0))
	bad := Config{Rules: []Rule{&binds{}}, Zones: zone.Default(), Settings: map[string]Settings{"test-binds": {Options: map[string]any{"no": 1}}}}
	if err := l.Reconfigure(bad); err == nil || err.Error() != "rule test-binds: unknown option no" {
		t.Errorf("got %v", err)
	}
	l.Handle(bind(dmzHost, inHost, 1))
	l.Close()
	l.want(t, "raised test-binds x1 medium-[]", "ended test-binds x2 medium-[]")
}

func TestAdvanceEndsAlertsOnASilentWire(t *testing.T) {
	l := newLive(t, &binds{})
	l.Handle(bind(dmzHost, inHost, 0))
	l.lines = nil
	l.Advance(day + int64(time.Hour) - 1)
	l.want(t)
	l.Advance(day + int64(time.Hour))
	l.want(t, "ended test-binds x1 medium-[]")
}

func TestAlertsAroundALossSaySo(t *testing.T) {
	loss := &decode.Loss{Dropped: 1}
	loss.Head().Time = day + 10*int64(time.Second)
	l := newLive(t, &binds{})
	flow := func(start, at int64, server string) *decode.Bind {
		e := bind(dmzHost, server, at)
		e.Head().Flow.Start = day + start*int64(time.Second)
		return e
	}
	l.Handle(flow(1, 9, inHost)) // before
	l.Handle(loss)
	l.Handle(flow(9, 12, "10.0.0.2"))
	l.Handle(flow(11, 12, "10.0.0.3"))
	l.Handle(flow(12, 13, "10.0.0.4")) // after
	l.want(t, "raised test-binds x1 medium-[]", "raised test-binds x1 medium-[frames-dropped]", "raised test-binds x1 medium-[frames-dropped]", "raised test-binds x1 medium-[]")
}
