//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/capture"
)

const (
	climb = "../../decode/testdata/captures/kms-zone-climb.pcap"
	zones = `zones:
  - {name: internal, trust: 50, networks: [10.66.10.0/24]}
  - {name: dmz, trust: 20, networks: [192.0.2.0/24]}
inventory:
  kms_hosts: [{name: kms, address: 10.66.10.40}]
`
)

func captured(t *testing.T, path string) []capture.Frame {
	t.Helper()
	frames, err := loadFrames(path)
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

// process is kmswatch run within the test's process, which keeps its rights.
type process struct {
	t      *testing.T
	alerts *lines
	logs   *lines
	stop   context.CancelFunc
	code   chan int
}

func start(t *testing.T, open openFunc, args ...string) *process {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	outRead, outWrite := io.Pipe()
	errRead, errWrite := io.Pipe()
	p := &process{t: t, alerts: newLines(outRead), logs: newLines(errRead), stop: stop, code: make(chan int, 1)}
	term := terminal{in: strings.NewReader(""), out: outWrite, err: errWrite}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.code <- runOn(ctx, append([]string{"run", "--keep-rights", "--format", "ndjson"}, args...), term, open)
		outWrite.Close()
		errWrite.Close()
	}()
	t.Cleanup(func() {
		stop()
		outRead.CloseWithError(errors.New("the test is over"))
		errRead.CloseWithError(errors.New("the test is over"))
		<-done
	})
	p.logs.wait(t, "start", has(`"message":"watching"`))
	return p
}

// end stops it and gives what it wrote from then on.
func (p *process) end(code int) (alerts, logs []string) {
	p.t.Helper()
	p.stop()
	alerts, logs = p.alerts.rest(p.t), p.logs.rest(p.t)
	if got := <-p.code; got != code {
		p.t.Errorf("exit code %d, want %d; logs %q", got, code, logs)
	}
	return alerts, logs
}

func has(parts ...string) func(string) bool {
	return func(s string) bool {
		for _, p := range parts {
			if !strings.Contains(s, p) {
				return false
			}
		}
		return true
	}
}

// one opens the same source whatever the interface.
func one(src capture.Source) openFunc {
	return func(string, *live, zerolog.Logger) (capture.Source, error) { return src, nil }
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestAReloadLosesNoFlow: the configuration changes in the middle of a flow, for
// a bad one, which is refused, and for good ones; the alert of that flow is that
// of a complete flow, under the configuration in force by then.
func TestAReloadLosesNoFlow(t *testing.T) {
	for _, workers := range []string{"1", "3"} {
		conf := filepath.Join(t.TempDir(), "kmswatch.yaml")
		write(t, conf, zones+"rules: {kms-zone-climb: {enabled: false}}\n")
		src := newQueued("eth1")
		p := start(t, one(src), "-i", "eth1", "-c", conf, "-w", workers)
		frames := stamped(captured(t, climb))
		src.frames <- frames[:3]

		write(t, conf, zones+"rules: {kms-zone-climb: {severity: dire}}\n")
		hup(t)
		p.logs.wait(t, "mistake", has(conf+":6:36: severity: unknown value dire; known are"))
		p.logs.wait(t, "refusal", has("was refused; that before is in force"))
		src.frames <- frames[3:4]

		write(t, conf, zones+"rules: {kms-zone-climb: {severity: critical}}\nlimits: {flows: 100000}\n")
		hup(t)
		p.logs.wait(t, "what is not changed", has("need a restart"))
		p.logs.wait(t, "reload", has("the configuration was read anew", `"rules":26`))
		src.frames <- frames[4:]
		a := p.alerts.wait(t, "alert", func(string) bool { return true })
		if !has(`"uid":"kms-zone-climb"`, `"severity":"Critical"`, `"quality":[]`, `"count":1`, `{"frame":6},{"frame":7}`)(a.text) {
			t.Errorf("%s workers: the first alert is %s", workers, a.text)
		}
		alerts, logs := p.end(exitDone)
		if len(alerts) != 0 {
			t.Errorf("%s workers: more alerts: %q", workers, alerts)
		}
		if len(logs) != 1 || !has(`"message":"stopped"`, `"frames":10`, `"dropped":0`, `"flows":1`, `"kms_exchanges":1`, `"alerts":1`)(logs[0]) {
			t.Errorf("%s workers: logs %q", workers, logs)
		}
	}
}

func hup(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// TestWhatWasCapturedBeforeTheStopIsTold: frames that wait in the source when
// the sensor is stopped.
func TestWhatWasCapturedBeforeTheStopIsTold(t *testing.T) {
	for _, workers := range []string{"1", "3"} {
		src := newQueued("eth1")
		conf := filepath.Join(t.TempDir(), "kmswatch.yaml")
		write(t, conf, zones)
		p := start(t, one(src), "-i", "eth1", "-c", conf, "-w", workers)
		frames := stamped(captured(t, climb))
		for i := range frames {
			src.frames <- frames[i : i+1]
		}
		alerts, logs := p.end(exitDone)
		if len(alerts) == 0 || !has(`"uid":"kms-zone-climb"`)(alerts[0]) || !has(`"frames":10`)(logs[len(logs)-1]) {
			t.Errorf("%s workers: %q; logs %q", workers, alerts, logs)
		}
	}
}

// TestLostFramesAreAnAlertAndAMark: what the source drops is told by
// sensor-blind, and marks the alerts of flows of that time.
func TestLostFramesAreAnAlertAndAMark(t *testing.T) {
	for _, workers := range []string{"1", "3"} {
		src := newQueued("eth1")
		conf := filepath.Join(t.TempDir(), "kmswatch.yaml")
		write(t, conf, zones)
		p := start(t, one(src), "-i", "eth1", "-c", conf, "-w", workers)
		frames := captured(t, climb)
		src.frames <- stamped(frames[:4])
		src.drop(500)
		a := p.alerts.wait(t, "alert", func(string) bool { return true })
		if !has(`"uid":"sensor-blind"`, `"severity":"High"`, "The sensor lost 500 frames", `"facts":{"dropped":500,"frames":4}`)(a.text) ||
			has("src_endpoint")(a.text) || has("connection_info")(a.text) {
			t.Errorf("%s workers: %s", workers, a.text)
		}
		p.logs.wait(t, "loss", has(`"frames":500,"in_all":500`, `"level":"warn"`))
		src.frames <- stamped(frames[4:])
		a = p.alerts.wait(t, "alert", has(`"uid":"kms-zone-climb"`))
		if !has(`"quality":["frames-dropped"]`)(a.text) {
			t.Errorf("%s workers: %s", workers, a.text)
		}
		p.end(exitDone)
	}
}

// failing fails to write, as it is told.
type failing struct {
	mu  sync.Mutex
	err error
	n   int
}

func (f *failing) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.err != nil {
		return 0, f.err
	}
	return len(b), nil
}

func TestAlertsThatCannotBeWritten(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
		want string
	}{
		{syscall.ENOSPC, exitDone, `"alerts":2,`},                // it may be mended
		{syscall.EPIPE, exitFailed, "write alerts: broken pipe"}, // nobody reads any more
	} {
		src := newQueued("eth1")
		out := &failing{err: tt.err}
		var logs strings.Builder
		term := terminal{out: out, err: &logs}
		ctx, stop := context.WithCancel(context.Background())
		code := make(chan int, 1)
		conf := filepath.Join(t.TempDir(), "kmswatch.yaml")
		write(t, conf, zones)
		go func() {
			code <- runOn(ctx, []string{"run", "--keep-rights", "-i", "eth1", "-c", conf}, term, one(src))
		}()
		src.frames <- stamped(captured(t, climb))
		if tt.code == exitDone {
			for {
				out.mu.Lock()
				n := out.n
				out.mu.Unlock()
				if n > 0 {
					break
				}
				time.Sleep(time.Millisecond)
			}
			stop()
		}
		if got := <-code; got != tt.code || !strings.Contains(logs.String(), tt.want) || !strings.Contains(logs.String(), "alerts were not written") {
			t.Errorf("%v: exit code %d; logs\n%s", tt.err, got, logs.String())
		}
		stop()
	}
}

// TestAnInterfaceThatFailsIsOpenedAgain: what it gives then is told, and the
// counters go on.
func TestAnInterfaceThatFailsIsOpenedAgain(t *testing.T) {
	frames := captured(t, climb)
	first, second := newQueued("eth1"), newQueued("eth1")
	opened := 0
	p := start(t, func(string, *live, zerolog.Logger) (capture.Source, error) {
		opened++
		switch opened {
		case 1:
			return first, nil
		case 2:
			return nil, syscall.ENODEV
		}
		return second, nil
	}, "-i", "eth1")
	first.frames <- stamped(frames[:4])
	first.fail <- syscall.ENETDOWN
	p.logs.wait(t, "trouble", has("network is down", "in trouble", `"interface":"eth1"`))
	p.logs.wait(t, "failure", has("network is down", "it is opened again"))
	p.alerts.wait(t, "alert", has(`"uid":"sensor-blind"`, "The sensor sees nothing of the interface eth1: network is down"))
	p.logs.wait(t, "another", has("no such device", "cannot be opened"))
	p.logs.wait(t, "return", has("the interface is there again"))
	select {
	case <-first.closed:
	default:
		t.Error("the source that failed is not closed")
	}
	second.frames <- stamped(frames[4:])
	p.alerts.wait(t, "alert", has(`"uid":"kms-unknown-host"`, `"quality":[]`))
	_, logs := p.end(exitDone)
	if !has(`"frames":10`)(logs[len(logs)-1]) {
		t.Errorf("logs %q", logs)
	}
}

func TestWithoutTheRightsToGoOnItEnds(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{syscall.ENETDOWN, "kmswatch: read: eth1: open again without the right to: socket: operation not permitted"},
		{fmt.Errorf("attach: %w", syscall.EPERM), "kmswatch: read: eth1: the rights to go on were given up: attach: operation not permitted"},
	} {
		src := newQueued("eth1")
		opened := 0
		p := start(t, func(string, *live, zerolog.Logger) (capture.Source, error) {
			if opened++; opened > 1 {
				return nil, fmt.Errorf("socket: %w", syscall.EPERM)
			}
			return src, nil
		}, "-i", "eth1")
		src.fail <- tt.err
		logs := p.logs.rest(t)
		if code := <-p.code; code != exitFailed || !has(tt.want)(logs[len(logs)-1]) {
			t.Errorf("exit code %d, logs %q", code, logs)
		}
	}
}

func TestWhatCannotBeOpenedIsSaid(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.New("no such interface"), "kmswatch: eth1: no such interface\n"},
		{syscall.EPERM, "kmswatch: eth1: operation not permitted; run it as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON\n"},
	} {
		var logs strings.Builder
		term := terminal{out: io.Discard, err: &logs}
		open := func(string, *live, zerolog.Logger) (capture.Source, error) { return nil, tt.err }
		code := runOn(context.Background(), []string{"run", "-i", "eth1"}, term, open)
		if code != exitFailed || logs.String() != tt.want {
			t.Errorf("exit code %d: %q, want %q", code, logs.String(), tt.want)
		}
	}
}

func TestASilentWireEndsWhatWaits(t *testing.T) {
	for _, workers := range []int{1, 3} {
		s, text := testSensor(t, workers)
		frames := captured(t, climb)
		clock := time.Unix(0, frames[5].Time).Add(settle)
		var mu sync.Mutex // with several workers the clock is read elsewhere too
		s.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
		step := 0
		s.src = &interfaces{Source: sourceFunc(func(to []capture.Frame) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			switch step++; {
			case step == 1:
				return copy(to, frames[:6]), nil // all but the answer
			case step < 610:
				clock = clock.Add(time.Second)
				return 0, nil
			}
			return 0, io.EOF
		})}
		if err := s.run(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		s.engine.Between(s.rest)
		s.engine.Close()
		if got := text(); !strings.Contains(got, "\nkmswatch_kms_exchanges_total 1\n") {
			t.Errorf("%d workers: the question waits still:\n%s", workers, got)
		}
	}
}

func TestTheLoopAllocatesNothing(t *testing.T) {
	s, _ := testSensor(t, 1)
	arp := make([]byte, 60)
	arp[12], arp[13] = 0x08, 0x06
	clock := time.Unix(1e9, 0)
	s.now = func() time.Time { return clock }
	const reads = 20_000
	read := 0
	s.src = &interfaces{Source: sourceFunc(func(to []capture.Frame) (int, error) {
		if read++; read > reads {
			return 0, io.EOF
		}
		clock = clock.Add(time.Millisecond / 2)
		if read%2 == 0 {
			return 0, nil
		}
		to[0] = capture.Frame{Data: arp, Length: len(arp), Time: clock.UnixNano(), Number: uint64(read), Link: capture.LinkEthernet}
		return 1, nil
	})}
	n := testing.AllocsPerRun(1, func() {
		read = 0
		if err := s.run(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
	})
	if perRead := n / reads; perRead > 0.05 { // a snapshot a second is made anew
		t.Errorf("%v allocations in %d reads", n, reads)
	}
}
