// Package bpf is the kernel's part of a live capture: the flow filter, which
// tells frames that matter from the rest before they cost user space anything.
//
// One C source, flowfilter.bpf.c, makes three programs that judge alike: a socket
// filter for AF_PACKET sockets, an XDP program, and one for both directions of
// TCX. The latter two hand the frames over in a [Ring]. They run on Linux 5.10 and
// later, TCX on 6.6; with BTF or without.
//
// A frame is judged in this order: headers, behind up to two VLAN tags and through
// one tunnel of GRE, ERSPAN, VXLAN or Geneve; fragments of IP datagrams pass; so
// does what is from or to a port of interest, or of a flow that is watched, unless
// user space asked to ignore the flow; so does a SYN, and a segment or datagram
// that may begin DCE/RPC or SMB on any port, whose flow is watched from then on.
// What cannot be followed passes too: the filter lets pass all that the decoder
// wants and may let pass more. All else is counted and let go.
//
// Nothing outside this folder knows the library that loads the programs.
package bpf
