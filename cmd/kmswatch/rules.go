package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kmswatch/alerts"
)

func newRules(t terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "rules [ID]",
		Short: "List the rules, or explain one",
		Long: `List the rules with their severities, or explain one: why it matters, what to
do, its options with their defaults, and how to configure it.`,
		Example: `  kmswatch rules
  kmswatch rules kms-zone-climb`,
		Args: atMost(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, info := range infos() {
				ids = append(ids, info.ID+"\t"+info.Title)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listRules(t.out)
			}
			for _, info := range infos() {
				if info.ID == args[0] {
					return explainRule(t.out, info)
				}
			}
			return usageError{fmt.Errorf("no rule %q; kmswatch rules lists them", args[0])}
		},
	}
}

func listRules(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, info := range infos() {
		fmt.Fprintf(table, "%s\t%s\t%s\n", info.ID, info.Severity, info.Title)
	}
	return table.Flush()
}

func explainRule(w io.Writer, info alerts.Info) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n%s\n\nWhy\n%s\n\nWhat to do\n%s\n", info.ID, info.Severity, info.Title, indent(info.Why), indent(info.Mitigation))
	if len(info.Techniques) > 0 {
		b.WriteString("\nATT&CK\n")
		for _, q := range info.Techniques {
			fmt.Fprintf(&b, "  %s %s (%s)\n", q.ID, q.Name, q.Tactic)
		}
	}
	if len(info.Options) > 0 {
		b.WriteString("\nOptions\n")
		for _, o := range info.Options {
			fmt.Fprintf(&b, "%s\n", strings.TrimRight(fmt.Sprintf("  %s: %s %s", o.Name, optionDefault(o), o.Unit), " "))
			fmt.Fprintf(&b, "%s\n", indent(indent(o.What)))
		}
	}
	fmt.Fprintf(&b, `
To change it, in the configuration
  rules:
    %s:
      enabled: true
      severity: %s
`, info.ID, info.Severity)
	for _, o := range info.Options {
		fmt.Fprintf(&b, "      %s: %s\n", o.Name, optionDefault(o))
	}
	b.WriteString(`      except:
        - {client_zone: dmz, server_zone: internal}
`)
	_, err := io.WriteString(w, b.String())
	return err
}

// optionDefault writes an option's default as a configuration does.
func optionDefault(o alerts.Option) string {
	switch d := o.Default.(type) {
	case alerts.Interfaces:
		return "[" + strings.Join(d, ", ") + "]"
	case []string:
		return "[" + strings.Join(d, ", ") + "]"
	case time.Duration:
		text := d.String() // 10m0s
		for _, unit := range [...]string{"m0s", "h0m"} {
			if strings.HasSuffix(text, unit) {
				text = strings.TrimSuffix(text, unit[1:])
			}
		}
		return text
	}
	return fmt.Sprint(o.Default)
}

// indent wraps a paragraph to the width of a terminal, two spaces in.
func indent(s string) string {
	const width = 76
	var b strings.Builder
	for line := range strings.SplitSeq(s, "\n") {
		lead := line[:len(line)-len(strings.TrimLeft(line, " "))]
		b.WriteString("  " + lead)
		n := len(lead)
		for i, word := range strings.Fields(line) {
			if i > 0 && n+1+len(word) > width {
				b.WriteString("\n  " + lead)
				n = len(lead)
			} else if i > 0 {
				b.WriteString(" ")
				n++
			}
			b.WriteString(word)
			n += len(word)
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
