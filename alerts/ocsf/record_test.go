package ocsf

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kmswatch/alerts/flow"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/ocsf/ocsftest"
	"kmswatch/decode"
)

// records are one of each kind, with all that it may have, and one with as
// little as possible.
func records() map[string]*flow.Record {
	client, server := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::5")
	of := func(k flow.Kind, a flow.Activity) *flow.Record {
		return &flow.Record{
			ID: "9764e4a9-7431-5d3a-bb7a-40d3d1469075", Of: "0f0f0f0f-7431-5d3a-bb7a-40d3d1469075", Kind: k, Activity: a, Sensor: "span-1",
			Client: flow.End{Addr: client, Port: 50123, Zone: "dmz"}, Server: flow.End{Addr: server, Port: 1688, Zone: "internal"},
			Proto: 6, CommunityID: "1:abc=", Start: 1772600707008e6, Last: 1772600708009e6,
			Outcome: decode.Accepted, Quality: decode.MidStream | decode.Cut,
			Caller: flow.Caller{Name: `CORP\alice`, Kind: "named", Mechanism: "ntlm"},
			Roles:  []flow.Role{{Role: inventory.KMS, Grade: inventory.Confirmed, Why: "answered a KMS request"}, {Role: inventory.DomainController, Grade: inventory.Probable}},
		}
	}
	all := map[string]*flow.Record{
		"association": of(flow.Association, flow.Close), "exchange": of(flow.KMSExchange, flow.Traffic),
		"lookup": of(flow.SRVLookup, flow.Traffic), "session": of(flow.SMBSession, flow.Traffic),
		"bare": {
			ID: "x", Kind: flow.SRVLookup, Activity: flow.Traffic, Proto: 17,
			Client: flow.End{Addr: client, Zone: "unknown"}, Server: flow.End{Addr: server, Zone: "unknown"},
		},
	}
	a := all["association"]
	a.Transport, a.Pipe, a.Calls, a.Faults = "ncacn_np", "samr", 12, 3
	a.Interfaces = []flow.Interface{{UUID: "12345778-1234-abcd-ef00-0123456789ac", Version: "1.0", Name: "samr", Accepted: true}, {UUID: "00000000-1234-abcd-ef00-0123456789ac", Version: "0.0"}}
	a.ClientSoftware, a.ServerSoftware = flow.Software{Fingerprint: "0123456789abcdef", Name: "Samba", Confidence: 90}, flow.Software{Fingerprint: "fedcba9876543210"}
	x := all["exchange"]
	x.Transport, x.KMSVersion, x.Application, x.ClientID, x.Machine, x.Status = "ncacn_ip_tcp", "6.0", "55c92734-d682-4d71-983e-d6ec3f16059f", "11c92734-d682-4d71-983e-d6ec3f16059f", "PC\x01\"1", 0xc004f042
	l := all["lookup"]
	l.Name = "_vlmcs._tcp.corp.example"
	l.Targets = []flow.Target{{Name: "kms1.corp.example", Port: 1688, Addresses: []netip.Addr{client, server}}, {Name: "kms2", Port: 1}}
	s := all["session"]
	s.Dialect, s.Null, s.Guest, s.Encrypted, s.Status = "3.1.1", true, true, true, 0xc000006d
	return all
}

func TestRecordsMeetTheDefinitionsAndComeBackAsTheyWere(t *testing.T) {
	s := ocsftest.New()
	for name, want := range records() {
		text := Encoder{Version: "1.0"}.AppendRecord(nil, want)
		for _, wrong := range s.Check(text) {
			t.Errorf("%s: %s", name, wrong)
		}
		got := flow.Record{Pipe: "left from before"}
		if err := ParseRecord(text, &got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, &got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestWhatIsNoRecordIsRefused(t *testing.T) {
	good := string(Encoder{}.AppendRecord(nil, records()["association"]))
	for _, c := range []struct{ old, new, want string }{
		{`"class_uid":4001`, `"class_uid":2004`, "class_uid is 2004"},
		{`"kind":"rpc-association"`, `"kind":"rumour"`, `unknown kind "rumour"`},
		{`"activity_id":2`, `"activity_id":3`, "activity_id is 3"},
		{`"activity_id":2`, `"activity_id":-1`, "activity_id is -1"},
		{`"uid":"9764`, `"no":"9764`, "no metadata.uid"},
		{`"ip":"192.0.2.7",`, ``, "without ip or zone"},
		{`"ip":"192.0.2.7"`, `"ip":"192.0.2.777"`, "flow record: "},
		{`"zone":"dmz"`, `"zone":""`, "without ip or zone"},
		{`"outcome":"accepted"`, `"outcome":"perhaps"`, `unknown outcome "perhaps"`},
		{`"time":1772600708009`, `"time":9223372036854775807`, "a time that is none"},
		{`{`, `[`, "flow record: "},
		{`"faults":3`, `"faults":-3`, "flow record: "},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Errorf("the record has no %s", c.old)
		}
		if err := ParseRecord([]byte(text), new(flow.Record)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
	for _, text := range []string{"", good + good, strings.Repeat(" ", MaxRecord) + good} {
		if ParseRecord([]byte(text), new(flow.Record)) == nil {
			t.Errorf("%.60q is taken", text)
		}
	}
}

// FuzzRecord has what is taken come out the same when it is written and read again.
func FuzzRecord(f *testing.F) {
	for _, r := range records() {
		f.Add(Encoder{}.AppendRecord(nil, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again flow.Record
		if ParseRecord(b, &r) != nil {
			return
		}
		text := Encoder{}.AppendRecord(nil, &r)
		if err := ParseRecord(text, &again); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if second := string(Encoder{}.AppendRecord(nil, &again)); second != string(text) {
			t.Errorf("%s\nis read as\n%s", text, second)
		}
	})
}
