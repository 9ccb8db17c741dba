package rules

import (
	"net/netip"
	"slices"
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"
)

func TestKMSOnDomainController(t *testing.T) {
	t.Parallel()
	const locator = "_ldap._tcp.dc._msdcs.example.org"
	lookup := func(server string, second int, name string, a ...string) decode.Event {
		m := &dns.Message{Response: true, Name: name, Type: 33, SRV: []dns.SRV{{Name: name, Target: "dc1.example.org", Port: 389}}}
		for _, a := range a {
			m.SRV[0].Addresses = append(m.SRV[0].Addresses, netip.MustParseAddr(a))
		}
		return with(head(internal2, server+":53", 50001, second), &decode.SRVLookup{Name: name, Outcome: decode.Answered, Message: m})
	}
	accepted := func(second int, u dcerpc.UUID) decode.Event {
		return bindOf(internal2, internal1+":49667", second, decode.Accepted, context(0, u, dcerpc.Acceptance))
	}
	const found = "10.0.0.1 (internal) serves KMS and acts as a domain controller"
	for _, c := range []struct {
		name   string
		hosts  *inventory.Inventory
		events []decode.Event
		want   []want
	}{
		{"KMS, then drsuapi", nil, []decode.Event{kmsBind(dmz1, internal1, 0), exchange(dmz1, internal1, 1, decode.Answered), accepted(5, inventory.DRSUAPI)},
			[]want{{alerts.High, 1, found, map[string]any{"host": internal1}}}},
		{"drsuapi, then KMS", nil, []decode.Event{accepted(5, inventory.DRSUAPI), exchange(dmz1, internal1, 6, decode.Answered)}, []want{{alerts.High, 1, found, nil}}},
		{"KMS accepted is graded lower until it is answered", nil, []decode.Event{accepted(5, inventory.DRSUAPI), kmsBind(dmz1, internal1, 6)}, []want{{alerts.Medium, 1, found, nil}}},
		{"and rises then", nil, []decode.Event{accepted(5, inventory.DRSUAPI), kmsBind(dmz1, internal1, 6), exchange(dmz1, internal1, 7, decode.Answered)}, []want{{alerts.High, 2, found, nil}}},
		{"a netlogon bind alone is graded lower, since members take it", nil, []decode.Event{exchange(dmz1, internal1, 6, decode.Answered), accepted(7, inventory.Netlogon)}, []want{{alerts.Medium, 1, found, nil}}},
		{"a configured domain controller", inventory.New(inventory.Config{DomainControllers: []netip.Addr{netip.MustParseAddr(internal1)}}),
			[]decode.Event{exchange(dmz1, internal1, 6, decode.Answered)}, []want{{alerts.High, 1, found, nil}}},
		{"a configured KMS host", listed(), []decode.Event{accepted(7, inventory.DRSUAPI)}, []want{{alerts.High, 1, found, nil}}},
		{"a domain controller that names itself", nil, []decode.Event{exchange(dmz1, internal1, 6, decode.Answered), lookup(internal1, 7, locator, internal1)}, []want{{alerts.Medium, 1, found, nil}}},
		{"one that another DNS server names", nil, []decode.Event{exchange(dmz1, internal1, 6, decode.Answered), lookup(manage1, 7, locator, "10.0.0.99", internal1)}, []want{{alerts.Medium, 1, found, nil}}},
		{"named first", nil, []decode.Event{lookup(manage1, 5, locator, internal1), exchange(dmz1, internal1, 6, decode.Answered)}, []want{{alerts.Medium, 1, found, nil}}},
		{"one that issues tickets", nil,
			[]decode.Event{exchange(dmz1, internal1, 6, decode.Answered), with(head(internal2, internal1+":88", 50001, 7), &decode.KerberosReply{Outcome: decode.Answered})}, []want{{alerts.High, 1, found, nil}}},
		{"one that refuses a ticket is graded lower", nil,
			[]decode.Event{with(head(internal2, internal1+":88", 50001, 5), &decode.KerberosReply{Outcome: decode.Refused}), exchange(dmz1, internal1, 6, decode.Answered)}, []want{{alerts.Medium, 1, found, nil}}},
		{"one that answers a netlogon ping", nil,
			[]decode.Event{exchange(dmz1, internal1, 6, decode.Answered), with(head(internal2, internal1+":389", 50001, 7), &decode.LDAPSearch{NetlogonPing: true, Outcome: decode.Answered, Entries: 1})}, []want{{alerts.High, 1, found, nil}}},
		{"one that has a SYSVOL is graded lower", nil,
			[]decode.Event{exchange(dmz1, internal1, 6, decode.Answered), tree(internal2, internal1, 7, "SYSVOL", alice, decode.Accepted)}, []want{{alerts.Medium, 1, found, nil}}},
		{"one whose mapper names drsuapi is graded lower", nil,
			[]decode.Event{exchange(dmz1, internal1, 6, decode.Answered), with(head(internal2, internal1, 50001, 7), &decode.EndpointMapped{Interface: dcerpc.Syntax{UUID: inventory.DRSUAPI}, Known: true, Port: 49664})}, []want{{alerts.Medium, 1, found, nil}}},
		{"what its own traffic told is not told again by a lookup", nil,
			[]decode.Event{accepted(5, inventory.DRSUAPI), exchange(dmz1, internal1, 6, decode.Answered), lookup(manage1, 7, locator, internal1)}, []want{{alerts.High, 1, found, nil}}},

		{"quiet for a directory that tells its root DSE", nil,
			[]decode.Event{exchange(dmz1, internal1, 6, decode.Answered), with(head(internal2, internal1+":389", 50001, 7), &decode.LDAPSearch{RootDSE: true, Outcome: decode.Answered, Entries: 1})}, nil},
		{"quiet for other shares, and for what is refused", nil,
			[]decode.Event{exchange(dmz1, internal1, 6, decode.Answered), tree(internal2, internal1, 7, "IPC$", alice, decode.Accepted), tree(internal2, internal1, 8, "SYSVOL", alice, decode.Rejected)}, nil},
		{"quiet for two hosts", nil, []decode.Event{exchange(dmz1, internal2, 1, decode.Answered), accepted(5, inventory.DRSUAPI)}, nil},
		{"quiet where drsuapi is rejected", nil, []decode.Event{exchange(dmz1, internal1, 1, decode.Answered), bindOf(dmz1, internal1, 5, decode.Rejected, context(0, inventory.DRSUAPI, dcerpc.ProviderRejection))}, nil},
		{"quiet where drsuapi is rejected beside another interface (trap 7b)", nil,
			[]decode.Event{exchange(dmz1, internal1, 1, decode.Answered), bindOf(dmz1, internal1, 5, decode.Accepted, context(0, samr, dcerpc.Acceptance), context(1, inventory.DRSUAPI, dcerpc.ProviderRejection))}, nil},
		{"quiet where KMS only was asked for", nil, []decode.Event{exchange(dmz1, internal1, 1, decode.Unanswered), accepted(5, inventory.DRSUAPI)}, nil},
		{"quiet for the records of any LDAP server", nil, []decode.Event{exchange(dmz1, internal1, 1, decode.Answered), lookup(internal1, 7, "_ldap._tcp.example.org", internal1)}, nil},
		{"quiet for the client", nil, []decode.Event{exchange(internal2, manage1, 1, decode.Answered), accepted(5, inventory.DRSUAPI)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, newKMSOnDomainController(), alerts.Config{Inventory: c.hosts}, c.events...), c.want...)
		})
	}
	got := evaluate(t, newKMSOnDomainController(), alerts.Config{}, exchange(dmz1, internal1, 1, decode.Answered), lookup(internal1, 7, locator, internal1))
	if s, _ := factOf(got[0], "evidence").([]string); !slices.Equal(s, []string{
		"KMS host, confirmed: answered a KMS request in frame 3",
		"domain controller, probable: named by the DNS answer to _ldap._tcp.dc._msdcs.example.org by 10.0.0.1 in frame 9",
	}) {
		t.Errorf("evidence: %q", s)
	}
	got = evaluate(t, newKMSOnDomainController(), alerts.Config{}, exchange(dmz1, internal1, 1, decode.Answered), accepted(7, inventory.DRSUAPI))
	if f := got[0].Frames; len(f) != 3 || f[0].Number != 3 || f[1].Number != 8 || f[2].Number != 9 {
		t.Errorf("frames: %v", f)
	}
}
