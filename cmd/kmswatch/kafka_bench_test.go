package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/alerts"
	"kmswatch/alerts/alertstest"
	"kmswatch/alerts/config"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/sink/kafkatest"
	"kmswatch/alerts/spool"
	"kmswatch/alerts/zone"
)

// BenchmarkKafka sends alerts to a broker, from the rule to the acknowledgement of
// all replicas, with the spool synced between; beside Kafka's own measure of a
// producer with the same records, acks, compression and batches, in the same run;
// and tells how long one takes at 1,000 a second.
func BenchmarkKafka(b *testing.B) {
	broker := kafkatest.Start(b, kafkatest.Versions[len(kafkatest.Versions)-1])
	const records = 300_000
	sample := alertstest.Examples()["raised"]
	encode := encoder("ocsf")
	size := len(encode(nil, sample))

	b.Run("producer-perf-test", func(b *testing.B) {
		// Payloads as the spool gives them: alerts that differ in their ids.
		var payload bytes.Buffer
		for i := range 1000 {
			payload.Write(append(encode(nil, numbered(sample, i)), '\n'))
		}
		file := filepath.Join(b.TempDir(), "payload")
		if err := os.WriteFile(file, payload.Bytes(), 0o600); err != nil {
			b.Fatal(err)
		}
		topic(b, broker, "perf")
		for b.Loop() {
			out := broker.Java(b, "org.apache.kafka.tools.ProducerPerformance", "--topic", "perf", "--num-records", strconv.Itoa(records),
				"--payload-file", file, "--throughput", "-1", "--producer-props", "bootstrap.servers="+broker.Plain,
				"acks=all", "compression.type=zstd", "batch.size=1048576", "linger.ms=5", "max.request.size=2097152", "buffer.memory=134217728")
			all := regexp.MustCompile(`([0-9.]+) records/sec`).FindAllSubmatch(out, -1)
			if all == nil {
				b.Fatalf("%s", out)
			}
			rate, _ := strconv.ParseFloat(string(all[len(all)-1][1]), 64)
			b.ReportMetric(rate, "records/s")
		}
		b.ReportMetric(float64(size), "bytes/record")
	})

	b.Run("alerts", func(b *testing.B) {
		for b.Loop() {
			to := openBenchBroker(b, broker, "alerts")
			to.start()
			began := time.Now()
			for i := range records {
				a := numbered(sample, i)
				for err := to.Write(a); err != nil; err = to.Write(a) {
					if !errors.Is(err, spool.ErrFull) {
						b.Fatal(err)
					}
					time.Sleep(time.Millisecond)
				}
			}
			for to.alerts.waits() {
				time.Sleep(time.Millisecond)
			}
			b.ReportMetric(records/time.Since(began).Seconds(), "records/s")
			to.close()
		}
	})

	b.Run("spooled", func(b *testing.B) { // and synced
		for b.Loop() {
			to := openBenchBroker(b, broker, "spooled")
			began := time.Now()
			for i := range records {
				a := numbered(sample, i)
				for err := to.Write(a); err != nil; err = to.Write(a) {
					if !errors.Is(err, spool.ErrFull) {
						b.Fatal(err)
					}
					time.Sleep(100 * time.Microsecond)
				}
			}
			for to.alerts.spool.Synced() < records {
				time.Sleep(100 * time.Microsecond)
			}
			b.ReportMetric(records/time.Since(began).Seconds(), "records/s")
			to.close()
		}
	})

	b.Run("1000 a second", func(b *testing.B) {
		for b.Loop() {
			to := openBenchBroker(b, broker, "steady")
			clock := &acked{outgoing: to.alerts.from}
			to.alerts.from = clock
			to.start()
			const n = 10_000
			began := time.Now()
			for i := range n {
				time.Sleep(time.Until(began.Add(time.Duration(i) * time.Millisecond)))
				if err := to.Write(numbered(sample, i)); err != nil {
					b.Fatal(err)
				}
			}
			for to.alerts.waits() {
				time.Sleep(time.Millisecond)
			}
			to.close()
			slices.Sort(clock.took)
			b.ReportMetric(clock.took[len(clock.took)/2].Seconds()*1e3, "p50-ms")
			b.ReportMetric(clock.took[len(clock.took)*99/100].Seconds()*1e3, "p99-ms")
			if len(clock.took) != n {
				b.Fatalf("%d of %d are acknowledged", len(clock.took), n)
			}
		}
	})
}

// numbered is an alert like another with an id and a server of its own.
func numbered(like *alerts.Alert, i int) *alerts.Alert {
	a := *like
	a.ID = fmt.Sprintf("%08x-7431-5d3a-bb7a-40d3d1469075", uint32(i)*2654435761)
	a.Server.Addr = a.Server.Addr.Unmap()
	four := a.Server.Addr.As4()
	four[2], four[3] = byte(i>>6), byte(i)
	a.Server.Addr = netip.AddrFrom4(four)
	return &a
}

func topic(b *testing.B, broker *kafkatest.Broker, name string) {
	b.Helper()
	to := openBenchBroker(b, broker, name)
	to.close()
}

func openBenchBroker(b *testing.B, kafka *kafkatest.Broker, topic string) *broker {
	b.Helper()
	c := &config.Config{Zones: zone.Default(), Sensor: "bench", Kafka: config.Kafka{
		Brokers: []string{kafka.Plain}, Topic: topic, Create: true, Partitions: 3, Spool: filepath.Join(b.TempDir(), "spool"), SpoolSize: 8 << 30,
	}}
	to, err := openBroker(context.Background(), c, inventory.New(inventory.Config{}), zerolog.New(io.Discard), new(failures))
	if err != nil {
		b.Fatal(err)
	}
	return to
}

// acked notes how long it takes from the writing of a record to its
// acknowledgement.
type acked struct {
	outgoing
	batch []spool.Record
	took  []time.Duration
}

func (a *acked) Next(ctx context.Context) (batch []spool.Record, err error) {
	a.batch, err = a.outgoing.Next(ctx)
	return a.batch, err
}

func (a *acked) Ack() {
	now := time.Now()
	for i := range a.batch {
		a.took = append(a.took, now.Sub(time.Unix(0, a.batch[i].Time)))
	}
	a.outgoing.Ack()
}
