// Package ndr reads the primitives of stub data in the two transfer syntaxes
// of MS-RPC: NDR32 (C706 chapter 14) and NDR64 (MS-RPCE 2.2.5), and the
// strings and context handles that are made of them. It knows nothing of any
// operation's parameters; the decoder of an interface asks for them one by
// one, in the order of the IDL: a pointer's referent where the pointer stands,
// and its referenced value at once for a parameter, behind the outermost
// structure or array for a member (C706 14.3.12.3).
package ndr

import "kmswatch/decode/wire"

// Reader walks the stub of one request or response. Every read first aligns
// to the size of what it reads, counted from the start of the stub. A read that does
// not fit makes the Reader fail, and a failed Reader gives zeroes. It is a
// value, a copy saves the place, and what it gives shares the stub's memory.
type Reader struct {
	c     wire.Cursor
	ndr64 bool
}

// NewReader returns a Reader at the start of stub. The syntax is that of the
// call's presentation context, the byte order that of the PDU's data
// representation.
func NewReader(stub []byte, ndr64, bigEndian bool) Reader {
	r := Reader{c: wire.Little(stub), ndr64: ndr64}
	r.c.SetBig(bigEndian)
	return r
}

// NDR64 tells the transfer syntax.
func (r *Reader) NDR64() bool { return r.ndr64 }

// Ok reports whether every read so far found its bytes.
func (r *Reader) Ok() bool { return r.c.Ok() }

// Offset is the number of bytes consumed.
func (r *Reader) Offset() int { return r.c.Offset() }

// Len is the number of bytes left; 0 once the Reader has failed.
func (r *Reader) Len() int { return r.c.Len() }

// Excess is the number of bytes left before the verification trailer that a
// client may put behind the parameters of a request (MS-RPCE 2.2.2.13); 0 once
// the Reader has failed.
func (r *Reader) Excess() int {
	const signature = "\x8a\xe3\x13\x71\x02\xf4\x36\x71"
	rest := r.c.Rest()
	for i := -r.c.Offset() & 3; i+len(signature) <= len(rest); i += 4 {
		if string(rest[i:i+len(signature)]) == signature {
			return i
		}
	}
	return len(rest)
}

// U8 reads an octet.
func (r *Reader) U8() uint8 { return r.c.U8() }

// U16 reads an aligned short.
func (r *Reader) U16() uint16 {
	r.c.Align(2)
	return r.c.U16()
}

// U32 reads an aligned long.
func (r *Reader) U32() uint32 {
	r.c.Align(4)
	return r.c.U32()
}

// U64 reads an aligned hyper.
func (r *Reader) U64() uint64 {
	r.c.Align(8)
	return r.c.U64()
}

// Referent reads the referent id of a unique or full pointer, or the marker
// of a reference pointer: a long in NDR32, a hyper in NDR64. Zero is a null
// pointer (C706 14.3.10; MS-RPCE 2.2.5.3.5).
func (r *Reader) Referent() uint64 { return r.size() }

// Count reads the maximum count of a conformant array (C706 14.3.3.1;
// MS-RPCE 2.2.5.3.2). Nobody vouches for it: Bytes checks it against the
// bytes left.
func (r *Reader) Count() uint64 { return r.size() }

// size reads what NDR64 widens to eight bytes.
func (r *Reader) size() uint64 {
	if r.ndr64 {
		return r.U64()
	}
	return uint64(r.U32())
}

// AlignSize aligns to the size of a pointer, which is the alignment of a
// structure, union or array element that holds one.
func (r *Reader) AlignSize() {
	if r.ndr64 {
		r.c.Align(8)
	} else {
		r.c.Align(4)
	}
}

// AlignTo aligns to n, a power of two: the alignment of a structure or union is
// that of the largest primitive in it (MS-RPCE 2.2.5.3.4).
func (r *Reader) AlignTo(n int) { r.c.Align(n) }

// Enum reads a value of an enumeration without v1_enum: a short in NDR32 (C706
// 14.2.5), a long in NDR64.
func (r *Reader) Enum() uint32 {
	if r.ndr64 {
		return r.U32()
	}
	return uint32(r.U16())
}

// Bytes consumes n octets, the elements of a byte array, without alignment.
// It fails, and gives nil, when fewer are left.
func (r *Reader) Bytes(n uint64) []byte {
	if n > uint64(r.c.Len()) {
		r.c.Fail()
		return nil
	}
	return r.c.Bytes(int(n))
}

// UUID reads an aligned GUID into the order of its text form.
func (r *Reader) UUID() (u [16]byte) {
	r.c.Align(4)
	return GUID(&r.c)
}

// GUID reads a GUID (MS-DTYP 2.3.4.2) at the cursor, without alignment and in
// the cursor's byte order, into the order of its text form.
func GUID(c *wire.Cursor) (u [16]byte) {
	d1, d2, d3, d4 := c.U32(), c.U16(), c.U16(), c.Bytes(8)
	if d4 == nil {
		return u
	}
	u[0], u[1], u[2], u[3] = byte(d1>>24), byte(d1>>16), byte(d1>>8), byte(d1)
	u[4], u[5] = byte(d2>>8), byte(d2)
	u[6], u[7] = byte(d3>>8), byte(d3)
	copy(u[8:], d4)
	return u
}
