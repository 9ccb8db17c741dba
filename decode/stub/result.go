package stub

import "kmswatch/decode/dcerpc"

// Result is the outcome that a response tells.
type Result struct {
	HasStatus bool
	Status    uint32 // Win32 error, NTSTATUS or HRESULT; valid iff HasStatus
	Failed    bool   // valid iff HasStatus
}

// ResultOf gives the return value of an operation whose arguments are read, or
// that Enumerates knows. Tail is the long at the end of its response's stub.
func ResultOf(iface dcerpc.UUID, opnum uint16, tail uint32) Result {
	i := place(&iface)
	if i < 0 {
		return Result{}
	}
	if _, lists := Enumerates(iface, opnum); !lists && find(&iface, opnum) == nil {
		return Result{}
	}
	r := Result{HasStatus: true, Status: tail, Failed: tail != 0}
	if interfaces[i].severe {
		r.Failed = int32(tail) < 0
	}
	return r
}
