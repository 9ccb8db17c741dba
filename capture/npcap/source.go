package npcap

import (
	"fmt"
	"os"
	"sync"
	"time"

	"kmswatch/capture"
)

// handle is an open device, for one goroutine at a time.
type handle interface {
	// next gives the next frame that the driver has, or false when it has none
	// now; it does not wait. The bytes are valid until the next call.
	next(*record) (bool, error)
	// drops counts the frames lost since the device was opened, modulo 2^32.
	drops() (uint32, error)
	close()
}

// record is a frame as the DLL gives it.
type record struct {
	sec, usec uint32 // since the Unix epoch; 32 bits on Windows, good until 2106
	length    uint32 // on the wire
	data      []byte
}

const (
	// firstPause and longPause bound how long Read sleeps between two looks.
	// The driver is asked rather than waited for: a wait within the DLL cannot
	// be ended from outside without racing against the end of the device.
	firstPause = time.Millisecond
	longPause  = 10 * time.Millisecond
	// retryAfter is how often a lost interface is tried again.
	retryAfter = time.Second
	// batchBytes is room for the frames of one Read: small enough for the L2
	// cache, large enough for some frames of any size.
	batchBytes = 512 << 10
)

// Source gives the frames of one interface. When the interface is lost it is
// tried again every second; Read then gives nothing, as if it were quiet.
type Source struct {
	name    string
	open    func() (handle, capture.LinkType, error)
	report  func(error)
	snap    int
	wait    time.Duration
	timer   *time.Timer
	closing chan struct{}

	mu     sync.Mutex // held within the DLL
	h      handle     // nil while the interface is lost
	closed bool
	link   capture.LinkType
	lost   time.Time // when the interface was last missed
	buf    []byte    // the frames of the last Read
	rec    record
	seen   uint32 // what drops gave last
	stats  capture.Stats
}

// newSource opens a source; open is asked again when the interface was lost.
func newSource(name string, o Options, open func() (handle, capture.LinkType, error)) (*Source, error) {
	s := &Source{
		name:    name,
		open:    open,
		report:  o.Report,
		snap:    o.Snap,
		wait:    o.Wait,
		timer:   time.NewTimer(0),
		closing: make(chan struct{}),
		buf:     make([]byte, max(batchBytes, 2*o.Snap)),
	}
	var err error
	if s.h, s.link, err = open(); err != nil {
		return nil, err
	}
	return s, nil
}

// Read gives the frames that have come, at least one, or none and no error when
// none came within Options.Wait. Their data is valid until the next Read. After
// Close it returns os.ErrClosed.
func (s *Source) Read(frames []capture.Frame) (int, error) {
	if len(frames) == 0 {
		return 0, nil
	}
	pause := firstPause
	for waited := time.Duration(0); ; waited += pause {
		n, err := s.take(frames)
		if n > 0 || err != nil {
			return n, err
		}
		if waited >= s.wait {
			return 0, nil
		}
		if waited > 0 {
			pause = min(2*pause, longPause)
		}
		pause = min(pause, s.wait-waited)
		s.timer.Reset(pause)
		select {
		case <-s.timer.C:
		case <-s.closing:
			return 0, os.ErrClosed
		}
	}
}

// take gives the frames that the driver has now.
func (s *Source) take(frames []capture.Frame) (int, error) {
	s.mu.Lock()
	n, err, told := 0, error(nil), false
	switch {
	case s.closed:
		s.mu.Unlock()
		return 0, os.ErrClosed
	case s.h != nil:
		if n, err = s.fill(frames); err != nil {
			s.lose()
			err, told = fmt.Errorf("interface %s: lost: %w", s.name, err), true
		}
	case time.Since(s.lost) >= retryAfter:
		told = s.regain()
	}
	s.mu.Unlock()
	if told && s.report != nil {
		s.report(err)
	}
	return n, nil
}

// fill copies frames out of the DLL while there is room for a whole one. With an
// error come the frames before it.
func (s *Source) fill(frames []capture.Frame) (n int, err error) {
	free := s.buf
	for n < len(frames) && len(free) >= s.snap {
		ok, err := s.h.next(&s.rec)
		if err != nil || !ok {
			return n, err
		}
		data := s.rec.data[:min(len(s.rec.data), s.snap)]
		size := copy(free, data)
		s.stats.Received++
		s.stats.Bytes += uint64(size)
		f := &frames[n]
		*f = capture.Frame{
			Data:   free[:size:size],
			Time:   int64(s.rec.sec)*1e9 + int64(s.rec.usec)*1e3,
			Length: max(int(s.rec.length), len(s.rec.data)),
			Number: s.stats.Received,
			Link:   s.link,
		}
		if f.Length > size {
			s.stats.Truncated++
		}
		free = free[size:]
		n++
	}
	return n, nil
}

// lose closes a device that failed.
func (s *Source) lose() {
	s.count()
	s.h.close()
	s.h, s.seen, s.lost = nil, 0, time.Now()
}

// regain tries to open the interface again.
func (s *Source) regain() bool {
	h, link, err := s.open()
	if err != nil {
		s.lost = time.Now()
		return false
	}
	s.h, s.link = h, link
	return true
}

// count adds what the driver dropped since it was last asked.
func (s *Source) count() {
	if s.h == nil {
		return
	}
	if now, err := s.h.drops(); err == nil {
		s.stats.Dropped += uint64(now - s.seen)
		s.seen = now
	}
}

// Stats counts frames; Dropped is what the driver had no room for, or the
// adapter lost.
func (s *Source) Stats() capture.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count()
	return s.stats
}

// Close ends the capture, and a Read under way. The frames of the last Read stay
// as they are.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.closing)
	s.count()
	if s.h != nil {
		s.h.close()
		s.h = nil
	}
	return nil
}
