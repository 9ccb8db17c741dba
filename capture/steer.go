package capture

import "net/netip"

// FlowKey names a flow of TCP or UDP; which end is which does not matter.
type FlowKey struct {
	Proto uint8 // IP protocol number: 6 or 17
	A, B  netip.AddrPort
}

// Steerer is what a live source may also be: who decodes tells the kernel what
// it learnt, so that frames of no interest are let go there. Its methods are
// for any goroutine, beside Read. What they ask is a hint: an error, or a table
// of the kernel that is full, costs speed or bytes of a flow, never more.
type Steerer interface {
	// Watch lets all frames of a flow pass, also of one that was ignored.
	Watch(FlowKey) error
	// Ignore lets the frames of a flow go. Those with SYN, FIN or RST pass all
	// the same, and those whose payload begins a DCE/RPC PDU or an SMB message
	// in clear: what comes next may be of interest again.
	Ignore(FlowKey) error
	// WatchPort lets all frames from or to a port pass.
	WatchPort(proto uint8, port uint16) error
}
