package linefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAFullDiskTearsNoLine fills a small disk and makes room again: what was
// refused is written then, and every line is whole.
func TestAFullDiskTearsNoLine(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("a disk of its own is a must here: %v", err)
		}
		t.Skipf("left out: a full disk, which needs root (%v)", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 100<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "alerts")
	f := open(t, Options{Path: path})
	line := func(i int) string { return fmt.Sprintf("%d %s\n", i, strings.Repeat("y", 700)) }
	refused := 0
	for i := range 300 { // 210 KB
		_, err := f.Write([]byte(line(i)))
		for err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			if refused++; refused == 3 {
				if err := os.Remove(ballast); err != nil {
					t.Fatal(err)
				}
			}
			_, err = f.Write([]byte(line(i)))
		}
	}
	f.Close()
	b, err := os.ReadFile(path)
	if err != nil || refused < 3 {
		t.Fatalf("%v, refused %d times", err, refused)
	}
	i := 0
	for l := range strings.Lines(string(b)) {
		if l != line(i) {
			t.Fatalf("line %d is %.20q", i, l)
		}
		i++
	}
	if i != 300 {
		t.Errorf("%d lines", i)
	}
}
