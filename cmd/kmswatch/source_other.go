//go:build !linux && !windows

package main

import (
	"errors"

	"github.com/rs/zerolog"

	"kmswatch/capture"
)

// openSource opens the source of an interface.
func openSource(string, *live, zerolog.Logger) (capture.Source, error) {
	return nil, errors.New("no live source on this system")
}
