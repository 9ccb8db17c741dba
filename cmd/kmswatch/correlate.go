package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/alerts/fleet"
	"kmswatch/alerts/flow"
	"kmswatch/alerts/ocsf"
	"kmswatch/alerts/sink"
	"kmswatch/cmd/kmswatch/metrics"
)

func newCorrelate(t terminal) *cobra.Command {
	var path, listen string
	c := &cobra.Command{
		Use:   "correlate --config FILE",
		Short: "Join the flow records of many sensors",
		Long: `Read the flow records of all sensors from Kafka and raise the alerts that no sensor
can decide alone: a client that looks for KMS at one site and activates at another,
anonymous binds at hosts of which no sensor sees all, a KMS host that is a domain
controller somewhere else. The alerts go to the topic of alerts.

It is a member of a consumer group: started several times, the members share the
partitions, and when one ends, however it ends, the others take over. What it
remembers lies in two compacted topics, which it makes if the configuration says
create: true. Logs go to standard error. SIGTERM and SIGINT stop it.`,
		Example: "  kmswatch correlate --config /etc/kmswatch/correlate.yaml --metrics 9619",
		Args:    atMost(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				return usageError{errors.New("--config names no file; try: kmswatch correlate --config FILE")}
			}
			conf, err := loadConfig(path)
			if err != nil {
				return tellConfig(t, err)
			}
			return correlate(c.Context(), t, conf, listen)
		},
	}
	flags := c.Flags()
	flags.StringVarP(&path, "config", "c", "", "kafka, correlate and rules, a YAML `file`")
	flags.StringVar(&listen, "metrics", "", "serve metrics for Prometheus at an `address` and port; a port alone is that of 127.0.0.1")
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	return c
}

// correlator joins flow records, a partition at a time.
type correlator struct {
	log     zerolog.Logger
	fleet   fleet.Config
	group   *sink.Group
	encode  ocsf.Encoder
	metrics *metrics.Fleet

	flows, state, roles, alerts string // topics
	roleParts, alertParts       int    // of the topics

	mu    sync.Mutex
	told  time.Time // when what cannot be read was logged last
	wrong int       // since
}

func correlate(ctx context.Context, t terminal, conf *config.Config, listen string) error {
	k, own := &conf.Kafka, &conf.Correlate
	if len(k.Brokers) == 0 || k.Flows.Name == "" {
		return errors.New("the configuration names no topic of flow records: add it to the section kafka, as flows: {topic: kmswatch-flows}")
	}
	c := &correlator{
		log: newLogger(t.err, time.Now), encode: ocsf.Encoder{Version: buildVersion()}, metrics: metrics.NewFleet(buildVersion()),
		fleet: fleet.Config{Name: cmp.Or(own.Name, "correlate"), Settings: conf.Rules},
		flows: k.Flows.Name, alerts: k.Topic,
		state: cmp.Or(own.State, k.Flows.Name+"-state"), roles: cmp.Or(own.Roles, k.Flows.Name+"-roles"),
	}
	if _, err := fleet.New(c.fleet); err != nil {
		return err
	}
	o, err := kafkaOptions(k)
	if err != nil {
		return err
	}
	o.ClientID = "kmswatch-correlate"
	id := cmp.Or(own.Group, "kmswatch-correlate")
	c.group, err = sink.NewGroup(sink.GroupOptions{Kafka: o, ID: id, Topics: []string{c.flows, c.roles}, Report: func(err error) {
		c.metrics.Rejoined()
		c.log.Error().Err(err).Msg("the group is joined anew")
	}})
	if err != nil {
		return err
	}
	if err := c.topics(ctx, k); err != nil {
		return err
	}
	if listen != "" {
		at, err := config.ParseMetrics(listen)
		if err != nil {
			return usageError{fmt.Errorf("--metrics: %w; want 127.0.0.1:9619, or the port alone", err)}
		}
		stop, err := serve(at, c.metrics.Handler())
		if err != nil {
			return err
		}
		defer stop()
	}
	c.log.Info().Str("version", buildVersion()).Str("group", id).Str("flows", c.flows).Str("alerts", c.alerts).Msg("correlating")
	err = c.group.Run(ctx, c.work)
	if ctx.Err() != nil {
		c.log.Info().Msg("stopped")
		return nil
	}
	return err
}

// topics looks whether the topics are there, and as they must be. It waits for a
// broker that does not answer.
func (c *correlator) topics(ctx context.Context, k *config.Kafka) error {
	for {
		err := c.look(ctx, k)
		if !errors.Is(err, sink.ErrNoAnswer) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		c.log.Warn().Err(err).Msg("the broker is waited for")
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}

func (c *correlator) look(ctx context.Context, k *config.Kafka) error {
	ctx, done := context.WithTimeout(ctx, checkLimit)
	defer done()
	topic := func(name string, partitions int, compacted bool) (int, error) {
		return c.group.Topic(ctx, sink.TopicOptions{Name: name, Partitions: partitions, Compacted: compacted})
	}
	var err error
	if c.alertParts, err = topic(c.alerts, 0, false); err != nil {
		return err
	}
	n, err := topic(c.flows, 0, false)
	if err != nil {
		return err
	}
	if _, err = topic(c.state, n, true); err != nil {
		return err
	}
	c.roleParts, err = topic(c.roles, n, true)
	return err
}

// waits is how long a read waits for the first record.
const waits = 500 * time.Millisecond

// work does that of a partition until it goes elsewhere.
func (c *correlator) work(ctx context.Context, p *sink.Partition) error {
	c.metrics.Own(p.Topic, p.Number, true)
	defer c.metrics.Own(p.Topic, p.Number, false)
	c.log.Info().Str("topic", p.Topic).Int("partition", p.Number).Int64("from", p.Next).Msg("a partition is taken over")
	var raised []sink.Message
	conf := c.fleet
	conf.Out = func(a *alerts.Alert) {
		c.metrics.Alert(a.Rule.ID)
		raised = append(raised, c.message(a))
	}
	f, err := fleet.New(conf)
	if err != nil {
		return err
	}
	var mind remembered = &clients{correlator: c, state: fleet.NewClients(f, 0)}
	if p.Topic == c.roles {
		mind = &servers{correlator: c, hosts: fleet.NewHosts(f, 0)}
	}
	if err := mind.load(ctx, p); err != nil {
		return err
	}
	raised = nil
	next := p.Next
	for ctx.Err() == nil {
		records, behind, end, err := p.Read(ctx, next, waits)
		if err != nil {
			return err
		}
		c.metrics.Lag(p.Topic, p.Number, max(end-behind, 0))
		if len(records) == 0 {
			next = behind
			continue
		}
		for i := range records {
			if err := mind.take(&records[i]); err != nil {
				c.skip(p, records[i].Offset, err)
			}
		}
		c.metrics.Records(p.Topic, len(records))
		if err := c.send(ctx, c.alerts, c.alertParts, raised); err != nil {
			return err
		}
		raised = raised[:0]
		if err := mind.keep(ctx, p); err != nil {
			return err
		}
		if err := p.Commit(behind); err != nil {
			return err
		}
		next = behind
	}
	return ctx.Err()
}

// remembered is what is remembered of a partition.
type remembered interface {
	load(context.Context, *sink.Partition) error
	take(*sink.Record) error
	keep(context.Context, *sink.Partition) error // once the alerts have arrived
}

// clients is a partition of flow records. Its state is in the partition of that
// number of the topic of state.
type clients struct {
	*correlator
	state *fleet.Clients
	facts []sink.Message
}

func (c *clients) load(ctx context.Context, p *sink.Partition) error {
	_, _, end, err := p.Read(ctx, p.Next, 0)
	if err != nil {
		return err
	}
	return c.group.Load(ctx, c.correlator.state, p.Number, func(r sink.Record) error {
		if err := c.state.Load(fleet.Entry{Key: r.Key, Value: r.Value}, end); err != nil {
			c.skip(&sink.Partition{Topic: c.correlator.state, Number: p.Number}, r.Offset, err)
		}
		return nil
	})
}

func (c *clients) take(r *sink.Record) error {
	var x flow.Record
	if err := ocsf.ParseRecord(r.Value, &x); err != nil {
		return err
	}
	for _, f := range c.state.Handle(r.Offset, &x) {
		c.facts = append(c.facts, sink.Message{Key: f.Key(), Value: f.Append(nil), Headers: c.headers()})
	}
	return nil
}

func (c *clients) keep(ctx context.Context, p *sink.Partition) error {
	// A server's facts go to one partition, whatever else their keys say.
	by := make(map[int][]sink.Message)
	for _, m := range c.facts {
		server, _, _ := bytes.Cut(m.Key, []byte("|"))
		n := sink.PartitionOf(server, c.roleParts)
		by[n] = append(by[n], m)
	}
	c.facts = nil
	for n, messages := range by {
		if err := c.group.Send(ctx, c.roles, n, messages); err != nil {
			return err
		}
	}
	// Who has lost the partition is told so before it writes over what the member
	// that has it now remembers.
	if err := p.Commit(p.Next); err != nil {
		return err
	}
	var state []sink.Message
	for _, e := range c.state.Changed() {
		state = append(state, sink.Message{Key: e.Key, Value: e.Value})
	}
	return c.group.Send(ctx, c.correlator.state, p.Number, state)
}

// servers is a partition of facts, which is itself what is remembered of it.
type servers struct {
	*correlator
	hosts *fleet.Hosts
}

func (s *servers) load(ctx context.Context, p *sink.Partition) error {
	return s.group.Load(ctx, p.Topic, p.Number, func(r sink.Record) error {
		var f fleet.Fact
		if r.Offset >= p.Next || r.Value == nil || fleet.ParseFact(r.Value, &f) != nil {
			return nil // it comes, or was told of
		}
		s.hosts.Handle(&f, true)
		return nil
	})
}

func (s *servers) take(r *sink.Record) error {
	if r.Value == nil {
		return nil
	}
	var f fleet.Fact
	if err := fleet.ParseFact(r.Value, &f); err != nil {
		return err
	}
	s.hosts.Handle(&f, false)
	return nil
}

func (s *servers) keep(context.Context, *sink.Partition) error { return nil }

// message is an alert as a sensor would send it.
func (c *correlator) message(a *alerts.Alert) sink.Message {
	c.log.Info().Str("rule", a.Rule.ID).Str("id", a.ID).Stringer("severity", a.Severity).Msg(a.Summary)
	m := sink.Message{Value: c.encode.AppendJSON(nil, a), Headers: append([]sink.Header{
		{Name: "rule", Value: a.Rule.ID}, {Name: "severity", Value: a.Severity.String()},
	}, c.headers()...)}
	if key := a.Key(); key.IsValid() {
		m.Key = []byte(key.String())
	}
	return m
}

func (c *correlator) headers() []sink.Header {
	return []sink.Header{{Name: "sensor", Value: c.fleet.Name}, {Name: "schema", Value: sink.SchemaVersion}}
}

// send sends messages to the partitions of their keys.
func (c *correlator) send(ctx context.Context, topic string, partitions int, messages []sink.Message) error {
	by := make(map[int][]sink.Message)
	for _, m := range messages {
		n := sink.PartitionOf(m.Key, partitions)
		by[n] = append(by[n], m)
	}
	for n, some := range by {
		if err := c.group.Send(ctx, topic, n, some); err != nil {
			return err
		}
	}
	return nil
}

// skip passes a record over that cannot be read.
func (c *correlator) skip(p *sink.Partition, offset int64, err error) {
	c.metrics.Skipped()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong++
	if now := time.Now(); now.Sub(c.told) >= complainEvery {
		c.log.Warn().Err(err).Str("topic", p.Topic).Int("partition", p.Number).Int64("offset", offset).Int("records", c.wrong).Msg("what cannot be read is passed over")
		c.told, c.wrong = now, 0
	}
}
