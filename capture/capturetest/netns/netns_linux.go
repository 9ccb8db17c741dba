package netns

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// SkipUnlessRoot skips a test that needs root. Where CI says that it must be
// run, being nobody is a failure.
func SkipUnlessRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("network namespaces need root")
	}
	t.Skip("network namespaces need root")
}

// Space is a network namespace. Its loopback interface is up, and nothing in it
// sends of its own accord: IPv6 has no link-local addresses, solicits no router
// and looks for no duplicates.
type Space struct {
	path string // of its file in /proc
	file *os.File
}

// New makes a namespace, which ends with the test.
func New(t testing.TB) *Space {
	t.Helper()
	SkipUnlessRoot(t)
	s := new(Space)
	var err error
	onThread(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			s.file, err = os.Open("/proc/thread-self/ns/net")
		}
	})
	if err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { s.file.Close() })
	s.path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.file.Fd())
	s.Do(func() {
		for _, set := range []string{"addr_gen_mode=1", "router_solicitations=0", "accept_ra=0", "autoconf=0", "accept_dad=0"} {
			name, value, _ := strings.Cut(set, "=")
			for _, which := range []string{"all", "default"} {
				// A kernel without IPv6 is as quiet.
				if e := os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/"+name, []byte(value), 0); e != nil && !os.IsNotExist(e) {
					err = e
				}
			}
		}
	})
	if err != nil {
		t.Fatalf("keep IPv6 quiet: %v", err)
	}
	s.IP(t, "link", "set", "lo", "up")
	return s
}

// Do runs f in the namespace, on a thread of its own, and returns when f does.
// What f opens and starts belongs to the namespace; goroutines that it starts do
// not. As f is no test's goroutine it must not end the test.
func (s *Space) Do(f func()) {
	var err error
	onThread(func() {
		if err = unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err == nil {
			f()
		}
	})
	if err != nil {
		panic(fmt.Sprintf("enter a network namespace: %v", err))
	}
}

// onThread runs f on a thread that ends with it.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		f()
	}()
	<-done
}

// Run runs a command in the namespace and gives what it printed.
func (s *Space) Run(t testing.TB, command string, args ...string) string {
	t.Helper()
	var out []byte
	var err error
	s.Do(func() { out, err = exec.Command(command, args...).CombinedOutput() })
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", command, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// IP runs ip in the namespace.
func (s *Space) IP(t testing.TB, args ...string) { t.Helper(); s.Run(t, "ip", args...) }

// Veth joins two namespaces, or one with itself, by a pair of interfaces that
// are up and carry frames of mtu bytes behind the Ethernet header.
func Veth(t testing.TB, a *Space, nameA string, b *Space, nameB string, mtu int) {
	t.Helper()
	m := fmt.Sprint(mtu)
	a.IP(t, "link", "add", nameA, "mtu", m, "type", "veth", "peer", "name", nameB, "mtu", m, "netns", b.path)
	a.IP(t, "link", "set", nameA, "up")
	b.IP(t, "link", "set", nameB, "up")
}
