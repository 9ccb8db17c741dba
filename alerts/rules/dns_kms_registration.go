package rules

import (
	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dns"
)

// dnsKMSRegistration finds updates of KMS records by hosts that are no KMS
// hosts. Where KMS hosts are configured, only these are; else those that were
// seen to serve KMS. An update that the server took is worse than one that it
// refused.
type dnsKMSRegistration struct{}

func (dnsKMSRegistration) Info() alerts.Info {
	return alerts.Info{
		ID:       "dns-kms-registration",
		Title:    "A host that is no KMS host changes the KMS records of DNS",
		Severity: alerts.High,
		Why: "Who changes the _vlmcs record sends the KMS clients of the domain to a host of his choice, or takes activation away. " +
			"Often it is a workstation on which somebody installed a KMS host key by mistake.",
		Mitigation: "Allow only secure dynamic updates of the zone, and only the KMS hosts to change the _vlmcs records. " +
			"Remove the record and the KMS host key (slmgr /upk) from the host that registered it.",
		Techniques: []alerts.Technique{adversaryInTheMiddle},
		Kinds:      []decode.Kind{decode.KindDNSUpdate},
	}
}

func (dnsKMSRegistration) Evaluate(c *alerts.Context, e decode.Event) {
	x := e.(*decode.DNSUpdate)
	if x.Message == nil {
		return
	}
	r := kmsUpdate(x.Message)
	if r == nil {
		return
	}
	roles := c.Inventory.Roles(c.Client.Addr)
	if !unconfigured(c) {
		roles = c.Inventory.Configured(c.Client.Addr)
	}
	if roles.Has(inventory.KMS) {
		return
	}
	severity := alerts.Medium
	result := "and no answer was seen"
	switch x.Outcome {
	case decode.Answered:
		severity, result = alerts.High, "and it did"
	case decode.Refused:
		severity, result = alerts.Low, "and was refused"
	}
	f := c.Raise(alerts.Fold{By: alerts.ByBoth, Severity: severity})
	if f == nil {
		return
	}
	if r.Change == dns.Add {
		f.Say("%v, which is no KMS host, asked the DNS server %v to add the KMS record %s at %s, %s", c.Client, c.Server, r.Name, place(r), result)
	} else {
		f.Say("%v, which is no KMS host, asked the DNS server %v to delete the KMS record %s, %s", c.Client, c.Server, r.Name, result)
	}
	f.Add("dns_zone", x.Message.Name)
	f.Add("dns_name", r.Name)
	f.Add("change", r.Change)
	if r.Target != "" {
		f.Add("srv_target", r.Target)
		f.Add("srv_port", r.Port)
		f.Add("srv_ttl", r.TTL)
	}
	f.Add("signed", x.Message.Signed)
	f.Add("outcome", x.Outcome)
	f.Add("dns_rcode", x.RCode)
}

// kmsUpdate gives the record of an UPDATE that changes KMS records, one that
// adds before one that deletes; nil if there is none. Records of the other
// sections say what must be, and change nothing (RFC 2136 2.4).
func kmsUpdate(m *dns.Message) *dns.SRV {
	var found *dns.SRV
	for i := range m.SRV {
		r := &m.SRV[i]
		if r.Section != dns.Update || r.Change == dns.NoChange || !isKMSName(r.Name) {
			continue
		}
		if r.Change == dns.Add {
			return r
		}
		if found == nil {
			found = r
		}
	}
	return found
}
