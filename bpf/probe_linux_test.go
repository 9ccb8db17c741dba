package bpf_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kmswatch/bpf"
	"kmswatch/bpf/bpftest"
)

func TestProbeFindsWhatRootHas(t *testing.T) {
	bpftest.NeedRoot(t)
	for _, f := range bpf.Probe() {
		t.Logf("%-30s %-5v %s", f.Name, f.OK, f.Note)
		if f.Name == "" || f.Note == "" || strings.Contains(f.Note, "\n") {
			t.Errorf("%q: %q: want a name and one line", f.Name, f.Note)
		}
		if !f.OK && !strings.HasPrefix(f.Name, "kernel types") && f.Name != "BPF compiler" && !strings.HasPrefix(f.Name, "TCX") {
			t.Errorf("%s: %s", f.Name, f.Note)
		}
	}
}

// asNobody runs a test of this binary as a user without rights but for those
// given, in the network namespace of the caller, with KMSWATCH_NOBODY set.
func asNobody(t *testing.T, test string, rights ...uintptr) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	// The binary may lie where nobody may look.
	dir, err := os.MkdirTemp(os.TempDir(), "kmswatch-nobody")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	exe := dir + "/bpf.test"
	if err := os.WriteFile(exe, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run", "^"+test+"$")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "KMSWATCH_NOBODY=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: rights}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func isNobody() bool { return os.Getenv("KMSWATCH_NOBODY") != "" }

func TestProbeNamesWhatIsMissing(t *testing.T) {
	if !isNobody() {
		bpftest.NeedRoot(t)
		asNobody(t, t.Name())
		return
	}
	for _, f := range bpf.Probe() {
		switch {
		case strings.HasPrefix(f.Name, "CAP_") && (f.OK || !strings.HasPrefix(f.Note, "missing: ")),
			strings.HasPrefix(f.Name, "flow filter") && (f.OK || !strings.HasPrefix(f.Note, "not allowed: ")),
			f.Name == "packet sockets" && f.OK:
			t.Errorf("%s: %v, %s", f.Name, f.OK, f.Note)
		}
	}
	f, err := bpf.Load(bpf.Options{})
	if err == nil {
		f.Close()
		t.Fatal("loaded without rights")
	}
	if !strings.Contains(err.Error(), "CAP_BPF") || strings.Contains(err.Error(), "\n") {
		t.Errorf("load: %v: want a line that names CAP_BPF", err)
	}
}

func TestFourCapabilitiesSuffice(t *testing.T) {
	const name = "kmswatch-b"
	if !isNobody() {
		bpftest.Veth(t)
		asNobody(t, t.Name(), unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_PERFMON)
		return
	}
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := bpf.Load(bpf.Options{Ring: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.AttachSocket(packetSocket(t, i.Index)); err != nil {
		t.Error(err)
	}
	for _, mode := range []bpf.Mode{bpf.Native, bpf.Generic} {
		attached, got, err := f.AttachXDP(i.Index, mode)
		if err != nil || got != mode {
			t.Errorf("XDP: %v: %v", got, err)
			continue
		}
		if err := attached.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, d := range []bpf.Direction{bpf.Ingress, bpf.Egress} {
		attached, err := f.AttachTCX(i.Index, d)
		if err != nil {
			t.Error(err)
			continue
		}
		if err := attached.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, feature := range bpf.Probe() {
		if strings.HasPrefix(feature.Name, "flow filter") && !feature.OK {
			t.Errorf("%s: %s", feature.Name, feature.Note)
		}
	}
}

func TestAttachSaysWhatIsWrong(t *testing.T) {
	_, b := bpftest.Veth(t)
	f := load(t, bpf.Options{})
	if _, _, err := f.AttachXDP(1<<20, bpf.Best); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("XDP on no interface: %v", err)
	}
	if _, err := f.AttachTCX(1<<20, bpf.Ingress); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("TCX on no interface: %v", err)
	}
	if err := f.AttachSocket(-1); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a socket that is none: %v", err)
	}
	first, _, err := f.AttachXDP(b.Index, bpf.Best)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, _, err := f.AttachXDP(b.Index, bpf.Best); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("XDP twice: %v", err)
	}
}
