// Package kms decodes the stubs of the one operation of the KMS interface,
// RequestActivation: version 4 in full, versions 5 and 6 as far as they are in
// clear. It holds no keys and decrypts nothing.
//
// A stub is NDR around a byte array, the body. The data representation of the
// PDU governs the NDR; the body is opaque to NDR, and programs write it in
// little-endian order on any machine. A body that only makes sense in the
// order of a big-endian PDU is read in that order.
package kms

import "kmswatch/decode/dcerpc"

// MaxStub is the longest stub worth keeping, bytes: every well-formed request
// and response is shorter, NDR64 and padding included. Decode calls what is
// cut at it CutBody or NoStatus, which it would be malformed for anyway.
const MaxStub = 512

// Request is a KMS request body. The fields from VirtualMachine on are valid
// iff Major is 4: later versions encrypt them.
type Request struct {
	Major, Minor   uint16
	Length         int // of the body, bytes, as the stub's length parameter says
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
	Length        int    // of the body, bytes, as the stub's length parameter says
	ProductID     [64]uint16
	ClientMachine dcerpc.UUID
	ClientTime    uint64
	ClientCount   uint32
	Activation    uint32 // interval, minutes
	Renewal       uint32 // interval, minutes
}

// Anomaly is what is wrong with a message; 0 is nothing.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyNames.
const (
	ShortStub      Anomaly = iota + 1 // the stub ends before the body begins
	CountDisagrees                    // the length parameter is not the array's maximum count
	CutBody                           // the stub ends inside the body
	ShortBody                         // the body ends before the fields of its version do
	UnknownVersion                    // neither 4.0, 5.0 nor 6.0
	WrongLength                       // the body is longer than, or not a length of, its version
	TrailingBytes                     // more behind the last parameter than padding
	BadProductID                      // a product id of an odd length, or longer than 64 units
	RefusedBody                       // a body although the HRESULT is a failure
	NoBody                            // success without a body
	NullReferent                      // a length although the pointer to the body is null
	NoStatus                          // the stub ends before the HRESULT
	anomalies
)

var anomalyNames = [anomalies]string{
	0:              "none",
	ShortStub:      "short-stub",
	CountDisagrees: "length-count-disagree",
	CutBody:        "cut-body",
	ShortBody:      "short-body",
	UnknownVersion: "unknown-version",
	WrongLength:    "wrong-length",
	TrailingBytes:  "trailing-bytes",
	BadProductID:   "bad-product-id-length",
	RefusedBody:    "body-although-refused",
	NoBody:         "success-without-body",
	NullReferent:   "length-without-body",
	NoStatus:       "no-hresult",
}

// String gives the name.
func (a Anomaly) String() string {
	if a < anomalies {
		return anomalyNames[a]
	}
	return "unknown"
}
