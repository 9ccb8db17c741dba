//go:build !linux

package confine

import "errors"

// Process takes no rights: there is no way on this system.
func Process(Options) (Report, error) {
	return Report{}, errors.ErrUnsupported
}

// Give has nothing to do: the process stays who it is.
func Give(string, string) error { return nil }

// Writable has nothing to tell, for the same reason.
func Writable(string) error { return nil }
