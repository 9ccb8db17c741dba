package captures

import (
	"net"
	"net/netip"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// The network of the captures: the internal zone 10.66.10.0/24 and fd66:10::/64,
// the DMZ 192.0.2.0/24 and 2001:db8:20::/64, the management zone 10.9.0.0/16.
var (
	domainController = netip.MustParseAddr("10.66.10.10")
	internalClient   = netip.MustParseAddr("10.66.10.30")
	kmsHost          = netip.MustParseAddr("10.66.10.40")
	fileServer       = netip.MustParseAddr("10.66.10.50")
	strangeHost      = netip.MustParseAddr("10.66.10.77")
	dmzClient        = netip.MustParseAddr("192.0.2.20")
	dmzHost          = netip.MustParseAddr("192.0.2.40")
	managementHost   = netip.MustParseAddr("10.9.0.40")
	managementClient = netip.MustParseAddr("10.9.0.30")
	kmsHost6         = netip.MustParseAddr("fd66:10::40")
	dmzClient6       = netip.MustParseAddr("2001:db8:20::20")
)

const (
	kmsPort = 1688
	dnsPort = 53
)

// Directions of a conversation.
const (
	toServer = iota
	toClient
)

func must(err error) {
	if err != nil {
		panic(err) // of a maker of test data: a mistake in its own code
	}
}

func serialize(ls ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	must(gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...))
	return b.Bytes()
}

// ipLayer gives the network layer between two addresses.
func (t *tape) ipLayer(src, dst netip.Addr, p layers.IPProtocol) gopacket.SerializableLayer {
	t.ipID++
	if src.Is6() {
		return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: p, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	}
	return &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Id: t.ipID, Flags: layers.IPv4DontFragment, Protocol: p,
		SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
}

// emit records one IP packet, in whatever the tape wraps it.
func (t *tape) emit(ip []byte) {
	for _, f := range t.wrap(ip) {
		t.record(f)
	}
}

// udp records a datagram.
func (t *tape) udp(src, dst netip.AddrPort, payload []byte) {
	ip := t.ipLayer(src.Addr(), dst.Addr(), layers.IPProtocolUDP)
	u := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	must(u.SetNetworkLayerForChecksum(ip.(gopacket.NetworkLayer)))
	t.emit(serialize(ip, u, gopacket.Payload(payload)))
}

// ethernet frames an IP packet. Addresses follow from those of the packet.
func ethernet(ip []byte) []byte {
	return serialize(etherLayer(ip), gopacket.Payload(ip))
}

func etherLayer(ip []byte) *layers.Ethernet {
	mac := func(b []byte) net.HardwareAddr { return append(net.HardwareAddr{2, 0}, b...) }
	if ip[0]>>4 == 6 {
		return &layers.Ethernet{SrcMAC: mac(ip[20:24]), DstMAC: mac(ip[36:40]), EthernetType: layers.EthernetTypeIPv6}
	}
	return &layers.Ethernet{SrcMAC: mac(ip[12:16]), DstMAC: mac(ip[16:20]), EthernetType: layers.EthernetTypeIPv4}
}

// conn is a TCP conversation. Data segments acknowledge what came before; there
// are no pure acknowledgements but that of the handshake and where asked for.
type conn struct {
	t     *tape
	ends  [2]netip.AddrPort
	seq   [2]uint32 // the next byte of each direction
	mss   int
	hide  [2]bool // this direction passes unseen
	group uint32  // association group that the server gave
}

// pickUp is a conversation whose beginning was not recorded.
func (t *tape) pickUp(client, server netip.Addr, port uint16) *conn {
	return &conn{
		t:    t,
		ends: [2]netip.AddrPort{netip.AddrPortFrom(client, t.port()), netip.AddrPortFrom(server, port)},
		seq:  [2]uint32{t.rng.Uint32(), t.rng.Uint32()},
		mss:  1460,
	}
}

// dial is a conversation that begins with its handshake.
func (t *tape) dial(client, server netip.Addr, port uint16) *conn {
	c := t.pickUp(client, server, port)
	c.handshake()
	return c
}

func (c *conn) handshake() {
	c.raw(toServer, c.seq[toServer], layers.TCP{SYN: true, Options: synOptions}, nil)
	c.seq[toServer]++
	c.raw(toClient, c.seq[toClient], layers.TCP{SYN: true, ACK: true, Options: synOptions}, nil)
	c.seq[toClient]++
	c.ack(toServer)
}

// synSegment opens a connection.
var synSegment = layers.TCP{SYN: true, Options: synOptions}

var synOptions = []layers.TCPOption{
	{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{0x05, 0xb4}},
	{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2},
}

// raw records a segment as it is told and moves nothing.
func (c *conn) raw(dir int, seq uint32, h layers.TCP, payload []byte) {
	if c.hide[dir] {
		c.t.now = c.t.now.Add(c.t.step)
		return
	}
	src, dst := c.ends[dir], c.ends[1-dir]
	ip := c.t.ipLayer(src.Addr(), dst.Addr(), layers.IPProtocolTCP)
	h.SrcPort, h.DstPort = layers.TCPPort(src.Port()), layers.TCPPort(dst.Port())
	h.Seq, h.Window = seq, 64240
	if h.ACK {
		h.Ack = c.seq[1-dir]
	}
	must(h.SetNetworkLayerForChecksum(ip.(gopacket.NetworkLayer)))
	c.t.emit(serialize(ip, &h, gopacket.Payload(payload)))
}

// at records a data segment at a distance from the next byte, and moves nothing.
func (c *conn) at(dir, distance int, payload []byte) {
	c.raw(dir, c.seq[dir]+uint32(distance), layers.TCP{PSH: true, ACK: true}, payload)
}

// ack records a pure acknowledgement.
func (c *conn) ack(dir int) { c.raw(dir, c.seq[dir], layers.TCP{ACK: true}, nil) }

// send records data, in segments of the MSS.
func (c *conn) send(dir int, payload []byte) {
	for len(payload) > 0 {
		n := min(len(payload), c.mss)
		c.at(dir, 0, payload[:n])
		c.skip(dir, n)
		payload = payload[n:]
	}
}

// skip moves a direction on over bytes that were not recorded, or by at.
func (c *conn) skip(dir, n int) { c.seq[dir] += uint32(n) }

// ask and answer are send by direction.
func (c *conn) ask(payload []byte)    { c.send(toServer, payload) }
func (c *conn) answer(payload []byte) { c.send(toClient, payload) }

// close ends the conversation by FIN both ways.
func (c *conn) close() {
	for dir := range 2 {
		c.raw(dir, c.seq[dir], layers.TCP{FIN: true, ACK: true}, nil)
		c.seq[dir]++
	}
	c.ack(toServer)
	c.t.wait(10 * time.Millisecond)
}

// reset ends the conversation by RST.
func (c *conn) reset(dir int) {
	c.raw(dir, c.seq[dir], layers.TCP{RST: true, ACK: true}, nil)
	c.t.wait(10 * time.Millisecond)
}
