package rules

import (
	"testing"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// negotiated says how client and server negotiated a bind to KMS: a client of
// Windows, that the server answers with a group. Without NDR64 the server
// refuses that.
func negotiated(server string, second int, group uint32, ndr64 bool) *decode.Bind {
	b := kmsBind(dmz1, server, second)
	if !ndr64 {
		b.Contexts[0].Result, b.Contexts[1].Result = dcerpc.Acceptance, dcerpc.ProviderRejection
		b.Contexts[1].Reason = 2
	} else {
		b.Contexts[0].Reason = 2
	}
	b.Contexts[1].Transfer = []dcerpc.Syntax{dcerpc.NDR64}
	b.Contexts[1].Accepted = dcerpc.NDR64
	for i := range b.Contexts {
		b.Contexts[i].ID = uint16(i)
	}
	b.Group = group
	b.Negotiation = dcerpc.Negotiation{
		CallID: 2, State: dcerpc.NegotiationAccepted, Flags: dcerpc.FlagConcMpx, AnswerFlags: dcerpc.FlagConcMpx,
		MaxXmit: 5840, MaxRecv: 5840, AnswerXmit: 5840, AnswerRecv: 5840,
		Group: group, Contexts: b.Contexts, Secondary: []byte("1688"), Results: len(b.Contexts),
	}
	return b
}

// A host is looked at often enough to see its habit, and when it changes after
// any time.
func TestAHostThatGoesOnIsLookedAtNowAndThen(t *testing.T) {
	t.Parallel()
	var events []decode.Event
	for i := range 1000 {
		events = append(events, negotiated(internal1, i, 0x1063bf3f, false))
	}
	got := evaluate(t, newKMSHostSoftware(), alerts.Config{}, events...)
	check(t, got, want{alerts.High, 1000/oftenEnough + oftenEnough, "", nil})
	check(t, evaluate(t, newKMSHostSoftware(), alerts.Config{}, append(events, negotiated(internal1, 1001, 0x1001, true))...),
		want{alerts.High, 0, "", nil}, want{alerts.Medium, 1, "10.0.0.1 (internal) serves KMS on port 1688 and negotiates RPC otherwise than it did before", nil})
}

func TestKMSHostSoftware(t *testing.T) {
	t.Parallel()
	const pyKMS = 0x1063bf3f // its association group
	small := negotiated(internal1, 9, 0x1003, true)
	small.Negotiation.AnswerXmit = 4280
	mixed := negotiated(internal1, 8, 0x1003, true)
	mixed.Contexts = append(mixed.Contexts, context(3, samr, dcerpc.ProviderRejection))
	mixed.Negotiation.Contexts = mixed.Contexts
	mixed.Negotiation.AnswerXmit, mixed.Negotiation.Results = 1, len(mixed.Contexts)
	another := negotiated(internal1, 9, 0x1003, false)
	another.Negotiation.MaxRecv = 4000 // so another way of asking
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"an emulator", alerts.Config{}, []decode.Event{negotiated(internal1, 0, pyKMS, false)},
			[]want{{alerts.High, 1, "10.0.0.1 (internal) serves KMS on port 1688 and negotiates RPC as py-kms does",
				map[string]any{"server_software": "py-kms", "server_software_confidence": uint64(95), "client_software": "Windows or vlmcsd"}}}},
		{"one that its counting gives away, of which that is less sure", alerts.Config{},
			[]decode.Event{negotiated(internal1, 0, 0x71000001, true), negotiated(internal1, 1, 0x71000002, true), negotiated(internal1, 2, 0x71000003, true), negotiated(internal1, 3, 0x71000004, true)},
			[]want{{alerts.Medium, 1, "10.0.0.1 (internal) serves KMS on port 1688 and negotiates RPC as vlmcsd does", map[string]any{"groups": "counting"}}}},
		{"a host that changes", alerts.Config{}, []decode.Event{negotiated(internal1, 0, 0x1001, true), negotiated(internal1, 1, 0x1002, true), small},
			[]want{{alerts.Medium, 1, "10.0.0.1 (internal) serves KMS on port 1688 and negotiates RPC otherwise than it did before", nil}}},

		{"quiet for Windows", alerts.Config{}, []decode.Event{negotiated(internal1, 0, 0x1001, true), negotiated(internal1, 1, 0x1002, true)}, nil},
		{"quiet for a name that is not sure enough", settings("kms-host-software", alerts.Settings{Options: map[string]any{"confidence": 96}}), []decode.Event{negotiated(internal1, 0, pyKMS, false)}, nil},
		{"quiet for software that is expected", settings("kms-host-software", alerts.Settings{Options: map[string]any{"expected": []string{"Windows", "PY-KMS"}}}), []decode.Event{negotiated(internal1, 0, pyKMS, false)}, nil},
		{"quiet for another way of asking", alerts.Config{}, []decode.Event{negotiated(internal1, 0, 0x1001, true), another}, nil},
		{"quiet for another interface beside it", alerts.Config{}, []decode.Event{negotiated(internal1, 0, 0x1001, true), mixed, mixed}, nil},
		{"quiet for another host", alerts.Config{}, []decode.Event{negotiated(internal1, 0, 0x1001, true), negotiated(internal2, 1, 0x1001, false)}, nil},
		{"quiet for what is not KMS, or not taken", alerts.Config{}, []decode.Event{took(dmz1, internal1, 0, samr), bindOf(dmz1, kmsPort(internal1), 1, decode.Rejected, context(0, dcerpc.KMS, dcerpc.ProviderRejection))}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, newKMSHostSoftware(), c.config, c.events...), c.want...)
		})
	}
	got := evaluate(t, newKMSHostSoftware(), alerts.Config{}, negotiated(internal1, 0, 0x1001, true), small)
	before, now := factOf(got[0], "server_fingerprint_before"), factOf(got[0], "server_fingerprint")
	if before == now || len(before.(string)) != 12 || len(now.(string)) != 12 {
		t.Errorf("%v, then %v", before, now)
	}
	if f := got[0].Frames; len(f) != 3 || f[0].Number != 2 {
		t.Errorf("frames %v: it stands on the bind before too", f)
	}
}
