// Package config reads the configuration: YAML in, values out, for whoever
// wires the sensor together. It is strict. Whatever it does not know or cannot
// be meant is an error with file, line and column and what to write instead,
// and all errors are told at once. It knows no rule: those there are, with
// their options, are given to it.
//
// testdata/full.yaml shows every key.
package config

import (
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/zone"
	"kmswatch/decode/dcerpc"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Config is what a configuration says. Zero values mean that it does not say.
type Config struct {
	Sensor    string   // name of this sensor in alerts
	Live      Live     // of the sensor that runs
	Kafka     Kafka    // where a running sensor sends its alerts
	Outputs   []Output // files that it writes them to
	Correlate Correlate
	Zones     *zone.Table
	Inventory inventory.Config
	Rules     map[string]alerts.Settings // by id; only those that the file names
	Allow     []Allow                    // RPC between zones that policy allows
	Limits    Limits
}

// Live is how a running sensor captures and what it shows of itself.
type Live struct {
	Interfaces []string       // names
	Mode       string         // ModeSpan or ModeHost
	Source     string         // SourceRing or SourceXDP
	Rings      int            // of the kernel, an interface
	RingSize   int64          // bytes, each
	Metrics    netip.AddrPort // to listen on; invalid iff nowhere
	User       string         // whose rights are enough once all is open
}

// Modes of a running sensor.
const (
	ModeSpan = "span" // a port that mirrors the traffic of others
	ModeHost = "host" // the interfaces of this host, and only its own traffic
)

// Sources of a running sensor.
const (
	SourceRing = "ring" // a copy of what passes an interface
	SourceXDP  = "xdp"  // all that comes to an interface, which is kept from the host
)

// FormatConsole is the format of files that is for people.
const FormatConsole = "console"

// DefaultMetricsPort is the port of metrics where only an address is given.
const DefaultMetricsPort = 9618

// Allow is RPC that policy allows between two zones.
type Allow struct {
	From, To   string        // names of zones
	Interfaces []dcerpc.UUID // empty is every interface
}

// Limits are bounds of tables and resources; 0 is the default of each.
type Limits struct {
	Flows             int
	ReassemblyPerFlow int64 // bytes
	ReassemblyTotal   int64 // bytes
	Fragments         int   // IP datagrams waiting for fragments
	Calls             int   // RPC calls without an answer
	Hosts             int   // of the inventory
	Alerts            int   // alerts whose repeats are being counted
	Workers           int
}

// Kafka is a topic that alerts are sent to. Without brokers there is none.
type Kafka struct {
	Brokers      []string // host:port
	Topic        string
	Format       string
	Create       bool // the topic, if it is not there
	Partitions   int  // of one that is made
	Replication  int  // likewise
	TLS          *TLS // nil: in clear
	SASL         string
	User         string
	PasswordFile string
	Spool        string        // folder of what was not yet acknowledged
	SpoolSize    int64         // bytes
	SpoolAge     time.Duration // after which what waits is given up; 0 is never

	Flows       Topic         // of flow records; without a name there is none
	Health      Topic         // of the sensor's own health; likewise
	HealthEvery time.Duration // 0 is DefaultHealthEvery
}

// Topic is another topic than that of alerts.
type Topic struct {
	Name       string
	Partitions int   // of one that is made; 0 is that of alerts
	SpoolSize  int64 // bytes
}

// DefaultHealthEvery is how often a sensor tells of its health.
const DefaultHealthEvery = 30 * time.Second

// Correlate is how the flow records of many sensors are joined. The zero value of
// a field is its default.
type Correlate struct {
	Name  string // in its alerts
	Group string // of consumers
	State string // topic of what it remembers
	Roles string // topic of what servers are
}

// Output is a file that alerts are written to.
type Output struct {
	Path        string
	Format      string
	RotateSize  int64         // bytes at which it is set aside
	RotateEvery time.Duration // in which it is set aside
	Keep        int           // files that were set aside and are left
	Gzip        bool          // compress those
}

// TLS names files of PEM.
type TLS struct {
	CA        string // whom to trust; empty: whom the system trusts
	Cert, Key string // of this client; both or none
}

// Default is the configuration without a file: zone.Default and nothing else.
func Default() *Config { return &Config{Zones: zone.Default()} }

// most bounds the size of a configuration, bytes.
const most = 1 << 20

// Known is what a configuration may name and this package does not know.
type Known struct {
	Rules   []alerts.Info
	Formats []string // of alerts, for machines
}

// Load reads a configuration; name is the file's, for errors, and known is what
// there is. An error of what it says is Errors.
func Load(name string, from io.Reader, known Known) (*Config, error) {
	b, err := io.ReadAll(io.LimitReader(from, most+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > most {
		return nil, fmt.Errorf("%s: larger than %d MiB", name, most>>20)
	}
	l := loader{reader: reader{file: name}, known: known, config: Default()}
	if top := l.parse(b); top != nil {
		l.load(top)
	}
	if err := l.result(); err != nil {
		return nil, err
	}
	return l.config, nil
}

// loader turns the syntax tree into a Config.
type loader struct {
	reader
	known  Known
	config *Config
	zones  []string // names, also of zones with errors, so that these are said once
}

func (l *loader) load(top *ast.MappingNode) {
	// Exceptions and policy name zones: those are read first, wherever they stand.
	var sensor, kafka, correlate, outputs, zones, inv, rules, policy, limits ast.Node
	keep := func(n *ast.Node) func(*token.Token, ast.Node) {
		return func(_ *token.Token, v ast.Node) { *n = v }
	}
	l.mapping(top, "the configuration",
		field{"sensor", keep(&sensor)},
		field{"kafka", keep(&kafka)},
		field{"correlate", keep(&correlate)},
		field{"outputs", keep(&outputs)},
		field{"zones", keep(&zones)},
		field{"inventory", keep(&inv)},
		field{"rules", keep(&rules)},
		field{"policy", keep(&policy)},
		field{"limits", keep(&limits)})
	l.readSensor(sensor)
	if kafka != nil {
		l.readKafka(kafka)
	}
	l.readCorrelate(correlate)
	l.readOutputs(outputs)
	l.readZones(zones)
	l.readInventory(inv)
	l.readRules(rules)
	l.readPolicy(policy)
	l.readLimits(limits)
}

func (l *loader) readSensor(n ast.Node) {
	c := &l.config.Live
	l.mapping(n, "sensor",
		field{"name", func(_ *token.Token, v ast.Node) { l.config.Sensor, _ = l.text(v, "sensor name") }},
		field{"interfaces", func(_ *token.Token, v ast.Node) {
			l.list(v, "interfaces", true, func(v ast.Node) {
				s, ok := l.text(v, "interfaces")
				if ok && slices.Contains(c.Interfaces, s) {
					l.bad(at(v), "remove one", "interfaces: %s is given twice", s)
				}
				c.Interfaces = append(c.Interfaces, s)
			})
		}},
		field{"mode", func(_ *token.Token, v ast.Node) { c.Mode, _ = l.word(v, "mode", []string{ModeSpan, ModeHost}) }},
		field{"source", func(_ *token.Token, v ast.Node) {
			c.Source, _ = l.word(v, "source", []string{SourceRing, SourceXDP})
		}},
		field{"rings", func(_ *token.Token, v ast.Node) {
			i, _ := l.integer(v, "rings", 1, 64)
			c.Rings = int(i)
		}},
		field{"ring_size", func(_ *token.Token, v ast.Node) { c.RingSize, _ = l.bytes(v, "ring_size", 1<<20) }},
		field{"metrics", func(_ *token.Token, v ast.Node) {
			s, ok := l.scalar(v, "metrics", "an address and port")
			if !ok {
				return
			}
			a, err := ParseMetrics(s)
			if err != nil {
				l.bad(at(v), "write 127.0.0.1:9618, or the port alone", "metrics: %s", err)
			}
			c.Metrics = a
		}},
		field{"user", func(_ *token.Token, v ast.Node) { c.User, _ = l.text(v, "user") }})
}

// ParseMetrics reads where to listen: an address with a port, or one of them.
// Without an address it is the loopback.
func ParseMetrics(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, DefaultMetricsPort), nil
	}
	if p, err := strconv.ParseUint(strings.TrimPrefix(s, ":"), 10, 16); err == nil && p > 0 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(p)), nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address and port", s)
	}
	return a, nil
}

func (l *loader) readZones(n ast.Node) {
	if null(n) {
		l.zones = names(l.config.Zones)
		return
	}
	var zones []zone.Zone
	type place struct {
		zone     *token.Token
		networks []*token.Token
	}
	var places []place
	l.list(n, "zones", false, func(n ast.Node) {
		z, p := zone.Zone{}, place{zone: at(n)}
		var name, trust, networks bool
		l.mapping(n, "zone",
			field{"name", func(_ *token.Token, v ast.Node) {
				name = true
				p.zone = at(v)
				z.Name, _ = l.text(v, "zone name")
				if i := strings.IndexFunc(z.Name, notInName); i >= 0 {
					l.bad(at(v), "use letters, digits, - _ and .", "zone name %q has %q", z.Name, z.Name[i:i+1])
				}
			}},
			field{"trust", func(_ *token.Token, v ast.Node) {
				trust = true
				t, _ := l.integer(v, "trust", 0, zone.MaxTrust)
				z.Trust = int(min(max(t, 0), zone.MaxTrust))
			}},
			field{"networks", func(_ *token.Token, v ast.Node) {
				l.list(v, "networks", true, func(v ast.Node) {
					networks = true
					if x, ok := l.network(v, "networks"); ok {
						z.Networks = append(z.Networks, x)
						p.networks = append(p.networks, at(v))
					}
				})
			}})
		if k := n.Type(); k != ast.MappingType && k != ast.MappingValueType {
			if k == ast.NullType {
				l.wrong(n, "zone", "a mapping", "write {name: dmz, trust: 20, networks: [192.0.2.0/24]}")
			}
			return // else said
		}
		switch {
		case !name:
			l.bad(p.zone, "add name: dmz", "zone without a name")
			return
		case z.Name == "":
			return // said
		}
		if !trust {
			l.bad(p.zone, "add trust: and a number from 0, least, to 100", "zone %s has no trust", z.Name)
		}
		if !networks {
			l.bad(p.zone, "add networks: [192.0.2.0/24]", "zone %s has no networks", z.Name)
		}
		l.zones = append(l.zones, z.Name)
		zones = append(zones, z)
		places = append(places, p)
	})
	l.zones = append(l.zones, zone.Unknown)
	t, err := zone.New(zones...)
	if err == nil {
		l.config.Zones = t
		return
	}
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		e := err.(*zone.Error)
		where := places[e.Zone].zone
		if e.Network >= 0 {
			where = places[e.Zone].networks[e.Network]
		}
		l.bad(where, e.Hint, "%s", e.Text)
	}
}

func notInName(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
}

func names(t *zone.Table) (s []string) {
	for _, z := range t.Zones() {
		s = append(s, z.Name)
	}
	return s
}

func (l *loader) readInventory(n ast.Node) {
	inv := &l.config.Inventory
	type owner struct {
		host int
		line int
	}
	taken := make(map[netip.Addr]owner)
	named := make(map[string]int) // line
	kms := func(n ast.Node) {
		var h inventory.KMSHost
		i := len(inv.KMSHosts)
		claim := func(v ast.Node) (netip.Addr, bool) {
			a, ok := l.address(v, "KMS host")
			if !ok {
				return a, false
			}
			if o, ok := taken[a]; ok && o.host != i {
				l.bad(at(v), "an address belongs to one KMS host", "KMS host: address %s is that of another on line %d", a, o.line)
				return a, false
			}
			taken[a] = owner{i, at(v).Position.Line}
			return a, true
		}
		addresses := false
		addr := func(_ *token.Token, v ast.Node) {
			l.list(v, "addresses", true, func(v ast.Node) {
				addresses = true
				if a, ok := claim(v); ok {
					if slices.Contains(h.Addresses, a) {
						l.bad(at(v), "remove one", "KMS host: address %s is given twice", a)
						return
					}
					h.Addresses = append(h.Addresses, a)
				}
			})
		}
		l.mapping(n, "KMS host",
			field{"name", func(_ *token.Token, v ast.Node) {
				h.Name, _ = l.text(v, "KMS host name")
				if line, ok := named[h.Name]; ok && h.Name != "" {
					l.bad(at(v), "put all its addresses under the first", "KMS host %s is given on line %d already", h.Name, line)
				}
				named[h.Name] = at(v).Position.Line
			}},
			field{"address", addr},
			field{"addresses", addr},
			field{"management", func(_ *token.Token, v ast.Node) {
				if a, ok := claim(v); ok {
					h.Management = a
				}
			}},
			field{"clients", func(_ *token.Token, v ast.Node) {
				l.list(v, "clients", true, func(v ast.Node) {
					p, ok := l.network(v, "clients")
					if !ok {
						return
					}
					if slices.Contains(h.Clients, p) {
						l.bad(at(v), "remove one", "clients: network %s is given twice", p)
					}
					h.Clients = append(h.Clients, p)
				})
			}},
			field{"ports", func(_ *token.Token, v ast.Node) {
				l.list(v, "ports", true, func(v ast.Node) {
					p, ok := l.integer(v, "ports", 1, math.MaxUint16)
					if !ok {
						return
					}
					if slices.Contains(h.Ports, uint16(p)) {
						l.bad(at(v), "remove one", "ports: %d is given twice", p)
					}
					h.Ports = append(h.Ports, uint16(p))
				})
			}})
		if !addresses {
			l.bad(at(n), "add address: 192.0.2.1", "KMS host without an address")
		}
		inv.KMSHosts = append(inv.KMSHosts, h)
	}
	hosts := func(what string, to *[]netip.Addr) func(*token.Token, ast.Node) {
		return func(_ *token.Token, v ast.Node) {
			l.list(v, what, true, func(v ast.Node) {
				a, ok := l.address(v, what)
				if !ok {
					return
				}
				if slices.Contains(*to, a) {
					l.bad(at(v), "remove one", "%s: address %s is given twice", what, a)
					return
				}
				*to = append(*to, a)
			})
		}
	}
	l.mapping(n, "inventory",
		field{"kms_hosts", func(_ *token.Token, v ast.Node) { l.list(v, "kms_hosts", false, kms) }},
		field{"domain_controllers", hosts("domain_controllers", &inv.DomainControllers)},
		field{"dns_servers", hosts("dns_servers", &inv.DNSServers)})
}

func (l *loader) readRules(n ast.Node) {
	ids := make([]string, len(l.known.Rules))
	for i := range l.known.Rules {
		ids[i] = l.known.Rules[i].ID
	}
	l.each(n, "rules", func(key *token.Token, id string, v ast.Node) {
		i := slices.Index(ids, id)
		if i < 0 {
			l.bad(key, meant(id, ids), "rules: unknown rule %s", id)
			return
		}
		if l.config.Rules == nil {
			l.config.Rules = make(map[string]alerts.Settings)
		}
		l.config.Rules[id] = l.rule(&l.known.Rules[i], v)
	})
}

func (l *loader) rule(info *alerts.Info, n ast.Node) (r alerts.Settings) {
	fields := []field{
		{"enabled", func(_ *token.Token, v ast.Node) {
			if on, ok := l.boolean(v, "enabled"); ok {
				r.Disabled = !on
			}
		}},
		{"severity", func(_ *token.Token, v ast.Node) {
			var known []string
			for s := alerts.Informational; s <= alerts.Critical; s++ {
				known = append(known, s.String())
			}
			if s, ok := l.word(v, "severity", known); ok {
				r.Severity, _ = alerts.ParseSeverity(s)
			}
		}},
		{"window", func(_ *token.Token, v ast.Node) {
			r.Window, _ = l.duration(v, "window", time.Second, longest)
		}},
		{"except", func(_ *token.Token, v ast.Node) {
			l.list(v, "except", false, func(v ast.Node) { r.Exceptions = append(r.Exceptions, l.exception(v)) })
		}},
	}
	for _, o := range info.Options {
		fields = append(fields, field{o.Name, func(_ *token.Token, v ast.Node) {
			if x, ok := l.option(&o, v); ok {
				if r.Options == nil {
					r.Options = make(map[string]any)
				}
				r.Options[o.Name] = x
			}
		}})
	}
	l.mapping(n, "rule "+info.ID, fields...)
	return r
}

// longest is the longest duration that a rule may have.
const longest = 30 * 24 * time.Hour

// option reads a value of the type of the option's default.
func (l *loader) option(o *alerts.Option, n ast.Node) (any, bool) {
	texts := func(read func(ast.Node) (string, bool)) ([]string, bool) {
		s, all := []string{}, true
		l.list(n, o.Name, true, func(v ast.Node) {
			x, ok := read(v)
			s, all = append(s, x), all && ok
		})
		return s, all
	}
	switch o.Default.(type) {
	case bool:
		return anyOf(l.boolean(n, o.Name))
	case int:
		i, ok := l.integer(n, o.Name, 0, math.MaxInt32)
		return int(i), ok
	case time.Duration:
		return anyOf(l.duration(n, o.Name, time.Second, longest))
	case string:
		return anyOf(l.text(n, o.Name))
	case []string:
		return anyOf(texts(func(v ast.Node) (string, bool) { return l.text(v, o.Name) }))
	case alerts.Interfaces:
		s, ok := texts(func(v ast.Node) (string, bool) {
			if len(l.rpc(v, o.Name)) == 0 {
				return "", false
			}
			return l.text(v, o.Name)
		})
		return alerts.Interfaces(s), ok
	}
	panic("config: option " + o.Name + " has a default of no known type")
}

func anyOf[T any](v T, ok bool) (any, bool) { return v, ok }

func (l *loader) exception(n ast.Node) (e alerts.Exception) {
	said := false
	// A part that is malformed is left out here and would make the exception a
	// wider one; but its error keeps all from being loaded.
	networks := func(what string, to *[]netip.Prefix) func(*token.Token, ast.Node) {
		return func(_ *token.Token, v ast.Node) {
			said = true
			l.listed(v, what, func(v ast.Node) {
				if p, ok := l.network(v, what); ok {
					*to = append(*to, p)
				}
			})
		}
	}
	l.mapping(n, "exception",
		field{"client_zone", func(_ *token.Token, v ast.Node) { said = true; e.ClientZone = l.zone(v, "client_zone") }},
		field{"server_zone", func(_ *token.Token, v ast.Node) { said = true; e.ServerZone = l.zone(v, "server_zone") }},
		field{"client", networks("client", &e.Clients)},
		field{"server", networks("server", &e.Servers)},
		field{"interface", func(_ *token.Token, v ast.Node) {
			said = true
			l.listed(v, "interface", func(v ast.Node) { e.Interfaces = append(e.Interfaces, l.rpc(v, "interface")...) })
		}})
	if !said {
		l.bad(at(n), "name a zone, client, server or interface; enabled: false silences the whole rule", "empty exception")
	}
	return e
}

// zone reads the name of a zone that there is.
func (l *loader) zone(n ast.Node, what string) string {
	s, ok := l.text(n, what)
	if ok && !slices.Contains(l.zones, s) {
		l.bad(at(n), meant(s, l.zones), "%s: unknown zone %s", what, s)
	}
	return s
}

// rpc reads an interface: its UUID, or a name, which may stand for several.
func (l *loader) rpc(n ast.Node, what string) []dcerpc.UUID {
	s, ok := l.text(n, what)
	if !ok {
		return nil
	}
	if u, ok := dcerpc.ParseUUID(s); ok {
		return []dcerpc.UUID{u}
	}
	if u := dcerpc.InterfaceByName(s); len(u) > 0 {
		return u
	}
	l.bad(at(n), "write its UUID, as 12345778-1234-abcd-ef00-0123456789ac, or a name that kmswatch decode prints",
		"%s: unknown interface %s", what, s)
	return nil
}

func (l *loader) readPolicy(n ast.Node) {
	l.mapping(n, "policy", field{"allow_rpc", func(_ *token.Token, v ast.Node) {
		l.list(v, "allow_rpc", false, func(n ast.Node) {
			var a Allow
			l.mapping(n, "allow_rpc",
				field{"from", func(_ *token.Token, v ast.Node) { a.From = l.zone(v, "from") }},
				field{"to", func(_ *token.Token, v ast.Node) { a.To = l.zone(v, "to") }},
				field{"interfaces", func(_ *token.Token, v ast.Node) {
					l.listed(v, "interfaces", func(v ast.Node) { a.Interfaces = append(a.Interfaces, l.rpc(v, "interfaces")...) })
				}})
			if a.From == "" || a.To == "" {
				l.bad(at(n), "write {from: dmz, to: internal, interfaces: [epmapper]}", "allow_rpc: from and to are both needed")
			}
			l.config.Allow = append(l.config.Allow, a)
		})
	}})
}

func (l *loader) readLimits(n ast.Node) {
	c := &l.config.Limits
	count := func(key string, to *int, low, high int64) field {
		return field{key, func(_ *token.Token, v ast.Node) {
			i, _ := l.integer(v, key, low, high)
			*to = int(i)
		}}
	}
	size := func(key string, to *int64) field {
		return field{key, func(_ *token.Token, v ast.Node) { *to, _ = l.bytes(v, key, 4096) }}
	}
	var total *token.Token
	l.mapping(n, "limits",
		count("flows", &c.Flows, 16, 1<<26),
		size("reassembly_per_flow", &c.ReassemblyPerFlow),
		field{"reassembly_total", func(_ *token.Token, v ast.Node) {
			total = at(v)
			c.ReassemblyTotal, _ = l.bytes(v, "reassembly_total", 4096)
		}},
		count("fragments", &c.Fragments, 1, 1<<20),
		count("calls", &c.Calls, 1, 1<<24),
		count("hosts", &c.Hosts, 16, 1<<26),
		count("alerts", &c.Alerts, 16, 1<<24),
		count("workers", &c.Workers, 1, 256))
	if c.ReassemblyPerFlow > 0 && c.ReassemblyTotal > 0 && c.ReassemblyTotal < c.ReassemblyPerFlow {
		l.bad(total, "the total is that of all flows together", "reassembly_total: %d is less than reassembly_per_flow, %d",
			c.ReassemblyTotal, c.ReassemblyPerFlow)
	}
}
