package main

import (
	"bufio"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"kmswatch/decode"
)

func newDecode(t terminal) *cobra.Command {
	var ports []uint
	c := &cobra.Command{
		Use:   "decode FILE|FOLDER|- ...",
		Short: "Print every protocol message, one JSON object a line",
		Long: `Print every DCE/RPC PDU, KMS message and DNS message about SRV records of the
captures, one JSON object a line, and what is malformed as an object with
"anomaly". The frame is the one in which the message ends.`,
		Example: `  kmswatch decode kms.pcap | jq -c 'select(.pdu == "bind") | .contexts'`,
		Args:    files,
		RunE: func(c *cobra.Command, args []string) error {
			kmsPorts, err := toPorts(ports)
			if err != nil {
				return err
			}
			out := bufio.NewWriterSize(t.out, 64<<10)
			w := &messageWriter{json: json.NewEncoder(out)}
			w.json.SetEscapeHTML(false)
			src, err := openCaptures(t, args)
			if err != nil {
				return err
			}
			defer src.Close()
			if len(src.Files()) > 1 {
				w.file = src.File
			}
			err = feed(c.Context(), t, src, decode.New(decode.Config{Messages: true, KMSPorts: kmsPorts}, w))
			if w.err != nil {
				return fmt.Errorf("decode: %w", w.err)
			}
			if e := out.Flush(); e != nil {
				return fmt.Errorf("decode: %w", e)
			}
			return err
		},
	}
	c.Flags().UintSliceVar(&ports, "kms-port", nil, "a TCP port of KMS beside 1688")
	return c
}

func toPorts(ports []uint) ([]uint16, error) {
	var out []uint16
	for _, p := range ports {
		if p == 0 || p > 65535 {
			return nil, usageError{fmt.Errorf("--kms-port %d is no port", p)}
		}
		out = append(out, uint16(p))
	}
	return out, nil
}

// messageWriter writes the events that are messages.
type messageWriter struct {
	json *json.Encoder
	file func(int) string // nil for a single capture
	err  error
}

// Handle meets decode.Handler.
func (w *messageWriter) Handle(e decode.Event) {
	if w.err != nil {
		return
	}
	if m, ok := newMessage(e); ok {
		if w.file != nil {
			m.File = w.file(int(e.Head().At.File))
		}
		w.err = w.json.Encode(m)
	}
}
