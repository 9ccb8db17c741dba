package software

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/packet"
)

// collector is a dcerpc.Handler that tells of negotiations only.
type collector struct {
	tell func(n *dcerpc.Negotiation)
}

func (collector) Verifier(int, *dcerpc.PDU)                 {}
func (collector) PDU(int, *dcerpc.PDU, dcerpc.Syntax, bool) {}
func (c collector) Negotiation(n *dcerpc.Negotiation)       { c.tell(n) }
func (collector) Request(*dcerpc.Call)                      {}
func (collector) Call(*dcerpc.Call)                         {}
func (collector) Anomaly(int, dcerpc.Anomaly, int)          {}

// negotiations tells of the binds and alter_contexts of a capture with their
// answers, whatever carries them: PDUs that are whole in a segment are found by
// their looks, which is good enough for a survey.
func negotiations(tb testing.TB, path string, tell func(n *dcerpc.Negotiation)) {
	tb.Helper()
	src, err := pcapfile.Open([]string{path}, pcapfile.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer src.Close()
	type key struct {
		a, b   [16]byte
		ap, bp uint16
	}
	cfg := &dcerpc.Config{}
	flows := map[key]*dcerpc.Assoc{}
	var order []*dcerpc.Assoc
	d := packet.New(packet.Config{})
	frames := make([]capture.Frame, 16)
	h := collector{tell}
	for {
		k, err := src.Read(frames)
		for i := range frames[:k] {
			var p packet.Packet
			d.Decode(&frames[i], &p)
			if p.Proto != packet.ProtoTCP {
				continue
			}
			x, side := key{p.Src, p.Dst, p.SrcPort, p.DstPort}, 0
			if y := (key{p.Dst, p.Src, p.DstPort, p.SrcPort}); fmt.Sprint(y) < fmt.Sprint(x) {
				x, side = y, 1
			}
			for b := p.Payload; len(b) >= dcerpc.HeaderSize; {
				var hd dcerpc.Header
				if dcerpc.Probe(b) != dcerpc.Match || hd.Decode(b) != 0 || len(b) < int(hd.FragLength) {
					b = b[1:]
					continue
				}
				if hd.Type >= dcerpc.TypeBind && hd.Type <= dcerpc.TypeAlterContextResp {
					a := flows[x]
					if a == nil {
						a = new(dcerpc.Assoc)
						a.Reset(cfg)
						flows[x] = a
						order = append(order, a)
					}
					a.Data(side, b[:hd.FragLength], true, dcerpc.Point{}, h)
				}
				b = b[hd.FragLength:]
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	for _, a := range order {
		a.End(dcerpc.Point{}, true, h)
	}
}

// captureFiles lists the captures of the repository and, where they are there,
// those that it shares with others.
func captureFiles(tb testing.TB) (files []string) {
	tb.Helper()
	for _, root := range []string{"../testdata/captures", "../../../shared/captures"} {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.Contains(d.Name(), "cap") {
				files = append(files, path)
			}
			return nil
		})
	}
	sort.Strings(files)
	return files
}

var survey = flag.String("survey", "", "a capture or folder to print the fingerprints of; all for those of the repository and shared ones")

// TestSurvey prints what the binds of captures look like: how rows are found.
func TestSurvey(t *testing.T) {
	if *survey == "" {
		t.Skip("-survey names no capture")
	}
	files := captureFiles(t)
	if *survey != "all" {
		files = []string{*survey}
	}
	type row struct {
		count int
		files []string
	}
	rows := map[string]*row{}
	add := func(line, file string) {
		r := rows[line]
		if r == nil {
			r = new(row)
			rows[line] = r
		}
		r.count++
		if name := filepath.Base(file); !slices.Contains(r.files, name) && len(r.files) < 4 {
			r.files = append(r.files, name)
		}
	}
	for _, file := range files {
		known := map[string]*Groups{} // by secondary address, which is good enough here
		negotiations(t, file, func(n *dcerpc.Negotiation) {
			groups := known[string(n.Secondary)]
			if groups == nil {
				groups = new(Groups)
				known[string(n.Secondary)] = groups
			}
			groups.Add(n)
			if f := Client(n); f.Known() {
				name, confidence := ClientName(n)
				add(fmt.Sprintf("%s %-50s %q %d%%", f.Hash(), f.Text(), name, confidence), file)
			}
			if f := Server(n); f.Known() {
				name, confidence := ServerName(n, groups)
				add(fmt.Sprintf("%s %-50s %q %d%%", f.Hash(), f.Text(), name, confidence), file)
			}
		})
	}
	lines := make([]string, 0, len(rows))
	for line, r := range rows {
		lines = append(lines, fmt.Sprintf("%s, %d times in %s", line[13:], r.count, strings.Join(r.files, ", ")))
	}
	sort.Strings(lines)
	for _, l := range lines {
		t.Log(l)
	}
}
