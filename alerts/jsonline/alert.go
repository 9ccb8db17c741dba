package jsonline

import (
	"kmswatch/alerts"
	"kmswatch/decode"
)

// Strings writes an array of strings.
func (b *Buffer) Strings(name string, all []string) {
	b.Array(name)
	for _, s := range all {
		b.String("", s)
	}
	b.EndArray()
}

// Facts writes what is known of an alert, a member for each fact.
func (b *Buffer) Facts(name string, all []alerts.Fact) {
	b.Object(name)
	for i := range all {
		switch v := all[i].Value.(type) {
		case string:
			b.String(all[i].Name, v)
		case bool:
			b.Bool(all[i].Name, v)
		case int64:
			b.Int(all[i].Name, v)
		case uint64:
			b.Uint(all[i].Name, v)
		case []string:
			b.Strings(all[i].Name, v)
		}
	}
	b.End()
}

// Frames writes the frames that an alert stands on.
func (b *Buffer) Frames(name string, all []alerts.Frame) {
	b.Array(name)
	for i := range all {
		b.Object("")
		b.Known("file", all[i].File)
		b.Uint("frame", all[i].Number)
		b.End()
	}
	b.EndArray()
}

// Addresses writes how many there are, and the first few.
func (b *Buffer) Addresses(name string, all *alerts.Addresses) {
	b.Object(name)
	b.Int("count", int64(all.Count))
	if all.More {
		b.Bool("more", true)
	}
	b.Array("first")
	for _, a := range all.First {
		b.Addr("", a)
	}
	b.EndArray()
	b.End()
}

// Carriage writes the VLANs and the tunnel that a flow is in, if it is.
func (b *Buffer) Carriage(f *decode.Flow) {
	if f.VLANs[0] != 0 {
		b.Array("vlans")
		for _, id := range f.VLANs {
			if id != 0 {
				b.Uint("", uint64(id))
			}
		}
		b.EndArray()
	}
	if f.Tunnel != decode.NoTunnel {
		b.Object("tunnel")
		b.String("type", f.Tunnel.String())
		b.Uint("id", uint64(f.TunnelID))
		b.End()
	}
}
