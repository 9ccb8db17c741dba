package smb

import "kmswatch/decode/dcerpc"

// The tables of a connection. Sessions, trees and opens are few: they are
// searched from the one used last. Requests are many, and their ids mostly
// follow each other: a request stands in one of a few places from the one that
// its id points at.

func (s *state) place(id uint64) int {
	// Some clients of SMB 1 count in steps of 64; the place in a chain is at 56.
	return int(id^id>>6^id>>56) & (len(s.requests) - 1)
}

// ask makes room for a request.
func (c *Conn) ask(side int, version uint8, id uint64, at dcerpc.Point, h Handler) *request {
	s := c.s
	for {
		first := s.place(id)
		var free, oldest *request
		for i := range fewPending {
			r := &s.requests[(first+i)&(len(s.requests)-1)]
			switch {
			case !r.live:
				if free == nil {
					free = r
				}
			case r.id == id && int(r.side) == side:
				if version == Version2 {
					h.Anomaly(side, DuplicateMessageID, 24)
				}
				if r.asks() {
					s.release(r.pipe)
				}
				free = r
			}
			if free == r && r.live {
				break
			}
			if oldest == nil || int32(r.serial-oldest.serial) < 0 {
				oldest = r
			}
		}
		if free == nil {
			if len(s.requests) < c.cfg.maxPending() {
				s.grow()
				continue
			}
			c.evicted++
			c.once(side, TooManyRequests, 0, h)
			c.unanswered(oldest, false, h)
			free = oldest
		}
		s.serial++
		*free = request{id: id, side: uint8(side), version: version, at: at, live: true, serial: s.serial}
		return free
	}
}

// grow doubles the table. What finds no place in the larger one, since many ids
// point at the same, is forgotten: that takes ids that no client uses.
func (s *state) grow() {
	old := s.requests
	s.requests = make([]request, 2*len(old))
	for i := range old {
		r := &old[i]
		if !r.live {
			continue
		}
		first, placed := s.place(r.id), false
		for j := range fewPending {
			if to := &s.requests[(first+j)&(len(s.requests)-1)]; !to.live {
				*to, placed = *r, true
				break
			}
		}
		if !placed && r.asks() {
			s.release(r.pipe)
		}
	}
}

// waiting gives the request that a response of a side answers.
func (s *state) waiting(side int, id uint64) *request {
	first := s.place(id)
	for i := range fewPending {
		if r := &s.requests[(first+i)&(len(s.requests)-1)]; r.live && r.id == id && int(r.side) != side {
			return r
		}
	}
	return nil
}

// indexOf gives the place of a request of a side, -1 if it does not wait.
func (s *state) indexOf(side int, id uint64) int {
	first := s.place(id)
	for i := range fewPending {
		at := (first + i) & (len(s.requests) - 1)
		if r := &s.requests[at]; r.live && r.id == id && int(r.side) == side {
			return at
		}
	}
	return -1
}

func (s *state) findSession(version uint8, id uint64) *Session {
	for i := len(s.sessions) - 1; i >= 0; i-- {
		if q := s.sessions[i]; q.ID == id && q.Version == version {
			return q
		}
	}
	return nil
}

// session gives the session of an id, one that is not known before too.
func (c *Conn) session(side int, version uint8, id uint64, h Handler) *Session {
	if q := c.s.findSession(version, id); q != nil {
		return q
	}
	q := &Session{Version: version, ID: id, Dialect: c.s.agreed.Dialect}
	c.addSession(side, q, h)
	return q
}

func (c *Conn) addSession(side int, q *Session, h Handler) {
	s := c.s
	if old := s.findSession(q.Version, q.ID); old != nil {
		if old == q {
			return
		}
		c.dropSession(old, true, h)
	}
	if len(s.sessions) >= c.cfg.maxSessions() {
		c.evicted++
		c.once(side, TooManySessions, 0, h)
		c.dropSession(s.leastSession(), false, h)
	}
	s.sessions = append(s.sessions, q)
}

// leastSession gives the session to forget first: one that the server never
// granted, of which anybody may name many, else the oldest.
func (s *state) leastSession() *Session {
	for _, q := range s.sessions {
		if q.State != Granted && !q.pending {
			return q
		}
	}
	for _, q := range s.sessions {
		if q.State != Granted {
			return q
		}
	}
	return s.sessions[0]
}

// dropSession forgets a session with all that is in it.
func (c *Conn) dropSession(q *Session, over bool, h Handler) {
	s := c.s
	for i := 0; i < len(s.opens); {
		if p := s.opens[i]; p.Session == q {
			c.close(p, over, h)
			continue
		}
		i++
	}
	for i := 0; i < len(s.trees); {
		if s.trees[i].Session == q && q.Version == Version2 {
			s.removeTree(i)
			continue
		}
		i++
	}
	for i, other := range s.sessions {
		if other == q {
			s.sessions = remove(s.sessions, i)
			break
		}
	}
}

func remove[T any](list []*T, i int) []*T {
	copy(list[i:], list[i+1:])
	list[len(list)-1] = nil
	return list[:len(list)-1]
}

func (s *state) removeTree(i int) {
	if s.trees[i] == s.lastTree {
		s.lastTree = nil
	}
	s.trees = remove(s.trees, i)
}

func (t *Tree) is(version uint8, session uint64, id uint32) bool {
	// A TID is good for every UID of the connection.
	return t.ID == id && t.Session.Version == version && (version == Version1 || t.Session.ID == session)
}

func (s *state) findTree(version uint8, session uint64, id uint32) *Tree {
	if t := s.lastTree; t != nil && t.is(version, session, id) {
		return t
	}
	for i := len(s.trees) - 1; i >= 0; i-- {
		if t := s.trees[i]; t.is(version, session, id) {
			s.lastTree = t
			return t
		}
	}
	return nil
}

func (c *Conn) addTree(side int, t *Tree, h Handler) {
	s := c.s
	c.dropTree(s.findTree(t.Session.Version, t.Session.ID, t.ID), true, h)
	if len(s.trees) >= c.cfg.maxTrees() {
		c.evicted++
		c.once(side, TooManyTrees, 0, h)
		c.dropTree(s.leastTree(), false, h)
	}
	s.trees = append(s.trees, t)
}

// leastTree gives the tree to forget first: one without a pipe, else the oldest.
func (s *state) leastTree() *Tree {
	for _, t := range s.trees {
		used := false
		for _, p := range s.opens {
			used = used || p.Tree == t
		}
		if !used {
			return t
		}
	}
	return s.trees[0]
}

// dropTree forgets a tree, if it is not nil, with all that is in it.
func (c *Conn) dropTree(t *Tree, over bool, h Handler) {
	if t == nil {
		return
	}
	s := c.s
	for i := 0; i < len(s.opens); {
		if p := s.opens[i]; p.Tree == t {
			c.close(p, over, h)
			continue
		}
		i++
	}
	for i, other := range s.trees {
		if other == t {
			s.removeTree(i)
			return
		}
	}
}

func (p *Pipe) is(version uint8, session uint64, tree uint32, file *FileID) bool {
	return p.File == *file && p.tree == tree && p.session == session && p.Session.Version == version
}

func (s *state) findPipe(version uint8, session uint64, tree uint32, file *FileID) *Pipe {
	if p := s.lastPipe; p != nil && p.is(version, session, tree, file) {
		return p
	}
	for i := len(s.opens) - 1; i >= 0; i-- {
		if p := s.opens[i]; p.is(version, session, tree, file) {
			s.lastPipe = p
			return p
		}
	}
	return nil
}

// newPipe gives a pipe that is in no table yet.
func (c *Conn) newPipe(ph phase) *Pipe {
	s := c.s
	var p *Pipe
	if n := len(s.spare); n > 0 {
		p = s.spare[n-1]
		s.spare = s.spare[:n-1]
	} else {
		p = new(Pipe)
	}
	s.pipes++
	p.ID, p.phase = s.pipes, ph
	return p
}

// release takes a pipe back that is in no table.
func (s *state) release(p *Pipe) {
	if p.phase == gone {
		return
	}
	var memory [2][]byte
	for i := range p.way {
		s.held -= len(p.way[i].held)
		if cap(p.way[i].held) <= keptWay {
			memory[i] = p.way[i].held[:0]
		}
	}
	*p = Pipe{}
	p.way[0].held, p.way[1].held = memory[0], memory[1]
	if len(s.spare) < keptSpare {
		s.spare = append(s.spare, p)
	}
}

// addPipe puts a pipe into the table.
func (c *Conn) addPipe(side int, p *Pipe, h Handler) {
	s := c.s
	if old := s.findPipe(p.Session.Version, p.session, p.tree, &p.File); old != nil {
		c.close(old, true, h)
	}
	if len(s.opens) >= c.cfg.maxOpens() {
		oldest := s.opens[0]
		for _, q := range s.opens {
			if q.phase == candidate {
				oldest = q
				break
			}
		}
		if oldest.phase == open {
			c.evicted++
			c.once(side, TooManyOpens, 0, h)
		}
		c.close(oldest, false, h)
	}
	s.opens = append(s.opens, p)
	s.lastPipe = p
}

// close ends a pipe of the table.
func (c *Conn) close(p *Pipe, over bool, h Handler) {
	s := c.s
	for i, q := range s.opens {
		if q == p {
			s.opens = remove(s.opens, i)
			break
		}
	}
	if s.lastPipe == p {
		s.lastPipe = nil
	}
	if p.phase == open {
		h.PipeEnd(p, over)
	}
	s.release(p)
}
