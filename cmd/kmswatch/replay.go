package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/alerts/flow"
	"kmswatch/alerts/inventory"
	"kmswatch/alerts/ocsf"
	"kmswatch/alerts/sink"
	"kmswatch/decode"
)

// replayFlags are the flags of replay.
type replayFlags struct {
	config  string
	format  oneOf
	output  string
	flows   string
	workers int
}

func newReplay(t terminal) *cobra.Command {
	f := replayFlags{format: formatFlag()}
	c := &cobra.Command{
		Use:   "replay FILE|FOLDER|- ...",
		Short: "Print the alerts of captures",
		Long: `Read captures (pcap or pcapng, plain, gzip or zstd; a folder in the order of
its files' times; - for standard input) and print the alerts that their traffic
raises. Without a configuration the private networks are the zone internal and
the rest is unknown. The alerts of one replay are the same for any number of
workers.

A capture that ends in the middle of a record is read as far as it goes, with a
warning. One that is no capture, or is damaged, is told in one line; the others
are read, and the exit code is 1.`,
		Example: `  kmswatch replay dmz.pcap
  kmswatch replay --config zones.yaml --format ndjson captures/ > alerts.ndjson
  kmswatch replay --flows flows.ndjson dmz.pcap`,
		Args: files,
		RunE: func(c *cobra.Command, args []string) error { return replay(c, t, f, args) },
	}
	flags := c.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "zones, inventory and rules, a YAML `file`")
	flags.VarP(&f.format, "format", "f", formatHelp)
	flags.StringVarP(&f.output, "output", "o", "-", "`file` for the alerts; - for standard output")
	flags.StringVar(&f.flows, "flows", "", "`file` for flow records: OCSF Network Activity, one JSON object a line")
	flags.IntVarP(&f.workers, "workers", "w", 1, "decoding `goroutines`")
	_ = c.RegisterFlagCompletionFunc("format", f.format.complete)
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	return c
}

func replay(c *cobra.Command, t terminal, f replayFlags, paths []string) error {
	if f.workers < 1 {
		return usageError{fmt.Errorf("--workers %d: want at least 1", f.workers)}
	}
	conf, err := loadConfig(f.config)
	if err != nil {
		return tellConfig(t, err)
	}
	src, err := openCaptures(t, paths)
	if err != nil {
		return err
	}
	defer src.Close()

	out, colour := t.out, t.colour()
	if f.output != "-" {
		file, err := os.Create(f.output)
		if err != nil {
			return err
		}
		defer file.Close()
		out, colour = file, false
	}
	buf := bufio.NewWriterSize(out, 64<<10)
	w := newAlertWriter(f.format.value, buf, colour)
	// Alerts of the same captures are the same on every system.
	v, err := newEvaluator(conf, func(i int32) string { return filepath.ToSlash(src.File(int(i))) }, w.take)
	if err != nil {
		return err
	}
	ec := engineConfig(conf)
	if c.Flags().Changed("workers") || ec.Workers == 0 {
		ec.Workers = f.workers
	}
	records, err := openFlowFile(f.flows, conf, v.Inventory())
	if err != nil {
		return err
	}
	handler := decode.Handler(v)
	if records != nil {
		handler = both{v, records.Recorder}
	}
	e := decode.New(ec, handler)
	begin := time.Now()
	err = feed(c.Context(), t, src, e)
	v.Close()
	took := time.Since(begin)
	if e := records.close(); e != nil && err == nil {
		err = fmt.Errorf("write flow records: %w", e)
	}
	if e := buf.Flush(); e != nil && w.err == nil {
		w.err = e
	}
	if w.err != nil {
		return fmt.Errorf("write alerts: %w", w.err)
	}
	if isTerminal(t.err) {
		summarise(t.err, e.Stats(), w, took)
	}
	return err
}

// both gives events to the rules, and then to the recorder, which looks at what
// the inventory has learnt of them.
type both struct {
	rules    decode.Handler
	recorder *flow.Recorder
}

// Handle meets decode.Handler.
func (b both) Handle(e decode.Event) {
	b.rules.Handle(e)
	b.recorder.Handle(e)
}

// flowFile is a file of flow records that is being written.
type flowFile struct {
	*flow.Recorder
	file *os.File
	buf  *bufio.Writer
}

// openFlowFile makes the file; without a path there is none.
func openFlowFile(path string, c *config.Config, hosts *inventory.Inventory) (*flowFile, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	r := &flowFile{file: file, buf: bufio.NewWriterSize(file, 64<<10)}
	encoder := ocsf.Encoder{Version: buildVersion()}
	var line []byte
	r.Recorder = flow.NewRecorder(flow.Options{Sensor: c.Sensor, Zones: c.Zones, Inventory: hosts, Out: func(x *flow.Record) {
		line = append(encoder.AppendRecord(line[:0], x), '\n')
		_, _ = r.buf.Write(line) // its error is kept for close
	}})
	return r, nil
}

// close tells what is under way and gives the first error of writing.
func (r *flowFile) close() error {
	if r == nil {
		return nil
	}
	r.Close()
	return cmp.Or(r.buf.Flush(), r.file.Close())
}

// alertWriter gives alerts to a sink, counts them, and keeps the first error.
type alertWriter struct {
	to interface {
		Write(*alerts.Alert) error
	}
	err    error
	counts [alerts.Critical + 1]int
}

func newAlertWriter(format string, to io.Writer, colour bool) *alertWriter {
	if format != config.FormatConsole {
		return &alertWriter{to: sink.NewNDJSON(to, encoder(format))}
	}
	c := sink.NewConsole(to)
	c.Colour = colour
	return &alertWriter{to: c}
}

func (w *alertWriter) take(a *alerts.Alert) {
	if a.Stage == alerts.Ended {
		w.counts[a.Severity]++
	}
	if w.err == nil {
		w.err = w.to.Write(a)
	}
}

// summarise tells what a replay saw, for a person.
func summarise(w io.Writer, st decode.Stats, alertsSeen *alertWriter, took time.Duration) {
	var found []string
	for s := alerts.Critical; s >= alerts.Informational; s-- {
		if n := alertsSeen.counts[s]; n > 0 {
			found = append(found, fmt.Sprintf("%d %s", n, s))
		}
	}
	if found == nil {
		found = []string{"none"}
	}
	fmt.Fprintf(w, "%d frames, %d flows, %d calls, %d KMS exchanges, %d SRV lookups in %v (%.1f million frames a second)\nalerts: %s\n",
		st.Frames, st.Flows, st.Calls, st.Exchanges, st.Lookups, took.Round(time.Millisecond),
		float64(st.Frames)/max(took.Seconds(), 1e-6)/1e6, strings.Join(found, ", "))
}
