package dcerpc

import (
	"strings"
	"testing"
)

// sendCut sends PDUs of which the snap length left the first n bytes, and then
// the gap that the stream tells of.
func (t *talk) sendCut(side, n int, b []byte) *talk {
	t.frame++
	b = b[:n:n]
	used := t.Data(side, b, true, t.at(), &t.record)
	t.Cut(side, b[used:], t.at(), &t.record)
	t.Gap(side, t.at(), &t.record)
	return t
}

func TestCutPDUsCountAsFarAsTheyGo(t *testing.T) {
	bind := le.bind(1, offer(0, samrSyntax, NDR32), offer(1, svcSyntax, NDR32))
	ack := le.bindAck(1, accept(NDR32), accept(NDR32))
	request := le.request(whole, 2, 0, 5, "0123456789")
	response := le.response(whole, 2, 0, "0123456789")
	cases := []struct {
		name string
		play func(*talk)
		want []string
	}{
		{"a bind is told with the contexts that are whole", func(a *talk) {
			a.sendCut(0, len(bind)-30, bind).server(ack)
		}, []string{
			"0 pdu bind call 1 ?",
			"1 pdu bind_ack call 1 ?",
			"bind 1 accepted [0=samr/1.0:acceptance(ndr32)] @1-2",
		}},
		{"a server that took what was offered behind the cut took something", func(a *talk) {
			a.sendCut(0, len(bind)-30, bind).server(le.bindAck(1, reject, accept(NDR32)))
		}, []string{
			"0 pdu bind call 1 ?",
			"1 pdu bind_ack call 1 ?",
			"bind 1 accepted [0=samr/1.0:provider_rejection] @1-2",
		}},
		{"fragments whose stubs were cut away are not tiny", func(a *talk) {
			a.client(bind).server(ack).take()
			for _, flags := range []uint8{FlagFirst, 0, 0, FlagLast} {
				a.sendCut(0, 28, le.request(flags, 2, 0, 5, strings.Repeat("x", 1000)))
			}
		}, []string{
			"0 pdu request call 2 samr/1.0",
			"0 pdu request call 2 samr/1.0",
			"0 pdu request call 2 samr/1.0",
			"0 pdu request call 2 samr/1.0",
			"request 2 ctx 0 samr/1.0 op 5 ndr32 stub nil",
		}},
		{"of an answer the results that are whole", func(a *talk) {
			a.client(bind).sendCut(1, len(ack)-10, ack)
		}, []string{
			"0 pdu bind call 1 ?",
			"1 pdu bind_ack call 1 ?",
			"bind 1 accepted [0=samr/1.0:acceptance(ndr32) 1=svcctl/2.0] @1-2",
		}},
		{"an answer without a whole result is of unknown outcome", func(a *talk) {
			a.client(bind).sendCut(1, 40, ack)
			a.client(request)
		}, []string{
			"0 pdu bind call 1 ?",
			"1 pdu bind_ack call 1 ?",
			"bind 1 unknown [0=samr/1.0 1=svcctl/2.0] @1-2",
			"0 pdu request call 2 samr/1.0",
			`request 2 ctx 0 samr/1.0 op 5 stub "0123456789"`,
		}},
		{"a call whose frames were both cut is whole but for its stubs", func(a *talk) {
			a.client(bind).server(ack).take()
			a.sendCut(0, 28, request).sendCut(1, 28, response)
		}, []string{
			"0 pdu request call 2 samr/1.0",
			"request 2 ctx 0 samr/1.0 op 5 ndr32 stub nil",
			"1 pdu response call 2 samr/1.0",
			"call 2 ctx 0 samr/1.0 op 5 ndr32 answered 1/1 bytes 10/10 @3-4",
		}},
		{"less than the fields of the type tells the type alone", func(a *talk) {
			a.client(bind).server(ack).take()
			a.sendCut(0, 20, request)
		}, []string{"0 pdu request call 2 ?"}},
		{"less than a header tells nothing", func(a *talk) {
			a.client(bind).server(ack).take()
			a.sendCut(0, 15, request)
		}, nil},
		{"the PDU behind the cut one is found again", func(a *talk) {
			a.client(bind).server(ack).take()
			a.sendCut(0, 28, request).client(le.request(whole, 3, 1, 7, ""))
		}, []string{
			"0 pdu request call 2 samr/1.0",
			"request 2 ctx 0 samr/1.0 op 5 ndr32 stub nil",
			"0 pdu request call 3 svcctl/2.0",
			`request 3 ctx 1 svcctl/2.0 op 7 ndr32 stub ""`,
		}},
		{"a whole PDU and the beginning of another in one frame", func(a *talk) {
			a.client(bind).server(ack).take()
			two := append(append([]byte{}, request...), le.request(whole, 3, 1, 7, "0123456789")...)
			a.sendCut(0, len(request)+25, two)
		}, []string{
			"0 pdu request call 2 samr/1.0",
			`request 2 ctx 0 samr/1.0 op 5 ndr32 stub "0123456789"`,
			"0 pdu request call 3 svcctl/2.0",
			"request 3 ctx 1 svcctl/2.0 op 7 ndr32 stub nil",
		}},
		{"a verifier that was cut away is known to be there", func(a *talk) {
			a.client(bind).server(ack).take()
			b := le.requestAuth(whole, 2, 0, 5, "0123456789", &verifier{typ: 10, level: 6, value: "0123456789abcdef"})
			a.sendCut(0, 30, b).sendCut(1, 28, response)
		}, []string{
			"0 pdu request call 2 samr/1.0",
			"request 2 ctx 0 samr/1.0 op 5 ndr32 stub nil",
			"1 pdu response call 2 samr/1.0",
			"call 2 ctx 0 samr/1.0 op 5 ndr32 answered 1/1 bytes 10/10 @3-4",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := newTalk(Config{Messages: true, Stubs: keepAll})
			c.play(a)
			check(t, a.take(), c.want...)
		})
	}
}

// TestCutTakesNothingThatIsWhole: bytes that Data would use, or that are no
// PDU, are left alone.
func TestCutTakesNothingThatIsWhole(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"a whole PDU", le.request(whole, 2, 0, 5, "")},
		{"bytes that are no PDU", []byte("GET / HTTP/1.1\r\n\r\n")},
		{"a header of an impossible length", []byte{5, 0, 0, 3, 0x10, 0, 0, 0, 15, 0, 0, 0, 1, 0, 0, 0}},
		{"nothing", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := bound(Config{Messages: true})
			a.Cut(0, c.b, a.at(), &a.record)
			check(t, a.take(), "")
			if n := a.PDUs(); n != 2 {
				t.Errorf("%d PDUs counted, want the two of the bind", n)
			}
		})
	}
}

// TestCutKeepsNothingOfTheFrame: what the association tells later does not
// change with the memory that Cut was given.
func TestCutKeepsNothingOfTheFrame(t *testing.T) {
	tell := func(spoil bool) string {
		a := newTalk(Config{Messages: true, Stubs: keepAll})
		for _, p := range []struct {
			side, n int
			b       []byte
		}{
			{0, 80, le.bind(1, offer(0, samrSyntax, NDR32), offer(1, svcSyntax, NDR32))},
			{1, 60, le.bindAck(1, accept(NDR32), accept(NDR32))},
			{0, 30, le.request(whole, 2, 0, 5, "0123456789")},
		} {
			b := append([]byte{}, p.b...)
			a.sendCut(p.side, min(p.n, len(b)), b)
			for i := range b {
				if spoil {
					b[i] = 0xa5
				}
			}
		}
		return a.end()
	}
	if clean, spoiled := tell(false), tell(true); clean != spoiled {
		t.Errorf("told\n%s\nand with the memory overwritten\n%s", clean, spoiled)
	}
}
