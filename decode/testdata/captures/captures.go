// Package captures makes those captures of the pool that no program at hand
// would put on a wire: KMS above all, and what is malformed or evasive. It is
// given nothing but its own code and gives the same bytes on every run: times
// are fixed, and what should look random is seeded by the capture's name.
//
// make.go beside it writes the files and their lines of MANIFEST.tsv. The
// captures of real programs are recorded by deploy/lab/record.sh.
//
// To add one: write a func(*tape), put it into the list of its file with a
// sentence of what it shows, and run go generate ./decode.
package captures

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Capture is one file of the pool that is made by code.
type Capture struct {
	Name  string // of the file
	Shows string // one sentence for the manifest
	play  func(*tape)
	write func(*tape) ([]byte, error)
}

// All lists the captures that are made by code, in the order of their names.
func All() []Capture {
	all := slices.Concat(kmsCaptures(), rpcCaptures(), tcpCaptures(), linkCaptures(), dnsCaptures(), fileCaptures(), attackCaptures(), callerCaptures(), carrierCaptures())
	for i := range all {
		if all[i].write == nil {
			all[i].Name += ".pcap"
			all[i].write = writePcap
		}
	}
	slices.SortFunc(all, func(a, b Capture) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Bytes makes the file.
func (c Capture) Bytes() ([]byte, error) {
	t := newTape(c.Name)
	c.play(t)
	return c.write(t)
}

// began is the time of the first frame of every capture.
var began = time.Date(2025, 6, 2, 8, 0, 0, 0, time.UTC)

// frame is one frame of a tape.
type frame struct {
	at     time.Time
	data   []byte
	length int // on the wire
}

// tape is a capture under way: the frames so far and the clock.
type tape struct {
	frames []frame
	now    time.Time
	step   time.Duration // between frames
	rng    *rand.Rand
	link   uint32                   // LINKTYPE_ number
	snap   int                      // bytes kept of a frame; 0 keeps all
	copies int                      // frames recorded for each frame sent
	wrap   func(ip []byte) [][]byte // IP packet to link frames
	ipID   uint16
	ports  uint16 // the next client's port
}

func newTape(name string) *tape {
	h := fnv.New64a()
	h.Write([]byte(name))
	t := &tape{
		now:    began,
		step:   400 * time.Microsecond,
		rng:    rand.New(rand.NewPCG(h.Sum64(), 1688)),
		link:   uint32(layers.LinkTypeEthernet),
		copies: 1,
		ports:  49700,
	}
	t.wrap = func(ip []byte) [][]byte { return [][]byte{ethernet(ip)} }
	return t
}

// record puts a link frame on the tape and lets the clock step.
func (t *tape) record(data []byte) {
	for i := range t.copies {
		f := frame{t.now.Add(time.Duration(i) * 3 * time.Microsecond), data, len(data)}
		if t.snap > 0 && len(data) > t.snap {
			f.data = data[:t.snap:t.snap]
		}
		t.frames = append(t.frames, f)
	}
	t.now = t.now.Add(t.step)
}

// wait lets time pass.
func (t *tape) wait(d time.Duration) { t.now = t.now.Add(d) }

// noise gives n bytes that look random.
func (t *tape) noise(n int) []byte {
	b := make([]byte, 0, n+7)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, t.rng.Uint64())
	}
	return b[:n:n]
}

// port gives the next ephemeral port of a client.
func (t *tape) port() uint16 {
	t.ports++
	return t.ports
}

func (f *frame) info() gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: f.at, CaptureLength: len(f.data), Length: f.length}
}
