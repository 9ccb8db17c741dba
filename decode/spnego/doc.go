// Package spnego decodes the tokens of the Simple and Protected GSS-API
// Negotiation (RFC 4178, MS-SPNG), in which two ends agree on a mechanism. It is
// given one token that nobody vouches for and gives the mechanisms offered or
// chosen, how far the negotiation is, and the mechanism's own token inside.
//
// Where SPNEGO is expected, Windows and others send and take tokens of NTLM and
// of Kerberos as they are; they are told apart here, by their first bytes. What
// a mechanism's token says is not decoded here, and none is entered twice: an
// SPNEGO token inside another is an opaque one.
package spnego
