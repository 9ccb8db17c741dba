package rules

import (
	"fmt"
	"net/netip"
	"strings"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dns"
)

// dnsKMSAnswer finds answers that send KMS clients to where the inventory knows
// no KMS host. Where none is configured there is nothing to compare with, and
// an answer is only worth knowing. A record without addresses is judged by its
// name, if the configuration names every KMS host. An answer that tells of more
// places than a person would read gives one alert.
type dnsKMSAnswer struct{}

func (dnsKMSAnswer) Info() alerts.Info {
	return alerts.Info{
		ID:       "dns-kms-answer",
		Title:    "DNS sends KMS clients to a host that is not in the inventory",
		Severity: alerts.High,
		Why: "KMS clients go to whatever host the _vlmcs record names, without authenticating it. " +
			"A record that nobody planned is a KMS host that nobody looks after, or one that somebody put in the way.",
		Mitigation: "Remove the record, or put its host into the inventory if it is meant to be. " +
			"Allow only secure dynamic updates of the zone, and only the KMS host to change the record.",
		Techniques: []alerts.Technique{adversaryInTheMiddle},
		Kinds:      []decode.Kind{decode.KindSRVLookup},
	}
}

func (dnsKMSAnswer) Evaluate(c *alerts.Context, e decode.Event) {
	x := e.(*decode.SRVLookup)
	if x.Message == nil || x.Outcome != decode.Answered {
		return
	}
	strange := 0
	for i := range x.Message.SRV {
		if unlisted(c, x, i) != known {
			strange++
		}
	}
	for i := range x.Message.SRV {
		wrong := unlisted(c, x, i)
		if wrong == known {
			continue
		}
		r := &x.Message.SRV[i]
		fold := alerts.Fold{By: alerts.ServerAlone, Key: r.Target}
		switch {
		case strange > shown:
			fold.Key = "many"
		case wrong == unknownPort:
			fold.Key = "port" // beside a target's address that is not known
		}
		if unconfigured(c) {
			fold.Severity = alerts.Informational
		}
		if f := c.Raise(fold); f != nil {
			what := [...]string{
				unknownHost:    "the inventory has no such KMS host",
				unknownAddress: "the inventory has no KMS host at such an address",
				unknownPort:    "the inventory has another port for it",
			}[wrong]
			if unconfigured(c) {
				what = "no KMS host is configured"
			}
			if strange > shown {
				what += fmt.Sprintf(", nor at %d other places that it told of", strange-1)
			}
			f.Say("the DNS server %v told %v that KMS is at %s, and %s", c.Server, c.Client, place(r), what)
			lookupFacts(f, x)
			f.Add("srv_target", r.Target)
			f.Add("srv_port", r.Port)
			f.Add("srv_ttl", r.TTL)
			if len(r.Addresses) > 0 {
				f.Add("srv_addresses", addresses(r.Addresses))
				f.Add("srv_zone", c.Party(r.Addresses[0]).Zone.Name)
			}
		}
		if strange > shown {
			return // one alert for so many
		}
	}
}

// unlisted compares a record of an answer with the inventory. One that does
// not say where KMS is counts as known.
func unlisted(c *alerts.Context, x *decode.SRVLookup, i int) wrongness {
	r := &x.Message.SRV[i]
	if !isKMSName(r.Name) && !(isKMSName(x.Name) && r.Section == dns.Answer) || r.Target == "." {
		return known // "." says that there is no such service (RFC 2782)
	}
	return mismatch(c.Inventory, r)
}

// wrongness is what of a record the inventory does not know.
type wrongness uint8

const (
	known wrongness = iota
	unknownHost
	unknownAddress
	unknownPort
)

// mismatch compares a record with the configured KMS hosts.
func mismatch(v *inventory.Inventory, r *dns.SRV) wrongness {
	hosts := v.KMSHosts()
	if len(r.Addresses) > 0 {
		for _, a := range r.Addresses {
			h, ok := v.KMSHost(a)
			if !ok {
				return unknownAddress
			}
			if !h.Serves(r.Port) {
				return unknownPort
			}
		}
		return known
	}
	for i := range hosts {
		if hosts[i].Name == "" {
			return known // as far as can be told
		}
	}
	result := unknownHost
	for i := range hosts {
		if sameHost(hosts[i].Name, r.Target) {
			if hosts[i].Serves(r.Port) {
				return known
			}
			result = unknownPort
		}
	}
	return result
}

// sameHost says whether a target is a host of the configuration, which may be
// named in full or by its first label.
func sameHost(name, target string) bool {
	name = strings.TrimSuffix(name, ".")
	if !strings.Contains(name, ".") {
		target, _, _ = strings.Cut(target, ".")
	}
	return strings.EqualFold(name, target)
}

// place names a record's host, port and address.
func place(r *dns.SRV) string {
	s := fmt.Sprintf("%s port %d", r.Target, r.Port)
	if len(r.Addresses) > 0 {
		s += " (" + strings.Join(addresses(r.Addresses), ", ") + ")"
	}
	return s
}

func addresses(list []netip.Addr) []string {
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.String()
	}
	return few(names)
}
