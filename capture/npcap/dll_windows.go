package npcap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"kmswatch/capture"
)

// library is the functions of wpcap.dll that are used, by address. Those that
// are 0 are lacking in old ones. More than these are not asked for on purpose:
// Wine exports functions that it does not have, and they end the process.
type library struct {
	findalldevs, freealldevs             uintptr
	nextEx, datalink, setnonblock, stats uintptr
	geterr, close                        uintptr
	create, setSnaplen, setPromisc       uintptr // 0: openLive
	setTimeout, setBufferSize, activate  uintptr
	setTstampType                        uintptr // may be 0
	openLive, setbuff                    uintptr // may be 0 beside create
}

// load loads wpcap.dll: Npcap's own folder is looked at before the system's,
// where an installation in the manner of WinPcap puts it. The DLL then stays
// loaded.
func load() (*library, error) {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return nil, fmt.Errorf("find the system directory: %w", err)
	}
	return loadFrom(filepath.Join(system, "Npcap"), system)
}

func loadFrom(folders ...string) (*library, error) {
	for _, folder := range folders {
		path := filepath.Join(folder, "wpcap.dll")
		// Packet.dll, which it needs, is taken from its own folder or the
		// system's: never from the working directory.
		dll, err := windows.LoadLibraryEx(path, 0, windows.LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR|windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
		if err == nil {
			return resolve(dll, path)
		}
		if _, there := os.Stat(path); there == nil {
			return nil, fmt.Errorf("load %s: %w", path, err)
		}
	}
	return nil, fmt.Errorf("%w: no wpcap.dll in %s; install Npcap from https://npcap.com", ErrNotInstalled, strings.Join(folders, " or "))
}

// resolve finds the functions of the DLL.
func resolve(dll windows.Handle, path string) (*library, error) {
	var l library
	for _, f := range []struct {
		name string
		at   *uintptr
		need bool
	}{
		{"pcap_findalldevs", &l.findalldevs, true},
		{"pcap_freealldevs", &l.freealldevs, true},
		{"pcap_next_ex", &l.nextEx, true},
		{"pcap_datalink", &l.datalink, true},
		{"pcap_setnonblock", &l.setnonblock, true},
		{"pcap_stats", &l.stats, true},
		{"pcap_geterr", &l.geterr, true},
		{"pcap_close", &l.close, true},
		{"pcap_create", &l.create, false},
		{"pcap_set_snaplen", &l.setSnaplen, false},
		{"pcap_set_promisc", &l.setPromisc, false},
		{"pcap_set_timeout", &l.setTimeout, false},
		{"pcap_set_buffer_size", &l.setBufferSize, false},
		{"pcap_activate", &l.activate, false},
		{"pcap_set_tstamp_type", &l.setTstampType, false},
		{"pcap_open_live", &l.openLive, false},
		{"pcap_setbuff", &l.setbuff, false},
	} {
		at, err := windows.GetProcAddress(dll, f.name)
		if err != nil && f.need {
			return nil, fmt.Errorf("%s has no function %s; install a current Npcap from https://npcap.com", path, f.name)
		}
		*f.at = at
	}
	if !l.steps() && l.openLive == 0 {
		return nil, fmt.Errorf("%s has neither pcap_create nor pcap_open_live; install a current Npcap from https://npcap.com", path)
	}
	return &l, nil
}

// steps tells whether a device can be created, set and activated.
func (l *library) steps() bool {
	return l.create != 0 && l.setSnaplen != 0 && l.setPromisc != 0 && l.setTimeout != 0 && l.setBufferSize != 0 && l.activate != 0
}

// pcapIf is struct pcap_if.
type pcapIf struct {
	next              *pcapIf
	name, description *byte
	addresses         unsafe.Pointer
	flags             uint32
}

const flagLoopback = 1 // PCAP_IF_LOOPBACK

// pcapHeader is struct pcap_pkthdr: its timeval is two longs, which have 32 bits
// on Windows.
type pcapHeader struct {
	sec, usec   uint32
	caplen, len uint32
}

// pcapStat is struct pcap_stat with the members that only Windows has.
type pcapStat struct {
	recv, drop, ifdrop  uint32
	capt, sent, netdrop uint32
}

// errorBuffer is PCAP_ERRBUF_SIZE bytes of text.
type errorBuffer [256]byte

func (e *errorBuffer) text() string { return text(&e[0]) }

// text makes a string of what the DLL tells; it need not be UTF-8 there.
func text(p *byte) string {
	if p == nil {
		return ""
	}
	return strings.ToValidUTF8(strings.TrimSpace(windows.BytePtrToString(p)), "?")
}

// failed tells whether an int of the DLL is an error.
func failed(r uintptr) bool { return int32(r) < 0 }

// devices lists what can be captured on.
func (l *library) devices() ([]device, error) {
	var first *pcapIf
	var e errorBuffer
	if r, _, _ := syscall.SyscallN(l.findalldevs, uintptr(unsafe.Pointer(&first)), uintptr(unsafe.Pointer(&e))); failed(r) {
		return nil, fmt.Errorf("list interfaces: %s", e.text())
	}
	var all []device
	for i := first; i != nil; i = i.next {
		all = append(all, device{name: text(i.name), description: text(i.description), loopback: i.flags&flagLoopback != 0})
	}
	if first != nil {
		syscall.SyscallN(l.freealldevs, uintptr(unsafe.Pointer(first)))
	}
	return all, nil
}

// pcap is an open device: a pcap_t.
type pcap struct {
	l      *library
	p      uintptr
	snap   int
	header *pcapHeader // in memory of the DLL, as is data
	data   *byte
	stat   pcapStat
}

// open opens a device by Npcap's name.
func (l *library) open(name string, o *Options) (handle, capture.LinkType, error) {
	var p uintptr
	var err error
	if l.steps() {
		p, err = l.activated(name, o)
	} else {
		p, err = l.opened(name, o)
	}
	if err != nil {
		return nil, 0, err
	}
	h := &pcap{l: l, p: p, snap: o.Snap}
	var e errorBuffer
	if r, _, _ := syscall.SyscallN(l.setnonblock, p, 1, uintptr(unsafe.Pointer(&e))); failed(r) {
		h.close()
		return nil, 0, fmt.Errorf("read without waiting: %s", e.text())
	}
	link, _, _ := syscall.SyscallN(l.datalink, p)
	if failed(link) {
		err := h.fault()
		h.close()
		return nil, 0, fmt.Errorf("link type: %w", err)
	}
	return h, capture.LinkType(link), nil
}

// tstampHostHighPrecision is PCAP_TSTAMP_HOST_HIPREC. Npcap's own choice follows
// the clock of the system only when a capture begins, and drifts from then on.
const tstampHostHighPrecision = 2

// activated opens a device step by step.
func (l *library) activated(name string, o *Options) (uintptr, error) {
	cname, err := windows.BytePtrFromString(name)
	if err != nil {
		return 0, err
	}
	var e errorBuffer
	p, _, _ := syscall.SyscallN(l.create, uintptr(unsafe.Pointer(cname)), uintptr(unsafe.Pointer(&e)))
	if p == 0 {
		return 0, errors.New(e.text())
	}
	set := func(f uintptr, value int) { syscall.SyscallN(f, p, uintptr(value)) } // fails for an active device alone
	set(l.setSnaplen, o.Snap)
	set(l.setPromisc, flag(o.Promiscuous))
	set(l.setTimeout, milliseconds(o.Wait))
	set(l.setBufferSize, o.Buffer)
	if l.setTstampType != 0 {
		set(l.setTstampType, tstampHostHighPrecision) // where it is not had, the other is good enough
	}
	if r, _, _ := syscall.SyscallN(l.activate, p); failed(r) { // above 0 are warnings
		err := l.fault(p)
		syscall.SyscallN(l.close, p)
		return 0, err
	}
	return p, nil
}

// opened opens a device in the manner of WinPcap.
func (l *library) opened(name string, o *Options) (uintptr, error) {
	cname, err := windows.BytePtrFromString(name)
	if err != nil {
		return 0, err
	}
	var e errorBuffer
	p, _, _ := syscall.SyscallN(l.openLive, uintptr(unsafe.Pointer(cname)), uintptr(o.Snap), uintptr(flag(o.Promiscuous)),
		uintptr(milliseconds(o.Wait)), uintptr(unsafe.Pointer(&e)))
	if p == 0 {
		return 0, errors.New(e.text())
	}
	if l.setbuff != 0 {
		if r, _, _ := syscall.SyscallN(l.setbuff, p, uintptr(o.Buffer)); failed(r) {
			err := l.fault(p)
			syscall.SyscallN(l.close, p)
			return 0, fmt.Errorf("buffer of %d bytes: %w", o.Buffer, err)
		}
	}
	return p, nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func milliseconds(d time.Duration) int { return max(1, int(d/time.Millisecond)) }

// fault is the last error of a device.
func (l *library) fault(p uintptr) error {
	r, _, _ := syscall.SyscallN(l.geterr, p)
	if s := text(*(**byte)(unsafe.Pointer(&r))); s != "" {
		return errors.New(s)
	}
	return errors.New("an error without a text")
}

func (h *pcap) fault() error { return h.l.fault(h.p) }

// next gives the next frame. The DLL reads many from the driver at once and
// gives them one by one.
func (h *pcap) next(r *record) (bool, error) {
	got, _, _ := syscall.SyscallN(h.l.nextEx, h.p, uintptr(unsafe.Pointer(&h.header)), uintptr(unsafe.Pointer(&h.data)))
	switch {
	case failed(got):
		return false, h.fault()
	case got == 0 || h.header == nil || h.data == nil:
		return false, nil
	}
	c := h.header
	size := min(int(c.caplen), h.snap)
	*r = record{sec: c.sec, usec: c.usec, length: c.len, data: unsafe.Slice(h.data, size)}
	return true, nil
}

func (h *pcap) drops() (uint32, error) {
	if r, _, _ := syscall.SyscallN(h.l.stats, h.p, uintptr(unsafe.Pointer(&h.stat))); failed(r) {
		return 0, h.fault()
	}
	return h.stat.drop + h.stat.ifdrop, nil
}

func (h *pcap) close() {
	h.header, h.data = nil, nil
	syscall.SyscallN(h.l.close, h.p)
}
