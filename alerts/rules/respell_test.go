package rules

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// respellRPC gives a tape whose requests and responses over TCP and in pipes
// come in fragments of n bytes of stub; nil if there are none.
func respellRPC(n int) func(*testing.T, *tape) *tape {
	return func(t *testing.T, tp *tape) *tape {
		t.Helper()
		changed := false
		out := tp.respell(func(s step) []step {
			if b, ok := refragment(s.data, n); ok {
				changed = changed || len(b) != len(s.data)
				s.data = b
			}
			return []step{s}
		})
		if !changed {
			return nil
		}
		return out
	}
}

// refragment cuts the requests and responses of whole little-endian PDUs without
// verifiers into fragments of n bytes of stub (C706 12.6.4.9, 12.6.4.10). It
// returns false for anything else.
func refragment(b []byte, n int) ([]byte, bool) {
	const (
		request, response = 0, 2
		first, last       = 1, 2
		object            = 0x80
	)
	var out []byte
	for len(b) > 0 {
		if len(b) < 16 || b[0] != 5 || b[1] > 1 || b[4] != 0x10 {
			return nil, false
		}
		size := int(binary.LittleEndian.Uint16(b[8:]))
		if size < 16 || size > len(b) {
			return nil, false
		}
		pdu := b[:size]
		b = b[size:]
		if pdu[2] != request && pdu[2] != response || binary.LittleEndian.Uint16(pdu[10:]) != 0 || size <= 24 || pdu[3]&object != 0 || n == 0 {
			out = append(out, pdu...)
			continue
		}
		head, stub := pdu[:24], pdu[24:]
		for at := 0; at < len(stub); at += n {
			part := stub[at:min(at+n, len(stub))]
			h := bytes.Clone(head)
			if at > 0 {
				h[3] &^= first
			}
			if at+n < len(stub) {
				h[3] &^= last
			}
			binary.LittleEndian.PutUint16(h[8:], uint16(24+len(part)))
			binary.LittleEndian.PutUint32(h[16:], uint32(len(stub)-at))
			out = append(append(out, h...), part...)
		}
	}
	return out, true
}

// respellPipes gives a tape whose transactions on pipes (SMB1's TransactNmPipe,
// SMB2's FSCTL_PIPE_TRANSCEIVE) come as writes and reads of a few bytes each, and
// whose writes come as several; stub is as in respellRPC, 0 leaves the PDUs as
// they are. It is nil if there is none of these.
func respellPipes(stub, write, read int) func(*testing.T, *tape) *tape {
	return func(t *testing.T, tp *tape) *tape {
		t.Helper()
		speakers := make(map[int]*pipes)
		changed := 0
		out := tp.respell(func(s step) []step {
			p := speakers[s.conn]
			if p == nil {
				p = &pipes{smb: beginsSMB(s.data), stub: stub, write: write, read: read, ids: make(map[uint64]uint64), open: make(map[uint64][]byte)}
				speakers[s.conn] = p
			}
			if !p.smb {
				return []step{s}
			}
			var all []step
			for b := s.data; len(b) > 0; {
				if len(b) < 4 || 4+int(binary.BigEndian.Uint32(b)&0xffffff) > len(b) {
					t.Fatal("no whole messages of SMB")
				}
				n := 4 + int(binary.BigEndian.Uint32(b)&0xffffff)
				for _, m := range p.message(t, s.dir, b[4:n:n]) {
					x := s
					x.dir = m.dir
					x.data = append(binary.BigEndian.AppendUint32(nil, uint32(len(m.data))), m.data...)
					if m.session {
						copy(x.data, b[:1])
					}
					all = append(all, x)
				}
				b = b[n:]
			}
			changed += p.changed
			return all
		})
		if changed == 0 {
			return nil
		}
		return out
	}
}

// pipes respells the messages of a connection of SMB.
type pipes struct {
	smb               bool
	stub, write, read int
	next              uint64            // the message id of the next request
	ids               map[uint64]uint64 // those of requests, by those they had
	open              map[uint64][]byte // transactions that wait for their answer: their requests
	changed           int
}

// beginsSMB tells whether a connection begins with a message of SMB, or with the
// request for a session of NetBIOS.
func beginsSMB(b []byte) bool {
	return len(b) >= 8 && (b[0] == 0x81 || string(b[5:8]) == "SMB")
}

// message is one of SMB, without its frame.
type message struct {
	dir     int
	data    []byte
	session bool // of the NetBIOS session service itself
}

func (p *pipes) message(t *testing.T, dir int, b []byte) []message {
	switch {
	case bytes.HasPrefix(b, []byte("\xfeSMB")):
		return p.smb2(t, dir, b)
	case bytes.HasPrefix(b, []byte("\xffSMB")):
		return p.smb1(dir, b)
	}
	return []message{{dir, b, true}}
}

// spelt gives the bytes of a transaction in fragments of the wanted size.
func (p *pipes) spelt(b []byte) []byte {
	if p.stub > 0 {
		if cut, ok := refragment(b, p.stub); ok {
			return cut
		}
	}
	return b
}

// smb2 respells a message of SMB2, MS-SMB2 2.2.
func (p *pipes) smb2(t *testing.T, dir int, b []byte) []message {
	const (
		ioctl, reads, writes        = 11, 8, 9
		transceive                  = 0x11c017
		pending, overflow    uint32 = 0x103, 0x80000005
	)
	le := binary.LittleEndian
	if le.Uint32(b[20:]) != 0 {
		t.Fatal("a compound")
	}
	command, id := le.Uint16(b[12:]), le.Uint64(b[24:])
	// make gives a message with the header of b.
	next := func(of []byte, command uint16, status uint32, id uint64, body []byte) []byte {
		h := bytes.Clone(of[:64])
		le.PutUint32(h[8:], status)
		le.PutUint16(h[12:], command)
		le.PutUint64(h[24:], id)
		clear(h[48:64]) // nobody signs for no name
		return append(h, body...)
	}
	if dir == 0 {
		written := func(file []byte, parts [][]byte) (all []message) {
			for _, part := range parts {
				body := le.AppendUint16(nil, 49)
				body = le.AppendUint16(body, 112)
				body = le.AppendUint32(body, uint32(len(part)))
				body = append(append(body, make([]byte, 8)...), file...)
				body = append(append(body, make([]byte, 16)...), part...)
				answer := append([]byte{17, 0, 0, 0}, le.AppendUint32(nil, uint32(len(part)))...)
				all = append(all,
					message{0, next(b, writes, 0, p.next, body), false},
					message{1, asAnswer(next(b, writes, 0, p.next, append(answer, make([]byte, 8)...))), false})
				p.next++
			}
			return all
		}
		if command == ioctl && le.Uint32(b[68:]) == transceive {
			p.changed++
			p.open[id] = b
			at, n := le.Uint32(b[88:]), le.Uint32(b[92:])
			return written(b[72:88], slices.Collect(slices.Chunk(p.spelt(b[at:at+n]), p.write)))
		}
		if command == writes {
			at, n := uint32(le.Uint16(b[66:])), le.Uint32(b[68:])
			if data := b[at : at+n]; isPDU(data) {
				// The answer to all is that to the last.
				p.changed++
				all := written(b[80:96], slices.Collect(slices.Chunk(p.spelt(data), p.write)))
				p.ids[id] = p.next - 1
				return all[:len(all)-1]
			}
		}
		if known, ok := p.ids[id]; ok { // a cancel
			return []message{{0, next(b, command, le.Uint32(b[8:]), known, b[64:]), false}}
		}
		p.ids[id] = p.next
		p.next++
		return []message{{0, next(b, command, le.Uint32(b[8:]), p.ids[id], b[64:]), false}}
	}
	ask, ok := p.open[id]
	if !ok {
		return []message{{1, next(b, command, le.Uint32(b[8:]), p.ids[id], b[64:]), false}}
	}
	status := le.Uint32(b[8:])
	if status == pending {
		return nil
	}
	delete(p.open, id)
	at, n := le.Uint32(b[96:]), le.Uint32(b[100:])
	data := p.spelt(b[at : at+n])
	var all []message
	for at := 0; at < len(data); at += p.read {
		part := data[at:min(at+p.read, len(data))]
		body := []byte{49, 0, 0, 0}
		body = le.AppendUint32(body, uint32(p.read))
		body = append(body, make([]byte, 8)...)
		body = append(body, ask[72:88]...)
		body = append(body, make([]byte, 17)...)
		answer := append([]byte{17, 0, 80, 0}, le.AppendUint32(nil, uint32(len(part)))...)
		answer = append(append(answer, make([]byte, 8)...), part...)
		s := overflow
		if at+p.read >= len(data) {
			s = status
		}
		all = append(all,
			message{0, next(ask, reads, 0, p.next, body), false},
			message{1, asAnswer(next(ask, reads, s, p.next, answer)), false})
		p.next++
	}
	return all
}

// isPDU tells whether data is a little-endian PDU of DCE/RPC.
func isPDU(b []byte) bool {
	return len(b) >= 16 && b[0] == 5 && b[1] <= 1 && b[4] == 0x10 && int(binary.LittleEndian.Uint16(b[8:])) == len(b)
}

// asAnswer flags a message of SMB2 as an answer (SMB2_FLAGS_SERVER_TO_REDIR).
func asAnswer(b []byte) []byte {
	b[16] |= 1
	return b
}

// smb1 respells a message of SMB1, MS-CIFS 2.2.4.
func (p *pipes) smb1(dir int, b []byte) []message {
	const (
		transaction, reads, writes = 0x25, 0x2e, 0x2f
		transactNmPipe             = 0x26
		overflow                   = 0x80000005
	)
	le := binary.LittleEndian
	command, id := b[4], uint64(le.Uint16(b[30:]))
	next := func(of []byte, command byte, status uint32, answer bool, id uint64, words, data []byte) []byte {
		h := bytes.Clone(of[:32])
		h[4] = command
		le.PutUint32(h[5:], status)
		h[9] &^= 0x80
		if answer {
			h[9] |= 0x80
		}
		le.PutUint16(h[30:], uint16(id))
		h = append(append(h, byte(len(words)/2)), words...)
		if data == nil {
			return append(h, 0, 0)
		}
		h = le.AppendUint16(h, uint16(len(data)+1))
		return append(append(h, 0), data...) // a byte of padding before the data
	}
	renumbered := func(id uint64) []message {
		b := bytes.Clone(b)
		le.PutUint16(b[30:], uint16(id))
		return []message{{dir, b, false}}
	}
	none := []byte{0xff, 0, 0, 0} // no further command
	if dir == 0 {
		written := func(fid []byte, parts [][]byte) (all []message) {
			for _, part := range parts {
				words := append(bytes.Clone(none), fid...)
				words = append(words, make([]byte, 14)...) // offset, timeout, mode, remaining, length beyond 64 KiB
				words = le.AppendUint16(words, uint16(len(part)))
				words = le.AppendUint16(words, 32+1+28+2+1)
				words = append(words, 0, 0, 0, 0)
				answer := le.AppendUint16(bytes.Clone(none), uint16(len(part)))
				answer = append(answer, make([]byte, 6)...)
				all = append(all,
					message{0, next(b, writes, 0, false, p.next, words, part), false},
					message{1, next(b, writes, 0, true, p.next, answer, nil), false})
				p.next++
			}
			return all
		}
		if command == transaction && b[59] == 2 && le.Uint16(b[61:]) == transactNmPipe {
			p.changed++
			p.open[id] = b
			at, n := le.Uint16(b[57:]), le.Uint16(b[55:])
			return written(b[63:65], slices.Collect(slices.Chunk(p.spelt(b[at:at+n]), p.write)))
		}
		if command == writes {
			at, n := le.Uint16(b[55:]), le.Uint16(b[53:])
			if data := b[at : at+n]; isPDU(data) {
				p.changed++
				all := written(b[37:39], slices.Collect(slices.Chunk(p.spelt(data), p.write)))
				p.ids[id] = p.next - 1
				return all[:len(all)-1]
			}
		}
		p.ids[id] = p.next
		p.next++
		return renumbered(p.ids[id])
	}
	ask, ok := p.open[id]
	if !ok {
		return renumbered(p.ids[id])
	}
	delete(p.open, id)
	at, n := le.Uint16(b[47:]), le.Uint16(b[45:])
	data := p.spelt(b[at : at+n])
	var all []message
	for at := 0; at < len(data); at += p.read {
		part := data[at:min(at+p.read, len(data))]
		words := append(bytes.Clone(none), ask[63:65]...)
		words = append(words, 0, 0, 0, 0)
		words = le.AppendUint16(words, uint16(p.read))
		words = append(words, make([]byte, 12)...)
		answer := append(bytes.Clone(none), 0xff, 0xff, 0, 0, 0, 0)
		answer = le.AppendUint16(answer, uint16(len(part)))
		answer = le.AppendUint16(answer, 32+1+24+2+1)
		answer = append(answer, make([]byte, 10)...)
		s := uint32(overflow)
		if at+p.read >= len(data) {
			s = le.Uint32(b[5:])
		}
		all = append(all,
			message{0, next(ask, reads, 0, false, p.next, words, nil), false},
			message{1, next(ask, reads, s, true, p.next, answer, part), false})
		p.next++
	}
	return all
}
