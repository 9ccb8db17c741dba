package afpacket_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmswatch/capture"
	"kmswatch/capture/afpacket"
	"kmswatch/capture/capturetest/netns"
)

// onlyARP is a filter that lets the first bytes of ARP come, and remembers what
// it was told.
type onlyARP struct {
	length uint32
	told   []string
	locked error
}

func (f *onlyARP) AttachSocket(fd int) error {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 12},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: unix.ETH_P_ARP},
		{Code: unix.BPF_RET | unix.BPF_K, K: f.length},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	if f.locked != nil {
		return f.locked
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

func (f *onlyARP) Filtered() uint64 { return 42 }

func (f *onlyARP) Watch(k capture.FlowKey) error {
	f.told = append(f.told, fmt.Sprint("watch ", k))
	return nil
}

func (f *onlyARP) Ignore(k capture.FlowKey) error {
	f.told = append(f.told, fmt.Sprint("ignore ", k))
	return nil
}

func (f *onlyARP) WatchPort(proto uint8, port uint16) error {
	f.told = append(f.told, fmt.Sprint("port ", proto, " ", port))
	return errors.New("no room")
}

// Sources are opened and bound again in the middle of a flood of what the filter
// does not let come: none of it may.
func TestNothingComesPastTheFilter(t *testing.T) {
	for _, rings := range []int{1, 2} {
		a, b := pair(t, 1500)
		noise, wanted := udp(1, 2, 3, 4, 5), ethernet("\x08\x06", 40)
		start := func() (stop func()) {
			out := a.Sender(t, "left")
			var stopped atomic.Bool
			done := make(chan int, 1)
			go func() {
				n, _ := out.Flood([][]byte{noise, noise, noise, noise}, func(int) bool { return !stopped.Load() })
				done <- n
			}()
			return func() {
				stopped.Store(true)
				if n := <-done; n == 0 {
					t.Error("there was no flood")
				}
			}
		}
		stop := start()
		opts := small("right")
		opts.Rings, opts.Filter, opts.Wait = rings, &onlyARP{length: 1 << 20}, 20*time.Millisecond
		var told changes
		opts.Notify = told.note
		s := open(t, b, opts)
		for range 5 {
			quiet(t, open(t, b, opts))
		}
		quiet(t, s)
		a.Sender(t, "left").Send(t, wanted)
		same(t, collect(t, s, 1), [][]byte{wanted})
		b.IP(t, "link", "del", "right")
		told.await(t, s, "interface right: is gone")
		stop()

		netns.Veth(t, a, "left", b, "right", 1500)
		stop = start()
		told.awaitIn(t, b, true, s, "interface right: is up")
		quiet(t, s)
		a.Sender(t, "left").Send(t, wanted)
		same(t, collect(t, s, 1), [][]byte{wanted})
		stop()
	}
}

func TestWhatTheFilterCutsIsToldAndCounted(t *testing.T) {
	a, b := pair(t, 1500)
	opts := small("right")
	opts.Filter = &onlyARP{length: 30}
	s := open(t, b, opts)
	plain, tagged := ethernet("\x08\x06", 40), ethernet("\x81\x00\x00\x05\x08\x06", 40)
	a.Sender(t, "left").Send(t, plain, tagged)
	got := collect(t, s, 2)
	for i, want := range [][]byte{plain[:30], tagged[:34]} {
		if !bytes.Equal(got[i].Data, want) {
			t.Errorf("got %x, want %x", got[i].Data, want)
		}
	}
	if got[0].Length != len(plain) || got[1].Length != len(tagged) {
		t.Errorf("lengths %d, %d", got[0].Length, got[1].Length)
	}
	if st, want := s.Stats(), (capture.Stats{Received: 2, Bytes: 64, Truncated: 2, Filtered: 42}); st != want {
		t.Errorf("counted %+v, want %+v", st, want)
	}
}

func TestTheFilterIsSteered(t *testing.T) {
	in := netns.New(t)
	f := new(onlyARP)
	opts := small("lo")
	opts.Filter = f
	key := capture.FlowKey{Proto: 6, A: netip.MustParseAddrPort("10.0.0.1:135"), B: netip.MustParseAddrPort("10.0.0.2:5")}
	var with, without capture.Steerer = open(t, in, opts), open(t, in, small("lo"))
	if with.Watch(key) != nil || with.Ignore(key) != nil || with.WatchPort(6, 49152).Error() != "no room" {
		t.Error("what the filter answers does not come back")
	}
	if want := []string{"watch {6 10.0.0.1:135 10.0.0.2:5}", "ignore {6 10.0.0.1:135 10.0.0.2:5}", "port 6 49152"}; !slices.Equal(f.told, want) {
		t.Errorf("told %q, want %q", f.told, want)
	}
	if without.Watch(key) == nil || without.Ignore(key) == nil || without.WatchPort(6, 1) == nil {
		t.Error("steered without a filter")
	}
	var err error
	opts.Filter = &onlyARP{locked: errors.New("not today")}
	in.Do(func() { _, err = afpacket.Open(opts) })
	if err == nil || err.Error() != "interface lo: filter: not today" {
		t.Errorf("a filter that cannot be attached: %v", err)
	}
}
