package decode

import (
	"kmswatch/decode/kerberos"
	"kmswatch/decode/stream"
)

// maxAsked bounds the Kerberos requests of one flow that wait for an answer.
const maxAsked = 8

// asked is a Kerberos request that waits for its answer.
type asked struct {
	kind                   kerberos.Type
	dir                    stream.Dir
	pos                    Position
	time                   int64
	client, realm, service string
}

// kerberosStream takes Kerberos over TCP, RFC 4120 7.2.2.
func (s *shard) kerberosStream(f *flow, dir stream.Dir, b []byte, boundary bool) int {
	if f.adrift[dir] {
		if !boundary {
			return len(b)
		}
		switch kerberos.Probe(b) {
		case kerberos.No:
			return len(b)
		case kerberos.More:
			return 0
		}
		f.adrift[dir] = false
	}
	n := 0
	for {
		m, used := kerberos.Split(b[n:])
		switch {
		case used == 0:
			return n
		case used < 0:
			f.adrift[dir] = true
			return len(b)
		}
		n += used
		s.kerberosMessage(f, dir, m)
	}
}

// kerberosMessage takes one message.
func (s *shard) kerberosMessage(f *flow, dir stream.Dir, b []byte) {
	m := &s.ticket
	a := m.Decode(b)
	if m.Type == 0 {
		if a != 0 && a != kerberos.NotKerberos && !(s.cut && a == kerberos.CutMessage) {
			s.tell(ProtoKerberos, a.String(), false, 0, dir)
		}
		return
	}
	if client, known := m.Type.FromClient(); known && !f.sure {
		asker := dir
		if !client {
			asker ^= 1
		}
		if asker != f.client {
			s.setClient(f, asker, false)
		}
	}
	if a != 0 && !(s.cut && a == kerberos.CutMessage) {
		s.tell(ProtoKerberos, a.String(), false, 0, dir)
	}
	if s.limits.messages {
		s.kerberosTold.Message = m
		s.emit(&s.kerberosTold, dir)
	}
	switch m.Type {
	case kerberos.ASReq, kerberos.TGSReq:
		s.askTicket(f, m, dir)
	case kerberos.ASRep, kerberos.TGSRep, kerberos.Error:
		s.giveTicket(f, m, dir)
	}
}

func (s *shard) askTicket(f *flow, m *kerberos.Message, dir stream.Dir) {
	for i := range f.asked {
		if q := &f.asked[i]; q.kind == m.Type && q.dir == dir && q.client == m.Client && q.service == m.Service && f.Proto == udp {
			return // asked again
		}
	}
	if len(f.asked) == maxAsked {
		s.dropAsked(f, 0, Unknown)
	}
	f.asked = append(f.asked, asked{m.Type, dir, s.pos, s.time, m.Client, m.Realm, m.Service})
}

// giveTicket takes the answer of a KDC. Nothing in clear names its request: it is
// that of the oldest request that it may answer. What answers none may be of
// anybody.
func (s *shard) giveTicket(f *flow, m *kerberos.Message, dir stream.Dir) {
	e := &s.kerberosReply
	*e = KerberosReply{Ticket: m.Type == kerberos.TGSRep, Client: m.Client, Realm: m.Realm, Service: m.Service}
	found := false
	for i := range f.asked {
		q := &f.asked[i]
		if q.dir == dir || !m.Type.Answers(q.kind) {
			continue
		}
		e.Ask, e.Ticket = q.pos, q.kind == kerberos.TGSReq
		if e.Client == "" {
			e.Client = q.client
		}
		if e.Service == "" {
			e.Service = q.service
		}
		f.forgetAsked(i)
		found = true
		break
	}
	switch {
	case !found && (m.Type == kerberos.Error || f.Server.Port != portKerberos):
		return // a service's word, or anybody's, not a KDC's
	case !found:
		e.Outcome = Unknown
	case m.Type == kerberos.Error:
		e.Outcome, e.Error = Refused, uint32(m.ErrorCode)
	default:
		e.Outcome = Answered
	}
	s.emit(e, dir)
}

func (s *shard) dropAsked(f *flow, i int, out Outcome) {
	q := &f.asked[i]
	e := &s.kerberosReply
	*e = KerberosReply{
		Ask: q.pos, Ticket: q.kind == kerberos.TGSReq, Client: q.client, Realm: q.realm, Service: q.service, Outcome: out,
	}
	f.forgetAsked(i)
	s.emit(e, f.client)
}

// forgetAsked forgets the request at i.
func (f *flow) forgetAsked(i int) {
	n := len(f.asked) - 1
	copy(f.asked[i:], f.asked[i+1:])
	f.asked[n] = asked{}
	f.asked = f.asked[:n]
}

// endAsked tells of the requests that got no answer.
func (s *shard) endAsked(f *flow, over bool) {
	out := Unknown
	if over {
		out = s.silence(f)
	}
	for len(f.asked) > 0 {
		s.dropAsked(f, 0, out)
	}
}
