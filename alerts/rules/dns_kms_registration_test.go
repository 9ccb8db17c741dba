package rules

import (
	"net/netip"
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dns"
)

// updated is an UPDATE of the zone corp.example.
func updated(client, server string, o decode.Outcome, records ...dns.SRV) *decode.DNSUpdate {
	e := &decode.DNSUpdate{
		Ask: decode.Position{Frame: 1}, Outcome: o,
		Message: &dns.Message{Opcode: dns.OpcodeUpdate, Name: "corp.example", Type: 6, SRV: records, Signed: true},
	}
	if o == decode.Refused {
		e.RCode = 5
	}
	*e.Head() = head(client, server+":53", 50001, 0)
	return e
}

func change(ch dns.Change, target string) dns.SRV {
	r := srv(target, 1688)
	r.Section, r.Change = dns.Update, ch
	return r
}

// Trap 58: an UPDATE uses the sections of a message for other things.
func TestDNSKMSRegistration(t *testing.T) {
	t.Parallel()
	configured := alerts.Config{Inventory: kmsHost(inventory.KMSHost{Addresses: []netip.Addr{netip.MustParseAddr(internal2)}})}
	prerequisite := change(dns.Add, "pc1.corp.example")
	prerequisite.Section = dns.Prerequisite
	other := change(dns.Add, "pc1.corp.example")
	other.Name = "_sip._tcp.corp.example"
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"a host that is not in the inventory adds a record", configured, []decode.Event{updated(dmz1, internal1, decode.Answered, change(dns.DeleteSet, ""), change(dns.Add, "pc1.corp.example"))},
			[]want{{alerts.High, 1, "192.0.2.7 (dmz), which is no KMS host, asked the DNS server 10.0.0.1 (internal) to add the KMS record _vlmcs._tcp.corp.example at pc1.corp.example port 1688, and it did",
				map[string]any{"change": "add", "signed": true, "dns_zone": "corp.example", "srv_target": "pc1.corp.example"}}}},
		{"or deletes the records", configured, []decode.Event{updated(dmz1, internal1, decode.Answered, change(dns.DeleteAll, ""))},
			[]want{{alerts.High, 1, "192.0.2.7 (dmz), which is no KMS host, asked the DNS server 10.0.0.1 (internal) to delete the KMS record _vlmcs._tcp.corp.example, and it did", map[string]any{"change": "delete-all", "srv_target": nil}}}},
		{"a refusal is less", configured, []decode.Event{updated(dmz1, internal1, decode.Refused, change(dns.Add, "pc1"))},
			[]want{{alerts.Low, 1, "", map[string]any{"dns_rcode": uint64(5), "outcome": "refused"}}}},
		{"silence is between", configured, []decode.Event{updated(dmz1, internal1, decode.Unanswered, change(dns.Add, "pc1"))}, []want{{alerts.Medium, 1, "", nil}}},
		{"a second attempt is a repeat, another host is not", configured,
			[]decode.Event{updated(dmz1, internal1, decode.Refused, change(dns.Add, "pc1")), updated(dmz1, internal1, decode.Answered, change(dns.Add, "pc1")), updated(dmz2, internal1, decode.Refused, change(dns.Add, "pc1"))},
			[]want{{alerts.High, 2, "", nil}, {alerts.Low, 1, "", nil}}},
		{"without a configuration, a host that was not seen to serve KMS", alerts.Config{}, []decode.Event{updated(internal2, internal1, decode.Answered, change(dns.Add, "pc1"))}, []want{{alerts.High, 1, "", nil}}},
		{"with one, that it served KMS is no excuse", configured,
			[]decode.Event{exchange(dmz2, dmz1, 0, decode.Answered), updated(dmz1, internal1, decode.Answered, change(dns.Add, "pc1"))}, []want{{alerts.High, 1, "", nil}}},

		{"quiet for the KMS host", configured, []decode.Event{updated(internal2, internal1, decode.Answered, change(dns.Add, "kms1"))}, nil},
		{"quiet for a host seen to serve KMS, without a configuration", alerts.Config{},
			[]decode.Event{exchange(dmz1, internal2, 0, decode.Answered), updated(internal2, internal1, decode.Answered, change(dns.Add, "kms1"))}, nil},
		{"quiet for what must be before the update", configured, []decode.Event{updated(dmz1, internal1, decode.Answered, prerequisite)}, nil},
		{"quiet for other services", configured, []decode.Event{updated(dmz1, internal1, decode.Answered, other)}, nil},
		{"quiet without a message", configured, []decode.Event{with(head(dmz1, internal1, 50001, 0), &decode.DNSUpdate{})}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, dnsKMSRegistration{}, c.config, c.events...), c.want...)
		})
	}
}
