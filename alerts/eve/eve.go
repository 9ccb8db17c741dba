// Package eve writes alerts as events of Suricata's EVE format, of the type alert
// alone, one JSON object without a line break. It is given an alerts.Alert and
// gives bytes. What EVE has no place for stands in the object kmswatch.
package eve

import (
	"hash/fnv"
	"strings"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/jsonline"
	"kmswatch/decode"
)

// gid is the group of the signature ids: that of Suricata's own rules, whose
// range for local ones begins at 1,000,000.
const gid = 1

// signatures are the ids of rules, which stay as they are: a consumer counts by
// them. To add one: the next number.
var signatures = map[string]int64{
	"kms-zone-climb":                 1900001,
	"kms-unknown-host":               1900002,
	"kms-unlisted-client":            1900003,
	"kms-on-domain-controller":       1900004,
	"kms-production-interface":       1900005,
	"kms-host-software":              1900006,
	"kms-unauthenticated-client":     1900007,
	"kms-foreign-interface":          1900008,
	"kms-port-foreign-protocol":      1900009,
	"kms-unusual-port":               1900010,
	"kms-malformed":                  1900011,
	"kms-refused":                    1900012,
	"dns-kms-lookup-climb":           1900013,
	"dns-kms-answer":                 1900014,
	"dns-kms-registration":           1900015,
	"dns-dc-lookup-climb":            1900016,
	"rpc-anonymous-bind":             1900017,
	"rpc-anonymous-enumeration":      1900018,
	"smb-null-session":               1900019,
	"ldap-anonymous-bind":            1900020,
	"rpc-zone-climb":                 1900021,
	"rpc-sweep":                      1900022,
	"rpc-exploit":                    1900023,
	"rpc-violation":                  1900024,
	"sensor-blind":                   1900025,
	"sensor-alerts-lost":             1900026,
	"fleet-split-activation":         1900027,
	"fleet-anonymous-spread":         1900028,
	"fleet-kms-on-domain-controller": 1900029,
}

// unnumbered is the id of a rule that has none.
const unnumbered = 1900000

// categories are Suricata's words for what a rule finds, by the rule or its family.
var categories = map[string]string{
	"kms":                       "Potential Corporate Privacy Violation",
	"dns":                       "Potential Corporate Privacy Violation",
	"rpc":                       "Potential Corporate Privacy Violation",
	"smb":                       "Attempted Information Leak",
	"ldap":                      "Attempted Information Leak",
	"fleet":                     "Potential Corporate Privacy Violation",
	"sensor":                    "Not Suspicious Traffic",
	"rpc-anonymous-bind":        "Attempted Information Leak",
	"rpc-anonymous-enumeration": "Attempted Information Leak",
	"rpc-sweep":                 "Detection of a Network Scan",
	"fleet-anonymous-spread":    "Detection of a Network Scan",
	"rpc-exploit":               "Attempted Administrator Privilege Gain",
	"rpc-violation":             "Generic Protocol Command Decode",
	"kms-malformed":             "Generic Protocol Command Decode",
}

// severities are EVE's, of which 1 is the worst.
var severities = [...]int64{0: 3, alerts.Informational: 4, alerts.Low: 3, alerts.Medium: 2, alerts.High: 1, alerts.Critical: 1}

// protocols are Suricata's names of the protocols that events are of.
var protocols = map[decode.Kind]string{
	decode.KindBind: "dcerpc", decode.KindCall: "dcerpc", decode.KindKMSExchange: "dcerpc", decode.KindAuth: "dcerpc", decode.KindEndpointMapped: "dcerpc",
	decode.KindSession: "smb", decode.KindTreeConnect: "smb", decode.KindPipeOpen: "smb",
	decode.KindSRVLookup: "dns", decode.KindDNSUpdate: "dns",
	decode.KindLDAPBind: "ldap", decode.KindLDAPSearch: "ldap", decode.KindKerberosReply: "krb5",
}

var stages = [...]string{alerts.Raised: "raised", alerts.Worse: "worse", alerts.Ended: "ended"}

// Encoder writes alerts.
type Encoder struct {
	Version string // of this program; may be empty
}

// AppendJSON appends the alert as one JSON object, without a line break behind it.
func (e Encoder) AppendJSON(dst []byte, a *alerts.Alert) []byte {
	b := jsonline.Buffer(append(dst, '{'))
	b.Name("timestamp")
	b = append(b, '"')
	b = time.Unix(0, a.Last).UTC().AppendFormat(b, "2006-01-02T15:04:05.000000-0700")
	b = append(b, '"')
	if a.Flow.Start != 0 || a.Flow.ID != 0 {
		b.Int("flow_id", flowID(&a.Flow))
	}
	b.String("event_type", "alert")
	if a.Flow.VLANs[0] != 0 {
		b.Array("vlan")
		for _, id := range a.Flow.VLANs {
			if id != 0 {
				b.Uint("", uint64(id))
			}
		}
		b.EndArray()
	}
	side(&b, "src", &a.Client)
	side(&b, "dest", &a.Server)
	switch a.Flow.Proto {
	case 6:
		b.String("proto", "TCP")
	case 17:
		b.String("proto", "UDP")
	}
	if a.Flow.Client.Addr.IsValid() && a.Flow.Server.Addr.IsValid() {
		b.Name("community_id")
		b = append(b, '"')
		b = a.Flow.AppendCommunityID(b)
		b = append(b, '"')
	}
	if p, ok := protocols[a.Event]; ok && a.Flow.Proto != 0 {
		b.String("app_proto", p)
	}
	b.Known("host", a.Sensor)
	b.Object("alert")
	b.String("action", "allowed")
	b.Int("gid", gid)
	b.Int("signature_id", signature(a.Rule.ID))
	b.Int("rev", 1)
	b.String("signature", "kmswatch "+a.Rule.ID+" "+a.Rule.Title)
	b.String("category", category(a.Rule.ID))
	b.Int("severity", severities[min(int(a.Severity), len(severities)-1)])
	b.Object("metadata")
	b.Strings("signature_severity", []string{a.Severity.String()})
	b.Strings("tag", []string{a.Rule.ID})
	b.End()
	b.End()
	e.own(&b, a)
	return append(b, '}')
}

// own writes what EVE has no place for.
func (e Encoder) own(b *jsonline.Buffer, a *alerts.Alert) {
	b.Object("kmswatch")
	b.Known("version", e.Version)
	b.String("id", a.ID)
	b.String("rule", a.Rule.ID)
	b.String("stage", stages[a.Stage])
	b.String("severity", a.Severity.String())
	b.String("summary", a.Summary)
	b.Known("why", a.Rule.Why)
	b.Known("mitigation", a.Rule.Mitigation)
	b.Uint("count", a.Count)
	b.String("first", stamp(a.First))
	b.String("last", stamp(a.Last))
	b.String("window", stamp(a.Window))
	if a.Client.Zone != nil {
		b.String("client_zone", a.Client.Zone.Name)
	}
	if a.Server.Zone != nil {
		b.String("server_zone", a.Server.Zone.Name)
	}
	b.Addresses("clients", &a.Clients)
	b.Addresses("servers", &a.Servers)
	if a.Caller != nil {
		b.String("caller", a.Caller.String())
	}
	if p := a.Process; p != nil {
		b.Object("process")
		b.Known("name", p.Name)
		b.Int("pid", int64(p.PID))
		b.End()
	}
	b.Array("attacks")
	for _, t := range a.Attacks() {
		b.Object("")
		b.String("technique_id", t.ID)
		b.Known("technique", t.Name)
		b.Known("tactic_id", t.TacticID)
		b.Known("tactic", t.Tactic)
		b.End()
	}
	b.EndArray()
	b.Facts("facts", a.Facts)
	b.Frames("frames", a.Frames)
	b.Strings("quality", a.Quality.Names())
	b.Carriage(&a.Flow)
	b.End()
}

func side(b *jsonline.Buffer, name string, p *alerts.Party) {
	if !p.Addr.IsValid() {
		return
	}
	b.Addr(name+"_ip", p.Addr)
	if p.Port != 0 {
		b.Uint(name+"_port", uint64(p.Port))
	}
}

func signature(rule string) int64 {
	if n, ok := signatures[rule]; ok {
		return n
	}
	return unnumbered
}

func category(rule string) string {
	if c, ok := categories[rule]; ok {
		return c
	}
	family, _, _ := strings.Cut(rule, "-")
	return categories[family]
}

// flowID gives a number that is the same for all alerts of a flow, in every run:
// 53 bits, that a reader of JSON keeps whole.
func flowID(f *decode.Flow) int64 {
	h := fnv.New64a()
	b := f.AppendCommunityID(nil)
	for shift := 0; shift < 64; shift += 8 {
		b = append(b, byte(uint64(f.Start)>>shift))
	}
	h.Write(b)
	return int64(h.Sum64() & (1<<53 - 1))
}

func stamp(t int64) string { return time.Unix(0, t).UTC().Format("2006-01-02T15:04:05.000Z") }
