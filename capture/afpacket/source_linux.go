package afpacket

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kmswatch/capture"
)

// Options of Open. Only Interface is needed.
type Options struct {
	Interface   string // name
	Promiscuous bool   // take also what is sent to others; undone when the source is closed
	Rings       int    // rings that the kernel spreads the flows over, each flow on one; 1

	// Frames lie in blocks, which the kernel hands over one by one, when they are
	// full or BlockTimeout has passed. What fits no block is cut, and all is dropped
	// where nobody reads for so long that all blocks are handed over.
	BlockSize    int           // bytes, a power of two from a page up; 256 KiB
	Blocks       int           // of a ring; 256
	BlockTimeout time.Duration // whole milliseconds; 20 ms

	Wait time.Duration // after which Read returns without a frame, whole milliseconds; 100 ms

	// Filter decides in the kernel which frames come, and how much of them. Nil
	// lets all come.
	Filter Filter
	// Notify is told when the interface changes, from within Open and Read; it must
	// not close the source. Nil is silence.
	Notify func(Change)
}

// Filter is a filter in the kernel and what steers it. It must not lock itself to
// the socket: another takes its place while the source is bound and at its end.
type Filter interface {
	capture.Steerer
	AttachSocket(fd int) error // makes it the filter of a socket, in place of any other
	Filtered() uint64          // frames that it let go so far
}

// Bounds of Options.
const (
	maxRings  = 64
	maxMemory = 1 << 30 // of all rings
)

func (o *Options) setDefaults() error {
	o.Rings = cmp.Or(o.Rings, 1)
	o.BlockSize = cmp.Or(o.BlockSize, 256<<10)
	o.Blocks = cmp.Or(o.Blocks, 256)
	o.BlockTimeout = cmp.Or(o.BlockTimeout, 20*time.Millisecond)
	o.Wait = cmp.Or(o.Wait, 100*time.Millisecond)
	switch {
	case o.Rings < 1 || o.Rings > maxRings:
		return fmt.Errorf("%d rings: want 1 to %d", o.Rings, maxRings)
	case o.BlockSize < os.Getpagesize() || o.BlockSize&(o.BlockSize-1) != 0:
		return fmt.Errorf("block of %d bytes: want a power of two from %d up", o.BlockSize, os.Getpagesize())
	case o.Blocks < 2 || o.BlockSize > maxMemory/o.Blocks/o.Rings:
		return fmt.Errorf("%d blocks of %d bytes in each of %d rings: want 2 blocks at least and %d bytes at most", o.Blocks, o.BlockSize, o.Rings, maxMemory)
	case o.BlockTimeout < time.Millisecond || o.BlockTimeout > 10*time.Second:
		return fmt.Errorf("block timeout %v: want 1ms to 10s", o.BlockTimeout)
	case o.Wait < time.Millisecond:
		return fmt.Errorf("wait %v: want 1ms at least", o.Wait)
	}
	return nil
}

// Source captures from one interface. It is a capture.Source and, for its filter,
// a capture.Steerer. Read is for one goroutine, everything else for any.
type Source struct {
	opts Options

	closed atomic.Bool
	mu     sync.Mutex    // held by Read and, for the end, by Close
	rings  []*ring       // changed under statsMu too
	wake   int           // an eventfd, written by Close
	links  links         // tells of changes of interfaces
	poll   []unix.PollFd // wake, links, then the rings
	watch  watch
	number uint64

	received, bytes, truncated, wrong atomic.Uint64

	statsMu sync.Mutex // orders reading the kernel's counters, which are then 0
	dropped uint64
}

// Open begins to capture from an interface, which must be there; it may be down.
func Open(opts Options) (*Source, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	s := &Source{opts: opts, wake: -1, links: links{fd: -1}}
	s.watch.told = Change{Name: opts.Interface, State: Up}
	if err := s.open(); err != nil {
		s.shut()
		s.unmap()
		return nil, fmt.Errorf("interface %s: %w", opts.Interface, err)
	}
	return s, nil
}

func (s *Source) open() (err error) {
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	if err = s.links.open(); err != nil {
		return err
	}
	if err = s.makeRings(); err != nil {
		return err
	}
	if err = s.bind(); err != nil {
		return err
	}
	s.look()
	return nil
}

// makeRings makes the rings, which no frame gets into before bind, in place of
// those that there are.
func (s *Source) makeRings() error {
	s.closeRings()
	s.unmap()
	s.statsMu.Lock()
	s.rings = s.rings[:0]
	s.statsMu.Unlock()
	s.poll = append(s.poll[:0], unix.PollFd{Fd: int32(s.wake), Events: unix.POLLIN}, unix.PollFd{Fd: int32(s.links.fd), Events: unix.POLLIN})
	for range s.opts.Rings {
		r, err := newRing(&s.opts)
		if err != nil {
			return err
		}
		s.statsMu.Lock()
		s.rings = append(s.rings, r)
		s.statsMu.Unlock()
		s.poll = append(s.poll, unix.PollFd{Fd: int32(r.fd), Events: unix.POLLIN})
	}
	return nil
}

// bind connects the rings to the interface of the name. They let no frame in
// until all of them are in their fanout group, so that none comes twice, and the
// filter is in place.
func (s *Source) bind() error {
	index, form, err := s.links.find(s.opts.Interface)
	if err != nil {
		return err
	}
	group := 0
	for i, r := range s.rings {
		r.form = form
		if err := r.bind(index); err != nil {
			return err
		}
		if len(s.rings) > 1 {
			if group, err = r.join(group, i == 0); err != nil {
				return err
			}
		}
	}
	if s.opts.Promiscuous {
		if err := s.rings[0].listenToAll(index); err != nil {
			return err
		}
	}
	for _, r := range s.rings {
		if err := r.letIn(s.opts.Filter); err != nil {
			return err
		}
	}
	s.watch.index = index
	return nil
}

// Read gives the frames that the kernel has handed over, as many as there is
// room for, valid until the next Read. It waits for them, and when none came
// within Options.Wait it returns 0 and no error. Frames of several rings come in
// the order of their times, as far as they were handed over together.
//
// An interface that is down is waited for, one that is renamed is followed, and
// in place of one that is gone the next of the name that was opened is taken.
// After Close, Read returns os.ErrClosed; only then, and once it did, is the
// memory of the rings given back.
func (s *Source) Read(frames []capture.Frame) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		s.unmap()
		return 0, os.ErrClosed
	}
	for _, r := range s.rings {
		r.release()
	}
	if len(frames) == 0 {
		return 0, nil
	}
	n := s.fill(frames)
	if n == 0 {
		if err := s.wait(); err != nil {
			return 0, err
		}
		n = s.fill(frames)
	}
	return n, nil
}

// wait returns when a ring may have frames, or after the time to wait.
func (s *Source) wait() error {
	n, err := unix.Poll(s.poll, int(s.opts.Wait/time.Millisecond))
	for err == unix.EINTR {
		n, err = unix.Poll(s.poll, int(s.opts.Wait/time.Millisecond))
	}
	if err != nil {
		return fmt.Errorf("interface %s: poll: %w", s.opts.Interface, err)
	}
	if s.closed.Load() {
		s.unmap()
		return os.ErrClosed
	}
	changed := false
	if n > 0 {
		if s.poll[1].Revents != 0 {
			s.links.drain()
			changed = true
		}
		for i, r := range s.rings {
			if s.poll[2+i].Revents&^unix.POLLIN != 0 {
				r.clearError()
				changed = true
			}
		}
	}
	// The kernel tells of changes, but not that an attempt is due, nor what it had
	// no room to tell.
	if changed || n == 0 && s.watch.told.State != Up {
		s.look()
	}
	return nil
}

// fill takes frames from the rings, those of the earliest time first.
func (s *Source) fill(frames []capture.Frame) int {
	n := 0
	var bytes, truncated uint64
	for n < len(frames) {
		var first *ring
		until := int64(math.MaxInt64) // the time of another ring's first frame
		for _, r := range s.rings {
			switch {
			case !r.ready():
			case first == nil:
				first = r
			case r.time < first.time:
				first, until = r, first.time
			default:
				until = min(until, r.time)
			}
		}
		if first == nil {
			break
		}
		for n < len(frames) && first.ready() && first.time <= until {
			f := &frames[n]
			if !first.take(f) {
				continue
			}
			n++
			s.number++
			f.Number = s.number
			bytes += uint64(len(f.Data))
			if f.Length > len(f.Data) {
				truncated++
			}
		}
	}
	for _, r := range s.rings {
		if r.wrong > 0 {
			s.wrong.Add(r.wrong)
			r.wrong = 0
		}
	}
	s.received.Add(uint64(n))
	s.bytes.Add(bytes)
	s.truncated.Add(truncated)
	return n
}

// Stats counts what Read gave and, as dropped, what found the rings full.
func (s *Source) Stats() capture.Stats {
	st := capture.Stats{
		Received:  s.received.Load(),
		Bytes:     s.bytes.Load(),
		Truncated: s.truncated.Load(),
	}
	s.statsMu.Lock()
	s.countDrops()
	st.Dropped = s.dropped + s.wrong.Load()
	s.statsMu.Unlock()
	if s.opts.Filter != nil {
		st.Filtered = s.opts.Filter.Filtered()
	}
	return st
}

// countDrops adds what the kernel counted since the last call, which it forgets.
func (s *Source) countDrops() {
	for _, r := range s.rings {
		if r.fd < 0 {
			continue
		}
		if st, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			s.dropped += uint64(st.Drops)
		}
	}
}

// errNoFilter is what a source without a filter answers who steers it.
var errNoFilter = errors.New("no filter to steer")

// Watch meets capture.Steerer: it is for the filter.
func (s *Source) Watch(k capture.FlowKey) error {
	if s.opts.Filter == nil {
		return errNoFilter
	}
	return s.opts.Filter.Watch(k)
}

// Ignore meets capture.Steerer: it is for the filter.
func (s *Source) Ignore(k capture.FlowKey) error {
	if s.opts.Filter == nil {
		return errNoFilter
	}
	return s.opts.Filter.Ignore(k)
}

// WatchPort meets capture.Steerer: it is for the filter.
func (s *Source) WatchPort(proto uint8, port uint16) error {
	if s.opts.Filter == nil {
		return errNoFilter
	}
	return s.opts.Filter.WatchPort(proto, port)
}

// Close ends the capture, and with it promiscuous mode: a Read under way or to
// come returns os.ErrClosed. The filter stays open, as it is not the source's.
func (s *Source) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	one := [8]byte{7: 1}
	_, err := unix.Write(s.wake, one[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut()
	return err
}

// shut closes all that is open. The memory of the rings stays.
func (s *Source) shut() {
	s.closeRings()
	s.links.close()
	if s.wake >= 0 {
		unix.Close(s.wake)
		s.wake = -1
	}
}

func (s *Source) closeRings() {
	s.statsMu.Lock()
	s.countDrops()
	for _, r := range s.rings {
		r.close()
	}
	s.statsMu.Unlock()
}

func (s *Source) unmap() {
	for _, r := range s.rings {
		r.unmap()
	}
}
