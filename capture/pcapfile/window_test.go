package pcapfile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"unsafe"
)

// placed notes where in memory it is asked to read to.
type placed struct {
	r       io.Reader
	askew   int // reads to an address that is not that of a page
	longest int
}

func (p *placed) Read(b []byte) (int, error) {
	if uintptr(unsafe.Pointer(unsafe.SliceData(b)))%pageSize != 0 {
		p.askew++
	}
	p.longest = max(p.longest, len(b))
	return p.r.Read(b)
}

// Reads to an address that is not aligned were four times slower.
func TestReadsGoToPages(t *testing.T) {
	t.Parallel()
	in := make([]byte, 1<<20)
	for i := range in {
		in[i] = byte(i * 31 >> 3)
	}
	p := &placed{r: bytes.NewReader(in)}
	var w window
	w.reset(p, 64<<10)
	var got []byte
	for step := 1; w.refill(); step += 997 { // leaves tails of all sizes
		n := max(0, len(w.bytes())-step)
		if int64(len(got)) != w.offset() {
			t.Fatalf("offset %d after %d bytes", w.offset(), len(got))
		}
		got = append(got, w.bytes()[:n]...)
		w.skip(n)
	}
	got = append(got, w.bytes()...)
	if !bytes.Equal(in, got) || w.err != io.EOF {
		t.Errorf("%d bytes of %d came through, then %v", len(got), len(in), w.err)
	}
	if p.askew != 0 || p.longest != 64<<10 {
		t.Errorf("%d reads were not aligned, the longest was %d", p.askew, p.longest)
	}
}

func TestTheWindowGrowsOnlyWhenItIsFullOfBytesRead(t *testing.T) {
	t.Parallel()
	for _, block := range []int{1, 100, 4096, 1 << 16} {
		var w window
		w.reset(bytes.NewReader(make([]byte, 3<<20)), block)
		for w.refill() {
			if n := len(w.bytes()); len(w.buf) > 4*n+2*block+4*pageSize {
				t.Fatalf("block %d: %d bytes of memory for %d", block, len(w.buf), n)
			}
		}
		if n := len(w.bytes()); n != 3<<20 {
			t.Errorf("block %d: %d bytes", block, n)
		}
	}
}

func TestReadersThatMisbehaveEndTheStream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r    io.Reader
		want error
	}{
		"nothing, for ever":       {readFunc(func([]byte) (int, error) { return 0, nil }), io.ErrNoProgress},
		"more than was asked for": {readFunc(func(b []byte) (int, error) { return len(b) + 1, nil }), io.ErrNoProgress},
		"less than nothing":       {readFunc(func([]byte) (int, error) { return -1, nil }), io.ErrNoProgress},
		"an error":                {iotest.ErrReader(io.ErrClosedPipe), io.ErrClosedPipe},
	} {
		var w window
		w.reset(c.r, 100)
		if w.refill() || !errors.Is(w.err, c.want) {
			t.Errorf("%s: got %v", name, w.err)
		}
		a := newAhead(c.r, 100, func() {})
		if _, err := a.Read(make([]byte, 10)); !errors.Is(err, c.want) {
			t.Errorf("%s, ahead: got %v", name, err)
		}
		a.stop()
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// Data that comes with an error, byte by byte, comes through whole.
func TestAheadPassesOnWhatComes(t *testing.T) {
	t.Parallel()
	in := bytes.Repeat([]byte("0123456789"), 100)
	ended := make(chan struct{})
	a := newAhead(iotest.DataErrReader(iotest.OneByteReader(bytes.NewReader(in))), 7, func() { close(ended) })
	got, err := io.ReadAll(a)
	if !bytes.Equal(in, got) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	<-ended
}

func TestAheadEndsWhenStoppedThoughNobodyReads(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	a := newAhead(bytes.NewReader(make([]byte, 1000)), 10, func() { close(ended) })
	a.stop()
	a.stop()
	<-ended
}

func TestWhatCannotBeMappedIsRead(t *testing.T) {
	t.Parallel()
	in := bytes.Repeat([]byte("0123456789"), 1000)
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, in, 0o600); err != nil {
		t.Fatal(err)
	}
	closed, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	var w window
	w.reset(bytes.NewReader(in), 100)
	w.fill(1)
	w.mapRest(closed, new(atomic.Int64))
	for w.refill() {
	}
	if !bytes.Equal(in, w.bytes()) || w.err != io.EOF {
		t.Errorf("%d bytes, then %v", len(w.bytes()), w.err)
	}
}
