package rules

import "kmswatch/decode/dcerpc"

// interfaceName gives the name of an interface, or its UUID.
func interfaceName(u dcerpc.UUID) string {
	if name, ok := dcerpc.LookupInterface(u); ok {
		return name
	}
	return u.String()
}
