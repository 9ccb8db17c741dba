package stream

// begin begins a direction with a SYN.
func (h *half) begin(isn uint32) {
	h.start, h.next, h.acked = isn, isn+1, isn+1
	h.flags |= known | synSeen | trying
	h.flags &^= mid | ackKnown
}

// syn takes the SYN of a segment. Unless done, the segment's data and
// acknowledgement are still to be taken.
//
// A SYN is cheap to forge and a host takes only one: which one, the other end
// tells. (CVE-2025-59147: a sensor that believed the last one lost the stream.)
func (r *Reassembler) syn(c *Conn, dir Dir, s *Segment, to Receiver) (result Result, done bool) {
	h, p := &c.half[dir], &c.half[dir^1]
	isn, answer := s.Seq, s.Flags&ACK != 0
	if c.has(closed) {
		if answer && h.flags&synSeen != 0 && h.start == isn {
			return Continue, true // a late repeat
		}
		return Reused, true
	}
	switch {
	case h.flags&known == 0 || h.flags&seen == 0 && h.start != isn:
		h.begin(isn)
	case h.start == isn:
		// Again, or captured after what was sent later.
		if h.flags&synSeen == 0 {
			h.flags |= synSeen
			h.flags &^= mid
		}
	case h.flags&trying != 0 && h.next == h.start+1:
		if h.flags&second != 0 && h.other != isn {
			h.flags |= many
		}
		h.other = isn
		h.flags |= second
		r.tell(c, dir, SYNDiffers, to)
		return Continue, true
	case p.flags&seen == 0:
		return Reused, true
	case answer && p.flags&second != 0 && s.Ack == p.other+1:
		return Reused, true
	default:
		if !answer {
			h.other = isn
			h.flags |= second
		}
		r.tell(c, dir, SYNInside, to)
		return Continue, true
	}
	if answer {
		c.setInitiator(dir ^ 1)
	} else {
		c.setInitiator(dir)
	}
	return Continue, false
}

// confirm takes the first acknowledgement of a SYN; it chooses among those
// seen. False tells that it fits none.
func (r *Reassembler) confirm(c *Conn, dir Dir, ack uint32, to Receiver) bool {
	p := &c.half[dir]
	switch {
	case ack == p.start+1:
	case p.flags&second != 0 && ack == p.other+1:
		r.switchTo(c, dir, p.other, to)
	case ack-p.start-1 < window: // data of the SYN, or later data that was not seen
	case p.flags&second != 0 && ack-p.other-1 < window:
		r.switchTo(c, dir, p.other, to)
	case p.flags&many != 0:
		r.switchTo(c, dir, ack-1, to)
	default:
		return false
	}
	p.flags &^= trying | second | many
	return true
}

// switchTo begins a direction at another initial sequence number.
func (r *Reassembler) switchTo(c *Conn, dir Dir, isn uint32, to Receiver) {
	h := &c.half[dir]
	if h.next != h.start+1 {
		r.resync(c, dir, isn+1, to) // something was delivered
	}
	r.release(h)
	h.start, h.next, h.acked = isn, isn+1, isn+1
	h.flags &^= second | many | held
}

// rst takes an RST. Its payload is no part of the stream (RFC 9293 3.5.3). It
// counts where a host would take it.
func (r *Reassembler) rst(c *Conn, dir Dir, s *Segment) Result {
	h, p := &c.half[dir], &c.half[dir^1]
	if c.has(closed) {
		return Continue
	}
	if !r.plausibleReset(c, h, p, s) {
		r.counters.BadResets++
		return Continue
	}
	h.fin = s.Seq
	h.flags |= seen | reset
	h.flags &^= finSeen
	c.flags |= closed
	return Closed
}

func (r *Reassembler) plausibleReset(c *Conn, h, p *half, s *Segment) bool {
	if h.flags&seen == 0 && s.Flags&ACK != 0 {
		// A refusal: it acknowledges something that was sent (RFC 9293 3.10.7.3).
		return p.flags&known != 0 && s.Ack-p.start-1 <= p.end()-p.start
	}
	if h.flags&(known|ackKnown) == 0 {
		return false
	}
	if s.Seq == h.acked {
		return true // the answer to a segment that acknowledged this
	}
	if h.flags&known == 0 {
		return false
	}
	if s.Seq == h.next || s.Seq == h.end() || h.flags&finSeen != 0 && s.Seq == h.fin+1 {
		return true
	}
	lossy := c.has(missing|cut) || c.OneSided()
	return lossy && s.Seq-h.next < resetWindow
}

// end is the sequence number behind all that was seen.
func (h *half) end() uint32 {
	if h.wait != nil && h.wait.last != nil {
		return h.wait.last.end()
	}
	return h.next
}
