package main

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kmswatch/decode/dcerpc"
)

// element is a proto or a field of tshark's PDML.
type element struct {
	Name   string    `xml:"name,attr"`
	Show   string    `xml:"show,attr"`
	Text   string    `xml:"showname,attr"`
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

// own is text of a field of e itself: deeper down, tshark tells what it knows
// from other frames.
func (e *element) own(name string) string {
	for _, f := range e.Fields {
		if f.Name == name {
			return f.Show
		}
	}
	return ""
}

func (e *element) number(name string) uint64 {
	n, _ := strconv.ParseUint(e.text(name), 0, 64)
	return n
}

// tsharkRows gives the rows of a capture. To reorder segments it waits for what
// is missing, for ever if that was not captured: gaps says that it is so.
func tsharkRows(t *testing.T, tshark, path string, gaps bool) []string {
	cmd := exec.CommandContext(t.Context(), tshark, "-2", "-n", "-r", path,
		"-o", fmt.Sprintf("tcp.reassemble_out_of_order:%t", !gaps),
		"-d", "tcp.port==1688,dcerpc",
		"-d", "tcp.port==4445,nbss",
		"-Y", "dcerpc || smb || smb2 || ntlmssp || kerberos || ldap || cldap || dns",
		"--disable-heuristic", "wg",
		"-J", "frame dcerpc smb smb2 ntlmssp spnego kerberos ldap cldap dns",
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

// rowsOf collects the rows of one packet while it walks the tree of its
// protocols, which nest as they are carried in one another.
type rowsOf struct {
	rows    []string
	frame   string
	carrier string // the last protocol that tells the transport of DCE/RPC
}

// packetRows gives the rows of one packet.
func packetRows(p *element) []string {
	var w rowsOf
	w.walk(p)
	return w.rows
}

func (w *rowsOf) add(format string, args ...any) {
	w.rows = append(w.rows, w.frame+" "+fmt.Sprintf(format, args...))
}

func (w *rowsOf) walk(e *element) {
	for i := range e.Fields {
		p := &e.Fields[i]
		switch p.Name {
		case "frame":
			w.frame = p.text("frame.number")
		case "eth", "ip", "ipv6", "tcp", "udp", "http":
			w.carrier = p.Name
			if p.Name == "tcp" && strings.Contains(p.Text, "Port: 593,") { // of a server that is spoken to directly
				w.carrier = "http"
			}
		case "smb", "smb2":
			if w.carrier != "tcp" && w.carrier != "smb" && w.carrier != "smb2" {
				continue // a mailslot over UDP or without IP, which decode leaves alone
			}
			w.carrier = p.Name
			if p.Name == "smb" {
				w.smb1(p)
			} else {
				w.smb2(p)
			}
		case "dcerpc":
			w.dcerpc(p)
		case "ntlmssp":
			w.ntlm(p)
		case "spnego":
			w.spnego(p)
		case "kerberos":
			w.kerberos(p)
		case "ldap", "cldap":
			w.carrier = p.Name
			if p.find("ldap.sasl_buffer_length") != nil {
				continue // signed and not sealed: decode looks into no SASL buffer
			}
			for _, m := range p.all("ldap.LDAPMessage_element") {
				w.ldap(m)
			}
		case "dns":
			w.carrier = p.Name
			w.dns(p)
		}
		w.walk(p)
	}
}

func (w *rowsOf) dns(p *element) {
	kind := "query"
	if p.number("dns.flags.response") == 1 || p.text("dns.flags.response") == "True" {
		kind = "response"
	}
	for _, q := range p.all("dns.qry.type") {
		if q.Show == "33" {
			w.add("dns %s %s 33", kind, dnsName(p.text("dns.qry.name")))
			break
		}
	}
	for _, rr := range records(p) {
		w.add("srv %s %d %d %d %s", dnsName(srvOwner(rr)), rr.number("dns.srv.priority"),
			rr.number("dns.srv.weight"), rr.number("dns.srv.port"), dnsName(rr.text("dns.srv.target")))
	}
}

func (w *rowsOf) dcerpc(p *element) {
	version := p.text("dcerpc.ver")
	switch {
	case w.carrier == "udp" && version == "4":
		w.add("dg %s seq=%d frag=%d opnum=%d %s", dcerpc.PType(p.number("dcerpc.pkt_type")), p.number("dcerpc.dg_seqnum"),
			p.number("dcerpc.dg_frag_num"), p.number("dcerpc.opnum"), strings.ToLower(p.text("dcerpc.dg_if_id")))
	case version != "5" || w.carrier == "udp":
	default:
		prefix := map[string]string{"smb": "np ", "smb2": "np ", "http": "http "}[w.carrier]
		if p.find("dcerpc.cn_rts_flags") != nil {
			row := fmt.Sprintf("rts flags=%d", p.number("dcerpc.cn_rts_flags"))
			for _, c := range p.all("dcerpc.cn_rts_command") {
				n, _ := strconv.ParseUint(c.Show, 0, 32)
				row += fmt.Sprintf(" %d", n)
			}
			w.add("%s%s", prefix, row)
			return
		}
		w.add("%s%s", prefix, dcerpcRow(p))
		if rest := dcerpcDetails(p); rest != "" {
			w.add("%s%s", prefix, rest)
		}
	}
}

func dcerpcDetails(p *element) string {
	var row string
	switch dcerpc.PType(p.number("dcerpc.pkt_type")) {
	case dcerpc.TypeBindAck, dcerpc.TypeAlterContextResp:
		results, reasons, accepted := p.all("dcerpc.cn_ack_result"), p.all("dcerpc.cn_ack_reason"), p.all("dcerpc.cn_ack_trans_id")
		for i, r := range results {
			row += " " + r.Show
			switch r.Show {
			case "0":
				if i < len(accepted) {
					row += "/" + accepted[i].Show
				}
			case "3":
			default: // tshark has a reason for rejections alone
				if len(reasons) > 0 {
					row += "/" + reasons[0].Show
					reasons = reasons[1:]
				}
			}
		}
	case dcerpc.TypeBindNak:
		row += fmt.Sprintf(" reason=%d", p.number("dcerpc.cn_reject_reason"))
	case dcerpc.TypeFault:
		row += fmt.Sprintf(" status=%#x", p.number("dcerpc.cn_status"))
	}
	if p.find("dcerpc.auth_type") != nil {
		row += fmt.Sprintf(" verifier=%d/%d/%d", p.number("dcerpc.auth_type"), p.number("dcerpc.auth_level"), p.number("dcerpc.auth_ctx_id"))
	}
	if row == "" {
		return ""
	}
	return fmt.Sprintf("with call=%d%s", p.number("dcerpc.cn_call_id"), row)
}

// smb1 tells of the commands of a chain: each has a tree of its own, which ends
// its name with the code.
func (w *rowsOf) smb1(p *element) {
	if p.find("smb.cmd") == nil {
		return
	}
	id := p.number("smb.pid") | p.number("smb.pid.high")<<16
	for i := range p.Fields {
		c := &p.Fields[i]
		open := strings.LastIndex(c.Show, "(0x")
		if c.Name != "" || open < 0 || !strings.HasSuffix(c.Show, ")") {
			continue
		}
		direction := "request"
		if p.number("smb.flags.response") == 1 {
			direction = fmt.Sprintf("response status=%#x", p.number("smb.nt_status"))
			if p.find("smb.error_class") != nil {
				direction = fmt.Sprintf("response error=%d/%d", p.number("smb.error_class"), p.number("smb.error_code"))
			}
		}
		code, _ := strconv.ParseUint(c.Show[open+1:len(c.Show)-1], 0, 8)
		w.add("smb1 %#02x %s mid=%d pid=%d uid=%d tid=%d", code, direction, p.number("smb.mid"), id, p.number("smb.uid"), p.number("smb.tid"))
		if direction == "request" && (code == 0x75 || code == 0xa2) {
			w.add("smb name=%s", strings.TrimPrefix(c.own(map[uint64]string{0x75: "smb.path", 0xa2: "smb.file"}[code]), `\`))
		}
	}
}

func (w *rowsOf) smb2(p *element) {
	switch {
	case p.find("smb2.cmd") != nil:
		direction := "request"
		if p.number("smb2.flags.response") == 1 {
			direction = fmt.Sprintf("response status=%#x", p.number("smb2.nt_status"))
		}
		tree := fmt.Sprintf("tree=%#x", p.number("smb2.tid"))
		if p.find("smb2.aid") != nil {
			tree = fmt.Sprintf("async=%#x", p.number("smb2.aid"))
		}
		w.add("smb2 %d %s id=%d session=%#x %s", p.number("smb2.cmd"), direction, p.number("smb2.msg_id"), p.number("smb2.sesid"), tree)
		if name, ok := map[uint64]string{3: "smb2.tree", 5: "smb2.filename"}[p.number("smb2.cmd")]; ok && direction == "request" {
			w.add("smb name=%s", strings.TrimPrefix(p.Fields[len(p.Fields)-1].own(name), `\`))
		}
	case p.find("smb2.header.transform.nonce") != nil:
		w.add("smb3 encrypted session=%#x", p.number("smb2.sesid"))
	case p.find("smb2.header.comp_transform.original_size") != nil:
		w.add("smb3 compressed")
	}
}

// ntlm tells of the messages; what tshark also calls so are the signatures of
// what follows.
func (w *rowsOf) ntlm(p *element) {
	kind := p.number("ntlmssp.messagetype")
	if kind == 0 || !slices.Contains([]string{"smb", "smb2", "tcp", "ldap"}, w.carrier) {
		return
	}
	row := fmt.Sprintf("ntlm %d", kind)
	if p.find("ntlmssp.negotiateflags") != nil {
		row += fmt.Sprintf(" flags=%#x", p.number("ntlmssp.negotiateflags"))
	}
	switch kind {
	case 2:
		info := "ntlmssp.challenge.target_info."
		row += fmt.Sprintf(" target=%q netbios=%q/%q dns=%q/%q", ntlmName(p, "ntlmssp.challenge.target_name"),
			p.text(info+"nb_computer_name"), p.text(info+"nb_domain_name"), p.text(info+"dns_computer_name"), p.text(info+"dns_domain_name"))
	case 3:
		row += fmt.Sprintf(" domain=%q user=%q host=%q", ntlmName(p, "ntlmssp.auth.domain"),
			ntlmName(p, "ntlmssp.auth.username"), ntlmName(p, "ntlmssp.auth.hostname"))
	}
	w.add("%s", row)
}

// ntlmName gives a name; tshark writes NULL for an empty one, without the
// fields of its place below it.
func ntlmName(p *element, name string) string {
	f := p.find(name)
	if f == nil || len(f.Fields) == 0 && f.Show == "NULL" {
		return ""
	}
	return f.Show
}

// spnego tells of the tokens in what decode follows.
func (w *rowsOf) spnego(p *element) {
	if !slices.Contains([]string{"smb", "smb2", "tcp", "ldap"}, w.carrier) {
		return
	}
	state := []string{"accept-completed", "accept-incomplete", "reject", "request-mic"}
	switch init, answer := p.find("spnego.negTokenInit_element"), p.find("spnego.negTokenTarg_element"); {
	case init != nil:
		row := "spnego negTokenInit"
		for _, m := range init.all("spnego.MechType") {
			row += " " + m.Show
		}
		w.add("%s", row)
	case answer != nil:
		row := "spnego negTokenResp"
		if answer.find("spnego.negResult") != nil {
			row += " state=" + state[answer.number("spnego.negResult")&3]
		}
		if answer.find("spnego.supportedMech") != nil {
			row += " chosen=" + answer.text("spnego.supportedMech")
		}
		w.add("%s", row)
	}
}

func (w *rowsOf) ldap(m *element) {
	op := m.number("ldap.protocolOp")
	row := fmt.Sprintf("ldap id=%s op=%d", m.text("ldap.messageID"), op)
	switch op {
	case 0:
		row += fmt.Sprintf(" name=%q auth=%d", m.text("ldap.name"), m.number("ldap.authentication"))
		if m.number("ldap.authentication") == 3 {
			row += " mechanism=" + m.text("ldap.mechanism")
		}
	case 3:
		row += fmt.Sprintf(" base=%q scope=%d", m.text("ldap.baseObject"), m.number("ldap.scope"))
	case 4:
		row += fmt.Sprintf(" name=%q", m.text("ldap.objectName"))
	}
	if m.find("ldap.resultCode") != nil {
		row += fmt.Sprintf(" result=%d", m.number("ldap.resultCode"))
	}
	w.add("%s", row)
}

func (w *rowsOf) kerberos(p *element) {
	kind := p.number("kerberos.msg_type")
	if kind == 0 || w.carrier == "dns" { // in TKEY records
		return
	}
	row := fmt.Sprintf("kerberos %d", kind)
	from, realm := p, "kerberos.realm"
	switch kind {
	case 10, 12:
		from = p.find("kerberos.req_body_element")
	case 11, 13:
		from, realm = p.find("kerberos.ticket_element"), "kerberos.crealm"
	case 14:
		from = p.find("kerberos.ticket_element")
	case 30:
		row += fmt.Sprintf(" error=%d", p.number("kerberos.error_code"))
	}
	if from == nil {
		from = &element{}
	}
	names := p
	if realm == "kerberos.realm" {
		names = from
	}
	var service []string
	for _, s := range from.all("kerberos.SNameString") {
		service = append(service, s.Show)
	}
	var client []string
	for _, s := range p.all("kerberos.CNameString") {
		client = append(client, s.Show)
	}
	w.add("%s realm=%q service=%q client=%q", row, names.text(realm), strings.Join(service, "/"), strings.Join(client, "/"))
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
