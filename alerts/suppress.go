package alerts

import (
	"cmp"
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
	"slices"

	"kmswatch/alerts/zone"
	"kmswatch/decode/dcerpc"
)

// key is what makes two findings the same alert.
type key struct {
	rule           *active
	client, server netip.Addr // the zero Addr where it makes no difference
	from, to       *zone.Zone // nil likewise
	iface          dcerpc.UUID
	what           string
}

func (a *active) key(c *Context, f *Fold) key {
	k := key{rule: a, iface: f.Interface, what: f.Key}
	switch f.By {
	case ByServer:
		k.server, k.from, k.to = c.Server.Addr, c.Client.Zone, c.Server.Zone
	case ByClient:
		k.client, k.from, k.to = c.Client.Addr, c.Client.Zone, c.Server.Zone
	case ByBoth:
		k.client, k.server = c.Client.Addr, c.Server.Addr
		k.from, k.to = c.Client.Zone, c.Server.Zone
	case ServerAlone:
		k.server = c.Server.Addr
	case ClientAlone:
		k.client = c.Client.Addr
	}
	return k
}

// space is the name space of alert ids.
var space = dcerpc.MustUUID("d3b07a52-70b6-5c0e-9f3e-6b6d73776174")

// id gives the id of the alert of a window: its parts are the parties, their
// zones, the interface and what else there is.
func (k *key) id(window int64) string {
	addr := func(a netip.Addr) string {
		if !a.IsValid() {
			return ""
		}
		return a.String()
	}
	name := func(z *zone.Zone) string {
		if z == nil {
			return ""
		}
		return z.Name
	}
	iface := ""
	if k.iface != (dcerpc.UUID{}) {
		iface = k.iface.String()
	}
	return ID(k.rule.info.ID, window, addr(k.client), addr(k.server), name(k.from), name(k.to), iface, k.what)
}

// ID gives the id of an alert: a UUID of version 5 (RFC 9562 5.5) of the rule's
// id and the parts, each behind its length in four bytes, big-endian, and of the
// beginning of the window, nanoseconds since the epoch.
func ID(rule string, window int64, parts ...string) string {
	b := make([]byte, 0, 256)
	part := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = append(b, space[:]...)
	part(rule)
	for _, s := range parts {
		part(s)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(window))
	sum := sha1.Sum(b)
	u := dcerpc.UUID(sum[:16])
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}

// floor gives the multiple of unit at or before t.
func floor(t, unit int64) int64 {
	m := t % unit
	if m < 0 {
		m += unit
	}
	return t - m
}

// standing is an alert whose window has not ended.
type standing struct {
	Alert
	key  key
	end  int64  // of the window, nanoseconds since the epoch
	seq  uint64 // in the order in which alerts were raised
	told uint64 // the count when last given out
	slot int    // in the heap
}

// before orders alerts by the end of their window, then as they were raised.
func (a *standing) before(b *standing) bool {
	if a.end != b.end {
		return a.end < b.end
	}
	return a.seq < b.seq
}

// table is the bounded table of the alerts that stand: by key, and in a heap of
// which the first is the soonest to end.
type table struct {
	bound int
	seq   uint64
	by    map[key]*standing
	heap  []*standing
}

func newTable(bound int) table { return table{bound: bound, by: make(map[key]*standing)} }

func (t *table) len() int               { return len(t.heap) }
func (t *table) full() bool             { return len(t.heap) >= t.bound }
func (t *table) find(k *key) *standing  { return t.by[*k] }
func (t *table) soonest() *standing     { return t.heap[0] }
func (t *table) due(now int64) bool     { return len(t.heap) > 0 && t.heap[0].end <= now }
func (t *table) put(i int, a *standing) { t.heap[i] = a; a.slot = i }

// inOrder gives the alerts in the order in which they end.
func (t *table) inOrder() []*standing {
	return slices.SortedFunc(slices.Values(t.heap), func(a, b *standing) int {
		return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.seq, b.seq))
	})
}

func (t *table) add(a *standing) {
	t.seq++
	a.seq = t.seq
	t.by[a.key] = a
	t.heap = append(t.heap, a)
	t.up(len(t.heap)-1, a)
}

func (t *table) remove(a *standing) {
	delete(t.by, a.key)
	n := len(t.heap) - 1
	last := t.heap[n]
	t.heap[n] = nil
	t.heap = t.heap[:n]
	if last != a {
		t.down(a.slot, last)
		t.up(last.slot, last)
	}
}

// up puts a into the slot, or nearer to the first.
func (t *table) up(slot int, a *standing) {
	for slot > 0 {
		parent := (slot - 1) / 2
		if !a.before(t.heap[parent]) {
			break
		}
		t.put(slot, t.heap[parent])
		slot = parent
	}
	t.put(slot, a)
}

// down puts a into the slot, or further from the first.
func (t *table) down(slot int, a *standing) {
	for {
		child := 2*slot + 1
		if child >= len(t.heap) {
			break
		}
		if child+1 < len(t.heap) && t.heap[child+1].before(t.heap[child]) {
			child++
		}
		if !t.heap[child].before(a) {
			break
		}
		t.put(slot, t.heap[child])
		slot = child
	}
	t.put(slot, a)
}
