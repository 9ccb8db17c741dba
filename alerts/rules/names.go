package rules

import (
	"fmt"

	"kmswatch/alerts"
	"kmswatch/decode/dcerpc"
)

// interfaceName gives the name of an interface, or its UUID.
func interfaceName(u dcerpc.UUID) string {
	if name, ok := dcerpc.LookupInterface(u); ok {
		return name
	}
	return u.String()
}

// interfaceFacts adds an interface by UUID, name and version.
func interfaceFacts(f *alerts.Finding, i dcerpc.Syntax) {
	f.Add("interface", i.UUID)
	f.Add("interface_name", interfaceName(i.UUID))
	f.Add("interface_version", fmt.Sprintf("%d.%d", i.Major, i.Minor))
}
