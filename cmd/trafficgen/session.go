package main

import (
	"math/rand/v2"
	"net"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"kmswatch/decode/dcerpc"
)

// step is one frame of a conversation: a payload, or a bare TCP segment.
type step struct {
	server  bool // sent by the server
	flags   uint8
	payload []byte
}

const (
	fin = 1
	syn = 2
	psh = 8
	ack = 16
)

// session is a conversation with what is left of it.
type session struct {
	udp            bool
	client, server net.IP
	cport, sport   uint16
	seq            [2]uint32 // next of client, of server
	steps          []step
}

type generator struct {
	rand  *rand.Rand
	buf   gopacket.SerializeBuffer
	mix   bool
	noise []byte

	clients, servers int
}

// host gives the nth address of a 10.x network.
func host(x byte, n int) net.IP { return net.IPv4(10, x, byte(n/250), byte(1+n%250)).To4() }

// begin starts a conversation. The weights make the sizes and proportions that
// the package comment promises.
func (g *generator) begin() *session {
	s := &session{
		client: host(1, g.rand.IntN(g.clients)),
		server: host(0, g.rand.IntN(g.servers)),
		cport:  uint16(49152 + g.rand.IntN(16000)),
		seq:    [2]uint32{g.rand.Uint32(), g.rand.Uint32()},
	}
	if g.rand.IntN(20) == 0 {
		s.client = net.IPv4(192, 0, 2, byte(1+g.rand.IntN(min(g.clients, 250)))).To4()
	}
	if g.mix && g.rand.IntN(100) < 47 {
		g.bulk(s)
		return s
	}
	switch n := g.rand.IntN(100); {
	case n < 45:
		g.lookup(s)
	case n < 60:
		g.activate(s)
	case n < 66:
		g.locate(s)
	case n < 83:
		g.call(s)
	default:
		g.pipeCalls(s)
	}
	return s
}

func (g *generator) tcp(s *session, port uint16, payloads []step) {
	s.sport = port
	s.steps = append(s.steps, step{false, syn, nil}, step{true, syn | ack, nil}, step{false, ack, nil})
	for _, p := range payloads {
		for rest := p.payload; ; {
			n := min(len(rest), 1460)
			s.steps = append(s.steps, step{p.server, psh | ack, rest[:n]})
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
		}
	}
	s.steps = append(s.steps, step{false, fin | ack, nil}, step{true, fin | ack, nil}, step{false, ack, nil})
}

// bulk is a download over TLS, or a QUIC connection.
func (g *generator) bulk(s *session) {
	s.server = net.IPv4(198, 51, 100, byte(1+g.rand.IntN(250))).To4()
	n := 40 + g.rand.IntN(160)
	if g.rand.IntN(5) == 0 {
		s.udp, s.sport = true, 443
		for i := range n {
			s.steps = append(s.steps, step{i%4 != 0, 0, g.bytes(1200)})
		}
		return
	}
	hello := append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, g.bytes(506)...)
	payloads := []step{{false, 0, hello}, {true, 0, g.bytes(2800)}}
	for i := range n {
		if i%3 == 2 {
			payloads = append(payloads, step{false, 0, nil})
			continue
		}
		payloads = append(payloads, step{true, 0, g.bytes(1220 + g.rand.IntN(150))})
	}
	g.tcp(s, 443, payloads)
}

// lookup is an SRV query with its answer.
func (g *generator) lookup(s *session) {
	s.udp, s.sport = true, 53
	id := uint16(g.rand.Uint32())
	name := "_vlmcs._tcp.corp.example"
	port := uint16(1688)
	if g.rand.IntN(2) == 0 {
		name, port = "_ldap._tcp.dc._msdcs.corp.example", 389
	}
	s.steps = []step{
		{false, 0, srvQuery(id, name)},
		{true, 0, srvAnswer(id, name, port, g.rand.IntN(5)+1)},
	}
}

// activate is a KMS activation.
func (g *generator) activate(s *session) {
	s.server = host(2, g.rand.IntN(4)) // KMS apart from the domain controllers
	version := []uint16{4, 5, 6, 6}[g.rand.IntN(4)]
	g.tcp(s, 1688, []step{
		{false, 0, bind(2, kmsInterface)},
		{true, 0, bindAck(2, "1688")},
		{false, 0, request(2, 1, 0, kmsRequest(g, version))},
		{true, 0, response(2, 1, kmsResponse(g, version))},
	})
}

// call is an association that authenticates, with some sealed calls on it.
func (g *generator) call(s *session) {
	i := interfaces[g.rand.IntN(len(interfaces))]
	payloads := []step{
		{false, 0, verified(bind(1, i.syntax), ntlmNegotiate())},
		{true, 0, verified(bindAck(1, "49664"), ntlmChallenge(g))},
		{false, 0, verified(pdu(uint8(dcerpc.TypeAuth3), 1, []byte("    ")), ntlmAuthenticate(g))},
	}
	for id := range uint32(3 + g.rand.IntN(30)) {
		opnum := uint16(g.rand.IntN(i.operations))
		payloads = append(payloads,
			step{false, 0, verified(request(id+2, 1, opnum, g.bytes(60+g.rand.IntN(400))), g.bytes(16))},
			step{true, 0, verified(response(id+2, 1, g.bytes(100+g.rand.IntN(980))), g.bytes(16))})
		if g.rand.IntN(2) == 0 {
			payloads = append(payloads, step{false, 0, nil})
		}
	}
	g.tcp(s, g.dynamic(), payloads)
}

// dynamic gives a port that Windows gives its services.
func (g *generator) dynamic() uint16 { return uint16(49664 + g.rand.IntN(40)) }

// locate asks the endpoint mapper for the port of an interface.
func (g *generator) locate(s *session) {
	i := interfaces[g.rand.IntN(len(interfaces))]
	g.tcp(s, 135, []step{
		{false, 0, bind(1, dcerpc.Syntax{UUID: dcerpc.EPMapper, Major: 3})},
		{true, 0, bindAck(1, "135")},
		{false, 0, request(2, 1, 3, mapRequest(i.syntax))},
		{true, 0, response(2, 1, mapResponse(i.syntax, g.dynamic()))},
	})
}

// bytes gives n bytes that look like nothing. They are shared and not to be
// written to.
func (g *generator) bytes(n int) []byte {
	at := g.rand.IntN(len(g.noise) - n)
	return g.noise[at : at+n : at+n]
}

// frame builds the next frame of a conversation. It is valid until the next call.
func (g *generator) frame(s *session) ([]byte, error) {
	st := s.steps[0]
	s.steps = s.steps[1:]
	src, dst, sport, dport := s.client, s.server, s.cport, s.sport
	me, peer := 0, 1
	if st.server {
		src, dst, sport, dport = dst, src, dport, sport
		me, peer = 1, 0
	}
	eth := layers.Ethernet{
		SrcMAC:       net.HardwareAddr{2, 0, src[0], src[1], src[2], src[3]},
		DstMAC:       net.HardwareAddr{2, 0, dst[0], dst[1], dst[2], dst[3]},
		EthernetType: layers.EthernetTypeIPv4,
	}
	ip := layers.IPv4{Version: 4, IHL: 5, TTL: 63, SrcIP: src, DstIP: dst, Flags: layers.IPv4DontFragment}
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	payload := gopacket.Payload(st.payload)
	if s.udp {
		ip.Protocol = layers.IPProtocolUDP
		l4 := layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
		if err := l4.SetNetworkLayerForChecksum(&ip); err != nil {
			return nil, err
		}
		err := gopacket.SerializeLayers(g.buf, opts, &eth, &ip, &l4, payload)
		return g.buf.Bytes(), err
	}
	ip.Protocol = layers.IPProtocolTCP
	l4 := layers.TCP{
		SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Window: 64240, Seq: s.seq[me],
		SYN: st.flags&syn != 0, FIN: st.flags&fin != 0, ACK: st.flags&ack != 0, PSH: st.flags&psh != 0,
	}
	if l4.ACK {
		l4.Ack = s.seq[peer]
	}
	if err := l4.SetNetworkLayerForChecksum(&ip); err != nil {
		return nil, err
	}
	s.seq[me] += uint32(len(st.payload))
	if l4.SYN || l4.FIN {
		s.seq[me]++
	}
	err := gopacket.SerializeLayers(g.buf, opts, &eth, &ip, &l4, payload)
	return g.buf.Bytes(), err
}
