package rules

import (
	"fmt"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// mgmt is the remote management interface, which every RPC server answers on
// every endpoint (C706 appendix Q): it lists the other interfaces.
var mgmt = dcerpc.MustUUID("afa8bd80-7d8a-11c9-bef4-08002b102989")

// kmsForeignInterface finds binds to other interfaces than KMS on a KMS port,
// and on any port of a KMS host from another zone. KMS clients bind nothing
// else: bind-time features are a transfer syntax of the same interface. What
// the host accepted is worse than what it rejected or left unanswered, and mgmt
// is looking around only; within a zone, port 1688 of a host that is not known to
// serve KMS may be a dynamic port of another service.
type kmsForeignInterface struct{}

func (kmsForeignInterface) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-foreign-interface",
		Title:    "Another RPC interface where only KMS belongs",
		Severity: alerts.Medium,
		Why: "A path that was opened for KMS is used for another RPC service. " +
			"Firewalls that pass the KMS port cannot tell, and the host's other services were not meant to be reached from there.",
		Mitigation: "Let a host that serves KMS serve nothing else, and close all its ports but that of KMS to other zones. " +
			"Find out what on the client made the bind.",
		Techniques: []alerts.Technique{
			networkServiceDiscovery,
			exploitRemoteService,
		},
		Kinds: []decode.Kind{decode.KindBind},
		Options: []alerts.Option{
			{Name: "exempt", What: "Interfaces that may be bound there as well.", Default: alerts.Interfaces{}},
		},
	}
}

func (kmsForeignInterface) Evaluate(c *alerts.Context, e decode.Event) {
	b := e.(*decode.Bind)
	onPort := c.Inventory.IsKMSPort(c.Server.Addr, c.Server.Port)
	host := c.Inventory.Roles(c.Server.Addr).Has(inventory.KMS)
	if !onPort && !(host && c.Crosses()) {
		return
	}
	for i := 0; i < len(b.Contexts); {
		// One interface mostly has several contexts side by side, one for each
		// transfer syntax, of which the server takes one.
		x := &b.Contexts[i]
		u := x.Abstract.UUID
		answered, accepted := false, false
		for ; i < len(b.Contexts) && b.Contexts[i].Abstract.UUID == u; i++ {
			answered = answered || b.Contexts[i].Answered
			accepted = accepted || b.Contexts[i].Answered && b.Contexts[i].Result == dcerpc.Acceptance
		}
		accepted = accepted && b.Outcome == decode.Accepted
		if u == dcerpc.KMS || c.Lists("exempt", u) || c.Excepts(u) {
			continue
		}
		severity := alerts.Low
		if accepted && u != mgmt && (host || c.Crosses()) {
			severity = alerts.Medium
		}
		fold := alerts.Fold{By: alerts.ByServer, Severity: severity, Interface: u}
		name, named := dcerpc.LookupInterface(u)
		if !named {
			// Whoever makes up interfaces makes one alert of them.
			name = "interface " + u.String()
			fold.Interface, fold.Key = dcerpc.UUID{}, "unnamed"
		}
		f := c.Raise(fold)
		if f == nil {
			continue
		}
		where := fmt.Sprintf("port %d of the KMS host %v", c.Server.Port, c.Server)
		if onPort {
			where = fmt.Sprintf("the KMS port %d of %v", c.Server.Port, c.Server)
		}
		outcome, result := b.Outcome, "no answer was seen"
		switch {
		case accepted:
			result = "it was accepted"
		case answered:
			outcome, result = decode.Rejected, "it was rejected"
		case b.Outcome == decode.Nak, b.Outcome == decode.Rejected:
			result = "it was rejected"
		}
		f.Say("%v bound %s on %s, and %s", c.Client, name, where, result)
		interfaceFacts(f, x.Abstract)
		f.Add("outcome", outcome)
		f.Add("port", c.Server.Port)
		associationFacts(f, c, &b.Association)
	}
}
