package rules

import (
	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
)

// kmsPortForeignProtocol finds what is not DCE/RPC on a KMS port. On a host
// that is not known to serve KMS, the port may be another service's: that is
// said at a lower severity.
type kmsPortForeignProtocol struct{}

func (kmsPortForeignProtocol) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-port-foreign-protocol",
		Title:    "Something that is not DCE/RPC on a KMS port",
		Severity: alerts.Medium,
		Why: "The KMS port is open between zones where little else is. " +
			"Another protocol there is a tunnel, a scanner, or a service that hides behind the opening.",
		Mitigation: "Find out what speaks it on both ends. Let the firewall pass the KMS port to the KMS hosts alone, " +
			"and where it can tell protocols apart, DCE/RPC alone.",
		Techniques: []alerts.Technique{nonStandardPort},
		Kinds:      []decode.Kind{decode.KindForeign},
	}
}

func (kmsPortForeignProtocol) Evaluate(c *alerts.Context, e decode.Event) {
	// The decoder is given the ports of all KMS hosts together.
	if !c.Inventory.IsKMSPort(c.Server.Addr, c.Server.Port) {
		return
	}
	x := e.(*decode.Foreign)
	host := c.Inventory.Roles(c.Server.Addr).Has(inventory.KMS)
	severity := alerts.Low
	if host {
		severity = alerts.Medium
	}
	f := c.Raise(alerts.Fold{By: alerts.ByServer, Key: x.Guess, Severity: severity})
	if f == nil {
		return
	}
	what := "speaks " + x.Guess
	if x.Guess == "unknown" {
		what = "speaks something unknown"
	}
	whose := "a host not known to serve KMS"
	if host {
		whose = "a KMS host"
	}
	f.Say("%v %s to the KMS port %d of %v, %s", c.Client, what, c.Server.Port, c.Server, whose)
	f.Add("protocol", x.Guess)
	f.Add("port", c.Server.Port)
}
