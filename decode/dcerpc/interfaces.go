package dcerpc

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed interfaces.tsv
var interfacesTSV string

// interfaces is the table of interfaces.tsv, read when first asked for.
var interfaces = sync.OnceValue(func() *interfaceTable { return parseInterfaces(interfacesTSV) })

type interfaceTable struct {
	names      map[UUID]string
	operations map[operation]string
	uuids      map[string][]UUID // by name in lower case, in the order of the file
}

type operation struct {
	iface UUID
	opnum uint16
}

// parseInterfaces reads the format that interfaces.tsv describes. Lines that
// break it are passed over; a test sees that there are none.
func parseInterfaces(tsv string) *interfaceTable {
	t := &interfaceTable{
		names:      make(map[UUID]string, 256),
		operations: make(map[operation]string, 2600),
		uuids:      make(map[string][]UUID, 256),
	}
	var iface UUID
	known := false
	for line := range strings.Lines(tsv) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		first, rest, _ := strings.Cut(line, "\t")
		second, name, ok := strings.Cut(rest, "\t")
		if first == "" { // an operation: tab, opnum, tab, name
			opnum, err := strconv.ParseUint(second, 10, 16)
			if known && ok && err == nil {
				t.operations[operation{iface, uint16(opnum)}] = name
			}
			continue
		}
		if iface, known = ParseUUID(first); known && ok {
			t.names[iface] = name
			key := strings.ToLower(name)
			t.uuids[key] = append(t.uuids[key], iface)
		}
	}
	return t
}

// LookupInterface gives the name of an interface.
func LookupInterface(u UUID) (name string, ok bool) {
	name, ok = interfaces().names[u]
	return name, ok
}

// OperationName gives the name of an operation, "" if it has none.
func OperationName(u UUID, opnum uint16) string {
	return interfaces().operations[operation{u, opnum}]
}

// InterfaceByName gives the interfaces of a name in any case; a few share one.
// The slice is the table's own.
func InterfaceByName(name string) []UUID { return interfaces().uuids[strings.ToLower(name)] }
