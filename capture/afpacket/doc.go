// Package afpacket captures from a network interface of Linux through rings of
// memory that the kernel fills and the reader takes the frames from in place
// (TPACKET_V3), behind a filter that runs in the kernel. It needs CAP_NET_RAW
// when a source is opened, and from then on only where a source of several
// rings must be opened anew because its interface was deleted.
//
// It gives frames as they were on the wire: what the kernel took off, a VLAN
// tag, is put back. Frames may be larger than the MTU, up to 64 KiB and beyond,
// where the host or its card joins segments. On the loopback interface each
// frame, which the kernel shows twice, is given once.
package afpacket
