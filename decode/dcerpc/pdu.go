// Package dcerpc decodes connection-oriented DCE/RPC (C706 chapter 12,
// MS-RPCE 2.2.2).
package dcerpc

// PDU is one decoded PDU.
type PDU struct{}
