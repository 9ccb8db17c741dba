package main

import (
	"kmswatch/decode"
	"kmswatch/decode/auth"
	"kmswatch/decode/ntlmssp"
	"kmswatch/decode/rpch"
	"kmswatch/decode/spnego"
)

// ntlmMessage is what the decode verb says of one message of NTLM: names, and
// never a response or a challenge.
type ntlmMessage struct {
	Type        string  `json:"type"` // NEGOTIATE, CHALLENGE, AUTHENTICATE
	Flags       *uint32 `json:"flags,omitempty"`
	Domain      string  `json:"domain,omitempty"`
	User        string  `json:"user,omitempty"`
	Workstation string  `json:"workstation,omitempty"`
	Target      string  `json:"target,omitempty"`
	NBComputer  string  `json:"netbios_computer,omitempty"`
	NBDomain    string  `json:"netbios_domain,omitempty"`
	DNSComputer string  `json:"dns_computer,omitempty"`
	DNSDomain   string  `json:"dns_domain,omitempty"`
	Service     string  `json:"service,omitempty"`
	MIC         bool    `json:"mic,omitempty"`
	NTLMv2      bool    `json:"ntlmv2,omitempty"`
	Anonymous   bool    `json:"anonymous,omitempty"`
}

func newNTLMMessage(n *ntlmssp.Message) *ntlmMessage {
	m := &ntlmMessage{
		Type: n.Type.String(), Domain: n.Domain, User: n.User, Workstation: n.Workstation, Target: n.Target,
		NBComputer: n.Info.NetBIOSComputer, NBDomain: n.Info.NetBIOSDomain,
		DNSComputer: n.Info.DNSComputer, DNSDomain: n.Info.DNSDomain, Service: n.Info.TargetName,
		MIC: n.MIC, NTLMv2: n.NTLMv2, Anonymous: n.Type == ntlmssp.Authenticate && n.Anonymous(),
	}
	if n.HasFlags {
		flags := uint32(n.Flags)
		m.Flags = &flags
	}
	return m
}

// spnegoMessage is what the decode verb says of one token of SPNEGO.
type spnegoMessage struct {
	Form       string   `json:"form"`
	State      string   `json:"state,omitempty"`
	Mechanism  string   `json:"mechanism,omitempty"`
	Mechanisms []string `json:"mechanisms,omitempty"`
	MIC        bool     `json:"mic,omitempty"`
}

func newSPNEGOMessage(t *spnego.Token) *spnegoMessage {
	m := &spnegoMessage{Form: t.Form.String(), MIC: t.HasMIC}
	if t.State != 0 {
		m.State = t.State.String()
	}
	if t.Mech.Mechanism != 0 {
		m.Mechanism = mechanismText(t.Mech)
	}
	for _, x := range t.Mechs {
		m.Mechanisms = append(m.Mechanisms, mechanismText(x))
	}
	return m
}

// mechanismText is the object identifier of a mechanism that has no name here.
func mechanismText(m spnego.Mech) string {
	if m.Mechanism == spnego.Other {
		return spnego.OIDText(m.OID)
	}
	return m.Mechanism.String()
}

type netlogonMessage struct {
	Domain   string `json:"domain,omitempty"`
	Computer string `json:"computer,omitempty"`
	Response bool   `json:"response"`
}

// addToken fills in what a token says, the innermost layer giving the protocol.
func (m *message) addToken(e *decode.Token) {
	t := e.Tokens
	m.Transport, m.Protocol = "tcp", "spnego"
	m.Carrier = e.Carrier.String()
	if e.Carrier == decode.ProtoDCERPC {
		m.Transport, m.Pipe = e.Transport.String(), e.Pipe
	}
	if t.Layers&auth.LayerSPNEGO != 0 {
		m.SPNEGO = newSPNEGOMessage(&t.SPNEGO)
	}
	switch {
	case t.Layers&auth.LayerNTLM != 0:
		m.Protocol, m.NTLM = "ntlmssp", newNTLMMessage(&t.NTLM)
	case t.Layers&auth.LayerKerberos != 0:
		m.Protocol, m.Kerberos = "kerberos", newKerberosMessage(&t.Kerberos)
	case t.Layers&auth.LayerNetlogon != 0:
		m.Protocol = "netlogon"
		m.Netlogon = &netlogonMessage{t.Netlogon.Domain, t.Netlogon.Computer, t.Netlogon.Response}
	}
}

// rtsMessage is what the decode verb says of a PDU that steers the channels of
// ncacn_http.
type rtsMessage struct {
	Name     string   `json:"name,omitempty"` // CONN/A1, ...
	Flags    uint16   `json:"flags"`
	Commands []string `json:"commands,omitempty"`
}

func newRTSMessage(r *rpch.RTS) *rtsMessage {
	m := &rtsMessage{Name: r.Name(), Flags: r.Flags}
	for _, c := range r.Commands() {
		m.Commands = append(m.Commands, c.Type.String())
	}
	return m
}
