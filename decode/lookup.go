package decode

import (
	"kmswatch/decode/dns"
	"kmswatch/decode/stream"
)

// maxQueries bounds the DNS questions of one flow that wait for an answer.
const maxQueries = 32

const (
	typeSRV      = 33
	typeANY      = 255
	opcodeUpdate = 5
)

// query is a DNS question that waits for its answer.
type query struct {
	id       uint16
	answered bool // kept, so that a repeat of the answer is not told again
	name     string
	pos      Position
	time     int64
	update   *dns.Message // the request, iff an UPDATE
}

// dnsStream takes DNS over TCP (RFC 1035 4.2.2).
func (s *shard) dnsStream(f *flow, dir stream.Dir, b []byte) int {
	n := 0
	for {
		m, used := dns.Split(b[n:])
		if used == 0 {
			return n
		}
		n += used
		if dns.Wanted(m) {
			s.datagram(f, dir, m)
		}
	}
}

// datagram takes one DNS message.
func (s *shard) datagram(f *flow, dir stream.Dir, b []byte) {
	m := &s.message
	anomaly := m.Decode(b)
	update := m.Opcode == opcodeUpdate
	if len(m.SRV) == 0 && (update || m.Type != typeSRV) {
		// An answer to an UPDATE may come without its records.
		if !update || !m.Response || s.waiting(f, m.ID) == nil {
			return
		}
	}
	if !f.sure {
		from := dir
		if m.Response {
			from ^= 1
		}
		s.setClient(f, from, true)
	}
	if anomaly != 0 {
		s.tell(ProtoDNS, anomaly.String(), false, 0, dir)
	}
	if s.limits.messages {
		s.dnsMessage.Message = m
		s.emit(&s.dnsMessage, dir)
	}
	if m.Response {
		s.answer(f, m)
	} else {
		s.ask(f, m)
	}
}

func (s *shard) waiting(f *flow, id uint16) *query {
	for i := len(f.queries) - 1; i >= 0; i-- {
		if f.queries[i].id == id {
			return &f.queries[i]
		}
	}
	return nil
}

func (s *shard) ask(f *flow, m *dns.Message) {
	if q := s.waiting(f, m.ID); q != nil && q.name == m.Name {
		return // asked again, or a frame seen twice
	}
	if len(f.queries) == maxQueries {
		s.unanswered(f, &f.queries[0], Unanswered)
		copy(f.queries, f.queries[1:])
		f.queries = f.queries[:maxQueries-1]
	}
	q := query{id: m.ID, name: m.Name, pos: s.pos, time: s.time}
	if m.Opcode == opcodeUpdate {
		q.update = m.Clone()
	}
	f.queries = append(f.queries, q)
}

func (s *shard) answer(f *flow, m *dns.Message) {
	q := s.waiting(f, m.ID)
	if q != nil && q.answered {
		return
	}
	out := Answered
	if m.RCode != 0 {
		out = Refused
	}
	if m.Opcode == opcodeUpdate {
		if q == nil || q.update == nil {
			return // without the request there is nothing to tell
		}
		e := &s.update
		e.Ask, e.Asked, e.Outcome, e.RCode, e.Message = q.pos, q.time, out, m.RCode, q.update
		q.answered = true
		s.emit(e, f.client^1)
		return
	}
	e := &s.lookup
	e.Ask, e.Asked = Position{}, 0
	if q != nil {
		e.Ask, e.Asked = q.pos, q.time
		q.answered = true
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
		out = Unanswered
	}
	for i := range f.queries {
		s.unanswered(f, &f.queries[i], out)
		f.queries[i] = query{}
	}
	f.queries = f.queries[:0]
}
