package decode_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/capturetest"
	"kmswatch/decode"
)

// The captures of trafficgen stand for an office uplink (mix) and for the port
// in front of domain controllers and a KMS host (dense).

func run(t testing.TB, name string, args ...string) {
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// counter counts events.
type counter struct{ n int }

func (c *counter) Handle(decode.Event) { c.n++ }

// BenchmarkFeed is the engine alone: frames from memory, events counted.
func BenchmarkFeed(b *testing.B) {
	for _, kind := range []string{"mix", "dense"} {
		b.Run(kind, func(b *testing.B) {
			frames := capturetest.Load(b, made(b, kind, 100000))
			bench(b, frames)
		})
	}
}

// BenchmarkFeedBulk is the engine on frames of no interest alone, in a window
// that fits the second-level cache, as sources give them.
func BenchmarkFeedBulk(b *testing.B) {
	bulk := bulkOf(b, capturetest.Load(b, made(b, "mix", 2000)))[:256]
	e := decode.New(decode.Config{}, &counter{})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for i := range bulk {
			e.Feed(&bulk[i])
		}
		n += len(bulk)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "frames/s")
}

// bulkOf gives the frames to and from port 443.
func bulkOf(t testing.TB, frames []capture.Frame) []capture.Frame {
	var bulk []capture.Frame
	for _, f := range frames {
		if len(f.Data) > 38 && (f.Data[34] == 1 && f.Data[35] == 0xbb || f.Data[36] == 1 && f.Data[37] == 0xbb) {
			bulk = append(bulk, f)
		}
	}
	if len(bulk) < len(frames)/2 {
		t.Fatalf("%d frames of bulk in %d", len(bulk), len(frames))
	}
	return bulk
}

func bench(b *testing.B, frames []capture.Frame) {
	var bytes int64
	for _, f := range frames {
		bytes += int64(len(f.Data))
	}
	b.SetBytes(bytes)
	b.ReportAllocs()
	c := &counter{}
	for b.Loop() {
		e := decode.New(decode.Config{}, c)
		for i := range frames {
			e.Feed(&frames[i])
		}
		e.Close()
	}
	n := float64(b.N) * float64(len(frames))
	b.ReportMetric(n/b.Elapsed().Seconds(), "frames/s")
	b.ReportMetric(float64(c.n)/n, "events/frame")
}

// BenchmarkReplay reads a file as well, from memory where there is a file
// system for that.
func BenchmarkReplay(b *testing.B) {
	for _, kind := range []string{"mix", "dense"} {
		path := filepath.Join(fastDir(b), kind+".pcap")
		const frames = 500000
		run(b, "go", "run", "kmswatch/cmd/trafficgen", "--kind", kind, "--frames", "500000", "--output", path)
		for _, workers := range []int{1, 2} {
			b.Run(kind+"/workers="+string(rune('0'+workers)), func(b *testing.B) {
				b.ReportAllocs()
				c := &counter{}
				for b.Loop() {
					feed(b, open(b, path), 256, decode.New(decode.Config{Workers: workers}, c))
				}
				b.ReportMetric(float64(b.N)*frames/b.Elapsed().Seconds(), "frames/s")
			})
		}
	}
}
