package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmswatch/alerts"
	"kmswatch/alerts/sink"
	"kmswatch/alerts/sink/kafkatest"
	"kmswatch/alerts/spool"
	"kmswatch/capture/capturetest/netns"
)

// chaosLong is the variable that asks for the long form: 50 kills, and a broker
// that is away for a minute.
const chaosLong = "KMSWATCH_CHAOS"

// chaosInside is set in the process that has the namespace.
const chaosInside = "KMSWATCH_CHAOS_INSIDE"

// TestChaos has the sensor, as a process that watches a wire, send its alerts to a
// broker while it is killed, and the broker is, and the network between them is
// cut, the spool's disk is full, its files are damaged. Alerts are counted by their
// ids as kcat reads them. Whatever was synced, as a copy of the spool's folder shows
// after each kill, arrives; and what comes first of a key comes in the order in
// which it was raised.
//
// All of it runs in a process that has a network namespace of its own.
func TestChaos(t *testing.T) {
	netns.SkipUnlessRoot(t)
	if os.Getenv(chaosInside) == "" {
		t.Parallel()
		cmd := exec.Command(os.Args[0], "-test.run=^TestChaos$", "-test.v", "-test.timeout=15m")
		cmd.Env = append(os.Environ(), chaosInside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		out, err := cmd.CombinedOutput()
		switch text := string(out); {
		case err != nil:
			t.Errorf("%v\n%s", err, tailOf(text, 20_000))
		case strings.Contains(text, "--- SKIP: TestChaos "):
			t.Skip(text)
		default:
			t.Log(text)
		}
		return
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", "feed", "type", "veth", "peer", "name", "span"},
		{"link", "set", "feed", "up", "addrgenmode", "none"},
		{"link", "set", "span", "up", "addrgenmode", "none"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	c := &chaos{broker: kafkatest.Start(t, kafkatest.Versions[len(kafkatest.Versions)-1]), rand: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))}
	c.wire(t)
	kills, brokerKills, away := 4, 1, 3*time.Second
	if os.Getenv(chaosLong) == "long" {
		kills, brokerKills, away = 50, 5, time.Minute
	}
	t.Run("the sensor is killed", func(t *testing.T) { c.killed(t, kills) })
	t.Run("the broker is away", func(t *testing.T) { c.away(t, away) })
	t.Run("the broker is killed", func(t *testing.T) { c.brokerKilled(t, brokerKills) })
	t.Run("the network is cut", c.cut)
	t.Run("the disk is full", c.full)
	t.Run("files of the spool are damaged", c.damaged)
	if brokerKills > 1 {
		t.Run("nothing goes wrong", c.steady)
	}
}

// chaos is the broker and the wire of the scenarios.
type chaos struct {
	broker *kafkatest.Broker
	rand   *rand.Rand
	frames [][]byte // of a conversation
	socket int
	to     unix.SockaddrLinklayer
	next   int // conversation
}

// wire opens the near end of the wire.
func (c *chaos) wire(t *testing.T) {
	for _, f := range captured(t, climb) {
		c.frames = append(c.frames, bytes.Clone(f.Data))
	}
	near, err := net.InterfaceByName("feed")
	if err != nil {
		t.Fatal(err)
	}
	if c.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(c.socket) })
	c.to = unix.SockaddrLinklayer{Ifindex: near.Index}
}

// converse sends conversations, each of a client in the DMZ with another KMS host:
// each raises alerts of its own.
func (c *chaos) converse(t *testing.T, n int) (frames int) {
	t.Helper()
	for range n {
		c.next++
		for _, f := range c.frames {
			b := bytes.Clone(f)
			server := []byte{10, byte(c.next >> 16), byte(c.next >> 8), byte(c.next)}
			const src, dst, ports = 14 + 12, 14 + 16, 14 + 20 // of IPv4 in Ethernet, without options
			if b[ports+2] == 1688>>8 && b[ports+3] == 1688&0xff {
				copy(b[dst:], server)
			} else {
				copy(b[src:], server)
			}
			if err := unix.Sendto(c.socket, b, 0, &c.to); err != nil {
				t.Fatal(err)
			}
			frames++
		}
	}
	return frames
}

// watched is the sensor as a process, with a spool and a topic of its own.
type watched struct {
	t     *testing.T
	c     *chaos
	topic string
	conf  string
	spool string

	cmd *exec.Cmd
	log *lockedBuffer
}

// lockedBuffer is what a process says, as it says it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (c *chaos) sensor(t *testing.T, topic, spool string) *watched {
	t.Helper()
	dir := t.TempDir()
	if spool == "" {
		spool = filepath.Join(dir, "spool")
	}
	w := &watched{t: t, c: c, topic: topic, conf: filepath.Join(dir, "kmswatch.yaml"), spool: spool}
	write(t, w.conf, fmt.Sprintf(`zones:
  - {name: internal, trust: 50, networks: [10.0.0.0/8]}
  - {name: dmz, trust: 20, networks: [192.0.2.0/24]}
kafka: {brokers: [%q], topic: %s, create: true, partitions: 3, spool: %q}
`, c.broker.Plain, topic, spool))
	t.Cleanup(func() {
		if w.cmd != nil {
			_ = w.cmd.Process.Kill()
			_ = w.cmd.Wait()
		}
		if t.Failed() {
			t.Log(tailOf(w.log.String(), 6000))
		}
	})
	w.log = new(lockedBuffer)
	return w
}

// start starts the sensor, and waits until it watches.
func (w *watched) start() {
	w.t.Helper()
	was := strings.Count(w.log.String(), `"message":"watching"`)
	w.cmd = &exec.Cmd{
		Path: os.Args[0], Args: []string{"kmswatch", "run", "--keep-rights", "-i", "span", "-c", w.conf, "-f", "ndjson", "-o", "/dev/null"},
		Stdout: io.Discard, Stderr: w.log, SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	until(w.t, "the sensor to watch", func() bool { return strings.Count(w.log.String(), `"message":"watching"`) > was })
}

func (w *watched) kill() {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
	w.cmd = nil
}

// stop ends the sensor in order, and gives what it counted.
func (w *watched) stop() (counted struct{ Frames, Dropped, Alerts uint64 }) {
	w.t.Helper()
	_ = w.cmd.Process.Signal(syscall.SIGTERM)
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("SIGTERM: %v", err)
	}
	w.cmd = nil
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, `"message":"stopped"`) {
			if err := json.Unmarshal([]byte(line), &counted); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return counted
}

// raised is a telling of an alert: its id with the count, and its key.
type raised struct{ uid, key string }

func readAlert(t *testing.T, key string, value []byte) raised {
	t.Helper()
	var a struct {
		Metadata struct{ UID string }
	}
	if err := json.Unmarshal(value, &a); err != nil || a.Metadata.UID == "" {
		t.Fatalf("%v in %s", err, value)
	}
	return raised{a.Metadata.UID, key}
}

// synced gives what lies in the spool, of a copy of its folder, in its order.
func (w *watched) synced() (all []raised) {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(w.spool)); err != nil {
		w.t.Fatal(err)
	}
	s, err := spool.Open(spool.Options{Dir: dir, Levels: int(alerts.Critical)})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	for s.Depth().Records > 0 {
		ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
		batch, err := s.Next(ctx)
		cancel()
		if err != nil {
			w.t.Fatalf("%d records are left: %v", s.Depth().Records, err)
		}
		for _, r := range batch {
			var m sink.Message
			if err := m.Parse(r.Data); err != nil {
				w.t.Fatal(err)
			}
			all = append(all, readAlert(w.t, string(m.Key), m.Value))
		}
		s.Ack()
	}
	return all
}

// arrived gives what kcat reads, in the order of each partition.
func (w *watched) arrived() (all []raised, rules map[string]int) {
	w.t.Helper()
	rules = make(map[string]int)
	for _, r := range w.c.broker.Read(w.topic) {
		all = append(all, readAlert(w.t, r.Key, []byte(r.Value)))
		rules[r.Headers["rule"]]++
	}
	return all, rules
}

// hold looks whether all that was synced arrived, each with its key, and in the
// order of the spool, key by key. Of the order, what came twice tells nothing: a
// sensor that was started anew raises anew what goes on.
func (w *watched) hold(synced ...[]raised) (repeats int) {
	w.t.Helper()
	all, _ := w.arrived()
	first, key, twice := make(map[string]int), make(map[string]string), make(map[string]bool)
	for i, r := range all {
		if _, again := first[r.uid]; again {
			repeats++
			twice[r.uid] = true
		} else {
			first[r.uid] = i
		}
		if k, again := key[r.uid]; again && k != r.key {
			w.t.Errorf("%s comes with the keys %s and %s", r.uid, k, r.key)
		}
		key[r.uid] = r.key
	}
	lost := 0
	for _, some := range synced {
		last := make(map[string]string) // of a key
		for _, r := range some {
			at, there := first[r.uid]
			if !there {
				lost++
				continue
			}
			if twice[r.uid] {
				continue
			}
			if before := last[r.key]; before != "" && first[before] > at {
				w.t.Errorf("%s of %s came before %s", r.uid, r.key, before)
			}
			last[r.key] = r.uid
		}
	}
	if lost > 0 {
		w.t.Errorf("%d alerts that were synced did not arrive", lost)
	}
	return repeats
}

// empty waits until nothing waits for the broker.
func (w *watched) empty() {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if len(w.synced()) == 0 {
			return
		}
		if time.Now().After(end) {
			w.t.Fatal("after a minute something still waits for the broker")
		}
	}
}

func (c *chaos) killed(t *testing.T, times int) {
	w := c.sensor(t, "killed", "")
	var synced [][]raised
	n := 0
	for i := range times {
		if i%3 == 2 { // the broker is away for the next
			c.broker.Stop()
		}
		w.start()
		end := time.Now().Add(time.Duration(100+c.rand.IntN(900)) * time.Millisecond)
		for time.Now().Before(end) {
			c.converse(t, 1+c.rand.IntN(20))
			time.Sleep(time.Duration(c.rand.IntN(5)) * time.Millisecond)
		}
		w.kill()
		some := w.synced()
		synced, n = append(synced, some), n+len(some)
		if i%3 == 2 {
			c.broker.Run()
		}
	}
	w.start()
	w.empty()
	w.stop()
	repeats := w.hold(synced...)
	if n == 0 {
		t.Error("no kill left anything in the spool: nothing was tested")
	}
	t.Logf("%d kills left %d alerts in the spool; %d conversations, %d repeats", times, n, c.next, repeats)
}

func (c *chaos) away(t *testing.T, long time.Duration) {
	w := c.sensor(t, "away", "")
	w.start()
	sent := uint64(c.converse(t, 20))
	c.broker.Stop()
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		sent += uint64(c.converse(t, 5))
	}
	synced := w.synced()
	c.broker.Run()
	sent += uint64(c.converse(t, 20))
	w.empty()
	counted := w.stop()
	w.hold(synced)
	if len(synced) == 0 || counted.Frames < sent || counted.Dropped > 0 {
		t.Errorf("%d alerts waited; %d frames were sent, %+v", len(synced), sent, counted)
	}
	all, _ := w.arrived()
	if ids := distinct(all); uint64(ids) < counted.Alerts {
		t.Errorf("%d alerts were raised, %d arrived", counted.Alerts, ids)
	}
	t.Logf("%d alerts waited for %v", len(synced), long)
}

// distinct counts the ids of alerts.
func distinct(all []raised) int {
	ids := make(map[string]bool)
	for _, r := range all {
		id, _, _ := strings.Cut(r.uid, "/")
		ids[id] = true
	}
	return len(ids)
}

func (c *chaos) brokerKilled(t *testing.T, times int) {
	w := c.sensor(t, "broker-killed", "")
	w.start()
	for range times {
		done := make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(time.Duration(20+c.rand.IntN(100)) * time.Millisecond)
			c.broker.Kill()
		}()
		c.converse(t, 600)
		<-done
		c.broker.Run()
	}
	w.empty()
	counted := w.stop()
	w.hold()
	all, _ := w.arrived()
	if ids := distinct(all); uint64(ids) < counted.Alerts || counted.Alerts == 0 || counted.Dropped > 0 {
		t.Errorf("%+v, and %d alerts arrived", counted, ids)
	}
}

func (c *chaos) cut(t *testing.T) {
	wire := func(state string) { // that to the broker
		t.Helper()
		if out, err := exec.Command("ip", "link", "set", "lo", state).CombinedOutput(); err != nil {
			t.Fatalf("ip: %v\n%s", err, out)
		}
	}
	w := c.sensor(t, "cut", "")
	w.start()
	c.converse(t, 20)
	wire("down")
	for range 20 {
		c.converse(t, 10)
		time.Sleep(100 * time.Millisecond)
	}
	synced := w.synced()
	wire("up")
	w.empty()
	counted := w.stop()
	w.hold(synced)
	all, _ := w.arrived()
	if ids := distinct(all); len(synced) == 0 || uint64(ids) < counted.Alerts || counted.Dropped > 0 {
		t.Errorf("%d alerts waited; %+v, and %d arrived", len(synced), counted, ids)
	}
}

func (c *chaos) full(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	w := c.sensor(t, "full", filepath.Join(dir, "spool"))
	w.start()
	c.broker.Stop()
	for end := time.Now().Add(30 * time.Second); !strings.Contains(w.log.String(), `"what":"unwritable"`); time.Sleep(10 * time.Millisecond) {
		c.converse(t, 20)
		if time.Now().After(end) {
			t.Fatal("the disk does not fill")
		}
	}
	c.converse(t, 50)
	synced := w.synced()
	c.broker.Run()
	until(t, "the spool to be written again", func() bool { return strings.Contains(w.log.String(), "can be written again") })
	c.converse(t, 20)
	w.empty()
	counted := w.stop()
	w.hold(synced)
	all, rules := w.arrived()
	if ids := distinct(all); len(synced) == 0 || uint64(ids) < counted.Alerts || counted.Dropped > 0 || rules["sensor-alerts-lost"] == 0 {
		t.Errorf("%d alerts were synced; %+v, and %d arrived, by rule %v", len(synced), counted, ids, rules)
	}
}

func (c *chaos) damaged(t *testing.T) {
	w := c.sensor(t, "damaged", "")
	c.broker.Stop()
	w.start()
	for range 3 { // a segment for each run
		c.converse(t, 40)
		time.Sleep(300 * time.Millisecond)
		w.kill()
		w.start()
	}
	c.converse(t, 40)
	time.Sleep(300 * time.Millisecond)
	w.kill()
	synced := w.synced()
	files, err := filepath.Glob(filepath.Join(w.spool, "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	slices.Sort(files)
	for i, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 && len(files) > 1 {
			b = b[:len(b)*2/3] // and not the last file, whose end a crash may cut
		}
		for range 2 {
			b[c.rand.IntN(len(b))] ^= 1 << c.rand.IntN(8)
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	readable := w.synced()
	c.broker.Run()
	w.start()
	c.converse(t, 10)
	w.empty()
	w.stop()
	w.hold(readable)
	_, rules := w.arrived()
	aside, _ := filepath.Glob(filepath.Join(w.spool, "*.damaged"))
	if len(readable) >= len(synced) || len(readable) == 0 || rules["sensor-alerts-lost"] == 0 || len(aside) == 0 {
		t.Errorf("%d alerts of %d could be read; %d files are set aside; by rule: %v", len(readable), len(synced), len(aside), rules)
	}
	t.Logf("%d alerts of %d could be read, %d files of %d are set aside", len(readable), len(synced), len(aside), len(files))
}

// steady raises about 1,000 alerts a second, and tells how long they took from the
// frame to the broker, by the clocks of the kernel and of the broker.
func (c *chaos) steady(t *testing.T) {
	c.broker.Java(t, "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", c.broker.Plain, "--create", "--topic", "steady",
		"--partitions", "3", "--config", "message.timestamp.type=LogAppendTime")
	w := c.sensor(t, "steady", "")
	w.start()
	began := time.Now()
	n := 0
	for ; time.Since(began) < 10*time.Second; n++ {
		c.converse(t, 9)
		time.Sleep(time.Until(began.Add(time.Duration(n+1) * 20 * time.Millisecond)))
	}
	took := time.Since(began)
	w.empty()
	counted := w.stop()
	out, err := exec.Command("kcat", "-q", "-C", "-b", c.broker.Plain, "-t", "steady", "-o", "beginning", "-e", "-f", "%T\x1f%s\x1e").Output()
	if err != nil {
		t.Fatal(err)
	}
	var late []time.Duration
	for _, text := range strings.Split(string(out), "\x1e") {
		stamp, value, ok := strings.Cut(text, "\x1f")
		var a struct {
			Activity int `json:"activity_id"`
			Time     int64
		}
		var at int64
		if _, err := fmt.Sscan(stamp, &at); !ok || err != nil || json.Unmarshal([]byte(value), &a) != nil || a.Activity != 1 {
			continue // nothing, or the last word of an alert
		}
		late = append(late, time.Duration(at-a.Time)*time.Millisecond)
	}
	if uint64(len(late)) < counted.Alerts || len(late) == 0 {
		t.Fatalf("%d of %d alerts arrived", len(late), counted.Alerts)
	}
	slices.Sort(late)
	t.Logf("%d alerts, %.0f a second: half of them within %v of their frame, 99 of 100 within %v, the last %v",
		len(late), float64(len(late))/took.Seconds(), late[len(late)/2], late[len(late)*99/100], late[len(late)-1])
}
