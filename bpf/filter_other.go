//go:build !linux

package bpf

import (
	"errors"
	"fmt"
	"io"
)

// errOther is what everything fails with.
var errOther = fmt.Errorf("flow filter: needs Linux: %w", errors.ErrUnsupported)

// Filter is the flow filter in the kernel. Only Linux has one.
type Filter struct{}

// Load fails.
func Load(Options) (*Filter, error) { return nil, errOther }

// AttachSocket fails.
func (*Filter) AttachSocket(int) error { return errOther }

// AttachXDP fails.
func (*Filter) AttachXDP(int, Mode) (io.Closer, Mode, error) { return nil, Best, errOther }

// AttachTCX fails.
func (*Filter) AttachTCX(int, Direction) (io.Closer, error) { return nil, errOther }

// Watch fails.
func (*Filter) Watch(Flow) error { return errOther }

// Ignore fails.
func (*Filter) Ignore(Flow) error { return errOther }

// WatchPort fails.
func (*Filter) WatchPort(uint8, uint16) error { return errOther }

// Counters fails.
func (*Filter) Counters() (Counters, error) { return Counters{}, errOther }

// Judge fails.
func (*Filter) Judge(Hook, []byte) (Verdict, error) { return 0, errOther }

// Close does nothing.
func (*Filter) Close() error { return nil }

// Probe says that this is not Linux.
func Probe() []Feature {
	return []Feature{{Name: "flow filter", Note: "needs Linux"}}
}
