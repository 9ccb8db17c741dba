//go:build linux && !amd64

package confine

// deniedHere are calls that other architectures do not have.
var deniedHere = [...]uint32{}
