package stream

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// Traffic of the benchmarks and of the tests that nothing is allocated: 300
// bytes is a KMS request or response with its PDU header, 1,460 a full frame.
var payloads = []struct {
	name string
	size int
}{{"300B", 300}, {"1460B", 1460}}

// all is a Receiver that uses everything.
type all struct{ bytes int }

func (a *all) Data(_ Dir, b []byte, _ bool) int { a.bytes += len(b); return len(b) }
func (a *all) Gap(Dir, int64)                   {}
func (a *all) Anomaly(Dir, Anomaly)             {}

// pdus is a Receiver whose PDUs are of one size.
type pdus struct{ size int }

func (p *pdus) Data(_ Dir, b []byte, _ bool) int { return len(b) / p.size * p.size }
func (p *pdus) Gap(Dir, int64)                   {}
func (p *pdus) Anomaly(Dir, Anomaly)             {}

// opened gives a connection past its handshake.
func opened(r *Reassembler, to Receiver) *Conn {
	c := new(Conn)
	for _, s := range shake() {
		got := s.segment()
		r.Segment(c, s.dir, &got, to)
	}
	return c
}

type traffic struct {
	name  string
	to    Receiver
	bytes int
	step  func(r *Reassembler, c *Conn, to Receiver)
}

func traffics() []traffic {
	var list []traffic
	for _, p := range payloads {
		b := make([]byte, p.size)
		send := func(r *Reassembler, c *Conn, to Receiver, ahead int) {
			s := Segment{Seq: c.half[0].next + uint32(ahead), Ack: 501, Flags: ACK, Payload: b}
			r.Segment(c, 0, &s, to)
		}
		list = append(list,
			traffic{"in-order/" + p.name, new(all), p.size, func(r *Reassembler, c *Conn, to Receiver) {
				send(r, c, to, 0)
			}},
			traffic{"swapped-pair/" + p.name, new(all), 2 * p.size, func(r *Reassembler, c *Conn, to Receiver) {
				send(r, c, to, p.size)
				send(r, c, to, 0)
			}},
			traffic{"hole-of-8/" + p.name, new(all), 9 * p.size, func(r *Reassembler, c *Conn, to Receiver) {
				for i := 1; i < 9; i++ {
					send(r, c, to, i*p.size)
				}
				send(r, c, to, 0)
			}},
			traffic{"duplicate/" + p.name, new(all), 2 * p.size, func(r *Reassembler, c *Conn, to Receiver) {
				send(r, c, to, 0)
				send(r, c, to, -p.size)
			}},
			traffic{"gap/" + p.name, new(all), p.size, func(r *Reassembler, c *Conn, to Receiver) {
				next := c.half[0].next
				send(r, c, to, p.size)
				s := Segment{Seq: c.half[1].next, Ack: next + 2*uint32(p.size), Flags: ACK}
				r.Segment(c, 1, &s, to)
			}},
			traffic{"pdu-of-5840/" + p.name, &pdus{5840}, p.size, func(r *Reassembler, c *Conn, to Receiver) {
				send(r, c, to, 0)
			}},
		)
	}
	return list
}

func BenchmarkSegment(b *testing.B) {
	for _, tt := range traffics() {
		b.Run(tt.name, func(b *testing.B) {
			r := NewReassembler(Config{})
			c := opened(r, tt.to)
			b.ReportAllocs()
			b.SetBytes(int64(tt.bytes))
			for b.Loop() {
				tt.step(r, c, tt.to)
			}
		})
	}
	b.Run("ack", func(b *testing.B) {
		r := NewReassembler(Config{})
		c := opened(r, new(all))
		s := Segment{Seq: 501, Ack: 101, Flags: ACK}
		b.ReportAllocs()
		for b.Loop() {
			r.Segment(c, 1, &s, nil)
		}
	})
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	for _, tt := range traffics() {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReassembler(Config{})
			c := opened(r, tt.to)
			step := func() { tt.step(r, c, tt.to) }
			for range 100 {
				step()
			}
			if n := testing.AllocsPerRun(1000, step); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// flow stands for what the engine keeps of a flow.
type flow struct {
	conn Conn
	more [200]byte
}

func fill(flows int) (*Table[flow], []Key) {
	table := NewTable[flow](flows)
	keys := make([]Key, flows)
	for i := range keys {
		keys[i] = testKey(i)
		f := table.Add(&keys[i], keys[i].Hash(1), 0)
		f.conn, f.more[0] = Conn{}, byte(i)
	}
	return table, keys
}

func BenchmarkTable(b *testing.B) {
	table, keys := fill(1 << 16)
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(keys))
	b.Run("get-hot", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if table.Get(&keys[77], keys[77].Hash(1)) == nil {
				b.Fatal("lost")
			}
		}
	})
	b.Run("get-random-of-65536", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			k := &keys[order[i&(1<<16-1)]]
			i++
			if table.Get(k, k.Hash(1)) == nil {
				b.Fatal("lost")
			}
		}
	})
	b.Run("get-touch-random-of-65536", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			k := &keys[order[i&(1<<16-1)]]
			i++
			table.Touch(table.Get(k, k.Hash(1)), int64(i))
		}
	})
	b.Run("remove-oldest-add", func(b *testing.B) {
		b.ReportAllocs()
		i := 1 << 16
		for b.Loop() {
			f, _, _ := table.Oldest()
			table.Remove(f)
			k := testKey(i)
			i++
			table.Add(&k, k.Hash(1), int64(i))
		}
	})
}

func BenchmarkKey(b *testing.B) {
	src, dst := v4(10, 0, 0, 1), v4(10, 0, 0, 2)
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			k, _ := MakeKey(src, dst, 50000, 1688, 6)
			_ = k
		}
	})
	k, _ := MakeKey(src, dst, 50000, 1688, 6)
	b.Run("hash", func(b *testing.B) {
		var sum uint64
		for b.Loop() {
			sum += k.Hash(sum)
		}
	})
}

// A scan makes connections that never get beyond their SYN.
func TestAHundredThousandSYNsAreCheap(t *testing.T) {
	const flows = 100_000
	var before, behind runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table := NewTable[Conn](flows)
	r := NewReassembler(Config{})
	to := new(all)
	for i := range flows {
		k := testKey(i)
		c := table.Add(&k, k.Hash(1), int64(i))
		r.Segment(c, 0, &Segment{Seq: uint32(i) * 77777, Flags: SYN, Time: int64(i)}, to)
	}
	runtime.GC()
	runtime.ReadMemStats(&behind)
	each := float64(behind.HeapAlloc-before.HeapAlloc) / flows
	t.Logf("%.0f bytes a connection with its place in the table", each)
	if each > 300 {
		t.Errorf("%.0f bytes a connection, want at most 300", each)
	}
	runtime.KeepAlive(table)
	runtime.KeepAlive(r)
}
