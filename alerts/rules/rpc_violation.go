package rules

import (
	"slices"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// rpcViolation finds what breaks the protocols beneath MS-RPC, or hides in
// them. That of KMS messages is for kms-malformed.
type rpcViolation struct{}

func (rpcViolation) Info() alerts.Info {
	return alerts.Info{
		ID:       "rpc-violation",
		Title:    "RPC traffic that breaks the protocol or hides from sensors",
		Severity: alerts.Medium,
		Why: "Honest RPC programs do not send it. " +
			"Tools send it that try whether a server breaks, or that want sensors and firewalls to see something else than the server does.",
		Mitigation: "Find out what on the client sent it. Until then, close RPC between it and the server, " +
			"and see that the server has the current security updates.",
		Kinds: []decode.Kind{decode.KindAnomaly},
		Options: []alerts.Option{
			{Name: "malformed", What: "Raise also all else that is malformed in DCE/RPC, which captures with gaps show too.", Default: false},
		},
	}
}

func (rpcViolation) Evaluate(c *alerts.Context, e decode.Event) {
	x := e.(*decode.Anomaly)
	severity := alerts.Severity(0)
	switch x.Protocol {
	case decode.ProtoTCP, decode.ProtoDCERPC:
	case decode.ProtoSMB, decode.ProtoNTLMSSP, decode.ProtoSPNEGO, decode.ProtoLDAP, decode.ProtoEPM:
	case decode.ProtoPacket:
		// What is odd below TCP counts where it may hide RPC, so also where no
		// port was seen; elsewhere it is another's to tell.
		const udp = 17
		portless := c.Client.Port == 0 && c.Server.Port == 0 && x.Head().Flow.Proto != udp
		if !portless && !carriesRPC(c, c.Client) && !carriesRPC(c, c.Server) {
			return
		}
	default:
		return
	}
	if !x.Evasive {
		if x.Protocol != decode.ProtoDCERPC || !disagrees(x) && !c.Bool("malformed") {
			return
		}
		severity = alerts.Low
	}
	if f := c.Raise(alerts.Fold{By: alerts.ByServer, Severity: severity, Key: x.Name}); f != nil {
		from, to := c.Client, c.Server
		if x.Head().FromServer {
			from, to = to, from
		}
		what := "hides from sensors"
		if !x.Evasive {
			what = "is malformed"
		}
		f.Say("%v sent %v what %s: %s in %v", from, to, what, x.Name, x.Protocol)
		f.Add("anomaly", x.Name)
		f.Add("protocol", x.Protocol)
		f.Add("evasive", x.Evasive)
		f.Add("offset", x.Offset)
		f.Add("from_server", x.Head().FromServer)
	}
}

// disagrees tells whether the lengths of one PDU do not fit each other, which
// nothing explains but its sender, unless bytes are missing.
func disagrees(x *decode.Anomaly) bool {
	const missing = decode.BytesMissing | decode.Cut
	switch x.Name {
	case dcerpc.BadFragLength.String(), dcerpc.ShortBody.String(), dcerpc.FragmentTooLong.String():
		return x.Head().Flow.Quality&missing == 0
	}
	return false
}

// carriesRPC tells whether an end of a flow is at a port where RPC is expected:
// those of the endpoint mapper, of SMB, of RPC over HTTP, and of KMS.
func carriesRPC(c *alerts.Context, p alerts.Party) bool {
	switch p.Port {
	case 135, 139, 445, 593, decode.DefaultKMSPort:
		return true
	}
	h, ok := c.Inventory.KMSHost(p.Addr)
	return ok && slices.Contains(h.Ports, p.Port)
}
