package ocsf

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"unicode/utf8"
)

// definitions is where the OCSF definitions lie when they are there.
const definitions = "../../../shared/ocsf-1.8.0"

// TestAlertsMeetTheDefinitions holds every example against the definitions of
// the class and of its objects: attributes known, required ones there, types,
// enumerations and constraints met.
func TestAlertsMeetTheDefinitions(t *testing.T) {
	if _, err := os.Stat(definitions); err != nil {
		t.Skip("the OCSF definitions are not here")
	}
	s := schema{t: t, known: make(map[string]*definition)}
	s.read("dictionary.json", &s.dictionary)
	s.class()
	for name, a := range examples() {
		var v map[string]any
		if err := json.Unmarshal(Encoder{Version: "1.0"}.AppendJSON(nil, a), &v); err != nil {
			t.Fatal(err)
		}
		s.object(name, s.load("events/findings", "detection_finding"), v)
		if v["class_uid"].(float64)*100+v["activity_id"].(float64) != v["type_uid"].(float64) {
			t.Errorf("%s: type_uid %v", name, v["type_uid"])
		}
		if v["metadata"].(map[string]any)["version"] != s.version() {
			t.Errorf("%s: not the version of the definitions", name)
		}
	}
	// The validator itself must see what is wrong.
	for what, bad := range map[string]string{
		"an unknown attribute":      `{"colour": "red"}`,
		"a wrong type":              `{"count": "3"}`,
		"a number of no enum":       `{"severity_id": 17}`,
		"a name not of its number":  `{"severity_id": 1, "severity": "High"}`,
		"a malformed address":       `{"evidences": [{"src_endpoint": {"ip": "x"}}]}`,
		"an evidence with nothing":  `{"evidences": [{}]}`,
		"an array that is none":     `{"evidences": {}}`,
		"all that is required gone": `{}`,
	} {
		var v map[string]any
		if err := json.Unmarshal([]byte(bad), &v); err != nil {
			t.Fatal(err)
		}
		quiet := schema{known: s.known, dictionary: s.dictionary}
		quiet.object("", s.load("events/findings", "detection_finding"), v)
		required := 8 // of the class
		for k := range v {
			if s.load("events/findings", "detection_finding").Attributes[k].Requirement == "required" {
				required--
			}
		}
		if want := required; what == "all that is required gone" && quiet.wrong != want || what != "all that is required gone" && quiet.wrong <= want {
			t.Errorf("%s: %d things wrong, %d of them that something required is missing", what, quiet.wrong, want)
		}
	}
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

type schema struct {
	t          *testing.T // nil counts what is wrong without telling
	wrong      int
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

func (s *schema) bad(format string, args ...any) {
	s.wrong++
	if s.t != nil {
		s.t.Errorf(format, args...)
	}
}

func (s *schema) read(name string, v any) {
	b, err := os.ReadFile(filepath.Join(definitions, name))
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		panic(err)
	}
}

func (s *schema) version() string {
	var v struct{ Version string }
	s.read("version.json", &v)
	return v.Version
}

// class gives the class the numbers that OCSF derives: that of its category,
// and of itself in it.
func (s *schema) class() {
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
	s.read("events/findings/finding.json", &base)
	s.read("events/findings/detection_finding.json", &class)
	category := categories.Attributes[base.Category]
	d := s.load("events/findings", "detection_finding")
	only := func(name, sibling string, n int, caption string) {
		a := d.Attributes[name]
		a.Enum, a.Sibling = map[string]struct{ Caption string }{strconv.Itoa(n): {caption}}, sibling
		d.Attributes[name] = a
	}
	only("category_uid", "category_name", category.UID, category.Caption)
	only("class_uid", "class_name", category.UID*1000+class.UID, class.Caption)
}

// load reads a definition with what it extends. Attributes of profiles are not
// known: alerts name no profile.
func (s *schema) load(folder, name string) *definition {
	if d := s.known[name]; d != nil {
		return d
	}
	var raw struct {
		Extends     string
		Attributes  map[string]json.RawMessage
		Constraints map[string][]string
	}
	file := filepath.Join(folder, name+".json")
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

func (s *schema) object(path string, d *definition, v map[string]any) {
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

func (s *schema) value(path, kind string, v any) {
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
