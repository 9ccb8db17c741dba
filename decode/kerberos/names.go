package kerberos

import "strconv"

// ErrorName gives the name of a KRB-ERROR's code (RFC 4120 7.5.9, RFC 4556
// 3.1.3, RFC 6113 5.4.2), or KRB_ERROR and the number.
func ErrorName(code int32) string {
	if code >= 0 && int(code) < len(errorNames) && errorNames[code] != "" {
		return errorNames[code]
	}
	return "KRB_ERROR(" + strconv.Itoa(int(code)) + ")"
}

var errorNames = [...]string{
	"KDC_ERR_NONE",
	"KDC_ERR_NAME_EXP",
	"KDC_ERR_SERVICE_EXP",
	"KDC_ERR_BAD_PVNO",
	"KDC_ERR_C_OLD_MAST_KVNO",
	"KDC_ERR_S_OLD_MAST_KVNO",
	"KDC_ERR_C_PRINCIPAL_UNKNOWN",
	"KDC_ERR_S_PRINCIPAL_UNKNOWN",
	"KDC_ERR_PRINCIPAL_NOT_UNIQUE",
	"KDC_ERR_NULL_KEY",
	"KDC_ERR_CANNOT_POSTDATE",
	"KDC_ERR_NEVER_VALID",
	"KDC_ERR_POLICY",
	"KDC_ERR_BADOPTION",
	"KDC_ERR_ETYPE_NOSUPP",
	"KDC_ERR_SUMTYPE_NOSUPP",
	"KDC_ERR_PADATA_TYPE_NOSUPP",
	"KDC_ERR_TRTYPE_NOSUPP",
	"KDC_ERR_CLIENT_REVOKED",
	"KDC_ERR_SERVICE_REVOKED",
	"KDC_ERR_TGT_REVOKED",
	"KDC_ERR_CLIENT_NOTYET",
	"KDC_ERR_SERVICE_NOTYET",
	"KDC_ERR_KEY_EXPIRED",
	"KDC_ERR_PREAUTH_FAILED",
	"KDC_ERR_PREAUTH_REQUIRED",
	"KDC_ERR_SERVER_NOMATCH",
	"KDC_ERR_MUST_USE_USER2USER",
	"KDC_ERR_PATH_NOT_ACCEPTED",
	"KDC_ERR_SVC_UNAVAILABLE",

	31: "KRB_AP_ERR_BAD_INTEGRITY",
	32: "KRB_AP_ERR_TKT_EXPIRED",
	33: "KRB_AP_ERR_TKT_NYV",
	34: "KRB_AP_ERR_REPEAT",
	35: "KRB_AP_ERR_NOT_US",
	36: "KRB_AP_ERR_BADMATCH",
	37: "KRB_AP_ERR_SKEW",
	38: "KRB_AP_ERR_BADADDR",
	39: "KRB_AP_ERR_BADVERSION",
	40: "KRB_AP_ERR_MSG_TYPE",
	41: "KRB_AP_ERR_MODIFIED",
	42: "KRB_AP_ERR_BADORDER",
	44: "KRB_AP_ERR_BADKEYVER",
	45: "KRB_AP_ERR_NOKEY",
	46: "KRB_AP_ERR_MUT_FAIL",
	47: "KRB_AP_ERR_BADDIRECTION",
	48: "KRB_AP_ERR_METHOD",
	49: "KRB_AP_ERR_BADSEQ",
	50: "KRB_AP_ERR_INAPP_CKSUM",
	51: "KRB_AP_PATH_NOT_ACCEPTED",
	52: "KRB_ERR_RESPONSE_TOO_BIG",

	60: "KRB_ERR_GENERIC",
	61: "KRB_ERR_FIELD_TOOLONG",
	62: "KDC_ERR_CLIENT_NOT_TRUSTED",
	63: "KDC_ERR_KDC_NOT_TRUSTED",
	64: "KDC_ERR_INVALID_SIG",
	65: "KDC_ERR_DH_KEY_PARAMETERS_NOT_ACCEPTED",
	66: "KDC_ERR_CERTIFICATE_MISMATCH",
	67: "KRB_AP_ERR_NO_TGT",
	68: "KDC_ERR_WRONG_REALM",
	69: "KRB_AP_ERR_USER_TO_USER_REQUIRED",
	70: "KDC_ERR_CANT_VERIFY_CERTIFICATE",
	71: "KDC_ERR_INVALID_CERTIFICATE",
	72: "KDC_ERR_REVOKED_CERTIFICATE",
	73: "KDC_ERR_REVOCATION_STATUS_UNKNOWN",
	74: "KDC_ERR_REVOCATION_STATUS_UNAVAILABLE",
	75: "KDC_ERR_CLIENT_NAME_MISMATCH",
	76: "KDC_ERR_KDC_NAME_MISMATCH",
	77: "KDC_ERR_INCONSISTENT_KEY_PURPOSE",
	78: "KDC_ERR_DIGEST_IN_CERT_NOT_ACCEPTED",
	79: "KDC_ERR_PA_CHECKSUM_MUST_BE_INCLUDED",
	80: "KDC_ERR_DIGEST_IN_SIGNED_DATA_NOT_ACCEPTED",
	81: "KDC_ERR_PUBLIC_KEY_ENCRYPTION_NOT_SUPPORTED",

	90: "KDC_ERR_PREAUTH_EXPIRED",
	91: "KDC_ERR_MORE_PREAUTH_DATA_REQUIRED",
	92: "KDC_ERR_PREAUTH_BAD_AUTHENTICATION_SET",
	93: "KDC_ERR_UNKNOWN_CRITICAL_FAST_OPTIONS",
}

// ETypeName gives the name of an encryption type (IANA, Kerberos encryption
// type numbers; the negative ones of MS-KILE 3.1.5.2), or etype and the number.
func ETypeName(t int32) string {
	for i := range etypeNames {
		if etypeNames[i].etype == t {
			return etypeNames[i].name
		}
	}
	return "etype(" + strconv.Itoa(int(t)) + ")"
}

// etypeNames is in the order in which they are met. To add one: a row.
var etypeNames = [...]struct {
	etype int32
	name  string
}{
	{18, "aes256-cts-hmac-sha1-96"},
	{17, "aes128-cts-hmac-sha1-96"},
	{23, "rc4-hmac"},
	{24, "rc4-hmac-exp"},
	{-135, "rc4-hmac-old-exp"},
	{-133, "rc4-hmac-old"},
	{-128, "rc4-md4"},
	{3, "des-cbc-md5"},
	{1, "des-cbc-crc"},
	{2, "des-cbc-md4"},
	{16, "des3-cbc-sha1"},
	{19, "aes128-cts-hmac-sha256-128"},
	{20, "aes256-cts-hmac-sha384-192"},
	{25, "camellia128-cts-cmac"},
	{26, "camellia256-cts-cmac"},
}
