package dcerpc

import (
	"sort"
	"strconv"
)

// String gives the wire name.
func (r Result) String() string {
	return named(resultNames[:], int(r), "result")
}

var resultNames = [...]string{
	Acceptance:        "acceptance",
	UserRejection:     "user_rejection",
	ProviderRejection: "provider_rejection",
	NegotiateAck:      "negotiate_ack",
}

// RejectReasonName names the reason of a rejected presentation context
// (p_provider_reason_t, C706 12.6.3.1).
func RejectReasonName(reason uint16) string {
	return named(rejectReasons[:], int(reason), "reason")
}

var rejectReasons = [...]string{
	"reason_not_specified",
	"abstract_syntax_not_supported",
	"proposed_transfer_syntaxes_not_supported",
	"local_limit_exceeded",
}

// NakReasonName names the reason of a bind_nak (p_reject_reason_t, C706
// 12.6.3.1; 8 and 9 are MS-RPCE 2.2.2.5).
func NakReasonName(reason uint16) string {
	return named(nakReasons[:], int(reason), "reason")
}

var nakReasons = [...]string{
	"reason_not_specified",
	"temporary_congestion",
	"local_limit_exceeded",
	"called_paddr_unknown",
	"protocol_version_not_supported",
	"default_context_not_supported",
	"user_data_not_readable",
	"no_psap_available",
	"authentication_type_not_recognized",
	"invalid_checksum",
}

// Authentication types (MS-RPCE 2.2.1.1.7).
const (
	AuthNone       AuthType = 0
	AuthDCEPrivate AuthType = 1 // the Kerberos 5 of OSF DCE
	AuthDCEPublic  AuthType = 2
	AuthDECPublic  AuthType = 4
	AuthSPNEGO     AuthType = 9
	AuthNTLM       AuthType = 10
	AuthSchannel   AuthType = 14
	AuthKerberos   AuthType = 16 // GSS-API Kerberos
	AuthDPA        AuthType = 17
	AuthMSN        AuthType = 18
	AuthKernel     AuthType = 20
	AuthDigest     AuthType = 21
	AuthNegoExt    AuthType = 30
	AuthPKU2U      AuthType = 31
	AuthNetlogon   AuthType = 68
	AuthMSMQ       AuthType = 100
	AuthDefault    AuthType = 255
)

// String gives a short name, auth_type(99) for a number without one.
func (t AuthType) String() string {
	switch t {
	case AuthNone:
		return "none"
	case AuthDCEPrivate:
		return "dce_private"
	case AuthDCEPublic:
		return "dce_public"
	case AuthDECPublic:
		return "dec_public"
	case AuthSPNEGO:
		return "spnego"
	case AuthNTLM:
		return "ntlm"
	case AuthSchannel:
		return "schannel"
	case AuthKerberos:
		return "kerberos"
	case AuthDPA:
		return "dpa"
	case AuthMSN:
		return "msn"
	case AuthKernel:
		return "kernel"
	case AuthDigest:
		return "digest"
	case AuthNegoExt:
		return "negoextender"
	case AuthPKU2U:
		return "pku2u"
	case AuthNetlogon:
		return "netlogon"
	case AuthMSMQ:
		return "msmq"
	case AuthDefault:
		return "default"
	}
	return "auth_type(" + strconv.Itoa(int(t)) + ")"
}

// Authentication levels (MS-RPCE 2.2.1.1.8).
const (
	LevelDefault   AuthLevel = 0
	LevelNone      AuthLevel = 1
	LevelConnect   AuthLevel = 2
	LevelCall      AuthLevel = 3
	LevelPacket    AuthLevel = 4
	LevelIntegrity AuthLevel = 5
	LevelPrivacy   AuthLevel = 6 // stubs are encrypted
)

// String gives a short name, auth_level(99) for a number without one.
func (l AuthLevel) String() string { return named(levelNames[:], int(l), "auth_level") }

var levelNames = [...]string{
	LevelDefault:   "default",
	LevelNone:      "none",
	LevelConnect:   "connect",
	LevelCall:      "call",
	LevelPacket:    "packet",
	LevelIntegrity: "integrity",
	LevelPrivacy:   "privacy",
}

func named(names []string, n int, kind string) string {
	if n < len(names) {
		return names[n]
	}
	return kind + "(" + strconv.Itoa(n) + ")"
}

// StatusName names the status of a fault: the nca_s_ codes of C706 appendix E
// and the Windows codes that MS-RPCE 3.1.1.5.5 lets through (MS-ERREF). A
// status without a name is given in hexadecimal.
func StatusName(status uint32) string {
	if s := findStatus(status); s != nil {
		return s.name
	}
	hex := strconv.FormatUint(uint64(status), 16)
	return "0x00000000"[:10-len(hex)] + hex
}

// rejectStatus tells whether the status is the runtime's refusal, so that the
// operation was not executed.
func rejectStatus(status uint32) bool {
	s := findStatus(status)
	return s != nil && s.reject
}

// NotExecuted tells whether the status of a fault is the runtime's refusal.
func NotExecuted(status uint32) bool { return rejectStatus(status) }

func findStatus(status uint32) *statusName {
	i := sort.Search(len(statusNames), func(i int) bool { return statusNames[i].status >= status })
	if i < len(statusNames) && statusNames[i].status == status {
		return &statusNames[i]
	}
	return nil
}

type statusName struct {
	status uint32
	name   string
	reject bool
}

// statusNames is sorted by status. To add one: a row at its place, with
// whether it means that the call did not reach the operation.
var statusNames = [...]statusName{
	{0x00000001, "nca_s_fault_other", false},
	{0x00000005, "ERROR_ACCESS_DENIED", false},
	{0x00000006, "ERROR_INVALID_HANDLE", false},
	{0x00000008, "ERROR_NOT_ENOUGH_MEMORY", false},
	{0x0000000e, "ERROR_OUTOFMEMORY", false},
	{0x00000032, "ERROR_NOT_SUPPORTED", false},
	{0x00000057, "ERROR_INVALID_PARAMETER", false},
	{0x00000078, "ERROR_CALL_NOT_IMPLEMENTED", false},
	{0x0000007a, "ERROR_INSUFFICIENT_BUFFER", false},
	{0x000006a4, "RPC_S_INVALID_STRING_BINDING", false},
	{0x000006a5, "RPC_S_WRONG_KIND_OF_BINDING", false},
	{0x000006a6, "RPC_S_INVALID_BINDING", false},
	{0x000006a7, "RPC_S_PROTSEQ_NOT_SUPPORTED", false},
	{0x000006a8, "RPC_S_INVALID_RPC_PROTSEQ", false},
	{0x000006a9, "RPC_S_INVALID_STRING_UUID", false},
	{0x000006aa, "RPC_S_INVALID_ENDPOINT_FORMAT", false},
	{0x000006ab, "RPC_S_INVALID_NET_ADDR", false},
	{0x000006ac, "RPC_S_NO_ENDPOINT_FOUND", false},
	{0x000006ad, "RPC_S_INVALID_TIMEOUT", false},
	{0x000006ae, "RPC_S_OBJECT_NOT_FOUND", false},
	{0x000006af, "RPC_S_ALREADY_REGISTERED", false},
	{0x000006b0, "RPC_S_TYPE_ALREADY_REGISTERED", false},
	{0x000006b1, "RPC_S_ALREADY_LISTENING", false},
	{0x000006b2, "RPC_S_NO_PROTSEQS_REGISTERED", false},
	{0x000006b3, "RPC_S_NOT_LISTENING", false},
	{0x000006b4, "RPC_S_UNKNOWN_MGR_TYPE", false},
	{0x000006b5, "RPC_S_UNKNOWN_IF", true},
	{0x000006b6, "RPC_S_NO_BINDINGS", false},
	{0x000006b7, "RPC_S_NO_PROTSEQS", false},
	{0x000006b8, "RPC_S_CANT_CREATE_ENDPOINT", false},
	{0x000006b9, "RPC_S_OUT_OF_RESOURCES", false},
	{0x000006ba, "RPC_S_SERVER_UNAVAILABLE", false},
	{0x000006bb, "RPC_S_SERVER_TOO_BUSY", true},
	{0x000006bc, "RPC_S_INVALID_NETWORK_OPTIONS", false},
	{0x000006bd, "RPC_S_NO_CALL_ACTIVE", false},
	{0x000006be, "RPC_S_CALL_FAILED", false},
	{0x000006bf, "RPC_S_CALL_FAILED_DNE", true},
	{0x000006c0, "RPC_S_PROTOCOL_ERROR", true},
	{0x000006c1, "RPC_S_PROXY_ACCESS_DENIED", false},
	{0x000006c2, "RPC_S_UNSUPPORTED_TRANS_SYN", true},
	{0x000006c4, "RPC_S_UNSUPPORTED_TYPE", true},
	{0x000006c5, "RPC_S_INVALID_TAG", false},
	{0x000006c6, "RPC_S_INVALID_BOUND", false},
	{0x000006c7, "RPC_S_NO_ENTRY_NAME", false},
	{0x000006c8, "RPC_S_INVALID_NAME_SYNTAX", false},
	{0x000006c9, "RPC_S_UNSUPPORTED_NAME_SYNTAX", false},
	{0x000006cb, "RPC_S_UUID_NO_ADDRESS", false},
	{0x000006cc, "RPC_S_DUPLICATE_ENDPOINT", false},
	{0x000006cd, "RPC_S_UNKNOWN_AUTHN_TYPE", false},
	{0x000006ce, "RPC_S_MAX_CALLS_TOO_SMALL", false},
	{0x000006cf, "RPC_S_STRING_TOO_LONG", false},
	{0x000006d0, "RPC_S_PROTSEQ_NOT_FOUND", false},
	{0x000006d1, "RPC_S_PROCNUM_OUT_OF_RANGE", true},
	{0x000006d2, "RPC_S_BINDING_HAS_NO_AUTH", false},
	{0x000006d3, "RPC_S_UNKNOWN_AUTHN_SERVICE", false},
	{0x000006d4, "RPC_S_UNKNOWN_AUTHN_LEVEL", false},
	{0x000006d5, "RPC_S_INVALID_AUTH_IDENTITY", false},
	{0x000006d6, "RPC_S_UNKNOWN_AUTHZ_SERVICE", false},
	{0x000006d7, "EPT_S_INVALID_ENTRY", false},
	{0x000006d8, "EPT_S_CANT_PERFORM_OP", false},
	{0x000006d9, "EPT_S_NOT_REGISTERED", false},
	{0x000006da, "RPC_S_NOTHING_TO_EXPORT", false},
	{0x000006db, "RPC_S_INCOMPLETE_NAME", false},
	{0x000006dc, "RPC_S_INVALID_VERS_OPTION", false},
	{0x000006dd, "RPC_S_NO_MORE_MEMBERS", false},
	{0x000006de, "RPC_S_NOT_ALL_OBJS_UNEXPORTED", false},
	{0x000006df, "RPC_S_INTERFACE_NOT_FOUND", false},
	{0x000006e0, "RPC_S_ENTRY_ALREADY_EXISTS", false},
	{0x000006e1, "RPC_S_ENTRY_NOT_FOUND", false},
	{0x000006e2, "RPC_S_NAME_SERVICE_UNAVAILABLE", false},
	{0x000006e3, "RPC_S_INVALID_NAF_ID", false},
	{0x000006e4, "RPC_S_CANNOT_SUPPORT", false},
	{0x000006e5, "RPC_S_NO_CONTEXT_AVAILABLE", false},
	{0x000006e6, "RPC_S_INTERNAL_ERROR", false},
	{0x000006e7, "RPC_S_ZERO_DIVIDE", false},
	{0x000006e8, "RPC_S_ADDRESS_ERROR", false},
	{0x000006e9, "RPC_S_FP_DIV_ZERO", false},
	{0x000006ea, "RPC_S_FP_UNDERFLOW", false},
	{0x000006eb, "RPC_S_FP_OVERFLOW", false},
	{0x000006ec, "RPC_X_NO_MORE_ENTRIES", false},
	{0x000006ed, "RPC_X_SS_CHAR_TRANS_OPEN_FAIL", false},
	{0x000006ee, "RPC_X_SS_CHAR_TRANS_SHORT_FILE", false},
	{0x000006ef, "RPC_X_SS_IN_NULL_CONTEXT", false},
	{0x000006f1, "RPC_X_SS_CONTEXT_DAMAGED", false},
	{0x000006f2, "RPC_X_SS_HANDLES_MISMATCH", false},
	{0x000006f3, "RPC_X_SS_CANNOT_GET_CALL_HANDLE", false},
	{0x000006f4, "RPC_X_NULL_REF_POINTER", false},
	{0x000006f5, "RPC_X_ENUM_VALUE_OUT_OF_RANGE", false},
	{0x000006f6, "RPC_X_BYTE_COUNT_TOO_SMALL", false},
	{0x000006f7, "RPC_X_BAD_STUB_DATA", false},
	{0x000006ff, "RPC_S_CALL_IN_PROGRESS", false},
	{0x0000070e, "RPC_S_NO_MORE_BINDINGS", false},
	{0x00000719, "RPC_S_NO_INTERFACES", false},
	{0x0000071a, "RPC_S_CALL_CANCELLED", false},
	{0x0000071b, "RPC_S_BINDING_INCOMPLETE", false},
	{0x0000071c, "RPC_S_COMM_FAILURE", false},
	{0x0000071d, "RPC_S_UNSUPPORTED_AUTHN_LEVEL", false},
	{0x0000071e, "RPC_S_NO_PRINC_NAME", false},
	{0x0000071f, "RPC_S_NOT_RPC_ERROR", false},
	{0x00000720, "RPC_S_UUID_LOCAL_ONLY", false},
	{0x00000721, "RPC_S_SEC_PKG_ERROR", false},
	{0x00000722, "RPC_S_NOT_CANCELLED", false},
	{0x00000723, "RPC_X_INVALID_ES_ACTION", false},
	{0x00000724, "RPC_X_WRONG_ES_VERSION", false},
	{0x00000725, "RPC_X_WRONG_STUB_VERSION", false},
	{0x00000726, "RPC_X_INVALID_PIPE_OBJECT", false},
	{0x00000727, "RPC_X_WRONG_PIPE_ORDER", false},
	{0x00000728, "RPC_X_WRONG_PIPE_VERSION", false},
	{0x0000076a, "RPC_S_GROUP_MEMBER_NOT_FOUND", false},
	{0x0000076b, "EPT_S_CANT_CREATE", false},
	{0x0000076c, "RPC_S_INVALID_OBJECT", false},
	{0x00000776, "OR_INVALID_OXID", false},
	{0x00000777, "OR_INVALID_OID", false},
	{0x00000778, "OR_INVALID_SET", false},
	{0x00000779, "RPC_S_SEND_INCOMPLETE", false},
	{0x0000077a, "RPC_S_INVALID_ASYNC_HANDLE", false},
	{0x0000077b, "RPC_S_INVALID_ASYNC_CALL", false},
	{0x0000077c, "RPC_X_PIPE_CLOSED", false},
	{0x0000077d, "RPC_X_PIPE_DISCIPLINE_ERROR", false},
	{0x0000077e, "RPC_X_PIPE_EMPTY", false},
	{0x00000782, "RPC_S_ENTRY_TYPE_MISMATCH", false},
	{0x00000783, "RPC_S_NOT_ALL_OBJS_EXPORTED", false},
	{0x00000784, "RPC_S_INTERFACE_NOT_EXPORTED", false},
	{0x00000785, "RPC_S_PROFILE_NOT_ADDED", false},
	{0x00000786, "RPC_S_PRF_ELT_NOT_ADDED", false},
	{0x00000787, "RPC_S_PRF_ELT_NOT_REMOVED", false},
	{0x00000788, "RPC_S_GRP_ELT_NOT_ADDED", false},
	{0x00000789, "RPC_S_GRP_ELT_NOT_REMOVED", false},
	{0x1c000001, "nca_s_fault_int_div_by_zero", false},
	{0x1c000002, "nca_s_fault_addr_error", false},
	{0x1c000003, "nca_s_fault_fp_div_zero", false},
	{0x1c000004, "nca_s_fault_fp_underflow", false},
	{0x1c000005, "nca_s_fault_fp_overflow", false},
	{0x1c000006, "nca_s_fault_invalid_tag", false},
	{0x1c000007, "nca_s_fault_invalid_bound", false},
	{0x1c000008, "nca_s_rpc_version_mismatch", true},
	{0x1c000009, "nca_s_unspec_reject", true},
	{0x1c00000a, "nca_s_bad_actid", true},
	{0x1c00000b, "nca_s_who_are_you_failed", true},
	{0x1c00000c, "nca_s_manager_not_entered", true},
	{0x1c00000d, "nca_s_fault_cancel", false},
	{0x1c00000e, "nca_s_fault_ill_inst", false},
	{0x1c00000f, "nca_s_fault_fp_error", false},
	{0x1c000010, "nca_s_fault_int_overflow", false},
	{0x1c000012, "nca_s_fault_unspec", false},
	{0x1c000013, "nca_s_fault_remote_comm_failure", false},
	{0x1c000014, "nca_s_fault_pipe_empty", false},
	{0x1c000015, "nca_s_fault_pipe_closed", false},
	{0x1c000016, "nca_s_fault_pipe_order", false},
	{0x1c000017, "nca_s_fault_pipe_discipline", false},
	{0x1c000018, "nca_s_fault_pipe_comm_error", false},
	{0x1c000019, "nca_s_fault_pipe_memory", false},
	{0x1c00001a, "nca_s_fault_context_mismatch", false},
	{0x1c00001b, "nca_s_fault_remote_no_memory", false},
	{0x1c00001c, "nca_s_invalid_pres_context_id", true},
	{0x1c00001d, "nca_s_unsupported_authn_level", true},
	{0x1c00001f, "nca_s_invalid_checksum", true},
	{0x1c000020, "nca_s_invalid_crc", true},
	{0x1c000021, "nca_s_fault_user_defined", false},
	{0x1c000022, "nca_s_fault_tx_open_failed", false},
	{0x1c000023, "nca_s_fault_codeset_conv_error", false},
	{0x1c000024, "nca_s_fault_object_not_found", false},
	{0x1c000025, "nca_s_fault_no_client_stub", false},
	{0x1c010001, "nca_s_comm_failure", false},
	{0x1c010002, "nca_s_op_rng_error", true},
	{0x1c010003, "nca_s_unk_if", true},
	{0x1c010006, "nca_s_wrong_boot_time", true},
	{0x1c010009, "nca_s_you_crashed", true},
	{0x1c01000b, "nca_s_proto_error", true},
	{0x1c010013, "nca_s_out_args_too_big", false},
	{0x1c010014, "nca_s_server_too_busy", true},
	{0x1c010015, "nca_s_fault_string_too_long", false},
	{0x1c010017, "nca_s_unsupported_type", true},
	{0x80004001, "E_NOTIMPL", false},
	{0x80004002, "E_NOINTERFACE", false},
	{0x80004003, "E_POINTER", false},
	{0x80004004, "E_ABORT", false},
	{0x80004005, "E_FAIL", false},
	{0x8000ffff, "E_UNEXPECTED", false},
	{0x80010105, "RPC_E_SERVERFAULT", false},
	{0x80010108, "RPC_E_DISCONNECTED", false},
	{0x8001010e, "RPC_E_WRONG_THREAD", false},
	{0x80010110, "RPC_E_INVALID_HEADER", false},
	{0x80010111, "RPC_E_INVALID_EXTENSION", false},
	{0x80010112, "RPC_E_INVALID_CALLDATA", false},
	{0x80010113, "RPC_E_INVALID_IPID", false},
	{0x80010114, "RPC_E_INVALID_OBJECT", false},
	{0x80010117, "RPC_E_CALL_COMPLETE", false},
	{0x80010119, "RPC_E_TOO_LATE", false},
	{0x8001011f, "RPC_E_TIMEOUT", false},
	{0x80020003, "DISP_E_MEMBERNOTFOUND", false},
	{0x80020006, "DISP_E_UNKNOWNNAME", false},
	{0x8002000e, "DISP_E_BADPARAMCOUNT", false},
	{0x80070005, "E_ACCESSDENIED", false},
	{0x80070006, "E_HANDLE", false},
	{0x8007000e, "E_OUTOFMEMORY", false},
	{0x80070057, "E_INVALIDARG", false},
	{0x800706ba, "HRESULT(RPC_S_SERVER_UNAVAILABLE)", false},
	{0x800706d1, "HRESULT(RPC_S_PROCNUM_OUT_OF_RANGE)", true},
	{0x800706f7, "HRESULT(RPC_X_BAD_STUB_DATA)", false},
	{0x80070776, "HRESULT(OR_INVALID_OXID)", false},
	{0xc000000d, "STATUS_INVALID_PARAMETER", false},
	{0xc0000022, "STATUS_ACCESS_DENIED", false},
}
