package linefile

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is the time of a test.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// problems collects what is reported.
type problems struct {
	mu   sync.Mutex
	seen []error
}

func (p *problems) report(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, err)
}

func (p *problems) all() []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

func open(t *testing.T, o Options) *File {
	t.Helper()
	f, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f
}

func put(t *testing.T, f *File, line string) {
	t.Helper()
	if n, err := f.Write([]byte(line)); err != nil || n != len(line) {
		t.Fatalf("%q: %d, %v", line, n, err)
	}
}

// folder gives the files of a folder with what is in them, uncompressed.
func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		var from io.Reader = f
		if strings.HasSuffix(e.Name(), compressed) {
			if from, err = gzip.NewReader(f); err != nil {
				t.Fatal(err)
			}
		}
		b, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		files[e.Name()] = string(b)
	}
	return files
}

func same(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if got := folder(t, dir); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAFileIsSetAsideAtItsSize(t *testing.T) {
	dir, c := t.TempDir(), clock{start}
	f := open(t, Options{Path: filepath.Join(dir, "alerts.ndjson"), Size: 10, Now: c.read})
	put(t, f, "1234\n")
	put(t, f, "5678\n") // 10 bytes: it is full
	same(t, dir, map[string]string{"alerts.ndjson": "1234\n5678\n"})
	put(t, f, "\n") // one more
	put(t, f, "a line of more than ten bytes\n")
	c.now = start.Add(time.Second)
	put(t, f, "12345678\n")
	put(t, f, "12\n")
	f.Close()
	same(t, dir, map[string]string{
		"alerts-20260304T050607Z.ndjson":   "1234\n5678\n",
		"alerts-20260304T050607Z_2.ndjson": "\n",
		"alerts-20260304T050608Z.ndjson":   "a line of more than ten bytes\n",
		"alerts-20260304T050608Z_2.ndjson": "12345678\n",
		"alerts.ndjson":                    "12\n",
	})
	if n := f.Rotations(); n != 4 {
		t.Errorf("%d were set aside", n)
	}
}

func TestAFileIsSetAsideAtItsTime(t *testing.T) {
	dir, c := t.TempDir(), clock{start}
	f := open(t, Options{Path: filepath.Join(dir, "alerts"), Every: time.Hour, Now: c.read})
	put(t, f, "five\n")
	c.now = start.Truncate(time.Hour).Add(time.Hour - 1)
	f.Tick()
	put(t, f, "and five\n")
	c.now = c.now.Add(1)
	f.Tick() // without a line
	same(t, dir, map[string]string{"alerts-20260304T060000Z": "five\nand five\n", "alerts": ""})
	c.now = c.now.Add(9 * time.Hour)
	f.Tick() // an empty file stays
	put(t, f, "fifteen\n")
	c.now = c.now.Add(-2 * time.Hour) // a clock that is set back
	put(t, f, "thirteen\n")
	c.now = c.now.Add(3 * time.Hour)
	put(t, f, "sixteen\n") // without a tick
	f.Close()
	same(t, dir, map[string]string{
		"alerts-20260304T060000Z": "five\nand five\n",
		"alerts-20260304T160000Z": "fifteen\nthirteen\n",
		"alerts":                  "sixteen\n",
	})
}

// TestAFileGoesOnAfterARestart: its size and its period are those of before, and
// a line that was torn is not made one with the next.
func TestAFileGoesOnAfterARestart(t *testing.T) {
	dir, c := t.TempDir(), clock{start}
	path := filepath.Join(dir, "alerts.ndjson")
	o := Options{Path: path, Size: 10, Every: time.Hour, Now: c.read}
	f := open(t, o)
	put(t, f, "1234\n")
	f.Close()
	if err := os.Chtimes(path, start, start); err != nil {
		t.Fatal(err)
	}
	f = open(t, o)
	put(t, f, "5678\n")
	f.Close()
	if err := os.Chtimes(path, start, start); err != nil {
		t.Fatal(err)
	}
	c.now = start.Add(time.Hour)
	f = open(t, o)
	f.Tick()
	put(t, f, "torn") // as a crash leaves it
	f.Close()
	f = open(t, o)
	put(t, f, "new\n")
	f.Close()
	same(t, dir, map[string]string{"alerts-20260304T060607Z.ndjson": "1234\n5678\n", "alerts.ndjson": "torn\nnew\n"})
}

func TestSoManyAreKeptAndCompressed(t *testing.T) {
	for _, zip := range []bool{false, true} {
		dir, c, p := t.TempDir(), clock{start}, problems{}
		others := map[string]string{ // that are not of this file
			"alerts-20260304T050607Z.txt":      "x",
			"alerts-20260304T050607.ndjson":    "x",
			"alerts-20260304T050607Z_1.ndjson": "x",
			"alerts-2-20260304T0506Z.ndjson":   "x",
			"alerts-20261304T050607Z.ndjson":   "x",
			"alerts.ndjson.1":                  "x",
		}
		for name, text := range others {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		o := Options{Path: filepath.Join(dir, "alerts.ndjson"), Size: 2, Keep: 3, Gzip: zip, Now: c.read, Report: p.report}
		f := open(t, o)
		for i := range 12 { // _10 is newer than _9
			put(t, f, string(rune('a'+i))+"\n")
		}
		f.Close()
		f = open(t, o) // for what was not compressed by then
		for end := time.Now().Add(20 * time.Second); zip && time.Now().Before(end); time.Sleep(time.Millisecond) {
			if matches, _ := filepath.Glob(filepath.Join(dir, "*"+compressed)); len(matches) == 3 {
				break
			}
		}
		f.Close()
		end := ""
		if zip {
			end = compressed
		}
		want := map[string]string{
			"alerts-20260304T050607Z_9.ndjson" + end:  "i\n",
			"alerts-20260304T050607Z_10.ndjson" + end: "j\n",
			"alerts-20260304T050607Z_11.ndjson" + end: "k\n",
			"alerts.ndjson": "l\n",
		}
		for name, text := range others {
			want[name] = text
		}
		same(t, dir, want)
		if all := p.all(); len(all) > 0 {
			t.Errorf("reported %v", all)
		}
	}
}

// TestWhatACrashLeftIsTidied: half a compressed file, and a whole one beside what
// it was made of.
func TestWhatACrashLeftIsTidied(t *testing.T) {
	dir, p := t.TempDir(), problems{}
	for _, name := range []string{
		"a-20260101T000000Z", "a-20260102T000000Z", "a-20260102T000000Z.gz", "a-20260103T000000Z", "a-20260103T000000Z.gz.new",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Path: filepath.Join(dir, "a"), Size: 2, Keep: 2, Gzip: true, Report: p.report}
	tidy := tidier{o: &o, quit: make(chan struct{})}
	if err := tidy.tidy(); err != nil {
		t.Error(err)
	}
	same(t, dir, map[string]string{"a-20260102T000000Z.gz": "a-20260102T000000Z", "a-20260103T000000Z.gz": "a-20260103T000000Z"})
}

// TestAFileThatCannotBeSetAsideIsWrittenOn, and is tried again after a while.
func TestAFileThatCannotBeSetAsideIsWrittenOn(t *testing.T) {
	dir, c, p := t.TempDir(), clock{start}, problems{}
	name := strings.Repeat("n", 250) // with the time in it, it is longer than a name may be
	f := open(t, Options{Path: filepath.Join(dir, name), Size: 3, Now: c.read, Report: p.report})
	put(t, f, "1\n")
	put(t, f, "2\n")
	put(t, f, "3\n")
	if all := p.all(); len(all) != 1 || !strings.Contains(all[0].Error(), "the file stays as it is for 1m0s: ") {
		t.Errorf("reported %v", all)
	}
	c.now = start.Add(again)
	put(t, f, "4\n")
	f.Close()
	if n := len(p.all()); n != 2 || f.Rotations() != 0 {
		t.Errorf("reported %v", p.all())
	}
	same(t, dir, map[string]string{name: "1\n2\n3\n4\n"})
}

func TestAFileThatWasMovedAwayIsOpenedAnew(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("left out: a file that is open cannot be moved there")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "alerts.ndjson")
	f := open(t, Options{Path: path})
	put(t, f, "a\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	f.Tick() // which has nothing to do: who moved it will say so
	put(t, f, "b\n")
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	put(t, f, "c\n")
	same(t, dir, map[string]string{"alerts.ndjson": "c\n", "alerts.ndjson.1": "a\nb\n"})
	if st, err := os.Stat(path); err != nil || st.Mode()&0o777&^0o640 != 0 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

// TestAFolderThatVanished is made anew, once that is seen or the file is opened.
func TestAFolderThatVanished(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("left out: a folder with a file that is open cannot be removed there")
	}
	for name, open3 := range map[string]func(*File){
		"seen":       func(f *File) { f.Tick() },
		"set aside":  func(f *File) { put(t, f, "x\n"); put(t, f, "x\n"); put(t, f, "x\n") },
		"asked anew": func(f *File) { _ = f.Reopen() },
	} {
		t.Run(name, func(t *testing.T) {
			var p problems
			dir := filepath.Join(t.TempDir(), "a", "b")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			f := open(t, Options{Path: filepath.Join(dir, "alerts"), Size: 6, Keep: 1, Report: p.report})
			put(t, f, "gone\n")
			if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
				t.Fatal(err)
			}
			open3(f)
			put(t, f, "new\n")
			f.Close()
			if b, err := os.ReadFile(filepath.Join(dir, "alerts")); err != nil || !strings.HasSuffix(string(b), "new\n") {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

func TestWhatIsNoFileIsNotSetAside(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("left out: there are no devices in the tree of files there")
	}
	if _, err := Open(Options{Path: os.DevNull, Size: 10}); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("error %v", err)
	}
	f := open(t, Options{Path: os.DevNull})
	put(t, f, "a\n")
	f.Tick()
	f.Close()
	if _, err := Open(Options{Path: filepath.Join(t.TempDir(), "none", "alerts")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that never was: %v", err)
	}
}

// FuzzParse: a name that is taken for that of a file set aside is one that this
// package makes.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"a-20260304T050607Z.x", "a-20260304T050607Z_2.x.gz", "a-20260304T050607Z.x.gz.new", "a-20260230T050607Z.x", "a-.x"} {
		f.Add(name)
	}
	o := Options{Path: "a.x"}
	f.Fuzz(func(t *testing.T, name string) {
		a, ok := o.parse(name)
		if !ok {
			return
		}
		made := "a-" + a.at.Format(stamp)
		if a.nth > 1 {
			made += fmt.Sprint("_", a.nth)
		}
		if made += ".x" + a.kind; made != name {
			t.Errorf("%q is taken for %q", name, made)
		}
	})
}
