package decode_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kmswatch/bpf"
	"kmswatch/bpf/bpftest"
	"kmswatch/capture"
	"kmswatch/decode"
)

// kernelSource is a source whose frames the flow filter has seen: those that it
// lets go are missing.
type kernelSource struct {
	capture.Source
	t      *testing.T
	filter *bpf.Filter
	let    int // frames let go
}

func (s *kernelSource) Read(frames []capture.Frame) (int, error) {
	n, err := s.Source.Read(frames)
	kept := 0
	for _, f := range frames[:n] {
		if f.Link == capture.LinkEthernet && len(f.Data) >= 14 {
			v, err := s.filter.Judge(bpf.XDP, f.Data)
			if err != nil {
				s.t.Fatal(err)
			}
			if !v.Passes() {
				s.let++
				continue
			}
		}
		frames[kept] = f
		kept++
	}
	return kept, err
}

// steerer tells the filter of the endpoints that the decoder hears of, as a live
// capture does.
type steerer struct {
	recorder
	filter *bpf.Filter
}

func (s *steerer) Handle(e decode.Event) {
	s.recorder.Handle(e)
	if m, ok := e.(*decode.EndpointMapped); ok && m.Port != 0 {
		if err := s.filter.WatchPort(6, m.Port); err != nil {
			s.t.Error(err)
		}
	}
}

var flowID = regexp.MustCompile(`(Flow:\{ID:|"Flow":)(\d+)`)

// renumbered leaves out the ends of flows, which silence brings about and time
// passes with frames, and numbers the flows in their order: their own numbers are
// those of frames, of which fewer come behind a filter.
func renumbered(events []string) []string {
	events = slices.DeleteFunc(events, func(e string) bool { return strings.HasPrefix(e, "*decode.FlowEnd ") })
	numbers := make(map[string]string)
	for i, e := range events {
		events[i] = flowID.ReplaceAllStringFunc(e, func(s string) string {
			m := flowID.FindStringSubmatch(s)
			if numbers[m[2]] == "" {
				numbers[m[2]] = strconv.Itoa(len(numbers) + 1)
			}
			return m[1] + numbers[m[2]]
		})
	}
	return events
}

// every is which of the captures are gone through: each loads a program.
const every = 12

// What the filter lets go changes nothing of what the decoder tells.
func TestKernelFilterChangesNoEvent(t *testing.T) {
	bpftest.NeedRoot(t)
	let := 0
	for i, path := range allCaptures(t) {
		if i%every != 0 || !strings.HasPrefix(path, pool) {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := bpf.Load(bpf.Options{TCPPorts: bpftest.TCPPorts, UDPPorts: bpftest.UDPPorts})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			src := &kernelSource{Source: open(t, path), t: t, filter: f}
			s := &steerer{recorder{t: t}, f}
			feed(t, src, 1, decode.New(decode.Config{}, s))
			want := renumbered(events(t, open(t, path), 256, decode.Config{}))
			if d := cmp.Diff(want, renumbered(s.lines)); d != "" {
				t.Errorf("%d frames let go:\n%s", src.let, d)
			}
			let += src.let
		})
	}
	if let == 0 {
		t.Error("no frame was let go")
	}
	t.Logf("%d frames were let go", let)
}
