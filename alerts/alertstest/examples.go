// Package alertstest has alerts for the tests of those who write them.
package alertstest

import (
	"net/netip"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/auth"
)

// Examples are alerts that between them have all that an alert can have.
func Examples() map[string]*alerts.Alert {
	dmz, internal := &zone.Zone{Name: "dmz", Trust: 20}, &zone.Zone{Name: "internal", Trust: 50}
	unknown := &zone.Zone{Name: zone.Unknown}
	at := time.Date(2026, 3, 4, 5, 6, 7, 8_999_999, time.UTC).UnixNano()
	client, server := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("::ffff:10.0.0.5")
	info := &alerts.Info{
		ID: "kms-zone-climb", Title: "KMS activation from a less trusted zone", Severity: alerts.High,
		Why: "why", Mitigation: "activate over a proxy",
		Techniques: []alerts.Technique{
			{ID: "T1046", Name: "Network Service Discovery", TacticID: "TA0007", Tactic: "Discovery"},
			{ID: "T1021.002", Name: "SMB/Windows Admin Shares", TacticID: "TA0008", Tactic: "Lateral Movement"},
			{ID: "T1087"},
		},
	}
	full := &alerts.Alert{
		ID: "9764e4a9-7431-5d3a-bb7a-40d3d1469075", Rule: info, Severity: alerts.High,
		First: at, Last: at + 5e9, Window: at - at%int64(time.Hour), Count: 3,
		Client: alerts.Party{Addr: client, Port: 50123, Zone: dmz},
		Server: alerts.Party{Addr: server, Port: 1688, Zone: internal},
		Flow: decode.Flow{
			ID: 9, Client: decode.Endpoint{Addr: client, Port: 50123}, Server: decode.Endpoint{Addr: server, Port: 1688},
			Proto: 6, VLANs: [2]uint16{7, 12}, Tunnel: decode.VXLAN, TunnelID: 5000,
		},
		Clients: alerts.Addresses{First: []netip.Addr{client, netip.MustParseAddr("2001:db8::1")}, Count: 4096, More: true},
		Servers: alerts.Addresses{First: []netip.Addr{server}, Count: 1},
		Frames:  []alerts.Frame{{File: "dmz.pcap", Number: 12}, {Number: 14}},
		Quality: decode.MidStream | decode.Overlap,
		Sensor:  "span-1",
	}
	full.Say("192.0.2.7 (dmz) activates")
	full.Add("kms_version", "6.0")
	full.Add("workstation", "a\"b\\c\x00\x1f\x7f\n\r\t\xff\u2028\u0085\u00e9\U0001F511</script>")
	full.Add("opnum", uint16(0))
	full.Add("offset", -1)
	full.Add("accepted", true)
	full.Add("interfaces", []string{"samr", "lsarpc"})
	full.Add("protocol", decode.ProtoKMS)

	bare := &alerts.Alert{ // of a frame without a flow
		ID: full.ID, Rule: &alerts.Info{ID: "rpc-violation", Mitigation: "m"}, Severity: alerts.Informational, Count: 1,
		Client: alerts.Party{Zone: unknown}, Server: alerts.Party{Zone: unknown},
	}
	ended := full.Clone()
	ended.Stage = alerts.Ended
	ended.Client.Zone = unknown
	ended.Flow.Proto = 132
	ended.Caller = auth.Unverified
	worse := full.Clone()
	worse.Stage = alerts.Worse
	worse.Process = &alerts.Process{Name: "samba", PID: 4711, Server: true}
	worse.Caller = &auth.Caller{Kind: auth.Named, Mechanism: auth.NTLM, Domain: "CORP", User: "WS1$", Workstation: "WS1"}
	worse.Flow.Client.Addr, worse.Flow.Server.Addr = netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::2")
	return map[string]*alerts.Alert{"raised": full, "bare": bare, "ended": ended, "worse": worse}
}
