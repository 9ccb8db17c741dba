package main

import (
	"encoding/json"
	"time"

	"kmswatch/cmd/kmswatch/metrics"
)

// health is how a sensor is, for the topic of that name: keyed by the sensor, so
// that a compacted topic has the last word of each. Counts are those since the
// start. OCSF has no class for it.
type health struct {
	Sensor     string            `json:"sensor"`
	Version    string            `json:"version"`
	Time       time.Time         `json:"time"`
	Started    time.Time         `json:"started"`
	State      string            `json:"state"` // watching, or stopped
	Mode       string            `json:"mode"`
	Interfaces []interfaceHealth `json:"interfaces"`
	Dropped    uint64            `json:"dropped_frames"`
	Flows      uint64            `json:"flows"`
	Evicted    uint64            `json:"evicted_flows"`
	PDUs       uint64            `json:"pdus"`
	Calls      uint64            `json:"calls"`
	Exchanges  uint64            `json:"kms_exchanges"`
	Lookups    uint64            `json:"srv_lookups"`
	Anomalies  uint64            `json:"anomalies"`
	Waiting    int               `json:"queue_batches"`
	Alerts     uint64            `json:"alerts"`
	Standing   int               `json:"standing_alerts"`
	Hosts      int               `json:"hosts"`
	Outputs    []outputHealth    `json:"outputs"`
	Spools     []spoolHealth     `json:"spools"`
	Config     configHealth      `json:"config"`
}

type interfaceHealth struct {
	Name      string `json:"name"`
	Received  uint64 `json:"received"`
	Filtered  uint64 `json:"filtered"`
	Dropped   uint64 `json:"dropped"`
	Truncated uint64 `json:"truncated"`
	Bytes     uint64 `json:"bytes"`
}

type outputHealth struct {
	Name    string `json:"name"`
	Written uint64 `json:"written"`
	Lost    uint64 `json:"lost"`
	Waiting uint64 `json:"waiting"`
}

type spoolHealth struct {
	Of       string  `json:"of"`
	Records  uint64  `json:"records"`
	Bytes    int64   `json:"bytes"`
	Oldest   float64 `json:"oldest_seconds"`
	Writable bool    `json:"writable"`
	Lost     uint64  `json:"lost"`
}

type configHealth struct {
	File   string    `json:"file,omitempty"`
	Loaded time.Time `json:"loaded"`
	Failed bool      `json:"last_reload_failed"`
}

func (h *health) json() []byte {
	b, err := json.Marshal(h)
	if err != nil {
		panic(err) // of numbers, text and times of this program's own
	}
	return b
}

// fill takes what a snapshot says.
func (h *health) fill(s *metrics.Snapshot) {
	h.Time = s.At.UTC()
	for _, i := range s.Interfaces {
		h.Interfaces = append(h.Interfaces, interfaceHealth{i.Name, i.Stats.Received, i.Stats.Filtered, i.Stats.Dropped, i.Stats.Truncated, i.Stats.Bytes})
		h.Dropped += i.Stats.Dropped
	}
	e := &s.Engine.Stats
	h.Flows, h.Evicted, h.PDUs, h.Calls, h.Exchanges, h.Lookups, h.Anomalies = e.Flows, e.Evicted, e.PDUs, e.Calls, e.Exchanges, e.Lookups, e.Anomalies
	h.Waiting, h.Hosts = s.Engine.Waiting, s.Hosts
	h.Alerts, h.Standing = s.Alerts.Raised, s.Alerts.Standing
	for i := range s.Outputs {
		o := &s.Outputs[i]
		h.Outputs = append(h.Outputs, outputHealth{o.Name, o.Written, o.Lost, o.Waiting})
	}
	for i := range s.Spools {
		d := &s.Spools[i]
		h.Spools = append(h.Spools, spoolHealth{d.Of, d.Records, d.Bytes, d.Oldest.Seconds(), !d.Unwritable, d.Memory + d.Dropped + d.Damaged + d.Refused})
	}
}
