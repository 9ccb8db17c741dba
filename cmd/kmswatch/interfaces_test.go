package main

import (
	"errors"
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
					batch[i].Time = time.Now().UnixNano()
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
	if n, err := src.Read(frames); n != 0 || err != nil {
		t.Errorf("on a silent wire: %d, %v", n, err)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
}

// TestAnInterfaceInTroubleIsReadOn: a source that tells of trouble, and then has
// frames again, is the same source.
func TestAnInterfaceInTroubleIsReadOn(t *testing.T) {
	step, opened := 0, 0
	src, err := openInterfaces([]string{"eth1"}, func(string) (capture.Source, error) {
		opened++
		return sourceFunc(func(frames []capture.Frame) (int, error) {
			switch step++; step {
			case 1, 3, 4:
				return 0, errors.New("the interface is down")
			case 2, 5:
				return 0, nil
			}
			return 1, nil
		}), nil
	}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	for read := 1; ; read++ {
		n, err := src.Read(make([]capture.Frame, 1))
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			if read != 6 || opened != 1 {
				t.Errorf("a frame with Read %d, opened %d times", read, opened)
			}
			return
		}
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
