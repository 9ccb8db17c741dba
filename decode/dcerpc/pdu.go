package dcerpc

import (
	"encoding/binary"

	"kmswatch/decode/wire"
)

// PDU is one decoded PDU. It is reused: Decode resets it, and its slices share
// the memory of the decoded bytes, but Contexts with its Transfer slices, which
// is the PDU's own and lives until the next Decode.
type PDU struct {
	Header

	// bind, bind_ack, alter_context, alter_context_resp.
	MaxXmit   uint16        // longest PDU that the sender will send, bytes
	MaxRecv   uint16        // longest PDU that the sender takes, bytes
	Group     uint32        // association group id
	Secondary []byte        // secondary address, of the answers, without its NUL
	Contexts  []ContextItem // as offered; of the answers only the results, by position

	NakReason uint16 // of bind_nak

	// request, response, fault.
	AllocHint   uint32
	ContextID   uint16
	CancelCount uint8  // of response and fault
	Opnum       uint16 // of request
	HasObject   bool
	Object      UUID   // valid iff HasObject
	Status      uint32 // of fault
	Stub        []byte // without padding and security trailer; ciphertext at packet privacy

	Auth Auth

	syntaxes []Syntax // what Contexts' Transfer slices share
	anomaly  Anomaly  // the first, an evasive one before others
	offset   int      // of anomaly, in the PDU
	short    bool     // the fields of the type are not there
	cut      bool     // the capture lacks the PDU's end
}

// Decode reads b, one whole PDU: frag_length bytes. It returns one thing
// that is wrong, an evasive one before others; what could be read is set all the same.
func (p *PDU) Decode(b []byte) Anomaly {
	var h Header
	a := h.Decode(b)
	p.reset(&h, a)
	switch {
	case a.Lost():
		return a
	case len(b) < int(h.FragLength):
		p.short = true
		p.fail(ShortBody, 8)
		return p.anomaly
	}
	p.body(b[:h.FragLength:h.FragLength])
	return p.anomaly
}

// decodeCut reads the captured part of a PDU whose end the snap length cut. What
// lies behind the cut is unknown, which is no anomaly: a verifier that is there
// has no type and no level, and items that are not whole are not listed.
func (p *PDU) decodeCut(h *Header, b []byte) {
	p.reset(h, 0)
	p.cut = true
	p.Auth.Present = h.AuthLength != 0
	p.body(b)
}

// reset empties p but for its memory.
func (p *PDU) reset(h *Header, a Anomaly) {
	contexts, syntaxes := p.Contexts[:0], p.syntaxes[:0]
	*p = PDU{}
	p.Header, p.Contexts, p.syntaxes, p.anomaly = *h, contexts, syntaxes, a
	switch a {
	case BadFragLength:
		p.offset = 8
	case BadType:
		p.offset = 2
	case BadDataRep:
		p.offset = 4
	}
}

// fail notes what is wrong. The first stands, but a harmless one does not hide
// an evasive one.
func (p *PDU) fail(a Anomaly, offset int) {
	if p.cut {
		return
	}
	if p.anomaly == 0 || a.Evasive() && !p.anomaly.Evasive() {
		p.anomaly, p.offset = a, offset
	}
}

// body reads what follows the common header; b is the whole PDU.
func (p *PDU) body(b []byte) {
	if !p.Type.connectionOriented() {
		return
	}
	least := int(ptypeTable[p.Type].length)
	if len(b) < least || p.Type == TypeRequest && p.Flags&FlagObject != 0 && len(b) < least+16 {
		p.short = true
		p.fail(ShortBody, len(b))
		return
	}
	switch p.Type {
	case TypeRequest: // C706 12.6.4.9
		p.AllocHint, p.ContextID, p.Opnum = p.u32(b[16:]), p.u16(b[20:]), p.u16(b[22:])
		if p.Flags&FlagObject != 0 {
			p.HasObject = true
			p.Object = wireUUID(b[24:40], p.BigEndian)
			least = 40
		}
		end := p.trailer(b, least)
		p.Stub = b[least:end:end]
	case TypeResponse: // C706 12.6.4.10
		p.AllocHint, p.ContextID, p.CancelCount = p.u32(b[16:]), p.u16(b[20:]), b[22]
		end := p.trailer(b, 24)
		p.Stub = b[24:end:end]
	case TypeFault: // C706 12.6.4.7
		p.AllocHint, p.ContextID, p.CancelCount = p.u32(b[16:]), p.u16(b[20:]), b[22]
		p.Status = p.u32(b[24:])
		end := p.trailer(b, 28)
		start := min(32, end)
		p.Stub = b[start:end:end]
	case TypeBind, TypeAlterContext: // C706 12.6.4.3, 12.6.4.1
		p.offers(b, p.trailer(b, least))
	case TypeBindAck, TypeAlterContextResp: // C706 12.6.4.4, 12.6.4.2
		p.results(b, p.trailer(b, least))
	case TypeBindNak: // C706 12.6.4.5
		p.NakReason = p.u16(b[16:])
		// A security trailer would be unheard of, and Windows appends a signature
		// and extended error information (MS-RPCE 2.2.2.9).
	case TypeRTS: // MS-RPCH 2.2.3.6
	default:
		p.trailer(b, least)
	}
}

// trailerSize is the length of the security trailer before auth_value.
const trailerSize = 8

// trailer reads the security trailer (MS-RPCE 2.2.2.11) of a PDU whose body
// begins at start, and tells where the body ends.
func (p *PDU) trailer(b []byte, start int) (end int) {
	if p.AuthLength == 0 || p.cut {
		return len(b)
	}
	at := len(b) - trailerSize - int(p.AuthLength)
	if at < start {
		p.fail(AuthTooLong, 10)
		return len(b)
	}
	t := b[at:]
	p.Auth = Auth{
		Present:   true,
		Type:      AuthType(t[0]),
		Level:     AuthLevel(t[1]),
		PadLength: t[2],
		ContextID: p.u32(t[4:]),
		Value:     t[trailerSize:len(t):len(t)],
	}
	if at&3 != 0 {
		p.fail(AuthUnaligned, at)
	}
	end = at - int(p.Auth.PadLength)
	if end < start {
		p.fail(AuthPadTooLong, at+2)
		return at
	}
	return end
}

// Lengths on the wire, bytes.
const (
	syntaxSize = 20 // a UUID and a version
	resultSize = 24 // a result, a reason and a syntax
)

// offers reads the body of bind and alter_context up to end.
func (p *PDU) offers(b []byte, end int) {
	c := wire.Little(b[:end])
	c.SetBig(p.BigEndian)
	c.Skip(HeaderSize)
	p.MaxXmit, p.MaxRecv, p.Group = c.U16(), c.U16(), c.U32()
	n := int(c.U8())
	c.Skip(3)
	// No more syntaxes than bytes for them: the items' memory must not move
	// while Transfer slices are cut from it.
	if most := c.Len() / syntaxSize; cap(p.syntaxes) < most {
		p.syntaxes = make([]Syntax, 0, most)
	}
	for i := range n {
		start := c.Offset()
		id, syntaxes := c.U16(), int(c.U8())
		c.Skip(1)
		abstract := readSyntax(&c)
		if !c.Ok() {
			p.fail(ShortBody, start)
			return
		}
		if syntaxes == 0 {
			p.fail(NoTransferSyntax, start+2)
		}
		from := len(p.syntaxes)
		for range syntaxes {
			if c.Len() < syntaxSize {
				c.Fail()
				break
			}
			p.syntaxes = append(p.syntaxes, readSyntax(&c))
		}
		to := len(p.syntaxes)
		for j := range i {
			if p.Contexts[j].ID == id {
				p.fail(DuplicateContext, start)
				break
			}
		}
		p.Contexts = append(p.Contexts, ContextItem{ID: id, Abstract: abstract, Transfer: p.syntaxes[from:to:to]})
		if !c.Ok() {
			p.fail(ShortBody, start+2)
			return
		}
	}
	if c.Len() != 0 {
		p.fail(TrailingBytes, c.Offset())
	}
}

// results reads the body of bind_ack and alter_context_resp up to end.
func (p *PDU) results(b []byte, end int) {
	c := wire.Little(b[:end])
	c.SetBig(p.BigEndian)
	c.Skip(HeaderSize)
	p.MaxXmit, p.MaxRecv, p.Group = c.U16(), c.U16(), c.U32()
	p.Secondary = c.Bytes(int(c.U16()))
	if !c.Ok() {
		p.fail(ShortBody, 24)
		return
	}
	if n := len(p.Secondary); n != 0 && p.Secondary[n-1] == 0 {
		p.Secondary = p.Secondary[: n-1 : n-1]
	}
	c.Align(4)
	n := int(c.U8())
	c.Skip(3)
	if !c.Ok() {
		p.fail(ShortBody, len(b))
		return
	}
	for range n {
		start := c.Offset()
		if c.Len() < resultSize {
			p.fail(ShortBody, start)
			return
		}
		p.Contexts = append(p.Contexts, ContextItem{
			Answered: true,
			Result:   Result(c.U16()),
			Reason:   c.U16(),
			Accepted: readSyntax(&c),
		})
	}
	if c.Len() != 0 {
		p.fail(TrailingBytes, c.Offset())
	}
}

// readSyntax reads a p_syntax_id_t; a failed cursor gives zeroes.
func readSyntax(c *wire.Cursor) (s Syntax) {
	if b := c.Bytes(16); b != nil {
		s.UUID = wireUUID(b, c.BigEndian())
	}
	v := c.U32()
	s.Major, s.Minor = uint16(v), uint16(v>>16)
	return s
}

// wireUUID reads a UUID (C706 appendix A): its first three fields are integers
// in the byte order of the PDU.
func wireUUID(b []byte, big bool) (u UUID) {
	u = UUID(b)
	if !big {
		binary.BigEndian.PutUint32(u[0:], binary.LittleEndian.Uint32(b[0:]))
		binary.BigEndian.PutUint16(u[4:], binary.LittleEndian.Uint16(b[4:]))
		binary.BigEndian.PutUint16(u[6:], binary.LittleEndian.Uint16(b[6:]))
	}
	return u
}
