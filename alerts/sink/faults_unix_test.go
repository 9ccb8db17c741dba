//go:build unix

package sink_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"kmswatch/alerts/sink"
	"kmswatch/alerts/sink/kafkatest"
)

// TestWhateverTheBrokerAnswers nothing is lost, and what comes first of a key comes
// in its order.
func TestWhateverTheBrokerAnswers(t *testing.T) {
	produce, metadata := []kmsg.Key{kmsg.Produce}, []kmsg.Key{kmsg.Metadata}
	for _, c := range []struct {
		name  string
		fault kfake.Fault
		cut   int // requests to produce after which the connection is cut
	}{
		{"not the leader", kfake.Fault{Keys: produce, Err: kerr.NotLeaderForPartition, Count: 4}, 0},
		{"not the leader of one partition", kfake.Fault{Keys: produce, Err: kerr.NotLeaderForPartition, Partitions: []int32{1}, Count: 4}, 0},
		{"leader not available", kfake.Fault{Keys: produce, Err: kerr.LeaderNotAvailable, Count: 4}, 0},
		{"not enough replicas", kfake.Fault{Keys: produce, Err: kerr.NotEnoughReplicas, Count: 4}, 0},
		{"not enough replicas after append", kfake.Fault{Keys: produce, Err: kerr.NotEnoughReplicasAfterAppend, Count: 4}, 0},
		{"request timed out", kfake.Fault{Keys: produce, Err: kerr.RequestTimedOut, Count: 4}, 0},
		{"a disk of the broker's", kfake.Fault{Keys: produce, Err: kerr.KafkaStorageError, Count: 4}, 0},
		{"unknown topic for a while", kfake.Fault{Keys: produce, Err: kerr.UnknownTopicOrPartition, Count: 4}, 0},
		{"not authorised for a while", kfake.Fault{Keys: produce, Err: kerr.TopicAuthorizationFailed, Count: 3}, 0},
		{"a partition without a leader", kfake.Fault{Keys: metadata, Err: kerr.LeaderNotAvailable, Count: 3}, 0},
		{"the connection is cut", kfake.Fault{}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := kafkatest.StartFake(t)
			k := newKafka(t, sink.KafkaOptions{Brokers: []string{b.Plain}, Topic: "alerts", Create: true, Partitions: 2})
			if err := check(k); err != nil {
				t.Fatal(err)
			}
			if len(c.fault.Keys) > 0 && c.fault.Keys[0] == kmsg.Metadata { // it knows nothing yet
				k = newKafka(t, sink.KafkaOptions{Brokers: []string{b.Plain}, Topic: "alerts"})
			}
			hits, over := 0, func() {}
			if c.cut > 0 {
				b.Cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
					if hits++; hits > c.cut {
						return nil, nil, false
					}
					b.Cluster.KeepControl()
					return nil, errors.New("cut"), true
				})
			} else {
				h := b.Cluster.Fault(c.fault)
				over = func() {
					if h.Hits() == 0 {
						t.Error("no request was answered so")
					}
					h.Remove()
				}
			}
			s := newSpool(t)
			const records, keys = 500, 5
			for i := range records {
				append1(t, s, fmt.Sprint("10.0.0.", i%keys), fmt.Sprint(i))
			}
			run(t, k, s)
			sent(t, s)
			over()
			seen := make(map[string]bool)
			last := make(map[string]int)
			for _, r := range b.Read("alerts") {
				if seen[r.Value] {
					continue
				}
				var n int
				fmt.Sscan(r.Value, &n)
				if was, there := last[r.Key]; there && n < was {
					t.Errorf("record %d of %s comes first behind %d", n, r.Key, was)
				}
				seen[r.Value], last[r.Key] = true, n
			}
			if len(seen) != records || c.cut > 0 && hits <= c.cut {
				t.Errorf("%d records of %d arrived; the connection was cut %d times", len(seen), records, hits)
			}
		})
	}
}

// TestAnotherBrokerTakesThem is librdkafka's own, which kcat has inside.
func TestAnotherBrokerTakesThem(t *testing.T) {
	if _, err := exec.LookPath("kcat"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("left out: librdkafka's broker, which kcat has (apt install kcat)")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "kcat", "-P", "-b", "x:1", "-t", "none", "-X", "test.mock.num.brokers=1", "-d", "mock")
	stdin, err1 := cmd.StdinPipe() // it runs as long as this is open
	said, err2 := cmd.StderrPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	defer func() { stdin.Close(); cancel(); _ = cmd.Wait() }()
	found := make(chan string, 1)
	go func() {
		address := regexp.MustCompile(`bootstrap\.servers=(127\.0\.0\.1:[0-9]+)`)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if m := address.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m[1]:
				default:
				}
			}
		}
	}()
	var address string
	select {
	case address = <-found:
	case <-time.After(20 * time.Second):
		t.Fatal("kcat names no broker")
	}
	first := exec.CommandContext(ctx, "kcat", "-P", "-b", address, "-t", "alerts") // makes the topic
	first.Stdin = strings.NewReader("first\n")
	if out, err := first.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	k := newKafka(t, sink.KafkaOptions{Brokers: []string{address}, Topic: "alerts"})
	s := newSpool(t)
	for i := range 100 {
		append1(t, s, fmt.Sprint("10.0.0.", i%3), fmt.Sprint(i))
	}
	run(t, k, s)
	sent(t, s)
	out, err := exec.CommandContext(ctx, "kcat", "-q", "-C", "-b", address, "-t", "alerts", "-o", "beginning", "-e", "-f", "%k %s %h\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), "rule=kms-zone-climb,severity=high\n"); n != 100 {
		t.Errorf("%d records of 100 arrived\n%.500s", n, out)
	}
}
