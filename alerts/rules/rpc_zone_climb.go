package rules

import (
	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// ZoneClimb is the id of the rule to whose exceptions the policy of a
// configuration, RPC that is allowed between two zones, belongs.
const ZoneClimb = "rpc-zone-climb"

// rpcZoneClimb finds accepted interfaces that climb, and of connectionless RPC,
// which has no binds, answered calls. What policy allows between two zones is
// among its exceptions.
type rpcZoneClimb struct{}

func (rpcZoneClimb) Info() alerts.Info {
	return alerts.Info{
		ID:       ZoneClimb,
		Title:    "RPC interface reached from a less trusted zone",
		Severity: alerts.Medium,
		Why: "A zone that is trusted less uses an MS-RPC service in one that is trusted more. " +
			"RPC services are many, run with high privileges and have a history of exploited flaws.",
		Mitigation: "Close RPC between the zones, the endpoint mapper and the dynamic ports above all. " +
			"Where a service is needed across, restrict it by RPC filters and by firewall rules to the hosts that need it, and allow it in the policy.",
		Techniques: []alerts.Technique{exploitRemoteService},
		Kinds:      []decode.Kind{decode.KindBind, decode.KindCall},
		Options: []alerts.Option{
			{Name: "allow", What: "Interfaces that any zone may use; KMS has rules of its own.", Default: alerts.Interfaces{"kms"}},
		},
	}
}

func (rpcZoneClimb) Evaluate(c *alerts.Context, e decode.Event) {
	if x, ok := e.(*decode.Call); ok {
		climbsByCall(c, x)
		return
	}
	b := e.(*decode.Bind)
	if b.Outcome != decode.Accepted || !c.Climbs() {
		return
	}
	for i := range b.Contexts {
		u := b.Contexts[i].Abstract.UUID
		if !taken(&b.Contexts[i]) || takenBefore(b.Contexts, i) || c.Lists("allow", u) {
			continue
		}
		if f := c.Raise(alerts.Fold{By: alerts.ByServer, Interface: u}); f != nil {
			f.Say("%v bound %s at %v, which is in a more trusted zone", c.Client, interfaceName(u), c.Server)
			bindFacts(f, c, b, &b.Contexts[i])
			f.Add("client_trust", c.Client.Zone.Trust)
			f.Add("server_trust", c.Server.Zone.Trust)
		}
	}
}

// climbsByCall is Evaluate for a call.
func climbsByCall(c *alerts.Context, x *decode.Call) {
	u := x.Interface.UUID
	if x.Transport != decode.TransportUDP || x.Outcome != decode.Answered || !c.Climbs() || c.Lists("allow", u) {
		return
	}
	if f := c.Raise(alerts.Fold{By: alerts.ByServer, Interface: u}); f != nil {
		f.Say("%v called %s at %v, which is in a more trusted zone", c.Client, interfaceName(u), c.Server)
		interfaceFacts(f, x.Interface)
		f.Add("outcome", x.Outcome)
		authFacts(f, &x.Auth)
		associationFacts(f, c, &x.Association)
		f.Add("client_trust", c.Client.Zone.Trust)
		f.Add("server_trust", c.Server.Zone.Trust)
	}
}

// taken says whether the server accepted a presentation context.
func taken(x *dcerpc.ContextItem) bool { return x.Answered && x.Result == dcerpc.Acceptance }

// takenBefore says whether a context before has the same interface and was
// taken: a client may offer one interface in a context for each syntax.
func takenBefore(contexts []dcerpc.ContextItem, i int) bool {
	for n := range contexts[:i] {
		if taken(&contexts[n]) && contexts[n].Abstract.UUID == contexts[i].Abstract.UUID {
			return true
		}
	}
	return false
}

// bindFacts adds what a bind says of one of its contexts.
func bindFacts(f *alerts.Finding, c *alerts.Context, b *decode.Bind, x *dcerpc.ContextItem) {
	interfaceFacts(f, x.Abstract)
	f.Add("outcome", b.Outcome)
	if b.Outcome == decode.Nak {
		f.Add("nak_reason", dcerpc.NakReasonName(b.NakReason))
	}
	authFacts(f, &b.Auth)
	associationFacts(f, c, &b.Association)
}

// authFacts adds what a verifier says.
func authFacts(f *alerts.Finding, v *dcerpc.Auth) {
	if v.Present {
		f.Add("auth_type", v.Type)
		f.Add("auth_level", v.Level)
	} else {
		f.Add("auth_type", "none")
	}
}
