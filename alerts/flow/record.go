// Package flow holds flow records: what a sensor tells of the traffic itself,
// one record for each RPC association, KMS exchange, SRV lookup and SMB session,
// whether a rule has anything to say of it or not. Others join the records of
// many sensors.
package flow

import (
	"net/netip"

	"kmswatch/alerts/inventory"
	"kmswatch/decode"
)

// Kind is what a record is of.
type Kind uint8

// Kinds. The zero value is none.
const (
	Association Kind = iota + 1 // from its first bind to the end of the flow or pipe
	KMSExchange
	SRVLookup
	SMBSession
)

var kindNames = [...]string{"", "rpc-association", "kms-exchange", "srv-lookup", "smb-session"}

func (k Kind) String() string {
	if int(k) < len(kindNames) && k > 0 {
		return kindNames[k]
	}
	return "unknown"
}

// ParseKind reads a name that String gives, other than unknown.
func ParseKind(name string) (k Kind, ok bool) {
	for i, n := range kindNames[1:] {
		if n == name {
			return Kind(i + 1), true
		}
	}
	return 0, false
}

// Activity is what of its subject a record tells.
type Activity uint8

// Activities, by the numbers that OCSF's Network Activity has for them.
const (
	Open    Activity = 1 // an association has begun
	Close   Activity = 2 // it has ended: the counts are final
	Traffic Activity = 6 // something that is over at once
)

// Record is one flow record. The fields behind Roles belong to a kind, and are
// empty in the others.
type Record struct {
	ID       string // a UUID, the same whenever the same sensor tells of the same traffic
	Of       string // a UUID that the records of one association have in common
	Kind     Kind
	Activity Activity
	Sensor   string // that saw it

	Client, Server End
	Proto          uint8  // IP protocol: 6 TCP, 17 UDP
	CommunityID    string // version 1
	Start, Last    int64  // nanoseconds since the epoch; milliseconds count when it is sent
	Outcome        decode.Outcome
	Quality        decode.Quality

	Caller         Caller
	ClientSoftware Software
	ServerSoftware Software
	Roles          []Role // of the server, as far as the sensor knows; those that count

	Transport  string // of an association: ncacn_ip_tcp, ...
	Pipe       string
	Interfaces []Interface // in the order first asked for; the first few
	Calls      uint64
	Faults     uint64 // calls that were faulted or rejected

	KMSVersion  string // 6.0
	Application string // UUID of the product family that is activated
	ClientID    string // UUID that the client gives itself, CMID
	Machine     string // name of the client, as it gives it
	Status      uint32 // HRESULT or fault status of an exchange, NTSTATUS of a session

	Name    string   // asked for: lower case, without the final dot
	Targets []Target // of the answer; the first few

	Dialect   string // of SMB
	Null      bool   // the server says that the session is null
	Guest     bool   // the server says that it is a guest's
	Encrypted bool
}

// End is one end of a record's flow.
type End struct {
	Addr netip.Addr
	Port uint16
	Zone string // name; never empty
}

// Caller is who asked.
type Caller struct {
	Name      string // CORP\alice, anonymous, guest, unknown
	Kind      string // named, anonymous, guest, unknown
	Mechanism string // ntlm, kerberos, ...; empty: none
}

// Software is what an end seems to run.
type Software struct {
	Fingerprint string // of what it negotiated
	Name        string // empty: not known
	Confidence  uint8  // of 100
}

// Role is a role of a host.
type Role struct {
	Role  inventory.Roles // one
	Grade inventory.Grade
	Why   string // one phrase of evidence
}

// Interface is an RPC interface that was asked for.
type Interface struct {
	UUID     string
	Version  string // 1.0
	Name     string // empty: not in the table
	Accepted bool
}

// Target is where an SRV record points.
type Target struct {
	Name      string
	Port      uint16
	Addresses []netip.Addr
}
