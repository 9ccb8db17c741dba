package ocsf

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/auth"
)

var updateGolden = flag.Bool("update", false, "write the golden files")

// examples are alerts that between them have all that an alert can have.
func examples() map[string]*alerts.Alert {
	dmz, internal := &zone.Zone{Name: "dmz", Trust: 20}, &zone.Zone{Name: "internal", Trust: 50}
	unknown := &zone.Zone{Name: zone.Unknown}
	at := time.Date(2026, 3, 4, 5, 6, 7, 8_999_999, time.UTC).UnixNano()
	client, server := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("::ffff:10.0.0.5")
	info := &alerts.Info{
		ID: "kms-zone-climb", Title: "KMS activation from a less trusted zone", Severity: alerts.High,
		Why: "why", Mitigation: "activate over a proxy",
		Techniques: []alerts.Technique{
			{ID: "T1046", Name: "Network Service Discovery", TacticID: "TA0007", Tactic: "Discovery"},
			{ID: "T1021.002", Name: "SMB/Windows Admin Shares", TacticID: "TA0008", Tactic: "Lateral Movement"},
			{ID: "T1087"},
		},
	}
	full := &alerts.Alert{
		ID: "9764e4a9-7431-5d3a-bb7a-40d3d1469075", Rule: info, Severity: alerts.High,
		First: at, Last: at + 5e9, Window: at - at%int64(time.Hour), Count: 3,
		Client: alerts.Party{Addr: client, Port: 50123, Zone: dmz},
		Server: alerts.Party{Addr: server, Port: 1688, Zone: internal},
		Flow: decode.Flow{
			ID: 9, Client: decode.Endpoint{Addr: client, Port: 50123}, Server: decode.Endpoint{Addr: server, Port: 1688},
			Proto: 6, VLANs: [2]uint16{7, 12}, Tunnel: decode.VXLAN, TunnelID: 5000,
		},
		Clients: alerts.Addresses{First: []netip.Addr{client, netip.MustParseAddr("2001:db8::1")}, Count: 4096, More: true},
		Servers: alerts.Addresses{First: []netip.Addr{server}, Count: 1},
		Frames:  []alerts.Frame{{File: "dmz.pcap", Number: 12}, {Number: 14}},
		Quality: decode.MidStream | decode.Overlap,
		Sensor:  "span-1",
	}
	full.Say("192.0.2.7 (dmz) activates")
	full.Add("kms_version", "6.0")
	full.Add("workstation", "a\"b\\c\x00\x1f\x7f\n\r\t\xff\u2028\u0085\u00e9\U0001F511</script>")
	full.Add("opnum", uint16(0))
	full.Add("offset", -1)
	full.Add("accepted", true)
	full.Add("interfaces", []string{"samr", "lsarpc"})
	full.Add("protocol", decode.ProtoKMS)

	bare := &alerts.Alert{ // of a frame without a flow
		ID: full.ID, Rule: &alerts.Info{ID: "rpc-violation", Mitigation: "m"}, Severity: alerts.Informational, Count: 1,
		Client: alerts.Party{Zone: unknown}, Server: alerts.Party{Zone: unknown},
	}
	ended := full.Clone()
	ended.Stage = alerts.Ended
	ended.Client.Zone = unknown
	ended.Flow.Proto = 132
	ended.Caller = auth.Unverified
	worse := full.Clone()
	worse.Stage = alerts.Worse
	worse.Process = &alerts.Process{Name: "samba", PID: 4711, Server: true}
	worse.Caller = &auth.Caller{Kind: auth.Named, Mechanism: auth.NTLM, Domain: "CORP", User: "WS1$", Workstation: "WS1"}
	worse.Flow.Client.Addr, worse.Flow.Server.Addr = netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::2")
	return map[string]*alerts.Alert{"raised": full, "bare": bare, "ended": ended, "worse": worse}
}

func TestAlertsAreWrittenAsTheGoldenFilesSay(t *testing.T) {
	for name, a := range examples() {
		got := append(Encoder{Version: "1.0"}.AppendJSON(nil, a), '\n')
		var indented bytes.Buffer
		if err := json.Indent(&indented, got, "", "  "); err != nil {
			t.Fatalf("%s: %v: %s", name, err, got)
		}
		file := "testdata/" + name + ".json"
		if *updateGolden {
			if err := os.WriteFile(file, indented.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(indented.Bytes(), want) {
			t.Errorf("%s: got\n%s", name, indented.Bytes())
		}
		if bytes.IndexByte(got, '\n') != len(got)-1 {
			t.Errorf("%s: more than one line", name)
		}
	}
}

func TestTheCallerIsTheActor(t *testing.T) {
	for _, c := range []struct {
		name   string
		caller *auth.Caller
		want   string // empty: none
	}{
		{"a user of a domain", &auth.Caller{Kind: auth.Named, User: "alice", Domain: "CORP"}, `"actor":{"user":{"name":"alice","domain":"CORP","type_id":1,"type":"User"}}`},
		{"a computer", &auth.Caller{Kind: auth.Named, User: "WS1$"}, `"actor":{"user":{"name":"WS1$","type_id":3,"type":"System"}}`},
		{"nobody, by the account that Windows has for it", auth.Unverified, `"actor":{"user":{"name":"ANONYMOUS LOGON","domain":"NT AUTHORITY","uid":"S-1-5-7","type_id":3,"type":"System"}}`},
		{"a guest, whoever it says it is", &auth.Caller{Kind: auth.Guest, User: "alice"}, `"actor":{"user":{"name":"Guest","type_id":1,"type":"User"}}`},
		{"a ticket names no user", &auth.Caller{Kind: auth.Named, Service: "cifs/dc1"}, ""},
		{"who is not known", auth.Nobody, ""},
		{"an event without a caller", nil, ""},
	} {
		a := examples()["raised"].Clone()
		a.Caller = c.caller
		got := string(Encoder{}.AppendJSON(nil, a))
		if c.want == "" && strings.Contains(got, "actor") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestTechniquesOfAFindingGoBeforeThoseOfItsRule(t *testing.T) {
	a := examples()["raised"].Clone()
	a.Techniques = []alerts.Technique{{ID: "T1187", Name: "Forced Authentication", TacticID: "TA0006", Tactic: "Credential Access"}}
	got := string(Encoder{}.AppendJSON(nil, a))
	if !strings.Contains(got, `"attacks":[{"tactic":{"uid":"TA0006","name":"Credential Access"},"technique":{"uid":"T1187","name":"Forced Authentication"}}]`) {
		t.Errorf("got %s", got)
	}
}

func TestWhatStandsBeforeIsKept(t *testing.T) {
	got := Encoder{}.AppendJSON([]byte("before"), examples()["bare"])
	if !bytes.HasPrefix(got, []byte("before{")) || !json.Valid(got[6:]) {
		t.Errorf("got %s", got)
	}
}

func TestCommunityIDIsThatOfThePublishedVector(t *testing.T) {
	a := examples()["raised"].Clone()
	a.Flow.Client = decode.Endpoint{Addr: netip.MustParseAddr("128.232.110.120"), Port: 34855}
	a.Flow.Server = decode.Endpoint{Addr: netip.MustParseAddr("66.35.250.204"), Port: 80}
	if got := string(Encoder{}.AppendJSON(nil, a)); !strings.Contains(got, `"community_uid":"1:LQU9qZlK+B5F3KDmev6m5PMibrg="`) {
		t.Errorf("got %s", got)
	}
}

// FuzzString: what is written is valid, and read again is what encoding/json
// makes of the same string.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", "\x00\"\\\xff\xc3(\u2028", "\xed\xa0\x80", "\U0001F511\u0085"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendString(nil, s)
		var mine, theirs string
		if err := json.Unmarshal(got, &mine); err != nil {
			t.Fatalf("%q: %s: %v", s, got, err)
		}
		b, _ := json.Marshal(s)
		if err := json.Unmarshal(b, &theirs); err != nil || mine != theirs {
			t.Fatalf("%q: read as %q, not %q", s, mine, theirs)
		}
		for _, c := range string(got) {
			if c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' {
				t.Fatalf("%q: control character in %q", s, got)
			}
		}
	})
}

func BenchmarkAppendJSON(b *testing.B) {
	a := examples()["raised"]
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = Encoder{Version: "1.0"}.AppendJSON(buf[:0], a)
	}
	b.SetBytes(int64(len(buf)))
}
