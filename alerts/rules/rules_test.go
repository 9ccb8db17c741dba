package rules

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// Addresses of the tests: three zones, and one that is in none.
const (
	dmz1      = "192.0.2.7"    // trust 20
	dmz2      = "192.0.2.8"    //
	internal1 = "10.0.0.1"     // trust 50
	internal2 = "10.0.0.2"     //
	manage1   = "10.9.0.1"     // trust 80
	outside1  = "198.51.100.1" // unknown, trust 0
)

func testZones() *zone.Table {
	t, err := zone.New(
		zone.Zone{Name: "dmz", Trust: 20, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		zone.Zone{Name: "internal", Trust: 50, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}},
		zone.Zone{Name: "management", Trust: 80, Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}})
	if err != nil {
		panic(err)
	}
	return t
}

// testStart is the time of second 0.
var testStart = time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC).UnixNano()

// head makes the head of an event so many seconds after testStart, in frame
// second+2, of a flow whose id is that of the client's port. A server's port is
// given as in 10.0.0.1:1688, else it is 135.
func head(client, server string, clientPort uint16, second int) decode.Head {
	endpoint := func(s string, port uint16) decode.Endpoint {
		if p, err := netip.ParseAddrPort(s); err == nil {
			return decode.Endpoint{Addr: p.Addr(), Port: p.Port()}
		}
		return decode.Endpoint{Addr: netip.MustParseAddr(s), Port: port}
	}
	return decode.Head{
		Flow: decode.Flow{ID: uint64(clientPort), Proto: 6, Client: endpoint(client, clientPort), Server: endpoint(server, 135)},
		At:   decode.Position{Frame: uint64(second + 2)},
		Time: testStart + int64(second)*int64(time.Second),
	}
}

// with gives an event its head.
func with(h decode.Head, e decode.Event) decode.Event {
	*e.Head() = h
	return e
}

// evaluate gives the events to one rule, and the alerts with their final
// counts. Zones that are not given are those above.
func evaluate(t testing.TB, r alerts.Rule, c alerts.Config, events ...decode.Event) []*alerts.Alert {
	t.Helper()
	var got []*alerts.Alert
	c.Rules = []alerts.Rule{r}
	if c.Zones == nil {
		c.Zones = testZones()
	}
	c.Out = func(a *alerts.Alert) {
		if a.Stage == alerts.Ended {
			got = append(got, a.Clone())
		}
	}
	v, err := alerts.New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		v.Handle(e)
	}
	v.Close()
	return got
}

// settings sets one rule's settings.
func settings(id string, s alerts.Settings) alerts.Config {
	return alerts.Config{Settings: map[string]alerts.Settings{id: s}}
}

// kmsHost is an inventory of one KMS host.
func kmsHost(h inventory.KMSHost) *inventory.Inventory {
	return inventory.New(inventory.Config{KMSHosts: []inventory.KMSHost{h}})
}

// want is what an alert must be; what is empty is not looked at.
type want struct {
	severity alerts.Severity
	count    uint64
	summary  string         // the whole
	facts    map[string]any // these, among others
}

// check compares alerts with what they must be, in order.
func check(t testing.TB, got []*alerts.Alert, wants ...want) {
	t.Helper()
	if len(got) != len(wants) {
		var s []string
		for _, a := range got {
			s = append(s, a.Rule.ID+": "+a.Summary)
		}
		t.Fatalf("%d alerts, want %d:\n\t%s", len(got), len(wants), strings.Join(s, "\n\t"))
	}
	for i, w := range wants {
		a := got[i]
		if w.severity != 0 && a.Severity != w.severity {
			t.Errorf("alert %d: severity %v, want %v (%s)", i, a.Severity, w.severity, a.Summary)
		}
		if w.count != 0 && a.Count != w.count {
			t.Errorf("alert %d: count %d, want %d (%s)", i, a.Count, w.count, a.Summary)
		}
		if w.summary != "" && a.Summary != w.summary {
			t.Errorf("alert %d: %q, want %q", i, a.Summary, w.summary)
		}
		for name, v := range w.facts {
			if got := factOf(a, name); got != v {
				t.Errorf("alert %d: fact %s is %v, want %v", i, name, got, v)
			}
		}
	}
}

func factOf(a *alerts.Alert, name string) any {
	for _, f := range a.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// allocatesNothing evaluates the events once, and then again and again.
func allocatesNothing(t *testing.T, r alerts.Rule, events ...decode.Event) {
	t.Helper()
	v, err := alerts.New(alerts.Config{Rules: []alerts.Rule{r}, Zones: testZones()})
	if err != nil {
		t.Fatal(err)
	}
	run := func() {
		for _, e := range events {
			v.Handle(e)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEveryRuleSaysWhatItIs(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range All() {
		i := r.Info()
		if seen[i.ID] {
			t.Errorf("%s is there twice", i.ID)
		}
		seen[i.ID] = true
		if i.ID != strings.ToLower(i.ID) || i.Title == "" || i.Severity < alerts.Informational || i.Severity > alerts.Critical || len(i.Kinds) == 0 {
			t.Errorf("%s: incomplete", i.ID)
		}
		for what, s := range map[string]string{"why": i.Why, "mitigation": i.Mitigation} {
			if !strings.HasSuffix(s, ".") || len(s) < 40 {
				t.Errorf("%s: %s is no sentence: %q", i.ID, what, s)
			}
		}
		for _, x := range i.Techniques {
			if x.ID == "" || x.Name == "" || x.TacticID == "" || x.Tactic == "" {
				t.Errorf("%s: technique %+v", i.ID, x)
			}
		}
		for _, o := range i.Options {
			if o.Name == "" || !strings.HasSuffix(o.What, ".") || strings.ToLower(o.Name) != o.Name || strings.Contains(o.Name, "-") {
				t.Errorf("%s: option %+v", i.ID, o)
			}
		}
	}
	if _, err := alerts.New(alerts.Config{Rules: All()}); err != nil {
		t.Error(err)
	}
}

// Interfaces of the tests.
var (
	samr   = dcerpc.MustUUID("12345778-1234-abcd-ef00-0123456789ac")
	lsarpc = dcerpc.MustUUID("12345778-1234-abcd-ef00-0123456789ab")
	srvsvc = dcerpc.MustUUID("4b324fc8-1670-01d3-1278-5a47bf6ee188")
	wkssvc = dcerpc.MustUUID("6bffd098-a112-3610-9833-46c3f87e345a")
	winreg = dcerpc.MustUUID("338cd001-2244-31f1-aaaa-900038001003")
)

// context makes a presentation context with the server's answer.
func context(id uint16, iface dcerpc.UUID, result dcerpc.Result) dcerpc.ContextItem {
	return dcerpc.ContextItem{
		ID: id, Abstract: dcerpc.Syntax{UUID: iface, Major: 1}, Transfer: []dcerpc.Syntax{dcerpc.NDR32},
		Answered: true, Result: result, Accepted: dcerpc.NDR32,
	}
}
