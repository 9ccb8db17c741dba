package main

// pipeCalls is an SMB session with a named pipe and calls in it: SMB 2 with
// FSCTL_PIPE_TRANSCEIVE, or SMB 1 with TransactNmPipe.
func (g *generator) pipeCalls(s *session) {
	i := interfaces[g.rand.IntN(len(interfaces))]
	speak := smb2{session: g.rand.Uint64(), tree: g.rand.Uint32()}
	talk := speak.steps
	if g.rand.IntN(3) == 0 {
		old := smb1{uid: uint16(g.rand.Uint32()), tid: uint16(g.rand.Uint32()), fid: uint16(g.rand.Uint32())}
		talk = old.steps
	}
	exchanges := [][2][]byte{{bind(1, i.syntax), bindAck(1, `\PIPE\lsass`)}}
	for id := range uint32(3 + g.rand.IntN(30)) {
		opnum := uint16(g.rand.IntN(i.operations))
		exchanges = append(exchanges, [2][]byte{
			request(id+2, 1, opnum, g.bytes(50+g.rand.IntN(340))),
			response(id+2, 1, g.bytes(90+g.rand.IntN(960))),
		})
	}
	var payloads []step
	for _, p := range talk(g, exchanges) {
		payloads = append(payloads, p)
		if p.server && g.rand.IntN(3) == 0 {
			payloads = append(payloads, step{false, 0, nil})
		}
	}
	g.tcp(s, 445, payloads)
}

// framed puts the direct TCP header before an SMB message.
func framed(b []byte) []byte {
	n := len(b)
	return append([]byte{0, byte(n >> 16), byte(n >> 8), byte(n)}, b...)
}

// smb2 speaks SMB 2.1 (MS-SMB2 2.2).
type smb2 struct {
	session uint64
	tree    uint32
	id      uint64 // MessageId
}

// Commands, MS-SMB2 2.2.1.2.
const (
	smb2Negotiate    = 0
	smb2SessionSetup = 1
	smb2TreeConnect  = 3
	smb2Create       = 5
	smb2Close        = 6
	smb2Ioctl        = 11
)

// moreProcessing is STATUS_MORE_PROCESSING_REQUIRED.
const moreProcessing = 0xc0000016

var smb2File = []byte{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0}

func (c *smb2) message(command uint16, server bool, body []byte) step {
	return c.status(command, server, 0, body)
}

func (c *smb2) status(command uint16, server bool, status uint32, body []byte) step {
	b := le.AppendUint32([]byte{0xfe, 'S', 'M', 'B', 64, 0, 1, 0}, status)
	b = le.AppendUint16(b, command)
	b = le.AppendUint16(b, 1) // credits
	flags := uint32(0)
	if server {
		flags = 1
	}
	b = le.AppendUint32(b, flags)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, c.id)
	b = le.AppendUint32(b, 0xfeff)
	b = le.AppendUint32(b, c.tree)
	b = le.AppendUint64(b, c.session)
	b = append(b, make([]byte, 16)...)
	if server {
		c.id++
	}
	return step{server, 0, framed(append(b, body...))}
}

func (c *smb2) steps(g *generator, exchanges [][2][]byte) []step {
	words := func(v ...uint16) (b []byte) {
		for _, n := range v {
			b = le.AppendUint16(b, n)
		}
		return b
	}
	zero := func(n int) []byte { return make([]byte, n) }
	join := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	ioctl := func(size uint16, server bool, data []byte) []byte {
		b := join(words(size, 0), []byte{0x17, 0xc0, 0x11, 0}, smb2File)
		offset := uint32(64 + 56)
		if server {
			offset = 64 + 48
			b = le.AppendUint32(b, offset)
			b = le.AppendUint32(b, 0)
			b = le.AppendUint32(b, offset)
			b = le.AppendUint32(b, uint32(len(data)))
			b = append(b, zero(8)...)
		} else {
			b = le.AppendUint32(b, offset)
			b = le.AppendUint32(b, uint32(len(data)))
			b = append(b, zero(12)...)
			b = le.AppendUint32(b, 4280)
			b = le.AppendUint32(b, 1)
			b = append(b, zero(4)...)
		}
		return append(b, data...)
	}
	setup := func(token []byte) []byte {
		return join(words(25, 0), zero(8), words(88, uint16(len(token))), zero(8), token)
	}
	granted := func(token []byte) []byte { return join(words(9, 0, 72, uint16(len(token))), token) }
	share := utf16(`\\dc1\IPC$`)
	pipe := utf16("lsarpc")
	steps := []step{
		c.message(smb2Negotiate, false, join(words(36, 1, 1, 0), zero(4+16+8), words(0x0210))),
		c.message(smb2Negotiate, true, join(words(65, 1, 0x0210, 0), zero(16+4+4+4+4+8+8), words(128, 0), zero(4))),
		c.message(smb2SessionSetup, false, setup(ntlmNegotiate())),
		c.status(smb2SessionSetup, true, moreProcessing, granted(ntlmChallenge(g))),
		c.message(smb2SessionSetup, false, setup(ntlmAuthenticate(g))),
		c.message(smb2SessionSetup, true, granted(nil)),
		c.message(smb2TreeConnect, false, join(words(9, 0, 72, uint16(len(share))), share)),
		c.message(smb2TreeConnect, true, join([]byte{16, 0, 2, 0}, zero(12))),
		c.message(smb2Create, false, join(words(57, 0), zero(40), words(120, uint16(len(pipe))), zero(8), pipe)),
		c.message(smb2Create, true, join(words(89, 0), zero(60), smb2File, zero(8))),
	}
	for _, x := range exchanges {
		steps = append(steps, c.message(smb2Ioctl, false, ioctl(57, false, x[0])), c.message(smb2Ioctl, true, ioctl(49, true, x[1])))
	}
	return append(steps,
		c.message(smb2Close, false, join(words(24, 0), zero(4), smb2File)),
		c.message(smb2Close, true, join(words(60), zero(58))))
}

// smb1 speaks NT LM 0.12 (MS-CIFS 2.2.4).
type smb1 struct {
	uid, tid, fid uint16
	mid           uint16
}

// Commands, MS-CIFS 2.2.2.1.
const (
	smb1Transaction  = 0x25
	smb1Negotiate    = 0x72
	smb1SessionSetup = 0x73
	smb1TreeConnect  = 0x75
	smb1NTCreate     = 0xa2
	smb1Close        = 0x04
)

// message puts header, parameter words and data together.
func (c *smb1) message(command byte, server bool, words []uint16, data []byte) step {
	return c.status(command, server, 0, words, data)
}

func (c *smb1) status(command byte, server bool, status uint32, words []uint16, data []byte) step {
	flags := byte(0x18)
	if server {
		flags |= 0x80
	}
	b := le.AppendUint32([]byte{0xff, 'S', 'M', 'B', command}, status)
	b = append(b, flags, 0x07, 0xc8) // NT status, Unicode, extended security
	b = append(b, make([]byte, 12)...)
	b = le.AppendUint16(b, c.tid)
	b = le.AppendUint16(b, 0xfeff)
	b = le.AppendUint16(b, c.uid)
	b = le.AppendUint16(b, c.mid)
	b = append(b, byte(len(words)))
	for _, w := range words {
		b = le.AppendUint16(b, w)
	}
	b = le.AppendUint16(b, uint16(len(data)))
	if server {
		c.mid++
	}
	return step{server, 0, framed(append(b, data...))}
}

func (c *smb1) steps(g *generator, exchanges [][2][]byte) []step {
	none := make([]uint16, 17)
	none[10] = 0x0080 // capabilities, from byte 19: extended security is the highest bit
	negotiate, challenge, authenticate := ntlmNegotiate(), ntlmChallenge(g), ntlmAuthenticate(g)
	setup := func(token []byte) []uint16 {
		return []uint16{0xff, 0, 4356, 10, 0, 0, 0, uint16(len(token)), 0, 0, 0, 0x8000}
	}
	create := make([]uint16, 24)
	create[0], create[2] = 0xff, 16<<8 // no AndX; the name's length stands in bytes 5 and 6
	created := make([]uint16, 34)
	created[0] = 0xff
	created[2] = c.fid << 8
	created[3] = c.fid >> 8
	steps := []step{
		c.message(smb1Negotiate, false, nil, []byte("\x02NT LM 0.12\x00")),
		c.message(smb1Negotiate, true, none, make([]byte, 8)),
		c.message(smb1SessionSetup, false, setup(negotiate), append(negotiate, 0, 0, 0, 0)),
		c.status(smb1SessionSetup, true, moreProcessing, []uint16{0xff, 0, 0, uint16(len(challenge))}, append(challenge, 0, 0, 0, 0)),
		c.message(smb1SessionSetup, false, setup(authenticate), append(authenticate, 0, 0, 0, 0)),
		c.message(smb1SessionSetup, true, []uint16{0xff, 0, 0, 0}, make([]byte, 4)),
		c.message(smb1TreeConnect, false, []uint16{0xff, 0, 0, 1}, append(append([]byte{0}, utf16("\\\\dc1\\IPC$\x00")...), "?????\x00"...)),
		c.message(smb1TreeConnect, true, []uint16{0xff, 0, 0}, []byte("IPC\x00\x00\x00")),
		c.message(smb1NTCreate, false, create, append([]byte{0}, utf16("\\lsarpc\x00")...)),
		c.message(smb1NTCreate, true, created, nil),
	}
	const head = 32 + 1 + 2 // header, word count, byte count
	name := append([]byte{0}, utf16("\\PIPE\\\x00")...)
	for _, x := range exchanges {
		n, at := uint16(len(x[0])), uint16(head+2*16+len(name)+1)
		steps = append(steps, c.message(smb1Transaction, false,
			[]uint16{0, n, 0, 4280, 0, 0, 0, 0, 0, 0, at, n, at, 2, 0x26, c.fid},
			append(append(append([]byte(nil), name...), 0), x[0]...)))
		n, at = uint16(len(x[1])), head+2*10+1
		steps = append(steps, c.message(smb1Transaction, true,
			[]uint16{0, n, 0, 0, at, 0, n, at, 0, 0},
			append([]byte{0}, x[1]...)))
	}
	return append(steps,
		c.message(smb1Close, false, []uint16{c.fid, 0, 0}, nil),
		c.message(smb1Close, true, nil, nil))
}

// utf16 is ASCII as UTF-16, little-endian.
func utf16(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return b
}
