package decode_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"kmswatch/decode"
	caller "kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"
)

func joined(lines []string) string { return strings.Join(lines, "\n") }

func equalLines(a, b []string) bool { return slices.Equal(a, b) }

// render writes an event as one line: frame, milliseconds since start, flow,
// client>server, the way of the frame, what it is, and the flow's quality.
//
//	9 3.6 f1 192.0.2.20:49701>10.66.10.40:1688 < bind 2 accepted asked=4 0=kms:accepted/ndr64
func render(e decode.Event, start int64) string {
	h := e.Head()
	f := &h.Flow
	var b strings.Builder
	way := ">"
	if h.FromServer {
		way = "<"
	}
	fmt.Fprintf(&b, "%d %g f%d %s>%s %s ", h.At.Frame, float64((h.Time-start)/1e5)/10, f.ID, end(f.Client), end(f.Server), way)
	switch e := e.(type) {
	case *decode.Bind:
		what := "bind"
		if e.Alter {
			what = "alter"
		}
		fmt.Fprintf(&b, "%s %d %s asked=%d", what, e.CallID, e.Outcome, e.Request.Frame)
		if e.Outcome == decode.Nak {
			fmt.Fprintf(&b, " reason=%d", e.NakReason)
		}
		if e.Group != 0 {
			fmt.Fprintf(&b, " group=%#x", e.Group)
		}
		if len(e.Secondary) > 0 {
			fmt.Fprintf(&b, " at=%q", e.Secondary)
		}
		auth(&b, &e.Auth)
		by(&b, &e.Association)
		for i := range e.Contexts {
			if i == 8 {
				fmt.Fprintf(&b, " and %d more", len(e.Contexts)-i)
				break
			}
			context(&b, &e.Contexts[i])
		}
	case *decode.Call:
		fmt.Fprintf(&b, "call %d", e.CallID)
		if e.Known {
			fmt.Fprintf(&b, " %s", iface(e.Interface))
		}
		fmt.Fprintf(&b, " op=%d ctx=%d %s", e.Opnum, e.ContextID, e.Outcome)
		if e.Status != 0 {
			fmt.Fprintf(&b, "=%#x", e.Status)
		}
		fmt.Fprintf(&b, " frames=%d/%d stubs=%d/%d pdus=%d/%d", e.Request.Frame, e.Answer.Frame, e.RequestLen, e.ReplyLen, e.Fragments[0], e.Fragments[1])
		if e.Accepted {
			b.WriteString(" accepted")
		}
		if e.NDR64 {
			b.WriteString(" ndr64")
		}
		if e.HasObject {
			fmt.Fprintf(&b, " object=%s", e.Object)
		}
		auth(&b, &e.Auth)
		by(&b, &e.Association)
		if a := e.Arguments; a != nil {
			fmt.Fprintf(&b, " %s", a.Kind)
			for _, text := range []string{a.Server, a.Path, a.Account, a.Computer, a.Service, a.Task, a.Command, a.Key} {
				if text != "" {
					fmt.Fprintf(&b, " %.40q", text)
				}
			}
		}
		if e.Returned {
			fmt.Fprintf(&b, " return=%#x", e.Return)
		}
	case *decode.KMSExchange:
		fmt.Fprintf(&b, "kms %s", e.Outcome)
		if e.Status != 0 {
			fmt.Fprintf(&b, "=%#x", e.Status)
		}
		fmt.Fprintf(&b, " asked=%d", e.Ask.Frame)
		if e.HasRequest {
			fmt.Fprintf(&b, " request=%d.%d", e.Request.Major, e.Request.Minor)
		}
		if e.HasResponse {
			fmt.Fprintf(&b, " response=%d.%d", e.Response.Major, e.Response.Minor)
		}
		if e.Anomaly != 0 {
			fmt.Fprintf(&b, " odd=%s", e.Anomaly)
		}
	case *decode.SRVLookup:
		fmt.Fprintf(&b, "srv %s %s asked=%d", e.Name, e.Outcome, e.Ask.Frame)
		if e.Message != nil {
			if e.Message.RCode != 0 {
				fmt.Fprintf(&b, " rcode=%d", e.Message.RCode)
			}
			records(&b, e.Message)
		}
	case *decode.DNSUpdate:
		fmt.Fprintf(&b, "update %s asked=%d rcode=%d", e.Outcome, e.Ask.Frame, e.RCode)
		if e.Message.Signed {
			b.WriteString(" signed")
		}
		records(&b, e.Message)
	case *decode.Foreign:
		fmt.Fprintf(&b, "foreign %s", e.Guess)
	case *decode.Anomaly:
		fmt.Fprintf(&b, "odd %s %s at=%d", e.Protocol, e.Name, e.Offset)
		if e.Evasive {
			b.WriteString(" evasive")
		}
	case *decode.Auth:
		fmt.Fprintf(&b, "auth %s asked=%d level=%s", e.Outcome, e.Ask.Frame, e.Level)
		code(&b, e.Status)
		by(&b, &e.Association)
	case *decode.Session:
		fmt.Fprintf(&b, "session %#x %s asked=%d dialect=%q", e.SessionID, e.Outcome, e.Ask.Frame, e.Dialect)
		code(&b, e.Status)
		for _, flag := range []struct {
			on   bool
			name string
		}{{e.Null, "null"}, {e.Guest, "guest"}, {e.Encrypted, "encrypted"}, {e.Binding, "binding"}} {
			if flag.on {
				b.WriteString(" " + flag.name)
			}
		}
		who(&b, e.Caller)
	case *decode.TreeConnect:
		fmt.Fprintf(&b, "tree %s %q %s asked=%d", e.Share, e.Path, e.Outcome, e.Ask.Frame)
		code(&b, e.Status)
		who(&b, e.Caller)
	case *decode.PipeOpen:
		fmt.Fprintf(&b, "pipe %s asked=%d", e.Outcome, e.Ask.Frame)
		code(&b, e.Status)
		by(&b, &e.Association)
	case *decode.EndpointMapped:
		fmt.Fprintf(&b, "mapped %s", iface(e.Interface))
		if e.Known {
			fmt.Fprintf(&b, " %s", e.Transport)
		}
		if e.Addr.IsValid() || e.Port != 0 {
			fmt.Fprintf(&b, " at=%s", end(decode.Endpoint{Addr: e.Addr, Port: e.Port}))
		}
		if e.Pipe != "" {
			fmt.Fprintf(&b, " pipe=%s", e.Pipe)
		}
	case *decode.LDAPBind:
		fmt.Fprintf(&b, "ldap bind %s %q %s asked=%d", e.Method, e.Name, e.Outcome, e.Ask.Frame)
		if e.Mechanism != "" {
			fmt.Fprintf(&b, " mechanism=%s", e.Mechanism)
		}
		code(&b, e.Result)
		who(&b, e.Caller)
	case *decode.LDAPSearch:
		fmt.Fprintf(&b, "ldap search %q scope=%d %s asked=%d entries=%d", e.Base, e.Scope, e.Outcome, e.Ask.Frame, e.Entries)
		if e.RootDSE {
			b.WriteString(" root")
		}
		if e.NetlogonPing {
			b.WriteString(" ping")
		}
		code(&b, e.Result)
		who(&b, e.Caller)
	case *decode.KerberosReply:
		what := "as"
		if e.Ticket {
			what = "tgs"
		}
		fmt.Fprintf(&b, "kerberos %s %s asked=%d client=%q realm=%q service=%q", what, e.Outcome, e.Ask.Frame, e.Client, e.Realm, e.Service)
		code(&b, e.Error)
	case *decode.Opaque:
		fmt.Fprintf(&b, "opaque %s %s", e.Protocol, e.What)
	case *decode.FlowEnd:
		fmt.Fprintf(&b, "end %s frames=%d/%d bytes=%d/%d", reasons[e.Reason], e.Frames[0], e.Frames[1], e.Bytes[0], e.Bytes[1])
	case *decode.Loss:
		fmt.Fprintf(&b, "loss dropped=%d/%d cut=%d evicted=%d", e.Dropped, e.Frames, e.Cut, e.Evicted)
	default:
		fmt.Fprintf(&b, "%T", e)
	}
	if f.Quality != 0 {
		fmt.Fprintf(&b, " [%s]", strings.Join(f.Quality.Names(), " "))
	}
	if f.VLANs != [2]uint16{} {
		fmt.Fprintf(&b, " vlan=%d/%d", f.VLANs[0], f.VLANs[1])
	}
	if f.Tunnel != 0 {
		fmt.Fprintf(&b, " %s=%d", f.Tunnel, f.TunnelID)
	}
	return b.String()
}

var reasons = [...]string{
	decode.EndOfCapture: "capture", decode.Closed: "closed", decode.Reset: "reset",
	decode.Idle: "idle", decode.Evicted: "evicted",
}

func end(e decode.Endpoint) string {
	if !e.Addr.IsValid() {
		return "-"
	}
	return netip.AddrPortFrom(e.Addr, e.Port).String()
}

func iface(s dcerpc.Syntax) string {
	name := s.UUID.String()
	if n, ok := dcerpc.LookupInterface(s.UUID); ok {
		name = n
	}
	return fmt.Sprintf("%s/%d.%d", name, s.Major, s.Minor)
}

func context(b *strings.Builder, c *dcerpc.ContextItem) {
	fmt.Fprintf(b, " %d=%s", c.ID, iface(c.Abstract))
	if len(c.Transfer) != 1 {
		fmt.Fprintf(b, "*%d", len(c.Transfer))
	}
	if !c.Answered {
		b.WriteString(":silence")
		return
	}
	fmt.Fprintf(b, ":%s", c.Result)
	switch c.Accepted.UUID {
	case dcerpc.NDR32.UUID:
		b.WriteString("/ndr32")
	case dcerpc.NDR64.UUID:
		b.WriteString("/ndr64")
	}
}

func auth(b *strings.Builder, a *dcerpc.Auth) {
	if a.Present {
		fmt.Fprintf(b, " auth=%s/%s", a.Type, a.Level)
	}
}

// by writes what is not plain of an association: another transport than TCP, and
// a caller who authenticated.
func by(b *strings.Builder, a *decode.Association) {
	switch {
	case a.Transport == decode.TransportPipe:
		fmt.Fprintf(b, " pipe%d=%q", a.ID.Pipe, a.Pipe)
	case a.Transport != decode.TransportTCP:
		fmt.Fprintf(b, " %s", a.Transport)
	}
	who(b, a.Caller)
}

func who(b *strings.Builder, c *caller.Caller) {
	if c == caller.Unverified || c == caller.Nobody {
		return
	}
	fmt.Fprintf(b, " as=%q/%s", c, c.Mechanism)
	if c.Accepted != caller.Undecided {
		fmt.Fprintf(b, "/%s", c.Accepted)
	}
	if names := c.Evidence.Names(); names != nil {
		fmt.Fprintf(b, "(%s)", strings.Join(names, " "))
	}
}

func code(b *strings.Builder, n uint32) {
	if n != 0 {
		fmt.Fprintf(b, "=%#x", n)
	}
}

func records(b *strings.Builder, m *dns.Message) {
	for i := range m.SRV {
		if i == 4 {
			fmt.Fprintf(b, " and %d more", len(m.SRV)-i)
			return
		}
		v := &m.SRV[i]
		fmt.Fprintf(b, " %s%s:%d", v.Change, v.Target, v.Port)
		if len(v.Addresses) > 0 {
			fmt.Fprintf(b, "%v", v.Addresses)
		}
	}
}
