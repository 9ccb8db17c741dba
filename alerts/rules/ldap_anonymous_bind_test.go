package rules

import (
	"testing"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/auth"
)

func TestLDAPAnonymousBind(t *testing.T) {
	t.Parallel()
	bind := func(client string, second int, m decode.LDAPBindKind, c *auth.Caller, o decode.Outcome) decode.Event {
		return with(head(client, internal1+":389", 50000, second), &decode.LDAPBind{Ask: decode.Position{Frame: uint64(second + 1)}, Method: m, Caller: c, Outcome: o})
	}
	search := func(client string, second int, s decode.LDAPSearch) decode.Event {
		s.Ask = decode.Position{Frame: uint64(second + 1)}
		if s.Caller == nil {
			s.Caller = auth.Unbound
		}
		return with(head(client, internal1+":389", 50000, second), &s)
	}
	users := decode.LDAPSearch{Base: "dc=corp,dc=example", Scope: 2, Entries: 7, Outcome: decode.Answered}
	limited, none, refused, silent, root, ping, named := users, users, users, users, users, users, users
	limited.Outcome, limited.Result = decode.Refused, 4 // sizeLimitExceeded
	none.Entries = 0
	refused.Entries, refused.Outcome, refused.Result = 0, decode.Refused, 1 // operationsError
	silent.Entries, silent.Outcome = 0, decode.Unanswered
	root.Base, root.Scope, root.RootDSE = "", 0, true
	ping.Base, ping.Scope, ping.NetlogonPing = "", 0, true
	named.Caller = alice
	unauthenticated := &auth.Caller{Kind: auth.Anonymous, Accepted: auth.Yes, Evidence: auth.LDAPUnauthenticated, User: "cn=x"}
	const name = "192.0.2.7 (dmz) searched the directory at 10.0.0.1 (internal) without authentication, "
	for _, c := range []struct {
		name   string
		events []decode.Event
		want   []want
	}{
		{"a search that gives entries", []decode.Event{bind(dmz1, 0, decode.LDAPAnonymous, auth.Unbound, decode.Accepted), search(dmz1, 1, users)},
			[]want{{alerts.High, 1, name + "and got entries",
				map[string]any{"grade": "data-returned", "base": "dc=corp,dc=example", "scope": "subtree", "entries": int64(7), "bind": "anonymous", "caller": "anonymous"}}}},
		{"it needs no bind", []decode.Event{search(dmz1, 1, users)}, []want{{alerts.High, 1, "", map[string]any{"bind": "none"}}}},
		{"a name without a password is none", []decode.Event{bind(dmz1, 0, decode.LDAPUnauthenticated, unauthenticated, decode.Accepted), search(dmz1, 1, users)},
			[]want{{alerts.High, 1, "", map[string]any{"bind": "unauthenticated"}}}},
		{"entries up to a limit are entries", []decode.Event{search(dmz1, 1, limited)}, []want{{alerts.High, 1, name + "and got entries", map[string]any{"result": uint64(4)}}}},
		{"within a zone it is less", []decode.Event{search(internal2, 1, users)}, []want{{alerts.Medium, 1, "", nil}}},
		{"no entries are less", []decode.Event{search(dmz1, 1, none)}, []want{{alerts.Medium, 1, name + "and got no entries", nil}}},
		{"a refusal is least, and what comes after it is worse", []decode.Event{search(dmz1, 1, refused), search(dmz1, 2, users)}, []want{{alerts.High, 2, name + "and got entries", nil}}},
		{"a refusal alone", []decode.Event{search(dmz1, 1, refused)}, []want{{alerts.Low, 1, name + "and was refused", map[string]any{"grade": "offered"}}}},

		{"quiet for the root DSE and the netlogon ping", []decode.Event{bind(dmz1, 0, decode.LDAPAnonymous, auth.Unbound, decode.Accepted), search(dmz1, 1, root), search(dmz1, 2, ping)}, nil},
		{"quiet for a bind alone", []decode.Event{bind(dmz1, 0, decode.LDAPAnonymous, auth.Unbound, decode.Accepted)}, nil},
		{"quiet for somebody", []decode.Event{bind(dmz1, 0, decode.LDAPSimple, alice, decode.Accepted), search(dmz1, 1, named)}, nil},
		{"quiet without an answer", []decode.Event{search(dmz1, 1, silent)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, newLDAPAnonymousBind(), alerts.Config{}, c.events...), c.want...)
		})
	}
}
