package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kmswatch/decode"
)

func newDecode(t terminal) *cobra.Command {
	var ports portList
	c := &cobra.Command{
		Use:   "decode FILE|FOLDER|- ...",
		Short: "Print every protocol message, one JSON object a line",
		Long: `Print every DCE/RPC PDU (over TCP, UDP, HTTP and the pipes of SMB), SMB command,
token of NTLM, SPNEGO and Kerberos, LDAP, Kerberos and KMS message, and DNS
message about SRV records of the captures, one JSON object a line, and what is
malformed as an object with "anomaly". The frame is the one in which the message
ends. Names are shown; passwords, hashes and responses never are.`,
		Example: `  kmswatch decode kms.pcap | jq -c 'select(.pdu == "bind") | .contexts'
  kmswatch decode dc.pcap | jq -c 'select(.ntlmssp.user) | [.frame, .src, .ntlmssp.user]'`,
		Args: files,
		RunE: func(c *cobra.Command, args []string) error {
			out := bufio.NewWriterSize(t.out, 64<<10)
			w := &messageWriter{json: json.NewEncoder(out)}
			w.json.SetEscapeHTML(false)
			src, err := openCaptures(t, args)
			if err != nil {
				return err
			}
			defer src.Close()
			if len(src.Files()) > 1 {
				w.file = func(i int) string { return filepath.ToSlash(src.File(i)) }
			}
			err = feed(c.Context(), t, src, decode.New(decode.Config{Messages: true, KMSPorts: ports}, w))
			if w.err != nil {
				return fmt.Errorf("decode: %w", w.err)
			}
			if e := out.Flush(); e != nil {
				return fmt.Errorf("decode: %w", e)
			}
			return err
		},
	}
	c.Flags().Var(&ports, "kms-port", "TCP ports of KMS beside 1688, joined by commas")
	return c
}

// portList is a flag that takes ports, joined by commas or one at a time.
type portList []uint16

func (p *portList) Type() string { return "PORT" }

func (p *portList) String() string {
	var words []string
	for _, n := range *p {
		words = append(words, strconv.Itoa(int(n)))
	}
	return strings.Join(words, ",")
}

// Set adds ports.
func (p *portList) Set(s string) error {
	for word := range strings.SplitSeq(s, ",") {
		n, err := strconv.ParseUint(word, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("%q is no port: want 1 to 65535", word)
		}
		*p = append(*p, uint16(n))
	}
	return nil
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
