package alerts

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"kmswatch/alerts/inventory"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
)

// Defaults of Config.
const (
	DefaultWindow = time.Hour
	DefaultAlerts = 65536
)

// Config is what an Evaluator is made of.
type Config struct {
	Rules     []Rule
	Settings  map[string]Settings  // by the rule's id
	Zones     *zone.Table          // nil is zone.Default
	Inventory *inventory.Inventory // nil is an empty one
	Window    time.Duration        // in which repeats are folded, packet time; 0 is DefaultWindow
	Alerts    int                  // bound of the alerts that stand at a time; 0 is DefaultAlerts
	Sensor    string               // name of this sensor; may be empty
	File      func(int32) string   // name of a capture file, by decode.Position.File; nil if there are none
	Out       func(*Alert)         // is given every alert, borrowed until it returns
}

func (c *Config) setDefaults() {
	if c.Zones == nil {
		c.Zones = zone.Default()
	}
	if c.Inventory == nil {
		c.Inventory = inventory.New(inventory.Config{})
	}
	if c.Window <= 0 {
		c.Window = DefaultWindow
	}
	if c.Alerts <= 0 {
		c.Alerts = DefaultAlerts
	}
	if c.Out == nil {
		c.Out = func(*Alert) {}
	}
}

// Exception is traffic that a rule lets pass. All that is given must match;
// what is empty matches all. A finding without an interface matches no
// exception that names interfaces.
type Exception struct {
	ClientZone string
	ServerZone string
	Clients    []netip.Prefix
	Servers    []netip.Prefix
	Interfaces []dcerpc.UUID
}

// Matches says whether traffic is excepted; i is the zero UUID where there is no
// interface.
func (x *Exception) Matches(client, server *Party, i dcerpc.UUID) bool {
	return (x.ClientZone == "" || x.ClientZone == client.Zone.Name) &&
		(x.ServerZone == "" || x.ServerZone == server.Zone.Name) &&
		(len(x.Clients) == 0 || within(x.Clients, client.Addr)) &&
		(len(x.Servers) == 0 || within(x.Servers, server.Addr)) &&
		(len(x.Interfaces) == 0 || slices.Contains(x.Interfaces, i))
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Stats counts what an Evaluator did. All but Standing only grow.
type Stats struct {
	Events   uint64 // handled
	Raised   uint64 // alerts
	Repeats  uint64 // folded into an alert that stood
	Excepted uint64 // findings that an exception let pass
	Evicted  uint64 // alerts that made room for others before their window ended
	Standing int    // alerts whose window has not ended
}

// Evaluator asks the rules about every event and folds what they raise. It is
// for one goroutine.
type Evaluator struct {
	config  Config
	rules   []active
	by      [kinds][]*active
	context Context
	table   table
	pending *standing // raised, and being described
	bound   bound
	lost    int64 // time at which frames were lost last, nanoseconds since the epoch; 0 iff never
	stats   Stats
}

// active is a rule with its settings.
type active struct {
	rule       Rule
	info       Info
	window     int64 // nanoseconds
	move       int   // from the rule's own severity to that of the settings
	options    []option
	exceptions []Exception
}

// option is an option's value; the field of its type is valid.
type option struct {
	name       string
	bool       bool
	int        int
	duration   time.Duration
	strings    []string
	interfaces []dcerpc.UUID
}

// New makes an evaluator. Its error joins all that is wrong with the settings.
func New(c Config) (*Evaluator, error) {
	c.setDefaults()
	v := &Evaluator{config: c, table: newTable(c.Alerts)}
	rules, err := activateAll(&c)
	if err != nil {
		return nil, err
	}
	v.use(rules)
	return v, nil
}

// use makes rules those that are asked.
func (v *Evaluator) use(rules []active) {
	v.rules, v.by = rules, [kinds][]*active{}
	for i := range v.rules {
		for _, k := range v.rules[i].info.Kinds {
			v.by[k] = append(v.by[k], &v.rules[i])
		}
	}
	v.context = Context{Zones: v.config.Zones, Inventory: v.config.Inventory, eval: v}
}

// activateAll joins the rules that are not disabled with their settings.
func activateAll(c *Config) (rules []active, err error) {
	var errs []error
	known := make(map[string]bool)
	for _, rule := range c.Rules {
		info := rule.Info()
		if known[info.ID] {
			errs = append(errs, fmt.Errorf("rule %s is given twice", info.ID))
			continue
		}
		known[info.ID] = true
		a, err := activate(rule, info, c.Settings[info.ID], c.Window)
		if err != nil {
			errs = append(errs, fmt.Errorf("rule %s: %w", info.ID, err))
		} else if !c.Settings[info.ID].Disabled {
			rules = append(rules, a)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Settings)) {
		if !known[id] {
			errs = append(errs, fmt.Errorf("unknown rule %s", id))
		}
	}
	return rules, errors.Join(errs...)
}

// activate joins a rule with its settings.
func activate(rule Rule, info Info, s Settings, window time.Duration) (active, error) {
	if s.Window > 0 {
		window = s.Window
	}
	a := active{rule: rule, info: info, window: int64(window), exceptions: s.Exceptions}
	if s.Severity != 0 {
		a.move = int(s.Severity) - int(info.Severity)
		a.info.Severity = s.Severity
	}
	for _, name := range slices.Sorted(maps.Keys(s.Options)) {
		if !slices.ContainsFunc(info.Options, func(o Option) bool { return o.Name == name }) {
			return a, fmt.Errorf("unknown option %s", name)
		}
	}
	for _, o := range info.Options {
		given := o.Default
		if x, ok := s.Options[o.Name]; ok {
			if reflect.TypeOf(x) != reflect.TypeOf(given) {
				return a, fmt.Errorf("option %s is of type %T, not %T", o.Name, given, x)
			}
			given = x
		}
		p := option{name: o.Name}
		switch x := given.(type) {
		case bool:
			p.bool = x
		case int:
			p.int = x
		case time.Duration:
			p.duration = x
		case string:
			p.strings = []string{x}
		case []string:
			p.strings = x
		case Interfaces:
			for _, s := range x {
				u, err := parseInterface(s)
				if err != nil {
					return a, fmt.Errorf("option %s: %w", o.Name, err)
				}
				p.interfaces = append(p.interfaces, u...)
			}
		default:
			return a, fmt.Errorf("option %s has the type %T, which no option has", o.Name, given)
		}
		a.options = append(a.options, p)
	}
	return a, nil
}

// parseInterface reads the UUID or the name of an interface; a name may be that
// of several.
func parseInterface(s string) ([]dcerpc.UUID, error) {
	if u, ok := dcerpc.ParseUUID(s); ok {
		return []dcerpc.UUID{u}, nil
	}
	if u := dcerpc.InterfaceByName(s); len(u) > 0 {
		return u, nil
	}
	return nil, fmt.Errorf("unknown interface %q", s)
}

func (a *active) option(name string) *option {
	for i := range a.options {
		if a.options[i].name == name {
			return &a.options[i]
		}
	}
	panic("alerts: rule " + a.info.ID + " has no option " + name)
}

func (a *active) excepts(c *Context, i dcerpc.UUID) bool {
	for n := range a.exceptions {
		if a.exceptions[n].Matches(&c.Client, &c.Server, i) {
			return true
		}
	}
	return false
}

// severity grades a finding: the rule's own grade if it gives none, moved as
// the settings say.
func (a *active) severity(s Severity) Severity {
	if s == 0 {
		return a.info.Severity
	}
	return Severity(min(max(int(s)+a.move, int(Informational)), int(Critical)))
}

// Rules gives the rules that are not disabled, with the severities of the
// settings, in the order given to New.
func (v *Evaluator) Rules() []Info {
	infos := make([]Info, len(v.rules))
	for i := range v.rules {
		infos[i] = v.rules[i].info
	}
	return infos
}

// Inventory gives the table of hosts that the evaluator teaches.
func (v *Evaluator) Inventory() *inventory.Inventory { return v.config.Inventory }

// Stats gives the counters.
func (v *Evaluator) Stats() Stats {
	s := v.stats
	s.Standing = v.table.len()
	return s
}

// Handle asks the rules about an event. It keeps nothing of it.
func (v *Evaluator) Handle(e decode.Event) {
	v.stats.Events++
	h := e.Head()
	v.Advance(h.Time)
	if l, ok := e.(*decode.Loss); ok && l.Dropped > 0 {
		v.lost = h.Time
	}
	v.config.Inventory.Observe(e)
	if b, ok := e.(*decode.Bind); ok {
		v.bound.note(b)
	}
	k := e.Kind()
	if int(k) >= len(v.by) || len(v.by[k]) == 0 {
		return
	}
	c := &v.context
	c.Client = Party{h.Flow.Client.Addr, h.Flow.Client.Port, v.config.Zones.Lookup(h.Flow.Client.Addr)}
	c.Server = Party{h.Flow.Server.Addr, h.Flow.Server.Port, v.config.Zones.Lookup(h.Flow.Server.Addr)}
	c.head, c.event = h, e
	for _, r := range v.by[k] {
		c.rule = r
		r.rule.Evaluate(c, e)
		v.tell()
	}
	c.head, c.event, c.rule = nil, nil, nil
}

// Advance ends the alerts whose window has ended at that time, nanoseconds since
// the epoch: events say what time it is, and this where there are none.
func (v *Evaluator) Advance(now int64) {
	for v.table.due(now) {
		v.end(v.table.soonest())
	}
}

// Close ends all alerts. The evaluator may go on to be used.
func (v *Evaluator) Close() {
	for v.table.len() > 0 {
		v.end(v.table.soonest())
	}
}

// raise finds or makes the alert of a finding. It gives the finding if it is
// to be described.
func (v *Evaluator) raise(c *Context, f Fold) *Finding {
	v.tell()
	r := c.rule
	if r.excepts(c, f.Interface) {
		v.stats.Excepted++
		return nil
	}
	k := r.key(c, &f)
	severity := r.severity(f.Severity)
	a := v.table.find(&k)
	switch {
	case a == nil:
		v.stats.Raised++
		if v.table.full() {
			v.stats.Evicted++
			v.end(v.table.soonest())
		}
		a = v.stand(c, &k)
		a.By = f.By
	case severity > a.Severity:
		v.stats.Repeats++
		a.Stage = Worse
		a.Finding = Finding{}
	default:
		v.stats.Repeats++
		v.count(c, a, f.Earlier)
		return nil
	}
	a.Severity = severity
	a.Client, a.Server = c.Client, c.Server
	a.Flow, a.Caller, a.Event = c.head.Flow, caller(c.event), c.event.Kind()
	v.count(c, a, f.Earlier)
	v.pending = a
	return &a.Finding
}

// stand makes an alert and puts it into the table.
func (v *Evaluator) stand(c *Context, k *key) *standing {
	k.what = strings.Clone(k.what)
	start := floor(c.head.Time, c.rule.window)
	a := &standing{key: *k, end: start + c.rule.window}
	a.Alert = Alert{
		ID:     k.id(start),
		Rule:   &c.rule.info,
		First:  c.head.Time,
		Last:   c.head.Time,
		Window: start,
		Frames: make([]Frame, 0, maxFrames),
		Sensor: v.config.Sensor,
	}
	v.table.add(a)
	return a
}

// count counts an event to an alert.
func (v *Evaluator) count(c *Context, a *standing, earlier decode.Position) {
	h := c.head
	a.Count++
	a.First = min(a.First, h.Time)
	a.Last = max(a.Last, h.Time)
	a.Quality |= h.Flow.Quality
	if v.lost != 0 && h.Flow.Start <= v.lost+aroundLoss && h.Flow.ID != 0 {
		a.Quality |= decode.FramesDropped
	}
	a.Clients.add(h.Flow.Client.Addr)
	a.Servers.add(h.Flow.Server.Addr)
	if len(a.Frames) < maxFrames {
		v.frame(a, earlier)
		v.frame(a, asked(c.event))
		v.frame(a, h.At)
	}
}

// aroundLoss is how long after a loss a flow may begin to have lost its first
// frames to it.
const aroundLoss = int64(time.Second)

// frame adds a frame to those that an alert stands on.
func (v *Evaluator) frame(a *standing, p decode.Position) {
	if p.Frame == 0 || len(a.Frames) == maxFrames {
		return
	}
	f := Frame{Number: p.Frame}
	if v.config.File != nil {
		f.File = v.config.File(p.File)
	}
	if !slices.Contains(a.Frames, f) {
		a.Frames = append(a.Frames, f)
	}
}

// asked gives the frame of the request of an event that has two.
func asked(e decode.Event) decode.Position {
	switch e := e.(type) {
	case *decode.Bind:
		return e.Request
	case *decode.Call:
		return e.Request
	case *decode.KMSExchange:
		return e.Ask
	case *decode.SRVLookup:
		return e.Ask
	case *decode.DNSUpdate:
		return e.Ask
	case *decode.Anomaly:
		return e.Ask
	case *decode.Auth:
		return e.Ask
	case *decode.Session:
		return e.Ask
	case *decode.TreeConnect:
		return e.Ask
	case *decode.PipeOpen:
		return e.Ask
	case *decode.LDAPBind:
		return e.Ask
	case *decode.LDAPSearch:
		return e.Ask
	case *decode.KerberosReply:
		return e.Ask
	}
	return decode.Position{}
}

// caller gives who asked, nil for an event of which that is not known.
func caller(e decode.Event) *auth.Caller {
	switch e := e.(type) {
	case *decode.Bind:
		return e.Caller
	case *decode.Call:
		return e.Caller
	case *decode.KMSExchange:
		return e.Caller
	case *decode.Auth:
		return e.Caller
	case *decode.Session:
		return e.Caller
	case *decode.TreeConnect:
		return e.Caller
	case *decode.PipeOpen:
		return e.Caller
	case *decode.LDAPBind:
		return e.Caller
	case *decode.LDAPSearch:
		return e.Caller
	}
	return nil
}

// tell gives out the alert that was being described.
func (v *Evaluator) tell() {
	if a := v.pending; a != nil {
		v.pending = nil
		a.told = a.Count
		v.config.Out(&a.Alert)
	}
}

// end gives out an alert for the last time.
func (v *Evaluator) end(a *standing) {
	v.table.remove(a)
	a.Stage = Ended
	a.Stale = a.Count == a.told
	v.config.Out(&a.Alert)
}
