package zone

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func prefixes(s ...string) (p []netip.Prefix) {
	for _, s := range s {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func TestLookup(t *testing.T) {
	t.Parallel()
	table, err := New(
		Zone{"internal", 50, prefixes("10.0.0.0/8", "fd00::/8")},
		Zone{"management", 80, prefixes("10.9.0.0/16", "10.9.9.9/32", "fd00:9::/32")},
		Zone{"dmz", 20, prefixes("192.0.2.0/24", "10.9.8.0/24")},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, addr, zone string }{
		{"in a network", "10.1.2.3", "internal"},
		{"the longer prefix wins", "10.9.1.1", "management"},
		{"the longest prefix wins", "10.9.8.1", "dmz"},
		{"first address of a network", "192.0.2.0", "dmz"},
		{"last address of a network", "192.0.2.255", "dmz"},
		{"one past a network", "192.0.3.0", Unknown},
		{"IPv6", "fd00::1", "internal"},
		{"the longer IPv6 prefix", "fd00:9::1", "management"},
		{"IPv6 with a scope zone", "fd00::1%eth0", "internal"},
		{"IPv4 mapped into IPv6", "::ffff:10.9.1.1", "management"},
		{"IPv4-compatible is not mapped", "::10.9.1.1", Unknown},
		{"in no network", "8.8.8.8", Unknown},
		{"no address at all", "", Unknown},
	} {
		var a netip.Addr
		if c.addr != "" {
			a = netip.MustParseAddr(c.addr)
		}
		if z := table.Lookup(a); z.Name != c.zone {
			t.Errorf("%s: %s is in %s, want %s", c.name, c.addr, z.Name, c.zone)
		}
	}
	if z := table.Lookup(netip.MustParseAddr("8.8.8.8")); z.Trust != 0 {
		t.Errorf("unknown has trust %d", z.Trust)
	}
	if z := table.Zone("dmz"); z == nil || z != table.Lookup(netip.MustParseAddr("192.0.2.1")) {
		t.Errorf("Zone(dmz) is %v", z)
	}
	if table.Zone("nowhere") != nil || table.Zone(Unknown) == nil {
		t.Error("Zone of a name")
	}
}

func TestClimbsAndCrosses(t *testing.T) {
	t.Parallel()
	low, high, same := &Zone{Name: "dmz", Trust: 20}, &Zone{Name: "internal", Trust: 50}, &Zone{Name: "office", Trust: 50}
	for _, c := range []struct {
		name            string
		client, server  *Zone
		climbs, crosses bool
	}{
		{"up", low, high, true, true},
		{"down", high, low, false, true},
		{"across at equal trust", high, same, false, true},
		{"within", low, low, false, false},
	} {
		if c.client.Climbs(c.server) != c.climbs || c.client.Crosses(c.server) != c.crosses {
			t.Errorf("%s: climbs %v, crosses %v", c.name, c.client.Climbs(c.server), c.client.Crosses(c.server))
		}
	}
}

func TestDefault(t *testing.T) {
	t.Parallel()
	table := Default()
	for _, s := range []string{"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1", "127.0.0.1", "fd12::1", "fe80::1", "::1"} {
		if z := table.Lookup(netip.MustParseAddr(s)); z.Name != "internal" || z.Trust != 50 {
			t.Errorf("%s is in %s", s, z.Name)
		}
	}
	for _, s := range []string{"172.32.0.1", "192.0.2.1", "2001:db8::1", "100.64.0.1"} {
		if z := table.Lookup(netip.MustParseAddr(s)); z.Name != Unknown {
			t.Errorf("%s is in %s", s, z.Name)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		zones []Zone
		want  []string
	}{
		{"a network of two zones", []Zone{{"a", 1, prefixes("10.0.0.0/8")}, {"b", 2, prefixes("10.0.0.0/8")}},
			[]string{"zone b: network 10.0.0.0/8 is in zone a already; a network belongs to one zone; a longer prefix may belong to another"}},
		{"a network twice", []Zone{{"a", 1, prefixes("10.0.0.0/8", "10.0.0.0/8")}},
			[]string{"zone a: network 10.0.0.0/8 is given twice; remove one"}},
		{"host bits", []Zone{{"a", 1, prefixes("10.1.0.0/8")}},
			[]string{"zone a: network 10.1.0.0/8 has host bits set; did you mean 10.0.0.0/8, or 10.1.0.0/32 for the one host?"}},
		{"a network that is none", []Zone{{"a", 1, []netip.Prefix{{}}}}, []string{"zone a: invalid network"}},
		{"a zone twice, a zone without a name, trust out of range", []Zone{{Name: "a"}, {Name: "a", Trust: 101}, {}},
			[]string{"zone a is given twice; put all its networks under the first",
				"zone a: trust 101 is not within 0 to 100; 0 is trusted least, 100 most",
				"zone 3 has no name; give it one: name: dmz"}},
		{"the reserved name", []Zone{{Name: Unknown}},
			[]string{"zone unknown is that of addresses in no network; choose another name; to place all other addresses use 0.0.0.0/0 and ::/0"}},
	} {
		table, err := New(c.zones...)
		if table != nil || err == nil || err.Error() != strings.Join(c.want, "\n") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestParseNetwork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"fd00::/8", "fd00::/8"},
		{"192.0.2.1", "192.0.2.1/32"},
		{"2001:db8::1", "2001:db8::1/128"},
		{"::ffff:192.0.2.1", "192.0.2.1/32"},
		{"10.1.2.3/8", "network 10.1.2.3/8 has host bits set; did you mean 10.0.0.0/8, or 10.1.2.3/32 for the one host?"},
		{"::ffff:10.0.0.0/104", "network ::ffff:10.0.0.0/104 is IPv4 mapped into IPv6; did you mean 10.0.0.0/8?"},
		{"10.0.0.0/33", `"10.0.0.0/33" is no network; write an address and the length of its prefix: 10.0.0.0/8 or fd00::/8`},
		{"10.0.0/8", `"10.0.0/8" is no network; write an address and the length of its prefix: 10.0.0.0/8 or fd00::/8`},
		{"fe80::1%eth0", `"fe80::1%eth0" is no network; write an address and the length of its prefix: 10.0.0.0/8 or fd00::/8`},
		{"", `"" is no network; write an address and the length of its prefix: 10.0.0.0/8 or fd00::/8`},
	} {
		p, err := ParseNetwork(c.in)
		got := p.String()
		if err != nil {
			got = err.Error()
			var e *Error
			if !errors.As(err, &e) || p.IsValid() {
				t.Errorf("%q: error is %T, network %v", c.in, err, p)
			}
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.in, got, c.want)
		}
	}
}

// many is a table of 10,000 networks, as the largest sites have them.
func many(tb testing.TB) *Table {
	z := []Zone{{Name: "internal", Trust: 50}, {Name: "dmz", Trust: 20}}
	for i := range 10_000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0})
		z[i%2].Networks = append(z[i%2].Networks, netip.PrefixFrom(a, 24))
	}
	t, err := New(z...)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func TestLookupAllocatesNothing(t *testing.T) {
	table := many(t)
	for _, s := range []string{"10.1.2.3", "::ffff:10.1.2.3", "192.0.2.1", "fe80::1%eth0"} {
		a := netip.MustParseAddr(s)
		if n := testing.AllocsPerRun(100, func() { table.Lookup(a) }); n != 0 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	table := many(b)
	for _, s := range []string{"10.1.2.3", "::ffff:10.1.2.3", "192.0.2.1", "2001:db8::1"} {
		a := netip.MustParseAddr(s)
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Lookup(a)
			}
		})
	}
}

func ExampleTable_Lookup() {
	t, _ := New(Zone{Name: "dmz", Trust: 20, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	fmt.Println(t.Lookup(netip.MustParseAddr("192.0.2.7")).Name, t.Lookup(netip.MustParseAddr("198.51.100.7")).Name)
	// Output: dmz unknown
}
