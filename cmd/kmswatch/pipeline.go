package main

import (
	"context"
	"errors"
	"fmt"
	"io"

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

// framesARead is how many frames a Read may give: enough to make its cost
// vanish, few enough to stay in the first-level cache.
const framesARead = 256

// feed gives all frames of a source to an engine and closes the engine. It
// shows how far it is. It returns errReported when a capture failed and the
// terminal was told.
func feed(ctx context.Context, t terminal, src *pcapfile.Source, e *decode.Engine) error {
	stop := t.progress(src.Progress)
	err := pump(ctx, src, e)
	stop()
	e.Close()
	if err != nil {
		return err
	}
	if src.Err() != nil {
		return errReported
	}
	return nil
}

func pump(ctx context.Context, src capture.Source, e *decode.Engine) error {
	frames := make([]capture.Frame, framesARead)
	for {
		n, err := src.Read(frames)
		for i := range frames[:n] {
			e.Feed(&frames[i])
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if ctx.Err() != nil {
			return errors.New("interrupted; what was read until then is told")
		}
	}
}
