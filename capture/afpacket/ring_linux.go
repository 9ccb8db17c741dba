package afpacket

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kmswatch/capture"
)

// Where things lie in a ring, linux/if_packet.h.
const (
	packetHeader = int(unsafe.Sizeof(unix.Tpacket3Hdr{}))                                   // of a frame, TPACKET_ALIGNed
	packetType   = packetHeader + int(unsafe.Offsetof(unix.RawSockaddrLinklayer{}.Pkttype)) // the frame's sockaddr_ll is behind it
	packetData   = packetHeader + unix.SizeofSockaddrLinklayer                              // at the earliest
	blockHeader  = int(unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr))                        // tpacket_hdr_v1 lies there
	blockData    = blockHeader + int(unsafe.Sizeof(unix.TpacketHdrV1{}))
)

// vlanTag is the length of a VLAN tag, which is kept free before each frame.
const vlanTag = 4

// macAddresses is the length of the two addresses that a VLAN tag lies behind.
const macAddresses = 12

// touchAhead is how many bytes of a block are touched before the frames in them
// are given: a good part of the second-level cache, with room for the decoder.
const touchAhead = 128 << 10

// ring is a packet socket and the memory that it shares with the kernel: blocks,
// each full of frames, handed over and given back in turn.
type ring struct {
	fd   int
	mem  []byte
	size int // of a block
	form
	promiscuous *unix.PacketMreq // nil when not

	held  uint64 // blocks from here on, counted since the start, are lent to the reader,
	next  uint64 // up to here
	left  uint32 // frames that were not given yet, of the last of them
	at    int    // place in mem of the first of these
	end   int    // of the block
	warm  int    // up to where the block was touched
	time  int64  // of the frame at at
	sum   byte   // of what was touched, so that it is
	wrong uint64 // frames that the ring described wrongly
}

// newRing makes a ring that is bound to no interface and no protocol.
func newRing(o *Options) (*ring, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	r := &ring{fd: fd, size: o.BlockSize}
	if err := r.setUp(o); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return r, nil
}

func (r *ring) setUp(o *Options) error {
	for _, opt := range []struct {
		name       string
		opt, value int
	}{
		{"TPACKET_V3", unix.PACKET_VERSION, unix.TPACKET_V3},
		{"room for VLAN tags", unix.PACKET_RESERVE, vlanTag},
	} {
		if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, opt.opt, opt.value); err != nil {
			return fmt.Errorf("%s: %w", opt.name, err)
		}
	}
	// Frames of a block are as long as they are; the size is for older versions of
	// the ring, and only checked.
	frame := min(o.BlockSize, 2048)
	req := unix.TpacketReq3{
		Block_size:     uint32(o.BlockSize),
		Block_nr:       uint32(o.Blocks),
		Frame_size:     uint32(frame),
		Frame_nr:       uint32(o.BlockSize / frame * o.Blocks),
		Retire_blk_tov: uint32(o.BlockTimeout / time.Millisecond),
	}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("ring of %d blocks of %d bytes: %w", o.Blocks, o.BlockSize, err)
	}
	mem, err := unix.Mmap(r.fd, 0, o.BlockSize*o.Blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the ring: %w", err)
	}
	r.mem = mem
	return nil
}

// close ends the capture and closes the socket; the memory stays. As the memory
// holds the socket, what must end now is ended by hand. It may be called again.
func (r *ring) close() {
	if r.fd < 0 {
		return
	}
	_ = r.letNothingIn()
	if r.promiscuous != nil {
		_ = unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_DROP_MEMBERSHIP, r.promiscuous)
	}
	unix.Close(r.fd)
	r.fd = -1
}

func (r *ring) unmap() {
	if r.mem != nil {
		_ = unix.Munmap(r.mem)
		r.mem = nil
	}
}

// letNothingIn sets a filter that no frame passes.
func (r *ring) letNothingIn() error {
	nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	if err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing}); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	return nil
}

// bind lets the socket listen on an interface, all protocols, but nothing in yet.
func (r *ring) bind(index int) error {
	if err := r.letNothingIn(); err != nil {
		return err
	}
	ignore := 0
	if r.twice {
		ignore = 1
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, ignore); err != nil {
		return fmt.Errorf("see frames of the loopback once: %w", err)
	}
	const allProtocols = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network byte order, as everywhere in sockaddr_ll
	if err := unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: allProtocols, Ifindex: index}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

// join enters a fanout group, or makes one when first: flows are spread over the
// rings of the group by a hash that is the same in both directions. Datagrams
// are not reassembled, as the decoder wants to see their fragments as they came.
func (r *ring) join(group int, first bool) (int, error) {
	how := unix.PACKET_FANOUT_HASH
	if first {
		how |= unix.PACKET_FANOUT_FLAG_UNIQUEID
	}
	if r.twice {
		how |= unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, how<<16|group); err != nil {
		return 0, fmt.Errorf("fanout: %w", err)
	}
	if !first {
		return group, nil
	}
	got, err := unix.GetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	if err != nil {
		return 0, fmt.Errorf("fanout: %w", err)
	}
	return got & 0xffff, nil
}

// listenToAll sets promiscuous mode, until the socket or the interface ends.
func (r *ring) listenToAll(index int) error {
	r.promiscuous = &unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, r.promiscuous); err != nil {
		return fmt.Errorf("promiscuous mode: %w", err)
	}
	return nil
}

// letIn replaces the filter that lets nothing in.
func (r *ring) letIn(f Filter) error {
	if f != nil {
		if err := f.AttachSocket(r.fd); err != nil {
			return fmt.Errorf("filter: %w", err)
		}
		return nil
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	return nil
}

// unbound tells whether the kernel took the interface away.
func (r *ring) unbound() bool {
	to, err := unix.Getsockname(r.fd)
	at, ok := to.(*unix.SockaddrLinklayer)
	return err != nil || !ok || at.Ifindex <= 0
}

// clearError takes note that the interface went down, so that poll waits again.
func (r *ring) clearError() { _, _ = unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR) }

// status is the word of a block by which it is handed over.
func (r *ring) status(block uint64) *uint32 {
	at := int(block%uint64(len(r.mem)/r.size)) * r.size
	return &r.header(at).Block_status
}

func (r *ring) header(at int) *unix.TpacketHdrV1 {
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&r.mem[at : at+blockData][blockHeader]))
}

// release gives back the blocks whose frames have all been given.
func (r *ring) release() {
	last := r.next
	if r.left > 0 {
		last--
	}
	for ; r.held < last; r.held++ {
		atomic.StoreUint32(r.status(r.held), unix.TP_STATUS_KERNEL)
	}
}

// ready tells whether there is a frame to take, and its time.
func (r *ring) ready() bool {
	for r.left == 0 {
		if r.next-r.held == uint64(len(r.mem)/r.size) {
			return false // all are lent
		}
		if atomic.LoadUint32(r.status(r.next))&unix.TP_STATUS_USER == 0 {
			return false
		}
		r.begin()
	}
	return true
}

// begin takes the next block.
func (r *ring) begin() {
	at := int(r.next%uint64(len(r.mem)/r.size)) * r.size
	h := r.header(at)
	r.next++
	r.left = h.Num_pkts
	r.end = at + min(int(h.Blk_len), r.size)
	r.warm = at
	r.to(at+int(h.Offset_to_first_pkt), at+blockData)
}

// to goes to a frame, which lies behind what was before it and in its block. One
// that does not ends the block.
func (r *ring) to(at, least int) {
	if r.left == 0 {
		return
	}
	if at < least || at+packetData > r.end || at&7 != 0 {
		r.wrong += uint64(r.left)
		r.left = 0
		return
	}
	r.at = at
	if at >= r.warm {
		r.touch()
	}
	h := r.packet()
	r.time = int64(h.Sec)*1e9 + int64(h.Nsec)
}

// touch reads from each line of memory ahead, in order: frames are walked by the
// length of the one before, which the processor cannot foresee. With a full ring
// of frames of mixed sizes to catch up with, one was measured to cost 87 ns
// instead of 177.
func (r *ring) touch() {
	to := min(r.end, r.at+touchAhead)
	sum := r.sum
	for b, i := r.mem[r.at:to], 0; i < len(b); i += 64 {
		sum += b[i]
	}
	r.sum, r.warm = sum, to
}

func (r *ring) packet() *unix.Tpacket3Hdr {
	return (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.mem[r.at : r.at+packetHeader][0]))
}

// take gives the frame that is ready. It reports false for one that is not to be
// given.
func (r *ring) take(f *capture.Frame) bool {
	at, h, time := r.at, r.packet(), r.time
	from, length, whole := at+int(h.Mac), int(h.Snaplen), int(h.Len)
	ok := from >= at+packetData && from <= r.end && h.Snaplen <= uint32(r.end-from)
	status, tci, tpid := h.Status, h.Hv1.Vlan_tci, h.Hv1.Vlan_tpid
	outgoing := r.mem[at+packetType] == unix.PACKET_OUTGOING
	r.left--
	r.to(at+int(h.Next_offset), at+packetData)
	if !ok {
		r.wrong++
		return false
	}
	if outgoing && r.twice {
		return false // before Linux 5.11 a fanout group gets it all the same
	}
	if status&unix.TP_STATUS_VLAN_VALID != 0 && length >= macAddresses && from-vlanTag >= at+packetData && r.link == capture.LinkEthernet {
		from -= vlanTag
		copy(r.mem[from:from+macAddresses], r.mem[from+vlanTag:])
		if status&unix.TP_STATUS_VLAN_TPID_VALID == 0 {
			tpid = unix.ETH_P_8021Q
		}
		tag := r.mem[from+macAddresses:][:vlanTag]
		tag[0], tag[1], tag[2], tag[3] = byte(tpid>>8), byte(tpid), byte(tci>>8), byte(tci)
		length += vlanTag
		whole += vlanTag
	}
	f.Data = r.mem[from : from+length : from+length]
	f.Time = time
	f.Length = max(whole, length)
	f.File, f.Interface, f.Link = 0, 0, r.link
	return true
}
