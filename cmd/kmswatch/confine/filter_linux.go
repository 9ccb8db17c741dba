package confine

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// denied are the system calls that nothing in the sensor makes: of programs,
// other processes, mounts, the kernel, keys, and io_uring, which would pass the
// filter by. Those of files and sockets are Landlock's, or socket's below.
var denied = [...]uint32{
	unix.SYS_EXECVE, unix.SYS_EXECVEAT,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
	unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_SETNS, unix.SYS_UNSHARE,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
	unix.SYS_FANOTIFY_INIT, unix.SYS_PERSONALITY, unix.SYS_MEMFD_CREATE,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
}

// families are those of new sockets: to tell the service manager, to serve
// metrics, to deliver alerts. Of AF_NETLINK there is NETLINK_ROUTE, which tells an
// interface by its name.
var families = [...]uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6}

// mapCommands are those of bpf(2) that work on a map that is open (linux/bpf.h):
// look up, update, delete, next key, and the batches of them.
var mapCommands = [...]uint32{1, 2, 3, 4, 24, 25, 26, 27}

// architectures are those for which the filter is made, by GOARCH: both little
// endian, so that the low half of an argument comes first.
var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// Offsets in seccomp_data (linux/seccomp.h).
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
	offArg1   = 24
	offArg2   = 32
)

// x32 marks the calls of that ABI, which has the architecture of amd64.
const x32 = 0x40000000

// program makes the filter. It refuses what is denied, whatever else there is it
// lets pass; calls of another ABI would have other numbers and are all refused.
func program(arch uint32, maps bool) []unix.SockFilter {
	var p []unix.SockFilter
	add := func(code uint16, k uint32, t, f uint8) {
		p = append(p, unix.SockFilter{Code: code, Jt: t, Jf: f, K: k})
	}
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		least = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		bits  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
		allow = unix.SECCOMP_RET_ALLOW
		deny  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
		none  = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	)
	// only lets a call pass with certain values of an argument.
	only := func(call, argument uint32, values ...uint32) {
		n := uint8(len(values))
		add(equal, call, 0, n+3)
		add(load, argument, 0, 0)
		for i, v := range values {
			add(equal, v, n-uint8(i), 0) // to allow
		}
		add(ret, deny, 0, 0)
		add(ret, allow, 0, 0)
	}
	// refuse does not let a call pass with one value of an argument.
	refuse := func(call, argument, value uint32) {
		add(equal, call, 0, 4)
		add(load, argument, 0, 0)
		add(equal, value, 0, 1)
		add(ret, deny, 0, 0)
		add(load, offNumber, 0, 0) // it may be refused yet
	}
	add(load, offArch, 0, 0)
	add(equal, arch, 1, 0)
	add(ret, deny, 0, 0)
	add(load, offNumber, 0, 0)
	add(least, x32, 0, 1)
	add(ret, none, 0, 0)
	for _, list := range [][]uint32{denied[:], deniedHere[:]} {
		for _, call := range list {
			add(equal, call, 0, 1)
			add(ret, deny, 0, 0)
		}
	}
	// Landlock, which is asked about TCP, does not look at MPTCP.
	refuse(unix.SYS_SOCKET, offArg2, unix.IPPROTO_MPTCP)
	// What is typed into a terminal is typed by its user.
	refuse(unix.SYS_IOCTL, offArg1, unix.TIOCSTI)
	add(equal, unix.SYS_SOCKET, 0, 6)
	add(load, offArg0, 0, 0)
	add(equal, unix.AF_NETLINK, 0, 3)
	add(load, offArg2, 0, 0)
	add(equal, unix.NETLINK_ROUTE, 0, 1)
	add(ret, allow, 0, 0)
	add(load, offNumber, 0, 0)
	only(unix.SYS_SOCKET, offArg0, families[:]...)
	if maps {
		only(unix.SYS_BPF, offArg0, mapCommands[:]...)
	} else {
		only(unix.SYS_BPF, offArg0)
	}
	// A thread may be made, a process may not. Whether clone3 does which, a filter
	// cannot see; without it there is clone.
	add(equal, unix.SYS_CLONE3, 0, 1)
	add(ret, none, 0, 0)
	add(equal, unix.SYS_CLONE, 0, 4)
	add(load, offArg0, 0, 0)
	add(bits, unix.CLONE_THREAD, 1, 0)
	add(ret, deny, 0, 0)
	add(ret, allow, 0, 0)
	add(ret, allow, 0, 0)
	return p
}

// filter puts the filter on all threads. It returns false where there is none
// for the architecture or the kernel knows none.
func filter(maps bool) (bool, error) {
	arch, ok := architectures[runtime.GOARCH]
	if !ok || !SeccompAvailable() {
		return false, nil
	}
	p := program(arch, maps)
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	// Both calls on one thread; the kernel gives the others what this one has.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return false, fmt.Errorf("set no_new_privs: %w", err)
	}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(p)
	switch {
	case errno != 0:
		return false, fmt.Errorf("set the filter: %w", errno)
	case thread != 0:
		return false, fmt.Errorf("set the filter: thread %d has another", thread)
	}
	return true, nil
}

// SeccompAvailable says whether the kernel takes filters.
func SeccompAvailable() bool {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, 0)
	return errno == unix.EFAULT // it looked for the filter
}
