package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kmswatch/alerts/config"
	"kmswatch/alerts/ocsf"
)

func newSchema(t terminal) *cobra.Command {
	schemas := map[string]func() string{
		"alert":  func() string { return ocsf.Schema },
		"config": func() string { return string(config.Schema(knownToConfig())) },
	}
	names := []string{"alert", "config"}
	return &cobra.Command{
		Use:   "schema alert|config",
		Short: "Print a JSON Schema of alerts or of the configuration",
		Long: `Print a JSON Schema (draft 2020-12): of an alert as --format ocsf has it, for
consumers; or of the configuration, for editors. An editor that has the language
server of YAML completes and checks a configuration whose first line is

  # yaml-language-server: $schema=kmswatch.schema.json`,
		Example: `  kmswatch schema config > kmswatch.schema.json
  kmswatch schema alert > alert.schema.json`,
		Args:      atMost(1),
		ValidArgs: names,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("no schema named; try: kmswatch schema config")}
			}
			schema, ok := schemas[args[0]]
			if !ok {
				return usageError{fmt.Errorf("no schema of %q; there are: %s", args[0], strings.Join(names, ", "))}
			}
			_, err := t.out.Write([]byte(schema()))
			return err
		},
	}
}
