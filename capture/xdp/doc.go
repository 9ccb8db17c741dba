// Package xdp captures from a port that a mirror feeds, on Linux. The flow filter
// runs in the driver of the card where it can, before the kernel spends a socket
// buffer on a frame, keeps from the host what comes in, and hands over what is of
// interest in a ring that is read without a system call.
//
// A device so used is lost to the host, which is why it must be one that only the
// mirror feeds; package afpacket captures from any.
package xdp
