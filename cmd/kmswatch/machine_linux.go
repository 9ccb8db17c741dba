package main

import (
	"fmt"
	"net"
	"strings"

	"kmswatch/bpf"
	"kmswatch/cmd/kmswatch/confine"
)

// liveCapture says what this machine can do for run, a line for each subject.
func liveCapture() []subject {
	var s []subject
	add := func(name, format string, args ...any) { s = append(s, subject{name, fmt.Sprintf(format, args...)}) }
	name := "live capture"
	for _, f := range bpf.Probe() {
		answer := "no"
		if f.OK {
			answer = "yes"
		}
		add(name, "%-3s  %s: %s", answer, f.Name, f.Note)
		name = ""
	}
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
