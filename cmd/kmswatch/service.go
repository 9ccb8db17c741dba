package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kmswatch/cmd/kmswatch/service"
)

// newService is the verb for the Windows service. Elsewhere it says that it is
// not for there.
func newService(t terminal) *cobra.Command {
	c := &cobra.Command{
		Use:   "service",
		Short: "Install, remove, start and stop the Windows service",
		Long: `Have Windows run the sensor as a service, from when it starts. The service is
kmswatch run with the flags that it was installed with; it logs to the Application
event log, under the source kmswatch, as it does its alerts where no --output is
given. It needs an administrator, and Npcap (https://npcap.com).`,
		Example: `  kmswatch service install -- --interface "Ethernet 2" --mode host --config C:\ProgramData\kmswatch\zones.yaml
  kmswatch service start`,
		Args: atMost(0),
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if !service.Available {
				return fmt.Errorf("services are those of Windows, and this is %s", runtime.GOOS)
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("no action named; %s --help lists them", c.CommandPath())}
		},
	}
	action := func(name, short, done string, do func(string) error) *cobra.Command {
		return &cobra.Command{
			Use: name, Short: short, Long: short + ".", Example: "  kmswatch service " + name, Args: atMost(0),
			RunE: func(*cobra.Command, []string) error {
				if err := do(service.Name); err != nil {
					return err
				}
				fmt.Fprintln(t.err, "kmswatch: the service", done)
				return nil
			},
		}
	}
	c.AddCommand(
		newServiceInstall(t),
		action("remove", "Stop and remove the service", "is removed", service.Remove),
		action("start", "Start the service and wait until it watches", "runs", service.Start),
		action("stop", "Stop the service and wait until all is told", "has stopped", service.Stop),
		action("reload", "Have the service read zones, inventory and rules anew", "reads its configuration anew", service.Reload),
		newServiceMain(t),
	)
	return c
}

func newServiceInstall(t terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "install -- FLAGS",
		Short: "Install the service, with the flags of run",
		Long: `Install the service: kmswatch run with the flags that follow --. Windows starts
it as it starts, and anew when it fails. The flags and the configuration are
checked now; names of files become absolute, since a service starts elsewhere.`,
		Example: `  kmswatch service install -- --interface "Ethernet 2" --mode host
  kmswatch service install -- -i mirror -c zones.yaml -f ndjson -o C:\ProgramData\kmswatch\alerts.ndjson`,
		RunE: func(c *cobra.Command, args []string) error {
			args, config, err := serviceArgs(c.Root(), args)
			if err != nil {
				return err
			}
			if _, err := loadConfig(config); err != nil {
				return tellConfig(t, err)
			}
			if err := service.Install(service.Name, append([]string{"service", "main"}, args...)); err != nil {
				return err
			}
			fmt.Fprintln(t.err, "kmswatch: the service is installed; kmswatch service start starts it")
			return nil
		},
	}
}

// newServiceMain is what the service control manager starts: the command line
// that follows, as a service.
func newServiceMain(t terminal) *cobra.Command {
	return &cobra.Command{
		Use: "main", Hidden: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			return service.Serve(service.Name, func(ctx context.Context, s service.Session, log *service.Log) int {
				return run(service.With(ctx, s), args, terminal{in: strings.NewReader(""), out: log.Alerts(), err: log})
			})
		},
	}
}

// serviceArgs checks flags of run, and gives the command line of run with them
// and the configuration that they name. Names of files, which the help calls so,
// become absolute.
func serviceArgs(root *cobra.Command, flags []string) (args []string, config string, err error) {
	c, _, err := root.Find([]string{"run"})
	if err != nil {
		return nil, "", err
	}
	args = []string{"run"}
	set := c.Flags()
	err = set.ParseAll(flags, func(f *pflag.Flag, value string) error {
		if err := set.Set(f.Name, value); err != nil {
			return err
		}
		if kind, _ := pflag.UnquoteUsage(f); kind == "file" && value != "-" {
			var err error
			if value, err = filepath.Abs(value); err != nil {
				return err
			}
		}
		if f.Name == "config" {
			config = value
		}
		args = append(args, "--"+f.Name+"="+value)
		return nil
	})
	if err == nil {
		err = c.ValidateArgs(set.Args())
	}
	if errors.Is(err, pflag.ErrHelp) {
		err = errors.New("help is not for a service")
	}
	if err != nil {
		return nil, "", usageError{fmt.Errorf("%w; kmswatch run --help lists the flags", err)}
	}
	return args, config, nil
}
