package rules

import (
	"net/netip"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
)

// kmsUnauthenticatedClient finds clients that activate and were never seen to
// authenticate to the domain. What counts is a ticket that a KDC issued to the
// address, an SMB session, a directory bind or an RPC association that a server
// granted to a name, netlogon's secure channel among them. Names of local accounts
// cannot be told from those of the domain, and count.
//
// A sensor that does not see the traffic of the domain would call every client a
// stranger. So the rule waits until it has watched for some time, and speaks only
// where others authenticated lately within its sight.
type kmsUnauthenticatedClient struct {
	clients *alerts.Recent[netip.Addr, int64] // time of the last authentication, nanoseconds since the epoch
	began   int64                             // time of the first event, likewise
	last    int64                             // of anybody's authentication, likewise
	any     bool                              // last is valid
	watches bool                              // began is valid
}

func newKMSUnauthenticatedClient() *kmsUnauthenticatedClient {
	return &kmsUnauthenticatedClient{clients: alerts.NewRecent[netip.Addr, int64](65536)}
}

func (*kmsUnauthenticatedClient) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-unauthenticated-client",
		Title:    "KMS client that never authenticated to the domain",
		Severity: alerts.Low,
		Why: "KMS asks nobody who they are: whoever reaches the host activates. " +
			"A member of the domain takes a Kerberos ticket or opens a session every few hours, so one that activates and does neither " +
			"is a machine that nobody manages, or a host of another zone for which the path to KMS was opened.",
		Mitigation: "Find the machine. Join it to the domain, activate it by MAK or Active Directory-based activation, or keep it from the KMS port. " +
			"Except zones whose hosts are no members of a domain.",
		Kinds: []decode.Kind{decode.KindKMSExchange, decode.KindKerberosReply, decode.KindSession, decode.KindLDAPBind, decode.KindAuth, decode.KindBind},
		Options: []alerts.Option{
			{Name: "within", What: "Time within which a client must have authenticated.", Default: 24 * time.Hour},
			{Name: "watched", What: "Time that the sensor must have watched before it judges; members refresh their group policy within two hours.", Default: 2 * time.Hour},
			{Name: "always", What: "Raise also where the sensor sees nobody authenticate, or has only begun to watch.", Default: false},
		},
	}
}

func (r *kmsUnauthenticatedClient) Evaluate(c *alerts.Context, e decode.Event) {
	now := c.Now()
	if !r.watches {
		r.began, r.watches = now, true
	}
	switch e := e.(type) {
	case *decode.KMSExchange:
		r.exchange(c, e)
		return
	case *decode.KerberosReply:
		if e.Outcome != decode.Answered {
			return
		}
	case *decode.Session:
		if e.Outcome != decode.Accepted || e.Null || e.Guest || !e.Caller.Authenticated() {
			return
		}
	case *decode.LDAPBind:
		if e.Outcome != decode.Accepted || !e.Caller.Authenticated() {
			return
		}
	case *decode.Auth:
		if e.Outcome != decode.Accepted || !e.Caller.Authenticated() {
			return
		}
	case *decode.Bind:
		// What a pipe's binds have from their session was told with it.
		if e.Outcome != decode.Accepted || !verified(&e.Auth) || !e.Caller.Authenticated() {
			return
		}
	}
	at, _ := r.clients.Put(c.Client.Addr)
	*at = now
	r.last, r.any = now, true
}

func (r *kmsUnauthenticatedClient) exchange(c *alerts.Context, x *decode.KMSExchange) {
	if x.Outcome != decode.Answered && x.Outcome != decode.Refused {
		return
	}
	now, within := c.Now(), uint64(c.Duration("within"))
	at := r.clients.Get(c.Client.Addr)
	if at != nil && apart(now, *at) <= within {
		return
	}
	if c.Inventory.Roles(c.Client.Addr).Has(inventory.DomainController) {
		return // others authenticate to it
	}
	sighted := r.any && apart(now, r.last) <= within && apart(now, r.began) >= uint64(c.Duration("watched"))
	if !sighted && !c.Bool("always") {
		return
	}
	severity := alerts.Low
	if c.Crosses() && x.Outcome == decode.Answered {
		severity = alerts.Medium
	}
	f := c.Raise(alerts.Fold{By: alerts.ByServer, Severity: severity})
	if f == nil {
		return
	}
	f.Say("%s, and was not seen to authenticate to the domain within %s", activates(c, x), span(time.Duration(within)))
	if at != nil {
		f.Add("last_authenticated", time.Unix(0, *at).UTC().Format(time.RFC3339))
	}
	f.Add("others_authenticate", r.any && apart(now, r.last) <= within)
	f.Add("watched", time.Duration(apart(now, r.began)).Round(time.Second))
	kmsFacts(f, x)
}
