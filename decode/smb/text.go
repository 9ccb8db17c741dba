package smb

import (
	"unicode/utf16"
	"unicode/utf8"
)

// appendUTF16 appends little-endian UTF-16 up to the first NUL or the end, as
// UTF-8. An odd byte at the end is dropped, and what bounded would cut away is
// not read.
func appendUTF16(dst, b []byte) []byte {
	b = b[:min(len(b), 2*(maxName+1))]
	for i := 0; i+1 < len(b); i += 2 {
		r := rune(b[i]) | rune(b[i+1])<<8
		if r == 0 {
			break
		}
		if r < utf8.RuneSelf {
			dst = append(dst, byte(r))
			continue
		}
		if utf16.IsSurrogate(r) {
			next := rune(0)
			if i+3 < len(b) {
				next = rune(b[i+2]) | rune(b[i+3])<<8
			}
			if r = utf16.DecodeRune(r, next); r != utf8.RuneError {
				i += 2
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// appendOEM appends bytes of the OEM character set up to the first NUL or the
// end, as UTF-8. Which set it is the protocol does not say: what is not ASCII is
// taken for Latin 1.
func appendOEM(dst, b []byte) []byte {
	for _, c := range b[:min(len(b), maxName+1)] {
		if c == 0 {
			break
		}
		dst = utf8.AppendRune(dst, rune(c))
	}
	return dst
}

// maxName bounds names that are kept, in bytes of UTF-8.
const maxName = 512

func bounded(b []byte) []byte {
	n := len(b)
	if n > maxName {
		for n = maxName; n > 0 && !utf8.RuneStart(b[n]); n-- {
		}
	}
	return b[:n]
}

// pipeName normalises the name of a pipe in place: lower case, without leading
// backslashes and without PIPE\ (MS-CIFS 2.2.4.64.1 has both forms).
func pipeName(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\\' || b[0] == '/') {
		b = b[1:]
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	if len(b) > 5 && string(b[:4]) == "pipe" && (b[4] == '\\' || b[4] == '/') {
		b = b[5:]
		for len(b) > 0 && b[0] == '\\' {
			b = b[1:]
		}
	}
	return b
}

// knownPipes are the names that need not be allocated.
var knownPipes = set(
	"samr", "lsarpc", "lsass", "netlogon", "netdfs", "srvsvc", "wkssvc", "svcctl", "winreg", "spoolss", "atsvc",
	"browser", "epmapper", "eventlog", "efsrpc", "drsuapi", "protected_storage", "ntsvcs", "plugplay", "trkwks",
	"initshutdown", "fssagentrpc", "dnsserver", "keysvc", "w32time", "scerpc", "router", "ipsec", "llsrpc", "msgsvc",
	"tapsrv", "termsrv", "lsm_api_service", "witness", "mdssvc", "rpcecho", "wincertsrv", "cert", "dhcpserver", "ssdpsrv",
	"nsippipe", "dfs", "umpo", "frsrpc", "rasrpc",
)

func set(names ...string) map[string]string {
	m := make(map[string]string, len(names))
	for _, n := range names {
		m[n] = n
	}
	return m
}

// kept gives b as a string that does not share its memory.
func kept(b []byte) string {
	if s, ok := knownPipes[string(b)]; ok {
		return s
	}
	return string(bounded(b))
}

// share gives the last component of a path as UNC paths are written.
func share(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '\\' || path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

// equalFold compares ASCII text.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}
