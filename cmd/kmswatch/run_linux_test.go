package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// child is the test binary as kmswatch run on interfaces where the frames of a
// capture come again and again, started as a service manager does.
type child struct {
	t      *testing.T
	dir    string // that any user may enter, with conf and out
	cmd    *exec.Cmd
	alerts *lines
	logs   *lines
	told   *lines // to the service manager
	over   chan *os.ProcessState
}

// soon is within what an alert comes: a second, and what a busy machine adds.
const soon = 3 * time.Second

// watchdog is in what time the manager wants to hear of the child.
const watchdog = 900 * time.Millisecond

func startChild(t *testing.T, hang bool, args ...string) *child {
	t.Helper()
	dir, err := os.MkdirTemp("", "kmswatch") // t.TempDir is for its owner alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &child{t: t, dir: dir, over: make(chan *os.ProcessState, 1)}
	for _, d := range []string{"", "conf", "out"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, d), 0o777), os.Chmod(filepath.Join(dir, d), 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, c.conf(), zones)

	socket := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	told, tell := io.Pipe()
	c.told = newLines(told)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := manager.Read(b)
			if err != nil {
				tell.Close()
				return
			}
			fmt.Fprintln(tell, strings.ReplaceAll(string(b[:n]), "\n", " "))
		}
	}()

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(climb)
	if err != nil {
		t.Fatal(err)
	}
	c.cmd = exec.Command(self, append([]string{"run", "-i", "eth7", "-c", c.conf(), "-f", "ndjson"}, args...)...)
	c.cmd.Env = append(os.Environ(), pacedCapture+"="+path, "NOTIFY_SOCKET="+socket, fmt.Sprintf("WATCHDOG_USEC=%d", watchdog.Microseconds()))
	if hang {
		c.cmd.Env = append(c.cmd.Env, pacedHang+"=1")
	}
	out, err1 := c.cmd.StdoutPipe()
	logs, err2 := c.cmd.StderrPipe()
	if err := errors.Join(err1, err2, c.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	c.alerts, c.logs = newLines(out), newLines(logs)
	done := make(chan struct{})
	go func() {
		defer close(done)
		state, _ := c.cmd.Process.Wait() // Cmd.Wait would close the pipes before they are read
		c.over <- state
	}()
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); <-done })
	return c
}

func (c *child) conf() string { return filepath.Join(c.dir, "conf", "kmswatch.yaml") }

func (c *child) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// status gives a line of the process's status.
func (c *child) status(name string) string {
	c.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		c.t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if k, v, _ := strings.Cut(l, ":"); k == name {
			return strings.Join(strings.Fields(v), " ")
		}
	}
	return ""
}

// alert is what the tests read of a line.
type alert struct {
	Time     int64 // milliseconds
	Severity string
	Count    int
	Activity string `json:"activity_name"`
	Standing bool   `json:"is_alert"`
	Finding  struct {
		UID      string
		Analytic struct{ UID string }
	} `json:"finding_info"`
	late time.Duration
}

func (c *child) alert(what string, is func(*alert) bool) (a alert) {
	c.t.Helper()
	l := c.alerts.wait(c.t, what, func(text string) bool {
		a = alert{}
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			c.t.Fatalf("%v: %s", err, text)
		}
		return is(&a)
	})
	a.late = l.at.Sub(time.UnixMilli(a.Time))
	return a
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// value gives a metric.
func value(t *testing.T, text, name string) (v float64) {
	t.Helper()
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, name+" "); ok {
			if _, err := fmt.Sscan(rest, &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Errorf("no metric %s", name)
	return -1
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestRun runs the sensor as a service manager does, with the rights given up.
func TestRun(t *testing.T) {
	for _, workers := range []string{"1", "3"} {
		t.Run(workers+" workers", func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			c := startChild(t, false, "-w", workers, "--metrics", fmt.Sprint(port))
			c.told.wait(t, "readiness", has("READY=1 STATUS=watching eth7"))
			if uid := c.status("Uid"); os.Geteuid() == 0 && uid != "65534 65534 65534 65534" {
				t.Errorf("it is user %s", uid)
			}
			for name, want := range map[string]string{"CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"} {
				if got := c.status(name); got != want {
					t.Errorf("%s is %s, want %s", name, got, want)
				}
			}

			// An alert comes within a second of its frame.
			climbs := func(a *alert) bool { return a.Finding.Analytic.UID == "kms-zone-climb" }
			first := c.alert("alert", climbs)
			if first.late > soon || first.Severity != "Medium" || first.Count != 1 || first.Activity != "Create" {
				t.Errorf("after %v: %+v", first.late, first)
			}

			// A bad configuration is refused, with its place.
			write(t, c.conf(), zones+"rules: {kms-zone-climb: {severity: dire}}\n")
			c.signal(syscall.SIGHUP)
			c.told.wait(t, "the reload", has("RELOADING=1 MONOTONIC_USEC="))
			c.logs.wait(t, "mistake", has(c.conf()+":6:36: severity: unknown value dire"))
			c.told.wait(t, "the refusal", has("READY=1", "was refused"))

			// A good one is taken, and the alert that stands goes on.
			write(t, c.conf(), zones+"rules: {kms-zone-climb: {severity: critical}}\n")
			c.signal(syscall.SIGHUP)
			c.told.wait(t, "the reload", has("READY=1", "was read anew"))
			worse := c.alert("worse alert", climbs)
			if worse.late > soon || worse.Severity != "Critical" || worse.Count < 2 || worse.Finding.UID != first.Finding.UID {
				t.Errorf("after %v: %+v", worse.late, worse)
			}

			// The watchdog is petted; a third of its time is the pace.
			begin := time.Now()
			for range 3 {
				c.told.wait(t, "a sign of life", has("WATCHDOG=1"))
			}
			if took := time.Since(begin); took > 3*watchdog {
				t.Errorf("three signs of life took %v", took)
			}

			// Metrics are there, and right. They are those of the second before.
			url := fmt.Sprintf("http://127.0.0.1:%d", port)
			const received = `kmswatch_frames_total{interface="eth7",verdict="received"}`
			text := get(t, url+"/metrics")
			for late := time.Now().Add(20 * time.Second); value(t, text, received) < 30 && time.Now().Before(late); text = get(t, url+"/metrics") {
				time.Sleep(20 * time.Millisecond)
			}
			for name, want := range map[string]float64{
				`kmswatch_alerts_total{rule="kms-zone-climb",severity="medium"}`:       1,
				`kmswatch_config_reloads_total{result="ok"}`:                           1,
				`kmswatch_config_reloads_total{result="failed"}`:                       1,
				`kmswatch_frames_total{interface="eth7",verdict="dropped"}`:            0,
				`kmswatch_output_alerts_total{output="standard output",result="lost"}`: 0,
				`kmswatch_flows_evicted_total`:                                         0,
			} {
				if got := value(t, text, name); got != want {
					t.Errorf("%s %v, want %v", name, got, want)
				}
			}
			frames := value(t, text, received)
			if interest := value(t, text, "kmswatch_frames_of_interest_total"); frames < 30 || interest > frames || interest < frames-10 {
				t.Errorf("%v frames, %v of interest", frames, interest)
			}
			if flows, kms := value(t, text, "kmswatch_flows_total"), value(t, text, "kmswatch_kms_exchanges_total"); flows < 2 || kms < flows-1 || kms > flows {
				t.Errorf("%v flows, %v exchanges", flows, kms)
			}
			if lag, n := value(t, text, "kmswatch_alert_lag_seconds_sum"), value(t, text, "kmswatch_alert_lag_seconds_count"); n < 1 || lag > n {
				t.Errorf("%v alerts lagged %v s", n, lag)
			}
			if got := get(t, url+"/healthz"); got != "ok\n" {
				t.Errorf("health: %q", got)
			}

			// All that was counted is told before it ends.
			c.signal(syscall.SIGTERM)
			c.told.wait(t, "the stop", has("STOPPING=1"))
			last := c.alert("last alert", func(a *alert) bool { return climbs(a) && !a.Standing })
			if last.Count <= worse.Count || last.Finding.UID != first.Finding.UID {
				t.Errorf("%+v", last)
			}
			stopped := c.logs.wait(t, "stop", has(`"message":"stopped"`))
			var summary struct {
				Frames    int
				Exchanges int `json:"kms_exchanges"`
			}
			if err := json.Unmarshal([]byte(stopped.text), &summary); err != nil || summary.Frames < int(frames) ||
				last.Count < summary.Exchanges || last.Count > summary.Exchanges+1 { // a bind may have been the last
				t.Errorf("%v: %s; the last alert counts %d", err, stopped.text, last.Count)
			}
			if state := <-c.over; state.ExitCode() != exitDone {
				t.Errorf("it ended with %v", state)
			}
		})
	}
}

// TestRunWithAFile: alerts go to a file, which may be moved away: what is left of
// the rights is enough to make another.
func TestRunWithAFile(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "kmswatch")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	out, moved := filepath.Join(dir, "alerts.ndjson"), filepath.Join(dir, "alerts.ndjson.1")
	c := startChild(t, false, "-o", out)
	c.told.wait(t, "readiness", has("READY=1"))
	count := func(path string) int {
		b, err := os.ReadFile(path)
		if err != nil {
			return 0
		}
		return strings.Count(string(b), `"uid":"kms-zone-climb"`)
	}
	until(t, "alert", func() bool { return count(out) == 1 })
	if err := os.Rename(out, moved); err != nil {
		t.Fatal(err)
	}
	write(t, c.conf(), zones+"rules: {kms-zone-climb: {severity: critical}}\n")
	c.signal(syscall.SIGHUP)
	until(t, "alert in the new file", func() bool { return count(out) == 1 })
	c.signal(syscall.SIGTERM)
	c.signal(syscall.SIGTERM) // as timeout(1) does: to the process and to its group
	if state := <-c.over; state.ExitCode() != exitDone {
		t.Errorf("it ended with %v", state)
	}
	if n := count(moved); n != 1 {
		t.Errorf("%d alerts in the file that was moved away", n)
	}
}

// TestRunSetsAFileAside: with the rights that are left, where they suffice; where
// they do not, it says so at the start.
func TestRunSetsAFileAside(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{true, false} {
		if !open && os.Geteuid() != 0 {
			continue // it stays who it is, whose the folder is
		}
		dir, err := os.MkdirTemp("", "kmswatch")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		mode := os.FileMode(0o755)
		if open {
			mode = 0o777
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "alerts.ndjson")
		write(t, out, strings.Repeat("{}\n", 64<<10/3)) // as large as it may be, but for a byte
		conf := filepath.Join(dir, "kmswatch.yaml")
		write(t, conf, fmt.Sprintf("%soutputs: [{path: %q, rotate_size: 64KiB, keep: 1, gzip: true}]\n", zones, out))
		c := startChild(t, false, "-c", conf)
		if !open {
			c.logs.wait(t, "what is wrong", has("cannot be set aside", "permission denied", "--user root"))
			if state := <-c.over; state.ExitCode() != exitFailed {
				t.Errorf("it ended with %v", state)
			}
			continue
		}
		c.told.wait(t, "readiness", has("READY=1"))
		until(t, "a file set aside, and compressed", func() bool {
			all, _ := filepath.Glob(filepath.Join(dir, "alerts-*.ndjson.gz"))
			return len(all) == 1
		})
		until(t, "an alert in the new file", func() bool {
			b, _ := os.ReadFile(out)
			return strings.Contains(string(b), `"uid":"kms-zone-climb"`) && !strings.Contains(string(b), "{}\n")
		})
		c.signal(syscall.SIGTERM)
		if state := <-c.over; state.ExitCode() != exitDone {
			t.Errorf("it ended with %v", state)
		}
	}
}

// TestAHungSensorIsQuietAndASecondSignalEndsIt: a loop that does not come round
// pets no watchdog and does not stop.
func TestAHungSensorIsQuietAndASecondSignalEndsIt(t *testing.T) {
	t.Parallel()
	c := startChild(t, true)
	c.told.wait(t, "readiness", has("READY=1"))
	c.told.wait(t, "the last sign of life", has("WATCHDOG=1"))
	time.Sleep(2 * watchdog)
	select {
	case l := <-c.told.ch:
		t.Errorf("it hangs, and tells %s", l.text)
	default:
	}
	c.signal(syscall.SIGTERM)
	select {
	case state := <-c.over:
		t.Fatalf("it ended: %v", state)
	case <-time.After(watchdog + 2*together):
	}
	c.signal(syscall.SIGTERM)
	state := <-c.over
	if w, ok := state.Sys().(syscall.WaitStatus); !ok || !w.Signaled() || w.Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v", state)
	}
}
