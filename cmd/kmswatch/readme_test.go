package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestReadmeTellsOfEveryRuleAndVerb keeps the tables of the README current.
func TestReadmeTellsOfEveryRuleAndVerb(t *testing.T) {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, info := range infos() {
		if row := fmt.Sprintf("| %s | %s | %s |", info.ID, info.Severity, info.Title); !strings.Contains(text, row) {
			t.Errorf("README.md lacks the row: %s", row)
		}
	}
	n := 0
	for _, family := range [...]string{"kms", "dns", "rpc", "smb", "ldap", "fleet", "sensor"} {
		n += strings.Count(text, "\n| "+family+"-")
	}
	if n != len(infos()) {
		t.Errorf("README.md has %d rows of rules, there are %d rules", n, len(infos()))
	}
	for _, c := range newRoot(terminal{}, openSource).Commands() {
		if c.Name() != "help" && !c.Hidden && !strings.Contains(text, "| `kmswatch "+c.Name()) {
			t.Errorf("README.md lacks the verb %s", c.Name())
		}
	}
}
