package rules

import (
	"kmswatch/alerts"
	"kmswatch/decode"
)

// dnsKMSLookupClimb finds lookups of KMS hosts in a more trusted zone's DNS.
type dnsKMSLookupClimb struct{}

func (dnsKMSLookupClimb) Info() alerts.Info {
	return alerts.Info{
		ID:       "dns-kms-lookup-climb",
		Title:    "Lookup of KMS hosts from a less trusted zone",
		Severity: alerts.Medium,
		Why: "A zone that is trusted less asks the DNS of one that is trusted more for its KMS hosts. " +
			"The answer names machines there, and who can ask for these names can mostly ask for all others.",
		Mitigation: "Give the zone a DNS server of its own that serves only the records it needs, " +
			"or name the KMS host on its clients (slmgr /skms) so that they need no lookup, and close DNS between the zones.",
		Techniques: []alerts.Technique{remoteSystemDiscovery},
		Kinds:      []decode.Kind{decode.KindSRVLookup},
	}
}

func (dnsKMSLookupClimb) Evaluate(c *alerts.Context, e decode.Event) {
	if x := e.(*decode.SRVLookup); c.Climbs() && isKMSName(x.Name) {
		lookupClimb(c, x, "KMS hosts")
	}
}
