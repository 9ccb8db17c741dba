package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// enough is how many bytes are not held back for more.
	enough = 256 << 10
	// most is how large a buffer is kept for what comes next.
	most = 16 << 20
	// again is how long a disk that failed is left alone.
	again = 200 * time.Millisecond
	// stateEvery is how old the state on disk may be.
	stateEvery = 100 * time.Millisecond
	ageEvery   = time.Minute
)

// commitAll writes and syncs what is appended until the spool is closed.
func (s *Spool) commitAll() {
	defer close(s.done)
	states, ages := time.NewTicker(stateEvery), time.NewTicker(ageEvery)
	defer states.Stop()
	defer ages.Stop()
	var told uint64 // acked of the state on disk
	failing := false
	var retry <-chan time.Time
	for {
		ending := false
		select {
		case <-s.work:
			s.gather()
		case <-retry:
		case <-states.C:
			s.mu.Lock()
			acked := s.acked
			s.mu.Unlock()
			if acked != told && s.tidy() == nil {
				told = acked
			}
			continue
		case <-ages.C:
			s.bound()
			continue
		case <-s.stop:
			ending = true
		}
		err := s.commit()
		retry = nil
		switch {
		case err != nil:
			retry = time.After(again)
			if !failing {
				s.o.Report(Trouble{What: Unwritable, Err: err})
			}
		case failing:
			s.o.Report(Trouble{What: Writable})
		}
		failing = err != nil
		s.bound()
		if ending {
			for _, l := range s.logs {
				l.endSegment()
			}
			return
		}
	}
}

// gather waits for more to sync at once.
func (s *Spool) gather() {
	s.mu.Lock()
	waiting := s.waiting
	s.mu.Unlock()
	if waiting >= enough {
		return
	}
	select {
	case <-time.After(s.o.Late):
	case <-s.stop:
	}
}

// commit writes what is pending and syncs it. What fails stays under way, and is
// read from there meanwhile; once all of it was, the state is what is tried.
func (s *Spool) commit() (err error) {
	failing, wrote := s.unwritable, false // which changes here alone
	s.mu.Lock()
	s.gathered = s.seq
	for _, l := range s.logs {
		if failing {
			s.forget(l)
		}
		if len(l.pending) > 0 && len(l.writes) == 0 {
			l.pending, l.writes = l.writes, l.pending
		} else {
			l.writes = append(l.writes, l.pending...)
			l.pending = l.pending[:0]
		}
	}
	s.mu.Unlock()
	for _, l := range s.logs {
		if len(l.writes) == 0 {
			continue
		}
		err = s.write(l)
		if errors.Is(err, errSync) || errors.Is(err, errGone) {
			// What the file has is not known, or nobody will find it: all of it goes
			// to another.
			l.endSegment()
			err = s.write(l)
		}
		if err != nil {
			s.undo(l)
			break
		}
		wrote = true
	}
	if failing && !wrote && err == nil {
		err = s.tidy()
	}
	s.mu.Lock()
	if err == nil {
		s.synced = s.gathered
	}
	s.unwritable = err != nil
	s.mu.Unlock()
	s.signal(s.come)
	return err
}

// forget leaves out of what is under way the records that were read from there
// and acknowledged.
func (s *Spool) forget(l *level) {
	for len(l.writes) > 0 {
		n := frameLen(l.writes)
		var f frame
		if f.read(l.writes[:n]); f.seq > s.acked {
			return
		}
		l.writes = l.writes[n:]
		l.at = max(l.at-n, 0)
		s.waiting -= n
	}
}

var (
	// errSync is in the error of a write that reached the file and perhaps not the
	// disk.
	errSync = errors.New("sync")
	// errGone is in the error of a write to a file that has no name any more.
	errGone = errors.New("it was removed, or the folder was")
)

// undo takes back what a failed write left of a segment, so that it does not keep
// the room that others need, and ends it.
func (s *Spool) undo(l *level) {
	seg := l.active
	if seg == nil {
		return
	}
	if seg.size > 0 {
		_ = l.file.Truncate(seg.size) // at worst it is passed over when it is read
		l.endSegment()
		return
	}
	l.endSegment()
	s.reading.Lock()
	defer s.reading.Unlock()
	s.mu.Lock()
	for n := range s.logs {
		if s.logs[n] == l {
			s.readers[n].leave(seg)
		}
	}
	l.segments = slices.DeleteFunc(l.segments, func(x *segment) bool { return x == seg })
	s.mu.Unlock()
	_ = os.Remove(seg.path) // at worst it is empty, or passed over
}

// write writes and syncs the frames of a level that are under way.
func (s *Spool) write(l *level) error {
	if l.file == nil || l.active.size >= s.o.Segment {
		if err := s.newSegment(l); err != nil {
			return err
		}
	}
	if _, err := l.file.WriteAt(l.writes, l.active.size); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("%w: %w", errSync, err)
	}
	if err := s.present(l); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := l.writes; len(b) > 0; {
		n := frameLen(b)
		var f frame
		f.read(b[:n])
		if l.active.first == 0 {
			l.active.first = f.nth
		}
		l.active.last, l.active.newest, l.active.tail = f.seq, f.time, f.nth
		b = b[n:]
	}
	l.synced = l.active.tail
	l.active.size += int64(len(l.writes))
	s.waiting -= len(l.writes)
	l.writes, l.at = l.writes[:0], 0
	if cap(l.writes) > most {
		l.writes = nil
	}
	return nil
}

// present tells whether the file that is written to is the one that its name
// stands for: another, or none, is not there after a restart.
func (s *Spool) present(l *level) error {
	written, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", errSync, err)
	}
	named, err := os.Stat(l.active.path)
	if err == nil && os.SameFile(written, named) {
		return nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", errSync, err)
	}
	s.mu.Lock()
	l.active.gone = true
	s.mu.Unlock()
	err = fmt.Errorf("%s: %w", l.active.path, errGone)
	s.o.Report(Trouble{What: Damaged, Path: l.active.path, Err: err})
	return err
}

// newSegment begins a segment. Its name is on disk when it returns.
func (s *Spool) newSegment(l *level) error {
	l.endSegment()
	n := 0
	for s.logs[n] != l {
		n++
	}
	number := l.number + 1
	path := filepath.Join(s.o.Dir, segmentName(n, number))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = s.remake(); err == nil {
			f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		}
	}
	if os.IsExist(err) {
		// It was begun when the disk failed, and nothing of it was synced.
		f, err = os.OpenFile(path, os.O_TRUNC|os.O_WRONLY, 0o600)
	}
	if err != nil {
		return err
	}
	if err := syncFolder(s.o.Dir); err != nil {
		f.Close()
		return err
	}
	l.number, l.file, l.active = number, f, &segment{path: path, number: number}
	s.mu.Lock()
	l.segments = append(l.segments, l.active)
	s.mu.Unlock()
	return nil
}

// remake makes the folder anew, which is gone, and with it who had it locked.
func (s *Spool) remake() error {
	if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(s.o.Dir, lockName))
	if err != nil {
		return err
	}
	s.lock.Close()
	s.lock = lock
	return nil
}

// endSegment writes no more to the segment under way.
func (l *level) endSegment() {
	if l.file != nil {
		l.file.Close()
		l.file, l.active = nil, nil
	}
}

// tidy brings the state on disk up to date and removes the segments that are
// done with: of a level that is not being written, as on a full disk, the last too,
// or what it takes would never be room for others.
func (s *Spool) tidy() error {
	s.reading.Lock()
	defer s.reading.Unlock()
	err := s.writeState()
	s.mu.Lock()
	var done []*segment
	for n, l := range s.logs {
		r := &s.readers[n]
		for len(l.segments) > 1 && l.segments[0].tail <= l.acked && (r.seg == nil || r.seg.number > l.segments[0].number) {
			done = append(done, l.segments[0])
			l.segments = l.segments[1:]
		}
		if len(l.segments) == 1 && l.active == nil && l.segments[0].tail <= l.acked {
			r.leave(l.segments[0])
			done = append(done, l.segments[0])
			l.segments = nil
		}
	}
	s.mu.Unlock()
	for _, seg := range done {
		_ = seg.remove() // at worst it is looked through again
	}
	if err != nil && len(done) > 0 {
		err = s.writeState() // on a full disk there is room now
	}
	return err
}

// bound gives up the oldest of the lowest level until the bound on bytes holds,
// what is too old, and what cannot be read.
func (s *Spool) bound() {
	s.reading.Lock()
	var troubles []Trouble
	var gone []*segment
	s.mu.Lock()
	over := func(n int, seg *segment, what What, why error) {
		l := s.logs[n]
		if l.active == seg {
			l.endSegment()
		}
		given := uint64(0) // what the reader has in its hands is not lost
		if len(s.batch) > 0 {
			given = s.readers[n].given
		}
		if lost := l.drop(seg, given); lost > 0 || why != nil {
			troubles = append(troubles, Trouble{What: what, Level: n, Records: lost, Path: seg.path, Err: why})
		}
		s.readers[n].leave(seg)
		gone = append(gone, seg)
	}
	for n := 0; n < len(s.logs) && s.bytes() > s.o.Max; {
		if l := s.logs[n]; len(l.segments) > 0 {
			over(n, l.segments[0], Dropped, nil)
		} else {
			n++
		}
	}
	if s.o.Age > 0 {
		before := s.o.Now().Add(-s.o.Age).UnixNano()
		for n, l := range s.logs {
			for len(l.segments) > 0 && l.segments[0].newest != 0 && l.segments[0].newest < before {
				over(n, l.segments[0], Dropped, nil)
			}
		}
	}
	for n, l := range s.logs {
		// What was read before it is acknowledged first, or it would be lost too.
		i := slices.IndexFunc(l.segments, func(x *segment) bool { return x.broken != nil })
		if i >= 0 && len(s.batch) == 0 {
			l.segments[i].damaged = true
			over(n, l.segments[i], Damaged, l.segments[i].broken)
		}
	}
	s.mu.Unlock()
	if len(gone) > 0 {
		_ = s.writeState() // at worst these are told to be lost again
	}
	for _, seg := range gone {
		_ = seg.remove() // at worst it is given again
	}
	s.reading.Unlock()
	for _, t := range troubles {
		s.o.Report(t)
	}
}

// drop takes a segment out of the log and gives how many of its records were
// neither acknowledged nor given.
func (l *level) drop(seg *segment, given uint64) (lost uint64) {
	l.segments = slices.DeleteFunc(l.segments, func(x *segment) bool { return x == seg })
	if from := max(l.acked, given, seg.first-1); seg.tail > from {
		lost = seg.tail - from
	}
	l.acked = max(l.acked, seg.tail)
	return lost
}
