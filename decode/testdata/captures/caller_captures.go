package captures

import (
	"net/netip"
	"time"
)

// Tags of LDAP, RFC 4511 4.
const (
	berInteger    = 0x02
	berOctets     = 0x04
	berEnumerated = 0x0a
	berSequence   = 0x30
	bindRequest   = 0x60
	bindResponse  = 0x61
	searchRequest = 0x63
	searchEntry   = 0x64
	searchDone    = 0x65
	simple        = 0x80
	present       = 0x87
)

// ber is an element of fewer than 128 bytes.
func ber(tag byte, parts ...[]byte) []byte {
	b := []byte{tag, 0}
	for _, p := range parts {
		b = append(b, p...)
	}
	b[1] = byte(len(b) - 2)
	return b
}

func berText(tag byte, s string) []byte { return ber(tag, []byte(s)) }

func berNumber(tag, v byte) []byte { return ber(tag, []byte{v}) }

// ldap is a message.
func ldap(id byte, operation []byte) []byte {
	return ber(berSequence, berNumber(berInteger, id), operation)
}

// ldapResult is a response that ends an operation.
func ldapResult(tag, code byte) []byte {
	return ber(tag, berNumber(berEnumerated, code), berText(berOctets, ""), berText(berOctets, ""))
}

func ldapBind(dn, password string) []byte {
	return ber(bindRequest, berNumber(berInteger, 3), berText(berOctets, dn), berText(simple, password))
}

// ldapSearch asks for all below a name.
func ldapSearch(base string) []byte {
	return ber(searchRequest, berText(berOctets, base), berNumber(berEnumerated, 2), berNumber(berEnumerated, 0),
		berNumber(berInteger, 0), berNumber(berInteger, 0), ber(0x01, []byte{0}), berText(present, "objectClass"), ber(berSequence))
}

const ldapPort = 389

// authenticates is a bind of a directory by name and password.
func (t *tape) authenticates(client netip.Addr) {
	c := t.dial(client, domainController, ldapPort)
	c.ask(ldap(1, ldapBind("cn=alice,dc=corp,dc=example,dc=test", "secret")))
	c.answer(ldap(1, ldapResult(bindResponse, 0)))
	c.close()
}

func callerCaptures() []Capture {
	return []Capture{
		{Name: "ldap-anonymous-entries", Shows: "an anonymous bind of a directory, and a search that gives two entries", play: func(t *tape) {
			c := t.dial(dmzClient, domainController, ldapPort)
			c.ask(ldap(1, ldapBind("", "")))
			c.answer(ldap(1, ldapResult(bindResponse, 0)))
			c.ask(ldap(2, ldapSearch("dc=corp,dc=example,dc=test")))
			for _, name := range []string{"cn=alice,dc=corp,dc=example,dc=test", "cn=bob,dc=corp,dc=example,dc=test"} {
				c.answer(ldap(2, ber(searchEntry, berText(berOctets, name), ber(berSequence))))
			}
			c.answer(ldap(2, ldapResult(searchDone, 0)))
			c.close()
		}},
		{Name: "kms-unauthenticated-client", Shows: "a client of the zone authenticates and activates; three hours later one of the DMZ activates that never did", play: func(t *tape) {
			t.authenticates(internalClient)
			t.activation(internalClient, kmsHost, 6)
			t.wait(3 * time.Hour)
			t.authenticates(internalClient)
			t.activation(dmzClient, kmsHost, 6)
		}},
		{Name: "kms-authenticated-client", Shows: "clients of both zones authenticate; three hours later they activate", play: func(t *tape) {
			t.authenticates(internalClient)
			t.authenticates(dmzClient)
			t.wait(3 * time.Hour)
			t.activation(internalClient, kmsHost, 6)
			t.activation(dmzClient, kmsHost, 6)
		}},
		{Name: "kms-host-changes", Shows: "a KMS host that takes NDR64, and ten minutes later no longer", play: func(t *tape) {
			t.activation(internalClient, kmsHost, 6)
			t.wait(10 * time.Minute)
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.ask(kmsBind())
			c.answer(le.bindAck(2, 0x1234, "1688", accepted32, noTransfer, agreed))
			c.exchange(2, ctx32, 6)
			c.close()
		}},
	}
}
