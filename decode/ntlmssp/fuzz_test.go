package ntlmssp

import (
	"encoding/binary"
	"testing"
	"unicode/utf8"
)

// FuzzMessage decodes a message. The oracle: the same again gives the same;
// without signature, type or fixed fields there is nothing; names are bounded valid UTF-8;
// what the type does not have is zero; a message without anomaly encodes, in
// another order of fields, to one that says the same.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{challengeV1, authenticateV1, challengeV2, authenticateV2} {
		f.Add(unhex(f, s))
	}
	f.Add(unhex(f, "4e544c4d53535000 01000000 07b208a0 060006002b000000 0b000b0020000000 414c454f4e4152442d5850 434e414d4953"))
	f.Add(auth{flags: FlagAnonymous | FlagUnicode, lm: []byte{0}}.bytes())
	f.Add(auth{flags: FlagUnicode | FlagVersion, user: wideText("𝄞"), nt: v2(av(6, []byte{2, 0, 0, 0}), av(9, wideText("cifs/x")), avEnd), fixed: []byte("versionsmicmicmicmicmicm")}.bytes())
	for _, m := range captured(f) {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, again Message
		a := m.Decode(b)
		again.User = "left over"
		if again.Decode(b) != a || again != m {
			t.Fatal("the second time differs")
		}
		if (a == BadSignature || a == BadType || a == ShortMessage) != (m == (Message{})) {
			t.Fatalf("%s: %+v", a, m)
		}
		for _, s := range []string{m.Domain, m.User, m.Workstation, m.Target, m.Info.NetBIOSComputer, m.Info.NetBIOSDomain, m.Info.DNSComputer, m.Info.DNSDomain, m.Info.DNSTree, m.Info.TargetName} {
			if len(s) > 3*MaxName || !utf8.ValidString(s) {
				t.Fatalf("name %q", s)
			}
		}
		if m.Type != Authenticate && (m.User != "" || m.MIC || m.NTLMv2 || m.LMZero || m.LMResponse|m.NTResponse|m.SessionKey != 0 || m.Anonymous()) ||
			m.Type != Challenge && m.Target != "" || m.Type == Negotiate && m.Info != (TargetInfo{}) || m.Type == Challenge && m.Domain+m.Workstation != "" {
			t.Fatalf("fields of another type: %+v", m)
		}
		if m.Anonymous() && m.NTResponse != 0 {
			t.Fatalf("anonymous with a response: %+v", m)
		}
		if a != 0 || !m.HasFlags {
			return
		}
		if a := again.Decode(encode(&m)); a != 0 || again != m {
			t.Fatalf("encodes to another: %s\n%+v\n%+v", a, again, m)
		}
	})
}

// encode writes a message that says the same: m has its flags and no anomaly.
func encode(m *Message) []byte {
	le := binary.LittleEndian
	text := func(s string) []byte {
		if m.Flags&FlagUnicode != 0 && m.Type != Negotiate {
			return wideText(s)
		}
		var b []byte
		for _, r := range s {
			b = append(b, byte(r))
		}
		return b
	}
	blob := func(n int) []byte { return make([]byte, n) }
	var fields [][]byte
	switch m.Type {
	case Negotiate:
		fields = [][]byte{text(m.Domain), text(m.Workstation)}
	case Challenge:
		fields = [][]byte{text(m.Target), encodeInfo(&m.Info)}
		if m.Flags&FlagTargetInfo == 0 || m.Info == (TargetInfo{}) {
			fields[1] = nil
		}
	case Authenticate:
		lm, nt := blob(m.LMResponse), blob(m.NTResponse)
		if m.NTLMv2 {
			nt = v2(encodeInfo(&m.Info))
			nt = append(nt, blob(max(0, m.NTResponse-len(nt)))...)
		}
		fields = [][]byte{lm, nt, text(m.Domain), text(m.User), text(m.Workstation), blob(m.SessionKey)}
		m.NTResponse = len(nt)
	}
	header := map[Type]int{Negotiate: 32, Challenge: 48, Authenticate: 64}[m.Type]
	fixed := []byte{}
	if m.HasVersion {
		fixed = append(fixed, m.Version.Major, m.Version.Minor, byte(m.Version.Build), byte(m.Version.Build>>8), 0, 0, 0, m.Version.Revision)
	}
	if m.MIC {
		if !m.HasVersion {
			fixed = append(fixed, blob(8)...)
		}
		fixed = append(fixed, []byte("mic mic mic mic ")...)
	}
	at := header + len(fixed)
	payload := []byte{}
	place := make([]int, len(fields))
	for i := len(fields) - 1; i >= 0; i-- {
		place[i] = at + len(payload)
		payload = append(payload, fields[i]...)
	}
	b := le.AppendUint32([]byte(signature), uint32(m.Type))
	field := func(i int) {
		b = le.AppendUint16(b, uint16(len(fields[i])))
		b = le.AppendUint16(b, 0) // MaxLen is to be ignored
		b = le.AppendUint32(b, uint32(place[i]))
	}
	switch m.Type {
	case Negotiate:
		b = le.AppendUint32(b, uint32(m.Flags))
		field(0)
		field(1)
	case Challenge:
		field(0)
		b = le.AppendUint32(b, uint32(m.Flags))
		b = append(b, "challengreserved"...)
		field(1)
	case Authenticate:
		for i := range fields {
			field(i)
		}
		b = le.AppendUint32(b, uint32(m.Flags))
	}
	return append(append(b, fixed...), payload...)
}

func encodeInfo(i *TargetInfo) []byte {
	var b []byte
	for id, s := range map[uint16]string{1: i.NetBIOSComputer, 2: i.NetBIOSDomain, 3: i.DNSComputer, 4: i.DNSDomain, 5: i.DNSTree, 9: i.TargetName} {
		if s != "" {
			b = append(b, av(id, wideText(s))...)
		}
	}
	if i.Timestamp != 0 {
		b = append(b, av(7, binary.LittleEndian.AppendUint64(nil, i.Timestamp))...)
	}
	if i.Flags != 0 {
		b = append(b, av(6, binary.LittleEndian.AppendUint32(nil, uint32(i.Flags)))...)
	}
	if i.SingleHost {
		b = append(b, av(8, make([]byte, singleHost))...)
	}
	if i.ChannelBindings {
		b = append(b, av(10, []byte("0123456789abcdef"))...)
	}
	return append(b, avEnd...)
}
