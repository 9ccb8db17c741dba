package rules

import (
	"kmswatch/alerts"
	"kmswatch/decode"
)

// kmsMalformed finds KMS messages that break their format. Where bytes of the
// flow are missing, what looks broken may be the capture, not the message.
type kmsMalformed struct{}

func (kmsMalformed) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-malformed",
		Title:    "KMS message that breaks its format",
		Severity: alerts.Medium,
		Why: "The service parses these messages without authentication. " +
			"One that breaks the format comes from a fuzzer, an exploit, or software that only resembles KMS.",
		Mitigation: "Find out what sent it. Keep the KMS host patched, and let only the networks of its clients reach it.",
		Techniques: []alerts.Technique{exploitRemoteService},
		Kinds:      []decode.Kind{decode.KindAnomaly},
	}
}

func (kmsMalformed) Evaluate(c *alerts.Context, e decode.Event) {
	a := e.(*decode.Anomaly)
	if a.Protocol != decode.ProtoKMS {
		return
	}
	const missing = decode.BytesMissing | decode.Cut
	h := e.Head()
	severity := alerts.Medium
	switch {
	case h.Flow.Quality&missing != 0:
		severity = alerts.Low
	case !h.FromServer && c.Climbs():
		severity = alerts.High
	}
	f := c.Raise(alerts.Fold{By: alerts.ByServer, Key: a.Name, Severity: severity})
	if f == nil {
		return
	}
	if h.FromServer {
		f.Say("%v sent %v a KMS response that breaks its format: %s", c.Server, c.Client, a.Name)
	} else {
		f.Say("%v sent %v a KMS request that breaks its format: %s", c.Client, c.Server, a.Name)
	}
	f.Add("anomaly", a.Name)
	f.Add("from_server", h.FromServer)
	f.Add("offset", a.Offset)
}
