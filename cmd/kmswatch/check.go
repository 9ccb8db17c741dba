package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"kmswatch/alerts/config"
)

func newCheck(t terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "check [CONFIG]",
		Short: "Check a configuration and this machine",
		Long: `Check a configuration: every mistake is told with file, line and column and what
to write instead, and the exit code is 1. Then tell what the configuration means
and what this machine can do. Without a configuration the default is shown.`,
		Example: "  kmswatch check zones.yaml",
		Args:    atMost(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := ""
			if len(args) > 0 {
				path = args[0]
			}
			c, err := loadConfig(path)
			if err != nil {
				return tellConfig(t, err)
			}
			return describe(t.out, path, c)
		},
	}
}

func describe(w io.Writer, path string, c *config.Config) error {
	if path == "" {
		path = "no configuration: the default"
	}
	disabled := 0
	for _, r := range c.Rules {
		if r.Disabled {
			disabled++
		}
	}
	_, err := fmt.Fprintf(w, `configuration  %s
zones          %s
inventory      %d KMS hosts, %d domain controllers, %d DNS servers
rules          %d of %d on
this machine   %s/%s, %d cores; replay reads pcap and pcapng, plain, gzip and zstd
`, path, zoneNames(c), len(c.Inventory.KMSHosts), len(c.Inventory.DomainControllers), len(c.Inventory.DNSServers),
		len(infos())-disabled, len(infos()), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	for _, s := range liveCapture() {
		if err == nil {
			_, err = fmt.Fprintf(w, "%-14s %s\n", s.name, s.text)
		}
	}
	return err
}

// subject is a line of what is told of a machine.
type subject struct{ name, text string }

func zoneNames(c *config.Config) string {
	var names []string
	for _, z := range c.Zones.Zones() {
		names = append(names, fmt.Sprintf("%s (trust %d)", z.Name, z.Trust))
	}
	return strings.Join(names, ", ")
}

// tellConfig tells every mistake of a configuration, one a line.
func tellConfig(t terminal, err error) error {
	var mistakes config.Errors
	if !errors.As(err, &mistakes) {
		return err
	}
	for _, m := range mistakes {
		fmt.Fprintln(t.err, m)
	}
	return errReported
}
