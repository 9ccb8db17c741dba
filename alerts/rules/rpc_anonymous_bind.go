package rules

import (
	"fmt"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// rpcAnonymousBind finds interfaces that are bound without authentication from
// another zone. What came of it is graded: offered and not taken, accepted,
// called, and answered with data.
//
// A bind that the server takes is not yet anonymous: the client may add
// authentication to the association by alter_context, and then the bind was a
// first step. So it is raised by the first call without a verifier, or by the
// end of the flow, and dropped if authentication comes before. On an association
// that has authenticated, PDUs without verifiers are no sign: at the level
// connect, requests have none (MS-RPCE 2.2.1.1.8), and an alter_context that
// adds an interface needs none.
type rpcAnonymousBind struct {
	flows *alerts.Recent[uint64, anonymousFlow] // those that cross zones
}

// Bounds of what is remembered.
const (
	anonymousFlows      = 16384
	anonymousInterfaces = 8 // of a flow
)

type anonymousFlow struct {
	authenticated bool
	n             int
	bound         [anonymousInterfaces]anonymousInterface
}

type anonymousInterface struct {
	iface dcerpc.Syntax
	at    decode.Position // of the bind
	grade grade           // that was raised
}

// grade is how far an anonymous caller came.
type grade uint8

const (
	unraised grade = iota
	offered
	accepted
	executed
	returned
)

var grades = [...]struct {
	name     string
	severity alerts.Severity
	deed     string
}{
	offered:  {"offered", alerts.Low, "offered to bind %s without authentication at %v, which did not take it"},
	accepted: {"accepted", alerts.Medium, "bound %s without authentication at %v"},
	executed: {"executed", alerts.Medium, "called %s without authentication at %v"},
	returned: {"data-returned", alerts.High, "called %s without authentication at %v, and got data"},
}

func newRPCAnonymousBind() *rpcAnonymousBind {
	return &rpcAnonymousBind{flows: alerts.NewRecent[uint64, anonymousFlow](anonymousFlows)}
}

func (*rpcAnonymousBind) Info() alerts.Info {
	return alerts.Info{
		ID:       "rpc-anonymous-bind",
		Title:    "RPC interface bound without authentication from another zone",
		Severity: alerts.Medium,
		Why: "An RPC service answers callers of another zone who do not say who they are. " +
			"Some give such callers lists of accounts, shares and policies, and a flaw in them needs no password to be exploited.",
		Mitigation: "Close RPC between the zones. On the server set RestrictRemoteClients and, for clients, EnableAuthEpResolution, " +
			"and take what anonymous callers may do (RestrictAnonymous, RestrictAnonymousSAM, RestrictNullSessAccess).",
		Techniques: []alerts.Technique{
			{ID: "T1046", Name: "Network Service Discovery", TacticID: "TA0007", Tactic: "Discovery"},
			exploitRemoteService,
		},
		Kinds: []decode.Kind{decode.KindBind, decode.KindCall, decode.KindFlowEnd},
		Options: []alerts.Option{
			{Name: "exempt", What: "Interfaces that are anonymous by design.", Default: alerts.Interfaces{"kms", "epmapper", "mgmt"}},
		},
	}
}

func (r *rpcAnonymousBind) Evaluate(c *alerts.Context, e decode.Event) {
	if !c.Crosses() {
		return
	}
	switch e := e.(type) {
	case *decode.Bind:
		r.bind(c, e)
	case *decode.Call:
		if e.Known && e.Accepted && !verified(&e.Auth) {
			r.call(c, e)
		}
	case *decode.FlowEnd:
		if f := r.flows.Get(e.Head().Flow.ID); f != nil {
			for i := range f.bound[:f.n] {
				if f.bound[i].grade < accepted {
					r.raise(c, &f.bound[i], accepted)
				}
			}
			r.flows.Delete(e.Head().Flow.ID)
		}
	}
}

// verified says whether a PDU carries the verifier of a security provider.
func verified(a *dcerpc.Auth) bool {
	return a.Present && a.Type != dcerpc.AuthNone && a.Level != dcerpc.LevelNone
}

func (r *rpcAnonymousBind) bind(c *alerts.Context, b *decode.Bind) {
	id := b.Head().Flow.ID
	if verified(&b.Auth) {
		// Where no answer was seen, the server may have taken it.
		if b.Outcome != decode.Nak && b.Outcome != decode.Rejected {
			f, _ := r.flows.Put(id)
			f.authenticated, f.n = true, 0
		}
		return
	}
	f := r.flows.Get(id)
	if f != nil && f.authenticated && b.Alter {
		return
	}
	if b.Outcome != decode.Accepted {
		r.offered(c, b)
		return
	}
	for i := range b.Contexts {
		x := &b.Contexts[i]
		if !taken(x) || takenBefore(b.Contexts, i) || c.Lists("exempt", x.Abstract.UUID) || c.Excepts(x.Abstract.UUID) {
			continue
		}
		if f == nil {
			f, _ = r.flows.Put(id)
		}
		if f.find(x.Abstract.UUID) != nil {
			continue
		}
		a := anonymousInterface{iface: x.Abstract, at: b.Head().At}
		if f.n == len(f.bound) {
			r.raise(c, &a, accepted) // without waiting
			continue
		}
		f.bound[f.n] = a
		f.n++
	}
}

// offered raises an alert for a bind that the server did not take. Such are
// folded whatever the interface: a scanner offers hundreds.
func (r *rpcAnonymousBind) offered(c *alerts.Context, b *decode.Bind) {
	for i := range b.Contexts {
		x := &b.Contexts[i]
		if c.Lists("exempt", x.Abstract.UUID) || c.Excepts(x.Abstract.UUID) {
			continue
		}
		if f := c.Raise(alerts.Fold{By: alerts.ByServer, Severity: grades[offered].severity, Key: "offered"}); f != nil {
			f.Say("%v "+grades[offered].deed, c.Client, interfaceName(x.Abstract.UUID), c.Server)
			f.Add("grade", grades[offered].name)
			bindFacts(f, b, x)
		}
		return
	}
}

func (r *rpcAnonymousBind) call(c *alerts.Context, e *decode.Call) {
	f := r.flows.Get(e.Head().Flow.ID)
	if f == nil || f.authenticated {
		return
	}
	a := f.find(e.Interface.UUID)
	if a == nil {
		return
	}
	g := executed
	if e.Outcome == decode.Answered && e.ReplyLen > 0 {
		g = returned
	}
	if g <= a.grade {
		return
	}
	if f := r.raise(c, a, g); f != nil {
		f.Add("opnum", e.Opnum)
		if name := dcerpc.OperationName(e.Interface.UUID, e.Opnum); name != "" {
			f.Add("operation", name)
		}
		f.Add("outcome", e.Outcome)
		if e.Outcome == decode.Faulted || e.Outcome == decode.Rejected {
			f.Add("fault_status", status(e.Status, dcerpc.StatusName(e.Status)))
		}
		f.Add("reply_length", e.ReplyLen)
	}
}

func (f *anonymousFlow) find(u dcerpc.UUID) *anonymousInterface {
	for i := range f.bound[:f.n] {
		if f.bound[i].iface.UUID == u {
			return &f.bound[i]
		}
	}
	return nil
}

func (r *rpcAnonymousBind) raise(c *alerts.Context, a *anonymousInterface, g grade) *alerts.Finding {
	a.grade = g
	f := c.Raise(alerts.Fold{By: alerts.ByServer, Severity: grades[g].severity, Interface: a.iface.UUID, Earlier: a.at})
	if f != nil {
		f.Say("%v "+grades[g].deed, c.Client, interfaceName(a.iface.UUID), c.Server)
		f.Add("grade", grades[g].name)
		f.Add("interface", a.iface.UUID)
		f.Add("interface_name", interfaceName(a.iface.UUID))
		f.Add("interface_version", fmt.Sprintf("%d.%d", a.iface.Major, a.iface.Minor))
		f.Add("auth_type", "none")
	}
	return f
}
