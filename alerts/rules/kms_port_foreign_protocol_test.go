package rules

import (
	"net/netip"
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
)

func TestKMSPortForeignProtocol(t *testing.T) {
	t.Parallel()
	foreign := func(server, guess string) decode.Event {
		return with(head(dmz1, server, 50000, 0), &decode.Foreign{Guess: guess})
	}
	for _, c := range []struct {
		name   string
		hosts  *inventory.Inventory
		events []decode.Event
		want   []want
	}{
		{"http to a KMS host", listed(), []decode.Event{foreign("10.0.0.1:1688", "http")},
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) speaks http to the KMS port 1688 of 10.0.0.1 (internal), a KMS host", map[string]any{"protocol": "http", "port": uint64(1688)}}}},
		{"to an observed one", nil, []decode.Event{exchange(dmz1, internal1, 0, decode.Answered), foreign("10.0.0.1:1688", "tls")}, []want{{alerts.Medium, 1, "", nil}}},
		{"to a host that is not known to serve KMS", listed(), []decode.Event{foreign("10.0.0.2:1688", "unknown")},
			[]want{{alerts.Low, 1, "192.0.2.7 (dmz) speaks something unknown to the KMS port 1688 of 10.0.0.2 (internal), a host not known to serve KMS", nil}}},
		{"protocols are told apart, repeats folded", listed(), []decode.Event{foreign("10.0.0.1:1688", "http"), foreign("10.0.0.1:1688", "ssh"), foreign("10.0.0.1:1688", "http")},
			[]want{{alerts.Medium, 2, "", nil}, {alerts.Medium, 1, "", nil}}},

		{"quiet on the port of another KMS host", kmsHost(inventory.KMSHost{Addresses: []netip.Addr{netip.MustParseAddr(internal1)}, Ports: []uint16{11688}}),
			[]decode.Event{foreign("10.0.0.2:11688", "http"), foreign("10.0.0.1:1688", "http")}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, kmsPortForeignProtocol{}, alerts.Config{Inventory: c.hosts}, c.events...), c.want...)
		})
	}
}
