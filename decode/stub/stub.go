// Package stub reads the arguments of the operations that attacks are made of:
// the path of NetprPathCanonicalize, the credential of
// NetrServerAuthenticate3, the file that EfsRpcOpenFileRaw names. It is given
// the first bytes of a request's stub with the interface, operation, transfer
// syntax and byte order of the call, and gives values that share nothing with
// them. Whether they are an attack is for the rules to say. Passwords,
// challenges and credentials are never among the values, only whether they are
// there and all zero.
package stub

import "kmswatch/decode/dcerpc"

// MaxText is the most of a string that Arguments keeps, in characters (UTF-16
// units, octets of narrow strings).
const MaxText = 256

// Arguments is what was read of a request. Fields that the operation does not
// have, or whose bytes were not seen, are zero; so are null pointers.
type Arguments struct {
	Kind       Kind
	Server     string // as the caller addresses it: ServerName, PrimaryName, pName of a printer driver
	Path       string // path, file, share or object that the server shall open
	Host       string // server part of Path, or else of Server where an operation makes the server connect to it
	Other      string // second path or share: Prefix, PathName2, DestFileName, RootShare, the replacement of ReplaceKey
	Account    string // of a secure channel, service or job
	Computer   string // ComputerName of a secure channel
	Service    string // service name
	Task       string // path of a scheduled task, name of a job
	Command    string // what a service, job or task runs
	Key        string // registry key, relative to an open one
	Value      string // registry value name
	Driver     string // printer driver name; Path is its driver file
	DataFile   string // of a printer driver
	ConfigFile string // of a printer driver
	Naming     string // distinguished name of the naming context to replicate

	Object        dcerpc.UUID // class to activate; directory service agent of DRSBind and DRSGetNCChanges
	Type          uint32      // PathType, dwServiceType, level of a driver container, type of a registry value, dwInVersion
	Flags         uint32      // Flags, NegotiateFlags, dwStartType, dwFileCopyFlags, ulFlags, task flags
	Extended      uint32      // ulExtendedOp of DRSGetNCChanges
	Channel       uint32      // NETLOGON_SECURE_CHANNEL_TYPE (MS-NRPC 2.2.1.3.13)
	HasCredential bool        // a client challenge, client credential or authenticator was seen
	ZeroHead      bool        // its first five bytes are zero: what Zerologon wants (CVE-2020-1472)
	ZeroAll       bool        // all eight are
	HasPassword   bool        // a new password was seen
	ZeroPassword  bool        // its ciphertext is all zero

	Shape     Shape // of the whole of Path
	Truncated bool  // a string was longer than MaxText
	Cut       bool  // the stub was cut at Wanted
}

// Shape is what the whole of a path looks like, beyond what is kept of it.
// Lengths are in UTF-16 units; the terminating NUL does not count.
type Shape struct {
	Length  int  // as far as it was seen
	Sent    int  // as the stub says, the terminating NUL included
	Host    int  // of the server part of a UNC path
	Parents int  // components ".."
	Climbs  bool // some ".." is above the root (MS08-067)
	Odd     int  // units that print nothing, as machine code has many of
	Other   int  // length of Other, which is joined to the path (MS06-040)
}

// Kind is a family of operations that one attack, or one use, is made of.
type Kind uint8

// Kinds. To add an operation: a row in the table of its interface with its
// layout and how much of the stub that needs; a layout that is new: a constant
// and a case in decode.
const (
	KindNone           Kind = iota
	PathName                // srvsvc: canonicalize and compare paths and names
	Activation              // DCOM: activate an object
	SecureChannel           // netlogon: set a secure channel up
	ChannelPassword         // netlogon: set its password
	EncryptedFile           // efsrpc: act on an encrypted file
	ChangeNotification      // spoolss: notify a machine of printer changes
	PrinterDriver           // spoolss and IRemoteWinspool: add a printer driver
	Namespace               // netdfs
	ShadowCopy              // FSRVP
	EventLogBackup          // eventlog: open or write a backup file
	DirectoryBind           // drsuapi
	Replication             // drsuapi: ask for changes
	ServiceInstall          // svcctl: create a service or change its configuration
	ServiceControl          // svcctl: open, start or delete a service
	ScheduledTask           // ITaskSchedulerService, atsvc and sasec
	RegistryRead            // winreg: open
	RegistryWrite           // winreg: create, set, delete, load
	RegistrySave            // winreg: save to or restore from a file
	kinds
)

var kindNames = [kinds]string{
	KindNone:           "none",
	PathName:           "path-name",
	Activation:         "activation",
	SecureChannel:      "secure-channel",
	ChannelPassword:    "channel-password",
	EncryptedFile:      "encrypted-file",
	ChangeNotification: "change-notification",
	PrinterDriver:      "printer-driver",
	Namespace:          "namespace",
	ShadowCopy:         "shadow-copy",
	EventLogBackup:     "event-log-backup",
	DirectoryBind:      "directory-bind",
	Replication:        "replication",
	ServiceInstall:     "service-install",
	ServiceControl:     "service-control",
	ScheduledTask:      "scheduled-task",
	RegistryRead:       "registry-read",
	RegistryWrite:      "registry-write",
	RegistrySave:       "registry-save",
}

// String gives the name.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "unknown"
}

// Anomaly is what is wrong with a stub; 0 is nothing. Only what lies before the
// last argument wanted is judged.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyNames.
const (
	UnknownOperation Anomaly = iota + 1 // an operation of which nothing is read
	ShortStub                           // the stub ends before the arguments do
	BadString                           // a string that does not begin at 0, or is longer than its maximum
	LengthDisagrees                     // a counted string or blob whose length is not that of its array
	UnionDisagrees                      // a union whose discriminant is not the level beside it
	UnknownLevel                        // a level or version of a structure that is not known
	BadProperties                       // activation properties that cannot be walked
	anomalies
)

var anomalyNames = [anomalies]string{
	0:                "none",
	UnknownOperation: "unknown-operation",
	ShortStub:        "short-stub",
	BadString:        "bad-string-bounds",
	LengthDisagrees:  "length-disagree",
	UnionDisagrees:   "union-disagree",
	UnknownLevel:     "unknown-level",
	BadProperties:    "bad-activation-properties",
}

// String gives the name.
func (a Anomaly) String() string {
	if a < anomalies {
		return anomalyNames[a]
	}
	return "unknown"
}
