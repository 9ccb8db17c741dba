package decode_test

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"kmswatch/capture/capturetest"
	"kmswatch/decode"
)

// want checks the events of a reel, each by words that its line must hold in
// that order; nothing else may come, but for the evictions of each shard.
func (r *reel) want(t *testing.T, cfg decode.Config, want ...string) {
	t.Helper()
	got := slices.DeleteFunc(r.play(t, cfg), func(l string) bool { return holds(l, "loss cut=0 evicted=") })
	ok := len(got) == len(want)
	for i := 0; ok && i < len(got); i++ {
		ok = holds(got[i], want[i])
	}
	if !ok {
		t.Errorf("told\n%s\nwant\n%s", joined(got), joined(want))
	}
}

// holds tells whether line has the words in their order.
func holds(line, words string) bool {
	for _, w := range strings.Fields(words) {
		_, rest, found := strings.Cut(line, w)
		if !found {
			return false
		}
		line = rest
	}
	return true
}

const (
	idleLong  = 700 * second // more than IdleTCP
	idleShort = 40 * second  // more than IdleUDP
)

// nudge adds a frame of another flow that nothing is told of, so that time
// passes.
func (r *reel) nudge() {
	r.udp(clientEnd, oddEnd, []byte("x"))
}

func TestOutcomesSayWhatIsKnown(t *testing.T) {
	cases := []struct {
		name string
		play func(*reel)
		want []string
	}{
		{"a call without an answer on a closed flow is unanswered", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask(bindPDU(1, kmsWire))
			c.answer(bindAckPDU(1))
			c.ask(requestPDU(2, 0, 0, kmsAsk()))
			c.close()
		}, []string{"bind 1 accepted", "kms unanswered asked=6 request=6.0", "call 2 op=0 unanswered", "end closed frames=5/3"}},
		{"at the end of the capture it is unknown", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask(bindPDU(1, kmsWire))
			c.answer(bindAckPDU(1))
			c.ask(requestPDU(2, 0, 0, kmsAsk()))
		}, []string{"bind 1 accepted", "kms unknown", "call 2 unknown", "end capture"}},
		{"on an idle flow it is unanswered", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask(bindPDU(1, kmsWire))
			c.answer(bindAckPDU(1))
			c.ask(requestPDU(2, 0, 0, kmsAsk()))
			r.wait(idleLong)
			r.nudge()
		}, []string{"bind 1 accepted", "kms unanswered", "call 2 unanswered", "end idle"}},
		{"where only the client was seen nothing is unanswered: idle", func(r *reel) {
			c := r.pickUp(clientEnd, kmsEnd)
			c.hide[1] = true
			c.hello()
			c.ask(bindPDU(1, kmsWire))
			c.ask(requestPDU(2, 0, 0, kmsAsk()))
			r.wait(idleLong)
			r.nudge()
		}, []string{"bind 1 unknown [one-sided]", "kms unknown [one-sided]", "call 2 unknown [one-sided]", "end idle"}},
		{"where only the client was seen nothing is unanswered: reset", func(r *reel) {
			c := r.pickUp(clientEnd, kmsEnd)
			c.hide[1] = true
			c.hello()
			c.ask(bindPDU(1, kmsWire))
			c.ask(requestPDU(2, 0, 0, kmsAsk()))
			c.raw(0, rst|ack, 0, nil)
		}, []string{"bind 1 unknown", "kms unknown", "call 2 unknown", "end reset"}},
		{"where only the client was seen nothing is unanswered: ports used again", func(r *reel) {
			c := r.pickUp(clientEnd, kmsEnd)
			c.hide[1] = true
			c.hello()
			c.ask(bindPDU(1, kmsWire))
			c.seq[0] += 1 << 30
			c.hello()
			c.ask(bindPDU(2, kmsWire))
		}, []string{"bind 1 unknown", "end frames=3/0", "bind 2 unknown", "end capture frames=3/0"}},
		{"a reset by a host that was asked: unanswered", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask(bindPDU(1, kmsWire))
			c.raw(1, rst|ack, 0, nil)
		}, []string{"bind 1 unanswered", "end reset"}},
		{"an evicted flow's calls are unknown", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask(bindPDU(1, kmsWire))
			c.answer(bindAckPDU(1))
			c.ask(requestPDU(2, 0, 0, kmsAsk()))
			r.flood(64 * 16 * 4)
		}, []string{"bind 1 accepted", "kms unknown", "call 2 unknown", "end evicted"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newReel()
			c.play(r)
			r.want(t, decode.Config{MaxFlows: 1}, c.want...)
		})
	}
}

// flood adds n SYNs to port 1688 from as many addresses, at one moment.
func (r *reel) flood(n int) {
	for i := range n {
		r.tcp(spread(i), kmsEnd, uint32(i), 0, syn, nil)
		r.now -= millisecond
	}
}

func TestClientIsWhoAsks(t *testing.T) {
	exchange := func(c *talk) {
		c.ask(bindPDU(1, kmsWire))
		c.answer(bindAckPDU(1))
	}
	const right = "192.0.2.20:49701>10.66.10.40:1688"
	cases := []struct {
		name string
		play func(*reel)
		want []string
	}{
		{"a forged SYN of the server's before the handshake", func(r *reel) {
			r.tcp(kmsEnd, clientEnd, 77, 0, syn, nil)
			exchange(r.dial(clientEnd, kmsEnd))
		}, []string{right + " odd tcp syn-differs", right + " < bind 1 accepted", "end"}},
		{"a SYN and ACK of the client's before the handshake", func(r *reel) {
			r.tcp(clientEnd, kmsEnd, 77, 88, syn|ack, nil)
			exchange(r.dial(clientEnd, kmsEnd))
		}, []string{right + " odd tcp syn-differs", right + " < bind 1 accepted", "end"}},
		{"mid-stream, the server first", func(r *reel) {
			c := r.pickUp(clientEnd, kmsEnd)
			c.answer(responsePDU(1, 0, kmsGrant()))
			c.ask(requestPDU(2, 0, 0, kmsAsk()))
			c.answer(responsePDU(2, 0, kmsGrant()))
		}, []string{right + " < call 1 answered", right + " < kms answered", right + " < call 2 answered", "end"}},
		{"mid-stream on ports that tell nothing", func(r *reel) {
			exchange(r.pickUp(oddEnd, clientEnd))
		}, []string{"10.66.10.40:49668>192.0.2.20:49701 < bind 1 accepted", "end"}},
		{"trap 52: PDUs of the wrong direction do not turn a flow around whose handshake was seen", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask(responsePDU(9, 0, kmsGrant()))
			c.ask(responsePDU(9, 0, kmsGrant()))
			c.ask(responsePDU(9, 0, kmsGrant()))
			exchange(c)
		}, []string{right + " call 9", right + " call 9", right + " call 9",
			right + " > odd wrong-direction", right + " < odd wrong-direction", right + " < bind 1 accepted", "end"}},
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

func TestForeignIsToldOfWhatBeginsAStreamAlone(t *testing.T) {
	cases := []struct {
		name string
		play func(*reel)
		want []string
	}{
		{"HTTP on a KMS port", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask([]byte("GET / HTTP/1.1\r\n\r\n"))
			c.answer([]byte("HTTP/1.1 200 OK\r\n\r\n"))
			c.close()
		}, []string{"> foreign http", "end closed frames=4/3"}},
		{"RPC over HTTP on a KMS port, which is decoded too", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask([]byte("RPC_IN_DATA /rpc/rpcproxy.dll?dc1:1688 HTTP/1.1\r\nHost: dc1\r\n\r\n"))
			c.close()
		}, []string{"> foreign http", "end closed"}},
		{"the first segment of a bind was lost", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			b := bindPDU(1, kmsWire)
			c.seq[0] += 40
			c.r.wait(second)
			c.answer(bindAckPDU(1))
			c.ask(b[40:])
			c.ask(requestPDU(2, 0, 0, kmsAsk()))
			c.answer(responsePDU(2, 0, kmsGrant()))
		}, []string{"kms answered asked=6 [bytes-missing]", "call 2", "end"}},
		{"HTTP in segments of a byte", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			for _, x := range []byte("GET / HTTP/1.1\r\n\r\n") {
				c.ask([]byte{x})
			}
			c.close()
		}, []string{"8 > foreign http", "end closed"}},
		{"no more than a few bytes", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask([]byte("help\r\n"))
			c.close()
		}, []string{"> foreign unknown", "end closed"}},
		{"no more than a few bytes from both ends, and no end", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask([]byte("a"))
			c.answer([]byte("b"))
		}, []string{"> foreign unknown", "end capture"}},
		{"a few bytes, and an answer that tells", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask([]byte("\n"))
			c.answer([]byte("SSH-2.0-x\r\n"))
			c.close()
		}, []string{"< foreign ssh", "end closed"}},
		{"mid-stream, in the middle of a PDU", func(r *reel) {
			c := r.pickUp(clientEnd, kmsEnd)
			c.ask(requestPDU(1, 0, 0, kmsAsk())[100:])
		}, nil},
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

func TestPortsAreHintsAndNotTruth(t *testing.T) {
	cases := []struct {
		name   string
		server string
		cut    int // length of the first segment; 0 is all
	}{
		{"on port 53", "10.66.10.40:53", 0},
		{"on port 443", "10.66.10.40:443", 0},
		{"trap 51: on port 443, the first byte in a segment of its own", "10.66.10.40:443", 1},
		{"trap 51: on port 443, fifteen bytes of the header", "10.66.10.40:443", 15},
		{"trap 51: on port 53, fifteen bytes of the header", "10.66.10.40:53", 15},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newReel()
			k := r.dial(clientEnd, netip.MustParseAddrPort(c.server))
			b := bindPDU(1, kmsWire)
			if c.cut > 0 {
				k.ask(b[:c.cut])
				b = b[c.cut:]
			}
			k.ask(b)
			k.answer(bindAckPDU(1))
			k.close()
			r.want(t, decode.Config{}, c.server+" < bind 1 accepted", "end closed")
		})
	}
}

// TestFirstBytesThatComeLate: who sends what begins a flow last hides it from
// who looks at the first segment alone.
func TestFirstBytesThatComeLate(t *testing.T) {
	cases := []struct {
		name string
		cuts [][2]int // of the bind, in the order of their coming
	}{
		{"two segments the other way round", [][2]int{{30, 72}, {0, 30}}},
		{"bytes that begin nothing, then all in reverse", [][2]int{{60, 72}, {40, 60}, {20, 40}, {0, 20}}},
		{"bytes that might begin something", [][2]int{{17, 18}, {18, 72}, {0, 17}}}, // a zero, as NetBIOS frames have
		{"the first byte last", [][2]int{{1, 72}, {0, 1}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newReel()
			k := r.dial(clientEnd, oddEnd)
			b := bindPDU(1, kmsWire)
			for _, x := range c.cuts {
				k.raw(0, psh|ack, x[0], b[x[0]:x[1]])
			}
			k.seq[0] += uint32(len(b))
			k.answer(bindAckPDU(1))
			k.ask(requestPDU(2, 0, 0, kmsAsk()))
			k.answer(responsePDU(2, 0, kmsGrant()))
			k.close()
			got := r.play(t, decode.Config{})
			if len(got) != 4 || strings.Contains(joined(got), "[") || !holds(got[0], "bind 1 accepted") || !holds(got[1], "kms answered") {
				t.Errorf("told\n%s", joined(got))
			}
		})
	}
}

// TestFlowsThatBeginAtOnceAreNoneOfInterest: only what comes ahead of a flow's
// first bytes makes a shard look, and what follows them does not.
func TestFlowsThatBeginAtOnceAreNoneOfInterest(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.dial(clientEnd, oddEnd)
	for range 3 {
		c.ask([]byte("what is of no interest"))
		c.seq[0] += 10 // a segment that was not captured
		c.answer([]byte("nor is that"))
	}
	e := decode.New(decode.Config{}, &told{t: t})
	for i := range r.frames {
		e.Feed(&r.frames[i])
	}
	if st := e.Stats(); st.Interest != 0 {
		t.Errorf("%d frames reached a shard", st.Interest)
	}
}

// TestFlowsOfTheSameBitTakeNoPlace: a flow whose hash is that of an association
// on an odd port reaches a shard, and is let go there.
func TestFlowsOfTheSameBitTakeNoPlace(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.pickUp(clientEnd, oddEnd)
	c.ask(bindPDU(1, kmsWire))
	// The ports the other way round: the same sum and product.
	twin := r.dial(netip.AddrPortFrom(clientEnd.Addr(), oddEnd.Port()), netip.AddrPortFrom(oddEnd.Addr(), clientEnd.Port()))
	twin.ask([]byte("nothing that is of interest"))
	e := decode.New(decode.Config{}, &told{t: t})
	for i := range r.frames {
		e.Feed(&r.frames[i])
	}
	st := e.Stats()
	if st.Interest != uint64(len(r.frames)) || st.Flows != 1 {
		t.Errorf("of %d frames %d reached a shard and made %d flows, want all and 1", len(r.frames), st.Interest, st.Flows)
	}
	if st.PDUs != 1 {
		t.Errorf("%d PDUs counted, want 1", st.PDUs)
	}
}

// TestOrderOfEventsWhereTimePasses: one frame that ends flows of many shards,
// is odd itself, and tells something.
func TestOrderOfEventsWhereTimePasses(t *testing.T) {
	t.Parallel()
	r := newReel()
	for i := range 300 {
		r.udp(spread(i), dnsEnd, dnsQuery(1, vlmcs, 33))
		if i%3 == 0 {
			r.wait(idleShort)
			// The first of two answers, in a fragment that is odd.
			r.frame(tinyFragment(spread(i)))
			r.udp(dnsEnd, spread(i), dnsAnswer(7, vlmcs, 1688, "kms.corp.example"))
		}
	}
	if got := r.play(t, decode.Config{}); len(got) < 900 {
		t.Errorf("%d events", len(got))
	}
}

// tinyFragment is the first fragment of a TCP segment, of eight bytes.
func tinyFragment(src netip.AddrPort) []byte {
	b := ipPacket(src.Addr(), kmsEnd.Addr(), 6, make([]byte, 8))
	b[6] = 0x20 // more fragments
	return b
}

func TestAnomaliesBelowTheFlowsNameWhatIsKnown(t *testing.T) {
	t.Parallel()
	r := newReel()
	r.frame([]byte{0x45, 0, 0}) // an IPv4 header of three bytes
	r.frame(tinyFragment(clientEnd))
	r.want(t, decode.Config{},
		"1 0 f1 ->- > odd packet short-header at=0",
		"192.0.2.20:0>10.66.10.40:0 > odd packet tiny-fragment evasive")
	for _, l := range r.play(t, decode.Config{}) {
		if strings.HasSuffix(l, "]") {
			t.Errorf("the quality of no flow: %s", l)
		}
	}
}

// TestAnomaliesDoNotPileUp: with workers, what the feeding goroutine tells is
// handed on though no frame reaches a shard and no time passes.
func TestAnomaliesDoNotPileUp(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	e := decode.New(decode.Config{Workers: 2}, handlerFunc(func(decode.Event) { n.Add(1) }))
	r := newReel()
	r.frame([]byte{0x45, 0, 0})
	const frames = 16 << 10
	for range frames {
		e.Feed(&r.frames[0])
	}
	if n.Load() == 0 {
		t.Errorf("none of %d anomalies was told", frames)
	}
	e.Close()
	if n.Load() != frames {
		t.Errorf("%d of %d anomalies were told", n.Load(), frames)
	}
}

type handlerFunc func(decode.Event)

func (f handlerFunc) Handle(e decode.Event) { f(e) }

// TestClockSetBackDoesNotStopTime: one frame of the far future, as broken files
// have them, and flows still end when they are idle.
func TestClockSetBackDoesNotStopTime(t *testing.T) {
	t.Parallel()
	r := newReel()
	day := 86400 * second
	r.now += day
	r.udp(clientEnd, dnsEnd, dnsQuery(1, vlmcs, 33))
	r.now -= day
	r.udp(spread(1), dnsEnd, dnsQuery(1, vlmcs, 33))
	for range 3 {
		r.wait(idleShort)
		r.nudge()
	}
	r.want(t, decode.Config{},
		"192.0.2.20:49701>10.66.10.10:53 > srv unanswered", "192.0.2.20:49701>10.66.10.10:53 > end idle",
		"198.18.0.1:1024>10.66.10.10:53 > srv unanswered", "198.18.0.1:1024>10.66.10.10:53 > end idle")
}

func TestTrap48DataBehindAForgedResetBeginsAFlowAnew(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.dial(clientEnd, kmsEnd)
	c.ask(bindPDU(1, kmsWire))
	c.answer(bindAckPDU(1))
	c.raw(0, rst, 0, nil)
	c.ask(requestPDU(2, 0, 0, kmsAsk()))
	c.answer(responsePDU(2, 0, kmsGrant()))
	r.want(t, decode.Config{},
		"f1 bind 1 accepted", "f1 end reset",
		"f7 odd tcp data-after-reset evasive", "f7 kms answered [mid-stream]", "f7 call 2 [mid-stream]", "f7 end capture frames=1/1")
}

// TestEventsOfAFlowStandBeforeItsEnd: FlowEnd comes once a flow, last.
func TestEventsOfAFlowStandBeforeItsEnd(t *testing.T) {
	for _, path := range allCaptures(t) {
		ended := make(map[uint64]bool)
		known := make(map[uint64]bool)
		feed(t, open(t, path), 256, decode.New(decode.Config{}, handlerFunc(func(e decode.Event) {
			id := e.Head().Flow.ID
			if a, ok := e.(*decode.Anomaly); ok && a.Protocol == decode.ProtoPacket || e.Kind() == decode.KindLoss {
				return // of no flow
			}
			if ended[id] {
				t.Errorf("%s: %s after its flow's end", path, render(e, 0))
			}
			known[id] = true
			_, over := e.(*decode.FlowEnd)
			ended[id] = over
		})))
		for id := range known {
			if !ended[id] {
				t.Errorf("%s: flow %d does not end", path, id)
			}
		}
	}
}

func TestTrap34PrivacyThatIsClaimedHidesNoHeader(t *testing.T) {
	t.Parallel()
	got := play(t, capturetest.Load(t, filepath.Join(pool, "rpc-privacy-claimed.pcap")), decode.Config{})
	for _, want := range []string{"kms answered asked=6 response=4.0", "call 2 kms/1.0 op=0 stubs=260/176 auth=ntlm/privacy"} {
		if !slices.ContainsFunc(got, func(l string) bool { return holds(l, want) }) {
			t.Errorf("no %q in\n%s", want, joined(got))
		}
	}
}

// TestTrap50DNSThatIsBrokenInEveryWay: a datagram cut anywhere, and with any of
// its first bytes turned, is decoded or let go, the same for any number of
// workers.
func TestTrap50DNSThatIsBrokenInEveryWay(t *testing.T) {
	t.Parallel()
	r := newReel()
	m := dnsAnswer(7, vlmcs, 1688, "kms.corp.example")
	for i := range m {
		r.udp(dnsEnd, clientEnd, m[:i])
		for _, x := range []byte{0xff, 0xc0, 1, 0x80} {
			b := slices.Clone(m)
			b[i] ^= x
			r.udp(dnsEnd, clientEnd, b)
			r.udp(dnsEnd, clientEnd, append(b[:i:i], b...))
		}
	}
	if got := r.play(t, decode.Config{}); len(got) < len(m) {
		t.Errorf("%d events", len(got))
	}
}

// TestTrap53BothSidesOfARouterAreOneFlow: VLANs are on the flow, not in its key.
func TestTrap53BothSidesOfARouterAreOneFlow(t *testing.T) {
	t.Parallel()
	got := play(t, capturetest.Load(t, filepath.Join(pool, "tcp-span-duplicates-routed.pcap")), decode.Config{})
	n := 0
	for _, l := range got {
		if strings.Contains(l, " kms ") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d exchanges, want 1\n%s", n, joined(got))
	}
}

func TestTrap55ERSPANIIIWithAndWithoutItsOptionalHeader(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tunnel-erspan3.pcap", "tunnel-erspan3-platform.pcap"} {
		got := play(t, capturetest.Load(t, filepath.Join(pool, name)), decode.Config{})
		if len(got) != 4 || !holds(got[1], "kms answered erspan=5") {
			t.Errorf("%s\n%s", name, joined(got))
		}
	}
}
