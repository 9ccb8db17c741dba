package dcerpc

// offer takes a bind or alter_context: it waits for its answer.
func (a *Assoc) offer(side int, p *PDU, at Point, h Handler) {
	s := a.s
	if p.Flags&(FlagFirst|FlagLast) != FlagFirst|FlagLast {
		// Version 5.1 would let a bind be fragmented; nobody does. Servers take
		// it whatever its flags.
		h.Anomaly(side, BindFlags, 3)
	}
	if p.Type == TypeBind {
		second := a.bound
		for _, n := range s.pending {
			second = second || !n.Alter && int(n.side) == side
		}
		if second {
			h.Anomaly(side, SecondBind, 2)
		}
	}
	if len(s.pending) == maxPending {
		if a.seen[side^1] {
			a.once(side, TooManyNegotiations, 2, h)
		}
		for j := range s.pending[0].Contexts {
			a.commit(side, &s.pending[0].Contexts[j], silent, h)
		}
		a.conclude(0, NegotiationUnknown, h)
	}
	var n *Negotiation
	if k := len(s.spare); k > 0 {
		n = s.spare[k-1]
		s.spare = s.spare[:k-1]
	} else {
		n = new(Negotiation)
	}
	// The negotiation takes the PDU's contexts over and leaves it its own memory.
	items, syntaxes := n.Contexts[:0], n.syntaxes[:0]
	*n = Negotiation{
		Alter:      p.Type == TypeAlterContext,
		BigEndian:  p.BigEndian,
		Flags:      p.Flags,
		CallID:     p.CallID,
		Request:    at,
		MaxXmit:    p.MaxXmit,
		MaxRecv:    p.MaxRecv,
		Group:      p.Group,
		AskedGroup: p.Group,
		Cut:        p.cut,
		Minor:      p.Minor,
		Contexts:   p.Contexts,
		Auth:       p.Auth,
		side:       uint8(side),
		cut:        p.cut,
		syntaxes:   p.syntaxes,
	}
	n.Auth.Value = nil
	n.missed = a.answered(side, p.CallID)
	p.Contexts, p.syntaxes = items, syntaxes
	s.pending = append(s.pending, n)
}

// negotiation gives the index of the newest negotiation of the call id that
// side has not answered, one of the right kind before others; or -1.
func (s *state) negotiation(id uint32, side int, alter bool) int {
	found := -1
	for i := len(s.pending) - 1; i >= 0; i-- {
		n := s.pending[i]
		if n.CallID != id || int(n.side) == side {
			continue
		}
		if n.Alter == alter {
			return i
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

// answer takes a bind_ack or alter_context_resp.
func (a *Assoc) answer(side int, p *PDU, at Point, h Handler) {
	i := a.s.negotiation(p.CallID, side, p.Type == TypeAlterContextResp)
	if i < 0 {
		if a.note(side, p.CallID) {
			h.Anomaly(side, AnswerWithoutBind, 12)
		}
		return
	}
	n := a.s.pending[i]
	n.Answer, n.AnswerFlags, n.Secondary = at, p.Flags, p.Secondary
	n.AnswerXmit, n.AnswerRecv, n.Results = p.MaxXmit, p.MaxRecv, len(p.Contexts)
	n.Cut = n.Cut || p.cut
	if p.Group != 0 {
		n.Group = p.Group
	}
	if p.Type == TypeBindAck {
		a.bound = true
		a.limit[side^1], a.limit[side] = p.MaxRecv, n.MaxRecv
	}
	if len(p.Contexts) != len(n.Contexts) && !p.cut && !n.cut {
		h.Anomaly(side, ResultCount, HeaderSize)
	}
	took, refused := 0, 0
	for j := range n.Contexts {
		item := &n.Contexts[j]
		w := rejected
		if p.cut {
			w = silent
		}
		if j < len(p.Contexts) {
			w = rejected
			r := &p.Contexts[j]
			item.Answered, item.Result, item.Reason, item.Accepted = true, r.Result, r.Reason, r.Accepted
			switch item.Result {
			case Acceptance:
				// Features are no context, whatever a server says of them.
				if _, features := item.Accepted.Features(); !features {
					w = accepted
					took++
				}
			case NegotiateAck:
			default:
				refused++
			}
		}
		a.commit(side, item, w, h)
	}
	if n.cut {
		// What was offered behind the cut is not known, but what came of it is.
		for j := len(n.Contexts); j < len(p.Contexts); j++ {
			r := &p.Contexts[j]
			if _, features := r.Accepted.Features(); r.Result == Acceptance && !features {
				took++
			}
		}
	}
	st := NegotiationAccepted
	if took == 0 && (refused > 0 || len(n.Contexts) == 0 || len(p.Contexts) == 0) {
		st = NegotiationRejected
	}
	if p.cut && took == 0 {
		st = NegotiationUnknown
	}
	a.conclude(i, st, h)
}

// word is what the server said of a context.
type word uint8

const (
	silent   word = iota // nothing that was seen
	rejected             // or passed over
	accepted
)

// commit notes the server's word on a context. What is not accepted leaves
// what was.
func (a *Assoc) commit(side int, item *ContextItem, w word, h Handler) {
	s := a.s
	c := s.context(item.ID)
	switch {
	case c == nil:
		c = a.contextRoom(side, w, h)
		if c == nil {
			return
		}
	case w < c.word:
		return
	}
	*c = context{
		iface: item.Abstract,
		id:    item.ID,
		word:  w,
		ndr64: item.wide(),
	}
	if w == accepted {
		c.ndr64 = item.Accepted.UUID == NDR64.UUID
	}
}

// contextRoom gives the place of a new context. When the table is full only
// what is accepted still gets one: that of a context that is not, or else the
// oldest, so that filling the table hides nothing new.
func (a *Assoc) contextRoom(side int, w word, h Handler) *context {
	s := a.s
	if len(s.contexts) < a.cfg.maxContexts() {
		s.contexts = append(s.contexts, context{})
		return &s.contexts[len(s.contexts)-1]
	}
	a.full = true
	a.once(side, TooManyContexts, HeaderSize, h)
	if w != accepted {
		return nil
	}
	for i := range s.contexts {
		if s.contexts[i].word != accepted {
			return &s.contexts[i]
		}
	}
	s.oldest %= len(s.contexts)
	s.oldest++
	return &s.contexts[s.oldest-1]
}

// context gives the context of an id, or nil.
func (s *state) context(id uint16) *context {
	if s.last < len(s.contexts) && s.contexts[s.last].id == id {
		return &s.contexts[s.last]
	}
	for i := range s.contexts {
		if s.contexts[i].id == id {
			s.last = i
			return &s.contexts[i]
		}
	}
	return nil
}

// offered gives the context item of an id that waits for the answer to side,
// or nil.
func (s *state) offered(id uint16, side int) *ContextItem {
	for i := len(s.pending) - 1; i >= 0; i-- {
		if n := s.pending[i]; int(n.side) == side {
			for j := range n.Contexts {
				if n.Contexts[j].ID == id {
					return &n.Contexts[j]
				}
			}
		}
	}
	return nil
}

// nak takes a bind_nak: the association is without contexts.
func (a *Assoc) nak(side int, p *PDU, at Point, h Handler) {
	s := a.s
	i := s.negotiation(p.CallID, side, false)
	if i < 0 {
		if a.note(side, p.CallID) {
			h.Anomaly(side, AnswerWithoutBind, 12)
		}
		return
	}
	s.pending[i].Answer, s.pending[i].NakReason = at, p.NakReason
	s.contexts, s.last, s.oldest = s.contexts[:0], 0, 0
	a.bound = false
	a.conclude(i, NegotiationNak, h)
}

// conclude tells what came of the negotiation at index i and forgets it.
func (a *Assoc) conclude(i int, st NegotiationState, h Handler) {
	s := a.s
	n := s.pending[i]
	s.pending = append(s.pending[:i], s.pending[i+1:]...)
	n.State = st
	h.Negotiation(n)
	s.release(n)
}

// release keeps a negotiation for the next, if that is cheap.
func (s *state) release(n *Negotiation) {
	n.Secondary = nil
	if len(s.spare) == 0 && cap(n.Contexts) <= keptContexts && cap(n.syntaxes) <= 4*keptContexts {
		s.spare = append(s.spare, n)
	}
}
