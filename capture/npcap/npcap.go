// Package npcap captures live on Windows through Npcap: a capture.Source over
// the few functions of its wpcap.dll, which is loaded at run time, so that the
// binary starts, and reads files, where Npcap is not installed. It is given the
// name of an interface, as Windows shows it, and gives its frames.
//
// The DLL and the adapters are met in files for Windows. What is made of them,
// the choice of an interface and the reading itself, builds and is tested on
// every system.
package npcap

import (
	"errors"
	"fmt"
	"time"
)

// ErrNotInstalled is the cause when there is no wpcap.dll to load.
var ErrNotInstalled = errors.New("npcap is not installed")

// Options of Open. The zero value of all but Interface is useful.
type Options struct {
	// Interface is what to capture on: the name that Windows shows ("Ethernet
	// 2"), the adapter's description, its index, its GUID, or the device name
	// of Npcap (\Device\NPF_{...}).
	Interface string
	// Promiscuous asks for the frames to other stations too: wanted on a SPAN
	// port, needless on the host itself.
	Promiscuous bool
	// Snap is how many bytes of a frame to take; DefaultSnap when 0.
	Snap int
	// Buffer is how many bytes the driver keeps for frames that were not read
	// yet; DefaultBuffer when 0.
	Buffer int
	// Wait is how long a Read waits for frames; DefaultWait when 0.
	Wait time.Duration
}

const (
	// DefaultSnap takes the largest IP packet with its link header and tags:
	// with large-send offload the driver sees frames of that size.
	DefaultSnap = 64<<10 + 64
	// DefaultBuffer is 10 ms, the longest pause between two looks, of 10 Gbit/s
	// with a quarter to spare.
	DefaultBuffer = 16 << 20
	// DefaultWait is short enough that time moves on for who reads.
	DefaultWait = 100 * time.Millisecond
)

// maxBytes bounds Snap and Buffer, which are 32 bits wide in the DLL.
const maxBytes = 1 << 30

func (o *Options) setDefaults() error {
	if o.Snap <= 0 {
		o.Snap = DefaultSnap
	}
	if o.Buffer <= 0 {
		o.Buffer = DefaultBuffer
	}
	if o.Wait <= 0 {
		o.Wait = DefaultWait
	}
	if o.Snap > maxBytes || o.Buffer > maxBytes {
		return fmt.Errorf("snap length of %d, buffer of %d bytes: want %d at most", o.Snap, o.Buffer, maxBytes)
	}
	return nil
}
