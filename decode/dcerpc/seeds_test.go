package dcerpc

import (
	"os"
	"path/filepath"
	"testing"
)

// captures are real captures with DCE/RPC over TCP, where they are there.
var captures = []string{
	"lab/kms-three-versions.pcap",
	"lab/tcp-sealed-samr.pcap",
	"arkime/dcerpc_synthetic.pcap",
}

// capturedPDUs finds PDUs in captures by their looks: some of each type. It
// gives none where the captures are not there.
func capturedPDUs(tb testing.TB) (pdus [][]byte) {
	tb.Helper()
	seen := map[PType]int{}
	for _, name := range captures {
		b, err := os.ReadFile(filepath.Join("../../../shared/captures", name))
		if err != nil {
			continue
		}
		for len(b) > HeaderSize {
			if Probe(b) != Match {
				b = b[1:]
				continue
			}
			var h Header
			h.Decode(b)
			n := min(int(h.FragLength), len(b))
			if seen[h.Type]++; seen[h.Type] <= 4 && n < 400 {
				pdus = append(pdus, b[:n:n])
			}
			b = b[n:]
		}
	}
	return pdus
}
