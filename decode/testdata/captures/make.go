//go:build ignore

// Command make writes the captures that are made by code into the pool, with
// their lines of MANIFEST.tsv. Lines of recorded captures stay as they are.
//
//	go run ./decode/testdata/captures/make.go [DIRECTORY]
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"kmswatch/decode/testdata/captures"
)

func main() {
	dir := "decode/testdata/captures"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := write(dir); err != nil {
		fmt.Fprintln(os.Stderr, "make:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	manifest := filepath.Join(dir, "MANIFEST.tsv")
	old, err := captures.ReadManifest(manifest)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	seen := make(map[string]string) // what tshark made of a file, by hash
	all := captures.All()
	var lines []captures.Line
	for _, l := range old {
		seen[l.SHA256] = l.Tshark
		made := func(c captures.Capture) bool { return c.Name == l.Name }
		switch {
		case l.Origin != "built":
			lines = append(lines, l)
		case !slices.ContainsFunc(all, made):
			if err := os.Remove(filepath.Join(dir, l.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	for _, c := range all {
		b, err := c.Bytes()
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, c.Name), b, 0o644); err != nil {
			return err
		}
		h := sha256.Sum256(b)
		sum := hex.EncodeToString(h[:])
		lines = append(lines, captures.Line{
			Name: c.Name, SHA256: sum, Shows: c.Shows, Origin: "built",
			Tool: "own code, gopacket", Command: "go run ./decode/testdata/captures/make.go",
			Tshark: seen[sum], Licence: captures.Licence,
		})
	}
	return captures.WriteManifest(manifest, lines)
}
