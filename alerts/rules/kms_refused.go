package rules

import (
	"fmt"
	"net/netip"
	"time"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

// kmsRefused finds hosts that refuse activations, and clients that repeat them,
// beyond a rate. A client is known by its address and, in version 4, by its
// client machine id, which may come from several addresses. What was refused
// counts for the host alone, so that one trouble gives one alert.
type kmsRefused struct {
	rates *alerts.Recent[rateOf, rate]
}

// rateOf is what a rate is of: a host that refuses, a client's address, or a
// client machine id.
type rateOf struct {
	refuses bool
	addr    netip.Addr
	machine dcerpc.UUID
}

// rate counts from the first event on; the count begins anew once the time is
// over.
type rate struct {
	start int64 // nanoseconds since the epoch
	count int
}

func newKMSRefused() *kmsRefused {
	return &kmsRefused{rates: alerts.NewRecent[rateOf, rate](65536)}
}

func (*kmsRefused) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-refused",
		Title:    "KMS activations refused or repeated beyond a rate",
		Severity: alerts.Medium,
		Why: "A client renews once in seven days and tries again after two hours. " +
			"Many refusals are a host that is set up wrongly or clients that are not entitled; many repeats are a broken client, " +
			"one that raises the host's count, or one that tries the service out.",
		Mitigation: "Look at the status that the host gives. For refusals mend the host's activation or the clients' product keys; " +
			"for repeats look at what runs on the client, and stop it.",
		Kinds: []decode.Kind{decode.KindKMSExchange},
		Options: []alerts.Option{
			{Name: "refusals", What: "Refusals and faults of one host that are too many.", Unit: "answers", Default: 10},
			{Name: "repeats", What: "Requests of one client that are too many.", Unit: "requests", Default: 10},
			{Name: "within", What: "The time in which they are counted.", Default: 10 * time.Minute},
		},
	}
}

func (r *kmsRefused) Evaluate(c *alerts.Context, e decode.Event) {
	x := e.(*decode.KMSExchange)
	within := c.Duration("within")
	if x.Outcome == decode.Refused || x.Outcome == decode.Faulted {
		n := r.count(rateOf{refuses: true, addr: c.Server.Addr}, c.Now(), within)
		if n < c.Int("refusals") {
			return
		}
		if f := c.Raise(alerts.Fold{By: alerts.ByServer, Key: "refused"}); f != nil {
			f.Say("The KMS host %v refused %d activations within %s, the last of %v", c.Server, n, span(within), c.Client)
			f.Add("refusals", n)
			kmsFacts(f, e)
		}
		return
	}
	// Both are counted, whatever comes of the first.
	n := r.count(rateOf{addr: c.Client.Addr}, c.Now(), within)
	m := 0
	if x.HasRequest && x.Request.Major == 4 && x.Request.ClientMachine != (dcerpc.UUID{}) {
		m = r.count(rateOf{machine: x.Request.ClientMachine}, c.Now(), within)
	}
	most := c.Int("repeats")
	switch {
	case n >= most:
		if f := c.Raise(alerts.Fold{By: alerts.ByClient, Key: "repeated", Severity: alerts.Low}); f != nil {
			f.Say("%v asked for activation %d times within %s, the last at the KMS host %v", c.Client, n, span(within), c.Server)
			f.Add("requests", n)
			kmsFacts(f, e)
		}
	case m >= most:
		fold := alerts.Fold{By: alerts.ServerAlone, Key: "machine " + x.Request.ClientMachine.String()}
		if f := c.Raise(fold); f != nil {
			f.Say("The KMS client machine id %v asked for activation %d times within %s, the last from %v at the KMS host %v",
				x.Request.ClientMachine, m, span(within), c.Client, c.Server)
			f.Add("requests", m)
			kmsFacts(f, e)
		}
	}
}

func (r *kmsRefused) count(of rateOf, now int64, within time.Duration) int {
	p, _ := r.rates.Put(of)
	if p.count == 0 || now-p.start > int64(within) {
		*p = rate{start: now}
	}
	p.count++
	return p.count
}

// span writes a duration as people say it.
func span(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return some(uint64(d/time.Hour), "hour")
	case d >= time.Minute && d%time.Minute == 0:
		return some(uint64(d/time.Minute), "minute")
	case d%time.Second == 0:
		return some(uint64(d/time.Second), "second")
	}
	return d.String()
}

// some writes a number of things.
func some(n uint64, name string) string {
	if n == 1 {
		return "1 " + name
	}
	return fmt.Sprintf("%d %ss", n, name)
}
