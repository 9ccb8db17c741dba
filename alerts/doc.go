// Package alerts turns events into alerts. An Evaluator is given the events of
// decode in frame order, asks the rules that want an event's kind, folds
// repeats, and gives each Alert to a function. It makes no text of alerts for
// machines or people: ocsf and sink do.
//
// # Folding
//
// A rule raises an alert for each event that it finds wrong, and says in a Fold
// which events are the same alert: mostly those of one server and one pair of
// zones. The first makes the alert; the others raise its count until its window
// ends. A window is a stretch of packet time, an hour unless configured, that
// begins at a multiple of its length since the epoch: two sensors, or a replay
// and a live run, have the same windows, and so the same ids. An alert's id is
// a UUID of version 5 made of rule, parties, what else the Fold names, and the
// beginning of the window.
//
// # Stages
//
// An alert is given out when it is raised, again at once when a repeat is worse
// than all before it (then that event describes it), and for the last time when
// its window has ended or its place was needed for another, with the final
// count. What is live wants the first two, and the last unless it is Stale; what
// prints a replay wants the last alone. A consumer keeps the latest of an id. An
// alert that made room for another and is raised again in the same window has
// its id again and counts from 1.
//
// # Order
//
// The same events give the same alerts in the same order: there is no clock but
// the frames', and nothing walks a map. Time may step back; an event earlier
// than the window of its alert counts to it. Alerts that end together end in
// the order in which they were raised.
//
// # Other configurations
//
// A live sensor is configured anew while it runs. Reconfigure says what of an
// evaluator's state stays.
//
// # Bounds
//
// The alerts that stand at a time are bounded, and so are the addresses that
// each counts and names. Rules keep what they remember in a Recent, which is
// bounded too. Stats counts what made room.
package alerts
