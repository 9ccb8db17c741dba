package service

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// written keeps events as text.
type written struct {
	all  []string
	full error
}

func (w *written) add(kind string, id uint32, text string) error {
	w.all = append(w.all, fmt.Sprintf("%s %d: %s", kind, id, text))
	return w.full
}

func (w *written) Info(id uint32, text string) error    { return w.add("information", id, text) }
func (w *written) Warning(id uint32, text string) error { return w.add("warning", id, text) }
func (w *written) Error(id uint32, text string) error   { return w.add("error", id, text) }

func TestLog(t *testing.T) {
	var w written
	l := newLog(&w)
	log := zerolog.New(l).Level(zerolog.TraceLevel).Hook(zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Time(zerolog.TimestampFieldName, time.Unix(0, 0))
	}))
	log.Trace().Msg("step")
	log.Debug().Int("n", 3).Msg("detail")
	log.Info().Str("interface", "Ethernet 2").Int("rules", 24).Msg("watching")
	log.Warn().Uint64("frames", 17).Msg("frames were dropped")
	log.Error().Err(errors.New("the interface\ndisappeared")).Msg("the interface failed")
	log.WithLevel(zerolog.FatalLevel).Msg("the end")
	log.Log().Msg("without a level")
	fmt.Fprintln(l, "kmswatch: warning: something is odd")
	fmt.Fprintln(l, "kmswatch: open zones.yaml: no such file")
	fmt.Fprint(l.Alerts(), "kms-zone-climb  high\n  192.0.2.1 (dmz) activated\n")
	fmt.Fprint(l, "\n")
	if d := cmp.Diff([]string{
		"information 1: step",
		"information 1: detail n=3",
		"information 1: watching interface=\"Ethernet 2\" rules=24",
		"warning 1: frames were dropped frames=17",
		"error 1: the interface failed error=\"the interface\\ndisappeared\"",
		"error 1: the end",
		"information 1: without a level",
		"warning 1: kmswatch: warning: something is odd",
		"error 1: kmswatch: open zones.yaml: no such file",
		"warning 2: kms-zone-climb  high\r\n  192.0.2.1 (dmz) activated",
	}, w.all); d != "" {
		t.Error(d)
	}

	w.full = errors.New("the log is full")
	if _, err := fmt.Fprintln(l, "lost"); !errors.Is(err, w.full) {
		t.Errorf("error is %v", err)
	}
}

func TestTextsFitTheEventLog(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain", "activated", "activated"},
		{"nothing", "\r\n\n", ""},
		{"lines", "a\nb\r\nc\n", "a\r\nb\r\nc"},
		{"a NUL", "a\x00b", "a b"},
		{"an address with a zone", "fe80::1%12 100%", "fe80::1% 12 100%"},
		{"bytes that are no text", "a\xffb", "a\ufffdb"},
		{"as long as may be", strings.Repeat("x", maxText), strings.Repeat("x", maxText)},
		{"one too many", strings.Repeat("x", maxText+1), strings.Repeat("x", maxText-6) + " [cut]"},
		{"characters of two units", strings.Repeat("\U0001f511", maxText), strings.Repeat("\U0001f511", (maxText-6)/2) + " [cut]"},
		{"lines alone", strings.Repeat("\n", maxText) + "x", strings.Repeat("\r\n", (maxText-6)/2) + " [cut]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := fit(c.text)
			if got != c.want {
				t.Errorf("got %d bytes, %.60q, want %d, %.60q", len(got), got, len(c.want), c.want)
			}
			if n := len(utf16.Encode([]rune(got))); n > maxText {
				t.Errorf("%d units", n)
			}
		})
	}
}
