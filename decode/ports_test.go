package decode

import (
	"slices"
	"testing"
)

// TestPortsAreThoseThatAreLookedAt: a filter that goes by Ports lets pass what the
// engine wants.
func TestPortsAreThoseThatAreLookedAt(t *testing.T) {
	kms := []uint16{1688, 1700, 445}
	tcp, udp := Ports(kms)
	all := newPorts(kms).all
	n := 0
	for p := range 1 << 16 {
		if all.has(uint16(p)) {
			n++
			if !slices.Contains(tcp, uint16(p)) {
				t.Errorf("TCP port %d is missing", p)
			}
		}
	}
	if n != len(tcp) {
		t.Errorf("%v, of which %d are looked at", tcp, n)
	}
	if !slices.Equal(udp, []uint16{53, 88, 389}) { // as wantUDP has them
		t.Errorf("UDP: %v", udp)
	}
}
