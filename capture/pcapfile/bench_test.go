package pcapfile_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
)

// The generated captures: 135 MB in frames as long as those of
// the mix that the other figures stand for, on average.
const (
	benchFrames   = 160_000
	benchFrameLen = 845
)

// memoryDir is a folder that no disk slows down, where there is one.
func memoryDir(b *testing.B) string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		if dir, err := os.MkdirTemp("/dev/shm", "pcapfile-bench-"); err == nil {
			b.Cleanup(func() { os.RemoveAll(dir) })
			return dir
		}
	}
	return b.TempDir()
}

func benchFile(b *testing.B, name string, write func(io.Writer, []byte)) (string, int64) {
	path := filepath.Join(memoryDir(b), name)
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	data := make([]byte, benchFrameLen)
	for i := range data {
		data[i] = byte(i * 7)
	}
	write(w, data)
	w.Flush()
	st, _ := f.Stat()
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return path, st.Size()
}

func writePcap(w io.Writer, data []byte) {
	h := make([]byte, 24)
	binary.LittleEndian.PutUint32(h, 0xa1b2c3d4)
	h[4], h[6] = 2, 4
	binary.LittleEndian.PutUint32(h[16:], 262144)
	h[20] = 1
	w.Write(h)
	r := make([]byte, 16)
	binary.LittleEndian.PutUint32(r[8:], uint32(len(data)))
	binary.LittleEndian.PutUint32(r[12:], uint32(len(data)))
	for i := range benchFrames {
		binary.LittleEndian.PutUint32(r, uint32(i))
		w.Write(r)
		w.Write(data)
	}
}

func writePcapng(w io.Writer, data []byte) {
	ng, _ := pcapgo.NewNgWriter(w, layers.LinkTypeEthernet)
	for range benchFrames {
		ng.WritePacket(gopacket.CaptureInfo{CaptureLength: len(data), Length: len(data)}, data)
	}
	ng.Flush()
}

func benchSource(b *testing.B, path string, size int64, block int) {
	frames := make([]capture.Frame, 512)
	b.ReportAllocs()
	b.SetBytes(size)
	for b.Loop() {
		s, err := pcapfile.Open([]string{path}, pcapfile.Options{Block: block})
		if err != nil {
			b.Fatal(err)
		}
		n, sum := 0, byte(0)
		for {
			k, err := s.Read(frames)
			for i := range frames[:k] {
				sum += frames[i].Data[0] // the first line of a frame is what a decoder touches
			}
			n += k
			if err == io.EOF {
				break
			}
		}
		if s.Close(); n != benchFrames || s.Err() != nil {
			b.Fatal(n, s.Err())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchFrames, "ns/frame")
}

func BenchmarkPcap(b *testing.B) {
	path, size := benchFile(b, "x.pcap", writePcap)
	for _, block := range []int{64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", block>>10), func(b *testing.B) { benchSource(b, path, size, block) })
	}
	b.Run("pcapgo", func(b *testing.B) {
		benchPcapgo(b, path, size, func(r io.Reader) (func() ([]byte, gopacket.CaptureInfo, error), error) {
			p, err := pcapgo.NewReader(r)
			if err != nil {
				return nil, err
			}
			return p.ZeroCopyReadPacketData, nil
		})
	})
}

func BenchmarkPcapng(b *testing.B) {
	path, size := benchFile(b, "x.pcapng", writePcapng)
	b.Run("blocks", func(b *testing.B) { benchSource(b, path, size, 0) })
	b.Run("pcapgo", func(b *testing.B) {
		benchPcapgo(b, path, size, func(r io.Reader) (func() ([]byte, gopacket.CaptureInfo, error), error) {
			p, err := pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{WantMixedLinkType: true})
			if err != nil {
				return nil, err
			}
			return p.ZeroCopyReadPacketData, nil
		})
	})
}

func BenchmarkGzip(b *testing.B) {
	path, size := benchFile(b, "x.pcap", func(w io.Writer, data []byte) {
		z := gzip.NewWriter(w)
		writePcap(z, data)
		z.Close()
	})
	benchSource(b, path, size, 0)
}

func BenchmarkZstd(b *testing.B) {
	path, size := benchFile(b, "x.pcap", func(w io.Writer, data []byte) {
		z, _ := zstd.NewWriter(w)
		writePcap(z, data)
		z.Close()
	})
	benchSource(b, path, size, 0)
}

func benchPcapgo(b *testing.B, path string, size int64, open func(io.Reader) (func() ([]byte, gopacket.CaptureInfo, error), error)) {
	b.ReportAllocs()
	b.SetBytes(size)
	for b.Loop() {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		next, err := open(bufio.NewReaderSize(f, 1<<20))
		if err != nil {
			b.Fatal(err)
		}
		n, sum := 0, byte(0)
		for {
			data, _, err := next()
			if err != nil {
				break
			}
			sum += data[0]
			n++
		}
		if f.Close(); n != benchFrames {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchFrames, "ns/frame")
}
