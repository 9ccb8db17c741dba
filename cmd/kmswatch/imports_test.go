package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floor is the height of each top folder; imports point down.
var floor = map[string]int{"bpf": 0, "capture": 1, "decode": 2, "alerts": 3, "cmd": 4}

// closed lists what, outside its own floor, only cmd and tests may import.
var closed = []string{"bpf/", "capture/", "decode/packet", "decode/stream", "alerts/sink"}

// doors lists which folders may import a library, tests apart.
var doors = map[string][]string{
	"github.com/google/gopacket": {"cmd/trafficgen", "capture/npcap", "decode/packet"},
	"github.com/spf13/":          {"cmd"},
	"github.com/vbauerster/mpb":  {"cmd"},
	"github.com/rs/zerolog":      {"cmd"},
	"github.com/goccy/go-yaml":   {"alerts/config", "alerts/ecs/ecstest"},
	"github.com/gaissmai/bart":   {"alerts/zone", "alerts/inventory", "alerts"},
	"golang.org/x/net":           {},
	"github.com/cilium/ebpf":     {"bpf"},
	"github.com/coreos/":         {"cmd/kmswatch"},
	"github.com/landlock-lsm/":   {"cmd/kmswatch/confine"},
	"github.com/prometheus/":     {"cmd/kmswatch/metrics"},
	"github.com/segmentio/":      {"alerts/sink"},
	"github.com/twmb/":           {"alerts/sink/kafkatest"},
	"golang.org/x/sys":           {"alerts/spool", "bpf", "capture", "cmd/kmswatch"},
	"kernel.org/pub/linux/libs":  {"cmd/kmswatch/confine"},
	"golang.org/x/term":          {"cmd"},
	"github.com/klauspost/":      {"capture/pcapfile"},
	"github.com/google/go-cmp":   {},
	"github.com/rogpeppe/":       {},
}

// pure lists the folders that decode bytes and do nothing else, and impure what
// they may not import.
var (
	pure = []string{
		"decode/wire", "decode/packet", "decode/stream", "decode/ber",
		"decode/dcerpc", "decode/ndr", "decode/kms", "decode/epm", "decode/stub", "decode/software",
		"decode/smb", "decode/ncadg", "decode/rpch", "decode/dns", "decode/ldap", "decode/kerberos",
		"decode/ntlmssp", "decode/spnego", "decode/auth",
	}
	impure = []string{"fmt", "log", "log/slog", "os", "io", "net", "net/http", "time"}
)

// source is one Go file of the tree with its imports.
type source struct {
	path    string // from the root, with slashes
	imports []string
}

func sources(t *testing.T) []source {
	const root = "../.."
	var all []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n == "testdata" || n != ".." && strings.HasPrefix(n, ".") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(rel)}
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imp)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go file seen")
	}
	return all
}

func TestImportsPointDown(t *testing.T) {
	for _, s := range sources(t) {
		top, _, _ := strings.Cut(s.path, "/")
		for _, imp := range s.imports {
			to, ours := strings.CutPrefix(imp, "kmswatch/")
			if !ours {
				continue
			}
			low, _, _ := strings.Cut(to, "/")
			if floor[low] > floor[top] {
				t.Errorf("%s imports %s: imports point down", s.path, to)
			}
			if low == top || top == "cmd" || strings.HasSuffix(s.path, "_test.go") {
				continue
			}
			for _, c := range closed {
				if strings.HasPrefix(to, c) {
					t.Errorf("%s imports %s: only cmd may", s.path, to)
				}
			}
		}
	}
}

func TestEachLibraryHasItsDoor(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") || strings.HasPrefix(s.path, "capture/capturetest/") {
			continue
		}
		for _, imp := range s.imports {
			first, _, _ := strings.Cut(imp, "/")
			if !strings.Contains(first, ".") {
				continue
			}
			known := false
			for library, folders := range doors {
				if !strings.HasPrefix(imp, library) {
					continue
				}
				known = true
				if !slices.ContainsFunc(folders, func(d string) bool { return strings.HasPrefix(s.path, d+"/") }) {
					t.Errorf("%s imports %s: its door is %s", s.path, imp, strings.Join(folders, ", "))
				}
			}
			if !known {
				t.Errorf("%s imports %s, which has no door", s.path, imp)
			}
		}
	}
}

func TestDecodersArePure(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		if !slices.ContainsFunc(pure, func(d string) bool { return strings.HasPrefix(s.path, d+"/") }) {
			continue
		}
		for _, imp := range s.imports {
			if slices.Contains(impure, imp) {
				t.Errorf("%s imports %s: a decoder takes bytes and gives values", s.path, imp)
			}
		}
	}
}
