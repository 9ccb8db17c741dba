//go:build ignore

// Compact makes fields.json of the definitions of the Elastic Common Schema: what
// a test needs to hold alerts against, without descriptions. It is given
// generated/ecs/ecs_flat.yml of github.com/elastic/ecs (Apache-2.0):
//
//	go run compact.go VERSION FILE > fields.json
package main

import (
	"encoding/json"
	"log"
	"os"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"
)

// wanted are the fields that an alert may have use for.
var wanted = regexp.MustCompile(`^(@timestamp|message|ecs\..*|event\..*|network\..*|rule\..*|observer\.[a-z_]+|observer\.ingress\..*|related\..*|threat\.(framework|tactic\..*|technique\..*)|(source|destination)\.(address|domain|ip|port|mac)|user\.[a-z_]+|process\.[a-z_]+)$`)

type field struct {
	Type      string
	Required  bool
	Normalize []string
	Allowed   []struct {
		Name     string
		Expected []string `yaml:"expected_event_types"`
	} `yaml:"allowed_values"`
}

type compact struct {
	Type     string              `json:"type"`
	Required bool                `json:"required,omitempty"`
	Array    bool                `json:"array,omitempty"`
	Allowed  map[string][]string `json:"allowed,omitempty"` // with the event.types that are expected
}

func main() {
	log.SetFlags(0)
	b, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	var all map[string]field
	if err := yaml.Unmarshal(b, &all); err != nil {
		log.Fatal(err)
	}
	fields := make(map[string]compact)
	for name, f := range all {
		if !wanted.MatchString(name) {
			continue
		}
		c := compact{Type: f.Type, Required: f.Required, Array: slices.Contains(f.Normalize, "array")}
		for _, a := range f.Allowed {
			if c.Allowed == nil {
				c.Allowed = make(map[string][]string)
			}
			c.Allowed[a.Name] = a.Expected
		}
		fields[name] = c
	}
	out, err := json.MarshalIndent(map[string]any{"version": os.Args[1], "fields": fields}, "", " ")
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(append(out, '\n'))
}
