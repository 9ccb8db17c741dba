package config

import (
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Bounds of when a file is set aside, and of how many are left.
const (
	leastRotateSize  = 64 << 10
	leastRotateEvery = time.Minute
	mostKept         = 100_000
)

func (l *loader) readOutputs(n ast.Node) {
	named := make(map[string]int) // line
	l.list(n, "outputs", false, func(n ast.Node) {
		var o Output
		var keep, zip *token.Token
		if k := n.Type(); k == ast.NullType {
			l.wrong(n, "output", "a mapping", "write {path: /var/log/kmswatch/alerts.ndjson}")
			return
		}
		l.mapping(n, "output",
			field{"path", func(_ *token.Token, v ast.Node) {
				var ok bool
				if o.Path, ok = l.text(v, "path"); !ok {
					return
				}
				if o.Path == "-" {
					l.bad(at(v), "name a file; kmswatch run --output says what goes to standard output", "path: - is no file")
				}
				path := filepath.Clean(o.Path)
				if line, ok := named[path]; ok {
					l.bad(at(v), "name another, or remove one", "path: %s is that of the output on line %d", o.Path, line)
				}
				named[path] = at(v).Position.Line
			}},
			field{"format", func(_ *token.Token, v ast.Node) {
				o.Format, _ = l.word(v, "format", append([]string{FormatConsole}, l.known.Formats...))
			}},
			field{"rotate_size", func(_ *token.Token, v ast.Node) { o.RotateSize, _ = l.bytes(v, "rotate_size", leastRotateSize) }},
			field{"rotate_every", func(_ *token.Token, v ast.Node) {
				o.RotateEvery, _ = l.duration(v, "rotate_every", leastRotateEvery, longest)
			}},
			field{"keep", func(key *token.Token, v ast.Node) {
				keep = key
				i, _ := l.integer(v, "keep", 1, mostKept)
				o.Keep = int(i)
			}},
			field{"gzip", func(key *token.Token, v ast.Node) {
				zip = key
				o.Gzip, _ = l.boolean(v, "gzip")
			}})
		if o.Path == "" {
			l.bad(at(n), "add path: /var/log/kmswatch/alerts.ndjson", "output without a path")
		}
		if o.RotateSize == 0 && o.RotateEvery == 0 {
			const hint = "add rotate_size: 64MiB, or rotate_every: 24h"
			if keep != nil {
				l.bad(keep, hint, "keep: the file is never set aside")
			}
			if zip != nil {
				l.bad(zip, hint, "gzip: the file is never set aside")
			}
		}
		l.config.Outputs = append(l.config.Outputs, o)
	})
}
