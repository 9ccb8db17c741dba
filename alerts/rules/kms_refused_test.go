package rules

import (
	"fmt"
	"testing"
	"time"

	"kmswatch/alerts"
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
)

func TestKMSRefused(t *testing.T) {
	t.Parallel()
	// times makes exchanges every so many seconds, each with a client of its
	// own if several is set.
	times := func(n, every int, several bool, o decode.Outcome) (all []decode.Event) {
		for i := range n {
			client := internal2
			if several {
				client = fmt.Sprintf("10.0.7.%d", i)
			}
			all = append(all, exchange(client, internal1, i*every, o))
		}
		return all
	}
	v4 := func(e decode.Event, machine string) decode.Event {
		x := e.(*decode.KMSExchange)
		x.Request.Major, x.Request.ClientMachine = 4, dcerpc.MustUUID(machine)
		return x
	}
	const one, zero = "01234567-89ab-cdef-0123-456789abcdef", "00000000-0000-0000-0000-000000000000"
	var cloned, nameless []decode.Event
	for _, e := range times(12, 30, true, decode.Answered) {
		cloned = append(cloned, v4(e, one))
	}
	for _, e := range times(12, 30, true, decode.Answered) {
		nameless = append(nameless, v4(e, zero))
	}
	strict := settings("kms-refused", alerts.Settings{Options: map[string]any{"refusals": 2, "repeats": 3, "within": time.Hour}})
	for _, c := range []struct {
		name   string
		config alerts.Config
		events []decode.Event
		want   []want
	}{
		{"a host refuses one client", alerts.Config{}, times(20, 30, false, decode.Refused),
			[]want{{alerts.Medium, 11, "The KMS host 10.0.0.1 (internal) refused 10 activations within 10 minutes, the last of 10.0.0.2 (internal)",
				map[string]any{"refusals": int64(10), "kms_status": "0xC004F042 SL_E_VL_KEY_MANAGEMENT_SERVICE_ID_MISMATCH"}}}},
		{"a host refuses many clients", alerts.Config{}, times(20, 30, true, decode.Refused), []want{{alerts.Medium, 11, "", nil}}},
		{"faults are refusals", alerts.Config{}, times(10, 30, true, decode.Faulted), []want{{alerts.Medium, 1, "", map[string]any{"fault_status": "0x00000005 " + dcerpc.StatusName(5)}}}},
		{"a client repeats", alerts.Config{}, times(20, 30, false, decode.Answered),
			[]want{{alerts.Low, 11, "10.0.0.2 (internal) asked for activation 10 times within 10 minutes, the last at the KMS host 10.0.0.1 (internal)", map[string]any{"requests": int64(10)}}}},
		{"a client repeats without an answer", alerts.Config{}, times(10, 30, false, decode.Unanswered), []want{{alerts.Low, 1, "", nil}}},
		{"a machine id comes from many addresses", alerts.Config{}, cloned,
			[]want{{alerts.Medium, 3, "The KMS client machine id " + one + " asked for activation 10 times within 10 minutes, the last from 10.0.7.9 (internal) at the KMS host 10.0.0.1 (internal)", nil}}},
		{"options", strict, append(times(2, 1800, true, decode.Refused), times(3, 1800, false, decode.Answered)...),
			[]want{{alerts.Medium, 1, "The KMS host 10.0.0.1 (internal) refused 2 activations within 1 hour, the last of 10.0.7.1 (internal)", nil}, {alerts.Low, 1, "", nil}}},

		{"quiet for one short of the rate", alerts.Config{}, append(times(9, 30, false, decode.Refused), times(9, 30, false, decode.Answered)...), nil},
		{"quiet for the pace of retries", alerts.Config{}, times(20, 7200, false, decode.Refused), nil},
		{"quiet for many clients that activate once", alerts.Config{}, times(20, 1, true, decode.Answered), nil},
		{"quiet for a machine id of zeros", alerts.Config{}, nameless, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, evaluate(t, newKMSRefused(), c.config, c.events...), c.want...)
		})
	}
}

func TestKMSRefusedAllocatesNothingBelowTheRate(t *testing.T) {
	e := exchange(internal2, internal1, 0, decode.Refused)
	r := newKMSRefused()
	v, err := alerts.New(alerts.Config{Rules: []alerts.Rule{r}, Zones: testZones()})
	if err != nil {
		t.Fatal(err)
	}
	v.Handle(e)
	if n := testing.AllocsPerRun(100, func() {
		e.Head().Time += int64(time.Hour) // each begins the count anew
		v.Handle(e)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 90 * time.Second: "90 seconds", time.Minute: "1 minute", 10 * time.Minute: "10 minutes",
		time.Hour: "1 hour", 36 * time.Hour: "36 hours", 1500 * time.Millisecond: "1.5s",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}
