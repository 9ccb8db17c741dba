package ocsf

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/alertstest"
	"kmswatch/decode"
	"kmswatch/decode/auth"
)

var updateGolden = flag.Bool("update", false, "write the golden files")

func TestAlertsAreWrittenAsTheGoldenFilesSay(t *testing.T) {
	for name, a := range alertstest.Examples() {
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
		a := alertstest.Examples()["raised"].Clone()
		a.Caller = c.caller
		got := string(Encoder{}.AppendJSON(nil, a))
		if c.want == "" && strings.Contains(got, "actor") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestTechniquesOfAFindingGoBeforeThoseOfItsRule(t *testing.T) {
	a := alertstest.Examples()["raised"].Clone()
	a.Techniques = []alerts.Technique{{ID: "T1187", Name: "Forced Authentication", TacticID: "TA0006", Tactic: "Credential Access"}}
	got := string(Encoder{}.AppendJSON(nil, a))
	if !strings.Contains(got, `"attacks":[{"tactic":{"uid":"TA0006","name":"Credential Access"},"technique":{"uid":"T1187","name":"Forced Authentication"}}]`) {
		t.Errorf("got %s", got)
	}
}

func TestWhatStandsBeforeIsKept(t *testing.T) {
	got := Encoder{}.AppendJSON([]byte("before"), alertstest.Examples()["bare"])
	if !bytes.HasPrefix(got, []byte("before{")) || !json.Valid(got[6:]) {
		t.Errorf("got %s", got)
	}
}

func TestCommunityIDIsThatOfThePublishedVector(t *testing.T) {
	a := alertstest.Examples()["raised"].Clone()
	a.Flow.Client = decode.Endpoint{Addr: netip.MustParseAddr("128.232.110.120"), Port: 34855}
	a.Flow.Server = decode.Endpoint{Addr: netip.MustParseAddr("66.35.250.204"), Port: 80}
	if got := string(Encoder{}.AppendJSON(nil, a)); !strings.Contains(got, `"community_uid":"1:LQU9qZlK+B5F3KDmev6m5PMibrg="`) {
		t.Errorf("got %s", got)
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	a := alertstest.Examples()["raised"]
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = Encoder{Version: "1.0"}.AppendJSON(buf[:0], a)
	}
	b.SetBytes(int64(len(buf)))
}
