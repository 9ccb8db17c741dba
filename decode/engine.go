package decode

import (
	"kmswatch/capture"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/packet"
	"kmswatch/decode/rpch"
	"kmswatch/decode/smb"
	"kmswatch/decode/stream"
)

// shards is the number of logical shards. It is a constant so that what is
// bounded, and so what is evicted, is the same for every number of workers.
const shards = 64

// Config bounds and steers an Engine. The zero value of a field is its default.
type Config struct {
	Workers  int  // goroutines that decode; 1, the default, decodes inside Feed
	Messages bool // tell every PDU and message too; implies one worker

	KMSPorts []uint16 // TCP ports of KMS beside 1688

	// Bounds of what is kept. An even share of those in all is a shard's, and at
	// least 16 flows, twice MaxWaiting and 64 KiB of state.
	MaxFlows      int // flows remembered in all, of TCP and of UDP each; 262,144
	MaxWaiting    int // bytes a direction may wait for reassembly; 1 MiB
	MaxReassembly int // bytes that wait in all; 256 MiB
	MaxState      int // bytes in all of calls, contexts and questions beyond what every flow has; 256 MiB
	MaxCalls      int // calls without an answer an association; 256
	MaxFragments  int // IP datagrams under reassembly; 4,096
	MaxDepth      int // tunnels inside tunnels; 4

	IdleTCP int64 // nanoseconds without a frame after which a TCP flow ends; 10 minutes
	IdleUDP int64 // the same for UDP, and how long a DNS query waits; 30 seconds

	// Steer is told, from goroutines of the Engine's and from that of Feed, what
	// it may let go and what it should let pass; nil for a source that cannot.
	Steer capture.Steerer

	Seed uint64 // of hashes that an attacker must not foresee; events do not depend on it
}

const second = int64(1e9)

func (c *Config) setDefaults() {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	if c.Workers < 1 || c.Messages {
		c.Workers = 1
	}
	def(&c.MaxFlows, 1<<18)
	def(&c.MaxWaiting, 1<<20)
	def(&c.MaxReassembly, 256<<20)
	def(&c.MaxState, 256<<20)
	def(&c.MaxCalls, 256)
	def(&c.MaxFragments, 4096)
	def(&c.MaxDepth, 4)
	if c.IdleTCP <= 0 {
		c.IdleTCP = 600 * second
	}
	if c.IdleUDP <= 0 {
		c.IdleUDP = 30 * second
	}
}

// DefaultKMSPort is the port that KMS hosts listen on unless told otherwise.
const DefaultKMSPort = 1688

// Ports that servers listen on and whose flows are looked into from their first
// frame. All else is found by its content.
const (
	portDNS           = 53
	portKerberos      = 88
	portEPMapper      = 135
	portNetBIOS       = 139 // session service
	portLDAP          = 389
	portSMB           = 445
	portRPCHTTP       = 593
	portGlobalCatalog = 3268
)

var serverPorts = [...]uint16{
	portDNS, portKerberos, portEPMapper, portNetBIOS, portLDAP, portSMB, portRPCHTTP, portGlobalCatalog,
}

// Stats counts what an Engine saw. All counters only grow.
type Stats struct {
	Packet     packet.Counters
	Frames     uint64 // fed
	Bytes      uint64 // captured bytes of them
	Interest   uint64 // frames that reached a shard
	Reassembly stream.Counters
	Flows      uint64 // flows begun
	Evicted    uint64 // flows that made room for others
	PDUs       uint64 // DCE/RPC PDUs of which an event told, or that took part in one
	Calls      uint64
	Exchanges  uint64
	Lookups    uint64
	Anomalies  uint64
	Cut        uint64 // frames of those flows of which the snap length cut payload
}

// Engine decodes frames. It is used by one goroutine.
type Engine struct {
	cfg     Config
	packets *packet.Decoder
	pkt     packet.Packet
	key     stream.Key // of the packet under way
	ports   portSet    // of servers, those of KMS among them
	flows   flowSet
	shakes  handshakes
	mapped  endpoints
	seq     uint64 // frames fed so far
	tick    int64  // time of the next tick
	shards  [shards]*shard
	feeder  *shard // tells what no shard can: anomalies below the flows
	pool    *pool  // nil with one worker
	frames  uint64
	bytes   uint64
	sent    uint64
	last    capture.Frame // of the frame fed last: position and time only; the time may be Advance's
	counted uint64        // frames when Lost was called last
}

// New makes an Engine that tells h. With Config.Workers above 1, h is called
// from a goroutine of the Engine's, else from that of Feed and Close.
func New(cfg Config, h Handler) *Engine {
	cfg.setDefaults()
	e := &Engine{
		cfg: cfg,
		packets: packet.New(packet.Config{
			MaxDatagrams: cfg.MaxFragments,
			MaxDepth:     cfg.MaxDepth,
		}),
	}
	ports := newPorts(cfg.KMSPorts)
	e.ports = ports.all
	e.mapped.steer = cfg.Steer
	limits := newLimits(&e.cfg)
	scratches := make([]*scratch, min(cfg.Workers, shards))
	for i := range scratches {
		scratches[i] = new(scratch)
	}
	for i := range e.shards {
		e.shards[i] = newShard(limits, ports, scratches[i%len(scratches)])
	}
	e.feeder = newShard(limits, ports, new(scratch))
	if cfg.Workers > 1 {
		e.pool = newPool(e, h)
		return e
	}
	for _, s := range e.shards {
		s.out = h
	}
	e.feeder.out = h
	return e
}

// Feed decodes one frame; its data is borrowed until Feed returns. Bad input
// becomes an Anomaly event. With more than one worker Feed waits while all
// batches are under way. Where touching the data of the frame panics, as that
// of a mapped file may, what comes next is decoded all the same.
func (e *Engine) Feed(f *capture.Frame) {
	e.seq++
	e.frames++
	e.bytes += uint64(len(f.Data))
	e.last.File, e.last.Number, e.last.Time = f.File, f.Number, f.Time
	// Also where the clock was set back. Frames of several queues may come late.
	if uint64(f.Time-e.tick+backward) >= uint64(backward) {
		e.pass(f)
	}
	p := &e.pkt
	verdict := e.packets.Decode(f, p)
	if p.Anomaly != 0 {
		e.odd(f, p)
	}
	switch verdict {
	case packet.TCP:
		if e.wantTCP(f, p) {
			e.dispatch(f, p)
		}
	case packet.UDP:
		if wantUDP(p) {
			e.dispatch(f, p)
		}
	}
}

// backward is how far behind the newest the time of a frame may be.
const backward = 60 * second

// wantTCP is the decision that nearly every frame ends at.
func (e *Engine) wantTCP(f *capture.Frame, p *packet.Packet) bool {
	if e.ports.has(p.SrcPort) || e.ports.has(p.DstPort) {
		if p.SrcPort == portEPMapper {
			e.mapped.learn(p)
		}
		return true
	}
	h := flowHash(p)
	if e.flows.has(h) {
		return true
	}
	if p.Flags&packet.SYN != 0 {
		if p.Flags&packet.ACK == 0 && e.mapped.has(&p.Dst, p.DstPort) {
			e.flows.add(h)
			p.Expected = true
			return true
		}
		e.shakes.note(h, p)
		return false
	}
	if len(p.Payload) == 0 {
		return false
	}
	// Too few bytes to tell are enough: who sends a header in pieces may hide it.
	// So may who sends the first piece late.
	shake, ahead := e.shakes.before(h, p)
	if ahead || begins(p.Payload) {
		e.flows.add(h)
		e.replayHandshake(f, p, shake)
		return true
	}
	return false
}

// begins tells whether a segment may begin what is decoded on any port.
func begins(b []byte) bool {
	return dcerpc.Probe(b) != dcerpc.No || smb.Probe(b) != smb.No || rpch.Probe(b) != dcerpc.No
}

// replayHandshake gives the shard the handshake that went before the first data
// of a flow, so that the flow is not taken for one in mid-stream.
func (e *Engine) replayHandshake(f *capture.Frame, p *packet.Packet, shake *handshake) {
	if shake == nil {
		return
	}
	var q packet.Packet
	for i := range shake.seq {
		q = *p
		q.Payload, q.Missing, q.Reassembled, q.Replayed = nil, 0, false, true
		q.Seq, q.Ack, q.Flags = shake.seq[i], 0, packet.SYN
		if i == 1 {
			q.Ack, q.Flags = shake.seq[0]+1, packet.SYN|packet.ACK
		}
		if fromClient := shake.sentBy(p); fromClient == (i == 1) {
			q.Src, q.Dst, q.SrcPort, q.DstPort = p.Dst, p.Src, p.DstPort, p.SrcPort
		}
		e.dispatch(f, &q)
	}
}

func (e *Engine) dispatch(f *capture.Frame, p *packet.Packet) {
	e.sent++
	src, dst := p.SrcPort, p.DstPort
	if p.Proto == udp {
		src, dst = conversation(p)
	}
	key := &e.key
	dir := key.Make(&p.Src, &p.Dst, src, dst, p.Proto)
	hash := key.Hash(e.cfg.Seed)
	n := shardOf(key)
	if e.pool != nil {
		e.pool.add(e.seq, n, f, p, key, hash, dir)
		return
	}
	s := e.shards[n]
	s.at(e.seq, Position{f.File, f.Number}, f.Time)
	s.packet(p, key, hash, dir)
}

// odd tells of something wrong below the flows.
func (e *Engine) odd(f *capture.Frame, p *packet.Packet) {
	s := e.feeder
	if e.pool != nil {
		s.out = e.pool.feederList()
	}
	s.at(e.seq, Position{f.File, f.Number}, f.Time)
	s.packetAnomaly(p)
	if e.pool != nil {
		e.pool.told()
	}
}

// pass lets time pass in every shard once a second, so that what waits ends at
// the same frame whatever the shard of that frame.
func (e *Engine) pass(f *capture.Frame) {
	if e.tick != 0 {
		e.flows.age(f.Time, e.cfg.IdleTCP)
		e.mapped.age(f.Time)
		if e.pool != nil {
			e.pool.tick(e.seq, f)
		} else {
			for _, s := range e.shards {
				s.at(e.seq, Position{f.File, f.Number}, f.Time)
				s.expire()
			}
		}
	}
	e.tick = f.Time + second
}

// Close ends all flows, tells what waited, and waits for the workers. The
// Engine takes no frame after it.
func (e *Engine) Close() {
	e.seq++
	if e.pool != nil {
		e.pool.close(e.seq, &e.last)
		return
	}
	for _, s := range e.shards {
		s.at(e.seq, Position{e.last.File, e.last.Number}, e.last.Time)
		s.close()
	}
}

// Stats sums the counters of all shards. With more than one worker it may be
// called before the first Feed and once Close has returned; Between gives them
// at any time.
func (e *Engine) Stats() Stats {
	st := e.own()
	for _, s := range e.shards {
		s.addTo(&st)
	}
	return st
}

// own gives the counters of the goroutine that feeds.
func (e *Engine) own() Stats {
	st := Stats{Packet: e.packets.Counters(), Frames: e.frames, Bytes: e.bytes, Interest: e.sent}
	e.feeder.addTo(&st)
	return st
}

// ports are the ports that servers listen on. They are not changed: others
// take their place.
type ports struct {
	kms portSet
	all portSet // those of KMS among them
}

// Ports gives the ports of TCP and of UDP from and to which an Engine looks at
// every frame, for a source that lets go what is of no interest: those of the
// protocols that are not told by how they begin, and of the handshakes before
// them. kms are the ports of KMS beside DefaultKMSPort.
func Ports(kms []uint16) (tcp, udp []uint16) {
	tcp = append(append(append(tcp, serverPorts[:]...), DefaultKMSPort), kms...)
	return tcp, []uint16{portDNS, portKerberos, portLDAP}
}

// newPorts takes the ports of KMS beside DefaultKMSPort.
func newPorts(kms []uint16) *ports {
	p := new(ports)
	p.kms.add(DefaultKMSPort)
	for _, port := range kms {
		p.kms.add(port)
	}
	p.all = p.kms
	for _, port := range serverPorts {
		p.all.add(port)
	}
	return p
}

// portSet is a bitmap of ports.
type portSet [1 << 16 / 64]uint64

func (s *portSet) add(p uint16)      { s[p>>6] |= 1 << (p & 63) }
func (s *portSet) has(p uint16) bool { return s[p>>6]&(1<<(p&63)) != 0 }

// flowSet is a hashed bitmap of the flows that showed DCE/RPC on a port that
// none would guess. A flow it names wrongly costs a look into a shard; none
// that was added is missed until it has been silent for a whole idle time. Two
// generations let old flows fade.
type flowSet struct {
	now, old [1 << 18 / 64]uint64
	turned   int64 // time of the last change of generation
}

func (s *flowSet) add(h uint64) { s.now[h>>52] |= 1 << (h >> 46 & 63) }

func (s *flowSet) has(h uint64) bool {
	bit := uint64(1) << (h >> 46 & 63)
	if s.now[h>>52]&bit != 0 {
		return true
	}
	if s.old[h>>52]&bit == 0 {
		return false
	}
	s.now[h>>52] |= bit
	return true
}

func (s *flowSet) age(now, idle int64) {
	if s.turned == 0 {
		s.turned = now
	}
	if now-s.turned >= idle {
		s.old, s.now = s.now, [len(s.now)]uint64{}
		s.turned = now
	}
}

// handshakes remembers the last handshakes on ports that none would guess, each
// in a place that its flow's hash decides: a later one overwrites an earlier.
type handshakes struct {
	places [1 << 15]handshake
	// fresh has a bit for each place whose flow has not said its first byte since:
	// a few kilobytes that stay in the cache, for each segment is held against it.
	fresh [1 << 15 / 64]uint64
}

type handshake struct {
	hash  uint64
	seq   [2]uint32 // of SYN and of SYN-ACK
	addr  [4]byte   // end of the client's address
	port  uint16    // the client's
	state uint8     // SYN seen, then SYN-ACK too
}

// note takes a SYN or a SYN-ACK.
func (s *handshakes) note(h uint64, p *packet.Packet) {
	i := h % uint64(len(s.places))
	e := &s.places[i]
	if p.Flags&packet.ACK == 0 {
		*e = handshake{hash: h, seq: [2]uint32{p.Seq}, addr: [4]byte(p.Src[12:]), port: p.SrcPort, state: 1}
		return
	}
	if e.hash == h && e.state == 1 && p.Ack == e.seq[0]+1 && !e.sentBy(p) {
		e.seq[1], e.state = p.Seq, 2
		s.fresh[i>>6] |= 1 << (i & 63)
	}
}

// farAhead is how far behind the first byte of an end a segment may be that came
// before it.
const farAhead = 1 << 20

// before gives the handshake of a flow whose first data p is, else nil. Ahead
// tells that other data goes before p, which was not seen yet.
func (s *handshakes) before(h uint64, p *packet.Packet) (shake *handshake, ahead bool) {
	i := h % uint64(len(s.places))
	if s.fresh[i>>6]&(1<<(i&63)) == 0 {
		return nil, false
	}
	e := &s.places[i]
	if e.hash != h || e.state != 2 {
		return nil, false
	}
	side := 1
	if e.sentBy(p) {
		side = 0
	}
	switch d := p.Seq - e.seq[side] - 1; {
	case d == 0:
		s.fresh[i>>6] &^= 1 << (i & 63)
		return e, false
	case d < farAhead:
		return e, true
	}
	return nil, false
}

// sentBy tells whether the client of the handshake sent p.
func (e *handshake) sentBy(p *packet.Packet) bool {
	return p.SrcPort == e.port && [4]byte(p.Src[12:]) == e.addr
}
