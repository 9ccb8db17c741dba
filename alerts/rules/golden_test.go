package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/alerts/ecs"
	"kmswatch/alerts/ecs/ecstest"
	"kmswatch/alerts/eve"
	"kmswatch/alerts/eve/evetest"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/ocsf"
	"kmswatch/alerts/ocsf/ocsftest"
	"kmswatch/capture"
	"kmswatch/capture/capturetest"
	"kmswatch/capture/pcapfile"
	"kmswatch/decode"
)

var update = flag.Bool("update", false, "rewrite what the failing golden cases want")

// captures is the pool of captures; its MANIFEST.tsv says what each shows.
const captures = "../../decode/testdata/captures"

// TestGoldenCases replays the cases of testdata/<rule>/*.txtar. The first lines
// of a case say what it shows; its files are config.yaml, captures (names from
// the pool, one a line, replayed as one run), failures of the sensor that befall
// it after them, if there are any (a JSON object a line), and want.ndjson: the
// alerts of that rule when they end, one a line. A case named quiet-* wants none.
//
// Each case is replayed three ways: in whole batches; frame by frame, with each
// frame's memory spoilt once it is given back; and with eight workers.
func TestGoldenCases(t *testing.T) {
	for _, path := range glob(t, "testdata/*/*.txtar") {
		rule := filepath.Base(filepath.Dir(path))
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(rule+"/"+name, func(t *testing.T) {
			t.Parallel()
			g := readCase(t, path)
			conf := load(t, path, g.file(t, "config.yaml"))
			paths := strings.Fields(g.file(t, "captures"))
			for i := range paths {
				paths[i] = filepath.Join(captures, paths[i])
			}
			broken := g.failures(t)
			replayed := func(workers int, way func(capture.Source) capture.Source) []*alerts.Alert {
				return replayedTo(t, conf, rule, workers, way, broken, paths...)
			}
			raised := replayed(1, plain)
			definitions, fields, schema := ocsftest.New(), ecstest.New(), alertSchema(t)
			for _, a := range raised {
				v, err := jsonschema.UnmarshalJSON(bytes.NewReader(ocsf.Encoder{Version: "1.0"}.AppendJSON(nil, a)))
				if err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate(v); err != nil {
					t.Errorf("by the schema that is printed: %v", err)
				}
				for _, wrong := range definitions.Check(ocsf.Encoder{Version: "1.0"}.AppendJSON(nil, a)) {
					t.Errorf("as OCSF: %s", wrong)
				}
				for _, wrong := range evetest.Check(eve.Encoder{Version: "1.0"}.AppendJSON(nil, a)) {
					t.Errorf("as EVE: %s", wrong)
				}
				for _, wrong := range fields.Check(ecs.Encoder{Version: "1.0"}.AppendJSON(nil, a), "kmswatch") {
					t.Errorf("as ECS: %s", wrong)
				}
			}
			got := lines(raised)
			for how, again := range map[string]string{
				"frame by frame":     lines(replayed(1, spoilt)),
				"with eight workers": lines(replayed(8, plain)),
			} {
				if d := cmp.Diff(got, again); d != "" {
					t.Errorf("%s it gives other alerts:\n%s", how, d)
				}
			}
			if quiet := strings.HasPrefix(name, "quiet-"); quiet != (got == "") {
				t.Errorf("quiet is %v, and the rule gives:\n%s", quiet, got)
			}
			g.compare(t, "want.ndjson", got)
		})
	}
}

// alertSchema is what kmswatch schema alert prints.
func alertSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(ocsf.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("alert.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("alert.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEveryRuleHasACaseThatFiresAndOneThatIsQuiet also finds cases of rules
// that are no more.
func TestEveryRuleHasACaseThatFiresAndOneThatIsQuiet(t *testing.T) {
	fires, quiet := make(map[string]bool), make(map[string]bool)
	for _, path := range glob(t, "testdata/*/*.txtar") {
		of := fires
		if strings.HasPrefix(filepath.Base(path), "quiet-") {
			of = quiet
		}
		of[filepath.Base(filepath.Dir(path))] = true
	}
	for _, r := range All() {
		id := r.Info().ID
		if !fires[id] {
			t.Errorf("%s: no case that fires", id)
		}
		if !quiet[id] {
			t.Errorf("%s: no case that is quiet", id)
		}
		delete(fires, id)
		delete(quiet, id)
	}
	for id := range maps.Keys(fires) {
		t.Errorf("cases of %s, which is no rule", id)
	}
	for id := range maps.Keys(quiet) {
		t.Errorf("cases of %s, which is no rule", id)
	}
}

// TestGoldenPool replays each capture of the pool by itself under one
// configuration, and wants the rules that testdata/pool.txtar lists: what one
// capture gives beside what it was made for shows there.
func TestGoldenPool(t *testing.T) {
	const path = "testdata/pool.txtar"
	g := readCase(t, path)
	conf := load(t, path, g.file(t, "config.yaml"))
	var b strings.Builder
	for _, capture := range glob(t, captures+"/*.pcap*") {
		fmt.Fprintf(&b, "%s\n", filepath.Base(capture))
		for _, a := range replayed(t, conf, "", 1, plain, capture) {
			fmt.Fprintf(&b, "\t%s %s %d: %s\n", a.Rule.ID, a.Severity, a.Count, a.Summary)
		}
	}
	g.compare(t, "want", b.String())
}

// TestEveryAttackHasACaseThatFires also finds ids that are no attack's.
func TestEveryAttackHasACaseThatFires(t *testing.T) {
	fires := make(map[string]bool)
	for _, path := range glob(t, "testdata/rpc-exploit/*.txtar") {
		for line := range strings.Lines(readCase(t, path).file(t, "want.ndjson")) {
			var alert struct{ Facts struct{ Exploit string } }
			if err := json.Unmarshal([]byte(line), &alert); err != nil {
				t.Fatal(err)
			}
			fires[alert.Facts.Exploit] = true
		}
	}
	for _, id := range attackIDs() {
		if !fires[id] {
			t.Errorf("%s: no case that fires", id)
		}
		delete(fires, id)
	}
	for id := range fires {
		t.Errorf("%q is no attack", id)
	}
}

// TestADomainsDayGivesNoAlertAboveLow replays what members of a domain do, each
// capture alone and all as one run, with zones and without a configuration.
func TestADomainsDayGivesNoAlertAboveLow(t *testing.T) {
	day := glob(t, captures+"/real-normal-*.pcap")
	const pool = "testdata/pool.txtar"
	runs := [][]string{day}
	for _, capture := range day {
		runs = append(runs, []string{capture})
	}
	for _, conf := range []*config.Config{config.Default(), load(t, pool, readCase(t, pool).file(t, "config.yaml"))} {
		for _, run := range runs {
			for _, a := range replayed(t, conf, "", 1, plain, run...) {
				if a.Severity > alerts.Low {
					t.Errorf("%v: %s %s: %s", run, a.Rule.ID, a.Severity, a.Summary)
				}
			}
		}
	}
}

// TestSharedCapturesGiveFewAlerts replays the captures of other projects, when
// they are there, without a configuration: none may panic, and none may give
// more alerts than a person would read.
func TestSharedCapturesGiveFewAlerts(t *testing.T) {
	const root, most = "../../../shared/captures", 10
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() || !strings.Contains(d.Name(), ".pcap") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		t.Run(filepath.ToSlash(rel), func(t *testing.T) {
			t.Parallel()
			got := replayed(t, config.Default(), "", 1, plain, path)
			if len(got) > most {
				t.Errorf("%d alerts, more than %d", len(got), most)
			}
			for _, a := range got {
				t.Logf("%s %s %d: %s", a.Rule.ID, a.Severity, a.Count, a.Summary)
			}
		})
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: nothing there (%v)", pattern, err)
	}
	return paths
}

// golden is a case's file.
type golden struct {
	path    string
	archive *txtar.Archive
}

func readCase(t *testing.T, path string) golden {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(bytes.TrimSpace(a.Comment)) == 0 {
		t.Errorf("%s does not say what it shows", path)
	}
	return golden{path, a}
}

// find gives a file of the case, nil if there is none.
func (g golden) find(name string) *txtar.File {
	for i := range g.archive.Files {
		if g.archive.Files[i].Name == name {
			return &g.archive.Files[i]
		}
	}
	return nil
}

func (g golden) file(t *testing.T, name string) string {
	t.Helper()
	f := g.find(name)
	if f == nil {
		t.Fatalf("%s has no file %s", g.path, name)
	}
	return string(f.Data)
}

// failures gives those of the case.
func (g golden) failures(t *testing.T) (all []*alerts.Failure) {
	t.Helper()
	f := g.find("failures")
	if f == nil {
		return nil
	}
	for line := range bytes.Lines(f.Data) {
		var what struct {
			What, Where, Cause string
			Lost               uint64
		}
		if err := json.Unmarshal(line, &what); err != nil {
			t.Fatalf("%s: failures: %v", g.path, err)
		}
		e := &alerts.Failure{Where: what.Where, Lost: what.Lost, Cause: what.Cause}
		for e.What.String() != what.What {
			if e.What++; e.What.String() == "unknown" {
				t.Fatalf("%s: failures: nothing fails as %s", g.path, what.What)
			}
		}
		all = append(all, e)
	}
	return all
}

// compare holds what came against a file of the case, which -update rewrites
// if they differ.
func (g golden) compare(t *testing.T, name, got string) {
	t.Helper()
	f := g.find(name)
	if f == nil {
		g.archive.Files = append(g.archive.Files, txtar.File{Name: name})
		f = g.find(name)
	}
	d := cmp.Diff(string(f.Data), got)
	if d == "" {
		return
	}
	if !*update {
		t.Errorf("%s: -want +got; -update rewrites it\n%s", g.path, d)
		return
	}
	f.Data = []byte(got)
	if err := os.WriteFile(g.path, txtar.Format(g.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, path, yaml string) *config.Config {
	t.Helper()
	var infos []alerts.Info
	for _, r := range All() {
		infos = append(infos, r.Info())
	}
	c, err := config.Load(path, strings.NewReader(yaml), config.Known{Rules: infos})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Ways to give frames.
func plain(s capture.Source) capture.Source  { return s }
func spoilt(s capture.Source) capture.Source { return capturetest.Poison(capturetest.One(s)) }

// replayed gives the alerts of captures when they end, of one rule or, without
// a name, of all. All rules are on.
func replayed(t *testing.T, c *config.Config, rule string, workers int, way func(capture.Source) capture.Source, paths ...string) []*alerts.Alert {
	t.Helper()
	return replayedTo(t, c, rule, workers, way, nil, paths...)
}

// replayedTo is replayed for captures after which the sensor fails.
func replayedTo(t *testing.T, c *config.Config, rule string, workers int, way func(capture.Source) capture.Source, broken []*alerts.Failure, paths ...string) []*alerts.Alert {
	t.Helper()
	src, err := pcapfile.Open(paths, pcapfile.Options{Report: func(p *pcapfile.Problem) {
		if p.Failed {
			t.Error(p)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	return evaluated(t, c, rule, workers, way(src), func(i int32) string { return filepath.Base(src.File(int(i))) }, broken...)
}

// evaluated is replayed for frames of any source; file names a frame's capture.
func evaluated(t *testing.T, c *config.Config, rule string, workers int, from capture.Source, file func(int32) string, broken ...*alerts.Failure) []*alerts.Alert {
	t.Helper()
	// As cmd/kmswatch wires it.
	settings := maps.Clone(c.Rules)
	if settings == nil {
		settings = make(map[string]alerts.Settings)
	}
	climb := settings[ZoneClimb]
	for _, a := range c.Allow {
		climb.Exceptions = append(climb.Exceptions, alerts.Exception{ClientZone: a.From, ServerZone: a.To, Interfaces: a.Interfaces})
	}
	settings[ZoneClimb] = climb
	var got []*alerts.Alert
	v, err := alerts.New(alerts.Config{
		Rules:     All(),
		Settings:  settings,
		Zones:     c.Zones,
		Inventory: inventory.New(c.Inventory),
		File:      file,
		Out: func(a *alerts.Alert) {
			if a.Stage == alerts.Ended && (rule == "" || a.Rule.ID == rule) {
				got = append(got, a.Clone())
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	engine := decode.Config{Workers: workers}
	for _, h := range c.Inventory.KMSHosts {
		engine.KMSPorts = append(engine.KMSPorts, h.Ports...)
	}
	e := decode.New(engine, v)
	frames := make([]capture.Frame, 64)
	for err == nil {
		var n int
		n, err = from.Read(frames)
		for i := range frames[:n] {
			e.Feed(&frames[i])
		}
	}
	if err != io.EOF {
		t.Error(err)
	}
	if n := from.Stats().Dropped; n > 0 {
		e.Lost(n)
	}
	e.Between(func(m decode.Moment) {
		for _, f := range broken {
			f.Head().Time = m.Time
			v.Handle(f)
		}
	})
	e.Close()
	v.Close()
	return got
}

// lines writes alerts as a person reviews them: what names the parties, what is
// said of them, and on what it stands.
func lines(all []*alerts.Alert) string {
	type line struct {
		Rule     string          `json:"rule"`
		Severity string          `json:"severity"`
		Count    uint64          `json:"count"`
		Client   string          `json:"client"`
		Server   string          `json:"server"`
		Clients  int             `json:"clients,omitempty"` // where there are several
		Servers  int             `json:"servers,omitempty"`
		Summary  string          `json:"summary"`
		Facts    json.RawMessage `json:"facts"`
		Frames   []string        `json:"frames"`
		Quality  []string        `json:"quality,omitempty"`
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, a := range all {
		l := line{
			Rule: a.Rule.ID, Severity: a.Severity.String(), Count: a.Count,
			Client: a.Client.String(), Server: fmt.Sprintf("%v port %d", a.Server, a.Server.Port),
			Summary: a.Summary, Facts: facts(a.Facts), Quality: a.Quality.Names(),
		}
		if a.Clients.Count > 1 {
			l.Clients = a.Clients.Count
		}
		if a.Servers.Count > 1 {
			l.Servers = a.Servers.Count
		}
		for _, f := range a.Frames {
			l.Frames = append(l.Frames, fmt.Sprintf("%s:%d", f.File, f.Number))
		}
		if err := e.Encode(l); err != nil {
			panic(err)
		}
	}
	return b.String()
}

// facts writes an object in the order of the facts.
func facts(all []alerts.Fact) json.RawMessage {
	b := []byte{'{'}
	for i, f := range all {
		if i > 0 {
			b = append(b, ',')
		}
		name, err1 := json.Marshal(f.Name)
		value, err2 := json.Marshal(f.Value)
		if err := errors.Join(err1, err2); err != nil {
			panic(err)
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}')
}
