package decode

import "kmswatch/decode/packet"

// AppendCommunityID appends the flow's Community ID, version 1 with seed 0; it
// appends nothing for a flow without addresses.
func (f *Flow) AppendCommunityID(b []byte) []byte {
	if !f.Client.Addr.IsValid() || !f.Server.Addr.IsValid() {
		return b
	}
	return packet.AppendCommunityID(b, 0, f.Client.Addr, f.Server.Addr, f.Client.Port, f.Server.Port, f.Proto)
}
