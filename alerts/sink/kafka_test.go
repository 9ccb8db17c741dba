package sink_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"kmswatch/alerts/sink"
	"kmswatch/alerts/sink/kafkatest"
	"kmswatch/alerts/spool"
)

func newSpool(t testing.TB) *spool.Spool {
	t.Helper()
	s, err := spool.Open(spool.Options{Dir: t.TempDir(), Levels: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func append1(t testing.TB, s *spool.Spool, key, value string) {
	t.Helper()
	m := sink.Message{Key: []byte(key), Value: []byte(value), Headers: []sink.Header{{Name: "rule", Value: "kms-zone-climb"}, {Name: "severity", Value: "high"}}}
	if _, err := s.Append(len(value)%2, m.Append(nil)); err != nil {
		t.Fatal(err)
	}
}

// sent waits until a spool has nothing left to send.
func sent(t testing.TB, s *spool.Spool) {
	t.Helper()
	for range 3000 {
		if s.Depth().Records == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d records are left after half a minute", s.Depth().Records)
}

// run sends what is in a spool until the test ends.
func run(t testing.TB, k *sink.Kafka, s *spool.Spool) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx, s) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func newKafka(t testing.TB, o sink.KafkaOptions) *sink.Kafka {
	t.Helper()
	k, err := sink.NewKafka(o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func check(k *sink.Kafka) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return k.Check(ctx)
}

// each runs a test against every version of the broker.
func each(t *testing.T, test func(t *testing.T, b *kafkatest.Broker)) {
	for _, version := range kafkatest.Versions {
		t.Run(version, func(t *testing.T) { test(t, kafkatest.Start(t, version)) })
	}
}

func TestAgainstABroker(t *testing.T) {
	each(t, func(t *testing.T, b *kafkatest.Broker) {
		t.Run("a topic that is not there", func(t *testing.T) {
			k := newKafka(t, sink.KafkaOptions{Brokers: []string{b.Plain}, Topic: "missing"})
			wantError(t, check(k), "topic does not exist")
		})
		t.Run("records arrive in the order of their key, with headers, compressed", func(t *testing.T) {
			k := newKafka(t, sink.KafkaOptions{Brokers: []string{b.Plain}, Topic: "alerts", Create: true, Partitions: 3})
			if err := check(k); err != nil {
				t.Fatal(err)
			}
			s := newSpool(t)
			for i := range 3000 {
				append1(t, s, fmt.Sprint("10.0.0.", i%7), fmt.Sprintf("%d %s", i, strings.Repeat("text ", 50)))
			}
			run(t, k, s)
			sent(t, s)
			last := make(map[string]int)
			partition := make(map[string]string)
			got := b.Read("alerts")
			for _, r := range got {
				var n int
				if _, err := fmt.Sscanf(r.Value, "%d", &n); err != nil {
					t.Fatalf("%q", r.Value)
				}
				if p, known := partition[r.Key]; known && (p != r.Partition || n <= last[r.Key]) {
					t.Fatalf("record %d of %s in partition %s comes behind %d in %s", n, r.Key, r.Partition, last[r.Key], p)
				}
				last[r.Key], partition[r.Key] = n, r.Partition
				if r.Headers["rule"] != "kms-zone-climb" || r.Headers["severity"] != "high" {
					t.Fatalf("headers %v", r.Headers)
				}
			}
			if len(got) != 3000 {
				t.Errorf("%d records of 3000", len(got))
			}
		})
		t.Run("a record that is too large holds up no other", func(t *testing.T) {
			var refused []string
			k := newKafka(t, sink.KafkaOptions{Brokers: []string{b.Plain}, Topic: "large", Create: true,
				Refused: func(m *sink.Message, err error) { refused = append(refused, string(m.Key)+": "+err.Error()) }})
			if err := check(k); err != nil {
				t.Fatal(err)
			}
			s := newSpool(t)
			append1(t, s, "a", "before")
			append1(t, s, "large", noise(3<<20))
			append1(t, s, "a", "after")
			stop := run(t, k, s)
			sent(t, s)
			stop()
			if got := b.Read("large"); len(got) != 2 || got[0].Value != "before" || got[1].Value != "after" {
				t.Errorf("%d records arrived", len(got))
			}
			if len(refused) != 1 || !strings.HasPrefix(refused[0], "large: ") || !strings.Contains(refused[0], "max.message.bytes") {
				t.Errorf("refused: %q", refused)
			}
		})
		t.Run("TLS", func(t *testing.T) {
			if b.Fake {
				t.Skip("left out: TLS, which kfake does not have here")
			}
			ours := b.Authority.Client(b.Authority)
			stranger := kafkatest.NewAuthority(t, "somebody")
			for _, c := range []struct {
				name   string
				tls    *tls.Config
				broker string
				want   string
			}{
				{"with our certificate", ours, b.TLS, ""},
				{"an authority that we do not trust", b.Authority.Client(stranger), b.TLS, "set tls.ca"},
				{"a certificate that the broker does not trust", stranger.Client(b.Authority), b.TLS, "refuses our certificate"},
				{"no certificate", &tls.Config{RootCAs: ours.RootCAs}, b.TLS, "refuses our certificate"},
				{"a port without TLS", ours, b.Plain, "TLS"},
				{"a port with TLS, in clear", nil, b.TLS, "it may want TLS"},
			} {
				t.Run(c.name, func(t *testing.T) {
					k := newKafka(t, sink.KafkaOptions{Brokers: []string{c.broker}, Topic: "tls", Create: true, TLS: c.tls})
					err := check(k)
					if c.want != "" {
						wantError(t, err, c.want)
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					s := newSpool(t)
					append1(t, s, "a", "secret")
					run(t, k, s)
					sent(t, s)
					if got := b.Read("tls"); len(got) != 1 || got[0].Value != "secret" {
						t.Errorf("%v", got)
					}
				})
			}
		})
		t.Run("SASL", func(t *testing.T) {
			if b.Fake {
				t.Skip("left out: SASL, which kfake does not have here")
			}
			for _, m := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
				k := newKafka(t, sink.KafkaOptions{Brokers: []string{b.SASL}, Topic: "sasl-" + m, Create: true, SASL: m, User: b.User, Password: b.Password})
				if err := check(k); err != nil {
					t.Fatalf("%s: %v", m, err)
				}
				s := newSpool(t)
				append1(t, s, "a", m)
				run(t, k, s)
				sent(t, s)
				if got := b.Read("sasl-" + m); len(got) != 1 {
					t.Errorf("%s: %d records", m, len(got))
				}
				k = newKafka(t, sink.KafkaOptions{Brokers: []string{b.SASL}, Topic: "sasl-" + m, SASL: m, User: b.User, Password: "wrong"})
				err := check(k)
				wantError(t, err, "user or the password")
				if err != nil && strings.Contains(err.Error(), b.Password) {
					t.Errorf("the error has the password: %v", err)
				}
			}
			k := newKafka(t, sink.KafkaOptions{Brokers: []string{b.SASL}, Topic: "sasl"})
			wantError(t, check(k), "SASL")
		})
		t.Run("a broker that is killed and comes back", func(t *testing.T) {
			var mu sync.Mutex
			var reports []error
			k := newKafka(t, sink.KafkaOptions{Brokers: []string{b.Plain}, Topic: "outage", Create: true, Partitions: 2,
				Report: func(err error) { mu.Lock(); reports = append(reports, err); mu.Unlock() }})
			if err := check(k); err != nil {
				t.Fatal(err)
			}
			s := newSpool(t)
			run(t, k, s)
			for i := range 2000 {
				append1(t, s, fmt.Sprint("k", i%5), fmt.Sprint(i))
				switch i {
				case 500:
					b.Kill()
				case 1500:
					b.Run()
				}
				time.Sleep(time.Millisecond)
			}
			sent(t, s)
			last := make(map[string]int)
			seen := make(map[string]bool)
			for _, r := range b.Read("outage") {
				var n int
				fmt.Sscan(r.Value, &n)
				if n > last[r.Key]+5 || n < last[r.Key] && !seen[r.Value] {
					t.Fatalf("record %d of %s comes behind %d", n, r.Key, last[r.Key])
				}
				last[r.Key] = n
				seen[r.Value] = true
			}
			if len(seen) != 2000 {
				t.Errorf("%d records of 2000 arrived", len(seen))
			}
			mu.Lock()
			defer mu.Unlock()
			if len(reports) < 2 || reports[0] == nil || reports[len(reports)-1] != nil {
				t.Errorf("reports: %v", reports)
			}
		})
	})
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v; want one that says %q", err, want)
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("more than a line: %q", err)
	}
}

// noise is text that does not compress.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + r.IntN(64))
	}
	return string(b)
}

func TestANoBrokerIsAnError(t *testing.T) {
	k := newKafka(t, sink.KafkaOptions{Brokers: []string{"127.0.0.1:1"}, Topic: "alerts"})
	wantError(t, check(k), "no broker answers")
	if _, err := sink.NewKafka(sink.KafkaOptions{SASL: "GSSAPI"}); err == nil {
		t.Error("a mechanism that is not there was taken")
	}
}

func TestMessagesAreKeptAsBytes(t *testing.T) {
	m := sink.Message{Key: []byte("10.0.0.5"), Value: []byte("{}"), Headers: []sink.Header{{Name: "rule", Value: "x"}, {Name: "", Value: ""}}}
	b := m.Append(nil)
	var got sink.Message
	if err := got.Parse(b); err != nil || fmt.Sprint(got) != fmt.Sprint(m) {
		t.Errorf("%v, %v", got, err)
	}
	for i := range b {
		if err := got.Parse(b[:i]); err == nil {
			t.Errorf("the first %d bytes are a message", i)
		}
	}
	if err := got.Parse(append(b, 0)); err == nil {
		t.Error("a byte more is a message")
	}
}

func FuzzMessage(f *testing.F) {
	f.Add((&sink.Message{Key: []byte("k"), Value: []byte("v"), Headers: []sink.Header{{Name: "n", Value: "w"}}}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, again sink.Message
		if m.Parse(b) != nil {
			return
		}
		if err := again.Parse(m.Append(nil)); err != nil || fmt.Sprint(again) != fmt.Sprint(m) {
			t.Fatalf("%v, %v", again, err)
		}
	})
}
