package fleet

import (
	"slices"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/flow"
)

var splitActivationInfo = alerts.Info{
	ID:       splitActivation,
	Title:    "A client looks for KMS at one site and activates at another",
	Severity: alerts.Medium,
	Why: "The records of one site's DNS send a client to the KMS host of another, across whatever lies between; or it does not " +
		"go where DNS sends it at all. Neither sensor sees more than its half.",
	Mitigation: "Give each site a KMS host and a _vlmcs record of its own, or name both sensors as one site (option sites) if it is one.",
	Options: []alerts.Option{
		{Name: "within", What: "How long after a lookup an activation is one that it led to.", Default: 24 * time.Hour},
		{Name: "sites", What: "Sensors that see the same site, each as hq=sensor-1,sensor-2; a sensor that is in none is a site of its own.", Default: []string{}},
	},
}

// split looks whether a client's lookups and its activation at the server of the
// record, or of which the record is a lookup, were seen at different sites.
func (f *Fleet) split(c *client, r *flow.Record) {
	rule := f.rules[splitActivation]
	within := uint64(rule.option("within").(time.Duration))
	var looked []*sighting
	at := make(map[string]bool) // sites of lookups
	for i := range c.Lookups {
		if l := &c.Lookups[i]; apart(l.Time, r.Last) <= within {
			looked = append(looked, l)
			at[f.siteOf(l.Sensor)] = true
		}
	}
	if len(looked) == 0 {
		return
	}
	for i := range c.Exchanges {
		x := &c.Exchanges[i]
		if apart(x.Time, r.Last) > within || f.seenWhere(c, x, at) || r.Kind == flow.KMSExchange && x.Server != r.Server.Addr {
			continue
		}
		l := looked[len(looked)-1]
		client, server := party(r.Client), party(flow.End{Addr: x.Server, Port: x.Port, Zone: x.Zone})
		client.Port = 0
		e := finding{
			by: alerts.ByBoth, rule: rule, key: []string{client.Addr.String(), server.Addr.String()}, severity: splitActivationInfo.Severity,
			client: client, server: server, proto: 6, quality: r.Quality,
			first: min(l.Time, x.Time), last: max(l.Time, x.Time), count: 1,
			clients: []alerts.Party{client}, servers: []alerts.Party{server},
		}
		e.say.Say("%v looked for KMS at %s and activated at the KMS host %v, as %s saw", client, f.siteOf(l.Sensor), server, f.siteOf(x.Sensor))
		e.say.Add("lookup_sensor", l.Sensor)
		e.say.Add("lookup_name", l.Name)
		e.say.Add("dns_server", l.Server)
		e.say.Add("activation_sensor", x.Sensor)
		var answers []string
		named := false
		for _, l := range looked {
			for _, a := range l.Answers {
				named = named || a == x.Server
				if s := a.String(); !slices.Contains(answers, s) {
					answers = append(answers, s)
				}
			}
		}
		if answers != nil {
			e.say.Add("srv_addresses", answers)
			e.say.Add("named_by_dns", named)
			if !named {
				e.severity = alerts.High
			}
		}
		c.Told = f.raise(c.Told, r.Last, &e)
	}
}

// seenWhere tells whether activation at the server of x was seen at one of the
// sites.
func (f *Fleet) seenWhere(c *client, x *sighting, at map[string]bool) bool {
	return slices.ContainsFunc(c.Exchanges, func(o sighting) bool { return o.Server == x.Server && at[f.siteOf(o.Sensor)] })
}
