package pcapfile

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Sizes of mapping.
const (
	// mapWindow is how many new bytes are mapped at once: enough that the calls
	// cost nothing a frame, few enough that the memory stays small.
	mapWindow = 4 << 20
	// touchAhead is how many bytes are fetched into the cache before they are
	// walked. The length of a record lies in the record before it: who walks
	// cold memory waits for it at every record.
	touchAhead = 64 << 10
	cacheLine  = 64
	// mapAlign is a multiple of the page size of any system.
	mapAlign = 64 << 10
)

// errCutShort is the cause of a Problem with a file of which bytes that were
// there when they were mapped are gone.
var errCutShort = errors.New("the file was cut short while it was read")

// mapping is what a window needs to map a file.
type mapping struct {
	file   *os.File      // what is to be mapped; nil: what the reader gives is read
	read   *atomic.Int64 // counts the bytes that are mapped
	mapped bool          // buf is part of the file
	own    []byte        // the memory to read to, while mapped
	warm   byte          // what touch gave last, so that it is not left out
}

// mapRest makes the window map what comes behind it, of the file that its
// reader reads. Where that cannot be, it is read as before.
func (w *window) mapRest(file *os.File, read *atomic.Int64) { w.file, w.read = file, read }

// advance gives more bytes of the mapped file, and reports whether there are
// any. If not, the window is one that reads on behind them.
func (w *window) advance() bool {
	if (!w.mapped || w.to == len(w.buf)) && !w.remap() {
		if w.err == nil {
			w.readOn()
		}
		return false
	}
	n := min(touchAhead, w.block, len(w.buf)-w.to)
	w.warm = touch(w.buf[w.to : w.to+n])
	w.to += n
	return true
}

// touch reads a byte of every cache line.
func touch(b []byte) (sum byte) {
	for i := 0; i < len(b); i += cacheLine {
		sum += b[i]
	}
	return sum
}

// remap maps what is unread and what the file has behind it at this moment. It
// reports whether that is anything new.
func (w *window) remap() bool {
	at := w.offset() &^ (mapAlign - 1)
	from, to := int(w.offset()-at), int(w.base+int64(w.to)-at)
	mem, err := mapFile(w.file, at, to+max(mapWindow, to-from))
	if err != nil {
		return false
	}
	if len(mem) <= to {
		unmapFile(mem)
		if len(mem) < to {
			w.err = errCutShort
		}
		return false
	}
	w.unmap()
	w.own, w.buf, w.mapped = w.buf, mem, true
	w.base, w.from, w.to = at, from, to
	w.read.Add(int64(len(mem) - to))
	return true
}

// readOn copies what is unread and goes on with the reader behind it.
func (w *window) readOn() {
	file := w.file
	if w.mapped {
		own := append(w.own[:0], w.bytes()...) // may fault: the window is still whole
		at, n := w.offset(), len(own)
		w.unmap()
		w.buf = own[:cap(own)]
		w.base, w.from, w.to = at, 0, n
		if _, err := file.Seek(at+int64(n), 0); err != nil {
			w.err = err
		}
	}
	w.file = nil
}

// unmap ends the mapping, if there is one. No byte is unread behind it.
func (w *window) unmap() {
	if w.mapped {
		unmapFile(w.buf)
		w.buf, w.own, w.mapped = w.own, nil, false
		w.base, w.from, w.to = w.offset(), 0, 0
	}
}

// fault tells what became of the file when touching memory at addr failed; nil
// if that is not of the mapping. A system cannot give a byte of a mapped file
// that is gone, or that the disk fails to give.
func (w *window) fault(addr uintptr) error {
	at := addr - uintptr(unsafe.Pointer(unsafe.SliceData(w.buf)))
	if !w.mapped || at >= uintptr(len(w.buf)) {
		return nil
	}
	st, err := w.file.Stat()
	switch {
	case err != nil:
		return err
	case st.Size() > w.base+int64(at):
		return syscall.EIO
	}
	return errCutShort
}
