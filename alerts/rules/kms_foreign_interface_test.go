package rules

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

func TestKMSForeignInterface(t *testing.T) {
	t.Parallel()
	taken := func(client, server string, u dcerpc.UUID) decode.Event {
		return bindOf(client, server, 0, decode.Accepted, context(0, u, dcerpc.Acceptance))
	}
	with := func(s alerts.Settings) alerts.Config {
		c := settings("kms-foreign-interface", s)
		c.Inventory = listed()
		return c
	}
	const onPort = "192.0.2.7 (dmz) bound samr on the KMS port 1688 of 10.0.0.1 (internal), and "
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"samr accepted on the KMS port", with(alerts.Settings{}), []decode.Event{taken(dmz1, "10.0.0.1:1688", samr)},
			[]want{{alerts.Medium, 1, onPort + "it was accepted", map[string]any{"interface": samr.String(), "interface_name": "samr", "interface_version": "1.0", "outcome": "accepted", "port": uint64(1688)}}}},
		{"and from the same zone", with(alerts.Settings{}), []decode.Event{taken(internal2, "10.0.0.1:1688", samr)}, []want{{alerts.Medium, 1, "", nil}}},
		{"samr rejected is less", with(alerts.Settings{}), []decode.Event{bindOf(dmz1, "10.0.0.1:1688", 0, decode.Rejected, context(0, samr, dcerpc.ProviderRejection))}, []want{{alerts.Low, 1, onPort + "it was rejected", nil}}},
		{"bind_nak is a rejection", with(alerts.Settings{}), []decode.Event{bindOf(dmz1, "10.0.0.1:1688", 0, decode.Nak, dcerpc.ContextItem{Abstract: dcerpc.Syntax{UUID: samr}})}, []want{{alerts.Low, 1, onPort + "it was rejected", nil}}},
		{"no answer", with(alerts.Settings{}), []decode.Event{bindOf(dmz1, "10.0.0.1:1688", 0, decode.Unanswered, dcerpc.ContextItem{Abstract: dcerpc.Syntax{UUID: samr}})}, []want{{alerts.Low, 1, onPort + "no answer was seen", nil}}},
		{"rejected beside KMS accepted", with(alerts.Settings{}), []decode.Event{bindOf(dmz1, "10.0.0.1:1688", 0, decode.Accepted, context(0, dcerpc.KMS, dcerpc.Acceptance), context(1, samr, dcerpc.ProviderRejection))},
			[]want{{alerts.Low, 1, onPort + "it was rejected", nil}}},
		{"three contexts of one interface, of which NDR64 is taken, are one event (trap 5)", with(alerts.Settings{}),
			[]decode.Event{bindOf(dmz1, "10.0.0.1:1688", 0, decode.Accepted, context(0, samr, dcerpc.ProviderRejection), context(1, samr, dcerpc.Acceptance), context(2, samr, dcerpc.NegotiateAck))},
			[]want{{alerts.Medium, 1, onPort + "it was accepted", nil}}},
		{"two interfaces are two alerts", with(alerts.Settings{}), []decode.Event{bindOf(dmz1, "10.0.0.1:1688", 0, decode.Accepted, context(0, samr, dcerpc.Acceptance), context(1, lsarpc, dcerpc.Acceptance))},
			[]want{{alerts.Medium, 1, onPort + "it was accepted", nil}, {alerts.Medium, 1, "192.0.2.7 (dmz) bound lsarpc on the KMS port 1688 of 10.0.0.1 (internal), and it was accepted", nil}}},
		{"mgmt looks around only", with(alerts.Settings{}), []decode.Event{taken(dmz1, "10.0.0.1:1688", mgmt)}, []want{{alerts.Low, 1, "192.0.2.7 (dmz) bound mgmt on the KMS port 1688 of 10.0.0.1 (internal), and it was accepted", nil}}},
		{"on another port of a KMS host, from another zone", with(alerts.Settings{}), []decode.Event{taken(dmz1, "10.0.0.1:49667", samr)},
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) bound samr on port 49667 of the KMS host 10.0.0.1 (internal), and it was accepted", nil}}},
		{"and from a zone trusted more", with(alerts.Settings{}), []decode.Event{taken(manage1, "10.0.0.1:49667", samr)}, []want{{alerts.Medium, 1, "", nil}}},
		{"of an observed KMS host too", alerts.Config{}, []decode.Event{kmsBind(dmz1, internal2, 0), taken(dmz1, "10.0.0.2:49667", samr)}, []want{{alerts.Medium, 1, "", nil}}},
		{"port 1688 of any host from another zone", alerts.Config{}, []decode.Event{taken(dmz1, "10.0.0.2:1688", samr)}, []want{{alerts.Medium, 1, "", nil}}},
		{"port 1688 of any host within a zone may be a dynamic port", alerts.Config{}, []decode.Event{taken(internal1, "10.0.0.2:1688", samr)}, []want{{alerts.Low, 1, "", nil}}},
		{"a configured port", alerts.Config{Inventory: kmsHost(inventory.KMSHost{Addresses: []netip.Addr{netip.MustParseAddr(internal1)}, Ports: []uint16{11688}})},
			[]decode.Event{taken(internal2, "10.0.0.1:11688", samr), taken(internal2, "10.0.0.1:1688", samr)}, []want{{alerts.Medium, 1, "", map[string]any{"port": uint64(11688)}}}},

		{"quiet for KMS and its features (trap 4)", with(alerts.Settings{}), []decode.Event{kmsBind(dmz1, internal1, 0)}, nil},
		{"quiet on other ports from the same zone", with(alerts.Settings{}), []decode.Event{taken(internal2, "10.0.0.1:49667", samr)}, nil},
		{"quiet on other ports of other hosts", with(alerts.Settings{}), []decode.Event{taken(dmz1, "10.0.0.2:49667", samr)}, nil},
		{"quiet for what the option exempts", with(alerts.Settings{Options: map[string]any{"exempt": alerts.Interfaces{"samr"}}}), []decode.Event{taken(dmz1, "10.0.0.1:1688", samr)}, nil},
		{"quiet for what an exception names", with(alerts.Settings{Exceptions: []alerts.Exception{{Interfaces: []dcerpc.UUID{samr}}}}), []decode.Event{taken(dmz1, "10.0.0.1:1688", samr)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, kmsForeignInterface{}, c.config, c.events...), c.want...)
		})
	}
}

func TestKMSForeignInterfaceMakesOneAlertOfManyMadeUpInterfaces(t *testing.T) {
	t.Parallel()
	var contexts []dcerpc.ContextItem
	for i := range 200 {
		var u dcerpc.UUID
		binary.BigEndian.PutUint32(u[:], uint32(i+1))
		contexts = append(contexts, context(uint16(i), u, dcerpc.ProviderRejection))
	}
	check(t, evaluate(t, kmsForeignInterface{}, alerts.Config{Inventory: listed()}, bindOf(dmz1, "10.0.0.1:1688", 0, decode.Rejected, contexts...)),
		want{alerts.Low, 200, "192.0.2.7 (dmz) bound interface 00000001-0000-0000-0000-000000000000 on the KMS port 1688 of 10.0.0.1 (internal), and it was rejected", nil})
}
