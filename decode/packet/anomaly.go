package packet

import "strconv"

// Anomaly is what was odd about a frame; 0 is nothing. Of several the first
// stands, unless only a later one is evasive.
type Anomaly uint8

// Anomalies. To add one: a constant here, a row in anomalyTable.
const (
	ShortHeader       Anomaly = iota + 1 // the frame, not cut by the snap length, ends inside a header
	BadIPVersion                         // the version is not what the layer below announced
	BadIPHeaderLength                    // IHL below 5
	BadIPLength                          // total length shorter than the header, or none and more than any offload makes
	BadJumbo                             // no jumbo payload option where one must be, or one that is not true; RFC 2675
	BadExtension                         // an extension header that is longer than its datagram
	BadTCPOffset                         // data offset shorter than the header or beyond the segment
	BadUDPLength                         // UDP length shorter than the header or beyond the datagram
	TooManyTags                          // more VLAN tags than are followed
	TooManyLabels                        // more MPLS labels than are followed
	TooManyExtensions                    // more IPv6 extension headers than are followed
	TooDeep                              // more tunnels in one another than are followed
	BadFragment                          // a fragment of no bytes, or one but the last that is not of eights; systems differ on it
	FragmentTooFar                       // ends beyond the longest datagram: the ping of death
	TinyFragment                         // cuts the transport header: RFC 1858, RFC 3128, RFC 7112
	FragmentOverlap                      // overlaps another with different data; the first was kept
	FragmentOverlap6                     // overlaps another in IPv6, which must not be: RFC 5722
	FragmentEnd                          // fragments that disagree about where the datagram ends
	TooManyFragments                     // more fragments of a datagram than are kept; it was dropped
	anomalies
)

var anomalyTable = [anomalies]struct {
	name    string
	evasive bool
}{
	0:                 {"none", false},
	ShortHeader:       {"short-header", false},
	BadIPVersion:      {"bad-ip-version", false},
	BadIPHeaderLength: {"bad-ip-header-length", false},
	BadIPLength:       {"bad-ip-length", false},
	BadJumbo:          {"bad-jumbo-payload", false},
	BadExtension:      {"bad-ipv6-extension", false},
	BadTCPOffset:      {"bad-tcp-data-offset", false},
	BadUDPLength:      {"bad-udp-length", false},
	TooManyTags:       {"too-many-vlan-tags", true},
	TooManyLabels:     {"too-many-mpls-labels", true},
	TooManyExtensions: {"too-many-ipv6-extensions", true},
	TooDeep:           {"tunnels-too-deep", true},
	BadFragment:       {"bad-fragment-length", true},
	FragmentTooFar:    {"fragment-beyond-datagram", true},
	TinyFragment:      {"tiny-fragment", true},
	FragmentOverlap:   {"fragment-overlap", true},
	FragmentOverlap6:  {"ipv6-fragment-overlap", true},
	FragmentEnd:       {"fragment-ends-differ", true},
	TooManyFragments:  {"too-many-fragments", true},
}

// String gives the name of an anomaly.
func (a Anomaly) String() string {
	if a < anomalies {
		return anomalyTable[a].name
	}
	return "anomaly(" + strconv.Itoa(int(a)) + ")"
}

// Evasive reports whether an anomaly is a known way to hide from sensors, or
// something that receivers read in different ways.
func (a Anomaly) Evasive() bool { return a < anomalies && anomalyTable[a].evasive }

// odd notes an anomaly of the packet.
func (p *Packet) odd(a Anomaly) {
	if p.Anomaly == 0 || a.Evasive() && !p.Anomaly.Evasive() {
		p.Anomaly = a
	}
}
