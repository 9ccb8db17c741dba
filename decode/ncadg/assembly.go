package ncadg

// assembly puts the fragments of one direction of a call together, in whatever
// order they come, and keeps the first bytes of the stub.
type assembly struct {
	next   int    // the fragments before it came
	ahead  uint64 // bit i: fragment next+1+i came
	last   int    // number of the last fragment
	ended  bool   // that is known
	lost   bool   // bytes of the stub are not known
	count  int    // fragments, each once
	length int    // stub bytes of them
	held   int    // stub bytes kept
	sums   [summed]uint32
	buf    []byte
	parts  []part // fragments that came ahead; memory of all is reused
	opened int    // how many parts are in use
}

// part is a fragment that waits for those before it.
type part struct {
	number int
	data   []byte
}

// reuse gives a its memory back.
func (a *assembly) reuse(old assembly) {
	a.buf, a.parts = old.buf[:0], old.parts
}

// shrink gives memory up that is not worth keeping.
func (a *assembly) shrink(all bool) {
	if all || cap(a.buf) > keptStub {
		a.buf = nil
	}
	if all || a.opened > 0 {
		a.parts, a.opened = nil, 0
	}
}

// complete tells whether all fragments came.
func (a *assembly) complete() bool { return a.ended && a.next > a.last }

// stub gives the first bytes of the stub; nil if they are not known.
func (a *assembly) stub() []byte {
	switch {
	case a.lost:
		return nil
	case a.buf == nil:
		return []byte{} // of no bytes, and that is known
	}
	return a.buf[:len(a.buf):len(a.buf)]
}

// add takes a fragment. What came before stays.
func (s *state) add(a *assembly, p *PDU, keep, most int) Anomaly {
	number, last := int(p.Fragment), p.Flags1&FlagLastFrag != 0
	if p.Flags1&FlagFrag == 0 {
		number, last = 0, true
	}
	sum := p.sum()
	switch {
	case number < a.next || number > a.next && number-a.next <= window && a.ahead>>(number-a.next-1)&1 != 0:
		if number < summed && sum != 0 && a.sums[number] != 0 && sum != a.sums[number] {
			return RetransmissionDiffers
		}
		return 0
	case a.ended && (number > a.last || last && number != a.last):
		return FragmentBeyondLast
	case number-a.next > window:
		return FragmentAhead
	case last && number > a.next && a.ahead>>(number-a.next-1) != 0, last && number == a.next && a.ahead != 0:
		return FragmentBeyondLast // it is not the last: later ones came
	}
	if last {
		a.last, a.ended = number, true
	}
	if number < summed {
		a.sums[number] = sum
	}
	a.count++
	a.length += len(p.Stub)
	if p.cut {
		a.length += int(p.Length) - len(p.Stub)
	}
	body := p.Stub
	if p.opaque() {
		a.lost = true
	}
	if number > a.next {
		a.ahead |= 1 << (number - a.next - 1)
		s.hold(a, number, body, keep, most)
		return 0
	}
	s.gather(a, body, keep, most)
	for {
		a.next++
		came := a.ahead&1 != 0
		a.ahead >>= 1
		if !came {
			return 0
		}
		s.release(a, keep, most)
	}
}

// gather appends to the stub what of body is wanted.
func (s *state) gather(a *assembly, body []byte, keep, most int) {
	n := min(keep-len(a.buf), len(body))
	if n <= 0 || a.lost {
		return
	}
	if n > most-s.stubs {
		a.lost = true
		return
	}
	s.stubs += n
	a.held += n
	a.buf = append(a.buf, body[:n]...)
}

// hold keeps a fragment that came ahead, if it may be wanted.
func (s *state) hold(a *assembly, number int, body []byte, keep, most int) {
	n := min(keep-len(a.buf), len(body))
	if n <= 0 || a.lost {
		return
	}
	if n > most-s.stubs {
		a.lost = true
		return
	}
	s.stubs += n
	a.held += n
	if a.opened == len(a.parts) {
		a.parts = append(a.parts, part{})
	}
	x := &a.parts[a.opened]
	x.number, x.data = number, append(x.data[:0], body[:n]...)
	a.opened++
}

// release moves the fragment that is next from the parts to the stub.
func (s *state) release(a *assembly, keep, most int) {
	for i := range a.parts[:a.opened] {
		x := &a.parts[i]
		if x.number != a.next {
			continue
		}
		n := len(x.data)
		s.stubs -= n
		a.held -= n
		s.gather(a, x.data, keep, most)
		a.opened--
		a.parts[i], a.parts[a.opened] = a.parts[a.opened], *x
		return
	}
}
