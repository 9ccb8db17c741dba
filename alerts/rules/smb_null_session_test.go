package rules

import (
	"testing"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/auth"
)

// session is an SMB session setup of a caller.
func session(client, server string, second int, c *auth.Caller, o decode.Outcome) *decode.Session {
	e := &decode.Session{Ask: decode.Position{Frame: uint64(second + 1)}, Dialect: "3.1.1", SessionID: 7, Caller: c, Outcome: o}
	*e.Head() = head(client, server+":445", 50000, second)
	return e
}

func tree(client, server string, second int, share string, c *auth.Caller, o decode.Outcome) *decode.TreeConnect {
	e := &decode.TreeConnect{Ask: decode.Position{Frame: uint64(second + 1)}, Share: share, Path: `\\srv\` + share, SessionID: 7, Caller: c, Outcome: o}
	*e.Head() = head(client, server+":445", 50000, second)
	return e
}

func pipe(client, server string, second int, name string, c *auth.Caller, o decode.Outcome) *decode.PipeOpen {
	e := &decode.PipeOpen{Ask: decode.Position{Frame: uint64(second + 1)}, Outcome: o}
	*e.Head() = head(client, server+":445", 50000, second)
	e.ID.Flow, e.Caller = e.Head().Flow.ID, c
	return piped(1, name, e)
}

func TestSMBNullSession(t *testing.T) {
	t.Parallel()
	marked := session(dmz1, internal1, 0, auth.Nobody, decode.Accepted)
	marked.Null = true
	bound := session(dmz1, internal1, 0, null, decode.Accepted)
	bound.Binding = true
	const name, here = "192.0.2.7 (dmz) ", " at 10.0.0.1 (internal) without saying who it is"
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"a null session that is granted", alerts.Config{}, []decode.Event{session(dmz1, internal1, 0, null, decode.Accepted)},
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) has an SMB session at 10.0.0.1 (internal) without saying who it is",
				map[string]any{"stage": "session", "smb_dialect": "3.1.1", "caller": "anonymous"}}}},
		{"within a zone it is low", alerts.Config{}, []decode.Event{session(internal2, internal1, 0, null, decode.Accepted)}, []want{{alerts.Low, 1, "", nil}}},
		{"one that only the server's flag tells", alerts.Config{}, []decode.Event{marked}, []want{{alerts.Medium, 1, "", nil}}},
		{"worse when IPC$ and a pipe follow", alerts.Config{},
			[]decode.Event{session(dmz1, internal1, 0, null, decode.Accepted), tree(dmz1, internal1, 1, "IPC$", null, decode.Accepted), pipe(dmz1, internal1, 2, "samr", null, decode.Accepted)},
			[]want{{alerts.High, 3, name + "opened the pipe samr" + here, map[string]any{"stage": "pipe", "pipe": "samr", "transport": "ncacn_np"}}}},
		{"within a zone too", alerts.Config{},
			[]decode.Event{session(internal2, internal1, 0, null, decode.Accepted), tree(internal2, internal1, 1, "IPC$", null, decode.Accepted), pipe(internal2, internal1, 2, "samr", null, decode.Accepted)},
			[]want{{alerts.Medium, 3, "", map[string]any{"stage": "pipe"}}}},
		{"but not by the pipe that members of a domain use", alerts.Config{},
			[]decode.Event{session(internal2, internal1, 0, null, decode.Accepted), pipe(internal2, internal1, 2, "netlogon", null, decode.Accepted)}, []want{{alerts.Low, 2, "", nil}}},
		{"files are worse than IPC$", alerts.Config{}, []decode.Event{tree(dmz1, internal1, 1, "PUBLIC", null, decode.Accepted)},
			[]want{{alerts.High, 1, name + "connected to the share PUBLIC" + here, map[string]any{"share": "PUBLIC"}}}},
		{"a guest is an alert of its own", alerts.Config{},
			[]decode.Event{session(dmz1, internal1, 0, guest, decode.Accepted), pipe(dmz1, internal1, 1, "srvsvc", guest, decode.Accepted), session(dmz1, internal1, 0, null, decode.Accepted), session(internal2, internal1, 0, guest, decode.Accepted)},
			[]want{{alerts.Medium, 2, "", map[string]any{"caller": "guest"}}, {alerts.Medium, 1, "", map[string]any{"caller": "anonymous"}}, {alerts.Low, 1, "", nil}}},

		{"quiet for what is refused", alerts.Config{},
			[]decode.Event{session(dmz1, internal1, 0, null, decode.Rejected), tree(dmz1, internal1, 1, "IPC$", null, decode.Rejected), pipe(dmz1, internal1, 2, "samr", null, decode.Rejected)}, nil},
		{"quiet without an answer", alerts.Config{}, []decode.Event{session(dmz1, internal1, 0, null, decode.Unanswered), session(dmz1, internal1, 0, null, decode.Unknown)}, nil},
		{"quiet for somebody", alerts.Config{},
			[]decode.Event{session(dmz1, internal1, 0, alice, decode.Accepted), tree(dmz1, internal1, 1, "IPC$", alice, decode.Accepted), pipe(dmz1, internal1, 2, "samr", alice, decode.Accepted)}, nil},
		{"quiet where nobody can see who asks", alerts.Config{}, []decode.Event{session(dmz1, internal1, 0, auth.Undisclosed, decode.Accepted)}, nil},
		{"quiet for a session that takes another connection", alerts.Config{}, []decode.Event{bound}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, newSMBNullSession(), c.config, c.events...), c.want...)
		})
	}
	got := evaluate(t, newSMBNullSession(), alerts.Config{}, session(dmz1, internal1, 0, null, decode.Accepted), pipe(dmz1, internal1, 9, "samr", null, decode.Accepted))
	if f := got[0].Frames; len(f) != 4 || f[0].Number != 1 || f[3].Number != 11 {
		t.Errorf("frames %v", f)
	}
}
