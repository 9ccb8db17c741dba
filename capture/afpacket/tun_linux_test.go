package afpacket_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"kmswatch/capture/capturetest/netns"
)

// openTun takes hold of a tun interface: what is written to it the interface
// receives.
func openTun(t testing.TB, in *netns.Space, name string) *os.File {
	t.Helper()
	fd := -1
	var err error
	in.Do(func() {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		var ifr *unix.Ifreq
		if ifr, err = unix.NewIfreq(name); err == nil {
			ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
		}
	})
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { f.Close() })
	return f
}
