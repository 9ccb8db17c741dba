package sink

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// Queue stands between who may not wait and a writer that may be slow, or fail.
// What it is given waits in memory, bounded, and is written from a goroutine of
// its own, in order, each as one Write; what the writer did not take is written
// again until it does.
//
// When there is no more room it is the newest that is refused. What waits was raised
// first: it says how a flood began, and nobody can drive it out by raising more.
type Queue struct {
	to io.Writer
	o  QueueOptions

	work chan struct{}
	quit chan struct{}
	done chan struct{}

	mu      sync.Mutex
	pending []byte // that no Write was tried of
	lengths []int  // of each in pending
	held    int    // bytes that wait, with those being written
	between []func() error
	gone    error // why nothing is written any more; nil: it is
	counts  Counts
	closed  bool

	// Of the goroutine that writes.
	failed  bool
	batch   []byte
	records []int
}

// QueueOptions says how. The zero value of a field is its default.
type QueueOptions struct {
	Max  int    // bytes that may wait; 16 MiB
	Tick func() // is called about once a second between two Writes

	// Report is told when writing begins to fail, and with nil when it goes on.
	// Lost is told of what waited when nobody was left to read it, and why. Both
	// are called from the goroutine that writes.
	Report func(error)
	Lost   func(uint64, error)
}

// Counts is what became of what a Queue was given.
type Counts struct {
	Written uint64
	Lost    uint64 // since nobody was left to read it; what Write refused is not counted
	Waiting uint64
	Bytes   int // of what waits
}

// ErrFull is the error of a Write for which there is no room.
var ErrFull = errors.New("as much waits as may")

// Times of a Queue.
const (
	tickEvery    = time.Second
	retryFirst   = 100 * time.Millisecond
	retryLongest = 5 * time.Second
)

// spare is how much memory a queue keeps that has nothing to write.
const spare = 1 << 20

// NewQueue makes one that writes to a writer, which is its own from then on.
func NewQueue(to io.Writer, o QueueOptions) *Queue {
	if o.Max <= 0 {
		o.Max = 16 << 20
	}
	if o.Tick == nil {
		o.Tick = func() {}
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	if o.Lost == nil {
		o.Lost = func(uint64, error) {}
	}
	q := &Queue{to: to, o: o, work: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go q.run()
	return q
}

// Write takes a copy of b. It does not wait; the error is ErrFull, or that
// after which nothing is written any more.
func (q *Queue) Write(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	err := q.gone
	switch {
	case q.closed:
		err = os.ErrClosed
	case err == nil && q.held+len(b) > q.o.Max:
		err = ErrFull
	}
	if err != nil {
		return 0, err
	}
	q.pending = append(q.pending, b...)
	q.lengths = append(q.lengths, len(b))
	q.held += len(b)
	q.counts.Waiting++
	q.signal()
	return len(b), nil
}

// Between has f called between two Writes, soon, such as to open a file anew.
// Where nobody was left to read, it is written on if f succeeds.
func (q *Queue) Between(f func() error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.between = append(q.between, f)
	q.signal()
}

func (q *Queue) signal() {
	select {
	case q.work <- struct{}{}:
	default:
	}
}

// Counts gives the counters.
func (q *Queue) Counts() Counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.counts
	c.Bytes = q.held
	return c
}

// Gone tells why nothing is written any more; nil where it is.
func (q *Queue) Gone() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.gone
}

// Flush waits until nothing waits, or for so long, and tells whether that is so.
func (q *Queue) Flush(most time.Duration) bool {
	for end := time.Now().Add(most); ; time.Sleep(time.Millisecond) {
		if q.Counts().Waiting == 0 {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// Close writes what waits, for so long, and takes no more. It tells whether the
// writer is free again; one that does not return from a Write is not.
func (q *Queue) Close(most time.Duration) bool {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.quit)
	}
	q.mu.Unlock()
	select {
	case <-q.done:
		return true
	case <-time.After(most):
		return false
	}
}

func (q *Queue) run() {
	defer close(q.done)
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		ending := false
		select {
		case <-q.work:
		case <-tick.C:
			q.o.Tick()
		case <-q.quit:
			ending = true
		}
		for q.interlude(); q.next(); q.interlude() {
			b := q.batch
			for _, n := range q.records {
				if !q.write(b[:n:n], tick.C) {
					break
				}
				b = b[n:]
			}
		}
		if ending {
			return
		}
	}
}

// next makes what is pending the batch, if there is any.
func (q *Queue) next() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.batch, q.pending = q.pending, q.batch[:0]
	q.records, q.lengths = q.lengths, q.records[:0]
	if len(q.batch) == 0 && cap(q.batch)+cap(q.pending) > spare {
		q.batch, q.pending = nil, nil
	}
	return len(q.records) > 0
}

// interlude calls what was to be called between two Writes, and tells whether
// that was anything.
func (q *Queue) interlude() bool {
	q.mu.Lock()
	calls := q.between
	q.between = nil
	q.mu.Unlock()
	for _, f := range calls {
		if f() == nil {
			q.mu.Lock()
			q.gone = nil
			q.mu.Unlock()
		}
	}
	return len(calls) > 0
}

// write writes one record, whatever it takes, and tells whether to go on: not if
// all that waited is lost.
func (q *Queue) write(b []byte, tick <-chan time.Time) bool {
	size := len(b)
	pause := retryFirst
	for {
		n, err := q.to.Write(b)
		if err == nil {
			break
		}
		b = b[min(max(n, 0), len(b)):]
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
			q.abandon(err, true)
			return false
		}
		if !q.failed {
			q.failed = true
			q.o.Report(err)
		}
		timer := time.NewTimer(pause)
		for waiting := true; waiting; {
			select {
			case <-timer.C:
				waiting = false
			case <-q.work:
				waiting = !q.interlude() // what was called may have mended it
			case <-tick:
				q.o.Tick()
			case <-q.quit:
				timer.Stop()
				if _, again := q.to.Write(b); again != nil {
					q.abandon(err, false)
					return false
				}
				q.wrote(size)
				return true
			}
		}
		timer.Stop()
		pause = min(2*pause, retryLongest)
	}
	if q.failed {
		q.failed = false
		q.o.Report(nil)
	}
	q.wrote(size)
	return true
}

func (q *Queue) wrote(size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held -= size
	q.counts.Waiting--
	q.counts.Written++
}

// abandon loses all that waits; if it is for good, also what is still to come.
func (q *Queue) abandon(why error, forGood bool) {
	q.mu.Lock()
	lost := q.counts.Waiting
	q.counts.Lost += lost
	q.counts.Waiting, q.held = 0, 0
	q.pending, q.lengths = q.pending[:0], q.lengths[:0]
	if forGood {
		q.gone = why
	}
	q.mu.Unlock()
	q.failed = false
	q.o.Lost(lost, why)
}
