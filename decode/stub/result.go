package stub

import (
	"encoding/binary"

	"kmswatch/decode/dcerpc"
)

// Result is the outcome that a response tells.
type Result struct {
	HasStatus bool
	Status    uint32 // Win32 error, NTSTATUS or HRESULT; valid iff HasStatus
	Failed    bool   // valid iff HasStatus
}

// Decode reads the return value of an operation of Arguments from the stub of
// its response: the long at its end. Length is that of the stub as sent; of a
// stub of which less was kept nothing can be said. It resets r.
func (r *Result) Decode(iface dcerpc.UUID, opnum uint16, stub []byte, length int, big bool) {
	*r = Result{}
	if find(&iface, opnum) == nil || len(stub) != length {
		return
	}
	end := len(stub) &^ 3
	if end < 4 {
		return
	}
	r.HasStatus = true
	if big {
		r.Status = binary.BigEndian.Uint32(stub[end-4:])
	} else {
		r.Status = binary.LittleEndian.Uint32(stub[end-4:])
	}
	r.Failed = r.Status != 0
	if interfaces[place(&iface)].severe {
		r.Failed = int32(r.Status) < 0
	}
}
