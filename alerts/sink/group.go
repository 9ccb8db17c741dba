package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/sasl"
)

// GroupOptions says which topics a member of a consumer group reads.
type GroupOptions struct {
	Kafka   KafkaOptions // Brokers, TLS and SASL; Topic is of no meaning
	ID      string       // of the group
	Topics  []string
	Session time.Duration // without a sign of life after which a member's work goes to others; 0 is 10 s
	Report  func(error)   // is told what goes wrong and is tried again; nil is nobody
}

// Group is a member of a consumer group: Kafka itself gives each partition to one
// member at a time, and to another when that one ends, in order or not.
type Group struct {
	o         GroupOptions
	client    *kafka.Client
	mechanism sasl.Mechanism
}

const (
	defaultSession = 10 * time.Second
	// rejoinPause is how long a member waits after something went wrong.
	rejoinPause = time.Second
	fetchBytes  = 1 << 20
	// maxIdle is how often a partition gives nothing before what is left of it is
	// nothing.
	maxIdle = 20
	// sendBytes is how much goes into one request, below what a broker takes.
	sendBytes = 512 << 10
)

// NewGroup makes one; it does not connect.
func NewGroup(o GroupOptions) (*Group, error) {
	if o.Session <= 0 {
		o.Session = defaultSession
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	m, err := mechanism(&o.Kafka)
	if err != nil {
		return nil, err
	}
	transport := &kafka.Transport{ClientID: o.Kafka.ClientID, TLS: o.Kafka.TLS, SASL: m, MetadataTTL: 3 * time.Second, DialTimeout: writeTimeout}
	return &Group{
		o: o, mechanism: m,
		client: &kafka.Client{Addr: kafka.TCP(o.Kafka.Brokers...), Transport: transport, Timeout: writeTimeout},
	}, nil
}

// Partition is one that this member has, until the context of its work ends.
type Partition struct {
	Topic  string
	Number int
	Next   int64 // offset of the first record that was not committed; 0 where nothing was

	group *Group
	of    *kafka.Generation
}

// Run takes part in the group until ctx ends. For each partition that it is given
// it calls work, from a goroutine of its own, whose context ends when the
// partition goes elsewhere; work returns soon then. Whatever else work returns
// for is reported, and the group is joined anew: work begins again from what was
// committed.
func (g *Group) Run(ctx context.Context, work func(context.Context, *Partition) error) error {
	cg, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: g.o.ID, Brokers: g.o.Kafka.Brokers, Topics: g.o.Topics,
		Dialer:            &kafka.Dialer{ClientID: g.o.Kafka.ClientID, Timeout: writeTimeout, TLS: g.o.Kafka.TLS, SASLMechanism: g.mechanism},
		HeartbeatInterval: g.o.Session / 5, SessionTimeout: g.o.Session, RebalanceTimeout: g.o.Session,
		JoinGroupBackoff: rejoinPause, StartOffset: kafka.FirstOffset, WatchPartitionChanges: true,
	})
	if err != nil {
		return fmt.Errorf("kafka group %s: %w", g.o.ID, err)
	}
	defer cg.Close()
	for {
		gen, err := cg.Next(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			g.o.Report(g.explain(err))
			if !sleep(ctx, rejoinPause) {
				return ctx.Err()
			}
			continue
		}
		for topic, partitions := range gen.Assignments {
			for _, a := range partitions {
				p := &Partition{Topic: topic, Number: a.ID, Next: max(a.Offset, 0), group: g, of: gen}
				gen.Start(func(over context.Context) {
					over, cancel := context.WithCancel(over)
					defer cancel()
					defer context.AfterFunc(ctx, cancel)()
					err := work(over, p)
					if over.Err() != nil {
						return
					}
					if err != nil {
						g.o.Report(g.explain(err))
					}
					sleep(over, rejoinPause)
				})
			}
		}
	}
}

func (g *Group) explain(err error) error {
	k := Kafka{o: g.o.Kafka}
	k.o.Topic = fmt.Sprint(g.o.Topics)
	return k.explain(err)
}

// Record is one that was read.
type Record struct {
	Offset     int64
	Key, Value []byte // the value is nil where a compacted topic says that the key is over
	Headers    []Header
}

// Read reads the records from an offset on that there are, waiting a while for the
// first. End is the offset behind the last that there is, and next that behind the
// last that was read. Records are the caller's.
func (p *Partition) Read(ctx context.Context, from int64, wait time.Duration) (records []Record, next, end int64, err error) {
	return p.group.read(ctx, p.Topic, p.Number, from, wait)
}

// Load reads a partition of a topic from its beginning to the end that it has at
// this moment.
func (g *Group) Load(ctx context.Context, topic string, partition int, each func(Record) error) error {
	idle := 0
	for from := int64(kafka.FirstOffset); ; {
		records, next, end, err := g.read(ctx, topic, partition, from, 100*time.Millisecond)
		if err != nil {
			return err
		}
		if idle++; len(records) > 0 {
			idle = 0
		}
		for _, r := range records {
			if err := each(r); err != nil {
				return err
			}
		}
		// Of the last offsets compaction may have left none.
		if from = next; from >= end || idle == maxIdle {
			return nil
		}
	}
}

func (g *Group) read(ctx context.Context, topic string, partition int, from int64, wait time.Duration) ([]Record, int64, int64, error) {
	r, err := g.client.Fetch(ctx, &kafka.FetchRequest{
		Topic: topic, Partition: partition, Offset: from, MinBytes: 1, MaxBytes: fetchBytes, MaxWait: wait,
	})
	if err == nil {
		err = r.Error
	}
	if errors.Is(err, kafka.OffsetOutOfRange) && from >= 0 {
		// What was to come next was deleted for its age: go on with what is left.
		return g.read(ctx, topic, partition, kafka.FirstOffset, wait)
	}
	if err != nil {
		return nil, from, 0, fmt.Errorf("read %s/%d: %w", topic, partition, err)
	}
	var records []Record
	next := max(from, r.LogStartOffset)
	for {
		m, err := r.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return records, next, r.HighWatermark, nil
		}
		if err != nil {
			return records, next, 0, fmt.Errorf("read %s/%d: %w", topic, partition, err)
		}
		key, err := kafka.ReadAll(m.Key)
		if err != nil {
			return nil, from, 0, err
		}
		value, err := kafka.ReadAll(m.Value)
		if err != nil {
			return nil, from, 0, err
		}
		if m.Offset < from {
			continue // a batch may begin before
		}
		next = m.Offset + 1
		one := Record{Offset: m.Offset, Key: key, Value: value}
		for _, h := range m.Headers {
			one.Headers = append(one.Headers, Header{h.Key, string(h.Value)})
		}
		records = append(records, one)
	}
}

// Commit has the group know that all records before next are done with. It fails
// if the partition has gone to another member.
func (p *Partition) Commit(next int64) error {
	err := p.of.CommitOffsets(map[string]map[int]int64{p.Topic: {p.Number: next}})
	if err != nil {
		return fmt.Errorf("commit %s/%d: %w", p.Topic, p.Number, err)
	}
	p.Next = next
	return nil
}

// Send sends messages to one partition of a topic, and returns when all replicas
// have them.
func (g *Group) Send(ctx context.Context, topic string, partition int, messages []Message) error {
	for len(messages) > 0 {
		n, size := 0, 0
		for n < len(messages) && (n == 0 || size+len(messages[n].Value) <= sendBytes) {
			size += len(messages[n].Value)
			n++
		}
		if err := g.send(ctx, topic, partition, messages[:n]); err != nil {
			return fmt.Errorf("send to %s/%d: %w", topic, partition, err)
		}
		messages = messages[n:]
	}
	return nil
}

func (g *Group) send(ctx context.Context, topic string, partition int, messages []Message) error {
	records := make([]kafka.Record, len(messages))
	for i := range messages {
		m := &messages[i]
		records[i].Key = kafka.NewBytes(m.Key)
		if m.Value != nil {
			records[i].Value = kafka.NewBytes(m.Value)
		}
		for _, h := range m.Headers {
			records[i].Headers = append(records[i].Headers, kafka.Header{Key: h.Name, Value: []byte(h.Value)})
		}
	}
	r, err := g.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll, Compression: compress.Zstd, Records: kafka.NewRecordReader(records...),
	})
	if err != nil {
		return err
	}
	return r.Error
}

// PartitionOf gives the partition, of so many, that records of a key go to: that
// of Kafka's own clients.
func PartitionOf(key []byte, partitions int) int {
	all := make([]int, partitions)
	for i := range all {
		all[i] = i
	}
	return kafka.Murmur2Balancer{}.Balance(kafka.Message{Key: key}, all...)
}

// TopicOptions is what a topic must be.
type TopicOptions struct {
	Name       string
	Partitions int  // how many it must have, or is made with; 0 is any, and one
	Compacted  bool // it keeps the last record of each key
}

// compactedFor is how long a topic that is made keeps every record, so that one
// which was written late takes the place of no other unseen.
const compactedFor = time.Hour

// Topic looks whether a topic is there and is as it must be, or makes it if that
// was asked for. It gives the number of its partitions.
func (g *Group) Topic(ctx context.Context, want TopicOptions) (partitions int, err error) {
	o := g.o.Kafka
	o.Topic, o.Partitions = want.Name, want.Partitions
	k := Kafka{o: o, client: g.client}
	if want.Compacted {
		k.config = []kafka.ConfigEntry{
			{ConfigName: "cleanup.policy", ConfigValue: "compact"},
			{ConfigName: "min.compaction.lag.ms", ConfigValue: fmt.Sprint(compactedFor.Milliseconds())},
		}
	}
	if err := k.Check(ctx); err != nil {
		return 0, err
	}
	m, err := g.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{want.Name}})
	if err != nil {
		return 0, k.explain(err)
	}
	for i := range m.Topics {
		if m.Topics[i].Name == want.Name {
			partitions = len(m.Topics[i].Partitions)
		}
	}
	if want.Partitions > 0 && partitions != want.Partitions {
		return 0, fmt.Errorf("kafka topic %s has %d partitions: it must have %d", want.Name, partitions, want.Partitions)
	}
	if want.Compacted {
		return partitions, g.compacted(ctx, want.Name)
	}
	return partitions, nil
}

// compacted looks whether a topic is compacted.
func (g *Group) compacted(ctx context.Context, topic string) error {
	const policy = "cleanup.policy"
	r, err := g.client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{policy}},
	}})
	if err != nil {
		return fmt.Errorf("kafka topic %s: look at its configuration: %w", topic, err)
	}
	for _, x := range r.Resources {
		if x.Error != nil {
			return fmt.Errorf("kafka topic %s: look at its configuration: %w", topic, x.Error)
		}
		for _, e := range x.ConfigEntries {
			if e.ConfigName == policy && e.ConfigValue != "compact" {
				return fmt.Errorf("kafka topic %s has cleanup.policy=%s: it must be compact, or what is remembered is lost", topic, e.ConfigValue)
			}
		}
	}
	return nil
}

// Ports gives the TCP ports that brokers say they have.
func (g *Group) Ports(ctx context.Context) (ports []uint16) {
	m, err := g.client.Metadata(ctx, &kafka.MetadataRequest{Topics: g.o.Topics})
	if err != nil {
		return nil
	}
	for _, b := range m.Brokers {
		ports = append(ports, uint16(b.Port))
	}
	return ports
}
