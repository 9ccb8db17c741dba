package main

// The messages of NTLM (MS-NLMP 2.2.1) as a domain's clients send them. What
// would be a secret is noise.

const (
	ntlmClientFlags = 0xe2088297
	ntlmServerFlags = 0xe2898295
)

var ntlmVersion = []byte{10, 0, 0x61, 0x58, 0, 0, 0, 15}

func ntlmHead(kind byte) []byte {
	return append([]byte("NTLMSSP\x00"), kind, 0, 0, 0)
}

// ntlmField appends a length, the same again, and an offset.
func ntlmField(b []byte, length, offset int) []byte {
	b = le.AppendUint16(b, uint16(length))
	b = le.AppendUint16(b, uint16(length))
	return le.AppendUint32(b, uint32(offset))
}

func ntlmNegotiate() []byte {
	b := le.AppendUint32(ntlmHead(1), ntlmClientFlags)
	b = ntlmField(ntlmField(b, 0, 0), 0, 0)
	return append(b, ntlmVersion...)
}

func ntlmChallenge(g *generator) []byte {
	const head = 56
	target, info := utf16("CORP"), ntlmTargetInfo()
	b := ntlmField(ntlmHead(2), len(target), head)
	b = le.AppendUint32(b, ntlmServerFlags)
	b = append(b, g.bytes(8)...)
	b = append(b, make([]byte, 8)...)
	b = ntlmField(b, len(info), head+len(target))
	b = append(b, ntlmVersion...)
	return append(append(b, target...), info...)
}

// ntlmTargetInfo gives the names of a server (MS-NLMP 2.2.2.1).
func ntlmTargetInfo() (b []byte) {
	for i, name := range []string{"DC1", "CORP", "dc1.corp.example", "corp.example"} {
		b = le.AppendUint16(b, uint16(i+1))
		b = le.AppendUint16(b, uint16(2*len(name)))
		b = append(b, utf16(name)...)
	}
	return append(b, 0, 0, 0, 0)
}

// ntlmResponse is an NTLMv2_RESPONSE (MS-NLMP 2.2.2.8).
func ntlmResponse(g *generator) []byte {
	b := append([]byte(nil), g.bytes(16)...)
	b = append(b, 1, 1, 0, 0, 0, 0, 0, 0)
	b = append(b, g.bytes(16)...) // time, challenge
	b = append(b, 0, 0, 0, 0)
	b = append(b, ntlmTargetInfo()...)
	return append(b, 0, 0, 0, 0)
}

func ntlmAuthenticate(g *generator) []byte {
	at := 88
	var fields, payload []byte
	for _, part := range [][]byte{make([]byte, 24), ntlmResponse(g), utf16("CORP"), utf16("WS07$"), utf16("WS07"), g.bytes(16)} {
		fields = ntlmField(fields, len(part), at)
		payload = append(payload, part...)
		at += len(part)
	}
	b := le.AppendUint32(append(ntlmHead(3), fields...), ntlmServerFlags)
	b = append(b, ntlmVersion...)
	b = append(b, g.bytes(16)...) // MIC
	return append(b, payload...)
}
