package decode_test

import (
	"os"
	"runtime/debug"
	"syscall"
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/capturetest"
	"kmswatch/decode"
)

// TestFramesThatFaultLeaveTheEngineFitForUse feeds frames of which the end is in
// memory that cannot be touched, as that of a mapped file is once the file was
// cut short. Feed panics in the middle of whatever it does; what comes after it,
// Close included, must be decoded without one.
func TestFramesThatFaultLeaveTheEngineFitForUse(t *testing.T) {
	t.Parallel()
	page := os.Getpagesize()
	const room = 1 << 17
	mem, err := syscall.Mmap(-1, 0, room+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(mem)
	if err := syscall.Mprotect(mem[room:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	faults := 0
	// feed feeds a frame of which the bytes from there on cannot be touched.
	feed := func(e *decode.Engine, f capture.Frame, there int) {
		start := room - there
		copy(mem[start:room], f.Data)
		f.Data = mem[start : start+len(f.Data) : start+len(f.Data)]
		defer func() {
			if p := recover(); p != nil {
				if _, fault := p.(interface{ Addr() uintptr }); !fault {
					panic(p)
				}
				faults++
			}
		}()
		e.Feed(&f)
	}
	for _, path := range allCaptures(t) {
		st, err := os.Stat(path)
		if err != nil || st.Size() > 1<<20 {
			continue
		}
		frames, err := capturetest.Drain(open(t, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, workers := range []int{1, 2} {
			for _, every := range []int{1, 7} {
				e := decode.New(decode.Config{Workers: workers}, &counter{})
				for i, f := range frames {
					if len(f.Data) > 4096 {
						continue
					}
					// Elsewhere in each frame: headers, the beginning of the payload, its end.
					if there := len(f.Data) - 1 - i*31%len(f.Data); i%every == 0 {
						feed(e, f, there)
						feed(e, f, len(f.Data)*3/4)
					}
					e.Feed(&f)
				}
				e.Close()
			}
		}
	}
	if faults == 0 {
		t.Error("no frame faulted")
	}
	t.Logf("%d faults", faults)
}
