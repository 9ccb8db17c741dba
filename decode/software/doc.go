// Package software tells RPC clients and servers by what they negotiate in
// clear, as JA3 does for TLS. It is given the binds that package dcerpc tells
// of; it gives a fingerprint of each side and, where the habits are known, a
// name with a confidence.
//
// A fingerprint is a canonical text of habits and a short hash of it. It leaves
// out what varies by interface (the abstract syntax), by connection (call ids,
// the values of association groups, the port of a secondary address) and by
// what the user asked for (authentication, header signing). What a server
// answers depends on what it is asked: compare the fingerprints of a server
// among clients of one fingerprint.
//
// Connectionless DCE/RPC negotiates nothing; there it is the headers that have
// habits (Datagram).
//
// A name says which software usually does so, no more: software that means to
// look like another does. It is an argument, never a proof.
package software
