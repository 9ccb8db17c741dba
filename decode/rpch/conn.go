package rpch

import (
	"bytes"
	"encoding/base64"
	"math"

	"kmswatch/decode/dcerpc"
)

// Kind is what a message opens.
type Kind uint8

// Kinds.
const (
	NoKind   Kind = iota
	Legacy        // the banner of a server that is spoken to directly (MS-RPCH 2.1.1.1)
	Connect       // RPC_CONNECT: a connection through a proxy, version 1
	In            // RPC_IN_DATA: the PDUs of the client
	Out           // RPC_OUT_DATA: the PDUs of the server
	Echo          // RPC_ECHO_DATA: is there a proxy?
	Response      // an HTTP response
)

// String gives a short name.
func (k Kind) String() string {
	return [...]string{"none", "legacy", "connect", "in", "out", "echo", "response", "kind(7)"}[k&7]
}

// Scheme is an authentication scheme of HTTP.
type Scheme uint8

// Schemes. In a set, scheme s is bit 1<<s.
const (
	NoScheme Scheme = iota
	Basic
	Digest
	NTLM
	Negotiate
	Kerberos
	Bearer
	OtherScheme
)

// String gives the name in lower case.
func (s Scheme) String() string {
	return [...]string{"none", "basic", "digest", "ntlm", "negotiate", "kerberos", "bearer", "other"}[s&7]
}

var schemeNames = [...]string{Basic: "basic", Digest: "digest", NTLM: "ntlm", Negotiate: "negotiate", Kerberos: "kerberos", Bearer: "bearer"}

// Message is a head of HTTP, or the banner. It is borrowed until the handler
// returns.
type Message struct {
	Kind     Kind
	Status   int    // of a response
	RPCError uint32 // of a response that tells one (MS-RPCH 2.1.2.1.3), else 0
	Host     []byte // of a request: the RPC server that is asked for, as sent; at most 255 bytes
	Port     uint16 // likewise
	WithCert bool   // of a request: by the path for clients with certificates
	Agent    []byte // User-Agent or Server; at most 64 bytes
	Length   int64  // of the body, bytes; -1 where it is not told
	RPC      bool   // the body is application/rpc
	Schemes  uint8  // set of the schemes used by a request, or offered by a response

	typed   bool // Content-Type was there
	chunked bool
	host    [255]byte
	agent   [64]byte
}

// Handler is told what a connection carries, in the order of the bytes of each
// side. Pointers and slices are borrowed until the method returns.
type Handler interface {
	// PDUs gives bytes of the stream of PDUs of a side, which begin at offset in
	// what Data was given (-1 where they were put together from several chunks),
	// and is told how many it took. They are whole PDUs, all
	// of which are taken, unless bytes are missing: then what is left comes again
	// with more behind it. RTS PDUs are not among them.
	PDUs(side int, b []byte, offset int) (used int)
	// RTS tells of an RTS PDU.
	RTS(side int, r *RTS)
	// Message tells of a head of HTTP or of the banner.
	Message(side int, m *Message)
	// Token gives the token of an authentication header; it is wiped afterwards.
	Token(side int, s Scheme, token []byte)
	// Anomaly tells of what is wrong, and where in the line or PDU it is in.
	Anomaly(side int, a Anomaly, offset int)
}

const (
	banner = "ncacn_http/1.0"
	// maxLine is the longest header line: a ticket with many groups fits.
	maxLine = 64 << 10
	// maxHead is the longest head.
	maxHead = 128 << 10
	// maxEcho is the longest body of a request that only asks whether a proxy is
	// there (MS-RPCH 2.1.2.1.5).
	maxEcho = 16
	// endless is the length of a body that ends with its connection.
	endless = math.MaxInt64
	// kept is the most memory that is kept for the next token, and for the next
	// PDU that lies in several chunks, bytes.
	kept = 4096
)

// methods are what requests begin with.
var methods = [...]struct {
	name string
	kind Kind
}{
	{"RPC_IN_DATA ", In},
	{"RPC_OUT_DATA ", Out},
	{"RPC_CONNECT ", Connect},
	{"RPC_ECHO_DATA ", Echo},
}

// Probe tells whether the first bytes of a stream, of either side, are those of
// a connection that a Conn decodes. A response of HTTP alone does not tell:
// the requests of the other side do.
func Probe(b []byte) dcerpc.Verdict {
	if len(b) == 0 {
		return dcerpc.More
	}
	if b[0] != 'R' && b[0] != 'n' {
		return dcerpc.No
	}
	best := begins(b, banner)
	for i := range methods {
		best = max(best, begins(b, methods[i].name))
	}
	return best
}

// begins tells whether b begins with s, or may.
func begins(b []byte, s string) dcerpc.Verdict {
	n := min(len(b), len(s))
	switch {
	case string(b[:n]) != s[:n]:
		return dcerpc.No
	case n < len(s):
		return dcerpc.More
	}
	return dcerpc.Match
}

// phase is where a side's stream stands.
type phase uint8

const (
	opening phase = iota // HTTP, the banner or a PDU
	head
	skipping  // a body of no interest
	running   // PDUs
	chunkSize // a line with the length of the next chunk
	chunkData // of no interest, or the end of a line behind one
	trailer   // behind the last chunk
	ignored
)

// half is one side's stream.
type half struct {
	phase   phase
	adrift  bool   // running: PDU boundaries are not known
	first   bool   // head: the first line was read
	scanned int    // bytes without a line feed that will come again
	size    int    // of the head so far
	left    int64  // of the body, or of the chunk
	chunked bool   // PDUs come in chunks
	joint   []byte // the beginning of a PDU that goes on in the next chunk
	unused  int64  // bytes that the last Data left
	m       Message
}

// Conn is one TCP connection of ncacn_http. The zero value is ready; it must not
// be copied. It is about 1 KB, and keeps no bytes but names, addresses and, where
// a proxy sends PDUs in chunks, what has come of a PDU that lies in several.
type Conn struct {
	half   [2]half
	kind   Kind
	status int
	port   uint16
	host   []byte
	hostAt [255]byte
	id     dcerpc.UUID
	known  bool // id is
	votes  int8 // above 0: side 0 is the client; below 0: side 1
	rts    RTS
	token  []byte
}

// Reset makes the connection new.
func (c *Conn) Reset() {
	token, a, b := c.token[:0], c.half[0].joint[:0], c.half[1].joint[:0]
	*c = Conn{token: token}
	c.half[0].joint, c.half[1].joint = a, b
}

// Kind tells what the connection is, by the banner or the last request; NoKind
// before either.
func (c *Conn) Kind() Kind { return c.kind }

// Target gives the RPC server that the last request asked for; nil if there was
// none. It is valid until the next Data.
func (c *Conn) Target() (host []byte, port uint16) { return c.host, c.port }

// Status gives the status of the last response, 0 before one.
func (c *Conn) Status() int { return c.status }

// Connection gives the cookie of the virtual connection, once an RTS PDU told it.
func (c *Conn) Connection() (id dcerpc.UUID, known bool) { return c.id, c.known }

// Client tells which side is the client, once HTTP or the banner said it.
func (c *Conn) Client() (side int, known bool) {
	if c.votes < 0 {
		return 1, true
	}
	return 0, c.votes > 0
}

// Streaming tells whether the bytes of a side that Data left unused are the
// beginning of a PDU.
func (c *Conn) Streaming(side int) bool { return c.half[side&1].phase == running }

// Excess tells how many bytes the connection holds beyond what every one does.
func (c *Conn) Excess() int { return cap(c.token) + cap(c.half[0].joint) + cap(c.half[1].joint) }

// Data takes bytes of one side and returns how many it used. What is left is the
// beginning of a line or of a PDU and is to be given again with more behind it.
// b is borrowed.
func (c *Conn) Data(side int, b []byte, h Handler) (used int) {
	side &= 1
	for used < len(b) {
		n := c.step(side, b[used:], used, h)
		if n == 0 {
			break
		}
		used += n
	}
	c.half[side].unused = int64(len(b) - used)
	return used
}

// Gap says that n bytes of a side will never come, behind those that Data left
// unused, which are gone too; an unknown number if n is not above 0.
func (c *Conn) Gap(side int, n int64) {
	x := &c.half[side&1]
	if n > 0 {
		n += x.unused
	}
	x.unused = 0
	x.scanned, x.joint = 0, x.joint[:0]
	switch {
	case x.phase == ignored:
	case x.phase == running && x.left == endless:
		x.adrift = true
	case (x.phase == running || x.phase == skipping) && n > 0 && n <= x.left:
		x.left -= n
		x.adrift = true
		if x.left == 0 {
			x.bodyEnd()
		}
	default:
		// Where HTTP ends is not known any more; PDUs are found by their looks.
		x.phase, x.left, x.adrift, x.chunked = running, endless, true, false
	}
}

// bodyEnd moves on from the end of a body, or of a chunk.
func (x *half) bodyEnd() {
	if x.chunked {
		x.phase, x.left = chunkData, 2
		return
	}
	x.phase, x.adrift = opening, false
}

// step takes the next piece of b, or nothing if it is not whole.
func (c *Conn) step(side int, b []byte, offset int, h Handler) (used int) {
	x := &c.half[side]
	switch x.phase {
	case opening:
		return c.open(side, b, offset, h)
	case head, chunkSize, trailer:
		return c.line(side, b, h)
	case skipping, chunkData:
		n := int(min(int64(len(b)), x.left))
		if x.left != endless {
			x.left -= int64(n)
		}
		if x.left == 0 {
			if x.phase == chunkData {
				x.phase = chunkSize
			} else {
				x.phase = opening
			}
		}
		return n
	case running:
		return c.run(side, b, offset, h)
	}
	return len(b)
}

// open finds out what begins.
func (c *Conn) open(side int, b []byte, offset int, h Handler) int {
	x := &c.half[side]
	if b[0] == '\r' || b[0] == '\n' {
		return 1 // between messages, as RFC 9112 2.2 lets pass
	}
	v := begins(b, banner)
	if v == dcerpc.Match {
		x.m = Message{Kind: Legacy, Length: -1}
		if c.kind == NoKind {
			c.kind = Legacy
		}
		c.vote(side ^ 1)
		x.phase, x.left, x.adrift = running, endless, false
		h.Message(side, &x.m)
		return len(banner)
	}
	v = max(v, begins(b, "HTTP/"))
	for i := range methods {
		v = max(v, begins(b, methods[i].name))
	}
	switch {
	case v == dcerpc.More:
		return 0
	case v == dcerpc.Match:
		x.phase, x.first, x.scanned, x.size = head, false, 0, 0
		x.m = Message{Length: -1}
		return c.line(side, b, h)
	}
	if b[0] == 5 {
		// Reserved bits of the header keep no server from taking a PDU.
		var hd dcerpc.Header
		if len(b) < dcerpc.HeaderSize {
			return 0
		}
		if !hd.Decode(b).Lost() {
			x.phase, x.left, x.adrift = running, endless, false
			return c.run(side, b, offset, h)
		}
	}
	return c.giveUp(side, NotHTTP, len(b), h)
}

func (c *Conn) vote(client int) {
	switch {
	case client == 0 && c.votes < 100:
		c.votes++
	case client == 1 && c.votes > -100:
		c.votes--
	}
}

// giveUp ignores a side from here on.
func (c *Conn) giveUp(side int, a Anomaly, n int, h Handler) int {
	c.half[side].phase = ignored
	h.Anomaly(side, a, 0)
	return n
}

// line takes a line.
func (c *Conn) line(side int, b []byte, h Handler) int {
	x := &c.half[side]
	x.scanned = min(x.scanned, len(b))
	i := bytes.IndexByte(b[x.scanned:min(len(b), maxLine)], '\n')
	if i < 0 {
		if len(b) >= maxLine {
			return c.giveUp(side, HeadTooLong, len(b), h)
		}
		x.scanned = len(b)
		return 0
	}
	n := x.scanned + i + 1
	x.scanned = 0
	line := bytes.TrimSuffix(b[:n-1], []byte{'\r'})
	if x.size += n; x.size > maxHead {
		return c.giveUp(side, HeadTooLong, len(b), h)
	}
	switch {
	case x.phase == chunkSize:
		return c.chunk(side, line, n, len(b), h)
	case x.phase == trailer:
		if len(line) == 0 {
			x.phase = opening
		}
	case !x.first:
		x.first = true
		c.firstLine(side, line, h)
	case len(line) == 0:
		return c.headEnd(side, n, h)
	default:
		c.field(side, line, h)
	}
	return n
}

// chunk takes the line with the size of a chunk (RFC 9112 7.1).
func (c *Conn) chunk(side int, line []byte, n, all int, h Handler) int {
	x := &c.half[side]
	size, digits := int64(0), 0
	for _, d := range line {
		v, ok := hexDigit(d)
		if !ok {
			break
		}
		if size = size<<4 | int64(v); size > 1<<40 {
			digits = 0
			break
		}
		digits++
	}
	switch {
	case digits == 0:
		return c.giveUp(side, BadChunk, all, h)
	case size == 0:
		x.phase, x.size = trailer, 0
		if len(x.joint) > 0 {
			h.Anomaly(side, PDUBeyondBody, 8)
		}
		x.joint, x.chunked, x.adrift = x.joint[:0], false, false
	case x.chunked:
		x.phase, x.left, x.size = running, size, 0
	default:
		x.phase, x.left, x.size = chunkData, size+2, 0
	}
	return n
}

func hexDigit(c byte) (v byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// firstLine takes a request line or a status line.
func (c *Conn) firstLine(side int, line []byte, h Handler) {
	m := &c.half[side].m
	if begins(line, "HTTP/") == dcerpc.Match {
		m.Kind = Response
		_, rest, _ := bytes.Cut(line, []byte{' '})
		code, reason, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte{' '})
		n, ok := decimal(code, 999)
		if !ok || n < 100 {
			h.Anomaly(side, BadStatusLine, 0)
			return
		}
		m.Status = int(n)
		if rest, ok := bytes.CutPrefix(bytes.TrimLeft(reason, " "), []byte("RPC Error: ")); ok {
			for _, d := range bytes.TrimPrefix(rest, []byte("0x")) {
				v, ok := hexDigit(d)
				if !ok {
					break
				}
				m.RPCError = m.RPCError<<4 | uint32(v)
			}
		}
		return
	}
	for i := range methods {
		if begins(line, methods[i].name) == dcerpc.Match {
			m.Kind = methods[i].kind
			c.target(side, line[len(methods[i].name):], h)
			return
		}
	}
	h.Anomaly(side, BadRequestLine, 0)
}

// target takes what follows the method: a path with the server behind a question
// mark, or the server alone, and the version.
func (c *Conn) target(side int, rest []byte, h Handler) {
	m := &c.half[side].m
	uri, version, _ := bytes.Cut(rest, []byte{' '})
	if begins(version, "HTTP/") != dcerpc.Match {
		h.Anomaly(side, BadRequestLine, 0)
	}
	path, server, query := bytes.Cut(uri, []byte{'?'})
	if m.Kind == Connect && !query {
		path, server = nil, uri
	}
	m.WithCert = bytes.Contains(path, []byte("rpcwithcert")) || bytes.Contains(path, []byte("RpcWithCert"))
	server, _, _ = bytes.Cut(server, []byte{'&'})
	if m.Kind == Echo && len(server) == 0 {
		return
	}
	colon := bytes.LastIndexByte(server, ':')
	if colon < 0 || colon > len(m.host) {
		h.Anomaly(side, BadTarget, 0)
		return
	}
	port, ok := decimal(server[colon+1:], 65535)
	if !ok {
		h.Anomaly(side, BadTarget, 0)
		return
	}
	m.Host, m.Port = m.host[:copy(m.host[:], server[:colon])], uint16(port)
}

// decimal reads a number of digits alone, up to most.
func decimal(b []byte, most int64) (n int64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	for _, d := range b {
		if d < '0' || d > '9' {
			return 0, false
		}
		if n = n*10 + int64(d-'0'); n > most {
			return 0, false
		}
	}
	return n, true
}

// field takes a header line.
func (c *Conn) field(side int, line []byte, h Handler) {
	m := &c.half[side].m
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok {
		return
	}
	value = bytes.TrimSpace(value)
	switch {
	case is(name, "content-length"):
		n, ok := decimal(value, 1<<50)
		if !ok || m.Length >= 0 && m.Length != n {
			h.Anomaly(side, BadLength, 0)
			return
		}
		m.Length = n
	case is(name, "content-type"):
		m.typed = true
		kind, _, _ := bytes.Cut(value, []byte{';'})
		m.RPC = is(bytes.TrimSpace(kind), "application/rpc")
	case is(name, "transfer-encoding"):
		m.chunked = m.chunked || is(value, "chunked")
	case is(name, "user-agent"), is(name, "server"):
		m.Agent = m.agent[:copy(m.agent[:], value)]
	case is(name, "authorization"), is(name, "www-authenticate"), is(name, "proxy-authorization"), is(name, "proxy-authenticate"):
		c.auth(side, value, h)
	}
}

// is compares with a name in lower case.
func is(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, x := range b {
		if x >= 'A' && x <= 'Z' {
			x |= 0x20
		}
		if x != name[i] {
			return false
		}
	}
	return true
}

// auth takes the value of an authentication header: a scheme and what goes with
// it.
func (c *Conn) auth(side int, value []byte, h Handler) {
	name, rest, _ := bytes.Cut(value, []byte{' '})
	s := OtherScheme
	for i := Basic; int(i) < len(schemeNames); i++ {
		if is(name, schemeNames[i]) {
			s = i
		}
	}
	c.half[side].m.Schemes |= 1 << s
	rest = bytes.TrimSpace(rest)
	if len(rest) == 0 || s != NTLM && s != Negotiate && s != Kerberos {
		return
	}
	n := base64.StdEncoding.DecodedLen(len(rest))
	if cap(c.token) < n {
		c.token = make([]byte, n)
	}
	token := c.token[:n]
	n, err := base64.StdEncoding.Decode(token, rest)
	if err != nil {
		h.Anomaly(side, BadToken, 0)
	} else {
		h.Token(side, s, token[:n:n])
	}
	clear(token)
	if cap(c.token) > kept {
		c.token = nil
	}
}

// headEnd takes the empty line: what follows the head depends on it.
func (c *Conn) headEnd(side int, n int, h Handler) int {
	x := &c.half[side]
	m := &x.m
	request := m.Kind != Response && m.Kind != NoKind
	rpc := m.Length < 0 || m.Length > maxEcho
	switch {
	case request:
		c.kind = m.Kind
		c.vote(side)
		c.port, c.host = 0, nil
		if m.Host != nil {
			c.host, c.port = c.hostAt[:copy(c.hostAt[:], m.Host)], m.Port
		}
		rpc = rpc && m.Kind != Echo
	case m.Kind == Response:
		if m.Status >= 200 {
			c.status = m.Status
		}
		c.vote(side ^ 1)
		rpc = m.Status == 200 && (m.RPC || !m.typed)
	default:
		rpc = false
	}
	h.Message(side, m)
	x.adrift = false
	switch {
	case m.chunked:
		x.phase, x.size, x.chunked = chunkSize, 0, rpc
	case m.Length == 0, m.Kind == Response && (m.Status < 200 || m.Status == 204 || m.Status == 304):
		x.phase = opening
	case m.Length > 0 && rpc:
		x.phase, x.left = running, m.Length
	case m.Length > 0:
		x.phase, x.left = skipping, m.Length
	case request || rpc:
		// PDUs up to the end, behind the banner perhaps, or another message.
		x.phase = opening
	default:
		x.phase, x.left = skipping, endless
	}
	return n
}

// run takes PDUs.
func (c *Conn) run(side int, b []byte, offset int, h Handler) (used int) {
	x := &c.half[side]
	last := false // the body ends in b
	if int64(len(b)) >= x.left {
		b, last = b[:x.left], true
	}
	switch {
	case x.adrift:
	case len(x.joint) > 0:
		used = c.join(side, b, h)
	default:
		used = c.pdus(side, b, offset, h)
	}
	if used == 0 && last && x.chunked && !x.adrift {
		used = len(b)
		x.joint = append(x.joint, b...)
	}
	if used == 0 && x.adrift {
		used = min(h.PDUs(side, b, offset), len(b))
		if used < len(b) && last {
			used = len(b)
		}
	}
	if used == 0 && last {
		h.Anomaly(side, PDUBeyondBody, 8)
		used = len(b)
	}
	if x.left != endless {
		x.left -= int64(used)
		if x.left == 0 {
			x.bodyEnd()
		}
	}
	return used
}

// join takes what b has of the PDU that began in a chunk before.
func (c *Conn) join(side int, b []byte, h Handler) (used int) {
	x := &c.half[side]
	var hd dcerpc.Header
	lost := false
	for want := dcerpc.HeaderSize; ; want = int(hd.FragLength) {
		if n := min(want-len(x.joint), len(b)-used); n > 0 {
			x.joint = append(x.joint, b[used:used+n]...)
			used += n
		}
		if len(x.joint) < want {
			return used
		}
		if want == int(hd.FragLength) {
			break
		}
		if lost = hd.Decode(x.joint).Lost(); lost {
			break
		}
	}
	if hd.Type == dcerpc.TypeRTS && !lost {
		c.steer(side, x.joint, h)
	} else {
		x.adrift = lost
		h.PDUs(side, x.joint, -1)
	}
	x.joint = x.joint[:0]
	if cap(x.joint) > kept {
		x.joint = nil
	}
	return used
}

// pdus takes the whole PDUs at the front of b: an RTS PDU, or all before one.
func (c *Conn) pdus(side int, b []byte, offset int, h Handler) (used int) {
	for {
		rest := b[used:]
		if len(rest) < dcerpc.HeaderSize {
			break
		}
		var hd dcerpc.Header
		if hd.Decode(rest).Lost() {
			if used == 0 {
				c.half[side].adrift = true
				return 0
			}
			break
		}
		n := int(hd.FragLength)
		if len(rest) < n {
			break
		}
		if hd.Type == dcerpc.TypeRTS {
			if used == 0 {
				c.steer(side, rest[:n], h)
				return n
			}
			break
		}
		used += n
	}
	if used > 0 {
		h.PDUs(side, b[:used:used], offset)
	}
	return used
}

// steer takes an RTS PDU.
func (c *Conn) steer(side int, b []byte, h Handler) {
	a := c.rts.Decode(b)
	if id, ok := c.rts.Connection(); ok {
		c.id, c.known = id, true
	}
	h.RTS(side, &c.rts)
	if a != 0 {
		h.Anomaly(side, a, c.rts.offset)
	}
}
