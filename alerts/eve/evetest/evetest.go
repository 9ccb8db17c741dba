// Package evetest holds alerts against what Suricata publishes of the EVE format
// (its etc/schema.json, and its documentation for host), for tests: which members
// an event of the type alert may have, of which type, and which it must have.
package evetest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// members are those that this program writes, with their types. What Suricata has
// beside them is not written; and nothing else may be, but the object kmswatch.
var members = map[string]string{
	"timestamp": "string", "event_type": "string", "flow_id": "integer", "src_ip": "string", "src_port": "integer",
	"dest_ip": "string", "dest_port": "integer", "proto": "string", "app_proto": "string", "community_id": "string",
	"vlan": "numbers", "host": "string", "alert": "object",
	"alert.action": "string", "alert.category": "string", "alert.gid": "integer", "alert.rev": "integer",
	"alert.severity": "integer", "alert.signature": "string", "alert.signature_id": "integer", "alert.metadata": "object",
	"alert.metadata.signature_severity": "strings", "alert.metadata.tag": "strings",
	"kmswatch": "own",
}

var required = []string{"timestamp", "event_type", "alert", "alert.action", "alert.gid", "alert.signature_id", "alert.rev", "alert.signature", "alert.category", "alert.severity", "kmswatch"}

var timestamp = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d+[+\-]\d+$`)

// Check gives what is wrong with an event, a line each, with the path of the
// member.
func Check(text []byte) (wrong []string) {
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		return []string{err.Error()}
	}
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	there := make(map[string]bool)
	var walk func(prefix string, o map[string]any)
	walk = func(prefix string, o map[string]any) {
		for name, x := range o {
			path := prefix + name
			there[path] = true
			kind, known := members[path]
			switch {
			case !known:
				bad("%s is not known", path)
			case kind == "object":
				if o, ok := x.(map[string]any); ok {
					walk(path+".", o)
				} else {
					bad("%s is no object", path)
				}
			case !is(kind, x):
				bad("%s: %v is no %s", path, x, kind)
			}
		}
	}
	walk("", v)
	for _, path := range required {
		if !there[path] {
			bad("no %s", path)
		}
	}
	if s, _ := v["timestamp"].(string); !timestamp.MatchString(s) {
		bad("timestamp: %q", s)
	}
	if v["event_type"] != "alert" {
		bad("event_type: %v", v["event_type"])
	}
	slices.Sort(wrong)
	return wrong
}

func is(kind string, x any) bool {
	switch kind {
	case "own":
		_, ok := x.(map[string]any)
		return ok
	case "string":
		_, ok := x.(string)
		return ok
	case "integer":
		n, ok := x.(float64)
		return ok && n == float64(int64(n))
	}
	list, ok := x.([]any)
	one := strings.TrimSuffix(kind, "s")
	if one == "number" {
		one = "integer"
	}
	return ok && !slices.ContainsFunc(list, func(x any) bool { return !is(one, x) })
}
