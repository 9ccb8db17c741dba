package software

import "kmswatch/decode/dcerpc"

// Habit is how a server chooses the ids of association groups.
type Habit uint8

// Habits.
const (
	NoHabit   Habit = iota // too few seen to tell, or none of those below
	Constant               // the same for each: py-kms
	Counting               // one more for each association: Windows, a process, and vlmcsd
	Scattered              // anywhere in 16 bits: Samba
)

// String gives the name.
func (h Habit) String() string {
	return [...]string{"none", "constant", "counting", "scattered"}[h&3]
}

const (
	// enough is how many steps between groups it takes to call them a habit.
	enough = 3
	// leap is a step that no counter makes between two connections of a client.
	leap = 0x400
)

// Groups watches the association groups that one endpoint of a server gives: an
// address and port, or a pipe, since each process of Windows counts its own. The
// zero value is ready; it is a dozen bytes and is kept with whatever the caller
// knows of the endpoint.
type Groups struct {
	last                  uint32
	seen                  bool
	wide                  bool  // one was beyond 16 bits
	steps                 uint8 // between one and the next
	same, counting, leaps uint8 // of them
}

// Add notes the group of a bind that asked for a new one and got it; it passes
// over all others. Binds are to come in the order of their answers, each once.
func (g *Groups) Add(n *dcerpc.Negotiation) {
	if n.Alter || n.AskedGroup != 0 || n.Group == 0 || n.State != dcerpc.NegotiationAccepted {
		return
	}
	if g.seen && g.steps < 255 {
		g.steps++
		switch d := int32(n.Group - g.last); {
		case d == 0:
			g.same++
		case d == 1:
			g.counting++
		case d > leap || d < -leap:
			g.leaps++
		}
	}
	g.seen, g.last = true, n.Group
	g.wide = g.wide || n.Group > 0xffff
}

// Habit tells what the groups say so far.
func (g *Groups) Habit() Habit {
	switch {
	case g.steps < enough:
	case g.same == g.steps:
		return Constant
	case g.counting == g.steps:
		return Counting
	case !g.wide && int(g.leaps)*4 >= int(g.steps)*3:
		return Scattered
	}
	return NoHabit
}
