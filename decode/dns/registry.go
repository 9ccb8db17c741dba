package dns

import "strconv"

// RCodeName gives the mnemonic of a response code (IANA, DNS RCODEs), or
// RCODE and the number.
func RCodeName(code uint16) string {
	if int(code) < len(rcodeNames) && rcodeNames[code] != "" {
		return rcodeNames[code]
	}
	return "RCODE" + strconv.Itoa(int(code))
}

var rcodeNames = [...]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
	"NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI",
	16: "BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE",
}

// TypeName gives the mnemonic of a record type, or TYPE and the number (RFC
// 3597 5).
func TypeName(t uint16) string {
	for i := range typeNames {
		if typeNames[i].typ == t {
			return typeNames[i].name
		}
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// typeNames is what turns up beside SRV. To add one: a row, by number.
var typeNames = [...]struct {
	typ  uint16
	name string
}{
	{1, "A"}, {2, "NS"}, {5, "CNAME"}, {6, "SOA"}, {12, "PTR"}, {13, "HINFO"}, {15, "MX"},
	{16, "TXT"}, {24, "SIG"}, {25, "KEY"}, {28, "AAAA"}, {33, "SRV"}, {35, "NAPTR"},
	{39, "DNAME"}, {41, "OPT"}, {43, "DS"}, {46, "RRSIG"}, {47, "NSEC"}, {48, "DNSKEY"},
	{50, "NSEC3"}, {52, "TLSA"}, {64, "SVCB"}, {65, "HTTPS"}, {249, "TKEY"}, {250, "TSIG"},
	{251, "IXFR"}, {252, "AXFR"}, {255, "ANY"}, {257, "CAA"},
}
