package ncadg

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/packet"
)

// datagrams gives the UDP datagrams of a capture, with the side that sent each:
// 0 the lower address. It skips the test where the capture is not there.
func datagrams(tb testing.TB, name string, tell func(side int, b []byte, frame uint64)) {
	tb.Helper()
	path := filepath.Join("../../../shared/captures", name)
	if _, err := os.Stat(path); err != nil {
		tb.Skip("the capture is not there")
	}
	src, err := pcapfile.Open([]string{path}, pcapfile.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer src.Close()
	d := packet.New(packet.Config{})
	frames := make([]capture.Frame, 16)
	var n uint64
	for {
		k, err := src.Read(frames)
		for i := range frames[:k] {
			n++
			var p packet.Packet
			d.Decode(&frames[i], &p)
			if p.Proto == packet.ProtoUDP && p.Payload != nil {
				side := 0
				if string(p.Src[:]) > string(p.Dst[:]) {
					side = 1
				}
				tell(side, p.Payload, n)
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func TestProfinetAsCaptured(t *testing.T) {
	var p PDU
	var got []string
	datagrams(t, "icsnpp-profinet-io-cm/profinet_io_cm_read.pcapng", func(_ int, b []byte, frame uint64) {
		if Probe(b) != dcerpc.Match {
			return
		}
		a := p.Decode(b)
		got = append(got, fmt.Sprintf("%d %v %02x big %t %v %v seq %d op %d len %d boot %d %v", frame, p.Type, p.Flags1, p.BigEndian,
			p.Interface.UUID, p.Activity, p.Seq, p.Opnum, p.Length, p.ServerBoot, a))
	})
	if len(got) != 18 {
		t.Errorf("%d PDUs", len(got))
	}
	check(t, strings.Join(got[:3], "\n"),
		"1 request 08 big false dea00001-6c97-11d1-8271-00a02442df7d ecbaabdb-001d-4354-b250-0b01630abafd seq 0 op 5 len 84 boot 0 none",
		"2 response 28 big false dea00001-6c97-11d1-8271-00a02442df7d ecbaabdb-001d-4354-b250-0b01630abafd seq 0 op 5 len 188 boot 1 none",
		"3 request 20 big true dea00001-6c97-11d1-8271-00a02442df7d 13142f90-0000-1000-a994-d2106890ca5a seq 3 op 2 len 84 boot 0 none")
}

// TestProfinetAnswersFromAnotherPort: a device answers from a port of its own,
// calls its controller later, and all frames are there twice.
func TestProfinetAnswersFromAnotherPort(t *testing.T) {
	a := newTalk(dcerpc.Config{})
	datagrams(t, "ndpi/dcerpc.pcap", func(side int, b []byte, frame uint64) {
		if Probe(b) == dcerpc.Match {
			a.v.Datagram(side, b, dcerpc.Point{Frame: frame, Time: int64(frame)}, &a.r)
		}
	})
	got := a.end()
	if n := strings.Count(got, "answered 1/1"); n != 4 || strings.Count(got, "\n") != 3 {
		t.Errorf("%d answered calls in\n%s", n, got)
	}
}

// TestEveryProfinetCallIsPaired holds the pairing against what the datagrams
// of a large capture say.
func TestEveryProfinetCallIsPaired(t *testing.T) {
	type key struct {
		act dcerpc.UUID
		seq uint32
	}
	a := newTalk(dcerpc.Config{})
	asked, replied := map[key]bool{}, map[key]bool{}
	var p PDU
	datagrams(t, "icsnpp-profinet-io-cm/profinet_io_cm_control.pcapng", func(side int, b []byte, frame uint64) {
		if Probe(b) != dcerpc.Match {
			return
		}
		if an := p.Decode(b); an != 0 {
			t.Errorf("frame %d: %v", frame, an)
		}
		k := key{p.Activity, p.Seq}
		switch p.Type {
		case dcerpc.TypeRequest:
			asked[k] = true
		case dcerpc.TypeResponse:
			replied[k] = true
		}
		a.v.Datagram(side, b, dcerpc.Point{Frame: frame, Time: int64(frame)}, &a.r)
	})
	both := 0
	for k := range asked {
		if replied[k] {
			both++
		}
	}
	got := a.end()
	if n := strings.Count(got, "answered 1/1"); n < both*9/10 || n > both {
		t.Errorf("%d calls of %d are paired:\n%s", n, both, got)
	}
}

func TestProbe(t *testing.T) {
	good := ask(1, "stub")
	sealed := good
	sealed.auth, sealed.tail = 10, "\x00\x00\x00\x00\x06\x00\x00\x00token"
	edit := func(d dg, at int, v byte) []byte { b := d.bytes(); b[at] = v; return b }
	for _, c := range []struct {
		name string
		b    []byte
		want dcerpc.Verdict
	}{
		{"nothing", nil, dcerpc.No},
		{"a request", good.bytes(), dcerpc.Match},
		{"a request with a verifier", sealed.bytes(), dcerpc.Match},
		{"the unrelated flag of MS-RPCE 2.2.3.3", edit(good, 3, 4), dcerpc.Match},
		{"less than a header", good.bytes()[:79], dcerpc.No},
		{"less than its body", good.bytes()[:82], dcerpc.More},
		{"another version", edit(good, 0, 5), dcerpc.No},
		{"a bind", edit(good, 1, 11), dcerpc.No},
		{"reserved flags", edit(good, 3, 0x10), dcerpc.No},
		{"no data representation", edit(good, 4, 0x20), dcerpc.No},
		{"trap 51: more bytes than it says", append(good.bytes(), 0), dcerpc.No},
		{"trap 51: a verifier of one byte", append(edit(good, 78, 10), 0), dcerpc.No},
	} {
		if got := Probe(c.b); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestMalformedDatagrams(t *testing.T) {
	var p PDU
	edit := func(d dg, at int, v byte) []byte { b := d.bytes(); b[at] = v; return b }
	fault := answer(1, "\x05\x00")
	fault.ptype = dcerpc.TypeFault
	fack := answer(1, "\x00\x00\x08\x00\x00\x10\x00\x00\x00\x05\x00\x00\x00\x00\x09\x00\xff\xff\xff\xff")
	fack.ptype = dcerpc.TypeFack
	for _, c := range []struct {
		b      []byte
		want   Anomaly
		offset int
	}{
		{ask(1, "x").bytes(), 0, 0},
		{ask(1, "x").bytes()[:70], ShortHeader, 70},
		{edit(ask(1, "x"), 0, 5), BadVersion, 0},
		{edit(ask(1, "x"), 1, 0x20), BadType, 1},
		{edit(ask(1, "x"), 5, 4), BadDataRep, 4},
		{ask(1, "xyz").bytes()[:81], ShortBody, 74},
		{append(ask(1, "x").bytes(), 1), TrailingBytes, 81},
		{edit(ask(1, "x"), 78, 10), ShortVerifier, 81},
		{edit(ask(1, "x"), 76, 1), FragmentNumber, 76},
		{fault.bytes(), ShortBody, 82},
		{fack.bytes(), ShortBody, 100},
	} {
		if got := p.Decode(c.b); got != c.want || p.offset != c.offset {
			t.Errorf("%x: %v at %d, want %v at %d", c.b, got, p.offset, c.want, c.offset)
		}
	}
}
