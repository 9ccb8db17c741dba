package rules

import (
	"net/netip"
	"slices"
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

func TestKMSUnusualPort(t *testing.T) {
	t.Parallel()
	moved := func() *inventory.Inventory {
		return kmsHost(inventory.KMSHost{Name: "kms1", Addresses: []netip.Addr{netip.MustParseAddr(internal1)}, Ports: []uint16{1688, 11688}})
	}
	for _, c := range []struct {
		name   string
		hosts  *inventory.Inventory
		events []decode.Event
		want   []want
	}{
		{"a listed host on another port", listed(), []decode.Event{exchange(internal2, "10.0.0.1:11688", 0, decode.Answered)},
			[]want{{alerts.Medium, 1, "10.0.0.1 (internal) activated 10.0.0.2 (internal) on port 11688, which is not its KMS port", map[string]any{"port": uint64(11688), "kms_host": "kms1"}}}},
		{"a host that is not listed", listed(), []decode.Event{kmsBind(internal1, "10.0.0.2:49668", 0)},
			[]want{{alerts.Medium, 1, "10.0.0.2 (internal) accepted a bind to the KMS interface from 10.0.0.1 (internal) on port 49668, which is not its KMS port", nil}}},
		{"without an inventory it is graded low", nil, []decode.Event{exchange(dmz1, "10.0.0.1:11688", 0, decode.Answered)}, []want{{alerts.Low, 1, "", nil}}},
		{"a host with named ports on yet another", moved(), []decode.Event{exchange(dmz1, "10.0.0.1:1689", 0, decode.Answered)}, []want{{alerts.Medium, 1, "", nil}}},
		{"ports are told apart, clients folded", nil, []decode.Event{exchange(dmz1, "10.0.0.1:1", 0, decode.Answered), exchange(internal2, "10.0.0.1:1", 0, decode.Answered), exchange(dmz1, "10.0.0.1:2", 0, decode.Answered)},
			[]want{{alerts.Low, 2, "", nil}, {alerts.Low, 1, "", nil}}},

		{"quiet on 1688", listed(), []decode.Event{exchange(dmz1, internal1, 0, decode.Answered), exchange(dmz1, internal2, 0, decode.Answered)}, nil},
		{"quiet on a named port", moved(), []decode.Event{exchange(dmz1, "10.0.0.1:11688", 0, decode.Answered), exchange(dmz1, "10.0.0.1:1688", 0, decode.Answered)}, nil},
		{"quiet where KMS is only tried", listed(), []decode.Event{bindOf(dmz1, "10.0.0.1:135", 0, decode.Rejected, context(0, dcerpc.KMS, dcerpc.ProviderRejection)), exchange(dmz1, "10.0.0.1:135", 0, decode.Faulted)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, kmsUnusualPort{}, alerts.Config{Inventory: c.hosts}, c.events...), c.want...)
		})
	}
	for hosts, ports := range map[*inventory.Inventory][]string{listed(): {"1688"}, moved(): {"1688", "11688"}} {
		got := evaluate(t, kmsUnusualPort{}, alerts.Config{Inventory: hosts}, exchange(dmz1, "10.0.0.1:1", 0, decode.Answered))
		if s, _ := factOf(got[0], "expected_ports").([]string); !slices.Equal(s, ports) {
			t.Errorf("expected ports: %v", s)
		}
	}
}
