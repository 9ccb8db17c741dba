//go:build !linux && !windows

package main

import (
	"errors"

	"kmswatch/capture"
)

// openSource opens the source of an interface.
func openSource(string, *live) (capture.Source, error) {
	return nil, errors.New("no live source on this system")
}
