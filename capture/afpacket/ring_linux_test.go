package afpacket

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"kmswatch/capture"
)

// block makes a block of two frames, the first with a VLAN tag, as the kernel
// does.
func block(size int) []byte {
	b := make([]byte, size)
	native := binary.NativeEndian
	at := 48
	put := func(next, status int, tci uint32, data string) {
		h := b[at:]
		const mac = 86
		for i, v := range []uint32{uint32(next), 7, 8, uint32(len(data)), uint32(len(data)), uint32(status)} {
			native.PutUint32(h[4*i:], v)
		}
		native.PutUint16(h[24:], mac)
		native.PutUint32(h[32:], tci)
		native.PutUint16(h[36:], 0x88a8)
		copy(h[mac:], data)
		at += next
	}
	put(160, unix.TP_STATUS_USER|unix.TP_STATUS_VLAN_VALID|unix.TP_STATUS_VLAN_TPID_VALID, 0x2005, "DDDDDDSSSSSS\x08\x00data")
	put(0, unix.TP_STATUS_USER, 0, "second")
	native.PutUint32(b[8:], unix.TP_STATUS_USER)
	native.PutUint32(b[12:], 2)
	native.PutUint32(b[16:], 48)
	native.PutUint32(b[20:], uint32(at+86+6))
	return b
}

// ringOf is a ring of one block, in memory that is aligned as a ring's.
func ringOf(b []byte) *ring {
	words := make([]uint64, (len(b)+7)/8)
	mem := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(b))
	copy(mem, b)
	return &ring{fd: -1, mem: mem, size: len(b), form: form{link: capture.LinkEthernet}}
}

func TestRingOfTwoFrames(t *testing.T) {
	r := ringOf(block(4096))
	var got [2]capture.Frame
	for i := range got {
		if !r.ready() || r.time != 7_000_000_008 || !r.take(&got[i]) {
			t.Fatal("no frame", i)
		}
	}
	if want := "DDDDDDSSSSSS\x88\xa8\x20\x05\x08\x00data"; string(got[0].Data) != want || got[0].Length != len(want) {
		t.Errorf("got %q of %d, want %q", got[0].Data, got[0].Length, want)
	}
	if string(got[1].Data) != "second" {
		t.Errorf("got %q", got[1].Data)
	}
	if r.ready() || r.wrong != 0 {
		t.Error("there is more")
	}
	r.release()
	if s := *r.status(0); s != unix.TP_STATUS_KERNEL {
		t.Errorf("the block has the status %d", s)
	}
}

// Whatever a ring says of its frames, they lie in their block and do not last for
// ever, and all of them are given or counted.
func FuzzRing(f *testing.F) {
	good := block(512)
	f.Add(good)
	for at := range 300 {
		bad := bytes.Clone(good)
		bad[at] ^= 0xff
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 128 {
			return
		}
		binary.NativeEndian.PutUint32(b[8:], unix.TP_STATUS_USER)
		r := ringOf(b)
		first, last := uintptr(unsafe.Pointer(&r.mem[0])), uintptr(unsafe.Pointer(&r.mem[len(b)-1]))
		given := uint64(0)
		for r.ready() {
			var frame capture.Frame
			if !r.take(&frame) {
				continue
			}
			given++
			if given > uint64(len(b)) {
				t.Fatal("more frames than bytes")
			}
			if n := len(frame.Data); n > 0 {
				if p := uintptr(unsafe.Pointer(&frame.Data[0])); p < first+uintptr(blockData) || p+uintptr(n)-1 > last {
					t.Fatal("a frame lies outside its block")
				}
			}
			if frame.Length < len(frame.Data) || cap(frame.Data) != len(frame.Data) {
				t.Fatalf("a frame of %d bytes has %d, with room for %d", frame.Length, len(frame.Data), cap(frame.Data))
			}
		}
		if n := uint64(binary.NativeEndian.Uint32(b[12:])); given+r.wrong != n {
			t.Fatalf("%d frames, %d given, %d wrong", n, given, r.wrong)
		}
	})
}
