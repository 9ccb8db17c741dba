package rules

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kmswatch/alerts"
	"kmswatch/alerts/config"
	"kmswatch/capture"
	"kmswatch/capture/capturetest"
)

// The evasion suite: who wants to pass sensors by says the same things in other
// pieces. The alerts must be the same, and rpc-violation must tell of pieces
// that no honest host sends.

// evasions are the ways to say the same otherwise.
var evasions = []struct {
	name     string
	respell  func(*testing.T, *tape) *tape // what is said, nil leaves it; the result is nil where it does not apply
	delivery delivery
	tells    []string // anomalies that rpc-violation tells of beside those of the plain capture
}{
	{name: "in segments of 1 to 9 bytes", delivery: delivery{pieces: small}},
	{name: "in segments of 1 byte", delivery: delivery{pieces: single}},
	{name: "in segments of 1 to 9 bytes, neighbours swapped", delivery: delivery{pieces: swapped}},
	{name: "in segments of 1 to 9 bytes, the last first", delivery: delivery{pieces: backwards}},
	{name: "in segments of 1 to 9 bytes, in any order", delivery: delivery{pieces: shuffled}},
	{name: "in segments of 1 to 9 bytes, each twice", delivery: delivery{pieces: twice}},
	{name: "in segments that overlap the last by as much", delivery: delivery{pieces: overlapping}},
	{name: "in segments of 1 to 9 bytes, in any order, and all of it again at once", delivery: delivery{pieces: allAgain}},
	{name: "in segments of 1 to 9 bytes, other bytes in their place behind each", delivery: delivery{pieces: forgedLate},
		tells: []string{"overlap-differs"}},
	{name: "in segments of 1 to 9 bytes behind a hole, other bytes in their place before it is filled", delivery: delivery{pieces: forgedWaiting},
		tells: []string{"overlap-differs"}},
	{name: "in IP fragments of 8 to 24 bytes", delivery: delivery{packets: fragments(8, 24, false)}, tells: []string{"tiny-fragment"}},
	{name: "in IP fragments of 24 bytes", delivery: delivery{packets: fragments(24, 24, false)}},
	{name: "in IP fragments of 24 bytes, in any order", delivery: delivery{packets: fragments(24, 24, true)}},
	{name: "in IP fragments of 24 bytes, of segments of 1 to 64 bytes, in any order", delivery: delivery{pieces: middling, packets: fragments(24, 24, true)}},
	{name: "in RPC fragments of 1 byte of stub", respell: respellRPC(1), tells: []string{"tiny-fragments"}},
	{name: "in RPC fragments of 1 byte of stub, in segments of 1 to 9 bytes, in any order", respell: respellRPC(1), delivery: delivery{pieces: shuffled},
		tells: []string{"tiny-fragments"}},
	{name: "in RPC fragments of 24 bytes of stub", respell: respellRPC(24)},
	{name: "in pipe writes of 1 byte and reads of 3", respell: respellPipes(0, 1, 3)},
	{name: "in pipe writes of 1000 bytes and reads of 1", respell: respellPipes(0, 1000, 1)},
	{name: "in pipe writes of 1 byte, in segments of 1 to 9 bytes, the last first", respell: respellPipes(0, 1, 3), delivery: delivery{pieces: backwards}},
	{name: "in RPC fragments of 1 byte of stub, in pipe writes of 1 byte", respell: respellPipes(1, 1, 3), tells: []string{"tiny-fragments"}},
}

// evaded are the captures that are said otherwise, and rules that must fire.
var evaded = []struct {
	capture string
	port    uint16 // of the server, moved here from the capture's; 0 leaves it
	fires   []string
}{
	{"kms-zone-climb.pcap", 0, []string{"kms-zone-climb"}},
	{"kms-zone-climb.pcap", 50001, []string{"kms-zone-climb", "kms-unusual-port"}},
	{"kms-malformed-requests.pcap", 0, []string{"kms-malformed"}},
	{"real-rpcclient-anonymous.pcap", 0, []string{"rpc-anonymous-bind", "rpc-anonymous-enumeration", "rpc-zone-climb"}},
	{"real-second-bind.pcap", 0, []string{"rpc-violation"}},
	{"real-drsuapi-replicate.pcap", 0, []string{"rpc-exploit"}},
	{"real-smb2-null-session.pcap", 0, []string{"smb-null-session", "rpc-anonymous-bind", "rpc-anonymous-enumeration"}},
	{"real-smb2-null-session.pcap", 50002, []string{"smb-null-session", "rpc-anonymous-bind", "rpc-anonymous-enumeration"}},
	{"real-smb1-null-session.pcap", 0, []string{"smb-null-session", "rpc-anonymous-bind", "rpc-anonymous-enumeration"}},
	{"real-smb1-null-session.pcap", 50003, []string{"smb-null-session", "rpc-anonymous-bind", "rpc-anonymous-enumeration"}},
	{"real-smbclient-list-smb1.pcap", 0, []string{"smb-null-session", "rpc-anonymous-enumeration"}},
	{"real-smb2-guest.pcap", 0, []string{"smb-null-session"}},
	{"real-ldap-anonymous.pcap", 0, []string{"ldap-anonymous-bind"}},
	{"real-dig-vlmcs.pcap", 0, []string{"dns-kms-lookup-climb"}},
	{"real-dig-vlmcs-tcp.pcap", 0, []string{"dns-kms-lookup-climb"}},
	{"attack-ms08-067.pcap", 0, []string{"rpc-exploit"}},
	{"attack-ms06-040.pcap", 0, []string{"rpc-exploit"}},
	{"attack-ms03-026.pcap", 0, []string{"rpc-exploit"}},
	{"attack-petitpotam.pcap", 0, []string{"rpc-exploit"}},
	{"attack-printnightmare.pcap", 0, []string{"rpc-exploit"}},
	{"real-attack-zerologon.pcap", 0, []string{"rpc-exploit"}},
	{"real-attack-printerbug.pcap", 0, []string{"rpc-exploit"}},
	{"rpc-datagrams.pcap", 0, []string{"rpc-zone-climb", "rpc-anonymous-bind"}},
	{"rpc-http.pcap", 0, []string{"rpc-zone-climb", "rpc-anonymous-bind"}},
	{"real-kms-port-http.pcap", 0, []string{"kms-port-foreign-protocol"}},
}

func TestEvasionsGiveTheSameAlerts(t *testing.T) {
	conf := load(t, "testdata/pool.txtar", readCase(t, "testdata/pool.txtar").file(t, "config.yaml"))
	for _, base := range evaded {
		name := base.capture
		if base.port != 0 {
			name += fmt.Sprintf(" on port %d", base.port)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(captures, base.capture)
			tp := takeApart(t, path)
			plain := raised(t, conf, 1, capturetest.Load(t, path))
			if base.port != 0 {
				for _, c := range tp.conns {
					c.ends[1] = netip.AddrPortFrom(c.ends[1].Addr(), base.port)
				}
				plain = raised(t, conf, 1, tp.play(delivery{}, 0))
			}
			for _, id := range base.fires {
				if !slices.ContainsFunc(plain, func(a said) bool { return a.Rule == id }) {
					t.Errorf("%s does not fire", id)
				}
			}
			if d := cmp.Diff(plain, raised(t, conf, 1, tp.play(delivery{}, 0))); d != "" {
				t.Fatalf("taken apart and played again: -plain +played\n%s", d)
			}
			for n, e := range evasions {
				spelt := tp
				if e.respell != nil {
					if spelt = e.respell(t, tp); spelt == nil {
						continue
					}
				}
				if e.delivery.pieces != nil && len(tp.conns) == 0 {
					continue
				}
				t.Run(e.name, func(t *testing.T) {
					frames := spelt.play(e.delivery, uint64(n)+1)
					one, four := raised(t, conf, 1, frames), raised(t, conf, 4, frames)
					if d := cmp.Diff(one, four); d != "" {
						t.Errorf("-one worker +four\n%s", d)
					}
					want, told := parted(plain)
					got, tells := parted(one)
					if d := cmp.Diff(want, got); d != "" {
						t.Errorf("-plain +evading\n%s", d)
					}
					for _, name := range e.tells {
						if name == "tiny-fragment" && len(tp.conns) == 0 {
							continue // eight bytes hold a header of UDP
						}
						told[name] = true
					}
					if d := cmp.Diff(told, tells); d != "" {
						t.Errorf("rpc-violation tells of: -want +got\n%s", d)
					}
				})
			}
		})
	}
}

// TestMoreSegmentsThanMayWaitAreTold: what does not fit the bounds is lost, and
// who brings that about is not.
func TestMoreSegmentsThanMayWaitAreTold(t *testing.T) {
	t.Parallel()
	conf := load(t, "testdata/pool.txtar", readCase(t, "testdata/pool.txtar").file(t, "config.yaml"))
	tp := respellRPC(1)(t, takeApart(t, filepath.Join(captures, "kms-zone-climb.pcap")))
	got, tells := parted(raised(t, conf, 1, tp.play(delivery{pieces: func(rng *rand.Rand, said []byte) []piece {
		all := cutAt(rng, said, 1, 3)
		slices.Reverse(all)
		return all
	}}, 1)))
	if len(got) != 1 || got[0].Rule != "kms-zone-climb" {
		t.Errorf("the zone climb is not told of: %v", got)
	}
	if !tells["many-segments"] {
		t.Errorf("rpc-violation tells of %v", tells)
	}
}

// TestBytesThatAreForgedFirstAreTold: a sensor that sees other bytes before the
// right ones cannot know which the server takes, and says so.
func TestBytesThatAreForgedFirstAreTold(t *testing.T) {
	t.Parallel()
	conf := load(t, "testdata/pool.txtar", readCase(t, "testdata/pool.txtar").file(t, "config.yaml"))
	for _, name := range []string{"kms-zone-climb.pcap", "real-rpcclient-anonymous.pcap", "real-smb2-null-session.pcap", "real-smb1-null-session.pcap"} {
		tp := takeApart(t, filepath.Join(captures, name))
		_, tells := parted(raised(t, conf, 1, tp.play(delivery{pieces: func(rng *rand.Rand, said []byte) []piece {
			var all []piece
			for _, p := range cutAt(rng, said, 40, 60) {
				all = append(all, forged(p), p)
			}
			return all
		}}, 1)))
		if !tells["overlap-differs"] {
			t.Errorf("%s: rpc-violation tells of %v", name, tells)
		}
	}
}

// said is what an alert says whatever the pieces that its events came in:
// without frames, times, offsets and quality.
type said struct {
	Rule, Severity, Client, Server, Summary, Facts string
	Count                                          uint64
}

// ofPieces are the facts that tell of pieces.
var ofPieces = []string{"offset"}

func raised(t *testing.T, c *config.Config, workers int, frames []capture.Frame) []said {
	t.Helper()
	var all []said
	for _, a := range evaluated(t, c, "", workers, capturetest.Slice(frames), func(int32) string { return "" }) {
		kept := slices.DeleteFunc(slices.Clone(a.Facts), func(f alerts.Fact) bool { return slices.Contains(ofPieces, f.Name) })
		all = append(all, said{
			Rule: a.Rule.ID, Severity: a.Severity.String(), Client: a.Client.String(), Server: fmt.Sprintf("%v port %d", a.Server, a.Server.Port),
			Summary: a.Summary, Facts: string(facts(kept)), Count: a.Count,
		})
	}
	return all
}

// parted parts the alerts of rpc-violation, by their anomaly, from all others.
func parted(all []said) (others []said, told map[string]bool) {
	told = make(map[string]bool)
	for _, a := range all {
		if a.Rule != "rpc-violation" {
			others = append(others, a)
			continue
		}
		_, name, _ := strings.Cut(a.Facts, `"anomaly":"`)
		name, _, _ = strings.Cut(name, `"`)
		told[name] = true
	}
	return others, told
}

// Ways to cut what is said.

func small(rng *rand.Rand, said []byte) []piece    { return cutAt(rng, said, 1, 9) }
func single(rng *rand.Rand, said []byte) []piece   { return cutAt(rng, said, 1, 1) }
func middling(rng *rand.Rand, said []byte) []piece { return cutAt(rng, said, 1, 64) }

func cutAt(rng *rand.Rand, said []byte, least, most int) []piece {
	var all []piece
	for at := 0; at < len(said); {
		n := min(least+rng.IntN(most-least+1), len(said)-at)
		all = append(all, piece{at, said[at : at+n]})
		at += n
	}
	return all
}

func swapped(rng *rand.Rand, said []byte) []piece {
	all := small(rng, said)
	for i := 1; i < len(all); i += 2 {
		all[i-1], all[i] = all[i], all[i-1]
	}
	return all
}

// waits is how many segments come out of order together, fewer than may wait.
const waits = 900

func backwards(rng *rand.Rand, said []byte) []piece {
	all := small(rng, said)
	for part := range slices.Chunk(all, waits) {
		slices.Reverse(part)
	}
	return all
}

func shuffled(rng *rand.Rand, said []byte) []piece {
	all := small(rng, said)
	for part := range slices.Chunk(all, waits) {
		rng.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	return all
}

func twice(rng *rand.Rand, said []byte) []piece {
	var all []piece
	for _, p := range small(rng, said) {
		all = append(all, p, p)
	}
	return all
}

func overlapping(rng *rand.Rand, said []byte) []piece {
	all := small(rng, said)
	for i := len(all) - 1; i > 0; i-- {
		back := all[i-1]
		all[i] = piece{back.at, said[back.at : all[i].at+len(all[i].data)]}
	}
	return all
}

func allAgain(rng *rand.Rand, said []byte) []piece {
	return append(shuffled(rng, said), piece{0, said[:min(len(said), 1400)]})
}

// forged gives other bytes of the same length.
func forged(p piece) piece {
	other := bytes.Clone(p.data)
	for i := range other {
		other[i] ^= 0x5a
	}
	return piece{p.at, other}
}

func forgedLate(rng *rand.Rand, said []byte) []piece {
	var all []piece
	for _, p := range small(rng, said) {
		all = append(all, p, forged(p))
	}
	return all
}

func forgedWaiting(rng *rand.Rand, said []byte) []piece {
	var out []piece
	for part := range slices.Chunk(small(rng, said), waits) {
		out = append(out, part[1:]...)
		for _, p := range part[1:] {
			out = append(out, forged(p))
		}
		out = append(out, part[0])
	}
	return out
}

// fragments gives the IPv4 fragments of a packet, of least to most bytes in
// steps of eight, the last of what is left; those in any order are shuffled.
func fragments(least, most int, anyOrder bool) func(*rand.Rand, []byte) [][]byte {
	return func(rng *rand.Rand, ip []byte) [][]byte {
		const header = 20
		body := ip[header:]
		id := uint16(rng.Uint32())
		var all [][]byte
		for at := 0; at < len(body); {
			n := min(least+8*rng.IntN((most-least)/8+1), len(body)-at)
			if at+n == len(body) && at == 0 {
				return [][]byte{ip}
			}
			b := append(bytes.Clone(ip[:header]), body[at:at+n]...)
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
			binary.BigEndian.PutUint16(b[4:], id)
			offset := uint16(at / 8)
			if at+n < len(body) {
				offset |= 0x2000 // more fragments
			}
			binary.BigEndian.PutUint16(b[6:], offset)
			all = append(all, b)
			at += n
		}
		if anyOrder {
			rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
		return all
	}
}
