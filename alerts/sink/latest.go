package sink

import (
	"context"
	"sync"

	"kmswatch/alerts/spool"
)

// Latest holds what is to be sent where only the newest matters: a message takes
// the place of one that was not sent yet. Put is for any goroutine, Next and Ack
// are for one.
type Latest struct {
	come chan struct{}

	mu    sync.Mutex
	next  []byte // encoded; nil: nothing is to be sent
	given bool   // next is in the hands of who sends
	seq   uint64
}

// NewLatest makes one that holds nothing.
func NewLatest() *Latest { return &Latest{come: make(chan struct{}, 1)} }

// Put has a message sent, which it copies.
func (l *Latest) Put(m *Message) {
	b := m.Append(nil)
	l.mu.Lock()
	l.next, l.given = b, false
	l.seq++
	l.mu.Unlock()
	select {
	case l.come <- struct{}{}:
	default:
	}
}

// Next waits for a message and gives it. The error is that of ctx.
func (l *Latest) Next(ctx context.Context) ([]spool.Record, error) {
	for {
		l.mu.Lock()
		b, seq := l.next, l.seq
		l.given = b != nil
		l.mu.Unlock()
		if b != nil {
			return []spool.Record{{Seq: seq, Data: b}}, nil
		}
		select {
		case <-l.come:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Ack lets go what Next gave, unless a newer one has its place.
func (l *Latest) Ack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.given {
		l.next, l.given = nil, false
	}
}

// Waiting tells whether something was not acknowledged yet.
func (l *Latest) Waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next != nil
}
