package bpf

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// AttachSocket attaches the filter to a socket of AF_PACKET, type SOCK_RAW. It
// stays until the socket is closed.
func (f *Filter) AttachSocket(fd int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.program(Socket)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, p.FD()); err != nil {
		return fmt.Errorf("flow filter: attach to socket: %w", explain(err))
	}
	return nil
}

// AttachXDP attaches the filter to a device and tells who runs it. Closing what
// it gives detaches it.
func (f *Filter) AttachXDP(ifindex int, mode Mode) (io.Closer, Mode, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.program(XDP)
	if err != nil {
		return nil, mode, err
	}
	var errs []error
	for _, m := range [...]struct {
		mode Mode
		flag link.XDPAttachFlags
	}{{Native, link.XDPDriverMode}, {Generic, link.XDPGenericMode}} {
		if mode != Best && mode != m.mode {
			continue
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: ifindex, Flags: m.flag})
		if err == nil {
			return l, m.mode, nil
		}
		errs = append(errs, fmt.Errorf("flow filter: attach XDP to interface %d, %s: %w", ifindex, m.mode, explain(err)))
		if errors.Is(err, unix.EBUSY) {
			return nil, mode, fmt.Errorf("flow filter: another XDP program is attached there, perhaps of another sensor: ip link show tells (%w)", err)
		}
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENODEV) {
			break // the other mode would not do better
		}
	}
	if len(errs) == 2 {
		return nil, mode, fmt.Errorf("%w; %w", errs[0], errs[1])
	}
	return nil, mode, errs[0]
}

// AttachTCX attaches the filter to one direction of a device, behind what is
// there. Closing what it gives detaches it.
func (f *Filter) AttachTCX(ifindex int, d Direction) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.program(TCX)
	if err != nil {
		return nil, err
	}
	at := ebpf.AttachTCXIngress
	if d == Egress {
		at = ebpf.AttachTCXEgress
	}
	l, err := link.AttachTCX(link.TCXOptions{Program: p, Interface: ifindex, Attach: at})
	if err != nil {
		return nil, fmt.Errorf("flow filter: attach TCX to interface %d: %w", ifindex, explain(err))
	}
	return l, nil
}
