package captures

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

func dnsCaptures() []Capture {
	known := func(id uint16) *dnsMessage {
		return srvAnswer(id, vlmcs).srv(answer, vlmcs, kmsPort, kmsFor).address(kmsFor, kmsHost)
	}
	return []Capture{
		{Name: "dns-kms-lookup-climb", Shows: "an SRV lookup of _vlmcs._tcp from the DMZ to the internal server, answered with the KMS host's name and address", play: func(t *tape) {
			t.lookup(dmzClient, domainController, srvQuery(1, vlmcs), known(1))
		}},
		{Name: "dns-kms-lookup-inside", Shows: "the same lookup from the internal zone", play: func(t *tape) {
			t.lookup(internalClient, domainController, srvQuery(1, vlmcs), known(1))
		}},
		{Name: "dns-kms-lookup-refused", Shows: "the lookup from the DMZ, answered REFUSED, then NXDOMAIN, then not at all", play: func(t *tape) {
			t.lookup(dmzClient, domainController, srvQuery(1, vlmcs), newDNS(1, dnsAnswer|5).question(vlmcs, typeSRV))
			t.lookup(dmzClient, domainController, srvQuery(2, vlmcs), newDNS(2, dnsAnswer|3).question(vlmcs, typeSRV))
			t.lookup(dmzClient, domainController, srvQuery(3, vlmcs), nil)
		}},
		{Name: "dns-kms-answer-strange", Shows: "answers that name a KMS host, a port and an address that no inventory names, one each", play: func(t *tape) {
			t.lookup(internalClient, domainController, srvQuery(1, vlmcs),
				srvAnswer(1, vlmcs).srv(answer, vlmcs, kmsPort, "evil.example.org").address("evil.example.org", netip.MustParseAddr("203.0.113.66")))
			t.lookup(internalClient, domainController, srvQuery(2, vlmcs),
				srvAnswer(2, vlmcs).srv(answer, vlmcs, 4444, kmsFor).address(kmsFor, kmsHost))
			t.lookup(internalClient, domainController, srvQuery(3, vlmcs),
				srvAnswer(3, vlmcs).srv(answer, vlmcs, kmsPort, kmsFor).address(kmsFor, strangeHost).address(kmsFor, netip.MustParseAddr("2001:db8:66::66")))
		}},
		{Name: "dns-compressed-target", Shows: "trap 57: an SRV target that is compressed, which RFC 2782 forbids, and one whose pointer ends the message", play: func(t *tape) {
			t.lookup(internalClient, domainController, srvQuery(1, vlmcs),
				srvAnswer(1, vlmcs).srvCompressed(vlmcs, kmsPort, kmsFor).address(kmsFor, kmsHost))
			t.lookup(internalClient, domainController, srvQuery(2, vlmcs),
				srvAnswer(2, vlmcs).srvCompressed(vlmcs, kmsPort, zone))
		}},
		{Name: "dns-cname-chain", Shows: "_vlmcs._tcp.dmz by three CNAMEs to the SRV record", play: func(t *tape) {
			q := "_vlmcs._tcp.dmz.example.test"
			t.lookup(dmzClient, domainController, srvQuery(1, q),
				srvAnswer(1, q).cname(q, "_vlmcs._tcp.b.example.test").cname("_vlmcs._tcp.b.example.test", "_vlmcs._tcp.c.example.test").
					cname("_vlmcs._tcp.c.example.test", vlmcs).srv(answer, vlmcs, kmsPort, kmsFor).address(kmsFor, kmsHost))
		}},
		{Name: "dns-cname-loop", Shows: "two CNAMEs that name each other, and no SRV record", play: func(t *tape) {
			t.lookup(dmzClient, domainController, srvQuery(1, vlmcs),
				srvAnswer(1, vlmcs).cname(vlmcs, "b.example.test").cname("b.example.test", vlmcs))
		}},
		{Name: "dns-case", Shows: "the question in mixed case and the answer in another: one lookup", play: func(t *tape) {
			q, a := "_VlMcS._tCp.CoRp.eXaMpLe.TeSt", "_vLmCs._TcP.cOrP.ExAmPlE.tEsT"
			t.lookup(dmzClient, domainController, srvQuery(1, q),
				srvAnswer(1, a).srv(answer, a, kmsPort, "KMS.Corp.Example.Test").address("kms.CORP.example.test", kmsHost))
		}},
		{Name: "dns-lookalikes", Shows: "lookups that are not _vlmcs._tcp: TXT of it, A of it, x_vlmcs._tcp, _vlmcs._udp, _vlmcs._tcpx", play: func(t *tape) {
			for i, q := range []string{"x" + vlmcs, "_vlmcs._udp." + zone, "_vlmcs._tcpx." + zone, "vlmcs.tcp." + zone} {
				t.lookup(dmzClient, domainController, srvQuery(uint16(i), q), srvAnswer(uint16(i), q))
			}
			for i, typ := range []uint16{16, typeA} {
				id := uint16(10 + i)
				t.lookup(dmzClient, domainController, newDNS(id, dnsRecursion).question(vlmcs, typ), newDNS(id, dnsAnswer).question(vlmcs, typ))
			}
		}},
		{Name: "dns-any", Shows: "a query of type ANY for _vlmcs._tcp, answered with its SRV record", play: func(t *tape) {
			t.lookup(dmzClient, domainController, newDNS(1, dnsRecursion).question(vlmcs, typeANY),
				newDNS(1, dnsAnswer).question(vlmcs, typeANY).srv(answer, vlmcs, kmsPort, kmsFor).address(kmsFor, kmsHost))
		}},
		{Name: "dns-dc-lookup-climb", Shows: "SRV lookups of domain controllers from the DMZ: by LDAP, Kerberos, global catalogue and site", play: func(t *tape) {
			for i, q := range []string{"_ldap._tcp.dc._msdcs." + zone, "_kerberos._tcp.dc._msdcs." + zone, "_gc._tcp." + zone, "_ldap._tcp.Default-First-Site-Name._sites.dc._msdcs." + zone} {
				id := uint16(i)
				t.lookup(dmzClient, domainController, srvQuery(id, q),
					srvAnswer(id, q).srv(answer, q, 389, "dc1."+zone).address("dc1."+zone, domainController))
			}
		}},
		{Name: "dns-dc-lookup-inside", Shows: "the SRV lookup of a domain controller from the internal zone", play: func(t *tape) {
			q := "_ldap._tcp.dc._msdcs." + zone
			t.lookup(internalClient, domainController, srvQuery(1, q),
				srvAnswer(1, q).srv(answer, q, 389, "dc1."+zone).address("dc1."+zone, domainController))
		}},
		{Name: "dns-edns-big", Shows: "trap 59: an EDNS answer of forty SRV records, 2.5 kB in one datagram of two IP fragments", play: func(t *tape) {
			t.wrap = func(ip []byte) (out [][]byte) {
				if len(ip) <= 1500 {
					return [][]byte{ethernet(ip)}
				}
				for _, f := range fragmentsOf(ip, 1480) {
					out = append(out, ethernet(f))
				}
				return out
			}
			a := srvAnswer(1, vlmcs)
			for i := range 40 {
				a.srv(answer, vlmcs, kmsPort, fmt.Sprintf("kms%02d.%s", i, zone))
			}
			for i := range 12 {
				a.address(fmt.Sprintf("kms%02d.%s", i, zone), netip.AddrFrom4([4]byte{10, 66, 10, byte(40 + i)}))
			}
			t.lookup(dmzClient, domainController, srvQuery(1, vlmcs).edns(4096), a.edns(4096))
		}},
		{Name: "dns-truncated-then-tcp", Shows: "an answer with TC over UDP, then the same question over TCP", play: func(t *tape) {
			t.lookup(dmzClient, domainController, srvQuery(1, vlmcs), newDNS(1, dnsAnswer|dnsTruncated).question(vlmcs, typeSRV))
			c := t.dial(dmzClient, domainController, dnsPort)
			c.ask(framed(srvQuery(1, vlmcs)))
			c.answer(framed(known(1)))
			c.close()
		}},
		{Name: "dns-tcp-several", Shows: "trap 59: three queries in one TCP segment, the answers in another order in one, of which one is cut in two segments", play: func(t *tape) {
			dc := "_ldap._tcp.dc._msdcs." + zone
			c := t.dial(dmzClient, domainController, dnsPort)
			c.ask(framed(srvQuery(1, vlmcs), srvQuery(2, dc), newDNS(3, dnsRecursion).question(kmsFor, typeA)))
			b := framed(srvAnswer(2, dc).srv(answer, dc, 389, "dc1."+zone), newDNS(3, dnsAnswer).question(kmsFor, typeA), known(1))
			c.answer(b[:len(b)-40])
			c.answer(b[len(b)-40:])
			c.close()
		}},
		{Name: "dns-tcp-bytes", Shows: "a question over TCP in segments of one byte, the length's two apart", play: func(t *tape) {
			c := t.dial(dmzClient, domainController, dnsPort)
			c.mss = 1
			c.ask(framed(srvQuery(1, vlmcs)))
			c.mss = 1460
			c.answer(framed(known(1)))
			c.close()
		}},
		{Name: "dns-update-forms", Shows: "trap 58: an UPDATE with all forms at _vlmcs._tcp: add, delete a record, delete the set, delete all of the name; prerequisites too", play: func(t *tape) {
			m := update(1)
			m.record(answer, vlmcs, typeSRV, classAny, 0, nil)  // prerequisite: the set exists
			m.record(answer, vlmcs, typeANY, classNone, 0, nil) // prerequisite: the name is unused
			srv := func(host string) func() { return func() { m.u16(0, 0, kmsPort); m.name(host) } }
			m.record(authority, vlmcs, typeSRV, classIN, 3600, srv("kms9."+zone))
			m.record(authority, vlmcs, typeSRV, classNone, 0, srv(kmsFor))
			m.record(authority, vlmcs, typeSRV, classAny, 0, nil)
			m.record(authority, vlmcs, typeANY, classAny, 0, nil)
			t.lookup(dmzClient, domainController, m, newDNS(1, dnsResponse|dnsUpdate|5))
		}},
		{Name: "dns-update-by-host", Shows: "the KMS host adds its own record, signed by TSIG, granted", play: func(t *tape) {
			m := update(1)
			m.record(authority, vlmcs, typeSRV, classIN, 3600, func() { m.u16(0, 0, kmsPort); m.name(kmsFor) })
			m.record(additional, "1234-ms-7.1-abcd", typeTSIG, classAny, 0, func() {
				m.name("gss-tsig")
				m.b = append(m.b, 0, 0, 0x68, 0x3d, 0x5a, 0x80) // 48 bits of time
				m.u16(300, 28)
				m.b = append(m.b, t.noise(28)...)
				m.u16(1, 0, 0) // original id, error, other length
			})
			t.lookup(kmsHost, domainController, m, newDNS(1, dnsResponse|dnsUpdate))
		}},
		{Name: "dns-update-other", Shows: "UPDATEs of records that are not _vlmcs: an A record and the SRV record of SIP", play: func(t *tape) {
			m := update(1)
			m.record(authority, "web01."+zone, typeA, classIN, 1200, func() { m.b = append(m.b, dmzClient.AsSlice()...) })
			t.lookup(dmzClient, domainController, m, newDNS(1, dnsResponse|dnsUpdate))
			m = update(2)
			m.record(authority, "_sip._tcp."+zone, typeSRV, classIN, 1200, func() { m.u16(0, 0, 5060); m.name("sip." + zone) })
			t.lookup(dmzClient, domainController, m, newDNS(2, dnsResponse|dnsUpdate))
		}},
		{Name: "dns-update-zones", Shows: "an UPDATE of two zones and one of none, each adding a _vlmcs record", play: func(t *tape) {
			for i, m := range []*dnsMessage{update(1).question("example.test", typeSOA), newDNS(2, dnsUpdate)} {
				m.record(authority, vlmcs, typeSRV, classIN, 3600, func() { m.u16(0, 0, kmsPort); m.name(kmsFor) })
				t.lookup(dmzClient, domainController, m, newDNS(uint16(1+i), dnsResponse|dnsUpdate|1))
			}
		}},
		{Name: "dns-pointer-loop", Shows: "compression pointers that name themselves, each other, what follows, and what lies beyond", play: func(t *tape) {
			for i, p := range []uint16{0xc00c, 0xc00e, 0xc0ff, 0xffff} {
				m := newDNS(uint16(i), dnsRecursion)
				m.u16(p)
				if i == 1 {
					m.b = append(m.b[:12], 0xc0, 14, 0xc0, 12)
				}
				m.u16(typeSRV, classIN)
				m.count(question)
				t.lookup(dmzClient, domainController, m, nil)
			}
			m := srvAnswer(9, vlmcs)
			at := len(m.b)
			m.record(answer, vlmcs, typeSRV, classIN, 60, func() { m.u16(0, 0, kmsPort, 0xc000|uint16(at+18)) })
			t.lookup(dmzClient, domainController, srvQuery(9, vlmcs), m)
		}},
		{Name: "dns-counts-lie", Shows: "an answer that tells of 65,535 records and has one, and one whose record ends beyond the message", play: func(t *tape) {
			m := known(1)
			binary.BigEndian.PutUint16(m.b[6:], 65535)
			t.lookup(dmzClient, domainController, srvQuery(1, vlmcs), m)
			m = srvAnswer(2, vlmcs).srv(answer, vlmcs, kmsPort, kmsFor)
			m.b = m.b[:len(m.b)-10]
			t.lookup(dmzClient, domainController, srvQuery(2, vlmcs), m)
		}},
		{Name: "dns-answer-unasked", Shows: "an answer without a question, and one of another id", play: func(t *tape) {
			t.udp(netip.AddrPortFrom(domainController, dnsPort), netip.AddrPortFrom(dmzClient, 40000), known(7).b)
			t.lookup(dmzClient, domainController, srvQuery(1, vlmcs), known(2))
		}},
		{Name: "dns-ipv6", Shows: "an SRV lookup over IPv6 with AAAA and A in the additional section", play: func(t *tape) {
			t.lookup(dmzClient6, netip.MustParseAddr("fd66:10::10"), srvQuery(1, vlmcs),
				srvAnswer(1, vlmcs).srv(answer, vlmcs, kmsPort, kmsFor).address(kmsFor, kmsHost6).address(kmsFor, kmsHost))
		}},
	}
}
