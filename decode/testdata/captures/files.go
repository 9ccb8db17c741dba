package captures

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/klauspost/compress/zstd"
)

// fileCaptures are one short KMS exchange in the forms a capture file takes.
func fileCaptures() []Capture {
	form := func(name, shows string, write func(*tape) ([]byte, error)) Capture {
		return Capture{name, shows, func(t *tape) { t.activation(internalClient, kmsHost, 6) }, write}
	}
	return []Capture{
		form("file-nanoseconds.pcap", "pcap with nanosecond stamps, one KMS exchange", writeNanos),
		form("file-swapped.pcap", "pcap in big-endian byte order, one KMS exchange", writeSwapped),
		form("file-interfaces.pcapng", "pcapng with two interfaces of different time resolution, one KMS exchange over both", writeNg),
		form("file-dropped.pcapng", "pcapng whose statistics say that 150 frames were dropped, one KMS exchange", writeDropped),
		form("file-gzip.pcap.gz", "gzip of a pcap, one KMS exchange", writeGzip),
		form("file-zstd.pcap.zst", "zstd of a pcap, one KMS exchange", writeZstd),
		form("file-gzip-misnamed.pcap", "gzip under the name of a plain pcap: the magic tells, not the name", writeGzip),
		form("file-cut.pcap", "pcap that ends inside a record: all whole records count", writeCut),
		form("file-wrong-snaplen.pcap", "pcap whose header says snap length 64 though longer frames follow", writeWrongSnap),
		form("file-empty.pcap", "pcap header without a record", writeEmpty),
	}
}

func writeRecords(t *tape, w *pcapgo.Writer, snap uint32) error {
	if err := w.WriteFileHeader(snap, layers.LinkTypeEthernet); err != nil {
		return err
	}
	for i := range t.frames {
		if err := w.WritePacket(t.frames[i].info(), t.frames[i].data); err != nil {
			return err
		}
	}
	return nil
}

const defaultSnap = 262144 // as tcpdump writes

func writePcap(t *tape) ([]byte, error) {
	var b bytes.Buffer
	snap := uint32(defaultSnap)
	if t.snap > 0 {
		snap = uint32(t.snap)
	}
	if err := writeRecords(t, pcapgo.NewWriter(&b), snap); err != nil {
		return nil, err
	}
	// gopacket's type has 8 bits, the field 32.
	binary.LittleEndian.PutUint32(b.Bytes()[20:], t.link)
	return b.Bytes(), nil
}

func writeNanos(t *tape) ([]byte, error) {
	for i := range t.frames {
		t.frames[i].at = t.frames[i].at.Add(time.Duration(i)*7 + 1)
	}
	var b bytes.Buffer
	err := writeRecords(t, pcapgo.NewWriterNanos(&b), defaultSnap)
	return b.Bytes(), err
}

func writeWrongSnap(t *tape) ([]byte, error) {
	b, err := writePcap(t)
	if err == nil {
		binary.LittleEndian.PutUint32(b[16:], 64)
	}
	return b, err
}

func writeEmpty(t *tape) ([]byte, error) {
	t.frames = nil
	return writePcap(t)
}

func writeCut(t *tape) ([]byte, error) {
	b, err := writePcap(t)
	return b[:max(0, len(b)-10)], err
}

// writeSwapped writes what a big-endian machine would.
func writeSwapped(t *tape) ([]byte, error) {
	o := binary.BigEndian
	b := o.AppendUint32(nil, 0xa1b2c3d4)
	b = o.AppendUint16(b, 2)
	b = o.AppendUint16(b, 4)
	b = o.AppendUint64(b, 0) // zone and accuracy
	b = o.AppendUint32(b, defaultSnap)
	b = o.AppendUint32(b, t.link)
	for i := range t.frames {
		f := &t.frames[i]
		b = o.AppendUint32(b, uint32(f.at.Unix()))
		b = o.AppendUint32(b, uint32(f.at.Nanosecond()/1000))
		b = o.AppendUint32(b, uint32(len(f.data)))
		b = o.AppendUint32(b, uint32(f.length))
		b = append(b, f.data...)
	}
	return b, nil
}

// writeNg puts the frames on two interfaces by turns.
func writeNg(t *tape) ([]byte, error) {
	var b bytes.Buffer
	span := pcapgo.NgInterface{Name: "span0", LinkType: layers.LinkTypeEthernet, TimestampResolution: 9, OS: "test"}
	w, err := pcapgo.NewNgWriterInterface(&b, span, pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{Hardware: "none", OS: "test", Application: "kmswatch"},
	})
	if err != nil {
		return nil, err
	}
	span.Name, span.TimestampResolution = "span1", 6
	if _, err := w.AddInterface(span); err != nil {
		return nil, err
	}
	for i := range t.frames {
		ci := t.frames[i].info()
		ci.InterfaceIndex = i % 2
		if err := w.WritePacket(ci, t.frames[i].data); err != nil {
			return nil, err
		}
	}
	err = w.Flush()
	return b.Bytes(), err
}

// writeDropped ends with the statistics of an interface that lost frames.
func writeDropped(t *tape) ([]byte, error) {
	var b bytes.Buffer
	span := pcapgo.NgInterface{Name: "span0", LinkType: layers.LinkTypeEthernet, TimestampResolution: 9, OS: "test"}
	w, err := pcapgo.NewNgWriterInterface(&b, span, pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{Hardware: "none", OS: "test", Application: "kmswatch"},
	})
	if err != nil {
		return nil, err
	}
	for i := range t.frames {
		if err := w.WritePacket(t.frames[i].info(), t.frames[i].data); err != nil {
			return nil, err
		}
	}
	last := t.frames[len(t.frames)-1].at
	err = w.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{
		LastUpdate: last, StartTime: t.frames[0].at, EndTime: last,
		PacketsReceived: uint64(len(t.frames)) + 150, PacketsDropped: 150,
	})
	if err != nil {
		return nil, err
	}
	err = w.Flush()
	return b.Bytes(), err
}

// Compressed bytes may differ between releases of the compressors; what they
// hold may not.
func writeGzip(t *tape) ([]byte, error) {
	return squeeze(t, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil })
}

func writeZstd(t *tape) ([]byte, error) {
	return squeeze(t, func(w io.Writer) (io.WriteCloser, error) {
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	})
}

func squeeze(t *tape, open func(io.Writer) (io.WriteCloser, error)) ([]byte, error) {
	plain, err := writePcap(t)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w, err := open(&b)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}
