package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a process that holds a socket.
type Process struct {
	ID   int    // in the process namespace of the sensor
	Name string // as the kernel keeps it, of at most 15 bytes
}

// Owners finds the processes behind sockets. Its methods are for any goroutine.
//
// The kernel tells the inode of a socket; whose it is must be looked for in the
// open files of all processes, which for those of other users takes
// CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH. Without them the owner is not known.
type Owners struct {
	mu   sync.Mutex
	diag int    // netlink socket
	seq  uint32 // of the last request
	proc string // where /proc is
	now  func() time.Time

	holders map[uint32]holder // by inode, as the last scan found them
	scanned time.Time         // the end of that
	took    time.Duration
}

// holder is an open file of a process.
type holder struct{ pid, file int }

// Bounds of a scan, and its share of the time: the next begins at the earliest
// when as much has passed as rest says, and never before leastRest.
const (
	maxFiles   = 1 << 20 // looked at
	maxHolders = 1 << 18 // remembered
	rest       = 50      // times what the last took, so 2 % of a core at most
	leastRest  = 100 * time.Millisecond
)

// OpenOwners gets ready to ask.
func OpenOwners() (*Owners, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("ask for sockets: %w", err)
	}
	o := &Owners{diag: fd, proc: "/proc", now: time.Now}
	// An answer is there when the question is sent; this is against waiting for one
	// that was lost.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("ask for sockets: %w", err)
	}
	return o, nil
}

// Close ends the asking: no owner is known any more.
func (o *Owners) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.diag < 0 {
		return nil
	}
	err := unix.Close(o.diag)
	o.diag = -1
	return err
}

// Find gives the process that holds the socket of a local endpoint, in its
// conversation with a remote one: that of the connection, or where there is none
// that of the listener. It reports false where it does not know: the process is
// gone, is not ours to look into, or got the socket since the last look at all
// processes and another look is not due. Where several processes hold it, it is
// the one of the lowest id, but init only where it alone does. Find takes as long
// as that look, up to hundreds of milliseconds on a host of many processes: it is
// for who writes alerts, not for the path of packets.
func (o *Owners) Find(proto uint8, local, remote netip.AddrPort) (Process, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.diag < 0 || proto != unix.IPPROTO_TCP && proto != unix.IPPROTO_UDP {
		return Process{}, false
	}
	inode := o.inode(proto, local, remote)
	if inode == 0 {
		// Of a connection that is not accepted yet, or closed already, the listener.
		unspecified := netip.IPv4Unspecified()
		if local.Addr().Unmap().Is6() {
			unspecified = netip.IPv6Unspecified()
		}
		if inode = o.inode(proto, local, netip.AddrPortFrom(unspecified, 0)); inode == 0 {
			return Process{}, false
		}
	}
	if p, ok := o.holder(inode); ok {
		return p, true
	}
	if o.now().Sub(o.scanned) < max(leastRest, rest*o.took) {
		return Process{}, false
	}
	o.scan()
	return o.holder(inode)
}

// Sizes and places in linux/inet_diag.h.
const (
	diagHeader  = unix.SizeofNlMsghdr
	diagRequest = diagHeader + 56 // inet_diag_req_v2
	diagID      = 8               // inet_diag_sockid in that
	diagMessage = 72              // inet_diag_msg
	diagInode   = 68              // in that
)

// inode asks for the socket of a flow; 0 is none, or one that no process holds.
func (o *Owners) inode(proto uint8, local, remote netip.AddrPort) uint32 {
	la, ra := local.Addr().Unmap(), remote.Addr().Unmap()
	if !la.IsValid() || !ra.IsValid() || la.Is4() != ra.Is4() {
		return 0
	}
	local, remote = netip.AddrPortFrom(la, local.Port()), netip.AddrPortFrom(ra, remote.Port())
	o.seq++
	var req [diagRequest]byte
	native := binary.NativeEndian
	native.PutUint32(req[0:], diagRequest)
	native.PutUint16(req[4:], unix.SOCK_DIAG_BY_FAMILY)
	native.PutUint16(req[6:], unix.NLM_F_REQUEST)
	native.PutUint32(req[8:], o.seq)
	r := req[diagHeader:]
	r[0], r[1] = unix.AF_INET6, proto
	if la.Is4() {
		r[0] = unix.AF_INET
	}
	native.PutUint32(r[4:], 0xffffffff) // whatever its state
	id := r[diagID:]
	src, dst := local, remote
	if proto == unix.IPPROTO_UDP {
		src, dst = dst, src // udp_dump_one takes them as a packet that comes in has them
	}
	binary.BigEndian.PutUint16(id[0:], src.Port())
	binary.BigEndian.PutUint16(id[2:], dst.Port())
	copy(id[4:20], src.Addr().AsSlice())
	copy(id[20:36], dst.Addr().AsSlice())
	native.PutUint32(id[40:], 0xffffffff) // INET_DIAG_NOCOOKIE, both words
	native.PutUint32(id[44:], 0xffffffff)
	if err := unix.Sendto(o.diag, req[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0
	}
	var answer [1024]byte
	for {
		n, _, err := unix.Recvfrom(o.diag, answer[:], 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0
		}
		b := answer[:n]
		if len(b) < diagHeader || native.Uint32(b[8:]) != o.seq {
			continue // of an earlier question
		}
		m := b[diagHeader:]
		if native.Uint16(b[4:]) != unix.SOCK_DIAG_BY_FAMILY || len(m) < diagMessage {
			return 0 // an error: there is none
		}
		return native.Uint32(m[diagInode:])
	}
}

// holder gives the process that is known to hold a socket, if it still does.
func (o *Owners) holder(inode uint32) (Process, bool) {
	h, ok := o.holders[inode]
	if !ok {
		return Process{}, false
	}
	dir := o.proc + "/" + strconv.Itoa(h.pid)
	name, err := os.ReadFile(dir + "/comm")
	if err != nil {
		return Process{}, false
	}
	// The id may be another process's by now. As it is asked last, the name is of
	// the one that holds the socket.
	link, err := os.Readlink(dir + "/fd/" + strconv.Itoa(h.file))
	if got, ok := socketInode(link); err != nil || !ok || got != inode {
		return Process{}, false
	}
	return Process{ID: h.pid, Name: string(bytes.TrimSuffix(name, []byte("\n")))}, true
}

// scan looks for the sockets among the open files of all processes.
func (o *Owners) scan() {
	begin := o.now()
	clear(o.holders)
	if o.holders == nil {
		o.holders = map[uint32]holder{}
	}
	files := 0
	_ = eachNumber(o.proc, func(pid int) error {
		dir := o.proc + "/" + strconv.Itoa(pid) + "/fd"
		_ = eachNumber(dir, func(file int) error {
			if files++; files > maxFiles || len(o.holders) >= maxHolders {
				return errEnough
			}
			link, err := os.Readlink(dir + "/" + strconv.Itoa(file))
			if err != nil {
				return nil
			}
			if inode, ok := socketInode(link); ok {
				if h, known := o.holders[inode]; !known || h.pid == 1 || pid < h.pid && pid != 1 {
					o.holders[inode] = holder{pid, file}
				}
			}
			return nil
		})
		if files > maxFiles || len(o.holders) >= maxHolders {
			return errEnough
		}
		return nil
	})
	o.scanned = o.now()
	o.took = o.scanned.Sub(begin)
}

// errEnough ends a scan that met a bound.
var errEnough = errors.New("enough")

// eachNumber calls do with each name in a folder that is a number.
func eachNumber(dir string, do func(int) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(256)
		for _, name := range names {
			n, err := strconv.Atoi(name)
			if err != nil {
				continue
			}
			if err := do(n); err != nil {
				return err
			}
		}
		if err != nil {
			return nil // the end, or the process is gone
		}
	}
}

// socketInode reads what the link of an open file of a socket says.
func socketInode(link string) (uint32, bool) {
	s, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 32)
	return uint32(n), err == nil && n != 0
}
