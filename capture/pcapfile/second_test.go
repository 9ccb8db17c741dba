package pcapfile_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
)

// shared is the pool of real captures beside the repository, where it is.
const shared = "../../../shared/captures"

// captures lists the files of the pool; none where it is not.
func captures(t testing.TB) []string {
	var files []string
	filepath.WalkDir(shared, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "MANIFEST.tsv" {
			files = append(files, path)
		}
		return nil
	})
	return files
}

// Why pcapgo stops before the end of a file that is read here. The key is a
// part of its error.
var pcapgoStops = map[string]string{
	"capture length exceeds snap length":   "the snap length of the header is wrong or 0",
	"capture length exceeds original size": "more was captured than was on the wire, says the record",
	"Unknown minor version value":          "a version other than 2.4",
	"unexpected EOF":                       "the file is cut off",
}

// pcapgo, gopacket's readers, give the same frames of every capture of the
// pool, or stop before the end for a reason that is known.
func TestPcapgoGivesTheSameFrames(t *testing.T) {
	t.Parallel()
	files := captures(t)
	if len(files) == 0 {
		t.Skip("no ../shared/captures")
	}
	early := map[string]int{}
	for _, path := range files {
		got := readAll(t, []string{path}, pcapfile.Options{}, 100)
		if errors.Is(got.err, pcapfile.ErrNoCapture) && strings.Contains(got.err.Error(), "Network Monitor") {
			early["neither reads the format of Network Monitor"]++
			continue
		}
		if got.failed > 0 {
			t.Errorf("%s: %v", path, got.problems)
		}
		want, err := second(path)
		if err != nil {
			reason := ""
			for part, why := range pcapgoStops {
				if strings.Contains(err.Error(), part) {
					reason = why
				}
			}
			if reason == "" || len(want) > len(got.frames) {
				t.Errorf("%s: pcapgo stops after %d frames, we after %d %v: %v", path, len(want), len(got.frames), got.problems, err)
				continue
			}
			early[reason]++
			got.frames = got.frames[:len(want)]
		}
		for i := range got.frames {
			got.frames[i].Link &= 0xff // gopacket keeps eight bits of it
		}
		if d := differ(want, got.frames); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
	t.Logf("%d files; pcapgo stopped early: %v", len(files), early)
}

// second reads a file with pcapgo.
func second(path string) ([]capture.Frame, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var next func() ([]byte, gopacket.CaptureInfo, error)
	var link func(gopacket.CaptureInfo) capture.LinkType
	if bytes.HasPrefix(b, []byte("\x0a\x0d\x0d\x0a")) {
		r, err := pcapgo.NewNgReader(bufio.NewReader(bytes.NewReader(b)), pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			return nil, err
		}
		next = r.ReadPacketData
		link = func(ci gopacket.CaptureInfo) capture.LinkType {
			i, err := r.Interface(ci.InterfaceIndex)
			if err != nil {
				return 0xffff
			}
			return capture.LinkType(i.LinkType)
		}
	} else {
		r, err := pcapgo.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		next = r.ReadPacketData
		link = func(gopacket.CaptureInfo) capture.LinkType { return capture.LinkType(r.LinkType()) }
	}
	var frames []capture.Frame
	for {
		data, ci, err := next()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		if len(data) != ci.CaptureLength {
			return frames, fmt.Errorf("pcapgo gives %d bytes of %d", len(data), ci.CaptureLength)
		}
		frames = append(frames, capture.Frame{
			Data:      data,
			Time:      ci.Timestamp.UnixNano(),
			Length:    max(ci.Length, len(data)),
			Number:    uint64(len(frames) + 1),
			Link:      link(ci),
			Interface: int32(ci.InterfaceIndex),
		})
	}
}
