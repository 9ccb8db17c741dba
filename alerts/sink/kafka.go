package sink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"kmswatch/alerts/spool"
)

// KafkaOptions says where records go. Brokers and Topic are needed.
type KafkaOptions struct {
	Brokers  []string // host:port
	Topic    string
	ClientID string

	TLS      *tls.Config // nil: in clear
	SASL     string      // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty: none
	User     string
	Password string

	// Create makes the topic if it is not there, with so many partitions, each
	// on so many brokers.
	Create      bool
	Partitions  int
	Replication int

	// Refused is given what the broker will never take, and why. Nil loses it.
	Refused func(*Message, error)
	// Report is told when sending fails, of each error that is another than the
	// one before, and with nil when it goes on. Nil is nobody.
	Report func(error)
}

// Kafka sends records to a topic, each acknowledged by all replicas in sync.
type Kafka struct {
	o      KafkaOptions
	client *kafka.Client
	writer writer
	failed string // what was reported
	ports  []uint16
	config []kafka.ConfigEntry // of a topic that is made
}

// writer is what Kafka needs of kafka.Writer.
type writer interface {
	WriteMessages(context.Context, ...kafka.Message) error
	Close() error
}

// Bounds of sending.
const (
	// largestBatch is beyond what a spool gives at once, so that the records of
	// a partition go in one request: they fail or arrive together, and those of
	// a key cannot overtake each other.
	largestBatch = 32 << 20
	writeTimeout = 10 * time.Second
	closeTimeout = 5 * time.Second
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// NewKafka makes one; it does not connect.
func NewKafka(o KafkaOptions) (*Kafka, error) {
	mechanism, err := mechanism(&o)
	if err != nil {
		return nil, err
	}
	transport := &kafka.Transport{
		ClientID:    o.ClientID,
		TLS:         o.TLS,
		SASL:        mechanism,
		MetadataTTL: 3 * time.Second, // how long a leader that has gone is asked
		DialTimeout: writeTimeout,
	}
	address := kafka.TCP(o.Brokers...)
	return &Kafka{
		o:      o,
		client: &kafka.Client{Addr: address, Transport: transport, Timeout: writeTimeout},
		writer: &kafka.Writer{
			Addr:         address,
			Topic:        o.Topic,
			Balancer:     kafka.Murmur2Balancer{}, // that of Kafka's own clients
			RequiredAcks: kafka.RequireAll,
			MaxAttempts:  3,
			BatchSize:    spool.MaxBatch, // which the writer makes room for each time
			BatchBytes:   largestBatch,
			BatchTimeout: time.Nanosecond, // a call is a batch: it holds a lock until all of it is in
			WriteTimeout: writeTimeout,
			Compression:  compress.Zstd,
			Transport:    transport,
		},
	}, nil
}

func mechanism(o *KafkaOptions) (sasl.Mechanism, error) {
	switch o.SASL {
	case "":
		return nil, nil
	case "PLAIN":
		return plain.Mechanism{Username: o.User, Password: o.Password}, nil
	case "SCRAM-SHA-256":
		return scram.Mechanism(scram.SHA256, o.User, o.Password)
	case "SCRAM-SHA-512":
		return scram.Mechanism(scram.SHA512, o.User, o.Password)
	}
	return nil, fmt.Errorf("SASL mechanism %q: want PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", o.SASL)
}

// Check connects and tells what stands in the way: of the broker, of the
// credentials, of the topic. It makes the topic, if that was asked for.
func (k *Kafka) Check(ctx context.Context) error {
	err := k.topic(ctx)
	if k.o.Create && errors.Is(err, kafka.UnknownTopicOrPartition) {
		var r *kafka.CreateTopicsResponse
		r, err = k.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
			Topic:             k.o.Topic,
			NumPartitions:     max(k.o.Partitions, 1),
			ReplicationFactor: max(k.o.Replication, 1),
			ConfigEntries:     k.config,
		}}})
		if err == nil {
			err = r.Errors[k.o.Topic]
		}
		if err == nil || errors.Is(err, kafka.TopicAlreadyExists) {
			err = k.topic(ctx)
		}
		// It may not be known to all yet.
		for errors.Is(err, kafka.UnknownTopicOrPartition) && sleep(ctx, firstPause) {
			if e := k.topic(ctx); ctx.Err() == nil {
				err = e
			}
		}
	}
	if err != nil {
		return k.explain(err)
	}
	return nil
}

// Ports gives the TCP ports that brokers say they have, as Check was told.
func (k *Kafka) Ports() []uint16 { return k.ports }

// topic asks a broker for the topic.
func (k *Kafka) topic(ctx context.Context) error {
	m, err := k.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{k.o.Topic}})
	if err != nil {
		return err
	}
	k.ports = k.ports[:0]
	for _, b := range m.Brokers {
		k.ports = append(k.ports, uint16(b.Port))
	}
	for i := range m.Topics {
		if m.Topics[i].Name == k.o.Topic {
			return m.Topics[i].Error
		}
	}
	return kafka.UnknownTopicOrPartition
}

// ErrNoAnswer is what errors of Check wrap when no broker was reached, or none
// that is ready: that may be over later.
var ErrNoAnswer = errors.New("no broker answers")

// passes tells an error that may be over later without anybody's doing.
func passes(err error) bool {
	var of kafka.Error
	if errors.As(err, &of) {
		return of.Temporary() && !errors.Is(err, kafka.UnknownTopicOrPartition)
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// explain says in one line what an error means and what to do.
func (k *Kafka) explain(err error) error {
	hint := ""
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var expired x509.CertificateInvalidError
	var header tls.RecordHeaderError
	var alert tls.AlertError
	var network *net.OpError
	switch {
	case errors.Is(err, kafka.UnknownTopicOrPartition):
		hint = "the topic does not exist: create it, or set create: true"
	case errors.Is(err, kafka.TopicAuthorizationFailed):
		hint = "the user may not write to the topic: look at the broker's ACLs"
	case errors.Is(err, kafka.SASLAuthenticationFailed):
		hint = "the broker refuses the user or the password"
	case errors.Is(err, kafka.UnsupportedSASLMechanism):
		hint = "the broker does not have this SASL mechanism enabled"
	case errors.As(err, &authority):
		hint = "no authority that is trusted has signed the broker's certificate: set tls.ca"
	case errors.As(err, &name):
		hint = "the broker's certificate is for another name than brokers says"
	case errors.As(err, &expired):
		hint = "the broker's certificate is not valid"
	case errors.As(err, &header):
		hint = "the broker does not speak TLS on this port"
	case errors.As(err, &alert) || strings.Contains(err.Error(), "remote error: tls:"):
		hint = "the broker refuses our certificate: set tls.cert and tls.key to one that it trusts"
	case errors.Is(err, kafka.MessageSizeTooLarge) || errors.As(err, new(kafka.MessageTooLargeError)):
		hint = "the record is larger than the topic's max.message.bytes"
	case errors.Is(err, os.ErrPermission):
		hint = "this process may not connect to the port that a broker says it has: name one with that port in brokers, and start anew"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		hint = "the broker closed the connection: it may want TLS, or SASL, or refuse the credentials"
	case errors.As(err, &network):
		return fmt.Errorf("kafka topic %s at %s: %w: look at brokers, and at the network (%w)", k.o.Topic, strings.Join(k.o.Brokers, ","), ErrNoAnswer, err)
	}
	if passes(err) {
		return fmt.Errorf("kafka topic %s at %s: %w that is ready (%w)", k.o.Topic, strings.Join(k.o.Brokers, ","), ErrNoAnswer, err)
	}
	if hint != "" {
		return fmt.Errorf("kafka topic %s at %s: %s (%w)", k.o.Topic, strings.Join(k.o.Brokers, ","), hint, err)
	}
	return fmt.Errorf("kafka topic %s at %s: %w", k.o.Topic, strings.Join(k.o.Brokers, ","), err)
}

// records is what Kafka sends: a spool.
type records interface {
	Next(context.Context) ([]spool.Record, error)
	Ack()
}

// Run sends records in their order, until ctx ends or the spool is closed. Each
// is acknowledged to the spool once the broker has it, or will never take it.
// What fails is sent again for ever, after pauses that grow.
func (k *Kafka) Run(ctx context.Context, from records) error {
	for {
		batch, err := from.Next(ctx)
		if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
			return err
		}
		if err != nil { // of the disk, which may come back
			k.report(fmt.Errorf("read what is to be sent: %w", err))
			if !sleep(ctx, time.Second) {
				return ctx.Err()
			}
			continue
		}
		messages := make([]kafka.Message, 0, len(batch))
		for i := range batch {
			var m Message
			if err := m.Parse(batch[i].Data); err != nil {
				k.refuse(&Message{Value: batch[i].Data}, err)
				continue
			}
			messages = append(messages, k.message(&m))
		}
		if err := k.send(ctx, messages); err != nil {
			return err
		}
		from.Ack()
	}
}

func (k *Kafka) message(m *Message) kafka.Message {
	out := kafka.Message{Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, kafka.Header{Key: h.Name, Value: []byte(h.Value)})
	}
	return out
}

// send sends messages until none is left.
func (k *Kafka) send(ctx context.Context, messages []kafka.Message) error {
	pause := firstPause
	for len(messages) > 0 {
		err := k.writer.WriteMessages(ctx, messages...)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			k.report(nil)
			return nil
		}
		left, cause := k.failures(messages, err)
		if len(left) < len(messages) {
			pause = firstPause // it goes on
		}
		if cause != nil {
			k.report(k.explain(cause))
			if !sleep(ctx, pause) {
				return ctx.Err()
			}
			pause = min(2*pause, longestPause)
		}
		if alone := k.alone(ctx, left, cause); alone != nil {
			left = alone
		}
		messages = left
	}
	return nil
}

// failures gives the messages that did not arrive, and the first reason.
func (k *Kafka) failures(messages []kafka.Message, err error) (left []kafka.Message, cause error) {
	var each kafka.WriteErrors
	if !errors.As(err, &each) || len(each) != len(messages) {
		return messages, err
	}
	for i, e := range each {
		if e != nil {
			left = append(left, messages[i])
			if cause == nil {
				cause = e
			}
		}
	}
	return left, cause
}

// alone sends messages one by one where the broker found them too large
// together or one of them wrong, and refuses those that it does not take alone.
// It gives what is left; nil where the cause is another.
func (k *Kafka) alone(ctx context.Context, messages []kafka.Message, cause error) []kafka.Message {
	if !poison(cause) {
		return nil
	}
	for i := range messages {
		err := k.writer.WriteMessages(ctx, messages[i])
		var each kafka.WriteErrors
		if errors.As(err, &each) && len(each) == 1 {
			err = each[0]
		}
		switch {
		case err == nil:
		case poison(err):
			m := Message{Key: messages[i].Key, Value: messages[i].Value}
			for _, h := range messages[i].Headers {
				m.Headers = append(m.Headers, Header{h.Key, string(h.Value)})
			}
			k.refuse(&m, k.explain(err))
		default:
			return messages[i:]
		}
	}
	return []kafka.Message{}
}

// poison tells an error that comes again however often a message is sent.
func poison(err error) bool {
	return errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.InvalidMessage) ||
		errors.Is(err, kafka.InvalidRecord) || errors.As(err, new(kafka.MessageTooLargeError))
}

func (k *Kafka) refuse(m *Message, err error) {
	if k.o.Refused != nil {
		k.o.Refused(m, err)
	}
}

// report tells what is new.
func (k *Kafka) report(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != k.failed && k.o.Report != nil {
		k.o.Report(err)
	}
	k.failed = text
}

// Close ends the connections, once Run has returned. It does not wait for long:
// a writer of kafka-go may hang.
func (k *Kafka) Close() error {
	done := make(chan error, 1)
	go func() { done <- k.writer.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeTimeout):
		return errors.New("kafka: the connections did not end in time")
	}
}

// sleep waits, and tells whether ctx lives on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
