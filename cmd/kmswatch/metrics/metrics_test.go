package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/sink"
	"kmswatch/alerts/spool"
	"kmswatch/bpf"
	"kmswatch/capture"
	"kmswatch/decode"
	"kmswatch/decode/stream"
)

var start = time.Date(2026, 3, 4, 5, 0, 0, 500e6, time.UTC)

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestWhatIsCountedIsServed(t *testing.T) {
	m := New("1.2.3", []alerts.Info{{ID: "kms-zone-climb", Severity: alerts.Medium}})
	h := m.Handler(func() time.Time { return start })
	if code, text := get(t, h, "/metrics"); code != 200 || !strings.Contains(text, `kmswatch_alerts_total{rule="kms-zone-climb",severity="medium"} 0`) {
		t.Errorf("before the first snapshot: %d\n%s", code, text)
	}
	m.Publish(&Snapshot{
		At: start,
		Interfaces: []Interface{
			{"eth1", capture.Stats{Received: 10, Bytes: 1000, Dropped: 3, Filtered: 90, Truncated: 1}, &bpf.Counters{bpf.Bulk: {Frames: 90, Bytes: 9000}, bpf.Begins: {Frames: 10, Bytes: 1000}}, ""},
			{"odd\xff", capture.Stats{Received: 5}, nil, "it is down"},
		},
		Engine: decode.Moment{Waiting: 2, Room: 3, Stats: decode.Stats{
			Interest: 7, Flows: 4, Evicted: 1, PDUs: 6, Calls: 2, Exchanges: 1, Lookups: 9, Reassembly: stream.Counters{Waiting: 4096},
		}},
		Alerts:  alerts.Stats{Repeats: 8, Excepted: 11, Evicted: 12, Standing: 5},
		Hosts:   13,
		Outputs: []Output{{"a\xff", sink.Counts{Written: 31, Lost: 32, Waiting: 33, Bytes: 34}, 35}},
		Spools: []Spool{{Of: "alerts", Depth: spool.Depth{Records: 21, Bytes: 22, Oldest: 1500 * time.Millisecond, Unwritable: true},
			Memory: 41, Dropped: 42, Damaged: 43, Refused: 44}},
		Anomalies: map[Anomaly]uint64{{decode.ProtoDCERPC, "short-fragment"}: 14},
	})
	m.Alert("kms-zone-climb", alerts.High, 30*time.Millisecond)
	m.Alert("kms-zone-climb", alerts.High, 3*time.Second)
	m.Loaded(start)
	m.Reloaded(true)
	m.Reloaded(false)
	m.Reloaded(false)
	_, text := get(t, h, "/metrics")
	lines := make(map[string]bool)
	for l := range strings.Lines(text) {
		lines[strings.TrimSpace(l)] = true
	}
	for _, want := range []string{
		`kmswatch_frames_total{interface="eth1",verdict="received"} 10`,
		`kmswatch_frames_total{interface="eth1",verdict="filtered"} 90`,
		`kmswatch_frames_total{interface="eth1",verdict="dropped"} 3`,
		`kmswatch_frames_total{interface="eth1",verdict="truncated"} 1`,
		`kmswatch_frames_total{interface="odd?",verdict="received"} 5`,
		`kmswatch_bytes_total{interface="eth1"} 1000`,
		`kmswatch_interface_up{interface="eth1"} 1`,
		`kmswatch_interface_up{interface="odd?"} 0`,
		`kmswatch_spool_records{of="alerts"} 21`,
		`kmswatch_spool_bytes{of="alerts"} 22`,
		`kmswatch_spool_oldest_seconds{of="alerts"} 1.5`,
		`kmswatch_kernel_frames_total{interface="eth1",verdict="bulk"} 90`,
		`kmswatch_kernel_bytes_total{interface="eth1",verdict="begins"} 1000`,
		`kmswatch_frames_of_interest_total 7`,
		`kmswatch_flows_total 4`,
		`kmswatch_flows_evicted_total 1`,
		`kmswatch_pdus_total 6`,
		`kmswatch_calls_total 2`,
		`kmswatch_kms_exchanges_total 1`,
		`kmswatch_srv_lookups_total 9`,
		`kmswatch_anomalies_total{name="short-fragment",protocol="dcerpc"} 14`,
		`kmswatch_reassembly_bytes 4096`,
		`kmswatch_queue_batches 2`,
		`kmswatch_queue_batches_max 3`,
		`kmswatch_alerts_standing 5`,
		`kmswatch_alert_repeats_total 8`,
		`kmswatch_alert_exceptions_total 11`,
		`kmswatch_alerts_evicted_total 12`,
		`kmswatch_hosts 13`,
		`kmswatch_snapshot_timestamp_seconds 1.7726004005e+09`,
		`kmswatch_alerts_total{rule="kms-zone-climb",severity="high"} 2`,
		`kmswatch_alerts_total{rule="kms-zone-climb",severity="medium"} 0`,
		`kmswatch_alert_lag_seconds_bucket{le="0.05"} 1`,
		`kmswatch_alert_lag_seconds_bucket{le="1"} 1`,
		`kmswatch_alert_lag_seconds_count 2`,
		`kmswatch_output_alerts_total{output="a?",result="written"} 31`,
		`kmswatch_output_alerts_total{output="a?",result="lost"} 32`,
		`kmswatch_output_waiting_alerts{output="a?"} 33`,
		`kmswatch_output_waiting_bytes{output="a?"} 34`,
		`kmswatch_output_rotations_total{output="a?"} 35`,
		`kmswatch_spool_lost_total{of="alerts",reason="memory"} 41`,
		`kmswatch_spool_lost_total{of="alerts",reason="dropped"} 42`,
		`kmswatch_spool_lost_total{of="alerts",reason="damaged"} 43`,
		`kmswatch_spool_lost_total{of="alerts",reason="refused"} 44`,
		`kmswatch_spool_writable{of="alerts"} 0`,
		`kmswatch_config_reloads_total{result="ok"} 1`,
		`kmswatch_config_reloads_total{result="failed"} 2`,
		`kmswatch_config_loaded_timestamp_seconds 1.7726004005e+09`,
	} {
		if !lines[want] {
			t.Errorf("no line %s", want)
		}
	}
	if !strings.Contains(text, `version="1.2.3"} 1`) {
		t.Error("no version")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestHealthIsThatOfTheSnapshots(t *testing.T) {
	m := New("", nil)
	now := start
	h := m.Handler(func() time.Time { return now })
	want := func(code int, body string) {
		t.Helper()
		if c, b := get(t, h, "/healthz"); c != code || strings.TrimSpace(b) != body {
			t.Errorf("%d %q, want %d %q", c, b, code, body)
		}
	}
	want(503, "starting")
	m.Publish(&Snapshot{At: start})
	want(200, "ok")
	now = start.Add(11 * time.Second)
	want(503, "nothing was heard of the sensor for 11s")
	m.Publish(&Snapshot{At: now, Interfaces: []Interface{{Name: "eth1"}, {Name: "eth2", Trouble: "it is down"}}})
	want(503, "nothing is seen of the interface eth2: it is down")
	m.Publish(&Snapshot{At: now})
	want(200, "ok")
	if c, _ := get(t, h, "/other"); c != 404 {
		t.Errorf("another path: %d", c)
	}
}
