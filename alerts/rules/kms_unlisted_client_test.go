package rules

import (
	"net/netip"
	"slices"
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
)

func TestKMSUnlistedClient(t *testing.T) {
	t.Parallel()
	narrow := func() *inventory.Inventory {
		return kmsHost(inventory.KMSHost{Name: "kms1", Addresses: []netip.Addr{netip.MustParseAddr(internal1)},
			Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/25"), netip.MustParsePrefix("192.0.2.7/32")}})
	}
	for _, c := range []struct {
		name   string
		hosts  *inventory.Inventory
		events []decode.Event
		want   []want
	}{
		{"a client of the same zone outside the networks", narrow(), []decode.Event{exchange("10.0.0.200", internal1, 0, decode.Answered)},
			[]want{{alerts.Medium, 1, "10.0.0.200 (internal) activated at the KMS host 10.0.0.1 (internal), whose allowed clients do not include it", map[string]any{"kms_host": "kms1"}}}},
		{"one that is refused is less", narrow(), []decode.Event{exchange(dmz2, internal1, 0, decode.Refused)}, []want{{alerts.Low, 1, "", nil}}},
		{"clients of a zone are one alert", narrow(), []decode.Event{exchange("10.0.0.200", internal1, 0, decode.Answered), exchange("10.0.0.201", internal1, 0, decode.Answered), exchange(dmz2, internal1, 0, decode.Answered)},
			[]want{{alerts.Medium, 2, "", nil}, {alerts.Medium, 1, "", nil}}},

		{"quiet within the networks", narrow(), []decode.Event{exchange("10.0.0.127", internal1, 0, decode.Answered), exchange(dmz1, internal1, 0, decode.Answered), exchange("::ffff:10.0.0.5", internal1, 0, decode.Answered)}, nil},
		{"quiet for a host without networks", listed(), []decode.Event{exchange(outside1, internal1, 0, decode.Answered)}, nil},
		{"quiet for a host that is not listed", narrow(), []decode.Event{exchange(dmz2, internal2, 0, decode.Answered)}, nil},
		{"quiet without an inventory", nil, []decode.Event{exchange(dmz2, internal1, 0, decode.Answered)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, kmsUnlistedClient{}, alerts.Config{Inventory: c.hosts}, c.events...), c.want...)
		})
	}
	got := evaluate(t, kmsUnlistedClient{}, alerts.Config{Inventory: narrow()}, exchange(dmz2, internal1, 0, decode.Answered))
	if s, _ := factOf(got[0], "allowed_clients").([]string); !slices.Equal(s, []string{"10.0.0.0/25", "192.0.2.7/32"}) {
		t.Errorf("allowed clients: %v", s)
	}
}
