package wire

// maxStrings bounds the strings that Strings keeps.
const maxStrings = 1024

// Strings makes strings of bytes, the same one for the same bytes: names come
// again and again. It keeps some of those it made last, 1,024 at most, and is used by
// one goroutine. The zero value is ready.
type Strings struct {
	known map[string]string
}

// Of gives the string of b, which is not kept. A nil Strings makes a new one.
func (s *Strings) Of(b []byte) string {
	if len(b) == 0 || s == nil {
		return string(b)
	}
	if t, ok := s.known[string(b)]; ok {
		return t
	}
	if s.known == nil {
		s.known = make(map[string]string)
	}
	if len(s.known) == maxStrings {
		clear(s.known)
	}
	t := string(b)
	s.known[t] = t
	return t
}

// Len is how many strings are kept.
func (s *Strings) Len() int { return len(s.known) }
