package config

import (
	"net"
	"strconv"

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
		field{"spool_size", func(_ *token.Token, v ast.Node) { c.SpoolSize, _ = l.bytes(v, "spool_size", 1<<20) }})
	if len(c.Brokers) == 0 || c.Topic == "" || c.Spool == "" {
		l.bad(at(n), "name them", "kafka: brokers, topic and spool are needed")
	}
}

// isEndpoint tells a host and a port.
func isEndpoint(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, bad := strconv.ParseUint(port, 10, 16)
	return err == nil && bad == nil && host != "" && n > 0
}
