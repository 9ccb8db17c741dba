package afpacket

import (
	"kmswatch/bpf"
	"kmswatch/capture"
)

// FlowFilter is the filter of package bpf as a Filter.
type FlowFilter struct{ *bpf.Filter }

// Watch lets all frames of a flow pass.
func (f FlowFilter) Watch(k capture.FlowKey) error { return f.Filter.Watch(bpf.Flow(k)) }

// Ignore lets the frames of a flow go.
func (f FlowFilter) Ignore(k capture.FlowKey) error { return f.Filter.Ignore(bpf.Flow(k)) }

// Filtered counts the frames that were let go; 0 if that cannot be told.
func (f FlowFilter) Filtered() uint64 {
	c, err := f.Counters()
	if err != nil {
		return 0
	}
	return c.Filtered().Frames
}
