package afpacket_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmswatch/capture"
	"kmswatch/capture/afpacket"
	"kmswatch/capture/capturetest"
	"kmswatch/capture/capturetest/netns"
	"kmswatch/capture/pcapfile"
)

// small is a ring that costs a test less memory than the default, and time.
func small(name string) afpacket.Options {
	return afpacket.Options{Interface: name, Blocks: 128, BlockTimeout: 10 * time.Millisecond}
}

// open opens a source in a namespace and closes it at the end of the test.
func open(t testing.TB, in *netns.Space, opts afpacket.Options) *afpacket.Source {
	t.Helper()
	var s *afpacket.Source
	var err error
	in.Do(func() { s, err = afpacket.Open(opts) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if n, err := s.Read(make([]capture.Frame, 1)); n != 0 || !errors.Is(err, os.ErrClosed) {
			t.Errorf("Read after Close gives %d, %v", n, err)
		}
	})
	return s
}

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// collect reads until it has n frames, and gives copies of them.
func collect(t testing.TB, s capture.Source, n int) []capture.Frame {
	t.Helper()
	return gather(t, s, n, 64)
}

func gather(t testing.TB, s capture.Source, n, batch int) []capture.Frame {
	t.Helper()
	s = capturetest.Poison(s)
	frames := make([]capture.Frame, batch)
	var all []capture.Frame
	for end := time.Now().Add(patience); len(all) < n; {
		m, err := s.Read(frames)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames[:m] {
			f.Data = bytes.Clone(f.Data)
			all = append(all, f)
		}
		if m == 0 && time.Now().After(end) {
			t.Fatalf("%d frames of %d came: %+v", len(all), n, s.Stats())
		}
	}
	return all
}

// quiet fails if a frame comes.
func quiet(t testing.TB, s capture.Source) {
	t.Helper()
	frames := make([]capture.Frame, 4)
	for range 2 {
		n, err := s.Read(frames)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames[:n] {
			t.Errorf("came too: %x", f.Data)
		}
	}
}

func same(t testing.TB, got []capture.Frame, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d frames, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i].Data, want[i]) {
			t.Fatalf("frame %d is\n%x, want\n%x", i+1, got[i].Data, want[i])
		}
		if got[i].Length != len(want[i]) {
			t.Errorf("frame %d has the length %d, want %d", i+1, got[i].Length, len(want[i]))
		}
	}
}

var macs = []byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01")

// ethernet is a frame of a type with n bytes behind, of which no two neighbours
// are alike.
func ethernet(head string, n int) []byte {
	b := append(bytes.Clone(macs), head...)
	for i := range n {
		b = append(b, byte(i+n))
	}
	return b
}

// udp is a frame of a flow, with a number in its payload.
func udp(src, dst byte, sport, dport uint16, number uint32) []byte {
	b := append(bytes.Clone(macs), 0x08, 0x00)
	b = append(b, 0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, src, 10, 0, 0, dst)
	b = binary.BigEndian.AppendUint16(b, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	b = append(b, 0, 12, 0, 0)
	return binary.BigEndian.AppendUint32(b, number)
}

func pair(t testing.TB, mtu int) (a, b *netns.Space) {
	t.Helper()
	a, b = netns.New(t), netns.New(t)
	netns.Veth(t, a, "left", b, "right", mtu)
	return a, b
}

func TestEveryFrameArrivesAsItWasSent(t *testing.T) {
	a, b := pair(t, 65535)
	sent := [][]byte{
		ethernet("\x08\x00", 46),
		ethernet("\x81\x00\x20\x05\x08\x00", 46),                                 // 802.1Q, priority 1, VLAN 5
		ethernet("\x81\x00\x00\x00\x86\xdd", 100),                                // 802.1Q, VLAN 0
		ethernet("\x88\xa8\x00\x64\x81\x00\x0f\xff\x08\x00", 46),                 // 802.1ad around 802.1Q
		ethernet("\x81\x00\x00\x01\x81\x00\x00\x02\x08\x00", 1),                  // 802.1Q twice
		ethernet("\x88\xa8\x00\x01\x88\xa8\x00\x02\x81\x00\x00\x03\x08\x06", 28), // three tags
		ethernet("\x91\x00\x00\x01\x08\x00", 46),                                 // of a type that the kernel leaves alone
		ethernet("\x00\x26", 38),                                                 // 802.3 length
		ethernet("\x08\x00", 0),
		ethernet("\x08\x00", 1),
		ethernet("\x08\x00", 1500),
		ethernet("\x08\x00", 9000),
		ethernet("\x08\x00", 65521),
		ethernet("\x81\x00\x00\x07\x08\x00", 65500),
	}
	for _, batch := range []int{1, 3, 64} {
		s := open(t, b, small("right"))
		before := time.Now().UnixNano()
		a.Sender(t, "left").Send(t, sent...)
		got := gather(t, s, len(sent), batch)
		after := time.Now().UnixNano()
		same(t, got, sent)
		size := 0
		for i, f := range got {
			if f.Number != uint64(i+1) || f.Link != capture.LinkEthernet {
				t.Errorf("frame %d has number %d, link %d", i+1, f.Number, f.Link)
			}
			if f.Time < before || f.Time > after {
				t.Errorf("frame %d is of %d, sent from %d to %d", i+1, f.Time, before, after)
			}
			before = f.Time
			size += len(f.Data)
		}
		quiet(t, s)
		if st, want := s.Stats(), (capture.Stats{Received: uint64(len(sent)), Bytes: uint64(size)}); st != want {
			t.Errorf("counted %+v, want %+v", st, want)
		}
	}
}

func TestOutgoingFramesComeToo(t *testing.T) {
	a, b := pair(t, 1500)
	s := open(t, b, small("right"))
	one, two := ethernet("\x81\x00\x00\x05\x08\x00", 50), ethernet("\x08\x00", 60)
	b.Sender(t, "right").Send(t, one)
	a.Sender(t, "left").Send(t, two)
	same(t, collect(t, s, 2), [][]byte{one, two})
}

func TestCapturesComeBackAsTheyWere(t *testing.T) {
	a, b := pair(t, 65535)
	s := open(t, b, small("right"))
	out := a.Sender(t, "left")
	paths, err := filepath.Glob("../../decode/testdata/captures/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatal("no captures", err)
	}
	files := 0
	for _, path := range paths {
		var sent [][]byte
		file, err := pcapfile.Open([]string{path}, pcapfile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		frames, err := capturetest.Drain(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			// What is cut, or of another link, is not what was on a wire like this.
			if f.Link == capture.LinkEthernet && f.Length == len(f.Data) && f.Length >= 14 {
				sent = append(sent, f.Data)
			}
		}
		if len(sent) > 0 {
			files++
		}
		for len(sent) > 0 {
			n := min(len(sent), 256)
			out.Send(t, sent[:n]...)
			got := collect(t, s, n)
			same(t, got, sent[:n])
			if t.Failed() {
				t.Fatal(path)
			}
			sent = sent[n:]
		}
	}
	if files < 50 {
		t.Errorf("%d captures were sent, of %d", files, len(paths))
	}
	quiet(t, s)
}

func TestLoopbackGivesEachFrameOnce(t *testing.T) {
	in := netns.New(t)
	for _, rings := range []int{1, 2} {
		opts := small("lo")
		opts.Rings = rings
		s := open(t, in, opts)
		var sent [][]byte
		for i := range 100 {
			sent = append(sent, udp(1, 2, uint16(i%7), 9, uint32(i)))
		}
		in.Sender(t, "lo").Send(t, sent...)
		if got := collect(t, s, len(sent)); rings == 1 {
			same(t, got, sent)
		}
		quiet(t, s)
		if n := s.KernelFrames(); n != len(sent) {
			t.Errorf("%d frames took room in the rings, %d were sent", n, len(sent))
		}
	}
}

func TestFramesOfManyRingsAreAllThereEachFlowOnOne(t *testing.T) {
	a, b := pair(t, 1500)
	opts := small("right")
	opts.Rings = 2
	s, second := open(t, b, opts), open(t, b, opts)
	out := a.Sender(t, "left")
	const flows, each = 50, 40
	last := map[uint32]bool{}
	for round := range each {
		var sent [][]byte
		for i := range flows {
			// Every other frame goes the other way.
			src, dst, sport, dport := byte(1), byte(2), uint16(1000+i), uint16(1688)
			if round%2 == 1 {
				src, dst, sport, dport = dst, src, dport, sport
			}
			sent = append(sent, udp(src, dst, sport, dport, uint32(round*flows+i)))
		}
		out.Send(t, sent...)
	}
	next := make([]int, flows)
	for _, f := range collect(t, s, flows*each) {
		number := binary.BigEndian.Uint32(f.Data[len(f.Data)-4:])
		if last[number] {
			t.Errorf("frame %d came twice", number)
		}
		last[number] = true
		// On one ring, a flow keeps its order, both directions of it.
		flow := number % flows
		if int(number/flows) != next[flow] {
			t.Errorf("flow %d: frame %d came for %d", flow, number/flows, next[flow])
		}
		next[flow]++
	}
	quiet(t, s)
	used := 0
	for _, n := range s.RingBlocks() {
		if n > 0 {
			used++
		}
	}
	if used != 2 {
		t.Errorf("frames came by %d rings", used)
	}
	if n := len(collect(t, second, flows*each)); n != flows*each {
		t.Errorf("the second sensor got %d frames", n)
	}
	quiet(t, second)
}

func TestPromiscuousModeIsSetAndUndone(t *testing.T) {
	_, b := pair(t, 1500)
	promiscuity := func() string {
		_, rest, ok := strings.Cut(b.Run(t, "ip", "-d", "link", "show", "dev", "right"), "promiscuity ")
		if !ok {
			t.Fatal("ip tells no promiscuity")
		}
		n, _, _ := strings.Cut(rest, " ")
		return n
	}
	opts := small("right")
	s := open(t, b, opts)
	if n := promiscuity(); n != "0" {
		t.Errorf("promiscuity is %s without being asked for", n)
	}
	opts.Promiscuous = true
	one, two := open(t, b, opts), open(t, b, opts)
	if n := promiscuity(); n != "2" {
		t.Errorf("promiscuity is %s with two sources", n)
	}
	one.Close()
	if n := promiscuity(); n != "1" {
		t.Errorf("promiscuity is %s with one closed", n)
	}
	two.Close()
	if n := promiscuity(); n != "0" {
		t.Errorf("promiscuity is %s with both closed", n)
	}
	quiet(t, s)
}

// What does not fit the rings while nobody reads is counted, to the frame.
func TestDropsAreCounted(t *testing.T) {
	a, b := pair(t, 1500)
	opts := small("right")
	opts.BlockSize, opts.Blocks = 64<<10, 2
	s := open(t, b, opts)
	out := a.Sender(t, "left")
	const sent = 2000
	for i := range sent / 100 {
		var frames [][]byte
		for j := range 100 {
			frames = append(frames, append(udp(1, 2, 3, 4, uint32(i*100+j)), make([]byte, 954)...))
		}
		out.Send(t, frames...)
	}
	got := 0
	frames := make([]capture.Frame, 512)
	for {
		n, err := s.Read(frames)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		for i := range frames[:n] {
			if number := binary.BigEndian.Uint32(frames[i].Data[42:]); number != uint32(got) {
				t.Fatalf("frame %d came for %d", number, got)
			}
			got++
		}
	}
	for range 2 { // the kernel forgets what it told
		if st := s.Stats(); st.Received != uint64(got) || st.Dropped == 0 || st.Received+st.Dropped != sent {
			t.Errorf("%d sent, %d came, counted %+v", sent, got, st)
		}
	}
}

func TestWhatFitsNoBlockIsCut(t *testing.T) {
	a, b := pair(t, 9000)
	opts := small("right")
	opts.BlockSize = os.Getpagesize()
	s := open(t, b, opts)
	large, plain := ethernet("\x81\x00\x00\x05\x08\x00", 8000), ethernet("\x08\x00", 100)
	a.Sender(t, "left").Send(t, large, plain)
	got := collect(t, s, 2)
	if n := len(got[0].Data); n < opts.BlockSize-300 || n > opts.BlockSize || !bytes.Equal(got[0].Data, large[:n]) || got[0].Length != len(large) {
		t.Errorf("%d bytes of %d came, of a frame of %d", n, got[0].Length, len(large))
	}
	same(t, got[1:], [][]byte{plain})
	if st := s.Stats(); st.Truncated != 1 || st.Dropped != 0 {
		t.Errorf("counted %+v", st)
	}
}

// changes remembers what Notify is told.
type changes struct{ all []string }

func (c *changes) note(ch afpacket.Change) { c.all = append(c.all, ch.String()) }

// until reads until the last that was told is want.
func (c *changes) until(s *afpacket.Source, want string) error {
	frames := make([]capture.Frame, 4)
	for end := time.Now().Add(patience); len(c.all) == 0 || c.all[len(c.all)-1] != want; {
		if time.Now().After(end) {
			return fmt.Errorf("told %q, want %q", c.all, want)
		}
		if n, err := s.Read(frames); err != nil || n > 0 {
			return fmt.Errorf("Read gives %d, %v, first %x", n, err, frames[0].Data)
		}
	}
	return nil
}

func (c *changes) await(t testing.TB, s *afpacket.Source, want string) {
	t.Helper()
	if err := c.until(s, want); err != nil {
		t.Fatal(err)
	}
}

// awaitIn is await with Read on a thread in a namespace, where rings that must be
// made anew are made, with no rights if so wanted.
func (c *changes) awaitIn(t testing.TB, in *netns.Space, rights bool, s *afpacket.Source, want string) {
	t.Helper()
	var err error
	in.Do(func() {
		if !rights {
			err = dropRights()
		}
		if err == nil {
			err = c.until(s, want)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// dropRights takes all capabilities from this thread.
func dropRights() error {
	var none [2]unix.CapUserData
	return unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
}

// carrier waits until an interface has one, which the kernel takes its time for.
func carrier(t testing.TB, in *netns.Space, name string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(in.Run(t, "ip", "link", "show", "dev", name), "state UP"); {
		if time.Now().After(end) {
			t.Fatalf("%s has no carrier", name)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAnInterfaceMayGoDownAndUpAndAway(t *testing.T) {
	for _, rings := range []int{1, 2} {
		t.Run(fmt.Sprint(rings, " rings"), func(t *testing.T) {
			a, b := pair(t, 1500)
			carrier(t, b, "right")
			var told changes
			opts := small("right")
			opts.Rings, opts.Promiscuous, opts.Notify = rings, true, told.note
			s := open(t, b, opts)
			frame := ethernet("\x08\x00", 50)
			flows := func() {
				t.Helper()
				a.Sender(t, "left").Send(t, frame)
				same(t, collect(t, s, 1), [][]byte{frame})
			}
			flows()
			if told.all != nil {
				t.Errorf("told %q", told.all)
			}

			b.IP(t, "link", "set", "right", "down")
			told.await(t, s, "interface right: is down")
			b.IP(t, "link", "set", "right", "up")
			told.await(t, s, "interface right: is up")
			flows()

			a.IP(t, "link", "set", "left", "down")
			told.await(t, s, "interface right: is without carrier")
			a.IP(t, "link", "set", "left", "up")
			told.await(t, s, "interface right: is up")
			flows()

			b.IP(t, "link", "set", "right", "down")
			told.await(t, s, "interface right: is down")
			b.IP(t, "link", "set", "right", "name", "other")
			told.await(t, s, "interface right: is now called other and is down")
			b.IP(t, "link", "set", "other", "up")
			told.await(t, s, "interface right: is now called other and is up")
			flows()

			b.IP(t, "link", "del", "other")
			told.await(t, s, "interface right: is gone")
			netns.Veth(t, a, "left", b, "right", 1500)
			told.awaitIn(t, b, true, s, "interface right: is up")
			flows()
			if !strings.Contains(b.Run(t, "ip", "-d", "link", "show", "dev", "right"), "promiscuity 1 ") {
				t.Error("promiscuous mode is not set again")
			}
			for i := range told.all[1:] {
				if told.all[i] == told.all[i+1] {
					t.Errorf("told twice: %s", told.all[i])
				}
			}
			if st := s.Stats(); st.Dropped != 0 || st.Received != 5 {
				t.Errorf("counted %+v", st)
			}
		})
	}
}

// A sensor that gave up its rights must see an interface that comes back.
func TestAnInterfaceThatComesBackIsBoundWithoutRights(t *testing.T) {
	a, b := pair(t, 1500)
	carrier(t, b, "right")
	var told changes
	opts := small("right")
	opts.Promiscuous, opts.Notify = true, told.note
	s := open(t, b, opts)
	b.IP(t, "link", "del", "right")
	told.await(t, s, "interface right: is gone")
	netns.Veth(t, a, "left", b, "right", 1500)
	carrier(t, b, "right")
	told.awaitIn(t, b, false, s, "interface right: is up")
	frame := ethernet("\x08\x00", 50)
	a.Sender(t, "left").Send(t, frame)
	same(t, collect(t, s, 1), [][]byte{frame})
	if !strings.Contains(b.Run(t, "ip", "-d", "link", "show", "dev", "right"), "promiscuity 1 ") {
		t.Error("promiscuous mode is not set again")
	}

	// Rings of a fanout group cannot be bound again: that they cannot be made anew is
	// told once.
	opts.Rings = 2
	told = changes{}
	s = open(t, b, opts)
	b.IP(t, "link", "del", "right")
	told.await(t, s, "interface right: is gone")
	netns.Veth(t, a, "left", b, "right", 1500)
	told.awaitIn(t, b, false, s, "interface right: is back and cannot be opened: packet socket: operation not permitted")
	quiet(t, s)
	told.awaitIn(t, b, true, s, "interface right: is up")
	if n := strings.Count(strings.Join(told.all, "\n"), "cannot"); n != 1 {
		t.Errorf("told %q", told.all)
	}
}

func TestOpenNeedsRights(t *testing.T) {
	in := netns.New(t)
	var err error
	in.Do(func() {
		if err = dropRights(); err == nil {
			_, err = afpacket.Open(small("lo"))
		}
	})
	if !errors.Is(err, os.ErrPermission) || err.Error() != "interface lo: packet socket: operation not permitted" {
		t.Errorf("got %v", err)
	}
}

func TestAnInterfaceMayBeDownAtFirst(t *testing.T) {
	a, b := pair(t, 1500)
	b.IP(t, "link", "set", "right", "down")
	var told changes
	opts := small("right")
	opts.Notify = told.note
	s := open(t, b, opts)
	told.await(t, s, "interface right: is down")
	b.IP(t, "link", "set", "right", "up")
	told.await(t, s, "interface right: is up")
	frame := ethernet("\x08\x00", 50)
	a.Sender(t, "left").Send(t, frame)
	same(t, collect(t, s, 1), [][]byte{frame})
}

func TestRawInterfaces(t *testing.T) {
	in := netns.New(t)
	in.IP(t, "tuntap", "add", "tun0", "mode", "tun")
	in.IP(t, "link", "set", "tun0", "up")
	tun := openTun(t, in, "tun0")
	s := open(t, in, small("tun0"))
	packet := udp(1, 2, 3, 4, 5)[14:]
	if _, err := tun.Write(packet); err != nil {
		t.Fatal(err)
	}
	got := collect(t, s, 1)
	same(t, got, [][]byte{packet})
	if got[0].Link != capture.LinkRaw {
		t.Errorf("link is %d", got[0].Link)
	}
	in.Do(func() {
		for name, want := range map[string]capture.LinkType{"tun0": capture.LinkRaw, "lo": capture.LinkEthernet} {
			if link, err := afpacket.Link(name); err != nil || link != want {
				t.Errorf("the link of %s is %d, %v; want %d", name, link, err, want)
			}
		}
		if _, err := afpacket.Link("nowhere"); err == nil || err.Error() != "interface nowhere: no such device" {
			t.Errorf("of an interface that is not there: %v", err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	in := netns.New(t)
	in.IP(t, "link", "add", "left", "type", "veth", "peer", "name", "right")
	for _, c := range []struct {
		opts afpacket.Options
		want string
	}{
		{afpacket.Options{Interface: "nowhere"}, "interface nowhere: no such device"},
		{afpacket.Options{Interface: "a-name-too-long-for-linux"}, "interface a-name-too-long-for-linux: no name of an interface: invalid argument"},
		{afpacket.Options{Interface: "left", Rings: -1}, "-1 rings: want 1 to 64"},
		{afpacket.Options{Interface: "left", BlockSize: 5000}, "block of 5000 bytes: want a power of two from 4096 up"},
		{afpacket.Options{Interface: "left", Blocks: 1 << 30}, "1073741824 blocks of 262144 bytes in each of 1 rings: want 2 blocks at least and 1073741824 bytes at most"},
		{afpacket.Options{Interface: "left", BlockTimeout: 1}, "block timeout 1ns: want 1ms to 10s"},
	} {
		var err error
		in.Do(func() { _, err = afpacket.Open(c.opts) })
		if err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestCloseEndsARead(t *testing.T) {
	in := netns.New(t)
	opts := small("lo")
	opts.Wait = time.Hour
	s := open(t, in, opts)
	done := make(chan error)
	go func() {
		_, err := s.Read(make([]capture.Frame, 1))
		done <- err
	}()
	time.Sleep(20 * time.Millisecond) // so that it waits; it must end also where it does not yet
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read ended with %v", err)
	}
	s.Stats()
}

func TestAllIsGivenBack(t *testing.T) {
	in := netns.New(t)
	held := func() (files, rings int) {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return len(names), bytes.Count(maps, []byte("socket:["))
	}
	files, rings := held()
	for i := range 3 {
		opts := small("lo")
		opts.Rings = 1 + i
		if i == 2 {
			opts.Filter = &onlyARP{locked: errors.New("not today")}
		}
		in.Do(func() {
			s, err := afpacket.Open(opts)
			if (err != nil) != (i == 2) {
				t.Errorf("Open gives %v", err)
			}
			if err != nil {
				return
			}
			if _, n := held(); n != rings+opts.Rings {
				t.Errorf("%d rings are mapped, want %d", n-rings, opts.Rings)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if n, err := s.Read(make([]capture.Frame, 1)); n != 0 || !errors.Is(err, os.ErrClosed) {
				t.Errorf("Read after Close gives %d, %v", n, err)
			}
		})
		if f, r := held(); f != files || r != rings {
			t.Errorf("%d files and %d rings are left over", f-files, r-rings)
		}
	}
}

func TestReadReturnsAfterItsWait(t *testing.T) {
	in := netns.New(t)
	opts := small("lo")
	opts.Wait = 30 * time.Millisecond
	s := open(t, in, opts)
	begin := time.Now()
	n, err := s.Read(make([]capture.Frame, 1))
	if took := time.Since(begin); n != 0 || err != nil || took < opts.Wait {
		t.Errorf("Read gives %d, %v after %v", n, err, took)
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	a, b := pair(t, 1500)
	carrier(t, b, "right")
	s := open(t, b, small("right"))
	out := a.Sender(t, "left")
	sent := make([][]byte, 200)
	for i := range sent {
		sent[i] = ethernet("\x81\x00\x00\x05\x08\x00", 50)
	}
	frames := make([]capture.Frame, 16)
	got := 0
	out.Send(t, sent...)
	time.Sleep(100 * time.Millisecond) // the block is handed over
	if n := testing.AllocsPerRun(10, func() {
		n, err := s.Read(frames)
		if err != nil {
			t.Error(err)
		}
		got += n
	}); n != 0 || got != 11*16 {
		t.Errorf("Read of 16 frames allocates %v times; %d frames came", n, got)
	}
	for got < len(sent) {
		n, err := s.Read(frames)
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	if n := testing.AllocsPerRun(3, func() {
		if n, err := s.Read(frames); n != 0 || err != nil {
			t.Error(n, err)
		}
	}); n != 0 {
		t.Errorf("Read that waits in vain allocates %v times", n)
	}
}
