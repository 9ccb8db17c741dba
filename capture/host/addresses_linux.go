package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"kmswatch/capture"
)

// Addresses knows the addresses of the host's interfaces, the loopback's
// included, and follows their changes. Its methods are for any goroutine.
type Addresses struct {
	set  atomic.Pointer[map[[16]byte]struct{}]
	file *os.File // netlink socket
	done chan struct{}
}

// WatchAddresses gets the addresses and begins to follow them, until Close.
func WatchAddresses() (*Addresses, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("ask for addresses: %w", err)
	}
	a := &Addresses{file: os.NewFile(uintptr(fd), "netlink"), done: make(chan struct{})}
	l := lister{file: a.file}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR})
	if err == nil {
		err = a.list(&l)
	}
	if err != nil {
		a.file.Close()
		return nil, fmt.Errorf("ask for addresses: %w", err)
	}
	go a.follow(&l)
	return a, nil
}

// Close ends the following.
func (a *Addresses) Close() error {
	err := a.file.Close()
	<-a.done
	return err
}

// Own tells whether a frame is IP from or to an address of the host. The outermost
// IP header decides.
func (a *Addresses) Own(f *capture.Frame) bool {
	b := f.Data
	if f.Link == capture.LinkEthernet {
		at := 12
		for at+4 <= len(b) && (b[at] == 0x81 && b[at+1] == 0x00 || b[at] == 0x88 && b[at+1] == 0xa8) {
			at += 4
		}
		if at+2 > len(b) {
			return false
		}
		if t := binary.BigEndian.Uint16(b[at:]); t != unix.ETH_P_IP && t != unix.ETH_P_IPV6 {
			return false
		}
		b = b[at+2:]
	}
	if len(b) == 0 {
		return false
	}
	set := *a.set.Load()
	var src, dst [16]byte
	switch {
	case b[0]>>4 == 4 && len(b) >= 20:
		src, dst = mapped, mapped
		copy(src[12:], b[12:16])
		copy(dst[12:], b[16:20])
	case b[0]>>4 == 6 && len(b) >= 40:
		copy(src[:], b[8:24])
		copy(dst[:], b[24:40])
	default:
		return false
	}
	if _, ok := set[dst]; ok {
		return true
	}
	_, ok := set[src]
	return ok
}

// Has tells whether an address is the host's.
func (a *Addresses) Has(addr netip.Addr) bool {
	_, ok := (*a.set.Load())[addr.As16()]
	return ok
}

// mapped is the beginning of an IPv4 address in the set, as in IPv6 (RFC 4291,
// 2.5.5.2).
var mapped = [16]byte{10: 0xff, 11: 0xff}

// follow lists the addresses anew whenever the kernel tells of a change. What it
// tells is not read, as it may be too much for the socket and then is not all.
func (a *Addresses) follow(l *lister) {
	defer close(a.done)
	for {
		if !l.changed {
			_, err := l.read()
			if err != nil && !errors.Is(err, unix.ENOBUFS) {
				return // closed
			}
		}
		// A list that fails leaves the addresses as they were, until the next change.
		if err := a.list(l); errors.Is(err, os.ErrClosed) {
			return
		}
	}
}

// lister asks for lists of addresses.
type lister struct {
	file    *os.File
	seq     uint32
	changed bool // something else was told while a list came
	buf     [32 << 10]byte
}

// read gives the messages of one datagram.
func (l *lister) read() ([]syscall.NetlinkMessage, error) {
	n, err := l.file.Read(l.buf[:])
	if err != nil {
		return nil, err
	}
	return syscall.ParseNetlinkMessage(l.buf[:n])
}

// list gets all addresses.
func (a *Addresses) list(l *lister) error {
	l.seq++
	l.changed = false
	var req [unix.SizeofNlMsghdr + unix.SizeofIfAddrmsg]byte
	native := binary.NativeEndian
	native.PutUint32(req[0:], uint32(len(req)))
	native.PutUint16(req[4:], unix.RTM_GETADDR)
	native.PutUint16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	native.PutUint32(req[8:], l.seq)
	if _, err := l.file.Write(req[:]); err != nil {
		return err
	}
	set := map[[16]byte]struct{}{}
	for {
		messages, err := l.read()
		if err != nil {
			return err
		}
		for i := range messages {
			m := &messages[i]
			switch {
			case m.Header.Seq != l.seq:
				l.changed = true
			case m.Header.Type == unix.NLMSG_DONE:
				a.set.Store(&set)
				return nil
			case m.Header.Type == unix.NLMSG_ERROR:
				return errors.New("the kernel refuses to list them")
			case m.Header.Type == unix.RTM_NEWADDR:
				add(set, m)
			}
		}
	}
}

// add takes the address of a message: the local one, where the interface has a
// peer, as IFA_ADDRESS is the peer's then.
func add(set map[[16]byte]struct{}, m *syscall.NetlinkMessage) {
	attrs, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return
	}
	var found []byte
	for _, a := range attrs {
		if a.Attr.Type == unix.IFA_LOCAL || a.Attr.Type == unix.IFA_ADDRESS && found == nil {
			found = a.Value
		}
	}
	switch len(found) {
	case 4:
		key := mapped
		copy(key[12:], found)
		set[key] = struct{}{}
	case 16:
		set[[16]byte(found)] = struct{}{}
	}
}
