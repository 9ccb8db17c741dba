package decode

import (
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"
	"kmswatch/decode/kerberos"
	"kmswatch/decode/ldap"
	"kmswatch/decode/ncadg"
	"kmswatch/decode/packet"
	"kmswatch/decode/stream"
)

// wantUDP is wantTCP for datagrams, of which each tells by itself what it is. A
// client chooses its port, and so may take that of another protocol's server.
func wantUDP(p *packet.Packet) bool {
	b := p.Payload
	if len(b) == 0 {
		return false
	}
	on := func(port uint16) bool { return p.SrcPort == port || p.DstPort == port }
	return on(portDNS) && dns.Wanted(b) ||
		on(portKerberos) && kerberos.Plausible(b) ||
		on(portLDAP) && ldap.Probe(b) != ldap.No ||
		ncadg.Probe(b) != dcerpc.No
}

// conversation gives the ports that name the flow of a datagram. A server of
// connectionless DCE/RPC may answer from another port than was asked (C706
// 10.2.2): the client's port names the conversation, and the server's is 0.
func conversation(p *packet.Packet) (src, dst uint16) {
	if p.SrcPort == portDNS || p.DstPort == portDNS || ncadg.Probe(p.Payload) == dcerpc.No {
		return p.SrcPort, p.DstPort
	}
	switch fromClient, known := ncadg.FromClient(p.Payload); {
	case !known:
		return p.SrcPort, p.DstPort
	case fromClient:
		return p.SrcPort, 0
	}
	return 0, p.DstPort
}

// datagram takes the payload of one UDP datagram.
func (s *shard) datagram(f *flow, dir stream.Dir, b []byte) {
	switch {
	case (f.Server.Port == portDNS || f.Client.Port == portDNS) && dns.Wanted(b):
		s.dns(f, dir, b)
	case kerberos.Plausible(b):
		s.kerberosMessage(f, dir, b)
	case onLDAPPort(&f.key) && ldap.Probe(b) != ldap.No:
		s.ldapDatagram(f, dir, b)
	case ncadg.Probe(b) != dcerpc.No:
		s.rpcDatagram(f, dir, b)
	}
}

// rpcDatagram takes a datagram of connectionless DCE/RPC.
func (s *shard) rpcDatagram(f *flow, dir stream.Dir, b []byte) {
	if f.conv == nil {
		f.conv = s.newConv()
		f.assoc = s.associationOf(f, TransportUDP)
	}
	s.assoc = f.assoc
	pdus := f.conv.PDUs()
	if s.cut {
		f.conv.Cut(int(dir), b, s.point(), datagramHandler{s})
	} else {
		f.conv.Datagram(int(dir), b, s.point(), datagramHandler{s})
	}
	s.stats.PDUs += f.conv.PDUs() - pdus
	s.learn(f.conv.Client())
}

func (s *shard) newConv() *ncadg.Conv {
	if v := s.convs.take(); v != nil {
		return v
	}
	v := new(ncadg.Conv)
	v.Reset(&s.limits.rpc)
	return v
}

// freeConv takes a conversation back.
func (s *shard) freeConv(v *ncadg.Conv) {
	v.Reset(&s.limits.rpc)
	s.convs.put(v)
}

// datagramHandler is the shard as ncadg.Handler sees it.
type datagramHandler struct{ *shard }

// PDU meets ncadg.Handler.
func (h datagramHandler) PDU(side int, p *ncadg.PDU) {
	h.learn(h.cur.conv.Client())
	h.datagramPDU.Association = h.assoc.Association
	h.datagramPDU.PDU = p
	h.emit(&h.datagramPDU, stream.Dir(side))
}

// Request meets ncadg.Handler.
func (h datagramHandler) Request(c *dcerpc.Call) {
	h.learn(h.cur.conv.Client())
	h.shard.Request(c)
}

// Call meets ncadg.Handler. What a server asks the conversation manager of its
// client is part of the protocol, as acknowledgements are.
func (h datagramHandler) Call(c *dcerpc.Call) {
	h.learn(h.cur.conv.Client())
	if c.Interface.UUID == ncadg.ConvManager {
		return
	}
	h.shard.Call(c)
}

// Anomaly meets ncadg.Handler.
func (h datagramHandler) Anomaly(side int, a ncadg.Anomaly, offset int) {
	h.tell(ProtoDCERPC, a.String(), a.Evasive(), offset, stream.Dir(side))
}
