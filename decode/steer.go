package decode

import (
	"net/netip"

	"kmswatch/capture"
)

// bulk is how many bytes of a flow may tell nothing before the source is asked
// to let the rest go: file data, what is encrypted, what is not decoded.
const bulk = 1 << 20

// maxSteeredPorts bounds the ports that are watched because endpoint mappers
// named them: a mapper that names them all must not undo the source's filter.
const maxSteeredPorts = 4096

// steer asks the source to let the frames of a flow go that has long told
// nothing. DCE/RPC in clear is never let go: its calls may be long.
func (s *shard) steer(f *flow) {
	if f.ignored || f.assoc != nil || f.http != nil || f.smb != nil && f.smb.open > 0 {
		return
	}
	if f.bytes[0]+f.bytes[1]-f.told >= bulk {
		s.letGo(f)
	}
}

// letGo asks the source to let a flow go. One that refuses is asked again after as
// much, not at each frame.
func (s *shard) letGo(f *flow) {
	f.ignored = s.limits.steer.Ignore(f.steered()) == nil
	f.told = f.bytes[0] + f.bytes[1]
}

// attend notes that a flow told something, and asks for all of its frames again.
func (s *shard) attend(f *flow) {
	f.told = f.bytes[0] + f.bytes[1]
	if f.ignored && !f.closed {
		f.ignored = s.limits.steer.Watch(f.steered()) != nil
	}
}

// steered is the flow as the source knows it.
func (f *flow) steered() capture.FlowKey {
	return capture.FlowKey{
		Proto: f.Proto,
		A:     netip.AddrPortFrom(f.Client.Addr, f.Client.Port),
		B:     netip.AddrPortFrom(f.Server.Addr, f.Server.Port),
	}
}

// watch asks the source for all frames of a TCP port that an endpoint mapper
// named.
func (s *endpoints) watch(port uint16) {
	if s.steer == nil || s.watched.has(port) || s.ports >= maxSteeredPorts {
		return
	}
	s.watched.add(port)
	s.ports++
	_ = s.steer.WatchPort(tcp, port) // a flow of it is then found by its content
}
