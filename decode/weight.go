package decode

import "kmswatch/decode/dns"

// A flow is small, but who wants to may make it large: with hundreds of calls
// that nobody answers, with contexts, with questions and UPDATEs of 64 KiB. Each
// of these is bounded for a flow; here they are bounded for all flows of a
// shard, the flow that has been large for longest making room.

// lightPipes is how many pipes of a flow are not counted.
const lightPipes = 1

// light is what the questions of a flow, and the security contexts of an
// association, may take without being counted, bytes.
const light = 1024

// weigh counts what f holds beyond what every flow does, and ends flows that
// have been large for longest while there is too much of it. f may be among
// them: the caller is done with it.
func (s *shard) weigh(f *flow) {
	n := 0
	if f.assoc != nil {
		n += f.assoc.excess()
	}
	if f.ldap != nil {
		n += f.ldap.conn.Excess()
	}
	if f.conv != nil {
		n += f.conv.Excess()
	}
	if f.smb != nil {
		n += f.smb.conn.Excess() + f.smb.weight + max(f.smb.open-lightPipes, 0)*pipeSize
	}
	if f.http != nil {
		n += f.http.conn.Excess()
	}
	if len(f.queries)+len(f.asked) > 0 {
		n += f.questions()
	}
	if n == f.weight {
		return
	}
	if !f.heavy {
		f.heavy = true
		if s.heavy.len() >= 2*s.limits.flows {
			s.endHeavy()
		}
		s.heavy.push(closed{f, f.ID, s.time})
	}
	s.weight += n - f.weight
	f.weight = n
	for s.weight > s.limits.weight && s.endHeavy() {
	}
}

// endHeavy ends the flow that has been large for longest, if it still is.
func (s *shard) endHeavy() bool {
	h, ok := s.heavy.first()
	if !ok {
		return false
	}
	s.heavy.pop()
	if f := h.flow; f.ID == h.id && !f.closed {
		if f.weight == 0 {
			f.heavy = false
			return true
		}
		s.stats.Evicted++
		s.end(f, Evicted)
		s.remove(f)
	}
	return true
}

// questions tells what the questions of a flow take beyond a few.
func (f *flow) questions() int {
	n := -light
	for i := range f.queries {
		q := &f.queries[i]
		n += querySize + len(q.name)
		if q.update != nil {
			n += updateSize(q.update)
		}
	}
	for i := range f.asked {
		q := &f.asked[i]
		n += askedSize + len(q.client) + len(q.realm) + len(q.service)
	}
	return max(n, 0)
}

// Sizes of what questions hold, bytes.
const (
	querySize = 104
	askedSize = 96
	srvSize   = 104
	pipeSize  = 2048 // an association with its first PDU
)

func updateSize(m *dns.Message) int {
	n := querySize + len(m.Name)
	for i := range m.SRV {
		n += srvSize + len(m.SRV[i].Name) + len(m.SRV[i].Target)
	}
	return n
}
