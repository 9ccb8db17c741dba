package pcapfile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
)

var (
	little = binary.LittleEndian
	big    = binary.BigEndian
)

type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// pcapHeader is the file header of version 2.4 with a snap length of 262,144.
func pcapHeader(o order, magic, link uint32) []byte {
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(b, 2)
	b = o.AppendUint16(b, 4)
	b = o.AppendUint32(b, 0) // time zone
	b = o.AppendUint32(b, 0) // accuracy
	b = o.AppendUint32(b, 262144)
	return o.AppendUint32(b, link)
}

// record is a record of pcap: the captured length is that of data.
func record(o order, sec, frac, length uint32, data string) []byte {
	b := o.AppendUint32(nil, sec)
	b = o.AppendUint32(b, frac)
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, length)
	return append(b, data...)
}

// ngBlock is a block of pcapng around a body, which it pads.
func ngBlock(o order, typ uint32, body ...[]byte) []byte {
	b := bytes.Join(body, nil)
	b = append(b, make([]byte, -len(b)&3)...)
	size := uint32(len(b) + 12)
	out := o.AppendUint32(nil, typ)
	out = o.AppendUint32(out, size)
	out = append(out, b...)
	return o.AppendUint32(out, size)
}

// section is a section header block of version 1.0 and unknown length.
func section(o order) []byte {
	b := o.AppendUint32(nil, 0x1a2b3c4d)
	b = o.AppendUint16(b, 1)
	b = o.AppendUint16(b, 0)
	return ngBlock(o, 0x0a0d0d0a, o.AppendUint64(b, 0xffffffffffffffff))
}

// option is an option of a block, padded.
func option(o order, code uint16, value []byte) []byte {
	b := o.AppendUint16(nil, code)
	b = o.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, make([]byte, -len(b)&3)...)
}

// describe is an interface description block.
func describe(o order, link uint16, snaplen uint32, options ...[]byte) []byte {
	b := o.AppendUint16(nil, link)
	b = o.AppendUint16(b, 0) // reserved
	b = o.AppendUint32(b, snaplen)
	return ngBlock(o, 1, b, bytes.Join(options, nil))
}

// enhanced is an enhanced packet block.
func enhanced(o order, id uint32, ticks uint64, length uint32, data string) []byte {
	b := o.AppendUint32(nil, id)
	b = o.AppendUint32(b, uint32(ticks>>32))
	b = o.AppendUint32(b, uint32(ticks))
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, length)
	return ngBlock(o, 6, b, []byte(data))
}

// obsolete is a packet block, as before 2009.
func obsolete(o order, id uint16, ticks uint64, length uint32, data string) []byte {
	b := o.AppendUint16(nil, id)
	b = o.AppendUint16(b, 3) // dropped since the frame before
	b = o.AppendUint32(b, uint32(ticks>>32))
	b = o.AppendUint32(b, uint32(ticks))
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, length)
	return ngBlock(o, 2, b, []byte(data))
}

// simple is a simple packet block.
func simple(o order, length uint32, data string) []byte {
	return ngBlock(o, 3, o.AppendUint32(nil, length), []byte(data))
}

// statistics is an interface statistics block.
func statistics(o order, id uint32, options ...[]byte) []byte {
	b := o.AppendUint32(nil, id)
	return ngBlock(o, 5, o.AppendUint64(b, 0), bytes.Join(options, nil))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func zstandard(b []byte) []byte {
	z, _ := zstd.NewWriter(nil)
	return z.EncodeAll(b, nil)
}

// save writes a file into dir.
func save(t testing.TB, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// result is what a reading gave.
type result struct {
	frames   []capture.Frame // copies
	problems []string
	failed   int // problems that are failures
	stats    capture.Stats
	err      error // Err at the end
}

// readAll reads paths to the end, batch frames at a time.
func readAll(t testing.TB, paths []string, opts pcapfile.Options, batch int) result {
	t.Helper()
	var r result
	opts.Report = func(p *pcapfile.Problem) {
		r.problems = append(r.problems, p.Error())
		if p.Failed {
			r.failed++
		}
	}
	s, err := pcapfile.Open(paths, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	frames := make([]capture.Frame, batch)
	for {
		n, err := s.Read(frames)
		if err == nil && n == 0 {
			t.Fatal("neither frames nor an error")
		}
		for _, f := range frames[:n] {
			if cap(f.Data) != len(f.Data) {
				t.Fatalf("frame %d of %d bytes can be extended to %d", f.Number, len(f.Data), cap(f.Data))
			}
			f.Data = bytes.Clone(f.Data)
			r.frames = append(r.frames, f)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.stats, r.err = s.Stats(), s.Err()
	if (r.err != nil) != (r.failed > 0) {
		t.Errorf("Err is %v after %d failures", r.err, r.failed)
	}
	return r
}

// readBytes reads one capture from standard input.
func readBytes(t testing.TB, b []byte, block int) result {
	t.Helper()
	return readAll(t, []string{"-"}, pcapfile.Options{Stdin: bytes.NewReader(b), Block: block}, 16)
}

// differ says where two readings part, "" when nowhere. It is for many frames,
// for which cmp.Diff takes seconds.
func differ(want, got []capture.Frame) string {
	for i := range min(len(want), len(got)) {
		w, g := want[i], got[i]
		equal := bytes.Equal(w.Data, g.Data)
		w.Data, g.Data = nil, nil
		if !equal || !reflect.DeepEqual(w, g) {
			return fmt.Sprintf("frame %d: want %+v, got %+v", i, want[i], got[i])
		}
	}
	if len(want) != len(got) {
		return fmt.Sprintf("want %d frames, got %d", len(want), len(got))
	}
	return ""
}
