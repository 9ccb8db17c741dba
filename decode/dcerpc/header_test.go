package dcerpc

import (
	"testing"
)

// A Windows client's bind, as facts/kms.md describes it: 160 bytes, NDR32,
// NDR64 and bind-time features.
var windowsBind = []byte{
	5, 0, 11, 0x13, // version 5.0, bind, first, last and concurrent multiplexing
	0x10, 0, 0, 0, // little-endian, ASCII, IEEE
	160, 0, 0, 0, // frag_length, auth_length
	2, 0, 0, 0, // call id
	0xd0, 0x16, 0xd0, 0x16, // fragments of 5840 both ways
	0, 0, 0, 0, // association group
	3, 0, 0, 0, // contexts

	0, 0, 1, 0, // context 0, one transfer syntax
	0x75, 0x21, 0xc8, 0x51, 0x4e, 0x84, 0x50, 0x47, // 51c82175-844e-4750-
	0xb0, 0xd8, 0xec, 0x25, 0x55, 0x55, 0xbc, 0x06, // b0d8-ec255555bc06
	1, 0, 0, 0, // version 1.0
	0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, // NDR32
	0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60,
	2, 0, 0, 0,

	1, 0, 1, 0,
	0x75, 0x21, 0xc8, 0x51, 0x4e, 0x84, 0x50, 0x47,
	0xb0, 0xd8, 0xec, 0x25, 0x55, 0x55, 0xbc, 0x06,
	1, 0, 0, 0,
	0x33, 0x05, 0x71, 0x71, 0xba, 0xbe, 0x37, 0x49, // NDR64
	0x83, 0x19, 0xb5, 0xdb, 0xef, 0x9c, 0xcc, 0x36,
	1, 0, 0, 0,

	2, 0, 1, 0,
	0x75, 0x21, 0xc8, 0x51, 0x4e, 0x84, 0x50, 0x47,
	0xb0, 0xd8, 0xec, 0x25, 0x55, 0x55, 0xbc, 0x06,
	1, 0, 0, 0,
	0x2c, 0x1c, 0xb7, 0x6c, 0x12, 0x98, 0x40, 0x45, // bind-time features, bits 0x0003
	0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	1, 0, 0, 0,
}

// alike is windowsBind with some bytes replaced.
func alike(change map[int]byte) []byte {
	b := append([]byte(nil), windowsBind...)
	for i, v := range change {
		b[i] = v
	}
	return b
}

func TestHeaderDecode(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		want Anomaly
	}{
		{"a bind of Windows", windowsBind, 0},
		{"minor version 1 (trap 14)", alike(map[int]byte{1: 1}), 0},
		{"minor version 2", alike(map[int]byte{1: 2}), BadVersion},
		{"version 4 is connectionless", alike(map[int]byte{0: 4}), BadVersion},
		{"15 bytes", windowsBind[:15], ShortHeader},
		{"nothing", nil, ShortHeader},
		{"frag_length 15 (trap 22)", alike(map[int]byte{8: 15}), BadFragLength},
		{"frag_length 0 (trap 22)", alike(map[int]byte{8: 0}), BadFragLength},
		{"a connectionless type", alike(map[int]byte{2: 1}), BadType},
		{"no type", alike(map[int]byte{2: 99}), BadType},
		{"integers of no kind", alike(map[int]byte{4: 0x30}), BadDataRep},
		{"characters of no kind", alike(map[int]byte{4: 0x12}), BadDataRep},
		{"floats of no kind", alike(map[int]byte{5: 4}), BadDataRep},
		{"EBCDIC and IBM floats", alike(map[int]byte{4: 0x11, 5: 3}), 0},
		{"reserved bytes are kept, not judged", alike(map[int]byte{6: 1, 7: 2}), 0},
	} {
		var h Header
		if got := h.Decode(tt.b); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	var h Header
	h.Decode(be.request(whole, 7, 0, 0, "xy"))
	if !h.BigEndian || h.FragLength != 26 || h.CallID != 7 || h.DataRep != [4]byte{} {
		t.Errorf("big-endian header: %+v", h)
	}
}

func TestProbe(t *testing.T) {
	request := le.request(whole, 1, 0, 0, "")
	with := func(b []byte, change map[int]byte) []byte {
		b = append([]byte(nil), b...)
		for i, v := range change {
			b[i] = v
		}
		return b
	}
	socks := []byte{5, 0, 0, 1, 0, 0, 0, 0, 0x12, 0x34} // CONNECT granted, bound to 0.0.0.0:4660
	for _, tt := range []struct {
		name string
		b    []byte
		want Verdict
	}{
		{"a bind", windowsBind, Match},
		{"a bind of minor version 1 (trap 14)", alike(map[int]byte{1: 1}), Match},
		{"its header alone", windowsBind[:16], Match},
		{"one byte less", windowsBind[:15], More},
		{"nothing", nil, More},
		{"a big-endian request", be.request(whole, 1, 0, 0, ""), Match},
		{"a handshake that was missed: a request", request, Match},
		{"a fault", le.fault(whole, 1, 0, 5), Match},
		{"a fault of 28 bytes", with(le.fault(whole, 1, 0, 5), map[int]byte{8: 28}), Match},
		{"bind_nak of 18 bytes", le.bindNak(1, 0), Match},
		{"a MZ file (trap 51)", []byte("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00"), No},
		{"SOCKS5 greets: 05 00 (trap 51)", []byte{5, 0}, More},
		{"SOCKS5 greets with its connect (trap 51)", append([]byte{5, 0}, socks...), No},
		{"SOCKS5 is bound to 10.0.0.1 (trap 51)", []byte{5, 0, 0, 1, 10, 0, 0, 1, 0x12, 0x34, 'G', 'E', 'T', ' ', '/', ' '}, No},
		{"SOCKS5 is bound to 0.0.0.0, HTTP follows (trap 51)", append(socks, "HTTP/1.1 200 OK"...), No},
		{"05 00 and zeroes (trap 51)", append([]byte{5, 0}, make([]byte, 30)...), No},
		{"05 00 and text (trap 51)", append([]byte{5, 0}, "some text that goes on"...), No},
		{"05 00 0b and text, cut (trap 51)", []byte{5, 0, 11, 3, 'x'}, No},
		{"version 4", alike(map[int]byte{0: 4}), No},
		{"minor version 2", alike(map[int]byte{1: 2}), No},
		{"type 1", alike(map[int]byte{2: 1}), No},
		{"type 21", alike(map[int]byte{2: 21}), No},
		{"reserved bytes of the data representation", alike(map[int]byte{7: 1}), No},
		{"frag_length 15 (trap 22)", with(request, map[int]byte{8: 15}), No},
		{"frag_length too short for a request (trap 22)", with(request, map[int]byte{8: 23}), No},
		{"a request without room for its object (trap 31)", with(request, map[int]byte{3: whole | FlagObject, 8: 39}), No},
		{"a request with room for its object (trap 31)", with(request, map[int]byte{3: whole | FlagObject, 8: 40}), Match},
		{"auth_length of the whole PDU (trap 33)", with(request, map[int]byte{10: 24}), No},
		{"auth_length without room for its trailer (trap 33)", with(request, map[int]byte{8: 32, 10: 1}), No},
		{"auth_length that fits", with(request, map[int]byte{8: 33, 10: 1}), Match},
	} {
		if got := Probe(tt.b); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestTrap52DirectionFollowsTheTypeTable(t *testing.T) {
	client := map[PType]bool{TypeRequest: true, TypeBind: true, TypeAlterContext: true, TypeAuth3: true, TypeCOCancel: true, TypeOrphaned: true}
	server := map[PType]bool{TypeResponse: true, TypeFault: true, TypeBindAck: true, TypeBindNak: true, TypeAlterContextResp: true, TypeShutdown: true}
	for i := range 256 {
		p := PType(i)
		c, known := p.FromClient()
		if known != (client[p] || server[p]) || c != client[p] {
			t.Errorf("%v: client %v, known %v", p, c, known)
		}
	}
}

func TestTypeNames(t *testing.T) {
	want := []string{"request", "ping", "response", "fault", "working", "nocall", "reject", "ack", "cl_cancel",
		"fack", "cancel_ack", "bind", "bind_ack", "bind_nak", "alter_context", "alter_context_resp", "auth3",
		"shutdown", "co_cancel", "orphaned", "rts", "ptype(21)"}
	for i, w := range want {
		if got := PType(i).String(); got != w {
			t.Errorf("type %d is %q, want %q", i, got, w)
		}
	}
	if got := PType(99).String(); got != "ptype(99)" {
		t.Error(got)
	}
}

func TestAnomalyNames(t *testing.T) {
	seen := map[string]bool{}
	for a := range anomalies {
		if s := a.String(); s == "" || seen[s] {
			t.Errorf("anomaly %d is called %q", a, s)
		} else {
			seen[s] = true
		}
	}
	if Anomaly(200).String() != "anomaly(200)" || Anomaly(200).Evasive() {
		t.Error("an anomaly that is none")
	}
}
