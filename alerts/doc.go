// Package alerts turns events into alerts: rules say what is wrong, the
// evaluator asks them and folds repeats.
package alerts
