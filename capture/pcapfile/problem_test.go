package pcapfile_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
)

func TestProblemsAreOneLineWithFileAndOffset(t *testing.T) {
	t.Parallel()
	h := pcapHeader(little, 0xa1b2c3d4, 1)
	rec := record(little, 1, 2, 60, strings.Repeat("x", 60)) // 76 bytes
	ng := join(section(little), describe(little, 1, 0))      // 48 bytes
	epb := enhanced(little, 0, 1, 60, strings.Repeat("x", 60))
	set := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	many := []byte{}
	for range 3000 {
		many = append(many, rec...)
	}
	many = join(h, many)
	badCRC := gzipped(many)
	badCRC[len(badCRC)-8] ^= 1
	badDeflate := set(gzipped(join(h, rec)), 10, 0xff) // block type 3
	for _, c := range []struct {
		name   string
		file   []byte
		frames int    // -1: any number
		want   string // behind "standard input: "; "": no problem
		failed bool
	}{
		{"a header and nothing", h, 0, "", false},
		{"cut in the file header", h[:23], 0, "offset 0: cut off in the middle of the file header", false},
		{"cut in a record's header", join(h, rec, rec[:15]), 1, "offset 100: cut off in the middle of a record", false},
		{"cut in a record's data", join(h, rec, rec[:75]), 1, "offset 100: cut off in the middle of a record", false},
		{"a record of 1 MiB and one", join(h, rec, set(rec, 8, 1, 0, 0x10, 0), rec), 1, "offset 100: a record of 1048577 bytes is impossible", true},
		{"a record of 4 GiB", join(h, set(rec, 8, 255, 255, 255, 255)), 0, "offset 24: a record of 4294967295 bytes is impossible", true},
		{"version 1.4", set(join(h, rec), 4, 1), 0, "offset 0: pcap version 1.4 is not known", true},
		{"no byte", nil, 0, "offset 0: the file is empty", true},
		{"three bytes", h[:3], 0, "offset 0: not a capture file", true},
		{"text", []byte("hello, world\n"), 0, "offset 0: not a capture file", true},
		{"zip", []byte("PK\x03\x04..........................."), 0, "offset 0: not a capture file but a zip archive", true},
		{"xz", []byte("\xfd7zXZ\x00\x00\x04"), 0, "offset 0: not a capture file but xz-compressed data", true},
		{"snoop", []byte("snoop\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x04"), 0, "offset 0: not a capture file but a snoop capture", true},
		{"gzip of text", gzipped([]byte("hello, world\n")), 0, "offset 0: not a capture file", true},
		{"gzip of nothing", gzipped(nil), 0, "offset 0: not a capture file", true},
		{"gzip cut in its header", gzipped(many)[:9], 0, "offset 0: cut off in the middle of the compressed data", false},
		{"gzip cut in its first block", gzipped(many)[:20], 0, "offset 0: cut off in the middle of the compressed data", false},
		{"gzip cut in its trailer", gzipped(join(h, rec))[:len(gzipped(join(h, rec)))-3], 1, "offset 100: cut off in the middle of the compressed data", false},
		{"gzip with a wrong checksum", badCRC, 3000, "offset 228024: gzip: invalid checksum", true},
		{"gzip that is not deflate", badDeflate, 0, "offset 0: flate: corrupt input before offset 1", true},
		{"gzip and then something else", join(gzipped(join(h, rec)), []byte("something else")), 1, "offset 100: gzip: invalid header", true},
		{"zstd cut in its header", zstandard(many)[:5], 0, "offset 0: cut off in the middle of the compressed data", false},
		{"zstd cut in its last block", zstandard(join(h, rec))[:40], 0, "offset 0: cut off in the middle of the compressed data", false},
		{"zstd with a window of 3.75 TiB", []byte("\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00"), 0, "offset 0: window size exceeded", true},
		{"compressed four times over", gzipped(gzipped(gzipped(gzipped(join(h, rec))))), 0, "offset 0: compressed more than 3 times over", true},

		{"pcapng without interfaces", section(big), 0, "", false},
		{"pcapng cut in its first block", ng[:27], 0, "offset 0: cut off in the middle of a record", false},
		{"pcapng cut in its first 12 bytes", ng[:9], 0, "offset 0: cut off in the middle of a record", false},
		{"pcapng cut in a block's header", join(ng, epb, epb[:7]), 1, "offset 140: cut off in the middle of a record", false},
		{"pcapng cut in a frame", join(ng, epb, epb[:50]), 1, "offset 140: cut off in the middle of a record", false},
		{"pcapng cut in a block that is passed over", join(ng, epb, ngBlock(little, 77, make([]byte, 8))[:10]), 1, "offset 140: cut off in the middle of a record", false},
		{"pcapng cut at the last 4 bytes of one", join(ng, epb, ngBlock(little, 77, make([]byte, 8))[:16]), 1, "offset 140: cut off in the middle of a record", false},
		{"pcapng without a byte-order magic", set(ng, 8, 0), 0, "offset 0: not a capture file but pcapng without a byte-order magic", true},
		{"a second section without one", join(ng, epb, set(ng, 8, 0)), 1, "offset 140: a section without a byte-order magic", true},
		{"pcapng version 2.0", set(ng, 12, 2), 0, "offset 0: pcapng version 2.0 is not known", true},
		{"a section of 24 bytes", set(ng, 4, 24), 0, "offset 0: a block of 24 bytes is impossible", true},
		{"a block of 7 bytes", join(ng, epb, set(epb, 4, 7)), 1, "offset 140: a block of 7 bytes is impossible", true},
		{"a frame's block of 28 bytes", join(ng, set(epb, 4, 28)), 0, "offset 48: a block of 28 bytes is impossible", true},
		{"a block of 16 MiB and 4", join(ng, epb, set(epb, 4, 4, 0, 0, 1)), 1, "offset 140: a block of 16777220 bytes is impossible", true},
		{"an unknown block of 4 GiB", join(ng, set(ngBlock(little, 77), 4, 255, 255, 255, 255)), 0, "offset 48: a block of 4294967295 bytes is impossible", true},
		{"zeroes after the last block", join(ng, epb, make([]byte, 4096)), 1, "offset 140: a block of 0 bytes is impossible", true},
		{"two lengths of a block that differ", join(ng, epb, set(epb, len(epb)-4, 90)), 1, "offset 140: the length at a block's end is not that at its beginning", true},
		{"two lengths of a block passed over that differ", join(ng, epb, set(ngBlock(little, 77, make([]byte, 8)), 16, 90)), 1, "offset 140: the length at a block's end is not that at its beginning", true},
		{"a frame longer than its block", join(ng, set(epb, 20, 61)), 0, "offset 48: a frame of 61 bytes is impossible in a block of 92", true},
		{"a frame of 4 GiB", join(ng, set(epb, 20, 255, 255, 255, 255)), 0, "offset 48: a frame of 4294967295 bytes is impossible in a block of 92", true},
		{"a frame of an interface never described", join(ng, set(epb, 8, 1)), 0, "offset 48: a frame of interface 1 where 1 are described", true},
		{"a frame of interface 2^32-1", join(ng, set(epb, 8, 255, 255, 255, 255)), 0, "offset 48: a frame of interface 4294967295 where 1 are described", true},
		{"a simple frame before any interface", join(section(little), simple(little, 3, "abc")), 0, "offset 28: a frame of interface 0 where 0 are described", true},
		{"a frame of the last section's interface", join(ng, section(little), epb), 0, "offset 76: a frame of interface 0 where 0 are described", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, block := range []int{1, 33, 0} {
				got := readBytes(t, c.file, block)
				if c.frames >= 0 && len(got.frames) != c.frames {
					t.Errorf("block %d: %d frames, want %d", block, len(got.frames), c.frames)
				}
				var want []string
				if c.want != "" {
					want = []string{"standard input: " + c.want}
				}
				if d := cmp.Diff(want, got.problems); d != "" {
					t.Errorf("block %d: %s", block, d)
				}
				if (got.failed > 0) != c.failed {
					t.Errorf("block %d: %d failures", block, got.failed)
				}
			}
		})
	}
}

func TestEveryCutGivesTheWholeRecordsAndOneWarning(t *testing.T) {
	t.Parallel()
	h := pcapHeader(little, 0xa1b2c3d4, 1)
	ng := join(section(little), describe(little, 1, 0))
	for name, c := range map[string]struct{ head, record []byte }{
		"pcap":   {h, record(little, 1, 2, 9, "123456789")},
		"pcapng": {ng, enhanced(little, 0, 1, 9, "123456789")},
	} {
		file := join(c.head, c.record, c.record, c.record)
		for cut := len(c.head); cut <= len(file); cut++ {
			got := readBytes(t, file[:cut], 16)
			whole := (cut - len(c.head)) / len(c.record)
			warnings := 0
			if (cut-len(c.head))%len(c.record) != 0 {
				warnings = 1
			}
			if len(got.frames) != whole || len(got.problems) != warnings || got.failed != 0 {
				t.Errorf("%s cut at %d: %d frames, %v", name, cut, len(got.frames), got.problems)
			}
		}
	}
}

func TestCompressedStreamsCutAnywhereAreWarnings(t *testing.T) {
	t.Parallel()
	plain := pcapHeader(little, 0xa1b2c3d4, 1)
	for i := range 300 {
		plain = append(plain, record(little, uint32(i), uint32(i*i), 60, strings.Repeat("ab", i%23))...)
	}
	whole := readBytes(t, plain, 0).frames
	for name, file := range map[string][]byte{"gzip": gzipped(plain), "zstd": zstandard(plain)} {
		for cut := 4; cut < len(file); cut += 1 + cut/50 {
			got := readBytes(t, file[:cut], 0)
			if len(got.problems) != 1 || got.failed != 0 || !strings.Contains(got.problems[0], "cut off in the middle of the compressed data") {
				t.Errorf("%s cut at %d: %v", name, cut, got.problems)
			}
			if d := differ(whole[:min(len(got.frames), len(whole))], got.frames); d != "" {
				t.Errorf("%s cut at %d: %s", name, cut, d)
			}
		}
	}
}

func TestOtherFilesAreReadWhateverIsWrongWithOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := pcapHeader(little, 0xa1b2c3d4, 1)
	rec := record(little, 1, 2, 3, "abc")
	good := save(t, dir, "good.pcap", join(h, rec, rec))
	cut := save(t, dir, "cut.pcap", join(h, rec, rec[:5]))
	text := save(t, dir, "text.pcap", []byte("no capture"))
	missing := filepath.Join(dir, "missing.pcap")
	got := readAll(t, []string{missing, cut, text, good, dir + "/good.pcap"}, pcapfile.Options{}, 8)
	if d := cmp.Diff([]string{
		missing + ": " + syscall.ENOENT.Error(),
		cut + ": offset 43: cut off in the middle of a record",
		text + ": offset 0: not a capture file",
	}, got.problems); d != "" {
		t.Error(d)
	}
	var where [][2]int
	for _, f := range got.frames {
		where = append(where, [2]int{int(f.File), int(f.Number)})
	}
	// Files that were never found have no index.
	if d := cmp.Diff([][2]int{{0, 1}, {2, 1}, {2, 2}, {3, 1}, {3, 2}}, where); d != "" {
		t.Error(d)
	}
	if !errors.Is(got.err, fs.ErrNotExist) || !errors.Is(got.err, pcapfile.ErrNoCapture) || errors.Is(got.err, pcapfile.ErrTruncated) {
		t.Errorf("Err is %v", got.err)
	}
	var p *pcapfile.Problem
	if !errors.As(got.err, &p) || p.File != missing || p.Offset != -1 {
		t.Errorf("the first failure is %+v", p)
	}
	if want := (capture.Stats{Received: 5, Bytes: 15}); got.stats != want {
		t.Errorf("got %+v, want %+v", got.stats, want)
	}
}

func TestNothingButMissingFilesEndsAtOnce(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.pcap")
	s, err := pcapfile.Open([]string{missing}, pcapfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Read(make([]capture.Frame, 1)); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
	if s.Err() == nil || len(s.Files()) != 0 {
		t.Error(s.Err(), s.Files())
	}
}

func TestOpenRefusesOnlyWrongCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		paths []string
		opts  pcapfile.Options
		want  string
	}{
		{nil, pcapfile.Options{}, "no capture file named"},
		{[]string{"-", "-"}, pcapfile.Options{}, "standard input is named twice"},
		{[]string{"x"}, pcapfile.Options{Block: -1}, "block of -1 bytes"},
	} {
		if _, err := pcapfile.Open(c.paths, c.opts); err == nil || err.Error() != c.want {
			t.Errorf("%v: got %v, want %s", c.paths, err, c.want)
		}
	}
}

func TestAFolderIsReadInTheOrderOfFirstFrames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := pcapHeader(little, 0xa1b2c3d4, 1)
	at := func(sec uint32) []byte { return join(h, record(little, sec, 0, 1, "x")) }
	save(t, dir, "a.pcap", at(30))
	save(t, dir, "b.pcap.gz", gzipped(at(10)))
	save(t, dir, "sub/deeper/c.pcapng", join(section(big), describe(big, 1, 0), enhanced(big, 0, 20_000_000, 1, "x")))
	save(t, dir, "sub/no-frame.pcap", h)
	save(t, dir, "sub/same-b", at(10))
	save(t, dir, "z-cut.pcap", join(at(40), []byte("cut")))
	save(t, dir, "z-bad.pcap", join(h, record(little, 50, 0, 1, "x"), bytes.Repeat([]byte{0xff}, 16)))
	save(t, dir, "README.md", []byte("# Captures\n"))
	save(t, dir, "empty.pcap", nil)
	save(t, dir, "cut-header.pcap", h[:20])
	save(t, dir, ".hidden.pcap", at(1))
	save(t, dir, ".git/x.pcap", at(1))
	if runtime.GOOS != "windows" {
		if err := os.Symlink("a.pcap", filepath.Join(dir, "link.pcap")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("..", filepath.Join(dir, "sub", "round")); err != nil {
			t.Fatal(err)
		}
	}
	var problems []string
	s, err := pcapfile.Open([]string{dir}, pcapfile.Options{Report: func(p *pcapfile.Problem) {
		problems = append(problems, strings.ReplaceAll(p.Error(), dir+"/", ""))
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var files []string
	for i, name := range s.Files() {
		if s.File(i) != name {
			t.Errorf("file %d is %s and %s", i, s.File(i), name)
		}
		files = append(files, strings.TrimPrefix(name, dir+"/"))
	}
	want := []string{"cut-header.pcap", "sub/no-frame.pcap", "b.pcap.gz", "sub/same-b", "sub/deeper/c.pcapng", "a.pcap", "link.pcap", "z-cut.pcap", "z-bad.pcap"}
	if runtime.GOOS == "windows" {
		t.Skip("paths and links are written otherwise")
	}
	if d := cmp.Diff(want, files); d != "" {
		t.Error(d)
	}
	var times []int64
	frames := make([]capture.Frame, 4)
	for {
		n, err := s.Read(frames)
		for _, f := range frames[:n] {
			times = append(times, f.Time/1e9)
		}
		if err != nil {
			break
		}
	}
	if d := cmp.Diff([]int64{10, 10, 20, 30, 30, 40, 50}, times); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{
		"README.md: skipped: not a capture file",
		"empty.pcap: skipped: the file is empty",
		"cut-header.pcap: offset 0: cut off in the middle of the file header",
		"z-cut.pcap: offset 41: cut off in the middle of a record",
		"z-bad.pcap: offset 41: a record of 4294967295 bytes is impossible",
	}, problems); d != "" {
		t.Error(d)
	}
	if err := s.Err(); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("Err is %v, want one failure", err)
	}
}

func TestAFolderWithoutCapturesIsAFailure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got := readAll(t, []string{dir}, pcapfile.Options{}, 1)
	if d := cmp.Diff([]string{dir + ": no capture file in this folder"}, got.problems); d != "" || got.failed != 1 {
		t.Error(d)
	}
	save(t, dir, "README.md", []byte("# Captures\n"))
	got = readAll(t, []string{dir}, pcapfile.Options{}, 1)
	if len(got.problems) != 2 || got.failed != 1 {
		t.Error(got.problems)
	}
}

func TestProgressCountsBytesOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := pcapHeader(little, 0xa1b2c3d4, 1)
	for range 1000 {
		plain = append(plain, record(little, 1, 2, 3, "abc")...)
	}
	a := save(t, dir, "a", plain)
	bad := save(t, dir, "b", join(pcapHeader(little, 0xa1b2c3d4, 1), bytes.Repeat([]byte{255}, 500_000)))
	z := save(t, dir, "z", gzipped(plain))
	total := int64(len(plain) + 500_024 + len(gzipped(plain)))
	s, err := pcapfile.Open([]string{a, bad, z}, pcapfile.Options{Block: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	last := int64(0)
	if got, of := s.Progress(); got != 0 || of != total {
		t.Errorf("at first %d of %d, want 0 of %d", got, of, total)
	}
	frames := make([]capture.Frame, 100)
	for {
		_, err := s.Read(frames)
		got, of := s.Progress()
		if got < last || got > total || of != total {
			t.Fatalf("%d of %d after %d", got, of, last)
		}
		if last = got; err == io.EOF {
			break
		}
	}
	if last != total {
		t.Errorf("%d of %d at the end", last, total)
	}
	s, err = pcapfile.Open([]string{a, "-"}, pcapfile.Options{Stdin: bytes.NewReader(plain)})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = s.Read(frames)
	}
	if got, of := s.Progress(); got != int64(2*len(plain)) || of != 0 {
		t.Errorf("%d of %d with standard input, want %d of 0", got, of, 2*len(plain))
	}
}

func TestCloseUnblocksReadOfStandardInput(t *testing.T) {
	t.Parallel()
	for name, head := range map[string][]byte{
		"before the first byte":    nil,
		"in the file header":       pcapHeader(little, 0xa1b2c3d4, 1)[:10],
		"in a record":              join(pcapHeader(little, 0xa1b2c3d4, 1), []byte("rec")),
		"in the first gzip header": gzipped(pcapHeader(little, 0xa1b2c3d4, 1))[:5],
		"in gzip":                  gzipped(pcapHeader(little, 0xa1b2c3d4, 1))[:30],
		"in zstd":                  zstandard(pcapHeader(little, 0xa1b2c3d4, 1))[:9],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, w := io.Pipe()
			defer w.Close() // ends the goroutine that is left waiting
			s, err := pcapfile.Open([]string{"-"}, pcapfile.Options{Stdin: r, Report: func(p *pcapfile.Problem) { t.Error(p) }})
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go func() {
				_, err := s.Read(make([]capture.Frame, 1))
				done <- err
			}()
			if head != nil {
				w.Write(head)
			}
			s.Close()
			if err := <-done; !errors.Is(err, os.ErrClosed) {
				t.Errorf("Read gives %v", err)
			}
			if _, err := s.Read(make([]capture.Frame, 1)); !errors.Is(err, os.ErrClosed) {
				t.Errorf("the next Read gives %v", err)
			}
		})
	}
}

func TestFramesOfAPipeAreGivenWhenTheyCome(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	s, err := pcapfile.Open([]string{"-"}, pcapfile.Options{Stdin: r})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	frames := make([]capture.Frame, 8)
	send := pcapHeader(little, 0xa1b2c3d4, 1)
	for i := range 3 {
		go w.Write(append(send, record(little, uint32(i), 0, 1, "x")...))
		if n, err := s.Read(frames); n != 1 || err != nil || frames[0].Time != int64(i)*1e9 {
			t.Fatal(n, err, frames[0])
		}
		send = nil
	}
	go w.Close()
	if n, err := s.Read(frames); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
}

func TestReadFillsFromTheBlock(t *testing.T) {
	t.Parallel()
	file := pcapHeader(little, 0xa1b2c3d4, 1)
	for range 100 {
		file = append(file, record(little, 1, 2, 84, strings.Repeat("x", 84))...) // 100 bytes each
	}
	path := save(t, t.TempDir(), "x", file)
	s, err := pcapfile.Open([]string{path}, pcapfile.Options{Block: 8192})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got []int
	frames := make([]capture.Frame, 64)
	for {
		n, err := s.Read(frames)
		if err != nil {
			break
		}
		got = append(got, n)
	}
	if d := cmp.Diff([]int{64, 17, 19}, got); d != "" { // 81 records and a part in the first 8,192 bytes
		t.Error(d)
	}
	if n, err := s.Read(nil); n != 0 || err != nil {
		t.Error("Read of nothing gives", n, err)
	}
}

func TestReadAllocatesNothingAFrame(t *testing.T) {
	data := strings.Repeat("x", 845)
	pcap := pcapHeader(little, 0xa1b2c3d4, 1)
	ng := join(section(little), describe(little, 1, 0))
	for range 20_000 {
		pcap = append(pcap, record(little, 1, 2, 845, data)...)
		ng = append(ng, enhanced(little, 0, 1, 845, data)...)
	}
	for name, file := range map[string][]byte{"pcap": pcap, "pcapng": ng} {
		path := save(t, t.TempDir(), name, file)
		s, err := pcapfile.Open([]string{path}, pcapfile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		frames := make([]capture.Frame, 256)
		s.Read(frames)
		if n := testing.AllocsPerRun(60, func() {
			if n, err := s.Read(frames); n == 0 || err != nil {
				t.Fatal(n, err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a Read", name, n)
		}
		s.Close()
	}
}

// A length that a few bytes claim must not become memory.
func TestClaimedLengthsAreNotAllocated(t *testing.T) {
	h := pcapHeader(little, 0xa1b2c3d4, 1)
	set := func(b []byte, at int, v ...byte) []byte {
		copy(b[at:], v)
		return b
	}
	ng := join(section(little), describe(little, 1, 0))
	for name, file := range map[string][]byte{
		"a record of 4 GiB":            join(h, set(record(little, 1, 2, 3, "abc"), 8, 255, 255, 255, 255)),
		"a record of 1 MiB":            join(h, set(record(little, 1, 2, 3, "abc"), 8, 0, 0, 16, 0)),
		"a frame's block of 16 MiB":    join(ng, set(enhanced(little, 0, 1, 3, "abc"), 4, 0, 0, 0, 1)),
		"an unknown block of 16 MiB":   join(ng, set(ngBlock(little, 77), 4, 0, 0, 0, 1)),
		"an interface block of 16 MiB": join(ng, set(describe(little, 1, 0), 4, 0, 0, 0, 1)),
		"a zstd window of 128 MiB":     []byte("\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		readBytes(t, file, 4096)
		runtime.ReadMemStats(&after)
		limit := uint64(1 << 20)
		if strings.HasPrefix(name, "a zstd") {
			limit += 128 << 20 // the decoder of zstd takes what it may
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > limit {
			t.Errorf("%s: %d bytes allocated for %d", name, n, len(file))
		}
	}
}
