package afpacket

// RingBlocks gives how many blocks came by each ring.
func (s *Source) RingBlocks() []uint64 {
	var all []uint64
	for _, r := range s.rings {
		all = append(all, r.next)
	}
	return all
}
