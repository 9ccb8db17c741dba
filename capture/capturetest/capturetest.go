// Package capturetest gives sources of frames to tests: from memory, one frame
// at a time, and one that makes it show when somebody keeps memory that is not
// his. Only tests import it.
package capturetest

import (
	"bytes"
	"io"
	"sync"
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
)

// Slice is a source of the frames given, all that there is room for at each
// Read. It does not copy them: their data is valid as long as the caller's.
// Stats counts what Read gave, and as truncated what is longer on the wire.
func Slice(frames []capture.Frame) capture.Source { return &slice{frames: frames} }

type slice struct {
	mu     sync.Mutex
	frames []capture.Frame
	stats  capture.Stats
	closed bool
}

func (s *slice) Read(frames []capture.Frame) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.frames) == 0 || s.closed {
		return 0, io.EOF
	}
	n := copy(frames, s.frames)
	s.frames = s.frames[n:]
	for i := range frames[:n] {
		s.stats.Received++
		s.stats.Bytes += uint64(len(frames[i].Data))
		if frames[i].Length > len(frames[i].Data) {
			s.stats.Truncated++
		}
	}
	return n, nil
}

func (s *slice) Stats() capture.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *slice) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Poison is src, with the data of each frame a copy that the next Read, or
// Close, overwrites with 0xA5. Whoever keeps a slice of a frame beyond its
// time then sees it change, and so do the goldens of his test.
func Poison(src capture.Source) capture.Source { return &poison{Source: src} }

type poison struct {
	capture.Source
	lent [][]byte // the copies given by the last Read
}

func (p *poison) Read(frames []capture.Frame) (int, error) {
	p.spoil()
	n, err := p.Source.Read(frames)
	for i := range frames[:n] {
		f := &frames[i]
		// A copy of its own, so that a source whose frames live on, and a
		// slice beyond the end of a frame, are found out too.
		f.Data = bytes.Clone(f.Data)
		f.Data = f.Data[:len(f.Data):len(f.Data)]
		p.lent = append(p.lent, f.Data)
	}
	return n, err
}

func (p *poison) Close() error {
	p.spoil()
	return p.Source.Close()
}

func (p *poison) spoil() {
	for _, b := range p.lent {
		for i := range b {
			b[i] = 0xa5
		}
	}
	clear(p.lent)
	p.lent = p.lent[:0]
}

// One is src with one frame a Read, however many there is room for: the
// shortest batches there can be.
func One(src capture.Source) capture.Source { return &one{src} }

type one struct{ capture.Source }

func (o *one) Read(frames []capture.Frame) (int, error) {
	return o.Source.Read(frames[:min(1, len(frames))])
}

// Load reads a whole capture file, or folder of them, into memory of its own.
// A file that fails or ends early fails the test.
func Load(t testing.TB, path string) []capture.Frame {
	t.Helper()
	s, err := pcapfile.Open([]string{path}, pcapfile.Options{
		Report: func(p *pcapfile.Problem) { t.Error(p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := Drain(s)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Drain reads src to its end and gives copies of its frames. The error is nil
// at io.EOF.
func Drain(src capture.Source) ([]capture.Frame, error) {
	var all []capture.Frame
	batch := make([]capture.Frame, 64)
	for {
		n, err := src.Read(batch)
		for _, f := range batch[:n] {
			f.Data = bytes.Clone(f.Data)
			all = append(all, f)
		}
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}
