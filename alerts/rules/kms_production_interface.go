package rules

import (
	"kmswatch/alerts"
	"kmswatch/decode"
)

// kmsProductionInterface finds KMS served on another address of a configured
// host than its management address, where one is configured.
type kmsProductionInterface struct{}

func (kmsProductionInterface) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-production-interface",
		Title:    "KMS served beside the management address",
		Severity: alerts.Medium,
		Why: "The host has an address for management, and KMS is reached on another: " +
			"the service listens on all addresses, and the networks of production reach its RPC.",
		Mitigation: "Let the host's firewall open the KMS port on the management address alone, " +
			"and name that address in the _vlmcs._tcp records.",
		Kinds: []decode.Kind{decode.KindBind, decode.KindKMSExchange},
	}
}

func (kmsProductionInterface) Evaluate(c *alerts.Context, e decode.Event) {
	h, known := c.Inventory.KMSHost(c.Server.Addr)
	if !known || !h.Management.IsValid() || h.Management == c.Server.Addr || !serves(e) {
		return
	}
	if f := c.Raise(alerts.Fold{By: alerts.ByServer}); f != nil {
		f.Say("%s, though the host's management address is %v", serving(c, e), c.Party(h.Management))
		hostFacts(f, h)
		f.Add("management", h.Management)
		kmsFacts(f, e)
	}
}
