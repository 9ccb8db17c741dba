package bpf

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Probe tries what a live capture needs of this kernel and of the rights of this
// process. It attaches nothing and leaves nothing behind, and takes about a second,
// since it loads the programs.
func Probe() []Feature {
	all := []Feature{probeKernel()}
	all = append(all, probeRights()...)
	all = append(all, probePacketSocket(), probeRing())
	all = append(all, probePrograms()...)
	return append(all, probeTCXLinks(), probeJIT(), probeBTF())
}

func probeKernel() Feature {
	f := Feature{Name: "kernel", Note: "the flow filter needs Linux 5.10 or later"}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return f
	}
	release := unix.ByteSliceToString(u.Release[:])
	f.Name = "kernel " + release
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return f
	}
	if f.OK = major > 5 || major == 5 && minor >= 10; f.OK {
		f.Note = "is at least Linux 5.10, which the flow filter needs"
	}
	return f
}

// Capabilities by what they are for.
var capabilities = [...]struct {
	number uint
	name   string
	note   string
}{
	{unix.CAP_BPF, "CAP_BPF", "to load the flow filter"},
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "to load XDP and TCX programs, to attach them, and for promiscuous mode"},
	{unix.CAP_NET_RAW, "CAP_NET_RAW", "to open packet sockets"},
	{unix.CAP_PERFMON, "CAP_PERFMON", "for programs that compute where in a frame they look"},
}

func probeRights() []Feature {
	var sets [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &sets[0])
	all := make([]Feature, 0, len(capabilities))
	for _, c := range capabilities {
		have := err == nil && sets[c.number/32].Effective>>(c.number%32)&1 != 0
		note := "held: " + c.note
		if !have {
			note = "missing: needed " + c.note
		}
		all = append(all, Feature{c.name, have, note})
	}
	return all
}

func probePacketSocket() Feature {
	f := Feature{Name: "packet sockets"}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		f.Note = fmt.Sprintf("%v: no capture from interfaces without CAP_NET_RAW and CONFIG_PACKET", err)
		return f
	}
	unix.Close(fd)
	f.OK, f.Note = true, "any interface can be captured from"
	return f
}

func probeRing() Feature {
	f := Feature{Name: "ring buffer"}
	if err := features.HaveMapType(ebpf.RingBuf); err != nil {
		f.Note = refusal(err) + ": XDP and TCX cannot hand frames over (Linux 5.8)"
		return f
	}
	f.OK, f.Note = true, "XDP and TCX can hand frames over"
	return f
}

// probePrograms loads each program as a capture would.
func probePrograms() []Feature {
	notes := [hooks][2]string{
		Socket: {"the kernel filters what packet sockets get", "packet sockets get every frame, and the decoder sorts them out"},
		XDP:    {"a mirror port can be filtered in its driver", "a mirror port is captured from by packet sockets, at a half to a third of the speed"},
		TCX:    {"a host's own interfaces can be filtered at ingress and egress", "a host's own interfaces are captured from by packet sockets"},
	}
	f, err := Load(Options{Ring: os.Getpagesize()})
	if err == nil {
		defer f.Close()
	}
	all := make([]Feature, 0, hooks)
	for h := range hooks {
		feature := Feature{Name: "flow filter, " + h.String()}
		refused := err
		if refused == nil {
			f.mu.Lock()
			_, refused = f.program(h)
			f.mu.Unlock()
		}
		if feature.OK = refused == nil; feature.OK {
			feature.Note = notes[h][0]
		} else {
			feature.Note = refusal(refused) + ": " + notes[h][1]
		}
		all = append(all, feature)
	}
	return all
}

// probeTCXLinks asks for a link to an interface that cannot be: a kernel that
// knows TCX says that it is not there.
func probeTCXLinks() Feature {
	f := Feature{Name: "TCX links"}
	p, err := ebpf.NewProgram(emptySpec(ebpf.SchedCLS))
	if err == nil {
		defer p.Close()
		_, err = link.AttachTCX(link.TCXOptions{Program: p, Interface: math.MaxInt32, Attach: ebpf.AttachTCXIngress})
	}
	if f.OK = errors.Is(err, unix.ENODEV); f.OK {
		f.Note = "TCX programs can be attached"
	} else {
		f.Note = refusal(err) + ": TCX programs cannot be attached (Linux 6.6); packet sockets do instead"
	}
	return f
}

func probeJIT() Feature {
	f := Feature{Name: "BPF compiler", OK: true, Note: "programs run as machine code"}
	// Not there where it is always on, and then nobody can say otherwise.
	if b, err := os.ReadFile("/proc/sys/net/core/bpf_jit_enable"); err == nil && strings.TrimSpace(string(b)) == "0" {
		f.OK, f.Note = false, "off: programs are interpreted, at several times the cost: sysctl net.core.bpf_jit_enable=1"
	}
	return f
}

func probeBTF() Feature {
	f := Feature{Name: "kernel types (BTF)", OK: true, Note: "there, and not needed"}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		f.OK, f.Note = false, "not there, and not needed"
	}
	return f
}

// refusal is an error of the kernel in a few words: of the verifier the end of its
// log, not all of it.
func refusal(err error) string {
	if errors.Is(err, unix.EPERM) {
		return "not allowed"
	}
	if errors.Is(err, ebpf.ErrNotSupported) {
		return "this kernel lacks it"
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}

// emptySpec is the shortest program of a type.
func emptySpec(t ebpf.ProgramType) *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{
		Type:         t,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
		License:      "Dual BSD/GPL",
	}
}
