// Package bpftest serves tests of the flow filter and of what stands on it: the
// table of frames by which the kernel and the decoder must agree, and a generator
// of frames in the kernel.
package bpftest

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"kmswatch/bpf"
)

// TCPPorts and UDPPorts are the ports of interest that the table counts on: those
// of the decoder.
var (
	TCPPorts = []uint16{53, 88, 135, 139, 389, 445, 593, 1688, 3268}
	UDPPorts = []uint16{53, 88, 389}
)

// Frame is an Ethernet frame and what a filter that knows no flow says of it.
type Frame struct {
	Name    string
	Data    []byte
	Verdict bpf.Verdict

	// Surplus says that the decoder does nothing with a frame that passes: it
	// neither looks further, nor remembers or tells anything. Where it is not set
	// both agree.
	Surplus bool
}

// Frames gives the table. To add a frame: a line here; the tests of bpf and of
// decode run over all of them.
func Frames() []Frame {
	const port, bulk, foreign, unfollowed = bpf.Port, bpf.Bulk, bpf.Foreign, bpf.Unfollowed
	bind := rpc(11, 72, 0)
	web := tcp(49152, 443, ack, "GET / HTTP/1.1")
	kms := tcp(49152, 1688, ack, bind)
	smb2 := "\x00\x00\x00\x44\xfeSMB\x40\x00" + strings.Repeat("\x00", 62)
	datagram := ncadg(0, 10) + strings.Repeat("x", 10)
	frames := []Frame{
		// Ports.
		{Name: "KMS", Data: eth(0x0800, ip4(6, kms)), Verdict: port},
		{Name: "from the KMS port", Data: eth(0x0800, ip4(6, tcp(1688, 49152, ack, "x"))), Verdict: port},
		{Name: "SYN to a port of interest", Data: eth(0x0800, ip4(6, tcp(49152, 445, syn, ""))), Verdict: port},
		{Name: "ACK alone on a port of interest", Data: eth(0x0800, ip4(6, tcp(49152, 445, ack, ""))), Verdict: port},
		{Name: "KMS over IPv6", Data: eth(0x86dd, ip6(6, kms)), Verdict: port},
		{Name: "DNS for SRV", Data: eth(0x0800, ip4(17, udp(49152, 53, srvQuery))), Verdict: port},
		{Name: "DNS for an address", Data: eth(0x0800, ip4(17, udp(49152, 53, aQuery))), Verdict: port, Surplus: true},
		{Name: "a TCP port of interest in UDP", Data: eth(0x0800, ip4(17, udp(49152, 1688, "x"))), Verdict: bulk},
		{Name: "web", Data: eth(0x0800, ip4(6, web)), Verdict: bulk},
		{Name: "web over IPv6", Data: eth(0x86dd, ip6(6, web)), Verdict: bulk},
		{Name: "QUIC", Data: eth(0x0800, ip4(17, udp(49152, 443, "\x40abcdefgh"))), Verdict: bulk},

		// Not TCP or UDP.
		{Name: "ARP", Data: eth(0x0806, "\x00\x01\x08\x00\x06\x04\x00\x01", zeros(20)), Verdict: foreign},
		{Name: "ICMP", Data: eth(0x0800, ip4(1, zeros(8))), Verdict: foreign},
		{Name: "OSPF", Data: eth(0x0800, ip4(89, zeros(24))), Verdict: foreign},
		{Name: "ICMPv6", Data: eth(0x86dd, ip6(58, zeros(8))), Verdict: foreign},
		{Name: "no next header", Data: eth(0x86dd, ip6(59, "")), Verdict: foreign},
		{Name: "spanning tree", Data: eth(0x0026, "\x42\x42\x03", zeros(43)), Verdict: foreign},
		{Name: "SNAP", Data: eth(0x0040, "\xaa\xaa\x03\x00\x00\x00\x08\x00", ip4(6, kms)[:56]), Verdict: unfollowed},
		{Name: "LLDP", Data: eth(0x88cc, zeros(46)), Verdict: foreign},

		// Tags.
		{Name: "one tag", Data: eth(0x8100, "\x00\x0a", be16(0x0800), ip4(6, kms)), Verdict: port},
		{Name: "one tag, web", Data: eth(0x8100, "\x00\x0a", be16(0x0800), ip4(6, web)), Verdict: bulk},
		{Name: "a service tag", Data: eth(0x88a8, "\x00\x0a", be16(0x86dd), ip6(6, kms)), Verdict: port},
		{Name: "two tags", Data: eth(0x88a8, "\x00\x0a", be16(0x8100), "\x00\x14", be16(0x0800), ip4(6, kms)), Verdict: port},
		{Name: "two tags, web", Data: eth(0x88a8, "\x00\x0a", be16(0x8100), "\x00\x14", be16(0x0800), ip4(6, web)), Verdict: bulk},
		{Name: "an old service tag", Data: eth(0x9100, "\x00\x0a", be16(0x0800), ip4(6, kms)), Verdict: port},
		{Name: "three tags", Data: eth(0x88a8, "\x00\x0a", be16(0x8100), "\x00\x14", be16(0x8100), "\x00\x1e", be16(0x0800), ip4(6, kms)), Verdict: unfollowed},
		{Name: "a tag of a fabric", Data: eth(0x8926, "\x00\x00\x00\x00", be16(0x0800), ip4(6, kms)), Verdict: unfollowed},
		{Name: "MPLS", Data: eth(0x8847, "\x00\x01\x01\x40", ip4(6, kms)), Verdict: unfollowed},
		{Name: "PPPoE", Data: eth(0x8864, "\x11\x00\x00\x01", be16(2+len(ip4(6, kms))), "\x00\x21", ip4(6, kms)), Verdict: unfollowed},

		// Options and extension headers.
		{Name: "IPv4 with options", Data: eth(0x0800, ip4With(6, 0, "\x94\x04\x00\x00\x01\x01\x01\x00", kms)), Verdict: port},
		{Name: "IPv4 with all options, web", Data: eth(0x0800, ip4With(6, 0, strings.Repeat("\x01", 40), web)), Verdict: bulk},
		{Name: "TCP with options", Data: eth(0x0800, ip4(6, tcpWith(49152, 50047, ack, strings.Repeat("\x01", 40), bind))), Verdict: bpf.Begins},
		{Name: "hop-by-hop", Data: eth(0x86dd, ip6(0, "\x06\x00\x05\x02\x00\x00\x01\x00", kms)), Verdict: port},
		{Name: "all extension headers", Data: eth(0x86dd, ip6(0,
			"\x3c\x00", zeros(6), "\x2b\x01", zeros(14), "\x87\x00", zeros(6), "\x33\x00", zeros(6), "\x06\x04", zeros(22), kms)), Verdict: port},
		{Name: "an extension header, web", Data: eth(0x86dd, ip6(60, "\x06\x00", zeros(6), web)), Verdict: bulk},
		{Name: "an atomic fragment", Data: eth(0x86dd, ip6(44, "\x06\x00\x00\x00\x00\x00\x00\x01", kms)), Verdict: port},
		{Name: "an atomic fragment, web", Data: eth(0x86dd, ip6(44, "\x06\x00\x00\x00\x00\x00\x00\x01", web)), Verdict: bulk},
		{Name: "nine extension headers", Data: eth(0x86dd, ip6(60, strings.Repeat("\x3c\x00\x00\x00\x00\x00\x00\x00", 8), "\x06\x00", zeros(6), kms)), Verdict: unfollowed},
		{Name: "authentication header in IPv4", Data: eth(0x0800, ip4(51, "\x06\x04", zeros(22), kms)), Verdict: unfollowed},
		{Name: "a jumbogram", Data: eth(0x86dd, ip6Length(0, 0, "\x06\x00\xc2\x04\x00\x01\x00\x00", kms)), Verdict: unfollowed},

		// Fragments.
		{Name: "the first fragment", Data: eth(0x0800, ip4With(6, 0x2000, "", kms)), Verdict: bpf.Fragment},
		{Name: "the last fragment", Data: eth(0x0800, ip4With(17, 0x00b9, "", zeros(16))), Verdict: bpf.Fragment},
		{Name: "a fragment of IPv6", Data: eth(0x86dd, ip6(44, "\x06\x00\x00\x01\x00\x00\x00\x01", kms, zeros(8-len(kms)%8))), Verdict: bpf.Fragment},
		{Name: "not to be fragmented", Data: eth(0x0800, ip4With(6, 0x4000, "", web)), Verdict: bulk},

		// Tunnels.
		{Name: "GRE", Data: eth(0x0800, ip4(47, gre(0, 0x0800, ""), ip4(6, kms))), Verdict: port},
		{Name: "GRE, web", Data: eth(0x0800, ip4(47, gre(0, 0x0800, ""), ip4(6, web))), Verdict: bulk},
		{Name: "GRE with all fields", Data: eth(0x0800, ip4(47, gre(0xb000, 0x86dd, zeros(12)), ip6(6, kms))), Verdict: port},
		{Name: "GRE with all fields, web", Data: eth(0x0800, ip4(47, gre(0xb000, 0x86dd, zeros(12)), ip6(6, web))), Verdict: bulk},
		{Name: "GRE with Ethernet", Data: eth(0x0800, ip4(47, gre(0x2000, 0x6558, zeros(4)), eth(0x8100, "\x00\x0a", be16(0x0800), ip4(6, kms)))), Verdict: port},
		{Name: "GRE with CDP", Data: eth(0x0800, ip4(47, gre(0, 0x2000, ""), zeros(20))), Verdict: foreign},
		{Name: "GRE with routes", Data: eth(0x0800, ip4(47, gre(0x4000, 0x0800, zeros(8)), ip4(6, kms))), Verdict: foreign},
		{Name: "PPTP", Data: eth(0x0800, ip4(47, gre(0x3001, 0x880b, be16(2+len(ip4(6, kms)))+zeros(6)), "\x00\x21", ip4(6, kms))), Verdict: unfollowed},
		{Name: "WCCP", Data: eth(0x0800, ip4(47, gre(0, 0x883e, zeros(4)), ip4(6, kms))), Verdict: unfollowed},
		{Name: "GRE in GRE", Data: eth(0x0800, ip4(47, gre(0, 0x0800, ""), ip4(47, gre(0, 0x0800, ""), ip4(6, kms)))), Verdict: unfollowed},
		{Name: "ERSPAN I", Data: eth(0x0800, ip4(47, gre(0, 0x88be, ""), eth(0x0800, ip4(6, kms)))), Verdict: port},
		{Name: "ERSPAN I, web", Data: eth(0x0800, ip4(47, gre(0, 0x88be, ""), eth(0x0800, ip4(6, web)))), Verdict: bulk},
		{Name: "ERSPAN II", Data: eth(0x0800, ip4(47, gre(0x1000, 0x88be, zeros(4)), "\x10\x0a\x00\x01", zeros(4), eth(0x0800, ip4(6, kms)))), Verdict: port},
		{Name: "ERSPAN II, web", Data: eth(0x0800, ip4(47, gre(0x1000, 0x88be, zeros(4)), "\x10\x0a\x00\x01", zeros(4), eth(0x0800, ip4(6, web)))), Verdict: bulk},
		{Name: "ERSPAN III", Data: eth(0x0800, ip4(47, gre(0x1000, 0x22eb, zeros(4)), "\x20\x0a\x00\x01", zeros(8), eth(0x0800, ip4(6, kms)))), Verdict: port},
		{Name: "ERSPAN III with a subheader", Data: eth(0x0800, ip4(47, gre(0x1000, 0x22eb, zeros(4)), "\x20\x0a\x00\x01", zeros(7), "\x01", zeros(8), eth(0x0800, ip4(6, web)))), Verdict: bulk},
		{Name: "ERSPAN III with IP alone", Data: eth(0x0800, ip4(47, gre(0x1000, 0x22eb, zeros(4)), "\x20\x0a\x00\x01", zeros(6), "\x08\x00", ip4(6, kms))), Verdict: unfollowed},
		{Name: "VXLAN", Data: eth(0x0800, ip4(17, udp(50000, 4789, "\x08\x00\x00\x00\x00\x00\x07\x00", eth(0x0800, ip4(6, kms))))), Verdict: port},
		{Name: "VXLAN, web", Data: eth(0x0800, ip4(17, udp(50000, 4789, "\x08\x00\x00\x00\x00\x00\x07\x00", eth(0x0800, ip4(6, web))))), Verdict: bulk},
		{Name: "VXLAN on Linux's port, tagged IPv6 in it", Data: eth(0x86dd, ip6(17, udp(50000, 8472, "\x08\x00\x00\x00\x00\x00\x07\x00", eth(0x8100, "\x00\x0a", be16(0x86dd), ip6(6, kms))))), Verdict: port},
		{Name: "VXLAN, ARP", Data: eth(0x0800, ip4(17, udp(50000, 4789, "\x08\x00\x00\x00\x00\x00\x07\x00", eth(0x0806, zeros(28))))), Verdict: foreign},
		{Name: "VXLAN's port without VXLAN", Data: eth(0x0800, ip4(17, udp(50000, 4789, "\x00\x00\x00\x00\x00\x00\x07\x00", eth(0x0800, ip4(6, kms))))), Verdict: bulk},
		{Name: "VXLAN in VXLAN", Data: eth(0x0800, ip4(17, udp(50000, 4789, "\x08\x00\x00\x00\x00\x00\x07\x00",
			eth(0x0800, ip4(17, udp(50000, 4789, "\x08\x00\x00\x00\x00\x00\x07\x00", eth(0x0800, ip4(6, kms)))))))), Verdict: unfollowed},
		{Name: "Geneve", Data: eth(0x0800, ip4(17, udp(50000, 6081, "\x02\x00\x65\x58\x00\x00\x07\x00", zeros(8), eth(0x0800, ip4(6, kms))))), Verdict: port},
		{Name: "Geneve with IPv4 alone, web", Data: eth(0x0800, ip4(17, udp(50000, 6081, "\x00\x00\x08\x00\x00\x00\x07\x00", ip4(6, web)))), Verdict: bulk},
		{Name: "VXLAN-GPE", Data: eth(0x0800, ip4(17, udp(50000, 4790, "\x0c\x00\x00\x01\x00\x00\x07\x00", ip4(6, kms)))), Verdict: unfollowed},
		{Name: "GTP", Data: eth(0x0800, ip4(17, udp(2152, 2152, "\x30\xff", be16(len(ip4(6, kms))), zeros(4), ip4(6, kms)))), Verdict: unfollowed},
		{Name: "GTP, web", Data: eth(0x0800, ip4(17, udp(2152, 2152, "\x30\xff", be16(len(ip4(6, web))), zeros(4), ip4(6, web)))), Verdict: unfollowed, Surplus: true},
		{Name: "GRE in UDP", Data: eth(0x0800, ip4(17, udp(50000, 4754, gre(0, 0x0800, ""), ip4(6, kms)))), Verdict: unfollowed},
		{Name: "Teredo", Data: eth(0x0800, ip4(17, udp(3544, 50000, ip6(6, kms)))), Verdict: unfollowed},
		{Name: "IPv4 in IPv4", Data: eth(0x0800, ip4(4, ip4(6, kms))), Verdict: unfollowed},
		{Name: "IPv6 in IPv4, web", Data: eth(0x0800, ip4(41, ip6(6, web))), Verdict: unfollowed, Surplus: true},
		{Name: "a fragment in GRE", Data: eth(0x0800, ip4(47, gre(0, 0x0800, ""), ip4With(6, 0x2000, "", kms))), Verdict: bpf.Fragment},

		// The beginnings of streams.
		{Name: "bind", Data: eth(0x0800, ip4(6, tcp(49152, 50001, ack, bind))), Verdict: bpf.Begins},
		{Name: "bind of minor version 1", Data: eth(0x0800, ip4(6, tcp(49152, 50002, ack, "\x05\x01"+bind[2:]))), Verdict: bpf.Begins},
		{Name: "bind, big-endian", Data: eth(0x0800, ip4(6, tcp(49152, 50003, ack, "\x05\x00\x0b\x03\x00\x00\x00\x00\x00\x48\x00\x00"+bind[12:]))), Verdict: bpf.Begins},
		{Name: "a response", Data: eth(0x86dd, ip6(6, tcp(50004, 49152, ack, rpc(2, 24, 0)))), Verdict: bpf.Begins},
		{Name: "a bind with a token", Data: eth(0x0800, ip4(6, tcp(49152, 50005, ack, rpc(11, 120, 40)))), Verdict: bpf.Begins},
		{Name: "bind in VXLAN", Data: eth(0x0800, ip4(17, udp(50000, 4789, "\x08\x00\x00\x00\x00\x00\x07\x00", eth(0x0800, ip4(6, tcp(49152, 50006, ack, bind)))))), Verdict: bpf.Begins},
		{Name: "one byte of a header", Data: eth(0x0800, ip4(6, tcp(49152, 50007, ack, "\x05"))), Verdict: bpf.Begins},
		{Name: "four bytes of a header", Data: eth(0x0800, ip4(6, tcp(49152, 50008, ack, bind[:4]))), Verdict: bpf.Begins},
		{Name: "15 bytes of a header", Data: eth(0x0800, ip4(6, tcp(49152, 50009, ack, bind[:15]))), Verdict: bpf.Begins},
		{Name: "a header behind urgent data", Data: eth(0x0800, ip4(6, tcp(49152, 50010, ack|0x20, bind))), Verdict: bpf.Begins},
		{Name: "version 6", Data: eth(0x0800, ip4(6, tcp(49152, 50011, ack, "\x06"+bind[1:]))), Verdict: bulk},
		{Name: "minor version 2", Data: eth(0x0800, ip4(6, tcp(49152, 50012, ack, "\x05\x02"+bind[2:]))), Verdict: bulk},
		{Name: "SOCKS", Data: eth(0x0800, ip4(6, tcp(49152, 1080, ack, "\x05\x02\x00\x02"))), Verdict: bulk},
		{Name: "a connectionless type", Data: eth(0x0800, ip4(6, tcp(49152, 50013, ack, rpc(1, 72, 0)))), Verdict: bulk},
		{Name: "type 21", Data: eth(0x0800, ip4(6, tcp(49152, 50014, ack, rpc(21, 72, 0)))), Verdict: bulk},
		{Name: "reserved bits", Data: eth(0x0800, ip4(6, tcp(49152, 50015, ack, bind[:4]+"\x12"+bind[5:]))), Verdict: bulk},
		{Name: "floating point 4", Data: eth(0x0800, ip4(6, tcp(49152, 50016, ack, bind[:5]+"\x04"+bind[6:]))), Verdict: bulk},
		{Name: "a fragment length of 15", Data: eth(0x0800, ip4(6, tcp(49152, 50017, ack, rpc(11, 15, 0)))), Verdict: bulk},
		{Name: "a fragment length too short for its type", Data: eth(0x0800, ip4(6, tcp(49152, 50018, ack, rpc(11, 27, 0)))), Verdict: bpf.Begins, Surplus: true},
		{Name: "a fragment length of 15 behind long headers", Data: eth(0x86dd, ip6(60, "\x06\x00", zeros(6), tcpWith(49152, 50017, ack, strings.Repeat("\x01", 12), rpc(11, 15, 0)))), Verdict: bulk},
		{Name: "bind behind long headers", Data: eth(0x86dd, ip6(60, "\x06\x03", zeros(30), tcpWith(49152, 50048, ack, strings.Repeat("\x01", 40), bind))), Verdict: bpf.Begins},
		{Name: "a token longer than its fragment", Data: eth(0x0800, ip4(6, tcp(49152, 50019, ack, rpc(11, 72, 80)))), Verdict: bulk},
		{Name: "SMB2", Data: eth(0x0800, ip4(6, tcp(49152, 50020, ack, smb2))), Verdict: bpf.Begins},
		{Name: "SMB1", Data: eth(0x0800, ip4(6, tcp(49152, 50021, ack, "\x00\x00\x00\x40\xffSMB\x72\x00"+zeros(60)))), Verdict: bpf.Begins},
		{Name: "encrypted SMB3", Data: eth(0x0800, ip4(6, tcp(49152, 50022, ack, "\x00\x00\x00\x80\xfdSMB"+zeros(100)))), Verdict: bpf.Begins},
		{Name: "compressed SMB3", Data: eth(0x0800, ip4(6, tcp(49152, 50023, ack, "\x00\x00\x00\x80\xfcSMB"+zeros(100)))), Verdict: bpf.Begins},
		{Name: "SMB2 of no length", Data: eth(0x0800, ip4(6, tcp(49152, 50024, ack, "\x00\x00\x00\x00"+smb2[4:]))), Verdict: bpf.Begins, Surplus: true},
		{Name: "a session request", Data: eth(0x0800, ip4(6, tcp(49152, 50025, ack, "\x81\x00\x00\x44\x20"+strings.Repeat("CK", 16)+"\x00"))), Verdict: bpf.Begins},
		{Name: "a keep-alive", Data: eth(0x0800, ip4(6, tcp(49152, 50026, ack, "\x85\x00\x00\x00"))), Verdict: bpf.Begins},
		{Name: "a positive response, and more of another kind", Data: eth(0x0800, ip4(6, tcp(49152, 50027, ack, "\x82\x00\x00\x00\x70"))), Verdict: bpf.Begins, Surplus: true},
		{Name: "zeros", Data: eth(0x0800, ip4(6, tcp(49152, 50028, ack, zeros(40)))), Verdict: bulk},
		{Name: "four zeros", Data: eth(0x0800, ip4(6, tcp(49152, 50029, ack, zeros(4)))), Verdict: bpf.Begins},
		{Name: "RPC over HTTP", Data: eth(0x0800, ip4(6, tcp(49153, 80, ack, "RPC_IN_DATA /rpc/rpcproxy.dll"))), Verdict: bpf.Begins},
		{Name: "the banner of RPC over HTTP", Data: eth(0x0800, ip4(6, tcp(50031, 49152, ack, "ncacn_http/1.0"))), Verdict: bpf.Begins},
		{Name: "another method", Data: eth(0x0800, ip4(6, tcp(49154, 80, ack, "RPC_OTHER"))), Verdict: bpf.Begins, Surplus: true},
		{Name: "text with an R", Data: eth(0x0800, ip4(6, tcp(49155, 80, ack, "ROBOTS"))), Verdict: bulk},
		{Name: "SYN", Data: eth(0x0800, ip4(6, tcp(49152, 50032, syn, ""))), Verdict: bpf.Handshake},
		{Name: "SYN-ACK without its SYN", Data: eth(0x86dd, ip6(6, tcp(50032, 49152, syn|ack, ""))), Verdict: bpf.Handshake, Surplus: true},
		{Name: "ACK alone", Data: eth(0x0800, ip4(6, tcp(49152, 50033, ack, ""))), Verdict: bulk},
		{Name: "padding behind an ACK", Data: append(eth(0x0800, ip4(6, tcp(49152, 50034, ack, ""))), bind[:6]...), Verdict: bulk},
		{Name: "FIN", Data: eth(0x0800, ip4(6, tcp(49152, 50035, 1|ack, ""))), Verdict: bulk},

		// Datagrams.
		{Name: "connectionless DCE/RPC", Data: eth(0x0800, ip4(17, udp(49152, 50040, datagram))), Verdict: bpf.Datagram},
		{Name: "the same over IPv6", Data: eth(0x86dd, ip6(17, udp(49152, 50040, datagram))), Verdict: bpf.Datagram},
		{Name: "a datagram longer than it says", Data: eth(0x0800, ip4(17, udp(49152, 50041, datagram+"x"))), Verdict: bulk},
		{Name: "a datagram shorter than it says", Data: eth(0x0800, ip4(17, udp(49152, 50042, datagram[:85]))), Verdict: bpf.Datagram},
		{Name: "a datagram of 79 bytes", Data: eth(0x0800, ip4(17, udp(49152, 50043, datagram[:79]))), Verdict: bulk},
		{Name: "a datagram of version 5", Data: eth(0x0800, ip4(17, udp(49152, 50044, "\x05"+datagram[1:]))), Verdict: bulk},
		{Name: "a datagram of type 11", Data: eth(0x0800, ip4(17, udp(49152, 50045, ncadg(11, 0)))), Verdict: bulk},
		{Name: "an empty datagram", Data: eth(0x0800, ip4(17, udp(49152, 50046))), Verdict: bulk},

		// What cannot be.
		{Name: "IPv4 that says it is IPv5", Data: eth(0x0800, "\x55"+ip4(6, web)[1:]), Verdict: bpf.Malformed},
		{Name: "an IPv4 header of 16 bytes", Data: eth(0x0800, "\x44"+ip4(6, web)[1:]), Verdict: bpf.Malformed},
		{Name: "an IPv4 length below its header's", Data: eth(0x0800, ip4(6, web)[:2]+"\x00\x13"+ip4(6, web)[4:]), Verdict: bpf.Malformed},
		{Name: "a TCP header of 16 bytes", Data: eth(0x0800, ip4(6, web[:12]+"\x40"+web[13:])), Verdict: bpf.Malformed},
		{Name: "a TCP header beyond its packet", Data: eth(0x0800, ip4(6, web[:12]+"\xf0"+web[13:])), Verdict: bpf.Malformed},
		{Name: "a UDP length of 7", Data: eth(0x0800, ip4(17, udp(1, 2, "x")[:4]+"\x00\x07\x00\x00x")), Verdict: bpf.Malformed},
		{Name: "a UDP length beyond its packet", Data: eth(0x0800, ip4(17, udp(1, 2, "x")[:4]+"\x00\x20\x00\x00x")), Verdict: bpf.Malformed},
		{Name: "an extension header beyond its packet", Data: eth(0x86dd, ip6(60, "\x59\x40", zeros(30))), Verdict: bpf.Malformed},
		{Name: "GRE beyond its packet", Data: eth(0x0800, ip4(47, "")+gre(0, 0x0800, "")+ip4(6, kms)), Verdict: bpf.Malformed},
		{Name: "segmentation offload without an IP length", Data: eth(0x0800, ip4(6, kms)[:2]+"\x00\x00"+ip4(6, kms)[4:]), Verdict: port},
		{Name: "the same, web", Data: eth(0x0800, ip4(6, web)[:2]+"\x00\x00"+ip4(6, web)[4:]), Verdict: bulk},
		{Name: "an IP length beyond the frame", Data: eth(0x0800, ip4(6, web)[:2]+"\x05\xdc"+ip4(6, web)[4:]), Verdict: bulk},
	}
	return slices.Clip(frames)
}

const (
	syn = 0x02
	ack = 0x10
)

// A query of DNS for the KMS hosts of a domain, and one for an address.
var (
	srvQuery = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07_vlmcs\x04_tcp\x04corp\x07example\x00\x00\x21\x00\x01"
	aQuery   = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01"
)

func zeros(n int) string { return strings.Repeat("\x00", n) }

func be16(v int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(v))) }

// eth is an Ethernet frame.
func eth(etherType int, inner ...any) []byte {
	return []byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01" + be16(etherType) + join(inner))
}

// ip4 is IPv4 from 10.0.0.1 to 10.0.0.2.
func ip4(proto byte, inner ...any) string { return ip4With(proto, 0, "", inner...) }

// ip4With is ip4 with flags and fragment offset, and options.
func ip4With(proto byte, place int, options string, inner ...any) string {
	payload := join(inner)
	n := 20 + len(options)
	return string([]byte{byte(0x40 + n/4), 0}) + be16(n+len(payload)) + "\x00\x01" + be16(place) +
		string([]byte{64, proto}) + "\x00\x00" + "\x0a\x00\x00\x01\x0a\x00\x00\x02" + options + payload
}

// ip6 is IPv6 from 2001:db8::1 to 2001:db8::2.
func ip6(next byte, inner ...any) string { return ip6Length(next, len(join(inner)), inner...) }

func ip6Length(next byte, length int, inner ...any) string {
	addresses, err := hex.DecodeString("20010db8000000000000000000000001" + "20010db8000000000000000000000002")
	if err != nil {
		panic(err)
	}
	return "\x60\x00\x00\x00" + be16(length) + string([]byte{next, 64}) + string(addresses) + join(inner)
}

func tcp(src, dst int, flags byte, payload string) string {
	return tcpWith(src, dst, flags, "", payload)
}

func tcpWith(src, dst int, flags byte, options, payload string) string {
	return segment(src, dst, 0x01020304, 0x05060708, flags, options, payload)
}

// segment is a segment of TCP without a checksum.
func segment(src, dst int, seq, ackNumber uint32, flags byte, options, payload string) string {
	b := []byte(be16(src) + be16(dst))
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, ackNumber)
	b = append(b, byte((20+len(options))/4<<4), flags, 0x20, 0, 0, 0, 0, 0)
	return string(b) + options + payload
}

// TCP is an Ethernet frame with a segment in IPv4 from 10.0.0.1 to 10.0.0.2, or
// back.
func TCP(back bool, src, dst int, seq, ackNumber uint32, flags byte, payload string) []byte {
	b := eth(0x0800, ip4(6, segment(src, dst, seq, ackNumber, flags, "", payload)))
	if back {
		copy(b[14+12:], "\x0a\x00\x00\x02\x0a\x00\x00\x01")
	}
	return b
}

// UDP is an Ethernet frame with a datagram in IPv4 from 10.0.0.1 to 10.0.0.2.
func UDP(src, dst int, payload string) []byte { return eth(0x0800, ip4(17, udp(src, dst, payload))) }

// Bind is a bind PDU of DCE/RPC, little-endian.
func Bind() string { return rpc(11, 72, 0) }

func udp(src, dst int, inner ...any) string {
	payload := join(inner)
	return be16(src) + be16(dst) + be16(8+len(payload)) + "\x00\x00" + payload
}

func gre(flags, carried int, optional string) string { return be16(flags) + be16(carried) + optional }

// join puts strings and byte slices together.
func join(parts []any) string {
	var b strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b.WriteString(p)
		case []byte:
			b.Write(p)
		}
	}
	return b.String()
}

// rpc is a little-endian PDU of DCE/RPC with a body of zeros up to 72 bytes.
func rpc(pduType byte, length, auth uint16) string {
	b := []byte{5, 0, pduType, 3, 0x10, 0, 0, 0}
	b = binary.LittleEndian.AppendUint16(b, length)
	b = binary.LittleEndian.AppendUint16(b, auth)
	return string(b) + "\x01\x00\x00\x00" + zeros(56)
}

// ncadg is the header of a connectionless PDU whose body has a length.
func ncadg(pduType byte, length uint16) string {
	b := make([]byte, 80)
	b[0], b[1], b[2], b[4] = 4, pduType, 0x20, 0x10
	binary.LittleEndian.PutUint16(b[74:], length)
	return string(b)
}
