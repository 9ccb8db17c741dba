package rules

import (
	"fmt"
	"strings"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/dns"
)

// isKMSName says whether an SRV name is that by which KMS hosts are found. It
// is in lower case and without the final dot.
func isKMSName(name string) bool {
	return name == "_vlmcs._tcp" || strings.HasPrefix(name, "_vlmcs._tcp.")
}

// isDCName says whether an SRV name is one by which domain controllers are
// found (MS-ADTS 6.3.2.3): all below _msdcs, and the global catalogue, Kerberos
// and its change of passwords. _ldap._tcp of a domain alone is not, since any
// LDAP server has it.
func isDCName(name string) bool {
	for _, service := range [...]string{"_gc._tcp.", "_kerberos._tcp.", "_kerberos._udp.", "_kpasswd._tcp.", "_kpasswd._udp."} {
		if strings.HasPrefix(name, service) {
			return true
		}
	}
	return strings.Contains(name, "._msdcs.") || strings.HasSuffix(name, "._msdcs")
}

// nxDomain is the RCODE that says that there is no such name (RFC 1035 4.1.1).
const nxDomain = 3

// lookupClimb raises an alert for an SRV lookup that climbs. One that named
// hosts is of the rule's severity; of another it is only known that the DNS
// server could be asked.
func lookupClimb(c *alerts.Context, e *decode.SRVLookup, of string) {
	told := e.Message != nil && len(e.Message.SRV) > 0 && e.Outcome == decode.Answered
	severity := alerts.Severity(0)
	if !told {
		severity = alerts.Low
	}
	f := c.Raise(alerts.Fold{By: alerts.ByServer, Severity: severity})
	if f == nil {
		return
	}
	result := "and no answer was seen"
	switch {
	case told:
		result = "and was told of " + strings.Join(targets(e.Message.SRV), ", ")
	case e.Outcome == decode.Answered, e.Message != nil && e.Message.RCode == nxDomain:
		result = "and was told of none"
	case e.Outcome == decode.Refused:
		result = "and was refused"
	}
	f.Say("%v asked the DNS server %v, which is in a more trusted zone, for %s, %s", c.Client, c.Server, of, result)
	lookupFacts(f, e)
}

// lookupFacts adds what a lookup asked and got.
func lookupFacts(f *alerts.Finding, e *decode.SRVLookup) {
	f.Add("dns_name", e.Name)
	f.Add("outcome", e.Outcome)
	if e.Message == nil {
		return
	}
	f.Add("dns_rcode", e.Message.RCode)
	if len(e.Message.CNAMEs) > 0 {
		f.Add("dns_aliases", few(e.Message.CNAMEs))
	}
	if len(e.Message.SRV) > 0 {
		f.Add("dns_targets", targets(e.Message.SRV))
	}
}

// shown is the most names that a fact or a summary lists.
const shown = 8

func few(names []string) []string {
	if len(names) > shown {
		return append(append([]string{}, names[:shown]...), fmt.Sprintf("and %d more", len(names)-shown))
	}
	return append([]string{}, names...)
}

// targets gives host and port of records, each once.
func targets(records []dns.SRV) []string {
	var names []string
	seen := make(map[string]bool)
	for i := range records {
		s := fmt.Sprintf("%s:%d", records[i].Target, records[i].Port)
		if records[i].Target != "" && !seen[s] {
			seen[s] = true
			names = append(names, s)
		}
	}
	return few(names)
}
