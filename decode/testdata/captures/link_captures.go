package captures

import (
	"encoding/binary"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// frameOf stacks layers on an IP packet.
func frameOf(e *layers.Ethernet, tag gopacket.SerializableLayer, ip []byte) []byte {
	return serialize(e, tag, gopacket.Payload(ip))
}

func vlan(id uint16, t layers.EthernetType) *layers.Dot1Q {
	return &layers.Dot1Q{VLANIdentifier: id, Type: t}
}

func etherType(ip []byte) layers.EthernetType { return etherLayer(ip).EthernetType }

// Ends of a tunnel.
var (
	tunnelFrom = []byte{172, 16, 0, 1}
	tunnelTo   = []byte{172, 16, 0, 2}
)

// tunnel carries bytes in IPv4 between the ends of a tunnel.
func tunnel(p layers.IPProtocol, over ...gopacket.SerializableLayer) []byte {
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: p, SrcIP: tunnelFrom, DstIP: tunnelTo}
	for _, l := range over {
		if u, ok := l.(*layers.UDP); ok {
			must(u.SetNetworkLayerForChecksum(ip))
		}
	}
	return ethernet(serialize(append([]gopacket.SerializableLayer{ip}, over...)...))
}

// overUDP carries bytes to a UDP port between the ends of a tunnel.
func overUDP(port layers.UDPPort, b []byte) []byte {
	return tunnel(layers.IPProtocolUDP, &layers.UDP{SrcPort: 50123, DstPort: port}, gopacket.Payload(b))
}

// gre puts a GRE header of RFC 2784 and 2890 before a payload.
func gre(flags, proto uint16, fields ...uint32) []byte {
	b := binary.BigEndian.AppendUint16(nil, flags)
	b = binary.BigEndian.AppendUint16(b, proto)
	for _, f := range fields {
		b = binary.BigEndian.AppendUint32(b, f)
	}
	return b
}

const (
	greKey      = 0x2000
	greSequence = 0x1000
)

// fragmentsOf cuts an IPv4 packet into fragments of n payload bytes.
func fragmentsOf(ip []byte, n int) [][]byte {
	var out [][]byte
	payload := ip[20:]
	for at := 0; at < len(payload); at += n {
		end := min(at+n, len(payload))
		out = append(out, fragmentOf(ip, at, payload[at:end], end < len(payload)))
	}
	return out
}

// fragmentOf is one IPv4 fragment of a packet.
func fragmentOf(ip []byte, at int, payload []byte, more bool) []byte {
	h := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Id: binary.BigEndian.Uint16(ip[4:]), FragOffset: uint16(at / 8),
		Protocol: layers.IPProtocol(ip[9]), SrcIP: ip[12:16], DstIP: ip[16:20]}
	if more {
		h.Flags = layers.IPv4MoreFragments
	}
	return serialize(h, gopacket.Payload(payload))
}

// fragments6Of does the same for IPv6, with fragment headers.
func fragments6Of(ip []byte, n int) [][]byte {
	var out [][]byte
	payload := ip[40:]
	for at := 0; at < len(payload); at += n {
		end := min(at+n, len(payload))
		off := uint16(at)
		if end < len(payload) {
			off |= 1
		}
		f := []byte{ip[6], 0}
		f = binary.BigEndian.AppendUint16(f, off)
		f = binary.BigEndian.AppendUint32(f, 0x16881688)
		h := append([]byte(nil), ip[:40]...)
		h[6] = 44
		binary.BigEndian.PutUint16(h[4:], uint16(8+end-at))
		out = append(out, append(append(h, f...), payload[at:end]...))
	}
	return out
}

// linkCaptures are one KMS activation from the DMZ in the forms in which links
// and tunnels carry it. Each must give the same one alert.
func linkCaptures() []Capture {
	climb := func(t *tape) { t.activation(dmzClient, kmsHost, 6) }
	climb6 := func(t *tape) { t.activation(dmzClient6, kmsHost6, 6) }
	over := func(name, shows string, wrap func(ip []byte) [][]byte) Capture {
		return Capture{Name: name, Shows: shows + ", a KMS activation from the DMZ", play: func(t *tape) {
			t.wrap = wrap
			climb(t)
		}}
	}
	one := func(f func(ip []byte) []byte) func([]byte) [][]byte {
		return func(ip []byte) [][]byte { return [][]byte{f(ip)} }
	}
	on := func(name, shows string, link uint32, head func(ip []byte) []byte) Capture {
		return Capture{Name: name, Shows: shows + ", a KMS activation from the DMZ", play: func(t *tape) {
			t.link = link
			t.wrap = one(func(ip []byte) []byte { return append(head(ip), ip...) })
			climb(t)
		}}
	}
	return []Capture{
		{Name: "ipv6", Shows: "IPv6, a KMS activation from the DMZ", play: climb6},
		{Name: "ipv6-extensions", Shows: "IPv6 with hop-by-hop and destination options, a KMS activation from the DMZ", play: func(t *tape) {
			t.wrap = one(func(ip []byte) []byte {
				b := append([]byte(nil), ip[:40]...)
				b = append(b, 60, 0, 1, 4, 0, 0, 0, 0)    // hop-by-hop, PadN, then destination options
				b = append(b, ip[6], 0, 1, 4, 0, 0, 0, 0) // PadN, then TCP
				b[6] = 0
				binary.BigEndian.PutUint16(b[4:], uint16(len(ip)-40+16))
				return ethernet(append(b, ip[40:]...))
			})
			climb6(t)
		}},
		{Name: "ipv6-fragments", Shows: "IPv6 in fragments of 136 bytes, a KMS activation from the DMZ", play: func(t *tape) {
			t.wrap = func(ip []byte) (out [][]byte) {
				if len(ip) <= 40+136 {
					return [][]byte{ethernet(ip)}
				}
				for _, f := range fragments6Of(ip, 136) {
					out = append(out, ethernet(f))
				}
				return out
			}
			climb6(t)
		}},
		over("ipv4-options", "IPv4 with options", one(func(ip []byte) []byte {
			return ethernet(serialize(&layers.IPv4{Version: 4, TTL: 64, Id: binary.BigEndian.Uint16(ip[4:]), Protocol: layers.IPProtocol(ip[9]),
				SrcIP: ip[12:16], DstIP: ip[16:20],
				Options: []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}}}, gopacket.Payload(ip[20:])))
		})),
		over("ip-fragments", "IPv4 in fragments of 136 bytes", func(ip []byte) (out [][]byte) {
			for _, f := range fragmentsOf(ip, 136) {
				out = append(out, ethernet(f))
			}
			return out
		}),
		over("ip-fragments-out-of-order", "IPv4 in fragments of 136 bytes, the last first", func(ip []byte) (out [][]byte) {
			for _, f := range fragmentsOf(ip, 136) {
				out = append([][]byte{ethernet(f)}, out...)
			}
			return out
		}),
		over("ip-fragments-overlap", "IPv4 fragments of which a second copy differs, which is an anomaly", func(ip []byte) (out [][]byte) {
			fs := fragmentsOf(ip, 136)
			for i, f := range fs {
				out = append(out, ethernet(f))
				if i == 0 && len(fs) > 1 {
					evil := append([]byte(nil), ip[20:20+136]...)
					for j := 60; j < len(evil); j++ {
						evil[j] ^= 0xff
					}
					out = append(out, ethernet(fragmentOf(ip, 0, evil, true)))
				}
			}
			return out
		}),
		{Name: "ip-fragments-lost", Shows: "the second fragment of every packet of more than one is missing", play: func(t *tape) {
			t.wrap = func(ip []byte) (out [][]byte) {
				for i, f := range fragmentsOf(ip, 136) {
					if i != 1 {
						out = append(out, ethernet(f))
					}
				}
				return out
			}
			climb(t)
		}},
		over("link-vlan", "802.1Q, VLAN 20", one(func(ip []byte) []byte {
			e := etherLayer(ip)
			e.EthernetType = layers.EthernetTypeDot1Q
			return frameOf(e, vlan(20, etherType(ip)), ip)
		})),
		over("link-qinq", "802.1ad, VLAN 100 over 20", one(func(ip []byte) []byte {
			e := etherLayer(ip)
			e.EthernetType = layers.EthernetTypeQinQ
			return serialize(e, vlan(100, layers.EthernetTypeDot1Q), vlan(20, etherType(ip)), gopacket.Payload(ip))
		})),
		over("link-mpls", "MPLS with two labels", one(func(ip []byte) []byte {
			e := etherLayer(ip)
			e.EthernetType = layers.EthernetTypeMPLSUnicast
			return serialize(e, &layers.MPLS{Label: 16001, TTL: 63}, &layers.MPLS{Label: 24, StackBottom: true, TTL: 63}, gopacket.Payload(ip))
		})),
		on("link-raw", "raw IP, link type 101", 101, func([]byte) []byte { return nil }),
		on("link-null", "BSD loopback, link type 0", 0, func([]byte) []byte { return []byte{2, 0, 0, 0} }),
		on("link-loop", "OpenBSD loopback, link type 108", 108, func([]byte) []byte { return []byte{0, 0, 0, 2} }),
		on("link-cooked", "Linux cooked, link type 113", 113, func([]byte) []byte {
			return []byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0}
		}),
		on("link-cooked2", "Linux cooked v2, link type 276", 276, func([]byte) []byte {
			return []byte{8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}
		}),
		over("tunnel-vxlan", "VXLAN, VNI 4711", one(func(ip []byte) []byte {
			return overUDP(4789, append([]byte{8, 0, 0, 0, 0, 0x12, 0x67, 0}, ethernet(ip)...))
		})),
		over("tunnel-geneve", "Geneve with an option, VNI 4711", one(func(ip []byte) []byte {
			return overUDP(6081, append([]byte{2, 0, 0x65, 0x58, 0, 0x12, 0x67, 0, 1, 2, 3, 1, 0, 0, 0, 9}, ethernet(ip)...))
		})),
		over("tunnel-gre", "GRE of IPv4 with a key", one(func(ip []byte) []byte {
			return tunnel(layers.IPProtocolGRE, gopacket.Payload(append(gre(greKey, 0x0800, 1688), ip...)))
		})),
		over("tunnel-gre-ethernet", "GRE of Ethernet, with checksum, key and sequence number", one(func(ip []byte) []byte {
			b := append(gre(0x8000|greKey|greSequence, 0x6558, 0, 1688, 7), ethernet(ip)...)
			binary.BigEndian.PutUint16(b[4:], checksum(b))
			return tunnel(layers.IPProtocolGRE, gopacket.Payload(b))
		})),
		over("tunnel-erspan1", "ERSPAN I: GRE 0x88be without sequence number", one(func(ip []byte) []byte {
			return tunnel(layers.IPProtocolGRE, gopacket.Payload(append(gre(0, 0x88be), ethernet(ip)...)))
		})),
		over("tunnel-erspan2", "ERSPAN II, session 5, VLAN 20", one(func(ip []byte) []byte {
			b := gre(greSequence, 0x88be, 1, 0x1014_0005, 0x0000_0001)
			return tunnel(layers.IPProtocolGRE, gopacket.Payload(append(b, ethernet(ip)...)))
		})),
		over("tunnel-erspan3", "trap 55: ERSPAN III, session 5, without the optional header", one(func(ip []byte) []byte {
			b := gre(greSequence, 0x22eb, 1, 0x2014_0005, 0x0102_0304, 0x0000_0000)
			return tunnel(layers.IPProtocolGRE, gopacket.Payload(append(b, ethernet(ip)...)))
		})),
		over("tunnel-erspan3-platform", "trap 55: ERSPAN III with the optional platform header of 8 bytes", one(func(ip []byte) []byte {
			b := gre(greSequence, 0x22eb, 1, 0x2014_0005, 0x0102_0304, 0x0000_0001, 0x0c00_0000, 0x0000_0001)
			return tunnel(layers.IPProtocolGRE, gopacket.Payload(append(b, ethernet(ip)...)))
		})),
		over("tunnel-ipip", "IPv4 in IPv4", one(func(ip []byte) []byte {
			return tunnel(layers.IPProtocolIPv4, gopacket.Payload(ip))
		})),
		over("tunnel-deep", "ten levels of IPv4 in IPv4: beyond any bound, nothing is decoded", one(func(ip []byte) []byte {
			for range 9 {
				ip = serialize(&layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolIPv4, SrcIP: tunnelFrom, DstIP: tunnelTo}, gopacket.Payload(ip))
			}
			return tunnel(layers.IPProtocolIPv4, gopacket.Payload(ip))
		})),
		{Name: "snap-length-96", Shows: "frames cut after 96 bytes, a KMS activation from the DMZ", play: func(t *tape) {
			t.snap = 96
			climb(t)
		}},
		{Name: "snap-length-128", Shows: "frames cut after 128 bytes: the first context of the bind is seen, a KMS activation from the DMZ", play: func(t *tape) {
			t.snap = 128
			climb(t)
		}},
	}
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
