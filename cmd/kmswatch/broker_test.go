//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/alerts/flow"
	"kmswatch/alerts/ocsf"
	"kmswatch/alerts/sink/kafkatest"
	"kmswatch/capture"
)

// TestAlertsArriveAtABroker: those raised while it is there, and those raised
// while it was away, once it is back; also over a restart of the sensor.
func TestAlertsArriveAtABroker(t *testing.T) {
	b := kafkatest.Start(t, kafkatest.Versions[len(kafkatest.Versions)-1])
	dir := t.TempDir()
	conf := filepath.Join(dir, "kmswatch.yaml")
	write(t, conf, fmt.Sprintf("%s\nkafka: {brokers: [%q], topic: alerts, create: true, partitions: 2, spool: %q, flows: {topic: flows, partitions: 3}, health: {topic: health, every: 1s}}\nsensor: {name: span-1}\n", zones, b.Plain, filepath.Join(dir, "spool")))
	watch := func(name string) {
		t.Helper()
		src := newQueued("eth1")
		p := start(t, func(string, *live, zerolog.Logger) (capture.Source, error) { return src, nil }, "-i", "eth1", "-c", conf)
		frames := stamped(captured(t, captures+name))
		for i := range frames {
			src.frames <- frames[i : i+1]
		}
		for range 20 { // until they are read
			if src.Stats().Received == uint64(len(frames)) {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		p.end(exitDone)
	}
	rules := func() map[string]int {
		t.Helper()
		seen := make(map[string]int)
		for _, r := range b.Read("alerts") {
			var a struct {
				ID   string `json:"uid"`
				Info struct {
					Analytic struct{ UID string }
				} `json:"finding_info"`
				Evidences []struct {
					Server struct{ IP string } `json:"dst_endpoint"`
				}
			}
			if err := json.Unmarshal([]byte(r.Value), &a); err != nil {
				t.Fatal(err)
			}
			if r.Headers["rule"] != a.Info.Analytic.UID || r.Key != a.Evidences[0].Server.IP || r.Headers["schema"] != "1" || r.Headers["severity"] == "" {
				t.Errorf("key %q, headers %v of an alert of %s about %s", r.Key, r.Headers, a.Info.Analytic.UID, a.Evidences[0].Server.IP)
			}
			seen[r.Headers["rule"]]++
		}
		return seen
	}
	watch("kms-zone-climb.pcap")
	if got := rules(); got["kms-zone-climb"] == 0 || got["rpc-anonymous-bind"] != 0 {
		t.Errorf("arrived: %v", got)
	}
	b.Stop()
	watch("real-rpcclient-anonymous.pcap")
	b.Run()
	watch("real-dig-vlmcs.pcap")
	if got := rules(); got["rpc-anonymous-bind"] == 0 || got["dns-kms-lookup-climb"] == 0 {
		t.Errorf("arrived: %v", got)
	}

	kinds := make(map[flow.Kind]int)
	for _, r := range b.Read("flows") {
		var x flow.Record
		if err := ocsf.ParseRecord([]byte(r.Value), &x); err != nil {
			t.Fatal(err)
		}
		if r.Key != x.Client.Addr.String() || r.Headers["kind"] != x.Kind.String() || r.Headers["sensor"] != "span-1" || x.Sensor != "span-1" {
			t.Errorf("key %q, headers %v of a record of %v", r.Key, r.Headers, x.Client)
		}
		kinds[x.Kind]++
	}
	for _, k := range []flow.Kind{flow.Association, flow.KMSExchange, flow.SRVLookup} {
		if kinds[k] == 0 {
			t.Errorf("no flow record of a %v: %v", k, kinds)
		}
	}
	stopped := 0
	for _, r := range b.Read("health") {
		var h health
		if err := json.Unmarshal([]byte(r.Value), &h); err != nil {
			t.Fatal(err)
		}
		if r.Key != "span-1" || h.Sensor != "span-1" || len(h.Interfaces) != 1 || h.Interfaces[0].Name != "eth1" || len(h.Spools) != 2 {
			t.Errorf("key %q of %+v", r.Key, h)
		}
		if h.State == "stopped" {
			stopped++
			if h.Alerts == 0 || h.Interfaces[0].Received == 0 {
				t.Errorf("at the end: %+v", h)
			}
		}
	}
	if stopped != 2 { // the broker was away when the second sensor stopped
		t.Errorf("%d sensors said that they stopped", stopped)
	}
}

// TestABrokerThatRefusesIsSaidAtTheStart is a topic that is not there, a spool
// that cannot be, and a password that is not there.
func TestABrokerThatRefusesIsSaidAtTheStart(t *testing.T) {
	b := kafkatest.Start(t, kafkatest.Versions[0])
	dir := t.TempDir()
	write(t, filepath.Join(dir, "password"), "wrong\n")
	for _, c := range []struct{ name, kafka, want string }{
		{"no topic", fmt.Sprintf("brokers: [%q], topic: missing, spool: %q", b.Plain, filepath.Join(dir, "spool")), "the topic does not exist"},
		{"a wrong password", fmt.Sprintf("brokers: [%q], topic: missing, spool: %q, sasl: {mechanism: PLAIN, user: u, password_file: %q}", b.SASL, filepath.Join(dir, "spool"), filepath.Join(dir, "password")), "the user or the password"},
		{"no password", fmt.Sprintf("brokers: [%q], topic: missing, spool: %q, sasl: {mechanism: PLAIN, user: u, password_file: %q}", b.SASL, filepath.Join(dir, "spool"), filepath.Join(dir, "none")), "none: no such file"},
		{"no folder", fmt.Sprintf("brokers: [%q], topic: alerts, create: true, spool: %q", b.Plain, filepath.Join(dir, "password", "spool")), "spool: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			if b.Fake && strings.Contains(c.kafka, "sasl") {
				t.Skip("left out: SASL, which kfake does not have here")
			}
			conf := filepath.Join(t.TempDir(), "kmswatch.yaml")
			write(t, conf, zones+"\nkafka: {"+c.kafka+"}\n")
			var errs strings.Builder
			term := terminal{in: strings.NewReader(""), out: io.Discard, err: &errs}
			open := func(string, *live, zerolog.Logger) (capture.Source, error) { return newQueued("eth1"), nil }
			if code := runOn(t.Context(), []string{"run", "--keep-rights", "-i", "eth1", "-c", conf}, term, open); code != exitFailed {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(errs.String(), c.want) || strings.Contains(errs.String(), "wrong\n") {
				t.Errorf("said %q, want %q", errs.String(), c.want)
			}
		})
	}
}
