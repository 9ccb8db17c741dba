package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkReplay is the whole of replay, all rules on, over the captures of
// trafficgen: an office uplink (mix), and the port in front of domain
// controllers and a KMS host (dense). make profile takes the profile that the
// compiler is given from it.
func BenchmarkReplay(b *testing.B) {
	const frames = 500_000
	dir := b.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "kmswatch-bench-"); err == nil {
		b.Cleanup(func() { os.RemoveAll(shm) })
		dir = shm
	}
	for _, kind := range []string{"mix", "dense"} {
		b.Run(kind, func(b *testing.B) {
			path := filepath.Join(dir, kind+".pcap")
			gen := exec.Command("go", "run", "kmswatch/cmd/trafficgen", "--kind", kind, "--frames", "500000", "-o", path)
			if out, err := gen.CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			b.ReportAllocs()
			for b.Loop() {
				var errs bytes.Buffer
				args := []string{"replay", "--workers", "1", "--format", "ndjson", path}
				code := run(context.Background(), args, terminal{in: strings.NewReader(""), out: io.Discard, err: &errs})
				if code != 0 {
					b.Fatalf("exit %d: %s", code, &errs)
				}
			}
			b.ReportMetric(float64(b.N)*frames/b.Elapsed().Seconds(), "frames/s")
		})
	}
}
