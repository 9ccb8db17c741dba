package stream

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

// recorder is a Receiver that writes down what it is told: ">" for direction 0,
// "<" for direction 1, then the bytes, with "~" before them where they do not
// begin a segment.
type recorder struct {
	log []string
	use func(b []byte) int // how much of b to use; nil uses all
	c   *Conn
	ign bool // ignore the direction at its first data
}

var arrow = [2]string{">", "<"}

func (r *recorder) Data(dir Dir, b []byte, boundary bool) int {
	if cap(b) != len(b) {
		r.log = append(r.log, "CAP")
	}
	tilde := "~"
	if boundary {
		tilde = ""
	}
	r.log = append(r.log, arrow[dir]+tilde+string(b))
	if r.ign {
		r.c.Ignore(dir)
		return 0
	}
	if r.use != nil {
		return r.use(b)
	}
	return len(b)
}

func (r *recorder) Gap(dir Dir, n int64) {
	r.log = append(r.log, fmt.Sprintf("%sgap(%d)", arrow[dir], n))
}

func (r *recorder) Anomaly(dir Dir, a Anomaly) {
	r.log = append(r.log, arrow[dir]+a.String())
}

// seg is a Segment in few words.
type seg struct {
	dir     Dir
	seq     uint32
	ack     uint32 // sets ACK unless 0
	flags   uint8
	data    string
	missing int
	ms      int64
	want    Result
}

const (
	out Dir = 0
	in  Dir = 1
)

// shake is a handshake: the initiator's data begins at 101, the other's at 501.
func shake(more ...seg) []seg {
	return append([]seg{
		{dir: out, seq: 100, flags: SYN},
		{dir: in, seq: 500, ack: 101, flags: SYN},
		{dir: out, seq: 101, ack: 501},
	}, more...)
}

func (s *seg) segment() Segment {
	data := []byte(s.data)
	f := s.flags
	if s.ack != 0 {
		f |= ACK
	}
	return Segment{Seq: s.seq, Ack: s.ack, Flags: f, Payload: data[:len(data):len(data)], Missing: s.missing, Time: s.ms * 1e6}
}

func TestSegments(t *testing.T) {
	const (
		cMid = 1 << iota
		cMissing
		cDup
		cOverlap
		cOne
		cCut
	)
	tests := []struct {
		name  string
		segs  []seg
		flush bool
		want  string // of the recorder
		conn  int
		check func(*testing.T, *Conn, Counters)
	}{
		{
			name: "both directions in order",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "ping"},
				seg{dir: in, seq: 501, ack: 105, data: "pong"},
				seg{dir: out, seq: 105, ack: 505, data: "more"}),
			want: ">ping <pong >more",
		},
		{
			name: "out of order",
			segs: shake(
				seg{dir: out, seq: 105, ack: 501, data: "two."},
				seg{dir: out, seq: 109, ack: 501, data: "three"},
				seg{dir: out, seq: 101, ack: 501, data: "one."}),
			want: ">one. >two. >three",
			check: func(t *testing.T, _ *Conn, n Counters) {
				if n.OutOfOrder != 2 || n.Bytes != 13 || n.Waiting != 0 || n.PeakWaiting == 0 {
					t.Errorf("%+v", n)
				}
			},
		},
		{
			name: "out of order, backwards",
			segs: shake(
				seg{dir: out, seq: 109, ack: 501, data: "three"},
				seg{dir: out, seq: 105, ack: 501, data: "two."},
				seg{dir: out, seq: 101, ack: 501, data: "one."}),
			want: ">one. >two. >three",
		},
		{
			name: "retransmitted after 200 ms",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "once"},
				seg{dir: out, seq: 101, ack: 501, data: "once", ms: 200},
				seg{dir: out, seq: 105, ack: 501, data: "next", ms: 201}),
			want: ">once >next",
			check: func(t *testing.T, _ *Conn, n Counters) {
				if n.Retransmitted != 1 || n.Duplicates != 0 {
					t.Errorf("%+v", n)
				}
			},
		},
		{
			name: "trap 53: the duplicate frames that a SPAN port gives",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "one"},
				seg{dir: out, seq: 104, ack: 501, data: "two"},
				seg{dir: out, seq: 101, ack: 501, data: "one", ms: 1},
				seg{dir: out, seq: 104, ack: 501, data: "two", ms: 1}),
			want: ">one >two",
			conn: cDup,
			check: func(t *testing.T, _ *Conn, n Counters) {
				if n.Duplicates != 2 || n.Retransmitted != 0 {
					t.Errorf("%+v", n)
				}
			},
		},
		{
			name: "the same behind a hole",
			segs: shake(
				seg{dir: out, seq: 104, ack: 501, data: "two"},
				seg{dir: out, seq: 104, ack: 501, data: "two", ms: 1},
				seg{dir: out, seq: 101, ack: 501, data: "one", ms: 2}),
			want: ">one >two",
			conn: cDup,
		},
		{
			name: "trap 49: retransmission cut otherwise gives no byte twice and no empty chunk",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "abcdef"},
				seg{dir: out, seq: 104, ack: 501, data: "defghi", ms: 300},
				seg{dir: out, seq: 101, ack: 501, data: "abcdefghi", ms: 600},
				seg{dir: out, seq: 110, ack: 501, data: ""},
				seg{dir: out, seq: 110, ack: 501, data: "j"}),
			want: ">abcdef >~ghi >j",
			check: func(t *testing.T, _ *Conn, n Counters) {
				if n.Overlaps != 1 || n.Retransmitted != 1 {
					t.Errorf("%+v", n)
				}
			},
		},
		{
			name: "an overlap that differs behind a hole: the first wins",
			segs: shake(
				seg{dir: out, seq: 104, ack: 501, data: "first"},
				seg{dir: out, seq: 103, ack: 501, data: "cFIRSTi"},
				seg{dir: out, seq: 101, ack: 501, data: "ab"}),
			want: ">overlap-differs >ab >c >first >~i",
			conn: cOverlap,
		},
		{
			name: "an overlap that differs with what fills the hole: what waits was first",
			segs: shake(
				seg{dir: out, seq: 103, ack: 501, data: "cd"},
				seg{dir: out, seq: 107, ack: 501, data: "gh"},
				seg{dir: out, seq: 101, ack: 501, data: "abXXefXXi"}),
			want: ">overlap-differs >ab >cd >~ef >gh >~i",
			conn: cOverlap,
		},
		{
			name: "an overlap that differs from what was just delivered",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "benign"},
				seg{dir: out, seq: 101, ack: 501, data: "attack"},
				seg{dir: out, seq: 107, ack: 501, data: "."}),
			want: ">benign >overlap-differs >.",
			conn: cOverlap,
		},
		{
			name: "one that covers two delivered segments and more",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "ab"},
				seg{dir: out, seq: 103, ack: 501, data: "cd"},
				seg{dir: out, seq: 101, ack: 501, data: "abXdef"}),
			want: ">ab >cd >overlap-differs >~ef",
			conn: cOverlap,
		},
		{
			name: "an overlap that differs is told once a direction",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "ab"},
				seg{dir: out, seq: 101, ack: 501, data: "XX"},
				seg{dir: out, seq: 101, ack: 501, data: "YY"},
				seg{dir: in, seq: 501, ack: 103, data: "cd"},
				seg{dir: in, seq: 501, ack: 103, data: "ZZ"}),
			want: ">ab >overlap-differs <cd <overlap-differs",
			conn: cOverlap,
		},
		{
			name: "a gap is skipped once the other side acknowledges it, before its answer",
			segs: shake(
				seg{dir: out, seq: 105, ack: 501, data: "lost before"},
				seg{dir: in, seq: 501, ack: 104, data: "no"}, // not all of it
				seg{dir: in, seq: 503, ack: 116, data: "yes"}),
			want: "<no >gap(4) >lost before <yes",
			conn: cMissing,
		},
		{
			name: "a gap that was acknowledged already does not wait",
			segs: shake(
				seg{dir: in, seq: 501, ack: 105, data: "answer"},
				seg{dir: out, seq: 105, ack: 507, data: "next"}),
			want: "<answer >gap(4) >next",
			conn: cMissing,
		},
		{
			name: "an acknowledgement that comes before its data skips nothing",
			segs: shake(
				seg{dir: in, seq: 501, ack: 105},
				seg{dir: out, seq: 101, ack: 501, data: "late"}),
			want: ">late",
		},
		{
			name: "an acknowledgement that comes before its data, which is out of order",
			segs: shake(
				seg{dir: in, seq: 501, ack: 109},
				seg{dir: out, seq: 105, ack: 501, data: "two."},
				seg{dir: out, seq: 101, ack: 501, data: "one."},
				seg{dir: out, seq: 113, ack: 501, data: "four"},
				seg{dir: in, seq: 501, ack: 117},
				seg{dir: out, seq: 109, ack: 501, data: "thr."}),
			want: ">one. >two. >thr. >four",
		},
		{
			name: "a gap that is acknowledged without data is skipped a moment later",
			segs: shake(
				seg{dir: out, seq: 103, ack: 501, data: "c"},
				seg{dir: in, seq: 501, ack: 104},
				seg{dir: out, seq: 104, ack: 501, data: "d"},
				seg{dir: out, seq: 105, ack: 501, data: "e", ms: 3}),
			want: ">gap(2) >c >d >e",
			conn: cMissing,
		},
		{
			name: "several gaps",
			segs: shake(
				seg{dir: out, seq: 103, ack: 501, data: "c"},
				seg{dir: out, seq: 106, ack: 501, data: "f"},
				seg{dir: out, seq: 110, ack: 501, data: "j"},
				seg{dir: in, seq: 501, ack: 107}),
			flush: true,
			want:  ">gap(2) >c >gap(2) >f >gap(3) >j",
			conn:  cMissing,
		},
		{
			name: "what waits at the end, and what only acknowledgements tell of",
			segs: shake(
				seg{dir: out, seq: 103, ack: 504, data: "c"}),
			flush: true,
			want:  ">gap(2) >c <gap(3)",
			conn:  cMissing,
		},
		{
			name: "an answer that was not seen but acknowledged",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "ask"},
				seg{dir: out, seq: 104, ack: 510, data: "thanks"}),
			flush: true,
			want:  ">ask >thanks <gap(9)",
			conn:  cMissing,
		},
		{
			name: "the sequence number wraps",
			segs: []seg{
				{dir: out, seq: 0xfffffffd, flags: SYN},
				{dir: in, seq: 0xffffffff, ack: 0xfffffffe, flags: SYN},
				{dir: out, seq: 0xfffffffe, ack: 0x100000000 - 1, flags: 0},
				{dir: out, seq: 2, ack: 1, data: "ef"},
				{dir: out, seq: 0xfffffffe, ack: 1, data: "abcd"},
				{dir: out, seq: 0, ack: 1, data: "cdefg", ms: 500},
				{dir: in, seq: 0, ack: 5, data: "answer"},
			},
			want: ">abcd >ef >~g <answer",
		},
		{
			name: "picked up in the middle: the first segment seen sets the sequence",
			segs: []seg{
				{dir: out, seq: 1000, ack: 7000, data: "one"},
				{dir: in, seq: 7000, ack: 1003, data: "two"},
				{dir: out, seq: 997, ack: 7003, data: "old"}, // came late, dropped
				{dir: out, seq: 1003, ack: 7003, data: "three"},
			},
			want: ">one <two >three",
			conn: cMid,
		},
		{
			name: "picked up at a bare acknowledgement, though the data comes before",
			segs: []seg{
				{dir: out, seq: 1000, ack: 7000},
				{dir: in, seq: 7003, ack: 1000, data: "def"},
				{dir: in, seq: 7000, ack: 1000, data: "abc"},
				{dir: in, seq: 7006, ack: 1000, data: "ghi"},
			},
			want: "<def <ghi",
			conn: cMid,
		},
		{
			name: "picked up at a keep-alive",
			segs: []seg{
				{dir: out, seq: 999, ack: 7000, data: "\x00"},
				{dir: out, seq: 1000, ack: 7000, data: "go"},
			},
			want: ">go",
			conn: cMid | cOne,
		},
		{
			name: "the SYN was captured after the data",
			segs: []seg{
				{dir: out, seq: 101, ack: 501, data: "early"},
				{dir: out, seq: 100, flags: SYN},
				{dir: in, seq: 500, ack: 101, flags: SYN},
				{dir: in, seq: 501, ack: 106, data: "ok"},
			},
			want: ">early <ok",
		},
		{
			name: "the SYN was not captured, its answer was",
			segs: []seg{
				{dir: in, seq: 500, ack: 101, flags: SYN},
				{dir: out, seq: 105, ack: 501, data: "second"},
				{dir: out, seq: 101, ack: 501, data: "1st."},
			},
			want: ">1st. >second",
			check: func(t *testing.T, c *Conn, _ Counters) {
				if dir, known := c.Initiator(); !known || dir != out {
					t.Errorf("initiator %d %v", dir, known)
				}
			},
		},
		{
			name: "the answer to the SYN was not captured",
			segs: []seg{
				{dir: out, seq: 100, flags: SYN},
				{dir: out, seq: 101, ack: 501},
				{dir: out, seq: 101, ack: 501, data: "ask"},
				{dir: in, seq: 501, ack: 104, data: "answer"},
			},
			want: ">ask <answer",
		},
		{
			name: "only the initiator's direction was captured",
			segs: []seg{
				{dir: out, seq: 100, flags: SYN},
				{dir: out, seq: 101, ack: 501},
				{dir: out, seq: 101, ack: 501, data: "one"},
				{dir: out, seq: 104, ack: 600, data: "two"},
			},
			flush: true,
			want:  ">one >two",
			conn:  cOne,
		},
		{
			name: "only the other direction was captured",
			segs: []seg{
				{dir: in, seq: 500, ack: 101, flags: SYN},
				{dir: in, seq: 501, ack: 150, data: "one"},
				{dir: in, seq: 504, ack: 200, data: "two"},
			},
			flush: true,
			want:  "<one <two",
			conn:  cOne,
		},
		{
			name: "one direction in the middle, with a hole that nobody acknowledges",
			segs: []seg{
				{dir: in, seq: 501, ack: 150, data: "a"},
				{dir: in, seq: 504, ack: 200, data: "d", ms: 10},
				{dir: in, seq: 505, ack: 200, data: "e", ms: 900},
				{dir: in, seq: 506, ack: 200, data: "f", ms: 1200},
			},
			want: "<a <gap(2) <d <e <f",
			conn: cOne | cMid | cMissing,
		},
		{
			name: "FIN with data, both ways",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, flags: FIN, data: "last"},
				seg{dir: in, seq: 501, ack: 106, flags: FIN, data: "bye", want: Closed},
				seg{dir: out, seq: 106, ack: 505},
				seg{dir: in, seq: 501, ack: 106, flags: FIN, data: "bye", ms: 400}),
			flush: true,
			want:  ">last <bye",
		},
		{
			name: "FIN before the data that it ends",
			segs: shake(
				seg{dir: in, seq: 501, ack: 101, flags: FIN},
				seg{dir: out, seq: 104, ack: 502, flags: FIN, data: "def"},
				seg{dir: out, seq: 101, ack: 502, data: "abc", want: Closed}),
			want: ">abc >def",
		},
		{
			name: "half closed, the other side goes on",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, flags: FIN},
				seg{dir: in, seq: 501, ack: 102, data: "still"},
				seg{dir: in, seq: 506, ack: 102, data: "here"},
				seg{dir: in, seq: 510, ack: 102, flags: FIN, want: Closed}),
			want: "<still <here",
		},
		{
			name: "the last data before a FIN was lost but acknowledged",
			segs: shake(
				seg{dir: in, seq: 501, ack: 101, flags: FIN},
				seg{dir: out, seq: 111, ack: 502, flags: FIN},
				seg{dir: in, seq: 502, ack: 112, ms: 1},
				seg{dir: in, seq: 502, ack: 112, ms: 9, want: Closed}),
			flush: true,
			want:  ">gap(10)",
			conn:  cMissing,
		},
		{
			name: "data after FIN is ignored and told",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, flags: FIN, data: "end"},
				seg{dir: out, seq: 105, ack: 501, data: "beyond"}),
			want: ">end >data-after-fin",
		},
		{
			name: "trap 48: a fake FIN does not end the stream",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, flags: FIN},
				seg{dir: out, seq: 101, ack: 501, data: "attack"},
				seg{dir: out, seq: 107, ack: 501, data: "more"},
				seg{dir: in, seq: 501, ack: 111, flags: FIN},
				seg{dir: out, seq: 111, ack: 502, flags: FIN, want: Closed}),
			want: ">data-after-fin >attack >more",
		},
		{
			name: "a FIN before the first byte is no part of this",
			segs: []seg{
				{dir: out, seq: 100, flags: SYN},
				{dir: out, seq: 100, flags: FIN},
				{dir: in, seq: 500, ack: 101, flags: SYN},
				{dir: out, seq: 101, ack: 501, data: "go"},
			},
			want: ">go",
		},
		{
			name: "trap 48: a FIN inside the data",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "abcdef"},
				seg{dir: out, seq: 101, ack: 501, flags: FIN, data: "abc"},
				seg{dir: out, seq: 107, ack: 501, data: "ghi"}),
			want: ">abcdef >misplaced-fin >ghi",
		},
		{
			name: "a keep-alive behind the FIN",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, flags: FIN, data: "end"},
				seg{dir: out, seq: 104, ack: 501, data: "\x00", ms: 5000}),
			want: ">end",
		},
		{
			name: "RST at the next byte",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "ask"},
				seg{dir: in, seq: 501, flags: RST, want: Closed},
				seg{dir: out, seq: 104, ack: 501, data: "in flight"},
				seg{dir: in, seq: 501, flags: RST}),
			want: ">ask",
			check: func(t *testing.T, _ *Conn, n Counters) {
				if n.Late != 1 {
					t.Errorf("%+v", n)
				}
			},
		},
		{
			name: "trap 48: the payload of an RST is no data",
			segs: shake(
				seg{dir: in, seq: 501, ack: 101, flags: RST, data: "go away", want: Closed}),
			flush: true,
			want:  "",
		},
		{
			name: "RST elsewhere in the window is ignored, as hosts do",
			segs: shake(
				seg{dir: out, seq: 600, ack: 501, flags: RST},
				seg{dir: out, seq: 0x80000000, flags: RST},
				seg{dir: out, seq: 101, ack: 501, data: "still here"}),
			want: ">still here",
			check: func(t *testing.T, _ *Conn, n Counters) {
				if n.BadResets != 2 {
					t.Errorf("%+v", n)
				}
			},
		},
		{
			name: "RST in the window where bytes are missing",
			segs: shake(
				seg{dir: in, seq: 501, ack: 105},
				seg{dir: out, seq: 105, ack: 501, data: "x", ms: 5},
				seg{dir: out, seq: 200, ack: 501, flags: RST, ms: 5, want: Closed}),
			want: ">gap(4) >x",
			conn: cMissing,
		},
		{
			name: "RST behind data that waits; the end tells what waited",
			segs: shake(
				seg{dir: out, seq: 105, ack: 501, data: "wait"},
				seg{dir: out, seq: 109, ack: 501, flags: RST, want: Closed}),
			flush: true,
			want:  ">gap(4) >wait",
			conn:  cMissing,
		},
		{
			name: "a refused connection",
			segs: []seg{
				{dir: out, seq: 100, flags: SYN},
				{dir: in, seq: 0, ack: 99, flags: RST}, // acknowledges something else
				{dir: in, seq: 0, ack: 101, flags: RST, want: Closed},
				{dir: out, seq: 100, flags: SYN, ms: 500, want: Reused}, // Windows tries again
			},
		},
		{
			name: "data that goes on from an RST: it was not the sender's",
			segs: shake(
				seg{dir: out, seq: 101, flags: RST, want: Closed},
				seg{dir: out, seq: 101, ack: 501, data: "attack", want: Reused}),
			want: ">data-after-reset",
		},
		{
			name: "SYN with data (RFC 7413), taken",
			segs: []seg{
				{dir: out, seq: 100, flags: SYN, data: "fast"},
				{dir: in, seq: 500, ack: 105, flags: SYN},
				{dir: in, seq: 501, ack: 105, data: "ok"},
				{dir: out, seq: 105, ack: 503, data: "then"},
			},
			want: ">fast <ok >then",
		},
		{
			name: "SYN with data, not taken and sent again",
			segs: []seg{
				{dir: out, seq: 100, flags: SYN, data: "fast"},
				{dir: in, seq: 500, ack: 101, flags: SYN},
				{dir: out, seq: 101, ack: 501, data: "fast", ms: 1},
				{dir: out, seq: 105, ack: 501, data: "then"},
			},
			want: ">fast >then",
			conn: cDup,
		},
		{
			name: "SYN with data that is never answered",
			segs: []seg{
				{dir: out, seq: 100, flags: SYN, data: "fast"},
				{dir: out, seq: 100, flags: SYN, data: "fast", ms: 1000},
			},
			flush: true,
			want:  ">fast",
			conn:  cOne,
		},
		{
			name: "the SYN again is nothing new",
			segs: []seg{
				{dir: out, seq: 100, flags: SYN},
				{dir: out, seq: 100, flags: SYN, ms: 1},
				{dir: in, seq: 500, ack: 101, flags: SYN},
				{dir: in, seq: 500, ack: 101, flags: SYN, ms: 1},
				{dir: out, seq: 101, ack: 501, data: "go"},
			},
			want: ">go",
		},
		{
			name: "trap 48, CVE-2025-59147: of two SYNs the answered one counts, here the first",
			segs: []seg{
				{dir: out, seq: 100, flags: SYN, data: "att"},
				{dir: out, seq: 0x70000000, flags: SYN, data: "decoy"},
				{dir: in, seq: 500, ack: 101, flags: SYN},
				{dir: out, seq: 101, ack: 501, data: "attack"},
			},
			want: ">syn-differs >att >~ack",
		},
		{
			name: "trap 48, CVE-2025-59147: here the second",
			segs: []seg{
				{dir: out, seq: 0x70000000, flags: SYN, data: "decoy"},
				{dir: out, seq: 100, flags: SYN},
				{dir: in, seq: 500, ack: 101, flags: SYN},
				{dir: out, seq: 101, ack: 501, data: "attack"},
			},
			want: ">syn-differs >attack",
		},
		{
			name: "trap 48, CVE-2025-59147: here the second, after data of the first",
			segs: []seg{
				{dir: out, seq: 0x70000000, flags: SYN},
				{dir: out, seq: 100, flags: SYN},
				{dir: out, seq: 0x70000001, ack: 501, data: "decoy"},
				{dir: in, seq: 500, ack: 101, flags: SYN},
				{dir: out, seq: 101, ack: 501, data: "attack"},
			},
			want: ">syn-differs >decoy >gap(-1) >attack",
			conn: cMissing,
		},
		{
			name: "trap 48, CVE-2025-59147: one of many",
			segs: []seg{
				{dir: out, seq: 0x70000000, flags: SYN},
				{dir: out, seq: 100, flags: SYN},
				{dir: out, seq: 0x71000000, flags: SYN},
				{dir: out, seq: 0x72000000, flags: SYN},
				{dir: in, seq: 500, ack: 101, flags: SYN},
				{dir: out, seq: 101, ack: 501, data: "attack"},
			},
			want: ">syn-differs >attack",
		},
		{
			name: "an answer that fits no SYN is no answer",
			segs: []seg{
				{dir: out, seq: 100, flags: SYN},
				{dir: in, seq: 900, ack: 0x70000000, flags: SYN},
				{dir: in, seq: 500, ack: 101, flags: SYN},
				{dir: out, seq: 101, ack: 501, data: "go"},
				{dir: in, seq: 501, ack: 103, data: "on"},
			},
			want: "<syn-differs >go <on",
		},
		{
			name: "two SYNs and no answer seen: the sender's next segment tells",
			segs: []seg{
				{dir: out, seq: 0x70000000, flags: SYN},
				{dir: out, seq: 100, flags: SYN},
				{dir: out, seq: 101, ack: 501, data: "go"},
			},
			want: ">syn-differs >go",
			conn: cOne,
		},
		{
			name: "a SYN into an open connection changes nothing until it is answered",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "one"},
				seg{dir: out, seq: 0x70000000, flags: SYN},
				seg{dir: in, seq: 501, ack: 104, data: "two"}, // the challenge of RFC 5961
				seg{dir: out, seq: 104, ack: 504, data: "three"}),
			want: ">one >syn-inside-connection <two >three",
		},
		{
			name: "a reused port whose first connection was not seen to end",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "one"},
				seg{dir: out, seq: 0x70000000, flags: SYN},
				seg{dir: in, seq: 0x60000000, ack: 0x70000001, flags: SYN, want: Reused}),
			want: ">one >syn-inside-connection",
		},
		{
			name: "a reused port, one direction captured",
			segs: []seg{
				{dir: out, seq: 100, flags: SYN},
				{dir: out, seq: 101, ack: 501, data: "one"},
				{dir: out, seq: 0x70000000, flags: SYN, want: Reused},
			},
			want: ">one",
			conn: cOne,
		},
		{
			name: "a reused port after the end, with the same sequence number even",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, flags: FIN},
				seg{dir: in, seq: 501, ack: 102, flags: FIN, want: Closed},
				seg{dir: in, seq: 500, ack: 101, flags: SYN}, // a late repeat
				seg{dir: out, seq: 100, flags: SYN, want: Reused}),
			want: "",
		},
		{
			name: "trap 48: urgent data stays in line and is told",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "ab"},
				seg{dir: out, seq: 103, ack: 501, flags: URG, data: "cd"},
				seg{dir: out, seq: 105, ack: 501, flags: URG, data: "ef"}),
			want: ">ab >urgent-data >cd >ef",
		},
		{
			name: "keep-alives are no overlap",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "data"},
				seg{dir: out, seq: 104, ack: 501, data: "\x00", ms: 7200000},
				seg{dir: out, seq: 104, ack: 501, data: "", ms: 7201000},
				seg{dir: out, seq: 105, ack: 501, data: "more", ms: 7202000}),
			want: ">data >more",
			check: func(t *testing.T, _ *Conn, n Counters) {
				if n.KeepAlives != 1 || n.Retransmitted != 0 {
					t.Errorf("%+v", n)
				}
			},
		},
		{
			name: "one byte at a time, each twice with another value, is no keep-alive",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "a"},
				seg{dir: out, seq: 101, ack: 501, data: "X"},
				seg{dir: out, seq: 102, ack: 501, data: "b"}),
			want: ">a >overlap-differs >b",
			conn: cOverlap,
		},
		{
			name: "a zero-window probe of one byte, then all of the data",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "p"},
				seg{dir: out, seq: 101, ack: 501, data: "p", ms: 5000},
				seg{dir: out, seq: 101, ack: 501, data: "probe", ms: 6000}),
			want: ">p >~robe",
		},
		{
			name: "payload cut by the snap length",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "head", missing: 10},
				seg{dir: out, seq: 115, ack: 501, data: "next"},
				seg{dir: out, seq: 119, ack: 501, missing: 3},
				seg{dir: out, seq: 125, ack: 501, data: "late", missing: 1},
				seg{dir: out, seq: 122, ack: 501, data: "mid"}),
			want: ">head >gap(10) >next >gap(3) >mid >late >gap(1)",
			conn: cCut,
		},
		{
			name: "a cut segment again",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "head", missing: 10},
				seg{dir: out, seq: 101, ack: 501, data: "head", missing: 10, ms: 500},
				seg{dir: out, seq: 103, ack: 501, data: "ad", missing: 12, ms: 900}),
			want: ">head >gap(10) >gap(2)",
			conn: cCut,
		},
		{
			name: "blind injection far outside the window is ignored",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "one"},
				seg{dir: out, seq: 0x70000000, ack: 0x12345678, data: "evil"},
				seg{dir: in, seq: 0x70000000, ack: 104, data: "evil"},
				seg{dir: out, seq: 104, ack: 501, data: "two"},
				seg{dir: in, seq: 501, ack: 107, data: "three"}),
			want: ">one >two <three",
			check: func(t *testing.T, _ *Conn, n Counters) {
				if n.Outside != 2 {
					t.Errorf("%+v", n)
				}
			},
		},
		{
			name: "a stream that jumped is found by what the other side acknowledges",
			segs: shake(
				seg{dir: out, seq: 101, ack: 501, data: "one"},
				seg{dir: out, seq: 0x70000000, ack: 501, data: "far"},
				seg{dir: in, seq: 501, ack: 0x70000003, data: "yes"},
				seg{dir: out, seq: 0x70000003, ack: 504, data: "go on"}),
			want: ">one >gap(-1) <yes >go on",
			conn: cMissing,
		},
		{
			name: "a stream that jumped, one direction captured: by three in sequence",
			segs: []seg{
				{dir: out, seq: 101, ack: 501, data: "one"},
				{dir: out, seq: 0x70000000, ack: 501, data: "a"},
				{dir: out, seq: 0x70000001, ack: 501, data: "b"},
				{dir: out, seq: 0x70000002, ack: 501, data: "c"},
				{dir: out, seq: 0x70000003, ack: 501, data: "d"},
			},
			want: ">one >gap(-1) >c >d",
			conn: cMissing | cMid | cOne,
		},
		{
			name: "odd flags and nothing else",
			segs: shake(
				seg{dir: out, seq: 101},
				seg{dir: out, seq: 101, flags: 0xff &^ (RST)},
				seg{dir: in, seq: 0, flags: 0xff},
				seg{dir: out, seq: 101, ack: 501, data: "go"}),
			want: ">syn-inside-connection >go",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReassembler(Config{})
			c := new(Conn)
			rec := &recorder{c: c}
			for i := range tt.segs {
				s := tt.segs[i].segment()
				got := r.Segment(c, tt.segs[i].dir, &s, rec)
				if got != tt.segs[i].want {
					t.Errorf("segment %d: result %d, want %d", i, got, tt.segs[i].want)
				}
				clear(s.Payload) // it was borrowed
				checkInvariants(t, r, c)
			}
			if tt.flush {
				r.Flush(c, rec)
				checkInvariants(t, r, c)
			}
			if got := strings.Join(rec.log, " "); got != tt.want {
				t.Errorf("told\n%s\nwant\n%s", got, tt.want)
			}
			conn := 0
			for i, on := range []bool{c.MidStream(), c.Missing(), c.Duplicates(), c.Overlap(), c.OneSided(), c.Cut()} {
				if on {
					conn |= 1 << i
				}
			}
			if conn != tt.conn {
				t.Errorf("quality %06b, want %06b (cut, one-sided, overlap, duplicates, missing, mid-stream)", conn, tt.conn)
			}
			if tt.check != nil {
				tt.check(t, c, r.Counters())
			}
			r.Reset(c)
			checkInvariants(t, r)
			if n := r.Counters().Waiting; n != 0 {
				t.Errorf("%d bytes wait after Reset", n)
			}
			if *c != (Conn{}) {
				t.Error("a reset connection is not as new")
			}
		})
	}
}

// checkInvariants looks for contradictions in what waits; conns are all that
// the Reassembler serves.
func checkInvariants(t testing.TB, r *Reassembler, conns ...*Conn) {
	t.Helper()
	used, lists := 0, 0
	for _, c := range conns {
		for dir := range c.half {
			h := &c.half[dir]
			w := h.wait
			if w == nil {
				continue
			}
			if w.lost {
				if w.first != nil || len(w.kept()) != 0 {
					t.Fatal("something waits though it was lost")
				}
				continue
			}
			lists++
			used += cap(w.buf)
			if len(w.kept()) == 0 && w.nodes == 0 {
				t.Fatal("nothing waits, yet memory is held")
			}
			if len(w.kept()) > r.cfg.MaxPerFlow/2 || w.nodeBytes > r.cfg.MaxPerFlow/2 || w.nodes > r.cfg.MaxSegments {
				t.Fatalf("more waits than is allowed: %d unused, %d in %d segments", len(w.kept()), w.nodeBytes, w.nodes)
			}
			count, size := 0, 0
			end := h.next
			var last *node
			for n := w.first; n != nil; n = n.next {
				if n.prev != last {
					t.Fatal("nodes are linked wrongly")
				}
				if after(end, n.seq) || len(n.b)+n.missing == 0 {
					t.Fatal("a node overlaps the one before, or is empty")
				}
				if n == w.first && n.seq == h.next && h.flags&held == 0 {
					t.Fatal("a node waits though nothing is missing")
				}
				end, last = n.end(), n
				count++
				size += len(n.b)
				used += nodeCost + cap(n.b)
			}
			if last != w.last || count != w.nodes || size != w.nodeBytes {
				t.Fatal("nodes are counted wrongly")
			}
		}
	}
	n := 0
	for w := r.oldest; w != nil; w = w.newer {
		n++
	}
	if n != lists {
		t.Fatalf("%d lists wait, %d are known to", n, lists)
	}
	if used != r.used || r.used > r.limit {
		t.Fatalf("%d bytes wait, %d are charged of %d", used, r.used, r.limit)
	}
	if r.idle > r.limit/4 {
		t.Fatalf("%d bytes are idle", r.idle)
	}
}

func TestUnusedBytesComeAgain(t *testing.T) {
	// A record is a digit n followed by n bytes.
	record := func(b []byte) (used int) {
		for used < len(b) {
			n := 1 + int(b[used]-'0')
			if n > len(b)-used {
				return used
			}
			used += n
		}
		return used
	}
	tests := []struct {
		name string
		segs []seg
		want string
	}{
		{
			"several records in a segment, one over several",
			shake(
				seg{dir: out, seq: 101, ack: 501, data: "1a2bb3"},
				seg{dir: out, seq: 107, ack: 501, data: "c"},
				seg{dir: out, seq: 108, ack: 501, data: "cc1d1"},
				seg{dir: out, seq: 113, ack: 501, data: "e"},
				seg{dir: out, seq: 114, ack: 501, data: "0"}),
			">1a2bb3 >~3c >~3ccc1d1 >~1e >0",
		},
		{
			"a record begun behind a hole",
			shake(
				seg{dir: out, seq: 103, ack: 501, data: "2b"},
				seg{dir: out, seq: 105, ack: 501, data: "b1c"},
				seg{dir: out, seq: 101, ack: 501, data: "1a"}),
			">1a >2b >2bb1c",
		},
		{
			"a gap drops the beginning of a record",
			shake(
				seg{dir: out, seq: 101, ack: 501, data: "1a9b"},
				seg{dir: out, seq: 108, ack: 501, data: "1c"},
				seg{dir: in, seq: 501, ack: 110, data: "."}),
			">1a9b >gap(3) >1c <.",
		},
		{
			"the rest of a cut segment, too",
			shake(
				seg{dir: out, seq: 101, ack: 501, data: "1a9b", missing: 8},
				seg{dir: out, seq: 113, ack: 501, data: "1c"}),
			">1a9b >gap(8) >1c",
		},
		{
			"an overlap with unused bytes is compared byte by byte",
			shake(
				seg{dir: out, seq: 101, ack: 501, data: "9abcd"},
				seg{dir: out, seq: 104, ack: 501, data: "cX"}),
			">9abcd >overlap-differs",
		},
		{
			"both directions keep their own",
			shake(
				seg{dir: out, seq: 101, ack: 501, data: "2a"},
				seg{dir: in, seq: 501, ack: 103, data: "2x"},
				seg{dir: out, seq: 103, ack: 503, data: "b"},
				seg{dir: in, seq: 503, ack: 104, data: "y"}),
			">2a <2x >2ab <2xy",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReassembler(Config{})
			c := new(Conn)
			rec := &recorder{use: record}
			for i := range tt.segs {
				s := tt.segs[i].segment()
				r.Segment(c, tt.segs[i].dir, &s, rec)
				clear(s.Payload)
				checkInvariants(t, r, c)
			}
			if got := strings.Join(rec.log, " "); got != tt.want {
				t.Errorf("told\n%s\nwant\n%s", got, tt.want)
			}
			r.Reset(c)
			checkInvariants(t, r)
		})
	}
}

func TestAReceiverMayWantNoMore(t *testing.T) {
	r := NewReassembler(Config{})
	c := new(Conn)
	rec := &recorder{c: c, ign: true}
	for i, s := range shake(
		seg{dir: out, seq: 104, ack: 501, data: "waits"},
		seg{dir: out, seq: 101, ack: 501, data: "one"},
		seg{dir: out, seq: 112, ack: 501, data: "hole before"},
		seg{dir: out, seq: 109, ack: 501, data: "..."},
		seg{dir: out, seq: 123, ack: 501, flags: FIN},
		seg{dir: in, seq: 501, ack: 124, flags: FIN, want: Closed},
	) {
		got := s.segment()
		if res := r.Segment(c, s.dir, &got, rec); res != s.want {
			t.Errorf("segment %d: result %d", i, res)
		}
		checkInvariants(t, r, c)
	}
	r.Flush(c, rec)
	if got := strings.Join(rec.log, " "); got != ">one" {
		t.Errorf("told %s", got)
	}
	if n := r.Counters().Waiting; n != 0 {
		t.Errorf("%d bytes wait", n)
	}
}

func TestANonsenseReceiverDoesNoHarm(t *testing.T) {
	for _, used := range []int{-5, 1 << 30} {
		r := NewReassembler(Config{})
		c := new(Conn)
		rec := &recorder{use: func([]byte) int { return used }}
		for _, s := range shake(
			seg{dir: out, seq: 101, ack: 501, data: "one"},
			seg{dir: out, seq: 107, ack: 501, data: "three"},
			seg{dir: out, seq: 104, ack: 501, data: "two"},
		) {
			got := s.segment()
			r.Segment(c, s.dir, &got, rec)
			checkInvariants(t, r, c)
		}
		r.Flush(c, rec)
		checkInvariants(t, r, c)
	}
}

// counting is a Receiver that uses nothing, or all, and counts.
type counting struct {
	use   bool
	bytes int
	gaps  int64
	lost  int
	calls int
	last  int
}

func (r *counting) Data(_ Dir, b []byte, _ bool) int {
	r.calls++
	r.last = len(b)
	if !r.use {
		return 0
	}
	r.bytes += len(b)
	return len(b)
}

func (r *counting) Gap(_ Dir, n int64) {
	if n > 0 {
		r.gaps += n
	} else {
		r.lost++
	}
}

func (r *counting) Anomaly(Dir, Anomaly) {}

func TestAPDUOf64KiBFitsTheSmallestBound(t *testing.T) {
	r := NewReassembler(Config{MaxPerFlow: 1, MaxTotal: 1})
	c := new(Conn)
	to := new(counting)
	payload := make([]byte, 1460)
	seq := uint32(1)
	for n := 0; n < 65536+1460; n += len(payload) {
		r.Segment(c, 0, &Segment{Seq: seq, Flags: ACK, Payload: payload}, to)
		seq += uint32(len(payload))
	}
	if to.lost != 0 || to.last < 65536 {
		t.Errorf("%d bytes offered, %d times lost", to.last, to.lost)
	}
}

// Trap 49: a receiver that never uses anything, and a sender that never fills
// his holes, are held to the bounds.
func TestTrap49BoundsHold(t *testing.T) {
	payload := make([]byte, 1000)
	t.Run("unused bytes", func(t *testing.T) {
		r := NewReassembler(Config{MaxPerFlow: minPerFlow})
		c := new(Conn)
		to := new(counting)
		for i := range uint32(2000) {
			r.Segment(c, 0, &Segment{Seq: i * 1000, Flags: ACK, Payload: payload}, to)
			checkInvariants(t, r, c)
		}
		if to.lost == 0 || !c.Missing() || r.Counters().FlowOverflows == 0 {
			t.Error("nothing was lost")
		}
	})
	t.Run("bytes behind a hole", func(t *testing.T) {
		r := NewReassembler(Config{MaxPerFlow: minPerFlow})
		c := new(Conn)
		to := &counting{use: true}
		r.Segment(c, 1, &Segment{Seq: 0, Flags: ACK}, to)
		r.Segment(c, 0, &Segment{Seq: 0, Flags: ACK, Payload: payload}, to)
		for i := range uint32(500) {
			r.Segment(c, 0, &Segment{Seq: 5000 + i*1000, Flags: ACK, Payload: payload}, to)
			checkInvariants(t, r, c)
		}
		if to.gaps != 4000 || to.bytes < 300_000 {
			t.Errorf("gaps of %d bytes, %d bytes delivered", to.gaps, to.bytes)
		}
		r.Flush(c, to)
		if to.bytes != 501_000 {
			t.Errorf("%d bytes delivered", to.bytes)
		}
	})
	t.Run("segments behind holes, backwards", func(t *testing.T) {
		r := NewReassembler(Config{MaxSegments: 50})
		c := new(Conn)
		to := &counting{use: true}
		r.Segment(c, 1, &Segment{Seq: 0, Flags: ACK}, to)
		r.Segment(c, 0, &Segment{Seq: 0, Flags: ACK, Payload: payload[:1]}, to)
		for i := range uint32(1000) {
			r.Segment(c, 0, &Segment{Seq: 100_000 - 3*i, Flags: ACK, Payload: payload[:1]}, to)
			checkInvariants(t, r, c)
		}
		if n := r.Counters().FlowOverflows; n == 0 {
			t.Error("no overflow")
		}
	})
	t.Run("all connections together", func(t *testing.T) {
		r := NewReassembler(Config{MaxPerFlow: minPerFlow, MaxTotal: 1 << 20})
		conns := make([]*Conn, 100)
		to := make([]counting, len(conns))
		for i := range conns {
			conns[i] = new(Conn)
		}
		for step := range uint32(60) {
			for i, c := range conns {
				if i%2 == 0 {
					r.Segment(c, 0, &Segment{Seq: step * 1000, Flags: ACK, Payload: payload}, &to[i])
				} else {
					r.Segment(c, 0, &Segment{Seq: step * 2000, Flags: ACK, Payload: payload}, &to[i])
				}
			}
			checkInvariants(t, r, conns...)
		}
		n := r.Counters()
		if n.Reclaimed == 0 || n.PeakWaiting > 1<<20 {
			t.Errorf("%+v", n)
		}
		lost := 0
		for i, c := range conns {
			r.Flush(c, &to[i])
			lost += to[i].lost
			r.Reset(c)
		}
		checkInvariants(t, r)
		if lost == 0 {
			t.Error("no receiver was told")
		}
	})
}

func TestTrap49SegmentsOfAFewBytesThatDoNotFitAreTold(t *testing.T) {
	cases := []struct {
		name string
		size int
		told int
	}{
		{"a byte each", 1, 1},
		{"a few bytes each", 30, 1},
		{"as many as honest hosts send", 200, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := NewReassembler(Config{})
			conn, to := new(Conn), &counting{use: true}
			r.Segment(conn, 1, &Segment{Seq: 0, Flags: ACK}, to)
			r.Segment(conn, 0, &Segment{Seq: 0, Flags: ACK, Payload: []byte{1}}, to)
			for i := range uint32(3000) {
				r.Segment(conn, 0, &Segment{Seq: 1_000_000 - i*uint32(c.size), Flags: ACK, Payload: make([]byte, c.size)}, to)
			}
			if n := r.Counters(); int(n.Anomalies) != c.told || n.FlowOverflows == 0 {
				t.Errorf("%d anomalies, %d overflows", n.Anomalies, n.FlowOverflows)
			}
		})
	}
}

// A hole that was skipped because of a bound, not of an acknowledgement, may
// have been dug by segments that the other end never took. Its
// acknowledgements then lead back.
func TestASkippedHoleIsReturnedTo(t *testing.T) {
	r := NewReassembler(Config{MaxSegments: 4})
	c := new(Conn)
	rec := &recorder{}
	segs := shake(seg{dir: out, seq: 101, ack: 501, data: "one"})
	for i := range uint32(5) {
		segs = append(segs, seg{dir: out, seq: 50000 + 10*i, ack: 501, data: "junk"})
	}
	segs = append(segs,
		seg{dir: out, seq: 104, ack: 501, data: "two"},
		seg{dir: in, seq: 501, ack: 107, data: "yes"},
		seg{dir: out, seq: 107, ack: 504, data: "three"})
	for i := range segs {
		s := segs[i].segment()
		r.Segment(c, segs[i].dir, &s, rec)
		checkInvariants(t, r, c)
	}
	got := strings.Join(rec.log, " ")
	if !strings.HasSuffix(got, ">gap(-1) <yes >three") {
		t.Errorf("told %s", got)
	}
}

// However small the pieces of a PDU, each byte is moved a bounded number of
// times.
func TestSmallPiecesAreNotQuadratic(t *testing.T) {
	r := NewReassembler(Config{})
	c := new(Conn)
	moved := 0
	var last *byte
	to := &touching{func(b []byte) int {
		if &b[0] != last {
			moved += len(b)
			last = &b[0]
		}
		if len(b) < 60000 {
			return 0
		}
		return len(b) - 1
	}}
	const n = 200_000
	for i := range uint32(n) {
		r.Segment(c, 0, &Segment{Seq: i, Flags: ACK, Payload: []byte{1}}, to)
	}
	if moved > 8*n {
		t.Errorf("%d bytes in %d places", n, moved)
	}
}

type touching struct{ use func([]byte) int }

func (r *touching) Data(_ Dir, b []byte, _ bool) int { return r.use(b) }
func (r *touching) Gap(Dir, int64)                   {}
func (r *touching) Anomaly(Dir, Anomaly)             {}

func TestAConnectionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 200 {
		t.Errorf("a connection takes %d bytes", n)
	}
}

func TestAnomaliesHaveNames(t *testing.T) {
	if anomalies > 9 {
		t.Error("half.told has no bit for the last anomaly")
	}
	seen := map[string]bool{}
	for a := range anomalies + 1 {
		name := a.String()
		if name == "" || seen[name] {
			t.Errorf("anomaly %d is named %q", a, name)
		}
		seen[name] = true
	}
	if anomalies.Evasive() || !OverlapDiffers.Evasive() || SYNInside.Evasive() {
		t.Error("wrong ones are evasive")
	}
}

func TestCountersAdd(t *testing.T) {
	var a, b Counters
	b.Segments, b.PeakWaiting, b.Anomalies = 1, 2, 3
	a.Add(b)
	a.Add(b)
	if a.Segments != 2 || a.PeakWaiting != 4 || a.Anomalies != 6 {
		t.Errorf("%+v", a)
	}
}
