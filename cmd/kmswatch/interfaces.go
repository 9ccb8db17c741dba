package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/bpf"
	"kmswatch/capture"
	"kmswatch/capture/merge"
	"kmswatch/cmd/kmswatch/metrics"
)

// silence is how long a Read of a live source takes at most when nothing comes;
// then it gives no frame and no error.
const silence = 100 * time.Millisecond

// hold is how long a frame of one interface waits for earlier ones of another.
const hold = 50 * time.Millisecond

// interfaces are the sources of all interfaces as one.
type interfaces struct {
	capture.Source
	all []*lasting
}

// openInterfaces opens the source of each interface that is named. Blind is told,
// by the goroutine that reads, of one that gives nothing; a mirror port also is
// blind when it is down, while on a host nothing passes an interface then.
func openInterfaces(names []string, open func(string) (capture.Source, error), mirrors bool, blind func(name, cause string), log zerolog.Logger) (*interfaces, error) {
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
			mirror: mirrors, blind: blind,
		})
	}
	i.Source = i.all[0]
	if len(i.all) > 1 {
		sources := make([]capture.Source, len(i.all))
		for n, l := range i.all {
			sources[n] = l
		}
		i.Source = merge.New(sources, hold)
	}
	return i, nil
}

// counts gives the counters of each interface.
func (i *interfaces) counts() []metrics.Interface {
	all := make([]metrics.Interface, len(i.all))
	for n, l := range i.all {
		all[n] = metrics.Interface{Name: l.name, Stats: l.Stats(), Kernel: l.judged(), Trouble: l.cause()}
	}
	return all
}

// port is one that the filters of the kernel let pass.
type port struct {
	proto  uint8 // IP protocol number
	number uint16
}

func (p port) pass(s capture.Steerer) error { return s.WatchPort(p.proto, p.number) }

// WatchPort meets capture.Steerer: on every interface, now and once it is opened
// again.
func (i *interfaces) WatchPort(proto uint8, number uint16) error {
	var err error
	for _, l := range i.all {
		err = cmp.Or(err, l.watchPort(port{proto, number}))
	}
	return err
}

// Watch meets capture.Steerer.
func (i *interfaces) Watch(k capture.FlowKey) error {
	return i.steer(func(s capture.Steerer) error { return s.Watch(k) })
}

// Ignore meets capture.Steerer.
func (i *interfaces) Ignore(k capture.FlowKey) error {
	return i.steer(func(s capture.Steerer) error { return s.Ignore(k) })
}

func (i *interfaces) steer(tell func(capture.Steerer) error) error {
	var err error
	for _, l := range i.all {
		l.mu.Lock()
		err = cmp.Or(err, l.steer(tell))
		l.mu.Unlock()
	}
	return err
}

// lasting is the source of one interface. One that tells of trouble, as that its
// interface is down, is read on; one that does nothing else is opened again.
type lasting struct {
	name   string
	open   func() (capture.Source, error)
	log    zerolog.Logger
	closed chan struct{}
	mirror bool
	blind  func(name, cause string)

	ill      bool // trouble is not empty
	failures int  // Reads that failed, one after the other
	dead     bool // the source is to be closed by the next Read: its frames are lent still
	next     time.Time
	wait     time.Duration

	mu      sync.Mutex // for who does not read; who reads changes these
	src     capture.Source
	before  capture.Stats // of the sources before
	ports   map[port]bool // that were to be watched
	trouble string        // why it gives nothing; empty if it does
	deaf    bool          // the source did not do what it was told, which was logged
}

func (l *lasting) watchPort(p port) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ports[p] {
		return nil
	}
	if l.ports == nil {
		l.ports = make(map[port]bool)
	}
	l.ports[p] = true
	return l.steer(p.pass)
}

// steer tells the source something, if it listens; the lock is held. What it does
// not do costs speed, so that it is said once.
func (l *lasting) steer(tell func(capture.Steerer) error) error {
	s, ok := l.src.(capture.Steerer)
	if !ok {
		return nil
	}
	err := tell(s)
	if err != nil && !l.deaf {
		l.deaf = true
		l.log.Warn().Err(err).Msg("the kernel's filter cannot be steered; more comes than is of interest")
	}
	return err
}

// patience is how many Reads in a row may fail, at silence from one to the next.
const patience = 10

// Bounds of the time between two tries to open a source.
const (
	firstWait = time.Second
	mostWait  = 30 * time.Second
)

// Read meets capture.Source. An error but io.EOF ends the source: it is closed,
// or the rights to go on are gone.
func (l *lasting) Read(frames []capture.Frame) (int, error) {
	if l.dead {
		l.drop()
	}
	if l.src == nil {
		if done, err := l.again(); err != nil || !done {
			return 0, err
		}
	}
	n, err := l.src.Read(frames)
	if err == nil || err == io.EOF {
		l.failures = 0
		if n == 0 && l.mirror || l.ill {
			l.examine()
		}
		return n, err
	}
	select {
	case <-l.closed:
		return n, os.ErrClosed
	default:
	}
	if errors.Is(err, os.ErrPermission) {
		return n, fmt.Errorf("%s: the rights to go on were given up: %w", l.name, err)
	}
	if l.failures++; l.failures == 1 {
		l.log.Error().Err(err).Msg("the interface is in trouble")
	}
	if l.failures == patience {
		l.log.Error().Err(err).Msg("the interface failed; it is opened again")
		l.dead = true
		l.note(err.Error())
	}
	if n == 0 {
		return 0, l.pause(silence)
	}
	return n, nil
}

// examine finds out whether the source that is read can give frames.
func (l *lasting) examine() {
	cause := ""
	if s, ok := l.src.(interface{ Trouble() string }); ok && l.mirror {
		cause = s.Trouble()
	}
	l.note(cause)
}

// note remembers why the interface gives nothing, if it does not, and tells it
// when that begins.
func (l *lasting) note(cause string) {
	if cause == "" && !l.ill {
		return
	}
	if cause != "" && !l.ill {
		l.blind(l.name, cause)
	}
	l.ill = cause != ""
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble = cause
}

// cause gives why the interface gives nothing; nothing if it does.
func (l *lasting) cause() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trouble
}

// pause waits, unless the source is closed.
func (l *lasting) pause(d time.Duration) error {
	select {
	case <-l.closed:
		return os.ErrClosed
	case <-time.After(d):
		return nil
	}
}

// drop closes the source that failed.
func (l *lasting) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = l.before.Plus(l.src.Stats())
	l.src.Close()
	l.src, l.failures, l.dead = nil, 0, false
	l.wait = firstWait
	l.next = time.Now().Add(l.wait)
}

// again tries to open the source, if it is time to.
func (l *lasting) again() (bool, error) {
	if left := time.Until(l.next); left > 0 {
		return false, l.pause(min(left, silence))
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
	for p := range l.ports {
		_ = l.steer(p.pass)
	}
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

// judged gives what the kernel's filter counted since the source was opened.
func (l *lasting) judged() *bpf.Counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.src.(interface{ Counters() (bpf.Counters, error) })
	if !ok {
		return nil
	}
	c, err := s.Counters()
	if err != nil {
		return nil // it has none
	}
	return &c
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
