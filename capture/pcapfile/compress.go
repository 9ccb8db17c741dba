package pcapfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxLayers is how many times a file may be compressed over.
	maxLayers = 3
	// maxZstdWindow bounds what the decoder of zstd keeps: 128 MiB is what
	// `zstd --long` and `zstd --ultra -22` write and `zstd -d` takes unasked.
	maxZstdWindow = 128 << 20
	// packedBlock is what is read at once of a compressed file.
	packedBlock = 128 << 10
	// aheadBlocks is how many blocks are unpacked ahead.
	aheadBlocks = 3
)

// packing is how a stream is compressed.
type packing uint8

const (
	unpacked packing = iota
	packedGzip
	packedZstd
)

// packingOf tells by the first four bytes, never by the name.
func packingOf(b []byte) packing {
	switch magic := binary.LittleEndian.Uint32(b); {
	case magic&0xffffff == 0x088b1f: // RFC 1952, 2.3.1; 8 is deflate, the only method
		return packedGzip
	case magic == 0xfd2fb528, magic&^0xf == 0x184d2a50: // RFC 8878, 3.1.1 and 3.1.2
		return packedZstd
	}
	return unpacked
}

// unpack gives the stream in r decompressed, and what ends the decoder.
func unpack(how packing, r io.Reader) (io.Reader, func(), error) {
	br := bufio.NewReaderSize(r, packedBlock)
	if how == packedGzip {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, nil, fmt.Errorf("gzip: %w", err)
		}
		return z, func() {}, nil
	}
	z, err := zstd.NewReader(br,
		zstd.WithDecoderConcurrency(1), // in step: what is whole before an error is given before it
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxZstdWindow))
	if err != nil {
		return nil, nil, fmt.Errorf("zstd: %w", err)
	}
	return z, z.Close, nil
}

// foreign names formats that are no captures, or not ours, so that the error
// can say what the file is.
var foreign = []struct{ magic, what string }{
	{"\xfd7zXZ\x00", "xz-compressed data"},
	{"BZh", "bzip2-compressed data"},
	{"\x04\x22\x4d\x18", "lz4-compressed data"},
	{"PK\x03\x04", "a zip archive"},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"},
	{"snoop\x00\x00\x00", "a snoop capture"},
	{"GMBU", "a Network Monitor capture"},
	{"RTSS", "a Network Monitor 1 capture"},
	{"\x0a\x0d\x0d\x0a", "pcapng without a byte-order magic"},
	{"\x7fELF", "an ELF program"},
}

// noCapture says that b does not begin a capture, and what it seems to be.
func noCapture(b []byte) error {
	for _, f := range foreign {
		if bytes.HasPrefix(b, []byte(f.magic)) {
			return fmt.Errorf("%w but %s", ErrNoCapture, f.what)
		}
	}
	return ErrNoCapture
}

// ahead reads a stream in a goroutine of its own, a few blocks in advance, so
// that unpacking runs beside decoding, and so that a reader that blocks can be
// left alone. Blocks are passed on as short as they come.
type ahead struct {
	full chan block
	free chan []byte
	quit chan struct{}
	once sync.Once
	cur  block
	rest []byte // of cur.b, not yet given
}

type block struct {
	b   []byte
	err error
}

// newAhead starts reading. done is called when the reading has ended.
func newAhead(r io.Reader, size int, done func()) *ahead {
	a := &ahead{
		full: make(chan block, aheadBlocks),
		free: make(chan []byte, aheadBlocks),
		quit: make(chan struct{}),
	}
	for range aheadBlocks {
		a.free <- make([]byte, size)
	}
	go a.run(r, done)
	return a
}

func (a *ahead) run(r io.Reader, done func()) {
	defer done()
	for {
		var b []byte
		select {
		case b = <-a.free:
		case <-a.quit:
			return
		}
		n, err := 0, error(nil)
		for i := 0; n == 0 && err == nil; i++ {
			if i == maxEmptyReads {
				err = io.ErrNoProgress
				break
			}
			if n, err = r.Read(b[:cap(b)]); n < 0 || n > cap(b) {
				n, err = 0, io.ErrNoProgress
			}
		}
		select {
		case a.full <- block{b[:n], err}:
		case <-a.quit:
			return
		}
		if err != nil {
			return
		}
	}
}

func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.cur.err != nil {
			return 0, a.cur.err
		}
		if a.cur.b != nil {
			a.free <- a.cur.b // has room for all there are
			a.cur.b = nil
		}
		select {
		case a.cur = <-a.full:
			a.rest = a.cur.b
		case <-a.quit:
			a.cur = block{err: os.ErrClosed}
		}
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// stop makes Read return and the goroutine end, once its own read returns.
func (a *ahead) stop() { a.once.Do(func() { close(a.quit) }) }

// cutShort reports whether err says that a compressed stream ends before its
// end.
func cutShort(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
