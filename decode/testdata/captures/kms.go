package captures

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unicode/utf16"
)

// Application ids of KMS clients.
const (
	windows    = "55c92734-d682-4d71-983e-d6ec3f16059f"
	office2013 = "0ff1ce15-a989-479d-af46-f275c6370663"
)

// HRESULTs of a KMS host.
const (
	notActivated = 0xC004F042 // this host may not activate the client
	invalidData  = 0x8007000D
)

// productID is that of an invented KMS host.
const productID = "03612-00206-558-704057-03-1033-20348.0000-1532025"

// machine is a KMS client as its version 4 requests describe it.
type machine struct {
	name        string
	application string
	status      uint32
	minimum     uint32
	cmid        []byte
}

func (t *tape) machine(name string) machine {
	return machine{name, windows, 2, 5, t.noise(16)}
}

func utf16le(s string, units int) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	for len(b) < 2*units {
		b = append(b, 0)
	}
	return b
}

// filetime is the tape's clock in 100 ns since 1601.
func (t *tape) filetime() uint64 {
	return uint64(t.now.Unix()+11644473600)*1e7 + uint64(t.now.Nanosecond()/100)
}

// kmsRequest is a request body: version 4 in clear, later ones as noise behind
// the version. It is an array of bytes, little-endian in any data representation.
func (t *tape) kmsRequest(version uint16, m machine) []byte {
	o := binary.LittleEndian
	b := o.AppendUint16(nil, 0)
	b = o.AppendUint16(b, version)
	if version != 4 {
		return append(b, t.noise(256)...)
	}
	b = o.AppendUint32(b, 1) // virtual machine
	b = o.AppendUint32(b, m.status)
	b = o.AppendUint32(b, 43200) // minutes left
	b = le.uuid(b, m.application)
	b = append(b, t.noise(32)...) // SKU and KMS counted ids
	b = append(b, m.cmid...)
	b = o.AppendUint32(b, m.minimum)
	b = o.AppendUint64(b, t.filetime())
	b = append(b, make([]byte, 16)...) // previous CMID
	b = append(b, utf16le(m.name, 64)...)
	return append(b, t.noise(16)...) // hash
}

func (t *tape) kmsResponse(version uint16, m machine) []byte {
	o := binary.LittleEndian
	b := o.AppendUint16(nil, 0)
	b = o.AppendUint16(b, version)
	if version != 4 {
		n := 224
		if version == 6 {
			n = 256
		}
		return append(b, t.noise(n)...)
	}
	id := utf16le(productID, len(productID)+1)
	b = o.AppendUint32(b, uint32(len(id)))
	b = append(b, id...)
	b = append(b, m.cmid...)
	b = o.AppendUint64(b, t.filetime())
	b = o.AppendUint32(b, 12)    // clients counted
	b = o.AppendUint32(b, 120)   // activation interval
	b = o.AppendUint32(b, 10080) // renewal interval
	return append(b, t.noise(16)...)
}

func padTo(b []byte, n int) []byte {
	for len(b)%n != 0 {
		b = append(b, 0)
	}
	return b
}

// wrapRequest puts a body into a request stub whose two lengths are told apart,
// so that they can be made to differ.
func (r rpc) wrapRequest(wide bool, length, conformance int, body []byte) []byte {
	b := r.AppendUint32(nil, uint32(length))
	if wide {
		b = r.AppendUint64(padTo(b, 8), uint64(conformance))
	} else {
		b = r.AppendUint32(b, uint32(conformance))
	}
	return append(b, body...)
}

func (r rpc) requestStub(wide bool, body []byte) []byte {
	return r.wrapRequest(wide, len(body), len(body), body)
}

func (r rpc) wrapResponse(wide bool, length, conformance int, body []byte, hresult uint32) []byte {
	b := r.AppendUint32(nil, uint32(length))
	if wide {
		b = r.AppendUint64(padTo(b, 8), 0x20000)
		b = r.AppendUint64(b, uint64(conformance))
	} else {
		b = r.AppendUint32(b, 0x20000)
		b = r.AppendUint32(b, uint32(conformance))
	}
	return r.AppendUint32(padTo(append(b, body...), 4), hresult)
}

func (r rpc) responseStub(wide bool, body []byte) []byte {
	return r.wrapResponse(wide, len(body), len(body), body, 0)
}

// refusalStub has no body: length 0, a null referent, the code.
func (r rpc) refusalStub(wide bool, hresult uint32) []byte {
	b := r.AppendUint32(nil, 0)
	if wide {
		b = r.AppendUint64(padTo(b, 8), 0)
	} else {
		b = r.AppendUint32(b, 0)
	}
	return r.AppendUint32(b, hresult)
}

// Context ids of the bind that a client of today sends.
const (
	ctx32 = iota
	ctx64
	ctxFeatures
)

// kmsBind offers what a Windows client offers: NDR32, NDR64 and features, as
// contexts 0, 1 and 2, in call 2.
func kmsBind() []byte {
	return le.bind(2, offer(ctx32, kmsInterface, ndr32), offer(ctx64, kmsInterface, ndr64), offer(ctxFeatures, kmsInterface, features))
}

// bindModern binds to a host that takes NDR64 and so rejects NDR32.
func (c *conn) bindModern() {
	c.ask(kmsBind())
	c.group = c.t.rng.Uint32()
	c.answer(le.bindAck(2, c.group, "1688", noTransfer, accepted64, agreed))
}

// bindOld offers NDR32 alone, as context 0.
func (c *conn) bindOld(r rpc) {
	c.ask(r.bind(2, offer(ctx32, kmsInterface, ndr32)))
	c.group = c.t.rng.Uint32()
	c.answer(le.bindAck(2, c.group, "1688", accepted32))
}

// exchange is a KMS request and its response on a context.
func (c *conn) exchange(call uint32, ctx, version uint16) {
	m := c.t.machine("app01.corp.example.test")
	wide := ctx == ctx64
	c.ask(le.request(call, ctx, 0, le.requestStub(wide, c.t.kmsRequest(version, m))))
	c.answer(le.response(call, ctx, le.responseStub(wide, c.t.kmsResponse(version, m))))
}

// refusal is a KMS request and its refusal.
func (c *conn) refusal(call uint32, ctx uint16, code uint32) {
	wide := ctx == ctx64
	c.ask(le.request(call, ctx, 0, le.requestStub(wide, c.t.kmsRequest(6, c.t.machine("app01")))))
	c.answer(le.response(call, ctx, le.refusalStub(wide, code)))
}

// activation is a whole conversation on port 1688, as a client of today has it.
func (t *tape) activation(client, host netip.Addr, version uint16) {
	t.activationOn(client, host, kmsPort, version)
}

func (t *tape) activationOn(client, host netip.Addr, port, version uint16) {
	c := t.dial(client, host, port)
	c.bindModern()
	c.exchange(2, ctx64, version)
	c.close()
}

func kmsCaptures() []Capture {
	return []Capture{
		{Name: "kms-v4-ndr32", Shows: "KMS 4 in NDR32, an older client that offers nothing else; internal to internal", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.bindOld(le)
			c.exchange(2, ctx32, 4)
			c.close()
		}},
		{Name: "kms-v4-both-syntaxes", Shows: "KMS 4: NDR64 accepted, NDR32 rejected and added by alter_context, calls in both by turns on one connection", play: func(t *tape) { t.bothSyntaxes(4) }},
		{Name: "kms-v5-both-syntaxes", Shows: "KMS 5 in NDR64 and NDR32 by turns", play: func(t *tape) { t.bothSyntaxes(5) }},
		{Name: "kms-v6-both-syntaxes", Shows: "KMS 6 in NDR64 and NDR32 by turns", play: func(t *tape) { t.bothSyntaxes(6) }},
		{Name: "kms-v6", Shows: "one KMS 6 activation, NDR64, internal client to internal host", play: func(t *tape) { t.activation(internalClient, kmsHost, 6) }},
		{Name: "kms-v4-office", Shows: "KMS 4 for Office 2013 and later, status licensed, a workstation name of 63 units beyond ASCII", play: func(t *tape) {
			m := t.machine("büro-ελλάς-東京-😀-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
			m.application, m.status = office2013, 1
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.bindOld(le)
			c.ask(le.request(2, 0, 0, le.requestStub(false, t.kmsRequest(4, m))))
			c.answer(le.response(2, 0, le.responseStub(false, t.kmsResponse(4, m))))
			c.close()
		}},
		{Name: "kms-zone-climb", Shows: "KMS 6 from the DMZ to the internal host, granted", play: func(t *tape) { t.activation(dmzClient, kmsHost, 6) }},
		{Name: "kms-zone-descend", Shows: "KMS 6 from the internal zone to a host in the DMZ: crosses, climbs not", play: func(t *tape) { t.activation(internalClient, dmzHost, 6) }},
		{Name: "kms-zone-climb-many", Shows: "twelve DMZ clients activate at the internal host within a minute: one folded alert", play: func(t *tape) {
			for i := range 12 {
				t.activation(netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)}), kmsHost, 6)
				t.wait(4 * time.Second)
			}
		}},
		{Name: "kms-unknown-host", Shows: "an internal host that no inventory names accepts the KMS interface", play: func(t *tape) { t.activation(internalClient, strangeHost, 6) }},
		{Name: "kms-bind-rejected", Shows: "a host that is no KMS host rejects the interface in its bind_ack, all three contexts", play: func(t *tape) {
			c := t.dial(dmzClient, fileServer, kmsPort)
			c.ask(kmsBind())
			c.answer(le.bindAck(2, 0x4321, "1688", noInterface, noInterface, noInterface))
			c.close()
		}},
		{Name: "kms-bind-nak", Shows: "a bind to the KMS interface from the DMZ is answered by bind_nak", play: func(t *tape) {
			c := t.dial(dmzClient, kmsHost, kmsPort)
			c.ask(kmsBind())
			c.answer(le.bindNak(2, 0))
			c.close()
		}},
		{Name: "kms-bind-unanswered", Shows: "a bind to the KMS interface from the DMZ, and a reset instead of an answer", play: func(t *tape) {
			c := t.dial(dmzClient, kmsHost, kmsPort)
			c.ask(kmsBind())
			c.reset(toClient)
		}},
		{Name: "kms-unanswered", Shows: "a KMS request that the host never answers", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.bindModern()
			c.ask(le.request(2, ctx64, 0, le.requestStub(true, t.kmsRequest(6, t.machine("app01")))))
			t.wait(30 * time.Second)
			c.reset(toServer)
		}},
		{Name: "kms-fault", Shows: "a KMS request that the host answers by a fault, access denied", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.bindModern()
			c.ask(le.request(2, ctx64, 0, le.requestStub(true, t.kmsRequest(6, t.machine("app01")))))
			c.answer(le.fault(2, ctx64, accessDenied))
			c.close()
		}},
		{Name: "kms-unlisted-client", Shows: "10.66.10.200, internal but outside 10.66.10.0/25, activates", play: func(t *tape) {
			t.activation(netip.MustParseAddr("10.66.10.200"), kmsHost, 6)
		}},
		{Name: "kms-on-domain-controller", Shows: "10.66.10.10 grants a KMS activation and accepts a drsuapi bind", play: func(t *tape) {
			t.activation(internalClient, domainController, 6)
			t.drsuapiBind(domainController)
		}},
		{Name: "kms-before-domain-controller", Shows: "the same in the other order: the drsuapi bind comes first", play: func(t *tape) {
			t.drsuapiBind(domainController)
			t.activation(internalClient, domainController, 6)
		}},
		{Name: "kms-beside-domain-controller", Shows: "KMS on 10.66.10.40, drsuapi on 10.66.10.10: two hosts, nothing amiss", play: func(t *tape) {
			t.activation(internalClient, kmsHost, 6)
			t.drsuapiBind(domainController)
		}},
		{Name: "kms-domain-controller-rejects", Shows: "KMS on 10.66.10.40, which rejects a drsuapi bind: no domain controller", play: func(t *tape) {
			t.activation(internalClient, kmsHost, 6)
			c := t.dial(internalClient, kmsHost, 49152)
			c.ask(le.bind(1, offer(0, drsuapi, ndr32)))
			c.answer(le.bindAck(1, 7, "49152", noInterface))
			c.close()
		}},
		{Name: "kms-production-interface", Shows: "KMS served on 10.66.10.40, of which 10.9.0.40 is the management address, to an internal client", play: func(t *tape) {
			t.activation(internalClient, kmsHost, 6)
		}},
		{Name: "kms-management-interface", Shows: "KMS served on the management address 10.9.0.40 to the management zone", play: func(t *tape) {
			t.activation(managementClient, managementHost, 6)
		}},
		{Name: "kms-foreign-interface", Shows: "samr bound and called on the KMS port", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.ask(le.bind(1, offer(0, samr, ndr32)))
			c.answer(le.bindAck(1, 9, "1688", accepted32))
			c.ask(le.request(1, 0, 57, append(make([]byte, 4), t.noise(24)...))) // SamrConnect2
			c.answer(le.response(1, 0, t.noise(24)))
			c.close()
		}},
		{Name: "kms-foreign-interface-rejected", Shows: "samr offered on the KMS port and rejected", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.ask(le.bind(1, offer(0, samr, ndr32)))
			c.answer(le.bindAck(1, 9, "1688", noInterface))
			c.close()
		}},
		{Name: "kms-foreign-interface-other-port", Shows: "a DMZ client activates, then binds svcctl on another port of the KMS host", play: func(t *tape) {
			t.activation(dmzClient, kmsHost, 6)
			c := t.dial(dmzClient, kmsHost, 49669)
			c.ask(le.bind(1, offer(0, svcctl, ndr32)))
			c.answer(le.bindAck(1, 10, "49669", accepted32))
			c.close()
		}},
		{Name: "kms-port-foreign-protocol", Shows: "http, tls, ssh, smb and rdp on port 1688, a connection each", play: func(t *tape) {
			for _, p := range foreignProtocols {
				c := t.dial(internalClient, kmsHost, kmsPort)
				if p.serverFirst {
					c.answer([]byte(p.server))
					c.ask([]byte(p.client))
				} else {
					c.ask([]byte(p.client))
					c.answer([]byte(p.server))
				}
				c.close()
			}
		}},
		{Name: "kms-port-silent", Shows: "a port scan of 1688: handshakes without data, and a refused one", play: func(t *tape) {
			c := t.dial(dmzClient, kmsHost, kmsPort)
			c.reset(toServer)
			c = t.dial(dmzClient, kmsHost, kmsPort)
			c.close()
			c = t.pickUp(dmzClient, fileServer, kmsPort)
			c.raw(toServer, c.seq[toServer], synSegment, nil)
			c.seq[toServer]++
			c.reset(toClient)
		}},
		{Name: "kms-unusual-port", Shows: "KMS on port 11688", play: func(t *tape) { t.activationOn(internalClient, kmsHost, 11688, 6) }},
		{Name: "kms-dynamic-port", Shows: "KMS on port 49668 that no endpoint mapper answer named", play: func(t *tape) { t.activationOn(internalClient, kmsHost, 49668, 6) }},
		{Name: "kms-refused-once", Shows: "one refusal, 0xC004F042, in NDR64 and one in NDR32", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.bindModern()
			c.refusal(2, ctx64, notActivated)
			c.close()
			c = t.dial(internalClient, kmsHost, kmsPort)
			c.bindOld(le)
			c.refusal(2, ctx32, invalidData)
			c.close()
		}},
		{Name: "kms-refused-client", Shows: "one client is refused twenty times within ten minutes", play: func(t *tape) {
			for range 20 {
				c := t.dial(internalClient, kmsHost, kmsPort)
				c.bindModern()
				c.refusal(2, ctx64, notActivated)
				c.close()
				t.wait(30 * time.Second)
			}
		}},
		{Name: "kms-refused-host", Shows: "one host refuses twenty clients within ten minutes, once each", play: func(t *tape) {
			for i := range 20 {
				c := t.dial(netip.AddrFrom4([4]byte{10, 66, 10, byte(100 + i)}), kmsHost, kmsPort)
				c.bindModern()
				c.refusal(2, ctx64, notActivated)
				c.close()
				t.wait(30 * time.Second)
			}
		}},
		{Name: "kms-refused-slowly", Shows: "a client is refused every two hours, ten times: the pace of its retries", play: func(t *tape) {
			for range 10 {
				c := t.dial(internalClient, kmsHost, kmsPort)
				c.bindModern()
				c.refusal(2, ctx64, notActivated)
				c.close()
				t.wait(2 * time.Hour)
			}
		}},
		{Name: "kms-repeated", Shows: "one client activates with success twenty times within ten minutes", play: func(t *tape) {
			for range 20 {
				t.activation(internalClient, kmsHost, 6)
				t.wait(30 * time.Second)
			}
		}},
		{Name: "kms-malformed-requests", Shows: "ten requests that break the format one way each, answered by faults", play: malformedRequests},
		{Name: "kms-malformed-responses", Shows: "seven responses that break the format one way each", play: malformedResponses},
		{Name: "kms-unknown-opnum", Shows: "opnum 1 of the KMS interface, which has none, answered by nca_s_op_rng_error", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.bindModern()
			c.ask(le.request(2, ctx64, 1, t.noise(24)))
			c.answer(le.fault(2, ctx64, unknownOpnum))
			c.close()
		}},
		{Name: "kms-host-pykms", Shows: "the bind_ack of py-kms: NDR64 rejected for its syntax, association group 0x1063bf3f; closes after one activation", play: func(t *tape) {
			c := t.dial(internalClient, kmsHost, kmsPort)
			c.ask(kmsBind())
			c.answer(le.bindAck(2, 0x1063bf3f, "1688", accepted32, noTransfer, agreed))
			c.exchange(2, ctx32, 6)
			c.close()
		}},
	}
}

func (t *tape) bothSyntaxes(version uint16) {
	c := t.dial(internalClient, kmsHost, kmsPort)
	c.bindModern()
	c.exchange(2, ctx64, version)
	c.ask(le.alter(3, offer(ctx32, kmsInterface, ndr32)))
	c.answer(le.alterResp(3, c.group, accepted32))
	c.exchange(3, ctx32, version)
	c.exchange(4, ctx64, version)
	c.exchange(5, ctx32, version)
	c.close()
}

// drsuapiBind is what a domain controller alone accepts.
func (t *tape) drsuapiBind(dc netip.Addr) {
	c := t.dial(internalClient, dc, 49152)
	c.ask(le.bind(1, offer(0, drsuapi, ndr32), offer(1, netlogon, ndr32)))
	c.answer(le.bindAck(1, 7, "49152", accepted32, accepted32))
	c.close()
}

// foreignProtocols are first words of what is often found on a wrong port.
var foreignProtocols = []struct {
	client, server string
	serverFirst    bool
}{
	{"GET / HTTP/1.1\r\nHost: kms.corp.example.test\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false},
	{"\x16\x03\x01\x00\x31\x01\x00\x00\x2d\x03\x03" + "0123456789abcdef0123456789abcdef" + "\x00\x00\x02\x13\x01\x01\x00\x00\x02\x00\x17\x00", "\x15\x03\x03\x00\x02\x02\x28", false},
	{"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", true},
	{"\x00\x00\x00\x2d\xffSMB\x72\x00\x00\x00\x00\x18\x53\xc8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xfe\x00\x00\x00\x00\x00\x0c\x00\x02NT LM 0.12\x00"[:49], "\x00\x00\x00\x00", false},
	{"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00", "\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x0f\x08\x00\x02\x00\x00\x00", false},
}

// malformedRequests breaks a request one way a connection. NDR32 unless said.
func malformedRequests(t *tape) {
	m := t.machine("app01")
	v4, v6 := t.kmsRequest(4, m), t.kmsRequest(6, m)
	version := func(major, minor byte) []byte {
		return append([]byte{minor, 0, major, 0}, v6[4:]...)
	}
	for _, stub := range [][]byte{
		le.wrapRequest(false, len(v6), len(v6)-4, v6),       // length and conformance disagree
		le.wrapRequest(false, len(v6)+400, len(v6)+400, v6), // both beyond the stub
		le.wrapRequest(false, 0xffffffff, 0xffffffff, v6),   // both enormous
		le.wrapRequest(false, 0, 0, nil),                    // no body
		le.requestStub(false, v6)[:6],                       // ends inside the conformance
		le.requestStub(false, v6[:2]),                       // body ends inside the version
		le.requestStub(false, v4[:200]),                     // version 4 of 200 bytes
		le.requestStub(false, v6[:100]),                     // version 6 of 100 bytes
		le.requestStub(false, version(7, 0)),                // version 7.0
		le.requestStub(false, append(v6, t.noise(40)...)),   // version 6 of 300 bytes
	} {
		c := t.dial(internalClient, kmsHost, kmsPort)
		c.bindOld(le)
		c.ask(le.request(2, ctx32, 0, stub))
		c.answer(le.fault(2, ctx32, badStub))
		c.close()
	}
}

func malformedResponses(t *tape) {
	m := t.machine("app01")
	v4, v6 := t.kmsResponse(4, m), t.kmsResponse(6, m)
	longID := append([]byte(nil), v4...)
	binary.LittleEndian.PutUint32(longID[4:], 4000) // product id beyond the body
	oddID := append([]byte(nil), v4...)
	binary.LittleEndian.PutUint32(oddID[4:], 99) // half a UTF-16 unit
	ok := le.responseStub(false, v4)
	for _, stub := range [][]byte{
		le.wrapResponse(false, len(v6), len(v6)+4, v6, 0), // length and conformance disagree
		le.wrapResponse(false, 5000, 5000, v6, 0),         // both beyond the stub
		ok[:len(ok)-4], // no HRESULT
		le.responseStub(false, longID),
		le.responseStub(false, oddID),
		le.refusalStub(false, 0), // success without a body
		nil,                      // no stub at all
	} {
		c := t.dial(internalClient, kmsHost, kmsPort)
		c.bindOld(le)
		c.ask(le.request(2, ctx32, 0, le.requestStub(false, t.kmsRequest(4, m))))
		c.answer(le.response(2, ctx32, stub))
		c.close()
	}
}
