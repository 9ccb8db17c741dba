package rules

import (
	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/auth"
)

// unnamed says whether the caller is nobody in particular: anonymous, or let in
// as guest.
func unnamed(c *auth.Caller) bool {
	return c.Kind == auth.Anonymous || c.Kind == auth.Guest
}

// callerFacts adds who asks and what the verdict stands on.
func callerFacts(f *alerts.Finding, c *auth.Caller) {
	f.Add("caller", c.String())
	if c.Mechanism != auth.NoMechanism {
		f.Add("caller_mechanism", c.Mechanism)
		f.Add("caller_accepted", c.Accepted)
	}
	if c.Evidence != 0 {
		f.Add("caller_evidence", c.Evidence.Names())
	}
	if c.Workstation != "" {
		f.Add("caller_workstation", c.Workstation)
	}
}

// associationFacts adds who asks, over what, and with what software.
func associationFacts(f *alerts.Finding, c *alerts.Context, a *decode.Association) {
	callerFacts(f, a.Caller)
	f.Add("transport", a.Transport)
	if a.Pipe != "" {
		f.Add("pipe", a.Pipe)
	}
	if name, confidence := c.ClientSoftware(a.ID); name != "" {
		f.Add("client_software", name)
		f.Add("client_software_confidence", confidence)
	}
}
