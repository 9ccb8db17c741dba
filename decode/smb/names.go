package smb

import "strconv"

// Commands of SMB 2 and 3, MS-SMB2 2.2.1.
const (
	Negotiate2 = iota
	SessionSetup2
	Logoff2
	TreeConnect2
	TreeDisconnect2
	Create2
	Close2
	Flush2
	Read2
	Write2
	Lock2
	Ioctl2
	Cancel2
	Echo2
	QueryDirectory2
	ChangeNotify2
	QueryInfo2
	SetInfo2
	OplockBreak2
	ServerToClientNotification2
)

var commands2 = [...]string{
	Negotiate2: "NEGOTIATE", SessionSetup2: "SESSION_SETUP", Logoff2: "LOGOFF", TreeConnect2: "TREE_CONNECT",
	TreeDisconnect2: "TREE_DISCONNECT", Create2: "CREATE", Close2: "CLOSE", Flush2: "FLUSH", Read2: "READ", Write2: "WRITE",
	Lock2: "LOCK", Ioctl2: "IOCTL", Cancel2: "CANCEL", Echo2: "ECHO", QueryDirectory2: "QUERY_DIRECTORY",
	ChangeNotify2: "CHANGE_NOTIFY", QueryInfo2: "QUERY_INFO", SetInfo2: "SET_INFO", OplockBreak2: "OPLOCK_BREAK",
	ServerToClientNotification2: "SERVER_TO_CLIENT_NOTIFICATION",
}

// Commands of SMB 1 that mean something here, MS-CIFS 2.2.2.1.
const (
	cmd1Open                  = 0x02
	cmd1Create                = 0x03
	cmd1Close                 = 0x04
	cmd1Read                  = 0x0a
	cmd1Write                 = 0x0b
	cmd1CreateNew             = 0x0f
	cmd1LockAndRead           = 0x13
	cmd1WriteAndUnlock        = 0x14
	cmd1ReadRaw               = 0x1a
	cmd1WriteRaw              = 0x1d
	cmd1WriteComplete         = 0x20
	cmd1LockingAndX           = 0x24
	cmd1Transaction           = 0x25
	cmd1TransactionSecondary  = 0x26
	cmd1Echo                  = 0x2b
	cmd1WriteAndClose         = 0x2c
	cmd1OpenAndX              = 0x2d
	cmd1ReadAndX              = 0x2e
	cmd1WriteAndX             = 0x2f
	cmd1CloseAndTreeDisc      = 0x31
	cmd1Transaction2          = 0x32
	cmd1Transaction2Secondary = 0x33
	cmd1TreeConnect           = 0x70
	cmd1TreeDisconnect        = 0x71
	cmd1Negotiate             = 0x72
	cmd1SessionSetupAndX      = 0x73
	cmd1LogoffAndX            = 0x74
	cmd1TreeConnectAndX       = 0x75
	cmd1NTTransact            = 0xa0
	cmd1NTTransactSecondary   = 0xa1
	cmd1NTCreateAndX          = 0xa2
	cmd1NTCancel              = 0xa4
)

// commands1 has the commands of SMB 1, and whether the next may be chained to
// them.
var commands1 = [256]struct {
	name string
	andX bool
}{
	0x00:                      {"CREATE_DIRECTORY", false},
	0x01:                      {"DELETE_DIRECTORY", false},
	cmd1Open:                  {"OPEN", false},
	cmd1Create:                {"CREATE", false},
	cmd1Close:                 {"CLOSE", false},
	0x05:                      {"FLUSH", false},
	0x06:                      {"DELETE", false},
	0x07:                      {"RENAME", false},
	0x08:                      {"QUERY_INFORMATION", false},
	0x09:                      {"SET_INFORMATION", false},
	cmd1Read:                  {"READ", false},
	cmd1Write:                 {"WRITE", false},
	0x0c:                      {"LOCK_BYTE_RANGE", false},
	0x0d:                      {"UNLOCK_BYTE_RANGE", false},
	0x0e:                      {"CREATE_TEMPORARY", false},
	cmd1CreateNew:             {"CREATE_NEW", false},
	0x10:                      {"CHECK_DIRECTORY", false},
	0x11:                      {"PROCESS_EXIT", false},
	0x12:                      {"SEEK", false},
	cmd1LockAndRead:           {"LOCK_AND_READ", false},
	cmd1WriteAndUnlock:        {"WRITE_AND_UNLOCK", false},
	cmd1ReadRaw:               {"READ_RAW", false},
	0x1b:                      {"READ_MPX", false},
	0x1c:                      {"READ_MPX_SECONDARY", false},
	cmd1WriteRaw:              {"WRITE_RAW", false},
	0x1e:                      {"WRITE_MPX", false},
	0x1f:                      {"WRITE_MPX_SECONDARY", false},
	cmd1WriteComplete:         {"WRITE_COMPLETE", false},
	0x21:                      {"QUERY_SERVER", false},
	0x22:                      {"SET_INFORMATION2", false},
	0x23:                      {"QUERY_INFORMATION2", false},
	cmd1LockingAndX:           {"LOCKING_ANDX", true},
	cmd1Transaction:           {"TRANSACTION", false},
	cmd1TransactionSecondary:  {"TRANSACTION_SECONDARY", false},
	0x27:                      {"IOCTL", false},
	0x28:                      {"IOCTL_SECONDARY", false},
	0x29:                      {"COPY", false},
	0x2a:                      {"MOVE", false},
	cmd1Echo:                  {"ECHO", false},
	cmd1WriteAndClose:         {"WRITE_AND_CLOSE", false},
	cmd1OpenAndX:              {"OPEN_ANDX", true},
	cmd1ReadAndX:              {"READ_ANDX", true},
	cmd1WriteAndX:             {"WRITE_ANDX", true},
	0x30:                      {"NEW_FILE_SIZE", false},
	cmd1CloseAndTreeDisc:      {"CLOSE_AND_TREE_DISC", false},
	cmd1Transaction2:          {"TRANSACTION2", false},
	cmd1Transaction2Secondary: {"TRANSACTION2_SECONDARY", false},
	0x34:                      {"FIND_CLOSE2", false},
	0x35:                      {"FIND_NOTIFY_CLOSE", false},
	cmd1TreeConnect:           {"TREE_CONNECT", false},
	cmd1TreeDisconnect:        {"TREE_DISCONNECT", false},
	cmd1Negotiate:             {"NEGOTIATE", false},
	cmd1SessionSetupAndX:      {"SESSION_SETUP_ANDX", true},
	cmd1LogoffAndX:            {"LOGOFF_ANDX", true},
	cmd1TreeConnectAndX:       {"TREE_CONNECT_ANDX", true},
	0x7e:                      {"SECURITY_PACKAGE_ANDX", true},
	0x80:                      {"QUERY_INFORMATION_DISK", false},
	0x81:                      {"SEARCH", false},
	0x82:                      {"FIND", false},
	0x83:                      {"FIND_UNIQUE", false},
	0x84:                      {"FIND_CLOSE", false},
	cmd1NTTransact:            {"NT_TRANSACT", false},
	cmd1NTTransactSecondary:   {"NT_TRANSACT_SECONDARY", false},
	cmd1NTCreateAndX:          {"NT_CREATE_ANDX", true},
	cmd1NTCancel:              {"NT_CANCEL", false},
	0xa5:                      {"NT_RENAME", false},
	0xc0:                      {"OPEN_PRINT_FILE", false},
	0xc1:                      {"WRITE_PRINT_FILE", false},
	0xc2:                      {"CLOSE_PRINT_FILE", false},
	0xc3:                      {"GET_PRINT_QUEUE", false},
	0xd8:                      {"READ_BULK", false},
	0xd9:                      {"WRITE_BULK", false},
	0xda:                      {"WRITE_BULK_DATA", false},
}

// CommandName gives the name of a command of SMB 1, or of SMB 2 and 3.
func CommandName(version uint8, command uint16) string {
	switch version {
	case 1:
		if command < 256 && commands1[command].name != "" {
			return commands1[command].name
		}
	case 2:
		if int(command) < len(commands2) {
			return commands2[command]
		}
	case VersionTransform:
		return "TRANSFORM"
	case VersionCompression:
		return "COMPRESSION"
	}
	return "command(" + strconv.Itoa(int(command)) + ")"
}

// Control codes of pipes, MS-FSCC 2.3.
const (
	FsctlPipePeek       = 0x0011400c
	FsctlPipeWait       = 0x00110018
	FsctlPipeTransceive = 0x0011c017
)

// ControlName gives the name of a control code, MS-SMB2 2.2.31 and MS-FSCC 2.3.
func ControlName(code uint32) string {
	if s := find(controlTable[:], code); s != "" {
		return s
	}
	return hex32(code)
}

var controlTable = [...]number{
	{0x00060194, "FSCTL_DFS_GET_REFERRALS"},
	{0x000601b0, "FSCTL_DFS_GET_REFERRALS_EX"},
	{0x00090018, "FSCTL_LOCK_VOLUME"},
	{0x0009009c, "FSCTL_GET_OBJECT_ID"},
	{0x000900a4, "FSCTL_SET_REPARSE_POINT"},
	{0x000900a8, "FSCTL_GET_REPARSE_POINT"},
	{0x000900c0, "FSCTL_CREATE_OR_GET_OBJECT_ID"},
	{0x000900c4, "FSCTL_SET_SPARSE"},
	{0x000940cf, "FSCTL_QUERY_ALLOCATED_RANGES"},
	{0x000980c8, "FSCTL_SET_ZERO_DATA"},
	{FsctlPipeWait, "FSCTL_PIPE_WAIT"},
	{FsctlPipePeek, "FSCTL_PIPE_PEEK"},
	{FsctlPipeTransceive, "FSCTL_PIPE_TRANSCEIVE"},
	{0x00140078, "FSCTL_SRV_REQUEST_RESUME_KEY"},
	{0x001401d4, "FSCTL_LMR_REQUEST_RESILIENCY"},
	{0x001401fc, "FSCTL_QUERY_NETWORK_INTERFACE_INFO"},
	{0x00140204, "FSCTL_VALIDATE_NEGOTIATE_INFO"},
	{0x00144064, "FSCTL_SRV_ENUMERATE_SNAPSHOTS"},
	{0x001440f2, "FSCTL_SRV_COPYCHUNK"},
	{0x001441bb, "FSCTL_SRV_READ_HASH"},
	{0x001480f2, "FSCTL_SRV_COPYCHUNK_WRITE"},
}

// Functions of SMB_COM_TRANSACTION on pipes, MS-CIFS 2.2.5.
const (
	transSetState     = 0x0001
	transRawRead      = 0x0011
	transQueryState   = 0x0021
	transQueryInfo    = 0x0022
	transPeek         = 0x0023
	transTransact     = 0x0026
	transRawWrite     = 0x0031
	transRead         = 0x0036
	transWrite        = 0x0037
	transWait         = 0x0053
	transCall         = 0x0054
	transMailslotSend = 0x0001
)

// TransactionName gives the name of a function of SMB_COM_TRANSACTION on a pipe.
func TransactionName(function uint16) string {
	if s := find(transactionTable[:], uint32(function)); s != "" {
		return s
	}
	return "function(" + strconv.Itoa(int(function)) + ")"
}

var transactionTable = [...]number{
	{transSetState, "SET_NMPIPE_STATE"},
	{transRawRead, "RAW_READ_NMPIPE"},
	{transQueryState, "QUERY_NMPIPE_STATE"},
	{transQueryInfo, "QUERY_NMPIPE_INFO"},
	{transPeek, "PEEK_NMPIPE"},
	{transTransact, "TRANSACT_NMPIPE"},
	{transRawWrite, "RAW_WRITE_NMPIPE"},
	{transRead, "READ_NMPIPE"},
	{transWrite, "WRITE_NMPIPE"},
	{transWait, "WAIT_NMPIPE"},
	{transCall, "CALL_NMPIPE"},
}
