package ocsf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"kmswatch/alerts/flow"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/jsonline"
	"kmswatch/decode"
)

// The class of flow records.
const (
	flowCategoryUID  = 4
	flowCategoryName = "Network Activity"
	flowClassUID     = 4001
	flowClassName    = "Network Activity"
)

var flowActivityNames = [...]string{flow.Open: "Open", flow.Close: "Close", flow.Traffic: "Traffic"}

// appNames are what app_name says of the kinds of records.
var appNames = [...]string{flow.Association: "dcerpc", flow.KMSExchange: "kms", flow.SRVLookup: "dns", flow.SMBSession: "smb"}

// Statuses (status_id).
const (
	unknownStatus = iota
	success
	failure
)

var statusNames = [...]string{"Unknown", "Success", "Failure"}

// AppendRecord appends a flow record as Network Activity (class 4001), one JSON
// object without a line break behind it. What OCSF has no place for stands in
// unmapped.
func (e Encoder) AppendRecord(dst []byte, r *flow.Record) []byte {
	b := jsonline.Buffer(append(dst, '{'))
	status := statusOf(r.Outcome)
	b.Int("class_uid", flowClassUID)
	b.String("class_name", flowClassName)
	b.Int("category_uid", flowCategoryUID)
	b.String("category_name", flowCategoryName)
	b.Int("activity_id", int64(r.Activity))
	b.String("activity_name", flowActivityNames[r.Activity])
	b.Int("type_uid", flowClassUID*100+int64(r.Activity))
	b.Int("severity_id", 1)
	b.String("severity", "Informational")
	b.Int("status_id", int64(status))
	b.String("status", statusNames[status])
	b.Int("time", milliseconds(r.Last))
	b.Int("start_time", milliseconds(r.Start))
	b.Int("end_time", milliseconds(r.Last))
	b.String("app_name", appNames[r.Kind])
	side(&b, "src_endpoint", r.Client)
	side(&b, "dst_endpoint", r.Server)
	b.Object("connection_info")
	d := directionOf(r.Client.Zone, r.Server.Zone)
	b.Int("direction_id", int64(d))
	b.String("direction", directionNames[d])
	protocol(&b, r.Proto, r.Server.Addr)
	b.Known("community_uid", r.CommunityID)
	b.End()
	e.origin(&b, r.ID, r.Of, r.Sensor)
	b.Object("unmapped")
	b.String("kind", r.Kind.String())
	b.String("outcome", r.Outcome.String())
	b.Strings("quality", r.Quality.Names())
	if r.Caller.Kind != "" { // lookups have none
		b.Object("caller")
		b.String("name", r.Caller.Name)
		b.String("kind", r.Caller.Kind)
		b.Known("mechanism", r.Caller.Mechanism)
		b.End()
	}
	program(&b, "client_software", &r.ClientSoftware)
	program(&b, "server_software", &r.ServerSoftware)
	b.Array("server_roles")
	for _, o := range r.Roles {
		b.Object("")
		b.String("role", o.Role.String())
		b.String("grade", o.Grade.String())
		b.Known("why", o.Why)
		b.End()
	}
	b.EndArray()
	subject(&b, r)
	b.End()
	return append(b, '}')
}

// subject writes what belongs to the kind of a record.
func subject(b *jsonline.Buffer, r *flow.Record) {
	b.Known("transport", r.Transport)
	b.Known("pipe", r.Pipe)
	switch r.Kind {
	case flow.Association:
		b.Array("interfaces")
		for i := range r.Interfaces {
			x := &r.Interfaces[i]
			b.Object("")
			b.String("uuid", x.UUID)
			b.String("version", x.Version)
			b.Known("name", x.Name)
			b.Bool("accepted", x.Accepted)
			b.End()
		}
		b.EndArray()
		b.Uint("calls", r.Calls)
		b.Uint("faults", r.Faults)
	case flow.KMSExchange:
		b.Known("kms_version", r.KMSVersion)
		b.Known("application", r.Application)
		b.Known("client_machine_id", r.ClientID)
		b.Known("workstation", r.Machine)
		b.Uint("status", uint64(r.Status))
	case flow.SRVLookup:
		b.String("name", r.Name)
		b.Array("targets")
		for i := range r.Targets {
			x := &r.Targets[i]
			b.Object("")
			b.String("name", x.Name)
			b.Uint("port", uint64(x.Port))
			b.Array("addresses")
			for _, a := range x.Addresses {
				b.Addr("", a)
			}
			b.EndArray()
			b.End()
		}
		b.EndArray()
	case flow.SMBSession:
		b.Known("dialect", r.Dialect)
		b.Bool("null", r.Null)
		b.Bool("guest", r.Guest)
		b.Bool("encrypted", r.Encrypted)
		b.Uint("status", uint64(r.Status))
	}
}

func side(b *jsonline.Buffer, name string, e flow.End) {
	b.Object(name)
	b.Addr("ip", e.Addr)
	if e.Port != 0 {
		b.Uint("port", uint64(e.Port))
	}
	b.String("zone", e.Zone)
	b.End()
}

func program(b *jsonline.Buffer, name string, s *flow.Software) {
	if s.Fingerprint == "" {
		return
	}
	b.Object(name)
	b.String("fingerprint", s.Fingerprint)
	b.Known("name", s.Name)
	if s.Name != "" {
		b.Uint("confidence", uint64(s.Confidence))
	}
	b.End()
}

func statusOf(o decode.Outcome) int {
	switch o {
	case decode.Accepted, decode.Answered:
		return success
	case decode.Unknown:
		return unknownStatus
	}
	return failure
}

// MaxRecord is the most bytes of a flow record that ParseRecord reads.
const MaxRecord = 256 << 10

// wireRecord is a flow record as JSON has it. What a consumer has no use for is
// passed over, so that a record may gain members.
type wireRecord struct {
	ClassUID   int        `json:"class_uid"`
	ActivityID int        `json:"activity_id"`
	Time       int64      `json:"time"`
	Start      int64      `json:"start_time"`
	Src        wireSide   `json:"src_endpoint"`
	Dst        wireSide   `json:"dst_endpoint"`
	Connection wireFlow   `json:"connection_info"`
	Metadata   wireOrigin `json:"metadata"`
	Unmapped   struct {
		Kind           string
		Outcome        string
		Quality        []string
		Caller         struct{ Name, Kind, Mechanism string }
		ClientSoftware wireProgram `json:"client_software"`
		ServerSoftware wireProgram `json:"server_software"`
		Roles          []wireRole  `json:"server_roles"`
		Transport      string
		Pipe           string
		Interfaces     []wireInterface
		Calls          uint64
		Faults         uint64
		KMSVersion     string `json:"kms_version"`
		Application    string
		ClientMachine  string `json:"client_machine_id"`
		Workstation    string
		Status         uint32
		Name           string
		Targets        []wireTarget
		Dialect        string
		Null           bool
		Guest          bool
		Encrypted      bool
	}
}

type (
	wireSide struct {
		IP   netip.Addr
		Port uint16
		Zone string
	}
	wireFlow struct {
		Proto       uint8  `json:"protocol_num"`
		CommunityID string `json:"community_uid"`
	}
	wireOrigin struct {
		UID     string
		Of      string `json:"correlation_uid"`
		Loggers []struct{ Name string }
	}
	wireProgram struct {
		Fingerprint, Name string
		Confidence        uint8
	}
	wireRole      struct{ Role, Grade, Why string }
	wireInterface struct {
		UUID, Version, Name string
		Accepted            bool
	}
	wireTarget struct {
		Name      string
		Port      uint16
		Addresses []netip.Addr
	}
)

// ParseRecord reads a flow record that AppendRecord wrote, in this version or
// another. Lists are cut to the bounds that a Recorder keeps. The error says what
// is wrong with it.
func ParseRecord(b []byte, r *flow.Record) error {
	if len(b) > MaxRecord {
		return fmt.Errorf("a flow record of %d bytes is longer than %d", len(b), MaxRecord)
	}
	var w wireRecord
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&w); err != nil {
		return fmt.Errorf("flow record: %w", err)
	}
	if d.More() {
		return errors.New("flow record: more than one object")
	}
	if w.ClassUID != flowClassUID {
		return fmt.Errorf("flow record: class_uid is %d, not %d", w.ClassUID, flowClassUID)
	}
	u := &w.Unmapped
	kind, ok := flow.ParseKind(u.Kind)
	if !ok {
		return fmt.Errorf("flow record: unknown kind %q", u.Kind)
	}
	if w.ActivityID <= 0 || w.ActivityID >= len(flowActivityNames) || flowActivityNames[w.ActivityID] == "" {
		return fmt.Errorf("flow record: activity_id is %d", w.ActivityID)
	}
	if w.Metadata.UID == "" {
		return errors.New("flow record: no metadata.uid")
	}
	for _, s := range []*wireSide{&w.Src, &w.Dst} {
		if !s.IP.IsValid() || s.Zone == "" {
			return errors.New("flow record: an endpoint without ip or zone")
		}
	}
	const longest = int64(1) << 62 / int64(time.Millisecond)
	if w.Time < -longest || w.Time > longest || w.Start < -longest || w.Start > longest {
		return errors.New("flow record: a time that is none")
	}
	outcome, ok := named(u.Outcome, 0, decode.Unanswered, func(o decode.Outcome) string { return o.String() })
	if !ok {
		return fmt.Errorf("flow record: unknown outcome %q", u.Outcome)
	}
	*r = flow.Record{
		ID: w.Metadata.UID, Of: w.Metadata.Of, Kind: kind, Activity: flow.Activity(w.ActivityID),
		Client: w.Src.end(), Server: w.Dst.end(), Proto: w.Connection.Proto, CommunityID: w.Connection.CommunityID,
		Start: w.Start * int64(time.Millisecond), Last: w.Time * int64(time.Millisecond), Outcome: outcome,
		Caller:         flow.Caller{Name: u.Caller.Name, Kind: u.Caller.Kind, Mechanism: u.Caller.Mechanism},
		ClientSoftware: flow.Software(u.ClientSoftware), ServerSoftware: flow.Software(u.ServerSoftware),
		Transport: u.Transport, Pipe: u.Pipe, Calls: u.Calls, Faults: u.Faults,
		KMSVersion: u.KMSVersion, Application: u.Application, ClientID: u.ClientMachine, Machine: u.Workstation, Status: u.Status,
		Name: u.Name, Dialect: u.Dialect, Null: u.Null, Guest: u.Guest, Encrypted: u.Encrypted,
	}
	if len(w.Metadata.Loggers) > 0 {
		r.Sensor = w.Metadata.Loggers[0].Name
	}
	for _, name := range u.Quality {
		for bit := decode.Quality(1); bit != 0; bit <<= 1 {
			if names := bit.Names(); len(names) == 1 && names[0] == name {
				r.Quality |= bit
			}
		}
	}
	for _, o := range u.Roles[:min(len(u.Roles), flow.MaxRoles)] {
		role, known := oneRole(o.Role)
		grade, graded := named(o.Grade, inventory.NoEvidence, inventory.Configured, func(g inventory.Grade) string { return g.String() })
		if known && graded {
			r.Roles = append(r.Roles, flow.Role{Role: role, Grade: grade, Why: o.Why})
		}
	}
	for _, x := range u.Interfaces[:min(len(u.Interfaces), flow.MaxInterfaces)] {
		r.Interfaces = append(r.Interfaces, flow.Interface(x))
	}
	for _, x := range u.Targets[:min(len(u.Targets), flow.MaxTargets)] {
		t := flow.Target{Name: x.Name, Port: x.Port}
		for _, a := range x.Addresses[:min(len(x.Addresses), flow.MaxAddresses)] {
			if a.IsValid() {
				t.Addresses = append(t.Addresses, a)
			}
		}
		r.Targets = append(r.Targets, t)
	}
	return nil
}

func (s *wireSide) end() flow.End {
	return flow.End{Addr: s.IP.Unmap().WithZone(""), Port: s.Port, Zone: s.Zone}
}

// named gives the value from first to last that has a name.
func named[T ~uint8](name string, first, last T, text func(T) string) (v T, ok bool) {
	for v = first; v <= last; v++ {
		if text(v) == name {
			return v, true
		}
	}
	return 0, false
}

func oneRole(name string) (inventory.Roles, bool) {
	for _, r := range []inventory.Roles{inventory.KMS, inventory.DomainController, inventory.DNSServer} {
		if r.String() == name {
			return r, true
		}
	}
	return 0, false
}
