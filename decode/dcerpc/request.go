package dcerpc

// request takes a fragment of a request.
func (a *Assoc) request(side int, p *PDU, at Point, h Handler) {
	s := a.s
	first := p.Flags&FlagFirst != 0
	i := -1
	if len(s.keys) != 0 {
		i = s.find(p.CallID, side, unfinished)
	}
	var c *call
	var trouble Anomaly
	var offset int
	switch {
	case i < 0:
		a.makeRoom(side, h)
		c = s.open(p.CallID, side)
		c.missed = a.answered(side, p.CallID)
		trouble, offset = a.begin(c, side, p), 20
		if !first {
			c.noRequest = true
			trouble, offset = a.strict(NoFirstFragment), 3
		}
	case first:
		c = s.calls[s.keys[i].slot]
		s.stubs -= len(c.request) + len(c.reply)
		c.clear()
		c.CallID = p.CallID
		a.begin(c, side, p)
		trouble, offset = DuplicateFirst, 3
	default:
		c = s.calls[s.keys[i].slot]
		if p.ContextID != c.ContextID || p.Opnum != c.Opnum {
			trouble, offset = FragmentMismatch, 20
		}
	}
	a.tell(side, p, c, h)
	if trouble != 0 {
		h.Anomaly(side, trouble, offset)
	}
	c.RequestFragments++
	c.RequestLen += p.stubLength()
	c.Request = at
	c.whole = p.Flags&FlagLast != 0
	c.Partial = !c.whole
	if c.keep > 0 && !c.noRequest {
		if p.opaque() {
			c.noRequest = true
		} else {
			c.request = s.gather(c.request, p.Stub, c.keep, 4*a.cfg.maxStub())
		}
	}
	a.fragment(c, side, p, 0, c.RequestFragments, h)
	if c.whole && c.keep > 0 {
		if !c.noRequest {
			c.RequestStub = stubOf(c.request)
		}
		h.Request(&c.Call)
	}
}

// stubOf is not nil: a stub of no bytes was seen.
func stubOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b[:len(b):len(b)]
}

// opaque tells whether the stub cannot be read: the verifier says that it is
// encrypted, or the capture lacks its end. Header fields are believed all the
// same.
func (p *PDU) opaque() bool {
	return p.cut || p.Auth.Present && p.Auth.Level == LevelPrivacy
}

// stubLength is the length of the stub as it was sent. Of a PDU that the snap
// length cut, the padding before the verifier counts, which was not seen.
func (p *PDU) stubLength() int {
	if !p.cut {
		return len(p.Stub)
	}
	n := int(p.FragLength) - int(ptypeTable[p.Type].length)
	switch {
	case p.HasObject:
		n -= 16
	case p.Type == TypeFault:
		n -= 4 // reserved
	}
	if p.AuthLength != 0 {
		n -= trailerSize + int(p.AuthLength)
	}
	return max(n, 0)
}

// begin notes what the first fragment seen of a request tells.
func (a *Assoc) begin(c *call, side int, p *PDU) (trouble Anomaly) {
	c.ContextID, c.Opnum, c.Flags = p.ContextID, p.Opnum, p.Flags
	c.BigEndian = p.BigEndian
	c.HasObject, c.Object = p.HasObject, p.Object
	if p.Auth.Present {
		c.Auth = p.Auth
		c.Auth.Value = nil
	}
	trouble = a.resolve(c, side)
	a.want(c)
	return trouble
}

// want asks how much of the stubs to keep.
func (a *Assoc) want(c *call) {
	if a.cfg.Stubs != nil {
		c.keep = min(a.cfg.Stubs(c.Interface.UUID, c.Opnum), a.cfg.maxStub())
	}
}

// resolve finds the interface of a call whose request side sent.
func (a *Assoc) resolve(c *call, side int) Anomaly {
	s := a.s
	x := s.context(c.ContextID)
	if x != nil {
		c.Known, c.Accepted, c.NDR64, c.Interface = true, x.word == accepted, x.ndr64, x.iface
		if x.word == accepted {
			return 0
		}
		if x.word == silent {
			c.tentative = true
			return 0
		}
	}
	if item := s.offered(c.ContextID, side); item != nil {
		c.Known, c.NDR64, c.Interface, c.tentative = true, item.wide(), item.Abstract, true
		return 0
	}
	if x != nil {
		return a.strict(RejectedContext)
	}
	if a.full {
		return 0
	}
	return a.strict(UnknownContext)
}

// strict gives the anomaly if nothing of the association is missing that could
// explain it.
func (a *Assoc) strict(an Anomaly) Anomaly {
	if a.whole {
		return an
	}
	return 0
}

// makeRoom gives up the oldest call if there is no room for another.
func (a *Assoc) makeRoom(side int, h Handler) {
	if len(a.s.keys) < a.cfg.maxCalls() {
		return
	}
	// A capture of one direction has no answers to end calls with.
	if a.seen[side^1] {
		a.once(side, TooManyCalls, 12, h)
	}
	a.finish(0, CallUnknown, h)
}

// fragment judges a fragment, the nth of its way: 0 request, 1 reply.
func (a *Assoc) fragment(c *call, side int, p *PDU, way, nth int, h Handler) {
	if p.Flags&FlagLast == 0 && p.stubLength() < tinyStub && c.tiny[way] < 2 {
		if c.tiny[way]++; c.tiny[way] == 2 {
			h.Anomaly(side, TinyFragments, 8)
		}
	}
	if nth == manyFragments {
		h.Anomaly(side, ManyFragments, 3)
	}
}

// reply takes a fragment of a response, or a fault.
func (a *Assoc) reply(side int, p *PDU, at Point, h Handler) {
	s := a.s
	fault := p.Type == TypeFault
	first := p.Flags&FlagFirst != 0 || fault
	i := -1
	if len(s.keys) != 0 {
		switch {
		case fault:
			i = s.find(p.CallID, side^1, anyCall)
		case first:
			i = s.find(p.CallID, side^1, waiting)
			if i < 0 {
				i = s.find(p.CallID, side^1, answering)
			}
		default:
			i = s.find(p.CallID, side^1, answering)
			if i < 0 {
				i = s.find(p.CallID, side^1, waiting)
			}
		}
	}
	if i < 0 && fault {
		// A server may answer alter_context with a fault.
		if j := s.negotiation(p.CallID, side, true); j >= 0 {
			a.tell(side, p, nil, h)
			n := s.pending[j]
			n.Answer, n.Status = at, p.Status
			for k := range n.Contexts {
				a.commit(side, &n.Contexts[k], rejected, h)
			}
			a.conclude(j, NegotiationRejected, h)
			return
		}
	}
	var c *call
	var trouble Anomaly
	switch {
	case i < 0:
		a.makeRoom(side, h)
		c = s.open(p.CallID, side^1)
		i = len(s.keys) - 1
		c.ReplyOnly, c.whole = true, true
		c.ContextID = p.ContextID
		if x := s.context(p.ContextID); x != nil {
			c.Known, c.Accepted, c.NDR64, c.Interface = true, x.word == accepted, x.ndr64, x.iface
		}
		c.noReply = !first
		if c.Known {
			a.want(c) // of operation 0, for interfaces that have no other
		}
		if a.note(side, p.CallID) {
			trouble = ReplyWithoutRequest
		}
	case fault:
		c = s.calls[s.keys[i].slot]
	case first:
		c = s.calls[s.keys[i].slot]
		if c.replying {
			// The response begins again.
			trouble = DuplicateFirst
			s.stubs -= len(c.reply)
			c.reply = c.reply[:0]
			c.ReplyLen, c.ReplyFragments, c.noReply = 0, 0, false
		}
	default:
		c = s.calls[s.keys[i].slot]
		if !c.replying {
			c.noReply = true
			trouble = a.strict(NoFirstFragment)
		}
	}
	c.replying = true
	a.tell(side, p, c, h)
	if trouble != 0 {
		h.Anomaly(side, trouble, 12)
	}
	c.ReplyFragments++
	c.ReplyBig = p.BigEndian
	c.ReplyLen += p.stubLength()
	c.Answer = at
	n := copy(c.tail[:], c.tail[min(len(p.Stub), len(c.tail)):])
	copy(c.tail[n:], p.Stub[max(len(p.Stub)-len(c.tail), 0):])
	if c.keep > 0 && !c.noReply && !fault {
		if p.opaque() {
			c.noReply = true
		} else {
			c.reply = s.gather(c.reply, p.Stub, c.keep, 4*a.cfg.maxStub())
		}
	}
	a.fragment(c, side, p, 1, c.ReplyFragments, h)
	switch {
	case fault:
		c.Status = p.Status
		st := CallFaulted
		if p.Flags&FlagDidNotExecute != 0 || rejectStatus(p.Status) {
			st = CallRejected
		}
		a.finish(i, st, h)
	case p.Flags&FlagLast != 0:
		if c.keep > 0 && !c.noReply {
			c.ReplyStub = stubOf(c.reply)
		}
		if c.ReplyLen >= 4 && c.ReplyLen%4 == 0 && !p.opaque() {
			c.Tail, c.HasTail = p.u32(c.tail[:]), true
		}
		a.finish(i, CallAnswered, h)
	}
}

// finish tells what came of the call at index i of the keys and forgets it.
func (a *Assoc) finish(i int, st CallState, h Handler) {
	s := a.s
	k := s.keys[i]
	c := s.calls[k.slot]
	c.State = st
	if c.tentative {
		a.settle(c, int(k.side), h)
	}
	h.Call(&c.Call)
	s.close(i)
}

// settle gives a call whose request came before the server's word on its
// context that word, if it has come.
func (a *Assoc) settle(c *call, side int, h Handler) {
	x := a.s.context(c.ContextID)
	if x == nil || x.iface != c.Interface {
		return
	}
	c.Accepted, c.NDR64 = x.word == accepted, x.ndr64
	if x.word == rejected && a.whole {
		h.Anomaly(side, RejectedContext, 20)
	}
}
