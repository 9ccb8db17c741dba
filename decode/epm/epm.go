// Package epm decodes the stubs of the endpoint mapper: who asked where an
// interface is served, and the towers that say so (C706 appendices I, L and O;
// MS-RPCE 2.2.1.2). It is given a stub with the transfer syntax and byte order
// of its PDU and gives values that share nothing with it. What the answers say
// is the server's word; to believe it, and for how long, is up to the caller.
package epm

import "kmswatch/decode/dcerpc"

// Operations of the interface dcerpc.EPMapper, version 3.0 (C706 appendix O).
const (
	Insert     uint16 = 0
	Delete     uint16 = 1
	Lookup     uint16 = 2
	Map        uint16 = 3
	HandleFree uint16 = 4
	InqObject  uint16 = 5
	MgmtDelete uint16 = 6
)

// Bounds of what is kept of a stub.
const (
	MaxEntries = 512 // of a request or response; rpcdump asks for 500 at a time
	maxText    = 255 // bytes of a name or annotation
)

// Wanted is how many bytes of the stubs of an operation are worth keeping; 0
// if Decode does not know it. A stub of that length counts as cut, not as
// malformed, where it ends early.
func Wanted(opnum uint16) int {
	switch opnum {
	case Insert, Delete, Lookup:
		return 64 << 10
	case Map:
		return 8 << 10 // dozens of towers; Windows asks for four
	case HandleFree, InqObject, MgmtDelete:
		return 512
	}
	return 0
}

// Request is the stub of a request. Decode reuses its memory.
type Request struct {
	Opnum         uint16
	HasObject     bool
	Object        dcerpc.UUID   // valid iff HasObject
	HasTower      bool          // Map and MgmtDelete
	Tower         Tower         // what to look for; valid iff HasTower
	HasInterface  bool          // Lookup
	Interface     dcerpc.Syntax // valid iff HasInterface
	InquiryType   uint32        // Lookup: rpc_c_ep_all_elts 0, by_if 1, by_obj 2, by_both 3
	VersionOption uint32        // Lookup
	Continues     bool          // the handle of an earlier answer is given
	Max           uint32        // entries or towers asked for
	Count         uint32        // Insert and Delete: entries that the request says it holds
	Entries       []Entry       // Insert and Delete: at most MaxEntries
	Cut           bool          // the stub was cut at Wanted
}

// Response is the stub of a response. Decode reuses its memory.
type Response struct {
	Opnum     uint16
	Count     uint32  // Lookup and Map: entries or towers that the server says it gives
	Entries   []Entry // of these at most MaxEntries, as far as the stub was seen
	More      bool    // the handle given names a context: the client may ask for more
	HasStatus bool
	Status    uint32 // valid iff HasStatus; 0 is success
	Cut       bool   // the stub was cut at Wanted
}

// Omitted is how many entries of Count are not in Entries.
func (r *Response) Omitted() int { return max(0, int(min(r.Count, 1<<30))-len(r.Entries)) }

// Status values of the endpoint mapper (C706 appendix E).
const (
	StatusOK            uint32 = 0
	StatusNotRegistered uint32 = 0x16c9a0d6 // no such entry, or no more of them
	StatusNoMemory      uint32 = 0x16c9a012
)

// StatusName names the status of a response, with the names of faults for the
// rest.
func StatusName(status uint32) string {
	switch status {
	case StatusOK:
		return "ept_s_ok"
	case StatusNotRegistered:
		return "ept_s_not_registered"
	case StatusNoMemory:
		return "ept_s_no_memory"
	}
	return dcerpc.StatusName(status)
}

// Entry is an entry of the map (ept_entry_t, C706 appendix O). In the answer
// to Map only the tower is there.
type Entry struct {
	Object     dcerpc.UUID // all zero iff none
	HasTower   bool
	Tower      Tower  // valid iff HasTower
	Annotation string // as sent, mostly ASCII; at most 63 bytes by the IDL
}

// Anomaly is what is wrong with a stub or tower; 0 is nothing.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyNames.
const (
	ShortStub        Anomaly = iota + 1 // the stub ends before its parameters do
	UnknownOperation                    // an operation that Decode does not know
	CountDisagrees                      // as many entries are said to be there as are not in the array
	BadArray                            // an array that does not begin at 0, or is longer than its maximum
	TowerLength                         // tower_length is not the maximum count of its octets
	ShortTower                          // the tower ends inside a floor
	FewFloors                           // fewer than three floors: no protocol
	FloorLength                         // a floor whose sides are not of its protocol's size
	TrailingOctets                      // more behind the last floor of a tower than padding
	BadAnnotation                       // the string of an annotation breaks NDR or its bound
	TrailingBytes                       // more behind the last parameter than padding
	anomalies
)

var anomalyNames = [anomalies]string{
	0:                "none",
	ShortStub:        "short-stub",
	UnknownOperation: "unknown-operation",
	CountDisagrees:   "entry-count-disagree",
	BadArray:         "bad-array-bounds",
	TowerLength:      "tower-length-disagree",
	ShortTower:       "short-tower",
	FewFloors:        "few-floors",
	FloorLength:      "floor-length",
	TrailingOctets:   "trailing-octets-in-tower",
	BadAnnotation:    "bad-annotation",
	TrailingBytes:    "trailing-bytes",
}

// String gives the name.
func (a Anomaly) String() string {
	if a < anomalies {
		return anomalyNames[a]
	}
	return "unknown"
}
