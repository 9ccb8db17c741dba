package ncadg

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"kmswatch/decode/dcerpc"
)

var (
	pnioDevice = dcerpc.Syntax{UUID: dcerpc.MustUUID("dea00001-6c97-11d1-8271-00a02442df7d"), Major: 1}
	messenger  = dcerpc.Syntax{UUID: dcerpc.MustUUID("5a7b91f8-ff00-11d0-a9b2-00c04fb6e6fc"), Major: 1}
	manager    = dcerpc.Syntax{UUID: ConvManager, Major: 3}
	act1       = dcerpc.MustUUID("11111111-0000-0000-8000-000000000001")
	act2       = dcerpc.MustUUID("22222222-0000-0000-8000-000000000002")
)

// dg is a datagram to be built.
type dg struct {
	ptype          dcerpc.PType
	flags1, flags2 uint8
	big            bool
	object         dcerpc.UUID
	iface          dcerpc.Syntax
	act            dcerpc.UUID
	seq            uint32
	opnum, frag    uint16
	auth           uint8
	serial         uint16
	body           string
	tail           string // behind the body: padding and verifier
}

func wireUUID(u dcerpc.UUID, big bool) []byte {
	b := u
	if !big {
		b[0], b[1], b[2], b[3] = u[3], u[2], u[1], u[0]
		b[4], b[5], b[6], b[7] = u[5], u[4], u[7], u[6]
	}
	return b[:]
}

func (d dg) bytes() []byte {
	var o binary.AppendByteOrder = binary.LittleEndian
	drep := byte(0x10)
	if d.big {
		o, drep = binary.BigEndian, 0
	}
	b := []byte{4, byte(d.ptype), d.flags1, d.flags2, drep, 0, 0, byte(d.serial >> 8)}
	b = append(b, wireUUID(d.object, d.big)...)
	b = append(b, wireUUID(d.iface.UUID, d.big)...)
	b = append(b, wireUUID(d.act, d.big)...)
	b = o.AppendUint32(b, 7)
	b = o.AppendUint32(b, uint32(d.iface.Major)|uint32(d.iface.Minor)<<16)
	b = o.AppendUint32(b, d.seq)
	b = o.AppendUint16(b, d.opnum)
	b = o.AppendUint16(b, 0xffff)
	b = o.AppendUint16(b, 0xffff)
	b = o.AppendUint16(b, uint16(len(d.body)))
	b = o.AppendUint16(b, d.frag)
	b = append(b, d.auth, byte(d.serial))
	b = append(b, d.body...)
	return append(b, d.tail...)
}

// record is a Handler that writes down what it is told.
type record struct{ lines []string }

func (r *record) add(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func ifaceName(s dcerpc.Syntax) string {
	switch s {
	case pnioDevice:
		return "pnio"
	case messenger:
		return "msgsvc"
	case manager:
		return "conv"
	}
	return s.UUID.String()
}

func (r *record) PDU(side int, p *PDU) {
	r.add("%d pdu %v seq %d frag %d", side, p.Type, p.Seq, p.Fragment)
}

func stubText(b []byte) string {
	if b == nil {
		return "-"
	}
	return fmt.Sprintf("%q", b)
}

func (r *record) Request(c *dcerpc.Call) {
	r.add("request %d %s op %d %s", c.CallID, ifaceName(c.Interface), c.Opnum, stubText(c.RequestStub))
}

func (r *record) Call(c *dcerpc.Call) {
	s := fmt.Sprintf("call %d %s op %d %v %d/%d bytes %d/%d stubs %s %s @%d-%d", c.CallID, ifaceName(c.Interface), c.Opnum, c.State,
		c.RequestFragments, c.ReplyFragments, c.RequestLen, c.ReplyLen, stubText(c.RequestStub), stubText(c.ReplyStub), c.Request.Frame, c.Answer.Frame)
	for _, x := range []struct {
		set  bool
		name string
	}{{c.Partial, "partial"}, {c.ReplyOnly, "reply-only"}, {c.Cancelled, "cancelled"}, {c.Accepted, "accepted"}, {c.BigEndian, "big"}, {c.HasObject, "object"}} {
		if x.set {
			s += " " + x.name
		}
	}
	if c.Status != 0 {
		s += " " + dcerpc.StatusName(c.Status)
	}
	r.lines = append(r.lines, s)
}

func (r *record) Anomaly(side int, a Anomaly, offset int) {
	mark := ""
	if a.Evasive() {
		mark = "!"
	}
	r.add("%d %v%s at %d", side, a, mark, offset)
}

func (r *record) take() string {
	s := strings.Join(r.lines, "\n")
	r.lines = nil
	return s
}

// talk is a conversation under test; frames are numbered from 1, a second apart.
type talk struct {
	v     Conv
	r     record
	frame uint64
	wait  int64
}

func newTalk(cfg dcerpc.Config) *talk {
	t := new(talk)
	t.v.Reset(&cfg)
	return t
}

func keepAll(dcerpc.UUID, uint16) int { return 1 << 20 }

func (t *talk) at() dcerpc.Point {
	t.frame++
	return dcerpc.Point{Frame: t.frame, Time: int64(t.frame)*1e9 + t.wait}
}

func (t *talk) say(side int, ds ...dg) *talk {
	for _, d := range ds {
		t.v.Datagram(side, d.bytes(), t.at(), &t.r)
	}
	return t
}

func (t *talk) end() string {
	t.v.End(t.at(), true, &t.r)
	return t.r.take()
}

func check(t *testing.T, got string, want ...string) {
	t.Helper()
	if w := strings.Join(want, "\n"); got != w {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.ReplaceAll(got, "\n", "\n\t"), strings.ReplaceAll(w, "\n", "\n\t"))
	}
}

func ask(seq uint32, body string) dg {
	return dg{ptype: dcerpc.TypeRequest, flags1: FlagIdempotent, iface: pnioDevice, act: act1, seq: seq, opnum: 2, body: body}
}

func answer(seq uint32, body string) dg {
	return dg{ptype: dcerpc.TypeResponse, flags1: FlagLastFrag | FlagNoFack, iface: pnioDevice, act: act1, seq: seq, opnum: 2, body: body}
}

// part makes d the nth fragment.
func (d dg) part(n uint16, last bool, body string) dg {
	d.flags1 = d.flags1&^FlagLastFrag | FlagFrag
	if last {
		d.flags1 |= FlagLastFrag
	}
	d.frag, d.body, d.serial = n, body, n
	return d
}

func (d dg) of(act dcerpc.UUID) dg { d.act = act; return d }

func TestCallsAreNamedByTheirHeaders(t *testing.T) {
	a := newTalk(dcerpc.Config{Messages: true, Stubs: keepAll})
	a.say(0, ask(5, "ask")).say(1, answer(5, "answer"))
	check(t, a.end(),
		"0 pdu request seq 5 frag 0",
		`request 5 pnio op 2 "ask"`,
		"1 pdu response seq 5 frag 0",
		`call 5 pnio op 2 answered 1/1 bytes 3/6 stubs "ask" "answer" @1-2 accepted`)
	if side, known := a.v.Client(); side != 0 || !known {
		t.Error("the client is not known")
	}
}

func TestTrap12BothByteOrders(t *testing.T) {
	a := newTalk(dcerpc.Config{})
	q := ask(5, "ask")
	q.big, q.object = true, act2
	a.say(1, q).say(0, answer(5, "answer"))
	check(t, a.end(), `call 5 pnio op 2 answered 1/1 bytes 3/6 stubs - - @1-2 accepted big object`)
	if side, known := a.v.Client(); side != 1 || !known {
		t.Error("the client is not known")
	}
}

func TestActivitiesDoNotMix(t *testing.T) {
	a := newTalk(dcerpc.Config{})
	a.say(0, ask(5, "a"), ask(5, "bb").of(act2)).say(1, answer(5, "22").of(act2), answer(5, "1"))
	check(t, a.end(),
		"call 5 pnio op 2 answered 1/1 bytes 2/2 stubs - - @2-3 accepted",
		"call 5 pnio op 2 answered 1/1 bytes 1/1 stubs - - @1-4 accepted")
}

func TestRetransmissionsAreToldOnce(t *testing.T) {
	a := newTalk(dcerpc.Config{Stubs: keepAll})
	a.say(0, ask(5, "ask"), ask(5, "ask")).say(1, answer(5, "answer"), answer(5, "answer"))
	a.say(0, ask(5, "ask")).say(1, answer(5, "answer"))
	check(t, a.end(),
		`request 5 pnio op 2 "ask"`,
		`call 5 pnio op 2 answered 1/1 bytes 3/6 stubs "ask" "answer" @1-3 accepted`)
	t.Run("but not for ever", func(t *testing.T) {
		a.wait = 31e9
		a.say(0, ask(5, "ask"))
		check(t, a.end(), `request 5 pnio op 2 "ask"`, `call 5 pnio op 2 unanswered 1/0 bytes 3/0 stubs "ask" - @8-0`)
	})
}

func TestForgedRetransmissionsAreFlagged(t *testing.T) {
	a := newTalk(dcerpc.Config{Stubs: keepAll})
	a.say(0, ask(5, "ask"), ask(5, "evil")).say(1, answer(5, "answer"), answer(5, "liar"))
	a.say(0, ask(5, "evil"))
	check(t, a.end(),
		`request 5 pnio op 2 "ask"`,
		"0 retransmission-differs! at 76",
		`call 5 pnio op 2 answered 1/1 bytes 3/6 stubs "ask" "answer" @1-3 accepted`,
		"1 second-reply! at 80",
		"0 retransmission-differs! at 80")
}

func TestAForgedReplyHidesNoRequest(t *testing.T) {
	a := newTalk(dcerpc.Config{Stubs: keepAll})
	a.say(1, answer(5, "forged")).say(0, ask(5, "ask"))
	check(t, a.r.take(),
		`call 5 pnio op 2 answered 0/1 bytes 0/6 stubs - "forged" @0-1 reply-only accepted`,
		`request 5 pnio op 2 "ask"`)
	t.Run("and what answers it later is its answer", func(t *testing.T) {
		a.say(1, answer(5, "true"))
		check(t, a.end(), `call 5 pnio op 2 answered 1/1 bytes 3/4 stubs "ask" "true" @2-3 accepted`)
	})
	t.Run("and where none comes, it may have been the answer", func(t *testing.T) {
		a := newTalk(dcerpc.Config{})
		a.say(1, answer(5, "x")).say(0, ask(5, "ask"))
		a.r.take()
		check(t, a.end(), `call 5 pnio op 2 unknown 1/0 bytes 3/0 stubs - - @2-0`)
	})
	t.Run("nor do fragments of one", func(t *testing.T) {
		a := newTalk(dcerpc.Config{Stubs: keepAll})
		a.say(1, answer(5, "").part(0, false, "x")).say(0, ask(5, "ask")).say(1, answer(5, "").part(1, true, "y"))
		check(t, a.end(), `request 5 pnio op 2 "ask"`, `call 5 pnio op 2 answered 1/2 bytes 3/2 stubs "ask" "xy" @2-3 accepted`)
	})
}

func TestFragmentsInAnyOrder(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 0, 3, 2, 1, 1}, {0, 3, 3, 1, 2}} {
		a := newTalk(dcerpc.Config{Stubs: keepAll})
		bodies := []string{"one", "two", "three", "four"}
		for _, n := range order {
			a.say(0, ask(9, "").part(uint16(n), n == 3, bodies[n]))
		}
		for _, n := range order {
			a.say(1, answer(9, "").part(uint16(n), n == 3, bodies[n]))
		}
		got := a.end()
		for _, want := range []string{
			"request 9 pnio op 2 \"onetwothreefour\"\n",
			"answered 4/4 bytes 15/15 stubs \"onetwothreefour\" \"onetwothreefour\"",
		} {
			if strings.Count(got, want) != 1 || strings.Contains(got, "at ") {
				t.Errorf("%v: got %s", order, got)
			}
		}
		if a.v.s.stubs != 0 {
			t.Errorf("%v: %d stub bytes are kept", order, a.v.s.stubs)
		}
	}
}

func TestOnlyTheWantedBytesOfFragmentsAreKept(t *testing.T) {
	a := newTalk(dcerpc.Config{Stubs: func(dcerpc.UUID, uint16) int { return 5 }})
	a.say(0, ask(9, "").part(2, true, "ghi"), ask(9, "").part(1, false, "def"), ask(9, "").part(0, false, "abc"))
	check(t, a.end(), `request 9 pnio op 2 "abcde"`, `call 9 pnio op 2 unanswered 3/0 bytes 9/0 stubs "abcde" - @3-0`)
}

func TestFragmentsThatContradict(t *testing.T) {
	a := newTalk(dcerpc.Config{})
	a.say(0, ask(9, "").part(1, true, "b"), ask(9, "").part(2, false, "c"), ask(9, "").part(0, true, "a"), ask(9, "").part(0, false, "a"))
	a.say(0, ask(10, "").part(0, false, "a"), ask(10, "").part(70, false, "z"))
	other := ask(10, "").part(1, true, "b")
	other.opnum = 3
	a.say(0, other)
	check(t, a.end(),
		"0 fragment-beyond-last! at 76",
		"0 fragment-beyond-last! at 76",
		"call 9 pnio op 2 unknown 2/0 bytes 2/0 stubs - - @4-0",
		"0 fragment-ahead at 76",
		"0 fragment-mismatch! at 24",
		"call 10 pnio op 2 unanswered 1/0 bytes 1/0 stubs - - @5-0 partial")
}

func TestFaultsAndRejects(t *testing.T) {
	a := newTalk(dcerpc.Config{})
	fault := answer(1, "\x05\x00\x00\x00")
	fault.ptype = dcerpc.TypeFault
	reject := answer(2, "\x03\x00\x01\x1c") // nca_s_unk_if
	reject.ptype = dcerpc.TypeReject
	refused := answer(3, "\x02\x00\x01\x1c") // nca_s_op_rng_error
	refused.ptype = dcerpc.TypeFault
	a.say(0, ask(1, "a")).say(1, fault).say(0, ask(2, "b")).say(1, reject, reject).say(0, ask(3, "")).say(1, refused)
	check(t, a.end(),
		"call 1 pnio op 2 fault 1/1 bytes 1/0 stubs - - @1-2 accepted ERROR_ACCESS_DENIED",
		"call 2 pnio op 2 rejected 1/1 bytes 1/0 stubs - - @3-4 nca_s_unk_if",
		"call 3 pnio op 2 rejected 1/1 bytes 0/0 stubs - - @6-7 nca_s_op_rng_error")
}

func TestMaybeCallsWaitForNothing(t *testing.T) {
	a := newTalk(dcerpc.Config{Stubs: keepAll})
	q := ask(1, "to whom it may concern")
	q.flags1, q.iface = FlagMaybe|FlagIdempotent, messenger
	a.say(0, q)
	check(t, a.r.take(),
		`request 1 msgsvc op 2 "to whom it may concern"`,
		`call 1 msgsvc op 2 unanswered 1/0 bytes 22/0 stubs "to whom it may concern" - @1-0`)
	if check(t, a.end(), ""); len(a.v.s.keys) != 0 {
		t.Error("it waits")
	}
}

func TestBroadcastsHaveManyAnswers(t *testing.T) {
	a := newTalk(dcerpc.Config{})
	q := ask(1, "who")
	q.flags1 = FlagBroadcast | FlagIdempotent
	a.say(0, q).say(1, answer(1, "I"), answer(1, "me too"))
	check(t, a.end(), `call 1 pnio op 2 answered 1/1 bytes 3/1 stubs - - @1-2 accepted`)
}

func TestANewRequestEndsTheLast(t *testing.T) {
	a := newTalk(dcerpc.Config{})
	a.say(0, ask(1, "a"), ask(2, "b"))
	check(t, a.r.take(), `call 1 pnio op 2 unknown 1/0 bytes 1/0 stubs - - @1-0`)
	t.Run("unless it says that it is unrelated", func(t *testing.T) {
		q := ask(3, "c")
		q.flags2 = Flag2Unrelated
		a.say(0, q).say(1, answer(3, "C"), answer(2, "B"))
		check(t, a.end(), "call 3 pnio op 2 answered 1/1 bytes 1/1 stubs - - @3-4 accepted", "call 2 pnio op 2 answered 1/1 bytes 1/1 stubs - - @2-5 accepted")
	})
}

func TestConversationManagerCallsBack(t *testing.T) {
	a := newTalk(dcerpc.Config{Stubs: keepAll})
	back := dg{ptype: dcerpc.TypeRequest, flags1: FlagIdempotent, iface: manager, act: act2, opnum: 1, body: "20 bytes of whom....."}
	reply := back
	reply.ptype, reply.body = dcerpc.TypeResponse, "seq, boot"
	a.say(0, ask(1, "a")).say(1, back).say(0, reply).say(1, answer(1, "A"))
	check(t, a.end(),
		`request 1 pnio op 2 "a"`,
		`request 0 conv op 1 "20 bytes of whom....."`,
		`call 0 conv op 1 answered 1/1 bytes 21/9 stubs "20 bytes of whom....." "seq, boot" @2-3 accepted`,
		`call 1 pnio op 2 answered 1/1 bytes 1/1 stubs "a" "A" @1-4 accepted`)
	if side, known := a.v.Client(); side != 0 || !known {
		t.Error("a callback turns client and server around")
	}
}

func TestOtherTypesTouchNoCall(t *testing.T) {
	a := newTalk(dcerpc.Config{})
	of := func(p dcerpc.PType, body string) dg { d := ask(1, body); d.ptype = p; return d }
	a.say(0, of(dcerpc.TypeRequest, "a"), of(dcerpc.TypePing, "")).say(1, of(dcerpc.TypeWorking, ""), of(dcerpc.TypeNoCall, ""),
		of(dcerpc.TypeFack, "\x00\x00\x08\x00\x00\x10\x00\x00\x00\x05\x00\x00\x00\x00\x01\x00\xff\xff\xff\xff"))
	a.say(0, of(dcerpc.TypeCLCancel, "\x00\x00\x00\x00\x01\x00\x00\x00")).say(1, of(dcerpc.TypeCancelAck, "\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00"))
	a.say(1, answer(1, "A")).say(0, of(dcerpc.TypeAck, ""))
	check(t, a.end(), "call 1 pnio op 2 answered 1/1 bytes 1/1 stubs - - @1-8 cancelled accepted")
}

func TestSealedStubsAreNotHandedOut(t *testing.T) {
	for level, want := range map[byte]string{6: "-", 5: `"ask"`} {
		a := newTalk(dcerpc.Config{Stubs: keepAll})
		q := ask(1, "ask")
		q.auth, q.tail = 10, "pad.."+string([]byte{level, 9})+"\x00\x00token"
		again := q
		again.body = "ksa"
		if level == 5 {
			again = q
		}
		a.say(0, q, again)
		check(t, a.end(), "request 1 pnio op 2 "+want, "call 1 pnio op 2 unanswered 1/0 bytes 3/0 stubs "+want+" - @1-0")
	}
}

func TestASnapLengthIsNoAnomaly(t *testing.T) {
	a := newTalk(dcerpc.Config{Messages: true, Stubs: keepAll})
	b := ask(1, strings.Repeat("x", 200)).bytes()
	if Probe(b[:100]) != dcerpc.More {
		t.Error("a cut datagram is not told")
	}
	a.v.Cut(0, b[:100], a.at(), &a.r)
	a.v.Cut(0, b[:60], a.at(), &a.r)
	check(t, a.end(), "0 pdu request seq 1 frag 0", "request 1 pnio op 2 -", "call 1 pnio op 2 unanswered 1/0 bytes 200/0 stubs - - @1-0")
}

func TestOrphanReplies(t *testing.T) {
	a := newTalk(dcerpc.Config{})
	a.say(1, answer(1, "A"))
	check(t, a.r.take(), "call 1 pnio op 2 answered 0/1 bytes 0/1 stubs - - @0-1 reply-only accepted")
	t.Run("are odd where the other side was heard", func(t *testing.T) {
		a.say(0, ask(2, "b")).say(1, answer(3, "C"))
		check(t, a.r.take(), "1 reply-without-request at 64", "call 3 pnio op 2 answered 0/1 bytes 0/1 stubs - - @0-3 reply-only accepted")
	})
	t.Run("and so are replies of another operation", func(t *testing.T) {
		d := answer(2, "B")
		d.opnum = 4
		a.say(1, d)
		check(t, a.end(), "1 reply-mismatch at 24", "call 2 pnio op 2 answered 1/1 bytes 1/1 stubs - - @2-4 accepted")
	})
}

func TestBoundsHold(t *testing.T) {
	a := newTalk(dcerpc.Config{MaxCalls: 3, MaxStub: 10, Stubs: keepAll})
	a.say(1, answer(99, "x"))
	for i := range 5 {
		q := ask(1, strings.Repeat("x", 30))
		q.act[15] = byte(i)
		a.say(0, q)
	}
	if len(a.v.s.keys) != 3 || a.v.s.stubs > 40 {
		t.Errorf("%d calls, %d bytes", len(a.v.s.keys), a.v.s.stubs)
	}
	if got := a.end(); !strings.Contains(got, "0 too-many-calls at 64") || strings.Count(got, "\ncall 1 ") != 5 {
		t.Error(got)
	}
}

type silentHandler struct{ calls int }

func (*silentHandler) PDU(int, *PDU)             {}
func (*silentHandler) Request(*dcerpc.Call)      {}
func (h *silentHandler) Call(*dcerpc.Call)       { h.calls++ }
func (*silentHandler) Anomaly(int, Anomaly, int) { panic("anomaly") }

func TestSteadyStateAllocatesNothing(t *testing.T) {
	for name, cfg := range map[string]*dcerpc.Config{"headers": {}, "stubs": {Stubs: keepAll}, "PDUs": {Messages: true}} {
		h := new(silentHandler)
		var v Conv
		v.Reset(cfg)
		q, r := ask(1, "ask").bytes(), answer(1, "answer").bytes()
		f0, f1 := ask(1, "").part(0, false, "ask").bytes(), ask(1, "").part(1, true, "ask").bytes()
		var seq uint32
		once := func() {
			for _, b := range [][]byte{q, r, f1, f0, r} {
				if b[1] == 0 && b[76] == 0 && b[2]&FlagFrag == 0 || &b[0] == &f1[0] {
					seq++
				}
				binary.LittleEndian.PutUint32(b[64:], seq)
				v.Datagram(int(b[1]/2), b, dcerpc.Point{Time: int64(seq)}, h)
			}
		}
		once()
		if n := testing.AllocsPerRun(100, once); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if h.calls != 2*102 {
			t.Errorf("%s: %d calls", name, h.calls)
		}
	}
}
