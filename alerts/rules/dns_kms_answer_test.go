package rules

import (
	"net/netip"
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dns"
)

func TestDNSKMSAnswer(t *testing.T) {
	t.Parallel()
	host := inventory.KMSHost{
		Name: "kms1", Addresses: []netip.Addr{netip.MustParseAddr(internal2), netip.MustParseAddr("fd00::2")}, Ports: []uint16{1688, 1689},
	}
	nameless := host
	nameless.Name = ""
	const rogue = "rogue.corp.example"
	answer := func(r ...dns.SRV) *decode.SRVLookup {
		return lookup(internal1, internal1, vlmcs, 0, decode.Answered, r...)
	}
	elsewhere := srv(rogue, 1688, outside1)
	elsewhere.Name = "_other._tcp.corp.example"
	additional := elsewhere
	additional.Section = dns.Additional
	for _, c := range []struct {
		name  string
		hosts *inventory.KMSHost
		event *decode.SRVLookup
		want  []want
	}{
		{"an address that is no KMS host's", &host, answer(srv(rogue, 1688, dmz2)),
			[]want{{alerts.High, 1, "the DNS server 10.0.0.1 (internal) told 10.0.0.1 (internal) that KMS is at rogue.corp.example port 1688 (192.0.2.8), and the inventory has no KMS host at such an address",
				map[string]any{"srv_target": rogue, "srv_port": uint64(1688), "srv_zone": "dmz"}}}},
		{"one address of two", &host, answer(srv("kms1.corp.example", 1688, internal2, outside1)), []want{{alerts.High, 1, "", nil}}},
		{"a port that the host does not serve", &host, answer(srv("kms1.corp.example", 8443, internal2)),
			[]want{{alerts.High, 1, "the DNS server 10.0.0.1 (internal) told 10.0.0.1 (internal) that KMS is at kms1.corp.example port 8443 (10.0.0.2), and the inventory has another port for it", nil}}},
		{"a name that is no KMS host's", &host, answer(srv(rogue, 1688)),
			[]want{{alerts.High, 1, "the DNS server 10.0.0.1 (internal) told 10.0.0.1 (internal) that KMS is at rogue.corp.example port 1688, and the inventory has no such KMS host", nil}}},
		{"a known name with another port", &host, answer(srv("kms1.corp.example", 8443)), []want{{alerts.High, 1, "", nil}}},
		{"each foreign target", &host, answer(srv("kms1.corp.example", 1688), srv(rogue, 1688), srv("b."+rogue, 1688)),
			[]want{{alerts.High, 1, "", map[string]any{"srv_target": rogue}}, {alerts.High, 1, "", map[string]any{"srv_target": "b." + rogue}}}},
		{"the record that an alias leads to", &host, answer(elsewhere), []want{{alerts.High, 1, "", nil}}},
		{"anything, to be known, where no KMS host is configured", nil, answer(srv(rogue, 1688, dmz2)),
			[]want{{alerts.Informational, 1, "the DNS server 10.0.0.1 (internal) told 10.0.0.1 (internal) that KMS is at rogue.corp.example port 1688 (192.0.2.8), and no KMS host is configured", nil}}},

		{"quiet for the host, its ports and addresses", &host, answer(srv("kms1.corp.example", 1688, internal2, "fd00::2"), srv("other.name", 1689, "fd00::2"), srv("KMS1.corp.example", 1688)), nil},
		{"quiet for a name without addresses, where a host is configured without a name", &nameless, answer(srv(rogue, 1688)), nil},
		{"quiet for a service that is said not to be", &host, answer(srv(".", 0)), nil},
		{"quiet for other services", &host, lookup(internal1, internal1, "_other._tcp.corp.example", 0, decode.Answered, elsewhere), nil},
		{"quiet for what stands beside the answer", &host, answer(additional), nil},
		{"quiet for a refusal", &host, lookup(internal1, internal1, vlmcs, 0, decode.Refused), nil},
		{"quiet for silence", &host, lookup(internal1, internal1, vlmcs, 0, decode.Unanswered), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var config alerts.Config
			if c.hosts != nil {
				config.Inventory = kmsHost(*c.hosts)
			}
			check(t, evaluate(t, dnsKMSAnswer{}, config, c.event), c.want...)
		})
	}
}
