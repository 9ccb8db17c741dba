//go:build unix

package linefile

import (
	"os"
	"syscall"
)

// removed tells whether an open file has no name any more.
func removed(st os.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && s.Nlink == 0
}
