package rules

import (
	"net/netip"
	"testing"

	"kmswatch/alerts"
	"kmswatch/decode"
)

func TestDNSKMSLookupClimb(t *testing.T) {
	t.Parallel()
	record := srv("kms1.corp.example", 1688, internal2)
	missing := lookup(dmz1, internal1, vlmcs, 0, decode.Refused)
	missing.Message.RCode = nxDomain
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"an answered lookup that climbs", alerts.Config{}, []decode.Event{lookup(dmz1, internal1, vlmcs, 0, decode.Answered, record)},
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) asked the DNS server 10.0.0.1 (internal), which is in a more trusted zone, for KMS hosts, and was told of kms1.corp.example:1688",
				map[string]any{"dns_name": vlmcs, "outcome": "answered", "dns_rcode": uint64(0)}}}},
		{"a refused one is less", alerts.Config{}, []decode.Event{lookup(dmz1, internal1, vlmcs, 0, decode.Refused)},
			[]want{{alerts.Low, 1, "192.0.2.7 (dmz) asked the DNS server 10.0.0.1 (internal), which is in a more trusted zone, for KMS hosts, and was refused", map[string]any{"dns_rcode": uint64(5)}}}},
		{"an empty answer is less", alerts.Config{}, []decode.Event{lookup(dmz1, internal1, vlmcs, 0, decode.Answered)},
			[]want{{alerts.Low, 1, "192.0.2.7 (dmz) asked the DNS server 10.0.0.1 (internal), which is in a more trusted zone, for KMS hosts, and was told of none", nil}}},
		{"so is a name that there is not", alerts.Config{}, []decode.Event{missing},
			[]want{{alerts.Low, 1, "192.0.2.7 (dmz) asked the DNS server 10.0.0.1 (internal), which is in a more trusted zone, for KMS hosts, and was told of none", nil}}},
		{"silence is less", alerts.Config{}, []decode.Event{lookup(outside1, internal1, "_vlmcs._tcp", 0, decode.Unanswered)},
			[]want{{alerts.Low, 1, "198.51.100.1 (unknown) asked the DNS server 10.0.0.1 (internal), which is in a more trusted zone, for KMS hosts, and no answer was seen", nil}}},
		{"clients of a zone are folded, and an answer describes the alert", alerts.Config{},
			[]decode.Event{lookup(dmz1, internal1, vlmcs, 0, decode.Refused), lookup(dmz2, internal1, vlmcs, 1, decode.Answered, record), lookup(dmz1, internal2, vlmcs, 2, decode.Refused)},
			[]want{{alerts.Medium, 2, "192.0.2.8 (dmz) asked the DNS server 10.0.0.1 (internal), which is in a more trusted zone, for KMS hosts, and was told of kms1.corp.example:1688", nil}, {alerts.Low, 1, "", nil}}},

		{"quiet within a zone", alerts.Config{}, []decode.Event{lookup(internal2, internal1, vlmcs, 0, decode.Answered, record)}, nil},
		{"quiet where it descends", alerts.Config{}, []decode.Event{lookup(internal2, dmz1, vlmcs, 0, decode.Answered, record)}, nil},
		{"quiet for another service", alerts.Config{}, []decode.Event{lookup(dmz1, internal1, "_sip._tcp.corp.example", 0, decode.Answered, record)}, nil},
		{"quiet for an exception", settings("dns-kms-lookup-climb", alerts.Settings{Exceptions: []alerts.Exception{{Clients: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}}}}),
			[]decode.Event{lookup(dmz1, internal1, vlmcs, 0, decode.Answered, record)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, dnsKMSLookupClimb{}, c.config, c.events...), c.want...)
		})
	}
}
