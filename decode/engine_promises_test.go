package decode_test

import (
	"strings"
	"testing"

	"kmswatch/decode"
)

// want checks the events of a reel, each by words that its line must hold in
// that order; nothing else may come.
func (r *reel) want(t *testing.T, cfg decode.Config, want ...string) {
	t.Helper()
	got := r.play(t, cfg)
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
