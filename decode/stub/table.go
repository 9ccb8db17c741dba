package stub

import (
	"encoding/binary"

	"kmswatch/decode/dcerpc"
)

// layout is the order of an operation's parameters as far as they are read.
type layout uint8

const (
	layoutNone layout = iota // nothing but the status of the response
	layoutCanonicalize
	layoutPathType
	layoutTwoPaths
	layoutOneName
	layoutRemoteActivation
	layoutProperties
	layoutChallenge
	layoutAuthenticate
	layoutAuthenticateFlags
	layoutPasswordSet
	layoutPasswordSet2
	layoutFile
	layoutTwoFiles
	layoutFileBehindBlob
	layoutLocalMachine
	layoutDriver
	layoutRoot
	layoutServer
	layoutLink
	layoutLinkUnique
	layoutLinkOfDC
	layoutLinkOfDCUnique
	layoutTarget
	layoutEntry
	layoutShare
	layoutShareBehindIDs
	layoutBackup
	layoutBackupOptional
	layoutBackupOpen
	layoutDSABind
	layoutChanges
	layoutCreateService
	layoutCreateServiceA
	layoutChangeService
	layoutChangeServiceA
	layoutService
	layoutServiceA
	layoutRegisterTask
	layoutTask
	layoutJob
	layoutJobAccount
	layoutAccount
	layoutKey
	layoutValue
	layoutSetValue
	layoutKeyFile
	layoutReplaceKey
	layoutKeyToFile
)

// operation is how much of the stubs of an operation to keep and how to read
// them.
type operation struct {
	opnum  uint16
	keep   uint16 // bytes
	kind   Kind
	layout layout
}

// listing is an operation that lists something.
type listing struct {
	opnum uint16
	what  string
}

// interfaces is sorted by UUID. The status that ends responses is a Win32 error,
// of which 0 alone is success, or, where severe is set, an NTSTATUS or HRESULT,
// of which the top bit is failure.
var interfaces = [...]struct {
	iface      dcerpc.UUID
	severe     bool
	operations []operation
	listings   []listing
}{
	{dcerpc.MustUUID("000001a0-0000-0000-c000-000000000046"), true, []operation{ // IRemoteSCMActivator, MS-DCOM 3.1.2.5.2.2
		{3, 4096, Activation, layoutProperties},
		{4, 4096, Activation, layoutProperties}, // pUnkOuter comes first
	}, nil},
	{dcerpc.MustUUID("12345678-1234-abcd-ef00-0123456789ab"), false, []operation{ // spoolss, MS-RPRN 3.1.4
		{9, 4096, PrinterDriver, layoutDriver},
		{62, 1024, ChangeNotification, layoutLocalMachine},
		{65, 1024, ChangeNotification, layoutLocalMachine},
		{89, 4096, PrinterDriver, layoutDriver},
	}, []listing{
		{0, Printers}, {4, Printers}, {10, Printers}, {15, Printers}, {34, Printers}, {35, Printers}, {36, Printers}, {51, Printers}, {87, Printers},
	}},
	{dcerpc.MustUUID("12345678-1234-abcd-ef00-01234567cffb"), true, []operation{ // netlogon, MS-NRPC 3.5.4.4
		{4, 1024, SecureChannel, layoutChallenge},
		{5, 1024, SecureChannel, layoutAuthenticate},
		{6, 1024, ChannelPassword, layoutPasswordSet},
		{15, 1024, SecureChannel, layoutAuthenticateFlags},
		{26, 1024, SecureChannel, layoutAuthenticateFlags},
		{30, 2048, ChannelPassword, layoutPasswordSet2},
	}, []listing{
		{7, Accounts}, {8, Accounts}, {16, Accounts}, // database replication of NT 4.0
		{19, Trusts}, {36, Trusts}, {40, Trusts}, {43, Trusts}, {44, Trusts},
	}},
	{dcerpc.MustUUID("12345778-1234-abcd-ef00-0123456789ab"), true, nil, []listing{ // lsarpc, MS-LSAD 3.1.4 and MS-LSAT 3.1.4
		{2, Rights},
		{7, Policies}, {46, Policies}, {53, Policies}, {84, Policies}, {85, Policies}, {86, Policies}, {87, Policies},
		{11, Accounts}, {35, Accounts}, {18, Rights}, {36, Rights},
		{13, Trusts}, {26, Trusts}, {39, Trusts}, {48, Trusts}, {50, Trusts}, {73, Trusts},
		{14, Accounts}, {15, Accounts}, {57, Accounts}, {58, Accounts}, {68, Accounts}, {76, Accounts}, {77, Accounts}, // names to SIDs and back
	}},
	{dcerpc.MustUUID("12345778-1234-abcd-ef00-0123456789ac"), true, nil, []listing{ // samr, MS-SAMR 3.1.5
		{5, Domains}, {6, Domains}, {8, Policies}, {46, Policies}, {44, Policies}, {56, Policies},
		{11, Groups}, {15, Groups}, {16, Groups}, {20, Groups}, {25, Groups}, {28, Groups}, {33, Groups}, {39, Groups},
		{13, Accounts}, {17, Accounts}, {18, Accounts}, {36, Accounts}, {40, Accounts}, {47, Accounts}, {48, Accounts}, {51, Accounts},
	}},
	{dcerpc.MustUUID("1ff70682-0a51-30e8-076d-740be8cee98b"), false, []operation{ // atsvc, MS-TSCH 3.2.5.2
		{0, 2048, ScheduledTask, layoutJob},
	}, []listing{{2, Tasks}, {3, Tasks}}},
	{dcerpc.MustUUID("338cd001-2244-31f1-aaaa-900038001003"), false, []operation{ // winreg, MS-RRP 3.1.5
		{0, 64, RegistryRead, layoutNone},
		{1, 64, RegistryRead, layoutNone},
		{2, 64, RegistryRead, layoutNone},
		{3, 64, RegistryRead, layoutNone},
		{4, 64, RegistryRead, layoutNone},
		{6, 2048, RegistryWrite, layoutKey},
		{7, 1024, RegistryWrite, layoutKey},
		{8, 1024, RegistryWrite, layoutValue},
		{13, 2048, RegistryWrite, layoutKeyFile},
		{15, 1024, RegistryRead, layoutKey},
		{18, 4096, RegistryWrite, layoutReplaceKey},
		{19, 1024, RegistrySave, layoutKeyToFile},
		{20, 1024, RegistrySave, layoutKeyToFile},
		{22, 2048, RegistryWrite, layoutSetValue},
		{27, 64, RegistryRead, layoutNone},
		{31, 1024, RegistrySave, layoutKeyToFile},
		{32, 64, RegistryRead, layoutNone},
		{33, 64, RegistryRead, layoutNone},
		{35, 1024, RegistryWrite, layoutKey},
	}, []listing{{9, Keys}, {10, Keys}}},
	{dcerpc.MustUUID("367abb81-9844-35f1-ad32-98f038001003"), false, []operation{ // svcctl, MS-SCMR 3.1.4
		{2, 128, ServiceControl, layoutNone},
		{11, 4096, ServiceInstall, layoutChangeService},
		{12, 4096, ServiceInstall, layoutCreateService},
		{16, 1024, ServiceControl, layoutService},
		{19, 128, ServiceControl, layoutNone},
		{23, 4096, ServiceInstall, layoutChangeServiceA},
		{24, 4096, ServiceInstall, layoutCreateServiceA},
		{28, 1024, ServiceControl, layoutServiceA},
		{31, 128, ServiceControl, layoutNone},
		{44, 4096, ServiceInstall, layoutCreateServiceA},
		{45, 4096, ServiceInstall, layoutCreateService},
		{60, 4096, ServiceInstall, layoutCreateService},
	}, []listing{{13, Services}, {14, Services}, {25, Services}, {26, Services}, {35, Services}, {41, Services}, {42, Services}}},
	{dcerpc.MustUUID("378e52b0-c0a9-11cf-822d-00aa0051e40f"), true, []operation{ // sasec, MS-TSCH 3.2.5.3
		{0, 2048, ScheduledTask, layoutJobAccount},
		{1, 1024, ScheduledTask, layoutAccount},
	}, nil},
	{dcerpc.MustUUID("4b324fc8-1670-01d3-1278-5a47bf6ee188"), false, []operation{ // srvsvc, MS-SRVS 3.1.4
		{30, 4096, PathName, layoutPathType},
		{31, 8192, PathName, layoutCanonicalize},
		{32, 8192, PathName, layoutTwoPaths},
		{33, 4096, PathName, layoutOneName},
		{34, 4096, PathName, layoutOneName},
		{35, 4096, PathName, layoutTwoPaths},
	}, []listing{
		{8, Sessions}, {9, Sessions}, {12, Sessions}, {15, Shares}, {16, Shares}, {36, Shares}, {55, Shares}, {23, Disks}, {26, Transports},
	}},
	{dcerpc.MustUUID("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57"), true, []operation{ // IActivation, MS-DCOM 3.1.2.5.2.1
		{0, 4096, Activation, layoutRemoteActivation},
	}, nil},
	{dcerpc.MustUUID("4fc742e0-4a10-11cf-8273-00aa004ae673"), false, []operation{ // netdfs, MS-DFSNM 3.1.4
		{1, 2048, Namespace, layoutLink},
		{2, 2048, Namespace, layoutLinkUnique},
		{10, 2048, Namespace, layoutServer},
		{11, 2048, Namespace, layoutServer},
		{12, 2048, Namespace, layoutRoot},
		{13, 2048, Namespace, layoutRoot},
		{14, 1024, Namespace, layoutServer},
		{15, 2048, Namespace, layoutRoot},
		{16, 1024, Namespace, layoutServer},
		{17, 1024, Namespace, layoutServer},
		{18, 1024, Namespace, layoutServer},
		{19, 2048, Namespace, layoutLinkOfDC},
		{20, 2048, Namespace, layoutLinkOfDCUnique},
		{21, 1024, Namespace, layoutEntry},
		{23, 2048, Namespace, layoutTarget},
		{24, 2048, Namespace, layoutTarget},
	}, []listing{{5, Shares}, {21, Shares}}},
	{dcerpc.MustUUID("6bffd098-a112-3610-9833-46c3f87e345a"), false, nil, []listing{ // wkssvc, MS-WKST 3.2.4
		{2, Sessions}, {5, Transports}, {11, Sessions}, {21, Domains}, {26, Domains}, {30, Names},
	}},
	{dcerpc.MustUUID("76f03f96-cdfd-44fc-a22c-64950a001209"), false, []operation{ // IRemoteWinspool, MS-PAR 3.1.4
		{39, 4096, PrinterDriver, layoutDriver},
	}, []listing{{4, Printers}, {25, Printers}, {38, Printers}, {40, Printers}, {45, Printers}, {47, Printers}, {48, Printers}, {54, Printers}, {57, Printers}}},
	{dcerpc.MustUUID("82273fdc-e32a-18c3-3f78-827929dc23ea"), true, []operation{ // eventlog, MS-EVEN 3.1.4
		{0, 1024, EventLogBackup, layoutBackupOptional},
		{1, 1024, EventLogBackup, layoutBackup},
		{9, 1024, EventLogBackup, layoutBackupOpen},
	}, nil},
	{dcerpc.MustUUID("86d35949-83c9-4044-b424-db363231fd0c"), true, []operation{ // ITaskSchedulerService, MS-TSCH 3.2.5.4
		{1, 16384, ScheduledTask, layoutRegisterTask},
		{12, 1024, ScheduledTask, layoutTask},
		{13, 1024, ScheduledTask, layoutTask},
	}, []listing{{6, Tasks}, {7, Tasks}, {8, Tasks}}},
	{dcerpc.MustUUID("a8e0653c-2744-4389-a61d-7373df8b2292"), true, []operation{ // FileServerVssAgent, MS-FSRVP 3.1.4
		{3, 1024, ShadowCopy, layoutShareBehindIDs},
		{8, 1024, ShadowCopy, layoutShare},
		{9, 1024, ShadowCopy, layoutShare},
		{10, 1024, ShadowCopy, layoutShareBehindIDs},
		{11, 1024, ShadowCopy, layoutShareBehindIDs},
	}, nil},
	{dcerpc.MustUUID("c681d488-d850-11d0-8c52-00c04fd90f7e"), false, encryptedFile, nil},
	{dcerpc.MustUUID("df1941c5-fe89-4e79-bf10-463657acf44d"), false, encryptedFile, nil},
	{dcerpc.EPMapper, false, nil, []listing{{2, Endpoints}}}, // C706 appendix O
	{dcerpc.MustUUID("e3514235-4b06-11d1-ab04-00c04fc2dcd2"), false, []operation{ // drsuapi, MS-DRSR 4.1
		{0, 256, DirectoryBind, layoutDSABind},
		{3, 2048, Replication, layoutChanges},
	}, []listing{{9, Groups}, {12, Accounts}, {16, Domains}, {21, Groups}}},
}

// encryptedFile is the operations of both interfaces of MS-EFSR 3.1.4.2.
var encryptedFile = []operation{
	{0, 2048, EncryptedFile, layoutFile},
	{4, 2048, EncryptedFile, layoutFile},
	{5, 2048, EncryptedFile, layoutFile},
	{6, 2048, EncryptedFile, layoutFile},
	{7, 2048, EncryptedFile, layoutFile},
	{8, 2048, EncryptedFile, layoutFile},
	{9, 2048, EncryptedFile, layoutFile},
	{12, 2048, EncryptedFile, layoutFile},
	{13, 4096, EncryptedFile, layoutTwoFiles},
	{15, 2048, EncryptedFile, layoutFileBehindBlob},
	{16, 2048, EncryptedFile, layoutFileBehindBlob},
	{18, 2048, EncryptedFile, layoutFile},
	{19, 2048, EncryptedFile, layoutFile},
	{21, 2048, EncryptedFile, layoutFile},
	{22, 2048, EncryptedFile, layoutFile},
}

// What operations list.
const (
	Accounts   = "accounts"
	Groups     = "groups"
	Domains    = "domains"
	Rights     = "rights"
	Policies   = "policies"
	Trusts     = "trusts"
	Shares     = "shares"
	Sessions   = "sessions"
	Disks      = "disks"
	Transports = "transports"
	Names      = "names"
	Endpoints  = "endpoints"
	Services   = "services"
	Tasks      = "tasks"
	Keys       = "registry keys"
	Printers   = "printers"
)

// heads is the first eight bytes of the UUIDs in the table, side by side: every
// call is looked up and most are not there.
var heads = func() (h [len(interfaces)]uint64) {
	for i := range interfaces {
		h[i] = binary.BigEndian.Uint64(interfaces[i].iface[:])
	}
	return h
}()

// place finds an interface in the table; -1 if it is not there.
func place(iface *dcerpc.UUID) int {
	head := binary.BigEndian.Uint64(iface[:])
	low, high := 0, len(heads)
	for low < high {
		if mid := int(uint(low+high) / 2); heads[mid] < head {
			low = mid + 1
		} else {
			high = mid
		}
	}
	for ; low < len(heads) && heads[low] == head; low++ {
		if interfaces[low].iface == *iface {
			return low
		}
	}
	return -1
}

func find(iface *dcerpc.UUID, opnum uint16) *operation {
	i := place(iface)
	if i < 0 {
		return nil
	}
	ops := interfaces[i].operations
	for k := range ops {
		if ops[k].opnum == opnum {
			return &ops[k]
		}
	}
	return nil
}

// Wanted is how many bytes of an operation's request and response to keep, for
// Arguments and Result; 0 is none. A request's stub of that length counts as
// cut, not as malformed, where it ends early.
func Wanted(iface dcerpc.UUID, opnum uint16) int {
	if op := find(&iface, opnum); op != nil {
		return int(op.keep)
	}
	return 0
}

// KindOf tells what an operation is used for, without its arguments; KindNone
// if Arguments does not know it.
func KindOf(iface dcerpc.UUID, opnum uint16) Kind {
	if op := find(&iface, opnum); op != nil {
		return op.kind
	}
	return KindNone
}

// Enumerates tells whether an operation gives its caller a list of accounts,
// groups, shares, sessions, policies, trusts, endpoints and the like, or what
// one of them is, and which.
func Enumerates(iface dcerpc.UUID, opnum uint16) (what string, ok bool) {
	i := place(&iface)
	if i < 0 {
		return "", false
	}
	for _, l := range interfaces[i].listings {
		if l.opnum == opnum {
			return l.what, true
		}
	}
	return "", false
}
