package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/flow"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/zone"
)

var kmsOnDomainControllerInfo = alerts.Info{
	ID:       kmsOnDomainController,
	Title:    "A KMS host is a domain controller, as another sensor sees",
	Severity: alerts.High,
	Why: "Every client that activates gets a path of MS-RPC to a domain controller, and a flaw in either service costs the domain. " +
		"Where one sensor sees the activations and another the domain's traffic, neither knows.",
	Mitigation: "Move the KMS host role to a member server of its own, with no other role, and let only the KMS port reach it.",
	Options: []alerts.Option{
		{Name: "within", What: "How long a role is believed after it was seen last.", Default: 7 * 24 * time.Hour},
	},
}

// factAgain is how often a fact that goes on to hold is told again.
const factAgain = int64(6 * time.Hour)

// Fact is a role of a server, as a sensor saw it. It is told to the partition of
// the server.
type Fact struct {
	Server netip.Addr      `json:"server"`
	Zone   string          `json:"zone"`
	Role   string          `json:"role"`
	Grade  inventory.Grade `json:"grade"`
	Sensor string          `json:"sensor"`
	Why    string          `json:"why,omitempty"`
	Time   int64           `json:"time"` // nanoseconds since the epoch
}

// factKey is what makes it another fact.
type factKey struct {
	server netip.Addr
	role   inventory.Roles
	grade  inventory.Grade
	sensor string
}

// Key is that of the fact in a compacted topic: a later one of the same server,
// role and sensor takes its place.
func (f *Fact) Key() []byte { return fmt.Appendf(nil, "%v|%s|%s", f.Server, f.Role, f.Sensor) }

// Append appends the fact as JSON.
func (f *Fact) Append(b []byte) []byte { return append(b, encode(f)...) }

// MaxFact is the most bytes of a fact that is read.
const MaxFact = 16 << 10

// ParseFact reads what Append wrote.
func ParseFact(b []byte, f *Fact) error {
	if len(b) > MaxFact {
		return fmt.Errorf("a fact of %d bytes is longer than %d", len(b), MaxFact)
	}
	*f = Fact{}
	if err := json.Unmarshal(b, f); err != nil {
		return fmt.Errorf("fact: %w", err)
	}
	if !f.Server.IsValid() || f.Zone == "" || f.Role != inventory.KMS.String() && f.Role != inventory.DomainController.String() {
		return errors.New("fact: no server, zone or role that is known")
	}
	f.Server = f.Server.Unmap().WithZone("")
	return nil
}

// Hosts is the state of one partition of facts. The topic itself is what it is
// loaded from: what was handled once is given to Handle again, without alerts. It
// is for one goroutine.
type Hosts struct {
	fleet *Fleet
	by    *alerts.Recent[netip.Addr, host]
}

// DefaultHosts is the bound of the servers that are remembered.
const DefaultHosts = 1 << 16

type host struct {
	facts []Fact
	told  []told
}

// maxFacts bounds those of a server.
const maxFacts = 64

// NewHosts makes one of at most bound servers; 0 is DefaultHosts.
func NewHosts(f *Fleet, bound int) *Hosts {
	if bound <= 0 {
		bound = DefaultHosts
	}
	return &Hosts{fleet: f, by: alerts.NewRecent[netip.Addr, host](bound)}
}

// Handle takes a fact. With quiet set it is one that was judged before: nothing
// is raised.
func (p *Hosts) Handle(f *Fact, quiet bool) {
	h, _ := p.by.Put(f.Server)
	same := func(o Fact) bool { return o.Role == f.Role && o.Sensor == f.Sensor }
	if i := slices.IndexFunc(h.facts, same); i >= 0 {
		if h.facts[i].Time > f.Time {
			return
		}
		h.facts = slices.Delete(h.facts, i, i+1)
	}
	h.facts = append(h.facts, *f)
	h.facts = h.facts[max(0, len(h.facts)-maxFacts):]
	rule := p.fleet.rules[kmsOnDomainController]
	within := uint64(rule.option("within").(time.Duration))
	var kms, dc []*Fact
	both := make(map[string]inventory.Roles)
	first, last := f.Time, f.Time
	for i := range h.facts {
		o := &h.facts[i]
		if apart(o.Time, f.Time) > within {
			continue
		}
		first, last = min(first, o.Time), max(last, o.Time)
		if o.Role == inventory.KMS.String() {
			kms = append(kms, o)
			both[o.Sensor] |= inventory.KMS
		} else {
			dc = append(dc, o)
			both[o.Sensor] |= inventory.DomainController
		}
	}
	if len(kms) == 0 || len(dc) == 0 {
		return
	}
	for _, roles := range both {
		if roles.Has(inventory.KMS | inventory.DomainController) {
			return // that sensor knows by itself
		}
	}
	server := party(flow.End{Addr: f.Server, Zone: f.Zone})
	x := finding{
		by: alerts.ServerAlone, rule: rule, key: []string{server.Addr.String()}, severity: alerts.Medium,
		client: alerts.Party{Zone: &zone.Zone{Name: zone.Unknown}}, server: server,
		first: first, last: last, count: len(kms) + len(dc), servers: []alerts.Party{server},
	}
	if best(kms) >= inventory.Confirmed && best(dc) >= inventory.Confirmed {
		x.severity = alerts.High
	}
	x.say.Say("%v serves KMS, as %s saw, and acts as a domain controller, as %s saw", server, kms[0].Sensor, dc[0].Sensor)
	x.say.Add("host", server.Addr)
	x.say.Add("kms_evidence", evidence(kms))
	x.say.Add("domain_controller_evidence", evidence(dc))
	out := p.fleet
	if quiet {
		silent := *out
		silent.out = func(*alerts.Alert) {}
		out = &silent
	}
	h.told = out.raise(h.told, f.Time, &x)
}

func best(facts []*Fact) (g inventory.Grade) {
	for _, f := range facts {
		g = max(g, f.Grade)
	}
	return g
}

// evidence says who saw what.
func evidence(facts []*Fact) (out []string) {
	for _, f := range facts {
		out = append(out, fmt.Sprintf("%s: %s (%v)", f.Sensor, f.Why, f.Grade))
	}
	slices.Sort(out)
	return out
}

// Len gives the number of servers that are remembered.
func (p *Hosts) Len() int { return p.by.Len() }
