package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// troubles collects what a spool reports.
type troubles struct {
	mu   sync.Mutex
	seen []Trouble
}

func (x *troubles) report(t Trouble) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.seen = append(x.seen, t)
}

// lost counts the records that are told to be lost.
func (x *troubles) lost(what What) (n uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, t := range x.seen {
		if t.What == what {
			n += t.Records
		}
	}
	return n
}

// wait gives what was told, once that are so many.
func (x *troubles) wait(many int) (told []Trouble) {
	for range 2000 {
		x.mu.Lock()
		told = slices.Clone(x.seen)
		x.mu.Unlock()
		if len(told) >= many {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return told
}

func open(t testing.TB, o Options) *Spool {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Spool, level int, text string) uint64 {
	t.Helper()
	seq, err := s.Append(level, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// settle waits until all that was appended is synced.
func settle(t testing.TB, s *Spool) {
	t.Helper()
	s.mu.Lock()
	want := s.seq
	s.mu.Unlock()
	for range 2000 {
		if s.Synced() >= want {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("record %d of %d is synced after two seconds", s.Synced(), want)
}

// take reads and acknowledges everything, and gives the data.
func take(t testing.TB, s *Spool) (got []string) {
	t.Helper()
	settle(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for {
		batch, err := s.Next(ctx)
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			return got
		}
		for _, r := range batch {
			got = append(got, string(r.Data))
		}
		s.Ack()
	}
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got  %.300q (%d)\nwant %.300q (%d)", got, len(got), want, len(want))
	}
}

func TestRecordsComeInTheOrderOfAppending(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Levels: 3, Segment: 300})
	var want []string
	for i := range 500 {
		text := fmt.Sprint("record ", i)
		put(t, s, i*7%3, text)
		want = append(want, text)
	}
	same(t, take(t, s), want)
	if d := s.Depth(); d.Records != 0 {
		t.Errorf("%d records are left", d.Records)
	}
	entries, _ := os.ReadDir(s.o.Dir)
	if len(entries) > 3+2 {
		t.Errorf("%d files are left", len(entries))
	}
}

func TestWhatIsNotAcknowledgedComesAgain(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	put(t, s, 0, "a")
	settle(t, s)
	for range 3 {
		batch, err := s.Next(t.Context())
		if err != nil || len(batch) != 1 || string(batch[0].Data) != "a" || batch[0].Seq != 1 {
			t.Fatalf("%v, %v", batch, err)
		}
	}
	s.Ack()
	put(t, s, 0, "b")
	same(t, take(t, s), []string{"b"})
}

func TestASpoolGoesOnWhereItWas(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Levels: 2, Segment: 200})
	for i := range 40 {
		put(t, s, i%2, fmt.Sprint(i))
	}
	settle(t, s)
	if batch, err := s.Next(t.Context()); err != nil || len(batch) != 40 {
		t.Fatalf("%d records, %v", len(batch), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: dir, Levels: 2, Segment: 200})
	if d := s.Depth(); d.Records != 40 {
		t.Errorf("%d records", d.Records)
	}
	got := take(t, s)
	if len(got) != 40 || got[0] != "0" || got[39] != "39" {
		t.Errorf("got %q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: dir, Levels: 2})
	same(t, take(t, s), nil)
	if seq := put(t, s, 1, "new"); seq != 41 {
		t.Errorf("the next record is %d", seq)
	}
	same(t, take(t, s), []string{"new"})
}

func TestTwoProcessesDoNotShareAFolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v", err)
	}
	s.Close()
	open(t, Options{Dir: dir})
}

func TestAFolderThatCannotBeIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: filepath.Join(path, "spool")}); err == nil {
		t.Error("no error")
	}
}

func TestTheOldestOfTheLowestLevelGoesFirst(t *testing.T) {
	var x troubles
	s := open(t, Options{Dir: t.TempDir(), Levels: 2, Segment: 1000, Max: 20_000, Report: x.report})
	body := strings.Repeat("x", 400)
	for i := range 100 {
		put(t, s, i%2, fmt.Sprintf("%d %02d %s", i%2, i, body))
		settle(t, s)
	}
	got := take(t, s)
	high, low := 0, 0
	last := -1
	for _, r := range got {
		var level, n int
		fmt.Sscanf(r, "%d %d", &level, &n)
		if n <= last {
			t.Fatalf("record %d comes behind %d", n, last)
		}
		last = n
		if level == 1 {
			high++
		} else {
			low++
		}
	}
	if low > 2 || high < 35 || high == 50 {
		t.Errorf("%d of the low level are left and %d of the high one", low, high)
	}
	if n := x.lost(Dropped); int(n) != 100-low-high {
		t.Errorf("%d were told to be dropped of %d", n, 100-low-high)
	}
}

func TestOldRecordsAreGivenUp(t *testing.T) {
	var x troubles
	now := time.Unix(1_750_000_000, 0)
	s := open(t, Options{Dir: t.TempDir(), Segment: 1, Age: time.Hour, Now: func() time.Time { return now }, Report: x.report})
	put(t, s, 0, "old")
	settle(t, s)
	now = now.Add(2 * time.Hour)
	put(t, s, 0, "new")
	same(t, take(t, s), []string{"new"})
	if x.lost(Dropped) != 1 {
		t.Errorf("%+v", x.seen)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Waiting: 1000, Late: time.Hour})
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		_, err = s.Append(0, make([]byte, 64))
	}
	if err != ErrFull || n != 11 {
		t.Errorf("%v after %d records", err, n)
	}
	if _, err := s.Append(0, make([]byte, MaxRecord+1)); err == nil {
		t.Error("a record beyond the bound was taken")
	}
	s.Close()
	if _, err := s.Append(0, nil); err != os.ErrClosed {
		t.Errorf("error %v once closed", err)
	}
	if _, err := s.Next(t.Context()); err != os.ErrClosed {
		t.Errorf("error %v of reading once closed", err)
	}
}

// TestDamage changes the files of a spool in every way and looks for what is
// left: all records but those hit, each loss told.
func TestDamage(t *testing.T) {
	fill := func(t *testing.T) (dir string, files []string) {
		dir = t.TempDir()
		s := open(t, Options{Dir: dir, Segment: 2000})
		for i := range 100 {
			put(t, s, 0, fmt.Sprintf("%02d %s", i, strings.Repeat("y", 100)))
			if i%10 == 9 {
				settle(t, s)
			}
		}
		settle(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		files, _ = filepath.Glob(filepath.Join(dir, "*.log"))
		if len(files) < 4 {
			t.Fatalf("%d files", len(files))
		}
		return dir, files
	}
	cases := []struct {
		name string
		hurt func(files []string) error
		left [2]int // at least, at most
	}{
		{"a byte of the data flipped", func(f []string) error { return flip(f[1], 500) }, [2]int{99, 99}},
		{"a byte of a length flipped", func(f []string) error { return flip(f[1], 4) }, [2]int{99, 99}},
		{"a byte of a magic number flipped", func(f []string) error { return flip(f[1], 0) }, [2]int{99, 99}},
		{"the first byte of all", func(f []string) error { return flip(f[0], 0) }, [2]int{99, 99}},
		{"a segment in the middle cut", func(f []string) error { return os.Truncate(f[1], 700) }, [2]int{80, 98}},
		{"the last segment cut", func(f []string) error { return os.Truncate(f[len(f)-1], 700) }, [2]int{80, 98}},
		{"a segment gone", func(f []string) error { return os.Remove(f[1]) }, [2]int{60, 98}},
		{"a segment empty", func(f []string) error { return os.Truncate(f[1], 0) }, [2]int{60, 98}},
		{"a segment of zeros", func(f []string) error { return os.WriteFile(f[1], make([]byte, 3000), 0o600) }, [2]int{60, 98}},
		{"all gone but the state", func(f []string) error {
			for _, p := range f {
				if err := os.Remove(p); err != nil {
					return err
				}
			}
			return nil
		}, [2]int{0, 0}},
		{"a strange file", func(f []string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(f[0]), "7-zz.log"), []byte("x"), 0o600)
		}, [2]int{100, 100}},
		{"no state", func(f []string) error { return os.Remove(filepath.Join(filepath.Dir(f[0]), stateName)) }, [2]int{100, 100}},
		{"a strange state", func(f []string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(f[0]), stateName), []byte("acked: many"), 0o600)
		}, [2]int{100, 100}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir, files := fill(t)
			if err := c.hurt(files); err != nil {
				t.Fatal(err)
			}
			var x troubles
			s := open(t, Options{Dir: dir, Segment: 2000, Report: x.report})
			put(t, s, 0, "99+ a new one")
			got := take(t, s)
			if n := len(got) - 1; n < c.left[0] || n > c.left[1] || got[n] != "99+ a new one" {
				t.Errorf("%d records are left, the last %q", n, got[n])
			}
			if lost := x.lost(Damaged); int(lost) != 101-len(got) {
				t.Errorf("%d were told to be lost of %d", lost, 101-len(got))
			}
		})
	}
}

func flip(path string, at int64) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[at] ^= 0x10
	return os.WriteFile(path, b, 0o600)
}

// TestASegmentThatGoes takes a file away under the spool's hands.
func TestASegmentThatGoes(t *testing.T) {
	var x troubles
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Segment: 1, Report: x.report}) // each commit begins a segment
	for i := range 5 {
		put(t, s, 0, fmt.Sprint(i))
		settle(t, s)
	}
	if err := os.Remove(filepath.Join(dir, segmentName(0, 3))); err != nil {
		t.Fatal(err)
	}
	same(t, take(t, s), []string{"0", "1", "3", "4"})
	if n := x.lost(Damaged); n != 1 {
		t.Errorf("%d were told to be lost", n)
	}
}

// TestADiskThatFails puts a file in the place of the folder and gives that back:
// what comes meanwhile is read from memory, and what was not read by then is
// written.
func TestADiskThatFails(t *testing.T) {
	var x troubles
	dir := filepath.Join(t.TempDir(), "spool")
	o := Options{Dir: dir, Levels: 2, Segment: 1, Report: x.report} // each commit begins a segment
	s := open(t, o)
	put(t, s, 0, "before")
	settle(t, s)
	same(t, take(t, s), []string{"before"})
	breakFolder(t, dir)
	put(t, s, 0, "meanwhile")
	put(t, s, 1, "and")
	put(t, s, 0, "then")
	x.wait(1)
	if d := s.Depth(); s.Synced() != 1 || !d.Unwritable || d.Records != 3 {
		t.Errorf("record %d is synced; %+v", s.Synced(), d)
	}
	for range 2 { // the same, until they are acknowledged
		if batch, err := s.Next(t.Context()); err != nil || len(batch) != 3 || string(batch[0].Data) != "meanwhile" || string(batch[2].Data) != "then" {
			t.Fatalf("%v, %v", batch, err)
		}
	}
	s.Ack()
	if d := s.Depth(); d.Records != 0 {
		t.Errorf("%+v", d)
	}
	put(t, s, 0, "late")
	mendFolder(t, dir)
	settle(t, s)
	if told := x.wait(2); len(told) != 2 || told[0].What != Unwritable || told[0].Err == nil || told[1].What != Writable {
		t.Errorf("told %+v", told)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = open(t, o)
	same(t, take(t, s), []string{"late"})
	if n := x.lost(Damaged); n != 0 {
		t.Errorf("%d were told to be lost", n)
	}
}

// TestADiskThatIsMendedHasWhatWaited: also once it was read, as long as nobody
// has acknowledged it.
func TestADiskThatIsMendedHasWhatWaited(t *testing.T) {
	var x troubles
	dir := filepath.Join(t.TempDir(), "spool")
	o := Options{Dir: dir, Segment: 1, Report: x.report}
	s := open(t, o)
	put(t, s, 0, "before")
	settle(t, s)
	breakFolder(t, dir)
	put(t, s, 0, "meanwhile")
	x.wait(1)
	mendFolder(t, dir)
	settle(t, s)
	batch, err := s.Next(t.Context())
	if err != nil || len(batch) != 2 {
		t.Fatalf("%v, %v", batch, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = open(t, o)
	same(t, take(t, s), []string{"before", "meanwhile"})
}

// TestADiskThatIsDeadIsAskedAgainThoughAllWasRead: that it takes again is told.
func TestADiskThatIsDeadIsAskedAgainThoughAllWasRead(t *testing.T) {
	var x troubles
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, Options{Dir: dir, Segment: 1, Report: x.report})
	put(t, s, 0, "before")
	same(t, take(t, s), []string{"before"})
	breakFolder(t, dir)
	put(t, s, 0, "meanwhile")
	x.wait(1)
	for len(take0(t, s)) == 0 {
		time.Sleep(time.Millisecond)
	}
	mendFolder(t, dir)
	if told := x.wait(2); len(told) != 2 || told[1].What != Writable {
		t.Errorf("told %+v", told)
	}
}

// TestMemoryIsFreeAgainOnceItWasRead: a disk that is dead loses nothing as long as
// somebody takes what comes.
func TestMemoryIsFreeAgainOnceItWasRead(t *testing.T) {
	var x troubles
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, Options{Dir: dir, Segment: 1, Waiting: 1000, Report: x.report})
	put(t, s, 0, "before")
	same(t, take(t, s), []string{"before"})
	breakFolder(t, dir)
	next := 0
	want := func() {
		for _, text := range take0(t, s) {
			if text != fmt.Sprint(next) {
				t.Fatalf("%s comes where %d is due", text, next)
			}
			next++
		}
	}
	const records = 200 // of 36 bytes and more
	for i := range records {
		for {
			_, err := s.Append(0, fmt.Append(nil, i))
			if err == nil {
				break
			}
			if err != ErrFull {
				t.Fatal(err)
			}
			want()
			time.Sleep(time.Millisecond)
		}
	}
	for end := time.Now().Add(20 * time.Second); next < records && time.Now().Before(end); time.Sleep(time.Millisecond) {
		want()
	}
	if next != records {
		t.Errorf("%d of %d came", next, records)
	}
}

// take0 takes what there is and does not wait for more.
func take0(t *testing.T, s *Spool) (got []string) {
	t.Helper()
	batch, troubles, err := s.next()
	if err != nil || len(troubles) > 0 {
		t.Fatal(err, troubles)
	}
	for _, r := range batch {
		got = append(got, string(r.Data))
	}
	s.Ack()
	return got
}

// breakFolder puts a file where the folder is, which mendFolder puts back.
func breakFolder(t *testing.T, dir string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("left out: a folder of open files cannot be moved there")
	}
	if err := errors.Join(os.Rename(dir, dir+".gone"), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func mendFolder(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".gone", dir)); err != nil {
		t.Fatal(err)
	}
}

// TestAFolderThatIsRemovedIsBegunAnew: what was in it and not read is told to be
// lost, and nothing else is.
func TestAFolderThatIsRemovedIsBegunAnew(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("left out: a folder of open files cannot be removed there")
	}
	for _, read := range []bool{true, false} {
		var x troubles
		dir := filepath.Join(t.TempDir(), "a", "spool")
		s := open(t, Options{Dir: dir, Report: x.report})
		put(t, s, 0, "first")
		put(t, s, 0, "second")
		settle(t, s)
		if read {
			same(t, take(t, s), []string{"first", "second"})
		}
		if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
		put(t, s, 0, "then")
		settle(t, s)
		same(t, take(t, s), []string{"then"})
		lost := uint64(2)
		if read {
			lost = 0
		}
		if told := x.wait(1); told[0].What != Damaged || !errors.Is(told[0].Err, errGone) || x.lost(Damaged) != lost {
			t.Errorf("read %v: told %+v", read, told)
		}
		if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrInUse) {
			t.Errorf("the new folder is free for others: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, stateName)); err != nil {
			t.Error(err)
		}
	}
}

// TestASegmentThatCannotBeReadIsSetAside: after a while, with all that stands in
// it and nothing else.
func TestASegmentThatCannotBeReadIsSetAside(t *testing.T) {
	var x troubles
	var mu sync.Mutex
	now := time.Unix(1_750_000_000, 0)
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Levels: 2, Segment: 1, Report: x.report, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	for i := range 6 {
		put(t, s, i%2, fmt.Sprint(i))
		settle(t, s)
	}
	broken := filepath.Join(dir, segmentName(1, 2)) // of record 3
	if err := errors.Join(os.Remove(broken), os.Mkdir(broken, 0o700)); err != nil {
		t.Fatal(err)
	}
	batch, err := s.Next(t.Context()) // what is before it comes first
	if err != nil || len(batch) != 2 {
		t.Fatalf("%v, %v", batch, err)
	}
	s.Ack()
	for range 3 {
		if _, err := s.Next(t.Context()); err == nil {
			t.Fatal("no error")
		}
		pass(4 * time.Second)
	}
	if told := x.wait(0); len(told) != 0 {
		t.Fatalf("told %+v", told)
	}
	if _, err := s.Next(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if told := x.wait(1); len(told) != 1 || told[0].What != Damaged || told[0].Records != 1 || told[0].Path != broken || told[0].Err == nil {
		t.Fatalf("told %+v", told)
	}
	same(t, take(t, s), []string{"2", "4", "5"})
	if _, err := os.Stat(broken + aside); err != nil {
		t.Error(err)
	}
	if d := s.Depth(); d.Records != 0 {
		t.Errorf("%+v", d)
	}
}

// TestTheNewestSegmentThatCannotBeReadIsSetAside: the one that is being written.
func TestTheNewestSegmentThatCannotBeReadIsSetAside(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("left out: a file that is open cannot be removed there")
	}
	var x troubles
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Report: x.report, Patience: time.Millisecond})
	put(t, s, 0, "lost")
	settle(t, s)
	broken := filepath.Join(dir, segmentName(0, 1))
	if err := errors.Join(os.Remove(broken), os.Mkdir(broken, 0o700)); err != nil {
		t.Fatal(err)
	}
	for len(x.wait(0)) == 0 {
		_, _, _ = s.next() // an error, until it is set aside
		time.Sleep(time.Millisecond)
	}
	put(t, s, 0, "then")
	same(t, take(t, s), []string{"then"})
	if n := x.lost(Damaged); n != 1 {
		t.Errorf("told %+v", x.wait(0))
	}
}

// TestAChildThatIsKilled appends in a child that is killed at random moments and
// holds what it said was synced against what is given: nothing is missing, the
// order holds, and a repeat is the same record.
func TestAChildThatIsKilled(t *testing.T) {
	if dir := os.Getenv("SPOOL_CHILD"); dir != "" {
		child(dir)
		return
	}
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	said := make(map[int]bool)    // records that the children said were synced
	given := make(map[int]string) // by number
	for range 20 {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestAChildThatIsKilled$")
		cmd.Env = append(os.Environ(), "SPOOL_CHILD="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(20+random.IntN(80))*time.Millisecond, func() { cmd.Process.Kill() })
		from := 0
		for sc := bufio.NewScanner(out); sc.Scan(); {
			word, rest, _ := strings.Cut(sc.Text(), " ")
			n, err := strconv.Atoi(rest)
			switch {
			case err != nil:
			case word == "from":
				from = n
			case word == "synced":
				for ; from <= n; from++ {
					said[from] = true
				}
			case word == "given":
				given[n] = "by a child"
			}
		}
		_ = cmd.Wait()
	}
	s := open(t, Options{Dir: dir, Levels: 3, Segment: 4000})
	last := 0
	for _, text := range take(t, s) {
		n, _ := strconv.Atoi(text)
		if n <= last {
			t.Fatalf("record %d comes behind %d", n, last)
		}
		last = n
		given[n] = "in the end"
	}
	if len(said) < 100 {
		t.Fatalf("the children synced %d records", len(said))
	}
	missing := 0
	for n := range said {
		if given[n] == "" {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d records that were synced are missing", missing, len(said))
	}
}

// child appends records that say their numbers, says how far they are synced,
// and takes some of them.
func child(dir string) {
	s, err := Open(Options{Dir: dir, Levels: 3, Segment: 4000, Late: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("from", s.Synced()+1)
	go func() {
		for {
			batch, err := s.Next(context.Background())
			if err != nil {
				return
			}
			for _, r := range batch {
				fmt.Println("given", string(r.Data))
			}
			s.Ack()
			time.Sleep(5 * time.Millisecond)
		}
	}()
	for {
		s.mu.Lock()
		n := s.seq + 1
		s.mu.Unlock()
		if _, err := s.Append(int(n%3), fmt.Append(nil, n)); err != nil {
			os.Exit(1)
		}
		if n%10 == 0 {
			time.Sleep(time.Millisecond)
			fmt.Println("synced", s.Synced())
		}
	}
}

// FuzzSegment reads segments of any bytes: no frame that is given is other than
// one that was written, or one that holds by its checksum.
func FuzzSegment(f *testing.F) {
	whole := appendFrame(appendFrame(nil, &frame{1, 1, 5, []byte("one")}), &frame{2, 2, 6, []byte("two")})
	f.Add(whole)
	f.Add(whole[3:])
	f.Add(whole[:len(whole)-1])
	f.Add(append([]byte("\xf5KWS\xff\xff\xff\x00"), whole...))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := cursor{from: strings.NewReader(string(b)), end: int64(len(b))}
		total := int64(0)
		for {
			var fr frame
			at := c.at
			if err := c.next(&fr); err != nil {
				break
			}
			again := appendFrame(nil, &fr)
			if end := c.at; end > int64(len(b)) || string(b[end-int64(len(again)):end]) != string(again) {
				t.Fatalf("the frame at %d is not what is there", at)
			}
			total += int64(len(again))
		}
		if total+c.skipped != c.at || c.at > int64(len(b)) {
			t.Errorf("%d bytes of frames and %d skipped up to %d", total, c.skipped, c.at)
		}
	})
}

// BenchmarkAppend appends records of 500 bytes, reads and acknowledges them.
func BenchmarkAppend(b *testing.B) {
	s := open(b, Options{Dir: b.TempDir(), Levels: 5})
	data := make([]byte, 500)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for left := b.N; left > 0; {
			batch, err := s.Next(context.Background())
			if err != nil {
				return
			}
			left -= len(batch)
			s.Ack()
		}
	}()
	for i := range b.N {
		for {
			_, err := s.Append(i%5, data)
			if err == nil {
				break
			}
			if err != ErrFull {
				b.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
	}
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
