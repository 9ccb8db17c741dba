package bpf_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"kmswatch/bpf"
	"kmswatch/bpf/bpftest"
)

// Devices without a link header, as those of tunnels and of WireGuard.
func TestSocketOfADeviceWithoutLinkHeader(t *testing.T) {
	bpftest.Veth(t)
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("no tunnel devices here: %v", err)
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("kmswatch-t")
	if err != nil {
		t.Fatal(err)
	}
	r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		t.Fatal(err)
	}
	bpftest.IP(t, "link set kmswatch-t up")
	f := load(t, bpf.Options{RawIP: true})
	socket := packetSocket(t, bpftest.Interface(t, "kmswatch-t").Index)
	if err := f.AttachSocket(socket); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 65536)
	seen := 0
	for _, c := range bpftest.Frames() {
		// What is IP in Ethernet without tags.
		if c.Data[12] == 0x08 && c.Data[13] == 0 && c.Data[14]>>4 == 4 || c.Data[12] == 0x86 && c.Data[13] == 0xdd {
			seen++
			if _, err := unix.Write(fd, c.Data[14:]); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			n, _, err := unix.Recvfrom(socket, buffer, 0)
			if passed := err == nil; passed != c.Verdict.Passes() || passed && n != len(c.Data)-14 {
				t.Errorf("%s: passed: %v, %d bytes (%v), want %v", c.Name, passed, n, err, c.Verdict)
			}
		}
	}
	if seen < 50 {
		t.Errorf("%d frames", seen)
	}
}
