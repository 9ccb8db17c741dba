package captures

import (
	"fmt"
	"net/netip"
	"time"
)

// Flags of connectionless PDUs, C706 12.5.1.
const (
	lastFragment = 0x02
	fragment     = 0x04
	noFack       = 0x08
	maybe        = 0x10
	idempotent   = 0x20
)

// Types of connectionless PDUs, and of those that steer channels of HTTP.
const (
	ptReject = 6
	ptAck    = 7
	ptFack   = 9
	ptRTS    = 20
)

var (
	messenger   = syntax{"5a7b91f8-ff00-11d0-a9b2-00c04fb6e6fc", 1, 0}
	convManager = syntax{"333a2276-0000-0000-0d00-00809c000000", 3, 0}
)

// datagrams are two ends of connectionless DCE/RPC, and what their calls name.
type datagrams struct {
	t        *tape
	ends     [2]netip.AddrPort
	iface    syntax
	activity string
	sequence uint32
}

// pdu records one PDU, C706 12.5.1. The fragment is its number.
func (d *datagrams) pdu(dir int, ptype, flags byte, opnum, number uint16, body []byte) {
	b := []byte{4, ptype, flags, 0, 0x10, 0, 0, 0}
	b = le.uuid(b, noSyntax.uuid) // object
	b = le.uuid(b, d.iface.uuid)
	b = le.uuid(b, d.activity)
	b = le.AppendUint32(b, 0x683d8000) // server boot time
	b = le.AppendUint32(b, uint32(d.iface.minor)<<16|uint32(d.iface.major))
	b = le.AppendUint32(b, d.sequence)
	b = le.AppendUint16(b, opnum)
	b = append(b, 0xff, 0xff, 0xff, 0xff) // no hints
	b = le.AppendUint16(b, uint16(len(body)))
	b = le.AppendUint16(b, number)
	b = append(b, 0, 0) // no authentication, serial number
	d.t.udp(d.ends[dir], d.ends[1-dir], append(b, body...))
}

func (d *datagrams) ask(opnum uint16, stub []byte) {
	d.pdu(toServer, ptRequest, noFack, opnum, 0, stub)
}

func (d *datagrams) answer(opnum uint16, stub []byte) {
	d.pdu(toClient, ptResponse, noFack, opnum, 0, stub)
}

// rts is a PDU that steers a channel, of commands, MS-RPCH 2.2.3.6.
func rts(flags uint16, commands ...[]byte) []byte {
	b := le.AppendUint16(nil, flags)
	b = le.AppendUint16(b, uint16(len(commands)))
	for _, c := range commands {
		b = append(b, c...)
	}
	return le.pdu(ptRTS, whole, 0, b, nil)
}

// Commands of RTS PDUs, MS-RPCH 2.2.3.5.

func rtsNumber(kind, n uint32) []byte { return le.AppendUint32(le.AppendUint32(nil, kind), n) }

func rtsCookie(kind uint32, uuid string) []byte {
	return le.uuid(le.AppendUint32(nil, kind), uuid)
}

const (
	rtsWindow, rtsTimeout, rtsCookieOf = 0, 2, 3
	rtsLifetime, rtsKeepalive          = 4, 5
	rtsVersion, rtsGroup               = 6, 12
)

// carrierCaptures are DCE/RPC in what is neither TCP by itself nor SMB.
func carrierCaptures() []Capture {
	const virtual, out, in, group = "5f3c8a10-0000-4000-8000-000000000001", "5f3c8a10-0000-4000-8000-000000000002",
		"5f3c8a10-0000-4000-8000-000000000003", "5f3c8a10-0000-4000-8000-000000000004"
	return []Capture{
		{Name: "rpc-datagrams", Shows: "connectionless DCE/RPC from the DMZ: a call whose server first asks who it is, answers from another port; " +
			"three fragments with a fack, a fault, a rejection, a maybe call", play: func(t *tape) {
			d := &datagrams{t: t, iface: messenger, activity: "0c7b1f52-9a3d-4b0e-8f61-2d5e7a9c0b14",
				ends: [2]netip.AddrPort{netip.AddrPortFrom(dmzClient, t.port()), netip.AddrPortFrom(fileServer, 135)}}
			d.ask(0, t.noise(48))
			d.ends[1] = netip.AddrPortFrom(fileServer, 1045)
			back := *d // the server's own call, C706 11.2
			back.iface, back.activity = convManager, "7e10a4c8-55d2-4e1f-9b3a-6c0d8f2e4a71"
			back.ends = [2]netip.AddrPort{d.ends[1], d.ends[0]}
			back.pdu(toServer, ptRequest, idempotent, 1, 0, le.uuid(le.uuid(nil, d.activity), noSyntax.uuid)[:20])
			back.pdu(toClient, ptResponse, noFack, 1, 0, t.noise(28))
			d.answer(0, []byte{0, 0, 0, 0})
			d.pdu(toServer, ptAck, 0, 0, 0, nil)

			d.sequence++
			stub := t.noise(300)
			d.pdu(toServer, ptRequest, fragment, 0, 0, stub[:100])
			d.pdu(toServer, ptRequest, fragment, 0, 1, stub[100:200])
			fack := append([]byte{0, 0, 4, 0}, le.AppendUint32(le.AppendUint32(nil, 4096), 1464)...)
			d.pdu(toClient, ptFack, 0, 0, 1, append(fack, 1, 0, 0, 0))
			d.pdu(toServer, ptRequest, fragment|lastFragment, 0, 2, stub[200:])
			d.answer(0, []byte{5, 0, 0, 0})

			d.sequence++
			d.ask(9, t.noise(8))
			d.pdu(toClient, ptFault, 0, 9, 0, le.AppendUint32(nil, unknownOpnum))
			d.sequence++
			d.iface = lsarpc
			d.ask(0, t.noise(8))
			d.pdu(toClient, ptReject, 0, 0, 0, le.AppendUint32(nil, unknownIf))
			d.sequence++
			d.iface = messenger
			d.pdu(toServer, ptRequest, maybe, 0, 0, t.noise(16))
			t.wait(time.Second)
		}},
		{Name: "rpc-http", Shows: "RPC over HTTP: the banner of port 593 with a call behind it, and the IN and OUT channels of a virtual connection through a proxy on port 80", play: func(t *tape) {
			c := t.dial(dmzClient, fileServer, 593)
			c.answer([]byte("ncacn_http/1.0"))
			c.ask(le.bind(1, offer(0, lsarpc, ndr32)))
			c.answer(le.bindAck(1, 9, "593", accepted32))
			c.ask(le.request(2, 0, 6, t.noise(44)))
			c.answer(le.response(2, 0, t.noise(24)))
			c.close()

			channel := func(verb string, length int) []byte {
				return fmt.Appendf(nil, "%s /rpc/rpcproxy.dll?files.corp.example.test:593 HTTP/1.1\r\n"+
					"Accept: application/rpc\r\nUser-Agent: MSRPC\r\nHost: proxy.corp.example.test\r\nContent-Length: %d\r\n\r\n", verb, length)
			}
			first := rts(0, rtsNumber(rtsVersion, 1), rtsCookie(rtsCookieOf, virtual), rtsCookie(rtsCookieOf, out), rtsNumber(rtsWindow, 1<<16))
			o := t.dial(dmzClient, fileServer, 80)
			o.ask(append(channel("RPC_OUT_DATA", len(first)), first...))
			i := t.dial(dmzClient, fileServer, 80)
			i.ask(channel("RPC_IN_DATA", 1<<30))
			i.ask(rts(0, rtsNumber(rtsVersion, 1), rtsCookie(rtsCookieOf, virtual), rtsCookie(rtsCookieOf, in),
				rtsNumber(rtsLifetime, 1<<30), rtsNumber(rtsKeepalive, 300_000), rtsCookie(rtsGroup, group)))
			o.answer([]byte("HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\nContent-Length: 1073741824\r\n\r\n"))
			o.answer(rts(0, rtsNumber(rtsTimeout, 120_000)))
			o.answer(rts(0, rtsNumber(rtsVersion, 1), rtsNumber(rtsWindow, 1<<16), rtsNumber(rtsTimeout, 120_000)))
			i.ask(le.bind(1, offer(0, samr, ndr32)))
			o.answer(le.bindAck(1, 9, "593", accepted32))
			i.ask(le.request(2, 0, 64, t.noise(64)))
			o.answer(le.response(2, 0, t.noise(40)))
			i.close()
			o.close()
		}},
	}
}
