package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/alerts/flow"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/ocsf"
	"kmswatch/alerts/sink"
	"kmswatch/alerts/spool"
	"kmswatch/alerts/zone"
	"kmswatch/cmd/kmswatch/metrics"
	"kmswatch/decode"
)

// broker sends alerts to Kafka and, where that is asked for, flow records and the
// sensor's health, each to a topic of its own beside all else.
type broker struct {
	recipient // of alerts
	alerts    *delivery
	flows     *delivery // nil: none
	health    *delivery // likewise

	recorder *flow.Recorder // iff flows
	newest   *sink.Latest   // iff health
	every    time.Duration  // health is told
	told     time.Time      // last

	encode  func([]byte, *alerts.Alert) []byte
	records ocsf.Encoder
	sensor  string
	value   []byte // of the record under way
	line    []byte // likewise, as the spool keeps it
}

// delivery takes records to a topic. They are written to a spool, which does not
// wait for the disk, and go from there to the broker; those of which only the
// newest matters have none.
type delivery struct {
	what  string // plural
	log   zerolog.Logger
	spool *spool.Spool // nil: none
	from  outgoing
	kafka *sink.Kafka
	stop  context.CancelFunc
	ended chan struct{}

	memory                    uint64        // records for which none was left
	dropped, damaged, refused atomic.Uint64 // records
	failures                  *failures     // nil: they are of no alerts, and logged alone
}

// Names of what may fail between an alert and the broker.
const (
	spoolName = "spool"
	kafkaName = "kafka"
)

// outgoing is what is to be sent.
type outgoing interface {
	Next(context.Context) ([]spool.Record, error)
	Ack()
}

// checkLimit is how long the broker may take to answer at the start.
const checkLimit = 10 * time.Second

// openBroker opens the spools and looks whether the broker takes what it will be
// sent. One that does not answer may come later.
func openBroker(ctx context.Context, c *config.Config, hosts *inventory.Inventory, log zerolog.Logger, failed *failures) (_ *broker, err error) {
	k := &c.Kafka
	if len(k.Brokers) == 0 {
		return nil, nil
	}
	o, err := kafkaOptions(k)
	if err != nil {
		return nil, err
	}
	b := &broker{
		recipient: recipient{name: spoolName, log: log, failures: failed},
		sensor:    c.Sensor, encode: encoder(k.Format), records: ocsf.Encoder{Version: buildVersion()},
	}
	b.to = b
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	o.Topic = k.Topic
	if b.alerts, err = openDelivery(ctx, "alerts", o, spool.Options{Dir: k.Spool, Levels: int(alerts.Critical), Max: k.SpoolSize, Age: k.SpoolAge}, log, failed); err != nil {
		return nil, err
	}
	if t := &k.Flows; t.Name != "" {
		o.Topic, o.Partitions = t.Name, cmp.Or(t.Partitions, k.Partitions)
		if b.flows, err = openDelivery(ctx, "flow records", o, spool.Options{Dir: filepath.Join(k.Spool, "flows"), Max: t.SpoolSize, Age: k.SpoolAge}, log, nil); err != nil {
			return nil, err
		}
		b.recorder = flow.NewRecorder(flow.Options{Sensor: c.Sensor, Zones: c.Zones, Inventory: hosts, Out: b.record(log)})
	}
	if t := &k.Health; t.Name != "" {
		o.Topic, o.Partitions = t.Name, cmp.Or(t.Partitions, k.Partitions)
		if b.health, err = openDelivery(ctx, "records of health", o, spool.Options{}, log, nil); err != nil {
			return nil, err
		}
		b.newest = sink.NewLatest()
		b.health.from, b.every = b.newest, cmp.Or(k.HealthEvery, config.DefaultHealthEvery)
	}
	return b, nil
}

// kafkaOptions is what a configuration says of brokers, without a topic.
func kafkaOptions(k *config.Kafka) (sink.KafkaOptions, error) {
	o := sink.KafkaOptions{
		Brokers: k.Brokers, ClientID: "kmswatch",
		SASL: k.SASL, User: k.User, Create: k.Create, Partitions: k.Partitions, Replication: k.Replication,
	}
	var err error
	if o.TLS, err = clientTLS(k.TLS); err != nil {
		return o, fmt.Errorf("kafka: tls: %w", err)
	}
	if k.PasswordFile != "" {
		b, err := os.ReadFile(k.PasswordFile)
		if err != nil {
			return o, fmt.Errorf("kafka: sasl: %w", err)
		}
		o.Password = strings.TrimRight(string(b), "\r\n")
	}
	return o, nil
}

// openDelivery opens the way to a topic, with a spool; without one, if that has no
// folder.
func openDelivery(ctx context.Context, what string, o sink.KafkaOptions, so spool.Options, log zerolog.Logger, failed *failures) (*delivery, error) {
	log = log.With().Str("topic", o.Topic).Logger()
	d := &delivery{what: what, log: log, ended: make(chan struct{}), failures: failed}
	o.Refused = func(m *sink.Message, err error) {
		log.Error().Err(err).Str("key", string(m.Key)).Int("bytes", len(m.Value)).Msg("a record is lost: the broker does not take it")
		d.refused.Add(1)
		d.fail(alerts.AlertRefused, kafkaName, 1, err)
	}
	o.Report = func(err error) {
		if err != nil {
			log.Error().Err(err).Msg(what + " wait for the broker")
		} else {
			log.Info().Msg(what + " are sent again")
		}
	}
	var err error
	if d.kafka, err = sink.NewKafka(o); err != nil {
		return nil, err
	}
	check, done := context.WithTimeout(ctx, checkLimit)
	defer done()
	switch err := d.kafka.Check(check); {
	case errors.Is(err, sink.ErrNoAnswer), errors.Is(err, context.DeadlineExceeded):
		log.Warn().Err(err).Msg(what + " wait until the broker is there")
	case err != nil:
		return nil, err
	}
	if so.Dir == "" {
		return d, nil
	}
	so.Report = d.inTrouble
	if d.spool, err = spool.Open(so); err != nil {
		return nil, err
	}
	d.from = d.spool
	return d, nil
}

// inTrouble tells what befell the spool.
func (d *delivery) inTrouble(t spool.Trouble) {
	if t.What == spool.Writable {
		d.log.Info().Msg("the spool of " + d.what + " can be written again")
		return
	}
	d.log.Error().Stringer("what", t.What).Uint64("records", t.Records).Str("file", t.Path).AnErr("cause", t.Err).Msg("the spool of " + d.what + " is in trouble")
	switch t.What {
	case spool.Dropped:
		d.dropped.Add(t.Records)
		d.fail(alerts.SpoolFull, spoolName, t.Records, t.Err)
	case spool.Damaged:
		d.damaged.Add(t.Records)
		d.fail(alerts.SpoolDamaged, spoolName, t.Records, t.Err)
	case spool.Unwritable:
		d.fail(alerts.SpoolUnwritable, spoolName, 0, t.Err)
	}
}

// fail has an alert tell what failed.
func (d *delivery) fail(what alerts.Failed, where string, lost uint64, err error) {
	if d.failures != nil {
		d.failures.add(what, where, lost, err)
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

// each gives the ways to topics that there are.
func (b *broker) each() (all []*delivery) {
	if b == nil {
		return nil
	}
	for _, d := range []*delivery{b.alerts, b.flows, b.health} {
		if d != nil {
			all = append(all, d)
		}
	}
	return all
}

// start begins to send.
func (b *broker) start() {
	for _, d := range b.each() {
		ctx, stop := context.WithCancel(context.Background())
		d.stop = stop
		go func() {
			defer close(d.ended)
			if err := d.kafka.Run(ctx, d.from); !errors.Is(err, context.Canceled) {
				d.log.Error().Err(err).Msg(d.what + " are sent no more")
			}
		}()
	}
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
	level := min(max(int(a.Severity), 1), int(alerts.Critical)) - 1
	return b.keep(b.alerts, level, a.Key(), sink.Header{Name: "rule", Value: a.Rule.ID}, sink.Header{Name: "severity", Value: a.Severity.String()})
}

// record gives what keeps a flow record until the broker has it. What does not
// fit is counted by the spool, and told as slowly as other trouble.
func (b *broker) record(log zerolog.Logger) func(*flow.Record) {
	var lost int
	var told time.Time
	return func(r *flow.Record) {
		b.value = b.records.AppendRecord(b.value[:0], r)
		err := b.keep(b.flows, 0, r.Client.Addr, sink.Header{Name: "kind", Value: r.Kind.String()})
		if err == nil {
			return
		}
		b.flows.memory++
		lost++
		if now := time.Now(); now.Sub(told) >= complainEvery {
			log.Error().Err(err).Int("records", lost).Msg("flow records were not kept")
			told, lost = now, 0
		}
	}
}

// keep has the value under way sent.
func (b *broker) keep(d *delivery, level int, key netip.Addr, headers ...sink.Header) error {
	m := sink.Message{Value: b.value, Headers: append(headers,
		sink.Header{Name: "sensor", Value: b.sensor}, sink.Header{Name: "schema", Value: sink.SchemaVersion})}
	if key.IsValid() {
		m.Key = []byte(key.Unmap().String())
	}
	b.line = m.Append(b.line[:0])
	if _, err := d.spool.Append(level, b.line); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// Handle has an event recorded.
func (b *broker) Handle(e decode.Event) {
	if b != nil && b.recorder != nil {
		b.recorder.Handle(e)
	}
}

// setZones has records name the zones of a configuration that was read anew.
func (b *broker) setZones(z *zone.Table) {
	if b != nil && b.recorder != nil {
		b.recorder.SetZones(z)
	}
}

// healthDue tells whether the health is due.
func (b *broker) healthDue(now time.Time) bool {
	return b != nil && b.health != nil && now.Sub(b.told) >= b.every
}

// tellHealth sends how the sensor is.
func (b *broker) tellHealth(now time.Time, h *health) {
	b.told = now
	b.newest.Put(&sink.Message{Key: []byte(b.sensor), Value: h.json(), Headers: []sink.Header{
		{Name: "sensor", Value: b.sensor}, {Name: "schema", Value: sink.SchemaVersion},
	}})
}

// counts tells of each spool what the broker does not have yet, and what it will
// never have.
func (b *broker) counts() (all []metrics.Spool) {
	for _, d := range b.each() {
		if d.spool == nil {
			continue
		}
		c := metrics.Spool{Of: d.what, Depth: d.spool.Depth(), Memory: d.memory, Dropped: d.dropped.Load(), Damaged: d.damaged.Load(), Refused: d.refused.Load()}
		if d == b.alerts {
			c.Memory = b.lost
		}
		all = append(all, c)
	}
	return all
}

// lastWords is how long what is left may take to be written, or to arrive, when
// the sensor stops.
const lastWords = 5 * time.Second

// close sends what is left, for a while; what the broker does not take lies in
// the spools until the next start.
func (b *broker) close() {
	if b == nil {
		return
	}
	if b.recorder != nil {
		b.recorder.Close()
	}
	end := time.Now().Add(lastWords)
	for _, d := range b.each() {
		d.close(end)
	}
}

// waits tells whether there is something that the broker does not have yet.
func (d *delivery) waits() bool {
	if latest, ok := d.from.(*sink.Latest); ok {
		return latest.Waiting()
	}
	return d.spool.Depth().Records > 0
}

func (d *delivery) close(end time.Time) {
	if d.stop != nil {
		for d.waits() && time.Now().Before(end) {
			time.Sleep(10 * time.Millisecond)
		}
		d.stop()
		<-d.ended
	}
	if err := d.kafka.Close(); err != nil {
		d.log.Warn().Err(err).Msg("kafka")
	}
	if d.spool == nil {
		return
	}
	left := d.spool.Depth().Records
	if err := d.spool.Close(); err != nil {
		d.log.Error().Err(err).Msg("the spool was not closed in order")
	}
	if left > 0 {
		d.log.Warn().Uint64("records", left).Msg(d.what + " lie in the spool for the next start")
	}
}

// ports are those that the brokers are reached at: what the configuration says,
// and what they say themselves, if they did.
func (b *broker) ports(c *config.Kafka) []uint16 {
	ports := slices.Clone(b.alerts.kafka.Ports())
	for _, b := range c.Brokers {
		_, port, _ := strings.Cut(b[strings.LastIndex(b, "]")+1:], ":")
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			ports = append(ports, uint16(n))
		}
	}
	return ports
}
