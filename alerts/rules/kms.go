package rules

import (
	"fmt"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/kms"
)

// accepts says whether the server took a bind or alter_context for the
// interface, whatever else it rejected.
func accepts(b *decode.Bind, u dcerpc.UUID) bool {
	if b.Outcome != decode.Accepted {
		return false
	}
	for i := range b.Contexts {
		if c := &b.Contexts[i]; c.Answered && c.Result == dcerpc.Acceptance && c.Abstract.UUID == u {
			return true
		}
	}
	return false
}

// serves says whether an event shows that its server serves KMS: it took a bind
// to the interface, or answered a request.
func serves(e decode.Event) bool {
	switch e := e.(type) {
	case *decode.Bind:
		return accepts(e, dcerpc.KMS)
	case *decode.KMSExchange:
		return e.Outcome == decode.Answered || e.Outcome == decode.Refused
	}
	return false
}

// unconfigured says whether no KMS host is configured at all, so that a rule
// that compares with the inventory has nothing to compare with.
func unconfigured(c *alerts.Context) bool { return len(c.Inventory.KMSHosts()) == 0 }

// activates says what came of an exchange, as a sentence.
func activates(c *alerts.Context, e *decode.KMSExchange) string {
	deed := "asked for activation, without an answer that was seen, at"
	switch e.Outcome {
	case decode.Answered:
		deed = "activated at"
	case decode.Refused:
		deed = "asked for activation and was refused by"
	case decode.Faulted:
		deed = "asked for activation and got a fault from"
	}
	return fmt.Sprintf("%v %s the KMS host %v", c.Client, deed, c.Server)
}

// serving says how a server served KMS, as a sentence.
func serving(c *alerts.Context, e decode.Event) string {
	deed := "accepted a bind to the KMS interface from"
	if x, ok := e.(*decode.KMSExchange); ok {
		deed = "activated"
		if x.Outcome == decode.Refused {
			deed = "refused to activate"
		}
	}
	return fmt.Sprintf("%v %s %v", c.Server, deed, c.Client)
}

// kmsFacts adds what an exchange says in clear; of another event nothing.
func kmsFacts(f *alerts.Finding, e decode.Event) {
	x, ok := e.(*decode.KMSExchange)
	if !ok {
		return
	}
	f.Add("outcome", x.Outcome)
	switch {
	case x.HasRequest:
		f.Add("kms_version", fmt.Sprintf("%d.%d", x.Request.Major, x.Request.Minor))
	case x.HasResponse && x.Response.HasBody:
		f.Add("kms_version", fmt.Sprintf("%d.%d", x.Response.Major, x.Response.Minor))
	}
	switch x.Outcome {
	case decode.Refused:
		f.Add("kms_status", status(x.Status, kms.StatusName(x.Status)))
	case decode.Faulted:
		f.Add("fault_status", status(x.Status, dcerpc.StatusName(x.Status)))
	}
	if !x.HasRequest || x.Request.Major != 4 {
		return
	}
	if name := kms.ApplicationName(x.Request.Application); name != "" {
		f.Add("kms_application", name)
	} else {
		f.Add("kms_application", x.Request.Application)
	}
	f.Add("kms_client_machine", x.Request.ClientMachine)
	if name := x.Request.WorkstationName(); name != "" {
		f.Add("kms_workstation", name)
	}
}

func status(code uint32, name string) string {
	if name == "" {
		return fmt.Sprintf("0x%08X", code)
	}
	return fmt.Sprintf("0x%08X %s", code, name)
}

// evidence gives why an address is taken to have the roles, a line each.
func evidence(c *alerts.Context, p alerts.Party, roles inventory.Roles) []string {
	var lines []string
	for _, e := range c.Inventory.Evidence(p.Addr) {
		if !roles.Has(e.Role) {
			continue
		}
		line := fmt.Sprintf("%v, %v: %s", e.Role, e.Grade, e.What)
		if e.By.IsValid() {
			line += " by " + e.By.String()
		}
		if e.At.Frame > 0 {
			line += fmt.Sprintf(" in frame %d", e.At.Frame)
		}
		lines = append(lines, line)
	}
	return lines
}

// hostFacts adds what the inventory calls a host.
func hostFacts(f *alerts.Finding, h *inventory.KMSHost) {
	if h.Name != "" {
		f.Add("kms_host", h.Name)
	}
}
