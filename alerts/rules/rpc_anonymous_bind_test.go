package rules

import (
	"fmt"
	"testing"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
)

func TestRPCAnonymousBind(t *testing.T) {
	t.Parallel()
	rejected := bindOf(dmz1, internal1, 0, decode.Rejected, context(0, samr, dcerpc.ProviderRejection))
	nak := bindOf(dmz1, internal1, 0, decode.Nak, dcerpc.ContextItem{Abstract: dcerpc.Syntax{UUID: samr}})
	nak.NakReason = 8
	hollow := by(auth.Unverified, begun(took(dmz1, internal1, 0, samr)))
	hollow.Auth.Level = dcerpc.LevelNone
	many := make([]dcerpc.ContextItem, anonymousInterfaces+2)
	for i := range many {
		many[i] = context(uint16(i), dcerpc.UUID{15: byte(i + 1)}, dcerpc.Acceptance)
	}
	named := func(second int, u dcerpc.UUID) *decode.Call {
		return by(alice, call(dmz1, internal1, second, u, 6, decode.Answered))
	}
	unaccepted := call(dmz1, internal1, 1, samr, 5, decode.Answered)
	unaccepted.Accepted = false
	unknown := call(dmz1, internal1, 1, samr, 5, decode.Answered)
	unknown.Known, unknown.Accepted = false, false
	var manyPipes []decode.Event
	for i := range uint32(2 * anonymousInterfaces) {
		manyPipes = append(manyPipes,
			by(null, piped(i+1, "samr", took(dmz1, internal1, 0, samr))),
			by(null, piped(i+1, "samr", call(dmz1, internal1, 1, samr, 6, decode.Answered))))
	}
	const name = "192.0.2.7 (dmz) "
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"data returned is worst", alerts.Config{}, []decode.Event{took(dmz1, internal1, 0, samr), call(dmz1, internal1, 1, samr, 6, decode.Answered), ended(dmz1, internal1, 2)},
			[]want{{alerts.High, 1, name + "called samr without authentication at 10.0.0.1 (internal), and got data",
				map[string]any{"grade": "data-returned", "interface": samr.String(), "operation": "SamrEnumerateDomainsInSamServer", "opnum": uint64(6), "caller": "anonymous", "transport": "ncacn_ip_tcp"}}}},
		{"a call that is denied is less", alerts.Config{}, []decode.Event{took(dmz1, internal1, 0, samr), call(dmz1, internal1, 1, samr, 6, decode.Faulted), ended(dmz1, internal1, 2)},
			[]want{{alerts.Medium, 1, name + "called samr without authentication at 10.0.0.1 (internal)", map[string]any{"grade": "executed", "fault_status": "0x00000005 ERROR_ACCESS_DENIED"}}}},
		{"an accepted bind is raised when its flow ends", alerts.Config{}, []decode.Event{took(dmz1, internal1, 0, samr), ended(dmz1, internal1, 9)},
			[]want{{alerts.Medium, 1, name + "bound samr without authentication at 10.0.0.1 (internal)", map[string]any{"grade": "accepted"}}}},
		{"what the server rejects is least, whatever the interface", alerts.Config{},
			[]decode.Event{rejected, ended(dmz1, internal1, 1), flow(2, bindOf(dmz1, internal1, 0, decode.Rejected, context(0, lsarpc, dcerpc.ProviderRejection)))},
			[]want{{alerts.Low, 2, name + "offered to bind samr without authentication at 10.0.0.1 (internal), which did not take it", map[string]any{"grade": "offered", "outcome": "rejected"}}}},
		{"so is a bind_nak", alerts.Config{}, []decode.Event{nak}, []want{{alerts.Low, 1, "", map[string]any{"nak_reason": "authentication_type_not_recognized"}}}},
		{"a verifier of the level none is none", alerts.Config{}, []decode.Event{hollow, ended(dmz1, internal1, 1)}, []want{{alerts.Medium, 1, "", nil}}},
		{"it need not climb", alerts.Config{}, []decode.Event{took(manage1, internal1, 0, samr), ended(manage1, internal1, 1)}, []want{{alerts.Medium, 1, "", nil}}},
		{"each interface is an alert", alerts.Config{},
			[]decode.Event{bindOf(dmz1, internal1, 0, decode.Accepted, context(0, samr, dcerpc.Acceptance), context(1, lsarpc, dcerpc.Acceptance), context(2, samr, dcerpc.Acceptance), context(3, winreg, dcerpc.ProviderRejection)), ended(dmz1, internal1, 1)},
			[]want{{alerts.Medium, 1, "", map[string]any{"interface_name": "samr"}}, {alerts.Medium, 1, "", map[string]any{"interface_name": "lsarpc"}}}},
		{"more interfaces than are remembered are raised at once", alerts.Config{}, []decode.Event{bindOf(dmz1, internal1, 0, decode.Accepted, many...)}, []want{{alerts.Medium, 1, "", nil}, {alerts.Medium, 1, "", nil}}},
		{"a call denied and then one answered", alerts.Config{},
			[]decode.Event{took(dmz1, internal1, 0, samr), call(dmz1, internal1, 1, samr, 6, decode.Faulted), call(dmz1, internal1, 2, samr, 6, decode.Answered), call(dmz1, internal1, 3, samr, 7, decode.Answered), ended(dmz1, internal1, 4)},
			[]want{{alerts.High, 2, "", nil}}},
		{"clients of the zone are folded", alerts.Config{},
			[]decode.Event{took(dmz1, internal1, 0, samr), flow(2, took(dmz2, internal1, 1, samr)), ended(dmz1, internal1, 2), flow(2, ended(dmz2, internal1, 3))}, []want{{alerts.Medium, 2, "", nil}}},
		{"the exempt interfaces are those of the option", settings("rpc-anonymous-bind", alerts.Settings{Options: map[string]any{"exempt": alerts.Interfaces{"samr"}}}),
			[]decode.Event{took(dmz1, internal1, 0, samr), took(dmz1, internal1, 0, dcerpc.EPMapper), ended(dmz1, internal1, 1)}, []want{{alerts.Medium, 1, "", map[string]any{"interface_name": "epmapper"}}}},

		{"quiet for what is anonymous by design", alerts.Config{},
			[]decode.Event{kmsBind(dmz1, internal1, 0), call(dmz1, internal1, 1, dcerpc.KMS, 0, decode.Answered), took(dmz1, internal1, 2, dcerpc.EPMapper), bindOf(dmz1, internal1, 3, decode.Rejected, context(0, dcerpc.EPMapper, dcerpc.ProviderRejection)), ended(dmz1, internal1, 4)}, nil},
		{"quiet within a zone", alerts.Config{}, []decode.Event{took(internal2, internal1, 0, samr), call(internal2, internal1, 1, samr, 6, decode.Answered), ended(internal2, internal1, 2)}, nil},
		{"quiet when authenticated, although requests of the level connect have no verifier", alerts.Config{},
			[]decode.Event{authenticated(took(dmz1, internal1, 0, samr)), named(1, samr), ended(dmz1, internal1, 2)}, nil},
		{"quiet when an alter_context adds an interface to an authenticated association", alerts.Config{},
			[]decode.Event{authenticated(took(dmz1, internal1, 0, samr)), by(alice, alter(took(dmz1, internal1, 1, lsarpc))), named(2, lsarpc), ended(dmz1, internal1, 3)}, nil},
		{"quiet when an alter_context authenticates before the first call", alerts.Config{},
			[]decode.Event{took(dmz1, internal1, 0, samr), authenticated(alter(took(dmz1, internal1, 1, samr))), named(2, samr), ended(dmz1, internal1, 3)}, nil},
		{"but not when it does after it", alerts.Config{},
			[]decode.Event{took(dmz1, internal1, 0, samr), call(dmz1, internal1, 1, samr, 6, decode.Answered), authenticated(alter(took(dmz1, internal1, 2, samr))), ended(dmz1, internal1, 3)}, []want{{alerts.High, 1, "", nil}}},
		{"nor when the server refused the authentication", alerts.Config{},
			[]decode.Event{took(dmz1, internal1, 0, samr), begun(alter(bindOf(dmz1, internal1, 1, decode.Rejected))), ended(dmz1, internal1, 3)}, []want{{alerts.Medium, 1, "", nil}}},
		{"quiet for a call by somebody, and one that the server never took, until the flow ends", alerts.Config{}, []decode.Event{took(dmz1, internal1, 0, samr), named(1, samr), unaccepted}, nil},
		{"quiet for calls whose bind was not seen", alerts.Config{}, []decode.Event{unknown, ended(dmz1, internal1, 2)}, nil},

		{"an anonymous token is no authentication", alerts.Config{},
			[]decode.Event{begun(took(dmz1, internal1, 0, samr)), proved(dmz1, internal1, 1, emptyToken, decode.Accepted), ended(dmz1, internal1, 2)},
			[]want{{alerts.Medium, 1, "", map[string]any{"grade": "accepted", "caller": "anonymous", "caller_mechanism": "ntlm"}}}},
		{"nor is it in the call that follows", alerts.Config{},
			[]decode.Event{begun(took(dmz1, internal1, 0, samr)), proved(dmz1, internal1, 1, emptyToken, decode.Accepted), by(emptyToken, call(dmz1, internal1, 2, samr, 6, decode.Answered)), ended(dmz1, internal1, 3)},
			[]want{{alerts.High, 1, "", map[string]any{"grade": "data-returned", "caller": "anonymous"}}}},
		{"a bind in a pipe of a null session", alerts.Config{},
			[]decode.Event{by(null, piped(1, "samr", took(dmz1, internal1, 0, samr))), by(null, piped(1, "samr", call(dmz1, internal1, 1, samr, 6, decode.Answered))), ended(dmz1, internal1, 2)},
			[]want{{alerts.High, 1, name + "called samr without authentication at 10.0.0.1 (internal), and got data", map[string]any{"transport": "ncacn_np", "pipe": "samr", "caller": "anonymous"}}}},
		{"each pipe is an association of its own", alerts.Config{},
			[]decode.Event{by(null, piped(1, "samr", took(dmz1, internal1, 0, samr))), authenticated(piped(2, "lsarpc", took(dmz1, internal1, 1, lsarpc))), ended(dmz1, internal1, 2)},
			[]want{{alerts.Medium, 1, "", map[string]any{"interface_name": "samr", "pipe": "samr"}}}},
		{"more pipes than are remembered", alerts.Config{}, manyPipes, []want{{alerts.High, 2 * anonymousInterfaces, "", nil}}},
		{"a call whose bind made room for others", alerts.Config{}, []decode.Event{call(dmz1, internal1, 1, samr, 6, decode.Answered), call(dmz1, internal1, 2, samr, 6, decode.Answered), ended(dmz1, internal1, 3)},
			[]want{{alerts.High, 1, "", map[string]any{"grade": "data-returned"}}}},
		{"quiet in a pipe of a session with a name", alerts.Config{},
			[]decode.Event{by(alice, piped(1, "samr", took(dmz1, internal1, 0, samr))), by(alice, piped(1, "samr", call(dmz1, internal1, 1, samr, 6, decode.Answered))), ended(dmz1, internal1, 2)}, nil},
		{"quiet where nobody can see who asks", alerts.Config{},
			[]decode.Event{by(auth.Undisclosed, piped(1, "samr", took(dmz1, internal1, 0, samr))), by(auth.Undisclosed, piped(1, "samr", call(dmz1, internal1, 1, samr, 6, decode.Answered))), ended(dmz1, internal1, 2)}, nil},
		{"quiet when a token turns out to be somebody's", alerts.Config{},
			[]decode.Event{begun(took(dmz1, internal1, 0, samr)), proved(dmz1, internal1, 1, alice, decode.Accepted), ended(dmz1, internal1, 2)}, nil},
		{"quiet when a name is refused", alerts.Config{},
			[]decode.Event{begun(took(dmz1, internal1, 0, samr)), proved(dmz1, internal1, 1, alice, decode.Rejected), named(2, samr), ended(dmz1, internal1, 3)}, nil},
		{"but what was bound before was bound by nobody", alerts.Config{},
			[]decode.Event{took(dmz1, internal1, 0, samr), begun(alter(took(dmz1, internal1, 1, lsarpc))), proved(dmz1, internal1, 2, alice, decode.Rejected), ended(dmz1, internal1, 3)},
			[]want{{alerts.Medium, 1, "", map[string]any{"interface_name": "samr"}}}},
		{"quiet when nothing is seen of what a token turns out to be", alerts.Config{}, []decode.Event{begun(took(dmz1, internal1, 0, samr)), ended(dmz1, internal1, 2)}, nil},
		{"quiet for an exception by interface", settings("rpc-anonymous-bind", alerts.Settings{Exceptions: []alerts.Exception{{ClientZone: "dmz", Interfaces: []dcerpc.UUID{samr}}}}),
			[]decode.Event{rejected, took(dmz1, internal1, 0, samr), call(dmz1, internal1, 1, samr, 6, decode.Answered), ended(dmz1, internal1, 2)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, newRPCAnonymousBind(), c.config, c.events...), c.want...)
		})
	}
}

func TestAnAnonymousCallStandsOnItsBindToo(t *testing.T) {
	t.Parallel()
	got := evaluate(t, newRPCAnonymousBind(), alerts.Config{}, took(dmz1, internal1, 0, samr), call(dmz1, internal1, 10, samr, 6, decode.Answered))
	check(t, got, want{})
	if s := fmt.Sprint(got[0].Frames); s != "[{ 2} { 11} { 12}]" {
		t.Errorf("frames %s", s)
	}
}
