package packet

import (
	"encoding/binary"

	"kmswatch/capture"
)

// IP protocol numbers of Packet.Proto that have a Verdict of their own.
const (
	ProtoTCP uint8 = 6
	ProtoUDP uint8 = 17
)

// TCP flags, RFC 9293 3.1.
const (
	FIN uint8 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// Packet is what Decode found in a frame. It is reused: Decode resets what it
// needs, and says of each field when it is valid.
type Packet struct {
	// Addresses of the innermost IP header decoded; an IPv4 address as
	// IPv4-mapped IPv6, ::ffff:a.b.c.d. Zero if there was none.
	Src, Dst [16]byte

	// Ports. Zero if no TCP or UDP header was decoded.
	SrcPort, DstPort uint16

	VLANs       [2]uint16 // VLAN ids, outer first, of the innermost Ethernet header that has any; 0 none
	Proto       uint8     // IP protocol of the innermost decoded header; 0 if there was none
	Flags       uint8     // TCP flags FIN to URG and the two above; valid iff TCP
	IPv6        bool      // the addresses are those of an IPv6 header
	Tunnel      Tunnel    // innermost encapsulation
	TunnelID    uint32    // GRE key, PPTP call id, ERSPAN session, VXLAN or Geneve VNI, GTP TEID; valid iff Tunnel is set
	Seq, Ack    uint32    // valid iff TCP
	Reassembled bool      // the payload came from IP fragments
	Replayed    bool      // made anew from what was noted of a frame before; Decode never sets it
	Expected    bool      // a SYN to an endpoint that was mapped; Decode never sets it
	Anomaly     Anomaly   // what was odd; 0 nothing

	// Missing is how many bytes of payload were on the wire behind Payload but
	// were not captured. Valid iff TCP or UDP.
	Missing int

	// Payload is that of TCP or UDP as captured, without Ethernet padding; nil
	// otherwise. It shares the frame's memory; if Reassembled, the decoder's,
	// until the next Decode.
	Payload []byte
}

// Tunnel is an encapsulation.
type Tunnel uint8

// Tunnels. The numbers are those of decode.Tunnel.
const (
	NoTunnel Tunnel = iota
	GRE
	ERSPAN
	VXLAN
	Geneve
	IPIP
	GTP
	Teredo
)

// Verdict is what a frame turned out to be.
type Verdict uint8

// Verdicts.
const (
	Nothing Verdict = iota // no TCP or UDP here, or not decodable
	TCP
	UDP
	Waiting // an IP fragment, kept until the rest arrives
	verdicts
)

// Config bounds a Decoder. Zero values mean the defaults.
type Config struct {
	MaxDatagrams    int   // datagrams waiting for fragments; 4096
	MaxBytes        int   // memory for them, bytes; 16 MiB. Passed by at most one datagram
	MaxDepth        int   // tunnels in one another; 4
	FragmentTimeout int64 // how long a datagram waits, nanoseconds of packet time; 30 seconds (RFC 791 3.2: 15, RFC 8200 4.5: 60)
}

func (c *Config) setDefaults() {
	if c.MaxDatagrams <= 0 {
		c.MaxDatagrams = 4096
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 16 << 20
	}
	if c.MaxDepth <= 0 {
		c.MaxDepth = 4
	}
	if c.FragmentTimeout <= 0 {
		c.FragmentTimeout = 30e9
	}
}

// Counters counts what a Decoder saw. All but the last two only grow.
type Counters struct {
	TCP, UDP  uint64 // frames by verdict
	Waiting   uint64
	Nothing   uint64
	Tunnelled uint64 // TCP and UDP out of tunnels

	Anomalies uint64 // frames with an anomaly
	Malformed uint64 // those of them that gave nothing
	Cut       uint64 // headers that the snap length cut
	Short     uint64 // IP lengths beyond the frame, not by the snap length
	TooDeep   uint64 // tunnels beyond MaxDepth
	Unknown   uint64 // frames of a link type that is not decoded

	Fragments   uint64 // seen
	Reassembled uint64 // datagrams put together
	Duplicates  uint64 // fragments that were there already
	Overlaps    uint64 // fragments that overlap others otherwise
	Refused     uint64 // fragments with lengths or offsets that cannot be
	Evicted     uint64 // datagrams that made room for others
	TimedOut    uint64 // datagrams whose time ran out

	KeptDatagrams uint64 // waiting now
	KeptBytes     uint64 // memory of theirs
}

// Decoder decodes frames. It is used by one goroutine; its fragment table is
// its only memory from one frame to the next.
type Decoder struct {
	depth    int  // tunnels entered
	joined   int  // datagrams put together for this frame
	bounded  bool // what carries the next IP header has a length of its own
	now      int64
	verdicts [verdicts]uint64
	n        Counters
	maxDepth int
	frags    fragments
}

// New makes a Decoder.
func New(cfg Config) *Decoder {
	cfg.setDefaults()
	d := &Decoder{maxDepth: cfg.MaxDepth}
	d.frags.init(&cfg)
	return d
}

// Counters gives the counters.
func (d *Decoder) Counters() Counters {
	n := d.n
	n.TCP, n.UDP, n.Waiting, n.Nothing = d.verdicts[TCP], d.verdicts[UDP], d.verdicts[Waiting], d.verdicts[Nothing]
	n.KeptDatagrams, n.KeptBytes = uint64(len(d.frags.index)), uint64(d.frags.bytes)
	return n
}

// Decode decodes one frame into p.
//
// Nearly every frame is Ethernet with at most two tags, IP without options, TCP
// or UDP, whole and well formed. Those are decided here without a call; walk
// gives the same for them, more slowly, and everything else. A test and a
// fuzzer hold the two together.
func (d *Decoder) Decode(f *capture.Frame, p *Packet) Verdict {
	b := f.Data
	if f.Link != capture.LinkEthernet || len(b) < 14+20+8+8 { // room for what follows up to two tags
		return d.walk(f, p)
	}
	t := binary.BigEndian.Uint16(b[12:])
	outer, inner := uint16(0), uint16(0)
	ip := b[14:]
	if t == typeVLAN || t == typeQinQ {
		outer, t = binary.BigEndian.Uint16(b[14:])&0xfff, binary.BigEndian.Uint16(b[16:])
		ip = b[18:]
		if outer != 0 && t == typeVLAN {
			inner, t = binary.BigEndian.Uint16(b[18:])&0xfff, binary.BigEndian.Uint16(b[20:])
			ip = b[22:]
		}
	}
	var proto uint8
	six := false
	if t == typeIPv4 && len(ip) >= 20 {
		n := int(binary.BigEndian.Uint16(ip[2:]))
		if ip[0] != 0x45 || n < 20 || n > len(ip) || binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
			return d.walk(f, p)
		}
		mapped(&p.Src, ip[12:16])
		mapped(&p.Dst, ip[16:20])
		proto, b = ip[9], ip[20:n]
	} else if t == typeIPv6 && len(ip) >= 40 {
		n := int(binary.BigEndian.Uint16(ip[4:])) + 40
		if ip[0]>>4 != 6 || n == 40 || n > len(ip) {
			return d.walk(f, p)
		}
		p.Src = [16]byte(ip[8:24])
		p.Dst = [16]byte(ip[24:40])
		proto, b, six = ip[6], ip[40:n], true
	} else {
		return d.walk(f, p)
	}
	var v Verdict
	if proto == ProtoTCP && len(b) >= 20 {
		h := int(b[12]>>4) * 4
		if h < 20 || h > len(b) {
			return d.walk(f, p)
		}
		p.Seq = binary.BigEndian.Uint32(b[4:])
		p.Ack = binary.BigEndian.Uint32(b[8:])
		p.Flags = b[13]
		p.Payload = b[h:len(b):len(b)]
		v = TCP
	} else if proto == ProtoUDP && len(b) >= 8 {
		h := int(binary.BigEndian.Uint16(b[4:]))
		if h < 8 || h > len(b) || isTunnelPort(binary.BigEndian.Uint16(b[2:])) || binary.BigEndian.Uint16(b) == portTeredo {
			return d.walk(f, p)
		}
		p.Payload = b[8:h:h]
		v = UDP
	} else {
		return d.walk(f, p)
	}
	p.SrcPort = binary.BigEndian.Uint16(b)
	p.DstPort = binary.BigEndian.Uint16(b[2:])
	p.VLANs = [2]uint16{outer, inner}
	p.Proto, p.IPv6, p.Tunnel, p.TunnelID = proto, six, NoTunnel, 0
	p.Reassembled, p.Anomaly, p.Missing = false, 0, 0
	d.verdicts[v&3]++
	return v
}

// walk decodes any frame.
//
// All functions of the walk share a form: b is what was captured from their
// header on, more how many bytes of it were on the wire behind b, and they give
// the verdict of the whole.
func (d *Decoder) walk(f *capture.Frame, p *Packet) Verdict {
	p.Src, p.Dst = [16]byte{}, [16]byte{}
	p.SrcPort, p.DstPort = 0, 0
	p.VLANs = [2]uint16{}
	p.Proto, p.IPv6, p.Tunnel, p.TunnelID = 0, false, NoTunnel, 0
	p.Reassembled, p.Anomaly = false, 0
	d.depth, d.joined, d.bounded, d.now = 0, 0, false, f.Time

	v := d.link(p, f.Link, f.Data, max(f.Length-len(f.Data), 0))
	d.verdicts[v&3]++
	if v == Nothing || v == Waiting {
		p.Payload, p.Missing = nil, 0
	}
	if p.Anomaly != 0 || p.Tunnel != NoTunnel {
		d.count(p, v)
	}
	return v
}

func (d *Decoder) count(p *Packet, v Verdict) {
	if p.Anomaly != 0 {
		d.n.Anomalies++
		if v == Nothing {
			d.n.Malformed++
		}
	}
	if p.Tunnel != NoTunnel && (v == TCP || v == UDP) {
		d.n.Tunnelled++
	}
}

// malformed ends the walk for what a header says.
func (d *Decoder) malformed(p *Packet, a Anomaly) Verdict {
	p.odd(a)
	return Nothing
}

// short ends the walk for want of bytes: the snap length's fault, or the frame's.
func (d *Decoder) short(p *Packet, more int) Verdict {
	if more > 0 {
		d.n.Cut++
		return Nothing
	}
	return d.malformed(p, ShortHeader)
}

// deeper goes into one more packet in a packet and reports whether that many
// are followed. Who goes in comes out by d.depth--.
func (d *Decoder) deeper(p *Packet) bool {
	if d.depth >= d.maxDepth {
		d.n.TooDeep++
		p.odd(TooDeep)
		return false
	}
	d.depth++
	return true
}

// transport decodes what an IP header carries.
func (d *Decoder) transport(p *Packet, proto uint8, b []byte, more int) Verdict {
	p.Proto = proto
	switch proto {
	case ProtoTCP:
		return d.tcp(p, b, more)
	case ProtoUDP:
		return d.udp(p, b, more)
	}
	return d.encapsulated(p, proto, b, more)
}

// tcp decodes a TCP header, RFC 9293 3.1. The fixed part is enough: options
// that the snap length cut are missed by nobody.
func (d *Decoder) tcp(p *Packet, b []byte, more int) Verdict {
	if len(b) < 20 {
		return d.short(p, more)
	}
	p.SrcPort = binary.BigEndian.Uint16(b)
	p.DstPort = binary.BigEndian.Uint16(b[2:])
	p.Seq = binary.BigEndian.Uint32(b[4:])
	p.Ack = binary.BigEndian.Uint32(b[8:])
	p.Flags = b[13]
	n := int(b[12]>>4) * 4
	if n < 20 || n > len(b)+more {
		return d.malformed(p, BadTCPOffset)
	}
	if n > len(b) {
		more -= n - len(b)
		n = len(b)
	}
	p.Payload = b[n:len(b):len(b)]
	p.Missing = more
	return TCP
}

// udp decodes a UDP header, RFC 768, and the tunnels on known ports.
func (d *Decoder) udp(p *Packet, b []byte, more int) Verdict {
	if len(b) < 8 {
		return d.short(p, more)
	}
	p.SrcPort = binary.BigEndian.Uint16(b)
	p.DstPort = binary.BigEndian.Uint16(b[2:])
	n := int(binary.BigEndian.Uint16(b[4:]))
	switch {
	case n == 0 && p.IPv6: // a jumbogram, RFC 2675 4
	case n < 8 || n > len(b)+more:
		return d.malformed(p, BadUDPLength)
	case n <= len(b):
		b, more = b[:n], 0
	default:
		more = n - len(b)
	}
	p.Payload = b[8:len(b):len(b)]
	p.Missing = more
	if isTunnelPort(p.DstPort) {
		return d.udpTunnel(p, p.DstPort, b[8:], more)
	}
	if p.SrcPort == portTeredo {
		return d.udpTunnel(p, portTeredo, b[8:], more)
	}
	return UDP
}
