package rules

import (
	"net/netip"
	"time"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// rpcSweep finds clients that look for what there is: that bind many
// interfaces, bind at many hosts, or call many operations that do not exist.
// Each counts what is distinct in the time that the option within names, to the
// instant. From another zone it is worse.
type rpcSweep struct {
	clients *alerts.Recent[netip.Addr, sweep]
}

// sweepClients bounds the clients that are remembered.
const sweepClients = 16384

// sweep is what one client did lately.
type sweep struct {
	interfaces distinct[dcerpc.UUID]
	hosts      distinct[netip.Addr]
	operations distinct[operation]
}

type operation struct {
	host  netip.Addr
	iface dcerpc.UUID
	opnum uint16
}

// Statuses of calls to operations that an interface does not have.
const (
	opRangeError    = 0x1c010002 // nca_s_op_rng_error, C706 appendix E
	procnumOutRange = 0x000006d1 // RPC_S_PROCNUM_OUT_OF_RANGE, MS-ERREF 2.2
)

func newRPCSweep() *rpcSweep {
	return &rpcSweep{clients: alerts.NewRecent[netip.Addr, sweep](sweepClients)}
}

func (*rpcSweep) Info() alerts.Info {
	return alerts.Info{
		ID:       "rpc-sweep",
		Title:    "A client looks through RPC services",
		Severity: alerts.Medium,
		Why: "One client tries many interfaces, hosts or operations in a short time. " +
			"Programs that do their work know what they want; scanners and intruders look for what there is.",
		Mitigation: "Find out what runs on the client, and take it off the network if nobody answers for it. " +
			"Except scanners and management stations that are meant to do this by their addresses.",
		Techniques: []alerts.Technique{
			networkServiceDiscovery,
			remoteSystemDiscovery,
		},
		Kinds: []decode.Kind{decode.KindBind, decode.KindCall},
		Options: []alerts.Option{
			{Name: "interfaces", What: "Interfaces that one client binds; a joining member of a domain binds about ten. 0 is never.", Unit: "interfaces", Default: 15},
			{Name: "hosts", What: "Hosts at which one client binds. 0 is never.", Unit: "hosts", Default: 20},
			{Name: "operations", What: "Operations that do not exist and that one client calls. 0 is never.", Unit: "operations", Default: 5},
			{Name: "within", What: "Time within which these count.", Default: time.Minute},
		},
	}
}

func (r *rpcSweep) Evaluate(c *alerts.Context, e decode.Event) {
	now, within := c.Now(), uint64(c.Duration("within"))
	switch e := e.(type) {
	case *decode.Bind:
		s, _ := r.clients.Put(c.Client.Addr)
		if n := c.Int("hosts"); s.hosts.add(c.Server.Addr, n, now, within) {
			r.raise(c, "hosts", "bound RPC interfaces at %d hosts or more, %v the last", n)
		}
		if e.Alter && e.Outcome == decode.Unknown {
			return
		}
		n, many := c.Int("interfaces"), false
		for i := range e.Contexts {
			many = s.interfaces.add(e.Contexts[i].Abstract.UUID, n, now, within) || many
		}
		if many {
			r.raise(c, "interfaces", "bound %d RPC interfaces or more, the last at %v", n)
		}
	case *decode.Call:
		if e.Outcome != decode.Faulted && e.Outcome != decode.Rejected || e.Status != opRangeError && e.Status != procnumOutRange {
			return
		}
		s, _ := r.clients.Put(c.Client.Addr)
		o := operation{c.Server.Addr, e.Interface.UUID, e.Opnum}
		if n := c.Int("operations"); s.operations.add(o, n, now, within) {
			r.raise(c, "operations", "called %d RPC operations or more that do not exist, the last at %v", n)
		}
	}
}

func (r *rpcSweep) raise(c *alerts.Context, of, deed string, n int) {
	severity := alerts.Severity(0)
	if c.Crosses() {
		severity = alerts.High
	}
	if f := c.Raise(alerts.Fold{By: alerts.ClientAlone, Severity: severity, Key: of}); f != nil {
		f.Say("%v "+deed+", within %s", c.Client, n, c.Server, span(c.Duration("within")))
		f.Add("swept", of)
		f.Add("threshold", n)
		f.Add("within_seconds", int(c.Duration("within")/time.Second))
	}
}

// distinct counts distinct things to a threshold, each for some time after it
// was last seen. Since time may step back, what is seen too far ahead does not
// count either.
type distinct[K comparable] struct {
	seen []sighting[K]
}

type sighting[K comparable] struct {
	what K
	time int64 // nanoseconds since the epoch
}

// add counts a thing and says whether the threshold is reached. It keeps no
// more than threshold things, and allocates only for more than it ever kept.
func (d *distinct[K]) add(what K, threshold int, now int64, within uint64) bool {
	if threshold <= 0 {
		return false
	}
	found := false
	for i := range d.seen {
		if s := &d.seen[i]; s.what == what {
			s.time, found = now, true
			break
		}
	}
	if found && len(d.seen) < threshold {
		return false
	}
	furthest, most := -1, uint64(0)
	live := 0
	for i := range d.seen {
		gap := apart(now, d.seen[i].time)
		if gap <= within {
			live++
		}
		if furthest < 0 || gap > most {
			furthest, most = i, gap
		}
	}
	switch {
	case found:
		return live >= threshold
	case len(d.seen) < threshold && most <= within:
		d.seen = append(d.seen, sighting[K]{what, now})
	default: // that one is over, or all are live and one more tells nothing
		d.seen[furthest] = sighting[K]{what, now}
	}
	return live+1 >= threshold
}

// apart gives the distance of two times.
func apart(a, b int64) uint64 {
	if a < b {
		a, b = b, a
	}
	return uint64(a) - uint64(b)
}
