package main

import (
	"kmswatch/alerts/config"
	"kmswatch/capture"
	"kmswatch/capture/npcap"
)

// openSource opens the source of an interface: Npcap.
func openSource(name string, l *live) (capture.Source, error) {
	return npcap.Open(npcap.Options{
		Interface:   name,
		Promiscuous: l.mode.value == config.ModeSpan,
		Buffer:      int(l.ringSize),
	})
}
