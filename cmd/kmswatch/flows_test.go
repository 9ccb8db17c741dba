package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kmswatch/alerts/flow"
	"kmswatch/alerts/ocsf"
	"kmswatch/alerts/ocsf/ocsftest"
)

const pool = "../../decode/testdata/captures"

// recorded gives the flow records that replay writes of captures.
func recorded(t *testing.T, paths ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "flows.ndjson")
	var out, err bytes.Buffer
	args := append([]string{"replay", "--config", "testdata/pool.yaml", "--flows", file}, paths...)
	if got := run(t.Context(), args, terminal{in: &bytes.Buffer{}, out: &out, err: &err}); got != exitDone {
		t.Fatalf("exit code %d: %s", got, &err)
	}
	text, e := os.ReadFile(file)
	if e != nil {
		t.Fatal(e)
	}
	return text
}

// TestEveryFlowRecordMeetsTheDefinitions records the whole pool: each record
// meets OCSF's definitions, is read back as it was, and has an id of its own, and
// an association that begins ends once.
func TestEveryFlowRecordMeetsTheDefinitions(t *testing.T) {
	t.Parallel()
	schema := ocsftest.New()
	files, err := filepath.Glob(pool + "/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures (%v)", err)
	}
	kinds := make(map[flow.Kind]int)
	for _, path := range files {
		ids, open := make(map[string]bool), make(map[string]int)
		for line := range bytes.Lines(recorded(t, path)) {
			for _, wrong := range schema.Check(line) {
				t.Errorf("%s: %s", path, wrong)
			}
			var r flow.Record
			if err := ocsf.ParseRecord(line, &r); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			again := append(ocsf.Encoder{Version: buildVersion()}.AppendRecord(nil, &r), '\n')
			if d := cmp.Diff(string(line), string(again)); d != "" {
				t.Errorf("%s: read and written again: %s", path, d)
			}
			if ids[r.ID] {
				t.Errorf("%s: the id of this record is taken: %s", path, line)
			}
			ids[r.ID] = true
			kinds[r.Kind]++
			switch r.Activity {
			case flow.Open:
				open[r.Of]++
			case flow.Close:
				open[r.Of]--
			}
		}
		for of, n := range open {
			if n > 0 {
				t.Errorf("%s: association %s does not end", path, of)
			}
		}
	}
	for k := flow.Association; k <= flow.SMBSession; k++ {
		if kinds[k] == 0 {
			t.Errorf("no record of a %v in the whole pool", k)
		}
	}
	t.Log(kinds)
}

// TestGoldenFlows holds the flow records of a capture against
// testdata/flows/<capture>.ndjson.
func TestGoldenFlows(t *testing.T) {
	for _, name := range []string{
		"real-dig-vlmcs.pcap",
		"real-rpcclient-anonymous.pcap",
		"real-rpcclient-seal.pcap",
		"real-smb2-null-session.pcap",
		"real-smb2-wrong-password.pcap",
		"kms-v4-both-syntaxes.pcap",
		"kms-refused-once.pcap",
		"kms-fault.pcap",
		"rpc-second-bind-nak.pcap",
		"dns-ipv6.pcap",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := recorded(t, filepath.Join(pool, name))
			golden := filepath.Join("testdata/flows", strings.TrimSuffix(name, ".pcap")+".ndjson")
			want, err := os.ReadFile(golden)
			if err != nil && !*update {
				t.Fatal(err)
			}
			d := cmp.Diff(string(want), string(got))
			switch {
			case d == "" && err == nil:
			case *update:
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("-want +got; -update rewrites it\n%s", d)
			}
		})
	}
}
