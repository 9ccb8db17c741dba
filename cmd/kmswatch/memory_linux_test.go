package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMemoryDoesNotGrowWithTheCapture replays captures of 800,000 and of two
// million frames from a pipe and compares the peak memory of the process. Both
// are longer than the longest wait of their flows, and of so few hosts that both
// have seen all pairs of them: what is remembered grows with the variety of the
// traffic, up to its bounds, and must not grow with its length.
func TestMemoryDoesNotGrowWithTheCapture(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"kmswatch", "trafficgen"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), "kmswatch/cmd/"+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	peak := func(frames int) int64 {
		gen := exec.Command(filepath.Join(dir, "trafficgen"), "--kind", "dense", "--rate", "20000", "--clients", "100", "--servers", "6", "--frames", fmt.Sprint(frames))
		replay := exec.Command(filepath.Join(dir, "kmswatch"), "replay", "--format", "ndjson", "-")
		pipe, err := gen.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		replay.Stdin = pipe
		if err := gen.Start(); err != nil {
			t.Fatal(err)
		}
		if out, err := replay.CombinedOutput(); err != nil {
			t.Fatalf("replay of %d frames: %v\n%.2000s", frames, err, out)
		}
		if err := gen.Wait(); err != nil {
			t.Fatal(err)
		}
		return replay.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	}
	short, long := peak(800_000), peak(2_000_000)
	t.Logf("peak of 800,000 frames: %d KiB; of 2,000,000: %d KiB", short, long)
	if long > short*5/4+4096 {
		t.Errorf("peak memory grew from %d KiB to %d KiB with more frames of the same kind", short, long)
	}
}
