package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestAlertsAreTheSameForAnyNumberOfWorkers replays every capture of the pool,
// and then all of them in one call, through the verb.
func TestAlertsAreTheSameForAnyNumberOfWorkers(t *testing.T) {
	const root = "../../decode/testdata/captures"
	files, err := filepath.Glob(root + "/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures (%v)", err)
	}
	for _, path := range append(files, root) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			one := replayed(t, "1", path)
			for _, n := range []string{"2", "8"} {
				if got := replayed(t, n, path); !bytes.Equal(got, one) {
					t.Errorf("%s workers give\n%s\none gives\n%s", n, got, one)
				}
			}
		})
	}
}

// replayed gives what replay writes of captures: alerts and flow records.
func replayed(t *testing.T, workers string, paths ...string) []byte {
	t.Helper()
	var out, err bytes.Buffer
	flows := filepath.Join(t.TempDir(), "flows.ndjson")
	args := []string{"replay", "--config", "testdata/pool.yaml", "--format", "ndjson", "--flows", flows, "--workers", workers}
	if got := run(t.Context(), append(args, paths...), terminal{in: &bytes.Buffer{}, out: &out, err: &err}); got != exitDone {
		t.Fatalf("%s workers: exit code %d: %s", workers, got, &err)
	}
	records, e := os.ReadFile(flows)
	if e != nil {
		t.Fatal(e)
	}
	return append(out.Bytes(), records...)
}
