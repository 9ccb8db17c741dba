package alerts

import (
	"time"

	"kmswatch/decode"
)

// Rule looks at events and raises alerts. A rule may keep state, bounded, of
// its own; it is asked by one goroutine, in the order of events, with the kinds
// of events that its Info names and no others.
type Rule interface {
	// Info is the same each time, and asked for once.
	Info() Info
	// Evaluate looks at one event. The event, the context and all that they
	// point to are borrowed until it returns.
	Evaluate(*Context, decode.Event)
}

// Info says what a rule is for.
type Info struct {
	ID         string // kms-zone-climb
	Title      string // what has happened when it fires, a few words
	Severity   Severity
	Why        string // why it matters, a sentence or two
	Mitigation string // what to do about it, a sentence or two
	Techniques []Technique
	Kinds      []decode.Kind // the events that it wants
	Options    []Option
}

// Technique is one of MITRE ATT&CK's.
type Technique struct {
	ID       string // T1046, T1021.002
	Name     string
	TacticID string // TA0007
	Tactic   string
}

// Option is a setting of a rule.
type Option struct {
	Name    string
	What    string // what it is for, a sentence
	Unit    string // of an int: hosts, binds; empty for others
	Default any    // its type is the option's: bool, int, time.Duration, string, []string, Interfaces
}

// Interfaces is the type of options that list RPC interfaces, each by its UUID
// or by its name in the table of interfaces.
type Interfaces []string

// Severity grades an alert, as OCSF's severity_id does.
type Severity uint8

// Severities. Zero is none: where a severity may be given, the rule's own.
const (
	Informational Severity = iota + 1
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"unknown", "informational", "low", "medium", "high", "critical"}

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return severityNames[0]
}

// ParseSeverity reads a name that String gives, other than unknown.
func ParseSeverity(name string) (s Severity, ok bool) {
	for i, n := range severityNames[1:] {
		if n == name {
			return Severity(i + 1), true
		}
	}
	return 0, false
}

// Settings are what a configuration says of one rule. The zero value leaves the
// rule as it is.
type Settings struct {
	Disabled   bool
	Severity   Severity       // 0 is the rule's own; else what it grades is moved by the difference
	Window     time.Duration  // in which repeats are folded; 0 is Config.Window
	Options    map[string]any // by name; each of the type of the option's default
	Exceptions []Exception
}
