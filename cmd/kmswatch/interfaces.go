package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/capture"
	"kmswatch/cmd/kmswatch/metrics"
)

// silence is how long a Read of a live source takes at most when nothing comes;
// then it gives no frame and no error.
const silence = 100 * time.Millisecond

// interfaces are the sources of all interfaces as one.
type interfaces struct {
	capture.Source
	all []*lasting
}

// openInterfaces opens the source of each interface that is named.
func openInterfaces(names []string, open func(string) (capture.Source, error), log zerolog.Logger) (*interfaces, error) {
	i := new(interfaces)
	for _, name := range names {
		src, err := open(name)
		if err != nil {
			for _, l := range i.all {
				l.Close()
			}
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		i.all = append(i.all, &lasting{
			name: name, open: func() (capture.Source, error) { return open(name) }, src: src,
			log: log.With().Str("interface", name).Logger(), closed: make(chan struct{}),
		})
	}
	i.Source = i.all[0]
	if len(i.all) > 1 {
		i.Source = merge(i.all)
	}
	return i, nil
}

// counts gives the counters of each interface.
func (i *interfaces) counts() []metrics.Interface {
	all := make([]metrics.Interface, len(i.all))
	for n, l := range i.all {
		all[n] = metrics.Interface{Name: l.name, Stats: l.Stats()}
	}
	return all
}

// lasting is the source of one interface, opened again where it fails: it may be
// taken down, renamed, or gone and there again.
type lasting struct {
	name   string
	open   func() (capture.Source, error)
	log    zerolog.Logger
	closed chan struct{}

	failed error // of the last Read, whose frames are lent still
	next   time.Time
	wait   time.Duration

	mu     sync.Mutex // for who does not read; who reads changes these
	src    capture.Source
	before capture.Stats // of the sources before
}

// Bounds of the time between two tries to open a source.
const (
	firstWait = time.Second
	mostWait  = 30 * time.Second
)

// Read meets capture.Source. An error but io.EOF ends the source: it is closed,
// or the right to open it again is gone.
func (l *lasting) Read(frames []capture.Frame) (int, error) {
	if l.failed != nil {
		l.log.Error().Err(l.failed).Msg("the interface failed; it is opened again")
		l.drop()
	}
	if l.src == nil {
		if done, err := l.again(); err != nil || !done {
			return 0, err
		}
	}
	n, err := l.src.Read(frames)
	if err == nil || err == io.EOF {
		return n, err
	}
	select {
	case <-l.closed:
		return n, os.ErrClosed
	default:
		l.failed = err
		return n, nil
	}
}

// drop closes the source that failed.
func (l *lasting) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = l.before.Plus(l.src.Stats())
	l.src.Close()
	l.src, l.failed = nil, nil
	l.wait = firstWait
	l.next = time.Now().Add(l.wait)
}

// again tries to open the source, if it is time to.
func (l *lasting) again() (bool, error) {
	if left := time.Until(l.next); left > 0 {
		select {
		case <-l.closed:
			return false, os.ErrClosed
		case <-time.After(min(left, silence)):
			return false, nil
		}
	}
	src, err := l.open()
	switch {
	case errors.Is(err, os.ErrPermission):
		return false, fmt.Errorf("%s: open again without the right to: %w", l.name, err)
	case err != nil:
		l.wait = min(2*l.wait, mostWait)
		l.next = time.Now().Add(l.wait)
		l.log.Warn().Err(err).Dur("again_in", l.wait).Msg("the interface cannot be opened")
		return false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		src.Close()
		return false, os.ErrClosed
	default:
	}
	l.src = src
	l.log.Info().Msg("the interface is there again")
	return true, nil
}

// Stats adds up those of all sources there were.
func (l *lasting) Stats() capture.Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.src == nil {
		return l.before
	}
	return l.before.Plus(l.src.Stats())
}

// Close meets capture.Source. It is called once.
func (l *lasting) Close() error {
	close(l.closed)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.src == nil {
		return nil
	}
	return l.src.Close()
}

// merged gives the frames of several sources as they come. Each is read by a
// goroutine of its own, one batch ahead.
type merged struct {
	sources []*lasting
	batches chan *batch
	lent    *batch // whose frames the caller has
	left    int    // sources that have not ended
	number  uint64 // of frames given
	timer   *time.Timer
	closed  chan struct{}
	readers sync.WaitGroup
}

// batch is what one source gave.
type batch struct {
	frames []capture.Frame
	given  int // of those
	n      int
	err    error
	again  chan struct{} // lets the source be read again
}

func merge(sources []*lasting) *merged {
	m := &merged{
		sources: sources, left: len(sources), batches: make(chan *batch),
		timer: time.NewTimer(silence), closed: make(chan struct{}),
	}
	for i, s := range sources {
		m.readers.Go(func() { m.read(int32(i), s) })
	}
	return m
}

// read hands over the batches of a source.
func (m *merged) read(index int32, s *lasting) {
	b := &batch{frames: make([]capture.Frame, framesARead), again: make(chan struct{}, 1)}
	for {
		b.given = 0
		b.n, b.err = s.Read(b.frames)
		for i := range b.frames[:b.n] {
			b.frames[i].Interface = index
		}
		if b.n == 0 && b.err == nil {
			select {
			case <-m.closed:
				return
			default:
				continue
			}
		}
		select {
		case m.batches <- b:
		case <-m.closed:
			return
		}
		if b.err != nil {
			return // who was given the batch may hold it
		}
		select {
		case <-b.again:
		case <-m.closed:
			return
		}
	}
}

// Read meets capture.Source. Frames are numbered as they are given.
func (m *merged) Read(frames []capture.Frame) (int, error) {
	b := m.lent
	if b != nil && b.given == b.n {
		b.again <- struct{}{}
		b, m.lent = nil, nil
	}
	if b == nil {
		m.timer.Reset(silence)
		select {
		case b = <-m.batches:
		case <-m.timer.C:
			return 0, nil
		}
	}
	n := copy(frames, b.frames[b.given:b.n])
	b.given += n
	for i := range frames[:n] {
		m.number++
		frames[i].Number = m.number
	}
	if b.err == nil || b.given < b.n {
		m.lent = b
		return n, nil
	}
	m.lent = nil
	if b.err != io.EOF {
		return n, b.err
	}
	if m.left--; m.left > 0 {
		return n, nil
	}
	return n, io.EOF
}

// Stats meets capture.Source.
func (m *merged) Stats() capture.Stats {
	var sum capture.Stats
	for _, s := range m.sources {
		sum = sum.Plus(s.Stats())
	}
	return sum
}

// Close meets capture.Source.
func (m *merged) Close() error {
	close(m.closed)
	var errs []error
	for _, s := range m.sources {
		errs = append(errs, s.Close())
	}
	m.readers.Wait()
	return errors.Join(errs...)
}
