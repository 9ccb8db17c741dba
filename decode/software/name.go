package software

import "kmswatch/decode/dcerpc"

// Names of software, as they are told.
const (
	Windows64     = "Windows Vista or later, 64-bit"
	Windows32     = "Windows Vista or later, 32-bit"
	WindowsOld    = "Windows before Vista"
	WindowsAny    = "Windows"
	WindowsVlmcsd = "Windows or vlmcsd"
	WindowsWine   = "Windows before Vista, or Wine"
	WindowsSamba  = "Windows or Samba"
	Samba         = "Samba"
	Samba3        = "Samba 3"
	Impacket      = "impacket"
	ImpacketSamba = "impacket, Samba or Windows before Vista"
	Nmap          = "nmap"
	Metasploit    = "Metasploit"
	Scapy         = "Scapy"
	MacOS         = "macOS"
	PyKMS         = "py-kms"
	Vlmcsd        = "vlmcsd"
)

const (
	anyCall      = int64(-1)
	impacketAuth = 79231      // what impacket adds to a context id for the auth_context_id
	pyKMSGroup   = 0x1063bf3f // the association group of py-kms, always
	nmapCall     = 0x41414141
)

// clientRow is what a client is known by. A field at its zero value is not
// looked at, but for call, where that is anyCall.
type clientRow struct {
	name       string
	confidence uint8 // of 100
	xmit, recv uint16
	offers     string // as in the text of the fingerprint; one that ends with f stands for any bits
	call       int64
	multiplex  bool // must be set
	group      bool // joins an association group
	auth       func(*dcerpc.Auth) bool
}

// clients is searched from its top; the first row that fits is the name. To add
// a client: record a bind of it, print its fingerprint with
//
//	go test ./decode/software -run Survey -v -survey FILE
//
// and put a row before those that would fit it too, with a case in TestClientNames.
// Where the source of a program was read and no capture of it, say so.
var clients = [...]clientRow{
	{name: Impacket, confidence: 95, call: anyCall, auth: func(a *dcerpc.Auth) bool {
		return a.Present && a.ContextID >= impacketAuth && a.ContextID < impacketAuth+1<<16
	}},
	{name: Nmap, confidence: 95, call: nmapCall, offers: "32"},                        // msrpc.lua
	{name: Metasploit, confidence: 75, call: 0, xmit: 5840, recv: 5840, offers: "32"}, // rex/proto/dcerpc/packet.rb
	{name: Scapy, confidence: 85, call: anyCall, xmit: 5840, recv: 8192},
	{name: MacOS, confidence: 60, call: anyCall, xmit: 65535, recv: 65535, offers: "32"},
	// py-kms's client wants multiplexing and does not offer NDR64 (pykms_RpcBind.py);
	// Windows has 2 for the first call.
	{name: PyKMS, confidence: 60, call: 1, xmit: 5840, recv: 5840, offers: "32-f", multiplex: true},
	// Of Windows, it is the KMS client that wants multiplexing; that of vlmcsd looks like it.
	{name: WindowsVlmcsd, confidence: 60, call: anyCall, xmit: 5840, recv: 5840, offers: "32-64-f", multiplex: true},
	{name: WindowsVlmcsd, confidence: 45, call: anyCall, xmit: 5840, recv: 5840, offers: "32", multiplex: true},
	{name: Windows64, confidence: 85, call: anyCall, offers: "32-64-f"},
	{name: Windows64, confidence: 70, call: anyCall, offers: "32-64", group: true},
	{name: Windows32, confidence: 75, call: anyCall, offers: "32-f"},
	{name: Impacket, confidence: 70, call: anyCall, xmit: 4280, recv: 4280, offers: "64"},
	{name: Samba, confidence: 80, call: anyCall, xmit: 4280, recv: 4280, offers: "32", auth: func(a *dcerpc.Auth) bool {
		return a.Present && a.ContextID == 1
	}},
	{name: WindowsAny, confidence: 60, call: anyCall, xmit: 5840, recv: 5840, offers: "32", group: true},
	{name: WindowsOld, confidence: 60, call: anyCall, xmit: 4280, recv: 4280, offers: "32", group: true},
	{name: ImpacketSamba, confidence: 45, call: anyCall, xmit: 4280, recv: 4280, offers: "32"},
	{name: WindowsWine, confidence: 40, call: 1, xmit: 5840, recv: 5840, offers: "32"}, // rpcrt4/rpc_message.c: each call is 1
	{name: WindowsOld, confidence: 40, call: anyCall, xmit: 5840, recv: 5840, offers: "32"},
}

// ClientName names the client of a bind, with a confidence of 100 at most; empty
// if its habits are nobody's that is known.
func ClientName(n *dcerpc.Negotiation) (name string, confidence uint8) {
	if n.Alter || n.Cut {
		return "", 0
	}
	var memory [maxText]byte
	offers := appendOffers(memory[:0], n)
	for i := range clients {
		r := &clients[i]
		switch {
		case r.xmit != 0 && r.xmit != n.MaxXmit,
			r.recv != 0 && r.recv != n.MaxRecv,
			r.offers != "" && !fits(offers, r.offers),
			r.call != anyCall && r.call != int64(n.CallID),
			r.multiplex && n.Flags&dcerpc.FlagConcMpx == 0,
			r.group && n.AskedGroup == 0,
			r.auth != nil && !r.auth(&n.Auth):
			continue
		}
		return r.name, r.confidence
	}
	return "", 0
}

// fits compares with what a row has: in full, or up to the bits of features.
func fits(b []byte, want string) bool {
	if want[len(want)-1] != 'f' {
		return string(b) == want
	}
	if len(b) <= len(want) || string(b[:len(want)]) != want {
		return false
	}
	for _, c := range b[len(want):] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// outcome is what a server makes of a transfer syntax.
type outcome uint8

const (
	whatever outcome = iota
	absent           // it was not offered
	taken
	refused
)

// serverRow is what a server is known by. A field at its zero value is not
// looked at.
type serverRow struct {
	name         string
	confidence   uint8 // of 100
	ndr32, ndr64 outcome
	group        uint32   // association group
	habit        Habit    // in choosing those
	wide         bool     // one of them was beyond 16 bits
	kms          bool     // the interface of KMS was bound
	short        bool     // fewer results than contexts
	address      []string // secondary address, one of these, in the case that they have
}

// servers is searched from its top; the first row that fits is the name. To add
// a server, see clients.
var servers = [...]serverRow{
	{name: PyKMS, confidence: 95, group: pyKMSGroup, ndr32: taken},
	{name: PyKMS, confidence: 75, habit: Constant, kms: true, ndr64: refused},
	{name: Samba3, confidence: 70, short: true},
	{name: MacOS, confidence: 60, address: []string{`\PIPE\mdssvc`}},
	// Windows names the pipe that the service listens on, Samba the one that was
	// opened; its srvsvc is in lower case.
	{name: Samba, confidence: 80, address: []string{`\pipe\samr`, `\pipe\srvsvc`, `\pipe\wkssvc`, `\pipe\winreg`}},
	{name: WindowsAny, confidence: 80, address: []string{`\PIPE\srvsvc`, `\PIPE\wkssvc`, `\PIPE\winreg`, `\PIPE\atsvc`, `\pipe\ntsvcs`}},
	// vlmcsd begins to count anywhere in 32 bits, Windows low.
	{name: Vlmcsd, confidence: 60, kms: true, habit: Counting, wide: true},
	{name: Windows64, confidence: 70, ndr64: taken, kms: true, habit: Counting},
	{name: WindowsVlmcsd, confidence: 50, ndr64: taken, kms: true},
	{name: Windows64, confidence: 75, ndr64: taken},
	{name: Samba, confidence: 70, habit: Scattered},
	{name: WindowsAny, confidence: 50, habit: Counting},
	{name: WindowsSamba, confidence: 35, ndr64: refused, ndr32: taken},
}

// ServerName names the server of a bind that was answered with bind_ack, with a
// confidence of 100 at most; empty if its habits are nobody's that is known. g is
// what is known of the groups of the endpoint, nil if nothing is.
func ServerName(n *dcerpc.Negotiation, g *Groups) (name string, confidence uint8) {
	if !acknowledged(n) {
		return "", 0
	}
	ndr32, ndr64, kms := absent, absent, false
	for i := range n.Contexts {
		x := &n.Contexts[i]
		kms = kms || x.Abstract.UUID == dcerpc.KMS
		o := refused
		if x.Answered && x.Result == dcerpc.Acceptance {
			o = taken
		}
		if offers(x, dcerpc.NDR32) && (o == refused || x.Accepted.UUID == dcerpc.NDR32.UUID) {
			ndr32 = settle(ndr32, o)
		}
		if offers(x, dcerpc.NDR64) && (o == refused || x.Accepted.UUID == dcerpc.NDR64.UUID) {
			ndr64 = settle(ndr64, o)
		}
		// An interface that the server does not have says nothing of syntaxes.
		if x.Result == dcerpc.ProviderRejection && x.Reason != unsupportedSyntaxes {
			ndr32, ndr64 = absent, absent
			break
		}
	}
	habit, wide := NoHabit, false
	if g != nil {
		habit, wide = g.Habit(), g.wide
	}
	for i := range servers {
		r := &servers[i]
		switch {
		case r.ndr32 != whatever && r.ndr32 != ndr32,
			r.ndr64 != whatever && r.ndr64 != ndr64,
			r.group != 0 && r.group != n.Group,
			r.habit != NoHabit && r.habit != habit,
			r.wide && !wide,
			r.kms && !kms,
			r.short && (n.Results == 0 || n.Results >= len(n.Contexts)),
			r.address != nil && !one(n.Secondary, r.address):
			continue
		}
		return r.name, r.confidence
	}
	return "", 0
}

// settle keeps that a syntax was taken in any context.
func settle(was, is outcome) outcome {
	if was == taken {
		return taken
	}
	return is
}

// unsupportedSyntaxes is the reason proposed_transfer_syntaxes_not_supported
// (p_provider_reason_t, C706 12.6.3.1).
const unsupportedSyntaxes = 2

func offers(x *dcerpc.ContextItem, s dcerpc.Syntax) bool {
	for _, t := range x.Transfer {
		if t.UUID == s.UUID {
			return true
		}
	}
	return false
}

func one(b []byte, of []string) bool {
	for _, s := range of {
		if string(b) == s {
			return true
		}
	}
	return false
}
