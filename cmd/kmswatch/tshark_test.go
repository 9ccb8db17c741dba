package main

import (
	"bufio"
	"errors"
	"fmt"
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
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"
	"kmswatch/decode/kerberos"
	"kmswatch/decode/ldap"
	"kmswatch/decode/ntlmssp"
	"kmswatch/decode/smb"
	"kmswatch/decode/spnego"
)

// TestDecodeAgreesWithTshark holds what decode says of every capture against
// what tshark says, frame by frame:
//
//   - DCE/RPC over TCP, HTTP and in pipes: PDU type, call id, context id, opnum,
//     interfaces of a bind; RTS: flags and commands;
//   - connectionless DCE/RPC: type, sequence number, fragment, opnum, interface;
//   - SMB 1, 2 and 3: each command of a chain with direction, status and ids;
//   - NTLM, wherever it is carried: type, flags and names;
//   - Kerberos, from a KDC and in tokens: type, error, realm and service;
//   - LDAP over TCP and UDP: message id, operation, names, scope, result;
//   - DNS: question, type and SRV data.
//
// A difference must be listed, with its reason, in
// testdata/tshark-differences.tsv, and what is listed there must be one.
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
			ours, gaps := decodeRows(t, path)
			theirs := tsharkRows(t, tshark, path, gaps)
			got := differences(theirs, ours)
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

// differences gives what only one of the two has. SMB messages that carry data
// of no interest are told as soon as their fields are there: frames before
// tshark's, which waits for the end, are no difference.
func differences(theirs, ours []string) []string {
	early := map[string][]int{}
	ours, theirs = subtract(ours, theirs), subtract(theirs, ours)
	for _, row := range ours {
		if frame, text := cutFrame(row); strings.HasPrefix(text, "smb") {
			early[text] = append(early[text], frame)
		}
	}
	var late []string
	for _, row := range theirs {
		frame, text := cutFrame(row)
		if e := early[text]; len(e) > 0 && e[0] < frame {
			late = append(late, fmt.Sprintf("%d %s", e[0], text))
			early[text] = e[1:]
			continue
		}
		late = append(late, row)
	}
	return slices.Concat(prefixed("-", subtract(late, ours)), prefixed("+", subtract(ours, late)))
}

// cutFrame takes the number of the frame off a row.
func cutFrame(row string) (int, string) {
	number, text, _ := strings.Cut(row, " ")
	frame, _ := strconv.Atoi(number)
	return frame, text
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
type rowWriter struct {
	rows []string
	gaps bool // bytes are missing in a flow
}

func (w *rowWriter) Handle(e decode.Event) {
	w.gaps = w.gaps || e.Head().Flow.Quality&decode.BytesMissing != 0
	frame := e.Head().At.Frame
	add := func(format string, args ...any) {
		w.rows = append(w.rows, fmt.Sprintf("%d ", frame)+fmt.Sprintf(format, args...))
	}
	switch e := e.(type) {
	case *decode.PDU:
		add("%s%s", transportPrefix(e.Transport), pduRow(e.PDU))
		if rest := pduDetails(e.PDU); rest != "" {
			add("%s%s", transportPrefix(e.Transport), rest)
		}
	case *decode.RTSMessage:
		row := fmt.Sprintf("rts flags=%d", e.RTS.Flags)
		for _, c := range e.RTS.Commands() {
			row += fmt.Sprintf(" %d", c.Type)
		}
		add("%s%s", transportPrefix(e.Transport), row)
	case *decode.DatagramPDU:
		p := e.PDU
		add("dg %s seq=%d frag=%d opnum=%d %s", p.Type, p.Seq, p.Fragment, p.Opnum, p.Interface.UUID)
	case *decode.SMBMessage:
		add("%s", smbRow(e.Message))
		if row := smbName(e.Message); row != "" {
			add("%s", row)
		}
	case *decode.LDAPMessage:
		add("%s", ldapRow(e.Message))
	case *decode.KerberosMessage:
		add("%s", kerberosRow(e.Message))
	case *decode.Token:
		if e.Tokens.Layers&auth.LayerSPNEGO != 0 {
			add("%s", spnegoRow(&e.Tokens.SPNEGO))
		}
		if e.Tokens.Layers&auth.LayerNTLM != 0 {
			add("%s", ntlmRow(&e.Tokens.NTLM))
		}
		if e.Tokens.Layers&auth.LayerKerberos != 0 && e.Tokens.Kerberos.Type != 0 {
			add("%s", kerberosRow(&e.Tokens.Kerberos))
		}
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

// transportPrefix marks the rows of PDUs that are not on TCP itself.
func transportPrefix(t decode.Transport) string {
	switch t {
	case decode.TransportPipe:
		return "np "
	case decode.TransportHTTP:
		return "http "
	}
	return ""
}

func pduRow(p *dcerpc.PDU) string {
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
	return row
}

// pduDetails tells of what only some PDUs have, "" if this one has none of it.
func pduDetails(p *dcerpc.PDU) string {
	var row string
	switch p.Type {
	case dcerpc.TypeBindAck, dcerpc.TypeAlterContextResp:
		for _, c := range p.Contexts {
			row += fmt.Sprintf(" %d", c.Result)
			switch c.Result {
			case dcerpc.Acceptance:
				row += fmt.Sprintf("/%s", c.Accepted.UUID)
			case dcerpc.NegotiateAck:
			default:
				row += fmt.Sprintf("/%d", c.Reason)
			}
		}
	case dcerpc.TypeBindNak:
		row += fmt.Sprintf(" reason=%d", p.NakReason)
	case dcerpc.TypeFault:
		row += fmt.Sprintf(" status=%#x", p.Status)
	}
	if p.Auth.Present {
		row += fmt.Sprintf(" verifier=%d/%d/%d", p.Auth.Type, p.Auth.Level, p.Auth.ContextID)
	}
	if row == "" {
		return ""
	}
	return fmt.Sprintf("with call=%d%s", p.CallID, row)
}

// smbName tells which share or file a request wants.
func smbName(m *smb.Message) string {
	switch {
	case m.Response || m.Short:
	case m.Version == smb.Version1 && (m.Command == 0x75 || m.Command == 0xa2),
		m.Version == smb.Version2 && (m.Command == smb.TreeConnect2 || m.Command == smb.Create2):
		return smbNameRow(m.Name)
	}
	return ""
}

// smbNameRow writes control characters as tshark does.
func smbNameRow(name string) string {
	var b strings.Builder
	for _, c := range strings.TrimPrefix(name, `\`) {
		if c < ' ' {
			fmt.Fprintf(&b, `\x%x`, c)
			continue
		}
		b.WriteRune(c)
	}
	return "smb name=" + b.String()
}

func spnegoRow(t *spnego.Token) string {
	row := "spnego " + strings.TrimSuffix(t.Form.String(), "2")
	for _, m := range t.Mechs {
		row += " " + spnego.OIDText(m.OID)
	}
	if t.State != 0 {
		row += fmt.Sprintf(" state=%s", t.State)
	}
	if t.Form == spnego.Resp && t.Mech.OID != nil {
		row += " chosen=" + spnego.OIDText(t.Mech.OID)
	}
	return row
}

func smbRow(m *smb.Message) string {
	direction := "request"
	if m.Response {
		direction = fmt.Sprintf("response status=%#x", m.Status)
		if m.DOS {
			direction = fmt.Sprintf("response error=%d/%d", m.Status&0xff, m.Status>>16)
		}
	}
	switch m.Version {
	case smb.VersionTransform:
		return fmt.Sprintf("smb3 encrypted session=%#x", m.Session)
	case smb.VersionCompression:
		return "smb3 compressed"
	case smb.Version1:
		return fmt.Sprintf("smb1 %#02x %s mid=%d pid=%d uid=%d tid=%d", m.Command, direction, m.ID, m.PID, m.Session, m.Tree)
	}
	tree := fmt.Sprintf("tree=%#x", m.Tree)
	if m.Async {
		tree = fmt.Sprintf("async=%#x", m.AsyncID)
	}
	return fmt.Sprintf("smb2 %d %s id=%d session=%#x %s", m.Command, direction, m.ID, m.Session, tree)
}

func ldapRow(m *ldap.Message) string {
	row := fmt.Sprintf("ldap id=%d op=%d", m.ID, m.Op)
	switch m.Op {
	case ldap.BindRequest:
		row += fmt.Sprintf(" name=%q auth=%d", m.Name, m.Auth)
		if m.Auth == ldap.AuthSASL {
			row += " mechanism=" + m.Mechanism
		}
	case ldap.SearchRequest:
		row += fmt.Sprintf(" base=%q scope=%d", m.Name, m.Scope)
	case ldap.SearchResultEntry:
		row += fmt.Sprintf(" name=%q", m.Name)
	}
	if m.HasResult {
		row += fmt.Sprintf(" result=%d", m.Result)
	}
	return row
}

func ntlmRow(m *ntlmssp.Message) string {
	row := fmt.Sprintf("ntlm %d", m.Type)
	if m.HasFlags {
		row += fmt.Sprintf(" flags=%#x", uint32(m.Flags))
	}
	switch m.Type {
	case ntlmssp.Challenge:
		row += fmt.Sprintf(" target=%q netbios=%q/%q dns=%q/%q", m.Target,
			m.Info.NetBIOSComputer, m.Info.NetBIOSDomain, m.Info.DNSComputer, m.Info.DNSDomain)
	case ntlmssp.Authenticate:
		row += fmt.Sprintf(" domain=%q user=%q host=%q", m.Domain, m.User, m.Workstation)
	}
	return row
}

func kerberosRow(m *kerberos.Message) string {
	row := fmt.Sprintf("kerberos %d", m.Type)
	if m.Type == kerberos.Error {
		row += fmt.Sprintf(" error=%d", m.ErrorCode)
	}
	return row + fmt.Sprintf(" realm=%q service=%q client=%q", m.Realm, m.Service, m.Client)
}

func decodeRows(t *testing.T, path string) (rows []string, gaps bool) {
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
	return w.rows, w.gaps
}
