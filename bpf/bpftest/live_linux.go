package bpftest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// NeedRoot skips a test that only root can run; with CI set it fails instead.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("needs root, which CI must give")
	}
	t.Skip("needs root, for BPF programs and network namespaces")
}

// Veth moves the test's goroutine, and so what it opens, into a network namespace
// of its own, in which two devices are the ends of one wire. The namespace ends
// with the test, and with it all that is in it. Other goroutines are not in it, but
// for those of Beside.
func Veth(t testing.TB) (a, b *net.Interface) {
	t.Helper()
	NeedRoot(t)
	// Never unlocked: the thread ends with the goroutine and takes the namespace along.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("new network namespace: %v", err)
	}
	// Neighbour discovery would send frames that nobody counts on.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	IP(t, "link add kmswatch-a type veth peer name kmswatch-b")
	IP(t, "link set lo up")
	IP(t, "link set kmswatch-a up")
	IP(t, "link set kmswatch-b up")
	return Interface(t, "kmswatch-a"), Interface(t, "kmswatch-b")
}

// Interface finds an interface in the namespace of the test's goroutine.
func Interface(t testing.TB, name string) *net.Interface {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatalf("interface %s: %v", name, err)
	}
	return i
}

// IP runs ip in the namespace of the test's goroutine.
func IP(t testing.TB, arguments string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", arguments, err, out)
	}
}

// Beside runs f in a goroutine of its own, in the namespace of the test's, and
// closes what it gives when f is done.
func Beside(t testing.TB, f func()) (done <-chan struct{}) {
	t.Helper()
	namespace, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer namespace.Close()
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Errorf("enter network namespace: %v", err)
			return
		}
		f()
	}()
	return ended
}

// Promiscuous tells whether an interface in the namespace of the test's goroutine
// takes frames of all addresses.
func Promiscuous(t testing.TB, name string) bool {
	t.Helper()
	out, err := exec.Command("ip", "-d", "link", "show", "dev", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return !strings.Contains(string(out), "promiscuity 0")
}

// Pass puts a native XDP program on an interface that lets all pass, until the test
// ends: what a generator at the other end of the wire sends then reaches the stack.
func Pass(t testing.TB, ifindex int) {
	t.Helper()
	const pass = 2
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.XDP,
		License:      "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, pass), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	attached, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: ifindex, Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := attached.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Generator sends frames out of a device from inside the kernel, as fast as it
// can, by XDP's live frames (Linux 5.18). At the other end of a wire of two veth
// devices an XDP program must run in native mode, which may be Pass's, or all are
// dropped. It works in the network namespace of the goroutine that made it.
type Generator struct {
	program *ebpf.Program
	frame   []byte
}

// NewGenerator makes a generator for a device. The frame is Ethernet with IPv4
// without options and TCP or UDP: of every so many frames, a power of two, one
// keeps its ports, and the others go to port 443 from a port that changes from one
// to the next.
func NewGenerator(ifindex int, frame []byte, every int) (*Generator, error) {
	if len(frame) < 54 || every < 1 || every&(every-1) != 0 {
		return nil, fmt.Errorf("generator: %d bytes, 1 of %d", len(frame), every)
	}
	state, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	defer state.Close()
	ports := [2]int64{int64(frame[34]) | int64(frame[35])<<8, int64(frame[36]) | int64(frame[37])<<8}
	const web = 0xbb01 // 443 in network byte order
	const abort, redirect = 0, 23
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:    ebpf.XDP,
		License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			// r7 and r8: the packet and its end.
			asm.LoadMem(asm.R7, asm.R1, 0, asm.Word),
			asm.LoadMem(asm.R8, asm.R1, 4, asm.Word),
			asm.Mov.Reg(asm.R2, asm.R7),
			asm.Add.Imm(asm.R2, 54),
			asm.JGT.Reg(asm.R2, asm.R8, "abort"),
			// r0: how many were sent.
			asm.StoreImm(asm.RFP, -4, 0, asm.Word),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.LoadMapPtr(asm.R1, state.FD()),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "abort"),
			asm.LoadMem(asm.R3, asm.R0, 0, asm.DWord),
			asm.Add.Imm(asm.R3, 1),
			asm.StoreMem(asm.R0, 0, asm.R3, asm.DWord),
			asm.Mov.Reg(asm.R4, asm.R3),
			asm.And.Imm(asm.R4, int32(every-1)),
			asm.JEq.Imm(asm.R4, 0, "kept"),
			asm.Or.Imm(asm.R3, 0x80), // above 32767, where no port of interest is
			asm.StoreMem(asm.R7, 34, asm.R3, asm.Half),
			asm.StoreImm(asm.R7, 36, web, asm.Half),
			asm.Ja.Label("send"),
			asm.StoreImm(asm.R7, 34, ports[0], asm.Half).WithSymbol("kept"),
			asm.StoreImm(asm.R7, 36, ports[1], asm.Half),
			asm.Mov.Imm(asm.R1, int32(ifindex)).WithSymbol("send"),
			asm.Mov.Imm(asm.R2, 0),
			asm.BuiltinFunc(redirect).Call(),
			asm.Return(),
			asm.Mov.Imm(asm.R0, abort).WithSymbol("abort"),
			asm.Return(),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	return &Generator{program, frame}, nil
}

// Send sends n frames and returns when all are on their way. Calls of a million
// and more are fast: each takes some milliseconds to begin.
func (g *Generator) Send(n int) error {
	// A signal, such as those by which Go's runtime has its threads give way, would
	// end the run in its middle, and Run would begin it again.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, &before); err != nil {
		return fmt.Errorf("generator: block signals: %w", err)
	}
	const liveFrames = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES
	_, err := g.program.Run(&ebpf.RunOptions{Data: g.frame, Repeat: uint32(n), Flags: liveFrames})
	if e := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); e != nil && err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	return nil
}

// Close lets go of the program.
func (g *Generator) Close() error { return g.program.Close() }
