package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

func TestServiceArgs(t *testing.T) {
	abs := func(path string) string {
		p, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	newRoot := func() *cobra.Command {
		run := &cobra.Command{Use: "run", Args: atMost(0), RunE: func(*cobra.Command, []string) error { return nil }}
		run.Flags().StringArrayP("interface", "i", nil, "`name` of an interface")
		run.Flags().StringP("config", "c", "", "zones, a YAML `file`")
		run.Flags().StringP("output", "o", "-", "`file` to append to")
		run.Flags().IntP("workers", "w", 1, "decoding `goroutines`")
		run.Flags().Bool("keep-rights", false, "give up no rights")
		root := &cobra.Command{Use: "kmswatch"}
		root.AddCommand(run)
		return root
	}
	for _, c := range []struct {
		name   string
		flags  []string
		args   []string
		config string
		fails  string // part of the error
	}{
		{"none", nil, []string{"run"}, "", ""},
		{"interfaces with blanks, in their order", []string{"-i", "Ethernet 2", "--interface=mirror, left", "--keep-rights"},
			[]string{"run", "--interface=Ethernet 2", "--interface=mirror, left", "--keep-rights=true"}, "", ""},
		{"files become absolute", []string{"-czones.yaml", "--output", "out/alerts.ndjson"},
			[]string{"run", "--config=" + abs("zones.yaml"), "--output=" + abs("out/alerts.ndjson")}, abs("zones.yaml"), ""},
		{"standard output is none", []string{"-o", "-"}, []string{"run", "--output=-"}, "", ""},
		{"a flag that is none", []string{"--interfaces", "a"}, nil, "", "unknown flag: --interfaces"},
		{"a value that is none", []string{"-w", "many"}, nil, "", "many"},
		{"a value too few", []string{"-i"}, nil, "", "flag needs an argument"},
		{"arguments", []string{"-i", "a", "b"}, nil, "", "too many arguments: b"},
		{"help", []string{"--help"}, nil, "", "help is not for a service"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args, config, err := serviceArgs(newRoot(), c.flags)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) || !strings.Contains(err.Error(), "; kmswatch run --help lists the flags") {
					t.Errorf("error is %v, want %s", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.args, args); d != "" || config != c.config {
				t.Errorf("configuration %q, %s", config, d)
			}
		})
	}
}
