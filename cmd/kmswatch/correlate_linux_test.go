package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/fleet"
	"kmswatch/alerts/flow"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/ocsf"
	"kmswatch/alerts/sink"
	"kmswatch/alerts/sink/kafkatest"
	"kmswatch/decode"
)

// correlatorProcess is one that runs as a process of its own.
type correlatorProcess struct {
	*exec.Cmd
	log *lockedBuffer
}

func startCorrelator(t *testing.T, conf string) *correlatorProcess {
	t.Helper()
	c := &correlatorProcess{
		Cmd: &exec.Cmd{Path: os.Args[0], Args: []string{"kmswatch", "correlate", "--config", conf}, SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}},
		log: new(lockedBuffer),
	}
	c.Stderr = c.log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", conf, tailOf(c.log.String(), 4000))
		}
	})
	return c
}

func tailOf(s string, n int) string { return s[max(0, len(s)-n):] }

// sightings is flow records of some days at three sites, as they came.
func sightings(n int) (all []*flow.Record) {
	r := rand.New(rand.NewPCG(3, 4))
	at := time.Date(2026, 3, 4, 8, 0, 0, 0, time.UTC).UnixNano()
	address := func(a, b byte, n int) netip.Addr { return netip.AddrFrom4([4]byte{a, b, byte(n >> 8), byte(n)}) }
	for i := range n {
		at += int64(r.IntN(20)) * int64(time.Second)
		server := r.IntN(40)
		x := &flow.Record{
			ID: fmt.Sprint("record-", i), Kind: flow.Kind(1 + r.IntN(3)), Activity: flow.Traffic, Sensor: fmt.Sprint("site-", r.IntN(3)), Proto: 6,
			Client: flow.End{Addr: address(192, 168, r.IntN(400)), Port: 50000, Zone: "internal"},
			Server: flow.End{Addr: address(10, 0, server), Port: 1688, Zone: "internal"},
			Start:  at, Last: at, Outcome: decode.Answered,
		}
		switch x.Kind {
		case flow.SRVLookup:
			x.Proto, x.Server.Port, x.Name = 17, 53, "_vlmcs._tcp.corp.example"
			x.Targets = []flow.Target{{Name: "kms", Port: 1688, Addresses: []netip.Addr{address(10, 0, r.IntN(40))}}}
		case flow.KMSExchange:
			if server < 10 && x.Sensor == "site-0" {
				x.Roles = []flow.Role{{Role: inventory.KMS, Grade: inventory.Confirmed, Why: "answered a KMS request"}}
			}
		case flow.Association:
			x.Outcome, x.Activity, x.Caller = decode.Accepted, flow.Open, flow.Caller{Name: "anonymous", Kind: "anonymous"}
			x.Interfaces = []flow.Interface{{UUID: "12345778-1234-abcd-ef00-0123456789ac", Version: "1.0", Name: "samr", Accepted: true}}
			if server < 5 && x.Sensor == "site-1" {
				x.Roles = []flow.Role{{Role: inventory.DomainController, Grade: inventory.Confirmed, Why: "accepted a bind to drsuapi"}}
			}
		}
		all = append(all, x)
	}
	return all
}

// expected gives the alerts of records, by their ids, as one correlator alone
// tells them last. Each rule has some.
func expected(t *testing.T, all []*flow.Record, partitions int) map[string]string {
	t.Helper()
	want, rules := make(map[string]string), make(map[string]int)
	f, err := fleet.New(fleet.Config{Name: "correlate", Out: func(a *alerts.Alert) {
		want[a.ID] = a.Summary
		rules[a.Rule.ID]++
	}})
	if err != nil {
		t.Fatal(err)
	}
	parts, hosts := make(map[int]*fleet.Clients), fleet.NewHosts(f, 0)
	for i, r := range all {
		n := sink.PartitionOf([]byte(r.Client.Addr.String()), partitions)
		if parts[n] == nil {
			parts[n] = fleet.NewClients(f, 0)
		}
		var x flow.Record // as it is read
		if err := ocsf.ParseRecord(ocsf.Encoder{}.AppendRecord(nil, r), &x); err != nil {
			t.Fatal(err)
		}
		for _, fact := range parts[n].Handle(int64(i), &x) {
			hosts.Handle(&fact, false)
		}
	}
	for _, info := range fleet.Rules() {
		if rules[info.ID] == 0 {
			t.Fatalf("no alert of %s: it is not tested", info.ID)
		}
	}
	return want
}

// TestCorrelators joins 10,000 flow records by one correlator alone, and by two of
// which one is killed in their middle, or stopped for so long that the other takes
// over, and goes on. Each time the alerts are those that the rules give.
func TestCorrelators(t *testing.T) {
	const partitions = 4
	all := sightings(10_000)
	want := expected(t, all, partitions)
	for _, c := range []struct {
		name, version string
		stop          syscall.Signal // of the second correlator; 0: there is none
	}{
		{"alone", kafkatest.Versions[0], 0},
		{"killed", kafkatest.Versions[0], syscall.SIGKILL},
		{"killed", kafkatest.Versions[1], syscall.SIGKILL},
		{"stopped for a while", kafkatest.Versions[1], syscall.SIGSTOP},
	} {
		t.Run(c.name+" "+c.version, func(t *testing.T) {
			t.Parallel()
			b := kafkatest.Start(t, c.version)
			conf := filepath.Join(t.TempDir(), "correlate.yaml")
			write(t, conf, fmt.Sprintf("kafka: {brokers: [%q], topic: alerts, create: true, partitions: 2, spool: /nowhere, flows: {topic: flows}}\n", b.Plain))
			g, err := sink.NewGroup(sink.GroupOptions{ID: "test", Kafka: sink.KafkaOptions{Brokers: []string{b.Plain}, Create: true}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if n, err := g.Topic(ctx, sink.TopicOptions{Name: "flows", Partitions: partitions}); n != partitions || err != nil {
				t.Fatal(n, err)
			}
			produce := func(some []*flow.Record) {
				t.Helper()
				by := make(map[int][]sink.Message)
				for _, r := range some {
					key := []byte(r.Client.Addr.String())
					n := sink.PartitionOf(key, partitions)
					by[n] = append(by[n], sink.Message{Key: key, Value: ocsf.Encoder{}.AppendRecord(nil, r)})
				}
				for n, messages := range by {
					if err := g.Send(ctx, "flows", n, messages); err != nil {
						t.Fatal(err)
					}
				}
			}
			arrived := func() map[string]string {
				got := make(map[string]string)
				for _, r := range b.Read("alerts") {
					var a struct {
						Message string
						Info    struct{ UID string } `json:"finding_info"`
					}
					if err := json.Unmarshal([]byte(r.Value), &a); err != nil {
						t.Fatal(err)
					}
					got[a.Info.UID] = a.Message
				}
				return got
			}
			first := startCorrelator(t, conf)
			var second *correlatorProcess
			if c.stop != 0 {
				second = startCorrelator(t, conf)
			}
			for _, p := range []*correlatorProcess{first, second} {
				if p != nil {
					until(t, "correlator with a part in it", func() bool { return strings.Contains(p.log.String(), "a partition is taken over") })
				}
			}
			produce(all[:3000])
			for len(arrived()) == 0 && ctx.Err() == nil {
				time.Sleep(100 * time.Millisecond)
			}
			for at := 3000; at < len(all); at += 500 {
				produce(all[at : at+500])
				if at == 5000 && second != nil {
					if err := second.Process.Signal(c.stop); err != nil {
						t.Fatal(err)
					}
				}
			}
			if c.stop == syscall.SIGSTOP {
				time.Sleep(12 * time.Second) // longer than a session
				if err := second.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
			var got map[string]string
			for got = arrived(); !maps.Equal(got, want) && ctx.Err() == nil; got = arrived() {
				time.Sleep(500 * time.Millisecond)
			}
			missing, strange := 0, 0
			for id, text := range want {
				if got[id] != text {
					missing++
					t.Logf("%s: %q, want %q", id, got[id], text)
				}
			}
			for id := range got {
				if want[id] == "" {
					strange++
				}
			}
			if missing+strange > 0 {
				t.Errorf("%d of %d alerts are missing or other, %d are strange", missing, len(want), strange)
			}
			if err := first.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := first.Wait(); err != nil {
				t.Errorf("SIGTERM: %v", err)
			}
		})
	}
}

// TestACorrelatorSaysWhatIsWrong: topics that are not there or are not as they
// must be.
func TestACorrelatorSaysWhatIsWrong(t *testing.T) {
	b := kafkatest.Start(t, kafkatest.Versions[1])
	g, err := sink.NewGroup(sink.GroupOptions{ID: "test", Kafka: sink.KafkaOptions{Brokers: []string{b.Plain}, Create: true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []sink.TopicOptions{{Name: "alerts", Partitions: 1}, {Name: "flows", Partitions: 2}, {Name: "one", Partitions: 1, Compacted: true}, {Name: "loose", Partitions: 2}} {
		if _, err := g.Topic(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ kafka, correlate, want string }{
		{"", "", "names no topic of flow records"},
		{", flows: {topic: none}", "", "kafka topic none"},
		{", flows: {topic: flows}", "", "kafka topic flows-state"},
		{", flows: {topic: flows}", "state: one", "kafka topic one has 1 partitions: it must have 2"},
		{", flows: {topic: flows}", "state: loose", "kafka topic loose has cleanup.policy=delete: it must be compact"},
	} {
		conf := filepath.Join(t.TempDir(), "correlate.yaml")
		write(t, conf, fmt.Sprintf("kafka: {brokers: [%q], topic: alerts, spool: /nowhere%s}\ncorrelate: {%s}\n", b.Plain, c.kafka, c.correlate))
		var errs strings.Builder
		term := terminal{in: strings.NewReader(""), out: &errs, err: &errs}
		if code := run(t.Context(), []string{"correlate", "--config", conf}, term); code != exitFailed {
			t.Errorf("exit code %d", code)
		}
		if !strings.Contains(errs.String(), c.want) {
			t.Errorf("said %q, want %q", errs.String(), c.want)
		}
	}
}
