package kms

import (
	"unicode/utf16"
	"unicode/utf8"

	"kmswatch/decode/dcerpc"
)

// The applications whose clients ask a KMS host.
var (
	Windows    = dcerpc.MustUUID("55c92734-d682-4d71-983e-d6ec3f16059f")
	Office2010 = dcerpc.MustUUID("59a52881-a989-479d-af46-f275c6370663")
	Office2013 = dcerpc.MustUUID("0ff1ce15-a989-479d-af46-f275c6370663") // and later
)

// ApplicationName names the product of an application id; "" if it is unknown.
func ApplicationName(u dcerpc.UUID) string {
	switch u {
	case Windows:
		return "Windows"
	case Office2010:
		return "Office 2010"
	case Office2013:
		return "Office 2013 and later"
	}
	return ""
}

// LicenceStatusName names the licence status of a request; "unknown" beyond 6.
func LicenceStatusName(status uint32) string {
	if status < uint32(len(licenceStatusNames)) {
		return licenceStatusNames[status]
	}
	return "unknown"
}

var licenceStatusNames = [...]string{
	"unlicensed", "licensed", "out-of-box grace", "out-of-tolerance grace",
	"non-genuine grace", "notification", "extended grace",
}

// StatusName gives the symbol of an HRESULT that a KMS exchange gives, from
// slerror.h or winerror.h; "" if it is not in the table.
func StatusName(hresult uint32) string {
	for i := range statuses {
		if statuses[i].code == hresult {
			return statuses[i].name
		}
	}
	return ""
}

// statuses is what a KMS host returns, and what clients of volume activation
// report. To add one: a row, by code.
var statuses = [...]struct {
	code uint32
	name string
}{
	{0x00000000, "S_OK"},
	{0x4004F040, "SL_E_VL_INFO_PRODUCT_USER_RIGHT"}, // a success code, whatever its name
	{0x80004005, "E_FAIL"},
	{0x80070005, "E_ACCESSDENIED"},
	{0x8007000D, "ERROR_INVALID_DATA"}, // HRESULT_FROM_WIN32
	{0x8007000E, "E_OUTOFMEMORY"},
	{0x80070057, "E_INVALIDARG"},
	{0xC004D104, "SL_REMAPPING_SP_STATUS_INVALIDARG"}, // too many clients
	{0xC004F035, "SL_E_VL_NOT_WINDOWS_SLP"},
	{0xC004F038, "SL_E_VL_NOT_ENOUGH_COUNT"},
	{0xC004F039, "SL_E_VL_BINDING_SERVICE_NOT_ENABLED"},
	{0xC004F041, "SL_E_VL_KEY_MANAGEMENT_SERVICE_NOT_ACTIVATED"},
	{0xC004F042, "SL_E_VL_KEY_MANAGEMENT_SERVICE_ID_MISMATCH"},
	{0xC004F050, "SL_E_INVALID_PRODUCT_KEY"},
	{0xC004F051, "SL_E_BLOCKED_PRODUCT_KEY"},
	{0xC004F056, "SL_E_VL_MACHINE_NOT_BOUND"},
	{0xC004F069, "SL_E_MISMATCHED_PRODUCT_SKU"},
	{0xC004F06A, "SL_E_OPERATION_NOT_ALLOWED"},
	{0xC004F06B, "SL_E_VL_KEY_MANAGEMENT_SERVICE_VM_NOT_SUPPORTED"},
	{0xC004F06C, "SL_E_VL_INVALID_TIMESTAMP"}, // more than four hours from the host's
	{0xC004F074, "SL_E_VL_BINDING_SERVICE_UNAVAILABLE"},
	{0xC004F075, "SL_E_SERVICE_STOPPING"},
	{0xC004F200, "SL_E_NOT_GENUINE"},
}

// WorkstationName gives the workstation name in UTF-8, up to its first NUL.
// What is no character or would move a terminal's cursor becomes U+FFFD.
func (r *Request) WorkstationName() string { return text(r.Workstation[:]) }

// ProductIDText gives the host's extended product id as WorkstationName gives
// the workstation's name.
func (r *Response) ProductIDText() string { return text(r.ProductID[:]) }

func text(u []uint16) string {
	// A unit makes at most three bytes, a surrogate pair four.
	var buf [64 * utf8.UTFMax]byte
	b := buf[:0]
	for i := 0; i < len(u) && u[i] != 0; i++ {
		c := rune(u[i])
		if utf16.IsSurrogate(c) {
			c = utf8.RuneError
			if i+1 < len(u) {
				if p := utf16.DecodeRune(rune(u[i]), rune(u[i+1])); p != utf8.RuneError {
					c = p
					i++
				}
			}
		}
		if control(c) {
			c = utf8.RuneError
		}
		b = utf8.AppendRune(b, c)
	}
	return string(b)
}

// control tells C0, DEL, C1, line and paragraph separators, and the marks and
// overrides of direction, with which a name could pass for another one.
func control(c rune) bool {
	return c < 0x20 || c >= 0x7f && c < 0xa0 ||
		c == 0x061c || c == 0x200e || c == 0x200f ||
		c >= 0x2028 && c <= 0x202e || c >= 0x2066 && c <= 0x2069
}
