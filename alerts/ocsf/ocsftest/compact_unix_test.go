//go:build unix

package ocsftest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTheDefinitionsAreCurrent makes them anew where OCSF's own are there.
func TestTheDefinitionsAreCurrent(t *testing.T) {
	const folder = "../../../../shared/ocsf-1.8.0"
	if _, err := os.Stat(folder); err != nil {
		t.Skip("OCSF's definitions are not here")
	}
	abs, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	got, err := exec.CommandContext(t.Context(), "go", "run", "compact.go", abs).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, definitions) {
		t.Error("schema.json is not what compact.go makes")
	}
}
