// Package host tells what belongs to the host that the sensor runs on: which
// frames are to or from its own addresses, and which process holds the socket of
// an endpoint. It asks the kernel, of the network namespace that it was opened
// in, and sends nothing.
package host
