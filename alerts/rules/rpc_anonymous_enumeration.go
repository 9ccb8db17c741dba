package rules

import (
	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/auth"
	"kmswatch/decode/stub"
)

// rpcAnonymousEnumeration finds operations by which a caller who is nobody lists
// what there is. It is graded by what came of it: asked for and not executed,
// executed, and answered with data. Across zones it is worse, for a guest and for
// the endpoint mapper's list less.
type rpcAnonymousEnumeration struct{}

func (rpcAnonymousEnumeration) Info() alerts.Info {
	return alerts.Info{
		ID:       "rpc-anonymous-enumeration",
		Title:    "Accounts, shares or the like listed without authentication",
		Severity: alerts.Medium,
		Why: "A caller who does not say who it is asks a server for lists of accounts, groups, shares, sessions, policies, trusts or endpoints. " +
			"That is how an intruder learns whom to attack and where, and no member of a domain needs it.",
		Mitigation: "On Windows set RestrictAnonymous, RestrictAnonymousSAM and RestrictRemoteSAM, and take Anonymous Logon and Everyone out of " +
			"Pre-Windows 2000 Compatible Access; on Samba set restrict anonymous = 2. Close RPC and SMB between the zones.",
		Techniques: []alerts.Technique{
			domainAccountDiscovery,
			domainGroupDiscovery,
			networkShareDiscovery,
			{ID: "T1049", Name: "System Network Connections Discovery", TacticID: "TA0007", Tactic: "Discovery"},
			{ID: "T1201", Name: "Password Policy Discovery", TacticID: "TA0007", Tactic: "Discovery"},
			{ID: "T1482", Name: "Domain Trust Discovery", TacticID: "TA0007", Tactic: "Discovery"},
		},
		Kinds: []decode.Kind{decode.KindCall},
	}
}

func (rpcAnonymousEnumeration) Evaluate(c *alerts.Context, e decode.Event) {
	x := e.(*decode.Call)
	if !x.Known || !unnamed(x.Caller) {
		return
	}
	what, lists := stub.Enumerates(x.Interface.UUID, x.Opnum)
	if !lists {
		return
	}
	g := offered
	switch {
	case x.Outcome == decode.Answered && gave(x):
		g = returned
	case x.Outcome == decode.Answered, x.Outcome == decode.Faulted:
		g = executed
	}
	f := c.Raise(alerts.Fold{
		By: alerts.ByServer, Key: what, Interface: x.Interface.UUID,
		Severity: enumerationSeverity(c, what, g, x.Caller.Kind),
	})
	if f == nil {
		return
	}
	deed := "asked for a list of"
	switch g {
	case executed:
		deed = "had a server look for"
	case returned:
		deed = "listed"
	}
	f.Say("%v %s %s without authentication: %s of %s at %v", c.Client, deed, what, operationName(x), interfaceName(x.Interface.UUID), c.Server)
	f.Add("listed", what)
	f.Add("grade", grades[g].name)
	interfaceFacts(f, x.Interface)
	callFacts(f, x)
	f.Add("reply_length", x.ReplyLen)
	associationFacts(f, c, &x.Association)
}

func enumerationSeverity(c *alerts.Context, what string, g grade, k auth.Kind) alerts.Severity {
	s := [...]alerts.Severity{offered: alerts.Low, executed: alerts.Low, returned: alerts.Medium}[g]
	if c.Crosses() {
		s = [...]alerts.Severity{offered: alerts.Low, executed: alerts.Medium, returned: alerts.High}[g]
	}
	if what == stub.Endpoints || k == auth.Guest {
		s = max(s-1, alerts.Low)
	}
	return s
}
