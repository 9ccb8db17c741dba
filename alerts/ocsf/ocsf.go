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
	"kmswatch/alerts/jsonline"
	"kmswatch/alerts/zone"
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
	b := jsonline.Buffer(append(dst, '{'))
	activity := int64(create)
	if a.Stage != alerts.Raised {
		activity = update
	}
	severity := a.Severity
	if int(severity) >= len(severityNames) {
		severity = 0
	}
	b.Int("class_uid", classUID)
	b.String("class_name", className)
	b.Int("category_uid", categoryUID)
	b.String("category_name", categoryName)
	b.Int("activity_id", activity)
	b.String("activity_name", activityNames[activity])
	b.Int("type_uid", classUID*100+activity)
	b.Int("severity_id", int64(severity))
	b.String("severity", severityNames[severity])
	b.Int("status_id", 1)
	b.String("status", "New")
	b.Bool("is_alert", a.Stage != alerts.Ended)
	b.Int("time", milliseconds(a.Last))
	b.Int("start_time", milliseconds(a.First))
	b.Int("end_time", milliseconds(a.Last))
	b.Uint("count", a.Count)
	b.String("message", a.Summary)
	finding(&b, a)
	b.Object("remediation")
	b.String("desc", a.Rule.Mitigation)
	b.End()
	b.Array("evidences")
	evidence(&b, a)
	b.EndArray()
	e.origin(&b, a.ID+"/"+strconv.FormatUint(a.Count, 10), a.ID, a.Sensor) // how far it had counted
	b.Object("unmapped")
	b.Int("window_time", milliseconds(a.Window))
	b.Addresses("clients", &a.Clients)
	b.Addresses("servers", &a.Servers)
	b.End()
	return append(b, '}')
}

func finding(b *jsonline.Buffer, a *alerts.Alert) {
	b.Object("finding_info")
	b.String("uid", a.ID)
	b.String("title", a.Rule.Title)
	b.String("desc", a.Rule.Why)
	b.Array("types")
	family, _, _ := strings.Cut(a.Rule.ID, "-")
	b.String("", family)
	b.EndArray()
	b.Int("created_time", milliseconds(a.First))
	b.Int("first_seen_time", milliseconds(a.First))
	b.Int("last_seen_time", milliseconds(a.Last))
	b.Object("analytic")
	b.String("uid", a.Rule.ID)
	b.String("name", a.Rule.Title)
	b.Int("type_id", 1)
	b.String("type", "Rule")
	b.End()
	if attacks := a.Attacks(); len(attacks) > 0 {
		b.Array("attacks")
		for i := range attacks {
			attack(b, &attacks[i])
		}
		b.EndArray()
	}
	b.End()
}

// attack writes a technique; a sub-technique stands beside the technique that
// it belongs to.
func attack(b *jsonline.Buffer, t *alerts.Technique) {
	b.Object("")
	if t.TacticID != "" || t.Tactic != "" {
		b.Object("tactic")
		b.Known("uid", t.TacticID)
		b.Known("name", t.Tactic)
		b.End()
	}
	technique, _, sub := strings.Cut(t.ID, ".")
	b.Object("technique")
	b.String("uid", technique)
	if sub {
		b.End()
		b.Object("sub_technique")
		b.String("uid", t.ID)
	}
	b.Known("name", t.Name)
	b.End()
	b.End()
}

func evidence(b *jsonline.Buffer, a *alerts.Alert) {
	b.Object("")
	actor(b, a.Caller)
	endpoint(b, "src_endpoint", &a.Client)
	endpoint(b, "dst_endpoint", &a.Server)
	if a.Flow.Client.Addr.IsValid() && a.Flow.Server.Addr.IsValid() {
		connection(b, a)
	}
	if p := a.Process; p != nil {
		b.Object("process")
		b.Known("name", p.Name)
		b.Int("pid", int64(p.PID))
		b.End()
	}
	b.Object("data")
	b.Facts("facts", a.Facts)
	b.Frames("frames", a.Frames)
	b.Strings("quality", a.Quality.Names())
	b.Carriage(&a.Flow)
	b.End()
	b.End()
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
func actor(b *jsonline.Buffer, c *auth.Caller) {
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
	b.Object("actor")
	b.Object("user")
	b.String("name", name)
	b.Known("domain", domain)
	b.Known("uid", uid)
	b.Int("type_id", kind)
	b.String("type", userTypes[kind])
	b.End()
	b.End()
}

func endpoint(b *jsonline.Buffer, name string, p *alerts.Party) {
	if !p.Addr.IsValid() {
		return
	}
	b.Object(name)
	b.Addr("ip", p.Addr)
	if p.Port != 0 {
		b.Uint("port", uint64(p.Port))
	}
	if p.Zone != nil {
		b.String("zone", p.Zone.Name)
	}
	b.End()
}

func connection(b *jsonline.Buffer, a *alerts.Alert) {
	b.Object("connection_info")
	d := directionOf(zoneName(a.Client.Zone), zoneName(a.Server.Zone))
	b.Int("direction_id", int64(d))
	b.String("direction", directionNames[d])
	protocol(b, a.Flow.Proto, a.Flow.Server.Addr)
	b.Name("community_uid")
	*b = append(*b, '"')
	*b = a.Flow.AppendCommunityID(*b)
	*b = append(*b, '"')
	b.End()
}

func protocol(b *jsonline.Buffer, proto uint8, server netip.Addr) {
	b.Uint("protocol_num", uint64(proto))
	switch proto {
	case 6:
		b.String("protocol_name", "tcp")
	case 17:
		b.String("protocol_name", "udp")
	}
	if server.Unmap().Is4() {
		b.Int("protocol_ver_id", 4)
	} else {
		b.Int("protocol_ver_id", 6)
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

// origin writes the metadata: the event's own id, that of what it tells of, and
// who saw it.
func (e Encoder) origin(b *jsonline.Buffer, uid, of, sensor string) {
	b.Object("metadata")
	b.String("version", version)
	b.Object("product")
	b.String("name", product)
	b.String("vendor_name", product)
	b.Known("version", e.Version)
	b.End()
	b.String("uid", uid)
	b.String("correlation_uid", of)
	if sensor != "" {
		b.Array("loggers")
		b.Object("")
		b.String("name", sensor)
		b.End()
		b.EndArray()
	}
	b.End()
}

// milliseconds rounds down, also before the epoch.
func milliseconds(t int64) int64 { return time.Unix(0, t).UnixMilli() }
