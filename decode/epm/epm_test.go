package epm

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kmswatch/decode/dcerpc"
)

//go:embed testdata/vectors.txt
var vectorsTXT string

// vector is a line of vectors.txt, which vectors.py beside it writes.
type vector struct {
	name     string
	opnum    uint16
	response bool
	ndr64    bool
	stub     []byte
}

func vectors(t testing.TB) (all []vector) {
	for line := range strings.Lines(vectorsTXT) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		opnum, err := strconv.ParseUint(f[1], 10, 16)
		stub, err2 := hex.DecodeString(f[4])
		if err != nil || err2 != nil {
			t.Fatalf("%q", line)
		}
		all = append(all, vector{f[0], uint16(opnum), f[2] == "response", f[3] == "NDR64", stub})
	}
	return all
}

var (
	samr  = dcerpc.Syntax{UUID: dcerpc.MustUUID("12345778-1234-abcd-ef00-0123456789ac"), Major: 1}
	tcp   = Tower{Interface: samr, Transfer: dcerpc.NDR32, Protocol: TCP, Port: 49664, Addr: [16]byte{10, 1, 2, 3}, AddrLen: 4, Floors: 5, IDs: [6]uint8{0x0b, 0x07, 0x09}}
	pipe  = Tower{Interface: samr, Transfer: dcerpc.NDR32, Protocol: NamedPipe, Pipe: `\PIPE\lsass`, Host: `\\DC1`, Floors: 5, IDs: [6]uint8{0x0b, 0x0f, 0x11}}
	http  = Tower{Interface: samr, Transfer: dcerpc.NDR32, Protocol: HTTP, Port: 593, Addr: tcp.Addr, AddrLen: 4, Floors: 5, IDs: [6]uint8{0x0b, 0x1f, 0x09}}
	udp   = Tower{Interface: samr, Transfer: dcerpc.NDR32, Protocol: UDP, Port: 1026, Addr: tcp.Addr, AddrLen: 4, Floors: 5, IDs: [6]uint8{0x0a, 0x08, 0x09}}
	local = Tower{Interface: samr, Transfer: dcerpc.NDR32, Protocol: Local, Pipe: "LRPC-0a1b", Floors: 4, IDs: [6]uint8{0x0c, 0x10}}
	any4  = Tower{Interface: samr, Transfer: dcerpc.NDR32, Protocol: TCP, AddrLen: 4, Floors: 5, IDs: tcp.IDs}
)

func TestStubsOfAnotherImplementation(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, v := range vectors(t) {
		name := v.name + " " + map[bool]string{true: "response", false: "request"}[v.response] + " " + map[bool]string{true: "NDR64", false: "NDR32"}[v.ndr64]
		seen++
		if !v.response {
			var r Request
			if a := r.Decode(v.opnum, v.stub, v.ndr64, false); a != 0 {
				t.Errorf("%s: %s", name, a)
			}
			switch v.opnum {
			case Map:
				if !r.HasTower || r.Tower != any4 || r.HasObject || r.Continues || r.Max != 4 {
					t.Errorf("%s: %+v", name, r)
				}
			case Lookup:
				if r.InquiryType != 1 || r.HasObject || !r.HasInterface || r.Interface != samr || r.VersionOption != 1 || r.Continues || r.Max != 500 {
					t.Errorf("%s: %+v", name, r)
				}
			}
			continue
		}
		var r Response
		if a := r.Decode(v.opnum, v.stub, v.ndr64, false); a != 0 {
			t.Errorf("%s: %s", name, a)
		}
		switch v.opnum {
		case Map:
			if r.More || r.Count != 5 || !r.HasStatus || r.Status != 0 || r.Omitted() != 0 || len(r.Entries) != 5 {
				t.Fatalf("%s: %+v", name, r)
			}
			for i, want := range []Tower{tcp, pipe, http, udp, local} {
				if e := r.Entries[i]; !e.HasTower || e.Tower != want {
					t.Errorf("%s: tower %d: %+v", name, i, e.Tower)
				}
			}
		case Lookup:
			object := dcerpc.MustUUID("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
			if !r.More || r.Count != 2 || r.Status != StatusNotRegistered || len(r.Entries) != 2 ||
				r.Entries[0] != (Entry{object, true, tcp, "Remote registry"}) || r.Entries[1] != (Entry{object, true, local, ""}) {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
	if seen != 8 {
		t.Errorf("%d vectors", seen)
	}
}

// floor and tower build towers, put builds stubs.
func floor(left, right string) string {
	b := binary.LittleEndian.AppendUint16(nil, uint16(len(left)))
	b = append(b, left...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(right)))
	return string(append(b, right...))
}

func syntaxFloor(s dcerpc.Syntax) string {
	u := s.UUID
	left := []byte{0x0d, u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6]}
	left = append(left, u[8:]...)
	left = binary.LittleEndian.AppendUint16(left, s.Major)
	return floor(string(left), string(binary.LittleEndian.AppendUint16(nil, s.Minor)))
}

func octets(floors ...string) []byte {
	return append(binary.LittleEndian.AppendUint16(nil, uint16(len(floors))), strings.Join(floors, "")...)
}

// put builds a stub in either syntax and byte order.
type put struct {
	b     []byte
	ndr64 bool
	order binary.AppendByteOrder
}

func (p *put) align(n int) {
	for len(p.b)%n != 0 {
		p.b = append(p.b, 0xaa)
	}
}

func (p *put) u32(vs ...uint32) {
	p.align(4)
	for _, v := range vs {
		p.b = p.order.AppendUint32(p.b, v)
	}
}

func (p *put) size(vs ...uint64) {
	for _, v := range vs {
		if !p.ndr64 {
			p.u32(uint32(v))
			continue
		}
		p.align(8)
		p.b = p.order.AppendUint64(p.b, v)
	}
}

func (p *put) uuid(u dcerpc.UUID) {
	p.align(4)
	p.b = p.order.AppendUint32(p.b, binary.BigEndian.Uint32(u[:]))
	p.b = p.order.AppendUint16(p.b, binary.BigEndian.Uint16(u[4:]))
	p.b = p.order.AppendUint16(p.b, binary.BigEndian.Uint16(u[6:]))
	p.b = append(p.b, u[8:]...)
}

func (p *put) handle(u dcerpc.UUID) {
	p.u32(0)
	p.uuid(u)
}

func (p *put) tower(b []byte) {
	p.size(uint64(len(b)))
	p.u32(uint32(len(b)))
	p.b = append(p.b, b...)
}

// modes are the four ways to write a stub.
func modes(t *testing.T, f func(t *testing.T, p put, big bool)) {
	for _, ndr64 := range []bool{false, true} {
		for _, big := range []bool{false, true} {
			p := put{ndr64: ndr64, order: binary.LittleEndian}
			if big {
				p.order = binary.BigEndian
			}
			t.Run(map[bool]string{true: "NDR64", false: "NDR32"}[ndr64]+map[bool]string{true: " big-endian", false: ""}[big], func(t *testing.T) { f(t, p, big) })
		}
	}
}

var tcpOctets = octets(syntaxFloor(samr), syntaxFloor(dcerpc.NDR32), floor("\x0b", "\x00\x00"), floor("\x07", "\xc2\x00"), floor("\x09", "\x0a\x01\x02\x03"))

func TestEveryOperationInBothSyntaxesAndByteOrders(t *testing.T) {
	t.Parallel()
	object := dcerpc.MustUUID("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
	modes(t, func(t *testing.T, p put, big bool) {
		empty := p

		p = empty // ept_map: object, map_tower, entry_handle, max_towers
		p.size(1)
		p.uuid(object)
		p.size(2)
		p.tower(tcpOctets)
		p.handle(object)
		p.u32(7)
		var r Request
		if a := r.Decode(Map, p.b, p.ndr64, big); a != 0 || r.Object != object || !r.HasObject || r.Tower != tcp || !r.Continues || r.Max != 7 {
			t.Errorf("map: %s %+v", a, r)
		}

		p = empty // ept_lookup: inquiry_type, object, interface_id, vers_option, entry_handle, max_ents
		p.u32(3)
		p.size(1)
		p.uuid(object)
		p.size(0)
		p.u32(1)
		p.handle(dcerpc.UUID{})
		p.u32(500)
		if a := r.Decode(Lookup, p.b, p.ndr64, big); a != 0 || r.InquiryType != 3 || r.Object != object || r.HasInterface || r.HasTower || r.VersionOption != 1 || r.Continues || r.Max != 500 {
			t.Errorf("lookup: %s %+v", a, r)
		}

		p = empty // ept_insert: num_ents, entries, replace
		p.u32(1)
		p.size(1)
		if p.ndr64 {
			p.align(8) // as the pointer in it
		}
		p.uuid(object)
		p.size(1, 0, 5)
		p.b = append(p.b, "evil\x00"...)
		p.tower(tcpOctets)
		p.u32(1)
		if a := r.Decode(Insert, p.b, p.ndr64, big); a != 0 || r.Count != 1 || len(r.Entries) != 1 || r.Entries[0] != (Entry{object, true, tcp, "evil"}) {
			t.Errorf("insert: %s %+v", a, r)
		}

		p = empty // ept_lookup_handle_free: entry_handle
		p.handle(object)
		if a := r.Decode(HandleFree, p.b, p.ndr64, big); a != 0 || !r.Continues {
			t.Errorf("handle_free: %s %+v", a, r)
		}

		p = empty // ept_inq_object: ept_object
		p.uuid(object)
		if a := r.Decode(InqObject, p.b, p.ndr64, big); a != 0 || r.Object != object {
			t.Errorf("inq_object: %s %+v", a, r)
		}

		p = empty // ept_mgmt_delete: object_speced, object, tower
		p.u32(1)
		p.size(1)
		p.uuid(object)
		p.size(1)
		p.tower(tcpOctets)
		if a := r.Decode(MgmtDelete, p.b, p.ndr64, big); a != 0 || r.Object != object || r.Tower != tcp {
			t.Errorf("mgmt_delete: %s %+v", a, r)
		}

		p = empty // the answer to ept_map: entry_handle, num_towers, towers, status
		p.handle(dcerpc.UUID{})
		p.u32(3)
		p.size(4, 0, 3)
		p.size(1, 0, 2)
		p.tower(tcpOctets)
		p.tower(tcpOctets)
		p.u32(0)
		var s Response
		if a := s.Decode(Map, p.b, p.ndr64, big); a != 0 || s.More || s.Count != 3 || len(s.Entries) != 3 ||
			s.Entries[0].Tower != tcp || s.Entries[1].HasTower || s.Entries[2].Tower != tcp || !s.HasStatus {
			t.Errorf("map answer: %s %+v", a, s)
		}

		p = empty // the answer of a mapper that knows no such interface
		p.handle(dcerpc.UUID{})
		p.u32(0)
		p.size(4, 0, 0)
		p.u32(StatusNotRegistered)
		if a := s.Decode(Map, p.b, p.ndr64, big); a != 0 || s.Count != 0 || len(s.Entries) != 0 || s.Status != StatusNotRegistered {
			t.Errorf("map answer, none: %s %+v", a, s)
		}

		p = empty // the answer to ept_lookup_handle_free: entry_handle, status
		p.handle(dcerpc.UUID{})
		p.u32(StatusOK)
		if a := s.Decode(HandleFree, p.b, p.ndr64, big); a != 0 || s.More || !s.HasStatus {
			t.Errorf("handle_free answer: %s %+v", a, s)
		}

		p = empty // and to the rest: status
		p.u32(5)
		if a := s.Decode(Insert, p.b, p.ndr64, big); a != 0 || s.Status != 5 {
			t.Errorf("insert answer: %s %+v", a, s)
		}
	})
}

func TestTowersOfEveryProtocol(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		floors  []string
		want    Tower
		anomaly Anomaly
	}{
		{"an IPv6 address", []string{floor("\x0b", "\x00\x00"), floor("\x07", "\x00\x87"), floor("\x09", "0123456789abcdef")},
			Tower{Protocol: TCP, Port: 135, Addr: [16]byte([]byte("0123456789abcdef")), AddrLen: 16, IDs: [6]uint8{0x0b, 7, 9}}, 0},
		{"SPX", []string{floor("\x0b", "\x00\x00"), floor("\x13", "\x12\x34"), floor("\x14", "0123456789")}, Tower{Protocol: SPX, IDs: [6]uint8{0x0b, 0x13, 0x14}}, 0},
		{"IPX", []string{floor("\x0a", "\x00\x00"), floor("\x14", "\x12\x34")}, Tower{Protocol: IPX, IDs: [6]uint8{0x0a, 0x14}}, 0},
		{"NetBEUI", []string{floor("\x0b", "\x00\x00"), floor("\x12", "\x12"), floor("\x11", "HOST\x00")}, Tower{Protocol: NetBEUI, Host: "HOST", IDs: [6]uint8{0x0b, 0x12, 0x11}}, 0},
		{"AppleTalk", []string{floor("\x0b", "\x00\x00"), floor("\x16", "x")}, Tower{Protocol: AppleTalk, IDs: [6]uint8{0x0b, 0x16}}, 0},
		{"VINES", []string{floor("\x0b", "\x00\x00"), floor("\x19", "x")}, Tower{Protocol: VINES, IDs: [6]uint8{0x0b, 0x19}}, 0},
		{"DECnet", []string{floor("\x0b", "\x00\x00"), floor("\x04", "x")}, Tower{Protocol: DECnet, IDs: [6]uint8{0x0b, 0x04}}, 0},
		{"a Unix socket of Samba", []string{floor("\x20", "/run/ep\x00")}, Tower{Protocol: UnixStream, Pipe: "/run/ep", IDs: [6]uint8{0x20}}, 0},
		{"a protocol without a name", []string{floor("\x0b", "\x00\x00"), floor("\x7f", "x"), floor("\x80", "")}, Tower{IDs: [6]uint8{0x0b, 0x7f, 0x80}}, 0},
		{"more floors than are kept", []string{floor("\x0b", ""), floor("\x07", "\x00\x87"), floor("\x09", "abcd"), floor("\x41", ""), floor("\x42", ""), floor("\x43", ""), floor("\x44", "")},
			Tower{Protocol: TCP, Port: 135, Addr: [16]byte{'a', 'b', 'c', 'd'}, AddrLen: 4, IDs: [6]uint8{0x0b, 7, 9, 0x41, 0x42, 0x43}}, 0},
		{"a port of three bytes", []string{floor("\x0b", "\x00\x00"), floor("\x07", "123")}, Tower{Protocol: TCP, IDs: [6]uint8{0x0b, 7}}, FloorLength},
		{"an address of five bytes", []string{floor("\x0b", "\x00\x00"), floor("\x07", "\x00\x87"), floor("\x09", "12345")}, Tower{Protocol: TCP, Port: 135, IDs: [6]uint8{0x0b, 7, 9}}, FloorLength},
		{"a floor without a protocol", []string{floor("", "")}, Tower{}, FloorLength},
		{"no protocol", nil, Tower{}, FewFloors},
	} {
		c.want.Interface, c.want.Transfer, c.want.Floors = samr, dcerpc.NDR64, uint16(2+len(c.floors))
		var got Tower
		a := got.Decode(octets(append([]string{syntaxFloor(samr), syntaxFloor(dcerpc.NDR64)}, c.floors...)...))
		if a != c.anomaly || got != c.want {
			t.Errorf("%s: %s %+v", c.name, a, got)
		}
	}
}

func TestMalformedTowers(t *testing.T) {
	t.Parallel()
	var got Tower
	for n := range tcpOctets {
		if a := got.Decode(tcpOctets[:n]); a != ShortTower {
			t.Errorf("%d octets: %s", n, a)
		}
	}
	many := bytes.Clone(tcpOctets)
	many[0], many[1] = 0xff, 0xff
	if a := got.Decode(many); a != ShortTower || got.Port != 49664 || got.Protocol != TCP {
		t.Errorf("65535 floors: %s %+v", a, got)
	}
	if a := got.Decode(append(bytes.Clone(tcpOctets), 0, 0, 0)); a != 0 {
		t.Errorf("padding: %s", a)
	}
	if a := got.Decode(append(bytes.Clone(tcpOctets), 0, 0, 0, 0)); a != TrailingOctets || got.Port != 49664 {
		t.Errorf("more than padding: %s", a)
	}
	if a := got.Decode(octets(floor("\x07", "\x00\x00"), syntaxFloor(dcerpc.NDR32), floor("\x0b", "\x00\x00"))); a != FloorLength {
		t.Errorf("no interface: %s", a)
	}
}

func TestMalformedStubs(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, p put, big bool) {
		answer := func(count uint32, limit, offset, actual uint64, towers int, tail ...byte) []byte {
			p := p
			p.handle(dcerpc.UUID{})
			p.u32(count)
			p.size(limit, offset, actual)
			for range actual {
				p.size(1)
			}
			for range towers {
				p.tower(tcpOctets)
			}
			p.u32(0)
			return append(p.b, tail...)
		}
		for _, c := range []struct {
			name    string
			stub    []byte
			anomaly Anomaly
			entries int
		}{
			{"the count says more than the array", answer(9, 4, 0, 1, 1), CountDisagrees, 1},
			{"the array is longer than its maximum", answer(2, 1, 0, 2, 2), BadArray, 2},
			{"the array does not begin at 0", answer(1, 4, 1, 1, 1), BadArray, 1},
			{"more than padding behind the status", answer(1, 4, 0, 1, 1, make([]byte, 16)...), TrailingBytes, 1},
		} {
			var r Response
			if a := r.Decode(Map, c.stub, p.ndr64, big); a != c.anomaly || len(r.Entries) != c.entries || !r.Entries[0].HasTower {
				t.Errorf("%s: %s %+v", c.name, a, r)
			}
		}
		whole := answer(2, 4, 0, 2, 2)
		for n := range len(whole) - 3 {
			var r Response
			if a := r.Decode(Map, whole[:n], p.ndr64, big); a != ShortStub {
				t.Errorf("%d of %d bytes: %s", n, len(whole), a)
			}
		}
		q := p
		q.size(0, 1, 75)
		q.u32(74)
		q.b = append(q.b, tcpOctets...)
		q.handle(dcerpc.UUID{})
		q.u32(4)
		var r Request
		if a := r.Decode(Map, q.b, p.ndr64, big); a != TowerLength || !r.HasTower || r.Max != 4 {
			t.Errorf("tower_length: %s %+v", a, r)
		}
	})
	var r Request
	var s Response
	if a := r.Decode(7, nil, false, false); a != UnknownOperation || Wanted(7) != 0 {
		t.Errorf("operation 7: %s", a)
	}
	if a := s.Decode(7, []byte{1, 0, 0, 0}, false, false); a != UnknownOperation || s.HasStatus {
		t.Errorf("operation 7: %s", a)
	}
}

// TestTrap32AVerificationTrailerIsNoParameter: nor is it too much behind them.
func TestTrap32AVerificationTrailerIsNoParameter(t *testing.T) {
	t.Parallel()
	p := put{order: binary.LittleEndian}
	p.size(0, 0)
	p.handle(dcerpc.UUID{})
	p.u32(4)
	stub := append(p.b, 0x8a, 0xe3, 0x13, 0x71, 0x02, 0xf4, 0x36, 0x71, 2, 0x40, 40, 0)
	stub = append(stub, make([]byte, 40)...)
	var r Request
	if a := r.Decode(Map, stub, false, false); a != 0 || r.Max != 4 {
		t.Errorf("%s %+v", a, r)
	}
}

// TestTrap21EntriesAreBounded: an answer of many entries, and one that claims
// more than it holds.
func TestTrap21EntriesAreBounded(t *testing.T) {
	t.Parallel()
	p := put{order: binary.LittleEndian}
	p.handle(dcerpc.UUID{})
	p.u32(700)
	p.size(700, 0, 700)
	for range 700 {
		p.size(1)
	}
	for range 700 {
		p.tower(octets(syntaxFloor(samr), syntaxFloor(dcerpc.NDR32), floor("\x0b", "")))
	}
	p.u32(77)
	var r Response
	if a := r.Decode(Map, p.b, false, false); a != 0 || len(r.Entries) != MaxEntries || r.Omitted() != 700-MaxEntries || r.Status != 77 {
		t.Errorf("%s: %d entries, %d omitted, status %d", a, len(r.Entries), r.Omitted(), r.Status)
	}
	short := p.b[:Wanted(Map)]
	if a := r.Decode(Map, short, false, false); a != 0 || !r.Cut || r.HasStatus || len(r.Entries) != MaxEntries {
		t.Errorf("cut at what is kept: %s %v, status %v", a, r.Cut, r.HasStatus)
	}
	p.b = nil
	p.handle(dcerpc.UUID{})
	p.u32(0xffffffff)
	p.size(0xffffffff, 0, 0xffffffff, 1, 1)
	if a := r.Decode(Lookup, p.b, false, false); a != ShortStub || len(r.Entries) > 2 {
		t.Errorf("a claim: %s, %d entries", a, len(r.Entries))
	}
}

func TestAnAnswerOfTCPTowersAllocatesNothing(t *testing.T) {
	p := put{order: binary.LittleEndian}
	p.handle(dcerpc.UUID{})
	p.u32(4)
	p.size(4, 0, 4, 1, 1, 1, 1)
	for range 4 {
		p.tower(tcpOctets)
	}
	p.u32(0)
	var r Response
	if n := testing.AllocsPerRun(100, func() {
		if r.Decode(Map, p.b, false, false) != 0 {
			t.Fatal("anomaly")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for a := range anomalies {
		if a.String() == "" {
			t.Errorf("anomaly %d has no name", a)
		}
	}
	for p := range protocols {
		if p.String() == "" {
			t.Errorf("protocol %d has no name", p)
		}
	}
	if s := Anomaly(200).String() + Protocol(200).String() + StatusName(0) + StatusName(StatusNotRegistered) + StatusName(StatusNoMemory) + StatusName(0x6d9); s != "unknown"+"protocol(200)ept_s_okept_s_not_registeredept_s_no_memoryEPT_S_NOT_REGISTERED" {
		t.Error(s)
	}
}

// FuzzTower holds a tower against another reading of it: the floors walked with
// slices alone.
func FuzzTower(f *testing.F) {
	f.Add(tcpOctets)
	for _, v := range vectors(f) {
		if i := bytes.Index(v.stub, tcpOctets[:10]); i >= 0 {
			f.Add(v.stub[i:])
		}
	}
	f.Add([]byte{0xff, 0xff, 1, 0, 0x0d, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got, again Tower
		a := got.Decode(b)
		if again.Decode(bytes.Clone(b)) != a || again != got {
			t.Fatal("the same octets gave something else")
		}
		if len(got.Pipe) > maxText || len(got.Host) > maxText || got.AddrLen != 0 && got.AddrLen != 4 && got.AddrLen != 16 {
			t.Fatalf("%+v", got)
		}
		whole, rest, floors := len(b) >= 2, b, 0
		if whole {
			floors, rest = int(b[0])|int(b[1])<<8, b[2:]
			for i := 0; i < floors && whole; i++ {
				for range 2 {
					if len(rest) < 2 || len(rest) < 2+(int(rest[0])|int(rest[1])<<8) {
						whole = false
						break
					}
					rest = rest[2+(int(rest[0])|int(rest[1])<<8):]
				}
			}
		}
		if a == 0 && (!whole || floors < 3 || len(rest) > 3) || a == TrailingOctets && (!whole || len(rest) <= 3) || whole && a == ShortTower {
			t.Fatalf("%s, though whole is %v, with %d floors and %d octets behind", a, whole, floors, len(rest))
		}
		if int(got.Floors) != floors {
			t.Fatalf("%d floors of %d", got.Floors, floors)
		}
	})
}

// FuzzMap decodes a stub as the request and the response of each operation. The
// oracle: the same again gives the same; what is kept is bounded by the stub
// and by MaxEntries; nothing of the stub is kept; a stub without anomaly that
// was not cut has its status, and its count is that of its entries.
func FuzzMap(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.stub, byte(v.opnum), v.ndr64, false)
	}
	p := put{ndr64: true, order: binary.BigEndian}
	p.handle(dcerpc.UUID{})
	p.u32(1)
	p.size(1, 0, 1, 1)
	p.tower(tcpOctets)
	p.u32(0)
	f.Add(p.b, byte(Map), true, true)
	f.Add(bytes.Repeat([]byte{0, 0, 0, 1}, 40), byte(Insert), false, true)
	f.Fuzz(func(t *testing.T, b []byte, op byte, ndr64, big bool) {
		opnum := uint16(op % 9)
		var r, r2 Request
		var s, s2 Response
		a, as := r.Decode(opnum, b, ndr64, big), s.Decode(opnum, b, ndr64, big)
		clone := bytes.Clone(b)
		a2, as2 := r2.Decode(opnum, clone, ndr64, big), s2.Decode(opnum, clone, ndr64, big)
		clear(clone)
		if a != a2 || as != as2 || !slices.Equal(r.Entries, r2.Entries) || !slices.Equal(s.Entries, s2.Entries) ||
			r.Tower != r2.Tower || r.Object != r2.Object || s.Status != s2.Status || s.Count != s2.Count {
			t.Fatal("the same stub gave something else, or shares its memory")
		}
		for _, es := range [][]Entry{r.Entries, s.Entries} {
			if len(es) > MaxEntries || len(es) > len(b)/4 {
				t.Fatalf("%d entries of %d bytes", len(es), len(b))
			}
			for _, e := range es {
				if len(e.Annotation) > 2*maxAnnotation || !e.HasTower && e.Tower != (Tower{}) {
					t.Fatalf("%+v", e)
				}
			}
		}
		if as == 0 && !s.Cut && (!s.HasStatus || s.Omitted() > 0 && len(s.Entries) < MaxEntries) {
			t.Fatalf("no anomaly: %+v", s)
		}
		if (r.Cut || s.Cut) && len(b) < Wanted(opnum) {
			t.Fatal("cut, but short of what is wanted")
		}
	})
}
