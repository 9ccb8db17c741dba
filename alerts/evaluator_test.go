package alerts

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// binds is a rule of the tests: it raises an alert for each bind, of the
// severity that the call id says.
type binds struct {
	fold Fold
	seen []string // what the options were
}

func (r *binds) Info() Info {
	return Info{
		ID: "test-binds", Title: "Bind", Severity: Medium, Why: "why", Mitigation: "mitigation",
		Kinds: []decode.Kind{decode.KindBind},
		Options: []Option{
			{Name: "on", Default: true},
			{Name: "most", Unit: "binds", Default: 7},
			{Name: "within", Default: time.Minute},
			{Name: "names", Default: []string{"a", "b"}},
			{Name: "exempt", Default: Interfaces{"51c82175-844e-4750-b0d8-ec255555bc06", "epmapper"}},
		},
	}
}

func (r *binds) Evaluate(c *Context, e decode.Event) {
	b := e.(*decode.Bind)
	fold := r.fold
	fold.Severity = Severity(b.CallID)
	if f := c.Raise(fold); f != nil {
		f.Say("%v binds at %v", c.Client, c.Server)
		f.Add("group", b.Group)
		r.seen = append(r.seen, fmt.Sprint(c.Bool("on"), c.Int("most"), c.Duration("within"), c.Strings("names"),
			c.Lists("exempt", dcerpc.KMS), c.Lists("exempt", dcerpc.EPMapper), c.Lists("exempt", dcerpc.UUID{1})))
	}
}

func zones(t testing.TB) *zone.Table {
	t.Helper()
	table, err := zone.New(
		zone.Zone{Name: "dmz", Trust: 20, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		zone.Zone{Name: "internal", Trust: 50, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

const day = int64(20000 * 24 * time.Hour) // a midnight

// bind makes an event so many seconds after midnight.
func bind(client, server string, seconds int64) *decode.Bind {
	e := &decode.Bind{Request: decode.Position{Frame: uint64(seconds) + 1}, Outcome: decode.Accepted}
	*e.Head() = decode.Head{
		Flow: decode.Flow{ID: 1, Proto: 6,
			Client: decode.Endpoint{Addr: netip.MustParseAddr(client), Port: 50000},
			Server: decode.Endpoint{Addr: netip.MustParseAddr(server), Port: 135}},
		At: decode.Position{Frame: uint64(seconds) + 2}, Time: day + seconds*int64(time.Second),
	}
	return e
}

func worse(s Severity, e *decode.Bind) *decode.Bind {
	e.CallID = uint32(s)
	return e
}

// run evaluates the events and gives a line for each alert given out.
func run(t testing.TB, c Config, events ...*decode.Bind) []string {
	t.Helper()
	var lines []string
	c.Zones = zones(t)
	c.Out = func(a *Alert) {
		stage := [...]string{"raised", "worse", "ended"}[a.Stage]
		if a.Stale {
			stage += " stale"
		}
		lines = append(lines, fmt.Sprintf("%s %v x%d %s: %d clients, %d servers, frames %v, %d-%d s", stage, a.Severity, a.Count, a.Summary,
			a.Clients.Count, a.Servers.Count, a.Frames, (a.First-day)/int64(time.Second), (a.Last-day)/int64(time.Second)))
	}
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		v.Handle(e)
	}
	v.Close()
	return lines
}

func TestRepeatsAreFolded(t *testing.T) {
	const (
		dmz1, dmz2 = "192.0.2.1", "192.0.2.2"
		in1, in2   = "10.0.0.1", "10.0.0.2"
	)
	tests := []struct {
		name   string
		config Config
		fold   Fold
		events []*decode.Bind
		want   []string
	}{
		{
			name:   "one event is raised, and ends stale",
			events: []*decode.Bind{bind(dmz1, in1, 0)},
			want: []string{
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2}], 0-0 s",
				"ended stale medium x1 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2}], 0-0 s",
			},
		},
		{
			name:   "another client of the zone is a repeat, and is counted",
			events: []*decode.Bind{bind(dmz1, in1, 0), bind(dmz2, in1, 10), bind(dmz2, in1, 20)},
			want: []string{
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2}], 0-0 s",
				"ended medium x3 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 2 clients, 1 servers, frames [{ 1} { 2} { 11} { 12} { 21} { 22}], 0-20 s",
			},
		},
		{
			name:   "another server, or another zone, is another alert",
			events: []*decode.Bind{bind(dmz1, in1, 0), bind(dmz1, in2, 1), bind("203.0.113.1", in1, 2)},
			want: []string{
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2}], 0-0 s",
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.2 (internal): 1 clients, 1 servers, frames [{ 2} { 3}], 1-1 s",
				"raised medium x1 203.0.113.1 (unknown) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 3} { 4}], 2-2 s",
				"ended stale medium x1 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2}], 0-0 s",
				"ended stale medium x1 192.0.2.1 (dmz) binds at 10.0.0.2 (internal): 1 clients, 1 servers, frames [{ 2} { 3}], 1-1 s",
				"ended stale medium x1 203.0.113.1 (unknown) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 3} { 4}], 2-2 s",
			},
		},
		{
			name:   "folded by the client alone, servers are counted over zones",
			fold:   Fold{By: ClientAlone},
			events: []*decode.Bind{bind(dmz1, in1, 0), bind(dmz1, in2, 1), bind(dmz1, "203.0.113.1", 2)},
			want: []string{
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2}], 0-0 s",
				"ended medium x3 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 3 servers, frames [{ 1} { 2} { 3} { 4}], 0-2 s",
			},
		},
		{
			name:   "a worse repeat is told at once and describes the alert; a lesser one is not",
			events: []*decode.Bind{bind(dmz1, in1, 0), worse(High, bind(dmz2, in1, 1)), worse(Low, bind(dmz1, in1, 2))},
			want: []string{
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2}], 0-0 s",
				"worse high x2 192.0.2.2 (dmz) binds at 10.0.0.1 (internal): 2 clients, 1 servers, frames [{ 1} { 2} { 3}], 0-1 s",
				"ended high x3 192.0.2.2 (dmz) binds at 10.0.0.1 (internal): 2 clients, 1 servers, frames [{ 1} { 2} { 3} { 4}], 0-2 s",
			},
		},
		{
			name:   "a window ends at a multiple of its length, whatever event comes then",
			config: Config{Settings: map[string]Settings{"test-binds": {Window: time.Minute}}},
			events: []*decode.Bind{bind(dmz1, in1, 50), bind(dmz1, in1, 59), bind(dmz1, in2, 60)},
			want: []string{
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 51} { 52}], 50-50 s",
				"ended medium x2 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 51} { 52} { 60} { 61}], 50-59 s",
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.2 (internal): 1 clients, 1 servers, frames [{ 61} { 62}], 60-60 s",
				"ended stale medium x1 192.0.2.1 (dmz) binds at 10.0.0.2 (internal): 1 clients, 1 servers, frames [{ 61} { 62}], 60-60 s",
			},
		},
		{
			name:   "time that steps back counts to the alert that stands",
			config: Config{Window: time.Minute},
			events: []*decode.Bind{bind(dmz1, in1, 61), bind(dmz1, in1, 59)},
			want: []string{
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 62} { 63}], 61-61 s",
				"ended medium x2 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 62} { 63} { 60} { 61}], 59-61 s",
			},
		},
		{
			name:   "a full table ends the alert that would end soonest",
			config: Config{Alerts: 2},
			events: []*decode.Bind{bind(dmz1, in1, 0), bind(dmz1, in1, 1), bind(dmz1, in2, 2), bind(dmz1, "10.0.0.3", 3)},
			want: []string{
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2}], 0-0 s",
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.2 (internal): 1 clients, 1 servers, frames [{ 3} { 4}], 2-2 s",
				"ended medium x2 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2} { 3}], 0-1 s",
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.3 (internal): 1 clients, 1 servers, frames [{ 4} { 5}], 3-3 s",
				"ended stale medium x1 192.0.2.1 (dmz) binds at 10.0.0.2 (internal): 1 clients, 1 servers, frames [{ 3} { 4}], 2-2 s",
				"ended stale medium x1 192.0.2.1 (dmz) binds at 10.0.0.3 (internal): 1 clients, 1 servers, frames [{ 4} { 5}], 3-3 s",
			},
		},
		{
			name:   "a severity of the settings moves what the rule grades",
			config: Config{Settings: map[string]Settings{"test-binds": {Severity: High}}},
			events: []*decode.Bind{worse(Low, bind(dmz1, in1, 0)), bind(dmz1, in1, 1), worse(Critical, bind(dmz1, in1, 2))},
			want: []string{
				"raised medium x1 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2}], 0-0 s",
				"worse high x2 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2} { 3}], 0-1 s",
				"worse critical x3 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2} { 3} { 4}], 0-2 s",
				"ended stale critical x3 192.0.2.1 (dmz) binds at 10.0.0.1 (internal): 1 clients, 1 servers, frames [{ 1} { 2} { 3} { 4}], 0-2 s",
			},
		},
		{
			name:   "a disabled rule is not asked",
			config: Config{Settings: map[string]Settings{"test-binds": {Disabled: true}}},
			events: []*decode.Bind{bind(dmz1, in1, 0)},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := test.config
			c.Rules = []Rule{&binds{fold: test.fold}}
			got := run(t, c, test.events...)
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
			}
		})
	}
}

func TestAnExceptionMatchesAllThatItNames(t *testing.T) {
	samr := dcerpc.MustUUID("12345778-1234-abcd-ef00-0123456789ac")
	client, server := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("10.0.0.0/24")
	tests := []struct {
		name  string
		x     Exception
		iface dcerpc.UUID
		quiet bool
	}{
		{name: "zones", x: Exception{ClientZone: "dmz", ServerZone: "internal"}, quiet: true},
		{name: "the other zone", x: Exception{ClientZone: "internal"}},
		{name: "client and server", x: Exception{Clients: []netip.Prefix{client}, Servers: []netip.Prefix{server}}, quiet: true},
		{name: "client, but another server", x: Exception{Clients: []netip.Prefix{client}, Servers: []netip.Prefix{client}}},
		{name: "interface", x: Exception{Interfaces: []dcerpc.UUID{samr}}, iface: samr, quiet: true},
		{name: "another interface", x: Exception{Interfaces: []dcerpc.UUID{samr}}, iface: dcerpc.KMS},
		{name: "interface, and the finding has none", x: Exception{Interfaces: []dcerpc.UUID{samr}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := Config{
				Rules:    []Rule{&binds{fold: Fold{Interface: test.iface}}},
				Settings: map[string]Settings{"test-binds": {Exceptions: []Exception{test.x}}},
			}
			if got := run(t, c, bind("192.0.2.1", "10.0.0.1", 0)); (len(got) == 0) != test.quiet {
				t.Errorf("alerts %q, want quiet %v", got, test.quiet)
			}
		})
	}
}

func TestOptionsAreThoseOfTheSettings(t *testing.T) {
	r := &binds{}
	run(t, Config{Rules: []Rule{r}}, bind("192.0.2.1", "10.0.0.1", 0))
	run(t, Config{Rules: []Rule{r}, Settings: map[string]Settings{"test-binds": {Options: map[string]any{
		"on": false, "most": 8, "within": time.Hour, "names": []string{}, "exempt": Interfaces{"01000000-0000-0000-0000-000000000000"},
	}}}}, bind("192.0.2.1", "10.0.0.1", 0))
	want := []string{"true 7 1m0s [a b] true true false", "false 8 1h0m0s [] false false true"}
	if !slices.Equal(r.seen, want) {
		t.Errorf("got %q, want %q", r.seen, want)
	}
}

func TestSettingsThatCannotBeMeantAreErrors(t *testing.T) {
	for _, test := range []struct {
		settings map[string]Settings
		want     string
	}{
		{map[string]Settings{"no-such": {}}, "unknown rule no-such"},
		{map[string]Settings{"test-binds": {Options: map[string]any{"mots": 1}}}, "rule test-binds: unknown option mots"},
		{map[string]Settings{"test-binds": {Options: map[string]any{"most": "1"}}}, "rule test-binds: option most is of type int, not string"},
		{map[string]Settings{"test-binds": {Options: map[string]any{"exempt": Interfaces{"x"}}}}, `rule test-binds: option exempt: unknown interface "x"`},
	} {
		if _, err := New(Config{Rules: []Rule{&binds{}}, Settings: test.settings}); err == nil || err.Error() != test.want {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
	if _, err := New(Config{Rules: []Rule{&binds{}, &binds{}}}); err == nil {
		t.Error("a rule given twice is no error")
	}
}

func TestIDsAreStable(t *testing.T) {
	ids := func(events ...*decode.Bind) (ids []string) {
		v, err := New(Config{Rules: []Rule{&binds{}}, Zones: zones(t), Out: func(a *Alert) {
			if a.Stage == Raised {
				ids = append(ids, a.ID)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			v.Handle(e)
		}
		return ids
	}
	got := ids(bind("192.0.2.1", "10.0.0.1", 0), bind("192.0.2.1", "10.0.0.1", 3600), bind("192.0.2.1", "10.0.0.2", 3600))
	late := ids(bind("192.0.2.9", "10.0.0.1", 3599)) // another client, later in the window
	if len(got) != 3 || got[0] == got[1] || got[1] == got[2] || late[0] != got[0] {
		t.Errorf("ids %q, and %q", got, late)
	}
	// As consumers have it: a change of the recipe is a change of every id.
	if want := "9764e4a9-7431-5d3a-bb7a-40d3d1469075"; got[0] != want {
		t.Errorf("id %s, want %s", got[0], want)
	}
	if got[0][14] != '5' || !strings.ContainsRune("89ab", rune(got[0][19])) {
		t.Errorf("%s is no UUID of version 5", got[0])
	}
}

func TestHostileTimesAndAddressesAreHandled(t *testing.T) {
	for _, at := range []int64{0, -1, math.MinInt64, math.MaxInt64, -day} {
		e := bind("192.0.2.1", "10.0.0.1", 0)
		e.Head().Time = at
		e.Head().Flow.Client.Addr = netip.Addr{}
		got := run(t, Config{Rules: []Rule{&binds{}}}, e, bind("192.0.2.1", "10.0.0.1", 0), e)
		if len(got) < 3 || !strings.Contains(got[0], "an unknown address binds at") {
			t.Errorf("at %d: %q", at, got)
		}
	}
}

func TestACloneIsTheCallersOwn(t *testing.T) {
	var kept *Alert
	v, _ := New(Config{Rules: []Rule{&binds{}}, Zones: zones(t), Out: func(a *Alert) {
		if a.Stage == Raised {
			kept = a.Clone()
		}
	}})
	v.Handle(bind("192.0.2.1", "10.0.0.1", 0))
	v.Handle(bind("192.0.2.2", "10.0.0.1", 5))
	if kept.Count != 1 || kept.Clients.Count != 1 || len(kept.Clients.First) != 1 || len(kept.Frames) != 2 {
		t.Errorf("the clone changed: %+v", kept)
	}
}

func TestAddressesAreCountedToABound(t *testing.T) {
	var s Addresses
	for range 2 {
		for i := range maxAddresses + 10 {
			s.add(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		}
	}
	s.add(netip.Addr{})
	if len(s.First) != maxNamed || s.Count != maxAddresses || !s.More || len(s.seen) != maxAddresses-maxNamed {
		t.Errorf("%d named, %d counted, more %v, %d kept", len(s.First), s.Count, s.More, len(s.seen))
	}
}

// The table must give alerts in order whatever is added and removed.
func TestTheTableEndsAlertsInOrder(t *testing.T) {
	tb := newTable(1000)
	var all []*standing
	x := uint32(1)
	random := func(n int) int { x = x*1664525 + 1013904223; return int(x>>8) % n }
	for i := range 5000 {
		switch {
		case tb.len() > 0 && (random(3) == 0 || tb.full()):
			a := all[random(len(all))]
			if random(2) == 0 {
				a = tb.soonest()
				for _, b := range all {
					if b.before(a) {
						t.Fatalf("alert %d ends before the soonest", b.seq)
					}
				}
			}
			tb.remove(a)
			all = slices.DeleteFunc(all, func(b *standing) bool { return b == a })
		default:
			a := &standing{end: int64(random(50)), key: key{what: fmt.Sprint(i)}}
			tb.add(a)
			all = append(all, a)
		}
		for i, a := range tb.heap {
			if a.slot != i || tb.find(&a.key) != a {
				t.Fatal("slot or key is wrong")
			}
		}
	}
}

func TestRepeatsAndQuietEventsAllocateNothing(t *testing.T) {
	v, _ := New(Config{Rules: []Rule{&binds{}}, Zones: zones(t)})
	repeat := bind("192.0.2.1", "10.0.0.1", 0)
	v.Handle(repeat)
	call := &decode.Call{}
	*call.Head() = *repeat.Head()
	if n := testing.AllocsPerRun(100, func() { v.Handle(repeat); v.Handle(call) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRepeat(b *testing.B) {
	v, _ := New(Config{Rules: []Rule{&binds{}}, Zones: zones(b)})
	e := bind("192.0.2.1", "10.0.0.1", 0)
	b.ReportAllocs()
	for b.Loop() {
		v.Handle(e)
	}
}

func BenchmarkNewAlert(b *testing.B) {
	v, _ := New(Config{Rules: []Rule{&binds{}}, Zones: zones(b)})
	e := bind("192.0.2.1", "10.0.0.1", 0)
	i := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		i++
		e.Head().Flow.Server.Addr = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		v.Handle(e)
	}
}

// TestAnAlertKeepsItsKey: the server's address, or the client's where servers are
// counted.
func TestAnAlertKeepsItsKey(t *testing.T) {
	client, server := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("::ffff:10.0.0.5")
	for by, want := range map[FoldBy]string{ByServer: "10.0.0.5", ByClient: "192.0.2.7", ByBoth: "10.0.0.5", ServerAlone: "10.0.0.5", ClientAlone: "192.0.2.7"} {
		a := Alert{By: by, Client: Party{Addr: client}, Server: Party{Addr: server}}
		if got := a.Key().String(); got != want {
			t.Errorf("%v: %s, want %s", by, got, want)
		}
	}
	if a := (Alert{Client: Party{Addr: client}}); a.Key() != client {
		t.Errorf("without a server: %v", a.Key())
	}
	if a := new(Alert); a.Key().IsValid() {
		t.Errorf("of no parties: %v", a.Key())
	}
}
