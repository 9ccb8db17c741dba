package rules

import (
	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// rpcAnonymousBind finds interfaces that are bound without authentication from
// another zone: without a verifier over TCP, in a pipe of a null session, or with
// a token of NTLM that is anonymous. What came of it is graded: offered and not
// taken, accepted, called, and answered with data.
//
// A bind that the server takes is not yet anonymous: the client may add
// authentication to the association by alter_context, and then the bind was a
// first step. So it is raised by the first anonymous call, or by the end of the
// flow, and dropped if authentication comes before. A bind whose token has more
// to come waits for what the token turns out to be.
type rpcAnonymousBind struct {
	flows *alerts.Recent[uint64, anonymousFlow] // those that cross zones
}

// Bounds of what is remembered.
const (
	anonymousFlows      = 16384
	anonymousInterfaces = 8 // of a flow
)

type anonymousFlow struct {
	n     int
	bound [anonymousInterfaces]anonymousInterface
}

type anonymousInterface struct {
	of        decode.Association
	iface     dcerpc.Syntax
	at        decode.Position // of the bind
	undecided bool            // the caller has begun to say who it is
	verified  bool            // it had when it bound
	grade     grade           // that was raised
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
	offered:  {"offered", alerts.Low, "offered to bind %s without authentication at %v"},
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
			networkServiceDiscovery,
			exploitRemoteService,
		},
		Kinds: []decode.Kind{decode.KindBind, decode.KindAuth, decode.KindCall, decode.KindFlowEnd},
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
	case *decode.Auth:
		r.auth(e)
	case *decode.Call:
		if e.Known && e.Accepted && e.Caller.Anonymous() {
			r.call(c, e)
		}
	case *decode.FlowEnd:
		if f := r.flows.Get(e.Head().Flow.ID); f != nil {
			for i := range f.bound[:f.n] {
				if a := &f.bound[i]; a.grade < accepted && !a.undecided {
					r.raise(c, a, accepted)
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
	caller := b.Caller
	undecided := verified(&b.Auth) && !caller.Anonymous()
	switch {
	case undecided && (b.Outcome == decode.Nak || b.Outcome == decode.Rejected):
		return
	case caller.Authenticated(), undecided && b.Outcome != decode.Accepted:
		// Where no answer was seen, the server may have taken it.
		if f := r.flows.Get(b.ID.Flow); f != nil {
			f.forget(b.ID)
		}
		return
	case !undecided && !caller.Anonymous():
		return
	case b.Outcome != decode.Accepted:
		r.offered(c, b)
		return
	}
	f := r.flows.Get(b.ID.Flow)
	if f != nil && undecided { // so what was bound before may yet be somebody's
		for i := range f.bound[:f.n] {
			f.bound[i].undecided = f.bound[i].undecided || f.bound[i].of.ID == b.ID
		}
	}
	for i := range b.Contexts {
		x := &b.Contexts[i]
		if !taken(x) || takenBefore(b.Contexts, i) || c.Lists("exempt", x.Abstract.UUID) || c.Excepts(x.Abstract.UUID) {
			continue
		}
		if f == nil {
			f, _ = r.flows.Put(b.ID.Flow)
		}
		if f.find(b.ID, x.Abstract.UUID) != nil {
			continue
		}
		a := anonymousInterface{of: b.Association, iface: x.Abstract, at: b.Head().At, undecided: undecided, verified: undecided}
		if f.add(&a) == nil && !undecided {
			r.raise(c, &a, accepted) // without waiting
		}
	}
}

// auth learns who the caller of an association turned out to be.
func (r *rpcAnonymousBind) auth(e *decode.Auth) {
	f := r.flows.Get(e.ID.Flow)
	if f == nil {
		return
	}
	anonymous := e.Caller.Anonymous()
	for i := 0; i < f.n; {
		a := &f.bound[i]
		switch {
		case a.of.ID != e.ID || a.grade != unraised:
		case anonymous:
			a.of, a.undecided = e.Association, false
		case a.verified, e.Outcome != decode.Rejected:
			f.drop(i) // it gave a name, be it refused
			continue
		default: // bound before by nobody, and still is
			a.undecided = false
		}
		i++
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
			answer := "which did not take it"
			if b.Outcome == decode.Unknown {
				answer = "whose answer was not seen"
			}
			f.Say("%v "+grades[offered].deed+", %s", c.Client, interfaceName(x.Abstract.UUID), c.Server, answer)
			f.Add("grade", grades[offered].name)
			bindFacts(f, c, b, x)
		}
		return
	}
}

func (r *rpcAnonymousBind) call(c *alerts.Context, e *decode.Call) {
	g := executed
	if e.Outcome == decode.Answered && e.ReplyLen > 0 {
		g = returned
	}
	f := r.flows.Get(e.ID.Flow)
	var a *anonymousInterface
	if f != nil {
		a = f.find(e.ID, e.Interface.UUID)
	}
	if a == nil {
		if c.Lists("exempt", e.Interface.UUID) {
			return
		}
		if f == nil {
			f, _ = r.flows.Put(e.ID.Flow)
		}
		unbound := anonymousInterface{iface: e.Interface} // its bind is forgotten
		if a = f.add(&unbound); a == nil {
			a = &unbound
		}
	}
	if g <= a.grade {
		return
	}
	a.of, a.undecided = e.Association, false
	if f := r.raise(c, a, g); f != nil {
		callFacts(f, e)
		f.Add("reply_length", e.ReplyLen)
	}
}

// callFacts adds the operation and what came of it.
func callFacts(f *alerts.Finding, e *decode.Call) {
	f.Add("opnum", e.Opnum)
	if name := dcerpc.OperationName(e.Interface.UUID, e.Opnum); name != "" {
		f.Add("operation", name)
	}
	f.Add("outcome", e.Outcome)
	if e.Outcome == decode.Faulted || e.Outcome == decode.Rejected {
		f.Add("fault_status", status(e.Status, dcerpc.StatusName(e.Status)))
	}
}

func (f *anonymousFlow) find(of decode.AssociationID, u dcerpc.UUID) *anonymousInterface {
	for i := range f.bound[:f.n] {
		if a := &f.bound[i]; a.iface.UUID == u && a.of.ID == of {
			return a
		}
	}
	return nil
}

// add keeps an interface, in the place of one that was raised if need be; nil
// where there is no place.
func (f *anonymousFlow) add(a *anonymousInterface) *anonymousInterface {
	if f.n < len(f.bound) {
		f.n++
		f.bound[f.n-1] = *a
		return &f.bound[f.n-1]
	}
	for i := range f.bound {
		if f.bound[i].grade != unraised {
			f.bound[i] = *a
			return &f.bound[i]
		}
	}
	return nil
}

// forget drops the interfaces of an association that were not raised yet.
func (f *anonymousFlow) forget(of decode.AssociationID) {
	for i := 0; i < f.n; {
		if f.bound[i].of.ID == of && f.bound[i].grade == unraised {
			f.drop(i)
		} else {
			i++
		}
	}
}

func (f *anonymousFlow) drop(i int) {
	copy(f.bound[i:f.n], f.bound[i+1:f.n])
	f.n--
	f.bound[f.n] = anonymousInterface{}
}

func (r *rpcAnonymousBind) raise(c *alerts.Context, a *anonymousInterface, g grade) *alerts.Finding {
	a.grade = g
	f := c.Raise(alerts.Fold{By: alerts.ByServer, Severity: grades[g].severity, Interface: a.iface.UUID, Earlier: a.at})
	if f != nil {
		f.Say("%v "+grades[g].deed, c.Client, interfaceName(a.iface.UUID), c.Server)
		f.Add("grade", grades[g].name)
		interfaceFacts(f, a.iface)
		associationFacts(f, c, &a.of)
	}
	return f
}
