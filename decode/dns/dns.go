// Package dns decodes what DNS messages say of SRV records: lookups with their
// answers, and dynamic updates (RFC 1035, 2136, 2782, 6891). Wanted lets
// everything else go after a few bytes.
//
// The walk is our own. The dnsmessage package of golang.org/x/net gives no
// offsets, so that no name can be read beside its Parser, and it gives up the
// whole message at a label with a dot in it, at an update record without data
// and at the cut of a snap length: each would hide the records behind. The
// fuzz test holds both against each other.
package dns

import (
	"net/netip"
	"slices"
)

// SRV is one service record.
type SRV struct {
	Name       string // owner, written as Message.Name
	TTL        uint32 // seconds
	Priority   uint16
	Weight     uint16
	Port       uint16
	Target     string       // written as Message.Name; "." means that there is no such service (RFC 2782)
	Addresses  []netip.Addr // of the target, from the same message; shared by the records of one target
	Compressed bool         // the target used name compression, which RFC 2782 forbids
	Change     Change       // in the update section of an UPDATE
	Section    Section      // where the record stood
}

// Section is a part of a message. In an UPDATE they are zone, prerequisite,
// update and additional data (RFC 2136 2).
type Section uint8

// Sections that hold records.
const (
	Answer Section = iota + 1
	Authority
	Additional

	Prerequisite = Answer
	Update       = Authority
)

// Change is what an UPDATE does with a record (RFC 2136 2.5).
type Change uint8

// Changes.
const (
	NoChange  Change = iota
	Add              // add to an RRset
	Delete           // delete one RR
	DeleteSet        // delete an RRset
	DeleteAll        // delete all RRsets of the name; told of names with a label that begins with '_' alone
)

// String gives the name, "" for NoChange.
func (c Change) String() string {
	if int(c) < len(changeNames) {
		return changeNames[c]
	}
	return "unknown"
}

var changeNames = [...]string{"", "add", "delete", "delete-set", "delete-all"}

// Opcodes.
const (
	OpcodeQuery  = 0
	OpcodeUpdate = 5 // RFC 2136
)

// Message is a DNS message about SRV records. It is for one goroutine, and
// what it holds is valid until the next Decode, but for its strings.
//
// Names are in lower case (ASCII alone, RFC 4343), without the final dot, "."
// being the root. Dots and backslashes inside a label are written with a
// backslash before them and what does not print, blanks included, as \DDD (RFC
// 1035 5.1).
type Message struct {
	ID        uint16
	Response  bool
	Truncated bool   // the sender cut the message to fit (TC)
	Opcode    uint8  // 0 QUERY, 5 UPDATE
	RCode     uint16 // of the header, extended by EDNS
	Name      string // of the question; of the zone in an UPDATE; "" iff there is none that can be read
	Type      uint16 // of the question
	SRV       []SRV
	CNAMEs    []string // the chain from Name to the owner of SRV: the alias of Name, the alias of that, ...
	Signed    bool     // a TSIG or SIG(0) record ends it
	Anomaly   Anomaly

	scratch *scratch
}

// Clone gives a copy that the next Decode leaves alone.
func (m *Message) Clone() *Message {
	c := *m
	c.scratch = nil
	c.SRV = slices.Clone(m.SRV)
	for i := range c.SRV {
		c.SRV[i].Addresses = slices.Clone(c.SRV[i].Addresses)
	}
	c.CNAMEs = slices.Clone(m.CNAMEs)
	return &c
}

// Anomaly is what is wrong with a message; 0 is nothing.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyNames.
const (
	ShortHeader        Anomaly = iota + 1 // fewer bytes than a header
	CutMessage                            // the message ends inside a question or a record
	MissingRecords                        // the header counts more than there is
	TrailingBytes                         // bytes behind the last record
	Truncated                             // the sender cut the message to fit (TC); gives way to the others but the two above
	MultipleQuestions                     // more than one question
	BadLabel                              // a label of a reserved type
	BadPointer                            // a compression pointer beyond the message
	ForwardPointer                        // a compression pointer that does not point back (RFC 1035 4.1.4); followed
	CompressionLoop                       // compression pointers without an end
	NameTooLong                           // a name of more than 255 octets
	BadRData                              // the record's data is not as long as its fields
	CNAMELoop                             // aliases that come back to a name before
	TooManyRecords                        // more SRV, CNAME or address records than are kept
	BadZone                               // an UPDATE whose zone section is not one SOA (RFC 2136 2.3)
	BadUpdate                             // an update record of a class that says nothing, or with data that its class forbids (RFC 2136 2.5)
	MisplacedSignature                    // a TSIG that does not end the message (RFC 8945 5.1)
	RepeatedOPT                           // more than one OPT record (RFC 6891 6.1.1)
	anomalies
)

var anomalyNames = [anomalies]string{
	0:                  "none",
	ShortHeader:        "short-header",
	CutMessage:         "cut-message",
	MissingRecords:     "missing-records",
	TrailingBytes:      "trailing-bytes",
	Truncated:          "truncated",
	MultipleQuestions:  "multiple-questions",
	BadLabel:           "bad-label",
	BadPointer:         "bad-compression-pointer",
	ForwardPointer:     "forward-compression-pointer",
	CompressionLoop:    "compression-loop",
	NameTooLong:        "name-too-long",
	BadRData:           "bad-rdata",
	CNAMELoop:          "cname-loop",
	TooManyRecords:     "too-many-records",
	BadZone:            "bad-zone-section",
	BadUpdate:          "bad-update-record",
	MisplacedSignature: "misplaced-signature",
	RepeatedOPT:        "repeated-opt",
}

// String gives the name.
func (a Anomaly) String() string {
	if a < anomalies {
		return anomalyNames[a]
	}
	return "unknown"
}
