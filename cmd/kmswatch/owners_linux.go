package main

import (
	"net/netip"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/capture/host"
	"kmswatch/decode"
)

// owners finds the processes at this host's ends of flows. It asks another
// process of ours, which keeps the right to look into all of them.
type owners struct {
	addresses *host.Addresses
	processes *host.Remote
}

// openOwners opens what the mode asks for: nothing, unless it is this host that
// is watched.
func openOwners(l *live) (*owners, error) {
	if l.mode.value != config.ModeHost {
		return nil, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addresses, err := host.WatchAddresses()
	if err != nil {
		return nil, err
	}
	processes, err := host.StartRemote(exec.Command(self, "owners"))
	if err != nil {
		addresses.Close()
		return nil, err
	}
	return &owners{addresses, processes}, nil
}

// name names the process of an alert, if it is known.
func (o *owners) name(a *alerts.Alert) {
	if o == nil || a.Process != nil {
		return
	}
	client, server := address(a.Flow.Client), address(a.Flow.Server)
	if !client.IsValid() || !server.IsValid() {
		return
	}
	if o.addresses.Has(server.Addr()) {
		if p, ok := o.processes.Find(a.Flow.Proto, server, client); ok {
			a.Process = &alerts.Process{Name: p.Name, PID: p.ID, Server: true}
			return
		}
	}
	if o.addresses.Has(client.Addr()) {
		if p, ok := o.processes.Find(a.Flow.Proto, client, server); ok {
			a.Process = &alerts.Process{Name: p.Name, PID: p.ID}
		}
	}
}

func address(e decode.Endpoint) netip.AddrPort { return netip.AddrPortFrom(e.Addr.Unmap(), e.Port) }

func (o *owners) close() {
	if o != nil {
		o.processes.Close()
		o.addresses.Close()
	}
}

// newOwners is the other process.
func newOwners() *cobra.Command {
	return &cobra.Command{
		Use: "owners", Hidden: true, Args: atMost(0),
		RunE: func(*cobra.Command, []string) error {
			o, err := host.OpenOwners()
			if err != nil {
				return err
			}
			defer o.Close()
			return host.ServeRemote(o)
		},
	}
}
