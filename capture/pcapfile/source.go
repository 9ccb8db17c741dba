// Package pcapfile reads capture files as a capture.Source: pcap and pcapng,
// plain or compressed with gzip or zstd, told by their first bytes and never
// by their names; from paths, from folders and from standard input.
//
// Files are read in blocks that fit the cache of a core, or mapped where Walk
// may, the frames sliced in place: a frame costs neither a copy nor an
// allocation. What a header says of the snap length is not believed, since real
// files have it wrong; every length is checked before it is used, and none is
// allocated for.
//
// The package does not look into the frames and does not reorder them: those
// of several files come file after file.
package pcapfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"kmswatch/capture"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// DefaultBlock is how many bytes are read at once: a quarter of the L2 cache
// of current servers, so that the frames are still in it when they are decoded.
const DefaultBlock = 256 << 10

// Options of Open. The zero value is useful.
type Options struct {
	// Report is told of each problem when it is met, from within Open and
	// Read. Nil is silence; Err tells of the failures at the end all the same.
	Report func(*Problem)
	// Stdin is what the path "-" reads; os.Stdin when nil.
	Stdin io.Reader
	// Block is how many bytes to read at once; DefaultBlock when 0.
	Block int
}

// Problem is what is wrong with one file. The other files are read whatever
// it is. A file has one problem at most.
type Problem struct {
	File   string // as File gives it
	Offset int64  // bytes into the file, of its uncompressed data; -1 when it has no place
	Failed bool   // the file could not be read as it is; false is a warning: it was read as far as it goes
	Err    error  // ErrTruncated, ErrNoCapture, ErrEmpty, one of the file system or of the decompressor, ...
}

// Error is one line: file, offset, cause.
func (p *Problem) Error() string {
	name := p.File
	if name == Stdin {
		name = "standard input"
	}
	if p.Offset < 0 {
		return fmt.Sprintf("%s: %v", name, p.Err)
	}
	return fmt.Sprintf("%s: offset %d: %v", name, p.Offset, p.Err)
}

func (p *Problem) Unwrap() error { return p.Err }

// Source reads files one after the other. Read is for one goroutine; Close,
// Stats, Progress, File and Files are for any.
type Source struct {
	opts  Options
	files []entry
	total int64

	next  int // the file to open next
	f     file
	open  bool
	walk  bool  // within Walk: files may be mapped
	seen  stamp // counts of the current file that are in the totals already
	start int64 // bytes read before the current file

	failed []error

	read                                atomic.Int64
	received, bytes, dropped, truncated atomic.Uint64
}

// entry is a file to read.
type entry struct {
	path  string
	size  int64 // on disk; 0 when it is no regular file
	first int64 // time of the first frame, for sorting within a folder
}

// Open finds the files of the paths: files, folders, or "-" for standard
// input. A folder stands for the capture files in it and in its sub-folders,
// in the order of the times of their first frames; names that begin with a dot
// are passed over, other files that are no captures with a warning. The paths
// are read in the order given. Symbolic links are followed to files, not to
// folders.
//
// A path that does not exist or cannot be read is a Problem, like whatever
// is found later, and no error of Open: the others are read. Open fails only
// when called wrongly.
func Open(paths []string, opts Options) (*Source, error) {
	if len(paths) == 0 {
		return nil, errors.New("no capture file named")
	}
	if opts.Block < 0 {
		return nil, fmt.Errorf("block of %d bytes", opts.Block)
	}
	if opts.Block == 0 {
		opts.Block = DefaultBlock
	}
	if opts.Stdin == nil {
		opts.Stdin = os.Stdin
	}
	stdin := false
	for _, p := range paths {
		if p != Stdin {
			continue
		}
		if stdin {
			return nil, errors.New("standard input is named twice")
		}
		stdin = true
	}
	s := &Source{opts: opts}
	known := true
	for _, p := range paths {
		known = s.expand(p) && known
	}
	for i := range s.files {
		s.total += s.files[i].size
	}
	if !known {
		s.total = 0
	}
	return s, nil
}

// Read gives the frames that the current block holds, as many as there is room
// for: all of one file, at least one. They are valid until the next Read. At
// the end of the last file it returns io.EOF; after Close, os.ErrClosed.
func (s *Source) Read(frames []capture.Frame) (int, error) {
	if len(frames) == 0 {
		return 0, nil
	}
	if s.f.closers.isShut() {
		return 0, os.ErrClosed
	}
	for {
		if !s.open {
			if s.next == len(s.files) {
				return 0, io.EOF
			}
			if err := s.begin(); err != nil {
				if err = s.end(err); err != nil {
					return 0, err
				}
				continue
			}
		}
		n, err := s.f.read(frames)
		s.count(n)
		if err == nil {
			return n, nil
		}
		if err = s.end(err); err != nil {
			return 0, err
		}
	}
}

// Walk gives all frames to take, as Read would, at most that many at a time,
// and closes the source. It is the faster way where the system can map plain
// files into memory: they are then not copied. The frames are valid until take
// returns. Walk ends with the error of take, or with nil at the end of the last
// file.
//
// Bytes of a mapped file may be gone when they are touched, because somebody
// cuts the file short or the disk fails. That is a panic, within take too, which
// Walk makes a Problem of the file; it goes on with the next. What take holds
// must then be fit for use.
func (s *Source) Walk(most int, take func([]capture.Frame) error) error {
	s.walk = true
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer s.f.w.unmap()
	defer s.Close()
	frames := make([]capture.Frame, most)
	for {
		if err := s.walkOn(frames, take); err != errFault {
			return err
		}
	}
}

// errFault ends walkOn where a mapped file could not be read to its end.
var errFault = errors.New("fault")

// walkOn is Walk up to a fault.
func (s *Source) walkOn(frames []capture.Frame, take func([]capture.Frame) error) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		fault, ok := p.(interface {
			runtime.Error
			Addr() uintptr
		})
		if !ok {
			panic(p)
		}
		cause := s.f.w.fault(fault.Addr())
		if cause == nil {
			panic(p)
		}
		if err = s.end(cause); err == nil {
			err = errFault
		}
	}()
	for {
		n, err := s.Read(frames)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = take(frames[:n])
		}
		if err != nil {
			return err
		}
	}
}

// begin opens the next file.
func (s *Source) begin() error {
	e := &s.files[s.next]
	s.open = true
	s.seen = stamp{}
	s.start = s.read.Load()
	s.f.began = false
	r, plain, err := s.connect(e)
	if err != nil {
		return err
	}
	if err := s.f.open(r, s.opts.Block, int32(s.next), true); err != nil {
		return err
	}
	if s.walk && plain != nil && s.f.packed == unpacked {
		s.f.w.mapRest(plain, &s.read)
	}
	return nil
}

// connect opens the bytes of e. Those that may block are read in a goroutine
// of their own, so that Close need not wait for them. plain is the file behind
// the reader if it is a regular one that nobody else reads.
func (s *Source) connect(e *entry) (r io.Reader, plain *os.File, err error) {
	r, regular := s.opts.Stdin, false
	if e.path != Stdin {
		d, err := os.Open(e.path)
		if err != nil {
			return nil, nil, err
		}
		s.f.closers.add(func() { d.Close() })
		r, plain = d, d
	}
	if d, ok := r.(*os.File); ok {
		st, err := d.Stat()
		regular = err == nil && st.Mode().IsRegular()
	}
	r = &counter{r, &s.read}
	if regular {
		return r, plain, nil
	}
	a := newAhead(r, max(s.opts.Block, pageSize), func() {})
	s.f.closers.add(a.stop)
	return a, nil, nil
}

// end closes the current file, which ended by err, and reports what is to be
// reported. It gives an error when the source is closed.
func (s *Source) end(err error) error {
	e := &s.files[s.next]
	offset := s.f.offset()
	s.f.w.unmap()
	s.f.closers.run()
	if s.f.closers.isShut() {
		return os.ErrClosed
	}
	s.open = false
	s.next++
	if e.size > 0 {
		s.read.Store(s.start + e.size)
	}
	if err != io.EOF {
		s.report(&Problem{File: e.path, Offset: offset, Failed: !errors.Is(err, ErrTruncated), Err: bare(err)})
	}
	return nil
}

func (s *Source) report(p *Problem) {
	if p.Failed {
		s.failed = append(s.failed, p)
	}
	if s.opts.Report != nil {
		s.opts.Report(p)
	}
}

// count adds what the last Read gave to the totals.
func (s *Source) count(n int) {
	c := s.f.format.counts()
	s.received.Add(uint64(n))
	s.bytes.Add(c.bytes - s.seen.bytes)
	if c.truncated != s.seen.truncated {
		s.truncated.Add(c.truncated - s.seen.truncated)
	}
	if c.dropped != s.seen.dropped {
		s.dropped.Store(addUp(s.dropped.Load(), c.dropped-s.seen.dropped))
	}
	s.seen = *c
}

// Err tells of the files that failed: nil, or the Problems joined. It is for
// the goroutine that reads, after io.EOF.
func (s *Source) Err() error { return errors.Join(s.failed...) }

// File names the file of index i, as Frame.File gives it: the path given, or
// found below the folder given; "-" is standard input.
func (s *Source) File(i int) string { return s.files[i].path }

// Files names all files, in the order in which they are read.
func (s *Source) Files() []string {
	names := make([]string, len(s.files))
	for i := range names {
		names[i] = s.File(i)
	}
	return names
}

// Progress is how many bytes have been read from the disk, of how many:
// compressed, where the files are. total is 0 when it is not known because
// standard input or a pipe is among them.
func (s *Source) Progress() (read, total int64) {
	read = s.read.Load()
	if s.total > 0 {
		read = min(read, s.total)
	}
	return read, s.total
}

// Stats counts the frames of all files so far. Dropped is what pcapng files
// tell in their statistics blocks.
func (s *Source) Stats() capture.Stats {
	return capture.Stats{
		Received:  s.received.Load(),
		Bytes:     s.bytes.Load(),
		Dropped:   s.dropped.Load(),
		Truncated: s.truncated.Load(),
	}
}

// Close ends the reading: a Read under way or to come returns os.ErrClosed.
// The frames of the last Read stay as they are. A goroutine that waits for
// standard input ends with the next bytes that it gets.
func (s *Source) Close() error {
	s.f.closers.shutdown()
	return nil
}
