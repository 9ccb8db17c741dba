package alerts

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"kmswatch/decode"
	"kmswatch/decode/auth"
	"kmswatch/decode/dcerpc"
)

// Fold says which events are repeats of the same alert.
type Fold struct {
	By        FoldBy
	Severity  Severity        // of this event; 0 is the rule's
	Key       string          // what else makes it another alert; usually empty
	Interface dcerpc.UUID     // of the RPC interface, if that makes it another alert; exceptions by interface are for it
	Earlier   decode.Position // of the frame of an earlier event that it stands on too; zero if there is none
}

// FoldBy is the parties that make it another alert.
type FoldBy uint8

// Ways to fold.
const (
	ByServer    FoldBy = iota // server and zone pair; clients are counted
	ByClient                  // client and zone pair; servers are counted
	ByBoth                    // client and server
	ServerAlone               // server, whatever the clients' zones
	ClientAlone               // client, whatever the servers' zones
)

// Finding is what a rule has to say about an alert.
type Finding struct {
	Summary string // one plain sentence that names the parties
	Facts   []Fact // in the order given

	// Techniques are those of this finding; nil is those of the rule. Kept.
	Techniques []Technique
}

// Fact is one thing known of an alert.
type Fact struct {
	Name  string // lower case with underscores: kms_version
	Value any    // string, bool, int64, uint64 or []string
}

// Say sets the summary, a plain sentence without a full stop.
func (f *Finding) Say(format string, args ...any) { f.Summary = fmt.Sprintf(format, args...) }

// Add adds a fact. The value is a string, a bool, an integer of any type, a
// []string (kept), or anything with a String method, of which the text is taken.
func (f *Finding) Add(name string, value any) {
	f.Facts = append(f.Facts, Fact{name, plain(value)})
}

// Stage is why an alert is given out.
type Stage uint8

// Stages.
const (
	Raised Stage = iota // for the first time
	Worse               // again, since its severity rose; the finding is that of the event that raised it
	Ended               // for the last time: its window ended, with the final count
)

// Alert is what a rule raised, with its repeats so far. It is borrowed until
// the function that it is given to returns; Clone makes a copy to keep.
type Alert struct {
	ID       string // the same for rule, parties and window in every run: a UUID
	Stage    Stage
	Stale    bool // Ended, and nothing changed since it was last given out
	Rule     *Info
	Severity Severity
	Finding

	First, Last int64 // times of the first and of the last event, nanoseconds since the epoch
	Window      int64 // time at which the window began, likewise
	Count       uint64

	By      FoldBy       // the parties that make it another alert
	Client  Party        // of the event that the finding describes
	Server  Party        // likewise
	Flow    decode.Flow  // likewise
	Caller  *auth.Caller // likewise, of an event that has one; else nil
	Event   decode.Kind  // likewise
	Clients Addresses    // seen so far
	Servers Addresses    // seen so far
	Frames  []Frame      // the first few
	Quality decode.Quality
	Sensor  string
	Process *Process // that has the sensor's end of Flow; nil: not known
}

// Process is a program on the host of the sensor. Who runs the sensor as an
// agent fills it in when an alert is given out: a rule knows packets alone.
type Process struct {
	Name   string
	PID    int
	Server bool // it is the flow's server, else its client
}

// Bounds of what an alert names and counts.
const (
	maxFrames    = 8
	maxNamed     = 8
	maxAddresses = 1024
)

// Attacks gives the techniques of the finding, else those of the rule.
func (a *Alert) Attacks() []Technique {
	if a.Techniques != nil {
		return a.Techniques
	}
	return a.Rule.Techniques
}

// Key gives the address that an alert is told by: that of the server where it
// makes another alert, else the client's. It is the same each time that the alert
// is told; the zero Addr for one of no parties.
func (a *Alert) Key() netip.Addr {
	first, second := a.Server.Addr, a.Client.Addr
	if a.By == ByClient || a.By == ClientAlone {
		first, second = second, first
	}
	if !first.IsValid() {
		first = second
	}
	return first.Unmap()
}

// Clone makes a copy that may be kept.
func (a *Alert) Clone() *Alert {
	c := *a
	c.Facts = slices.Clone(a.Facts)
	c.Frames = slices.Clone(a.Frames)
	c.Clients = Addresses{First: slices.Clone(a.Clients.First), Count: a.Clients.Count, More: a.Clients.More}
	c.Servers = Addresses{First: slices.Clone(a.Servers.First), Count: a.Servers.Count, More: a.Servers.More}
	return &c
}

// Addresses counts distinct addresses.
type Addresses struct {
	First []netip.Addr // the first few, as they came
	Count int          // how many
	More  bool         // and more, that were not counted

	seen map[netip.Addr]struct{} // those not in First
}

// add counts an address. It allocates for a new one only.
func (s *Addresses) add(a netip.Addr) {
	if s.More || !a.IsValid() || slices.Contains(s.First, a) {
		return
	}
	if len(s.First) < maxNamed {
		s.First = append(s.First, a)
		s.Count++
		return
	}
	if _, known := s.seen[a]; known {
		return
	}
	if s.Count == maxAddresses {
		s.More = true
		return
	}
	if s.seen == nil {
		s.seen = make(map[netip.Addr]struct{})
	}
	s.seen[a] = struct{}{}
	s.Count++
}

// Frame is a frame that an alert stands on.
type Frame struct {
	File   string // empty for a live capture
	Number uint64 // from 1
}

// plain makes one of the types of Fact.Value of a value.
func plain(v any) any {
	switch v := v.(type) {
	case string, bool, int64, uint64, []string:
		return v
	case fmt.Stringer: // before the kinds of numbers: a named one has its name
		return v.String()
	}
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return r.Int()
	case r.CanUint():
		return r.Uint()
	}
	return fmt.Sprint(v)
}
