// Package ecstest holds alerts against the definitions of the Elastic Common
// Schema, for tests: fields known, required ones there, types, arrays and allowed
// values met. fields.json has the definitions, as compact.go made it.
package ecstest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

//go:embed fields.json
var definitions []byte

type field struct {
	Type     string
	Required bool
	Array    bool
	Allowed  map[string][]string
}

// Schema is the definitions.
type Schema struct {
	Version string
	fields  map[string]field
}

// New reads the definitions.
func New() *Schema {
	var all struct {
		Version string
		Fields  map[string]field
	}
	if err := json.Unmarshal(definitions, &all); err != nil {
		panic(err)
	}
	return &Schema{all.Version, all.Fields}
}

// Check gives what is wrong with an alert, a line each, with the name of the
// field. The object own is this program's, and is not looked into.
func (s *Schema) Check(text []byte, own string) (wrong []string) {
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		return []string{err.Error()}
	}
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	there := make(map[string][]any)
	var walk func(prefix string, o map[string]any)
	walk = func(prefix string, o map[string]any) {
		for name, x := range o {
			path := prefix + name
			if path == own {
				continue
			}
			f, known := s.fields[path]
			if inner, object := x.(map[string]any); object && (!known || f.Type == "object") {
				walk(path+".", inner)
				continue
			}
			if !known {
				bad("%s is not known", path)
				continue
			}
			values, array := x.([]any)
			if array != f.Array {
				bad("%s: an array is %v, and must be %v", path, array, f.Array)
			}
			if !array {
				values = []any{x}
			}
			there[path] = values
			for _, x := range values {
				if !is(f.Type, x) {
					bad("%s: %v is no %s", path, x, f.Type)
				}
				if text, _ := x.(string); f.Allowed != nil {
					if _, ok := f.Allowed[text]; !ok {
						bad("%s: %v is not allowed", path, x)
					}
				}
			}
		}
	}
	walk("", v)
	for path, f := range s.fields {
		if f.Required && there[path] == nil {
			bad("no %s", path)
		}
	}
	if x := there["ecs.version"]; len(x) == 1 && x[0] != s.Version {
		bad("ecs.version: %v", x[0])
	}
	for _, c := range there["event.category"] {
		expected := s.fields["event.category"].Allowed[fmt.Sprint(c)]
		for _, t := range there["event.type"] {
			if !slices.Contains(expected, fmt.Sprint(t)) {
				bad("event.type: %v is not expected with the category %v", t, c)
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func is(kind string, x any) bool {
	text, isText := x.(string)
	n, isNumber := x.(float64)
	switch kind {
	case "long":
		return isNumber && n == float64(int64(n))
	case "float":
		return isNumber
	case "date":
		_, err := time.Parse(time.RFC3339Nano, text)
		return isText && err == nil
	case "ip":
		a, err := netip.ParseAddr(text)
		return isText && err == nil && a.Zone() == ""
	case "boolean":
		_, ok := x.(bool)
		return ok
	case "keyword", "text", "wildcard", "match_only_text", "constant_keyword":
		return isText && strings.ToValidUTF8(text, "") == text
	}
	return false
}
