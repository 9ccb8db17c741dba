package rules

import (
	"net/netip"
	"slices"
	"testing"

	"kmswatch/decode"
	"kmswatch/decode/dns"
)

const vlmcs = "_vlmcs._tcp.corp.example"

// lookup is an SRV lookup; without records it was not answered but with rcode.
func lookup(client, server, name string, second int, o decode.Outcome, records ...dns.SRV) *decode.SRVLookup {
	e := &decode.SRVLookup{Ask: decode.Position{Frame: uint64(second + 1)}, Name: name, Outcome: o}
	switch o {
	case decode.Answered:
		e.Message = &dns.Message{Response: true, Name: name, Type: 33, SRV: records}
	case decode.Refused:
		e.Message = &dns.Message{Response: true, Name: name, Type: 33, RCode: 5}
	}
	*e.Head() = head(client, server+":53", 50001, second)
	e.Head().Flow.Proto = 17
	return e
}

// srv is a record for KMS in an answer.
func srv(target string, port uint16, addresses ...string) dns.SRV {
	r := dns.SRV{Name: vlmcs, TTL: 3600, Port: port, Target: target, Section: dns.Answer}
	for _, a := range addresses {
		r.Addresses = append(r.Addresses, netip.MustParseAddr(a))
	}
	return r
}

func TestNamesOfServices(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		kms, dc bool
	}{
		{"_vlmcs._tcp.corp.example", true, false},
		{"_vlmcs._tcp", true, false},
		{"_vlmcs._tcpx.corp.example", false, false},
		{"x._vlmcs._tcp.corp.example", false, false},
		{"_ldap._tcp.dc._msdcs.corp.example", false, true},
		{"_ldap._tcp.dc._msdcs", false, true},
		{"_ldap._tcp.berlin._sites.dc._msdcs.corp.example", false, true},
		{"_kerberos._tcp.corp.example", false, true},
		{"_kerberos._udp.corp.example", false, true},
		{"_gc._tcp.corp.example", false, true},
		{"_kpasswd._udp.corp.example", false, true},
		{"_ldap._tcp.corp.example", false, false},
		{"_sip._tcp.corp.example", false, false},
		{"", false, false},
	} {
		if kms, dc := isKMSName(c.name), isDCName(c.name); kms != c.kms || dc != c.dc {
			t.Errorf("%q: KMS %v, domain controller %v", c.name, kms, dc)
		}
	}
}

func TestLongAnswersAreCutInFacts(t *testing.T) {
	t.Parallel()
	var records []dns.SRV
	for i := range 20 {
		records = append(records, srv("kms", uint16(i/2)))
	}
	got := targets(records)
	if len(got) != shown+1 || got[0] != "kms:0" || got[1] != "kms:1" || got[shown] != "and 2 more" {
		t.Errorf("got %q", got)
	}
	all := []string{"a", "b"}
	if got := few(all); !slices.Equal(got, all) || &got[0] == &all[0] {
		t.Errorf("got %q, or the event's own slice", got)
	}
}
