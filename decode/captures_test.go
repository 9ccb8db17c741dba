package decode_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"kmswatch/decode/testdata/captures"
)

//go:generate go run ./testdata/captures/make.go testdata/captures

const pool = "testdata/captures"

// TestManifestNamesEveryCaptureAndItsHash: no capture without a line, no line
// without its capture, and none of them changed behind the manifest's back.
func TestManifestNamesEveryCaptureAndItsHash(t *testing.T) {
	t.Parallel()
	lines, err := captures.ReadManifest(filepath.Join(pool, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var listed, found []string
	for _, l := range lines {
		listed = append(listed, l.Name)
		b, err := os.ReadFile(filepath.Join(pool, l.Name))
		if err != nil {
			t.Error(err)
			continue
		}
		sum := sha256.Sum256(b)
		if got := hex.EncodeToString(sum[:]); got != l.SHA256 {
			t.Errorf("%s: hash is %s, the manifest says %s", l.Name, got, l.SHA256)
		}
		if l.Shows == "" || l.Tool == "" || l.Command == "" || l.Tshark == "" || l.Licence != captures.Licence {
			t.Errorf("%s: an empty column, or another licence", l.Name)
		}
		if l.Origin != "built" && l.Origin != "recorded" {
			t.Errorf("%s: origin %q is neither built nor recorded", l.Name, l.Origin)
		}
	}
	if !slices.IsSorted(listed) || len(slices.Compact(slices.Clone(listed))) != len(listed) {
		t.Error("the manifest is not in the order of its names, or names one twice")
	}
	entries, err := os.ReadDir(pool)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), ".pcap") {
			found = append(found, e.Name())
		}
	}
	if !slices.Equal(listed, found) {
		t.Errorf("files without a line: %v; lines without a file: %v", without(found, listed), without(listed, found))
	}
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// TestBuiltCapturesAreCurrent: the maker makes what the pool holds, and the
// same again when asked twice. Compressed files are compared by what they hold.
func TestBuiltCapturesAreCurrent(t *testing.T) {
	t.Parallel()
	lines, err := captures.ReadManifest(filepath.Join(pool, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	built := make(map[string]captures.Line)
	for _, l := range lines {
		if l.Origin == "built" {
			built[l.Name] = l
		}
	}
	for _, c := range captures.All() {
		made, err := c.Bytes()
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if again, err := c.Bytes(); err != nil || !bytes.Equal(made, again) {
			t.Errorf("%s: made twice, and the two differ (%v)", c.Name, err)
		}
		stored, err := os.ReadFile(filepath.Join(pool, c.Name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(inflated(t, made), inflated(t, stored)) || built[c.Name].Shows != c.Shows {
			t.Errorf("%s is not current: go generate ./decode", c.Name)
		}
		delete(built, c.Name)
	}
	for name := range built {
		t.Errorf("%s: nothing makes it any more", name)
	}
}

func inflated(t *testing.T, b []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(b)
	var err error
	switch {
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		r, err = gzip.NewReader(r)
	case bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPoolStaysSmall keeps the repository light: a capture shows one thing.
func TestPoolStaysSmall(t *testing.T) {
	t.Parallel()
	var total int64
	entries, err := os.ReadDir(pool)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 128<<10 {
			t.Errorf("%s has %d bytes", e.Name(), info.Size())
		}
		total += info.Size()
	}
	if total > 4<<20 {
		t.Errorf("the pool has %d bytes", total)
	}
}
