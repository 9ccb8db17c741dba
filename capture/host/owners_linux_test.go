package host

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmswatch/capture/capturetest/netns"
)

func openOwners(t testing.TB) *Owners {
	t.Helper()
	o, err := OpenOwners()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// me is the process of the test.
func me(t testing.TB) Process {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return Process{ID: os.Getpid(), Name: strings.TrimSpace(string(name))}
}

func find(t testing.TB, o *Owners, proto uint8, local, remote netip.AddrPort, want Process) {
	t.Helper()
	// As if all sockets were older than the last look.
	o.scanned = time.Time{}
	if p, ok := o.Find(proto, local, remote); !ok || p != want {
		t.Errorf("%v to %v: got %+v, %v, want %+v", local, remote, p, ok, want)
	}
}

func unknown(t testing.TB, o *Owners, proto uint8, local, remote netip.AddrPort) {
	t.Helper()
	o.scanned = time.Time{}
	if p, ok := o.Find(proto, local, remote); ok {
		t.Errorf("%v to %v: got %+v, want none", local, remote, p)
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort()
	case *net.UDPAddr:
		return a.AddrPort()
	}
	return netip.AddrPort{}
}

// unmapped is an endpoint as packets have it.
func unmapped(a net.Addr) netip.AddrPort {
	ap := addrPort(a)
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func TestOwnersOfTCP(t *testing.T) {
	o, me := openOwners(t), me(t)
	for _, c := range []struct{ listen, at string }{
		{"127.0.0.1:0", "127.0.0.1"},
		{"0.0.0.0:0", "127.0.0.1"},
		{"[::1]:0", "::1"},
		{"[::]:0", "127.0.0.1"}, // IPv4 to a socket of IPv6
		{"[::]:0", "::1"},
	} {
		l, err := net.Listen("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		at := netip.AddrPortFrom(netip.MustParseAddr(c.at), addrPort(l.Addr()).Port())
		stranger := netip.AddrPortFrom(at.Addr(), 9)
		find(t, o, unix.IPPROTO_TCP, at, stranger, me) // the listener

		client, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		from := unmapped(client.LocalAddr())
		find(t, o, unix.IPPROTO_TCP, from, at, me)
		find(t, o, unix.IPPROTO_TCP, at, from, me) // not accepted yet: the listener
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		if l.Close() != nil {
			t.Fatal(err)
		}
		find(t, o, unix.IPPROTO_TCP, at, from, me) // the connection

		unknown(t, o, unix.IPPROTO_TCP, at, stranger)
		unknown(t, o, unix.IPPROTO_TCP, from, stranger)
		unknown(t, o, unix.IPPROTO_UDP, at, from)
		server.Close()
		client.Close()
		unknown(t, o, unix.IPPROTO_TCP, at, from)
		unknown(t, o, unix.IPPROTO_TCP, from, at)
	}
}

func TestOwnersOfUDP(t *testing.T) {
	o, me := openOwners(t), me(t)
	for _, c := range []struct{ listen, at string }{
		{"127.0.0.1:0", "127.0.0.1"},
		{"0.0.0.0:0", "127.0.0.1"},
		{"[::1]:0", "::1"},
		{"[::]:0", "127.0.0.1"},
		{"[::]:0", "::1"},
	} {
		server, err := net.ListenPacket("udp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		at := netip.AddrPortFrom(netip.MustParseAddr(c.at), addrPort(server.LocalAddr()).Port())
		client, err := net.Dial("udp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		from := unmapped(client.LocalAddr())
		find(t, o, unix.IPPROTO_UDP, at, from, me)
		find(t, o, unix.IPPROTO_UDP, from, at, me)
		unknown(t, o, unix.IPPROTO_UDP, from, netip.AddrPortFrom(at.Addr(), 9)) // it is connected elsewhere
		unknown(t, o, unix.IPPROTO_TCP, at, from)
		server.Close()
		unknown(t, o, unix.IPPROTO_UDP, at, from)
	}
}

// A listener that another process has, in its place after a while.
func TestOwnersOfOthersAndOfThoseThatAreGone(t *testing.T) {
	in := netns.New(t)
	var o *Owners
	var err error
	in.Do(func() { o, err = OpenOwners() })
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	listener := func() (c *exec.Cmd, at netip.AddrPort) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		c = role("listen")
		c.ExtraFiles = []*os.File{w}
		in.Do(func() { err = c.Start() })
		w.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Process.Kill(); c.Wait() })
		var text string
		if _, err := fmt.Fscan(r, &text); err != nil {
			t.Fatal(err)
		}
		return c, netip.MustParseAddrPort(text)
	}
	from := netip.MustParseAddrPort("127.0.0.1:9")
	first, at := listener()
	want := Process{ID: first.Process.Pid, Name: me(t).Name}
	find(t, o, unix.IPPROTO_TCP, at, from, want)
	if p, ok := openOwners(t).Find(unix.IPPROTO_TCP, at, from); ok {
		t.Errorf("outside the namespace %v is of %+v", at, p)
	}
	first.Process.Kill()
	first.Wait()
	unknown(t, o, unix.IPPROTO_TCP, at, from)
	second, at := listener()
	want.ID = second.Process.Pid
	find(t, o, unix.IPPROTO_TCP, at, from, want)

	// Between two looks nothing is made up: not of sockets that are new, nor of those
	// whose process is another by now.
	third, newer := listener()
	now := time.Unix(0, 0)
	o.now = func() time.Time { return now }
	o.scanned, o.took = now, time.Second
	if p, ok := o.Find(unix.IPPROTO_TCP, newer, from); ok {
		t.Errorf("before the next look is due the owner is %+v", p)
	}
	inode := o.inode(unix.IPPROTO_TCP, newer, from)
	for _, h := range o.holders {
		if h.pid == second.Process.Pid {
			o.holders[inode] = h // as if the socket were that process's once
		}
	}
	if p, ok := o.Find(unix.IPPROTO_TCP, newer, from); ok {
		t.Errorf("a process that does not hold the socket is its owner: %+v", p)
	}
	now = now.Add(rest*time.Second + 1)
	if p, ok := o.Find(unix.IPPROTO_TCP, newer, from); !ok || p.ID != third.Process.Pid {
		t.Errorf("once it is due: %+v, %v", p, ok)
	}
	o.Close()
	if _, ok := o.Find(unix.IPPROTO_TCP, newer, from); ok {
		t.Error("found after Close")
	}
}

// TestMain is also the other processes of tests.
func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "listen":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			os.Exit(1)
		}
		fmt.Fprintln(os.NewFile(3, "answer"), l.Addr())
		select {}
	case "answer":
		o, err := OpenOwners()
		if err == nil {
			err = ServeRemote(o)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// roleEnv says what a process of the test is for.
const roleEnv = "KMSWATCH_TEST_ROLE"

// role makes a command of this test in a role.
func role(name string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), roleEnv+"="+name)
	c.Stderr = os.Stderr
	return c
}

func TestAnotherProcessMayLook(t *testing.T) {
	l, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := StartRemote(role("answer"))
	if err != nil {
		t.Fatal(err)
	}
	port := addrPort(l.Addr()).Port()
	for _, local := range []string{"127.0.0.1", "::1"} {
		at := netip.AddrPortFrom(netip.MustParseAddr(local), port)
		from := netip.AddrPortFrom(at.Addr(), 9)
		if p, ok := r.Find(unix.IPPROTO_TCP, at, from); !ok || p != me(t) {
			t.Errorf("%v: got %+v, %v, want %+v", at, p, ok, me(t))
		}
		for _, wrong := range []struct {
			proto       uint8
			local, from netip.AddrPort
		}{{unix.IPPROTO_UDP, at, from}, {1, at, from}, {unix.IPPROTO_TCP, from, at}, {unix.IPPROTO_TCP, netip.AddrPort{}, at}} {
			if p, ok := r.Find(wrong.proto, wrong.local, wrong.from); ok {
				t.Errorf("%v: got %+v", wrong, p)
			}
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if code := r.process.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the other process ended with %d", code)
	}
	if _, ok := r.Find(unix.IPPROTO_TCP, addrPort(l.Addr()), addrPort(l.Addr())); ok {
		t.Error("found after Close")
	}
}

// Where the other process is gone nothing waits and nothing is made up.
func TestAnotherProcessMayEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := StartRemote(role("answer"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	at := addrPort(l.Addr())
	for {
		// It may have got to know before it was killed.
		if _, ok := r.Find(unix.IPPROTO_TCP, at, netip.AddrPortFrom(at.Addr(), 9)); !ok {
			break
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestOwnerIsTheFirstProcessButInitLast(t *testing.T) {
	proc := t.TempDir()
	for _, p := range []struct{ path, link string }{
		{"1/fd/3", "socket:[10]"}, {"1/fd/4", "socket:[20]"},
		{"30/fd/5", "socket:[20]"}, {"7/fd/9", "socket:[20]"}, {"7/fd/0", "/dev/null"},
		{"7/fd/1", "socket:[0]"}, {"7/fd/2", "socket:[x]"}, {"7/fd/4", "socket:[5000000000]"},
	} {
		path := proc + "/" + p.path
		if err := os.MkdirAll(path[:strings.LastIndex(path, "/")], 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(p.link, path); err != nil {
			t.Fatal(err)
		}
	}
	for pid, name := range map[string]string{"1": "init\n", "7": "kms server\n", "30": "child\n"} {
		if err := os.WriteFile(proc+"/"+pid+"/comm", []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := &Owners{proc: proc, now: time.Now, diag: -1}
	o.scan()
	if p, ok := o.holder(20); !ok || p != (Process{7, "kms server"}) {
		t.Errorf("got %+v, %v", p, ok)
	}
	if p, ok := o.holder(10); !ok || p != (Process{1, "init"}) {
		t.Errorf("got %+v, %v", p, ok)
	}
	if len(o.holders) != 2 {
		t.Errorf("found %v", o.holders)
	}
}

func BenchmarkFind(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	o, at := openOwners(b), addrPort(l.Addr())
	for _, again := range []bool{false, true} {
		name := "known"
		if again {
			name = "after a scan"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if again {
					clear(o.holders)
					o.scanned = time.Time{}
				}
				if _, ok := o.Find(unix.IPPROTO_TCP, at, netip.AddrPortFrom(at.Addr(), 9)); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}
