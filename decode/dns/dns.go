// Package dns decodes what DNS messages say of SRV records.
package dns

import "net/netip"

// SRV is one service record.
type SRV struct {
	Name       string // owner, lower case, without the final dot
	TTL        uint32 // seconds
	Priority   uint16
	Weight     uint16
	Port       uint16
	Target     string       // lower case, without the final dot
	Addresses  []netip.Addr // of the target, from the additional section
	Compressed bool         // the target used name compression, which RFC 2782 forbids
	Change     Change       // in the update section of an UPDATE
}

// Change is what an UPDATE does with a record (RFC 2136 2.5).
type Change uint8

// Changes.
const (
	NoChange  Change = iota
	Add              // add to an RRset
	Delete           // delete one RR
	DeleteSet        // delete an RRset
	DeleteAll        // delete all RRsets of the name
)

// Message is a DNS message about SRV records.
type Message struct {
	ID       uint16
	Response bool
	Opcode   uint8 // 0 QUERY, 5 UPDATE
	RCode    uint16
	Name     string // of the question; of the zone in an UPDATE; lower case, without the final dot
	Type     uint16 // of the question
	SRV      []SRV
	CNAMEs   []string // the chain from Name to the owner of SRV
	Signed   bool     // a TSIG or SIG(0) record ends it
	Anomaly  Anomaly
}

// Anomaly is what is wrong with a message; 0 is nothing.
type Anomaly uint8
