package spool

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"time"
)

// Record is a record as it is read.
type Record struct {
	Seq   uint64
	Level int
	Time  int64  // when it was appended, nanoseconds since the Unix epoch
	Data  []byte // valid until Ack
}

// Bounds of a batch that Next gives.
const (
	MaxBatch      = 2000
	maxBatchBytes = 2 << 20
)

// reader reads a level.
type reader struct {
	seg    *segment // nil: none is open
	file   *os.File
	cursor cursor
	nth    uint64 // of the last record given or passed over
	head   frame  // the next record, whose data is kept
	has    bool   // there is one
	kept   []byte
	given  uint64    // nth of the last record of the batch
	ill    *segment  // that could not be read last; nil: none
	since  time.Time // that it could not be
}

// Next gives the oldest records that are not acknowledged, in the order of
// appending: the same ones until Ack. It waits for the first. What it gives is
// on disk, or in memory while the disk takes nothing. The error is that of ctx,
// os.ErrClosed, or the disk's: then some records cannot be read, for now; if that
// lasts they are given up.
func (s *Spool) Next(ctx context.Context) ([]Record, error) {
	for {
		select {
		case <-s.stop:
			return nil, os.ErrClosed
		default:
		}
		batch, troubles, err := s.next()
		for _, t := range troubles {
			s.o.Report(t)
		}
		if len(batch) > 0 || err != nil {
			return batch, err
		}
		select {
		case <-s.come:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.stop:
			return nil, os.ErrClosed
		}
	}
}

func (s *Spool) next() ([]Record, []Trouble, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if len(s.batch) > 0 {
		return s.batch, nil, nil
	}
	s.mu.Lock()
	limit := s.synced
	if s.unwritable {
		limit = s.gathered
	}
	s.mu.Unlock()
	s.arena = s.arena[:0]
	var troubles []Trouble
	var ends []int // of each record's data in the arena
	for len(s.batch) < MaxBatch && len(s.arena) < maxBatchBytes {
		best := -1
		for n := range s.readers {
			lost, err := s.load(n, limit)
			if lost > 0 {
				troubles = append(troubles, Trouble{What: Damaged, Level: n, Records: lost, Path: s.readers[n].path()})
			}
			if err != nil && len(s.batch) == 0 {
				return nil, troubles, err
			}
			if err != nil { // what there is, first: it comes again
				return s.filled(ends), troubles, nil
			}
			if s.readers[n].has && (best < 0 || s.readers[n].head.seq < s.readers[best].head.seq) {
				best = n
			}
		}
		if best < 0 {
			break
		}
		r := &s.readers[best]
		s.arena = append(s.arena, r.head.data...)
		ends = append(ends, len(s.arena))
		s.batch = append(s.batch, Record{Seq: r.head.seq, Level: best, Time: r.head.time})
		r.has, r.given = false, r.head.nth
	}
	return s.filled(ends), troubles, nil
}

// filled gives the batch its data, which ends in the arena at ends.
func (s *Spool) filled(ends []int) []Record {
	from := 0
	for i, end := range ends {
		s.batch[i].Data = s.arena[from:end:end]
		from = end
	}
	return s.batch
}

func (r *reader) path() string {
	if r.seg != nil {
		return r.seg.path
	}
	return ""
}

// load gets the head of a level, if it has a record up to limit, and tells how
// many before it are missing.
func (s *Spool) load(n int, limit uint64) (lost uint64, err error) {
	r := &s.readers[n]
	from := uint64(0) // number of the segment to read, or of the next there is
	if r.seg != nil {
		from = r.seg.number
	}
	for !r.has {
		s.mu.Lock()
		l := s.logs[n]
		i := slices.IndexFunc(l.segments, func(x *segment) bool { return x.number >= from })
		if i < 0 {
			s.mu.Unlock()
			return lost + s.loadWaiting(n, limit), nil
		}
		seg, size, newest := l.segments[i], l.segments[i].size, i == len(l.segments)-1
		acked := s.acked
		r.nth = max(r.nth, l.acked)
		s.mu.Unlock()
		if seg != r.seg {
			if err := s.openSegment(n, seg, size); err != nil {
				s.suspect(r, seg, err)
				return lost, err
			}
			continue
		}
		r.cursor.end = size
		skipped := r.cursor.skipped
		var f frame
		switch err := r.cursor.next(&f); {
		case err == io.EOF && newest:
			return lost + s.loadWaiting(n, limit), nil
		case err == io.EOF:
			if r.cursor.at < size {
				seg.damaged = true
			}
			from = seg.number + 1
			continue
		case err != nil:
			s.suspect(r, seg, err)
			return lost, err
		}
		r.ill = nil
		if r.cursor.skipped != skipped {
			seg.damaged = true
		}
		if f.seq <= acked || f.nth <= r.nth {
			r.nth = max(r.nth, f.nth)
			continue
		}
		if f.seq > limit {
			r.cursor.at -= int64(headerLen + len(f.data))
			return lost, nil
		}
		lost += r.keep(&f)
	}
	return lost, nil
}

// keep makes a record the head, and tells how many before it are missing.
func (r *reader) keep(f *frame) (lost uint64) {
	if f.nth > r.nth+1 {
		lost = f.nth - r.nth - 1
	}
	r.kept = append(r.kept[:0], f.data...)
	r.head, r.has, r.nth = frame{f.seq, f.nth, f.time, r.kept}, true, f.nth
	return lost
}

// loadWaiting is load where the disk has no more, and takes none.
func (s *Spool) loadWaiting(n int, limit uint64) (lost uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, r := s.logs[n], &s.readers[n]
	if !s.unwritable {
		return 0
	}
	for l.at < len(l.writes) {
		b := l.writes[l.at:]
		size := frameLen(b)
		var f frame
		if f.read(b[:size]); f.seq > limit {
			break
		}
		l.at += size
		if f.seq > s.acked && f.nth > r.nth {
			return r.keep(&f)
		}
	}
	return 0
}

// suspect gives up a segment that could not be read for long.
func (s *Spool) suspect(r *reader, seg *segment, err error) {
	now := s.o.Now()
	if r.ill != seg {
		r.ill, r.since = seg, now
	}
	if now.Sub(r.since) < s.o.Patience {
		return
	}
	s.mu.Lock()
	seg.broken = err
	s.mu.Unlock()
	s.signal(s.work)
}

// openSegment begins to read a segment. One that is gone is left out: that its
// records are missing is seen at the next.
func (s *Spool) openSegment(n int, seg *segment, size int64) error {
	err := s.readers[n].open(seg, size)
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.logs[n]
	if !seg.gone && seg == l.segments[len(l.segments)-1] {
		return err // it is being written
	}
	l.segments = slices.DeleteFunc(l.segments, func(x *segment) bool { return x == seg })
	return nil
}

func (r *reader) open(seg *segment, size int64) error {
	f, err := os.Open(seg.path)
	if err != nil {
		return err // with what was open as it was: the next try begins there
	}
	r.close()
	r.seg, r.file = seg, f
	r.cursor = cursor{from: f, end: size, buf: r.cursor.buf[:0]}
	return nil
}

func (r *reader) close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}

// leave reads no more of a segment that is given up.
func (r *reader) leave(seg *segment) {
	if r.seg == seg {
		r.close()
		r.seg = nil
	}
	r.nth = max(r.nth, seg.tail)
	if r.has && r.head.nth <= seg.tail {
		r.has = false
	}
}

// Ack acknowledges the records that Next gave: they are not given again. Soon
// after, the files of which all records are acknowledged are removed.
func (s *Spool) Ack() {
	s.reading.Lock()
	defer s.reading.Unlock()
	if len(s.batch) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = s.batch[len(s.batch)-1].Seq
	s.batch = s.batch[:0]
	for n, l := range s.logs {
		l.acked = max(l.acked, s.readers[n].given)
	}
}
