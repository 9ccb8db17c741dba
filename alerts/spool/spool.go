package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options of Open. Dir is needed; the zero value of another field is its
// default.
type Options struct {
	Dir      string
	Levels   int           // how many; 1
	Segment  int64         // bytes of a segment, about; 16 MiB
	Max      int64         // bytes of all segments, about; 1 GiB
	Age      time.Duration // after which a record is given up; 0 is never
	Late     time.Duration // a record waits for others to be synced with; 5 ms
	Waiting  int           // bytes that may wait for the disk; 64 MiB
	Patience time.Duration // after which a file that cannot be read is set aside; 10 s

	Now    func() time.Time // time.Now when nil
	Report func(Trouble)    // is told what befell, from any goroutine; nil is nobody
}

func (o *Options) setDefaults() {
	def := func(p *int64, v int64) {
		if *p <= 0 {
			*p = v
		}
	}
	o.Levels = max(o.Levels, 1)
	def(&o.Segment, 16<<20)
	def(&o.Max, 1<<30)
	if o.Late <= 0 {
		o.Late = 5 * time.Millisecond
	}
	if o.Waiting <= 0 {
		o.Waiting = 64 << 20
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = func(Trouble) {}
	}
}

// Trouble is something that befell a spool.
type Trouble struct {
	What    What
	Level   int    // of Dropped and Damaged
	Records uint64 // that are lost, of Dropped and Damaged
	Path    string // of the file, if it is one's
	Err     error  // of Unwritable; of Damaged iff it is a file that was removed or cannot be read
}

// What befell a spool.
type What uint8

// Troubles.
const (
	Dropped    What = iota // records made room for others, or were too old
	Damaged                // records, or a file, were not read as they were written
	Unwritable             // the disk takes nothing; what comes waits in memory, and is read from there
	Writable               // it takes again, and all that waits
)

func (w What) String() string {
	return [...]string{"dropped", "damaged", "unwritable", "writable"}[w]
}

var (
	// ErrFull is the error of Append when as much waits for the disk as may.
	ErrFull = errors.New("the spool's memory is full")
	// ErrInUse is the error of Open when another process has the folder.
	ErrInUse = errors.New("the spool is in use by another process")
)

// Spool is a spool. Append is for any goroutine, Next and Ack are for one.
type Spool struct {
	o    Options
	lock *os.File

	work chan struct{} // there is something to commit
	come chan struct{} // there is something to read
	stop chan struct{}
	done chan struct{}

	mu         sync.Mutex
	logs       []*level
	seq        uint64 // of the last record appended
	synced     uint64 // records up to here are on disk
	gathered   uint64 // records up to here are on disk or under way
	acked      uint64
	waiting    int  // bytes appended and not synced
	unwritable bool // the disk took nothing when it was tried last
	closed     bool

	reading sync.Mutex // taken before mu
	readers []reader
	batch   []Record
	arena   []byte
}

// level is the log of a level.
type level struct {
	segments []*segment // in order; the reader's is the first
	nth      uint64     // of the last record appended
	synced   uint64     // nth of the last record on disk
	acked    uint64     // nth of the last record acknowledged
	pending  []byte     // frames that wait
	writes   []byte     // frames under way; changed by the goroutine that commits alone
	at       int        // in writes, how far they were read

	// Of the goroutine that commits.
	number uint64   // of the newest segment
	file   *os.File // to which it is written; nil: none
	active *segment // likewise
}

// Open opens the spool of a folder, which it makes if it is not there, and looks
// through what is in it; it reports what of that was lost. An error means that
// nothing can be kept there.
func Open(o Options) (*Spool, error) {
	o.setDefaults()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	lock, err := lockFile(filepath.Join(o.Dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	s := &Spool{
		o: o, lock: lock,
		work: make(chan struct{}, 1), come: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
		readers: make([]reader, o.Levels),
	}
	if err := s.recover(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	go s.commitAll()
	return s, nil
}

// recover finds out what is in the folder.
func (s *Spool) recover() error {
	logs, err := list(s.o.Dir, s.o.Levels)
	if err != nil {
		return err
	}
	acked, seq, ends := s.readState()
	s.acked, s.seq = acked, max(seq, acked)
	for n, segments := range logs {
		l := new(level)
		if n < len(ends) {
			l.acked = ends[n].acked
		}
		s.logs = append(s.logs, l)
		for i, seg := range segments {
			l.number = seg.number
			whole, done, err := seg.scan(s.acked)
			if err != nil {
				return err
			}
			if i == len(segments)-1 && whole < seg.size {
				// The machine stopped while this was written: it was not synced.
				if err := os.Truncate(seg.path, whole); err != nil {
					return err
				}
				seg.size, seg.damaged = whole, false
			}
			if n >= len(ends) && len(l.segments) == 0 && seg.first != 0 {
				l.acked = seg.first - 1 // the state is gone: no earlier loss can be told
			}
			l.nth, l.acked, s.seq = max(l.nth, seg.tail), max(l.acked, done), max(s.seq, seg.last)
			if seg.last <= s.acked { // or it has no record
				if err := seg.remove(); err != nil {
					return err
				}
				continue
			}
			l.segments = append(l.segments, seg)
		}
		if l.nth = max(l.nth, l.acked); n < len(ends) && ends[n].synced > l.nth {
			s.o.Report(Trouble{What: Damaged, Level: n, Records: ends[n].synced - l.nth})
		}
		l.synced = l.nth
	}
	s.synced = s.seq
	if s.synced > s.acked {
		s.signal(s.come)
	}
	return nil
}

// Append takes a record of a level, whose data it copies, and gives its number
// of order. It does not wait for the disk.
func (s *Spool) Append(n int, data []byte) (seq uint64, err error) {
	if len(data) > MaxRecord {
		return 0, fmt.Errorf("a record of %d bytes is longer than %d", len(data), MaxRecord)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch size := headerLen + len(data); {
	case s.closed:
		return 0, os.ErrClosed
	case s.waiting+size > s.o.Waiting:
		return 0, ErrFull
	default:
		s.waiting += size
	}
	l := s.logs[n]
	s.seq++
	l.nth++
	l.pending = appendFrame(l.pending, &frame{s.seq, l.nth, s.o.Now().UnixNano(), data})
	s.signal(s.work)
	return s.seq, nil
}

// signal wakes who waits on c, now or next.
func (s *Spool) signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Synced tells up to which record all are on disk.
func (s *Spool) Synced() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.synced
}

// Depth is what a spool holds.
type Depth struct {
	Unwritable bool          // the disk takes nothing: what came since is in memory alone
	Records    uint64        // not yet acknowledged
	Bytes      int64         // on disk
	Oldest     time.Duration // since the last record of the oldest segment; 0 with none
}

// Depth tells what is held.
func (s *Spool) Depth() Depth {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := Depth{Bytes: s.bytes(), Unwritable: s.unwritable}
	now := s.o.Now().UnixNano()
	for _, l := range s.logs {
		d.Records += l.nth - l.acked
		if len(l.segments) > 0 && l.segments[0].newest != 0 {
			d.Oldest = max(d.Oldest, time.Duration(now-l.segments[0].newest))
		}
	}
	return d
}

func (s *Spool) bytes() (n int64) {
	for _, l := range s.logs {
		for _, seg := range l.segments {
			n += seg.size
		}
	}
	return n
}

// Close syncs what was appended and ends the spool; what cannot be written is
// lost, and the error says so. A Next that waits returns os.ErrClosed.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.stop)
	<-s.done
	err := s.tidy()
	s.reading.Lock()
	for i := range s.readers {
		s.readers[i].close()
	}
	s.reading.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.seq - max(s.synced, s.acked); n > 0 {
		err = fmt.Errorf("spool %s: %d records could not be written and are lost", s.o.Dir, n)
	}
	s.lock.Close()
	return err
}

// lockName is the file that says whose the folder is.
const lockName = "lock"

// stateName is the file that remembers how far the reader is and how much there
// was. It is not synced: at worst records are given again. No segment is removed
// before it says that its records were acknowledged or dropped.
const stateName = "state"

// ends is what the state says of a level.
type ends struct{ acked, synced uint64 } // nths

func (s *Spool) writeState() error {
	s.mu.Lock()
	b := binary.LittleEndian.AppendUint64(nil, s.acked)
	b = binary.LittleEndian.AppendUint64(b, s.synced)
	for _, l := range s.logs {
		b = binary.LittleEndian.AppendUint64(b, l.acked)
		b = binary.LittleEndian.AppendUint64(b, l.synced)
	}
	s.mu.Unlock()
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	path := filepath.Join(s.o.Dir, stateName)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// readState reads what writeState wrote; nothing, if it does not hold.
func (s *Spool) readState() (acked, seq uint64, levels []ends) {
	b, err := os.ReadFile(filepath.Join(s.o.Dir, stateName))
	if err != nil || len(b) < 20 || len(b)%16 != 4 {
		return 0, 0, nil
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[len(body):]) {
		return 0, 0, nil
	}
	for i := 16; i < len(body); i += 16 {
		levels = append(levels, ends{binary.LittleEndian.Uint64(body[i:]), binary.LittleEndian.Uint64(body[i+8:])})
	}
	return binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint64(body[8:]), levels
}
