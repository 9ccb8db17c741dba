package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
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
and what this machine can do; what the configuration names and this machine does not
have is a warning. Without a configuration the default is shown.`,
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
			if err := describe(t.out, path, c); err != nil {
				return err
			}
			for _, m := range missing(c) {
				t.warn(m)
			}
			return nil
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
%sthis machine   %s/%s, %d cores; replay reads pcap and pcapng, plain, gzip and zstd
`, path, zoneNames(c), len(c.Inventory.KMSHosts), len(c.Inventory.DomainControllers), len(c.Inventory.DNSServers),
		len(infos())-disabled, len(infos()), destinations(c), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	for _, s := range liveCapture() {
		if err == nil {
			_, err = fmt.Fprintf(w, "%-14s %s\n", s.name, s.text)
		}
	}
	return err
}

// destinations tells where a running sensor takes what it finds, a line each.
func destinations(c *config.Config) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	name := "outputs"
	for _, o := range c.Outputs {
		line(name, "%s (%s)", o.Path, cmp.Or(o.Format, formatNames()[0]))
		name = ""
	}
	if k := &c.Kafka; len(k.Brokers) > 0 {
		topics := []string{"alerts to " + k.Topic}
		if k.Flows.Name != "" {
			topics = append(topics, "flow records to "+k.Flows.Name)
		}
		if k.Health.Name != "" {
			topics = append(topics, "health to "+k.Health.Name)
		}
		line("kafka", "%s, at %s, by the spool %s", strings.Join(topics, ", "), strings.Join(k.Brokers, ", "), k.Spool)
	}
	return b.String()
}

// missing tells what a configuration names and this machine does not have.
func missing(c *config.Config) (all []error) {
	for _, name := range c.Live.Interfaces {
		if _, err := net.InterfaceByName(name); err != nil {
			all = append(all, fmt.Errorf("sensor: interfaces: there is no interface %s here", name))
		}
	}
	if name := c.Live.User; name != "" {
		if _, err := user.Lookup(name); err != nil {
			all = append(all, fmt.Errorf("sensor: user: there is no user %s here", name))
		}
	}
	if t := c.Kafka.TLS; t != nil {
		if _, err := clientTLS(t); err != nil {
			all = append(all, fmt.Errorf("kafka: tls: %w", err))
		}
	}
	if path := c.Kafka.PasswordFile; path != "" {
		if _, err := os.Stat(path); err != nil {
			all = append(all, fmt.Errorf("kafka: sasl: %w", err))
		}
	}
	return all
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
