package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the golden files of failing cases")

func TestMain(m *testing.M) {
	if path := os.Getenv(pacedCapture); path != "" {
		os.Exit(runPaced(path))
	}
	testscript.Main(m, map[string]func(){"kmswatch": main})
}

// TestScripts runs the command as a person or a pipe does: testdata/script/*.txtar.
// $POOL is the folder of captures, $NOFILE what the system says of a file that is
// not there. Beside testscript's own commands there are
//
//	code N COMMAND ...  the command ends with exit code N
//	ndjson FILE [N]     every line is a JSON object, and there are N
//	plain FILE          no control characters: no colours, no cursor
//	oneline FILE        one line, and whole
//	patch FILE AT HEX   overwrites bytes at an offset
//
// and FILE may be stdout or stderr.
func TestScripts(t *testing.T) {
	pool, err := filepath.Abs("../../decode/testdata/captures")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("POOL", pool)
			e.Setenv("NOFILE", syscall.ENOENT.Error())
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":    code,
			"ndjson":  ndjson,
			"plain":   plain,
			"oneline": oneLine,
			"patch":   patch,
		},
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func ndjson(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: ndjson FILE [N]")
	}
	lines := strings.SplitAfter(ts.ReadFile(args[0]), "\n")
	if last := lines[len(lines)-1]; last != "" {
		ts.Fatalf("%s ends within a line: %q", args[0], last)
	}
	lines = lines[:len(lines)-1]
	for i, line := range lines {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			ts.Fatalf("%s:%d: %v", args[0], i+1, err)
		}
	}
	if len(args) == 2 {
		if want, err := strconv.Atoi(args[1]); err != nil || want != len(lines) {
			ts.Fatalf("%s has %d lines, want %s", args[0], len(lines), args[1])
		}
	}
}

func plain(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: plain FILE")
	}
	for i, b := range []byte(ts.ReadFile(args[0])) {
		if b < 0x20 && b != '\n' || b == 0x7f {
			ts.Fatalf("%s: byte %#02x at %d", args[0], b, i)
		}
	}
}

func oneLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: oneline FILE")
	}
	if text := ts.ReadFile(args[0]); strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		ts.Fatalf("%s is not one line:\n%s", args[0], text)
	}
}

func patch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: patch FILE AT HEX")
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	bytes, err := hex.DecodeString(args[2])
	ts.Check(err)
	b := []byte(ts.ReadFile(args[0]))
	if at < 0 || copy(b[min(at, len(b)):], bytes) < len(bytes) {
		ts.Fatalf("%s has %d bytes", args[0], len(b))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}
