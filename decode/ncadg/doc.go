// Package ncadg decodes connectionless DCE/RPC, version 4 of the protocol (C706
// chapters 10 and 12.5, MS-RPCE 2.2.3), from the UDP datagrams of two parties.
// It is given datagrams and the places where they were seen; it gives PDUs and
// calls: each request with its response, its fault, its rejection or its
// silence, as values of package dcerpc, so that whoever is told need not care
// which of the two protocols a call came by.
//
// There are no binds: each PDU names its interface, and calls are paired by
// activity and sequence number. What belongs to dcerpc alone, the presentation
// context, is zero in the calls; see Conv for the others. It does not decode
// stubs, and it decrypts nothing.
package ncadg
