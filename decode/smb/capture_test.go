package smb

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"kmswatch/decode/dcerpc"
	"kmswatch/decode/stream"
)

// segment is a TCP segment of a capture.
type segment struct {
	key   stream.Key
	dir   stream.Dir
	seg   stream.Segment
	frame uint64
}

// segments gives the TCP segments of a capture.
func segments(t testing.TB, path string) (list []segment) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var source interface {
		ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
		LinkType() layers.LinkType
	}
	if r, err := pcapgo.NewReader(f); err == nil {
		r.SetSnaplen(1 << 18)
		source = r
	} else {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			return nil
		}
		source = r
	}
	for frame := uint64(1); ; frame++ {
		data, info, err := source.ReadPacketData()
		if err != nil {
			return list
		}
		if s, ok := tcpOf(data, info, source.LinkType()); ok {
			s.frame = frame
			list = append(list, s)
		}
	}
}

func tcpOf(data []byte, info gopacket.CaptureInfo, link layers.LinkType) (s segment, ok bool) {
	defer func() { _ = recover() }() // of gopacket, on what was made to fuzz it
	p := gopacket.NewPacket(data, link, gopacket.DecodeOptions{NoCopy: true})
	tcp, _ := p.TransportLayer().(*layers.TCP)
	if tcp == nil {
		return s, false
	}
	var src, dst [16]byte
	length := 0
	for _, layer := range p.Layers() { // the innermost counts
		switch ip := layer.(type) {
		case *layers.IPv4:
			copy(src[12:], ip.SrcIP)
			copy(dst[12:], ip.DstIP)
			length = int(ip.Length) - int(ip.IHL)*4 - int(tcp.DataOffset)*4
		case *layers.IPv6:
			copy(src[:], ip.SrcIP)
			copy(dst[:], ip.DstIP)
			length = len(tcp.Payload)
		}
	}
	s.key, s.dir = stream.MakeKey(&src, &dst, uint16(tcp.SrcPort), uint16(tcp.DstPort), 6)
	s.seg = stream.Segment{Seq: tcp.Seq, Ack: tcp.Ack, Payload: tcp.Payload, Time: info.Timestamp.UnixNano()}
	s.seg.Missing = max(length-len(tcp.Payload), 0)
	for i, on := range []bool{tcp.FIN, tcp.SYN, tcp.RST, tcp.PSH, tcp.ACK, tcp.URG} {
		if on {
			s.seg.Flags |= 1 << i
		}
	}
	return s, true
}

// wired is a connection of a capture: it is SMB once a stream begins like it,
// and each pipe has an association.
type wired struct {
	record
	Conn
	is, not bool
	frame   uint64
	pdus    uint64
	streams [2]bytes.Buffer // whole
	gaps    int
}

var rpcConfig = &dcerpc.Config{Messages: true}

func (w *wired) Open(p *Pipe) {
	w.record.Open(p)
	if p.State == Granted {
		a := new(dcerpc.Assoc)
		a.Reset(rpcConfig)
		p.Owner = a
	}
}

func (w *wired) Data(p *Pipe, fromClient bool, b []byte, boundary bool, at dcerpc.Point) int {
	w.known(p)
	side := 1
	if fromClient {
		side = 0
	}
	return p.Owner.(*dcerpc.Assoc).Data(side, b, boundary, at, rpcRecord{w, p})
}

func (w *wired) PipeGap(p *Pipe, fromClient bool) {
	w.record.PipeGap(p, fromClient)
	side := 1
	if fromClient {
		side = 0
	}
	p.Owner.(*dcerpc.Assoc).Gap(side, dcerpc.Point{}, rpcRecord{w, p})
}

func (w *wired) Message(m *Message) {
	w.record.Message(m)
	if n := len(w.lines); n > 0 {
		w.lines[n-1] += fmt.Sprintf(" #%d mid %d", w.frame, m.ID)
	}
}

type rpcRecord struct {
	w *wired
	p *Pipe
}

func (r rpcRecord) PDU(side int, p *dcerpc.PDU, iface dcerpc.Syntax, known bool) {
	r.w.pdus++
	r.w.add("  %s: %s call %d", r.p.Name, p.Type, p.CallID)
}
func (r rpcRecord) Verifier(int, *dcerpc.PDU)       {}
func (r rpcRecord) Negotiation(*dcerpc.Negotiation) {}
func (r rpcRecord) Request(*dcerpc.Call)            {}
func (r rpcRecord) Call(*dcerpc.Call)               {}
func (r rpcRecord) Anomaly(side int, a dcerpc.Anomaly, offset int) {
	r.w.add("  %s: rpc anomaly %d %s", r.p.Name, side, a)
}

type receiver struct{ *wired }

func (r receiver) Data(dir stream.Dir, b []byte, boundary bool) int {
	w := r.wired
	if w.not {
		return len(b)
	}
	if !w.is {
		switch Probe(b) {
		case No:
			return len(b)
		case More:
			return 0
		}
		w.is = true
	}
	used := w.Conn.Data(int(dir), b, boundary, dcerpc.Point{Frame: w.frame}, w)
	w.streams[dir&1].Write(b[:used])
	return used
}

func (r receiver) Gap(dir stream.Dir, n int64) {
	if r.is {
		r.gaps++
		r.wired.Conn.Gap(int(dir), n, dcerpc.Point{Frame: r.frame}, r.wired)
	}
}
func (r receiver) Anomaly(stream.Dir, stream.Anomaly) {}

// replay gives the connections of a capture that carry SMB.
func replay(t testing.TB, path string, quiet bool) (all []*wired) {
	r := stream.NewReassembler(stream.Config{})
	type flow struct {
		conn stream.Conn
		to   *wired
	}
	flows := map[stream.Key]*flow{}
	cfg := &Config{Messages: true}
	open := func(f *flow) {
		f.to = new(wired)
		f.to.quiet = quiet
		f.to.Reset(cfg)
	}
	done := func(f *flow) {
		if f.to.is {
			f.to.End(dcerpc.Point{}, true, f.to)
			all = append(all, f.to)
		}
	}
	var order []*flow
	for _, s := range segments(t, path) {
		f := flows[s.key]
		if f == nil {
			f = new(flow)
			open(f)
			flows[s.key] = f
			order = append(order, f)
		}
		f.to.frame = s.frame
		if r.Segment(&f.conn, s.dir, &s.seg, receiver{f.to}) == stream.Reused {
			r.Flush(&f.conn, receiver{f.to})
			r.Reset(&f.conn)
			done(f)
			open(f)
			f.to.frame = s.frame
			r.Segment(&f.conn, s.dir, &s.seg, receiver{f.to})
		}
	}
	for _, f := range order {
		r.Flush(&f.conn, receiver{f.to})
		done(f)
	}
	return all
}

func captures() []string {
	a, _ := filepath.Glob("../../../shared/captures/*/*.pcap*")
	b, _ := filepath.Glob("../testdata/captures/*.pcap")
	return append(a, b...)
}

// Real captures: pipes that are opened are ended, nothing is given for a pipe
// that is not open, memory is bounded, and each connection told whole is told
// the same byte by byte.
func TestRealCaptures(t *testing.T) {
	paths := captures()
	verbose := os.Getenv("SMB_VERBOSE")
	seen := 0
	for i, path := range paths {
		if testing.Short() && i%10 != 0 || !strings.Contains(path, verbose) {
			continue
		}
		for k, w := range replay(t, path, false) {
			seen++
			if verbose != "" {
				fmt.Printf("== %s %d\n%s\n", filepath.Base(path), k, strings.Join(w.lines, "\n"))
			}
			if len(w.bad) > 0 || len(w.pipes) > 0 {
				t.Errorf("%s: connection %d: %v, %d pipes without end", path, k, w.bad, len(w.pipes))
			}
			if n := w.Excess(); n > 2<<20 {
				t.Errorf("%s: connection %d: %d bytes beyond", path, k, n)
			}
			whole, bytewise := new(record), new(record)
			for _, r := range []*record{whole, bytewise} {
				var c Conn
				c.Reset(&Config{Messages: true})
				size := 1 << 30
				if r == bytewise {
					size = 1
				}
				for side := range w.streams {
					feed(&c, side, w.streams[side].Bytes(), func() int { return size }, r)
				}
				c.End(dcerpc.Point{}, true, r)
			}
			if a, b := whole.take(), bytewise.take(); a != b {
				t.Errorf("%s: connection %d differs byte by byte", path, k)
			}
		}
	}
	if seen == 0 {
		t.Skip("no captures beside the repository")
	}
	t.Logf("%d connections", seen)
}

// What the captures of the repository show is told.
func TestCapturesTellWhatTheyShow(t *testing.T) {
	for name, want := range map[string][]string{
		"real-smb2-null-session": {`tree `, `ipc granted STATUS_SUCCESS`, `open 1 "srvsvc" granted`, `open 2 "samr" granted`, `open 4 "lsarpc" granted`,
			"samr: bind call", "samr: bind_ack call", "lsarpc: response call", "end of pipe 5 true"},
		"real-smb2-null-session-denied": {"refused STATUS_ACCESS_DENIED"},
		"real-smb2-wrong-password":      {"refused STATUS_LOGON_FAILURE"},
		"real-smb2-ntlm-disabled":       {"refused STATUS_NTLM_BLOCKED"},
		"real-smb2-guest":               {"granted STATUS_SUCCESS legs 2 guest"},
		"real-smb2-session-bind":        {"must-sign signed binding"},
		"real-smb2-kerberos":            {"granted STATUS_SUCCESS legs 1", "samr: response"},
		"real-smb3-encrypted":           {"opaque encrypted session 0x83e9157a client true", "opaque encrypted session 0x83e9157a client false"},
		"real-smb2-compound":            {"CLOSE response STATUS_FILE_CLOSED chain 4", "related-first!"},
		"real-smb2-notify":              {"CHANGE_NOTIFY response STATUS_PENDING"},
		"real-smb1-lanman":              {`guest lm 24 nt 0 account "visitor" domain "CORP"`},
		"real-smb1-raw-ntlm":            {`guest lm 24 nt 24 account "visitor"`, `lm 0 nt 0 account ""`, "srvsvc: response"},
		"real-smb1-null-session":        {`open 3 "samr" granted`, "TRANSACTION request of samr", "samr: response"},
		"real-smb1-rpc-sign":            {"signed", "samr: bind_ack"},
		"real-smb1-files":               {"READ_ANDX response STATUS_SUCCESS"},
		"real-nmap-smb":                 {`open 1 "nmap-test-file" refused STATUS_OBJECT_NAME_NOT_FOUND`},
	} {
		path := "../testdata/captures/" + name + ".pcap"
		if _, err := os.Stat(path); err != nil {
			continue
		}
		var all strings.Builder
		for _, w := range replay(t, path, false) {
			all.WriteString(w.take() + "\n")
		}
		for _, s := range want {
			if !strings.Contains(all.String(), s) {
				t.Errorf("%s: nothing has %q in it", name, s)
			}
		}
	}
}
