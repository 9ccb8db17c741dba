package rules

import (
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
)

func TestRPCAnonymousEnumeration(t *testing.T) {
	t.Parallel()
	const name, here = "192.0.2.7 (dmz) ", " at 10.0.0.1 (internal)"
	asked := func(client string, u dcerpc.UUID, opnum uint16, o decode.Outcome) *decode.Call {
		return call(client, internal1, 0, u, opnum, o)
	}
	unknown := asked(dmz1, samr, 13, decode.Answered)
	unknown.Known = false
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"accounts listed over TCP", alerts.Config{}, []decode.Event{asked(dmz1, samr, 13, decode.Answered)},
			[]want{{alerts.High, 1, name + "listed accounts without authentication: SamrEnumerateUsersInDomain of samr" + here,
				map[string]any{"listed": "accounts", "grade": "data-returned", "operation": "SamrEnumerateUsersInDomain", "caller": "anonymous", "transport": "ncacn_ip_tcp"}}}},
		{"shares listed in a pipe of a null session", alerts.Config{}, []decode.Event{by(null, piped(1, "srvsvc", asked(dmz1, srvsvc, 15, decode.Answered)))},
			[]want{{alerts.High, 1, name + "listed shares without authentication: NetrShareEnum of srvsvc" + here,
				map[string]any{"listed": "shares", "transport": "ncacn_np", "pipe": "srvsvc", "caller_mechanism": "ntlm"}}}},
		{"within a zone it is less", alerts.Config{}, []decode.Event{asked(internal2, samr, 13, decode.Answered)}, []want{{alerts.Medium, 1, "", nil}}},
		{"a guest is less", alerts.Config{}, []decode.Event{by(guest, asked(dmz1, samr, 13, decode.Answered))}, []want{{alerts.Medium, 1, "", map[string]any{"caller": "guest"}}}},
		{"what is denied was executed", alerts.Config{}, []decode.Event{asked(dmz1, samr, 13, decode.Faulted)},
			[]want{{alerts.Medium, 1, name + "had a server look for accounts without authentication: SamrEnumerateUsersInDomain of samr" + here, map[string]any{"grade": "executed", "fault_status": "0x00000005 ERROR_ACCESS_DENIED"}}}},
		{"what the runtime refuses, or nobody answers, was not", alerts.Config{}, []decode.Event{asked(dmz1, samr, 13, decode.Rejected), asked(dmz1, samr, 11, decode.Unanswered)},
			[]want{{alerts.Low, 1, name + "asked for a list of accounts without authentication: SamrEnumerateUsersInDomain of samr" + here, map[string]any{"grade": "offered"}}, {alerts.Low, 1, "", map[string]any{"listed": "groups"}}}},
		{"one by one is a list too, and one alert", alerts.Config{}, []decode.Event{asked(dmz1, lsarpc, 15, decode.Faulted), asked(dmz1, lsarpc, 15, decode.Answered), asked(dmz2, lsarpc, 57, decode.Answered)},
			[]want{{alerts.High, 3, "", map[string]any{"listed": "accounts", "operation": "LsarLookupSids"}}}},
		{"the endpoint mapper's list is least", alerts.Config{}, []decode.Event{asked(internal2, dcerpc.EPMapper, 2, decode.Answered), asked(dmz1, dcerpc.EPMapper, 2, decode.Answered)},
			[]want{{alerts.Low, 1, "", map[string]any{"listed": "endpoints"}}, {alerts.Medium, 1, "", nil}}},
		{"trusts and sessions", alerts.Config{}, []decode.Event{asked(dmz1, inventory.Netlogon, 40, decode.Answered), asked(dmz1, wkssvc, 2, decode.Answered)},
			[]want{{alerts.High, 1, "", map[string]any{"listed": "trusts"}}, {alerts.High, 1, "", map[string]any{"listed": "sessions"}}}},

		{"quiet for somebody", alerts.Config{}, []decode.Event{by(alice, asked(dmz1, samr, 13, decode.Answered))}, nil},
		{"quiet where nobody can see who asks", alerts.Config{}, []decode.Event{by(auth.Undisclosed, asked(dmz1, samr, 13, decode.Answered))}, nil},
		{"quiet for the opening of handles", alerts.Config{}, []decode.Event{asked(dmz1, samr, 64, decode.Answered), asked(dmz1, samr, 7, decode.Answered), asked(dmz1, lsarpc, 44, decode.Answered)}, nil},
		{"quiet for what needs no name", alerts.Config{}, []decode.Event{asked(dmz1, dcerpc.EPMapper, 3, decode.Answered), asked(dmz1, inventory.Netlogon, 34, decode.Answered), asked(dmz1, dcerpc.KMS, 0, decode.Answered)}, nil},
		{"quiet for operations that are none", alerts.Config{}, []decode.Event{asked(dmz1, samr, 65535, decode.Faulted)}, nil},
		{"quiet where the interface is not known", alerts.Config{}, []decode.Event{unknown}, nil},
		{"quiet for an exception by interface", settings("rpc-anonymous-enumeration", alerts.Settings{Exceptions: []alerts.Exception{{Interfaces: []dcerpc.UUID{srvsvc}}}}),
			[]decode.Event{asked(dmz1, srvsvc, 15, decode.Answered)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, rpcAnonymousEnumeration{}, c.config, c.events...), c.want...)
		})
	}
}
