package fleet

import (
	"slices"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/flow"
	"kmswatch/decode/dcerpc"
)

var anonymousSpreadInfo = alerts.Info{
	ID:       anonymousSpread,
	Title:    "A client binds anonymously at hosts of several sensors",
	Severity: alerts.Medium,
	Why: "One client that says nowhere who it is looks at the RPC services of many hosts, and at no sensor at enough of them " +
		"to stand out.",
	Mitigation: "Find out what runs on the client, and take it off the network if nobody answers for it. Restrict anonymous RPC " +
		"on the hosts (RestrictRemoteClients, RestrictAnonymous).",
	Techniques: []alerts.Technique{
		{ID: "T1046", Name: "Network Service Discovery", TacticID: "TA0007", Tactic: "Discovery"},
		{ID: "T1018", Name: "Remote System Discovery", TacticID: "TA0007", Tactic: "Discovery"},
	},
	Options: []alerts.Option{
		{Name: "hosts", What: "Hosts at which one client binds anonymously, over all sensors; 0 is never.", Unit: "hosts", Default: 5},
		{Name: "within", What: "Time within which these count.", Default: time.Hour},
		{Name: "exempt", What: "Interfaces that are anonymous by design.", Default: alerts.Interfaces{"kms", "epmapper"}},
	},
}

// spread counts an anonymous bind of a client, and looks whether it is one at a
// host too many, of which no sensor saw all.
func (f *Fleet) spread(c *client, r *flow.Record) {
	rule := f.rules[anonymousSpread]
	within := uint64(rule.option("within").(time.Duration))
	what := f.notExempt(rule, r)
	if what == "" {
		return
	}
	c.Binds = slices.DeleteFunc(c.Binds, func(b bind) bool { return b.Time < r.Last && apart(b.Time, r.Last) > 2*within })
	i := slices.IndexFunc(c.Binds, func(b bind) bool { return b.Server == r.Server.Addr })
	if i < 0 {
		c.Binds = append(c.Binds, bind{Server: r.Server.Addr, Time: r.Last})
		i = len(c.Binds) - 1
	}
	b := &c.Binds[i]
	if apart(b.Time, r.Last) > within {
		b.Sensors = nil // those of long ago do not count
	}
	b.Port, b.Zone, b.What, b.Time = r.Server.Port, r.Server.Zone, what, max(b.Time, r.Last)
	if !slices.Contains(b.Sensors, r.Sensor) && len(b.Sensors) < maxSensors {
		b.Sensors = append(b.Sensors, r.Sensor)
	}

	by := make(map[string]int) // hosts that a sensor saw
	var servers []alerts.Party
	var interfaces []string
	first, crosses := r.Last, false
	for i := range c.Binds {
		b := &c.Binds[i]
		if apart(b.Time, r.Last) > within {
			continue
		}
		servers = append(servers, party(flow.End{Addr: b.Server, Port: b.Port, Zone: b.Zone}))
		for _, s := range b.Sensors {
			by[s]++
		}
		if !slices.Contains(interfaces, b.What) {
			interfaces = append(interfaces, b.What)
		}
		first = min(first, b.Time)
		crosses = crosses || b.Zone != r.Client.Zone
	}
	if many := rule.option("hosts").(int); many == 0 || len(servers) < many {
		return
	}
	var sensors []string
	for s, n := range by {
		if n == len(servers) {
			return // it sees as much as all of us
		}
		sensors = append(sensors, s)
	}
	slices.Sort(sensors)
	slices.Sort(interfaces)
	client := party(r.Client)
	client.Port = 0
	x := finding{
		by: alerts.ClientAlone, rule: rule, key: []string{client.Addr.String()}, severity: anonymousSpreadInfo.Severity,
		client: client, server: party(r.Server), proto: r.Proto, quality: r.Quality,
		first: first, last: r.Last, count: len(servers), clients: []alerts.Party{client}, servers: servers,
	}
	if crosses {
		x.severity = alerts.High
	}
	x.say.Say("%v bound RPC interfaces without a name at %d hosts, of which no sensor saw all, %v the last", client, len(servers), party(r.Server))
	x.say.Add("hosts", len(servers))
	x.say.Add("sensors", sensors)
	x.say.Add("interfaces", interfaces)
	c.Told = f.raise(c.Told, r.Last, &x)
}

// notExempt gives the name of an interface that the server took and that is not
// anonymous by design; empty if there is none.
func (f *Fleet) notExempt(rule *rule, r *flow.Record) string {
	exempt := rule.option("exempt").(alerts.Interfaces)
	for i := range r.Interfaces {
		x := &r.Interfaces[i]
		if x.Accepted && !slices.ContainsFunc(exempt, func(s string) bool { return is(x, s) }) {
			if x.Name != "" {
				return x.Name
			}
			return x.UUID
		}
	}
	return ""
}

// is tells whether an interface has a name, or the UUID.
func is(x *flow.Interface, s string) bool {
	if x.UUID == s || x.Name == s {
		return true
	}
	u, ok := dcerpc.ParseUUID(x.UUID)
	return ok && slices.Contains(dcerpc.InterfaceByName(s), u)
}
