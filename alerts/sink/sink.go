// Package sink takes alerts to where they are read: a person's terminal, or a
// file of lines. It is given alerts at every stage and lets pass those that its
// reader has use for.
package sink

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"kmswatch/alerts"
)

// NDJSON writes one JSON object a line: each alert as it is raised, again when
// it is worse, and with its final count if there were repeats. A line is one
// Write, so that a reader who follows sees whole lines.
type NDJSON struct {
	to     io.Writer
	encode func([]byte, *alerts.Alert) []byte
	line   []byte
}

// NewNDJSON makes one; encode appends an alert as JSON without a line break.
func NewNDJSON(to io.Writer, encode func([]byte, *alerts.Alert) []byte) *NDJSON {
	return &NDJSON{to: to, encode: encode}
}

// Write writes an alert. It keeps nothing of it.
func (s *NDJSON) Write(a *alerts.Alert) error {
	if a.Stale {
		return nil
	}
	s.line = append(s.encode(s.line[:0], a), '\n')
	_, err := s.to.Write(s.line)
	return err
}

// Console writes alerts for a person, a block each.
type Console struct {
	// Live writes an alert when it is raised or worse, and a line with the
	// count when it ends. Otherwise it is written once, when it ends.
	Live bool
	// Colour marks severities with the colours of a terminal.
	Colour bool

	to        io.Writer
	explained map[string]bool // rules whose mitigation was written
	block     []byte
}

// NewConsole makes one that writes alerts when they end, without colour.
func NewConsole(to io.Writer) *Console {
	return &Console{to: to, explained: make(map[string]bool)}
}

// Write writes an alert. It keeps nothing of it.
func (s *Console) Write(a *alerts.Alert) error {
	switch {
	case !s.Live && a.Stage != alerts.Ended, s.Live && a.Stale:
		return nil
	case s.Live && a.Stage == alerts.Ended:
		s.block = s.heading(s.block[:0], a)
		s.block = fmt.Appendf(s.block, "    %s, in all\n\n", times(a))
	default:
		s.block = s.alert(s.block[:0], a)
	}
	_, err := s.to.Write(s.block)
	if err != nil {
		delete(s.explained, a.Rule.ID) // nobody has read it, perhaps
	}
	return err
}

// colours of severities, for a dark and for a light background.
var colours = [...]string{
	alerts.Informational: "\x1b[34m",
	alerts.Low:           "\x1b[36m",
	alerts.Medium:        "\x1b[33m",
	alerts.High:          "\x1b[31m",
	alerts.Critical:      "\x1b[1;31m",
}

func (s *Console) heading(b []byte, a *alerts.Alert) []byte {
	b = appendTime(b, a.First, "2006-01-02 15:04:05.000")
	b = append(b, "  "...)
	word := fmt.Sprintf("%-13s", a.Severity)
	if s.Colour && int(a.Severity) < len(colours) && a.Severity != 0 {
		word = colours[a.Severity] + word + "\x1b[0m"
	}
	b = append(b, word...)
	b = append(b, "  "...)
	return append(append(b, a.Rule.ID...), '\n')
}

func (s *Console) alert(b []byte, a *alerts.Alert) []byte {
	line := func(format string, args ...any) {
		b = append(b, "    "...)
		b = appendPrintable(b, fmt.Sprintf(format, args...))
		b = append(b, '\n')
	}
	b = s.heading(b, a)
	line("%s", a.Summary)
	if a.Client.Addr.IsValid() && a.Server.Addr.IsValid() {
		line("%s -> %s, %s", party(&a.Client), party(&a.Server), protocol(a.Flow.Proto))
	}
	if a.Count > 1 {
		line("%s%s%s", times(a), several(&a.Clients, "clients"), several(&a.Servers, "servers"))
	}
	if len(a.Facts) > 0 {
		facts := make([]string, len(a.Facts))
		for i, f := range a.Facts {
			facts[i] = f.Name + " " + text(f.Value)
		}
		line("%s", strings.Join(facts, ", "))
	}
	if p := a.Process; p != nil {
		end := "client"
		if p.Server {
			end = "server"
		}
		line("the %s is %s, process %d", end, p.Name, p.PID)
	}
	if f := frames(a.Frames); f != "" {
		line("%s", f)
	}
	if q := a.Quality.Names(); len(q) > 0 {
		line("what was seen of the flow: %s", strings.Join(q, ", "))
	}
	if a.Rule.Mitigation != "" && !s.explained[a.Rule.ID] {
		s.explained[a.Rule.ID] = true
		line("mitigation: %s", a.Rule.Mitigation)
	}
	return append(b, '\n')
}

func appendTime(b []byte, t int64, layout string) []byte {
	if t == 0 {
		return append(b, "at no known time"...)
	}
	return append(time.Unix(0, t).UTC().AppendFormat(b, layout), 'Z')
}

// times says how often, and over what time.
func times(a *alerts.Alert) string {
	if a.Count == 1 {
		return "once"
	}
	s := strconv.FormatUint(a.Count, 10) + " times"
	if d := time.Duration(a.Last - a.First).Round(time.Millisecond); d > 0 {
		s += " within " + d.String()
	}
	return s
}

// several names addresses if there is more than one.
func several(s *alerts.Addresses, what string) string {
	if s.Count < 2 {
		return ""
	}
	var names []string
	for _, a := range s.First {
		names = append(names, a.Unmap().String())
	}
	more := ""
	switch {
	case s.More:
		more = fmt.Sprintf(" and more than %d others", s.Count-len(names))
	case s.Count == len(names)+1:
		more = " and 1 other"
	case s.Count > len(names):
		more = fmt.Sprintf(" and %d others", s.Count-len(names))
	}
	return fmt.Sprintf(", %d %s: %s%s", s.Count, what, strings.Join(names, " "), more)
}

func party(p *alerts.Party) string {
	s := p.Addr.Unmap().String()
	if p.Port != 0 {
		if strings.Contains(s, ":") {
			s = "[" + s + "]"
		}
		s += ":" + strconv.Itoa(int(p.Port))
	}
	if p.Zone != nil {
		s += " (" + p.Zone.Name + ")"
	}
	return s
}

func protocol(n uint8) string {
	switch n {
	case 6:
		return "tcp"
	case 17:
		return "udp"
	}
	return "protocol " + strconv.Itoa(int(n))
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" || strings.ContainsAny(v, " ,") {
			return strconv.Quote(v)
		}
		return v
	case []string:
		return strings.Join(v, " ")
	}
	return fmt.Sprint(v)
}

// frames names frames, and files where there are any.
func frames(list []alerts.Frame) string {
	var b strings.Builder
	for i, f := range list {
		switch {
		case i == 0 || f.File != list[i-1].File:
			if i > 0 {
				b.WriteString("; ")
			}
			if f.File != "" {
				b.WriteString(f.File + " ")
			}
			b.WriteString("frame ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(strconv.FormatUint(f.Number, 10))
	}
	return b.String()
}

// appendPrintable appends text of which parts came from the network: what a
// terminal would obey, or would not show, is written as Go escapes it.
func appendPrintable(b []byte, s string) []byte {
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			b = fmt.Appendf(b, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			b = append(b, s[:size]...)
		default:
			q := strconv.AppendQuoteRune(nil, r)
			b = append(b, q[1:len(q)-1]...)
		}
		s = s[size:]
	}
	return b
}
