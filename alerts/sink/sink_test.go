package sink

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"kmswatch/alerts"
	"kmswatch/alerts/zone"
	"kmswatch/decode"
)

func example() *alerts.Alert {
	dmz, internal := &zone.Zone{Name: "dmz", Trust: 20}, &zone.Zone{Name: "internal", Trust: 50}
	at := time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC).UnixNano()
	client, server := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::5")
	a := &alerts.Alert{
		ID:       "9764e4a9-7431-5d3a-bb7a-40d3d1469075",
		Rule:     &alerts.Info{ID: "kms-zone-climb", Mitigation: "Activate over a proxy."},
		Severity: alerts.High,
		First:    at, Last: at + 5.5e9, Count: 12,
		Client:  alerts.Party{Addr: client, Port: 50123, Zone: dmz},
		Server:  alerts.Party{Addr: server, Port: 1688, Zone: internal},
		Flow:    decode.Flow{Proto: 6},
		Clients: alerts.Addresses{First: []netip.Addr{client, netip.MustParseAddr("192.0.2.8")}, Count: 3},
		Servers: alerts.Addresses{First: []netip.Addr{server}, Count: 1},
		Frames:  []alerts.Frame{{File: "a.pcap", Number: 1}, {File: "a.pcap", Number: 2}, {File: "b.pcap", Number: 1}},
		Quality: decode.MidStream,
		Process: &alerts.Process{Name: "svc\x1bhost", PID: 712, Server: true},
	}
	a.Say("192.0.2.7 (dmz) activates as \"\x1b[2J\xff\u202e\"")
	a.Add("kms_version", "6.0")
	a.Add("workstation", "two words")
	a.Add("ports", []string{"1", "2"})
	return a
}

const block = `2026-03-04 05:06:07.008Z  high           kms-zone-climb
    192.0.2.7 (dmz) activates as "\x1b[2J\xff\u202e"
    192.0.2.7:50123 (dmz) -> [2001:db8::5]:1688 (internal), tcp
    12 times within 5.5s, 3 clients: 192.0.2.7 192.0.2.8 and 1 other
    kms_version 6.0, workstation "two words", ports 1 2
    the server is svc\x1bhost, process 712
    a.pcap frame 1, 2; b.pcap frame 1
    what was seen of the flow: mid-stream
`

func TestConsoleWritesAnAlertOnceWithItsMitigationOnce(t *testing.T) {
	var out strings.Builder
	s := NewConsole(&out)
	for range 2 {
		a := example()
		for _, stage := range []alerts.Stage{alerts.Raised, alerts.Worse, alerts.Ended} {
			a.Stage, a.Stale = stage, stage == alerts.Ended
			if err := s.Write(a); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := block + "    mitigation: Activate over a proxy.\n\n" + block + "\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestAMitigationThatWasNotWrittenIsWrittenWithTheNext(t *testing.T) {
	var out strings.Builder
	full := true
	s := NewConsole(writerFunc(func(b []byte) (int, error) {
		if full {
			return 0, ErrFull
		}
		return out.Write(b)
	}))
	a := example()
	a.Stage = alerts.Ended
	if err := s.Write(a); err != ErrFull {
		t.Errorf("error %v", err)
	}
	full = false
	if err := s.Write(a); err != nil || !strings.Contains(out.String(), "mitigation: ") {
		t.Errorf("%v, got\n%s", err, out.String())
	}
}

func TestALiveConsoleWritesAtOnceAndThenTheCount(t *testing.T) {
	var out strings.Builder
	s := NewConsole(&out)
	s.Live, s.Colour = true, true
	a := example()
	a.Count, a.Last = 1, a.First
	for _, stage := range []alerts.Stage{alerts.Raised, alerts.Ended} {
		a.Stage = stage
		if err := s.Write(a); err != nil {
			t.Fatal(err)
		}
		a.Count, a.Last = 2, a.First+1e9
	}
	a.Stale = true
	_ = s.Write(a)
	got := out.String()
	if n := strings.Count(got, "\x1b[31mhigh         \x1b[0m  kms-zone-climb\n"); n != 2 ||
		!strings.HasSuffix(got, "kms-zone-climb\n    2 times within 1s, in all\n\n") || strings.Contains(got, "once") {
		t.Errorf("got\n%s", got)
	}
}

func TestAnAlertOfWhichLittleIsKnownIsWritten(t *testing.T) {
	var out strings.Builder
	a := &alerts.Alert{Rule: &alerts.Info{ID: "rpc-violation"}, Stage: alerts.Ended, Count: 1, Severity: alerts.Low}
	a.Say("something")
	if err := NewConsole(&out).Write(a); err != nil || out.String() != "at no known time  low            rpc-violation\n    something\n\n" {
		t.Errorf("error %v, got\n%s", err, out.String())
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestNDJSONWritesWhatIsNewAndTellsErrors(t *testing.T) {
	var out strings.Builder
	encode := func(b []byte, a *alerts.Alert) []byte { return append(b, a.ID...) }
	s := NewNDJSON(&out, encode)
	a := example()
	_ = s.Write(a)
	a.Stage, a.Stale = alerts.Ended, true
	_ = s.Write(a)
	a.Stale = false
	_ = s.Write(a)
	if out.String() != a.ID+"\n"+a.ID+"\n" {
		t.Errorf("got %q", out.String())
	}
	if err := NewNDJSON(failing{}, encode).Write(a); err == nil {
		t.Error("an error of the writer is lost")
	}
}
