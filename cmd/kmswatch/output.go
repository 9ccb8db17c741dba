package main

import (
	"io"
	"os"
)

// output is where a running sensor writes its alerts. A file is appended to,
// and may be moved away and opened anew.
type output struct {
	path string // empty for standard output
	file *os.File
	to   io.Writer
}

// openOutput opens a file; - is standard output.
func openOutput(path string, stdout io.Writer) (*output, error) {
	if path == "-" {
		return &output{to: stdout}, nil
	}
	o := &output{path: path}
	return o, o.reopen()
}

// Write meets io.Writer.
func (o *output) Write(b []byte) (int, error) { return o.to.Write(b) }

// reopen opens the file that has the name now. With an error the one before
// stays.
func (o *output) reopen() error {
	if o.path == "" {
		return nil
	}
	f, err := os.OpenFile(o.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	if o.file != nil {
		o.file.Close()
	}
	o.file, o.to = f, f
	return nil
}

func (o *output) close() error {
	if o.file == nil {
		return nil
	}
	return o.file.Close()
}
