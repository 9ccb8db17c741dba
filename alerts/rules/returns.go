package rules

import (
	"strconv"
	"strings"

	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// operationName gives the name of a call's operation, or its number.
func operationName(x *decode.Call) string {
	if name := dcerpc.OperationName(x.Interface.UUID, x.Opnum); name != "" {
		return name
	}
	return "operation " + strconv.Itoa(int(x.Opnum))
}

// emptyLists is the length of answers that list nothing, at most, bytes of stub:
// pointers, counts and the return value.
const emptyLists = 40

// gave says whether an answered operation did what it was asked to: by its return
// value, else by its length.
func gave(x *decode.Call) bool {
	if !x.Returned {
		return x.ReplyLen > emptyLists
	}
	const moreData = 234 // ERROR_MORE_DATA, MS-ERREF 2.2
	return !x.Failed || x.Return == moreData
}

// returnName names a return value, "" if it has no name.
func returnName(code uint32) string {
	if code == 0 {
		return "success"
	}
	if name := dcerpc.StatusName(code); !strings.HasPrefix(name, "0x") {
		return name
	}
	return ""
}
