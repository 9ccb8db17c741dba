package confine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// asChild is the variable by which the test binary knows that it is the process
// to confine; it names a folder with read/file and write.
const asChild = "CONFINE_TEST_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asChild); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// child confines itself and tells what it can do then, a line each.
func child(dir string) {
	// Threads that are there before must not get away.
	var held sync.WaitGroup
	ask := make(chan chan error)
	for range 4 {
		held.Add(1)
		go func() {
			runtime.LockOSThread()
			held.Done()
			for answer := range ask {
				answer <- open(filepath.Join(dir, "outside"), os.O_RDONLY)
			}
		}()
	}
	held.Wait()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println("listen:", err)
		return
	}
	already, err := os.OpenFile(filepath.Join(dir, "write", "already"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	before, err := capabilities()
	fmt.Println("before:", strings.Join(before, " "), err)
	o := Options{
		User: os.Getenv("CONFINE_TEST_USER"), Maps: os.Getenv("CONFINE_TEST_MAPS") != "",
		Read: []string{filepath.Join(dir, "read"), filepath.Join(dir, "none")}, Write: []string{filepath.Join(dir, "write")},
		Own: []string{filepath.Join(dir, "own")},
	}
	confined := func() (Report, error) { return Process(o) }
	if os.Getenv("CONFINE_TEST_KEEP") != "" {
		confined = func() (Report, error) { return process(&o, true) }
	}
	r, err := confined()
	fmt.Println("confined:", r, err)
	tell := func(what string, err error) {
		var errno syscall.Errno
		if errors.As(err, &errno) {
			fmt.Println(what+":", unix.ErrnoName(errno))
			return
		}
		fmt.Println(what+":", err)
	}
	tell("read inside", open(filepath.Join(dir, "read", "file"), os.O_RDONLY))
	tell("read outside", open(filepath.Join(dir, "outside"), os.O_RDONLY))
	for range 4 {
		answer := make(chan error)
		ask <- answer
		tell("read outside by another thread", <-answer)
	}
	tell("read a folder outside", func() error { _, err := os.ReadDir("/"); return err }())
	tell("write what is read", open(filepath.Join(dir, "read", "file"), os.O_WRONLY))
	tell("make a file inside", open(filepath.Join(dir, "write", "new"), os.O_CREATE|os.O_WRONLY|os.O_APPEND))
	tell("make a file outside", open(filepath.Join(dir, "new"), os.O_CREATE|os.O_WRONLY))
	own := filepath.Join(dir, "own", "file")
	tell("replace a file of our own", func() error {
		for range 2 {
			if err := os.WriteFile(own+".new", []byte("x"), 0o600); err != nil {
				return err
			}
			if err := os.Rename(own+".new", own); err != nil {
				return err
			}
		}
		return nil
	}())
	_, err = os.ReadFile(own)
	tell("read a file of our own", err)
	_, err = os.ReadDir(filepath.Dir(own))
	tell("list files of our own", err)
	tell("remove a file of our own", os.Remove(own))
	tell("remove a file inside", os.Remove(filepath.Join(dir, "write", "new")))
	tell("make a folder inside", os.Mkdir(filepath.Join(dir, "write", "folder"), 0o700))
	_, err = already.WriteString("x")
	tell("write what was open", err)
	for _, f := range []struct {
		name   string
		family int
	}{{"packet", unix.AF_PACKET}, {"netlink", unix.AF_NETLINK}, {"xdp", unix.AF_XDP}, {"inet", unix.AF_INET}} {
		protocol := 0
		if f.family == unix.AF_NETLINK {
			protocol = unix.NETLINK_NETFILTER
		}
		fd, err := unix.Socket(f.family, unix.SOCK_RAW, protocol)
		if f.family == unix.AF_INET {
			fd, err = unix.Socket(f.family, unix.SOCK_STREAM, 0)
		}
		tell("a socket of "+f.name, err)
		if err == nil {
			unix.Close(fd)
		}
	}
	_, err = net.InterfaceByName("lo")
	tell("an interface by its name", err)
	tell("connect", func() error { _, err := net.Dial("tcp", listener.Addr().String()); return err }())
	tell("listen anew", func() error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err }())
	tell("run a program", exec.Command("/bin/true").Run())
	_, err = os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
	tell("start a process", err)
	tell("trace", unix.PtraceAttach(os.Getppid()))
	tell("mount", unix.Mount("none", dir, "tmpfs", 0, ""))
	_, _, errno := unix.Syscall(unix.SYS_BPF, 5, 0, 0)
	tell("load a program of BPF", errno)
	_, _, errno = unix.Syscall(unix.SYS_BPF, 1, 0, 0)
	tell("read a map of BPF", errno)
	_, _, errno = unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	tell("io_uring", errno)
	tell("become root again", syscall.Setuid(0))
	tell("kill", unix.Kill(1, 0))
	n := 0
	var wait sync.WaitGroup
	for range 8 { // threads that are new are confined too
		wait.Go(func() {
			runtime.LockOSThread()
			if open(filepath.Join(dir, "outside"), os.O_RDONLY) != nil {
				n++
			}
		})
		wait.Wait()
	}
	fmt.Println("new threads refused:", n)
}

func open(path string, flags int) error {
	f, err := os.OpenFile(path, flags, 0o600)
	if err == nil {
		f.Close()
	}
	return err
}

// run runs the child and gives its answers.
func run(t *testing.T, env ...string) map[string]string {
	t.Helper()
	return runAs(t, nil, env...)
}

// runAs runs it with other rights than the test's.
func runAs(t *testing.T, as *syscall.SysProcAttr, env ...string) map[string]string {
	t.Helper()
	dir, err := os.MkdirTemp("", "confine") // for others to enter, unlike t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, d := range []string{"", "read", "write", "own"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"read/file", "outside"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "test") // where another user can run it
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), append(env, asChild+"="+dir)...)
	cmd.SysProcAttr = as
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if before, twice := got[k]; twice && before != v {
			t.Errorf("%s: %s and %s", k, before, v)
		}
		got[k] = v
	}
	return got
}

// needsLandlock skips where the kernel has none; in CI it must not.
func needsLandlock(t *testing.T) {
	t.Helper()
	if LandlockVersion() >= 4 && SeccompAvailable() {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("the kernel has no Landlock with TCP, or no seccomp")
	}
	t.Skip("the kernel has no Landlock with TCP, or no seccomp")
}

func TestWhatIsNotNeededIsRefused(t *testing.T) {
	needsLandlock(t)
	want := map[string]string{
		"read inside":                    "<nil>",
		"read outside":                   "EACCES",
		"read outside by another thread": "EACCES",
		"read a folder outside":          "EACCES",
		"write what is read":             "EACCES",
		"make a file inside":             "<nil>",
		"make a file outside":            "EACCES",
		"replace a file of our own":      "<nil>",
		"read a file of our own":         "<nil>",
		"list files of our own":          "<nil>",
		"remove a file of our own":       "<nil>",
		"remove a file inside":           "EACCES",
		"make a folder inside":           "EACCES",
		"write what was open":            "<nil>",
		"a socket of packet":             "EPERM",
		"a socket of netlink":            "EPERM",
		"an interface by its name":       "<nil>",
		"a socket of xdp":                "EPERM",
		"a socket of inet":               "<nil>",
		"connect":                        "EACCES",
		"listen anew":                    "EACCES",
		"run a program":                  "EACCES", // by Landlock, before it comes to exec
		"start a process":                "EPERM",
		"trace":                          "EPERM",
		"mount":                          "EPERM",
		"load a program of BPF":          "EPERM",
		"read a map of BPF":              "EPERM",
		"io_uring":                       "EPERM",
		"new threads refused":            "8",
	}
	check := func(t *testing.T, got, want map[string]string) {
		t.Helper()
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: %q, want %q", k, got[k], v)
			}
		}
		if len(got) < len(want) {
			t.Errorf("got %v", got)
		}
	}
	t.Run("with the rights there are", func(t *testing.T) {
		got := run(t)
		check(t, got, want)
		if s := got["confined"]; !strings.Contains(s, "capabilities none") || !strings.Contains(s, "seccomp <nil>") || strings.Contains(s, "no ") {
			t.Errorf("confined: %s", s)
		}
	})
	t.Run("as another user", func(t *testing.T) {
		if os.Geteuid() != 0 {
			if os.Getenv("CI") != "" {
				t.Fatal("only root becomes another user")
			}
			t.Skip("only root becomes another user")
		}
		got := run(t, "CONFINE_TEST_USER=nobody")
		check(t, got, want)
		check(t, got, map[string]string{"become root again": "EPERM", "kill": "EPERM"})
		if s := got["confined"]; !strings.HasPrefix(s, "user nobody, capabilities none, ") {
			t.Errorf("confined: %s", s)
		}
	})
	t.Run("as a service manager starts it, with four capabilities", func(t *testing.T) {
		if os.Geteuid() != 0 {
			if os.Getenv("CI") != "" {
				t.Fatal("only root starts it so")
			}
			t.Skip("only root starts it so")
		}
		got := runAs(t, &syscall.SysProcAttr{
			Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
			AmbientCaps: []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_PERFMON, unix.CAP_BPF},
		}, "CONFINE_TEST_USER=nobody")
		check(t, got, want)
		check(t, got, map[string]string{"before": "CAP_NET_ADMIN CAP_NET_RAW CAP_PERFMON CAP_BPF <nil>", "become root again": "EPERM"})
		if s := got["confined"]; !strings.HasPrefix(s, "user nobody, capabilities none, ") {
			t.Errorf("confined: %s", s)
		}
	})
	t.Run("with maps", func(t *testing.T) {
		got := run(t, "CONFINE_TEST_MAPS=1")
		check(t, got, map[string]string{"load a program of BPF": "EPERM"})
		if v := got["read a map of BPF"]; v == "EPERM" || v == "" {
			t.Errorf("read a map of BPF: %s", v)
		}
	})
	t.Run("with maps, where the kernel is old", func(t *testing.T) {
		if names, err := capabilities(); err != nil || !slices.Contains(names, "CAP_BPF") || os.Geteuid() != 0 {
			if os.Getenv("CI") != "" {
				t.Fatal("only root keeps CAP_BPF")
			}
			t.Skip("only root keeps CAP_BPF")
		}
		got := run(t, "CONFINE_TEST_MAPS=1", "CONFINE_TEST_KEEP=1", "CONFINE_TEST_USER=nobody")
		if s := got["confined"]; !strings.HasPrefix(s, "user nobody, capabilities CAP_BPF, ") {
			t.Errorf("confined: %s", s)
		}
		check(t, got, map[string]string{"load a program of BPF": "EPERM", "a socket of packet": "EPERM", "become root again": "EPERM"})
	})
}

func TestAnUnknownUserIsAnError(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root becomes another user")
	}
	if err := become("no-such-user-at-all"); err == nil || !strings.Contains(err.Error(), "unknown user") {
		t.Errorf("got %v", err)
	}
}

// TestTheFilterHasNoJumpOutOfItself follows every jump of the filter.
func TestTheFilterHasNoJumpOutOfItself(t *testing.T) {
	for name, arch := range architectures {
		for _, maps := range []bool{false, true} {
			p := program(arch, maps)
			for i, ins := range p {
				if ins.Code&7 == unix.BPF_JMP && (i+1+int(ins.Jt) >= len(p) || i+1+int(ins.Jf) >= len(p)) {
					t.Errorf("%s: instruction %d jumps beyond the end", name, i)
				}
			}
			if last := p[len(p)-1]; last.Code != unix.BPF_RET|unix.BPF_K || last.K != unix.SECCOMP_RET_ALLOW {
				t.Errorf("%s: the filter does not end", name)
			}
		}
	}
}
