package sink

import (
	"context"
	"errors"
	"testing"
)

func TestOnlyTheLatestIsSent(t *testing.T) {
	l := NewLatest()
	put := func(value string) { l.Put(&Message{Key: []byte("k"), Value: []byte(value)}) }
	next := func() string {
		t.Helper()
		batch, err := l.Next(t.Context())
		if err != nil || len(batch) != 1 {
			t.Fatalf("%d records, %v", len(batch), err)
		}
		var m Message
		if err := m.Parse(batch[0].Data); err != nil {
			t.Fatal(err)
		}
		return string(m.Value)
	}
	put("1")
	put("2")
	if got := next(); got != "2" {
		t.Errorf("got %s, want 2", got)
	}
	put("3") // while 2 is under way
	l.Ack()
	if got := next(); got != "3" {
		t.Errorf("got %s, want 3", got)
	}
	l.Ack()
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if batch, err := l.Next(done); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v of what was acknowledged", batch, err)
	}
	waited := make(chan string)
	go func() { waited <- next() }()
	put("4")
	if got := <-waited; got != "4" {
		t.Errorf("got %s, want 4", got)
	}
}
