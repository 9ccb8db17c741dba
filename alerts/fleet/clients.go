package fleet

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"kmswatch/alerts"
	"kmswatch/alerts/flow"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// DefaultClients is the bound of the clients that are remembered.
const DefaultClients = 1 << 18

// Bounds of what is remembered of a client.
const (
	maxSightings = 32
	maxBinds     = 128
	maxSensors   = 16
	maxNamed     = 16 // addresses of an answer
	maxTold      = 64
)

// noInterface is that of findings which are of none.
var noInterface dcerpc.UUID

// Clients is the state of one partition: what the clients did of which its
// records tell. It is for one goroutine.
type Clients struct {
	fleet   *Fleet
	by      *alerts.Recent[netip.Addr, client]
	bound   int
	changed map[netip.Addr]struct{}
	facts   *alerts.Recent[factKey, int64] // times at which they were told last
	clock   int64                          // the latest time of a record
}

// client is what one client did of late.
type client struct {
	Next      int64      `json:"o"` // offset behind the last record that this holds
	Last      int64      `json:"t"` // the latest time of a record
	Lookups   []sighting `json:"l,omitempty"`
	Exchanges []sighting `json:"x,omitempty"`
	Binds     []bind     `json:"b,omitempty"`
	Told      []told     `json:"a,omitempty"`
}

// sighting is a lookup or an exchange that a sensor saw, the last of its kind
// with that server.
type sighting struct {
	Sensor  string       `json:"s"`
	Time    int64        `json:"t"`
	Server  netip.Addr   `json:"d"`
	Port    uint16       `json:"p,omitempty"`
	Zone    string       `json:"z"`
	Name    string       `json:"n,omitempty"` // that was looked up
	Answers []netip.Addr `json:"a,omitempty"` // that DNS named
}

// bind is a server at which the client bound without a name.
type bind struct {
	Server  netip.Addr `json:"d"`
	Port    uint16     `json:"p,omitempty"`
	Zone    string     `json:"z"`
	Time    int64      `json:"t"`
	Sensors []string   `json:"s"`
	What    string     `json:"i"` // interface
}

// NewClients makes the state of a partition, of at most bound clients; 0 is
// DefaultClients.
func NewClients(f *Fleet, bound int) *Clients {
	if bound <= 0 {
		bound = DefaultClients
	}
	return &Clients{
		fleet: f, bound: bound, by: alerts.NewRecent[netip.Addr, client](bound),
		changed: make(map[netip.Addr]struct{}), facts: alerts.NewRecent[factKey, int64](4096),
	}
}

// Entry is a change of state, as a compacted topic takes it. Without a value the
// key is over.
type Entry struct{ Key, Value []byte }

// Load takes an entry that Changed gave. End is the offset behind the last record
// that there is: what claims to hold later ones is of a topic that is gone.
func (p *Clients) Load(e Entry, end int64) error {
	a, err := netip.ParseAddr(string(e.Key))
	if err != nil {
		return fmt.Errorf("state of a client: key %q: %w", e.Key, err)
	}
	if len(e.Value) == 0 {
		p.by.Delete(a)
		return nil
	}
	var c client
	if err := json.Unmarshal(e.Value, &c); err != nil {
		return fmt.Errorf("state of the client %v: %w", a, err)
	}
	c.cut()
	if c.Next > end {
		c.Next = 0
	}
	if was := p.by.Peek(a); was != nil && was.Next > c.Next {
		// Who had the partition before wrote it late: what is newer takes its place.
		p.changed[a] = struct{}{}
		return nil
	}
	p.clock = max(p.clock, c.Last)
	v, _ := p.by.Put(a)
	*v = c
	return nil
}

// cut keeps the bounds of what is remembered: the oldest of each goes first.
func (c *client) cut() {
	c.Lookups = c.Lookups[max(0, len(c.Lookups)-maxSightings):]
	c.Exchanges = c.Exchanges[max(0, len(c.Exchanges)-maxSightings):]
	c.Binds = c.Binds[max(0, len(c.Binds)-maxBinds):]
	c.Told = c.Told[max(0, len(c.Told)-maxTold):]
}

// Handle takes the record at an offset. It gives what it tells of its server's
// roles that was not told lately.
func (p *Clients) Handle(offset int64, r *flow.Record) []Fact {
	a := r.Client.Addr
	c := p.by.Get(a)
	if c == nil {
		if p.by.Len() == p.bound {
			oldest, _ := p.by.Oldest()
			p.by.Delete(oldest)
			p.changed[oldest] = struct{}{}
		}
		c, _ = p.by.Put(a)
	}
	if offset < c.Next {
		return nil // a record that comes again
	}
	p.changed[a] = struct{}{}
	p.clock = max(p.clock, r.Last)
	c.Next, c.Last = offset+1, max(c.Last, r.Last)
	switch {
	case r.Kind == flow.SRVLookup && r.Outcome == decode.Answered && isKMSName(r.Name):
		s := sighting{Sensor: r.Sensor, Time: r.Last, Server: r.Server.Addr, Port: r.Server.Port, Zone: r.Server.Zone, Name: r.Name, Answers: r.Addresses()}
		s.Answers = s.Answers[:min(len(s.Answers), maxNamed)]
		c.Lookups = see(c.Lookups, s)
		p.fleet.split(c, r)
	case r.Kind == flow.KMSExchange && (r.Outcome == decode.Answered || r.Outcome == decode.Refused):
		c.Exchanges = see(c.Exchanges, sighting{Sensor: r.Sensor, Time: r.Last, Server: r.Server.Addr, Port: r.Server.Port, Zone: r.Server.Zone})
		p.fleet.split(c, r)
	case r.Kind == flow.Association && r.Outcome == decode.Accepted && (r.Caller.Kind == "anonymous" || r.Caller.Kind == "guest"):
		p.fleet.spread(c, r)
	}
	c.cut()
	return p.factsOf(r)
}

// see puts a sighting last, in place of one of the same sensor and server.
func see(all []sighting, s sighting) []sighting {
	all = slices.DeleteFunc(all, func(o sighting) bool { return o.Sensor == s.Sensor && o.Server == s.Server })
	return append(all, s)
}

// isKMSName tells a name that KMS clients look up.
func isKMSName(name string) bool { return strings.HasPrefix(name, "_vlmcs._tcp") }

// factsOf gives the roles of a record's server that nobody was told of for a
// while.
func (p *Clients) factsOf(r *flow.Record) (facts []Fact) {
	for _, o := range r.Roles {
		if o.Role != inventory.KMS && o.Role != inventory.DomainController {
			continue
		}
		k := factKey{r.Server.Addr, o.Role, o.Grade, r.Sensor}
		t, added := p.facts.Put(k)
		if !added && apart(*t, r.Last) < uint64(factAgain) {
			continue
		}
		*t = r.Last
		facts = append(facts, Fact{Server: r.Server.Addr, Zone: r.Server.Zone, Role: o.Role.String(), Grade: o.Grade, Sensor: r.Sensor, Why: o.Why, Time: r.Last})
	}
	return facts
}

// Changed gives the state that changed since it was asked last, and forgets
// clients that did nothing for so long that no rule looks back so far.
func (p *Clients) Changed() (out []Entry) {
	for {
		a, c := p.by.Oldest()
		if c == nil || p.clock-c.Last <= p.fleet.memory() {
			break
		}
		p.by.Delete(a)
		p.changed[a] = struct{}{}
	}
	keys := make([]netip.Addr, 0, len(p.changed))
	for a := range p.changed {
		keys = append(keys, a)
	}
	slices.SortFunc(keys, netip.Addr.Compare)
	for _, a := range keys {
		e := Entry{Key: []byte(a.String())}
		if c := p.by.Peek(a); c != nil {
			e.Value = encode(c)
		}
		out = append(out, e)
	}
	clear(p.changed)
	return out
}

// encode gives state as JSON.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of numbers, texts and addresses
	}
	return b
}

// Len gives the number of clients that are remembered.
func (p *Clients) Len() int { return p.by.Len() }
