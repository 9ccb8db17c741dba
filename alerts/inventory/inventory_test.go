package inventory

import (
	"net/netip"
	"testing"

	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"

	"github.com/google/go-cmp/cmp"
)

var (
	client = netip.MustParseAddr("192.0.2.7")
	server = netip.MustParseAddr("10.0.0.5")
	other  = netip.MustParseAddr("10.0.0.6")
	other6 = netip.MustParseAddr("fd00::6")
)

// head is that of an event between client and server, in that frame, at as many
// nanoseconds.
func head(frame uint64) decode.Head {
	return decode.Head{
		Flow: decode.Flow{Client: decode.Endpoint{Addr: client, Port: 49152}, Server: decode.Endpoint{Addr: server, Port: 135}, Proto: 6},
		At:   decode.Position{Frame: frame},
		Time: int64(frame),
	}
}

func context(u dcerpc.UUID, r dcerpc.Result) dcerpc.ContextItem {
	return dcerpc.ContextItem{Abstract: dcerpc.Syntax{UUID: u, Major: 1}, Answered: true, Result: r}
}

func bind(frame uint64, o decode.Outcome, c ...dcerpc.ContextItem) *decode.Bind {
	e := &decode.Bind{Contexts: c, Outcome: o}
	*e.Head() = head(frame)
	return e
}

func channel(b *decode.Bind, t dcerpc.AuthType) *decode.Bind {
	b.Auth = dcerpc.Auth{Present: true, Type: t, Level: 6}
	return b
}

func exchange(frame uint64, o decode.Outcome, answered bool) *decode.KMSExchange {
	e := &decode.KMSExchange{HasRequest: true, HasResponse: answered, Outcome: o}
	*e.Head() = head(frame)
	return e
}

func lookup(frame uint64, name string, o decode.Outcome, m *dns.Message) *decode.SRVLookup {
	e := &decode.SRVLookup{Name: name, Outcome: o, Message: m}
	*e.Head() = head(frame)
	return e
}

func answer(name string, a ...netip.Addr) *dns.Message {
	return &dns.Message{Response: true, Name: name, Type: 33, SRV: []dns.SRV{{Name: name, Target: "dc1.example.org", Addresses: a}}}
}

func ticket(frame uint64, o decode.Outcome) *decode.KerberosReply {
	e := &decode.KerberosReply{Outcome: o}
	*e.Head() = head(frame)
	return e
}

func search(frame uint64, s decode.LDAPSearch) *decode.LDAPSearch {
	*s.Head() = head(frame)
	return &s
}

func tree(frame uint64, share string, o decode.Outcome) *decode.TreeConnect {
	e := &decode.TreeConnect{Share: share, Outcome: o}
	*e.Head() = head(frame)
	return e
}

func mapped(frame uint64, u dcerpc.UUID, a netip.Addr) *decode.EndpointMapped {
	e := &decode.EndpointMapped{Interface: dcerpc.Syntax{UUID: u, Major: 1}, Addr: a, Known: true, Port: 49664}
	*e.Head() = head(frame)
	return e
}

func TestObserve(t *testing.T) {
	t.Parallel()
	const locator = "_ldap._tcp.dc._msdcs.example.org"
	for _, c := range []struct {
		name   string
		events []decode.Event
		of     netip.Addr
		roles  Roles
		want   []Evidence
	}{
		{"an accepted drsuapi bind proves a domain controller",
			[]decode.Event{bind(4, decode.Accepted, context(DRSUAPI, dcerpc.Acceptance))}, server, DomainController,
			[]Evidence{{Role: DomainController, Grade: Confirmed, What: "accepted a bind to drsuapi", At: decode.Position{Frame: 4}, Time: 4, Last: 4, Count: 1}}},
		{"netlogon is probable only, since members take it too",
			[]decode.Event{bind(4, decode.Accepted, context(Netlogon, dcerpc.Acceptance))}, server, DomainController,
			[]Evidence{{Role: DomainController, Grade: Probable, What: "accepted a bind to netlogon", At: decode.Position{Frame: 4}, Time: 4, Last: 4, Count: 1}}},
		{"netlogon with NTLM is probable only",
			[]decode.Event{channel(bind(4, decode.Accepted, context(Netlogon, dcerpc.Acceptance)), 10)}, server, DomainController,
			[]Evidence{{Role: DomainController, Grade: Probable, What: "accepted a bind to netlogon", At: decode.Position{Frame: 4}, Time: 4, Last: 4, Count: 1}}},
		{"an accepted secure channel proves a domain controller",
			[]decode.Event{channel(bind(4, decode.Accepted, context(Netlogon, dcerpc.Acceptance)), 0x44)}, server, DomainController,
			[]Evidence{{Role: DomainController, Grade: Confirmed, What: "accepted a netlogon secure channel", At: decode.Position{Frame: 4}, Time: 4, Last: 4, Count: 1}}},
		{"the client of a bind has no role",
			[]decode.Event{bind(4, decode.Accepted, context(DRSUAPI, dcerpc.Acceptance))}, client, 0, nil},
		{"an interface that was asked for and rejected says nothing, though the bind was accepted (trap 7b)",
			[]decode.Event{bind(4, decode.Accepted, context(dcerpc.EPMapper, dcerpc.Acceptance), context(DRSUAPI, dcerpc.ProviderRejection))}, server, 0, nil},
		{"a context without an answer says nothing (trap 7b)",
			[]decode.Event{bind(4, decode.Accepted, dcerpc.ContextItem{Abstract: dcerpc.Syntax{UUID: DRSUAPI}})}, server, 0, nil},
		{"bind_nak says nothing",
			[]decode.Event{bind(4, decode.Nak, context(DRSUAPI, dcerpc.Acceptance))}, server, 0, nil},
		{"features acknowledged for an interface are no acceptance (trap 4)",
			[]decode.Event{bind(4, decode.Accepted, context(DRSUAPI, dcerpc.NegotiateAck))}, server, 0, nil},
		{"NDR32 rejected beside NDR64 accepted is an acceptance (trap 5)",
			[]decode.Event{bind(4, decode.Accepted, context(dcerpc.KMS, dcerpc.ProviderRejection), context(dcerpc.KMS, dcerpc.Acceptance))}, server, KMS,
			[]Evidence{{Role: KMS, Grade: Probable, What: "accepted a bind to the KMS interface", At: decode.Position{Frame: 4}, Time: 4, Last: 4, Count: 1}}},
		{"a KMS answer confirms what the bind made probable",
			[]decode.Event{bind(4, decode.Accepted, context(dcerpc.KMS, dcerpc.Acceptance)), exchange(6, decode.Answered, true), exchange(9, decode.Answered, true)}, server, KMS,
			[]Evidence{
				{Role: KMS, Grade: Probable, What: "accepted a bind to the KMS interface", At: decode.Position{Frame: 4}, Time: 4, Last: 4, Count: 1},
				{Role: KMS, Grade: Confirmed, What: "answered a KMS request", At: decode.Position{Frame: 6}, Time: 6, Last: 9, Count: 2}}},
		{"a KMS refusal is an answer of a KMS host",
			[]decode.Event{exchange(6, decode.Refused, true)}, server, KMS,
			[]Evidence{{Role: KMS, Grade: Confirmed, What: "answered a KMS request", At: decode.Position{Frame: 6}, Time: 6, Last: 6, Count: 1}}},
		{"a KMS request without an answer, or with a fault, says nothing",
			[]decode.Event{exchange(6, decode.Unanswered, false), exchange(7, decode.Faulted, false), exchange(8, decode.Unknown, false)}, server, 0, nil},
		{"who answers SRV lookups is a DNS server",
			[]decode.Event{lookup(3, "_sip._tcp.example.org", decode.Answered, &dns.Message{Response: true})}, server, DNSServer,
			[]Evidence{{Role: DNSServer, Grade: Confirmed, What: "answered an SRV lookup", At: decode.Position{Frame: 3}, Time: 3, Last: 3, Count: 1}}},
		{"who answers that there is no such name is a DNS server too",
			[]decode.Event{lookup(3, "_sip._tcp.example.org", decode.Refused, &dns.Message{Response: true, RCode: 3})}, server, DNSServer,
			[]Evidence{{Role: DNSServer, Grade: Confirmed, What: "answered an SRV lookup", At: decode.Position{Frame: 3}, Time: 3, Last: 3, Count: 1}}},
		{"who does not answer is none",
			[]decode.Event{lookup(3, "_sip._tcp.example.org", decode.Unanswered, nil)}, server, 0, nil},
		{"a locator record names a domain controller, on the word of the DNS server",
			[]decode.Event{lookup(3, locator, decode.Answered, answer(locator, other, other6))}, other6, DomainController,
			[]Evidence{{Role: DomainController, Grade: Probable, What: "named by the DNS answer to " + locator, By: server, At: decode.Position{Frame: 3}, Time: 3, Last: 3, Count: 1}}},
		{"a domain controller that serves DNS names itself",
			[]decode.Event{lookup(3, locator, decode.Answered, answer(locator, server))}, server, DNSServer | DomainController,
			[]Evidence{
				{Role: DNSServer, Grade: Confirmed, What: "answered an SRV lookup", At: decode.Position{Frame: 3}, Time: 3, Last: 3, Count: 1},
				{Role: DomainController, Grade: Probable, What: "named by the DNS answer to " + locator, By: server, At: decode.Position{Frame: 3}, Time: 3, Last: 3, Count: 1}}},
		{"an LDAP server of a domain is no domain controller for that",
			[]decode.Event{lookup(3, "_ldap._tcp.example.org", decode.Answered, answer("_ldap._tcp.example.org", other))}, other, 0, nil},
		{"a host named by a KMS record is no KMS host for that",
			[]decode.Event{lookup(3, "_vlmcs._tcp.example.org", decode.Answered, answer("_vlmcs._tcp.example.org", other))}, other, 0, nil},
		{"records of an answer that refuses name nobody",
			[]decode.Event{lookup(3, locator, decode.Refused, answer(locator, other))}, other, 0, nil},
		{"who issues tickets is a domain controller",
			[]decode.Event{ticket(3, decode.Answered), ticket(5, decode.Answered)}, server, DomainController,
			[]Evidence{{Role: DomainController, Grade: Confirmed, What: "issued a Kerberos ticket", At: decode.Position{Frame: 3}, Time: 3, Last: 5, Count: 2}}},
		{"who refuses one is probably",
			[]decode.Event{ticket(3, decode.Refused), ticket(4, decode.Unanswered)}, server, DomainController,
			[]Evidence{{Role: DomainController, Grade: Probable, What: "answered a Kerberos request with an error", At: decode.Position{Frame: 3}, Time: 3, Last: 3, Count: 1}}},
		{"who answers a netlogon ping is one",
			[]decode.Event{search(3, decode.LDAPSearch{NetlogonPing: true, Outcome: decode.Answered, Entries: 1})}, server, DomainController,
			[]Evidence{{Role: DomainController, Grade: Confirmed, What: "answered a netlogon ping", At: decode.Position{Frame: 3}, Time: 3, Last: 3, Count: 1}}},
		{"but not who has nothing to say to it",
			[]decode.Event{search(3, decode.LDAPSearch{NetlogonPing: true, Outcome: decode.Answered}), search(4, decode.LDAPSearch{NetlogonPing: true, Outcome: decode.Unanswered})}, server, 0, nil},
		{"every directory tells its root DSE, so that is a hint only",
			[]decode.Event{search(3, decode.LDAPSearch{RootDSE: true, Outcome: decode.Answered, Entries: 1}), search(4, decode.LDAPSearch{Base: "dc=x", Outcome: decode.Answered, Entries: 1})}, server, 0,
			[]Evidence{{Role: DomainController, Grade: Hint, What: "answered a search of the root DSE", At: decode.Position{Frame: 3}, Time: 3, Last: 3, Count: 1}}},
		{"who has a SYSVOL is probably one",
			[]decode.Event{tree(3, "SYSVOL", decode.Accepted), tree(4, "IPC$", decode.Accepted)}, server, DomainController,
			[]Evidence{{Role: DomainController, Grade: Probable, What: "let a client connect to its share SYSVOL", At: decode.Position{Frame: 3}, Time: 3, Last: 3, Count: 1}}},
		{"who refuses to give it need not have it",
			[]decode.Event{tree(3, "SYSVOL", decode.Rejected), tree(4, "NETLOGON", decode.Unanswered)}, server, 0, nil},
		{"who maps drsuapi is probably one, whatever address the tower has",
			[]decode.Event{mapped(3, DRSUAPI, netip.IPv4Unspecified()), mapped(4, DRSUAPI, server), mapped(5, DRSUAPI, netip.Addr{})}, server, DomainController,
			[]Evidence{{Role: DomainController, Grade: Probable, What: "maps an endpoint of drsuapi", At: decode.Position{Frame: 3}, Time: 3, Last: 5, Count: 3}}},
		{"of another the mapper's word is a hint",
			[]decode.Event{mapped(3, DRSUAPI, other)}, other, 0,
			[]Evidence{{Role: DomainController, Grade: Hint, What: "named as an endpoint of drsuapi", By: server, At: decode.Position{Frame: 3}, Time: 3, Last: 3, Count: 1}}},
		{"that KMS is mapped is a hint",
			[]decode.Event{mapped(3, dcerpc.KMS, server), mapped(4, dcerpc.EPMapper, server)}, server, 0,
			[]Evidence{{Role: KMS, Grade: Hint, What: "named as an endpoint of the KMS interface", At: decode.Position{Frame: 3}, Time: 3, Last: 3, Count: 1}}},
		{"addresses that are no host's are not learnt",
			[]decode.Event{lookup(3, locator, decode.Answered, answer(locator, netip.IPv4Unspecified()))}, netip.IPv4Unspecified(), 0, nil},
		{"an IPv4 address mapped into IPv6 is the same host",
			[]decode.Event{bind(4, decode.Accepted, context(DRSUAPI, dcerpc.Acceptance))}, netip.AddrFrom16(server.As16()), DomainController,
			[]Evidence{{Role: DomainController, Grade: Confirmed, What: "accepted a bind to drsuapi", At: decode.Position{Frame: 4}, Time: 4, Last: 4, Count: 1}}},
	} {
		v := New(Config{})
		for _, e := range c.events {
			v.Observe(e)
		}
		if got := v.Roles(c.of); got != c.roles {
			t.Errorf("%s: roles %v, want %v", c.name, got, c.roles)
		}
		if d := cmp.Diff(c.want, v.Evidence(c.of), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		var best Grade
		for _, e := range c.want {
			if e.Role == DomainController {
				best = max(best, e.Grade)
			}
		}
		if got := v.Grade(c.of, DomainController); got != best {
			t.Errorf("%s: grade %v, want %v", c.name, got, best)
		}
	}
}

func TestConfigured(t *testing.T) {
	t.Parallel()
	management := netip.MustParseAddr("10.9.0.5")
	v := New(Config{
		KMSHosts: []KMSHost{
			{Name: "kms1", Addresses: []netip.Addr{server}, Management: management, Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Ports: []uint16{1688, 1689}},
			{Name: "kms2", Addresses: []netip.Addr{other}},
		},
		DomainControllers: []netip.Addr{other},
		DNSServers:        []netip.Addr{other6},
	})
	for _, a := range []netip.Addr{server, management, netip.AddrFrom16(server.As16())} {
		if h, ok := v.KMSHost(a); !ok || h.Name != "kms1" {
			t.Errorf("KMSHost(%v) is %v, %v", a, h, ok)
		}
	}
	if h, ok := v.KMSHost(client); ok || h != nil {
		t.Errorf("KMSHost(client) is %v", h)
	}
	h, _ := v.KMSHost(server)
	if !h.Allows(netip.MustParseAddr("::ffff:10.2.3.4")) || h.Allows(client) {
		t.Error("allowed clients")
	}
	if !h.Serves(1689) || h.Serves(135) || !v.IsKMSPort(server, 1689) || v.IsKMSPort(other, 1689) || !v.IsKMSPort(client, 1688) {
		t.Error("ports")
	}
	h, _ = v.KMSHost(other)
	if !h.Allows(client) || !h.Serves(DefaultPort) || h.Serves(1689) {
		t.Error("without clients and ports everybody may, on 1688")
	}
	if r := v.Roles(other); r != KMS|DomainController || r.String() != "KMS host, domain controller" {
		t.Errorf("roles %v", r)
	}
	if v.Roles(client).String() != "none" || v.Grade(other6, DNSServer) != Configured || v.Configured(server) != KMS {
		t.Error("roles")
	}
	v.Observe(bind(4, decode.Accepted, context(DRSUAPI, dcerpc.Acceptance)))
	want := []Evidence{
		{Role: KMS, Grade: Configured, What: "named in the configuration"},
		{Role: DomainController, Grade: Confirmed, What: "accepted a bind to drsuapi", At: decode.Position{Frame: 4}, Time: 4, Last: 4, Count: 1},
	}
	if d := cmp.Diff(want, v.Evidence(server), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Error(d)
	}
	if !v.NamesDomainControllers() || New(Config{}).NamesDomainControllers() {
		t.Error("domain controllers are named, or not")
	}
	if v.Configured(server) != KMS {
		t.Error("what is observed is not configured")
	}
}

func TestTheTableOfHostsIsBounded(t *testing.T) {
	t.Parallel()
	v := New(Config{Hosts: 3, DomainControllers: []netip.Addr{client}})
	at := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, 0, i}) }
	see := func(i byte) {
		e := bind(uint64(i), decode.Accepted, context(DRSUAPI, dcerpc.Acceptance))
		e.Head().Flow.Server.Addr = at(i)
		v.Observe(e)
	}
	for _, i := range []byte{1, 2, 3, 1, 4} { // 2 is the one not seen for longest
		see(i)
	}
	if n, evicted := v.Hosts(); n != 3 || evicted != 1 {
		t.Errorf("%d hosts, %d evicted", n, evicted)
	}
	for i, want := range map[byte]Roles{1: DomainController, 2: 0, 3: DomainController, 4: DomainController} {
		if got := v.Roles(at(i)); got != want {
			t.Errorf("host %d: %v", i, got)
		}
	}
	if v.Roles(client) != DomainController {
		t.Error("what is configured is never evicted")
	}
}

func TestOneAnswerNamesAFewHostsOnly(t *testing.T) {
	t.Parallel()
	const name = "_gc._tcp.example.org"
	var a []netip.Addr
	for i := range 1000 {
		a = append(a, netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}))
	}
	v := New(Config{})
	v.Observe(lookup(3, name, decode.Answered, answer(name, a...)))
	if n, _ := v.Hosts(); n != namedAtMost+1 { // and the DNS server
		t.Errorf("%d hosts", n)
	}
}

func TestIsLocator(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"_ldap._tcp.dc._msdcs.example.org":                                           true,
		"_kerberos._tcp.dc._msdcs.example.org":                                       true,
		"_ldap._tcp.site._sites.dc._msdcs.example.org":                               true,
		"_ldap._tcp.pdc._msdcs.example.org":                                          true,
		"_ldap._tcp.0e3a1c2b-0000-0000-0000-000000000000.domains._msdcs.example.org": true,
		"_gc._tcp.example.org":                                                       true,
		"_ldap._tcp.example.org":                                                     false,
		"_kerberos._udp.example.org":                                                 false,
		"_vlmcs._tcp.example.org":                                                    false,
		"_vlmcs._tcp.x._msdcs.example.org":                                           false,
		"":                                                                           false,
	} {
		if IsLocator(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestObserveAllocatesNothingForWhatIsKnown(t *testing.T) {
	const name = "_ldap._tcp.dc._msdcs.example.org"
	v := New(Config{})
	events := []decode.Event{
		bind(4, decode.Accepted, context(DRSUAPI, dcerpc.Acceptance)),
		exchange(5, decode.Answered, true),
		lookup(6, name, decode.Answered, answer(name, other)),
		new(decode.Call),
		ticket(7, decode.Answered),
		search(8, decode.LDAPSearch{NetlogonPing: true, Outcome: decode.Answered, Entries: 1}),
		tree(9, "SYSVOL", decode.Accepted),
		mapped(10, DRSUAPI, other),
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, e := range events {
			v.Observe(e)
		}
		v.Roles(server)
		v.KMSHost(server)
		v.Grade(server, DomainController)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	for _, c := range []struct {
		name string
		e    decode.Event
	}{
		{"bind", bind(4, decode.Accepted, context(DRSUAPI, dcerpc.Acceptance))},
		{"exchange", exchange(5, decode.Answered, true)},
		{"call", new(decode.Call)},
	} {
		b.Run(c.name, func(b *testing.B) {
			v := New(Config{})
			b.ReportAllocs()
			for b.Loop() {
				v.Observe(c.e)
			}
		})
	}
}

func TestReconfigureKeepsWhatWasObserved(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	v := New(Config{DNSServers: []netip.Addr{a}, DomainControllers: []netip.Addr{a}})
	e := &decode.KMSExchange{HasResponse: true, Outcome: decode.Answered}
	e.Head().Flow.Server.Addr = b
	v.Observe(e)
	v.Reconfigure(Config{KMSHosts: []KMSHost{{Name: "kms", Addresses: []netip.Addr{a}}}})
	if got := v.Roles(a); got != KMS {
		t.Errorf("configured: %v", got)
	}
	if got := v.Roles(b); got != KMS || v.Configured(b) != 0 {
		t.Errorf("observed: %v", got)
	}
	if v.NamesDomainControllers() || len(v.KMSHosts()) != 1 {
		t.Error("the configuration before is still there")
	}
}
