// Command trafficgen writes captures for benchmarks and examples. The same
// seed gives the same file, byte for byte.
//
//	trafficgen --kind mix --frames 2000000 --output mix.pcap
//
// Two kinds stand for two sensors. "mix" is an office uplink: one frame in six
// is DCE/RPC, KMS or DNS, the rest is bulk, 845 bytes a frame. "dense" is a
// port in front of domain controllers and the KMS host: nothing but DCE/RPC,
// KMS and DNS SRV, 346 bytes a frame.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/spf13/cobra"
)

type options struct {
	kind   string
	frames int
	seed   uint64
	rate   int

	clients, servers int
	output           string
}

func main() {
	var o options
	c := &cobra.Command{
		Use:           "trafficgen",
		Short:         "Write a capture for benchmarks",
		Long:          "Write a capture of made traffic: an office uplink (mix) or the port of domain controllers and a KMS host (dense). The same seed gives the same file.",
		Example:       "  trafficgen --kind dense --frames 100000 --output dense.pcap",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(*cobra.Command, []string) error {
			if o.kind != "mix" && o.kind != "dense" {
				return fmt.Errorf("--kind %s: want mix or dense", o.kind)
			}
			if o.rate < 1 || o.frames < 0 || o.clients < 1 || o.servers < 1 || max(o.clients, o.servers) > 60000 {
				return errors.New("--rate, --frames, --clients and --servers must be positive, hosts at most 60000")
			}
			return run(o)
		},
	}
	c.Flags().StringVar(&o.kind, "kind", "mix", "what traffic: mix or dense")
	c.Flags().IntVar(&o.frames, "frames", 1000000, "how many frames")
	c.Flags().Uint64Var(&o.seed, "seed", 42, "of the random numbers")
	c.Flags().IntVar(&o.clients, "clients", 2000, "how many clients there are")
	c.Flags().IntVar(&o.servers, "servers", 60, "how many servers there are")
	c.Flags().IntVar(&o.rate, "rate", 330000, "frames a second, by their stamps")
	c.Flags().StringVarP(&o.output, "output", "o", "-", "file to write; - for standard output")
	if err := c.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "trafficgen:", err)
		os.Exit(1)
	}
}

func run(o options) (err error) {
	out := os.Stdout
	if o.output != "-" {
		if out, err = os.Create(o.output); err != nil {
			return err
		}
		defer func() {
			if e := out.Close(); err == nil {
				err = e
			}
		}()
	}
	buf := bufio.NewWriterSize(out, 1<<20)
	if err := generate(buf, o); err != nil {
		return err
	}
	return buf.Flush()
}

// active is how many conversations are under way at any time.
const active = 400

func generate(w io.Writer, o options) error {
	pw := pcapgo.NewWriterNanos(w)
	if err := pw.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		return err
	}
	g := &generator{
		rand: rand.New(rand.NewPCG(o.seed, 1)),
		buf:  gopacket.NewSerializeBuffer(),
		mix:  o.kind == "mix",

		clients: o.clients,
		servers: o.servers,
	}
	g.noise = make([]byte, 1<<16)
	for i := range g.noise {
		g.noise[i] = byte(g.rand.Uint32())
	}
	sessions := make([]*session, active)
	gap := int64(time.Second) / int64(o.rate)
	now := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	for n := 0; n < o.frames; {
		i := g.rand.IntN(active)
		if sessions[i] == nil || len(sessions[i].steps) == 0 {
			sessions[i] = g.begin()
		}
		data, err := g.frame(sessions[i])
		if err != nil {
			return err
		}
		now = now.Add(time.Duration(1 + g.rand.Int64N(2*gap)))
		info := gopacket.CaptureInfo{Timestamp: now, CaptureLength: len(data), Length: len(data)}
		if err := pw.WritePacket(info, data); err != nil {
			return err
		}
		n++
	}
	return nil
}
