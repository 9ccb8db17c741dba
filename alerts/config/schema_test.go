package config

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema(known)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// valid tells what the schema says of a configuration.
func valid(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(shield([]byte(text)), &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if v == nil {
		v = map[string]any{}
	}
	return s.Validate(unshielded(v))
}

// unshielded gives back the colons that the library does not read well.
func unshielded(v any) any {
	switch v := v.(type) {
	case string:
		return unshield(v)
	case []any:
		for i := range v {
			v[i] = unshielded(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = unshielded(v[k])
		}
	case uint64: // of the library's, which the validator does not know
		return int64(v)
	}
	return v
}

func TestTheSchemaTakesWhatLoadTakes(t *testing.T) {
	s := compiled(t)
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(full), "", "zones:\n", "kafka: {brokers: \"k:9092\", topic: t, spool: /s, spool_size: 1048576}\n", "sensor: {metrics: 9618}\n"} {
		if _, err := Load("x.yaml", strings.NewReader(text), known); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		if err := valid(t, s, text); err != nil {
			t.Errorf("%v\n%.200s", err, text)
		}
	}
}

func TestTheSchemaRefusesMistakes(t *testing.T) {
	s := compiled(t)
	for _, text := range []string{
		"colour: red\n",
		"sensor: {mode: sideways}\n",
		"sensor: {rings: many}\n",
		"sensor: {rings: 0}\n",
		"sensor: [a]\n",
		"kafka: {topic: t}\n",
		"kafka: {brokers: [\"k:9092\"], topic: t, spool: /s, create: perhaps}\n",
		"kafka: {brokers: [\"k:9092\"], topic: t, spool: /s, spool_size: 1 GB}\n",
		"kafka: {brokers: [\"k:9092\"], topic: t, spool: /s, health: {every: 1s}}\n",
		"outputs: [{format: ocsf}]\n",
		"zones: [{name: a, trust: 1}]\n",
		"zones: [{name: a, trust: 101, networks: [10.0.0.0/8]}]\n",
		"zones: [{name: a, trust: 1, networks: [ten]}]\n",
		"inventory: {kms_hosts: [{addresses: [10.0.0.5], ports: [0]}]}\n",
		"rules: {kms-nothing: {enabled: false}}\n",
		"rules: {kms-refused: {severity: dire}}\n",
		"rules: {kms-refused: {refusals: some}}\n",
		"rules: {kms-refused: {within: soon}}\n",
		"rules: {kms-refused: {except: [{client: [x]}]}}\n",
		"policy: {allow_rpc: [{from: dmz}]}\n",
		"limits: {flows: 1}\n",
	} {
		if _, err := Load("x.yaml", strings.NewReader(text), known); err == nil {
			t.Errorf("it is no mistake: %s", text)
		}
		if valid(t, s, text) == nil {
			t.Errorf("taken: %s", text)
		}
	}
}

// TestTheSchemaHasTheKeysOfLoad asks Load for the keys that it knows at each place,
// by one that it does not.
func TestTheSchemaHasTheKeysOfLoad(t *testing.T) {
	const odd = "zzqqxx"
	list := regexp.MustCompile(`unknown key ` + odd + `; (?:known are|there are ([0-9]+), among them) (.*)`)
	s := compiled(t)
	places := map[string]string{ // the schema's, and a configuration with the odd key there
		"":                       odd + ": 1\n",
		"sensor":                 "sensor: {" + odd + ": 1}\n",
		"kafka":                  "kafka: {" + odd + ": 1}\n",
		"kafka/tls":              "kafka: {tls: {" + odd + ": 1}}\n",
		"kafka/sasl":             "kafka: {sasl: {" + odd + ": 1}}\n",
		"kafka/flows":            "kafka: {flows: {" + odd + ": 1}}\n",
		"kafka/health":           "kafka: {health: {" + odd + ": 1}}\n",
		"correlate":              "correlate: {" + odd + ": 1}\n",
		"outputs/[]":             "outputs: [{" + odd + ": 1}]\n",
		"zones/[]":               "zones: [{" + odd + ": 1}]\n",
		"inventory":              "inventory: {" + odd + ": 1}\n",
		"inventory/kms_hosts/[]": "inventory: {kms_hosts: [{" + odd + ": 1}]}\n",
		"policy":                 "policy: {" + odd + ": 1}\n",
		"policy/allow_rpc/[]":    "policy: {allow_rpc: [{" + odd + ": 1}]}\n",
		"limits":                 "limits: {" + odd + ": 1}\n",
		"rules/" + knownRules[0].ID + "/except/[]": "rules: {" + knownRules[0].ID + ": {except: [{" + odd + ": 1}]}}\n",
	}
	for _, r := range knownRules {
		places["rules/"+r.ID] = "rules: {" + r.ID + ": {" + odd + ": 1}}\n"
	}
	for place, text := range places {
		_, err := Load("x.yaml", strings.NewReader(text), known)
		var all Errors
		if !errors.As(err, &all) {
			t.Fatalf("%s: %v", place, err)
		}
		m := list.FindStringSubmatch(err.Error())
		if m == nil {
			t.Errorf("%s: %v", place, err)
			continue
		}
		want := strings.Split(strings.SplitN(m[2], "\n", 2)[0], ", ")
		many := len(want)
		if m[1] != "" { // too many to name all
			many, _ = strconv.Atoi(m[1])
		}
		at := s
		for _, step := range strings.Split(place, "/") {
			for at.Ref != nil {
				at = at.Ref
			}
			switch step {
			case "":
			case "[]":
				at = at.Items2020
			default:
				at = at.Properties[step]
			}
			if at == nil {
				t.Fatalf("the schema has no %s", place)
			}
		}
		for at.Ref != nil {
			at = at.Ref
		}
		got := slices.Sorted(maps.Keys(at.Properties))
		strange := slices.DeleteFunc(want, func(k string) bool { return slices.Contains(got, k) })
		if len(got) != many || len(strange) > 0 {
			t.Errorf("%s: the schema has %q, Load has %d, and of them %q", place, got, many, m[2])
		}
	}
}
