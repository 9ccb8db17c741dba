package rpch

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"kmswatch/decode/dcerpc"
)

// pdu builds a PDU of a type with a body.
func pdu(t dcerpc.PType, body string) string {
	b := []byte{5, 0, byte(t), 3, 0x10, 0, 0, 0}
	b = binary.LittleEndian.AppendUint16(b, uint16(16+len(body)))
	b = append(b, 0, 0, 0, 0, 0, 0)
	return string(b) + body
}

// rts builds an RTS PDU of commands that are whole.
func rts(flags uint16, commands ...string) string {
	b := binary.LittleEndian.AppendUint16(nil, flags)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(commands)))
	return pdu(dcerpc.TypeRTS, string(b)+strings.Join(commands, ""))
}

// cmd builds a command; args are numbers of four bytes or cookies.
func cmd(t CommandType, args ...any) string {
	b := binary.LittleEndian.AppendUint32(nil, uint32(t))
	for _, a := range args {
		switch a := a.(type) {
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(a))
		case string:
			b = append(b, a...)
		}
	}
	return string(b)
}

const (
	virtual = "\x04\x03\x02\x01\x06\x05\x08\x07virtual-"
	channel = "channelcookie---"
)

var (
	connA1 = rts(0, cmd(Version, 1), cmd(Cookie, virtual), cmd(Cookie, channel), cmd(ReceiveWindowSize, 65536))
	connA3 = rts(0, cmd(ConnectionTimeout, 120000))
	connB1 = rts(0, cmd(Version, 1), cmd(Cookie, virtual), cmd(Cookie, channel), cmd(ChannelLifetime, 1<<30), cmd(ClientKeepalive, 300000), cmd(AssociationGroupID, channel))
	connC2 = rts(0, cmd(Version, 1), cmd(ReceiveWindowSize, 65536), cmd(ConnectionTimeout, 120000))
	bindP  = pdu(dcerpc.TypeBind, strings.Repeat("b", 56))
	askP   = pdu(dcerpc.TypeRequest, "12345678stub")
	ackP   = pdu(dcerpc.TypeBindAck, strings.Repeat("a", 40))
	sayP   = pdu(dcerpc.TypeResponse, "12345678answer")
)

func request(method, target string, length int, fields ...string) string {
	s := method + " " + target + " HTTP/1.1\r\nAccept: application/rpc\r\nUser-Agent: MSRPC\r\nHost: proxy.example\r\n"
	if length >= 0 {
		s += fmt.Sprintf("Content-Length: %d\r\n", length)
	}
	return s + strings.Join(append(fields, "\r\n"), "\r\n")
}

const (
	path    = "/rpc/rpcproxy.dll?srv.example:593"
	success = "HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\nContent-Length: 1073741824\r\n\r\n"
	denied  = "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html\r\nServer: Microsoft-IIS/10.0\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\nContent-Length: 12\r\n\r\nDenied here!"
)

// record is a Handler that writes down what it is told.
type record struct {
	lines  []string
	sticky bool // a side that is adrift stays so, whatever its pieces look like
	adrift [2]bool
}

func (r *record) add(side int, format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf("%d ", side)+fmt.Sprintf(format, args...))
}

func (r *record) PDUs(side int, b []byte, _ int) int {
	all := len(b)
	for len(b) > 0 {
		var h dcerpc.Header
		if r.sticky && r.adrift[side] || h.Decode(b).Lost() || int(h.FragLength) > len(b) {
			r.adrift[side] = true
			if s := fmt.Sprintf("%d adrift", side); len(r.lines) == 0 || r.lines[len(r.lines)-1] != s {
				r.lines = append(r.lines, s)
			}
			break
		}
		r.add(side, "%v", h.Type)
		b = b[h.FragLength:]
	}
	return all
}

func (r *record) RTS(side int, x *RTS) {
	s := x.Name()
	if s == "" {
		s = fmt.Sprintf("flags %#x", x.Flags)
		for _, c := range x.Commands() {
			s += " " + c.Type.String()
		}
	}
	r.add(side, "rts %s", s)
}

func (r *record) Message(side int, m *Message) {
	s := m.Kind.String()
	if m.Status != 0 {
		s += fmt.Sprintf(" %d", m.Status)
	}
	if m.Host != nil {
		s += fmt.Sprintf(" %s port %d", m.Host, m.Port)
	}
	if m.Schemes != 0 {
		s += " auth"
		for i := Basic; i <= OtherScheme; i++ {
			if m.Schemes&(1<<i) != 0 {
				s += " " + i.String()
			}
		}
	}
	if m.RPCError != 0 {
		s += fmt.Sprintf(" rpc error %#x", m.RPCError)
	}
	if m.Agent != nil {
		s += fmt.Sprintf(" agent %s", m.Agent)
	}
	r.add(side, "%s length %d", s, m.Length)
}

func (r *record) Token(side int, s Scheme, token []byte) { r.add(side, "token %v %q", s, token) }

func (r *record) Anomaly(side int, a Anomaly, offset int) { r.add(side, "%v at %d", a, offset) }

func (r *record) take() string {
	s := strings.Join(r.lines, "\n")
	r.lines = nil
	return s
}

// feed gives what a side says in pieces of size bytes.
func feed(c *Conn, side int, in string, size func() int, h Handler) {
	var wait []byte
	for len(in) > 0 {
		n := min(max(size(), 1), len(in))
		wait = append(wait, in[:n]...)
		in = in[n:]
		b := append([]byte(nil), wait...)
		used := c.Data(side, b, h)
		if used > len(b) {
			panic("more than there is")
		}
		wait = append(wait[:0], b[used:]...)
		for i := range b {
			b[i] = 0xa5
		}
	}
}

// says runs a conversation, whole and in pieces, and gives what is told.
func says(t *testing.T, parts ...string) (*Conn, string) {
	t.Helper()
	var c *Conn
	run := func(n int) string {
		c = new(Conn)
		r := &record{sticky: true}
		for _, p := range parts {
			side := 0
			if p[0] == '<' {
				side = 1
			}
			feed(c, side, p[1:], func() int { return n }, r)
		}
		return r.take()
	}
	want := run(1 << 20)
	for _, n := range []int{7, 1} {
		if got := run(n); got != want {
			t.Errorf("whole:\n%s\nin pieces of %d:\n%s", want, n, got)
		}
	}
	return c, want
}

func check(t *testing.T, got string, want ...string) {
	t.Helper()
	if w := strings.Join(want, "\n"); got != w {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.ReplaceAll(got, "\n", "\n\t"), strings.ReplaceAll(w, "\n", "\n\t"))
	}
}

func TestLegacyBanner(t *testing.T) {
	c, got := says(t, "<ncacn_http/1.0", ">"+bindP, "<"+ackP, ">"+askP+askP, "<"+sayP)
	check(t, got, "1 legacy length -1", "0 bind", "1 bind_ack", "0 request", "0 request", "1 response")
	if side, known := c.Client(); c.Kind() != Legacy || side != 0 || !known {
		t.Error("kind or client")
	}
	if !c.Streaming(0) || !c.Streaming(1) {
		t.Error("PDUs run both ways")
	}
}

func TestProxyAndServerSpeakRTSBehindTheBanner(t *testing.T) {
	a2 := rts(RTSOutChannel, cmd(Version, 1), cmd(Cookie, virtual), cmd(Cookie, channel), cmd(ChannelLifetime, 1<<30), cmd(ReceiveWindowSize, 8192))
	c, got := says(t, "<ncacn_http/1.0", ">"+a2, "<"+connC2+ackP)
	check(t, got, "1 legacy length -1", "0 rts CONN/A2", "1 rts CONN/C", "1 bind_ack")
	if id, ok := c.Connection(); !ok || id.String() != "01020304-0506-0708-7669-727475616c2d" {
		t.Errorf("virtual connection %v", id)
	}
}

func TestInChannel(t *testing.T) {
	c, got := says(t, ">"+request("RPC_IN_DATA", path, 1<<30)+connB1+bindP+askP)
	check(t, got, "0 in srv.example port 593 agent MSRPC length 1073741824", "0 rts CONN/B1", "0 bind", "0 request")
	host, port := c.Target()
	if _, ok := c.Connection(); !ok || c.Kind() != In || string(host) != "srv.example" || port != 593 {
		t.Errorf("%v %s %d", c.Kind(), host, port)
	}
}

func TestOutChannel(t *testing.T) {
	c, got := says(t, ">"+request("RPC_OUT_DATA", "/rpcwithcert/rpcproxy.dll?1234-5678@example:6001&id=7", len(connA1))+connA1, "<"+success+connA3+connC2+ackP+sayP)
	check(t, got,
		"0 out 1234-5678@example port 6001 agent MSRPC length 76", "0 rts CONN/A1",
		"1 response 200 length 1073741824", "1 rts CONN/A3", "1 rts CONN/C", "1 bind_ack", "1 response")
	if id, ok := c.Connection(); !ok || id != dcerpc.MustUUID("01020304-0506-0708-7669-727475616c2d") || c.Status() != 200 {
		t.Errorf("%v %d", id, c.Status())
	}
}

func TestAuthenticationIsTriedTwice(t *testing.T) {
	token := base64.StdEncoding.EncodeToString([]byte("NTLMSSP\x00secret"))
	c, got := says(t,
		">"+request("RPC_IN_DATA", path, 0), "<"+denied,
		">"+request("RPC_IN_DATA", path, 0, "Authorization: NTLM "+token),
		"<HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM "+token+"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		">"+request("RPC_IN_DATA", path, 1<<30, "authorization:  ntlm  "+token)+connB1)
	in := "0 in srv.example port 593 "
	check(t, got,
		in+"agent MSRPC length 0",
		"1 response 401 auth ntlm negotiate agent Microsoft-IIS/10.0 length 12",
		`0 token ntlm "NTLMSSP\x00secret"`, in+"auth ntlm agent MSRPC length 0",
		`1 token ntlm "NTLMSSP\x00secret"`, "1 response 401 auth ntlm length -1",
		`0 token ntlm "NTLMSSP\x00secret"`, in+"auth ntlm agent MSRPC length 1073741824", "0 rts CONN/B1")
	if strings.Contains(string(c.token[:cap(c.token)]), "secret") {
		t.Error("a token stayed")
	}
}

func TestPasswordsAreNotRead(t *testing.T) {
	_, got := says(t, ">"+request("RPC_OUT_DATA", path, 0, "Authorization: Basic dXNlcjpwYXNz", "Authorization: Strange x"))
	check(t, got, "0 out srv.example port 593 auth basic other agent MSRPC length 0")
}

func TestEcho(t *testing.T) {
	_, got := says(t, ">"+request("RPC_OUT_DATA", path, 4)+"\xf8\xe8\x18\x08"+request("RPC_ECHO_DATA", "/rpc/rpcproxy.dll", 4)+"echo",
		"<HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\nContent-Length: 20\r\n\r\n"+rts(RTSEcho))
	check(t, got, "0 out srv.example port 593 agent MSRPC length 4", "0 echo agent MSRPC length 4", "1 response 200 length 20", "1 rts Echo")
}

// chunks makes a body of chunks of n bytes.
func chunks(s string, n int) string {
	var b strings.Builder
	for len(s) > 0 {
		k := min(n, len(s))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", k, s[:k])
		s = s[k:]
	}
	return b.String() + "0\r\n\r\n"
}

// TestChunksCutPDUs: proxies before Exchange send the OUT channel in chunks.
func TestChunksCutPDUs(t *testing.T) {
	for _, n := range []int{1, 9, 16, 17, 50, 1000} {
		_, got := says(t, "<HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks(connA3+connC2+ackP+sayP+rts(RTSPing)+sayP, n)+denied)
		check(t, got,
			"1 response 200 length -1", "1 rts CONN/A3", "1 rts CONN/C", "1 bind_ack", "1 response", "1 rts Ping", "1 response",
			"1 response 401 auth ntlm negotiate agent Microsoft-IIS/10.0 length 12")
	}
}

// TestImpacketsRTSPDUs has what impacket 0.10 makes.
func TestImpacketsRTSPDUs(t *testing.T) {
	for in, want := range map[string]string{
		"05001403100000004c00000000000000000004000600000001000000030000000101010101010101010101010101010103000000020202020202020202020202020202020000000000000400":                                                         "CONN/A1",
		"0500140310000000680000000000000000000600060000000100000003000000010101010101010101010101010101010300000003030303030303030303030303030303040000000000004005000000e09304000c00000004040404040404040404040404040404": "CONN/B1",
		"05001403100000003800000000000000020002000d000000030000000100000064000000c800000005050505050505050505050505050505":                                                                                                 "FlowControlAckWithDestination",
		"0500140310000000140000000000000001000000": "Ping",
	} {
		b, err := hex.DecodeString(in)
		var r RTS
		if a := r.Decode(b); err != nil || a != 0 || r.Name() != want {
			t.Errorf("%v %q, want %q", a, r.Name(), want)
		}
	}
}

func TestVersionOne(t *testing.T) {
	c, got := says(t, ">"+request("RPC_CONNECT", "srv.example:593", -1), "<HTTP/1.0 200 OK\r\n\r\nncacn_http/1.0", ">"+bindP, "<"+ackP)
	check(t, got, "0 connect srv.example port 593 agent MSRPC length -1", "1 response 200 length -1", "1 legacy length -1", "0 bind", "1 bind_ack")
	if c.Kind() != Connect {
		t.Error(c.Kind())
	}
}

func TestRPCErrorsOfProxies(t *testing.T) {
	_, got := says(t, ">"+request("RPC_IN_DATA", path, 1<<30), "<HTTP/1.0 503 RPC Error: c0021012\r\n\r\nwhatever it says")
	check(t, got, "0 in srv.example port 593 agent MSRPC length 1073741824", "1 response 503 rpc error 0xc0021012 length -1")
}

func TestLineFeedsAlone(t *testing.T) {
	_, got := says(t, ">RPC_IN_DATA /rpc/rpcproxy.dll?localhost:3388 HTTP/1.1\nContent-Length: 1000\n\n"+bindP)
	check(t, got, "0 in localhost port 3388 length 1000", "0 bind")
}

func TestMalformedChannels(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"not HTTP", "\x16\x03\x01hello" + bindP, []string{"0 not-http at 0"}},
		{"no target", "RPC_IN_DATA /rpc/rpcproxy.dll HTTP/1.1\r\n\r\n", []string{"0 bad-target at 0", "0 in length -1"}},
		{"no port", "RPC_IN_DATA /rpc/rpcproxy.dll?a:99999 HTTP/1.1\r\n\r\n", []string{"0 bad-target at 0", "0 in length -1"}},
		{"a long name", "RPC_IN_DATA /rpc/rpcproxy.dll?" + strings.Repeat("a", 256) + ":1 HTTP/1.1\r\n\r\n", []string{"0 bad-target at 0", "0 in length -1"}},
		{"no version", "RPC_OUT_DATA /?a:1\r\n\r\n", []string{"0 bad-request-line at 0", "0 out a port 1 length -1"}},
		{"no status", "HTTP/1.1 OK\r\n\r\n", []string{"0 bad-status-line at 0", "0 response length -1"}},
		{"two lengths", "RPC_OUT_DATA /?a:1 HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", []string{"0 bad-content-length at 0", "0 out a port 1 length 0"}},
		{"a length that is none", "RPC_OUT_DATA /?a:1 HTTP/1.1\r\nContent-Length: -5\r\n\r\n", []string{"0 bad-content-length at 0", "0 out a port 1 length -1"}},
		{"a PDU that the chunks do not end", "RPC_OUT_DATA /?a:1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + bindP[:5] + "\r\n0\r\n\r\n",
			[]string{"0 out a port 1 length -1", "0 pdu-beyond-body at 8"}},
		{"garbage in chunks", "RPC_OUT_DATA /?a:1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n18\r\nhello, hello, hello, hel\r\n0\r\n\r\nRPC_OUT_DATA /?b:1 HTTP/1.1\r\n\r\n",
			[]string{"0 out a port 1 length -1", "0 adrift", "0 out b port 1 length -1"}},
		{"a chunk without length", "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", []string{"0 response 404 length -1", "0 bad-chunk at 0"}},
		{"a token that is none", "RPC_OUT_DATA /?a:1 HTTP/1.1\r\nAuthorization: NTLM ***\r\n\r\n", []string{"0 bad-token at 0", "0 out a port 1 auth ntlm length -1"}},
		{"a PDU beyond its body", "RPC_OUT_DATA /?a:1 HTTP/1.1\r\nContent-Length: 20\r\n\r\n" + connA1[:20] + "RPC_OUT_DATA /?b:1 HTTP/1.1\r\n\r\n",
			[]string{"0 out a port 1 length 20", "0 pdu-beyond-body at 8", "0 out b port 1 length -1"}},
		{"a line without end", "RPC_IN_DATA " + strings.Repeat("a", maxLine), []string{"0 head-too-long at 0"}},
		{"a head without end", "RPC_IN_DATA /?a:1 HTTP/1.1\r\n" + strings.Repeat("A: "+strings.Repeat("x", 1000)+"\r\n", 200), []string{"0 head-too-long at 0"}},
		{"garbage for PDUs", "ncacn_http/1.0" + strings.Repeat("garbage.", 9), []string{"0 legacy length -1", "0 adrift"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got := says(t, ">"+c.in)
			check(t, got, c.want...)
		})
	}
}

func TestReservedBitsHideNoPDU(t *testing.T) {
	odd := []byte(bindP)
	odd[6] = 1
	_, got := says(t, "<ncacn_http/1.0", ">"+string(odd))
	check(t, got, "1 legacy length -1", "0 bind")
}

func TestGaps(t *testing.T) {
	c := new(Conn)
	r := new(record)
	say := func(side int, s string) { c.Data(side, []byte(s), r) }
	say(0, request("RPC_IN_DATA", path, 16+56+100)+bindP)
	c.Gap(0, 60)
	say(0, strings.Repeat("x", 40)+request("RPC_IN_DATA", path, 0)) // the body ends in it
	c.Gap(0, 5)
	say(0, askP)
	c.Gap(1, -1)
	say(1, ackP)
	check(t, r.take(), "0 in srv.example port 593 agent MSRPC length 172", "0 bind", "0 adrift", "0 in srv.example port 593 agent MSRPC length 0", "0 request", "1 bind_ack")
}

// What Data left unused before a gap is of the body too.
func TestGapBehindTheBeginningOfAPDU(t *testing.T) {
	c := new(Conn)
	r := new(record)
	b := []byte(request("RPC_IN_DATA", path, len(bindP)+len(askP)) + bindP + askP[:20])
	if used := c.Data(0, b, r); used != len(b)-20 {
		t.Fatalf("used %d of %d", used, len(b))
	}
	c.Gap(0, int64(len(askP)-20))
	c.Data(0, []byte(request("RPC_IN_DATA", path, 0)), r)
	check(t, r.take(), fmt.Sprintf("0 in srv.example port 593 agent MSRPC length %d", len(bindP)+len(askP)), "0 bind",
		"0 in srv.example port 593 agent MSRPC length 0")
}

func TestProbe(t *testing.T) {
	for in, want := range map[string]dcerpc.Verdict{
		"": dcerpc.More, "n": dcerpc.More, "ncacn_http/1.0": dcerpc.Match, "ncacn_http/2.0": dcerpc.No,
		"RPC_": dcerpc.More, "RPC_IN_DATA /": dcerpc.Match, "RPC_OUT_DATA ": dcerpc.Match, "RPC_CONNECT x": dcerpc.Match,
		"HTTP/1.1 200 OK": dcerpc.No, "RPC_INFO": dcerpc.No, "GET / HTTP/1.1": dcerpc.No, bindP: dcerpc.No,
	} {
		if got := Probe([]byte(in)); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestRTSPDUs(t *testing.T) {
	address := cmd(ClientAddress, 0, "\x0a\x00\x00\x07", "twelve bytes")
	for _, c := range []struct {
		b      string
		want   Anomaly
		offset int
		name   string
	}{
		{connA1, 0, 0, "CONN/A1"},
		{rts(RTSInChannel, cmd(Version, 1), cmd(Cookie, virtual), cmd(Cookie, channel), cmd(ReceiveWindowSize, 1), cmd(ConnectionTimeout, 1), cmd(AssociationGroupID, channel), address), 0, 0, "CONN/B2"},
		{rts(RTSOtherCommand, cmd(Destination, 3), cmd(FlowControlAck, 100, 200, channel)), 0, 0, "FlowControlAckWithDestination"},
		{rts(RTSPing), 0, 0, "Ping"},
		{rts(0, cmd(Padding, 3, "abc"), cmd(Empty)), 0, 0, ""},
		{rts(0, cmd(ClientAddress, 1, "sixteen bytes...", "twelve bytes")), 0, 0, ""},
		{rts(0, cmd(ClientAddress, 2, "sixteen bytes...", "twelve bytes")), BadCommand, 24, ""},
		{rts(0, cmd(commandTypes)), BadCommand, 20, ""},
		{rts(0, cmd(Empty), cmd(Cookie, "short")), ShortRTS, 24, ""},
		{rts(0, cmd(Padding, -1, "abc")), ShortRTS, 20, ""},
		{rts(0, cmd(Empty)+"x"), TrailingRTS, 24, ""},
		{rts(0, strings.Split(strings.Repeat(cmd(Empty)+"|", 12)+cmd(Empty), "|")...), TooManyCommands, 68, ""},
		{pdu(dcerpc.TypeRTS, "\x00"), ShortRTS, 17, ""},
		{strings.Replace(connA3, "\x14\x03", "\x14\x01", 1), BadRTSHeader, 3, "CONN/A3"},
	} {
		var r RTS
		if got := r.Decode([]byte(c.b)); got != c.want || r.offset != c.offset || r.Name() != c.name {
			t.Errorf("%q: %v at %d, %q; want %v at %d, %q", c.b, got, r.offset, r.Name(), c.want, c.offset, c.name)
		}
	}
	var r RTS
	r.Decode([]byte(rts(0, address)))
	if x := r.Commands()[0]; x.Address != [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: 7} {
		t.Errorf("%v", x.Address)
	}
	r.Decode([]byte(connB1))
	if g, ok := r.Group(); !ok || g == (dcerpc.UUID{}) {
		t.Error("no group")
	}
}

type silentHandler struct{ pdus int }

func (h *silentHandler) PDUs(_ int, b []byte, _ int) int { h.pdus++; return len(b) }
func (*silentHandler) RTS(int, *RTS)                     {}
func (*silentHandler) Message(int, *Message)             {}
func (*silentHandler) Token(int, Scheme, []byte)         {}
func (*silentHandler) Anomaly(int, Anomaly, int)         { panic("anomaly") }

func TestSteadyStateAllocatesNothing(t *testing.T) {
	var c Conn
	h := new(silentHandler)
	open := []byte(request("RPC_IN_DATA", path, 1<<30, "Authorization: NTLM TlRMTVNTUAA="))
	client, server := []byte(connB1+bindP+askP+askP), []byte(success+sayP+connA3)
	once := func() {
		c.Reset()
		c.Data(0, open, h)
		c.Data(0, client, h)
		c.Data(1, server, h)
	}
	once()
	if n := testing.AllocsPerRun(100, once); n != 0 || h.pdus != 2*102 {
		t.Errorf("%v allocations, %d runs of PDUs", n, h.pdus)
	}
}

// FuzzConn gives two streams whole, byte by byte and in cuts of any size. The
// handler is told the same in each way.
func FuzzConn(f *testing.F) {
	f.Add([]byte("ncacn_http/1.0"+ackP+sayP), []byte(bindP+askP), []byte{3, 50})
	f.Add([]byte(request("RPC_IN_DATA", path, 1<<30, "Authorization: NTLM TlRMTVNTUAA=")+connB1+bindP+"garbage"+askP), []byte(denied+success), []byte{1, 9})
	f.Add([]byte(request("RPC_OUT_DATA", path, len(connA1))+connA1+request("RPC_ECHO_DATA", "/x", 4)+"echo"), []byte(success+connA3+connC2+sayP), []byte{200, 1, 16})
	f.Add([]byte(request("RPC_CONNECT", "a:1", -1)+bindP), []byte("HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.0 200 OK\r\n\r\nncacn_http/1.0"+ackP), []byte{7})
	f.Add([]byte(bindP), []byte("HTTP/1.1 200 Success\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks(connA3+ackP+sayP, 21)+success), []byte{7})
	f.Fuzz(func(t *testing.T, client, server, cuts []byte) {
		if len(client)+len(server) > 1<<14 {
			return
		}
		run := func(size func() int) string {
			c := new(Conn)
			r := &record{sticky: true}
			feed(c, 0, string(client), size, r)
			feed(c, 1, string(server), size, r)
			for _, x := range c.token[:cap(c.token)] {
				if x != 0 {
					t.Fatal("a token stayed")
				}
			}
			return r.take()
		}
		want := run(func() int { return 1 << 20 })
		if got := run(func() int { return 1 }); got != want {
			t.Fatalf("whole:\n%s\nbyte by byte:\n%s", want, got)
		}
		i := 0
		if got := run(func() int {
			if len(cuts) == 0 {
				return 11
			}
			i++
			return int(cuts[i%len(cuts)])
		}); got != want {
			t.Fatalf("whole:\n%s\ncut:\n%s", want, got)
		}
	})
}

// FuzzRTS holds what Decode gives against its anomaly.
func FuzzRTS(f *testing.F) {
	for _, s := range []string{connA1, connA3, connB1, connC2, rts(RTSPing), rts(0, cmd(Padding, 3, "abc"), cmd(ClientAddress, 0, "\x0a\x00\x00\x07", "twelve bytes"))} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again RTS
		a := r.Decode(b)
		if again.Decode(b) != a || again != r {
			t.Fatal("decoded twice, and the two differ")
		}
		if a >= anomalies || len(r.Commands()) > maxCommands || a == 0 && r.offset != 0 {
			t.Fatalf("%v", a)
		}
		_ = r.Name()
	})
}
