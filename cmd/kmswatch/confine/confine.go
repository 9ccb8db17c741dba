// Package confine takes from the process the rights that it needs no more once
// its sources are open: another user, no capabilities, no new privileges,
// Landlock for files and TCP, and a seccomp filter for system calls. It is given
// what is needed still and tells what came of it; all threads are covered. On
// systems other than Linux it does nothing and says so.
package confine

import (
	"fmt"
	"strings"
)

// Options is what the process needs still.
type Options struct {
	User    string   // to become, if the process is root's; empty stays
	Read    []string // folders and files to read; those that are not there are left out
	Write   []string // folders in which files are written and made
	Own     []string // folders in which files are also read and removed
	Connect []uint16 // TCP ports to connect to
	Maps    bool     // maps of BPF, which the process has open, are read and written; kernels before 5.19 want CAP_BPF for it, which stays there
}

// Report is what came of it.
type Report struct {
	User     string // that the process is now
	Kept     string // capabilities that are left; none, or their names
	Landlock int    // version of the kernel's interface; 0 iff it has none
	Seccomp  bool
}

// String is for a person.
func (r Report) String() string {
	parts := []string{"user " + r.User, "capabilities " + r.Kept}
	if r.Landlock > 0 {
		parts = append(parts, fmt.Sprintf("landlock %d", r.Landlock))
	} else {
		parts = append(parts, "no landlock")
	}
	if r.Seccomp {
		parts = append(parts, "seccomp")
	} else {
		parts = append(parts, "no seccomp")
	}
	return strings.Join(parts, ", ")
}
