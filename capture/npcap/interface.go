package npcap

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Interface is one that can be captured on.
type Interface struct {
	Device      string // Npcap's name: \Device\NPF_{GUID}
	Name        string // as Windows shows it: "Ethernet 2"; empty when Windows does not know it
	Description string // of the adapter or its driver
	Index       uint32 // of Windows; 0 when unknown
	Up          bool
	Loopback    bool
	Addrs       []netip.Addr
}

// String is the shortest name that Open takes, quoted, with the description.
func (i *Interface) String() string {
	name := i.Name
	if name == "" {
		name = i.Device
	}
	if i.Description == "" || strings.EqualFold(i.Description, name) {
		return strconv.Quote(name)
	}
	return fmt.Sprintf("%q (%s)", name, i.Description)
}

// device is what the DLL tells of an interface, adapter what Windows does.
type (
	device struct {
		name, description string
		loopback          bool
	}
	adapter struct {
		guid              string // {...}
		name, description string
		index             uint32
		up, loopback      bool
		addrs             []netip.Addr
	}
)

// Devices of Npcap are named by the GUID of the adapter. Loopback traffic has a
// device of its own, which is no adapter.
const (
	devicePrefix   = `\Device\NPF_`
	deviceLoopback = devicePrefix + "Loopback"
)

// merge joins what the DLL and what Windows tell, in the order of the DLL. Who
// is no device cannot be captured on and is left out.
func merge(devices []device, adapters []adapter) []Interface {
	all := make([]Interface, 0, len(devices))
	for _, d := range devices {
		i := Interface{Device: d.name, Description: d.description, Loopback: d.loopback}
		if strings.EqualFold(d.name, deviceLoopback) {
			i.Name, i.Up, i.Loopback = "Loopback", true, true
		}
		guid, _ := cutPrefixFold(d.name, devicePrefix)
		for _, a := range adapters {
			if !strings.EqualFold(a.guid, guid) {
				continue
			}
			i.Name, i.Index, i.Up, i.Addrs = a.name, a.index, a.up, a.addrs
			i.Loopback = i.Loopback || a.loopback
			if a.description != "" {
				i.Description = a.description
			}
			break
		}
		all = append(all, i)
	}
	return all
}

// choose finds the interface that is meant by a name: first who has it as its
// name or device, then who has it as GUID, index or description.
func choose(all []Interface, want string) (*Interface, error) {
	if want == "" {
		return nil, fmt.Errorf("no interface named; there are: %s", list(all))
	}
	ways := []func(*Interface) bool{
		func(i *Interface) bool { return i.Name == want },
		func(i *Interface) bool { return strings.EqualFold(i.Name, want) || strings.EqualFold(i.Device, want) },
		func(i *Interface) bool {
			guid, ok := cutPrefixFold(i.Device, devicePrefix)
			return ok && strings.EqualFold(strings.Trim(guid, "{}"), strings.Trim(want, "{}"))
		},
		func(i *Interface) bool { return i.Index != 0 && strconv.FormatUint(uint64(i.Index), 10) == want },
		func(i *Interface) bool { return strings.EqualFold(i.Description, want) },
	}
	for _, means := range ways {
		var found []Interface
		for i := range all {
			if means(&all[i]) {
				found = append(found, all[i])
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return &found[0], nil
		default:
			return nil, fmt.Errorf("%q may be any of: %s", want, list(found))
		}
	}
	if len(all) == 0 {
		return nil, errors.New("npcap shows no interface: its driver may not run (sc query npcap), or it is kept to administrators")
	}
	return nil, fmt.Errorf("no interface %q; there are: %s", want, list(all))
}

func list(all []Interface) string {
	if len(all) == 0 {
		return "none"
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].String()
	}
	return strings.Join(names, ", ")
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
