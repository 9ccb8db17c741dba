// Package zone knows the security zone of every address. A zone is a name, a
// trust and networks; the longest prefix wins, and an address in no network is
// in the zone unknown, trust 0. It is given parsed networks, by the
// configuration, and gives a Table that any number of goroutines may read.
package zone

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// Unknown is the name of the zone of an address that is in no network.
const Unknown = "unknown"

// MaxTrust is the highest trust; the lowest is 0.
const MaxTrust = 100

// Zone is a part of the network whose hosts are trusted alike.
type Zone struct {
	Name     string
	Trust    int            // 0 to MaxTrust
	Networks []netip.Prefix // without host bits, IPv4 not mapped into IPv6
}

// Climbs says whether a flow from a client in z to a server in the given zone
// climbs: the client's zone is trusted less than the server's.
func (z *Zone) Climbs(server *Zone) bool { return z.Trust < server.Trust }

// Crosses says whether a flow from a client in z to a server in the given zone
// leaves the zone.
func (z *Zone) Crosses(server *Zone) bool { return z.Name != server.Name }

// Table finds the zone of an address. It does not change once made and is safe
// for concurrent use.
type Table struct {
	prefixes bart.Fast[*Zone]
	zones    []*Zone // in the order given; unknown last
	unknown  *Zone
}

// New makes the table of the zones. Its error joins one *Error for each thing
// that is wrong.
func New(zones ...Zone) (*Table, error) {
	t := &Table{unknown: &Zone{Name: Unknown}}
	var errs []error
	bad := func(z, n int, hint, format string, args ...any) {
		errs = append(errs, &Error{Zone: z, Network: n, Text: fmt.Sprintf(format, args...), Hint: hint})
	}
	for i, given := range zones {
		z := &Zone{Name: given.Name, Trust: given.Trust, Networks: slices.Clone(given.Networks)}
		switch {
		case z.Name == "":
			bad(i, -1, "give it one: name: dmz", "zone %d has no name", i+1)
		case z.Name == Unknown:
			bad(i, -1, "choose another name; to place all other addresses use 0.0.0.0/0 and ::/0",
				"zone %s is that of addresses in no network", Unknown)
		case slices.ContainsFunc(t.zones, func(o *Zone) bool { return o.Name == z.Name }):
			bad(i, -1, "put all its networks under the first", "zone %s is given twice", z.Name)
		}
		if z.Trust < 0 || z.Trust > MaxTrust {
			bad(i, -1, "0 is trusted least, 100 most", "zone %s: trust %d is not within 0 to %d", z.Name, z.Trust, MaxTrust)
		}
		for n, p := range z.Networks {
			if err := check(p); err != nil {
				bad(i, n, err.(*Error).Hint, "zone %s: %s", z.Name, err.(*Error).Text)
				continue
			}
			if other, taken := t.prefixes.Get(p); taken {
				if other == z {
					bad(i, n, "remove one", "zone %s: network %s is given twice", z.Name, p)
				} else {
					bad(i, n, "a network belongs to one zone; a longer prefix may belong to another",
						"zone %s: network %s is in zone %s already", z.Name, p, other.Name)
				}
				continue
			}
			t.prefixes.Insert(p, z)
		}
		t.zones = append(t.zones, z)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	t.zones = append(t.zones, t.unknown)
	return t, nil
}

// Default is the table without a configuration: private, link-local and
// loopback addresses are internal (RFC 1918, 3927, 4193, 4291), trust 50, and
// the rest unknown.
func Default() *Table {
	z := Zone{Name: "internal", Trust: 50}
	for _, s := range [...]string{
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8",
		"fc00::/7", "fe80::/10", "::1/128",
	} {
		z.Networks = append(z.Networks, netip.MustParsePrefix(s))
	}
	t, err := New(z)
	if err != nil {
		panic(err) // the table above is constant
	}
	return t
}

// Lookup gives the zone of an address, never nil. An IPv4 address mapped into
// IPv6 is looked up as IPv4; an IPv6 scope zone is ignored.
func (t *Table) Lookup(a netip.Addr) *Zone {
	if z, ok := t.prefixes.Lookup(a.Unmap()); ok {
		return z
	}
	return t.unknown
}

// Zone gives the zone of that name, nil if there is none.
func (t *Table) Zone(name string) *Zone {
	for _, z := range t.zones {
		if z.Name == name {
			return z
		}
	}
	return nil
}

// Zones gives all zones in the order given, unknown last. It is not to be
// changed.
func (t *Table) Zones() []*Zone { return t.zones }

// Error is one thing wrong with the zones given.
type Error struct {
	Zone    int // index of the zone; -1 if it concerns none
	Network int // index of the network in it; -1 if it concerns the zone itself
	Text    string
	Hint    string // what to write instead; may be empty
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Text
	}
	return e.Text + "; " + e.Hint
}

// ParseNetwork reads a network, 10.0.0.0/8 or fd00::/8; an address alone is the
// network of that one host. Its error is an *Error.
func ParseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, &Error{-1, -1, fmt.Sprintf("%q is no network", s),
			"write an address and the length of its prefix: 10.0.0.0/8 or fd00::/8"}
	}
	if err := check(p); err != nil {
		return netip.Prefix{}, err
	}
	return p, nil
}

// check refuses what is not the canonical form of a network.
func check(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return &Error{-1, -1, "invalid network", ""}
	case p.Addr().Is4In6():
		hint := "write it as IPv4"
		if p.Bits() >= 96 {
			hint = "did you mean " + netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked().String() + "?"
		}
		return &Error{-1, -1, fmt.Sprintf("network %s is IPv4 mapped into IPv6", p), hint}
	case p != p.Masked():
		a := p.Addr()
		return &Error{-1, -1, fmt.Sprintf("network %s has host bits set", p),
			fmt.Sprintf("did you mean %s, or %s/%d for the one host?", p.Masked(), a, a.BitLen())}
	}
	return nil
}
