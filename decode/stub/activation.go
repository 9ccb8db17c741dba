package stub

import (
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/ndr"
	"kmswatch/decode/wire"
)

// Bounds of what is walked of an activation.
const (
	maxExtents    = 16
	maxProperties = 32
)

// Activation properties (MS-DCOM 1.9).
var (
	instantiationInfo = dcerpc.MustUUID("000001ab-0000-0000-c000-000000000046")
	instanceInfo      = dcerpc.MustUUID("000001ad-0000-0000-c000-000000000046")
)

// orpcThis reads an ORPCTHIS (MS-DCOM 2.2.13.3) and its extensions.
func (d *decoder) orpcThis() {
	d.AlignSize()
	d.U16() // version
	d.U16()
	d.U32() // flags
	d.U32()
	d.UUID()               // cid
	if d.Referent() == 0 { // extensions
		return
	}
	d.U32() // size
	d.U32()
	if d.Referent() == 0 { // extent
		return
	}
	n := d.Count()
	if n > maxExtents {
		d.note(BadProperties)
		d.Bytes(1 << 62) // what follows cannot be found
		return
	}
	extents := 0
	for range n {
		if d.Referent() != 0 {
			extents++
		}
	}
	for range extents {
		limit := d.Count()
		d.UUID()
		d.U32()
		d.Bytes(limit)
	}
}

// remoteActivation reads ORPCthis, Clsid and pwszObjectName (MS-DCOM
// 3.1.2.5.2.3.1).
func (d *decoder) remoteActivation() {
	d.orpcThis()
	d.a.Object = dcerpc.UUID(d.UUID())
	d.uniquePath()
}

// properties reads orpcthis, pUnkOuter of RemoteCreateInstance, and
// pActProperties (MS-DCOM 3.1.2.5.2.3.2 and 3.1.2.5.2.3.3).
func (d *decoder) properties(outer bool) {
	d.orpcThis()
	if outer && d.Referent() != 0 {
		d.interfacePointer()
	}
	if d.Referent() != 0 {
		d.blob(d.interfacePointer())
	}
}

// interfacePointer gives the octets of an MInterfacePointer (MS-DCOM 2.2.14),
// as far as they were kept.
func (d *decoder) interfacePointer() []byte {
	limit := d.Count()
	length := d.U32()
	if !d.Ok() {
		return nil
	}
	if uint64(length) != limit {
		d.note(LengthDisagrees)
	}
	left := min(limit, uint64(d.Len()))
	b := d.Bytes(left)
	d.Bytes(limit - left)
	return b
}

// blob walks the properties in an OBJREF_CUSTOM (MS-DCOM 2.2.18.6, 2.2.22),
// little-endian and NDR32 whatever the stub is.
func (d *decoder) blob(b []byte) {
	const objref = 4 + 4 + 16 + 16 + 4 + 4
	c := wire.Little(b)
	signature, flags := c.U32(), c.U32()
	c.Skip(objref - 8 + 8) // the rest, and dwSize and dwReserved of the blob
	if signature != 0x574f454d || flags != 4 {
		d.bad()
		return
	}
	b = c.Rest()
	h, ok := serialized(b)
	h.U32() // totalSize
	size := h.U32()
	h.U32()
	h.U32() // destCtx
	n := h.U32()
	h.UUID() // classInfoClsid
	ids, sizes := h.Referent(), h.Referent()
	h.Referent()
	if !ok || !h.Ok() || n > maxProperties || ids == 0 || sizes == 0 || int64(size) > int64(len(b)) {
		d.bad()
		return
	}
	var kinds [maxProperties]dcerpc.UUID
	h.Count()
	for i := range n {
		kinds[i] = dcerpc.UUID(h.UUID())
	}
	h.Count()
	c = wire.Little(b)
	c.Skip(int(size))
	for i := range n {
		length := h.U32()
		left := min(int64(length), int64(c.Len()))
		p, ok := serialized(c.Bytes(int(left)))
		if !h.Ok() || !ok {
			d.bad()
			return
		}
		switch kinds[i] {
		case instantiationInfo: // 2.2.22.2.1
			d.a.Object = dcerpc.UUID(p.UUID())
		case instanceInfo: // 2.2.22.2.3: fileName, mode, ifdROT, ifdStg
			name := p.Referent()
			p.U32()
			p.Referent()
			p.Referent()
			if name != 0 {
				t := p.Wide()
				d.keep(&d.a.Path, t)
				d.shape(t)
			}
			if !p.Ok() {
				d.bad()
			}
		}
	}
}

// bad notes that the properties cannot be walked, unless because of what was
// not kept.
func (d *decoder) bad() {
	if d.Ok() {
		d.note(BadProperties)
	}
}

// serialized gives a Reader behind the headers of type serialization version 1
// (MS-RPCE 2.2.6), of which activation uses the little-endian form.
func serialized(b []byte) (r ndr.Reader, ok bool) {
	const headers = 8 + 8
	if len(b) < headers || b[0] != 1 || b[1] != 0x10 || b[2] != 8 || b[3] != 0 {
		return ndr.NewReader(nil, false, false), false
	}
	return ndr.NewReader(b[headers:], false, false), true
}
