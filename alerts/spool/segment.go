package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	// magic begins a frame. Its first byte is in no text, so that no record can
	// hold what looks like a frame.
	magic     = "\xf5KWS"
	headerLen = 4 + 4 + 4 + 8 + 8 + 8
	// MaxRecord is the most bytes of a record.
	MaxRecord = 16 << 20
	suffix    = ".log"
	aside     = ".damaged"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame is what a segment holds of a record.
type frame struct {
	seq, nth uint64
	time     int64
	data     []byte
}

// appendFrame appends a record as a frame.
func appendFrame(b []byte, f *frame) []byte {
	at := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.data)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, f.seq)
	b = binary.LittleEndian.AppendUint64(b, f.nth)
	b = binary.LittleEndian.AppendUint64(b, uint64(f.time))
	b = append(b, f.data...)
	binary.LittleEndian.PutUint32(b[at+8:], crc32.Checksum(b[at+12:], castagnoli))
	return b
}

// frameLen tells how long the frame at the front of b says it is; 0 if none is
// there. b has headerLen bytes.
func frameLen(b []byte) int {
	n := binary.LittleEndian.Uint32(b[4:])
	if string(b[:4]) != magic || n > MaxRecord {
		return 0
	}
	return headerLen + int(n)
}

// parse reads the frame that b is, and tells whether it holds.
func (f *frame) parse(b []byte) bool {
	if crc32.Checksum(b[12:], castagnoli) != binary.LittleEndian.Uint32(b[8:]) {
		return false
	}
	f.read(b)
	return true
}

// read reads a frame that holds.
func (f *frame) read(b []byte) {
	f.seq = binary.LittleEndian.Uint64(b[12:])
	f.nth = binary.LittleEndian.Uint64(b[20:])
	f.time = int64(binary.LittleEndian.Uint64(b[28:]))
	f.data = b[headerLen:]
}

// segment is a file of a level.
type segment struct {
	path    string
	number  uint64 // within its level; they are in order
	size    int64  // bytes that are synced: the reader goes no further
	last    uint64 // sequence number of its last record, 0 if that is not known
	newest  int64  // time of its last record, 0 likewise
	first   uint64 // nth of its first record, 0 likewise
	tail    uint64 // nth of its last record, 0 likewise
	damaged bool   // bytes of it were no frame
	broken  error  // why it cannot be read, and is to be given up; else nil
	gone    bool   // its name stands for nothing, or another file
}

func segmentName(level int, number uint64) string {
	return fmt.Sprintf("%d-%016x%s", level, number, suffix)
}

// parseName reads the name of a segment.
func parseName(name string) (level int, number uint64, ok bool) {
	name, ok = strings.CutSuffix(name, suffix)
	l, n, cut := strings.Cut(name, "-")
	level, err := strconv.Atoi(l)
	if !ok || !cut || err != nil || len(n) != 16 {
		return 0, 0, false
	}
	number, err = strconv.ParseUint(n, 16, 64)
	return level, number, err == nil
}

// list finds the segments of a folder, by level and in order.
func list(dir string, levels int) ([][]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	logs := make([][]*segment, levels)
	for _, e := range entries {
		level, number, ok := parseName(e.Name())
		if !ok || level >= levels || level < 0 {
			continue
		}
		st, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		logs[level] = append(logs[level], &segment{path: filepath.Join(dir, e.Name()), number: number, size: st.Size()})
	}
	for _, l := range logs {
		slices.SortFunc(l, func(a, b *segment) int {
			if a.number < b.number {
				return -1
			}
			return 1
		})
	}
	return logs, nil
}

// scan reads a whole segment for what its frames say. Whole is how many bytes
// end with the last frame that holds, done the nth of the last record up to
// acked; 0 if there is none.
func (s *segment) scan(acked uint64) (whole int64, done uint64, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	c := cursor{from: f, end: s.size}
	for {
		var fr frame
		err := c.next(&fr)
		if err == io.EOF {
			s.damaged = c.skipped > 0 || c.at == 0 && s.size > 0
			return c.at, done, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if s.first == 0 {
			s.first = fr.nth
		}
		if fr.seq <= acked {
			done = fr.nth
		}
		s.last, s.newest, s.tail = fr.seq, fr.time, fr.nth
	}
}

// remove removes a segment that is done with, or sets it aside.
func (s *segment) remove() error {
	if s.damaged {
		return os.Rename(s.path, s.path+aside)
	}
	return os.Remove(s.path)
}

// cursor walks the frames of a segment.
type cursor struct {
	from    io.ReaderAt
	at      int64 // of the next frame
	end     int64 // no byte from here on is read
	skipped int64 // bytes that were no frame, before the last frame given
	buf     []byte
	low     int64 // offset of buf
}

// blockLen is how many bytes are read at once.
const blockLen = 256 << 10

// next gives the next frame that holds, valid until the next call; io.EOF at the
// end. Bytes behind the last such frame are not counted as skipped.
func (c *cursor) next(f *frame) error {
	for at := c.at; ; {
		b, err := c.peek(at, headerLen)
		if err != nil {
			return err
		}
		if len(b) < headerLen {
			return io.EOF
		}
		if n := frameLen(b); n > 0 && at+int64(n) <= c.end {
			if b, err = c.peek(at, n); err != nil {
				return err
			}
			if len(b) >= n && f.parse(b[:n:n]) {
				c.skipped += at - c.at
				c.at = at + int64(n)
				return nil
			}
		}
		next := bytes.IndexByte(b[1:], magic[0])
		if next < 0 {
			next = len(b) - 1
		}
		at += 1 + int64(next)
	}
}

// peek gives at least n bytes from at on, or those up to the end.
func (c *cursor) peek(at int64, n int) ([]byte, error) {
	if at >= c.low && at+int64(n) <= c.low+int64(len(c.buf)) {
		return c.buf[at-c.low:], nil
	}
	want := int(min(int64(max(n, blockLen)), max(c.end-at, 0)))
	if cap(c.buf) < want {
		c.buf = make([]byte, want)
	}
	c.buf, c.low = c.buf[:want], at
	got, err := c.from.ReadAt(c.buf, at)
	c.buf = c.buf[:got]
	if err != nil && err != io.EOF {
		return nil, err
	}
	return c.buf, nil
}
