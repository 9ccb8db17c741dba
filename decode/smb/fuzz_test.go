package smb

import (
	"os"
	"strings"
	"testing"

	"kmswatch/decode/dcerpc"
)

// FuzzConn gives two streams whole, byte by byte and in cuts of any size, with a
// gap in the second half of the client's. The handler is told the same in each
// way, keeps to the order that it is promised, and what the connection keeps
// stays within its bounds.
func FuzzConn(f *testing.F) {
	for _, s := range steady() {
		var b [2][]byte
		for _, m := range s.e {
			b[m.side] = append(b[m.side], m.b[:min(len(m.b), 4000)]...)
		}
		f.Add(b[0], b[1], []byte{3, 50, 7}, uint16(0), uint16(0))
	}
	v := new(conv2)
	n, s := v.negotiate(0x0202, 0x0311), v.setup(1, "one")
	v.session = 7
	c, o := v.connect(`\\s\IPC$`), v.create("samr")
	v.tree = 1
	w, r, x := v.write(allOnes[:], pdu(11, 72)), v.read(allOnes[:], 100), v.transceive(fid(1), pdu(0, 40))
	w.flags, r.flags = flagRelated, flagRelated
	f.Add(join(n.packet(), s.packet(), c.packet(), compound(o, w, r), []byte("junk"), x.packet()),
		join(negotiated(n, 0x0311, "hint").packet(), v.setUp(s, 0, 7, 3, "x").packet(), v.connected(c, 1, 2).packet(),
			compound(created(o, fid(1)), written(w), r.pending(4)), got(r, 0, "late").packet(), transceived(x, 0, pdu(2, 50)).packet()), []byte{1}, uint16(40), uint16(9))
	v1 := new(conv1)
	m := v1.msg(v1.plain("\x00", "", "", ""), v1.tree(`\\s\IPC$`, 43), v1.ntCreate("samr"), writeAndX(9, 12, "xxyy"))
	k := v1.msg(v1.transact(transCall, 9, `\PIPE\x`, pdu(0, 30), 30))
	f.Add(join(v1.msg(offers("NT LM 0.12", "SMB 2.???")).packet(), m.packet(), k.packet()),
		join(m.reply(0, block{cmd1SessionSetupAndX, le16(0), nil}, block{cmd1TreeConnectAndX, le16(0), []byte("IPC\x00\x00")}, ntCreated(9, 2)).packet(), k.reply(0, transacted("x", 0, 2)).packet(), k.reply(0, transacted("y", 1, 2)).packet()), []byte{9, 2}, uint16(100), uint16(60))
	for _, path := range captures() {
		if info, err := os.Stat(path); err != nil || info.Size() > 20000 {
			continue
		}
		for _, w := range replay(f, path, true) {
			if a, b := w.streams[0].Bytes(), w.streams[1].Bytes(); len(a)+len(b) < 12000 {
				f.Add(a, b, []byte{255, 13}, uint16(len(a)/2), uint16(3))
			}
		}
	}
	f.Fuzz(func(t *testing.T, client, server, cuts []byte, gapAt, gap uint16) {
		if len(client)+len(server) > 1<<16 {
			return
		}
		cfg := &Config{Messages: true, MaxSessions: 3, MaxTrees: 4, MaxOpens: 5, MaxPending: 16}
		run := func(size func() int) string {
			var c Conn
			r := &record{keep: 7}
			c.Reset(cfg)
			feed(&c, 0, client, size, r)
			within(t, &c)
			feed(&c, 1, server, size, r)
			within(t, &c)
			at := min(int(gapAt), len(client))
			feed(&c, 0, client[:at], size, r)
			c.Gap(0, int64(gap), dcerpc.Point{}, r)
			feed(&c, 0, client[min(at+int(gap), len(client)):], size, r)
			within(t, &c)
			feed(&c, 1, server, size, r)
			c.End(dcerpc.Point{}, true, r)
			if len(r.bad) > 0 {
				t.Fatal(r.bad)
			}
			if c.s != nil && (len(c.s.opens) != 0 || c.s.held != 0 || len(r.pipes) != 0) {
				t.Fatalf("after the end %d pipes, %d not ended, %d bytes held", len(c.s.opens), len(r.pipes), c.s.held)
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

// within fails if the connection keeps more than its bounds let, or has lost
// count.
func within(t *testing.T, c *Conn) {
	s := c.s
	if s == nil {
		return
	}
	held := 0
	seen := map[*Pipe]bool{}
	count := func(p *Pipe) {
		if !seen[p] {
			seen[p] = true
			held += len(p.way[0].held) + len(p.way[1].held)
		}
	}
	for _, p := range s.opens {
		if p.phase == gone || p.phase == asked {
			t.Fatalf("a pipe of phase %d is in the table", p.phase)
		}
		count(p)
	}
	for i := range s.requests {
		if r := &s.requests[i]; r.live && r.pipe != nil && r.pipe.ID == r.pipeID && r.pipe.phase == asked {
			count(r.pipe)
		}
	}
	if held != s.held {
		t.Fatalf("%d bytes are held, %d counted", held, s.held)
	}
	if s.held > c.cfg.maxHeld()+maxWay || len(s.sessions) > c.cfg.maxSessions() || len(s.trees) > c.cfg.maxTrees() ||
		len(s.opens) > c.cfg.maxOpens() || len(s.requests) > c.cfg.maxPending() || len(s.spare) > keptSpare {
		t.Fatalf("%d bytes, %d sessions, %d trees, %d opens, %d requests, %d spare", s.held, len(s.sessions), len(s.trees), len(s.opens), len(s.requests), len(s.spare))
	}
	for side := range c.half {
		if p := c.half[side].pay; p.before < 0 || p.data < 0 || p.after < 0 || c.half[side].frame < 0 {
			t.Fatalf("side %d is at %+v", side, c.half[side])
		}
	}
}

// FuzzMessage gives one message, or what the snap length left of it, to a
// connection of each version that has a pipe open, and then one that is well.
func FuzzMessage(f *testing.F) {
	for _, s := range steady() {
		for _, m := range s.e[:4] {
			f.Add(uint8(m.side), m.b, uint16(20))
		}
	}
	f.Fuzz(func(t *testing.T, side uint8, b []byte, cut uint16) {
		if len(b) > 1<<16 {
			return
		}
		a, v := onPipe(Config{Messages: true})
		o, w := onPipe1(Config{Messages: true})
		for _, c := range []*talk{a, o} {
			s := int(side & 1)
			n := min(int(cut), len(b))
			used := c.Conn.Data(s, b[:n], true, c.at(), &c.record)
			if used > n {
				t.Fatalf("%d of %d bytes used", used, n)
			}
			c.Cut(s, b[used:n], c.at(), &c.record)
			c.Gap(s, int64(len(b)-n), c.at(), &c.record)
			within(t, &c.Conn)
			// A gap whose length lies may leave any state; one of unknown length
			// does not.
			c.Gap(s, 0, c.at(), &c.record)
			c.take()
			m, version := v.transceive(fid(1), "on").packet(), uint8(Version2)
			if c == o {
				version = Version1
				m = w.msg(writeAndX(9, 0, "on")).packet()
			}
			_, open := c.pipes[1]
			c.Gap(0, 0, c.at(), &c.record)
			c.take()
			c.client(m)
			within(t, &c.Conn)
			if got := c.take(); open && c.s.agreed.Version == version && !strings.HasSuffix(got, `pipe 1 to server "on"`) {
				t.Fatalf("a message that is well is told as\n%s", got)
			}
			c.End(c.at(), false, &c.record)
			if len(c.bad) > 0 || len(c.pipes) > 0 {
				t.Fatal(c.bad, c.pipes)
			}
		}
	})
}
