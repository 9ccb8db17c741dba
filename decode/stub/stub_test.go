package stub

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"kmswatch/decode/dcerpc"
)

//go:embed testdata/vectors.txt
var vectorsTXT string

// vector is a line of vectors.txt, which vectors.py beside it writes.
type vector struct {
	name  string
	iface dcerpc.UUID
	opnum uint16
	ndr64 bool
	stub  []byte
}

func vectors(t testing.TB) (all []vector) {
	for line := range strings.Lines(vectorsTXT) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		opnum, err := strconv.ParseUint(f[2], 10, 16)
		stub, err2 := hex.DecodeString(f[4])
		if err != nil || err2 != nil {
			t.Fatalf("%q", line)
		}
		all = append(all, vector{f[0], dcerpc.MustUUID(f[1]), uint16(opnum), f[3] == "NDR64", stub})
	}
	return all
}

const (
	evil     = `\\192.0.2.66\share\file.txt`
	evilHost = "192.0.2.66"
)

// evilShape is that of evil.
var evilShape = Shape{Length: 27, Sent: 28, Host: 10}

// expected is what each vector holds, in either syntax.
func expected() map[string]Arguments {
	object := dcerpc.MustUUID("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
	client := dcerpc.MustUUID("e24d201a-4fd6-11d1-a3da-0000f875ae0d") // NTDSAPI_CLIENT_GUID
	climb := Shape{Length: 13, Sent: 14, Parents: 2, Climbs: true}
	climbTwo := climb
	climbTwo.Other = 2
	long := func(c string) (string, string, Shape) {
		host := strings.Repeat(c, 40)
		return `\\` + host + `\C$\1.doc`, host, Shape{Length: 51, Sent: 52, Host: 40}
	}
	as, a, longShape := long("A")
	bs, b, _ := long("B")
	channel := Arguments{Kind: SecureChannel, Server: `\\DC1`, Account: "DC1$", Computer: "DC1", Channel: 6, HasCredential: true, ZeroHead: true, ZeroAll: true}
	flagged := channel
	flagged.Flags = 0x212fffff
	driver := Arguments{Kind: PrinterDriver, Server: `\\SRV`, Driver: "1234", Path: `C:\Windows\UNIDRV.DLL`, DataFile: `\??\UNC\192.0.2.66\share\evil.dll`,
		ConfigFile: `C:\Windows\System32\winhttp.dll`, Host: evilHost, Type: 2, Flags: 0x8014, Shape: Shape{Length: 21, Sent: 22}}
	notify := Arguments{Kind: ChangeNotification, Path: `\\192.0.2.66`, Host: evilHost, Flags: 0x100, Shape: Shape{Length: 12, Sent: 13}}
	root := Arguments{Kind: Namespace, Server: evilHost, Host: evilHost, Other: "test"}
	link := Arguments{Kind: Namespace, Path: `\\example.org\dfs\link`, Server: evilHost, Host: evilHost, Other: "share", Shape: Shape{Length: 22, Sent: 23, Host: 11}}
	linkOfDC := link
	linkOfDC.Computer = "DC1"
	file := Arguments{Kind: EncryptedFile, Path: evil, Host: evilHost, Shape: evilShape}
	flaggedFile := file
	flaggedFile.Flags = 2
	share := Arguments{Kind: ShadowCopy, Path: evil, Host: evilHost, Shape: evilShape}
	backup := Arguments{Kind: EventLogBackup, Path: `\??\UNC\192.0.2.66\share\aa`, Host: evilHost, Shape: Shape{Length: 27, Sent: 27, Host: 10}}
	backupOpen := backup
	backupOpen.Server = "SRV"
	changes := func(version uint32) Arguments {
		return Arguments{Kind: Replication, Naming: "DC=example,DC=org", Object: client, Type: version, Flags: 0x30, Extended: 6}
	}
	service := Arguments{Kind: ServiceInstall, Command: "%COMSPEC% /Q /c echo dir", Account: "LocalSystem", Type: 0x10, Flags: 3}
	named := service
	named.Service = "BTOBTO"
	return map[string]Arguments{
		"NetprPathType":                                 {Kind: PathName, Server: "SRV", Path: `\c\..\..\AAAA`, Flags: 1, Shape: climb},
		"NetprPathCanonicalize":                         {Kind: PathName, Server: "SRV", Path: `\c\..\..\AAAA`, Other: "D:", Type: 3, Flags: 1, Shape: climbTwo},
		"NetprPathCompare":                              {Kind: PathName, Server: "SRV", Path: `\c\..\..\AAAA`, Other: "D:", Type: 3, Flags: 1, Shape: climbTwo},
		"NetprNameCanonicalize":                         {Kind: PathName, Path: "share", Type: 9, Shape: Shape{Length: 5, Sent: 6}},
		"RemoteActivation":                              {Kind: Activation, Path: as, Host: a, Object: object, Shape: longShape},
		"RemoteGetClassObject":                          {Kind: Activation, Path: bs, Host: b, Object: object, Shape: longShape},
		"RemoteCreateInstance":                          {Kind: Activation, Path: bs, Host: b, Object: object, Shape: longShape},
		"NetrServerReqChallenge":                        {Kind: SecureChannel, Server: `\\DC1`, Computer: "DC1", HasCredential: true, ZeroHead: true, ZeroAll: true},
		"NetrServerAuthenticate":                        channel,
		"NetrServerAuthenticate2":                       flagged,
		"NetrServerAuthenticate3":                       flagged,
		"NetrServerPasswordSet2":                        {Kind: ChannelPassword, Server: `\\DC1`, Account: "DC1$", Computer: "DC1", Channel: 6, HasCredential: true, ZeroHead: true, HasPassword: true, ZeroPassword: true},
		"EfsRpcOpenFileRaw":                             file,
		"EfsRpcEncryptFileSrv":                          file,
		"EfsRpcDuplicateEncryptionInfoFile":             {Kind: EncryptedFile, Path: `C:\a`, Other: evil, Host: evilHost, Shape: Shape{Length: 4, Sent: 5}},
		"EfsRpcAddUsersToFileEx":                        flaggedFile,
		"EfsRpcFileKeyInfoEx":                           flaggedFile,
		"EfsRpcAddUsersToFileEx without blob":           flaggedFile,
		"RpcRemoteFindFirstPrinterChangeNotification":   notify,
		"RpcRemoteFindFirstPrinterChangeNotificationEx": notify,
		"RpcAddPrinterDriverEx":                         driver,
		"RpcAsyncAddPrinterDriver":                      driver,
		"NetrDfsAddStdRoot":                             root,
		"NetrDfsRemoveStdRoot":                          root,
		"NetrDfsAdd":                                    link,
		"NetrDfsRemove":                                 link,
		"NetrDfsAdd2":                                   linkOfDC,
		"NetrDfsRemove2":                                linkOfDC,
		"NetrDfsAddRootTarget":                          {Kind: Namespace, Other: evil, Host: evilHost},
		"IsPathSupported":                               share,
		"IsPathShadowCopied":                            share,
		"AddToShadowCopySet":                            share,
		"ElfrOpenBELW":                                  backupOpen,
		"ElfrBackupELFW":                                backup,
		"DRSBind":                                       {Kind: DirectoryBind, Object: client},
		"DRSGetNCChanges of version 5":                  changes(5),
		"DRSGetNCChanges of version 8":                  changes(8),
		"DRSGetNCChanges of version 10":                 changes(10),
		"RCreateServiceW":                               named,
		"RChangeServiceConfigW":                         service,
		"ROpenServiceW":                                 {Kind: ServiceControl, Service: "RemoteRegistry"},
		"SchRpcRegisterTask":                            {Kind: ScheduledTask, Task: `\wXYZ`, Command: "cmd.exe /C whoami", Flags: 6},
		"SchRpcRun":                                     {Kind: ScheduledTask, Task: `\wXYZ`},
		"NetrJobAdd":                                    {Kind: ScheduledTask, Command: "%COMSPEC% /C whoami"},
		"SASetAccountInformation":                       {Kind: ScheduledTask, Task: "job.job", Account: `LAB\admin`},
		"BaseRegOpenKey":                                {Kind: RegistryRead, Key: `SYSTEM\CurrentControlSet`},
		"BaseRegSetValue":                               {Kind: RegistryWrite, Value: "ImagePath", Type: 1},
		"BaseRegSaveKey":                                {Kind: RegistrySave, Path: `..\Temp\abc.tmp`, Shape: Shape{Length: 15, Sent: 16, Parents: 1, Climbs: true}},
		"BaseRegLoadKey":                                {Kind: RegistryWrite, Key: "HIVE", Path: evil, Host: evilHost, Shape: evilShape},
		"BaseRegReplaceKey":                             {Kind: RegistryWrite, Key: "HIVE", Path: evil, Other: `C:\old`, Host: evilHost, Shape: evilShape},
	}
}

func TestStubsOfAnotherImplementation(t *testing.T) {
	t.Parallel()
	want := expected()
	seen := map[string]int{}
	for _, v := range vectors(t) {
		seen[v.name]++
		w, ok := want[v.name]
		if !ok {
			t.Errorf("%s: nothing is expected", v.name)
			continue
		}
		var a Arguments
		if an := a.Decode(v.iface, v.opnum, v.stub, v.ndr64, false); an != 0 || a != w {
			t.Errorf("%s, NDR64 %v: %s\n got %+v\nwant %+v", v.name, v.ndr64, an, a, w)
		}
		if k := KindOf(v.iface, v.opnum); k != w.Kind {
			t.Errorf("%s: %s", v.name, k)
		}
		// Cut anywhere, it is short, and what was read of it is no more than
		// what is there; none of the cuts makes it anything else.
		for n := range v.stub {
			var b Arguments
			if an := b.Decode(v.iface, v.opnum, v.stub[:n], v.ndr64, false); an != 0 && an != ShortStub && !(v.name == "RemoteActivation" || w.Kind == Activation && an == BadProperties) {
				t.Errorf("%s, %d bytes: %s", v.name, n, an)
			}
			if b.Cut || len(b.Path) > len(w.Path) || len(b.Command) > len(w.Command) || !strings.HasPrefix(w.Server, b.Server) {
				t.Errorf("%s, %d bytes: %+v", v.name, n, b)
			}
		}
	}
	for name := range want {
		if seen[name] != 2 {
			t.Errorf("%s: %d vectors", name, seen[name])
		}
	}
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

func (p *put) u16(v uint16) {
	p.align(2)
	p.b = p.order.AppendUint16(p.b, v)
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

func (p *put) handle() {
	p.u32(0)
	p.b = append(p.b, "0123456789abcdef"...)
}

func (p *put) units(u []uint16) {
	for _, v := range u {
		p.b = p.order.AppendUint16(p.b, v)
	}
}

func (p *put) wide(s string) { p.wideUnits(utf16.Encode([]rune(s + "\x00"))) }

func (p *put) wideUnits(u []uint16) {
	p.size(uint64(len(u)), 0, uint64(len(u)))
	p.units(u)
}

func (p *put) narrow(s string) {
	p.size(uint64(len(s)+1), 0, uint64(len(s)+1))
	p.b = append(append(p.b, s...), 0)
}

func (p *put) counted(s string) {
	u := utf16.Encode([]rune(s))
	if p.ndr64 {
		p.align(8)
	} else {
		p.align(4)
	}
	p.u16(uint16(2 * len(u)))
	p.u16(uint16(2 * len(u)))
	p.size(1)
	p.wideUnits(u)
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

var (
	srvsvc   = dcerpc.MustUUID("4b324fc8-1670-01d3-1278-5a47bf6ee188")
	netlogon = dcerpc.MustUUID("12345678-1234-abcd-ef00-01234567cffb")
	spoolss  = dcerpc.MustUUID("12345678-1234-abcd-ef00-0123456789ab")
	efs      = dcerpc.MustUUID("df1941c5-fe89-4e79-bf10-463657acf44d")
	eventlog = dcerpc.MustUUID("82273fdc-e32a-18c3-3f78-827929dc23ea")
	svcctl   = dcerpc.MustUUID("367abb81-9844-35f1-ad32-98f038001003")
	winreg   = dcerpc.MustUUID("338cd001-2244-31f1-aaaa-900038001003")
	tasks    = dcerpc.MustUUID("86d35949-83c9-4044-b424-db363231fd0c")
	remact   = dcerpc.MustUUID("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57")
	samr     = dcerpc.MustUUID("12345778-1234-abcd-ef00-0123456789ac")
	drsuapi  = dcerpc.MustUUID("e3514235-4b06-11d1-ab04-00c04fc2dcd2")
)

// check decodes a stub and compares.
func check(t *testing.T, name string, iface dcerpc.UUID, opnum uint16, p put, big bool, want Arguments, anomaly Anomaly) {
	t.Helper()
	var a Arguments
	if an := a.Decode(iface, opnum, p.b, p.ndr64, big); an != anomaly || a != want {
		t.Errorf("%s: %s\n got %+v\nwant %+v", name, an, a, want)
	}
}

func TestBothSyntaxesAndByteOrders(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, empty put, big bool) {
		p := empty
		p.size(1)
		p.wide("SRV")
		p.wide(`\a\..\..\b`)
		p.u32(64)
		p.wide("")
		p.u32(1, 0x80000000)
		check(t, "canonicalize", srvsvc, 31, p, big, Arguments{Kind: PathName, Server: "SRV", Path: `\a\..\..\b`, Type: 1, Flags: 0x80000000,
			Shape: Shape{Length: 10, Sent: 11, Parents: 2, Climbs: true}}, 0)

		p = empty
		p.size(0)
		p.wide("DC1$")
		if p.ndr64 { // an enumeration
			p.u32(6)
		} else {
			p.u16(6)
		}
		p.wide("DC1")
		p.b = append(p.b, 0, 0, 0, 0, 0, 1, 2, 3)
		p.u32(0x600fffff)
		check(t, "authenticate", netlogon, 26, p, big, Arguments{Kind: SecureChannel, Account: "DC1$", Computer: "DC1", Channel: 6, Flags: 0x600fffff, HasCredential: true, ZeroHead: true}, 0)

		p = empty
		p.handle()
		p.counted("SYSTEM")
		p.u32(0, 0)
		check(t, "open key", winreg, 15, p, big, Arguments{Kind: RegistryRead, Key: "SYSTEM"}, 0)

		// trap 38: names are not flattened by leaving the NULs out.
		p = empty
		p.wide(`\\hôte-服务器\𝄞\x`)
		check(t, "trap 38, a name beyond ASCII", efs, 0, p, big, Arguments{Kind: EncryptedFile, Path: `\\hôte-服务器\𝄞\x`, Host: "hôte-服务器", Shape: Shape{Length: 15, Sent: 16, Host: 8}}, 0)

		p = empty // as Windows sends it: UNCServerName is one character
		p.size(1)
		p.u16('\\')
		p.align(4)
		p.counted(`\??\C:\a`)
		p.u32(1, 1)
		check(t, "open a backup log", eventlog, 9, p, big, Arguments{Kind: EventLogBackup, Path: `\??\C:\a`, Shape: Shape{Length: 8, Sent: 8}}, 0)

		p = empty
		p.handle()
		p.size(1)
		p.counted(evil)
		check(t, "clear a log, with a backup", eventlog, 0, p, big, Arguments{Kind: EventLogBackup, Path: evil, Host: evilHost, Shape: Shape{Length: 27, Sent: 27, Host: 10}}, 0)

		p = empty
		p.handle()
		p.size(0)
		check(t, "clear a log, without", eventlog, 0, p, big, Arguments{Kind: EventLogBackup}, 0)

		p = empty
		p.handle()
		p.narrow("svc")
		p.size(1)
		p.narrow("caf\xe9")
		p.u32(0xf01ff, 0x10, 2, 1)
		p.narrow("c:\\caf\xe9.exe")
		p.size(0, 1)
		p.u32(7)
		p.size(0)
		p.u32(0)
		p.size(1)
		p.narrow(".\\user")
		check(t, "create a service by narrow strings", svcctl, 24, p, big, Arguments{Kind: ServiceInstall, Service: "svc", Command: `c:\café.exe`, Account: `.\user`, Type: 0x10, Flags: 2}, 0)

		p = empty
		p.handle()
		p.u32(0xffffffff, 0xffffffff, 0xffffffff)
		p.size(0, 0, 0, 0)
		p.u32(0)
		p.size(0)
		check(t, "change nothing of a service", svcctl, 23, p, big, Arguments{Kind: ServiceInstall, Type: 0xffffffff, Flags: 0xffffffff}, 0)

		for _, level := range []uint32{3, 4, 6, 8} { // MS-RPRN 2.2.1.5
			p = empty
			p.size(0)
			p.u32(level)
			if p.ndr64 {
				p.align(8)
			}
			p.u32(level)
			p.size(1)
			if level >= 6 || p.ndr64 {
				p.align(8)
			}
			p.u32(3)
			p.size(1, 1, 1, 1, 1, 1, 0, 0)
			p.u32(0)
			p.size(0)
			if level >= 4 {
				p.u32(0)
				p.size(0)
			}
			if level >= 6 {
				p.u32(1, 2)
				p.align(8)
				p.u32(3, 4)
				p.size(0, 0, 0, 0)
			}
			if level >= 8 {
				p.size(0, 0)
				p.u32(0)
				p.size(0, 0)
				p.u32(0, 0)
				p.size(0)
				p.u32(5, 6)
				p.align(8)
				p.u32(7, 8)
			}
			for _, s := range []string{"name", "Windows x64", `C:\a.dll`, `C:\b.dll`, evil, "help"} {
				p.wide(s)
			}
			check(t, "a driver of level "+strconv.Itoa(int(level)), spoolss, 89, p, big, Arguments{Kind: PrinterDriver, Driver: "name", Path: `C:\a.dll`, DataFile: `C:\b.dll`,
				ConfigFile: evil, Host: evilHost, Type: level, Shape: Shape{Length: 8, Sent: 9}}, 0)
		}

		p = empty
		p.size(0)
		p.u32(1)
		if p.ndr64 {
			p.align(8)
		}
		p.u32(1)
		p.size(1, 1)
		p.wide("name")
		check(t, "a driver of level 1", spoolss, 9, p, big, Arguments{Kind: PrinterDriver, Driver: "name", Type: 1}, 0)

		p = empty // an activation with an extension before it
		p.u16(5)
		p.u16(7)
		p.u32(0, 0)
		p.b = append(p.b, make([]byte, 16)...)
		p.size(1)
		p.u32(1, 0)
		p.size(1, 2, 1, 0, 8)
		p.b = append(p.b, make([]byte, 16)...)
		p.u32(3)
		p.b = append(p.b, "abc-----"...)
		p.align(4)
		p.b = append(p.b, make([]byte, 16)...)
		p.size(1)
		p.wide(`\\srv\c$\x`)
		check(t, "an activation with an extension", remact, 0, p, big, Arguments{Kind: Activation, Path: `\\srv\c$\x`, Host: "srv", Shape: Shape{Length: 10, Sent: 11, Host: 3}}, 0)
	})
}

func TestMalformedStubs(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, empty put, big bool) {
		p := empty
		p.size(2, 0, 3)
		p.units([]uint16{'a', 'b', 0})
		check(t, "longer than its maximum", efs, 0, p, big, Arguments{Kind: EncryptedFile, Path: "ab", Shape: Shape{Length: 2, Sent: 3}}, BadString)

		p = empty
		p.size(8, 1, 3)
		p.units([]uint16{'a', 'b', 0})
		check(t, "not from its start", efs, 0, p, big, Arguments{Kind: EncryptedFile, Path: "ab", Shape: Shape{Length: 2, Sent: 3}}, BadString)

		p = empty
		p.size(0xffffffff, 0, 0xffffffff)
		p.units([]uint16{'a', 'b', 'c'})
		check(t, "a claim", efs, 0, p, big, Arguments{Kind: EncryptedFile, Path: "abc", Shape: Shape{Length: 3, Sent: 1 << 30}}, ShortStub)

		p = empty
		p.handle()
		if p.ndr64 {
			p.align(8)
		}
		p.u16(8)
		p.u16(8)
		p.size(1)
		p.wideUnits([]uint16{'a', 0})
		check(t, "a length beside its array", winreg, 15, p, big, Arguments{Kind: RegistryRead, Key: "a"}, LengthDisagrees)

		p = empty
		p.size(0)
		p.u32(2)
		if p.ndr64 {
			p.align(8)
		}
		p.u32(5)
		p.size(1)
		check(t, "an arm beside its level", spoolss, 89, p, big, Arguments{Kind: PrinterDriver, Type: 2}, UnionDisagrees)

		p = empty
		p.size(0)
		p.u32(5)
		if p.ndr64 {
			p.align(8)
		}
		p.u32(5)
		p.size(1)
		check(t, "a level that does not exist", spoolss, 89, p, big, Arguments{Kind: PrinterDriver, Type: 5}, UnknownLevel)

		p = empty
		p.handle()
		p.u32(4, 4)
		check(t, "changes by mail", drsuapi, 3, p, big, Arguments{Kind: Replication, Type: 4}, UnknownLevel)

		p = empty
		p.wideUnits([]uint16{0xd800, 'a', 0xdc00})
		check(t, "halves of surrogates", efs, 0, p, big, Arguments{Kind: EncryptedFile, Path: "\ufffda\ufffd", Shape: Shape{Length: 3, Sent: 3, Odd: 2}}, 0)
	})
	var a Arguments
	if an := a.Decode(samr, 0, nil, false, false); an != UnknownOperation || Wanted(samr, 0) != 0 || KindOf(samr, 0) != KindNone {
		t.Errorf("samr: %s", an)
	}
	if an := a.Decode(winreg, 2, nil, false, false); an != 0 || a.Kind != RegistryRead {
		t.Errorf("OpenLocalMachine: %s %+v", an, a)
	}
}

// TestTrap21StringsAreBounded: what is kept of a long string, and of a stub
// that was cut at Wanted.
func TestTrap21StringsAreBounded(t *testing.T) {
	t.Parallel()
	p := put{order: binary.LittleEndian}
	p.wide(`\\` + strings.Repeat("h", 300) + `\` + strings.Repeat("x", 300))
	check(t, "long", efs, 0, p, false, Arguments{Kind: EncryptedFile, Path: `\\` + strings.Repeat("h", 254), Host: strings.Repeat("h", 256), Truncated: true,
		Shape: Shape{Length: 603, Sent: 604, Host: 300}}, 0)

	p.b = nil
	p.wide(strings.Repeat("x", 5000))
	keep := Wanted(efs, 0)
	p.b = p.b[:keep]
	check(t, "cut", efs, 0, p, false, Arguments{Kind: EncryptedFile, Path: strings.Repeat("x", 256), Truncated: true, Cut: true, Shape: Shape{Length: (keep - 12) / 2, Sent: 5001}}, 0)
	p.b = p.b[:keep-1]
	check(t, "short", efs, 0, p, false, Arguments{Kind: EncryptedFile, Path: strings.Repeat("x", 256), Truncated: true, Shape: Shape{Length: (keep - 13) / 2, Sent: 5001}}, ShortStub)
}

func TestWhatTasksRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, xml, want string }{
		{"no action", `<Task/>`, ""},
		{"without arguments", `<Exec><Command>a.exe</Command></Exec>`, "a.exe"},
		{"arguments of a second action", `<Exec><Command>a.exe</Command></Exec><Exec><Command>b</Command><Arguments>c</Arguments></Exec>`, "a.exe"},
		{"the end is missing", `<Exec><Command>a.exe`, "a.exe"},
		{"an empty command", `<Exec><Command></Command><Arguments>x</Arguments></Exec>`, ""},
		{"entities stay", `<Exec><Command>cmd</Command><Arguments>/c &quot;x&quot; &gt; y</Arguments></Exec>`, `cmd /c &quot;x&quot; &gt; y`},
		{"half a tag", `<Comman`, ""},
	} {
		p := put{order: binary.LittleEndian}
		p.size(0)
		p.wide(c.xml)
		p.u32(2)
		check(t, c.name, tasks, 1, p, false, Arguments{Kind: ScheduledTask, Command: c.want, Flags: 2}, 0)
	}
}

func TestShapesOfPaths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, host string
		want       Shape
	}{
		{``, "", Shape{}},
		{`C:\Windows\System32`, "", Shape{}},
		{`\a\b\..\..`, "", Shape{Parents: 2}},
		{`\a\..\..`, "", Shape{Parents: 2, Climbs: true}},
		{`a/../../b`, "", Shape{Parents: 2, Climbs: true}},
		{`..`, "", Shape{Parents: 1, Climbs: true}},
		{`\.\a\.\..\...\..`, "", Shape{Parents: 2}},
		{`\a\..b\b..`, "", Shape{}},
		{`\\srv\share\..\..`, "srv", Shape{Host: 3, Parents: 2}},
		{`//srv/share`, "srv", Shape{Host: 3}},
		{`\\srv@80\x`, "srv@80", Shape{Host: 6}},
		{`\\srv`, "srv", Shape{Host: 3}},
		{`\\?\UNC\srv\x`, "srv", Shape{Host: 3}},
		{`\\?\unc/srv\x`, "srv", Shape{Host: 3}},
		{`\??\UNC\srv\x`, "srv", Shape{Host: 3}},
		{`\\?\C:\x`, "", Shape{}},
		{`\\.\pipe\x`, "", Shape{}},
		{`\srv\x`, "", Shape{}},
		{"\\a\x01\u0090\ue000", "", Shape{Odd: 3}},
	} {
		p := put{order: binary.LittleEndian}
		p.wide(c.path)
		n := len(utf16.Encode([]rune(c.path)))
		c.want.Length, c.want.Sent = n, n+1
		check(t, c.path, efs, 0, p, false, Arguments{Kind: EncryptedFile, Path: c.path, Host: c.host, Shape: c.want}, 0)
	}
}

// TestTheWorseOfTwoPaths: the attack may be in the second.
func TestTheWorseOfTwoPaths(t *testing.T) {
	t.Parallel()
	p := put{order: binary.LittleEndian}
	p.size(0)
	p.wide(`\a`)
	p.wide(`\b\..\..\c`)
	p.u32(1, 0)
	check(t, "compare", srvsvc, 32, p, false, Arguments{Kind: PathName, Path: `\a`, Other: `\b\..\..\c`, Type: 1,
		Shape: Shape{Length: 2, Sent: 3, Parents: 2, Climbs: true, Other: 10}}, 0)
}

func TestResults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		iface dcerpc.UUID
		opnum uint16
		tail  uint32
		want  Result
	}{
		{"an NTSTATUS that is a success", netlogon, 26, 0x105, Result{true, 0x105, false}},
		{"an NTSTATUS", netlogon, 26, 0xc0000022, Result{true, 0xc0000022, true}},
		{"an HRESULT that is a success", tasks, 1, 0x41300, Result{true, 0x41300, false}},
		{"a Win32 error", spoolss, 62, 5, Result{true, 5, true}},
		{"success", efs, 0, 0, Result{true, 0, false}},
		{"a list of which there is more", samr, 13, 0x105, Result{true, 0x105, false}},
		{"a list that is refused", samr, 13, 0xc0000022, Result{true, 0xc0000022, true}},
		{"an operation of which nothing is read", samr, 0, 0, Result{}},
		{"an interface of which nothing is read", dcerpc.KMS, 0, 0, Result{}},
	} {
		if r := ResultOf(c.iface, c.opnum, c.tail); r != c.want {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

func TestTheTable(t *testing.T) {
	t.Parallel()
	for i, x := range interfaces {
		if i > 0 && bytes.Compare(interfaces[i-1].iface[:], x.iface[:]) >= 0 {
			t.Errorf("%s is not in order", x.iface)
		}
		for k, op := range x.operations {
			if k > 0 && x.operations[k-1].opnum >= op.opnum {
				t.Errorf("%s: operation %d is not in order", x.iface, op.opnum)
			}
			if op.keep == 0 || op.kind == KindNone || dcerpc.OperationName(x.iface, op.opnum) == "" && x.iface != interfaces[place(&efs)-1].iface {
				t.Errorf("%s: operation %d: %+v", x.iface, op.opnum, op)
			}
			if find(&x.iface, op.opnum) == nil {
				t.Errorf("%s: operation %d is not found", x.iface, op.opnum)
			}
		}
		seen := map[uint16]bool{}
		for _, l := range x.listings {
			if seen[l.opnum] || l.what == "" || dcerpc.OperationName(x.iface, l.opnum) == "" {
				t.Errorf("%s: listing %d", x.iface, l.opnum)
			}
			seen[l.opnum] = true
		}
	}
	for name, want := range map[string]string{
		"samr SamrEnumerateUsersInDomain": Accounts, "samr SamrEnumerateGroupsInDomain": Groups, "samr SamrConnect5": "", "samr SamrOpenDomain": "",
		"lsarpc LsarEnumerateTrustedDomains": Trusts, "lsarpc LsarLookupSids": Accounts, "lsarpc LsarQueryInformationPolicy": Policies, "lsarpc LsarOpenPolicy2": "",
		"srvsvc NetrShareEnum": Shares, "srvsvc NetrSessionEnum": Sessions, "srvsvc NetrServerGetInfo": "", "wkssvc NetrWkstaUserEnum": Sessions,
		"netlogon DsrEnumerateDomainTrusts": Trusts, "netlogon NetrServerAuthenticate3": "", "epmapper ept_lookup": Endpoints, "epmapper ept_map": "",
		"svcctl EnumServicesStatusW": Services, "winreg BaseRegEnumKey": Keys, "ITaskSchedulerService SchRpcEnumTasks": Tasks, "spoolss RpcEnumPrinters": Printers,
	} {
		iface, operation, _ := strings.Cut(name, " ")
		u := dcerpc.InterfaceByName(iface)[0]
		found := false
		for opnum := range uint16(120) {
			if dcerpc.OperationName(u, opnum) == operation {
				found = true
				if what, ok := Enumerates(u, opnum); what != want || ok != (want != "") {
					t.Errorf("%s: %q", name, what)
				}
			}
		}
		if !found {
			t.Errorf("%s: no such operation", name)
		}
	}
	if what, ok := Enumerates(dcerpc.KMS, 0); ok {
		t.Errorf("KMS lists %s", what)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for a := range anomalies {
		if a.String() == "" {
			t.Errorf("anomaly %d has no name", a)
		}
	}
	for k := range kinds {
		if k.String() == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
	if s := Anomaly(200).String() + Kind(200).String(); s != "unknownunknown" {
		t.Error(s)
	}
}

func TestDecodeAllocatesForItsStringsOnce(t *testing.T) {
	for _, v := range vectors(t) {
		want := 1.0
		switch v.name {
		case "DRSBind":
			want = 0
		}
		var a Arguments
		if n := testing.AllocsPerRun(50, func() { a.Decode(v.iface, v.opnum, v.stub, v.ndr64, false) }); n > want {
			t.Errorf("%s: %v allocations", v.name, n)
		}
	}
	if n := testing.AllocsPerRun(50, func() { Wanted(samr, 3); Wanted(netlogon, 26); Enumerates(samr, 13) }); n > 0 {
		t.Errorf("the table: %v allocations", n)
	}
}

func BenchmarkWanted(b *testing.B) {
	kms := dcerpc.KMS
	b.Run("KMS", func(b *testing.B) {
		for b.Loop() {
			Wanted(kms, 0)
		}
	})
	b.Run("winreg", func(b *testing.B) {
		for b.Loop() {
			Wanted(winreg, 15)
		}
	})
}

// FuzzArguments decodes a stub as the request of an operation. The oracle: the
// same again gives the same and shares nothing with the stub; strings are
// bounded; a stub cut where its bytes end gives no longer strings; counts of
// the shape are no more than the bytes.
func FuzzArguments(f *testing.F) {
	index := func(u dcerpc.UUID, opnum uint16) uint16 {
		for k, op := range interfaces[place(&u)].operations {
			if op.opnum == opnum {
				return uint16(place(&u))<<8 | uint16(k)
			}
		}
		f.Fatal("no such operation")
		return 0
	}
	for _, v := range vectors(f) {
		f.Add(v.stub, index(v.iface, v.opnum), v.ndr64, false)
	}
	p := put{order: binary.BigEndian}
	p.wide(evil)
	f.Add(p.b, index(efs, 0), false, true)
	f.Fuzz(func(t *testing.T, b []byte, which uint16, ndr64, big bool) {
		x := interfaces[int(which>>8)%len(interfaces)]
		if len(x.operations) == 0 {
			return
		}
		op := x.operations[int(which&0xff)%len(x.operations)]
		var a, again Arguments
		an := a.Decode(x.iface, op.opnum, b, ndr64, big)
		clone := bytes.Clone(b)
		if again.Decode(x.iface, op.opnum, clone, ndr64, big) != an {
			t.Fatal("the same stub gave another anomaly")
		}
		clear(clone)
		if a != again {
			t.Fatal("the same stub gave something else, or shares its memory")
		}
		if a.Kind != op.kind || an == UnknownOperation {
			t.Fatalf("%s %s", a.Kind, an)
		}
		total := 0
		for _, s := range []string{a.Server, a.Path, a.Host, a.Other, a.Account, a.Computer, a.Service, a.Task, a.Key, a.Value, a.Driver, a.DataFile, a.ConfigFile, a.Naming} {
			if len(s) > 3*MaxText {
				t.Fatalf("a string of %d bytes", len(s))
			}
			total += len(s)
		}
		if len(a.Command) > 6*MaxText+1 || total > 6*len(b) {
			t.Fatalf("strings of %d bytes of a stub of %d", total+len(a.Command), len(b))
		}
		if a.Cut && len(b) < int(op.keep) {
			t.Fatal("cut, but short of what is wanted")
		}
		s := a.Shape
		if s.Length < 0 || s.Length > len(b) || s.Host > s.Length || s.Odd > len(b) || s.Parents > len(b) || s.Climbs && s.Parents == 0 {
			t.Fatalf("%+v", s)
		}
		if a.ZeroAll && !a.ZeroHead || a.ZeroHead && !a.HasCredential || a.ZeroPassword && !a.HasPassword {
			t.Fatalf("%+v", a)
		}
	})
}
