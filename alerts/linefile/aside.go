package linefile

import (
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stamp is how the time stands in the name of a file that was set aside.
const stamp = "20060102T150405Z"

const (
	compressed = ".gz"
	unfinished = ".gz.new"
)

// split gives what stands before and behind the time in the names of files that
// are set aside.
func (o *Options) split() (before, behind string) {
	name := filepath.Base(o.Path)
	behind = filepath.Ext(name)
	if behind == name { // .alerts
		behind = ""
	}
	return strings.TrimSuffix(name, behind) + "-", behind
}

// free gives a path that no file has, to set one aside to. Within a second its
// number only grows, also when those before are removed or compressed.
func (f *File) free(now time.Time) string {
	before, behind := f.o.split()
	if s := now.UTC().Format(stamp); s != f.stamp {
		f.stamp, f.nth = s, 0
	}
	for {
		f.nth++
		name := before + f.stamp
		if f.nth > 1 {
			name += "_" + strconv.Itoa(f.nth)
		}
		path := filepath.Join(filepath.Dir(f.o.Path), name+behind)
		if !there(path) && !there(path+compressed) {
			return path
		}
	}
}

// aside is a file that was set aside.
type aside struct {
	path string
	at   time.Time
	nth  int // of its second, from 1
	kind string
}

// parse reads the name of a file that was set aside.
func (o *Options) parse(name string) (a aside, ok bool) {
	before, behind := o.split()
	a = aside{path: filepath.Join(filepath.Dir(o.Path), name), nth: 1}
	for _, kind := range [...]string{unfinished, compressed} {
		if rest, is := strings.CutSuffix(name, kind); is {
			name, a.kind = rest, kind
			break
		}
	}
	name, is := strings.CutPrefix(name, before)
	name, was := strings.CutSuffix(name, behind)
	when, nth, several := strings.Cut(name, "_")
	at, err := time.Parse(stamp, when)
	if !is || !was || err != nil || at.Format(stamp) != when {
		return a, false
	}
	a.at = at
	if several {
		a.nth, err = strconv.Atoi(nth)
		if err != nil || a.nth < 2 || strconv.Itoa(a.nth) != nth {
			return a, false
		}
	}
	return a, true
}

// list gives the files that were set aside, the oldest first, each once, and
// those that a crash left half compressed.
func (o *Options) list() (all, halves []aside, err error) {
	entries, err := os.ReadDir(filepath.Dir(o.Path))
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		a, ok := o.parse(e.Name())
		switch {
		case !ok || !e.Type().IsRegular():
		case a.kind == unfinished:
			halves = append(halves, a)
		default:
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b aside) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.nth, b.nth), cmp.Compare(a.kind, b.kind))
	})
	return all, halves, nil
}

// tidier removes and compresses what was set aside, beside all else.
type tidier struct {
	o    *Options
	work chan struct{}
	quit chan struct{}
	done chan struct{}
}

func newTidier(o *Options) *tidier {
	t := &tidier{o: o, work: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go t.run()
	return t
}

func (t *tidier) wake() {
	select {
	case t.work <- struct{}{}:
	default:
	}
}

// stop ends it, once what it removes is removed.
func (t *tidier) stop() {
	close(t.quit)
	<-t.done
}

func (t *tidier) run() {
	defer close(t.done)
	for {
		select {
		case <-t.work:
			if err := t.tidy(); err != nil && !errors.Is(err, errStopped) {
				t.o.Report(fmt.Errorf("tidy what was set aside: %w", err))
			}
		case <-t.quit:
			if len(t.work) > 0 {
				_ = t.tidy() // of which it compresses nothing
			}
			return
		}
	}
}

// tidy removes what is too old and compresses the rest.
func (t *tidier) tidy() error {
	all, halves, err := t.o.list()
	if errors.Is(err, os.ErrNotExist) {
		return nil // the folder is gone, and all with it
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range halves {
		errs = append(errs, os.Remove(a.path))
	}
	if t.o.Keep > 0 {
		// A file that a crash left in both forms is one.
		names := slices.Clone(all)
		names = slices.CompactFunc(names, func(a, b aside) bool { return a.at.Equal(b.at) && a.nth == b.nth })
		if n := len(names) - t.o.Keep; n > 0 {
			last := names[n]
			i := slices.IndexFunc(all, func(a aside) bool { return a.at.Equal(last.at) && a.nth == last.nth })
			for _, a := range all[:i] {
				errs = append(errs, os.Remove(a.path))
			}
			all = all[i:]
		}
	}
	if t.o.Gzip {
		for _, a := range all {
			if a.kind == "" {
				errs = append(errs, t.compress(a.path))
			}
		}
	}
	return errors.Join(errs...)
}

var errStopped = errors.New("stopped")

// compress puts a compressed file in the place of one.
func (t *tidier) compress(path string) (err error) {
	select {
	case <-t.quit:
		return errStopped
	default:
	}
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path+unfinished, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			to.Close()
			os.Remove(path + unfinished)
		}
	}()
	z := gzip.NewWriter(to)
	z.Name = filepath.Base(path)
	if _, err = io.Copy(z, stoppable{from, t.quit}); err == nil {
		err = z.Close()
	}
	if err == nil {
		err = to.Sync()
	}
	if err == nil {
		err = to.Close()
	}
	if err == nil {
		err = os.Rename(path+unfinished, path+compressed)
	}
	if err != nil {
		return err
	}
	from.Close()
	return os.Remove(path)
}

// stoppable reads until it is to stop.
type stoppable struct {
	from io.Reader
	quit <-chan struct{}
}

func (s stoppable) Read(b []byte) (int, error) {
	select {
	case <-s.quit:
		return 0, errStopped
	default:
		return s.from.Read(b)
	}
}
