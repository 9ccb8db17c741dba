package packet

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
)

// CommunityID gives the Community ID, version 1, of a flow: the same for both
// directions. Ports are those of TCP, UDP and SCTP; for ICMP and ICMPv6 type
// and code; other protocols have none. An IPv4-mapped address counts as IPv4.
// See github.com/corelight/community-id-spec.
func CommunityID(seed uint16, src, dst netip.Addr, sport, dport uint16, proto uint8) string {
	return string(AppendCommunityID(nil, seed, src, dst, sport, dport, proto))
}

// AppendCommunityID appends the Community ID to b; it allocates only if b has
// no room for 30 bytes.
func AppendCommunityID(b []byte, seed uint16, src, dst netip.Addr, sport, dport uint16, proto uint8) []byte {
	const icmp, icmp6, sctp = 1, 58, 132
	src, dst = src.Unmap(), dst.Unmap()
	ports, oneWay := true, false
	switch proto {
	case ProtoTCP, ProtoUDP, sctp:
	case icmp:
		dport, oneWay = counterpart(icmpPairs[:], sport, dport)
	case icmp6:
		dport, oneWay = counterpart(icmp6Pairs[:], sport, dport)
	default:
		ports = false
	}

	// The lesser endpoint comes first: by address, and by port where the
	// addresses are the same. A one-way message has its sender first.
	less := src.Compare(dst)
	if less == 0 && ports && sport > dport {
		less = 1
	}
	if less > 0 && !oneWay {
		src, dst, sport, dport = dst, src, dport, sport
	}

	// Seed, addresses, protocol, a zero, ports; big-endian.
	var in [2 + 16 + 16 + 2 + 4]byte
	h := binary.BigEndian.AppendUint16(in[:0], seed)
	h = appendAddr(h, src)
	h = appendAddr(h, dst)
	h = append(h, proto, 0)
	if ports {
		h = binary.BigEndian.AppendUint16(h, sport)
		h = binary.BigEndian.AppendUint16(h, dport)
	}
	sum := sha1.Sum(h)
	return base64.StdEncoding.AppendEncode(append(b, "1:"...), sum[:])
}

func appendAddr(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		four := a.As4()
		return append(b, four[:]...)
	}
	sixteen := a.As16()
	return append(b, sixteen[:]...)
}

// counterpart gives what stands for the other port of an ICMP message: the
// type that answers its type, or else its code, and then it is one-way.
func counterpart(pairs [][2]uint8, typ, code uint16) (other uint16, oneWay bool) {
	for _, p := range pairs {
		switch typ {
		case uint16(p[0]):
			return uint16(p[1]), false
		case uint16(p[1]):
			return uint16(p[0]), false
		}
	}
	return code, true
}

// Types of which one asks and the other answers.
var (
	icmpPairs = [...][2]uint8{
		{8, 0},   // echo
		{13, 14}, // timestamp
		{15, 16}, // information
		{10, 9},  // router solicitation and advertisement
		{17, 18}, // address mask
	}
	icmp6Pairs = [...][2]uint8{
		{128, 129}, // echo
		{133, 134}, // router solicitation and advertisement
		{135, 136}, // neighbour solicitation and advertisement
		{130, 131}, // multicast listener query and report
		{139, 140}, // node information
		{144, 145}, // home agent address discovery
	}
)
