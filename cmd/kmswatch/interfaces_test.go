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
	src, err := openInterfaces([]string{"eth1", "eth2", "eth3"}, func(name string) (capture.Source, error) { return queues[name], nil }, true, sighted(t), zerolog.Nop())
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

// sighted is for interfaces that are never blind.
func sighted(t *testing.T) func(string, string) {
	return func(name, cause string) { t.Errorf("%s is said to be blind: %s", name, cause) }
}

// ailing is a source that is silent, and says why.
type ailing struct {
	sourceFunc
	trouble *string
}

func (a ailing) Trouble() string { return *a.trouble }

// TestAnInterfaceThatIsDownIsBlind, is told to be so once each time, and shows it
// until it is up again; on a host it is not.
func TestAnInterfaceThatIsDownIsBlind(t *testing.T) {
	for _, mirror := range []bool{true, false} {
		trouble := ""
		var told []string
		src, err := openInterfaces([]string{"eth1"}, func(string) (capture.Source, error) {
			return ailing{func([]capture.Frame) (int, error) { return 0, nil }, &trouble}, nil
		}, mirror, func(name, cause string) { told = append(told, name+" "+cause) }, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		for _, now := range []string{"", "it is down", "it is down", "it is gone", "", "it is down"} {
			trouble = now
			if _, err := src.Read(nil); err != nil {
				t.Fatal(err)
			}
			want := now
			if !mirror {
				want = ""
			}
			if got := src.counts()[0].Trouble; got != want {
				t.Errorf("mirror %v: %q, want %q", mirror, got, want)
			}
		}
		want := "eth1 it is down, eth1 it is down"
		if !mirror {
			want = ""
		}
		if got := strings.Join(told, ", "); got != want {
			t.Errorf("mirror %v: told %q", mirror, got)
		}
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
	}, true, sighted(t), zerolog.Nop())
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
	}, true, sighted(t), zerolog.Nop())
	if err == nil || err.Error() != "eth2: no such interface" {
		t.Errorf("%v", err)
	}
	select {
	case <-first.closed:
	default:
		t.Error("eth1 is open still")
	}
}
