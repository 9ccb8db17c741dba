package main

import (
	"encoding/hex"
	"fmt"

	"kmswatch/decode/smb"
)

// smbMessage is what the decode verb says of one SMB command.
type smbMessage struct {
	Version   string         `json:"version"` // smb1, smb2 (3 too), smb3-encrypted, smb3-compressed
	Command   string         `json:"command"`
	Response  bool           `json:"response"`
	Status    *statusMessage `json:"status,omitempty"`
	MessageID *uint64        `json:"message_id,omitempty"` // SMB 1: the MID
	SessionID *uint64        `json:"session_id,omitempty"` // SMB 1: the UID
	TreeID    *uint32        `json:"tree_id,omitempty"`
	AsyncID   *uint64        `json:"async_id,omitempty"`
	Chain     int            `json:"chain,omitempty"` // place in a compound or AndX chain, from 0
	Dialect   string         `json:"dialect,omitempty"`
	Function  string         `json:"function,omitempty"`
	Name      string         `json:"name,omitempty"` // of the share or file
	File      string         `json:"file_id,omitempty"`
	Length    *uint32        `json:"length,omitempty"`
	Request   uint64         `json:"request_frame,omitempty"`
}

var smbVersions = map[uint8]string{
	smb.Version1: "smb1", smb.Version2: "smb2",
	smb.VersionTransform: "smb3-encrypted", smb.VersionCompression: "smb3-compressed",
}

// smbTransaction is SMB_COM_TRANSACTION, whose functions are those of pipes.
const smbTransaction = 0x25

func newSMBMessage(x *smb.Message) *smbMessage {
	m := &smbMessage{Version: smbVersions[x.Version], Command: smb.CommandName(x.Version, x.Command), Response: x.Response}
	switch x.Version {
	case smb.VersionCompression:
		return m
	case smb.VersionTransform:
		m.SessionID = &x.Session
		return m
	}
	m.MessageID, m.SessionID, m.Chain, m.Name = &x.ID, &x.Session, x.Chain, x.Name
	if x.Async {
		m.AsyncID = &x.AsyncID
	} else {
		m.TreeID = &x.Tree
	}
	if x.Response {
		m.Status = &statusMessage{x.Status, x.StatusName()}
		m.Request = x.Request.Frame
	}
	if x.Dialect != 0 {
		m.Dialect = fmt.Sprintf("0x%04x", x.Dialect)
	}
	switch {
	case x.Control != 0:
		m.Function = smb.ControlName(x.Control)
	case x.Function != 0 && x.Version == smb.Version1 && x.Command == smbTransaction:
		m.Function = smb.TransactionName(x.Function)
	}
	if x.HasFile {
		id := x.File[:]
		if x.Version == smb.Version1 {
			id = id[:2]
		}
		m.File = hex.EncodeToString(id)
	}
	if x.Length != 0 {
		m.Length = &x.Length
	}
	return m
}
