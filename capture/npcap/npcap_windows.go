package npcap

import (
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Interfaces lists what Open can capture on. Its error wraps ErrNotInstalled
// when there is no Npcap.
func Interfaces() ([]Interface, error) {
	l, err := load()
	if err != nil {
		return nil, err
	}
	return l.interfaces()
}

// Open begins to capture on an interface. Its error names the interfaces there
// are, when the one named is not among them; it wraps ErrNotInstalled when there
// is no Npcap.
func Open(o Options) (*Source, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	l, err := load()
	if err != nil {
		return nil, err
	}
	all, err := l.interfaces()
	if err != nil {
		return nil, err
	}
	i, err := choose(all, o.Interface)
	if err != nil {
		return nil, err
	}
	h, link, err := l.open(i.Device, &o)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", i, err)
	}
	if !decoded(link) {
		h.close()
		return nil, fmt.Errorf("interface %s: link type %d is none that is decoded", i, link)
	}
	return newSource(i.String(), o, h, link), nil
}

func (l *library) interfaces() ([]Interface, error) {
	devices, err := l.devices()
	if err != nil {
		return nil, err
	}
	adapters, err := adapters()
	if err != nil {
		return nil, err
	}
	return merge(devices, adapters), nil
}

const (
	maxAdapterBytes = 16 << 20 // many times what any machine has
	ifTypeLoopback  = 24       // IF_TYPE_SOFTWARE_LOOPBACK
)

// adapters lists those that Windows knows.
func adapters() ([]adapter, error) {
	const flags = windows.GAA_FLAG_SKIP_ANYCAST | windows.GAA_FLAG_SKIP_MULTICAST | windows.GAA_FLAG_SKIP_DNS_SERVER
	size := uint32(16 << 10)
	for {
		b := make([]byte, size)
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(&b[0]))
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, flags, 0, first, &size)
		switch {
		case err == nil && size == 0:
			return nil, nil
		case err == nil:
			return adaptersFrom(first), nil
		case errors.Is(err, windows.ERROR_NO_DATA):
			return nil, nil
		case !errors.Is(err, windows.ERROR_BUFFER_OVERFLOW) || size <= uint32(len(b)) || size > maxAdapterBytes:
			return nil, fmt.Errorf("list adapters: %w", err)
		}
	}
}

func adaptersFrom(first *windows.IpAdapterAddresses) []adapter {
	var all []adapter
	for a := first; a != nil; a = a.Next {
		one := adapter{
			guid:        windows.BytePtrToString(a.AdapterName),
			name:        windows.UTF16PtrToString(a.FriendlyName),
			description: windows.UTF16PtrToString(a.Description),
			index:       a.IfIndex,
			up:          a.OperStatus == windows.IfOperStatusUp,
			loopback:    a.IfType == ifTypeLoopback,
		}
		if one.index == 0 {
			one.index = a.Ipv6IfIndex
		}
		for u := a.FirstUnicastAddress; u != nil; u = u.Next {
			if addr, ok := netip.AddrFromSlice(u.Address.IP()); ok {
				one.addrs = append(one.addrs, addr.Unmap())
			}
		}
		all = append(all, one)
	}
	return all
}
