// Package merge makes one source of several live ones, such as those of the two
// interfaces on which a tap gives the two directions of a line. Their frames come
// in the order of their times.
package merge

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kmswatch/capture"
)

// batchSize is how many frames are taken from a source at once.
const batchSize = 256

// Source gives the frames of several sources. Read is for one goroutine, Stats
// and Close are for any.
type Source struct {
	lanes []*lane
	hold  int64      // nanoseconds
	ready chan *lane // those whose source answered; room for all
	timer *time.Timer

	number uint64
	closed atomic.Bool
	done   chan struct{} // closed by Close
	once   sync.Once
}

// lane is one of the sources, read by a goroutine of its own.
type lane struct {
	src   capture.Source
	index int32
	back  chan struct{} // lets the goroutine read on, which makes its frames invalid

	// Of the goroutine while it reads, else of Read.
	frames [batchSize]capture.Frame
	n, at  int // frames that came, and how many of them were given
	err    error

	state state
}

type state uint8

const (
	reading state = iota // its goroutine waits for the source
	atHand               // there are frames that were not given yet
	spent                // all were given; they are valid until the next Read
	ended
)

// New reads the sources from now on, which are its own from now on. A frame is
// held back until each of the other sources gave a later one, or for the time of
// hold, counted from the frame's own: as long as a source may take to hand over a
// frame that came to it.
func New(sources []capture.Source, hold time.Duration) *Source {
	s := &Source{
		hold:  int64(hold),
		ready: make(chan *lane, len(sources)),
		timer: time.NewTimer(0),
		done:  make(chan struct{}),
	}
	for i, src := range sources {
		l := &lane{src: src, index: int32(i), back: make(chan struct{}, 1)}
		s.lanes = append(s.lanes, l)
		go l.read(s.ready)
	}
	return s
}

func (l *lane) read(ready chan<- *lane) {
	for {
		l.n, l.err = l.src.Read(l.frames[:])
		l.at = 0
		ready <- l
		if l.err != nil {
			return
		}
		<-l.back
	}
}

// Read gives frames, valid until the next Read; Interface is the index of their
// source. It returns 0 and no error when a source had no frame for a while and
// none of another waits. A source that fails is told of once, after its last
// frame, and the others are read on. When all have ended it returns io.EOF;
// after Close, os.ErrClosed.
func (s *Source) Read(frames []capture.Frame) (int, error) {
	for _, l := range s.lanes {
		if l.state == spent {
			s.leave(l)
		}
	}
	if s.closed.Load() {
		for _, l := range s.lanes {
			if l.state == atHand {
				s.leave(l)
			}
		}
		return 0, os.ErrClosed
	}
	if len(frames) == 0 {
		return 0, nil
	}
	idle := false
	for {
		for more := true; more; {
			select {
			case l := <-s.ready:
				idle = s.answered(l) || idle
			default:
				more = false
			}
		}
		n, wait := s.fill(frames)
		if n > 0 {
			return n, nil
		}
		if err := s.over(); err != nil {
			return 0, err
		}
		if wait == 0 && idle {
			return 0, nil
		}
		var due <-chan time.Time
		if wait > 0 {
			s.timer.Reset(time.Duration(wait))
			due = s.timer.C
		}
		select {
		case l := <-s.ready:
			idle = s.answered(l) || idle
		case <-due:
		case <-s.done:
			return 0, os.ErrClosed
		}
	}
}

// over gives the failure of a source that was not told yet, or io.EOF when all
// have ended.
func (s *Source) over() error {
	going := false
	for _, l := range s.lanes {
		if l.state == spent && l.err != nil {
			l.state = ended
			if l.err != io.EOF {
				return fmt.Errorf("source %d: %w", l.index+1, l.err)
			}
		}
		going = going || l.state != ended
	}
	if !going {
		return io.EOF
	}
	return nil
}

// leave takes leave of the frames of a source: it is read on, or over.
func (s *Source) leave(l *lane) {
	if l.err != nil {
		return
	}
	l.state = reading
	l.back <- struct{}{}
}

// answered takes what a source answered, and reports whether it had nothing.
func (s *Source) answered(l *lane) (idle bool) {
	if l.n > 0 {
		l.state = atHand
		return false
	}
	l.state = spent
	idle = l.err == nil
	s.leave(l)
	return idle
}

// fill gives the frames that may be given. Where there are none but some are at
// hand it tells how many nanoseconds to wait for the first.
func (s *Source) fill(frames []capture.Frame) (n int, wait int64) {
	now := time.Now().UnixNano()
	for n < len(frames) {
		var first *lane
		until := int64(1<<63 - 1) // the time of another source's first frame
		missing := false
		for _, l := range s.lanes {
			if l.state != atHand {
				missing = missing || l.state == reading || l.state == spent && l.err == nil
				continue
			}
			switch t := l.frames[l.at].Time; {
			case first == nil:
				first = l
			case t < first.frames[first.at].Time:
				first, until = l, min(until, first.frames[first.at].Time)
			default:
				until = min(until, t)
			}
		}
		if first == nil {
			return n, 0
		}
		for n < len(frames) && first.state == atHand {
			f := &first.frames[first.at]
			if f.Time > until {
				break
			}
			// A time to come is of a clock that is not ours, and says nothing.
			if age := now - f.Time; missing && age >= 0 && age < s.hold {
				return n, s.hold - age
			}
			frames[n] = *f
			s.number++
			frames[n].Number, frames[n].Interface = s.number, first.index
			n++
			if first.at++; first.at == first.n {
				first.state = spent
			}
		}
	}
	return n, 0
}

// Stats sums those of the sources.
func (s *Source) Stats() capture.Stats {
	var sum capture.Stats
	for _, l := range s.lanes {
		sum = sum.Plus(l.src.Stats())
	}
	return sum
}

// Close closes the sources and unblocks Read.
func (s *Source) Close() error {
	var first error
	s.once.Do(func() {
		s.closed.Store(true)
		close(s.done)
		for _, l := range s.lanes {
			if err := l.src.Close(); err != nil && first == nil {
				first = err
			}
		}
	})
	return first
}
