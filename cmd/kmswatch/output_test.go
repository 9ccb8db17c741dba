//go:build unix

package main

import (
	"context"
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

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/alerts/sink"
	"kmswatch/alerts/spool"
	"kmswatch/decode"
)

// stuck is a writer that does not return until it is let go.
type stuck struct {
	mu  sync.Mutex
	let chan struct{}
	got strings.Builder
}

func (s *stuck) Write(b []byte) (int, error) {
	<-s.let
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(b)
}

func (s *stuck) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// found is an alert of another rule.
func found(n int) *alerts.Alert {
	a := &alerts.Alert{ID: fmt.Sprint("found-", n), Rule: &alerts.Info{ID: "rpc-sweep"}, Severity: alerts.Low, Count: 1, Event: decode.KindBind}
	a.Say("found")
	return a
}

// TestAnOutputThatHangsHoldsUpNoOther, loses what it has no room for, and has that
// told: once, to the others at once and to itself when it goes on.
func TestAnOutputThatHangsHoldsUpNoOther(t *testing.T) {
	s, text := testSensor(t, 1)
	s.outputs.close()
	s.src = new(interfaces)
	s.snapshot = time.Now()
	path := filepath.Join(t.TempDir(), "alerts.ndjson")
	console := &stuck{let: make(chan struct{})}
	s.outputs = &outputs{log: s.log, now: time.Now, failures: s.failures, room: 8 << 10}
	t.Cleanup(func() { s.outputs.close() })
	for _, c := range []config.Output{{Format: "ndjson"}, {Path: path, Format: "ocsf"}} {
		if err := s.outputs.open(c, console, false); err != nil {
			t.Fatal(err)
		}
	}
	file := func() string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const many, losses = 50, `"uid":"sensor-alerts-lost"`
	now := time.Now().UnixNano()
	for i := range many {
		s.take(found(i))
		until(t, "an alert in the file", func() bool { return strings.Count(file(), "\n") > i })
		s.rest(decode.Moment{Time: now}) // as a sensor does many times a second
		until(t, "what failed in the file", func() bool { return s.outputs.all[1].queue.Counts().Waiting == 0 })
	}
	if n := strings.Count(file(), `"correlation_uid":"found-`); n != many {
		t.Errorf("the file has %d of %d", n, many)
	}
	if n := strings.Count(file(), losses); n != 1 {
		t.Errorf("the loss was told %d times", n)
	}
	if got := console.text(); got != "" {
		t.Fatalf("written: %s", got)
	}
	lost := s.outputs.all[0].lost
	if lost == 0 || lost >= many || len(s.outputs.all[0].owed) != 1 {
		t.Fatalf("%d were lost, %d are owed", lost, len(s.outputs.all[0].owed))
	}
	s.snapshot = time.Time{}
	s.rest(decode.Moment{Time: now})
	for _, want := range []string{
		fmt.Sprintf(`kmswatch_output_alerts_total{output="standard output",result="lost"} %d`, lost),
		`kmswatch_output_alerts_total{output="standard output",result="written"} 0`,
		fmt.Sprintf(`kmswatch_output_alerts_total{output=%q,result="written"} %d`, path, many+1),
		`kmswatch_alerts_total{rule="sensor-alerts-lost",severity="high"} 1`,
	} {
		if !strings.Contains(text(), want+"\n") {
			t.Errorf("no metric %s", want)
		}
	}

	close(console.let)
	until(t, "the loss on the console", func() bool {
		s.rest(decode.Moment{Time: now})
		return strings.Count(console.text(), losses) == 1
	})
	if n := strings.Count(console.text(), `"correlation_uid":"found-`); n != many-int(lost) {
		t.Errorf("%d of %d were written, %d lost", n, many, lost)
	}
	if s.outputs.all[0].lost != lost {
		t.Errorf("what is owed is counted as lost")
	}
	s.eval.Close()
	s.outputs.close()
	if n := strings.Count(console.text(), losses); n != 2 || !strings.Contains(console.text(), `"is_alert":false`) {
		t.Errorf("with its end, the loss was told %d times", n)
	}
}

// refusing takes nothing while it is full.
type refusing struct {
	full bool
	got  []string
}

func (r *refusing) Write(a *alerts.Alert) error {
	if r.full {
		return spool.ErrFull
	}
	r.got = append(r.got, fmt.Sprint(a.ID, " ", a.Count))
	return nil
}

// TestWhatIsOwedIsTheLatestOfEach, in order, and bounded.
func TestWhatIsOwedIsTheLatestOfEach(t *testing.T) {
	var f failures
	to := &refusing{full: true}
	r := recipient{name: "x", to: to, failures: &f}
	own := func(id string, count uint64, stale bool) *alerts.Alert {
		return &alerts.Alert{ID: id, Rule: new(alerts.Info), Event: alerts.KindFailure, Count: count, Stale: stale}
	}
	r.take(own("a", 1, false))
	r.take(own("b", 1, false))
	r.take(own("a", 2, false))
	r.take(own("a", 2, true))
	r.settle(time.Time{})
	if r.lost != 0 || len(f.take()) != 0 {
		t.Errorf("%d lost", r.lost)
	}
	to.full = false
	r.take(own("c", 1, false)) // behind the others
	r.settle(time.Time{})
	if got := strings.Join(to.got, ", "); got != "b 1, a 2, c 1" {
		t.Errorf("got %s", got)
	}
	to.full = true
	for i := range mostOwed + 3 {
		r.take(own(fmt.Sprint(i), 1, false))
	}
	if all := f.take(); r.lost != 3 || len(all) != 1 || all[0].What != alerts.OutputFull || all[0].Lost != 3 || all[0].Where != "x" {
		t.Errorf("%d lost, %+v", r.lost, all)
	}
}

// TestWhatFailsSeveralTimesIsOneFailure, with the sum and the last cause.
func TestWhatFailsSeveralTimesIsOneFailure(t *testing.T) {
	var f failures
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			f.add(alerts.OutputFull, "a", 2, sink.ErrFull)
			f.add(alerts.OutputBroken, "a", 0, io.ErrClosedPipe)
		})
	}
	wg.Wait()
	all := f.take()
	if len(all) != 2 || all[0].Lost+all[1].Lost != 20 || all[0].Cause == "" || len(f.take()) != 0 {
		t.Errorf("%+v", all)
	}
}

// TestWhatBefallsTheSpoolIsAFailure, but not that it can be written again.
func TestWhatBefallsTheSpoolIsAFailure(t *testing.T) {
	for _, tt := range []struct {
		trouble spool.Trouble
		want    string
	}{
		{spool.Trouble{What: spool.Dropped, Records: 7}, "spool-full 7 "},
		{spool.Trouble{What: spool.Damaged, Records: 3, Err: syscall.EIO}, "spool-damaged 3 input/output error"},
		{spool.Trouble{What: spool.Unwritable, Err: syscall.EROFS}, "spool-unwritable 0 read-only file system"},
		{spool.Trouble{What: spool.Writable}, ""},
	} {
		d := &delivery{log: zerolog.Nop(), failures: new(failures)}
		d.inTrouble(tt.trouble)
		got := ""
		for _, f := range d.failures.take() {
			got += fmt.Sprintf("%v %d %s", f.What, f.Lost, f.Cause)
		}
		if got != tt.want {
			t.Errorf("%v: %q, want %q", tt.trouble.What, got, tt.want)
		}
		flows := &delivery{log: zerolog.Nop()} // whose loss is no alert's
		flows.inTrouble(tt.trouble)
		if n := flows.dropped.Load() + flows.damaged.Load(); n != tt.trouble.Records {
			t.Errorf("%v: %d records are counted", tt.trouble.What, n)
		}
	}
}

// TestWithoutAReaderItGoesOnForTheOthers: standard output is gone, and a file has
// the alerts, and that.
func TestWithoutAReaderItGoesOnForTheOthers(t *testing.T) {
	dir := t.TempDir()
	path, conf := filepath.Join(dir, "alerts.ndjson"), filepath.Join(dir, "kmswatch.yaml")
	write(t, conf, fmt.Sprintf("%soutputs: [{path: %q}]\n", zones, path))
	src := newQueued("eth1")
	var logs strings.Builder
	term := terminal{out: &failing{err: syscall.EPIPE}, err: &logs}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	code := make(chan int, 1)
	go func() {
		code <- runOn(ctx, []string{"run", "--keep-rights", "-i", "eth1", "-c", conf}, term, one(src))
	}()
	src.frames <- stamped(captured(t, climb))
	until(t, "the alert of what failed", func() bool {
		b, _ := os.ReadFile(path)
		return strings.Contains(string(b), `"uid":"kms-zone-climb"`) &&
			strings.Contains(string(b), "for standard output within 1 minute: broken pipe")
	})
	stop()
	if got := <-code; got != exitDone {
		t.Errorf("exit code %d\n%s", got, logs.String())
	}
}

// TestAnOutputIsNamedOnce, and one that cannot be opened is said at the start.
func TestAnOutputIsNamedOnce(t *testing.T) {
	dir := t.TempDir()
	path, conf := filepath.Join(dir, "alerts.ndjson"), filepath.Join(dir, "kmswatch.yaml")
	for _, tt := range []struct {
		yaml, output, want string
		code               int
	}{
		{fmt.Sprintf("outputs: [{path: %q}]\n", path), path, "is an output of the configuration as well", exitUsage},
		{fmt.Sprintf("outputs: [{path: %q}]\n", filepath.Join(dir, "none", "a")), "-", "kmswatch: output: open " + filepath.Join(dir, "none", "a") + ": no such file", exitFailed},
		{"outputs: [{path: /dev/null, rotate_size: 1MiB}]\n", "-", "output: /dev/null is no regular file, and cannot be set aside", exitFailed},
	} {
		write(t, conf, tt.yaml)
		var logs strings.Builder
		term := terminal{out: io.Discard, err: &logs}
		code := runOn(t.Context(), []string{"run", "--keep-rights", "-i", "eth1", "-c", conf, "-o", tt.output}, term, one(newQueued("eth1")))
		if code != tt.code || !strings.Contains(logs.String(), tt.want) {
			t.Errorf("exit code %d: %s", code, logs.String())
		}
	}
}
