package rules

import (
	"net/netip"
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/kms"
)

func TestKMSZoneClimb(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"an answered exchange that climbs", alerts.Config{}, []decode.Event{exchange(dmz1, internal1, 0, decode.Answered)},
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) activated at the KMS host 10.0.0.1 (internal), which is in a more trusted zone",
				map[string]any{"client_trust": int64(20), "server_trust": int64(50), "outcome": "answered", "kms_version": "6.0"}}}},
		{"a refused one is an answered one", alerts.Config{}, []decode.Event{exchange(dmz1, internal1, 0, decode.Refused)},
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) asked for activation and was refused by the KMS host 10.0.0.1 (internal), which is in a more trusted zone",
				map[string]any{"kms_status": "0xC004F042 SL_E_VL_KEY_MANAGEMENT_SERVICE_ID_MISMATCH"}}}},
		{"one with a fault is less", alerts.Config{}, []decode.Event{exchange(dmz1, internal1, 0, decode.Faulted)},
			[]want{{alerts.Low, 1, "192.0.2.7 (dmz) asked for activation and got a fault from the KMS host 10.0.0.1 (internal), which is in a more trusted zone", nil}}},
		{"one without an answer is less", alerts.Config{}, []decode.Event{exchange(dmz1, internal1, 0, decode.Unanswered)},
			[]want{{alerts.Low, 1, "192.0.2.7 (dmz) asked for activation, without an answer that was seen, at the KMS host 10.0.0.1 (internal), which is in a more trusted zone", nil}}},
		{"an answer after silence describes the alert", alerts.Config{},
			[]decode.Event{exchange(dmz1, internal1, 0, decode.Unanswered), exchange(dmz2, internal1, 5, decode.Answered)},
			[]want{{alerts.Medium, 2, "192.0.2.8 (dmz) activated at the KMS host 10.0.0.1 (internal), which is in a more trusted zone", nil}}},
		{"from an address in no zone it is worst", alerts.Config{}, []decode.Event{exchange(outside1, internal1, 0, decode.Answered)},
			[]want{{alerts.High, 1, "", nil}}},
		{"clients of a zone are folded, zones are not", alerts.Config{},
			[]decode.Event{exchange(dmz1, internal1, 0, decode.Answered), exchange(dmz2, internal1, 1, decode.Answered), exchange(outside1, internal1, 2, decode.Answered), exchange(dmz2, internal2, 3, decode.Answered)},
			[]want{{alerts.Medium, 2, "", nil}, {alerts.High, 1, "", nil}, {alerts.Medium, 1, "", nil}}},
		{"without a configuration, from outside to a private address", alerts.Config{Zones: zone.Default()}, []decode.Event{exchange(outside1, internal1, 0, decode.Answered)},
			[]want{{alerts.High, 1, "198.51.100.1 (unknown) activated at the KMS host 10.0.0.1 (internal), which is in a more trusted zone", nil}}},

		{"quiet within a zone", alerts.Config{}, []decode.Event{exchange(internal2, internal1, 0, decode.Answered)}, nil},
		{"quiet where it descends", alerts.Config{}, []decode.Event{exchange(manage1, internal1, 0, decode.Answered), exchange(internal1, dmz1, 0, decode.Answered)}, nil},
		{"a flow that binds and asks for nothing", alerts.Config{}, []decode.Event{kmsBind(dmz1, internal1, 0), flowEnds(dmz1, internal1, 9)},
			[]want{{alerts.Low, 1, "192.0.2.7 (dmz) bound the KMS interface at 10.0.0.1 (internal), which is in a more trusted zone, and asked for nothing", map[string]any{"outcome": "accepted"}}}},
		{"a flow with bind, exchange and end is counted once", alerts.Config{}, []decode.Event{kmsBind(dmz1, internal1, 0), exchange(dmz1, internal1, 1, decode.Answered), flowEnds(dmz1, internal1, 9)},
			[]want{{alerts.Medium, 1, "", nil}}},

		{"quiet for a bind that is rejected", alerts.Config{}, []decode.Event{bindOf(dmz1, "10.0.0.1:1688", 0, decode.Rejected, context(0, dcerpc.KMS, dcerpc.ProviderRejection)), flowEnds(dmz1, internal1, 9)}, nil},
		{"quiet for an exception", settings("kms-zone-climb", alerts.Settings{Exceptions: []alerts.Exception{{ClientZone: "dmz", Servers: []netip.Prefix{netip.MustParsePrefix(internal1 + "/32")}}}}),
			[]decode.Event{exchange(dmz1, internal1, 0, decode.Answered), exchange(dmz1, internal2, 0, decode.Answered)}, []want{{alerts.Medium, 1, "", nil}}},
		{"quiet when disabled", settings("kms-zone-climb", alerts.Settings{Disabled: true}), []decode.Event{exchange(dmz1, internal1, 0, decode.Answered)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, newKMSZoneClimb(), c.config, c.events...), c.want...)
		})
	}
}

// flowEnds is the end of the flow of kmsBind and exchange.
func flowEnds(client, server string, second int) decode.Event {
	return with(head(client, kmsPort(server), 50000, second), &decode.FlowEnd{Reason: decode.Closed})
}

func TestKMSFactsOfVersion4(t *testing.T) {
	t.Parallel()
	e := exchange(dmz1, internal1, 0, decode.Answered)
	e.Request = kms.Request{Major: 4, Application: kms.Windows, ClientMachine: dcerpc.MustUUID("01234567-89ab-cdef-0123-456789abcdef")}
	copy(e.Request.Workstation[:], []uint16{'p', 'c', '1'})
	check(t, evaluate(t, newKMSZoneClimb(), alerts.Config{}, e), want{facts: map[string]any{
		"kms_version": "4.0", "kms_application": "Windows", "kms_client_machine": "01234567-89ab-cdef-0123-456789abcdef", "kms_workstation": "pc1"}})
	e.Request.Application = dcerpc.MustUUID("00000000-0000-0000-0000-000000000001")
	check(t, evaluate(t, newKMSZoneClimb(), alerts.Config{}, e), want{facts: map[string]any{"kms_application": "00000000-0000-0000-0000-000000000001"}})
	// Where the request fell into a gap, the answer tells the version.
	e = exchange(dmz1, internal1, 0, decode.Answered)
	e.HasRequest, e.Response.Major = false, 5
	check(t, evaluate(t, newKMSZoneClimb(), alerts.Config{}, e), want{facts: map[string]any{"kms_version": "5.0"}})
}

func TestKMSZoneClimbAllocatesNothingForRepeats(t *testing.T) {
	allocatesNothing(t, newKMSZoneClimb(), exchange(dmz1, internal1, 0, decode.Answered), exchange(internal2, internal1, 0, decode.Answered))
}
