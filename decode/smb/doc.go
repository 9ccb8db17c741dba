// Package smb decodes SMB 1, 2 and 3 (MS-CIFS, MS-SMB, MS-SMB2) from the two
// byte streams of a connection: NetBIOS session service or direct TCP. It is
// given bytes and the places where they were seen; it gives sessions, tree
// connects, opens of named pipes and what is written to and read from each pipe,
// in order, for the protocol that the pipe carries.
//
// It is not for files: their data is passed over without being kept. It decrypts
// and decompresses nothing, and says where it could not look (Handler.Opaque).
// Security buffers are handed on unread, and of LANMAN-era passwords the lengths
// alone.
//
// To read one more command: a row in commands2 or commands1, what of it must be
// there in fixed2 or needs1, and a case in request2 and response2 or request1
// and response1.
package smb
