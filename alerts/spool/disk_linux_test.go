package spool

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAFullDiskIsFreedByWhatArrived fills a small disk: what was synced is given,
// and once it is acknowledged there is room for what waited.
func TestAFullDiskIsFreedByWhatArrived(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("a disk of its own is a must here: %v", err)
		}
		t.Skipf("left out: a full disk, which needs root (%v)", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	var x troubles
	s := open(t, Options{Dir: dir, Levels: 2, Segment: 256 << 10, Report: x.report})
	body := strings.Repeat("z", 8<<10)
	const records = 700 // 5.6 MB
	for i := range records {
		put(t, s, i%2, fmt.Sprintf("%d %s", i, body))
		if i%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if told := x.wait(1); len(told) == 0 || told[0].What != Unwritable {
		t.Fatalf("told %+v", told)
	}
	next := 0
	for end := time.Now().Add(20 * time.Second); next < records && time.Now().Before(end); {
		batch, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range batch {
			var n int
			fmt.Sscan(string(r.Data), &n)
			if n != next {
				t.Fatalf("record %d comes where %d is due", n, next)
			}
			next++
		}
		s.Ack()
	}
	if told := x.wait(2); next != records || len(told) != 2 || told[1].What != Writable {
		t.Errorf("%d records of %d came; told %+v", next, records, told)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 6 {
		t.Errorf("%d files are left, %v", len(entries), err)
	}
}

// TestAFullDiskIsFreedByTheLastFiles fills a disk with one file of each level, and
// lets nothing come once they are acknowledged: it can be written again.
func TestAFullDiskIsFreedByTheLastFiles(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("a disk of its own is a must here: %v", err)
		}
		t.Skipf("left out: a full disk, which needs root (%v)", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	var x troubles
	s := open(t, Options{Dir: dir, Levels: 2, Report: x.report})
	body := strings.Repeat("z", 4<<10)
	records := 0
	for ; len(x.wait(0)) == 0; records++ {
		put(t, s, records%2, fmt.Sprintf("%d %s", records, body))
		time.Sleep(100 * time.Microsecond)
	}
	for next := 0; next < records; {
		batch, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		next += len(batch)
		s.Ack()
	}
	if told := x.wait(2); len(told) != 2 || told[0].What != Unwritable || told[1].What != Writable {
		t.Fatalf("told %+v", told)
	}
	put(t, s, 0, "more")
	if batch, err := s.Next(t.Context()); err != nil || len(batch) != 1 || string(batch[0].Data) != "more" {
		t.Errorf("%d records, %v", len(batch), err)
	}
	s.Ack()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
