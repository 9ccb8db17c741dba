package rules

import (
	"testing"

	"kmswatch/decode"
	"kmswatch/decode/dns"

	"kmswatch/alerts"
)

func TestDNSDCLookupClimb(t *testing.T) {
	t.Parallel()
	const name = "_ldap._tcp.dc._msdcs.corp.example"
	record := dns.SRV{Name: name, Target: "dc1.corp.example", Port: 389, Section: dns.Answer}
	for _, c := range []struct {
		name   string
		events []decode.Event
		want   []want
	}{
		{"an answered lookup that climbs", []decode.Event{lookup(dmz1, internal1, name, 0, decode.Answered, record)},
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) asked the DNS server 10.0.0.1 (internal), which is in a more trusted zone, for domain controllers, and was told of dc1.corp.example:389", nil}}},
		{"one without an answer is less, and other names are repeats", []decode.Event{lookup(dmz1, internal1, name, 0, decode.Unanswered), lookup(dmz1, internal1, "_kerberos._tcp.corp.example", 1, decode.Unanswered)},
			[]want{{alerts.Low, 2, "", map[string]any{"dns_name": name}}}},

		{"quiet within a zone", []decode.Event{lookup(internal2, internal1, name, 0, decode.Answered, record)}, nil},
		{"quiet for KMS", []decode.Event{lookup(dmz1, internal1, vlmcs, 0, decode.Answered)}, nil},
		{"quiet for an LDAP server that may be any", []decode.Event{lookup(dmz1, internal1, "_ldap._tcp.corp.example", 0, decode.Answered)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, dnsDCLookupClimb{}, alerts.Config{}, c.events...), c.want...)
		})
	}
}
