package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// terminal is what a person or a pipe is connected to: out carries data, err
// carries talk.
type terminal struct {
	in       io.Reader
	out, err io.Writer
}

// complain writes one line of error.
func (t terminal) complain(err error) { fmt.Fprintln(t.err, "kmswatch:", err) }

// warn writes one line of warning.
func (t terminal) warn(err error) { fmt.Fprintln(t.err, "kmswatch: warning:", err) }

// colour tells whether out is a terminal that wants colour (no-color.org).
func (t terminal) colour() bool {
	return isTerminal(t.out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress shows on err how much of a total was read, if err is a terminal and
// the total is known. The returned function ends it.
func (t terminal) progress(at func() (read, total int64)) (stop func()) {
	_, total := at()
	if total <= 0 || !isTerminal(t.err) {
		return func() {}
	}
	p := mpb.New(mpb.WithOutput(t.err), mpb.WithWidth(60))
	bar := p.AddBar(total,
		mpb.PrependDecorators(decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})),
		mpb.BarRemoveOnComplete(),
	)
	done, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				read, _ := at()
				bar.SetCurrent(min(read, total-1))
			}
		}
	}()
	return func() {
		close(done)
		<-finished
		bar.SetCurrent(total)
		p.Wait()
	}
}
