package ncadg

import (
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/wire"
)

// trailerSize is the length of auth_level and key_vers_num (sec_trailer_cl,
// MS-RPCE 2.2.3.4), bytes; padding and the token follow.
const trailerSize = 2

// PDU is one decoded PDU. It is reused: Decode resets it, and its slices share
// the memory of the decoded bytes.
type PDU struct {
	Header

	Stub   []byte // of request and response; ciphertext at packet privacy
	Status uint32 // of fault and reject

	Fack Fack // of fack, and of a nocall that has one

	CancelID  uint32 // of cl_cancel and cancel_ack
	Accepting bool   // of cancel_ack: the server takes the cancel up

	// Auth is the verifier: Type is the authentication protocol, ContextID the
	// key_vers_num, and Value what follows, padding and token.
	Auth dcerpc.Auth

	anomaly Anomaly
	offset  int  // of anomaly, in the datagram
	cut     bool // the capture lacks the datagram's end
	short   bool // the fields of the type are not there
}

// Fack tells what the receiver of fragments has and takes (C706 12.5.3.4).
type Fack struct {
	Present   bool // the other fields are valid iff set
	Version   uint8
	Window    uint16 // kilobytes, or fragments of the largest size, by vintage of the sender
	MaxTSDU   uint32 // bytes
	MaxFrag   uint32 // bytes
	Serial    uint16 // of the PDU that this answers
	Selective int    // words of the bit mask of fragments beyond the header's
}

// Decode reads b, one whole datagram. It returns one thing that is wrong; what
// could be read is set all the same.
func (p *PDU) Decode(b []byte) Anomaly {
	p.decode(b, false)
	return p.anomaly
}

func (p *PDU) decode(b []byte, cut bool) {
	*p = PDU{cut: cut}
	a := p.Header.Decode(b)
	switch a {
	case ShortHeader:
		p.short = true
		p.fail(a, len(b))
		return
	case BadVersion:
		p.short = true
		p.fail(a, 0)
		return
	case BadType:
		p.fail(a, 1)
	case BadDataRep:
		p.fail(a, 4)
	}
	end := HeaderSize + int(p.Length)
	if end > len(b) {
		if !cut {
			p.fail(ShortBody, 74)
		}
		p.cut = true
		end = len(b)
	}
	body := b[HeaderSize:end:end]
	p.verifier(b, end)
	p.body(body)
	if p.Flags1&FlagFrag == 0 && p.Fragment != 0 && (p.Type == dcerpc.TypeRequest || p.Type == dcerpc.TypeResponse) {
		p.fail(FragmentNumber, 76)
	}
}

// fail notes the first thing that is wrong.
func (p *PDU) fail(a Anomaly, offset int) {
	if p.anomaly == 0 {
		p.anomaly, p.offset = a, offset
	}
}

// verifier reads what follows the body, which is padded to a multiple of 8
// (MS-RPCE 2.2.3.4).
func (p *PDU) verifier(b []byte, end int) {
	if p.AuthProto == 0 {
		if end < len(b) {
			p.fail(TrailingBytes, end)
		}
		return
	}
	p.Auth = dcerpc.Auth{Present: true, Type: dcerpc.AuthType(p.AuthProto)}
	if p.cut {
		return
	}
	at := (end + 7) &^ 7
	if at+trailerSize > len(b) {
		p.fail(ShortVerifier, len(b))
		return
	}
	p.Auth.PadLength = uint8(at - end)
	p.Auth.Level = dcerpc.AuthLevel(b[at])
	p.Auth.ContextID = uint32(b[at+1])
	p.Auth.Value = b[at+trailerSize : len(b) : len(b)]
}

// body reads the body by the type.
func (p *PDU) body(b []byte) {
	c := wire.Little(b)
	c.SetBig(p.BigEndian)
	switch p.Type {
	case dcerpc.TypeRequest, dcerpc.TypeResponse:
		p.Stub = b
		return
	case dcerpc.TypeFault, dcerpc.TypeReject: // C706 12.5.3.5, 12.5.3.11
		p.Status = c.U32()
	case dcerpc.TypeCLCancel: // C706 12.5.3.2
		c.Skip(4)
		p.CancelID = c.U32()
	case dcerpc.TypeCancelAck: // C706 12.5.3.3
		if len(b) == 0 {
			return // as some send
		}
		c.Skip(4)
		p.CancelID = c.U32()
		p.Accepting = c.U32() != 0
	case dcerpc.TypeFack:
		if len(b) == 0 {
			return // of the pre-release version: all up to the header's fragment are there
		}
		p.fack(&c)
	case dcerpc.TypeNoCall:
		if len(b) == 0 {
			return
		}
		p.fack(&c)
	}
	if !c.Ok() {
		p.short = true
		if !p.cut {
			p.fail(ShortBody, HeaderSize+len(b))
		}
	}
}

func (p *PDU) fack(c *wire.Cursor) {
	f := Fack{Present: true, Version: c.U8()}
	c.Skip(1)
	f.Window = c.U16()
	f.MaxTSDU, f.MaxFrag = c.U32(), c.U32()
	f.Serial = c.U16()
	f.Selective = int(c.U16())
	c.Skip(4 * f.Selective)
	if c.Ok() {
		p.Fack = f
	}
}

// opaque tells whether the stub cannot be read.
func (p *PDU) opaque() bool {
	return p.cut || p.Auth.Present && p.Auth.Level == dcerpc.LevelPrivacy
}
