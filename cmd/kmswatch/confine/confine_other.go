//go:build !linux

package confine

import "errors"

// Process takes no rights: there is no way on this system.
func Process(Options) (Report, error) {
	return Report{}, errors.ErrUnsupported
}
