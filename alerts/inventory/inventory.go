// Package inventory knows what hosts are: KMS hosts, domain controllers and DNS
// servers, as configured and as observed. It is given the configuration and
// every event, and gives the roles of an address, how sure each is, and the
// evidence. Signs that others than the role's hosts can give are graded lower,
// so that a rule can speak accordingly.
package inventory

import (
	"container/list"
	"net/netip"
	"slices"
	"strings"

	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"
)

// Interfaces that only, or mostly, domain controllers serve.
var (
	Netlogon = dcerpc.MustUUID("12345678-1234-abcd-ef00-01234567cffb") // MS-NRPC 2.1
	DRSUAPI  = dcerpc.MustUUID("e3514235-4b06-11d1-ab04-00c04fc2dcd2") // MS-DRSR 2.1
)

// secureChannel is the security provider of netlogon's secure channel
// (RPC_C_AUTHN_NETLOGON, MS-RPCE 2.2.1.1.7).
const secureChannel dcerpc.AuthType = 0x44

// Roles is a set of roles.
type Roles uint8

// Roles of hosts.
const (
	KMS Roles = 1 << iota
	DomainController
	DNSServer
)

var roleNames = [...]string{"KMS host", "domain controller", "DNS server"}

// Has says whether all roles of s are in the set.
func (r Roles) Has(s Roles) bool { return r&s == s }

// String gives the names, joined by commas.
func (r Roles) String() string {
	var names []string
	for i, n := range roleNames {
		if r&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Grade is how much a piece of evidence is worth.
type Grade uint8

// Grades, the least first. From Probable on the role counts.
const (
	NoEvidence Grade = iota
	Hint             // said by a third party, or given as a sign by many others too
	Probable         // mostly the role's hosts give this sign
	Confirmed        // the host itself did what only the role does
	Configured
)

func (g Grade) String() string {
	return [...]string{"none", "hint", "probable", "confirmed", "configured", "", "", ""}[g&7]
}

// sign is a kind of evidence; a host keeps at most one of each.
type sign uint8

const (
	acceptedKMS sign = iota
	answeredKMS
	acceptedNetlogon
	acceptedSecureChannel
	acceptedDRSUAPI
	namedByLocator
	issuedTicket
	refusedTicket
	answeredPing
	answeredRootDSE
	sharedSysvol
	mappedDRSUAPI
	namedByMapper
	mappedKMS
	answeredSRV
	answeredUpdate
	namedInConfig
)

// signs says what each is worth. A domain member too runs the netlogon service
// and may take a bind (MS-NRPC 3.5.3 registers the endpoint whatever the role),
// but it is no server of the secure channel, and drsuapi is registered with the
// directory service alone. A locator record is the word of the DNS server about
// another host, and so is an endpoint at another address than the mapper's own. A
// KDC need not be a domain controller's, but with Windows about it mostly is: that
// it answers counts, that it refuses counts less. Every directory
// tells its root DSE, while the netlogon ping is answered by domain controllers
// alone (MS-ADTS 6.3.3). What a mapper names may be gone.
//
// To add one: a constant above, a line here, the case in Observe.
var signs = [...]struct {
	role  Roles
	grade Grade
	what  string
}{
	acceptedKMS:           {KMS, Probable, "accepted a bind to the KMS interface"},
	answeredKMS:           {KMS, Confirmed, "answered a KMS request"},
	acceptedNetlogon:      {DomainController, Probable, "accepted a bind to netlogon"},
	acceptedSecureChannel: {DomainController, Confirmed, "accepted a netlogon secure channel"},
	acceptedDRSUAPI:       {DomainController, Confirmed, "accepted a bind to drsuapi"},
	namedByLocator:        {DomainController, Probable, "named by the DNS answer to"},
	issuedTicket:          {DomainController, Confirmed, "issued a Kerberos ticket"},
	refusedTicket:         {DomainController, Probable, "answered a Kerberos request with an error"},
	answeredPing:          {DomainController, Confirmed, "answered a netlogon ping"},
	answeredRootDSE:       {DomainController, Hint, "answered a search of the root DSE"},
	sharedSysvol:          {DomainController, Probable, "let a client connect to its share"},
	mappedDRSUAPI:         {DomainController, Probable, "maps an endpoint of drsuapi"},
	namedByMapper:         {DomainController, Hint, "named as an endpoint of drsuapi"},
	mappedKMS:             {KMS, Hint, "named as an endpoint of the KMS interface"},
	answeredSRV:           {DNSServer, Confirmed, "answered an SRV lookup"},
	answeredUpdate:        {DNSServer, Confirmed, "answered a DNS UPDATE"},
	namedInConfig:         {0, Configured, "named in the configuration"},
}

// Evidence is why a host is taken to have a role.
type Evidence struct {
	Role  Roles // one
	Grade Grade
	What  string          // what the host did, as a phrase
	By    netip.Addr      // who said so; the zero Addr if the host itself
	At    decode.Position // the frame first seen; zero if Configured
	Time  int64           // of that frame, nanoseconds since the epoch
	Last  int64           // time last seen
	Count uint64          // how often
}

// KMSHost is a configured KMS host.
type KMSHost struct {
	Name       string
	Addresses  []netip.Addr   // service addresses
	Management netip.Addr     // the only one that should serve KMS; the zero Addr if none is named
	Clients    []netip.Prefix // who may activate; nobody is named iff empty
	Ports      []uint16       // empty is DefaultPort
}

// DefaultPort is the TCP port of KMS.
const DefaultPort uint16 = 1688

// Serves says whether KMS belongs on that port of the host.
func (h *KMSHost) Serves(port uint16) bool {
	if len(h.Ports) == 0 {
		return port == DefaultPort
	}
	return slices.Contains(h.Ports, port)
}

// Allows says whether a client at that address may activate: always, where no
// client networks are configured.
func (h *KMSHost) Allows(client netip.Addr) bool {
	client = client.Unmap().WithZone("")
	return len(h.Clients) == 0 || slices.ContainsFunc(h.Clients, func(p netip.Prefix) bool { return p.Contains(client) })
}

// Config is what is known beforehand.
type Config struct {
	KMSHosts          []KMSHost
	DomainControllers []netip.Addr
	DNSServers        []netip.Addr
	Hosts             int // bound of the observed hosts; 0 is DefaultHosts
}

// DefaultHosts is the bound of the table of observed hosts.
const DefaultHosts = 65536

// namedAtMost bounds the hosts learnt from one DNS answer, so that one message
// cannot push out what many others taught.
const namedAtMost = 64

// Inventory is the table of hosts. It is for one goroutine, that which handles
// the events.
type Inventory struct {
	kms        map[netip.Addr]*KMSHost
	kmsHosts   []KMSHost
	configured map[netip.Addr]Roles
	observed   map[netip.Addr]*list.Element // of *host
	recent     list.List                    // the latest seen first
	bound      int
	evicted    uint64
	namesDCs   bool
}

type host struct {
	addr  netip.Addr
	roles Roles
	seen  []record
}

type record struct {
	sign  sign
	at    decode.Position
	time  int64
	last  int64
	count uint64
	by    netip.Addr
	name  string
}

// New makes an inventory of what is configured. An address given for two KMS
// hosts belongs to the first.
func New(c Config) *Inventory {
	v := &Inventory{observed: make(map[netip.Addr]*list.Element), bound: c.Hosts}
	if v.bound <= 0 {
		v.bound = DefaultHosts
	}
	v.Reconfigure(c)
	return v
}

// Reconfigure has c take the place of what was configured, but for Hosts. What
// was observed stays.
func (v *Inventory) Reconfigure(c Config) {
	v.kms = make(map[netip.Addr]*KMSHost)
	v.kmsHosts = slices.Clone(c.KMSHosts)
	v.configured = make(map[netip.Addr]Roles)
	v.namesDCs = len(c.DomainControllers) > 0
	for i := range v.kmsHosts {
		h := &v.kmsHosts[i]
		for _, a := range h.Addresses {
			v.addKMS(a, h)
		}
		if h.Management.IsValid() {
			v.addKMS(h.Management, h)
		}
	}
	for _, a := range c.DomainControllers {
		v.configured[plain(a)] |= DomainController
	}
	for _, a := range c.DNSServers {
		v.configured[plain(a)] |= DNSServer
	}
}

func (v *Inventory) addKMS(a netip.Addr, h *KMSHost) {
	a = plain(a)
	if _, taken := v.kms[a]; !taken {
		v.kms[a] = h
		v.configured[a] |= KMS
	}
}

// plain is the form of an address in the tables.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// KMSHost gives the configured KMS host that has that service or management
// address.
func (v *Inventory) KMSHost(a netip.Addr) (h *KMSHost, ok bool) {
	h, ok = v.kms[plain(a)]
	return h, ok
}

// KMSHosts gives the configured KMS hosts. They are not to be changed.
func (v *Inventory) KMSHosts() []KMSHost { return v.kmsHosts }

// IsKMSPort says whether KMS belongs on that port of that address: one of the
// ports of a configured KMS host there, else DefaultPort.
func (v *Inventory) IsKMSPort(a netip.Addr, port uint16) bool {
	if h, ok := v.KMSHost(a); ok {
		return h.Serves(port)
	}
	return port == DefaultPort
}

// Roles gives the roles of an address, configured or observed with evidence
// that is at least Probable.
func (v *Inventory) Roles(a netip.Addr) Roles {
	a = plain(a)
	r := v.configured[a]
	if e := v.observed[a]; e != nil {
		r |= e.Value.(*host).roles
	}
	return r
}

// Configured gives the roles of an address that the configuration names.
func (v *Inventory) Configured(a netip.Addr) Roles { return v.configured[plain(a)] }

// NamesDomainControllers says whether the configuration names any, so that a
// host that it does not name is not meant to be one.
func (v *Inventory) NamesDomainControllers() bool { return v.namesDCs }

// Grade gives the best evidence for one role of an address.
func (v *Inventory) Grade(a netip.Addr, role Roles) Grade {
	a = plain(a)
	if v.configured[a].Has(role) {
		return Configured
	}
	best := NoEvidence
	if e := v.observed[a]; e != nil {
		for i := range e.Value.(*host).seen {
			if s := signs[e.Value.(*host).seen[i].sign]; s.role == role {
				best = max(best, s.grade)
			}
		}
	}
	return best
}

// Evidence gives all that is known of the roles of an address, the configured
// first, then as it was first seen. The slice is the caller's.
func (v *Inventory) Evidence(a netip.Addr) []Evidence {
	a = plain(a)
	var out []Evidence
	for i := range roleNames {
		if role := Roles(1 << i); v.configured[a].Has(role) {
			out = append(out, Evidence{Role: role, Grade: Configured, What: signs[namedInConfig].what})
		}
	}
	if e := v.observed[a]; e != nil {
		for _, r := range e.Value.(*host).seen {
			s := signs[r.sign]
			what := s.what
			if r.name != "" {
				what += " " + r.name
			}
			out = append(out, Evidence{s.role, s.grade, what, r.by, r.at, r.time, r.last, r.count})
		}
	}
	return out
}

// Hosts gives the number of observed hosts, and of those that made room for
// others.
func (v *Inventory) Hosts() (now int, evicted uint64) { return len(v.observed), v.evicted }

// Observe learns from an event. It keeps nothing of it and allocates only for
// a host or a sign not seen before.
func (v *Inventory) Observe(e decode.Event) {
	switch e := e.(type) {
	case *decode.Bind:
		if e.Outcome == decode.Accepted {
			v.bind(e)
		}
	case *decode.KMSExchange:
		// A refusal is the KMS service's own word as well.
		if e.HasResponse && (e.Outcome == decode.Answered || e.Outcome == decode.Refused) {
			v.note(e.Head().Flow.Server.Addr, answeredKMS, e.Head(), netip.Addr{}, "")
		}
	case *decode.SRVLookup:
		if e.Message == nil {
			return
		}
		h := e.Head()
		v.note(h.Flow.Server.Addr, answeredSRV, h, netip.Addr{}, "")
		if e.Outcome == decode.Answered {
			v.named(h, e.Message)
		}
	case *decode.DNSUpdate:
		if e.Outcome == decode.Answered || e.Outcome == decode.Refused {
			v.note(e.Head().Flow.Server.Addr, answeredUpdate, e.Head(), netip.Addr{}, "")
		}
	case *decode.KerberosReply:
		switch e.Outcome {
		case decode.Answered:
			v.note(e.Head().Flow.Server.Addr, issuedTicket, e.Head(), netip.Addr{}, "")
		case decode.Refused:
			v.note(e.Head().Flow.Server.Addr, refusedTicket, e.Head(), netip.Addr{}, "")
		}
	case *decode.LDAPSearch:
		if e.Outcome != decode.Answered || e.Entries == 0 {
			return
		}
		switch {
		case e.NetlogonPing:
			v.note(e.Head().Flow.Server.Addr, answeredPing, e.Head(), netip.Addr{}, "")
		case e.RootDSE:
			v.note(e.Head().Flow.Server.Addr, answeredRootDSE, e.Head(), netip.Addr{}, "")
		}
	case *decode.TreeConnect:
		if e.Outcome == decode.Accepted && (e.Share == "SYSVOL" || e.Share == "NETLOGON") {
			v.note(e.Head().Flow.Server.Addr, sharedSysvol, e.Head(), netip.Addr{}, e.Share)
		}
	case *decode.EndpointMapped:
		v.mapped(e)
	}
}

// mapped learns from an answer of an endpoint mapper.
func (v *Inventory) mapped(e *decode.EndpointMapped) {
	h := e.Head()
	mapper := h.Flow.Server.Addr
	at, by := mapper, netip.Addr{}
	if e.Addr.IsValid() && !e.Addr.IsUnspecified() && plain(e.Addr) != plain(mapper) {
		at, by = e.Addr, mapper
	}
	switch {
	case e.Interface.UUID == DRSUAPI && by.IsValid():
		v.note(at, namedByMapper, h, by, "")
	case e.Interface.UUID == DRSUAPI:
		v.note(at, mappedDRSUAPI, h, by, "")
	case e.Interface.UUID == dcerpc.KMS:
		v.note(at, mappedKMS, h, by, "")
	}
}

// bind learns from a bind or alter_context that the server took, by the
// contexts it took: what was only asked for says nothing of the server.
func (v *Inventory) bind(e *decode.Bind) {
	h := e.Head()
	server := h.Flow.Server.Addr
	for i := range e.Contexts {
		c := &e.Contexts[i]
		if !c.Answered || c.Result != dcerpc.Acceptance {
			continue
		}
		switch c.Abstract.UUID {
		case dcerpc.KMS:
			v.note(server, acceptedKMS, h, netip.Addr{}, "")
		case DRSUAPI:
			v.note(server, acceptedDRSUAPI, h, netip.Addr{}, "")
		case Netlogon:
			if e.Auth.Present && e.Auth.Type == secureChannel {
				v.note(server, acceptedSecureChannel, h, netip.Addr{}, "")
			} else {
				v.note(server, acceptedNetlogon, h, netip.Addr{}, "")
			}
		}
	}
}

// named learns the domain controllers that a DNS answer names.
func (v *Inventory) named(h *decode.Head, m *dns.Message) {
	n := 0
	for i := range m.SRV {
		r := &m.SRV[i]
		if !IsLocator(r.Name) {
			continue
		}
		for _, a := range r.Addresses {
			if n == namedAtMost {
				return
			}
			n++
			v.note(a, namedByLocator, h, h.Flow.Server.Addr, r.Name)
		}
	}
}

// note records a sign of the host at a.
func (v *Inventory) note(a netip.Addr, s sign, h *decode.Head, by netip.Addr, name string) {
	a = plain(a)
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return
	}
	e := v.observed[a]
	if e == nil {
		if len(v.observed) >= v.bound {
			oldest := v.recent.Back()
			delete(v.observed, oldest.Value.(*host).addr)
			v.recent.Remove(oldest)
			v.evicted++
		}
		e = v.recent.PushFront(&host{addr: a})
		v.observed[a] = e
	} else {
		v.recent.MoveToFront(e)
	}
	k := e.Value.(*host)
	for i := range k.seen {
		if r := &k.seen[i]; r.sign == s {
			r.last = h.Time
			r.count++
			return
		}
	}
	k.seen = append(k.seen, record{s, h.At, h.Time, h.Time, 1, plain(by), strings.Clone(name)})
	if signs[s].grade >= Probable {
		k.roles |= signs[s].role
	}
}

// IsLocator says whether the SRV records of that name are those by which
// domain controllers are found (MS-ADTS 6.3.2.3): a service below _msdcs, or
// the global catalogue. _ldap._tcp and _kerberos._tcp of a domain alone are
// not, since any LDAP server and any KDC has them. The name is in lower case
// and without the final dot.
func IsLocator(name string) bool {
	if strings.HasPrefix(name, "_gc._tcp.") {
		return true
	}
	if !strings.HasPrefix(name, "_ldap._tcp.") && !strings.HasPrefix(name, "_kerberos._tcp.") {
		return false
	}
	return strings.Contains(name, "._msdcs.") || strings.HasSuffix(name, "._msdcs")
}
