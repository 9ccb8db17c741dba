package captures

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Columns of MANIFEST.tsv, its first line.
var Columns = []string{"name", "sha256", "shows", "origin", "tool", "command", "tshark", "licence"}

// Licence of all captures of the pool.
const Licence = "Apache-2.0"

// Line is one file of the pool in MANIFEST.tsv.
type Line struct {
	Name    string
	SHA256  string // of the file, hex
	Shows   string
	Origin  string // recorded or built
	Tool    string // and its version
	Command string
	Tshark  string // what tshark 4.0 makes of it; written by deploy/lab/tshark.sh
	Licence string
}

// ReadManifest reads the lines of a manifest.
func ReadManifest(path string) ([]Line, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []Line
	for n, row := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		f := strings.Split(row, "\t")
		if len(f) != len(Columns) {
			return nil, fmt.Errorf("%s: line %d: %d columns, want %d", path, n+1, len(f), len(Columns))
		}
		if n > 0 {
			out = append(out, Line{f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]})
		}
	}
	return out, nil
}

// WriteManifest writes lines in the order of their names.
func WriteManifest(path string, lines []Line) error {
	slices.SortFunc(lines, func(a, b Line) int { return strings.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	fmt.Fprintln(&b, strings.Join(Columns, "\t"))
	for _, l := range lines {
		fmt.Fprintln(&b, strings.Join([]string{l.Name, l.SHA256, l.Shows, l.Origin, l.Tool, l.Command, l.Tshark, l.Licence}, "\t"))
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
