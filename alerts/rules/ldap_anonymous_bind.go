package rules

import (
	"kmswatch/alerts"
	"kmswatch/decode"
)

// ldapAnonymousBind finds searches that a directory answers to nobody, beyond
// what every directory tells of itself: the root DSE and the netlogon ping, by
// which members find their domain controllers. A bind by itself says little, since
// without one a connection is as anonymous (RFC 4513 5.1.1). Entries that come
// back are worse than none, and these than a refusal.
type ldapAnonymousBind struct {
	flows *alerts.Recent[uint64, ldapBound] // that bound anonymously
}

type ldapBound struct {
	at     decode.Position
	method decode.LDAPBindKind
}

func newLDAPAnonymousBind() *ldapAnonymousBind {
	return &ldapAnonymousBind{flows: alerts.NewRecent[uint64, ldapBound](16384)}
}

func (*ldapAnonymousBind) Info() alerts.Info {
	return alerts.Info{
		ID:       "ldap-anonymous-bind",
		Title:    "Directory searched without authentication",
		Severity: alerts.Medium,
		Why: "A directory answers a search of a caller who does not say who it is. " +
			"It may give away accounts, groups, hosts and the policy of the domain, which is what an intruder asks for first.",
		Mitigation: "On Active Directory clear the seventh character of dsHeuristics and take the group Anonymous Logon out of Pre-Windows 2000 Compatible Access; " +
			"on other servers forbid anonymous and unauthenticated binds. Let only members of the domain reach the LDAP ports.",
		Techniques: []alerts.Technique{
			domainAccountDiscovery,
			domainGroupDiscovery,
		},
		Kinds: []decode.Kind{decode.KindLDAPBind, decode.KindLDAPSearch, decode.KindFlowEnd},
	}
}

// scopes are those of a search, RFC 4511 4.5.1.2.
var scopes = [...]string{"base", "one-level", "subtree"}

func (r *ldapAnonymousBind) Evaluate(c *alerts.Context, e decode.Event) {
	id := e.Head().Flow.ID
	switch e := e.(type) {
	case *decode.LDAPBind:
		if e.Outcome == decode.Accepted && e.Caller.Anonymous() {
			b, _ := r.flows.Put(id)
			*b = ldapBound{e.Head().At, e.Method}
		} else {
			r.flows.Delete(id)
		}
	case *decode.LDAPSearch:
		if e.RootDSE || e.NetlogonPing || !e.Caller.Anonymous() {
			return
		}
		r.search(c, e)
	case *decode.FlowEnd:
		r.flows.Delete(id)
	}
}

func (r *ldapAnonymousBind) search(c *alerts.Context, e *decode.LDAPSearch) {
	var grade, deed string
	fold := alerts.Fold{By: alerts.ByServer}
	within, across := alerts.Low, alerts.Low
	switch {
	case e.Entries > 0: // also where a limit ended them
		grade, deed = "data-returned", "and got entries"
		within, across = alerts.Medium, alerts.High
	case e.Outcome == decode.Answered:
		grade, deed = "executed", "and got no entries"
		across = alerts.Medium
	case e.Outcome == decode.Refused:
		grade, deed = "offered", "and was refused"
	default:
		return
	}
	fold.Severity = within
	if c.Crosses() {
		fold.Severity = across
	}
	bound := r.flows.Get(e.Head().Flow.ID)
	if bound != nil {
		fold.Earlier = bound.at
	}
	f := c.Raise(fold)
	if f == nil {
		return
	}
	f.Say("%v searched the directory at %v without authentication, %s", c.Client, c.Server, deed)
	f.Add("grade", grade)
	f.Add("base", e.Base)
	if int(e.Scope) < len(scopes) {
		f.Add("scope", scopes[e.Scope])
	}
	f.Add("entries", e.Entries)
	f.Add("outcome", e.Outcome)
	f.Add("result", e.Result)
	if bound != nil {
		f.Add("bind", bound.method)
	} else {
		f.Add("bind", "none")
	}
	callerFacts(f, e.Caller)
}
