package rules

import (
	"fmt"
	"math"
	"testing"
	"time"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

func TestRPCSweep(t *testing.T) {
	t.Parallel()
	numbered := func(i int) dcerpc.UUID { return dcerpc.UUID{14: byte(i >> 8), 15: byte(i)} }
	// Each makes n events, apart that many seconds.
	interfaces := func(client string, n, apart int) (events []decode.Event) {
		for i := range n {
			events = append(events, bindOf(client, internal1, i*apart, decode.Rejected, context(0, numbered(i), dcerpc.ProviderRejection)))
		}
		return events
	}
	hosts := func(client string, n, apart int) (events []decode.Event) {
		for i := range n {
			events = append(events, took(client, fmt.Sprintf("10.1.0.%d", i), i*apart, samr))
		}
		return events
	}
	operations := func(n int, status uint32) (events []decode.Event) {
		for i := range n {
			e := call(internal2, internal1, i, samr, uint16(100+i), decode.Faulted)
			e.Status = status
			events = append(events, e)
		}
		return events
	}
	repeated := func(events []decode.Event) (again []decode.Event) {
		for range 10 {
			again = append(again, events...)
		}
		return again
	}
	contexts := make([]dcerpc.ContextItem, 15)
	for i := range contexts {
		contexts[i] = context(uint16(i), numbered(i), dcerpc.ProviderRejection)
	}
	few := settings("rpc-sweep", alerts.Settings{Options: map[string]any{"hosts": 3, "interfaces": 0, "within": 10 * time.Second}})
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"many interfaces", alerts.Config{}, interfaces(internal2, 17, 1),
			[]want{{alerts.Medium, 3, "10.0.0.2 (internal) bound 15 RPC interfaces or more, the last at 10.0.0.1 (internal), within 1 minute", map[string]any{"swept": "interfaces", "threshold": int64(15), "within_seconds": int64(60)}}}},
		{"many in one bind", alerts.Config{}, []decode.Event{bindOf(internal2, internal1, 0, decode.Rejected, contexts...)}, []want{{alerts.Medium, 1, "", nil}}},
		{"from another zone it is worse", alerts.Config{}, interfaces(dmz1, 15, 1), []want{{alerts.High, 1, "", nil}}},
		{"many hosts", alerts.Config{}, hosts(internal2, 25, 1),
			[]want{{alerts.Medium, 6, "10.0.0.2 (internal) bound RPC interfaces at 20 hosts or more, 10.1.0.19 (internal) the last, within 1 minute", map[string]any{"swept": "hosts"}}}},
		{"many operations that do not exist", alerts.Config{}, operations(5, opRangeError),
			[]want{{alerts.Medium, 1, "10.0.0.2 (internal) called 5 RPC operations or more that do not exist, the last at 10.0.0.1 (internal), within 1 minute", map[string]any{"swept": "operations"}}}},
		{"as Windows names the status", alerts.Config{}, operations(5, procnumOutRange), []want{{alerts.Medium, 1, "", nil}}},
		{"two clients are two alerts", few, append(hosts(internal2, 3, 1), hosts(dmz1, 3, 1)...), []want{{alerts.Medium, 1, "", nil}, {alerts.High, 1, "", nil}}},

		{"quiet below the threshold, however often", alerts.Config{}, append(repeated(interfaces(internal2, 13, 1)), append(repeated(hosts(internal2, 14, 1)), repeated(operations(4, opRangeError))...)...), nil},
		{"quiet when it takes its time", alerts.Config{}, append(interfaces(internal2, 60, 5), hosts(internal2, 60, 4)...), nil},
		{"quiet for calls that fail otherwise", alerts.Config{}, operations(50, 5), nil},
		{"quiet when each has its own client", alerts.Config{}, []decode.Event{took(internal1, internal2, 0, samr), took(dmz1, internal2, 0, samr), took(dmz2, internal2, 0, samr)}, nil},
		{"quiet when the threshold is 0", few, interfaces(internal2, 100, 0), nil},
		{"quiet for a scanner that is known", settings("rpc-sweep", alerts.Settings{Exceptions: []alerts.Exception{{ClientZone: "management"}}}), hosts(manage1, 30, 1), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, newRPCSweep(), c.config, c.events...), c.want...)
		})
	}
}

func TestDistinctCountsWhatIsNearInTime(t *testing.T) {
	t.Parallel()
	type step struct {
		what int
		now  int64
		want bool
	}
	for _, c := range []struct {
		name      string
		threshold int
		steps     []step
	}{
		{"three within ten", 3, []step{{1, 0, false}, {2, 5, false}, {3, 10, true}, {4, 11, true}, {5, 15, true}, {6, 100, false}}},
		{"one again is no more", 3, []step{{1, 0, false}, {2, 1, false}, {2, 2, false}, {1, 3, false}, {3, 4, true}}},
		{"one again is later", 3, []step{{1, 0, false}, {2, 1, false}, {1, 9, false}, {3, 19, false}, {4, 19, true}}},
		{"time that steps back far starts again", 3, []step{{1, 1000, false}, {2, 1001, false}, {3, 5, false}, {4, 6, false}, {5, 7, true}}},
		{"a threshold of one", 1, []step{{1, 0, true}, {1, 50, true}, {2, 99, true}}},
		{"the ends of time", 2, []step{{1, math.MinInt64, false}, {2, math.MaxInt64, false}, {3, math.MaxInt64 - 1, true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d distinct[int]
			for i, s := range c.steps {
				if got := d.add(s.what, c.threshold, s.now, 10); got != s.want {
					t.Errorf("step %d: %v", i, got)
				}
				if len(d.seen) > c.threshold {
					t.Errorf("step %d: %d kept", i, len(d.seen))
				}
			}
		})
	}
}
