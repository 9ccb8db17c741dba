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
			one := recordedBy(t, "1", path)
			for _, n := range []string{"2", "8"} {
				if got := recordedBy(t, n, path); !bytes.Equal(got, one) {
					t.Errorf("%s workers give\n%s\none gives\n%s", n, got, one)
				}
			}
		})
	}
}

// replayed gives what replay writes of captures.
func replayed(t *testing.T, workers string, paths ...string) []byte {
	t.Helper()
	return replayedWith(t, append([]string{"--workers", workers}, paths...))
}

// recordedBy gives the alerts of captures, and the flow records behind them.
func recordedBy(t *testing.T, workers string, paths ...string) []byte {
	t.Helper()
	flows := filepath.Join(t.TempDir(), "flows.ndjson")
	out := replayedWith(t, append([]string{"--workers", workers, "--flows", flows}, paths...))
	records, err := os.ReadFile(flows)
	if err != nil {
		t.Fatal(err)
	}
	return append(out, records...)
}

func replayedWith(t *testing.T, args []string) []byte {
	t.Helper()
	var out, err bytes.Buffer
	args = append([]string{"replay", "--config", "testdata/pool.yaml", "--format", "ndjson"}, args...)
	if got := run(t.Context(), args, terminal{in: &bytes.Buffer{}, out: &out, err: &err}); got != exitDone {
		t.Fatalf("%q: exit code %d: %s", args, got, &err)
	}
	return out.Bytes()
}
