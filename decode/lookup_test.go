package decode_test

import (
	"net/netip"
	"strings"
	"testing"

	"kmswatch/decode"
)

func TestLookupsAreMatchedToTheirAnswers(t *testing.T) {
	const other = "_ldap._tcp.corp.example"
	cases := []struct {
		name string
		play func(*reel)
		want []string
	}{
		{"question and answer", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsQuery(7, vlmcs, 33))
			r.udp(dnsEnd, clientEnd, dnsAnswer(7, vlmcs, 1688, "kms.corp.example"))
		}, []string{"2 1 192.0.2.20:49701>10.66.10.10:53 < srv " + vlmcs + " answered asked=1 kms.corp.example:1688", "end capture frames=1/1"}},
		{"two questions of one id: the name tells which is answered", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsQuery(7, vlmcs, 33))
			r.udp(clientEnd, dnsEnd, dnsQuery(7, other, 33))
			r.udp(dnsEnd, clientEnd, dnsAnswer(7, vlmcs, 1688, "kms.corp.example"))
			r.udp(dnsEnd, clientEnd, dnsAnswer(7, other, 389, "dc.corp.example"))
		}, []string{"srv " + vlmcs + " answered asked=1", "srv " + other + " answered asked=2", "end"}},
		{"the answer to another name is nobody's", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsQuery(7, vlmcs, 33))
			r.udp(dnsEnd, clientEnd, dnsAnswer(7, other, 389, "dc.corp.example"))
		}, []string{"srv " + other + " answered asked=0", "srv " + vlmcs + " unknown asked=1", "end"}},
		{"trap 53: frames seen twice are one lookup", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsQuery(7, vlmcs, 33))
			r.again(3000)
			r.udp(dnsEnd, clientEnd, dnsAnswer(7, vlmcs, 1688, "kms.corp.example"))
			r.again(3000)
		}, []string{"srv answered asked=1", "end frames=2/2"}},
		{"trap 53: the copy of the question behind the answer is one lookup too", func(r *reel) {
			q, a := dnsQuery(7, vlmcs, 33), dnsAnswer(7, vlmcs, 1688, "kms.corp.example")
			r.udp(clientEnd, dnsEnd, q)
			r.udp(dnsEnd, clientEnd, a)
			r.udp(clientEnd, dnsEnd, q)
			r.udp(dnsEnd, clientEnd, a)
		}, []string{"srv answered asked=1", "end frames=2/2"}},
		{"trap 53: the same datagrams a second later are another lookup", func(r *reel) {
			q, a := dnsQuery(7, vlmcs, 33), dnsAnswer(7, vlmcs, 1688, "kms.corp.example")
			r.udp(clientEnd, dnsEnd, q)
			r.udp(dnsEnd, clientEnd, a)
			r.wait(second)
			r.udp(clientEnd, dnsEnd, q)
			r.udp(dnsEnd, clientEnd, a)
		}, []string{"srv answered asked=1", "srv answered asked=3", "end"}},
		{"a question asked again before its answer is one lookup", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsQuery(7, vlmcs, 33))
			r.wait(5 * second)
			r.udp(clientEnd, dnsEnd, dnsQuery(7, vlmcs, 33))
			r.udp(dnsEnd, clientEnd, dnsAnswer(7, vlmcs, 1688, "kms.corp.example"))
		}, []string{"srv answered asked=1", "end"}},
		{"a second answer that differs is told: one of them is forged", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsQuery(7, vlmcs, 33))
			r.udp(dnsEnd, clientEnd, dnsAnswer(7, vlmcs, 1688, "kms.corp.example"))
			r.udp(dnsEnd, clientEnd, dnsAnswer(7, vlmcs, 1688, "evil.example"))
		}, []string{"srv answered asked=1 kms.corp.example:1688", "srv answered asked=1 evil.example:1688", "end"}},
		{"a question of type ANY for a service counts", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsQuery(7, vlmcs, 255))
			r.wait(idleShort)
			r.nudge()
		}, []string{"srv " + vlmcs + " unanswered asked=1 [one-sided]", "end idle"}},
		{"of type ANY for anything else does not", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsQuery(7, "corp.example", 255))
		}, nil},
		{"two resolvers on port 53: each may ask", func(r *reel) {
			a, b := netip.MustParseAddrPort("10.1.1.1:53"), netip.MustParseAddrPort("10.1.1.2:53")
			r.udp(a, b, dnsQuery(7, vlmcs, 33))
			r.udp(b, a, dnsQuery(7, vlmcs, 33))
			r.udp(a, b, dnsAnswer(7, vlmcs, 1, "a.example"))
			r.udp(b, a, dnsAnswer(7, vlmcs, 2, "b.example"))
		}, []string{"10.1.1.2:53>10.1.1.1:53 < srv answered asked=2 a.example:1", "10.1.1.1:53>10.1.1.2:53 < srv answered asked=1 b.example:2", "end"}},
		{"trap 51: an answer towards port 53 does not make a server of who sent it", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsAnswer(7, vlmcs, 1688, "kms.corp.example"))
			r.udp(clientEnd, dnsEnd, dnsQuery(7, vlmcs, 33))
		}, []string{"192.0.2.20:49701>10.66.10.10:53 > odd dns wrong-direction", "192.0.2.20:49701>10.66.10.10:53 > srv unknown asked=2", "end"}},
		{"a question that is pushed out is unknown, not unanswered", func(r *reel) {
			for id := range 33 {
				r.udp(clientEnd, dnsEnd, dnsQuery(uint16(id), vlmcs, 33))
			}
			r.wait(idleShort)
			r.nudge()
		}, append(append([]string{"srv unknown asked=1 "}, repeat("srv unanswered", 32)...), "end idle")},
		{"a question waits its time on a busy flow too", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsQuery(1, other, 33))
			for range 4 {
				r.wait(9 * second)
				r.udp(clientEnd, dnsEnd, dnsQuery(2, vlmcs, 33))
				r.udp(dnsEnd, clientEnd, dnsAnswer(2, vlmcs, 1688, "kms.corp.example"))
			}
		}, []string{"srv answered", "srv answered", "srv answered", "srv " + other + " unanswered asked=1", "srv answered", "end"}},
		{"trap 58: an UPDATE and its answer, which leaves the zone out", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsUpdate(9, vlmcs, 1688, "evil.example"))
			r.again(3000)
			r.udp(dnsEnd, clientEnd, dnsUpdateAnswer(9))
			r.again(3000)
		}, []string{"update answered asked=1 rcode=0 addevil.example:1688", "end"}},
		{"another UPDATE of the same id is another UPDATE", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsUpdate(9, vlmcs, 1688, "good.example"))
			r.udp(clientEnd, dnsEnd, dnsUpdate(9, vlmcs, 1688, "evil.example"))
			r.udp(dnsEnd, clientEnd, dnsUpdateAnswer(9))
		}, []string{"update answered asked=2 addevil.example:1688", "update unknown asked=1 addgood.example:1688", "end"}},
		{"the end of an answer that the snap length cut is no anomaly", func(r *reel) {
			r.udp(clientEnd, dnsEnd, dnsQuery(7, vlmcs, 33))
			r.snap = 110
			r.udp(dnsEnd, clientEnd, dnsAnswer(7, vlmcs, 1688, "kms.corp.example"))
		}, []string{"srv answered asked=1 [cut]", "end", "loss cut=1"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newReel()
			c.play(r)
			r.want(t, decode.Config{}, c.want...)
		})
	}
}

func repeat(line string, n int) []string {
	return strings.Split(strings.Repeat(line+"\n", n-1)+line, "\n")
}

func TestDNSOverTCPIsFoundAgain(t *testing.T) {
	dnsTCP := netip.MustParseAddrPort("10.66.10.10:53")
	q := func(id uint16) []byte { return framed(dnsQuery(id, vlmcs, 33)) }
	a := func(id uint16) []byte { return framed(dnsAnswer(id, vlmcs, 1688, "kms.corp.example")) }
	cases := []struct {
		name string
		play func(*reel)
		want []string
	}{
		{"after a gap in an answer", func(r *reel) {
			c := r.dial(clientEnd, dnsTCP)
			c.ask(q(1))
			first := a(1)
			c.answer(first[:20])
			c.seq[1] += uint32(len(first) - 20) // not captured, though acknowledged
			c.ask(q(2))
			r.wait(second)
			c.answer(a(2))
			c.close()
		}, []string{"srv answered asked=6 [bytes-missing]", "srv unknown asked=4", "end closed"}},
		{"in mid-stream, from within a message", func(r *reel) {
			c := r.pickUp(clientEnd, dnsTCP)
			c.answer(a(1)[30:])
			c.ask(q(2))
			c.answer(a(2))
		}, []string{"srv answered asked=2 [mid-stream]", "end"}},
		{"in mid-stream, the length in a segment of its own", func(r *reel) {
			c := r.pickUp(clientEnd, dnsTCP)
			c.ask(q(2)[:2])
			c.ask(q(2)[2:])
			c.answer(a(2))
		}, []string{"srv answered asked=2 [mid-stream]", "end"}},
		{"where nothing is missing every question counts: unanswered", func(r *reel) {
			c := r.dial(clientEnd, dnsTCP)
			c.ask(q(1))
			c.close()
		}, []string{"srv unanswered asked=4", "end closed"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newReel()
			c.play(r)
			r.want(t, decode.Config{}, c.want...)
		})
	}
}
