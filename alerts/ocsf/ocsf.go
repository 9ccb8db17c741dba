// Package ocsf writes alerts as OCSF 1.8.0 Detection Findings (class 2004) and
// flow records as Network Activity (class 4001), JSON by hand, one object without
// a line break. It is given an alerts.Alert or a flow.Record and gives bytes; flow
// records it reads too.
//
// What OCSF has no place for: the facts of the protocol, the frames, VLANs,
// tunnel and quality stand in evidences[].data; the counts of clients and
// servers in unmapped. An alert that is raised is Create; a worse repeat, and
// the final count, are Update. Times are milliseconds since the epoch.
package ocsf

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/auth"
)

// The class, as OCSF numbers and names it.
const (
	version      = "1.8.0"
	categoryUID  = 2
	categoryName = "Findings"
	classUID     = 2004
	className    = "Detection Finding"
	product      = "kmswatch"
)

// Activities (activity_id).
const (
	create = 1
	update = 2
)

var activityNames = [...]string{create: "Create", update: "Update"}

// severityNames are the captions of severity_id.
var severityNames = [...]string{"Unknown", "Informational", "Low", "Medium", "High", "Critical"}

// Directions (direction_id).
const (
	unknownDirection = iota
	inbound
	outbound
	lateral
)

var directionNames = [...]string{"Unknown", "Inbound", "Outbound", "Lateral"}

// Encoder writes alerts.
type Encoder struct {
	Version string // of this program; may be empty
}

// AppendJSON appends the alert as one JSON object, without a line break behind
// it.
func (e Encoder) AppendJSON(dst []byte, a *alerts.Alert) []byte {
	b := buffer(append(dst, '{'))
	activity := int64(create)
	if a.Stage != alerts.Raised {
		activity = update
	}
	severity := a.Severity
	if int(severity) >= len(severityNames) {
		severity = 0
	}
	b.int("class_uid", classUID)
	b.string("class_name", className)
	b.int("category_uid", categoryUID)
	b.string("category_name", categoryName)
	b.int("activity_id", activity)
	b.string("activity_name", activityNames[activity])
	b.int("type_uid", classUID*100+activity)
	b.int("severity_id", int64(severity))
	b.string("severity", severityNames[severity])
	b.int("status_id", 1)
	b.string("status", "New")
	b.bool("is_alert", a.Stage != alerts.Ended)
	b.int("time", milliseconds(a.Last))
	b.int("start_time", milliseconds(a.First))
	b.int("end_time", milliseconds(a.Last))
	b.uint("count", a.Count)
	b.string("message", a.Summary)
	finding(&b, a)
	b.object("remediation")
	b.string("desc", a.Rule.Mitigation)
	b.end()
	b.array("evidences")
	evidence(&b, a)
	b.endArray()
	e.origin(&b, a.ID+"/"+strconv.FormatUint(a.Count, 10), a.ID, a.Sensor) // how far it had counted
	b.object("unmapped")
	b.int("window_time", milliseconds(a.Window))
	addresses(&b, "clients", &a.Clients)
	addresses(&b, "servers", &a.Servers)
	b.end()
	return append(b, '}')
}

func finding(b *buffer, a *alerts.Alert) {
	b.object("finding_info")
	b.string("uid", a.ID)
	b.string("title", a.Rule.Title)
	b.string("desc", a.Rule.Why)
	b.array("types")
	family, _, _ := strings.Cut(a.Rule.ID, "-")
	b.string("", family)
	b.endArray()
	b.int("created_time", milliseconds(a.First))
	b.int("first_seen_time", milliseconds(a.First))
	b.int("last_seen_time", milliseconds(a.Last))
	b.object("analytic")
	b.string("uid", a.Rule.ID)
	b.string("name", a.Rule.Title)
	b.int("type_id", 1)
	b.string("type", "Rule")
	b.end()
	if attacks := a.Attacks(); len(attacks) > 0 {
		b.array("attacks")
		for i := range attacks {
			attack(b, &attacks[i])
		}
		b.endArray()
	}
	b.end()
}

// attack writes a technique; a sub-technique stands beside the technique that
// it belongs to.
func attack(b *buffer, t *alerts.Technique) {
	b.object("")
	if t.TacticID != "" || t.Tactic != "" {
		b.object("tactic")
		b.known("uid", t.TacticID)
		b.known("name", t.Tactic)
		b.end()
	}
	technique, _, sub := strings.Cut(t.ID, ".")
	b.object("technique")
	b.string("uid", technique)
	if sub {
		b.end()
		b.object("sub_technique")
		b.string("uid", t.ID)
	}
	b.known("name", t.Name)
	b.end()
	b.end()
}

func evidence(b *buffer, a *alerts.Alert) {
	b.object("")
	actor(b, a.Caller)
	endpoint(b, "src_endpoint", &a.Client)
	endpoint(b, "dst_endpoint", &a.Server)
	if a.Flow.Client.Addr.IsValid() && a.Flow.Server.Addr.IsValid() {
		connection(b, a)
	}
	if p := a.Process; p != nil {
		b.object("process")
		b.known("name", p.Name)
		b.int("pid", int64(p.PID))
		b.end()
	}
	b.object("data")
	b.object("facts")
	for i := range a.Facts {
		fact(b, &a.Facts[i])
	}
	b.end()
	b.array("frames")
	for i := range a.Frames {
		b.object("")
		b.known("file", a.Frames[i].File)
		b.uint("frame", a.Frames[i].Number)
		b.end()
	}
	b.endArray()
	b.array("quality")
	for _, name := range a.Quality.Names() {
		b.string("", name)
	}
	b.endArray()
	if a.Flow.VLANs[0] != 0 {
		b.array("vlans")
		for _, id := range a.Flow.VLANs {
			if id != 0 {
				b.uint("", uint64(id))
			}
		}
		b.endArray()
	}
	if a.Flow.Tunnel != decode.NoTunnel {
		b.object("tunnel")
		b.string("type", a.Flow.Tunnel.String())
		b.uint("id", uint64(a.Flow.TunnelID))
		b.end()
	}
	b.end()
	b.end()
}

// Types of users (type_id).
const (
	regularUser = 1
	systemUser  = 3
)

var userTypes = [...]string{regularUser: "User", systemUser: "System"}

// actor writes who asked, if that is known by name or known to be nobody: then
// it is the account that Windows has for anonymous logons (MS-DTYP 2.4.2.4). An
// account of which the name ends in $ is a computer's.
func actor(b *buffer, c *auth.Caller) {
	if c == nil {
		return
	}
	name, domain, uid, kind := c.User, c.Domain, "", int64(regularUser)
	switch {
	case c.Kind == auth.Anonymous:
		name, domain, uid, kind = "ANONYMOUS LOGON", "NT AUTHORITY", "S-1-5-7", systemUser
	case c.Kind == auth.Guest:
		name, domain = "Guest", ""
	case c.Kind != auth.Named || name == "":
		return
	case strings.HasSuffix(name, "$"):
		kind = systemUser
	}
	b.object("actor")
	b.object("user")
	b.string("name", name)
	b.known("domain", domain)
	b.known("uid", uid)
	b.int("type_id", kind)
	b.string("type", userTypes[kind])
	b.end()
	b.end()
}

func endpoint(b *buffer, name string, p *alerts.Party) {
	if !p.Addr.IsValid() {
		return
	}
	b.object(name)
	b.addr("ip", p.Addr)
	if p.Port != 0 {
		b.uint("port", uint64(p.Port))
	}
	if p.Zone != nil {
		b.string("zone", p.Zone.Name)
	}
	b.end()
}

func connection(b *buffer, a *alerts.Alert) {
	b.object("connection_info")
	d := directionOf(zoneName(a.Client.Zone), zoneName(a.Server.Zone))
	b.int("direction_id", int64(d))
	b.string("direction", directionNames[d])
	protocol(b, a.Flow.Proto, a.Flow.Server.Addr)
	b.name("community_uid")
	*b = append(*b, '"')
	*b = a.Flow.AppendCommunityID(*b)
	*b = append(*b, '"')
	b.end()
}

func protocol(b *buffer, proto uint8, server netip.Addr) {
	b.uint("protocol_num", uint64(proto))
	switch proto {
	case 6:
		b.string("protocol_name", "tcp")
	case 17:
		b.string("protocol_name", "udp")
	}
	if server.Unmap().Is4() {
		b.int("protocol_ver_id", 4)
	} else {
		b.int("protocol_ver_id", 6)
	}
}

func zoneName(z *zone.Zone) string {
	if z == nil {
		return zone.Unknown
	}
	return z.Name
}

// directionOf takes the zones that are configured for the inside.
func directionOf(client, server string) int {
	in, to := client != zone.Unknown, server != zone.Unknown
	switch {
	case in && to:
		return lateral
	case in:
		return outbound
	case to:
		return inbound
	}
	return unknownDirection
}

func fact(b *buffer, f *alerts.Fact) {
	switch v := f.Value.(type) {
	case string:
		b.string(f.Name, v)
	case bool:
		b.bool(f.Name, v)
	case int64:
		b.int(f.Name, v)
	case uint64:
		b.uint(f.Name, v)
	case []string:
		b.array(f.Name)
		for _, s := range v {
			b.string("", s)
		}
		b.endArray()
	}
}

// origin writes the metadata: the event's own id, that of what it tells of, and
// who saw it.
func (e Encoder) origin(b *buffer, uid, of, sensor string) {
	b.object("metadata")
	b.string("version", version)
	b.object("product")
	b.string("name", product)
	b.string("vendor_name", product)
	b.known("version", e.Version)
	b.end()
	b.string("uid", uid)
	b.string("correlation_uid", of)
	if sensor != "" {
		b.array("loggers")
		b.object("")
		b.string("name", sensor)
		b.end()
		b.endArray()
	}
	b.end()
}

func addresses(b *buffer, name string, s *alerts.Addresses) {
	b.object(name)
	b.int("count", int64(s.Count))
	if s.More {
		b.bool("more", true)
	}
	b.array("first")
	for _, a := range s.First {
		b.addr("", a)
	}
	b.endArray()
	b.end()
}

// milliseconds rounds down, also before the epoch.
func milliseconds(t int64) int64 { return time.Unix(0, t).UnixMilli() }
