package bpf

import "net/netip"

// Flow names a flow of TCP or UDP; which end is which does not matter.
type Flow struct {
	Proto uint8 // IP protocol number: 6 or 17
	A, B  netip.AddrPort
}

// Options steers a Filter. The zero value of a field is its default.
type Options struct {
	TCPPorts []uint16 // of interest
	UDPPorts []uint16
	Flows    int    // flows remembered; 65,536
	Seed     uint64 // of the hash of flows, which an attacker must not foresee
	RawIP    bool   // frames begin with their IP header, as those of tun and WireGuard

	// What XDP and TCX do with what passes.
	Ring int  // bytes of the ring for it, a power of two and of pages; 0: no ring
	Snap int  // bytes of a frame that go into the ring; 65,536
	Drop bool // XDP keeps frames from the host: only on a port that a mirror feeds
}

// Verdict is what the filter found a frame to be. The numbers are those of
// verdict.h.
type Verdict uint8

// Verdicts. The first four let a frame go.
const (
	Foreign    Verdict = iota // neither TCP nor UDP
	Bulk                      // TCP or UDP of no interest
	Ignored                   // of a flow that Ignore named
	Lost                      // wanted, but the ring was full
	Malformed                 // cut, or with a header that cannot be
	Unfollowed                // in an encapsulation that only the decoder follows
	Fragment                  // of an IP datagram
	Port                      // from or to a port of interest
	Watched                   // of a flow of interest
	Begins                    // a segment that may begin a flow of interest
	Datagram                  // a datagram that may be DCE/RPC
	Handshake                 // a SYN
	Ends                      // a SYN, FIN or RST of an ignored flow
	Verdicts
)

var verdictNames = [Verdicts]string{
	"foreign", "bulk", "ignored", "lost", "malformed", "unfollowed", "fragment",
	"port", "watched", "begins", "datagram", "handshake", "ends",
}

// String gives the name of a verdict, as metrics use it.
func (v Verdict) String() string {
	if v < Verdicts {
		return verdictNames[v]
	}
	return "verdict?"
}

// Passes tells whether user space gets frames of the verdict.
func (v Verdict) Passes() bool { return v > Lost && v < Verdicts }

// Count is how many frames there were and how many bytes they had on the wire.
type Count struct{ Frames, Bytes uint64 }

// Counters counts frames by verdict. They only grow.
type Counters [Verdicts]Count

// Passed sums what user space got.
func (c *Counters) Passed() (sum Count) {
	for v := range Verdicts {
		if v.Passes() {
			sum.Frames += c[v].Frames
			sum.Bytes += c[v].Bytes
		}
	}
	return sum
}

// Filtered sums what was of no interest.
func (c *Counters) Filtered() (sum Count) {
	for v := range Lost {
		sum.Frames += c[v].Frames
		sum.Bytes += c[v].Bytes
	}
	return sum
}

// Hook is where a program is attached.
type Hook uint8

// Hooks.
const (
	Socket Hook = iota
	XDP
	TCX
	hooks
)

// String gives the name of a hook.
func (h Hook) String() string { return [...]string{"socket filter", "XDP", "TCX"}[min(h, hooks-1)] }

// Direction is which frames of a device TCX sees.
type Direction uint8

// Directions.
const (
	Ingress Direction = iota
	Egress
)

// Mode is who runs an XDP program.
type Mode uint8

// Modes.
const (
	Best    Mode = iota // the driver if it can, else the stack
	Native              // the driver
	Generic             // the stack, at the cost of a socket buffer a frame
)

// String gives the name of a mode.
func (m Mode) String() string { return [...]string{"best", "native", "generic"}[min(m, Generic)] }

// Feature is something that a kernel has or lacks, or that this process may do
// or not.
type Feature struct {
	Name string // what it is
	OK   bool
	Note string // what it means for a capture, in one line
}
