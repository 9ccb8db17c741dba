package eve

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"kmswatch/alerts/alertstest"
	"kmswatch/alerts/eve/evetest"
	"kmswatch/alerts/fleet"
	"kmswatch/alerts/rules"
)

var update = flag.Bool("update", false, "write the golden files")

func TestAlertsAreWrittenAsTheGoldenFilesSay(t *testing.T) {
	for name, a := range alertstest.Examples() {
		text := Encoder{Version: "1.0"}.AppendJSON([]byte("before"), a)
		text, ok := bytes.CutPrefix(text, []byte("before"))
		if !ok || bytes.ContainsRune(text, '\n') {
			t.Errorf("%s: got %q", name, text)
		}
		for _, wrong := range evetest.Check(text) {
			t.Errorf("%s: %s", name, wrong)
		}
		var got bytes.Buffer
		if err := json.Indent(&got, append(text, '\n'), "", "  "); err != nil {
			t.Fatal(err)
		}
		file := "testdata/" + name + ".json"
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: got\n%s", name, got.Bytes())
		}
	}
}

func TestWhatIsWrongIsSeen(t *testing.T) {
	text := string(Encoder{}.AppendJSON(nil, alertstest.Examples()["raised"]))
	for _, c := range []struct{ old, new, want string }{
		{`"event_type":"alert"`, `"event_type":"flow"`, "event_type: flow"},
		{`"src_port":50123`, `"src_port":"50123"`, "src_port: 50123 is no integer"},
		{`"vlan":[7,12]`, `"vlan":[7,"x"]`, "vlan: "},
		{`"gid":1,`, ``, "no alert.gid"},
		{`"proto":`, `"colour":`, "colour is not known"},
		{`"tag":[`, `"flavour":[`, "alert.metadata.flavour is not known"},
		{`T05:06`, ` 05:06`, "timestamp: "},
	} {
		spoilt := strings.Replace(text, c.old, c.new, 1)
		if spoilt == text {
			t.Errorf("the alert has no %s", c.old)
		}
		if wrong := strings.Join(evetest.Check([]byte(spoilt)), "\n"); !strings.Contains(wrong, c.want) {
			t.Errorf("%s: %q, want %s", c.new, wrong, c.want)
		}
	}
}

// TestEveryRuleHasANumberAndACategory of its own, and no number is of no rule.
func TestEveryRuleHasANumberAndACategory(t *testing.T) {
	infos := fleet.Rules()
	for _, r := range rules.All() {
		infos = append(infos, r.Info())
	}
	taken := make(map[int64]string)
	for _, info := range infos {
		n, ok := signatures[info.ID]
		if !ok || taken[n] != "" || n == unnumbered {
			t.Errorf("%s has the number %d, which is that of %q", info.ID, n, taken[n])
		}
		taken[n] = info.ID
		if category(info.ID) == "" {
			t.Errorf("%s has no category", info.ID)
		}
	}
	if len(signatures) != len(taken) {
		t.Errorf("%d numbers, %d rules", len(signatures), len(taken))
	}
}

func TestTheFlowIDIsThatOfTheFlow(t *testing.T) {
	a, b := alertstest.Examples()["raised"], alertstest.Examples()["raised"]
	b.ID, b.Count, b.Flow.ID = "other", 77, 1234
	if flowID(&a.Flow) != flowID(&b.Flow) {
		t.Error("two alerts of a flow have two ids")
	}
	b.Flow.Start++
	if n := flowID(&b.Flow); n == flowID(&a.Flow) || n < 0 || n >= 1<<53 {
		t.Errorf("the next flow of the same ends has the id %d", n)
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
