package npcap

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kmswatch/capture"
)

// driver plays the DLL: frames come out of it as out of a driver, in a buffer
// that is used again for the next.
type driver struct {
	mu     sync.Mutex
	frames []record
	fails  error // what next gives after the frames
	lost   uint32
	closed int
	buffer [256]byte
}

func (d *driver) next(r *record) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.frames) == 0 {
		return false, d.fails
	}
	*r = d.frames[0]
	d.frames = d.frames[1:]
	if len(r.data) <= len(d.buffer) {
		r.data = d.buffer[:copy(d.buffer[:], r.data)]
	}
	return true, nil
}

func (d *driver) drops() (uint32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost, nil
}

func (d *driver) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed++
}

func (d *driver) put(payloads ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, p := range payloads {
		d.frames = append(d.frames, record{sec: 1700000000, usec: uint32(i), length: uint32(len(p)), data: []byte(p)})
	}
}

func (d *driver) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func start(t *testing.T, d *driver, o Options) *Source {
	t.Helper()
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	s := newSource("mirror", o, d, capture.LinkEthernet)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestReadGivesWhatTheDriverHas(t *testing.T) {
	d := &driver{}
	s := start(t, d, Options{})
	d.put("one", "", "three")
	d.frames[2].length = 1500
	frames := make([]capture.Frame, 8)
	n, err := s.Read(frames)
	if n != 3 || err != nil {
		t.Fatalf("%d frames, error %v", n, err)
	}
	for i, want := range []capture.Frame{
		{Data: []byte("one"), Time: 1700000000e9, Length: 3, Number: 1},
		{Data: nil, Time: 1700000000e9 + 1e3, Length: 0, Number: 2},
		{Data: []byte("three"), Time: 1700000000e9 + 2e3, Length: 1500, Number: 3},
	} {
		got := frames[i]
		if string(got.Data) != string(want.Data) || cap(got.Data) != len(got.Data) || got.Time != want.Time ||
			got.Length != want.Length || got.Number != want.Number || got.Link != capture.LinkEthernet {
			t.Errorf("frame %d is %+v (%q, cap %d)", i, got, got.Data, cap(got.Data))
		}
	}
	if st := s.Stats(); st != (capture.Stats{Received: 3, Bytes: 8, Truncated: 1}) {
		t.Errorf("stats %+v", st)
	}
}

// What does not fit into one Read is left to the next, and a frame is never cut
// for lack of room in a batch.
func TestReadLeavesWhatHasNoRoom(t *testing.T) {
	d := &driver{}
	s := start(t, d, Options{Snap: 100 << 10})
	big := strings.Repeat("x", 100<<10)
	for range 12 {
		d.put(big)
	}
	d.put("last")
	frames := make([]capture.Frame, 64)
	total := 0
	for total < 13 {
		n, err := s.Read(frames)
		if err != nil || n == 0 {
			t.Fatalf("%d frames, error %v, after %d", n, err, total)
		}
		for _, f := range frames[:n] {
			if len(f.Data) != f.Length || f.Number != uint64(total+1) {
				t.Errorf("frame %d: %d bytes of %d", f.Number, len(f.Data), f.Length)
			}
			total++
		}
	}
	if st := s.Stats(); st.Truncated != 0 || st.Received != 13 {
		t.Errorf("stats %+v", st)
	}

	d.put("a", "b", "c")
	for _, want := range []string{"a", "b", "c"} {
		if n, err := s.Read(frames[:1]); n != 1 || err != nil || string(frames[0].Data) != want {
			t.Fatalf("%d frames, error %v, want %s", n, err, want)
		}
	}
}

// A DLL that gives more bytes than were asked for does no harm.
func TestReadDoesNotBelieveTheLength(t *testing.T) {
	d := &driver{}
	s := start(t, d, Options{Snap: 64})
	d.put(strings.Repeat("x", 4096))
	frames := make([]capture.Frame, 1)
	if n, err := s.Read(frames); n != 1 || err != nil || len(frames[0].Data) != 64 || frames[0].Length != 4096 {
		t.Fatalf("%d frames, error %v, %d bytes of %d", n, err, len(frames[0].Data), frames[0].Length)
	}
	if st := s.Stats(); st.Truncated != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestReadReturnsWhenNothingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &driver{}
		s := start(t, d, Options{})
		begin := time.Now()
		frames := make([]capture.Frame, 8)
		if n, err := s.Read(frames); n != 0 || err != nil {
			t.Fatalf("%d frames, error %v", n, err)
		}
		if took := time.Since(begin); took != DefaultWait {
			t.Errorf("Read returned after %v", took)
		}

		// What comes meanwhile is given at the next look.
		begin = time.Now()
		go func() {
			time.Sleep(30 * time.Millisecond)
			d.put("late")
		}()
		if n, err := s.Read(frames); n != 1 || err != nil {
			t.Fatalf("%d frames, error %v", n, err)
		}
		if took := time.Since(begin); took > 30*time.Millisecond+longPause {
			t.Errorf("Read returned after %v", took)
		}
		if n, err := s.Read(nil); n != 0 || err != nil {
			t.Errorf("no room: %d frames, error %v", n, err)
		}
	})
}

func TestCloseEndsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &driver{}
		s := start(t, d, Options{Wait: time.Hour})
		done := make(chan error)
		go func() {
			_, err := s.Read(make([]capture.Frame, 8))
			done <- err
		}()
		time.Sleep(time.Second)
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-done; !errors.Is(err, os.ErrClosed) {
			t.Errorf("Read ended with %v", err)
		}
		if _, err := s.Read(make([]capture.Frame, 8)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Read after Close gives %v", err)
		}
		if d.closed != 1 {
			t.Errorf("device closed %d times", d.closed)
		}
	})
}

func TestAnInterfaceThatIsGoneIsToldOfAfterItsFrames(t *testing.T) {
	d := &driver{}
	s := start(t, d, Options{})
	frames := make([]capture.Frame, 8)
	d.put("last")
	d.set(func() { d.lost, d.fails = 5, errors.New("the interface disappeared") })
	if n, err := s.Read(frames); n != 1 || err != nil || string(frames[0].Data) != "last" {
		t.Fatalf("%d frames, error %v", n, err)
	}
	d.set(func() { d.fails = nil }) // a DLL that forgets is not asked again
	d.put("of another life")
	for range 2 {
		if n, err := s.Read(frames); n != 0 || err == nil || err.Error() != "interface mirror: the interface disappeared" {
			t.Fatalf("%d frames, error %v", n, err)
		}
	}
	if st := s.Stats(); st.Dropped != 5 || st.Received != 1 {
		t.Errorf("stats %+v", st)
	}
	s.Close()
	if _, err := s.Read(frames); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read after Close gives %v", err)
	}
}

func TestOptions(t *testing.T) {
	var o Options
	if err := o.setDefaults(); err != nil || o != (Options{Snap: DefaultSnap, Buffer: DefaultBuffer, Wait: DefaultWait}) {
		t.Errorf("%+v, error %v", o, err)
	}
	for _, o := range []Options{{Snap: maxBytes + 1}, {Buffer: maxBytes + 1}} {
		if err := o.setDefaults(); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if !decoded(capture.LinkEthernet) || !decoded(capture.LinkNull) || decoded(127) {
		t.Error("Ethernet and loopback are of use, wireless frames are not")
	}
}

// BenchmarkRead is what a frame costs beside the DLL: a copy and its header.
func BenchmarkRead(b *testing.B) {
	queue := make([]record, 256)
	for i := range queue {
		queue[i] = record{length: 300, data: make([]byte, 300)}
	}
	d := &full{queue: queue}
	var o Options
	if err := o.setDefaults(); err != nil {
		b.Fatal(err)
	}
	s := newSource("mirror", o, d, capture.LinkEthernet)
	defer s.Close()
	frames := make([]capture.Frame, 256)
	b.SetBytes(300)
	b.ReportAllocs()
	for n := 0; b.Loop(); n-- {
		if n == 0 {
			var err error
			if n, err = s.Read(frames); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// full is a driver that always has a frame.
type full struct {
	queue []record
	at    int
}

func (f *full) next(r *record) (bool, error) {
	*r = f.queue[f.at%len(f.queue)]
	f.at++
	return true, nil
}
func (f *full) drops() (uint32, error) { return 0, nil }
func (f *full) close()                 {}

func TestDropsAreCountedBeyond32Bits(t *testing.T) {
	d := &driver{}
	s := start(t, d, Options{})
	for _, step := range []struct {
		now  uint32
		want uint64
	}{{10, 10}, {1<<32 - 1, 1<<32 - 1}, {4, 1<<32 + 4}} {
		d.set(func() { d.lost = step.now })
		if got := s.Stats().Dropped; got != step.want {
			t.Errorf("dropped %d, want %d", got, step.want)
		}
	}
	d.set(func() { d.lost = 6 })
	s.Close()
	if got := s.Stats().Dropped; got != 1<<32+6 {
		t.Errorf("dropped %d after Close", got)
	}
}

func TestStatsAndCloseBesideRead(t *testing.T) {
	d := &driver{}
	s := start(t, d, Options{Wait: time.Millisecond})
	var wg sync.WaitGroup
	wg.Go(func() {
		frames := make([]capture.Frame, 4)
		for {
			if _, err := s.Read(frames); err != nil {
				return
			}
		}
	})
	wg.Go(func() {
		for range 200 {
			d.put("x")
			s.Stats()
		}
		s.Close()
	})
	wg.Wait()
}

func TestReadAllocatesNothing(t *testing.T) {
	d := &driver{}
	s := start(t, d, Options{Wait: time.Millisecond})
	frames := make([]capture.Frame, 4)
	queue := make([]record, 4)
	for i := range queue {
		queue[i] = record{length: 60, data: make([]byte, 60)}
	}
	if n := testing.AllocsPerRun(100, func() {
		d.frames = queue
		if n, err := s.Read(frames); n != 4 || err != nil {
			t.Fatalf("%d frames, error %v", n, err)
		}
		s.Stats()
	}); n != 0 {
		t.Errorf("%v allocations a Read with frames", n)
	}
	if n := testing.AllocsPerRun(20, func() {
		if n, err := s.Read(frames); n != 0 || err != nil {
			t.Fatalf("%d frames, error %v", n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a Read without frames", n)
	}
}
