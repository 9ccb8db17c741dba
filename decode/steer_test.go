package decode_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"kmswatch/capture"
	"kmswatch/decode"
	"kmswatch/decode/packet"
)

// filter stands for a source that lets frames go as it is told to, in the way
// that capture.Steerer says.
type filter struct {
	mu      sync.Mutex
	ignored map[capture.FlowKey]bool
	said    []string
	full    bool // every request is refused
}

func (s *filter) note(what string, k capture.FlowKey, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, fmt.Sprintf("%s %d %v %v", what, k.Proto, k.A, k.B))
	if s.full {
		return fmt.Errorf("no room")
	}
	if s.ignored == nil {
		s.ignored = make(map[capture.FlowKey]bool)
	}
	s.ignored[k] = on
	return nil
}

func (s *filter) Watch(k capture.FlowKey) error  { return s.note("watch", k, false) }
func (s *filter) Ignore(k capture.FlowKey) error { return s.note("ignore", k, true) }

func (s *filter) WatchPort(proto uint8, port uint16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, fmt.Sprintf("port %d %d", proto, port))
	return nil
}

// lets tells whether a frame of a reel passes: raw IP of version 4 and TCP.
func (s *filter) lets(f *capture.Frame) bool {
	d := packet.New(packet.Config{})
	var p packet.Packet
	if d.Decode(f, &p) != packet.TCP {
		return true
	}
	b := p.Payload
	begins := len(b) > 8 && (string(b[4:8]) == "\xfeSMB" || b[0] == 5 && b[1] <= 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, on := range s.ignored {
		if on && (k.A.Port() == p.SrcPort || k.B.Port() == p.SrcPort) {
			return begins || p.Flags&(packet.SYN|packet.FIN|packet.RST) != 0
		}
	}
	return true
}

// steered plays a reel through a filter and gives the events, and how many
// frames the filter let go.
func (r *reel) steered(t *testing.T, s *filter) (lines []string, gone int) {
	h := &told{t: t, start: r.frames[0].Time}
	e := decode.New(decode.Config{Steer: s}, h)
	for i := range r.frames {
		if s.lets(&r.frames[i]) {
			e.Feed(&r.frames[i])
		} else {
			gone++
		}
	}
	e.Close()
	return h.lines, gone
}

func TestASourceIsToldToLetBulkGo(t *testing.T) {
	r := newReel()
	s := r.smb(clientEnd)
	s.mss = 1460
	s.logon(ntlmAuthenticate("alice"), 0, 0)
	s.connect(`\\srv\files`, 6)
	for range 40 {
		s.read(7, make([]byte, 1<<16))
	}
	s.ipc()
	s.bind("samr", 9, samrWire)
	for range 40 { // a pipe is open: nothing is let go
		s.transact(9, requestPDU(2, 0, 6, make([]byte, 8)), responsePDU(2, 0, make([]byte, 8)))
	}
	whole := r.play(t, decode.Config{})

	f := &filter{}
	lines, gone := r.steered(t, f)
	if gone < 500 {
		t.Errorf("%d frames let go of %d", gone, len(r.frames))
	}
	flow := fmt.Sprintf("6 %v %v", clientEnd, smbEnd)
	if want := []string{"ignore " + flow, "watch " + flow}; !equalLines(f.said, want) {
		t.Errorf("said\n%s\nwant\n%s", joined(f.said), joined(want))
	}
	calls := func(lines []string) (n int) {
		for _, l := range lines {
			if strings.Contains(l, " call ") {
				n++
			}
		}
		return n
	}
	if calls(whole) != 40 || calls(lines) != 40 {
		t.Errorf("%d calls, and %d with file data let go; want 40 of both:\n%s", calls(whole), calls(lines), joined(lines))
	}

	refusing := &filter{full: true}
	if lines, gone := r.steered(t, refusing); gone != 0 || !equalLines(lines, whole) {
		t.Errorf("a source that refuses: %d frames let go, and these events:\n%s", gone, joined(lines))
	}
	if n := len(refusing.said); n == 0 || n > 3 { // 2.6 MB of file data
		t.Errorf("a source that refuses is asked %d times", n)
	}
}

func TestASourceIsToldToLetGoWhatCannotBeRead(t *testing.T) {
	r := newReel()
	c := r.dial(clientEnd, smbEnd) // SMB's port, and something else in it
	c.mss = 1460
	for range 20 {
		c.ask([]byte(strings.Repeat("\x17\x03\x03\x40\x00", 1<<14)))
		c.answer([]byte("\x17\x03\x03\x00\x01\x00"))
	}
	f := &filter{}
	if _, gone := r.steered(t, f); gone == 0 || len(f.said) != 1 {
		t.Errorf("%d frames let go; said %q", gone, f.said)
	}
}

func TestLongCallsAreNotLetGo(t *testing.T) {
	r := newReel()
	c := r.dial(clientEnd, netip.MustParseAddrPort("10.66.10.10:135"))
	c.mss = 1460
	c.ask(bindPDU(1, samrWire))
	c.answer(bindAckPDU(1))
	for i := range uint32(600) {
		c.ask(requestPDU(i+2, 0, 6, make([]byte, 4000)))
	}
	f := &filter{}
	if _, gone := r.steered(t, f); gone != 0 || len(f.said) != 0 {
		t.Errorf("%d frames let go; said %q", gone, f.said)
	}
}

func TestPortsOfTheEndpointMapperAreWatched(t *testing.T) {
	f := &filter{}
	h := &told{t: t}
	e := decode.New(decode.Config{Steer: f}, h)
	feed(t, open(t, "testdata/captures/real-rpcclient-connect.pcap"), 1, e)
	if len(f.said) != 1 || !strings.HasPrefix(f.said[0], "port 6 49") {
		t.Errorf("said %q", f.said)
	}
}

func TestAMapperThatNamesAllPortsDoesNotUndoTheFilter(t *testing.T) {
	f := &filter{}
	decode.WatchAllPorts(f)
	if len(f.said) != 4096 {
		t.Errorf("%d ports are watched", len(f.said))
	}
}
