package alerts

import (
	"net/netip"
	"time"

	"kmswatch/alerts/inventory"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// Context is what a rule sees beside the event. It is borrowed until Evaluate
// returns.
type Context struct {
	Client    Party // of the event's flow
	Server    Party // likewise
	Zones     *zone.Table
	Inventory *inventory.Inventory

	eval  *Evaluator
	rule  *active
	head  *decode.Head
	event decode.Event
}

// Party is one end of a flow with its zone.
type Party struct {
	Addr netip.Addr
	Port uint16
	Zone *zone.Zone // never nil
}

// String is the address with the name of its zone: 192.0.2.7 (dmz).
func (p Party) String() string {
	if !p.Addr.IsValid() {
		return "an unknown address"
	}
	return p.Addr.String() + " (" + p.Zone.Name + ")"
}

// Crosses says that client and server are in different zones.
func (c *Context) Crosses() bool { return c.Client.Zone != c.Server.Zone }

// Climbs says that the client's zone is trusted less than the server's.
func (c *Context) Climbs() bool { return c.Client.Zone.Climbs(c.Server.Zone) }

// Now is the time of the event's frame, nanoseconds since the epoch. It may
// step back.
func (c *Context) Now() int64 { return c.head.Time }

// Party names an address other than the flow's own, such as one that a DNS
// answer gives, with its zone.
func (c *Context) Party(a netip.Addr) Party { return Party{Addr: a, Zone: c.Zones.Lookup(a)} }

// Raise raises an alert, or counts the event as a repeat of one that stands. It
// gives the Finding to describe, or nil if there is nothing to say: the event is
// a repeat that is no worse, or is excepted. So what describes a finding is
// built only when somebody will read it:
//
//	if f := c.Raise(alerts.Fold{}); f != nil {
//		f.Say("%v activates at the KMS host %v", c.Client, c.Server)
//		f.Add("kms_version", 6)
//	}
//
// The Finding is borrowed until Evaluate returns or raises again.
func (c *Context) Raise(f Fold) *Finding { return c.eval.raise(c, f) }

// Excepts says whether the rule's exceptions let that interface pass between
// the parties of the event; for rules that look at interfaces before they
// raise. Raise asks for Fold.Interface itself.
func (c *Context) Excepts(i dcerpc.UUID) bool { return c.rule.excepts(c, i) }

// Bool gives an option of the rule that asks. Like its siblings below it panics
// if the rule has no such option, or of another type: the rule's own mistake,
// that its first test shows.
func (c *Context) Bool(option string) bool { return c.rule.option(option).bool }

// Int gives an option of the rule.
func (c *Context) Int(option string) int { return c.rule.option(option).int }

// Duration gives an option of the rule.
func (c *Context) Duration(option string) time.Duration { return c.rule.option(option).duration }

// Strings gives an option of the rule: a []string, or the one string.
func (c *Context) Strings(option string) []string { return c.rule.option(option).strings }

// Lists says whether an option of the type Interfaces lists that interface.
func (c *Context) Lists(option string, i dcerpc.UUID) bool {
	for _, u := range c.rule.option(option).interfaces {
		if u == i {
			return true
		}
	}
	return false
}
