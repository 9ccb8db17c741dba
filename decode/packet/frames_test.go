package packet

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"kmswatch/capture"
)

// FrameCase is a frame and what it is. The table serves whoever decides about
// frames: the decoder here, and any filter that must agree with it.
type FrameCase struct {
	Name   string
	Link   capture.LinkType
	Data   []byte
	Length int // on the wire; 0 for all of Data

	Verdict  Verdict
	Src, Dst string // address:port of TCP and UDP
	Payload  string
	Missing  int
	VLANs    [2]uint16
	Tunnel   Tunnel
	TunnelID uint32
	Anomaly  Anomaly
}

// raw is bytes in hex, with spaces and with comments from # to the end of a line.
func raw(s string) []byte {
	var b strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		b.WriteString(strings.Join(strings.Fields(line), ""))
	}
	out, err := hex.DecodeString(b.String())
	if err != nil {
		panic(err)
	}
	return out
}

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func be16b(v int) []byte { return []byte{byte(v >> 8), byte(v)} }
func be32b(v int) []byte { return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)} }

// eth is Ethernet: destination, source, type.
func eth(etherType int, inner ...[]byte) []byte {
	return cat(raw("02 00 00 00 00 02  02 00 00 00 00 01"), be16b(etherType), cat(inner...))
}

// tag is what follows a tag's type: priority and id, the next type.
func tag(id, etherType int, inner ...[]byte) []byte {
	return cat(be16b(id), be16b(etherType), cat(inner...))
}

// ip4f is IPv4 from 10.0.0.1 to 10.0.0.2 with everything to choose.
func ip4f(proto, total, id, place int, options []byte, inner ...[]byte) []byte {
	return cat([]byte{byte(0x45 + len(options)/4), 0}, be16b(total), be16b(id), be16b(place),
		[]byte{64, byte(proto)}, raw("00 00"), // time to live, protocol, checksum
		raw("0a 00 00 01  0a 00 00 02"), options, cat(inner...))
}

// ip4 is IPv4 from 10.0.0.1 to 10.0.0.2.
func ip4(proto int, inner ...[]byte) []byte {
	return ip4f(proto, 20+len(cat(inner...)), 1, 0, nil, inner...)
}

// ip6n is IPv6 from 2001:db8::1 to 2001:db8::2 with a payload length to choose.
func ip6n(next, length int, inner ...[]byte) []byte {
	return cat(raw("60 00 00 00"), be16b(length), []byte{byte(next), 64},
		raw("20010db8 00000000 00000000 00000001  20010db8 00000000 00000000 00000002"), cat(inner...))
}

// ip6 is IPv6 from 2001:db8::1 to 2001:db8::2.
func ip6(next int, inner ...[]byte) []byte { return ip6n(next, len(cat(inner...)), inner...) }

// tcp is a segment from port 49152 to 135, sequence 0x01020304.
func tcp(payload string) []byte {
	return cat(raw(`
		c000 0087  # ports
		01020304   # sequence
		05060708   # acknowledgment
		5018 2000  # offset 5, PSH ACK, window
		0000 0000  # checksum, urgent`), []byte(payload))
}

// udpp is a datagram between ports of choice.
func udpp(src, dst int, inner ...[]byte) []byte {
	p := cat(inner...)
	return cat(be16b(src), be16b(dst), be16b(8+len(p)), raw("0000"), p)
}

// udp is a datagram from port 49152 to 53.
func udp(payload string) []byte { return udpp(49152, 53, []byte(payload)) }

// gre is GRE version 0 or 1 with its optional fields.
func gre(flags, carried int, optional []byte, inner ...[]byte) []byte {
	return cat(be16b(flags), be16b(carried), optional, cat(inner...))
}

func vxlan(vni int, inner ...[]byte) []byte {
	return cat(raw("08 000000"), be32b(vni<<8), cat(inner...))
}

func geneve(vni, etherType int, options []byte, inner ...[]byte) []byte {
	return cat([]byte{byte(len(options) / 4), 0}, be16b(etherType), be32b(vni<<8), options, cat(inner...))
}

func gtpu(flags, teid int, optional []byte, inner ...[]byte) []byte {
	p := cat(optional, cat(inner...))
	return cat([]byte{byte(0x30 | flags), 0xff}, be16b(len(p)), be32b(teid), p)
}

// erspan2h is the header of ERSPAN II.
func erspan2h(vlan, session int) []byte {
	return cat(be16b(0x1000|vlan), be16b(session), raw("00000000"))
}

const (
	tcp4Src, tcp4Dst = "10.0.0.1:49152", "10.0.0.2:135"
	udp4Src, udp4Dst = "10.0.0.1:49152", "10.0.0.2:53"
	tcp6Src, tcp6Dst = "[2001:db8::1]:49152", "[2001:db8::2]:135"
	udp6Src, udp6Dst = "[2001:db8::1]:49152", "[2001:db8::2]:53"
)

// is4 and is6 name what most cases carry: a TCP segment with "data".
func is4(name string, data []byte) FrameCase {
	return FrameCase{Name: name, Link: capture.LinkEthernet, Data: data, Verdict: TCP, Src: tcp4Src, Dst: tcp4Dst, Payload: "data"}
}

func is6(name string, data []byte) FrameCase {
	c := is4(name, data)
	c.Src, c.Dst = tcp6Src, tcp6Dst
	return c
}

func isNothing(name string, data []byte, a Anomaly) FrameCase {
	return FrameCase{Name: name, Link: capture.LinkEthernet, Data: data, Anomaly: a}
}

func isUDP(name string, src, dst int, data []byte, payload string, a Anomaly) FrameCase {
	s, d := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	return FrameCase{Name: name, Link: capture.LinkEthernet, Data: data, Verdict: UDP, Payload: payload, Anomaly: a,
		Src: netip.AddrPortFrom(s, uint16(src)).String(), Dst: netip.AddrPortFrom(d, uint16(dst)).String()}
}

func (c FrameCase) on(l capture.LinkType) FrameCase { c.Link = l; return c }
func (c FrameCase) vlans(outer, inner uint16) FrameCase {
	c.VLANs = [2]uint16{outer, inner}
	return c
}
func (c FrameCase) through(t Tunnel, id uint32) FrameCase { c.Tunnel, c.TunnelID = t, id; return c }
func (c FrameCase) odd(a Anomaly) FrameCase               { c.Anomaly = a; return c }

// cutTo leaves n bytes of the frame captured, and so much of the payload.
func (c FrameCase) cutTo(n int, payload string, missing int) FrameCase {
	c.Length = len(c.Data)
	c.Data = c.Data[:n]
	c.Payload, c.Missing = payload, missing
	return c
}

// wire says how long the frame was, and what of the payload was not captured.
func (c FrameCase) wire(length, missing int) FrameCase {
	c.Length, c.Missing = length, missing
	return c
}

var (
	tcp4 = ip4(6, tcp("data"))
	tcp6 = ip6(6, tcp("data"))
	pad8 = raw("00 00 00 00 00 00 00 00")

	// Extension headers: next header, length in eights less one, then PadN.
	hop     = func(next int) []byte { return cat([]byte{byte(next), 0}, raw("01 04 00000000")) }
	routing = func(next int) []byte { return cat([]byte{byte(next), 2}, raw("00 00 00000000"), pad8, pad8) }
	dest    = hop
	// AH: next header, length in fours less two, SPI, sequence, check value.
	ah = func(next int) []byte {
		return cat([]byte{byte(next), 4}, raw("0000 00000100 00000001"), pad8, raw("00000000"))
	}
)

// nested is a TCP segment in n tunnels of IP in IP.
func nested(n int) []byte {
	b := tcp4
	for range n {
		b = ip4(4, b)
	}
	return eth(0x0800, b)
}

func tags(n int) []byte {
	b := tag(100, 0x0800, tcp4)
	for range n - 1 {
		b = tag(100, 0x8100, b)
	}
	return eth(0x8100, b)
}

// Frames is the table.
var Frames = []FrameCase{
	// Link.
	is4("Ethernet, IPv4, TCP", eth(0x0800, tcp4)),
	is6("Ethernet, IPv6, TCP", eth(0x86dd, tcp6)),
	{Name: "Ethernet, IPv4, UDP", Link: 1, Data: eth(0x0800, ip4(17, udp("data"))), Verdict: UDP, Src: udp4Src, Dst: udp4Dst, Payload: "data"},
	{Name: "Ethernet, IPv6, UDP", Link: 1, Data: eth(0x86dd, ip6(17, udp("data"))), Verdict: UDP, Src: udp6Src, Dst: udp6Dst, Payload: "data"},
	is4("Ethernet padding is no payload", eth(0x0800, tcp4, make([]byte, 2))),
	{Name: "Ethernet padding behind an ACK is no payload", Link: 1, Data: eth(0x0800, ip4(6, tcp("")), make([]byte, 6)), Verdict: TCP, Src: tcp4Src, Dst: tcp4Dst},
	isNothing("ARP", eth(0x0806, make([]byte, 46)), 0),
	isNothing("IPv4, ICMP", eth(0x0800, ip4(1, pad8)), 0),
	isNothing("Ethernet of no bytes", nil, ShortHeader),
	isNothing("Ethernet of 13 bytes", eth(0x0800)[:13], ShortHeader),
	is4("802.3 with SNAP", eth(8+len(tcp4), raw("aa aa 03 000000 0800"), tcp4)),
	is4("802.3 with SNAP, padded", eth(8+len(tcp4), raw("aa aa 03 000000 0800"), tcp4, make([]byte, 9))),
	is4("802.3 with SNAP of 802.1H", eth(8+len(tcp4), raw("aa aa 03 0000f8 0800"), tcp4)),
	isNothing("802.3 spanning tree", eth(38, raw("42 42 03"), make([]byte, 43)), 0),
	isNothing("802.3 with SNAP of another organisation", eth(8+len(tcp4), raw("aa aa 03 00000c 2000"), tcp4), 0),

	is4("802.1Q", eth(0x8100, tag(100, 0x0800, tcp4))).vlans(100, 0),
	is4("802.1Q with priority bits", eth(0x8100, tag(0xf064, 0x0800, tcp4))).vlans(100, 0),
	is6("802.1Q, IPv6", eth(0x8100, tag(4094, 0x86dd, tcp6))).vlans(4094, 0),
	is4("802.1ad QinQ", eth(0x88a8, tag(200, 0x8100, tag(100, 0x0800, tcp4)))).vlans(200, 100),
	is4("QinQ of 0x9100", eth(0x9100, tag(200, 0x8100, tag(100, 0x0800, tcp4)))).vlans(200, 100),
	is4("three tags, two kept", eth(0x88a8, tag(300, 0x8100, tag(200, 0x8100, tag(100, 0x0800, tcp4))))).vlans(300, 200),
	is4("priority tag is no VLAN", eth(0x8100, tag(0xe000, 0x0800, tcp4))),
	is4("priority tag before a VLAN", eth(0x8100, tag(0, 0x8100, tag(7, 0x0800, tcp4)))).vlans(7, 0),
	is4("802.1Q, 802.3 with SNAP", eth(0x8100, tag(100, 8+len(tcp4), raw("aa aa 03 000000 0800"), tcp4))).vlans(100, 0),
	is4("eight tags", tags(8)).vlans(100, 100),
	isNothing("nine tags", tags(9), TooManyTags).vlans(100, 100),
	isNothing("802.1Q without a type", eth(0x8100, raw("0064")), ShortHeader),

	is4("VN-Tag between VLANs", eth(0x8100, tag(5, 0x8926, raw("00000000 8100"), tag(6, 0x0800, tcp4)))).vlans(5, 6),
	isNothing("VN-Tag without a type", eth(0x8926, raw("00000000")), ShortHeader),
	isNothing("VN-Tags without end", eth(0x8926, slices.Repeat(raw("00000000 8926"), 8), raw("00000000 0800"), tcp4), TooManyTags),

	is4("Linux cooked", cat(raw("0000 0001 0006 020000000001 0000 0800"), tcp4)).on(capture.LinkLinuxSLL),
	is4("Linux cooked, 802.1Q", cat(raw("0000 0001 0006 020000000001 0000 8100"), tag(9, 0x0800, tcp4))).on(capture.LinkLinuxSLL).vlans(9, 0),
	is6("Linux cooked v2", cat(raw("86dd 0000 00000002 0001 00 06 020000000001 0000"), tcp6)).on(capture.LinkLinuxSLL2),
	isNothing("Linux cooked, cut short", raw("0000 0001 0006"), ShortHeader).on(capture.LinkLinuxSLL),
	isNothing("Linux cooked v2, cut short", raw("86dd 0000"), ShortHeader).on(capture.LinkLinuxSLL2),
	is4("raw IP 101", tcp4).on(capture.LinkRaw),
	is6("raw IP 12", tcp6).on(capture.LinkRawBSD),
	is4("raw IP 14", tcp4).on(capture.LinkRawOpenBSD),
	is4("raw IPv4 228", tcp4).on(capture.LinkIPv4),
	is6("raw IPv6 229", tcp6).on(capture.LinkIPv6),
	isNothing("raw IP of version 5", raw("50 00"), BadIPVersion).on(capture.LinkRaw),
	isNothing("raw IP of no bytes", nil, ShortHeader).on(capture.LinkRaw),
	is4("null, little-endian", cat(raw("02000000"), tcp4)).on(capture.LinkNull),
	is4("null, big-endian", cat(raw("00000002"), tcp4)).on(capture.LinkNull),
	is6("null, IPv6 of FreeBSD", cat(raw("1c000000"), tcp6)).on(capture.LinkNull),
	is6("null, IPv6 of Darwin, big-endian", cat(raw("0000001e"), tcp6)).on(capture.LinkNull),
	is6("loop, IPv6 of OpenBSD", cat(raw("00000018"), tcp6)).on(capture.LinkLoop),
	isNothing("null of another family", cat(raw("07000000"), tcp4), 0).on(capture.LinkNull),
	is4("PPP", cat(raw("0021"), tcp4)).on(capture.LinkPPP),
	is4("PPP with address and control", cat(raw("ff03 0021"), tcp4)).on(capture.LinkPPP),
	is6("PPP, protocol in one byte", cat(raw("57"), tcp6)).on(capture.LinkPPP),
	isNothing("PPP LCP", raw("ff03 c021 0901 0008 00000000"), 0).on(capture.LinkPPP),
	isNothing("a link type that nobody decodes", tcp4, 0).on(9999),

	is4("PPPoE session", eth(0x8864, raw("11 00 0007"), be16b(2+len(tcp4)), raw("0021"), tcp4)),
	is4("PPPoE session, padded", eth(0x8864, raw("11 00 0007"), be16b(2+len(tcp4)), raw("0021"), tcp4, pad8)),
	is4("PPPoE session in QinQ", eth(0x88a8, tag(2, 0x8100, tag(3, 0x8864, raw("11 00 0007"), be16b(2+len(tcp4)), raw("0021"), tcp4)))).vlans(2, 3),
	is4("PPPoE session shorter than its packet", eth(0x8864, raw("11 00 0007"), be16b(2+44), raw("0021"), ip4f(6, 50, 1, 0, nil, tcp("data")), pad8)),
	isNothing("PPPoE discovery", eth(0x8863, raw("11 09 0000 0004 01010000")), 0),

	is4("MPLS, one label", eth(0x8847, raw("00064 1 40"), tcp4)),
	is6("MPLS, two labels, IPv6", eth(0x8847, raw("00064 0 40 00065 1 40"), tcp6)),
	is4("MPLS, Ethernet with a control word", eth(0x8847, raw("00064 1 40  0000 0001"), eth(0x8100, tag(5, 0x0800, tcp4)))).vlans(5, 0),
	is4("MPLS, Ethernet without a control word", eth(0x8847, raw("00064 1 40"), eth(0x0800, tcp4))),
	is4("MPLS, Ethernet with an address like IPv4", eth(0x8847, raw("00064 1 40  45ffffffffff 020000000001 0800"), tcp4)),
	is4("MPLS in 802.1Q", eth(0x8100, tag(5, 0x8847, raw("00064 1 40"), tcp4))).vlans(5, 0),
	isNothing("MPLS of more labels than are followed", eth(0x8847, make([]byte, 4*maxLabels), raw("00064 1 40"), tcp4), TooManyLabels),
	isNothing("MPLS that ends in a label", eth(0x8847, raw("0006 40")), ShortHeader),
	isNothing("MPLS with nothing under it", eth(0x8847, raw("00064 1 40")), ShortHeader),

	// IPv4.
	is4("IPv4 with options", eth(0x0800, ip4f(6, 24+24, 1, 0, raw("94040000"), tcp("data")))),
	is4("IPv4 that must not be fragmented", eth(0x0800, ip4f(6, 44, 1, 0x4000, nil, tcp("data")))),
	is4("IPv4 with the reserved flag", eth(0x0800, ip4f(6, 44, 1, 0x8000, nil, tcp("data")))),
	is4("IPv4 of total length 0, segmentation offload", eth(0x0800, ip4f(6, 0, 1, 0, nil, tcp("data")))),
	is4("IPv4 of total length 0, cut by the snap length", eth(0x0800, ip4f(6, 0, 1, 0, nil, tcp("data")))).wire(70000, 70000-58),
	isNothing("IPv4 of total length 0, longer than any offload", eth(0x0800, ip4f(6, 0, 1, 0, nil, tcp("data"))), BadIPLength).wire(1<<30, 0),
	is4("IPv4 longer than its frame", eth(0x0800, ip4f(6, 1040, 1, 0, nil, tcp("data")))).wire(0, 996),
	isNothing("IPv4 of total length 19", eth(0x0800, ip4f(6, 19, 1, 0, nil, tcp("data"))), BadIPLength),
	isNothing("IPv4 header longer than the packet", eth(0x0800, ip4f(6, 20, 1, 0, raw("94040000"), tcp("data"))), BadIPLength),
	isNothing("IPv4 with IHL 4", eth(0x0800, raw("44"), tcp4[1:]), BadIPHeaderLength),
	isNothing("IPv4 of version 6", eth(0x0800, tcp6), BadIPVersion),
	isNothing("IPv6 of version 4", eth(0x86dd, tcp4), BadIPVersion),
	isNothing("IPv4 header of 19 bytes", eth(0x0800, tcp4[:19]), ShortHeader),
	is4("IPv4, AH", eth(0x0800, ip4(51, ah(6), tcp("data")))),
	isNothing("IPv4 has no hop-by-hop header", eth(0x0800, ip4(0, hop(6), tcp("data"))), 0),
	isNothing("IPv4, seventeen AH", eth(0x0800, ip4(51, slices.Repeat(ah(51), 16), ah(6), tcp("data"))), TooManyExtensions),

	// IPv6.
	is6("IPv6, hop-by-hop, routing, destination, AH", eth(0x86dd, ip6(0, hop(43), routing(60), dest(51), ah(6), tcp("data")))),
	is6("IPv6, atomic fragment waits for nobody", eth(0x86dd, ip6(44, raw("06 00 0000 00000007"), tcp("data")))),
	is6("IPv6, atomic fragment with reserved bits", eth(0x86dd, ip6(44, raw("06 ff 0006 00000007"), tcp("data")))),
	is6("IPv6, mobility header", eth(0x86dd, ip6(135, hop(6), tcp("data")))),
	is6("IPv6, padded frame", eth(0x86dd, tcp6, pad8)),
	is6("IPv6 longer than its frame", eth(0x86dd, ip6n(6, 1024, tcp("data")))).wire(0, 1000),
	is6("IPv6 of payload length 0, segmentation offload", eth(0x86dd, ip6n(6, 0, tcp("data")))).wire(70078, 70000),
	is6("IPv6 jumbo payload", eth(0x86dd, ip6n(0, 0, raw("06 00 c2 04"), be32b(70032), tcp("data")))).wire(70086, 70000),
	isNothing("IPv6 jumbo payload that is none", eth(0x86dd, ip6n(0, 0, raw("06 00 c2 04"), be32b(32), tcp("data"))), BadJumbo),
	isNothing("IPv6 jumbo payload beyond the frame", eth(0x86dd, ip6n(0, 0, raw("06 00 c2 04 ffffffff"), tcp("data"))), BadJumbo),
	isNothing("IPv6 of payload length 0 without the jumbo option", eth(0x86dd, ip6n(0, 0, hop(6), tcp("data"))), BadJumbo),
	isNothing("IPv6, no next header", eth(0x86dd, ip6(60, dest(59), pad8)), 0),
	isNothing("IPv6, ICMPv6", eth(0x86dd, ip6(58, pad8)), 0),
	isNothing("IPv6, extension beyond the packet", eth(0x86dd, ip6(60, raw("06 0a 01 04 00000000"), tcp("data"))), BadExtension),
	isNothing("IPv6, extension of 7 bytes", eth(0x86dd, ip6(60, dest(6)[:7])), ShortHeader),
	is6("IPv6, fifteen extensions", eth(0x86dd, ip6(60, slices.Repeat(dest(60), 14), dest(6), tcp("data")))),
	isNothing("IPv6, seventeen extensions", eth(0x86dd, ip6(60, slices.Repeat(dest(60), 16), dest(6), tcp("data"))), TooManyExtensions),
	isNothing("IPv6 header of 39 bytes", eth(0x86dd, tcp6[:39]), ShortHeader),

	// TCP and UDP.
	is4("TCP with options", eth(0x0800, ip4(6, tcp("")[:12], raw("6018"), tcp("")[14:], raw("01010402"), []byte("data")))),
	isNothing("TCP data offset 4", eth(0x0800, ip4(6, tcp("")[:12], raw("4018"), tcp("data")[14:])), BadTCPOffset),
	isNothing("TCP data offset beyond the segment", eth(0x0800, ip4(6, tcp("")[:12], raw("f018"), tcp("data")[14:])), BadTCPOffset),
	isNothing("TCP header of 19 bytes", eth(0x0800, ip4(6, tcp("")[:19])), ShortHeader),
	isUDP("UDP of no bytes", 1, 2, eth(0x0800, ip4(17, udpp(1, 2))), "", 0),
	isUDP("UDP shorter than its packet", 1, 2, eth(0x0800, ip4(17, udpp(1, 2, []byte("data")), pad8)), "data", 0),
	isNothing("UDP longer than its packet", eth(0x0800, ip4(17, raw("0001 0002 000d 0000"), []byte("data"))), BadUDPLength),
	isNothing("UDP of length 7", eth(0x0800, ip4(17, raw("0001 0002 0007 0000"), []byte("data"))), BadUDPLength),
	isNothing("UDP of length 0 in IPv4", eth(0x0800, ip4(17, raw("0001 0002 0000 0000"), []byte("data"))), BadUDPLength),
	{Name: "UDP of length 0 in an IPv6 jumbogram", Link: 1, Data: eth(0x86dd, ip6n(0, 0, raw("11 00 c2 04"), be32b(70020), raw("0001 0002 0000 0000"), []byte("data"))), Length: 70074,
		Verdict: UDP, Src: "[2001:db8::1]:1", Dst: "[2001:db8::2]:2", Payload: "data", Missing: 70000},
	isNothing("UDP header of 7 bytes", eth(0x0800, ip4(17, udp("")[:7])), ShortHeader),

	// Snap length.
	is4("cut in the payload", eth(0x0800, tcp4)).cutTo(56, "da", 2),
	is4("cut behind the TCP header", eth(0x0800, tcp4)).cutTo(54, "", 4),
	is4("cut in the TCP options", eth(0x0800, ip4(6, tcp("")[:12], raw("6018"), tcp("")[14:], raw("01010402"), []byte("data")))).cutTo(55, "", 4),
	isNothing("cut in the TCP header", eth(0x0800, tcp4), 0).cutTo(53, "", 0),
	isNothing("cut in the IPv4 options", eth(0x0800, ip4f(6, 48, 1, 0, raw("94040000"), tcp("data"))), 0).cutTo(36, "", 0),
	isNothing("cut in the Ethernet header", eth(0x0800, tcp4), 0).cutTo(10, "", 0),
	is6("IPv6, cut behind the TCP header", eth(0x86dd, tcp6)).cutTo(74, "", 4),
	isNothing("IPv6, cut in an extension", eth(0x86dd, ip6(43, routing(6), tcp("data"))), 0).cutTo(70, "", 0),
	isNothing("IPv6, cut in the jumbo option", eth(0x86dd, ip6n(0, 0, raw("06 00 c2 04"), be32b(70032), tcp("data"))), 0).cutTo(58, "", 0),
	{Name: "UDP, cut in the payload", Link: 1, Data: eth(0x0800, ip4(17, udp("da"))), Length: 46,
		Verdict: UDP, Src: udp4Src, Dst: udp4Dst, Payload: "da"},
	is4("VXLAN, cut in the inner payload", eth(0x0800, ip4(17, udpp(5, 4789, vxlan(77, eth(0x0800, tcp4)))))).through(VXLAN, 77).cutTo(107, "dat", 1),

	// Tunnels.
	is4("IP in IP", eth(0x0800, ip4(4, tcp4))).through(IPIP, 0),
	is6("IPv6 in IPv4", eth(0x0800, ip4(41, tcp6))).through(IPIP, 0),
	is4("IPv4 in IPv6", eth(0x86dd, ip6(4, tcp4))).through(IPIP, 0),
	is6("IPv6 in IPv6 behind a destination header", eth(0x86dd, ip6(60, dest(41), tcp6))).through(IPIP, 0),
	is4("four tunnels", nested(4)).through(IPIP, 0),
	is4("IP in IP, the inner longer than the outer", eth(0x0800, ip4(4, ip4f(6, 500, 1, 0, nil, tcp("data"))))).through(IPIP, 0),
	isNothing("five tunnels", nested(5), TooDeep).through(IPIP, 0),

	is4("GRE", eth(0x0800, ip4(47, gre(0, 0x0800, nil, tcp4)))).through(GRE, 0),
	is6("GRE with checksum, key and sequence", eth(0x0800, ip4(47, gre(0xb000, 0x86dd, raw("abcd0000 00000101 00000001"), tcp6)))).through(GRE, 0x101),
	is4("GRE with a key, Ethernet and VLAN", eth(0x8100, tag(1, 0x0800, ip4(47, gre(0x2000, 0x6558, raw("00000042"), eth(0x8100, tag(8, 0x0800, tcp4))))))).through(GRE, 0x42).vlans(8, 0),
	is4("outer VLAN stays where the inner frame has none", eth(0x8100, tag(1, 0x0800, ip4(47, gre(0, 0x6558, nil, eth(0x0800, tcp4)))))).through(GRE, 0).vlans(1, 0),
	is4("GRE, PPP", eth(0x0800, ip4(47, gre(0, 0x880b, nil, raw("0021"), tcp4)))).through(GRE, 0),
	is4("GRE, MPLS", eth(0x0800, ip4(47, gre(0, 0x8847, nil, raw("00064 1 40"), tcp4)))).through(GRE, 0),
	is4("GRE, WCCP version 1", eth(0x0800, ip4(47, gre(0, 0x883e, nil, tcp4)))).through(GRE, 0),
	is4("GRE, WCCP version 2", eth(0x0800, ip4(47, gre(0, 0x883e, nil, raw("00 03 00 00"), tcp4)))).through(GRE, 0),
	is4("PPTP with sequence and acknowledgment", eth(0x0800, ip4(47, gre(0x3081, 0x880b, cat(be16b(4+len(tcp4)), raw("0007 00000001 00000000")), raw("ff03 0021"), tcp4)))).through(GRE, 7),
	is4("PPTP, protocol in one byte", eth(0x0800, ip4(47, gre(0x3001, 0x880b, cat(be16b(1+len(tcp4)), raw("0007 00000001")), raw("21"), tcp4)))).through(GRE, 7),
	isNothing("PPTP acknowledgment alone", eth(0x0800, ip4(47, gre(0x2081, 0x880b, raw("0000 0007 00000001")))), 0),
	isNothing("GRE with source routes", eth(0x0800, ip4(47, gre(0x4000, 0x0800, raw("00000000 00000000"), tcp4))), 0),
	isNothing("GRE that ends in its key", eth(0x0800, ip4(47, gre(0x2000, 0x0800, raw("0000")))), ShortHeader),
	isNothing("GRE keepalive", eth(0x0800, ip4(47, gre(0, 0, nil))), 0),
	is4("GRE in UDP", eth(0x0800, ip4(17, udpp(5, 4754, gre(0, 0x0800, nil, tcp4))))).through(GRE, 0),

	is4("ERSPAN I", eth(0x0800, ip4(47, gre(0, 0x88be, nil, eth(0x0800, tcp4))))).through(ERSPAN, 0),
	is4("ERSPAN II", eth(0x0800, ip4(47, gre(0x1000, 0x88be, raw("00000001"), erspan2h(0, 0x123), eth(0x0800, tcp4))))).through(ERSPAN, 0x123),
	is4("ERSPAN II tells the VLAN of an untagged frame", eth(0x8100, tag(1, 0x0800, ip4(47, gre(0x1000, 0x88be, raw("00000001"), erspan2h(30, 5), eth(0x0800, tcp4)))))).through(ERSPAN, 5).vlans(30, 0),
	is4("ERSPAN II, the frame's own VLAN goes before", eth(0x0800, ip4(47, gre(0x1000, 0x88be, raw("00000001"), erspan2h(30, 5), eth(0x8100, tag(31, 0x0800, tcp4)))))).through(ERSPAN, 5).vlans(31, 0),
	is4("ERSPAN III without a subheader", eth(0x0800, ip4(47, gre(0x1000, 0x22eb, raw("00000001 2000 0007 00000000 0000 0000"), eth(0x0800, tcp4))))).through(ERSPAN, 7),
	is4("ERSPAN III with the platform subheader, trap 55", eth(0x0800, ip4(47, gre(0x1000, 0x22eb, raw("00000001 2000 0007 00000000 0000 0001  1000000000000000"), eth(0x0800, tcp4))))).through(ERSPAN, 7),
	is4("ERSPAN III of an IP packet", eth(0x0800, ip4(47, gre(0x1000, 0x22eb, raw("00000001 2000 0007 00000000 0000 0800"), tcp4)))).through(ERSPAN, 7),
	isNothing("ERSPAN III that ends in the subheader", eth(0x0800, ip4(47, gre(0x1000, 0x22eb, raw("00000001 2000 0007 00000000 0000 0001  1000")))), ShortHeader),

	is4("VXLAN", eth(0x0800, ip4(17, udpp(5, 4789, vxlan(77, eth(0x0800, tcp4)))))).through(VXLAN, 77),
	is6("VXLAN on Linux's port, over IPv6", eth(0x86dd, ip6(17, udpp(5, 8472, vxlan(0xffffff, eth(0x8100, tag(6, 0x86dd, tcp6))))))).through(VXLAN, 0xffffff).vlans(6, 0),
	is4("VXLAN with a group policy", eth(0x0800, ip4(17, udpp(5, 4789, raw("88 00 0010 00004d 00"), eth(0x0800, tcp4))))).through(VXLAN, 77),
	is4("VXLAN GPE, IPv4", eth(0x0800, ip4(17, udpp(5, 4790, raw("0c 0000 01 00004d 00"), tcp4)))).through(VXLAN, 77),
	is4("VXLAN GPE, IPv4, not announced", eth(0x0800, ip4(17, udpp(5, 4790, raw("08 0000 01 00004d 00"), tcp4)))).through(VXLAN, 77),
	is4("VXLAN GPE, Ethernet", eth(0x0800, ip4(17, udpp(5, 4790, raw("0c 0000 03 00004d 00"), eth(0x0800, tcp4))))).through(VXLAN, 77),
	isUDP("VXLAN without I is plain UDP", 5, 4789, eth(0x0800, ip4(17, udpp(5, 4789, []byte("data")))), "data", 0).odd(0),
	isUDP("VXLAN with ARP is plain UDP", 5, 4789, eth(0x0800, ip4(17, udpp(5, 4789, vxlan(7, eth(0x0806))))), string(vxlan(7, eth(0x0806))), 0),
	is4("Geneve without options", eth(0x0800, ip4(17, udpp(5, 6081, geneve(9, 0x6558, nil, eth(0x0800, tcp4)))))).through(Geneve, 9),
	is6("Geneve with options, IPv6", eth(0x0800, ip4(17, udpp(5, 6081, geneve(9, 0x86dd, raw("0102 80 01 00000001"), tcp6))))).through(Geneve, 9),
	isUDP("Geneve with options beyond the datagram is plain UDP", 5, 6081, eth(0x0800, ip4(17, udpp(5, 6081, raw("3f 00 6558 000009 00")))), string(raw("3f 00 6558 000009 00")), 0),
	is4("GTP-U", eth(0x0800, ip4(17, udpp(5, 2152, gtpu(0, 0x99, nil, tcp4))))).through(GTP, 0x99),
	is4("GTP-U with a sequence number", eth(0x0800, ip4(17, udpp(5, 2152, gtpu(2, 0x99, raw("0001 00 85"), tcp4))))).through(GTP, 0x99),
	is6("GTP-U with an extension header", eth(0x0800, ip4(17, udpp(5, 2152, gtpu(4, 0x99, raw("0000 00 85  01 0001 00"), tcp6))))).through(GTP, 0x99),
	isUDP("GTP-U echo is plain UDP", 5, 2152, eth(0x0800, ip4(17, udpp(5, 2152, raw("32 01 0004 00000000 0001 0000")))), string(raw("32 01 0004 00000000 0001 0000")), 0),
	is6("Teredo", eth(0x0800, ip4(17, udpp(5, 3544, tcp6)))).through(Teredo, 0),
	is6("Teredo from the server, authentication and origin", eth(0x0800, ip4(17, udpp(3544, 5, raw("0001 00 00 0102030405060708 00  0000 eeee f5fffffe"), tcp6)))).through(Teredo, 0),
	isUDP("Teredo bubble is plain UDP", 5, 3544, eth(0x0800, ip4(17, udpp(5, 3544, ip6(59)))), string(ip6(59)), 0),
	is4("VXLAN in GRE", eth(0x0800, ip4(47, gre(0, 0x0800, nil, ip4(17, udpp(5, 4789, vxlan(77, eth(0x0800, tcp4)))))))).through(VXLAN, 77),
	isUDP("VXLAN in four tunnels is plain UDP", 5, 4789, eth(0x0800, ip4(4, ip4(4, ip4(4, ip4(4, ip4(17, udpp(5, 4789, vxlan(77, eth(0x0800, tcp4))))))))),
		string(vxlan(77, eth(0x0800, tcp4))), TooDeep).through(IPIP, 0),
}
