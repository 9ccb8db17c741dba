package decode

import (
	"cmp"
	"sync"

	"kmswatch/capture"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/packet"
	"kmswatch/decode/stream"
	"kmswatch/decode/stub"
)

// Sizes of a batch: large enough that handing it over costs nothing a frame,
// small enough that its bytes are still in the second-level cache when a
// worker reads them.
const (
	batchItems = 1024
	batchBytes = 256 << 10
	batches    = 4 // under way at a time
)

// task is what an item asks of a worker.
type task uint8

const (
	taskPacket task = iota
	taskExpire      // of all shards of the worker
	taskClose       // likewise
)

// item is one packet on its way to a worker, or a moment in time.
type item struct {
	task   task
	dir    stream.Dir
	shard  int32
	offset int // of the payload in the share's data
	seq    uint64
	hash   uint64
	pos    Position
	time   int64
	key    stream.Key
	pkt    packet.Packet
}

// share is what a batch holds for one worker.
type share struct {
	items  []item
	data   []byte // payloads, copied
	events eventList
	stats  Stats // of the worker's shards; valid iff the batch has an after
}

// batch is the work of a stretch of frames, and the events that came of it.
type batch struct {
	shares []share
	feeder eventList // of the goroutine that feeds
	items  int
	bytes  int
	ports  *ports       // that take the place of those before; nil iff these stay
	after  func(Moment) // is called once the events are told; nil iff there is none
	moment Moment       // for after; the counters are the feeder's
	done   sync.WaitGroup
}

func (b *batch) reset() {
	for i := range b.shares {
		s := &b.shares[i]
		s.items, s.data = s.items[:0], s.data[:0]
		s.events.reset()
	}
	b.feeder.reset()
	b.items, b.bytes = 0, 0
	b.ports, b.after = nil, nil
}

// pool runs the shards in workers and merges what they tell.
type pool struct {
	engine  *Engine
	current *batch
	free    chan *batch
	ordered chan *batch   // to the goroutine that merges
	work    []chan *batch // to each worker
	over    sync.WaitGroup
}

func newPool(e *Engine, h Handler) *pool {
	n := min(e.cfg.Workers, shards)
	p := &pool{
		engine:  e,
		free:    make(chan *batch, batches),
		ordered: make(chan *batch, batches),
		work:    make([]chan *batch, n),
	}
	for range batches {
		p.free <- &batch{shares: make([]share, n)}
	}
	p.current = <-p.free
	for w := range p.work {
		p.work[w] = make(chan *batch, batches)
		p.over.Go(func() { p.worker(w) })
	}
	p.over.Go(func() { p.merge(h) })
	return p
}

func (p *pool) add(seq uint64, shard int, f *capture.Frame, pkt *packet.Packet, key *stream.Key, hash uint64, dir stream.Dir) {
	b := p.current
	s := &b.shares[shard%len(p.work)]
	offset := len(s.data)
	s.data = append(s.data, pkt.Payload...) // first, since it may fault
	s.items = append(s.items, item{
		shard: int32(shard), dir: dir, seq: seq, hash: hash, offset: offset,
		pos: Position{f.File, f.Number}, time: f.Time, key: *key, pkt: *pkt,
	})
	b.items++
	b.bytes += len(pkt.Payload)
	if b.items >= batchItems || b.bytes >= batchBytes {
		p.flush()
	}
}

// tick adds a moment for all shards.
func (p *pool) tick(seq uint64, f *capture.Frame) {
	p.moment(taskExpire, seq, f)
	if p.current.items >= batchItems {
		p.flush()
	}
}

func (p *pool) moment(t task, seq uint64, f *capture.Frame) {
	for i := range p.current.shares {
		s := &p.current.shares[i]
		s.items = append(s.items, item{task: t, seq: seq, pos: Position{f.File, f.Number}, time: f.Time})
	}
	p.current.items++
}

// feederList is where the feeding goroutine's own events go.
func (p *pool) feederList() Handler {
	l := &p.current.feeder
	l.seq, l.shard = p.engine.seq, -1
	return l
}

// told counts an event of the feeding goroutine's, so that a batch of nothing
// else is handed over too.
func (p *pool) told() {
	p.current.items++
	if p.current.items >= batchItems {
		p.flush()
	}
}

func (p *pool) flush() {
	b := p.current
	b.done.Add(len(p.work))
	p.ordered <- b
	for _, w := range p.work {
		w <- b
	}
	p.current = <-p.free
}

func (p *pool) close(seq uint64, last *capture.Frame) {
	p.moment(taskClose, seq, last)
	p.flush()
	close(p.ordered)
	for _, w := range p.work {
		close(w)
	}
	p.over.Wait()
}

// worker runs the shards whose number is w modulo the number of workers.
func (p *pool) worker(w int) {
	for b := range p.work[w] {
		sh := &b.shares[w]
		if b.ports != nil {
			for n := w; n < shards; n += len(p.work) {
				p.engine.shards[n].ports = b.ports
			}
		}
		for i := range sh.items {
			it := &sh.items[i]
			if it.task != taskPacket {
				for n := w; n < shards; n += len(p.work) {
					s := p.engine.shards[n]
					if it.task == taskExpire {
						p.enter(s, n-2*shards, sh, it) // before the frame's own events
						s.expire()
					} else {
						p.enter(s, n, sh, it)
						s.close()
					}
				}
				continue
			}
			s := p.engine.shards[it.shard]
			p.enter(s, int(it.shard), sh, it)
			end := it.offset + len(it.pkt.Payload)
			it.pkt.Payload = sh.data[it.offset:end:end]
			s.packet(&it.pkt, &it.key, it.hash, it.dir)
		}
		if b.after != nil {
			sh.stats = Stats{}
			for n := w; n < shards; n += len(p.work) {
				p.engine.shards[n].addTo(&sh.stats)
			}
		}
		b.done.Done()
	}
}

// enter points a shard at an item's frame and at the list for its events.
func (p *pool) enter(s *shard, n int, sh *share, it *item) {
	sh.events.seq, sh.events.shard = it.seq, int32(n)
	s.out = &sh.events
	s.at(it.seq, it.pos, it.time)
}

// merge tells the events of each batch in the order of frames. Of one frame
// first those of flows that ended by then, in the order of shards, then those of
// the feeder, then the frame's.
func (p *pool) merge(h Handler) {
	for b := range p.ordered {
		b.done.Wait()
		lists := make([][]entry, 0, len(b.shares)+1)
		lists = append(lists, b.feeder.entries)
		for i := range b.shares {
			lists = append(lists, b.shares[i].events.entries)
		}
		for {
			first := -1
			for i, l := range lists {
				if len(l) > 0 && (first < 0 || l[0].before(&lists[first][0])) {
					first = i
				}
			}
			if first < 0 {
				break
			}
			h.Handle(lists[first][0].event)
			lists[first] = lists[first][1:]
		}
		if b.after != nil {
			m := b.moment
			for i := range b.shares {
				m.Stats.add(&b.shares[i].stats)
			}
			b.after(m)
		}
		b.reset()
		p.free <- b
	}
}

// entry is an event and its place among those of all lists.
type entry struct {
	seq   uint64
	shard int32
	event Event
}

func (e *entry) before(f *entry) bool {
	return cmp.Or(cmp.Compare(e.seq, f.seq), cmp.Compare(e.shard, f.shard)) < 0
}

// eventList keeps copies of events until a batch is merged. Its memory is used
// again and again.
type eventList struct {
	seq     uint64 // of the entries to come
	shard   int32
	entries []entry

	binds     arena[Bind]
	calls     arena[Call]
	exchanges arena[KMSExchange]
	lookups   arena[SRVLookup]
	updates   arena[DNSUpdate]
	foreigns  arena[Foreign]
	anomalies arena[Anomaly]
	flowEnds  arena[FlowEnd]
	losses    arena[Loss]
	auths     arena[Auth]
	sessions  arena[Session]
	trees     arena[TreeConnect]
	pipes     arena[PipeOpen]
	endpoints arena[EndpointMapped]
	ldapBinds arena[LDAPBind]
	searches  arena[LDAPSearch]
	tickets   arena[KerberosReply]
	opaques   arena[Opaque]
	arguments arena[stub.Arguments]
}

// reset makes the list empty. Binds and messages of unusual size are let go, or
// each place would come to hold the largest that it ever had.
func (l *eventList) reset() {
	for i := range l.binds.used {
		if b := l.binds.at(i); cap(b.Contexts) > keptItems || cap(b.Secondary) > keptItems || manySyntaxes(b.Contexts) {
			b.Contexts, b.Secondary = nil, nil
			b.Negotiation = dcerpc.Negotiation{}
		}
	}
	for i := range l.lookups.used {
		l.lookups.at(i).Message = nil
	}
	for i := range l.updates.used {
		l.updates.at(i).Message = nil
	}
	l.entries = l.entries[:0]
	l.binds.used, l.calls.used, l.exchanges.used, l.lookups.used = 0, 0, 0, 0
	l.updates.used, l.foreigns.used, l.anomalies.used, l.flowEnds.used, l.losses.used = 0, 0, 0, 0, 0
	l.auths.used, l.sessions.used, l.trees.used, l.pipes.used = 0, 0, 0, 0
	l.endpoints.used, l.ldapBinds.used, l.searches.used, l.tickets.used, l.opaques.used, l.arguments.used = 0, 0, 0, 0, 0, 0
}

// keptItems is how many context items, and how many syntaxes of each, an unused
// bind keeps memory for.
const keptItems = 16

func manySyntaxes(items []dcerpc.ContextItem) bool {
	for i := range items {
		if cap(items[i].Transfer) > keptItems {
			return true
		}
	}
	return false
}

// Handle copies an event. Messages are told with one worker only and never
// come here.
func (l *eventList) Handle(e Event) {
	switch e := e.(type) {
	case *Bind:
		c := l.binds.next()
		contexts, secondary := c.Contexts, c.Secondary
		*c = *e
		c.Contexts = copyContexts(contexts, e.Contexts)
		c.Secondary = append(secondary[:0], e.Secondary...)
		c.Negotiation.Contexts, c.Negotiation.Secondary = c.Contexts, c.Secondary
		l.add(c)
	case *Call:
		c := l.calls.keep(e)
		if e.Arguments != nil {
			c.Arguments = l.arguments.keep(e.Arguments)
		}
		l.add(c)
	case *KMSExchange:
		l.add(l.exchanges.keep(e))
	case *SRVLookup:
		c := l.lookups.keep(e)
		if e.Message != nil {
			c.Message = e.Message.Clone()
		}
		l.add(c)
	case *DNSUpdate:
		l.add(l.updates.keep(e))
	case *Foreign:
		l.add(l.foreigns.keep(e))
	case *Anomaly:
		l.add(l.anomalies.keep(e))
	case *FlowEnd:
		l.add(l.flowEnds.keep(e))
	case *Loss:
		l.add(l.losses.keep(e))
	case *Auth:
		l.add(l.auths.keep(e))
	case *Session:
		l.add(l.sessions.keep(e))
	case *TreeConnect:
		l.add(l.trees.keep(e))
	case *PipeOpen:
		l.add(l.pipes.keep(e))
	case *EndpointMapped:
		l.add(l.endpoints.keep(e))
	case *LDAPBind:
		l.add(l.ldapBinds.keep(e))
	case *LDAPSearch:
		l.add(l.searches.keep(e))
	case *KerberosReply:
		l.add(l.tickets.keep(e))
	case *Opaque:
		l.add(l.opaques.keep(e))
	}
}

func (l *eventList) add(e Event) {
	l.entries = append(l.entries, entry{l.seq, l.shard, e})
}

// copyContexts copies from into the memory of to.
func copyContexts(to, from []dcerpc.ContextItem) []dcerpc.ContextItem {
	if cap(to) < len(from) {
		to = make([]dcerpc.ContextItem, len(from))
	}
	to = to[:len(from)]
	for i := range from {
		transfer := to[i].Transfer
		to[i] = from[i]
		to[i].Transfer = append(transfer[:0], from[i].Transfer...)
	}
	return to
}

// arena gives values that stay where they are until it is used anew.
type arena[T any] struct {
	chunks [][]T
	used   int
}

const arenaChunk = 64

func (a *arena[T]) next() *T {
	c := a.used / arenaChunk
	if c == len(a.chunks) {
		a.chunks = append(a.chunks, make([]T, arenaChunk))
	}
	v := a.at(a.used)
	a.used++
	return v
}

// keep gives a copy of v.
func (a *arena[T]) keep(v *T) *T {
	c := a.next()
	*c = *v
	return c
}

func (a *arena[T]) at(i int) *T { return &a.chunks[i/arenaChunk][i%arenaChunk] }
