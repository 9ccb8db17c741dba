package decode

import (
	"testing"

	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"
)

// TestEventListsKeepNoLargeEvents: places that held the largest events hold
// little when they are used anew.
func TestEventListsKeepNoLargeEvents(t *testing.T) {
	t.Parallel()
	var l eventList
	for _, n := range []int{1, 17, 255} {
		l.Handle(&Bind{Contexts: make([]dcerpc.ContextItem, n), Secondary: make([]byte, 3)})
		l.Handle(&Bind{Contexts: []dcerpc.ContextItem{{Transfer: make([]dcerpc.Syntax, n)}}})
		l.Handle(&SRVLookup{Message: &dns.Message{SRV: make([]dns.SRV, n)}})
		l.Handle(&DNSUpdate{Message: &dns.Message{}})
	}
	l.reset()
	for i := range 6 {
		b := l.binds.at(i)
		small := cap(b.Contexts) <= keptItems && !manySyntaxes(b.Contexts[:cap(b.Contexts)])
		if !small {
			t.Errorf("bind %d keeps %d items", i, cap(b.Contexts))
		}
		if i < 2 && cap(b.Contexts) == 0 {
			t.Errorf("bind %d keeps nothing", i)
		}
	}
	for i := range 3 {
		if l.lookups.at(i).Message != nil || l.updates.at(i).Message != nil {
			t.Errorf("message %d is kept", i)
		}
	}
}
