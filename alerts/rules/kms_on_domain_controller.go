package rules

import (
	"net/netip"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
)

// kmsOnDomainController finds addresses that serve KMS and act as a domain
// controller, whichever shows first. It is graded by the weaker of the two
// proofs: a domain member may take a netlogon bind, and a DNS answer is the word
// of another.
type kmsOnDomainController struct {
	told *alerts.Recent[netip.Addr, struct{}] // found by their own traffic
}

const onDomainController = inventory.KMS | inventory.DomainController

func newKMSOnDomainController() *kmsOnDomainController {
	return &kmsOnDomainController{told: alerts.NewRecent[netip.Addr, struct{}](4096)}
}

func (*kmsOnDomainController) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-on-domain-controller",
		Title:    "KMS and a domain controller on one address",
		Severity: alerts.High,
		Why: "Every client that activates, those of less trusted zones included, gets a path of MS-RPC to a domain controller, " +
			"and a flaw in either service costs the domain.",
		Mitigation: "Move the KMS host role to a member server of its own, with no other role, and let only the KMS port reach it.",
		Kinds: []decode.Kind{
			decode.KindBind, decode.KindKMSExchange, decode.KindSRVLookup,
			decode.KindKerberosReply, decode.KindLDAPSearch, decode.KindTreeConnect, decode.KindEndpointMapped,
		},
	}
}

func (r *kmsOnDomainController) Evaluate(c *alerts.Context, e decode.Event) {
	switch e := e.(type) {
	case *decode.Bind:
		if !accepts(e, inventory.Netlogon) && !accepts(e, inventory.DRSUAPI) && !serves(e) {
			return
		}
	case *decode.KMSExchange:
		if !serves(e) {
			return
		}
	case *decode.SRVLookup:
		r.lookup(c, e)
		return
	default:
		if !dcSign(e) {
			return
		}
	}
	if c.Inventory.Roles(c.Server.Addr).Has(onDomainController) {
		fold := alerts.Fold{By: alerts.ServerAlone}
		if _, first := r.told.Put(c.Server.Addr); first {
			fold.Earlier = firstSeen(c, c.Server.Addr)
		}
		r.raise(c, c.Server, fold)
	}
}

// dcSign says whether an event is one of those by which the inventory knows a
// domain controller, other than binds and lookups.
func dcSign(e decode.Event) bool {
	switch e := e.(type) {
	case *decode.KerberosReply:
		return e.Outcome == decode.Answered || e.Outcome == decode.Refused
	case *decode.LDAPSearch:
		return e.NetlogonPing && e.Outcome == decode.Answered && e.Entries > 0
	case *decode.TreeConnect:
		return e.Outcome == decode.Accepted && (e.Share == "SYSVOL" || e.Share == "NETLOGON")
	case *decode.EndpointMapped:
		return e.Interface.UUID == inventory.DRSUAPI
	}
	return false
}

// lookup looks at the hosts that an answer names. Its alert is of the DNS
// server's flow, so one that the host's own traffic gave goes before it.
func (r *kmsOnDomainController) lookup(c *alerts.Context, e *decode.SRVLookup) {
	if e.Message == nil || e.Outcome != decode.Answered {
		return
	}
	for i := range e.Message.SRV {
		s := &e.Message.SRV[i]
		if !inventory.IsLocator(s.Name) {
			continue
		}
		for _, a := range s.Addresses {
			if !c.Inventory.Roles(a).Has(onDomainController) || r.told.Get(a) != nil {
				continue
			}
			if a == c.Server.Addr {
				r.raise(c, c.Server, alerts.Fold{By: alerts.ServerAlone})
			} else {
				r.raise(c, c.Party(a), alerts.Fold{By: alerts.ServerAlone, Key: a.String()})
			}
		}
	}
}

func (r *kmsOnDomainController) raise(c *alerts.Context, host alerts.Party, fold alerts.Fold) {
	fold.Severity = alerts.Medium
	if min(c.Inventory.Grade(host.Addr, inventory.KMS), c.Inventory.Grade(host.Addr, inventory.DomainController)) >= inventory.Confirmed {
		fold.Severity = alerts.High
	}
	if f := c.Raise(fold); f != nil {
		f.Say("%v serves KMS and acts as a domain controller", host)
		f.Add("host", host.Addr)
		f.Add("evidence", evidence(c, host, onDomainController))
	}
}

// firstSeen gives the frame in which a host first showed one of the two roles:
// the event shows the other.
func firstSeen(c *alerts.Context, a netip.Addr) (at decode.Position) {
	for _, e := range c.Inventory.Evidence(a) {
		if onDomainController.Has(e.Role) && e.At.Frame > 0 {
			return e.At
		}
	}
	return at
}
