package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"kmswatch/alerts/config"
	"kmswatch/capture"
	"kmswatch/capture/capturetest"
	"kmswatch/capture/capturetest/netns"
	"kmswatch/capture/pcapfile"
	"kmswatch/decode"
)

// sentAlone are captures that are sent over a wire of their own, a few for each of
// what the filter looks into and of what it is told.
var sentAlone = []string{
	// Ports of interest, and what begins on others.
	"kms-zone-climb.pcap", "kms-unusual-port.pcap", "real-kvno.pcap", "dns-truncated-then-tcp.pcap",
	"real-rpcclient-anonymous.pcap", "rpc-http.pcap", "rpc-datagrams.pcap", "rpc-segments-of-one-byte.pcap",
	// Flows that are ignored, and looked at again.
	"real-ldap-starttls.pcap", "real-smb2-files.pcap", "real-smb3-encrypted.pcap",
	// Below TCP.
	"ip-fragments-out-of-order.pcap", "ipv6-extensions.pcap", "link-qinq.pcap", "tunnel-erspan2.pcap",
}

// TestTheWireGivesTheAlertsOfTheFile sends captures over a veth pair and reads
// them back through the sources of run, with the flow filter before them and the
// engine steering it, and holds the alerts against those that replay writes of the
// files: of some captures alone, and of all that can be sent, one after the other.
//
// All of the alerts is compared, as NDJSON byte by byte: rule, parties, facts,
// severity, count, quality, ids, and which frames they rest on. The stamps of the
// wire are of now, so that each frame gets the place and the time back that it has
// in its file. They are found by its bytes and by the order of the frames, which
// must be kept. No frame may be dropped, and none but those that were sent may come.
// Of a flow that the filter let go for a while, bytes are missing on the wire: its
// alerts say so, and nothing else of them may differ.
//
// A piece at a time is sent, and what it taught the engine is told to the filter
// before the next is: on a real wire the filter is steered while a flow goes on.
func TestTheWireGivesTheAlertsOfTheFile(t *testing.T) {
	netns.SkipUnlessRoot(t)
	conf, err := loadConfig("testdata/pool.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var alone []*traffic
	for _, name := range sentAlone {
		w := load(t, captures+name)
		if !w.fits() {
			t.Fatalf("%s cannot be sent", name)
		}
		alone = append(alone, w)
	}
	bulk := load(t, withBulk(t, captures+"real-smb2-null-session.pcap"))
	bulk.bulk = true
	paths, err := filepath.Glob(captures + "*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	// The domain controller of the pool is the host of most captures.
	server := netip.MustParseAddr("10.66.10.10")
	var fit, own []string
	for _, path := range paths {
		w := load(t, path)
		if !w.fits() {
			continue
		}
		fit = append(fit, path)
		if w.of(server) {
			own = append(own, path)
		}
	}
	all, hosts := load(t, fit...), load(t, own...)
	t.Logf("%d captures of %d, %d of them of a host", len(fit), len(paths), len(own))

	for _, way := range []struct {
		name         string
		mode, source string
		workers      int
		pieces       int // in which a capture is sent that is sent alone
	}{
		{"ring", config.ModeSpan, config.SourceRing, 1, 4},
		{"ring, 3 workers", config.ModeSpan, config.SourceRing, 3, 1},
		{"ring of a host", config.ModeHost, config.SourceRing, 1, 4},
		{"xdp", config.ModeSpan, config.SourceXDP, 1, 1 << 20},
		{"xdp, 3 workers", config.ModeSpan, config.SourceXDP, 3, 4},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			near, far := netns.New(t), netns.New(t)
			netns.Veth(t, near, "near", far, "far", wireMTU)
			w := wire{
				conf: conf, out: near.Sender(t, "near"), far: far, workers: way.workers,
				live: &live{
					mode: oneOf{value: way.mode}, source: oneOf{value: way.source},
					ringSize: 4 << 20, kmsPorts: kmsPorts(conf),
				},
			}
			many := all
			if way.mode == config.ModeHost {
				many = hosts
				far.IP(t, "address", "add", server.String(), "dev", "far")
			}
			for _, f := range alone {
				if way.mode == config.ModeSpan || f.of(server) {
					w.compare(t, f, (len(f.frames)+way.pieces-1)/way.pieces)
				}
			}
			w.compare(t, many, 64)
			if st := w.compare(t, bulk, 64); st.Filtered < 100 {
				t.Errorf("of what is encrypted the filter let %d frames go", st.Filtered)
			}
		})
	}
}

// wireMTU is that for which veth runs XDP in its driver.
const wireMTU = 1500

// traffic is what captures hold.
type traffic struct {
	paths  []string
	names  []string // of files, by Frame.File
	frames []capture.Frame
	lost   bool // a capture tells of frames that it has not
	bulk   bool // in the middle of a flow is what the filter is told to let go
}

func load(t *testing.T, paths ...string) *traffic {
	t.Helper()
	src, err := pcapfile.Open(paths, pcapfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	w := &traffic{paths: paths}
	if w.frames, err = capturetest.Drain(src); err != nil {
		t.Fatal(err)
	}
	for i := range paths {
		w.names = append(w.names, src.File(i))
	}
	w.lost = src.Stats().Dropped > 0
	return w
}

// fits tells whether all of it can be sent: whole frames of Ethernet, no larger
// than the wire takes.
func (w *traffic) fits() bool {
	const header, tag = 14, 4
	for i := range w.frames {
		f := &w.frames[i]
		room := wireMTU + header
		if len(f.Data) > header && f.Data[12] == 0x81 && f.Data[13] == 0 {
			room += tag
		}
		if f.Link != capture.LinkEthernet || len(f.Data) != f.Length || len(f.Data) < header || len(f.Data) > room {
			return false
		}
	}
	return len(w.frames) > 0 && !w.lost
}

// of tells whether all frames are from or to an address.
func (w *traffic) of(host netip.Addr) bool {
	return !slices.ContainsFunc(w.frames, func(f capture.Frame) bool {
		b := f.Data
		if len(b) < 34 || b[12] != 8 || b[13] != 0 {
			return true
		}
		return netip.AddrFrom4([4]byte(b[26:])) != host && netip.AddrFrom4([4]byte(b[30:])) != host
	})
}

// wire is a veth pair, and how it is watched.
type wire struct {
	conf    *config.Config
	out     *netns.Sender
	far     *netns.Space
	live    *live
	workers int
}

// compare sends traffic, a piece of so many frames at a time, and holds the alerts
// of what comes against those of replay.
func (w *wire) compare(t *testing.T, f *traffic, piece int) capture.Stats {
	t.Helper()
	var src capture.Source
	var err error
	w.far.Do(func() { src, err = openSource("far", w.live, zerolog.Nop()) })
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	steer := src.(capture.Steerer)
	src = capturetest.Poison(src)

	var got bytes.Buffer
	to := newAlertWriter("ndjson", &got, false)
	v, err := newEvaluator(w.conf, func(i int32) string { return f.names[i] }, to.take)
	if err != nil {
		t.Fatal(err)
	}
	ec := engineConfig(w.conf)
	ec.Workers, ec.Steer = w.workers, steer
	e := decode.New(ec, v)

	name := filepath.Base(f.paths[0])
	if len(f.paths) > 1 {
		name = fmt.Sprint(len(f.paths), " captures")
	}
	next := 0 // frame of the file that may come next
	frames := make([]capture.Frame, 16)
	for sent := 0; sent < len(f.frames); {
		begin := sent
		sent = min(sent+piece, len(f.frames))
		w.out.Send(t, data(f.frames[begin:sent])...)
		for late := time.Now().Add(10 * time.Second); ; {
			n, err := src.Read(frames)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for i := range frames[:n] {
				came := frames[i]
				for next < sent && !bytes.Equal(f.frames[next].Data, came.Data) {
					next++
				}
				if next == sent {
					t.Fatalf("%s: out of order, or never sent: %x", name, came.Data)
				}
				was := &f.frames[next]
				if came.Length != was.Length || came.Link != was.Link {
					t.Errorf("%s: frame %d has the length %d and the link %d", name, was.Number, came.Length, came.Link)
				}
				came.File, came.Number, came.Time = was.File, was.Number, was.Time
				e.Feed(&came)
				next++
			}
			st := src.Stats()
			if st.Dropped > 0 || st.Truncated > 0 || st.Received+st.Filtered > uint64(sent) || time.Now().After(late) {
				t.Fatalf("%s: of %d frames came %+v", name, sent, st)
			}
			if st.Received+st.Filtered == uint64(sent) {
				break
			}
		}
		e.Between(func(decode.Moment) {}) // the workers have told the filter then
	}
	e.Close()
	v.Close()
	if to.err != nil {
		t.Fatal(to.err)
	}
	told := got.String()
	if f.bulk {
		told = strings.ReplaceAll(told, `"bytes-missing"`, "")
	}
	if want := string(replayed(t, "1", f.paths...)); told != want {
		t.Errorf("%s: -file +wire\n%s", name, cmp.Diff(strings.Split(want, "\n"), strings.Split(told, "\n")))
	}
	st := src.Stats()
	if len(f.paths) > 1 {
		t.Logf("%s: %+v, %d alerts", name, st, bytes.Count(got.Bytes(), []byte("\n")))
		if st.Filtered == 0 {
			t.Error("the filter let no frame go")
		}
	}
	return st
}

// withBulk writes a capture of an SMB session in whose middle the server sends 2 MB
// that are encrypted, after which the session goes on in clear: its flow is ignored,
// and then watched again.
func withBulk(t *testing.T, path string) string {
	t.Helper()
	const size, segment = 2 << 20, 1400
	const seq, ack, payload = 14 + 20 + 4, 14 + 20 + 8, 14 + 20 + 32
	frames := captured(t, path)
	out := binary.LittleEndian.AppendUint32(nil, 0xa1b23c4d) // nanoseconds
	out = append(out, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0)
	add := func(time int64, b []byte) {
		for _, v := range []int64{time / 1e9, time % 1e9, int64(len(b)), int64(len(b))} {
			out = binary.LittleEndian.AppendUint32(out, uint32(v))
		}
		out = append(out, b...)
	}
	forth := func(b []byte) bool { return binary.BigEndian.Uint16(b[14+20+2:]) == 445 }
	const beforePipes = 5 // of requests; no flow is ignored that has one open
	requests, moved, last := 0, uint32(0), []byte(nil)
	for i := range frames {
		b := bytes.Clone(frames[i].Data)
		if forth(b) && len(b) > payload {
			requests++
		}
		if moved == 0 && requests == beforePipes {
			message := append([]byte{0, size >> 16, 0, 0, 0xfd, 'S', 'M', 'B'}, bytes.Repeat([]byte{0x5a}, size-4)...)
			from := binary.BigEndian.Uint32(b[ack:])
			for at := 0; at < len(message); at += segment {
				s := append(bytes.Clone(last[:payload]), message[at:min(at+segment, len(message))]...)
				binary.BigEndian.PutUint16(s[14+2:], uint16(len(s)-14))
				binary.BigEndian.PutUint32(s[seq:], from+uint32(at))
				add(frames[i-1].Time, s)
			}
			moved = uint32(len(message))
		}
		if at := seq; moved > 0 {
			if forth(b) {
				at = ack
			}
			binary.BigEndian.PutUint32(b[at:], binary.BigEndian.Uint32(b[at:])+moved)
		} else if !forth(b) && len(b) > payload {
			last = b
		}
		add(frames[i].Time, b)
	}
	if moved == 0 {
		t.Fatalf("%s has no place for what is encrypted", path)
	}
	to := filepath.Join(t.TempDir(), "bulk.pcap")
	write(t, to, string(out))
	return to
}

func data(frames []capture.Frame) (all [][]byte) {
	for i := range frames {
		all = append(all, frames[i].Data)
	}
	return all
}
