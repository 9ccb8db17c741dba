package kms

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kmswatch/decode/dcerpc"
)

// unhex reads hex digits, with blanks and # comments between them.
func unhex(t testing.TB, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, f := range strings.Fields(line) {
			digits.WriteString(f)
		}
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// request4 is the body of a version 4 request.
const request4 = `
	0000 0400                # version: minor 0, major 4
	01000000                 # virtual machine
	02000000                 # licence status: out-of-box grace
	c0a80000                 # 43200 minutes left
	3427c955 82d6 714d 983ed6ec3f16059f # application id: Windows
	62ebe88d e0bb ac40 ac17f75595071ea3 # SKU id
	fbb14984 eaf0 7a49 99ab66ca96e9a0f5 # KMS counted id
	00112233 4455 6677 8899aabbccddeeff # client machine id
	19000000                 # 25 clients at least
	00c0e3d2 51ebdb01        # client time
	01000000 0000 0000 0000000000000000 # previous client machine id
	4400 4d00 5a00 2d00 3700 # workstation name "DMZ-7", then NULs
	00000000000000000000000000000000000000000000000000000000000000000000000000000000
	00000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000
	a0a1a2a3a4a5a6a7a8a9aaabacadaeaf    # hash
`

// request4BE is the same body as a program would write it that takes the
// big-endian data representation to govern the body too.
const request4BE = `
	0000 0004                # version: minor 0, major 4
	00000001                 # virtual machine
	00000002                 # licence status: out-of-box grace
	0000a8c0                 # 43200 minutes left
	55c92734 d682 4d71 983ed6ec3f16059f # application id: Windows
	8de8eb62 bbe0 40ac ac17f75595071ea3 # SKU id
	8449b1fb f0ea 497a 99ab66ca96e9a0f5 # KMS counted id
	33221100 5544 7766 8899aabbccddeeff # client machine id
	00000019                 # 25 clients at least
	01dbeb51 d2e3c000        # client time
	00000001 0000 0000 0000000000000000 # previous client machine id
	0044 004d 005a 002d 0037 # workstation name "DMZ-7", then NULs
	00000000000000000000000000000000000000000000000000000000000000000000000000000000
	00000000000000000000000000000000000000000000000000000000000000000000000000000000
	0000000000000000000000000000000000000000000000000000000000000000000000000000
	a0a1a2a3a4a5a6a7a8a9aaabacadaeaf    # hash
`

// response4 is the body of a version 4 response.
const response4 = `
	0000 0400                # version: minor 0, major 4
	0c000000                 # 12 bytes of product id
	3000 3300 2d00 3700 5800 0000 # "03-7X", NUL
	00112233 4455 6677 8899aabbccddeeff # client machine id
	00c0e3d2 51ebdb01        # client time
	32000000                 # 50 clients
	78000000                 # activation every 120 minutes
	60270000                 # renewal every 10080 minutes
	a0a1a2a3a4a5a6a7a8a9aaabacadaeaf # hash
`

var wantRequest4 = Request{
	Major: 4, Length: 252,
	VirtualMachine: 1, LicenceStatus: 2, MinutesLeft: 43200,
	Application:    Windows,
	SKU:            dcerpc.MustUUID("8de8eb62-bbe0-40ac-ac17-f75595071ea3"),
	CountedID:      dcerpc.MustUUID("8449b1fb-f0ea-497a-99ab-66ca96e9a0f5"),
	ClientMachine:  dcerpc.MustUUID("33221100-5544-7766-8899-aabbccddeeff"),
	MinClients:     25,
	ClientTime:     0x01dbeb51d2e3c000,
	PreviousClient: dcerpc.MustUUID("00000001-0000-0000-0000-000000000000"),
	Workstation:    [64]uint16{'D', 'M', 'Z', '-', '7'},
}

var wantResponse4 = Response{
	HasBody: true, Major: 4, Length: 72,
	ProductID:     [64]uint16{'0', '3', '-', '7', 'X'},
	ClientMachine: dcerpc.MustUUID("33221100-5544-7766-8899-aabbccddeeff"),
	ClientTime:    0x01dbeb51d2e3c000,
	ClientCount:   50,
	Activation:    120,
	Renewal:       10080,
}

// encrypted is a body of version 5 or 6 of n bytes.
func encrypted(major byte, n int) []byte {
	b := bytes.Repeat([]byte{0xee}, n)
	copy(b, []byte{0, 0, major, 0})
	return b
}

func TestRequestIsReadInEitherSyntaxAndByteOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		ndr64 bool
		big   bool
		stub  string
	}{
		{"NDR32 little-endian", false, false, `
			fc000000          # length 252
			fc000000          # maximum count` + request4},
		{"NDR32 big-endian, body little-endian", false, true, `
			000000fc          # length 252
			000000fc          # maximum count` + request4},
		{"NDR32 big-endian, body too", false, true, `
			000000fc          # length 252
			000000fc          # maximum count` + request4BE},
		{"NDR64 little-endian", true, false, `
			fc000000 00000000 # length 252, padding to 8
			fc00000000000000  # maximum count` + request4},
		{"NDR64 little-endian, padded to 8", true, false, `
			fc000000 00000000 # length 252, padding to 8
			fc00000000000000  # maximum count` + request4 + `
			00000000          # padding`},
		{"NDR64 big-endian, body little-endian", true, true, `
			000000fc 00000000 # length 252, padding to 8
			00000000000000fc  # maximum count` + request4},
		{"NDR64 big-endian, body too", true, true, `
			000000fc 00000000 # length 252, padding to 8
			00000000000000fc  # maximum count` + request4BE},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			stub := unhex(t, c.stub)
			r := Request{Major: 9, MinClients: 9} // Decode resets
			if a := r.Decode(stub, c.ndr64, c.big); a != 0 {
				t.Errorf("anomaly %s", a)
			}
			if d := cmp.Diff(wantRequest4, r); d != "" {
				t.Error(d)
			}
			if len(stub) > MaxStub {
				t.Errorf("a stub of %d", len(stub))
			}
		})
	}
}

func TestResponseIsReadInEitherSyntaxAndByteOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		ndr64 bool
		big   bool
		stub  string
	}{
		{"NDR32 little-endian", false, false, `
			48000000          # length 72
			00000200          # referent id
			48000000          # maximum count` + response4 + `
			00000000          # HRESULT`},
		{"NDR32 big-endian, body little-endian", false, true, `
			00000048          # length 72
			00020000          # referent id
			00000048          # maximum count` + response4 + `
			00000000          # HRESULT`},
		{"NDR64 little-endian", true, false, `
			48000000 00000000 # length 72, padding to 8
			0000020000000000  # referent id
			4800000000000000  # maximum count` + response4 + `
			00000000          # HRESULT`},
		{"NDR64 big-endian, body little-endian", true, true, `
			00000048 00000000 # length 72, padding to 8
			0000000000020000  # referent id
			0000000000000048  # maximum count` + response4 + `
			00000000          # HRESULT`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := Response{HResult: 9, Renewal: 9}
			if a := r.Decode(unhex(t, c.stub), c.ndr64, c.big); a != 0 {
				t.Errorf("anomaly %s", a)
			}
			if d := cmp.Diff(wantResponse4, r); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRefusalsAndOddLengths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		ndr64 bool
		stub  string
		want  Response
	}{
		{"NDR32 refusal", false, `
			00000000 00000000 # length, null referent
			42f004c0          # HRESULT`, Response{HResult: 0xc004f042}},
		{"NDR64 refusal", true, `
			00000000 00000000 # length, padding to 8
			0000000000000000  # null referent
			0d000780          # HRESULT`, Response{HResult: 0x8007000d}},
		{"refusal with a pointer to an empty array", false, `
			00000000 00000200 # length, referent id
			00000000          # maximum count
			42f004c0          # HRESULT`, Response{HResult: 0xc004f042}},
	} {
		var r Response
		if a := r.Decode(unhex(t, c.stub), c.ndr64, false); a != 0 {
			t.Errorf("%s: anomaly %s", c.name, a)
		}
		if r != c.want {
			t.Errorf("%s: %+v", c.name, r)
		}
	}

	// A product id of 5 units makes the body 70 bytes: two of padding before the HRESULT.
	body := unhex(t, response4)
	body = append(body[:18:18], body[20:]...)
	body[4] = 10
	var r Response
	if a := r.Decode(response(body, 0x4004f040, 2), false, false); a != 0 || r.HResult != 0x4004f040 {
		t.Errorf("unaligned body: %s, %#x", a, r.HResult)
	}
}

func TestEncryptedVersionsShowVersionAndLengthAlone(t *testing.T) {
	t.Parallel()
	for _, major := range []byte{5, 6} {
		var q Request
		if a := q.Decode(request(encrypted(major, 260)), false, false); a != 0 {
			t.Errorf("version %d: %s", major, a)
		}
		if want := (Request{Major: uint16(major), Length: 260}); q != want {
			t.Errorf("version %d: %+v", major, q)
		}
		var p Response
		if a := p.Decode(response(encrypted(major, 228), 0, 0), false, false); a != 0 {
			t.Errorf("version %d: %s", major, a)
		}
		if want := (Response{HasBody: true, Major: uint16(major), Length: 228}); p != want {
			t.Errorf("version %d: %+v", major, p)
		}
	}
}

// request wraps a body in little-endian NDR32.
func request(body []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// response wraps a body likewise, with so many bytes of padding before the HRESULT.
func response(body []byte, hresult uint32, padding int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	b = binary.LittleEndian.AppendUint32(b, 0x00020000)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = append(b, body...)
	b = append(b, make([]byte, padding)...)
	return binary.LittleEndian.AppendUint32(b, hresult)
}

// with sets bytes of a copy.
func with(b []byte, at int, v ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], v)
	return b
}

func TestEachAnomalyOfARequestHasItsName(t *testing.T) {
	t.Parallel()
	body := unhex(t, request4)
	good := request(body)
	for _, c := range []struct {
		name string
		stub []byte
		want Anomaly
		say  string
	}{
		{"an empty stub", nil, ShortStub, "short-stub"},
		{"a stub that ends in the count", good[:7], ShortStub, "short-stub"},
		{"a length above the count", with(good, 0, 0xfd), CountDisagrees, "length-count-disagree"},
		{"a length below the count", with(good, 0, 0xf8), CountDisagrees, "length-count-disagree"},
		{"a count beyond the stub and another length", with(good, 4, 0xff, 0xff, 0xff, 0xff), CountDisagrees, "length-count-disagree"},
		{"a length of 4 GiB", with(good, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), CutBody, "cut-body"},
		{"a stub that ends in the body", good[:len(good)-1], CutBody, "cut-body"},
		{"an empty body", request(nil), ShortBody, "short-body"},
		{"a body without a major version", request(body[:3]), ShortBody, "short-body"},
		{"a version 4 body without a hash", request(body[:236]), ShortBody, "short-body"},
		{"a version 6 body of 259 bytes", request(encrypted(6, 259)), ShortBody, "short-body"},
		{"version 7", request(encrypted(7, 260)), UnknownVersion, "unknown-version"},
		{"version 3", request(with(body, 2, 3)), UnknownVersion, "unknown-version"},
		{"version 4.1", request(with(body, 0, 1)), UnknownVersion, "unknown-version"},
		{"version 1024", request(with(body, 2, 0, 4)), UnknownVersion, "unknown-version"},
		{"a version 4 body of 256 bytes", request(append(bytes.Clone(body), 0, 0, 0, 0)), WrongLength, "wrong-length"},
		{"a version 5 body of 276 bytes", request(encrypted(5, 276)), WrongLength, "wrong-length"},
		{"15 bytes behind the body", append(bytes.Clone(good), make([]byte, 15)...), 0, "none"},
		{"16 bytes behind the body", append(bytes.Clone(good), make([]byte, 16)...), TrailingBytes, "trailing-bytes"},
	} {
		var r Request
		if a := r.Decode(c.stub, false, false); a != c.want || a.String() != c.say {
			t.Errorf("%s: anomaly %s, want %s", c.name, a, c.say)
		}
	}
}

func TestEachAnomalyOfAResponseHasItsName(t *testing.T) {
	t.Parallel()
	body := unhex(t, response4)
	good := response(body, 0, 0)
	for _, c := range []struct {
		name string
		stub []byte
		want Anomaly
		say  string
	}{
		{"an empty stub", nil, ShortStub, "short-stub"},
		{"a stub that ends in the count", good[:11], ShortStub, "short-stub"},
		{"a length above the count", with(good, 0, 73), CountDisagrees, "length-count-disagree"},
		{"a stub that ends in the body", good[:12+71], CutBody, "cut-body"},
		{"a stub that ends behind the body", good[:12+72], NoStatus, "no-hresult"},
		{"a stub that ends in the HRESULT", good[:12+72+3], NoStatus, "no-hresult"},
		{"a refusal without an HRESULT", make([]byte, 8), NoStatus, "no-hresult"},
		{"a length without a body", with(make([]byte, 12), 0, 72), NullReferent, "length-without-body"},
		{"success without a body", make([]byte, 12), NoBody, "success-without-body"},
		{"success with an empty body", response(nil, 0, 0), NoBody, "success-without-body"},
		{"a body although refused", response(body, 0xc004f042, 0), RefusedBody, "body-although-refused"},
		{"a body without a version", response(body[:2], 0, 2), ShortBody, "short-body"},
		{"a body without a product id length", response(body[:6], 0, 2), ShortBody, "short-body"},
		{"a body without a hash", response(body[:56], 0, 0), ShortBody, "short-body"},
		{"a product id of 11 bytes", response(with(body, 4, 11), 0, 0), BadProductID, "bad-product-id-length"},
		{"a product id of 130 bytes", response(with(body, 4, 130), 0, 0), BadProductID, "bad-product-id-length"},
		{"a product id of 4 GiB", response(with(body, 4, 0xfe, 0xff, 0xff, 0xff), 0, 0), BadProductID, "bad-product-id-length"},
		{"a product id longer than the body", response(with(body, 4, 128), 0, 0), ShortBody, "short-body"},
		{"a product id shorter than the body says", response(with(body, 4, 8), 0, 0), WrongLength, "wrong-length"},
		{"a version 5 body without ciphertext", response(encrypted(5, 20), 0, 0), ShortBody, "short-body"},
		{"a version 6 body that is no number of blocks", response(encrypted(6, 260+8), 0, 0), WrongLength, "wrong-length"},
		{"version 4.1", response(with(body, 0, 1), 0, 0), UnknownVersion, "unknown-version"},
		{"version 0", response(with(body, 2, 0), 0, 0), UnknownVersion, "unknown-version"},
		{"16 bytes behind the HRESULT", append(bytes.Clone(good), make([]byte, 16)...), TrailingBytes, "trailing-bytes"},
	} {
		var r Response
		if a := r.Decode(c.stub, false, false); a != c.want || a.String() != c.say {
			t.Errorf("%s: anomaly %s, want %s", c.name, a, c.say)
		}
	}
}

func TestEveryAnomalyHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for a := range anomalies {
		if s := a.String(); s == "" || seen[s] {
			t.Errorf("anomaly %d: %q", uint8(a), s)
		} else {
			seen[s] = true
		}
	}
	if s := anomalies.String(); s != "unknown" {
		t.Errorf("beyond the last: %q", s)
	}
}

func TestACutMessageGivesWhatIsWhole(t *testing.T) {
	t.Parallel()
	var r Request
	stub := request(unhex(t, request4))[:8+100]
	if a := r.Decode(stub, false, false); a != CutBody {
		t.Errorf("anomaly %s", a)
	}
	if r.Length != 252 || r.Major != 4 || r.ClientTime != wantRequest4.ClientTime || r.Workstation[0] != 0 {
		t.Errorf("%+v", r)
	}
}

func TestTextIsPlainUTF8(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		units []uint16
		want  string
	}{
		{"plain", []uint16{'p', 'c', '1', 0, 'x'}, "pc1"},
		{"empty", nil, ""},
		{"beyond ASCII, not flattened (trap 38)", []uint16{0xfc, 0x4e2d}, "ü中"},
		{"a surrogate pair", []uint16{0xd83d, 0xde00, 'a'}, "😀a"},
		{"a high surrogate alone", []uint16{0xd83d, 'a'}, "\ufffda"},
		{"a low surrogate alone", []uint16{0xde00, 'a'}, "\ufffda"},
		{"two high surrogates", []uint16{0xd83d, 0xd83d, 0xde00}, "\ufffd😀"},
		{"an escape sequence", []uint16{0x1b, '[', '2', 'J'}, "\ufffd[2J"},
		{"C1 and a line separator", []uint16{0x9b, 0x2028}, "\ufffd\ufffd"},
		{"an override of direction", []uint16{'a', 0x202e, 'b'}, "a\ufffdb"},
	} {
		var q Request
		copy(q.Workstation[:], c.units)
		if s := q.WorkstationName(); s != c.want {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
		var p Response
		copy(p.ProductID[:], c.units)
		if s := p.ProductIDText(); s != c.want {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
	}
	var full Request
	for i := range full.Workstation {
		full.Workstation[i] = 0x4e2d
	}
	if s := full.WorkstationName(); s != strings.Repeat("中", 64) {
		t.Errorf("64 units without a NUL: %q", s)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{ApplicationName(Windows), "Windows"},
		{ApplicationName(Office2010), "Office 2010"},
		{ApplicationName(Office2013), "Office 2013 and later"},
		{ApplicationName(dcerpc.UUID{}), ""},
		{StatusName(0), "S_OK"},
		{StatusName(0xc004f042), "SL_E_VL_KEY_MANAGEMENT_SERVICE_ID_MISMATCH"},
		{StatusName(0x8007000d), "ERROR_INVALID_DATA"},
		{StatusName(0xc004f06c), "SL_E_VL_INVALID_TIMESTAMP"},
		{StatusName(1), ""},
		{LicenceStatusName(0), "unlicensed"},
		{LicenceStatusName(6), "extended grace"},
		{LicenceStatusName(7), "unknown"},
		{LicenceStatusName(1 << 31), "unknown"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	for i := 1; i < len(statuses); i++ {
		if statuses[i-1].code >= statuses[i].code {
			t.Errorf("statuses out of order at %#x", statuses[i].code)
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	stub, answer := request(unhex(t, request4)), response(unhex(t, response4), 0, 0)
	var q Request
	var p Response
	if n := testing.AllocsPerRun(100, func() {
		q.Decode(stub, false, false)
		p.Decode(answer, false, false)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	stub, answer := request(unhex(b, request4)), response(unhex(b, response4), 0, 0)
	var q Request
	var p Response
	b.ReportAllocs()
	b.SetBytes(int64(len(stub) + len(answer)))
	for b.Loop() {
		q.Decode(stub, false, false)
		p.Decode(answer, false, false)
	}
}
