package rules

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/software"
)

// kmsHostSoftware finds KMS hosts that negotiate RPC in another way than Windows
// does, and those that come to negotiate otherwise than before. What a server
// answers depends on what it is asked, so it is compared among clients that ask
// in the same way.
type kmsHostSoftware struct {
	hosts *alerts.Recent[netip.AddrPort, kmsHabits]
}

// kmsHabits is what is remembered of a KMS host's port.
type kmsHabits struct {
	groups  software.Groups
	last    uint64               // shape of the last negotiation
	alike   uint32               // how many before it had that shape, one after another
	answers [kmsAskers]kmsAnswer // the latest first
}

// kmsAskers is how many ways of asking are remembered, of which one mostly has
// a few: a Windows client of each word size, and a scanner.
const kmsAskers = 4

// kmsAnswer is how a host answers a way of asking, by the hashes of both.
type kmsAnswer struct {
	asked, answered hash
	at              decode.Position
}

type hash [12]byte

func hashOf(f *software.Fingerprint) (h hash) {
	copy(h[:], f.AppendHash(h[:0]))
	return h
}

func newKMSHostSoftware() *kmsHostSoftware {
	return &kmsHostSoftware{hosts: alerts.NewRecent[netip.AddrPort, kmsHabits](4096)}
}

func (*kmsHostSoftware) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-host-software",
		Title:    "KMS host that does not negotiate RPC as Windows does",
		Severity: alerts.Medium,
		Why: "The KMS service is part of Windows. A host that answers in another way runs an emulator for unlicensed software, " +
			"or something else stands where the host stood; one that changes was updated, replaced, or is no longer the one that answers.",
		Mitigation: "Find out what runs on the host. Stop an emulator and activate its clients at a KMS host; " +
			"if the host was updated or replaced on purpose, nothing is to be done.",
		Kinds: []decode.Kind{decode.KindBind},
		Options: []alerts.Option{
			{Name: "expected", What: "How the names of software begin that may serve KMS, in any case.", Default: []string{"Windows"}},
			{Name: "confidence", What: "How sure a name must be to count.", Unit: "of 100", Default: 60},
		},
	}
}

func (r *kmsHostSoftware) Evaluate(c *alerts.Context, e decode.Event) {
	b := e.(*decode.Bind)
	if b.Alter || !accepts(b, dcerpc.KMS) {
		return
	}
	h, _ := r.hosts.Put(netip.AddrPortFrom(c.Server.Addr, c.Server.Port))
	h.groups.Add(&b.Negotiation)
	// Names and fingerprints cost more than all other rules together: a host that
	// goes on as it was is looked at now and then.
	if s := shape(&b.Negotiation); s != h.last {
		h.last, h.alike = s, 0
	} else if h.alike++; h.alike >= oftenEnough && h.alike%oftenEnough != 0 {
		return
	}
	r.other(c, b, h)
	r.changed(c, b, h)
}

// oftenEnough is how many negotiations show a habit.
const oftenEnough = 16

// shape is a hash of what both sides said, call ids and association groups
// aside.
func shape(n *dcerpc.Negotiation) uint64 {
	h := uint64(0xcbf29ce484222325) // as FNV-1a has it, eight bytes at a time
	mix := func(v uint64) { h = (h ^ v) * 0x100000001b3; h ^= h >> 29 }
	mix(uint64(n.Flags)<<24 | uint64(n.AnswerFlags)<<16 | uint64(n.Minor)<<8 | uint64(n.State))
	mix(uint64(n.MaxXmit)<<48 | uint64(n.MaxRecv)<<32 | uint64(n.AnswerXmit)<<16 | uint64(n.AnswerRecv))
	for _, c := range n.Secondary {
		mix(uint64(c))
	}
	for i := range n.Contexts {
		x := &n.Contexts[i]
		mix(uint64(x.ID)<<40 | uint64(x.Result)<<24 | uint64(x.Reason)<<8 | uint64(len(x.Transfer)))
		for k := range x.Transfer {
			mix(binary.LittleEndian.Uint64(x.Transfer[k].UUID[:]))
			mix(binary.LittleEndian.Uint64(x.Transfer[k].UUID[8:]))
		}
	}
	return h
}

// other looks at what the host's software is.
func (r *kmsHostSoftware) other(c *alerts.Context, b *decode.Bind, h *kmsHabits) {
	name, confidence := software.ServerName(&b.Negotiation, &h.groups)
	if name == "" || int(confidence) < c.Int("confidence") {
		return
	}
	for _, expected := range c.Strings("expected") {
		if len(name) >= len(expected) && strings.EqualFold(name[:len(expected)], expected) {
			return
		}
	}
	severity := alerts.Medium
	const sure = 75
	if confidence >= sure {
		severity = alerts.High
	}
	f := c.Raise(alerts.Fold{By: alerts.ServerAlone, Severity: severity, Key: "other"})
	if f == nil {
		return
	}
	f.Say("%v serves KMS on port %d and negotiates RPC as %s does", c.Server, c.Server.Port, name)
	f.Add("server_software", name)
	f.Add("server_software_confidence", confidence)
	server := software.Server(&b.Negotiation)
	fingerprintFacts(f, "server", &server)
	f.Add("groups", h.groups.Habit())
	askerFacts(f, c, b)
}

// changed compares an answer with the last to one who asked in the same way.
func (r *kmsHostSoftware) changed(c *alerts.Context, b *decode.Bind, h *kmsHabits) {
	for i := range b.Contexts {
		if b.Contexts[i].Abstract.UUID != dcerpc.KMS {
			return // the answer depends on that interface too
		}
	}
	client, server := software.Client(&b.Negotiation), software.Server(&b.Negotiation)
	if !client.Known() || !server.Known() {
		return
	}
	now := kmsAnswer{hashOf(&client), hashOf(&server), b.Head().At}
	i := 0
	for i < len(h.answers)-1 && h.answers[i].asked != now.asked {
		i++
	}
	before := h.answers[i]
	copy(h.answers[1:i+1], h.answers[:i])
	h.answers[0] = now
	if before.asked != now.asked || before.answered == now.answered {
		return
	}
	f := c.Raise(alerts.Fold{By: alerts.ServerAlone, Key: "changed", Earlier: before.at})
	if f == nil {
		return
	}
	f.Say("%v serves KMS on port %d and negotiates RPC otherwise than it did before", c.Server, c.Server.Port)
	f.Add("server_fingerprint_before", string(before.answered[:]))
	fingerprintFacts(f, "server", &server)
	fingerprintFacts(f, "client", &client)
	askerFacts(f, c, b)
}

// fingerprintFacts adds the hash and the text of a fingerprint.
func fingerprintFacts(f *alerts.Finding, of string, p *software.Fingerprint) {
	if p.Known() {
		f.Add(of+"_fingerprint", p.Hash())
		f.Add(of+"_fingerprint_text", p.Text())
	}
}

// askerFacts adds who asked, and with what software.
func askerFacts(f *alerts.Finding, c *alerts.Context, b *decode.Bind) {
	associationFacts(f, c, &b.Association)
	if name, confidence := software.ClientName(&b.Negotiation); name != "" {
		f.Add("client_software", name)
		f.Add("client_software_confidence", confidence)
	}
}
