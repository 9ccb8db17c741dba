package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is where XDP and TCX hand frames over: one ring for all processors and
// devices, in memory that the kernel shares. It wakes nobody, since that costs the
// kernel more than all else: its reader asks. It is used by one goroutine.
type Ring struct {
	control  []byte  // a page: how far we have read
	shared   []byte  // a page: how far is written; then the bytes, twice in a row
	consumer *uint64 // shared with the kernel
	producer *uint64
	data     []byte
	mask     uint64
	at       uint64 // where the next record begins
}

// Frame is a frame as it lies in a Ring.
type Frame struct {
	Data      []byte // captured bytes, valid until Release
	Time      int64  // nanoseconds of CLOCK_MONOTONIC
	Length    int    // on the wire
	Interface int    // index
	Verdict   Verdict
}

// Ring opens the ring of a filter that was loaded with Options.Ring. There is one
// reader.
func (f *Filter) Ring() (*Ring, error) {
	if f.opts.Ring == 0 {
		return nil, errors.New("flow filter: loaded without a ring")
	}
	fd, page := f.maps[flowfilterMapRing].FD(), os.Getpagesize()
	control, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("flow filter: map ring: %w", err)
	}
	shared, err := unix.Mmap(fd, int64(page), page+2*f.opts.Ring, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("flow filter: map ring: %w", err), unix.Munmap(control))
	}
	r := &Ring{
		control:  control,
		shared:   shared,
		consumer: (*uint64)(unsafe.Pointer(&control[0])),
		producer: (*uint64)(unsafe.Pointer(&shared[0])),
		data:     shared[page:],
		mask:     uint64(f.opts.Ring - 1),
	}
	r.at = atomic.LoadUint64(r.consumer)
	return r, nil
}

// Head of each record in the ring, linux/bpf.h: its length with two flags, then
// four bytes of the kernel's. What follows is struct record of deliver.h.
const (
	ringHead    = 8
	ringBusy    = 1 << 31
	ringDiscard = 1 << 30
	recordHead  = 24
)

// Next gives the next frame, if there is one.
func (r *Ring) Next(f *Frame) bool {
	for r.at < atomic.LoadUint64(r.producer) {
		head := r.data[r.at&r.mask:]
		length := atomic.LoadUint32((*uint32)(unsafe.Pointer(&head[0])))
		if length&ringBusy != 0 {
			return false
		}
		n := uint64(length &^ ringDiscard)
		if n > r.mask {
			return false // no ring is that long: nothing more can be believed
		}
		r.at += (ringHead + n + 7) &^ 7
		if length&ringDiscard != 0 || n < recordHead {
			continue
		}
		b := head[ringHead : ringHead+n]
		captured := min(uint64(binary.NativeEndian.Uint32(b[12:])), n-recordHead)
		end := recordHead + captured
		f.Data = b[recordHead:end:end]
		f.Time = int64(binary.NativeEndian.Uint64(b))
		f.Length = int(binary.NativeEndian.Uint32(b[8:]))
		f.Interface = int(binary.NativeEndian.Uint32(b[16:]))
		f.Verdict = Verdict(binary.NativeEndian.Uint32(b[20:]))
		return true
	}
	return false
}

// Release gives the room of all frames since the last Release back to the kernel.
func (r *Ring) Release() { atomic.StoreUint64(r.consumer, r.at) }

// Close unmaps the ring. No data of its frames may be touched from then on.
func (r *Ring) Close() error {
	return errors.Join(unix.Munmap(r.control), unix.Munmap(r.shared))
}
