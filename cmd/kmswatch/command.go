package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a command line that cannot be meant.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Unwrap() error { return u.err }

// errReported ends a command whose problems have been told already.
var errReported = errors.New("reported")

// run runs one command line and gives the exit code.
func run(ctx context.Context, args []string, t terminal) int {
	return runOn(ctx, args, t, openSource)
}

// runOn is run on interfaces that open opens.
func runOn(ctx context.Context, args []string, t terminal, open openFunc) int {
	root := newRoot(t, open)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errReported):
		return exitFailed
	case errors.As(err, &usage):
		t.complain(err)
		return exitUsage
	}
	t.complain(err)
	return exitFailed
}

// newRoot makes the command line; interfaces are opened by open.
func newRoot(t terminal, open openFunc) *cobra.Command {
	root := &cobra.Command{
		Use:   "kmswatch",
		Short: "Watch Windows volume activation and MS-RPC across security zones",
		Long: `kmswatch reads network traffic and tells where Windows volume activation (KMS)
and the MS-RPC and DNS traffic around it do what a careful network would not
allow. It is passive: it sends nothing on the watched network, holds no
licensing keys and decrypts nothing.

Exit codes: 0 done, 1 failed, 2 wrong usage.`,
		Example: `  kmswatch replay dmz.pcap
  kmswatch replay --config zones.yaml --format ndjson captures/ > alerts.ndjson
  kmswatch run --interface eth1 --config zones.yaml`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			c.SetOut(t.err)
			_ = c.Help()
			return usageError{errors.New("no verb given")}
		},
	}
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; %s --help lists the flags", err, c.CommandPath())}
	})
	root.AddCommand(newReplay(t), newRun(t, open), newDecode(t), newCheck(t), newRules(t), newCorrelate(t), newSchema(t), newService(t), newVersion(t), newOwners())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				if verb, _, err := root.Find(args); len(args) > 0 && (err != nil || verb == root) {
					return unknownVerb(args[0])
				}
				return nil
			}
		case "completion":
			c.Args = cobra.ArbitraryArgs
			c.RunE = func(c *cobra.Command, args []string) error {
				if len(args) > 0 {
					return usageError{fmt.Errorf("no completion for %q; %s --help lists the shells", args[0], c.CommandPath())}
				}
				return usageError{fmt.Errorf("no shell named; %s --help lists the shells", c.CommandPath())}
			}
			for _, shell := range c.Commands() {
				shell.Args = atMost(0)
			}
		}
	}
	return root
}

func unknownVerb(name string) error {
	return usageError{fmt.Errorf("unknown verb %q; kmswatch --help lists the verbs", name)}
}

// files demands at least one capture file.
func files(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{fmt.Errorf("no capture file named; try: %s FILE, or - for standard input", c.CommandPath())}
	}
	return nil
}

// atMost allows up to n arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n {
			return usageError{fmt.Errorf("too many arguments: %s; see %s --help", strings.Join(args[n:], " "), c.CommandPath())}
		}
		return nil
	}
}

// oneOf is a flag that takes one of some words.
type oneOf struct {
	value string
	words []string
}

func (o *oneOf) String() string { return o.value }
func (o *oneOf) Type() string   { return "WORD" }

// Set takes a word of the list.
func (o *oneOf) Set(s string) error {
	for _, w := range o.words {
		if s == w {
			o.value = s
			return nil
		}
	}
	return fmt.Errorf("%q is none of: %s", s, strings.Join(o.words, ", "))
}

func (o *oneOf) complete(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return o.words, cobra.ShellCompDirectiveNoFileComp
}
