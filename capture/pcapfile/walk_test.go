package pcapfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
)

// walkAll is readAll by Walk.
func walkAll(t testing.TB, paths []string, opts pcapfile.Options, batch int) result {
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
	err = s.Walk(batch, func(frames []capture.Frame) error {
		if len(frames) == 0 {
			t.Fatal("no frames")
		}
		for _, f := range frames {
			if cap(f.Data) != len(f.Data) {
				t.Fatalf("frame %d of %d bytes can be extended to %d", f.Number, len(f.Data), cap(f.Data))
			}
			f.Data = bytes.Clone(f.Data)
			r.frames = append(r.frames, f)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read, total := s.Progress(); read != total {
		t.Errorf("%d bytes of %d read at the end", read, total)
	}
	if _, err := s.Read(make([]capture.Frame, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read after Walk gives %v", err)
	}
	r.stats, r.err = s.Stats(), s.Err()
	return r
}

// alike compares two readings.
func alike(t *testing.T, name string, read, walked result) {
	t.Helper()
	if d := differ(read.frames, walked.frames); d != "" {
		t.Errorf("%s: %s", name, d)
	}
	if read.stats != walked.stats || fmt.Sprint(read.problems, read.failed, read.err) != fmt.Sprint(walked.problems, walked.failed, walked.err) {
		t.Errorf("%s: Read gives %+v, %v, Walk %+v, %v", name, read.stats, read.problems, walked.stats, walked.problems)
	}
}

// large is a capture of records of all lengths up to 200,000 bytes, one of the
// longest there may be in the middle, so that the ends of what is mapped lie
// anywhere in them; n of them.
func large(n int) (pcap, pcapng []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 1<<20)
	for i := range text {
		text[i] = byte(r.Uint32())
	}
	pcap = pcapHeader(little, 0xa1b2c3d4, 1)
	pcapng = join(section(little), describe(little, 1, 0))
	for i := range n {
		size := r.IntN(1 << r.IntN(18))
		if i == n/2 {
			size = 1 << 20
		}
		at := r.IntN(1 << 16)
		data := string(text[min(at, len(text)-size):][:size])
		pcap = append(pcap, record(little, uint32(i), 0, uint32(size), data)...)
		pcapng = append(pcapng, enhanced(little, 0, uint64(i), uint32(size), data)...)
		if i%100 == 0 {
			pcapng = append(pcapng, ngBlock(little, 77, text[:size])...)
		}
	}
	return pcap, pcapng
}

func TestWalkGivesWhatReadGives(t *testing.T) {
	t.Parallel()
	pcap, pcapng := large(3000)
	dir := t.TempDir()
	for name, file := range map[string][]byte{
		"pcap":                      pcap,
		"pcapng":                    pcapng,
		"pcap in gzip":              gzipped(pcap),
		"pcap cut short":            pcap[:len(pcap)-1],
		"pcapng cut short":          pcapng[:len(pcapng)-3000],
		"pcap of whole windows":     pcap[:8<<20],
		"damaged":                   join(pcap, bytes.Repeat([]byte{255}, 1<<21)),
		"a claim of 1 MiB":          join(pcap, []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0}, make([]byte, 100)),
		"an unknown block, cut off": join(pcapng, ngBlock(little, 77, make([]byte, 3<<20))[:2<<20]),
		"no frames":                 pcap[:24],
		"nothing":                   nil,
	} {
		path := save(t, dir, name, file)
		for _, block := range []int{1000, 0, 1 << 20} {
			opts := pcapfile.Options{Block: block}
			alike(t, name, readAll(t, []string{path, path}, opts, 64), walkAll(t, []string{path, path}, opts, 64))
		}
	}
	// Frames that are cut by every step.
	small := pcapHeader(big, 0xa1b23c4d, 1)
	for i := range 200 {
		small = append(small, record(big, uint32(i), 0, uint32(i), string(make([]byte, i)))...)
	}
	path := save(t, dir, "small", small)
	for block := 1; block < 300; block++ {
		opts := pcapfile.Options{Block: block}
		alike(t, fmt.Sprint("block ", block), readAll(t, []string{path}, opts, 7), walkAll(t, []string{path}, opts, 7))
	}
}

func TestWalkEndsWithTheErrorOfTake(t *testing.T) {
	t.Parallel()
	pcap, _ := large(300)
	path := save(t, t.TempDir(), "x", pcap)
	s, err := pcapfile.Open([]string{path, path}, pcapfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := s.Walk(10, func(f []capture.Frame) error {
		if n += len(f); n > 100 {
			return io.ErrShortWrite
		}
		return nil
	}); err != io.ErrShortWrite || n > 110 {
		t.Errorf("%v after %d frames", err, n)
	}
}

func TestCloseEndsWalk(t *testing.T) {
	t.Parallel()
	pcap, _ := large(300)
	path := save(t, t.TempDir(), "x", pcap)
	s, err := pcapfile.Open([]string{path, path}, pcapfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Walk(10, func(f []capture.Frame) error {
		s.Close()
		for i := range f {
			_ = bytes.Clone(f[i].Data) // still there
		}
		return nil
	}); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestWalkPassesPanicsOn(t *testing.T) {
	t.Parallel()
	path := save(t, t.TempDir(), "x", join(pcapHeader(little, 0xa1b2c3d4, 1), record(little, 1, 2, 3, "abc")))
	for name, fail := range map[string]func(){
		"of a program": func() { panic("no") },
		"of nil":       func() { _ = *(*int)(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a panic %s was lost", name)
				}
			}()
			s, err := pcapfile.Open([]string{path}, pcapfile.Options{})
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Walk(1, func([]capture.Frame) error { fail(); return nil })
		}()
	}
}
