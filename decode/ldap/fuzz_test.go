package ldap

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"kmswatch/decode/dcerpc"
)

// feed gives a stream in pieces, what is left unused again.
func feed(c *Conn, side int, b []byte, size func() int, h Handler) {
	start, boundary := 0, true
	for end := 0; end < len(b); {
		end = min(end+max(size(), 1), len(b))
		start += c.Data(side, b[start:end:end], boundary, dcerpc.Point{Frame: 1}, h)
		boundary = false
	}
}

// FuzzConn gives two streams whole, byte by byte and in cuts of any size. The
// handler is told the same in each way; tokens are bytes of the input; what the
// connection keeps stays within its bounds; what a message tells is printable.
func FuzzConn(f *testing.F) {
	f.Add(slices.Concat(bind(1, "CN=a", simple("")), search(2, "DC=x", WholeSubtree, equal("a", "b"), "cn", "mail"), unbind),
		slices.Concat(result(1, BindResponse, 0), entry(2, "CN=a", "b"), msg(2, SearchResultReference, str("x")), result(2, SearchResultDone, 0)), []byte{3, 50, 7}, true)
	f.Add(slices.Concat(bind(1, "", sasl("GSS-SPNEGO", str("abc"))), bind(2, "", sasl("GSS-SPNEGO", str("def"))), []byte{0, 0, 0, 9, 1, 2}),
		slices.Concat(result(1, BindResponse, 14, tlv(0x87, []byte("x"))), result(2, BindResponse, 0), []byte{0, 0, 0, 9, 1, 2}), []byte{1}, false)
	f.Add(slices.Concat(bind(1, "", tlv(0x89)), bind(2, "N", tlv(0x8a, []byte("NTLMSSP\x00\x01"))), bind(3, "", tlv(0x8b, []byte("NTLMSSP\x00\x03")))),
		slices.Concat(result(1, BindResponse, 0), msg(2, BindResponse, enum(0), str("NTLMSSP\x00\x02"), str("")), result(3, BindResponse, 0)), []byte{200, 1, 16}, true)
	f.Add(slices.Concat(extended(1, oidStartTLS), []byte{22, 3, 1}), result(1, ExtendedResponse, 0), []byte{9}, false)
	f.Add(slices.Concat(ping, ping, tlv(0x30, small(4), tlv(0x50, []byte{1})), tlv(0x30, small(1), tlv(0x7e)), unbind),
		slices.Concat(entry(1, strings.Repeat("x", 700)), result(1, SearchResultDone, 3)), []byte{255, 13}, true)
	f.Add(slices.Concat(search(1, "", BaseObject, tlv(0xa0, tlv(0xa4, str("a"), tlv(0x30, tlv(0x81, []byte(strings.Repeat("x", 400))))), tlv(0xa9, tlv(0x83, []byte("v")))), "a")),
		[]byte("HTTP/1.1 200 OK"), []byte{90}, true)
	f.Fuzz(func(t *testing.T, client, server, cuts []byte, messages bool) {
		if len(client)+len(server) > 1<<16 {
			return
		}
		cfg := &Config{Messages: messages, MaxSearches: 3, MaxMessage: 256}
		run := func(size func() int) string {
			var c Conn
			var r watch
			c.Reset(cfg)
			c.FromStart()
			for _, s := range []struct {
				side int
				b    []byte
			}{{0, client}, {1, server}, {0, client}} {
				feed(&c, s.side, s.b, size, &r)
				if c.s != nil && (len(c.s.pending) > cfg.MaxSearches || len(c.s.spare) > keptSearches) {
					t.Fatalf("%d searches wait, %d are spare", len(c.s.pending), len(c.s.spare))
				}
			}
			for _, b := range r.tokens {
				if !bytes.Contains(client, b) && !bytes.Contains(server, b) || cap(b) != len(b) {
					t.Fatalf("a token % x from elsewhere", b)
				}
			}
			c.End(dcerpc.Point{}, true, &r)
			if c.s != nil && (len(c.s.pending) != 0 || c.s.binding) {
				t.Fatal("something waits after the end")
			}
			for _, l := range r.lines {
				if i := strings.IndexFunc(l, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }); i >= 0 {
					t.Fatalf("%q", l)
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
		decoded(t, client)
		var c Conn
		var r watch
		c.Reset(cfg)
		c.Datagram(0, client, dcerpc.Point{}, &r)
		c.Datagram(1, server, dcerpc.Point{}, &r)
		c.End(dcerpc.Point{}, true, &r)
	})
}

// watch is a record that copies no token.
type watch struct{ record }

var used Message

// decoded holds that a Message used before gives the same as a new one, and
// that bounds hold.
func decoded(t *testing.T, b []byte) {
	var m Message
	a := m.Decode(b)
	used.Decode(b)
	n := used.names
	used.names = m.names
	var x, y record
	x.Message(0, &m)
	y.Message(0, &used)
	if x.take() != y.take() || used.Conditions != m.Conditions || used.attributes != m.attributes || used.conditions != m.conditions {
		t.Fatalf("a Message used before differs:\n%+v\n%+v", used, m)
	}
	used.names = n
	if a != m.Anomaly || len(m.Name) > maxText || len(m.Filter) > maxFilter || m.token != nil || n.known.Len() > 1024 {
		t.Fatalf("%s: %+v", a, m)
	}
	if (a == NotLDAP || a == CutMessage || a == BadMessage) && m.Size != 0 {
		t.Fatalf("%s: %+v", a, m)
	}
}
