package ecs

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"kmswatch/alerts/alertstest"
	"kmswatch/alerts/ecs/ecstest"
)

var update = flag.Bool("update", false, "write the golden files")

func TestAlertsAreWrittenAsTheGoldenFilesSay(t *testing.T) {
	schema := ecstest.New()
	for name, a := range alertstest.Examples() {
		text := Encoder{Version: "1.0"}.AppendJSON([]byte("before"), a)
		text, ok := bytes.CutPrefix(text, []byte("before"))
		if !ok || bytes.ContainsRune(text, '\n') {
			t.Errorf("%s: got %q", name, text)
		}
		for _, wrong := range schema.Check(text, "kmswatch") {
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
	schema := ecstest.New()
	if schema.Version != version {
		t.Errorf("alerts say version %s, the definitions are of %s", version, schema.Version)
	}
	text := string(Encoder{}.AppendJSON(nil, alertstest.Examples()["raised"]))
	for _, c := range []struct{ old, new, want string }{
		{`"kind":"alert"`, `"kind":"rumour"`, "event.kind: rumour is not allowed"},
		{`"type":["info"]`, `"type":["user"]`, "event.type: user is not expected with the category network"},
		{`"type":["info"]`, `"type":"info"`, "event.type: an array is false"},
		{`"port":50123`, `"port":"50123"`, "source.port: 50123 is no long"},
		{`"ip":"192.0.2.7"`, `"ip":"192.0.2.777"`, "source.ip: 192.0.2.777 is no ip"},
		{`"@timestamp":`, `"at":`, "no @timestamp"},
		{`"dataset":`, `"colour":`, "event.colour is not known"},
		{`"version":"1.12.0"`, `"version":"0.1"`, "ecs.version: 0.1"},
		{`"start":"2026-`, `"start":"26-`, "event.start: "},
	} {
		spoilt := strings.Replace(text, c.old, c.new, 1)
		if spoilt == text {
			t.Errorf("the alert has no %s", c.old)
		}
		if wrong := strings.Join(schema.Check([]byte(spoilt), "kmswatch"), "\n"); !strings.Contains(wrong, c.want) {
			t.Errorf("%s: %q, want %s", c.new, wrong, c.want)
		}
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
