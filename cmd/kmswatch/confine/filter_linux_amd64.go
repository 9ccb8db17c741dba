package confine

import "golang.org/x/sys/unix"

// deniedHere are calls that other architectures do not have.
var deniedHere = [...]uint32{unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_KEXEC_FILE_LOAD}
