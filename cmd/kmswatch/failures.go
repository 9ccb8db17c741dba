package main

import (
	"slices"
	"sync"

	"kmswatch/alerts"
)

// failures keeps what failed until the evaluator is told of it, between two
// frames. It is for any goroutine. What fails several times meanwhile is one, so
// that there are no more than outputs and interfaces, times the ways to fail.
type failures struct {
	mu  sync.Mutex
	all []*alerts.Failure
}

func (f *failures) add(what alerts.Failed, where string, lost uint64, cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.all, func(x *alerts.Failure) bool { return x.What == what && x.Where == where })
	if i < 0 {
		i = len(f.all)
		f.all = append(f.all, &alerts.Failure{What: what, Where: where})
	}
	f.all[i].Lost += lost
	if cause != nil {
		f.all[i].Cause = cause.Error()
	}
}

// take gives what failed since it was called last.
func (f *failures) take() []*alerts.Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.all
	f.all = nil
	return all
}
