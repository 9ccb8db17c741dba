// Package stream puts TCP segments back in order. It has the keys of flows, a
// bounded table of them, and a Reassembler.
//
// It is given segments as a passive observer sees them: out of order, twice,
// with holes that nobody fills because the capture lost them, and sent by
// people who would like the observer to see another stream than the receiver.
// It gives a Receiver the bytes of each direction in order, and says what will
// never come.
//
// Where hosts differ, the observer decides so that it sees more rather than
// less: of overlapping data the first wins and a difference is told; a FIN, a
// RST or a SYN that the conversation contradicts does not end what is seen.
//
// It reads no headers, knows no protocol above TCP and keeps no clock: time is
// that of the segments.
package stream
