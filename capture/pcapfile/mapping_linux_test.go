package pcapfile_test

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
)

// mappings gives how many bytes of a file are mapped.
func mappings(t *testing.T, path string) (size int64) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(strings.TrimSpace(line), path) {
			continue
		}
		from, to, _ := strings.Cut(strings.Fields(line)[0], "-")
		a, _ := strconv.ParseInt(from, 16, 64)
		b, _ := strconv.ParseInt(to, 16, 64)
		size += b - a
	}
	return size
}

// sum touches every byte.
//
//go:noinline
func sum(b []byte) (n int) {
	for _, c := range b {
		n += int(c)
	}
	return n
}

func TestAWindowOfTheFileIsMapped(t *testing.T) {
	t.Parallel()
	pcap, _ := large(3000)
	dir := t.TempDir()
	path := save(t, dir, "x", pcap)
	s, err := pcapfile.Open([]string{path}, pcapfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	most := int64(0)
	if err := s.Walk(64, func([]capture.Frame) error {
		most = max(most, mappings(t, path))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if most == 0 || int64(len(pcap)) < 8<<20 || most > 6<<20 {
		t.Errorf("%d bytes of %d were mapped at a time", most, len(pcap))
	}
	if n := mappings(t, path); n != 0 {
		t.Errorf("%d bytes are mapped at the end", n)
	}
}

// A file that is cut short while it is mapped would end the process.
func TestAFileCutShortWhileItIsReadIsAProblem(t *testing.T) {
	t.Parallel()
	pcap, pcapng := large(3000)
	good := save(t, t.TempDir(), "good", pcap)
	for name, file := range map[string][]byte{"pcap": pcap, "pcapng": pcapng} {
		for _, c := range []struct {
			name   string
			to     int64 // what the file is cut to
			linger bool  // take touches what was there
		}{
			{"to nothing", 0, false},
			{"to nothing, in the middle of a frame", 0, true},
			{"to half a page, in the middle of a frame", 2048, true},
			{"to less than was read", 1 << 20, false},
			{"to less than is mapped", 33 << 16, false},
			{"to less than is mapped, in the middle of a frame", 33 << 16, true},
		} {
			path := save(t, t.TempDir(), "x", file)
			var problems []string
			s, err := pcapfile.Open([]string{path, good}, pcapfile.Options{
				Report: func(p *pcapfile.Problem) { problems = append(problems, p.Error()) },
			})
			if err != nil {
				t.Fatal(err)
			}
			read, second, cut := 0, 0, false
			err = s.Walk(8, func(frames []capture.Frame) error {
				for i := range frames {
					if frames[i].File == 1 {
						second++
						continue
					}
					read += len(frames[i].Data)
					if read > 2<<20 && !cut {
						cut = true
						if err := os.Truncate(path, c.to); err != nil {
							t.Fatal(err)
						}
					}
					if !cut || c.linger {
						sum(frames[i].Data)
					}
				}
				return nil
			})
			if err != nil || second != 3000 {
				t.Errorf("%s cut %s: %v, %d frames of the next", name, c.name, err, second)
			}
			if len(problems) != 1 || !strings.HasPrefix(problems[0], path+": offset ") || !strings.HasSuffix(problems[0], ": the file was cut short while it was read") {
				t.Errorf("%s cut %s: %q", name, c.name, problems)
			}
			if s.Err() == nil {
				t.Errorf("%s cut %s: no failure", name, c.name)
			}
			if n := mappings(t, path); n != 0 {
				t.Errorf("%s cut %s: %d bytes are still mapped", name, c.name, n)
			}
		}
	}
}

// tcpdump may still be writing the file.
func TestAFileThatGrowsWhileItIsReadIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	pcap, _ := large(3000)
	for _, first := range []int{30, 4 << 20, 4<<20 + 1, len(pcap) - 1} {
		for _, step := range []int{3 << 19, 6 << 20} {
			path := save(t, t.TempDir(), "x", pcap[:first])
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			written := first
			grow := func() {
				n, err := f.Write(pcap[written:min(len(pcap), written+step)])
				if err != nil {
					t.Fatal(err)
				}
				written += n
			}
			if first == 30 {
				grow()
			}
			var problems []string
			s, err := pcapfile.Open([]string{path}, pcapfile.Options{
				Report: func(p *pcapfile.Problem) { problems = append(problems, p.Error()) },
			})
			if err != nil {
				t.Fatal(err)
			}
			n, size := 0, 0
			if err := s.Walk(8, func(frames []capture.Frame) error {
				for i := range frames {
					n++
					size += len(frames[i].Data)
				}
				for written < len(pcap) && written < size+step {
					grow()
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			f.Close()
			if n != 3000 || problems != nil {
				t.Errorf("from %d by %d: %d frames, %q", first, step, n, problems)
			}
		}
	}
}

func TestWalkPassesFaultsOfOtherMemoryOn(t *testing.T) {
	t.Parallel()
	pcap, _ := large(300)
	mem, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(mem)
	s, err := pcapfile.Open([]string{save(t, t.TempDir(), "x", pcap)}, pcapfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	defer func() {
		if recover() == nil || n <= 200 {
			t.Errorf("after %d frames a fault was lost", n)
		}
	}()
	_ = s.Walk(8, func(f []capture.Frame) error {
		if n += len(f); n > 200 {
			sum(mem)
		}
		return nil
	})
}
