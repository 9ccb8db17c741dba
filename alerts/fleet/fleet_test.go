package fleet

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/flow"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/ocsf"
	"kmswatch/alerts/ocsf/ocsftest"
	"kmswatch/decode"
)

const minute = int64(time.Minute)

// morning is when the tests begin.
var morning = time.Date(2026, 3, 4, 8, 0, 0, 0, time.UTC).UnixNano()

// record is one of a client at 192.0.2.CLIENT to 10.0.0.SERVER, so many minutes
// into the morning.
func record(kind flow.Kind, sensor string, client, server byte, minutes int64) *flow.Record {
	r := &flow.Record{
		ID: "x", Kind: kind, Activity: flow.Traffic, Sensor: sensor, Proto: 6,
		Client: flow.End{Addr: netip.AddrFrom4([4]byte{192, 0, 2, client}), Port: 50000, Zone: "dmz"},
		Server: flow.End{Addr: netip.AddrFrom4([4]byte{10, 0, 0, server}), Port: 1688, Zone: "internal"},
		Start:  morning + minutes*minute, Last: morning + minutes*minute,
	}
	switch kind {
	case flow.SRVLookup:
		r.Proto, r.Server.Port, r.Outcome, r.Name = 17, 53, decode.Answered, "_vlmcs._tcp.corp.example"
	case flow.KMSExchange:
		r.Outcome = decode.Answered
	case flow.Association:
		r.Outcome, r.Activity = decode.Accepted, flow.Open
		r.Caller = flow.Caller{Name: "anonymous", Kind: "anonymous"}
		r.Interfaces = []flow.Interface{{UUID: "12345778-1234-abcd-ef00-0123456789ac", Version: "1.0", Name: "samr", Accepted: true}}
	}
	return r
}

func answers(r *flow.Record, servers ...byte) *flow.Record {
	for _, s := range servers {
		r.Targets = append(r.Targets, flow.Target{Name: "kms", Port: 1688, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, s})}})
	}
	return r
}

// judged gives the alerts that records raise, each as its rule, its stage and its
// severity, and what they say.
func judged(t *testing.T, settings map[string]alerts.Settings, all ...*flow.Record) (short []string, said string) {
	t.Helper()
	schema := ocsftest.New()
	f, err := New(Config{Name: "centre", Settings: settings, Out: func(a *alerts.Alert) {
		short = append(short, fmt.Sprint(a.Rule.ID, " ", a.Stage, " ", a.Severity))
		said += a.Summary + "\n"
		for _, wrong := range schema.Check(ocsf.Encoder{}.AppendJSON(nil, a)) {
			t.Error(wrong)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	p, h := NewClients(f, 0), NewHosts(f, 0)
	for i, r := range all {
		for _, fact := range p.Handle(int64(i), r) {
			var again Fact
			if err := ParseFact(fact.Append(nil), &again); err != nil || again != fact {
				t.Errorf("%+v is read as %+v (%v)", fact, again, err)
			}
			h.Handle(&again, false)
		}
	}
	return short, said
}

func TestRules(t *testing.T) {
	options := func(id, name string, v any) map[string]alerts.Settings {
		return map[string]alerts.Settings{id: {Options: map[string]any{name: v}}}
	}
	role := func(r *flow.Record, role inventory.Roles, g inventory.Grade) *flow.Record {
		r.Roles = append(r.Roles, flow.Role{Role: role, Grade: g, Why: "did so"})
		return r
	}
	lookup := func(sensor string, minutes int64) *flow.Record {
		return answers(record(flow.SRVLookup, sensor, 1, 53, minutes), 5)
	}
	kms := func(sensor string, server byte, minutes int64) *flow.Record {
		return record(flow.KMSExchange, sensor, 1, server, minutes)
	}
	binds := func(from, to byte, sensor string) (all []*flow.Record) {
		for s := from; s <= to; s++ {
			all = append(all, record(flow.Association, sensor, 1, s, int64(s)))
		}
		return all
	}
	const (
		split  = splitActivation + " 0 "
		spread = anonymousSpread + " 0 "
		both   = kmsOnDomainController + " 0 "
	)
	refused := kms("b", 5, 1)
	refused.Outcome = decode.Unanswered
	named := record(flow.Association, "b", 1, 9, 9)
	named.Caller = flow.Caller{Name: `CORP\a`, Kind: "named"}
	exempt := record(flow.Association, "b", 1, 9, 9)
	exempt.Interfaces[0] = flow.Interface{UUID: "e1af8308-5d1f-11c9-91a4-08002b14a0fa", Version: "3.0", Name: "epmapper", Accepted: true}
	rejected := record(flow.Association, "b", 1, 9, 9)
	rejected.Interfaces[0].Accepted = false
	elsewhere := answers(record(flow.SRVLookup, "a", 1, 53, 0), 77)
	ldap := lookup("a", 0)
	ldap.Name = "_ldap._tcp.corp.example"
	for _, c := range []struct {
		name     string
		settings map[string]alerts.Settings
		records  []*flow.Record
		want     []string
	}{
		{"looked up at a, activated at b", nil, []*flow.Record{lookup("a", 0), kms("b", 5, 1)}, []string{split + "medium"}},
		{"the record of the lookup comes later", nil, []*flow.Record{kms("b", 5, 1), lookup("a", 0)}, []string{split + "medium"}},
		{"DNS named another host", nil, []*flow.Record{elsewhere, kms("b", 5, 1)}, []string{split + "high"}},
		{"it is worse with the second host", nil, []*flow.Record{lookup("a", 0), kms("b", 5, 1), kms("b", 6, 2)}, []string{split + "medium", split + "high"}},
		{"again within the window", nil, []*flow.Record{lookup("a", 0), kms("b", 5, 1), kms("b", 5, 200)}, []string{split + "medium"}},
		{"again the day after", nil, []*flow.Record{lookup("a", 0), kms("b", 5, 1), lookup("a", 1440), kms("b", 5, 1450)}, []string{split + "medium", split + "medium"}},
		{"one sensor saw both", nil, []*flow.Record{lookup("a", 0), kms("a", 5, 1)}, nil},
		{"two sensors saw both", nil, []*flow.Record{lookup("a", 0), lookup("b", 0), kms("a", 5, 1), kms("b", 5, 1)}, nil},
		{"a saw the activation too", nil, []*flow.Record{lookup("a", 0), kms("a", 5, 1), kms("b", 5, 1)}, nil},
		{"two sensors of a site", options(splitActivation, "sites", []string{"hq=a,b"}), []*flow.Record{lookup("a", 0), kms("b", 5, 1)}, nil},
		{"long after the lookup", nil, []*flow.Record{lookup("a", 0), kms("b", 5, 1500)}, nil},
		{"not answered", nil, []*flow.Record{lookup("a", 0), refused}, nil},
		{"of another name", nil, []*flow.Record{ldap, kms("b", 5, 1)}, nil},
		{"of another client", nil, []*flow.Record{record(flow.SRVLookup, "a", 2, 53, 0), kms("b", 5, 1)}, nil},
		{"disabled", map[string]alerts.Settings{splitActivation: {Disabled: true}}, []*flow.Record{lookup("a", 0), kms("b", 5, 1)}, nil},
		{"regraded", map[string]alerts.Settings{splitActivation: {Severity: alerts.Low}}, []*flow.Record{elsewhere, kms("b", 5, 1)}, []string{split + "medium"}},
		{"excepted", map[string]alerts.Settings{splitActivation: {Exceptions: []alerts.Exception{{ClientZone: "dmz"}}}}, []*flow.Record{lookup("a", 0), kms("b", 5, 1)}, nil},

		{"five hosts of two sensors", nil, append(binds(1, 3, "a"), binds(4, 5, "b")...), []string{spread + "high"}},
		{"four hosts", nil, append(binds(1, 2, "a"), binds(3, 4, "b")...), nil},
		{"five hosts of one sensor", nil, binds(1, 5, "a"), nil},
		{"a second sensor that sees less", nil, append(binds(1, 5, "a"), binds(1, 4, "b")...), nil},
		{"over a day", nil, append(binds(1, 4, "a"), record(flow.Association, "b", 1, 9, 600)), nil},
		{"the fifth gave its name", nil, append(binds(1, 4, "a"), named), nil},
		{"the fifth is of an interface that is exempt", nil, append(binds(1, 4, "a"), exempt), nil},
		{"the fifth was refused", nil, append(binds(1, 4, "a"), rejected), nil},
		{"more are asked for", options(anonymousSpread, "hosts", 6), append(binds(1, 3, "a"), binds(4, 5, "b")...), nil},
		{"exempt by UUID", options(anonymousSpread, "exempt", alerts.Interfaces{"12345778-1234-abcd-ef00-0123456789ac"}), append(binds(1, 3, "a"), binds(4, 5, "b")...), nil},

		{"KMS at a, a domain controller at b", nil, []*flow.Record{
			role(kms("a", 5, 0), inventory.KMS, inventory.Confirmed), role(record(flow.Association, "b", 2, 5, 1), inventory.DomainController, inventory.Confirmed),
		}, []string{both + "high"}},
		{"a domain controller with less proof", nil, []*flow.Record{
			role(record(flow.Association, "b", 2, 5, 1), inventory.DomainController, inventory.Probable), role(kms("a", 5, 0), inventory.KMS, inventory.Confirmed),
		}, []string{both + "medium"}},
		{"one sensor sees both", nil, []*flow.Record{
			role(role(kms("a", 5, 0), inventory.KMS, inventory.Confirmed), inventory.DomainController, inventory.Confirmed),
			role(record(flow.Association, "b", 2, 5, 1), inventory.DomainController, inventory.Confirmed),
		}, nil},
		{"of two hosts", nil, []*flow.Record{
			role(kms("a", 5, 0), inventory.KMS, inventory.Confirmed), role(record(flow.Association, "b", 2, 6, 1), inventory.DomainController, inventory.Confirmed),
		}, nil},
		{"ten days apart", nil, []*flow.Record{
			role(kms("a", 5, 0), inventory.KMS, inventory.Confirmed), role(record(flow.Association, "b", 2, 5, 14400), inventory.DomainController, inventory.Confirmed),
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, said := judged(t, c.settings, c.records...)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q; %s", got, c.want, said)
			}
		})
	}
	_, said := judged(t, nil, lookup("a", 0), kms("b", 5, 1))
	if want := "192.0.2.1 (dmz) looked for KMS at a and activated at the KMS host 10.0.0.5 (internal), as b saw\n"; said != want {
		t.Errorf("said %q, want %q", said, want)
	}
}

func TestSettingsThatAreWrongAreRefused(t *testing.T) {
	for _, s := range []map[string]any{{"sites": []string{"hq"}}, {"sites": 7}, {"colour": "red"}} {
		if _, err := New(Config{Settings: map[string]alerts.Settings{splitActivation: {Options: s}}}); err == nil {
			t.Errorf("%v is taken", s)
		}
	}
}

// TestWhereverItStopsNothingIsLost: the same records in batches of any size, with
// a stop anywhere in a batch, after which all since the last commit comes again to
// a new one that has the state which was kept, raise the same alerts.
func TestWhereverItStopsNothingIsLost(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	sensors := []string{"a", "b", "c"}
	var all []*flow.Record
	for i := range 1200 {
		kind := []flow.Kind{flow.SRVLookup, flow.KMSExchange, flow.Association}[r.IntN(3)]
		x := record(kind, sensors[r.IntN(3)], byte(r.IntN(12)), byte(r.IntN(30)), int64(i/2)+int64(r.IntN(20)))
		if kind == flow.SRVLookup {
			answers(x, byte(r.IntN(30)))
		}
		all = append(all, x)
	}
	// run gives every alert, by its id and severity, as it was written last, and
	// how often one was.
	run := func(batch int, crash func() bool) (map[string]string, int) {
		got, n := make(map[string]string), 0
		f, err := New(Config{Out: func(a *alerts.Alert) {
			n++
			id := fmt.Sprint(a.ID, a.Severity)
			text := string(ocsf.Encoder{}.AppendJSON(nil, a))
			if was, again := got[id]; again && was != text {
				t.Errorf("%s\nis told again as\n%s", was, text)
			}
			got[id] = text
		}})
		if err != nil {
			t.Fatal(err)
		}
		kept := make(map[string][]byte)
		p := NewClients(f, 0)
		restart := func() {
			p = NewClients(f, 0)
			for _, k := range slices.Sorted(maps.Keys(kept)) {
				if err := p.Load(Entry{[]byte(k), kept[k]}, int64(len(all))); err != nil {
					t.Fatal(err)
				}
			}
		}
		for at := 0; at < len(all); {
			size := min(1+r.IntN(batch), len(all)-at)
			for i := range size {
				p.Handle(int64(at+i), all[at+i])
			}
			if crash() { // after its alerts, before its state
				restart()
				continue
			}
			changed := p.Changed()
			some := len(changed)
			stops := crash() // with some of its state
			if stops {
				some = r.IntN(len(changed) + 1)
			}
			for _, e := range changed[:some] {
				kept[string(e.Key)] = e.Value
			}
			if stops || crash() { // before the offset
				restart()
				continue
			}
			at += size
		}
		return got, n
	}
	want, n := run(1, func() bool { return false })
	if len(want) < 10 || n != len(want) {
		t.Fatalf("%d alerts, told %d times", len(want), n)
	}
	for _, batch := range []int{1, 7, 500} {
		got, n := run(batch, func() bool { return r.IntN(4) == 0 })
		if !maps.Equal(got, want) {
			t.Errorf("in batches of %d: %d alerts, want %d", batch, len(got), len(want))
		}
		if n == len(want) {
			t.Errorf("in batches of %d no alert came again: nothing was tested", batch)
		}
	}
}

func TestClientsAreForgottenWhenNoRuleLooksBackSoFar(t *testing.T) {
	f, _ := New(Config{Out: func(*alerts.Alert) {}})
	p := NewClients(f, 2)
	p.Handle(0, record(flow.KMSExchange, "a", 1, 5, 0))
	p.Handle(1, record(flow.KMSExchange, "a", 2, 5, 0))
	if n := len(p.Changed()); n != 2 {
		t.Errorf("%d changed", n)
	}
	p.Handle(2, record(flow.KMSExchange, "a", 3, 5, 1)) // makes room of the first
	changed := p.Changed()
	if len(changed) != 2 || string(changed[0].Key) != "192.0.2.1" || changed[0].Value != nil || changed[1].Value == nil {
		t.Errorf("changed: %q", changed)
	}
	p.Handle(3, record(flow.KMSExchange, "a", 3, 5, 10*1440))
	changed = p.Changed()
	if len(changed) != 2 || string(changed[0].Key) != "192.0.2.2" || changed[0].Value != nil || p.Len() != 1 {
		t.Errorf("after ten days: %q", changed)
	}
	if err := p.Load(changed[0], 4); err != nil || p.Len() != 1 {
		t.Errorf("%v, %d clients", err, p.Len())
	}
}

// TestWhatIsWrittenLateIsMended has state of a member that lost its partition
// behind that of the one which has it.
func TestWhatIsWrittenLateIsMended(t *testing.T) {
	f, _ := New(Config{Out: func(*alerts.Alert) {}})
	p := NewClients(f, 0)
	p.Handle(0, record(flow.KMSExchange, "a", 1, 5, 0))
	old := p.Changed()[0]
	p.Handle(1, record(flow.KMSExchange, "a", 1, 6, 0))
	newer := p.Changed()[0]
	again := NewClients(f, 0)
	for _, e := range []Entry{old, newer, old} {
		if err := again.Load(e, 2); err != nil {
			t.Fatal(err)
		}
	}
	if changed := again.Changed(); len(changed) != 1 || !bytes.Equal(changed[0].Value, newer.Value) {
		t.Errorf("it is written as %q, want %q", changed, newer.Value)
	}
	elsewhere := NewClients(f, 0) // the records are gone: their offsets begin anew
	if err := elsewhere.Load(newer, 1); err != nil {
		t.Fatal(err)
	}
	elsewhere.Handle(0, record(flow.KMSExchange, "a", 1, 7, 0))
	if changed := elsewhere.Changed(); len(changed) != 1 || !bytes.Contains(changed[0].Value, []byte("10.0.0.7")) {
		t.Errorf("a record of a new topic is passed over: %q", changed)
	}
}

func FuzzState(f *testing.F) {
	fleet, _ := New(Config{Out: func(*alerts.Alert) {}})
	p := NewClients(fleet, 0)
	for i := range 8 {
		p.Handle(int64(i), record(flow.Kind(1+i%3), "a", 1, byte(i), int64(i)))
	}
	for _, e := range p.Changed() {
		f.Add(e.Value)
	}
	f.Add([]byte(`{"server":"10.0.0.5","zone":"internal","role":"KMS host","sensor":"a"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := NewClients(fleet, 0)
		if p.Load(Entry{[]byte("192.0.2.1"), b}, 100) == nil {
			for i := range 8 {
				p.Handle(int64(90+i), record(flow.Kind(1+i%3), "b", 1, byte(i), int64(i)))
			}
			first := p.Changed()
			again := NewClients(fleet, 0)
			for _, e := range first {
				if err := again.Load(e, 100); err != nil {
					t.Fatal(err)
				}
			}
		}
		var x, y Fact
		if ParseFact(b, &x) == nil {
			text := x.Append(nil)
			if err := ParseFact(text, &y); err != nil || !bytes.Equal(y.Append(nil), text) {
				t.Errorf("%s is read as %+v (%v)", text, y, err)
			}
			NewHosts(fleet, 0).Handle(&x, false)
		}
	})
}
