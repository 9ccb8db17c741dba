package config

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/zone"
	"kmswatch/decode/dcerpc"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// known stands for what there is.
var known = Known{Rules: knownRules, Formats: []string{"ocsf", "ndjson"}}

var knownRules = []alerts.Info{
	{ID: "kms-zone-climb"},
	{ID: "kms-unusual-port"},
	{ID: "kms-foreign-interface"},
	{ID: "kms-refused", Options: []alerts.Option{
		{Name: "refusals", Default: 5},
		{Name: "within", Default: time.Hour},
	}},
	{ID: "kms-unauthenticated-client", Options: []alerts.Option{{Name: "watched", Default: time.Hour}}},
	{ID: "rpc-exploit", Options: []alerts.Option{{Name: "everywhere", Default: false}, {Name: "ignore", Default: []string{}}}},
	{ID: "rpc-anonymous-bind", Options: []alerts.Option{
		{Name: "exempt", Default: alerts.Interfaces{"epmapper"}},
		{Name: "strict", Default: false},
		{Name: "word", Default: ""},
		{Name: "words", Default: []string{}},
	}},
}

func load(s string) (*Config, error) { return Load("x.yaml", strings.NewReader(s), known) }

func addrs(s ...string) (a []netip.Addr) {
	for _, s := range s {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}

func prefixes(s ...string) (p []netip.Prefix) {
	for _, s := range s {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// compare compares what netip and zone keep unexported by what they say.
var compare = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{}),
	cmpopts.IgnoreFields(Config{}, "Zones"),
}

func TestFullExample(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := Load("testdata/full.yaml", f, known)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Sensor: "span-dmz-1",
		Live: Live{Interfaces: []string{"eth1", "eth2"}, Mode: ModeSpan, Source: SourceRing, Rings: 2, RingSize: 64 << 20,
			Metrics: netip.MustParseAddrPort("127.0.0.1:9618"), User: "kmswatch"},
		Kafka: Kafka{
			Brokers: []string{"kafka1.example:9093", "[2001:db8::9]:9093"}, Topic: "kmswatch-alerts", Format: "ocsf",
			Create: true, Partitions: 6, Replication: 3,
			TLS:  &TLS{CA: "/etc/kmswatch/ca.pem", Cert: "/etc/kmswatch/cert.pem", Key: "/etc/kmswatch/key.pem"},
			SASL: "SCRAM-SHA-512", User: "kmswatch", PasswordFile: "/etc/kmswatch/password",
			Spool: "/var/lib/kmswatch/spool", SpoolSize: 1 << 30, SpoolAge: 720 * time.Hour,
			Flows:  Topic{Name: "kmswatch-flows", Partitions: 6, SpoolSize: 1 << 30},
			Health: Topic{Name: "kmswatch-health", Partitions: 1}, HealthEvery: 30 * time.Second,
		},
		Correlate: Correlate{Name: "correlate", Group: "kmswatch-correlate", State: "kmswatch-flows-state", Roles: "kmswatch-flows-roles"},
		Outputs: []Output{
			{Path: "/var/log/kmswatch/alerts.ndjson", Format: "ocsf", RotateSize: 64 << 20, RotateEvery: 24 * time.Hour, Keep: 30, Gzip: true},
			{Path: "/var/log/kmswatch/alerts.txt", Format: "console"},
		},
		Inventory: inventory.Config{
			KMSHosts: []inventory.KMSHost{
				{Name: "kms1", Addresses: addrs("10.0.0.5", "fd00::5"), Management: netip.MustParseAddr("10.9.0.5"),
					Clients: prefixes("10.0.0.0/8", "192.0.2.0/24"), Ports: []uint16{1688, 1689}},
				{Addresses: addrs("10.0.0.6")},
			},
			DomainControllers: addrs("10.0.0.1", "10.0.0.2"),
			DNSServers:        addrs("10.0.0.1"),
		},
		Rules: map[string]alerts.Settings{
			"kms-unusual-port": {Disabled: true},
			"kms-zone-climb": {Severity: alerts.High, Window: 24 * time.Hour, Exceptions: []alerts.Exception{
				{ClientZone: "dmz", ServerZone: "internal", Servers: prefixes("10.0.0.5/32")},
				{Clients: prefixes("192.0.2.10/32", "192.0.2.128/25")},
			}},
			"kms-foreign-interface": {Exceptions: []alerts.Exception{
				{Clients: prefixes("10.9.0.0/16"), Interfaces: []dcerpc.UUID{dcerpc.MustUUID("afa8bd80-7d8a-11c9-bef4-08002b102989"), dcerpc.KMS}},
			}},
			"kms-refused":                {Options: map[string]any{"refusals": 10, "within": time.Hour}},
			"kms-unauthenticated-client": {Options: map[string]any{"watched": 6 * time.Hour}, Exceptions: []alerts.Exception{{ClientZone: "dmz"}}},
			"rpc-exploit": {Options: map[string]any{"everywhere": true, "ignore": []string{"ms06-040"}}, Exceptions: []alerts.Exception{
				{Clients: prefixes("10.9.0.20/32"), Interfaces: []dcerpc.UUID{inventory.DRSUAPI}},
			}},
		},
		Allow: []Allow{
			{From: "dmz", To: "internal", Interfaces: []dcerpc.UUID{dcerpc.KMS, dcerpc.EPMapper}},
			{From: "management", To: "internal"},
		},
		Limits: Limits{Flows: 100000, ReassemblyPerFlow: 1 << 20, ReassemblyTotal: 256 << 20, Fragments: 1024,
			Calls: 65536, Hosts: 65536, Alerts: 4096, Workers: 2},
	}
	if d := cmp.Diff(want, got, compare); d != "" {
		t.Error(d)
	}
	for a, name := range map[string]string{"10.1.1.1": "internal", "10.9.1.1": "management", "203.0.113.7": "management",
		"fd12::1": "internal", "2001:db8:d::1": "dmz", "203.0.113.8": zone.Unknown} {
		if z := got.Zones.Lookup(netip.MustParseAddr(a)); z.Name != name {
			t.Errorf("%s is in %s", a, z.Name)
		}
	}
	if z := got.Zones.Zone("dmz"); z.Trust != 20 {
		t.Errorf("trust of dmz is %d", z.Trust)
	}
}

func TestMetricsAreOnTheLoopbackUnlessSaid(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"9618": "127.0.0.1:9618", ":9000": "127.0.0.1:9000", "::1": "[::1]:9618", "10.0.0.1": "10.0.0.1:9618",
		"0.0.0.0:80": "0.0.0.0:80", "[2001:db8::1]:81": "[2001:db8::1]:81",
		"": "", ":": "", "0": "", ":0": "", "10.0.0.1:0": "", "65536": "", "localhost:9618": "",
	} {
		got, err := ParseMetrics(in)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v; want %q", in, got, err, want)
		}
	}
}

func TestNothingIsTheDefault(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "# a comment\n", "---\n", "zones:\ninventory:\n", "sensor: {}\nzones: null\nrules: {}\nlimits:\n"} {
		c, err := load(s)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if z := c.Zones.Lookup(netip.MustParseAddr("10.0.0.1")); z.Name != "internal" {
			t.Errorf("%q: 10.0.0.1 is in %s", s, z.Name)
		}
		if d := cmp.Diff(Default(), c, compare, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%q: %s", s, d)
		}
	}
}

// The library takes the colons of plain IPv6 addresses for those of keys in
// some places; people write them in all.
func TestPlainIPv6IsReadInAllPlaces(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"fd00::/8", "2001:db8:d::/48", "::1/128", "::1", "::", "2001:db8::1", "1:2:3:4:5:6:7:8", "12:34::", "::ffff:192.0.2.1"} {
		for _, f := range []string{
			"zones: [{name: a, trust: 1, networks: [192.0.0.0/8, %s]}]",
			"zones: [{name: a, trust: 1, networks: [%s, 192.0.0.0/8]}]",
			"zones: [{name: a, trust: 1, networks: %s}]",
			"zones:\n- name: a\n  networks: %s # why\n  trust: 1",
			"zones:\n- name: a\n  trust: 1\n  networks:\n  - %s\n",
			"zones:\n- name: a\n  trust: 1\n  networks:\n  - %s\r\n",
			"zones:\n- name: a\n  trust: 1\n  networks:\n  - '%s'",
			`zones: [{name: a, trust: 1, networks: ["%s"]}]`,
		} {
			s := strings.ReplaceAll(f, "%s", a)
			c, err := load(s)
			if err != nil {
				t.Errorf("%q: %v", s, err)
				continue
			}
			want, _ := zone.ParseNetwork(a)
			if got := c.Zones.Zone("a").Networks; got[0] != want && got[len(got)-1] != want {
				t.Errorf("%q: %v", s, got)
			}
		}
	}
	// Columns behind such an address, and the address in an error, are as written.
	_, err := load("zones: [{name: a, trust: 1, networks: [fd00::1/8, 10.0.0.1/8]}]")
	want := "x.yaml:1:40: networks: network fd00::1/8 has host bits set; did you mean fd00::/8, or fd00::1/128 for the one host?\n" +
		"x.yaml:1:51: networks: network 10.0.0.1/8 has host bits set; did you mean 10.0.0.0/8, or 10.0.0.1/32 for the one host?"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestBroken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		// YAML itself
		{"a list that does not end", "zones: [\n", "x.yaml:1:8: sequence end token ']' not found"},
		{"a tab", "\tzones: 1\n", "x.yaml:1:6: tab character cannot use as a map key directly"},
		{"a quote that does not end", "sensor: {name: 'a\n", "x.yaml:1:16: could not find end character of single-quoted text"},
		{"a list at the top", "- a\n", "x.yaml:1:1: the configuration: want a mapping, found a list; write key: value lines below it"},
		{"text at the top", "hello", "x.yaml:1:1: the configuration: want a mapping, found text; write key: value lines below it"},
		{"two documents", "sensor: {name: x}\n---\nsensor: {name: y}\n", "x.yaml:3:7: second document; put all into one document, without ---"},
		{"an anchor and an alias", "sensor: &a {name: x}\nrules: *a\n",
			"x.yaml:1:9: sensor: want a mapping, found an anchor; anchors, aliases and tags are not known here: write the value itself\n" +
				"x.yaml:2:8: rules: want a mapping, found an alias; anchors, aliases and tags are not known here: write the value itself"},
		{"a merge key", "sensor:\n  <<: {a: b}\n", "x.yaml:2:3: sensor: malformed key; write a plain word"},
		{"a tag", "sensor: !!map {name: x}\n", "x.yaml:1:9: sensor: want a mapping, found a tag; anchors, aliases and tags are not known here: write the value itself"},

		// keys
		{"an unknown key", "zonse: []\n", "x.yaml:1:1: the configuration: unknown key zonse; did you mean zones?"},
		{"kafka without a topic", "kafka: {brokers: [\"k:9092\"], spool: /s}\n", "x.yaml:1:8: kafka: no topic; add topic: kmswatch-alerts"},
		{"kafka with nothing but a topic", "kafka: {topic: t}\n", "x.yaml:1:8: kafka: no brokers; add brokers: [kafka1.example:9092]\n" +
			"x.yaml:1:8: kafka: no spool; add spool: /var/lib/kmswatch/spool, a folder for what the broker does not have yet"},
		{"flow records without a topic", "kafka: {brokers: [\"k:9092\"], topic: t, spool: /s, flows: {partitions: 2}}\n", "x.yaml:1:51: flows: no topic; add topic: kmswatch-flows"},
		{"flow records among the alerts", "kafka: {brokers: [\"k:9092\"], topic: t, spool: /s, flows: {topic: t}}\n", "x.yaml:1:51: flows: topic t is taken; give it a topic of its own"},
		{"a state among the flow records", "kafka: {brokers: [\"k:9092\"], topic: t, spool: /s, flows: {topic: f}}\ncorrelate: {state: f}\n", "x.yaml:2:13: state: topic f is taken; give it a topic of its own"},
		{"health too often", "kafka: {brokers: [\"k:9092\"], topic: t, spool: /s, health: {topic: h, every: 1ms}}\n", "x.yaml:1:77: every: 1ms is not within 1s to 24h"},
		{"a broker without a port", "kafka: {brokers: k, topic: t, spool: /s}\n", "x.yaml:1:18: brokers: k is no host and port; write kafka1.example:9092"},
		{"a certificate without a key", "kafka: {brokers: [\"k:9092\"], topic: t, spool: /s, tls: {cert: c.pem}}\n", "x.yaml:1:51: tls: cert and key go together; name both, or none"},
		{"credentials without a password", "kafka: {brokers: [\"k:9092\"], topic: t, spool: /s, sasl: {mechanism: PLAIN, user: u}}\n",
			"x.yaml:1:51: sasl: mechanism, user and password_file are needed; a password stands in a file of its own"},
		{"a format that is none", "kafka: {brokers: [\"k:9092\"], topic: t, spool: /s, format: console}\n", "x.yaml:1:59: format: unknown value console; known are ocsf, ndjson"},
		{"an output of a format that is none", "outputs: [{path: /a, format: yaml}]\n", "x.yaml:1:30: format: unknown value yaml; known are console, ocsf, ndjson"},
		{"an output without a path", "outputs:\n  - format: ocsf\n", "x.yaml:2:5: output without a path; add path: /var/log/kmswatch/alerts.ndjson"},
		{"an output that is nothing", "outputs: [null]\n", "x.yaml:1:11: output: want a mapping, found nothing; write {path: /var/log/kmswatch/alerts.ndjson}"},
		{"an output twice", "outputs:\n  - path: /a/b\n  - path: /a/./b\n", "x.yaml:3:11: path: /a/./b is that of the output on line 2; name another, or remove one"},
		{"an output that is none", "outputs: [{path: \"-\"}]\n", "x.yaml:1:18: path: - is no file; name a file; kmswatch run --output says what goes to standard output"},
		{"files that are never set aside", "outputs: [{path: /a, keep: 3, gzip: true}]\n",
			"x.yaml:1:22: keep: the file is never set aside; add rotate_size: 64MiB, or rotate_every: 24h\nx.yaml:1:31: gzip: the file is never set aside; add rotate_size: 64MiB, or rotate_every: 24h"},
		{"too small a file, too short a time, too few", "outputs: [{path: /a, rotate_size: 1KiB, rotate_every: 1s, keep: 0}]\n",
			"x.yaml:1:35: rotate_size: 1KiB is less than 65536\nx.yaml:1:55: rotate_every: 1s is not within 1m to 720h\nx.yaml:1:65: keep: 0 is not within 1 to 100000"},
		{"an unknown key like none", "colour: red\n", "x.yaml:1:1: the configuration: unknown key colour; known are sensor, kafka, correlate, outputs, zones, inventory, rules, policy, limits"},
		{"an unknown key of a zone in {}", "zones:\n  - {name: a, trust: 1, networks: [10.0.0.0/8], color: red}\n", "x.yaml:2:49: zone: unknown key color; known are name, trust, networks"},
		{"an unknown key of a rule", "rules:\n  kms-refused:\n    refusal: 3\n", "x.yaml:3:5: rule kms-refused: unknown key refusal; did you mean refusals?"},
		{"an option of another rule", "rules:\n  kms-zone-climb: {refusals: 3}\n", "x.yaml:2:20: rule kms-zone-climb: unknown key refusals; known are enabled, severity, window, except"},
		{"a key twice", "sensor:\n  name: x\n  name: y\n", "x.yaml:3:3: sensor: key name is given on line 2 already; remove one"},
		{"a key twice in {}", "sensor: {name: x, name: y}\n", "x.yaml:1:19: sensor: key name is given on line 1 already; remove one"},
		{"a rule twice", "rules:\n  kms-refused: {refusals: 1}\n  kms-refused: {refusals: 2}\n", "x.yaml:3:3: rules: key kms-refused is given on line 2 already; remove one"},

		// sensor
		{"a number as name", "sensor: {name: 10}\n", `x.yaml:1:16: sensor name: want text, found a number; put it in quotes: "10"`},
		{"an interface twice", "sensor: {interfaces: [eth1, eth1]}\n", "x.yaml:1:29: interfaces: eth1 is given twice; remove one"},
		{"an unknown mode", "sensor: {mode: tap}\n", "x.yaml:1:16: mode: unknown value tap; known are span, host"},
		{"no rings", "sensor: {rings: 0}\n", "x.yaml:1:17: rings: 0 is not within 1 to 64"},
		{"a small ring", "sensor: {ring_size: 4KiB}\n", "x.yaml:1:21: ring_size: 4KiB is less than 1048576"},
		{"metrics nowhere", "sensor:\n  metrics: everywhere\n", `x.yaml:2:12: metrics: "everywhere" is no address and port; write 127.0.0.1:9618, or the port alone`},
		{"an empty name", "sensor:\n  name: \"\"\n", "x.yaml:2:9: sensor name: empty text; write it, or leave the key out"},
		{"no name", "sensor:\n  name:\n", "x.yaml:2:9: sensor name: want text, found nothing"},

		// zones
		{"trust too high", "zones:\n  - name: a\n    trust: 101\n    networks: [10.0.0.0/8]\n", "x.yaml:3:12: trust: 101 is not within 0 to 100"},
		{"trust below zero", "zones: [{name: a, trust: -1, networks: [10.0.0.0/8]}]\n", "x.yaml:1:26: trust: -1 is not within 0 to 100"},
		{"trust in words", "zones: [{name: a, trust: high, networks: [10.0.0.0/8]}]\n", "x.yaml:1:26: trust: want a whole number, found text"},
		{"trust with a fraction", "zones: [{name: a, trust: 0.5, networks: [10.0.0.0/8]}]\n", "x.yaml:1:26: trust: want a whole number, found a number"},
		{"host bits", "zones:\n  - name: a\n    trust: 1\n    networks:\n      - 10.0.0.0/8\n      - 192.0.2.7/24\n",
			"x.yaml:6:9: networks: network 192.0.2.7/24 has host bits set; did you mean 192.0.2.0/24, or 192.0.2.7/32 for the one host?"},
		{"a prefix too long", "zones: [{name: a, trust: 1, networks: [10.0.0.0/33]}]\n",
			`x.yaml:1:40: networks: "10.0.0.0/33" is no network; write an address and the length of its prefix: 10.0.0.0/8 or fd00::/8`},
		{"a number for a network", "zones: [{name: a, trust: 1, networks: [10.0]}]\n",
			`x.yaml:1:40: networks: "10.0" is no network; write an address and the length of its prefix: 10.0.0.0/8 or fd00::/8`},
		{"a malformed IPv6 network in {}", "zones: [{name: a, trust: 1, networks: [fd00:::/8]}]\n",
			"x.yaml:1:40: networks: want a network, found a mapping; a : within the text is taken for a key; if it is meant, put the text in quotes"},
		{"the same network in two zones", "zones:\n  - {name: a, trust: 1, networks: [10.0.0.0/8]}\n  - {name: b, trust: 2, networks: [10.1.0.0/16, 10.0.0.0/8]}\n",
			"x.yaml:3:49: zone b: network 10.0.0.0/8 is in zone a already; a network belongs to one zone; a longer prefix may belong to another"},
		{"the same network twice, behind a malformed one", "zones:\n  - {name: a, trust: 1, networks: [10.0.0.0/8, 10.0.0.1/8, 10.0.0.0/8]}\n",
			"x.yaml:2:48: networks: network 10.0.0.1/8 has host bits set; did you mean 10.0.0.0/8, or 10.0.0.1/32 for the one host?\n" +
				"x.yaml:2:60: zone a: network 10.0.0.0/8 is given twice; remove one"},
		{"a zone twice", "zones:\n  - {name: a, trust: 1, networks: [10.0.0.0/8]}\n  - {name: a, trust: 2, networks: [10.0.0.0/9]}\n",
			"x.yaml:3:12: zone a is given twice; put all its networks under the first"},
		{"a zone without a name, trust and networks", "zones:\n  - trust: 1\n  - name: b\n",
			"x.yaml:2:5: zone without a name; add name: dmz\n" +
				"x.yaml:3:11: zone b has no trust; add trust: and a number from 0, least, to 100\n" +
				"x.yaml:3:11: zone b has no networks; add networks: [192.0.2.0/24]"},
		{"an empty zone", "zones:\n  - {}\n", "x.yaml:2:5: zone without a name; add name: dmz"},
		{"no zone", "zones:\n  -\n", "x.yaml:2:5: zone: want a mapping, found nothing; write {name: dmz, trust: 20, networks: [192.0.2.0/24]}"},
		{"zones as words", "zones: [a, b]\n", "x.yaml:1:9: zone: want a mapping, found text; write key: value lines below it\n" +
			"x.yaml:1:12: zone: want a mapping, found text; write key: value lines below it"},
		{"zones as a mapping", "zones:\n  dmz: [10.0.0.0/8]\n", "x.yaml:2:3: zones: want a list, found a mapping; write [one, two], or a line with - for each"},
		{"the reserved name", "zones: [{name: unknown, trust: 1, networks: [10.0.0.0/8]}]\n",
			"x.yaml:1:16: zone unknown is that of addresses in no network; choose another name; to place all other addresses use 0.0.0.0/0 and ::/0"},
		{"a name with a space", "zones: [{name: the dmz, trust: 1, networks: [10.0.0.0/8]}]\n",
			`x.yaml:1:16: zone name "the dmz" has " "; use letters, digits, - _ and .`},

		// inventory
		{"a host twice", "inventory:\n  kms_hosts:\n    - address: 10.0.0.5\n    - name: b\n      addresses: [10.0.0.6, 10.0.0.5]\n",
			"x.yaml:5:29: KMS host: address 10.0.0.5 is that of another on line 3; an address belongs to one KMS host"},
		{"a host that is another's management address", "inventory:\n  kms_hosts:\n    - {address: 10.0.0.5, management: 10.9.0.5}\n    - address: 10.9.0.5\n",
			"x.yaml:4:16: KMS host: address 10.9.0.5 is that of another on line 3; an address belongs to one KMS host"},
		{"a host twice, once mapped into IPv6", "inventory:\n  kms_hosts: [{address: 10.0.0.5}, {address: '::ffff:10.0.0.5'}]\n",
			"x.yaml:2:46: KMS host: address 10.0.0.5 is that of another on line 2; an address belongs to one KMS host"},
		{"an address twice", "inventory: {kms_hosts: [{addresses: [10.0.0.5, 10.0.0.5]}]}\n", "x.yaml:1:48: KMS host: address 10.0.0.5 is given twice; remove one"},
		{"a name twice", "inventory:\n  kms_hosts:\n    - {name: a, address: 10.0.0.5}\n    - {name: a, address: 10.0.0.6}\n",
			"x.yaml:4:14: KMS host a is given on line 3 already; put all its addresses under the first"},
		{"a host without an address", "inventory:\n  kms_hosts:\n    - name: a\n", "x.yaml:3:7: KMS host without an address; add address: 192.0.2.1"},
		{"a network for an address", "inventory: {kms_hosts: [{address: 10.0.0.0/24}]}\n", `x.yaml:1:35: KMS host: "10.0.0.0/24" is a network; write one address, without a prefix length`},
		{"a name for an address", "inventory: {dns_servers: [ns1.example.org]}\n",
			`x.yaml:1:27: dns_servers: "ns1.example.org" is no address; write it as 192.0.2.1 or 2001:db8::1; names are not looked up`},
		{"an address of no host", "inventory: {dns_servers: [0.0.0.0, 224.0.0.251]}\n",
			"x.yaml:1:27: dns_servers: 0.0.0.0 is no address of a host\nx.yaml:1:36: dns_servers: 224.0.0.251 is no address of a host"},
		{"an address with a scope", "inventory: {dns_servers: ['fe80::1%eth0']}\n", "x.yaml:1:27: dns_servers: address fe80::1%eth0 has a scope; leave out what follows %"},
		{"a domain controller twice", "inventory:\n  domain_controllers:\n    - 10.0.0.1\n    - 10.0.0.1\n", "x.yaml:4:7: domain_controllers: address 10.0.0.1 is given twice; remove one"},
		{"port 0", "inventory:\n  kms_hosts:\n    - address: 10.0.0.5\n      ports: [0, 1688]\n", "x.yaml:4:15: ports: 0 is not within 1 to 65535"},
		{"a port too high", "inventory:\n  kms_hosts:\n    - address: 10.0.0.5\n      ports: 65536\n", "x.yaml:4:14: ports: 65536 is not within 1 to 65535"},
		{"a port by name", "inventory:\n  kms_hosts:\n    - address: 10.0.0.5\n      ports: [kms]\n", "x.yaml:4:15: ports: want a whole number, found text"},
		{"a port twice", "inventory: {kms_hosts: [{address: 10.0.0.5, ports: [1688, 1688]}]}\n", "x.yaml:1:59: ports: 1688 is given twice; remove one"},
		{"a client network with host bits", "inventory: {kms_hosts: [{address: 10.0.0.5, clients: [10.0.0.5/8]}]}\n",
			"x.yaml:1:55: clients: network 10.0.0.5/8 has host bits set; did you mean 10.0.0.0/8, or 10.0.0.5/32 for the one host?"},
		{"a client network twice", "inventory: {kms_hosts: [{address: 10.0.0.5, clients: [10.0.0.0/8, 10.0.0.0/8]}]}\n", "x.yaml:1:67: clients: network 10.0.0.0/8 is given twice; remove one"},

		// rules
		{"an unknown rule", "rules:\n  kms-zone-clim: {enabled: false}\n", "x.yaml:2:3: rules: unknown rule kms-zone-clim; did you mean kms-zone-climb?"},
		{"an unknown severity", "rules:\n  kms-refused: {severity: hihg}\n", "x.yaml:2:27: severity: unknown value hihg; did you mean high?"},
		{"a severity like none", "rules:\n  kms-refused: {severity: terrible}\n", "x.yaml:2:27: severity: unknown value terrible; known are informational, low, medium, high, critical"},
		{"enabled in words", "rules:\n  kms-refused: {enabled: no}\n", "x.yaml:2:26: enabled: want true or false, found text"},
		{"a duration without a unit", "rules:\n  kms-refused: {window: 60}\n", "x.yaml:2:25: window: want a duration, found a number; write a number and its unit: 90s, 5m, 24h"},
		{"a malformed duration", "rules:\n  kms-refused: {within: 1 hour}\n", `x.yaml:2:25: within: malformed duration "1 hour"; write a number and its unit: 90s, 5m, 24h`},
		{"a duration below zero", "rules:\n  kms-refused: {within: -5m}\n", "x.yaml:2:25: within: -5m is not within 1s to 720h"},
		{"an option that is no number", "rules:\n  kms-refused: {refusals: many}\n", "x.yaml:2:27: refusals: want a whole number, found text"},
		{"an option below zero", "rules:\n  kms-refused: {refusals: -1}\n", "x.yaml:2:27: refusals: -1 is not within 0 to 2147483647"},
		{"an unknown interface in an option", "rules:\n  rpc-anonymous-bind: {exempt: [epmapper, nonesuch]}\n",
			"x.yaml:2:43: exempt: unknown interface nonesuch; write its UUID, as 12345778-1234-abcd-ef00-0123456789ac, or a name that kmswatch decode prints"},
		{"an unknown zone in an exception", "rules:\n  kms-refused:\n    except:\n      - {client_zone: dzm}\nzones:\n  - {name: dmz, trust: 1, networks: [10.0.0.0/8]}\n",
			"x.yaml:4:23: client_zone: unknown zone dzm; did you mean dmz?"},
		{"an unknown zone where none is configured", "rules:\n  kms-refused:\n    except: [{server_zone: dmz}]\n",
			"x.yaml:3:28: server_zone: unknown zone dmz; known are internal, unknown"},
		{"an empty exception", "rules:\n  kms-refused:\n    except: [{}]\n",
			"x.yaml:3:14: empty exception; name a zone, client, server or interface; enabled: false silences the whole rule"},
		{"an exception for an empty list", "rules:\n  kms-refused:\n    except:\n      - client: []\n", "x.yaml:4:17: client: empty list; leave the key out to mean all"},
		{"a malformed network in an exception", "rules:\n  kms-refused:\n    except:\n      - client: 10.0.0.1/24\n",
			"x.yaml:4:17: client: network 10.0.0.1/24 has host bits set; did you mean 10.0.0.0/24, or 10.0.0.1/32 for the one host?"},
		{"an exception without a list", "rules:\n  kms-refused:\n    except: {client: 10.0.0.1}\n", "x.yaml:3:13: except: want a list, found a mapping; write [one, two], or a line with - for each"},

		// policy
		{"policy for unknown zones", "policy:\n  allow_rpc:\n    - {from: internal, to: nowhere}\n", "x.yaml:3:28: to: unknown zone nowhere; known are internal, unknown"},
		{"policy without a zone", "policy:\n  allow_rpc:\n    - {from: internal}\n", "x.yaml:3:7: allow_rpc: from and to are both needed; write {from: dmz, to: internal, interfaces: [epmapper]}"},
		{"policy for no interface", "policy:\n  allow_rpc:\n    - {from: internal, to: internal, interfaces: []}\n", "x.yaml:3:50: interfaces: empty list; leave the key out to mean all"},
		{"policy for an unknown interface", "policy: {allow_rpc: [{from: internal, to: internal, interfaces: [12345]}]}\n", `x.yaml:1:66: interfaces: want text, found a number; put it in quotes: "12345"`},

		// limits
		{"no workers", "limits: {workers: 0}\n", "x.yaml:1:19: workers: 0 is not within 1 to 256"},
		{"bytes with an unknown unit", "limits: {reassembly_total: 1TB}\n", `x.yaml:1:28: reassembly_total: malformed number of bytes "1TB"; write a number and KiB, MiB or GiB, as in 64MiB`},
		{"bytes beyond all bounds", "limits: {reassembly_total: 9999999999GiB}\n", `x.yaml:1:28: reassembly_total: malformed number of bytes "9999999999GiB"; write a number and KiB, MiB or GiB, as in 64MiB`},
		{"too few bytes", "limits: {reassembly_per_flow: 1KiB}\n", "x.yaml:1:31: reassembly_per_flow: 1KiB is less than 4096"},
		{"a total less than its parts", "limits:\n  reassembly_per_flow: 2MiB\n  reassembly_total: 1MiB\n",
			"x.yaml:3:21: reassembly_total: 1048576 is less than reassembly_per_flow, 2097152; the total is that of all flows together"},

		{"errors of all sections at once, in the order of the file", "rules: {nonesuch: {}}\nzones: [{name: a, trust: 200, networks: [10.0.0.0/8]}]\nlimits: {workers: -1}\n",
			"x.yaml:1:9: rules: unknown rule nonesuch; known are kms-zone-climb, kms-unusual-port, kms-foreign-interface, kms-refused, kms-unauthenticated-client, rpc-exploit, rpc-anonymous-bind\n" +
				"x.yaml:2:26: trust: 200 is not within 0 to 100\n" +
				"x.yaml:3:19: workers: -1 is not within 1 to 256"},
	} {
		got, err := load(c.in)
		if got != nil || err == nil || err.Error() != c.want {
			t.Errorf("%s:\ngot  %v\nwant %s", c.name, err, c.want)
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Line == 0 {
			t.Errorf("%s: %T is no Error", c.name, err)
		}
	}
}

func TestOptionsTakeTheTypeOfTheirDefault(t *testing.T) {
	t.Parallel()
	c, err := load("rules:\n  rpc-anonymous-bind:\n    exempt: [epmapper, 51c82175-844e-4750-b0d8-ec255555bc06]\n    strict: true\n    word: a\n    words: b\n  kms-refused: {within: 90s, refusals: 0}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]alerts.Settings{
		"rpc-anonymous-bind": {Options: map[string]any{"exempt": alerts.Interfaces{"epmapper", "51c82175-844e-4750-b0d8-ec255555bc06"},
			"strict": true, "word": "a", "words": []string{"b"}}},
		"kms-refused": {Options: map[string]any{"within": 90 * time.Second, "refusals": 0}},
	}
	if d := cmp.Diff(want, c.Rules, compare); d != "" {
		t.Error(d)
	}
}

func TestReadingFails(t *testing.T) {
	t.Parallel()
	if _, err := Load("x.yaml", iotest.ErrReader(os.ErrPermission), known); err == nil || err.Error() != "x.yaml: permission denied" {
		t.Error(err)
	}
	if _, err := Load("x.yaml", strings.NewReader(strings.Repeat("#", most+1)), known); err == nil || err.Error() != "x.yaml: larger than 1 MiB" {
		t.Error(err)
	}
}

// FuzzLoad holds that a configuration comes exactly when no error does, that
// each error is one line that names the file, and that the same text gives the
// same.
func FuzzLoad(f *testing.F) {
	b, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add("zones: [{name: a, trust: 1, networks: [fd00::/8, ::]}]\n")
	f.Add("rules:\n  kms-refused:\n    except:\n      - {client: 10.0.0.1, interface: epmapper}\n")
	f.Add("? [a]\n: b\n")
	f.Add("a: |\n  b\n<<: *c\n")
	f.Add("limits: {flows: 0x10, workers: 1_0, calls: 1e3}")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := load(s)
		if (c == nil) != (err != nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if _, again := load(s); (again == nil) != (err == nil) || err != nil && again.Error() != err.Error() {
			t.Fatalf("%v, then %v", err, again)
		}
		var all Errors
		if err == nil || !errors.As(err, &all) {
			return
		}
		for _, e := range all {
			if !strings.HasPrefix(e.Error(), "x.yaml:") || strings.ContainsAny(e.Error(), "\r\n") {
				t.Fatalf("%q", e.Error())
			}
		}
	})
}
