package rules

import (
	"testing"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
)

func TestRPCZoneClimb(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"an accepted interface that climbs", alerts.Config{}, []decode.Event{took(dmz1, internal1, 0, samr)},
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) bound samr at 10.0.0.1 (internal), which is in a more trusted zone",
				map[string]any{"interface": samr.String(), "interface_version": "1.0", "auth_type": "none", "client_trust": int64(20), "server_trust": int64(50)}}}},
		{"whether authenticated or not", alerts.Config{}, []decode.Event{authenticated(took(dmz1, internal1, 0, samr))}, []want{{alerts.Medium, 1, "", map[string]any{"auth_type": "ntlm", "auth_level": "connect"}}}},
		{"each interface, but not each of its contexts", alerts.Config{},
			[]decode.Event{bindOf(dmz1, internal1, 0, decode.Accepted, context(0, samr, dcerpc.Acceptance), context(1, lsarpc, dcerpc.ProviderRejection), context(2, samr, dcerpc.Acceptance), context(3, winreg, dcerpc.Acceptance))},
			[]want{{alerts.Medium, 1, "", map[string]any{"interface_name": "samr"}}, {alerts.Medium, 1, "", map[string]any{"interface_name": "winreg"}}}},
		{"an interface without a name", alerts.Config{}, []decode.Event{took(dmz1, internal1, 0, dcerpc.UUID{1})},
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) bound 01000000-0000-0000-0000-000000000000 at 10.0.0.1 (internal), which is in a more trusted zone", nil}}},
		{"the endpoint mapper", alerts.Config{}, []decode.Event{took(internal1, manage1, 0, dcerpc.EPMapper)}, []want{{alerts.Medium, 1, "", nil}}},
		{"what is allowed to another zone", settings(ZoneClimb, alerts.Settings{Exceptions: []alerts.Exception{{ClientZone: "dmz", ServerZone: "management"}}}),
			[]decode.Event{took(dmz1, internal1, 0, samr)}, []want{{alerts.Medium, 1, "", nil}}},
		{"an answered call without a bind, in datagrams", alerts.Config{}, []decode.Event{datagramCall(dmz1, internal1, decode.Answered), datagramCall(dmz1, internal1, decode.Answered)},
			[]want{{alerts.Medium, 2, "192.0.2.7 (dmz) called samr at 10.0.0.1 (internal), which is in a more trusted zone", map[string]any{"transport": "ncadg_ip_udp"}}}},

		{"quiet for datagrams that are not answered", alerts.Config{}, []decode.Event{datagramCall(dmz1, internal1, decode.Unanswered), datagramCall(dmz1, internal1, decode.Rejected)}, nil},
		{"quiet for KMS, which has rules of its own", alerts.Config{}, []decode.Event{kmsBind(dmz1, internal1, 0)}, nil},
		{"quiet for what the server rejects, traps 4 and 5", alerts.Config{},
			[]decode.Event{bindOf(dmz1, internal1, 0, decode.Rejected, context(0, samr, dcerpc.ProviderRejection), context(1, samr, dcerpc.NegotiateAck))}, nil},
		{"quiet for silence", alerts.Config{}, []decode.Event{bindOf(dmz1, internal1, 0, decode.Unanswered, dcerpc.ContextItem{Abstract: dcerpc.Syntax{UUID: samr}})}, nil},
		{"quiet where it does not climb", alerts.Config{}, []decode.Event{took(internal2, internal1, 0, samr), took(manage1, internal1, 0, samr)}, nil},
		{"quiet for what policy allows", settings(ZoneClimb, alerts.Settings{Exceptions: []alerts.Exception{{ClientZone: "dmz", ServerZone: "internal", Interfaces: []dcerpc.UUID{samr}}}}),
			[]decode.Event{took(dmz1, internal1, 0, samr)}, nil},
		{"quiet for what every zone may use", settings(ZoneClimb, alerts.Settings{Options: map[string]any{"allow": alerts.Interfaces{"epmapper"}}}),
			[]decode.Event{took(dmz1, internal1, 0, dcerpc.EPMapper)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, rpcZoneClimb{}, c.config, c.events...), c.want...)
		})
	}
}

// datagramCall is a call of samr by connectionless RPC.
func datagramCall(client, server string, out decode.Outcome) *decode.Call {
	e := &decode.Call{
		Association: decode.Association{Transport: decode.TransportUDP, Caller: auth.Unverified},
		Interface:   dcerpc.Syntax{UUID: samr, Major: 1}, Known: true, Outcome: out,
	}
	*e.Head() = head(client, server, 50000, 0)
	return e
}
