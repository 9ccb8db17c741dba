package rules

import (
	"net/netip"
	"os"
	"testing"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/kms"
)

// listed is an inventory of one KMS host, internal1, on the usual port.
func listed() *inventory.Inventory {
	return kmsHost(inventory.KMSHost{Name: "kms1", Addresses: []netip.Addr{netip.MustParseAddr(internal1)}})
}

// exchange is a KMS exchange of version 6. A server without a port has 1688.
func exchange(client, server string, second int, o decode.Outcome) *decode.KMSExchange {
	e := &decode.KMSExchange{
		Ask:        decode.Position{Frame: uint64(second + 1)},
		HasRequest: true,
		Request:    kms.Request{Major: 6, Length: 260},
		Outcome:    o,
	}
	switch o {
	case decode.Answered:
		e.HasResponse, e.Response = true, kms.Response{HasBody: true, Major: 6}
	case decode.Refused:
		e.HasResponse, e.Status = true, 0xC004F042
		e.Response.HResult = e.Status
	case decode.Faulted:
		e.Status = 5
	}
	*e.Head() = head(client, kmsPort(server), 50000, second)
	e.ID.Flow, e.Caller = e.Head().Flow.ID, auth.Unverified
	return e
}

// kmsBind is a bind to the KMS interface as Windows makes it, of which the
// server takes NDR64.
func kmsBind(client, server string, second int) *decode.Bind {
	features := context(2, dcerpc.KMS, dcerpc.NegotiateAck)
	features.Transfer = []dcerpc.Syntax{{UUID: dcerpc.MustUUID("6cb71c2c-9812-4540-0300-000000000000"), Major: 1}}
	return bindOf(client, kmsPort(server), second, decode.Accepted,
		context(0, dcerpc.KMS, dcerpc.ProviderRejection), context(1, dcerpc.KMS, dcerpc.Acceptance), features)
}

func bindOf(client, server string, second int, o decode.Outcome, contexts ...dcerpc.ContextItem) *decode.Bind {
	e := &decode.Bind{Request: decode.Position{Frame: uint64(second + 1)}, Contexts: contexts, Outcome: o}
	*e.Head() = head(client, server, 50000, second)
	e.ID.Flow, e.Caller = e.Head().Flow.ID, auth.Unverified
	return e
}

func kmsPort(server string) string {
	if a, err := netip.ParseAddr(server); err == nil {
		return netip.AddrPortFrom(a, inventory.DefaultPort).String()
	}
	return server
}

func TestServing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		e    decode.Event
		want bool
	}{
		{"NDR64 accepted beside NDR32 rejected (trap 5)", kmsBind(dmz1, internal1, 0), true},
		{"KMS rejected beside another interface accepted",
			bindOf(dmz1, internal1, 0, decode.Accepted, context(0, samr, dcerpc.Acceptance), context(1, dcerpc.KMS, dcerpc.ProviderRejection)), false},
		{"features acknowledged are no acceptance (trap 4)", bindOf(dmz1, internal1, 0, decode.Accepted, context(0, dcerpc.KMS, dcerpc.NegotiateAck)), false},
		{"what is asked for is not what is accepted (trap 7b)",
			bindOf(dmz1, internal1, 0, decode.Unanswered, dcerpc.ContextItem{Abstract: dcerpc.Syntax{UUID: dcerpc.KMS}}), false},
		{"an answer", exchange(dmz1, internal1, 0, decode.Answered), true},
		{"a refusal", exchange(dmz1, internal1, 0, decode.Refused), true},
		{"a fault may be that of another service", exchange(dmz1, internal1, 0, decode.Faulted), false},
		{"no answer", exchange(dmz1, internal1, 0, decode.Unanswered), false},
	} {
		if serves(c.e) != c.want {
			t.Errorf("%s: %v", c.name, !c.want)
		}
	}
}

// The example that documents every key names rules and options that there are.
func TestTheFullConfigurationSuitsTheRules(t *testing.T) {
	t.Parallel()
	const name = "../config/testdata/full.yaml"
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var infos []alerts.Info
	for _, r := range All() {
		infos = append(infos, r.Info())
	}
	c, err := config.Load(name, f, config.Known{Rules: infos, Formats: []string{"ocsf"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alerts.New(alerts.Config{Rules: All(), Settings: c.Rules, Zones: c.Zones, Inventory: inventory.New(c.Inventory)}); err != nil {
		t.Error(err)
	}
}
