package smb

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"kmswatch/decode/dcerpc"
)

// record is a Handler that writes down what it is told. Bytes of a pipe that
// follow each other are one line, however they come.
type record struct {
	lines []string
	keep  int // of each 16 bytes of a pipe, how many are not used at first
	quiet bool

	pipes map[uint32]string // open ones
	last  string            // pipe and direction of data
	data  []byte
	bad   []string // promises that were broken
}

func (r *record) add(format string, args ...any) {
	r.flush()
	if !r.quiet {
		r.lines = append(r.lines, fmt.Sprintf(format, args...))
	}
}

func (r *record) flush() {
	if len(r.data) > 0 && !r.quiet {
		r.lines = append(r.lines, fmt.Sprintf("%s %q", r.last, r.data))
	}
	r.data = r.data[:0]
}

func (r *record) take() string {
	r.flush()
	s := strings.Join(r.lines, "\n")
	r.lines = nil
	return s
}

func (r *record) broken(format string, args ...any) {
	if len(r.bad) < 10 {
		r.bad = append(r.bad, fmt.Sprintf(format, args...))
	}
}

func (r *record) Message(m *Message) {
	if r.quiet {
		return
	}
	kind := "request"
	status := ""
	if m.Response {
		kind = "response"
		status = " " + m.StatusName()
	}
	s := fmt.Sprintf("smb%d %s %s%s", m.Version, CommandName(m.Version, m.Command), kind, status)
	if m.Chain > 0 {
		s += fmt.Sprintf(" chain %d", m.Chain)
	}
	if m.Name != "" {
		s += fmt.Sprintf(" %q", m.Name)
	}
	if m.Pipe != nil {
		s += " of " + m.Pipe.Name
	}
	r.add("%s", s)
}

func (r *record) Session(s *Session) {
	t := fmt.Sprintf("session %#x %s %s legs %d", s.ID, s.State, statusName(s.Status, s.DOS), s.Legs)
	for _, f := range []struct {
		on   bool
		name string
	}{{s.Guest, "guest"}, {s.Null, "null"}, {s.Encrypt, "encrypt"}, {s.MustSign, "must-sign"}, {s.Signed, "signed"}, {s.Binding, "binding"}, {s.Again, "again"}, {s.LMZero, "lm-zero"}} {
		if f.on {
			t += " " + f.name
		}
	}
	if s.Version == 1 {
		t += fmt.Sprintf(" lm %d nt %d account %q domain %q os %q/%q", s.LMLength, s.NTLength, s.Account, s.Domain, s.NativeOS, s.ServerOS)
	}
	r.add("%s @%d-%d", t, s.Request.Frame, s.Answer.Frame)
}

func (r *record) Token(s *Session, fromClient bool, b []byte) {
	r.add("token session %#x client %t %d bytes", s.ID, fromClient, len(b))
}

func (r *record) Tree(t *Tree) {
	kind := "other"
	if t.IPC {
		kind = "ipc"
	}
	r.add("tree %d %s %s %s %q share %q session %#x", t.ID, kind, t.State, statusName(t.Status, t.DOS), t.Path, t.Share, t.Session.ID)
}

func (r *record) Open(p *Pipe) {
	if p.Session == nil {
		r.broken("pipe %d has no session", p.ID)
	}
	if p.State == Granted {
		if r.pipes == nil {
			r.pipes = map[uint32]string{}
		}
		if _, ok := r.pipes[p.ID]; ok {
			r.broken("pipe %d opened twice", p.ID)
		}
		r.pipes[p.ID] = p.Name
	}
	r.add("open %d %q %s %s", p.ID, p.Name, p.State, statusName(p.Status, p.DOS))
}

func (r *record) known(p *Pipe) {
	if _, ok := r.pipes[p.ID]; !ok {
		r.broken("pipe %d is not open", p.ID)
	}
}

func (r *record) Data(p *Pipe, fromClient bool, b []byte, boundary bool, at dcerpc.Point) int {
	r.known(p)
	if len(b) == 0 {
		r.broken("no data for pipe %d", p.ID)
	}
	way := "to client"
	if fromClient {
		way = "to server"
	}
	who := fmt.Sprintf("pipe %d %s", p.ID, way)
	used := len(b)
	if r.keep > 0 {
		used = len(b) / r.keep * r.keep
	}
	if used == 0 {
		return 0
	}
	if who != r.last {
		r.flush()
		r.last = who
	}
	if !r.quiet {
		r.data = append(r.data, b[:used]...)
	}
	return used
}

func (r *record) PipeGap(p *Pipe, fromClient bool) {
	r.known(p)
	r.add("gap of pipe %d client %t", p.ID, fromClient)
}

func (r *record) PipeEnd(p *Pipe, over bool) {
	r.known(p)
	delete(r.pipes, p.ID)
	r.add("end of pipe %d %t", p.ID, over)
}

func (r *record) Opaque(s *Session, fromClient bool, what Opacity) {
	r.add("opaque %s session %#x client %t", what, s.ID, fromClient)
}

func (r *record) Anomaly(side int, a Anomaly, offset int) {
	mark := ""
	if a.Evasive() {
		mark = "!"
	}
	r.add("%d %s%s", side, a, mark)
}

// talk is a connection with its record; side 0 is the client.
type talk struct {
	Conn
	record
	frame uint64
}

func newTalk(cfg Config) *talk {
	t := new(talk)
	t.Reset(&cfg)
	return t
}

func (t *talk) at() dcerpc.Point { return dcerpc.Point{Frame: t.frame} }

func (t *talk) send(side int, messages ...[]byte) *talk {
	for _, b := range messages {
		t.frame++
		if used := t.Conn.Data(side, bytes.Clone(b), true, t.at(), &t.record); used != len(b) {
			t.add("%d of %d bytes used", used, len(b))
		}
	}
	return t
}

func (t *talk) client(messages ...[]byte) *talk { return t.send(0, messages...) }
func (t *talk) server(messages ...[]byte) *talk { return t.send(1, messages...) }

func (t *talk) end() string {
	t.End(t.at(), true, &t.record)
	return t.take()
}

func check(t *testing.T, got string, want ...string) {
	t.Helper()
	if w := strings.Join(want, "\n"); got != w {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.ReplaceAll(got, "\n", "\n\t"), strings.ReplaceAll(w, "\n", "\n\t"))
	}
}

// feed gives a stream in pieces, as a reassembler does; the first is a boundary.
func feed(c *Conn, side int, b []byte, size func() int, h Handler) {
	from, to := 0, 0
	for to < len(b) {
		to = min(to+max(size(), 1), len(b))
		from += c.Data(side, b[from:to:to], from == 0, dcerpc.Point{}, h)
	}
}
