package main

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kmswatch/capture/pcapfile"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"
)

// TestDecodeAgreesWithTshark holds what decode says of every capture against
// what tshark says: frame, PDU type, call id, context id, opnum and interface
// for DCE/RPC over TCP; question, type and SRV data for DNS. A difference must
// be listed, with its reason, in testdata/tshark-differences.tsv, and what is
// listed there must be one.
func TestDecodeAgreesWithTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("left out: the comparison with tshark, which is not installed (apt install tshark)")
	}
	listed := readDifferences(t)
	for name, path := range poolOfCaptures(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs := tsharkRows(t, tshark, path)
			ours := decodeRows(t, path)
			got := slices.Concat(
				prefixed("-", subtract(theirs, ours)),
				prefixed("+", subtract(ours, theirs)),
			)
			var want []string
			for _, d := range listed[name] {
				want = append(want, d.row)
			}
			for _, row := range subtract(got, want) {
				t.Errorf("unlisted difference: %s\t%s", name, row)
			}
			for _, row := range subtract(want, got) {
				t.Errorf("listed, but no difference: %s\t%s", name, row)
			}
		})
	}
}

// poolOfCaptures finds the captures of the repo, and the shared ones when they
// are there, by name.
func poolOfCaptures(t *testing.T) map[string]string {
	pool := map[string]string{}
	for prefix, root := range map[string]string{"": "../../decode/testdata/captures", "shared/": "../../../shared/captures"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.Type().IsRegular() && strings.Contains(filepath.Base(path), ".pcap") {
				rel, err := filepath.Rel(root, path)
				if err != nil {
					return err
				}
				pool[prefix+filepath.ToSlash(rel)] = path
			}
			return nil
		})
		if err != nil && (prefix == "" || !errors.Is(err, fs.ErrNotExist)) {
			t.Fatal(err)
		}
	}
	if len(pool) == 0 {
		t.Fatal("no captures")
	}
	return pool
}

// difference is a line of the table of known differences.
type difference struct{ row, reason string }

func readDifferences(t *testing.T) map[string][]difference {
	f, err := os.Open("testdata/tshark-differences.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]difference{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if lines.Text() == "" || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		cols := strings.Split(lines.Text(), "\t")
		if len(cols) != 3 || cols[2] == "" {
			t.Fatalf("%s:%d: want capture, row and reason", f.Name(), n)
		}
		all[cols[0]] = append(all[cols[0]], difference{cols[1], cols[2]})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func prefixed(p string, rows []string) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = p + r
	}
	return out
}

// subtract gives the rows of a that are not in b, counting repeats.
func subtract(a, b []string) []string {
	left := map[string]int{}
	for _, r := range b {
		left[r]++
	}
	var out []string
	for _, r := range a {
		if left[r] > 0 {
			left[r]--
			continue
		}
		out = append(out, r)
	}
	return out
}

// rowWriter collects rows from events, as tsharkRows does from tshark.
type rowWriter struct{ rows []string }

func (w *rowWriter) Handle(e decode.Event) {
	frame := e.Head().At.Frame
	add := func(format string, args ...any) {
		w.rows = append(w.rows, fmt.Sprintf("%d ", frame)+fmt.Sprintf(format, args...))
	}
	switch e := e.(type) {
	case *decode.PDU:
		p := e.PDU
		row := fmt.Sprintf("%s call=%d", p.Type, p.CallID)
		switch p.Type {
		case dcerpc.TypeRequest:
			row += fmt.Sprintf(" ctx=%d opnum=%d", p.ContextID, p.Opnum)
		case dcerpc.TypeResponse, dcerpc.TypeFault:
			row += fmt.Sprintf(" ctx=%d", p.ContextID)
		case dcerpc.TypeBind, dcerpc.TypeAlterContext:
			for _, c := range p.Contexts {
				row += fmt.Sprintf(" %d:%s", c.ID, c.Abstract.UUID)
			}
		}
		add("%s", row)
	case *decode.DNSMessage:
		m := e.Message
		kind := "query"
		if m.Response {
			kind = "response"
		}
		if m.Type == 33 {
			add("dns %s %s %d", kind, m.Name, m.Type)
		}
		for _, r := range m.SRV {
			if r.Change != dns.DeleteSet && r.Change != dns.DeleteAll {
				add("srv %s %d %d %d %s", r.Name, r.Priority, r.Weight, r.Port, r.Target)
			}
		}
	}
}

func decodeRows(t *testing.T, path string) []string {
	src, err := pcapfile.Open([]string{path}, pcapfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	w := &rowWriter{}
	e := decode.New(decode.Config{Messages: true}, w)
	if err := pump(t.Context(), src, e); err != nil {
		t.Fatal(err)
	}
	e.Close()
	return w.rows
}

// element is a proto or a field of tshark's PDML.
type element struct {
	Name   string    `xml:"name,attr"`
	Show   string    `xml:"show,attr"`
	Fields []element `xml:",any"`
}

// find gives the first element of a name below e, itself excluded.
func (e *element) find(name string) *element {
	for i := range e.Fields {
		if e.Fields[i].Name == name {
			return &e.Fields[i]
		}
		if f := e.Fields[i].find(name); f != nil {
			return f
		}
	}
	return nil
}

// all gives the elements of a name below e.
func (e *element) all(name string) []*element {
	var out []*element
	for i := range e.Fields {
		if e.Fields[i].Name == name {
			out = append(out, &e.Fields[i])
		}
		out = append(out, e.Fields[i].all(name)...)
	}
	return out
}

func (e *element) text(name string) string {
	if f := e.find(name); f != nil {
		return f.Show
	}
	return ""
}

func (e *element) number(name string) uint64 {
	n, _ := strconv.ParseUint(e.text(name), 0, 64)
	return n
}

func tsharkRows(t *testing.T, tshark, path string) []string {
	cmd := exec.CommandContext(t.Context(), tshark, "-2", "-n", "-r", path,
		"-o", "tcp.reassemble_out_of_order:TRUE",
		"-d", "tcp.port==1688,dcerpc",
		"-Y", "(dcerpc && tcp) || dns",
		"-T", "pdml")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var rows []string
	x := xml.NewDecoder(&xmlText{from: bufio.NewReaderSize(out, 1<<20)})
	x.Strict = false
	for {
		tok, err := x.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("tshark's PDML: %v", err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Local != "packet" {
			continue
		}
		var p element
		if err := x.DecodeElement(&p, &start); err != nil {
			t.Fatalf("tshark's PDML: %v", err)
		}
		rows = append(rows, packetRows(&p)...)
	}
	// tshark exits with 2 for a capture that was cut; what it printed counts.
	if err := cmd.Wait(); err != nil && len(rows) == 0 && !strings.Contains(stderr.String(), "cut short") {
		t.Logf("tshark: %v: %s", err, stderr.String())
	}
	return rows
}

// xmlText reads what tshark means to be XML: names from the wire bring
// characters into it that XML does not have.
type xmlText struct {
	from *bufio.Reader
	line []byte
}

func (r *xmlText) Read(b []byte) (int, error) {
	if len(r.line) == 0 {
		line, err := r.from.ReadBytes('\n')
		if len(line) == 0 {
			return 0, err
		}
		r.line = bytes.Map(func(c rune) rune {
			if c == '\n' || c == '\t' || c >= ' ' && c != 0xfffe && c != 0xffff {
				return c
			}
			return '?'
		}, line)
	}
	n := copy(b, r.line)
	r.line = r.line[n:]
	return n, nil
}

// packetRows gives the rows of one packet.
func packetRows(p *element) []string {
	var rows []string
	var frame, carrier string
	for i := range p.Fields {
		proto := &p.Fields[i]
		add := func(format string, args ...any) {
			rows = append(rows, frame+" "+fmt.Sprintf(format, args...))
		}
		switch proto.Name {
		case "frame":
			frame = proto.text("frame.number")
		case "tcp", "udp", "smb", "smb2", "nbss", "http", "smb_pipe":
			carrier = proto.Name
		case "dcerpc":
			if carrier == "tcp" && proto.text("dcerpc.ver") == "5" {
				add("%s", dcerpcRow(proto))
			}
		case "dns":
			kind := "query"
			if proto.number("dns.flags.response") == 1 || proto.text("dns.flags.response") == "True" {
				kind = "response"
			}
			for _, q := range proto.all("dns.qry.type") {
				if q.Show == "33" {
					add("dns %s %s 33", kind, dnsName(proto.text("dns.qry.name")))
					break
				}
			}
			for _, rr := range records(proto) {
				add("srv %s %d %d %d %s", dnsName(srvOwner(rr)), rr.number("dns.srv.priority"),
					rr.number("dns.srv.weight"), rr.number("dns.srv.port"), dnsName(rr.text("dns.srv.target")))
			}
		}
	}
	return rows
}

// records gives the elements that hold one SRV record's data each.
func records(e *element) []*element {
	var out []*element
	for i := range e.Fields {
		f := &e.Fields[i]
		direct := slices.ContainsFunc(f.Fields, func(c element) bool { return c.Name == "dns.srv.port" })
		if direct {
			out = append(out, f)
			continue
		}
		out = append(out, records(f)...)
	}
	return out
}

// srvOwner puts a record's owner together: tshark takes service and protocol
// off the name.
func srvOwner(rr *element) string {
	if n := rr.text("dns.resp.name"); n != "" {
		return n
	}
	parts := []string{rr.text("dns.srv.service"), rr.text("dns.srv.proto"), rr.text("dns.srv.name")}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ".")
}

func dnsName(s string) string {
	if s == "<Root>" {
		return "."
	}
	return strings.ToLower(strings.TrimSuffix(s, "."))
}

func dcerpcRow(p *element) string {
	kind := dcerpc.PType(p.number("dcerpc.pkt_type"))
	row := fmt.Sprintf("%s call=%d", kind, p.number("dcerpc.cn_call_id"))
	switch kind {
	case dcerpc.TypeRequest:
		row += fmt.Sprintf(" ctx=%d opnum=%d", p.number("dcerpc.cn_ctx_id"), p.number("dcerpc.opnum"))
	case dcerpc.TypeResponse, dcerpc.TypeFault:
		row += fmt.Sprintf(" ctx=%d", p.number("dcerpc.cn_ctx_id"))
	case dcerpc.TypeBind, dcerpc.TypeAlterContext:
		for _, c := range p.all("dcerpc.cn_ctx_item") {
			row += fmt.Sprintf(" %d:%s", c.number("dcerpc.cn_ctx_id"), strings.ToLower(c.text("dcerpc.cn_bind_to_uuid")))
		}
	}
	return row
}
