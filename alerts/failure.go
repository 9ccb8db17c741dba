package alerts

import "kmswatch/decode"

// KindFailure is the kind of a Failure, which comes behind those of decode.
const KindFailure = decode.Kind(decode.Kinds)

// kinds is how many kinds of events there are with that of a Failure.
const kinds = decode.Kinds + 1

// Failure is an event that no frame tells of: something of the sensor itself
// failed, so that alerts were lost, or may be, or so that it sees nothing. Who
// runs a sensor gives it to Evaluator.Handle, with the time of the frames in its
// Head.
type Failure struct {
	head  decode.Head
	What  Failed
	Where string // name of the output or of the interface
	Lost  uint64 // alerts; 0 if none is yet
	Cause string // the error, if there is one
}

// Kind meets decode.Event.
func (*Failure) Kind() decode.Kind { return KindFailure }

// Head meets decode.Event.
func (f *Failure) Head() *decode.Head { return &f.head }

// Failed is what failed.
type Failed uint8

// What may fail.
const (
	OutputFull      Failed = iota // an output is too slow, and what waits for it in memory is as much as may
	OutputBroken                  // an output cannot be written; with alerts lost, it will not be any more
	SpoolFull                     // the spool dropped what was too much or too old
	SpoolDamaged                  // the spool could not read what it had written
	SpoolUnwritable               // the spool cannot be written
	AlertRefused                  // the broker will never take an alert
	InterfaceGone                 // an interface is down, or is not there
)

var failedNames = [...]string{"output-full", "output-broken", "spool-full", "spool-damaged", "spool-unwritable", "alert-refused", "interface-gone"}

func (f Failed) String() string {
	if int(f) < len(failedNames) {
		return failedNames[f]
	}
	return "unknown"
}
