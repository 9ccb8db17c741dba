package pcapfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
	"sync/atomic"

	"kmswatch/capture"
)

var (
	// ErrNoCapture is the cause of a Problem with a file that is neither pcap
	// nor pcapng, nor either of them compressed.
	ErrNoCapture = errors.New("not a capture file")
	// ErrEmpty is the cause of a Problem with a file of no bytes.
	ErrEmpty = errors.New("the file is empty")
	// ErrTruncated is the cause of a Problem with a file that ends before its
	// last record, or its compressed data, does. What was whole has been read.
	ErrTruncated = errors.New("cut off")
)

// format is a kind of capture file: pcap or pcapng.
type format interface {
	// frames takes whole records off the window and fills out from the front.
	// None filled and no error means that more bytes are needed. At an error
	// the window is at the record that is wrong.
	frames(w *window, out []capture.Frame) (int, error)
	// pending is how many bytes were taken off the window of a block that has
	// not ended, 0 between blocks.
	pending() int
	// counts gives the totals of the file so far.
	counts() *stamp
}

// file reads one capture file after the other; it keeps its memory.
type file struct {
	w       window
	format  format
	pcap    pcap
	pcapng  pcapng
	packed  packing
	began   bool // open has begun to read
	closers closers
}

// open finds out what r is. It blocks for the first bytes. With parallel set,
// decompression runs in another goroutine.
func (f *file) open(r io.Reader, block int, number int32, parallel bool) error {
	f.packed, f.format, f.began = unpacked, nil, true
	f.w.reset(r, block)
	for layer := 0; ; layer++ {
		if !f.w.fill(4) {
			return f.tooShort(layer)
		}
		how := packingOf(f.w.bytes())
		if how == unpacked {
			break
		}
		if layer == maxLayers {
			return fmt.Errorf("compressed more than %d times over", maxLayers)
		}
		f.packed = how
		rest := io.MultiReader(bytes.NewReader(bytes.Clone(f.w.bytes())), r)
		z, done, err := unpack(how, rest)
		if err != nil {
			f.w.reset(nil, block) // no byte of the stream within was read
			return f.streamError(err)
		}
		if parallel {
			a := newAhead(z, max(block, pageSize), done)
			f.closers.add(a.stop)
			r = a
		} else {
			f.closers.add(done)
			r = z
		}
		f.w.reset(r, block)
	}
	magic := binary.LittleEndian.Uint32(f.w.bytes())
	switch {
	case isPcap(magic), isPcap(bits.ReverseBytes32(magic)):
		if !f.w.fill(pcapHeaderLen) {
			return f.tooShort(0)
		}
		var err error
		if f.pcap, err = newPcap(f.w.bytes(), stamp{file: number}); err != nil {
			return err
		}
		f.w.skip(pcapHeaderLen)
		f.format = &f.pcap
	case magic == blockSection && (!f.w.fill(12) || isSection(f.w.bytes())):
		ifs := f.pcapng.ifs[:0]
		f.pcapng = pcapng{stamp: stamp{file: number}, ifs: ifs}
		f.format = &f.pcapng
	default:
		f.w.fill(8)
		return noCapture(f.w.bytes())
	}
	return nil
}

// isSection tells the beginning of a section header block, of 12 bytes.
func isSection(b []byte) bool {
	return binary.LittleEndian.Uint32(b[8:]) == byteOrderMagic || binary.BigEndian.Uint32(b[8:]) == byteOrderMagic
}

// tooShort says what is wrong with a stream that ends within its first header.
func (f *file) tooShort(layer int) error {
	switch b := f.w.bytes(); {
	case f.w.err != io.EOF:
		return f.streamError(f.w.err)
	case len(b) == 0 && layer == 0:
		return ErrEmpty
	case len(b) < 4:
		return ErrNoCapture
	}
	return fmt.Errorf("%w in the middle of the file header", ErrTruncated)
}

// streamError says what ended the stream of bytes, when it was not its end.
func (f *file) streamError(err error) error {
	if f.packed != unpacked && (err == io.EOF || cutShort(err)) {
		return fmt.Errorf("%w in the middle of the compressed data", ErrTruncated)
	}
	return err
}

// read fills frames with what the window holds, or with what the next bytes
// bring. It gives frames or an error, io.EOF at the end.
func (f *file) read(frames []capture.Frame) (int, error) {
	for {
		n, err := f.format.frames(&f.w, frames)
		if n > 0 {
			return n, nil // an error will come again
		}
		if err != nil {
			return 0, err
		}
		if f.w.refill() {
			continue
		}
		switch {
		case f.w.err != io.EOF:
			return 0, f.streamError(f.w.err)
		case len(f.w.bytes()) > 0 || f.format.pending() > 0:
			return 0, fmt.Errorf("%w in the middle of a record", ErrTruncated)
		}
		return 0, io.EOF
	}
}

// offset is the place in the uncompressed data of the record or block at
// which the reading is, -1 if nothing was read.
func (f *file) offset() int64 {
	if !f.began {
		return -1
	}
	at := f.w.offset()
	if f.format != nil {
		at -= int64(f.format.pending())
	}
	return at
}

// closers is what is to be closed at the end of a file, or at once when the
// source is closed by another goroutine. The functions may run beside reads.
type closers struct {
	mu   sync.Mutex
	fns  []func()
	shut bool
}

// add remembers fn, or runs it if shutdown has come first.
func (c *closers) add(fn func()) {
	c.mu.Lock()
	shut := c.shut
	if !shut {
		c.fns = append(c.fns, fn)
	}
	c.mu.Unlock()
	if shut {
		fn()
	}
}

// run closes what there is, the last first.
func (c *closers) run() {
	c.mu.Lock()
	fns := c.fns
	c.fns = nil
	c.mu.Unlock()
	for i := len(fns) - 1; i >= 0; i-- {
		fns[i]()
	}
}

// shutdown closes what there is and what is still to come.
func (c *closers) shutdown() {
	c.mu.Lock()
	c.shut = true
	c.mu.Unlock()
	c.run()
}

func (c *closers) isShut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shut
}

// counter counts the bytes that come from a disk.
type counter struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
