package decode

// Moment is the state of an Engine between two frames.
type Moment struct {
	Time    int64 // of the frame fed last, or that Advance gave; nanoseconds since the epoch
	Stats   Stats
	Waiting int // batches of frames that wait for the workers, of Room; 0 with one worker
	Room    int
}

// Advance lets time pass where no frame tells it: what waits ends as it would
// at a frame of that time that is of no interest. A time before that of the
// last frame is nothing. Who never calls it has the events of the frames alone,
// so that a replay is the same each time; who does takes care that frames to
// come are not older, or they count as late.
func (e *Engine) Advance(now int64) {
	if now <= e.last.Time {
		return
	}
	e.seq++
	e.last.Time = now
	if now >= e.tick {
		e.pass(&e.last)
	}
}

// Between calls f where events are told, after those of all frames fed so far
// and before those of the frames to come: with one worker within the call, else
// soon, from the goroutine of the handler. What was fed does not wait for more.
func (e *Engine) Between(f func(Moment)) {
	m := Moment{Time: e.last.Time}
	if e.pool == nil {
		m.Stats = e.Stats()
		f(m)
		return
	}
	p := e.pool
	m.Stats, m.Waiting, m.Room = e.own(), batches-1-len(p.free), batches-1
	p.current.after, p.current.moment = f, m
	p.flush()
}

// SetKMSPorts changes Config.KMSPorts for the frames to come. Flows that are
// there stay as they are.
func (e *Engine) SetKMSPorts(kms []uint16) {
	ports := newPorts(kms)
	e.ports = ports.all
	e.feeder.ports = ports
	if e.pool != nil {
		e.pool.flush()
		e.pool.current.ports = ports
		return
	}
	for _, s := range e.shards {
		s.ports = ports
	}
}

// Lost tells the Engine that the source dropped so many frames since it was
// last told, and so a Loss.
func (e *Engine) Lost(dropped uint64) {
	e.seq++
	s := e.feeder
	if e.pool != nil {
		s.out = e.pool.feederList()
	}
	s.at(e.seq, Position{e.last.File, e.last.Number}, e.last.Time)
	s.loss = Loss{head: head{Head{At: s.pos, Time: s.time}}, Dropped: dropped, Frames: e.frames - e.counted}
	e.counted = e.frames
	s.out.Handle(&s.loss)
	if e.pool != nil {
		e.pool.told()
	}
}

// add adds the counters of another goroutine.
func (s *Stats) add(o *Stats) {
	s.Flows += o.Flows
	s.Evicted += o.Evicted
	s.PDUs += o.PDUs
	s.Calls += o.Calls
	s.Exchanges += o.Exchanges
	s.Lookups += o.Lookups
	s.Anomalies += o.Anomalies
	s.Cut += o.Cut
	s.Reassembly.Add(o.Reassembly)
}
