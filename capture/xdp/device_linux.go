package xdp

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"

	"kmswatch/bpf"
)

// device is an interface with the filter on it.
type device struct {
	index   int
	link    io.Closer
	promisc int // a packet socket that keeps the interface promiscuous
}

// attach puts the filter on an interface.
func (s *Source) attach(ifindex int) (*device, error) {
	d := &device{index: ifindex, promisc: -1}
	var mode bpf.Mode
	var err error
	if d.link, mode, err = s.filter.AttachXDP(ifindex, s.cfg.Mode); err != nil {
		return nil, err
	}
	if err := d.promiscuous(); err != nil {
		d.close()
		return nil, fmt.Errorf("promiscuous mode: %w", err)
	}
	s.mode.Store(uint32(mode))
	return d, nil
}

// promiscuous makes the interface take frames of all addresses, until the socket
// is closed, be it by the end of the process.
func (d *device) promiscuous() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // protocol 0: receives nothing
	if err != nil {
		return err
	}
	d.promisc = fd
	return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
		&unix.PacketMreq{Ifindex: int32(d.index), Type: unix.PACKET_MR_PROMISC})
}

// up tells whether the interface is up; it fails where it is gone.
func (d *device) up() (bool, error) {
	r, err := unix.NewIfreq("")
	if err != nil {
		return false, err
	}
	r.SetUint32(uint32(d.index))
	if err := unix.IoctlIfreq(d.promisc, unix.SIOCGIFNAME, r); err != nil {
		return false, err
	}
	if r, err = unix.NewIfreq(r.Name()); err != nil { // it may have been renamed
		return false, err
	}
	if err := unix.IoctlIfreq(d.promisc, unix.SIOCGIFFLAGS, r); err != nil {
		return false, err
	}
	return r.Uint16()&unix.IFF_UP != 0, nil
}

func (d *device) close() error {
	err := d.link.Close()
	if d.promisc >= 0 {
		err = errors.Join(err, unix.Close(d.promisc))
		d.promisc = -1
	}
	return err
}

// Offloads that ETHTOOL_GFLAGS tells of, linux/ethtool.h.
const (
	ethtoolGetFlags = 0x25
	flagRxVLAN      = 1 << 8
	flagLRO         = 1 << 15
)

// offloads gives the flags of an interface's offloads.
func offloads(name string) (uint32, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	value := struct{ command, data uint32 }{command: ethtoolGetFlags}
	request := struct {
		name  [unix.IFNAMSIZ]byte
		value unsafe.Pointer
		_     [16]byte // the kernel's union is longer than a pointer
	}{value: unsafe.Pointer(&value)}
	if copy(request.name[:unix.IFNAMSIZ-1], name) != len(name) {
		return 0, unix.EINVAL
	}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); e != 0 {
		return 0, e
	}
	return value.data, nil
}
