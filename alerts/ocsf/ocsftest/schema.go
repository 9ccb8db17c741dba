// Package ocsftest holds alerts and flow records against the definitions of OCSF, for tests:
// attributes known, required ones there, types, enumerations and constraints
// met. schema.json has the definitions, as compact.go made it.
package ocsftest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"unicode/utf8"
)

//go:embed schema.json
var definitions []byte

// New reads the definitions.
func New() *Schema {
	s := &Schema{known: make(map[string]*definition)}
	if err := json.Unmarshal(definitions, &s.files); err != nil {
		panic(err)
	}
	s.read("dictionary.json", &s.dictionary)
	s.classes = map[float64]*definition{}
	s.class("events/findings", "finding", "detection_finding")
	s.class("events/network", "network", "network_activity")
	return s
}

// Check gives what is wrong with an event of one of the classes, a line each,
// each with the path of the attribute.
func (s *Schema) Check(text []byte) []string {
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		return []string{err.Error()}
	}
	s.wrong = nil
	number := func(name string) float64 { n, _ := v[name].(float64); return n }
	class := s.classes[number("class_uid")]
	if class == nil {
		return []string{fmt.Sprintf("class_uid: %v is none of those known here", v["class_uid"])}
	}
	s.object("", class, v)
	if number("class_uid")*100+number("activity_id") != number("type_uid") {
		s.bad("type_uid: %v", v["type_uid"])
	}
	if m, _ := v["metadata"].(map[string]any); m["version"] != s.Version() {
		s.bad("metadata.version: %v", m["version"])
	}
	return s.wrong
}

type attribute struct {
	Type        string
	IsArray     bool `json:"is_array"`
	Requirement string
	Sibling     string
	Enum        map[string]struct{ Caption string }
}

type definition struct {
	Extends     string
	Attributes  map[string]attribute
	Constraints map[string][]string
}

// Schema is the definitions of the classes Detection Finding and Network Activity.
type Schema struct {
	classes    map[float64]*definition // by class_uid
	files      map[string]json.RawMessage
	wrong      []string
	known      map[string]*definition
	dictionary struct {
		Attributes map[string]attribute
		Types      struct {
			Attributes map[string]struct {
				Type   string
				Regex  string
				MaxLen int `json:"max_len"`
				Range  []float64
			}
		}
	}
}

func (s *Schema) bad(format string, args ...any) {
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

func (s *Schema) read(name string, v any) {
	if err := json.Unmarshal(s.files[name], v); err != nil {
		panic(name + ": " + err.Error())
	}
}

// Version is that of the definitions.
func (s *Schema) Version() string {
	var v struct{ Version string }
	s.read("version.json", &v)
	return v.Version
}

// class reads a class and gives it the numbers that OCSF derives: that of its
// category, and of itself in it.
func (s *Schema) class(folder, of, name string) {
	var categories struct {
		Attributes map[string]struct {
			UID     int
			Caption string
		}
	}
	var base struct{ Category string }
	var class struct {
		UID     int
		Caption string
	}
	s.read("categories.json", &categories)
	s.read(folder+"/"+of+".json", &base)
	s.read(folder+"/"+name+".json", &class)
	category := categories.Attributes[base.Category]
	d := s.load(folder, name)
	only := func(name, sibling string, n int, caption string) {
		a := d.Attributes[name]
		a.Enum, a.Sibling = map[string]struct{ Caption string }{strconv.Itoa(n): {caption}}, sibling
		d.Attributes[name] = a
	}
	only("category_uid", "category_name", category.UID, category.Caption)
	only("class_uid", "class_name", category.UID*1000+class.UID, class.Caption)
	s.classes[float64(category.UID*1000+class.UID)] = d
}

// load reads a definition with what it extends. Attributes of profiles are not
// known: alerts name no profile.
func (s *Schema) load(folder, name string) *definition {
	if d := s.known[name]; d != nil {
		return d
	}
	var raw struct {
		Extends     string
		Attributes  map[string]json.RawMessage
		Constraints map[string][]string
	}
	file := folder + "/" + name + ".json"
	if name == "base_event" {
		file = "events/base_event.json"
	}
	s.read(file, &raw)
	d := &definition{Attributes: make(map[string]attribute), Constraints: raw.Constraints}
	if raw.Extends != "" {
		base := s.load(folder, raw.Extends)
		maps.Copy(d.Attributes, base.Attributes)
		if d.Constraints == nil {
			d.Constraints = base.Constraints
		}
	}
	for k, b := range raw.Attributes {
		if k == "$include" {
			continue
		}
		var own attribute
		if err := json.Unmarshal(b, &own); err != nil {
			panic(err)
		}
		a, inherited := d.Attributes[k]
		if !inherited {
			a = s.dictionary.Attributes[k]
		}
		enum := maps.Clone(a.Enum)
		if enum == nil {
			enum = own.Enum
		} else {
			maps.Copy(enum, own.Enum)
		}
		if own.Requirement != "" {
			a.Requirement = own.Requirement
		}
		a.Enum = enum
		d.Attributes[k] = a
	}
	s.known[name] = d
	return d
}

func (s *Schema) object(path string, d *definition, v map[string]any) {
	for name, a := range d.Attributes {
		if _, there := v[name]; !there && a.Requirement == "required" {
			s.bad("%s: no %s, which is required", path, name)
		}
	}
	if one := d.Constraints["at_least_one"]; one != nil {
		n := 0
		for _, name := range one {
			if _, there := v[name]; there {
				n++
			}
		}
		if n == 0 {
			s.bad("%s: none of %v", path, one)
		}
	}
	for name, x := range v {
		here := path + "." + name
		a, ok := d.Attributes[name]
		if !ok {
			s.bad("%s is not known", here)
			continue
		}
		if len(a.Enum) > 0 {
			e, ok := a.Enum[fmt.Sprint(x)]
			if n, number := x.(float64); number {
				e, ok = a.Enum[strconv.Itoa(int(n))]
			}
			if !ok {
				s.bad("%s: %v is not of its enumeration", here, x)
			} else if word, there := v[a.Sibling]; there && word != e.Caption {
				s.bad("%s: %v, but %s is %v", here, x, a.Sibling, word)
			}
		}
		if !a.IsArray {
			s.value(here, a.Type, x)
			continue
		}
		list, ok := x.([]any)
		if !ok {
			s.bad("%s is no array", here)
		}
		for i, x := range list {
			s.value(fmt.Sprintf("%s[%d]", here, i), a.Type, x)
		}
	}
}

func (s *Schema) value(path, kind string, v any) {
	if kind == "json_t" || kind == "object" {
		return
	}
	typ, scalar := s.dictionary.Types.Attributes[kind]
	if !scalar {
		o, ok := v.(map[string]any)
		if !ok {
			s.bad("%s is no object %s", path, kind)
			return
		}
		s.object(path, s.load("objects", kind), o)
		return
	}
	base := kind
	if typ.Type != "" {
		base = typ.Type
	}
	switch base {
	case "boolean_t":
		if _, ok := v.(bool); !ok {
			s.bad("%s: %v is no boolean", path, v)
		}
	case "integer_t", "long_t":
		n, ok := v.(float64)
		if !ok || n != float64(int64(n)) {
			s.bad("%s: %v is no integer", path, v)
		} else if len(typ.Range) == 2 && (n < typ.Range[0] || n > typ.Range[1]) {
			s.bad("%s: %v is out of range", path, v)
		}
	case "string_t":
		text, ok := v.(string)
		switch {
		case !ok:
			s.bad("%s: %v is no string", path, v)
		case typ.MaxLen > 0 && utf8.RuneCountInString(text) > typ.MaxLen:
			s.bad("%s: %v is too long", path, v)
		case typ.Regex != "" && !regexp.MustCompile(typ.Regex).MatchString(text):
			s.bad("%s: %v is no %s", path, v, kind)
		}
	default:
		s.bad("%s: type %s is not known to this test", path, base)
	}
}
