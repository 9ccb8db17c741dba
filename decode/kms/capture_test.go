package kms

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// stub is that of a KMS request or response of the capture.
type stub struct {
	response bool
	ndr64    bool
	data     []byte
}

// captured gives the stubs of kms-three-versions.pcap, where it is present:
// one PDU a segment, context 0 in NDR32 and context 1 in NDR64.
func captured(t testing.TB) (stubs []stub) {
	f, err := os.Open("../../../shared/captures/lab/kms-three-versions.pcap")
	if err != nil {
		return nil
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			return stubs
		}
		p := gopacket.NewPacket(data, r.LinkType(), gopacket.NoCopy)
		tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if tcp == nil || len(tcp.Payload) < 24 || tcp.Payload[0] != 5 {
			continue
		}
		b := tcp.Payload
		n := int(binary.LittleEndian.Uint16(b[8:])) // frag_length
		if t := b[2]; t != 0 && t != 2 || n != len(b) {
			continue
		}
		stubs = append(stubs, stub{b[2] == 2, b[20] == 1, b[24:]})
	}
}

func TestCaptureOfThreeVersions(t *testing.T) {
	t.Parallel()
	stubs := captured(t)
	if stubs == nil {
		t.Skip("no capture")
	}
	versions := map[uint16]int{}
	for i, s := range stubs {
		if len(s.data) > MaxStub {
			t.Errorf("stub %d: %d bytes", i, len(s.data))
		}
		if !s.response {
			var r Request
			if a := r.Decode(s.data, s.ndr64, false); a != 0 {
				t.Errorf("stub %d: %s", i, a)
			}
			versions[r.Major]++
			if r.Major == 4 && (r.Application != Windows || r.LicenceStatus != 2 || r.MinutesLeft != 43200 || r.WorkstationName() == "") {
				t.Errorf("stub %d: %+v", i, r)
			}
			continue
		}
		var r Response
		if a := r.Decode(s.data, s.ndr64, false); a != 0 {
			t.Errorf("stub %d: %s", i, a)
		}
		versions[r.Major]++
		if r.HResult != 0 || !r.HasBody {
			t.Errorf("stub %d: %+v", i, r)
		}
		if r.Major == 4 && (r.ProductIDText() != "03612-00206-558-704057-03-3179-17763.0000-2092025" ||
			r.ClientCount != 10 || r.Activation != 120 || r.Renewal != 10080) {
			t.Errorf("stub %d: %+v", i, r)
		}
	}
	if versions[4] == 0 || versions[5] == 0 || versions[6] == 0 || versions[4]%2 != 0 {
		t.Errorf("messages by version: %v", versions)
	}
}

// FuzzKMS decodes a stub as request and as response. The oracle: the same
// again gives the same; the bytes from MaxStub on of a stub without anomaly do
// not matter; a message without anomaly has a version and a length of the
// table and, in version 4, encodes to the same stub again.
func FuzzKMS(f *testing.F) {
	for _, s := range captured(f) {
		f.Add(s.data, s.ndr64, false, s.response)
	}
	f.Add(request(unhex(f, request4)), false, false, false)
	f.Add(append([]byte{0, 0, 0, 252, 0, 0, 0, 252}, unhex(f, request4BE)...), false, true, false)
	f.Add(response(unhex(f, response4), 0, 0), false, false, true)
	f.Add(response(encrypted(6, 260), 0, 0), false, false, true)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0x42, 0xf0, 0x04, 0xc0}, false, false, true)
	f.Fuzz(func(t *testing.T, b []byte, ndr64, big, isResponse bool) {
		if isResponse {
			fuzzResponse(t, b, ndr64, big)
		} else {
			fuzzRequest(t, b, ndr64, big)
		}
	})
}

func fuzzRequest(t *testing.T, b []byte, ndr64, big bool) {
	var r, again Request
	a := r.Decode(b, ndr64, big)
	again.Major = 77
	if again.Decode(b, ndr64, big) != a || again != r {
		t.Fatal("the second time differs")
	}
	_ = r.WorkstationName()
	if a != 0 {
		return
	}
	if r.Minor != 0 || !(r.Major == 4 && r.Length == 252 || (r.Major == 5 || r.Major == 6) && r.Length == 260) {
		t.Fatalf("no anomaly in %d.%d of %d bytes", r.Major, r.Minor, r.Length)
	}
	if len(b) > MaxStub {
		t.Fatalf("no anomaly in a stub of %d", len(b))
	}
	if r.Major != 4 {
		if r != (Request{Major: r.Major, Length: 260}) {
			t.Fatalf("fields of an encrypted body: %+v", r)
		}
		return
	}
	at := 8
	if ndr64 {
		at = 16
	}
	body := b[at : at+252]
	if got := r.append(nil, order(body)); string(got) != string(body[:236]) {
		t.Fatalf("encodes to\n%x, not\n%x", got, body)
	}
}

func fuzzResponse(t *testing.T, b []byte, ndr64, big bool) {
	var r, again Response
	a := r.Decode(b, ndr64, big)
	again.Major = 77
	if again.Decode(b, ndr64, big) != a || again != r {
		t.Fatal("the second time differs")
	}
	_ = r.ProductIDText()
	if a != 0 {
		return
	}
	if r.HasBody != (r.Length != 0) || r.HasBody == (r.HResult>>31 != 0) {
		t.Fatalf("no anomaly in %+v", r)
	}
	if !r.HasBody {
		if r != (Response{HResult: r.HResult}) {
			t.Fatalf("fields without a body: %+v", r)
		}
		return
	}
	if r.Minor != 0 || r.Major < 4 || r.Major > 6 {
		t.Fatalf("no anomaly in version %d.%d", r.Major, r.Minor)
	}
	if r.Major != 4 {
		if r != (Response{HResult: r.HResult, HasBody: true, Major: r.Major, Length: r.Length}) {
			t.Fatalf("fields of an encrypted body: %+v", r)
		}
		return
	}
	at := 12
	if ndr64 {
		at = 24
	}
	body := b[at : at+r.Length]
	if got := r.append(nil, order(body)); string(got) != string(body[:len(body)-16]) {
		t.Fatalf("encodes to\n%x, not\n%x", got, body)
	}
}

// order is the byte order of a body, told from its version.
func order(body []byte) binary.AppendByteOrder {
	if body[3] != 0 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (r *Request) append(b []byte, o binary.AppendByteOrder) []byte {
	b = o.AppendUint16(b, r.Minor)
	b = o.AppendUint16(b, r.Major)
	b = o.AppendUint32(b, r.VirtualMachine)
	b = o.AppendUint32(b, r.LicenceStatus)
	b = o.AppendUint32(b, r.MinutesLeft)
	b = guid(b, o, r.Application)
	b = guid(b, o, r.SKU)
	b = guid(b, o, r.CountedID)
	b = guid(b, o, r.ClientMachine)
	b = o.AppendUint32(b, r.MinClients)
	b = o.AppendUint64(b, r.ClientTime)
	b = guid(b, o, r.PreviousClient)
	for _, u := range r.Workstation {
		b = o.AppendUint16(b, u)
	}
	return b
}

func (r *Response) append(b []byte, o binary.AppendByteOrder) []byte {
	n := r.Length - clearResponse
	b = o.AppendUint16(b, r.Minor)
	b = o.AppendUint16(b, r.Major)
	b = o.AppendUint32(b, uint32(n))
	for _, u := range r.ProductID[:n/2] {
		b = o.AppendUint16(b, u)
	}
	b = guid(b, o, r.ClientMachine)
	b = o.AppendUint64(b, r.ClientTime)
	b = o.AppendUint32(b, r.ClientCount)
	b = o.AppendUint32(b, r.Activation)
	return o.AppendUint32(b, r.Renewal)
}

func guid(b []byte, o binary.AppendByteOrder, u [16]byte) []byte {
	b = o.AppendUint32(b, binary.BigEndian.Uint32(u[0:]))
	b = o.AppendUint16(b, binary.BigEndian.Uint16(u[4:]))
	b = o.AppendUint16(b, binary.BigEndian.Uint16(u[6:]))
	return append(b, u[8:]...)
}
