package rules

import (
	"kmswatch/alerts"
	"kmswatch/decode"
)

// dnsDCLookupClimb finds lookups of domain controllers in a more trusted zone's
// DNS.
type dnsDCLookupClimb struct{}

func (dnsDCLookupClimb) Info() alerts.Info {
	return alerts.Info{
		ID:       "dns-dc-lookup-climb",
		Title:    "Lookup of domain controllers from a less trusted zone",
		Severity: alerts.Medium,
		Why: "A zone that is trusted less asks the DNS of one that is trusted more for its domain controllers. " +
			"It is how members of the domain begin, and how an intruder finds the machines that matter most.",
		Mitigation: "Keep members of the internal domain out of less trusted zones, or give these a domain or a read-only domain controller of their own, " +
			"and a DNS server that does not serve the records of the internal domain.",
		Techniques: []alerts.Technique{remoteSystemDiscovery},
		Kinds:      []decode.Kind{decode.KindSRVLookup},
	}
}

func (dnsDCLookupClimb) Evaluate(c *alerts.Context, e decode.Event) {
	if x := e.(*decode.SRVLookup); c.Climbs() && isDCName(x.Name) {
		lookupClimb(c, x, "domain controllers")
	}
}
