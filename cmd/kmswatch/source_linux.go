package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/rs/zerolog"

	"kmswatch/alerts/config"
	"kmswatch/bpf"
	"kmswatch/capture"
	"kmswatch/capture/afpacket"
	"kmswatch/capture/host"
	"kmswatch/capture/xdp"
	"kmswatch/decode"
)

// openSource opens the source of an interface: a ring behind the flow filter, or
// XDP where the interface is a port that only a mirror feeds.
func openSource(name string, l *live, log zerolog.Logger) (capture.Source, error) {
	seed, err := newSeed()
	if err != nil {
		return nil, err
	}
	tcpPorts, udpPorts := decode.Ports(l.kmsPorts)
	if l.source.value == config.SourceXDP {
		if err := ofAMirror(name, log); err != nil {
			return nil, err
		}
		src, err := xdp.Open(xdp.Config{Interface: name, TCPPorts: tcpPorts, UDPPorts: udpPorts, Ring: int(l.ringSize), Seed: seed})
		if err != nil {
			return nil, err
		}
		for _, w := range src.Warnings() {
			log.Warn().Msg(w)
		}
		return src, nil
	}
	link, err := afpacket.Link(name)
	if err != nil {
		return nil, err
	}
	opts := afpacket.Options{
		Interface: name, Promiscuous: l.mode.value == config.ModeSpan, Rings: l.rings,
		Notify: func(c afpacket.Change) { log.Warn().Msg(c.String()) },
	}
	opts.Blocks = ringBlocks(l.ringSize, len(l.interfaces))
	filter, err := bpf.Load(bpf.Options{TCPPorts: tcpPorts, UDPPorts: udpPorts, Seed: seed, RawIP: link == capture.LinkRaw})
	switch {
	case err == nil:
		opts.Filter = afpacket.FlowFilter{Filter: filter}
	case errors.Is(err, os.ErrPermission), errors.Is(err, errors.ErrUnsupported):
		// All frames come here then, which is slower and no less right.
		log.Warn().Err(err).Msg("no filter in the kernel: every frame is looked at here")
	default:
		return nil, err
	}
	src, err := afpacket.Open(opts)
	if err != nil {
		if filter != nil {
			filter.Close()
		}
		return nil, err
	}
	s := ringSource{Source: src, filter: filter}
	if l.mode.value == config.ModeHost {
		if s.own, err = host.WatchAddresses(); err != nil {
			s.Close()
			return nil, err
		}
	}
	return &s, nil
}

// ofAMirror warns of an interface that is no port which only a mirror feeds, as it
// will have no other use.
func ofAMirror(name string, log zerolog.Logger) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	if i.Flags&net.FlagLoopback != 0 {
		return errors.New("the loopback is no mirror port, and xdp would keep all its frames from the host; use --source ring")
	}
	addresses, err := i.Addrs()
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
			log.Warn().Stringer("address", a).Msg("the interface has an address, at which this host cannot be reached any more: xdp keeps all frames from it")
		}
	}
	return err
}

const (
	blockSize = 256 << 10 // of afpacket's rings
	allRings  = 64 << 20  // bytes that the rings of all interfaces have, unless that is said
	minBlocks = 8
)

// ringBlocks gives the blocks of a ring: an agent may watch a hundred interfaces,
// and the memory of rings is locked.
func ringBlocks(size int64, interfaces int) int {
	if size > 0 {
		return max(int(size/blockSize), 2)
	}
	return max(allRings/blockSize/max(interfaces, 1), minBlocks)
}

func newSeed() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("random numbers: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// ringSource is a ring, the filter before it, and on a host of its own the
// addresses that make a frame its own.
type ringSource struct {
	*afpacket.Source
	filter *bpf.Filter     // nil: none
	own    *host.Addresses // nil: all frames
}

// Read meets capture.Source.
func (s *ringSource) Read(frames []capture.Frame) (int, error) {
	for {
		n, err := s.Source.Read(frames)
		if s.own == nil {
			return n, err
		}
		kept := 0
		for i := range n {
			if s.own.Own(&frames[i]) {
				frames[kept] = frames[i]
				kept++
			}
		}
		if kept > 0 || n == 0 || err != nil { // else there is more, and no silence
			return kept, err
		}
	}
}

// Counters gives those of the filter; an error if there is none.
func (s *ringSource) Counters() (bpf.Counters, error) {
	if s.filter == nil {
		return bpf.Counters{}, errors.ErrUnsupported
	}
	return s.filter.Counters()
}

// Close meets capture.Source.
func (s *ringSource) Close() error {
	err := s.Source.Close()
	if s.own != nil {
		err = errors.Join(err, s.own.Close())
	}
	if s.filter != nil {
		err = errors.Join(err, s.filter.Close())
	}
	return err
}
