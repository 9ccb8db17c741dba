package config

import (
	"encoding/json"
	"strings"
	"time"

	"kmswatch/alerts"
)

// Schema gives a JSON Schema (draft 2020-12) of the configuration, for editors:
// every key with what it is for. What one value has to do with another is told by
// Load alone.
func Schema(known Known) []byte {
	rules := object{}
	for i := range known.Rules {
		rules[known.Rules[i].ID] = ruleSchema(&known.Rules[i])
	}
	networks := oneOrMore(object{"$ref": "#/$defs/network"})
	top := mapping("The configuration of kmswatch.", object{
		"sensor": mapping("The name of this sensor, and for kmswatch run what it watches.", object{
			"name":       text("In alerts."),
			"interfaces": describe(oneOrMore(text("")), "To watch."),
			"mode":       words("span: a mirror port; host: the interfaces of this host and its own traffic.", ModeSpan, ModeHost),
			"source":     words("ring: any interface; xdp: a port that only a mirror feeds.", SourceRing, SourceXDP),
			"rings":      number("Of the kernel, an interface.", 1, 64),
			"ring_size":  size("Of each ring."),
			"metrics":    object{"type": []string{"string", "integer"}, "description": "Address and port to serve Prometheus at; a port alone is that of 127.0.0.1."},
			"user":       text("Whose rights are enough once all is open."),
		}),
		"kafka": mapping("Where kmswatch run sends its alerts.", object{
			"brokers":     describe(oneOrMore(text("")), "Each host:port."),
			"topic":       text("Of alerts."),
			"format":      words("Of alerts.", known.Formats...),
			"create":      flag("Make topics that are not there."),
			"partitions":  number("Of topics that are made.", 1, 10_000),
			"replication": number("Of topics that are made.", 1, 100),
			"tls": mapping("Files of PEM; without this section it is in clear.", object{
				"ca": text("Whom to trust; whom the system trusts, if left out."), "cert": text("Of this client."), "key": text("Of cert."),
			}),
			"sasl": mapping("Credentials.", object{
				"mechanism": words("", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"), "user": text(""), "password_file": text("A file that holds the password alone."),
			}, "mechanism", "user", "password_file"),
			"spool":      text("Folder of what the broker does not have yet."),
			"spool_size": size("Of the spool."),
			"spool_age":  duration("After which what waits in a spool is given up; never, if left out."),
			"flows": mapping("Records of RPC associations, KMS exchanges, SRV lookups and SMB sessions.", object{
				"topic": text(""), "partitions": number("If the topic is made.", 1, 10_000), "spool_size": size("Of their spool."),
			}, "topic"),
			"health": mapping("How the sensor itself is.", object{
				"topic": text(""), "partitions": number("If the topic is made.", 1, 10_000), "every": duration("Between two records."),
			}, "topic"),
		}, "brokers", "topic", "spool"),
		"correlate": mapping("How kmswatch correlate joins the flow records of many sensors.", object{
			"name": text("In its alerts."), "group": text("Of consumers."), "state": text("Topic of what it remembers."), "roles": text("Topic of what servers are."),
		}),
		"outputs": list("Files that kmswatch run writes its alerts to.", mapping("", object{
			"path":         text("Of the file."),
			"format":       words("Of alerts.", append([]string{FormatConsole}, known.Formats...)...),
			"rotate_size":  size("At which the file is set aside."),
			"rotate_every": duration("After which it is set aside."),
			"keep":         number("Files that were set aside and are left.", 1, mostKept),
			"gzip":         flag("Compress those."),
		}, "path")),
		"zones": list("The longest prefix wins; an address in none is in the zone unknown, trust 0.", mapping("", object{
			"name":     text("Letters, digits, and -_. "),
			"trust":    number("0 is the least.", 0, 100),
			"networks": networks,
		}, "name", "trust", "networks")),
		"inventory": mapping("What is known of hosts; roles are observed too.", object{
			"kms_hosts": list("", mapping("", object{
				"name":       text(""),
				"address":    describe(oneOrMore(object{"$ref": "#/$defs/address"}), "Of service."),
				"addresses":  describe(oneOrMore(object{"$ref": "#/$defs/address"}), "Of service."),
				"management": describe(object{"$ref": "#/$defs/address"}, "The only address that should serve KMS."),
				"clients":    describe(networks, "Who may activate; all, if left out."),
				"ports":      describe(oneOrMore(number("", 1, 65535)), "1688, if left out."),
			})),
			"domain_controllers": oneOrMore(object{"$ref": "#/$defs/address"}),
			"dns_servers":        oneOrMore(object{"$ref": "#/$defs/address"}),
		}),
		"rules": object{"type": []string{"object", "null"}, "additionalProperties": false, "properties": rules, "description": "By id; kmswatch rules lists them."},
		"policy": mapping("What is as it should be.", object{
			"allow_rpc": list("RPC between zones.", mapping("", object{
				"from": text("A zone."), "to": text("A zone."), "interfaces": describe(oneOrMore(text("")), "By UUID or name; every one, if left out."),
			}, "from", "to")),
		}),
		"limits": mapping("Bounds of tables and resources.", object{
			"flows":               number("", 16, 1<<26),
			"reassembly_per_flow": size("That may wait in a direction of a flow."),
			"reassembly_total":    size("That may wait in all."),
			"fragments":           number("IP datagrams that wait for the rest of them.", 1, 1<<20),
			"calls":               number("RPC calls that wait for an answer.", 1, 1<<24),
			"hosts":               number("Whose roles are observed.", 16, 1<<26),
			"alerts":              number("Whose repeats are being counted.", 16, 1<<24),
			"workers":             number("Goroutines that decode.", 1, 256),
		}),
	})
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["$id"] = "https://kmswatch.invalid/config.schema.json"
	top["title"] = "kmswatch configuration"
	top["$defs"] = object{
		"address": object{"type": "string", "pattern": "^[0-9A-Fa-f:.]+$", "description": "An IP address."},
		"network": object{"type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9]+)?$", "description": "An IP address or network: 10.0.0.0/8."},
		"size":    object{"oneOf": []object{{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)$"}}},
		"duration": object{
			"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`, "description": "90s, 5m, 24h",
		},
		"exception": mapping("Silent where all of it holds.", object{
			"client_zone": text("Name of a zone."), "server_zone": text("Name of a zone."),
			"client": networks, "server": networks,
			"interface": describe(oneOrMore(text("")), "RPC interface, by UUID or name."),
		}),
	}
	b, err := json.MarshalIndent(top, "", "  ")
	if err != nil {
		panic(err) // of texts and numbers
	}
	return append(b, '\n')
}

type object map[string]any

func ruleSchema(info *alerts.Info) object {
	keys := object{
		"enabled":  flag("False silences the rule."),
		"severity": words("In place of its own, "+info.Severity.String()+".", severities()...),
		"window":   duration("In which repeats are folded."),
		"except":   list("Traffic that the rule lets pass.", object{"$ref": "#/$defs/exception"}),
	}
	for _, o := range info.Options {
		var s object
		switch d := o.Default.(type) {
		case bool:
			s = flag(o.What)
			s["default"] = d
		case int:
			s = number(o.What, 0, 1<<31-1)
			s["default"] = d
		case time.Duration:
			s = duration(o.What)
		case string:
			s = text(o.What)
			s["default"] = d
		case []string, alerts.Interfaces:
			s = describe(oneOrMore(text("")), o.What)
			s["default"] = d
		}
		keys[o.Name] = s
	}
	return mapping(info.Title+". "+info.Why, keys)
}

func severities() (names []string) {
	for s := alerts.Informational; s <= alerts.Critical; s++ {
		names = append(names, s.String())
	}
	return names
}

// mapping may be empty, as Load has it, where it needs no key.
func mapping(what string, keys object, required ...string) object {
	s := object{"type": "object", "additionalProperties": false, "properties": keys}
	if required != nil {
		s["required"] = required
	} else {
		s["type"] = []string{"object", "null"}
	}
	return describe(s, what)
}

func list(what string, of object) object {
	return describe(object{"type": []string{"array", "null"}, "items": of}, what)
}

// oneOrMore is a list, or one element without brackets.
func oneOrMore(of object) object {
	return object{"oneOf": []object{of, {"type": "array", "items": of}}}
}

func describe(s object, what string) object {
	if what == "" {
		return s
	}
	out := object{"description": strings.TrimSpace(what)}
	for k, v := range s {
		out[k] = v
	}
	return out
}

func text(what string) object { return describe(object{"type": "string"}, what) }
func flag(what string) object { return describe(object{"type": "boolean"}, what) }
func size(what string) object { return describe(object{"$ref": "#/$defs/size"}, what) }

func duration(what string) object { return describe(object{"$ref": "#/$defs/duration"}, what) }

func number(what string, low, high int64) object {
	return describe(object{"type": "integer", "minimum": low, "maximum": high}, what)
}

func words(what string, all ...string) object {
	return describe(object{"enum": all}, what)
}
