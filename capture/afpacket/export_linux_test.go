package afpacket

import "golang.org/x/sys/unix"

// KernelFrames gives how many frames the kernel put into the rings, as long as
// Stats was not called.
func (s *Source) KernelFrames() (n int) {
	for _, r := range s.rings {
		if st, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			n += int(st.Packets)
		}
	}
	return n
}

// RingBlocks gives how many blocks came by each ring.
func (s *Source) RingBlocks() []uint64 {
	var all []uint64
	for _, r := range s.rings {
		all = append(all, r.next)
	}
	return all
}
