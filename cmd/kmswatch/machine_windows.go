package main

import (
	"strings"

	"kmswatch/capture/npcap"
)

// liveCapture says what this machine can do for run, a line for each subject.
func liveCapture() []subject {
	all, err := npcap.Interfaces()
	if err != nil {
		return []subject{{"interfaces", "none to capture on: " + err.Error()}}
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].String()
		if !all[i].Up {
			names[i] += " down"
		}
	}
	return []subject{{"interfaces", strings.Join(names, ", ")}}
}
