// Package fleet judges what no sensor can decide alone. It is given the flow
// records of many sensors and gives alerts: a client that looks for KMS at one
// site and activates at another, one that binds anonymously at hosts which no
// sensor sees all of, a KMS host that is a domain controller somewhere else.
//
// Clients has the state of one partition of a topic that is keyed by the client's
// address, Hosts that of one keyed by the server's. State is what Changed gives and
// Load takes, by key, so that a compacted topic can hold it; it knows up to which
// offset it holds, so that a record that comes again changes nothing.
package fleet

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/flow"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
)

// Ids of the rules.
const (
	splitActivation       = "fleet-split-activation"
	anonymousSpread       = "fleet-anonymous-spread"
	kmsOnDomainController = "fleet-kms-on-domain-controller"
)

// DefaultWindow is that in which repeats are folded, by the time of the packets.
const DefaultWindow = 24 * time.Hour

// Config is what the rules are told.
type Config struct {
	Name     string                     // of who correlates, as the sensor of its alerts
	Settings map[string]alerts.Settings // by the rule's id; those of other rules are passed over
	Out      func(*alerts.Alert)        // is given every alert
}

// Rules tells what rules there are.
func Rules() []alerts.Info {
	return []alerts.Info{splitActivationInfo, anonymousSpreadInfo, kmsOnDomainControllerInfo}
}

// Fleet is the rules with their settings. It is for any goroutine once it is made.
type Fleet struct {
	name  string
	rules map[string]*rule
	out   func(*alerts.Alert)
	sites map[string]string // of a sensor
}

// rule is one with its settings.
type rule struct {
	info     alerts.Info
	settings alerts.Settings
	window   int64
	move     int // from the rule's own severity to that of the settings
}

// New makes a Fleet. Its error joins all that is wrong with the settings.
func New(c Config) (*Fleet, error) {
	f := &Fleet{name: c.Name, rules: make(map[string]*rule), out: c.Out, sites: make(map[string]string)}
	for _, info := range Rules() {
		s := c.Settings[info.ID]
		r := &rule{info: info, settings: s, window: int64(DefaultWindow)}
		if s.Window > 0 {
			r.window = int64(s.Window)
		}
		if s.Severity != 0 {
			r.move = int(s.Severity) - int(info.Severity)
			r.info.Severity = s.Severity
		}
		for name, v := range s.Options {
			i := slices.IndexFunc(info.Options, func(o alerts.Option) bool { return o.Name == name })
			if i < 0 || reflect.TypeOf(info.Options[i].Default) != reflect.TypeOf(v) {
				return nil, fmt.Errorf("rule %s: option %s is not known, or of another type", info.ID, name)
			}
		}
		f.rules[info.ID] = r
	}
	for _, text := range f.rules[splitActivation].option("sites").([]string) {
		site, sensors, ok := strings.Cut(text, "=")
		if !ok || site == "" || sensors == "" {
			return nil, fmt.Errorf("rule %s: sites: %q is not of the form hq=sensor-1,sensor-2", splitActivation, text)
		}
		for name := range strings.SplitSeq(sensors, ",") {
			f.sites[strings.TrimSpace(name)] = site
		}
	}
	return f, nil
}

// option gives the value of an option that the rule has.
func (r *rule) option(name string) any {
	if v, ok := r.settings.Options[name]; ok {
		return v
	}
	for i := range r.info.Options {
		if r.info.Options[i].Name == name {
			return r.info.Options[i].Default
		}
	}
	panic("fleet: rule " + r.info.ID + " has no option " + name)
}

// memory is how long a client that does nothing is remembered, nanoseconds: as far
// as a rule looks back, and as long as an alert folds its repeats.
func (f *Fleet) memory() int64 {
	most := int64(0)
	for _, id := range []string{splitActivation, anonymousSpread} {
		r := f.rules[id]
		most = max(most, 2*int64(r.option("within").(time.Duration)), 2*r.window)
	}
	return most
}

// siteOf gives the site of a sensor: its own name, where none is configured.
func (f *Fleet) siteOf(sensor string) string {
	if s, ok := f.sites[sensor]; ok {
		return s
	}
	return sensor
}

// finding is what a rule has to say.
type finding struct {
	rule           *rule
	key            []string // what makes it another alert, beside the window
	severity       alerts.Severity
	by             alerts.FoldBy
	client, server alerts.Party
	proto          uint8
	first, last    int64
	count          int
	clients        []alerts.Party
	servers        []alerts.Party
	quality        decode.Quality
	say            alerts.Finding
}

// told is an alert that was given out, so that a repeat gives none.
type told struct {
	ID       string          `json:"i"`
	Severity alerts.Severity `json:"s"`
	End      int64           `json:"e"` // of its window
}

// raise gives out an alert unless that was done, or somebody excepted it. It
// gives what was told from now on, without what ended before now.
func (f *Fleet) raise(was []told, now int64, x *finding) []told {
	r := x.rule
	if r.settings.Disabled {
		return was
	}
	for i := range r.settings.Exceptions {
		if r.settings.Exceptions[i].Matches(&x.client, &x.server, noInterface) {
			return was
		}
	}
	severity := min(max(int(x.severity)+r.move, int(alerts.Informational)), int(alerts.Critical))
	start := floor(x.last, r.window)
	t := told{alerts.ID(r.info.ID, start, x.key...), alerts.Severity(severity), start + r.window}
	was = slices.DeleteFunc(was, func(o told) bool { return o.End+r.window < now })
	stage := alerts.Raised
	if i := slices.IndexFunc(was, func(o told) bool { return o.ID == t.ID }); i >= 0 {
		if was[i].Severity >= t.Severity {
			return was
		}
		was[i], stage = t, alerts.Worse
	} else {
		was = append(was, t)
	}
	a := &alerts.Alert{
		ID: t.ID, Stage: stage, Rule: &r.info, Severity: t.Severity, Finding: x.say,
		First: x.first, Last: x.last, Window: start, Count: uint64(x.count),
		By: x.by, Client: x.client, Server: x.server, Sensor: f.name, Quality: x.quality,
		Clients: addresses(x.clients), Servers: addresses(x.servers),
	}
	a.Flow = decode.Flow{
		Client: decode.Endpoint{Addr: x.client.Addr, Port: x.client.Port},
		Server: decode.Endpoint{Addr: x.server.Addr, Port: x.server.Port},
		Proto:  x.proto, Start: x.first,
	}
	f.out(a)
	return was
}

func addresses(all []alerts.Party) (out alerts.Addresses) {
	const named = 8
	for _, p := range all {
		out.Count++
		if len(out.First) < named {
			out.First = append(out.First, p.Addr)
		}
	}
	return out
}

func party(e flow.End) alerts.Party {
	return alerts.Party{Addr: e.Addr, Port: e.Port, Zone: &zone.Zone{Name: e.Zone}}
}

// floor gives the multiple of unit at or before t.
func floor(t, unit int64) int64 {
	m := t % unit
	if m < 0 {
		m += unit
	}
	return t - m
}

// apart gives the distance of two times.
func apart(a, b int64) uint64 {
	if a < b {
		a, b = b, a
	}
	return uint64(a) - uint64(b)
}
