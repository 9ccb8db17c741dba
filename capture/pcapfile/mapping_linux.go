package pcapfile

import (
	"os"
	"syscall"
)

// mapFile maps at most n bytes of f from the offset at on, as many as the file
// has; none is no error. Who touches them faults once for the pages of 64 KiB:
// half of what MAP_POPULATE costs, which looks at every page.
func mapFile(f *os.File, at int64, n int) (mem []byte, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var st syscall.Stat_t
	// Within Control another goroutine may close f, but the number stays its.
	failed := c.Control(func(fd uintptr) {
		if err = syscall.Fstat(int(fd), &st); err != nil || st.Size <= at {
			return
		}
		n = int(min(int64(n), st.Size-at))
		mem, err = syscall.Mmap(int(fd), at, n, syscall.PROT_READ, syscall.MAP_SHARED)
	})
	if failed != nil {
		return nil, failed
	}
	return mem, err
}

func unmapFile(mem []byte) {
	if mem != nil {
		_ = syscall.Munmap(mem) // fails for what is no mapping only
	}
}
