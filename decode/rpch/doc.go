// Package rpch decodes how DCE/RPC rides on HTTP (ncacn_http, MS-RPCH): the
// banner of a server that is spoken to directly, on port 593 or any other, and
// the IN and OUT channels of RPC over HTTP v1 and v2 in clear. It is given the
// bytes of the two streams of one TCP connection; it takes the HTTP out of them,
// decodes the RTS PDUs that steer the channels, and hands the other PDUs on, to
// an association of package dcerpc.
//
// A virtual connection of RPC over HTTP v2 has its two channels on two TCP
// connections: the PDUs of the client run in one, those of the server in the
// other. Each is decoded on its own; the cookie of the virtual connection, where
// an RTS PDU tells it, lets the caller join them.
//
// Credentials do not stay: of an Authorization header the scheme is noted, and
// the token of NTLM, Negotiate and Kerberos is handed to the handler and wiped.
package rpch
