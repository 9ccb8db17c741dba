package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/capture"
)

// TestSeveralInterfacesAreOne: their frames come as each gives them, whole, with
// the interface and a number of their own.
func TestSeveralInterfacesAreOne(t *testing.T) {
	queues := map[string]*queued{"eth1": newQueued("eth1"), "eth2": newQueued("eth2"), "eth3": newQueued("eth3")}
	src, err := openInterfaces([]string{"eth1", "eth2", "eth3"}, func(name string) (capture.Source, error) { return queues[name], nil }, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	const rounds, each = 40, 5
	go func() {
		for round := range rounds {
			for name, q := range queues {
				batch := make([]capture.Frame, each)
				for i := range batch {
					batch[i].Data = []byte(strings.Repeat(name, 3) + string(rune('0'+round)) + string(rune('a'+i)))
				}
				q.frames <- batch
			}
		}
	}()
	next := make(map[int32]int) // frame of each interface
	var number uint64
	frames := make([]capture.Frame, 3) // fewer than a batch has
	for number < rounds*each*3 {
		n, err := src.Read(frames)
		if err != nil {
			t.Fatal(err)
		}
		for i := range frames[:n] {
			f := &frames[i]
			number++
			k := next[f.Interface]
			next[f.Interface]++
			want := strings.Repeat("eth"+string(rune('1'+f.Interface)), 3) + string(rune('0'+k/each)) + string(rune('a'+k%each))
			if string(f.Data) != want || f.Number != number {
				t.Fatalf("frame %d of interface %d, number %d: %q, want %q", k, f.Interface, f.Number, f.Data, want)
			}
		}
	}
	if len(next) != 3 {
		t.Errorf("frames of %d interfaces", len(next))
	}
	queues["eth2"].drop(7)
	if got, want := src.Stats(), (capture.Stats{Received: rounds * each * 3, Bytes: rounds * each * 3 * 14, Dropped: 7}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	counts := src.counts()
	if len(counts) != 3 || counts[1].Name != "eth2" || counts[1].Stats.Received != rounds*each || counts[1].Stats.Dropped != 7 {
		t.Errorf("%+v", counts)
	}
	begin := time.Now()
	if n, err := src.Read(frames); n != 0 || err != nil || time.Since(begin) > 10*silence {
		t.Errorf("on a silent wire: %d, %v after %v", n, err, time.Since(begin))
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
}

func TestAllInterfacesEnd(t *testing.T) {
	queues := map[string]*queued{"eth1": newQueued("eth1"), "eth2": newQueued("eth2")}
	src, err := openInterfaces([]string{"eth1", "eth2"}, func(name string) (capture.Source, error) { return queues[name], nil }, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	queues["eth1"].frames <- make([]capture.Frame, 4)
	queues["eth1"].fail <- io.EOF
	queues["eth2"].frames <- make([]capture.Frame, 2)
	got := 0
	frames := make([]capture.Frame, 3)
	ended := false
	for {
		n, err := src.Read(frames)
		got += n
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if got == 6 && !ended {
			ended = true
			queues["eth2"].fail <- io.EOF
		}
	}
	if got != 6 || !ended {
		t.Errorf("%d frames", got)
	}
}

func TestWhenOneInterfaceCannotBeOpenedTheOthersAreClosed(t *testing.T) {
	first := newQueued("eth1")
	_, err := openInterfaces([]string{"eth1", "eth2"}, func(name string) (capture.Source, error) {
		if name == "eth1" {
			return first, nil
		}
		return nil, errors.New("no such interface")
	}, zerolog.Nop())
	if err == nil || err.Error() != "eth2: no such interface" {
		t.Errorf("%v", err)
	}
	select {
	case <-first.closed:
	default:
		t.Error("eth1 is open still")
	}
}

func BenchmarkMergedInterfaces(b *testing.B) {
	batch := make([]capture.Frame, framesARead)
	endless := func(string) (capture.Source, error) {
		return sourceFunc(func(frames []capture.Frame) (int, error) { return copy(frames, batch), nil }), nil
	}
	for name, interfaces := range map[string][]string{"one": {"a"}, "two": {"a", "b"}} {
		b.Run(name, func(b *testing.B) {
			src, err := openInterfaces(interfaces, endless, zerolog.Nop())
			if err != nil {
				b.Fatal(err)
			}
			defer src.Close()
			frames := make([]capture.Frame, framesARead)
			n := 0
			for b.Loop() {
				k, err := src.Read(frames)
				if err != nil {
					b.Fatal(err)
				}
				n += k
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/frame")
		})
	}
}
