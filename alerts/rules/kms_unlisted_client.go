package rules

import (
	"kmswatch/alerts"
	"kmswatch/decode"
)

// kmsUnlistedClient finds clients outside the networks that a configured KMS
// host has for its clients. A host without such networks takes all.
type kmsUnlistedClient struct{}

func (kmsUnlistedClient) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-unlisted-client",
		Title:    "KMS client outside the host's allowed networks",
		Severity: alerts.Medium,
		Why: "The KMS host is reached from a network that was not meant to reach it: " +
			"a rule of a firewall is wider than intended, or somebody found the host and uses it.",
		Mitigation: "Narrow the firewall rules for the KMS port to the networks of its clients, on the host too. " +
			"If the client is meant to activate there, add its network to the host's clients in the inventory.",
		Kinds: []decode.Kind{decode.KindKMSExchange},
	}
}

func (kmsUnlistedClient) Evaluate(c *alerts.Context, e decode.Event) {
	h, known := c.Inventory.KMSHost(c.Server.Addr)
	if !known || h.Allows(c.Client.Addr) {
		return
	}
	x := e.(*decode.KMSExchange)
	severity := alerts.Low
	if x.Outcome == decode.Answered {
		severity = alerts.Medium
	}
	if f := c.Raise(alerts.Fold{By: alerts.ByServer, Severity: severity}); f != nil {
		f.Say("%s, whose allowed clients do not include it", activates(c, x))
		hostFacts(f, h)
		allowed := make([]string, len(h.Clients))
		for i, p := range h.Clients {
			allowed[i] = p.String()
		}
		f.Add("allowed_clients", allowed)
		kmsFacts(f, e)
	}
}
