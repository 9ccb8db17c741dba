package main

import (
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/ncadg"
	"kmswatch/decode/software"
)

// softwareMessage is what a bind with its answer shows of the programs at both
// ends, or a datagram of the one that sent it.
type softwareMessage struct {
	Client *programMessage `json:"client,omitempty"`
	Server *programMessage `json:"server,omitempty"`
}

type programMessage struct {
	Fingerprint string `json:"fingerprint"`
	Text        string `json:"text"`
	Name        string `json:"name,omitempty"`
	Confidence  uint8  `json:"confidence,omitempty"` // percent
}

func newSoftwareMessage(e *decode.Bind) *softwareMessage {
	n := &e.Negotiation
	m := &softwareMessage{}
	if f := software.Client(n); f.Known() {
		m.Client = &programMessage{Fingerprint: f.Hash(), Text: f.Text()}
		m.Client.Name, m.Client.Confidence = software.ClientName(n)
	}
	if f := software.Server(n); f.Known() {
		m.Server = &programMessage{Fingerprint: f.Hash(), Text: f.Text()}
		m.Server.Name, m.Server.Confidence = software.ServerName(n, nil)
	}
	if m.Client == nil && m.Server == nil {
		return nil
	}
	return m
}

// newDatagramSoftware is nil for the types that have no fingerprint.
func newDatagramSoftware(h *ncadg.Header) *softwareMessage {
	f := software.Datagram(h)
	if !f.Known() {
		return nil
	}
	p := &programMessage{Fingerprint: f.Hash(), Text: f.Text()}
	p.Name, p.Confidence = software.DatagramName(h)
	if h.Type == dcerpc.TypeRequest {
		return &softwareMessage{Client: p}
	}
	return &softwareMessage{Server: p}
}
