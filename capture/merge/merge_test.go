package merge_test

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"kmswatch/capture"
	"kmswatch/capture/capturetest"
	"kmswatch/capture/merge"
)

// script is a live source that gives what is put into it.
type script struct {
	answers chan answer
	closed  chan struct{}
	once    sync.Once
}

type answer struct {
	frames []capture.Frame
	err    error
}

func newScript() *script {
	return &script{answers: make(chan answer, 100), closed: make(chan struct{})}
}

func (s *script) Read(frames []capture.Frame) (int, error) {
	select {
	case a := <-s.answers:
		if n := copy(frames, a.frames); n < len(a.frames) {
			panic("more frames than there is room for")
		}
		return len(a.frames), a.err
	case <-s.closed:
		return 0, os.ErrClosed
	}
}

func (s *script) Stats() capture.Stats {
	return capture.Stats{Received: 1, Bytes: 2, Dropped: 3, Filtered: 4, Truncated: 5}
}

func (s *script) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// at makes frames of times, whose data tells them.
func at(times ...int64) []capture.Frame {
	var all []capture.Frame
	for _, t := range times {
		all = append(all, capture.Frame{Time: t, Data: []byte{byte(t), 1, 2}, Length: 3})
	}
	return all
}

// times reads n frames, no more than batch at a time, and gives their times.
func times(t *testing.T, s *merge.Source, n, batch int) []int64 {
	t.Helper()
	frames := make([]capture.Frame, batch)
	var got []int64
	for len(got) < n {
		m, err := s.Read(frames)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames[:m] {
			if f.Data[0] != byte(f.Time) {
				t.Fatalf("the data of frame %d is %x", f.Time, f.Data)
			}
			got = append(got, f.Time)
			if f.Number != uint64(len(got)) {
				t.Errorf("frame %d has the number %d", len(got), f.Number)
			}
		}
	}
	return got
}

func TestFramesComeInTheOrderOfTheirTimes(t *testing.T) {
	now := time.Now().UnixNano()
	for _, c := range []struct {
		name string
		base int64
		hold time.Duration
	}{
		{"long ago, all at hand", 0, 0},
		{"now, waiting for the other", now, time.Hour},
	} {
		for _, batch := range []int{1, 2, 64} {
			a, b := newScript(), newScript()
			put := func(s *script, ts ...int64) {
				for i := range ts {
					ts[i] += c.base
				}
				s.answers <- answer{frames: at(ts...)}
			}
			put(a, 1, 4, 5, 6)
			put(b, 2, 3, 7, 20)
			put(a, 8, 9)
			put(a, 10, 30)
			s := merge.New([]capture.Source{capturetest.Poison(a), capturetest.Poison(b)}, c.hold)
			if c.hold == 0 {
				// All that the sources have is at hand before the first Read, but no more.
				for len(a.answers) > 2 || len(b.answers) > 0 {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(10 * time.Millisecond)
			}
			want := []int64{1, 2, 3, 4, 5, 6}
			if c.hold > 0 {
				want = append(want, 7, 8, 9, 10, 20)
			}
			got := times(t, s, len(want), batch)
			for i := range want {
				want[i] += c.base
			}
			if !slices.Equal(got[:len(want)], want) {
				t.Errorf("%s, by %d: got %v, want %v", c.name, batch, got, want)
			}
			s.Close()
		}
	}
}

func TestAFrameIsHeldNoLongerThanItsTime(t *testing.T) {
	a, b := newScript(), newScript()
	const hold = 200 * time.Millisecond
	s := merge.New([]capture.Source{a, b}, hold)
	defer s.Close()
	stamp := time.Now()
	a.answers <- answer{frames: at(stamp.UnixNano())}
	b.answers <- answer{} // has nothing
	times(t, s, 1, 8)
	if took := time.Since(stamp); took < hold {
		t.Errorf("held for %v, want %v", took, hold)
	}
	// One of a clock that is ahead is not held at all.
	a.answers <- answer{frames: at(time.Now().Add(time.Hour).UnixNano())}
	frames := make([]capture.Frame, 1)
	for n := 0; n == 0; {
		var err error
		if n, err = s.Read(frames); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadReturnsWhenThereIsNothing(t *testing.T) {
	a, b := newScript(), newScript()
	s := merge.New([]capture.Source{a, b}, time.Second)
	defer s.Close()
	b.answers <- answer{}
	if n, err := s.Read(make([]capture.Frame, 4)); n != 0 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestASourceThatFailsIsToldOfOnceAndTheOthersGoOn(t *testing.T) {
	a, b := newScript(), newScript()
	failure := errors.New("no such luck")
	a.answers <- answer{frames: at(1), err: failure}
	b.answers <- answer{frames: at(2)}
	b.answers <- answer{err: io.EOF}
	s := merge.New([]capture.Source{a, b}, 0)
	defer s.Close()
	frames := make([]capture.Frame, 4)
	got, told := 0, 0
	for {
		n, err := s.Read(frames)
		got += n
		if err == io.EOF {
			break
		}
		if err != nil {
			if !errors.Is(err, failure) || err.Error() != "source 1: no such luck" {
				t.Fatal(err)
			}
			told++
		}
	}
	if got != 2 || told != 1 {
		t.Errorf("%d frames, told %d times", got, told)
	}
	if _, err := s.Read(frames); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

func TestCloseEndsAll(t *testing.T) {
	a, b := newScript(), newScript()
	s := merge.New([]capture.Source{a, b}, time.Hour)
	a.answers <- answer{frames: at(time.Now().UnixNano())}
	done := make(chan error)
	go func() {
		_, err := s.Read(make([]capture.Frame, 1))
		done <- err
	}()
	time.Sleep(10 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read ended with %v", err)
	}
	if n, err := s.Read(make([]capture.Frame, 1)); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read after Close gives %d, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got, want := s.Stats(), (capture.Stats{Received: 2, Bytes: 4, Dropped: 6, Filtered: 8, Truncated: 10}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}
