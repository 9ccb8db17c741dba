package stub

import (
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/ndr"
)

// Decode reads the stub of a request, in the transfer syntax of its
// presentation context and the byte order of its PDU. It resets a. On an
// anomaly, the first met, a holds what could be read before it. Nothing of stub
// is kept. The strings of one request share one allocation.
func (a *Arguments) Decode(iface dcerpc.UUID, opnum uint16, stub []byte, ndr64, big bool) Anomaly {
	*a = Arguments{}
	op := find(&iface, opnum)
	if op == nil {
		return UnknownOperation
	}
	a.Kind = op.kind
	d := decoder{Reader: ndr.NewReader(stub, ndr64, big), a: a}
	d.read(op.layout, opnum)
	d.settle()
	if !d.Ok() {
		a.Cut = len(stub) >= int(op.keep)
		if !a.Cut && d.anomaly == 0 {
			return ShortStub
		}
	}
	return d.anomaly
}

// decoder reads a stub into a.
type decoder struct {
	ndr.Reader
	a       *Arguments
	anomaly Anomaly // the first
	kept    [maxKept]kept
	n       int
	hosted  bool // Host is among what is kept
}

// kept is a string of the stub and the field that it belongs in.
type kept struct {
	to   *string
	text ndr.Text
}

const maxKept = 8 // more than any operation has strings

func (d *decoder) note(a Anomaly) {
	if d.anomaly == 0 {
		d.anomaly = a
	}
}

// keep notes a string for a field. A field that is given two gets them with a
// space between.
func (d *decoder) keep(to *string, t ndr.Text) {
	if t.Illegal {
		d.note(BadString)
	}
	if t.Len() == 0 || d.n == maxKept {
		return
	}
	if t.Len() > MaxText {
		d.a.Truncated = true
	}
	d.kept[d.n] = kept{to, t}
	d.n++
}

// settle gives the fields their strings.
func (d *decoder) settle() {
	if d.n == 0 {
		return
	}
	var room [1024]byte
	text := room[:0]
	var ends [maxKept]int
	joined := func(i int) bool { return i > 0 && i < d.n && d.kept[i].to == d.kept[i-1].to }
	for i := range d.n {
		if joined(i) {
			text = append(text, ' ')
		}
		text = d.kept[i].text.Append(text, MaxText)
		ends[i] = len(text)
	}
	all := string(text)
	start := 0
	for i := range d.n {
		if !joined(i + 1) {
			*d.kept[i].to = all[start:ends[i]]
			start = ends[i]
		}
	}
}

// wide reads a string, [string] wchar_t*, behind a reference pointer.
func (d *decoder) wide(to *string) ndr.Text {
	t := d.Wide()
	d.keep(to, t)
	return t
}

// unique reads a unique pointer to a string and the string.
func (d *decoder) unique(to *string) (t ndr.Text) {
	if d.Referent() != 0 {
		t = d.wide(to)
	}
	return t
}

// narrow reads a string of octets, [string] char*.
func (d *decoder) narrow(to *string) { d.keep(to, d.Narrow()) }

// skip reads a unique pointer to a string that nobody wants, and the string.
func (d *decoder) skip() {
	if d.Referent() != 0 {
		d.Wide()
	}
}

func (d *decoder) skipNarrow() {
	if d.Referent() != 0 {
		d.Narrow()
	}
}

// skipOctets reads a unique pointer to a conformant array of octets, and the
// array.
func (d *decoder) skipOctets() {
	if d.Referent() != 0 {
		d.Bytes(d.Count())
	}
}

// path reads a string that is the path.
func (d *decoder) path() { d.shape(d.wide(&d.a.Path)) }

// uniquePath reads a unique pointer to the path and the path.
func (d *decoder) uniquePath() { d.shape(d.unique(&d.a.Path)) }

// counted reads an RPC_UNICODE_STRING (MS-DTYP 2.3.10) and what it points to.
func (d *decoder) counted(to *string) (t ndr.Text) {
	d.AlignSize()
	length, limit := d.U16(), d.U16()
	if d.Referent() == 0 {
		return t
	}
	t = d.wide(to)
	if d.Ok() && (length > limit || t.Sent != uint64(length/2)) {
		d.note(LengthDisagrees)
	}
	return t
}

// host takes the server from a server's name or UNC path that the server is to
// connect to.
func (d *decoder) host(t ndr.Text) { d.keepHost(t, false) }

// remote takes the server from a path that may be local.
func (d *decoder) remote(t ndr.Text) { d.keepHost(t, true) }

// keepHost notes the first server met and gives the length of its name.
func (d *decoder) keepHost(t ndr.Text, path bool) int {
	from, to := serverPart(t, path)
	if to > from && !d.hosted {
		d.hosted = true
		d.keep(&d.a.Host, t.Part(from, to))
	}
	return to - from
}

// shape looks at the whole of the path.
func (d *decoder) shape(t ndr.Text) {
	d.a.Shape = measure(t)
	d.a.Shape.Host = d.keepHost(t, true)
}

// read reads the parameters of an operation in the order of its IDL.
func (d *decoder) read(l layout, opnum uint16) {
	a := d.a
	switch l {
	case layoutNone:

	// MS-SRVS 3.1.4.29 to 3.1.4.34: ServerName, then the names.
	case layoutPathType:
		d.unique(&a.Server)
		d.path()
		a.Flags = d.U32()
	case layoutCanonicalize:
		d.unique(&a.Server)
		d.path()
		d.U32() // OutbufLen
		prefix := d.wide(&a.Other)
		a.Shape.Other = prefix.Len()
		a.Type, a.Flags = d.U32(), d.U32()
	case layoutTwoPaths:
		d.unique(&a.Server)
		d.path()
		second := d.wide(&a.Other)
		a.Shape.Other = second.Len()
		d.worse(measure(second))
		a.Type, a.Flags = d.U32(), d.U32()
	case layoutOneName:
		d.unique(&a.Server)
		d.path()
		if opnum == 34 {
			d.U32() // OutbufLen
		}
		a.Type, a.Flags = d.U32(), d.U32()

	case layoutRemoteActivation:
		d.remoteActivation()
	case layoutProperties:
		d.properties(opnum == 4)

	// MS-NRPC 3.5.4.4: PrimaryName, AccountName, SecureChannelType, ComputerName.
	case layoutChallenge: // 3.5.4.4.1
		d.unique(&a.Server)
		d.wide(&a.Computer)
		d.credential()
	case layoutAuthenticate, layoutAuthenticateFlags: // 3.5.4.4.2 to 3.5.4.4.4
		d.channel()
		d.credential()
		if l == layoutAuthenticateFlags {
			a.Flags = d.U32()
		}
	case layoutPasswordSet: // 3.5.4.4.6: Authenticator, ENCRYPTED_NT_OWF_PASSWORD
		d.channel()
		d.authenticator()
		d.password(16)
	case layoutPasswordSet2: // 3.5.4.4.5: Authenticator, NL_TRUST_PASSWORD
		d.channel()
		d.authenticator()
		d.AlignTo(4)
		d.password(512 + 4)

	// MS-EFSR 3.1.4.2.
	case layoutFile:
		d.path()
	case layoutTwoFiles: // 3.1.4.2.13: SrcFileName, DestFileName
		d.path()
		d.remote(d.wide(&a.Other))
	case layoutFileBehindBlob: // 3.1.4.2.14, 3.1.4.2.15: flags, an EFS_RPC_BLOB*, FileName
		a.Flags = d.U32()
		if d.Referent() != 0 {
			d.AlignSize()
			n := d.U32()
			if d.Referent() != 0 {
				limit := d.Count()
				if limit != uint64(n) && d.Ok() {
					d.note(LengthDisagrees)
				}
				d.Bytes(limit)
			}
		}
		d.path()

	// MS-RPRN 3.1.4.10: hPrinter, fdwFlags, fdwOptions, pszLocalMachine.
	case layoutLocalMachine:
		d.Handle()
		a.Flags = d.U32()
		d.U32()
		machine := d.unique(&a.Path)
		a.Shape = measure(machine)
		d.host(machine)
	case layoutDriver: // MS-RPRN 3.1.4.4.1, 3.1.4.4.8; MS-PAR 3.1.4.2.2
		d.unique(&a.Server)
		if d.driver() && opnum != 9 {
			a.Flags = d.U32()
		}

	// MS-DFSNM 3.1.4.
	case layoutRoot: // ServerName, RootShare
		d.host(d.wide(&a.Server))
		d.wide(&a.Other)
	case layoutServer: // ServerName, or DcName
		d.host(d.wide(&a.Server))
	case layoutLink, layoutLinkUnique, layoutLinkOfDC, layoutLinkOfDCUnique: // DfsEntryPath, DcName, ServerName, ShareName
		entry := d.wide(&a.Path)
		if l == layoutLinkOfDC || l == layoutLinkOfDCUnique {
			d.wide(&a.Computer)
		}
		if l == layoutLink || l == layoutLinkOfDC {
			d.host(d.wide(&a.Server))
		} else {
			d.host(d.unique(&a.Server))
		}
		d.unique(&a.Other)
		d.shape(entry) // the server of the target goes before that of the namespace
	case layoutTarget: // pDfsPath, pTargetPath
		d.uniquePath()
		d.remote(d.unique(&a.Other))
	case layoutEntry: // DfsEntryPath
		d.path()

	// MS-FSRVP 3.1.4: ShareName, behind two ids or not.
	case layoutShareBehindIDs:
		d.UUID()
		d.UUID()
		d.path()
	case layoutShare:
		d.path()

	// MS-EVEN 3.1.4: LogHandle or UNCServerName, BackupFileName.
	case layoutBackup:
		d.Handle()
		d.shape(d.counted(&a.Path))
	case layoutBackupOptional:
		d.Handle()
		if d.Referent() != 0 {
			d.shape(d.counted(&a.Path))
		}
	case layoutBackupOpen:
		d.serverOfLog()
		d.shape(d.counted(&a.Path))

	case layoutDSABind: // MS-DRSR 4.1.3: puuidClientDsa
		if d.Referent() != 0 {
			a.Object = dcerpc.UUID(d.UUID())
		}
	case layoutChanges:
		d.changes()

	// MS-SCMR 3.1.4.
	case layoutCreateService, layoutCreateServiceA: // hSCManager, lpServiceName, lpDisplayName, four DWORDs, lpBinaryPathName
		d.Handle()
		if l == layoutCreateService {
			d.wide(&a.Service)
			d.skip()
		} else {
			d.narrow(&a.Service)
			d.skipNarrow()
		}
		d.U32() // dwDesiredAccess
		a.Type, a.Flags = d.U32(), d.U32()
		d.U32() // dwErrorControl
		if l == layoutCreateService {
			d.wide(&a.Command)
		} else {
			d.narrow(&a.Command)
		}
		d.serviceAccount(l == layoutCreateService)
	case layoutChangeService, layoutChangeServiceA: // hService, three DWORDs, lpBinaryPathName
		d.Handle()
		a.Type, a.Flags = d.U32(), d.U32()
		d.U32() // dwErrorControl
		if d.Referent() != 0 {
			if l == layoutChangeService {
				d.wide(&a.Command)
			} else {
				d.narrow(&a.Command)
			}
		}
		d.serviceAccount(l == layoutChangeService)
	case layoutService:
		d.Handle()
		d.wide(&a.Service)
	case layoutServiceA:
		d.Handle()
		d.narrow(&a.Service)

	// MS-TSCH 3.2.5.
	case layoutRegisterTask: // 3.2.5.4.2: path, xml, flags
		d.unique(&a.Task)
		d.keepCommand(d.Wide())
		a.Flags = d.U32()
	case layoutTask:
		d.wide(&a.Task)
	case layoutJob: // 3.2.5.2.1: ServerName, AT_INFO
		d.unique(&a.Server)
		d.job()
	case layoutJobAccount: // 3.2.5.3.4: Handle, pwszJobName, pwszAccount; the password is left alone
		d.unique(&a.Server)
		d.wide(&a.Task)
		d.wide(&a.Account)
	case layoutAccount: // 3.2.5.3.5: Handle, pwszAccount; the same
		d.unique(&a.Server)
		d.unique(&a.Account)

	// MS-RRP 3.1.5: hKey, then names.
	case layoutKey:
		d.Handle()
		d.counted(&a.Key)
	case layoutValue:
		d.Handle()
		d.counted(&a.Value)
	case layoutSetValue: // lpValueName, dwType; the data are left alone
		d.Handle()
		d.counted(&a.Value)
		a.Type = d.U32()
	case layoutKeyFile: // lpSubKey, lpFile
		d.Handle()
		d.counted(&a.Key)
		d.shape(d.counted(&a.Path))
	case layoutReplaceKey: // lpSubKey, lpNewFile, lpOldFile
		d.Handle()
		d.counted(&a.Key)
		d.shape(d.counted(&a.Path))
		d.counted(&a.Other)
	case layoutKeyToFile: // lpFile
		d.Handle()
		d.shape(d.counted(&a.Path))
	}
}

// worse keeps the worse of the shapes of two paths.
func (d *decoder) worse(s Shape) {
	t := &d.a.Shape
	t.Climbs = t.Climbs || s.Climbs
	t.Parents = max(t.Parents, s.Parents)
	t.Odd = max(t.Odd, s.Odd)
}

// channel reads PrimaryName, AccountName, SecureChannelType and ComputerName.
func (d *decoder) channel() {
	d.unique(&d.a.Server)
	d.wide(&d.a.Account)
	d.a.Channel = d.Enum()
	d.wide(&d.a.Computer)
}

// credential reads a NETLOGON_CREDENTIAL, eight octets without alignment
// (MS-NRPC 2.2.1.3.4).
func (d *decoder) credential() {
	b := d.Bytes(8)
	if b == nil {
		return
	}
	d.a.HasCredential = true
	d.a.ZeroHead = zero(b[:5])
	d.a.ZeroAll = zero(b)
}

// authenticator reads a NETLOGON_AUTHENTICATOR (MS-NRPC 2.2.1.1.5).
func (d *decoder) authenticator() {
	d.AlignTo(4)
	d.credential()
	d.U32() // Timestamp
}

// password tells of a new password of n octets only that it is there.
func (d *decoder) password(n uint64) {
	if b := d.Bytes(n); b != nil {
		d.a.HasPassword = true
		d.a.ZeroPassword = zero(b)
	}
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// serviceAccount reads what follows the binary path of a service down to
// lpServiceStartName: lpLoadOrderGroup, lpdwTagId, lpDependencies and
// dwDependSize. The password behind is left alone.
func (d *decoder) serviceAccount(wide bool) {
	if wide {
		d.skip()
	} else {
		d.skipNarrow()
	}
	if d.Referent() != 0 {
		d.U32()
	}
	d.skipOctets()
	d.U32()
	if d.Referent() == 0 {
		return
	}
	if wide {
		d.wide(&d.a.Account)
	} else {
		d.narrow(&d.a.Account)
	}
}

// job reads an AT_INFO (MS-TSCH 2.3.4) and its command. JobTime is a
// DWORD_PTR, whose NDR64 size the padding before the pointer hides.
func (d *decoder) job() {
	d.AlignSize()
	d.U32() // JobTime
	if d.NDR64() {
		d.U32()
	}
	d.U32() // DaysOfMonth
	d.U8()  // DaysOfWeek
	d.U8()  // Flags
	if d.Referent() != 0 {
		d.wide(&d.a.Command)
	}
}

// serverOfLog reads UNCServerName, an EVENTLOG_HANDLE_W. By the IDL that is a
// pointer to one character (MS-EVEN 2.2.7), which Windows sends; impacket
// sends a string.
func (d *decoder) serverOfLog() {
	if d.Referent() == 0 {
		return
	}
	try := *d
	if t := try.Wide(); try.Ok() && !t.Illegal && t.Sent > 0 {
		d.wide(&d.a.Server)
		return
	}
	d.U16()
}

// driver reads a DRIVER_CONTAINER (MS-RPRN 2.2.1.2.3) and the names in it, and
// tells whether it read to its end. All levels but the first begin with the
// members of level 2; the rest is walked over, since the names come behind it.
func (d *decoder) driver() (whole bool) {
	a := d.a
	d.AlignSize()
	level := d.U32()
	d.AlignSize()
	chosen := d.U32()
	id := d.Referent()
	if !d.Ok() {
		return false
	}
	a.Type = level
	if chosen != level {
		d.note(UnionDisagrees)
	}
	if id == 0 {
		return true
	}
	switch chosen {
	case 1:
		d.unique(&a.Driver)
		return true
	case 2, 3, 4:
		d.AlignSize()
	case 6, 8:
		d.AlignTo(8) // dwlDriverVersion is a hyper
	default:
		d.note(UnknownLevel)
		return false
	}
	d.U32()         // cVersion
	var p [5]uint64 // pName, pEnvironment, pDriverPath, pDataFile, pConfigFile
	for i := range p {
		p[i] = d.Referent()
	}
	if chosen >= 3 {
		d.pointers(3) // pHelpFile, pMonitorName, pDefaultDataType
		d.array()     // pDependentFiles
	}
	if chosen >= 4 {
		d.array() // pszzPreviousNames
	}
	if chosen >= 6 {
		d.U32() // ftDriverDate
		d.U32()
		d.U64() // dwlDriverVersion
		d.pointers(4)
	}
	if chosen >= 8 {
		d.pointers(2) // pPrintProcessor, pVendorSetup
		d.array()     // pszzColorProfiles
		d.pointers(1) // pInfPath
		d.U32()       // dwPrinterDriverAttributes
		d.array()     // pszzCoreDependencies
		d.U32()       // ftMinInboxDriverVerDate
		d.U32()
		d.U64() // dwlMinInboxDriverVerVersion
	}
	if p[0] != 0 {
		d.wide(&a.Driver)
	}
	if p[1] != 0 {
		d.Wide()
	}
	if p[2] != 0 {
		d.path()
	}
	if p[3] != 0 {
		d.remote(d.wide(&a.DataFile))
	}
	if p[4] != 0 {
		d.remote(d.wide(&a.ConfigFile))
	}
	return chosen == 2
}

// pointers walks over n pointers of a structure.
func (d *decoder) pointers(n int) {
	for range n {
		d.Referent()
	}
}

// array walks over a count and a pointer of a structure.
func (d *decoder) array() {
	d.U32()
	d.Referent()
}

// changes reads hDrs, dwInVersion and a DRS_MSG_GETCHGREQ (MS-DRSR 4.1.10.2).
// Versions 4 and 7, which are for mail, are not known.
func (d *decoder) changes() {
	a := d.a
	d.Handle()
	version := d.U32()
	d.AlignSize()
	chosen := d.U32()
	if !d.Ok() {
		return
	}
	a.Type = version
	if chosen != version {
		d.note(UnionDisagrees)
	}
	if chosen != 5 && chosen != 8 && chosen != 10 && chosen != 11 {
		d.note(UnknownLevel)
		return
	}
	d.AlignTo(8) // USNs are hypers
	a.Object = dcerpc.UUID(d.UUID())
	d.UUID() // uuidInvocIdSrc
	context := d.Referent()
	d.U64() // usnvecFrom
	d.U64()
	d.U64()
	d.Referent() // pUpToDateVecDest
	a.Flags = d.U32()
	d.U32() // cMaxObjects
	d.U32() // cMaxBytes
	a.Extended = d.U32()
	d.U64() // liFsmoInfo
	if chosen >= 8 {
		d.pointers(2) // pPartialAttrSet, pPartialAttrSetEx
		d.AlignSize()
		d.array() // PrefixTableDest
	}
	if chosen >= 10 {
		d.U32() // ulMoreFlags
	}
	if chosen >= 11 {
		d.UUID() // correlationID
		d.Referent()
	}
	if context != 0 {
		d.directoryName()
	}
}

// directoryName reads a DSNAME (MS-DRSR 5.50).
func (d *decoder) directoryName() {
	limit := d.Count()
	d.U32() // structLen
	d.U32() // SidLen
	d.UUID()
	d.Bytes(28) // Sid
	length := d.U32()
	if d.Ok() && uint64(length)+1 != limit {
		d.note(LengthDisagrees)
	}
	d.keep(&d.a.Naming, d.Wides(limit))
}
