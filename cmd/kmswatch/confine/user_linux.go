package confine

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// identity gives the numbers of the user that a process becomes, and whether that
// is another than it is: only root becomes one.
func identity(name string) (uid, gid int, other bool, err error) {
	if os.Geteuid() != 0 || name == "" || name == "root" {
		return 0, 0, false, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, false, err
	}
	if uid, err = strconv.Atoi(u.Uid); err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	if err != nil {
		return 0, 0, false, fmt.Errorf("user %s: %w", name, err)
	}
	return uid, gid, true, nil
}

// Give makes a file, or a folder and what is in it, the user's that Process will
// make of this one.
func Give(path, name string) error {
	uid, gid, other, err := identity(name)
	if err != nil || !other {
		return err
	}
	return filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}

// Writable tells whether this process may make files in a folder.
func Writable(dir string) error {
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return &os.PathError{Op: "write", Path: dir, Err: err}
	}
	return nil
}
