// Package capture names what every source of frames gives: the frames, in
// batches, and what was lost. The sources themselves live in the packages
// below it; nothing here depends on a platform.
package capture

// LinkType is the link-layer header type of a frame, as numbered by the
// LINKTYPE_ registry of tcpdump.org.
type LinkType uint16

// Link types that the packet decoder reads.
const (
	LinkNull       LinkType = 0   // BSD loopback, family in host byte order
	LinkEthernet   LinkType = 1   // Ethernet II, 802.3, 802.1Q
	LinkPPP        LinkType = 9   // PPP
	LinkRawBSD     LinkType = 12  // raw IP, as some old captures number it
	LinkRawOpenBSD LinkType = 14  // raw IP, OpenBSD's number
	LinkRaw        LinkType = 101 // raw IP
	LinkLoop       LinkType = 108 // OpenBSD loopback, family in network byte order
	LinkLinuxSLL   LinkType = 113 // Linux cooked v1
	LinkIPv4       LinkType = 228 // raw IPv4
	LinkIPv6       LinkType = 229 // raw IPv6
	LinkLinuxSLL2  LinkType = 276 // Linux cooked v2
)

// Frame is one captured frame.
type Frame struct {
	Data      []byte   // captured bytes, borrowed: valid until the next Read of the source
	Time      int64    // nanoseconds since the Unix epoch, UTC
	Length    int      // bytes on the wire; more than len(Data) when the snap length cut the frame
	Number    uint64   // ordinal in its file, or since the start of a live capture; from 1
	File      int32    // index of the file among those of the source; 0 for a live capture
	Link      LinkType // how to read the first bytes
	Interface int32    // capture interface, for captures of several
}

// Stats counts what a source saw and lost. All counters only grow.
type Stats struct {
	Received  uint64 // frames handed out by Read
	Bytes     uint64 // captured bytes of those frames
	Dropped   uint64 // frames that the kernel or the driver dropped for lack of room
	Filtered  uint64 // frames that a kernel filter let go
	Truncated uint64 // frames cut by the snap length
}

// Source gives frames in batches. It is used by one goroutine; Stats may be
// called at any time and Close by another goroutine.
type Source interface {
	// Read fills frames from the front and returns how many it filled. The
	// data of the frames is valid until the next Read. At the end it returns
	// io.EOF, with or after the last frames. A live source returns 0 and no
	// error when no frame came for a while, so that whoever reads it can look
	// at the clock; after Close it returns os.ErrClosed.
	Read(frames []Frame) (int, error)
	Stats() Stats
	// Close ends the capture and unblocks Read.
	Close() error
}

// Plus adds the counters of another source.
func (s Stats) Plus(o Stats) Stats {
	s.Received += o.Received
	s.Bytes += o.Bytes
	s.Dropped += o.Dropped
	s.Filtered += o.Filtered
	s.Truncated += o.Truncated
	return s
}
