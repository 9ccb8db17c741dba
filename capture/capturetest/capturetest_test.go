package capturetest_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/capturetest"
)

func frames() []capture.Frame {
	return []capture.Frame{
		{Data: []byte("first"), Length: 5, Number: 1, Time: 10},
		{Data: []byte("second"), Length: 60, Number: 2, Time: 20},
		{Data: []byte("third"), Length: 5, Number: 3, Time: 30},
	}
}

func TestSliceGivesItsFramesInBatches(t *testing.T) {
	s := capturetest.Slice(frames())
	batch := make([]capture.Frame, 2)
	if n, err := s.Read(batch); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := s.Read(batch); n != 1 || err != nil || string(batch[0].Data) != "third" {
		t.Fatal(n, err, batch[0])
	}
	if n, err := s.Read(batch); n != 0 || err != io.EOF {
		t.Fatal(n, err)
	}
	if got, want := s.Stats(), (capture.Stats{Received: 3, Bytes: 16, Truncated: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPoisonSpoilsWhatIsKeptAndNotItsSource(t *testing.T) {
	in := frames()
	s := capturetest.Poison(capturetest.Slice(in))
	batch := make([]capture.Frame, 2)
	if n, err := s.Read(batch); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	kept := batch[1].Data
	if string(kept) != "second" || cap(kept) != len(kept) {
		t.Fatalf("got %q, cap %d", kept, cap(kept))
	}
	if _, err := s.Read(batch); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, bytes.Repeat([]byte{0xa5}, 6)) {
		t.Errorf("kept bytes are %q after the next Read", kept)
	}
	last := batch[0].Data
	s.Close()
	if !bytes.Equal(last, bytes.Repeat([]byte{0xa5}, 5)) {
		t.Errorf("kept bytes are %q after Close", last)
	}
	if string(in[1].Data) != "second" {
		t.Errorf("the source's own frame became %q", in[1].Data)
	}
}

func TestOneGivesFramesOneByOne(t *testing.T) {
	s := capturetest.One(capturetest.Slice(frames()))
	batch := make([]capture.Frame, 8)
	for i := range 3 {
		if n, err := s.Read(batch); n != 1 || err != nil || batch[0].Number != uint64(i+1) {
			t.Fatal(n, err, batch[0])
		}
	}
	if n, err := s.Read(batch); n != 0 || err != io.EOF {
		t.Fatal(n, err)
	}
}

func TestLoadReadsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pcap")
	file := "\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x04\x00\x01\x00\x00\x00" +
		"\x01\x00\x00\x00\x02\x00\x00\x00" + "\x03\x00\x00\x00\x04\x00\x00\x00" + "abc"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	got := capturetest.Load(t, path)
	if len(got) != 1 || string(got[0].Data) != "abc" || got[0].Length != 4 || got[0].Time != 1_000_002_000 || got[0].Link != capture.LinkEthernet {
		t.Errorf("got %+v", got)
	}
}
