package captures

import (
	"bytes"
	"net/netip"
	"slices"
)

// dynamicPort is where the RPC captures that are not about KMS take place.
const dynamicPort = 49152

// rpcDial connects to an RPC server in the same zone.
func (t *tape) rpcDial() *conn { return t.dial(internalClient, fileServer, dynamicPort) }

// bindTo binds one interface as context 0, in call 1.
func (c *conn) bindTo(s syntax) {
	c.ask(le.bind(1, offer(0, s, ndr32)))
	c.answer(le.bindAck(1, 0x53f0, "49152", accepted32))
}

// Operations whose stubs are a context handle one way, a handle and a status
// the other: of svcctl (close, delete, lock), and of samr and lsarpc (close).
const (
	opClose     = 0
	opDelete    = 2
	opLock      = 3
	opSamrClose = 1
)

// handle is a request stub of one context handle, or the front of a longer stub.
func (t *tape) handle() []byte { return append(make([]byte, 4), t.noise(16)...) }

// status is a response stub of a context handle and success.
func (t *tape) status() []byte { return append(t.handle(), 0, 0, 0, 0) }

// call is a request and its response.
func (c *conn) call(id uint32, ctx, opnum uint16) {
	c.ask(le.request(id, ctx, opnum, c.t.handle()))
	c.answer(le.response(id, ctx, c.t.status()))
}

func rpcCaptures() []Capture {
	return []Capture{
		{Name: "rpc-transfer-syntaxes-none", Shows: "trap 2: a context item without a transfer syntax before a KMS item, rejected and accepted", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.ask(le.bind(2, item{5, lsarpc, nil}, offer(0, kmsInterface, ndr32)))
			c.answer(le.bindAck(2, 3, "1688", noTransfer, accepted32))
			c.exchange(2, 0, 6)
			c.close()
		}},
		{Name: "rpc-transfer-syntaxes-two", Shows: "trap 1: one KMS item of two transfer syntaxes, another interface behind it", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.ask(le.bind(2, offer(0, kmsInterface, ndr32, ndr64), offer(1, lsarpc, ndr32)))
			c.answer(le.bindAck(2, 3, "1688", accepted32, noInterface))
			c.exchange(2, 0, 6)
			c.close()
		}},
		{Name: "rpc-transfer-syntaxes-255", Shows: "trap 1: an item of 255 transfer syntaxes, the last of them NDR32, before a KMS item, in a bind of 5,200 bytes", play: func(t *tape) {
			many := slices.Repeat([]syntax{{"deadbeef-0000-0000-0000-000000000000", 1, 0}}, 255)
			many[254] = ndr32
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.ask(le.bind(2, item{9, lsarpc, many}, offer(0, kmsInterface, ndr32)))
			c.answer(le.bindAck(2, 3, "1688", noInterface, accepted32))
			c.exchange(2, 0, 6)
			c.close()
		}},
		{Name: "rpc-transfer-syntaxes-beyond", Shows: "a bind whose item tells of 200 transfer syntaxes and has one, and one of 50 items that has one", play: func(t *tape) {
			c := t.rpcDial()
			b := le.bind(1, offer(0, samr, ndr32))
			b[30] = 200
			c.ask(b)
			c.answer(le.bindNak(1, 0))
			c.close()
			c = t.rpcDial()
			b = le.bind(1, offer(0, samr, ndr32))
			b[24] = 50
			c.ask(b)
			c.answer(le.bindNak(1, 0))
			c.close()
		}},
		{Name: "rpc-results-positional", Shows: "trap 3: contexts 7, 3 and 9; results accepted, rejected, accepted by position; calls on 7 and 9", play: func(t *tape) {
			c := t.rpcDial()
			c.ask(le.bind(1, offer(7, samr, ndr32), offer(3, netlogon, ndr32), offer(9, svcctl, ndr32)))
			c.answer(le.bindAck(1, 4, "49152", accepted32, noInterface, accepted32))
			c.call(2, 9, opClose)
			c.call(3, 7, opSamrClose)
			c.close()
		}},
		{Name: "rpc-alter-first", Shows: "trap 6: alter_context as the first PDU of a connection, accepted, KMS behind it", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.ask(le.alter(2, offer(0, kmsInterface, ndr32)))
			c.answer(le.alterResp(2, 5, accepted32))
			c.exchange(2, 0, 6)
			c.close()
		}},
		{Name: "rpc-second-bind-nak", Shows: "traps 7 and 8: a second bind, for samr, answered by bind_nak; the call that follows on context 0 faults", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.call(2, 0, opClose)
			c.ask(le.bind(3, offer(0, samr, ndr32)))
			c.answer(le.bindNak(3, 0))
			c.ask(le.request(4, 0, opClose, t.handle()))
			c.answer(le.fault(4, 0, contextUnknown))
			c.close()
		}},
		{Name: "rpc-second-bind-accepted", Shows: "trap 7: a second bind that the server accepts: context 0 is samr from then on", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.call(2, 0, opClose)
			c.ask(le.bind(3, offer(0, samr, ndr32)))
			c.answer(le.bindAck(3, 0x53f0, "49152", accepted32))
			c.call(4, 0, opSamrClose)
			c.close()
		}},
		{Name: "rpc-alter-rejected", Shows: "trap 7b: alter_context offers samr under the id of svcctl and is rejected: calls on context 0 are still svcctl's", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.ask(le.alter(2, offer(0, samr, ndr32)))
			c.answer(le.alterResp(2, 0x53f0, noInterface))
			c.call(3, 0, opClose)
			c.close()
		}},
		{Name: "rpc-call-before-ack", Shows: "trap 7b: alter_context and a call on its context in one segment, before the answer", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.ask(append(le.alter(2, offer(1, samr, ndr32)), le.request(3, 1, opSamrClose, t.handle())...))
			c.answer(append(le.alterResp(2, 0x53f0, accepted32), le.response(3, 1, t.status())...))
			c.close()
		}},
		{Name: "rpc-interfaces-many", Shows: "trap 11: 100 contexts in one bind, of which the last is KMS and alone accepted", play: func(t *tape) {
			var items []item
			results := slices.Repeat([]result{noInterface}, 100)
			for i := range 100 {
				items = append(items, offer(uint16(i), syntax{"0badf00d-0000-0000-0000-0000000000" + hexByte(i), 1, 0}, ndr32))
			}
			items[99].abstract, results[99] = kmsInterface, accepted32
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.ask(le.bind(2, items...))
			c.answer(le.bindAck(2, 3, "1688", results...))
			c.exchange(2, 99, 6)
			c.close()
		}},
		{Name: "rpc-big-endian", Shows: "trap 12: a KMS client in big-endian data representation; the bind_ack is little-endian, the response big-endian", play: func(t *tape) {
			m := t.machine("sparc01")
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.bindOld(be)
			c.ask(be.request(2, 0, 0, be.requestStub(false, t.kmsRequest(4, m))))
			c.answer(be.response(2, 0, be.responseStub(false, t.kmsResponse(4, m))))
			c.ask(be.request(3, 0, 0, be.requestStub(false, t.kmsRequest(6, m))))
			c.answer(le.response(3, 0, le.refusalStub(false, notActivated)))
			c.close()
		}},
		{Name: "rpc-big-endian-both", Shows: "trap 12: all PDUs big-endian, the bind_ack too, three contexts, an object UUID, a fault", play: func(t *tape) {
			c := t.rpcDial()
			c.ask(be.bind(1, offer(0x102, samr, ndr32), offer(1, samr, ndr64), offer(2, samr, features)))
			c.answer(be.bindAck(1, 0x01020304, "49152", accepted32, noTransfer, agreed))
			c.ask(be.request(0x01020304, 0x102, opSamrClose, t.handle()))
			c.answer(be.response(0x01020304, 0x102, t.status()))
			c.ask(be.requestOn("01234567-89ab-cdef-0123-456789abcdef", 3, 0x102, 0x1ff, t.noise(8)))
			c.answer(be.fault(3, 0x102, unknownOpnum))
			c.close()
		}},
		{Name: "rpc-byte-order-changes", Shows: "trap 13: a big-endian bind, a little-endian alter_context and call", play: func(t *tape) {
			c := t.rpcDial()
			c.ask(be.bind(1, offer(0, svcctl, ndr32)))
			c.answer(le.bindAck(1, 5, "49152", accepted32))
			c.ask(le.alter(2, offer(1, samr, ndr32)))
			c.answer(le.alterResp(2, 5, accepted32))
			c.call(3, 1, opSamrClose)
			c.close()
		}},
		{Name: "rpc-minor-version-1", Shows: "trap 14: all PDUs of version 5.1", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.ask(withMinor(le.bind(2, offer(0, kmsInterface, ndr32)), 1))
			c.answer(withMinor(le.bindAck(2, 3, "1688", accepted32), 1))
			m := t.machine("app01")
			c.ask(withMinor(le.request(2, 0, 0, le.requestStub(false, t.kmsRequest(6, m))), 1))
			c.answer(withMinor(le.response(2, 0, le.responseStub(false, t.kmsResponse(6, m))), 1))
			c.close()
		}},
		{Name: "rpc-bind-flags", Shows: "trap 15: binds with pfc_flags 0 and with last alone, both accepted, a call behind each", play: func(t *tape) {
			for _, flags := range []byte{0, last} {
				c := t.rpcDial()
				c.ask(withFlags(le.bind(1, offer(0, samr, ndr32)), flags))
				c.answer(le.bindAck(1, 6, "49152", accepted32))
				c.call(2, 0, opSamrClose)
				c.close()
			}
		}},
		{Name: "rpc-context-unknown", Shows: "trap 16: requests on context 7, never negotiated: one answered, one faulted", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.call(2, 7, opClose)
			c.ask(le.request(3, 7, opClose, t.handle()))
			c.answer(le.fault(3, 7, contextUnknown))
			c.close()
		}},
		{Name: "rpc-context-rejected", Shows: "trap 16: a request on a context that the server rejected, answered all the same", play: func(t *tape) {
			c := t.rpcDial()
			c.ask(le.bind(1, offer(0, svcctl, ndr32), offer(1, samr, ndr32)))
			c.answer(le.bindAck(1, 6, "49152", accepted32, noInterface))
			c.call(2, 1, opSamrClose)
			c.close()
		}},
		{Name: "rpc-fragments-differ", Shows: "trap 17: a request whose second fragment names another opnum and context than its first", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			stub := t.noise(400)
			c.ask(le.requestPart(first, 2, 0, opClose, 400, stub[:200]))
			c.ask(le.requestPart(last, 2, 1, 45, 200, stub[200:]))
			c.answer(le.response(2, 0, t.status()))
			c.close()
		}},
		{Name: "rpc-fragment-first-twice", Shows: "trap 18: the first fragment of a call comes twice; the calls behind it are whole", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			stub := t.noise(400)
			c.ask(le.requestPart(first, 2, 0, opClose, 400, stub[:200]))
			c.ask(le.requestPart(first, 2, 0, opClose, 400, stub[:200]))
			c.ask(le.requestPart(last, 2, 0, opClose, 200, stub[200:]))
			c.answer(le.response(2, 0, t.status()))
			c.call(3, 0, opDelete)
			c.close()
		}},
		{Name: "rpc-calls-open", Shows: "trap 19: 300 calls begun by a first fragment and never ended, then one whole call", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			var b []byte
			for i := range 300 {
				b = append(b, le.requestPart(first, uint32(10+i), 0, opClose, 64, t.noise(8))...)
			}
			c.ask(b)
			c.call(1000, 0, opDelete)
			c.close()
		}},
		{Name: "rpc-fragment-length-small", Shows: "trap 22: after a bind, PDUs of frag_len 0 and 15, a connection each", play: func(t *tape) {
			for _, n := range []uint16{0, 15} {
				c := t.rpcDial()
				c.bindTo(svcctl)
				c.ask(withFragLen(le.request(2, 0, opClose, t.handle()), n))
				c.reset(toClient)
			}
		}},
		{Name: "rpc-fragment-length-body", Shows: "trap 22: frag_len ends inside the body header of a request, a response, a bind and a fault", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.ask(withFragLen(le.request(2, 0, opClose, nil)[:20], 20))
			c.answer(withFragLen(le.response(2, 0, nil)[:18], 18))
			c.ask(withFragLen(le.request(3, 0, opClose, nil)[:16], 16))
			c.answer(withFragLen(le.fault(3, 0, accessDenied)[:24], 24))
			c.close()
			c = t.rpcDial()
			c.ask(withFragLen(le.bind(1, offer(0, samr, ndr32))[:26], 26))
			c.answer(le.bindNak(1, 4))
			c.close()
		}},
		{Name: "rpc-fragment-length-big", Shows: "trap 23: a bind that agrees on 1,432 bytes and a fragment of 5,000 behind it", play: func(t *tape) {
			c := t.rpcDial()
			b := le.bind(1, offer(0, svcctl, ndr32))
			copy(b[16:], []byte{0x98, 0x05, 0x98, 0x05})
			c.ask(b)
			a := le.bindAck(1, 6, "49152", accepted32)
			copy(a[16:], []byte{0x98, 0x05, 0x98, 0x05})
			c.answer(a)
			c.ask(le.request(2, 0, opClose, t.noise(4976)))
			c.answer(le.response(2, 0, t.status()))
			c.close()
		}},
		{Name: "rpc-fragmented", Shows: "KMS request and response in fragments of 100 stub bytes, a fragment a segment", play: func(t *tape) {
			m := t.machine("app01")
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.bindModern()
			for _, f := range le.fragments(2, ctx64, 0, le.requestStub(true, t.kmsRequest(4, m)), 100) {
				c.ask(f)
			}
			for _, f := range le.answers(2, ctx64, le.responseStub(true, t.kmsResponse(4, m)), 100) {
				c.answer(f)
			}
			c.close()
		}},
		{Name: "rpc-fragments-large", Shows: "a svcctl response of 20,000 bytes in four full fragments", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.ask(le.request(2, 0, opSamrClose, t.noise(80)))
			c.answer(bytes.Join(le.answers(2, 0, t.noise(20000), ruleOfFragments-24), nil))
			c.close()
		}},
		{Name: "rpc-fragments-tiny", Shows: "rpc-violation: a KMS request cut into fragments of one stub byte", play: func(t *tape) {
			m := t.machine("app01")
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.bindOld(le)
			c.ask(bytes.Join(le.fragments(2, 0, 0, le.requestStub(false, t.kmsRequest(6, m)), 1), nil))
			c.answer(le.response(2, 0, le.responseStub(false, t.kmsResponse(6, m))))
			c.close()
		}},
		{Name: "rpc-fragments-unfinished", Shows: "a request of which the last fragment never comes, and a fault for it", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			for _, f := range le.fragments(2, 0, opClose, t.noise(300), 100)[:2] {
				c.ask(f)
			}
			c.answer(le.fault(2, 0, badStub))
			c.close()
		}},
		{Name: "rpc-pipelined", Shows: "trap 25: three requests at once on one context, answered in the order 4, 2, 3", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.ask(bytes.Join([][]byte{le.request(2, 0, opClose, t.handle()), le.request(3, 0, opLock, t.handle()), le.request(4, 0, opDelete, t.handle())}, nil))
			c.answer(bytes.Join([][]byte{le.response(4, 0, t.status()), le.response(2, 0, t.status()), le.fault(3, 0, accessDenied)}, nil))
			c.close()
		}},
		{Name: "rpc-interleaved", Shows: "fragments of two requests and of their responses by turns", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			a, b := le.fragments(2, 0, opClose, t.noise(300), 100), le.fragments(3, 0, opLock, t.noise(300), 100)
			x, y := le.answers(2, 0, t.noise(200), 100), le.answers(3, 0, t.noise(200), 100)
			for i := range a {
				c.ask(append(a[i], b[i]...))
			}
			for i := range x {
				c.answer(append(y[i], x[i]...))
			}
			c.close()
		}},
		{Name: "rpc-call-id-reused", Shows: "trap 26: five calls one after the other, all of call id 1", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			for i := range 5 {
				c.call(1, 0, uint16(opDelete+i%2))
			}
			c.close()
		}},
		{Name: "rpc-response-first", Shows: "trap 27: a response whose request was not seen, mid-stream, then a whole call", play: func(t *tape) {
			c := t.pickUp(internalClient, fileServer, dynamicPort)
			c.answer(le.response(8, 0, t.status()))
			c.call(9, 0, opClose)
			c.close()
		}},
		{Name: "rpc-cancel-orphaned-shutdown", Shows: "trap 28: co_cancel of one call and orphaned of another, a fault for the first, then shutdown", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.ask(le.request(2, 0, opClose, t.handle()))
			c.ask(le.pdu(ptCancel, whole, 2, nil, nil))
			c.answer(le.fault(2, 0, 0x1c00000d)) // nca_s_fault_cancel
			c.ask(le.requestPart(first, 3, 0, opLock, 400, t.noise(200)))
			c.ask(le.pdu(ptOrphaned, whole, 3, nil, nil))
			c.call(4, 0, opDelete)
			c.answer(le.pdu(ptShutdown, whole, 0, nil, nil))
			c.close()
		}},
		{Name: "rpc-pdus-one-segment", Shows: "trap 29: bind_ack and five responses in one segment, five requests in one", play: func(t *tape) {
			c := t.rpcDial()
			c.ask(le.bind(1, offer(0, svcctl, ndr32)))
			var asks, answers []byte
			answers = le.bindAck(1, 6, "49152", accepted32)
			for i := range 5 {
				asks = append(asks, le.request(uint32(2+i), 0, uint16(opDelete+i%2), t.handle())...)
				answers = append(answers, le.response(uint32(2+i), 0, t.status())...)
			}
			c.ask(asks)
			c.answer(answers)
			c.close()
		}},
		{Name: "rpc-segments-of-one-byte", Shows: "trap 29: a KMS exchange in NDR32 in TCP segments of one byte", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.mss = 1
			c.bindOld(le)
			c.refusal(2, 0, notActivated)
			c.close()
		}},
		{Name: "rpc-segments-straddle", Shows: "trap 29: segments of 100 bytes over PDU borders, both ways", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.mss = 100
			var asks, answers []byte
			for i := range 6 {
				asks = append(asks, le.request(uint32(2+i), 0, uint16(opDelete+i%2), append(t.handle(), t.noise(13+i)...))...)
				answers = append(answers, le.response(uint32(2+i), 0, append(t.status(), t.noise(53+i)...))...)
			}
			c.ask(asks)
			c.answer(answers)
			c.close()
		}},
		{Name: "rpc-object-uuid", Shows: "trap 31: a KMS request with an object UUID before its stub, and another call with one", play: func(t *tape) {
			m := t.machine("app01")
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.bindModern()
			c.ask(le.requestOn("01234567-89ab-cdef-0123-456789abcdef", 2, ctx64, 0, le.requestStub(true, t.kmsRequest(4, m))))
			c.answer(le.response(2, ctx64, le.responseStub(true, t.kmsResponse(4, m))))
			c.close()
		}},
		{Name: "rpc-verifier-overruns", Shows: "trap 33: auth_length beyond the PDU, and padding longer than the stub, answered by faults", play: func(t *tape) {
			v := &verifier{10, 6, 0, t.noise(16)}
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.ask(withAuthLen(le.request(2, 0, opClose, t.handle()), 60))
			c.answer(le.fault(2, 0, accessDenied))
			c.ask(withAuthLen(le.request(3, 0, opClose, t.handle()), 0xffff))
			c.answer(le.fault(3, 0, accessDenied))
			b := le.pdu(ptRequest, whole, 4, append([]byte{20, 0, 0, 0, 0, 0, opClose, 0}, t.handle()...), v)
			b[len(b)-16-8+2] = 250 // auth_pad_length
			c.ask(b)
			c.answer(le.fault(4, 0, accessDenied))
			c.close()
		}},
		{Name: "rpc-privacy-claimed", Shows: "trap 34: a KMS request in clear whose verifier claims packet privacy", play: func(t *tape) {
			m := t.machine("app01")
			c := t.dial(dmzClient, kmsHost, kmsPort)
			c.bindOld(le)
			stub := padTo(le.requestStub(false, t.kmsRequest(4, m)), 4)
			body := le.AppendUint32(nil, uint32(len(stub)))
			body = append(body, 0, 0, 0, 0)
			c.ask(le.pdu(ptRequest, whole, 2, append(body, stub...), &verifier{10, 6, 0, t.noise(16)}))
			c.answer(le.response(2, 0, le.responseStub(false, t.kmsResponse(4, m))))
			c.close()
		}},
		{Name: "rpc-lookalikes", Shows: "trap 51: streams that begin like DCE/RPC and are not: SOCKS5, an MZ file, 05 00 noise; nothing must come of them", play: func(t *tape) {
			for _, b := range [][]byte{
				{5, 0},
				{5, 0, 0, 1, 10, 0, 0, 1, 4, 56},
				append([]byte{5, 0, 0, 3, 0x4d, 0x5a, 0x90, 0}, t.noise(200)...),
				append([]byte("MZ\x90\x00"), t.noise(300)...),
				append([]byte{5, 0, 200, 3, 0x10, 0, 0, 0, 100, 0, 0, 0, 1, 0, 0, 0}, t.noise(84)...),
				append([]byte{5, 0, 0, 3, 0x10, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0}, t.noise(84)...),
				append([]byte{5, 7, 0, 3, 0x10, 0, 0, 0, 100, 0, 0, 0, 1, 0, 0, 0}, t.noise(84)...),
			} {
				c := t.dial(dmzClient, fileServer, 1080)
				c.ask([]byte{5, 1, 0})
				c.answer(b)
				c.ask(t.noise(50))
				c.close()
			}
		}},
		{Name: "rpc-garbage-after-bind", Shows: "trap 5 of streams: a whole call, then bytes that are no PDU", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(svcctl)
			c.call(2, 0, opClose)
			c.ask(t.noise(64))
			c.reset(toClient)
		}},
		{Name: "rpc-anonymous-rejected", Shows: "an anonymous bind of samr from the DMZ that the server rejects", play: func(t *tape) {
			c := t.dial(dmzClient, fileServer, dynamicPort)
			c.ask(le.bind(1, offer(0, samr, ndr32)))
			c.answer(le.bindAck(1, 6, "49152", noInterface))
			c.close()
		}},
		{Name: "rpc-anonymous-inside", Shows: "an anonymous bind of samr and a call, client and server in the internal zone", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(samr)
			c.call(2, 0, opSamrClose)
			c.close()
		}},
		{Name: "rpc-anonymous-climbs", Shows: "an anonymous bind of samr from the DMZ, accepted, and a call", play: func(t *tape) {
			c := t.dial(dmzClient, fileServer, dynamicPort)
			c.bindTo(samr)
			c.call(2, 0, opSamrClose)
			c.close()
		}},
		{Name: "rpc-sweep-hosts", Shows: "one DMZ client binds samr on 24 internal hosts", play: func(t *tape) {
			for i := range 24 {
				c := t.dial(dmzClient, netip.AddrFrom4([4]byte{10, 66, 10, byte(100 + i)}), dynamicPort)
				c.bindTo(samr)
				c.close()
			}
		}},
		{Name: "rpc-sweep-opnums", Shows: "one client probes opnums 0 to 99 of lsarpc, answered by faults from 60 on", play: func(t *tape) {
			c := t.rpcDial()
			c.bindTo(lsarpc)
			for i := range 100 {
				c.ask(le.request(uint32(2+i), 0, uint16(i), t.handle()))
				if i < 60 {
					c.answer(le.fault(uint32(2+i), 0, badStub))
				} else {
					c.answer(le.fault(uint32(2+i), 0, unknownOpnum))
				}
			}
			c.close()
		}},
	}
}

func hexByte(i int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[i>>4&15], digits[i&15]})
}
