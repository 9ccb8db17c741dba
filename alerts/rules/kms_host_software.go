package rules

import (
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
	r.other(c, b, h)
	r.changed(c, b, h)
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
	associationFacts(f, c, &b.Association)
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
	associationFacts(f, c, &b.Association)
}

// fingerprintFacts adds the hash and the text of a fingerprint.
func fingerprintFacts(f *alerts.Finding, of string, p *software.Fingerprint) {
	if p.Known() {
		f.Add(of+"_fingerprint", p.Hash())
		f.Add(of+"_fingerprint_text", p.Text())
	}
}
