package afpacket_test

import (
	"encoding/binary"
	"testing"
	"time"

	"kmswatch/capture"
	"kmswatch/capture/capturetest/netns"
	"kmswatch/capture/merge"
)

// The two directions of a line, each on an interface of its own, as a tap gives
// them.
func TestTwoInterfacesMakeOneSource(t *testing.T) {
	a, b := netns.New(t), netns.New(t)
	netns.Veth(t, a, "east", b, "tap0", 1500)
	netns.Veth(t, a, "west", b, "tap1", 1500)
	var both []capture.Source
	for _, name := range []string{"tap0", "tap1"} {
		both = append(both, open(t, b, small(name)))
	}
	s := merge.New(both, 2*time.Second) // longer than a busy machine holds a reader up
	defer s.Close()
	out := []*netns.Sender{a.Sender(t, "east"), a.Sender(t, "west")}
	const n = 300
	for i := range n {
		out[i*i/3%2].Send(t, udp(1, 2, 3, 4, uint32(i)))
	}
	for i, f := range collect(t, s, n) {
		number := int(binary.BigEndian.Uint32(f.Data[len(f.Data)-4:]))
		if number != i || int(f.Interface) != i*i/3%2 {
			t.Fatalf("frame %d of interface %d came for %d", number, f.Interface, i)
		}
	}
	if st := s.Stats(); st.Received != n || st.Dropped != 0 {
		t.Errorf("counted %+v", st)
	}
}
