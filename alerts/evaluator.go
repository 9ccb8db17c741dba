package alerts

import (
	"net/netip"
	"time"

	"kmswatch/alerts/inventory"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// Config is what an Evaluator is made of.
type Config struct {
	Rules     []Rule
	Settings  map[string]Settings // by the rule's id
	Zones     *zone.Table         // nil is zone.Default
	Inventory *inventory.Inventory
	Window    time.Duration // in which repeats are folded, packet time; 0 is DefaultWindow
	Alerts    int           // bound of the alerts that stand at a time; 0 is DefaultAlerts
	Sensor    string        // name of this sensor; may be empty
	File      func(int32) string
	Out       func(*Alert) // is given every alert, borrowed until it returns
}

// Exception is traffic that a rule lets pass. All that is given must match;
// what is empty matches all.
type Exception struct {
	ClientZone string
	ServerZone string
	Clients    []netip.Prefix
	Servers    []netip.Prefix
	Interfaces []dcerpc.UUID
}

// Evaluator asks the rules about every event and folds what they raise.
type Evaluator struct{}

type active struct{}

type value struct {
	bool       bool
	int        int
	duration   time.Duration
	strings    []string
	interfaces []dcerpc.UUID
}

func (*active) option(string) *value               { return nil }
func (*active) excepts(*Context, dcerpc.UUID) bool { return false }
func (*Evaluator) raise(*Context, Fold) *Finding   { return nil }

// New makes an evaluator.
func New(c Config) (*Evaluator, error) { return &Evaluator{}, nil }

// Handle asks the rules about an event.
func (v *Evaluator) Handle(e decode.Event) {}

// Close ends all alerts.
func (v *Evaluator) Close() {}

func plain(v any) any { return v }
