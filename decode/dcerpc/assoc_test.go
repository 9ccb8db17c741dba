package dcerpc

import (
	"fmt"
	"strings"
	"testing"
)

// bound is an association on which the server took samr in NDR32 as context 0.
func bound(cfg Config) *talk {
	t := newTalk(cfg).client(le.bind(1, offer(0, samrSyntax, NDR32))).server(le.bindAck(1, accept(NDR32)))
	t.take()
	return t
}

func check(t *testing.T, got string, want ...string) {
	t.Helper()
	if w := strings.Join(want, "\n"); got != w {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.ReplaceAll(got, "\n", "\n\t"), strings.ReplaceAll(w, "\n", "\n\t"))
	}
}

const samrNegotiated = "bind 1 accepted [0=samr/1.0:acceptance(ndr32)] @1-2"

func TestBindRequestResponse(t *testing.T) {
	a := newTalk(Config{Messages: true, Stubs: keepAll})
	a.client(windowsBind).server(le.bindAck(2, reject, accept(NDR64), ackBTF))
	a.client(le.request(whole, 3, 1, 0, "ask")).server(le.response(whole, 3, 1, "answer"))
	check(t, a.end(),
		"0 pdu bind call 2 ?",
		"1 pdu bind_ack call 2 ?",
		"bind 2 accepted [0=kms/1.0:provider_rejection 1=kms/1.0:acceptance(ndr64) 2=kms/1.0:negotiate_ack] @1-2",
		"0 pdu request call 3 kms/1.0",
		`request 3 ctx 1 kms/1.0 op 0 ndr64 stub "ask"`,
		"1 pdu response call 3 kms/1.0",
		`call 3 ctx 1 kms/1.0 op 0 ndr64 answered 1/1 bytes 3/6 stubs "ask" "answer" @3-4`)
}

func TestTrap03ResultsArePositional(t *testing.T) {
	a := newTalk(Config{})
	a.client(le.bind(1, offer(9, samrSyntax, NDR32), offer(4, svcSyntax, NDR32), offer(7, kmsSyntax, NDR32)))
	a.server(le.bindAck(1, reject, accept(NDR32), accept(NDR32)))
	a.client(le.request(whole, 2, 4, 1, "")).server(le.response(whole, 2, 4, ""))
	a.client(le.request(whole, 3, 7, 1, "")).server(le.response(whole, 3, 7, ""))
	check(t, a.end(),
		"bind 1 accepted [9=samr/1.0:provider_rejection 4=svcctl/2.0:acceptance(ndr32) 7=kms/1.0:acceptance(ndr32)] @1-2",
		"call 2 ctx 4 svcctl/2.0 op 1 ndr32 answered 1/1 bytes 0/0 @3-4",
		"call 3 ctx 7 kms/1.0 op 1 ndr32 answered 1/1 bytes 0/0 @5-6")
}

func TestTrap03FewerResultsThanContexts(t *testing.T) {
	a := newTalk(Config{})
	a.client(le.bind(1, offer(0, samrSyntax, NDR32), offer(1, svcSyntax, NDR32))).server(le.bindAck(1, accept(NDR32)))
	a.client(le.request(whole, 2, 1, 1, ""))
	check(t, a.take(),
		"1 result-count at 16",
		"bind 1 accepted [0=samr/1.0:acceptance(ndr32) 1=svcctl/2.0] @1-2",
		"0 rejected-context! at 20")
}

func TestTrap04FeaturesAreNeitherRejectedNorAContext(t *testing.T) {
	a := newTalk(Config{})
	a.client(le.bind(1, offer(0, kmsSyntax, NDR32), offer(1, kmsSyntax, features))).server(le.bindAck(1, accept(NDR32), ackBTF))
	a.client(le.request(whole, 2, 1, 0, ""))
	check(t, a.take(),
		"bind 1 accepted [0=kms/1.0:acceptance(ndr32) 1=kms/1.0:negotiate_ack] @1-2",
		"0 rejected-context! at 20")
	// A server that calls the features accepted makes no context of them.
	a = newTalk(Config{})
	a.client(le.bind(1, offer(1, kmsSyntax, features))).server(le.bindAck(1, accept(features)))
	a.client(le.request(whole, 2, 1, 0, ""))
	if s := a.take(); !strings.Contains(s, "rejected-context") {
		t.Error(s)
	}
}

func TestTrap05StateIsKeptPerContext(t *testing.T) {
	// As in captures/lab/kms-three-versions.pcap: NDR32 is rejected beside
	// NDR64, then added by alter_context on the very context id.
	a := newTalk(Config{})
	a.client(windowsBind).server(le.bindAck(2, reject, accept(NDR64), ackBTF))
	a.client(le.alter(2, offer(0, kmsSyntax, NDR32))).server(le.alterResp(2, accept(NDR32)))
	a.client(le.request(whole, 2, 0, 0, "")).server(le.response(whole, 2, 0, ""))
	a.client(le.request(whole, 3, 1, 0, "")).server(le.response(whole, 3, 1, ""))
	check(t, a.end(),
		"bind 2 accepted [0=kms/1.0:provider_rejection 1=kms/1.0:acceptance(ndr64) 2=kms/1.0:negotiate_ack] @1-2",
		"alter 2 accepted [0=kms/1.0:acceptance(ndr32)] @3-4",
		"call 2 ctx 0 kms/1.0 op 0 ndr32 answered 1/1 bytes 0/0 @5-6",
		"call 3 ctx 1 kms/1.0 op 0 ndr64 answered 1/1 bytes 0/0 @7-8")
}

func TestTrap06AlterContextComesFirst(t *testing.T) {
	a := newTalk(Config{})
	a.client(le.alter(5, offer(3, svcSyntax, NDR32))).server(le.alterResp(5, accept(NDR32)))
	a.client(le.request(whole, 6, 3, 2, "x")).server(le.response(whole, 6, 3, ""))
	check(t, a.end(),
		"alter 5 accepted [3=svcctl/2.0:acceptance(ndr32)] @1-2",
		"call 6 ctx 3 svcctl/2.0 op 2 ndr32 answered 1/1 bytes 1/0 @3-4")
}

func TestTrap07SecondBindFollowsTheAnswer(t *testing.T) {
	a := bound(Config{})
	a.client(le.bind(2, offer(0, svcSyntax, NDR32)))
	check(t, a.take(), "0 second-bind! at 2")
	a.client(le.request(whole, 3, 0, 1, "")) // before the answer: still samr
	a.server(le.bindAck(2, accept(NDR32)), le.response(whole, 3, 0, ""))
	a.client(le.request(whole, 4, 0, 1, "")).server(le.response(whole, 4, 0, ""))
	check(t, a.end(),
		"bind 2 accepted [0=svcctl/2.0:acceptance(ndr32)] @3-5",
		"call 3 ctx 0 samr/1.0 op 1 ndr32 answered 1/1 bytes 0/0 @4-6",
		"call 4 ctx 0 svcctl/2.0 op 1 ndr32 answered 1/1 bytes 0/0 @7-8")
}

func TestTrap07bContextsChangeOnlyWithTheAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer []byte
		iface  string
	}{
		{"no answer", nil, "samr/1.0"},
		{"rejected", le.alterResp(2, reject), "samr/1.0"},
		{"a fault", le.fault(whole, 2, 0, 0x1c01000b), "samr/1.0"},
		{"an answer of another call id", le.alterResp(9, accept(NDR32)), "samr/1.0"},
		{"accepted", le.alterResp(2, accept(NDR32)), "svcctl/2.0"},
	} {
		a := bound(Config{})
		a.client(le.alter(2, offer(0, svcSyntax, NDR32)))
		if tt.answer != nil {
			a.server(tt.answer)
		}
		a.take()
		a.client(le.request(whole, 3, 0, 1, "")).server(le.response(whole, 3, 0, ""))
		if s := a.take(); !strings.Contains(s, "call 3 ctx 0 "+tt.iface+" op 1 ndr32 answered") {
			t.Errorf("%s: %s", tt.name, s)
		}
	}
	// What the client itself sends is no answer.
	a := bound(Config{})
	a.client(le.alter(2, offer(0, svcSyntax, NDR32)), le.alterResp(2, accept(NDR32)), le.request(whole, 3, 0, 1, ""))
	a.server(le.response(whole, 3, 0, ""))
	if s := a.take(); !strings.Contains(s, "samr/1.0 op 1") || !strings.Contains(s, "answer-without-bind") {
		t.Error(s)
	}
}

func TestTrap08BindNakClearsContexts(t *testing.T) {
	a := bound(Config{})
	a.client(le.bind(2, offer(1, svcSyntax, NDR32))).server(le.bindNak(2, 4))
	a.client(le.request(whole, 3, 0, 1, ""))
	check(t, a.take(),
		"0 second-bind! at 2",
		"bind 2 nak [1=svcctl/2.0] protocol_version_not_supported @3-4",
		"0 unknown-context! at 20")
}

func TestTrap09ContextsLiveAsLongAsTheAssociation(t *testing.T) {
	a := bound(Config{})
	for i := range 1000 {
		a.client(le.request(whole, uint32(i), 0, 1, "")).server(le.response(whole, uint32(i), 0, ""))
		if s := a.take(); !strings.Contains(s, "samr/1.0 op 1 ndr32 answered") {
			t.Fatal(s)
		}
	}
}

func TestTrap11TooManyContextsAreToldAndHideNothingNew(t *testing.T) {
	a := newTalk(Config{MaxContexts: 8})
	var items []item
	var vs []verdict
	for i := range 8 {
		items, vs = append(items, offer(uint16(i), samrSyntax, NDR32)), append(vs, accept(NDR32))
	}
	a.client(le.bind(1, items...)).server(le.bindAck(1, vs...))
	a.take()
	a.client(le.alter(2, offer(100, svcSyntax, NDR32))).server(le.alterResp(2, accept(NDR32)))
	a.client(le.request(whole, 3, 100, 12, "")).server(le.response(whole, 3, 100, ""))
	check(t, a.end(),
		"1 too-many-contexts! at 16",
		"alter 2 accepted [100=svcctl/2.0:acceptance(ndr32)] @3-4",
		"call 3 ctx 100 svcctl/2.0 op 12 ndr32 answered 1/1 bytes 0/0 @5-6")
	if n := len(a.s.contexts); n != 8 {
		t.Errorf("%d contexts are kept", n)
	}
	// Contexts that the server refuses push out none that it took.
	a = newTalk(Config{MaxContexts: 4}).client(le.bind(1, offer(0, samrSyntax, NDR32))).server(le.bindAck(1, accept(NDR32)))
	for i := range 50 {
		a.client(le.alter(2, offer(uint16(i+1), svcSyntax, NDR32))).server(le.alterResp(2, reject))
	}
	a.take()
	a.client(le.request(whole, 3, 0, 12, "")).server(le.response(whole, 3, 0, ""))
	if s := a.take(); !strings.Contains(s, "samr/1.0 op 12 ndr32") {
		t.Error(s)
	}
}

func TestTrap12BigEndianAssociation(t *testing.T) {
	a := newTalk(Config{Stubs: keepAll})
	a.client(be.bind(1, offer(1, samrSyntax, NDR32))).server(le.bindAck(1, accept(NDR32)))
	a.client(be.request(whole, 2, 1, 64, "q")).server(le.response(whole, 2, 1, "a"))
	a.client(be.request(whole, 3, 1, 64, "")).server(be.response(whole, 3, 1, ""))
	check(t, a.end(),
		"bind 1 accepted [1=samr/1.0:acceptance(ndr32)] @1-2",
		`request 2 ctx 1 samr/1.0 op 64 ndr32 stub "q"`,
		`call 2 ctx 1 samr/1.0 op 64 ndr32 answered 1/1 bytes 1/1 stubs "q" "a" big reply-in-the-other-order @3-4`,
		`request 3 ctx 1 samr/1.0 op 64 ndr32 stub ""`,
		`call 3 ctx 1 samr/1.0 op 64 ndr32 answered 1/1 bytes 0/0 stubs "" "" big @5-6`)
}

func TestTransferSyntaxOfAContextThatNobodyAnsweredIsTheOneOffered(t *testing.T) {
	a := newTalk(Config{})
	a.client(le.bind(1, offer(0, samrSyntax, NDR32), offer(1, samrSyntax, NDR64), offer(2, samrSyntax, NDR64, NDR32)))
	for id := range uint16(3) {
		a.client(le.request(whole, 2+uint32(id), id, 7, ""))
	}
	check(t, a.end(),
		"bind 1 unanswered [0=samr/1.0 1=samr/1.0 2=samr/1.0] @1-0",
		"call 2 ctx 0 samr/1.0 op 7 unanswered 1/0 bytes 0/0 @2-0",
		"call 3 ctx 1 samr/1.0 op 7 ndr64? unanswered 1/0 bytes 0/0 @3-0",
		"call 4 ctx 2 samr/1.0 op 7 unanswered 1/0 bytes 0/0 @4-0")
}

func TestTrap13ByteOrderThatChangesIsTold(t *testing.T) {
	a := bound(Config{})
	a.client(be.alter(2, offer(1, svcSyntax, NDR32))).server(le.alterResp(2, accept(NDR32)))
	check(t, a.take(),
		"0 byte-order-changed! at 4",
		"alter 2 accepted [1=svcctl/2.0:acceptance(ndr32)] @3-4")
}

func TestTrap14MinorVersionOne(t *testing.T) {
	e := enc{minor: 1}
	a := newTalk(Config{})
	a.client(e.bind(1, offer(0, samrSyntax, NDR32))).server(e.bindAck(1, accept(NDR32)))
	a.client(e.request(whole, 2, 0, 7, "")).server(e.response(whole, 2, 0, ""))
	check(t, a.end(), samrNegotiated, "call 2 ctx 0 samr/1.0 op 7 ndr32 answered 1/1 bytes 0/0 @3-4")
}

func TestTrap15FlagsOfABindDoNotMatter(t *testing.T) {
	for _, flags := range []uint8{0, FlagFirst, FlagLast, FlagFirst | FlagConcMpx} {
		a := newTalk(Config{})
		a.client(le.offers(TypeBind, flags, 1, offer(0, samrSyntax, NDR32))).server(le.bindAck(1, accept(NDR32)))
		a.client(le.request(whole, 2, 0, 7, "")).server(le.response(whole, 2, 0, ""))
		check(t, a.end(), "0 bind-fragment-flags! at 3", samrNegotiated,
			"call 2 ctx 0 samr/1.0 op 7 ndr32 answered 1/1 bytes 0/0 @3-4")
	}
}

func TestTrap16RequestOnAContextNeverAccepted(t *testing.T) {
	a := newTalk(Config{})
	a.client(le.bind(1, offer(0, samrSyntax, NDR32))).server(le.bindAck(1, reject))
	a.client(le.request(whole, 2, 0, 7, "")).server(le.response(whole, 2, 0, "it did it")) // chimera#1018
	a.client(le.request(whole, 3, 5, 7, ""))
	check(t, a.end(),
		"bind 1 rejected [0=samr/1.0:provider_rejection] @1-2",
		"0 rejected-context! at 20",
		"call 2 ctx 0 samr/1.0 op 7 answered 1/1 bytes 0/9 @3-4",
		"0 unknown-context! at 20",
		"call 3 ctx 5 ? op 7 unanswered 1/0 bytes 0/0 @5-0")
}

func TestMidStreamIsNoEvasion(t *testing.T) {
	a := newTalk(Config{})
	a.client(le.request(whole, 2, 0, 7, "")).server(le.response(whole, 2, 0, ""))
	a.server(le.response(whole, 9, 0, ""), le.response(FlagLast, 10, 0, ""))
	a.client(le.request(FlagLast, 3, 0, 7, ""))
	check(t, a.end(),
		"call 2 ctx 0 ? op 7 answered 1/1 bytes 0/0 @1-2",
		"call 9 ctx 0 ? op 0 answered 0/1 bytes 0/0 replyonly @0-3",
		"call 10 ctx 0 ? op 0 answered 0/1 bytes 0/0 replyonly @0-4",
		"call 3 ctx 0 ? op 7 unanswered 1/0 bytes 0/0 @5-0")
	// Unless the caller knows that this is the beginning.
	a = newTalk(Config{})
	a.FromStart()
	a.client(le.request(whole, 2, 0, 7, ""))
	check(t, a.take(), "0 unknown-context! at 20")
}

func TestAnswersThatAreNeverSeen(t *testing.T) {
	// Only the client's direction is in the capture: what it asked for is known,
	// not accepted, and no evasion.
	a := newTalk(Config{MaxCalls: 2})
	a.client(le.bind(1, offer(0, samrSyntax, NDR32)))
	for i := range 4 {
		a.client(le.request(whole, uint32(i+2), 0, 7, ""))
	}
	check(t, a.end(),
		"call 2 ctx 0 samr/1.0 op 7 unknown 1/0 bytes 0/0 @2-0",
		"call 3 ctx 0 samr/1.0 op 7 unknown 1/0 bytes 0/0 @3-0",
		"bind 1 unanswered [0=samr/1.0] @1-0",
		"call 4 ctx 0 samr/1.0 op 7 unanswered 1/0 bytes 0/0 @4-0",
		"call 5 ctx 0 samr/1.0 op 7 unanswered 1/0 bytes 0/0 @5-0")
	// And when more wait than are kept.
	a = newTalk(Config{})
	for i := range 8 {
		a.client(le.alter(uint32(i), offer(uint16(i), svcSyntax, NDR32)))
	}
	a.Assoc.whole = true
	a.take()
	a.client(le.request(whole, 20, 0, 7, ""))
	check(t, a.take())
}

func TestRequestAheadOfTheAckIsSettledByIt(t *testing.T) {
	for _, tt := range []struct {
		v    verdict
		want string
	}{
		{accept(NDR64), "call 2 ctx 0 samr/1.0 op 7 ndr64 answered"},
		{reject, "rejected-context!"},
	} {
		a := newTalk(Config{})
		a.client(le.bind(1, offer(0, samrSyntax, NDR32)), le.request(whole, 2, 0, 7, ""))
		if s := a.take(); s != "" {
			t.Error(s)
		}
		a.server(le.bindAck(1, tt.v), le.response(whole, 2, 0, ""))
		if s := a.take(); !strings.Contains(s, tt.want) {
			t.Errorf("%s lacks %s", s, tt.want)
		}
	}
}

func TestFragmentsArePutTogether(t *testing.T) {
	for _, e := range []enc{le, be} {
		a := bound(Config{Stubs: keepAll})
		long := strings.Repeat("x", 100)
		a.client(e.request(FlagFirst, 2, 0, 7, long), e.request(0, 2, 0, 7, long), e.request(FlagLast, 2, 0, 7, "end"))
		a.server(e.response(FlagFirst, 2, 0, long), e.response(FlagLast, 2, 0, "fin"))
		s := a.end()
		want := fmt.Sprintf("call 2 ctx 0 samr/1.0 op 7 ndr32 answered 3/2 bytes 203/103 stubs %q %q", long+long+"end", long+"fin")
		if !strings.Contains(s, want) || e.big != strings.Contains(s, "byte-order-changed") || strings.Count(s, "request 2") != 1 {
			t.Error(s)
		}
	}
}

func TestPaddingOfEachFragmentIsNoStub(t *testing.T) {
	a := bound(Config{Stubs: keepAll})
	v := &verifier{AuthNTLM, LevelIntegrity, 3, 1, "0123456789abcdef"}
	a.client(le.requestAuth(FlagFirst, 2, 0, 7, "abcde", v), le.requestAuth(FlagLast, 2, 0, 7, "fghij", v))
	check(t, a.take(), `request 2 ctx 0 samr/1.0 op 7 ndr32 stub "abcdefghij"`)
}

func TestTrap17FirstFragmentCounts(t *testing.T) {
	long := strings.Repeat("x", 40)
	for _, last := range [][]byte{le.request(FlagLast, 2, 0, 99, ""), le.request(FlagLast, 2, 5, 7, "")} {
		a := bound(Config{})
		a.client(le.request(FlagFirst, 2, 0, 7, long), last)
		check(t, a.end(), "0 fragment-mismatch! at 20", "call 2 ctx 0 samr/1.0 op 7 ndr32 unanswered 2/0 bytes 40/0 @4-0")
	}
}

func TestTrap18DuplicateFirstFragmentRestartsThatCallOnly(t *testing.T) {
	long := strings.Repeat("x", 40)
	a := bound(Config{Stubs: keepAll})
	a.client(le.request(FlagFirst, 2, 0, 7, long), le.request(FlagFirst, 3, 0, 8, long))
	a.client(le.request(FlagFirst, 2, 0, 9, "again "), le.request(FlagLast, 2, 0, 9, "two"), le.request(FlagLast, 3, 0, 8, "three"))
	a.server(le.response(whole, 3, 0, ""), le.response(FlagFirst, 2, 0, long), le.response(FlagFirst, 2, 0, "once"), le.response(FlagLast, 2, 0, " more"))
	check(t, a.end(),
		"0 duplicate-first-fragment! at 3",
		`request 2 ctx 0 samr/1.0 op 9 ndr32 stub "again two"`,
		fmt.Sprintf("request 3 ctx 0 samr/1.0 op 8 ndr32 stub %q", long+"three"),
		fmt.Sprintf(`call 3 ctx 0 samr/1.0 op 8 ndr32 answered 2/1 bytes 45/0 stubs %q "" @7-8`, long+"three"),
		"1 duplicate-first-fragment! at 12",
		`call 2 ctx 0 samr/1.0 op 9 ndr32 answered 2/2 bytes 9/9 stubs "again two" "once more" @6-11`)
	if a.s.stubs != 0 {
		t.Errorf("%d stub bytes are thought kept", a.s.stubs)
	}
}

func TestTrap19OldestCallGoesWhenThereAreTooMany(t *testing.T) {
	a := bound(Config{MaxCalls: 3})
	for i := range 5 {
		a.client(le.request(whole, uint32(10+i), 0, uint16(i), ""))
	}
	a.server(le.response(whole, 14, 0, ""), le.response(whole, 10, 0, ""))
	check(t, a.take(),
		"0 too-many-calls at 12",
		"call 10 ctx 0 samr/1.0 op 0 ndr32 unknown 1/0 bytes 0/0 @3-0",
		"call 11 ctx 0 samr/1.0 op 1 ndr32 unknown 1/0 bytes 0/0 @4-0",
		"call 14 ctx 0 samr/1.0 op 4 ndr32 answered 1/1 bytes 0/0 @7-8",
		"1 reply-without-request at 12",
		"call 10 ctx 0 samr/1.0 op 0 ndr32 answered 0/1 bytes 0/0 replyonly @0-9")
}

func TestTrap21StubsAreBounded(t *testing.T) {
	a := bound(Config{MaxStub: 100, MaxCalls: 64, Stubs: keepAll})
	chunk := strings.Repeat("x", 90)
	for i := range 64 {
		for range 40 {
			a.client(le.request(FlagFirst, uint32(i), 0, 1, chunk), le.request(0, uint32(i), 0, 1, chunk))
		}
	}
	kept := 0
	for _, c := range a.s.calls {
		kept += len(c.request) + len(c.reply)
	}
	if kept > 400 || kept != a.s.stubs {
		t.Errorf("%d stub bytes are kept, %d counted", kept, a.s.stubs)
	}
	a.end()
	if a.s.stubs != 0 {
		t.Errorf("%d stub bytes are left", a.s.stubs)
	}
	// A prefix is kept of what was wanted, of the whole length is told.
	a = bound(Config{Stubs: func(UUID, uint16) int { return 3 }})
	a.client(le.request(whole, 2, 0, 7, "abcdef"))
	check(t, a.take(), `request 2 ctx 0 samr/1.0 op 7 ndr32 stub "abc"`)
}

func TestTrap22LengthsThatCannotBe(t *testing.T) {
	a := bound(Config{Messages: true})
	b := le.request(whole, 2, 0, 7, "")
	b[8] = 15
	a.client(b, []byte("rest of the nonsense"), le.request(whole, 3, 0, 7, "")).server(le.response(whole, 3, 0, ""))
	check(t, a.take(),
		"0 bad-frag-length at 8",
		"0 pdu request call 3 samr/1.0",
		"1 pdu response call 3 samr/1.0",
		"call 3 ctx 0 samr/1.0 op 7 ndr32 answered 1/1 bytes 0/0 @5-6")
	b = le.request(whole, 4, 0, 7, "")
	b[8] = 20
	a.client(b[:20])
	check(t, a.take(), "0 pdu request call 4 ?", "0 short-body at 20")
}

func TestTrap23FragmentBeyondWhatWasAgreed(t *testing.T) {
	a := bound(Config{})
	a.client(le.request(FlagFirst, 2, 0, 7, strings.Repeat("x", 6000)), le.request(FlagLast, 2, 0, 7, strings.Repeat("x", 6000)))
	check(t, a.take(), "0 fragment-too-long at 8")
}

func TestTrap23TinyFragments(t *testing.T) {
	a := bound(Config{})
	// One may end a chunk of a pipe.
	a.client(le.request(FlagFirst, 2, 0, 7, "handle"), le.request(FlagLast, 2, 0, 7, "x"))
	check(t, a.take())
	// Two are cut by hand; more say no more.
	a.client(le.request(FlagFirst, 3, 0, 7, "12345678"), le.request(0, 3, 0, 7, "12345678"), le.request(0, 3, 0, 7, "1"), le.request(FlagLast, 3, 0, 7, "1"))
	check(t, a.take(), "0 tiny-fragments! at 8")
	// The server's are judged too, and fragments of no stub at all.
	a.server(le.response(FlagFirst, 3, 0, ""), le.response(0, 3, 0, ""), le.response(FlagLast, 3, 0, ""))
	check(t, a.take(), "1 tiny-fragments! at 8", "call 3 ctx 0 samr/1.0 op 7 ndr32 answered 4/3 bytes 18/0 @8-11")
}

func TestTrap24FragmentsAreCounted(t *testing.T) {
	a := bound(Config{})
	chunk := strings.Repeat("x", 100)
	a.client(le.request(FlagFirst, 2, 0, 7, chunk))
	for range manyFragments {
		a.client(le.request(0, 2, 0, 7, chunk))
	}
	check(t, a.end(), "0 many-fragments at 3", fmt.Sprintf("call 2 ctx 0 samr/1.0 op 7 ndr32 unanswered %d/0 bytes %d/0 partial @%d-0",
		manyFragments+1, 100*(manyFragments+1), a.frame))
}

func TestTrap25PipelinedCallsArePairedByCallID(t *testing.T) {
	a := bound(Config{})
	a.client(le.request(whole, 2, 0, 20, ""), le.request(whole, 3, 0, 30, ""), le.request(whole, 4, 0, 40, ""))
	a.server(le.response(whole, 3, 0, ""), le.fault(whole, 4, 0, 5), le.response(whole, 2, 0, ""))
	check(t, a.end(),
		"call 3 ctx 0 samr/1.0 op 30 ndr32 answered 1/1 bytes 0/0 @4-6",
		"call 4 ctx 0 samr/1.0 op 40 ndr32 fault 1/1 bytes 0/0 ERROR_ACCESS_DENIED @5-7",
		"call 2 ctx 0 samr/1.0 op 20 ndr32 answered 1/1 bytes 0/0 @3-8")
}

func TestTrap26LatestUnansweredRequestWins(t *testing.T) {
	a := bound(Config{})
	a.client(le.request(whole, 1, 0, 20, ""), le.request(whole, 1, 0, 30, ""))
	a.server(le.response(whole, 1, 0, ""))
	a.client(le.request(whole, 1, 0, 40, "")).server(le.response(whole, 1, 0, ""), le.response(whole, 1, 0, ""))
	check(t, a.end(),
		"call 1 ctx 0 samr/1.0 op 30 ndr32 answered 1/1 bytes 0/0 @4-5",
		"call 1 ctx 0 samr/1.0 op 40 ndr32 answered 1/1 bytes 0/0 @6-7",
		"call 1 ctx 0 samr/1.0 op 20 ndr32 answered 1/1 bytes 0/0 @3-8")
	// A response from the client's own side answers nothing.
	a = bound(Config{})
	a.client(le.request(whole, 1, 0, 20, ""), le.response(whole, 1, 0, ""))
	if s := a.end(); !strings.Contains(s, "call 1 ctx 0 samr/1.0 op 20 ndr32 unanswered") {
		t.Error(s)
	}
}

func TestTrap27ResponseWithoutItsRequest(t *testing.T) {
	a := bound(Config{Stubs: keepAll})
	a.server(le.response(FlagFirst, 7, 0, strings.Repeat("x", 50)), le.response(FlagLast, 7, 0, "x"))
	a.server(le.fault(whole, 8, 0, 0x1c010002))
	check(t, a.take(),
		"1 reply-without-request at 12",
		`call 7 ctx 0 samr/1.0 op 0 ndr32 answered 0/2 bytes 0/51 stubs nil "`+strings.Repeat("x", 51)+`" replyonly @0-4`,
		"1 reply-without-request at 12",
		"call 8 ctx 0 samr/1.0 op 0 ndr32 rejected 0/1 bytes 0/0 nca_s_op_rng_error replyonly @0-5")
}

func TestTrap28FaultsCancelsAndOrphans(t *testing.T) {
	a := bound(Config{Messages: true})
	a.client(le.request(whole, 2, 0, 1, ""), le.pdu(TypeCOCancel, whole, 2, nil, nil))
	a.server(le.fault(whole, 2, 0, 0x1c00000d))
	a.client(le.request(FlagFirst, 3, 0, 1, strings.Repeat("x", 50)), le.pdu(TypeOrphaned, whole, 3, nil, nil))
	a.client(le.request(whole, 4, 0, 1, "")).server(le.fault(whole|FlagDidNotExecute, 4, 0, 0x6d9))
	a.server(le.pdu(TypeShutdown, whole, 0, nil, nil), le.pdu(TypeRTS, whole, 0, make([]byte, 4), nil))
	a.client(le.pdu(TypeCOCancel, whole, 99, nil, nil))
	check(t, a.end(),
		"0 pdu request call 2 samr/1.0",
		"0 pdu co_cancel call 2 samr/1.0",
		"1 pdu fault call 2 samr/1.0",
		"call 2 ctx 0 samr/1.0 op 1 ndr32 fault 1/1 bytes 0/0 nca_s_fault_cancel cancelled @3-5",
		"0 pdu request call 3 samr/1.0",
		"0 pdu orphaned call 3 samr/1.0",
		"0 pdu request call 4 samr/1.0",
		"1 pdu fault call 4 samr/1.0",
		"call 4 ctx 0 samr/1.0 op 1 ndr32 rejected 1/1 bytes 0/0 EPT_S_NOT_REGISTERED @8-9",
		"1 pdu shutdown call 0 ?",
		"1 pdu rts call 0 ?",
		"0 pdu co_cancel call 99 ?",
		"call 3 ctx 0 samr/1.0 op 1 ndr32 unanswered 1/0 bytes 50/0 orphaned partial @6-0")
}

func TestAlterContextThatIsAnsweredByAFault(t *testing.T) {
	a := bound(Config{})
	a.client(le.alter(2, offer(1, svcSyntax, NDR32))).server(le.fault(whole, 2, 0, 0x1c01000b))
	a.client(le.request(whole, 3, 1, 0, ""))
	check(t, a.take(),
		"alter 2 rejected [1=svcctl/2.0] nca_s_proto_error @3-4",
		"0 rejected-context! at 20")
}

func TestTrap29PDUsAndSegmentsDoNotMatter(t *testing.T) {
	client := join(le.bind(1, offer(0, samrSyntax, NDR32)), le.request(FlagFirst, 2, 0, 7, strings.Repeat("x", 60)), le.request(FlagLast, 2, 0, 7, "y"))
	server := join(le.bindAck(1, accept(NDR32)), le.response(whole, 2, 0, "z"))
	var want string
	for size := 1; size < len(client)+1; size += 7 {
		a := newTalk(Config{Messages: true, Stubs: keepAll})
		feed(&a.Assoc, 0, client, func() int { return size }, &a.record)
		feed(&a.Assoc, 1, server, func() int { return size }, &a.record)
		got := a.end()
		if want == "" {
			want = got
		} else if got != want {
			t.Fatalf("in segments of %d bytes:\n%s\nin single bytes:\n%s", size, got, want)
		}
	}
	if !strings.Contains(want, "answered 2/1 bytes 61/1") {
		t.Error(want)
	}
}

func join(pdus ...[]byte) (b []byte) {
	for _, p := range pdus {
		b = append(b, p...)
	}
	return b
}

// feed gives a stream in cuts, keeping what is left like the stream layer does.
func feed(a *Assoc, side int, b []byte, size func() int, h Handler) {
	start, boundary := 0, true
	for end := 0; end < len(b); {
		end = min(end+max(size(), 1), len(b))
		used := a.Data(side, b[start:end:end], boundary, Point{Frame: 1}, h)
		start += used
		boundary = false
	}
}

func TestTrap32And34PrivacyKeepsTheHeader(t *testing.T) {
	a := bound(Config{Stubs: keepAll, Messages: true})
	v := &verifier{AuthNTLM, LevelPrivacy, 0, 1, "0123456789abcdef"}
	a.client(le.requestAuth(whole, 2, 0, 7, "ciphertext..", v))
	a.server(le.pdu(TypeResponse, whole, 2, []byte("\x06\x00\x00\x00\x00\x00\x00\x00more of it.."), v))
	// The level is the client's word: it hides the stub, never the operation.
	check(t, a.take(),
		"0 pdu request call 2 samr/1.0",
		"request 2 ctx 0 samr/1.0 op 7 ndr32 stub nil",
		"1 pdu response call 2 samr/1.0",
		"call 2 ctx 0 samr/1.0 op 7 ndr32 answered 1/1 bytes 12/12 @3-4")
}

func TestTrap33LyingVerifierHidesNoCall(t *testing.T) {
	a := bound(Config{})
	b := le.requestAuth(whole, 2, 0, 7, "stub", &verifier{AuthNTLM, LevelConnect, 0, 1, "0123456789abcdef"})
	b[10] = 0xff
	a.client(b).server(le.response(whole, 2, 0, ""))
	check(t, a.take(), "0 auth-length-too-long! at 10", "call 2 ctx 0 samr/1.0 op 7 ndr32 answered 1/1 bytes 28/0 @3-4")
}

func TestTrap35Auth3HasNoReply(t *testing.T) {
	a := bound(Config{Messages: true})
	a.client(le.pdu(TypeAuth3, whole, 1, []byte("    "), &verifier{AuthNTLM, LevelConnect, 0, 1, "NTLMSSP"}))
	check(t, a.end(), "0 pdu auth3 call 1 ?", "verifier 0 auth3 type ntlm level connect context 1 token 7")
}

func TestTrap52ClientIsWhoSendsWhatClientsSend(t *testing.T) {
	var a Assoc
	a.Reset(&Config{})
	var r record
	if _, known := a.Client(); known {
		t.Error("known before any PDU")
	}
	a.Data(1, windowsBind, true, Point{}, &r)
	if side, known := a.Client(); side != 1 || !known {
		t.Error("a bind comes from the client")
	}
	a.Reset(&Config{})
	a.Data(0, le.response(whole, 1, 0, ""), true, Point{}, &r)
	if side, known := a.Client(); side != 1 || !known {
		t.Error("a response goes to the client")
	}
	a.Data(0, le.response(whole, 2, 0, ""), true, Point{}, &r)
	r.take()
	a.Data(0, le.request(whole, 3, 0, 0, ""), true, Point{}, &r)
	if side, _ := a.Client(); side != 1 {
		t.Error("one PDU turned the majority")
	}
	check(t, r.take(), "0 wrong-direction at 2")
}

func TestGapsAreForgiven(t *testing.T) {
	a := bound(Config{Stubs: keepAll})
	long := strings.Repeat("x", 50)
	a.client(le.request(whole, 2, 0, 1, ""), le.request(FlagFirst, 3, 0, 1, long))
	a.take()
	a.Gap(1, a.at(), a)
	a.Gap(0, a.at(), a)
	// The middle of something, then a segment that begins with a PDU.
	a.client([]byte("tail of a PDU"), le.request(FlagLast, 3, 0, 1, "end"), le.request(whole, 4, 77, 1, ""))
	a.server([]byte("tail"), le.response(FlagLast, 3, 0, "part"), le.response(whole, 99, 0, ""))
	check(t, a.end(),
		"request 3 ctx 0 samr/1.0 op 1 ndr32 stub nil",
		`request 4 ctx 77 ? op 1 stub ""`,
		"call 3 ctx 0 samr/1.0 op 1 ndr32 answered 2/1 bytes 53/4 @6-9",
		`call 99 ctx 0 samr/1.0 op 0 ndr32 answered 0/1 bytes 0/0 stubs nil "" replyonly @0-10`,
		// Its answer may have been in the gap.
		`call 2 ctx 0 samr/1.0 op 1 ndr32 unknown 1/0 bytes 0/0 stubs "" nil @3-0`,
		`call 4 ctx 77 ? op 1 unanswered 1/0 bytes 0/0 stubs "" nil @7-0`)
}

func TestResynchronisesAtTheNextSegment(t *testing.T) {
	a := bound(Config{})
	req := le.request(whole, 2, 0, 7, "")
	a.client([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	check(t, a.take(), "0 bad-version at 0")
	// Not in the middle of a segment, and not after a segment that looked like
	// a PDU for a while.
	a.client(append([]byte("junk"), req...), []byte{5, 0, 0}, []byte("no header"))
	check(t, a.take())
	if used := a.Data(0, req[:9], true, a.at(), a); used != 0 {
		t.Errorf("%d bytes of what may become a header are used", used)
	}
	if used := a.Data(0, req, false, a.at(), a); used != len(req) {
		t.Errorf("%d bytes of a PDU are used", used)
	}
	a.server(le.response(whole, 2, 0, ""))
	if s := a.take(); !strings.Contains(s, "call 2 ctx 0 samr/1.0 op 7 ndr32 answered") {
		t.Error(s)
	}
}

func TestEndOfTheView(t *testing.T) {
	a := newTalk(Config{})
	a.client(le.bind(1, offer(0, samrSyntax, NDR32)), le.request(whole, 2, 0, 7, ""))
	a.End(a.at(), false, a)
	check(t, a.take(),
		"bind 1 unknown [0=samr/1.0] @1-0",
		"call 2 ctx 0 samr/1.0 op 7 unknown 1/0 bytes 0/0 @2-0")
	a.End(a.at(), true, a)
	check(t, a.take())
}

func TestResetForgetsAndKeepsMemoryModest(t *testing.T) {
	a := bound(Config{Stubs: keepAll})
	for i := range 200 {
		a.client(le.request(FlagFirst, uint32(i), 0, 1, strings.Repeat("x", 5000)))
		a.client(le.alter(uint32(i), offer(uint16(i), samrSyntax, NDR32))).server(le.alterResp(uint32(i), accept(NDR32)))
	}
	var many []item
	for i := range 255 {
		many = append(many, offer(uint16(i), samrSyntax, NDR32, NDR64))
	}
	a.client(le.alter(1, many...))
	a.Reset(&a.cfg)
	a.take()
	s := a.s
	kept := cap(s.contexts)*28 + len(s.calls)*500
	for _, c := range s.calls {
		kept += cap(c.request) + cap(c.reply)
	}
	if kept > 20<<10 {
		t.Errorf("%d bytes are kept: %d contexts, %d calls", kept, cap(s.contexts), len(s.calls))
	}
	check(t, a.end())
	a.frame = 0
	a.client(le.bind(1, offer(0, samrSyntax, NDR32))).server(le.bindAck(1, accept(NDR32)))
	a.client(le.request(whole, 2, 0, 7, "")).server(le.response(whole, 2, 0, ""))
	if s := a.end(); !strings.HasPrefix(s, samrNegotiated) || !strings.Contains(s, "answered") {
		t.Error(s)
	}
}

// TestAnswersBeforeTheirQuestions: two capture queues may swap the frames of a
// question and its answer. What was answered is not called unanswered then.
func TestTrap54AnswersBeforeTheirQuestions(t *testing.T) {
	a := newTalk(Config{})
	a.FromStart()
	a.server(le.bindAck(1, accept(NDR32))).client(le.bind(1, offer(0, samrSyntax, NDR32)))
	a.server(le.response(whole, 2, 0, "")).client(le.request(whole, 2, 0, 1, ""))
	a.client(le.request(whole, 3, 0, 1, ""))
	check(t, a.end(),
		"1 reply-without-request at 12",
		"call 2 ctx 0 ? op 0 answered 0/1 bytes 0/0 replyonly @0-3",
		"bind 1 unknown [0=samr/1.0] @2-0",
		"call 2 ctx 0 samr/1.0 op 1 unknown 1/0 bytes 0/0 @4-0",
		"call 3 ctx 0 samr/1.0 op 1 unanswered 1/0 bytes 0/0 @5-0")
}

// TestOneSideAlone: what only the server said answers nothing that was seen,
// which is the capture's doing.
func TestOneSideAlone(t *testing.T) {
	a := newTalk(Config{Stubs: keepAll})
	a.FromStart()
	a.server(le.bindAck(1, accept(NDR32)), le.response(whole, 2, 0, "x"), le.fault(whole, 3, 0, 5), le.bindNak(4, 0))
	check(t, a.end(),
		"call 2 ctx 0 ? op 0 answered 0/1 bytes 0/1 replyonly @0-2",
		"call 3 ctx 0 ? op 0 fault 0/1 bytes 0/0 ERROR_ACCESS_DENIED replyonly @0-3")
}

// tails keeps the last call's tail.
type tails struct {
	silentHandler
	tail uint32
	has  bool
}

func (h *tails) Call(c *Call)            { h.tail, h.has = c.Tail, c.HasTail }
func (*tails) Anomaly(int, Anomaly, int) {}

func TestTheTailIsTheLastFourBytesOfAResponse(t *testing.T) {
	const stub = "abcdefgh\x22\x00\x00\xc0"
	answer := func(e enc, b ...[]byte) (uint32, bool) {
		var a Assoc
		a.Reset(&Config{})
		var h tails
		a.Data(0, e.request(whole, 2, 0, 7, "x"), true, Point{}, &h)
		a.Data(1, join(b...), true, Point{}, &h)
		return h.tail, h.has
	}
	for size := 1; size <= len(stub); size++ {
		var pdus [][]byte
		for at := 0; at < len(stub); at += size {
			var flags uint8
			if at == 0 {
				flags |= FlagFirst
			}
			if at+size >= len(stub) {
				flags |= FlagLast
			}
			pdus = append(pdus, le.response(flags, 2, 0, stub[at:min(at+size, len(stub))]))
		}
		if tail, has := answer(le, pdus...); !has || tail != 0xc0000022 {
			t.Errorf("in fragments of %d bytes: %#x %v", size, tail, has)
		}
	}
	if tail, has := answer(be, be.response(whole, 2, 0, "\x00\x00\x00\x05")); !has || tail != 5 {
		t.Errorf("big-endian: %#x %v", tail, has)
	}
	sealed := &verifier{AuthNTLM, LevelPrivacy, 0, 1, "0123456789abcdef"}
	for name, b := range map[string][]byte{
		"no stub": le.response(whole, 2, 0, ""),
		"too few": le.response(whole, 2, 0, "abc"),
		"odd":     le.response(whole, 2, 0, "abcdefg"),
		"sealed":  le.pdu(TypeResponse, whole, 2, []byte("\x06\x00\x00\x00\x00\x00\x00\x00more of it.."), sealed),
		"a fault": le.fault(whole, 2, 0, 5),
	} {
		if tail, has := answer(le, b); has {
			t.Errorf("%s: %#x", name, tail)
		}
	}
}
