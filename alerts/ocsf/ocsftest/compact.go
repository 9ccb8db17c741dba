//go:build ignore

// Compact makes schema.json of the OCSF definitions: what a test needs to hold
// alerts against the class Detection Finding and flow records against Network
// Activity, without descriptions. It is given
// the folder of the definitions, as github.com/ocsf/ocsf-schema has them:
//
//	go run compact.go FOLDER > schema.json
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"
)

type object = map[string]any

// kept are the keys of an attribute, of a definition and of a type.
var kept = map[string]bool{
	"type": true, "is_array": true, "requirement": true, "sibling": true, "enum": true, "caption": true,
	"extends": true, "attributes": true, "constraints": true, "uid": true, "category": true, "version": true,
	"types": true, "regex": true, "max_len": true, "range": true,
}

func main() {
	log.SetFlags(0)
	c := compactor{folder: os.Args[1], out: object{}}
	c.take("version.json")
	c.take("categories.json")
	c.dictionary = c.load("dictionary.json")
	c.definition("events/findings", "detection_finding")
	c.definition("events/network", "network_activity")
	c.keepDictionary()
	b, err := json.MarshalIndent(c.out, "", " ")
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(append(b, '\n'))
}

type compactor struct {
	folder     string
	dictionary object
	used       []string // attributes
	out        object
}

func (c *compactor) load(name string) object {
	b, err := os.ReadFile(filepath.Join(c.folder, name))
	if err != nil {
		log.Fatal(err)
	}
	var o object
	if err := json.Unmarshal(b, &o); err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	return o
}

func (c *compactor) take(name string) object {
	o := c.load(name)
	c.out[name] = strip(o, false)
	return o
}

// definition takes a class or an object, what it extends, and the objects that
// its attributes are.
func (c *compactor) definition(folder, name string) {
	file := filepath.Join(folder, name+".json")
	if name == "base_event" {
		file = "events/base_event.json"
	}
	if _, there := c.out[file]; there {
		return
	}
	d := c.take(file)
	if base, ok := d["extends"].(string); ok {
		c.definition(folder, base)
	}
	attributes, _ := d["attributes"].(object)
	types := c.dictionary["types"].(object)["attributes"].(object)
	for k := range attributes {
		a, ok := c.dictionary["attributes"].(object)[k].(object)
		if !ok {
			continue // an include
		}
		c.used = append(c.used, k)
		kind, _ := a["type"].(string)
		if _, scalar := types[kind]; !scalar && kind != "object" {
			c.definition("objects", kind)
		}
	}
}

// keepDictionary takes the attributes that were met, and the types.
func (c *compactor) keepDictionary() {
	all := c.dictionary["attributes"].(object)
	some := object{}
	for _, k := range c.used {
		some[k] = strip(all[k], false)
	}
	c.out["dictionary.json"] = object{"attributes": some, "types": strip(c.dictionary["types"], false)}
}

// strip leaves the keys that are kept; named tells that keys are names.
func strip(v any, named bool) any {
	o, ok := v.(object)
	if !ok {
		return v
	}
	out := object{}
	for k, x := range o {
		if named || kept[k] {
			names := !named && (k == "attributes" || k == "enum" || k == "constraints")
			out[k] = strip(x, names)
		}
	}
	return out
}
