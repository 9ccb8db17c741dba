package rules

import (
	"kmswatch/alerts"
	"kmswatch/decode"
)

// kmsUnknownHost finds hosts that serve KMS and are not in the inventory.
// Without an inventory every KMS host is such a one: then it is said, at a
// lower severity, so that the inventory can be written.
type kmsUnknownHost struct{}

func (kmsUnknownHost) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-unknown-host",
		Title:    "KMS host that is not in the inventory",
		Severity: alerts.High,
		Why: "An unlisted host that activates clients is an emulator for unlicensed software, a forgotten server, " +
			"or a host that draws clients to itself; nobody keeps it patched or watched.",
		Mitigation: "If the host is meant to serve KMS, list it under inventory.kms_hosts. If not, stop the service, " +
			"look for the _vlmcs._tcp records that name it, and find out who installed it.",
		Kinds: []decode.Kind{decode.KindBind, decode.KindKMSExchange},
	}
}

func (kmsUnknownHost) Evaluate(c *alerts.Context, e decode.Event) {
	if _, known := c.Inventory.KMSHost(c.Server.Addr); known || !serves(e) {
		return
	}
	none := unconfigured(c)
	severity := alerts.Medium
	switch {
	case none:
		severity = alerts.Low
	case e.Kind() == decode.KindKMSExchange:
		severity = alerts.High
	}
	f := c.Raise(alerts.Fold{By: alerts.ServerAlone, Severity: severity})
	if f == nil {
		return
	}
	if none {
		f.Say("%s, and no KMS hosts are configured to compare with", serving(c, e))
	} else {
		f.Say("%s, and is not among the configured KMS hosts", serving(c, e))
	}
	f.Add("port", c.Server.Port)
	kmsFacts(f, e)
}
