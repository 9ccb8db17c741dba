package captures

import (
	"time"

	"github.com/google/gopacket/layers"
)

// kmsDial connects to the KMS host from its own zone and binds as of old.
func (t *tape) kmsDial() *conn {
	c := t.dial(internalClient, kmsHost, kmsPort)
	c.bindOld(le)
	return c
}

// ask32 and answer32 are the PDUs of a version 6 exchange in NDR32.
func (t *tape) ask32(call uint32) []byte {
	return le.request(call, ctx32, 0, le.requestStub(false, t.kmsRequest(6, t.machine("app01"))))
}

func (t *tape) answer32(call uint32) []byte {
	return le.response(call, ctx32, le.responseStub(false, t.kmsResponse(6, t.machine("app01"))))
}

func tcpCaptures() []Capture {
	return []Capture{
		{Name: "tcp-overlap-differs", Shows: "rpc-violation: a segment sent again with other bytes, which name another interface; the first are what counts", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			real := le.bind(2, offer(0, kmsInterface, ndr32))
			fake := le.bind(2, offer(0, samr, ndr32))
			c.at(toServer, 40, real[40:]) // waits for its beginning
			c.at(toServer, 40, fake[40:]) // differs in what waits
			c.at(toServer, 0, real[:40])
			c.skip(toServer, len(real))
			c.answer(le.bindAck(2, 3, "1688", accepted32))
			c.exchange(2, 0, 6)
			c.close()
		}},
		{Name: "tcp-overlap-differs-late", Shows: "a request sent again with other bytes once it was acknowledged", play: func(t *tape) {
			c := t.kmsDial()
			ask := t.ask32(2)
			c.ask(ask)
			c.ack(toClient)
			other := append([]byte(nil), ask...)
			copy(other[60:], t.noise(60))
			c.at(toServer, -len(ask), other)
			c.answer(t.answer32(2))
			c.close()
		}},
		{Name: "tcp-overlap-partial", Shows: "segments that overlap in part with the same bytes: no anomaly", play: func(t *tape) {
			c := t.kmsDial()
			ask := t.ask32(2)
			c.at(toServer, 0, ask[:150])
			c.at(toServer, 100, ask[100:200])
			c.at(toServer, 50, ask[50:])
			c.skip(toServer, len(ask))
			c.answer(t.answer32(2))
			c.close()
		}},
		{Name: "tcp-retransmitted", Shows: "bind and request retransmitted after 200 ms with the same bytes: no anomaly, one exchange", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			bind := le.bind(2, offer(0, kmsInterface, ndr32))
			c.ask(bind)
			t.wait(200 * time.Millisecond)
			c.at(toServer, -len(bind), bind)
			c.answer(le.bindAck(2, 3, "1688", accepted32))
			ask := t.ask32(2)
			c.ask(ask)
			t.wait(200 * time.Millisecond)
			c.at(toServer, -len(ask), ask)
			c.answer(t.answer32(2))
			c.close()
		}},
		{Name: "tcp-out-of-order", Shows: "bind and request in three segments each, in the order 3, 1, 2; the response in reverse", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			shuffled := func(dir int, b []byte, order ...int) {
				n := (len(b) + 2) / 3
				for _, i := range order {
					c.at(dir, i*n, b[i*n:min(len(b), i*n+n)])
				}
				c.skip(dir, len(b))
			}
			shuffled(toServer, le.bind(2, offer(0, kmsInterface, ndr32)), 2, 0, 1)
			c.answer(le.bindAck(2, 3, "1688", accepted32))
			shuffled(toServer, t.ask32(2), 2, 0, 1)
			shuffled(toClient, t.answer32(2), 2, 1, 0)
			c.close()
		}},
		{Name: "tcp-answer-before-request", Shows: "the frames of each answer were recorded before those of its question, as a SPAN port of two queues does", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			swap := func(ask, answer []byte) {
				c.skip(toServer, len(ask))
				c.at(toClient, 0, answer)
				c.at(toServer, -len(ask), ask)
				c.skip(toClient, len(answer))
			}
			swap(le.bind(2, offer(0, kmsInterface, ndr32)), le.bindAck(2, 3, "1688", accepted32))
			swap(t.ask32(2), t.answer32(2))
			c.close()
		}},
		{Name: "tcp-gap", Shows: "the middle of a request was not recorded, though acknowledged; the call behind it is whole", play: func(t *tape) {
			c := t.kmsDial()
			ask := t.ask32(2)
			c.at(toServer, 0, ask[:100])
			c.at(toServer, 200, ask[200:])
			c.skip(toServer, len(ask))
			c.answer(t.answer32(2))
			c.ask(t.ask32(3))
			c.answer(t.answer32(3))
			c.close()
		}},
		{Name: "tcp-gap-bind", Shows: "the bind_ack was not recorded, though acknowledged; a request and its response behind it", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.ask(le.bind(2, offer(0, kmsInterface, ndr32)))
			c.skip(toClient, len(le.bindAck(2, 3, "1688", accepted32)))
			c.ask(t.ask32(2))
			c.answer(t.answer32(2))
			c.close()
		}},
		{Name: "tcp-mid-stream", Shows: "no handshake and no bind: an exchange on port 1688 whose context was never seen negotiated", play: func(t *tape) {
			c := t.pickUp(dmzClient, kmsHost, kmsPort)
			c.exchange(5, ctx64, 6)
			c.exchange(6, ctx64, 4)
			c.close()
		}},
		{Name: "tcp-mid-stream-bind", Shows: "no handshake, but bind, exchange and end", play: func(t *tape) {
			c := t.pickUp(dmzClient, kmsHost, kmsPort)
			c.bindModern()
			c.exchange(2, ctx64, 6)
			c.close()
		}},
		{Name: "tcp-mid-stream-inside", Shows: "picked up inside a request, the next call is whole", play: func(t *tape) {
			c := t.pickUp(dmzClient, kmsHost, kmsPort)
			c.ask(t.ask32(4)[90:])
			c.answer(t.answer32(4))
			c.ask(t.ask32(5))
			c.answer(t.answer32(5))
			c.close()
		}},
		{Name: "tcp-client-only", Shows: "only what the client sent was recorded", play: func(t *tape) {
			c := t.pickUp(dmzClient, kmsHost, kmsPort)
			c.hide[toClient] = true
			c.handshake()
			c.bindModern()
			c.exchange(2, ctx64, 6)
			c.close()
		}},
		{Name: "tcp-server-only", Shows: "only what the server sent was recorded", play: func(t *tape) {
			c := t.pickUp(dmzClient, kmsHost, kmsPort)
			c.hide[toServer] = true
			c.handshake()
			c.bindModern()
			c.exchange(2, ctx64, 6)
			c.close()
		}},
		{Name: "tcp-span-duplicates", Shows: "every frame twice, 3 µs apart, as a SPAN port of both directions gives them: one exchange, one alert", play: func(t *tape) {
			t.copies = 2
			t.activation(dmzClient, kmsHost, 6)
		}},
		{Name: "tcp-span-duplicates-routed", Shows: "every frame before and behind a router: other MAC addresses and VLAN, TTL one less; one exchange, one alert", play: func(t *tape) {
			t.wrap = func(ip []byte) [][]byte {
				routed := append([]byte(nil), ip...)
				routed[8]--
				sum := uint32(routed[10])<<8 | uint32(routed[11])
				sum += 0x100 // RFC 1141: the TTL is the high byte of its word
				sum = sum&0xffff + sum>>16
				routed[10], routed[11] = byte(sum>>8), byte(sum)
				e := etherLayer(routed)
				e.SrcMAC, e.EthernetType = []byte{2, 1, 0, 0, 0, 1}, layers.EthernetTypeDot1Q
				return [][]byte{ethernet(ip), frameOf(e, vlan(10, layers.EthernetTypeIPv4), routed)}
			}
			t.activation(dmzClient, kmsHost, 6)
		}},
		{Name: "tcp-port-reused", Shows: "two conversations of the same ports, one reset, one closed: two flows", play: func(t *tape) {
			for i := range 2 {
				t.ports = 50000
				c := t.dial(dmzClient, kmsHost, kmsPort)
				c.bindModern()
				c.exchange(2, ctx64, 6)
				if i == 0 {
					c.reset(toServer)
				} else {
					c.close()
				}
				t.wait(time.Second)
			}
		}},
		{Name: "tcp-port-reused-silently", Shows: "a new handshake on the ports of a conversation that never ended", play: func(t *tape) {
			for range 2 {
				t.ports = 50000
				c := t.dial(dmzClient, kmsHost, kmsPort)
				c.bindModern()
				c.exchange(2, ctx64, 6)
				t.wait(time.Second)
			}
		}},
		{Name: "tcp-sequence-wraps", Shows: "sequence numbers of both directions pass 2^32 inside a PDU", play: func(t *tape) {
			c := t.pickUp(internalClient, kmsHost, kmsPort)
			c.seq = [2]uint32{0xffffffff - 120, 0xffffffff - 200}
			c.handshake()
			c.bindModern()
			c.exchange(2, ctx64, 6)
			c.exchange(3, ctx64, 4)
			c.close()
		}},
		{Name: "tcp-reset-with-data", Shows: "trap 48: a reset that carries a PDU, which is not data of the stream", play: func(t *tape) {
			c := t.kmsDial()
			c.raw(toServer, c.seq[toServer], layers.TCP{RST: true, ACK: true}, t.ask32(2))
		}},
		{Name: "tcp-syn-repeated", Shows: "trap 48: a handshake whose SYN came before with another sequence number", play: func(t *tape) {
			c := t.pickUp(internalClient, kmsHost, kmsPort)
			c.raw(toServer, c.seq[toServer]-77777, synSegment, nil)
			t.wait(time.Second)
			c.handshake()
			c.bindModern()
			c.exchange(2, ctx64, 6)
			c.close()
		}},
		{Name: "tcp-syn-with-data", Shows: "a SYN that carries the bind", play: func(t *tape) {
			c := t.pickUp(internalClient, kmsHost, kmsPort)
			bind := le.bind(2, offer(0, kmsInterface, ndr32))
			c.raw(toServer, c.seq[toServer], synSegment, bind)
			c.skip(toServer, 1+len(bind))
			c.raw(toClient, c.seq[toClient], layers.TCP{SYN: true, ACK: true, Options: synOptions}, nil)
			c.skip(toClient, 1)
			c.answer(le.bindAck(2, 3, "1688", accepted32))
			c.exchange(2, 0, 6)
			c.close()
		}},
		{Name: "tcp-keep-alive", Shows: "keep-alive probes of one old byte between two exchanges: no anomaly", play: func(t *tape) {
			c := t.kmsDial()
			c.exchange(2, 0, 6)
			for range 3 {
				t.wait(30 * time.Second)
				c.at(toServer, -1, []byte{0})
				c.ack(toClient)
			}
			c.exchange(3, 0, 6)
			c.close()
		}},
		{Name: "tcp-fin-early", Shows: "trap 48: a FIN with a sequence number beyond the window, then the exchange goes on", play: func(t *tape) {
			c := t.kmsDial()
			c.raw(toServer, c.seq[toServer]+900000, layers.TCP{FIN: true, ACK: true}, nil)
			c.exchange(2, 0, 6)
			c.close()
		}},
	}
}
