package pcapfile

import (
	"io"
	"unsafe"
)

// pageSize is what the place of a read in memory is aligned to. The kernel
// copies from page-aligned memory; on an AMD Zen 3 a copy to an address that
// is no multiple of 32 was measured at 2 GB/s, to one that is at 9.
const pageSize = 4096

// maxEmptyReads is how often in a row a reader may give neither a byte nor an
// error, as bufio has it.
const maxEmptyReads = 100

// window is the part of a stream that is in memory. Its bytes are walked in
// place; a record that is cut at its end is moved to the front by refill and
// the stream is read behind it. It holds one block and a cut record, and grows
// by doubling, only when it is full of bytes that were really read: whoever
// walks it refuses lengths beyond maxBlock before asking for more. A file may be
// mapped piece by piece instead of read, see mapRest.
type window struct {
	r        io.Reader
	buf      []byte // page-aligned
	from, to int    // buf[from:to] is unread
	base     int64  // offset in the stream of buf[0]
	block    int    // bytes a read asks for
	err      error  // what ended the stream; io.EOF at its end
	mapping
}

// reset starts a new stream and keeps the memory.
func (w *window) reset(r io.Reader, block int) {
	w.unmap()
	w.file = nil
	w.r, w.block, w.from, w.to, w.base, w.err = r, block, 0, 0, 0, nil
	if len(w.buf) < block {
		w.grow(block)
	}
}

// bytes gives what is unread, valid until refill.
func (w *window) bytes() []byte { return w.buf[w.from:w.to:w.to] }

// skip takes n bytes as read; n is at most len(bytes()).
func (w *window) skip(n int) { w.from += n }

// offset is the place in the stream of the first unread byte.
func (w *window) offset() int64 { return w.base + int64(w.from) }

// refill reads more bytes behind those unread, with one call to the reader
// that gives any. It reports whether there are new bytes; if not, err says
// why. It moves memory: slices given by bytes are lost.
func (w *window) refill() bool {
	if w.err != nil {
		return false
	}
	if w.file != nil && w.advance() {
		return true
	}
	if w.err != nil {
		return false
	}
	left := w.to - w.from
	// The bytes left go just below a page boundary, so that the read is
	// aligned, unless the block is so small that speed is no concern.
	at := 0
	if w.block >= pageSize {
		at = -left & (pageSize - 1)
	}
	if len(w.buf)-at-left < min(w.block, pageSize) {
		w.grow(2 * len(w.buf))
	}
	if w.from != at {
		w.base += int64(w.from - at)
		copy(w.buf[at:], w.buf[w.from:w.to])
		w.from, w.to = at, at+left
	}
	end := min(len(w.buf), w.to+w.block)
	for range maxEmptyReads {
		n, err := w.r.Read(w.buf[w.to:end:end])
		if n < 0 || n > end-w.to {
			n, err = 0, io.ErrNoProgress // a reader out of its contract
		}
		w.to += n
		if err != nil {
			w.err = err
		}
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	w.err = io.ErrNoProgress
	return false
}

// fill refills until n bytes are unread or the stream ends, and reports
// whether they are there. n is small.
func (w *window) fill(n int) bool {
	for w.to-w.from < n {
		if !w.refill() {
			return false
		}
	}
	return true
}

// grow makes room for n bytes, rounded up to pages with one to spare for the
// alignment of refill.
func (w *window) grow(n int) {
	if w.block >= pageSize {
		n = (n+pageSize-1)&^(pageSize-1) + pageSize
	}
	mem := make([]byte, n+pageSize)
	buf := mem[-int(uintptr(unsafe.Pointer(unsafe.SliceData(mem))))&(pageSize-1):][:n:n]
	copy(buf[w.from:], w.buf[w.from:w.to])
	w.buf = buf
}
