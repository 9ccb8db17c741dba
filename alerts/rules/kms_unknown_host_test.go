package rules

import (
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

func TestKMSUnknownHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		hosts  *inventory.Inventory
		events []decode.Event
		want   []want
	}{
		{"an unlisted host that activates", listed(), []decode.Event{exchange(internal1, internal2, 0, decode.Answered)},
			[]want{{alerts.High, 1, "10.0.0.2 (internal) activated 10.0.0.1 (internal), and is not among the configured KMS hosts", map[string]any{"port": uint64(1688)}}}},
		{"one that refuses serves too", listed(), []decode.Event{exchange(internal1, internal2, 0, decode.Refused)},
			[]want{{alerts.High, 1, "10.0.0.2 (internal) refused to activate 10.0.0.1 (internal), and is not among the configured KMS hosts", nil}}},
		{"one that accepts the interface only", listed(), []decode.Event{kmsBind(dmz1, internal2, 0)},
			[]want{{alerts.Medium, 1, "10.0.0.2 (internal) accepted a bind to the KMS interface from 192.0.2.7 (dmz), and is not among the configured KMS hosts", nil}}},
		{"bind and exchanges of all zones are one alert, graded by the exchange", listed(),
			[]decode.Event{kmsBind(dmz1, internal2, 0), exchange(dmz1, internal2, 1, decode.Answered), exchange(manage1, internal2, 2, decode.Answered)},
			[]want{{alerts.High, 3, "10.0.0.2 (internal) activated 192.0.2.7 (dmz), and is not among the configured KMS hosts", nil}}},
		{"without an inventory it is said, and graded low", nil, []decode.Event{kmsBind(dmz1, internal1, 0), exchange(dmz1, internal1, 1, decode.Answered)},
			[]want{{alerts.Low, 2, "10.0.0.1 (internal) accepted a bind to the KMS interface from 192.0.2.7 (dmz), and no KMS hosts are configured to compare with", nil}}},
		{"on another port too", listed(), []decode.Event{exchange(internal1, "10.0.0.2:11688", 0, decode.Answered)}, []want{{alerts.High, 1, "", map[string]any{"port": uint64(11688)}}}},

		{"quiet for a listed host", listed(), []decode.Event{kmsBind(dmz1, internal1, 0), exchange(dmz1, internal1, 1, decode.Answered)}, nil},
		{"quiet where the bind is rejected", listed(), []decode.Event{bindOf(dmz1, internal2, 0, decode.Rejected, context(0, dcerpc.KMS, dcerpc.ProviderRejection))}, nil},
		{"quiet where nothing comes back", listed(), []decode.Event{exchange(dmz1, internal2, 0, decode.Unanswered), exchange(dmz1, internal2, 0, decode.Faulted)}, nil},
		{"quiet for other interfaces", listed(), []decode.Event{bindOf(dmz1, internal2, 0, decode.Accepted, context(0, samr, dcerpc.Acceptance))}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, kmsUnknownHost{}, alerts.Config{Inventory: c.hosts}, c.events...), c.want...)
		})
	}
}
