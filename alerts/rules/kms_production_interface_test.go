package rules

import (
	"net/netip"
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

func TestKMSProductionInterface(t *testing.T) {
	t.Parallel()
	managed := func() *inventory.Inventory {
		return kmsHost(inventory.KMSHost{Name: "kms1", Addresses: []netip.Addr{netip.MustParseAddr(internal1)}, Management: netip.MustParseAddr(manage1)})
	}
	for _, c := range []struct {
		name   string
		hosts  *inventory.Inventory
		events []decode.Event
		want   []want
	}{
		{"activation at the service address", managed(), []decode.Event{exchange(internal2, internal1, 0, decode.Answered)},
			[]want{{alerts.Medium, 1, "10.0.0.1 (internal) activated 10.0.0.2 (internal), though the host's management address is 10.9.0.1 (management)",
				map[string]any{"kms_host": "kms1", "management": manage1}}}},
		{"a bind that it accepts", managed(), []decode.Event{kmsBind(internal2, internal1, 0)}, []want{{alerts.Medium, 1, "", nil}}},
		{"for each zone of clients", managed(), []decode.Event{exchange(internal2, internal1, 0, decode.Answered), exchange(dmz1, internal1, 0, decode.Refused)},
			[]want{{alerts.Medium, 1, "", nil}, {alerts.Medium, 1, "", nil}}},

		{"quiet at the management address", managed(), []decode.Event{kmsBind(internal2, manage1, 0), exchange(internal2, manage1, 0, decode.Answered)}, nil},
		{"quiet where no management address is configured", listed(), []decode.Event{exchange(internal2, internal1, 0, decode.Answered)}, nil},
		{"quiet for other hosts", managed(), []decode.Event{exchange(internal1, internal2, 0, decode.Answered)}, nil},
		{"quiet where it rejects", managed(), []decode.Event{bindOf(internal2, internal1, 0, decode.Rejected, context(0, dcerpc.KMS, dcerpc.ProviderRejection)), exchange(internal2, internal1, 0, decode.Unanswered)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, kmsProductionInterface{}, alerts.Config{Inventory: c.hosts}, c.events...), c.want...)
		})
	}
}
