package decode

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"net/netip"

	"kmswatch/capture"
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"
	"kmswatch/decode/epm"
	"kmswatch/decode/kerberos"
	"kmswatch/decode/kms"
	"kmswatch/decode/ldap"
	"kmswatch/decode/ncadg"
	"kmswatch/decode/packet"
	"kmswatch/decode/rpch"
	"kmswatch/decode/smb"
	"kmswatch/decode/stream"
	"kmswatch/decode/stub"
)

// mix folds 128 bits into 64, each bit of the result depending on all.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return hi ^ lo
}

// flowHash is a symmetric hash of a packet's flow, for bitmaps and for tables
// that may err. Sums make both directions equal.
func flowHash(p *packet.Packet) uint64 {
	a := binary.LittleEndian.Uint64(p.Src[8:]) + binary.LittleEndian.Uint64(p.Dst[8:])
	b := uint64(p.SrcPort)*uint64(p.DstPort) + uint64(p.SrcPort) + uint64(p.DstPort)
	return mix(a, b)
}

// shardOf does not take the seed: which flows share a bound must not change
// from run to run.
func shardOf(k *stream.Key) int {
	a := binary.LittleEndian.Uint64(k.Lo[8:]) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(k.Hi[8:]), 29)
	b := uint64(k.LoPort)<<16 | uint64(k.HiPort)
	return int(mix(a, b) >> (64 - 6))
}

// timeWait is how long a closed flow is remembered, so that late repeats of its
// last segments begin no new flow.
const timeWait = 10 * second

// limits is what the shards share of the configuration.
type limits struct {
	flows            int
	stream           stream.Config
	rpc              dcerpc.Config
	smb              smb.Config
	ldap             ldap.Config
	weight           int // bytes of a shard's flows beyond what every flow holds
	idleTCP, idleUDP int64
	messages         bool
	steer            capture.Steerer // nil: none
	seed             maphash.Seed
}

func newLimits(c *Config) *limits {
	seed := maphash.MakeSeed()
	return &limits{
		flows: max(c.MaxFlows/shards, 16),
		stream: stream.Config{
			Seed:       seed,
			MaxPerFlow: c.MaxWaiting,
			MaxTotal:   max(c.MaxReassembly/shards, c.MaxWaiting*2),
		},
		weight: max(c.MaxState/shards, 64<<10),
		rpc: dcerpc.Config{
			Messages: c.Messages,
			MaxCalls: c.MaxCalls,
			Stubs:    wantedStub,
		},
		smb:      smb.Config{Messages: c.Messages},
		ldap:     ldap.Config{Messages: c.Messages},
		idleTCP:  c.IdleTCP,
		idleUDP:  c.IdleUDP,
		messages: c.Messages,
		steer:    c.Steer,
		seed:     seed,
	}
}

// wantedStub tells how many stub bytes of a call are decoded. A call of which
// the interface is not known may be KMS, see isKMS.
func wantedStub(iface dcerpc.UUID, opnum uint16) int {
	switch {
	case opnum == 0 && (iface == dcerpc.KMS || iface == dcerpc.UUID{}):
		return kms.MaxStub
	case iface == dcerpc.EPMapper:
		return epm.Wanted(opnum)
	}
	return stub.Wanted(iface, opnum)
}

// carries is what a flow was found to carry.
type carries uint8

const (
	undecided carries = iota
	carriesRPC
	carriesDNS
	carriesKerberos
	carriesSMB
	carriesLDAP
	carriesHTTP
	carriesForeign // not DCE/RPC, on a KMS port; told once
	nothing        // the flow is over
)

// flow is what a shard remembers of a flow.
type flow struct {
	Flow    // as events give it
	key     stream.Key
	unkeyed uint16     // port of the end whose port the key lacks, see conversation
	client  stream.Dir // direction in which the client sends
	sure    bool       // by handshake or by PDU, not by port
	carries carries
	bind    bool      // its first bytes are a bind
	stray   bool      // they are nothing that is decoded, on a KMS port, and too few to guess by
	opened  [2]uint32 // what acknowledges the SYN of each direction; 0 none, or 1 in 2^32
	known   bool      // events told of it
	closed  bool
	conn    stream.Conn
	assoc   *association // iff carriesRPC
	smb     *smbFlow     // iff carriesSMB
	http    *httpFlow    // iff carriesHTTP
	ldap    *directory   // iff carriesLDAP
	conv    *ncadg.Conv  // iff it carries connectionless DCE/RPC
	queries []query      // DNS questions, oldest first
	asked   []asked      // Kerberos requests, oldest first
	adrift  [2]bool      // DNS and Kerberos over TCP: the next byte need not begin a message
	weight  int          // bytes it holds beyond what every flow does, see weigh
	heavy   bool         // it ever had a weight
	frames  [2]uint64    // by direction
	bytes   [2]uint64
	told    uint64 // bytes of both directions when it last told something
	ignored bool   // the source was asked to let it go
}

// scratch is where events and messages are made: each is overwritten by the next
// of its kind. The shards that one goroutine runs share it, so that it stays in
// the cache.
type scratch struct {
	rpc           dcerpc.PDU
	pdu           PDU
	bind          Bind
	call          Call
	kmsMessage    KMSMessage
	exchange      KMSExchange
	dnsMessage    DNSMessage
	lookup        SRVLookup
	update        DNSUpdate
	foreign       Foreign
	anomaly       Anomaly
	flowEnd       FlowEnd
	loss          Loss
	auth          Auth
	endpoint      EndpointMapped
	session       Session
	tree          TreeConnect
	pipeOpen      PipeOpen
	opaque        Opaque
	smbMessage    SMBMessage
	rtsMessage    RTSMessage
	args          stub.Arguments
	tokens        auth.Tokens
	tokenMessage  Token
	ldapMessage   LDAPMessage
	ldapBind      LDAPBind
	ldapSearch    LDAPSearch
	ldapScratch   ldap.Message
	datagramPDU   DatagramPDU
	mapped        epm.Response
	ticket        kerberos.Message
	kerberosReply KerberosReply
	kerberosTold  KerberosMessage
	message       dns.Message
	request       kms.Request
	response      kms.Response
}

// shard decodes the flows whose keys hash to it. It is used by one goroutine at
// a time.
type shard struct {
	limits *limits
	ports  *ports
	out    Handler
	tcp    *stream.Table[flow]
	udp    *stream.Table[flow]
	stream *stream.Reassembler
	reset  queue[closed]
	ended  ended
	assocs spare[association]
	smbs   spare[smbFlow]
	ldaps  spare[directory]
	convs  spare[ncadg.Conv]
	heavy  queue[closed] // flows with a weight, by when they got it
	weight int           // of all flows

	// The frame under way.
	seq   uint64
	pos   Position
	time  int64
	cur   *flow
	assoc *association // whose PDUs are read
	dir   stream.Dir
	cut   bool           // the snap length cut its payload
	late  stream.Anomaly // of a flow that has ended, for the one that goes on

	*scratch

	stats Stats
	told  Stats // when it told of losses last
}

func newShard(l *limits, servers *ports, scratch *scratch) *shard {
	own := *l
	own.rpc.PDU = &scratch.rpc
	own.ldap.Scratch = &scratch.ldapScratch
	return &shard{
		limits:  &own,
		ports:   servers,
		scratch: scratch,
		tcp:     stream.NewTable[flow](l.flows),
		udp:     stream.NewTable[flow](l.flows),
		stream:  stream.NewReassembler(l.stream),
	}
}

func (s *shard) addTo(st *Stats) {
	st.add(&s.stats)
	st.Reassembly.Add(s.stream.Counters())
}

// at sets the frame that what follows belongs to.
func (s *shard) at(seq uint64, pos Position, time int64) {
	s.seq, s.pos, s.time = seq, pos, time
}

func (s *shard) point() dcerpc.Point {
	return dcerpc.Point{File: s.pos.File, Frame: s.pos.Frame, Time: s.time}
}

// packet takes one packet of interest.
func (s *shard) packet(p *packet.Packet, key *stream.Key, hash uint64, dir stream.Dir) {
	table := s.table(p.Proto)
	f := table.Get(key, hash)
	if f == nil {
		// A bare acknowledgement or a late FIN tells nothing that would make a
		// flow worth a place in the table, nor does what a flow that has ended
		// sends again.
		ended := p.Proto == tcp && s.ended.has(hash)
		if p.Proto == tcp && p.Flags&stream.SYN == 0 && (len(p.Payload) == 0 || ended) {
			return
		}
		// Nor does a flow that is here for a bit that it shares with another; but
		// the ports of one that ended may serve the next.
		if p.Proto == tcp && !p.Replayed && !p.Expected && !ended && !s.hinted(key) && (len(p.Payload) == 0 || !begins(p.Payload)) {
			return
		}
		if table.Len() >= table.Max() {
			s.evict(table)
		}
		f = table.Add(key, hash, s.time)
		s.begin(f, p, key, dir)
	} else {
		table.Touch(f, s.time)
	}
	s.cur = f
	f.frames[dir]++
	f.bytes[dir] += uint64(len(p.Payload))
	if p.Missing > 0 {
		f.Quality |= Cut
		s.stats.Cut++
	}
	s.cut, s.dir = p.Missing > 0 && len(p.Payload) > 0, dir
	if p.Proto == udp {
		s.datagram(f, dir, p.Payload)
		s.weigh(f)
		return
	}
	if p.Flags&stream.SYN != 0 && !f.sure {
		s.handshake(f, p, dir)
	}
	seg := stream.Segment{Seq: p.Seq, Ack: p.Ack, Flags: p.Flags, Payload: p.Payload, Missing: p.Missing, Time: s.time}
	result := s.stream.Segment(&f.conn, dir, &seg, s)
	if result == stream.Reused {
		f.frames[dir]-- // the frame is not that flow's
		f.bytes[dir] -= uint64(len(p.Payload))
		s.end(f, Closed)
		s.begin(f, p, key, dir)
		if p.Flags&stream.SYN != 0 {
			s.handshake(f, p, dir)
		}
		f.frames[dir]++
		f.bytes[dir] += uint64(len(p.Payload))
		if s.late != 0 {
			s.Anomaly(dir, s.late)
			s.late = 0
		}
		result = s.stream.Segment(&f.conn, dir, &seg, s)
	}
	if result == stream.Closed && !f.closed {
		reason := Closed
		if p.Flags&stream.RST != 0 {
			reason = Reset
		}
		s.end(f, reason)
		if reason == Reset {
			// A forged RST must not hide what follows: the record stays, and the
			// end that goes on sending begins a flow anew.
			if s.reset.len() >= s.limits.flows {
				s.forgetReset()
			}
			s.reset.push(closed{f, f.ID, s.time})
			return
		}
		s.remove(f)
		s.ended.add(hash, s.time)
		return
	}
	if s.limits.steer != nil {
		s.steer(f)
	}
	if len(p.Payload) > 0 && (f.assoc != nil || f.smb != nil || f.ldap != nil || len(f.queries)+len(f.asked) > 0) || f.weight != 0 {
		s.weigh(f)
	}
}

const (
	tcp = 6
	udp = 17
)

func (s *shard) table(proto uint8) *stream.Table[flow] {
	if proto == udp {
		return s.udp
	}
	return s.tcp
}

// begin makes a record new for a flow whose first packet is p.
func (s *shard) begin(f *flow, p *packet.Packet, key *stream.Key, dir stream.Dir) {
	s.stream.Reset(&f.conn)
	*f = flow{key: *key, queries: f.queries[:0], asked: f.asked[:0], conn: f.conn}
	f.ID, f.Start, f.Proto = s.seq, s.time, p.Proto
	f.VLANs, f.Tunnel, f.TunnelID = p.VLANs, Tunnel(p.Tunnel), p.TunnelID
	s.stats.Flows++
	if (key.LoPort == 0) != (key.HiPort == 0) {
		f.unkeyed = p.SrcPort
		if (key.LoPort == 0) != (dir == 0) {
			f.unkeyed = p.DstPort
		}
	}
	switch {
	case p.Proto == tcp && p.Flags&stream.SYN != 0 && s.serves(key.LoPort) == s.serves(key.HiPort):
		if p.Flags&stream.ACK != 0 {
			dir ^= 1
		}
		s.setClient(f, dir, false)
	default:
		s.setClient(f, s.guessClient(key), false)
	}
}

// handshake takes a SYN. One is cheap to forge, and so is a SYN and ACK; who
// opened the flow is sure once an answer acknowledges a SYN that was seen.
func (s *shard) handshake(f *flow, p *packet.Packet, dir stream.Dir) {
	if p.Flags&stream.ACK == 0 {
		f.opened[dir] = p.Seq + 1
		return
	}
	if a := f.opened[dir^1]; a != 0 && a == p.Ack {
		s.setClient(f, dir^1, true)
	}
}

// hinted tells whether a flow is on a port that is always of interest.
func (s *shard) hinted(k *stream.Key) bool { return s.serves(k.LoPort) || s.serves(k.HiPort) }

func (s *shard) serves(port uint16) bool { return s.ports.all.has(port) }

// onLDAPPort tells whether a flow is on a port of LDAP. Its messages are too
// plain to be told by their first bytes alone.
func onLDAPPort(k *stream.Key) bool {
	return k.LoPort == portLDAP || k.HiPort == portLDAP || k.LoPort == portGlobalCatalog || k.HiPort == portGlobalCatalog
}

// guessClient judges by the ports who asks whom: the end on a port that
// servers use, else the lower one, is the server.
func (s *shard) guessClient(k *stream.Key) stream.Dir {
	lo, hi := s.serves(k.LoPort), s.serves(k.HiPort)
	if lo != hi {
		if lo {
			return 1
		}
		return 0
	}
	if k.LoPort < k.HiPort {
		return 1
	}
	return 0
}

// setClient says that the client sends in direction dir.
func (s *shard) setClient(f *flow, dir stream.Dir, sure bool) {
	lo := Endpoint{netip.AddrFrom16(f.key.Lo).Unmap(), cmp.Or(f.key.LoPort, f.unkeyed)}
	hi := Endpoint{netip.AddrFrom16(f.key.Hi).Unmap(), cmp.Or(f.key.HiPort, f.unkeyed)}
	f.client, f.sure = dir, sure
	if dir == 0 {
		f.Client, f.Server = lo, hi
	} else {
		f.Client, f.Server = hi, lo
	}
}

// Data meets stream.Receiver.
func (s *shard) Data(dir stream.Dir, b []byte, boundary bool) int {
	f := s.cur
	if f.carries == undecided {
		if !s.decide(f, dir, b, boundary) {
			return 0
		}
	}
	switch f.carries {
	case carriesRPC:
		used := s.rpc(f, dir, b, boundary)
		if s.cut && dir == s.dir {
			s.cut = false // what comes after it in this call waited, and is whole
			if used < len(b) {
				s.assoc = f.assoc
				f.assoc.rpc.Cut(int(dir), b[used:], s.point(), rpcHandler{s})
			}
		}
		return used
	case carriesDNS:
		return s.dnsStream(f, dir, b, boundary)
	case carriesSMB:
		used := s.smb(f, dir, b, boundary)
		if s.cut && dir == s.dir {
			s.cut = false
			if used < len(b) {
				f.smb.conn.Cut(int(dir), b[used:], s.point(), smbHandler{s})
			}
		}
		return used
	case carriesHTTP:
		used := s.http(f, dir, b)
		if s.cut && dir == s.dir {
			s.cut = false
			if used < len(b) && f.http.conn.Streaming(int(dir)) {
				f.assoc.rpc.Cut(int(dir), b[used:], s.point(), rpcHandler{s})
			}
		}
		return used
	case carriesLDAP:
		used := s.ldap(f, dir, b, boundary)
		if s.cut && dir == s.dir {
			s.cut = false
			if used < len(b) {
				f.ldap.conn.Cut(int(dir), b[used:], s.point(), ldapHandler{s})
			}
		}
		return used
	case carriesKerberos:
		return s.kerberosStream(f, dir, b, boundary)
	}
	return len(b)
}

// decide finds what a flow carries from the first bytes of a segment. It
// returns false when more bytes are needed to tell.
func (s *shard) decide(f *flow, dir stream.Dir, b []byte, boundary bool) bool {
	whole := !f.conn.MidStream() && !f.conn.Missing() && !f.conn.Cut()
	isDNS := f.Server.Port == portDNS || f.Client.Port == portDNS && !f.sure
	if !boundary && !whole && !isDNS {
		return true
	}
	rpc, http, messages := dcerpc.Probe(b), rpch.Probe(b), smb.Probe(b)
	tickets, directories := kerberos.Probe(b), ldap.Probe(b)
	switch {
	case rpc == dcerpc.Match:
		f.carries = carriesRPC
		f.assoc = s.associationOf(f, TransportTCP)
		f.bind = dcerpc.PType(b[2]) == dcerpc.TypeBind
		if whole {
			f.assoc.rpc.FromStart()
		}
	case messages == smb.Match:
		f.carries = carriesSMB
		f.smb = s.newSMB()
	case http == dcerpc.Match:
		s.beginHTTP(f)
	case tickets == kerberos.Match:
		f.carries = carriesKerberos
	case rpc == dcerpc.More || http == dcerpc.More || messages == smb.More || tickets == kerberos.More:
		return false
	case onLDAPPort(&f.key) && directories == ldap.Match:
		f.carries = carriesLDAP
		f.ldap = s.newLDAP()
		if whole {
			f.ldap.conn.FromStart()
		}
	case onLDAPPort(&f.key) && directories == ldap.More:
		return false
	case isDNS:
		f.carries = carriesDNS
		f.adrift = [2]bool{!whole, !whole}
	case s.ports.kms.has(f.Server.Port) && whole:
		if f.stray = len(b) < enoughToGuess && guess(b) == "unknown"; f.stray {
			return false
		}
		f.carries = carriesForeign
	}
	if f.carries != carriesRPC && f.carries != undecided && whole && s.ports.kms.has(f.Server.Port) {
		s.tellForeign(b, dir) // what can be decoded is out of place there all the same
	}
	return true
}

// tellForeign tells of a flow that begins with b.
func (s *shard) tellForeign(b []byte, dir stream.Dir) {
	s.foreign.Guess = guess(b)
	s.emit(&s.foreign, dir)
}

// Gap meets stream.Receiver.
func (s *shard) Gap(dir stream.Dir, n int64) {
	s.cur.Quality |= BytesMissing
	switch s.cur.carries {
	case carriesRPC:
		s.assoc = s.cur.assoc
		s.assoc.rpc.Gap(int(dir), s.point(), rpcHandler{s})
	case carriesSMB:
		s.cur.smb.conn.Gap(int(dir), n, s.point(), smbHandler{s})
	case carriesHTTP:
		s.assoc = s.cur.assoc
		s.cur.http.conn.Gap(int(dir), n)
		s.assoc.rpc.Gap(int(dir), s.point(), rpcHandler{s})
	case carriesLDAP:
		s.cur.ldap.conn.Gap(int(dir), s.point(), ldapHandler{s})
	}
	s.cur.adrift[dir] = true
}

// emit tells of an event of the current flow.
func (s *shard) emit(e Event, dir stream.Dir) {
	f := s.cur
	f.known = true
	if s.limits.steer != nil {
		s.attend(f)
	}
	q := f.Quality
	if f.Proto == tcp {
		q = q&(Cut|BytesMissing) | quality(&f.conn)
		if f.bind {
			// An association begins with a bind. On ports that nobody told of,
			// the handshake is no frame of interest.
			q &^= MidStream
		}
	}
	if f.Proto == udp && (f.frames[0] == 0 || f.frames[1] == 0) {
		q |= OneSided
	} else if f.Proto == udp {
		q &^= OneSided
	}
	if q != f.Quality { // a byte just written holds up the copy below
		f.Quality = q
	}
	h := e.Head()
	h.Flow, h.At, h.Time, h.FromServer = f.Flow, s.pos, s.time, dir != f.client
	s.out.Handle(e)
}

func quality(c *stream.Conn) (q Quality) {
	set := func(on bool, bit Quality) {
		if on {
			q |= bit
		}
	}
	set(c.MidStream(), MidStream)
	set(c.Missing(), BytesMissing)
	set(c.OneSided(), OneSided)
	set(c.Duplicates(), Duplicates)
	set(c.Cut(), Cut)
	set(c.Overlap(), Overlap)
	return q
}

// tell tells of an anomaly of the current flow.
func (s *shard) tell(p Protocol, name string, evasive bool, offset int, dir stream.Dir) {
	s.stats.Anomalies++
	e := &s.anomaly
	e.Association = Association{}
	if p.overRPC() {
		e.Association = s.assoc.Association
	}
	e.Protocol, e.Name, e.Evasive, e.Offset = p, name, evasive, offset
	s.emit(e, dir)
}

// packetAnomaly tells of an anomaly of a packet that no flow owns yet.
func (s *shard) packetAnomaly(p *packet.Packet) {
	key, dir := stream.MakeKey(&p.Src, &p.Dst, p.SrcPort, p.DstPort, p.Proto)
	f := flow{key: key}
	f.ID, f.Start, f.Proto = s.seq, s.time, p.Proto
	f.VLANs, f.Tunnel, f.TunnelID = p.VLANs, Tunnel(p.Tunnel), p.TunnelID
	client := s.guessClient(&key)
	if p.SrcPort == 0 && p.DstPort == 0 {
		client = dir // a fragment has no ports to go by
	}
	if p.Src != ([16]byte{}) || p.Dst != ([16]byte{}) {
		s.setClient(&f, client, false)
	} else {
		client = dir // there was no IP header
	}
	s.stats.Anomalies++
	e := &s.anomaly
	e.Association = Association{}
	e.Protocol, e.Name, e.Evasive, e.Offset = ProtoPacket, p.Anomaly.String(), p.Anomaly.Evasive(), 0
	e.h = Head{Flow: f.Flow, At: s.pos, Time: s.time, FromServer: dir != client}
	s.out.Handle(e)
}

// end tells what waited on a flow and closes it. The record stays in the table.
func (s *shard) end(f *flow, why EndReason) {
	if f.closed {
		return
	}
	s.cur, s.cut = f, false
	if f.Proto == tcp {
		s.stream.Flush(&f.conn, s)
	}
	if f.stray && f.carries == undecided {
		s.tellForeign(nil, f.client) // they said no more than that
	}
	over := why == Closed || why == Reset || why == Idle
	if f.Proto == tcp && f.conn.OneSided() {
		over = false // who was never seen may have answered
	}
	if f.http != nil && (f.http.conn.Kind() == rpch.In || f.http.conn.Kind() == rpch.Out) {
		over = false // the other direction is another connection's
	}
	if f.conv != nil {
		s.assoc = f.assoc
		f.conv.End(s.point(), over, datagramHandler{s})
		s.freeConv(f.conv)
		f.conv = nil
	}
	if f.assoc != nil {
		s.assoc = f.assoc
		f.assoc.rpc.End(s.point(), over, rpcHandler{s})
		s.freeAssociation(f.assoc)
		f.assoc = nil
	}
	f.http = nil
	if f.smb != nil {
		f.smb.conn.End(s.point(), over, smbHandler{s})
		s.freeSMB(f.smb)
		f.smb = nil
	}
	if f.ldap != nil {
		f.ldap.conn.End(s.point(), over, ldapHandler{s})
		s.freeLDAP(f.ldap)
		f.ldap = nil
	}
	s.endQueries(f, over)
	s.endAsked(f, over)
	s.weight -= f.weight
	f.weight = 0
	f.carries, f.closed = nothing, true
	if f.known {
		e := &s.flowEnd
		e.Reason = why
		e.Frames = [2]uint64{f.frames[f.client], f.frames[f.client^1]}
		e.Bytes = [2]uint64{f.bytes[f.client], f.bytes[f.client^1]}
		s.emit(e, f.client)
	}
}

// evict makes room for a flow.
func (s *shard) evict(t *stream.Table[flow]) {
	f, _, ok := t.Oldest()
	if !ok {
		return
	}
	if !f.closed {
		s.stats.Evicted++
		s.end(f, Evicted)
	}
	s.remove(f)
}

func (s *shard) remove(f *flow) {
	s.stream.Reset(&f.conn)
	f.ID = 0
	s.table(f.Proto).Remove(f)
}

// expire ends the flows that have been silent too long.
func (s *shard) expire() {
	before := s.time - timeWait
	s.ended.forget(before)
	for c, ok := s.reset.first(); ok && c.time <= before; c, ok = s.reset.first() {
		s.forgetReset()
	}
	s.expireIdle(s.tcp, s.time-s.limits.idleTCP)
	s.expireIdle(s.udp, s.time-s.limits.idleUDP)
	s.tellLoss()
}

// tellLoss tells what the shard lost since it told last.
func (s *shard) tellLoss() {
	cut, evicted := s.stats.Cut-s.told.Cut, s.stats.Evicted-s.told.Evicted
	if cut == 0 && evicted == 0 {
		return
	}
	s.told = s.stats
	s.loss = Loss{head: head{Head{At: s.pos, Time: s.time}}, Cut: cut, Evicted: evicted}
	s.out.Handle(&s.loss)
}

// forgetReset forgets the flow that a RST closed longest ago.
func (s *shard) forgetReset() {
	c, ok := s.reset.first()
	if !ok {
		return
	}
	s.reset.pop()
	// The record may serve another flow by now.
	if c.flow.closed && c.flow.ID == c.id {
		s.remove(c.flow)
	}
}

func (s *shard) expireIdle(t *stream.Table[flow], before int64) {
	for {
		f, last, ok := t.Oldest()
		if ok && last > s.time {
			t.Touch(f, s.time) // the clock was set back
			continue
		}
		if !ok || last > before {
			return
		}
		s.end(f, Idle)
		s.remove(f)
	}
}

// close ends all flows, the longest silent first.
func (s *shard) close() {
	for _, t := range [...]*stream.Table[flow]{s.tcp, s.udp} {
		for {
			f, _, ok := t.Oldest()
			if !ok {
				break
			}
			s.end(f, EndOfCapture)
			s.remove(f)
		}
	}
	s.tellLoss()
}

// closed is a flow that a RST closed, by its id at that time.
type closed struct {
	flow *flow
	id   uint64
	time int64
}

// ended remembers flows that ended in order for a while, in a few bytes each, so
// that their records serve other flows while they are still in the cache.
type ended struct {
	times map[uint64]int64 // when, by the hash of the key
	queue queue[endedFlow]
}

type endedFlow struct {
	hash uint64
	time int64
}

// maxEnded bounds the flows that are remembered.
const maxEnded = 1 << 14

func (e *ended) add(hash uint64, time int64) {
	if e.times == nil {
		e.times = make(map[uint64]int64)
	}
	if e.queue.len() >= maxEnded { // one flow may be in it many times
		if oldest, ok := e.queue.first(); ok {
			e.forget(oldest.time)
		}
	}
	e.times[hash] = time
	e.queue.push(endedFlow{hash, time})
}

func (e *ended) has(hash uint64) bool {
	_, ok := e.times[hash]
	return ok
}

// forget forgets the flows that ended at or before a time.
func (e *ended) forget(before int64) {
	for f, ok := e.queue.first(); ok && f.time <= before; f, ok = e.queue.first() {
		e.queue.pop()
		if e.times[f.hash] == f.time {
			delete(e.times, f.hash)
		}
	}
}

// queue is a first-in, first-out queue that uses its memory again.
type queue[T any] struct {
	items []T
	next  int
}

func (q *queue[T]) push(v T) {
	if q.next > 64 && q.next*2 > len(q.items) {
		n := copy(q.items, q.items[q.next:])
		clear(q.items[n:])
		q.items, q.next = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

func (q *queue[T]) first() (v T, ok bool) {
	if q.next == len(q.items) {
		return v, false
	}
	return q.items[q.next], true
}

func (q *queue[T]) pop() { q.next++ }

func (q *queue[T]) len() int { return len(q.items) - q.next }
