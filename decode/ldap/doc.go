// Package ldap decodes LDAP (RFC 4511, MS-ADTS 3.1.1.3) over TCP and over UDP,
// where Active Directory answers the netlogon ping. It is given the bytes of a
// connection's two sides and the places where they were seen; it gives binds
// with their results, searches with theirs, and the tokens of authentication
// for whoever reads those. It is not for what entries hold: those are counted
// and skipped as their bytes come, however long they are.
//
// No password leaves it: of a simple bind it is told whether there was one. The
// credentials of a SASL mechanism are told only of mechanisms that carry
// SPNEGO, NTLM or Kerberos tokens, since those of PLAIN are the password.
//
// What a security layer hides, TLS after StartTLS or SASL buffers after a bind
// (RFC 4513 5.2.1.8), is said once and then let go.
package ldap
