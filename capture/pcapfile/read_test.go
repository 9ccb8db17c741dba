package pcapfile_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
)

// blocks are the sizes that every capture of these tests is read with: byte by
// byte, shorter than a header, shorter than a record, all at once.
var blocks = []int{1, 7, 33, 4096, 0}

func TestPcapIsReadInEveryByteOrderAndResolution(t *testing.T) {
	t.Parallel()
	const sec, frac = 1_700_000_000, 123_456
	micro, nano := int64(sec*1e9+frac*1000), int64(sec*1e9+frac)
	// What Kuznetzov's patch has behind the usual header of a record.
	kuz := func(o order) []byte {
		b := record(o, sec, frac, 60, "abc")
		ext := o.AppendUint32(nil, 2)     // interface index
		ext = o.AppendUint16(ext, 0x0800) // protocol
		ext = append(ext, 0, 0xff)        // packet type, padding
		return join(b[:16], ext, b[16:])
	}
	for _, c := range []struct {
		name  string
		magic uint32
		link  uint32
		want  int64
		typ   capture.LinkType
	}{
		{"microseconds", 0xa1b2c3d4, 1, micro, 1},
		{"nanoseconds", 0xa1b23c4d, 1, nano, 1},
		{"Navtel's magic", 0xa12b3c4d, 1, micro, 1},
		{"Kuznetzov's magic", 0xa1b2cd34, 113, micro, 113},
		{"a frame check sequence of 4 bytes told in the link type", 0xa1b2c3d4, 0x24000114, micro, 276},
	} {
		for _, o := range []order{little, big} {
			t.Run(c.name+" "+o.String(), func(t *testing.T) {
				r := func() []byte { return record(o, sec, frac, 60, "abc") }
				if c.magic == 0xa1b2cd34 {
					r = func() []byte { return kuz(o) }
				}
				file := join(pcapHeader(o, c.magic, c.link), r(), r())
				want := []capture.Frame{
					{Data: []byte("abc"), Time: c.want, Length: 60, Number: 1, Link: c.typ},
					{Data: []byte("abc"), Time: c.want, Length: 60, Number: 2, Link: c.typ},
				}
				for _, block := range blocks {
					got := readBytes(t, file, block)
					if d := cmp.Diff(want, got.frames); d != "" || got.problems != nil {
						t.Errorf("block %d: %v\n%s", block, got.problems, d)
					}
					if want := (capture.Stats{Received: 2, Bytes: 6, Truncated: 2}); got.stats != want {
						t.Errorf("block %d: got %+v, want %+v", block, got.stats, want)
					}
				}
			})
		}
	}
}

// A pcap as bytes, to be compared with the specification by eye.
func TestPcapAsWritten(t *testing.T) {
	t.Parallel()
	file := "\xd4\xc3\xb2\xa1" + // magic, little-endian, microseconds
		"\x02\x00\x04\x00" + // version 2.4
		"\x00\x00\x00\x00\x00\x00\x00\x00" + // time zone, accuracy
		"\xff\xff\x00\x00" + // snap length 65,535
		"\x01\x00\x00\x00" + // Ethernet
		"\x00\xf1\x53\x65\x40\xe2\x01\x00" + // 1700000000.123456
		"\x04\x00\x00\x00\x3c\x00\x00\x00" + // 4 bytes of 60
		"\xde\xad\xbe\xef"
	got := readBytes(t, []byte(file), 0)
	want := []capture.Frame{{Data: []byte("\xde\xad\xbe\xef"), Time: 1_700_000_000_123_456_000, Length: 60, Number: 1, Link: capture.LinkEthernet}}
	if d := cmp.Diff(want, got.frames); d != "" {
		t.Error(d)
	}
}

func TestPcapHeadersOfRealFilesAreTolerated(t *testing.T) {
	t.Parallel()
	frame := func(n int) string { return strings.Repeat("x", n) }
	patch := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	h := pcapHeader(little, 0xa1b2c3d4, 1)
	rec := record(little, 1, 2, 100, frame(100))
	swapped := patch(record(little, 1, 2, 40, frame(60)), 8, 100, 0, 0, 0, 60) // captured 100 of 60
	for _, c := range []struct {
		name           string
		file           []byte
		caplen, length int
	}{
		{"a snap length of 0", join(patch(h, 16, 0, 0, 0, 0), rec), 100, 100},
		{"a snap length below the frames", join(patch(h, 16, 64, 0, 0, 0), rec), 100, 100},
		{"a snap length of all ones", join(patch(h, 16, 255, 255, 255, 255), rec), 100, 100},
		{"more captured than was on the wire", join(h, record(little, 1, 2, 40, frame(60))), 60, 60},
		{"version 2.5", join(patch(h, 6, 5), rec), 100, 100},
		{"version 2.2 with the lengths swapped", join(patch(h, 6, 2), swapped), 60, 100},
		{"version 2.3 with the lengths swapped", join(patch(h, 6, 3), swapped), 60, 100},
		{"version 2.3 with the lengths in order", join(patch(h, 6, 3), rec), 100, 100},
		{"version 543.0 of DG/UX", join(patch(h, 4, 0x1f, 2, 0, 0), swapped), 60, 100},
		{"a frame of nothing", join(h, record(little, 1, 2, 0, "")), 0, 0},
		{"microseconds beyond a second", join(h, record(little, 1, 2_000_000, 100, frame(100))), 100, 100},
		{"the longest frame", join(h, record(little, 1, 2, 1<<20, frame(1<<20))), 1 << 20, 1 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, block := range blocks[1:] {
				got := readBytes(t, c.file, block)
				if len(got.frames) != 1 || got.problems != nil {
					t.Fatalf("block %d: %d frames, %v", block, len(got.frames), got.problems)
				}
				if f := got.frames[0]; len(f.Data) != c.caplen || f.Length != c.length {
					t.Errorf("block %d: %d bytes of %d, want %d of %d", block, len(f.Data), f.Length, c.caplen, c.length)
				}
			}
		})
	}
}

func TestPcapngBlocks(t *testing.T) {
	t.Parallel()
	for _, o := range []order{little, big} {
		file := join(
			section(o),
			describe(o, 1, 0),
			describe(o, 113, 96, option(o, 9, []byte{9}), option(o, 14, o.AppendUint64(nil, 100))), // nanoseconds, 100 s on
			ngBlock(o, 4, make([]byte, 40)), // name resolution
			enhanced(o, 0, 1_700_000_000_000_001, 4, "wxyz"),
			ngBlock(o, 0x0bad, make([]byte, 9000)), // custom, longer than a small window
			enhanced(o, 1, 1_700_000_000_000_000_002, 60, "abc"),
			simple(o, 3, "sim"),
			obsolete(o, 1, 5_000_000_000, 61, "old!!"),
			statistics(o, 0, option(o, 5, o.AppendUint64(nil, 7)), option(o, 7, o.AppendUint64(nil, 2))),
			statistics(o, 0, option(o, 5, o.AppendUint64(nil, 8)), option(o, 7, o.AppendUint64(nil, 2))),
			statistics(o, 1, option(o, 5, o.AppendUint64(nil, 1))),
			statistics(o, 9, option(o, 5, o.AppendUint64(nil, 1000))), // of no interface
			ngBlock(o, 0x80000001), // a local block of nothing
		)
		want := []capture.Frame{
			{Data: []byte("wxyz"), Time: 1_700_000_000_000_001_000, Length: 4, Number: 1, Link: 1},
			{Data: []byte("abc"), Time: 1_700_000_100_000_000_002, Length: 60, Number: 2, Link: 113, Interface: 1},
			{Data: []byte("sim"), Time: 1_700_000_100_000_000_002, Length: 3, Number: 3, Link: 1}, // without a time of its own
			{Data: []byte("old!!"), Time: 105_000_000_000, Length: 61, Number: 4, Link: 113, Interface: 1},
		}
		for _, block := range blocks {
			got := readBytes(t, file, block)
			if d := cmp.Diff(want, got.frames); d != "" || got.problems != nil {
				t.Errorf("%v, block %d: %v\n%s", o, block, got.problems, d)
			}
			if want := (capture.Stats{Received: 4, Bytes: 15, Truncated: 2, Dropped: 11}); got.stats != want {
				t.Errorf("%v, block %d: got %+v, want %+v", o, block, got.stats, want)
			}
		}
	}
}

func TestPcapngSectionsHaveTheirOwnByteOrderAndInterfaces(t *testing.T) {
	t.Parallel()
	file := join(
		section(little), describe(little, 1, 0), describe(little, 101, 0), enhanced(little, 1, 1, 1, "a"),
		section(big), describe(big, 113, 0), enhanced(big, 0, 2, 1, "b"),
		section(little), describe(little, 276, 0), enhanced(little, 0, 3, 1, "c"),
	)
	want := []capture.Frame{
		{Data: []byte("a"), Time: 1000, Length: 1, Number: 1, Link: 101, Interface: 1},
		{Data: []byte("b"), Time: 2000, Length: 1, Number: 2, Link: 113},
		{Data: []byte("c"), Time: 3000, Length: 1, Number: 3, Link: 276},
	}
	for _, block := range blocks {
		got := readBytes(t, file, block)
		if d := cmp.Diff(want, got.frames); d != "" || got.problems != nil {
			t.Errorf("block %d: %v\n%s", block, got.problems, d)
		}
	}
}

func TestPcapngSimplePacketsAreCutBySnapLengthOrBlock(t *testing.T) {
	t.Parallel()
	file := join(section(little), describe(little, 1, 2), simple(little, 60, "abcd"), simple(little, 1, "a"),
		section(little), describe(little, 1, 0), simple(little, 60, "abcd"))
	var got []string
	for _, f := range readBytes(t, file, 0).frames {
		got = append(got, fmt.Sprintf("%s of %d", f.Data, f.Length))
	}
	if d := cmp.Diff([]string{"ab of 60", "a of 1", "abcd of 60"}, got); d != "" {
		t.Error(d)
	}
}

func TestPcapngBlockLengthsWithoutThePaddingAreTolerated(t *testing.T) {
	t.Parallel()
	b := enhanced(little, 0, 1, 3, "abc") // 36 bytes with 1 of padding
	b[4], b[len(b)-4] = 35, 35
	got := readBytes(t, join(section(little), describe(little, 1, 0), b, b), 0)
	if len(got.frames) != 2 || got.problems != nil {
		t.Errorf("%d frames, %v", len(got.frames), got.problems)
	}
}

func TestPcapngTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		resol  byte
		offset int64
		ticks  uint64
		want   int64
	}{
		{"seconds", 0, 0, 5, 5e9},
		{"milliseconds", 3, 0, 5, 5e6},
		{"microseconds", 6, 0, 5, 5e3},
		{"tens of nanoseconds", 8, 0, 5, 50},
		{"nanoseconds", 9, 0, 5, 5},
		{"picoseconds", 12, 0, 5_999, 5},
		{"10^-28, one ten-billion-billionth of a nanosecond", 28, 0, math.MaxUint64, 1},
		{"10^-29 is too fine to be seen", 29, 0, math.MaxUint64, 0},
		{"10^-127", 127, 0, math.MaxUint64, 0},
		{"2^0", 0x80, 0, 5, 5e9},
		{"2^-1", 0x81, 0, 3, 1_500_000_000},
		{"2^-10", 0x8a, 0, 1024 + 512, 1_500_000_000},
		{"2^-32, as NTP", 0xa0, 0, 1_700_000_000<<32 | 1<<31, 1_700_000_000_500_000_000},
		{"2^-63", 0xbf, 0, 1 << 63, 1e9},
		{"2^-64", 0xc0, 0, 1 << 63, 500_000_000},
		{"2^-65", 0xc1, 0, 1 << 63, 250_000_000},
		{"2^-127", 0xff, 0, math.MaxUint64, 0},
		{"an offset", 6, 3600, 5, 3600e9 + 5e3},
		{"an offset back", 6, -3600, 5, -3600e9 + 5e3},
		{"more microseconds than 64 bits of nanoseconds hold", 6, 0, math.MaxUint64, math.MaxInt64},
		{"more seconds than that, in binary", 0x80, 0, math.MaxUint64, math.MaxInt64},
		{"an offset that is too large", 6, math.MaxInt64, 5, math.MaxInt64},
		{"an offset that makes it too large", 9, 9_000_000_000, math.MaxInt64, math.MaxInt64},
		{"an offset that is too small", 9, math.MinInt64, 5, -math.MaxInt64 + 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := join(section(big),
				describe(big, 1, 0, option(big, 9, []byte{c.resol}), option(big, 14, big.AppendUint64(nil, uint64(c.offset)))),
				enhanced(big, 0, c.ticks, 1, "x"))
			got := readBytes(t, file, 0)
			if len(got.frames) != 1 || got.frames[0].Time != c.want {
				t.Errorf("got %v, want %d", got.frames, c.want)
			}
		})
	}
}

func TestMalformedOptionsOnlyLoseThemselves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		options []byte
		want    int64
	}{
		{"none", nil, 1000},
		{"an end and then what is no option", []byte{0, 0, 0, 0, 0, 9, 0, 1, 9, 0, 0, 0}, 1000},
		{"a length beyond the block", []byte{0, 9, 0xff, 0xff, 9, 0, 0, 0}, 1000},
		{"a resolution of no bytes", []byte{0, 9, 0, 0, 9, 0, 0, 0}, 1000},
		{"an offset of 4 bytes", []byte{0, 14, 0, 4, 0, 0, 0, 9}, 1000},
		{"a resolution behind a comment", []byte{0, 1, 0, 2, 'h', 'i', 0, 0, 0, 9, 0, 1, 9, 0, 0, 0}, 1},
		{"a resolution without its padding at the end", []byte{0, 1, 0, 1, 'h', 0, 0, 0, 0, 9, 0, 4, 9, 0, 0, 0}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := readBytes(t, join(section(big), describe(big, 1, 0, c.options), enhanced(big, 0, 1, 1, "x")), 0)
			if len(got.frames) != 1 || got.frames[0].Time != c.want || got.problems != nil {
				t.Errorf("got %v, %v, want the time %d", got.frames, got.problems, c.want)
			}
		})
	}
}

func TestCompressionIsToldByTheFirstBytes(t *testing.T) {
	t.Parallel()
	var plain []byte
	plain = append(plain, pcapHeader(little, 0xa1b2c3d4, 1)...)
	for i := range 2000 {
		plain = append(plain, record(little, uint32(i), 0, 300, strings.Repeat("abc", i%100))...)
	}
	want := readBytes(t, plain, 0).frames
	skippable := join([]byte{0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0}, []byte("hey")) // RFC 8878, 3.1.2
	half := len(plain) / 2
	dir := t.TempDir()
	for name, file := range map[string][]byte{
		"plain.gz":      plain,
		"gzip.pcap":     gzipped(plain),
		"members.pcap":  join(gzipped(plain[:half]), gzipped(plain[half:])),
		"zstd.pcapng":   zstandard(plain),
		"frames.gz":     join(zstandard(plain[:half]), skippable, zstandard(plain[half:])),
		"skippable.zst": join(skippable, zstandard(plain)),
		"both.zst":      gzipped(zstandard(plain)),
		"thrice.txt":    zstandard(gzipped(zstandard(plain))),
	} {
		path := save(t, dir, name, file)
		for _, block := range []int{100, 0} {
			got := readAll(t, []string{path}, pcapfile.Options{Block: block}, 64)
			if d := differ(want, got.frames); d != "" || got.problems != nil {
				t.Errorf("%s, block %d: %v\n%s", name, block, got.problems, d)
			}
			got = readBytes(t, file, block)
			if d := differ(want, got.frames); d != "" || got.problems != nil {
				t.Errorf("%s from standard input, block %d: %v\n%s", name, block, got.problems, d)
			}
		}
	}
}
