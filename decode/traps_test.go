package decode_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// traps are the bugs and evasions that decoders of this traffic met and that
// concern what is decoded here, by the numbers that tests name them with. Trap
// 56 belongs to the live capture.
var traps = map[int]string{
	1:  "a context item has any number of transfer syntaxes",
	2:  "a context item without a transfer syntax",
	3:  "results are positional",
	4:  "the pseudo syntax of bind-time features is no rejection",
	5:  "rejected NDR32 beside accepted NDR64",
	6:  "alter_context as the first PDU",
	7:  "a second bind, and contexts that change on the request",
	8:  "bind_nak clears contexts",
	9:  "contexts live as long as the association",
	10: "pipes are told apart by session, tree and file id",
	11: "more contexts than are kept are counted",
	12: "big-endian data representation",
	13: "the byte order changes",
	14: "minor version 1",
	15: "the flags of a bind do not matter",
	16: "a request on a context that was never accepted",
	17: "fragments that name different operations",
	18: "a first fragment twice",
	19: "too many open calls",
	20: "what a pipe keeps of its bytes is bounded",
	21: "unbounded stub buffers",
	22: "frag_length below the header",
	23: "frag_length beyond what was agreed",
	24: "very many fragments",
	25: "calls are paired by association and call id",
	26: "call ids are used again",
	27: "a response without its request",
	28: "fault, cancel and orphaned",
	29: "PDUs and segments do not line up",
	30: "PDUs and messages of SMB do not line up",
	31: "the object UUID moves the stub",
	32: "what ends a stub",
	33: "lengths of the verifier",
	34: "packet privacy that is only claimed",
	35: "auth3 has no reply",
	36: "types of authentication",
	37: "fields of NTLM: their order, overlaps, the version, AV pairs without an end",
	38: "UTF-16 is decoded, not flattened",
	39: "what a null session looks like",
	40: "an empty name is not anonymous, a guest is not null",
	41: "reads beyond a bind_ack's secondary address",
	42: "lengths of NetBIOS and of SMB, and junk before and behind",
	43: "offsets of compounds and of AndX chains that loop",
	44: "an interim response does not end a request",
	45: "encrypted SMB 3 is said",
	46: "a pipe whose tree connect was not seen",
	47: "tables of SMB are bounded",
	48: "SYNs, urgent data, FINs and RSTs that hosts ignore; fragments that overlap",
	49: "injected and repeated segments",
	50: "DNS that makes decoders panic",
	51: "detection by a packet's first bytes",
	52: "direction by the type of a PDU",
	53: "VLANs and frames seen twice",
	54: "frames of several queues are out of order",
	55: "ERSPAN III with its optional header",
	57: "a compressed SRV target",
	58: "UPDATE uses the sections anew",
	59: "DNS over TCP, EDNS",
	60: "Community ID of a flow between equal addresses",
}

var (
	trapNamed = regexp.MustCompile(`(?i)\btraps? ?0?(\d+)[a-z]?\b|Trap0?(\d+)`)
	trapAlso  = regexp.MustCompile(`(?i)traps? ?\d+[a-z]? ?and ?(\d+)`)
	testFunc  = regexp.MustCompile(`^func (Test\w+|Fuzz\w+)\(`)
)

// TestEveryTrapHasATest holds the table against the tests: each trap is named
// by one, in its function's name, in a case or in a comment.
func TestEveryTrapHasATest(t *testing.T) {
	t.Parallel()
	named := make(map[int][]string)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") || path == "traps_test.go" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		in := ""
		var doc []string // what stands before the function
		for line := range strings.Lines(string(b)) {
			if m := testFunc.FindStringSubmatch(line); m != nil {
				in, line, doc = m[1], strings.Join(append(doc, line), " "), nil
			}
			if in == "" {
				doc = append(doc, line)
				continue
			}
			if line == "}\n" {
				in = ""
			}
			for _, re := range []*regexp.Regexp{trapNamed, trapAlso} {
				for _, m := range re.FindAllStringSubmatch(line, -1) {
					n, err := strconv.Atoi(strings.Join(m[1:], ""))
					if err != nil {
						return err
					}
					where := filepath.Dir(path) + "." + in
					if !slices.Contains(named[n], where) {
						named[n] = append(named[n], where)
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range slices.Sorted(maps.Keys(traps)) {
		if len(named[n]) == 0 {
			t.Errorf("trap %d, %s: no test names it", n, traps[n])
			continue
		}
		t.Logf("%d %s: %s", n, traps[n], strings.Join(named[n], ", "))
	}
}
