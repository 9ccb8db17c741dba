package npcap

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A server with a port for management, one for a mirror, a second mirror of the
// same make that is unplugged, and what Npcap adds.
var (
	devices = []device{
		{name: `\Device\NPF_{11111111-2222-3333-4444-555555555555}`, description: "Intel(R) I210"},
		{name: `\Device\NPF_{AAAAAAAA-2222-3333-4444-555555555555}`, description: "Mellanox"},
		{name: `\Device\NPF_{BBBBBBBB-2222-3333-4444-555555555555}`, description: "Mellanox"},
		{name: `\Device\NPF_{CCCCCCCC-2222-3333-4444-555555555555}`, description: "WAN Miniport"},
		{name: `\Device\NPF_Loopback`, description: "Adapter for loopback traffic capture"},
	}
	windowsAdapters = []adapter{
		{guid: "{bbbbbbbb-2222-3333-4444-555555555555}", name: "Mirror 2", description: "Mellanox ConnectX", index: 9},
		{guid: "{AAAAAAAA-2222-3333-4444-555555555555}", name: "mirror", description: "Mellanox ConnectX", index: 8, up: true},
		{guid: "{11111111-2222-3333-4444-555555555555}", name: "Ethernet 2", description: "Intel(R) I210", index: 4, up: true,
			addrs: []netip.Addr{netip.MustParseAddr("10.9.0.5")}},
		{guid: "{DDDDDDDD-2222-3333-4444-555555555555}", name: "Loopback Pseudo-Interface 1", index: 1, up: true, loopback: true},
	}
)

func TestMerge(t *testing.T) {
	want := []Interface{
		{Device: devices[0].name, Name: "Ethernet 2", Description: "Intel(R) I210", Index: 4, Up: true, Addrs: []netip.Addr{netip.MustParseAddr("10.9.0.5")}},
		{Device: devices[1].name, Name: "mirror", Description: "Mellanox ConnectX", Index: 8, Up: true},
		{Device: devices[2].name, Name: "Mirror 2", Description: "Mellanox ConnectX", Index: 9},
		{Device: devices[3].name, Description: "WAN Miniport"},
		{Device: devices[4].name, Name: "Loopback", Description: "Adapter for loopback traffic capture", Up: true, Loopback: true},
	}
	if diff := cmp.Diff(want, merge(devices, windowsAdapters), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

func TestChoose(t *testing.T) {
	all := merge(devices, windowsAdapters)
	for _, c := range []struct {
		name, want string
		device     string // the device chosen, or
		fails      string // a part of the error
	}{
		{"by its name", "Ethernet 2", devices[0].name, ""},
		{"by its name in other letters", "ETHERNET 2", devices[0].name, ""},
		{"by its device", devices[1].name, devices[1].name, ""},
		{"by its device in other letters", strings.ToLower(devices[1].name), devices[1].name, ""},
		{"by its GUID", "{AAAAAAAA-2222-3333-4444-555555555555}", devices[1].name, ""},
		{"by its GUID without braces", "aaaaaaaa-2222-3333-4444-555555555555", devices[1].name, ""},
		{"by its index", "9", devices[2].name, ""},
		{"by its description", "Intel(R) I210", devices[0].name, ""},
		{"one that Windows does not know", "WAN Miniport", devices[3].name, ""},
		{"the loopback", "loopback", devices[4].name, ""},
		{"by a description of two", "Mellanox ConnectX", "", `"Mellanox ConnectX" may be any of: "mirror" (Mellanox ConnectX), "Mirror 2" (Mellanox ConnectX)`},
		{"none of that name", "Ethernet", "", `no interface "Ethernet"; there are: "Ethernet 2" (Intel(R) I210), "mirror" (Mellanox ConnectX), `},
		{"an adapter that cannot be captured on", "Loopback Pseudo-Interface 1", "", "no interface"},
		{"index 0 of those without one", "0", "", `no interface "0"`},
		{"none named", "", "", `no interface named; there are: "Ethernet 2"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			i, err := choose(all, c.want)
			switch {
			case c.fails != "":
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("error is %v, want %s", err, c.fails)
				}
			case err != nil:
				t.Error(err)
			case i.Device != c.device:
				t.Errorf("chose %s", i)
			}
		})
	}
	if _, err := choose(nil, "Ethernet"); err == nil || !strings.Contains(err.Error(), "npcap shows no interface") {
		t.Errorf("error with no interface at all is %v", err)
	}
}

func TestChooseTellsNamesThatDifferByCaseAlone(t *testing.T) {
	all := []Interface{{Device: "a", Name: "mirror"}, {Device: "b", Name: "Mirror"}}
	for _, i := range all {
		if got, err := choose(all, i.Name); err != nil || got.Device != i.Device {
			t.Errorf("%s: chose %v, error %v", i.Name, got, err)
		}
	}
	if _, err := choose(all, "MIRROR"); err == nil {
		t.Error("one of two was chosen")
	}
}
