package rules

import (
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/stub"
)

// flow puts an event on a flow of its own.
func flow[E decode.Event](id uint16, e E) E {
	e.Head().Flow.ID = uint64(id)
	e.Head().Flow.Client.Port = id
	if a := association(e); a != nil {
		a.ID.Flow = uint64(id)
	}
	return e
}

// association gives that of an event, nil if it has none.
func association(e decode.Event) *decode.Association {
	switch e := e.(type) {
	case *decode.Bind:
		return &e.Association
	case *decode.Call:
		return &e.Association
	case *decode.KMSExchange:
		return &e.Association
	case *decode.Auth:
		return &e.Association
	case *decode.PipeOpen:
		return &e.Association
	}
	return nil
}

// Callers of the tests.
var (
	alice      = &auth.Caller{Kind: auth.Named, Mechanism: auth.NTLM, Accepted: auth.Yes, Domain: "CORP", User: "alice", Workstation: "WS1"}
	beginning  = &auth.Caller{Mechanism: auth.NTLM}
	emptyToken = &auth.Caller{Kind: auth.Anonymous, Mechanism: auth.NTLM, Accepted: auth.Yes, Evidence: auth.AnonymousFlag | auth.EmptyUser}
	null       = &auth.Caller{Kind: auth.Anonymous, Mechanism: auth.NTLM, Accepted: auth.Yes, Evidence: auth.AnonymousFlag | auth.NullSession}
	guest      = &auth.Caller{Kind: auth.Guest, Mechanism: auth.NTLM, Accepted: auth.Yes, Evidence: auth.GuestSession, User: "alice"}
)

// by gives an event its caller.
func by[E decode.Event](c *auth.Caller, e E) E {
	if a := association(e); a != nil {
		a.Caller = c
		return e
	}
	switch e := any(e).(type) {
	case *decode.Session:
		e.Caller = c
	case *decode.TreeConnect:
		e.Caller = c
	case *decode.LDAPBind:
		e.Caller = c
	case *decode.LDAPSearch:
		e.Caller = c
	default:
		panic("an event without a caller")
	}
	return e
}

// piped puts an event into a named pipe.
func piped[E decode.Event](number uint32, name string, e E) E {
	a := association(e)
	a.ID.Pipe, a.Transport, a.Pipe = number, decode.TransportPipe, name
	return e
}

// authenticated gives a bind the verifier of NTLM at the level connect, and the
// caller that it proves.
func authenticated(b *decode.Bind) *decode.Bind { return by(alice, begun(b)) }

// begun gives a bind a verifier that has yet to tell who asks.
func begun(b *decode.Bind) *decode.Bind {
	b.Auth = dcerpc.Auth{Present: true, Type: dcerpc.AuthNTLM, Level: dcerpc.LevelConnect}
	return by(beginning, b)
}

// proved is the end of an authentication.
func proved(client, server string, second int, c *auth.Caller, o decode.Outcome) *decode.Auth {
	e := &decode.Auth{Ask: decode.Position{Frame: uint64(second + 1)}, Level: dcerpc.LevelConnect, Outcome: o}
	*e.Head() = head(client, server, 50000, second)
	e.ID.Flow, e.Caller = e.Head().Flow.ID, c
	return e
}

// alter makes an alter_context of a bind.
func alter(b *decode.Bind) *decode.Bind {
	b.Alter = true
	return b
}

// call is a call without a verifier on an accepted context.
func call(client, server string, second int, u dcerpc.UUID, opnum uint16, o decode.Outcome) *decode.Call {
	e := &decode.Call{
		Request: decode.Position{Frame: uint64(second + 1)}, Opnum: opnum, Outcome: o,
		Interface: dcerpc.Syntax{UUID: u, Major: 1}, Known: true, Accepted: true, RequestLen: 40,
	}
	switch o {
	case decode.Answered:
		e.ReplyLen = 100
	case decode.Faulted:
		e.Status = 5
	}
	*e.Head() = head(client, server, 50000, second)
	e.ID.Flow, e.Caller = e.Head().Flow.ID, auth.Unverified
	return e
}

func ended(client, server string, second int) *decode.FlowEnd {
	e := &decode.FlowEnd{}
	*e.Head() = head(client, server, 50000, second)
	return e
}

// took is a bind that the server took in one context.
func took(client, server string, second int, u dcerpc.UUID) *decode.Bind {
	return bindOf(client, server, second, decode.Accepted, context(0, u, dcerpc.Acceptance))
}

func TestRulesAllocateNothingForRepeatsAndQuietEvents(t *testing.T) {
	events := []decode.Event{
		took(dmz1, internal1, 0, samr), call(dmz1, internal1, 1, samr, 5, decode.Answered), call(dmz1, internal1, 2, samr, 99, decode.Faulted),
		took(internal1, internal2, 0, samr), call(internal1, internal2, 1, samr, 5, decode.Answered), ended(internal1, internal2, 3),
		bindOf(dmz1, internal1, 0, decode.Rejected, context(0, lsarpc, dcerpc.ProviderRejection)), authenticated(took(dmz2, internal1, 0, winreg)),
		kmsBind(dmz1, internal1, 0), exchange(dmz1, internal1, 0, decode.Answered), exchange(internal1, internal2, 0, decode.Refused),
		lookup(dmz1, internal1, vlmcs, 0, decode.Answered, srv("rogue", 1688, dmz2)), lookup(internal1, internal2, "_sip._tcp.x", 0, decode.Refused),
		with(head(dmz1, internal1, 50000, 0), &decode.Anomaly{Protocol: decode.ProtoDCERPC, Name: "tiny-fragments", Evasive: true}),
		with(head(dmz1, internal1, 50000, 0), &decode.Foreign{Guess: "http"}),
		negotiated(internal1, 0, 0x1001, true), negotiated(internal2, 0, 0x1063bf3f, false),
		begun(took(dmz2, internal1, 0, samr)), proved(dmz2, internal1, 0, emptyToken, decode.Accepted),
		by(null, piped(1, "samr", took(dmz1, internal2, 0, samr))), by(null, piped(1, "samr", call(dmz1, internal2, 1, samr, 13, decode.Answered))),
		session(dmz1, internal1, 0, null, decode.Accepted), session(dmz2, internal1, 0, alice, decode.Accepted),
		tree(dmz1, internal1, 0, "IPC$", null, decode.Accepted), tree(dmz2, internal1, 0, "SYSVOL", alice, decode.Accepted),
		pipe(dmz1, internal1, 0, "samr", null, decode.Accepted),
		with(head(dmz1, internal1+":389", 50000, 0), &decode.LDAPBind{Caller: auth.Unbound, Outcome: decode.Accepted}),
		with(head(dmz1, internal1+":389", 50000, 0), &decode.LDAPSearch{Caller: auth.Unbound, Base: "dc=x", Entries: 1, Outcome: decode.Answered}),
		with(head(dmz2, internal1+":88", 50000, 0), &decode.KerberosReply{Outcome: decode.Answered}),
		with(head(dmz1, internal1, 50000, 0), &decode.EndpointMapped{Interface: dcerpc.Syntax{UUID: inventory.DRSUAPI}}),
		asked(dmz1, srvsvc, 31, stub.Arguments{Path: "x", Shape: stub.Shape{Climbs: true}}, 0),
		asked(internal2, efsrpc, 0, stub.Arguments{Path: `\\evil\x`, Host: "evil"}, 0), asked(internal2, efsrpc, 0, stub.Arguments{Path: `\\10.0.0.66\x`, Host: "10.0.0.66"}, 0),
		asked(internal2, inventory.Netlogon, 26, stub.Arguments{HasCredential: true, ZeroHead: true}, 0),
		asked(internal2, spoolss, 89, stub.Arguments{Path: `C:\spool\drivers\x64\3\a.dll`, DataFile: `\\evil\x`}, 0),
		asked(internal2, inventory.DRSUAPI, 3, stub.Arguments{}, 0), asked(dmz1, winreg, 20, stub.Arguments{}, 0), asked(dmz1, svcctl, 12, stub.Arguments{Command: "x"}, 0),
		ended(dmz1, internal1, 5),
	}
	for _, r := range All() {
		t.Run(r.Info().ID, func(t *testing.T) { allocatesNothing(t, r, events...) })
	}
}

// BenchmarkAllRules is an RPC conversation within a zone and one that climbs,
// with all rules on: an operation is an event.
func BenchmarkAllRules(b *testing.B) {
	for _, bench := range []struct {
		name   string
		client string
	}{{"within", internal2}, {"climbing", dmz1}} {
		b.Run(bench.name, func(b *testing.B) {
			v, err := alerts.New(alerts.Config{Rules: All(), Zones: testZones()})
			if err != nil {
				b.Fatal(err)
			}
			events := []decode.Event{
				kmsBind(bench.client, internal1, 0),
				call(bench.client, kmsPort(internal1), 1, dcerpc.KMS, 0, decode.Answered),
				exchange(bench.client, internal1, 1, decode.Answered),
				ended(bench.client, kmsPort(internal1), 1),
				took(bench.client, internal1, 2, samr),
				call(bench.client, internal1, 2, samr, 5, decode.Answered),
				call(bench.client, internal1, 2, samr, 5, decode.Answered),
				ended(bench.client, internal1, 3),
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				v.Handle(events[i%len(events)])
			}
		})
	}
}
