// Package dcerpc decodes connection-oriented DCE/RPC (C706 chapter 12, MS-RPCE
// 2.2) from the two byte streams of a connection, whatever carries them. It is
// given bytes and the places where they were seen; it gives PDUs, the outcome
// of each bind and alter_context, and calls: each request with its response,
// its fault or its silence. It is not for connectionless DCE/RPC, it does not
// decode stubs, and it decrypts nothing.
//
// What a client asks for counts only once the server has taken it:
// presentation contexts change when the bind_ack or alter_context_resp is seen,
// never with the request (see Assoc).
//
// A stub that is handed out ends where the authentication padding begins. It
// may still end with a verification trailer (MS-RPCE 2.2.2.13), which is part
// of the stub data but not of the operation's arguments: whoever decodes the
// arguments stops where they end. The stub of a PDU at packet privacy is
// ciphertext and is never handed out as the stub of a call.
package dcerpc
