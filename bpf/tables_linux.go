package bpf

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tables is struct tables of maps.h, in memory that the kernel shares.
type tables struct {
	*flowfilterTables
	memory []byte
	seed   uint64
}

func mapTables(fd int, seed uint64) (*tables, error) {
	memory, err := unix.Mmap(fd, 0, int(unsafe.Sizeof(flowfilterTables{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map into memory: %w", err)
	}
	return &tables{(*flowfilterTables)(unsafe.Pointer(&memory[0])), memory, seed}, nil
}

func (t *tables) unmap() error { return unix.Munmap(t.memory) }

// addPort makes a port one of interest.
func (t *tables) addPort(proto uint8, port uint16) {
	of := &t.Ports[0]
	if proto == protoUDP {
		of = &t.Ports[1]
	}
	atomic.OrUint64(&of[port>>6], 1<<(port&63))
}

// A hint is a counter of four bits; hintBits is HINT_BITS of maps.h.
const (
	hintBits = 17
	hintFull = 8 // from here on the kernel counts no further
)

// place gives the word of a hint and where in it the hint begins.
func place(hash uint64) (word, shift uint64) {
	return hash >> (64 - hintBits + 4), hash >> (64 - hintBits) & 15 * 4
}

// hint makes the kernel ask the map for flows of a key's hash. The flow is in
// the map already.
func (t *tables) hint(k *flowfilterFlowKey) {
	word, shift := place(t.hash(k))
	w := &t.Hints[word]
	for {
		old := atomic.LoadUint64(w)
		if old>>shift&15 >= hintFull || atomic.CompareAndSwapUint64(w, old, old+1<<shift) {
			return
		}
	}
}

// hintSet is the hints that should be.
type hintSet [len(flowfilterTables{}.Hints)]uint64

func (s *hintSet) add(hash uint64) {
	word, shift := place(hash)
	s[word] |= 1 << shift
}

// snapshot copies the hints. It comes before the flows are read: who enters a flow
// makes the hint after it, so that a hint that is as it was then has its flow among
// those read, or none.
func (t *tables) snapshot() *hintSet {
	s := new(hintSet)
	for i := range s {
		s[i] = atomic.LoadUint64(&t.Hints[i])
	}
	return s
}

// clear clears the hints that are as they were before and have no flow. A hint
// that is full cannot show that it changed, and is only counted from anew.
func (t *tables) clear(before, known *hintSet) {
	for i, old := range before {
		if old == 0 {
			continue
		}
		fresh := known[i]
		for shift := 0; shift < 64; shift += 4 {
			if old>>shift&15 >= hintFull {
				fresh |= 1 << shift
			}
		}
		if fresh != old {
			atomic.CompareAndSwapUint64(&t.Hints[i], old, fresh)
		}
	}
}

// keyOf gives the key of a flow as flow_key of decide.h does.
func keyOf(f Flow) (flowfilterFlowKey, error) {
	if !f.A.IsValid() || !f.B.IsValid() || f.A.Addr().Is4() != f.B.Addr().Is4() || f.Proto != protoTCP && f.Proto != protoUDP {
		return flowfilterFlowKey{}, fmt.Errorf("flow filter: flow %d %v %v is none of TCP or UDP", f.Proto, f.A, f.B)
	}
	a, b := words(f.A.Addr()), words(f.B.Addr())
	k := flowfilterFlowKey{
		LoAddr: a, LoPort: networkOrder(f.A.Port()),
		HiAddr: b, HiPort: networkOrder(f.B.Port()),
		Proto: uint32(f.Proto),
	}
	swap := k.LoPort > k.HiPort
	if a[0] != b[0] {
		swap = a[0] > b[0]
	} else if a[1] != b[1] {
		swap = a[1] > b[1]
	}
	if swap {
		k.LoAddr, k.HiAddr = k.HiAddr, k.LoAddr
		k.LoPort, k.HiPort = k.HiPort, k.LoPort
	}
	return k, nil
}

// words gives an address as the programs load it; of IPv4 the mapped one.
func words(a netip.Addr) [2]uint64 {
	b := a.As16()
	return [2]uint64{binary.NativeEndian.Uint64(b[:8]), binary.NativeEndian.Uint64(b[8:])}
}

// networkOrder gives a port as the programs load it.
func networkOrder(port uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, port))
}

// hash is flow_hash of decide.h.
func (t *tables) hash(k *flowfilterFlowKey) uint64 {
	src, dst := uint64(k.LoPort), uint64(k.HiPort)
	addrs := (k.LoAddr[0]+k.HiAddr[0])*0x9e3779b97f4a7c15 + k.LoAddr[1] + k.HiAddr[1]
	ports := src*dst + src + dst
	h := (addrs^t.seed)*0xff51afd7ed558ccd + ports*0x9e3779b97f4a7c15
	h ^= h >> 32
	return h * 0xc4ceb9fe1a85ec53
}
