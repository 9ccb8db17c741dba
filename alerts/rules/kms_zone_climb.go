package rules

import (
	"kmswatch/alerts"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// kmsZoneClimb finds KMS exchanges that climb. An exchange that the host
// answered, a refusal included, is worse than one of which nothing came back;
// one from an address in no zone is worst, since then the host is exposed to
// whom nobody placed. A flow that binds the interface with success and ends
// without an exchange tried the same path.
type kmsZoneClimb struct {
	bound *alerts.Recent[uint64, decode.Position] // flows without an exchange so far, and the frame of the bind
}

func newKMSZoneClimb() *kmsZoneClimb {
	return &kmsZoneClimb{bound: alerts.NewRecent[uint64, decode.Position](65536)}
}

func (*kmsZoneClimb) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-zone-climb",
		Title:    "KMS activation from a less trusted zone",
		Severity: alerts.Medium,
		Why: "For an activation, a zone that is trusted less reaches an MS-RPC service in one that is trusted more. " +
			"RPC has a history of exploited flaws, firewalls do not proxy it, and the path stays open for everything else that speaks it.",
		Mitigation: "Place a KMS host in each zone, or activate the hosts of that zone by MAK or through a VAMT proxy, " +
			"and close the KMS port between the zones.",
		Techniques: []alerts.Technique{exploitRemoteService},
		Kinds:      []decode.Kind{decode.KindBind, decode.KindKMSExchange, decode.KindFlowEnd},
	}
}

func (r *kmsZoneClimb) Evaluate(c *alerts.Context, e decode.Event) {
	if !c.Climbs() {
		return
	}
	id := e.Head().Flow.ID
	switch e := e.(type) {
	case *decode.Bind:
		if accepts(e, dcerpc.KMS) {
			at, _ := r.bound.Put(id)
			*at = e.Head().At
		}
	case *decode.KMSExchange:
		r.bound.Delete(id)
		severity := alerts.Low
		if e.Outcome == decode.Answered || e.Outcome == decode.Refused {
			severity = alerts.Medium
			if c.Client.Zone.Name == zone.Unknown {
				severity = alerts.High
			}
		}
		if f := c.Raise(alerts.Fold{By: alerts.ByServer, Severity: severity}); f != nil {
			f.Say("%s, which is in a more trusted zone", activates(c, e))
			climbFacts(f, c)
			kmsFacts(f, e)
		}
	case *decode.FlowEnd:
		at := r.bound.Get(id)
		if at == nil {
			return
		}
		fold := alerts.Fold{By: alerts.ByServer, Severity: alerts.Low, Earlier: *at}
		r.bound.Delete(id)
		if f := c.Raise(fold); f != nil {
			f.Say("%v bound the KMS interface at %v, which is in a more trusted zone, and asked for nothing", c.Client, c.Server)
			climbFacts(f, c)
			f.Add("outcome", decode.Accepted)
		}
	}
}

// climbFacts adds the trust of both zones.
func climbFacts(f *alerts.Finding, c *alerts.Context) {
	f.Add("client_trust", c.Client.Zone.Trust)
	f.Add("server_trust", c.Server.Zone.Trust)
}
