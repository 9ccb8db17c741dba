package confine

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Process takes the rights away. After an error some may be gone, and the
// process ends best. A kernel without Landlock or without seccomp is no error:
// the Report says so.
func Process(o Options) (Report, error) {
	return process(&o, o.Maps && before519())
}

func process(o *Options, keepBPF bool) (Report, error) {
	var r Report
	if keepBPF {
		// Or it would go with the user id of root.
		if _, _, errno := psx.Syscall3(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0); errno != 0 {
			return r, fmt.Errorf("keep capabilities: %w", errno)
		}
	}
	if err := become(o.User); err != nil {
		return r, err
	}
	if err := dropCapabilities(keepBPF); err != nil {
		return r, fmt.Errorf("drop capabilities: %w", err)
	}
	r.User = currentUser()
	names, err := capabilities()
	if err != nil {
		return r, err
	}
	r.Kept = "none"
	if len(names) > 0 {
		r.Kept = strings.Join(names, " ")
	}
	r.Landlock = LandlockVersion()
	if err := restrict(o); err != nil {
		return r, fmt.Errorf("landlock: %w", err)
	}
	if r.Seccomp, err = filter(o.Maps); err != nil {
		return r, fmt.Errorf("seccomp: %w", err)
	}
	return r, nil
}

// become gives up root for a user. The capabilities go with it.
func become(name string) error {
	uid, gid, other, err := identity(name)
	if err != nil || !other {
		return err
	}
	// In this order: who is no longer root may not change groups.
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leave all groups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("become the group of user %s: %w", name, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("become user %s: %w", name, err)
	}
	return nil
}

func currentUser() string {
	id := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// before519 tells whether the kernel asks for CAP_BPF, where unprivileged BPF is
// off, also of who works on a map that is open.
func before519() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major < 5 || major == 5 && minor < 19
}

// dropCapabilities empties the sets of all threads, that of ambient ones with
// them (capabilities(7)), but for CAP_BPF if that is to be kept and is there.
func dropCapabilities(keepBPF bool) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var left [2]unix.CapUserData
	if keepBPF {
		if err := unix.Capget(&header, &left[0]); err != nil {
			return err
		}
		left[0] = unix.CapUserData{}
		left[1].Permitted &= 1 << (unix.CAP_BPF - 32)
		left[1].Effective, left[1].Inheritable = left[1].Permitted, 0
	}
	_, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&left[0])), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// LandlockVersion is that of the kernel's interface, 0 iff there is none.
func LandlockVersion() int {
	v, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return v
}

// restrict leaves the files and TCP ports that are needed. Where the kernel knows
// less, less is restricted.
func restrict(o *Options) error {
	const (
		readFile = landlock.AccessFSSet(ll.AccessFSReadFile)
		readDir  = landlock.AccessFSSet(ll.AccessFSReadDir)
		write    = landlock.AccessFSSet(ll.AccessFSWriteFile | ll.AccessFSMakeReg | ll.AccessFSTruncate)
		remove   = landlock.AccessFSSet(ll.AccessFSRemoveFile)
	)
	var rules []landlock.Rule
	for _, path := range o.Read {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
			continue
		case err != nil:
			return err
		case info.IsDir():
			rules = append(rules, landlock.PathAccess(readFile|readDir, path))
		default:
			rules = append(rules, landlock.PathAccess(readFile, path))
		}
	}
	for _, path := range o.Write {
		rules = append(rules, landlock.PathAccess(write, path))
	}
	for _, path := range o.Own {
		rules = append(rules, landlock.PathAccess(readFile|readDir|write|remove, path))
	}
	for _, port := range o.Connect {
		rules = append(rules, landlock.ConnectTCP(port))
	}
	// Version 6 scopes signals and abstract sockets: the first would come between
	// our own threads, the second between us and a service manager.
	return landlock.V5.BestEffort().Restrict(rules...)
}

// capabilityNames are by number (linux/capability.h).
var capabilityNames = [...]string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
	"CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP",
	"CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ",
	"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// capabilities names those that are in effect.
func capabilities() ([]string, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil, fmt.Errorf("capget: %w", err)
	}
	var names []string
	for i, name := range capabilityNames {
		if data[i/32].Effective>>(i%32)&1 != 0 {
			names = append(names, name)
		}
	}
	return names, nil
}
