package bpf

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// BenchmarkFrame measures what a frame costs at each hook, by BPF_PROG_TEST_RUN:
// beside a program that only returns, and beside the filter that tcpdump compiles
// for the same ports. Its own cost of a run is that of the empty program.
func BenchmarkFrame(b *testing.B) {
	web := benchFrame(6, 49152, 443, "GET / HTTP/1.1 and so on")
	frames := []struct {
		name  string
		frame []byte
	}{
		{"bulk", web},
		{"bulk-1500", benchFrame(6, 49152, 443, strings.Repeat("x", 1446))},
		{"bulk-udp", benchFrame(17, 49152, 443, strings.Repeat("x", 100))},
		{"bulk-tagged", append(append([]byte{}, web[:12]...), append([]byte{0x81, 0, 0, 10}, web[12:]...)...)},
		{"bulk-ipv6", append(append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(web) - 34), 6, 64}, make([]byte, 32)...), web[34:]...)},
		{"bulk-gre", append(append(append([]byte{}, web[:16]...), 0, byte(len(web)-14+24), 0, 1, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 8, 0), web[14:]...)},
		{"ack", benchFrame(6, 49152, 443, "")},
		{"port", benchFrame(6, 49152, 1688, "x")},
		{"watched", benchFrame(6, 49152, 50001, "xxxxxxxxxxxxxxxxxxxxx")},
		{"ignored", benchFrame(6, 49152, 50002, "xxxxxxxxxxxxxxxxxxxxx")},
		{"begins", benchFrame(6, 49152, 50003, "\x05\x00\x0b\x03\x10\x00\x00\x00\x48\x00\x00\x00\x01\x00\x00\x00")},
	}
	f, err := Load(Options{TCPPorts: benchPorts, UDPPorts: []uint16{53, 88, 389}})
	if err != nil {
		b.Skip(err)
	}
	defer f.Close()
	ends := func(port uint16) Flow {
		return Flow{6, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), 49152), netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port)}
	}
	if err := f.Watch(ends(50001)); err != nil {
		b.Fatal(err)
	}
	if err := f.Ignore(ends(50002)); err != nil {
		b.Fatal(err)
	}
	for h := range hooks {
		b.Run(strings.ReplaceAll(h.String(), " ", "-"), func(b *testing.B) {
			empty, err := ebpf.NewProgram(emptySpec([hooks]ebpf.ProgramType{ebpf.SocketFilter, ebpf.XDP, ebpf.SchedCLS}[h]))
			if err != nil {
				b.Fatal(err)
			}
			defer empty.Close()
			benchProgram(b, "empty", empty, web)
			f.mu.Lock()
			p, err := f.trialOf(h)
			f.mu.Unlock()
			if err != nil {
				b.Fatal(err)
			}
			for _, c := range frames {
				benchProgram(b, c.name, p, c.frame)
			}
			if h != Socket {
				return
			}
			classic, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, Instructions: classicFilter(b), License: "GPL"})
			if err != nil {
				b.Fatal(err)
			}
			defer classic.Close()
			// Classic offsets count from where a test run begins: behind 14 bytes.
			ahead := make([]byte, 14)
			ahead[12], ahead[13] = 0x08, 0x06
			for _, c := range frames {
				benchProgram(b, "tcpdump-"+c.name, classic, append(ahead, c.frame...))
			}
		})
	}
}

var benchPorts = []uint16{53, 88, 135, 139, 389, 445, 593, 1688, 3268}

func benchProgram(b *testing.B, name string, p *ebpf.Program, frame []byte) {
	b.Run(name, func(b *testing.B) {
		_, each, err := p.Benchmark(frame, max(b.N, 1), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(each.Nanoseconds()), "ns/frame")
		b.ReportMetric(0, "ns/op") // includes the calls
	})
}

// benchFrame is a frame of IPv4 from 10.0.0.1 to 10.0.0.2.
func benchFrame(proto byte, src, dst int, payload string) []byte {
	l4 := []byte{byte(src >> 8), byte(src), byte(dst >> 8), byte(dst)}
	if proto == 6 {
		l4 = append(l4, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0)
	} else {
		n := 8 + len(payload)
		l4 = append(l4, byte(n>>8), byte(n), 0, 0)
	}
	n := 20 + len(l4) + len(payload)
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, byte(n >> 8), byte(n), 0, 1, 0x40, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	return append(append(b, l4...), payload...)
}

// classicFilter is what tcpdump compiles for the ports, in instructions that
// BPF_PROG_TEST_RUN runs.
func classicFilter(b *testing.B) asm.Instructions {
	var terms []string
	for _, p := range benchPorts {
		terms = append(terms, fmt.Sprintf("port %d", p))
	}
	out, err := exec.Command("tcpdump", "-y", "EN10MB", "-ddd", strings.Join(terms, " or ")).Output()
	if err != nil {
		b.Skipf("tcpdump: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")[1:]
	code := make([][4]int64, len(lines))
	for i, line := range lines {
		for j, field := range strings.Fields(line) {
			if code[i][j], err = strconv.ParseInt(field, 10, 64); err != nil {
				b.Fatal(err)
			}
		}
	}
	label := func(i int) string { return "at" + strconv.Itoa(i) }
	// The accumulator is R0, the index register R7; R6 has the context for LD_ABS.
	ins := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1), asm.Mov.Imm(asm.R0, 0), asm.Mov.Imm(asm.R7, 0)}
	for i, c := range code {
		op, jt, jf, k := c[0], i+1+int(c[1]), i+1+int(c[2]), int32(c[3])
		var next asm.Instructions
		switch op {
		case 0x28: // ldh [k]
			next = asm.Instructions{asm.LoadAbs(k, asm.Half)}
		case 0x30: // ldb [k]
			next = asm.Instructions{asm.LoadAbs(k, asm.Byte)}
		case 0x48: // ldh [x + k]
			next = asm.Instructions{asm.LoadInd(asm.R0, asm.R7, k, asm.Half)}
		case 0xb1: // ldxb 4*([k]&0xf)
			next = asm.Instructions{asm.LoadAbs(k, asm.Byte), asm.And.Imm(asm.R0, 15), asm.LSh.Imm(asm.R0, 2), asm.Mov.Reg(asm.R7, asm.R0)}
		case 0x15: // jeq
			next = asm.Instructions{asm.JEq.Imm(asm.R0, k, label(jt)), asm.Ja.Label(label(jf))}
		case 0x45: // jset
			next = asm.Instructions{asm.JSet.Imm(asm.R0, k, label(jt)), asm.Ja.Label(label(jf))}
		case 0x06: // ret
			next = asm.Instructions{asm.Mov.Imm(asm.R0, k), asm.Return()}
		default:
			b.Fatalf("tcpdump's filter has instruction %#x", op)
		}
		next[0] = next[0].WithSymbol(label(i))
		ins = append(ins, next...)
	}
	return ins
}
