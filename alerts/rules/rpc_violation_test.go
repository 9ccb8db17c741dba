package rules

import (
	"testing"

	"kmswatch/alerts"
	"kmswatch/decode"
)

func TestRPCViolation(t *testing.T) {
	t.Parallel()
	anomaly := func(p decode.Protocol, name string, evasive, fromServer bool) *decode.Anomaly {
		e := &decode.Anomaly{Protocol: p, Name: name, Evasive: evasive, Offset: 16}
		*e.Head() = head(dmz1, internal1, 50000, 0)
		e.Head().FromServer = fromServer
		return e
	}
	missing := anomaly(decode.ProtoDCERPC, "short-body", false, false)
	missing.Head().Flow.Quality = decode.BytesMissing
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"a PDU that hides", alerts.Config{}, []decode.Event{anomaly(decode.ProtoDCERPC, "tiny-fragments", true, false)},
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) sent 10.0.0.1 (internal) what hides from sensors: tiny-fragments in dcerpc",
				map[string]any{"anomaly": "tiny-fragments", "protocol": "dcerpc", "evasive": true, "offset": int64(16), "from_server": false}}}},
		{"TCP data that differs, from the server", alerts.Config{}, []decode.Event{anomaly(decode.ProtoTCP, "overlap-differs", true, true)},
			[]want{{alerts.Medium, 1, "10.0.0.1 (internal) sent 192.0.2.7 (dmz) what hides from sensors: overlap-differs in tcp", nil}}},
		{"IP fragments that overlap", alerts.Config{}, []decode.Event{anomaly(decode.ProtoPacket, "fragment-overlap", true, false)}, []want{{alerts.Medium, 1, "", nil}}},
		{"SMB that hides, and a token", alerts.Config{}, []decode.Event{anomaly(decode.ProtoSMB, "compound-loop", true, false), anomaly(decode.ProtoNTLMSSP, "fields-overlap", true, false)},
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) sent 10.0.0.1 (internal) what hides from sensors: compound-loop in smb", nil}, {alerts.Medium, 1, "", map[string]any{"protocol": "ntlmssp"}}}},
		{"each anomaly is an alert, its repeats are not", alerts.Config{},
			[]decode.Event{anomaly(decode.ProtoDCERPC, "second-bind", true, false), anomaly(decode.ProtoDCERPC, "unknown-context", true, false), anomaly(decode.ProtoDCERPC, "second-bind", true, false)},
			[]want{{alerts.Medium, 2, "", nil}, {alerts.Medium, 1, "", nil}}},
		{"lengths that disagree, at a lower severity", alerts.Config{}, []decode.Event{anomaly(decode.ProtoDCERPC, "bad-frag-length", false, false)},
			[]want{{alerts.Low, 1, "192.0.2.7 (dmz) sent 10.0.0.1 (internal) what is malformed: bad-frag-length in dcerpc", nil}}},
		{"what is merely malformed, where that is asked for", settings("rpc-violation", alerts.Settings{Options: map[string]any{"malformed": true}}),
			[]decode.Event{anomaly(decode.ProtoDCERPC, "trailing-bytes", false, false), anomaly(decode.ProtoDNS, "bad-label", false, false)},
			[]want{{alerts.Low, 1, "192.0.2.7 (dmz) sent 10.0.0.1 (internal) what is malformed: trailing-bytes in dcerpc", nil}}},

		{"quiet for what is merely malformed", alerts.Config{}, []decode.Event{anomaly(decode.ProtoDCERPC, "trailing-bytes", false, false), anomaly(decode.ProtoTCP, "gap", false, false)}, nil},
		{"quiet for what is merely malformed in what carries RPC", alerts.Config{},
			[]decode.Event{anomaly(decode.ProtoSMB, "short-body", false, false), anomaly(decode.ProtoLDAP, "bad-length", false, false), anomaly(decode.ProtoKerberos, "bad-length", true, false)}, nil},
		{"quiet for lengths where bytes are missing", alerts.Config{}, []decode.Event{missing}, nil},
		{"quiet for KMS messages, which have a rule of their own", alerts.Config{}, []decode.Event{anomaly(decode.ProtoKMS, "cut-body", true, false)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, rpcViolation{}, c.config, c.events...), c.want...)
		})
	}
}
