package rules

import (
	"testing"

	"kmswatch/alerts"
	"kmswatch/decode"
)

func TestUNCHost(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		`\\dc1\share\file`:                  "dc1",
		`\\10.0.0.9\x`:                      "10.0.0.9",
		`\\dc1`:                             "dc1",
		`//dc1/share`:                       "dc1",
		`\/dc1/share`:                       "dc1",
		`\\dc1@80\dav`:                      "dc1",
		`\\dc1@SSL@443\dav`:                 "dc1",
		`\\?\UNC\dc1\share`:                 "dc1",
		`\\.\unc\dc1\share`:                 "dc1",
		`\\?\C:\file`:                       "",
		`\\.\pipe\x`:                        "",
		`C:\file`:                           "",
		`\file`:                             "",
		`\\`:                                "",
		`\\?\`:                              "",
		`\\?\UNC`:                           "",
		`\\?\UNC\`:                          "",
		``:                                  "",
		`\\[2001:db8::1]\c$`:                "[2001:db8::1]",
		`\\2001-db8--1.ipv6-literal.net\c$`: "2001-db8--1.ipv6-literal.net",
	} {
		if got := uncHost(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// asks is a rule of this test: it tells what hosts are to the server.
type asks struct {
	called
	hosts []string
	got   []relation
}

func (a *asks) Info() alerts.Info {
	return alerts.Info{ID: "test-asks", Kinds: []decode.Kind{decode.KindTreeConnect, decode.KindCall}}
}

func (a *asks) Evaluate(c *alerts.Context, e decode.Event) {
	if t, ok := e.(*decode.TreeConnect); ok {
		a.learn(c, t)
		return
	}
	for _, h := range a.hosts {
		a.got = append(a.got, a.of(c, h))
	}
}

func TestTheServerIsKnownByWhatOthersCallIt(t *testing.T) {
	t.Parallel()
	a := &asks{called: newCalled(), hosts: []string{
		"10.0.0.1", "::1", "127.0.0.1", "LOCALHOST", ".", "[::ffff:10.0.0.1]", "srv", "SRV.corp.example", "pretext", "evil", "192.0.2.7", "srv.evil.example",
	}}
	path := func(client, host string, o decode.Outcome) decode.Event {
		e := tree(client, internal1, 0, "IPC$", alice, o)
		e.Path = `\\` + host + `\IPC$`
		return e
	}
	evaluate(t, a, alerts.Config{},
		path(internal2, "srv.corp.example", decode.Accepted), path(dmz1, "pretext", decode.Accepted),
		path(internal2, "evil", decode.Rejected), path(dmz1, "srv.corp.example", decode.Accepted),
		call(dmz1, internal1, 1, samr, 1, decode.Answered))
	want := []relation{itself, itself, itself, itself, itself, itself, itself, itself, soCalled, another, another, another}
	for i, h := range a.hosts {
		if a.got[i] != want[i] {
			t.Errorf("%s: %d, want %d", h, a.got[i], want[i])
		}
	}
}

func TestOneClientNamesAFewNamesOnly(t *testing.T) {
	t.Parallel()
	a := &asks{called: newCalled(), hosts: []string{"aa", "ae", "ab"}}
	var events []decode.Event
	for _, h := range []string{"aa", "ab", "ac", "ad", "ae"} {
		e := tree(internal2, internal1, 0, "IPC$", alice, decode.Accepted)
		e.Path = `\\` + h + `\IPC$`
		events = append(events, e)
	}
	evaluate(t, a, alerts.Config{}, append(events, call(dmz1, internal1, 1, samr, 1, decode.Answered))...)
	if a.got[0] != another || a.got[1] != itself || a.got[2] != itself {
		t.Errorf("%v", a.got)
	}
}
