// Package linefile writes lines to a file that is set aside and begun anew by
// size, by time, or when somebody has moved it away. It is given whole lines and
// never splits one; a file that was set aside has the time in its name, is
// compressed if that is wished, and removed when there are enough.
//
// Of alerts.ndjson those are alerts-20260304T050607Z.ndjson, with _2, _3 and so
// on behind the time if it is not the first of its second, and .gz behind all.
//
// What is written is synced once a second, when a file is set aside, and at the
// end: it is for people and shippers of logs. What may not be lost goes to a spool.
package linefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Options says which file, and when it is set aside. Path is needed.
type Options struct {
	Path  string
	Size  int64         // bytes that it does not exceed, but for a line that is longer; 0: any
	Every time.Duration // at each multiple of it since the epoch, UTC; 0: never
	Keep  int           // files that were set aside and are left; 0: all
	Gzip  bool          // compress them

	Now    func() time.Time // time.Now when nil
	Report func(error)      // is told what failed and does not keep lines from being written, from any goroutine; nil is nobody
}

func (o *Options) rotates() bool { return o.Size > 0 || o.Every > 0 }

// File is such a file. Its methods are for one goroutine, but for Rotations.
type File struct {
	o       Options
	file    *os.File // nil: it could not be opened; the next Write tries again
	regular bool     // and no device or pipe, which is written to and nothing else
	size    int64
	period  int64     // number of the period that its first line is of
	torn    bool      // its end is no end of a line
	dirty   bool      // it was written to since it was synced
	failed  time.Time // when it could not be set aside; zero iff it could
	stamp   string    // in the name of the one set aside last
	nth     int       // of its second, from 1
	line    []byte

	rotations atomic.Uint64
	tidy      *tidier // nil: nothing is to be tidied
}

// again is how long after a file could not be set aside it is tried anew.
const again = time.Minute

// Open opens the file to append to it; it makes one that is not there.
func Open(o Options) (*File, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	f := &File{o: o}
	if err := f.open(); err != nil {
		return nil, err
	}
	if o.rotates() && !f.regular {
		f.file.Close()
		return nil, fmt.Errorf("%s is no regular file, and cannot be set aside by size or time", o.Path)
	}
	if o.rotates() && (o.Keep > 0 || o.Gzip) {
		f.tidy = newTidier(&f.o)
		f.tidy.wake() // for what a crash left
	}
	return f, nil
}

// open opens the file that has the name now, in place of the one before.
func (f *File) open() error {
	file, err := os.OpenFile(f.o.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	st, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	f.close()
	f.file, f.regular = file, st.Mode().IsRegular()
	f.size, f.torn = 0, false
	if f.regular {
		f.size = st.Size()
		f.period = f.number(st.ModTime())
		f.torn = f.size > 0 && !endsInLine(f.o.Path, f.size)
	}
	return nil
}

// endsInLine tells whether the last byte of a file is a line break. One that may
// not be read is taken to end in one.
func endsInLine(path string, size int64) bool {
	file, err := os.Open(path)
	if err != nil {
		return true
	}
	defer file.Close()
	var last [1]byte
	_, err = file.ReadAt(last[:], size-1)
	return err != nil || last[0] == '\n'
}

// number gives the number of the period that a time is of.
func (f *File) number(t time.Time) int64 {
	if f.o.Every <= 0 {
		return 0
	}
	every := int64(f.o.Every)
	n := t.UnixNano()
	if n < 0 {
		n -= every - 1
	}
	return n / every
}

// Write appends lines, whole or not at all. What came before a line that was torn
// by a crash or a full disk is ended by a line break first.
func (f *File) Write(b []byte) (int, error) {
	if f.file == nil {
		if err := f.reopen(); err != nil {
			return 0, err
		}
	}
	now := f.o.Now()
	if f.due(now, int64(len(b))) {
		if err := f.rotate(now); err != nil {
			return 0, err
		}
	}
	line := b
	if f.torn {
		f.line = append(append(f.line[:0], '\n'), b...)
		line = f.line
	}
	if f.size == 0 {
		f.period = f.number(now)
	}
	n, err := f.file.Write(line)
	f.dirty = true
	if err != nil && f.regular {
		if n > 0 && !f.takeBack(int64(n)) {
			f.size += int64(n)
			f.torn = true
		}
		return 0, err
	}
	f.size += int64(n)
	if err != nil {
		return n, err
	}
	f.torn = false
	return len(b), nil
}

// takeBack takes back a part of a line that was written: it is of no use, and has
// the room of others. What another process wrote behind it stays.
func (f *File) takeBack(n int64) bool {
	st, err := f.file.Stat()
	return err == nil && st.Size() == f.size+n && f.file.Truncate(f.size) == nil
}

// due tells whether the file is to be set aside before that many bytes more.
func (f *File) due(now time.Time, more int64) bool {
	if !f.regular || f.size == 0 || !f.failed.IsZero() && now.Sub(f.failed) < again && !now.Before(f.failed) {
		return false
	}
	return f.o.Size > 0 && f.size+more > f.o.Size || f.o.Every > 0 && f.number(now) > f.period
}

// rotate sets the file aside and begins another. If that cannot be, the file
// stays, and is written on.
func (f *File) rotate(now time.Time) error {
	f.close() // before it is renamed: on Windows an open file cannot be
	name := f.free(now)
	switch err := os.Rename(f.o.Path, name); {
	case err == nil:
		f.rotations.Add(1)
		f.failed = time.Time{}
	case !there(f.o.Path): // somebody else did it
	default:
		f.failed = now
		f.o.Report(fmt.Errorf("the file stays as it is for %v: %w", again, err))
	}
	if f.tidy != nil {
		f.tidy.wake()
	}
	return f.reopen()
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// reopen is open for a file that was open before; its folder may be gone since.
func (f *File) reopen() error {
	err := f.open()
	if errors.Is(err, os.ErrNotExist) && os.MkdirAll(filepath.Dir(f.o.Path), 0o750) == nil {
		err = f.open()
	}
	return err
}

// Reopen writes to the file that has the name now, as when somebody has moved
// away the one before; which stays, with an error.
func (f *File) Reopen() error { return f.reopen() }

// Tick does what is due by time. It is to be called about once a second.
func (f *File) Tick() {
	if f.file == nil || !f.regular {
		return
	}
	f.sync()
	if st, err := f.file.Stat(); err == nil && removed(st) {
		f.o.Report(errors.New("the file was removed; another is begun"))
		if err := f.reopen(); err != nil {
			f.o.Report(err)
		}
		return
	}
	if now := f.o.Now(); f.due(now, 0) {
		if err := f.rotate(now); err != nil {
			f.o.Report(err)
		}
	}
}

func (f *File) sync() {
	if !f.dirty || !f.regular {
		return
	}
	f.dirty = false
	if err := f.file.Sync(); err != nil {
		f.o.Report(err)
	}
}

// close closes the file, if it is open.
func (f *File) close() {
	if f.file == nil {
		return
	}
	f.sync()
	if err := f.file.Close(); err != nil {
		f.o.Report(err)
	}
	f.file = nil
}

// Rotations counts the files that were set aside.
func (f *File) Rotations() uint64 { return f.rotations.Load() }

// Close syncs and closes the file. A file that is being compressed stays as it is,
// for the next time.
func (f *File) Close() {
	f.close()
	if f.tidy != nil {
		f.tidy.stop()
	}
}
