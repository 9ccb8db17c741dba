package decode_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"kmswatch/decode"
)

// TestTimePassesWithoutFrames: what waits on a silent wire ends as it does where
// frames tell the time.
func TestTimePassesWithoutFrames(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		r := newReel()
		c := r.dial(clientEnd, kmsEnd)
		c.ask(bindPDU(1, kmsWire))
		c.answer(bindAckPDU(1))
		c.ask(requestPDU(2, 0, 0, kmsAsk()))
		var got told
		e := decode.New(decode.Config{Workers: workers}, &got)
		for i := range r.frames {
			e.Feed(&r.frames[i])
		}
		last := r.frames[len(r.frames)-1].Time
		e.Advance(last - second) // is nothing
		done := make(chan int, 1)
		count := func(decode.Moment) { done <- len(got.lines) }
		e.Between(count)
		if n := <-done; n != 1 {
			t.Errorf("%d events before time passed:\n%s", n, joined(got.lines))
		}
		for s := int64(1); s <= 602; s++ {
			e.Advance(last + s*second)
		}
		e.Between(count)
		<-done
		want := []string{"bind 1 accepted", "kms unanswered", "call 2 unanswered", "end idle"}
		if len(got.lines) != len(want) {
			t.Fatalf("%d workers: told\n%s", workers, joined(got.lines))
		}
		for i, w := range want {
			if !holds(got.lines[i], w) {
				t.Errorf("%d workers: told %s, want %s", workers, got.lines[i], w)
			}
		}
		e.Close()
	}
}

// TestBetweenStandsBetweenFrames: the events of all frames before it have been
// told, none of those after it, and the counters are those of that moment,
// whatever the number of workers.
func TestBetweenStandsBetweenFrames(t *testing.T) {
	t.Parallel()
	var want []string
	for _, workers := range []int{1, 2, 5} {
		r := newReel()
		for id := range uint16(20) {
			r.udp(clientEnd, dnsEnd, dnsQuery(id, vlmcs, 33))
			r.udp(dnsEnd, clientEnd, dnsAnswer(id, vlmcs, 1688, "kms.corp.example"))
		}
		var at []string
		var got told
		e := decode.New(decode.Config{Workers: workers}, &got)
		for i := range r.frames {
			e.Feed(&r.frames[i])
			e.Between(func(m decode.Moment) {
				at = append(at, fmt.Sprintf("%d %d events, %d frames, %d lookups, %d flows", m.Time, len(got.lines), m.Stats.Frames, m.Stats.Lookups, m.Stats.Flows))
			})
		}
		e.Close()
		if want == nil {
			want = at
		}
		if len(at) != 40 || !strings.HasSuffix(at[39], " 20 events, 40 frames, 20 lookups, 1 flows") || !slices.Equal(at, want) {
			t.Errorf("%d workers:\n%s\nwant\n%s", workers, joined(at), joined(want))
		}
	}
}

func TestBetweenAllocatesNothing(t *testing.T) {
	e := decode.New(decode.Config{}, handlerFunc(func(decode.Event) {}))
	var last decode.Moment
	keep := func(m decode.Moment) { last = m }
	now := int64(1e18)
	if n := testing.AllocsPerRun(100, func() {
		now += second / 10
		e.Advance(now)
		e.Between(keep)
	}); n != 0 || last.Time != now {
		t.Errorf("%v allocations; time %d, want %d", n, last.Time, now)
	}
}

func TestLossesAreToldInTheirPlace(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		r := newReel()
		r.udp(clientEnd, dnsEnd, dnsQuery(7, vlmcs, 33))
		r.udp(dnsEnd, clientEnd, dnsAnswer(7, vlmcs, 1688, "kms.corp.example"))
		r.udp(clientEnd, dnsEnd, dnsQuery(8, vlmcs, 33))
		r.udp(dnsEnd, clientEnd, dnsAnswer(8, vlmcs, 1688, "kms.corp.example"))
		var got told
		e := decode.New(decode.Config{Workers: workers}, &got)
		for i := range r.frames {
			e.Feed(&r.frames[i])
			if i == 1 {
				e.Lost(11)
			}
			if i == 2 {
				e.Lost(3)
			}
		}
		e.Close()
		want := []string{"srv answered asked=1", "2 loss dropped=11/2 cut=0", "3 loss dropped=3/1", "srv answered asked=3", "end"}
		for i := range want {
			if len(got.lines) != len(want) || !holds(got.lines[i], want[i]) {
				t.Fatalf("%d workers: told\n%s\nwant\n%s", workers, joined(got.lines), joined(want))
			}
		}
	}
}

// TestKMSPortsMayChange: for the flows to come.
func TestKMSPortsMayChange(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		var got told
		e := decode.New(decode.Config{Workers: workers}, &got)
		r := newReel()
		fed := 0
		feed := func() {
			for ; fed < len(r.frames); fed++ {
				e.Feed(&r.frames[fed])
			}
		}
		talk := func(port uint16) {
			c := r.dial(clientEnd, netip.AddrPortFrom(kmsEnd.Addr(), port))
			c.ask([]byte("GET / HTTP/1.1\r\nHost: kms\r\n\r\n"))
			c.close()
			feed()
		}
		talk(4000) // is nothing
		e.SetKMSPorts([]uint16{4001})
		talk(4001) // is out of place there
		e.SetKMSPorts(nil)
		talk(4001) // is nothing again
		talk(1688)
		e.Close()
		want := []string{":4001 > foreign http", "end", ":1688 > foreign http", "end"}
		for i := range want {
			if len(got.lines) != len(want) || !holds(got.lines[i], want[i]) {
				t.Fatalf("%d workers: told\n%s\nwant\n%s", workers, joined(got.lines), joined(want))
			}
		}
	}
}
