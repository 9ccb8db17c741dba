package flow

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"
	"kmswatch/decode/software"
)

// Options of a Recorder. Zones, Inventory and Out are needed.
type Options struct {
	Sensor       string
	Zones        *zone.Table
	Inventory    *inventory.Inventory // has observed an event before the Recorder is given it
	Associations int                  // bound of those remembered until they end; 0 is DefaultAssociations
	Out          func(*Record)        // is given every record, borrowed until it returns
}

// DefaultAssociations is the bound of the associations that are remembered.
const DefaultAssociations = 16384

// Bounds of a record.
const (
	MaxInterfaces = 16
	MaxTargets    = 16
	MaxAddresses  = 16 // of a target
	MaxRoles      = 8
)

// Recorder makes records of events. An association is told when it begins, with
// the answer to its first bind, and when it ends, with its counts; one that had
// to make room for another ends for the Recorder then, and what follows of it is
// an association anew. All else is told as it comes. It is for one goroutine.
type Recorder struct {
	o       Options
	under   *alerts.Recent[decode.AssociationID, association] // under way
	byFlow  map[uint64][]uint32                               // its pipes, 0 for the flow itself
	scratch Record
	evicted uint64
}

// association is the record of one that is under way, and what it was made of,
// which is compared at every call.
type association struct {
	Record
	asked  []dcerpc.Syntax // Interfaces
	caller *auth.Caller    // Caller; never written to, as all that auth gives out
}

// NewRecorder makes one.
func NewRecorder(o Options) *Recorder {
	if o.Associations <= 0 {
		o.Associations = DefaultAssociations
	}
	return &Recorder{
		o: o, under: alerts.NewRecent[decode.AssociationID, association](o.Associations),
		byFlow: make(map[uint64][]uint32),
	}
}

// SetZones has the zones of a configuration that was read anew take their place.
func (r *Recorder) SetZones(z *zone.Table) { r.o.Zones = z }

// Evicted gives the number of associations that made room for others.
func (r *Recorder) Evicted() uint64 { return r.evicted }

// Handle makes the records of an event. It keeps nothing of it but its Caller.
func (r *Recorder) Handle(e decode.Event) {
	switch e := e.(type) {
	case *decode.Bind:
		r.bind(e)
	case *decode.Call:
		a := r.association(&e.Association, e.Head())
		a.Calls++
		if e.Outcome == decode.Faulted || e.Outcome == decode.Rejected {
			a.Faults++
		}
		if e.Known {
			a.ask(e.Interface, e.Accepted)
		}
		a.by(e.Caller)
	case *decode.Auth:
		r.association(&e.Association, e.Head()).by(e.Caller)
	case *decode.KMSExchange:
		r.exchange(e)
	case *decode.SRVLookup:
		r.lookup(e)
	case *decode.Session:
		x := r.begin(SMBSession, e.Head())
		x.Outcome, x.Status, x.Caller = e.Outcome, e.Status, caller(e.Caller)
		x.Dialect, x.Null, x.Guest, x.Encrypted = e.Dialect, e.Null, e.Guest, e.Encrypted
		r.tell(x)
	case *decode.FlowEnd:
		for _, pipe := range r.byFlow[e.Head().Flow.ID] {
			id := decode.AssociationID{Flow: e.Head().Flow.ID, Pipe: pipe}
			if a := r.under.Get(id); a != nil {
				a.Last = max(a.Last, e.Head().Time)
				a.Quality |= e.Head().Flow.Quality
				r.end(a)
				r.under.Delete(id)
			}
		}
		delete(r.byFlow, e.Head().Flow.ID)
	}
}

// Close tells the associations that have not ended, those used longest ago first.
func (r *Recorder) Close() {
	for id, a := r.under.Oldest(); a != nil; id, a = r.under.Oldest() {
		r.end(a)
		r.under.Delete(id)
	}
	clear(r.byFlow)
}

// begin fills the scratch with what records have in common.
func (r *Recorder) begin(k Kind, h *decode.Head) *Record {
	x := &r.scratch
	*x = Record{
		Kind: k, Activity: Traffic, Sensor: r.o.Sensor, Proto: h.Flow.Proto,
		Client: r.side(h.Flow.Client), Server: r.side(h.Flow.Server),
		Start: h.Time, Last: h.Time, Quality: h.Flow.Quality,
		Interfaces: x.Interfaces[:0], Targets: x.Targets[:0], Roles: x.Roles[:0],
	}
	x.CommunityID = string(h.Flow.AppendCommunityID(nil))
	return x
}

func (r *Recorder) side(e decode.Endpoint) End {
	return End{e.Addr.Unmap().WithZone(""), e.Port, r.o.Zones.Lookup(e.Addr).Name}
}

// association gives the record of an association that is under way, a new one if
// it was not known.
func (r *Recorder) association(of *decode.Association, h *decode.Head) *association {
	if a := r.under.Get(of.ID); a != nil {
		a.Last = max(a.Last, h.Time)
		a.Quality |= h.Flow.Quality
		return a
	}
	if r.under.Len() == r.o.Associations {
		id, oldest := r.under.Oldest()
		r.evicted++
		r.end(oldest)
		r.under.Delete(id)
		r.forget(id)
	}
	x := r.begin(Association, h)
	x.Transport, x.Pipe = of.Transport.String(), of.Pipe
	a, _ := r.under.Put(of.ID)
	a.Record = *x
	a.Interfaces, a.Targets, a.Roles = nil, nil, nil
	a.by(of.Caller)
	r.byFlow[of.ID.Flow] = append(r.byFlow[of.ID.Flow], of.ID.Pipe)
	return a
}

// forget takes an association out of those of its flow.
func (r *Recorder) forget(id decode.AssociationID) {
	pipes := r.byFlow[id.Flow]
	if i := slices.Index(pipes, id.Pipe); i >= 0 {
		pipes = slices.Delete(pipes, i, i+1)
	}
	if len(pipes) == 0 {
		delete(r.byFlow, id.Flow)
	} else {
		r.byFlow[id.Flow] = pipes
	}
}

func (r *Recorder) bind(e *decode.Bind) {
	a := r.association(&e.Association, e.Head())
	first := a.Activity == Traffic
	a.by(e.Caller)
	if first || a.Outcome != decode.Accepted {
		a.Outcome = e.Outcome
	}
	for i := range e.Contexts {
		c := &e.Contexts[i]
		a.ask(c.Abstract, c.Answered && c.Result == dcerpc.Acceptance)
	}
	if f := software.Client(&e.Negotiation); f.Known() && a.ClientSoftware.Fingerprint == "" {
		name, sure := software.ClientName(&e.Negotiation)
		a.ClientSoftware = Software{f.Hash(), name, sure}
	}
	if f := software.Server(&e.Negotiation); f.Known() && a.ServerSoftware.Fingerprint == "" {
		name, sure := software.ServerName(&e.Negotiation, nil)
		a.ServerSoftware = Software{f.Hash(), name, sure}
	}
	if first {
		a.Activity = Open
		r.tell(&a.Record)
	}
}

// ask adds an interface that was asked for.
func (a *association) ask(s dcerpc.Syntax, accepted bool) {
	if i := slices.Index(a.asked, s); i >= 0 {
		a.Interfaces[i].Accepted = a.Interfaces[i].Accepted || accepted
		return
	}
	if len(a.asked) < MaxInterfaces {
		name, _ := dcerpc.LookupInterface(s.UUID)
		a.asked = append(a.asked, s)
		a.Interfaces = append(a.Interfaces, Interface{s.UUID.String(), fmt.Sprintf("%d.%d", s.Major, s.Minor), name, accepted})
	}
}

// by notes who asks.
func (a *association) by(c *auth.Caller) {
	if a.caller != c || c == nil {
		a.caller, a.Caller = c, caller(c)
	}
}

// end tells an association for the last time.
func (r *Recorder) end(a *association) {
	a.Activity = Close
	r.tell(&a.Record)
}

func (r *Recorder) exchange(e *decode.KMSExchange) {
	x := r.begin(KMSExchange, e.Head())
	x.Outcome, x.Status, x.Caller = e.Outcome, e.Status, caller(e.Caller)
	x.Transport, x.Pipe = e.Transport.String(), e.Pipe
	if e.Asked != 0 {
		x.Start = min(x.Start, e.Asked)
	}
	if e.HasRequest {
		q := &e.Request
		x.KMSVersion = fmt.Sprintf("%d.%d", q.Major, q.Minor)
		if q.Application != (dcerpc.UUID{}) {
			x.Application = q.Application.String()
		}
		if q.ClientMachine != (dcerpc.UUID{}) {
			x.ClientID = q.ClientMachine.String()
		}
		x.Machine = q.WorkstationName()
	}
	r.tell(x)
}

func (r *Recorder) lookup(e *decode.SRVLookup) {
	x := r.begin(SRVLookup, e.Head())
	x.Outcome, x.Name = e.Outcome, e.Name
	if e.Asked != 0 {
		x.Start = min(x.Start, e.Asked)
	}
	if e.Message != nil {
		for i := range e.Message.SRV {
			s := &e.Message.SRV[i]
			if s.Section != dns.Answer || len(x.Targets) == MaxTargets {
				continue
			}
			x.Targets = append(x.Targets, Target{s.Target, s.Port, s.Addresses[:min(len(s.Addresses), MaxAddresses)]})
		}
	}
	r.tell(x)
}

// tell gives out a record, with the roles that its server has at this moment.
func (r *Recorder) tell(x *Record) {
	x.Roles = x.Roles[:0]
	if r.o.Inventory.Roles(x.Server.Addr) != 0 {
		for _, e := range r.o.Inventory.Evidence(x.Server.Addr) {
			i := slices.IndexFunc(x.Roles, func(o Role) bool { return o.Role == e.Role })
			switch {
			case e.Grade < inventory.Probable:
			case i >= 0 && x.Roles[i].Grade >= e.Grade:
			case i >= 0:
				x.Roles[i] = Role{e.Role, e.Grade, e.What}
			case len(x.Roles) < MaxRoles:
				x.Roles = append(x.Roles, Role{e.Role, e.Grade, e.What})
			}
		}
	}
	x.ID, x.Of = x.ids()
	r.o.Out(x)
}

// space is the name space of the ids of records.
var space = dcerpc.MustUUID("7c1f7a36-3c52-5b0e-8f0d-5e2a0c7d9b41")

// ids gives two UUIDs of version 5 (RFC 9562 5.5): of what tells a record from all
// others, and without what its association's records differ in.
func (x *Record) ids() (record, of string) {
	b := make([]byte, 0, 256)
	part := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	end := func(e End) {
		part(e.Addr.String())
		b = binary.BigEndian.AppendUint16(b, e.Port)
	}
	b = append(b, space[:]...)
	part(x.Sensor)
	b = append(b, byte(x.Kind), x.Proto)
	end(x.Client)
	end(x.Server)
	b = binary.BigEndian.AppendUint64(b, uint64(x.Start))
	part(x.Pipe)
	part(x.Name)
	part(x.ClientID)
	of = uuid5(b)
	b = append(b, byte(x.Activity))
	b = binary.BigEndian.AppendUint64(b, uint64(x.Last))
	part(x.Caller.Name)
	return uuid5(b), of
}

func uuid5(b []byte) string {
	sum := sha1.Sum(b)
	u := dcerpc.UUID(sum[:16])
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}

func caller(c *auth.Caller) Caller {
	if c == nil {
		return Caller{Name: auth.Unknown.String(), Kind: auth.Unknown.String()}
	}
	out := Caller{Name: c.String(), Kind: c.Kind.String()}
	if c.Mechanism != auth.NoMechanism {
		out.Mechanism = c.Mechanism.String()
	}
	return out
}

// Addresses gives the addresses that a record's answer names, each once.
func (x *Record) Addresses() (all []netip.Addr) {
	for i := range x.Targets {
		for _, a := range x.Targets[i].Addresses {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}
