// Package kms decodes the stubs of the one operation of the KMS interface,
// RequestActivation: version 4 in full, versions 5 and 6 as far as they are in
// clear. It holds no keys and decrypts nothing.
package kms

import "kmswatch/decode/dcerpc"

// Request is a KMS request body. The fields from VirtualMachine on are valid
// iff Major is 4: later versions encrypt them.
type Request struct {
	Major, Minor   uint16
	Length         int // of the body, bytes
	VirtualMachine uint32
	LicenceStatus  uint32
	MinutesLeft    uint32 // until the status ends
	Application    dcerpc.UUID
	SKU            dcerpc.UUID
	CountedID      dcerpc.UUID
	ClientMachine  dcerpc.UUID
	MinClients     uint32
	ClientTime     uint64 // FILETIME, 100 ns since 1601
	PreviousClient dcerpc.UUID
	Workstation    [64]uint16 // UTF-16, NUL-padded
}

// Response is a KMS response. The fields from ProductID on are valid iff Major
// is 4 and HasBody is set.
type Response struct {
	HResult       uint32 // 0 is success
	HasBody       bool
	Major, Minor  uint16 // valid iff HasBody
	Length        int    // of the body, bytes
	ProductID     [64]uint16
	ClientMachine dcerpc.UUID
	ClientTime    uint64
	ClientCount   uint32
	Activation    uint32 // interval, minutes
	Renewal       uint32 // interval, minutes
}

// Anomaly is what is wrong with a message; 0 is nothing.
type Anomaly uint8
