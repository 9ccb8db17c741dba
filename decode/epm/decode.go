package epm

import (
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/ndr"
)

const (
	maxAnnotation = 64 // ept_max_annotation_size
	maxPadding    = 15 // behind the last parameter
)

// Decode reads the stub of a request. It resets r. On an anomaly, the first
// met, r holds what could be read before and beside it. Nothing of stub is
// kept.
func (r *Request) Decode(opnum uint16, stub []byte, ndr64, big bool) Anomaly {
	*r = Request{Opnum: opnum, Entries: r.Entries[:0]}
	d := decoder{Reader: ndr.NewReader(stub, ndr64, big)}
	switch opnum {
	case Insert, Delete:
		r.Count = d.U32()
		limit := d.Count()
		if limit != uint64(r.Count) && d.Ok() {
			d.note(CountDisagrees)
		}
		r.Entries = d.entries(r.Entries, limit)
		if opnum == Insert {
			d.U32() // replace
		}
	case Lookup:
		r.InquiryType = d.U32()
		r.Object, r.HasObject = d.uuid()
		if d.Referent() != 0 {
			r.Interface.UUID = dcerpc.UUID(d.UUID())
			r.Interface.Major, r.Interface.Minor = d.U16(), d.U16()
			r.HasInterface = d.Ok()
		}
		r.VersionOption = d.U32()
		r.Continues = !d.Handle().Null()
		r.Max = d.U32()
	case Map:
		r.Object, r.HasObject = d.uuid()
		r.HasTower = d.pointer(&r.Tower)
		r.Continues = !d.Handle().Null()
		r.Max = d.U32()
	case HandleFree:
		r.Continues = !d.Handle().Null()
	case InqObject:
		r.Object = dcerpc.UUID(d.UUID()) // of a reference pointer
		r.HasObject = d.Ok()
	case MgmtDelete:
		d.U32() // object_speced
		r.Object, r.HasObject = d.uuid()
		r.HasTower = d.pointer(&r.Tower)
	}
	r.Cut = d.cut(opnum, stub)
	return d.end(opnum, r.Cut)
}

// Mapped tells whether a stub looks like that of a response to Map, by its counts
// alone. It is for who does not know what was asked.
func Mapped(stub []byte, ndr64, big bool) bool {
	d := decoder{Reader: ndr.NewReader(stub, ndr64, big)}
	d.Handle()
	count := d.U32()
	limit, offset, actual := d.Count(), d.Count(), d.Count()
	return d.Ok() && offset == 0 && actual == uint64(count) && actual <= limit && actual <= uint64(d.Len()/4)
}

// Decode reads the stub of a response, as Request.Decode does that of a
// request.
func (r *Response) Decode(opnum uint16, stub []byte, ndr64, big bool) Anomaly {
	*r = Response{Opnum: opnum, Entries: r.Entries[:0]}
	d := decoder{Reader: ndr.NewReader(stub, ndr64, big)}
	switch opnum {
	case Lookup, Map:
		r.More = !d.Handle().Null()
		r.Count = d.U32()
		limit := d.Count()
		offset, actual := d.Count(), d.Count()
		if !d.Ok() {
			break
		}
		if offset != 0 || actual > limit {
			d.note(BadArray)
		}
		if actual != uint64(r.Count) {
			d.note(CountDisagrees)
		}
		if opnum == Lookup {
			r.Entries = d.entries(r.Entries, actual)
		} else {
			r.Entries = d.towers(r.Entries, actual)
		}
	case HandleFree:
		r.More = !d.Handle().Null()
	}
	if Wanted(opnum) != 0 {
		r.Status = d.U32()
		r.HasStatus = d.Ok()
	}
	r.Cut = d.cut(opnum, stub)
	return d.end(opnum, r.Cut)
}

// decoder reads a stub and remembers the first anomaly.
type decoder struct {
	ndr.Reader
	anomaly Anomaly
}

func (d *decoder) note(a Anomaly) {
	if d.anomaly == 0 {
		d.anomaly = a
	}
}

// cut tells whether the stub ran out because no more of it was kept.
func (d *decoder) cut(opnum uint16, stub []byte) bool {
	return !d.Ok() && len(stub) >= Wanted(opnum)
}

// end gives the anomaly.
func (d *decoder) end(opnum uint16, cut bool) Anomaly {
	switch {
	case Wanted(opnum) == 0:
		return UnknownOperation
	case d.anomaly != 0:
	case !d.Ok():
		if !cut {
			return ShortStub
		}
	case d.Excess() > maxPadding:
		return TrailingBytes
	}
	return d.anomaly
}

// uuid reads a pointer to a UUID and the UUID.
func (d *decoder) uuid() (u dcerpc.UUID, ok bool) {
	if d.Referent() == 0 {
		return u, false
	}
	u = dcerpc.UUID(d.UUID())
	return u, d.Ok()
}

// pointer reads a pointer to a tower and the tower.
func (d *decoder) pointer(t *Tower) bool {
	return d.Referent() != 0 && d.tower(t)
}

// tower reads a twr_t.
func (d *decoder) tower(t *Tower) bool {
	limit := d.Count()
	length := d.U32()
	b := d.Bytes(limit)
	if !d.Ok() {
		return false
	}
	if uint64(length) != limit {
		d.note(TowerLength)
		b = b[:min(uint64(length), limit)]
	}
	if a := t.Decode(b); a != 0 {
		d.note(a)
	}
	return true
}

// towers reads the elements of an array of n pointers to towers.
func (d *decoder) towers(to []Entry, n uint64) []Entry {
	beyond := 0
	for range n {
		id := d.Referent()
		if !d.Ok() {
			return to
		}
		if len(to) == MaxEntries {
			if id != 0 {
				beyond++
			}
			continue
		}
		to = append(to, Entry{HasTower: id != 0})
	}
	d.referenced(to, beyond)
	return to
}

// entries reads the elements of an array of n ept_entry_t.
func (d *decoder) entries(to []Entry, n uint64) []Entry {
	beyond := 0
	for range n {
		d.AlignSize()
		e := Entry{Object: dcerpc.UUID(d.UUID())}
		e.HasTower = d.Referent() != 0
		note := d.Varying(maxAnnotation)
		if !d.Ok() {
			break
		}
		if note.Illegal {
			d.note(BadAnnotation)
		}
		if len(to) == MaxEntries {
			if e.HasTower {
				beyond++
			}
			continue
		}
		if note.Len() != 0 {
			var b [maxText]byte
			e.Annotation = string(note.Append(b[:0], maxAnnotation))
		}
		to = append(to, e)
	}
	d.referenced(to, beyond)
	return to
}

// referenced reads the towers that an array's pointers name, which follow it
// in order; those beyond the entries kept only to find what is behind.
func (d *decoder) referenced(to []Entry, beyond int) {
	for i := range to {
		if e := &to[i]; e.HasTower {
			e.HasTower = d.tower(&e.Tower)
		}
	}
	var t Tower
	for range beyond {
		if !d.tower(&t) {
			return
		}
	}
}
