package sink

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// gate is a writer that lets a Write pass when it is told to, and with what
// error.
type gate struct {
	mu    sync.Mutex
	got   []string
	tried chan string
	pass  chan error
}

func newGate() *gate { return &gate{tried: make(chan string, 1000), pass: make(chan error, 1000)} }

func (g *gate) Write(b []byte) (int, error) {
	g.tried <- string(b)
	if err := <-g.pass; err != nil {
		return 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.got = append(g.got, string(b))
	return len(b), nil
}

func (g *gate) lines() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.got, " ")
}

func fill(t *testing.T, q *Queue, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if n, err := q.Write([]byte(l)); err != nil || n != len(l) {
			t.Fatalf("%s: %d, %v", l, n, err)
		}
	}
}

func TestAQueueWritesInOrderEachByItself(t *testing.T) {
	g := newGate()
	q := NewQueue(g, QueueOptions{})
	fill(t, q, "a", "b")
	<-g.tried
	fill(t, q, "c")
	for range 3 {
		g.pass <- nil
	}
	if !q.Flush(20*time.Second) || !q.Close(20*time.Second) {
		t.Error("it does not end")
	}
	if got := g.lines(); got != "a b c" {
		t.Errorf("got %s", got)
	}
	if c := q.Counts(); c != (Counts{Written: 3}) {
		t.Errorf("%+v", c)
	}
	if _, err := q.Write(nil); err == nil {
		t.Error("it is closed, and takes")
	}
}

// TestAWriterThatHangsHoldsUpNobody: what there is no room for is the newest, and when the writer goes on, all that was taken is written.
func TestAWriterThatHangsHoldsUpNobody(t *testing.T) {
	g := newGate()
	q := NewQueue(g, QueueOptions{Max: 10})
	fill(t, q, "1234")
	<-g.tried // and hangs
	fill(t, q, "5678", "90")
	for range 5 {
		if n, err := q.Write([]byte("x")); err != ErrFull || n != 0 {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if c := q.Counts(); c != (Counts{Waiting: 3, Bytes: 10}) {
		t.Errorf("%+v", c)
	}
	if q.Flush(time.Millisecond) || q.Close(time.Millisecond) {
		t.Error("it ended while the writer hangs")
	}
	for range 3 {
		g.pass <- nil
	}
	if !q.Close(20 * time.Second) {
		t.Error("it does not end")
	}
	if got := g.lines(); got != "1234 5678 90" {
		t.Errorf("got %s", got)
	}
}

// told collects what a Queue tells.
type told struct {
	mu    sync.Mutex
	words []string
	more  chan struct{}
}

func newTold() *told { return &told{more: make(chan struct{}, 100)} }

func (x *told) add(format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.words = append(x.words, fmt.Sprintf(format, args...))
	x.more <- struct{}{}
}

func (x *told) all() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.Join(x.words, ", ")
}

func TestWhatTheWriterDoesNotTakeIsWrittenAgain(t *testing.T) {
	g, x := newGate(), newTold()
	q := NewQueue(g, QueueOptions{Report: func(err error) { x.add("%v", err) }})
	fill(t, q, "a", "b")
	g.pass <- syscall.ENOSPC
	g.pass <- syscall.ENOSPC
	g.pass <- syscall.EROFS
	g.pass <- nil
	g.pass <- nil
	if !q.Flush(20*time.Second) || !q.Close(20*time.Second) {
		t.Error("it does not end")
	}
	if got := g.lines(); got != "a b" || q.Counts() != (Counts{Written: 2}) {
		t.Errorf("got %s, %+v", got, q.Counts())
	}
	if got := x.all(); !strings.HasPrefix(got, syscall.ENOSPC.Error()) || strings.Contains(got, syscall.EROFS.Error()) {
		t.Errorf("told %s", got)
	}
}

// TestAPartThatWasWrittenIsNotWrittenAgain: a writer that takes less than all.
func TestAPartThatWasWrittenIsNotWrittenAgain(t *testing.T) {
	var got strings.Builder
	calls := 0
	q := NewQueue(writerFunc(func(b []byte) (int, error) {
		if calls++; calls == 1 {
			got.Write(b[:3])
			return 3, io.ErrShortWrite
		}
		return got.Write(b)
	}), QueueOptions{})
	fill(t, q, "whole", "next")
	if !q.Flush(20*time.Second) || !q.Close(20*time.Second) || got.String() != "wholenext" {
		t.Errorf("got %s", got.String())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestWhenNobodyReadsAnyMoreAllIsLostUntilItIsMended by what is called between
// two Writes, such as a file opened anew.
func TestWhenNobodyReadsAnyMoreAllIsLostUntilItIsMended(t *testing.T) {
	g, x := newGate(), newTold()
	q := NewQueue(g, QueueOptions{
		Report: func(err error) { x.add("report %v", err) },
		Lost:   func(n uint64, err error) { x.add("lost %d: %v", n, err) },
	})
	fill(t, q, "a")
	<-g.tried
	fill(t, q, "b")
	g.pass <- syscall.EPIPE
	<-x.more
	if got := x.all(); got != "lost 2: "+syscall.EPIPE.Error() {
		t.Errorf("told %s", got)
	}
	if _, err := q.Write([]byte("c")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("error %v", err)
	}
	if err := q.Gone(); err != syscall.EPIPE {
		t.Errorf("gone: %v", err)
	}
	called := make(chan struct{}, 2)
	q.Between(func() error { called <- struct{}{}; return errors.New("not yet") })
	<-called
	if _, err := q.Write([]byte("d")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("error %v", err)
	}
	q.Between(func() error { called <- struct{}{}; return nil })
	<-called
	for late := time.Now().Add(20 * time.Second); time.Now().Before(late); time.Sleep(time.Millisecond) {
		if _, err := q.Write([]byte("e")); err == nil {
			break
		}
	}
	g.pass <- nil
	if !q.Close(20*time.Second) || g.lines() != "e" {
		t.Errorf("got %s", g.lines())
	}
	if c := q.Counts(); c.Written != 1 || c.Lost != 2 {
		t.Errorf("%+v", c)
	}
}

// TestWhatIsCalledBetweenMendsAWriterThatFails at once, and the clock ticks
// meanwhile.
func TestWhatIsCalledBetweenMendsAWriterThatFails(t *testing.T) {
	var mu sync.Mutex
	broken := true
	ticks := make(chan struct{}, 10)
	q := NewQueue(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		if broken {
			return 0, syscall.EIO
		}
		return len(b), nil
	}), QueueOptions{Tick: func() { ticks <- struct{}{} }})
	fill(t, q, "a")
	<-ticks // while it fails
	q.Between(func() error { mu.Lock(); defer mu.Unlock(); broken = false; return nil })
	if !q.Flush(20*time.Second) || !q.Close(20*time.Second) {
		t.Error("it does not end")
	}
}

// TestAQueueThatIsClosedWhileItsWriterFailsSaysWhatIsLost.
func TestAQueueThatIsClosedWhileItsWriterFailsSaysWhatIsLost(t *testing.T) {
	x := newTold()
	tried := make(chan struct{}, 100)
	q := NewQueue(writerFunc(func([]byte) (int, error) { tried <- struct{}{}; return 0, syscall.EIO }),
		QueueOptions{Lost: func(n uint64, err error) { x.add("lost %d: %v", n, err) }})
	fill(t, q, "a", "b", "c")
	<-tried
	if !q.Close(20 * time.Second) {
		t.Error("it does not end")
	}
	if got := x.all(); got != "lost 3: "+syscall.EIO.Error() || q.Counts() != (Counts{Lost: 3}) {
		t.Errorf("told %s; %+v", got, q.Counts())
	}
}

func BenchmarkQueue(b *testing.B) {
	q := NewQueue(io.Discard, QueueOptions{})
	line := make([]byte, 1000)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		for {
			if _, err := q.Write(line); err == nil {
				break
			}
			time.Sleep(10 * time.Microsecond)
		}
	}
	q.Close(time.Minute)
}
