//go:build unix

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/capture"
)

// steered is a source that keeps what it was told.
type steered struct {
	*queued
	mu   sync.Mutex
	told []string
	err  error
}

func newSteered() *steered { return &steered{queued: newQueued("eth1")} }

func (s *steered) tell(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, fmt.Sprintf(format, args...))
	return s.err
}

func (s *steered) so() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}

func (s *steered) Watch(k capture.FlowKey) error { return s.tell("watch %v", k) }
func (s *steered) Ignore(k capture.FlowKey) error {
	return s.tell("ignore %d %v %v", k.Proto, k.A, k.B)
}
func (s *steered) WatchPort(proto uint8, port uint16) error {
	return s.tell("port %d/%d", proto, port)
}

const captures = "../../decode/testdata/captures/"

// TestTheKernelIsToldWhatWasLearnt: the ports of KMS, also those of a
// configuration to come, the endpoints that a mapper names, and flows that go on
// in TLS. A source that is opened again is told the ports again.
func TestTheKernelIsToldWhatWasLearnt(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "kmswatch.yaml")
	write(t, conf, zones)
	first, second := newSteered(), newSteered()
	opened := 0
	p := start(t, func(string, *live, zerolog.Logger) (capture.Source, error) {
		if opened++; opened == 1 {
			return first, nil
		}
		return second, nil
	}, "-i", "eth1", "-c", conf)

	for _, name := range []string{"real-rpcclient-anonymous.pcap", "real-ldap-starttls.pcap"} {
		frames := stamped(captured(t, captures+name))
		for i := range frames {
			first.frames <- frames[i : i+1]
		}
	}
	begin := []string{"port 17/53", "port 17/88", "port 17/389"}
	for _, p := range []int{1688, 53, 88, 135, 139, 389, 445, 593, 3268} {
		begin = append(begin, fmt.Sprintf("port 6/%d", p))
	}
	until(t, "ignored flow", func() bool { return len(first.so()) == len(begin)+2 })
	write(t, conf, strings.Replace(zones, "address: 10.66.10.40", "address: 10.66.10.40, ports: [1700]", 1))
	hup(t)
	p.logs.wait(t, "reload", has("the configuration was read anew"))
	told := first.so()
	want := []string{"port 6/49154", "ignore 6 10.66.20.20:40306 10.66.10.10:389", "port 6/1700"}
	if got := told[len(begin):]; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	got := told[:len(begin)]
	slices.Sort(got)
	slices.Sort(begin)
	if !slices.Equal(got, begin) {
		t.Errorf("told %q first, want %q", got, begin)
	}
	first.fail <- errors.New("gone")
	p.logs.wait(t, "return", has("the interface is there again"))
	got, want = second.so(), append(begin, "port 6/1700", "port 6/49154")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	p.end(exitDone)
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("no %s", what)
		}
	}
}

func TestAKernelThatCannotBeSteeredIsSaidOnce(t *testing.T) {
	src := newSteered()
	src.err = errors.New("full")
	var logs strings.Builder
	i, err := openInterfaces([]string{"eth1"}, func(string) (capture.Source, error) { return src, nil }, true, sighted(t), zerolog.New(&logs))
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	for n := range uint16(10) {
		if err := i.WatchPort(tcp, n); err == nil {
			t.Error("no error")
		}
	}
	if n := strings.Count(logs.String(), "cannot be steered"); n != 1 {
		t.Errorf("said %d times", n)
	}
}
