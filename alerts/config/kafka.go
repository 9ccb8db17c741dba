package config

import (
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

func (l *loader) readKafka(n ast.Node) {
	c := &l.config.Kafka
	name := func(key string, to *string) field {
		return field{key, func(_ *token.Token, v ast.Node) { *to, _ = l.text(v, key) }}
	}
	count := func(key string, to *int, high int64) field {
		return field{key, func(_ *token.Token, v ast.Node) {
			i, _ := l.integer(v, key, 1, high)
			*to = int(i)
		}}
	}
	l.mapping(n, "kafka",
		field{"brokers", func(_ *token.Token, v ast.Node) {
			l.list(v, "brokers", true, func(v ast.Node) {
				s, ok := l.text(v, "brokers")
				if ok && !isEndpoint(s) {
					l.bad(at(v), "write kafka1.example:9092", "brokers: %s is no host and port", s)
				}
				c.Brokers = append(c.Brokers, s)
			})
		}},
		name("topic", &c.Topic),
		field{"format", func(_ *token.Token, v ast.Node) { c.Format, _ = l.word(v, "format", l.known.Formats) }},
		field{"create", func(_ *token.Token, v ast.Node) { c.Create, _ = l.boolean(v, "create") }},
		count("partitions", &c.Partitions, 10_000),
		count("replication", &c.Replication, 100),
		field{"tls", func(key *token.Token, v ast.Node) {
			t := new(TLS)
			l.mapping(v, "tls", name("ca", &t.CA), name("cert", &t.Cert), name("key", &t.Key))
			if (t.Cert == "") != (t.Key == "") {
				l.bad(key, "name both, or none", "tls: cert and key go together")
			}
			c.TLS = t
		}},
		field{"sasl", func(key *token.Token, v ast.Node) {
			l.mapping(v, "sasl",
				field{"mechanism", func(_ *token.Token, v ast.Node) {
					c.SASL, _ = l.word(v, "mechanism", []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})
				}},
				name("user", &c.User),
				name("password_file", &c.PasswordFile))
			if c.SASL == "" || c.User == "" || c.PasswordFile == "" {
				l.bad(key, "a password stands in a file of its own", "sasl: mechanism, user and password_file are needed")
			}
		}},
		name("spool", &c.Spool),
		field{"spool_size", func(_ *token.Token, v ast.Node) { c.SpoolSize, _ = l.bytes(v, "spool_size", 1<<20) }},
		field{"spool_age", func(_ *token.Token, v ast.Node) {
			c.SpoolAge, _ = l.duration(v, "spool_age", time.Minute, 365*24*time.Hour)
		}},
		field{"flows", func(key *token.Token, v ast.Node) {
			l.mapping(v, "flows", name("topic", &c.Flows.Name), count("partitions", &c.Flows.Partitions, 10_000),
				field{"spool_size", func(_ *token.Token, v ast.Node) { c.Flows.SpoolSize, _ = l.bytes(v, "spool_size", 1<<20) }})
			l.topic(key, "flows", c.Flows.Name, c.Topic)
		}},
		field{"health", func(key *token.Token, v ast.Node) {
			l.mapping(v, "health", name("topic", &c.Health.Name), count("partitions", &c.Health.Partitions, 10_000),
				field{"every", func(_ *token.Token, v ast.Node) {
					c.HealthEvery, _ = l.duration(v, "every", time.Second, 24*time.Hour)
				}})
			l.topic(key, "health", c.Health.Name, c.Topic, c.Flows.Name)
		}})
	for _, need := range []struct {
		key   string
		there bool
		hint  string
	}{
		{"brokers", len(c.Brokers) > 0, "add brokers: [kafka1.example:9092]"},
		{"topic", c.Topic != "", "add topic: kmswatch-alerts"},
		{"spool", c.Spool != "", "add spool: /var/lib/kmswatch/spool, a folder for what the broker does not have yet"},
	} {
		if !need.there {
			l.bad(at(n), need.hint, "kafka: no %s", need.key)
		}
	}
}

// topic looks whether a topic has a name, and one of its own.
func (l *loader) topic(key *token.Token, what, name string, taken ...string) {
	switch {
	case name == "":
		l.bad(key, "add topic: kmswatch-"+what, "%s: no topic", what)
	case slices.Contains(taken, name):
		l.bad(key, "give it a topic of its own", "%s: topic %s is taken", what, name)
	}
}

func (l *loader) readCorrelate(n ast.Node) {
	c, k := &l.config.Correlate, &l.config.Kafka
	name := func(key string, to *string) field {
		return field{key, func(at *token.Token, v ast.Node) { *to, _ = l.text(v, key) }}
	}
	topic := func(key string, to *string, other *string) field {
		return field{key, func(at *token.Token, v ast.Node) {
			*to, _ = l.text(v, key)
			if *to != "" {
				l.topic(at, key, *to, k.Topic, k.Flows.Name, k.Health.Name, *other)
			}
		}}
	}
	l.mapping(n, "correlate", name("name", &c.Name), name("group", &c.Group), topic("state", &c.State, &c.Roles), topic("roles", &c.Roles, &c.State))
}

// isEndpoint tells a host and a port.
func isEndpoint(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, bad := strconv.ParseUint(port, 10, 16)
	return err == nil && bad == nil && host != "" && n > 0
}
