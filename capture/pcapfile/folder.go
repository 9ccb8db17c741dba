package pcapfile

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kmswatch/capture"
)

// peekBlock is how many bytes are read at once to find a file's first frame.
const peekBlock = 16 << 10

// expand appends the files that path stands for. It reports false when their
// sizes are not known.
func (s *Source) expand(path string) bool {
	if path == Stdin {
		s.files = append(s.files, entry{path: path})
		return false
	}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		s.report(&Problem{File: path, Offset: -1, Failed: true, Err: bare(err)})
		return true
	case st.IsDir():
		s.folder(path)
		return true
	case !st.Mode().IsRegular():
		s.files = append(s.files, entry{path: path})
		return false
	}
	s.files = append(s.files, entry{path: path, size: st.Size()})
	return true
}

// folder appends the capture files in and below dir, by the times of their
// first frames and then by name.
func (s *Source) folder(dir string) {
	var found []entry
	var f file
	fail := func(path string, err error) {
		s.report(&Problem{File: path, Offset: -1, Failed: true, Err: bare(err)})
	}
	problems := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			fail(path, err)
			problems++
			return nil // with a folder that cannot be read, WalkDir goes on behind it
		}
		if path != dir && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		st, err := os.Stat(path)
		switch {
		case err != nil:
			fail(path, err)
			problems++
			return nil
		case st.IsDir(): // behind a symbolic link, which may lead round in circles
			return nil
		case !st.Mode().IsRegular():
			s.report(&Problem{File: path, Offset: -1, Err: errors.New("skipped: not a regular file")})
			return nil
		}
		e := entry{path: path, size: st.Size()}
		if e.first, err = f.peek(path); errors.Is(err, ErrNoCapture) || errors.Is(err, ErrEmpty) {
			s.report(&Problem{File: path, Offset: -1, Err: skipped{err}})
			return nil
		}
		// Whatever else is wrong is found again, and reported, by Read.
		found = append(found, e)
		return nil
	})
	if err != nil {
		fail(dir, err)
	} else if len(found) == 0 && problems == 0 {
		fail(dir, errors.New("no capture file in this folder"))
	}
	slices.SortStableFunc(found, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(filepath.ToSlash(a.path), filepath.ToSlash(b.path)))
	})
	s.files = append(s.files, found...)
}

// peek gives the time of a file's first frame. A file that has none, or whose
// first cannot be read, comes before all others.
func (f *file) peek(path string) (int64, error) {
	d, err := os.Open(path)
	if err != nil {
		return math.MinInt64, err
	}
	f.closers.add(func() { d.Close() })
	defer f.closers.run()
	if err := f.open(d, peekBlock, 0, false); err != nil {
		return math.MinInt64, err
	}
	var frame [1]capture.Frame
	if _, err := f.read(frame[:]); err != nil && err != io.EOF {
		return math.MinInt64, err
	} else if err == io.EOF {
		return math.MinInt64, nil
	}
	return frame[0].Time, nil
}

// skipped is why a file of a folder is passed over.
type skipped struct{ error }

func (e skipped) Error() string { return "skipped: " + e.error.Error() }
func (e skipped) Unwrap() error { return e.error }

// bare takes the path off an error of package os, for a message that has it.
func bare(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
