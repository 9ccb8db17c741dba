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
	// batchBytes is room for the frames of one Read: small enough for the L2
	// cache, large enough for some frames of any size.
	batchBytes = 512 << 10
)

// Source gives the frames of one interface. Read is for one goroutine, Stats and
// Close are for any.
type Source struct {
	name    string
	snap    int
	wait    time.Duration
	timer   *time.Timer
	closing chan struct{}

	mu     sync.Mutex // held within the DLL
	h      handle
	closed bool
	failed error // why the interface gives no more
	link   capture.LinkType
	buf    []byte // the frames of the last Read
	rec    record
	seen   uint32 // what drops gave last
	stats  capture.Stats
}

// newSource reads from an open device.
func newSource(name string, o Options, h handle, link capture.LinkType) *Source {
	return &Source{
		name:    name,
		snap:    o.Snap,
		wait:    o.Wait,
		timer:   time.NewTimer(0),
		closing: make(chan struct{}),
		h:       h,
		link:    link,
		buf:     make([]byte, max(batchBytes, 2*o.Snap)),
	}
}

// decoded tells whether frames of a link type are of use. Npcap gives Ethernet
// frames, also of wireless adapters unless they monitor, and loopback as BSD has
// it.
func decoded(l capture.LinkType) bool {
	switch l {
	case capture.LinkEthernet, capture.LinkNull, capture.LinkPPP, capture.LinkRawBSD, capture.LinkRawOpenBSD,
		capture.LinkRaw, capture.LinkLoop, capture.LinkIPv4, capture.LinkIPv6:
		return true
	}
	return false
}

// Read gives the frames that have come, at least one, or none and no error when
// none came within Options.Wait. Their data is valid until the next Read. When the
// interface is gone it returns why, after the last frames: from then on nothing
// comes, and the source is to be opened anew. After Close it returns os.ErrClosed.
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

// take gives the frames that the driver has now, as many as there is room for
// whole ones.
func (s *Source) take(frames []capture.Frame) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, os.ErrClosed
	}
	n := 0
	for free := s.buf; s.failed == nil && n < len(frames) && len(free) >= s.snap; n++ {
		ok, err := s.h.next(&s.rec)
		if err != nil {
			s.failed = fmt.Errorf("interface %s: %w", s.name, err)
		}
		if err != nil || !ok {
			break
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
	}
	if n == 0 {
		return 0, s.failed
	}
	return n, nil
}

// count adds what the driver dropped since it was last asked.
func (s *Source) count() {
	if s.closed {
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
	s.count()
	s.closed = true
	close(s.closing)
	s.h.close()
	return nil
}
