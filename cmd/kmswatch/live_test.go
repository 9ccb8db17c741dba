package main

import (
	"bufio"
	"context"
	"io"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
	"kmswatch/cmd/kmswatch/metrics"
	"kmswatch/decode"
)

// pacedCapture is the variable by which the test binary knows that it is
// kmswatch run, with interfaces on which the frames of a capture come again and
// again.
const pacedCapture = "KMSWATCH_TEST_PACED"

// pacedHang is the variable by which their first Read but one never returns.
const pacedHang = "KMSWATCH_TEST_HANG"

// runPaced runs the command line with such interfaces.
func runPaced(path string) int {
	return untilSignal(func(ctx context.Context) int {
		t := terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}
		frames, err := loadFrames(path)
		if err != nil {
			t.complain(err)
			return exitFailed
		}
		open := func(string, *live, zerolog.Logger) (capture.Source, error) {
			if os.Getenv(pacedHang) != "" {
				first := true
				return sourceFunc(func([]capture.Frame) (int, error) {
					if first {
						first = false
						return 0, nil
					}
					select {}
				}), nil
			}
			return newPaced(frames, 5*time.Millisecond), nil
		}
		return runOn(ctx, os.Args[1:], t, open)
	})
}

func loadFrames(path string) ([]capture.Frame, error) {
	s, err := pcapfile.Open([]string{path}, pcapfile.Options{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var all []capture.Frame
	batch := make([]capture.Frame, 64)
	for {
		n, err := s.Read(batch)
		for _, f := range batch[:n] {
			f.Data = append([]byte(nil), f.Data...)
			all = append(all, f)
		}
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// paced is a live source of the frames given: one each time, of now, and after a
// silence from the beginning.
type paced struct {
	frames []capture.Frame
	every  time.Duration
	next   int
	mu     sync.Mutex
	stats  capture.Stats
	closed chan struct{}
}

func newPaced(frames []capture.Frame, every time.Duration) *paced {
	return &paced{frames: frames, every: every, closed: make(chan struct{})}
}

func (p *paced) Read(frames []capture.Frame) (int, error) {
	wait := p.every
	if p.next == len(p.frames) {
		wait = silence
	}
	select {
	case <-p.closed:
		return 0, os.ErrClosed
	case <-time.After(wait):
	}
	if p.next == len(p.frames) {
		p.next = 0
		return 0, nil
	}
	frames[0] = p.frames[p.next]
	p.next++
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Received++
	p.stats.Bytes += uint64(len(frames[0].Data))
	frames[0].Time, frames[0].File, frames[0].Number = time.Now().UnixNano(), 0, p.stats.Received
	return 1, nil
}

func (p *paced) Stats() capture.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

func (p *paced) Close() error { close(p.closed); return nil }

// queued is a live source whose frames the test gives, and the error from which
// on it has no others.
type queued struct {
	name   string
	frames chan []capture.Frame
	fail   chan error
	mu     sync.Mutex
	stats  capture.Stats
	once   sync.Once
	closed chan struct{}
	lent   []capture.Frame
	failed error
}

func newQueued(name string) *queued {
	return &queued{name: name, frames: make(chan []capture.Frame, 64), fail: make(chan error, 1), closed: make(chan struct{})}
}

// Read gives frames whose memory is spoilt by the next Read.
func (q *queued) Read(frames []capture.Frame) (int, error) {
	q.spoil()
	if q.failed != nil {
		return 0, q.failed
	}
	var given []capture.Frame
	select { // frames before what fails after them
	case given = <-q.frames:
	default:
		select {
		case <-q.closed:
			return 0, os.ErrClosed
		case q.failed = <-q.fail:
			return 0, q.failed
		case given = <-q.frames:
		case <-time.After(silence / 10):
		}
	}
	if given != nil {
		n := copy(frames, given)
		if n < len(given) {
			panic("queued: more frames at once than there is room for")
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		for i := range frames[:n] {
			f := &frames[i]
			f.Data = append([]byte(nil), f.Data...)
			q.lent = append(q.lent, *f)
			q.stats.Received++
			q.stats.Bytes += uint64(len(f.Data))
			f.Number = q.stats.Received
		}
		return n, nil
	}
	return 0, nil
}

func (q *queued) spoil() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range q.lent {
		for i := range f.Data {
			f.Data[i] = 0xa5
		}
	}
	q.lent = q.lent[:0]
}

func (q *queued) Stats() capture.Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stats
}

func (q *queued) drop(n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stats.Dropped += n
}

func (q *queued) Close() error {
	q.once.Do(func() { q.spoil(); close(q.closed) })
	return nil
}

// sourceFunc is a source that the test reads for.
type sourceFunc func([]capture.Frame) (int, error)

func (f sourceFunc) Read(frames []capture.Frame) (int, error) { return f(frames) }
func (sourceFunc) Stats() capture.Stats                       { return capture.Stats{} }
func (sourceFunc) Close() error                               { return nil }

// testSensor is a sensor without a source, which writes nowhere; text gives what
// its metrics say.
func testSensor(t *testing.T, workers int) (s *sensor, text func() string) {
	t.Helper()
	conf := config.Default()
	s = &sensor{
		log: zerolog.Nop(), live: new(live), metrics: metrics.New("test", nil), manager: newManager(zerolog.Nop()),
		now: time.Now, conf: conf, hosts: newInventory(conf), anomalies: make(map[metrics.Anomaly]uint64),
		failures: new(failures),
	}
	s.outputs = &outputs{log: s.log, now: time.Now, failures: s.failures}
	if err := s.outputs.open(config.Output{Format: "ndjson"}, io.Discard, false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.outputs.close)
	ac := alertsConfig(conf)
	ac.Inventory, ac.Out = s.hosts, s.take
	var err error
	if s.eval, err = alerts.New(ac); err != nil {
		t.Fatal(err)
	}
	s.engine = decode.New(decode.Config{Workers: workers}, s)
	return s, func() string {
		w := httptest.NewRecorder()
		s.metrics.Handler(time.Now).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
}

// stamped gives the frames of now.
func stamped(frames []capture.Frame) []capture.Frame {
	out := append([]capture.Frame(nil), frames...)
	now := time.Now().UnixNano()
	for i := range out {
		out[i].Time, out[i].File = now+int64(i), 0
	}
	return out
}

// lines reads lines as they come, with the time at which each did.
type lines struct {
	ch chan line
}

type line struct {
	text string
	at   time.Time
}

func newLines(r io.Reader) *lines {
	l := &lines{make(chan line, 4096)}
	go func() {
		defer close(l.ch)
		s := bufio.NewScanner(r)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			l.ch <- line{s.Text(), time.Now()}
		}
	}()
	return l
}

// wait gives the first line that is as wanted, and fails after a while.
func (l *lines) wait(t *testing.T, what string, is func(string) bool) line {
	t.Helper()
	late := time.After(20 * time.Second)
	var seen []string
	for {
		select {
		case got, ok := <-l.ch:
			if !ok {
				t.Fatalf("the end, before %s; there was %q", what, seen)
			}
			if is(got.text) {
				return got
			}
			seen = append(seen, got.text)
		case <-late:
			t.Fatalf("no %s; there was %q", what, seen)
		}
	}
}

// rest gives the lines until the end.
func (l *lines) rest(t *testing.T) (all []string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case got, ok := <-l.ch:
			if !ok {
				return all
			}
			all = append(all, got.text)
		case <-late:
			t.Fatalf("no end; there was %q", all)
		}
	}
}
