// Package packet finds the TCP segment or the UDP datagram in a captured
// frame: it walks the link, tunnel, network and transport headers and puts IP
// fragments together. It is given a frame and a Packet to fill, and gives a
// Verdict; what follows the transport header is left to others.
//
// The walk is by hand, checks each length once and allocates nothing; only
// fragments are copied, into a table with bounds. Everything that recurses is
// bounded: tunnels by Config.MaxDepth, tags, labels and extension headers by
// constants.
//
// What it takes: Ethernet II and 802.3 with SNAP, 802.1Q, 802.1ad and VN tags,
// PPPoE sessions, MPLS with IP or an Ethernet pseudowire, Linux cooked v1 and
// v2, BSD loopback, PPP, raw IP; IPv4, IPv6 with extension headers, AH; GRE,
// also in UDP and of WCCP, PPTP, ERSPAN I, II and III, VXLAN and its GPE,
// Geneve, IP in IP, GTP-U, Teredo.
//
// # Whom to believe
//
// A sensor that reads a packet otherwise than its receiver can be blinded or
// fed (Ptacek and Newsham, "Insertion, Evasion, and Denial of Service", 1998).
// Where receivers agree, the walk does as they do; where they differ it keeps
// the first data and says so with an Anomaly whose Evasive is true.
//
// Checksums are not verified: a sensor on the sending host sees packets before
// the network card fills them in (checksum offload), and receive offload hands
// up packets that were never on the wire as such. A packet with a wrong
// checksum that carries other data than the right one shows as an overlap in
// the stream. Reserved fields are not judged, as their specifications ask.
//
// A frame shorter than its IP length, and not cut by the snap length, is used
// as far as it goes: switches truncate what they mirror without saying so. The
// host that receives such a packet drops it, so it may be an insertion, and
// shows as an overlap likewise; Counters.Short counts them.
package packet
