package decode_test

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kmswatch/capture"
	"kmswatch/capture/capturetest"
	"kmswatch/decode"
)

// The fuzzer's frames: for each six bytes and its data. The first two are the
// step of the clock in milliseconds, signed; then a link type of links, how
// many bytes more were on the wire, and the length of the data.

var links = []capture.LinkType{
	capture.LinkEthernet, capture.LinkRaw, capture.LinkLinuxSLL, capture.LinkLinuxSLL2,
	capture.LinkNull, capture.LinkLoop, capture.LinkPPP, capture.LinkIPv6,
}

func cutFrames(b []byte) []capture.Frame {
	var frames []capture.Frame
	now := 1_750_000_000 * second
	for len(b) >= 6 {
		now += int64(int16(binary.BigEndian.Uint16(b))) * millisecond
		n := min(int(binary.BigEndian.Uint16(b[4:])), len(b)-6)
		frames = append(frames, capture.Frame{
			Data: b[6 : 6+n : 6+n], Length: n + int(b[3]), Time: now, Number: uint64(len(frames) + 1), Link: links[int(b[2])%len(links)],
		})
		b = b[6+n:]
	}
	return frames
}

func joinFrames(frames []capture.Frame) []byte {
	var b []byte
	last := int64(0)
	for i := range frames {
		f := &frames[i]
		step := int64(0)
		if i > 0 {
			step = min(max((f.Time-last)/millisecond, -1<<15), 1<<15-1)
		}
		last = f.Time
		link := 0
		for j, l := range links {
			if l == f.Link {
				link = j
			}
		}
		b = binary.BigEndian.AppendUint16(b, uint16(step))
		b = append(b, byte(link), byte(min(f.Length-len(f.Data), 255)))
		b = binary.BigEndian.AppendUint16(b, uint16(len(f.Data)))
		b = append(b, f.Data...)
	}
	return b
}

// watch checks what every event must be, and writes it down.
type watch struct {
	told
	t      *testing.T
	frames uint64
	ended  map[uint64]bool
}

func (w *watch) Handle(e decode.Event) {
	w.told.Handle(e)
	h := e.Head()
	if e.Kind() == decode.KindLoss {
		return // of no flow
	}
	if h.Flow.ID == 0 || h.At.Frame == 0 || h.At.Frame > w.frames {
		w.t.Errorf("of no flow or frame: %s", w.lines[len(w.lines)-1])
	}
	if a, ok := e.(*decode.Anomaly); ok && a.Protocol == decode.ProtoPacket {
		return // of no flow
	}
	if w.ended[h.Flow.ID] {
		w.t.Errorf("after its flow's end: %s", w.lines[len(w.lines)-1])
	}
	_, w.ended[h.Flow.ID] = e.(*decode.FlowEnd)
}

// FuzzEngine holds the events of one worker against those of three, and of
// frames whose memory is overwritten once they were fed. The bounds are small,
// so that they are met.
func FuzzEngine(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(pool, "*.pcap"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		if filepath.Base(path) == "file-cut.pcap" {
			continue
		}
		frames := capturetest.Load(f, path)
		f.Add(joinFrames(frames[:min(len(frames), 40)]))
	}
	cfg := decode.Config{MaxFlows: 1, MaxCalls: 4, MaxFragments: 4, IdleTCP: 5 * second, IdleUDP: second}
	f.Fuzz(func(t *testing.T, b []byte) {
		frames := cutFrames(b)
		run := func(workers int, spoil bool) []string {
			c := cfg
			c.Workers = workers
			w := &watch{t: t, frames: uint64(len(frames)), ended: make(map[uint64]bool)}
			e := decode.New(c, w)
			scratch := make([]byte, 0, 1<<16)
			for _, f := range frames {
				if spoil {
					f.Data = append(scratch[:0], f.Data...)
				}
				e.Feed(&f)
				for i := range f.Data {
					if spoil {
						f.Data[i] = 0xa5
					}
				}
			}
			e.Close()
			if n := e.Stats().Reassembly.Waiting; n != 0 {
				t.Errorf("%d workers: %d bytes wait behind the end", workers, n)
			}
			// An association's PDU takes sixteen bytes and gives at most a PDU's
			// worth of anomalies and a call; a frame, a flow and its end.
			if most := 16*len(frames) + len(b); len(w.lines) > most {
				t.Errorf("%d workers: %d events of %d bytes", workers, len(w.lines), len(b))
			}
			return w.lines
		}
		one := run(1, false)
		for _, other := range [][]string{run(3, false), run(1, true), run(2, true)} {
			if !equalLines(one, other) {
				t.Error(cmp.Diff(one, other))
			}
		}
	})
}
