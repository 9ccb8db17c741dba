package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
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
	return config.Load(path, f, infos())
}

// infos gives what the rules say of themselves.
func infos() []alerts.Info {
	var all []alerts.Info
	for _, r := range rules.All() {
		all = append(all, r.Info())
	}
	return all
}

// newEvaluator wires zones, inventory and rules. RPC that policy allows is an
// exception of the rule that would speak of it.
func newEvaluator(c *config.Config, file func(int32) string, out func(*alerts.Alert)) (*alerts.Evaluator, error) {
	settings := maps.Clone(c.Rules)
	if settings == nil {
		settings = map[string]alerts.Settings{}
	}
	climb := settings[rules.ZoneClimb]
	for _, a := range c.Allow {
		climb.Exceptions = append(climb.Exceptions, alerts.Exception{ClientZone: a.From, ServerZone: a.To, Interfaces: a.Interfaces})
	}
	settings[rules.ZoneClimb] = climb

	hosts := c.Inventory
	hosts.Hosts = c.Limits.Hosts
	v, err := alerts.New(alerts.Config{
		Rules:     rules.All(),
		Settings:  settings,
		Zones:     c.Zones,
		Inventory: inventory.New(hosts),
		Alerts:    c.Limits.Alerts,
		Sensor:    c.Sensor,
		File:      file,
		Out:       out,
	})
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return v, nil
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
	for _, h := range c.Inventory.KMSHosts {
		out.KMSPorts = append(out.KMSPorts, h.Ports...)
	}
	return out
}
