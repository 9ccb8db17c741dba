package rules

import (
	"net/netip"
	"testing"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
	"kmswatch/decode/auth"
)

func TestKMSUnauthenticatedClient(t *testing.T) {
	t.Parallel()
	const hour = 3600
	ticket := func(client string, second int, o decode.Outcome) decode.Event {
		return with(head(client, manage1+":88", 50001, second), &decode.KerberosReply{Outcome: o})
	}
	bound := func(client string, second int, c *auth.Caller, o decode.Outcome) decode.Event {
		return with(head(client, manage1+":389", 50001, second), &decode.LDAPBind{Method: decode.LDAPSASL, Caller: c, Outcome: o})
	}
	// others watches for three hours and sees another client authenticate.
	others := func(events ...decode.Event) []decode.Event {
		return append([]decode.Event{ticket(internal2, 0, decode.Answered)}, append(events, ticket(internal2, 3*hour-60, decode.Answered))...)
	}
	activates := func(client string, second int) *decode.KMSExchange {
		return exchange(client, internal1, second, decode.Answered)
	}
	always := settings("kms-unauthenticated-client", alerts.Settings{Options: map[string]any{"always": true}})
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"a client of another zone that never authenticated", alerts.Config{}, append(others(), activates(dmz1, 3*hour)),
			[]want{{alerts.Medium, 1, "192.0.2.7 (dmz) activated at the KMS host 10.0.0.1 (internal), and was not seen to authenticate to the domain within 24 hours",
				map[string]any{"others_authenticate": true, "watched": "3h0m0s", "kms_version": "6.0"}}}},
		{"one of the zone, at a lower severity", alerts.Config{}, append(others(), activates("10.0.0.7", 3*hour)), []want{{alerts.Low, 1, "", nil}}},
		{"one that is refused, likewise", alerts.Config{}, append(others(), exchange(dmz1, internal1, 3*hour, decode.Refused)), []want{{alerts.Low, 1, "", nil}}},
		{"clients of a zone are folded", alerts.Config{}, append(others(), activates(dmz1, 3*hour), activates(dmz2, 3*hour+1)), []want{{alerts.Medium, 2, "", nil}}},
		{"one whose authentication is too long ago", alerts.Config{},
			[]decode.Event{ticket(dmz1, 0, decode.Answered), ticket(internal2, 24*hour, decode.Answered), activates(dmz1, 25*hour)},
			[]want{{alerts.Medium, 1, "", map[string]any{"last_authenticated": "2026-03-04T05:00:00Z"}}}},
		{"what is anonymous, refused or a guest's is no authentication", alerts.Config{},
			append(others(ticket(dmz1, 1, decode.Refused), session(dmz1, manage1, 2, null, decode.Accepted), session(dmz1, manage1, 3, guest, decode.Accepted),
				session(dmz1, manage1, 4, alice, decode.Rejected), bound(dmz1, 5, auth.Unbound, decode.Accepted), bound(dmz1, 6, alice, decode.Rejected),
				proved(dmz1, manage1, 7, emptyToken, decode.Accepted), took(dmz1, manage1, 8, samr)), activates(dmz1, 3*hour)),
			[]want{{alerts.Medium, 1, "", nil}}},
		{"nobody authenticates, where that is asked for", always, []decode.Event{activates(dmz1, 0)},
			[]want{{alerts.Medium, 1, "", map[string]any{"others_authenticate": false}}}},

		{"quiet after a ticket", alerts.Config{}, append(others(ticket(dmz1, 10, decode.Answered)), activates(dmz1, 3*hour)), nil},
		{"quiet after a session", alerts.Config{}, append(others(session(dmz1, manage1, 10, alice, decode.Accepted)), activates(dmz1, 3*hour)), nil},
		{"quiet after a bind of the directory", alerts.Config{}, append(others(bound(dmz1, 10, alice, decode.Accepted)), activates(dmz1, 3*hour)), nil},
		{"quiet after an association that authenticated", alerts.Config{}, append(others(proved(dmz1, manage1, 10, alice, decode.Accepted)), activates(dmz1, 3*hour)), nil},
		{"quiet after a secure channel", alerts.Config{}, append(others(authenticated(took(dmz1, manage1, 10, inventory.Netlogon))), activates(dmz1, 3*hour)), nil},
		{"quiet where the sensor sees nobody authenticate", alerts.Config{}, []decode.Event{activates(dmz1, 0), activates(dmz1, 3*hour)}, nil},
		{"quiet where nobody did so lately", alerts.Config{}, []decode.Event{ticket(internal2, 0, decode.Answered), activates(dmz1, 25*hour)}, nil},
		{"quiet when the sensor has only begun to watch", alerts.Config{}, []decode.Event{ticket(internal2, 0, decode.Answered), activates(dmz1, hour)}, nil},
		{"quiet for a domain controller", alerts.Config{Inventory: inventory.New(inventory.Config{DomainControllers: []netip.Addr{netip.MustParseAddr(manage1)}})},
			append(others(), activates(manage1, 3*hour)), nil},
		{"quiet for what is not answered", always, []decode.Event{exchange(dmz1, internal1, 0, decode.Unanswered), exchange(dmz1, internal1, 1, decode.Faulted)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Window = 30 * 24 * time.Hour
			check(t, evaluate(t, newKMSUnauthenticatedClient(), c.config, c.events...), c.want...)
		})
	}
}
