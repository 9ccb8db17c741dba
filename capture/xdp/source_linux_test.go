package xdp

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"kmswatch/bpf"
	"kmswatch/bpf/bpftest"
	"kmswatch/capture"
)

// load is what the generator sends in the tests of loss: one frame in 16 to a port
// of interest, 300 bytes.
func frame300() []byte {
	return bpftest.TCP(false, 49152, 1688, 1, 1, 0x18, string(bytes.Repeat([]byte{0x16}, 300-54)))
}

func open(t testing.TB, name string, change func(*Config)) *Source {
	t.Helper()
	cfg := Config{Interface: name, TCPPorts: bpftest.TCPPorts, UDPPorts: bpftest.UDPPorts}
	if change != nil {
		change(&cfg)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// drain reads until the source is closed and tells how many frames there were.
func drain(t testing.TB, s *Source) <-chan int {
	done := make(chan int)
	go func() {
		total := 0
		frames := make([]capture.Frame, 256)
		for {
			n, err := s.Read(frames)
			total += n
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("read: %v", err)
				}
				done <- total
				return
			}
		}
	}()
	return done
}

// settled waits until all frames that were sent are accounted for, and gives what
// became of them.
func settled(t testing.TB, s *Source, sent uint64) capture.Stats {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		st := s.Stats()
		if st.Received+st.Filtered+st.Dropped == sent || time.Now().After(deadline) {
			return st
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEveryFrameIsAccountedFor(t *testing.T) {
	for _, c := range []struct {
		name string
		ring int
		lost bool
	}{
		{"with room for all", 0, false},
		{"with hardly any room", 64 << 10, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := bpftest.Veth(t)
			s := open(t, b.Name, func(cfg *Config) { cfg.Ring, cfg.Mode = c.ring, bpf.Native })
			g, err := bpftest.NewGenerator(a.Index, frame300(), 16)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			done := drain(t, s)
			const sent = 1 << 20
			if err := g.Send(sent); err != nil {
				t.Fatal(err)
			}
			st := settled(t, s, sent)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			read := <-done
			if st.Received+st.Filtered+st.Dropped != sent || uint64(read) != st.Received {
				t.Errorf("sent %d, read %d, %+v: want all accounted for", sent, read, st)
			}
			if st.Received+st.Dropped != sent/16 || c.lost != (st.Dropped != 0) {
				t.Errorf("received %d, dropped %d: want %d of interest", st.Received, st.Dropped, sent/16)
			}
		})
	}
}

func BenchmarkTap(b *testing.B) {
	from, to := bpftest.Veth(b)
	s := open(b, to.Name, func(cfg *Config) { cfg.Mode = bpf.Native })
	g, err := bpftest.NewGenerator(from.Index, frame300(), 16)
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	done := drain(b, s)
	sent := max(b.N, 1)
	b.ResetTimer()
	if err := g.Send(sent); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(sent)/b.Elapsed().Seconds()/1e6, "Mframes/s")
	st := settled(b, s, uint64(sent))
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	<-done
	b.ReportMetric(float64(st.Dropped), "lost")
	if n := st.Received + st.Filtered + st.Dropped; n != uint64(sent) {
		b.Errorf("sent %d, %+v", sent, st)
	}
}
