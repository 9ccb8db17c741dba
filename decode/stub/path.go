package stub

import (
	"unicode"
	"unicode/utf16"

	"kmswatch/decode/ndr"
)

func separator(u uint16) bool { return u == '\\' || u == '/' }

// measure looks at every character of a path.
func measure(t ndr.Text) Shape {
	n := t.Len()
	s := Shape{Length: n, Sent: int(min(t.Sent, 1<<30))}
	depth, start := 0, 0
	for i := 0; i <= n; i++ {
		if i < n && !separator(t.Unit(i)) {
			continue
		}
		switch {
		case i == start: // nothing between two separators
		case i == start+1 && t.Unit(start) == '.':
		case i == start+2 && t.Unit(start) == '.' && t.Unit(start+1) == '.':
			s.Parents++
			if depth--; depth < 0 {
				s.Climbs = true
			}
		default:
			depth++
		}
		start = i + 1
	}
	for i := 0; i < n; i++ {
		c := rune(t.Unit(i))
		if utf16.IsSurrogate(c) && i+1 < n {
			if c = utf16.DecodeRune(c, rune(t.Unit(i+1))); c != unicode.ReplacementChar {
				i++
			}
		}
		if c == unicode.ReplacementChar || !unicode.IsPrint(c) {
			s.Odd++
		}
	}
	return s
}

// serverPart finds the server's name in \\server\share, \\?\UNC\server\share or
// \??\UNC\server\share, with either separator; from == to if there is none. If
// path is not set, the string may also be the name alone.
func serverPart(t ndr.Text, path bool) (from, to int) {
	n := t.Len()
	for from < n && separator(t.Unit(from)) {
		from++
	}
	switch {
	case from == 2 && is(t, 2, `?\UNC\`), from == 1 && is(t, 1, `??\UNC\`):
		from = 8
	case from == 2 && (is(t, 2, `?\`) || is(t, 2, `.\`)): // a device
		return 0, 0
	case from < 2 && path:
		return 0, 0
	}
	for to = from; to < n && !separator(t.Unit(to)); to++ {
	}
	return from, to
}

// is tells whether the text goes on with s, upper-case ASCII, from at on.
func is(t ndr.Text, at int, s string) bool {
	if t.Len() < at+len(s) {
		return false
	}
	for i := range len(s) {
		u := t.Unit(at + i)
		if u >= 'a' && u <= 'z' {
			u -= 'a' - 'A'
		}
		if u != uint16(s[i]) && !(s[i] == '\\' && u == '/') {
			return false
		}
	}
	return true
}

// keepCommand takes what a task runs from the first Exec of its XML (MS-TSCH
// 2.5), with its arguments behind a space. Entities are left as they are.
func (d *decoder) keepCommand(xml ndr.Text) {
	if xml.Illegal {
		d.note(BadString)
	}
	at := after(xml, 0, "<Command>")
	if at < 0 {
		return
	}
	command := element(xml, at)
	d.keep(&d.a.Command, command)
	if at = after(xml, at+command.Len(), "</Command>"); at < 0 || command.Len() == 0 {
		return
	}
	arguments := after(xml, at, "<Arguments>")
	if next := after(xml, at, "</Exec>"); arguments < 0 || next >= 0 && next < arguments {
		return
	}
	d.keep(&d.a.Command, element(xml, arguments))
}

// after finds the character behind the next tag from at on; -1 if there is
// none.
func after(t ndr.Text, at int, tag string) int {
	for ; at+len(tag) <= t.Len(); at++ {
		i := 0
		for i < len(tag) && t.Unit(at+i) == uint16(tag[i]) {
			i++
		}
		if i == len(tag) {
			return at + i
		}
	}
	return -1
}

// element gives the text from at to the next tag.
func element(t ndr.Text, at int) ndr.Text {
	end := at
	for end < t.Len() && t.Unit(end) != '<' {
		end++
	}
	return t.Part(at, end)
}
