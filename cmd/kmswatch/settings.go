package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/alerts/fleet"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/rules"
	"kmswatch/decode"
)

// loadConfig reads a configuration; without a path it is the default.
func loadConfig(path string) (*config.Config, error) {
	if path == "" {
		return config.Default(), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return config.Load(path, f, knownToConfig())
}

// loadLive reads the configuration of a running sensor. Whoever joins what many of
// them tell knows them by their names: one without a name has that of its host.
func loadLive(path string) (*config.Config, error) {
	c, err := loadConfig(path)
	if err == nil && c.Sensor == "" {
		c.Sensor, _ = os.Hostname()
	}
	return c, err
}

// knownToConfig is what a configuration may name.
func knownToConfig() config.Known { return config.Known{Rules: infos(), Formats: formatNames()} }

// infos gives what the rules say of themselves: those of a sensor, and those of
// the correlator.
func infos() []alerts.Info { return append(sensorInfos(), fleet.Rules()...) }

func sensorInfos() []alerts.Info {
	var all []alerts.Info
	for _, r := range rules.All() {
		all = append(all, r.Info())
	}
	return all
}

// newEvaluator wires zones, inventory and rules.
func newEvaluator(c *config.Config, file func(int32) string, out func(*alerts.Alert)) (*alerts.Evaluator, error) {
	ac := alertsConfig(c)
	ac.Inventory, ac.File, ac.Out = newInventory(c), file, out
	v, err := alerts.New(ac)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return v, nil
}

// alertsConfig is what a configuration means to the evaluator, the inventory
// apart. RPC that policy allows is an exception of the rule that would speak of
// it.
func alertsConfig(c *config.Config) alerts.Config {
	settings := maps.Clone(c.Rules)
	if settings == nil {
		settings = map[string]alerts.Settings{}
	}
	for _, info := range fleet.Rules() {
		delete(settings, info.ID)
	}
	climb := settings[rules.ZoneClimb]
	climb.Exceptions = slices.Clip(climb.Exceptions) // what is added is not the configuration's
	for _, a := range c.Allow {
		climb.Exceptions = append(climb.Exceptions, alerts.Exception{ClientZone: a.From, ServerZone: a.To, Interfaces: a.Interfaces})
	}
	settings[rules.ZoneClimb] = climb
	return alerts.Config{Rules: rules.All(), Settings: settings, Zones: c.Zones, Alerts: c.Limits.Alerts, Sensor: c.Sensor}
}

func newInventory(c *config.Config) *inventory.Inventory {
	hosts := c.Inventory
	hosts.Hosts = c.Limits.Hosts
	return inventory.New(hosts)
}

// engineConfig is what a configuration means to the decoder.
func engineConfig(c *config.Config) decode.Config {
	out := decode.Config{
		Workers:       c.Limits.Workers,
		MaxFlows:      c.Limits.Flows,
		MaxWaiting:    int(c.Limits.ReassemblyPerFlow),
		MaxReassembly: int(c.Limits.ReassemblyTotal),
		MaxFragments:  c.Limits.Fragments,
		MaxCalls:      c.Limits.Calls,
		Seed:          rand.Uint64(),
	}
	out.KMSPorts = kmsPorts(c)
	return out
}

// kmsPorts are the ports of the KMS hosts that are configured.
func kmsPorts(c *config.Config) (ports []uint16) {
	for _, h := range c.Inventory.KMSHosts {
		ports = append(ports, h.Ports...)
	}
	return ports
}
