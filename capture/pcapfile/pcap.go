package pcapfile

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"kmswatch/capture"
)

// Magic numbers of pcap files, as read in the byte order of the writer.
const (
	magicMicro  = 0xa1b2c3d4 // stamps in microseconds
	magicNano   = 0xa1b23c4d // stamps in nanoseconds
	magicNavtel = 0xa12b3c4d // microseconds, written by Navtel's tools
	magicKuz    = 0xa1b2cd34 // microseconds, records with Kuznetzov's longer header
)

// maxFrame is the most bytes a frame may have: four times the longest that
// libpcap and Wireshark take from a network (262,144). A length above it
// means that the reader has lost its way or that somebody wants it to.
const maxFrame = 1 << 20

// pcapHeaderLen is the length of the file header.
const pcapHeaderLen = 24

// stamp is what every frame of a file has in common, and what was counted.
type stamp struct {
	file      int32
	number    uint64 // of the last frame given
	bytes     uint64
	truncated uint64
	dropped   uint64
}

// pcap reads the records of a pcap file (draft-ietf-opsawg-pcap).
type pcap struct {
	stamp
	big    bool  // the writer's byte order is big-endian
	old    bool  // version below 2.4: the two lengths of a record may be swapped
	header int   // bytes of a record's header: 16, or 24 for Kuznetzov's
	tick   int64 // nanoseconds of one unit of the stamp's fraction
	link   capture.LinkType
}

// newPcap reads the file header at the front of b, which has pcapHeaderLen
// bytes. The snap length is not looked at: real files have a wrong one, or 0.
func newPcap(b []byte, s stamp) (pcap, error) {
	p := pcap{stamp: s, header: 16, tick: 1000}
	magic := binary.LittleEndian.Uint32(b)
	var order binary.ByteOrder = binary.LittleEndian
	if isPcap(bits.ReverseBytes32(magic)) {
		magic, p.big, order = bits.ReverseBytes32(magic), true, binary.BigEndian
	}
	switch magic {
	case magicNano:
		p.tick = 1
	case magicKuz:
		p.header = 24
	}
	major, minor := order.Uint16(b[4:]), order.Uint16(b[6:])
	// Version 2.2 had the lengths of a record the other way round, 2.3 was
	// written both ways, 543.0 is DG/UX's: libpcap, sf-pcap.c. Any other minor
	// version is read as 2.4, which is all that writers meant by it.
	switch {
	case major == 2:
		p.old = minor < 4
	case major == 543 && minor == 0:
		p.old = true
	default:
		return p, fmt.Errorf("pcap version %d.%d is not known", major, minor)
	}
	// The upper bits tell of a frame check sequence at the end of the frames.
	p.link = capture.LinkType(order.Uint32(b[20:]))
	return p, nil
}

// isPcap tells a magic number of pcap, read in the right byte order.
func isPcap(magic uint32) bool {
	switch magic {
	case magicMicro, magicNano, magicNavtel, magicKuz:
		return true
	}
	return false
}

func (p *pcap) frames(w *window, out []capture.Frame) (int, error) {
	b := w.bytes()
	off, n := 0, 0
	number, bytes, truncated := p.number, uint64(0), uint64(0)
	var err error
	for n < len(out) && len(b)-off >= p.header {
		h := b[off : off+p.header : off+p.header]
		sec := binary.LittleEndian.Uint32(h)
		frac := binary.LittleEndian.Uint32(h[4:])
		caplen := binary.LittleEndian.Uint32(h[8:])
		length := binary.LittleEndian.Uint32(h[12:])
		if p.big {
			sec, frac = bits.ReverseBytes32(sec), bits.ReverseBytes32(frac)
			caplen, length = bits.ReverseBytes32(caplen), bits.ReverseBytes32(length)
		}
		if caplen > length && p.old {
			caplen, length = length, caplen
		}
		if caplen > maxFrame {
			err = fmt.Errorf("a record of %d bytes is impossible", caplen)
			break
		}
		start := off + p.header
		end := start + int(caplen)
		if end > len(b) {
			break
		}
		f := &out[n]
		f.Data = b[start:end:end]
		f.Time = int64(sec)*1e9 + int64(frac)*p.tick
		f.Length = int(max(length, caplen))
		number++
		f.Number = number
		f.File = p.file
		f.Link = p.link
		f.Interface = 0
		bytes += uint64(caplen)
		if length > caplen {
			truncated++
		}
		off = end
		n++
	}
	p.number = number
	p.bytes += bytes
	p.truncated += truncated
	w.skip(off)
	return n, err
}

func (p *pcap) pending() int { return 0 }

func (p *pcap) counts() *stamp { return &p.stamp }
