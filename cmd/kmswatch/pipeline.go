package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
	"kmswatch/decode"
)

// openCaptures opens captures for reading; what is wrong with one is told on
// the terminal as it is met. Its error is a wrong use.
func openCaptures(t terminal, paths []string) (*pcapfile.Source, error) {
	src, err := pcapfile.Open(paths, pcapfile.Options{
		Stdin: t.in,
		Report: func(p *pcapfile.Problem) {
			if p.Failed {
				t.complain(p)
			} else {
				t.warn(p)
			}
		},
	})
	if err != nil {
		return nil, usageError{err}
	}
	return src, nil
}

// framesARead is how many frames are taken at once: enough to make the cost of
// that vanish, few enough that their headers stay in the first-level cache.
const framesARead = 256

// spareHeap is memory that feed takes and never touches, which costs address
// space alone. What an engine keeps grows slowly and garbage is rare: without it
// the collector runs at 4, 8, 16 and 32 MB and finds next to nothing.
const spareHeap = 64 << 20

// feed gives all frames of a source to an engine and closes the engine. It
// shows how far it is. It returns errReported when a capture failed and the
// terminal was told.
func feed(ctx context.Context, t terminal, src *pcapfile.Source, e *decode.Engine) error {
	stop := t.progress(src.Progress)
	spare := make([]byte, spareHeap)
	err := pump(ctx, src, e)
	stop()
	if n := src.Stats().Dropped; n > 0 {
		e.Lost(n)
	}
	e.Close()
	runtime.KeepAlive(spare)
	if err != nil {
		return err
	}
	if src.Err() != nil {
		return errReported
	}
	return nil
}

func pump(ctx context.Context, src *pcapfile.Source, e *decode.Engine) error {
	interrupted := errors.New("interrupted; what was read until then is told")
	err := src.Walk(framesARead, func(frames []capture.Frame) error {
		for i := range frames {
			e.Feed(&frames[i])
		}
		if ctx.Err() != nil {
			return interrupted
		}
		return nil
	})
	if err != nil && err != interrupted {
		return fmt.Errorf("read: %w", err)
	}
	return err
}
