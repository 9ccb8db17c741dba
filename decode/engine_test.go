package decode_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kmswatch/capture"
	"kmswatch/capture/capturetest"
	"kmswatch/capture/pcapfile"
	"kmswatch/decode"
)

// recorder writes each event as a line of text.
type recorder struct {
	t     *testing.T
	lines []string
}

func (r *recorder) Handle(e decode.Event) {
	body, err := json.Marshal(e)
	if err != nil {
		r.t.Error(err)
	}
	// Empty and nil slices are the same to a handler.
	text := strings.NewReplacer(`:null`, `:-`, `:""`, `:-`, `:[]`, `:-`).Replace(string(body))
	r.lines = append(r.lines, fmt.Sprintf("%T %+v %s", e, *e.Head(), text))
}

func allCaptures(t testing.TB) []string {
	var all []string
	for _, pattern := range []string{"testdata/captures/*.pcap*", "../../shared/captures/*/*.pcap*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		t.Fatal("no captures")
	}
	return all
}

func open(t testing.TB, path string) *pcapfile.Source {
	src, err := pcapfile.Open([]string{path}, pcapfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// feed gives frames in batches of n to an engine and closes it.
func feed(t testing.TB, src capture.Source, n int, e *decode.Engine) {
	frames := make([]capture.Frame, n)
	for {
		n, err := src.Read(frames)
		for i := range frames[:n] {
			e.Feed(&frames[i])
		}
		if errors.Is(err, io.EOF) {
			e.Close()
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func events(t *testing.T, src capture.Source, batch int, cfg decode.Config) []string {
	r := &recorder{t: t}
	feed(t, src, batch, decode.New(cfg, r))
	return r.lines
}

func TestEventsAreTheSameForAnyNumberOfWorkers(t *testing.T) {
	for _, path := range allCaptures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			want := events(t, open(t, path), 256, decode.Config{})
			for _, workers := range []int{2, 8} {
				src, batch := capture.Source(open(t, path)), 256
				if workers == 2 {
					src, batch = capturetest.One(capturetest.Poison(src)), 1
				}
				got := events(t, src, batch, decode.Config{Workers: workers, Seed: uint64(workers)})
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%d workers, %d frames at a time:\n%s", workers, batch, d)
				}
			}
			poisoned := events(t, capturetest.Poison(open(t, path)), 64, decode.Config{})
			if d := cmp.Diff(want, poisoned); d != "" {
				t.Errorf("memory of frames was kept:\n%s", d)
			}
		})
	}
}

// TestBoundsHold replays every capture with bounds so small that everything is
// evicted: the engine must go on, and events stay the same for every number of
// workers.
func TestBoundsHold(t *testing.T) {
	cfg := decode.Config{MaxFlows: 1, MaxWaiting: 1 << 10, MaxReassembly: 1 << 10, MaxState: 1, MaxCalls: 1, MaxFragments: 1, MaxDepth: 1}
	for _, path := range allCaptures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			want := events(t, open(t, path), 256, cfg)
			many := cfg
			many.Workers = 3
			if d := cmp.Diff(want, events(t, open(t, path), 256, many)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFramesOfNoInterestAllocateNothing(t *testing.T) {
	bulk := bulkOf(t, capturetest.Load(t, made(t, "mix", 20000)))
	e := decode.New(decode.Config{}, &recorder{t: t})
	i := 0
	allocs := testing.AllocsPerRun(len(bulk)-1, func() {
		e.Feed(&bulk[i%len(bulk)])
		i++
	})
	if allocs != 0 {
		t.Errorf("%v allocations a frame", allocs)
	}
	if st := e.Stats(); st.Interest != 0 {
		t.Errorf("%d frames of bulk reached a shard", st.Interest)
	}
}

// perRun feeds a part of a reel for each run and gives the allocations. The
// parts are what was added to the reel by do, run by run; what was added before
// is fed first.
func perRun(t *testing.T, r *reel, runs int, do func(run int)) float64 {
	t.Helper()
	e := decode.New(decode.Config{}, &counter{})
	for i := range r.frames {
		e.Feed(&r.frames[i])
	}
	ends := []int{len(r.frames)}
	for i := range runs + 1 {
		do(i)
		ends = append(ends, len(r.frames))
	}
	i := 0
	allocs := testing.AllocsPerRun(runs, func() {
		for ; i < ends[1]; i++ {
			e.Feed(&r.frames[i])
		}
		ends = ends[1:]
	})
	e.Close()
	return allocs
}

func TestCallsInAPipeAllocateLittle(t *testing.T) {
	for _, c := range []struct {
		name string
		call func(c *smbTalk, id uint32)
	}{
		{"by transactions", func(c *smbTalk, id uint32) {
			c.transact(1, requestPDU(id, 0, 5, make([]byte, 60)), responsePDU(id, 0, make([]byte, 200)))
		}},
		{"by writes and reads", func(c *smbTalk, id uint32) {
			c.write(1, requestPDU(id, 0, 5, make([]byte, 60)))
			c.read(1, responsePDU(id, 0, make([]byte, 200)))
		}},
		{"of KMS", func(c *smbTalk, id uint32) {
			c.transact(1, requestPDU(id, 0, 0, kmsAsk()), responsePDU(id, 0, kmsGrant()))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReel()
			s := r.smb(clientEnd)
			s.logon(ntlmAuthenticate("alice"), 0, 0)
			s.ipc()
			s.bind("samr", 1, kmsWire)
			c.call(s, 2)
			if n := perRun(t, r, 200, func(i int) { c.call(s, uint32(i+3)) }); n > 2 {
				t.Errorf("%v allocations a call", n)
			}
		})
	}
}

func TestFileDataOfSMBAllocatesNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		carry func(c *smbTalk)
	}{
		{"written", func(c *smbTalk) { c.write(7, make([]byte, 1<<16)) }},
		{"read", func(c *smbTalk) { c.read(7, make([]byte, 1<<16)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReel()
			s := r.smb(clientEnd)
			s.logon(ntlmAuthenticate("alice"), 0, 0)
			s.connect(`\\srv\files`, 6)
			s.mss = 1460
			c.carry(s)
			if n := perRun(t, r, 50, func(int) { c.carry(s) }); n != 0 {
				t.Errorf("%v allocations for 64 KiB", n)
			}
		})
	}
}

// made gives the path of a capture of trafficgen's.
func made(t testing.TB, kind string, frames int) string {
	path := filepath.Join(t.TempDir(), kind+".pcap")
	run(t, "go", "run", "kmswatch/cmd/trafficgen", "--kind", kind, "--frames", fmt.Sprint(frames), "--output", path)
	return path
}

// fastDir is a folder in memory where there is one, so that a benchmark does
// not measure a disk.
func fastDir(t testing.TB) string {
	if dir, err := os.MkdirTemp("/dev/shm", "kmswatch"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

func TestForeignProtocolsAreGuessed(t *testing.T) {
	cases := []struct{ name, first, want string }{
		{"a TLS client hello", "\x16\x03\x01\x02\x00\x01", "tls"},
		{"an SSH banner", "SSH-2.0-OpenSSH_9.2p1\r\n", "ssh"},
		{"an HTTP request", "GET / HTTP/1.1\r\n", "http"},
		{"the banner of ncacn_http", "ncacn_http/1.0", "ncacn_http"},
		{"a SOCKS greeting (trap 51)", "\x05\x01\x00", "socks"},
		{"an SMB negotiation", "\x00\x00\x00\x85\xffSMBr", "smb"},
		{"an RDP connection request", "\x03\x00\x00\x13\x0e\xe0\x00\x00", "rdp"},
		{"something else", strings.Repeat("x", 40), "unknown"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := decode.Guess([]byte(c.first)); got != c.want {
				t.Errorf("guessed %q, want %q", got, c.want)
			}
		})
	}
}
