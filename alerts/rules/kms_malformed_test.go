package rules

import (
	"testing"

	"kmswatch/alerts"
	"kmswatch/decode"
)

func TestKMSMalformed(t *testing.T) {
	t.Parallel()
	anomaly := func(client, server string, p decode.Protocol, name string, fromServer bool, q decode.Quality) decode.Event {
		h := head(client, server, 50000, 0)
		h.FromServer, h.Flow.Quality = fromServer, q
		return with(h, &decode.Anomaly{Protocol: p, Name: name, Offset: 8})
	}
	const server = "10.0.0.1:1688"
	for _, c := range []struct {
		name   string
		events []decode.Event
		want   []want
	}{
		{"a request within the zone", []decode.Event{anomaly(internal2, server, decode.ProtoKMS, "short_stub", false, 0)},
			[]want{{alerts.Medium, 1, "10.0.0.2 (internal) sent 10.0.0.1 (internal) a KMS request that breaks its format: short_stub", map[string]any{"anomaly": "short_stub", "from_server": false, "offset": int64(8)}}}},
		{"a request that climbs is worse", []decode.Event{anomaly(dmz1, server, decode.ProtoKMS, "short_stub", false, 0)}, []want{{alerts.High, 1, "", nil}}},
		{"a response", []decode.Event{anomaly(dmz1, server, decode.ProtoKMS, "short_stub", true, 0)},
			[]want{{alerts.Medium, 1, "10.0.0.1 (internal) sent 192.0.2.7 (dmz) a KMS response that breaks its format: short_stub", nil}}},
		{"where bytes are missing the capture may be at fault", []decode.Event{anomaly(dmz1, server, decode.ProtoKMS, "short_stub", false, decode.BytesMissing), anomaly(dmz1, "10.0.0.2:1688", decode.ProtoKMS, "short_stub", false, decode.Cut)},
			[]want{{alerts.Low, 1, "", nil}, {alerts.Low, 1, "", nil}}},
		{"what is wrong makes alerts of its own", []decode.Event{anomaly(dmz1, server, decode.ProtoKMS, "a", false, 0), anomaly(dmz1, server, decode.ProtoKMS, "b", false, 0), anomaly(dmz1, server, decode.ProtoKMS, "a", false, 0)},
			[]want{{alerts.High, 2, "", nil}, {alerts.High, 1, "", nil}}},

		{"quiet for anomalies of other protocols", []decode.Event{anomaly(dmz1, server, decode.ProtoDCERPC, "short", false, 0), anomaly(dmz1, server, decode.ProtoTCP, "overlap", false, 0)}, nil},
		{"quiet for well-formed messages", []decode.Event{exchange(dmz1, internal1, 0, decode.Refused)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, kmsMalformed{}, alerts.Config{}, c.events...), c.want...)
		})
	}
}
