package afpacket_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmswatch/capture"
	"kmswatch/capture/afpacket"
	"kmswatch/capture/capturetest/netns"
)

// cpuTime is what this thread took of a CPU.
func cpuTime(b *testing.B) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// lookInto reads what a decoder reads of every frame, and no more.
func lookInto(f *capture.Frame) (sum int) {
	b := f.Data
	if len(b) >= 42 && b[12] == 8 && b[13] == 0 {
		l4 := b[14+int(b[14]&15)*4:]
		if len(l4) >= 8 {
			sum = int(binary.BigEndian.Uint16(l4)) + int(binary.BigEndian.Uint16(l4[2:])) + int(l4[4])
		}
	}
	return sum
}

// BenchmarkRead takes frames of a flood over a veth pair, whose sender has a CPU
// of its own, and tells the frames that came a second, what one costs the reader,
// and the share that found the ring full.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{64, 300, 1500, mixed} {
		for _, rings := range []int{1, 2} {
			b.Run(fmt.Sprint(sizeName(size), ", ", rings, " rings"), func(b *testing.B) {
				left, right := pair(b, 1500)
				s := open(b, right, afpacket.Options{Interface: "right", Rings: rings})
				stop := flood(b, left, size)
				defer stop()
				frames := make([]capture.Frame, 256)
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				got, sum := 0, 0
				before, begin := cpuTime(b), time.Now()
				for b.Loop() {
					n, err := s.Read(frames)
					if err != nil {
						b.Fatal(err)
					}
					for i := range frames[:n] {
						sum += lookInto(&frames[i])
					}
					got += n
				}
				took, cpu := time.Since(begin), cpuTime(b)-before
				st := s.Stats()
				b.ReportMetric(float64(got)/took.Seconds(), "frames/s")
				b.ReportMetric(float64(cpu.Nanoseconds())/float64(max(got, 1)), "cpu-ns/frame")
				b.ReportMetric(100*float64(st.Dropped)/float64(max(st.Received+st.Dropped, 1)), "%dropped")
				b.ReportMetric(0, "ns/op")
				if sum == 0 {
					b.Error("nothing was looked into")
				}
			})
		}
	}
}

// BenchmarkCatchUp takes the frames of a ring that is nearly full, whose memory is
// in no cache any more.
func BenchmarkCatchUp(b *testing.B) {
	for _, size := range []int{64, 300, 1500, mixed} {
		b.Run(sizeName(size), func(b *testing.B) {
			left, right := pair(b, 1500)
			s := open(b, right, afpacket.Options{Interface: "right", BlockTimeout: time.Second})
			out := left.Sender(b, "left")
			sent := floodFrames(size)
			frames := make([]capture.Frame, 256)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var cpu time.Duration
			got, sum := 0, 0
			for b.Loop() {
				const fill = 40 << 20
				bytes := 0
				for _, f := range sent {
					bytes += len(f) + 96
				}
				if _, err := out.Flood(sent, func(n int) bool { return n < fill/bytes*len(sent) }); err != nil {
					b.Fatal(err)
				}
				for {
					before := cpuTime(b)
					n, err := s.Read(frames)
					if err != nil {
						b.Fatal(err)
					}
					for i := range frames[:n] {
						sum += lookInto(&frames[i])
					}
					if n == 0 {
						break
					}
					cpu += cpuTime(b) - before
					got += n
				}
			}
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(max(got, 1)), "cpu-ns/frame")
			b.ReportMetric(100*float64(s.Stats().Dropped)/float64(got), "%dropped")
			b.ReportMetric(0, "ns/op")
			if sum == 0 {
				b.Error("nothing was looked into")
			}
		})
	}
}

// BenchmarkTcpdump is what tcpdump does with the same flood: the CPU that it takes
// for each frame to write all of them to nowhere.
func BenchmarkTcpdump(b *testing.B) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		b.Skip("tcpdump is not installed")
	}
	for _, size := range []int{64, 300, 1500, mixed} {
		b.Run(sizeName(size), func(b *testing.B) {
			left, right := pair(b, 1500)
			stop := flood(b, left, size)
			defer stop()
			frames, took, cpu, dropped := 0, time.Duration(0), time.Duration(0), 0
			for b.Loop() {
				c := exec.Command("tcpdump", "-Z", "root", "-n", "-i", "right", "-B", "65536", "-w", "/dev/null")
				out, err := c.StderrPipe()
				if err != nil {
					b.Fatal(err)
				}
				right.Do(func() { err = c.Start() })
				if err != nil {
					b.Fatal(err)
				}
				said := bufio.NewScanner(out)
				for said.Scan() && !strings.Contains(said.Text(), "listening on") {
				}
				begin := time.Now()
				time.Sleep(time.Second)
				_ = c.Process.Signal(unix.SIGINT)
				took += time.Since(begin)
				for said.Scan() {
					number, what, _ := strings.Cut(said.Text(), " ")
					n, _ := strconv.Atoi(number)
					switch what {
					case "packets captured":
						frames += n
					case "packets dropped by kernel":
						dropped += n
					}
				}
				if err := c.Wait(); err != nil {
					b.Fatal(err)
				}
				cpu += c.ProcessState.UserTime() + c.ProcessState.SystemTime()
			}
			b.ReportMetric(float64(frames)/took.Seconds(), "frames/s")
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(max(frames, 1)), "cpu-ns/frame")
			b.ReportMetric(100*float64(dropped)/float64(max(frames+dropped, 1)), "%dropped")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// mixed stands for frames of all sizes up to that of a full frame.
const mixed = 0

func sizeName(size int) string {
	if size == mixed {
		return "mixed sizes"
	}
	return fmt.Sprint(size, " bytes")
}

// flood sends UDP frames of a size, of 256 flows, until it is stopped.
func flood(b *testing.B, in *netns.Space, size int) (stop func()) {
	frames := floodFrames(size)
	out := in.Sender(b, "left")
	var stopped atomic.Bool
	done := make(chan error, 1)
	go func() {
		_, err := out.Flood(frames, func(int) bool { return !stopped.Load() })
		done <- err
	}()
	return func() {
		stopped.Store(true)
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

func floodFrames(size int) (frames [][]byte) {
	for i := range 256 {
		f := udp(1, 2, uint16(1000+i), 443, uint32(i))
		n := size
		if size == mixed {
			n = 64 + i*i*7919%1437 // no stride that the processor could foresee
		}
		frames = append(frames, append(f, make([]byte, max(0, n-len(f)))...))
	}
	return frames
}
