package xdp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kmswatch/bpf"
	"kmswatch/capture"
)

// Config says what to capture. Zero values of fields but Interface are defaults.
type Config struct {
	Interface string // name
	TCPPorts  []uint16
	UDPPorts  []uint16
	Flows     int           // remembered in the kernel; 65,536
	Ring      int           // bytes, a power of two; 64 MiB
	Snap      int           // bytes of a frame that are captured; 65,536
	Mode      bpf.Mode      // best
	Wait      time.Duration // after which Read gives nothing when nothing came; 100 ms
	Seed      uint64        // of hashes that an attacker must not foresee
}

const (
	defaultRing = 64 << 20
	defaultWait = 100 * time.Millisecond
)

// Errors of Read, found with errors.Is. The capture is not over: the next Read
// waits until the interface is back and goes on.
var (
	ErrDown = errors.New("interface is down")
	ErrGone = errors.New("interface is gone")
)

// Source is a capture.Source and a capture.Steerer.
type Source struct {
	cfg    Config
	filter *bpf.Filter
	ring   *bpf.Ring
	clock  clock
	closed chan struct{}
	once   sync.Once
	mode   atomic.Uint32 // bpf.Mode

	// Of the goroutine that reads, which holds reading; Close takes it too.
	reading sync.Mutex
	device  *device   // nil while the interface is gone
	trouble string    // what Read told of, until it is over
	checked time.Time // when the interface was last looked at
	timer   *time.Timer
	number  uint64
	lent    bool // frames of the last Read may be in use

	stats struct{ received, bytes, truncated atomic.Uint64 }
	final atomic.Pointer[capture.Stats] // once closed
}

var (
	_ capture.Source  = (*Source)(nil)
	_ capture.Steerer = (*Source)(nil)
)

// Open begins a capture. It needs CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and
// CAP_PERFMON; what comes after needs no rights. Only to go on with an interface
// that went and came back does Read need CAP_NET_ADMIN and CAP_NET_RAW.
func Open(cfg Config) (*Source, error) {
	if cfg.Wait == 0 {
		cfg.Wait = defaultWait
	}
	if cfg.Ring == 0 {
		cfg.Ring = defaultRing
	}
	filter, err := bpf.Load(bpf.Options{
		TCPPorts: cfg.TCPPorts, UDPPorts: cfg.UDPPorts,
		Flows: cfg.Flows, Seed: cfg.Seed,
		Ring: cfg.Ring, Snap: cfg.Snap, Drop: true,
	})
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", cfg.Interface, err)
	}
	s := &Source{cfg: cfg, filter: filter, closed: make(chan struct{}), timer: time.NewTimer(0)}
	if s.ring, err = filter.Ring(); err != nil {
		filter.Close()
		return nil, fmt.Errorf("interface %s: %w", cfg.Interface, err)
	}
	i, err := net.InterfaceByName(cfg.Interface)
	if err == nil {
		s.device, err = s.attach(i.Index)
	}
	if err != nil {
		// Neither fails for what was just made.
		s.ring.Close()
		filter.Close()
		return nil, fmt.Errorf("interface %s: %w", cfg.Interface, err)
	}
	return s, nil
}

// Read fills frames with what is there. If nothing comes for Config.Wait it gives
// no frame and no error. It returns os.ErrClosed once the source is closed;
// ErrDown and ErrGone are not the end.
func (s *Source) Read(frames []capture.Frame) (int, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if len(frames) == 0 {
		return 0, nil
	}
	wait, waited := shortest, time.Duration(0)
	for {
		if s.over() {
			if s.lent {
				s.lent = false
				return 0, errors.Join(s.ring.Close(), os.ErrClosed)
			}
			return 0, os.ErrClosed
		}
		s.ring.Release()
		if n := s.take(frames); n > 0 {
			s.lent = true
			return n, nil
		}
		s.lent = false
		if err := s.look(); err != nil {
			return 0, err
		}
		if waited >= s.cfg.Wait {
			return 0, nil
		}
		// Frames that come while nobody looks wait in the ring: longer for the
		// longer none came, so that an idle port costs next to nothing.
		s.timer.Reset(wait)
		select {
		case <-s.closed:
		case <-s.timer.C:
		}
		waited += wait
		wait = min(2*wait, longest)
	}
}

func (s *Source) over() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// How long Read waits before it looks at an empty ring again. The ring holds what
// a fast link brings in the longest.
const (
	shortest = 20 * time.Microsecond
	longest  = 2 * time.Millisecond
)

// take fills frames from the ring without waiting.
func (s *Source) take(frames []capture.Frame) int {
	var f bpf.Frame
	var bytes, truncated uint64
	n := 0
	for n < len(frames) && s.ring.Next(&f) {
		s.number++
		frames[n] = capture.Frame{
			Data:      f.Data,
			Time:      s.clock.wall(f.Time),
			Length:    f.Length,
			Number:    s.number,
			Link:      capture.LinkEthernet,
			Interface: int32(f.Interface),
		}
		bytes += uint64(len(f.Data))
		if len(f.Data) < f.Length {
			truncated++
		}
		n++
	}
	if n > 0 {
		s.stats.received.Add(uint64(n))
		s.stats.bytes.Add(bytes)
		s.stats.truncated.Add(truncated)
	}
	return n
}

// lookEvery is how often an idle Read looks whether the interface is still there.
const lookEvery = 500 * time.Millisecond

// look tells once when the interface is down or gone, and puts the filter on it
// again when it is back.
func (s *Source) look() error {
	now := time.Now()
	if now.Sub(s.checked) < lookEvery {
		return nil
	}
	s.checked = now
	state := s.state()
	if state == nil {
		s.trouble = ""
		return nil
	}
	if state.Error() == s.trouble {
		return nil
	}
	s.trouble = state.Error()
	return fmt.Errorf("interface %s: %w", s.cfg.Interface, state)
}

// Trouble says why no frames can come: what Read told last, while it is so. It is
// for the goroutine that reads.
func (s *Source) Trouble() string { return s.trouble }

// state gives nil, ErrDown, ErrGone or why the filter cannot be put on the interface
// again. A renamed interface is the same; one of the
// same name that came for one that went is taken in its place.
func (s *Source) state() error {
	if s.device != nil {
		up, err := s.device.up()
		switch {
		case err == nil && up:
			return nil
		case err == nil:
			return ErrDown
		}
		// The kernel has taken the filter off already.
		s.device.close()
		s.device = nil
	}
	i, err := net.InterfaceByName(s.cfg.Interface)
	if err != nil {
		return ErrGone
	}
	s.device, err = s.attach(i.Index)
	return err
}

// Stats counts frames since Open. What the ring holds was neither received nor
// dropped yet.
func (s *Source) Stats() capture.Stats {
	if st := s.final.Load(); st != nil {
		return *st
	}
	st := capture.Stats{
		Received:  s.stats.received.Load(),
		Bytes:     s.stats.bytes.Load(),
		Truncated: s.stats.truncated.Load(),
	}
	if c, err := s.filter.Counters(); err == nil {
		st.Dropped = c[bpf.Lost].Frames
		st.Filtered = c.Filtered().Frames
	}
	return st
}

// Counters counts frames by what the filter found them to be.
func (s *Source) Counters() (bpf.Counters, error) { return s.filter.Counters() }

// Watch lets all frames of a flow pass the filter.
func (s *Source) Watch(k capture.FlowKey) error { return s.filter.Watch(bpf.Flow(k)) }

// Ignore lets the frames of a flow go.
func (s *Source) Ignore(k capture.FlowKey) error { return s.filter.Ignore(bpf.Flow(k)) }

// WatchPort lets all frames from or to a port pass.
func (s *Source) WatchPort(proto uint8, port uint16) error { return s.filter.WatchPort(proto, port) }

// Mode tells who runs the filter: the driver or the stack.
func (s *Source) Mode() bpf.Mode { return bpf.Mode(s.mode.Load()) }

// Warnings tells what the capture cannot see or loses, a line each.
func (s *Source) Warnings() []string {
	var all []string
	if s.Mode() == bpf.Generic {
		all = append(all, fmt.Sprintf("interface %s: the driver does not run XDP: the kernel makes a socket buffer of each frame first", s.cfg.Interface))
	}
	flags, err := offloads(s.cfg.Interface)
	if err == nil && flags&flagRxVLAN != 0 {
		all = append(all, fmt.Sprintf("interface %s: VLAN tags that the card strips are lost: ethtool -K %[1]s rxvlan off", s.cfg.Interface))
	}
	if err == nil && flags&flagLRO != 0 {
		all = append(all, fmt.Sprintf("interface %s: the card joins segments: ethtool -K %[1]s lro off", s.cfg.Interface))
	}
	return all
}

// Close takes the filter off the interface, ends promiscuous mode and unblocks
// Read. The frames of the last Read stay valid until the Read that gives os.ErrClosed.
func (s *Source) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closed)
		s.reading.Lock()
		defer s.reading.Unlock()
		var errs []error
		if s.device != nil {
			errs = append(errs, s.device.close())
		}
		st := s.Stats()
		s.final.Store(&st)
		if !s.lent {
			errs = append(errs, s.ring.Close())
		}
		errs = append(errs, s.filter.Close())
		err = errors.Join(errs...)
	})
	return err
}
