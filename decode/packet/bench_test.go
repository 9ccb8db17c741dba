package packet

import (
	"strings"
	"testing"

	"kmswatch/capture"
)

// The frames stand for the traffic of a SPAN port: full segments, in the
// encapsulations that mirrors use.
func BenchmarkDecode(b *testing.B) {
	full := strings.Repeat("x", 1400)
	four, six := ip4(6, tcp(full)), ip6(6, tcp(full))
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"ethernet-ipv4-tcp", eth(0x0800, four)},
		{"ethernet-ipv4-udp", eth(0x0800, ip4(17, udp(full)))},
		{"vlan-ipv4-tcp", eth(0x8100, tag(100, 0x0800, four))},
		{"ethernet-ipv6-tcp", eth(0x86dd, six)},
		{"qinq-ipv4-tcp", eth(0x88a8, tag(200, 0x8100, tag(100, 0x0800, four)))},
		{"vxlan-ipv4-tcp", eth(0x0800, ip4(17, udpp(5, 4789, vxlan(77, eth(0x0800, four)))))},
		{"erspan3-ipv4-tcp", eth(0x0800, ip4(47, gre(0x1000, 0x22eb, raw("00000001 2000 0007 00000000 0000 0000"), eth(0x0800, four))))},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := New(Config{})
			var p Packet
			f := &capture.Frame{Data: c.data, Length: len(c.data), Link: capture.LinkEthernet}
			b.ReportAllocs()
			b.SetBytes(int64(len(c.data)))
			for b.Loop() {
				d.Decode(f, &p)
			}
		})
	}
	b.Run("fragments", func(b *testing.B) {
		seg := tcp(strings.Repeat("x", 2900))
		frames := [][]byte{frag4(6, 7, 0, true, seg[:1480]), frag4(6, 7, 1480, false, seg[1480:])}
		d := New(Config{})
		var p Packet
		f := &capture.Frame{Link: capture.LinkEthernet}
		b.ReportAllocs()
		b.SetBytes(int64(len(frames[0]) + len(frames[1])))
		for b.Loop() {
			for _, f.Data = range frames {
				d.Decode(f, &p)
			}
		}
	})
}
