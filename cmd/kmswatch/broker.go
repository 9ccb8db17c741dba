package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/alerts/sink"
	"kmswatch/alerts/spool"
	"kmswatch/cmd/kmswatch/metrics"
)

// broker sends alerts to Kafka. An alert is written to the spool, which does not
// wait for the disk, and goes from there to the broker beside all else.
type broker struct {
	recipient
	spool  *spool.Spool
	kafka  *sink.Kafka
	encode func([]byte, *alerts.Alert) []byte
	sensor string

	dropped, damaged, refused atomic.Uint64 // alerts

	value []byte // of the record under way
	line  []byte // likewise, as the spool keeps it
	stop  context.CancelFunc
	ended chan struct{}
}

// Names of what may fail between an alert and the broker.
const (
	spoolName = "spool"
	kafkaName = "kafka"
)

// checkLimit is how long the broker may take to answer at the start.
const checkLimit = 10 * time.Second

// openBroker opens the spool and looks whether the broker takes what it will be
// sent. One that does not answer may come later.
func openBroker(ctx context.Context, c *config.Config, log zerolog.Logger, failed *failures) (*broker, error) {
	k := &c.Kafka
	if len(k.Brokers) == 0 {
		return nil, nil
	}
	b := &broker{
		recipient: recipient{name: spoolName, log: log, failures: failed},
		sensor:    c.Sensor, encode: encoder(k.Format), ended: make(chan struct{}),
	}
	b.to = b
	o := sink.KafkaOptions{
		Brokers: k.Brokers, Topic: k.Topic, ClientID: "kmswatch",
		SASL: k.SASL, User: k.User, Create: k.Create, Partitions: k.Partitions, Replication: k.Replication,
		Refused: func(m *sink.Message, err error) {
			log.Error().Err(err).Str("key", string(m.Key)).Int("bytes", len(m.Value)).Msg("an alert is lost: the broker does not take it")
			b.refused.Add(1)
			failed.add(alerts.AlertRefused, kafkaName, 1, err)
		},
		Report: func(err error) {
			if err != nil {
				log.Error().Err(err).Msg("alerts wait in the spool")
			} else {
				log.Info().Msg("alerts are sent again")
			}
		},
	}
	var err error
	if o.TLS, err = clientTLS(k.TLS); err != nil {
		return nil, fmt.Errorf("kafka: tls: %w", err)
	}
	if k.PasswordFile != "" {
		b, err := os.ReadFile(k.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("kafka: sasl: %w", err)
		}
		o.Password = strings.TrimRight(string(b), "\r\n")
	}
	if b.kafka, err = sink.NewKafka(o); err != nil {
		return nil, err
	}
	check, done := context.WithTimeout(ctx, checkLimit)
	defer done()
	switch err := b.kafka.Check(check); {
	case errors.Is(err, sink.ErrNoAnswer), errors.Is(err, context.DeadlineExceeded):
		log.Warn().Err(err).Msg("alerts wait in the spool until the broker is there")
	case err != nil:
		return nil, err
	}
	b.spool, err = spool.Open(spool.Options{
		Dir: k.Spool, Levels: int(alerts.Critical), Max: k.SpoolSize,
		Report: b.inTrouble,
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// inTrouble tells what befell the spool.
func (b *broker) inTrouble(t spool.Trouble) {
	if t.What == spool.Writable {
		b.log.Info().Msg("the spool of alerts can be written again")
		return
	}
	b.log.Error().Stringer("what", t.What).Uint64("records", t.Records).Str("file", t.Path).AnErr("cause", t.Err).Msg("the spool of alerts is in trouble")
	switch t.What {
	case spool.Dropped:
		b.dropped.Add(t.Records)
		b.failures.add(alerts.SpoolFull, spoolName, t.Records, t.Err)
	case spool.Damaged:
		b.damaged.Add(t.Records)
		b.failures.add(alerts.SpoolDamaged, spoolName, t.Records, t.Err)
	case spool.Unwritable:
		b.failures.add(alerts.SpoolUnwritable, spoolName, 0, t.Err)
	}
}

func clientTLS(c *config.TLS) (*tls.Config, error) {
	if c == nil {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA == "" {
		// Now: once the rights are given up these files are out of reach.
		var err error
		if t.RootCAs, err = x509.SystemCertPool(); err != nil {
			return nil, err
		}
	} else {
		b, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("%s holds no certificate", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// start begins to send.
func (b *broker) start() {
	if b == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	go func() {
		defer close(b.ended)
		if err := b.kafka.Run(ctx, b.spool); !errors.Is(err, context.Canceled) {
			b.log.Error().Err(err).Msg("alerts are sent no more")
		}
	}()
}

// take gives an alert to the broker, if there is one.
func (b *broker) take(a *alerts.Alert) {
	if b != nil {
		b.recipient.take(a)
	}
}

// settle is likewise.
func (b *broker) settle(now time.Time) {
	if b != nil {
		b.recipient.settle(now)
	}
}

// Write keeps an alert until the broker has it.
func (b *broker) Write(a *alerts.Alert) error {
	if a.Stale {
		return nil
	}
	b.value = b.encode(b.value[:0], a)
	key := a.Server.Addr
	if !key.IsValid() {
		key = a.Client.Addr
	}
	m := sink.Message{Value: b.value, Headers: []sink.Header{
		{Name: "rule", Value: a.Rule.ID},
		{Name: "severity", Value: a.Severity.String()},
		{Name: "sensor", Value: b.sensor},
		{Name: "schema", Value: sink.SchemaVersion},
	}}
	if key.IsValid() {
		m.Key = []byte(key.Unmap().String())
	}
	b.line = m.Append(b.line[:0])
	level := min(max(int(a.Severity), 1), int(alerts.Critical)) - 1
	if _, err := b.spool.Append(level, b.line); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// counts tells what the broker does not have yet, and what it will never have;
// nil if there is none.
func (b *broker) counts() *metrics.Spool {
	if b == nil {
		return nil
	}
	return &metrics.Spool{Depth: b.spool.Depth(), Memory: b.lost, Dropped: b.dropped.Load(), Damaged: b.damaged.Load(), Refused: b.refused.Load()}
}

// lastWords is how long what is left may take to be written, or to arrive, when
// the sensor stops.
const lastWords = 5 * time.Second

// close sends what is left, for a while; what the broker does not take lies in
// the spool until the next start.
func (b *broker) close() {
	if b == nil {
		return
	}
	if b.stop != nil {
		for end := time.Now().Add(lastWords); b.spool.Depth().Records > 0 && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		b.stop()
		<-b.ended
	}
	if err := b.kafka.Close(); err != nil {
		b.log.Warn().Err(err).Msg("kafka")
	}
	left := b.spool.Depth().Records
	if err := b.spool.Close(); err != nil {
		b.log.Error().Err(err).Msg("the spool was not closed in order")
	}
	if left > 0 {
		b.log.Warn().Uint64("alerts", left).Msg("alerts lie in the spool for the next start")
	}
}

// ports are those that the brokers are reached at: what the configuration says,
// and what they say themselves, if they did.
func (b *broker) ports(c *config.Kafka) []uint16 {
	ports := slices.Clone(b.kafka.Ports())
	for _, b := range c.Brokers {
		_, port, _ := strings.Cut(b[strings.LastIndex(b, "]")+1:], ":")
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			ports = append(ports, uint16(n))
		}
	}
	return ports
}
