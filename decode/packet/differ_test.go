package packet

import (
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
)

func load(t testing.TB, path string) []capture.Frame {
	t.Helper()
	s, err := pcapfile.Open([]string{path}, pcapfile.Options{Report: func(*pcapfile.Problem) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all []capture.Frame
	batch := make([]capture.Frame, 64)
	for {
		n, err := s.Read(batch)
		for _, f := range batch[:n] {
			f.Data = append([]byte(nil), f.Data...)
			all = append(all, f)
		}
		if err != nil {
			return all
		}
	}
}
