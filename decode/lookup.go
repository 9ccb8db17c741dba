package decode

import (
	"hash/maphash"
	"strings"

	"kmswatch/decode/dns"
	"kmswatch/decode/stream"
)

// maxQueries bounds the DNS questions of one flow that are remembered.
const maxQueries = 32

// sameMoment is how long after its answer a question that comes again is a
// frame seen twice and no question: the copies of SPAN ports are milliseconds
// apart, and who asks anew takes another id or waits.
const sameMoment = second / 10

const (
	typeSRV      = 33
	typeANY      = 255
	opcodeUpdate = 5
)

// query is a DNS question that waits for its answer, or that had one.
type query struct {
	id       uint16
	dir      stream.Dir // that it went in
	answered bool       // kept, so that a repeat of the answer is not told again
	name     string
	pos      Position
	time     int64
	done     int64        // time of the answer
	sum      uint64       // hash of the question, iff an UPDATE
	reply    uint64       // hash of the answer
	update   *dns.Message // the request, iff an UPDATE
}

// digest is what messages are compared by. Its seed is secret, so that nobody
// can make one that differs and looks the same.
func (s *shard) digest(b []byte) uint64 { return maphash.Bytes(s.limits.seed, b) }

// dnsStream takes DNS over TCP (RFC 1035 4.2.2).
func (s *shard) dnsStream(f *flow, dir stream.Dir, b []byte, boundary bool) int {
	if f.adrift[dir] {
		switch {
		case !boundary:
			return len(b)
		case len(b) < 2+dnsHeader:
			return 0
		case !beginsDNS(b):
			return len(b)
		}
		f.adrift[dir] = false
	}
	n := 0
	for {
		m, used := dns.Split(b[n:])
		if used == 0 {
			return n
		}
		if len(m) < dnsHeader {
			f.adrift[dir] = true
			return len(b)
		}
		n += used
		if dns.Wanted(m) {
			s.dns(f, dir, m)
		}
	}
}

// dnsHeader is the length of a message's header, RFC 1035 4.1.1.
const dnsHeader = 12

// beginsDNS tells whether b, at least a length and a header, looks like the
// beginning of a message, where bytes before it are missing.
func beginsDNS(b []byte) bool {
	opcode := b[4] >> 3 & 15
	return (b[0] != 0 || b[1] >= dnsHeader) && (opcode == 0 || opcode == opcodeUpdate) && b[6] == 0 && b[7] <= 1
}

// dns takes one DNS message.
func (s *shard) dns(f *flow, dir stream.Dir, b []byte) {
	m := &s.message
	anomaly := m.Decode(b)
	if s.cut && f.Proto == udp && (anomaly == dns.CutMessage || anomaly == dns.MissingRecords || anomaly == dns.BadPointer) {
		anomaly = 0 // the snap length's doing
	}
	s.forgetQueries(f)
	if !s.aboutSRV(f, m, dir) {
		return
	}
	asker := dir
	if m.Response {
		asker ^= 1
	}
	if lo, hi := f.key.LoPort == portDNS, f.key.HiPort == portDNS; lo != hi && lo == (asker == 0) {
		// Servers answer from their port. An answer towards it, or a question
		// from it, would turn client and server around.
		s.tell(ProtoDNS, "wrong-direction", true, 2, dir)
		return
	}
	if !f.sure || asker != f.client {
		s.setClient(f, asker, true)
	}
	if anomaly != 0 && anomaly != dns.Truncated { // TC is what a sender says, not what is wrong
		s.tell(ProtoDNS, anomaly.String(), false, 0, dir)
	}
	if s.limits.messages {
		s.dnsMessage.Message = m
		s.emit(&s.dnsMessage, dir)
	}
	if m.Response {
		s.answer(f, m, dir, b)
	} else {
		s.ask(f, m, dir, b)
	}
}

// aboutSRV tells whether a message has a place among the events: SRV records,
// a question for them, one for all that a service has, or the answer to an
// UPDATE that was told, which may come without its records.
func (s *shard) aboutSRV(f *flow, m *dns.Message, dir stream.Dir) bool {
	switch {
	case len(m.SRV) != 0:
		return true
	case m.Opcode == opcodeUpdate:
		return m.Response && s.waiting(f, m, dir) != nil
	}
	return m.Type == typeSRV || m.Type == typeANY && strings.HasPrefix(m.Name, "_")
}

// waiting gives the newest question that m, which goes in dir, answers.
func (s *shard) waiting(f *flow, m *dns.Message, dir stream.Dir) *query {
	update := m.Opcode == opcodeUpdate
	for i := len(f.queries) - 1; i >= 0; i-- {
		q := &f.queries[i]
		if q.id == m.ID && q.dir != dir && (q.update != nil) == update && (q.name == m.Name || m.Name == "") {
			return q
		}
	}
	return nil
}

func (s *shard) ask(f *flow, m *dns.Message, dir stream.Dir, b []byte) {
	q := query{id: m.ID, dir: dir, name: m.Name, pos: s.pos, time: s.time}
	if m.Opcode == opcodeUpdate {
		q.sum = s.digest(b)
	}
	for i := range f.queries {
		p := &f.queries[i]
		if p.id == q.id && p.dir == dir && p.name == q.name && p.sum == q.sum &&
			(!p.answered || s.time-p.done < sameMoment) {
			return // asked again, or a frame seen twice
		}
	}
	if len(f.queries) == maxQueries {
		s.dropQuery(f, f.leastWanted(), Unknown)
	}
	if m.Opcode == opcodeUpdate {
		q.update = m.Clone()
	}
	f.queries = append(f.queries, q)
}

// leastWanted is the oldest question that had its answer, else the oldest.
func (f *flow) leastWanted() int {
	for i := range f.queries {
		if f.queries[i].answered {
			return i
		}
	}
	return 0
}

// dropQuery forgets the question at i; out is what is told if it waits still.
func (s *shard) dropQuery(f *flow, i int, out Outcome) {
	s.unanswered(f, &f.queries[i], out)
	n := len(f.queries) - 1
	copy(f.queries[i:], f.queries[i+1:])
	f.queries[n] = query{}
	f.queries = f.queries[:n]
}

// forgetQueries forgets the questions whose time is over.
func (s *shard) forgetQueries(f *flow) {
	for len(f.queries) > 0 && f.queries[0].time <= s.time-s.limits.idleUDP {
		s.dropQuery(f, 0, s.silence(f))
	}
}

// silence is the outcome of a question that waited long enough. Where bytes
// or a whole direction of a TCP flow are missing, the answer may be among them.
func (s *shard) silence(f *flow) Outcome {
	if f.Proto == tcp && (f.conn.OneSided() || f.conn.Missing() || f.conn.Cut()) {
		return Unknown
	}
	return Unanswered
}

func (s *shard) answer(f *flow, m *dns.Message, dir stream.Dir, b []byte) {
	q := s.waiting(f, m, dir)
	sum := s.digest(b)
	if q != nil {
		if q.answered && q.reply == sum {
			return
		}
		// An answer that differs from the one before is told too: of the two
		// one may be forged, and which the client took is not known.
		q.answered, q.reply, q.done = true, sum, s.time
	}
	out := Answered
	if m.RCode != 0 {
		out = Refused
	}
	if m.Opcode == opcodeUpdate {
		if q == nil {
			return // without the request there is nothing to tell
		}
		e := &s.update
		e.Ask, e.Asked, e.Outcome, e.RCode, e.Message = q.pos, q.time, out, m.RCode, q.update
		s.emit(e, f.client^1)
		return
	}
	e := &s.lookup
	e.Ask, e.Asked = Position{}, 0
	if q != nil {
		e.Ask, e.Asked = q.pos, q.time
	}
	e.Name, e.Outcome, e.Message = m.Name, out, m
	s.stats.Lookups++
	s.emit(e, f.client^1)
}

// unanswered tells of a question to which no answer came.
func (s *shard) unanswered(f *flow, q *query, out Outcome) {
	if q.answered {
		return
	}
	if q.dir != f.client {
		s.setClient(f, q.dir, true)
	}
	if q.update != nil {
		e := &s.update
		e.Ask, e.Asked, e.Outcome, e.RCode, e.Message = q.pos, q.time, out, 0, q.update
		s.emit(e, f.client)
		return
	}
	e := &s.lookup
	e.Ask, e.Asked, e.Name, e.Outcome, e.Message = q.pos, q.time, q.name, out, nil
	s.stats.Lookups++
	s.emit(e, f.client)
}

func (s *shard) endQueries(f *flow, over bool) {
	out := Unknown
	if over {
		out = s.silence(f)
	}
	for i := range f.queries {
		s.unanswered(f, &f.queries[i], out)
		f.queries[i] = query{}
	}
	f.queries = f.queries[:0]
	if cap(f.queries) > keptQueries {
		f.queries = nil
	}
}

// keptQueries is how many questions a place in the table keeps room for.
const keptQueries = 4
