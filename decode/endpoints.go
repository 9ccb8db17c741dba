package decode

import (
	"encoding/binary"
	"net/netip"

	"kmswatch/capture"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/epm"
	"kmswatch/decode/packet"
)

// endpoints are the TCP endpoints that endpoint mappers named, so that a flow to
// one is followed from its SYN. It is a hashed bitmap like flowSet: what it
// names wrongly costs a look into a shard. Each packet of an endpoint mapper is
// looked into as it passes, before its flow is put in order, since the next
// frame may be the SYN: what comes in pieces is found by its content.
type endpoints struct {
	set      flowSet
	pdu      dcerpc.PDU
	response epm.Response

	steer   capture.Steerer // nil: none
	watched portSet         // ports that steer was told of
	ports   int             // how many
}

// endpointAge is how long an endpoint is remembered. A service keeps its port
// until it is restarted, and clients ask anew for each association.
const endpointAge = 3600 * second

func endpointHash(addr *[16]byte, port uint16) uint64 {
	return mix(binary.LittleEndian.Uint64(addr[8:])^binary.LittleEndian.Uint64(addr[:8]), uint64(port))
}

func (s *endpoints) has(addr *[16]byte, port uint16) bool { return s.set.has(endpointHash(addr, port)) }

func (s *endpoints) age(now int64) { s.set.age(now, endpointAge) }

// learn notes the endpoints that a packet from an endpoint mapper names. Which
// transfer syntax was negotiated is not known here: the one that fits is it.
func (s *endpoints) learn(p *packet.Packet) {
	b := p.Payload
	if len(b) < dcerpc.HeaderSize || dcerpc.PType(b[2]) != dcerpc.TypeResponse || dcerpc.Probe(b) != dcerpc.Match {
		return
	}
	if s.pdu.Decode(b) != 0 || s.pdu.Auth.Present && s.pdu.Auth.Level == dcerpc.LevelPrivacy {
		return
	}
	for _, ndr64 := range [...]bool{false, true} {
		if !epm.Mapped(s.pdu.Stub, ndr64, s.pdu.BigEndian) || s.response.Decode(epm.Map, s.pdu.Stub, ndr64, s.pdu.BigEndian) != 0 {
			continue
		}
		for i := range s.response.Entries {
			t := &s.response.Entries[i].Tower
			if t.Port == 0 || t.Protocol != epm.TCP && t.Protocol != epm.HTTP {
				continue
			}
			s.watch(t.Port)
			addr := p.Src // a mapper speaks for its own host, also where it names no address
			s.set.add(endpointHash(&addr, t.Port))
			if named, ok := towerAddr(t); ok {
				addr = named.As16()
				s.set.add(endpointHash(&addr, t.Port))
			}
		}
		return
	}
}

// towerAddr gives the address of a tower, if it has one that is not void.
func towerAddr(t *epm.Tower) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(t.Addr[:t.AddrLen])
	return a.Unmap(), ok && !a.IsUnspecified()
}

// transports tells which transports the protocol sequences of towers are.
var transports = map[epm.Protocol]Transport{
	epm.TCP: TransportTCP, epm.NamedPipe: TransportPipe, epm.UDP: TransportUDP, epm.HTTP: TransportHTTP,
}

// endpoints tells of the towers of an answer to map or lookup.
func (s *shard) endpoints(c *dcerpc.Call) {
	if c.Opnum != epm.Map && c.Opnum != epm.Lookup {
		return
	}
	r := &s.mapped
	if a := r.Decode(c.Opnum, c.ReplyStub, c.NDR64, c.ReplyBig); a != 0 {
		s.tell(ProtoEPM, a.String(), false, 0, s.cur.client^1)
	}
	for i := range r.Entries {
		if !r.Entries[i].HasTower {
			continue
		}
		t := &r.Entries[i].Tower
		e := &s.endpoint
		e.Interface, e.Port, e.Pipe = t.Interface, t.Port, ""
		if e.Transport, e.Known = transports[t.Protocol]; t.Protocol == epm.NamedPipe {
			e.Pipe = t.Pipe // that of ncalrpc is a name within the host
		}
		e.Addr, _ = towerAddr(t)
		s.emit(e, s.cur.client^1)
	}
}
