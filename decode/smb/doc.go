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
// To read one more command of SMB 2: a row in commands2, in fixed2 how much of it
// must be there, in variable where the rest of it stands, and a case in request2
// and response2. Of SMB 1: a row in commands1, a case in whole1 if its fields lie
// anywhere, and cases in request1 and response1.
package smb
