package smb

import (
	"strings"
	"testing"

	"kmswatch/decode/dcerpc"
)

// silent takes everything of a pipe but for what keep says.
type silent struct {
	data int
	keep int
}

func (*silent) Message(*Message)               {}
func (*silent) Session(*Session)               {}
func (*silent) Token(*Session, bool, []byte)   {}
func (*silent) Tree(*Tree)                     {}
func (*silent) Open(*Pipe)                     {}
func (*silent) PipeGap(*Pipe, bool)            {}
func (*silent) PipeEnd(*Pipe, bool)            {}
func (*silent) Opaque(*Session, bool, Opacity) {}
func (*silent) Anomaly(int, Anomaly, int)      {}
func (s *silent) Data(_ *Pipe, _ bool, b []byte, _ bool, _ dcerpc.Point) int {
	n := len(b)
	if s.keep > 0 {
		n = n / s.keep * s.keep
	}
	s.data += n
	return n
}

// exchange is messages of one side after the other, given again and again.
type exchange []struct {
	side int
	b    []byte
}

func (e *exchange) add(side int, b []byte) {
	*e = append(*e, struct {
		side int
		b    []byte
	}{side, b})
}

func (e exchange) run(c *Conn, h Handler) {
	for i := range e {
		c.Data(e[i].side, e[i].b, true, dcerpc.Point{}, h)
	}
}

// steady gives the exchanges that must not allocate, by what they are.
func steady() map[string]struct {
	c *Conn
	e exchange
} {
	all := map[string]struct {
		c *Conn
		e exchange
	}{}
	put := func(name string, c *Conn, e exchange) {
		all[name] = struct {
			c *Conn
			e exchange
		}{c, e}
	}
	a, v := onPipe(Config{})
	var e exchange
	for range 4 {
		m := v.transceive(fid(1), pdu(0, 150))
		e.add(0, m.packet())
		e.add(1, transceived(m, 0, pdu(2, 300)).packet())
	}
	put("SMB 2 transceive", &a.Conn, e)
	a, v = onPipe(Config{Messages: true})
	e = nil
	for range 4 {
		m := v.write(fid(1), pdu(0, 150))
		e.add(0, m.packet())
		e.add(1, written(m).packet())
		m = v.read(fid(1), 1024)
		e.add(0, m.packet())
		e.add(1, got(m, statusBufferOverflow, pdu(2, 3000)[:1024]).packet())
		m = v.read(fid(1), 4096)
		e.add(0, m.packet())
		e.add(1, got(m, 0, pdu(2, 3000)[1024:]).packet())
	}
	put("SMB 2 write and read in parts", &a.Conn, e)
	a, v = onPipe(Config{})
	e = nil
	v.tree = 2
	file := strings.Repeat("x", 60000)
	for range 4 {
		m := v.read(fid(1), len(file))
		e.add(0, m.packet())
		r := got(m, 0, file).packet()
		for len(r) > 0 {
			n := min(len(r), 1460)
			e.add(1, r[:n])
			r = r[n:]
		}
		m = v.write(fid(1), file)
		e.add(0, m.packet())
		e.add(1, written(m).packet())
	}
	put("SMB 2 file data", &a.Conn, e)
	b, w := onPipe1(Config{})
	e = nil
	for range 4 {
		m := w.msg(w.transact(transTransact, 9, `\PIPE\`, pdu(0, 150), 150))
		e.add(0, m.packet())
		e.add(1, m.reply(0, transacted(pdu(2, 300), 0, 300)).packet())
		m = w.msg(writeAndX(9, 8, pdu(0, 100)))
		e.add(0, m.packet())
		e.add(1, m.reply(0, block{cmd1WriteAndX, zero(8), nil}).packet())
	}
	put("SMB 1 transact and write", &b.Conn, e)
	a, v = onTrees(Config{})
	e = nil
	for i := range 4 {
		m := v.create("samr")
		e.add(0, m.packet())
		e.add(1, created(m, fid(byte(i))).packet())
		m = v.close(fid(byte(i)))
		e.add(0, m.packet())
		e.add(1, closed(m).packet())
	}
	put("SMB 2 open and close of a known pipe", &a.Conn, e)
	return all
}

func TestSteadyTrafficAllocatesNothing(t *testing.T) {
	for name, s := range steady() {
		h := &silent{keep: 50}
		s.e.run(s.c, h)
		if n := testing.AllocsPerRun(20, func() { s.e.run(s.c, h) }); n != 0 {
			t.Errorf("%s: %.1f allocations", name, n)
		}
	}
}

func TestConnectionsAllocateLittleAfterReset(t *testing.T) {
	var e exchange
	v := new(conv2)
	n := v.negotiate(0x0202)
	e.add(0, n.packet())
	e.add(1, negotiated(n, 0x0202, "hint").packet())
	s := v.setup(0, "one")
	e.add(0, s.packet())
	e.add(1, v.setUp(s, 0, 7, 0, "two").packet())
	v.session = 7
	m := v.connect(`\\server\IPC$`)
	e.add(0, m.packet())
	e.add(1, v.connected(m, 1, 2).packet())
	v.tree = 1
	m = v.create("samr")
	e.add(0, m.packet())
	e.add(1, created(m, fid(1)).packet())
	m = v.transceive(fid(1), pdu(0, 100))
	e.add(0, m.packet())
	e.add(1, transceived(m, 0, pdu(2, 100)).packet())
	var c Conn
	cfg, h := new(Config), new(silent)
	run := func() {
		c.Reset(cfg)
		e.run(&c, h)
		c.End(dcerpc.Point{}, true, h)
	}
	// A session, a tree and its path.
	if n := testing.AllocsPerRun(20, run); n > 3 {
		t.Errorf("%.1f allocations", n)
	}
}

func BenchmarkConn(b *testing.B) {
	for _, name := range []string{"SMB 2 transceive", "SMB 2 write and read in parts", "SMB 2 file data", "SMB 1 transact and write", "SMB 2 open and close of a known pipe"} {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			s := steady()[name]
			h := new(silent)
			b.ReportAllocs()
			for b.Loop() {
				s.e.run(s.c, h)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(s.e)), "ns/segment")
		})
	}
}
