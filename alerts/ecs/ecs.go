// Package ecs writes alerts as documents of the Elastic Common Schema, one JSON
// object without a line break. It is given an alerts.Alert and gives bytes. What
// the schema has no place for stands in the object kmswatch.
package ecs

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/jsonline"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/auth"
)

// version is that of the schema whose definitions the tests have. The fields that
// are written are the same in those of 8.
const version = "1.12.0"

const product = "kmswatch"

var stages = [...]string{alerts.Raised: "raised", alerts.Worse: "worse", alerts.Ended: "ended"}

// Encoder writes alerts.
type Encoder struct {
	Version string // of this program; may be empty
}

// AppendJSON appends the alert as one JSON object, without a line break behind it.
func (e Encoder) AppendJSON(dst []byte, a *alerts.Alert) []byte {
	b := jsonline.Buffer(append(dst, '{'))
	stamp(&b, "@timestamp", a.Last)
	b.String("message", a.Summary)
	b.Object("ecs")
	b.String("version", version)
	b.End()
	event(&b, a)
	b.Object("rule")
	b.String("id", a.Rule.ID)
	b.Known("name", a.Rule.Title)
	b.Known("description", a.Rule.Why)
	family, _, _ := strings.Cut(a.Rule.ID, "-")
	b.String("category", family)
	b.String("ruleset", product)
	b.End()
	threat(&b, a.Attacks())
	side(&b, "source", &a.Client)
	side(&b, "destination", &a.Server)
	network(&b, a)
	b.Object("observer")
	b.Known("name", a.Sensor)
	b.String("type", "sensor")
	b.String("vendor", product)
	b.String("product", product)
	b.Known("version", e.Version)
	b.End()
	user(&b, a.Caller)
	if p := a.Process; p != nil {
		b.Object("process")
		b.Known("name", p.Name)
		b.Int("pid", int64(p.PID))
		b.End()
	}
	related(&b, a)
	own(&b, a)
	return append(b, '}')
}

func event(b *jsonline.Buffer, a *alerts.Alert) {
	b.Object("event")
	b.String("kind", "alert")
	b.Strings("category", []string{"network", "intrusion_detection"})
	b.Strings("type", []string{"info"})
	b.String("module", product)
	b.String("dataset", product+".alert")
	b.String("provider", product)
	b.String("id", a.ID)
	b.String("action", a.Rule.ID)
	b.Int("severity", int64(a.Severity))
	stamp(b, "created", a.First)
	stamp(b, "start", a.First)
	stamp(b, "end", a.Last)
	b.Known("reason", a.Summary)
	b.End()
}

// threat writes the techniques: one list for each of their parts.
func threat(b *jsonline.Buffer, attacks []alerts.Technique) {
	if len(attacks) == 0 {
		return
	}
	var tactics, tacticNames, techniques, techniqueNames, subs, subNames []string
	add := func(to *[]string, s string) {
		if s != "" && !slices.Contains(*to, s) {
			*to = append(*to, s)
		}
	}
	for _, t := range attacks {
		add(&tactics, t.TacticID)
		add(&tacticNames, t.Tactic)
		technique, _, sub := strings.Cut(t.ID, ".")
		add(&techniques, technique)
		if sub {
			add(&subs, t.ID)
			add(&subNames, t.Name)
		} else {
			add(&techniqueNames, t.Name)
		}
	}
	some := func(name string, all []string) {
		if all != nil {
			b.Strings(name, all)
		}
	}
	b.Object("threat")
	b.String("framework", "MITRE ATT&CK")
	if tactics != nil || tacticNames != nil {
		b.Object("tactic")
		some("id", tactics)
		some("name", tacticNames)
		b.End()
	}
	b.Object("technique")
	some("id", techniques)
	some("name", techniqueNames)
	if subs != nil {
		b.Object("subtechnique")
		some("id", subs)
		some("name", subNames)
		b.End()
	}
	b.End()
	b.End()
}

func side(b *jsonline.Buffer, name string, p *alerts.Party) {
	if !p.Addr.IsValid() {
		return
	}
	b.Object(name)
	b.Addr("address", p.Addr.WithZone(""))
	b.Addr("ip", p.Addr.WithZone(""))
	if p.Port != 0 {
		b.Uint("port", uint64(p.Port))
	}
	b.End()
}

// protocols are the names of what events are of, as the schema likes them.
var protocols = map[decode.Kind]string{
	decode.KindBind: "dce_rpc", decode.KindCall: "dce_rpc", decode.KindKMSExchange: "dce_rpc", decode.KindAuth: "dce_rpc", decode.KindEndpointMapped: "dce_rpc",
	decode.KindSession: "smb", decode.KindTreeConnect: "smb", decode.KindPipeOpen: "smb",
	decode.KindSRVLookup: "dns", decode.KindDNSUpdate: "dns",
	decode.KindLDAPBind: "ldap", decode.KindLDAPSearch: "ldap", decode.KindKerberosReply: "kerberos",
}

func network(b *jsonline.Buffer, a *alerts.Alert) {
	f := &a.Flow
	if !f.Client.Addr.IsValid() || !f.Server.Addr.IsValid() {
		return
	}
	b.Object("network")
	b.String("direction", direction(a.Client.Zone, a.Server.Zone))
	if f.Server.Addr.Unmap().Is4() {
		b.String("type", "ipv4")
	} else {
		b.String("type", "ipv6")
	}
	switch f.Proto {
	case 6:
		b.String("transport", "tcp")
	case 17:
		b.String("transport", "udp")
	}
	b.Known("protocol", protocols[a.Event])
	b.Name("community_id")
	*b = append(*b, '"')
	*b = f.AppendCommunityID(*b)
	*b = append(*b, '"')
	if f.VLANs[0] != 0 {
		b.Object("vlan")
		b.String("id", strconv.Itoa(int(f.VLANs[0])))
		b.End()
	}
	b.End()
}

// direction takes the zones that are configured for the inside.
func direction(client, server *zone.Zone) string {
	in := client != nil && client.Name != zone.Unknown
	to := server != nil && server.Name != zone.Unknown
	switch {
	case in && to:
		return "internal"
	case in:
		return "outbound"
	case to:
		return "inbound"
	}
	return "external"
}

// user writes who asked, if that is known by name.
func user(b *jsonline.Buffer, c *auth.Caller) {
	if c == nil || c.Kind != auth.Named || c.User == "" {
		return
	}
	b.Object("user")
	b.String("name", c.User)
	b.Known("domain", c.Domain)
	b.End()
}

func related(b *jsonline.Buffer, a *alerts.Alert) {
	var all []netip.Addr
	for _, some := range [][]netip.Addr{{a.Client.Addr, a.Server.Addr}, a.Clients.First, a.Servers.First} {
		for _, addr := range some {
			if addr = addr.Unmap().WithZone(""); addr.IsValid() && !slices.Contains(all, addr) {
				all = append(all, addr)
			}
		}
	}
	named := a.Caller != nil && a.Caller.Kind == auth.Named && a.Caller.User != ""
	if all == nil && !named {
		return
	}
	b.Object("related")
	if all != nil {
		b.Array("ip")
		for _, addr := range all {
			b.Addr("", addr)
		}
		b.EndArray()
	}
	if named {
		b.Strings("user", []string{a.Caller.User})
	}
	b.End()
}

// own writes what the schema has no place for.
func own(b *jsonline.Buffer, a *alerts.Alert) {
	b.Object(product)
	b.String("stage", stages[a.Stage])
	b.String("severity", a.Severity.String())
	b.Known("mitigation", a.Rule.Mitigation)
	b.Uint("count", a.Count)
	stamp(b, "window", a.Window)
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
	b.Facts("facts", a.Facts)
	b.Frames("frames", a.Frames)
	b.Strings("quality", a.Quality.Names())
	b.Carriage(&a.Flow)
	b.End()
}

func stamp(b *jsonline.Buffer, name string, t int64) {
	b.Name(name)
	*b = append(*b, '"')
	*b = time.Unix(0, t).UTC().AppendFormat(*b, "2006-01-02T15:04:05.000Z")
	*b = append(*b, '"')
}
