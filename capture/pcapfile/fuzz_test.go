package pcapfile_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"runtime"
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
)

// FuzzRead reads any bytes as standard input. Whatever they are,
//   - reading them in small blocks and batches gives the same frames, problem
//     and counts as reading them at once;
//   - frames are numbered from 1, lie within their length on the wire and
//     together are no more than the input, where it is not compressed;
//   - there is at most one problem, and Err tells of it iff it is a failure;
//   - the memory allocated is bounded.
func FuzzRead(f *testing.F) {
	rec := record(little, 1_700_000_000, 5, 9, "abcdef")
	f.Add(join(pcapHeader(little, 0xa1b2c3d4, 1), rec, rec), uint16(1))
	f.Add(join(pcapHeader(big, 0xa1b23c4d, 113), record(big, 1, 2, 9, "abc")), uint16(7))
	f.Add(join(pcapHeader(little, 0xa1b2cd34, 1), rec, rec), uint16(64))
	for _, o := range []order{little, big} {
		f.Add(join(section(o), describe(o, 1, 3, option(o, 9, []byte{9}), option(o, 14, make([]byte, 8))),
			enhanced(o, 0, 1_700_000_000_000_000, 9, "abc"), ngBlock(o, 77, make([]byte, 99)),
			simple(o, 9, "abcdef"), obsolete(o, 0, 3, 6, "abcdef"),
			statistics(o, 0, option(o, 5, o.AppendUint64(nil, 7))),
			section(little), describe(little, 276, 0, option(little, 9, []byte{0xa0})), enhanced(little, 0, 1<<33, 9, "abc")), uint16(5))
	}
	f.Add(gzipped(join(pcapHeader(little, 0xa1b2c3d4, 1), rec, rec)), uint16(9))
	f.Add(zstandard(join(pcapHeader(little, 0xa1b2c3d4, 1), rec, rec)), uint16(9))
	for _, path := range captures(f) {
		if b, err := os.ReadFile(path); err == nil && len(b) < 4096 {
			f.Add(b, uint16(333))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, block uint16) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		whole := outcome(t, b, 1<<14, 64)
		runtime.ReadMemStats(&after)
		packed := bytes.HasPrefix(b, []byte{0x1f, 0x8b}) || len(b) >= 4 && (binary.LittleEndian.Uint32(b) == 0xfd2fb528 || binary.LittleEndian.Uint32(b)&^0xf == 0x184d2a50)
		if n := after.TotalAlloc - before.TotalAlloc; !packed && n > 1<<20+uint64(2*len(b)) {
			t.Errorf("%d bytes allocated for %d", n, len(b))
		}
		parts := outcome(t, b, 1+int(block)%5000, 1+int(block)%3)
		if d := differ(whole.frames, parts.frames); d != "" {
			t.Error(d)
		}
		if whole.stats != parts.stats || len(whole.problems) != len(parts.problems) || len(whole.problems) == 1 && whole.problems[0] != parts.problems[0] {
			t.Errorf("%+v, %v in one, %+v, %v in parts", whole.stats, whole.problems, parts.stats, parts.problems)
		}
		if len(whole.problems) > 1 {
			t.Errorf("more than one problem: %v", whole.problems)
		}
		sum := 0
		for i, f := range whole.frames {
			if f.Number != uint64(i+1) || f.Length < len(f.Data) || f.File != 0 || f.Interface < 0 {
				t.Fatalf("frame %d is %+v", i, f)
			}
			sum += len(f.Data)
		}
		if sum > len(b) && !packed || uint64(sum) != whole.stats.Bytes {
			t.Errorf("frames of %d bytes, counted %d, from %d", sum, whole.stats.Bytes, len(b))
		}
	})
}

// outcome is readBytes, which ends after a megabyte of frames: a few bytes
// unpack to very many.
func outcome(t *testing.T, b []byte, block, batch int) (r result) {
	s, err := pcapfile.Open([]string{"-"}, pcapfile.Options{
		Stdin:  bytes.NewReader(b),
		Block:  block,
		Report: func(p *pcapfile.Problem) { r.problems = append(r.problems, p.Error()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	frames := make([]capture.Frame, batch)
	size := 0
	for size < 1<<20 && len(r.frames) < 1<<14 {
		n, err := s.Read(frames)
		for _, f := range frames[:n] {
			if size < 1<<20 && len(r.frames) < 1<<14 {
				size += len(f.Data)
				f.Data = bytes.Clone(f.Data)
				r.frames = append(r.frames, f)
				r.stats.Bytes += uint64(len(f.Data))
			}
		}
		if err == io.EOF {
			if r.stats.Bytes != s.Stats().Bytes || s.Stats().Received != uint64(len(r.frames)) {
				t.Errorf("counted %+v of %d frames", s.Stats(), len(r.frames))
			}
			r.stats = s.Stats()
			break
		}
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
	}
	return r
}
