//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const unit = "../../deploy/systemd/kmswatch.service"

// directives gives the values of a key of the unit.
func directives(t *testing.T, key string) (values []string) {
	t.Helper()
	b, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(l), "="); ok && k == key {
			values = append(values, v)
		}
	}
	return values
}

// TestTheUnitStartsTheCommandThereIs: its flags, the configuration beside it, and
// the rights that run says it needs.
func TestTheUnitStartsTheCommandThereIs(t *testing.T) {
	start := directives(t, "ExecStart")
	if len(start) != 1 {
		t.Fatalf("ExecStart: %q", start)
	}
	words := strings.Fields(start[0])
	if words[0] != "/usr/bin/kmswatch" {
		t.Errorf("it starts %s", words[0])
	}
	c, rest, err := newRoot(terminal{}, openSource).Find(words[1:])
	if err != nil || c.Name() != "run" {
		t.Fatalf("%v, %v", c, err)
	}
	if err := c.ParseFlags(rest); err != nil {
		t.Error(err)
	}
	if left := c.Flags().Args(); len(left) > 0 {
		t.Errorf("left of the line: %q", left)
	}
	conf, err := loadConfig("../../deploy/systemd/" + filepath.Base(c.Flag("config").Value.String()))
	if err != nil || len(conf.Live.Interfaces) == 0 {
		t.Errorf("its configuration: %+v, %v", conf, err)
	}
	const rights = "CAP_BPF CAP_NET_ADMIN CAP_NET_RAW CAP_PERFMON"
	for _, key := range []string{"AmbientCapabilities", "CapabilityBoundingSet"} {
		if v := directives(t, key); len(v) != 1 || v[0] != rights {
			t.Errorf("%s: %q", key, v)
		}
	}
	for key, want := range map[string]string{"Type": "notify", "User": "kmswatch", "ExecReload": "/bin/kill -HUP $MAINPID"} {
		if v := directives(t, key); len(v) != 1 || v[0] != want {
			t.Errorf("%s: %q, want %s", key, v, want)
		}
	}
	if v := directives(t, "WatchdogSec"); len(v) != 1 {
		t.Errorf("WatchdogSec: %q", v)
	}
}

// TestSystemdKnowsTheUnits asks systemd, where there is one.
func TestSystemdKnowsTheUnits(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no systemd-analyze")
	}
	self, err := os.Executable() // a program that is there
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{unit, filepath.Join(filepath.Dir(unit), "kmswatch-correlate.service")} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		path := filepath.Join(t.TempDir(), name)
		write(t, path, strings.ReplaceAll(string(b), "/usr/bin/kmswatch", self))
		out, err := exec.Command(tool, "verify", "--man=no", path).CombinedOutput()
		if err != nil || strings.Contains(string(out), name) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
