package kafkatest

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"kmswatch/alerts/sink"
)

// StartFake starts a broker that stands for Apache Kafka: franz-go's kfake, within
// the test's own process, which can be made to fail in every way (Cluster). It has
// no TLS and no SASL, and keeps its records over Stop and Run.
func StartFake(t testing.TB) *Broker {
	t.Helper()
	b := &Broker{t: t, dir: t.TempDir(), Fake: true}
	b.Plain = freePorts(t, 1)[0]
	t.Cleanup(b.Kill)
	b.Run()
	return b
}

// runFake starts the cluster.
func (b *Broker) runFake() {
	b.t.Helper()
	_, port, _ := net.SplitHostPort(b.Plain)
	n, err := strconv.Atoi(port)
	if err != nil {
		b.t.Fatal(err)
	}
	for range 50 { // its port may be busy for a moment
		b.Cluster, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(n), kfake.DataDir(b.dir), kfake.SyncWrites())
		if err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatal(err)
}

// readFake reads all records of a topic where there is no kcat.
func (b *Broker) readFake(topic string) (records []Record) {
	b.t.Helper()
	g, err := sink.NewGroup(sink.GroupOptions{Kafka: sink.KafkaOptions{Brokers: []string{b.Plain}}, ID: "reader"})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	info := b.Cluster.PartitionInfos(topic)
	for p := range info {
		err := g.Load(ctx, topic, p, func(r sink.Record) error {
			one := Record{Partition: strconv.Itoa(p), Key: string(r.Key), Value: string(r.Value), Headers: make(map[string]string)}
			for _, h := range r.Headers {
				one.Headers[h.Name] = h.Value
			}
			records = append(records, one)
			return nil
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	return records
}
