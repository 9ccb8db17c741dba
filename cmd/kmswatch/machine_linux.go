package main

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"kmswatch/cmd/kmswatch/confine"
)

// wanted are the capabilities that run opens its sources with.
var wanted = [...]string{"CAP_BPF", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_PERFMON"}

// liveCapture says what this machine can do for run, a line for each subject.
// What the kernel can do with BPF belongs here too.
func liveCapture() []subject {
	var s []subject
	add := func(name, format string, args ...any) { s = append(s, subject{name, fmt.Sprintf(format, args...)}) }
	add("kernel", "Linux %s", kernelRelease())
	add("rights", "%s", rights())
	landlock := "no Landlock: run does without"
	if v := confine.LandlockVersion(); v > 0 {
		landlock = fmt.Sprintf("Landlock %d", v)
		if v < 4 {
			landlock += ", for files alone"
		}
	}
	seccomp := "no seccomp: run does without"
	if confine.SeccompAvailable() {
		seccomp = "seccomp"
	}
	add("confinement", "%s; %s", landlock, seccomp)
	add("interfaces", "%s", interfaceStates())
	return s
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "of an unknown release"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// rights compares the capabilities with those that are wanted.
func rights() string {
	have, err := confine.Capabilities()
	if err != nil {
		return err.Error()
	}
	var missing []string
	for _, w := range wanted {
		if !slices.Contains(have, w) {
			missing = append(missing, w)
		}
	}
	who := "an unprivileged user"
	if os.Geteuid() == 0 {
		who = "root"
	}
	if missing == nil {
		return who + ", enough for run"
	}
	return who + "; run needs " + strings.Join(missing, ", ") + " as well"
}

// interfaceStates names the interfaces, and those that are down as such.
func interfaceStates() string {
	all, err := net.Interfaces()
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, i := range all {
		name := fmt.Sprintf("%s (mtu %d", i.Name, i.MTU)
		if i.Flags&net.FlagUp == 0 {
			name += ", down"
		}
		names = append(names, name+")")
	}
	return strings.Join(names, ", ")
}
