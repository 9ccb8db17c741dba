package rules

import (
	"slices"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/auth"
)

// smbNullSession finds anonymous SMB sessions that a server grants, and what they
// go on to: a share, then a named pipe, which is the way to RPC. A session that
// is refused is as it should be, and says nothing. One of a guest is an alert of
// its own: the caller gave a name, and the server did not care.
type smbNullSession struct {
	flows *alerts.Recent[uint64, decode.Position] // that have such a session, and the frame in which it was granted
}

func newSMBNullSession() *smbNullSession {
	return &smbNullSession{flows: alerts.NewRecent[uint64, decode.Position](16384)}
}

func (*smbNullSession) Info() alerts.Info {
	return alerts.Info{
		ID:       "smb-null-session",
		Title:    "SMB session granted to nobody",
		Severity: alerts.Medium,
		Why: "A server grants an SMB session to a caller who does not say who it is. " +
			"With it the caller opens named pipes, and through them asks for accounts, shares and policies.",
		Mitigation: "Set RestrictAnonymous and RestrictNullSessAccess, empty NullSessionPipes and NullSessionShares, and disable the guest account " +
			"(on Samba restrict anonymous = 2 and map to guest = Never). Close SMB between the zones.",
		Techniques: []alerts.Technique{
			networkShareDiscovery,
			smbAdminShares,
		},
		Kinds: []decode.Kind{decode.KindSession, decode.KindTreeConnect, decode.KindPipeOpen, decode.KindFlowEnd},
		Options: []alerts.Option{
			{Name: "usual", What: "Pipes that members of a domain open before they can say who they are; they make it no worse within a zone.",
				Default: []string{"netlogon"}},
		},
	}
}

func (r *smbNullSession) Evaluate(c *alerts.Context, e decode.Event) {
	id := e.Head().Flow.ID
	switch e := e.(type) {
	case *decode.Session:
		if e.Outcome != decode.Accepted || e.Binding || !e.Null && !e.Guest && !unnamed(e.Caller) {
			return
		}
		at, _ := r.flows.Put(id)
		*at = e.Head().At
		if f := r.raise(c, e.Guest || e.Caller.Kind == auth.Guest, alerts.Low, alerts.Medium, decode.Position{}); f != nil {
			f.Say("%v has an SMB session at %v without saying who it is", c.Client, c.Server)
			f.Add("stage", "session")
			if e.Dialect != "" {
				f.Add("smb_dialect", e.Dialect)
			}
			f.Add("encrypted", e.Encrypted)
			callerFacts(f, e.Caller)
		}
	case *decode.TreeConnect:
		if e.Outcome != decode.Accepted || !unnamed(e.Caller) {
			return
		}
		// IPC$ is where pipes are, and nothing by itself; any other share has files.
		within, across := alerts.Medium, alerts.High
		if e.Share == "IPC$" {
			within, across = alerts.Low, alerts.Medium
		}
		if f := r.raise(c, e.Caller.Kind == auth.Guest, within, across, r.granted(id)); f != nil {
			f.Say("%v connected to the share %s at %v without saying who it is", c.Client, e.Share, c.Server)
			f.Add("stage", "share")
			f.Add("share", e.Share)
			f.Add("path", e.Path)
			callerFacts(f, e.Caller)
		}
	case *decode.PipeOpen:
		if e.Outcome != decode.Accepted || !unnamed(e.Caller) {
			return
		}
		within := alerts.Medium
		if slices.Contains(c.Strings("usual"), e.Pipe) {
			within = alerts.Low
		}
		if f := r.raise(c, e.Caller.Kind == auth.Guest, within, alerts.High, r.granted(id)); f != nil {
			f.Say("%v opened the pipe %s at %v without saying who it is", c.Client, e.Pipe, c.Server)
			f.Add("stage", "pipe")
			associationFacts(f, c, &e.Association)
		}
	case *decode.FlowEnd:
		r.flows.Delete(id)
	}
}

// granted gives the frame in which a flow's session was granted.
func (r *smbNullSession) granted(flow uint64) decode.Position {
	if at := r.flows.Get(flow); at != nil {
		return *at
	}
	return decode.Position{}
}

// raise raises an alert at a severity within a zone, or at one across zones. A
// guest's is low within, medium across at most.
func (r *smbNullSession) raise(c *alerts.Context, guest bool, within, across alerts.Severity, earlier decode.Position) *alerts.Finding {
	fold := alerts.Fold{By: alerts.ByServer, Severity: within, Earlier: earlier}
	if c.Crosses() {
		fold.Severity = across
	}
	if guest {
		fold.Key = "guest"
		fold.Severity = min(fold.Severity, alerts.Low)
		if c.Crosses() {
			fold.Severity = alerts.Medium
		}
	}
	return c.Raise(fold)
}
