package smb

import "kmswatch/decode/dcerpc"

// Directions of a pipe.
const (
	toServer = 0
	toClient = 1
)

// carry gives bytes of a pipe to the handler, behind those that it has not used.
func (c *Conn) carry(p *Pipe, way int, b []byte, boundary bool, at dcerpc.Point, h Handler) {
	w := &p.way[way]
	id := p.ID
	if p.phase != open {
		if !w.lost {
			c.hold(p, w, b, boundary)
		}
		return
	}
	for len(b) > 0 {
		if len(w.held) == 0 {
			used := min(max(h.Data(p, way == toServer, b, boundary, at), 0), len(b))
			if p.ID != id || used == len(b) {
				return
			}
			rest := b[used:]
			if len(rest) > maxWay {
				h.PipeGap(p, way == toServer)
				return
			}
			c.hold(p, w, rest, boundary && used == 0)
			c.room(p, h)
			return
		}
		n := min(len(b), maxWay-len(w.held))
		if n == 0 {
			c.gap(p, way, h)
			continue
		}
		c.hold(p, w, b[:n], boundary)
		b, boundary = b[n:], false
		c.drain(p, way, at, h)
		c.room(p, h)
	}
}

// hold keeps bytes behind those that are kept, as far as they fit.
func (c *Conn) hold(p *Pipe, w *way, b []byte, boundary bool) {
	if len(w.held) == 0 {
		w.boundary = boundary
	}
	n := maxWay - len(w.held)
	if p.phase != open {
		n = min(n, c.cfg.maxHeld()-c.s.held)
	}
	if len(b) > n {
		b = b[:max(n, 0)]
		w.lost = true
	}
	w.held = append(w.held, b...)
	c.s.held += len(b)
}

// drain gives what is kept to the handler once.
func (c *Conn) drain(p *Pipe, way int, at dcerpc.Point, h Handler) {
	w := &p.way[way]
	n := len(w.held)
	if n == 0 {
		return
	}
	used := min(max(h.Data(p, way == toServer, w.held[:n:n], w.boundary, at), 0), n)
	if used > 0 {
		w.boundary = false
		w.held = w.held[:copy(w.held, w.held[used:])]
		c.s.held -= used
	}
	c.idle(w)
}

// drop forgets what is kept.
func (c *Conn) drop(w *way) {
	c.s.held -= len(w.held)
	w.held = w.held[:0]
	c.idle(w)
}

// idle gives up the memory of a direction that keeps nothing, if it is large or
// there are many pipes.
func (c *Conn) idle(w *way) {
	if len(w.held) == 0 && (cap(w.held) > keptWay || len(c.s.opens) > fewOpens) {
		w.held = nil
	}
}

// gap tells that bytes of a pipe are missing.
func (c *Conn) gap(p *Pipe, way int, h Handler) {
	c.drop(&p.way[way])
	if p.phase == open {
		h.PipeGap(p, way == toServer)
	} else {
		p.way[way].lost = true
	}
}

// refuse takes the server's refusal to write into a pipe: what was given to the
// handler never came to it.
func (c *Conn) refuse(p *Pipe, refused bool, h Handler) {
	if refused && p != nil && p.phase == open {
		c.gap(p, toServer, h)
	}
}

// room drops what the oldest pipes keep, but not that of p, where all together
// keep too much.
func (c *Conn) room(p *Pipe, h Handler) {
	s := c.s
	if s.held <= c.cfg.maxHeld() {
		return
	}
	c.evicted++
	side, _ := c.Client()
	c.once(side, TooMuchHeld, 0, h)
	for _, q := range s.opens {
		for way := range q.way {
			if q != p && len(q.way[way].held) > 0 {
				c.gap(q, way, h)
			}
		}
		if s.held <= c.cfg.maxHeld() {
			return
		}
	}
}

// opened tells of a pipe that is one, and gives what it kept.
func (c *Conn) opened(p *Pipe, at dcerpc.Point, h Handler) {
	p.phase, p.State = open, Granted
	h.Open(p)
	for way := range p.way {
		lost := p.way[way].lost
		p.way[way].lost = false
		c.drain(p, way, at, h)
		if lost {
			c.gap(p, way, h)
		}
	}
}

// looks judges by the bytes of a candidate, those that are kept and b behind
// them, whether it is a pipe: whether they begin like a PDU (trap 46).
func (c *Conn) looks(p *Pipe, way int, b []byte) dcerpc.Verdict {
	w := &p.way[way]
	if len(w.held) > 0 {
		var first [dcerpc.HeaderSize]byte
		n := copy(first[:], w.held)
		n += copy(first[n:], b)
		if v := dcerpc.Probe(first[:n]); v != dcerpc.No {
			return v
		}
		c.drop(w)
	}
	return dcerpc.Probe(b)
}

// found gives the pipe that bytes of a file are for, where the pipe is not known
// to be one: what is known of the file is in r, p is the candidate if there is
// one, and b are the first of the bytes. It gives nil if they are none of ours.
func (c *Conn) found(side int, r *request, p *Pipe, way int, b []byte, at dcerpc.Point, h Handler) *Pipe {
	if p == nil {
		v := dcerpc.Probe(b)
		if v == dcerpc.No || len(b) == 0 {
			return nil
		}
		p = c.newPipe(candidate)
		p.File, p.session, p.tree = r.file, r.sessionID, r.treeID
		p.Session = c.session(side, r.version, r.sessionID, h)
		p.Tree = c.s.findTree(r.version, r.sessionID, r.treeID)
		c.addPipe(side, p, h)
		if v == dcerpc.Match {
			c.opened(p, at, h)
		}
		return p
	}
	switch c.looks(p, way, b) {
	case dcerpc.No:
		return nil
	case dcerpc.Match:
		c.opened(p, at, h)
	}
	return p
}
