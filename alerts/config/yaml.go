package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"kmswatch/alerts/zone"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Error is one thing wrong with a configuration, and where.
type Error struct {
	File         string
	Line, Column int // from 1; 0 where there is no place
	Text         string
	Hint         string // what to write instead; may be empty
}

// Error gives file:line:column: text; hint. It is one line, whatever line
// breaks the names in the file have.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	b.WriteString(e.Text)
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	if !strings.ContainsFunc(b.String(), unicode.IsControl) {
		return b.String()
	}
	var line strings.Builder
	for _, c := range b.String() {
		if unicode.IsControl(c) {
			quoted := strconv.QuoteRune(c)
			line.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		line.WriteRune(c)
	}
	return line.String()
}

// Errors is all that is wrong with a configuration, in the order of the file,
// one line each.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the errors one by one.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i := range e {
		out[i] = e[i]
	}
	return out
}

// reader reads values from the syntax tree and collects what is wrong. The
// syntax tree, and not the library's decoding into structs, gives all errors at
// once, each with its place.
type reader struct {
	file string
	errs Errors
}

// parse gives the top mapping of a document; nil, without an error, if it is
// empty.
func (r *reader) parse(b []byte) *ast.MappingNode {
	// Keys given twice are found by mapping, which says where the first is.
	f, err := parser.ParseBytes(shield(b), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var y yaml.Error
		if errors.As(err, &y) {
			r.bad(y.GetToken(), "", "%s", y.GetMessage())
		} else {
			r.bad(nil, "", "%s", err)
		}
		return nil
	}
	var top ast.Node
	for _, d := range f.Docs {
		if d.Body == nil {
			continue
		}
		if top != nil {
			r.bad(d.Body.GetToken(), "put all into one document, without ---", "second document")
			return nil
		}
		top = d.Body
	}
	if top == nil || top.Type() == ast.NullType || top.Type() == ast.CommentType {
		return nil
	}
	m, _ := r.asMapping(top, "the configuration")
	return m
}

// colon stands for the colons of an IPv6 address while the library reads.
const colon = '\uE03A' // private use, and one column as a colon is

// shield hides the colons of plain IPv6 addresses and networks. Inside {} the
// library (1.19.2) takes each colon for the end of a key, as YAML 1.2.2 7.3.3
// does only if a space or one of ,[]{} follows, and it does so for the second
// of fd00:: before the end of a line.
func shield(b []byte) []byte {
	if !bytes.ContainsRune(b, ':') {
		return b
	}
	out := make([]byte, 0, len(b)+64)
	for i := 0; i < len(b); {
		n := bytes.IndexAny(b[i:], " \t\r\n,[]{}#'\"")
		if n == 0 {
			out = append(out, b[i])
			i++
			continue
		}
		if n < 0 {
			n = len(b) - i
		}
		word := b[i : i+n]
		i += n
		if bytes.Count(word, []byte{':'}) >= 2 && isNetwork(string(word)) {
			word = bytes.ReplaceAll(word, []byte{':'}, []byte(string(colon)))
		}
		out = append(out, word...)
	}
	return out
}

func isNetwork(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(s)
	return err == nil
}

// unshield gives back the colons that shield hid.
func unshield(s string) string { return strings.ReplaceAll(s, string(colon), ":") }

func (r *reader) bad(t *token.Token, hint, format string, args ...any) {
	e := &Error{File: r.file, Text: unshield(fmt.Sprintf(format, args...)), Hint: unshield(hint)}
	if t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	r.errs = append(r.errs, e)
}

// result gives the errors in the order of the file.
func (r *reader) result() error {
	if len(r.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(r.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.errs
}

// at gives the token by which a person finds the node: of a mapping its first
// key, else the value itself.
func at(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return n.Values[0].Key.GetToken()
		}
		return n.Start
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	case *ast.SequenceNode:
		return n.Start
	}
	return n.GetToken()
}

// kind names what stands where something else was wanted.
func kind(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "a mapping"
	case ast.SequenceType:
		return "a list"
	case ast.NullType:
		return "nothing"
	case ast.StringType:
		return "text"
	case ast.LiteralType:
		return "a block of text"
	case ast.IntegerType, ast.FloatType, ast.InfinityType, ast.NanType:
		return "a number"
	case ast.BoolType:
		return "true or false"
	case ast.AnchorType:
		return "an anchor"
	case ast.AliasType:
		return "an alias"
	case ast.TagType:
		return "a tag"
	}
	return "something else"
}

// wrong says that a node is not of the kind wanted.
func (r *reader) wrong(n ast.Node, what, want, hint string) {
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.TagType:
		hint = "anchors, aliases and tags are not known here: write the value itself"
	}
	r.bad(at(n), hint, "%s: want %s, found %s", what, want, kind(n))
}

func null(n ast.Node) bool { return n == nil || n.Type() == ast.NullType }

func (r *reader) asMapping(n ast.Node, what string) (*ast.MappingNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n, true
	case *ast.MappingValueNode: // the library's form of a mapping with one key, before 1.19
		return &ast.MappingNode{BaseNode: n.BaseNode, Start: n.Key.GetToken(), Values: []*ast.MappingValueNode{n}}, true
	}
	r.wrong(n, what, "a mapping", "write key: value lines below it")
	return nil, false
}

// field is what a key of a mapping may be, and how its value is read.
type field struct {
	key  string
	read func(key *token.Token, value ast.Node)
}

// mapping reads the keys of a mapping, in the order of the file. An empty one
// has none.
func (r *reader) mapping(n ast.Node, what string, fields ...field) {
	if null(n) {
		return
	}
	r.each(n, what, func(key *token.Token, name string, value ast.Node) {
		for _, f := range fields {
			if f.key == name {
				f.read(key, value)
				return
			}
		}
		names := make([]string, len(fields))
		for i, f := range fields {
			names[i] = f.key
		}
		r.bad(key, meant(name, names), "%s: unknown key %s", what, name)
	})
}

// each visits the keys of a mapping and refuses one given twice.
func (r *reader) each(n ast.Node, what string, visit func(key *token.Token, name string, value ast.Node)) {
	if null(n) {
		return
	}
	m, ok := r.asMapping(n, what)
	if !ok {
		return
	}
	first := make(map[string]*token.Token)
	for _, v := range m.Values {
		t := v.Key.GetToken()
		s, ok := v.Key.(ast.ScalarNode)
		if !ok || v.Key.Type() == ast.MergeKeyType {
			r.bad(t, "write a plain word", "%s: malformed key", what)
			continue
		}
		name := unshield(fmt.Sprint(s.GetValue()))
		if f := first[name]; f != nil {
			r.bad(t, "remove one", "%s: key %s is given on line %d already", what, name, f.Position.Line)
			continue
		}
		first[name] = t
		visit(t, name, v.Value)
	}
}

// list reads the elements of a list; one element alone may stand without its
// brackets if single is set.
func (r *reader) list(n ast.Node, what string, single bool, visit func(ast.Node)) {
	if null(n) {
		return
	}
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		if single {
			if _, scalar := n.(ast.ScalarNode); scalar {
				visit(n)
				return
			}
		}
		r.wrong(n, what, "a list", "write [one, two], or a line with - for each")
		return
	}
	for _, v := range s.Values {
		visit(v)
	}
}

// listed is list for a key that means everything when it is left out: an empty
// list would say the opposite of what it does.
func (r *reader) listed(n ast.Node, what string, visit func(ast.Node)) {
	empty := null(n)
	if s, ok := n.(*ast.SequenceNode); ok {
		empty = len(s.Values) == 0
	}
	if empty {
		r.bad(at(n), "leave the key out to mean all", "%s: empty list", what)
		return
	}
	r.list(n, what, true, visit)
}

// text reads a plain word or a quoted text.
func (r *reader) text(n ast.Node, what string) (string, bool) {
	s, ok := n.(*ast.StringNode)
	if !ok {
		hint := ""
		switch n.Type() {
		case ast.IntegerType, ast.FloatType, ast.BoolType:
			hint = fmt.Sprintf("put it in quotes: %q", n.GetToken().Value)
		}
		r.wrong(n, what, "text", hint)
		return "", false
	}
	if s.Value == "" {
		r.bad(at(n), "write it, or leave the key out", "%s: empty text", what)
		return "", false
	}
	return unshield(s.Value), true
}

// word reads one of some words.
func (r *reader) word(n ast.Node, what string, words []string) (string, bool) {
	s, ok := r.text(n, what)
	if ok && !slices.Contains(words, s) {
		r.bad(at(n), meant(s, words), "%s: unknown value %s", what, s)
		return "", false
	}
	return s, ok
}

func (r *reader) boolean(n ast.Node, what string) (bool, bool) {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		r.wrong(n, what, "true or false", "")
		return false, false
	}
	return b.Value, true
}

func (r *reader) integer(n ast.Node, what string, low, high int64) (int64, bool) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		r.wrong(n, what, "a whole number", "")
		return 0, false
	}
	var v int64
	switch x := i.Value.(type) {
	case int64:
		v = x
	case uint64:
		v = int64(min(x, math.MaxInt64))
	}
	return v, r.within(n, what, v, low, high)
}

func (r *reader) within(n ast.Node, what string, v, low, high int64) bool {
	if v < low || v > high {
		if high == math.MaxInt64 {
			r.bad(at(n), "", "%s: %s is less than %d", what, n.GetToken().Value, low)
		} else {
			r.bad(at(n), "", "%s: %s is not within %d to %d", what, n.GetToken().Value, low, high)
		}
		return false
	}
	return true
}

// bytes reads a number of bytes, plain or with a binary unit.
func (r *reader) bytes(n ast.Node, what string, low int64) (int64, bool) {
	if n.Type() == ast.IntegerType {
		return r.integer(n, what, low, math.MaxInt64)
	}
	const hint = "write a number and KiB, MiB or GiB, as in 64MiB"
	s, ok := n.(*ast.StringNode)
	if !ok {
		r.wrong(n, what, "a number of bytes", hint)
		return 0, false
	}
	for i, unit := range [...]string{"KiB", "MiB", "GiB"} {
		if digits, found := strings.CutSuffix(s.Value, unit); found {
			shift := 10 * (i + 1)
			v, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
			if err != nil || v < 0 || v > math.MaxInt64>>shift {
				break
			}
			return v << shift, r.within(n, what, v<<shift, low, math.MaxInt64)
		}
	}
	r.bad(at(n), hint, "%s: malformed number of bytes %q", what, s.Value)
	return 0, false
}

func (r *reader) duration(n ast.Node, what string, low, high time.Duration) (time.Duration, bool) {
	const hint = "write a number and its unit: 90s, 5m, 24h"
	s, ok := n.(*ast.StringNode)
	if !ok {
		r.wrong(n, what, "a duration", hint)
		return 0, false
	}
	d, err := time.ParseDuration(s.Value)
	if err != nil {
		r.bad(at(n), hint, "%s: malformed duration %q", what, s.Value)
		return 0, false
	}
	if d < low || d > high {
		r.bad(at(n), "", "%s: %s is not within %s to %s", what, s.Value, short(low), short(high))
		return 0, false
	}
	return d, true
}

// short writes a duration without the parts that are zero: 24h, not 24h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func (r *reader) address(n ast.Node, what string) (netip.Addr, bool) {
	s, ok := r.scalar(n, what, "an address")
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil && strings.Contains(s, "/"):
		r.bad(at(n), "write one address, without a prefix length", "%s: %q is a network", what, s)
	case err != nil:
		r.bad(at(n), "write it as 192.0.2.1 or 2001:db8::1; names are not looked up", "%s: %q is no address", what, s)
	case a.Zone() != "":
		r.bad(at(n), "leave out what follows %", "%s: address %s has a scope", what, s)
	case a.IsUnspecified() || a.IsMulticast():
		r.bad(at(n), "", "%s: %s is no address of a host", what, s)
	default:
		return a.Unmap(), true
	}
	return netip.Addr{}, false
}

func (r *reader) network(n ast.Node, what string) (netip.Prefix, bool) {
	s, ok := r.scalar(n, what, "a network")
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := zone.ParseNetwork(s)
	if err != nil {
		var z *zone.Error
		errors.As(err, &z)
		r.bad(at(n), z.Hint, "%s: %s", what, z.Text)
		return netip.Prefix{}, false
	}
	return p, true
}

// scalar gives what was written, also where YAML takes it for a number.
func (r *reader) scalar(n ast.Node, what, want string) (string, bool) {
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode:
		return unshield(n.GetToken().Value), true
	}
	hint := ""
	if k := n.Type(); k == ast.MappingType || k == ast.MappingValueType {
		hint = "a : within the text is taken for a key; if it is meant, put the text in quotes"
	}
	r.wrong(n, what, want, hint)
	return "", false
}

// meant is the hint for a word that is not known: the nearest, else all.
func meant(got string, words []string) string {
	best, distance := "", max(2, len(got)/4)+1
	for _, w := range words {
		if d := edits(strings.ToLower(got), strings.ToLower(w)); d < distance {
			best, distance = w, d
		}
	}
	switch {
	case best != "":
		return "did you mean " + best + "?"
	case len(words) == 0:
		return ""
	case len(words) > 12:
		return fmt.Sprintf("there are %d, among them %s", len(words), strings.Join(words[:12], ", "))
	}
	return "known are " + strings.Join(words, ", ")
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
