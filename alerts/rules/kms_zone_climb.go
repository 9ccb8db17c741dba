package rules

import (
	"kmswatch/alerts"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
)

// kmsZoneClimb finds KMS exchanges that climb. An exchange that the host
// answered, a refusal included, is worse than one of which nothing came back;
// one from an address in no zone is worst, since then the host is exposed to
// whom nobody placed.
type kmsZoneClimb struct{}

func (kmsZoneClimb) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-zone-climb",
		Title:    "KMS activation from a less trusted zone",
		Severity: alerts.Medium,
		Why: "For an activation, a zone that is trusted less reaches an MS-RPC service in one that is trusted more. " +
			"RPC has a history of exploited flaws, firewalls do not proxy it, and the path stays open for everything else that speaks it.",
		Mitigation: "Place a KMS host in each zone, or activate the hosts of that zone by MAK or through a VAMT proxy, " +
			"and close the KMS port between the zones.",
		Techniques: []alerts.Technique{exploitRemoteService},
		Kinds:      []decode.Kind{decode.KindKMSExchange},
	}
}

func (kmsZoneClimb) Evaluate(c *alerts.Context, e decode.Event) {
	if !c.Climbs() {
		return
	}
	x := e.(*decode.KMSExchange)
	severity := alerts.Low
	if x.Outcome == decode.Answered || x.Outcome == decode.Refused {
		severity = alerts.Medium
		if c.Client.Zone.Name == zone.Unknown {
			severity = alerts.High
		}
	}
	if f := c.Raise(alerts.Fold{By: alerts.ByServer, Severity: severity}); f != nil {
		f.Say("%s, which is in a more trusted zone", activates(c, x))
		f.Add("client_trust", c.Client.Zone.Trust)
		f.Add("server_trust", c.Server.Zone.Trust)
		kmsFacts(f, e)
	}
}
