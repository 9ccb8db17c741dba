package kms

import (
	"encoding/binary"
	"math"

	"kmswatch/decode/dcerpc"
	"kmswatch/decode/ndr"
	"kmswatch/decode/wire"
)

// Sizes of bodies, bytes.
const (
	clearRequest     = 252             // version 4
	encryptedRequest = 260             // versions 5 and 6
	clearResponse    = 60              // version 4, without the product id
	vectorSize       = 16              // initialisation vector, versions 5 and 6
	blockSize        = 16              // of the cipher
	maxProductID     = 64 * 2          // as many units as Response keeps
	maxPadding       = 15              // behind the last parameter
	shortestBody     = 4               // the version
	failure          = uint32(1) << 31 // of an HRESULT
)

// Decode reads the stub of a request, in the transfer syntax of its
// presentation context and the byte order of its PDU. It resets r. On an
// anomaly, the first met, r holds what could be read before and beside it.
// Nothing of stub is kept.
func (r *Request) Decode(stub []byte, ndr64, bigEndian bool) Anomaly {
	*r = Request{}
	s := ndr.NewReader(stub, ndr64, bigEndian)
	length := s.U32()
	count := s.Count()
	if !s.Ok() {
		return ShortStub
	}
	r.Length = size(length)
	body, a := array(&s, length, count)
	b := r.decode(body, bigEndian)
	if a == 0 {
		a = b
	}
	if a == 0 && s.Len() > maxPadding {
		a = TrailingBytes
	}
	return a
}

func (r *Request) decode(body []byte, bigEndian bool) Anomaly {
	c := version(body, bigEndian, &r.Major, &r.Minor)
	if !c.Ok() {
		return ShortBody
	}
	want := 0
	switch {
	case r.Minor != 0:
		return UnknownVersion
	case r.Major == 4:
		want = clearRequest
		r.VirtualMachine = c.U32()
		r.LicenceStatus = c.U32()
		r.MinutesLeft = c.U32()
		r.Application = dcerpc.UUID(ndr.GUID(&c))
		r.SKU = dcerpc.UUID(ndr.GUID(&c))
		r.CountedID = dcerpc.UUID(ndr.GUID(&c))
		r.ClientMachine = dcerpc.UUID(ndr.GUID(&c))
		r.MinClients = c.U32()
		r.ClientTime = c.U64()
		r.PreviousClient = dcerpc.UUID(ndr.GUID(&c))
		units(&c, r.Workstation[:])
	case r.Major == 5 || r.Major == 6:
		want = encryptedRequest
	default:
		return UnknownVersion
	}
	switch {
	case len(body) < want:
		return ShortBody
	case len(body) > want:
		return WrongLength
	}
	return 0
}

// Decode reads the stub of a response, as Request.Decode does that of a
// request.
func (r *Response) Decode(stub []byte, ndr64, bigEndian bool) Anomaly {
	*r = Response{}
	s := ndr.NewReader(stub, ndr64, bigEndian)
	length := s.U32()
	referent := s.Referent()
	var count uint64
	if referent != 0 {
		count = s.Count()
	}
	if !s.Ok() {
		return ShortStub
	}
	r.Length = size(length)
	var a Anomaly
	switch {
	case referent != 0:
		var body []byte
		body, a = array(&s, length, count)
		if r.HasBody = len(body) != 0; r.HasBody {
			b := r.decode(body, bigEndian)
			if a == 0 {
				a = b
			}
		}
	case length != 0:
		a = NullReferent
	}
	if !s.Ok() {
		return a // the body is cut: there is no telling where the HRESULT is
	}
	r.HResult = s.U32()
	switch {
	case a != 0:
	case !s.Ok():
		a = NoStatus
	case r.HasBody && r.HResult&failure != 0:
		a = RefusedBody
	case !r.HasBody && r.HResult&failure == 0:
		a = NoBody
	case s.Len() > maxPadding:
		a = TrailingBytes
	}
	return a
}

func (r *Response) decode(body []byte, bigEndian bool) Anomaly {
	c := version(body, bigEndian, &r.Major, &r.Minor)
	if !c.Ok() {
		return ShortBody
	}
	switch {
	case r.Minor != 0:
		return UnknownVersion
	case r.Major == 4:
	case r.Major == 5 || r.Major == 6:
		cipher := len(body) - shortestBody - vectorSize
		switch {
		case cipher < blockSize:
			return ShortBody
		case cipher%blockSize != 0:
			return WrongLength
		}
		return 0
	default:
		return UnknownVersion
	}
	n := c.U32()
	if !c.Ok() {
		return ShortBody
	}
	if n%2 != 0 || n > maxProductID {
		return BadProductID // and what follows cannot be found
	}
	units(&c, r.ProductID[:n/2])
	r.ClientMachine = dcerpc.UUID(ndr.GUID(&c))
	r.ClientTime = c.U64()
	r.ClientCount = c.U32()
	r.Activation = c.U32()
	r.Renewal = c.U32()
	switch want := clearResponse + int(n); {
	case len(body) < want:
		return ShortBody
	case len(body) > want:
		return WrongLength
	}
	return 0
}

// array gives the body, or what there is of it: as many bytes as the array's
// count says, since that is what the receiver unmarshals.
func array(s *ndr.Reader, length uint32, count uint64) ([]byte, Anomaly) {
	whole := *s
	b := s.Bytes(count)
	a := Anomaly(0)
	if !s.Ok() {
		b, a = whole.Bytes(uint64(whole.Len())), CutBody
	}
	if uint64(length) != count {
		a = CountDisagrees
	}
	return b, a
}

// version reads the version and returns a cursor behind it, in the byte order
// in which the version makes sense.
func version(body []byte, bigEndian bool, major, minor *uint16) wire.Cursor {
	c := wire.Little(body)
	*minor, *major = c.U16(), c.U16()
	if bigEndian && c.Ok() && body[3] >= 4 && body[3] <= 6 && body[0]|body[1]|body[2] == 0 {
		c.SetBig(true)
		*minor, *major = 0, uint16(body[3])
	}
	return c
}

// units reads len(dst) UTF-16 units, as many as there are.
func units(c *wire.Cursor, dst []uint16) {
	b := c.Bytes(min(2*len(dst), c.Len()&^1))
	dst = dst[:len(b)/2]
	if c.BigEndian() {
		for i := range dst {
			dst[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		return
	}
	for i := range dst {
		dst[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
}

// size is a length parameter as an int on every platform.
func size(n uint32) int { return int(min(n, math.MaxInt32)) }
