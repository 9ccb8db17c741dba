package decode_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"kmswatch/decode"
)

// run feeds frames to an engine and gives its counters, before Close and after.
func (r *reel) run(cfg decode.Config, h decode.Handler) (before, after decode.Stats) {
	e := decode.New(cfg, h)
	for i := range r.frames {
		e.Feed(&r.frames[i])
	}
	before = e.Stats()
	e.Close()
	return before, e.Stats()
}

func TestMaxFlowsHolds(t *testing.T) {
	t.Parallel()
	r := newReel()
	const n, kept = 20000, 64 * 16
	r.flood(n)
	before, _ := r.run(decode.Config{MaxFlows: kept}, &counter{})
	if before.Flows != n || before.Flows-before.Evicted > kept {
		t.Errorf("%d flows, of which %d made room, are more than %d", before.Flows, before.Evicted, kept)
	}
}

func TestMaxCallsHolds(t *testing.T) {
	t.Parallel()
	r := newReel()
	c := r.dial(clientEnd, kmsEnd)
	c.ask(bindPDU(1, samrWire))
	c.answer(bindAckPDU(1))
	for i := range 10 {
		c.ask(requestPDU(uint32(i+2), 0, 1, nil))
	}
	c.answer(responsePDU(8, 0, nil)) // the oldest of the four that wait
	c.answer(responsePDU(7, 0, nil)) // given up by then
	c.close()
	r.want(t, decode.Config{MaxCalls: 4},
		"bind 1 accepted", "odd dcerpc too-many-calls",
		"call 2 unknown", "call 3 unknown", "call 4 unknown", "call 5 unknown", "call 6 unknown", "call 7 unknown",
		"call 8 answered", "odd dcerpc reply-without-request", "call 7 answered frames=0/17",
		"call 9 unanswered", "call 10 unanswered", "call 11 unanswered", "end closed")
}

func TestMaxFragmentsHolds(t *testing.T) {
	t.Parallel()
	r := newReel()
	for i := range 1000 {
		b := tinyFragment(spread(i))
		b = append(b, make([]byte, 64)...)
		b[3] += 64
		r.frame(b)
	}
	before, _ := r.run(decode.Config{MaxFragments: 10}, &counter{})
	if p := before.Packet; p.KeptDatagrams > 10 || p.Evicted != 990 {
		t.Errorf("%d datagrams wait, %d were evicted", p.KeptDatagrams, p.Evicted)
	}
}

// holed are flows of which each waits with 84 kB behind a hole.
func holed(flows int) *reel {
	r := newReel()
	for i := range flows {
		c := r.dial(spread(i), kmsEnd)
		for at := range 60 {
			c.raw(0, psh|ack, 1+1400*at, make([]byte, 1400))
		}
	}
	return r
}

func TestMaxReassemblyHolds(t *testing.T) {
	r := holed(600)
	const bound = 64 * (512 << 10) // the least: twice the least MaxWaiting a shard
	before, after := r.run(decode.Config{MaxWaiting: 256 << 10, MaxReassembly: 1}, &counter{})
	if w := before.Reassembly; w.PeakWaiting > bound || w.PeakWaiting < bound/8 || w.Reclaimed == 0 {
		t.Errorf("at most %d bytes waited, %d directions lost theirs; the bound is %d", w.PeakWaiting, w.Reclaimed, bound)
	}
	if after.Reassembly.Waiting != 0 {
		t.Errorf("%d bytes wait behind the end", after.Reassembly.Waiting)
	}
}

// heap gives the bytes on the heap that what do makes keeps.
func heap(do func() any) int {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := do()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	return int(after.HeapAlloc) - int(before.HeapAlloc)
}

// callsOf is a flow with n calls that nobody answers.
func (r *reel) callsOf(client netip.AddrPort, n int) {
	c := r.dial(client, kmsEnd)
	c.ask(bindPDU(1, kmsWire))
	c.answer(bindAckPDU(1))
	var b []byte
	for i := range n {
		b = append(b, requestPDU(uint32(i+2), 0, 1, nil)...)
	}
	c.ask(b)
}

// TestMemoryIsBounded feeds what makes an engine keep most, and measures. The
// tests are not parallel: the heap is everyone's.
func TestMemoryIsBounded(t *testing.T) {
	cases := []struct {
		name string
		cfg  decode.Config
		play func(r *reel, i int) // once for each flow
		n    int
		most int // MiB
	}{
		{"SYNs to port 1688 from 40,000 ends", decode.Config{MaxFlows: 16384}, func(r *reel, i int) {
			r.tcp(spread(i), kmsEnd, 1, 0, syn, nil)
		}, 40000, 20},
		{"flows opened and reset at one moment", decode.Config{MaxFlows: 16384}, func(r *reel, i int) {
			r.tcp(spread(i%8), kmsEnd, 1, 0, syn, nil)
			r.tcp(kmsEnd, spread(i%8), 1, 2, rst|ack, nil)
			r.now -= 2 * millisecond
		}, 60000, 8},
		{"flows opened and closed at one moment", decode.Config{MaxFlows: 16384}, func(r *reel, i int) {
			c := r.dial(spread(i%8), kmsEnd)
			c.close()
			r.now -= 6 * millisecond
		}, 12000, 80}, // 64 tables of 16,384 hashes at most, if they were spread
		{"flows of 256 calls without an answer", decode.Config{MaxState: 8 << 20}, func(r *reel, i int) {
			r.callsOf(spread(i), 256)
		}, 500, 32},
		{"questions of 200 octets that nobody answers", decode.Config{MaxState: 8 << 20, MaxFlows: 1 << 14}, func(r *reel, i int) {
			for id := range 32 {
				r.udp(spread(i), dnsEnd, dnsQuery(uint16(id), fmt.Sprintf("_%060d.%063d.%060d.%d", i, i, i, id), 33))
			}
		}, 1000, 40},
		{"UPDATEs of 8 kB that nobody answers", decode.Config{MaxState: 8 << 20, MaxFlows: 1 << 14}, func(r *reel, i int) {
			r.udp(spread(i), dnsEnd, manyChanges(i))
		}, 600, 40},
		{"pipes with 256 calls each without an answer", decode.Config{MaxState: 8 << 20}, func(r *reel, i int) {
			c := r.smb(spread(i))
			c.session = 0x77
			c.ipc()
			for n := range byte(8) {
				c.open("samr", n)
				c.write(n, bindPDU(1, samrWire))
				c.read(n, bindAckPDU(1))
				var b []byte
				for id := range uint32(256) {
					b = append(b, requestPDU(id+2, 0, 1, nil)...)
				}
				c.write(n, b)
			}
		}, 120, 24},
		{"SMB sessions of long names", decode.Config{MaxState: 8 << 20}, func(r *reel, i int) {
			c := r.smb(spread(i))
			for n := range 60 {
				c.session = uint64(n + 1)
				c.setup(ntlmAuthenticate(long(i, n)), 0, 0, "")
			}
		}, 1000, 24},
		{"tree connects of long names that nobody answers", decode.Config{MaxState: 8 << 20}, func(r *reel, i int) {
			c := r.smb(spread(i))
			c.session = 0x77
			for n := range 500 {
				path := wide(`\\srv\` + long(i, n))
				c.request(smbConnect, numbers(uint16(9), uint16(0), uint16(72), uint16(len(path)), path))
			}
		}, 120, 24},
		{"security contexts of long names", decode.Config{MaxState: 8 << 20}, func(r *reel, i int) {
			c := r.dial(spread(i), kmsEnd)
			for n := range uint32(8) {
				logon(c, atPacket, n, long(i, int(n)))
			}
		}, 6000, 28},
		{"searches of long names that nobody answers", decode.Config{MaxState: 8 << 20}, func(r *reel, i int) {
			c := r.dial(spread(i), ldapEnd)
			for n := range byte(60) {
				c.ask(ldapSearch(n, long(i, int(n))[:120]))
			}
		}, 1000, 24},
		{"chunks that hold the beginning of a PDU", decode.Config{MaxState: 8 << 20}, func(r *reel, i int) {
			c := r.dial(spread(i), netip.AddrPortFrom(kmsEnd.Addr(), 593))
			c.ask([]byte("RPC_OUT_DATA /rpc/rpcproxy.dll?srv:593 HTTP/1.1\r\nContent-Length: 0\r\n\r\n"))
			c.answer([]byte("HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\nTransfer-Encoding: chunked\r\n\r\n"))
			b := responsePDU(1, 0, make([]byte, 60000))[:59000]
			for ; len(b) > 0; b = b[1000:] {
				c.answer(append(append([]byte("3e8\r\n"), b[:1000]...), "\r\n"...))
			}
		}, 600, 24},
		// What every flow has is bounded by MaxFlows: 16,384 of at most 6 KiB.
		{"SMB connections of a bound pipe each", decode.Config{MaxFlows: 16384, MaxState: 8 << 20}, func(r *reel, i int) {
			c := r.smb(spread(i))
			c.logon(ntlmAuthenticate("alice"), 0, 0)
			c.ipc()
			c.bind("samr", 1, samrWire)
		}, 40000, 96},
		{"SMB connections of four bound pipes each", decode.Config{MaxFlows: 16384, MaxState: 8 << 20}, func(r *reel, i int) {
			c := r.smb(spread(i))
			c.logon(ntlmAuthenticate("alice"), 0, 0)
			c.ipc()
			for n := range byte(4) {
				c.bind("samr", n, samrWire)
			}
		}, 40000, 96},
		{"SMB connections of 256 pipes", decode.Config{MaxState: 8 << 20}, func(r *reel, i int) {
			c := r.smb(spread(i))
			c.logon(ntlmAuthenticate("alice"), 0, 0)
			c.ipc()
			for n := range 256 {
				c.bind("samr", byte(n), samrWire)
			}
		}, 300, 40},
		{"PDUs that never end in four pipes", decode.Config{MaxState: 8 << 20}, func(r *reel, i int) {
			c := r.smb(spread(i))
			p := requestPDU(2, 0, 0, make([]byte, 40000))
			for n := range byte(4) {
				c.bind("samr", n, kmsWire)
				for at := 0; at < 39000; at += 1000 {
					c.write(n, p[at:at+1000])
				}
			}
		}, 200, 40},
		{"LDAP connections of a search each", decode.Config{MaxFlows: 16384, MaxState: 8 << 20}, func(r *reel, i int) {
			r.dial(spread(i), ldapEnd).ask(ldapSearch(1, fmt.Sprintf("CN=%0100d", i)))
		}, 40000, 96},
		{"Kerberos requests of long names without an answer", decode.Config{MaxFlows: 16384, MaxState: 8 << 20}, func(r *reel, i int) {
			for id := range 8 {
				r.udp(spread(i), kdcEnd, asReq(fmt.Sprintf("%0200d", id), strings.Repeat("R", 200)))
			}
		}, 20000, 40},
		{"calls of connectionless DCE/RPC without an answer", decode.Config{MaxFlows: 16384, MaxState: 8 << 20}, func(r *reel, i int) {
			for id := range uint32(256) {
				r.udp(spread(i), oddEnd, datagramRequest(id, kmsWire, kmsAsk()))
			}
		}, 1000, 40},
		{"a call of connectionless DCE/RPC a flow", decode.Config{MaxFlows: 16384, MaxState: 8 << 20}, func(r *reel, i int) {
			r.udp(spread(i), oddEnd, datagramRequest(1, kmsWire, kmsAsk()))
		}, 40000, 96},
		{"channels of RPC over HTTP", decode.Config{MaxFlows: 16384, MaxState: 8 << 20}, func(r *reel, i int) {
			c := r.dial(spread(i), httpEnd)
			c.answer([]byte("ncacn_http/1.0"))
			c.ask(bindPDU(1, kmsWire))
			c.answer(bindAckPDU(1))
		}, 40000, 96},
		{"bits of flows set by a byte each", decode.Config{MaxFlows: 16384}, func(r *reel, i int) {
			r.tcp(spread(i), oddEnd, 1, 1, ack, []byte{5})
		}, 40000, 24},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var st decode.Stats
			got := heap(func() any {
				e := decode.New(c.cfg, &counter{})
				for i := range c.n {
					r := newReel()
					c.play(r, i)
					for j := range r.frames {
						e.Feed(&r.frames[j])
					}
				}
				st = e.Stats()
				return e
			})
			t.Logf("%d KiB for %d flows, %d evicted", got>>10, st.Flows, st.Evicted)
			if got > c.most<<20 {
				t.Errorf("%d KiB, want at most %d MiB", got>>10, c.most)
			}
		})
	}
}

// Room is made by flows that hold something.
func TestFlowsThatHoldNothingMakeNoRoom(t *testing.T) {
	t.Parallel()
	r := newReel()
	var honest []*talk
	for i := range 64 {
		c := r.dial(spread(i), kmsEnd)
		c.ask(bindPDU(1, kmsWire))
		c.answer(bindAckPDU(1))
		for id := range uint32(8) {
			c.ask(requestPDU(id+2, 0, 1, nil))
		}
		for id := range uint32(8) {
			c.answer(responsePDU(id+2, 0, nil))
		}
		honest = append(honest, c)
	}
	for i := range 200 {
		r.callsOf(spread(1000+i), 256)
	}
	for _, c := range honest {
		c.close()
	}
	closed := 0
	r.run(decode.Config{MaxState: 1}, handlerFunc(func(e decode.Event) {
		if end, ok := e.(*decode.FlowEnd); ok && end.Reason == decode.Closed {
			closed++
		}
	}))
	if closed != len(honest) {
		t.Errorf("%d of %d flows lived", closed, len(honest))
	}
}

// long is a name of 400 letters for two numbers.
func long(i, n int) string { return fmt.Sprintf("%0400d", i<<16|n) }

var ldapEnd = netip.MustParseAddrPort("10.66.10.10:389")

// ldapSearch searches below a base for what is there (RFC 4511 4.5.1).
func ldapSearch(id byte, base string) []byte {
	return el(0x30, append([]byte{2, 1, id}, el(0x63, append(el(4, []byte(base[:80])),
		10, 1, 2, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0, 0x87, 1, 'x', 0x30, 0))...))
}

// manyChanges is an UPDATE of a hundred records.
func manyChanges(n int) []byte {
	b := dnsUpdate(1, vlmcs, 1688, "evil.example")
	one := b[12+18:] // the record behind the zone
	for i := range 100 {
		next := append([]byte{}, one...)
		next[1], next[2] = byte('a'+i%26), byte('a'+(i/26+n)%26) // names of their own
		b = append(b, next...)
	}
	b[9] = 101
	return b
}

// BenchmarkAdversary is what a frame, and a byte of it, costs that was made to
// cost much, beside the exchange of an honest client. Per byte, since a line has
// so many of them a second, none is more than about 40 times as dear.
func BenchmarkAdversary(b *testing.B) {
	cases := []struct {
		name string
		play func(*reel)
	}{
		{"honest", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask(bindPDU(1, kmsWire))
			c.answer(bindAckPDU(1))
			for i := range 50 {
				c.ask(requestPDU(uint32(i+2), 0, 0, kmsAsk()))
				c.answer(responsePDU(uint32(i+2), 0, kmsGrant()))
			}
			c.close()
		}},
		{"calls of one id", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			c.ask(bindPDU(1, kmsWire))
			c.answer(bindAckPDU(1))
			for range 50 {
				var p []byte
				for range 50 {
					p = append(p, requestPDU(7, 0, 1, nil)...)
				}
				c.ask(p)
			}
		}},
		{"cancels of nothing among 256 calls", func(r *reel) {
			r.callsOf(clientEnd, 256)
			c := r.pickUp(clientEnd, kmsEnd)
			c.seq = [2]uint32{1001 + 72 + 256*24, 5061}
			for range 50 {
				var p []byte
				for range 80 {
					p = append(p, pdu(ptCancel, firstLast, 1<<30)...)
				}
				c.ask(p)
			}
		}},
		{"binds of 100 contexts", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			for i := range 20 {
				body := []byte{0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 100, 0, 0, 0}
				for id := range 100 {
					body = append(body, byte(id), byte(i), 0, 0)
					body = append(body, kmsWire...)
				}
				p := pdu(ptBind, firstLast, uint32(i), body...)
				c.ask(p[:1400])
				c.ask(p[1400:])
			}
		}},
		{"segments of one byte", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			for _, x := range requestPDU(1, 0, 0, make([]byte, 5000)) {
				c.ask([]byte{x})
			}
		}},
		{"segments in reverse", func(r *reel) {
			c := r.dial(clientEnd, kmsEnd)
			for i := range 1000 {
				c.raw(0, psh|ack, 1+2*(1000-i), []byte{1})
			}
		}},
		{"DNS of a thousand records", func(r *reel) {
			m := dnsAnswer(1, vlmcs, 1688, "a.example")
			rec := m[len(m)-29:]
			for range 300 {
				m = append(m, rec...)
			}
			m[6], m[7] = 1, 0x2d
			for range 5 {
				r.udp(dnsEnd, clientEnd, m)
			}
		}},
		{"DNS of long names by pointers", func(r *reel) {
			// A name of 127 labels, each behind a pointer, for owner and target of
			// each of a thousand records.
			m := dnsQuery(1, vlmcs, 33)
			m[2] = 0x85
			m = append(m, 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 1, 0xfd) // TXT, 509 bytes
			at := len(m)
			m = append(m, 0)
			to := at
			for range 127 {
				here := len(m)
				m = append(m, 1, 'a', 0xc0|byte(to>>8), byte(to))
				to = here
			}
			m = append(m, make([]byte, 509-(len(m)-at))...)
			n := 0
			for ; len(m) < 60000; n++ {
				m = append(m, 0xc0|byte(to>>8), byte(to), 0, 33, 0, 1, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 1, 0xc0|byte(to>>8), byte(to))
			}
			n++
			m[6], m[7] = byte(n>>8), byte(n)
			r.udp(dnsEnd, clientEnd, m)
		}},
		{"SYNs", func(r *reel) { r.flood(1000) }},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			r := newReel()
			c.play(r)
			bytes := int64(0)
			for _, f := range r.frames {
				bytes += int64(len(f.Data))
			}
			b.SetBytes(bytes)
			b.ReportAllocs()
			e := decode.New(decode.Config{}, &counter{})
			step := r.frames[len(r.frames)-1].Time - r.frames[0].Time + idleLong
			for b.Loop() {
				for i := range r.frames {
					f := r.frames[i]
					e.Feed(&f)
					r.frames[i].Time += step
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(r.frames)), "ns/frame")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(bytes), "ns/byte")
		})
	}
}
