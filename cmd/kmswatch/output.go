package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/alerts/linefile"
	"kmswatch/alerts/sink"
	"kmswatch/cmd/kmswatch/metrics"
)

// output is where a running sensor writes its alerts: standard output or a file,
// in a format, from a queue.
type output struct {
	recipient
	queue *sink.Queue
	file  *linefile.File // nil: standard output
}

// standardOutput is the name of that output.
const standardOutput = "standard output"

// outputs are those of a sensor.
type outputs struct {
	log      zerolog.Logger
	now      func() time.Time
	failures *failures
	room     int // bytes that may wait for each; 0 is the default of a sink.Queue
	all      []*output
	closed   bool
}

// open opens an output. That without a path is standard output, on a terminal
// perhaps in colour.
func (o *outputs) open(c config.Output, stdout io.Writer, colour bool) error {
	out := &output{recipient: recipient{name: cmp.Or(c.Path, standardOutput), log: o.log, failures: o.failures}}
	log := o.log.With().Str("output", out.name).Logger()
	var to io.Writer = stdout
	qo := sink.QueueOptions{
		Max: o.room,
		Report: func(err error) {
			if err == nil {
				log.Info().Msg("the output is written again")
				return
			}
			log.Error().Err(err).Msg("the output cannot be written; its alerts wait in memory")
			o.failures.add(alerts.OutputBroken, out.name, 0, err)
		},
		Lost: func(n uint64, err error) {
			log.Error().Err(err).Uint64("alerts", n).Msg("alerts were not written")
			o.failures.add(alerts.OutputBroken, out.name, n, err)
		},
	}
	if c.Path != "" {
		file, err := linefile.Open(linefile.Options{
			Path: c.Path, Size: c.RotateSize, Every: c.RotateEvery, Keep: c.Keep, Gzip: c.Gzip, Now: o.now,
			Report: func(err error) { log.Error().Err(err).Msg("the output is in trouble") },
		})
		if err != nil {
			return fmt.Errorf("output: %w", err)
		}
		out.file, to, qo.Tick = file, file, file.Tick
	}
	out.queue = sink.NewQueue(to, qo)
	out.to = liveSink(c.Format, out.queue, colour)
	o.all = append(o.all, out)
	return nil
}

// liveSink writes alerts as they come, each by one Write.
func liveSink(format string, to io.Writer, colour bool) interface{ Write(*alerts.Alert) error } {
	if format != config.FormatConsole {
		return sink.NewNDJSON(to, encoder(format))
	}
	c := sink.NewConsole(to)
	c.Live, c.Colour = true, colour
	return c
}

// take gives an alert to each.
func (o *outputs) take(a *alerts.Alert) {
	for _, out := range o.all {
		out.take(a)
	}
}

func (o *outputs) settle(now time.Time) {
	for _, out := range o.all {
		out.settle(now)
	}
}

// reopen opens the files that have the names now.
func (o *outputs) reopen() {
	for _, out := range o.all {
		if out.file == nil {
			continue
		}
		out.queue.Between(func() error {
			err := out.file.Reopen()
			if err != nil {
				o.log.Error().Err(err).Str("output", out.name).Msg("the output cannot be opened anew; alerts go where they went")
			}
			return err
		})
	}
}

// counts gives the counters of each.
func (o *outputs) counts() []metrics.Output {
	all := make([]metrics.Output, len(o.all))
	for i, out := range o.all {
		all[i] = metrics.Output{Name: out.name, Counts: out.queue.Counts()}
		all[i].Lost += out.lost
		if out.file != nil {
			all[i].Rotations = out.file.Rotations()
		}
	}
	return all
}

// gone tells why none of the outputs is read any more; nil while one is.
func (o *outputs) gone() (err error) {
	for _, out := range o.all {
		if err = out.queue.Gone(); err == nil {
			return nil
		}
	}
	return err
}

// close writes what waits, for a while, and closes the files. An output that hangs
// is left alone. It may be called again.
func (o *outputs) close() {
	if o.closed {
		return
	}
	o.closed = true
	end := time.Now().Add(lastWords)
	for _, out := range o.all {
		left := max(time.Until(end), time.Second) // all of them write meanwhile
		out.queue.Flush(left)
		out.settle(o.now())
		if out.untold > 0 {
			out.complain(o.now())
		}
		if !out.queue.Close(left) {
			o.log.Error().Str("output", out.name).Uint64("alerts", out.queue.Counts().Waiting).Msg("the output hangs; alerts were not written")
		} else if out.file != nil {
			out.file.Close()
		}
	}
}

// outputs adds the flags' output to those of the configuration.
func (l *live) outputs(c *config.Config) ([]config.Output, error) {
	flag := config.Output{Format: l.format.value}
	if l.output != "-" {
		flag.Path = l.output
		for _, o := range c.Outputs {
			if filepath.Clean(o.Path) == filepath.Clean(flag.Path) {
				return nil, usageError{errors.New("--output " + l.output + " is an output of the configuration as well: leave out one")}
			}
		}
	}
	return append([]config.Output{flag}, c.Outputs...), nil
}
