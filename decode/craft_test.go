package decode_test

import (
	"encoding/binary"
	"net/netip"
	"path/filepath"
	"testing"

	"kmswatch/capture"
	"kmswatch/decode"
	"kmswatch/decode/testdata/captures"
)

// The maker of frames for tests whose captures would show one thing each. It
// writes Ethernet, IP, TCP and UDP as they are drawn and lets each field lie;
// checksums are zero, nobody here looks at them.

const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

const (
	millisecond = int64(1e6)
	second      = int64(1e9)
)

var (
	clientEnd = netip.MustParseAddrPort("192.0.2.20:49701")
	kmsEnd    = netip.MustParseAddrPort("10.66.10.40:1688")
	oddEnd    = netip.MustParseAddrPort("10.66.10.40:49668")
	dnsEnd    = netip.MustParseAddrPort("10.66.10.10:53")
	kdcEnd    = netip.MustParseAddrPort("10.66.10.10:88")
	httpEnd   = netip.MustParseAddrPort("10.66.10.10:593")
)

// reel is a capture under way. Its clock steps a millisecond a frame.
type reel struct {
	frames []capture.Frame
	now    int64
	snap   int // bytes kept of a frame; 0 keeps all
}

func newReel() *reel { return &reel{now: 1_750_000_000 * second} }

func (r *reel) wait(ns int64) { r.now += ns }

// frame adds an Ethernet frame with an IP packet, or whatever ip is.
func (r *reel) frame(ip []byte) {
	b := make([]byte, 12, 14+len(ip))
	if ip[0]>>4 == 6 {
		b = append(b, 0x86, 0xdd)
	} else {
		b = append(b, 8, 0)
	}
	b = append(b, ip...)
	n := len(b)
	if r.snap > 0 && n > r.snap {
		b = b[:r.snap:r.snap]
	}
	r.frames = append(r.frames, capture.Frame{
		Data: b, Length: n, Time: r.now, Number: uint64(len(r.frames) + 1), Link: capture.LinkEthernet,
	})
	r.now += millisecond
}

// again adds the last frame once more, ns after it: what a SPAN port of both
// directions gives.
func (r *reel) again(ns int64) {
	f := r.frames[len(r.frames)-1]
	f.Time += ns
	f.Number++
	r.frames = append(r.frames, f)
}

func ipPacket(src, dst netip.Addr, proto byte, payload []byte) []byte {
	if src.Is6() {
		b := []byte{0x60, 0, 0, 0}
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
		b = append(b, proto, 64)
		b = append(b, src.AsSlice()...)
		return append(append(b, dst.AsSlice()...), payload...)
	}
	b := []byte{0x45, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(20+len(payload)))
	b = append(b, 0, 0, 0x40, 0, 64, proto, 0, 0)
	b = append(b, src.AsSlice()...)
	return append(append(b, dst.AsSlice()...), payload...)
}

func (r *reel) udp(src, dst netip.AddrPort, payload []byte) {
	b := binary.BigEndian.AppendUint16(nil, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	b = append(b, 0, 0)
	r.frame(ipPacket(src.Addr(), dst.Addr(), 17, append(b, payload...)))
}

func (r *reel) tcp(src, dst netip.AddrPort, seq, ackSeq uint32, flags byte, payload []byte) {
	b := binary.BigEndian.AppendUint16(nil, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, ackSeq)
	b = append(b, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	r.frame(ipPacket(src.Addr(), dst.Addr(), 6, append(b, payload...)))
}

// talk is a TCP connection of a reel.
type talk struct {
	r    *reel
	ends [2]netip.AddrPort
	seq  [2]uint32
	hide [2]bool // this direction is not captured
	mss  int     // bytes of a segment at most; 0 is any number
}

// dial gives a connection after its handshake.
func (r *reel) dial(client, server netip.AddrPort) *talk {
	c := r.pickUp(client, server)
	c.hello()
	return c
}

// pickUp gives a connection whose handshake was not captured.
func (r *reel) pickUp(client, server netip.AddrPort) *talk {
	return &talk{r: r, ends: [2]netip.AddrPort{client, server}, seq: [2]uint32{1000, 5000}}
}

func (c *talk) hello() {
	c.raw(0, syn, 0, nil)
	c.seq[0]++
	c.raw(1, syn|ack, 0, nil)
	c.seq[1]++
	c.raw(0, ack, 0, nil)
}

// raw adds a segment at a distance from the next byte, and moves nothing.
func (c *talk) raw(dir int, flags byte, distance int, payload []byte) {
	if c.hide[dir] {
		c.r.now += millisecond
		return
	}
	a := uint32(0)
	if flags&ack != 0 {
		a = c.seq[1-dir]
	}
	c.r.tcp(c.ends[dir], c.ends[1-dir], c.seq[dir]+uint32(distance), a, flags, payload)
}

func (c *talk) send(dir int, payload []byte) {
	for c.mss > 0 && len(payload) > c.mss {
		c.raw(dir, ack, 0, payload[:c.mss])
		c.seq[dir] += uint32(c.mss)
		payload = payload[c.mss:]
	}
	c.raw(dir, psh|ack, 0, payload)
	c.seq[dir] += uint32(len(payload))
}

func (c *talk) ask(b []byte)    { c.send(0, b) }
func (c *talk) answer(b []byte) { c.send(1, b) }

func (c *talk) close() {
	for dir := range 2 {
		c.raw(dir, fin|ack, 0, nil)
		c.seq[dir]++
	}
	c.raw(0, ack, 0, nil)
}

// DCE/RPC PDUs, little-endian (C706 12.6.4).

const (
	ptRequest, ptResponse, ptFault = 0, 2, 3
	ptBind, ptBindAck, ptBindNak   = 11, 12, 13
	ptCancel                       = 18
	firstLast                      = 3
)

// Interfaces and transfer syntaxes as they lie on the wire, with their version.
var (
	kmsWire   = []byte("\x75\x21\xc8\x51\x4e\x84\x50\x47\xb0\xd8\xec\x25\x55\x55\xbc\x06\x01\x00\x00\x00")
	samrWire  = []byte("\x78\x57\x34\x12\x34\x12\xcd\xab\xef\x00\x01\x23\x45\x67\x89\xac\x01\x00\x00\x00")
	ndr32Wire = []byte("\x04\x5d\x88\x8a\xeb\x1c\xc9\x11\x9f\xe8\x08\x00\x2b\x10\x48\x60\x02\x00\x00\x00")
)

func pdu(ptype, flags byte, call uint32, body ...byte) []byte {
	b := []byte{5, 0, ptype, flags, 0x10, 0, 0, 0}
	b = binary.LittleEndian.AppendUint16(b, uint16(16+len(body)))
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, call)
	return append(b, body...)
}

// bindPDU offers an interface in NDR32 as context 0.
func bindPDU(call uint32, iface []byte) []byte {
	b := []byte{0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0}
	b = append(append(b, iface...), ndr32Wire...)
	return pdu(ptBind, firstLast, call, b...)
}

func bindAckPDU(call uint32) []byte {
	b := []byte{0xd0, 0x16, 0xd0, 0x16, 0x34, 0x12, 0, 0, 5, 0, '1', '6', '8', '8', 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	return pdu(ptBindAck, firstLast, call, append(b, ndr32Wire...)...)
}

func requestPDU(call uint32, ctx, opnum uint16, stub []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(stub)))
	b = binary.LittleEndian.AppendUint16(b, ctx)
	b = binary.LittleEndian.AppendUint16(b, opnum)
	return pdu(ptRequest, firstLast, call, append(b, stub...)...)
}

func responsePDU(call uint32, ctx uint16, stub []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(stub)))
	b = binary.LittleEndian.AppendUint16(b, ctx)
	return pdu(ptResponse, firstLast, call, append(append(b, 0, 0), stub...)...)
}

// kmsAsk is a KMS request stub in NDR32: version 6.0 and 256 opaque bytes.
func kmsAsk() []byte {
	b := []byte{4, 1, 0, 0, 4, 1, 0, 0, 0, 0, 6, 0} // 260 bytes, minor 0, major 6
	return append(b, make([]byte, 256)...)
}

// kmsGrant is the response to it.
func kmsGrant() []byte {
	b := []byte{4, 1, 0, 0, 0, 0, 2, 0, 4, 1, 0, 0, 0, 0, 6, 0}
	return append(append(b, make([]byte, 256)...), 0, 0, 0, 0)
}

// datagramRequest is a request of connectionless DCE/RPC (C706 12.5), of an
// activity for each number.
func datagramRequest(n uint32, iface, stub []byte) []byte {
	b := []byte{4, 0, 0x08, 0, 0x10, 0, 0, 0}
	b = append(b, make([]byte, 16)...) // object
	b = append(b, iface[:16]...)
	b = append(binary.LittleEndian.AppendUint32(b, n), "an activity."...)
	b = append(b, 0, 0, 0, 0) // server boot time
	b = append(b, iface[16:20]...)
	b = append(b, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff) // sequence, opnum, hints
	b = binary.LittleEndian.AppendUint16(b, uint16(len(stub)))
	return append(append(b, 0, 0, 0, 0), stub...)
}

// Kerberos, in DER.

// der is an element of a tag.
func der(tag byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	b := []byte{tag}
	switch n := len(body); {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n))
	}
	return append(b, body...)
}

// asReq is a request for a ticket-granting ticket (RFC 4120 5.4.1).
func asReq(client, realm string) []byte {
	name := func(kind byte, parts ...string) []byte {
		var all [][]byte
		for _, p := range parts {
			all = append(all, der(0x1b, []byte(p)))
		}
		return der(0x30, der(0xa0, []byte{2, 1, kind}), der(0xa1, der(0x30, all...)))
	}
	return der(0x6a, der(0x30, der(0xa1, []byte{2, 1, 5}), der(0xa2, []byte{2, 1, 10}), der(0xa4, der(0x30,
		der(0xa0, []byte{3, 5, 0, 0, 0, 0, 0}),
		der(0xa1, name(1, client)),
		der(0xa2, der(0x1b, []byte(realm))),
		der(0xa3, name(2, "krbtgt", realm)),
		der(0xa5, der(0x18, []byte("20370913024805Z"))),
		der(0xa7, []byte{2, 1, 7}),
		der(0xa8, der(0x30, []byte{2, 1, 18}))))))
}

// DNS messages (RFC 1035 4.1).

const vlmcs = "_vlmcs._tcp.corp.example"

func dnsName(name string) []byte {
	var b []byte
	for start, i := 0, 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '.' {
			b = append(append(b, byte(i-start)), name[start:i]...)
			start = i + 1
		}
	}
	return append(b, 0)
}

func dnsQuery(id uint16, name string, qtype uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	b = append(b, dnsName(name)...)
	b = binary.BigEndian.AppendUint16(b, qtype)
	return append(b, 0, 1)
}

// dnsAnswer has one SRV record.
func dnsAnswer(id uint16, name string, port uint16, target string) []byte {
	b := dnsQuery(id, name, 33)
	b[2], b[7] = 0x85, 1
	b = append(b, 0xc0, 12, 0, 33, 0, 1, 0, 0, 14, 16)
	to := dnsName(target)
	b = binary.BigEndian.AppendUint16(b, uint16(6+len(to)))
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, port)
	return append(b, to...)
}

// dnsUpdate adds one SRV record to the zone corp.example.
func dnsUpdate(id uint16, owner string, port uint16, target string) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = append(b, 0x28, 0, 0, 1, 0, 0, 0, 1, 0, 0)
	b = append(b, dnsName("corp.example")...)
	b = append(b, 0, 6, 0, 1)
	b = append(b, dnsName(owner)...)
	b = append(b, 0, 33, 0, 1, 0, 0, 14, 16)
	to := dnsName(target)
	b = binary.BigEndian.AppendUint16(b, uint16(6+len(to)))
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, port)
	return append(b, to...)
}

func dnsUpdateAnswer(id uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	return append(b, 0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

// framed puts the length before a message, for DNS over TCP.
func framed(m []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...) }

// kept keeps the events' values, as a handler that copies what it needs.
type told struct {
	t     *testing.T
	lines []string
	start int64
}

func (r *told) Handle(e decode.Event) { r.lines = append(r.lines, render(e, r.start)) }

// play gives the rendered events of a reel, and that they are the same with
// three workers.
func (r *reel) play(t *testing.T, cfg decode.Config) []string {
	t.Helper()
	return play(t, r.frames, cfg)
}

func play(t *testing.T, frames []capture.Frame, cfg decode.Config) []string {
	t.Helper()
	lines := func(cfg decode.Config) []string {
		h := &told{t: t}
		if len(frames) > 0 {
			h.start = frames[0].Time
		}
		e := decode.New(cfg, h)
		for i := range frames {
			e.Feed(&frames[i])
		}
		e.Close()
		return h.lines
	}
	one := lines(cfg)
	many := cfg
	many.Workers = 3
	three := lines(many)
	if !equalLines(one, three) {
		t.Errorf("one worker tells\n%s\nthree tell\n%s", joined(one), joined(three))
	}
	return one
}

// spread gives an address and port of its own for each number.
func spread(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), uint16(1024+i>>16))
}

// manifest gives what each capture of the pool shows.
func manifest(t *testing.T) map[string]string {
	t.Helper()
	lines, err := captures.ReadManifest(filepath.Join(pool, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	shows := make(map[string]string)
	for _, l := range lines {
		shows[l.Name] = l.Shows
	}
	return shows
}
