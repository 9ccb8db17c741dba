package main

import (
	"errors"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"kmswatch/alerts"
	"kmswatch/alerts/sink"
	"kmswatch/alerts/spool"
)

// recipient is whom alerts are given to: an output, or the broker's spool. It is
// of the goroutine that is told of frames.
type recipient struct {
	name     string
	to       interface{ Write(*alerts.Alert) error } // which does not wait
	log      zerolog.Logger
	failures *failures

	owed      []*alerts.Alert // of what failed, that it had no room for
	lost      uint64
	untold    uint64 // lost, and not yet logged
	cause     error  // of the last of those
	complaint time.Time
}

// mostOwed bounds what is owed to a recipient: what failed is folded, and so is
// little.
const mostOwed = 64

// take gives an alert to the recipient. What it does not take is lost and is
// itself a failure; but for the alert of a failure, which comes again until it is
// taken: it may be of this very recipient.
func (r *recipient) take(a *alerts.Alert) {
	own := a.Event == alerts.KindFailure
	if own && len(r.owed) > 0 { // behind those before it
		r.owe(a)
		return
	}
	err := r.to.Write(a)
	switch {
	case err == nil:
	case own:
		r.owe(a)
	default:
		r.lose(err)
	}
}

// owe keeps an alert for later, in place of the same of an earlier stage.
func (r *recipient) owe(a *alerts.Alert) {
	if a.Stale { // it was told, or is owed
		return
	}
	i := slices.IndexFunc(r.owed, func(x *alerts.Alert) bool { return x.ID == a.ID })
	switch {
	case i >= 0:
		r.owed = slices.Delete(r.owed, i, i+1)
	case len(r.owed) == mostOwed:
		r.lose(sink.ErrFull)
		return
	}
	r.owed = append(r.owed, a.Clone())
}

func (r *recipient) lose(why error) {
	r.lost++
	r.untold++
	r.cause = why
	what := alerts.OutputBroken
	if errors.Is(why, sink.ErrFull) || errors.Is(why, spool.ErrFull) {
		what = alerts.OutputFull
	}
	r.failures.add(what, r.name, 1, why)
}

// settle gives what is owed, as far as it is taken, and logs what was lost, at a
// slow pace.
func (r *recipient) settle(now time.Time) {
	for len(r.owed) > 0 && r.to.Write(r.owed[0]) == nil {
		r.owed = r.owed[1:]
	}
	if r.untold > 0 && now.Sub(r.complaint) >= complainEvery {
		r.complain(now)
	}
}

func (r *recipient) complain(now time.Time) {
	r.log.Error().Err(r.cause).Str("output", r.name).Uint64("alerts", r.untold).Msg("alerts were not written")
	r.complaint, r.untold = now, 0
}
