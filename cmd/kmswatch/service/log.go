package service

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// Identifiers of events. EventCreate.exe, which lends the source its messages,
// has those from 1 to 1000.
const (
	eventLog   = 1 // what the sensor logs
	eventAlert = 2 // an alert
)

// maxText is how many UTF-16 units the event log takes of one text.
const maxText = 31839

// events is the event log: one event a call.
type events interface {
	Info(id uint32, text string) error
	Warning(id uint32, text string) error
	Error(id uint32, text string) error
}

// Log writes to the event log, one event a Write. It is for any goroutine.
type Log struct {
	mu   sync.Mutex
	to   events
	text bytes.Buffer
	form zerolog.ConsoleWriter // into text
}

func newLog(to events) *Log {
	l := &Log{to: to}
	l.form = zerolog.ConsoleWriter{
		Out: &l.text, NoColor: true,
		PartsOrder:    []string{zerolog.MessageFieldName}, // the event has its own time and level
		FieldsExclude: []string{zerolog.TimestampFieldName, zerolog.LevelFieldName},
	}
	return l
}

// Write takes what is no line of a logger: a complaint, on its way to standard
// error.
func (l *Log) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("kmswatch: warning: ")) {
		return l.plain(zerolog.WarnLevel, eventLog, b)
	}
	return l.plain(zerolog.ErrorLevel, eventLog, b)
}

// WriteLevel meets zerolog.LevelWriter: b is one line, in JSON.
func (l *Log) WriteLevel(level zerolog.Level, b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
	if _, err := l.form.Write(b); err != nil {
		return 0, err
	}
	return len(b), l.event(level, eventLog, l.text.String())
}

// Alerts takes alerts, one a Write, as warnings with an identifier of their own.
func (l *Log) Alerts() io.Writer { return alertWriter{l} }

type alertWriter struct{ l *Log }

func (w alertWriter) Write(b []byte) (int, error) { return w.l.plain(zerolog.WarnLevel, eventAlert, b) }

func (l *Log) plain(level zerolog.Level, id uint32, b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(b), l.event(level, id, string(b))
}

// event writes one event. What is below a warning is information.
func (l *Log) event(level zerolog.Level, id uint32, text string) error {
	text = fit(text)
	if text == "" {
		return nil
	}
	switch {
	case level >= zerolog.ErrorLevel && level <= zerolog.PanicLevel:
		return l.to.Error(id, text)
	case level == zerolog.WarnLevel:
		return l.to.Warning(id, text)
	}
	return l.to.Info(id, text)
}

// fit makes a text one that the event log takes as it is: no NUL, which would end
// it; no % before a digit, which viewers replace by something else; lines that
// end as on Windows; and not too long.
func fit(s string) string {
	s = strings.TrimRight(s, "\r\n")
	const cut = " [cut]"
	var b strings.Builder
	units, whole := 0, 0 // whole is where to cut, should it become too long
	percent := false
	for _, r := range s {
		switch {
		case r == 0:
			r = ' '
		case r == '\r':
			continue
		case percent && r >= '0' && r <= '9':
			b.WriteByte(' ')
			units++
		}
		percent = r == '%'
		if r == '\n' {
			b.WriteByte('\r')
			units++
		}
		b.WriteRune(r) // an invalid byte is U+FFFD here
		units++
		if r > 0xffff {
			units++
		}
		if units <= maxText-len(cut) {
			whole = b.Len()
		}
		if units > maxText {
			return b.String()[:whole] + cut
		}
	}
	return b.String()
}

var _ zerolog.LevelWriter = (*Log)(nil)
